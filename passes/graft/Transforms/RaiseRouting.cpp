//===- RaiseRouting.cpp - Recognising mixtures that an exporter took apart -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/RaiseRouting.h"

#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace graft {
#define GEN_PASS_DEF_RAISEROUTINGPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

namespace {
struct RaiseRoutingPass : graft::impl::RaiseRoutingPassBase<RaiseRoutingPass> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return;
    SmallVector<Operation *> ops;
    for (Operation &op : main.getBody().front())
      ops.push_back(&op);
    bool anyRaised = false;
    for (Operation *op : ops) {
      FailureOr<bool> raised = raise::raiseContribMoE(getOperation(), op);
      if (failed(raised))
        return signalPassFailure();
      anyRaised |= *raised;
    }
    if (anyRaised)
      inferShapes(main); // an op of another domain has no shape
    anyRaised |= raiseSums(main);
    if (!anyRaised)
      return;
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(main.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
    inferShapes(main);
  }

  bool raiseSums(func::FuncOp main) {
    SmallVector<Operation *> candidates;
    for (Operation &op : main.getBody().front())
      if (isa<onnx::AddOp, onnx::ReduceSumOp>(op))
        candidates.push_back(&op);
    bool anyRaised = false;
    std::optional<SymbolicShapes> shapes;
    auto getShapes = [&]() -> SymbolicShapes & {
      if (!shapes)
        shapes.emplace(main);
      return *shapes;
    };
    for (Operation *op : candidates) {
      if (!raise::raiseGatedSum(getOperation(), getShapes, op) &&
          !raise::raiseGatheredWeights(getOperation(), getShapes, op))
        continue;
      anyRaised = true;
      shapes.reset(); // another mixture may read what this one gives
    }
    return anyRaised;
  }
};
} // namespace
