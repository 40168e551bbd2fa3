//===- DeviceBuilder.h - Code of one thread of a kernel ----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_KERNELS_DEVICEBUILDER_H
#define GRAFT_CODEGEN_GPU_KERNELS_DEVICEBUILDER_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace graft {

/// Arithmetic on i32, memory of the device and of the block, and what a warp does together. Sizes
/// within a buffer's row are i32; offsets into a buffer are i64, in elements.
class DeviceBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<Value>;
  static constexpr unsigned kLanes = 32;

  DeviceBuilder(mlir::Location loc, mlir::OpBuilder &builder)
      : ImplicitLocOpBuilder(loc, builder) {}

  Value i32(int64_t value);
  Value i64(int64_t value);
  Value real(mlir::Type type, double value);
  Value add(Value a, Value b);
  Value add(Value a, int64_t b) { return b ? add(a, constant(a, b)) : a; }
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value mul(Value a, int64_t b) { return mul(a, constant(a, b)); }
  /// Of numbers that are not negative.
  Value div(Value a, Value b);
  Value div(Value a, int64_t b) { return div(a, constant(a, b)); }
  Value rem(Value a, Value b);
  Value rem(Value a, int64_t b) { return rem(a, constant(a, b)); }
  Value ceilDiv(Value a, int64_t b) { return div(add(a, b - 1), b); }
  Value min(Value a, Value b);
  Value isBelow(Value a, Value b);
  Value isBelow(Value a, int64_t b) { return isBelow(a, constant(a, b)); }
  Value both(Value a, Value b);
  Value select(Value condition, Value a, Value b);
  Value widen(Value a);  ///< to i64
  Value narrow(Value a); ///< of an i64 or an index, to i32
  Value index(Value a);  ///< of an i32

  Value thread(); ///< in its block
  Value block();  ///< in the grid
  Value blocks(); ///< of the grid

  /// The address of element `offset` of `type` from `base` on.
  Value at(Value base, mlir::Type type, Value offset);
  Value at(Value base, mlir::Type type, int64_t offset);
  Value load(mlir::Type type, Value address);
  /// The same only if `condition` holds, else `otherwise`.
  Value loadIf(Value condition, Value address, Value otherwise);
  void store(Value value, Value address, unsigned alignment = 0);
  /// A kernel's pointer as one into the device's memory.
  Value global(Value pointer);
  /// An array of the block's memory, of `count` elements, aligned to 128 bytes.
  Value shared(mlir::gpu::GPUModuleOp device, llvm::StringRef name, mlir::Type type, int64_t count);

  /// A loop over [from, to) whose body returns the next values of what is carried.
  Values loop(Value from, Value to, Value step, mlir::ValueRange inits,
              llvm::function_ref<Values(Value, mlir::ValueRange)> body);
  void loop(Value from, Value to, Value step, llvm::function_ref<void(Value)> body);
  void when(Value condition, llvm::function_ref<void()> body);
  /// What `body` gives if `condition` holds, else `otherwise`.
  Values when(Value condition, mlir::ValueRange otherwise, llvm::function_ref<Values()> body);

  /// All threads of the block wait for each other.
  void barrier();
  /// Copies 4 or 16 bytes from the device's memory to the block's in the background, or puts zeros
  /// there if `isInside` is false.
  void copyAsync(Value to, Value from, unsigned bytes, Value isInside);
  void commitCopies();
  /// Waits for all but the last `pending` groups of copies of this thread.
  void waitForCopies(unsigned pending);
  /// The value of the lane `distance` before, of an i32; a lane's own where there is none.
  Value shuffleUp(Value value, unsigned distance);
  /// The value of the lane whose number differs in the bits of `mask`.
  Value shuffleXor(Value value, unsigned mask);
  Value shuffleFrom(Value value, Value lane);
  /// The sum and the greatest of all lanes' values, of an f32; every lane gets the same bits.
  Value sumOfLanes(Value value);
  Value greatestOfLanes(Value value);
  /// The sum of the values of the lanes up to this one, of an i32.
  Value sumUpTo(Value value);
  /// A bit for each lane that has the same i32.
  Value match(Value value);
  /// How many bits there are, and how many below that of `lane`.
  Value countBits(Value bits);
  Value bitsBelow(Value bits, Value lane);
  /// What the warp's lanes have stored is seen by all of them.
  void syncWarp();

private:
  Value constant(Value like, int64_t value) {
    return like.getType().isInteger(64) ? i64(value) : i32(value);
  }
  Value shuffle(mlir::NVVM::ShflKind kind, Value value, Value offset, int64_t clamp);
};

} // namespace graft

#endif // GRAFT_CODEGEN_GPU_KERNELS_DEVICEBUILDER_H
