//===- KernelBuilder.cpp - Short words for writing kernels -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelBuilder.h"

#include "graft/Codegen/Cpu/Kernels/VectorMath.h"

#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace graft;

bool graft::isKernelFloat(Type type) { return type.isF32() || type.isF16() || type.isBF16(); }

Value KernelBuilder::widen(Value x) {
  Type element = getElementTypeOrSelf(x.getType());
  if (!element.isF16() && !element.isBF16())
    return x;
  auto vector = dyn_cast<VectorType>(x.getType());
  Type type = vector ? Type(vector.clone(getF32Type())) : getF32Type();
  return arith::ExtFOp::create(*this, type, x);
}

Value KernelBuilder::narrow(Value x, Type element) {
  if (getElementTypeOrSelf(x.getType()) == element)
    return x;
  auto vector = dyn_cast<VectorType>(x.getType());
  return arith::TruncFOp::create(*this, vector ? Type(vector.clone(element)) : element, x);
}

Value KernelBuilder::loadElements(Value memref, ValueRange at, Value mask) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  auto type = VectorType::get({int64_t(target.lanes)}, element);
  if (!mask)
    return vector::LoadOp::create(*this, type, memref, at);
  Value zero = arith::ConstantOp::create(*this, cast<TypedAttr>(getZeroAttr(type)));
  return vector::MaskedLoadOp::create(*this, type, memref, at, mask, zero);
}

void KernelBuilder::storeVector(Value value, Value memref, ValueRange at, Value mask) {
  value = narrow(value, cast<MemRefType>(memref.getType()).getElementType());
  if (mask)
    vector::MaskedStoreOp::create(*this, memref, at, mask, value);
  else
    vector::StoreOp::create(*this, value, memref, at);
}

/// The function's first block.
static Block &entryOf(OpBuilder &builder) {
  Operation *parent = builder.getInsertionBlock()->getParentOp();
  auto function = dyn_cast<FunctionOpInterface>(parent);
  if (!function)
    function = parent->getParentOfType<FunctionOpInterface>();
  return function.getFunctionBody().front();
}

Value KernelBuilder::scratch(ArrayRef<int64_t> shape, Type element) {
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(&entryOf(*this));
  return memref::AllocaOp::create(*this, MemRefType::get(shape, element ? element : getF32Type()),
                                  getI64IntegerAttr(64));
}

Value KernelBuilder::table(int64_t size) {
  constexpr StringLiteral mark = "dispatch.table";
  auto type = MemRefType::get({size}, getIndexType());
  for (Operation &op : entryOf(*this)) {
    auto known = dyn_cast<memref::AllocaOp>(op);
    if (!known)
      break;
    if (known.getType() == type && known->hasAttr(mark))
      return known;
  }
  Value memory = scratch(size, getIndexType());
  memory.getDefiningOp()->setAttr(mark, getUnitAttr());
  return memory;
}

Value KernelBuilder::address(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(*this, memref);
  if (type.getLayout().isIdentity())
    return base;
  Value offset = memref::ExtractStridedMetadataOp::create(*this, memref).getOffset();
  return add(base, mul(offset, index(type.getElementTypeBitWidth() / 8)));
}

KernelBuilder::Values KernelBuilder::loop(Value from, Value to, int64_t step, ValueRange inits,
                                          function_ref<Values(Value, ValueRange)> body) {
  auto op = scf::ForOp::create(*this, from, to, index(step), inits);
  OpBuilder::InsertionGuard guard(*this);
  // Without carried values the builder has made the terminator.
  if (inits.empty())
    op.getBody()->getTerminator()->erase();
  setInsertionPointToStart(op.getBody());
  Values next = body(op.getInductionVar(), op.getRegionIterArgs());
  scf::YieldOp::create(*this, next);
  return op.getResults();
}

void KernelBuilder::loop(Value from, Value to, int64_t step, function_ref<void(Value)> body) {
  loop(from, to, step, {}, [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}

void KernelBuilder::loopBelow(Value end, ValueRange inits, function_ref<Values(ValueRange)> body) {
  scf::WhileOp::create(
      *this, inits.getTypes(), inits,
      [&](OpBuilder &builder, Location loc, ValueRange carried) {
        Value isBelow =
            arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, carried.front(), end);
        scf::ConditionOp::create(builder, loc, isBelow, carried);
      },
      [&](OpBuilder &builder, Location loc, ValueRange carried) {
        scf::YieldOp::create(builder, loc, body(carried));
      });
}

scf::ParallelOp KernelBuilder::parallel(Value count, function_ref<void(Value)> body) {
  auto op =
      scf::ParallelOp::create(*this, ValueRange{index(0)}, ValueRange{count}, ValueRange{index(1)});
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.getBody());
  body(op.getInductionVars().front());
  return op;
}

void KernelBuilder::ifThenElse(Value condition, function_ref<void()> then,
                               function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(*this, condition, /*withElseRegion=*/bool(otherwise));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  then();
  if (!otherwise)
    return;
  setInsertionPointToStart(op.elseBlock());
  otherwise();
}

KernelBuilder::Values KernelBuilder::ifThen(Value condition, ValueRange otherwise,
                                            function_ref<Values()> then) {
  auto op = scf::IfOp::create(*this, otherwise.getTypes(), condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  scf::YieldOp::create(*this, then());
  setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(*this, otherwise);
  return op.getResults();
}

void KernelBuilder::switchExact(Value value, unsigned most, function_ref<void(unsigned)> body) {
  SmallVector<int64_t> cases;
  for (unsigned n = 1; n <= most; ++n)
    cases.push_back(n);
  auto op = scf::IndexSwitchOp::create(*this, TypeRange(), value, cases, most);
  OpBuilder::InsertionGuard guard(*this);
  for (unsigned n = 1; n <= most; ++n) {
    createBlock(&op.getCaseRegions()[n - 1]);
    body(n);
    setInsertionPointToEnd(&op.getCaseRegions()[n - 1].back());
    scf::YieldOp::create(*this);
  }
  createBlock(&op.getDefaultRegion());
  scf::YieldOp::create(*this);
}

bool graft::isVectorizable(Block &block) {
  auto fits = [](Type type) {
    return isKernelFloat(type) || type.isInteger(1) || type.isInteger(32);
  };
  for (Operation &op : block.without_terminator()) {
    if (isa<arith::ConstantOp>(op)) {
      if (!fits(op.getResult(0).getType()))
        return false;
      continue;
    }
    if (!OpTrait::hasElementwiseMappableTraits(&op) || op.getNumRegions() != 0 ||
        !llvm::all_of(op.getOperandTypes(), fits) || !llvm::all_of(op.getResultTypes(), fits))
      return false;
  }
  return llvm::all_of(block.getTerminator()->getOperandTypes(), fits);
}

SmallVector<Value> graft::vectorize(KernelBuilder &b, Block &block, ValueRange arguments) {
  IRMapping mapping;
  mapping.map(block.getArguments(), arguments);
  auto vectorOf = [&](Type type) { return VectorType::get({int64_t(b.target.lanes)}, type); };
  for (Operation &op : block.without_terminator()) {
    Value result;
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      auto attr =
          DenseElementsAttr::get(vectorOf(constant.getType()), Attribute(constant.getValue()));
      mapping.map(op.getResult(0), arith::ConstantOp::create(b, attr));
      continue;
    }
    SmallVector<Value> operands;
    for (Value operand : op.getOperands())
      operands.push_back(mapping.lookup(operand));
    if (isa<math::ExpOp>(op) && op.getResult(0).getType().isF32())
      result = buildExp(b, operands[0], b.target.fma);
    else if (isa<math::ErfOp>(op) && op.getResult(0).getType().isF32())
      result = buildErf(b, operands[0], b.target.fma);
    if (result) {
      mapping.map(op.getResult(0), result);
      continue;
    }
    SmallVector<Type> types;
    for (Type type : op.getResultTypes())
      types.push_back(vectorOf(type));
    OperationState state(b.getLoc(), op.getName(), operands, types, op.getAttrs());
    Operation *wide = b.create(state);
    mapping.map(op.getResults(), wide->getResults());
  }
  SmallVector<Value> results;
  for (Value operand : block.getTerminator()->getOperands())
    results.push_back(mapping.lookup(operand));
  return results;
}
