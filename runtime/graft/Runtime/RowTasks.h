//===- RowTasks.h - A task for each row -------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_ROWTASKS_H
#define GRAFT_RUNTIME_ROWTASKS_H

#include "graft/Runtime/Execution.h"

namespace graft::runtime {

/// Runs rows of dimension 0 under different tasks: groups the rows by task, gathers each group's
/// rows, runs it, and brings the outputs' rows back in order.
class RowTasks {
public:
  RowTasks(Library &library, RunContext &context)
      : library(library), manifest(library.manifest()), context(context) {}

  /// Groups `context.tasks` (one a row), plans each group, and fills `context.slots` with the
  /// outputs' names and shapes.
  Status plan(const BoundInputs &inputs);

  /// Runs what was planned. The slots may have been given memory since.
  Status run(int32_t threads);

private:
  struct Group {
    uint32_t task = 0;
    std::vector<int64_t> rows;
    bool contiguous = true;
    BoundInputs inputs;
    std::vector<uint32_t> slots; ///< by the task's outputs
  };

  Status findRowDimension(const BoundInputs &inputs);
  /// Whether the model's inputs are a batch of a fixed size. It can't be cut: each task runs on all
  /// of it, and its own rows are taken, which no dependence between rows can hurt.
  bool isFixedBatch() const;
  bool isGathered(uint32_t input) const;
  Status gather(Group &group);
  void nameOutputs(const std::vector<std::vector<OutputSlot>> &described);
  Status allocateMerged();
  Status runGroup(Group &group, int32_t threads);

  Library &library;
  const Manifest &manifest;
  RunContext &context;
  const BoundInputs *whole = nullptr;
  /// The symbols that inputs have as first dimension. An exporter may give each input its own.
  std::vector<int32_t> rowSymbols;
  bool isRowSymbol(int32_t symbol) const;
  bool isFixed = false;
  /// Each group runs all rows and has others than its own.
  bool takesOwnRows() const { return isFixed && groups.size() > 1; }
  std::vector<Group> groups;
  std::vector<bool> merged; ///< by slot
};

} // namespace graft::runtime

#endif
