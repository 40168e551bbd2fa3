//===- RandomTensor.cpp - Seeded inputs -------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/RandomTensor.h"

#include <cmath>
#include <cstring>

using namespace graft::commands;

namespace {
/// SplitMix64: the standard library's distributions differ between implementations.
class Random {
public:
  explicit Random(const std::string &name) {
    state = 0xcbf29ce484222325; // FNV-1a
    for (unsigned char c : name)
      state = (state ^ c) * 0x100000001b3;
  }
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  double uniform() { return double(next() >> 11) * 0x1p-53; }
  double normal() { // Box and Muller
    double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  uint64_t below(uint64_t most) { return uint64_t((unsigned __int128)next() * most >> 64); }

private:
  uint64_t state;
};
} // namespace

static bool parseNumber(const std::string &text, int64_t &number) {
  number = 0;
  for (char c : text)
    if (c < '0' || c > '9' || __builtin_mul_overflow(number, 10, &number) ||
        __builtin_add_overflow(number, c - '0', &number))
      return false;
  return !text.empty();
}

Status graft::commands::parseShapeArgument(const std::string &text, ShapeArgument &argument) {
  auto error = [&] { return inputError("expected NAME=1x128[:MAX], found '" + text + "'"); };
  size_t split = text.rfind('=');
  if (split == std::string::npos || split == 0)
    return error();
  argument.name = text.substr(0, split);
  std::string shape = text.substr(split + 1);
  if (size_t colon = shape.find(':'); colon != std::string::npos) {
    if (!parseNumber(shape.substr(colon + 1), argument.most) || argument.most < 1)
      return error();
    shape.resize(colon);
  }
  argument.dims.clear();
  while (!shape.empty()) {
    size_t end = shape.find('x');
    if (!parseNumber(shape.substr(0, end), argument.dims.emplace_back()))
      return error();
    if (end == std::string::npos)
      break;
    shape.erase(0, end + 1);
    if (shape.empty())
      return error();
  }
  if (argument.dims.size() > GRAFT_MAX_RANK)
    return inputError("'" + text + "': the rank is above " + std::to_string(GRAFT_MAX_RANK));
  return {};
}

static uint16_t toBFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// For finite values that a normal distribution gives; tiny ones become 0.
static uint16_t toHalf(float value) {
  int exponent;
  float fraction = std::frexp(std::fabs(value), &exponent); // [0.5, 1)
  uint32_t sign = value < 0 ? 0x8000 : 0;
  if (value == 0 || exponent < -13)
    return uint16_t(sign);
  uint32_t mantissa = uint32_t(std::lrint(fraction * 2048)); // [1024, 2048]
  return uint16_t(sign | ((uint32_t(exponent + 13) << 10) + mantissa));
}

Status graft::commands::randomTensor(const ShapeArgument &argument, int32_t type, Tensor &tensor) {
  if (Status status = tensor.allocate(type, argument.dims); status.failed())
    return status;
  Random random(argument.name);
  size_t count = tensor.bytes / graft_type_bytes(type);
  auto fill = [&](auto zero, auto make) {
    for (size_t i = 0; i < count; ++i) {
      decltype(zero) value = static_cast<decltype(zero)>(make());
      std::memcpy(tensor.data.get() + i * sizeof(value), &value, sizeof(value));
    }
  };
  auto normal = [&] { return random.normal(); };
  // What an element cannot hold would wrap around.
  int bits = int(8 * graft_type_bytes(type)) -
             (type == GRAFT_I8 || type == GRAFT_I16 || type == GRAFT_I32 || type == GRAFT_I64);
  uint64_t most = uint64_t(argument.most);
  if (bits < 63 && most > uint64_t(1) << bits)
    return inputError("--shape " + argument.name + ": " + std::to_string(most) +
                      " is too large for " + graft_type_name(type));
  auto below = [&] { return random.below(most); };
  switch (type) {
  case GRAFT_F32:
    fill(float(), normal);
    break;
  case GRAFT_F64:
    fill(double(), normal);
    break;
  case GRAFT_F16:
    fill(uint16_t(), [&] { return toHalf(float(random.normal())); });
    break;
  case GRAFT_BF16:
    fill(uint16_t(), [&] { return toBFloat(float(random.normal())); });
    break;
  case GRAFT_BOOL:
    fill(uint8_t(), [&] { return random.below(2); });
    break;
  default:
    switch (graft_type_bytes(type)) {
    case 1:
      fill(uint8_t(), below);
      break;
    case 2:
      fill(uint16_t(), below);
      break;
    case 4:
      fill(uint32_t(), below);
      break;
    default:
      fill(uint64_t(), below);
      break;
    }
  }
  return {};
}
