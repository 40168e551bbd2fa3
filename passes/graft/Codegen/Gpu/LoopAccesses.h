//===- LoopAccesses.h - What loops read and write ----------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_LOOPACCESSES_H
#define GRAFT_CODEGEN_GPU_LOOPACCESSES_H

#include "graft/Dispatch/Exchange.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include <optional>

namespace graft {

/// A load or store of one element.
struct Access {
  mlir::Value memref;
  mlir::ValueRange indices;
  bool isStore;
};

/// All accesses within `body`, or nothing if it does something else to memory. Checks are no
/// accesses: of those that fail one is told, whichever comes first.
std::optional<llvm::SmallVector<Access>> findAccesses(mlir::Block *body);

/// The buffer that a memref is a part of: views of the arena are buffers of their own.
mlir::Value bufferOf(mlir::Value memref);

/// Whether a load reads where a buffer is in the arena, which is the host's: all other memory of a
/// device's stage is the device's.
bool isOfHost(mlir::memref::LoadOp load);

/// An index without the identity that loops of linalg ops put around it.
mlir::Value plainIndex(mlir::Value index);

} // namespace graft

#endif // GRAFT_CODEGEN_GPU_LOOPACCESSES_H
