//===- Library.h - A library that is loaded ---------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_LIBRARY_H
#define GRAFT_RUNTIME_LIBRARY_H

#include "graft/Runtime/ArtifactAbi.h"
#include "graft/Runtime/DeviceLibrary.h"
#include "graft/Runtime/MappedFile.h"
#include "graft/Runtime/Plan.h"

namespace graft::runtime {

struct RunContext;

/// A library in memory, its manifest validated. Immutable but for its caches; thread-safe.
class Library {
public:
  /// \param flags GRAFT_OPEN_*
  static Status open(const std::string &path, uint32_t flags, std::shared_ptr<Library> &library);
  Library();
  ~Library();

  const Manifest &manifest() const { return facts; }
  std::string_view manifestText() const { return {artifact->manifest, artifact->manifest_bytes}; }
  const graft_stage_code &code(const StageInfo &stage) const { return artifact->codes[stage.code]; }
  /// The parameter table of a stage.
  const void *const *parameters(uint32_t stage) const { return tables[stage].data(); }
  bool canRun() const { return runnable; }
  PlanCache &plans() { return planCache; }
  /// What it has for a GPU; null if it is for the CPU alone.
  DeviceLibrary *device() const { return deviceSide.get(); }

  /// Contexts are kept for the next run with all their memory.
  std::unique_ptr<RunContext> acquireContext();
  void releaseContext(std::unique_ptr<RunContext> context);

private:
  Status load(const std::string &path, uint32_t flags);
  Status mapWeights(const std::string &path, bool verify, const char *&weights);

  void *handle = nullptr;
  const graft_artifact *artifact = nullptr;
  Manifest facts;
  MappedFile weightsFile;
  std::vector<std::vector<const void *>> tables;
  bool runnable = true;
  PlanCache planCache;
  std::unique_ptr<DeviceLibrary> deviceSide;
  std::mutex poolMutex;
  std::vector<std::unique_ptr<RunContext>> pool;
};

} // namespace graft::runtime

#endif
