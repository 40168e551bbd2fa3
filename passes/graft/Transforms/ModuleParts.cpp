//===- ModuleParts.cpp - An op on one module's part of its operands -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/ModuleBody.h"

#include <cstring>

using namespace mlir;
using namespace graft;
using namespace graft::raise;

static int64_t wrap(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// The number that an axis of a value has in a part of it.
static int64_t inPart(int64_t axis, const Part &part) {
  return part.drops && axis > part.axis ? axis - 1 : axis;
}

static bool isElementwise(Operation *op) {
  if (isa<onnx::SoftmaxOp, onnx::SplitOp>(op))
    return false;
  return keepsVectorsApart(op) ||
         isa<onnx::WhereOp, onnx::CastOp, onnx::EqualOp, onnx::GreaterOp, onnx::LessOp,
             onnx::GreaterOrEqualOp, onnx::LessOrEqualOp, onnx::AndOp, onnx::OrOp, onnx::NotOp>(op);
}

Value ModuleBody::clone(Value value, Part part) {
  const Key key(value, part.axis, part.start, part.size, part.drops);
  auto found = parts.find(key);
  if (found != parts.end())
    return found->second;
  Value result = cloneUncached(value, part);
  if (!result && part.drops && shapes.isKnown(value) && part.axis >= 0 && part.axis < rank(value) &&
      dimsOf(value)[part.axis].isConstant(1))
    if (Value x = clone(value)) // the same for all modules
      result = reshape(x, dimsOf(value), dimsOf(value, part), typeOf(value, part));
  return parts[key] = result;
}

Value ModuleBody::cloneUncached(Value value, Part part) {
  if (!shapes.isKnown(value) || part.axis < 0 || part.axis >= rank(value))
    return {};
  const Polynomial size = dimsOf(value)[part.axis];
  // What is the same for all modules.
  if (size.isConstant(1)) {
    part.start = 0;
    part.size = 1;
  }
  if (!part.drops && part.start == 0 && size.isConstant(part.size))
    return clone(value);
  Operation *op = value.getDefiningOp();
  if (!op)
    return {};
  if (auto constant = dyn_cast<onnx::ConstantOp>(op))
    return cloneConstant(constant, part);
  if (isParameter(value))
    return {};
  if (isElementwise(op)) {
    return cloneElementwise(op, part);
  } else if (auto matmul = dyn_cast<onnx::MatMulOp>(op)) {
    return cloneMatMul(matmul, part);
  } else if (auto gemm = dyn_cast<onnx::GemmOp>(op)) {
    return cloneGemm(gemm, part);
  } else if (auto einsum = dyn_cast<onnx::EinsumOp>(op)) {
    return cloneEinsum(einsum, part);
  } else if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
    return cloneTranspose(transpose, part);
  } else if (auto unsqueeze = dyn_cast<onnx::UnsqueezeOp>(op)) {
    return cloneUnsqueeze(unsqueeze, part);
  } else if (isa<onnx::ReshapeOp, onnx::FlattenOp, onnx::SqueezeOp>(op)) {
    return cloneReshape(op, part);
  } else if (auto expand = dyn_cast<onnx::ExpandOp>(op)) {
    return cloneExpand(expand, part);
  } else if (auto concat = dyn_cast<onnx::ConcatOp>(op)) {
    return cloneConcat(concat, part);
  } else if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    return cloneSlice(slice, part);
  } else if (auto split = dyn_cast<onnx::SplitOp>(op)) {
    return cloneSplit(split, cast<OpResult>(value), part);
  } else if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
    return cloneGather(gather, part);
  } else if (isa<onnx::SoftmaxOp>(op)) {
    return cloneAlongAxis(op, part);
  } else if (isa<onnx::ReduceSumOp, onnx::ReduceMeanOp, onnx::ReduceMaxOp, onnx::ReduceMinOp>(op)) {
    return cloneReduction(op, part);
  }
  return {};
}

/// The bytes of a part of a constant.
Value ModuleBody::cloneConstant(onnx::ConstantOp op, Part part) {
  auto type = cast<RankedTensorType>(op.getType());
  RankedTensorType wanted = typeOf(op, part);
  if (!type.hasStaticShape() || !wanted.hasStaticShape() || type.getNumElements() == 0)
    return {};
  auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
  if (dense && dense.isSplat())
    return onnx::ConstantOp::create(b, wanted, dense.resizeSplat(wanted));
  if (part.start + part.size > type.getDimSize(part.axis))
    return {};
  auto &store = b.getContext()->getLoadedDialect<modular::ModularDialect>()->getWeightStore();
  auto weight = dyn_cast<modular::WeightAttr>(op.getValue());
  std::optional<ArrayRef<char>> from;
  if (weight)
    from = store.lookup(weight.getKey());
  else if (dense && !type.getElementType().isInteger(1))
    from = dense.getRawData();
  if (!from)
    return {};
  int64_t outer = 1;
  for (int64_t dim : type.getShape().take_front(part.axis))
    outer *= dim;
  const int64_t dim = type.getDimSize(part.axis);
  const int64_t inner = int64_t(from->size()) / (outer * dim), length = part.size * inner;
  std::string name;
  if (weight)
    name = (weight.getKey() + "." + Twine(part.axis) + ":" + Twine(part.start) + ":" +
            Twine(part.size))
               .str();
  StringRef key;
  if (weight && outer == 1) {
    key = store.addView(name, wanted, weight.getKey(), part.start * inner);
  } else {
    std::vector<char> bytes(outer * length);
    for (int64_t i = 0; i < outer; ++i)
      std::memcpy(bytes.data() + i * length, from->data() + (i * dim + part.start) * inner, length);
    if (dense)
      return onnx::ConstantOp::create(b, wanted,
                                      DenseElementsAttr::getFromRawBuffer(wanted, bytes));
    key = store.addProduced(name, wanted, std::move(bytes));
  }
  return onnx::ConstantOp::create(
      b, wanted, cast<TypedAttr>(modular::WeightAttr::get(b.getContext(), key, wanted)));
}

Value ModuleBody::cloneBroadcast(Value operand, int64_t rank, Part part) {
  const int64_t axis = part.axis - (rank - this->rank(operand));
  if (axis < 0)
    return clone(operand);
  part.axis = axis;
  return clone(operand, part);
}

Value ModuleBody::cloneElementwise(Operation *op, Part part) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(cloneBroadcast(operand, rank(op->getResult(0)), part));
    if (!operands.back())
      return {};
  }
  return emit(op, operands, part)->getResult(0);
}

Value ModuleBody::cloneMatMul(onnx::MatMulOp op, Part part) {
  Value a = op.getA(), other = op.getB();
  const int64_t all = rank(op), ofA = rank(a), ofB = rank(other);
  if (ofA < 2 || ofB < 2)
    return {};
  Value first, second;
  if (part.axis == all - 1 || part.axis == all - 2) {
    // Some columns or rows; without the dimension what is left has to be matrices still.
    const bool isColumns = part.axis == all - 1;
    if (part.drops && (isColumns || ofA < 3 || ofB > 2))
      return {};
    first = isColumns ? clone(a) : clone(a, {ofA - 2, part.start, part.size, part.drops});
    second = isColumns ? clone(other, {ofB - 1, part.start, part.size, false}) : clone(other);
  } else {
    first = cloneBroadcast(a, all, part);
    second = cloneBroadcast(other, all, part);
  }
  return first && second ? emit(op, {first, second}, part)->getResult(0) : Value();
}

Value ModuleBody::cloneGemm(onnx::GemmOp op, Part part) {
  if (part.axis != 1 || part.drops)
    return {};
  SmallVector<Value> operands{
      clone(op.getA()), clone(op.getB(), {op.getTransB() ? 0 : 1, part.start, part.size, false})};
  if (op.getC())
    operands.push_back(cloneBroadcast(op.getC(), 2, part));
  return llvm::all_of(operands, [](Value v) { return bool(v); })
             ? emit(op, operands, part)->getResult(0)
             : Value();
}

/// Of what is summed over other labels than the modules', each module's part is the sum without
/// that label.
Value ModuleBody::cloneEinsum(onnx::EinsumOp op, Part part) {
  auto equation = EinsumEquation::of(op, shapes);
  if (!equation)
    return {};
  const int label = equation->result[part.axis];
  SmallVector<Value> operands;
  for (auto [input, labels] : llvm::zip(op.getInputs(), equation->operands)) {
    auto it = llvm::find(labels, label);
    if (llvm::count(labels, label) > 1)
      return {};
    operands.push_back(it == labels.end() ? clone(input)
                                          : clone(input, {it - labels.begin(), part.start,
                                                          part.size, part.drops}));
    if (!operands.back())
      return {};
    if (part.drops && it != labels.end())
      labels.erase(it);
  }
  if (part.drops)
    equation->result.erase(equation->result.begin() + part.axis);
  return emitEinsum(op, operands, *equation, part);
}

Value ModuleBody::emitEinsum(onnx::EinsumOp op, ValueRange operands, const EinsumEquation &equation,
                             std::optional<Part> part) {
  if (auto product = equation.asProductOfVectors();
      product && isParameter(operands[product->matrix])) {
    Value vectors = operands[1 - product->matrix], matrix = operands[product->matrix];
    if (!product->isTransposed)
      return onnx::MatMulOp::create(b, typeOf(op, part), vectors, matrix);
    return b.vectorsLike(b.linear(b.rowsOf(vectors), matrix, Value()), vectors);
  }
  std::optional<std::string> text = equation.str();
  if (!text)
    return {};
  Operation *copy = emit(op, operands, part);
  copy->setAttr("equation", b.getStringAttr(*text));
  return copy->getResult(0);
}

Value ModuleBody::cloneTranspose(onnx::TransposeOp op, Part part) {
  const int64_t n = rank(op);
  SmallVector<int64_t> perm;
  for (int64_t i = 0; i < n; ++i)
    perm.push_back(op.getPermAttr() ? wrap(cast<IntegerAttr>(op.getPermAttr()[i]).getInt(), n)
                                    : n - 1 - i);
  Part of = part;
  of.axis = perm[part.axis];
  Value x = clone(op.getData(), of);
  if (!x || !part.drops)
    return x ? emit(op, x, part)->getResult(0) : Value();
  SmallVector<int64_t> left;
  for (int64_t i = 0; i < n; ++i)
    if (i != part.axis)
      left.push_back(inPart(perm[i], of));
  if (llvm::is_sorted(left))
    return x;
  Operation *clone = emit(op, x, part);
  clone->setAttr("perm", b.getI64ArrayAttr(left));
  return clone->getResult(0);
}

Value ModuleBody::cloneUnsqueeze(onnx::UnsqueezeOp op, Part part) {
  auto axes = integers(op.getAxes());
  if (!axes)
    return {};
  for (int64_t &axis : *axes)
    axis = wrap(axis, rank(op));
  Value x;
  if (llvm::is_contained(*axes, part.axis)) {
    x = clone(op.getData());
  } else {
    Part of = part;
    for (int64_t axis : *axes)
      of.axis -= axis < part.axis;
    x = clone(op.getData(), of);
  }
  if (!x)
    return {};
  SmallVector<int64_t> left;
  for (int64_t axis : *axes)
    if (!part.drops || axis != part.axis)
      left.push_back(inPart(axis, part));
  return left.empty() ? x : emit(op, {x, b.integers(left)}, part)->getResult(0);
}

/// Reshapes that keep a module's elements together: what is before its dimension has the same size
/// on both sides.
Value ModuleBody::cloneReshape(Operation *op, Part part) {
  const Dims from = dimsOf(op->getOperand(0)), to = dimsOf(op->getResult(0));
  const Polynomial before = product(ArrayRef(to).take_front(part.axis));
  const auto whole = to[part.axis].asConstant();
  // What is repeated as often as there are modules is the same for all.
  auto tile = op->getOperand(0).getDefiningOp<onnx::TileOp>();
  auto repeats = tile ? integers(tile.getRepeats()) : std::nullopt;
  if (repeats && part.axis == 0 && part.size == 1 && whole == repeats->front() &&
      llvm::all_of(llvm::drop_begin(*repeats), [](int64_t n) { return n == 1; })) {
    Value all = tile.getInput();
    if (auto expand = all.getDefiningOp<onnx::ExpandOp>();
        expand && dimsOf(expand.getInput()) == dimsOf(all))
      all = expand.getInput();
    Value x = clone(all);
    return x ? reshape(x, dimsOf(all), dimsOf(op->getResult(0), part),
                       typeOf(op->getResult(0), part))
             : Value();
  }
  for (int64_t axis = 0; axis < int64_t(from.size()); ++axis) {
    auto size = from[axis].asConstant();
    if (product(ArrayRef(from).take_front(axis)) != before || !size || !whole || *size == 1)
      continue;
    // Positions of the one per position of the other.
    const int64_t modules = *whole / part.size;
    if (modules == 0 || *whole % part.size != 0 || part.start % part.size != 0 ||
        *size % modules != 0)
      return {};
    Part of{axis, part.start / part.size * (*size / modules), *size / modules, false};
    of.drops = part.drops && of.size == 1;
    Value x = clone(op->getOperand(0), of);
    return x ? reshape(x, dimsOf(op->getOperand(0), of), dimsOf(op->getResult(0), part),
                       typeOf(op->getResult(0), part))
             : Value();
  }
  return {};
}

Value ModuleBody::cloneExpand(onnx::ExpandOp op, Part part) {
  const int64_t own = part.axis - (rank(op) - rank(op.getInput()));
  Part of = part;
  of.axis = own;
  Value x = own < 0 ? clone(op.getInput()) : clone(op.getInput(), of);
  const Dims from =
      own < 0 ? dimsOf(op.getInput())
              : dimsOf(op.getInput(),
                       dimsOf(op.getInput())[own].isConstant(1) ? Part{own, 0, 1, part.drops} : of);
  const Dims to = dimsOf(op, part);
  if (!x || from == to)
    return x;
  Value shape = sizes(to);
  return shape ? emit(op, {x, shape}, part)->getResult(0) : Value();
}

Value ModuleBody::cloneConcat(onnx::ConcatOp op, Part part) {
  const int64_t axis = wrap(op.getAxis(), rank(op));
  if (axis == part.axis) {
    // One of the operands: what it is made of is the module's own.
    int64_t start = 0;
    for (Value operand : op.getInputs()) {
      auto size = dimsOf(operand)[axis].asConstant();
      if (!size)
        return {};
      if (part.start >= start && part.start + part.size <= start + *size) {
        if (*size == part.size)
          own(operand);
        return clone(operand, {axis, part.start - start, part.size, part.drops});
      }
      start += *size;
    }
    return {};
  }
  SmallVector<Value> operands;
  for (Value operand : op.getInputs()) {
    operands.push_back(clone(operand, part));
    if (!operands.back())
      return {};
  }
  Operation *clone = emit(op, operands, part);
  clone->setAttr("axis", b.getI64IntegerAttr(inPart(axis, part)));
  return clone->getResult(0);
}

Value ModuleBody::cloneSlice(onnx::SliceOp op, Part part) {
  const int64_t n = rank(op);
  auto starts = integers(op.getStarts()), ends = integers(op.getEnds());
  auto axes = op.getAxes() ? integers(op.getAxes()) : std::nullopt;
  auto steps = op.getSteps() ? integers(op.getSteps()) : std::nullopt;
  if (!starts || !ends || (op.getAxes() && !axes) || (op.getSteps() && !steps))
    return {};
  SmallVector<int64_t> first, last, along, by;
  for (size_t i = 0; i < starts->size(); ++i) {
    const int64_t axis = wrap(axes ? (*axes)[i] : int64_t(i), n);
    const int64_t step = steps ? (*steps)[i] : 1;
    if (axis == part.axis) {
      auto size = dimsOf(op.getData())[axis].asConstant();
      if (!size || step != 1)
        return {};
      const int64_t start = (*starts)[i] < 0 ? (*starts)[i] + *size : (*starts)[i];
      if (start < 0 || start > *size)
        return {};
      part.start += start;
      continue;
    }
    first.push_back((*starts)[i]);
    last.push_back((*ends)[i]);
    along.push_back(inPart(axis, part));
    by.push_back(step);
  }
  Value x = clone(op.getData(), part);
  if (!x || along.empty())
    return x;
  return onnx::SliceOp::create(b, typeOf(op, part), x, b.integers(first), b.integers(last),
                               b.integers(along), b.integers(by));
}

Value ModuleBody::cloneSplit(onnx::SplitOp op, OpResult result, Part part) {
  const int64_t axis = wrap(op.getAxis(), rank(op.getInput()));
  if (axis == part.axis) {
    for (Value before : op->getResults().take_front(result.getResultNumber())) {
      auto size = dimsOf(before)[axis].asConstant();
      if (!size)
        return {};
      part.start += *size;
    }
    return clone(op.getInput(), part);
  }
  SmallVector<Value> operands{clone(op.getInput(), part)};
  if (op.getSplit())
    operands.push_back(clone(op.getSplit()));
  if (llvm::is_contained(operands, Value()))
    return {};
  Operation *clone = emit(op, operands, part);
  clone->setAttr("axis", b.getI64IntegerAttr(inPart(axis, part)));
  for (auto [from, to] : llvm::zip(op->getResults(), clone->getResults()))
    parts[Key(from, part.axis, part.start, part.size, part.drops)] = to;
  return clone->getResult(result.getResultNumber());
}

Value ModuleBody::cloneAlongAxis(Operation *op, Part part) {
  const int64_t axis =
      wrap(op->getAttrOfType<IntegerAttr>("axis") ? op->getAttrOfType<IntegerAttr>("axis").getInt()
                                                  : int64_t(-1),
           rank(op->getResult(0)));
  if (axis == part.axis)
    return {};
  Value x = clone(op->getOperand(0), part);
  if (!x)
    return {};
  Operation *clone = emit(op, x, part);
  clone->setAttr("axis", b.getI64IntegerAttr(inPart(axis, part)));
  return clone->getResult(0);
}

Value ModuleBody::cloneReduction(Operation *op, Part part) {
  auto axes = op->getNumOperands() > 1 ? integers(op->getOperand(1)) : std::nullopt;
  if (!axes || axes->empty())
    return {};
  const int64_t n = rank(op->getOperand(0));
  const bool keeps = rank(op->getResult(0)) == n;
  for (int64_t &axis : *axes)
    axis = wrap(axis, n);
  llvm::sort(*axes);
  Part of = part;
  if (!keeps)
    for (int64_t axis : *axes)
      of.axis += axis <= of.axis;
  if (llvm::is_contained(*axes, of.axis))
    return {};
  Value x = clone(op->getOperand(0), of);
  if (!x)
    return {};
  SmallVector<int64_t> left;
  for (int64_t axis : *axes)
    left.push_back(inPart(axis, of));
  return emit(op, {x, b.integers(left)}, part)->getResult(0);
}

/// One position along another dimension.
Value ModuleBody::cloneGather(onnx::GatherOp op, Part part) {
  const int64_t axis = wrap(op.getAxis(), rank(op.getData()));
  if (rank(op.getIndices()) > 1 || !isParameter(op.getIndices()))
    return {};
  const bool keeps = rank(op.getIndices()) == 1;
  if (keeps && axis == part.axis)
    return {};
  Part of = part;
  of.axis += !keeps && axis <= part.axis;
  Value x = clone(op.getData(), of), indices = clone(op.getIndices());
  if (!x || !indices)
    return {};
  Operation *clone = emit(op, {x, indices}, part);
  clone->setAttr("axis", b.getI64IntegerAttr(inPart(axis, of)));
  return clone->getResult(0);
}
