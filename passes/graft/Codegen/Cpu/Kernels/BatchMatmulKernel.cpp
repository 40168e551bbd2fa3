//===- BatchMatmulKernel.cpp - Products of activations -----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A task is a block of rows by one panel of columns of one batch. Blocks of K of that panel are
// packed onto the stack; the sums go on from what the block before has stored, so that an element
// is one chain, k ascending.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelCall.h"
#include "graft/Codegen/Cpu/Kernels/PanelPacking.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

using Values = KernelBuilder::Values;

static constexpr int64_t kDepthBlock = 128, kRowBlock = 128;

namespace {
struct BatchMatmulKernel {
  BatchMatmulKernel(KernelBuilder &b, BatchMatmulOp op, ValueRange arguments)
      : b(b), op(op), x(arguments[0]), y(arguments[1]), out(arguments[2]),
        rank(op.getInitType().getRank()) {}

  void readSizes() {
    m = b.dim(out, rank - 2), n = b.dim(out, rank - 1);
    k = b.dim(x, op.getTransposeA() ? rank - 2 : rank - 1);
    panels = b.ceilDiv(n, b.index(b.target.panel()));
    blocks = b.ceilDiv(m, b.index(kRowBlock));
  }

  KernelCall::Work plan() {
    readSizes();
    Value total = b.mul(panels, blocks);
    for (int64_t d = 0; d + 2 < rank; ++d)
      total = b.mul(total, b.dim(out, d));
    Value rows = b.add(b.ceilDiv(m, b.max(blocks, b.index(1))), 10);
    return {total, b.add(b.div(b.mul(b.mul(rows, k), b.index(b.target.panel())), b.index(50)), 1)};
  }

  void build(Value task) {
    readSizes();
    int64_t lanes = b.target.lanes, width = b.target.panel(), tile = b.target.tileRows();
    Value column = b.mul(b.rem(task, panels), b.index(width)), rest = b.div(task, panels);
    Value block = b.rem(rest, blocks);
    rest = b.div(rest, blocks);
    Values batch(rank - 2);
    for (int64_t d = rank - 3; d >= 0; --d) {
      Value size = b.dim(out, d);
      batch[d] = b.rem(rest, size);
      rest = b.div(rest, size);
    }
    Value first = b.share(block, blocks, m),
          count = b.sub(b.share(b.add(block, 1), blocks, m), first);
    Value tiles = b.ceilDiv(count, b.index(tile));
    Value panel = b.scratch({kDepthBlock, width});
    // Sums of half precision would be rounded at each block of K: they are kept beside.
    bool isWide = cast<MemRefType>(out.getType()).getElementType().isF32();
    Value sumsOf = isWide ? out : b.scratch({kRowBlock, width});
    Values lane, mask;
    for (int64_t v = 0; v < width; v += lanes) {
      lane.push_back(b.add(column, v));
      mask.push_back(b.lanesBelow(b.sub(n, lane.back())));
    }
    auto sumPlace = [&](Value row, unsigned v) {
      return isWide ? place(out, batch, row, lane[v], false)
                    : Values{b.sub(row, first), b.index(v * lanes)};
    };
    auto sumMask = [&](unsigned v) { return isWide ? mask[v] : Value(); };
    b.loop(first, b.add(first, count), 1, [&](Value row) {
      for (unsigned v = 0; v < 2; ++v)
        b.storeVector(b.splat(0.0f), sumsOf, sumPlace(row, v), sumMask(v));
    });
    auto type = cast<MemRefType>(y.getType());
    SmallVector<int64_t> strides;
    int64_t offset;
    (void)type.getStridesAndOffset(strides, offset);
    bool dense = strides.back() == 1, transposed = op.getTransposeB();
    PanelSource source{
        y, [&, transposed](Value c, Value d) { return place(y, batch, d, c, transposed); },
        dense && transposed, dense && !transposed};
    b.loop(b.index(0), k, kDepthBlock, [&](Value start) {
      Value depth = b.min(b.sub(k, start), b.index(kDepthBlock));
      packPanel(b, source, panel, {}, column, n, start, depth);
      b.loop(b.index(0), tiles, 1, {first}, [&](Value t, ValueRange carried) -> Values {
        Value m0 = carried[0], m1 = b.add(first, b.share(b.add(t, 1), tiles, count));
        b.switchExact(b.sub(m1, m0), tile, [&](unsigned rows) {
          Values row, sums;
          for (unsigned r = 0; r < rows; ++r) {
            row.push_back(b.add(m0, r));
            for (unsigned v = 0; v < 2; ++v)
              sums.push_back(b.loadVector(sumsOf, sumPlace(row[r], v), sumMask(v)));
          }
          sums = accumulateTile(
              b, rows, 2, depth, sums,
              [&](unsigned r, Value d) {
                return b.load(x, place(x, batch, row[r], b.add(start, d), op.getTransposeA()));
              },
              [&](unsigned v, Value d) { return b.loadVector(panel, {d, b.index(v * lanes)}); });
          for (unsigned r = 0; r < rows; ++r)
            for (unsigned v = 0; v < 2; ++v)
              b.storeVector(sums[r * 2 + v], sumsOf, sumPlace(row[r], v), sumMask(v));
        });
        return {m1};
      });
    });
    if (isWide)
      return;
    b.loop(first, b.add(first, count), 1, [&](Value row) {
      for (unsigned v = 0; v < 2; ++v)
        b.storeVector(b.loadVector(sumsOf, sumPlace(row, v)), out,
                      place(out, batch, row, lane[v], false), mask[v]);
    });
  }

private:
  /// The indices of an operand, whose batch dimensions may be 1.
  Values place(Value memref, ValueRange batch, Value row, Value column, bool transposed) {
    auto type = cast<MemRefType>(memref.getType());
    Values at;
    for (int64_t d = 0; d + 2 < rank; ++d)
      at.push_back(type.getDimSize(d) == 1 ? b.index(0) : batch[d]);
    at.push_back(transposed ? column : row);
    at.push_back(transposed ? row : column);
    return at;
  }

  KernelBuilder &b;
  BatchMatmulOp op;
  Value x, y, out;
  int64_t rank;
  Value m, n, k, panels, blocks;
};
} // namespace

std::optional<KernelCall> graft::prepareBatchMatmul(BatchMatmulOp op, KernelBuilder &b) {
  auto type = cast<MemRefType>(op.getInit().getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!isKernelFloat(type.getElementType()) || failed(type.getStridesAndOffset(strides, offset)) ||
      strides.back() != 1)
    return std::nullopt;
  KernelCall call;
  call.name = "batch_matmul";
  for (Value operand : op->getOperands())
    call.operands.push_back(withDynamicOffset(b, operand));
  call.use<BatchMatmulKernel>(op);
  return call;
}
