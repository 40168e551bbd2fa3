//===- RaiseGatheredWeights.cpp - Weights gathered per row become modules -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Einsum.h"
#include "graft/Transforms/RaiseRouting.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

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

/// The last of them.
static Value farthest(Value value, llvm::function_ref<bool(Value)> fits) {
  Value last;
  throughReshapes(value, [&](Value v) {
    if (fits(v))
      last = v;
    return false;
  });
  return last;
}

namespace {
/// What is computed for every slot of every row with weights that are gathered by what is chosen:
/// `Σ_s w[r, s] · f(x[r]; W[chosen[r, s]])`. Values of (rows · slots, n) or (rows, slots, n) are
/// called vectors here; rows may be several dimensions.
class GatheredWeights {
public:
  explicit GatheredWeights(SymbolicShapes &shapes) : shapes(shapes) {}

  bool match(Operation *sum);

  Value chosen, weights; ///< (rows, slots)
  Value input;           ///< (rows, n)
  Value like;            ///< has the rows' dimensions that the sum has
  int64_t experts = 0;
  Operation *obstacle = nullptr; ///< what is not understood of matrices that are gathered

  /// What module `number` makes of `rows` of the input.
  Value build(GraphBuilder &b, Value rows, int64_t number) const;

private:
  using Dims = ArrayRef<Polynomial>;

  bool matchSum(onnx::ReduceSumOp sum);
  bool matchEinsum(onnx::EinsumOp sum);
  bool matchProduct(onnx::MatMulOp sum);
  bool matchWeighted(Value vectors, Value scale);
  /// Looks at how the vectors come about; false if that is not understood.
  bool visit(Value vectors);
  bool visitProduct(Value vectors);
  bool visitEinsum(Value vectors);
  bool visitInput(Value vectors);
  bool visitOp(Operation *op);
  /// The vectors of a product, or the input's rows that it repeats, that `value` is a reshape of.
  Value factorOf(Value value, const Polynomial &size);
  /// The stacked constant that `value` has been gathered from, by what is chosen.
  Value stackOf(Value value);
  bool setInput(Value rows, const Polynomial &size);

  Dims dims(Value value) const { return shapes.get(value).dims; }
  bool hasRank(Value value, unsigned rank) const {
    return shapes.isKnown(value) && shapes.get(value).rank() == rank;
  }
  bool isAtLeast(Value value, unsigned rank) const {
    return shapes.isKnown(value) && shapes.get(value).rank() >= rank;
  }
  /// Whether these are, beside those of 1, dimensions of rows and, the last one, of slots; or of
  /// both in one.
  bool areSlots(Dims leading) const {
    if (product(leading) != positions)
      return false;
    auto own = llvm::filter_to_vector<4>(leading,
                                         [](const Polynomial &dim) { return !dim.isConstant(1); });
    return own.size() < 2 || slots.isConstant(1) || own.back() == slots;
  }
  bool isVectors(Value value) const {
    return isAtLeast(value, 2) && areSlots(dims(value).drop_back());
  }
  bool isRoute(Value value) const {
    return isAtLeast(value, 2) && dims(value).back() == slots &&
           product(dims(value).drop_back()) == rows;
  }
  bool isRows(Value value, const Polynomial &size) const {
    return isAtLeast(value, 2) && product(dims(value).drop_back()) == rows &&
           dims(value).back() == size;
  }

  SymbolicShapes &shapes;
  Polynomial rows, slots, positions;

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

Value GatheredWeights::stackOf(Value value) {
  Operation *op = value.getDefiningOp();
  auto gather = dyn_cast_or_null<onnx::GatherOp>(op);
  auto gatherND = dyn_cast_or_null<onnx::GatherNDOp>(op);
  if (!(gather && gather.getAxis() == 0) && !(gatherND && gatherND.getBatchDims() == 0))
    return nullptr;
  Value stack = op->getOperand(0), indices = op->getOperand(1);
  auto type = typeOf(stack);
  if (!type || type.getRank() < 2 || !isAtLeast(value, type.getRank()) ||
      !areSlots(dims(value).drop_back(type.getRank() - 1)) || !isStacked(stack, type.getShape()) ||
      (gatherND && dims(indices).back() != Polynomial(1)))
    return nullptr;
  Value source = throughReshapes(
      indices, [&](Value v) { return isRoute(v) && v.getDefiningOp<onnx::TopKOp>(); });
  if (!source || (chosen && chosen != source))
    return nullptr;
  // What a TopK chose of so many lies within them.
  auto top = source.getDefiningOp<onnx::TopKOp>();
  if (source != top.getIndices() || !isLastAxis(top.getAxis(), top.getX()) ||
      dims(top.getX()).back() != Polynomial(type.getDimSize(0)))
    return nullptr;
  chosen = source;
  experts = type.getDimSize(0);
  return stack;
}

/// The input is the first value that has the rows: what is read of it may have other shapes.
bool GatheredWeights::setInput(Value value, const Polynomial &size) {
  Value source = farthest(value, [&](Value v) { return isRows(v, size); });
  if (!source || (input && input != source))
    return false;
  input = source;
  return true;
}

/// Each row of the input as often as there are slots.
bool GatheredWeights::visitInput(Value vectors) {
  Value repeated = throughReshapes(vectors, [&](Value v) {
    return isa_and_nonnull<onnx::ExpandOp, onnx::TileOp>(v.getDefiningOp());
  });
  if (!repeated || !isAtLeast(repeated, 3) || !areSlots(dims(repeated).drop_back()))
    return false;
  Value once = repeated.getDefiningOp()->getOperand(0);
  const Polynomial size = dims(repeated).back();
  if (!hasRank(once, dims(repeated).size()) || dims(once).drop_back().back() != Polynomial(1) ||
      dims(once).drop_back(2) != dims(repeated).drop_back(2) || !isRows(once, size) ||
      !setInput(once, size))
    return false;
  steps[vectors] = {Step::Input, {}, {}};
  return true;
}

Value GatheredWeights::factorOf(Value value, const Polynomial &size) {
  Value first =
      throughReshapes(value, [&](Value v) { return isVectors(v) && dims(v).back() == size; });
  if (first)
    return visit(first) ? first : Value();
  if (slots == Polynomial(1) || !setInput(value, size))
    return nullptr;
  steps[value] = {Step::Input, {}, {}};
  return value;
}

/// A gathered matrix times a vector, as a matrix of one column or one row.
bool GatheredWeights::visitProduct(Value vectors) {
  Value product = throughReshapes(
      vectors, [](Value v) { return v.getDefiningOp<onnx::MatMulOp>() != nullptr; });
  if (!product || !isAtLeast(product, 3) || !areSlots(dims(product).drop_back(2)))
    return false;
  auto matmul = product.getDefiningOp<onnx::MatMulOp>();
  Value stack = stackOf(matmul.getA());
  const bool isColumn = stack != nullptr;
  if (!isColumn)
    stack = stackOf(matmul.getB());
  Value wide = isColumn ? matmul.getB() : matmul.getA();
  if (!stack || typeOf(stack).getRank() != 3 || !hasRank(wide, dims(product).size()))
    return false;
  ArrayRef<Polynomial> matrix = dims(wide).take_back(2);
  // The same vector, not a part of it.
  Value first = matrix[isColumn] == Polynomial(1) ? factorOf(wide, matrix[!isColumn]) : Value();
  if (!first)
    return false;
  steps[vectors] = {Step::Product, first, stack, !isColumn};
  return true;
}

/// The same as an Einsum, whose labels of rows and slots come first.
bool GatheredWeights::visitEinsum(Value vectors) {
  auto op = vectors.getDefiningOp<onnx::EinsumOp>();
  auto equation = op ? EinsumEquation::of(op, shapes) : std::nullopt;
  if (!equation || op.getInputs().size() != 2)
    return false;
  for (unsigned number : {0u, 1u}) {
    ArrayRef<int> matrices = equation->operands[number], factors = equation->operands[1 - number],
                  result = equation->result;
    ArrayRef<int> leading = result.drop_back();
    if (matrices.size() != leading.size() + 2 || matrices.take_front(leading.size()) != leading ||
        factors.empty() ||
        (factors.drop_back() != leading && factors.drop_back() != leading.drop_back()))
      continue;
    const int out = result.back(), in = factors.back();
    ArrayRef<int> matrix = matrices.take_back(2);
    const bool isTransposed = matrix[1] == out;
    Value stack = matrix[!isTransposed] == in && matrix[isTransposed] == out && in != out &&
                          !llvm::is_contained(leading, in)
                      ? stackOf(op.getInputs()[number])
                      : Value();
    if (!stack || typeOf(stack).getRank() != 3)
      continue;
    Value factor = op.getInputs()[1 - number];
    Value first = factorOf(factor, dims(factor).back());
    if (!first)
      return false;
    steps[vectors] = {Step::Product, first, stack, isTransposed};
    return true;
  }
  return false;
}

bool GatheredWeights::visit(Value vectors) {
  if (steps.contains(vectors))
    return true;
  if (!isVectors(vectors) || !dims(vectors).back().asConstant())
    return false;
  if (visitInput(vectors) || visitProduct(vectors) || visitEinsum(vectors))
    return true;
  if (Value stack = stackOf(vectors)) {
    steps[vectors] = {Step::Parameter, {}, stack};
    return typeOf(stack).getRank() == 2;
  }
  // Through another shape and back.
  Value same = throughReshapes(vectors, [&](Value v) {
    return v != vectors && isVectors(v) && dims(v).back() == dims(vectors).back();
  });
  if (same) {
    if (!visit(same))
      return false;
    steps[vectors] = {Step::Same, same, {}};
    return true;
  }
  Operation *op = vectors.getDefiningOp();
  if (!op || !visitOp(op))
    return false;
  for (Value result : op->getResults())
    if (!dims(result).back().asConstant())
      return false;
  steps[vectors] = {Step::Op, {}, {}};
  return true;
}

bool GatheredWeights::visitOp(Operation *op) {
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    // Along the vectors, from and to what is known.
    auto axes = slice.getAxes() ? shapes.constantElements(slice.getAxes()) : std::nullopt;
    return axes && axes->size() == 1 && isLastAxis(axes->front(), slice.getData()) &&
           shapes.constantElements(slice.getStarts()) && shapes.constantElements(slice.getEnds()) &&
           (!slice.getSteps() || shapes.constantElements(slice.getSteps())) &&
           visit(slice.getData());
  }
  if (!actsOnVectors(op)) {
    obstacle = obstacle ? obstacle : op;
    return false;
  }
  ArrayRef<Polynomial> leading = dims(op->getResult(0)).drop_back();
  for (Value operand : op->getOperands()) {
    if (operand.getDefiningOp<onnx::ConstantOp>())
      continue;
    // What broadcasts along rows or slots is the input's, or none.
    const bool isOwn = isVectors(operand) && dims(operand).drop_back() == leading;
    if (!(isOwn ? visit(operand)
                : isAtLeast(operand, 2) && dims(operand).drop_back(2) == leading.drop_back() &&
                      dims(operand).drop_back().back() == Polynomial(1) &&
                      factorOf(operand, dims(operand).back())))
      return false;
  }
  return true;
}

bool GatheredWeights::matchWeighted(Value vectors, Value scale) {
  weights = farthest(scale, [&](Value v) { return isRoute(v); });
  if (weights && visit(vectors) && input && chosen)
    return true;
  steps.clear();
  input = chosen = nullptr;
  return false;
}

bool GatheredWeights::matchSum(onnx::ReduceSumOp sum) {
  auto axis = sum.getAxes() ? integerOf(sum.getAxes()) : std::nullopt;
  Value data = sum.getData();
  if (!axis || sum.getKeepdims() != 0 || !isAtLeast(data, 3))
    return false;
  const int64_t rank = dims(data).size();
  if ((*axis != rank - 2 && *axis != -2) || !dims(data)[rank - 2].asConstant())
    return false;
  rows = product(dims(data).drop_back(2));
  slots = dims(data)[rank - 2];
  positions = rows * slots;
  Value product =
      throughReshapes(data, [](Value v) { return v.getDefiningOp<onnx::MulOp>() != nullptr; });
  if (!product || !isVectors(product) || dims(product).back() != dims(data).back())
    return false;
  auto mul = product.getDefiningOp<onnx::MulOp>();
  for (auto [result, scale] :
       {std::pair(mul.getA(), mul.getB()), std::pair(mul.getB(), mul.getA())})
    if (isVectors(scale) && dims(scale).back() == Polynomial(1) && isVectors(result) &&
        matchWeighted(result, scale))
      return true;
  return false;
}

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
    Value scale = sum.getInputs()[number], vectors = sum.getInputs()[1 - number];
    rows = product(dims(scale).drop_back());
    slots = dims(scale).back();
    positions = rows * slots;
    if (slots.asConstant() && dims(vectors).drop_back() == dims(scale) &&
        matchWeighted(vectors, scale))
      return true;
  }
  return false;
}

/// Weights as a row, (rows, 1, slots), times vectors.
bool GatheredWeights::matchProduct(onnx::MatMulOp sum) {
  Value scale = sum.getA(), vectors = sum.getB();
  if (!isAtLeast(scale, 3) || !hasRank(vectors, dims(scale).size()) ||
      !dims(scale).drop_back().back().isConstant(1) || !dims(scale).back().asConstant() ||
      dims(vectors).drop_back(2) != dims(scale).drop_back(2))
    return false;
  rows = product(dims(scale).drop_back(2));
  slots = dims(scale).back();
  positions = rows * slots;
  return isVectors(vectors) && matchWeighted(vectors, scale);
}

bool GatheredWeights::match(Operation *op) {
  if (!isAtLeast(op->getResult(0), 2))
    return false;
  Dims leading = dims(op->getResult(0)).drop_back();
  bool isMatched = false;
  if (auto sum = dyn_cast<onnx::ReduceSumOp>(op))
    isMatched = matchSum(sum);
  else if (auto einsum = dyn_cast<onnx::EinsumOp>(op))
    isMatched = matchEinsum(einsum);
  else if (auto product = dyn_cast<onnx::MatMulOp>(op))
    if ((isMatched = matchProduct(product)))
      leading = leading.drop_back();
  if (!isMatched)
    return false;
  for (Value value : {input, chosen, weights})
    if (dims(value).drop_back() == leading)
      like = value;
  return like != nullptr;
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
      for (Value operand : op->getOperands())
        if (!mapping.contains(operand)) {
          auto elements = shapes.constantElements(operand);
          mapping.map(operand, elements && !operand.getDefiningOp<onnx::ConstantOp>()
                                   ? b.integers(*elements)
                                   : b.clone(*operand.getDefiningOp())->getResult(0));
        }
      Value last = isa<onnx::SliceOp>(op) ? b.integers(-1) : Value();
      Operation *clone = b.clone(*op, mapping);
      for (auto [result, original] : llvm::zip(clone->getResults(), op->getResults()))
        result.setType(
            RankedTensorType::get({ShapedType::kDynamic, *dims(original).back().asConstant()},
                                  typeOf(original).getElementType()));
      // Along the vectors, which are those of a matrix now.
      if (clone->hasAttr("axis"))
        clone->setAttr("axis", b.getI64IntegerAttr(-1));
      if (auto slice = dyn_cast<onnx::SliceOp>(clone))
        slice.getAxesMutable().assign(last);
      break;
    }
    }
  }
  return mapping.lookup(last);
}

bool graft::raise::raiseGatheredWeights(Raising &raising, Operation *op) {
  auto product = dyn_cast<onnx::MatMulOp>(op);
  auto row = product ? typeOf(product.getA()) : nullptr;
  auto type = typeOf(op->getResult(0));
  if (!isa<onnx::ReduceSumOp, onnx::EinsumOp, onnx::MatMulOp>(op) || !type ||
      !isa<FloatType>(type.getElementType()) ||
      (product && (!row || row.getRank() < 3 || row.getDimSize(row.getRank() - 2) != 1)))
    return false;
  GatheredWeights gathered(raising.shapes());
  if (!gathered.match(op)) {
    if (gathered.experts != 0 && gathered.obstacle)
      raising.leave(gathered.obstacle, "weights are gathered by what is chosen, but an expert "
                                       "computes what is not seen as a function of one row");
    return false;
  }
  OpBuilder builder(op);
  GraphBuilder b(op->getLoc(), builder);
  MixtureBuilder mixture(raising.module, op, gathered.experts);
  SmallVector<Value> routed;
  buildRouter(b, mixture, Gates{{}, gathered.chosen, gathered.weights}, routed);
  Value rows = typeOf(gathered.input).getRank() == 2 ? gathered.input : b.rowsOf(gathered.input);
  for (int64_t number = 0; number < gathered.experts; ++number)
    mixture.addExpert(
        rows, [&](GraphBuilder &b, ValueRange v) { return gathered.build(b, v[0], number); });
  Value result = b.vectorsLike(mixture.build(routed, rows), gathered.like);
  if (product)
    result = b.unsqueeze(result, type.getRank() - 2);
  return raising.replace(mixture, op, result, "gathered weights");
}
