//===- Codegen.h - From a stage function to machine code ---------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_CODEGEN_H
#define GRAFT_CODEGEN_CPU_CODEGEN_H

#include "graft/Codegen/Cpu/CpuTarget.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace mlir {
class ModuleOp;
class OpPassManager;
} // namespace mlir

namespace graft {

struct CodegenOptions {
  CpuTarget target = CpuTarget::native();
  /// One allocation a buffer instead of the arena, and AddressSanitizer's checks.
  bool instrumented = false;
  unsigned optLevel = 3;
};

/// What the code of a stage wants of the library around it.
struct StageCode {
  /// The name of the stage function. The object defines `graft_shape.NAME` and `graft_run.NAME`.
  std::string name;
  /// First and last operation that each arena buffer lives through.
  std::vector<std::pair<int64_t, int64_t>> buffers;
  /// By slot: the weight and the form in which the code wants it.
  struct Parameter {
    /// Null if the code has no such slot: any weight will do.
    mlir::RankedTensorType type;
    /// How the weight's bytes are rearranged (`dispatch.packing`), or null if they stay as they
    /// are.
    mlir::Attribute packing;
    /// Which of the slots before code generation the weight is from: packing adds slots behind
    /// them.
    unsigned source = 0;
  };
  std::vector<Parameter> parameters;
};

/// Adds the passes of code generation that work on tensors, and yield tensors: fusion and the
/// packing of weights. addCpuCodegenPasses begins with them.
void addCpuTensorPasses(mlir::OpPassManager &pm, const CodegenOptions &options);

/// Adds the passes from linalg and dispatch on tensors to the LLVM dialect, for a module whose
/// functions with `modular.stage` are stage functions. This is `--graft-cpu-codegen`.
void addCpuCodegenPasses(mlir::OpPassManager &pm, const CodegenOptions &options);

/// Runs addCpuCodegenPasses. The stages' StageCode is appended to `stages` in the functions' order.
/// Errors are reported through the context.
mlir::LogicalResult lowerToLLVM(mlir::ModuleOp module, const CodegenOptions &options,
                                std::vector<StageCode> &stages);

enum class EmitFormat { LLVM, Assembly, Object };

/// Translates a module that lowerToLLVM has lowered, optimises it, and appends it to `output` as
/// text or as a relocatable object. Thread-safe for modules of different contexts only.
mlir::LogicalResult emitCode(mlir::ModuleOp module, const CodegenOptions &options,
                             EmitFormat format, std::string &output);

/// emitCode for several modules, which share a context, on as many threads as there are cores.
mlir::LogicalResult emitCode(llvm::ArrayRef<mlir::ModuleOp> modules, const CodegenOptions &options,
                             EmitFormat format, std::vector<std::string> &outputs);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_CODEGEN_H
