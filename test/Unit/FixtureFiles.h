//===- FixtureFiles.h - What tests of the compiler's readers share -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_UNIT_FIXTUREFILES_H
#define GRAFT_TEST_UNIT_FIXTUREFILES_H

#include "graft/Fault/Fault.h"
#include "graft/Register/Register.h"

#include "mlir/IR/DialectRegistry.h"

#include <string>

namespace graft::test {

/// The folder of the fixtures.
inline const std::string fixtures = GRAFT_FIXTURES;

/// All dialects, registered once.
inline mlir::DialectRegistry &registry() {
  static mlir::DialectRegistry &registry = *[] {
    auto *made = new mlir::DialectRegistry;
    registerDialects(*made);
    return made;
  }();
  return registry;
}

/// The exit code that an error stands for, 0 if it is none; its message goes to `words`.
inline int exitCodeOf(llvm::Error error, std::string &words) {
  int code = 0;
  llvm::handleAllErrors(
      std::move(error),
      [&](const Fault &fault) {
        code = static_cast<int>(fault.getKind());
        words = fault.message();
      },
      [&](const llvm::ErrorInfoBase &other) {
        code = 70;
        words = other.message();
      });
  return code;
}

} // namespace graft::test

#endif // GRAFT_TEST_UNIT_FIXTUREFILES_H
