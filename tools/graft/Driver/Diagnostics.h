//===- Diagnostics.h - What the compiler says to its user -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DRIVER_DIAGNOSTICS_H
#define GRAFT_DRIVER_DIAGNOSTICS_H

#include "graft/Fault/Fault.h"

#include "mlir/IR/Diagnostics.h"

namespace graft {

/// Writes diagnostics as `error: FILE: node 'NAME' (MODULE): what was expected, what was found`,
/// and remembers what the first error that says it is at fault means for the exit code.
class UserDiagnostics {
public:
  UserDiagnostics(mlir::MLIRContext *context, llvm::StringRef file, bool warningsAreErrors);

  bool anyError() const { return errors != 0; }
  /// Of a compilation that failed: 1 or 2 if an error was the input's, 70 else.
  int getExitCode() const { return kind ? static_cast<int>(*kind) : 70; }

private:
  mlir::LogicalResult handle(mlir::Diagnostic &diagnostic);

  std::string file;
  bool warningsAreErrors;
  unsigned errors = 0;
  std::optional<FaultKind> kind;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace graft

#endif // GRAFT_DRIVER_DIAGNOSTICS_H
