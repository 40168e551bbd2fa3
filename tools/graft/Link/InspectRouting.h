//===- InspectRouting.h - Which routing is recognised in a backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_INSPECTROUTING_H
#define GRAFT_LINK_INSPECTROUTING_H

#include "graft/Link/Json.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

namespace graft {

/// Adds `routers`, what is raised of an imported backbone, and `not_raised`, what looks like
/// routing and stays as it is, with the reason. The module is not changed.
void inspectRouting(mlir::ModuleOp module, Json &facts);

/// The same as text; nothing if there is none of either.
void printRouting(const Json &facts, llvm::raw_ostream &os);

} // namespace graft

#endif // GRAFT_LINK_INSPECTROUTING_H
