//===- Session.h - A library and what to run on it --------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_SESSION_H
#define GRAFT_COMMANDS_SESSION_H

#include "graft/Commands/TensorFile.h"

#include <nlohmann/json_fwd.hpp>

namespace graft::commands {

struct CloseLibrary {
  void operator()(graft_library *library) const { graft_library_close(library); }
};
using Library = std::unique_ptr<graft_library, CloseLibrary>;

struct FreeResult {
  void operator()(graft_result *result) const { graft_result_free(result); }
};
using Result = std::unique_ptr<graft_result, FreeResult>;

Status openLibrary(const std::string &path, uint32_t flags, Library &library);

/// What `run` and `bench` have in common on the command line.
struct SessionOptions {
  std::string library;
  std::vector<std::string> tasks, rowTasks; ///< at most one of them; none means `base`
  std::vector<std::string> inputs;          ///< NAME=@FILE.npy
  std::vector<std::string> shapes;          ///< NAME=1x128[:MAX]
  int32_t threads = 0;
  bool json = false;
};

/// An open library, its inputs in memory, and a request for them.
class Session {
public:
  /// \param generate make inputs up that are neither given nor of a shape that is not fixed
  Status open(const SessionOptions &options, bool generate);

  graft_library *library() const { return handle.get(); }
  const std::string &path() const { return libraryPath; }
  int32_t threads() const { return threadCount; }
  /// Those that run; with row tasks one a row.
  const std::vector<std::string> &tasks() const { return taskNames; }
  size_t inputCount() const { return tensors.size(); }
  const char *inputName(size_t i) const { return names[i].c_str(); }
  const Tensor &input(size_t i) const { return tensors[i]; }

  /// Without outputs; valid as long as the session.
  graft_request request() const;

  Status query(Result &result) const;
  Status run(const graft_request &request, Result *result) const;

  /// Where the last run was; null for libraries that are for the CPU alone.
  const char *device() const { return graft_library_device(handle.get()); }
  /// "NVIDIA H100 (sm_90), the cubin for sm_90a"; empty without code for a device.
  std::string deviceLine() const;

  /// {"library", "tasks" or "row_tasks", "threads", "device" if it has code for one, "inputs"}
  nlohmann::ordered_json facts() const;
  /// "topic, lang on 2 threads"
  std::string headline() const;

private:
  Status readInput(const std::string &text);
  Status makeInput(const std::string &text);
  Status makeFixedInputs();
  Status add(const std::string &name, Tensor tensor);
  /// Null if there is none; the status names those that there are.
  Status findInput(const std::string &name, graft_tensor_info &info) const;
  Status checked(int32_t code, const graft_error &error) const;

  std::string libraryPath;
  Library handle;
  bool rows = false;
  int32_t threadCount = 0;
  std::vector<std::string> taskNames;
  std::vector<const char *> taskPointers;
  std::vector<std::string> names;
  std::vector<Tensor> tensors;
  std::vector<graft_buffer> buffers;
};

/// {"name", "type", "shape"}
nlohmann::ordered_json describe(const char *name, const TensorView &tensor);

/// A result's output.
graft_buffer outputOf(const Result &result, size_t index);

/// Prints an object to standard output.
void printJson(const nlohmann::ordered_json &object);

} // namespace graft::commands

#endif
