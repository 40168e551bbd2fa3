//===- RaiseRouting.h - Recognising mixtures that an exporter took apart -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_RAISEROUTING_H
#define GRAFT_TRANSFORMS_RAISEROUTING_H

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/GraphBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace graft::raise {

/// Builds a mixture, router, modules and aggregate, beside an op that it stands for. Symbols are
/// named after that op's module path or node.
class MixtureBuilder {
public:
  using Value = mlir::Value;

  MixtureBuilder(mlir::ModuleOp module, mlir::Operation *op, int64_t experts);

  /// Declares the router; `body` builds what is chosen and its weights from the router's arguments,
  /// which have the types of `inputs` for any number of rows.
  void
  route(mlir::ValueRange inputs,
        llvm::function_ref<std::pair<Value, Value>(onnx::GraphBuilder &, mlir::ValueRange)> body);
  /// Declares the next expert; `body` builds its result from rows of `inputs`.
  void addExpert(mlir::ValueRange inputs,
                 llvm::function_ref<Value(onnx::GraphBuilder &, mlir::ValueRange)> body);
  /// The weighted sum over the experts of each row's route, before the op.
  Value build(mlir::ValueRange routed, mlir::ValueRange inputs);

private:
  mlir::ModuleOp module;
  mlir::Operation *op;
  std::string name;
  int64_t experts;
  modular::RouterOp router;
  llvm::SmallVector<mlir::Attribute> modules;
  mlir::Type result;
};

/// Whether `value` is a constant of floats of that shape whose bytes are at hand.
bool isStacked(mlir::Value value, llvm::ArrayRef<int64_t> shape);

/// Rows first, first + step, … of a matrix; all of them unless `count` says how many.
struct Rows {
  int64_t first = 0, step = 1, count = -1;
};
/// Rows of part `index` of a stacked constant along its first dimension, where `b` stands. The
/// bytes are the constant's own unless rows are left out between them.
mlir::Value buildPart(onnx::GraphBuilder &b, mlir::Value value, int64_t index, Rows rows = {});

/// Σ_e gate_e · branch_e, as a tree of additions or a sum over stacked branches, where all gates
/// are of one router and all branches start from one value. Returns whether it was replaced.
bool raiseGatedSum(mlir::ModuleOp module, const SymbolicShapes &shapes, mlir::Operation *op);

/// com.microsoft's MoE. Returns whether it was replaced; an op that says what Graft does not do is
/// an error.
mlir::FailureOr<bool> raiseContribMoE(mlir::ModuleOp module, mlir::Operation *op);

} // namespace graft::raise

#endif // GRAFT_TRANSFORMS_RAISEROUTING_H
