//===- StageBody.h - The code of stages and the parameters they run on -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_STAGEBODY_H
#define GRAFT_TRANSFORMS_STAGEBODY_H

#include "graft/Modular/Modular.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace graft {

/// The function of one or more stages, whose arguments with `modular.slot` are their parameters.
struct StageBody {
  mlir::func::FuncOp function;
  llvm::SmallVector<modular::StageOp> stages;

  /// The slot whose parameter an argument is, or nothing.
  std::optional<int64_t> slotOf(mlir::Value argument) const;
  /// What `stage` runs on there.
  static modular::ParameterOp parameterAt(modular::StageOp stage, int64_t slot);
  /// Its elements, in order; an error is reported.
  static mlir::FailureOr<std::vector<double>> read(modular::StageOp stage, int64_t slot);

  /// Whether `value` is a parameter, or a constant of the body.
  bool isKnown(mlir::Value value) const;
  /// The symbol of the parameter that such a value is in `stage`; null for a constant.
  mlir::StringAttr symbolOf(modular::StageOp stage, mlir::Value value) const;
  /// The elements of such a value.
  mlir::FailureOr<std::vector<double>> read(modular::StageOp stage, mlir::Value value) const;

  /// An argument for a parameter of each stage, of one type: a new one, unless there is one.
  mlir::BlockArgument addSlot(llvm::ArrayRef<modular::ParameterOp> ofStages);
  /// The same numbers for each stage, as a vector. As a parameter, so that bodies that differ in
  /// nothing else are one.
  mlir::BlockArgument addSlot(mlir::Location loc, llvm::StringRef name,
                              llvm::ArrayRef<double> values, mlir::Type element);

  /// After a rewrite: leaves out what nothing reads, slots included, and infers shapes. The results
  /// keep the sizes by which other stages know them.
  void clean();
};

/// The bodies of a module's stages, in order.
llvm::SmallVector<StageBody> getStageBodies(mlir::ModuleOp module);

/// A stage's function as text without its name: what bodies that may be one have in common.
std::string getStageIdentity(mlir::func::FuncOp function);

/// Makes bodies one that are the same.
void mergeStageBodies(mlir::ModuleOp module);

/// Erases the parameters that no stage reads.
void eraseUnusedParameters(mlir::ModuleOp module);

} // namespace graft

#endif // GRAFT_TRANSFORMS_STAGEBODY_H
