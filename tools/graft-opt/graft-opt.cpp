//===- graft-opt.cpp - Shows and transforms every level of the IR -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Register/Plugins.h"
#include "graft/Register/Register.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  graft::registerEverything(registry);
  graft::loadDialectsOfPassPlugins(argc, argv, registry);
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Graft's modular graph optimizer\n", registry));
}
