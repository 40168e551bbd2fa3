//===- FuseRows.cpp - Loops over the same rows become one --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Codegen/Gpu/LoopAccesses.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

namespace graft {
#define GEN_PASS_DEF_FUSEROWSPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// Elements of a row that a thread goes through one after another: more are worth threads of their
/// own.
static constexpr int64_t kMostOfRow = 128;

/// Whether the dimensions after the first are few elements.
static bool hasShortRows(scf::ParallelOp loop) {
  int64_t count = 1;
  for (unsigned d = 1; d < loop.getNumLoops(); ++d) {
    APInt lower, upper, step;
    if (!matchPattern(loop.getLowerBound()[d], m_ConstantInt(&lower)) ||
        !matchPattern(loop.getUpperBound()[d], m_ConstantInt(&upper)) ||
        !matchPattern(loop.getStep()[d], m_ConstantInt(&step)) || !lower.isZero() || !step.isOne())
      return false;
    count *= upper.getSExtValue();
  }
  return count <= kMostOfRow;
}

static bool isSameNumber(Value a, Value b) {
  APInt x, y;
  return a == b ||
         (matchPattern(a, m_ConstantInt(&x)) && matchPattern(b, m_ConstantInt(&y)) && x == y);
}

/// Whether the first dimension of a view is that of its buffer.
static bool keepsRows(Value memref) {
  auto isRow = [](ArrayRef<int64_t> group, ArrayRef<int64_t> shape) {
    return group.front() == 0 &&
           llvm::all_of(group.drop_front(), [&](int64_t d) { return shape[d] == 1; });
  };
  while (Operation *op = memref.getDefiningOp()) {
    auto group = [](auto reshape) {
      return ReassociationIndices(reshape.getReassociationIndices().front());
    };
    if (auto expand = dyn_cast<memref::ExpandShapeOp>(op)) {
      if (!isRow(group(expand), expand.getResultType().getShape()))
        return false;
      memref = expand.getSrc();
    } else if (auto collapse = dyn_cast<memref::CollapseShapeOp>(op)) {
      if (!isRow(group(collapse), collapse.getSrcType().getShape()))
        return false;
      memref = collapse.getSrc();
    } else {
      return isa<memref::ViewOp, memref::GetGlobalOp>(op);
    }
  }
  return true;
}

/// Whether iterations of the loops with the same first index depend on no others.
static bool areRowLocal(ArrayRef<scf::ParallelOp> loops) {
  SmallVector<std::pair<Access, Value>> accesses;
  llvm::DenseSet<Value> written;
  for (scf::ParallelOp loop : loops) {
    std::optional<SmallVector<Access>> own = findAccesses(loop.getBody());
    if (!own)
      return false;
    for (const Access &access : *own) {
      accesses.push_back({access, loop.getInductionVars()[0]});
      if (access.isStore)
        written.insert(bufferOf(access.memref));
    }
  }
  return llvm::all_of(accesses, [&](auto &each) {
    auto &[access, row] = each;
    return !written.contains(bufferOf(access.memref)) ||
           (!access.indices.empty() && plainIndex(access.indices[0]) == row &&
            keepsRows(access.memref));
  });
}

static bool canFuse(ArrayRef<scf::ParallelOp> loops, scf::ParallelOp next) {
  scf::ParallelOp first = loops.front();
  SmallVector<scf::ParallelOp> all(loops);
  all.push_back(next);
  return hasShortRows(first) && hasShortRows(next) &&
         isSameNumber(first.getLowerBound()[0], next.getLowerBound()[0]) &&
         isSameNumber(first.getUpperBound()[0], next.getUpperBound()[0]) &&
         isSameNumber(first.getStep()[0], next.getStep()[0]) && areRowLocal(all);
}

/// The number of the arena's buffer that a memref is a part of.
static std::optional<int64_t> arenaBufferOf(Value memref) {
  auto view = bufferOf(memref).getDefiningOp<memref::ViewOp>();
  auto load = view ? view.getByteShift().getDefiningOp<memref::LoadOp>() : memref::LoadOp();
  APInt number;
  if (!load || !isOfHost(load) || !matchPattern(load.getIndices()[0], m_ConstantInt(&number)))
    return std::nullopt;
  return number.getSExtValue();
}

/// Buffers that `loops` use one after another may be in the same place; in one loop, where a row is
/// through before another begins, they may not: all live as long as any of them.
static void extendLives(func::FuncOp stage, ArrayRef<scf::ParallelOp> loops) {
  auto attribute = stage->getAttrOfType<DenseI64ArrayAttr>(kBuffersAttr);
  if (!attribute)
    return;
  SmallVector<int64_t> lives(attribute.asArrayRef());
  llvm::SmallSetVector<int64_t, 8> used;
  SmallVector<Access> accesses;
  for (scf::ParallelOp loop : loops)
    accesses.append(*findAccesses(loop.getBody()));
  for (const Access &access : accesses)
    if (auto number = arenaBufferOf(access.memref))
      used.insert(*number);
  if (used.empty())
    return;
  int64_t first = lives[2 * used[0]], last = lives[2 * used[0] + 1];
  for (int64_t number : used) {
    first = std::min(first, lives[2 * number]);
    last = std::max(last, lives[2 * number + 1]);
  }
  for (int64_t number : used) {
    lives[2 * number] = first;
    lives[2 * number + 1] = last;
  }
  stage->setAttr(kBuffersAttr, DenseI64ArrayAttr::get(stage.getContext(), lives));
}

/// One loop over rows where the last of `loops` was.
static void fuse(ArrayRef<scf::ParallelOp> loops) {
  scf::ParallelOp last = loops.back();
  OpBuilder builder(last);
  Location loc = last.getLoc();
  auto fused =
      scf::ParallelOp::create(builder, loc, last.getLowerBound().take_front(),
                              last.getUpperBound().take_front(), last.getStep().take_front());
  for (scf::ParallelOp loop : loops) {
    builder.setInsertionPoint(fused.getBody()->getTerminator());
    IRMapping mapping;
    mapping.map(loop.getInductionVars()[0], fused.getInductionVars()[0]);
    for (unsigned d = 1; d < loop.getNumLoops(); ++d) {
      auto inner = scf::ForOp::create(builder, loc, loop.getLowerBound()[d],
                                      loop.getUpperBound()[d], loop.getStep()[d]);
      mapping.map(loop.getInductionVars()[d], inner.getInductionVar());
      builder.setInsertionPoint(inner.getBody()->getTerminator());
    }
    for (Operation &op : loop.getBody()->without_terminator())
      builder.clone(op, mapping);
  }
  for (scf::ParallelOp loop : loops)
    loop.erase();
}

namespace {
struct FuseRows : graft::impl::FuseRowsPassBase<FuseRows> {
  void runOnOperation() override {
    if (!getOperation()->hasAttr(kDeviceAttr))
      return;
    std::vector<SmallVector<scf::ParallelOp>> runs(1);
    for (Operation &op : getOperation().getBody().front()) {
      if (auto loop = dyn_cast<scf::ParallelOp>(op)) {
        if (!runs.back().empty() && !canFuse(runs.back(), loop))
          runs.emplace_back();
        runs.back().push_back(loop);
      } else if (!isMemoryEffectFree(&op) && !isOfHost(&op)) {
        runs.emplace_back();
      }
    }
    for (ArrayRef<scf::ParallelOp> run : runs)
      if (run.size() > 1) {
        extendLives(getOperation(), run);
        fuse(run);
      }
  }

  /// What reads and writes none of the device's memory.
  static bool isOfHost(Operation *op) {
    auto load = dyn_cast<memref::LoadOp>(op);
    return load ? graft::isOfHost(load) : isa<LLVM::LoadOp, dispatch::ExchangeOp>(op);
  }
};
} // namespace
