//===- FakeArtifact.c - A small library, written by hand ----------*- C -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// What the compiler would make of a model with
///   trunk[b, s] = (mask[b, s] ? x[b, s] : 0) + 0.5            a stage that all tasks share
///   y[b]        = scale * sum_s trunk[b, s]                   base (scale 1) and a (scale 2), one
///   body y[b, 2]     = (10, 20) * sum_s trunk[b, s]                b kept[n]     = positions at
///   which trunk > 1                b; its size depends on data
/// and rows of base and a together; and with tasks that fail in several ways. The tests change
/// bytes of the manifest in copies of it.
///
//===----------------------------------------------------------------------===//

#include "graft/Runtime/ArtifactAbi.h"

#include <stddef.h>

#ifdef FAKE_SPLIT
#define WEIGHTS_FILE                                                                               \
  "\"weights_file\":{\"name\":\"" FAKE_SPLIT "\",\"bytes\":256,\"sha256\":\"" FAKE_SHA256 "\"},"
#else
#define WEIGHTS_FILE
static const float weights[64]
    __attribute__((aligned(64))) = {[0] = 0.5f, [16] = 1, [32] = 2, [48] = 10, [49] = 20};
#endif

static const char manifest[] =
    "{\"graft\":\"0.1.0\",\"abi\":2,\"backbone\":\"fake.onnx\","
    "\"cpu\":{\"name\":\"generic\",\"features\":[\"sse2\"]},"
    "\"symbols\":[\"batch\",\"seq\"],"
    "\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"dims\":[\"batch\",\"seq\"]},"
    "{\"name\":\"mask\",\"type\":\"bool\",\"dims\":[\"batch\",\"seq\"]}]," WEIGHTS_FILE
    "\"storage\":[{\"name\":\"bias\",\"offset\":0,\"bytes\":4},"
    "{\"name\":\"one\",\"offset\":64,\"bytes\":4},{\"name\":\"two\",\"offset\":128,\"bytes\":4},"
    "{\"name\":\"pair\",\"offset\":192,\"bytes\":8}],"
    "\"codes\":[{\"buffers\":[[0,1],[1,2]]},{\"buffers\":[]},{\"buffers\":[[0,0]]},"
    "{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[[0,0]]},{\"buffers\":[]},{\"buffers\":[]},"
    "{\"buffers\":[]}],"
    "\"values\":[{\"type\":\"f32\",\"dims\":[\"batch\",\"seq\"]},"
    "{\"type\":\"bool\",\"dims\":[\"batch\",\"seq\"]},"
    "{\"type\":\"f32\",\"dims\":[\"batch\",\"seq\"]},{\"type\":\"f32\",\"dims\":[\"batch\"]},"
    "{\"type\":\"f32\",\"dims\":[\"batch\"]},{\"type\":\"f32\",\"dims\":[\"batch\",2]},"
    "{\"type\":\"i64\",\"dims\":[\"n\"]},{\"type\":\"f32\",\"dims\":[]},"
    "{\"type\":\"f32\",\"dims\":[]},{\"type\":\"f32\",\"dims\":[]},"
    "{\"type\":\"f32\",\"dims\":[]},{\"type\":\"i64\",\"dims\":[]},"
    "{\"type\":\"i64\",\"dims\":[\"batch\",1]},{\"type\":\"f32\",\"dims\":[\"batch\"]}],"
    "\"stages\":[{\"code\":0,\"parent\":-1,\"inputs\":[0,1],\"outputs\":[2],\"parameters\":[0]},"
    "{\"code\":1,\"parent\":0,\"inputs\":[2],\"outputs\":[3],\"parameters\":[1]},"
    "{\"code\":1,\"parent\":0,\"inputs\":[2],\"outputs\":[4],\"parameters\":[2]},"
    "{\"code\":2,\"parent\":0,\"inputs\":[2],\"outputs\":[5,6],\"parameters\":[3]},"
    "{\"code\":3,\"parent\":0,\"inputs\":[2],\"outputs\":[7],\"parameters\":[]},"
    "{\"code\":4,\"parent\":0,\"inputs\":[2],\"outputs\":[8],\"parameters\":[]},"
    "{\"code\":5,\"parent\":0,\"inputs\":[2],\"outputs\":[9],\"parameters\":[]},"
    "{\"code\":6,\"parent\":0,\"inputs\":[2],\"outputs\":[10],\"parameters\":[]},"
    "{\"code\":7,\"parent\":-1,\"inputs\":[],\"outputs\":[11],\"parameters\":[]},"
    "{\"code\":8,\"parent\":0,\"inputs\":[2,12],\"outputs\":[13],\"parameters\":[1,2]}],"
    "\"tasks\":[{\"name\":\"base\",\"stage\":1,\"adapters\":[],\"outputs\":["
    "{\"name\":\"y\",\"value\":3},{\"name\":\"trunk\",\"value\":2}]},"
    "{\"name\":\"a\",\"stage\":2,\"adapters\":[\"a\"],\"outputs\":[{\"name\":\"y\",\"value\":4}],"
    "\"residency\":[\"fold\"]},"
    "{\"name\":\"b\",\"stage\":3,\"adapters\":[\"b\"],\"outputs\":["
    "{\"name\":\"y\",\"value\":5},{\"name\":\"kept\",\"value\":6}]},"
    "{\"name\":\"fail\",\"stage\":4,\"outputs\":[{\"name\":\"y\",\"value\":7}]},"
    "{\"name\":\"silent\",\"stage\":5,\"outputs\":[{\"name\":\"y\",\"value\":8}]},"
    "{\"name\":\"huge\",\"stage\":6,\"outputs\":[{\"name\":\"y\",\"value\":9}]},"
    "{\"name\":\"hungry\",\"stage\":7,\"outputs\":[{\"name\":\"y\",\"value\":10}]},"
    "{\"name\":\"echo\",\"stage\":0,\"outputs\":[{\"name\":\"x\",\"value\":0},"
    "{\"name\":\"mask\",\"value\":1}]},"
    "{\"name\":\"count\",\"stage\":8,\"outputs\":[{\"name\":\"runs\",\"value\":11}]}],"
    "\"rows\":{\"independent\":true ,\"op\":\"Mean\",\"node\":\"/pool\",\"reason\":\"axis 0\","
    "\"stage\":9,\"keys\":12,\"tasks\":[\"base\",\"a\"],\"outputs\":["
    "{\"name\":\"y\",\"value\":13},{\"name\":\"trunk\",\"value\":2}]},"
    "\"modules\":[{\"name\":\"a\",\"kind\":\"lora\",\"sites\":1,\"residency\":\"fold\"}]}";

static int64_t trunkRuns;

/// A row of the trunk goes through both buffers: wrong offsets would spoil it.
typedef struct TrunkClosure {
  const float *x, *bias;
  const unsigned char *mask;
  float *first, *second, *out;
  int64_t seq;
} TrunkClosure;

static void trunkRows(void *closure, int64_t begin, int64_t end) {
  TrunkClosure *c = closure;
  for (int64_t i = begin * c->seq; i < end * c->seq; ++i)
    c->first[i] = c->x[i] * (float)c->mask[i]; // relies on the mask being 0 or 1
  for (int64_t i = begin * c->seq; i < end * c->seq; ++i)
    c->second[i] = c->first[i] + *c->bias;
  for (int64_t i = begin * c->seq; i < end * c->seq; ++i)
    c->out[i] = c->second[i];
}

static void trunkShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = symbols[0];
  dims[1] = symbols[1];
  bytes[0] = bytes[1] = symbols[0] * symbols[1] * 4;
}

static int32_t trunkRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                        const int64_t *symbols, char *arena, const int64_t *offsets) {
  TrunkClosure closure = {values[0].data,
                          parameters[0],
                          values[1].data,
                          (float *)(arena + offsets[0]),
                          (float *)(arena + offsets[1]),
                          values[2].data,
                          symbols[1]};
  host->parallel_for(host->context, symbols[0], trunkRows, &closure);
  __atomic_fetch_add(&trunkRuns, 1, __ATOMIC_RELAXED);
  return 0;
}

static float rowSum(const graft_tensor *trunk, int64_t row) {
  const float *data = trunk->data;
  float sum = 0;
  for (int64_t i = 0; i < trunk->dims[1]; ++i)
    sum += data[row * trunk->dims[1] + i];
  return sum;
}

static void headShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = symbols[0];
}

static int32_t headRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                       const int64_t *symbols, char *arena, const int64_t *offsets) {
  for (int64_t row = 0; row < symbols[0]; ++row)
    ((float *)values[1].data)[row] = *(const float *)parameters[0] * rowSum(&values[0], row);
  return 0;
}

/// The heads of base and a on rows of both.
static int32_t togetherRun(const graft_host *host, const void *const *parameters,
                           graft_tensor *values, const int64_t *symbols, char *arena,
                           const int64_t *offsets) {
  const int64_t *keys = values[1].data;
  if (values[1].dims[0] != symbols[0] || values[1].dims[1] != 1)
    host->fail(host->context, 70, "there is not one key a row");
  for (int64_t row = 0; row < symbols[0]; ++row) {
    if (keys[row] < (row ? keys[row - 1] : 0) || keys[row] > 1)
      host->fail(host->context, 70, "the keys do not ascend");
    ((float *)values[2].data)[row] =
        *(const float *)parameters[keys[row]] * rowSum(&values[0], row);
  }
  return 0;
}

static void pairShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = symbols[0];
  dims[1] = 2;
  dims[2] = -1;
  bytes[0] = 8;
}

static int32_t pairRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                       const int64_t *symbols, char *arena, const int64_t *offsets) {
  int64_t *count = (int64_t *)(arena + offsets[0]);
  const float *trunk = values[0].data;
  int64_t elements = symbols[0] * symbols[1];
  *count = 0;
  for (int64_t i = 0; i < elements; ++i)
    *count += trunk[i] > 1;
  int64_t *scratch = host->allocate(host->context, 64);
  int64_t *kept = host->allocate(host->context, *count * 8);
  if (!scratch || !kept)
    return 1;
  host->release(host->context, scratch);
  for (int64_t i = 0, at = 0; i < elements; ++i)
    if (trunk[i] > 1)
      kept[at++] = i;
  values[2].data = kept;
  values[2].dims[0] = *count;
  for (int64_t row = 0; row < symbols[0]; ++row)
    for (int64_t i = 0; i < 2; ++i)
      ((float *)values[1].data)[row * 2 + i] =
          ((const float *)parameters[0])[i] * rowSum(&values[0], row);
  return 0;
}

static void scalarShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {}

static int32_t failRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                       const int64_t *symbols, char *arena, const int64_t *offsets) {
  host->fail(host->context, 1, "gather: index 7 is out of range");
  host->fail(host->context, 2, "a later failure");
  return 0;
}

static int32_t silentRun(const graft_host *host, const void *const *parameters,
                         graft_tensor *values, const int64_t *symbols, char *arena,
                         const int64_t *offsets) {
  return 5;
}

static void hugeShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  bytes[0] = (int64_t)1 << 60;
}

static int32_t hungryRun(const graft_host *host, const void *const *parameters,
                         graft_tensor *values, const int64_t *symbols, char *arena,
                         const int64_t *offsets) {
  return host->allocate(host->context, (int64_t)1 << 60) ? 0 : 1;
}

static int32_t countRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                        const int64_t *symbols, char *arena, const int64_t *offsets) {
  *(int64_t *)values[0].data = __atomic_load_n(&trunkRuns, __ATOMIC_RELAXED);
  return 0;
}

static const graft_stage_code codes[] = {
    {trunkShape, trunkRun},   {headShape, headRun},     {pairShape, pairRun},
    {scalarShape, failRun},   {scalarShape, silentRun}, {hugeShape, silentRun},
    {scalarShape, hungryRun}, {scalarShape, countRun},  {headShape, togetherRun}};

static const graft_artifact artifact = {GRAFT_ARTIFACT_MAGIC,
                                        GRAFT_ARTIFACT_ABI,
                                        sizeof(manifest) - 1,
                                        manifest,
#ifdef FAKE_SPLIT
                                        NULL,
                                        0,
#else
                                        weights,
                                        sizeof(weights),
#endif
                                        codes,
                                        sizeof(codes) / sizeof(codes[0]),
                                        NULL};

__attribute__((visibility("default"))) const graft_artifact *graft_artifact_query(uint32_t abi) {
  return abi == GRAFT_ARTIFACT_ABI ? &artifact : NULL;
}
