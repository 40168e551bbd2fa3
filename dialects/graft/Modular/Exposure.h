//===- Exposure.h - What the host sees of routes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_EXPOSURE_H
#define GRAFT_MODULAR_EXPOSURE_H

#include "graft/Modular/Modular.h"

// Apart from the other ops, since few files look at it.
#define GET_OP_CLASSES
#include "graft/Modular/ModularExposure.h.inc"

#endif // GRAFT_MODULAR_EXPOSURE_H
