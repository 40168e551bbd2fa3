//===- RaiseLoop.cpp - Loops over experts, unrolled, become mixtures -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Fault/Fault.h"
#include "graft/Transforms/LoopBranch.h"
#include "graft/Transforms/RaiseCheck.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

namespace {
/// One step of the loop: what is added to, or put into, some rows of the accumulator.
struct Step {
  Operation *op;
  Value updates;
  Value mask;        ///< of the rows, where all are computed; or null
  bool adds;         ///< to what is there
  LoopBranch branch; ///< without its weights
  SmallVector<Value> scales;
  std::optional<int64_t> expert, slot; ///< any slot if it has none
  Operation *hit = nullptr;            ///< what takes its number of those that rows have chosen
  /// What it may be of, where experts were drawn: an expert, and a slot or -1 for any.
  SmallVector<std::pair<int64_t, int64_t>> candidates = {};
};

/// Σ over experts of what each makes of the rows that it is chosen for, step by step.
class Loop {
public:
  Loop(Raising &raising, Operation *root) : raising(raising), root(root) {}

  /// Finds the steps; false if there are not two at least that depend on one choice of experts, or
  /// one that tracing ran over the experts that were chosen.
  bool parse();
  /// Whether it is a mixture; if not, `why`, and `where` if that is known.
  bool match();
  /// Puts the mixture in its place.
  FailureOr<bool> build();

  std::string why;
  Operation *where = nullptr;
  /// Says what an export froze of a loop that stays; failure if other rows would get wrong numbers.
  LogicalResult reportFrozen();
  /// What need not be looked at again.
  SmallVector<Operation *> all() const {
    SmallVector<Operation *> ops(sums);
    for (const Step &step : steps)
      ops.push_back(step.op);
    return ops;
  }

private:
  void parse(Value sum, bool isRoot);
  bool parseScatter(Operation *op, Value data, Value updates, StringRef reduction);
  bool parseWhere(onnx::WhereOp op);
  bool findChosen();
  Operation *findHit(const llvm::SetVector<Value> &cone) const;
  bool findBranches();
  Value findDense(Value branch, const Step &step) const;
  bool findWeights();
  bool findNumbers();
  bool refuse(Operation *op, const Twine &text) {
    where = op;
    why = text.str();
    return false;
  }
  /// The dimensions of what is routed.
  ArrayRef<Polynomial> rowsOfInput() const {
    const LoopBranch &front = steps.front().branch;
    return front.ofSequences ? dims(front.input).take_front() : dims(front.input).drop_back();
  }
  bool findCandidates(Draws &draws);
  /// Enough to tell one expert from another.
  int64_t drawnRows() const { return 16 + 4 * experts; }
  Value rowsOf(const Step &step) const { return step.mask ? step.mask : step.branch.places; }
  /// Whether the steps are of those experts that the rows of a trace had chosen.
  bool isTraced() const {
    return steps.front().branch.number || llvm::all_of(steps, [](auto &s) { return s.hit; });
  }
  bool isKnown(Value value) const { return raising.shapes().isKnown(value); }
  ArrayRef<Polynomial> dims(Value value) const { return raising.shapes().get(value).dims; }
  bool isScale(Value value) const {
    return isKnown(value) && !dims(value).empty() && dims(value).back() == Polynomial(1);
  }

  Raising &raising; ///< whose shapes are asked for once there are steps
  Operation *root;
  std::vector<Step> steps;
  SmallVector<Operation *> sums;
  SmallVector<Value> others;
  Value chosen, weights;
  int64_t slots = 0, experts = 0;
};
} // namespace

/// The ops behind a value, nearest first, not beyond products and choices.
static llvm::SetVector<Value> conesOf(ArrayRef<Value> values) {
  llvm::SetVector<Value> cone(values.begin(), values.end());
  for (size_t i = 0; i < cone.size() && cone.size() < 4096; ++i) {
    Operation *op = cone[i].getDefiningOp();
    if (op && !isa<onnx::MatMulOp, onnx::GemmOp, onnx::ConvOp, onnx::TopKOp, onnx::ArgMaxOp,
                   onnx::ShapeOp>(op))
      cone.insert(op->operand_begin(), op->operand_end());
  }
  return cone;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

bool Loop::parseScatter(Operation *op, Value data, Value updates, StringRef reduction) {
  if (reduction != "add" && reduction != "none")
    return false;
  Step step{op, updates, {}, reduction == "add", LoopBranch(raising), {}, {}, {}, {}};
  // acc[rows] = acc[rows] + update
  if (auto add = peel(updates).getDefiningOp<onnx::AddOp>(); add && !step.adds)
    for (auto [old, update] :
         {std::pair(add.getA(), add.getB()), std::pair(add.getB(), add.getA())})
      if (Operation *gather = peel(old).getDefiningOp();
          isa_and_nonnull<onnx::GatherOp, onnx::GatherNDOp, onnx::GatherElementsOp>(gather) &&
          gather->getOperand(0) == data) {
        step.adds = true;
        step.updates = update;
      }
  step.adds = step.adds || isZero(data);
  steps.push_back(std::move(step));
  parse(data, false);
  return true;
}

/// Where(mask, acc + update, acc) or Where(mask, update, acc), and the other way around.
bool Loop::parseWhere(onnx::WhereOp op) {
  for (auto [updates, old] : {std::pair(op.getX(), op.getY()), std::pair(op.getY(), op.getX())}) {
    Operation *chain = old.getDefiningOp();
    if (!isZero(old) && !isa_and_nonnull<onnx::WhereOp>(chain))
      continue;
    Step step{op, updates, op.getCondition(), false, LoopBranch(raising), {}, {}, {}, {}};
    if (auto add = updates.getDefiningOp<onnx::AddOp>();
        add && (add.getA() == old || add.getB() == old)) {
      step.adds = true;
      step.updates = add.getA() == old ? add.getB() : add.getA();
    }
    steps.push_back(std::move(step));
    parse(old, false);
    return true;
  }
  return false;
}

/// Whether one op reads the elements; others may ask for the shape.
static bool isReadOnce(Operation *op) {
  return llvm::count_if(op->getUsers(), [](Operation *user) {
           const bool isCut = isa<onnx::SliceOp>(user) &&
                              llvm::all_of(user->getUsers(), llvm::IsaPred<onnx::ShapeOp>);
           return !isCut && !isa<onnx::ShapeOp>(user);
         }) == 1;
}

void Loop::parse(Value sum, bool isRoot) {
  if (isZero(sum))
    return;
  Operation *op = sum.getDefiningOp();
  if (auto scatter = dyn_cast_or_null<onnx::ScatterNDOp>(op)) {
    if (parseScatter(op, scatter.getData(), scatter.getUpdates(), scatter.getReduction()))
      return;
  } else if (auto scatter = dyn_cast_or_null<onnx::ScatterElementsOp>(op)) {
    if (scatter.getAxis() == 0 &&
        parseScatter(op, scatter.getData(), scatter.getUpdates(), scatter.getReduction()))
      return;
  } else if (auto where = dyn_cast_or_null<onnx::WhereOp>(op)) {
    if (parseWhere(where))
      return;
  } else if (auto add = dyn_cast_or_null<onnx::AddOp>(op);
             add && (isRoot || isReadOnce(add)) && typeOf(add.getA()) && typeOf(add.getB()) &&
             typeOf(add.getA()).getRank() == typeOf(add.getB()).getRank()) {
    sums.push_back(add);
    parse(add.getA(), false);
    parse(add.getB(), false);
    return;
  }
  others.push_back(sum);
}

bool Loop::parse() {
  if (!typeOf(root->getResult(0)) || !isa<FloatType>(typeOf(root->getResult(0)).getElementType()))
    return false;
  parse(root->getResult(0), true);
  if (steps.empty())
    return false;
  // Of a sum of a loop and of something else, the loop is looked at alone.
  if (isa<onnx::AddOp>(root))
    for (Value operand : root->getOperands())
      if (llvm::is_contained(others, operand))
        return false;
  return findChosen();
}

/// The scores of which a choice takes the greatest along their last dimension, or null.
static Value scoresOf(Value chosen) {
  auto top = chosen.getDefiningOp<onnx::TopKOp>();
  auto arg = chosen.getDefiningOp<onnx::ArgMaxOp>();
  return top ? top.getX() : arg ? arg.getData() : Value();
}

/// The op that takes one number of NonZero(is chosen), which has an element for each expert: what
/// `for expert in hit` leaves of a trace. Its rows are another expert's if others are chosen.
Operation *Loop::findHit(const llvm::SetVector<Value> &cone) const {
  for (Value value : cone) {
    Operation *op = value.getDefiningOp();
    auto split = dyn_cast_or_null<onnx::SplitOp>(op);
    auto gather = dyn_cast_or_null<onnx::GatherOp>(op);
    auto sizes = split && split.getSplit() ? integersOf(split.getSplit()) : std::nullopt;
    if (!(sizes && llvm::all_of(*sizes, [](int64_t size) { return size == 1; })) &&
        !(gather && integerOf(gather.getIndices())))
      continue;
    Value numbers = op->getOperand(0);
    int64_t axis = split ? split.getAxis() : gather.getAxis();
    Value source = numbers;
    while (Operation *from = source.getDefiningOp()) {
      if (!isa<onnx::TransposeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ReshapeOp,
               onnx::FlattenOp, onnx::CastOp, onnx::IdentityOp>(from))
        break;
      source = from->getOperand(0);
    }
    auto nonZero = source.getDefiningOp<onnx::NonZeroOp>();
    if (!nonZero || !isKnown(numbers) || !isKnown(nonZero.getX()))
      continue;
    axis += axis < 0 ? int64_t(dims(numbers).size()) : 0;
    Value scores = scoresOf(chosen);
    if (axis >= 0 && axis < int64_t(dims(numbers).size()) && !dims(numbers)[axis].asConstant() &&
        scores && isKnown(scores) && !dims(scores).empty() && dims(scores).back().asConstant() &&
        product(dims(nonZero.getX())) == dims(scores).back())
      return op;
  }
  return nullptr;
}

/// What all steps' rows depend on: the choice of experts.
bool Loop::findChosen() {
  for (Step &step : steps) {
    Value rows = step.mask;
    if (!rows)
      rows = step.op->getOperand(1); // indices
    Value found;
    llvm::SetVector<Value> cone = conesOf(rows);
    for (Value value : cone) {
      auto top = value.getDefiningOp<onnx::TopKOp>();
      if ((top && value == top.getIndices()) || value.getDefiningOp<onnx::ArgMaxOp>())
        found = value;
      else if (isa<BlockArgument>(value) && typeOf(value) && typeOf(value).getRank() > 0 &&
               typeOf(value).getElementType().isInteger(64) && !found)
        found = value;
    }
    if (!found || (chosen && chosen != found))
      return false;
    chosen = found;
    step.hit = findHit(cone);
  }
  if (steps.size() < 2 && !steps.front().hit)
    return false;
  return isKnown(chosen) && isKnown(root->getResult(0));
}

//===----------------------------------------------------------------------===//
// Experts and weights
//===----------------------------------------------------------------------===//

/// What is behind a value, nearest first.
static llvm::SetVector<Value> allBehind(Value value) {
  llvm::SetVector<Value> all;
  all.insert(value);
  for (size_t i = 0; i < all.size() && all.size() < 1024; ++i)
    if (Operation *op = all[i].getDefiningOp(); op && !isParameter(all[i]))
      all.insert(op->operand_begin(), op->operand_end());
  return all;
}

/// The nearest value behind a branch that is behind the last step's too, and has the rows.
Value Loop::findDense(Value branch, const Step &step) const {
  llvm::SetVector<Value> last = allBehind(steps.back().updates);
  for (Value value : allBehind(branch)) {
    auto type = typeOf(value);
    if (last.contains(value) && type && isa<FloatType>(type.getElementType()) &&
        !isParameter(value) && isKnown(value) && dims(value).size() >= 2 &&
        dims(value).drop_back() == dims(root->getResult(0)).drop_back() &&
        !llvm::is_contained(step.scales, value))
      return value;
  }
  return {};
}

bool Loop::findBranches() {
  Value dense; // what every branch starts from, where all rows are computed
  for (Step &step : steps) {
    Value branch = peel(step.updates);
    while (auto mul = branch.getDefiningOp<onnx::MulOp>()) {
      const bool isFirst = isScale(mul.getA()) && !isScale(mul.getB());
      if (!isFirst && !(isScale(mul.getB()) && !isScale(mul.getA())))
        break;
      step.scales.push_back(isFirst ? mul.getA() : mul.getB());
      branch = peel(isFirst ? mul.getB() : mul.getA());
    }
    if (step.mask && !dense)
      dense = findDense(branch, step);
    if (step.mask && !dense)
      return refuse(step.op, "its branches start from different values");
    if (!step.branch.match(branch, step.mask ? dense : Value()))
      return refuse(step.branch.obstacle ? step.branch.obstacle : step.op,
                    "an expert computes what is not seen as a function of one row");
    const LoopBranch &front = steps.front().branch;
    if (step.branch.input != front.input || step.branch.ofSequences != front.ofSequences)
      return refuse(step.op, "its branches start from different values");
    if (bool(step.branch.number) != bool(front.number))
      return refuse(step.op, "some experts' parameters are picked by data, others' are not");
  }
  return true;
}

/// The weights of what is chosen: the last value of the same shape that all steps' scales have.
bool Loop::findWeights() {
  Polynomial rows = product(rowsOfInput()), places = product(dims(chosen));
  slots = 1;
  if (rows != places) {
    auto last = dims(chosen).empty() ? std::nullopt : dims(chosen).back().asConstant();
    if (!last || *last < 1 || rows * Polynomial(*last) != places)
      return refuse(root, "what is chosen is not as many for each row");
    slots = *last;
  }
  if (steps.front().scales.empty()) {
    if (llvm::all_of(steps, [](const Step &step) { return step.scales.empty(); }))
      return true;
    return refuse(root, "some steps have weights, others have none");
  }
  llvm::SetVector<Value> common = conesOf(steps.front().scales);
  for (const Step &step : llvm::drop_begin(steps)) {
    llvm::SetVector<Value> other = conesOf(step.scales);
    common.remove_if([&](Value value) { return !other.contains(value); });
  }
  for (Value value : common) {
    if (!typeOf(value) || !isa<FloatType>(typeOf(value).getElementType()) || isParameter(value) ||
        !isKnown(value) || dims(value) != dims(chosen))
      continue;
    if (!weights || !value.getDefiningOp() ||
        (weights.getDefiningOp() &&
         weights.getDefiningOp()->isBeforeInBlock(value.getDefiningOp())))
      weights = value;
  }
  return weights || refuse(root, "weights of what is chosen are not found");
}

/// Which expert each step is of: the one whose rows it takes when experts are drawn.
bool Loop::findNumbers() {
  auto top = chosen.getDefiningOp<onnx::TopKOp>();
  auto arg = chosen.getDefiningOp<onnx::ArgMaxOp>();
  const LoopBranch &front = steps.front().branch;
  std::optional<int64_t> width;
  if (Value scores = scoresOf(chosen)) {
    if (!isLastAxis(top ? top.getAxis() : arg.getAxis(), scores) || !isKnown(scores))
      return refuse(root, "what chooses does so along another axis");
    width = dims(scores).back().asConstant();
  }
  experts = front.number ? front.experts : width.value_or(steps.size());
  if (width && *width != experts)
    return refuse(root,
                  "scores are of " + Twine(*width) + " experts, parameters of " + Twine(experts));
  if (slots > experts)
    return refuse(root, Twine(slots) + " are chosen of " + Twine(experts) + " experts");
  if (front.number)
    return true; // the numbers are what data picks
  if (isTraced() && int64_t(steps.size()) != experts)
    return refuse(root, "the parameters of experts that were not chosen are not there");
  for (Step &step : steps)
    for (int64_t expert = 0; expert < experts; ++expert)
      for (int64_t slot = -1; slot < slots; ++slot)
        step.candidates.push_back({expert, slot});
  // Few rows do not tell experts apart.
  const auto rows = product(rowsOfInput()).asConstant();
  const int64_t turns = rows ? llvm::divideCeil(drawnRows(), std::max<int64_t>(*rows, 1)) : 1;
  Draws draws(experts, slots);
  for (int64_t turn = 0; turn < std::min<int64_t>(turns, 64); ++turn)
    if (!findCandidates(draws))
      return false;
  std::vector<bool> isCovered(experts * slots);
  for (Step &step : steps) {
    if (step.candidates.empty())
      return refuse(step.op, "its rows are not those of one expert");
    step.expert = step.candidates.front().first;
    if (const int64_t slot = step.candidates.front().second; slot >= 0 && slots > 1)
      step.slot = slot;
    for (int64_t slot = 0; slot < slots; ++slot)
      if (!step.slot || *step.slot == slot) {
        if (isCovered[*step.expert * slots + slot])
          return refuse(step.op, "expert " + Twine(*step.expert) + " has two steps");
        isCovered[*step.expert * slots + slot] = true;
      }
  }
  for (int64_t expert = 0; expert < experts; ++expert)
    for (int64_t slot = 0; slot < slots; ++slot)
      if (!isCovered[expert * slots + slot])
        return refuse(root, "rows choose among " + Twine(experts) + " experts, found no step for " +
                                Twine(expert));
  return true;
}

/// Leaves to each step what it may be of, by the rows that it takes in a draw.
bool Loop::findCandidates(Draws &draws) {
  SymbolicShapes &shapes = raising.shapes();
  const LoopBranch &front = steps.front().branch;
  reference::Evaluator at(
      &shapes, chooseSymbols(shapes, front.ofSequences ? chosen : front.input, drawnRows()));
  auto shape = at.shapeOf(chosen);
  if (!shape)
    return refuse(root, "the shape of what is chosen is not known");
  const int64_t count = *reference::elementCount(*shape), rows = count / slots;
  // Rows of which all are chosen, if they are enough, tell experts apart.
  std::vector<double> drawn = draws.anyOf(rows);
  auto areAll = [&] {
    return llvm::all_of(llvm::seq<int64_t>(0, experts),
                        [&](int64_t i) { return llvm::is_contained(drawn, double(i)); });
  };
  for (int tries = 0; tries < 64 && !areAll(); ++tries)
    drawn = draws.anyOf(rows);
  at.set(chosen, reference::Tensor(reference::Tensor::Integer, *shape, drawn));
  if (weights)
    at.set(weights, reference::Tensor(reference::Tensor::Float, *shape, draws.weights(count)));
  SmallVector<int64_t> leading;
  for (const Polynomial &dim : rowsOfInput())
    leading.push_back(dim.evaluate(at.symbolValues()).value_or(0));
  for (Step &step : steps) {
    const reference::Tensor *places = at.get(rowsOf(step));
    if (!places)
      return refuse(at.failure().op ? at.failure().op : step.op,
                    "which rows a step takes is not understood: " + at.failure().why);
    std::vector<bool> taken(rows);
    if (step.mask) {
      for (auto [row, value] : llvm::enumerate(places->values()))
        if (row < taken.size())
          taken[row] = value != 0;
      if (places->count() != rows)
        return refuse(step.op, "a mask that is not of rows");
    } else {
      SmallVector<int64_t> numbers = places->integers();
      const int64_t width =
          places->rank() > 1 && leading.size() > 1 ? places->shape.back() : int64_t(1);
      if (width != 1 && width != int64_t(leading.size()))
        return refuse(step.op, "which rows a step takes is not understood");
      for (size_t i = 0; i + width <= numbers.size(); i += width) {
        int64_t row = 0;
        for (int64_t j = 0; j < width; ++j)
          if (width == 1)
            row = numbers[i];
          else if (llvm::MulOverflow(row, leading[j], row) ||
                   llvm::AddOverflow(row, numbers[i + j], row))
            row = -1;
        if (row < 0 || row >= rows)
          return refuse(step.op, "which rows a step takes is not understood");
        taken[row] = true;
      }
    }
    llvm::erase_if(step.candidates, [&](std::pair<int64_t, int64_t> candidate) {
      for (int64_t row = 0; row < rows; ++row) {
        bool wanted = false;
        for (int64_t s = 0; s < slots; ++s)
          wanted |= (candidate.second < 0 || s == candidate.second) &&
                    drawn[row * slots + s] == double(candidate.first);
        if (wanted != taken[row])
          return true;
      }
      return false;
    });
  }
  return true;
}

bool Loop::match() {
  if (!findBranches() || !findWeights() || !findNumbers())
    return false;
  for (const Step &step : steps)
    if (!step.adds && !others.empty())
      return refuse(step.op, "rows are replaced that are not zero");
  return dims(root->getResult(0)).back().asConstant() || refuse(root, "results of unknown size");
}

//===----------------------------------------------------------------------===//
// The mixture
//===----------------------------------------------------------------------===//

FailureOr<bool> Loop::build() {
  SymbolicShapes &shapes = raising.shapes();
  const LoopBranch &front = steps.front().branch;
  const bool isTraced = this->isTraced(), isByNumber = front.number != nullptr;
  const int64_t found = steps.size();
  if (isTraced && found > experts)
    return refuse(root, "more steps than experts");
  OpBuilder builder(root);
  GraphBuilder b(root->getLoc(), builder);
  MixtureBuilder mixture(raising.module, root, experts);
  SmallVector<Value> routed;
  buildRouter(b, mixture, Gates{{}, chosen, weights, slots}, routed);
  Value rows =
      typeOf(front.input).getRank() == 2 || front.ofSequences ? front.input : b.rowsOf(front.input);
  for (int64_t expert = 0; expert < experts; ++expert) {
    const Step &of =
        isByNumber ? steps.front()
                   : *llvm::find_if(steps, [&](const Step &step) { return step.expert == expert; });
    mixture.addExpert(
        rows, [&](GraphBuilder &b, ValueRange v) { return of.branch.build(b, v[0], expert); });
  }
  Value result = b.vectorsLike(mixture.build(routed, rows), front.input);
  for (Value other : llvm::reverse(others))
    result = b.binary<onnx::AddOp>(result, other);

  Verdict verdict = compare(shapes, mixture.getBegin(), root->getResult(0), result,
                            isTraced ? std::optional(found) : std::nullopt);
  if (verdict.kind == Verdict::Disagrees) {
    mixture.discard();
    emitWarning(root->getLoc()) << "expected a loop over " << experts << " experts, found "
                                << verdict.why << ": left as it was exported";
    return refuse(root, "it computes something else: " + verdict.why);
  }
  const bool isFrozen = (isTraced && found != experts) || verdict.kind == Verdict::Fails;
  if (isFrozen && !raising.repair) {
    mixture.discard();
    InFlightDiagnostic error = emitInputFault(verdict.op ? verdict.op : root);
    if (isTraced && found != experts)
      error << "the export froze a loop over experts: expected steps for " << experts << ", found "
            << found;
    else
      error << "the export froze a size in a loop over experts: expected any number of rows for "
               "each, found "
            << verdict.why;
    return error << "; --repair compiles what was traced";
  }
  if (isTraced || isFrozen)
    emitWarning(root->getLoc()) << "the export froze "
                                << (isTraced ? "how many experts a loop runs over"
                                             : "a size in a loop over experts")
                                << ": expected any number, found "
                                << (isTraced ? std::to_string(found) : verdict.why)
                                << "; compiled for all " << experts;
  raising.replace(mixture, root, result, isTraced ? "traced loop" : "loop", verdict);
  if (isTraced || isFrozen) {
    raising.report.raised.back().frozen =
        isTraced ? "the export froze the number of experts" : "the export froze a size";
    raising.report.raised.back().needsRepair = isFrozen;
  }
  return true;
}

LogicalResult Loop::reportFrozen() {
  if (!llvm::all_of(steps, [](const Step &step) { return step.hit; }))
    return success();
  const int64_t all = *dims(scoresOf(chosen)).back().asConstant(), found = steps.size();
  if (found == all) { // those rows that choose them all get what they should, others an error
    emitWarning(root->getLoc()) << "the export froze how many experts a loop runs over: expected "
                                   "any number, found "
                                << found << "; left as it was exported";
    return success();
  }
  return emitInputFault(steps.back().hit)
         << "the export froze a loop over experts: expected steps for " << all << ", found "
         << found << "; --repair does not help: " << why;
}

FailureOr<bool> graft::raise::raiseLoop(Raising &raising, Operation *op,
                                        llvm::DenseSet<Operation *> &seen) {
  auto isStep = [](Operation *op) {
    return isa_and_nonnull<onnx::ScatterNDOp, onnx::ScatterElementsOp, onnx::WhereOp>(op);
  };
  if (seen.contains(op) ||
      !(isStep(op) || (isa<onnx::AddOp>(op) && llvm::all_of(op->getOperands(), [&](Value value) {
                         return isStep(value.getDefiningOp()) || value.getDefiningOp<onnx::AddOp>();
                       }))))
    return false;
  Loop loop(raising, op);
  if (!loop.parse())
    return false;
  for (Operation *other : loop.all())
    seen.insert(other);
  if (loop.match()) {
    FailureOr<bool> isRaised = loop.build();
    if (failed(isRaised) || *isRaised)
      return isRaised;
  }
  if (failed(loop.reportFrozen()))
    return failure();
  raising.leave(loop.where ? loop.where : op, loop.why);
  return false;
}
