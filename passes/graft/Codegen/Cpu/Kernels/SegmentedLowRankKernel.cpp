//===- SegmentedLowRankKernel.cpp - Weights of different sizes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The two products of a low-rank adapter of each row's own: down to the rank, which is a module's,
// and up again onto the product that all rows share. What a table on the stack says of a module is
// where its weight is, its size, and where in a row it reads; one that has none has size 0. The
// code is the same for all.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelCall.h"
#include "graft/Codegen/Cpu/Kernels/PanelProduct.h"
#include "graft/Codegen/Cpu/StageFunction.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

namespace {
/// Where each module's rows begin and end, and its weight.
///
/// The table has an address, a size and where it reads from for each module and for one more, which
/// stands for the rows that no module takes.
class Modules {
public:
  Modules(KernelBuilder &b, SegmentedMatmulOp op, Value offsets, Value table)
      : b(b), count(countOf(op)), offsets(offsets), table(table),
        element(cast<ShapedType>(op.getInput().getType()).getElementType()) {}

  static int64_t countOf(SegmentedMatmulOp op) {
    return cast<ShapedType>(op.getOffsets().getType()).getDimSize(0) - 1;
  }
  static int64_t tableSize(SegmentedMatmulOp op) { return 3 * (countOf(op) + 1); }
  static void fill(KernelBuilder &b, SegmentedMatmulOp op, Value table,
                   function_ref<int64_t(unsigned weight)> size) {
    const unsigned first = op.firstOfModules();
    SmallVector<Value> addresses(countOf(op) + 1, b.index(0));
    SmallVector<int64_t> sizes(countOf(op) + 1, 0), starts(countOf(op) + 1, 0);
    for (auto [i, module] : llvm::enumerate(*op.getModules())) {
      addresses[module] = b.address(op.getWeights()[first + i]);
      sizes[module] = size(first + i);
      starts[module] = op.startOf(unsigned(i));
    }
    for (auto [e, address] : llvm::enumerate(addresses))
      b.store(address, table, b.index(e));
    llvm::append_range(sizes, starts);
    for (auto [e, each] : llvm::enumerate(sizes))
      b.store(b.index(each), table, b.index(addresses.size() + e));
  }

  Value offset(Value e) {
    return arith::IndexCastOp::create(b, b.getIndexType(), b.loadElement(offsets, e));
  }
  /// Where module `e`'s rows end, `last` for those that no module takes.
  Value end(Value e, Value last) {
    Value isNone = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, e, b.index(count));
    return b.select(isNone, last, offset(b.select(isNone, e, b.add(e, 1))));
  }
  Value size(Value e) { return b.loadElement(table, b.add(e, count + 1)); }
  Value start(Value e) { return b.loadElement(table, b.add(e, 2 * (count + 1))); }
  /// Module `e`'s weight, in panels of `panel` columns: (panels, k, panel).
  Value weight(Value e, Value panels, Value k, Value panel) {
    Value address = arith::IndexCastUIOp::create(b, b.getI64Type(), b.loadElement(table, e));
    auto pointer = LLVM::LLVMPointerType::get(b.getContext());
    auto type = MemRefType::get(SmallVector<int64_t>(3, ShapedType::kDynamic), element);
    return viewPointer(b, b.getLoc(), LLVM::IntToPtrOp::create(b, pointer, address), type,
                       {panels, k, panel});
  }
  /// The module that a row belongs to, `count` if none: the last one that does not begin after it.
  Value moduleOf(Value row) {
    Value e = b.index(0), end = b.index(count);
    for (int64_t step = llvm::PowerOf2Ceil(count + 1) / 2; step > 0; step /= 2) {
      Value probe = b.min(b.add(e, step), end);
      Value begins = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, offset(probe), row);
      e = b.select(begins, probe, e);
    }
    return e;
  }

  KernelBuilder &b;
  const int64_t count;

private:
  Value offsets, table;
  Type element;
};

/// Block `i` of `count` in an order that goes through both ends at once: modules' sizes often rise
/// or fall from first to last, and threads get equal parts of the blocks in order.
Value fromBothEnds(KernelBuilder &b, Value i, Value count) {
  Value half = b.div(i, b.index(2)), odd = b.rem(i, b.index(2));
  Value isOdd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, odd, b.index(0));
  return b.select(isOdd, b.sub(b.sub(count, b.index(1)), half), half);
}

/// Down: each module's rows by the few columns of its weight, which a task does all of.
struct NarrowKernel {
  using Values = KernelBuilder::Values;

  NarrowKernel(KernelBuilder &b, SegmentedMatmulOp op, ValueRange arguments)
      : b(b), modules(b, op, arguments[1], arguments[2]), x(arguments[0]), blocks(arguments[3]),
        out(arguments[4]), depth(cast<ShapedType>(x.getType()).getDimSize(1)) {}

  /// Rows of a task.
  int64_t rowsPerBlock() const { return 12 * b.target.tileRows(); }

  KernelCall::Work plan() {
    Value most = b.index(rowsPerBlock()), zero = b.index(0);
    b.store(zero, blocks, zero);
    Value total = b.loop(zero, b.index(modules.count), 1, {zero}, [&](Value e, ValueRange carried) {
      Value rows = b.sub(modules.offset(b.add(e, 1)), modules.offset(e));
      Value has = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, modules.size(e), zero);
      Value next = b.add(carried[0], b.select(has, b.ceilDiv(rows, most), zero));
      b.store(next, blocks, b.add(e, 1));
      return Values{next};
    })[0];
    // As for 16 columns, of which 2 · 16 · K flops a row take some 1 / 100 GFLOP/s.
    return {total, b.index(std::max<int64_t>(rowsPerBlock() * depth / 3, 1))};
  }

  void build(Value task) {
    Value e = b.index(0), end = b.index(modules.count);
    Value block = fromBothEnds(b, task, b.loadElement(blocks, end));
    for (int64_t step = llvm::PowerOf2Ceil(modules.count) / 2; step > 0; step /= 2) {
      Value probe = b.min(b.add(e, step), end);
      Value reached =
          arith::CmpIOp::create(b, arith::CmpIPredicate::ule, b.loadElement(blocks, probe), block);
      e = b.select(reached, probe, e);
    }
    Value start = modules.offset(e), rows = b.sub(modules.offset(b.add(e, 1)), start);
    Value before = b.loadElement(blocks, e);
    Value count = b.sub(b.loadElement(blocks, b.add(e, 1)), before), own = b.sub(block, before);
    Value first = b.add(start, b.share(own, count, rows));
    Value last = b.add(start, b.share(b.add(own, 1), count, rows));
    // Panels are two vectors wide, or one where that is all.
    Value vectors = modules.size(e), pairs = b.div(vectors, b.index(2));
    Value isSingle = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, vectors, b.index(1));
    Value width = b.select(isSingle, b.index(b.target.lanes), b.index(2 * b.target.lanes));
    Value w = modules.weight(e, b.ceilDiv(vectors, b.index(2)), b.index(depth), width);
    b.loop(b.index(0), pairs, 1, [&](Value panel) { columns(w, panel, first, last, 2); });
    Value isOdd =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ne, b.mul(pairs, b.index(2)), vectors);
    b.ifThenElse(isOdd, [&] { columns(w, pairs, first, last, 1); });
  }

private:
  void columns(Value w, Value panel, Value first, Value last, unsigned vectors) {
    const int64_t lanes = b.target.lanes;
    // Twice the rows at half the width: as many sums, so that none waits for another.
    const unsigned most =
        vectors == 1 ? std::min(2 * b.target.tileRows(), 14u) : b.target.tileRows();
    auto tile = [&](Value m0, unsigned count) {
      Values rows;
      for (unsigned r = 0; r < count; ++r)
        rows.push_back(b.add(m0, r));
      Values sums(count * vectors, b.splat(0.0f));
      sums = accumulate(b, x, w, panel, rows, vectors, sums);
      for (unsigned r = 0; r < count; ++r)
        for (unsigned v = 0; v < vectors; ++v)
          b.storeVector(sums[r * vectors + v], out,
                        {rows[r], b.add(b.mul(panel, b.index(2 * lanes)), v * lanes)});
    };
    eachTile(b, first, last, most, tile, nullptr);
  }

  KernelBuilder &b;
  Modules modules;
  Value x, blocks, out;
  int64_t depth;
};

/// Up: blocks of all rows by a panel of the shared weight, and onto the sums of each tile the
/// modules' products of the rows that are theirs. A tile is of one module, whose product goes on
/// where the shared one ends, in registers; but for rows of modules that have few of them: such a
/// tile's sums wait in the first-level cache for one module after another.
struct SharedKernel {
  using Values = KernelBuilder::Values;

  SharedKernel(KernelBuilder &b, SegmentedMatmulOp op, ValueRange arguments)
      : b(b), modules(b, op, arguments[2], arguments[3]), low(arguments[1]),
        product(b, op.getEpilogue().empty() ? nullptr : &op.getEpilogue().front(),
                cast<MemRefType>(op.getWeights()[0].getType()), op.getReductionSize(0),
                op.getInitType().getShape().back()) {
    product.inputs = {arguments[0]};
    product.weights = {arguments[4]};
    product.extras = llvm::to_vector(arguments.drop_front(5).drop_back());
    product.out = arguments.back();
    rows = b.dim(product.out, 0);
    blocks = b.ceilDiv(rows, b.index(product.rowsPerBlock()));
    panel = cast<MemRefType>(op.getWeights()[0].getType()).getDimSize(2);
  }

  KernelCall::Work plan() {
    Value perBlock = b.ceilDiv(rows, b.max(blocks, b.index(1)));
    return {b.mul(blocks, b.index(product.panels())), product.cost(perBlock)};
  }

  void build(Value task) {
    sums = b.scratch({int64_t(b.target.tileRows()), panel});
    product.cut = [&](Value first, Value last, const PanelProduct::Tile &tile, auto build,
                      auto after) { cut(first, last, tile, build, after); };
    product.finish = [&](const PanelProduct::Tile &tile, ValueRange sums) { finish(tile, sums); };
    Value panels = b.index(product.panels());
    Value block = fromBothEnds(b, b.div(task, panels), blocks);
    product.build(b.rem(task, panels), b.share(block, blocks, rows),
                  b.share(b.add(block, 1), blocks, rows));
  }

private:
  void cut(Value first, Value last, const PanelProduct::Tile &tile, PanelProduct::Build build,
           PanelProduct::After after) {
    const int64_t most = b.target.tileRows();
    b.loopBelow(last, {first, modules.moduleOf(first)}, [&](ValueRange carried) -> Values {
      Value m0 = carried[0], end = b.min(modules.end(carried[1], last), last), own = b.sub(end, m0);
      module = carried[1];
      Value rest = b.sub(last, m0), least = b.min(rest, b.index((most + 1) / 2));
      isMixed = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, own, least);
      // What is left of a module's rows is shared out so that no tile has few.
      Value half = b.ceilDiv(own, b.index(2));
      auto isAbove = [&](Value value, int64_t bound) {
        return arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, value, b.index(bound));
      };
      Value even = b.select(isAbove(own, most), half, own);
      even = b.select(isAbove(half, most), b.index(most), even);
      Value m1 = b.add(m0, b.select(isMixed, b.min(rest, b.index(most)), even));
      b.switchExact(b.sub(m1, m0), most, [&](unsigned rows) { build(m0, rows); });
      b.ifThenElse(isMixed, [&] { addModules(m0, m1, tile); });
      if (after)
        after(m0, m1);
      Value isThrough = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, m1, end);
      Values next = b.ifThen(isThrough, carried[1], [&] { return Values{modules.moduleOf(m1)}; });
      return {m1, next[0]};
    });
  }

  Value weight(Value e) {
    return modules.weight(e, b.index(product.panels()), modules.size(e), b.index(panel));
  }

  void finish(const PanelProduct::Tile &tile, ValueRange shared) {
    const unsigned vectors = tile.starts.size();
    b.ifThenElse(
        isMixed,
        [&] {
          for (unsigned r = 0; r < tile.rows.size(); ++r)
            for (unsigned v = 0; v < vectors; ++v)
              b.storeVector(shared[r * vectors + v], sums,
                            {b.index(r), b.index(v * b.target.lanes)});
        },
        [&] {
          product.store(tile, accumulate(b, low, weight(module), tile.panel, tile.rows, vectors,
                                         Values(shared), modules.start(module)));
        });
  }

  /// The rows [m0, m1), of several modules, the first of which is `module`.
  void addModules(Value m0, Value m1, const PanelProduct::Tile &panel) {
    const unsigned vectors = panel.starts.size();
    Value to = modules.moduleOf(b.sub(m1, b.index(1)));
    b.loop(module, b.add(to, 1), 1, [&](Value e) {
      Value first = b.max(m0, modules.offset(e)), last = b.min(m1, modules.end(e, m1));
      Value isEmpty = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, last, first);
      Value count = b.select(isEmpty, b.index(0), b.sub(last, first));
      b.switchExact(count, b.target.tileRows(), [&](unsigned count) {
        Values rows, waiting;
        for (unsigned r = 0; r < count; ++r) {
          rows.push_back(b.add(first, r));
          Value own = b.sub(rows.back(), m0);
          for (unsigned v = 0; v < vectors; ++v)
            waiting.push_back(b.loadVector(sums, {own, b.index(v * b.target.lanes)}));
        }
        product.store(
            {panel.panel, m0, rows, panel.starts, panel.masks},
            accumulate(b, low, weight(e), panel.panel, rows, vectors, waiting, modules.start(e)));
      });
    });
  }

  KernelBuilder &b;
  Modules modules;
  Value low, rows, blocks, sums;
  Value module, isMixed; ///< of the tile that is built: its first module, and if there are others
  PanelProduct product;
  int64_t panel;
};
} // namespace

/// Whether a kernel reads weight `i`: contiguous panels of one or two vectors, as wide as packing
/// makes them for so many columns.
static bool hasPanels(KernelBuilder &b, SegmentedMatmulOp op, unsigned i, int64_t columns) {
  const int64_t lanes = b.target.lanes;
  return isKernelPanels(b, op.getWeights()[i]) && columns > 0 && op.getReductionSize(i) > 0 &&
         cast<ShapedType>(op.getWeights()[i].getType()).getDimSize(2) ==
             (columns > lanes ? 2 * lanes : lanes);
}

std::optional<KernelCall> graft::prepareSegmentedLowRank(SegmentedMatmulOp op, KernelBuilder &b) {
  const int64_t width = op.getInitType().getShape().back(), lanes = b.target.lanes;
  const unsigned first = op.firstOfModules();
  if (ShapedType::isDynamic(width) || width == 0 || !isRows(op.getInput()) ||
      !isRows(op.getInit()) || !hasKernelEpilogue(op) || op->getParentOfType<scf::ParallelOp>())
    return std::nullopt;
  for (unsigned i = 0; i < op.getWeights().size(); ++i)
    if (!hasPanels(b, op, i, i >= first && op.getColumns() ? (*op.getColumns())[i - first] : width))
      return std::nullopt;

  KernelCall call;
  if (op.getSharedInput()) {
    if (!isRows(op.getSharedInput()))
      return std::nullopt;
    Value table = b.table(Modules::tableSize(op));
    Modules::fill(b, op, table, [&](unsigned i) { return op.getReductionSize(i); });
    call.name =
        "segmented_up_" + std::to_string(width) + "x" + std::to_string(op.getReductionSize(0));
    call.operands = {viewAsRows(b, op.getSharedInput()), viewAsRows(b, op.getInput()),
                     withDynamicOffset(b, op.getOffsets()), table,
                     withDynamicOffset(b, op.getWeights()[0])};
    llvm::append_range(call.operands, viewExtras(b, op));
    call.operands.push_back(viewAsRows(b, op.getInit()));
    call.use<SharedKernel>(op);
    return call;
  }
  // Whole vectors are written, and K is that of all weights: the vector of the input.
  const int64_t depth = cast<ShapedType>(op.getInput().getType()).getShape().back();
  if (!op.getColumns() || op.getStarts() || width % lanes != 0 || !op.getEpilogue().empty() ||
      llvm::any_of(llvm::seq<unsigned>(0, op.getWeights().size()),
                   [&](unsigned i) { return op.getReductionSize(i) != depth; }))
    return std::nullopt;
  Value table = b.table(Modules::tableSize(op));
  Modules::fill(b, op, table,
                [&](unsigned i) { return llvm::divideCeil((*op.getColumns())[i], lanes); });
  call.name = "segmented_down_" + std::to_string(depth);
  Value blocks = b.table(Modules::countOf(op) + 1);
  call.operands = {viewAsRows(b, op.getInput()), withDynamicOffset(b, op.getOffsets()), table,
                   blocks, viewAsRows(b, op.getInit())};
  call.use<NarrowKernel>(op);
  return call;
}
