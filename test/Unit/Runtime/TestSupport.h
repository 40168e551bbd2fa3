//===- TestSupport.h - Short ways to run the fixture ------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_UNIT_RUNTIME_TESTSUPPORT_H
#define GRAFT_TEST_UNIT_RUNTIME_TESTSUPPORT_H

#include "graft/Runtime/graft.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace graft::test {

inline std::string fixture(const std::string &name) { return FIXTURES "/" + name; }

inline std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Writes a file of the test's own; its path.
inline std::string writeFile(const std::string &name, const std::string &bytes) {
  std::string path = testing::TempDir() + "graft-" + std::to_string(::getpid()) + "-" + name;
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  return path;
}

struct CloseLibrary {
  void operator()(graft_library *library) const { graft_library_close(library); }
};
using Library = std::unique_ptr<graft_library, CloseLibrary>;

/// Opens, expecting success.
inline Library open(const std::string &path) {
  graft_error error = GRAFT_ERROR_INIT;
  graft_library *library = nullptr;
  EXPECT_EQ(graft_library_open(path.c_str(), nullptr, &library, &error), GRAFT_OK) << error.message;
  return Library(library);
}

/// The words of the failure to open, or nothing.
inline std::string openError(const std::string &path, int32_t code = GRAFT_ERROR_INPUT,
                             uint32_t flags = 0) {
  graft_error error = GRAFT_ERROR_INIT;
  graft_open_options options = GRAFT_OPEN_OPTIONS_INIT;
  options.flags = flags;
  graft_library *library = nullptr;
  int32_t got = graft_library_open(path.c_str(), &options, &library, &error);
  graft_library_close(library);
  if (got == GRAFT_OK)
    return "";
  EXPECT_EQ(got, code) << error.message;
  return error.message;
}

/// An output in the test's own memory; integers as numbers.
struct Output {
  std::vector<int64_t> dims;
  std::vector<float> values;
};

/// A run of the fixture.
struct Request {
  std::vector<std::string> tasks = {"base"};
  bool rows = false;
  int64_t batch = 2, seq = 3;
  std::vector<float> x = {1, 2, 3, 4, 5, 6};
  std::vector<unsigned char> mask = {1, 1, 1, 1, 1, 1};
  int32_t threads = 1;

  std::vector<const char *> names;
  std::vector<graft_buffer> inputs;

  graft_request get() {
    names.clear();
    for (const std::string &task : tasks)
      names.push_back(task.c_str());
    inputs.assign(2, GRAFT_BUFFER_INIT);
    for (graft_buffer &input : inputs) {
      input.rank = 2;
      input.dims[0] = batch;
      input.dims[1] = seq;
    }
    inputs[0].name = "x";
    inputs[0].type = GRAFT_F32;
    inputs[0].data = x.data();
    inputs[0].bytes = x.size() * 4;
    inputs[1].name = "mask";
    inputs[1].type = GRAFT_BOOL;
    inputs[1].data = mask.data();
    inputs[1].bytes = mask.size();
    return raw();
  }

  /// Of the inputs as they are.
  graft_request raw() {
    graft_request request = GRAFT_REQUEST_INIT;
    request.flags = rows ? GRAFT_ROW_TASKS : 0;
    request.tasks = names.data();
    request.task_count = names.size();
    request.inputs = inputs.data();
    request.input_count = inputs.size();
    request.threads = threads;
    return request;
  }
};

inline std::map<std::string, Output> copyOutputs(const graft_result *result) {
  std::map<std::string, Output> outputs;
  for (size_t i = 0; i < graft_result_count(result); ++i) {
    graft_buffer buffer = GRAFT_BUFFER_INIT;
    graft_error error = GRAFT_ERROR_INIT;
    EXPECT_EQ(graft_result_get(result, i, &buffer, &error), GRAFT_OK) << error.message;
    Output &output = outputs[buffer.name];
    output.dims.assign(buffer.dims, buffer.dims + buffer.rank);
    for (size_t e = 0; buffer.data && e < buffer.bytes / graft_type_bytes(buffer.type); ++e)
      output.values.push_back(buffer.type == GRAFT_F32 ? static_cast<float *>(buffer.data)[e]
                              : buffer.type == GRAFT_I64
                                  ? float(static_cast<int64_t *>(buffer.data)[e])
                                  : float(static_cast<unsigned char *>(buffer.data)[e]));
  }
  return outputs;
}

/// Runs, expecting success.
inline std::map<std::string, Output> run(const Library &library, const graft_request &request) {
  graft_error error = GRAFT_ERROR_INIT;
  graft_result *result = nullptr;
  EXPECT_EQ(graft_run(library.get(), &request, &result, &error), GRAFT_OK) << error.message;
  std::map<std::string, Output> outputs = copyOutputs(result);
  graft_result_free(result);
  return outputs;
}

/// The words of the failure to run, or nothing.
inline std::string runError(const Library &library, const graft_request &request,
                            int32_t code = GRAFT_ERROR_INPUT) {
  graft_error error = GRAFT_ERROR_INIT;
  graft_result *result = nullptr;
  int32_t got = graft_run(library.get(), &request, &result, &error);
  graft_result_free(result);
  if (got == GRAFT_OK)
    return "";
  EXPECT_EQ(result, nullptr);
  EXPECT_EQ(got, code) << error.message;
  EXPECT_EQ(error.code, code);
  return error.message;
}

using Floats = std::vector<float>;
using Dims = std::vector<int64_t>;

} // namespace graft::test

#endif
