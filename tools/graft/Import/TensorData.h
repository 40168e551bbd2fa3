//===- TensorData.h - Elements of ONNX tensors -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_IMPORT_TENSORDATA_H
#define GRAFT_IMPORT_TENSORDATA_H

#include "graft/Fault/Fault.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

#include <optional>
#include <vector>

#include "onnx/onnx_pb.h"

namespace graft {

/// The MLIR type of an ONNX element type, or null for strings and types that ONNX doesn't know.
mlir::Type elementType(mlir::MLIRContext *context, int32_t onnxType);

/// The number of bits of an ONNX element type as files store it, or 0 if it has no fixed size.
unsigned elementBits(int32_t onnxType);

/// The name that ONNX gives to an element type.
llvm::StringRef elementName(int32_t onnxType);

/// The number of bytes that a tensor's elements take in a file, packed below a byte. A Fault if a
/// dimension is negative, the product overflows or the type has no fixed size; `where` names it.
llvm::Expected<int64_t> packedBytes(const ::onnx::TensorProto &tensor, llvm::StringRef where);

/// The elements of a tensor whose data is in the message, as raw_data would hold them.
llvm::Expected<std::vector<char>> packElements(const ::onnx::TensorProto &tensor,
                                               llvm::StringRef where);

/// A dense attribute from bytes laid out as raw_data is.
mlir::DenseElementsAttr denseFromRaw(mlir::RankedTensorType type, llvm::ArrayRef<char> raw);

} // namespace graft

#endif // GRAFT_IMPORT_TENSORDATA_H
