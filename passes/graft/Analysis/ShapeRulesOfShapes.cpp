//===- ShapeRulesOfShapes.cpp - The shapes of ops that arrange elements -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/ShapeRules.h"
#include "graft/Analysis/Windows.h"

#include "mlir/IR/Matchers.h"

#include <cmath>

using namespace mlir;
using namespace graft;
using namespace graft::rules;

static bool shape(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto shape = cast<onnx::ShapeOp>(op);
  int64_t rank = dimsOf(shapes, op, 0).size();
  auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  int64_t start = clamp(shape.getStart()), end = clamp(shape.getEnd().value_or(rank));
  results[0].dims = {std::max<int64_t>(end - start, 0)};
  return true;
}

static bool scalar(SymbolicShapes &, Operation *, Results &results) {
  results[0].dims.clear();
  return true;
}

static bool reshape(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto reshape = cast<onnx::ReshapeOp>(op);
  auto wanted = shapes.elements(reshape.getShape());
  if (!wanted)
    return false;
  const Dims &data = dimsOf(shapes, op, 0);
  // 0 keeps the dimension, -1 takes what is left; either may be known at run time only.
  Dims known;
  Polynomial others(1);
  std::optional<size_t> inferred;
  for (auto [i, want] : llvm::enumerate(*wanted)) {
    Polynomial dim = want;
    // An element that is a dimension itself is 0 only where there is nothing to reshape.
    bool maySayKeep = dim.isConstant(0) || (!dim.asConstant() && !dim.isNonNegative());
    if (!reshape.getAllowzero() && i < data.size() && maySayKeep)
      dim = Polynomial::select(Polynomial::equal(dim, 0), data[i], dim);
    if (dim.isConstant(-1))
      inferred = i;
    else
      others = others *
               (dim.asConstant() ? dim : Polynomial::select(Polynomial::equal(dim, -1), 1, dim));
    known.push_back(dim);
  }
  Polynomial total = product(data);
  for (auto [i, dim] : llvm::enumerate(known)) {
    if (inferred == i)
      dim = Polynomial::floorDiv(total, others);
    else if (!inferred && !dim.asConstant())
      dim =
          Polynomial::select(Polynomial::equal(dim, -1), Polynomial::floorDiv(total, others), dim);
  }
  results[0].dims = known;
  return true;
}

static bool flatten(SymbolicShapes &shapes, Operation *op, Results &results) {
  ArrayRef<Polynomial> data = dimsOf(shapes, op, 0);
  int64_t axis = cast<onnx::FlattenOp>(op).getAxis();
  if (axis < 0)
    axis += data.size();
  if (axis < 0 || axis > int64_t(data.size()))
    return false;
  results[0].dims = {product(data.take_front(axis)), product(data.drop_front(axis))};
  return true;
}

static bool squeeze(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &data = dimsOf(shapes, op, 0);
  SmallVector<bool> gone(data.size(), false);
  if (op->getNumOperands() > 1) {
    auto axes = shapes.constantElements(op->getOperand(1));
    if (!axes)
      return false;
    auto named = marked(*axes, data.size());
    if (!named)
      return false;
    gone = std::move(*named);
  } else {
    for (auto [i, dim] : llvm::enumerate(data))
      gone[i] = dim.isConstant(1);
  }
  results[0].dims.clear();
  for (auto [i, dim] : llvm::enumerate(data))
    if (!gone[i])
      results[0].dims.push_back(dim);
  return true;
}

static bool unsqueeze(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &data = dimsOf(shapes, op, 0);
  auto axes = shapes.constantElements(op->getOperand(1));
  if (!axes)
    return false;
  int64_t rank = data.size() + axes->size();
  SmallVector<bool> isNew(rank, false);
  for (int64_t axis : *axes) {
    auto position = normalize(axis, rank);
    if (!position || isNew[*position])
      return false;
    isNew[*position] = true;
  }
  size_t next = 0;
  for (int64_t i = 0; i < rank; ++i)
    results[0].dims.push_back(isNew[i] ? Polynomial(1) : data[next++]);
  return true;
}

static bool transpose(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &data = dimsOf(shapes, op, 0);
  ArrayAttr perm = cast<onnx::TransposeOp>(op).getPermAttr();
  if (perm && perm.size() != data.size())
    return false;
  for (size_t i = 0; i < data.size(); ++i) {
    auto from = perm ? normalize(cast<IntegerAttr>(perm[i]).getInt(), data.size())
                     : std::optional<int64_t>(data.size() - 1 - i);
    if (!from)
      return false;
    results[0].dims.push_back(data[*from]);
  }
  return true;
}

static bool expand(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto wanted = shapes.elements(op->getOperand(1));
  if (!wanted)
    return false;
  results[0].dims = broadcastDims(dimsOf(shapes, op, 0), *wanted);
  return true;
}

static bool tile(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto repeats = shapes.elements(op->getOperand(1));
  const Dims &data = dimsOf(shapes, op, 0);
  if (!repeats || repeats->size() != data.size())
    return false;
  for (size_t i = 0; i < data.size(); ++i)
    results[0].dims.push_back(data[i] * (*repeats)[i]);
  return true;
}

static bool concat(SymbolicShapes &shapes, Operation *op, Results &results) {
  Dims dims = dimsOf(shapes, op, 0);
  auto axis = normalize(cast<onnx::ConcatOp>(op).getAxis(), dims.size());
  if (!axis)
    return false;
  for (unsigned i = 1; i < op->getNumOperands(); ++i) {
    const Dims &next = dimsOf(shapes, op, i);
    if (next.size() != dims.size())
      return false;
    for (size_t d = 0; d < dims.size(); ++d) {
      if (int64_t(d) == *axis)
        dims[d] = dims[d] + next[d];
      else if (next[d].asConstant())
        dims[d] = next[d]; // equal, or the run fails; a constant says more
    }
  }
  results[0].dims = dims;
  return true;
}

static bool split(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto split = cast<onnx::SplitOp>(op);
  Dims dims = dimsOf(shapes, op, 0);
  auto axis = normalize(split.getAxis(), dims.size());
  if (!axis)
    return false;
  std::optional<SmallVector<Polynomial>> sizes;
  if (split.getSplit()) {
    sizes = shapes.elements(split.getSplit());
    if (!sizes || sizes->size() != results.size())
      return false;
  }
  Polynomial whole = dims[*axis], count(int64_t(results.size()));
  for (auto [i, result] : llvm::enumerate(results)) {
    Polynomial part = Polynomial::ceilDiv(whole, count);
    if (sizes)
      part = (*sizes)[i];
    else if (Polynomial::mod(whole, count) != 0)
      part = Polynomial::max(Polynomial::min(part, whole - Polynomial(i) * part), 0);
    result.dims = dims;
    result.dims[*axis] = part;
  }
  return true;
}

static bool slice(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto slice = cast<onnx::SliceOp>(op);
  Dims dims = dimsOf(shapes, op, 0);
  auto starts = shapes.elements(slice.getStarts()), ends = shapes.elements(slice.getEnds());
  if (!starts || !ends || starts->size() != ends->size())
    return false;
  std::optional<SmallVector<int64_t>> axes;
  std::optional<SmallVector<Polynomial>> steps;
  if (slice.getAxes() && !(axes = shapes.constantElements(slice.getAxes())))
    return false;
  if (slice.getSteps() && !(steps = shapes.elements(slice.getSteps())))
    return false;
  for (size_t i = 0; i < starts->size(); ++i) {
    auto axis = normalize(axes && i < axes->size() ? (*axes)[i] : i, dims.size());
    if (!axis)
      return false;
    Polynomial step = steps && i < steps->size() ? (*steps)[i] : Polynomial(1);
    dims[*axis] = sliceBounds(dims[*axis], (*starts)[i], (*ends)[i], step).length;
  }
  results[0].dims = dims;
  return true;
}

static bool pad(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto pad = cast<onnx::PadOp>(op);
  Dims dims = dimsOf(shapes, op, 0);
  auto pads = shapes.elements(pad.getPads());
  SmallVector<int64_t> axes(llvm::to_vector(llvm::seq<int64_t>(0, dims.size())));
  if (pad.getAxes()) {
    auto given = shapes.constantElements(pad.getAxes());
    if (!given)
      return false;
    axes = *given;
  }
  if (!pads || pads->size() != 2 * axes.size())
    return false;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    auto position = normalize(axis, dims.size());
    if (!position)
      return false;
    dims[*position] = dims[*position] + (*pads)[i] + (*pads)[axes.size() + i];
  }
  results[0].dims = dims;
  return true;
}

static bool depthToSpace(SymbolicShapes &shapes, Operation *op, Results &results) {
  const Dims &x = dimsOf(shapes, op, 0);
  Polynomial block(op->getAttrOfType<IntegerAttr>("blocksize").getInt());
  if (x.size() != 4)
    return false;
  if (isa<onnx::DepthToSpaceOp>(op))
    results[0].dims = {x[0], Polynomial::floorDiv(x[1], block * block), x[2] * block, x[3] * block};
  else
    results[0].dims = {x[0], x[1] * block * block, Polynomial::floorDiv(x[2], block),
                       Polynomial::floorDiv(x[3], block)};
  return true;
}

/// floor(dim * scale) for a scale that is a simple fraction, as those of models are.
static std::optional<Polynomial> scaled(const Polynomial &dim, double scale) {
  for (int64_t denominator = 1; denominator <= 64; ++denominator) {
    double numerator = scale * double(denominator), whole = std::round(numerator);
    if (whole > 0 && whole < 1e9 && std::abs(numerator - whole) < 1e-6 * whole)
      return Polynomial::floorDiv(dim * Polynomial(int64_t(whole)), denominator);
  }
  if (auto constant = dim.asConstant())
    return Polynomial(int64_t(std::floor(double(*constant) * scale)));
  return std::nullopt;
}

static bool resize(SymbolicShapes &shapes, Operation *op, Results &results) {
  auto resize = cast<onnx::ResizeOp>(op);
  Dims dims = dimsOf(shapes, op, 0);
  SmallVector<int64_t> axes = integers(resize.getAxesAttr(), 0, 0);
  if (axes.empty())
    axes = llvm::to_vector(llvm::seq<int64_t>(0, dims.size()));
  std::optional<SmallVector<Polynomial>> sizes;
  SmallVector<double> scales;
  if (resize.getSizes()) {
    sizes = shapes.elements(resize.getSizes());
    if (!sizes || sizes->size() != axes.size() || resize.getKeepAspectRatioPolicy() != "stretch")
      return false;
  } else {
    DenseFPElementsAttr values;
    if (!resize.getScales() || !matchPattern(resize.getScales(), m_Constant(&values)) ||
        values.getNumElements() != int64_t(axes.size()))
      return false;
    for (const APFloat &value : values.getValues<APFloat>())
      scales.push_back(value.convertToDouble());
  }
  for (auto [i, axis] : llvm::enumerate(axes)) {
    auto position = normalize(axis, dims.size());
    if (!position)
      return false;
    if (sizes) {
      dims[*position] = (*sizes)[i];
    } else {
      auto dim = scaled(dims[*position], scales[i]);
      if (!dim)
        return false;
      dims[*position] = *dim;
    }
  }
  results[0].dims = dims;
  return true;
}

void graft::rules::addRulesOfShapes(llvm::StringMap<Rule> &table) {
  table["onnx.Shape"] = shape;
  table["onnx.Size"] = scalar;
  table["onnx.Reshape"] = reshape;
  table["onnx.Flatten"] = flatten;
  table["onnx.Squeeze"] = squeeze;
  table["onnx.Unsqueeze"] = unsqueeze;
  table["onnx.Transpose"] = transpose;
  table["onnx.Expand"] = expand;
  table["onnx.Tile"] = tile;
  table["onnx.Concat"] = concat;
  table["onnx.Split"] = split;
  table["onnx.Slice"] = slice;
  table["onnx.Pad"] = pad;
  table["onnx.Resize"] = resize;
  table["onnx.DepthToSpace"] = depthToSpace;
  table["onnx.SpaceToDepth"] = depthToSpace;
}
