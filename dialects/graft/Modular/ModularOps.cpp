//===- ModularOps.cpp - Verification of the modular dialect's ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Modular.h"

using namespace mlir;
using namespace graft::modular;

#define GET_OP_CLASSES
#include "graft/Modular/ModularOps.cpp.inc"
