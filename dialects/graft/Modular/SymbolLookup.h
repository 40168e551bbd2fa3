//===- SymbolLookup.h - Finding symbols, and symbols that are free -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_SYMBOLLOOKUP_H
#define GRAFT_MODULAR_SYMBOLLOOKUP_H

#include "mlir/IR/SymbolTable.h"

#include <string>

namespace graft::modular {

/// The symbol as an op of type `OpT`, or an error on `op` that it should name `what`.
template <typename OpT>
mlir::FailureOr<OpT> resolve(mlir::Operation *op, mlir::SymbolTableCollection &symbols,
                             mlir::FlatSymbolRefAttr name, llvm::StringRef what) {
  if (auto found = symbols.lookupNearestSymbolFrom<OpT>(op, name))
    return found;
  return op->emitOpError() << "expects " << name << " to name " << what;
}

/// A symbol that is not taken in `table`: `wanted`, or with a number behind it.
inline std::string freshSymbol(mlir::Operation *table, llvm::StringRef wanted) {
  std::string symbol = wanted.str();
  for (unsigned suffix = 1; mlir::SymbolTable::lookupSymbolIn(table, symbol); ++suffix)
    symbol = (wanted + "_" + llvm::Twine(suffix)).str();
  return symbol;
}

} // namespace graft::modular

#endif // GRAFT_MODULAR_SYMBOLLOOKUP_H
