//===- RaiseGatedSum.cpp - Sums of gated branches become mixtures -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/GatedSum.h"
#include "graft/Transforms/LoopBranch.h"
#include "graft/Transforms/ModuleBody.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

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

/// Whether an op sums over a dimension of the value that, beside it, only parameters have.
static bool isMultipliedWithParameter(Operation *user, Value value, const SymbolicShapes &shapes) {
  if (isa<onnx::MatMulOp, onnx::GemmOp>(user))
    return llvm::any_of(user->getOperands(), isParameter);
  auto einsum = dyn_cast<onnx::EinsumOp>(user);
  auto equation = einsum ? EinsumEquation::of(einsum, shapes) : std::nullopt;
  if (!equation)
    return false;
  for (auto [number, labels] : llvm::enumerate(equation->operands)) {
    if (user->getOperand(number) != value)
      continue;
    for (int label : labels) {
      bool isSummed = !llvm::is_contained(equation->result, label), hasOther = false;
      for (auto [i, other] : llvm::enumerate(equation->operands))
        if (i != number && llvm::is_contained(other, label)) {
          hasOther = true;
          isSummed = isSummed && isParameter(user->getOperand(i));
        }
      if (isSummed && hasOther)
        return true;
    }
  }
  return false;
}

/// Whether what weighs is multiplied with parameters elsewhere: features of the rows, of which this
/// is a bilinear form.
static bool areFeatures(Value shares, const SymbolicShapes &shapes) {
  for (Value value = shares;;) {
    for (Operation *user : value.getUsers())
      if (isMultipliedWithParameter(user, value, shapes))
        return true;
    Operation *op = value.getDefiningOp();
    if (!isa_and_nonnull<onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ReshapeOp, onnx::TransposeOp,
                         onnx::SliceOp, onnx::IdentityOp>(op))
      return false;
    value = op->getOperand(0);
  }
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
  bool areSlots = false;  ///< but is the same for all rows

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
      body->own(sum.branches[number], sum.uses);
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
  areSlots = llvm::none_of(bodies, [](auto &body) { return body->readsRows(); });
  if (areSlots)
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
    auto places = raise::typeOf(sum.gates.shares).getShape().drop_front().drop_back();
    if (llvm::any_of(places, [](int64_t size) { return size != 1; }))
      mixture.weighTokens();
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
    gates.push_back(sum.gates.chosen);
  if (sum.gates.weights)
    gates.push_back(sum.gates.weights);
  auto haveRows = [&] {
    areSlots = !sum.branches.empty() &&
               llvm::all_of(sum.branches, [](Value branch) { return isParameter(peel(branch)); });
    return llvm::all_of(sum.branches, isLike);
  };
  // Gates stand for the rows of the branches, or one for all of a sequence.
  auto isFlat = [&](Value gate) {
    ArrayRef<Polynomial> dims = shapes.get(gate).dims;
    return (sum.gates.count ? dims : dims.drop_back()) == ArrayRef(product(leading)) ||
           (sum.gates.count && dims == ArrayRef(leading));
  };
  auto isOfSequence = [&](Value gate) {
    ArrayRef<Polynomial> dims = shapes.get(gate).dims;
    dims = sum.gates.count ? dims : dims.drop_back();
    return !dims.empty() && dims.front() == leading.front() &&
           llvm::all_of(dims.drop_front(), [](const Polynomial &dim) { return dim.isConstant(1); });
  };
  for (Value gate : gates) {
    if (!shapes.isKnown(gate) || shapes.get(gate).rank() == 0)
      return {};
    if (isFlat(gate) || isOfSequence(gate))
      continue;
    if (shapes.get(gate).rank() != leading.size() + 1)
      return {};
    for (auto [d, own] : llvm::enumerate(leadingOf(gate)))
      if (own != leading[d] && (!own.isConstant(1) || d == 0))
        return {};
  }
  if (ShapedType::isDynamic(sum.gates.slots()) ||
      (sum.gates.shares && sum.gates.slots() != sum.modules) || !haveRows() ||
      (sum.stack && sum.gates.shares &&
       (areSoft(sum.gates.shares) ? isOneProduct(sum.stack)
                                  : areFeatures(sum.gates.shares, shapes))) ||
      !buildBodies())
    return {};
  const bool arePerSequence =
      leading.size() > 1 && !llvm::all_of(gates, isFlat) && llvm::all_of(gates, isOfSequence);
  // A weight for each channel of a convolution is attention to channels.
  const bool weighsChannels = leading.size() > 1 && !arePerSequence && !isFlat(gates.front()) &&
                              shapes.get(gates.front()).rank() > 2 &&
                              !leadingOf(gates.front())[1].isConstant(1);
  if (weighsChannels && llvm::any_of(bodies, [](auto &body) { return body->hasConvolution(); }))
    return {};
  bool areVectors = leading.size() > 1 && !arePerSequence &&
                    llvm::all_of(gates, [&](Value gate) { return isFlat(gate) || isLike(gate); });
  for (auto &body : bodies)
    areVectors = areVectors && llvm::all_of(body->getInputs(), isLike) && body->isOfVectors();
  const bool areSequences = leading.size() > 1 && !areVectors && !arePerSequence;
  if (areSequences &&
      (!sum.gates.shares || shapes.get(sum.gates.shares).rank() != leading.size() + 1))
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
  auto asItIs = [](Value value) { return value; };
  if (areSequences || arePerSequence) {
    Value result = areSequences ? build(b, *mixture, nullptr) : build(b, *mixture, asItIs);
    // Whose dimensions these are nothing tells but a value that has them.
    auto like = llvm::find_if(inputs, isLike);
    return like == inputs.end() ? result : b.vectorsLike(result, *like);
  }
  if (!areVectors)
    return build(b, *mixture, asItIs);
  return b.vectorsLike(build(b, *mixture, [&](Value value) { return b.rowsOf(value); }),
                       sum.like ? sum.like : gates.front());
}

bool graft::raise::raiseGatedSum(Raising &raising, Operation *op) {
  auto type = op->getNumResults() == 1 ? typeOf(op->getResult(0)) : nullptr;
  if (!type || type.getRank() < 2 || !isa<FloatType>(type.getElementType()))
    return false;
  OpBuilder builder(op);
  GraphBuilder b(op->getLoc(), builder);
  GatedSum sum;
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
  auto einsum = dyn_cast<onnx::EinsumOp>(op);
  const bool isPick =
      isa<onnx::MulOp, onnx::GatherOp, onnx::GatherNDOp, onnx::GatherElementsOp>(op);
  std::optional<GatedSumRaiser> raiser;
  Value result;
  if ((add && parseTree(b, raising, add, sum)) ||
      (reduction && parseStack(b, raising, reduction, sum)) ||
      (product && parseProduct(b, raising, product, sum)) ||
      (einsum && parseEinsum(b, raising, einsum, sum)) ||
      (isPick && parsePick(b, raising, op, sum))) {
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
    if (raiser && raiser->areSlots)
      raising.leave(op, "what is weighed is the same for all rows: attention over learned slots");
    else if (llvm::any_of(sum.branches,
                          [](Value branch) { return peel(branch).getDefiningOp<AggregateOp>(); }))
      raising.leave(op, "what is weighed are mixtures themselves, whose routes would not be shown "
                        "inside of a module");
    else if (raiser && raiser->areModules && (add || sum.stack.getDefiningOp<onnx::ConcatOp>()))
      raising.leave(op, "branches under the gates of one router start from different values, or "
                        "compute what is not seen as a function of one row");
    return drop();
  }
  if (sum.rows)
    result = b.vectorsLike(result, sum.rows);
  for (Value other : sum.others)
    result = b.binary<onnx::AddOp>(result, other);
  if (product || sum.keepsAxis)
    result = onnx::UnsqueezeOp::create(b, type, result,
                                       b.integers(sum.axis - typeOf(sum.stack).getRank()));
  return raising.replace(*raiser->mixture, op, result, "gated sum") || drop();
}
