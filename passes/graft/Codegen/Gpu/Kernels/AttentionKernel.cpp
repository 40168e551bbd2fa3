//===- AttentionKernel.cpp - Attention in one kernel -------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block has rows of queries that see the same keys: those of all heads that share a head of keys.
// It goes through the keys, 64 at a time, with the greatest score and the sum so far (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", 2018). A lane has two keys of each of
// its warp's rows while it makes scores, columns of them while it adds up values. What becomes of a
// row does not depend on the others of its block, nor on how many those are.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/KernelFunction.h"
#include "graft/Codegen/Gpu/KernelTraffic.h"
#include "graft/Codegen/Gpu/Kernels/DeviceBuilder.h"
#include "graft/Codegen/Gpu/Kernels/DeviceKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

static constexpr unsigned kWarps = 8;
static constexpr int64_t kLanes = DeviceBuilder::kLanes;
/// Keys and values that are in the block's memory at a time, and how much of each.
static constexpr int64_t kKeys = 2 * kLanes;
static constexpr int64_t kPiece = 64;
/// What a thread may have of its rows' sums, and a block of memory.
static constexpr int64_t kMostSums = 16;
static constexpr int64_t kBlockBytes = 48 * 1024;
/// Elements that a thread reads before it stores the first of them.
static constexpr int64_t kAhead = 4;

namespace {
class AttentionKernel {
public:
  using Values = DeviceBuilder::Values;

  explicit AttentionKernel(AttentionOp op)
      : op(op), operands{op.getQ(), op.getK(), op.getV(), op.getInit()},
        layouts{op.getQLayout(), op.getKLayout(), op.getVLayout(), op.getOutLayout()} {}

  bool isPossible();
  void convert();

private:
  enum Operand { Q, K, V, Out };
  /// Where a row of queries belongs.
  struct Row {
    Value isRow, head, query;
  };

  int64_t staticSize(Operand which, char letter) const {
    return cast<MemRefType>(operands[which].getType()).getDimSize(layouts[which].find(letter));
  }
  int64_t depth() const { return staticSize(Q, 'd'); }
  int64_t columns() const { return staticSize(V, 'd'); }
  int64_t paddedDepth() const { return llvm::alignTo(depth(), 4); }
  // Rows of keys are so long that the lanes that read at once read different banks.
  int64_t keyStride() const { return (std::min(paddedDepth(), kPiece) / 4 | 1) * 4; }
  int64_t valueStride() const { return std::min(columns(), kPiece) | 1; }
  int64_t tileSize() const { return kKeys * std::max(keyStride(), valueStride()); }
  /// Of a piece of the values that begins at a column: columns a lane.
  int64_t shareOf(int64_t piece) const {
    return int64_t(llvm::divideCeil(std::min(columns() - piece, kPiece), kLanes));
  }
  int64_t share() const {
    int64_t sum = 0;
    for (int64_t piece = 0; piece < columns(); piece += kPiece)
      sum += shareOf(piece);
    return sum;
  }
  bool fits(unsigned rows) const {
    const int64_t blockRows = int64_t(kWarps) * rows;
    return rows * share() <= kMostSums &&
           (blockRows * (paddedDepth() + kKeys) + tileSize()) * 4 <= kBlockBytes;
  }

  void launch(OpBuilder &host, Value blocks, unsigned rows);
  void build();
  /// The rows of one block: all but where they are stored.
  void buildTile(Value batch, Value kvHead, Value first);
  Values addScores(Value base, Value batch, Value kvHead, Value isActive);
  Values weigh(ArrayRef<Row> rows, Value base, Value batch, ValueRange scores, Values carried);
  void addValues(Value base, Value batch, Value kvHead, Value isActive, Values &carried);
  void finish(ArrayRef<Row> rows, Value batch, ValueRange carried);

  Value size(Operand which, char letter);
  Value load(Operand which, Value batch, Value head, Value s, Value d);
  Value mask(Value isInside, Value batch, const Row &row, Value key, Value score);
  /// The threads of the block fill `count` rows of `width` elements; rows first if these are next
  /// to each other where they are read.
  void fill(Value to, int64_t count, int64_t width, int64_t stride, bool areRowsNear,
            function_ref<Value(Value row, Value column, Value isInside)> read);
  Values loadFour(Value address);
  Value real(double value) { return b->real(f32, value); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(*b, x, y, z); }
  Value mulf(Value x, Value y) { return arith::MulFOp::create(*b, x, y); }
  Value exp(Value x, Value greatest) {
    return math::ExpOp::create(*b, arith::SubFOp::create(*b, x, greatest));
  }
  /// Of what a row carries: the greatest score, a lane's part of the sum, the sums of columns.
  size_t greatestAt(unsigned r) const { return r; }
  size_t totalAt(unsigned r) const { return rowsOfWarp + r; }
  size_t sumsAt(unsigned r) const { return 2 * rowsOfWarp + size_t(r * share()); }

  AttentionOp op;
  Value operands[4];
  StringRef layouts[4];

  DeviceBuilder *b = nullptr;
  Type f32;
  unsigned rowsOfWarp = 1;
  SmallVector<Value> inKernel;
  Value queries, powers, tile; ///< of the block's memory
  Value thread, warp, lane, group, queryCount, keyCount, rowCount;
};
} // namespace

bool AttentionKernel::isPossible() {
  Type element = getElementTypeOrSelf(op.getInit().getType());
  return (element.isF32() || element.isF16() || element.isBF16()) &&
         !ShapedType::isDynamic(depth()) && !ShapedType::isDynamic(columns()) && fits(1) &&
         llvm::all_of(op->getOperandTypes(), [](Type type) { return canPass(type); });
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value AttentionKernel::size(Operand which, char letter) {
  const int64_t known = staticSize(which, letter);
  if (!ShapedType::isDynamic(known))
    return b->i32(known);
  return b->narrow(memref::DimOp::create(*b, inKernel[which], layouts[which].find(letter)));
}

static SmallVector<Value> inLayout(StringRef layout, ArrayRef<Value> bhsd) {
  SmallVector<Value> at;
  for (char letter : layout)
    at.push_back(bhsd[StringRef("bhsd").find(letter)]);
  return at;
}

Value AttentionKernel::load(Operand which, Value batch, Value head, Value s, Value d) {
  Value x = memref::LoadOp::create(
      *b, inKernel[which],
      inLayout(layouts[which], {b->index(batch), b->index(head), b->index(s), b->index(d)}));
  return x.getType().isF32() ? x : arith::ExtFOp::create(*b, f32, x);
}

Value AttentionKernel::mask(Value isInside, Value batch, const Row &row, Value key, Value score) {
  auto type = cast<MemRefType>(op.getMask().getType());
  const bool isChoice = type.getElementType().isInteger(1);
  Value none = isChoice ? arith::ConstantOp::create(*b, b->getBoolAttr(false)) : real(0);
  Value read = b->when(isInside, none, [&]() -> Values {
    Value all[] = {b->index(batch), b->index(row.head), b->index(row.query), b->index(key)};
    Values at;
    for (int64_t d = 0; d < type.getRank(); ++d)
      at.push_back(type.getDimSize(d) == 1 ? arith::ConstantIndexOp::create(*b, 0)
                                           : all[4 - type.getRank() + d]);
    Value x = memref::LoadOp::create(*b, inKernel[4], at);
    if (!isChoice && !x.getType().isF32())
      x = arith::ExtFOp::create(*b, f32, x);
    return {x};
  })[0];
  return isChoice ? b->select(read, score, real(-std::numeric_limits<double>::infinity()))
                  : arith::AddFOp::create(*b, score, read);
}

void AttentionKernel::fill(Value to, int64_t count, int64_t width, int64_t stride, bool areRowsNear,
                           function_ref<Value(Value, Value, Value)> read) {
  // A thread stays in its column, or row: what it adds to addresses from step to step is constant.
  const int64_t total = areRowsNear ? width : count,
                near = int64_t(llvm::PowerOf2Ceil(uint64_t(areRowsNear ? count : width))),
                together = kWarps * kLanes / near,
                steps = int64_t(llvm::divideCeil(total, together)), ahead = std::min(kAhead, steps);
  Value inner = b->rem(thread, near), start = b->div(thread, near);
  Value isNear = arith::ConstantOp::create(*b, b->getBoolAttr(true));
  if (near != (areRowsNear ? count : width))
    isNear = b->isBelow(inner, areRowsNear ? count : width);
  b->loop(start, b->i32(total), b->i32(ahead * together), [&](Value from) {
    Values inside, places, values;
    for (int64_t next = 0; next < ahead; ++next) {
      Value outer = b->add(from, next * together);
      Value row = areRowsNear ? inner : outer, column = areRowsNear ? outer : inner;
      inside.push_back(steps % ahead == 0 && total % together == 0
                           ? isNear
                           : b->both(isNear, b->isBelow(outer, total)));
      places.push_back(b->at(to, f32, b->add(b->mul(row, stride), column)));
      values.push_back(read(row, column, inside.back()));
    }
    for (auto [isInside, at, x] : llvm::zip(inside, places, values))
      b->when(isInside, [&b = *b, at = at, x = x] { b.store(x, at); });
  });
}

AttentionKernel::Values AttentionKernel::loadFour(Value address) {
  Value four = b->load(VectorType::get(4, f32), address);
  Values values;
  for (int64_t i = 0; i < 4; ++i)
    values.push_back(LLVM::ExtractElementOp::create(*b, four, b->i32(i)));
  return values;
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

AttentionKernel::Values AttentionKernel::addScores(Value base, Value batch, Value kvHead,
                                                   Value isActive) {
  Values scores(rowsOfWarp * 2, real(0));
  for (int64_t piece = 0; piece < paddedDepth(); piece += kPiece) {
    const int64_t width = std::min(paddedDepth() - piece, kPiece);
    b->barrier();
    fill(tile, kKeys, width, keyStride(), layouts[K].back() == 's',
         [&](Value row, Value column, Value isInside) {
           Value key = b->add(base, row), d = b->add(column, piece);
           isInside = b->both(isInside, b->isBelow(key, keyCount));
           if (depth() != paddedDepth())
             isInside = b->both(isInside, b->isBelow(d, depth()));
           return b->when(isInside, real(0),
                          [&]() -> Values { return {load(K, batch, kvHead, key, d)}; })[0];
         });
    b->barrier();
    scores = b->when(isActive, scores, [&] {
      return b->loop(b->i32(0), b->i32(width), b->i32(4), scores, [&](Value d, ValueRange carried) {
        Values sums(carried), keys[2];
        for (int64_t j = 0; j < 2; ++j) {
          Value row = b->mul(b->add(lane, j * kLanes), keyStride());
          keys[j] = loadFour(b->at(tile, f32, b->add(row, d)));
        }
        for (unsigned r = 0; r < rowsOfWarp; ++r) {
          Value row = b->mul(b->add(b->mul(warp, rowsOfWarp), r), paddedDepth());
          Values query = loadFour(b->at(queries, f32, b->add(b->add(row, piece), d)));
          for (unsigned j = 0; j < 2; ++j)
            for (unsigned i = 0; i < 4; ++i)
              sums[r * 2 + j] = fma(query[i], keys[j][i], sums[r * 2 + j]);
        }
        return sums;
      });
    });
  }
  return scores;
}

AttentionKernel::Values AttentionKernel::weigh(ArrayRef<Row> rows, Value base, Value batch,
                                               ValueRange scores, Values carried) {
  Value none = real(-std::numeric_limits<double>::infinity());
  Value scale = real(op.getScale().convertToDouble());
  for (unsigned r = 0; r < rowsOfWarp; ++r) {
    Values own;
    for (unsigned j = 0; j < 2; ++j) {
      Value key = b->add(b->add(base, lane), j * kLanes), isKey = b->isBelow(key, keyCount);
      Value score = mulf(scores[r * 2 + j], scale);
      if (op.getMask())
        score = mask(b->both(isKey, rows[r].isRow), batch, rows[r], key, score);
      if (op.getCausal())
        isKey = b->both(
            isKey, b->isBelow(b->add(key, queryCount), b->add(b->add(rows[r].query, keyCount), 1)));
      own.push_back(b->select(isKey, score, none));
    }
    Value before = carried[greatestAt(r)];
    Value greatest = b->greatestOfLanes(arith::MaximumFOp::create(*b, own[0], own[1]));
    greatest = arith::MaximumFOp::create(*b, before, greatest);
    Value shrink = exp(before, greatest);
    carried[greatestAt(r)] = greatest;
    Value row = b->mul(b->add(b->mul(warp, rowsOfWarp), r), kKeys);
    for (Value &x : own)
      x = exp(x, greatest);
    for (unsigned j = 0; j < 2; ++j)
      b->store(own[j], b->at(powers, f32, b->add(b->add(row, lane), j * kLanes)));
    carried[totalAt(r)] =
        fma(carried[totalAt(r)], shrink, arith::AddFOp::create(*b, own[0], own[1]));
    for (size_t c = 0; c < size_t(share()); ++c)
      carried[sumsAt(r) + c] = mulf(carried[sumsAt(r) + c], shrink);
  }
  return carried;
}

void AttentionKernel::addValues(Value base, Value batch, Value kvHead, Value isActive,
                                Values &carried) {
  size_t done = 0; // of a lane's columns
  for (int64_t piece = 0; piece < columns(); piece += kPiece) {
    const int64_t width = std::min(columns() - piece, kPiece);
    const auto own = size_t(shareOf(piece));
    b->barrier();
    fill(tile, kKeys, width, valueStride(), layouts[V].back() == 's',
         [&](Value row, Value column, Value isInside) {
           Value key = b->add(base, row);
           isInside = b->both(isInside, b->isBelow(key, keyCount));
           return b->when(isInside, real(0), [&]() -> Values {
             return {load(V, batch, kvHead, key, b->add(column, piece))};
           })[0];
         });
    b->barrier();
    Values sums, at;
    for (unsigned r = 0; r < rowsOfWarp; ++r)
      for (size_t c = 0; c < own; ++c)
        sums.push_back(carried[sumsAt(r) + done + c]);
    for (size_t c = 0; c < own; ++c) { // lanes beyond the last column compute it too
      Value column = b->add(lane, int64_t(c) * kLanes);
      at.push_back(int64_t(c + 1) * kLanes <= width ? column : b->min(column, b->i32(width - 1)));
    }
    sums = b->when(isActive, sums, [&] {
      return b->loop(b->i32(0), b->i32(kKeys), b->i32(4), sums, [&](Value key, ValueRange before) {
        Values next(before), weights[8];
        for (unsigned r = 0; r < rowsOfWarp; ++r) {
          Value row = b->mul(b->add(b->mul(warp, rowsOfWarp), r), kKeys);
          weights[r] = loadFour(b->at(powers, f32, b->add(row, key)));
        }
        for (unsigned i = 0; i < 4; ++i)
          for (size_t c = 0; c < own; ++c) {
            Value x = b->load(
                f32, b->at(tile, f32, b->add(b->mul(b->add(key, i), valueStride()), at[c])));
            for (unsigned r = 0; r < rowsOfWarp; ++r)
              next[r * own + c] = fma(weights[r][i], x, next[r * own + c]);
          }
        return next;
      });
    });
    for (unsigned r = 0; r < rowsOfWarp; ++r)
      for (size_t c = 0; c < own; ++c)
        carried[sumsAt(r) + done + c] = sums[r * own + c];
    done += own;
  }
}

void AttentionKernel::finish(ArrayRef<Row> rows, Value batch, ValueRange carried) {
  Type element = getElementTypeOrSelf(op.getInit().getType());
  for (unsigned r = 0; r < rowsOfWarp; ++r) {
    Value total = b->sumOfLanes(carried[totalAt(r)]);
    Value none = arith::CmpFOp::create(*b, arith::CmpFPredicate::OEQ, total, real(0));
    Value inverse = arith::DivFOp::create(*b, real(1), b->select(none, real(1), total));
    size_t next = sumsAt(r);
    for (int64_t piece = 0; piece < columns(); piece += kPiece)
      for (int64_t c = 0; c < shareOf(piece); ++c) {
        Value column = b->add(lane, piece + c * kLanes);
        Value isInside = rows[r].isRow;
        if (piece + (c + 1) * kLanes > columns())
          isInside = b->both(isInside, b->isBelow(column, columns()));
        Value x = mulf(carried[next++], inverse);
        if (!element.isF32())
          x = arith::TruncFOp::create(*b, element, x);
        b->when(isInside, [&] {
          memref::StoreOp::create(
              *b, x, inKernel[Out],
              inLayout(layouts[Out], {b->index(batch), b->index(rows[r].head),
                                      b->index(rows[r].query), b->index(column)}));
        });
      }
  }
}

void AttentionKernel::buildTile(Value batch, Value kvHead, Value first) {
  auto rowAt = [&](Value number) {
    Value head = b->add(b->mul(kvHead, group), b->div(number, queryCount));
    return Row{b->isBelow(number, rowCount), head, b->rem(number, queryCount)};
  };
  const int64_t blockRows = int64_t(kWarps) * rowsOfWarp;
  b->barrier();
  for (int64_t piece = 0; piece < paddedDepth(); piece += kPiece)
    fill(b->at(queries, f32, piece), blockRows, std::min(paddedDepth() - piece, kPiece),
         paddedDepth(), layouts[Q].back() == 's', [&](Value row, Value column, Value isInside) {
           Row of = rowAt(b->add(first, row));
           Value d = b->add(column, piece);
           isInside = b->both(b->both(isInside, of.isRow), b->isBelow(d, depth()));
           return b->when(isInside, real(0),
                          [&]() -> Values { return {load(Q, batch, of.head, of.query, d)}; })[0];
         });

  SmallVector<Row> rows;
  for (unsigned r = 0; r < rowsOfWarp; ++r)
    rows.push_back(rowAt(b->add(b->add(first, b->mul(warp, rowsOfWarp)), r)));
  Value isActive = rows[0].isRow, end = keyCount;
  if (op.getCausal()) {
    // The keys that the last of the block's queries sees.
    Value last = b->sub(b->min(b->add(first, blockRows), rowCount), b->i32(1));
    Value isOneHead = arith::CmpIOp::create(*b, arith::CmpIPredicate::eq, b->div(first, queryCount),
                                            b->div(last, queryCount));
    Value seen = b->select(isOneHead, b->add(b->rem(last, queryCount), 1), queryCount);
    end = arith::MaxSIOp::create(*b, b->sub(b->add(seen, keyCount), queryCount), b->i32(0));
  }
  Values inits(sumsAt(rowsOfWarp), real(0));
  for (unsigned r = 0; r < rowsOfWarp; ++r)
    inits[greatestAt(r)] = real(-double(std::numeric_limits<float>::max()));
  Values carried =
      b->loop(b->i32(0), end, b->i32(kKeys), inits, [&](Value base, ValueRange before) {
        Values next(before), scores = addScores(base, batch, kvHead, isActive);
        next = b->when(isActive, next, [&] { return weigh(rows, base, batch, scores, next); });
        addValues(base, batch, kvHead, isActive, next);
        return next;
      });
  b->when(isActive, [&] { finish(rows, batch, carried); });
}

void AttentionKernel::build() {
  f32 = b->getF32Type();
  thread = b->thread();
  warp = b->div(thread, kLanes);
  lane = b->rem(thread, kLanes);
  queryCount = size(Q, 's');
  keyCount = size(K, 's');
  Value batches = size(Q, 'b'), kvHeads = size(K, 'h');
  group = b->div(size(Q, 'h'), kvHeads);
  rowCount = b->mul(group, queryCount);
  Value across = b->ceilDiv(rowCount, int64_t(kWarps) * rowsOfWarp);
  b->loop(b->block(), b->mul(b->mul(batches, kvHeads), across), b->blocks(), [&](Value number) {
    Value pair = b->div(number, across);
    buildTile(b->div(pair, kvHeads), b->rem(pair, kvHeads),
              b->mul(b->rem(number, across), int64_t(kWarps) * rowsOfWarp));
  });
}

void AttentionKernel::launch(OpBuilder &host, Value blocks, unsigned rows) {
  Location loc = op.getLoc();
  SmallVector<Value> captured{ArrayRef<Value>(operands)};
  if (op.getMask())
    captured.push_back(op.getMask());
  KernelFunction kernel = KernelFunction::create(host, loc, "attention", blocks,
                                                 kWarps * DeviceBuilder::kLanes, captured);
  setTraffic(kernel.launch, symbolicBytes(op->getOperands()), std::nullopt);
  OpBuilder builder(kernel.function.getBody().front().getTerminator());
  DeviceBuilder device(loc, builder);
  b = &device;
  rowsOfWarp = rows;
  inKernel = kernel.values;
  auto module = kernel.function->getParentOfType<gpu::GPUModuleOp>();
  std::string name = kernel.function.getName().str();
  auto shared = [&](StringRef what, int64_t count) {
    return b->shared(module, (name + "_" + what).str(), b->getF32Type(),
                     std::max<int64_t>(count, 1));
  };
  const int64_t blockRows = int64_t(kWarps) * rows;
  queries = shared("queries", blockRows * paddedDepth());
  powers = shared("powers", blockRows * kKeys);
  tile = shared("tile", tileSize());
  build();
}

void AttentionKernel::convert() {
  OpBuilder host(op);
  Location loc = op.getLoc();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(host, loc, value);
  };
  auto sizeOf = [&](Operand which, char letter) -> Value {
    return memref::DimOp::create(host, loc, operands[which], layouts[which].find(letter));
  };
  auto mul = [&](Value x, Value y) -> Value { return arith::MulIOp::create(host, loc, x, y); };
  Value kvHeads = sizeOf(K, 'h');
  Value group = arith::DivUIOp::create(host, loc, sizeOf(Q, 'h'),
                                       arith::MaxUIOp::create(host, loc, kvHeads, constant(1)));
  Value rows = mul(group, sizeOf(Q, 's')), pairs = mul(sizeOf(Q, 'b'), kvHeads);
  auto blocksWith = [&](unsigned rowsOfWarp) {
    return mul(pairs,
               arith::CeilDivUIOp::create(host, loc, rows, constant(int64_t(kWarps) * rowsOfWarp)));
  };
  unsigned most = 4;
  while (!fits(most))
    most /= 2;
  if (most == 1) {
    launch(host, blocksWith(1), 1);
  } else {
    // Warps with several rows read less, where there is enough to do for all processors.
    Value blocks = blocksWith(most);
    Value isMany = arith::CmpIOp::create(host, loc, arith::CmpIPredicate::uge, blocks,
                                         loadProcessors(host, loc));
    auto choice = scf::IfOp::create(host, loc, isMany, /*withElseRegion=*/true);
    host.setInsertionPointToStart(choice.thenBlock());
    launch(host, blocks, most);
    host.setInsertionPointToStart(choice.elseBlock());
    launch(host, blocksWith(1), 1);
  }
  op->erase();
}

bool graft::convertToKernel(AttentionOp op) {
  AttentionKernel kernel(op);
  if (!kernel.isPossible())
    return false;
  kernel.convert();
  return true;
}
