//===- RaiseGatheredWeights.cpp - Weights gathered per row become modules -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/RaiseRouting.h"

#include "graft/Analysis/Einsum.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

/// The first of the values that `value` is a reshape of, itself among them, for which `fits`.
static Value throughReshapes(Value value, llvm::function_ref<bool(Value)> fits) {
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

namespace {
/// What is computed for every slot of every row with weights that are gathered by what is chosen:
/// `Σ_s w[r, s] · f(x[r]; W[chosen[r, s]])`.
///
/// A vector for each slot of each row may stand in any shape whose first dimensions are, together,
/// rows · slots, and which has one dimension more that is not 1: (rows, slots, n),
/// (rows · slots, 1, n), (rows, slots, n, 1). Modules are built of (rows, n).
class GatheredWeights {
public:
  explicit GatheredWeights(SymbolicShapes &shapes) : shapes(shapes) {}

  /// A sum over slots.
  bool matchSum(Operation *root);
  /// What the one slot of each row gives.
  bool matchOneSlot(Operation *root);

  Value chosen, weights; ///< a number for each slot of each row; without weights all are 1
  Value input;           ///< (…, n), a vector for each row
  int64_t experts = 0, slotCount = 0;
  bool isBounded = false;        ///< what is chosen lies within the experts
  Operation *obstacle = nullptr; ///< what is not understood of matrices that are gathered

  /// What module `number` makes of `rows` of the input.
  Value build(GraphBuilder &b, Value rows, int64_t number) const;
  /// The rows' results in the shape of the root.
  Value shape(GraphBuilder &b, Value rows, Value root) const;

private:
  bool matchReduced(onnx::ReduceSumOp sum);
  bool matchWeightedSum(onnx::MatMulOp sum);
  bool matchEinsum(onnx::EinsumOp sum);
  bool matchParts(Value data, Value scale);
  bool setRows(ArrayRef<Polynomial> rowDims, const Polynomial &slotDim);
  bool findChosen(Value data);
  bool hasPlace(Value root) const;
  bool isComplete();
  bool isWeighed(Value value) const;

  /// Looks at how the vectors come about; false if that is not understood.
  bool visit(Value vectors);
  bool visitProduct(Value vectors);
  bool visitEinsum(Value vectors);
  bool visitInput(Value vectors);
  bool visitOp(Value vectors);
  /// The stacked constant that `value` has been gathered from, by what is chosen.
  Value stackOf(Value value);

  ArrayRef<Polynomial> dims(Value value) const { return shapes.get(value).dims; }
  static Polynomial product(ArrayRef<Polynomial> dims) {
    Polynomial all(1);
    for (const Polynomial &dim : dims)
      all = all * dim;
    return all;
  }
  /// How many of the first dimensions are `count` together.
  std::optional<size_t> leading(Value value, const Polynomial &count) const;
  /// The dimension of the vectors, of which there are `count`, in order; the last if all are 1.
  std::optional<size_t> vectorDim(Value value, const Polynomial &count) const;
  bool isVectors(Value value) const { return vectorDim(value, positions).has_value(); }
  Polynomial width(Value value, const Polynomial &count) const {
    return dims(value)[*vectorDim(value, count)];
  }
  /// A number for each slot of each row.
  bool isRoute(Value value) const {
    return shapes.isKnown(value) && product(dims(value)) == positions &&
           leading(value, positions).has_value();
  }

  SymbolicShapes &shapes;
  Polynomial rows, positions;
  llvm::DenseSet<Value> dependent; ///< on what is chosen

  /// How a value of vectors is built again, in order of definition.
  struct Step {
    enum Kind { Input, Product, Parameter, Same, Op } kind;
    Value first;               ///< the vectors of a product, or what is the same
    Value stack;               ///< of a product or a parameter
    bool isTransposed = false; ///< the stack's matrices are (in, out)
  };
  llvm::MapVector<Value, Step> steps;
};
} // namespace

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

bool GatheredWeights::setRows(ArrayRef<Polynomial> rowDims, const Polynomial &slotDim) {
  std::optional<int64_t> slots = slotDim.asConstant();
  if (!slots || *slots < 1 || rowDims.empty())
    return false;
  slotCount = *slots;
  rows = product(rowDims);
  positions = rows * slotDim;
  return true;
}

/// What stacked matrices are gathered by, of those that `data` is made of; and what depends on it.
bool GatheredWeights::findChosen(Value data) {
  llvm::SetVector<Value> values;
  values.insert(data);
  for (size_t i = 0; i < values.size() && i < 256 && !chosen; ++i)
    if (Operation *op = values[i].getDefiningOp()) {
      if (isa<onnx::GatherOp, onnx::GatherNDOp>(op) && typeOf(op->getOperand(0)) &&
          typeOf(op->getOperand(0)).getRank() == 3)
        stackOf(values[i]);
      else
        values.insert(op->operand_begin(), op->operand_end());
    }
  if (!chosen)
    return false;
  SmallVector<Value> open{chosen};
  while (!open.empty())
    for (Operation *user : open.pop_back_val().getUsers())
      if (!isa<onnx::ShapeOp, onnx::SizeOp>(user)) // how many is no matter of which
        for (Value result : user->getResults())
          if (dependent.insert(result).second)
            open.push_back(result);
  return true;
}

/// `data` has a vector for each slot, and `scale`, unless it is null, their weights.
bool GatheredWeights::matchParts(Value data, Value scale) {
  steps.clear();
  input = weights = nullptr;
  if (!isVectors(data) || !dependent.contains(data))
    return false;
  if (scale) {
    weights = throughReshapes(scale, [&](Value v) {
      return isRoute(v) &&
             !isa_and_nonnull<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(
                 v.getDefiningOp());
    });
    if (!weights)
      return false;
  }
  return visit(data) && input &&
         llvm::any_of(steps, [](const auto &step) { return step.second.kind == Step::Product; });
}

bool GatheredWeights::matchReduced(onnx::ReduceSumOp sum) {
  Value data = sum.getData();
  auto axis = sum.getAxes() ? integerOf(sum.getAxes()) : std::nullopt;
  if (!axis || !shapes.isKnown(data))
    return false;
  const int64_t rank = int64_t(dims(data).size()), at = *axis < 0 ? *axis + rank : *axis;
  if (at < 1 || at >= rank || !setRows(dims(data).take_front(at), dims(data)[at]) ||
      !isVectors(data) || !findChosen(data))
    return false;
  Value product =
      throughReshapes(data, [](Value v) { return v.getDefiningOp<onnx::MulOp>() != nullptr; });
  if (product && isVectors(product) && width(product, positions) == width(data, positions)) {
    auto mul = product.getDefiningOp<onnx::MulOp>();
    if (matchParts(mul.getA(), mul.getB()) || matchParts(mul.getB(), mul.getA()))
      return true;
  }
  return matchParts(data, {});
}

/// (…, 1, slots) · (…, slots, n).
bool GatheredWeights::matchWeightedSum(onnx::MatMulOp sum) {
  Value scale = sum.getA(), data = sum.getB();
  if (!shapes.isKnown(scale) || !shapes.isKnown(data))
    return false;
  const size_t rank = dims(data).size();
  return rank >= 3 && dims(scale).size() == rank && dims(scale)[rank - 2] == Polynomial(1) &&
         setRows(dims(data).drop_back(2), dims(data)[rank - 2]) && isVectors(data) &&
         findChosen(data) && matchParts(data, scale);
}

/// (…, slots) and (…, slots, n) to (…, n).
bool GatheredWeights::matchEinsum(onnx::EinsumOp sum) {
  auto equation = EinsumEquation::of(sum, shapes);
  if (!equation || sum.getInputs().size() != 2 || equation->result.size() < 2)
    return false;
  ArrayRef<int> leading = ArrayRef(equation->result).drop_back();
  for (unsigned number : {0u, 1u}) {
    EinsumEquation::Labels route = equation->operands[number], all = route;
    all.push_back(equation->result.back());
    if (route.size() != leading.size() + 1 || ArrayRef(route).drop_back() != leading ||
        llvm::is_contained(equation->result, route.back()) ||
        ArrayRef(equation->operands[1 - number]) != ArrayRef(all))
      continue;
    Value scale = sum.getInputs()[number], data = sum.getInputs()[1 - number];
    if (setRows(dims(scale).drop_back(), dims(scale).back()) && isVectors(data) &&
        findChosen(data) && matchParts(data, scale))
      return true;
  }
  return false;
}

/// Whether all that is gathered by what is chosen is part of it.
bool GatheredWeights::isComplete() {
  llvm::DenseSet<Value> used;
  for (const auto &[value, step] : steps)
    if (step.stack)
      used.insert(step.stack);
  return llvm::all_of(dependent, [&](Value value) {
    Value stack = stackOf(value);
    return !stack || used.contains(stack);
  });
}

/// What is multiplied with a weight for each vector of `value`, alone, is not through.
bool GatheredWeights::isWeighed(Value value) const {
  while (value.hasOneUse()) {
    Operation *user = *value.getUsers().begin();
    if (auto mul = dyn_cast<onnx::MulOp>(user)) {
      Value scale = mul.getA() == value ? mul.getB() : mul.getA();
      return isRoute(scale) && !dependent.contains(scale);
    }
    if (!isa<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(user))
      return false;
    value = user->getResult(0);
  }
  return false;
}

/// One slot: no sum is left of it.
bool GatheredWeights::matchOneSlot(Operation *root) {
  Value result = root->getResult(0);
  if (!shapes.isKnown(result) || dims(result).size() < 2)
    return false;
  size_t last = dims(result).size() - 1;
  if (last > 1 && dims(result)[last] == Polynomial(1))
    --last;
  if (!setRows(dims(result).take_front(last), Polynomial(1)) || !isVectors(result) ||
      !findChosen(result))
    return false;
  if (isWeighed(result))
    return false;
  if (auto mul = dyn_cast<onnx::MulOp>(root))
    if (matchParts(mul.getA(), mul.getB()) || matchParts(mul.getB(), mul.getA()))
      return isComplete() && hasPlace(result);
  return matchParts(result, {}) && isComplete() && hasPlace(result);
}

/// Whether the rows' results can be put in the place of the root's.
bool GatheredWeights::hasPlace(Value root) const {
  std::optional<size_t> first = leading(root, rows);
  return first && vectorDim(root, rows) &&
         (*first == 1 || dims(root).take_front(*first) == dims(input).drop_back());
}

bool GatheredWeights::matchSum(Operation *root) {
  auto sum = dyn_cast<onnx::ReduceSumOp>(root);
  auto product = dyn_cast<onnx::MatMulOp>(root);
  auto einsum = dyn_cast<onnx::EinsumOp>(root);
  return ((sum && matchReduced(sum)) || (product && matchWeightedSum(product)) ||
          (einsum && matchEinsum(einsum))) &&
         hasPlace(root->getResult(0));
}

Value GatheredWeights::shape(GraphBuilder &b, Value rows, Value root) const {
  const size_t first = *leading(root, this->rows);
  if (first > 1)
    rows = b.vectorsLike(rows, input);
  // Then the dimensions of 1 around the vectors.
  const size_t dim = *vectorDim(root, this->rows);
  for (size_t i = first; i < dims(root).size(); ++i)
    if (i != dim)
      rows = b.unsqueeze(rows, int64_t(i));
  return rows;
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

bool graft::raise::gathersMatrices(func::FuncOp main) {
  return llvm::any_of(main.getBody().front(), [](Operation &op) {
    auto stack = isa<onnx::GatherOp, onnx::GatherNDOp>(op) ? typeOf(op.getOperand(0)) : nullptr;
    return stack && stack.getRank() == 3 && isStacked(op.getOperand(0), stack.getShape());
  });
}

bool graft::raise::raiseGatheredWeights(Raising &raising, Operation *op, bool isSum) {
  auto type = op->getNumResults() == 1 ? typeOf(op->getResult(0)) : nullptr;
  if (!type || type.getRank() < 2 || !isa<FloatType>(type.getElementType()))
    return false;
  GatheredWeights gathered(raising.shapes());
  if (isSum ? !gathered.matchSum(op) : !gathered.matchOneSlot(op)) {
    if (isSum && gathered.experts != 0 && gathered.obstacle)
      raising.leave(gathered.obstacle, "weights are gathered by what is chosen, but an expert "
                                       "computes what is not seen as a function of one row");
    return false;
  }
  OpBuilder builder(op);
  GraphBuilder b(op->getLoc(), builder);
  MixtureBuilder mixture(raising.module, op, gathered.experts);
  Value chosen = gathered.chosen;
  if (!gathered.isBounded) {
    // Refuses what is outside, and counts from the end what is below 0, as the gathers did.
    SmallVector<int64_t> all(gathered.experts);
    std::iota(all.begin(), all.end(), 0);
    auto same = RankedTensorType::get(typeOf(chosen).getShape(), b.getI64Type());
    chosen = onnx::GatherOp::create(b, same, b.integers(all), chosen, b.getI64IntegerAttr(0));
  }
  SmallVector<Value> routed;
  buildRouter(b, mixture, Gates{{}, chosen, gathered.weights, gathered.slotCount}, routed);
  const bool isMatrix = typeOf(gathered.input).getRank() == 2;
  Value input = isMatrix ? gathered.input : b.rowsOf(gathered.input);
  for (int64_t number = 0; number < gathered.experts; ++number)
    mixture.addExpert(
        input, [&](GraphBuilder &b, ValueRange v) { return gathered.build(b, v[0], number); });
  Value result = gathered.shape(b, mixture.build(routed, input), op->getResult(0));
  return raising.replace(mixture, op, result, "gathered weights");
}
