//===- RowRules.cpp - How ops that arrange elements treat rows -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowRules.h"
#include "graft/Analysis/Einsum.h"

using namespace mlir;
using namespace graft;
using rowrules::divides;
using rowrules::intAttr;
using rowrules::wrap;

/// Reshape, Flatten, Squeeze, Unsqueeze. Row-major order is kept: element e belongs to row
/// (e / stride) mod count, before and after.
RowState RowIndependence::reshape(Operation *op) {
  Value result = op->getResult(0);
  const RowState &state = get(op, 0);
  if (isa<onnx::ReshapeOp>(op) && !isKnownBeforeData(op->getOperand(1)))
    return mixed("has a size that only data tells");
  if (state.isSame())
    return state;
  ArrayRef<Polynomial> from = dims(op->getOperand(0)), to = dims(result);
  const Polynomial stride = state.inner * product(from.drop_front(state.dim + 1));
  for (auto [i, dim] : llvm::enumerate(to)) {
    if (!dependsOnCount(dim))
      continue;
    const Polynomial behind = product(to.drop_front(i + 1));
    if (!divides(behind, stride))
      break;
    RowState moved = state.at(i);
    moved.inner = Polynomial::floorDiv(stride, behind);
    if (state.column && (int64_t(i) + 1 == int64_t(to.size()) || from.back() != to.back()))
      break;
    return moved;
  }
  return mixed("takes rows apart");
}

RowState RowIndependence::transpose(Operation *op) {
  const RowState &state = get(op, 0);
  const int64_t n = rank(op->getOperand(0));
  auto perm = op->getAttrOfType<ArrayAttr>("perm");
  auto from = [&](int64_t i) {
    return perm ? wrap(cast<IntegerAttr>(perm[i]).getInt(), n) : n - 1 - i;
  };
  if (state.column && from(n - 1) != n - 1)
    return mixed(rowrules::numberAsData);
  for (int64_t i = 0; i < n; ++i)
    if (from(i) == state.dim)
      return state.at(i);
  return mixed("takes rows apart");
}

/// ConstantOfShape and Expand: every row is alike, or is what the operand's row was.
RowState RowIndependence::fill(Operation *op) {
  Value result = op->getResult(0);
  const bool isExpand = isa<onnx::ExpandOp>(op);
  if (!isKnownBeforeData(op->getOperand(isExpand ? 1 : 0)))
    return mixed("has a size that only data tells");
  ArrayRef<Polynomial> to = dims(result);
  if (isExpand && get(op, 0).isRows()) {
    const RowState &state = get(op, 0);
    ArrayRef<Polynomial> from = dims(op->getOperand(0));
    const int64_t dim = state.dim + rank(result) - rank(op->getOperand(0));
    if (to[dim] != from[state.dim] || (state.column && to.back() != from.back()))
      return mixed("repeats the rows");
    return state.at(dim);
  }
  for (auto [i, dim] : llvm::enumerate(to))
    if (dependsOnCount(dim)) {
      const int64_t own =
          isExpand ? int64_t(i) - (rank(result) - rank(op->getOperand(0))) : int64_t(-1);
      if (own >= 0 && !dims(op->getOperand(0))[own].isConstant(1))
        return mixed("makes rows that are not a batch's");
      return RowState::rows(i, Polynomial::floorDiv(dim, count));
    }
  return RowState::same();
}

RowState RowIndependence::tile(Operation *op) {
  const RowState &state = get(op, 0);
  auto repeats = shapes.elements(op->getOperand(1));
  if (!isKnownBeforeData(op->getOperand(1)) || !repeats)
    return mixed("has a size that only data tells");
  if (state.isRows())
    return dependsOnCount((*repeats)[state.dim]) ? mixed("repeats the rows")
                                                 : RowState::rows(state.dim, state.inner);
  // As often as there are rows, so each row is alike.
  for (auto [i, dim] : llvm::enumerate(dims(op->getResult(0))))
    if (dependsOnCount(dim))
      return divides(count, (*repeats)[i]) ? RowState::rows(i, Polynomial::floorDiv(dim, count))
                                           : mixed("makes rows that are not a batch's");
  return RowState::same();
}

RowState RowIndependence::concat(Operation *op) {
  const int64_t n = rank(op->getResult(0)), axis = wrap(intAttr(op, "axis", 0), n);
  std::optional<RowState> common;
  Polynomial size;
  unsigned numbers = 0, numberAt = 0;
  bool isUniform = true;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    const RowState &state = get(operand);
    if (!state.isRows() || (common && (state.dim != common->dim || state.inner != common->inner ||
                                       dims(operand)[state.dim] != size)))
      return mixed("combines different rows");
    if (state.column)
      return mixed(rowrules::numberAsData);
    if (common && state.scale != common->scale)
      isUniform = false;
    if (!common) {
      common = state;
      size = dims(operand)[state.dim];
    }
    if (state.isNumber()) {
      ++numbers;
      numberAt = i;
    }
  }
  if (common->dim == axis)
    return mixed("works along the rows");
  RowState result = RowState::rows(common->dim, common->inner);
  if (numbers == 0)
    return result;
  if (isUniform && op->getNumOperands() == 1)
    return *common;
  // Coordinates side by side, of which one is the row's.
  if (numbers != 1 || axis != n - 1)
    return mixed(rowrules::numberAsData);
  int64_t column = 0;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    auto width = dims(operand)[axis].asConstant();
    if (!width || (i == numberAt && *width != 1))
      return mixed(rowrules::numberAsData);
    if (i < numberAt)
      column += *width;
  }
  const RowState &number = get(op, numberAt);
  result.scale = number.scale;
  result.rest = number.rest;
  result.column = column;
  return result;
}

RowState RowIndependence::slice(Operation *op) {
  auto slice = cast<onnx::SliceOp>(op);
  const RowState &state = get(op, 0);
  Value x = slice.getData(), result = op->getResult(0);
  const int64_t n = rank(x);
  std::optional<SmallVector<int64_t>> axes;
  if (slice.getAxes() && !(axes = shapes.constantElements(slice.getAxes())))
    return mixed("slices along an axis that only data tells");
  SmallVector<SmallVector<Polynomial>> bounds;
  for (Value operand : {slice.getStarts(), slice.getEnds(), slice.getSteps()}) {
    if (!operand)
      continue;
    auto elements = shapes.elements(operand);
    if (!elements || !isKnownBeforeData(operand))
      return mixed("slices at places that only data tells");
    bounds.push_back(*elements);
  }
  for (size_t i = 0; i < bounds[0].size(); ++i) {
    const int64_t axis = wrap(axes && i < axes->size() ? (*axes)[i] : int64_t(i), n);
    if (axis < 0 || axis >= n)
      return mixed("slices along an axis out of range");
    // The rows' dimension must stay whole, and forwards.
    if (state.isRows() && axis == state.dim) {
      if (dims(result)[axis] != dims(x)[axis] || bounds[0][i] != Polynomial(0) ||
          (bounds.size() > 2 && !bounds[2][i].isConstant(1)))
        return mixed("takes rows apart");
      continue;
    }
    for (const auto &each : bounds)
      if (i < each.size() && dependsOnCount(each[i]))
        return mixed("computes with the number of rows");
    if (state.column && axis == n - 1)
      return mixed(rowrules::numberAsData);
  }
  return state;
}

RowState RowIndependence::pad(Operation *op) {
  auto pad = cast<onnx::PadOp>(op);
  const RowState &state = get(op, 0);
  auto pads = shapes.elements(pad.getPads());
  if (!pads || !isKnownBeforeData(pad.getPads()))
    return mixed("has a size that only data tells");
  if ((pad.getConstantValue() && !get(pad.getConstantValue()).isSame()) ||
      (pad.getAxes() && !get(pad.getAxes()).isSame()))
    return mixed("combines different rows");
  for (const Polynomial &size : *pads)
    if (dependsOnCount(size))
      return mixed("computes with the number of rows");
  if (state.isSame())
    return state;
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank(pad.getData())));
  if (pad.getAxes()) {
    auto known = shapes.constantElements(pad.getAxes());
    if (!known)
      return mixed("pads along an axis that only data tells");
    axes = *known;
  }
  for (auto [i, axis] : llvm::enumerate(axes))
    if (wrap(axis, rank(pad.getData())) == state.dim &&
        (pads->size() != 2 * axes.size() || !(*pads)[i].isConstant(0) ||
         !(*pads)[i + axes.size()].isConstant(0)))
      return mixed("takes rows apart");
  return RowState::rows(state.dim, state.inner);
}

RowState RowIndependence::reverseSequence(Operation *op) {
  auto reverse = cast<onnx::ReverseSequenceOp>(op);
  const RowState &x = get(op, 0), &lengths = get(op, 1);
  if (!x.isRows() || !lengths.isRows() || x.dim != reverse.getBatchAxis() ||
      x.inner != lengths.inner || dims(op->getOperand(1))[0] != dims(op->getOperand(0))[x.dim])
    return mixed("combines different rows");
  return RowState::rows(x.dim, x.inner);
}

RowState RowIndependence::oneHot(Operation *op) {
  const RowState &state = get(op, 0);
  const int64_t axis = wrap(intAttr(op, "axis", -1), rank(op->getResult(0)));
  if (!areSame(op, 1))
    return mixed("combines different rows");
  return RowState::rows(state.dim < axis ? state.dim : state.dim + 1, state.inner);
}

RowState RowIndependence::matmul(Operation *op) {
  Value a = op->getOperand(0), b = op->getOperand(1);
  const RowState &ofA = get(a), &ofB = get(b);
  const int64_t rankA = rank(a), rankB = rank(b), most = std::max(rankA, rankB);
  if (rankA < 2 || rankB < 2)
    return mixed("combines different rows");
  // The columns of the second operand are the result's.
  if (ofB.isRows() && ofB.dim == rankB - 1)
    return ofA.isSame() ? RowState::rows(most - 1, ofB.inner) : mixed("combines different rows");
  if ((ofA.isRows() && ofA.dim == rankA - 1) || (ofB.isRows() && ofB.dim == rankB - 2))
    return mixed("sums over the rows");
  std::optional<RowState> common;
  if (ofA.isRows())
    common = RowState::rows(ofA.dim + most - rankA, ofA.inner);
  if (ofB.isRows()) {
    const int64_t aligned = ofB.dim + most - rankB;
    if (common && (common->dim != aligned || common->inner != ofB.inner ||
                   dims(a)[ofA.dim] != dims(b)[ofB.dim]))
      return mixed("combines different rows");
    common = RowState::rows(aligned, ofB.inner);
  }
  // What is the same for all rows must not run along them. The last two dimensions don't broadcast.
  auto isFree = [&](Value v, const RowState &state) {
    const int64_t index = common->dim - (most - rank(v));
    return state.isRows() || index < 0 || index >= rank(v) - 2 || dims(v)[index].isConstant(1);
  };
  if (!isFree(a, ofA) || !isFree(b, ofB))
    return mixed("combines different rows");
  return *common;
}

RowState RowIndependence::einsum(Operation *op) {
  SmallVector<int64_t> ranks;
  for (Value operand : op->getOperands())
    ranks.push_back(rank(operand));
  auto equation = EinsumEquation::parse(cast<onnx::EinsumOp>(op).getEquation(), ranks);
  if (!equation)
    return mixed("has no rule that keeps rows apart");
  std::optional<int> label;
  Polynomial inner, size;
  for (auto [operand, labels] : llvm::zip(op->getOperands(), equation->operands)) {
    const RowState &state = get(operand);
    if (!state.isRows())
      continue;
    const int own = labels[state.dim];
    if (llvm::count(labels, own) != 1 ||
        (label && (own != *label || inner != state.inner || size != dims(operand)[state.dim])))
      return mixed("combines different rows");
    label = own;
    inner = state.inner;
    size = dims(operand)[state.dim];
  }
  // What is the same for all rows must not run along them.
  for (auto [operand, labels] : llvm::zip(op->getOperands(), equation->operands))
    for (auto [d, own] : llvm::enumerate(labels))
      if (get(operand).isSame() && own == *label && !dims(operand)[d].isConstant(1))
        return mixed("combines different rows");
  auto place = llvm::find(equation->result, *label);
  return place == equation->result.end() ? mixed("sums over the rows")
                                         : RowState::rows(place - equation->result.begin(), inner);
}

RowState RowIndependence::gemm(Operation *op) {
  const RowState &a = get(op, 0);
  if (!a.isRows() || a.dim != (intAttr(op, "transA", 0) ? 1 : 0) || !isSameAt(op, 1))
    return mixed("combines different rows");
  if (op->getNumOperands() > 2) {
    Value bias = op->getOperand(2);
    const RowState &c = get(bias);
    if (c.isRows() ? c.dim != rank(bias) - 2 || c.inner != a.inner ||
                         dims(bias)[c.dim] != dims(op->getOperand(0))[a.dim]
                   : rank(bias) == 2 && !dims(bias)[0].isConstant(1))
      return mixed("combines different rows");
  }
  return RowState::rows(0, a.inner);
}

RowState RowIndependence::attention(Operation *op) {
  auto attention = cast<onnx::AttentionOp>(op);
  Value q = attention.getQ();
  const RowState &first = get(q);
  if (!first.isRows() || first.dim != 0)
    return mixed("combines different rows");
  auto isAlike = [&](Value v) {
    const RowState &state = get(v);
    return state.isRows() && state.dim == 0 && state.inner == first.inner &&
           dims(v)[0] == dims(q)[0];
  };
  for (Value v : {attention.getK(), attention.getV(), attention.getPastKey(),
                  attention.getPastValue(), attention.getNonpadKvSeqlen()})
    if (v && !isAlike(v))
      return mixed("combines different rows");
  if (Value mask = attention.getAttnMask()) {
    const bool isPerRow = rank(mask) == 4 && isAlike(mask);
    const bool isShared = get(mask).isSame() && (rank(mask) < 4 || dims(mask)[0].isConstant(1));
    if (!isPerRow && !isShared)
      return mixed("combines different rows");
  }
  return RowState::rows(0, first.inner);
}

RowState RowIndependence::rotary(Operation *op) {
  auto rotary = cast<onnx::RotaryEmbeddingOp>(op);
  const RowState &x = get(op, 0);
  if (!x.isRows() || x.dim != 0)
    return mixed("combines different rows");
  // Tables by position are the same for all; those by row and position belong to their rows.
  const bool byPosition = bool(rotary.getPositionIds());
  for (auto [i, operand] : llvm::enumerate(op->getOperands().drop_front())) {
    const RowState &state = get(operand);
    const bool isTable = byPosition && i < 2;
    if (state.isRows() ? isTable || state.dim != 0 || state.inner != x.inner ||
                             dims(operand)[0] != dims(op->getOperand(0))[0]
                       : !isTable && !dims(operand)[0].isConstant(1))
      return mixed("combines different rows");
  }
  return RowState::rows(0, x.inner);
}
