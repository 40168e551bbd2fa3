//===- Diagnostics.h - What the compiler says to its user -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DRIVER_DIAGNOSTICS_H
#define GRAFT_DRIVER_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"

namespace graft {

/// Writes diagnostics as `error: FILE: node 'NAME' (MODULE): what was expected, what was found`,
/// and remembers what they mean for the exit code. A message that starts with "not supported" is of
/// something that the input asks for rightly.
class UserDiagnostics {
public:
  UserDiagnostics(mlir::MLIRContext *context, llvm::StringRef file, bool warningsAreErrors);

  bool anyError() const { return errors != 0; }
  bool anyUnsupported() const { return unsupported != 0; }

private:
  mlir::LogicalResult handle(mlir::Diagnostic &diagnostic);

  std::string file;
  bool warningsAreErrors;
  unsigned errors = 0, unsupported = 0;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace graft

#endif // GRAFT_DRIVER_DIAGNOSTICS_H
