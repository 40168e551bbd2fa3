//===- Lowering.cpp - From onnx ops to linalg, op by op -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

#include "graft/Dispatch/Dispatch.h"
#include "graft/Fault/Fault.h"
#include "graft/Modular/Exposure.h"
#include "graft/Onnx/Origin.h"

#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

const Table &Table::get() {
  static const Table table = [] {
    Table table;
    addActivations(table);
    addAttention(table);
    addConstants(table);
    addControl(table);
    addConvolution(table);
    addEinsum(table);
    addElementwise(table);
    addIndexing(table);
    addMatmul(table);
    addNormalization(table);
    addPooling(table);
    addRecurrent(table);
    addReduction(table);
    addResize(table);
    addRouting(table);
    addRowTasks(table);
    addScatter(table);
    addShape(table);
    addSoftmax(table);
    addSorting(table);
    return table;
  }();
  return table;
}

static Type signless(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type); integer && !integer.isSignless())
    return IntegerType::get(type.getContext(), integer.getWidth());
  return type;
}

Lowering::Lowering(func::FuncOp function)
    : b(function.getLoc(), function.getContext()), shapes(function), function(function) {}

Type Lowering::element(Value value) const {
  return signless(cast<ShapedType>(value.getType()).getElementType());
}

bool Lowering::isUnsigned(Value value) const {
  if (unsignedArguments.contains(value))
    return true;
  Type type = cast<ShapedType>(value.getType()).getElementType();
  return type.isUnsignedInteger() || type.isInteger(1);
}

bool Lowering::isParameter(Value value) const {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner()->getParentOp() == function &&
           function.getArgAttr(argument.getArgNumber(), "modular.slot");
  return value.getDefiningOp<onnx::ConstantOp>() != nullptr;
}

DenseElementsAttr Lowering::constantOf(Value value) {
  DenseElementsAttr attribute;
  if (auto constant = value.getDefiningOp<onnx::ConstantOp>())
    attribute = dyn_cast<DenseElementsAttr>(constant.getValue());
  return attribute;
}

Tensor Lowering::get(Value value) {
  auto it = lowered.find(value);
  if (it != lowered.end())
    return it->second;
  return Tensor{value, dims(value)};
}

void Lowering::set(Value value, Tensor tensor) {
  RankedTensorType wanted = type(dims(value), element(value));
  if (tensor.value.getType() != wanted)
    tensor.value = tensor::CastOp::create(b, wanted, tensor.value);
  tensor.dims = dims(value);
  lowered[value] = std::move(tensor);
}

//===----------------------------------------------------------------------===//
// Driving
//===----------------------------------------------------------------------===//

void Lowering::seedArguments() {
  for (BlockArgument argument : function.getArguments()) {
    auto tensorType = dyn_cast<RankedTensorType>(argument.getType());
    if (!tensorType)
      continue;
    if (tensorType.getElementType().isUnsignedInteger())
      unsignedArguments.insert(argument);
    argument.setType(tensorType.clone(signless(tensorType.getElementType())));
    set(argument, Tensor{argument, dims(argument)});
  }
}

LogicalResult Lowering::run() {
  Block &entry = function.getBody().front();
  b.setInsertionPointToStart(&entry);
  entryEnd = arith::ConstantIndexOp::create(b, 0);
  b.setInsertionPoint(entryEnd); // casts of arguments are what index values are computed from
  seedArguments();
  if (failed(lowerBlock(entry)))
    return failure();
  return finish();
}

LogicalResult Lowering::lowerBlock(Block &block) {
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    if (isa_and_nonnull<onnx::OnnxDialect>(op.getDialect()) ||
        isa<func::ReturnOp, modular::AggregateOp, modular::CollectOp, modular::ExposeOp,
            modular::RowProductOp>(op))
      ops.push_back(&op);
  for (Operation *op : ops) {
    if (op->hasTrait<OpTrait::IsTerminator>())
      continue;
    // An op whose results were made by an earlier lowering, such as a transpose that attention
    // absorbs.
    if (op->getNumResults() != 0 &&
        llvm::all_of(op->getResults(), [&](Value v) { return isLowered(v); }))
      continue;
    if (op->use_empty() && isMemoryEffectFree(op))
      continue;
    if (failed(lower(op)))
      return failure();
  }
  return success();
}

LogicalResult Lowering::lower(Operation *op) {
  if (op->getBlock()->getParentOp() == function)
    b.setInsertionPoint(op);
  b.setLoc(op->getLoc());
  current = op;
  for (Value operand : op->getOperands())
    if (!isa<ShapedType, modular::PartsType>(operand.getType()) || !shapes.isKnown(operand))
      return unsupported(op, "an operand whose rank is not known");
  for (Value result : op->getResults())
    if (!isa<ShapedType>(result.getType()) || !shapes.isKnown(result))
      return unsupported(op, "a result whose rank is not known");
  // What only computes shapes: the elements are known as polynomials.
  if (op->getNumResults() == 1) {
    Value result = op->getResult(0);
    const SymbolicTensor &known = shapes.get(result);
    auto isOwn = [&](const Polynomial &element) {
      return llvm::any_of(element.symbols(), [&](const std::string &symbol) {
        const SymbolicShapes::Source *source = shapes.lookup(symbol);
        return source && source->value == result;
      });
    };
    if (known.elements && !op->hasTrait<OpTrait::ConstantLike>() &&
        llvm::none_of(*known.elements, isOwn)) {
      set(result, fromIndices(*known.elements, known.dims, element(result)));
      return success();
    }
  }
  const auto *entry = Table::get().lookup(op->getName().getStringRef());
  if (!entry)
    return unsupported(op, "it has no lowering");
  return (*entry)(*this, op);
}

/// Erases what has no use, users first.
static void eraseDead(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (isOpTriviallyDead(&op)) {
      op.erase();
      continue;
    }
    for (Region &region : op.getRegions())
      for (Block &nested : region)
        eraseDead(nested);
  }
}

LogicalResult Lowering::finish() {
  auto terminator = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  b.setInsertionPoint(terminator);
  b.setLoc(terminator.getLoc());
  Builder attributes(function.getContext());
  for (OpOperand &operand : terminator->getOpOperands()) {
    if (!isa<ShapedType>(operand.get().getType()))
      continue;
    SmallVector<Attribute> texts;
    for (const Polynomial &dim : dims(operand.get()))
      texts.push_back(attributes.getStringAttr(dim.str()));
    function.setResultAttr(operand.getOperandNumber(), "modular.dims",
                           attributes.getArrayAttr(texts));
    operand.set(get(operand.get()).value);
  }
  SmallVector<Type> arguments(function.getBody().front().getArgumentTypes());
  function.setType(
      FunctionType::get(function.getContext(), arguments, terminator.getOperandTypes()));
  // The old ops are dead now, and so is what served shapes only.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
    if (isa_and_nonnull<onnx::OnnxDialect, modular::ModularDialect>(op.getDialect()) &&
        !isa<onnx::ConstantOp>(op)) {
      op.dropAllUses();
      op.erase();
    }
  eraseDead(function.getBody().front());
  return success();
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

bool Lowering::isStatic(const Polynomial &p) const {
  for (const std::string &symbol : p.symbols()) {
    const SymbolicShapes::Source *source = shapes.lookup(symbol);
    if (source && source->kind == SymbolicShapes::Source::Definition) {
      if (!isStatic(source->definition))
        return false;
      continue;
    }
    auto argument = source ? dyn_cast<BlockArgument>(source->value) : nullptr;
    if (!argument || argument.getOwner() != &function.getBody().front())
      return false;
  }
  return true;
}

Value Lowering::index(const Polynomial &p) {
  if (!isStatic(p))
    return emit(b, p, /*cached=*/false);
  OpBuilder entry(entryEnd);
  return emit(entry, p, /*cached=*/true);
}

Value Lowering::emit(OpBuilder &at, const Polynomial &p, bool cached) {
  if (cached)
    if (auto it = indexValues.find(p); it != indexValues.end())
      return it->second;
  Location loc = cached ? function.getLoc() : b.getLoc();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(at, loc, value);
  };
  Value sum;
  for (const auto &[monomial, coefficient] : p.getTerms()) {
    Value term;
    for (StringRef atom : monomial) {
      Value factor = emitAtom(at, atom, cached);
      term = term ? arith::MulIOp::create(at, loc, term, factor).getResult() : factor;
    }
    if (!term)
      term = constant(coefficient);
    else if (coefficient != 1)
      term = arith::MulIOp::create(at, loc, term, constant(coefficient));
    sum = sum ? arith::AddIOp::create(at, loc, sum, term).getResult() : term;
  }
  if (!sum)
    sum = constant(0);
  if (cached)
    indexValues[p] = sum;
  return sum;
}

Value Lowering::emitSymbol(OpBuilder &at, StringRef name, bool cached) {
  const SymbolicShapes::Source *source = shapes.lookup(name);
  Location loc = b.getLoc();
  if (!source) {
    // Text of modular.dims that no argument explains; checked before lowering.
    return arith::ConstantIndexOp::create(at, loc, 0);
  }
  if (source->kind == SymbolicShapes::Source::Argument)
    return source->value;
  if (source->kind == SymbolicShapes::Source::Definition)
    return emit(at, source->definition, cached);
  Value tensor = isa<BlockArgument>(source->value) && !isLowered(source->value)
                     ? source->value
                     : get(source->value).value;
  if (source->kind == SymbolicShapes::Source::Dimension)
    return tensor::DimOp::create(at, loc, tensor, source->index);
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Value> indices;
  int64_t rest = source->index;
  for (int64_t d = type.getRank() - 1; d >= 0; --d) {
    indices.insert(indices.begin(),
                   arith::ConstantIndexOp::create(at, loc, rest % type.getDimSize(d)));
    rest /= type.getDimSize(d);
  }
  Value element = tensor::ExtractOp::create(at, loc, tensor, indices);
  if (isUnsigned(source->value) || type.getElementType().isInteger(1))
    return arith::IndexCastUIOp::create(at, loc, at.getIndexType(), element);
  return arith::IndexCastOp::create(at, loc, at.getIndexType(), element);
}

Value Lowering::emitAtom(OpBuilder &at, StringRef text, bool cached) {
  if (cached)
    if (auto it = atomValues.find(text.str()); it != atomValues.end())
      return it->second;
  Location loc = b.getLoc();
  Atom atom = parseAtom(text);
  Value result;
  if (atom.isSymbol()) {
    result = emitSymbol(at, atom.function, cached);
  } else {
    SmallVector<Value> v;
    for (const Polynomial &argument : atom.arguments)
      v.push_back(emit(at, argument, cached));
    auto constant = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(at, loc, value);
    };
    auto compare = [&](arith::CmpIPredicate predicate, Value x, Value y) -> Value {
      return arith::CmpIOp::create(at, loc, predicate, x, y);
    };
    auto select = [&](Value condition, Value x, Value y) -> Value {
      return arith::SelectOp::create(at, loc, condition, x, y);
    };
    auto asIndex = [&](Value condition) { return select(condition, constant(1), constant(0)); };
    // A division by zero is undefined in IR: it must not happen, whatever the input.
    auto divisor = [&](Value x) {
      return select(compare(arith::CmpIPredicate::eq, x, constant(0)), constant(1), x);
    };
    using P = arith::CmpIPredicate;
    StringRef f = atom.function;
    if (f == "floordiv") {
      result = arith::FloorDivSIOp::create(at, loc, v[0], divisor(v[1]));
    } else if (f == "mod") {
      Value by = divisor(v[1]);
      Value quotient = arith::FloorDivSIOp::create(at, loc, v[0], by);
      Value whole = arith::MulIOp::create(at, loc, quotient, by);
      result = arith::SubIOp::create(at, loc, v[0], whole);
    } else if (f == "max") {
      result = arith::MaxSIOp::create(at, loc, v[0], v[1]);
    } else if (f == "min") {
      result = arith::MinSIOp::create(at, loc, v[0], v[1]);
    } else if (f == "eq") {
      result = asIndex(compare(P::eq, v[0], v[1]));
    } else if (f == "lt") {
      result = asIndex(compare(P::slt, v[0], v[1]));
    } else if (f == "select") {
      result = select(compare(P::ne, v[0], constant(0)), v[1], v[2]);
    } else if (f == "broadcast") {
      result = select(compare(P::eq, v[0], constant(1)), v[1], v[0]);
    } else if (f == "mul") {
      result = arith::MulIOp::create(at, loc, v[0], v[1]);
    } else {
      result = arith::AddIOp::create(at, loc, v[0], v[1]);
    }
  }
  if (cached)
    atomValues[text.str()] = result;
  return result;
}

OpFoldResult Lowering::fold(const Polynomial &p) {
  if (auto constant = p.asConstant())
    return b.getIndexAttr(*constant);
  return index(p);
}

SmallVector<OpFoldResult> Lowering::fold(ArrayRef<Polynomial> dims) {
  SmallVector<OpFoldResult> result;
  for (const Polynomial &dim : dims)
    result.push_back(fold(dim));
  return result;
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

/// "Gather '/embeddings/Gather' of module 'embeddings'": how messages name an op.
static std::string describe(Operation *op) {
  std::string text = op->getName().stripDialect().str();
  Origin origin = originOf(op->getLoc());
  if (!origin.node.empty())
    text += (" '" + origin.node + "'").str();
  if (!origin.module.empty())
    text += (" of module '" + origin.module + "'").str();
  return text;
}

void Lowering::check(Value condition, const Twine &message) {
  dispatch::CheckOp::create(b, condition, (describe(current) + ": " + message).str());
}

void Lowering::checkEqual(const Polynomial &a, const Polynomial &other, const Twine &message) {
  if (a == other)
    return;
  Value equal = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, index(a), index(other));
  check(equal, message);
}

LogicalResult Lowering::unsupported(Operation *op, const Twine &reason) {
  return emitUnsupportedFault(op) << "not supported: " << describe(op) << ": " << reason;
}
