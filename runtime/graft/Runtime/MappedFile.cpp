//===- MappedFile.cpp - A file mapped for reading ---------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace graft::runtime;

MappedFile::~MappedFile() {
  if (memory)
    ::munmap(memory, bytes);
}

Status MappedFile::open(const std::string &path) {
  // A pipe must not make us wait for a writer.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return inputError(path + ": " + std::strerror(errno));
  struct stat facts;
  Status status;
  if (::fstat(fd, &facts) != 0) {
    status = inputError(path + ": " + std::strerror(errno));
  } else if (!S_ISREG(facts.st_mode)) {
    status = inputError(path + ": expected a regular file");
  } else if (facts.st_size > 0) {
    void *mapped = ::mmap(nullptr, size_t(facts.st_size), PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
      status = memoryError(path + ": cannot map the file: " + std::strerror(errno));
    } else {
      memory = mapped;
      bytes = uint64_t(facts.st_size);
    }
  }
  ::close(fd);
  return status;
}
