//===- LoopBranch.cpp - What one expert of an unrolled loop computes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/LoopBranch.h"

#include "graft/Analysis/Einsum.h"

using namespace mlir;
using namespace graft;
using namespace graft::raise;
using onnx::GraphBuilder;

/// A cast to the type that is there already.
static bool isSameCast(Operation *op) {
  auto cast = dyn_cast_or_null<onnx::CastOp>(op);
  return cast &&
         getElementTypeOrSelf(cast.getInput().getType()) == getElementTypeOrSelf(cast.getType());
}

static bool isReshape(Operation *op) {
  return isa_and_nonnull<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::FlattenOp,
                         onnx::IdentityOp>(op) ||
         isSameCast(op);
}

Value graft::raise::peel(Value value) {
  for (;;) {
    Operation *op = value.getDefiningOp();
    // What is cut from the beginning of all dimensions is all, or the comparison shows it.
    auto slice = dyn_cast_or_null<onnx::SliceOp>(op);
    auto starts = slice ? integersOf(slice.getStarts()) : std::nullopt;
    const bool isWhole = starts && typeOf(value) &&
                         int64_t(starts->size()) == typeOf(value).getRank() &&
                         llvm::all_of(*starts, [](int64_t start) { return start == 0; });
    if (!isReshape(op) && !isWhole && !isa_and_nonnull<onnx::ExpandOp>(op))
      return value;
    value = op->getOperand(0);
  }
}

/// x of Gather(x, …), GatherND or GatherElements, or null.
static Value gatheredFrom(Operation *op) {
  return isa_and_nonnull<onnx::GatherOp, onnx::GatherNDOp, onnx::GatherElementsOp>(op)
             ? op->getOperand(0)
             : Value();
}

std::optional<LoopBranch::Part> LoopBranch::partOf(Value value) {
  if (auto known = parts.find(value); known != parts.end())
    return known->second;
  Operation *op = value.getDefiningOp();
  if (!op || !typeOf(value))
    return std::nullopt;
  if (isParameter(value))
    return Part{value, std::nullopt};
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
    auto part = partOf(transpose.getData());
    if (!part || !shapes().isKnown(value) || shapes().get(value).rank() != 2)
      return std::nullopt;
    auto perm = transpose.getPerm();
    if (!perm || cast<IntegerAttr>((*perm)[0]).getInt() == 1)
      part->isTransposed = !part->isTransposed;
    return part;
  }
  if (isReshape(op)) {
    // Dimensions of 1 that a pick or a cut left.
    auto part = partOf(op->getOperand(0));
    if (!part || part->isTransposed || (!part->index && !part->isByNumber) ||
        !shapes().isKnown(value) ||
        int64_t(shapes().get(value).rank()) != typeOf(part->parameter).getRank() - 1)
      return std::nullopt;
    return part;
  }
  // One of a stack, by a number or by data.
  auto gather = dyn_cast<onnx::GatherOp>(op);
  if (!gather || gather.getAxis() != 0 || !gather.getData().getDefiningOp<onnx::ConstantOp>() ||
      !typeOf(gather.getData()) || typeOf(gather.getData()).getRank() < 2 ||
      !isStacked(gather.getData(), typeOf(gather.getData()).getShape()))
    return std::nullopt;
  const int64_t count = typeOf(gather.getData()).getDimSize(0);
  Value index = gather.getIndices();
  if (!shapes().isKnown(index) || shapes().get(index).elementCount() != 1)
    return std::nullopt;
  if (auto constant = shapes().constantElements(index); constant && constant->size() == 1) {
    const int64_t at = constant->front() < 0 ? constant->front() + count : constant->front();
    return at >= 0 && at < count ? std::optional(Part{gather.getData(), at}) : std::nullopt;
  }
  index = peel(index);
  if ((number && number != index) || (experts != 0 && experts != count))
    return std::nullopt;
  number = index;
  experts = count;
  return Part{gather.getData(), std::nullopt, true};
}

/// Whether an op gathers by numbers of dimension 0 alone.
static bool isOfSequences(Operation *op, const SymbolicShapes &shapes) {
  Value by = op->getOperand(1);
  if (auto gather = dyn_cast<onnx::GatherOp>(op))
    return gather.getAxis() == 0 && shapes.isKnown(by) && shapes.get(by).rank() == 1;
  auto gather = dyn_cast<onnx::GatherNDOp>(op);
  return gather && gather.getBatchDims() == 0 && shapes.isKnown(by) && shapes.get(by).rank() == 2 &&
         shapes.get(by).dims.back().isConstant(1);
}

/// The rows that the expert is chosen for.
bool LoopBranch::visitInput(Value value) {
  if (dense) {
    if (value != dense)
      return false;
    input = dense;
    inputs.insert(value);
    return true;
  }
  Value rows = value;
  while (isReshape(rows.getDefiningOp()) || rows.getDefiningOp<onnx::TransposeOp>())
    rows = rows.getDefiningOp()->getOperand(0);
  Value data = gatheredFrom(rows.getDefiningOp());
  if (!data || isParameter(data) || !shapes().isKnown(value))
    return false;
  if (rows == value && shapes().get(value).rank() > 2 && shapes().isKnown(data) &&
      isOfSequences(rows.getDefiningOp(), shapes())) {
    ofSequences = true;
    return setInput(value, data);
  }
  if (shapes().get(value).rank() != 2)
    return false;
  Value source = data;
  for (Value at = data;; at = at.getDefiningOp()->getOperand(0)) {
    if (shapes().isKnown(at) && shapes().get(at).rank() == 2) {
      source = at;
      break;
    }
    if (!isReshape(at.getDefiningOp()) && !at.getDefiningOp<onnx::TransposeOp>())
      break;
  }
  return setInput(value, source);
}

bool LoopBranch::setInput(Value value, Value source) {
  Value rows = value;
  while (!gatheredFrom(rows.getDefiningOp()))
    rows = rows.getDefiningOp()->getOperand(0);
  Value by = rows.getDefiningOp()->getOperand(1);
  if (!typeOf(source) || !shapes().isKnown(source) || shapes().get(source).rank() < 2 ||
      shapes().get(source).dims.back() != shapes().get(value).dims.back() ||
      (input && (input != source || places != by)))
    return false;
  input = source;
  places = by;
  inputs.insert(value);
  return true;
}

std::optional<LoopBranch::Product> LoopBranch::productOf(Operation *op) const {
  if (isa<onnx::MatMulOp>(op))
    return Product{op->getOperand(0), op->getOperand(1), false};
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return Product{gemm.getA(), gemm.getB(), gemm.getTransB() != 0};
  auto einsum = dyn_cast<onnx::EinsumOp>(op);
  auto equation = einsum ? EinsumEquation::of(einsum, shapes()) : std::nullopt;
  auto form = equation ? equation->asProductOfVectors() : std::nullopt;
  if (!form)
    return std::nullopt;
  return Product{op->getOperand(1 - form->matrix), op->getOperand(form->matrix),
                 form->isTransposed};
}

/// Vectors times a matrix.
bool LoopBranch::visitProduct(Operation *op, const Product &product) {
  auto gemm = dyn_cast<onnx::GemmOp>(op);
  auto matrix = partOf(product.matrix);
  const int64_t rank = matrix ? typeOf(matrix->parameter).getRank() : 0;
  if (!matrix || rank != (matrix->index || matrix->isByNumber ? 3 : 2))
    return fail(op);
  parts[product.matrix] = *matrix;
  if (!gemm)
    return visit(product.vectors);
  if (gemm.getTransA() != 0 || !gemm.getAlpha().isExactlyValue(1) ||
      !gemm.getBeta().isExactlyValue(1))
    return fail(op);
  if (Value bias = gemm.getC()) {
    auto vector = partOf(bias);
    if (!vector || !shapes().isKnown(bias) || shapes().get(bias).rank() != 1)
      return fail(op);
    parts[bias] = *vector;
  }
  return visit(gemm.getA());
}

bool LoopBranch::visit(Value value) {
  Operation *op = value.getDefiningOp();
  if (inputs.contains(value) || (op && ops.contains(op)))
    return true;
  if (visitInput(value))
    return true;
  if (!op || !shapes().isKnown(value) || shapes().get(value).rank() < 2 ||
      !shapes().get(value).dims.back().asConstant())
    return fail(op);
  if (isReshape(op) && shapes().get(op->getOperand(0)).dims == shapes().get(value).dims) {
    if (!visit(op->getOperand(0)))
      return false;
  } else if (auto product = productOf(op)) {
    if (!visitProduct(op, *product))
      return false;
  } else if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    auto axes = slice.getAxes() ? shapes().constantElements(slice.getAxes()) : std::nullopt;
    const int64_t last = shapes().get(value).rank() - 1;
    if (!axes || axes->size() != 1 || (axes->front() != last && axes->front() != -1) ||
        !shapes().constantElements(slice.getStarts()) ||
        !shapes().constantElements(slice.getEnds()) ||
        (slice.getSteps() && !shapes().constantElements(slice.getSteps())))
      return fail(op);
    if (!visit(slice.getData()))
      return false;
  } else {
    auto split = dyn_cast<onnx::SplitOp>(op);
    if (split && split.getSplit() && !shapes().constantElements(split.getSplit()))
      return fail(op);
    if (!keepsVectorsApart(op))
      return fail(op);
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      if (split && i == 1)
        continue;
      if (auto part = partOf(operand)) {
        if (!shapes().isKnown(operand) || shapes().get(operand).rank() > 1)
          return fail(op);
        parts[operand] = *part;
      } else if (!visit(operand)) {
        return false;
      }
    }
  }
  ops.insert(op);
  return true;
}

bool LoopBranch::match(Value branch, Value given) {
  dense = given;
  result = branch;
  return visit(branch) && input;
}

RankedTensorType LoopBranch::rowsType(Value value) const {
  SmallVector<int64_t> shape;
  for (const Polynomial &dim : shapes().get(value).dims)
    shape.push_back(shape.empty() ? ShapedType::kDynamic
                                  : dim.asConstant().value_or(ShapedType::kDynamic));
  if (!ofSequences)
    shape = {ShapedType::kDynamic, shape.back()};
  return RankedTensorType::get(shape, getElementTypeOrSelf(value.getType()));
}

Value LoopBranch::buildPart(GraphBuilder &b, const Part &part, int64_t expert,
                            IRMapping &mapping) const {
  return part.isByNumber ? raise::buildPart(b, part.parameter, expert)
         : part.index    ? raise::buildPart(b, part.parameter, *part.index)
                         : cloneParameter(b, part.parameter, mapping);
}

Value LoopBranch::build(GraphBuilder &b, Value rows, int64_t expert) const {
  IRMapping mapping;
  for (Value value : inputs)
    mapping.map(value, rows);
  auto built = [&](Value value) {
    return buildPart(b, parts.find(value)->second, expert, mapping);
  };
  for (Operation *op : ops) {
    if (isReshape(op)) {
      mapping.map(op->getResult(0), mapping.lookup(op->getOperand(0)));
      continue;
    }
    if (auto known = productOf(op)) {
      // x · W, or x · Wᵀ.
      auto gemm = dyn_cast<onnx::GemmOp>(op);
      const Part &part = parts.find(known->matrix)->second;
      const bool isTransposed = part.isTransposed != known->isTransposed;
      Value first = mapping.lookup(known->vectors), matrix = built(known->matrix);
      Value bias = gemm && gemm.getC() ? built(gemm.getC()) : Value();
      auto type = rowsType(op->getResult(0));
      Value product;
      if (!isTransposed && !bias) {
        product = onnx::MatMulOp::create(b, type, first, matrix);
      } else if (ofSequences) {
        product = b.vectorsLike(b.linear(b.rowsOf(first), matrix, bias), first);
      } else {
        auto one = b.getF32FloatAttr(1);
        product = onnx::GemmOp::create(b, type, first, matrix, bias, one, one,
                                       b.getI64IntegerAttr(0), b.getI64IntegerAttr(isTransposed));
      }
      mapping.map(op->getResult(0), product);
      continue;
    }
    for (Value operand : op->getOperands()) {
      if (mapping.contains(operand))
        continue;
      if (parts.contains(operand))
        mapping.map(operand, built(operand));
      else
        mapping.map(operand, b.integers(*shapes().constantElements(operand)));
    }
    Value last = isa<onnx::SliceOp>(op) ? b.integers(-1) : Value();
    Operation *clone = b.clone(*op, mapping);
    for (auto [result, original] : llvm::zip(clone->getResults(), op->getResults()))
      result.setType(rowsType(original));
    if (clone->hasAttr("axis"))
      clone->setAttr("axis", b.getI64IntegerAttr(-1));
    // Along the vectors, which are those of a matrix now.
    if (auto slice = dyn_cast<onnx::SliceOp>(clone))
      slice.getAxesMutable().assign(last);
  }
  return mapping.lookup(result);
}
