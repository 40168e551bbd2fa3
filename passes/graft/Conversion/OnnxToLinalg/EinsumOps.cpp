//===- EinsumOps.cpp - Sums of products by labels -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Einsum.h"
#include "graft/Conversion/OnnxToLinalg/Lowering.h"
#include "graft/Conversion/OnnxToLinalg/Products.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;
using Labels = EinsumEquation::Labels;

namespace {
struct Labelled {
  Tensor tensor;
  Labels labels;
};
} // namespace

static bool has(ArrayRef<int> labels, int label) { return llvm::is_contained(labels, label); }

/// Takes the diagonal of labels that occur twice.
static Labelled diagonal(Lowering &l, Labelled x) {
  Labels once;
  Dims dims;
  for (auto [label, dim] : llvm::zip(x.labels, x.tensor.dims))
    if (!has(once, label)) {
      once.push_back(label);
      dims.push_back(dim);
    } else {
      l.checkEqual(dim, dims[llvm::find(once, label) - once.begin()],
                   "a label stands for dimensions that differ");
    }
  if (once.size() == x.labels.size())
    return x;
  Tensor taken = l.generate(dims, x.tensor.element(), [&](B &b, ValueRange at) -> Value {
    SmallVector<Value> from;
    for (int label : x.labels)
      from.push_back(at[llvm::find(once, label) - once.begin()]);
    return tensor::ExtractOp::create(b, x.tensor.value, from);
  });
  return {taken, once};
}

/// Sums over the labels that are not wanted.
static Labelled sumOver(Lowering &l, Labelled x, llvm::function_ref<bool(int)> isWanted) {
  SmallVector<bool> axes;
  Labels kept;
  for (int label : x.labels) {
    axes.push_back(!isWanted(label));
    if (!axes.back())
      kept.push_back(label);
  }
  if (kept.size() == x.labels.size())
    return x;
  Value zero = l.scalar(zeroOf(x.tensor.element()));
  Tensor sum = l.reduce(x.tensor, axes, zero,
                        [](B &b, ValueRange v) -> Value { return add(b, v[1], v[0]); });
  return {sum, kept};
}

/// The dimensions in the order of `labels`; one that is missing becomes 1.
static Labelled arranged(Lowering &l, Labelled x, ArrayRef<int> labels) {
  SmallVector<int64_t> perm;
  Dims dims;
  for (int label : labels) {
    auto it = llvm::find(x.labels, label);
    dims.push_back(it == x.labels.end() ? Polynomial(1) : x.tensor.dims[it - x.labels.begin()]);
    if (it != x.labels.end())
      perm.push_back(it - x.labels.begin());
  }
  if (!llvm::is_sorted(perm))
    x.tensor = l.transpose(x.tensor, perm);
  return {l.reshape(x.tensor, dims), Labels(labels)};
}

/// The sum over what is in both and not wanted of their products.
static Labelled multiply(Lowering &l, Labelled a, Labelled w, std::map<int, Polynomial> &sizes,
                         llvm::function_ref<bool(int)> isWanted) {
  a = sumOver(l, a, [&](int label) { return isWanted(label) || has(w.labels, label); });
  w = sumOver(l, w, [&](int label) { return isWanted(label) || has(a.labels, label); });
  Labels batch, rows, columns, summed;
  for (int label : a.labels)
    (!has(w.labels, label) ? rows : isWanted(label) ? batch : summed).push_back(label);
  for (int label : w.labels)
    if (!has(a.labels, label))
      columns.push_back(label);
  Labels all(batch);
  all.append(rows);
  all.append(columns);
  Dims dims;
  for (int label : all)
    dims.push_back(sizes[label]);
  if (summed.empty()) {
    Tensor product =
        l.map({arranged(l, a, all).tensor, arranged(l, w, all).tensor}, dims, a.tensor.element(),
              [](B &b, ValueRange v) { return mul(b, v[0], v[1]); });
    return {product, all};
  }
  // As matrices: (batch…, rows, summed) times (batch…, summed, columns).
  auto matrixOf = [&](Labelled x, ArrayRef<int> first, ArrayRef<int> second) {
    Labels order(batch);
    order.append(first.begin(), first.end());
    order.append(second.begin(), second.end());
    x = arranged(l, x, order);
    // What is 1 in one of them only counts as often as the other says.
    Dims whole = x.tensor.dims;
    for (size_t i = batch.size(); i < order.size(); ++i)
      whole[i] = sizes[order[i]];
    if (whole != x.tensor.dims)
      x.tensor = l.broadcast(x.tensor, whole);
    Dims matrix(ArrayRef(x.tensor.dims).take_front(batch.size()));
    for (ArrayRef<int> group : {first, second}) {
      Polynomial size = 1;
      for (int label : group)
        size = size * sizes[label];
      matrix.push_back(size);
    }
    return l.reshape(x.tensor, matrix);
  };
  Tensor product = productOfMatrices(l, matrixOf(a, rows, summed), matrixOf(w, summed, columns));
  return {l.reshape(product, dims), all};
}

static LogicalResult lowerEinsum(Lowering &l, onnx::EinsumOp op) {
  SmallVector<Labelled, 2> operands;
  SmallVector<int64_t> ranks;
  SmallVector<ArrayRef<Polynomial>> dims;
  for (Value input : op.getInputs()) {
    operands.push_back({l.get(input), {}});
    ranks.push_back(l.dims(input).size());
    dims.push_back(l.dims(input));
  }
  auto equation = EinsumEquation::parse(op.getEquation(), ranks);
  if (!equation)
    return l.unsupported(op, "equation '" + op.getEquation() + "' with operands of these ranks");
  std::map<int, Polynomial> sizes = equation->sizes(dims);
  for (auto [operand, labels] : llvm::zip(operands, equation->operands)) {
    operand.labels = labels;
    operand = diagonal(l, operand);
  }
  auto wantedAfter = [&](size_t i) {
    return [&, i](int label) {
      return has(equation->result, label) ||
             llvm::any_of(ArrayRef(equation->operands).drop_front(i),
                          [&](const Labels &labels) { return has(labels, label); });
    };
  };
  Labelled sum = operands[0];
  for (size_t i = 1; i < operands.size(); ++i)
    sum = multiply(l, sum, operands[i], sizes, wantedAfter(i + 1));
  sum = sumOver(l, sum, wantedAfter(operands.size()));
  l.set(op.getOutput(), arranged(l, sum, equation->result).tensor);
  return success();
}

void graft::lowering::addEinsum(Table &table) { table.add(lowerEinsum); }
