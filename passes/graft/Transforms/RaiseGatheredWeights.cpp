//===- RaiseGatheredWeights.cpp - Weights gathered per row become modules -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

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

namespace {
/// What is computed for every slot of every row with weights that are gathered by what is chosen:
/// `Σ_s w[r, s] · f(x[r]; W[chosen[r, s]])`. Values of (rows · slots, n) are called vectors here.
class GatheredWeights {
public:
  explicit GatheredWeights(SymbolicShapes &shapes) : shapes(shapes) {}

  bool match(onnx::ReduceSumOp sum);

  Value chosen, weights; ///< (rows, slots)
  Value input;           ///< (rows, n)
  int64_t experts = 0;
  Operation *obstacle = nullptr; ///< what is not understood of matrices that are gathered

  /// What module `number` makes of `rows` of the input.
  Value build(GraphBuilder &b, Value rows, int64_t number) const;

private:
  /// Looks at how the vectors come about; false if that is not understood.
  bool visit(Value vectors);
  bool visitProduct(Value vectors);
  bool visitInput(Value vectors);
  /// The stacked constant that `value` has been gathered from, by what is chosen.
  Value stackOf(Value value);

  ArrayRef<Polynomial> dims(Value value) const { return shapes.get(value).dims; }
  bool hasRank(Value value, unsigned rank) const {
    return shapes.isKnown(value) && shapes.get(value).rank() == rank;
  }
  bool isVectors(Value value) const { return hasRank(value, 2) && dims(value)[0] == positions; }
  bool isRoute(Value value) const {
    return hasRank(value, 2) && dims(value)[0] == rows && dims(value)[1] == slots;
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
  if (!type || !hasRank(value, type.getRank()) || dims(value)[0] != positions ||
      !isStacked(stack, type.getShape()) || (gatherND && dims(indices).back() != Polynomial(1)))
    return nullptr;
  Value source = throughReshapes(indices, [&](Value v) { return isRoute(v); });
  if (!source || (chosen && chosen != source))
    return nullptr;
  // What a TopK chose of so many lies within them.
  auto top = source.getDefiningOp<onnx::TopKOp>();
  if (!top || source != top.getIndices() || !isLastAxis(top.getAxis(), top.getX()) ||
      dims(top.getX()).back() != Polynomial(type.getDimSize(0)))
    return nullptr;
  chosen = source;
  experts = type.getDimSize(0);
  return stack;
}

/// Each row of the input as often as there are slots.
bool GatheredWeights::visitInput(Value vectors) {
  Value repeated = throughReshapes(vectors, [&](Value v) {
    return isa_and_nonnull<onnx::ExpandOp, onnx::TileOp>(v.getDefiningOp());
  });
  if (!repeated || !hasRank(repeated, 3) || dims(repeated)[0] != rows || dims(repeated)[1] != slots)
    return false;
  Value once = repeated.getDefiningOp()->getOperand(0);
  if (!hasRank(once, 3) || dims(once)[0] != rows || dims(once)[1] != Polynomial(1) ||
      dims(once)[2] != dims(repeated)[2])
    return false;
  Value source = throughReshapes(once, [&](Value v) { return hasRank(v, 2); });
  if (!source || dims(source)[0] != rows || dims(source)[1] != dims(once)[2] ||
      (input && input != source))
    return false;
  input = source;
  steps[vectors] = {Step::Input, {}, {}};
  return true;
}

/// A gathered matrix times a vector, as a matrix of one column or one row.
bool GatheredWeights::visitProduct(Value vectors) {
  Value product = throughReshapes(
      vectors, [](Value v) { return v.getDefiningOp<onnx::MatMulOp>() != nullptr; });
  if (!product || !hasRank(product, 3) || dims(product)[0] != positions)
    return false;
  auto matmul = product.getDefiningOp<onnx::MatMulOp>();
  Value stack = stackOf(matmul.getA());
  const bool isColumn = stack != nullptr;
  if (!isColumn)
    stack = stackOf(matmul.getB());
  Value wide = isColumn ? matmul.getB() : matmul.getA();
  if (!stack || typeOf(stack).getRank() != 3 || !hasRank(wide, 3) ||
      dims(wide)[isColumn ? 2 : 1] != Polynomial(1))
    return false;
  Value first = throughReshapes(wide, [&](Value v) { return isVectors(v); });
  // The same vector, not a part of it.
  if (!first || dims(first)[1] != dims(wide)[isColumn ? 1 : 2] || !visit(first))
    return false;
  steps[vectors] = {Step::Product, first, stack, !isColumn};
  return true;
}

bool GatheredWeights::visit(Value vectors) {
  if (steps.contains(vectors))
    return true;
  if (!isVectors(vectors) || !dims(vectors)[1].asConstant())
    return false;
  if (visitInput(vectors) || visitProduct(vectors))
    return true;
  if (Value stack = stackOf(vectors)) {
    steps[vectors] = {Step::Parameter, {}, stack};
    return typeOf(stack).getRank() == 2;
  }
  Operation *op = vectors.getDefiningOp();
  if (!op)
    return false;
  // Through another shape and back.
  Value same = throughReshapes(
      vectors, [&](Value v) { return v != vectors && isVectors(v) && dims(v) == dims(vectors); });
  if (same) {
    if (!visit(same))
      return false;
    steps[vectors] = {Step::Same, same, {}};
    return true;
  }
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    // Along the vectors, from and to what is known.
    auto axes = slice.getAxes() ? shapes.constantElements(slice.getAxes()) : std::nullopt;
    if (!axes || axes->size() != 1 || (axes->front() != 1 && axes->front() != -1) ||
        !shapes.constantElements(slice.getStarts()) || !shapes.constantElements(slice.getEnds()) ||
        (slice.getSteps() && !shapes.constantElements(slice.getSteps())) || !visit(slice.getData()))
      return false;
  } else {
    if (!actsOnVectors(op)) {
      obstacle = obstacle ? obstacle : op;
      return false;
    }
    for (Value operand : op->getOperands())
      if (!operand.getDefiningOp<onnx::ConstantOp>() && !visit(operand))
        return false;
  }
  for (Value result : op->getResults())
    if (!dims(result).back().asConstant())
      return false;
  steps[vectors] = {Step::Op, {}, {}};
  return true;
}

bool GatheredWeights::match(onnx::ReduceSumOp sum) {
  auto axis = sum.getAxes() ? integerOf(sum.getAxes()) : std::nullopt;
  Value data = sum.getData();
  if ((axis != 1 && axis != -2) || sum.getKeepdims() != 0 || !hasRank(data, 3) ||
      !dims(data)[1].asConstant())
    return false;
  rows = dims(data)[0];
  slots = dims(data)[1];
  positions = rows * slots;
  Value product =
      throughReshapes(data, [](Value v) { return v.getDefiningOp<onnx::MulOp>() != nullptr; });
  if (!product || !isVectors(product) || dims(product)[1] != dims(data)[2])
    return false;
  auto mul = product.getDefiningOp<onnx::MulOp>();
  for (auto [result, scale] :
       {std::pair(mul.getA(), mul.getB()), std::pair(mul.getB(), mul.getA())}) {
    if (!isVectors(scale) || dims(scale)[1] != Polynomial(1))
      continue;
    weights = throughReshapes(scale, [&](Value v) { return isRoute(v); });
    if (weights && visit(result) && input && chosen)
      return true;
    steps.clear();
    input = chosen = nullptr;
  }
  return false;
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
      Operation *clone = b.clone(*op, mapping);
      for (auto [result, original] : llvm::zip(clone->getResults(), op->getResults()))
        result.setType(
            RankedTensorType::get({ShapedType::kDynamic, *dims(original).back().asConstant()},
                                  typeOf(original).getElementType()));
      break;
    }
    }
  }
  return mapping.lookup(last);
}

bool graft::raise::raiseGatheredWeights(Raising &raising, Operation *op) {
  auto sum = dyn_cast<onnx::ReduceSumOp>(op);
  if (!sum || !typeOf(sum.getData()) || typeOf(sum.getData()).getRank() != 3 ||
      !isa<FloatType>(typeOf(sum.getData()).getElementType()))
    return false;
  GatheredWeights gathered(raising.shapes());
  if (!gathered.match(sum)) {
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
  for (int64_t number = 0; number < gathered.experts; ++number)
    mixture.addExpert(gathered.input, [&](GraphBuilder &b, ValueRange v) {
      return gathered.build(b, v[0], number);
    });
  return raising.replace(mixture, op, mixture.build(routed, gathered.input), "gathered weights");
}
