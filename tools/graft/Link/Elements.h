//===- Elements.h - Single elements of stored tensors -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_ELEMENTS_H
#define GRAFT_LINK_ELEMENTS_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/APFloat.h"

namespace graft {

/// Whether adapters may have elements of this type, and a backbone parameters that adapters change:
/// f64, f32, f16 or bf16.
bool isParameterElement(mlir::Type type);

/// The number of bytes of such an element.
unsigned elementSize(mlir::Type type);

/// The element at `data`.
llvm::APFloat readElement(const char *data, mlir::FloatType type);

/// Whether two elements are the same number once the wider is rounded to the narrower's type.
bool sameElement(const char *a, mlir::FloatType aType, const char *b, mlir::FloatType bType);

/// The position of the first element that is NaN or infinite, or -1.
int64_t findNotFinite(llvm::ArrayRef<char> bytes, mlir::FloatType type);

/// The bytes of a (rows, columns) matrix, transposed.
std::vector<char> transposeBytes(llvm::ArrayRef<char> bytes, int64_t rows, int64_t columns,
                                 unsigned width);

} // namespace graft

#endif // GRAFT_LINK_ELEMENTS_H
