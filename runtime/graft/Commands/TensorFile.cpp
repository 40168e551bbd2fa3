//===- TensorFile.cpp - Tensors on the command line -------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/TensorFile.h"

#include <cmath>
#include <cstring>

using namespace graft::commands;

Status Tensor::allocate(int32_t newType, std::vector<int64_t> newDims) {
  type = newType;
  dims = std::move(newDims);
  int64_t size = int64_t(graft_type_bytes(type)), bound = size;
  for (int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(bound, dim > 0 ? dim : 1, &bound) ||
        bound > int64_t(1) << 47)
      return inputError("the shape " + shapeText(dims) + " is too large");
    size *= dim;
  }
  bytes = uint64_t(size);
  data.reset(static_cast<char *>(std::aligned_alloc(64, (bytes + 64) & ~uint64_t(63))));
  if (!data)
    return runtime::memoryError("cannot allocate " + std::to_string(bytes) + " bytes");
  return {};
}

template <typename T> static T load(const char *data, size_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

static float fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  float value = exponent == 31 ? (fraction ? NAN : INFINITY)
                : exponent     ? std::ldexp(float(fraction + 1024), exponent - 25)
                               : std::ldexp(float(fraction), -24);
  return bits & 0x8000 ? -value : value;
}

static float fromBFloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

long double TensorView::element(size_t i) const {
  switch (type) {
  case GRAFT_F32:
    return load<float>(data, i);
  case GRAFT_F16:
    return fromHalf(load<uint16_t>(data, i));
  case GRAFT_BF16:
    return fromBFloat(load<uint16_t>(data, i));
  case GRAFT_F64:
    return load<double>(data, i);
  case GRAFT_I8:
    return load<int8_t>(data, i);
  case GRAFT_U8:
    return load<uint8_t>(data, i);
  case GRAFT_I16:
    return load<int16_t>(data, i);
  case GRAFT_U16:
    return load<uint16_t>(data, i);
  case GRAFT_I32:
    return load<int32_t>(data, i);
  case GRAFT_U32:
    return load<uint32_t>(data, i);
  case GRAFT_I64:
    return load<int64_t>(data, i);
  case GRAFT_U64:
    return load<uint64_t>(data, i);
  case GRAFT_BOOL:
    return load<uint8_t>(data, i) != 0;
  }
  return 0;
}

Status graft::commands::parseFileArgument(const std::string &text, FileArgument &argument) {
  size_t split = text.find("=@");
  if (split == std::string::npos || split == 0 || split + 2 == text.size())
    return inputError("expected NAME=@FILE.npy, found '" + text + "'");
  argument.name = text.substr(0, split);
  argument.path = text.substr(split + 2);
  return {};
}

std::string graft::commands::shapeText(const std::vector<int64_t> &dims) {
  std::string text;
  for (int64_t dim : dims)
    text += (text.empty() ? "" : "x") + (dim < 0 ? "?" : std::to_string(dim));
  return text.empty() ? "scalar" : text;
}

std::string graft::commands::positionText(const std::vector<int64_t> &dims, size_t index) {
  std::string text;
  for (size_t d = dims.size(); d-- > 0;) {
    text = std::to_string(index % size_t(dims[d])) + (text.empty() ? "" : ", ") + text;
    index /= size_t(dims[d]);
  }
  return "[" + text + "]";
}

std::string graft::commands::elementText(const TensorView &tensor, size_t index) {
  long double value = tensor.element(index);
  if (tensor.type == GRAFT_BOOL)
    return value != 0 ? "true" : "false";
  char text[64];
  bool isFloat = tensor.type >= GRAFT_F32 && tensor.type <= GRAFT_F64;
  int digits = tensor.type == GRAFT_F64 ? 9 : tensor.type == GRAFT_F32 ? 6 : 4;
  std::snprintf(text, sizeof(text), isFloat ? "%.*Lg" : "%.*Lf", isFloat ? digits : 0, value);
  return text;
}

std::string graft::commands::previewText(const TensorView &tensor) {
  constexpr size_t kAll = 8, kFirst = 4, kLast = 2;
  size_t count = tensor.count();
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    if (count > kAll && i == kFirst) {
      text += " ...";
      i = count - kLast;
    }
    text += (i ? " " : "") + elementText(tensor, i);
  }
  return text;
}
