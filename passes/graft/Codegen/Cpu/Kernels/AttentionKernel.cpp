//===- AttentionKernel.cpp - Attention with an online softmax ----*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A task is a block of query rows of one head. It goes over blocks of keys: these are transposed
// into panels on the stack, then tiles of rows get their scores, which stay in the first-level
// cache until they have become weights of the values. Running maximum, sum and output of each row
// wait on the stack. No score is ever in memory, and nothing is allocated.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelCall.h"
#include "graft/Codegen/Cpu/Kernels/PanelPacking.h"
#include "graft/Codegen/Cpu/Kernels/VectorMath.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

using Values = KernelBuilder::Values;

/// Query rows of a task.
static constexpr int64_t kQueryBlock = 128;
/// Head sizes beyond this would take too much of the stack.
static constexpr int64_t kMostDepth = 256;

namespace {
struct AttentionKernel {
  AttentionKernel(KernelBuilder &b, AttentionOp op, ValueRange arguments)
      : b(b), op(op), q(arguments[0]), k(arguments[1]), v(arguments[2]),
        mask(op.getMask() ? arguments[3] : Value()), out(arguments[op.getMask() ? 4 : 3]) {
    depth = size(op.getQ(), op.getQLayout(), 'd');
    if (ShapedType::isDynamic(depth))
      depth = size(op.getK(), op.getKLayout(), 'd');
    columns = size(op.getV(), op.getVLayout(), 'd');
    keyBlock = depth > 128 ? 64 : 128;
    rowsPerTile = b.target.lanes == 16 ? 8 : 6;
  }

  static int64_t size(Value memref, StringRef layout, char letter) {
    return cast<MemRefType>(memref.getType()).getDimSize(layout.find(letter));
  }
  Value sizeOf(Value memref, StringRef layout, char letter) {
    int64_t known = size(memref, layout, letter);
    return ShapedType::isDynamic(known) ? b.dim(memref, layout.find(letter)) : b.index(known);
  }
  static Values place(StringRef layout, Value batch, Value head, Value s, Value d) {
    Values at;
    for (char letter : layout)
      at.push_back(letter == 'b' ? batch : letter == 'h' ? head : letter == 's' ? s : d);
    return at;
  }

  void readSizes() {
    heads = sizeOf(q, op.getQLayout(), 'h');
    rows = sizeOf(q, op.getQLayout(), 's');
    keys = sizeOf(k, op.getKLayout(), 's');
    blocks = b.ceilDiv(rows, b.index(kQueryBlock));
  }

  KernelCall::Work plan() {
    readSizes();
    Value share = b.ceilDiv(rows, b.max(blocks, b.index(1)));
    return {b.mul(b.mul(sizeOf(q, op.getQLayout(), 'b'), heads), blocks),
            b.add(b.div(b.mul(b.mul(share, keys), b.index(depth + columns)), b.index(40)), 1)};
  }

  void build(Value task) {
    readSizes();
    int64_t lanes = b.target.lanes, width = b.target.panel();
    Value block = b.rem(task, blocks), plane = b.div(task, blocks);
    batch = b.div(plane, heads), head = b.rem(plane, heads);
    kvHead = b.div(head, b.div(heads, sizeOf(k, op.getKLayout(), 'h')));
    first = b.share(block, blocks, rows);
    Value last = b.share(b.add(block, 1), blocks, rows), count = b.sub(last, first);
    Value tiles = b.ceilDiv(count, b.index(rowsPerTile));

    columnVectors = (columns + lanes - 1) / lanes;
    if (columns % lanes)
      columnMask = b.lanesBelow(b.index(columns % lanes));
    panels = b.scratch({keyBlock / width, depth, width});
    scores = b.scratch({rowsPerTile, keyBlock});
    sums = b.scratch({kQueryBlock, columnVectors * lanes});
    greatest = b.scratch({kQueryBlock});
    totals = b.scratch({kQueryBlock});
    maskRow = needsMaskRow() ? b.scratch({keyBlock}) : Value();

    b.loop(b.index(0), count, 1, [&](Value row) {
      b.store(b.scalar(-std::numeric_limits<float>::max()), greatest, row);
      b.store(b.scalar(0.0f), totals, row);
      for (int64_t c = 0; c < columnVectors; ++c)
        b.storeVector(b.splat(0.0f), sums, {row, b.index(c * lanes)});
    });
    // Under a causal mask no row of this block sees a key past that of its last row.
    Value end = keys;
    if (op.getCausal()) {
      end = arith::MaxSIOp::create(b, b.sub(b.add(last, keys), rows), b.index(0));
      end = b.min(end, keys);
    }
    b.loop(b.index(0), end, keyBlock, [&](Value key) {
      Value valid = b.min(b.sub(end, key), b.index(keyBlock));
      packKeys(key, valid);
      if (maskRow && !maskVaries('s'))
        fillMaskRow(b.index(0), key, valid);
      // Both rows are carried: LLVM would repeat the division that the first comes from for each
      // row and step.
      b.loop(b.index(0), tiles, 1, {b.index(0), first}, [&](Value t, ValueRange carried) -> Values {
        Value r0 = carried[0], query = carried[1];
        Value r1 = b.share(b.add(t, 1), tiles, count), n = b.sub(r1, r0);
        b.switchExact(n, rowsPerTile, [&](unsigned rows) { buildScores(rows, query, valid); });
        b.loop(b.index(0), n, 1,
               [&](Value r) { buildWeights(r, b.add(r0, r), b.add(query, r), key, valid); });
        b.switchExact(n, rowsPerTile, [&](unsigned rows) { addValues(rows, r0, key, valid); });
        return {r1, b.add(query, n)};
      });
    });
    b.loop(b.index(0), count, 1, [&](Value row) {
      // A row that saw no key has a total of zero, and is zero.
      Value total = b.load(totals, row);
      Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, total, b.scalar(0.0f));
      Value factor = b.divf(b.scalar(1.0f), b.select(none, b.scalar(1.0f), total));
      for (int64_t c = 0; c < columnVectors; ++c) {
        Value lane = b.index(c * lanes);
        b.storeVector(b.mulf(b.loadVector(sums, {row, lane}), b.broadcast(factor)), out,
                      place(op.getOutLayout(), batch, head, b.add(first, row), lane),
                      columnMaskOf(c));
      }
    });
  }

private:
  Value columnMaskOf(int64_t c) { return c + 1 == columnVectors ? columnMask : Value(); }

  void packKeys(Value key, Value valid) {
    StringRef layout = op.getKLayout();
    auto type = cast<MemRefType>(k.getType());
    SmallVector<int64_t> strides;
    int64_t offset;
    (void)type.getStridesAndOffset(strides, offset);
    bool dense = strides.back() == 1;
    PanelSource source{
        k, [&, layout](Value column, Value d) { return place(layout, batch, kvHead, column, d); },
        dense && layout.back() == 'd', dense && layout.back() == 's'};
    int64_t width = b.target.panel();
    Value limit = b.add(key, valid);
    b.loop(b.index(0), b.ceilDiv(valid, b.index(width)), 1, [&](Value p) {
      packPanel(b, source, panels, {p}, b.add(key, b.mul(p, b.index(width))), limit, b.index(0),
                b.index(depth));
    });
  }

  /// scores[r][key] = Q K
  void buildScores(unsigned rows, Value query, Value valid) {
    int64_t lanes = b.target.lanes, width = b.target.panel();
    b.loop(b.index(0), b.ceilDiv(valid, b.index(width)), 1, [&](Value p) {
      Values acc = accumulateTile(
          b, rows, 2, b.index(depth), Values(rows * 2, b.splat(0.0f)),
          [&](unsigned r, Value d) {
            return b.load(q, place(op.getQLayout(), batch, head, b.add(query, r), d));
          },
          [&](unsigned c, Value d) { return b.loadVector(panels, {p, d, b.index(c * lanes)}); });
      for (unsigned r = 0; r < rows; ++r)
        for (unsigned c = 0; c < 2; ++c)
          b.storeVector(acc[r * 2 + c], scores,
                        {b.index(r), b.add(b.mul(p, b.index(width)), c * lanes)});
    });
  }

  /// True if the mask has that dimension, and it isn't 1.
  bool maskVaries(char letter) {
    auto type = cast<MemRefType>(mask.getType());
    int64_t fromEnd = 4 - StringRef("bhst").find(letter);
    return type.getRank() >= fromEnd && type.getDimSize(type.getRank() - fromEnd) != 1;
  }

  /// Masks of bools, or whose keys aren't neighbours, are first written into a row.
  bool needsMaskRow() {
    if (!mask)
      return false;
    auto type = cast<MemRefType>(mask.getType());
    SmallVector<int64_t> strides;
    int64_t offset;
    (void)type.getStridesAndOffset(strides, offset);
    return !type.getElementType().isF32() || !maskVaries('t') || strides.back() != 1;
  }

  Values maskPlace(Value row, Value key) {
    Value bhst[] = {batch, head, row, key};
    auto type = cast<MemRefType>(mask.getType());
    Values at;
    for (int64_t d = 0; d < type.getRank(); ++d)
      at.push_back(type.getDimSize(d) == 1 ? b.index(0) : bhst[4 - type.getRank() + d]);
    return at;
  }

  void fillMaskRow(Value row, Value key, Value valid) {
    b.loop(b.index(0), valid, 1, [&](Value j) {
      Value x = b.load(mask, maskPlace(row, b.add(key, j)));
      if (!x.getType().isF32())
        x = b.select(x, b.scalar(0.0f), b.scalar(-std::numeric_limits<float>::infinity()));
      b.store(x, maskRow, j);
    });
  }

  /// scores[r] becomes e^(score − maximum); the row's maximum, total and output follow.
  void buildWeights(Value r, Value row, Value query, Value key, Value valid) {
    int64_t lanes = b.target.lanes;
    Value limit = valid;
    if (maskRow && maskVaries('s'))
      fillMaskRow(query, key, valid);
    if (op.getCausal()) {
      Value seen = b.sub(b.sub(b.add(b.add(query, 1), keys), rows), key);
      limit = arith::MinSIOp::create(b, seen, valid);
    }
    Value end = b.mul(b.ceilDiv(valid, b.index(b.target.panel())), b.index(b.target.panel()));
    Value lowest = b.splat(-std::numeric_limits<float>::infinity());
    Value scale = b.splat(op.getScale().convertToFloat());
    Value best =
        b.loop(b.index(0), end, lanes, {lowest}, [&](Value j, ValueRange carried) -> Values {
          Value here = b.lanesBelow(b.sub(limit, j));
          Value s = b.mulf(b.loadVector(scores, {r, j}), scale);
          if (maskRow)
            s = b.addf(s, b.loadVector(maskRow, {j}));
          else if (mask)
            s = b.addf(s, b.loadVector(mask, maskPlace(query, b.add(key, j)), here));
          s = b.select(here, s, lowest);
          b.storeVector(s, scores, {r, j});
          return {b.maxOrSecond(carried[0], s)};
        })[0];
    Value before = b.load(greatest, row);
    Value now = arith::MaxNumFOp::create(b, before, b.greatest(best));
    Value shift = b.broadcast(now);
    Value total =
        b.loop(b.index(0), end, lanes, {b.splat(0.0f)}, [&](Value j, ValueRange carried) -> Values {
          Value e = b.subf(b.loadVector(scores, {r, j}), shift);
          e = buildExpNonPositive(b, e, b.target.fma);
          b.storeVector(e, scores, {r, j});
          return {b.addf(carried[0], e)};
        })[0];
    Value factor = buildExpNonPositive(b, b.subf(before, now), b.target.fma);
    b.store(now, greatest, row);
    b.store(b.addf(b.mulf(b.load(totals, row), factor), b.sum(total)), totals, row);
    for (int64_t c = 0; c < columnVectors; ++c) {
      Value lane = b.index(c * lanes);
      b.storeVector(b.mulf(b.loadVector(sums, {row, lane}), b.broadcast(factor)), sums,
                    {row, lane});
    }
  }

  /// sums += weights · V
  void addValues(unsigned rows, Value r0, Value key, Value valid) {
    int64_t lanes = b.target.lanes;
    for (int64_t c = 0; c < columnVectors; c += 2) {
      unsigned vectors = std::min<int64_t>(2, columnVectors - c);
      Values acc, row;
      for (unsigned r = 0; r < rows; ++r) {
        row.push_back(b.add(r0, r));
        for (unsigned i = 0; i < vectors; ++i)
          acc.push_back(b.loadVector(sums, {row[r], b.index((c + i) * lanes)}));
      }
      acc = accumulateTile(
          b, rows, vectors, valid, acc,
          [&](unsigned r, Value j) { return b.load(scores, {b.index(r), j}); },
          [&](unsigned i, Value j) {
            return b.loadVector(
                v, place(op.getVLayout(), batch, kvHead, b.add(key, j), b.index((c + i) * lanes)),
                columnMaskOf(c + i));
          });
      for (unsigned r = 0; r < rows; ++r)
        for (unsigned i = 0; i < vectors; ++i)
          b.storeVector(acc[r * vectors + i], sums, {row[r], b.index((c + i) * lanes)});
    }
  }

  KernelBuilder &b;
  AttentionOp op;
  Value q, k, v, mask, out;
  int64_t depth, columns, keyBlock, rowsPerTile, columnVectors = 0;
  Value heads, rows, keys, blocks, batch, head, kvHead, first;
  Value panels, scores, sums, greatest, totals, maskRow, columnMask;
};
} // namespace

/// The last dimension is the head's, and dense.
static bool endsInHead(Value memref, StringRef layout) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(type.getStridesAndOffset(strides, offset)) && strides.back() == 1 &&
         layout.back() == 'd';
}

std::optional<KernelCall> graft::prepareAttention(AttentionOp op, KernelBuilder &b) {
  auto size = [](Value memref, StringRef layout) {
    return AttentionKernel::size(memref, layout, 'd');
  };
  int64_t depth = std::max(size(op.getQ(), op.getQLayout()), size(op.getK(), op.getKLayout()));
  int64_t columns = size(op.getV(), op.getVLayout());
  if (!isKernelFloat(op.getInitType().getElementType()) || depth < 1 || depth > kMostDepth ||
      columns < 1 || columns > kMostDepth || !endsInHead(op.getV(), op.getVLayout()) ||
      !endsInHead(op.getInit(), op.getOutLayout()))
    return std::nullopt;
  KernelCall call;
  call.name = "attention_" + std::to_string(depth);
  for (Value operand : op->getOperands())
    call.operands.push_back(withDynamicOffset(b, operand));
  call.use<AttentionKernel>(op);
  return call;
}
