//===- Manifest.h - What a library says about itself ------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_MANIFEST_H
#define GRAFT_RUNTIME_MANIFEST_H

#include "graft/Runtime/DeviceImages.h"
#include "graft/Runtime/Status.h"

#include <optional>
#include <string_view>
#include <vector>

namespace graft::runtime {

/// A dimension as written: a number, or the text of a symbol or polynomial (`size` is then -1).
struct Dimension {
  int64_t size = -1;
  std::string text;
  int32_t symbol = -1; ///< index of the symbol that `text` is
};

struct ValueInfo {
  std::string name; ///< inputs only
  int32_t type = 0;
  std::vector<Dimension> dims;

  int32_t rank() const { return int32_t(dims.size()); }
};

struct StorageInfo {
  std::string name;
  uint64_t offset = 0, bytes = 0;
};

/// First and last operation that an arena buffer lives through.
struct Interval {
  int64_t first = 0, last = 0;
};

struct StageInfo {
  uint32_t code = 0;
  int32_t parent = -1;
  std::vector<uint32_t> inputs, outputs, parameters;
  std::vector<uint32_t> routers;      ///< that its code asks
  std::vector<uint32_t> fixedRouters; ///< of these, those whose routes are compiled in
};

/// A router that chooses row by row.
struct RouterInfo {
  /// Coefficient times the product of symbols.
  struct Term {
    int64_t coefficient = 0;
    std::vector<uint32_t> symbols;
  };
  std::string name;
  int32_t weightType = 0;
  int64_t slots = 0;
  bool weighs = false; ///< it computes weights from what is chosen
  std::vector<std::string> modules;
  std::vector<const char *> moduleNames; ///< the same for C
  std::optional<std::vector<Term>> rows; ///< how many, as a sum; nothing if only data tells
  int32_t within = -1;                   ///< the router that chooses the module that asks it, or -1

  /// How many rows it has, or nothing if that is not known beforehand or not a size.
  std::optional<int64_t> countRows(const std::vector<int64_t> &symbols) const;
};

struct OutputInfo {
  std::string name;
  std::string qualifiedName; ///< TASK.NAME
  uint32_t value = 0;
};

struct TaskInfo {
  std::string name;
  uint32_t stage = 0;
  std::vector<OutputInfo> outputs;
  std::vector<uint32_t> path; ///< stages, the root first
};

struct WeightsFile {
  std::string name; ///< empty: weights are in the library
  uint64_t bytes = 0;
  std::string sha256;
};

struct RowsInfo {
  bool independent = false;
  std::string op, node, reason;

  /// The path on which rows of several tasks run together, if there is one; it has no name.
  std::optional<TaskInfo> together;
  uint32_t keys = 0;          ///< the value that says which task each row is
  std::vector<int64_t> keyOf; ///< by task, -1 for one that is not among them
};

/// What a library for a GPU says of its device code.
struct DeviceInfo {
  int64_t capability = 0;                                  ///< the least of the device, as 80
  std::vector<std::optional<std::vector<Interval>>> codes; ///< per code; nothing: on the host alone
  std::vector<std::string> checks;                         ///< of the data, by number
  std::vector<DeviceImage> images; ///< none: the image is one, of a kind that is not told
};

/// Validated: every index is in range, every path ends at a root, every value that a stage reads is
/// an input or was computed above it, storage lies within the weights.
struct Manifest {
  std::string version, backbone, cpu;
  std::vector<std::string> cpuFeatures;
  std::vector<std::string> symbols;
  std::vector<ValueInfo> values; ///< the inputs come first
  uint32_t inputCount = 0;
  std::vector<StorageInfo> storage;
  WeightsFile weightsFile;
  std::vector<std::vector<Interval>> codes; ///< per code, its arena buffers
  std::optional<DeviceInfo> device;
  std::vector<StageInfo> stages;
  std::vector<uint32_t> stageOrder; ///< parents before children
  std::vector<TaskInfo> tasks;
  RowsInfo rows;
  std::vector<RouterInfo> routers;

  /// The task of that number. The one after the last is the path of rows of several tasks.
  const TaskInfo &task(uint32_t index) const {
    return index < tasks.size() ? tasks[index] : *rows.together;
  }
  /// -1 if there is none.
  int32_t findTask(std::string_view name) const;
  int32_t findInput(std::string_view name) const;
  int32_t findRouter(std::string_view name) const;
  /// "a, b, c", for messages.
  std::string taskNames() const;
  std::string inputNames() const;
  std::string routerNames() const;
};

/// Reads and checks `text`.
/// \param sectionBytes size of the weights in the library itself
/// \param codeCount how many codes the library has
Status parseManifest(std::string_view text, uint64_t sectionBytes, uint64_t codeCount,
                     Manifest &manifest);

} // namespace graft::runtime

#endif
