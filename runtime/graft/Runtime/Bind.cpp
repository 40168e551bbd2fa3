//===- Bind.cpp - A caller's inputs against what a library wants *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Bind.h"

#include "graft/Runtime/Tensor.h"

#include <cstring>

using namespace graft::runtime;

// With these bounds a shape function cannot overflow: products of a few dimensions of a tensor that
// exists stay far below 2^63, and a tensor without elements may not claim large ones for free.
static constexpr int64_t kLargestDim = (int64_t(1) << 31) - 1;
static constexpr int64_t kLargestDimOfEmpty = int64_t(1) << 20;

static std::string wantedShape(const ValueInfo &input) {
  if (input.dims.empty())
    return "scalar";
  std::string text;
  for (const Dimension &dim : input.dims)
    text += (text.empty() ? "" : "x") + (dim.size >= 0 ? std::to_string(dim.size) : dim.text);
  return text;
}

static Status checkBuffer(const ValueInfo &input, const graft_buffer &buffer, bool withData) {
  auto bad = [&](const std::string &words) {
    return inputError("input '" + input.name + "': " + words);
  };
  if (buffer.type != input.type) {
    const char *found = typeName(buffer.type);
    return bad(std::string("expected the type ") + typeName(input.type) + ", found " +
               (found ? found : std::to_string(buffer.type)));
  }
  if (buffer.rank != input.rank())
    return bad("expected the shape " + wantedShape(input) + ", found " +
               (buffer.rank < 0 || buffer.rank > GRAFT_MAX_RANK
                    ? "rank " + std::to_string(buffer.rank)
                    : shapeText(buffer.dims, buffer.rank)));
  std::optional<int64_t> bytes = tensorBytes(buffer.type, buffer.dims, buffer.rank);
  if (!bytes)
    return bad("a negative or too large dimension in " + shapeText(buffer.dims, buffer.rank));
  for (int32_t i = 0; i < buffer.rank; ++i) {
    if (buffer.dims[i] > (*bytes ? kLargestDim : kLargestDimOfEmpty))
      return bad("dimension " + std::to_string(i) +
                 " is too large: " + std::to_string(buffer.dims[i]));
    if (input.dims[i].size >= 0 && input.dims[i].size != buffer.dims[i])
      return bad("expected the shape " + wantedShape(input) + ", found " +
                 shapeText(buffer.dims, buffer.rank));
  }
  if (!withData || *bytes == 0)
    return {};
  if (!buffer.data)
    return bad("there is no data");
  if (buffer.bytes < uint64_t(*bytes))
    return bad("the shape " + shapeText(buffer.dims, buffer.rank) + " needs " +
               std::to_string(*bytes) + " bytes, the buffer has " + std::to_string(buffer.bytes));
  if (reinterpret_cast<uintptr_t>(buffer.data) % typeBytes(buffer.type))
    return bad("the data is not aligned to its elements");
  return {};
}

Status graft::runtime::bindInputs(const Manifest &manifest, const graft_request &request,
                                  bool withData, BoundInputs &inputs) {
  inputs.tensors.assign(manifest.inputCount, graft_tensor{});
  inputs.given.assign(manifest.inputCount, false);
  inputs.symbols.assign(manifest.symbols.size(), -1);
  // Where a tensor has no elements the code still gets an address.
  static char nothing[kAlignment] __attribute__((aligned(kAlignment)));

  for (size_t i = 0; i < request.input_count; ++i) {
    const graft_buffer &buffer = *versioned(request.inputs, i);
    int32_t index = buffer.name ? manifest.findInput(buffer.name) : -1;
    if (index < 0)
      return inputError("there is no input '" + std::string(buffer.name ? buffer.name : "") +
                        "'; there are " + manifest.inputNames());
    const ValueInfo &input = manifest.values[index];
    if (inputs.given[index])
      return inputError("input '" + input.name + "' is given twice");
    inputs.given[index] = true;
    if (Status status = checkBuffer(input, buffer, withData); status.failed())
      return status;
    graft_tensor &tensor = inputs.tensors[index];
    tensor.data = buffer.data ? buffer.data : nothing;
    std::memcpy(tensor.dims, buffer.dims, sizeof(tensor.dims));
  }

  for (uint32_t i = 0; i < manifest.inputCount; ++i) {
    const ValueInfo &input = manifest.values[i];
    for (int32_t d = 0; inputs.given[i] && d < input.rank(); ++d) {
      int32_t symbol = input.dims[d].symbol;
      if (symbol < 0)
        continue;
      int64_t &value = inputs.symbols[symbol];
      int64_t found = inputs.tensors[i].dims[d];
      if (value >= 0 && value != found)
        return inputError("input '" + input.name + "': dimension " + std::to_string(d) + " ('" +
                          manifest.symbols[symbol] + "') is " + std::to_string(found) +
                          ", but another input has " + std::to_string(value));
      value = found;
    }
  }
  return {};
}

Status graft::runtime::normaliseBools(const Manifest &manifest, BoundInputs &inputs, Arena &arena) {
  auto forEachBool = [&](auto visit) {
    for (uint32_t i = 0; i < manifest.inputCount; ++i) {
      const ValueInfo &input = manifest.values[i];
      if (input.type != GRAFT_BOOL || !inputs.given[i])
        continue;
      int64_t bytes = tensorBytes(GRAFT_BOOL, inputs.tensors[i].dims, input.rank()).value_or(0);
      visit(inputs.tensors[i], bytes);
    }
  };
  int64_t total = 0;
  bool fits = true;
  forEachBool([&](graft_tensor &, int64_t bytes) {
    int64_t aligned;
    fits = fits && checkedAlign(bytes, aligned) && checkedAdd(total, aligned, total);
  });
  if (total == 0)
    return {};
  char *next = fits ? arena.reserve(total) : nullptr;
  if (!next)
    return memoryError("cannot allocate " + std::to_string(total) + " bytes for bool inputs");
  forEachBool([&](graft_tensor &tensor, int64_t bytes) {
    const unsigned char *from = static_cast<const unsigned char *>(tensor.data);
    for (int64_t i = 0; i < bytes; ++i)
      next[i] = from[i] != 0;
    tensor.data = next;
    next += (bytes + kAlignment - 1) & ~(kAlignment - 1);
  });
  return {};
}
