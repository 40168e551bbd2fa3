//===- Execution.cpp - Stages, run in order ---------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Execution.h"

#include "graft/Runtime/DeviceExecution.h"
#include "graft/Runtime/Tensor.h"

#include <algorithm>
#include <cstring>

using namespace graft::runtime;

static Status tooSmall(const OutputSlot &slot) {
  return inputError("output '" + std::string(slot.name) + "': the shape " +
                    shapeText(slot.dims, slot.rank) + " needs " + std::to_string(slot.bytes) +
                    " bytes, the buffer has " + std::to_string(slot.capacity));
}

Status Execution::plan(const uint32_t *tasks, size_t taskCount, const BoundInputs &inputs) {
  context.stageUsed.assign(manifest.stages.size(), 0);
  context.plans.assign(manifest.stages.size(), nullptr);
  context.values.assign(manifest.values.size(), ValueState{});

  auto need = [&](uint32_t value) -> Status {
    if (value < manifest.inputCount && !inputs.given[value])
      return inputError("input '" + manifest.values[value].name + "' is missing");
    return {};
  };
  for (size_t i = 0; i < taskCount; ++i) {
    const TaskInfo &task = manifest.task(tasks[i]);
    for (uint32_t stage : task.path) {
      context.stageUsed[stage] = 1;
      for (uint32_t value : manifest.stages[stage].inputs)
        if (Status status = need(value); status.failed())
          return status;
    }
    for (const OutputInfo &output : task.outputs)
      if (Status status = need(output.value); status.failed())
        return status;
  }
  for (size_t i = 0; i < manifest.symbols.size(); ++i)
    if (inputs.symbols[i] < 0)
      return inputError("the size of '" + manifest.symbols[i] +
                        "' is not known: an input that has it is missing");

  for (uint32_t i = 0; i < manifest.inputCount; ++i) {
    ValueState &state = context.values[i];
    state.tensor = inputs.tensors[i];
    state.bytes = inputs.given[i] ? tensorBytes(manifest.values[i].type, state.tensor.dims,
                                                manifest.values[i].rank())
                                        .value_or(-1)
                                  : -1;
  }
  for (uint32_t stage : manifest.stageOrder)
    if (context.stageUsed[stage])
      if (Status status = planStage(stage, inputs); status.failed())
        return status;
  return {};
}

std::shared_ptr<const StagePlan> Execution::findPlan(const StageInfo &stage, uint32_t number,
                                                     const graft_stage_code &code,
                                                     const std::vector<Interval> &lives,
                                                     const BoundInputs &inputs) {
  context.planKey.clear();
  context.planKey.push_back(number);
  context.planKey.insert(context.planKey.end(), inputs.symbols.begin(), inputs.symbols.end());
  if (std::shared_ptr<const StagePlan> plan = library.plans().find(context.planKey))
    return plan;
  auto fresh = std::make_shared<StagePlan>();
  size_t dims = 0;
  for (uint32_t value : stage.outputs)
    dims += manifest.values[value].dims.size();
  std::vector<int64_t> bytes(lives.size() + 1); // never an address of nothing
  fresh->outputDims.assign(dims + 1, 0);
  code.shape(inputs.symbols.data(), fresh->outputDims.data(), bytes.data());
  bytes.resize(lives.size());
  std::optional<int64_t> size = placeBuffers(lives, bytes, fresh->offsets);
  if (!size)
    return nullptr;
  fresh->arenaBytes = *size;
  library.plans().insert(context.planKey, fresh);
  return fresh;
}

Status Execution::planStage(uint32_t index, const BoundInputs &inputs) {
  const StageInfo &stage = manifest.stages[index];
  std::shared_ptr<const StagePlan> plan =
      findPlan(stage, stage.code, library.code(stage), manifest.codes[stage.code], inputs);
  if (!plan)
    return inputError("the inputs are too large: the memory of stage " + std::to_string(index) +
                      " has no size");

  const int64_t *dims = plan->outputDims.data();
  for (uint32_t value : stage.outputs) {
    const ValueInfo &info = manifest.values[value];
    ValueState &state = context.values[value];
    std::copy(dims, dims + info.rank(), state.tensor.dims);
    dims += info.rank();
    bool dynamic = false;
    for (int32_t d = 0; d < info.rank(); ++d)
      dynamic |= state.tensor.dims[d] == -1;
    std::optional<int64_t> bytes = tensorBytes(info.type, state.tensor.dims, info.rank());
    if (!dynamic && !bytes)
      return inputError("the inputs are too large: value " + std::to_string(value) +
                        " has the shape " + shapeText(state.tensor.dims, info.rank()));
    state.bytes = dynamic ? -1 : *bytes;
  }
  context.plans[index] = std::move(plan);
  return {};
}

void Execution::describe(OutputSlot &slot) const {
  const ValueState &state = context.values[slot.value];
  std::copy(state.tensor.dims, state.tensor.dims + GRAFT_MAX_RANK, slot.dims);
  slot.bytes = state.bytes;
}

/// Puts inputs into their values, and allocates the outputs that the caller has no memory for.
Status Execution::prepareSlots(const BoundInputs &inputs, std::vector<OutputSlot> &slots) {
  for (uint32_t i = 0; i < manifest.inputCount; ++i)
    context.values[i].tensor.data = inputs.tensors[i].data;
  if (!inputs.keys.empty())
    context.values[manifest.rows.keys].tensor = {const_cast<int64_t *>(inputs.keys.data()),
                                                 {int64_t(inputs.keys.size()), 1}};
  for (size_t i = 0; i < slots.size(); ++i) {
    OutputSlot &slot = slots[i];
    describe(slot);
    if (slot.bytes < 0)
      continue;
    if (slot.data && slot.capacity < uint64_t(slot.bytes))
      return tooSmall(slot);
    if (!slot.data && slot.keep) {
      slot.owned = allocateMemory(slot.bytes);
      if (!slot.owned)
        return memoryError("output '" + std::string(slot.name) + "': cannot allocate " +
                           std::to_string(slot.bytes) + " bytes");
      slot.data = slot.owned.get();
    }
    ValueState &state = context.values[slot.value];
    if (slot.data && slot.value >= manifest.inputCount && state.slot < 0) {
      state.slot = int32_t(i);
      state.tensor.data = slot.data;
    }
  }
  return {};
}

/// Gives each value that is no output a part of the arena before that of the stages, which they use
/// one after another.
Status Execution::placeValues(char *&arena) {
  int64_t total = 0, largest = 0;
  bool fits = true;
  auto inArena = [&](auto visit) {
    for (uint32_t stage : manifest.stageOrder)
      for (uint32_t value : manifest.stages[stage].outputs)
        if (ValueState &state = context.values[value];
            context.stageUsed[stage] && state.bytes >= 0 && state.slot < 0)
          visit(state);
  };
  inArena([&](ValueState &state) {
    int64_t aligned;
    fits = fits && checkedAlign(state.bytes, aligned) && checkedAdd(total, aligned, total);
  });
  for (const auto &plan : context.plans)
    if (plan)
      largest = std::max(largest, plan->arenaBytes);
  int64_t all;
  char *memory = nullptr;
  if (fits && checkedAdd(total, largest, all))
    memory = context.arena.reserve(all);
  if (!memory)
    return memoryError("cannot allocate the memory of a run: " + std::to_string(total) + " + " +
                       std::to_string(largest) + " bytes");
  arena = memory + total;
  inArena([&](ValueState &state) {
    state.tensor.data = memory;
    memory += (state.bytes + kAlignment - 1) & ~(kAlignment - 1);
  });
  return {};
}

Status Execution::run(const BoundInputs &inputs, std::vector<OutputSlot> &slots, int32_t threads) {
  Status status = prepareSlots(inputs, slots);
  if (status.failed())
    return status;
  DeviceExecution device(*this);
  if (std::optional<Status> done = device.run(inputs, threads))
    status = std::move(*done);
  else
    status = runOnHost(inputs, threads);
  if (!status.failed())
    status = deliver(slots);
  context.host.end();
  return status;
}

Status Execution::runOnHost(const BoundInputs &inputs, int32_t threads) {
  char *arena = nullptr;
  if (Status status = placeValues(arena); status.failed())
    return status;
  context.host.begin(threads, context.routes ? &*context.routes : nullptr);
  for (uint32_t stage : manifest.stageOrder) {
    if (!context.stageUsed[stage])
      continue;
    if (Status status = runStage(stage, inputs, arena); status.failed())
      return status;
  }
  return {};
}

Status Execution::runStage(uint32_t index, const BoundInputs &inputs, char *arena) {
  const StageInfo &stage = manifest.stages[index];
  const StagePlan &plan = *context.plans[index];
  context.arguments.clear();
  for (uint32_t value : stage.inputs)
    context.arguments.push_back(context.values[value].tensor);
  for (uint32_t value : stage.outputs)
    context.arguments.push_back(context.values[value].tensor);
  if (context.routes)
    context.routes->enterStage(index);
  int32_t code = library.code(stage).run(context.host.host(), library.parameters(index),
                                         context.arguments.data(), inputs.symbols.data(), arena,
                                         plan.offsets.data());
  if (Status status = context.host.failure(); status.failed())
    return status;
  if (code != 0)
    return internalError("stage " + std::to_string(index) + " ended with " + std::to_string(code) +
                         " and no words");
  for (size_t i = 0; i < stage.outputs.size(); ++i)
    if (context.values[stage.outputs[i]].bytes < 0)
      if (Status status =
              takeDynamicOutput(stage.outputs[i], context.arguments[stage.inputs.size() + i]);
          status.failed())
        return status;
  return {};
}

Status Execution::takeDynamicOutput(uint32_t value, const graft_tensor &tensor) {
  const ValueInfo &info = manifest.values[value];
  std::optional<int64_t> bytes = tensorBytes(info.type, tensor.dims, info.rank());
  if (!bytes || (!tensor.data && *bytes > 0))
    return internalError("the code gives value " + std::to_string(value) +
                         " no data or the shape " + shapeText(tensor.dims, info.rank()));
  context.values[value].tensor = tensor;
  context.values[value].bytes = *bytes;
  return {};
}

/// Brings values to the slots that they were not computed in.
Status Execution::deliver(std::vector<OutputSlot> &slots) {
  for (size_t i = 0; i < slots.size(); ++i) {
    OutputSlot &slot = slots[i];
    const ValueState &state = context.values[slot.value];
    if (state.slot == int32_t(i))
      continue;
    describe(slot);
    if (!slot.data && !slot.keep)
      continue;
    if (slot.data && slot.capacity < uint64_t(slot.bytes) && !slot.owned)
      return tooSmall(slot);
    if (!slot.data) {
      // What the code allocated becomes the slot's, if no other slot has it yet.
      slot.owned = context.host.take(state.tensor.data);
      slot.data = slot.owned.get();
      if (slot.data)
        continue;
      slot.owned = allocateMemory(slot.bytes);
      slot.data = slot.owned.get();
      if (!slot.data)
        return memoryError("output '" + std::string(slot.name) + "': cannot allocate " +
                           std::to_string(slot.bytes) + " bytes");
    }
    if (slot.bytes)
      std::memcpy(slot.data, state.tensor.data, size_t(slot.bytes));
  }
  return {};
}
