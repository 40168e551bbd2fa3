//===- mixture.cpp - Speed and accuracy of a layer of experts ----*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mixture [ROWS...]: SwiGLU experts of D and H, top-2 of E. Few rows take other modules each time,
// so that their weights come from memory. Exits with 1 if an error is above 2e-6.
//
//===----------------------------------------------------------------------===//

#include "bench.h"

#include <functional>

using I32 = int;
using I64 = long;

extern "C" {
void _mlir_ciface_plan(Ref<2, I64> *, Ref<1, I32> *, Ref<1, I32> *, Ref<2, I32> *);
void _mlir_ciface_gather(Ref<2> *, Ref<1, I32> *, Ref<1, I32> *, Ref<2> *);
void _mlir_ciface_up(Ref<2> *, Ref<1, I32> *, Ref<4> *, Ref<2> *, Ref<2> *);
void _mlir_ciface_gate(Ref<2> *, Ref<1, I32> *, Ref<4> *, Ref<2> *, Ref<2> *);
void _mlir_ciface_down(Ref<2> *, Ref<1, I32> *, Ref<4> *, Ref<2> *, Ref<2> *);
void _mlir_ciface_combine(Ref<2> *, Ref<2, I32> *, Ref<2> *, Ref<2> *);
}

static unsigned state = 5;
static unsigned random(unsigned below) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % below;
}

/// The weights of all modules in panels; `at` finds one again.
struct Weights {
  long n, k;
  std::array<long, 4> shape{E, (n + P - 1) / P, k, P};
  float *data = aligned(shape[0] * shape[1] * shape[2] * shape[3]);
  Ref<4> ref{data, shape};
  Weights(long n, long k) : n(n), k(k) {
    long size = shape[1] * k * P;
    std::vector<float> values(size);
    for (long e = 0; e < E; ++e) {
      fill(values, 0.05f);
      std::copy(values.begin(), values.end(), data + e * size);
    }
  }
  float at(long e, long row, long column) const {
    return data[((e * shape[1] + column / P) * k + row) * P + column % P];
  }
};

/// The least time of a call, over 0.6 s or three calls: others use the machine too. Calls too short
/// for the clock are timed by the dozen.
template <typename F> static double least(F call) {
  double first = now();
  call();
  long repeat = std::max<long>(1, 20000 / std::max(now() - first, 100.0));
  double best = INFINITY, begin = now();
  for (int i = 0; i < 3 || now() - begin < 600e6; ++i) {
    double start = now();
    for (long r = 0; r < repeat; ++r)
      call();
    best = std::min(best, (now() - start) / repeat);
  }
  return best;
}

int main(int argc, char **argv) {
  const long d = D, h = H;
  Weights up(h, d), gate(h, d), down(d, h);
  bool failed = false;
  std::vector<long> sizes;
  for (int i = 1; i < argc; ++i)
    sizes.push_back(std::atol(argv[i]));
  if (sizes.empty())
    sizes = {1, 16, 256, 4096};
  for (long rows : sizes) {
    long slots = 2 * rows;
    std::vector<float> x(rows * d), shares(slots);
    std::vector<I64> keys(slots);
    fill(x, 1), fill(shares, 1);
    auto choose = [&] {
      for (long r = 0; r < rows; ++r) {
        keys[2 * r] = random(E);
        keys[2 * r + 1] = (keys[2 * r] + 1 + random(E - 1)) % E;
      }
    };
    std::vector<I32> order(slots), offsets(E + 1), position(slots);
    float *in = aligned(slots * d), *u = aligned(slots * h), *g = aligned(slots * h),
          *parts = aligned(slots * d), *y = aligned(rows * d);
    Ref<2> rx(x.data(), {rows, d}), rin(in, {slots, d}), ru(u, {slots, h}), rg(g, {slots, h}),
        rparts(parts, {slots, d}), ry(y, {rows, d}), rshares(shares.data(), {rows, 2});
    Ref<2, I64> rkeys(keys.data(), {rows, 2});
    Ref<1, I32> rorder(order.data(), {slots}), roffsets(offsets.data(), {E + 1});
    Ref<2, I32> rposition(position.data(), {rows, 2});
    choose();
    struct Part {
      const char *name;
      std::function<void()> run;
      double ns = 0;
    };
    Part stages[] = {
        {"plan", [&] { _mlir_ciface_plan(&rkeys, &rorder, &roffsets, &rposition); }},
        {"gather", [&] { _mlir_ciface_gather(&rx, &rorder, &roffsets, &rin); }},
        {"up", [&] { _mlir_ciface_up(&rin, &roffsets, &up.ref, &ru, &ru); }},
        {"gate", [&] { _mlir_ciface_gate(&rin, &roffsets, &gate.ref, &ru, &rg); }},
        {"down", [&] { _mlir_ciface_down(&rg, &roffsets, &down.ref, &rparts, &rparts); }},
        {"combine", [&] { _mlir_ciface_combine(&rparts, &rposition, &rshares, &ry); }}};
    auto layer = [&] {
      for (Part &part : stages)
        part.run();
    };
    double total = least([&] {
      if (rows <= 16)
        choose();
      layer();
    });
    for (Part &part : stages)
      part.ns = least(part.run);
    long active = 0;
    for (long e = 0; e < E; ++e)
      active += offsets[e + 1] > offsets[e];
    double flops = 6.0 * slots * d * h, bytes = 12.0 * active * d * h;
    std::printf("%d experts, %ld rows: %.3f ms, %.1f GFLOP/s, %.1f GB/s of weights;", E, rows,
                total * 1e-6, flops / total, bytes / total);
    for (Part &part : stages)
      std::printf(" %s %.1f", part.name, part.ns * 1e-3);

    // Some rows against double precision.
    double error = 0, norm = 0;
    for (long r = 0; r < rows; r += std::max<long>(1, rows / 3)) {
      std::vector<double> expected(d), hidden(h);
      for (long s = 0; s < 2; ++s) {
        long e = keys[2 * r + s];
        for (long j = 0; j < h; ++j) {
          double a = 0, b = 0;
          for (long i = 0; i < d; ++i)
            a += double(x[r * d + i]) * gate.at(e, i, j),
                b += double(x[r * d + i]) * up.at(e, i, j);
          hidden[j] = a / (1 + std::exp(-a)) * b;
        }
        for (long i = 0; i < d; ++i) {
          double sum = 0;
          for (long j = 0; j < h; ++j)
            sum += hidden[j] * down.at(e, j, i);
          expected[i] += shares[2 * r + s] * sum;
        }
      }
      for (long i = 0; i < d; ++i) {
        error += (y[r * d + i] - expected[i]) * (y[r * d + i] - expected[i]);
        norm += expected[i] * expected[i];
      }
    }
    bool bad = !(std::sqrt(error / norm) <= 2e-6);
    failed |= bad;
    std::printf(" us, relative error %.1e%s\n", std::sqrt(error / norm), bad ? " FAILED" : "");
    for (float *memory : {in, u, g, parts, y})
      std::free(memory);
  }
  return failed;
}
