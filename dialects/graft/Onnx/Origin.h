//===- Origin.h - Node names and module paths in locations -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_ORIGIN_H
#define GRAFT_ONNX_ORIGIN_H

#include "mlir/IR/Location.h"

namespace graft {

/// Where an op comes from: the ONNX node's name, and the dotted path of the module that the node
/// was traced in
/// (`encoder.layer.0.output.dense`). Either may be empty.
struct Origin {
  llvm::StringRef node, module;
};

/// The location of a node: its name, fused with its module path as a string attribute when there is
/// one.
mlir::Location originLocation(mlir::MLIRContext *context, llvm::StringRef node,
                              llvm::StringRef module);

/// Reads a location that originLocation has made, also inside fused locations and call sites: the
/// first name and the first path that is found, in the order of printing.
Origin originOf(mlir::Location location);

} // namespace graft

#endif // GRAFT_ONNX_ORIGIN_H
