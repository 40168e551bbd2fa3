//===- Evaluator.cpp - What onnx and modular ops mean, on numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/Evaluator.h"

#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace graft;
using namespace graft::reference;

const Tensor *Evaluator::lookup(Value value) const {
  auto it = tensors.find(value);
  return value && it != tensors.end() ? it->second.get() : nullptr;
}

bool Evaluator::fail(Operation *op, const Twine &why, bool isUnknown) {
  failed = {op, why.str(), isUnknown};
  return false;
}

std::optional<SmallVector<int64_t>> Evaluator::integers(Value value) const {
  const Tensor *tensor = lookup(value);
  return tensor ? std::optional(tensor->integers()) : std::nullopt;
}

bool Evaluator::result(Value value, ArrayRef<int64_t> shape, std::vector<double> values) {
  if (computedCount(shape) != int64_t(values.size()))
    return fail(value.getDefiningOp(), "sizes do not fit");
  set(value,
      Tensor(Tensor::kindOf(getElementTypeOrSelf(value.getType())), shape, std::move(values)));
  return true;
}

std::optional<Shape> Evaluator::shapeOf(Value value) const {
  if (const Tensor *tensor = lookup(value))
    return tensor->shape;
  if (!shapes || !shapes->isKnown(value))
    return std::nullopt;
  Shape shape;
  for (const Polynomial &dim : shapes->get(value).dims) {
    std::optional<int64_t> number = dim.evaluate(symbols);
    if (!number)
      return std::nullopt;
    shape.push_back(*number);
  }
  return shape;
}

/// Whether the op asks its operand's shape only.
static bool asksShape(Operation *op) { return isa<onnx::ShapeOp, onnx::SizeOp>(op); }

const Tensor *Evaluator::get(Value value) {
  llvm::SetVector<Operation *> cone;
  auto add = [&](Value operand, Operation *user) {
    if (lookup(operand))
      return true;
    Operation *op = operand.getDefiningOp();
    if (!op)
      return fail(user, "an input that is not given", true);
    cone.insert(op);
    return true;
  };
  if (!add(value, nullptr))
    return nullptr;
  for (size_t i = 0; i < cone.size(); ++i) {
    Operation *op = cone[i];
    if (asksShape(op) && shapeOf(op->getOperand(0)))
      continue;
    if (isa<modular::SiteOp, modular::AdaptOp>(op))
      continue;
    for (Value operand : op->getOperands())
      if (!add(operand, op))
        return nullptr;
  }
  SmallVector<Operation *> order = cone.takeVector();
  llvm::sort(order, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : order)
    if (!evaluate(op))
      return nullptr;
  return lookup(value);
}

/// A constant's elements, where they lie if they are a weight's.
bool Evaluator::evaluateConstant(Operation *op, Attribute value) {
  auto typed = dyn_cast_or_null<TypedAttr>(value);
  auto type = typed ? dyn_cast<RankedTensorType>(typed.getType()) : RankedTensorType();
  if (!type || !type.hasStaticShape())
    return fail(op, "a constant of unknown type", true);
  if (auto weight = dyn_cast<modular::WeightAttr>(value)) {
    auto bytes =
        op->getContext()->getLoadedDialect<modular::ModularDialect>()->getWeightStore().lookup(
            weight.getKey());
    Type element = type.getElementType();
    if (!bytes || !(element.isF32() || element.isF64() || element.isF16() || element.isBF16()))
      return fail(op, "a constant whose elements are not read here", true);
    set(op->getResult(0), Tensor::weight(type, bytes->data()));
    return true;
  }
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (!dense || type.getNumElements() > (int64_t(1) << 24))
    return fail(op, "a constant whose elements are not read here", true);
  std::vector<double> values;
  values.reserve(type.getNumElements());
  if (isa<FloatType>(type.getElementType())) {
    for (APFloat element : dense.getValues<APFloat>()) {
      bool losesInfo;
      element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      values.push_back(element.convertToDouble());
    }
  } else if (type.getElementType().isIntOrIndex()) {
    const bool isUnsigned =
        type.getElementType().isUnsignedInteger() || type.getElementType().isInteger(1);
    for (const APInt &element : dense.getValues<APInt>())
      values.push_back(isUnsigned ? double(element.getZExtValue())
                                  : double(element.getSExtValue()));
  } else {
    return fail(op, "a constant whose elements are not read here", true);
  }
  return result(op->getResult(0), type.getShape(), std::move(values));
}

bool Evaluator::evaluateShape(Operation *op) {
  std::optional<Shape> shape = shapeOf(op->getOperand(0));
  if (!shape)
    return fail(op, "a shape that is not known", true);
  if (isa<onnx::SizeOp>(op))
    return result(op->getResult(0), {}, {double(elementCount(*shape).value_or(0))});
  auto shapeOp = cast<onnx::ShapeOp>(op);
  const int64_t rank = shape->size();
  auto place = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = place(shapeOp.getStart()), end = place(shapeOp.getEnd().value_or(rank));
  std::vector<double> dims;
  for (int64_t i = start; i < end; ++i)
    dims.push_back(double((*shape)[i]));
  const int64_t count = dims.size();
  return result(op->getResult(0), {count}, std::move(dims));
}

bool Evaluator::evaluate(Operation *op) {
  if (llvm::all_of(op->getResults(), [&](Value value) { return lookup(value) != nullptr; }) &&
      op->getNumResults() != 0)
    return true;
  if (auto constant = dyn_cast<onnx::ConstantOp>(op))
    return evaluateConstant(op, constant.getValue());
  if (isa<modular::SiteOp, modular::AdaptOp>(op)) {
    // What enters there is on both sides of a comparison: the frozen parameter stands for it.
    Operation *site = op;
    while (auto adapt = dyn_cast_or_null<modular::AdaptOp>(site))
      site = adapt.getSite().getDefiningOp();
    auto at = dyn_cast_or_null<modular::SiteOp>(site);
    auto parameter =
        at ? SymbolTable::lookupNearestSymbolFrom<modular::ParameterOp>(at, at.getParameterAttr())
           : nullptr;
    if (!parameter || at.getResult().getType() != op->getResult(0).getType())
      return fail(op, "a parameter whose elements are not read here", true);
    return evaluateConstant(op, parameter.getValue());
  }
  if (asksShape(op))
    return evaluateShape(op);
  for (auto rule : {evaluateElementwise, evaluateArrangement, evaluateIndexing, evaluateProducts,
                    evaluateMixtures})
    if (Known known = rule(*this, op))
      return *known;
  return fail(op, "an op that is not evaluated here", true);
}
