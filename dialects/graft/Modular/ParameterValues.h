//===- ParameterValues.h - The elements of parameters in double precision -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_PARAMETERVALUES_H
#define GRAFT_MODULAR_PARAMETERVALUES_H

#include "graft/Modular/Modular.h"

namespace graft::modular {

/// The elements of a constant, row-major, exactly. Fails with an error on `where` if its element
/// type is no floating-point type of 16 to 64 bits, or the store has no bytes for it.
mlir::FailureOr<std::vector<double>> readElements(mlir::Operation *where, mlir::TypedAttr value);

/// `values` rounded to `type`, to nearest and ties to even, as bytes. The type is one that
/// readElements takes.
std::vector<char> roundElements(llvm::ArrayRef<double> values, mlir::Type type);

/// Declares a parameter before `before`, with bytes that a pass has computed. Its symbol and its
/// key in the store are `name`, or `name` with a suffix where that is taken.
ParameterOp createParameter(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef name,
                            mlir::RankedTensorType type, std::vector<char> bytes);

/// `matrix` of (rows, columns), transposed.
std::vector<double> transposed(llvm::ArrayRef<double> matrix, int64_t rows, int64_t columns);

/// The parameter of one use with `modules` entered.
struct AdaptedValue {
  mlir::RankedTensorType type; ///< stored, not canonical
  std::vector<char> bytes;     ///< rounded to the type
  double error = 0;            ///< ‖fl(W+Δ) − (W+Δ)‖ / ‖Δ‖, 0 where Δ is
};

/// Evaluates `adapt` for a route that takes the modules `names`: in double precision, rounded once.
mlir::FailureOr<AdaptedValue> evaluateAdapt(AdaptOp adapt, llvm::ArrayRef<mlir::StringAttr> names,
                                            mlir::SymbolTableCollection &symbols);

/// The modules that enter at `adapt` for a route that takes `names`: the one that replaces the
/// parameter, if any, before those that add.
llvm::SmallVector<ModuleOpInterface> getModulesOfRoute(AdaptOp adapt,
                                                       llvm::ArrayRef<mlir::StringAttr> names,
                                                       mlir::SymbolTableCollection &symbols);

/// The steps by which a module enters a parameter, in order.
llvm::SmallVector<ParameterCompositionOpInterface> getSteps(ModuleOpInterface module);

} // namespace graft::modular

#endif // GRAFT_MODULAR_PARAMETERVALUES_H
