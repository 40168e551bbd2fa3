//===- RuleLabels.cpp - Which rule each row of a router obeys ---*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/RuleLabels.h"

#include "graft/Commands/TensorFile.h"

#include <algorithm>

using namespace graft::commands;

/// The labels of one step of (batch, steps, …).
static RuleLabels ofStep(const RuleLabels &rules, int64_t step) {
  RuleLabels own{rules.path, rules.dims, {}};
  own.dims.erase(own.dims.begin() + 1);
  const int64_t steps = rules.dims[1], count = int64_t(rules.labels.size());
  const int64_t inner = rules.dims[0] ? count / rules.dims[0] / steps : 0;
  for (int64_t i = 0; i < count; ++i)
    if (inner && i / inner % steps == step)
      own.labels.push_back(rules.labels[size_t(i)]);
  return own;
}

static bool isPrefixOfAny(const std::vector<int64_t> &dims,
                          const std::vector<std::vector<int64_t>> &shapes) {
  return std::any_of(shapes.begin(), shapes.end(), [&](const std::vector<int64_t> &shape) {
    return shape.size() >= dims.size() && std::equal(dims.begin(), dims.end(), shape.begin());
  });
}

/// Whether the rows are the first dimensions of the labels.
static bool startWith(const std::vector<int64_t> &dims, int64_t rows) {
  int64_t product = 1;
  return std::any_of(dims.begin(), dims.end(), [&](int64_t dim) {
    product *= dim; // of fewer than there are labels
    return product == rows;
  });
}

bool graft::commands::labelRows(const RuleLabels &rules, const LabelledRows &of,
                                std::vector<int64_t> &labels, std::string &words) {
  const int64_t count = int64_t(rules.labels.size());
  if (count == of.rows) {
    labels = rules.labels;
    return true;
  }
  if (of.steps > 1 && rules.dims.size() > 1 && rules.dims[1] == of.steps)
    return labelRows(ofStep(rules, of.step), {of.rows, 0, 1, of.inputs}, labels, words);
  words = "expected " + std::to_string(of.rows) + " labels, one for each row, found " +
          shapeText(rules.dims);
  if (count == 0 || of.rows == 0)
    return false;
  labels.clear();
  if (of.rows > count && of.rows % count == 0 && isPrefixOfAny(rules.dims, of.inputs)) {
    for (int64_t row = 0; row < of.rows; ++row)
      labels.push_back(rules.labels[size_t(row / (of.rows / count))]);
    return true;
  }
  if (of.rows > count || !startWith(rules.dims, of.rows))
    return false;
  const int64_t each = count / of.rows;
  for (int64_t row = 0; row < of.rows; ++row) {
    auto first = rules.labels.begin() + row * each;
    auto other = std::find_if(first, first + each, [&](int64_t label) { return label != *first; });
    if (other != first + each) {
      words += ", of which row " + std::to_string(row) + " has " + std::to_string(*first) +
               " and " + std::to_string(*other);
      return false;
    }
    labels.push_back(*first);
  }
  return true;
}
