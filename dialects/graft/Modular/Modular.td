//===- Modular.td - Umbrella of the modular dialect: includes only -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

include "graft/Modular/ModularDialect.td"
include "graft/Modular/ModularInterfaces.td"
include "graft/Modular/ModularParameters.td"
include "graft/Modular/ModularModules.td"
include "graft/Modular/ModularRouters.td"
include "graft/Modular/ModularSelection.td"
include "graft/Modular/ModularWeighing.td"
include "graft/Modular/ModularApplication.td"
include "graft/Modular/ModularAggregation.td"
include "graft/Modular/ModularExposure.td"
include "graft/Modular/ModularTasks.td"
include "graft/Modular/ModularRows.td"
