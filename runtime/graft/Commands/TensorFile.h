//===- TensorFile.h - Tensors on the command line ---------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_TENSORFILE_H
#define GRAFT_COMMANDS_TENSORFILE_H

#include "graft/Runtime/Status.h"

#include <cstdlib>
#include <memory>
#include <vector>

namespace graft::commands {

using runtime::inputError;
using runtime::Status;

struct FreeData {
  void operator()(char *data) const { std::free(data); }
};

/// A dense tensor with its own memory.
struct Tensor {
  int32_t type = 0;
  std::vector<int64_t> dims;
  std::unique_ptr<char, FreeData> data;
  uint64_t bytes = 0;

  /// Sets type and dims and allocates what they need.
  Status allocate(int32_t type, std::vector<int64_t> dims);
};

/// A tensor in somebody's memory.
struct TensorView {
  int32_t type = 0;
  std::vector<int64_t> dims;
  const char *data = nullptr;
  uint64_t bytes = 0;

  TensorView() = default;
  TensorView(const Tensor &tensor)
      : type(tensor.type), dims(tensor.dims), data(tensor.data.get()), bytes(tensor.bytes) {}
  explicit TensorView(const graft_buffer &buffer)
      : type(buffer.type), dims(buffer.dims, buffer.dims + buffer.rank),
        data(static_cast<const char *>(buffer.data)), bytes(buffer.bytes) {}

  size_t count() const { return bytes / graft_type_bytes(type); }
  /// Exact for all types: the 64 bits of its mantissa hold every integer.
  long double element(size_t index) const;
};

/// NAME=@FILE
struct FileArgument {
  std::string name, path;
};
Status parseFileArgument(const std::string &text, FileArgument &argument);

/// "1x128", "scalar"
std::string shapeText(const std::vector<int64_t> &dims);
/// "[0, 3]": where in the tensor.
std::string positionText(const std::vector<int64_t> &dims, size_t index);
/// An element in the digits that its type has.
std::string elementText(const TensorView &tensor, size_t index);
/// All elements of a small tensor, else the first and last few.
std::string previewText(const TensorView &tensor);

} // namespace graft::commands

#endif
