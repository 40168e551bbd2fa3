//===- Fault.h - Errors that a user's input causes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_FAULT_FAULT_H
#define GRAFT_FAULT_FAULT_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace graft {

/// What is at fault, as the tools' exit codes count it.
enum class FaultKind { Input = 1, Unsupported = 2 };

/// An error of the input: `file: node or tensor: what was expected, what was found`.
class Fault : public llvm::ErrorInfo<Fault> {
public:
  static char ID;

  Fault(FaultKind kind, std::string message) : kind(kind), text(std::move(message)) {}

  FaultKind getKind() const { return kind; }
  void log(llvm::raw_ostream &os) const override { os << text; }
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }

private:
  FaultKind kind;
  std::string text;
};

/// The input is wrong (exit code 1).
llvm::Error inputFault(const llvm::Twine &message);

/// The input may be right, but is not supported (exit code 2).
llvm::Error unsupportedFault(const llvm::Twine &message);

/// Consumes `error`, writes `error: ` and its message to standard error, and returns the exit code
/// that belongs to it: 70 if it is no Fault.
int reportFault(llvm::Error error);

/// Error diagnostics that say what is at fault; any other says that the compiler is. The kind
/// travels with the diagnostic, whatever its words are.
mlir::InFlightDiagnostic emitInputFault(mlir::Operation *op);
mlir::InFlightDiagnostic emitInputFault(mlir::Location loc);
mlir::InFlightDiagnostic emitUnsupportedFault(mlir::Operation *op);

/// The kind that a diagnostic was emitted with.
std::optional<FaultKind> getFaultKind(mlir::Diagnostic &diagnostic);

} // namespace graft

#endif // GRAFT_FAULT_FAULT_H
