//===- Fault.cpp - Errors that a user's input causes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/Fault.h"

#include "llvm/Support/raw_ostream.h"

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
