//===- LowerExpandShapes.cpp - Expanded views as sizes and strides -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace graft {
#define GEN_PASS_DEF_LOWEREXPANDSHAPESPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;

static void lower(memref::ExpandShapeOp expand) {
  OpBuilder builder(expand);
  Location loc = expand.getLoc();
  MemRefType type = expand.getResultType();
  SmallVector<OpFoldResult> sizes = expand.getMixedOutputShape();
  auto source = memref::ExtractStridedMetadataOp::create(builder, loc, expand.getSrc());
  auto [knownStrides, knownOffset] = type.getStridesAndOffset();
  // What the type says stands; only the rest is computed.
  auto known = [&](int64_t value, auto compute) -> OpFoldResult {
    if (ShapedType::isStatic(value))
      return builder.getIndexAttr(value);
    return compute();
  };
  OpFoldResult offset =
      known(knownOffset, [&] { return OpFoldResult(source.getConstifiedMixedOffset()); });
  SmallVector<OpFoldResult> sourceStrides = source.getConstifiedMixedStrides();
  SmallVector<OpFoldResult> strides(type.getRank(), builder.getIndexAttr(1));
  for (auto [group, sourceStride] : llvm::zip(expand.getReassociationIndices(), sourceStrides)) {
    OpFoldResult stride = sourceStride;
    for (int64_t dim : llvm::reverse(group)) {
      strides[dim] = known(knownStrides[dim], [&] { return stride; });
      if (dim == group.front())
        break;
      AffineExpr a = builder.getAffineSymbolExpr(0), b = builder.getAffineSymbolExpr(1);
      stride = affine::makeComposedFoldedAffineApply(builder, loc, a * b, {stride, sizes[dim]});
    }
  }
  Value cast = memref::ReinterpretCastOp::create(builder, loc, type, source.getBaseBuffer(), offset,
                                                 sizes, strides);
  expand.replaceAllUsesWith(cast);
  expand.erase();
}

namespace {
struct LowerExpandShapes : graft::impl::LowerExpandShapesPassBase<LowerExpandShapes> {
  void runOnOperation() override {
    SmallVector<memref::ExpandShapeOp> expands;
    getOperation()->walk([&](memref::ExpandShapeOp expand) { expands.push_back(expand); });
    llvm::for_each(expands, lower);
  }
};
} // namespace
