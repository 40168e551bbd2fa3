//===- Random.h - Numbers that a seed decides --------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_FUZZ_RANDOM_H
#define GRAFT_FUZZ_RANDOM_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <initializer_list>

namespace graft::fuzz {

/// The same on every machine and with every C++ library (splitmix64).
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) { next(); }

  uint64_t next() {
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// In [0, count).
  int64_t below(int64_t count) { return int64_t(next() % uint64_t(count)); }
  /// In [least, most].
  int64_t between(int64_t least, int64_t most) { return least + below(most - least + 1); }
  bool chance(int64_t percent) { return below(100) < percent; }
  /// In [-1, 1), of few enough bits for sums of products to be exact in f32.
  double grid() { return double(below(16) - 8) / 8; }
  /// In [-1, 1).
  double real() { return double(int64_t(next() >> 11)) / double(int64_t(1) << 52) - 1; }
  template <typename T> T pick(std::initializer_list<T> from) {
    return from.begin()[below(int64_t(from.size()))];
  }
  template <typename T> const T &pick(llvm::ArrayRef<T> from) {
    return from[size_t(below(int64_t(from.size())))];
  }

private:
  uint64_t state;
};

} // namespace graft::fuzz

#endif // GRAFT_FUZZ_RANDOM_H
