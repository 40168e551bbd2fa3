//===- GatedTree.cpp - Additions of branches, each under its gate -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/GatedSum.h"
#include "graft/Transforms/LoopBranch.h"

#include <map>

using namespace mlir;
using namespace graft;
using namespace graft::raise;
using onnx::GraphBuilder;

namespace {
/// A term of the sum: a branch under gates of module `number`, and under scales that are no
/// module's.
struct Term {
  SmallVector<Gates> gates;
  SmallVector<Value> scales;
  int64_t number;
  Value gate, branch;
};

class TermParser {
public:
  explicit TermParser(SymbolicShapes &shapes) : shapes(shapes) {}

  std::optional<Term> parse(Value value);

private:
  using Gate = std::pair<Gates, int64_t>;

  std::optional<Gate> gateAt(Value shares, int64_t start, int64_t end) const;
  std::optional<Gate> parseGate(Value value) const;
  std::optional<Gate> parseMask(Value value, bool isNegated) const;
  std::optional<Gate> parseMasked(Operation *op) const;
  /// The value with a dimension of 1 at the end that multiplies as this one does, or null.
  Value scaleOf(Value value) const;
  bool addScale(Value scale, Term &term) const;
  bool addFactors(Value value, Term &term) const;

  bool isKnown(Value value) const { return shapes.isKnown(value) && typeOf(value); }
  ArrayRef<Polynomial> dims(Value value) const { return shapes.get(value).dims; }
  std::optional<int64_t> one(Value value) const {
    auto all = value && isKnown(value) ? shapes.constantElements(value) : std::nullopt;
    return all && all->size() == 1 ? std::optional(all->front()) : std::nullopt;
  }

  SymbolicShapes &shapes;
};
} // namespace

/// The gate of the module at [start, end) of the last dimension, where that is one.
std::optional<TermParser::Gate> TermParser::gateAt(Value shares, int64_t start, int64_t end) const {
  auto modules =
      isKnown(shares) && !dims(shares).empty() ? dims(shares).back().asConstant() : std::nullopt;
  if (!modules)
    return std::nullopt;
  // The end of w[…, -1 :] may be any number behind it, that of w[…, [-1]] is 0.
  const int64_t number = start < 0 ? start + *modules : start;
  const bool isLast = number == *modules - 1 && (end >= *modules || (start == -1 && end == 0));
  if (number < 0 || number >= *modules || (!isLast && end - start != 1))
    return std::nullopt;
  return Gate(Gates{shares, {}, {}}, number);
}

/// [chosen = e], as a bool or a number, or what negates it.
std::optional<TermParser::Gate> TermParser::parseMask(Value value, bool isNegated) const {
  for (value = peel(value); isa_and_nonnull<onnx::CastOp, onnx::NotOp>(value.getDefiningOp());) {
    isNegated ^= isa<onnx::NotOp>(value.getDefiningOp());
    value = peel(value.getDefiningOp()->getOperand(0));
  }
  auto equal = value.getDefiningOp<onnx::EqualOp>();
  if (!equal || isNegated)
    return std::nullopt;
  for (auto [chosen, wanted] :
       {std::pair(equal.getA(), equal.getB()), std::pair(equal.getB(), equal.getA())})
    if (auto module = integerOf(wanted); module && isKnown(chosen) && !dims(chosen).empty())
      return Gate(Gates{{}, chosen, {}}, *module);
  return std::nullopt;
}

/// [chosen = e] · weights, as a product or a choice between the weights and 0.
std::optional<TermParser::Gate> TermParser::parseMasked(Operation *op) const {
  SmallVector<std::tuple<Value, Value, bool>> pairs;
  if (auto product = dyn_cast_or_null<onnx::MulOp>(op)) {
    pairs = {{product.getA(), product.getB(), false}, {product.getB(), product.getA(), false}};
  } else if (auto where = dyn_cast_or_null<onnx::WhereOp>(op)) {
    if (isZero(where.getY()))
      pairs.push_back({where.getCondition(), where.getX(), false});
    if (isZero(where.getX()))
      pairs.push_back({where.getCondition(), where.getY(), true});
  }
  for (auto [mask, weights, isNegated] : pairs)
    if (auto gate = parseMask(mask, isNegated);
        gate && isKnown(weights) && dims(gate->first.chosen) == dims(weights)) {
      gate->first.weights = weights;
      return gate;
    }
  return std::nullopt;
}

/// Which module's gate `value` is. Where the numbers of the rows stand is for others to see.
std::optional<TermParser::Gate> TermParser::parseGate(Value value) const {
  value = peel(value);
  Operation *op = value.getDefiningOp();
  // w[…, e : e + 1]
  if (auto slice = dyn_cast_or_null<onnx::SliceOp>(op)) {
    auto start = one(slice.getStarts()), end = one(slice.getEnds()), axis = one(slice.getAxes());
    auto step = slice.getSteps() ? one(slice.getSteps()) : std::optional<int64_t>(1);
    return start && end && axis && step == 1 && isLastAxis(*axis, slice.getData())
               ? gateAt(slice.getData(), *start, *end)
               : std::nullopt;
  }
  // w[…, e], w[…, [e]]
  if (auto gather = dyn_cast_or_null<onnx::GatherOp>(op)) {
    auto number = one(gather.getIndices());
    return number && isLastAxis(gather.getAxis(), gather.getData())
               ? gateAt(gather.getData(), *number, *number + 1)
               : std::nullopt;
  }
  // One of as many parts as there are modules.
  if (auto split = dyn_cast_or_null<onnx::SplitOp>(op)) {
    const int64_t number = cast<OpResult>(value).getResultNumber();
    auto isOne = [&](Value part) { return isKnown(part) && dims(part).back().isConstant(1); };
    return isLastAxis(split.getAxis(), split.getInput()) && llvm::all_of(split->getResults(), isOne)
               ? gateAt(split.getInput(), number, number + 1)
               : std::nullopt;
  }
  // Σ_slots [chosen = e] · weights
  if (auto sum = dyn_cast_or_null<onnx::ReduceSumOp>(op)) {
    auto axis = one(sum.getAxes());
    if (!axis || !isLastAxis(*axis, sum.getData()))
      return std::nullopt;
    return parseMasked(sum.getData().getDefiningOp());
  }
  // The same of one slot.
  if (auto gate = parseMasked(op))
    return gate;
  return parseMask(value, false);
}

static SmallVector<Polynomial, 4> withoutOnes(ArrayRef<Polynomial> dims) {
  SmallVector<Polynomial, 4> result(dims);
  llvm::erase_if(result, [](const Polynomial &dim) { return dim.isConstant(1); });
  return result;
}

Value TermParser::scaleOf(Value value) const {
  if (auto expand = value.getDefiningOp<onnx::ExpandOp>())
    return scaleOf(expand.getInput());
  return isKnown(value) && dims(value).size() > 1 && dims(value).back().isConstant(1) ? value
                                                                                      : Value();
}

bool TermParser::addScale(Value scale, Term &term) const {
  if (auto gate = parseGate(scale)) {
    if (!term.gates.empty() && term.number != gate->second)
      return false;
    const bool isSum = peel(scale).getDefiningOp<onnx::ReduceSumOp>() != nullptr;
    if (gate->first.chosen && !isSum && dims(gate->first.chosen) != dims(scale)) {
      if (withoutOnes(dims(gate->first.chosen)) != withoutOnes(dims(scale)))
        return false;
      gate->first.count = 1;
    }
    term.number = gate->second;
    term.gates.push_back(gate->first);
    term.gate = scale;
    return true;
  }
  if (auto product = scale.getDefiningOp<onnx::MulOp>())
    return llvm::all_of(product->getOperands(), [&](Value factor) {
      Value of = scaleOf(factor);
      return of && addScale(of, term);
    });
  term.scales.push_back(scale);
  return true;
}

/// The factors of a product, of which one is no scale: the branch.
bool TermParser::addFactors(Value value, Term &term) const {
  auto product = value.getDefiningOp<onnx::MulOp>();
  auto where = value.getDefiningOp<onnx::WhereOp>();
  if (where && !(isZero(where.getY()) && scaleOf(where.getCondition())))
    where = nullptr;
  if ((product || where) && value.hasOneUse())
    for (bool isFirst : {true, false}) {
      if (where && !isFirst)
        break;
      Value factor = value.getDefiningOp()->getOperand(isFirst ? 0 : 1),
            rest = value.getDefiningOp()->getOperand(isFirst ? 1 : 0);
      Value scale = scaleOf(factor);
      if (!scale || scaleOf(rest))
        continue;
      // Under its gate, what scales a branch is part of it.
      if (!term.gates.empty() && !parseGate(scale))
        break;
      return dims(scale).size() == dims(value).size() && addScale(scale, term) &&
             addFactors(rest, term);
    }
  term.branch = value;
  return true;
}

std::optional<Term> TermParser::parse(Value value) {
  Term term;
  if (!isKnown(value) || dims(value).size() < 2 || !addFactors(value, term) || term.gates.empty())
    return std::nullopt;
  return term;
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

/// The value of which `value` is one position along the last dimension, and which; or null.
static std::pair<Value, int64_t> slotOf(Value value) {
  value = peel(value);
  auto gather = value.getDefiningOp<onnx::GatherOp>();
  if (auto at = gather ? integerOf(gather.getIndices()) : std::nullopt;
      at && isLastAxis(gather.getAxis(), gather.getData()))
    return {gather.getData(), *at};
  auto slice = value.getDefiningOp<onnx::SliceOp>();
  auto axis = slice ? integerOf(slice.getAxes()) : std::nullopt;
  auto start = slice ? integerOf(slice.getStarts()) : std::nullopt;
  auto end = slice ? integerOf(slice.getEnds()) : std::nullopt;
  if (axis && start && end && isLastAxis(*axis, slice.getData()) && *end - *start == 1)
    return {slice.getData(), *start};
  return {};
}

/// Makes a term for each module of those for each slot and module; false if a slot lacks one.
static bool mergeSlots(SmallVectorImpl<Term> &terms, int64_t &slots) {
  std::map<int64_t, SmallVector<Term>> byNumber;
  for (Term &term : terms) {
    Gates &gates = term.gates.front();
    if (term.gates.size() != 1 || !gates.chosen)
      return false;
    // Its weight is beside the mask, or a scale.
    if (!gates.weights && term.scales.size() == 1)
      gates.weights = term.scales.pop_back_val();
    auto [chosen, slot] = slotOf(gates.chosen);
    if (!chosen || !typeOf(chosen))
      return false;
    if (gates.weights) {
      auto [weights, other] = slotOf(gates.weights);
      if (!weights || other != slot)
        return false;
      gates.weights = weights;
    }
    gates.chosen = chosen;
    gates.count = 0;
    slots = typeOf(chosen).getShape().back();
    // What differs is the slot alone.
    auto &others = byNumber[term.number];
    const int64_t index = slot < 0 ? slot + slots : slot;
    if (index != int64_t(others.size()) || !(gates == terms.front().gates.front()) ||
        (!others.empty() && others.front().branch != term.branch))
      return false;
    others.push_back(term);
  }
  terms.clear();
  for (auto &[number, others] : byNumber) {
    if (int64_t(others.size()) != slots)
      return false;
    terms.push_back(others.front());
  }
  return true;
}

/// One gate for the gates and scales that all terms have.
static std::optional<Gates> combine(GraphBuilder &b, const Term &term) {
  Gates result = term.gates.front();
  for (const Gates &other : llvm::drop_begin(term.gates)) {
    // A mask beside a weight for each module is in the weights, or the comparison shows it.
    if (!result.shares || !other.shares || typeOf(result.shares) != typeOf(other.shares))
      return std::nullopt;
    result.shares = b.binary<onnx::MulOp>(result.shares, other.shares);
  }
  for (Value scale : term.scales) {
    Value &weights = result.shares ? result.shares : result.weights;
    if (result.count) {
      // One weight for each row, as what is chosen is.
      while (typeOf(scale).getRank() != typeOf(result.chosen).getRank()) {
        auto unsqueeze = scale.getDefiningOp<onnx::UnsqueezeOp>();
        if (!unsqueeze || !typeOf(unsqueeze.getData()))
          return std::nullopt;
        scale = unsqueeze.getData();
      }
      weights = weights ? b.binary<onnx::MulOp>(weights, scale) : scale;
      continue;
    }
    if (weights && typeOf(weights).getRank() != typeOf(scale).getRank())
      return std::nullopt;
    weights = weights ? b.binary<onnx::MulOp>(weights, scale) : b.expandTo(scale, result.chosen);
  }
  return result;
}

bool graft::raise::parseTree(GraphBuilder &b, Raising &raising, onnx::AddOp op, GatedSum &result) {
  // The root of the tree: a sum that is a summand itself is part of a greater one.
  if (op->hasOneUse() && isa<onnx::AddOp>(*op->user_begin()) &&
      op->user_begin()->getResult(0).getType() == op.getType())
    return false;
  SmallVector<Value> summands;
  collectSummands(op, true, summands);
  if (llvm::count_if(summands, [](Value value) {
        return isa_and_nonnull<onnx::MulOp, onnx::WhereOp>(value.getDefiningOp());
      }) < 2)
    return false;
  TermParser parser(raising.shapes());
  SmallVector<Term> terms;
  for (Value summand : summands) {
    if (std::optional<Term> term = parser.parse(summand))
      terms.push_back(*term);
    else if (!isZero(summand))
      result.others.push_back(summand);
  }
  if (terms.size() < 2)
    return false;
  llvm::stable_sort(terms, [](const Term &a, const Term &b) { return a.number < b.number; });
  if (llvm::adjacent_find(terms,
                          [](const Term &a, const Term &b) { return a.number == b.number; }) !=
          terms.end() &&
      !mergeSlots(terms, result.uses))
    return false;
  const Term &front = terms.front();
  for (auto [number, term] : llvm::enumerate(terms)) {
    if (term.number != int64_t(number) || term.gates != front.gates || term.scales != front.scales)
      return false;
    result.branches.push_back(term.branch);
  }
  std::optional<Gates> gates = combine(b, front);
  if (!gates)
    return false;
  result.gates = *gates;
  result.like = front.gate;
  result.modules = terms.size();
  return true;
}
