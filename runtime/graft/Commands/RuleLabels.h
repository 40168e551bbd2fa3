//===- RuleLabels.h - Which rule each row of a router obeys -----*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// Labels come in the shape that the data has, (batch), (batch, tokens) or (batch, steps), and rows
/// in that of each router. docs/cli.md says how they fit.
///
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_RULELABELS_H
#define GRAFT_COMMANDS_RULELABELS_H

#include <cstdint>
#include <string>
#include <vector>

namespace graft::commands {

/// What a file of --rules has.
struct RuleLabels {
  std::string path;
  std::vector<int64_t> dims; ///< their product is the number of labels
  std::vector<int64_t> labels;
};

/// The rows that are to have labels.
struct LabelledRows {
  int64_t rows = 0;
  int64_t step = 0, steps = 1;              ///< of routers that choose among the same modules
  std::vector<std::vector<int64_t>> inputs; ///< shapes of the model's inputs
};

/// Finds the label of each row.
/// \param words where none fit, what is there and what is expected
/// \returns whether they fit
bool labelRows(const RuleLabels &rules, const LabelledRows &of, std::vector<int64_t> &labels,
               std::string &words);

} // namespace graft::commands

#endif
