//===- Occupancy.h - How many blocks a multiprocessor takes -----*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_OCCUPANCY_H
#define GRAFT_COMMANDS_OCCUPANCY_H

#include <cstdint>
#include <optional>
#include <string>

namespace graft::commands {

struct Occupancy {
  int64_t blocks = 0; ///< at once on a multiprocessor
  double share = 0;   ///< of the warps that it takes
};

/// Nothing where the architecture, as sm_90a, is not known.
/// \param registers a thread
/// \param sharedBytes a block
std::optional<Occupancy> occupancyOf(const std::string &architecture, int64_t threads,
                                     int64_t registers, int64_t sharedBytes);

} // namespace graft::commands

#endif
