//===- KernelBuilder.h - Short words for writing kernels ---------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_KERNELBUILDER_H
#define GRAFT_CODEGEN_CPU_KERNELS_KERNELBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace graft {

/// What the kernels need to know of the machine.
struct KernelTarget {
  /// Floats in a vector register: 16, 8 or 4.
  unsigned lanes = 16;
  /// Whether a multiply-add is one instruction. Without, `fma` would be a call of libm.
  bool fma = true;

  /// Vector registers.
  unsigned registers() const { return lanes == 16 ? 32 : 16; }
  /// Rows of a matmul's tile, which is two vectors wide: what leaves room for a row of B, and a
  /// broadcast element of A.
  unsigned tileRows() const { return lanes == 16 ? 14 : 6; }
  /// Columns of a panel of packed weights.
  unsigned panel() const { return 2 * lanes; }
};

/// True for the types that kernels read and write: f32, f16 and bf16. They compute in f32.
bool isKernelFloat(mlir::Type type);

/// Builds kernels out of scf, vector and arith ops.
class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  using Values = llvm::SmallVector<mlir::Value>;

  KernelBuilder(mlir::Location loc, mlir::OpBuilder &builder, KernelTarget target)
      : ImplicitLocOpBuilder(loc, builder), target(target) {}

  const KernelTarget target;

  mlir::VectorType vec() { return mlir::VectorType::get({int64_t(target.lanes)}, getF32Type()); }
  mlir::VectorType mask() { return mlir::VectorType::get({int64_t(target.lanes)}, getI1Type()); }

  // Index arithmetic.
  Value index(int64_t i) { return mlir::arith::ConstantIndexOp::create(*this, i); }
  Value add(Value a, Value b) { return mlir::arith::AddIOp::create(*this, a, b); }
  Value add(Value a, int64_t b) { return b == 0 ? a : add(a, index(b)); }
  Value sub(Value a, Value b) { return mlir::arith::SubIOp::create(*this, a, b); }
  Value mul(Value a, Value b) { return mlir::arith::MulIOp::create(*this, a, b); }
  Value div(Value a, Value b) { return mlir::arith::DivUIOp::create(*this, a, b); }
  Value rem(Value a, Value b) { return mlir::arith::RemUIOp::create(*this, a, b); }
  Value min(Value a, Value b) { return mlir::arith::MinUIOp::create(*this, a, b); }
  Value max(Value a, Value b) { return mlir::arith::MaxUIOp::create(*this, a, b); }
  /// a / b rounded up, without overflow of a + b.
  Value ceilDiv(Value a, Value b) { return mlir::arith::CeilDivUIOp::create(*this, a, b); }
  Value dim(Value memref, int64_t d) { return mlir::memref::DimOp::create(*this, memref, d); }

  // Arithmetic on f32 and vectors of it.
  Value scalar(float x) { return mlir::arith::ConstantOp::create(*this, getF32FloatAttr(x)); }
  Value splat(float x) {
    return mlir::arith::ConstantOp::create(*this, mlir::DenseElementsAttr::get(vec(), x));
  }
  Value broadcast(Value scalar) {
    auto type = mlir::VectorType::get({int64_t(target.lanes)}, scalar.getType());
    return mlir::vector::BroadcastOp::create(*this, type, scalar);
  }
  Value addf(Value a, Value b) { return mlir::arith::AddFOp::create(*this, a, b); }
  Value subf(Value a, Value b) { return mlir::arith::SubFOp::create(*this, a, b); }
  Value mulf(Value a, Value b) { return mlir::arith::MulFOp::create(*this, a, b); }
  Value divf(Value a, Value b) { return mlir::arith::DivFOp::create(*this, a, b); }
  /// a · b + c on vectors.
  Value fma(Value a, Value b, Value c) {
    return target.fma ? Value(mlir::vector::FMAOp::create(*this, a, b, c)) : addf(mulf(a, b), c);
  }
  /// The greater one, b if either is NaN: one instruction.
  Value maxOrSecond(Value a, Value b) {
    Value greater = mlir::arith::CmpFOp::create(*this, mlir::arith::CmpFPredicate::OGT, a, b);
    return mlir::arith::SelectOp::create(*this, greater, a, b);
  }
  Value select(Value condition, Value a, Value b) {
    return mlir::arith::SelectOp::create(*this, condition, a, b);
  }
  /// The sum of the lanes, in the order of a tree.
  Value sum(Value vector) {
    return mlir::vector::ReductionOp::create(*this, mlir::vector::CombiningKind::ADD, vector,
                                             mlir::arith::FastMathFlags::reassoc);
  }
  /// The greatest lane.
  Value greatest(Value vector) {
    return mlir::vector::ReductionOp::create(*this, mlir::vector::CombiningKind::MAXNUMF, vector);
  }

  /// f16 and bf16, or vectors of them, as f32; other types as they are.
  Value widen(Value x);
  /// f32, or a vector of it, as the given element type.
  Value narrow(Value x, mlir::Type element);

  // Memory. A null mask stands for all lanes; those that it leaves out are zero. Half precision is
  // widened when it is loaded, unless as elements, and narrowed when it is stored.
  Value load(Value memref, ValueRange at) { return widen(loadElement(memref, at)); }
  Value loadElement(Value memref, ValueRange at) {
    return mlir::memref::LoadOp::create(*this, memref, at);
  }
  void store(Value value, Value memref, ValueRange at) {
    mlir::memref::StoreOp::create(*this, value, memref, at);
  }
  Value loadVector(Value memref, ValueRange at, Value mask = {}) {
    return widen(loadElements(memref, at, mask));
  }
  Value loadElements(Value memref, ValueRange at, Value mask = {});
  void storeVector(Value value, Value memref, ValueRange at, Value mask = {});
  /// Lanes below `count`.
  Value lanesBelow(Value count) { return mlir::vector::CreateMaskOp::create(*this, mask(), count); }
  /// Scratch memory on the stack, aligned to a cache line, f32 unless said: once in the function,
  /// also if this is in a loop.
  Value scratch(llvm::ArrayRef<int64_t> shape, mlir::Type element = {});
  /// Numbers of type index on the stack for what one op tells its kernel: ops that need as many
  /// share them.
  Value table(int64_t size);
  /// Where the elements of a memref begin in memory.
  Value address(Value memref);

  // Control.
  /// A loop; `body` gets the index and the carried values and returns the next ones.
  Values loop(Value from, Value to, int64_t step, ValueRange inits,
              llvm::function_ref<Values(Value, ValueRange)> body);
  void loop(Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body);
  /// Goes on as long as the first carried value is below `end`; `body` returns the next ones.
  void loopBelow(Value end, ValueRange inits, llvm::function_ref<Values(ValueRange)> body);
  mlir::scf::ParallelOp parallel(Value count, llvm::function_ref<void(Value)> body);
  void ifThenElse(Value condition, llvm::function_ref<void()> then,
                  llvm::function_ref<void()> otherwise = nullptr);
  /// What `then` returns if the condition holds, `otherwise` if not.
  Values ifThen(Value condition, ValueRange otherwise, llvm::function_ref<Values()> then);
  /// Runs `body(n)` for the one n in 1…most that `value` has at run time.
  void switchExact(Value value, unsigned most, llvm::function_ref<void(unsigned)> body);
  /// The part of [0, size) that belongs to share `part` of `parts`: from (part · size) / parts on.
  Value share(Value part, Value parts, Value size) { return div(mul(part, size), parts); }
};

/// True if each op of the block can be computed on vectors by `vectorize`.
bool isVectorizable(mlir::Block &block);

/// Computes on vectors what the block computes on scalars. `arguments` are vectors. Returns what
/// the terminator takes.
llvm::SmallVector<mlir::Value> vectorize(KernelBuilder &builder, mlir::Block &block,
                                         mlir::ValueRange arguments);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_KERNELBUILDER_H
