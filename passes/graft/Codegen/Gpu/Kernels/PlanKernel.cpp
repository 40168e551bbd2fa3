//===- PlanKernel.cpp - Slots sorted by module -------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One block sorts, stably: each warp has a part of the slots, one after another, and a counter for
// each module. Nothing depends on which thread comes first.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/KernelFunction.h"
#include "graft/Codegen/Gpu/KernelTraffic.h"
#include "graft/Codegen/Gpu/Kernels/DeviceBuilder.h"
#include "graft/Codegen/Gpu/Kernels/DeviceKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

/// Counters that a block has room for beside what the driver reserves.
static constexpr int64_t kCounters = 11 * 1024;

namespace {
class PlanKernel {
public:
  PlanKernel(DeviceBuilder &b, gpu::GPUModuleOp device, StringRef name, int64_t modules,
             unsigned warps, ArrayRef<Value> values)
      : b(b), word(b.getI32Type()), modules(modules), warps(warps), keys(b.global(values[0])),
        order(b.global(values[1])), offsets(b.global(values[2])), position(b.global(values[3])),
        total(b.narrow(values[4])),
        counters(b.shared(device, (name + "_counters").str(), word, warps * modules)),
        starts(b.shared(device, (name + "_starts").str(), word, modules + 1)), thread(b.thread()),
        warp(b.div(thread, DeviceBuilder::kLanes)), lane(b.rem(thread, DeviceBuilder::kLanes)) {}

  void build();

private:
  int64_t threads() const { return int64_t(warps) * DeviceBuilder::kLanes; }
  Value counter(Value w, Value e) { return b.at(counters, word, b.add(b.mul(w, modules), e)); }
  /// Calls `body` for each step of the warp's part: with a slot, the module that it takes, or
  /// another number, and the lanes whose slots take the same.
  void eachStep(function_ref<void(Value slot, Value key, Value isTaken, Value same)> body);
  void scan();

  DeviceBuilder &b;
  Type word;
  int64_t modules;
  unsigned warps;
  Value keys, order, offsets, position, total, counters, starts, thread, warp, lane;
};
} // namespace

void PlanKernel::eachStep(function_ref<void(Value, Value, Value, Value)> body) {
  // Parts begin at multiples of 32, so that a step is of one part.
  Value lanes = b.i32(DeviceBuilder::kLanes);
  Value steps = b.ceilDiv(total, DeviceBuilder::kLanes), part = b.ceilDiv(steps, warps);
  Value from = b.mul(b.mul(warp, part), lanes),
        to = b.min(b.add(from, b.mul(part, lanes)), b.mul(steps, lanes));
  b.loop(from, to, lanes, [&](Value first) {
    Value slot = b.add(first, lane), isSlot = b.isBelow(slot, total);
    Value known = b.select(isSlot, slot, b.i32(0));
    Value key = b.load(b.getI64Type(), b.at(keys, b.getI64Type(), b.widen(known)));
    // Of what is no module, negative numbers included, nothing is counted.
    Value isTaken = b.both(isSlot, b.isBelow(key, b.i64(modules)));
    Value own = b.select(isTaken, b.narrow(key), b.i32(modules));
    body(slot, own, isTaken, b.match(own));
  });
}

/// From the counters of each warp and module to where the warp's first slot of the module goes.
void PlanKernel::scan() {
  Value all = b.i32(threads()), end = b.i32(modules);
  b.loop(thread, end, all, [&](Value e) {
    Value sum = b.i32(0);
    for (unsigned w = 0; w < warps; ++w)
      sum = b.add(sum, b.load(word, counter(b.i32(w), e)));
    b.store(sum, b.at(starts, word, e));
  });
  b.barrier();
  b.when(b.isBelow(thread, DeviceBuilder::kLanes), [&] {
    Value carry = b.loop(b.i32(0), end, b.i32(DeviceBuilder::kLanes), {b.i32(0)},
                         [&](Value base, ValueRange carried) -> DeviceBuilder::Values {
                           Value e = b.add(base, thread), isModule = b.isBelow(e, end);
                           Value own = b.loadIf(isModule, b.at(starts, word, e), b.i32(0));
                           Value sum = b.sumUpTo(own);
                           Value before = b.add(carried[0], b.sub(sum, own));
                           b.when(isModule, [&] {
                             b.store(before, b.at(starts, word, e));
                             b.store(before, b.at(offsets, word, b.widen(e)));
                           });
                           Value last = b.shuffleFrom(sum, b.i32(DeviceBuilder::kLanes - 1));
                           return {b.add(carried[0], last)};
                         })[0];
    b.when(b.isBelow(thread, 1), [&] {
      b.store(carry, b.at(starts, word, modules));
      b.store(carry, b.at(offsets, word, modules));
    });
  });
  b.barrier();
  b.loop(thread, end, all, [&](Value e) {
    Value next = b.load(word, b.at(starts, word, e));
    for (unsigned w = 0; w < warps; ++w) {
      Value place = counter(b.i32(w), e), own = b.load(word, place);
      b.store(next, place);
      next = b.add(next, own);
    }
  });
}

void PlanKernel::build() {
  Value all = b.i32(threads());
  b.loop(thread, b.i32(warps * modules), all,
         [&](Value i) { b.store(b.i32(0), b.at(counters, word, i)); });
  b.barrier();
  // The first of the lanes that take a module counts for all of them.
  auto isFirst = [&](Value same) { return b.isBelow(b.bitsBelow(same, lane), 1); };
  auto advance = [&](Value key, Value same) {
    Value place = counter(warp, key);
    b.store(b.add(b.load(word, place), b.countBits(same)), place);
  };
  eachStep([&](Value slot, Value key, Value isTaken, Value same) {
    b.when(b.both(isTaken, isFirst(same)), [&] { advance(key, same); });
    b.syncWarp();
  });
  b.barrier();
  scan();
  b.barrier();
  eachStep([&](Value slot, Value key, Value isTaken, Value same) {
    Value known = b.select(isTaken, key, b.i32(0));
    Value at = b.add(b.load(word, counter(warp, known)), b.bitsBelow(same, lane));
    b.syncWarp();
    b.when(b.both(isTaken, isFirst(same)), [&] { advance(key, same); });
    b.syncWarp();
    b.when(isTaken, [&] { b.store(slot, b.at(order, word, b.widen(at))); });
    b.when(b.isBelow(slot, total),
           [&] { b.store(b.select(isTaken, at, b.i32(-1)), b.at(position, word, b.widen(slot))); });
  });
  Value filled = b.load(word, b.at(starts, word, modules));
  b.loop(b.add(filled, thread), total, all,
         [&](Value p) { b.store(b.i32(0), b.at(order, word, b.widen(p))); });
}

static bool isDense(Value value, unsigned bits) {
  auto type = dyn_cast<MemRefType>(value.getType());
  return type && type.getLayout().isIdentity() && type.getElementType().isInteger(bits);
}

bool graft::convertToKernel(PlanOp op) {
  const int64_t modules = op.getModules();
  if (!isDense(op.getKeys(), 64) || !isDense(op.getOrder(), 32) || !isDense(op.getOffsets(), 32) ||
      !isDense(op.getPosition(), 32))
    return false;
  unsigned warps = 32;
  while (warps > 1 && (warps + 1) * modules > kCounters)
    warps /= 2;
  if ((warps + 1) * modules > kCounters)
    return false;
  OpBuilder host(op);
  Location loc = op.getLoc();
  SmallVector<Value> captured;
  for (Value memref : {op.getKeys(), op.getOrder(), op.getOffsets(), op.getPosition()})
    captured.push_back(pointerTo(host, loc, memref));
  captured.push_back(memref::DimOp::create(host, loc, op.getOrder(), 0));
  Value one = arith::ConstantIndexOp::create(host, loc, 1);
  KernelFunction kernel =
      KernelFunction::create(host, loc, "plan", one, warps * DeviceBuilder::kLanes, captured);
  setTraffic(kernel.launch, symbolicBytes(op->getOperands()), std::nullopt);
  OpBuilder builder(kernel.function.getBody().front().getTerminator());
  DeviceBuilder b(loc, builder);
  PlanKernel(b, kernel.function->getParentOfType<gpu::GPUModuleOp>(), kernel.function.getName(),
             modules, warps, kernel.values)
      .build();
  op->erase();
  return true;
}
