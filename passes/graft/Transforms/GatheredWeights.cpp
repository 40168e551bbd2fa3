//===- GatheredWeights.cpp - What weights that are gathered per row compute -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/GatheredWeights.h"

#include "graft/Analysis/Einsum.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

Value graft::raise::throughReshapes(Value value, llvm::function_ref<bool(Value)> fits) {
  for (;;) {
    if (fits(value))
      return value;
    Operation *op = value.getDefiningOp();
    if (!isa_and_nonnull<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(op))
      return nullptr;
    value = op->getOperand(0);
  }
}

/// Whether `value` swaps the last two of its operand's dimensions.
static bool isTransposed(Value value) {
  auto transpose = value.getDefiningOp<onnx::TransposeOp>();
  auto perm = transpose ? transpose.getPermAttr() : nullptr;
  if (!perm || perm.size() < 2)
    return false;
  const int64_t last = int64_t(perm.size()) - 1;
  for (auto [i, axis] : llvm::enumerate(perm.getAsRange<IntegerAttr>()))
    if (axis.getInt() != (int64_t(i) < last - 1 ? int64_t(i) : 2 * last - 1 - int64_t(i)))
      return false;
  return true;
}

std::optional<size_t> GatheredWeights::leading(Value value, const Polynomial &count) const {
  if (!shapes.isKnown(value))
    return std::nullopt;
  Polynomial all(1);
  for (auto [i, dim] : llvm::enumerate(dims(value))) {
    all = all * dim;
    if (all == count)
      return i + 1;
  }
  return std::nullopt;
}

std::optional<size_t> GatheredWeights::vectorDim(Value value, const Polynomial &count) const {
  std::optional<size_t> first = leading(value, count);
  if (!first || *first == dims(value).size())
    return std::nullopt;
  size_t found = dims(value).size() - 1;
  bool isFound = false;
  for (size_t i = *first; i < dims(value).size(); ++i)
    if (dims(value)[i] != Polynomial(1)) {
      if (isFound || !dims(value)[i].asConstant())
        return std::nullopt;
      found = i;
      isFound = true;
    }
  return found;
}

/// Whether what is chosen lies within `count`: positions along a dimension of that size.
static bool liesWithin(SymbolicShapes &shapes, Value chosen, int64_t count) {
  Value scores;
  if (auto top = chosen.getDefiningOp<onnx::TopKOp>())
    scores = isLastAxis(top.getAxis(), top.getX()) ? top.getX() : Value();
  else if (auto arg = chosen.getDefiningOp<onnx::ArgMaxOp>())
    scores = isLastAxis(arg.getAxis(), arg.getData()) ? arg.getData() : Value();
  return scores && shapes.isKnown(scores) && shapes.get(scores).dims.back() == Polynomial(count);
}

Value GatheredWeights::stackOf(Value value) {
  Operation *op = value.getDefiningOp();
  auto gather = dyn_cast_or_null<onnx::GatherOp>(op);
  auto gatherND = dyn_cast_or_null<onnx::GatherNDOp>(op);
  if (!(gather && gather.getAxis() == 0) && !(gatherND && gatherND.getBatchDims() == 0))
    return nullptr;
  Value stack = op->getOperand(0), indices = op->getOperand(1);
  auto type = typeOf(stack);
  std::optional<size_t> first = leading(value, positions);
  if (!type || type.getRank() < 2 || type.getRank() > 3 || !first ||
      dims(value).size() != *first + size_t(type.getRank()) - 1 ||
      !isStacked(stack, type.getShape()) || (gatherND && dims(indices).back() != Polynomial(1)))
    return nullptr;
  // Numbers below 0 that count from the end are so with a reshape as without.
  Value source = throughReshapes(indices, [&](Value v) {
    return isRoute(v) &&
           !isa_and_nonnull<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(
               v.getDefiningOp());
  });
  if (!source || (chosen && chosen != source) || (experts != 0 && experts != type.getDimSize(0)) ||
      type.getDimSize(0) < 2)
    return nullptr;
  chosen = source;
  experts = type.getDimSize(0);
  isBounded = liesWithin(shapes, source, experts);
  return stack;
}

/// Each row of the input as often as there are slots, or once where what follows repeats it.
bool GatheredWeights::visitInput(Value vectors) {
  bool isRepeated = isVectors(vectors);
  if (!isRepeated && !vectorDim(vectors, rows))
    return false;
  const Polynomial size = width(vectors, isRepeated ? positions : rows);
  isRepeated &= slotCount != 1;
  for (Value value = vectors;;) {
    auto type = typeOf(value);
    if (!isRepeated && vectorDim(value, rows) == dims(value).size() - 1 &&
        dims(value).back() == size && type && isa<FloatType>(type.getElementType()) &&
        *leading(value, rows) == dims(value).size() - 1) {
      if (input && input != value)
        return false;
      input = value;
      steps[vectors] = {Step::Input, {}, {}};
      return true;
    }
    Operation *op = value.getDefiningOp();
    if (isa_and_nonnull<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(op)) {
      value = op->getOperand(0);
      if (!shapes.isKnown(value) || !vectorDim(value, isRepeated ? positions : rows))
        return false;
      continue;
    }
    if (!isRepeated || !isa_and_nonnull<onnx::ExpandOp, onnx::TileOp>(op))
      return false;
    Value once = op->getOperand(0);
    std::optional<size_t> first = shapes.isKnown(once) ? leading(once, rows) : std::nullopt;
    if (!first || dims(once).size() != dims(value).size() || *first >= dims(once).size())
      return false;
    // The dimension behind the rows', and no other.
    for (size_t i = 0; i < dims(once).size(); ++i)
      if (i == *first ? dims(once)[i] != Polynomial(1) || dims(value)[i] != Polynomial(slotCount)
                      : dims(once)[i] != dims(value)[i])
        return false;
    value = once;
    isRepeated = false;
  }
}

/// A gathered matrix times a vector, as a matrix of one column or one row.
bool GatheredWeights::visitProduct(Value vectors) {
  Value product = throughReshapes(
      vectors, [](Value v) { return v.getDefiningOp<onnx::MatMulOp>() != nullptr; });
  if (!product || !isVectors(product) || width(product, positions) != width(vectors, positions))
    return false;
  auto matmul = product.getDefiningOp<onnx::MatMulOp>();
  for (auto [gathered, wide, isColumn] : {std::tuple(matmul.getA(), matmul.getB(), true),
                                          std::tuple(matmul.getB(), matmul.getA(), false)}) {
    const bool isSwapped = isTransposed(gathered);
    Value stack = stackOf(isSwapped ? gathered.getDefiningOp()->getOperand(0) : gathered);
    if (!stack || typeOf(stack).getRank() != 3 || !shapes.isKnown(wide))
      continue;
    // Vectors lie along what the product sums over, each in the place of its matrix.
    const size_t rank = dims(gathered).size();
    if (dims(wide).size() != rank || dims(wide)[isColumn ? rank - 1 : rank - 2] != Polynomial(1) ||
        dims(wide)[isColumn ? rank - 2 : rank - 1] !=
            dims(gathered)[isColumn ? rank - 1 : rank - 2])
      return false;
    if (!visit(wide))
      return false;
    steps[vectors] = {Step::Product, wide, stack, isColumn == isSwapped};
    return true;
  }
  return false;
}

/// The same as an Einsum, whose labels of rows and slots come first.
bool GatheredWeights::visitEinsum(Value vectors) {
  auto op = vectors.getDefiningOp<onnx::EinsumOp>();
  auto equation = op ? EinsumEquation::of(op, shapes) : std::nullopt;
  if (!equation || op.getInputs().size() != 2 || equation->result.empty())
    return false;
  for (unsigned number : {0u, 1u}) {
    ArrayRef<int> matrices = equation->operands[number], factors = equation->operands[1 - number],
                  leading = ArrayRef(equation->result).drop_back();
    if (matrices.size() != leading.size() + 2 || matrices.take_front(leading.size()) != leading ||
        factors.empty() || leading.empty() ||
        (factors.drop_back() != leading && factors.drop_back() != leading.drop_back()))
      continue;
    const int out = equation->result.back(), in = factors.back();
    ArrayRef<int> matrix = matrices.take_back(2);
    const bool isTransposed = matrix[1] == out;
    Value stack = matrix[!isTransposed] == in && matrix[isTransposed] == out && in != out &&
                          !llvm::is_contained(leading, in)
                      ? stackOf(op.getInputs()[number])
                      : Value();
    if (!stack || typeOf(stack).getRank() != 3)
      continue;
    Value factor = op.getInputs()[1 - number];
    if (!visit(factor))
      return false;
    steps[vectors] = {Step::Product, factor, stack, isTransposed};
    return true;
  }
  return false;
}

/// An op that treats vectors along the last dimension alone, or elements.
bool GatheredWeights::visitOp(Value vectors) {
  Operation *op = vectors.getDefiningOp();
  const size_t rank = dims(vectors).size(), dim = *vectorDim(vectors, positions);
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    // Along the vectors, from and to what is known.
    auto axes = slice.getAxes() ? shapes.constantElements(slice.getAxes()) : std::nullopt;
    return dim == rank - 1 && axes && axes->size() == 1 &&
           (axes->front() == int64_t(rank) - 1 || axes->front() == -1) &&
           shapes.constantElements(slice.getStarts()) && shapes.constantElements(slice.getEnds()) &&
           (!slice.getSteps() || shapes.constantElements(slice.getSteps())) &&
           visit(slice.getData());
  }
  if (!actsOnVectors(op)) {
    obstacle = obstacle ? obstacle : op;
    return false;
  }
  for (Value operand : op->getOperands()) {
    if (operand.getDefiningOp<onnx::ConstantOp>()) {
      auto type = typeOf(operand);
      if (dim != rank - 1 && type.getNumElements() != 1)
        return false;
      continue;
    }
    // Each vector beside its own.
    if (!visit(operand) || dims(operand).size() != rank)
      return false;
    const bool isOfRows = !isVectors(operand);
    const size_t own = *vectorDim(operand, isOfRows ? rows : positions);
    if (own != dim && dims(operand)[own] != Polynomial(1))
      return false;
  }
  return llvm::all_of(op->getResults(), [&](Value result) {
    return isVectors(result) && vectorDim(result, positions) == dim;
  });
}

bool GatheredWeights::visit(Value vectors) {
  if (steps.contains(vectors))
    return true;
  if (!shapes.isKnown(vectors))
    return false;
  if (!dependent.contains(vectors))
    return visitInput(vectors);
  if (!isVectors(vectors))
    return false;
  if (visitProduct(vectors) || visitEinsum(vectors))
    return true;
  if (Value stack = stackOf(vectors)) {
    steps[vectors] = {Step::Parameter, {}, stack};
    return typeOf(stack).getRank() == 2;
  }
  Operation *op = vectors.getDefiningOp();
  if (!op)
    return false;
  // Through another shape.
  if (isa<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(op)) {
    Value same = op->getOperand(0);
    if (!shapes.isKnown(same) || !isVectors(same) ||
        width(same, positions) != width(vectors, positions) || !visit(same))
      return false;
    steps[vectors] = {Step::Same, same, {}};
    return true;
  }
  if (!visitOp(vectors))
    return false;
  steps[vectors] = {Step::Op, {}, {}};
  return true;
}

Value GatheredWeights::build(GraphBuilder &b, Value rows, int64_t number) const {
  IRMapping mapping;
  // Steps stand in the order in which they were understood: operands first.
  Value last;
  for (const auto &[value, step] : steps) {
    last = value;
    if (mapping.contains(value))
      continue; // another result of an op
    switch (step.kind) {
    case Step::Input:
      mapping.map(value, rows);
      break;
    case Step::Same:
      mapping.map(value, mapping.lookup(step.first));
      break;
    case Step::Parameter:
      mapping.map(value, buildPart(b, step.stack, number));
      break;
    case Step::Product: {
      Value matrix = buildPart(b, step.stack, number), first = mapping.lookup(step.first);
      Value result;
      if (step.isTransposed) {
        auto type = RankedTensorType::get({ShapedType::kDynamic, typeOf(matrix).getDimSize(1)},
                                          typeOf(first).getElementType());
        result = onnx::MatMulOp::create(b, type, first, matrix);
      } else {
        result = b.linear(first, matrix, Value());
      }
      mapping.map(value, result);
      break;
    }
    case Step::Op: {
      Operation *op = value.getDefiningOp();
      const bool isSlice = isa<onnx::SliceOp>(op);
      for (auto [i, operand] : llvm::enumerate(op->getOperands()))
        if (!mapping.contains(operand)) {
          auto elements = shapes.constantElements(operand);
          if (isSlice && i == 3)
            elements = {-1};
          mapping.map(operand, elements && (isSlice || !operand.getDefiningOp<onnx::ConstantOp>())
                                   ? b.integers(*elements)
                                   : b.clone(*operand.getDefiningOp())->getResult(0));
        }
      Operation *clone = b.clone(*op, mapping);
      if (clone->hasAttr("axis"))
        clone->setAttr("axis", b.getI64IntegerAttr(-1));
      for (auto [result, original] : llvm::zip(clone->getResults(), op->getResults()))
        result.setType(
            RankedTensorType::get({ShapedType::kDynamic, *width(original, positions).asConstant()},
                                  typeOf(original).getElementType()));
      break;
    }
    }
  }
  return mapping.lookup(last);
}
