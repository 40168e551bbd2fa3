//===- Inspect.h - Describes backbones and adapters -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_INSPECT_H
#define GRAFT_LINK_INSPECT_H

#include "graft/Import/Import.h"

namespace graft {

/// Writes what a backbone is: inputs, outputs, opset, its tree of modules, and the sites that an
/// adapter can bind to; and which routing is recognised in it. As text, or as one JSON object.
llvm::Error inspectBackbone(llvm::StringRef path, mlir::MLIRContext *context,
                            const ImportOptions &options, bool json, llvm::raw_ostream &os);

/// Writes what an adapter is: its kind, ranks and scales, and the sites that it wants.
llvm::Error inspectAdapter(llvm::StringRef folder, mlir::MLIRContext *context, bool json,
                           llvm::raw_ostream &os);

} // namespace graft

#endif // GRAFT_LINK_INSPECT_H
