//===- rows.cpp - Speed and accuracy of norms, softmax, attention -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exits with 1 if an error is above 2e-6.
//
//===----------------------------------------------------------------------===//

#include "bench.h"

#include <functional>
#include <string>

extern "C" {
void _mlir_ciface_layer_norm(Ref<2> *, Ref<2> *, Ref<1> *, Ref<1> *, Ref<2> *);
void _mlir_ciface_softmax(Ref<2> *, Ref<2> *);
void _mlir_ciface_attention(Ref<4> *, Ref<4> *, Ref<4> *, Ref<4> *, Ref<4> *);
void _mlir_ciface_grouped(Ref<4> *, Ref<4> *, Ref<4> *, Ref<2, bool> *, Ref<4> *);
void _mlir_ciface_batch_matmul(Ref<4> *, Ref<4> *, Ref<4> *);
void _mlir_ciface_batch_matmul_t(Ref<3> *, Ref<3> *, Ref<3> *);
}

using Floats = std::vector<float>;
static bool failed = false;

static Floats made(long n, float scale = 1) {
  Floats x(n);
  fill(x, scale);
  return x;
}

static void report(const char *what, double ns, const Floats &y,
                   const std::vector<double> &expected, double flops) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    error += (y[i] - expected[i]) * (y[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  error = std::sqrt(error / norm);
  bool bad = !(error <= 2e-6);
  failed |= bad;
  std::printf("%s: %.1f us, %.1f GFLOP/s, relative error %.1e%s\n", what, ns * 1e-3, flops / ns,
              error, bad ? " FAILED" : "");
}

/// softmax of a row in place.
static void soften(std::vector<double> &row) {
  double best = -INFINITY, sum = 0;
  for (double x : row)
    best = std::max(best, x);
  if (best == -INFINITY)
    return row.assign(row.size(), 0.0);
  for (double &x : row)
    sum += x = std::exp(x - best);
  for (double &x : row)
    x /= sum;
}

static void norms() {
  for (long m : {1, 128}) {
    Floats x = made(m * 384), r = made(m * 384), g = made(384), b = made(384), y(m * 384);
    Ref<2> rx(x.data(), {m, 384}), rr(r.data(), {m, 384}), ry(y.data(), {m, 384});
    Ref<1> rg(g.data(), {384}), rb(b.data(), {384});
    double ns = median([&] { _mlir_ciface_layer_norm(&rx, &rr, &rg, &rb, &ry); });
    std::vector<double> expected;
    for (long i = 0; i < m; ++i) {
      double mean = 0, variance = 0;
      std::vector<double> h;
      for (long j = 0; j < 384; ++j)
        h.push_back(double(x[i * 384 + j]) + r[i * 384 + j]), mean += h.back() / 384;
      for (double v : h)
        variance += (v - mean) * (v - mean) / 384;
      for (long j = 0; j < 384; ++j)
        expected.push_back((h[j] - mean) / std::sqrt(variance + 1e-12) * g[j] + b[j]);
    }
    report(m == 1 ? "residual + layer norm 1 x 384" : "residual + layer norm 128 x 384", ns, y,
           expected, 8.0 * m * 384);
  }
  for (long n : {128, 77, 5}) {
    long m = 1536;
    Floats x = made(m * n, 20), y(m * n);
    Ref<2> rx(x.data(), {m, n}), ry(y.data(), {m, n});
    double ns = median([&] { _mlir_ciface_softmax(&rx, &ry); });
    std::vector<double> expected;
    for (long i = 0; i < m; ++i) {
      std::vector<double> row(n);
      for (long j = 0; j < n; ++j)
        row[j] = x[i * n + j] * 0.5;
      soften(row);
      expected.insert(expected.end(), row.begin(), row.end());
    }
    report(("softmax 1536 x " + std::to_string(n)).c_str(), ns, y, expected, 4.0 * m * n);
  }
}

/// What all variants compute; each operand by (batch, head, position, depth).
using At = std::function<double(long, long, long, long)>;
static std::vector<double> attend(long B, long H, long S, long T, long D, long E, double scale,
                                  At q, At k, At v, At mask,
                                  std::function<long(long, long, long, long)> place) {
  std::vector<double> out(B * H * S * E);
  for (long b = 0; b < B; ++b)
    for (long h = 0; h < H; ++h)
      for (long s = 0; s < S; ++s) {
        std::vector<double> row(T);
        for (long t = 0; t < T; ++t) {
          for (long d = 0; d < D; ++d)
            row[t] += q(b, h, s, d) * k(b, h, t, d);
          row[t] = row[t] * scale + mask(b, h, s, t);
        }
        soften(row);
        for (long e = 0; e < E; ++e) {
          double sum = 0;
          for (long t = 0; t < T; ++t)
            sum += row[t] * v(b, h, t, e);
          out[place(b, h, s, e)] = sum;
        }
      }
  return out;
}

static void attentions() {
  struct Size {
    long b, s;
  };
  for (auto [B, S] : {Size{1, 1}, {1, 64}, {1, 128}, {2, 129}, {1, 512}}) {
    long H = 12, D = 32;
    Floats q = made(B * S * H * D, 3), k = made(B * S * H * D, 3), v = made(B * S * H * D),
           m(B * S), y(B * S * H * D);
    if (S > 4)
      for (long b = 0; b < B; ++b)
        m[b * S + 3] = m[b * S + S - 1] = -3e38f;
    Ref<4> rq(q.data(), {B, S, H, D}), rk(k.data(), {B, S, H, D}), rv(v.data(), {B, S, H, D}),
        rm(m.data(), {B, 1, 1, S}), ry(y.data(), {B, S, H, D});
    double ns = median([&] { _mlir_ciface_attention(&rq, &rk, &rv, &rm, &ry); });
    long s0 = S;
    auto at = [=](long b, long h, long s, long d) { return ((b * s0 + s) * H + h) * D + d; };
    auto expected = attend(
        B, H, S, S, D, D, 0.17677669529663687,
        [&](long b, long h, long s, long d) { return q[at(b, h, s, d)]; },
        [&](long b, long h, long s, long d) { return k[at(b, h, s, d)]; },
        [&](long b, long h, long s, long d) { return v[at(b, h, s, d)]; },
        [&](long b, long, long, long t) { return m[b * s0 + t]; }, at);
    report(
        ("attention " + std::to_string(B) + " x " + std::to_string(S) + ", 12 heads of 32").c_str(),
        ns, y, expected, 4.0 * B * H * S * S * D);
  }
  for (auto [S, T] : {Size{7, 7}, {150, 150}, {5, 140}, {140, 5}}) {
    long B = 2, H = 6, G = 2, D = 20, E = 36;
    Floats q = made(B * H * S * D, 2), k = made(B * G * D * T, 2), v = made(B * G * T * E),
           y(B * H * S * E);
    bool *m = new bool[S * T];
    for (long i = 0; i < S * T; ++i)
      m[i] = i % 7 != 3;
    Ref<4> rq(q.data(), {B, H, S, D}), rk(k.data(), {B, G, D, T}), rv(v.data(), {B, G, T, E}),
        ry(y.data(), {B, H, S, E});
    Ref<2, bool> rm(m, {S, T});
    double ns = median([&] { _mlir_ciface_grouped(&rq, &rk, &rv, &rm, &ry); });
    long s0 = S, t0 = T;
    auto expected = attend(
        B, H, S, T, D, E, 0.3,
        [&](long b, long h, long s, long d) { return q[((b * H + h) * s0 + s) * D + d]; },
        [&](long b, long h, long t, long d) { return k[((b * G + h / 3) * D + d) * t0 + t]; },
        [&](long b, long h, long t, long e) { return v[((b * G + h / 3) * t0 + t) * E + e]; },
        [&](long, long, long s, long t) {
          return t <= s + t0 - s0 && m[s * t0 + t] ? 0.0 : -INFINITY;
        },
        [=](long b, long h, long s, long e) { return ((b * H + h) * s0 + s) * E + e; });
    report(("grouped causal attention " + std::to_string(S) + " x " + std::to_string(T)).c_str(),
           ns, y, expected, 2.0 * B * H * S * T * (D + E));
    delete[] m;
  }
}

static void products() {
  struct Size {
    long m, n, k;
  };
  for (auto [M, N, K] : {Size{128, 128, 32}, {1, 33, 300}, {130, 15, 7}, {64, 64, 512}}) {
    long B = 2, G = 3;
    Floats a = made(B * G * M * K), c = made(G * N * K), y(B * G * M * N);
    Ref<4> ra(a.data(), {B, G, M, K}), rc(c.data(), {1, G, N, K}), ry(y.data(), {B, G, M, N});
    double ns = median([&] { _mlir_ciface_batch_matmul(&ra, &rc, &ry); });
    std::vector<double> expected(B * G * M * N), other(B * M * N);
    for (long b = 0; b < B * G; ++b)
      for (long i = 0; i < M; ++i)
        for (long j = 0; j < N; ++j)
          for (long l = 0; l < K; ++l)
            expected[(b * M + i) * N + j] +=
                double(a[(b * M + i) * K + l]) * c[(b % G * N + j) * K + l];
    std::string size = std::to_string(M) + " x " + std::to_string(N) + " x " + std::to_string(K);
    report(("6 products " + size).c_str(), ns, y, expected, 2.0 * B * G * M * N * K);
    Floats x = made(B * K * M), w = made(B * K * N), z(B * M * N);
    Ref<3> rx(x.data(), {B, K, M}), rw(w.data(), {B, K, N}), rz(z.data(), {B, M, N});
    ns = median([&] { _mlir_ciface_batch_matmul_t(&rx, &rw, &rz); });
    for (long b = 0; b < B; ++b)
      for (long i = 0; i < M; ++i)
        for (long j = 0; j < N; ++j)
          for (long l = 0; l < K; ++l)
            other[(b * M + i) * N + j] += double(x[(b * K + l) * M + i]) * w[(b * K + l) * N + j];
    report(("2 products, a transposed, " + size).c_str(), ns, z, other, 2.0 * B * M * N * K);
  }
}

int main() {
  norms();
  attentions();
  products();
  return failed;
}
