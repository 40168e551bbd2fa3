//===- ElfFile.h - Is a file a whole library? -------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_ELFFILE_H
#define GRAFT_RUNTIME_ELFFILE_H

#include "graft/Runtime/Status.h"

#include <vector>

namespace graft::runtime {

/// A loadable segment: addresses are relative to where the library is loaded.
struct ElfSegment {
  uint64_t address = 0;
  uint64_t bytes = 0;
  bool executable = false;
};

/// What must hold of a file before the dynamic linker may see it: the linker maps what the headers
/// say, and a file that is shorter than that kills the process at the first touch.
struct ElfFile {
  std::vector<ElfSegment> segments;

  /// \param bytes the whole file
  Status check(const char *bytes, uint64_t size, const std::string &path);
};

} // namespace graft::runtime

#endif
