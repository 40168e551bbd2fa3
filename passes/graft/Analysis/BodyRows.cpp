//===- BodyRows.cpp - How a module treats the rows that take it -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/BodyRows.h"

#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"

#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace graft;

/// Whether a value from outside of the body is the same for all rows.
static bool isOfParameters(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    return function && function.getArgAttr(argument.getArgNumber(), "modular.slot");
  }
  return isa<onnx::ConstantOp, modular::SiteOp, modular::AdaptOp>(value.getDefiningOp());
}

BodyRows::BodyRows(Region &body, ValueRange inputs, const SymbolicShapes &shapes) {
  Location loc = body.getLoc();
  OpBuilder b(body.getContext());
  SmallVector<Type> types(body.getArgumentTypes());
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(body, captured);
  SmallVector<Value> parameters;
  for (Value value : captured) {
    if (!isOfParameters(value))
      return;
    if (!isa_and_nonnull<onnx::ConstantOp>(value.getDefiningOp())) {
      parameters.push_back(value);
      types.push_back(value.getType());
    }
  }
  function = func::FuncOp::create(loc, "body", b.getFunctionType(types, {}));
  Block *entry = function->addEntryBlock();
  b.setInsertionPointToEnd(entry);
  const unsigned count = body.getNumArguments();
  std::map<Polynomial, std::string> symbols; // of dimensions that are not those of rows
  for (auto [number, argument] : llvm::enumerate(body.getArguments())) {
    mapping.map(argument, entry->getArgument(number));
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || type.getRank() == 0)
      return;
    SmallVector<Attribute> dims{b.getStringAttr("rows")};
    const Value input = inputs[number];
    for (int64_t d = 1; d < type.getRank(); ++d) {
      std::string own = ("d" + Twine(number) + "_" + Twine(d)).str();
      if (shapes.isKnown(input) && shapes.get(input).rank() == unsigned(type.getRank()))
        own = symbols.try_emplace(shapes.get(input).dims[d], own).first->second;
      dims.push_back(b.getStringAttr(own));
    }
    function->setArgAttr(number, "modular.dims", b.getArrayAttr(dims));
  }
  for (auto [number, value] : llvm::enumerate(parameters)) {
    mapping.map(value, entry->getArgument(count + number));
    function->setArgAttr(count + number, "modular.slot", b.getI64IntegerAttr(number));
  }
  for (Value value : captured)
    if (auto constant = value.getDefiningOp<onnx::ConstantOp>())
      b.clone(*constant, mapping);
  for (Operation &op : body.front().without_terminator())
    b.clone(op, mapping);
  SmallVector<Value> results;
  for (Value value : body.front().getTerminator()->getOperands())
    results.push_back(mapping.lookup(value));
  func::ReturnOp::create(b, loc, results);
  rows.emplace(*function);
}

bool BodyRows::isByRow(Value value) const {
  const RowState &state = rows->get(mapping.lookup(value));
  return state.isRows() && !state.isNumber() && state.dim == 0 && state.inner == Polynomial(1);
}
