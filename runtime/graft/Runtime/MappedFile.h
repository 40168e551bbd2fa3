//===- MappedFile.h - A file mapped for reading -----------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_MAPPEDFILE_H
#define GRAFT_RUNTIME_MAPPEDFILE_H

#include "graft/Runtime/Status.h"

namespace graft::runtime {

/// A regular file, mapped shared and read-only. Its pages are the page cache's own.
class MappedFile {
public:
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept { swap(other); }
  MappedFile &operator=(MappedFile &&other) noexcept {
    swap(other);
    return *this;
  }
  ~MappedFile();

  Status open(const std::string &path);

  const char *data() const { return static_cast<const char *>(memory); }
  uint64_t size() const { return bytes; }

private:
  void swap(MappedFile &other) {
    std::swap(memory, other.memory);
    std::swap(bytes, other.bytes);
  }

  void *memory = nullptr;
  uint64_t bytes = 0;
};

} // namespace graft::runtime

#endif
