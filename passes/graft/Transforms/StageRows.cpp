//===- StageRows.cpp - Brings what a stage makes of the same rows together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/StageRows.h"

#include "graft/Onnx/Onnx.h"

#include "mlir/IR/OperationSupport.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <unordered_map>

using namespace mlir;
using namespace graft;

/// Not within the regions of modules, which say what differs from one to the next by what they
/// read.
static bool mergeEqual(Block &block) {
  std::unordered_map<size_t, SmallVector<Operation *, 1>> seen;
  bool any = false;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (op.getNumRegions() != 0 || op.getNumResults() == 0 || !isPure(&op))
      continue;
    auto &alike = seen[OperationEquivalence::computeHash(&op, OperationEquivalence::directHashValue,
                                                         OperationEquivalence::ignoreHashValue,
                                                         OperationEquivalence::IgnoreLocations)];
    auto same = llvm::find_if(alike, [&](Operation *other) {
      return OperationEquivalence::isEquivalentTo(other, &op,
                                                  OperationEquivalence::IgnoreLocations);
    });
    if (same == alike.end()) {
      alike.push_back(&op);
      continue;
    }
    op.replaceAllUsesWith(*same);
    op.erase();
    any = true;
  }
  return any;
}

/// The reshape that has made `value` of a matrix, if it is one.
static onnx::ReshapeOp fromRows(Value value) {
  auto reshape = value.getDefiningOp<onnx::ReshapeOp>();
  auto rows = reshape ? dyn_cast<RankedTensorType>(reshape.getData().getType()) : nullptr;
  return rows && rows.getRank() == 2 && !rows.isDynamicDim(1) ? reshape : onnx::ReshapeOp();
}

/// Rows that were vectors in between: `Reshape(Reshape(a, s), t)` of as many columns is a.
static Value getRows(onnx::ReshapeOp op) {
  onnx::ReshapeOp vectors = fromRows(op.getData());
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!vectors || !type || type.getRank() != 2)
    return Value();
  const int64_t width = cast<RankedTensorType>(vectors.getData().getType()).getDimSize(1);
  return width > 0 && type.getDimSize(1) == width ? vectors.getData() : Value();
}

/// `Shape(Reshape(a, Concat(s, …)))`, of the first dimensions, is s, where that is a shape itself.
static Value getLeading(onnx::ShapeOp op) {
  onnx::ReshapeOp vectors = fromRows(op.getData());
  auto sizes = vectors ? vectors.getShape().getDefiningOp<onnx::ConcatOp>() : nullptr;
  auto first = sizes ? sizes.getInputs().front().getDefiningOp<onnx::ShapeOp>() : nullptr;
  return first && op.getStart() == 0 && first.getType() == op.getType() &&
                 cast<RankedTensorType>(first.getType()).hasStaticShape()
             ? first.getResult()
             : Value();
}

static bool skipVectors(Block &block) {
  bool any = false;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto reshape = dyn_cast<onnx::ReshapeOp>(op);
    auto shape = dyn_cast<onnx::ShapeOp>(op);
    Value same = reshape ? getRows(reshape) : shape ? getLeading(shape) : Value();
    if (!same)
      continue;
    Operation *vectors = op.getOperand(0).getDefiningOp();
    op.getResult(0).replaceAllUsesWith(same);
    op.erase();
    if (vectors->use_empty())
      vectors->erase();
    any = true;
  }
  return any;
}

/// `Reshape(a, s) + Reshape(b, s)` becomes `Reshape(a + b, s)`.
static bool addAsRows(Block &block) {
  bool any = false;
  for (auto add : llvm::make_early_inc_range(block.getOps<onnx::AddOp>())) {
    onnx::ReshapeOp a = fromRows(add->getOperand(0)), b = fromRows(add->getOperand(1));
    // Of one shape, both matrices have as many rows: neither is repeated for the other's.
    if (!a || !b || a == b || !a->hasOneUse() || !b->hasOneUse() || a.getShape() != b.getShape() ||
        a.getAllowzero() != b.getAllowzero() || a.getData().getType() != b.getData().getType())
      continue;
    OpBuilder builder(add);
    Value sum =
        onnx::AddOp::create(builder, add.getLoc(), a.getData().getType(), a.getData(), b.getData());
    Value vectors = onnx::ReshapeOp::create(builder, add.getLoc(), add.getType(), sum, a.getShape(),
                                            a.getAllowzeroAttr());
    add.getResult().replaceAllUsesWith(vectors);
    for (Operation *op : {add.getOperation(), a.getOperation(), b.getOperation()})
      op->erase();
    any = true;
  }
  return any;
}

bool graft::shareRows(const StageBody &body) {
  func::FuncOp function = body.function;
  Block &block = function.getBody().front();
  bool any = false;
  for (bool changed = true; changed; any |= changed) {
    changed = mergeEqual(block);
    changed |= skipVectors(block);
    changed |= addAsRows(block);
  }
  return any;
}
