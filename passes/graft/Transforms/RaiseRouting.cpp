//===- RaiseRouting.cpp - Recognising mixtures that an exporter took apart -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/RaiseRouting.h"

#include "graft/Onnx/Origin.h"
#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace graft {
#define GEN_PASS_DEF_RAISEROUTINGPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

SymbolicShapes &raise::Raising::shapes() {
  if (!known)
    known.emplace(main);
  return *known;
}

bool raise::Raising::replace(MixtureBuilder &mixture, Operation *op, Value result, StringRef form) {
  Verdict verdict = compare(shapes(), mixture.getBegin(), op->getResult(0), result);
  if (verdict.kind == Verdict::Disagrees) {
    const int64_t experts = mixture.getRouter().getModules().size();
    mixture.discard();
    emitWarning(op->getLoc()) << "expected a mixture of " << experts << " experts, found "
                              << verdict.why << ": left as it was exported";
    leave(op, "it computes something else: " + verdict.why);
    return false;
  }
  replace(mixture, op, result, form, verdict);
  return true;
}

void raise::Raising::replace(MixtureBuilder &mixture, Operation *op, Value result, StringRef form,
                             const Verdict &verdict) {
  modular::RouterOp router = mixture.getRouter();
  Origin origin = originOf(op->getLoc());
  std::string unchecked;
  if (verdict.kind != Verdict::Agrees) {
    unchecked = verdict.why;
    Origin at = originOf(verdict.op->getLoc());
    if (verdict.op != op)
      unchecked = (verdict.op->getName().getStringRef() + " " + at.node + ": " + unchecked).str();
    if (form != "MoE") // always so
      emitRemark(op->getLoc()) << "raised without a comparison in numbers: " << unchecked;
  }
  report.raised.push_back({origin.node.str(), origin.module.str(), router.getSymName().str(),
                           form.str(), int64_t(router.getModules().size()), router.getSlots(),
                           unchecked, "", false});
  op->getResult(0).replaceAllUsesWith(result);
  changed(); // another mixture may read what this one gives
}

void raise::Raising::leave(Operation *op, const Twine &reason) {
  Origin origin = originOf(op->getLoc());
  if (llvm::any_of(report.left, [&](const RaiseReport::Left &other) {
        return other.node == origin.node && other.reason == reason.str();
      }))
    return;
  report.left.push_back({origin.node.str(), origin.module.str(), reason.str()});
}

namespace {
struct RaiseRoutingPass : graft::impl::RaiseRoutingPassBase<RaiseRoutingPass> {
  using RaiseRoutingPassBase::RaiseRoutingPassBase;
  RaiseRoutingPass(const RaiseRoutingPassOptions &options,
                   std::function<void(const RaiseReport &)> onRaise)
      : RaiseRoutingPassBase(options), onRaise(std::move(onRaise)) {}

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return;
    if (failed(raiseAll(main)))
      return signalPassFailure();
  }

  /// Where modules share a parameter, an exporter copies it for the second.
  static void dropCopies(func::FuncOp main) {
    for (Operation &op : llvm::make_early_inc_range(main.getBody().front()))
      if (auto copy = dyn_cast<onnx::IdentityOp>(op); copy && raise::isParameter(copy.getInput()) &&
                                                      copy.getInput().getType() == copy.getType()) {
        copy.replaceAllUsesWith(copy.getInput());
        copy.erase();
      }
  }

  LogicalResult raiseAll(func::FuncOp main) {
    dropCopies(main);
    raise::Raising raising(getOperation(), main, repair);
    SmallVector<Operation *> ops;
    for (Operation &op : main.getBody().front())
      ops.push_back(&op);
    bool anyRaised = false;
    for (Operation *op : ops) {
      FailureOr<Operation *> moe = raise::dequantizeExperts(op);
      if (failed(moe))
        return failure();
      FailureOr<bool> raised = raise::raiseContribMoE(raising, *moe);
      if (failed(raised))
        return failure();
      anyRaised |= *raised;
    }
    if (anyRaised)
      inferShapes(main); // an op of another domain has no shape
    // What is refused is not all that there is to say.
    LogicalResult loops = raiseLoops(raising, main, anyRaised);
    anyRaised |= raiseSums(raising, main);
    if (anyRaised) {
      removeDead(main);
      inferShapes(main);
    }
    if (succeeded(loops))
      raise::leaveRest(raising, main);
    if (onRaise)
      onRaise(raising.report);
    return loops;
  }

  static void removeDead(func::FuncOp main) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(main.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }

  /// The last step of a loop has those before it behind it.
  static LogicalResult raiseLoops(raise::Raising &raising, func::FuncOp main, bool &anyRaised) {
    SmallVector<Operation *> candidates;
    for (Operation &op : llvm::reverse(main.getBody().front()))
      if (isa<onnx::ScatterNDOp, onnx::ScatterElementsOp, onnx::WhereOp, onnx::AddOp>(op))
        candidates.push_back(&op);
    bool anyLoop = false, anyFailed = false;
    llvm::DenseSet<Operation *> seen;
    for (Operation *op : candidates) {
      FailureOr<bool> raised = raise::raiseLoop(raising, op, seen);
      anyFailed |= failed(raised);
      anyLoop |= succeeded(raised) && *raised;
    }
    if (anyLoop) {
      removeDead(main);
      raising.changed();
    }
    anyRaised |= anyLoop;
    return failure(anyFailed);
  }

  static bool raiseSums(raise::Raising &raising, func::FuncOp main) {
    bool anyRaised =
        raiseOps<onnx::AddOp, onnx::ReduceSumOp, onnx::MatMulOp, onnx::EinsumOp>(raising, main);
    anyRaised |= raise::gathersMatrices(main) && raiseSlots(raising, main);
    // What is picked may be part of a sum, or weighed.
    anyRaised |= raiseOps<onnx::MulOp>(raising, main);
    anyRaised |= raiseOps<onnx::GatherOp, onnx::GatherNDOp, onnx::GatherElementsOp>(raising, main);
    return anyRaised;
  }

  template <typename... Ops> static bool raiseOps(raise::Raising &raising, func::FuncOp main) {
    const bool isGathering = raise::gathersMatrices(main);
    return raiseEach<Ops...>(raising, main, [&](Operation *op) {
      return raise::raiseGatedSum(raising, op) ||
             (isGathering && raise::raiseGatheredWeights(raising, op, /*isSum=*/true));
    });
  }

  /// What no sum is over, of what sums have left.
  static bool raiseSlots(raise::Raising &raising, func::FuncOp main) {
    return raiseEach<onnx::AddOp, onnx::MulOp, onnx::MatMulOp, onnx::EinsumOp>(
        raising, main, [&](Operation *op) {
          return !op->use_empty() && raise::raiseGatheredWeights(raising, op, /*isSum=*/false);
        });
  }

  template <typename... Ops>
  static bool raiseEach(raise::Raising &raising, func::FuncOp main,
                        function_ref<bool(Operation *)> pattern) {
    SmallVector<Operation *> candidates;
    for (Operation &op : main.getBody().front())
      if (isa<Ops...>(op))
        candidates.push_back(&op);
    bool anyRaised = false;
    for (Operation *op : candidates)
      anyRaised |= pattern(op);
    if (anyRaised) {
      removeDead(main);
      raising.changed();
    }
    return anyRaised;
  }

  std::function<void(const RaiseReport &)> onRaise;
};
} // namespace

std::unique_ptr<mlir::Pass>
graft::createRaiseRoutingPass(bool repair, std::function<void(const RaiseReport &)> onRaise) {
  return std::make_unique<RaiseRoutingPass>(RaiseRoutingPassOptions{repair}, std::move(onRaise));
}
