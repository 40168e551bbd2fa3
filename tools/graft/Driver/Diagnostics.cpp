//===- Diagnostics.cpp - What the compiler says to its user -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Driver/Diagnostics.h"

#include "graft/Onnx/Origin.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace graft;

UserDiagnostics::UserDiagnostics(MLIRContext *context, llvm::StringRef file, bool warningsAreErrors)
    : file(file), warningsAreErrors(warningsAreErrors),
      handler(context, [this](Diagnostic &diagnostic) { return handle(diagnostic); }) {}

LogicalResult UserDiagnostics::handle(Diagnostic &diagnostic) {
  const DiagnosticSeverity severity = diagnostic.getSeverity();
  if (severity == DiagnosticSeverity::Remark || severity == DiagnosticSeverity::Note)
    return success();
  const bool isError = severity == DiagnosticSeverity::Error || warningsAreErrors;
  std::string message = diagnostic.str();
  if (isError) {
    ++errors;
    if (!kind)
      kind = getFaultKind(diagnostic);
  }
  llvm::raw_ostream &out = llvm::errs();
  out << (isError ? "error: " : "warning: ") << file << ": ";
  Origin origin = originOf(diagnostic.getLocation());
  if (!origin.node.empty())
    out << "node '" << origin.node << "'";
  if (!origin.module.empty())
    out << (origin.node.empty() ? "module '" : " (module '") << origin.module
        << (origin.node.empty() ? "'" : "')");
  if (!origin.node.empty() || !origin.module.empty())
    out << ": ";
  out << message << "\n";
  return success();
}
