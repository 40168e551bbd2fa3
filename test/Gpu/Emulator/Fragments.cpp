//===- Fragments.cpp - Matrices spread over the lanes of a warp -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"

#include <cmath>
#include <cstring>
#include <vector>

using namespace graft::emulator;

static float asFloat(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static uint32_t asBits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

static float decodeF16(uint32_t bits) {
  float sign = bits & 0x8000 ? -1 : 1;
  int exponent = bits >> 10 & 31;
  auto fraction = float(bits & 1023);
  if (exponent == 31)
    return fraction != 0 ? NAN : sign * INFINITY;
  return exponent == 0 ? sign * std::ldexp(fraction, -24)
                       : sign * std::ldexp(fraction + 1024, exponent - 25);
}

static const float *halves() {
  static const std::vector<float> table = [] {
    std::vector<float> all(65536);
    for (uint32_t i = 0; i < 65536; ++i)
      all[i] = decodeF16(i);
    return all;
  }();
  return table.data();
}

static float decodeWith(const float *halves, Element type, uint32_t bits) {
  switch (type) {
  case Element::F16:
    return halves[bits & 0xffff];
  case Element::BF16:
    return asFloat(bits << 16);
  case Element::TF32:
    return asFloat(bits & ~0x1fffu); // the hardware looks at the upper 19 bits only
  }
  return NAN;
}

float graft::emulator::decode(Element type, uint32_t bits) {
  return decodeWith(halves(), type, bits);
}

uint16_t graft::emulator::encodeBF16(float value) {
  uint32_t bits = asBits(value);
  if (value != value)
    return 0x7fff;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

uint16_t graft::emulator::encodeF16(float value) {
  uint32_t bits = asBits(value), sign = bits >> 16 & 0x8000;
  if (value != value)
    return 0x7fff;
  float magnitude = std::fabs(value);
  if (magnitude >= 65520)
    return sign | 0x7c00;
  if (magnitude < 0x1p-14f) // subnormal: a multiple of 2^-24, rint rounds to even
    return sign | uint32_t(std::rint(magnitude * 0x1p24f));
  bits &= 0x7fffffff;
  bits += 0xfff + (bits >> 13 & 1);
  return sign | ((bits >> 13) - (112 << 10));
}

// The layouts of PTX's "Matrix Fragments for mma.m16n8k*": a lane is of a group (its number / 4)
// and has a place in it. A register of A or B has `packed` neighbours along k; A's registers
// alternate between the upper and the lower eight rows.
void graft::emulator::multiply(MmaShape shape, const uint32_t *const in[32],
                               uint32_t *const out[32]) {
  float a[16][16], b[16][8];
  const float *table = halves();
  uint32_t packed = shape.type == Element::TF32 ? 1 : 2;
  uint32_t registersA = shape.registersA(), registersB = shape.registersB();
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint32_t group = lane / 4, place = lane % 4;
    for (uint32_t half = 0; half < packed; ++half) {
      for (uint32_t r = 0; r < registersA; ++r)
        a[group + 8 * (r % 2)][packed * place + half + 4 * packed * (r / 2)] =
            decodeWith(table, shape.type, in[lane][r] >> 16 * half);
      for (uint32_t r = 0; r < registersB; ++r)
        b[packed * place + half + 4 * packed * r][group] =
            decodeWith(table, shape.type, in[lane][registersA + r] >> 16 * half);
    }
  }
  double sums[16][8] = {};
  for (uint32_t k = 0; k < shape.depth; ++k)
    for (uint32_t row = 0; row < 16; ++row)
      for (uint32_t column = 0; column < 8; ++column)
        sums[row][column] += double(a[row][k]) * b[k][column];
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t *c = in[lane] + registersA + registersB;
    uint32_t result[4] = {};
    for (uint32_t i = 0; i < 4; ++i) {
      double sum = sums[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
      if (shape.half)
        result[i / 2] |=
            uint32_t(encodeF16(float(sum + decode(Element::F16, c[i / 2] >> 16 * (i % 2)))))
            << 16 * (i % 2);
      else
        result[i] = asBits(float(sum + asFloat(c[i])));
    }
    memcpy(out[lane], result, 4 * shape.registersC());
  }
}

void graft::emulator::loadMatrices(uint32_t count, bool transposed, const void *const rows[32],
                                   uint32_t *const out[32]) {
  for (uint32_t m = 0; m < count; ++m) {
    uint16_t matrix[8][8];
    for (uint32_t row = 0; row < 8; ++row)
      memcpy(matrix[row], rows[8 * m + row], 16);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      uint32_t row = lane / 4, column = 2 * (lane % 4);
      out[lane][m] = transposed ? matrix[column][row] | uint32_t(matrix[column + 1][row]) << 16
                                : matrix[row][column] | uint32_t(matrix[row][column + 1]) << 16;
    }
  }
}
