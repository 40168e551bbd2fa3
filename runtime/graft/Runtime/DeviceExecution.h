//===- DeviceExecution.h - Stages, run on a GPU -----------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_DEVICEEXECUTION_H
#define GRAFT_RUNTIME_DEVICEEXECUTION_H

#include "graft/Runtime/Execution.h"

namespace graft::runtime {

/// Runs what an Execution has planned on the library's device. Stages that have no code for it run
/// on the host in their turn; but for these the host waits only at the end.
///
/// The device's memory of a run is inputs, the status word, outputs, values that stages on the host
/// compute or read, all of which the host mirrors; then other values, then the stages' arena.
class DeviceExecution {
public:
  explicit DeviceExecution(Execution &execution)
      : execution(execution), manifest(execution.manifest), context(execution.context) {}

  /// Nothing if the CPU has to do all: no device, nothing for it to do, not enough memory. The
  /// values that are outputs have their data on the host afterwards.
  std::optional<Status> run(const BoundInputs &inputs, int32_t threads);

private:
  bool isOnHost(uint32_t stage) const { return !library->hasCode(manifest.stages[stage]); }
  /// Why the CPU has to do all; empty if it has not.
  std::string findObstacle() const;
  Status plan(const BoundInputs &inputs);
  Status planStage(uint32_t stage, const BoundInputs &inputs);
  /// False if the sizes do not fit.
  bool placeValues(const BoundInputs &inputs);
  void makeGraphKey(const BoundInputs &inputs);
  Status reserve();
  void copyInputs();
  Status perform(const BoundInputs &inputs);
  Status enqueue(const std::vector<uint32_t> &stages, const BoundInputs &inputs);
  Status enqueueStage(uint32_t stage, const BoundInputs &inputs);
  Status runHostStage(uint32_t stage, const BoundInputs &inputs);
  /// Waits, and looks at the status word.
  Status waitAndCheck();

  Execution &execution;
  const Manifest &manifest;
  RunContext &context;
  DeviceLibrary *library = nullptr;
  DeviceContext *device = nullptr;
  char *hostArena = nullptr;
  int64_t statusOffset = 0, outputsEnd = 0, mirrorEnd = 0, arenaOffset = 0, end = 0;
};

} // namespace graft::runtime

#endif
