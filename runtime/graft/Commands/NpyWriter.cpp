//===- NpyWriter.cpp - NumPy's file format: writing -------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Npy.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace graft::commands;

static std::string headerOf(const TensorView &tensor) {
  static constexpr const char *kDescr[] = {"",    "<f4", "<f2", "|V2", "<f8", "|i1", "|u1",
                                           "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "|b1"};
  std::string shape;
  for (int64_t dim : tensor.dims)
    shape += std::to_string(dim) + (tensor.dims.size() == 1 ? "," : ", ");
  if (tensor.dims.size() > 1)
    shape.resize(shape.size() - 2);
  std::string text = std::string("{'descr': '") + kDescr[tensor.type] +
                     "', 'fortran_order': False, 'shape': (" + shape + "), }";
  // The data begins at a multiple of 64; the header ends with a line feed.
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  std::string head("\x93NUMPY\x01\x00", 8);
  head += char(text.size() & 0xff);
  head += char(text.size() >> 8);
  return head + text;
}

static bool writeBytes(int fd, const char *data, uint64_t bytes) {
  while (bytes) {
    ssize_t count = ::write(fd, data, bytes);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return false;
    data += count;
    bytes -= uint64_t(count);
  }
  return true;
}

Status NpyWriter::add(const std::string &path, const TensorView &tensor) {
  return add(path, headerOf(tensor), tensor.data, tensor.bytes);
}

Status NpyWriter::addText(const std::string &path, const std::string &text) {
  return add(path, text, nullptr, 0);
}

Status NpyWriter::add(const std::string &path, const std::string &head, const char *data,
                      uint64_t bytes) {
  auto error = [&] { return inputError(path + ": cannot write: " + std::strerror(errno)); };
  // A link's target is replaced, not the link; a device is written to as it is.
  std::string target = path;
  struct stat facts;
  bool inPlace = false;
  if (::stat(path.c_str(), &facts) == 0) {
    inPlace = !S_ISREG(facts.st_mode);
    char resolved[PATH_MAX];
    if (!inPlace && ::realpath(path.c_str(), resolved))
      target = resolved;
  }
  for (const Pending &other : pending)
    if (other.path == target)
      return inputError(path + ": two outputs go to this file");

  std::string temporary = target + ".XXXXXX";
  int fd = inPlace ? ::open(path.c_str(), O_WRONLY | O_CLOEXEC)
                   : ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0)
    return error();
  if (!inPlace) {
    pending.push_back({temporary, target});
    mode_t mask = ::umask(0);
    ::umask(mask);
    ::fchmod(fd, 0666 & ~mask);
  }
  bool written = writeBytes(fd, head.data(), head.size()) && writeBytes(fd, data, bytes);
  Status status = written ? Status() : error();
  if (::close(fd) != 0 && !status.failed())
    status = error();
  return status;
}

Status NpyWriter::commit() {
  while (!pending.empty()) {
    const Pending &last = pending.back();
    if (::rename(last.temporary.c_str(), last.path.c_str()) != 0)
      return inputError(last.path + ": cannot write: " + std::strerror(errno));
    pending.pop_back();
  }
  return {};
}

NpyWriter::~NpyWriter() {
  for (const Pending &left : pending)
    ::unlink(left.temporary.c_str());
}
