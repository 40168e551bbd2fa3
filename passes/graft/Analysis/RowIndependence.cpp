//===- RowIndependence.cpp - Whether the rows of a batch can't see each other -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowIndependence.h"

#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace graft;

namespace {
/// How an op treats the dimensions of its operands.
enum class Rule {
  Unknown,
  Broadcast, ///< elementwise over aligned dimensions
  AlongAxis, ///< mixes elements along `axis` only, keeps dimensions
  FirstDim,  ///< keeps the first dimension of operand 0 apart, as a batch
  Reduce,    ///< over axes, with or without keepdims
  Reshape,   ///< keeps the order of elements
  Shape,     ///< yields dimensions
  Fill,      ///< the same element everywhere
  Expand,
  Gather,
  MatMul,
  Gemm,
  Transpose,
  Concat,
  Slice,
  Recurrent,
  Attention,
  Tile,
  OneHot,
};
} // namespace

static Rule ruleOf(Operation *op) {
  if (isa<modular::SiteOp, modular::AdaptOp, modular::RouteOp>(op))
    return Rule::Fill;
  return llvm::StringSwitch<Rule>(op->getName().stripDialect())
      .Cases({"Add", "Sub", "Mul", "Div", "Pow", "Mod", "Min", "Max", "Mean", "Sum"},
             Rule::Broadcast)
      .Cases({"Sqrt", "Exp", "Log", "Erf", "Tanh", "Sigmoid", "Relu", "LeakyRelu", "PRelu", "Elu"},
             Rule::Broadcast)
      .Cases({"Selu", "Celu", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign", "Gelu",
              "Swish", "ThresholdedRelu"},
             Rule::Broadcast)
      .Cases({"Neg", "Abs", "Sign", "Reciprocal", "Floor", "Ceil", "Round", "Sin", "Cos", "Tan"},
             Rule::Broadcast)
      .Cases({"Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Clip", "Where"},
             Rule::Broadcast)
      .Cases({"Cast", "CastLike", "Not", "And", "Or", "Xor", "Equal", "Greater", "GreaterOrEqual",
              "Less"},
             Rule::Broadcast)
      .Cases({"LessOrEqual", "IsNaN", "IsInf", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
              "BitwiseNot", "BitShift", "Identity", "Dropout"},
             Rule::Broadcast)
      .Cases({"Softmax", "LogSoftmax", "Hardmax", "CumSum", "GatherElements", "LpNormalization"},
             Rule::AlongAxis)
      .Cases({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"},
             Rule::AlongAxis)
      .Cases({"TopK", "Split", "Trilu"}, Rule::AlongAxis)
      .Cases({"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool",
              "GlobalMaxPool", "BatchNormalization", "InstanceNormalization", "GroupNormalization",
              "LRN"},
             Rule::FirstDim)
      .Cases({"DepthToSpace", "SpaceToDepth", "Resize", "RotaryEmbedding"}, Rule::FirstDim)
      .Cases({"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
              "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"},
             Rule::Reduce)
      .Cases({"ArgMax", "ArgMin"}, Rule::Reduce)
      .Cases({"Reshape", "Flatten", "Squeeze", "Unsqueeze"}, Rule::Reshape)
      .Cases({"Shape", "Size"}, Rule::Shape)
      .Cases({"Constant", "ConstantOfShape"}, Rule::Fill)
      .Case("Expand", Rule::Expand)
      .Case("Gather", Rule::Gather)
      .Case("MatMul", Rule::MatMul)
      .Case("Gemm", Rule::Gemm)
      .Case("Transpose", Rule::Transpose)
      .Case("Concat", Rule::Concat)
      .Cases({"Slice", "Pad"}, Rule::Slice)
      .Cases({"LSTM", "GRU", "RNN"}, Rule::Recurrent)
      .Case("Attention", Rule::Attention)
      .Case("Tile", Rule::Tile)
      .Case("OneHot", Rule::OneHot)
      .Default(Rule::Unknown);
}

static int64_t intAttr(Operation *op, StringRef name, int64_t otherwise) {
  auto attribute = op->getAttrOfType<IntegerAttr>(name);
  return attribute ? attribute.getInt() : otherwise;
}

static int64_t wrap(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

RowIndependence::RowDim RowIndependence::get(Value value) const {
  auto found = rows.find(value);
  return found == rows.end() ? RowDim() : RowDim(found->second);
}

bool RowIndependence::fail(Operation *op, const llvm::Twine &why) {
  culprit = op;
  reason = why.str();
  return false;
}

bool RowIndependence::dependsOnCount(const Polynomial &p) const {
  return llvm::is_contained(p.symbols(), symbol);
}

bool RowIndependence::dependsOnCount(Value value) {
  auto elements = shapes.get(value).elements;
  return elements &&
         llvm::any_of(*elements, [&](const Polynomial &p) { return dependsOnCount(p); });
}

RowIndependence::RowIndependence(func::FuncOp main) : shapes(main) {
  for (BlockArgument argument : main.getArguments()) {
    const SymbolicTensor &tensor = shapes.get(argument);
    std::optional<StringRef> first;
    if (tensor.rank() > 0)
      first = tensor.dims[0].asAtom();
    if (!first || tensor.dims[0].symbols().size() != 1 ||
        (!symbol.empty() && *first != StringRef(symbol))) {
      reason = "expected inputs whose first dimension is one and the same symbol";
      return;
    }
    symbol = first->str();
    rows[argument] = 0;
  }
  if (symbol.empty()) {
    reason = "expected an input";
    return;
  }
  for (Operation &op : main.getBody().front()) {
    if (!op.hasTrait<OpTrait::IsTerminator>()) {
      if (!visit(&op))
        return;
      continue;
    }
    for (Value result : op.getOperands())
      if (RowDim row = get(result);
          !row || *row != 0 ||
          shapes.get(result).dims[0] != shapes.get(main.getArgument(0)).dims[0]) {
        Operation *producer = result.getDefiningOp();
        fail(producer ? producer : &op,
             "expected results whose first dimension is that of the rows");
        return;
      }
  }
}

bool RowIndependence::visit(Operation *op) {
  const Rule rule = ruleOf(op);
  auto setAll = [&](RowDim row) {
    for (Value result : op->getResults())
      if (row && *row < rank(result))
        rows[result] = *row;
    return true;
  };
  if (rule == Rule::Shape)
    return true;
  const bool hasRows = llvm::any_of(op->getOperands(), [&](Value v) { return get(v).has_value(); });
  const bool countKnown = llvm::all_of(
      op->getResults(), [&](Value result) { return bool(shapes.get(result).elements); });
  if (!hasRows && !countKnown) {
    // Data made of the number of rows would tell one row how many others there are; a shape does
    // not.
    const bool isShapeOperand =
        isa<onnx::ConstantOfShapeOp, onnx::ExpandOp, onnx::TileOp, onnx::SliceOp, onnx::ReshapeOp>(
            op);
    for (Value operand : op->getOperands())
      if (!isShapeOperand && dependsOnCount(operand))
        return fail(op, "computes with the number of rows");
    if (rule == Rule::Unknown || !isa<onnx::ConstantOfShapeOp, onnx::ExpandOp>(op)) {
      for (Value result : op->getResults())
        for (const Polynomial &dim : shapes.get(result).dims)
          if (dependsOnCount(dim))
            return fail(op, "makes rows that are not a batch's");
      return true;
    }
  }
  if (!hasRows && countKnown)
    return true;

  Value first = op->getNumOperands() ? op->getOperand(0) : Value();
  RowDim row = first ? get(first) : RowDim();
  auto finish = [&](std::optional<RowDim> result, StringRef why) {
    return result ? setAll(*result) : fail(op, why);
  };
  // Only what comes first may differ between rows, where nothing else is said.
  auto onlyFirst = [&] {
    return llvm::none_of(op->getOperands().drop_front(),
                         [&](Value v) { return get(v).has_value(); });
  };
  switch (rule) {
  case Rule::Unknown:
  case Rule::Shape:
    return fail(op, "has no rule that keeps rows apart");
  case Rule::Broadcast:
    return finish(visitBroadcast(op), "combines different rows");
  case Rule::Fill:
  case Rule::Expand: {
    // Every row is alike, or is what the operand's row was.
    Value result = op->getResult(0);
    if (row && rule == Rule::Expand)
      return setAll(*row + rank(result) - rank(first));
    for (auto [index, dim] : llvm::enumerate(shapes.get(result).dims))
      if (dependsOnCount(dim))
        return rows.count(result) ? fail(op, "makes rows in two dimensions")
                                  : (rows[result] = index, true);
    return true;
  }
  case Rule::AlongAxis: {
    int64_t axis = wrap(intAttr(op, "axis", isa<onnx::SplitOp>(op) ? 0 : -1), rank(first));
    if (auto cumulative = dyn_cast<onnx::CumSumOp>(op)) {
      auto known = shapes.constantElements(cumulative.getAxis());
      if (!known)
        return fail(op, "sums along an axis that only data tells");
      axis = wrap(known->front(), rank(first));
    }
    if (isa<onnx::TriluOp>(op))
      axis = rank(first) - 2;
    if (auto elements = dyn_cast<onnx::GatherElementsOp>(op)) {
      axis = wrap(intAttr(op, "axis", 0), rank(first));
      if (get(elements.getIndices()) != row)
        return fail(op, "gathers from other rows");
    } else if (!onlyFirst()) {
      return fail(op, "combines different rows");
    }
    const bool toTheEnd =
        isa<onnx::LayerNormalizationOp, onnx::RMSNormalizationOp, onnx::TriluOp>(op);
    if (row && (*row == axis || (toTheEnd && *row > axis)))
      return fail(op, "works along the rows");
    return setAll(row);
  }
  case Rule::FirstDim:
    if ((row && *row != 0) || (!isa<onnx::RotaryEmbeddingOp>(op) && !onlyFirst()))
      return fail(op, "combines different rows");
    for (Value operand : op->getOperands())
      if (RowDim other = get(operand); other && *other != 0)
        return fail(op, "combines different rows");
    return setAll(0);
  case Rule::Reduce:
    return finish(visitReduce(op, row), "reduces over the rows");
  case Rule::Reshape:
    return finish(row ? visitReshape(op, row) : std::optional<RowDim>(), "takes rows apart");
  case Rule::Gather:
    return finish(visitGather(op), "gathers from other rows");
  case Rule::MatMul:
    return finish(visitMatMul(op), "combines different rows");
  case Rule::Gemm: {
    RowDim c = op->getNumOperands() > 2 ? get(op->getOperand(2)) : RowDim();
    if (!row || *row != intAttr(op, "transA", 0) || get(op->getOperand(1)) || (c && *c != 0))
      return fail(op, "combines different rows");
    return setAll(0);
  }
  case Rule::Transpose: {
    const int64_t n = rank(first);
    auto perm = op->getAttrOfType<ArrayAttr>("perm");
    for (int64_t i = 0; i < n; ++i)
      if ((perm ? cast<IntegerAttr>(perm[i]).getInt() : n - 1 - i) == *row)
        return setAll(i);
    return fail(op, "has no rule that keeps rows apart");
  }
  case Rule::Concat: {
    RowDim common;
    for (Value operand : op->getOperands())
      if (RowDim each = get(operand)) {
        if (common && *common != *each)
          return fail(op, "combines different rows");
        common = each;
      }
    if (*common == wrap(intAttr(op, "axis", 0), rank(first)))
      return fail(op, "works along the rows");
    return setAll(common);
  }
  case Rule::Slice: {
    // The rows' dimension must stay whole.
    if (!onlyFirst() || !row ||
        shapes.get(op->getResult(0)).dims[*row] != shapes.get(first).dims[*row])
      return fail(op, "takes rows apart");
    if (auto slice = dyn_cast<onnx::SliceOp>(op); slice && slice.getSteps()) {
      auto steps = shapes.constantElements(slice.getSteps());
      if (!steps || llvm::any_of(*steps, [](int64_t step) { return step < 0; }))
        return fail(op, "may reverse the rows");
    }
    return setAll(row);
  }
  case Rule::Recurrent:
    return visitRecurrent(op);
  case Rule::Attention:
    for (Value operand : op->getOperands())
      if (RowDim each = get(operand); each && *each != 0)
        return fail(op, "combines different rows");
    if (!row || !get(op->getOperand(1)) || !get(op->getOperand(2)))
      return fail(op, "combines different rows");
    return setAll(0);
  case Rule::Tile: {
    auto repeats = shapes.elements(op->getOperand(1));
    if (!row || !repeats || !(*repeats)[*row].isConstant(1))
      return fail(op, "repeats the rows");
    return setAll(row);
  }
  case Rule::OneHot: {
    const int64_t axis = wrap(intAttr(op, "axis", -1), rank(op->getResult(0)));
    return onlyFirst() && row ? setAll(*row < axis ? *row : *row + 1)
                              : fail(op, "combines different rows");
  }
  }
  return fail(op, "has no rule that keeps rows apart");
}

std::optional<RowIndependence::RowDim> RowIndependence::visitBroadcast(Operation *op) {
  int64_t most = 0;
  for (Value operand : op->getOperands())
    most = std::max(most, rank(operand));
  RowDim common;
  for (Value operand : op->getOperands())
    if (RowDim row = get(operand)) {
      const int64_t aligned = *row + most - rank(operand);
      if (common && *common != aligned)
        return std::nullopt;
      common = aligned;
    }
  // What is the same for all rows must not have a dimension that runs along them.
  for (Value operand : op->getOperands())
    if (!get(operand) && common) {
      if (dependsOnCount(operand))
        return std::nullopt;
      const int64_t index = *common - (most - rank(operand));
      if (index >= 0 && !shapes.get(operand).dims[index].isConstant(1))
        return std::nullopt;
    }
  return common;
}

std::optional<RowIndependence::RowDim> RowIndependence::visitMatMul(Operation *op) {
  Value a = op->getOperand(0), b = op->getOperand(1);
  RowDim ofA = get(a), ofB = get(b);
  const int64_t rankA = rank(a), rankB = rank(b), most = std::max(rankA, rankB);
  if (rankA < 2 || rankB < 2 || (ofA && *ofA == rankA - 1) || (ofB && *ofB >= rankB - 2))
    return std::nullopt;
  RowDim common;
  if (ofA)
    common = *ofA + most - rankA;
  if (ofB) {
    const int64_t aligned = *ofB + most - rankB;
    if (common && *common != aligned)
      return std::nullopt;
    common = aligned;
  }
  auto isFree = [&](Value v, RowDim row, int64_t n) {
    const int64_t index = *common - (most - n);
    return row || index < 0 || index >= n - 2 || shapes.get(v).dims[index].isConstant(1);
  };
  if (!isFree(a, ofA, rankA) || !isFree(b, ofB, rankB))
    return std::nullopt;
  return common;
}

std::optional<RowIndependence::RowDim> RowIndependence::visitReshape(Operation *op, RowDim row) {
  const auto &from = shapes.get(op->getOperand(0)).dims;
  const auto &to = shapes.get(op->getResult(0)).dims;
  auto before = [](ArrayRef<Polynomial> dims, int64_t end) {
    Polynomial p(1);
    for (int64_t i = 0; i < end; ++i)
      p = p * dims[i];
    return p;
  };
  // Row-major order is kept: the rows run along the dimension that as many elements come before.
  const Polynomial lead = before(from, *row);
  const Polynomial count = Polynomial::symbol(symbol);
  for (int64_t i = 0; i < int64_t(to.size()); ++i)
    if (dependsOnCount(to[i])) {
      const bool isWhole = Polynomial::floorDiv(to[i], count) * count == to[i];
      return isWhole && before(to, i) == lead ? std::optional<RowDim>(i) : std::nullopt;
    }
  return std::nullopt;
}

std::optional<RowIndependence::RowDim> RowIndependence::visitReduce(Operation *op, RowDim row) {
  const int64_t n = rank(op->getOperand(0));
  SmallVector<int64_t> axes;
  if (isa<onnx::ArgMaxOp, onnx::ArgMinOp>(op)) {
    axes.push_back(intAttr(op, "axis", 0));
  } else if (op->getNumOperands() > 1) {
    auto known = shapes.constantElements(op->getOperand(1));
    if (!known || get(op->getOperand(1)))
      return std::nullopt;
    axes = *known;
  }
  if (axes.empty() && intAttr(op, "noop_with_empty_axes", 0) == 0)
    return std::nullopt;
  int64_t result = *row;
  for (int64_t axis : axes) {
    axis = wrap(axis, n);
    if (axis == *row)
      return std::nullopt;
    if (axis < *row && intAttr(op, "keepdims", 1) == 0)
      --result;
  }
  return RowDim(result);
}

std::optional<RowIndependence::RowDim> RowIndependence::visitGather(Operation *op) {
  auto gather = cast<onnx::GatherOp>(op);
  RowDim data = get(gather.getData()), indices = get(gather.getIndices());
  const int64_t axis = wrap(gather.getAxis(), rank(gather.getData()));
  if (data && (indices || *data == axis))
    return std::nullopt;
  if (indices)
    return RowDim(axis + *indices);
  return RowDim(*data < axis ? *data : *data + rank(gather.getIndices()) - 1);
}

bool RowIndependence::visitRecurrent(Operation *op) {
  if (intAttr(op, "layout", 0) != 0)
    return fail(op, "has no rule that keeps rows apart");
  RowDim x = get(op->getOperand(0));
  if (!x || *x != 1)
    return fail(op, "works along the rows");
  for (Value operand : op->getOperands().drop_front())
    if (RowDim row = get(operand); row && *row != (rank(operand) == 1 ? 0 : 1))
      return fail(op, "combines different rows");
  for (Value result : op->getResults())
    rows[result] = rank(result) == 4 ? 2 : 1;
  return true;
}
