//===- TextOutput.h - Writes a level of the IR, its weights beside it -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DRIVER_TEXTOUTPUT_H
#define GRAFT_DRIVER_TEXTOUTPUT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace graft {

/// Writes `op` as text to `path`, with the names of nodes and modules, and the weights that it
/// names to a safetensors file of the same stem; to standard output, without weights, if `path` is
/// "-".
llvm::Error writeText(mlir::Operation *op, llvm::StringRef path);

/// Where the weights of a text at `path` go.
std::string weightsBeside(llvm::StringRef path);

/// Writes bytes to `path` in one step, or to standard output.
llvm::Error writeBytes(llvm::StringRef bytes, llvm::StringRef path);

/// After an internal error: the module as text beside `output`, with the phase that failed, and a
/// line that says so.
void writeReproducer(mlir::ModuleOp module, llvm::StringRef output, llvm::StringRef phase);

} // namespace graft

#endif // GRAFT_DRIVER_TEXTOUTPUT_H
