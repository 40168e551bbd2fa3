//===- Fault.cpp - Errors that a user's input causes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Fault/Fault.h"

#include "mlir/IR/Operation.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace graft;

char Fault::ID = 0;

llvm::Error graft::inputFault(const llvm::Twine &message) {
  return llvm::make_error<Fault>(FaultKind::Input, message.str());
}

llvm::Error graft::unsupportedFault(const llvm::Twine &message) {
  return llvm::make_error<Fault>(FaultKind::Unsupported, message.str());
}

int graft::reportFault(llvm::Error error) {
  int code = 0;
  llvm::handleAllErrors(
      std::move(error),
      [&](const Fault &fault) {
        llvm::errs() << "error: " << fault.message() << "\n";
        code = static_cast<int>(fault.getKind());
      },
      [&](const llvm::ErrorInfoBase &other) {
        llvm::errs() << "error: " << other.message() << "\n";
        code = 70;
      });
  return code;
}

// Static strings: a diagnostic's arguments refer to their characters.
static constexpr llvm::StringLiteral kInput = "graft.fault.input";
static constexpr llvm::StringLiteral kUnsupported = "graft.fault.unsupported";

static InFlightDiagnostic marked(InFlightDiagnostic diagnostic, llvm::StringLiteral kind) {
  diagnostic.getUnderlyingDiagnostic()->getMetadata().push_back(
      DiagnosticArgument(llvm::StringRef(kind)));
  return diagnostic;
}

InFlightDiagnostic graft::emitInputFault(Operation *op) { return marked(op->emitError(), kInput); }

InFlightDiagnostic graft::emitInputFault(Location loc) { return marked(emitError(loc), kInput); }

InFlightDiagnostic graft::emitUnsupportedFault(Operation *op) {
  return marked(op->emitError(), kUnsupported);
}

std::optional<FaultKind> graft::getFaultKind(Diagnostic &diagnostic) {
  for (const DiagnosticArgument &argument : diagnostic.getMetadata()) {
    if (argument.getKind() != DiagnosticArgument::DiagnosticArgumentKind::String)
      continue;
    if (argument.getAsString() == kInput)
      return FaultKind::Input;
    if (argument.getAsString() == kUnsupported)
      return FaultKind::Unsupported;
  }
  return std::nullopt;
}
