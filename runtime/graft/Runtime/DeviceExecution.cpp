//===- DeviceExecution.cpp - Stages, run on a GPU ---------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/DeviceExecution.h"

#include "graft/Runtime/Tensor.h"

#include <algorithm>
#include <cstring>

using namespace graft::runtime;
using namespace graft::runtime::cuda;

/// Of values and the arena on the device; what cuMemAlloc gives.
static constexpr int64_t kDeviceAlignment = 256;

std::optional<Status> DeviceExecution::run(const BoundInputs &inputs, int32_t threads) {
  library = execution.library.device();
  if (!library || !library->isReady())
    return std::nullopt;
  if (std::string obstacle = findObstacle(); !obstacle.empty()) {
    library->noteRun(obstacle);
    return std::nullopt;
  }
  if (!context.device)
    context.device = std::make_unique<DeviceContext>(*library);
  device = context.device.get();
  CurrentContext current(library->driver(), library->context());
  if (current.status() != kSuccess) {
    std::string words = library->deviceName() + ": " + library->driver().text(current.status());
    library->giveUp(words);
    return internalError(words);
  }
  if (Status status = plan(inputs); status.failed())
    return status;
  if (Status status = reserve(); status.failed()) {
    if (status.code() != GRAFT_ERROR_MEMORY)
      return status;
    library->noteRun(status.message());
    return std::nullopt;
  }
  library->noteRun("");
  context.host.begin(threads);
  Status status = perform(inputs);
  context.host.leaveDevice();
  // Nothing may go on in memory that the next run uses.
  if (status.failed())
    device->drain();
  return status;
}

std::string DeviceExecution::findObstacle() const {
  if (context.routes)
    return "the run shows routes or is given some";
  bool any = false;
  std::vector<char> isSized(manifest.values.size(), 1);
  for (uint32_t stage : manifest.stageOrder) {
    if (!context.stageUsed[stage])
      continue;
    if (isOnHost(stage)) {
      for (uint32_t value : manifest.stages[stage].outputs)
        isSized[value] = context.values[value].bytes >= 0;
      continue;
    }
    any = true;
    for (uint32_t value : manifest.stages[stage].inputs)
      if (!isSized[value])
        return "stage " + std::to_string(stage) +
               " reads a value whose size only a stage on the host tells";
  }
  return any ? "" : "none of the run's stages has code for a device";
}

Status DeviceExecution::plan(const BoundInputs &inputs) {
  device->plans.assign(manifest.stages.size(), nullptr);
  for (uint32_t stage : manifest.stageOrder)
    if (context.stageUsed[stage] && !isOnHost(stage))
      if (Status status = planStage(stage, inputs); status.failed())
        return status;
  if (!placeValues(inputs))
    return inputError("the inputs are too large: the memory of the run has no size");
  makeGraphKey(inputs);
  return {};
}

Status DeviceExecution::planStage(uint32_t index, const BoundInputs &inputs) {
  const StageInfo &stage = manifest.stages[index];
  std::shared_ptr<const StagePlan> plan =
      execution.findPlan(stage, uint32_t(manifest.codes.size()) + stage.code, library->code(stage),
                         *manifest.device->codes[stage.code], inputs);
  if (!plan)
    return inputError("the inputs are too large: the device memory of stage " +
                      std::to_string(index) + " has no size");
  const int64_t *dims = plan->outputDims.data();
  for (uint32_t value : stage.outputs) {
    const int32_t rank = manifest.values[value].rank();
    const graft_tensor &tensor = context.values[value].tensor;
    if (context.values[value].bytes < 0 || !std::equal(dims, dims + rank, tensor.dims))
      return internalError("value " + std::to_string(value) + " has the shape " +
                           shapeText(tensor.dims, rank) + " on the host and " +
                           shapeText(dims, rank) + " on the device");
    dims += rank;
  }
  device->plans[index] = std::move(plan);
  return {};
}

bool DeviceExecution::placeValues(const BoundInputs &inputs) {
  std::vector<DevicePlace> &places = device->places;
  places.assign(manifest.values.size(), {});
  int64_t at = 0;
  bool fits = true;
  auto take = [&](int64_t bytes) { // something for nothing too: offsets tell what is where
    const int64_t begin = at;
    int64_t next = 0;
    fits = fits && bytes >= 0 && checkedAdd(at, std::max<int64_t>(bytes, 1), next) &&
           checkedAdd(next, kDeviceAlignment - 1, next);
    if (fits)
      at = next & ~(kDeviceAlignment - 1);
    return begin;
  };
  auto place = [&](uint32_t value) {
    if (places[value].offset < 0 && context.values[value].bytes >= 0)
      places[value].offset = take(context.values[value].bytes);
  };
  auto each = [&](auto visit) {
    for (uint32_t stage : manifest.stageOrder)
      if (context.stageUsed[stage])
        visit(manifest.stages[stage], isOnHost(stage));
  };
  each([&](const StageInfo &stage, bool onHost) {
    if (onHost)
      for (uint32_t value : stage.outputs)
        places[value].onHost = true;
  });

  const bool hasKeys = !inputs.keys.empty();
  if (hasKeys)
    context.values[manifest.rows.keys].bytes = int64_t(inputs.keys.size() * sizeof(int64_t));
  each([&](const StageInfo &stage, bool onHost) {
    for (uint32_t value : stage.inputs)
      if (!onHost && (value < manifest.inputCount || (hasKeys && value == manifest.rows.keys)))
        place(value);
  });
  statusOffset = take(sizeof(uint32_t));
  each([&](const StageInfo &stage, bool onHost) {
    for (uint32_t value : stage.outputs)
      if (!onHost && context.values[value].slot >= 0)
        place(value);
  });
  outputsEnd = at;
  each([&](const StageInfo &stage, bool onHost) {
    if (!onHost)
      return;
    for (uint32_t value : stage.inputs)
      if (value >= manifest.inputCount && !(hasKeys && value == manifest.rows.keys))
        place(value);
    for (uint32_t value : stage.outputs)
      place(value);
  });
  mirrorEnd = at;
  each([&](const StageInfo &stage, bool onHost) {
    for (uint32_t value : stage.outputs)
      place(value);
  });
  int64_t largest = 0;
  for (const auto &plan : device->plans)
    if (plan)
      largest = std::max(largest, plan->arenaBytes);
  arenaOffset = take(largest);
  end = at;
  return fits;
}

/// All that launches depend on but for the address of the memory: graphs are dropped when it moves.
void DeviceExecution::makeGraphKey(const BoundInputs &inputs) {
  std::vector<int64_t> &key = device->graphKey;
  key.assign(1, 0); // where the first stage of those that follow each other stands
  key.insert(key.end(), inputs.symbols.begin(), inputs.symbols.end());
  key.insert(key.end(), context.stageUsed.begin(), context.stageUsed.end());
  for (const DevicePlace &place : device->places)
    key.push_back(place.offset);
  key.push_back(arenaOffset);
  key.push_back(statusOffset);
}

Status DeviceExecution::reserve() {
  int64_t hostBytes = 0;
  for (uint32_t stage : manifest.stageOrder)
    if (context.stageUsed[stage] && isOnHost(stage))
      hostBytes = std::max(hostBytes, context.plans[stage]->arenaBytes);
  hostArena = context.arena.reserve(hostBytes);
  if (!hostArena)
    return memoryError("cannot allocate the memory of a run: " + std::to_string(hostBytes) +
                       " bytes");
  return device->reserve(end, mirrorEnd);
}

void DeviceExecution::copyInputs() {
  for (size_t value = 0; value < manifest.values.size(); ++value) {
    const ValueState &state = context.values[value];
    const int64_t offset = device->places[value].offset;
    if (offset >= 0 && offset < statusOffset && state.bytes > 0)
      std::memcpy(device->mirror() + offset, state.tensor.data, size_t(state.bytes));
  }
  std::memset(device->mirror() + statusOffset, 0, sizeof(uint32_t));
}

Status DeviceExecution::perform(const BoundInputs &inputs) {
  for (size_t value = 0; value < manifest.values.size(); ++value) {
    context.values[value].slot = -1; // outputs are copied from the mirror
    if (const int64_t offset = device->places[value].offset;
        offset > statusOffset && offset < mirrorEnd)
      context.values[value].tensor.data = device->mirror() + offset;
  }
  copyInputs();
  Status status = device->toDevice(0, statusOffset + int64_t(sizeof(uint32_t)));

  std::vector<uint32_t> together; // stages on the device that follow each other
  auto flush = [&]() -> Status {
    if (together.empty())
      return {};
    device->graphKey[0] = together.front();
    context.host.enterDevice(*device, device->device() + statusOffset, library->processors());
    Status status = device->replay(device->graphKey, [&] { return enqueue(together, inputs); });
    context.host.leaveDevice();
    together.clear();
    return status;
  };
  for (uint32_t stage : manifest.stageOrder) {
    if (!context.stageUsed[stage] || status.failed())
      continue;
    if (!isOnHost(stage)) {
      together.push_back(stage);
      continue;
    }
    status = flush();
    if (!status.failed())
      status = runHostStage(stage, inputs);
  }
  if (!status.failed())
    status = flush();
  if (!status.failed())
    status = device->toHost(statusOffset, outputsEnd - statusOffset);
  return status.failed() ? status : waitAndCheck();
}

Status DeviceExecution::enqueue(const std::vector<uint32_t> &stages, const BoundInputs &inputs) {
  context.host.forgetFailure(); // of a capture
  for (uint32_t stage : stages)
    if (Status status = enqueueStage(stage, inputs); status.failed())
      return status;
  return {};
}

Status DeviceExecution::enqueueStage(uint32_t index, const BoundInputs &inputs) {
  const StageInfo &stage = manifest.stages[index];
  context.arguments.clear();
  auto add = [&](uint32_t value) {
    graft_tensor &argument = context.arguments.emplace_back(context.values[value].tensor);
    argument.data = device->device() + device->places[value].offset;
  };
  for (uint32_t value : stage.inputs)
    add(value);
  for (uint32_t value : stage.outputs)
    add(value);
  context.host.setDeviceParameters(library->deviceParameters(index));
  int32_t code = library->code(stage).run(
      context.host.host(), library->parameters(index), context.arguments.data(),
      inputs.symbols.data(), device->device() + arenaOffset, device->plans[index]->offsets.data());
  if (Status status = context.host.failure(); status.failed())
    return status;
  return code == 0 ? Status()
                   : internalError("stage " + std::to_string(index) + " ended with " +
                                   std::to_string(code) + " and no words");
}

Status DeviceExecution::runHostStage(uint32_t index, const BoundInputs &inputs) {
  const StageInfo &stage = manifest.stages[index];
  bool waits = false;
  for (uint32_t value : stage.inputs) {
    const DevicePlace &place = device->places[value];
    if (place.offset < statusOffset || place.onHost)
      continue;
    waits = true;
    if (Status status = device->toHost(place.offset, context.values[value].bytes); status.failed())
      return status;
  }
  if (waits) {
    if (Status status = device->toHost(statusOffset, sizeof(uint32_t)); status.failed())
      return status;
    if (Status status = waitAndCheck(); status.failed())
      return status;
  }
  if (Status status = execution.runStage(index, inputs, hostArena); status.failed())
    return status;
  for (uint32_t value : stage.outputs)
    if (const DevicePlace &place = device->places[value]; place.offset >= 0)
      if (Status status = device->toDevice(place.offset, context.values[value].bytes);
          status.failed())
        return status;
  return {};
}

Status DeviceExecution::waitAndCheck() {
  if (Status status = device->synchronise(); status.failed())
    return status;
  uint32_t found = 0;
  std::memcpy(&found, device->mirror() + statusOffset, sizeof(found));
  if (found == 0)
    return {};
  if (found > manifest.device->checks.size())
    return internalError("the device's code reports check " + std::to_string(found) + " of " +
                         std::to_string(manifest.device->checks.size()));
  return inputError(manifest.device->checks[found - 1]);
}
