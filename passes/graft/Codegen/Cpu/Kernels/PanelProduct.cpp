//===- PanelProduct.cpp - Rows by a panel of packed weights ------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/PanelProduct.h"

#include "graft/Codegen/Cpu/Kernels/KernelCall.h"

#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

/// Floats of A that one block of rows may take: 512 KB, half of a usual second-level cache.
static constexpr int64_t kBlockFloats = 131072;
/// k steps that are read ahead of B.
static constexpr int64_t kPrefetch = 32;
/// k steps in the body of the inner loop.
static constexpr int64_t kUnroll = 4;

PanelProduct::PanelProduct(KernelBuilder &b, Block *epilogue, MemRefType weight, int64_t depth,
                           int64_t columns)
    : b(b), epilogue(epilogue), columns(columns), panelCount(weight.getDimSize(0)),
      panel(weight.getDimSize(2)), depth(depth) {}

int64_t PanelProduct::rowsPerBlock() const {
  int64_t tile = b.target.tileRows(), deep = std::max<int64_t>(depth, 1);
  int64_t most = std::clamp<int64_t>(kBlockFloats / deep / tile, 2, 12) * tile;
  // A narrow product has few panels to share among threads: it gets shorter blocks.
  return panelCount < 4 ? std::min(most, 3 * tile) : most;
}

Value PanelProduct::cost(Value rows) {
  // 2 · P · K flops a row at some 100 GFLOP/s, and P · K weights at some 20 GB/s.
  return b.mul(b.add(rows, 10), b.index(std::max<int64_t>(panel * depth / 50, 1)));
}

void PanelProduct::build(Value nb, Value first, Value last) {
  int64_t rest = columns - (panelCount - 1) * panel;
  if (rest == panel)
    return buildPanel(nb, first, last, panel);
  if (panelCount == 1)
    return buildPanel(nb, first, last, rest);
  Value tail = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, nb, b.index(panelCount - 1));
  b.ifThenElse(
      tail, [&] { buildPanel(b.index(panelCount - 1), first, last, rest); },
      [&] { buildPanel(nb, first, last, panel); });
}

/// One panel, of which `width` columns count, for the rows [first, last).
void PanelProduct::buildPanel(Value nb, Value first, Value last, int64_t width) {
  int64_t lanes = b.target.lanes;
  unsigned vectors = (width + lanes - 1) / lanes;
  masks.assign(vectors, Value());
  if (width % lanes)
    masks.back() = b.lanesBelow(b.index(width % lanes));
  starts.clear();
  for (unsigned v = 0; v < vectors; ++v)
    starts.push_back(b.add(b.mul(nb, b.index(panel)), v * lanes));
  // What depends on the column alone is the same for all rows.
  std::vector<Values> byColumn(extras.size());
  for (auto [extra, values] : llvm::zip(extras, byColumn)) {
    auto type = dyn_cast<MemRefType>(extra.getType());
    if (type && type.getRank() == 2)
      continue;
    for (unsigned v = 0; v < vectors; ++v)
      values.push_back(type && type.getRank() == 1
                           ? b.loadElements(extra, starts[v], masks[v])
                           : b.broadcast(type ? b.loadElement(extra, {}) : extra));
  }

  Type element = cast<MemRefType>(out.getType()).getElementType();
  if (epilogue)
    waiting = b.scratch({int64_t(b.target.tileRows()), b.target.panel()});
  auto build = [&](Value m0, unsigned rows) { buildTile(nb, m0, rows, vectors); };
  auto after = [&](Value m0, Value m1) {
    b.loop(m0, m1, 1, [&](Value row) {
      for (unsigned v = 0; v < vectors; ++v) {
        Value sum = b.loadVector(waiting, {b.sub(row, m0), b.index(v * lanes)});
        Values arguments{b.narrow(sum, element)};
        for (auto [extra, values] : llvm::zip(extras, byColumn))
          arguments.push_back(values.empty() ? b.loadElements(extra, {row, starts[v]}, masks[v])
                                             : values[v]);
        Value result = vectorize(b, *epilogue, arguments)[0];
        b.storeVector(result, out, {row, starts[v]}, masks[v]);
      }
    });
  };
  After afterTile = epilogue ? After(after) : After();
  if (cut)
    cut(first, last, {nb, first, {}, starts, masks}, build, afterTile);
  else
    eachTile(b, first, last, b.target.tileRows(), build, afterTile);
}

void graft::eachTile(KernelBuilder &b, Value first, Value last, unsigned most,
                     PanelProduct::Build build, PanelProduct::After after) {
  Value count = b.sub(last, first), tiles = b.ceilDiv(count, b.index(most));
  // The row is carried: were it a sum, LLVM would keep a pointer for each row of a tile and spill
  // them.
  b.loop(b.index(0), tiles, 1, {first}, [&](Value t, ValueRange carried) -> KernelBuilder::Values {
    Value m0 = carried[0], m1 = b.add(first, b.share(b.add(t, 1), tiles, count));
    b.switchExact(b.sub(m1, m0), most, [&](unsigned rows) { build(m0, rows); });
    if (after)
      after(m0, m1);
    return {m1};
  });
}

/// The sums of `rows` rows by `vectors` vectors of columns.
void PanelProduct::buildTile(Value nb, Value m0, unsigned rows, unsigned vectors) {
  Values row, sums(rows * vectors, b.splat(0.0f));
  for (unsigned r = 0; r < rows; ++r)
    row.push_back(b.add(m0, r));
  for (auto [x, w] : llvm::zip(inputs, weights))
    sums = accumulate(b, x, w, nb, row, vectors, sums);
  const Tile tile{nb, m0, row, starts, masks};
  if (finish)
    finish(tile, sums);
  else
    store(tile, sums);
}

void PanelProduct::store(const Tile &tile, ValueRange sums) {
  const unsigned vectors = tile.starts.size();
  for (auto [r, row] : llvm::enumerate(tile.rows))
    for (unsigned v = 0; v < vectors; ++v)
      if (epilogue)
        b.storeVector(sums[r * vectors + v], waiting,
                      {b.sub(row, tile.first), b.index(v * b.target.lanes)});
      else
        b.storeVector(sums[r * vectors + v], out, {row, tile.starts[v]}, tile.masks[v]);
}

KernelBuilder::Values graft::accumulate(KernelBuilder &b, Value x, Value w, Value panel,
                                        ValueRange rows, unsigned vectors,
                                        KernelBuilder::Values sums, Value start) {
  using Values = KernelBuilder::Values;
  Values lane;
  for (unsigned v = 0; v < vectors; ++v)
    lane.push_back(b.index(v * b.target.lanes));
  auto step = [&](Value at, ValueRange carried) {
    Values b0, next;
    for (unsigned v = 0; v < vectors; ++v)
      b0.push_back(b.loadVector(w, {panel, at, lane[v]}));
    Value ahead = b.add(at, kPrefetch);
    for (unsigned v = 0; v < vectors; ++v)
      memref::PrefetchOp::create(b, w, ValueRange{panel, ahead, lane[v]}, /*isWrite=*/false,
                                 /*localityHint=*/2, /*isDataCache=*/true);
    Value own = start ? b.add(start, at) : at;
    for (unsigned r = 0; r < rows.size(); ++r) {
      Value a = b.broadcast(b.load(x, {rows[r], own}));
      for (unsigned v = 0; v < vectors; ++v)
        next.push_back(b.fma(a, b0[v], carried[r * vectors + v]));
    }
    return next;
  };
  auto steps = [&](Value from, Value to, int64_t unroll) {
    sums = b.loop(from, to, unroll, sums, [&](Value at, ValueRange carried) {
      Values next(carried);
      for (int64_t u = 0; u < unroll; ++u)
        next = step(b.add(at, u), next);
      return next;
    });
  };
  int64_t k = cast<MemRefType>(w.getType()).getDimSize(1);
  if (ShapedType::isDynamic(k)) {
    Value all = b.dim(w, 1), whole = b.sub(all, b.rem(all, b.index(kUnroll)));
    steps(b.index(0), whole, kUnroll);
    steps(whole, all, 1);
    return sums;
  }
  int64_t whole = k - k % kUnroll;
  if (whole)
    steps(b.index(0), b.index(whole), kUnroll);
  for (int64_t u = whole; u < k; ++u)
    sums = step(b.index(u), sums);
  return sums;
}

bool graft::hasKernelEpilogue(ProductOpInterface op) {
  for (Value extra : op.getExtras()) {
    auto type = dyn_cast<MemRefType>(extra.getType());
    if (!isKernelFloat(getElementTypeOrSelf(extra.getType())) ||
        (type && type.getRank() > 0 && !isRows(extra)))
      return false;
  }
  return op.getEpilogue().empty() || isVectorizable(op.getEpilogue().front());
}

KernelBuilder::Values graft::viewExtras(KernelBuilder &b, ProductOpInterface op) {
  KernelBuilder::Values views;
  for (Value extra : op.getExtras()) {
    auto type = dyn_cast<MemRefType>(extra.getType());
    // Of rank 1: by column, unless out has rank 1 too, which comes to the same.
    if (type && type.getRank() > 1)
      views.push_back(viewAsRows(b, extra));
    else
      views.push_back(type ? withDynamicOffset(b, extra) : extra);
  }
  return views;
}

bool graft::isKernelPanels(KernelBuilder &b, Value weight) {
  auto type = cast<MemRefType>(weight.getType());
  return type.getRank() == 3 && memref::isStaticShapeAndContiguousRowMajor(type) &&
         (type.getDimSize(2) == int64_t(b.target.panel()) ||
          type.getDimSize(2) == int64_t(b.target.lanes));
}
