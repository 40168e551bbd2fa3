//===- RunContext.h - The memory of one run ---------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_RUNCONTEXT_H
#define GRAFT_RUNTIME_RUNCONTEXT_H

#include "graft/Runtime/DeviceContext.h"
#include "graft/Runtime/HostContext.h"
#include "graft/Runtime/Plan.h"
#include "graft/Runtime/Routes.h"

namespace graft::runtime {

/// The inputs of a run, by the manifest's order, and what they say about the symbols.
struct BoundInputs {
  std::vector<graft_tensor> tensors;
  std::vector<bool> given;
  std::vector<int64_t> symbols; ///< -1 where no input that is given has it
  std::vector<int64_t> keys;    ///< the task of each row, where rows of several run together
};

/// A value while a run goes on.
struct ValueState {
  graft_tensor tensor = {};
  int64_t bytes = -1; ///< -1 until it is known
  int32_t slot = -1;  ///< the output slot whose memory it lives in
};

/// An output of a run: where it goes, and what came of it.
struct OutputSlot {
  const char *name = nullptr;
  int32_t type = 0, rank = 0;
  uint32_t value = 0;
  void *data = nullptr; ///< the caller's memory; else null until the run is over
  uint64_t capacity = 0;
  bool keep = false; ///< allocate memory where the caller gives none
  int64_t dims[GRAFT_MAX_RANK] = {};
  int64_t bytes = -1;
  Memory owned;
};

/// All that a run needs, kept between runs so that a steady state allocates nothing.
struct RunContext {
  HostContext host;
  BoundInputs inputs;
  std::vector<uint32_t> tasks;
  std::vector<OutputSlot> slots;
  std::optional<Routes> routes; ///< where the request gives any or looks at them

  // Execution
  std::vector<char> stageUsed;
  std::vector<std::shared_ptr<const StagePlan>> plans; ///< by stage
  std::vector<ValueState> values;
  std::vector<graft_tensor> arguments;
  std::vector<int64_t> planKey;
  Arena arena;
  Arena normalised; ///< bool inputs as 0 and 1
  Arena gathered;   ///< rows of a row task
  std::unique_ptr<DeviceContext> device;
};

} // namespace graft::runtime

#endif
