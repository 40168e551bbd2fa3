//===- ModularDialect.cpp - The modular dialect, its types and attributes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Exposure.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft::modular;

#include "graft/Modular/ModularDialect.cpp.inc"
#include "graft/Modular/ModularEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "graft/Modular/ModularAttributes.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "graft/Modular/ModularTypes.cpp.inc"

void ModularDialect::initialize() {
  store = std::make_unique<graft::WeightStore>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "graft/Modular/ModularAttributes.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "graft/Modular/ModularTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "graft/Modular/ModularOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "graft/Modular/ModularExposure.cpp.inc"
      >();
}
