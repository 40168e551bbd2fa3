//===- GenerateRouters.cpp - Scores, selections and weights --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Generate.h"

#include <limits>

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;
using namespace graft::modular;

RankedTensorType Generator::like(Value x, int64_t last, Type element) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = last;
  return RankedTensorType::get(shape, element ? element : type.getElementType());
}

/// (rows, modules) of what is (rows, width), or, a sequence a row, (rows, length, width).
Value Generator::scores(Builder &b, Value x, int64_t modules, Random &shape) {
  if (rank(x) == 3) {
    auto type = cast<RankedTensorType>(x.getType());
    x = onnx::ReduceSumOp::create(
        b, RankedTensorType::get({type.getDimSize(0), type.getDimSize(2)}, type.getElementType()),
        x, b.integers(1), b.getI64IntegerAttr(0), b.getI64IntegerAttr(0));
  }
  if (shape.chance(50))
    return onnx::MatMulOp::create(b, like(x, modules), x, gate(b, width(x), modules, true));
  return b.linear(x, gate(b, width(x), modules, false), Value());
}

/// The scores by which modules are selected: those given, or with a bias or a mask.
Value Generator::selectionScores(Builder &b, Value scores, Random &shape) {
  const int64_t modules = width(scores);
  auto constant = [&](llvm::function_ref<double()> element) -> Value {
    TypedAttr value = contents({modules}, element, false);
    return onnx::ConstantOp::create(b, cast<RankedTensorType>(value.getType()), value);
  };
  switch (shape.below(7)) {
  case 2:
    if (modules % 2 == 0) {
      const int64_t groups = modules > 4 ? shape.pick<int64_t>({2, 4}) : 2;
      return MaskGroupsOp::create(b, scores.getType(), scores, groups, shape.between(1, groups),
                                  shape.between(1, modules / groups));
    }
    return scores;
  case 0:
    return b.binary<onnx::AddOp>(scores, constant([&] { return random.grid(); }));
  case 1: {
    auto type = RankedTensorType::get({modules}, b.getI1Type());
    SmallVector<bool> mask;
    for (int64_t i = 0; i < modules; ++i)
      mask.push_back(random.chance(70));
    Value allowed =
        onnx::ConstantOp::create(b, type, DenseElementsAttr::get(type, ArrayRef<bool>(mask)));
    return b.where(allowed, scores, b.number(-std::numeric_limits<double>::infinity(), scores));
  }
  default:
    return scores;
  }
}

Value Generator::select(Builder &b, Value scores, bool seesRows, Random &shape) {
  const int64_t modules = width(scores);
  RankedTensorType each = like(scores, modules, b.getI64Type());
  const int64_t kind = shape.below(20);
  if (kind < 3)
    return SelectAllOp::create(b, each, scores);
  if (kind < 6)
    return SelectAboveOp::create(b, each, b.getF64FloatAttr(shape.pick({-0.5, 0.0, 0.125, 1.0})),
                                 scores);
  if (kind < 8 && seesRows) {
    const bool counts = shape.chance(50);
    return SelectRowsOp::create(
        b, each, counts ? b.getI64IntegerAttr(shape.between(1, 5)) : IntegerAttr(),
        counts ? FloatAttr()
               : b.getF64FloatAttr(std::min(double(modules), shape.pick({0.3, 1.0, 1.5}))),
        scores);
  }
  const int64_t count = std::min(modules, shape.pick<int64_t>({1, 1, 2, 2, 2, 3, 8}));
  return SelectTopOp::create(b, like(scores, count, b.getI64Type()), b.getI64IntegerAttr(count),
                             scores);
}

Value Generator::weights(Builder &b, Value chosen, Value scores, Value selecting, Random &shape) {
  if (shape.chance(15))
    return WeighEvenlyOp::create(b, like(chosen, width(chosen), b.getF32Type()), chosen,
                                 b.getI64IntegerAttr(width(scores)),
                                 shape.chance(50) ? b.getUnitAttr() : UnitAttr());
  auto how = shape.pick(
      {Normalization::None, Normalization::Sum, Normalization::Softmax, Normalization::Softmax});
  Value by = shape.chance(20) ? selecting : scores;
  if (how == Normalization::Sum && shape.chance(70))
    by = shape.chance(50) ? b.unary<onnx::SigmoidOp>(by) : b.softmax(by);
  Value weights = WeighOp::create(b, like(chosen, width(chosen), b.getF32Type()), chosen, by, how);
  if (shape.chance(20))
    weights = b.binary<onnx::MulOp>(weights, b.number(2.5, weights));
  return weights;
}

Generator::Asked Generator::router(Builder &b, Value x, int64_t modules, Random &shape) {
  // What the router takes, and what of the model's inputs stands for it.
  SmallVector<Value> given;
  const bool ofModel = isInMain(b) && rank(x) == 2 && !ofTokens;
  enum { Gate, Scores, Noisy, Route, Chosen, Hash, Parameter } kind = Gate;
  if (shape.chance(12))
    kind = Parameter;
  else if (ofModel && shape.chance(50))
    kind = shape.pick({Scores, Scores, Noisy, Route, Route, Chosen, Hash});
  const int64_t slots = shape.pick({1, 2, 2, 3});
  const std::string of = std::to_string(modules), wide = std::to_string(slots);
  switch (kind) {
  case Gate:
    given = {x};
    break;
  case Parameter: {
    Value row = vector(b, modules, 0, 0);
    Value wide = b.concat({b.sizeOf(x, 0), b.integers(modules)}, 0);
    auto rows = RankedTensorType::get({cast<RankedTensorType>(x.getType()).getDimSize(0), modules},
                                      b.getF32Type());
    given = {onnx::ExpandOp::create(b, rows, row, wide)};
    break;
  }
  case Scores:
    given = {input("scores" + of, {rowDim, of}, b.getF32Type())};
    break;
  case Noisy:
    given = {x, input("noise" + of, {rowDim, of}, b.getF32Type())};
    break;
  case Route:
    given = {input("chosen" + wide + "." + of, {rowDim, wide}, b.getI64Type()),
             input("weights" + wide, {rowDim, wide}, b.getF32Type())};
    break;
  case Hash:
    given = {x, input("any", {rowDim}, b.getI64Type())};
    break;
  case Chosen:
    given = {input("scores" + of, {rowDim, of}, b.getF32Type()),
             input("chosen" + wide + "." + of, {rowDim, wide}, b.getI64Type())};
    break;
  }

  OpBuilder top(&context);
  top.setInsertionPointToEnd(module->getBody());
  SmallVector<std::string> names;
  for (int64_t i = 0; i < modules; ++i)
    names.push_back("e" + std::to_string(i));
  SmallVector<StringRef> views(names.begin(), names.end());
  auto op = RouterOp::create(top, loc, unique("router"), top.getStrArrayAttr(views));
  Block &block = op.getBody().emplaceBlock();
  for (Value value : given) {
    SmallVector<int64_t> dims(cast<RankedTensorType>(value.getType()).getShape());
    dims.front() = ShapedType::kDynamic;
    block.addArgument(cast<RankedTensorType>(value.getType()).clone(dims), loc);
  }
  top.setInsertionPointToEnd(&block);
  Builder inner(loc, top);
  Value chosen, weighing;
  if (kind == Route) {
    chosen = block.getArgument(0);
    weighing = block.getArgument(1);
  } else {
    Value raw = kind == Scores || kind == Chosen || kind == Parameter
                    ? Value(block.getArgument(0))
                    : scores(inner, block.getArgument(0), modules, shape);
    if (kind == Noisy)
      raw = inner.binary<onnx::AddOp>(raw, block.getArgument(1));
    if (shape.chance(30))
      raw = shape.chance(50) ? inner.unary<onnx::SigmoidOp>(raw) : inner.softmax(raw);
    Value selecting = selectionScores(inner, raw, shape);
    if (kind == Chosen)
      chosen = block.getArgument(1);
    else if (kind == Hash)
      chosen = SelectHashOp::create(inner, like(raw, 1, inner.getI64Type()),
                                    shape.pick<int64_t>({0, 7, -3}), block.getArgument(1), modules);
    else
      chosen = select(inner, selecting, ofModel, shape);
    if (ofModel && shape.chance(12)) {
      const bool counts = shape.chance(50);
      chosen = LimitOp::create(
          inner, chosen.getType(), chosen,
          counts ? inner.getI64IntegerAttr(shape.between(1, 4)) : IntegerAttr(),
          counts ? FloatAttr() : inner.getF64FloatAttr(shape.pick({0.5, 1.0, 1.25})),
          inner.getI64IntegerAttr(modules));
    }
    weighing = weights(inner, chosen, raw, selecting, shape);
  }
  YieldOp::create(inner, ValueRange{chosen, weighing});
  return {FlatSymbolRefAttr::get(op.getSymNameAttr()), width(chosen), given};
}
