//===- Npy.cpp - NumPy's file format: reading -------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Npy.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace graft::commands;

namespace {
/// The header is the text of a Python dictionary; this reads as much of that language as NumPy
/// writes.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : text(text) {}

  Status parse(NpyHeader &header) {
    bool haveType = false, haveOrder = false, haveShape = false;
    if (!eat('{'))
      return bad("expected a dictionary");
    while (!eat('}')) {
      std::string_view key;
      if (!string(key) || !eat(':'))
        return bad("expected a key");
      if (key == "descr" && !haveType) {
        haveType = true;
        if (Status status = elementType(header.type); status.failed())
          return status;
      } else if (key == "fortran_order" && !haveOrder) {
        haveOrder = true;
        if (word("True"))
          return inputError("the array is in Fortran order; save np.ascontiguousarray of it");
        if (!word("False"))
          return bad("expected True or False for the order");
      } else if (key == "shape" && !haveShape) {
        haveShape = true;
        if (Status status = shape(header.dims); status.failed())
          return status;
      } else {
        return bad("a key that is unknown or there twice");
      }
      if (!eat(',') && !peek('}'))
        return bad("expected a comma");
    }
    if (!haveType || !haveOrder || !haveShape)
      return bad("one of descr, fortran_order and shape is missing");
    skipSpace();
    return at == text.size() ? Status() : bad("something follows the dictionary");
  }

private:
  static Status bad(const char *words) {
    return inputError(std::string("damaged header: ") + words);
  }

  void skipSpace() {
    while (at < text.size() && std::strchr(" \t\r\n", text[at]) && text[at])
      ++at;
  }
  bool peek(char c) {
    skipSpace();
    return at < text.size() && text[at] == c;
  }
  bool eat(char c) {
    if (!peek(c))
      return false;
    ++at;
    return true;
  }
  bool word(std::string_view wanted) {
    skipSpace();
    if (text.substr(at, wanted.size()) != wanted)
      return false;
    at += wanted.size();
    return true;
  }
  bool string(std::string_view &value) {
    char quote = peek('"') ? '"' : '\'';
    if (!eat(quote))
      return false;
    size_t end = text.find(quote, at);
    if (end == std::string_view::npos)
      return false;
    value = text.substr(at, end - at);
    at = end + 1;
    return true;
  }

  Status elementType(int32_t &type) {
    std::string_view descr;
    if (!string(descr))
      return inputError("the array has fields; expected a plain element type");
    static constexpr struct {
      const char *name;
      int32_t type;
    } kTypes[] = {{"f4", GRAFT_F32}, {"f2", GRAFT_F16}, {"V2", GRAFT_BF16}, {"f8", GRAFT_F64},
                  {"i1", GRAFT_I8},  {"u1", GRAFT_U8},  {"i2", GRAFT_I16},  {"u2", GRAFT_U16},
                  {"i4", GRAFT_I32}, {"u4", GRAFT_U32}, {"i8", GRAFT_I64},  {"u8", GRAFT_U64},
                  {"b1", GRAFT_BOOL}};
    for (const auto &known : kTypes) {
      if (descr.size() != 3 || descr.substr(1) != known.name)
        continue;
      if (descr[0] == '>' && graft_type_bytes(known.type) > 1)
        return inputError("the array is big endian; expected little endian");
      if (!std::strchr("<|=>", descr[0]))
        break;
      type = known.type;
      return {};
    }
    return inputError("the element type '" + std::string(descr.substr(0, 40)) +
                      "' is not supported");
  }

  Status shape(std::vector<int64_t> &dims) {
    if (!eat('('))
      return bad("expected a tuple for the shape");
    while (!eat(')')) {
      skipSpace();
      int64_t dim = 0;
      size_t begin = at;
      for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
        if (__builtin_mul_overflow(dim, 10, &dim) ||
            __builtin_add_overflow(dim, text[at] - '0', &dim))
          return bad("a dimension is too large");
      if (at == begin)
        return bad("expected a dimension");
      // Python 2 wrote long integers with an L.
      eat('L');
      dims.push_back(dim);
      if (dims.size() > GRAFT_MAX_RANK)
        return inputError("the rank is above " + std::to_string(GRAFT_MAX_RANK));
      if (!eat(',') && !peek(')'))
        return bad("expected a comma");
    }
    return {};
  }

  std::string_view text;
  size_t at = 0;
};

struct File {
  int fd = -1;
  ~File() {
    if (fd >= 0)
      ::close(fd);
  }
};
} // namespace

static constexpr uint64_t kLongestHeader = 1 << 16;

Status graft::commands::parseNpyHeader(std::string_view start, uint64_t fileBytes,
                                       NpyHeader &header) {
  static constexpr std::string_view kMagic("\x93NUMPY", 6);
  auto byte = [&](size_t i) { return uint64_t(static_cast<unsigned char>(start[i])); };
  if (start.substr(0, 6) != kMagic)
    return inputError("expected a NumPy file (.npy)");
  if (start.size() < 12)
    return inputError("the file ends within its header");
  uint64_t version = byte(6);
  if (version < 1 || version > 3)
    return inputError("version " + std::to_string(version) + " of the format is unknown");
  uint64_t fixed = version == 1 ? 10 : 12;
  uint64_t length = byte(8) | byte(9) << 8;
  if (version > 1)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > kLongestHeader)
    return inputError("a header of " + std::to_string(length) + " bytes");
  if (length > start.size() - fixed)
    return inputError("the file ends within its header");
  header.dataOffset = fixed + length;
  if (Status status = HeaderParser(start.substr(fixed, length)).parse(header); status.failed())
    return status;

  uint64_t bytes = graft_type_bytes(header.type), bound = bytes;
  for (int64_t dim : header.dims) {
    if (__builtin_mul_overflow(bound, uint64_t(dim > 0 ? dim : 1), &bound))
      return inputError("the shape " + shapeText(header.dims) + " is too large");
    bytes *= uint64_t(dim);
  }
  if (fileBytes - header.dataOffset != bytes)
    return inputError("the shape " + shapeText(header.dims) + " needs " + std::to_string(bytes) +
                      " bytes, the file has " + std::to_string(fileBytes - header.dataOffset));
  return {};
}

/// As many bytes as there are, up to `bytes`.
static bool readBytes(int fd, char *data, uint64_t bytes, uint64_t offset, uint64_t &got) {
  for (got = 0; got < bytes;) {
    ssize_t count = ::pread(fd, data + got, bytes - got, off_t(offset + got));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return false;
    if (count == 0)
      break;
    got += uint64_t(count);
  }
  return true;
}

Status graft::commands::readNpy(const std::string &path, Tensor &tensor) {
  auto error = [&](const std::string &words) { return inputError(path + ": " + words); };
  File file;
  file.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat facts;
  if (file.fd < 0 || ::fstat(file.fd, &facts) != 0)
    return error(std::strerror(errno));
  if (!S_ISREG(facts.st_mode))
    return error("expected a regular file");

  std::string start(size_t(std::min<uint64_t>(uint64_t(facts.st_size), kLongestHeader + 12)), '\0');
  uint64_t got;
  if (!readBytes(file.fd, start.data(), start.size(), 0, got))
    return error(std::strerror(errno));
  start.resize(got);
  NpyHeader header;
  if (Status status = parseNpyHeader(start, uint64_t(facts.st_size), header); status.failed())
    return error(status.message());
  if (Status status = tensor.allocate(header.type, header.dims); status.failed())
    return Status(status.code(), path + ": " + status.message());
  if (!readBytes(file.fd, tensor.data.get(), tensor.bytes, header.dataOffset, got))
    return error(std::strerror(errno));
  if (got != tensor.bytes)
    return error("the file became shorter while it was read");
  return {};
}
