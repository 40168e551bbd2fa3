//===- Artifact.h - Writes the library that a compilation yields -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ARTIFACT_ARTIFACT_H
#define GRAFT_ARTIFACT_ARTIFACT_H

#include "graft/Codegen/Cpu/Codegen.h"
#include "graft/Codegen/Gpu/Assembler.h"
#include "graft/Codegen/Gpu/GpuCodegen.h"
#include "graft/Modular/Modular.h"

#include "llvm/Support/JSON.h"

#include <optional>

namespace graft {

/// What goes into a library. Its parts refer to each other by index, as in the manifest.
struct ArtifactSpec {
  /// A tensor as the manifest describes it. A dimension is a number, or text if it is symbolic.
  struct Tensor {
    std::string name; ///< inputs only
    std::string type; ///< f32, i64, bool, …: elementTypeName
    std::vector<std::string> dims;
  };
  /// A stage's code, once for all stages that share it.
  struct Code {
    StageCode info;
    std::string object;              ///< a relocatable object; one object may define several codes
    std::optional<StageCode> device; ///< the same stage for the device, if it can run there
  };
  /// What runs on a GPU.
  struct Device {
    std::string ptx;
    unsigned capability; ///< the least compute capability, as 80
    std::vector<DeviceKernel> kernels;
    std::vector<std::string> checks;
    std::vector<DeviceImage> images; ///< machine code beside the PTX
  };
  /// What fills a slot of the parameter table.
  struct Parameter {
    modular::WeightAttr weight; ///< its key is looked up in the weight store
    mlir::Attribute packing;    ///< as in StageCode::Parameter
  };
  struct Stage {
    unsigned code;
    int parent = -1;
    std::vector<unsigned> inputs, outputs; ///< indices of values
    std::vector<Parameter> parameters;     ///< by slot
    std::vector<unsigned> routers;         ///< that its code asks
    std::vector<unsigned> fixedRouters;    ///< of these, those whose routes are compiled in
  };
  struct Output {
    std::string name;
    unsigned value;
  };
  struct Task {
    std::string name;
    unsigned stage;
    std::vector<Output> outputs;
    llvm::json::Object extra; ///< "adapters", "residency", … as they are to appear
  };

  /// The stage in which rows of several tasks run together.
  struct RowStage {
    unsigned stage;
    unsigned keys; ///< the value that says which of `tasks` each row is
    std::vector<std::string> tasks;
    std::vector<Output> outputs;
  };

  std::string backbone;
  CpuTarget target;
  std::vector<std::string> symbols;
  std::vector<Tensor> inputs; ///< also the first values
  std::vector<Tensor> values; ///< those after the inputs
  std::vector<Code> codes;
  std::optional<Device> device;
  std::vector<Stage> stages;
  std::vector<Task> tasks;
  llvm::json::Object rows;
  llvm::json::Array routers;       ///< as the manifest has them
  llvm::json::Array hiddenRouters; ///< names of those whose routes are not shown
  std::optional<RowStage> rowStage;
  llvm::json::Array modules;
  /// The objects call AddressSanitizer, which the process has to bring along.
  bool instrumented = false;
};

/// The manifest's name of an element type, or "" if it has none.
llvm::StringRef elementTypeName(mlir::Type type);

/// The weights that a library stores: each content once, in the form in which code wants it.
struct StorageReport {
  struct Blob {
    std::string name;
    uint64_t offset, bytes;
  };
  std::vector<Blob> blobs;
  uint64_t bytes = 0;       ///< of the whole section or file, alignment included
  uint64_t sourceBytes = 0; ///< of the same weights before packing, each content once
  uint64_t codeBytes = 0;   ///< of code and tables before they are linked, in all libraries
  uint64_t fileBytes = 0;   ///< of all files
};

/// Links the library and puts it at `path` in one step: on failure nothing is left behind, and what
/// was there stays. Errors are reported at `loc`.
mlir::LogicalResult writeArtifact(const ArtifactSpec &spec, const WeightStore &store,
                                  llvm::StringRef path, mlir::Location loc,
                                  StorageReport *report = nullptr);

/// Writes a library per task, `TASK.so`, which holds what that task runs, and `weights.bin`, which
/// all of them map, into `folder`. The folder is made if it does not exist.
mlir::LogicalResult writeSplitArtifacts(const ArtifactSpec &spec, const WeightStore &store,
                                        llvm::StringRef folder, mlir::Location loc,
                                        StorageReport *report = nullptr);

} // namespace graft

#endif // GRAFT_ARTIFACT_ARTIFACT_H
