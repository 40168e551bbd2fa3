//===- ParameterComposition.cpp - The steps of parameter composition, in numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The mathematics is that of PEFT's get_delta_weight and merge functions; see the ops' descriptions
// for the papers.

#include "graft/Modular/Modular.h"

#include "llvm/ADT/DenseSet.h"

#include <cmath>

using namespace mlir;
using namespace graft::modular;

using ReadParameter = llvm::function_ref<FailureOr<std::vector<double>>(FlatSymbolRefAttr)>;

static RankedTensorType getParameterType(Operation *op, SymbolTableCollection &symbols,
                                         FlatSymbolRefAttr name) {
  auto parameter = symbols.lookupNearestSymbolFrom<ParameterOp>(op, name);
  return parameter ? parameter.getType() : RankedTensorType();
}

/// Checks that `name` is a parameter of the given shape.
static LogicalResult expectShape(Operation *op, SymbolTableCollection &symbols,
                                 StringRef constraint, FlatSymbolRefAttr name,
                                 ArrayRef<int64_t> shape) {
  RankedTensorType type = getParameterType(op, symbols, name);
  if (!type)
    return op->emitOpError() << "(" << constraint << ") expects " << name << " to name a parameter";
  if (type.getShape() == shape)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << "(" << constraint << ") expects " << name << " to have shape (";
  llvm::interleaveComma(shape, error);
  error << "), found " << type;
  return error;
}

static LogicalResult expectElements(Operation *op, SymbolTableCollection &symbols,
                                    StringRef constraint, FlatSymbolRefAttr name,
                                    RankedTensorType result) {
  RankedTensorType type = getParameterType(op, symbols, name);
  if (!type)
    return op->emitOpError() << "(" << constraint << ") expects " << name << " to name a parameter";
  if (!result.hasStaticShape() || type.getNumElements() != result.getNumElements())
    return op->emitOpError() << "(" << constraint << ") expects " << name
                             << " to have as many elements as " << result << ", found " << type;
  return success();
}

//===----------------------------------------------------------------------===//
// low_rank
//===----------------------------------------------------------------------===//

LogicalResult LowRankOp::verifySymbolUses(SymbolTableCollection &symbols) {
  RankedTensorType down = getParameterType(*this, symbols, getDownAttr());
  if (!down)
    return emitOpError() << "(low_rank-C1) expects " << getDownAttr() << " to name a parameter";
  RankedTensorType matrix = getResult().getType();
  if (matrix.getRank() != 2 || down.getRank() != 2)
    return emitOpError() << "(low_rank-C2) expects matrices, found " << matrix << " and " << down;
  int64_t rank = down.getDimSize(0), out = matrix.getDimSize(0), in = matrix.getDimSize(1);
  if (failed(expectShape(*this, symbols, "low_rank-C2", getDownAttr(), {rank, in})) ||
      failed(expectShape(*this, symbols, "low_rank-C2", getUpAttr(), {out, rank})))
    return failure();
  return getMagnitudeAttr() ? expectShape(*this, symbols, "low_rank-C2", getMagnitudeAttr(), {out})
                            : success();
}

bool LowRankOp::replacesParameter() { return bool(getMagnitudeAttr()); }

LogicalResult LowRankOp::evaluate(std::vector<double> &value, ReadParameter read) {
  auto down = read(getDownAttr()), up = read(getUpAttr());
  if (failed(down) || failed(up))
    return failure();
  const int64_t out = getResult().getType().getDimSize(0), in = getResult().getType().getDimSize(1);
  const int64_t rank = in ? int64_t(down->size()) / in : 0;
  const double scale = getScale().convertToDouble();
  for (int64_t o = 0; o < out; ++o)
    for (int64_t r = 0; r < rank; ++r) {
      const double factor = scale * (*up)[o * rank + r];
      for (int64_t i = 0; i < in; ++i)
        value[o * in + i] += factor * (*down)[r * in + i];
    }
  if (!getMagnitudeAttr())
    return success();
  auto magnitude = read(getMagnitudeAttr());
  if (failed(magnitude))
    return failure();
  for (int64_t o = 0; o < out; ++o) {
    double squares = 0;
    for (int64_t i = 0; i < in; ++i)
      squares += value[o * in + i] * value[o * in + i];
    const double factor = (*magnitude)[o] / std::sqrt(squares);
    for (int64_t i = 0; i < in; ++i)
      value[o * in + i] *= factor;
  }
  return success();
}

std::optional<LowRankForm> LowRankOp::getLowRankForm() {
  return LowRankForm{getDownAttr(), getUpAttr(), getScale().convertToDouble(), getMagnitudeAttr()};
}

//===----------------------------------------------------------------------===//
// delta
//===----------------------------------------------------------------------===//

LogicalResult DeltaOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return expectElements(*this, symbols, "delta-C1", getValueAttr(), getResult().getType());
}

bool DeltaOp::replacesParameter() { return false; }

LogicalResult DeltaOp::evaluate(std::vector<double> &value, ReadParameter read) {
  auto delta = read(getValueAttr());
  if (failed(delta))
    return failure();
  for (auto [element, change] : llvm::zip_equal(value, *delta))
    element += getScale().convertToDouble() * change;
  return success();
}

std::optional<LowRankForm> DeltaOp::getLowRankForm() { return std::nullopt; }

//===----------------------------------------------------------------------===//
// replace
//===----------------------------------------------------------------------===//

LogicalResult ReplaceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return expectElements(*this, symbols, "replace-C1", getValueAttr(), getResult().getType());
}

bool ReplaceOp::replacesParameter() { return true; }

LogicalResult ReplaceOp::evaluate(std::vector<double> &value, ReadParameter read) {
  auto replacement = read(getValueAttr());
  if (failed(replacement))
    return failure();
  value = std::move(*replacement);
  return success();
}

std::optional<LowRankForm> ReplaceOp::getLowRankForm() { return std::nullopt; }

//===----------------------------------------------------------------------===//
// replace_columns
//===----------------------------------------------------------------------===//

LogicalResult ReplaceColumnsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  RankedTensorType matrix = getResult().getType();
  if (matrix.getRank() != 2)
    return emitOpError() << "(replace_columns-C1) expects a matrix, found " << matrix;
  llvm::DenseSet<int64_t> seen;
  for (int64_t index : getIndices())
    if (index < 0 || index >= matrix.getDimSize(1) || !seen.insert(index).second)
      return emitOpError() << "(replace_columns-C2) expects distinct indices below "
                           << matrix.getDimSize(1) << ", found " << index;
  return expectShape(*this, symbols, "replace_columns-C1", getValuesAttr(),
                     {int64_t(getIndices().size()), matrix.getDimSize(0)});
}

bool ReplaceColumnsOp::replacesParameter() { return true; }

LogicalResult ReplaceColumnsOp::evaluate(std::vector<double> &value, ReadParameter read) {
  auto rows = read(getValuesAttr());
  if (failed(rows))
    return failure();
  const int64_t out = getResult().getType().getDimSize(0), in = getResult().getType().getDimSize(1);
  for (auto [row, column] : llvm::enumerate(getIndices()))
    for (int64_t o = 0; o < out; ++o)
      value[o * in + column] = (*rows)[row * out + o];
  return success();
}

std::optional<LowRankForm> ReplaceColumnsOp::getLowRankForm() { return std::nullopt; }
