//===- RaiseGatedSum.cpp - Sums of gated branches become mixtures -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/RaiseRouting.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

namespace {
/// A term of the sum: a branch under the gate of module `number`.
struct Term {
  Gates gates;
  int64_t number;
  Value branch;
  Operation *product; ///< of gate and branch
};
} // namespace

/// Which module's gate `value`, of (…, 1), is.
static std::optional<std::pair<Gates, int64_t>> parseGate(Value value) {
  Operation *op = value.getDefiningOp();
  // w[…, e : e + 1]
  if (auto slice = dyn_cast_or_null<onnx::SliceOp>(op)) {
    auto start = integerOf(slice.getStarts()), end = integerOf(slice.getEnds()),
         axis = integerOf(slice.getAxes());
    auto step = slice.getSteps() ? integerOf(slice.getSteps()) : std::optional<int64_t>(1);
    if (start && end && axis && step == 1 && isLastAxis(*axis, slice.getData()) && *start >= 0 &&
        *end == *start + 1)
      return std::pair(Gates{slice.getData(), {}, {}}, *start);
  }
  // One of as many parts as there are modules.
  if (auto split = dyn_cast_or_null<onnx::SplitOp>(op);
      split && isLastAxis(split.getAxis(), split.getInput()) &&
      int64_t(split.getNumResults()) == typeOf(split.getInput()).getShape().back())
    return std::pair(Gates{split.getInput(), {}, {}},
                     int64_t(cast<OpResult>(value).getResultNumber()));
  // Σ_slots [chosen = e] · weights
  auto sum = dyn_cast_or_null<onnx::ReduceSumOp>(op);
  auto axis = sum ? integerOf(sum.getAxes()) : std::nullopt;
  if (!axis || sum.getKeepdims() != 1 || !isLastAxis(*axis, sum.getData()))
    return std::nullopt;
  auto product = sum.getData().getDefiningOp<onnx::MulOp>();
  if (!product)
    return std::nullopt;
  for (auto [mask, weights] :
       {std::pair(product.getA(), product.getB()), std::pair(product.getB(), product.getA())}) {
    auto number = mask.getDefiningOp<onnx::CastOp>();
    auto equal = number ? number.getInput().getDefiningOp<onnx::EqualOp>() : nullptr;
    if (!equal)
      continue;
    for (auto [chosen, wanted] :
         {std::pair(equal.getA(), equal.getB()), std::pair(equal.getB(), equal.getA())})
      if (auto module = integerOf(wanted); module && typeOf(chosen) && typeOf(weights) &&
                                           typeOf(chosen).getShape() == typeOf(weights).getShape())
        return std::pair(Gates{{}, chosen, weights}, *module);
  }
  return std::nullopt;
}

static std::optional<Term> parseTerm(Value value) {
  auto product = value.getDefiningOp<onnx::MulOp>();
  if (!product || !product->hasOneUse())
    return std::nullopt;
  for (auto [gate, branch] :
       {std::pair(product.getA(), product.getB()), std::pair(product.getB(), product.getA())}) {
    auto gateType = typeOf(gate), branchType = typeOf(branch);
    if (!gateType || !branchType || gateType.getRank() != branchType.getRank() ||
        gateType.getRank() < 2 || gateType.getShape().back() != 1)
      continue;
    if (auto parsed = parseGate(gate))
      return Term{parsed->first, parsed->second, branch, product};
  }
  return std::nullopt;
}

/// The summands of a tree of additions that nothing else reads.
static void collectSummands(Value value, bool isRoot, SmallVectorImpl<Value> &summands) {
  auto add = value.getDefiningOp<onnx::AddOp>();
  if (!add || (!isRoot && !add->hasOneUse()) || add.getA().getType() != add.getType() ||
      add.getB().getType() != add.getType()) {
    summands.push_back(value);
    return;
  }
  collectSummands(add.getA(), false, summands);
  collectSummands(add.getB(), false, summands);
}

/// Σ over the last dimension but one of gates, (…, modules, 1), times stacked branches.
static bool parseStack(onnx::ReduceSumOp sum, SmallVectorImpl<Term> &terms) {
  auto axis = integerOf(sum.getAxes());
  auto type = typeOf(sum.getData());
  auto product = sum.getData().getDefiningOp<onnx::MulOp>();
  if (!axis || !type || !product || sum.getKeepdims() != 0 ||
      (*axis != -2 && *axis != type.getRank() - 2) || !product->hasOneUse())
    return false;
  for (auto [gates, stack] :
       {std::pair(product.getA(), product.getB()), std::pair(product.getB(), product.getA())}) {
    auto unsqueeze = gates.getDefiningOp<onnx::UnsqueezeOp>();
    auto concat = stack.getDefiningOp<onnx::ConcatOp>();
    auto last = unsqueeze ? integerOf(unsqueeze.getAxes()) : std::nullopt;
    if (!last || !concat || !concat->hasOneUse() || !isLastAxis(*last, gates) ||
        (concat.getAxis() != -2 && concat.getAxis() != type.getRank() - 2) ||
        typeOf(unsqueeze.getData()).getShape().back() != int64_t(concat.getInputs().size()))
      continue;
    for (auto [number, input] : llvm::enumerate(concat.getInputs())) {
      auto single = input.getDefiningOp<onnx::UnsqueezeOp>();
      auto where = single ? integerOf(single.getAxes()) : std::nullopt;
      if (!where || !single->hasOneUse() || (*where != -2 && *where != type.getRank() - 2))
        return false;
      terms.push_back(
          {Gates{unsqueeze.getData(), {}, {}}, int64_t(number), single.getData(), single});
    }
    return true;
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

namespace {
/// The ops that only one branch needs, in order, and what they start from.
struct Cone {
  SmallVector<Operation *> ops;
  Value input;
};
} // namespace

/// The cone behind `branch`, which `user` alone reads: it starts from one value besides constants.
static std::optional<Cone> findCone(Value branch, Operation *user) {
  llvm::SetVector<Operation *> inside;
  auto isOwn = [&](Operation *op) {
    return llvm::all_of(op->getUsers(), [&](Operation *reader) {
      return inside.contains(reader) ||
             (reader == user && llvm::is_contained(op->getResults(), branch));
    });
  };
  Operation *first = branch.getDefiningOp();
  if (!first || !isOwn(first))
    return std::nullopt;
  inside.insert(first);
  // Users come before what they use: once around is enough for a value, its other users being in.
  for (bool grew = true; grew;) {
    grew = false;
    for (Operation *op : SmallVector<Operation *>(inside.begin(), inside.end()))
      for (Value operand : op->getOperands()) {
        Operation *producer = operand.getDefiningOp();
        if (producer && !isParameter(operand) && actsOnVectors(producer) &&
            !inside.contains(producer) && isOwn(producer))
          grew |= inside.insert(producer);
      }
  }
  Cone cone;
  for (Operation *op : inside) {
    if (!actsOnVectors(op))
      return std::nullopt;
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (producer && (inside.contains(producer) || isParameter(operand)))
        continue;
      if (cone.input && cone.input != operand)
        return std::nullopt;
      cone.input = operand;
    }
  }
  cone.ops = inside.takeVector();
  llvm::sort(cone.ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return cone.input && typeOf(cone.input) ? std::optional(std::move(cone)) : std::nullopt;
}

/// Builds what the cone makes of `rows`, a matrix of the vectors that its input has.
static Value buildCone(GraphBuilder &b, const Cone &cone, Value branch, Value rows) {
  IRMapping mapping;
  mapping.map(cone.input, rows);
  for (Operation *op : cone.ops) {
    for (Value operand : op->getOperands())
      cloneParameter(b, operand, mapping);
    Operation *clone = b.clone(*op, mapping);
    for (Value result : clone->getResults()) {
      auto type = typeOf(result);
      result.setType(RankedTensorType::get({ShapedType::kDynamic, type.getShape().back()},
                                           type.getElementType()));
    }
    if (clone->hasAttr("axis"))
      clone->setAttr("axis", b.getI64IntegerAttr(-1));
  }
  return mapping.lookup(branch);
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

bool graft::raise::raiseGatedSum(Raising &raising, Operation *op) {
  SmallVector<Term> terms;
  SmallVector<Value> others;
  if (auto sum = dyn_cast<onnx::ReduceSumOp>(op)) {
    if (!parseStack(sum, terms))
      return false;
  } else if (isa<onnx::AddOp>(op)) {
    // The root of the tree: a sum that is a summand itself is part of a greater one.
    if (op->hasOneUse() && isa<onnx::AddOp>(*op->user_begin()) &&
        op->user_begin()->getResult(0).getType() == op->getResult(0).getType())
      return false;
    SmallVector<Value> summands;
    collectSummands(op->getResult(0), true, summands);
    for (Value summand : summands) {
      if (std::optional<Term> term = parseTerm(summand))
        terms.push_back(*term);
      else if (!isZero(summand))
        others.push_back(summand);
    }
  }
  // A term for each module, all under the same gates.
  if (terms.size() < 2)
    return false;
  llvm::sort(terms, [](const Term &a, const Term &b) { return a.number < b.number; });
  for (auto [number, term] : llvm::enumerate(terms))
    if (term.number != int64_t(number) || !(term.gates == terms.front().gates))
      return false;
  const Gates &gates = terms.front().gates;
  if (!typeOf(gates.shares ? gates.shares : gates.chosen) || ShapedType::isDynamic(gates.slots()) ||
      (gates.shares && gates.slots() != int64_t(terms.size())))
    return false;
  std::vector<Cone> cones;
  for (const Term &term : terms) {
    std::optional<Cone> cone = findCone(term.branch, term.product);
    if (!cone || (!cones.empty() && cone->input != cones.front().input)) {
      raising.leave(op, "branches under the gates of one router start from different values, or "
                        "compute what is not seen as a function of one row");
      return false;
    }
    cones.push_back(std::move(*cone));
  }
  Value input = cones.front().input;
  auto inputType = typeOf(input), resultType = typeOf(op->getResult(0));
  if (!resultType || inputType.getRank() != resultType.getRank() || inputType.getRank() < 2 ||
      ShapedType::isDynamic(inputType.getShape().back()) ||
      ShapedType::isDynamic(resultType.getShape().back()))
    return false;

  // Gates and branches stand for the same rows: none is repeated for others.
  const SymbolicShapes &shapes = raising.shapes();
  auto leading = [&](Value value) { return ArrayRef(shapes.get(value).dims).drop_back(); };
  SmallVector<Value> all = {input, op->getResult(0)};
  if (gates.shares)
    all.push_back(gates.shares);
  else
    llvm::append_values(all, gates.chosen, gates.weights);
  for (Value value : all)
    if (!shapes.isKnown(value) || shapes.get(value).rank() < 2 || leading(value) != leading(input))
      return false;

  OpBuilder builder(op);
  GraphBuilder b(op->getLoc(), builder);
  MixtureBuilder mixture(raising.module, op, terms.size());
  SmallVector<Value> routed;
  buildRouter(b, mixture, gates, routed);
  Value rows = b.rowsOf(input);
  for (auto [term, cone] : llvm::zip(terms, cones))
    mixture.addExpert(rows, [&, &term = term, &cone = cone](GraphBuilder &b, ValueRange v) {
      return buildCone(b, cone, term.branch, v[0]);
    });
  Value result = b.vectorsLike(mixture.build(routed, rows), input);
  for (Value other : others)
    result = b.binary<onnx::AddOp>(result, other);
  return raising.replace(mixture, op, result, "gated sum");
}
