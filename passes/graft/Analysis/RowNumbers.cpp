//===- RowNumbers.cpp - Numbers of rows, and what they pick ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowRules.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft;
using rowrules::divides;
using rowrules::numberAsData;
using rowrules::wrap;

static bool isAtMost(const Polynomial &a, const Polynomial &b) { return (b - a).isNonNegative(); }

/// The one value that all elements have, if they are known.
static std::optional<Polynomial> soleElement(const SymbolicTensor &tensor) {
  if (!tensor.elements || tensor.elements->empty() || !llvm::all_equal(*tensor.elements))
    return std::nullopt;
  return tensor.elements->front();
}

static std::optional<IntegerRange> hull(const std::optional<IntegerRange> &a,
                                        const std::optional<IntegerRange> &b) {
  if (!a || !b)
    return std::nullopt;
  IntegerRange both = *a;
  if (isAtMost(b->least, a->least))
    both.least = b->least;
  else if (!isAtMost(a->least, b->least))
    return std::nullopt;
  if (isAtMost(a->most, b->most))
    both.most = b->most;
  else if (!isAtMost(b->most, a->most))
    return std::nullopt;
  return both;
}

//===----------------------------------------------------------------------===//
// Where they come from
//===----------------------------------------------------------------------===//

RowState RowIndependence::range(Operation *op) {
  auto range = cast<onnx::RangeOp>(op);
  if (areSame(op, 0))
    return RowState::same();
  if (!get(range.getStart()).isSame() || !get(range.getDelta()).isSame() ||
      !isKnownBeforeData(range.getLimit()))
    return mixed("computes with the number of rows");
  const Polynomial &length = dims(op->getResult(0))[0];
  auto start = soleElement(shapes.get(range.getStart()));
  auto delta = soleElement(shapes.get(range.getDelta()));
  if (!start || !delta || !divides(count, length))
    return mixed("computes with the number of rows");
  RowState state = RowState::rows(0, Polynomial::floorDiv(length, count));
  state.scale = state.inner * *delta;
  if (delta->isNonNegative())
    state.rest = IntegerRange{*start, *start + (state.inner - 1) * *delta};
  return state;
}

/// Older exporters write a range as the places of a row of ones.
RowState RowIndependence::nonZero(Operation *op) {
  auto ones = op->getOperand(0).getDefiningOp<onnx::ConstantOfShapeOp>();
  const RowState &state = get(op, 0);
  const Polynomial length = ones ? dims(op->getOperand(0)).back() : Polynomial();
  if (!ones || rank(op->getOperand(0)) != 1 || !state.isRows() ||
      dims(op->getResult(0))[1] != length)
    return mixed("picks what only data tells");
  RowState result = RowState::rows(1, Polynomial::floorDiv(length, count));
  result.scale = result.inner;
  result.rest = IntegerRange{0, result.inner - 1};
  return result;
}

//===----------------------------------------------------------------------===//
// What may be computed of them
//===----------------------------------------------------------------------===//

RowState RowIndependence::numbersOf(Operation *op, const RowState &common) {
  if (isa<onnx::IdentityOp>(op))
    return get(op, 0);
  if (isa<onnx::CastOp>(op)) {
    Type to = cast<ShapedType>(op->getResult(0).getType()).getElementType();
    return to.isSignlessInteger(32) || to.isSignlessInteger(64) ? get(op, 0) : mixed(numberAsData);
  }
  RowState result = common;
  SmallVector<Polynomial> scales;
  SmallVector<std::optional<IntegerRange>> rests;
  for (Value operand : op->getOperands()) {
    if (get(operand).column)
      return mixed(numberAsData);
    scales.push_back(get(operand).scale);
    rests.push_back(rangeOf(operand));
  }
  auto combine = [&](auto function) { // with the next operand
    for (size_t i = 1; i < scales.size(); ++i) {
      scales[0] = function(scales[0], scales[i]);
      if (rests[0] && rests[i])
        rests[0] = IntegerRange{function(rests[0]->least, rests[i]->least),
                                function(rests[0]->most, rests[i]->most)};
      else
        rests[0].reset();
    }
  };
  if (isa<onnx::AddOp, onnx::SumOp>(op)) {
    combine([](const Polynomial &a, const Polynomial &b) { return a + b; });
  } else if (isa<onnx::SubOp>(op)) {
    if (rests[1])
      std::swap(rests[1]->least, rests[1]->most);
    combine([](const Polynomial &a, const Polynomial &b) { return a - b; });
  } else if (isa<onnx::MulOp>(op)) {
    const unsigned number = get(op, 0).isNumber() ? 0 : 1;
    auto factor = soleElement(shapes.get(op->getOperand(1 - number)));
    if (!factor || !get(op, 1 - number).isSame())
      return mixed(numberAsData);
    scales[0] = scales[number] * *factor;
    rests[0] = rests[number];
    if (rests[0] && factor->isNonNegative())
      rests[0] = IntegerRange{rests[0]->least * *factor, rests[0]->most * *factor};
    else
      rests[0].reset();
  } else if (isa<onnx::WhereOp>(op)) {
    if (scales[1] != scales[2])
      return mixed(numberAsData);
    scales[0] = scales[1];
    rests[0] = hull(rests[1], rests[2]);
  } else { // comparisons, between numbers of the same row
    if (scales[0] != scales[1])
      return mixed(numberAsData);
    return result;
  }
  result.scale = scales[0];
  result.rest = rests[0];
  return result;
}

std::optional<IntegerRange> RowIndependence::rangeOf(Value value, int depth) const {
  const RowState &state = get(value);
  if (state.isNumber())
    return state.rest;
  const SymbolicTensor &tensor = shapes.get(value);
  if (auto sole = soleElement(tensor))
    return IntegerRange{*sole, *sole};
  if (tensor.elements) {
    std::optional<IntegerRange> range;
    for (const Polynomial &element : *tensor.elements)
      range = range ? hull(range, IntegerRange{element, element}) : IntegerRange{element, element};
    return range;
  }
  Operation *op = value.getDefiningOp();
  return op && depth < 16 ? rangeOfResult(op, depth + 1) : std::nullopt;
}

std::optional<IntegerRange> RowIndependence::rangeOfResult(Operation *op, int depth) const {
  using Range = std::optional<IntegerRange>;
  auto first = [&](auto) -> Range { return rangeOf(op->getOperand(0), depth); };
  return llvm::TypeSwitch<Operation *, Range>(op)
      .Case<onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::ReshapeOp, onnx::FlattenOp, onnx::ExpandOp,
            onnx::TransposeOp, onnx::IdentityOp, onnx::SliceOp, onnx::TileOp, onnx::GatherOp,
            onnx::GatherNDOp, onnx::GatherElementsOp>(first)
      .Case([&](onnx::CastOp cast) -> Range {
        auto type = [](Value v) { return mlir::cast<ShapedType>(v.getType()).getElementType(); };
        return type(cast.getInput()).isInteger(64) && type(cast.getOutput()).isInteger(64)
                   ? rangeOf(cast.getInput(), depth)
                   : std::nullopt;
      })
      .Case([&](onnx::RangeOp range) -> Range {
        auto start = soleElement(shapes.get(range.getStart()));
        auto delta = soleElement(shapes.get(range.getDelta()));
        if (!start || !delta || !delta->isNonNegative())
          return std::nullopt;
        return IntegerRange{*start, *start + (dims(range.getResult())[0] - 1) * *delta};
      })
      .Case<onnx::ArgMaxOp, onnx::ArgMinOp>([&](Operation *arg) -> Range {
        Value x = arg->getOperand(0);
        return IntegerRange{0, dims(x)[wrap(rowrules::intAttr(arg, "axis", 0), rank(x))] - 1};
      })
      .Case([&](onnx::NonZeroOp nonZero) -> Range {
        Value x = nonZero.getX();
        return rank(x) == 1 ? Range(IntegerRange{0, dims(x)[0] - 1}) : std::nullopt;
      })
      .Case([&](onnx::ModOp mod) -> Range {
        auto divisor = soleElement(shapes.get(mod.getB()));
        if (mod.getFmod() || !divisor || !divisor->isPositive())
          return std::nullopt;
        return IntegerRange{0, *divisor - 1};
      })
      .Case([&](onnx::AddOp add) -> Range {
        Range a = rangeOf(add.getA(), depth), b = rangeOf(add.getB(), depth);
        return a && b ? Range(IntegerRange{a->least + b->least, a->most + b->most}) : std::nullopt;
      })
      .Default([](Operation *) { return std::nullopt; });
}

//===----------------------------------------------------------------------===//
// What they pick
//===----------------------------------------------------------------------===//

bool RowIndependence::picksOwnRow(const RowState &state, const Polynomial &inner) const {
  return state.scale == inner && state.rest && state.rest->least.isNonNegative() &&
         isAtMost(state.rest->most, inner - 1);
}

RowState RowIndependence::gather(Operation *op) {
  auto gather = cast<onnx::GatherOp>(op);
  const RowState &data = get(gather.getData()), &indices = get(gather.getIndices());
  const int64_t axis = wrap(gather.getAxis(), rank(gather.getData()));
  if (indices.isNumber()) {
    if (!data.isRows() || data.dim != axis || indices.column || data.column)
      return mixed(numberAsData);
    if (!isWhole(gather.getData(), data) || !picksOwnRow(indices, data.inner))
      return mixed("may gather from other rows");
    RowState result = indices.at(axis + indices.dim);
    result.scale = data.scale;
    result.rest = data.rest;
    return result;
  }
  if (data.isRows() && (indices.isRows() || data.dim == axis || data.column))
    return mixed("gathers from other rows");
  if (indices.isRows())
    return RowState::rows(axis + indices.dim, indices.inner);
  return data.at(data.dim < axis ? data.dim : data.dim + rank(gather.getIndices()) - 1);
}

RowState RowIndependence::gatherND(Operation *op) {
  auto gather = cast<onnx::GatherNDOp>(op);
  const RowState &data = get(gather.getData()), &indices = get(gather.getIndices());
  const int64_t batch = gather.getBatchDims(), last = rank(gather.getIndices()) - 1;
  auto width = dims(gather.getIndices())[last].asConstant();
  if (!width || (indices.isRows() && indices.dim == last) || data.column)
    return mixed("gathers from other rows");
  if (indices.isNumber()) {
    if (batch != 0 || !data.isRows() || (indices.column ? *indices.column : 0) != data.dim ||
        (!indices.column && *width != 1))
      return mixed(numberAsData);
    if (!isWhole(gather.getData(), data) || !picksOwnRow(indices, data.inner))
      return mixed("may gather from other rows");
    RowState result = RowState::rows(indices.dim, indices.inner);
    result.scale = data.scale;
    result.rest = data.rest;
    return result;
  }
  if (data.isRows() && indices.isRows())
    return data.dim < batch && data.dim == indices.dim && data.inner == indices.inner &&
                   dims(gather.getData())[data.dim] == dims(gather.getIndices())[data.dim]
               ? data.at(data.dim)
               : mixed("gathers from other rows");
  if (data.isRows())
    return data.dim >= batch + *width ? data.at(last + data.dim - batch - *width)
                                      : mixed("gathers from other rows");
  return indices.dim >= batch ? indices : mixed("gathers from other rows");
}

/// GatherElements and ScatterElements: an index for each element, along one axis.
RowState RowIndependence::byElement(Operation *op) {
  const RowState &first = get(op, 0);
  const int64_t axis = wrap(rowrules::intAttr(op, "axis", 0), rank(op->getOperand(0)));
  for (Value operand : op->getOperands()) {
    const RowState &state = get(operand);
    if (!state.isRows() || state.dim != first.dim || state.inner != first.inner ||
        dims(operand)[state.dim] != dims(op->getOperand(0))[first.dim])
      return mixed("combines different rows");
  }
  return first.dim == axis ? mixed("works along the rows") : first;
}

RowState RowIndependence::scatterND(Operation *op) {
  auto scatter = cast<onnx::ScatterNDOp>(op);
  const RowState &data = get(scatter.getData()), &indices = get(scatter.getIndices()),
                 &updates = get(scatter.getUpdates());
  const int64_t last = rank(scatter.getIndices()) - 1;
  auto width = dims(scatter.getIndices())[last].asConstant();
  if (!width || !data.isRows() || data.isNumber() || !updates.isRows() || updates.isNumber())
    return mixed("combines different rows");
  if (!indices.isRows()) // the same places in all rows
    return data.dim >= *width && updates.dim == last + data.dim - *width &&
                   updates.inner == data.inner &&
                   dims(scatter.getUpdates())[updates.dim] == dims(scatter.getData())[data.dim]
               ? data
               : mixed("combines different rows");
  if (!indices.isNumber() || (indices.column ? *indices.column : 0) != data.dim ||
      (!indices.column && *width != 1))
    return mixed("may write to other rows");
  if (!isWhole(scatter.getData(), data) || !picksOwnRow(indices, data.inner) ||
      updates.dim != indices.dim || updates.inner != indices.inner)
    return mixed("may write to other rows");
  return data;
}
