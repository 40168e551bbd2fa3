//===- CollapseProducts.cpp - Chains and sums of linear modules are one -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/ParameterValues.h"
#include "graft/Transforms/Passes.h"
#include "graft/Transforms/StageProduct.h"
#include "graft/Transforms/StageRows.h"

#include <array>
#include <map>

namespace graft {
#define GEN_PASS_DEF_COLLAPSEPRODUCTSPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::modular;

/// (rows, inner) times (inner, columns).
static std::vector<double> multiply(ArrayRef<double> a, ArrayRef<double> b, int64_t rows,
                                    int64_t inner, int64_t columns) {
  std::vector<double> result(size_t(rows * columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < inner; ++k)
      for (int64_t j = 0; j < columns; ++j)
        result[size_t(i * columns + j)] += a[size_t(i * inner + k)] * b[size_t(k * columns + j)];
  return result;
}

/// The parameters that products for rows of several tasks read. Such a row is to get the bits that
/// its task's own stages give it, so these compute the same.
static llvm::DenseSet<StringAttr> getParametersOfRows(ArrayRef<StageBody> bodies) {
  llvm::DenseSet<StringAttr> found;
  for (const StageBody &body : bodies) {
    func::FuncOp function = body.function;
    function.walk([&](RowProductOp op) {
      for (Value operand : op->getOperands()) {
        if (auto transpose = operand.getDefiningOp<onnx::TransposeOp>())
          operand = transpose.getData();
        for (StageOp stage : body.stages)
          if (StringAttr symbol = body.symbolOf(stage, operand))
            found.insert(symbol);
      }
    });
  }
  return found;
}

namespace {
struct CollapseProductsPass : graft::impl::CollapseProductsPassBase<CollapseProductsPass> {
  void runOnOperation() override;

private:
  enum Form { Chain, Sum };
  /// Products that are to become one: `op` is the second, which reads the first, or adds both.
  struct Pair {
    Form form;
    Operation *op;
    StageProduct first, second;

    /// What both read but for x.
    std::array<Value, 4> parameters() const {
      return {first.weight, second.weight, first.bias, second.bias};
    }
  };
  struct Made {
    ParameterOp matrix, bias;
  };
  /// What the parameters of a pair are in a stage, and how the matrices lie.
  using Key = std::tuple<Form, std::array<const void *, 4>, bool, bool>;

  FailureOr<bool> run(StageBody &body);
  SmallVector<Pair> findPairs(const StageBody &body) const;
  std::optional<Pair> match(const StageBody &body, Operation *op) const;
  bool canChain(const StageBody &body, const StageProduct &first, const StageProduct &second) const;
  bool isOfRows(const StageBody &body, const StageProduct &product) const;
  LogicalResult replace(StageBody &body, const Pair &pair);
  FailureOr<Made> make(const StageBody &body, StageOp stage, const Pair &pair);

  llvm::DenseSet<StringAttr> ofRows;
  std::map<Key, Made> made; ///< once, however many stages and bodies have it
};
} // namespace

bool CollapseProductsPass::isOfRows(const StageBody &body, const StageProduct &product) const {
  return !ofRows.empty() && llvm::any_of(body.stages, [&](StageOp stage) {
    StringAttr symbol = body.symbolOf(stage, product.weight);
    return symbol && ofRows.contains(symbol);
  });
}

/// Two products of which the second reads the first, and nothing else does, where one is less work.
bool CollapseProductsPass::canChain(const StageBody &body, const StageProduct &first,
                                    const StageProduct &second) const {
  if (!first.result().hasOneUse() || first.out != second.in)
    return false;
  const int64_t in = first.in, middle = first.out, out = second.out;
  // No task has more to store then, whichever of the two it shares with others.
  if (in <= middle && out <= middle)
    return true;
  // The body for rows of several tasks is another, and has to come to the same.
  return ofRows.empty() && body.stages.size() == 1 && in * out < middle * (in + out);
}

FailureOr<CollapseProductsPass::Made> CollapseProductsPass::make(const StageBody &body,
                                                                 StageOp stage, const Pair &pair) {
  const auto &[form, op, first, second] = pair;
  std::array<const void *, 4> identities = {};
  for (auto [identity, value] : llvm::zip(identities, pair.parameters()))
    if (value) {
      auto constant = value.getDefiningOp<onnx::ConstantOp>();
      identity = constant ? constant.getValue().getAsOpaquePointer()
                          : body.symbolOf(stage, value).getAsOpaquePointer();
    }
  Made &result = made[{form, identities, first.outFirst, second.outFirst}];
  if (result.matrix)
    return result;

  const bool isSum = form == Sum;
  FailureOr<std::vector<double>> a = readMatrix(body, first, stage),
                                 b = readMatrix(body, second, stage);
  if (failed(a) || failed(b))
    return failure();
  std::vector<double> bias(size_t(second.out));
  auto addTo = [](std::vector<double> &sum, ArrayRef<double> values) {
    for (auto [element, value] : llvm::zip_equal(sum, values))
      element += value;
  };
  for (const StageProduct *product : {&first, &second}) {
    if (!product->bias)
      continue;
    FailureOr<std::vector<double>> own = readBias(body, *product, stage);
    if (failed(own))
      return failure();
    addTo(bias, isSum || product == &second ? *own : multiply(*own, *b, 1, first.out, second.out));
  }
  if (isSum)
    addTo(*a, *b);
  else
    a = multiply(*a, *b, first.in, first.out, second.out);

  OpBuilder before(body.function);
  Location loc = op->getLoc();
  Type element = getElementTypeOrSelf(second.result().getType());
  auto nameOf = [&](const StageProduct &product) -> StringRef {
    StringAttr symbol = body.symbolOf(stage, product.weight);
    return symbol ? symbol.getValue() : "constant";
  };
  const StringRef names[] = {nameOf(first), nameOf(second)};
  std::string name =
      (isSum ? "(" + names[0] + "+" + names[1] + ")" : names[0] + "*" + names[1]).str();
  result.matrix =
      createParameter(before, loc, name, RankedTensorType::get({first.in, second.out}, element),
                      roundElements(*a, element));
  if (first.bias || second.bias)
    result.bias =
        createParameter(before, loc, name + ".bias", RankedTensorType::get({second.out}, element),
                        roundElements(bias, element));
  return result;
}

LogicalResult CollapseProductsPass::replace(StageBody &body, const Pair &pair) {
  SmallVector<ParameterOp> matrices, biases;
  for (StageOp stage : body.stages) {
    FailureOr<Made> one = make(body, stage, pair);
    if (failed(one))
      return failure();
    matrices.push_back(one->matrix);
    if (one->bias)
      biases.push_back(one->bias);
  }
  Value matrix = body.addSlot(matrices);
  Value bias = biases.empty() ? Value() : Value(body.addSlot(biases));
  OpBuilder builder(pair.op);
  Value x = pair.first.product->getOperand(0); // another pair may have made it since
  pair.op->getResult(0).replaceAllUsesWith(buildProduct(builder, pair.second, x, matrix, bias));
  if (pair.form == Sum)
    pair.op->erase();
  for (const StageProduct *product : {&pair.second, &pair.first}) {
    product->op->erase();
    if (product->product != product->op)
      product->product->erase();
  }
  return success();
}

/// The pair that `op` ends: the product that it is with the one that it reads, or those that it
/// adds.
std::optional<CollapseProductsPass::Pair> CollapseProductsPass::match(const StageBody &body,
                                                                      Operation *op) const {
  auto match = [&](Value value) {
    Operation *producer = value.getDefiningOp();
    std::optional<StageProduct> product =
        producer && value.hasOneUse() ? matchAffine(body, producer) : std::nullopt;
    return product && !isOfRows(body, *product) ? product : std::nullopt;
  };
  if (std::optional<StageProduct> second = matchAffine(body, op)) {
    if (op->hasOneUse()) {
      std::optional<StageProduct> whole = matchAffine(body, *op->user_begin());
      if (whole && whole->product == op && whole->op != op)
        return std::nullopt; // its bias is still to come
    }
    std::optional<StageProduct> first = isOfRows(body, *second) ? std::nullopt : match(second->x);
    // Beside a weight, rows of several tasks have it joined with others, not collapsed.
    const bool isJoined = !ofRows.empty() && llvm::any_of(op->getUsers(), [](Operation *user) {
      return user->hasAttr("modular.beside");
    });
    if (first && !isJoined && canChain(body, *first, *second))
      return Pair{Chain, op, *first, *second};
  } else if (isa<onnx::AddOp>(op) && !op->hasAttr("modular.beside")) {
    std::optional<StageProduct> first = match(op->getOperand(0)), other = match(op->getOperand(1));
    if (first && other && first->x == other->x && first->out == other->out)
      return Pair{Sum, op, *first, *other};
  }
  return std::nullopt;
}

/// Pairs that have no product in common, and no parameter that would have to stay since something
/// else reads it. Pairs that make the same of a parameter may share it.
SmallVector<CollapseProductsPass::Pair>
CollapseProductsPass::findPairs(const StageBody &body) const {
  func::FuncOp function = body.function;
  llvm::DenseSet<Operation *> refused;
  while (true) {
    SmallVector<Pair> pairs;
    llvm::DenseSet<Operation *> taken;
    for (Operation &op : function.getBody().front()) {
      std::optional<Pair> pair = refused.contains(&op) ? std::nullopt : match(body, &op);
      if (!pair || taken.contains(pair->first.op) || taken.contains(pair->second.op))
        continue;
      taken.insert(pair->first.op);
      taken.insert(pair->second.op);
      pairs.push_back(*pair);
    }
    auto isRefused = [&](const Pair &pair) {
      const auto alike = llvm::count_if(pairs, [&](const Pair &other) {
        return other.form == pair.form && other.parameters() == pair.parameters();
      });
      return llvm::any_of(pair.parameters(), [&](Value value) {
        return value && body.slotOf(value) &&
               std::distance(value.use_begin(), value.use_end()) !=
                   alike * llvm::count(pair.parameters(), value);
      });
    };
    const size_t before = refused.size();
    for (const Pair &pair : pairs)
      if (isRefused(pair))
        refused.insert(pair.op);
    if (refused.size() == before)
      return pairs;
  }
}

FailureOr<bool> CollapseProductsPass::run(StageBody &body) {
  bool any = shareRows(body);
  // What has become one may be part of another pair.
  for (SmallVector<Pair> pairs; !(pairs = findPairs(body)).empty(); any = true)
    for (const Pair &pair : pairs)
      if (failed(replace(body, pair)))
        return failure();
  if (any)
    body.clean();
  return any;
}

void CollapseProductsPass::runOnOperation() {
  SmallVector<StageBody> bodies = getStageBodies(getOperation());
  ofRows = getParametersOfRows(bodies);
  made.clear();
  bool any = false;
  for (StageBody &body : bodies) {
    FailureOr<bool> changed = run(body);
    if (failed(changed))
      return signalPassFailure();
    any |= *changed;
  }
  if (!any)
    return;
  mergeStageBodies(getOperation());
  eraseUnusedParameters(getOperation());
}
