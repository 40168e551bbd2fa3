//===- ApiRun.cpp - The C interface: runs and results -------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Bind.h"
#include "graft/Runtime/Handles.h"
#include "graft/Runtime/RowTasks.h"
#include "graft/Runtime/Tensor.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

using namespace graft::runtime;

namespace {
/// A context of the library's pool, given back at the end.
class ContextLease {
public:
  explicit ContextLease(Library &library) : library(library), context(library.acquireContext()) {}
  ~ContextLease() {
    context->slots.clear();
    context->routes.reset();
    context->host.end();
    library.releaseContext(std::move(context));
  }
  RunContext &operator*() { return *context; }

private:
  Library &library;
  std::unique_ptr<RunContext> context;
};
} // namespace

/// The request of a caller whose header may be older, with nothing in what it does not have.
static Status takeRequest(const graft_request *from, graft_request &request) {
  constexpr size_t kFirstVersion = offsetof(graft_request, routes);
  if (!from || from->struct_size < kFirstVersion)
    return inputError("the request is null or its struct_size too small");
  request = GRAFT_REQUEST_INIT;
  std::memcpy(&request, from, std::min<size_t>(from->struct_size, sizeof(request)));
  return {};
}

static Status checkRequest(const graft_request *request) {
  if (request->flags & ~GRAFT_ROW_TASKS)
    return unsupported("the request has flags that this runtime does not know");
  if ((request->task_count && !request->tasks) || (request->input_count && !request->inputs) ||
      (request->output_count && !request->outputs) || (request->route_count && !request->routes))
    return inputError("the request has a count without a list");
  if ((request->input_count && request->inputs->struct_size < sizeof(graft_buffer)) ||
      (request->output_count && request->outputs->struct_size < sizeof(graft_buffer)))
    return inputError("the struct_size of a buffer is too small");
  if (request->route_count && request->routes->struct_size < sizeof(graft_route))
    return inputError("the struct_size of a route is too small");
  if (request->task_count == 0)
    return inputError("no task is named");
  if (request->threads < 0 || request->threads > 4096)
    return inputError("expected 0 to 4096 threads, found " + std::to_string(request->threads));
  return {};
}

static Status findTasks(const Manifest &manifest, const graft_request &request,
                        std::vector<uint32_t> &tasks) {
  tasks.clear();
  for (size_t i = 0; i < request.task_count; ++i) {
    const char *name = request.tasks[i] ? request.tasks[i] : "";
    int32_t task = manifest.findTask(name);
    if (task < 0)
      return inputError("there is no task '" + std::string(name) + "'; there are " +
                        manifest.taskNames());
    if (!(request.flags & GRAFT_ROW_TASKS))
      for (uint32_t other : tasks)
        if (other == uint32_t(task))
          return inputError("task '" + std::string(name) + "' is named twice");
    tasks.push_back(uint32_t(task));
  }
  return {};
}

/// Puts the caller's buffers into the slots of their names.
static Status takeOutputBuffers(const graft_request &request, bool keep,
                                std::vector<OutputSlot> &slots) {
  for (OutputSlot &slot : slots)
    slot.keep = keep;
  for (size_t i = 0; i < request.output_count; ++i) {
    const graft_buffer &buffer = *versioned(request.outputs, i);
    OutputSlot *found = nullptr;
    for (OutputSlot &slot : slots)
      if (buffer.name && std::strcmp(buffer.name, slot.name) == 0)
        found = &slot;
    // Words are made only when there is something to say: a run that works allocates nothing.
    auto bad = [&](const std::string &words) {
      return inputError("output '" + std::string(buffer.name) + "'" + words);
    };
    if (!found) {
      std::string names;
      for (const OutputSlot &slot : slots)
        names += (names.empty() ? "" : ", ") + std::string(slot.name);
      return inputError("there is no output '" + std::string(buffer.name ? buffer.name : "") +
                        "'; there are " + names);
    }
    for (size_t other = 0; other < i; ++other)
      if (std::strcmp(versioned(request.outputs, other)->name, buffer.name) == 0)
        return bad(" is named twice");
    if (buffer.type && buffer.type != found->type)
      return bad(std::string(": expected the type ") + typeName(found->type) + ", found " +
                 (typeName(buffer.type) ? typeName(buffer.type) : std::to_string(buffer.type)));
    if (reinterpret_cast<uintptr_t>(buffer.data) % typeBytes(found->type))
      return bad(": the data is not aligned to its elements");
    found->data = buffer.data;
    found->capacity = buffer.bytes;
  }
  return {};
}

static void writeBuffer(const OutputSlot &slot, graft_buffer &buffer) {
  buffer.type = slot.type;
  buffer.rank = slot.rank;
  std::memcpy(buffer.dims, slot.dims, sizeof(buffer.dims));
  for (int32_t i = slot.rank; i < GRAFT_MAX_RANK; ++i)
    buffer.dims[i] = 0;
}

static void giveBack(const graft_request &request, const std::vector<OutputSlot> &slots) {
  for (size_t i = 0; i < request.output_count; ++i) {
    graft_buffer &buffer = *versioned(request.outputs, i);
    for (const OutputSlot &slot : slots) {
      if (std::strcmp(buffer.name, slot.name) != 0)
        continue;
      writeBuffer(slot, buffer);
      if (!buffer.data && slot.data) {
        buffer.data = slot.data;
        buffer.bytes = uint64_t(slot.bytes);
      }
    }
  }
}

/// Plans `request` and, unless `queryOnly`, runs it.
static Status perform(const std::shared_ptr<Library> &library, const graft_request *given,
                      bool queryOnly, graft_result **result) {
  graft_request taken;
  if (Status status = takeRequest(given, taken); status.failed())
    return status;
  const graft_request *request = &taken;
  if (Status status = checkRequest(request); status.failed())
    return status;
  if (!library->canRun())
    return inputError("the library was opened for inspection only");
  const Manifest &manifest = library->manifest();
  ContextLease lease(*library);
  RunContext &context = *lease;
  if (Status status = findTasks(manifest, *request, context.tasks); status.failed())
    return status;
  if (Status status = bindInputs(manifest, *request, !queryOnly, context.inputs); status.failed())
    return status;
  if (!queryOnly)
    if (Status status = normaliseBools(manifest, context.inputs, context.normalised);
        status.failed())
      return status;

  if (!queryOnly && Routes::areWanted(*request)) {
    context.routes.emplace(manifest, *request, context.tasks);
    if (Status status = context.routes->check(context.inputs.symbols); status.failed())
      return status;
  }

  int32_t threads = request->threads ? request->threads : availableThreads();
  Execution execution(*library, context);
  std::optional<RowTasks> rows;
  Status status;
  if (request->flags & GRAFT_ROW_TASKS) {
    rows.emplace(*library, context);
    status = rows->plan(context.inputs);
  } else {
    status = execution.plan(context.tasks.data(), context.tasks.size(), context.inputs);
    for (uint32_t task : context.tasks) {
      for (const OutputInfo &output : manifest.tasks[task].outputs) {
        OutputSlot &slot = context.slots.emplace_back();
        slot.name = context.tasks.size() > 1 ? output.qualifiedName.c_str() : output.name.c_str();
        slot.value = output.value;
        slot.type = manifest.values[output.value].type;
        slot.rank = manifest.values[output.value].rank();
        if (!status.failed())
          execution.describe(slot);
      }
    }
  }
  if (!status.failed() && !queryOnly)
    status = takeOutputBuffers(*request, result != nullptr, context.slots);
  if (!status.failed() && !queryOnly)
    status = rows ? rows->run(threads) : execution.run(context.inputs, context.slots, threads);
  if (status.failed())
    return status;
  if (!queryOnly)
    giveBack(*request, context.slots);
  if (result)
    *result = new graft_result{library, std::move(context.slots)};
  return {};
}

int32_t graft_query_outputs(graft_library *library, const graft_request *request,
                            graft_result **result, graft_error *error) {
  return guarded(error, [&]() -> Status {
    if (!library || !result)
      return inputError("a null library or result");
    *result = nullptr;
    return perform(library->library, request, /*queryOnly=*/true, result);
  });
}

int32_t graft_run(graft_library *library, const graft_request *request, graft_result **result,
                  graft_error *error) {
  return guarded(error, [&]() -> Status {
    if (result)
      *result = nullptr;
    if (!library)
      return inputError("a null library");
    return perform(library->library, request, /*queryOnly=*/false, result);
  });
}

size_t graft_result_count(const graft_result *result) { return result ? result->slots.size() : 0; }

int32_t graft_result_get(const graft_result *result, size_t output, graft_buffer *buffer,
                         graft_error *error) {
  return guarded(error, [&]() -> Status {
    if (!result || output >= result->slots.size())
      return inputError("there is no output " + std::to_string(output));
    if (!buffer || buffer->struct_size < sizeof(graft_buffer))
      return inputError("the buffer is null or its struct_size too small");
    const OutputSlot &slot = result->slots[output];
    writeBuffer(slot, *buffer);
    buffer->name = slot.name;
    buffer->data = slot.data;
    buffer->bytes = slot.bytes < 0 ? 0 : uint64_t(slot.bytes);
    return {};
  });
}

void graft_result_free(graft_result *result) { delete result; }
