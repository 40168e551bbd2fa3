//===- matmul.cpp - Speed and accuracy of one packed matmul ------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "bench.h"

extern "C" void _mlir_ciface_matmul(Ref<2> *x, Ref<3> *w, Ref<1> *bias, Ref<2> *y);

int main() {
  const long n = N, k = K, p = P, panels = (n + p - 1) / p;
  std::vector<float> w(n * k), bias(n);
  fill(w, 0.05f), fill(bias, 1);
  float *packed = aligned(panels * k * p);
  for (long i = 0; i < n; ++i)
    for (long j = 0; j < k; ++j)
      packed[(i / p * k + j) * p + i % p] = w[j * n + i];
  for (long m : {1, 2, 4, 8, 13, 16, 128, 129, 1024}) {
    std::vector<float> x(m * k);
    fill(x, 1);
    float *y = aligned(m * n);
    Ref<2> rx(x.data(), {m, k}), ry(y, {m, n});
    Ref<3> rw(packed, {panels, k, p});
    Ref<1> rb(bias.data(), {n});
    double ns = median([&] { _mlir_ciface_matmul(&rx, &rw, &rb, &ry); });
    double error = 0, norm = 0;
    for (long r = 0; r < m; r += m > 20 ? 11 : 1)
      for (long c = 0; c < n; ++c) {
        double sum = bias[c];
        for (long j = 0; j < k; ++j)
          sum += double(x[r * k + j]) * w[j * n + c];
        double expected = sum * 0.5 * (1 + std::erf(sum * 0.70710678118654752));
        error += (y[r * n + c] - expected) * (y[r * n + c] - expected);
        norm += expected * expected;
      }
    std::printf(
        "%ld x %ld x %ld: %.1f us, %.1f GFLOP/s, %.1f GB/s of weights, relative error %.1e\n", m, n,
        k, ns * 1e-3, 2.0 * m * n * k / ns, 4.0 * n * k / ns, std::sqrt(error / norm));
  }
}
