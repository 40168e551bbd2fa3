//===- OnnxFile.h - An ONNX file, parsed and validated -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_IMPORT_ONNXFILE_H
#define GRAFT_IMPORT_ONNXFILE_H

#include "graft/Fault/Fault.h"
#include "graft/Import/Import.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "onnx/onnx_pb.h"

namespace graft {

/// The bytes of a tensor, taken out of its message or mapped from a file.
struct Payload {
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<const void> owner;
};

/// A model on its way into MLIR.
struct OnnxModel {
  std::string file;
  ::onnx::ModelProto proto;
  /// The default domain's opset that the file was written for.
  int64_t fileOpset = 0;
  /// What tensors with a placeholder hold: see `payloadOf`.
  std::vector<Payload> payloads;
  /// Module paths by the name of the node, and of the values that a node computes.
  llvm::StringMap<std::string> nodePaths, valuePaths;
  /// Shapes that the file declares for its outputs: names for dimensions, nothing more.
  std::vector<::onnx::ValueInfoProto> declaredOutputs;

  /// The payload that was moved out of `tensor`, or null if the message holds its data itself.
  const Payload *payloadOf(const ::onnx::TensorProto &tensor) const;
};

/// Parses the file, validates every tensor in it (element type, dimensions, number of bytes,
/// external data), and moves the bytes of large tensors out of the messages, so that ONNX's passes
/// copy none of them.
llvm::Expected<std::unique_ptr<OnnxModel>> readOnnxFile(llvm::StringRef path,
                                                        const ImportOptions &options);

/// Checks the model, names every node, inlines functions, converts it to the newest opset, expands
/// the standard's functions that `knows` denies, and infers types. Fills `nodePaths`.
llvm::Error normalizeModel(OnnxModel &model, llvm::function_ref<bool(llvm::StringRef)> knows);

/// Rewrites what SplitToSequence and SequenceAt with constant positions compute as slices.
void sequencesToSlices(::onnx::GraphProto &graph);

/// Builds the module.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> buildModule(OnnxModel &model,
                                                              mlir::MLIRContext *context);

/// Refuses ops whose shapes contradict each other where ONNX's inference doesn't look: kernels,
/// constant indices and shapes.
llvm::Error checkOps(mlir::ModuleOp module, llvm::StringRef file);

} // namespace graft

#endif // GRAFT_IMPORT_ONNXFILE_H
