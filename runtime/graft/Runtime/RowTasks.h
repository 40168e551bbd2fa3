//===- RowTasks.h - A task for each row -------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_ROWTASKS_H
#define GRAFT_RUNTIME_ROWTASKS_H

#include "graft/Runtime/Execution.h"

namespace graft::runtime {

/// Runs rows of dimension 0 under different tasks, in groups: rows of tasks that the library can
/// run together are one, sorted by task, and those of each other task. Gathers each group's rows,
/// runs it, and brings the outputs' rows back in order.
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
  /// The rows of one task, which are next to each other in their group.
  struct Part {
    uint32_t task = 0;
    std::vector<int64_t> rows;
    int64_t first = 0;           ///< where they begin in the group
    std::vector<uint32_t> slots; ///< by the task's outputs
  };
  struct Group {
    uint32_t task = 0; ///< of Manifest::task
    std::vector<Part> parts;
    std::vector<int64_t> rows; ///< of all parts
    bool contiguous = true;
    BoundInputs inputs;
  };

  Status findRowDimension(const BoundInputs &inputs);
  /// Whether the model's inputs are a batch of a fixed size. It can't be cut: each task runs on all
  /// of it, and its own rows are taken, which no dependence between rows can hurt.
  bool isFixedBatch() const;
  bool isGathered(uint32_t input) const;
  void groupRows();
  Status gather(Group &group);
  /// The outputs of a part's task, as the part will have them.
  Status describe(const Group &group, const Part &part, std::vector<OutputSlot> &slots);
  void nameOutputs(const std::vector<std::vector<OutputSlot>> &described);
  /// Which of the group's outputs is output `o` of a part's task.
  size_t outputOf(const Group &group, const Part &part, size_t o) const;
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
  std::vector<bool> shared; ///< by slot: other parts of its group have theirs in others
};

} // namespace graft::runtime

#endif
