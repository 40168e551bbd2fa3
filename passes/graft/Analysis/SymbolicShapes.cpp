//===- SymbolicShapes.cpp - Dimensions as polynomials of the inputs' -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/SymbolicShapes.h"

#include "graft/Analysis/Segments.h"
#include "graft/Modular/Modular.h"

#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;
using namespace graft;

SymbolicShapes::SymbolicShapes(func::FuncOp function) {
  if (function.isExternal())
    return;
  seedArguments(function);
  visit(function.getBody());
}

void SymbolicShapes::visit(Region &region) {
  for (Block &block : region)
    for (Operation &op : block) {
      if (auto apply = dyn_cast<modular::ApplyOp>(op))
        seedBodies(apply);
      // The results of an op with regions follow from what the regions yield.
      for (Region &nested : op.getRegions())
        visit(nested);
      visit(&op);
    }
}

std::string SymbolicShapes::freshName(StringRef prefix) {
  std::string name;
  do {
    name = (prefix + Twine(fresh++)).str();
  } while (sources.count(name));
  return name;
}

void SymbolicShapes::seedArguments(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments())
    if (auto symbol =
            function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "modular.symbol"))
      sources.try_emplace(symbol.getValue(), Source{Source::Argument, argument, 0, {}});

  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      continue;
    auto texts = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "modular.dims");
    SymbolicTensor tensor;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      std::optional<Polynomial> dim;
      if (!type.isDynamicDim(d))
        dim = Polynomial(type.getDimSize(d));
      else if (texts && d < int64_t(texts.size()) && isa<StringAttr>(texts[d]))
        dim = Polynomial::parse(cast<StringAttr>(texts[d]).getValue());
      if (!dim)
        dim = freshDimension(argument, d);
      if (auto atom = dim->asAtom(); atom && !atom->contains('('))
        sources.try_emplace(*atom, Source{Source::Dimension, argument, d, {}});
      tensor.dims.push_back(*dim);
    }
    set(argument, std::move(tensor));
  }
  // A text that names what no argument tells says nothing.
  for (BlockArgument argument : function.getArguments()) {
    auto it = tensors.find(argument);
    if (it == tensors.end())
      continue;
    SymbolicTensor tensor = it->second;
    for (auto [d, dim] : llvm::enumerate(tensor.dims))
      if (llvm::any_of(dim.symbols(), [&](const std::string &name) { return !lookup(name); }))
        dim = freshDimension(argument, d);
    set(argument, std::move(tensor));
  }
}

const SymbolicTensor &SymbolicShapes::get(Value value) const {
  static const SymbolicTensor unknown;
  auto it = tensors.find(value);
  return it == tensors.end() ? unknown : it->second;
}

void SymbolicShapes::set(Value value, SymbolicTensor tensor) {
  for (Polynomial &dim : tensor.dims)
    dim = shortened(dim);
  if (tensor.elements)
    for (Polynomial &element : *tensor.elements)
      element = shortened(element);
  tensors[value] = std::move(tensor);
}

Polynomial SymbolicShapes::shortened(const Polynomial &p) {
  constexpr size_t longest = 200;
  if (p.str().size() <= longest)
    return p;
  std::string &name = definitions[p];
  if (name.empty()) {
    name = freshName(p.isNonNegative() ? "sum." : "%");
    sources[name] = Source{Source::Definition, Value(), 0, p};
  }
  return Polynomial::symbol(name);
}

const SymbolicShapes::Source *SymbolicShapes::lookup(StringRef symbol) const {
  auto it = sources.find(symbol);
  return it == sources.end() ? nullptr : &it->second;
}

Polynomial SymbolicShapes::freshDimension(Value value, int64_t dim) {
  std::string name = freshName("dim.");
  sources[name] = Source{Source::Dimension, value, dim, {}};
  return Polynomial::symbol(name);
}

Polynomial SymbolicShapes::freshElement(Value value, int64_t index) {
  std::string name = freshName("%"); // may be negative
  sources[name] = Source{Source::Element, value, index, {}};
  return Polynomial::symbol(name);
}

std::optional<SmallVector<Polynomial>> SymbolicShapes::elements(Value value) {
  auto it = tensors.find(value);
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (it == tensors.end() || !type || !type.getElementType().isIntOrIndex())
    return std::nullopt;
  if (it->second.elements)
    return it->second.elements;
  auto count = it->second.elementCount();
  if (!count || *count > elementLimit)
    return std::nullopt;
  SmallVector<Polynomial> elements;
  for (int64_t i = 0; i < *count; ++i)
    elements.push_back(freshElement(value, i));
  tensors[value].elements = elements;
  return elements;
}

std::optional<SmallVector<int64_t>> SymbolicShapes::constantElements(Value value) {
  const SymbolicTensor &tensor = get(value);
  if (!tensor.elements)
    return std::nullopt;
  SmallVector<int64_t> constants;
  for (const Polynomial &element : *tensor.elements) {
    auto constant = element.asConstant();
    if (!constant)
      return std::nullopt;
    constants.push_back(*constant);
  }
  return constants;
}

/// Of parts, that of what a module gives.
static Type elementOf(Value value) {
  if (auto parts = dyn_cast<modular::PartsType>(value.getType()))
    return parts.getType().getElementType();
  return cast<ShapedType>(value.getType()).getElementType();
}

RankedTensorType SymbolicShapes::type(Value value) const {
  SmallVector<int64_t> shape;
  for (const Polynomial &dim : get(value).dims) {
    auto constant = dim.asConstant();
    shape.push_back(constant && *constant >= 0 ? *constant : ShapedType::kDynamic);
  }
  return RankedTensorType::get(shape, elementOf(value));
}

void SymbolicShapes::seedBodies(modular::ApplyOp apply) {
  const SymbolicTensor &route = get(apply.getRoute());
  if (route.rank() != 2 || !apply.isInlined())
    return;
  // Dimension 0 of what a body sees: all rows, a place for each slot of each row, or as many rows
  // as take the module.
  std::optional<Segmentation> segmentation;
  if (!apply->hasAttr("modular.dense"))
    segmentation = segmentModules(apply, *this);
  const Polynomial all = segmentation ? route.dims[0] * route.dims[1] : Polynomial(route.dims[0]);
  for (Region &body : apply.getBodies()) {
    std::optional<Polynomial> rows;
    if (!segmentation || segmentation->hasPlaceForEachSlot)
      rows = all;
    for (auto [input, argument] : llvm::zip(apply.getInputs(), body.getArguments())) {
      if (!isKnown(input))
        continue;
      if (!rows)
        rows = freshDimension(argument, 0);
      SymbolicTensor tensor(get(input).dims);
      tensor.dims.front() = *rows;
      set(argument, std::move(tensor));
    }
  }
}

void SymbolicShapes::visit(Operation *op) {
  if (op->getNumResults() == 0)
    return;
  SmallVector<SymbolicTensor, 2> results(op->getNumResults());
  if (graft::detail::inferDims(*this, op, results)) {
    for (auto [result, tensor] : llvm::zip(op->getResults(), results)) {
      if (isa<ShapedType>(result.getType()) &&
          cast<ShapedType>(result.getType()).getElementType().isIntOrIndex())
        graft::detail::inferElements(*this, op, tensor);
      set(result, std::move(tensor));
    }
    return;
  }
  for (Value result : op->getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type || tensors.count(result))
      continue;
    SymbolicTensor tensor;
    for (int64_t d = 0; d < type.getRank(); ++d)
      tensor.dims.push_back(type.isDynamicDim(d) ? freshDimension(result, d)
                                                 : Polynomial(type.getDimSize(d)));
    set(result, std::move(tensor));
  }
}

Polynomial graft::broadcastDim(const Polynomial &a, const Polynomial &b) {
  if (a == b || b.isConstant(1))
    return a;
  if (a.isConstant(1))
    return b;
  // One that is constant and not 1 is the result: the other equals it or is 1.
  if (a.asConstant())
    return a;
  if (b.asConstant())
    return b;
  // A table cut to a length, `min(512, seq)`, meets that length: they are equal, or the run fails.
  auto isCutOf = [](const Polynomial &cut, const Polynomial &whole) {
    auto text = cut.asAtom();
    if (!text || !text->starts_with("min("))
      return false;
    Atom atom = parseAtom(*text);
    for (unsigned i : {0, 1})
      if (atom.arguments.size() == 2 && atom.arguments[i] == whole &&
          (atom.arguments[1 - i] - Polynomial(2)).isNonNegative())
        return true;
    return false;
  };
  if (isCutOf(a, b))
    return b;
  if (isCutOf(b, a))
    return a;
  return b < a ? Polynomial::call("broadcast", {b, a}) : Polynomial::call("broadcast", {a, b});
}

SmallVector<Polynomial, 4> graft::broadcastDims(ArrayRef<Polynomial> a, ArrayRef<Polynomial> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  SmallVector<Polynomial, 4> result(a);
  size_t offset = a.size() - b.size();
  for (size_t i = 0; i < b.size(); ++i)
    result[offset + i] = broadcastDim(a[offset + i], b[i]);
  return result;
}

SliceBounds graft::sliceBounds(const Polynomial &dim, const Polynomial &start,
                               const Polynomial &end, const Polynomial &step) {
  // Exporters write "from the start" and "to the end" as the least and greatest integers.
  constexpr int64_t far = int64_t(1) << 31;
  auto position = [&](const Polynomial &p, const Polynomial &least, const Polynomial &most) {
    if (auto constant = p.asConstant()) {
      if (*constant <= -far + 1)
        return least;
      if (*constant >= far - 1)
        return most;
    }
    Polynomial fromEnd = Polynomial::select(Polynomial::less(p, 0), p + dim, p);
    return Polynomial::min(Polynomial::max(fromEnd, least), most);
  };
  SliceBounds bounds{0, step, 0};
  auto forward = [&] {
    Polynomial first = position(start, 0, dim), last = position(end, 0, dim);
    return std::pair(first, Polynomial::max(Polynomial::ceilDiv(last - first, step), 0));
  };
  auto backward = [&] {
    Polynomial first = position(start, -1, dim - 1), last = position(end, -1, dim - 1);
    return std::pair(first, Polynomial::max(Polynomial::ceilDiv(last - first, step), 0));
  };
  auto sign = Polynomial::less(step, 0).asConstant();
  if (sign) {
    std::tie(bounds.start, bounds.length) = *sign ? backward() : forward();
    return bounds;
  }
  auto [up, upLength] = forward();
  auto [down, downLength] = backward();
  Polynomial negative = Polynomial::less(step, 0);
  bounds.start = Polynomial::select(negative, down, up);
  bounds.length = Polynomial::select(negative, downLength, upLength);
  return bounds;
}
