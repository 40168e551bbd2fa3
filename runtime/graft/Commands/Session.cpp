//===- Session.cpp - A library and what to run on it ------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Session.h"

#include "graft/Commands/Npy.h"
#include "graft/Commands/RandomTensor.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iostream>

using namespace graft::commands;

Status graft::commands::openLibrary(const std::string &path, uint32_t flags, Library &library) {
  graft_open_options options = GRAFT_OPEN_OPTIONS_INIT;
  options.flags = flags;
  graft_error error = GRAFT_ERROR_INIT;
  graft_library *opened = nullptr;
  if (graft_library_open(path.c_str(), &options, &opened, &error) != GRAFT_OK)
    return Status(error.code, error.message);
  library.reset(opened);
  return {};
}

Status Session::checked(int32_t code, const graft_error &error) const {
  return code == GRAFT_OK ? Status() : Status(code, libraryPath + ": " + error.message);
}

Status Session::open(const SessionOptions &options, bool generate) {
  libraryPath = options.library;
  if (!options.tasks.empty() && !options.rowTasks.empty())
    return inputError("--task and --row-tasks exclude each other");
  if (Status status = openLibrary(libraryPath, 0, handle); status.failed())
    return status;
  rows = !options.rowTasks.empty();
  taskNames = rows ? options.rowTasks : options.tasks;
  // A library of a single task (--split-tasks) leaves no choice.
  if (taskNames.empty())
    taskNames.push_back(graft_task_count(handle.get()) == 1 ? graft_task_name(handle.get(), 0)
                                                            : "base");
  for (const std::string &name : taskNames)
    taskPointers.push_back(name.c_str());
  threadCount = options.threads ? options.threads : graft_default_threads();

  for (const std::string &text : options.inputs)
    if (Status status = readInput(text); status.failed())
      return status;
  for (const std::string &text : options.shapes)
    if (Status status = makeInput(text); status.failed())
      return status;
  if (generate)
    if (Status status = makeFixedInputs(); status.failed())
      return status;

  for (size_t i = 0; i < tensors.size(); ++i) {
    graft_buffer buffer = GRAFT_BUFFER_INIT;
    buffer.name = names[i].c_str();
    buffer.type = tensors[i].type;
    buffer.data = tensors[i].data.get();
    buffer.bytes = tensors[i].bytes;
    buffer.rank = int32_t(tensors[i].dims.size());
    std::copy(tensors[i].dims.begin(), tensors[i].dims.end(), buffer.dims);
    buffers.push_back(buffer);
  }
  return {};
}

Status Session::findInput(const std::string &name, graft_tensor_info &info) const {
  std::string known;
  for (size_t i = 0; i < graft_input_count(handle.get()); ++i) {
    graft_error error = GRAFT_ERROR_INIT;
    if (graft_input_info(handle.get(), i, &info, &error) != GRAFT_OK)
      return Status(error.code, error.message);
    if (name == info.name)
      return {};
    known += (known.empty() ? "" : ", ") + std::string(info.name);
  }
  return inputError(libraryPath + ": there is no input '" + name + "'; there are " + known);
}

Status Session::add(const std::string &name, Tensor tensor) {
  if (std::count(names.begin(), names.end(), name))
    return inputError("input '" + name + "' is given twice");
  names.push_back(name);
  tensors.push_back(std::move(tensor));
  return {};
}

Status Session::readInput(const std::string &text) {
  FileArgument argument;
  if (Status status = parseFileArgument(text, argument); status.failed())
    return Status(status.code(), "--input: " + status.message());
  graft_tensor_info info = GRAFT_TENSOR_INFO_INIT;
  if (Status status = findInput(argument.name, info); status.failed())
    return status;
  Tensor tensor;
  if (Status status = readNpy(argument.path, tensor); status.failed())
    return status;
  // NumPy has no bf16 of its own; such data is saved as its bits.
  if (info.type == GRAFT_BF16 && tensor.type == GRAFT_U16)
    tensor.type = GRAFT_BF16;
  std::string place = argument.path + ": input '" + argument.name + "': ";
  if (tensor.type != info.type)
    return inputError(place + "expected the type " + graft_type_name(info.type) + ", found " +
                      graft_type_name(tensor.type));
  bool fits = tensor.dims.size() == size_t(info.rank);
  std::string wanted;
  for (int32_t i = 0; i < info.rank; ++i) {
    wanted += (i ? "x" : "") + (info.dims[i] < 0 ? info.symbols[i] : std::to_string(info.dims[i]));
    fits = fits && (info.dims[i] < 0 || info.dims[i] == tensor.dims[size_t(i)]);
  }
  if (!fits)
    return inputError(place + "expected the shape " + (info.rank ? wanted : "scalar") + ", found " +
                      shapeText(tensor.dims));
  return add(argument.name, std::move(tensor));
}

Status Session::makeInput(const std::string &text) {
  ShapeArgument argument;
  graft_tensor_info info = GRAFT_TENSOR_INFO_INIT;
  Tensor tensor;
  if (Status status = parseShapeArgument(text, argument); status.failed())
    return Status(status.code(), "--shape: " + status.message());
  if (Status status = findInput(argument.name, info); status.failed())
    return status;
  if (Status status = randomTensor(argument, info.type, tensor); status.failed())
    return status;
  return add(argument.name, std::move(tensor));
}

Status Session::makeFixedInputs() {
  for (size_t i = 0; i < graft_input_count(handle.get()); ++i) {
    graft_tensor_info info = GRAFT_TENSOR_INFO_INIT;
    graft_error error = GRAFT_ERROR_INIT;
    if (graft_input_info(handle.get(), i, &info, &error) != GRAFT_OK)
      return Status(error.code, error.message);
    ShapeArgument argument;
    argument.name = info.name;
    argument.dims.assign(info.dims, info.dims + info.rank);
    bool isFixed = std::all_of(argument.dims.begin(), argument.dims.end(),
                               [](int64_t dim) { return dim >= 0; });
    if (!isFixed || std::count(names.begin(), names.end(), argument.name))
      continue;
    Tensor tensor;
    if (Status status = randomTensor(argument, info.type, tensor); status.failed())
      return status;
    if (Status status = add(argument.name, std::move(tensor)); status.failed())
      return status;
  }
  return {};
}

graft_request Session::request() const {
  graft_request request = GRAFT_REQUEST_INIT;
  request.flags = rows ? GRAFT_ROW_TASKS : 0;
  request.tasks = taskPointers.data();
  request.task_count = taskPointers.size();
  request.inputs = buffers.data();
  request.input_count = buffers.size();
  request.threads = threadCount;
  return request;
}

Status Session::query(Result &result) const {
  graft_request wanted = request();
  graft_error error = GRAFT_ERROR_INIT;
  graft_result *queried = nullptr;
  Status status = checked(graft_query_outputs(handle.get(), &wanted, &queried, &error), error);
  result.reset(queried);
  return status;
}

Status Session::run(const graft_request &request, Result *result) const {
  graft_error error = GRAFT_ERROR_INIT;
  graft_result *outputs = nullptr;
  Status status =
      checked(graft_run(handle.get(), &request, result ? &outputs : nullptr, &error), error);
  if (result)
    result->reset(outputs);
  return status;
}

std::string Session::deviceLine() const {
  const char *where = device();
  if (!where)
    return "";
  // A run that the CPU did says so, whatever is on the device.
  const char *code = graft_library_device_code(handle.get());
  return std::string(where).compare(0, 5, "cpu: ") == 0 || !code ? where
                                                                 : where + std::string(", ") + code;
}

nlohmann::ordered_json Session::facts() const {
  nlohmann::ordered_json object;
  object["library"] = libraryPath;
  object[rows ? "row_tasks" : "tasks"] = taskNames;
  object["threads"] = threadCount;
  if (const char *where = device())
    object["device"] = where;
  if (const char *code = graft_library_device_code(handle.get()))
    object["device_code"] = code;
  object["inputs"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < tensors.size(); ++i)
    object["inputs"].push_back(describe(names[i].c_str(), tensors[i]));
  return object;
}

std::string Session::headline() const {
  std::string text = rows ? "rows of " : "";
  for (size_t i = 0; i < taskNames.size(); ++i)
    text += (i ? ", " : "") + taskNames[i];
  return text + " on " + std::to_string(threadCount) + (threadCount == 1 ? " thread" : " threads");
}

nlohmann::ordered_json graft::commands::describe(const char *name, const TensorView &tensor) {
  nlohmann::ordered_json object;
  object["name"] = name;
  object["type"] = graft_type_name(tensor.type);
  object["shape"] = tensor.dims;
  return object;
}

graft_buffer graft::commands::outputOf(const Result &result, size_t index) {
  graft_buffer buffer = GRAFT_BUFFER_INIT;
  graft_result_get(result.get(), index, &buffer, nullptr);
  return buffer;
}

void graft::commands::printJson(const nlohmann::ordered_json &object) {
  std::cout << object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
            << std::endl;
}
