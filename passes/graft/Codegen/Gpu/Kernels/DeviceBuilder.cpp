//===- DeviceBuilder.cpp - Code of one thread of a kernel --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/Kernels/DeviceBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace graft;

/// Address spaces of the device.
static constexpr unsigned kGlobal = 1, kShared = 3;
static constexpr int64_t kAllLanes = 0xffffffff;

Value DeviceBuilder::i32(int64_t value) {
  return arith::ConstantOp::create(*this, getI32IntegerAttr(int32_t(value)));
}
Value DeviceBuilder::i64(int64_t value) {
  return arith::ConstantOp::create(*this, getI64IntegerAttr(value));
}
Value DeviceBuilder::real(Type type, double value) {
  return arith::ConstantOp::create(*this, getFloatAttr(type, value));
}
Value DeviceBuilder::add(Value a, Value b) { return arith::AddIOp::create(*this, a, b); }
Value DeviceBuilder::sub(Value a, Value b) { return arith::SubIOp::create(*this, a, b); }
Value DeviceBuilder::mul(Value a, Value b) { return arith::MulIOp::create(*this, a, b); }
Value DeviceBuilder::div(Value a, Value b) { return arith::DivUIOp::create(*this, a, b); }
Value DeviceBuilder::rem(Value a, Value b) { return arith::RemUIOp::create(*this, a, b); }
Value DeviceBuilder::min(Value a, Value b) { return arith::MinUIOp::create(*this, a, b); }
Value DeviceBuilder::isBelow(Value a, Value b) {
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::ult, a, b);
}
Value DeviceBuilder::both(Value a, Value b) { return arith::AndIOp::create(*this, a, b); }
Value DeviceBuilder::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(*this, condition, a, b);
}
Value DeviceBuilder::widen(Value a) {
  if (a.getType().isIndex())
    return arith::IndexCastOp::create(*this, getI64Type(), a);
  return a.getType().isInteger(64) ? a : arith::ExtUIOp::create(*this, getI64Type(), a);
}
Value DeviceBuilder::narrow(Value a) {
  if (a.getType().isIndex())
    return arith::IndexCastOp::create(*this, getI32Type(), a);
  return a.getType().isInteger(32) ? a : arith::TruncIOp::create(*this, getI32Type(), a);
}
Value DeviceBuilder::index(Value a) {
  return arith::IndexCastUIOp::create(*this, getIndexType(), a);
}

Value DeviceBuilder::thread() { return NVVM::ThreadIdXOp::create(*this, getI32Type()); }
Value DeviceBuilder::block() { return NVVM::BlockIdXOp::create(*this, getI32Type()); }
Value DeviceBuilder::blocks() { return NVVM::GridDimXOp::create(*this, getI32Type()); }

Value DeviceBuilder::at(Value base, Type type, Value offset) {
  return LLVM::GEPOp::create(*this, base.getType(), type, base, ArrayRef<LLVM::GEPArg>{offset});
}
Value DeviceBuilder::at(Value base, Type type, int64_t offset) {
  if (!offset)
    return base;
  return LLVM::GEPOp::create(*this, base.getType(), type, base,
                             ArrayRef<LLVM::GEPArg>{int32_t(offset)});
}
Value DeviceBuilder::load(Type type, Value address) {
  return LLVM::LoadOp::create(*this, type, address);
}
Value DeviceBuilder::loadIf(Value condition, Value address, Value otherwise) {
  auto op = scf::IfOp::create(*this, otherwise.getType(), condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  scf::YieldOp::create(*this, load(otherwise.getType(), address));
  setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(*this, otherwise);
  return op.getResult(0);
}
void DeviceBuilder::store(Value value, Value address, unsigned alignment) {
  LLVM::StoreOp::create(*this, value, address, alignment);
}
Value DeviceBuilder::global(Value pointer) {
  return LLVM::AddrSpaceCastOp::create(*this, LLVM::LLVMPointerType::get(getContext(), kGlobal),
                                       pointer);
}

Value DeviceBuilder::shared(gpu::GPUModuleOp device, StringRef name, Type type, int64_t count) {
  OpBuilder top = OpBuilder::atBlockBegin(device.getBody());
  auto array = LLVM::LLVMArrayType::get(type, uint64_t(count));
  auto global = LLVM::GlobalOp::create(top, getLoc(), array, /*isConstant=*/false,
                                       LLVM::Linkage::Internal, name, /*value=*/Attribute(),
                                       /*alignment=*/128, kShared);
  return LLVM::AddressOfOp::create(*this, global);
}

DeviceBuilder::Values DeviceBuilder::loop(Value from, Value to, Value step, ValueRange inits,
                                          function_ref<Values(Value, ValueRange)> body) {
  auto op = scf::ForOp::create(*this, from, to, step, inits);
  OpBuilder::InsertionGuard guard(*this);
  if (inits.empty())
    setInsertionPoint(op.getBody()->getTerminator());
  else
    setInsertionPointToStart(op.getBody());
  Values next = body(op.getInductionVar(), op.getRegionIterArgs());
  if (!inits.empty())
    scf::YieldOp::create(*this, next);
  return Values(op.getResults());
}
void DeviceBuilder::loop(Value from, Value to, Value step, function_ref<void(Value)> body) {
  loop(from, to, step, ValueRange(), [&](Value i, ValueRange) {
    body(i);
    return Values();
  });
}
void DeviceBuilder::when(Value condition, function_ref<void()> body) {
  auto op = scf::IfOp::create(*this, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  body();
}
DeviceBuilder::Values DeviceBuilder::when(Value condition, ValueRange otherwise,
                                          function_ref<Values()> body) {
  if (otherwise.empty()) {
    when(condition, [&] { body(); });
    return {};
  }
  auto op = scf::IfOp::create(*this, otherwise.getTypes(), condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(op.thenBlock());
  Values values = body();
  scf::YieldOp::create(*this, values);
  setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(*this, otherwise);
  return Values(op.getResults());
}

void DeviceBuilder::barrier() { gpu::BarrierOp::create(*this); }

void DeviceBuilder::copyAsync(Value to, Value from, unsigned bytes, Value isInside) {
  Value count = select(isInside, i32(bytes), i32(0));
  auto cache = bytes == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
  NVVM::CpAsyncOp::create(*this, to, from, bytes, cache, count);
}
void DeviceBuilder::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(*this); }
void DeviceBuilder::waitForCopies(unsigned pending) {
  NVVM::CpAsyncWaitGroupOp::create(*this, pending);
}

Value DeviceBuilder::shuffle(NVVM::ShflKind kind, Value value, Value offset, int64_t clamp) {
  return NVVM::ShflOp::create(*this, value.getType(), i32(kAllLanes), value, offset, i32(clamp),
                              kind, /*return_value_and_is_valid=*/UnitAttr());
}
Value DeviceBuilder::shuffleUp(Value value, unsigned distance) {
  return shuffle(NVVM::ShflKind::up, value, i32(distance), 0);
}
Value DeviceBuilder::shuffleXor(Value value, unsigned mask) {
  return shuffle(NVVM::ShflKind::bfly, value, i32(mask), kLanes - 1);
}
Value DeviceBuilder::shuffleFrom(Value value, Value lane) {
  return shuffle(NVVM::ShflKind::idx, value, lane, kLanes - 1);
}
Value DeviceBuilder::sumOfLanes(Value value) {
  for (unsigned mask = kLanes / 2; mask > 0; mask /= 2)
    value = arith::AddFOp::create(*this, value, shuffleXor(value, mask));
  return value;
}
Value DeviceBuilder::greatestOfLanes(Value value) {
  for (unsigned mask = kLanes / 2; mask > 0; mask /= 2)
    value = arith::MaximumFOp::create(*this, value, shuffleXor(value, mask));
  return value;
}

Value DeviceBuilder::sumUpTo(Value value) {
  Value lane = rem(thread(), kLanes);
  for (unsigned distance = 1; distance < kLanes; distance *= 2)
    value = add(value, select(isBelow(lane, distance), i32(0), shuffleUp(value, distance)));
  return value;
}
Value DeviceBuilder::match(Value value) {
  return NVVM::MatchSyncOp::create(*this, getI32Type(), i32(kAllLanes), value,
                                   NVVM::MatchSyncKind::any);
}
Value DeviceBuilder::countBits(Value bits) {
  return LLVM::CtPopOp::create(*this, getI32Type(), bits);
}
Value DeviceBuilder::bitsBelow(Value bits, Value lane) {
  Value below = sub(arith::ShLIOp::create(*this, i32(1), lane), i32(1));
  return countBits(both(bits, below));
}
void DeviceBuilder::syncWarp() { NVVM::SyncWarpOp::create(*this, i32(kAllLanes)); }
