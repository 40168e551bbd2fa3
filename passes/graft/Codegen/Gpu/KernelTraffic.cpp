//===- KernelTraffic.cpp - The bytes that a launch reads and writes *- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/KernelTraffic.h"

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/KernelFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft;
using Size = std::optional<Polynomial>;

static Size sizeOf(OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return symbolicIndex(value);
  return Polynomial(cast<IntegerAttr>(cast<Attribute>(size)).getInt());
}

/// What `attribute` of a stage's argument says, or null.
template <typename Attr> static Attr argumentAttr(Value value, StringRef attribute) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto stage =
      argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  return stage ? stage.getArgAttrOfType<Attr>(argument.getArgNumber(), attribute) : Attr();
}

static Size dimensionOf(Value memref, int64_t d) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(d))
    return Polynomial(type.getDimSize(d));
  if (auto dims = argumentAttr<ArrayAttr>(memref, kDimsAttr)) {
    auto name = d < int64_t(dims.size()) ? dyn_cast<StringAttr>(dims[d]) : StringAttr();
    return name ? Polynomial::parse(name.getValue()) : std::nullopt;
  }
  Operation *op = memref.getDefiningOp();
  if (!op)
    return std::nullopt;
  // Which of the dynamic sizes that an op has is this one's.
  auto dynamic = [&](ValueRange sizes) { return symbolicIndex(sizes[type.getDynamicDimIndex(d)]); };
  return llvm::TypeSwitch<Operation *, Size>(op)
      .Case([&](memref::ViewOp view) { return dynamic(view.getSizes()); })
      .Case([&](memref::AllocOp alloc) { return dynamic(alloc.getDynamicSizes()); })
      .Case([&](memref::ExpandShapeOp expand) { return sizeOf(expand.getMixedOutputShape()[d]); })
      .Case([&](memref::CollapseShapeOp collapse) {
        Size product = Polynomial(1);
        for (int64_t source : collapse.getReassociationIndices()[d]) {
          Size size = dimensionOf(collapse.getSrc(), source);
          product = product && size ? Size(*product * *size) : std::nullopt;
        }
        return product;
      })
      .Case([&](memref::ReinterpretCastOp cast) { return sizeOf(cast.getMixedSizes()[d]); })
      .Case([&](memref::SubViewOp view) -> Size {
        if (view.getSourceType().getRank() != type.getRank())
          return std::nullopt;
        return sizeOf(view.getMixedSizes()[d]);
      })
      .Case([&](memref::CastOp cast) { return dimensionOf(cast.getSource(), d); })
      .Default([](Operation *) { return Size(); });
}

Size graft::symbolicIndex(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return Polynomial(constant.getSExtValue());
  if (auto name = argumentAttr<StringAttr>(index, kSymbolAttr))
    return Polynomial::symbol(name.getValue());
  Operation *op = index.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    std::optional<int64_t> d = dim.getConstantIndex();
    return d ? dimensionOf(dim.getSource(), *d) : std::nullopt;
  }
  if (op->getNumOperands() != 2 || !isa<arith::ArithDialect>(op->getDialect()))
    return std::nullopt;
  Size a = symbolicIndex(op->getOperand(0)), b = symbolicIndex(op->getOperand(1));
  if (!a || !b)
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, Size>(op)
      .Case([&](arith::AddIOp) { return *a + *b; })
      .Case([&](arith::SubIOp) { return *a - *b; })
      .Case([&](arith::MulIOp) { return *a * *b; })
      .Case<arith::MinSIOp, arith::MinUIOp>([&](auto) { return Polynomial::min(*a, *b); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>([&](auto) { return Polynomial::max(*a, *b); })
      .Case<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(
          [&](auto) { return Polynomial::floorDiv(*a, *b); })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>(
          [&](auto) { return Polynomial::ceilDiv(*a, *b); })
      .Default([](Operation *) { return Size(); });
}

Size graft::symbolicBytes(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.getElementType().isIntOrIndexOrFloat())
    return std::nullopt;
  const unsigned bits =
      type.getElementType().isIndex() ? 64 : type.getElementType().getIntOrFloatBitWidth();
  Polynomial bytes(int64_t(llvm::divideCeil(bits, 8)));
  for (int64_t d = 0; d < type.getRank(); ++d) {
    Size size = dimensionOf(memref, d);
    if (!size)
      return std::nullopt;
    bytes = bytes * *size;
  }
  return bytes;
}

/// What a memref is a view of, if the view has all of it.
static Value wholeOf(Value memref) {
  while (Operation *op = memref.getDefiningOp()) {
    if (!isa<memref::ExpandShapeOp, memref::CollapseShapeOp, memref::CastOp>(op))
      break;
    memref = cast<ViewLikeOpInterface>(op).getViewSource();
  }
  return memref;
}

Size graft::symbolicBytes(ValueRange values) {
  Polynomial sum;
  llvm::SmallPtrSet<Value, 8> seen;
  for (Value value : values) {
    if (!isa<MemRefType>(value.getType()) || !seen.insert(wholeOf(value)).second)
      continue;
    Size bytes = symbolicBytes(value);
    if (!bytes)
      return std::nullopt;
    sum = sum + *bytes;
  }
  return seen.empty() ? Size() : sum;
}

static constexpr llvm::StringLiteral kLeast = "least", kMoved = "moved", kLaunches = "launches";

void graft::setTraffic(gpu::LaunchFuncOp launch, const Size &least, const Size &moved) {
  Builder b(launch.getContext());
  NamedAttrList known;
  if (least)
    known.set(kLeast, b.getStringAttr(least->str()));
  if (moved)
    known.set(kMoved, b.getStringAttr(moved->str()));
  launch->setAttr(kTrafficAttr, known.getDictionary(launch.getContext()));
}

void graft::addTraffic(gpu::LaunchFuncOp launch, gpu::GPUFuncOp kernel) {
  Builder b(launch.getContext());
  auto one = launch->getAttrOfType<DictionaryAttr>(kTrafficAttr);
  auto sum = kernel->getAttrOfType<DictionaryAttr>(kTrafficAttr);
  NamedAttrList all;
  const int64_t before = sum ? cast<IntegerAttr>(sum.get(kLaunches)).getInt() : 0;
  all.set(kLaunches, b.getI64IntegerAttr(before + 1));
  for (StringRef key : {kLeast, kMoved}) {
    auto sizeIn = [&](DictionaryAttr of) {
      auto text = of ? of.getAs<StringAttr>(key) : StringAttr();
      return text ? Polynomial::parse(text.getValue()) : std::nullopt;
    };
    Size own = sizeIn(one), others = sum ? sizeIn(sum) : Polynomial();
    if (own && others)
      all.set(key, b.getStringAttr((*own + *others).str()));
  }
  kernel->setAttr(kTrafficAttr, all.getDictionary(launch.getContext()));
}
