//===- FuseEpilogues.cpp - Elementwise work moves into matmuls ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"
#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/RegionUtils.h"

namespace graft {
#define GEN_PASS_DEF_FUSEEPILOGUESPASS
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

/// True if `op` is elementwise over its one result: no reduction, no permuted result, no read of
/// the init.
static bool isElementwise(linalg::GenericOp op) {
  return op.hasPureTensorSemantics() && op.getNumDpsInits() == 1 &&
         op.getNumLoops() == op.getNumParallelLoops() &&
         op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity() &&
         op.getRegionOutputArgs()[0].use_empty() && op.getBody()->getOps<linalg::IndexOp>().empty();
}

/// The values from outside that the body uses are constants.
static bool capturesConstants(linalg::GenericOp op) {
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op.getRegion(), captured);
  return llvm::all_of(captured, [](Value value) { return matchPattern(value, m_Constant()); });
}

/// The product behind an operand that is read elementwise and by nothing else.
static ProductOpInterface productBehind(linalg::GenericOp op, OpOperand &operand) {
  auto product = operand.get().getDefiningOp<ProductOpInterface>();
  if (!product || !product->hasOneUse() || !op.getMatchingIndexingMap(&operand).isIdentity())
    return {};
  return product;
}

/// The two values that an elementwise op adds and does nothing else with, but for rounding the sum
/// to the type that they are stored in.
static std::optional<std::pair<Value, Value>> addedBy(linalg::GenericOp op) {
  auto stored = [](Value value) {
    auto wider = value.getDefiningOp<arith::ExtFOp>();
    return wider ? wider.getIn() : value;
  };
  Value sum = cast<linalg::YieldOp>(op.getBody()->getTerminator()).getOperand(0);
  if (auto rounded = sum.getDefiningOp<arith::TruncFOp>())
    sum = rounded.getIn();
  auto add = sum.getDefiningOp<arith::AddFOp>();
  if (!add)
    return std::nullopt;
  return std::pair(stored(add.getLhs()), stored(add.getRhs()));
}

namespace {
/// dispatch.matmul(x, w) + dispatch.matmul(z, b)  →  dispatch.matmul(x, z; w, b)
struct MergeAddedMatmuls : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (!isElementwise(op) || op.getNumDpsInputs() != 2)
      return failure();
    BlockArgument a = op.getBody()->getArgument(0), b = op.getBody()->getArgument(1);
    auto add = addedBy(op);
    if (!add || !((add->first == a && add->second == b) || (add->first == b && add->second == a)))
      return failure();
    auto behind = [&](int64_t i) {
      ProductOpInterface product = productBehind(op, *op.getDpsInputOperand(i));
      return product ? dyn_cast<MatmulOp>(product.getOperation()) : MatmulOp();
    };
    MatmulOp first = behind(0), second = behind(1);
    if (!first || !second || !first.getEpilogue().empty() || !second.getEpilogue().empty() ||
        first.getInitType() != second.getInitType() ||
        first.getInitType().getElementType() != getElementTypeOrSelf(op->getResult(0)))
      return failure();
    // As they stand: rows of several tasks have the low-rank module last whatever its rank.
    if (add->first == b)
      std::swap(first, second);
    SmallVector<Value> inputs(first.getInputs()), weights(first.getWeights());
    llvm::append_range(inputs, second.getInputs());
    llvm::append_range(weights, second.getWeights());
    SmallVector<bool> transposed;
    for (MatmulOp matmul : {first, second})
      for (unsigned i = 0; i < matmul.getInputs().size(); ++i)
        transposed.push_back(matmul.isTransposed(i));
    Location loc = rewriter.getFusedLoc({first.getLoc(), second.getLoc(), op.getLoc()});
    auto merged = MatmulOp::create(rewriter, loc, inputs, weights, ValueRange(),
                                   op.getDpsInits()[0], transposed);
    rewriter.replaceOp(op, merged);
    return success();
  }
};

/// elementwise(dispatch.matmul(…), …)  →  dispatch.matmul(…) with an epilogue; any product with one
struct FuseConsumer : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (!isElementwise(op) || !capturesConstants(op))
      return failure();
    auto outType = cast<RankedTensorType>(op->getResult(0).getType());
    OpOperand *place = nullptr;
    for (OpOperand *operand : op.getDpsInputOperands()) {
      ProductOpInterface product = productBehind(op, *operand);
      // The shapes agree but for what one of the two knows statically.
      if (product && product.getInitType().getElementType() == outType.getElementType() &&
          product.getInitType().getRank() == outType.getRank() &&
          (!place || isLonger(product, place->get().getDefiningOp<ProductOpInterface>())))
        place = operand;
    }
    if (!place)
      return failure();
    auto product = place->get().getDefiningOp<ProductOpInterface>();
    if (product.getInitType().getShape().back() != outType.getShape().back())
      return failure();
    unsigned rank = outType.getRank();
    AffineMap identity = rewriter.getMultiDimIdentityMap(rank);
    AffineMap last = AffineMap::get(rank, 0, rewriter.getAffineDimExpr(rank - 1));
    SmallVector<Value> extras;
    for (OpOperand *operand : op.getDpsInputOperands()) {
      if (operand == place)
        continue;
      AffineMap map = op.getMatchingIndexingMap(operand);
      bool fits = map.getNumResults() == 0 || map == last || map == identity;
      if (!fits)
        return rewriter.notifyMatchFailure(op, "an operand is neither elementwise nor a vector");
      extras.push_back(operand->get());
    }
    // The product moves to where all that it reads then is known.
    rewriter.moveOpBefore(product, op);
    rewriter.modifyOpInPlace(product, [&] {
      product->setLoc(rewriter.getFusedLoc({product.getLoc(), op.getLoc()}));
      fuse(rewriter, product, op, place, extras);
      product.getInitMutable().set(op.getDpsInits()[0]);
      product->getResult(0).setType(outType);
    });
    rewriter.replaceOp(op, product);
    return success();
  }

private:
  static bool isLonger(ProductOpInterface a, ProductOpInterface b) {
    return a.getReductionSize(0) > b.getReductionSize(0);
  }

  /// Gives the product the extras that the consumer reads, and its body after what the epilogue
  /// has computed so far.
  static void fuse(OpBuilder &builder, ProductOpInterface product, linalg::GenericOp consumer,
                   OpOperand *place, ArrayRef<Value> extras) {
    OpBuilder::InsertionGuard guard(builder);
    Location loc = product.getLoc();
    Region &epilogue = product.getEpilogue();
    if (epilogue.empty()) {
      Type sum = product.getInitType().getElementType();
      Block *block = builder.createBlock(&epilogue, {}, sum, loc);
      YieldOp::create(builder, loc, block->getArgument(0));
    }
    Block &block = epilogue.front();
    auto yield = cast<YieldOp>(block.getTerminator());
    unsigned next = product.getExtras().size() + 1;
    product.getExtrasMutable().append(extras);
    SmallVector<Value> values;
    for (OpOperand *operand : consumer.getDpsInputOperands())
      values.push_back(operand == place
                           ? yield.getValue()
                           : Value(block.insertArgument(
                                 next++, getElementTypeOrSelf(operand->get().getType()), loc)));
    values.push_back(Value()); // the init, which is never read
    builder.setInsertionPoint(yield);
    yield->setOperand(0, inlineBlock(builder, *consumer.getBody(), values));
  }

  /// Clones the block and the constants that it uses; returns what it yields.
  static Value inlineBlock(OpBuilder &b, Block &block, ValueRange arguments) {
    IRMapping mapping;
    for (auto [from, to] : llvm::zip(block.getArguments(), arguments))
      if (to)
        mapping.map(from, to);
    auto import = [&](Value value) {
      if (!mapping.contains(value) && value.getParentBlock() != &block)
        mapping.map(
            value,
            b.clone(*value.getDefiningOp())->getResult(cast<OpResult>(value).getResultNumber()));
    };
    for (Operation &op : block.without_terminator()) {
      llvm::for_each(op.getOperands(), import);
      b.clone(op, mapping);
    }
    Value result = block.getTerminator()->getOperand(0);
    import(result);
    return mapping.lookup(result);
  }
};

struct FuseEpilogues : graft::impl::FuseEpiloguesPassBase<FuseEpilogues> {
  void runOnOperation() override {
    RewritePatternSet merge(&getContext());
    merge.add<MergeAddedMatmuls>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(merge))))
      return signalPassFailure();

    RewritePatternSet elementwise(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(elementwise, [](OpOperand *operand) {
      Operation *producer = operand->get().getDefiningOp();
      auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
      // Nothing is computed twice: the producer has no other reader, and each of its elements is
      // read once.
      return consumer && producer->hasOneUse() &&
             consumer.getMatchingIndexingMap(operand).isPermutation();
    });
    if (failed(applyPatternsGreedily(getOperation(), std::move(elementwise))))
      return signalPassFailure();

    RewritePatternSet fuse(&getContext());
    fuse.add<FuseConsumer>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(fuse))))
      return signalPassFailure();
  }
};
} // namespace
