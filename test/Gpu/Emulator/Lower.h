//===- Lower.h - Device IR into IR for the host -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_LOWER_H
#define GRAFT_TEST_GPU_EMULATOR_LOWER_H

#include "Memory.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"

namespace graft::emulator {

struct Kernel {
  std::string name;
  std::vector<uint32_t> argumentBytes;
  /// Which arguments are passed by their address.
  std::vector<bool> byAddress;
  /// The most threads a block may have, 0 for any.
  uint32_t mostThreads = 0;
  /// How many it has to have, 0 where that is open.
  uint32_t exactThreads = 0;
};

/// What a module of kernels has besides code.
struct Contents {
  std::vector<Kernel> kernels;
  /// Shared memory with a size, as offsets in the arena, and where dynamic shared memory begins.
  std::vector<Region> shared;
  uint64_t dynamic = 0;
  /// Variables of the module in global or constant memory; `begin` is not set.
  std::vector<Region> variables;
};

/// Rewrites a module whose functions are in the LLVM and NVVM dialects for the host: operations of
/// the device become calls of what Calls.h lists, accesses are announced, address spaces go. Sites
/// are appended to `sites`. Errors are reported at operations.
class Lowering {
public:
  Lowering(mlir::ModuleOp module, char *arena, std::vector<Site> &sites);
  mlir::LogicalResult run(Contents &contents);

private:
  mlir::LogicalResult lower(mlir::Operation *op);
  mlir::LogicalResult lowerNvvm(mlir::Operation *op);
  mlir::LogicalResult lowerAssembly(mlir::Operation *op, llvm::StringRef text, unsigned results,
                                    mlir::ValueRange operands);
  mlir::LogicalResult lowerCall(mlir::LLVM::CallOp op);
  mlir::LogicalResult lowerIntrinsic(mlir::LLVM::CallIntrinsicOp op);
  mlir::LogicalResult approximate(mlir::Operation *op, llvm::StringRef function,
                                  mlir::ValueRange operands);
  mlir::LogicalResult refuse(mlir::Operation *op, const llvm::Twine &why);
  mlir::LogicalResult placeGlobals(Contents &contents);
  mlir::LogicalResult addEntry(mlir::LLVM::LLVMFuncOp kernel, Contents &contents);
  void dropAttributes();

  void announce(mlir::Operation *op, mlir::Value pointer, mlir::Value bytes, Access access,
                uint64_t align);
  void announce(mlir::Operation *op, mlir::Value pointer, mlir::Type type, Access access,
                uint64_t align);
  uint64_t naturalAlign(mlir::Type type) const;

  // Builders, at the operation that is being lowered.
  mlir::Value constant(int64_t value, unsigned bits = 32);
  mlir::Value site(mlir::Operation *op);
  mlir::Value call(llvm::StringRef name, mlir::Type result, mlir::ValueRange operands);
  mlir::Value warp(mlir::Operation *op, Together kind, uint32_t detail, mlir::Value mask,
                   mlir::ValueRange values);
  void matrix(mlir::Operation *op, Together kind, uint32_t detail, mlir::Value in,
              mlir::ValueRange registers);
  mlir::Value bits(mlir::Value value);
  mlir::Value toGeneric(mlir::Value pointer);
  mlir::Value scratch(mlir::Operation *op, bool out);
  void replace(mlir::Operation *op, mlir::Value value);

  mlir::ModuleOp module;
  char *arena;
  std::vector<Site> &sites;
  mlir::OpBuilder builder;
  mlir::DataLayout layout;
  mlir::Type i1, i32, i64, f32, pointer;
  llvm::DenseMap<mlir::Operation *, std::pair<mlir::Value, mlir::Value>> buffers;
  llvm::DenseMap<llvm::StringRef, uint64_t> places;
};

} // namespace graft::emulator

#endif // GRAFT_TEST_GPU_EMULATOR_LOWER_H
