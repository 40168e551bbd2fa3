//===- ShapeRules.cpp - The shapes of the onnx dialect's ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/ShapeRules.h"

#include "graft/Analysis/Einsum.h"
#include "graft/Analysis/Windows.h"
#include "graft/Modular/Modular.h"

using namespace mlir;
using namespace graft;

using namespace graft::rules;

static bool sameAsFirst(SymbolicShapes &shapes, Operation *op, Results &results) {
  for (SymbolicTensor &result : results)
    result.dims = dimsOf(shapes, op, 0);
  return true;
}

static bool broadcast(SymbolicShapes &shapes, Operation *op, Results &results) {
  Dims dims;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    dims = broadcastDims(dims, dimsOf(shapes, op, i));
  results[0].dims = dims;
  return true;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static bool matmul(SymbolicShapes &shapes, Operation *op, Results &results) {
  Dims a = dimsOf(shapes, op, 0), b = dimsOf(shapes, op, 1);
  if (a.empty() || b.empty())
    return false;
  bool rows = a.size() > 1, columns = b.size() > 1;
  if (!rows)
    a.insert(a.begin(), 1);
  if (!columns)
    b.push_back(1);
  Dims dims = broadcastDims(ArrayRef(a).drop_back(2), ArrayRef(b).drop_back(2));
  if (rows)
    dims.push_back(a[a.size() - 2]);
  if (columns)
    dims.push_back(b.back());
  results[0].dims = dims;
  return true;
}

static bool gemm(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto gemm = cast<onnx::GemmOp>(op);
  const Dims &a = dimsOf(shapes, op, 0), &b = dimsOf(shapes, op, 1);
  if (a.size() != 2 || b.size() != 2)
    return false;
  results[0].dims = {a[gemm.getTransA() ? 1 : 0], b[gemm.getTransB() ? 0 : 1]};
  return true;
}

static bool einsum(SymbolicShapes &shapes, Operation *op, Results &results) {
  SmallVector<int64_t> ranks;
  SmallVector<ArrayRef<Polynomial>> dims;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    dims.push_back(dimsOf(shapes, op, i));
    ranks.push_back(dims.back().size());
  }
  auto equation = EinsumEquation::parse(cast<onnx::EinsumOp>(op).getEquation(), ranks);
  if (!equation)
    return false;
  std::map<int, Polynomial> sizes = equation->sizes(dims);
  for (int label : equation->result)
    results[0].dims.push_back(sizes[label]);
  return true;
}

static bool attention(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto attention = cast<onnx::AttentionOp>(op);
  Dims q = dimsOf(shapes, op, 0), k = dimsOf(shapes, op, 1), v = dimsOf(shapes, op, 2);
  bool merged = q.size() == 3;
  auto split = [](Dims &dims, std::optional<int64_t> heads) {
    if (dims.size() != 3)
      return dims.size() == 4;
    if (!heads || *heads < 1)
      return false;
    dims = {dims[0], *heads, dims[1], Polynomial::floorDiv(dims[2], *heads)};
    return true;
  };
  if (!split(q, attention.getQNumHeads()) || !split(k, attention.getKvNumHeads()) ||
      !split(v, attention.getKvNumHeads()))
    return false;
  Polynomial keys = k[2];
  if (attention.getPastKey())
    keys = keys + shapes.get(attention.getPastKey()).dims[2];
  unsigned next = 0;
  if (merged)
    results[next++].dims = {q[0], q[2], q[1] * v[3]};
  else
    results[next++].dims = {q[0], q[1], q[2], v[3]};
  if (attention.getPresentKey())
    results[next++].dims = {k[0], k[1], keys, k[3]};
  if (attention.getPresentValue())
    results[next++].dims = {v[0], v[1], keys, v[3]};
  if (attention.getQkMatmulOutput())
    results[next++].dims = {q[0], q[1], q[2], keys};
  return true;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static bool reduce(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &data = dimsOf(shapes, op, 0);
  auto keep = op->getAttrOfType<IntegerAttr>("keepdims");
  auto noop = op->getAttrOfType<IntegerAttr>("noop_with_empty_axes");
  std::optional<SmallVector<int64_t>> axes = SmallVector<int64_t>{};
  if (isa<onnx::ArgMaxOp, onnx::ArgMinOp>(op)) {
    auto axis = op->getAttrOfType<IntegerAttr>("axis");
    axes->push_back(axis ? axis.getInt() : 0);
  } else if (op->getNumOperands() > 1) {
    axes = shapes.constantElements(op->getOperand(1));
  }
  if (!axes)
    return false;
  auto reduced = marked(*axes, data.size());
  if (!reduced)
    return false;
  if (axes->empty() && !(noop && noop.getInt()))
    reduced->assign(data.size(), true);
  for (auto [i, dim] : llvm::enumerate(data)) {
    if (!(*reduced)[i])
      results[0].dims.push_back(dim);
    else if (!keep || keep.getInt())
      results[0].dims.push_back(1);
  }
  return true;
}

static bool topK(SymbolicShapes &shapes, Operation *op, Results &results) {
  Dims dims = dimsOf(shapes, op, 0);
  auto axis = normalize(cast<onnx::TopKOp>(op).getAxis(), dims.size());
  auto k = shapes.elements(op->getOperand(1));
  if (!axis || !k || k->size() != 1)
    return false;
  dims[*axis] = k->front();
  results[0].dims = results[1].dims = dims;
  return true;
}

//===----------------------------------------------------------------------===//
// Convolution, pooling, recurrence, normalisation
//===----------------------------------------------------------------------===//

static bool convolution(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &x = dimsOf(shapes, op, 0);
  bool isTransposed = isa<onnx::ConvTransposeOp>(op);
  auto windows = isTransposed ? transposedWindowsOf(shapes, op) : windowsOf(shapes, op);
  if (!windows)
    return false;
  Polynomial channels = x[1];
  if (isTransposed)
    channels = dimsOf(shapes, op, 1)[1] * Polynomial(cast<onnx::ConvTransposeOp>(op).getGroup());
  else if (isa<onnx::ConvOp>(op))
    channels = dimsOf(shapes, op, 1)[0];
  for (SymbolicTensor &result : results) {
    result.dims = {x[0], channels};
    for (const Window &window : *windows)
      result.dims.push_back(window.output);
  }
  return true;
}

static bool globalPool(SymbolicShapes &shapes, Operation *op, Results &results) {
  Dims dims = dimsOf(shapes, op, 0);
  for (size_t i = 2; i < dims.size(); ++i)
    dims[i] = 1;
  results[0].dims = dims;
  return true;
}

static bool recurrent(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &x = dimsOf(shapes, op, 0), &r = dimsOf(shapes, op, 2);
  if (x.size() != 3 || r.size() != 3)
    return false;
  auto layout = op->getAttrOfType<IntegerAttr>("layout");
  bool batchFirst = layout && layout.getInt();
  Polynomial steps = x[batchFirst ? 1 : 0], batch = x[batchFirst ? 0 : 1];
  Dims sequence{steps, r[0], batch, r[2]}, last{r[0], batch, r[2]};
  if (batchFirst) {
    sequence = {batch, steps, r[0], r[2]};
    last = {batch, r[0], r[2]};
  }
  bool hasSequence = true;
  if (auto sizes = op->getAttrOfType<DenseI32ArrayAttr>("resultSegmentSizes"))
    hasSequence = sizes[0] != 0;
  for (auto [i, result] : llvm::enumerate(results))
    result.dims = i == 0 && hasSequence ? sequence : last;
  return true;
}

static bool layerNormalization(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto norm = cast<onnx::LayerNormalizationOp>(op);
  const Dims &x = dimsOf(shapes, op, 0);
  auto axis = normalize(norm.getAxis(), x.size());
  if (!axis)
    return false;
  for (auto [i, result] : llvm::enumerate(results)) {
    result.dims = x;
    for (size_t d = *axis; i > 0 && d < x.size(); ++d)
      result.dims[d] = 1;
  }
  return true;
}

static bool batchNormalization(SymbolicShapes &shapes, Operation *op, Results &results) {
  for (auto [i, result] : llvm::enumerate(results))
    result.dims = dimsOf(shapes, op, i == 0 ? 0 : 3);
  return true;
}

//===----------------------------------------------------------------------===//
// Indexing, constants, control
//===----------------------------------------------------------------------===//

static bool gather(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &data = dimsOf(shapes, op, 0), &indices = dimsOf(shapes, op, 1);
  auto axis = normalize(cast<onnx::GatherOp>(op).getAxis(), data.size());
  if (!axis)
    return false;
  Dims dims(data.begin(), data.begin() + *axis);
  dims.append(indices.begin(), indices.end());
  dims.append(data.begin() + *axis + 1, data.end());
  results[0].dims = dims;
  return true;
}

static bool gatherElements(SymbolicShapes &shapes, Operation *op, Results &results) {
  results[0].dims = dimsOf(shapes, op, 1);
  return true;
}

static bool gatherND(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &data = dimsOf(shapes, op, 0), &indices = dimsOf(shapes, op, 1);
  int64_t batch = cast<onnx::GatherNDOp>(op).getBatchDims();
  if (indices.empty())
    return false;
  auto depth = indices.back().asConstant();
  if (!depth || batch < 0 || *depth < 0 || batch + *depth > int64_t(data.size()))
    return false;
  Dims dims(indices.begin(), indices.end() - 1);
  dims.append(data.begin() + batch + *depth, data.end());
  results[0].dims = dims;
  return true;
}

static bool nonZero(SymbolicShapes &shapes, Operation *op, Results &results) {
  int64_t rank = dimsOf(shapes, op, 0).size();
  // NonZero of ones is how old exporters write a range.
  auto fill = op->getOperand(0).getDefiningOp<onnx::ConstantOfShapeOp>();
  auto value = fill ? dyn_cast_or_null<DenseIntElementsAttr>(fill.getValueAttr()) : nullptr;
  if (value && rank == 1 && value.getNumElements() == 1 && !(*value.begin()).isZero()) {
    results[0].dims = {1, dimsOf(shapes, op, 0)[0]};
    return true;
  }
  results[0].dims = {std::max<int64_t>(rank, 1), shapes.freshDimension(op->getResult(0), 1)};
  return true;
}

static bool oneHot(SymbolicShapes &shapes, Operation *op, Results &results) {
  Dims dims = dimsOf(shapes, op, 0);
  auto depth = shapes.elements(op->getOperand(1));
  auto axis = normalize(cast<onnx::OneHotOp>(op).getAxis(), dims.size() + 1);
  if (!axis || !depth || depth->size() != 1)
    return false;
  dims.insert(dims.begin() + *axis, depth->front());
  results[0].dims = dims;
  return true;
}

static bool compress(SymbolicShapes &shapes, Operation *op, Results &results) {
  Dims dims = dimsOf(shapes, op, 0);
  auto given = cast<onnx::CompressOp>(op).getAxis();
  if (!given) {
    results[0].dims = {shapes.freshDimension(op->getResult(0), 0)};
    return true;
  }
  auto axis = normalize(*given, dims.size());
  if (!axis)
    return false;
  dims[*axis] = shapes.freshDimension(op->getResult(0), *axis);
  results[0].dims = dims;
  return true;
}

static bool constant(SymbolicShapes &, Operation *op, Results &results) {
  auto type = dyn_cast<RankedTensorType>(cast<onnx::ConstantOp>(op).getValue().getType());
  if (!type)
    return false;
  for (int64_t dim : type.getShape())
    results[0].dims.push_back(dim);
  return true;
}

static bool constantOfShape(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto dims = shapes.elements(op->getOperand(0));
  if (!dims)
    return false;
  results[0].dims.assign(dims->begin(), dims->end());
  return true;
}

static bool range(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto start = shapes.elements(op->getOperand(0)), limit = shapes.elements(op->getOperand(1)),
       delta = shapes.elements(op->getOperand(2));
  if (!start || !limit || !delta || start->size() != 1 || limit->size() != 1 ||
      delta->size() != 1) {
    results[0].dims = {shapes.freshDimension(op->getResult(0), 0)};
    return true;
  }
  results[0].dims = {
      Polynomial::max(Polynomial::ceilDiv(limit->front() - start->front(), delta->front()), 0)};
  return true;
}

static bool branches(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto branch = cast<onnx::IfOp>(op);
  Operation *thenYield = branch.getThenBranch().front().getTerminator();
  Operation *elseYield = branch.getElseBranch().front().getTerminator();
  for (auto [i, result] : llvm::enumerate(results)) {
    if (thenYield->getNumOperands() <= i || elseYield->getNumOperands() <= i)
      return false;
    const Dims &a = shapes.get(thenYield->getOperand(i)).dims;
    const Dims &b = shapes.get(elseYield->getOperand(i)).dims;
    if (a.size() != b.size())
      return false;
    for (auto [d, dim] : llvm::enumerate(a))
      result.dims.push_back(dim == b[d] ? dim : shapes.freshDimension(op->getResult(i), d));
  }
  return true;
}

/// A route's dims are those of what is chosen: (rows, slots).
static bool routeOf(SymbolicShapes &shapes, Operation *op, Results &results) {
  results[0].dims = dimsOf(shapes, op, 0);
  return true;
}

/// What the host sees keeps its shape.
static bool expose(SymbolicShapes &shapes, Operation *op, Results &results) {
  for (unsigned i = 0; i < op->getNumResults(); ++i)
    results[i].dims = dimsOf(shapes, op, i);
  return true;
}

/// What is asked row by row: as many rows as the first input has.
static bool route(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto route = cast<modular::RouteOp>(op);
  if (route.getInputs().empty() || dimsOf(shapes, op, 0).empty())
    return false;
  results[0].dims = {dimsOf(shapes, op, 0).front(), Polynomial(route.getType().getSlots())};
  return true;
}

/// The parts' dims are those of what is aggregated: the rows, then what a module yields.
static bool apply(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto apply = cast<modular::ApplyOp>(op);
  if (!apply.isInlined()) {
    auto part = apply.getParts().getType().getType();
    if (part.getRank() == 0 || llvm::any_of(part.getShape().drop_front(), ShapedType::isDynamic))
      return false;
    results[0].dims = {dimsOf(shapes, op, 0).front()};
    llvm::append_range(results[0].dims, part.getShape().drop_front());
    return true;
  }
  Value yielded = apply.getBodies().front().front().getTerminator()->getOperand(0);
  if (!shapes.isKnown(yielded))
    return false;
  results[0].dims = shapes.get(yielded).dims;
  results[0].dims.front() = dimsOf(shapes, op, 0).front();
  return true;
}

static bool aggregate(SymbolicShapes &shapes, Operation *op, Results &results) {
  results[0].dims = dimsOf(shapes, op, 0);
  auto aggregate = cast<modular::AggregateOp>(op);
  if (!results[0].dims.empty() && aggregate.getAggregation() == modular::Aggregation::Concatenation)
    results[0].dims.back() = Polynomial(aggregate.getResult().getType().getShape().back());
  return !results[0].dims.empty();
}

/// As many rows as the parts have, and widths that the op's type tells.
static bool aggregateRows(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (dimsOf(shapes, op, 0).empty() || type.getRank() == 0 ||
      llvm::any_of(type.getShape().drop_front(), ShapedType::isDynamic))
    return false;
  results[0].dims = {dimsOf(shapes, op, 0).front()};
  llvm::append_range(results[0].dims, type.getShape().drop_front());
  return true;
}

/// The parts' dims with the slots of a row behind the rows.
static bool collect(SymbolicShapes &shapes, Operation *op, Results &results) {
  results[0].dims = dimsOf(shapes, op, 0);
  if (results[0].dims.empty())
    return false;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  results[0].dims.insert(results[0].dims.begin() + 1, Polynomial(type.getDimSize(1)));
  return true;
}

static bool rowProduct(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto product = cast<modular::RowProductOp>(op);
  const Dims &weight = dimsOf(shapes, op, 1);
  results[0].dims = dimsOf(shapes, op, 0);
  if (results[0].dims.empty() || weight.size() != 2)
    return false;
  results[0].dims.back() = weight[product.getTransposed() ? 0 : 1];
  return true;
}

/// Where the shape of an op's results comes from. An op without an entry keeps its types.
static const llvm::StringMap<Rule> &ruleTable() {
  static const llvm::StringMap<Rule> table = [] {
    llvm::StringMap<Rule> table;
    auto add = [&](Rule rule, StringRef names) {
      SmallVector<StringRef> list;
      names.split(list, ' ');
      for (StringRef name : list)
        table[("onnx." + name).str()] = rule;
    };
    add(sameAsFirst,
        "Sqrt Exp Log Erf Neg Abs Sign Reciprocal Floor Ceil Round Sin Cos Tan Asin Acos "
        "Atan Sinh Cosh Asinh Acosh Atanh IsNaN IsInf Cast CastLike Identity Dropout Not "
        "BitwiseNot Clip Tanh Sigmoid Relu LeakyRelu PRelu Elu Selu Celu HardSigmoid "
        "HardSwish Mish Softplus Softsign Gelu Swish ThresholdedRelu Shrink Softmax "
        "LogSoftmax Hardmax RotaryEmbedding CumSum CumProd RMSNormalization "
        "InstanceNormalization GroupNormalization LRN LpNormalization "
        "MeanVarianceNormalization ScatterElements ScatterND Trilu ReverseSequence EyeLike");
    add(broadcast,
        "Add Sub Mul Div Pow Mod BitShift BitwiseAnd BitwiseOr BitwiseXor And Or Xor Equal "
        "Greater GreaterOrEqual Less LessOrEqual Min Max Mean Sum Where");
    add(reduce,
        "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum "
        "ReduceLogSumExp ReduceSumSquare ArgMax ArgMin");
    add(convolution, "Conv ConvTranspose MaxPool AveragePool LpPool");
    add(globalPool, "GlobalAveragePool GlobalMaxPool");
    add(recurrent, "LSTM GRU RNN");
    add(matmul, "MatMul");
    add(gemm, "Gemm");
    add(attention, "Attention");
    add(einsum, "Einsum");
    add(topK, "TopK");
    add(layerNormalization, "LayerNormalization");
    add(batchNormalization, "BatchNormalization");
    add(gather, "Gather");
    add(gatherElements, "GatherElements");
    add(gatherND, "GatherND");
    add(nonZero, "NonZero");
    add(oneHot, "OneHot");
    add(compress, "Compress");
    add(constant, "Constant");
    add(constantOfShape, "ConstantOfShape");
    add(range, "Range");
    add(branches, "If");
    table["modular.route"] = route;
    table["modular.route_of"] = routeOf;
    table["modular.expose"] = expose;
    table["modular.apply"] = apply;
    table["modular.aggregate"] = aggregate;
    table["modular.aggregate_attention"] = aggregateRows;
    table["modular.aggregate_by"] = aggregateRows;
    table["modular.collect"] = collect;
    table["modular.row_product"] = rowProduct;
    addRulesOfShapes(table);
    return table;
  }();
  return table;
}

bool graft::detail::inferDims(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto it = ruleTable().find(op->getName().getStringRef());
  if (it == ruleTable().end())
    return false;
  for (Value operand : op->getOperands())
    if (!shapes.isKnown(operand))
      return false;
  if (!it->second(shapes, op, results)) {
    for (SymbolicTensor &result : results)
      result.dims.clear();
    return false;
  }
  return true;
}
