//===- SegmentedMatmulKernel.cpp - Products of rows sorted by module -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each segment's rows are shared out evenly into blocks, so that one module that takes all rows is
// shared among threads as a plain product is; a task is a block by a panel of columns, and a module
// without rows has none. A table on the stack says where the modules' operands are, and which
// blocks are whose: the code is the same for all modules.
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
/// The table: the blocks before each module's, and before the end; then addresses, of the weights
/// and of each group of extras.
struct SegmentedMatmulKernel {
  using Values = KernelBuilder::Values;

  SegmentedMatmulKernel(KernelBuilder &b, SegmentedMatmulOp op, ValueRange arguments)
      : b(b), op(op), modules(op.getWeights().size()), x(arguments[0]), offsets(arguments[1]),
        table(arguments[2]),
        product(b, op.getEpilogue().empty() ? nullptr : &op.getEpilogue().front(),
                cast<MemRefType>(op.getWeights()[0].getType()), op.getReductionSize(0),
                op.getInitType().getShape().back()) {
    product.inputs = {x};
    product.extras = llvm::to_vector(arguments.drop_front(3).drop_back());
    product.out = arguments.back();
  }

  static int64_t tableSize(SegmentedMatmulOp op) {
    return op.getWeights().size() * (2 + op.getSegmentGroups()) + 1;
  }

  /// Writes the addresses; what follows them depends on data.
  static void fillTable(KernelBuilder &b, SegmentedMatmulOp op, Value table) {
    int64_t place = op.getWeights().size() + 1;
    for (ValueRange values : {ValueRange(op.getWeights()), ValueRange(op.getSegmentExtras())})
      for (Value memref : values)
        b.store(b.address(memref), table, b.index(place++));
  }

  KernelCall::Work plan() {
    Value most = b.index(product.rowsPerBlock()), zero = b.index(0);
    b.store(zero, table, zero);
    Value blocks = b.loop(zero, b.index(modules), 1, {zero}, [&](Value e, ValueRange carried) {
      Value rows = b.sub(offset(b.add(e, 1)), offset(e));
      Value next = b.add(carried[0], b.ceilDiv(rows, most));
      b.store(next, table, b.add(e, 1));
      return Values{next};
    })[0];
    Value perBlock = b.ceilDiv(offset(b.index(modules)), b.max(blocks, b.index(1)));
    return {b.mul(blocks, b.index(product.panels())), product.cost(perBlock)};
  }

  void build(Value task) {
    Value panels = b.index(product.panels()), block = b.div(task, panels);
    Value e = moduleOf(block);
    Value start = offset(e), rows = b.sub(offset(b.add(e, 1)), start);
    Value before = b.loadElement(table, e);
    Value blocks = b.sub(b.loadElement(table, b.add(e, 1)), before), own = b.sub(block, before);
    auto packed = cast<MemRefType>(op.getWeights()[0].getType());
    product.weights = {operand(e, 0, MemRefType::get(packed.getShape(), packed.getElementType()))};
    for (unsigned group = 0; group < op.getSegmentGroups(); ++group) {
      Type element = cast<MemRefType>(op.getSegmentExtra(group, 0).getType()).getElementType();
      product.extras.push_back(
          operand(e, group + 1, MemRefType::get({op.getInitType().getDimSize(1)}, element)));
    }
    product.build(b.rem(task, panels), b.add(start, b.share(own, blocks, rows)),
                  b.add(start, b.share(b.add(own, 1), blocks, rows)));
  }

private:
  Value offset(Value e) {
    return arith::IndexCastOp::create(b, b.getIndexType(), b.loadElement(offsets, e));
  }

  /// The module that a block belongs to: the last one with no more blocks before it.
  Value moduleOf(Value block) {
    Value e = b.index(0), end = b.index(modules);
    for (int64_t step = llvm::PowerOf2Ceil(modules) / 2; step > 0; step /= 2) {
      Value probe = b.min(b.add(e, step), end);
      Value reached =
          arith::CmpIOp::create(b, arith::CmpIPredicate::ule, b.loadElement(table, probe), block);
      e = b.select(reached, probe, e);
    }
    return e;
  }

  /// Module `e`'s operand of a group of the table's addresses.
  Value operand(Value e, unsigned group, MemRefType type) {
    Value address = b.loadElement(table, b.add(e, modules * (group + 1) + 1));
    address = arith::IndexCastUIOp::create(b, b.getI64Type(), address);
    auto pointer = LLVM::LLVMPointerType::get(b.getContext());
    return viewPointer(b, b.getLoc(), LLVM::IntToPtrOp::create(b, pointer, address), type, {});
  }

  KernelBuilder &b;
  SegmentedMatmulOp op;
  int64_t modules;
  Value x, offsets, table;
  PanelProduct product;
};
} // namespace

std::optional<KernelCall> graft::prepareSegmentedMatmul(SegmentedMatmulOp op, KernelBuilder &b) {
  int64_t columns = op.getInitType().getDimSize(1);
  if (op.getOrder() || ShapedType::isDynamic(columns) || columns == 0 || !isRows(op.getInput()) ||
      !isRows(op.getInit()) || !hasKernelEpilogue(op) || op->getParentOfType<scf::ParallelOp>())
    return std::nullopt;
  auto packed = cast<MemRefType>(op.getWeights()[0].getType());
  for (Value w : op.getWeights())
    if (!isKernelPanels(b, w) || cast<MemRefType>(w.getType()).getShape() != packed.getShape())
      return std::nullopt;
  for (Value extra : op.getSegmentExtras())
    if (!isRows(extra))
      return std::nullopt;

  KernelCall call;
  // The type of the weights is no operand's: the name tells kernels apart.
  call.name = "segmented_matmul_" + std::to_string(columns) + "x" +
              std::to_string(op.getReductionSize(0)) + "x" + std::to_string(packed.getDimSize(2));
  Value table = b.table(SegmentedMatmulKernel::tableSize(op));
  SegmentedMatmulKernel::fillTable(b, op, table);
  call.operands = {viewAsRows(b, op.getInput()), withDynamicOffset(b, op.getOffsets()), table};
  llvm::append_range(call.operands, viewExtras(b, op));
  call.operands.push_back(viewAsRows(b, op.getInit()));
  call.use<SegmentedMatmulKernel>(op);
  return call;
}
