//===- RaiseGatedSum.cpp - Sums of gated branches become mixtures -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/ModuleBody.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

#include <numeric>

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
};

/// A sum over modules: a branch each, or one value with all of them along a dimension.
struct GatedSum {
  Gates gates;
  SmallVector<Value> branches;
  Value stack;
  int64_t axis = 0; ///< of the stack
  int64_t modules = 0;
};
} // namespace

/// The gate of the module at [start, end) of the last dimension, where that is one.
static std::optional<std::pair<Gates, int64_t>> gateAt(Value shares, int64_t start, int64_t end) {
  const int64_t modules = typeOf(shares) ? typeOf(shares).getShape().back() : ShapedType::kDynamic;
  if (ShapedType::isDynamic(modules))
    return std::nullopt;
  // The end of w[…, -1 :] may be any number behind it, that of w[…, [-1]] is 0.
  const int64_t number = start < 0 ? start + modules : start;
  const bool isLast = number == modules - 1 && (end >= modules || (start == -1 && end == 0));
  if (number < 0 || number >= modules || (!isLast && end - start != 1))
    return std::nullopt;
  return std::pair(Gates{shares, {}, {}}, number);
}

/// Which module's gate `value`, of (…, 1), is.
static std::optional<std::pair<Gates, int64_t>> parseGate(Value value) {
  Operation *op = value.getDefiningOp();
  // w[…, e : e + 1]
  if (auto slice = dyn_cast_or_null<onnx::SliceOp>(op)) {
    auto start = integerOf(slice.getStarts()), end = integerOf(slice.getEnds()),
         axis = integerOf(slice.getAxes());
    auto step = slice.getSteps() ? integerOf(slice.getSteps()) : std::optional<int64_t>(1);
    if (start && end && axis && step == 1 && isLastAxis(*axis, slice.getData()))
      return gateAt(slice.getData(), *start, *end);
  }
  // w[…, e] with a dimension of 1 behind, or w[…, [e]]
  auto unsqueeze = dyn_cast_or_null<onnx::UnsqueezeOp>(op);
  auto behind = unsqueeze ? integerOf(unsqueeze.getAxes()) : std::nullopt;
  if (auto squeeze = behind ? unsqueeze.getData().getDefiningOp<onnx::SqueezeOp>() : nullptr) {
    auto axis = squeeze.getAxes() ? integerOf(squeeze.getAxes()) : std::nullopt;
    return axis && isLastAxis(*axis, squeeze.getData()) && isLastAxis(*behind, value)
               ? parseGate(squeeze.getData())
               : std::nullopt;
  }
  if (auto gather = (behind ? unsqueeze.getData() : value).getDefiningOp<onnx::GatherOp>();
      gather && isLastAxis(gather.getAxis(), gather.getData())) {
    auto number = integerOf(gather.getIndices());
    const int64_t rank = typeOf(gather.getIndices()) ? typeOf(gather.getIndices()).getRank() : -1;
    if (number && (behind ? rank == 0 && isLastAxis(*behind, value) : rank == 1))
      return gateAt(gather.getData(), *number, *number + 1);
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
      return Term{parsed->first, parsed->second, branch};
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

/// The type that the analysis knows: an exporter's may know less.
static RankedTensorType knownType(const SymbolicShapes &shapes, Value value) {
  return shapes.isKnown(value) && isa<RankedTensorType>(value.getType()) ? shapes.type(value)
                                                                         : RankedTensorType();
}

/// The value with dimension `axis` as the last one, where `b` stands.
static Value moveLast(GraphBuilder &b, Value x, int64_t axis) {
  auto type = typeOf(x);
  const int64_t rank = type.getRank();
  if (axis == rank - 1)
    return x;
  SmallVector<int64_t> order(rank);
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin() + axis, order.begin() + axis + 1, order.end());
  if (auto before = x.getDefiningOp<onnx::TransposeOp>(); before && before.getPermAttr()) {
    auto perm = before.getPermAttr().getAsRange<IntegerAttr>();
    SmallVector<int64_t> from = llvm::map_to_vector(perm, [](IntegerAttr i) { return i.getInt(); });
    if (llvm::all_of(llvm::seq<int64_t>(0, rank), [&](int64_t i) { return from[order[i]] == i; }))
      return before.getData();
  }
  if (auto softmax = x.getDefiningOp<onnx::SoftmaxOp>();
      softmax && (softmax.getAxis() == axis || softmax.getAxis() == axis - rank))
    return b.softmax(moveLast(b, softmax.getInput(), axis));
  SmallVector<int64_t> shape =
      llvm::map_to_vector(order, [&](int64_t d) { return type.getDimSize(d); });
  return onnx::TransposeOp::create(b, type.clone(shape), x, b.getI64ArrayAttr(order));
}

/// What weighs the modules, (…, modules), given the same with a dimension of 1 at `one`; where `b`
/// stands.
static Value buildShares(GraphBuilder &b, Value gates, RankedTensorType type, int64_t axis,
                         int64_t one) {
  const int64_t rank = type.getRank(), left = axis - (one < axis);
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + one);
  auto squeeze = [&](Value x) -> Value {
    auto unsqueeze = x.getDefiningOp<onnx::UnsqueezeOp>();
    auto at = unsqueeze ? integerOf(unsqueeze.getAxes()) : std::nullopt;
    if (at && (*at == one || *at == one - rank))
      return unsqueeze.getData();
    return onnx::SqueezeOp::create(b, type.clone(shape), x, b.integers(one));
  };
  if (auto softmax = gates.getDefiningOp<onnx::SoftmaxOp>();
      softmax && (softmax.getAxis() == axis || softmax.getAxis() == axis - rank))
    return b.softmax(moveLast(b, squeeze(softmax.getInput()), left));
  return moveLast(b, squeeze(gates), left);
}

/// Whether every module gets a share, whatever the data.
static bool areSoft(Value shares) {
  Operation *op = shares.getDefiningOp();
  while (isa_and_nonnull<onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ReshapeOp, onnx::TransposeOp,
                         onnx::CastOp>(op))
    op = op->getOperand(0).getDefiningOp();
  return isa_and_nonnull<onnx::SoftmaxOp, onnx::SigmoidOp>(op);
}

/// Whether what is summed are columns of one product, of which nothing is made one by one: several
/// means of a density, say.
static bool isOneProduct(Value stack) {
  for (Operation *op = stack.getDefiningOp(); op;) {
    if (isa<onnx::MatMulOp, onnx::GemmOp>(op))
      return isParameter(op->getOperand(1)) && typeOf(op->getOperand(1)) &&
             typeOf(op->getOperand(1)).getRank() == 2;
    unsigned x = 0;
    if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp>(op)) {
      x = isParameter(op->getOperand(0)) ? 1 : 0;
      if (!isParameter(op->getOperand(1 - x)))
        return false;
    } else if (!isa<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::TransposeOp>(op)) {
      return false;
    }
    op = op->getOperand(x).getDefiningOp();
  }
  return false;
}

/// Gates, with all modules along dimension `from` and 1 along `one`, and the stack, with all
/// modules along `axis`.
static bool fitStack(GraphBuilder &b, Raising &raising, Value gates, int64_t from, int64_t one,
                     Value stack, int64_t axis, GatedSum &result) {
  if (isParameter(gates) || isParameter(stack))
    return false;
  const SymbolicShapes &shapes = raising.shapes();
  auto first = knownType(shapes, gates), second = knownType(shapes, stack);
  if (!first || !second || first.getRank() != second.getRank())
    return false;
  result.modules = second.getDimSize(axis);
  if (first.getDimSize(one) != 1 || ShapedType::isDynamic(result.modules) || result.modules < 2 ||
      first.getDimSize(from) != result.modules)
    return false;
  result.stack = stack;
  result.axis = axis;
  result.gates.shares = buildShares(b, gates, first, from, one);
  return true;
}

/// Σ over a dimension of gates, 1 along that of the results, times what has all branches.
static bool parseStack(GraphBuilder &b, Raising &raising, onnx::ReduceSumOp sum, GatedSum &result) {
  auto axis = integerOf(sum.getAxes());
  auto type = typeOf(sum.getData());
  auto product = sum.getData().getDefiningOp<onnx::MulOp>();
  if (!axis || !type || type.getRank() < 3 || !product || sum.getKeepdims() != 0 ||
      !product->hasOneUse())
    return false;
  if (*axis < 0)
    *axis += type.getRank();
  const int64_t of = *axis == type.getRank() - 1 ? *axis - 1 : type.getRank() - 1;
  for (auto [gates, stack] :
       {std::pair(product.getA(), product.getB()), std::pair(product.getB(), product.getA())})
    if (typeOf(stack) && typeOf(stack).getRank() > of && typeOf(stack).getDimSize(of) != 1 &&
        fitStack(b, raising, gates, *axis, of, stack, *axis, result))
      return true;
  return false;
}

/// Gates, (…, 1, modules), as a row that is multiplied with what has all branches, or
/// (…, modules, 1) as a column.
static bool parseProduct(GraphBuilder &b, Raising &raising, onnx::MatMulOp op, GatedSum &result) {
  auto a = typeOf(op.getA()), other = typeOf(op.getB());
  if (!a || !other || a.getRank() < 3 || a.getRank() != other.getRank())
    return false;
  const int64_t rank = a.getRank();
  if (a.getDimSize(rank - 2) == 1)
    return fitStack(b, raising, op.getA(), rank - 1, rank - 2, op.getB(), rank - 2, result);
  return other.getDimSize(rank - 1) == 1 &&
         fitStack(b, raising, op.getB(), rank - 2, rank - 1, op.getA(), rank - 1, result);
}

/// A tree of additions with a term for each module, all under the same gates; the summands that are
/// none are `others`.
static bool parseTree(onnx::AddOp op, GatedSum &result, SmallVectorImpl<Value> &others) {
  // The root of the tree: a sum that is a summand itself is part of a greater one.
  if (op->hasOneUse() && isa<onnx::AddOp>(*op->user_begin()) &&
      op->user_begin()->getResult(0).getType() == op.getType())
    return false;
  SmallVector<Value> summands;
  collectSummands(op, true, summands);
  SmallVector<Term> terms;
  for (Value summand : summands) {
    if (std::optional<Term> term = parseTerm(summand))
      terms.push_back(*term);
    else if (!isZero(summand))
      others.push_back(summand);
  }
  if (terms.size() < 2)
    return false;
  llvm::sort(terms, [](const Term &a, const Term &b) { return a.number < b.number; });
  for (auto [number, term] : llvm::enumerate(terms)) {
    if (term.number != int64_t(number) || !(term.gates == terms.front().gates))
      return false;
    result.branches.push_back(term.branch);
  }
  result.gates = terms.front().gates;
  result.modules = terms.size();
  return true;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

namespace {
/// Raises one sum.
class GatedSumRaiser {
public:
  GatedSumRaiser(mlir::ModuleOp module, SymbolicShapes &shapes, Operation *op, GatedSum &sum,
                 Operation *begin)
      : module(module), shapes(shapes), op(op), begin(begin), sum(sum),
        leading(sum.stack ? leadingOfStack() : leadingOf(op->getResult(0))) {}

  /// What stands for the sum, built by `mixture`, or null.
  Value run(GraphBuilder &b);

  std::optional<MixtureBuilder> mixture;
  bool areModules = true; ///< what is summed has parameters

private:
  bool buildBodies();
  Value build(GraphBuilder &b, MixtureBuilder &mixture, function_ref<Value(Value)> toRows);
  SmallVector<Polynomial, 4> leadingOf(Value value) const {
    return SmallVector<Polynomial, 4>(ArrayRef(shapes.get(value).dims).drop_back());
  }
  SmallVector<Polynomial, 4> leadingOfStack() const {
    auto dims = shapes.get(sum.stack).dims;
    dims.erase(dims.begin() + sum.axis);
    dims.pop_back();
    return dims;
  }

  mlir::ModuleOp module;
  SymbolicShapes &shapes;
  Operation *op, *begin; ///< between them stands what is built
  GatedSum &sum;
  const SmallVector<Polynomial, 4> leading; ///< the dimensions of what is summed but the last
  std::vector<std::unique_ptr<ModuleBody>> bodies;
  llvm::SetVector<Value> inputs;
};
} // namespace

bool GatedSumRaiser::buildBodies() {
  const Polynomial rows = leading.front();
  for (int64_t number = 0; number < sum.modules; ++number) {
    auto body = std::make_unique<ModuleBody>(shapes, op->getLoc(), rows);
    Value result;
    if (sum.stack) {
      result = body->clone(sum.stack, {sum.axis, number, 1, true});
    } else {
      body->own(sum.branches[number]);
      result = body->clone(sum.branches[number]);
    }
    if (!result || !body->finish(result))
      return false;
    bodies.push_back(std::move(body));
  }
  // Modules have parameters of their own, or nothing but the gates would tell one from another. One
  // beside what has none is a residual that is gated, unless rows may leave it out.
  std::map<Attribute, int64_t, bool (*)(Attribute, Attribute)> users(
      [](Attribute a, Attribute b) { return a.getAsOpaquePointer() < b.getAsOpaquePointer(); });
  for (auto &body : bodies)
    for (Attribute parameter : body->getParameters())
      ++users[parameter];
  const int64_t own = llvm::count_if(bodies, [&](auto &body) {
    return llvm::any_of(body->getParameters(),
                        [&](Attribute parameter) { return users[parameter] < sum.modules; });
  });
  areModules = own >= (sum.gates.shares && areSoft(sum.gates.shares) ? 2 : 1);
  if (!areModules)
    return false;
  // One thing at least is seen by all: branches of different values are no modules.
  return llvm::any_of(bodies.front()->getInputs(), [&](Value input) {
    return llvm::all_of(bodies,
                        [&](auto &body) { return llvm::is_contained(body->getInputs(), input); });
  });
}

Value GatedSumRaiser::build(GraphBuilder &b, MixtureBuilder &mixture,
                            function_ref<Value(Value)> toRows) {
  SmallVector<Value> routed, rows;
  if (toRows) {
    buildRouter(b, mixture, sum.gates, routed);
  } else {
    routed.push_back(sum.gates.shares);
    mixture.route(routed, [&](GraphBuilder &b, ValueRange v) { return takeWeighed(b, v[0]); });
  }
  for (Value input : inputs)
    rows.push_back(toRows ? toRows(input) : input);
  for (auto &body : bodies)
    mixture.addExpert(rows, [&](GraphBuilder &b, ValueRange v) {
      IRMapping mapping;
      func::FuncOp function = body->getFunction();
      for (auto [input, argument] : llvm::zip(body->getInputs(), function.getArguments()))
        mapping.map(argument, v[llvm::find(inputs, input) - inputs.begin()]);
      Block &block = function.getBody().front();
      for (Operation &inner : block.without_terminator())
        if (!inner.use_empty())
          b.clone(inner, mapping);
      return mapping.lookup(block.getTerminator()->getOperand(0));
    });
  return mixture.build(routed, rows, toRows ? Aggregation::WeightedSum : Aggregation::Sum);
}

Value GatedSumRaiser::run(GraphBuilder &b) {
  auto isLike = [&](Value value) {
    return shapes.isKnown(value) && shapes.get(value).rank() >= 2 && leadingOf(value) == leading;
  };
  SmallVector<Value> gates;
  if (sum.gates.shares)
    gates.push_back(sum.gates.shares);
  else
    llvm::append_values(gates, sum.gates.chosen, sum.gates.weights);
  // Gates stand for the rows of the branches, or one for all of a sequence.
  for (Value gate : gates) {
    if (!shapes.isKnown(gate) || shapes.get(gate).rank() != leading.size() + 1)
      return {};
    for (auto [d, own] : llvm::enumerate(leadingOf(gate)))
      if (own != leading[d] && (!own.isConstant(1) || d == 0))
        return {};
  }
  if (ShapedType::isDynamic(sum.gates.slots()) ||
      (sum.gates.shares && sum.gates.slots() != sum.modules) ||
      !llvm::all_of(sum.branches, isLike) ||
      (sum.stack && areSoft(sum.gates.shares) && isOneProduct(sum.stack)) || !buildBodies())
    return {};
  // A weight for each channel of a convolution is attention to channels.
  const bool weighsChannels = leading.size() > 1 && !leadingOf(gates.front())[1].isConstant(1);
  if (weighsChannels && llvm::any_of(bodies, [](auto &body) { return body->hasConvolution(); }))
    return {};
  bool areVectors = leading.size() > 1 && llvm::all_of(gates, isLike);
  for (auto &body : bodies)
    areVectors = areVectors && llvm::all_of(body->getInputs(), isLike) && body->isOfVectors();
  const bool areSequences = leading.size() > 1 && !areVectors;
  if (areSequences && !sum.gates.shares)
    return {};
  mixture.emplace(module, op, sum.modules, begin);
  for (auto [number, body] : llvm::enumerate(bodies)) {
    // Where a module makes of a sequence what each of its rows weighs, the module weighs it
    // itself, and is chosen for the sequences with a row that has a weight.
    if (areSequences)
      body->weigh(sum.gates.shares, number, *mixture);
    if (areVectors)
      body->flatten();
    for (Value input : body->getInputs())
      inputs.insert(input);
  }
  if (areSequences) {
    Value result = build(b, *mixture, nullptr);
    // Whose dimensions these are nothing tells but a value that has them.
    auto like = llvm::find_if(inputs, isLike);
    return like == inputs.end() ? result : b.vectorsLike(result, *like);
  }
  if (!areVectors)
    return build(b, *mixture, [](Value value) { return value; });
  return b.vectorsLike(build(b, *mixture, [&](Value value) { return b.rowsOf(value); }),
                       gates.front());
}

bool graft::raise::raiseGatedSum(Raising &raising, Operation *op) {
  auto type = op->getNumResults() == 1 ? typeOf(op->getResult(0)) : nullptr;
  if (!type || type.getRank() < 2 || !isa<FloatType>(type.getElementType()))
    return false;
  OpBuilder builder(op);
  GraphBuilder b(op->getLoc(), builder);
  GatedSum sum;
  SmallVector<Value> others;
  Operation *before = op->getPrevNode();
  auto built = [&] {
    SmallVector<Operation *> ops;
    Operation *first = before ? before->getNextNode() : &op->getBlock()->front();
    for (Operation *made = first; made != op; made = made->getNextNode())
      ops.push_back(made);
    return ops;
  };
  auto add = dyn_cast<onnx::AddOp>(op);
  auto reduction = dyn_cast<onnx::ReduceSumOp>(op);
  auto product = dyn_cast<onnx::MatMulOp>(op);
  std::optional<GatedSumRaiser> raiser;
  Value result;
  if ((add && parseTree(add, sum, others)) ||
      (reduction && parseStack(b, raising, reduction, sum)) ||
      (product && parseProduct(b, raising, product, sum))) {
    SymbolicShapes &shapes = raising.shapes();
    for (Operation *made : built())
      shapes.visit(made);
    if (shapes.isKnown(op->getResult(0)) && shapes.get(op->getResult(0)).dims.back().asConstant())
      result = raiser.emplace(raising.module, shapes, op, sum, before).run(b);
  }
  auto drop = [&] {
    for (Operation *made : llvm::reverse(built()))
      made->erase();
    return false;
  };
  if (!result) {
    if (raiser && raiser->areModules && (add || sum.stack.getDefiningOp<onnx::ConcatOp>()))
      raising.leave(op, "branches under the gates of one router start from different values, or "
                        "compute what is not seen as a function of one row");
    return drop();
  }
  for (Value other : others)
    result = b.binary<onnx::AddOp>(result, other);
  if (product)
    result = onnx::UnsqueezeOp::create(b, type, result,
                                       b.integers(sum.axis - typeOf(sum.stack).getRank()));
  return raising.replace(*raiser->mixture, op, result, "gated sum") || drop();
}
