//===- Npy.h - NumPy's file format ------------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_NPY_H
#define GRAFT_COMMANDS_NPY_H

#include "graft/Commands/TensorFile.h"

#include <string_view>

namespace graft::commands {

/// Reads versions 1 to 3, little endian, C order. bf16 is what its two-byte void type is taken for.
Status readNpy(const std::string &path, Tensor &tensor);

/// What comes before the data in a file.
struct NpyHeader {
  int32_t type = 0;
  std::vector<int64_t> dims;
  uint64_t dataOffset = 0;
};
/// \param start the file's beginning
/// \param fileBytes its whole size
Status parseNpyHeader(std::string_view start, uint64_t fileBytes, NpyHeader &header);

/// Writes several files or none: all of them aside first, then all are renamed.
class NpyWriter {
public:
  NpyWriter() = default;
  NpyWriter(const NpyWriter &) = delete;
  NpyWriter &operator=(const NpyWriter &) = delete;
  ~NpyWriter();

  Status add(const std::string &path, const TensorView &tensor);
  /// A file of text goes with them.
  Status addText(const std::string &path, const std::string &text);
  Status commit();

private:
  Status add(const std::string &path, const std::string &head, const char *data, uint64_t bytes);

  struct Pending {
    std::string temporary, path;
  };
  std::vector<Pending> pending;
};

} // namespace graft::commands

#endif
