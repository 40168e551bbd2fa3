//===- OutlineParallel.cpp - Parallel loops become functions -----*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/FlattenParallel.h"
#include "graft/Codegen/Cpu/StageFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace graft {
#define GEN_PASS_DEF_OUTLINEPARALLELPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// Cycles below which a loop isn't worth waking threads for: that costs them a few microseconds.
static constexpr int64_t kWorthForking = 20000;

/// A kernel that knows better than the estimate below says so: cycles an iteration.
static constexpr llvm::StringLiteral kCostAttr = "dispatch.cost";

/// A loop whose bounds are not known is taken for a long one.
static constexpr int64_t kUnknownTrips = kWorthForking;

static int64_t tripCount(Value lower, Value upper, Value step) {
  APInt lb, ub, by;
  if (!matchPattern(lower, m_ConstantInt(&lb)) || !matchPattern(upper, m_ConstantInt(&ub)) ||
      !matchPattern(step, m_ConstantInt(&by)) || !by.isStrictlyPositive())
    return kUnknownTrips;
  int64_t distance = ub.getSExtValue() - lb.getSExtValue();
  return distance <= 0 ? 0 : llvm::divideCeilSigned(distance, by.getSExtValue());
}

/// A rough number of cycles; saturated, since only small ones matter.
static int64_t estimateCycles(Region &region) {
  int64_t cycles = 0;
  for (Block &block : region) {
    for (Operation &op : block) {
      int64_t inner = 0;
      for (Region &nested : op.getRegions())
        inner = std::max(inner, estimateCycles(nested));
      int64_t trips = 1;
      if (auto loop = dyn_cast<scf::ForOp>(op)) {
        trips = tripCount(loop.getLowerBound(), loop.getUpperBound(), loop.getStep());
      } else if (auto loop = dyn_cast<scf::ParallelOp>(op)) {
        for (auto [lower, upper, step] :
             llvm::zip(loop.getLowerBound(), loop.getUpperBound(), loop.getStep()))
          trips = std::min(trips * tripCount(lower, upper, step), kWorthForking);
      } else if (isa<scf::WhileOp>(op)) {
        trips = kUnknownTrips;
      }
      int64_t own = isa<math::MathDialect>(op.getDialect()) ? 8 : op.getNumRegions() == 0 ? 1 : 0;
      cycles = std::min(cycles + own + trips * inner, kWorthForking);
    }
  }
  return cycles;
}

/// Turns `loop` into sequential loops.
static void makeSequential(scf::ParallelOp loop) {
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  SmallVector<Value> inits(loop.getInitVals());
  scf::LoopNest nest = scf::buildLoopNest(
      builder, loc, loop.getLowerBound(), loop.getUpperBound(), loop.getStep(), inits,
      [&](OpBuilder &b, Location, ValueRange ivs, ValueRange carried) -> scf::ValueVector {
        IRMapping mapping;
        mapping.map(loop.getInductionVars(), ivs);
        for (Operation &op : loop.getBody()->without_terminator())
          b.clone(op, mapping);
        auto reduce = cast<scf::ReduceOp>(loop.getBody()->getTerminator());
        scf::ValueVector results;
        for (auto [index, operand] : llvm::enumerate(reduce.getOperands())) {
          Block &combiner = reduce.getReductions()[index].front();
          IRMapping inner = mapping;
          inner.map(combiner.getArgument(0), carried[index]);
          inner.map(combiner.getArgument(1), mapping.lookupOrDefault(operand));
          for (Operation &op : combiner.without_terminator())
            b.clone(op, inner);
          results.push_back(inner.lookupOrDefault(
              cast<scf::ReduceReturnOp>(combiner.getTerminator()).getResult()));
        }
        return results;
      });
  loop.replaceAllUsesWith(nest.results);
  loop.erase();
}

namespace {
struct OutlineParallel : graft::impl::OutlineParallelPassBase<OutlineParallel> {
  void runOnOperation() override {
    SmallVector<func::FuncOp> functions = passHost();
    for (func::FuncOp func : functions) {
      if (failed(forallToParallel(func)))
        return signalPassFailure();
      SmallVector<scf::ParallelOp> outermost, sequential;
      func.walk([&](scf::ParallelOp loop) {
        bool nested = loop->getParentOfType<scf::ParallelOp>() != nullptr;
        (nested || !loop.getInitVals().empty() ? sequential : outermost).push_back(loop);
      });
      // Inner loops come first: those of a loop that is outlined are sequential by then.
      for (scf::ParallelOp loop : sequential)
        makeSequential(loop);
      for (auto [index, loop] : llvm::enumerate(outermost))
        outline(func, loop, index);
    }
  }

  /// The stages, and the functions that they call, get the host as their first argument.
  SmallVector<func::FuncOp> passHost() {
    SymbolTable symbols(getOperation());
    llvm::SetVector<func::FuncOp> functions;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (isStage(func))
        functions.insert(func);
    llvm::MapVector<func::CallOp, func::FuncOp> calls;
    for (size_t i = 0; i < functions.size(); ++i) {
      func::FuncOp caller = functions[i];
      caller.walk([&](func::CallOp call) {
        auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
        if (!callee || callee.isExternal())
          return;
        calls[call] = callee;
        functions.insert(callee);
      });
    }
    for (func::FuncOp func : functions)
      addHostArgument(func);
    for (auto [call, callee] : calls) {
      Value host = call->getParentOfType<func::FuncOp>().getArgument(0);
      call->insertOperands(0, host);
    }
    return functions.takeVector();
  }

  LogicalResult forallToParallel(func::FuncOp func) {
    SmallVector<scf::ForallOp> loops;
    func.walk([&](scf::ForallOp loop) { loops.push_back(loop); });
    IRRewriter rewriter(func.getContext());
    for (scf::ForallOp loop : loops) {
      rewriter.setInsertionPoint(loop);
      scf::ParallelOp parallel;
      if (failed(scf::forallToParallelLoop(rewriter, loop, &parallel)))
        return loop.emitError("a parallel loop must not have results by now");
    }
    return success();
  }

  /// Memory of the stack that only the loop uses: each thread needs its own.
  static bool isScratch(Operation *op, scf::ParallelOp loop) {
    return isa<memref::AllocaOp>(op) && op->getNumOperands() == 0 &&
           llvm::all_of(op->getUsers(), [&](Operation *user) { return loop->isAncestor(user); });
  }

  static void outline(func::FuncOp stage, scf::ParallelOp loop, unsigned number) {
    Location loc = loop.getLoc();
    MLIRContext *context = stage.getContext();
    Value host = stage.getArgument(0);
    int64_t cycles = estimateCycles(loop.getRegion());
    if (auto cost = loop->getAttrOfType<IntegerAttr>(kCostAttr))
      cycles = cost.getInt();

    OpBuilder builder(loop);
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    FlatRange all(builder, loop);

    // What the body needs from outside; constants move into it.
    llvm::SetVector<Value> used;
    getUsedValuesDefinedAbove(loop.getRegion(), used);
    used.remove(host);
    for (ValueRange values : {ValueRange(loop.getLowerBound()), ValueRange(loop.getStep()),
                              ValueRange(all.counts).drop_front()})
      used.insert(values.begin(), values.end());
    SmallVector<Value> captured;
    SmallVector<Operation *> cloned;
    for (Value value : used) {
      Operation *op = value.getDefiningOp();
      if (op && (op->hasTrait<OpTrait::ConstantLike>() || isa<memref::GetGlobalOp>(op) ||
                 isScratch(op, loop)))
        cloned.push_back(op);
      else
        captured.push_back(value);
    }

    SmallVector<Type> types{host.getType(), builder.getIndexType(), builder.getIndexType()};
    llvm::append_range(types, ValueRange(captured).getTypes());
    std::string name = (stage.getName() + "." + llvm::Twine(number)).str();
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfter(stage);
    auto body = func::FuncOp::create(builder, loc, name, builder.getFunctionType(types, {}));
    body.setPrivate();
    Block *entry = body.addEntryBlock();
    builder.setInsertionPointToStart(entry);
    IRMapping mapping;
    mapping.map(host, entry->getArgument(0));
    mapping.map(captured, entry->getArguments().drop_front(3));
    for (Operation *op : cloned)
      builder.clone(*op, mapping);
    Value by = arith::ConstantIndexOp::create(builder, loc, 1);
    auto range = scf::ForOp::create(builder, loc, entry->getArgument(1), entry->getArgument(2), by);
    func::ReturnOp::create(builder, loc);
    builder.setInsertionPointToStart(range.getBody());
    mapIteration(builder, loop, all, range.getInductionVar(), mapping);
    for (Operation &op : loop.getBody()->without_terminator())
      builder.clone(op, mapping);

    // The fork: by itself it runs the whole range, one iteration after the other.
    builder.setInsertionPointAfter(body);
    types.erase(types.begin() + 1);
    auto fork =
        func::FuncOp::create(builder, loc, name + ".fork", builder.getFunctionType(types, {}));
    fork.setPrivate();
    fork->setAttr(kForkAttr, FlatSymbolRefAttr::get(context, name));
    Block *forkEntry = fork.addEntryBlock();
    builder.setInsertionPointToStart(forkEntry);
    Value begin = arith::ConstantIndexOp::create(builder, loc, 0);
    SmallVector<Value> operands{forkEntry->getArgument(0), begin};
    llvm::append_range(operands, forkEntry->getArguments().drop_front());
    func::CallOp::create(builder, loc, body, operands);
    func::ReturnOp::create(builder, loc);

    builder.setInsertionPoint(loop);
    int64_t fewest =
        std::max<int64_t>(2, llvm::divideCeil(kWorthForking, std::max<int64_t>(1, cycles)));
    Value enough = arith::ConstantIndexOp::create(builder, loc, fewest);
    Value worth = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, all.total, enough);
    auto choice = scf::IfOp::create(builder, loc, worth, /*withElseRegion=*/true);
    builder.setInsertionPointToStart(choice.thenBlock());
    SmallVector<Value> arguments{host, all.total};
    llvm::append_range(arguments, captured);
    func::CallOp::create(builder, loc, fork, arguments);
    builder.setInsertionPointToStart(choice.elseBlock());
    arguments = {host, zero, all.total};
    llvm::append_range(arguments, captured);
    func::CallOp::create(builder, loc, body, arguments);
    loop.erase();
  }
};
} // namespace
