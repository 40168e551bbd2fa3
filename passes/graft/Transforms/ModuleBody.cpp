//===- ModuleBody.cpp - The part of a graph that belongs to one module -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/ModuleBody.h"

#include "graft/Analysis/RowIndependence.h"
#include "graft/Transforms/OnnxPasses.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace graft;
using namespace graft::raise;

/// The symbol of the number of rows: none of a model's.
static constexpr StringLiteral kRows = "rows.of.module";

static bool isLess(const std::tuple<Value, int64_t, int64_t, int64_t, bool> &a,
                   const std::tuple<Value, int64_t, int64_t, int64_t, bool> &b) {
  auto order = [](auto &key) {
    return std::tuple(std::get<0>(key).getAsOpaquePointer(), std::get<1>(key), std::get<2>(key),
                      std::get<3>(key), std::get<4>(key));
  };
  return order(a) < order(b);
}

ModuleBody::ModuleBody(SymbolicShapes &shapes, Location loc, const Polynomial &rows)
    : shapes(shapes), rows(rows),
      function(func::FuncOp::create(loc, "module", FunctionType::get(loc.getContext(), {}, {}))),
      b(loc, loc.getContext()), parts(isLess) {
  function->addEntryBlock();
  b.setInsertionPointToEnd(&function->getBody().front());
}

//===----------------------------------------------------------------------===//
// Types and sizes
//===----------------------------------------------------------------------===//

ModuleBody::Dims ModuleBody::dimsOf(Value value, std::optional<Part> part) const {
  Dims dims = shapes.get(value).dims;
  if (!part)
    return dims;
  if (part->drops)
    dims.erase(dims.begin() + part->axis);
  else
    dims[part->axis] = part->size;
  return dims;
}

/// The sizes that are the same for any number of rows.
RankedTensorType ModuleBody::typeOf(Value value, std::optional<Part> part) const {
  SmallVector<int64_t> shape;
  for (const Polynomial &dim : dimsOf(value, part)) {
    auto constant = dim.asConstant();
    shape.push_back(constant && dim != rows ? *constant : ShapedType::kDynamic);
  }
  return RankedTensorType::get(shape, getElementTypeOrSelf(value.getType()));
}

Operation *ModuleBody::emit(Operation *op, ValueRange operands, std::optional<Part> part) {
  Operation *clone = b.clone(*op);
  clone->setOperands(operands);
  for (auto [from, to] : llvm::zip(op->getResults(), clone->getResults()))
    to.setType(typeOf(from, part));
  return clone;
}

Value ModuleBody::sizes(ArrayRef<Polynomial> wanted) {
  SmallVector<Value> pieces;
  for (const Polynomial &size : wanted) {
    Value piece;
    for (auto [input, argument] : llvm::zip(inputs, function->getArguments())) {
      const Dims dims = dimsOf(input);
      for (int64_t d = 0; d < int64_t(dims.size()) && !piece; ++d)
        if (dims[d] == size && (d == 0 || !size.asConstant()))
          piece = onnx::ShapeOp::create(b, RankedTensorType::get({1}, b.getI64Type()), argument,
                                        b.getI64IntegerAttr(d + 1), b.getI64IntegerAttr(d));
    }
    auto constant = size.asConstant();
    if (!piece && !constant)
      return {};
    pieces.push_back(piece ? piece : b.integers(*constant));
  }
  return onnx::ConcatOp::create(b, RankedTensorType::get({int64_t(wanted.size())}, b.getI64Type()),
                                pieces, int64_t(0));
}

Value ModuleBody::reshape(Value x, ArrayRef<Polynomial> from, ArrayRef<Polynomial> to,
                          RankedTensorType type) {
  if (from == to)
    return x;
  // Sizes that stay where they are, and one that follows from the others.
  SmallVector<int64_t> constants;
  unsigned unknown = 0;
  for (auto [i, size] : llvm::enumerate(to)) {
    auto constant = size.asConstant();
    const bool stays = i < from.size() && from[i] == size && (!constant || i == 0);
    if (!stays && !constant)
      ++unknown;
    constants.push_back(stays ? 0 : constant ? *constant : -1);
  }
  Value shape = unknown <= 1 ? b.integers(constants) : sizes(to);
  return shape ? Value(onnx::ReshapeOp::create(b, type, x, shape)) : Value();
}

std::optional<SmallVector<int64_t>> ModuleBody::integers(Value value) {
  return value && shapes.isKnown(value) ? shapes.constantElements(value) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Whole values
//===----------------------------------------------------------------------===//

Value ModuleBody::argument(Value value) {
  if (Value known = whole.lookup(value))
    return known;
  const Dims dims = dimsOf(value);
  SmallVector<Attribute> texts{b.getStringAttr(kRows)};
  for (const Polynomial &dim : ArrayRef(dims).drop_front())
    texts.push_back(b.getStringAttr(dim.str()));
  RankedTensorType type = typeOf(value, std::nullopt);
  SmallVector<int64_t> shape(type.getShape());
  shape.front() = ShapedType::kDynamic;
  const unsigned number = inputs.size();
  (void)function->insertArgument(number, type.clone(shape), DictionaryAttr(), value.getLoc());
  function->setArgAttr(number, "modular.dims", b.getArrayAttr(texts));
  inputs.push_back(value);
  return whole[value] = function->getArgument(number);
}

void ModuleBody::own(Value branch, int64_t uses) {
  Operation *first = branch.getDefiningOp();
  if (!first || std::distance(first->use_begin(), first->use_end()) != uses)
    return;
  owned.insert(first);
  SmallVector<Operation *> order{first};
  for (bool grew = true; grew;) {
    grew = false;
    for (size_t i = 0; i < order.size(); ++i)
      for (Value operand : order[i]->getOperands()) {
        Operation *producer = operand.getDefiningOp();
        if (producer && producer->getNumRegions() == 0 && !owned.contains(producer) &&
            llvm::all_of(producer->getUsers(),
                         [&](Operation *user) { return owned.contains(user); })) {
          owned.insert(producer);
          order.push_back(producer);
          grew = true;
        }
      }
  }
}

Value ModuleBody::clone(Value value) {
  if (Value known = whole.lookup(value))
    return known;
  if (isParameter(value))
    return cloneParameter(b, value, parameters);
  if (!shapes.isKnown(value) || !isa<RankedTensorType>(value.getType()))
    return {};
  const SymbolicTensor &known = shapes.get(value);
  Operation *op = value.getDefiningOp();
  // What only computes shapes.
  if (known.elements && known.rank() == 1)
    if (Value elements = sizes(*known.elements))
      return whole[value] = elements;
  if (!op || op->getNumRegions() != 0 ||
      (!owned.contains(op) && known.rank() > 0 && known.dims.front() == rows && !known.elements)) {
    const bool isInput = known.rank() > 0 && known.dims.front() == rows;
    return isInput ? argument(value) : Value();
  }
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(clone(operand));
    if (!operands.back())
      return {};
  }
  if (auto einsum = dyn_cast<onnx::EinsumOp>(op)) {
    auto equation = EinsumEquation::of(einsum, shapes);
    return equation ? whole[value] = emitEinsum(einsum, operands, *equation, std::nullopt)
                    : Value();
  }
  Operation *copy = emit(op, operands, std::nullopt);
  for (auto [from, to] : llvm::zip(op->getResults(), copy->getResults()))
    whole[from] = to;
  return whole.lookup(value);
}

//===----------------------------------------------------------------------===//
// The whole body
//===----------------------------------------------------------------------===//

bool ModuleBody::finish(Value result) {
  func::ReturnOp::create(b, result);
  setType();
  return inputs.size() > 0 && bool(RowIndependence(*function));
}

SmallVector<Attribute> ModuleBody::getParameters() {
  SmallVector<Attribute> found;
  for (Operation &op : function->getBody().front().without_terminator())
    if (isParameter(op.getResult(0)))
      if (auto type = raise::typeOf(op.getResult(0));
          type && isa<FloatType>(type.getElementType()) && type.getNumElements() > 1)
        if (!llvm::is_contained(found, op.getAttrDictionary()))
          found.push_back(op.getAttrDictionary());
  return found;
}

bool ModuleBody::hasConvolution() {
  return llvm::any_of(function->getBody().front(),
                      [](Operation &op) { return isa<onnx::ConvOp, onnx::ConvTransposeOp>(op); });
}

bool ModuleBody::readsRows() {
  return llvm::any_of(function->getArguments(), [](BlockArgument argument) {
    return llvm::any_of(argument.getUsers(),
                        [](Operation *user) { return !isa<onnx::ShapeOp>(user); });
  });
}

/// Whether an op gives the same for all rows: a parameter, what adapts it, or sizes.
static bool isOfNoRow(Operation &op) {
  return isParameter(op.getResult(0)) || isa<modular::RouteOp>(op) ||
         (isa<onnx::ShapeOp, onnx::ConcatOp>(op) &&
          getElementTypeOrSelf(op.getResult(0).getType()).isInteger(64));
}

bool ModuleBody::isOfVectors() {
  SymbolicShapes known(*function);
  auto leading = [&](Value value) { return ArrayRef(known.get(value).dims).drop_back(); };
  const Polynomial vectors = product(leading(function->getArgument(0)));
  auto hasVectors = [&](Value value) {
    return known.get(value).rank() >= 2 && product(leading(value)) == vectors &&
           known.get(value).dims.back().asConstant();
  };
  for (Operation &op : function->getBody().front().without_terminator()) {
    if (isOfNoRow(op))
      continue;
    if (!llvm::all_of(op.getResults(), hasVectors))
      return false;
    if (isa<onnx::ReshapeOp>(op)) {
      // Only the vectors' places change.
      Value from = op.getOperand(0);
      if (!hasVectors(from) ||
          known.get(from).dims.back() != known.get(op.getResult(0)).dims.back())
        return false;
      continue;
    }
    if (!actsOnVectors(&op))
      return false;
    for (Value operand : op.getOperands())
      if (!isParameter(operand) && leading(operand) != leading(op.getResult(0)))
        return false;
  }
  return llvm::all_of(function->getArguments(), hasVectors);
}

void ModuleBody::flatten() {
  Block &body = function->getBody().front();
  auto asMatrix = [](Value value) {
    auto type = raise::typeOf(value);
    value.setType(RankedTensorType::get({ShapedType::kDynamic, type.getShape().back()},
                                        type.getElementType()));
  };
  for (BlockArgument argument : function->getArguments()) {
    asMatrix(argument);
    const int64_t width = raise::typeOf(argument).getShape().back();
    function->setArgAttr(argument.getArgNumber(), "modular.dims",
                         b.getArrayAttr({b.getStringAttr(kRows), b.getStringAttr(Twine(width))}));
  }
  for (Operation &op : llvm::make_early_inc_range(body.without_terminator())) {
    if (isOfNoRow(op))
      continue;
    if (isa<onnx::ReshapeOp>(op)) {
      op.getResult(0).replaceAllUsesWith(op.getOperand(0));
      op.erase();
      continue;
    }
    llvm::for_each(op.getResults(), asMatrix);
    if (op.hasAttr("axis"))
      op.setAttr("axis", b.getI64IntegerAttr(-1));
  }
  setType();
}

/// The ops that the result is made with, vector by vector; none if no product is among them.
llvm::SetVector<Operation *> ModuleBody::findTail(const SymbolicShapes &known) {
  Operation *end = function->getBody().front().getTerminator();
  auto leading = [&](Value value) { return ArrayRef(known.get(value).dims).drop_back(); };
  const Value result = end->getOperand(0);
  llvm::SetVector<Operation *> tail;
  bool hasProduct = false;
  // Backwards, so that users come first.
  for (Operation &op : llvm::reverse(end->getBlock()->without_terminator())) {
    if (isParameter(op.getResult(0)) || op.getNumResults() != 1 || !actsOnVectors(&op) ||
        !llvm::all_of(op.getUsers(),
                      [&](Operation *user) { return user == end || tail.contains(user); }) ||
        !llvm::all_of(op.getOperands(), [&](Value operand) {
          return isParameter(operand) || (known.get(operand).rank() == known.get(result).rank() &&
                                          leading(operand) == leading(result));
        }))
      continue;
    tail.insert(&op);
    hasProduct |= isa<onnx::MatMulOp>(op);
  }
  return hasProduct ? tail : llvm::SetVector<Operation *>();
}

void ModuleBody::weigh(Value shares, int64_t number, MixtureBuilder &mixture) {
  Block &body = function->getBody().front();
  Operation *end = body.getTerminator();
  b.setInsertionPoint(end);
  Value all = argument(shares), result = end->getOperand(0);
  auto type = raise::typeOf(all);
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = 1;
  Value weight = onnx::SliceOp::create(b, RankedTensorType::get(shape, type.getElementType()), all,
                                       b.integers(number), b.integers(number + 1),
                                       b.integers(int64_t(shape.size()) - 1), b.integers(1));
  llvm::SetVector<Operation *> tail = findTail(SymbolicShapes(*function));
  if (tail.empty() || dimsOf(shares).size() != unsigned(raise::typeOf(result).getRank()) ||
      llvm::any_of(ArrayRef(dimsOf(shares)).drop_back(),
                   [](const Polynomial &dim) { return dim.isConstant(1); })) {
    end->setOperand(0, b.binary<onnx::MulOp>(result, weight));
    setType();
    return;
  }
  llvm::SetVector<Value> cores;
  for (Operation *op : tail)
    for (Value operand : op->getOperands())
      if (!isParameter(operand) && !tail.contains(operand.getDefiningOp()))
        cores.insert(operand);
  SmallVector<Value> vectors = llvm::map_to_vector(cores, [&](Value v) { return b.rowsOf(v); });
  FlatSymbolRefAttr symbol =
      mixture.addInner(vectors, [&](onnx::GraphBuilder &inner, ValueRange v) {
        IRMapping mapping;
        mapping.map(cores.getArrayRef(), v);
        for (Operation *op : llvm::reverse(tail)) {
          for (Value operand : op->getOperands())
            if (isParameter(operand))
              cloneParameter(inner, operand, mapping);
          Operation *copy = inner.clone(*op, mapping);
          auto of = raise::typeOf(copy->getResult(0));
          copy->getResult(0).setType(RankedTensorType::get(
              {ShapedType::kDynamic, of.getShape().back()}, of.getElementType()));
          if (copy->hasAttr("axis"))
            copy->setAttr("axis", b.getI64IntegerAttr(-1));
        }
        return mapping.lookup(result);
      });
  auto [chosen, weights] = takeWeighed(b, b.rowsOf(weight));
  auto part = RankedTensorType::get({ShapedType::kDynamic, raise::typeOf(result).getShape().back()},
                                    type.getElementType());
  Value route =
      modular::RouteOfOp::create(b, modular::RouteType::get(b.getContext(), 1, 1), chosen, weights);
  Value parts = modular::ApplyOp::create(b, modular::PartsType::get(b.getContext(), part), route,
                                         vectors, b.getArrayAttr(symbol), /*bodiesCount=*/0u);
  Value sum = modular::AggregateOp::create(b, part, modular::Aggregation::WeightedSum, parts);
  end->setOperand(0, b.vectorsLike(sum, cores.front()));
  setType();
}

/// The function's type follows from its block, and the types in it from the arguments'.
void ModuleBody::setType() {
  Block &body = function->getBody().front();
  function->setType(FunctionType::get(b.getContext(), body.getArgumentTypes(),
                                      body.getTerminator()->getOperandTypes()));
  inferShapes(*function);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (isOpTriviallyDead(&op))
      op.erase();
}
