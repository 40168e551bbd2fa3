//===- MatmulKernel.cpp - Products with packed weights -----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows are shared out evenly into blocks that fit the second-level cache, then into tiles; an exact
// kernel for each number of rows a tile may have keeps its sums in registers. The epilogue is one
// loop over the rows of the tile just stored.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelCall.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

namespace {
/// Floats of A that one block of rows may take: 512 KB, half of a usual second-level cache.
constexpr int64_t kBlockFloats = 131072;
/// k steps that are read ahead of B.
constexpr int64_t kPrefetch = 32;
/// k steps in the body of the inner loop.
constexpr int64_t kUnroll = 4;

struct MatmulKernel {
  using Values = KernelBuilder::Values;

  MatmulKernel(KernelBuilder &b, MatmulOp op, ValueRange arguments) : b(b), op(op) {
    unsigned pairs = op.getInputs().size();
    inputs = llvm::to_vector(arguments.take_front(pairs));
    weights = llvm::to_vector(arguments.slice(pairs, pairs));
    extras = llvm::to_vector(arguments.drop_back().drop_front(2 * pairs));
    out = arguments.back();
    columns = cast<MemRefType>(out.getType()).getDimSize(1);
    auto packed = cast<MemRefType>(weights[0].getType());
    panels = packed.getDimSize(0);
    panel = packed.getDimSize(2);
    depth = 0;
    for (Value w : weights)
      depth += cast<MemRefType>(w.getType()).getDimSize(1);
  }

  /// Shares of at most so many rows.
  int64_t rowsPerBlock() const {
    int64_t tile = b.target.tileRows(), deep = std::max<int64_t>(depth, 1);
    int64_t most = std::clamp<int64_t>(kBlockFloats / deep / tile, 2, 12) * tile;
    // A narrow product has few panels to share among threads: it gets shorter blocks.
    return panels < 4 ? std::min(most, 3 * tile) : most;
  }

  KernelCall::Work plan() {
    Value m = b.dim(out, 0), blocks = b.ceilDiv(m, b.index(rowsPerBlock()));
    // A panel for a block of rows: 2 · P · K flops a row at some 100 GFLOP/s, and P · K weights at
    // some 20 GB/s.
    Value perBlock = b.ceilDiv(m, b.max(blocks, b.index(1)));
    return {b.mul(blocks, b.index(panels)),
            b.mul(b.add(perBlock, 10), b.index(std::max<int64_t>(panel * depth / 50, 1)))};
  }

  void build(Value task) {
    Value m = b.dim(out, 0), blocks = b.ceilDiv(m, b.index(rowsPerBlock()));
    Value block = b.div(task, b.index(panels)), nb = b.rem(task, b.index(panels));
    Value first = b.share(block, blocks, m), last = b.share(b.add(block, 1), blocks, m);
    int64_t rest = columns - (panels - 1) * panel;
    if (rest == panel)
      return buildPanel(nb, first, last, panel);
    if (panels == 1)
      return buildPanel(nb, first, last, rest);
    Value tail = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, nb, b.index(panels - 1));
    b.ifThenElse(
        tail, [&] { buildPanel(b.index(panels - 1), first, last, rest); },
        [&] { buildPanel(nb, first, last, panel); });
  }

private:
  /// One panel, of which `width` columns count, for the rows [first, last).
  void buildPanel(Value nb, Value first, Value last, int64_t width) {
    int64_t lanes = b.target.lanes, tile = b.target.tileRows();
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

    Value count = b.sub(last, first), tiles = b.ceilDiv(count, b.index(tile));
    // The row is carried: were it a sum, LLVM would keep a pointer for each row of a tile and spill
    // them.
    b.loop(b.index(0), tiles, 1, {first}, [&](Value t, ValueRange carried) -> Values {
      Value m0 = carried[0], m1 = b.add(first, b.share(b.add(t, 1), tiles, count));
      b.switchExact(b.sub(m1, m0), tile, [&](unsigned rows) { buildTile(nb, m0, rows, vectors); });
      if (!op.getEpilogue().empty())
        b.loop(m0, m1, 1, [&](Value row) {
          for (unsigned v = 0; v < vectors; ++v) {
            Values arguments{b.loadElements(out, {row, starts[v]}, masks[v])};
            for (auto [extra, values] : llvm::zip(extras, byColumn))
              arguments.push_back(values.empty() ? b.loadElements(extra, {row, starts[v]}, masks[v])
                                                 : values[v]);
            Value result = vectorize(b, op.getEpilogue().front(), arguments)[0];
            b.storeVector(result, out, {row, starts[v]}, masks[v]);
          }
        });
      return {m1};
    });
  }

  /// The sums of `rows` rows by `vectors` vectors of columns.
  void buildTile(Value nb, Value m0, unsigned rows, unsigned vectors) {
    Values row, sums(rows * vectors, b.splat(0.0f)), lane;
    for (unsigned r = 0; r < rows; ++r)
      row.push_back(b.add(m0, r));
    for (unsigned v = 0; v < vectors; ++v)
      lane.push_back(b.index(v * b.target.lanes));
    for (auto [x, w] : llvm::zip(inputs, weights)) {
      int64_t k = cast<MemRefType>(w.getType()).getDimSize(1), whole = k - k % kUnroll;
      auto step = [&, x = x, w = w](Value at, ValueRange carried) {
        Values b0, next;
        for (unsigned v = 0; v < vectors; ++v)
          b0.push_back(b.loadVector(w, {nb, at, lane[v]}));
        Value ahead = b.add(at, kPrefetch);
        for (unsigned v = 0; v < vectors; ++v)
          memref::PrefetchOp::create(b, w, ValueRange{nb, ahead, lane[v]}, /*isWrite=*/false,
                                     /*localityHint=*/2, /*isDataCache=*/true);
        for (unsigned r = 0; r < rows; ++r) {
          Value a = b.broadcast(b.load(x, {row[r], at}));
          for (unsigned v = 0; v < vectors; ++v)
            next.push_back(b.fma(a, b0[v], carried[r * vectors + v]));
        }
        return next;
      };
      if (whole)
        sums = b.loop(b.index(0), b.index(whole), kUnroll, sums, [&](Value at, ValueRange carried) {
          Values next(carried);
          for (int64_t u = 0; u < kUnroll; ++u)
            next = step(b.add(at, u), next);
          return next;
        });
      for (int64_t u = whole; u < k; ++u)
        sums = step(b.index(u), sums);
    }
    for (unsigned r = 0; r < rows; ++r)
      for (unsigned v = 0; v < vectors; ++v)
        b.storeVector(sums[r * vectors + v], out, {row[r], starts[v]}, masks[v]);
  }

  KernelBuilder &b;
  MatmulOp op;
  Values inputs, weights, extras, starts, masks;
  Value out;
  int64_t columns, panels, panel, depth;
};
} // namespace

std::optional<KernelCall> graft::prepareMatmul(MatmulOp op, KernelBuilder &b) {
  int64_t columns = op.getInitType().getShape().back();
  if (ShapedType::isDynamic(columns) || columns == 0 || !isRows(op.getInit()))
    return std::nullopt;
  int64_t panel = cast<ShapedType>(op.getWeights()[0].getType()).getShape().back();
  for (auto [i, x] : llvm::enumerate(op.getInputs())) {
    auto w = cast<MemRefType>(op.getWeights()[i].getType());
    if (!isRows(x) || !op.isPacked(i) || !w.hasStaticShape() || !w.getLayout().isIdentity() ||
        w.getDimSize(2) != panel)
      return std::nullopt;
  }
  if (panel != int64_t(b.target.panel()) && panel != int64_t(b.target.lanes))
    return std::nullopt;
  for (Value extra : op.getExtras()) {
    auto type = dyn_cast<MemRefType>(extra.getType());
    if (!isKernelFloat(getElementTypeOrSelf(extra.getType())) ||
        (type && type.getRank() > 0 && !isRows(extra)))
      return std::nullopt;
  }
  if (!op.getEpilogue().empty() && !isVectorizable(op.getEpilogue().front()))
    return std::nullopt;

  KernelCall call;
  int64_t depth = cast<ShapedType>(op.getWeights()[0].getType()).getDimSize(1);
  call.name = "matmul_" + std::to_string(columns) + "x" + std::to_string(depth);
  for (Value x : op.getInputs())
    call.operands.push_back(viewAsRows(b, x));
  for (Value w : op.getWeights())
    call.operands.push_back(withDynamicOffset(b, w));
  for (Value extra : op.getExtras()) {
    auto type = dyn_cast<MemRefType>(extra.getType());
    // Of rank 1: by column, unless out has rank 1 too, which comes to the same.
    if (type && type.getRank() > 1)
      call.operands.push_back(viewAsRows(b, extra));
    else
      call.operands.push_back(type ? withDynamicOffset(b, extra) : extra);
  }
  call.operands.push_back(viewAsRows(b, op.getInit()));
  call.plan = [op](KernelBuilder &b, ValueRange operands) {
    return MatmulKernel(b, op, operands).plan();
  };
  call.build = [op](KernelBuilder &b, ValueRange arguments, Value task) {
    MatmulKernel(b, op, arguments).build(task);
  };
  return call;
}
