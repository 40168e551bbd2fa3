//===- TileProduct.cpp - Rows by panels of a weight on tensor cores -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/Kernels/TileProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace graft;
using Values = TileProduct::Values;

TileProduct::TileProduct(DeviceBuilder &b, gpu::GPUModuleOp device, StringRef kernel,
                         TileShape shape, Type element)
    : b(b), shape(shape), element(element),
      aTile(b.shared(device, (kernel + "_a").str(), element, shape.stages * aStage())),
      bTile(b.shared(device, (kernel + "_b").str(), element, shape.stages * bStage())),
      thread(b.thread()), lane(b.rem(thread, DeviceBuilder::kLanes)) {
  Value warp = b.div(thread, DeviceBuilder::kLanes);
  warpRow = b.div(warp, shape.warpColumns);
  warpColumn = b.rem(warp, shape.warpColumns);
  group = b.div(lane, 4);
  quad = b.rem(lane, 4);
}

bool TileProduct::canCopy(Type element, int64_t depth, int64_t panel) {
  // A copy takes 4 or 16 bytes.
  const int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  return depth * bytes % 4 == 0 && panel * bytes % 16 == 0;
}

Values TileProduct::zero() {
  return Values(rowTiles() * columnTiles() * 4, b.real(b.getF32Type(), 0));
}

/// What a thread copies in each step, but for where in the sums the step is.
struct TileProduct::Copies {
  struct Piece {
    Value from;     ///< its address at k = 0
    Value k;        ///< of its first element, from the step's on
    Value to;       ///< in a stage, in elements
    Value isInside; ///< whether it is of a row or panel that there is
  };
  SmallVector<Piece> a, b;
  unsigned aWidth; ///< elements of a piece of a
};

TileProduct::Copies TileProduct::planCopies(const Factor &factor, Value first, Value last,
                                            Value column) {
  Copies copies;
  const unsigned threads = shape.threads();
  // Where rows do not begin at multiples of 16 bytes, 4 bytes at a time.
  copies.aWidth = unsigned(factor.depth % wide() == 0 ? wide() : 4 / bytes());
  const unsigned perRow = shape.depth / copies.aWidth;
  for (unsigned id = 0; id < shape.rows * perRow; id += threads) {
    Value own = b.add(thread, id), row = b.div(own, perRow);
    Value k = b.mul(b.rem(own, perRow), copies.aWidth), position = b.add(first, row);
    Value isInside = b.isBelow(position, last);
    // A row that there is, for what copies nothing.
    position = b.select(isInside, position, first);
    Value source = factor.row ? factor.row(position) : position;
    Value from = b.at(factor.x, element, b.add(b.mul(b.widen(source), factor.depth), b.widen(k)));
    copies.a.push_back({from, k, b.add(b.mul(row, aStride()), k), isInside});
  }
  // The rows of a panel follow one another: a step's are one piece of memory.
  const unsigned perPanel = unsigned(shape.depth * factor.panel / wide()),
                 perK = unsigned(factor.panel / wide());
  const unsigned panels = shape.columns / factor.panel;
  for (unsigned id = 0; id < panels * perPanel; id += threads) {
    Value own = b.add(thread, id), panel = b.div(own, perPanel), piece = b.rem(own, perPanel);
    Value k = b.div(piece, perK), c = b.mul(b.rem(piece, perK), wide());
    Value number = b.add(b.mul(column, panels), panel);
    Value isInside = b.isBelow(number, factor.panels);
    number = b.select(isInside, number, b.i32(0));
    Value offset =
        b.add(b.mul(b.widen(number), factor.depth * factor.panel), b.widen(b.mul(piece, wide())));
    Value to = b.add(b.mul(k, bStride()), b.add(b.mul(panel, factor.panel), c));
    copies.b.push_back({b.at(factor.weight, element, offset), k, to, isInside});
  }
  return copies;
}

void TileProduct::copy(const Factor &factor, const Copies &copies, Value k, Value stage) {
  Value aFrom = b.mul(stage, aStage()), bFrom = b.mul(stage, bStage());
  for (const Copies::Piece &piece : copies.a) {
    Value isInside = b.both(piece.isInside, b.isBelow(b.add(piece.k, k), factor.depth));
    b.copyAsync(b.at(aTile, element, b.add(aFrom, piece.to)),
                b.at(piece.from, element, b.select(isInside, k, b.i32(0))),
                unsigned(copies.aWidth * bytes()), isInside);
  }
  for (const Copies::Piece &piece : copies.b) {
    Value isInside = b.both(piece.isInside, b.isBelow(b.add(piece.k, k), factor.depth));
    Value offset = b.select(isInside, b.mul(k, factor.panel), b.i32(0));
    b.copyAsync(b.at(bTile, element, b.add(bFrom, piece.to)), b.at(piece.from, element, offset), 16,
                isInside);
  }
}

std::pair<Value, Value> TileProduct::split(Value factor) {
  // tf32 has 10 of f32's 23 bits of mantissa: rounded to the nearest, and what is left.
  Type word = b.getI32Type();
  Value bits = arith::BitcastOp::create(b, word, factor);
  Value near = b.both(b.add(bits, b.i32(1 << 12)), b.i32(~int32_t((1 << 13) - 1)));
  Value value = arith::BitcastOp::create(b, element, near);
  Value rest = arith::SubFOp::create(b, factor, value);
  return {near, arith::BitcastOp::create(b, word, rest)};
}

Value TileProduct::multiplyTile(ValueRange a, ValueRange w, Value sums) {
  Values c;
  for (int64_t i = 0; i < 4; ++i)
    c.push_back(LLVM::ExtractValueOp::create(b, sums, ArrayRef<int64_t>{i}));
  using NVVM::MMALayout;
  using NVVM::MMATypes;
  const MMATypes type = element.isF32()   ? MMATypes::tf32
                        : element.isF16() ? MMATypes::f16
                                          : MMATypes::bf16;
  const int64_t depth = element.isF32() ? 8 : 16;
  return NVVM::MmaOp::create(b, sums.getType(), a, w, c, ArrayRef<int64_t>{16, 8, depth},
                             std::nullopt, std::nullopt, std::array{type, type},
                             std::array{MMALayout::row, MMALayout::col});
}

/// Fragments as those of mma.m16n8k8 (PTX ISA, "Matrix Fragments for mma.m16n8k8", .tf32).
Values TileProduct::multiplySingle(Value stage, Values tiles) {
  Value aRow = b.add(b.mul(warpRow, warpTileRows()), group);
  Value aFrom = b.add(b.mul(stage, aStage()), b.add(b.mul(aRow, aStride()), quad));
  Value bColumn = b.add(b.mul(warpColumn, warpTileColumns()), group);
  Value bFrom = b.add(b.mul(stage, bStage()), b.add(b.mul(quad, bStride()), bColumn));
  Value aBase = b.at(aTile, element, aFrom), bBase = b.at(bTile, element, bFrom);
  for (unsigned k = 0; k < shape.depth; k += 8) {
    SmallVector<Values> aNear, aRest;
    for (unsigned m = 0; m < rowTiles(); ++m) {
      Values near, rest;
      for (unsigned i = 0; i < 4; ++i) {
        const int64_t offset = (m * 16 + i % 2 * 8) * aStride() + k + i / 2 * 4;
        auto [first, second] = split(b.load(element, b.at(aBase, element, offset)));
        near.push_back(first);
        rest.push_back(second);
      }
      aNear.push_back(near);
      aRest.push_back(rest);
    }
    for (unsigned n = 0; n < columnTiles(); ++n) {
      Values near, rest;
      for (unsigned i = 0; i < 2; ++i) {
        const int64_t offset = (k + i * 4) * bStride() + n * 8;
        auto [first, second] = split(b.load(element, b.at(bBase, element, offset)));
        near.push_back(first);
        rest.push_back(second);
      }
      for (unsigned m = 0; m < rowTiles(); ++m) {
        Value &tile = tiles[m * columnTiles() + n];
        tile = multiplyTile(aRest[m], near, tile);
        tile = multiplyTile(aNear[m], rest, tile);
        tile = multiplyTile(aNear[m], near, tile);
      }
    }
  }
  return tiles;
}

Values TileProduct::loadMatrices(Value address, bool isTransposed) {
  auto type =
      LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(4, b.getI32Type()));
  MLIRContext *context = b.getContext();
  auto shapeOf = NVVM::LdStMatrixShapeAttr::get(context, 8, 8);
  Value four = NVVM::LdMatrixOp::create(b, type, address, 4,
                                        isTransposed ? NVVM::MMALayout::col : NVVM::MMALayout::row,
                                        shapeOf, NVVM::LdStMatrixEltType::B16);
  Values parts;
  for (int64_t i = 0; i < 4; ++i) {
    Value part = LLVM::ExtractValueOp::create(b, four, ArrayRef<int64_t>{i});
    if (element.isF16())
      part = LLVM::BitcastOp::create(b, VectorType::get(2, element), part);
    parts.push_back(part);
  }
  return parts;
}

/// Fragments of mma.m16n8k16, of a as they lie, of b transposed (PTX ISA, "ldmatrix").
Values TileProduct::multiplyHalf(Value stage, Values tiles) {
  // A lane's row of one of four matrices: of a the rows 0 to 7 and 8 to 15, then the same at
  // k + 8; of b k and k + 8, then the same 8 columns later.
  Value row = b.rem(lane, 8), second = b.rem(b.div(lane, 8), 2), third = b.div(lane, 16);
  Value aRow = b.add(b.mul(warpRow, warpTileRows()), b.add(b.mul(second, 8), row));
  Value aFrom = b.add(b.mul(stage, aStage()), b.add(b.mul(aRow, aStride()), b.mul(third, 8)));
  Value bRow = b.add(b.mul(second, 8), row);
  Value bColumn = b.add(b.mul(warpColumn, warpTileColumns()), b.mul(third, 8));
  Value bFrom = b.add(b.mul(stage, bStage()), b.add(b.mul(bRow, bStride()), bColumn));
  Value aBase = b.at(aTile, element, aFrom), bBase = b.at(bTile, element, bFrom);
  for (unsigned k = 0; k < shape.depth; k += 16) {
    SmallVector<Values> a;
    for (unsigned m = 0; m < rowTiles(); ++m)
      a.push_back(loadMatrices(b.at(aBase, element, m * 16 * aStride() + k), false));
    for (unsigned n = 0; n < columnTiles(); n += 2) {
      Values pair = loadMatrices(b.at(bBase, element, k * bStride() + n * 8), true);
      for (unsigned half = 0; half < 2; ++half)
        for (unsigned m = 0; m < rowTiles(); ++m) {
          Value &tile = tiles[m * columnTiles() + n + half];
          tile = multiplyTile(a[m], ValueRange(pair).slice(half * 2, 2), tile);
        }
    }
  }
  return tiles;
}

Values TileProduct::multiply(Value stage, Values sums) {
  auto quads =
      LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(4, b.getF32Type()));
  Values tiles;
  for (size_t t = 0; t < sums.size(); t += 4) {
    Value tile = LLVM::PoisonOp::create(b, quads);
    for (int64_t i = 0; i < 4; ++i)
      tile = LLVM::InsertValueOp::create(b, tile, sums[t + i], ArrayRef<int64_t>{i});
    tiles.push_back(tile);
  }
  tiles = element.isF32() ? multiplySingle(stage, tiles) : multiplyHalf(stage, tiles);
  Values results;
  for (Value tile : tiles)
    for (int64_t i = 0; i < 4; ++i)
      results.push_back(LLVM::ExtractValueOp::create(b, tile, ArrayRef<int64_t>{i}));
  return results;
}

Values TileProduct::accumulate(const Factor &factor, Value first, Value last, Value column,
                               Values sums) {
  Copies copies = planCopies(factor, first, last, column);
  const int64_t steps = llvm::divideCeil(factor.depth, shape.depth);
  const unsigned ahead = shape.stages - 1;
  for (unsigned s = 0; s < ahead; ++s) {
    if (s < steps)
      copy(factor, copies, b.i32(s * shape.depth), b.i32(s));
    b.commitCopies();
  }
  sums = b.loop(b.i32(0), b.i32(steps), b.i32(1), sums, [&](Value step, ValueRange carried) {
    // This step's copies are here, those of all threads, and the stage before is free.
    b.waitForCopies(ahead - 1);
    b.barrier();
    Value next = b.add(step, ahead);
    b.when(b.isBelow(next, b.i32(steps)),
           [&] { copy(factor, copies, b.mul(next, shape.depth), b.rem(next, shape.stages)); });
    b.commitCopies();
    return multiply(b.rem(step, shape.stages), Values(carried));
  });
  b.waitForCopies(0);
  b.barrier();
  return sums;
}

void TileProduct::finish(Value first, Value column,
                         function_ref<void(Value, Value, unsigned)> finish) {
  Value row = b.add(first, b.add(b.mul(warpRow, warpTileRows()), group));
  Value c = b.add(b.mul(column, shape.columns),
                  b.add(b.mul(warpColumn, warpTileColumns()), b.mul(quad, 2)));
  for (unsigned m = 0; m < rowTiles(); ++m)
    for (unsigned n = 0; n < columnTiles(); ++n)
      for (unsigned half = 0; half < 2; ++half)
        finish(b.add(row, m * 16 + half * 8), b.add(c, n * 8),
               (m * columnTiles() + n) * 4 + half * 2);
}
