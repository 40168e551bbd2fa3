//===- Gates.cpp - The routers behind the weights of a mixture -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/RaiseRouting.h"

#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

std::optional<SmallVector<int64_t>> graft::raise::integersOf(Value value) {
  auto constant = value ? value.getDefiningOp<onnx::ConstantOp>() : nullptr;
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : nullptr;
  if (!elements || !elements.getElementType().isSignlessInteger(64))
    return std::nullopt;
  return llvm::to_vector(elements.getValues<int64_t>());
}

std::optional<int64_t> graft::raise::integerOf(Value value) {
  auto all = integersOf(value);
  return all && all->size() == 1 ? std::optional(all->front()) : std::nullopt;
}

RankedTensorType graft::raise::typeOf(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

/// The bytes of a weight as elements, if all of them are the same.
static DenseElementsAttr splatOfWeight(WeightAttr weight, Type type) {
  auto &store = weight.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  Type element = getElementTypeOrSelf(type);
  std::optional<ArrayRef<char>> bytes = store.lookup(weight.getKey());
  const size_t size = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() / 8 : 0;
  if (!bytes || size == 0 || bytes->size() < size)
    return {};
  ArrayRef<char> first = bytes->take_front(size);
  for (size_t i = size; i + size <= bytes->size(); i += size)
    if (bytes->slice(i, size) != first)
      return {};
  return DenseElementsAttr::getFromRawBuffer(RankedTensorType::get({1}, element), first);
}

/// What a value is everywhere: a constant, or one that is repeated to a shape.
static std::optional<double> splatOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto expand = dyn_cast_or_null<onnx::ExpandOp>(op))
    return splatOf(expand.getInput());
  DenseElementsAttr elements;
  if (auto constant = dyn_cast_or_null<onnx::ConstantOp>(op)) {
    // A weight is what an exporter computed for a static shape.
    auto weight = dyn_cast<WeightAttr>(constant.getValue());
    elements = weight ? splatOfWeight(weight, value.getType())
                      : dyn_cast<DenseElementsAttr>(constant.getValue());
  }
  if (auto fill = dyn_cast_or_null<onnx::ConstantOfShapeOp>(op)) {
    if (!fill.getValue())
      return 0;
    elements = dyn_cast<DenseElementsAttr>(*fill.getValue());
  }
  if (!elements || !elements.isSplat() || !isa<FloatType>(elements.getElementType()))
    return std::nullopt;
  return elements.getSplatValue<APFloat>().convertToDouble();
}

bool graft::raise::isZero(Value value) { return splatOf(value) == 0.0; }

/// Whether a softmax of it makes 0 of all that is not put in its place.
static bool isLowest(Value value) { return splatOf(value).value_or(0) <= -1e4; }

bool graft::raise::isParameter(Value value) {
  return isa_and_nonnull<onnx::ConstantOp, SiteOp, AdaptOp>(value.getDefiningOp());
}

Value graft::raise::cloneParameter(OpBuilder &b, Value value, IRMapping &mapping) {
  if (mapping.contains(value))
    return mapping.lookup(value);
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    cloneParameter(b, operand, mapping);
  return b.clone(*op, mapping)->getResult(0);
}

bool graft::raise::actsOnVectors(Operation *op) {
  for (auto [number, operand] : llvm::enumerate(op->getOperands())) {
    if (!isParameter(operand))
      continue;
    const bool isMatrix = isa<onnx::MatMulOp, onnx::GemmOp>(op) && number == 1;
    if (!typeOf(operand) || typeOf(operand).getRank() > (isMatrix ? 2 : 1) ||
        (isMatrix && typeOf(operand).getRank() != 2))
      return false;
  }
  // A cast to the type that is there already.
  if (auto cast = dyn_cast<onnx::CastOp>(op))
    return getElementTypeOrSelf(cast.getInput().getType()) == getElementTypeOrSelf(cast.getType());
  if (auto norm = dyn_cast<onnx::LayerNormalizationOp>(op))
    return isLastAxis(norm.getAxis(), norm.getX()) && norm->getNumResults() == 1;
  if (isa<onnx::MatMulOp>(op))
    return !isParameter(op->getOperand(0)) && isParameter(op->getOperand(1));
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return gemm.getTransA() == 0 && !isParameter(gemm.getA()) && isParameter(gemm.getB()) &&
           (!gemm.getC() || isParameter(gemm.getC()));
  return keepsVectorsApart(op);
}

static RankedTensorType rowsBy(Value like, int64_t columns, Type element) {
  return RankedTensorType::get({typeOf(like).getDimSize(0), columns}, element);
}

std::pair<Value, Value> graft::raise::takeWeighed(GraphBuilder &b, Value shares) {
  const int64_t modules = typeOf(shares).getShape().back();
  SmallVector<int64_t> all(modules);
  std::iota(all.begin(), all.end(), 0);
  Value numbers = b.integers(all);
  auto choose = [&](Value unused) { return b.where(unused, b.number(-1, numbers), numbers); };
  Value unused = b.predicate<onnx::EqualOp>(shares, b.number(0, shares));
  if (typeOf(shares).getRank() == 2)
    return {choose(unused), shares};
  // A sequence takes what any of its rows takes, once.
  Value used = b.where(unused, b.number(0, shares), b.number(1, shares));
  SmallVector<int64_t> axes(typeOf(shares).getRank() - 2);
  std::iota(axes.begin(), axes.end(), 1);
  auto type = rowsBy(shares, modules, typeOf(shares).getElementType());
  auto no = b.getI64IntegerAttr(0);
  Value any = onnx::ReduceMaxOp::create(b, type, used, b.integers(axes), no, no);
  Value mean = onnx::ReduceMeanOp::create(b, type, shares, b.integers(axes), no, no);
  unused = b.predicate<onnx::EqualOp>(any, b.number(0, any));
  return {choose(unused), mean};
}

/// `value` of (…, slots), or of one slot for each row without that dimension, as (rows, slots).
static Value asSlots(GraphBuilder &b, Value value, int64_t slots) {
  auto type = RankedTensorType::get({ShapedType::kDynamic, slots}, typeOf(value).getElementType());
  return onnx::ReshapeOp::create(b, type, value, b.integers({-1, slots}));
}

/// The one greatest of scores and its score, chosen without a dimension of slots or with one.
static Value scoresOfGreatest(const Gates &gates) {
  auto arg = gates.chosen.getDefiningOp<onnx::ArgMaxOp>();
  if (!arg || !isLastAxis(arg.getAxis(), arg.getData()) || arg.getSelectLastIndex() != 0)
    return {};
  if (!gates.weights)
    return arg.getData();
  auto most = gates.weights.getDefiningOp<onnx::ReduceMaxOp>();
  auto axis = most ? integerOf(most.getAxes()) : std::nullopt;
  return axis && most.getData() == arg.getData() && isLastAxis(*axis, most.getData())
             ? arg.getData()
             : Value();
}

/// A scatter of what is chosen by the k greatest into `shares`, which are what `isRest` takes else.
static onnx::ScatterElementsOp scatterOfChosen(Value shares, function_ref<bool(Value)> isRest) {
  auto scatter = shares.getDefiningOp<onnx::ScatterElementsOp>();
  return scatter && isLastAxis(scatter.getAxis(), shares) && isRest(scatter.getData()) &&
                 scatter.getReduction() == "none" &&
                 scatter.getIndices().getDefiningOp<onnx::TopKOp>()
             ? scatter
             : nullptr;
}

/// Whether some of the scores are such that a softmax makes 0 of them.
static bool areMasked(Value scores) {
  if (auto where = scores.getDefiningOp<onnx::WhereOp>())
    return isLowest(where.getX()) || isLowest(where.getY());
  auto scatter = scores.getDefiningOp<onnx::ScatterElementsOp>();
  return scatter && isLowest(scatter.getData());
}

void graft::raise::buildRouter(GraphBuilder &b, MixtureBuilder &mixture, Gates gates,
                               SmallVectorImpl<Value> &routed) {
  if (gates.shares) {
    auto softmax = gates.shares.getDefiningOp<onnx::SoftmaxOp>();
    bool isOfScores = softmax && isLastAxis(softmax.getAxis(), gates.shares);
    auto kept = isOfScores ? scatterOfChosen(softmax.getInput(), isLowest) : nullptr;
    if (auto scatter = scatterOfChosen(gates.shares, isZero)) {
      gates = {{}, scatter.getIndices(), scatter.getUpdates()};
    } else if (kept) {
      gates = {{}, kept.getIndices(), b.softmax(kept.getUpdates())};
    } else {
      isOfScores = isOfScores && !areMasked(softmax.getInput());
      routed.push_back(b.rowsOf(isOfScores ? softmax.getInput() : gates.shares));
      mixture.route(routed, [&](GraphBuilder &b, ValueRange v) -> std::pair<Value, Value> {
        if (!isOfScores)
          return takeWeighed(b, v[0]);
        Value shares = b.softmax(v[0]);
        Value chosen =
            SelectAllOp::create(b, rowsBy(shares, gates.slots(), b.getI64Type()), shares);
        return {chosen, shares};
      });
      return;
    }
  }
  auto ones = [](GraphBuilder &b, Value chosen) {
    Value like =
        onnx::CastOp::create(b, rowsBy(chosen, typeOf(chosen).getDimSize(1), b.getF32Type()),
                             chosen, "up", int64_t(1), int64_t(1));
    return b.expandTo(b.number(1, like), like);
  };
  if (Value scores = scoresOfGreatest(gates)) {
    auto softmax = scores.getDefiningOp<onnx::SoftmaxOp>();
    const bool isOfScores = softmax && isLastAxis(softmax.getAxis(), scores);
    routed.push_back(b.rowsOf(isOfScores ? softmax.getInput() : scores));
    mixture.route(routed, [&](GraphBuilder &b, ValueRange v) -> std::pair<Value, Value> {
      Value scores = isOfScores ? b.softmax(v[0]) : v[0];
      Value chosen =
          SelectTopOp::create(b, rowsBy(scores, 1, b.getI64Type()), b.getI64IntegerAttr(1), scores);
      if (!gates.weights)
        return {chosen, ones(b, chosen)};
      return {chosen, WeighOp::create(b, rowsBy(scores, 1, typeOf(scores).getElementType()), chosen,
                                      scores, Normalization::None)};
    });
    return;
  }
  // The scores that select and the normalisation of those that weigh, where both are seen.
  auto top = gates.chosen.getDefiningOp<onnx::TopKOp>();
  std::optional<Normalization> normalization;
  if (top && gates.weights && gates.chosen == top.getIndices() &&
      isLastAxis(top.getAxis(), top.getX()) && top.getLargest() == 1) {
    auto isSum = [&](Value value) {
      auto sum = value.getDefiningOp<onnx::ReduceSumOp>();
      auto axis = sum ? integerOf(sum.getAxes()) : std::nullopt;
      return axis && sum.getData() == top.getValues() && sum.getKeepdims() == 1 &&
             isLastAxis(*axis, sum.getData());
    };
    auto div = gates.weights.getDefiningOp<onnx::DivOp>();
    auto softmax = gates.weights.getDefiningOp<onnx::SoftmaxOp>();
    if (gates.weights == top.getValues())
      normalization = Normalization::None;
    else if (div && div.getA() == top.getValues() && isSum(div.getB()))
      normalization = Normalization::Sum;
    else if (softmax && softmax.getInput() == top.getValues() &&
             isLastAxis(softmax.getAxis(), softmax.getInput()))
      normalization = Normalization::Softmax;
  }
  if (!normalization) {
    routed.push_back(asSlots(b, gates.chosen, gates.slots()));
    if (gates.weights)
      routed.push_back(asSlots(b, gates.weights, gates.slots()));
    mixture.route(routed, [&](GraphBuilder &b, ValueRange v) {
      return std::pair(v[0], gates.weights ? v[1] : ones(b, v[0]));
    });
    return;
  }
  auto softmax = top.getX().getDefiningOp<onnx::SoftmaxOp>();
  const bool isOfScores = softmax && isLastAxis(softmax.getAxis(), top.getX());
  routed.push_back(b.rowsOf(isOfScores ? softmax.getInput() : top.getX()));
  mixture.route(routed, [&](GraphBuilder &b, ValueRange v) -> std::pair<Value, Value> {
    Value scores = isOfScores ? b.softmax(v[0]) : v[0];
    const int64_t slots = gates.slots();
    Value chosen = SelectTopOp::create(b, rowsBy(scores, slots, b.getI64Type()),
                                       b.getI64IntegerAttr(slots), scores);
    Value weights = WeighOp::create(b, rowsBy(scores, slots, typeOf(scores).getElementType()),
                                    chosen, scores, *normalization);
    return {chosen, weights};
  });
}
