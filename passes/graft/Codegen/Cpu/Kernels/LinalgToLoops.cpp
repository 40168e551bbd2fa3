//===- LinalgToLoops.cpp - Linalg on memrefs becomes loops -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace graft {
#define GEN_PASS_DEF_LINALGTOLOOPSPASS
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// One parallel loop for perfectly nested `loops`, outermost first, whose iterations are
/// independent.
static void makeParallel(IRRewriter &rewriter, ArrayRef<scf::ForOp> loops) {
  SmallVector<Value> lower, upper, step;
  for (scf::ForOp loop : loops) {
    lower.push_back(loop.getLowerBound());
    upper.push_back(loop.getUpperBound());
    step.push_back(loop.getStep());
  }
  scf::ForOp outer = loops.front(), inner = loops.back();
  rewriter.setInsertionPoint(outer);
  auto parallel = scf::ParallelOp::create(rewriter, outer.getLoc(), lower, upper, step);
  for (size_t i = 0; i < loops.size(); ++i) {
    scf::ForOp loop = loops[i];
    rewriter.replaceAllUsesWith(loop.getInductionVar(), parallel.getInductionVars()[i]);
  }
  Block *body = parallel.getBody();
  body->getOperations().splice(body->getTerminator()->getIterator(),
                               inner.getBody()->getOperations(), inner.getBody()->begin(),
                               inner.getBody()->getTerminator()->getIterator());
  rewriter.eraseOp(outer);
}

/// True if the loop's body is the next loop and what it needs is not computed in between.
static bool isPerfectlyAround(scf::ForOp outer, scf::ForOp inner) {
  return inner->getParentOp() == outer && &outer.getBody()->front() == inner.getOperation() &&
         inner->getNextNode() == outer.getBody()->getTerminator();
}

namespace {
struct LinalgToLoops : graft::impl::LinalgToLoopsPassBase<LinalgToLoops> {
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (op.hasPureBufferSemantics())
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : ops)
      if (failed(lower(rewriter, op)))
        return signalPassFailure();
  }

  static LogicalResult lower(IRRewriter &rewriter, linalg::LinalgOp op) {
    rewriter.setInsertionPoint(op);
    SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
    FailureOr<linalg::LinalgLoops> nest = linalg::linalgOpToLoops(rewriter, op);
    if (failed(nest))
      return op.emitOpError() << "has no loops";
    // The innermost loop stays one: LLVM makes vectors of it.
    SmallVector<scf::ForOp> parallel;
    for (size_t i = 0; i + 1 < nest->size() && kinds[i] == utils::IteratorType::parallel; ++i) {
      auto loop = dyn_cast<scf::ForOp>((*nest)[i]);
      if (!loop || (!parallel.empty() && !isPerfectlyAround(parallel.back(), loop)))
        break;
      parallel.push_back(loop);
    }
    if (!parallel.empty())
      makeParallel(rewriter, parallel);
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace
