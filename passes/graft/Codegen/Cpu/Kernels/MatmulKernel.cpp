//===- MatmulKernel.cpp - Products with packed weights -----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows are shared out evenly into blocks that fit the second-level cache; a task is a block by a
// panel of columns.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelCall.h"
#include "graft/Codegen/Cpu/Kernels/PanelProduct.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

namespace {
struct MatmulKernel {
  MatmulKernel(KernelBuilder &b, MatmulOp op, ValueRange arguments)
      : b(b), product(b, op.getEpilogue().empty() ? nullptr : &op.getEpilogue().front(),
                      cast<MemRefType>(op.getWeights()[0].getType()), depthOf(op),
                      op.getInitType().getShape().back()) {
    unsigned pairs = op.getInputs().size();
    product.inputs = llvm::to_vector(arguments.take_front(pairs));
    product.weights = llvm::to_vector(arguments.slice(pairs, pairs));
    product.extras = llvm::to_vector(arguments.drop_back().drop_front(2 * pairs));
    product.out = arguments.back();
    rows = b.dim(product.out, 0);
    blocks = b.ceilDiv(rows, b.index(product.rowsPerBlock()));
  }

  KernelCall::Work plan() {
    Value perBlock = b.ceilDiv(rows, b.max(blocks, b.index(1)));
    return {b.mul(blocks, b.index(product.panels())), product.cost(perBlock)};
  }

  void build(Value task) {
    Value panels = b.index(product.panels()), block = b.div(task, panels);
    product.build(b.rem(task, panels), b.share(block, blocks, rows),
                  b.share(b.add(block, 1), blocks, rows));
  }

private:
  static int64_t depthOf(MatmulOp op) {
    int64_t depth = 0;
    for (unsigned i = 0; i < op.getWeights().size(); ++i)
      depth += op.getReductionSize(i);
    return depth;
  }

  KernelBuilder &b;
  PanelProduct product;
  Value rows, blocks;
};
} // namespace

std::optional<KernelCall> graft::prepareMatmul(MatmulOp op, KernelBuilder &b) {
  int64_t columns = op.getInitType().getShape().back();
  if (ShapedType::isDynamic(columns) || columns == 0 || !isRows(op.getInit()) ||
      !hasKernelEpilogue(op))
    return std::nullopt;
  int64_t panel = cast<ShapedType>(op.getWeights()[0].getType()).getShape().back();
  for (auto [x, w] : llvm::zip(op.getInputs(), op.getWeights()))
    if (!isRows(x) || !isKernelPanels(b, w) || cast<ShapedType>(w.getType()).getDimSize(2) != panel)
      return std::nullopt;

  KernelCall call;
  call.name = "matmul_" + std::to_string(columns) + "x" + std::to_string(op.getReductionSize(0));
  for (Value x : op.getInputs())
    call.operands.push_back(viewAsRows(b, x));
  for (Value w : op.getWeights())
    call.operands.push_back(withDynamicOffset(b, w));
  llvm::append_range(call.operands, viewExtras(b, op));
  call.operands.push_back(viewAsRows(b, op.getInit()));
  call.use<MatmulKernel>(op);
  return call;
}
