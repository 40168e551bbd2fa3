//===- Handles.h - What is behind the handles of the C interface *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_HANDLES_H
#define GRAFT_RUNTIME_HANDLES_H

#include "graft/Runtime/Library.h"
#include "graft/Runtime/RunContext.h"

#include <new>

struct graft_library {
  std::shared_ptr<graft::runtime::Library> library;
};

/// Holds on to the library, whose strings name the outputs.
struct graft_result {
  std::shared_ptr<graft::runtime::Library> library;
  std::vector<graft::runtime::OutputSlot> slots;
};

namespace graft::runtime {

/// Writes a status where the caller asked for it, and returns its code.
int32_t report(const Status &status, graft_error *error);

/// Runs `body`; no exception passes the C interface.
template <typename Body> int32_t guarded(graft_error *error, Body body) {
  try {
    return report(body(), error);
  } catch (const std::bad_alloc &) {
    return report(Status(GRAFT_ERROR_MEMORY, "out of memory"), error); // short: needs no memory
  } catch (const std::exception &exception) {
    return report(Status(GRAFT_ERROR_INTERNAL, exception.what()), error);
  }
}

} // namespace graft::runtime

#endif
