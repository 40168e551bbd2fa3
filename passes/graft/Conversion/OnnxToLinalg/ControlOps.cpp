//===- ControlOps.cpp - Control flow -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

static LogicalResult lowerIf(Lowering &l, onnx::IfOp op) {
  Tensor condition = l.reshape(l.get(op.getCond()), {});
  Value is = tensor::ExtractOp::create(l.b, condition.value, ValueRange{});
  SmallVector<Type> types;
  for (Value output : op.getOutputs())
    types.push_back(l.type(l.dims(output), l.element(output)));
  Location loc = op.getLoc();
  auto branch = scf::IfOp::create(l.b, types, is, /*withElseRegion=*/true);
  for (auto [region, block] : {std::pair(&op.getThenBranch(), branch.thenBlock()),
                               std::pair(&op.getElseBranch(), branch.elseBlock())}) {
    OpBuilder::InsertionGuard guard(l.b);
    // Without results the builder has put a terminator already.
    if (!block->empty() && block->back().hasTrait<OpTrait::IsTerminator>())
      block->back().erase();
    l.b.setInsertionPointToEnd(block);
    if (failed(l.lowerBlock(region->front())))
      return failure();
    l.b.setLoc(loc);
    SmallVector<Value> results;
    for (auto [value, type] : llvm::zip(region->front().getTerminator()->getOperands(), types)) {
      Value result = l.get(value).value;
      if (result.getType() != type)
        result = tensor::CastOp::create(l.b, type, result);
      results.push_back(result);
    }
    scf::YieldOp::create(l.b, results);
  }
  for (auto [output, result] : llvm::zip(op.getOutputs(), branch.getResults()))
    l.set(output, {result, l.dims(output)});
  return success();
}

void graft::lowering::addControl(Table &table) { table.add(lowerIf); }
