//===- RaiseOnnx.cpp - Recognising what exporters took apart -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Raise.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace graft {
#define GEN_PASS_DEF_RAISEONNXPASS
#include "graft/Transforms/OnnxPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::raise;

std::optional<double> Matcher::scalar(Value value) const {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<onnx::CastOp, onnx::IdentityOp, onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(
            op))
      break;
    value = op->getOperand(0);
  }
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : nullptr;
  if (!elements || elements.getNumElements() != 1)
    return std::nullopt;
  if (isa<FloatType>(elements.getElementType())) {
    APFloat number = *elements.value_begin<APFloat>();
    bool loses;
    number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
    return number.convertToDouble();
  }
  if (elements.getElementType().isIntOrIndex())
    return double((*elements.value_begin<APInt>()).getSExtValue());
  return std::nullopt;
}

void Matcher::replace(Operation *root, Operation *replacement) const {
  shapes.visit(replacement);
  Value value = replacement->getResult(0);
  value.setType(root->getResult(0).getType());
  root->getResult(0).replaceAllUsesWith(value);
}

namespace {
struct RaiseOnnxPass : graft::impl::RaiseOnnxPassBase<RaiseOnnxPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    SymbolicShapes shapes(function);
    Matcher matcher{shapes};
    SmallVector<Operation *> ops;
    function.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : ops) {
      if (op->getNumResults() != 1 || op->use_empty())
        continue;
      if (!raiseGelu(matcher, op) && !raiseLayerNormalization(matcher, op) &&
          !raiseRMSNormalization(matcher, op))
        raiseAttention(matcher, op);
    }
    for (Block &block : function.getBody())
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        if (isOpTriviallyDead(&op))
          op.erase();
  }
};
} // namespace
