//===- Einsum.cpp - The equation of an Einsum -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Einsum.h"

#include "llvm/ADT/StringExtras.h"

#include <set>

using namespace mlir;
using namespace graft;

/// The labels of one term; `hidden` dimensions stand behind its ellipsis, if it has one.
static std::optional<EinsumEquation::Labels> labelsOf(StringRef term, int64_t hidden) {
  EinsumEquation::Labels labels;
  bool seen = false;
  while (!term.empty()) {
    if (term.consume_front("...")) {
      if (seen)
        return std::nullopt;
      seen = true;
      for (int64_t i = hidden; i > 0; --i)
        labels.push_back(-i);
    } else if (llvm::isAlpha(term.front())) {
      labels.push_back(term.front());
      term = term.drop_front();
    } else {
      return std::nullopt;
    }
  }
  return labels;
}

std::optional<EinsumEquation> EinsumEquation::parse(StringRef text, ArrayRef<int64_t> ranks) {
  std::string plain;
  llvm::copy_if(text, std::back_inserter(plain), [](char c) { return !llvm::isSpace(c); });
  StringRef left(plain), right;
  size_t arrow = left.find("->");
  if (arrow != StringRef::npos) {
    right = left.drop_front(arrow + 2);
    left = left.take_front(arrow);
  }
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != ranks.size())
    return std::nullopt;

  EinsumEquation equation;
  std::map<int, int> uses;
  int64_t widest = 0;
  for (auto [term, rank] : llvm::zip(terms, ranks)) {
    bool open = term.contains("...");
    int64_t hidden = open ? rank - int64_t(term.size() - 3) : 0;
    auto labels = hidden < 0 ? std::nullopt : labelsOf(term, hidden);
    if (!labels || int64_t(labels->size()) != rank)
      return std::nullopt;
    widest = std::max(widest, hidden);
    for (int label : *labels)
      ++uses[label];
    equation.operands.push_back(std::move(*labels));
  }
  if (arrow != StringRef::npos) {
    auto labels = labelsOf(right, widest);
    if (!labels)
      return std::nullopt;
    std::set<int> seen;
    for (int label : *labels)
      if (!uses.count(label) || !seen.insert(label).second)
        return std::nullopt;
    equation.result = std::move(*labels);
    return equation;
  }
  // Without an arrow: what the ellipsis stands for, then the letters that occur once, sorted.
  for (auto [label, count] : uses)
    if (label < 0 || count == 1)
      equation.result.push_back(label);
  return equation;
}

std::optional<EinsumEquation> EinsumEquation::of(onnx::EinsumOp op, const SymbolicShapes &shapes) {
  SmallVector<int64_t> ranks;
  for (Value input : op.getInputs()) {
    if (!shapes.isKnown(input))
      return std::nullopt;
    ranks.push_back(shapes.get(input).rank());
  }
  return parse(op.getEquation(), ranks);
}

std::map<int, Polynomial> EinsumEquation::sizes(ArrayRef<ArrayRef<Polynomial>> dims) const {
  std::map<int, Polynomial> sizes;
  for (auto [labels, own] : llvm::zip(operands, dims)) {
    for (auto [label, dim] : llvm::zip(labels, own)) {
      auto [it, isNew] = sizes.try_emplace(label, dim);
      if (!isNew)
        it->second = broadcastDims({it->second}, {dim})[0];
    }
  }
  return sizes;
}

std::optional<std::string> EinsumEquation::str() const {
  std::map<int, char> letters;
  auto print = [&](std::string &text, const Labels &labels) {
    for (int label : labels) {
      const size_t next = letters.size();
      auto [it, isNew] = letters.try_emplace(label, char(next < 26 ? 'a' + next : 'A' + next - 26));
      text += it->second;
    }
  };
  std::string text;
  for (const Labels &labels : operands) {
    if (&labels != operands.begin())
      text += ",";
    print(text, labels);
  }
  text += "->";
  print(text, result);
  return letters.size() <= 52 ? std::optional(text) : std::nullopt;
}

std::optional<EinsumEquation::ProductOfVectors> EinsumEquation::asProductOfVectors() const {
  if (operands.size() != 2 || result.empty())
    return std::nullopt;
  const int out = result.back();
  for (unsigned number : {1u, 0u}) {
    const Labels &matrix = operands[number], &vectors = operands[1 - number];
    if (matrix.size() != 2 || vectors.size() != result.size() || matrix[0] == matrix[1] ||
        !llvm::is_contained(matrix, out))
      continue;
    const bool isTransposed = matrix[0] == out;
    ArrayRef<int> places = ArrayRef(vectors).drop_back();
    if (vectors.back() == matrix[isTransposed] && places == ArrayRef(result).drop_back() &&
        !llvm::is_contained(places, out) && !llvm::is_contained(places, vectors.back()))
      return ProductOfVectors{number, isTransposed};
  }
  return std::nullopt;
}
