//===- Dispatch.td - Umbrella of the dispatch dialect: includes only -----*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

include "graft/Dispatch/DispatchDialect.td"
include "graft/Dispatch/DispatchMatmul.td"
include "graft/Dispatch/DispatchSegmented.td"
include "graft/Dispatch/DispatchAttention.td"
include "graft/Dispatch/DispatchNorm.td"
include "graft/Dispatch/DispatchCheck.td"
include "graft/Dispatch/DispatchExchange.td"
