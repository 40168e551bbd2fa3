//===- SymbolText.h - Dimensions written over symbols ------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_SYMBOLTEXT_H
#define GRAFT_CODEGEN_CPU_SYMBOLTEXT_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/StringMap.h"

namespace graft {

/// Whether `text` is an expression of integers, +, -, *, parentheses and the names in `symbols`.
bool isSymbolic(llvm::StringRef text, const llvm::StringMap<mlir::Value> &symbols);

/// Computes `text`, which is symbolic, as an index.
mlir::Value buildSymbolText(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef text,
                            const llvm::StringMap<mlir::Value> &symbols);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_SYMBOLTEXT_H
