//===- bench.h - Buffers and clocks of the kernels' benchmarks ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
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

/// The thread's own time in ns: that of others who want the core isn't counted.
inline double now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

/// The median time of a call in ns, over 0.15 s. Calls too short for the clock are timed by the
/// dozen.
template <typename F> double median(F call) {
  std::vector<double> times;
  call();
  double first = now();
  call();
  long repeat = std::max<long>(1, 20000 / std::max(now() - first, 100.0));
  double begin = now();
  do {
    double start = now();
    for (long i = 0; i < repeat; ++i)
      call();
    times.push_back((now() - start) / repeat);
  } while (now() - begin < 150e6 || times.size() < 5);
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}
