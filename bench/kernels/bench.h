//===- bench.h - Buffers and clocks of the kernels' benchmarks ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

/// A dense memref of MLIR's C interface.
template <int rank, typename T = float> struct Ref {
  T *allocated, *data;
  long offset = 0, sizes[rank], strides[rank];
  Ref(T *data, std::array<long, rank> shape) : allocated(data), data(data) {
    long stride = 1;
    for (int d = rank - 1; d >= 0; --d)
      sizes[d] = shape[d], strides[d] = stride, stride *= shape[d];
  }
};

inline void fill(std::vector<float> &values, float scale) {
  static unsigned state = 1;
  for (float &value : values) {
    state = state * 1664525u + 1013904223u;
    value = (int(state >> 8) - (1 << 23)) * scale / (1 << 23);
  }
}

inline float *aligned(long count) {
  void *memory = std::aligned_alloc(64, (count * 4 + 63) / 64 * 64);
  std::fill_n(static_cast<float *>(memory), count, 0.0f);
  return static_cast<float *>(memory);
}

/// The median time of a call in ns, over 0.15 s.
template <typename F> double median(F call) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  call();
  auto begin = Clock::now();
  do {
    auto start = Clock::now();
    call();
    times.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count());
  } while (Clock::now() - begin < std::chrono::milliseconds(150) || times.size() < 5);
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}
