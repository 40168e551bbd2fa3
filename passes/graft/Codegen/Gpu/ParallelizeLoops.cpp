//===- ParallelizeLoops.cpp - Loops whose iterations are independent -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Codegen/Gpu/LoopAccesses.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace graft {
#define GEN_PASS_DEF_PARALLELIZELOOPSPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

Value graft::bufferOf(Value memref) {
  while (Operation *op = memref.getDefiningOp()) {
    auto view = dyn_cast<ViewLikeOpInterface>(op);
    if (!view || isa<memref::ViewOp>(op))
      break;
    memref = view.getViewSource();
  }
  return memref;
}

bool graft::isOfHost(memref::LoadOp load) {
  return load.getMemRef() == stageArgument(load->getParentOfType<func::FuncOp>(), "offsets");
}

Value graft::plainIndex(Value index) {
  auto apply = index.getDefiningOp<affine::AffineApplyOp>();
  return apply && apply.getAffineMap().isIdentity() && apply->getNumOperands() == 1
             ? apply->getOperand(0)
             : index;
}

std::optional<SmallVector<Access>> graft::findAccesses(Block *body) {
  SmallVector<Access> accesses;
  WalkResult result = body->walk([&](Operation *op) {
    if (auto load = dyn_cast<memref::LoadOp>(op)) {
      accesses.push_back({load.getMemRef(), load.getIndices(), false});
      return WalkResult::advance();
    }
    if (auto store = dyn_cast<memref::StoreOp>(op)) {
      accesses.push_back({store.getMemRef(), store.getIndices(), true});
      return WalkResult::advance();
    }
    return op->hasTrait<OpTrait::HasRecursiveMemoryEffects>() || isMemoryEffectFree(op) ||
                   isa<dispatch::CheckOp>(op)
               ? WalkResult::advance()
               : WalkResult::interrupt();
  });
  if (result.wasInterrupted())
    return std::nullopt;
  return accesses;
}

/// Whether each iteration of `loop` has its own elements of what the iterations write.
static bool isIndependent(scf::ForOp loop) {
  if (!loop.getInitArgs().empty())
    return false;
  std::optional<SmallVector<Access>> accesses = findAccesses(loop.getBody());
  if (!accesses)
    return false;
  for (const Access &store : *accesses) {
    if (!store.isStore)
      continue;
    auto isOwn = [&](const Access &each, unsigned d) {
      return each.memref == store.memref && plainIndex(each.indices[d]) == loop.getInductionVar();
    };
    const Value buffer = bufferOf(store.memref);
    bool found = false;
    for (unsigned d = 0; d < store.indices.size() && !found; ++d)
      found = llvm::all_of(*accesses, [&](const Access &each) {
        return bufferOf(each.memref) != buffer || isOwn(each, d);
      });
    if (!found)
      return false;
  }
  return true;
}

/// Whether the host knows a number, which is not so of what is computed from the device's memory.
static bool isHostNumber(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return true;
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return isOfHost(load);
  return op->getNumRegions() == 0 && llvm::all_of(op->getOperands(), isHostNumber);
}

/// The next loop, if it is all that `loop` does.
static scf::ForOp nestedIn(scf::ForOp loop) {
  auto inner = dyn_cast<scf::ForOp>(loop.getBody()->front());
  return inner && inner->getNextNode() == loop.getBody()->getTerminator() ? inner : scf::ForOp();
}

static void makeParallel(IRRewriter &rewriter, scf::ForOp outer) {
  SmallVector<scf::ForOp> loops{outer};
  // The bounds of one must not depend on another, which getting out of all of them tells.
  auto isOutside = [&](scf::ForOp inner) {
    return llvm::all_of(ValueRange{inner.getLowerBound(), inner.getUpperBound(), inner.getStep()},
                        [&](Value bound) { return outer.isDefinedOutsideOfLoop(bound); });
  };
  while (scf::ForOp inner = nestedIn(loops.back())) {
    if (!isIndependent(inner) || !isOutside(inner))
      break;
    loops.push_back(inner);
  }
  SmallVector<Value> lower, upper, step;
  for (scf::ForOp loop : loops) {
    lower.push_back(loop.getLowerBound());
    upper.push_back(loop.getUpperBound());
    step.push_back(loop.getStep());
  }
  rewriter.setInsertionPoint(outer);
  auto parallel = scf::ParallelOp::create(rewriter, outer.getLoc(), lower, upper, step);
  for (auto [loop, index] : llvm::zip(loops, parallel.getInductionVars()))
    rewriter.replaceAllUsesWith(loop.getInductionVar(), index);
  Block *body = loops.back().getBody();
  parallel.getBody()->getOperations().splice(parallel.getBody()->begin(), body->getOperations(),
                                             body->begin(), body->getTerminator()->getIterator());
  rewriter.eraseOp(outer);
}

/// Loops in place of `op`, those of parallel dimensions outside.
static LogicalResult lowerToLoops(IRRewriter &rewriter, linalg::LinalgOp op) {
  rewriter.setInsertionPoint(op);
  auto already = dyn_cast<linalg::GenericOp>(op.getOperation());
  FailureOr<linalg::GenericOp> generic = already;
  if (!already)
    generic = linalg::generalizeNamedOp(rewriter, op);
  if (failed(generic))
    return op.emitOpError() << "has no loops";
  SmallVector<unsigned> order;
  for (auto wanted : {utils::IteratorType::parallel, utils::IteratorType::reduction})
    for (auto [d, kind] : llvm::enumerate(generic->getIteratorTypesArray()))
      if (kind == wanted)
        order.push_back(unsigned(d));
  if (!llvm::is_sorted(order))
    generic = linalg::interchangeGenericOp(rewriter, *generic, order);
  if (failed(generic) || failed(linalg::linalgOpToLoops(rewriter, *generic)))
    return failure();
  rewriter.eraseOp(*generic);
  return success();
}

namespace {
struct ParallelizeLoops : graft::impl::ParallelizeLoopsPassBase<ParallelizeLoops> {
  void runOnOperation() override {
    if (!getOperation()->hasAttr(kDeviceAttr))
      return;
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](memref::CopyOp copy) {
      rewriter.setInsertionPoint(copy);
      linalg::CopyOp::create(rewriter, copy.getLoc(), copy.getSource(), copy.getTarget());
      rewriter.eraseOp(copy);
    });
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops)
      if (failed(lowerToLoops(rewriter, op)))
        return signalPassFailure();
    for (scf::ForOp loop : llvm::to_vector(getOperation().getOps<scf::ForOp>()))
      if (isHostNumber(loop.getUpperBound()) && isHostNumber(loop.getLowerBound()) &&
          isIndependent(loop))
        makeParallel(rewriter, loop);
  }
};
} // namespace
