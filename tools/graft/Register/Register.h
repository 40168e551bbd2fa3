//===- Register.h - All dialects, interfaces and passes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_REGISTER_REGISTER_H
#define GRAFT_REGISTER_REGISTER_H

namespace mlir {
class DialectRegistry;
}

namespace graft {

/// Adds Graft's dialects, the upstream dialects that they lower to, and the external models of
/// their interfaces to `registry`.
void registerDialects(mlir::DialectRegistry &registry);

/// registerDialects, and every pass and pipeline by its command-line name.
void registerEverything(mlir::DialectRegistry &registry);

} // namespace graft

#endif // GRAFT_REGISTER_REGISTER_H
