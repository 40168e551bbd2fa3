//===- PanelPacking.cpp - Activations into panels, while they are in cache -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/PanelPacking.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace graft;

using Values = KernelBuilder::Values;

/// The transpose of a square of vectors, by exchanging ever larger blocks.
static Values transposeSquare(KernelBuilder &b, Values rows) {
  unsigned lanes = rows.size();
  for (unsigned distance = 1; distance < lanes; distance *= 2) {
    SmallVector<int64_t> low, high;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      low.push_back(lane & distance ? lanes + lane - distance : lane);
      high.push_back(lane & distance ? lanes + lane : lane + distance);
    }
    for (unsigned i = 0; i < lanes; ++i) {
      if (i & distance)
        continue;
      Value x = rows[i], y = rows[i + distance];
      rows[i] = vector::ShuffleOp::create(b, x, y, low);
      rows[i + distance] = vector::ShuffleOp::create(b, x, y, high);
    }
  }
  return rows;
}

void graft::packPanel(KernelBuilder &b, const PanelSource &source, Value panel,
                      ArrayRef<Value> panelPrefix, Value first, Value limit, Value start,
                      Value depth) {
  int64_t lanes = b.target.lanes, width = b.target.panel();
  auto target = [&](Value k, Value column) {
    Values at(panelPrefix);
    at.push_back(k);
    at.push_back(column);
    return at;
  };
  if (source.columnsContiguous) {
    for (int64_t v = 0; v < width; v += lanes) {
      Value column = b.add(first, v), mask = b.lanesBelow(b.sub(limit, column));
      b.loop(b.index(0), depth, 1, [&](Value k) {
        Value x = b.loadVector(source.memref, source.at(column, b.add(start, k)), mask);
        b.storeVector(x, panel, target(k, b.index(v)));
      });
    }
    return;
  }
  Value last = b.sub(limit, b.index(1));
  auto copy = [&](Value from) {
    b.loop(b.index(0), b.index(width), 1, [&](Value c) {
      Value column = b.min(b.add(first, c), last);
      b.loop(from, depth, 1, [&](Value k) {
        b.store(b.load(source.memref, source.at(column, b.add(start, k))), panel, target(k, c));
      });
    });
  };
  if (!source.depthContiguous)
    return copy(b.index(0));
  Value whole = b.mul(b.div(depth, b.index(lanes)), b.index(lanes));
  b.loop(b.index(0), whole, lanes, [&](Value k) {
    for (int64_t v = 0; v < width; v += lanes) {
      Values rows;
      for (int64_t c = 0; c < lanes; ++c)
        rows.push_back(b.loadVector(source.memref,
                                    source.at(b.min(b.add(first, v + c), last), b.add(start, k))));
      rows = transposeSquare(b, rows);
      for (int64_t c = 0; c < lanes; ++c)
        b.storeVector(rows[c], panel, target(b.add(k, c), b.index(v)));
    }
  });
  copy(whole);
}

Values graft::accumulateTile(KernelBuilder &b, unsigned rows, unsigned vectors, Value depth,
                             Values sums, function_ref<Value(unsigned, Value)> left,
                             function_ref<Value(unsigned, Value)> right) {
  auto step = [&](Value k, ValueRange carried) {
    Values wide, next;
    for (unsigned v = 0; v < vectors; ++v)
      wide.push_back(right(v, k));
    for (unsigned r = 0; r < rows; ++r) {
      Value x = b.broadcast(left(r, k));
      for (unsigned v = 0; v < vectors; ++v)
        next.push_back(b.fma(x, wide[v], carried[r * vectors + v]));
    }
    return next;
  };
  constexpr int64_t unroll = 4;
  Value whole = b.mul(b.div(depth, b.index(unroll)), b.index(unroll));
  sums = b.loop(b.index(0), whole, unroll, sums, [&](Value k, ValueRange carried) {
    Values next(carried);
    for (int64_t u = 0; u < unroll; ++u)
      next = step(b.add(k, u), next);
    return next;
  });
  return b.loop(whole, depth, 1, sums,
                [&](Value k, ValueRange carried) { return step(k, carried); });
}
