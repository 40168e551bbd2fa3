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

/// The three steps from linalg and dispatch on tensors to the LLVM dialect, for a module whose
/// functions with `modular.stage` are stage functions; each wants what the one before yields.
/// First, elementwise work is fused and weights are packed, all on tensors.
void addCpuFusion(mlir::OpPassManager &pm, const CodegenOptions &options);
/// Tensors become memrefs: the caller's, or views into the arena.
void addCpuBufferization(mlir::OpPassManager &pm, const CodegenOptions &options);
/// Kernels, loops, threads, the entries of the stages, and the LLVM dialect.
void addCpuCodegen(mlir::OpPassManager &pm, const CodegenOptions &options);

/// Takes from a module in the LLVM dialect, as addCpuCodegen yields it, what the stages' code wants
/// of the library, in the functions' order; what only says that goes from the module.
std::vector<StageCode> takeStageCode(mlir::ModuleOp module);

enum class EmitFormat { LLVM, Assembly, Object };

/// Translates a module that addCpuCodegen has lowered, optimises it, and appends it to `output` as
/// text or as a relocatable object. Thread-safe for modules of different contexts only.
mlir::LogicalResult emitCode(mlir::ModuleOp module, const CodegenOptions &options,
                             EmitFormat format, std::string &output);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_CODEGEN_H
