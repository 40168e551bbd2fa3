//===- StageRows.h - Brings what a stage makes of the same rows together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_STAGEROWS_H
#define GRAFT_TRANSFORMS_STAGEROWS_H

#include "graft/Transforms/StageBody.h"

namespace graft {

/// Modules are written one by one, each on rows of its own that become vectors again. Makes ops of
/// a body one that are the same, hands rows on as rows, and adds them as rows. Returns whether
/// there were any.
bool shareRows(const StageBody &body);

} // namespace graft

#endif // GRAFT_TRANSFORMS_STAGEROWS_H
