//===- levels.cpp - Lists the dialects of an installed Graft ----*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Dispatch/Dispatch.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Register/Register.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

int main() {
  mlir::DialectRegistry registry;
  graft::registerDialects(registry);
  mlir::MLIRContext context(registry);
  for (llvm::StringRef name : {"onnx", "modular", "dispatch"}) {
    mlir::Dialect *dialect = context.getOrLoadDialect(name);
    if (!dialect)
      return 1;
    llvm::outs() << "dialect: " << dialect->getNamespace() << "\n";
  }
  auto module = mlir::parseSourceString<mlir::ModuleOp>("func.func private @main()", &context);
  if (!module)
    return 1;
  module->print(llvm::outs());
  return 0;
}
