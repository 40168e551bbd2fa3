//===- Fragments.h - Matrices spread over the lanes of a warp -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_FRAGMENTS_H
#define GRAFT_TEST_GPU_EMULATOR_FRAGMENTS_H

#include <cstdint>

namespace graft::emulator {

enum class Element : uint8_t { F16, BF16, TF32 };

float decode(Element type, uint32_t bits);
uint16_t encodeF16(float value);
uint16_t encodeBF16(float value);

/// The shape and types of an `mma.sync`: m16n8 with `depth` products a result.
struct MmaShape {
  uint32_t depth;
  Element type;
  /// Whether the accumulators are f16, else f32.
  bool half;

  uint32_t encode() const { return depth | uint32_t(type) << 8 | uint32_t(half) << 16; }
  static MmaShape decode(uint32_t bits) {
    return {bits & 255, Element(bits >> 8 & 255), bits >> 16 != 0};
  }
  /// 32-bit registers of a lane.
  uint32_t registersA() const { return depth * (type == Element::TF32 ? 2 : 1) / 4; }
  uint32_t registersB() const { return registersA() / 2; }
  uint32_t registersC() const { return half ? 2 : 4; }
};

/// D = A x B + C for a whole warp. in[lane] has its registers of A, B and C; out[lane] receives
/// those of D.
void multiply(MmaShape shape, const uint32_t *const in[32], uint32_t *const out[32]);

/// `count` 8x8 matrices of 16-bit elements: lane i of matrix m's eight lanes names the row rows[8 m
/// + i].
void loadMatrices(uint32_t count, bool transposed, const void *const rows[32],
                  uint32_t *const out[32]);

} // namespace graft::emulator

#endif // GRAFT_TEST_GPU_EMULATOR_FRAGMENTS_H
