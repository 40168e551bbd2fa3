//===- RoutingKernels.cpp - Plans, and rows to their slots and back -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/RowSteps.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

using Values = KernelBuilder::Values;

/// Parts of a plan's slots that are counted apart: a count that rises by one after the other is a
/// chain through memory, and so many of them overlap.
static constexpr int64_t kParts = 4;

/// Modules whose counts fit on the stack.
static constexpr int64_t kMostModules = 4096;

static Value asIndex(KernelBuilder &b, Value x) {
  return arith::IndexCastOp::create(b, b.getIndexType(), x);
}

//===----------------------------------------------------------------------===//
// plan
//===----------------------------------------------------------------------===//

/// A counting sort; the empty slots are one more module, the last. Slots are given to parts in
/// order, and a module's places to parts in order, so that the sort is stable.
static void buildPlan(KernelBuilder &b, int64_t modules, ValueRange arguments) {
  Value keys = arguments[0], order = arguments[1], offsets = arguments[2], position = arguments[3];
  Type narrow = b.getI32Type();
  auto constant = [&](int64_t x) -> Value {
    return arith::ConstantOp::create(b, b.getI32IntegerAttr(x));
  };
  Value counts = b.scratch({kParts, modules + 1}, narrow);
  Value none = arith::ConstantOp::create(b, b.getI64IntegerAttr(modules));
  Value slots = b.dim(keys, 0), length = b.div(slots, b.index(kParts));
  // body(part, slot, module) for each slot.
  auto eachSlot = [&](function_ref<void(Value, Value, Value)> body) {
    auto visit = [&](int64_t part, Value slot) {
      Value key = arith::MinUIOp::create(b, b.loadElement(keys, slot), none);
      body(b.index(part), slot, asIndex(b, key));
    };
    b.loop(b.index(0), length, 1, [&](Value i) {
      for (int64_t part = 0; part < kParts; ++part)
        visit(part, b.add(b.mul(b.index(part), length), i));
    });
    b.loop(b.mul(b.index(kParts), length), slots, 1, [&](Value slot) { visit(kParts - 1, slot); });
  };

  b.loop(b.index(0), b.index(modules + 1), 1, [&](Value e) {
    for (int64_t part = 0; part < kParts; ++part)
      b.store(constant(0), counts, {b.index(part), e});
  });
  eachSlot([&](Value part, Value slot, Value e) {
    b.store(b.add(b.loadElement(counts, {part, e}), constant(1)), counts, {part, e});
  });
  b.loop(b.index(0), b.index(modules + 1), 1, {constant(0)}, [&](Value e, ValueRange carried) {
    Value next = carried[0];
    b.store(next, offsets, e);
    for (int64_t part = 0; part < kParts; ++part) {
      Value count = b.loadElement(counts, {b.index(part), e});
      b.store(next, counts, {b.index(part), e});
      next = b.add(next, count);
    }
    return Values{next};
  });
  eachSlot([&](Value part, Value slot, Value e) {
    Value p = b.loadElement(counts, {part, e});
    b.store(b.add(p, constant(1)), counts, {part, e});
    Value taken = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, e, b.index(modules));
    Value number = arith::IndexCastOp::create(b, narrow, slot);
    b.store(b.select(taken, number, constant(0)), order, asIndex(b, p));
    b.store(b.select(taken, p, constant(-1)), position, slot);
  });
}

std::optional<KernelCall> graft::preparePlan(PlanOp op, KernelBuilder &b) {
  SmallVector<ReassociationIndices> flat{{0, 1}};
  for (Value matrix : {op.getKeys(), op.getPosition()})
    if (!memref::CollapseShapeOp::isGuaranteedCollapsible(cast<MemRefType>(matrix.getType()), flat))
      return std::nullopt;
  int64_t modules = op.getModules();
  if (modules > kMostModules)
    return std::nullopt;
  KernelCall call;
  call.name = "plan_" + std::to_string(modules);
  auto flatten = [&](Value matrix) {
    return withDynamicOffset(b, memref::CollapseShapeOp::create(b, matrix, flat));
  };
  call.operands = {flatten(op.getKeys()), withDynamicOffset(b, op.getOrder()),
                   withDynamicOffset(b, op.getOffsets()), flatten(op.getPosition())};
  call.plan = [](KernelBuilder &b, ValueRange operands) -> KernelCall::Work {
    // Without slots too: the offsets are written all the same.
    return {b.index(1), b.add(b.mul(b.dim(operands[0], 0), b.index(2)), 1)};
  };
  call.build = [modules](KernelBuilder &b, ValueRange arguments, Value) {
    buildPlan(b, modules, arguments);
  };
  return call;
}

//===----------------------------------------------------------------------===//
// gather
//===----------------------------------------------------------------------===//

std::optional<KernelCall> graft::prepareGather(GatherOp op, KernelBuilder &b) {
  if (!isRows(op.getInput()) || !isRows(op.getInit()))
    return std::nullopt;
  KernelCall call;
  call.name = "gather";
  call.operands = {viewAsRows(b, op.getInput()), withDynamicOffset(b, op.getOrder()),
                   withDynamicOffset(b, op.getOffsets()), viewAsRows(b, op.getInit())};
  call.plan = [](KernelBuilder &b, ValueRange operands) -> KernelCall::Work {
    int64_t last = cast<ShapedType>(operands[2].getType()).getDimSize(0) - 1;
    KernelCall::Work work = planRows(b, operands.back(), 8);
    return {asIndex(b, b.loadElement(operands[2], b.index(last))), work.cost};
  };
  call.build = [slots = op.getSlots()](KernelBuilder &b, ValueRange arguments, Value p) {
    Value x = arguments[0], out = arguments[3];
    Value row = b.div(asIndex(b, b.loadElement(arguments[1], p)), b.index(slots));
    RowSteps(b, rowSize(b, out)).each({}, [&](Value j, ValueRange, Value mask) -> Values {
      b.storeVector(b.loadElements(x, {row, j}, mask), out, {p, j}, mask);
      return {};
    });
  };
  return call;
}

//===----------------------------------------------------------------------===//
// combine
//===----------------------------------------------------------------------===//

/// One row: some vectors of columns at a time, of which the sums stay in registers over the slots.
static void buildCombine(KernelBuilder &b, CombineOp op, ValueRange arguments, Value r) {
  Value parts = arguments[0], position = arguments[1], out = arguments.back();
  Value weights = op.getWeights() ? arguments[2] : Value();
  Value count = b.dim(parts, 0), slots = b.dim(position, 1);
  auto columns = [&](Value j, unsigned vectors, Value mask) {
    Values at;
    for (unsigned v = 0; v < vectors; ++v)
      at.push_back(b.add(j, v * b.target.lanes));
    Values sums(vectors, b.splat(0.0f));
    sums = b.loop(b.index(0), slots, 1, sums, [&](Value s, ValueRange carried) {
      // An empty slot's -1 is above any row.
      Value p = asIndex(b, b.loadElement(position, {r, s}));
      Value taken = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, p, count);
      return b.ifThen(taken, carried, [&] {
        Value weight = weights ? b.broadcast(b.load(weights, {r, s})) : Value();
        Values next;
        for (unsigned v = 0; v < vectors; ++v) {
          Value part = b.loadVector(parts, {p, at[v]}, mask);
          next.push_back(weight ? b.fma(weight, part, carried[v]) : b.addf(carried[v], part));
        }
        return next;
      });
    });
    for (unsigned v = 0; v < vectors; ++v)
      b.storeVector(sums[v], out, {r, at[v]}, mask);
  };
  constexpr unsigned kVectors = 4;
  RowSteps row(b, rowSize(b, out));
  int64_t wide = kVectors * b.target.lanes;
  Value end = b.mul(b.div(row.whole, b.index(wide)), b.index(wide));
  b.loop(b.index(0), end, wide, [&](Value j) { columns(j, kVectors, {}); });
  b.loop(end, row.whole, b.target.lanes, [&](Value j) { columns(j, 1, {}); });
  if (row.hasRest)
    columns(row.whole, 1, row.mask);
}

std::optional<KernelCall> graft::prepareCombine(CombineOp op, KernelBuilder &b) {
  if (!isRows(op.getParts()) || !isRows(op.getInit()) ||
      (op.getWeights() &&
       !isKernelFloat(cast<ShapedType>(op.getWeights().getType()).getElementType())))
    return std::nullopt;
  KernelCall call;
  call.name = "combine";
  call.operands = {viewAsRows(b, op.getParts()), withDynamicOffset(b, op.getPosition())};
  if (op.getWeights())
    call.operands.push_back(withDynamicOffset(b, op.getWeights()));
  call.operands.push_back(viewAsRows(b, op.getInit()));
  call.plan = [](KernelBuilder &b, ValueRange operands) -> KernelCall::Work {
    KernelCall::Work work = planRows(b, operands.back(), 8);
    return {work.tasks, b.mul(work.cost, b.add(b.dim(operands[1], 1), 1))};
  };
  call.build = [op](KernelBuilder &b, ValueRange arguments, Value task) {
    buildCombine(b, op, arguments, task);
  };
  return call;
}
