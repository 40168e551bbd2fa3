//===- PanelProduct.h - Rows by a panel of packed weights --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_PANELPRODUCT_H
#define GRAFT_CODEGEN_CPU_KERNELS_PANELPRODUCT_H

#include "graft/Codegen/Cpu/Kernels/KernelBuilder.h"
#include "graft/Dispatch/Dispatch.h"

#include <functional>

namespace graft {

/// What the kernels of products with packed weights share: some rows by one panel of columns.
///
/// Rows are shared out evenly into tiles; an exact kernel for each number of rows a tile may have
/// keeps its sums in registers. The epilogue is one loop over the rows of the tile just stored.
class PanelProduct {
public:
  using Value = mlir::Value;
  using Values = KernelBuilder::Values;

  /// Every weight has the panels of `weight`; `depth` is the sum of their K.
  PanelProduct(KernelBuilder &b, mlir::Block *epilogue, mlir::MemRefType weight, int64_t depth,
               int64_t columns);

  /// Shares of at most so many rows fit the second-level cache.
  int64_t rowsPerBlock() const;
  /// What one panel by so many rows costs, in ns.
  Value cost(Value rows);

  /// Writes one panel for the rows [first, last) of `out`: the products of each input with its
  /// weight, then the epilogue, which reads the extras after the sum: matrices by element, vectors
  /// by column.
  void build(Value panel, Value first, Value last);

  int64_t panels() const { return panelCount; }

  Values inputs, weights, extras;
  Value out;

  /// Some rows of one panel, `starts.size()` vectors of it from those columns on. They are of a
  /// tile that begins with row `first`.
  struct Tile {
    Value panel, first;
    mlir::ValueRange rows;
    llvm::ArrayRef<Value> starts, masks;
  };
  /// Brings the sums of a tile to where the epilogue reads them, or to out if there is none.
  void store(const Tile &tile, mlir::ValueRange sums);
  using Build = llvm::function_ref<void(Value first, unsigned rows)>;
  using After = llvm::function_ref<void(Value first, Value last)>;
  /// If set, cuts the rows [first, last) of a panel into tiles, in place of eachTile.
  std::function<void(Value first, Value last, const Tile &panel, Build build, After after)> cut;
  /// If set, takes the sums of a tile, and stores them before what `cut` does after it.
  std::function<void(const Tile &tile, mlir::ValueRange sums)> finish;

private:
  void buildPanel(Value nb, Value first, Value last, int64_t width);
  void buildTile(Value nb, Value m0, unsigned rows, unsigned vectors);

  KernelBuilder &b;
  mlir::Block *epilogue;
  int64_t columns, panelCount, panel, depth;
  Values starts, masks;
  /// A tile's sums, for its epilogue: read back from out, whose rows are far apart, they would wait
  /// for its memory.
  Value waiting;
};

/// What `sums`, `rows.size()` by `vectors` vectors of columns, are with the products of those rows
/// of `x`, from element `start` on (0 if null), with panel `panel` of `w` added, k ascending.
KernelBuilder::Values accumulate(KernelBuilder &b, mlir::Value x, mlir::Value w, mlir::Value panel,
                                 mlir::ValueRange rows, unsigned vectors,
                                 KernelBuilder::Values sums, mlir::Value start = {});

/// Shares [first, last) out evenly into tiles of at most `most` rows; `build` writes the kernel for
/// a number of rows from a first one on, and `after`, if it is not null, what follows each tile.
void eachTile(KernelBuilder &b, mlir::Value first, mlir::Value last, unsigned most,
              PanelProduct::Build build, PanelProduct::After after);

/// True if the kernels can read the extras and compute the epilogue.
bool hasKernelEpilogue(dispatch::ProductOpInterface op);

/// The extras as a kernel takes them.
KernelBuilder::Values viewExtras(KernelBuilder &b, dispatch::ProductOpInterface op);

/// True for panels that a kernel of this machine reads.
bool isKernelPanels(KernelBuilder &b, mlir::Value weight);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_PANELPRODUCT_H
