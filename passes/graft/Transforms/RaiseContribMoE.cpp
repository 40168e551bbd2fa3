//===- RaiseContribMoE.cpp - com.microsoft's MoE becomes a mixture -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Fault/Fault.h"
#include "graft/Transforms/RaiseRouting.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

namespace {
/// The op's operands and attributes by the names of its schema (ContribOperators.md).
struct ContribMoE {
  explicit ContribMoE(Operation *op);

  Operation *op;
  Value input, scores, weight1, bias1, weight2, bias2, weight3, bias3;
  Value weighing; ///< scores that weigh what `scores` choose, as they are; or null
  int64_t count, fusion;
  bool normalized, sparseMixer;
  StringRef activation;
  double alpha, beta, limit;

  int64_t experts = 0, hidden = 0, inner = 0;

  /// Why the op can't be raised, or nothing; sets the sizes.
  std::string check();
  Value buildExpert(GraphBuilder &b, Value x, int64_t index) const;

private:
  Value buildGated(GraphBuilder &b, Value gate, Value up) const;
};
} // namespace

ContribMoE::ContribMoE(Operation *op) : op(op) {
  Value *places[] = {&input, &scores,  &weight1, &bias1,   &weight2,
                     &bias2, &weight3, &bias3,   &weighing};
  auto segments = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
  unsigned next = 0;
  for (auto [i, place] : llvm::enumerate(places)) {
    bool present =
        segments ? i < size_t(segments.size()) && segments[i] != 0 : i < op->getNumOperands();
    *place = present && next < op->getNumOperands() ? op->getOperand(next++) : Value();
  }
  auto integer = [&](StringRef name, int64_t missing) {
    auto attribute = op->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : missing;
  };
  auto number = [&](StringRef name, double missing) {
    auto attribute = op->getAttrOfType<FloatAttr>(name);
    return attribute ? attribute.getValueAsDouble() : missing;
  };
  count = integer("k", 1);
  normalized = integer("normalize_routing_weights", 0) != 0;
  sparseMixer = integer("use_sparse_mixer", 0) != 0;
  fusion = integer("swiglu_fusion", 0);
  auto name = op->getAttrOfType<StringAttr>("activation_type");
  activation = name ? name.getValue() : StringRef("relu");
  alpha = number("activation_alpha", 1);
  beta = number("activation_beta", 0);
  limit = number("swiglu_limit", std::numeric_limits<double>::infinity());
}

std::string ContribMoE::check() {
  auto first = dyn_cast_or_null<RankedTensorType>(weight1 ? weight1.getType() : Type());
  auto second = dyn_cast_or_null<RankedTensorType>(weight2 ? weight2.getType() : Type());
  auto data = dyn_cast_or_null<RankedTensorType>(input ? input.getType() : Type());
  auto routed = dyn_cast_or_null<RankedTensorType>(scores ? scores.getType() : Type());
  if (!first || !second || first.getRank() != 3 || second.getRank() != 3)
    return "expected weights of rank 3";
  if (!data || (data.getRank() != 2 && data.getRank() != 3) || !routed || routed.getRank() != 2)
    return "expected an input of rank 2 or 3 and router scores of rank 2";
  experts = second.getDimSize(0);
  hidden = second.getDimSize(1);
  inner = second.getDimSize(2);
  const bool isGated = activation == "swiglu";
  const int64_t parts = isGated && fusion != 0 ? 2 : 1;
  if (!isStacked(weight1, {experts, parts * inner, hidden}) ||
      !isStacked(weight2, {experts, hidden, inner}))
    return "expected constant weights of (experts, " + std::to_string(parts) +
           " · inner, hidden) and (experts, hidden, inner)";
  if ((bias1 && !isStacked(bias1, {experts, parts * inner})) ||
      (bias2 && !isStacked(bias2, {experts, hidden})))
    return "expected constant biases, a row for each expert";
  const bool needsThird = isGated && fusion == 0;
  if (needsThird != bool(weight3) || (weight3 && !isStacked(weight3, {experts, inner, hidden})) ||
      (bias3 && !(weight3 && isStacked(bias3, {experts, inner}))))
    return "expected a third weight of (experts, inner, hidden) with swiglu that is not fused, and "
           "with nothing else";
  if (data.getShape().back() != hidden || routed.getDimSize(1) != experts)
    return "expected an input of " + std::to_string(hidden) + " features and scores of " +
           std::to_string(experts) + " experts";
  auto other = weighing ? dyn_cast<RankedTensorType>(weighing.getType()) : RankedTensorType();
  if (weighing && (!other || other.getShape() != routed.getShape()))
    return "expected router weights of the scores' shape";
  if (count < 1 || count > experts)
    return "expected k from 1 to the " + std::to_string(experts) + " experts, found " +
           std::to_string(count);
  return "";
}

/// G · sigmoid(alpha · G) · (L + beta) with G = min(gate, limit), L = clamp(up, ±limit).
Value ContribMoE::buildGated(GraphBuilder &b, Value gate, Value up) const {
  if (std::isfinite(limit)) {
    Value most = b.number(limit, gate), least = b.number(-limit, gate);
    gate = onnx::ClipOp::create(b, gate.getType(), gate, Value(), most);
    up = onnx::ClipOp::create(b, up.getType(), up, least, most);
  }
  Value scaled = alpha == 1 ? gate : b.binary<onnx::MulOp>(gate, b.number(alpha, gate));
  Value activated = b.binary<onnx::MulOp>(gate, b.unary<onnx::SigmoidOp>(scaled));
  return b.binary<onnx::MulOp>(activated,
                               beta == 0 ? up : b.binary<onnx::AddOp>(up, b.number(beta, up)));
}

Value ContribMoE::buildExpert(GraphBuilder &b, Value x, int64_t index) const {
  auto linear = [&](Value x, Value weight, Value bias, Rows rows = {}) {
    Value w = buildPart(b, weight, index, rows);
    return b.linear(x, w, bias ? buildPart(b, bias, index, rows) : Value());
  };
  Value h;
  if (activation == "swiglu") {
    // The gate before the other: in turns (1), or as halves (2).
    Rows gate, up;
    if (fusion == 1) {
      gate = {0, 2, inner};
      up = {1, 2, inner};
    } else if (fusion == 2) {
      gate = {0, 1, inner};
      up = {inner, 1, inner};
    }
    Value g = linear(x, weight1, bias1, gate);
    Value l = fusion == 0 ? linear(x, weight3, bias3) : linear(x, weight1, bias1, up);
    h = buildGated(b, g, l);
  } else {
    h = linear(x, weight1, bias1);
    if (activation == "relu")
      h = b.unary<onnx::ReluOp>(h);
    else if (activation == "gelu")
      h = onnx::GeluOp::create(b, h.getType(), h, "tanh");
    else if (activation == "silu")
      h = b.binary<onnx::MulOp>(h, b.unary<onnx::SigmoidOp>(h));
  }
  return linear(h, weight2, bias2);
}

FailureOr<bool> graft::raise::raiseContribMoE(Raising &raising, Operation *op) {
  if (op->getName().getStringRef() != "onnx.com.microsoft.MoE" || op->getNumResults() != 1)
    return false;
  ContribMoE moe(op);
  if (moe.sparseMixer ||
      !llvm::is_contained({"relu", "gelu", "silu", "swiglu", "identity"}, moe.activation))
    return LogicalResult(emitUnsupportedFault(op)
                         << "not supported: MoE: "
                         << (moe.sparseMixer ? "use_sparse_mixer"
                                             : ("activation " + moe.activation).str()));
  if (std::string why = moe.check(); !why.empty())
    return LogicalResult(emitInputFault(op) << "MoE: " << why);

  OpBuilder builder(op);
  GraphBuilder b(op->getLoc(), builder);
  MixtureBuilder mixture(raising.module, op, moe.experts);
  SmallVector<Value> asked = {moe.scores};
  if (moe.weighing)
    asked.push_back(moe.weighing);
  mixture.route(asked, [&](GraphBuilder &b, ValueRange arguments) -> std::pair<Value, Value> {
    Value shares = moe.weighing ? arguments[0] : b.softmax(arguments[0]);
    auto type = cast<RankedTensorType>(shares.getType());
    auto slots = [&](Type element) {
      return RankedTensorType::get({type.getDimSize(0), moe.count}, element);
    };
    Value chosen =
        SelectTopOp::create(b, slots(b.getI64Type()), b.getI64IntegerAttr(moe.count), shares);
    Value weights = WeighOp::create(b, slots(type.getElementType()), chosen,
                                    moe.weighing ? arguments[1] : shares,
                                    moe.normalized ? Normalization::Sum : Normalization::None);
    return {chosen, weights};
  });
  Value rows =
      cast<RankedTensorType>(moe.input.getType()).getRank() == 2 ? moe.input : b.rowsOf(moe.input);
  for (int64_t i = 0; i < moe.experts; ++i)
    mixture.addExpert(rows, [&](GraphBuilder &b, ValueRange arguments) {
      return moe.buildExpert(b, arguments[0], i);
    });
  Value result = mixture.build(asked, rows);
  if (rows != moe.input)
    result = b.reshapeTo(result, moe.input);
  raising.replace(mixture, op, result, "MoE",
                  Verdict{Verdict::Unchecked, op, "an op that is not evaluated here"});
  op->erase();
  return true;
}
