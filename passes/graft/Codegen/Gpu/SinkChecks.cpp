//===- SinkChecks.cpp - Checks of all elements, element by element -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/IR/Matchers.h"

namespace graft {
#define GEN_PASS_DEF_SINKCHECKSPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// The op before `op`, in its block, that has `buffer` as an operand.
static Operation *previousUser(Operation *op, Value buffer) {
  while ((op = op->getPrevNode()))
    if (llvm::is_contained(op->getOperands(), buffer))
      return op;
  return nullptr;
}

/// What is and-ed over all elements, if that is what `op` computes.
static Value conjunctOf(linalg::GenericOp op) {
  if (op.getNumDpsInits() != 1 || op.getNumParallelLoops() != 0)
    return {};
  Block *body = op.getBody();
  auto both = body->getTerminator()->getOperand(0).getDefiningOp<arith::AndIOp>();
  Value sum = body->getArguments().back();
  if (!both || (both.getLhs() != sum && both.getRhs() != sum))
    return {};
  return both.getLhs() == sum ? both.getRhs() : both.getLhs();
}

/// Checks in a loop over what `check` says holds of all elements; false if it does not say that.
static bool sink(IRRewriter &rewriter, dispatch::CheckOp check) {
  auto load = check->getOperand(0).getDefiningOp<memref::LoadOp>();
  if (!load || !load->hasOneUse() || load.getMemRefType().getRank() != 0 ||
      load->getBlock() != check->getBlock())
    return false;
  Value all = load.getMemRef();
  auto reduction = dyn_cast_or_null<linalg::GenericOp>(previousUser(load, all));
  if (!reduction || reduction.getDpsInits()[0] != all || !conjunctOf(reduction))
    return false;
  auto fill = dyn_cast_or_null<linalg::FillOp>(previousUser(reduction, all));
  if (!fill || !matchPattern(fill.getInputs()[0], m_One()))
    return false;

  rewriter.setInsertionPoint(reduction);
  FailureOr<linalg::LinalgLoops> loops = linalg::linalgOpToLoops(rewriter, reduction);
  if (failed(loops) || loops->empty())
    return false;
  loops->front()->walk([&](memref::StoreOp store) {
    auto both = store.getValueToStore().getDefiningOp<arith::AndIOp>();
    auto isSum = [&](Value value) {
      auto before = value.getDefiningOp<memref::LoadOp>();
      return before && before.getMemRef() == all;
    };
    rewriter.setInsertionPoint(store);
    Operation *own = rewriter.clone(*check);
    own->setOperand(0, isSum(both.getLhs()) ? both.getRhs() : both.getLhs());
    rewriter.eraseOp(store);
    rewriter.eraseOp(both);
  });
  // What is left of the sum is read by nobody.
  loops->front()->walk([&](memref::LoadOp before) {
    if (before.getMemRef() == all)
      rewriter.eraseOp(before);
  });
  rewriter.eraseOp(check);
  rewriter.eraseOp(load);
  rewriter.eraseOp(reduction);
  rewriter.eraseOp(fill);
  return true;
}

namespace {
struct SinkChecks : graft::impl::SinkChecksPassBase<SinkChecks> {
  void runOnOperation() override {
    if (!getOperation()->hasAttr(kDeviceAttr))
      return;
    IRRewriter rewriter(&getContext());
    for (auto check : llvm::to_vector(getOperation().getOps<dispatch::CheckOp>()))
      sink(rewriter, check);
  }
};
} // namespace
