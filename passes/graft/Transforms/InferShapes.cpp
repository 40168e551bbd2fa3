//===- InferShapes.cpp - Sets the types of onnx ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Transforms/OnnxPasses.h"

#include "graft/Modular/Exposure.h"

#include "mlir/IR/Builders.h"

namespace graft {
#define GEN_PASS_DEF_INFERSHAPESPASS
#include "graft/Transforms/OnnxPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// The function returns what its terminator has now.
static void setResults(func::FuncOp function, const SymbolicShapes &shapes) {
  auto terminator = dyn_cast<func::ReturnOp>(function.getBody().back().getTerminator());
  if (!terminator)
    return;
  function.setType(FunctionType::get(function.getContext(), function.getArgumentTypes(),
                                     terminator.getOperandTypes()));
  Builder builder(function.getContext());
  for (auto [i, value] : llvm::enumerate(terminator.getOperands())) {
    if (!isa<RankedTensorType>(value.getType()))
      continue;
    SmallVector<Attribute> dims;
    for (const Polynomial &dim : shapes.get(value).dims)
      dims.push_back(builder.getStringAttr(dim.str()));
    function.setResultAttr(i, "modular.dims", builder.getArrayAttr(dims));
  }
}

void graft::inferShapes(func::FuncOp function) {
  SymbolicShapes shapes(function);
  function.walk([&](Operation *op) {
    // Parts are typed by what is made of them.
    if (auto apply = dyn_cast<modular::ApplyOp>(op); apply && shapes.isKnown(apply.getParts()))
      apply.getParts().setType(
          modular::PartsType::get(op->getContext(), shapes.type(apply.getParts())));
    if (!isa_and_nonnull<onnx::OnnxDialect>(op->getDialect()) &&
        !isa<modular::AggregateOp, modular::CollectOp, modular::ExposeOp, modular::RowProductOp>(
            op))
      return;
    for (Value result : op->getResults())
      if (isa<ShapedType>(result.getType()) && shapes.isKnown(result))
        result.setType(shapes.type(result));
  });
  setResults(function, shapes);
}

namespace {
struct InferShapesPass : graft::impl::InferShapesPassBase<InferShapesPass> {
  void runOnOperation() override {
    if (!getOperation().isExternal())
      inferShapes(getOperation());
  }
};
} // namespace
