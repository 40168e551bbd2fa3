//===- Import.h - Reads an ONNX file into the onnx dialect -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_IMPORT_IMPORT_H
#define GRAFT_IMPORT_IMPORT_H

#include "graft/Fault/Fault.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringMap.h"

#include <string>
#include <vector>

namespace graft {

struct ImportOptions {
  /// External data may be symbolic or hard links, as in the caches of model hubs.
  bool allowLinks = false;
  /// Gets the paths of the files of external data, if it is there.
  std::vector<std::string> *externalFiles = nullptr;
  /// Gets for each tensor's name the node that computes it, and which of its results it is.
  llvm::StringMap<std::pair<std::string, unsigned>> *tensors = nullptr;
};

/// Reads the ONNX file at `path` into a module with one function, `@main`.
///
/// The model is brought to the newest opset that the ONNX library knows. Initializers become
/// `onnx.Constant` ops; the bytes of large ones stay in the context's WeightStore. Arguments carry
/// `modular.name` and `modular.dims` (a name for every dimension that is not static), results too.
/// Locations hold the node's name and module path: graft/Onnx/Origin.h reads them.
///
/// The context must have the func, onnx and modular dialects available. Errors are Faults.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
importOnnx(llvm::StringRef path, mlir::MLIRContext *context, const ImportOptions &options = {});

} // namespace graft

#endif // GRAFT_IMPORT_IMPORT_H
