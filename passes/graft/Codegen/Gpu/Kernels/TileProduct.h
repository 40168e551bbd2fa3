//===- TileProduct.h - Rows by panels of a weight on tensor cores -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_KERNELS_TILEPRODUCT_H
#define GRAFT_CODEGEN_GPU_KERNELS_TILEPRODUCT_H

#include "graft/Codegen/Gpu/Kernels/DeviceBuilder.h"

namespace graft {

/// How a block of threads computes a tile of a product: `rows` by `columns`, `depth` elements of
/// the sums at a time, of which `stages` are on their way.
struct TileShape {
  unsigned rows, columns, depth, stages, warpRows, warpColumns;

  unsigned threads() const { return warpRows * warpColumns * DeviceBuilder::kLanes; }
};

/// Products of f16 and bf16 with sums of f32, and those of f32 as three of tf32 (Ootomo and Yokota,
/// "Recovering single precision accuracy from Tensor Cores", 2022): what a factor loses in tf32 is
/// another factor, and only the product of what both lose is left out. An element is one chain of
/// these, k ascending, whatever the tile. Infinities among the factors give NaN.
class TileProduct {
public:
  using Value = mlir::Value;
  using Values = DeviceBuilder::Values;

  /// In a kernel of `device`: takes what it needs of the block's memory.
  TileProduct(DeviceBuilder &b, mlir::gpu::GPUModuleOp device, llvm::StringRef kernel,
              TileShape shape, mlir::Type element);

  /// Whether rows of `depth` elements and panels of `panel` columns can be copied.
  static bool canCopy(mlir::Type element, int64_t depth, int64_t panel);

  /// x times a weight in panels: row r of x begins at `x + row(r) · depth`.
  struct Factor {
    Value x, weight; ///< of the device's memory
    int64_t depth, panel, panels;
    std::function<Value(Value)> row; ///< the row, an i32, that a position has; null: the same
  };

  /// The sums of a thread, at first.
  Values zero();
  /// `sums` with a factor added for the positions [first, last) and the tile of columns `column`.
  Values accumulate(const Factor &factor, Value first, Value last, Value column, Values sums);
  /// Calls `finish` for each pair of a thread's sums that are next to each other: with its
  /// position, its column, which is even, and the number of the first of the two sums.
  void finish(Value first, Value column,
              llvm::function_ref<void(Value position, Value column, unsigned sum)> finish);

private:
  unsigned warpTileRows() const { return shape.rows / shape.warpRows; }
  unsigned warpTileColumns() const { return shape.columns / shape.warpColumns; }
  unsigned rowTiles() const { return warpTileRows() / 16; }
  unsigned columnTiles() const { return warpTileColumns() / 8; }
  // Rows of the block's memory are so long that the lanes that read at once read different banks.
  int64_t aStride() const { return shape.depth + wide(); }
  int64_t bStride() const { return shape.columns + 8; }
  int64_t aStage() const { return shape.rows * aStride(); }
  int64_t bStage() const { return shape.depth * bStride(); }

  /// Starts copying the elements of both factors from `k` on to a stage.
  struct Copies;
  void copy(const Factor &factor, const Copies &copies, Value k, Value stage);
  Copies planCopies(const Factor &factor, Value first, Value last, Value column);
  Values multiply(Value stage, Values sums);
  Values multiplySingle(Value stage, Values tiles);
  Values multiplyHalf(Value stage, Values tiles);
  /// Four matrices of 8 by 8 halves, of whose rows each lane gives the address of one.
  Values loadMatrices(Value address, bool isTransposed);
  /// A factor as tf32, and what that lacks.
  std::pair<Value, Value> split(Value factor);
  Value multiplyTile(mlir::ValueRange a, mlir::ValueRange b, Value sums);
  int64_t bytes() const { return element.getIntOrFloatBitWidth() / 8; }
  /// Elements of a copy of 16 bytes.
  int64_t wide() const { return 16 / bytes(); }

  DeviceBuilder &b;
  TileShape shape;
  mlir::Type element; ///< of the factors; sums are f32
  Value aTile, bTile;
  Value thread, lane, warpRow, warpColumn, group, quad;
};

} // namespace graft

#endif // GRAFT_CODEGEN_GPU_KERNELS_TILEPRODUCT_H
