//===- CollapseProducts.cpp - Chains of linear modules become one product -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/ParameterValues.h"
#include "graft/Transforms/Passes.h"
#include "graft/Transforms/StageProduct.h"

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
static llvm::DenseSet<Operation *> getParametersOfRows(ArrayRef<StageBody> bodies) {
  llvm::DenseSet<Operation *> found;
  for (const StageBody &body : bodies) {
    func::FuncOp function = body.function;
    function.walk([&](RowProductOp op) {
      for (Value operand : op->getOperands()) {
        if (auto transpose = operand.getDefiningOp<onnx::TransposeOp>())
          operand = transpose.getData();
        if (std::optional<int64_t> slot = body.slotOf(operand))
          for (StageOp stage : body.stages)
            found.insert(StageBody::parameterAt(stage, *slot));
      }
    });
  }
  return found;
}

/// Two products of which the second reads the first, and nothing else does, where what is between
/// them is no narrower than either end: then one is less work, and no task has more to store.
static bool canCollapse(const StageProduct &first, const StageProduct &second) {
  // Without a Gemm there is nowhere to put the first one's bias.
  return first.result().hasOneUse() && first.out == second.in && first.in <= first.out &&
         second.out <= first.out && (!first.bias || second.isGemm());
}

static LogicalResult collapse(StageBody &body, const StageProduct &first,
                              const StageProduct &second) {
  OpBuilder before(body.function);
  Location loc = second.op->getLoc();
  Type element = getElementTypeOrSelf(second.result().getType());
  SmallVector<ParameterOp> matrices, biases;
  for (StageOp stage : body.stages) {
    FailureOr<std::vector<double>> a = readMatrix(first, stage), b = readMatrix(second, stage);
    if (failed(a) || failed(b))
      return failure();
    std::string name = (StageBody::parameterAt(stage, first.weight).getSymName() + "*" +
                        StageBody::parameterAt(stage, second.weight).getSymName())
                           .str();
    matrices.push_back(
        createParameter(before, loc, name, RankedTensorType::get({first.in, second.out}, element),
                        roundElements(multiply(*a, *b, first.in, first.out, second.out), element)));
    if (!first.bias && !second.bias)
      continue;
    std::vector<double> bias(size_t(second.out));
    if (first.bias) {
      FailureOr<std::vector<double>> of = readBias(first, stage);
      if (failed(of))
        return failure();
      bias = multiply(*of, *b, 1, first.out, second.out);
    }
    if (second.bias) {
      FailureOr<std::vector<double>> of = readBias(second, stage);
      if (failed(of))
        return failure();
      for (auto [sum, value] : llvm::zip(bias, *of))
        sum += value;
    }
    biases.push_back(createParameter(before, loc, name + ".bias",
                                     RankedTensorType::get({second.out}, element),
                                     roundElements(bias, element)));
  }
  Value matrix = body.addSlot(matrices);
  Value bias = biases.empty() ? Value() : Value(body.addSlot(biases));
  OpBuilder builder(second.op);
  second.result().replaceAllUsesWith(buildProduct(builder, second, first.x, matrix, bias));
  second.op->erase();
  first.op->erase();
  return success();
}

namespace {
struct CollapseProductsPass : graft::impl::CollapseProductsPassBase<CollapseProductsPass> {
  void runOnOperation() override {
    SmallVector<StageBody> bodies = getStageBodies(getOperation());
    const llvm::DenseSet<Operation *> ofRows = getParametersOfRows(bodies);
    bool any = false;
    for (StageBody &body : bodies) {
      FailureOr<bool> changed = run(body, ofRows);
      if (failed(changed))
        return signalPassFailure();
      any |= *changed;
    }
    if (!any)
      return;
    mergeStageBodies(getOperation());
    eraseUnusedParameters(getOperation());
  }

  static FailureOr<bool> run(StageBody &body, const llvm::DenseSet<Operation *> &ofRows) {
    bool any = false;
    auto isOfRows = [&](const StageProduct &product) {
      return llvm::any_of(body.stages, [&](StageOp stage) {
        return ofRows.contains(StageBody::parameterAt(stage, product.weight));
      });
    };
    // What has become one may be the first of the next chain.
    for (Operation &op : llvm::make_early_inc_range(body.function.getBody().front())) {
      std::optional<StageProduct> second = matchProduct(body, &op);
      Operation *producer = second ? second->x.getDefiningOp() : nullptr;
      std::optional<StageProduct> first = producer ? matchProduct(body, producer) : std::nullopt;
      if (!first || !canCollapse(*first, *second) || isOfRows(*first) || isOfRows(*second))
        continue;
      any = true;
      if (failed(collapse(body, *first, *second)))
        return failure();
    }
    if (any)
      body.clean();
    return any;
  }
};
} // namespace
