//===- Execution.h - Stages, run in order -----------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_EXECUTION_H
#define GRAFT_RUNTIME_EXECUTION_H

#include "graft/Runtime/Library.h"
#include "graft/Runtime/RunContext.h"

namespace graft::runtime {

/// Runs the union of some tasks' paths once: on the library's device if it has one and that can do
/// it, else on the CPU. Used for one set of inputs at a time: `plan`, then
/// perhaps `run`.
class Execution {
public:
  Execution(Library &library, RunContext &context)
      : library(library), manifest(library.manifest()), context(context) {}

  /// Marks the stages that `tasks` need, checks that the inputs for them are there, and plans their
  /// memory. The dimensions of all values are known afterwards, but for those that depend on data.
  Status plan(const uint32_t *tasks, size_t taskCount, const BoundInputs &inputs);

  /// Sets a slot's dimensions and bytes from the plan (-1 where they depend on data).
  void describe(OutputSlot &slot) const;

  /// Runs what was planned. Afterwards each slot has its data, unless it is neither in the caller's
  /// memory nor to be kept.
  Status run(const BoundInputs &inputs, std::vector<OutputSlot> &slots, int32_t threads);

private:
  friend class DeviceExecution;

  Status planStage(uint32_t stage, const BoundInputs &inputs);
  /// The plan of a code's memory, kept for the next run; null if it has no size.
  /// \param number in the key of the plan
  std::shared_ptr<const StagePlan> findPlan(const StageInfo &stage, uint32_t number,
                                            const graft_stage_code &code,
                                            const std::vector<Interval> &lives,
                                            const BoundInputs &inputs);
  Status prepareSlots(const BoundInputs &inputs, std::vector<OutputSlot> &slots);
  Status placeValues(char *&arena);
  Status runOnHost(const BoundInputs &inputs, int32_t threads);
  Status runStage(uint32_t stage, const BoundInputs &inputs, char *arena);
  Status takeDynamicOutput(uint32_t value, const graft_tensor &tensor);
  Status deliver(std::vector<OutputSlot> &slots);

  Library &library;
  const Manifest &manifest;
  RunContext &context;
};

} // namespace graft::runtime

#endif
