//===- ConstantRoutes.cpp - Routes that no input decides -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/ConstantRoutes.h"

#include "graft/Modular/Exposure.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft;
using namespace graft::reference;

/// Whether an op that is not elementwise makes each row, of two dimensions, of that row alone.
static bool staysWithinRows(Operation *op) {
  auto isLast = [](int64_t axis) { return axis == 1 || axis == -1; };
  auto isMatrix = [](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && type.getRank() == 2;
  };
  if (!llvm::all_of(op->getResults(), isMatrix))
    return false;
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<onnx::TopKOp, onnx::SoftmaxOp, onnx::GatherElementsOp, onnx::ScatterElementsOp>(
          [&](auto each) { return isMatrix(each->getOperand(0)) && isLast(each.getAxis()); })
      .Case([&](onnx::ReduceSumOp sum) {
        auto axes = sum.getAxes() ? sum.getAxes().getDefiningOp<onnx::ConstantOp>() : nullptr;
        auto values = axes ? dyn_cast<DenseIntElementsAttr>(axes.getValue()) : nullptr;
        return values && isMatrix(sum.getData()) && values.getNumElements() == 1 &&
               isLast((*values.begin()).getSExtValue());
      })
      .Default(false);
}

ConstantRows::Kind ConstantRows::repeat(Value result, Value row) {
  auto type = dyn_cast<RankedTensorType>(result.getType());
  const Tensor &tensor = *at.lookup(row);
  const int64_t rank = tensor.rank();
  if (!type || type.getRank() != 2 || type.isDynamicDim(1) || rank > 2 ||
      (rank == 2 && tensor.shape[0] != 1))
    return Kind::Unknown;
  const int64_t columns = type.getDimSize(1);
  std::vector<double> values(tensor.values());
  if (values.size() == 1)
    values.assign(size_t(columns), values.front());
  if (int64_t(values.size()) != columns)
    return Kind::Unknown;
  at.set(result, Tensor(tensor.kind, {1, columns}, std::move(values)));
  return Kind::Row;
}

ConstantRows::Kind ConstantRows::evaluate(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    std::optional<Tensor> tensor = read(argument);
    if (!tensor)
      return Kind::Unknown;
    at.set(value, std::move(*tensor));
    return Kind::Constant;
  }
  Operation *op = value.getDefiningOp();
  if (op->getNumRegions() != 0)
    return Kind::Unknown;
  if (auto expose = dyn_cast<modular::ExposeOp>(op)) {
    Value shown = op->getOperand(cast<OpResult>(value).getResultNumber());
    if (Kind kind = visit(shown); kind != Kind::Row)
      return kind == Kind::Constant ? repeat(value, shown) : kind;
    at.set(value, *at.lookup(shown));
    return Kind::Row;
  }
  // How often something is repeated is all that the number of rows may decide.
  if (auto expand = dyn_cast<onnx::ExpandOp>(op); expand &&
                                                  visit(expand.getInput()) == Kind::Constant &&
                                                  visit(expand.getShape()) == Kind::Unknown)
    return repeat(value, expand.getInput());
  Kind kind = Kind::Constant;
  for (Value operand : op->getOperands()) {
    if (!operand)
      continue;
    Kind of = visit(operand);
    if (of == Kind::Unknown)
      return of;
    if (of == Kind::Row)
      kind = Kind::Row;
  }
  if (kind == Kind::Constant || staysWithinRows(op))
    return at.get(value) ? kind : Kind::Unknown;
  return evaluateElementwise(at, op).value_or(false) ? kind : Kind::Unknown;
}

ConstantRows::Kind ConstantRows::visit(Value value) {
  auto [entry, isNew] = kinds.try_emplace(value, Kind::Unknown);
  if (!isNew)
    return entry->second;
  Kind kind = evaluate(value);
  return kinds[value] = kind;
}

/// The elements of a row that all rows equal; nothing if they don't.
static std::optional<ArrayRef<double>> rowOf(const Tensor &tensor) {
  if (tensor.rank() != 2 || tensor.shape[0] == 0)
    return std::nullopt;
  ArrayRef<double> all = tensor.values(), first = all.take_front(tensor.shape[1]);
  for (int64_t row = 1; row < tensor.shape[0]; ++row)
    if (all.slice(row * tensor.shape[1], tensor.shape[1]) != first)
      return std::nullopt;
  return first;
}

std::optional<ConstantRoute> ConstantRows::get(Value chosen, Value weights, int64_t modules) {
  if (visit(chosen) == Kind::Unknown || visit(weights) == Kind::Unknown)
    return std::nullopt;
  auto numbers = rowOf(*at.lookup(chosen)), factors = rowOf(*at.lookup(weights));
  if (!numbers || !factors || numbers->size() != factors->size())
    return std::nullopt;
  ConstantRoute route;
  for (auto [number, factor] : llvm::zip(*numbers, *factors)) {
    const bool isFilled = number >= 0 && number < double(modules);
    route.chosen.push_back(isFilled ? int64_t(number) : -1);
    route.weights.push_back(factor);
  }
  return route;
}
