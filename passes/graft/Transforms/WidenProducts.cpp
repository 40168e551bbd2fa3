//===- WidenProducts.cpp - Narrow products of one input become one -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/ParameterValues.h"
#include "graft/Onnx/GraphBuilder.h"
#include "graft/Transforms/Passes.h"
#include "graft/Transforms/StageProduct.h"

#include "llvm/ADT/StringExtras.h"

namespace graft {
#define GEN_PASS_DEF_WIDENPRODUCTSPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::modular;

/// The products' matrices of `rows` rows each, side by side.
static std::vector<double> sideBySide(ArrayRef<StageProduct> products,
                                      ArrayRef<std::vector<double>> matrices, int64_t rows) {
  std::vector<double> all;
  for (int64_t i = 0; i < rows; ++i)
    for (auto [product, matrix] : llvm::zip(products, matrices))
      all.insert(all.end(), matrix.begin() + i * product.out,
                 matrix.begin() + (i + 1) * product.out);
  return all;
}

/// For each stage the matrices or the biases of all products as one parameter.
static FailureOr<Value> join(StageBody &body, ArrayRef<StageProduct> products, bool isBias) {
  OpBuilder before(body.function);
  Type element = getElementTypeOrSelf(products.front().result().getType());
  int64_t width = 0;
  for (const StageProduct &product : products)
    width += product.out;
  SmallVector<int64_t> shape = {width};
  if (!isBias)
    shape.insert(shape.begin(), products.front().in);
  SmallVector<ParameterOp> made;
  for (StageOp stage : body.stages) {
    std::vector<std::vector<double>> parts;
    SmallVector<StringRef> names;
    for (const StageProduct &product : products) {
      auto part = isBias ? readBias(body, product, stage) : readMatrix(body, product, stage);
      if (failed(part))
        return failure();
      parts.push_back(std::move(*part));
      StringAttr symbol = body.symbolOf(stage, isBias ? product.bias : product.weight);
      names.push_back(symbol ? symbol.getValue() : "constant");
    }
    std::vector<double> all = sideBySide(products, parts, isBias ? 1 : products.front().in);
    made.push_back(createParameter(before, products.front().op->getLoc(), llvm::join(names, "+"),
                                   RankedTensorType::get(shape, element),
                                   roundElements(all, element)));
  }
  return Value(body.addSlot(made));
}

static LogicalResult widen(StageBody &body, ArrayRef<StageProduct> products) {
  const StageProduct &first = products.front();
  FailureOr<Value> matrix = join(body, products, /*isBias=*/false);
  if (failed(matrix))
    return failure();
  Value bias;
  if (first.bias) {
    FailureOr<Value> joined = join(body, products, /*isBias=*/true);
    if (failed(joined))
      return failure();
    bias = *joined;
  }
  OpBuilder builder(first.op);
  onnx::GraphBuilder b(first.op->getLoc(), builder);
  Value wide = buildProduct(builder, first, first.x, *matrix, bias);
  const int64_t axis = cast<RankedTensorType>(wide.getType()).getRank() - 1;
  int64_t from = 0;
  for (const StageProduct &product : products) {
    b.setInsertionPoint(product.op);
    Value part = b.slice(wide, axis, from, from + product.out);
    from += product.out;
    product.result().replaceAllUsesWith(part);
    product.op->erase();
  }
  return success();
}

namespace {
/// How often stages read each parameter.
using Uses = llvm::DenseMap<StringAttr, unsigned>;

struct WidenProductsPass : graft::impl::WidenProductsPassBase<WidenProductsPass> {
  void runOnOperation() override {
    Uses uses;
    for (auto stage : getOperation().getOps<StageOp>())
      for (auto parameter : stage.getParameters().getAsRange<FlatSymbolRefAttr>())
        ++uses[parameter.getAttr()];
    bool any = false;
    for (StageBody &body : getStageBodies(getOperation())) {
      FailureOr<bool> changed = run(body, uses);
      if (failed(changed))
        return signalPassFailure();
      any |= *changed;
    }
    if (!any)
      return;
    mergeStageBodies(getOperation());
    eraseUnusedParameters(getOperation());
  }

  static FailureOr<bool> run(StageBody &body, const Uses &uses);
};
} // namespace

/// Whether nothing but these products reads their parameters, in any stage: what is joined takes
/// their place then, and what tasks share stays shared.
static bool ownParameters(const StageBody &body, ArrayRef<StageProduct> products,
                          const Uses &uses) {
  auto symbolsOf = [&](StageOp stage) {
    SmallVector<StringAttr> symbols;
    for (const StageProduct &product : products) {
      for (Value value : {product.weight, product.bias})
        if (StringAttr symbol = value ? body.symbolOf(stage, value) : StringAttr())
          symbols.push_back(symbol);
    }
    return symbols;
  };
  return llvm::all_of(body.stages, [&](StageOp stage) {
    SmallVector<StringAttr> own = symbolsOf(stage);
    const auto alike =
        llvm::count_if(body.stages, [&](StageOp other) { return symbolsOf(other) == own; });
    return llvm::all_of(own, [&](StringAttr symbol) { return uses.lookup(symbol) == alike; });
  });
}

/// Products that may become one, in order.
static SmallVector<SmallVector<StageProduct>> findGroups(StageBody &body, const Uses &uses) {
  using Key = std::tuple<Value, bool, bool, Type>;
  auto key = [](const StageProduct &each) {
    return Key(each.x, each.isGemm(), each.bias != nullptr,
               getElementTypeOrSelf(each.result().getType()));
  };
  SmallVector<SmallVector<StageProduct>> groups;
  for (Operation &op : body.function.getBody().front()) {
    std::optional<StageProduct> product = matchProduct(body, &op);
    if (!product || product->out > kNarrowProduct || !ownParameters(body, *product, uses))
      continue;
    auto same = llvm::find_if(groups, [&](auto &g) { return key(g.front()) == key(*product); });
    if (same == groups.end())
      groups.push_back({*product});
    else
      same->push_back(*product);
  }
  llvm::erase_if(groups, [](auto &group) { return group.size() < 2; });
  return groups;
}

FailureOr<bool> WidenProductsPass::run(StageBody &body, const Uses &uses) {
  bool any = false;
  for (ArrayRef<StageProduct> group : findGroups(body, uses)) {
    if (!ownParameters(body, group, uses))
      continue;
    any = true;
    if (failed(widen(body, group)))
      return failure();
  }
  if (any)
    body.clean();
  return any;
}
