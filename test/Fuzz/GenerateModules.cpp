//===- GenerateModules.cpp - Bodies of modules, mixtures of them ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Generate.h"

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;
using namespace graft::modular;

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

Value Generator::product(Builder &b, Value x, int64_t out, Random &shape) {
  const uint64_t key = shape.chance(15) ? shape.next() : 0;
  const int64_t kind = rank(x) == 3 ? 0 : shape.below(5);
  if (kind < 2)
    return onnx::MatMulOp::create(b, like(x, out), x, matrix(b, width(x), out, true, key));
  const bool inFirst = shape.chance(40);
  Value weight = matrix(b, width(x), out, inFirst, key);
  Value bias = kind == 2 ? Value() : vector(b, out, 0);
  const bool scales = shape.chance(8);
  return onnx::GemmOp::create(b, like(x, out), x, weight, bias, b.getF32FloatAttr(scales ? 0.5 : 1),
                              b.getF32FloatAttr(1), b.getI64IntegerAttr(0),
                              b.getI64IntegerAttr(inFirst ? 0 : 1));
}

Value Generator::activation(Builder &b, Value x, Random &shape) {
  switch (shape.below(11)) {
  case 0:
    return b.unary<onnx::TanhOp>(x);
  case 1:
    return b.unary<onnx::SigmoidOp>(x);
  case 2:
    return onnx::GeluOp::create(b, x.getType(), x, shape.chance(50) != twisted ? "tanh" : "none");
  case 3:
    return b.binary<onnx::MulOp>(x, b.unary<onnx::SigmoidOp>(x));
  case 4:
    return onnx::LeakyReluOp::create(b, x.getType(), x, b.getF32FloatAttr(twisted ? 0.4f : 0.01f));
  case 5:
    return onnx::EluOp::create(b, x.getType(), x);
  case 6:
    return b.unary<onnx::SoftplusOp>(x);
  case 7:
    return b.unary<onnx::HardSwishOp>(x);
  case 8:
    return onnx::ClipOp::create(b, x.getType(), x, b.number(-1, x), b.number(1, x));
  case 9:
    return b.unary<onnx::MishOp>(x);
  default:
    return b.unary<onnx::ReluOp>(x);
  }
}

Value Generator::norm(Builder &b, Value x, Random &shape) {
  const bool isLayer = shape.chance(75), shifts = shape.chance(50);
  const uint64_t key = shape.chance(85) ? shape.next() : 0;
  SmallVector<Value> operands{x, vector(b, width(x), 1, key)};
  NamedAttribute attributes[] = {b.getNamedAttr("axis", b.getI64IntegerAttr(-1)),
                                 b.getNamedAttr("epsilon", b.getF32FloatAttr(1e-2f))};
  if (!isLayer)
    return onnx::RMSNormalizationOp::create(b, loc, TypeRange{x.getType()}, operands, attributes);
  if (shifts)
    operands.push_back(vector(b, width(x), 0, key ? key + 1 : 0));
  SmallVector<NamedAttribute> all(std::begin(attributes), std::end(attributes));
  all.push_back(b.getNamedAttr("resultSegmentSizes", b.getDenseI32ArrayAttr({1, 0, 0})));
  return onnx::LayerNormalizationOp::create(b, loc, TypeRange{x.getType()}, operands, all)
      .getResult(0);
}

Value Generator::step(Builder &b, Value x, Random &shape, int depth) {
  switch (shape.below(13)) {
  case 0:
  case 1:
    return product(b, x, anyWidth(shape), shape);
  case 2:
    return activation(b, x, shape);
  case 3: { // a shift of the module's own, behind a product
    const int64_t out = anyWidth(shape);
    Value rows = product(b, x, out, shape), own = vector(b, out, shape.chance(50) ? 1 : 0);
    Value shifted = shape.chance(30)   ? b.binary<onnx::SubOp>(rows, own)
                    : shape.chance(15) ? b.binary<onnx::SubOp>(own, rows)
                    : shape.chance(40) ? b.binary<onnx::MulOp>(own, rows)
                                       : b.binary<onnx::AddOp>(rows, own);
    // One more behind it, or another reader of what it shifts.
    if (shape.chance(25))
      return b.binary<onnx::MulOp>(shifted, vector(b, out, 1));
    return shape.chance(15) ? b.binary<onnx::AddOp>(shifted, rows) : shifted;
  }
  case 4:
    return norm(b, x, shape);
  case 5: { // gated
    const int64_t out = anyWidth(shape);
    Value gate = activation(b, product(b, x, out, shape), shape);
    return b.binary<onnx::MulOp>(gate, product(b, x, out, shape));
  }
  case 6: {
    Value more = product(b, activation(b, x, shape), width(x), shape);
    if (shape.chance(50))
      return b.binary<onnx::AddOp>(x, more);
    return twisted ? b.binary<onnx::SubOp>(more, x) : b.binary<onnx::SubOp>(x, more);
  }
  case 7:
    return b.softmax(x);
  case 8: { // the same vector for all
    Value same = vector(b, width(x), 1, shape.next());
    if (shape.chance(50))
      return b.binary<onnx::MulOp>(x, same);
    return onnx::MaxOp::create(b, x.getType(), ValueRange{x, same});
  }
  case 9: {
    if (width(x) % 2 != 0)
      return b.binary<onnx::SubOp>(x, b.number(0.5, x));
    Type half = like(x, width(x) / 2);
    auto parts =
        onnx::SplitOp::create(b, TypeRange{half, half}, x, b.integers({width(x) / 2, width(x) / 2}),
                              b.getI64IntegerAttr(rank(x) - 1), IntegerAttr());
    return b.binary<onnx::MulOp>(parts.getResult(0), parts.getResult(1));
  }
  case 10: { // what differs along a sequence, or a mask
    if (rank(x) == 3) {
      auto type = cast<RankedTensorType>(x.getType());
      Value sum = onnx::ReduceSumOp::create(
          b,
          RankedTensorType::get({type.getDimSize(0), 1, type.getDimSize(2)}, type.getElementType()),
          x, b.integers(1), b.getI64IntegerAttr(1), b.getI64IntegerAttr(0));
      return b.binary<onnx::SubOp>(x, b.binary<onnx::MulOp>(sum, b.number(0.125, x)));
    }
    auto type = RankedTensorType::get({width(x)}, b.getI1Type());
    SmallVector<bool> mask;
    for (int64_t i = 0; i < width(x); ++i)
      mask.push_back(shape.chance(60));
    Value keep =
        onnx::ConstantOp::create(b, type, DenseElementsAttr::get(type, ArrayRef<bool>(mask)));
    return b.where(keep, x, b.number(twisted ? -0.5 : 0.25, x));
  }
  default:
    if (depth > 0 && budget > 0 && rank(x) == 2)
      return mixture(b, x, shape.chance(50) ? width(x) : anyWidth(shape), shape, depth - 1);
    return activation(b, x, shape);
  }
}

Value Generator::body(Builder &b, ValueRange inputs, int64_t out, Random &shape, int depth) {
  Value x = inputs.front();
  if (inputs.size() > 1) {
    const int64_t both = anyWidth(shape);
    Value first = product(b, x, both, shape), second = product(b, inputs[1], both, shape);
    x = shape.chance(50) ? b.binary<onnx::AddOp>(first, second)
                         : b.binary<onnx::MulOp>(first, second);
  }
  for (int64_t i = shape.pick({0, 1, 1, 2, 3}); i > 0; --i)
    x = step(b, x, shape, depth);
  return width(x) != out || shape.chance(40) ? product(b, x, out, shape) : x;
}

FlatSymbolRefAttr Generator::expert(TypeRange inputs, int64_t out, Random shape, int depth) {
  --budget;
  OpBuilder top(&context);
  // Ahead of @main; what the body routes by in turn may stand behind.
  top.setInsertionPoint(main);
  auto op = modular::ModuleOp::create(top, loc, top.getStringAttr(unique("f")),
                                      CompositionAttr::get(&context, Composition::Function),
                                      TypeAttr::get(top.getFunctionType(inputs, {})), StringAttr(),
                                      ArrayAttr(), ArrayAttr());
  Block &block = op.getBody().emplaceBlock();
  for (Type type : inputs)
    block.addArgument(type, loc);
  top.setInsertionPointToEnd(&block);
  Builder b(loc, top);
  Value result = body(b, block.getArguments(), out, shape, depth);
  YieldOp::create(b, result);
  op.setFunctionTypeAttr(TypeAttr::get(top.getFunctionType(inputs, result.getType())));
  return FlatSymbolRefAttr::get(op.getSymNameAttr());
}

//===----------------------------------------------------------------------===//
// Mixtures
//===----------------------------------------------------------------------===//

/// From each row to what its modules gave.
Value Generator::attention(Builder &b, Value parts, Value x, Random &shape) {
  const int64_t own = cast<PartsType>(parts.getType()).getType().getDimSize(1);
  const int64_t inner = shape.pick({1, 3, 8}), out = shape.pick({2, 9});
  Value q = matrix(b, width(x), inner, false), k = matrix(b, own, inner, false);
  Value v = shape.chance(60) ? matrix(b, own, out, false) : Value();
  return AggregateAttentionOp::create(b, like(x, v ? out : own), parts, x, q, k, v,
                                      b.getF64FloatAttr(shape.pick({1.0, 0.5})));
}

/// By an aggregator of the graph's own: the greatest of all slots, or what is over their squares.
Value Generator::aggregateByOwn(Builder &b, Value parts, Random &shape) {
  RankedTensorType part = cast<PartsType>(parts.getType()).getType();
  const int64_t slots = cast<ApplyOp>(parts.getDefiningOp()).getRoute().getType().getSlots();
  SmallVector<int64_t> dims(part.getShape());
  dims.front() = ShapedType::kDynamic;
  RankedTensorType result = part.clone(dims);
  dims.insert(dims.begin() + 1, slots);
  auto ofRoute = RankedTensorType::get({ShapedType::kDynamic, slots}, b.getF32Type());
  Type arguments[] = {part.clone(dims), ofRoute.clone(b.getI64Type()), ofRoute};
  OpBuilder top(&context);
  top.setInsertionPointToEnd(module->getBody());
  auto op = AggregatorOp::create(top, loc, top.getStringAttr(unique("own")),
                                 TypeAttr::get(top.getFunctionType(arguments, result)),
                                 StringAttr(), ArrayAttr(), ArrayAttr());
  Block &block = op.getBody().emplaceBlock();
  for (Type type : arguments)
    block.addArgument(type, loc);
  top.setInsertionPointToEnd(&block);
  Builder inner(loc, top);
  Value all = block.getArgument(0), axis = inner.integers(1);
  auto no = inner.getI64IntegerAttr(0);
  Value brought = shape.chance(50)
                      ? Value(onnx::ReduceMaxOp::create(inner, result, all, axis, no, no))
                      : Value(onnx::ReduceSumOp::create(
                            inner, result, inner.binary<onnx::MulOp>(all, all), axis, no, no));
  YieldOp::create(inner, brought);
  return AggregateByOp::create(b, part, FlatSymbolRefAttr::get(op.getSymNameAttr()), parts,
                               ValueRange());
}

Value Generator::aggregate(Builder &b, Value parts, Value x, Random &shape) {
  RankedTensorType part = cast<PartsType>(parts.getType()).getType();
  if (part.getRank() == 2 && shape.chance(7))
    return attention(b, parts, x, shape);
  if (shape.chance(7))
    return aggregateByOwn(b, parts, shape);
  auto how =
      shape.pick({Aggregation::WeightedSum, Aggregation::WeightedSum, Aggregation::WeightedSum,
                  Aggregation::Sum, Aggregation::Mean, Aggregation::Concatenation});
  if (how != Aggregation::Concatenation)
    return AggregateOp::create(b, part, how, parts);
  SmallVector<int64_t> dims(part.getShape());
  dims.back() *= cast<ApplyOp>(parts.getDefiningOp()).getRoute().getType().getSlots();
  return AggregateOp::create(b, part.clone(dims), how, parts);
}

Value Generator::mixture(Builder &b, Value x, int64_t out, Random &shape, int depth) {
  const int64_t modules = shape.pick({1, 2, 2, 3, 3, 4, 4, 8});
  SmallVector<Value> inputs{x};
  if (isInMain(b) && rank(x) == 2 && !ofTokens && shape.chance(15))
    inputs.push_back(input("z", {rowDim, "5"}, b.getF32Type()));
  SmallVector<Type> types;
  for (Value value : inputs) {
    SmallVector<int64_t> dims(cast<RankedTensorType>(value.getType()).getShape());
    dims.front() = ShapedType::kDynamic;
    types.push_back(cast<RankedTensorType>(value.getType()).clone(dims));
  }
  Asked asked = router(b, x, modules, shape);
  const bool areAlike = shape.chance(65), repeats = shape.chance(15), twists = shape.chance(15);
  // Bodies of a few kinds in any order, or of as many as there are modules.
  const bool hasKinds = !areAlike && shape.chance(60);
  const Random each(shape.next()), other(shape.next());
  SmallVector<Attribute> symbols;
  for (int64_t i = 0; i < modules; ++i) {
    if (!symbols.empty() && (budget <= 0 || (repeats && shape.chance(50)))) {
      symbols.push_back(symbols[size_t(shape.below(i))]);
      continue;
    }
    twisted = twists && areAlike && i + 1 == modules;
    const bool isFirst = areAlike || (hasKinds && shape.chance(50));
    const Random kind = isFirst ? each : hasKinds ? other : Random(shape.next());
    symbols.push_back(expert(types, out, kind, depth));
    twisted = false;
  }
  Value route = RouteOp::create(b, RouteType::get(&context, modules, asked.slots), asked.router,
                                asked.inputs);
  auto parts = ApplyOp::create(b, PartsType::get(&context, like(x, out)), route, inputs,
                               b.getArrayAttr(symbols), /*bodiesCount=*/0u);
  // One or two aggregates of the same parts, each brought to the width that is wanted.
  auto one = [&]() -> Value {
    Value result = aggregate(b, parts.getParts(), x, shape);
    return width(result) == out ? result : product(b, result, out, shape);
  };
  Value result = one();
  return shape.chance(10) ? b.binary<onnx::AddOp>(result, one()) : result;
}
