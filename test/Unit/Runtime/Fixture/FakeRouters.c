//===- FakeRouters.c - A small library that routes, written by hand -*- C -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// What the compiler would make of a model of x[b, s, 3], whose b * s rows are routed twice:
///   gate[b, s] = sum over the 2 greatest of w * (module + 1), the weights their share of x
///                a stage that all tasks share
///   y[b, s]    = gate + sum over the up to 3 whose x is not negative of scale * x * 10^module,
///                of which those above 50 are dropped after they were weighed
///                base (scale 1) and a (scale 2), one body
/// and `looks`, 1 if the host looks at routes.
///
//===----------------------------------------------------------------------===//

#include "graft/Runtime/ArtifactAbi.h"

#include <stddef.h>

#ifdef FAKE_FIXED /* a batch of 2 by 2, which cannot be cut, and nothing but rows as outputs */
#define SYMBOLS ""
#define BATCH "2"
#define SEQ "2"
#define ROWS "[[4]]"
#define LOOKS ""
#define SIZE(symbol) 2
#else
#define SYMBOLS "\"batch\",\"seq\""
#define BATCH "\"batch\""
#define SEQ "\"seq\""
#define ROWS "[[1,0,1]]"
#define LOOKS ",{\"name\":\"looks\",\"value\":2}"
#define SIZE(symbol) symbols[symbol]
#endif

static const float weights[32] __attribute__((aligned(64))) = {[0] = 1, [16] = 2};

#define ROUTED "\"rows\":" ROWS ",\"weights\":\"f32\","
#define MODULES                                                                                    \
  "\"modules\":[{\"name\":\"e0\",\"bytes\":8},{\"name\":\"e1\",\"bytes\":8},{\"name\":\"e2\","     \
  "\"bytes\":16}]"

static const char manifest[] =
    "{\"graft\":\"0.1.0\",\"abi\":2,\"backbone\":\"routers.onnx\","
    "\"cpu\":{\"name\":\"generic\",\"features\":[\"sse2\"]},"
    "\"symbols\":[" SYMBOLS "],"
    "\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"dims\":[" BATCH "," SEQ ",3]}],"
    "\"storage\":[{\"name\":\"one\",\"offset\":0,\"bytes\":4},"
    "{\"name\":\"two\",\"offset\":64,\"bytes\":4}],"
    "\"codes\":[{\"buffers\":[[0,0],[0,0]]},{\"buffers\":[[0,0],[0,0]]}],"
    "\"values\":[{\"type\":\"f32\",\"dims\":[" BATCH "," SEQ ",3]},"
    "{\"type\":\"f32\",\"dims\":[" BATCH "," SEQ "]},{\"type\":\"i64\",\"dims\":[]},"
    "{\"type\":\"f32\",\"dims\":[" BATCH "," SEQ "]},{\"type\":\"f32\",\"dims\":[" BATCH "," SEQ "]"
    "}],"
    "\"stages\":[{\"code\":0,\"parent\":-1,\"inputs\":[0],\"outputs\":[1,2],\"parameters\":[],"
    "\"routers\":[0]},"
    "{\"code\":1,\"parent\":0,\"inputs\":[0,1],\"outputs\":[3],\"parameters\":[0],\"routers\":[1]},"
    "{\"code\":1,\"parent\":0,\"inputs\":[0,1],\"outputs\":[4],\"parameters\":[1],\"routers\":[1]}]"
    ","
    "\"tasks\":[{\"name\":\"base\",\"stage\":1,\"outputs\":[{\"name\":\"y\",\"value\":3}" LOOKS
    "]},"
    "{\"name\":\"a\",\"stage\":2,\"outputs\":[{\"name\":\"y\",\"value\":4}]}],"
    "\"rows\":{\"independent\":true},"
    "\"routers\":[{\"name\":\"gate\",\"slots\":2,\"weighs\":true," ROUTED MODULES "},"
    "{\"name\":\"soft\",\"slots\":3,\"weighs\":false," ROUTED MODULES "}],"
    "\"modules\":[]}";

static void exchange(const graft_host *host, int64_t router, int64_t rows, int64_t *chosen,
                     void *weights) {
  if (host->struct_size >= sizeof(graft_host) && host->route)
    host->route(host->context, router, rows, chosen, weights);
}

static void gateShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = SIZE(0);
  dims[1] = SIZE(1);
  bytes[0] = SIZE(0) * SIZE(1) * 16;
  bytes[1] = SIZE(0) * SIZE(1) * 8;
}

static int32_t gateRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                       const int64_t *symbols, char *arena, const int64_t *offsets) {
  const int64_t rows = SIZE(0) * SIZE(1);
  const float *x = values[0].data;
  int64_t *chosen = (int64_t *)(arena + offsets[0]);
  float *weighs = (float *)(arena + offsets[1]), *out = values[1].data;
  for (int64_t r = 0; r < rows; ++r) {
    int64_t least = 0;
    for (int64_t e = 1; e < 3; ++e)
      if (x[3 * r + e] < x[3 * r + least])
        least = e;
    const int64_t a = least == 0, b = least == 2 ? 1 : 2;
    const int turned = x[3 * r + b] > x[3 * r + a];
    chosen[2 * r] = turned ? b : a;
    chosen[2 * r + 1] = turned ? a : b;
  }
  exchange(host, 0, rows, chosen, NULL);
  for (int64_t r = 0; r < rows; ++r) {
    float sum = 0;
    for (int s = 0; s < 2; ++s)
      sum += weighs[2 * r + s] = chosen[2 * r + s] < 0 ? 0 : x[3 * r + chosen[2 * r + s]];
    for (int s = 0; s < 2; ++s)
      weighs[2 * r + s] /= sum;
  }
  exchange(host, 0, rows, chosen, weighs);
  for (int64_t r = 0; r < rows; ++r) {
    out[r] = 0;
    for (int s = 0; s < 2; ++s)
      out[r] += chosen[2 * r + s] < 0 ? 0 : weighs[2 * r + s] * (float)(chosen[2 * r + s] + 1);
  }
  *(int64_t *)values[2].data = host->struct_size >= sizeof(graft_host) && host->route;
  return 0;
}

static void softShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = SIZE(0);
  dims[1] = SIZE(1);
  bytes[0] = SIZE(0) * SIZE(1) * 24;
  bytes[1] = SIZE(0) * SIZE(1) * 12;
}

static int32_t softRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                       const int64_t *symbols, char *arena, const int64_t *offsets) {
  static const float powers[] = {1, 10, 100};
  const int64_t rows = SIZE(0) * SIZE(1);
  const float *x = values[0].data, *gate = values[1].data;
  int64_t *chosen = (int64_t *)(arena + offsets[0]);
  float *weighs = (float *)(arena + offsets[1]), *out = values[2].data;
  for (int64_t i = 0; i < 3 * rows; ++i) {
    chosen[i] = x[i] < 0 ? 99 : i % 3;
    weighs[i] = *(const float *)parameters[0] * x[i];
  }
  exchange(host, 1, rows, chosen, NULL);
  for (int64_t i = 0; i < 3 * rows; ++i)
    chosen[i] = x[i] > 50 ? -1 : chosen[i];
  exchange(host, 1, rows, chosen, weighs);
  for (int64_t r = 0; r < rows; ++r) {
    out[r] = gate[r];
    for (int64_t i = 3 * r; i < 3 * r + 3; ++i)
      out[r] += chosen[i] < 0 || chosen[i] > 2 ? 0 : weighs[i] * powers[chosen[i]];
  }
  return 0;
}

static const graft_stage_code codes[] = {{gateShape, gateRun}, {softShape, softRun}};

static const graft_artifact artifact = {GRAFT_ARTIFACT_MAGIC,
                                        GRAFT_ARTIFACT_ABI,
                                        sizeof(manifest) - 1,
                                        manifest,
                                        weights,
                                        sizeof(weights),
                                        codes,
                                        sizeof(codes) / sizeof(codes[0]),
                                        NULL};

__attribute__((visibility("default"))) const graft_artifact *graft_artifact_query(uint32_t abi) {
  return abi == GRAFT_ARTIFACT_ABI ? &artifact : NULL;
}
