//===- FakeDevice.c - A small library for a GPU, written by hand --*- C -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// What the compiler would make of a model with
///   trunk[b, s] = (x[b, s] + 0.5) * 4                  a stage that all tasks share
///   y[b]        = scale * sum_s trunk[b, s]            base (scale 1) and a (scale 2), one body
///   kept[n]     = elements of trunk above 8            on the host alone: its size depends on data
///   top[b]      = largest of trunk[b, :]               the same stage
///   low[b]      = top[b] * 2                           after it, on the device
/// rows of base and a together; and with tasks that fail in several ways, on the device alone.
///
//===----------------------------------------------------------------------===//

#include "graft/Runtime/ArtifactAbi.h"

#include "DeviceKernels.h"

#include <elf.h>
#include <stddef.h>

static const float weights[64]
    __attribute__((aligned(64))) = {[0] = 0.5f, [16] = 4, [32] = 1, [48] = 2};

#define F32_BATCH "{\"type\":\"f32\",\"dims\":[\"batch\"]}"
#define F32_N "{\"type\":\"f32\",\"dims\":[\"n\"]}"

#ifdef FAKE_IMAGES
/// Of a cubin, the header alone, which is all that the mock driver looks at.
#define CUBIN(sm)                                                                                  \
  {{0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT, 0x41, 8}, .e_flags = (sm) << 8}
static const struct {
  char ptx[16384];
  Elf64_Ehdr cubins[4];
} image
    __attribute__((aligned(64))) = {DEVICE_KERNELS, {CUBIN(80), CUBIN(86), CUBIN(90), CUBIN(120)}};
#define CUBIN_KEY(arch, offset, facts)                                                             \
  ",{\"arch\":\"" arch "\",\"kind\":\"cubin\",\"offset\":" #offset                                 \
  ",\"bytes\":64,\"kernels\":[" facts ",null,null,null,null,null]}"
#define FACTS(registers, shared, spills)                                                           \
  "{\"registers\":" #registers ",\"shared\":" #shared ",\"stack\":0,\"spill_stores\":" #spills     \
  ",\"spill_loads\":" #spills "}"
#define IMAGES_KEY                                                                                 \
  "\"images\":[{\"arch\":\"sm_70\",\"kind\":\"ptx\",\"offset\":0,\"bytes\":16384}" CUBIN_KEY(      \
      "sm_80", 16384, FACTS(72, 20480, 0)) CUBIN_KEY("sm_86", 16448, FACTS(96, 20480, 0))          \
      CUBIN_KEY("sm_90a", 16512, FACTS(40, 0, 20))                                                 \
          CUBIN_KEY("sm_120", 16576,                                                               \
                    "null") "],"                                                                   \
                            "\"kernels\":[{\"threads\":128,\"launches\":1,\"least_bytes\":\"8*"    \
                            "batch*seq + 4\","                                                     \
                            "\"moved_bytes\":\"12*batch*seq\"},{\"threads\":128,\"launches\":2}],"
#else
#define image kernels
#define IMAGES_KEY
#endif

#ifdef FAKE_NO_DEVICE_KEY
#define DEVICE_KEY
#else
#define DEVICE_KEY                                                                                 \
  "\"device\":{\"capability\":70,\"codes\":[{\"buffers\":[[0,1]]},{\"buffers\":[]},null,"          \
  "{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[[0,0]]},"     \
  "{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]}]," IMAGES_KEY               \
  "\"checks\":[\"never\",\"trunk: expected no element below 0\"]},"
#endif

static const char manifest[] =
    "{\"graft\":\"0.1.0\",\"abi\":2,\"backbone\":\"device.onnx\","
    "\"cpu\":{\"name\":\"generic\",\"features\":[\"sse2\"]},"
    "\"symbols\":[\"batch\",\"seq\"],"
    "\"inputs\":[{\"name\":\"x\",\"type\":\"f32\",\"dims\":[\"batch\",\"seq\"]}],"
    "\"storage\":[{\"name\":\"bias\",\"offset\":0,\"bytes\":4},"
    "{\"name\":\"four\",\"offset\":64,\"bytes\":4},{\"name\":\"one\",\"offset\":128,\"bytes\":4},"
    "{\"name\":\"two\",\"offset\":192,\"bytes\":4}],"
    "\"codes\":[{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]},"
    "{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]},"
    "{\"buffers\":[]},{\"buffers\":[]},{\"buffers\":[]}]," DEVICE_KEY
    "\"values\":[{\"type\":\"f32\",\"dims\":[\"batch\",\"seq\"]},"
    "{\"type\":\"f32\",\"dims\":[\"batch\",\"seq\"]}," F32_BATCH "," F32_BATCH "," F32_N
    "," F32_BATCH "," F32_BATCH ",{\"type\":\"i64\",\"dims\":[\"batch\",1]}," F32_BATCH
    "," F32_BATCH "," F32_BATCH "," F32_BATCH "," F32_BATCH "," F32_BATCH "," F32_BATCH "," F32_N
    "," F32_BATCH "," F32_BATCH "," F32_BATCH "],"
    "\"stages\":[{\"code\":0,\"parent\":-1,\"inputs\":[0],\"outputs\":[1],\"parameters\":[0,1]},"
    "{\"code\":1,\"parent\":0,\"inputs\":[1],\"outputs\":[2],\"parameters\":[2]},"
    "{\"code\":1,\"parent\":0,\"inputs\":[1],\"outputs\":[3],\"parameters\":[3]},"
    "{\"code\":2,\"parent\":0,\"inputs\":[1],\"outputs\":[4,5],\"parameters\":[]},"
    "{\"code\":3,\"parent\":3,\"inputs\":[5],\"outputs\":[6],\"parameters\":[3]},"
    "{\"code\":4,\"parent\":0,\"inputs\":[1,7],\"outputs\":[8],\"parameters\":[2,3]},"
    "{\"code\":5,\"parent\":0,\"inputs\":[1],\"outputs\":[9],\"parameters\":[2]},"
    "{\"code\":6,\"parent\":0,\"inputs\":[1],\"outputs\":[10],\"parameters\":[2]},"
    "{\"code\":7,\"parent\":0,\"inputs\":[1],\"outputs\":[11],\"parameters\":[2]},"
    "{\"code\":8,\"parent\":0,\"inputs\":[1],\"outputs\":[12],\"parameters\":[2]},"
    "{\"code\":9,\"parent\":0,\"inputs\":[1],\"outputs\":[13],\"parameters\":[2]},"
    "{\"code\":3,\"parent\":3,\"inputs\":[4],\"outputs\":[14],\"parameters\":[3]},"
    "{\"code\":2,\"parent\":-1,\"inputs\":[0],\"outputs\":[15,16],\"parameters\":[]},"
    "{\"code\":10,\"parent\":0,\"inputs\":[1],\"outputs\":[17],\"parameters\":[2]},"
    "{\"code\":11,\"parent\":0,\"inputs\":[1],\"outputs\":[18],\"parameters\":[2]}],"
    "\"tasks\":[{\"name\":\"base\",\"stage\":1,\"outputs\":["
    "{\"name\":\"y\",\"value\":2},{\"name\":\"trunk\",\"value\":1}]},"
    "{\"name\":\"a\",\"stage\":2,\"outputs\":[{\"name\":\"y\",\"value\":3}]},"
    "{\"name\":\"host\",\"stage\":3,\"outputs\":["
    "{\"name\":\"kept\",\"value\":4},{\"name\":\"top\",\"value\":5}]},"
    "{\"name\":\"after\",\"stage\":4,\"outputs\":[{\"name\":\"low\",\"value\":6},"
    "{\"name\":\"top\",\"value\":5},{\"name\":\"x\",\"value\":0}]},"
    "{\"name\":\"check\",\"stage\":6,\"outputs\":[{\"name\":\"y\",\"value\":9}]},"
    "{\"name\":\"wide\",\"stage\":7,\"outputs\":[{\"name\":\"y\",\"value\":10}]},"
    "{\"name\":\"huge\",\"stage\":8,\"outputs\":[{\"name\":\"y\",\"value\":11}]},"
    "{\"name\":\"trap\",\"stage\":9,\"outputs\":[{\"name\":\"y\",\"value\":12}]},"
    "{\"name\":\"shared\",\"stage\":10,\"outputs\":[{\"name\":\"y\",\"value\":13}]},"
    "{\"name\":\"late\",\"stage\":11,\"outputs\":[{\"name\":\"y\",\"value\":14}]},"
    "{\"name\":\"plain\",\"stage\":12,\"outputs\":[{\"name\":\"y\",\"value\":16}]},"
    "{\"name\":\"misshapen\",\"stage\":13,\"outputs\":[{\"name\":\"y\",\"value\":17}]},"
    "{\"name\":\"unknown\",\"stage\":14,\"outputs\":[{\"name\":\"y\",\"value\":18}]}],"
    "\"rows\":{\"independent\":true,\"stage\":5,\"keys\":7,\"tasks\":[\"base\",\"a\"],"
    "\"outputs\":[{\"name\":\"y\",\"value\":8},{\"name\":\"trunk\",\"value\":1}]}}";

enum { kAdd, kScale, kSums, kTogether, kCheck, kTrap };
static const char *const names[] = {"add", "scale", "sums", "together", "check", "trap"};

static void sameShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = symbols[0];
  dims[1] = symbols[1];
}

static void rowShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = symbols[0];
}

static int32_t trunkRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                        const int64_t *symbols, char *arena, const int64_t *offsets) {
  const float *x = values[0].data, *bias = parameters[0], *factor = parameters[1];
  for (int64_t i = 0; i < symbols[0] * symbols[1]; ++i)
    ((float *)values[1].data)[i] = (x[i] + *bias) * *factor;
  if (host->launch || host->device_parameters || host->device_status)
    host->fail(host->context, 70, "the host's code has a device");
  return 0;
}

static float rowSum(const graft_tensor *trunk, int64_t row) {
  const float *data = trunk->data;
  float sum = 0;
  for (int64_t i = 0; i < trunk->dims[1]; ++i)
    sum += data[row * trunk->dims[1] + i];
  return sum;
}

static int32_t headRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                       const int64_t *symbols, char *arena, const int64_t *offsets) {
  for (int64_t row = 0; row < symbols[0]; ++row)
    ((float *)values[1].data)[row] = *(const float *)parameters[0] * rowSum(&values[0], row);
  return 0;
}

static void keptShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = -1;
  dims[1] = symbols[0];
}

static int32_t keptRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                       const int64_t *symbols, char *arena, const int64_t *offsets) {
  const float *trunk = values[0].data;
  float *kept = host->allocate(host->context, symbols[0] * symbols[1] * 4);
  if (!kept)
    return 1;
  if (host->launch)
    host->fail(host->context, 70, "a stage on the host has a device");
  int64_t count = 0;
  for (int64_t row = 0; row < symbols[0]; ++row) {
    float top = 0;
    for (int64_t i = row * symbols[1]; i < (row + 1) * symbols[1]; ++i) {
      if (trunk[i] > 8)
        kept[count++] = trunk[i];
      if (trunk[i] > top)
        top = trunk[i];
    }
    ((float *)values[2].data)[row] = top;
  }
  values[1].data = kept;
  values[1].dims[0] = count;
  return 0;
}

static int32_t lowRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                      const int64_t *symbols, char *arena, const int64_t *offsets) {
  for (int64_t row = 0; row < symbols[0]; ++row)
    ((float *)values[1].data)[row] = ((float *)values[0].data)[row] * *(const float *)parameters[0];
  return 0;
}

static int32_t togetherRun(const graft_host *host, const void *const *parameters,
                           graft_tensor *values, const int64_t *symbols, char *arena,
                           const int64_t *offsets) {
  const int64_t *keys = values[1].data;
  for (int64_t row = 0; row < symbols[0]; ++row)
    ((float *)values[2].data)[row] =
        *(const float *)parameters[keys[row]] * rowSum(&values[0], row);
  return 0;
}

static int32_t checkRun(const graft_host *host, const void *const *parameters, graft_tensor *values,
                        const int64_t *symbols, char *arena, const int64_t *offsets) {
  const float *trunk = values[0].data;
  for (int64_t i = 0; i < symbols[0] * symbols[1]; ++i)
    if (trunk[i] < 0)
      host->fail(host->context, 1, "trunk: expected no element below 0");
  return headRun(host, parameters, values, symbols, arena, offsets);
}

static const graft_stage_code codes[] = {
    {sameShape, trunkRun},   {rowShape, headRun},  {keptShape, keptRun}, {rowShape, lowRun},
    {rowShape, togetherRun}, {rowShape, checkRun}, {rowShape, headRun},  {rowShape, headRun},
    {rowShape, headRun},     {rowShape, headRun},  {rowShape, headRun},  {rowShape, headRun}};

// What follows runs on the host too, and enqueues the kernels.

static int64_t blocksOf(int64_t count) { return (count + 127) / 128; }

static int32_t elementwise(const graft_host *host, int64_t kernel, const void *x,
                           const void *constant, const void *out, int64_t count) {
  void *arguments[] = {&x, &constant, &out, &count};
  return host->launch(host->context, kernel, blocksOf(count), 128, 0, arguments);
}

static int32_t sums(const graft_host *host, const void *const *parameters, graft_tensor *values,
                    const int64_t *symbols, int64_t threads, int64_t sharedBytes) {
  int64_t rows = symbols[0], columns = symbols[1];
  void *arguments[] = {&values[0].data, (void *)&parameters[0], &values[1].data, &rows, &columns};
  return host->launch(host->context, kSums, (rows + threads - 1) / threads, threads, sharedBytes,
                      arguments);
}

static void trunkDeviceShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  sameShape(symbols, dims, bytes);
  bytes[0] = symbols[0] * symbols[1] * 4;
}

static int32_t trunkDevice(const graft_host *host, const void *const *parameters,
                           graft_tensor *values, const int64_t *symbols, char *arena,
                           const int64_t *offsets) {
  int64_t count = symbols[0] * symbols[1];
  char *between = arena + offsets[0];
  if (elementwise(host, kAdd, values[0].data, parameters[0], between, count))
    return 1;
  return elementwise(host, kScale, between, parameters[1], values[1].data, count);
}

static int32_t headDevice(const graft_host *host, const void *const *parameters,
                          graft_tensor *values, const int64_t *symbols, char *arena,
                          const int64_t *offsets) {
  return sums(host, parameters, values, symbols, 128, 0);
}

static int32_t lowDevice(const graft_host *host, const void *const *parameters,
                         graft_tensor *values, const int64_t *symbols, char *arena,
                         const int64_t *offsets) {
  return elementwise(host, kScale, values[0].data, parameters[0], values[1].data, symbols[0]);
}

static int32_t togetherDevice(const graft_host *host, const void *const *parameters,
                              graft_tensor *values, const int64_t *symbols, char *arena,
                              const int64_t *offsets) {
  const void *factors = host->device_parameters;
  int64_t rows = symbols[0], columns = symbols[1];
  void *arguments[] = {&values[0].data, &values[1].data, &factors,
                       &values[2].data, &rows,           &columns};
  return host->launch(host->context, kTogether, blocksOf(rows), 128, 0, arguments);
}

static int32_t enqueueCheck(const graft_host *host, const graft_tensor *x, int64_t count,
                            uint32_t message) {
  void *status = host->device_status;
  void *arguments[] = {(void *)&x->data, &count, &message, &status};
  return host->launch(host->context, kCheck, blocksOf(count), 128, 0, arguments);
}

static int32_t checkDevice(const graft_host *host, const void *const *parameters,
                           graft_tensor *values, const int64_t *symbols, char *arena,
                           const int64_t *offsets) {
  if (enqueueCheck(host, &values[0], symbols[0] * symbols[1], 1 + 1))
    return 1;
  return sums(host, parameters, values, symbols, 128, 0);
}

/// Reports what the manifest has no words for.
static int32_t unknownDevice(const graft_host *host, const void *const *parameters,
                             graft_tensor *values, const int64_t *symbols, char *arena,
                             const int64_t *offsets) {
  return enqueueCheck(host, &values[0], symbols[0] * symbols[1], 9);
}

static void misshapenShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  dims[0] = symbols[0] + 1;
}

/// More threads than a block has.
static int32_t wideDevice(const graft_host *host, const void *const *parameters,
                          graft_tensor *values, const int64_t *symbols, char *arena,
                          const int64_t *offsets) {
  return sums(host, parameters, values, symbols, 2048, 0);
}

static void hugeDeviceShape(const int64_t *symbols, int64_t *dims, int64_t *bytes) {
  rowShape(symbols, dims, bytes);
  bytes[0] = (int64_t)1 << 44;
}

static int32_t trapDevice(const graft_host *host, const void *const *parameters,
                          graft_tensor *values, const int64_t *symbols, char *arena,
                          const int64_t *offsets) {
  void *arguments[1] = {NULL};
  return host->launch(host->context, kTrap, 1, 1, 0, arguments);
}

static int32_t sharedDevice(const graft_host *host, const void *const *parameters,
                            graft_tensor *values, const int64_t *symbols, char *arena,
                            const int64_t *offsets) {
  return sums(host, parameters, values, symbols, 128, 64 << 10);
}

static const graft_stage_code deviceCodes[] = {
    {trunkDeviceShape, trunkDevice}, {rowShape, headDevice},        {NULL, NULL},
    {rowShape, lowDevice},           {rowShape, togetherDevice},    {rowShape, checkDevice},
    {rowShape, wideDevice},          {hugeDeviceShape, headDevice}, {rowShape, trapDevice},
    {rowShape, sharedDevice},        {misshapenShape, headDevice},  {rowShape, unknownDevice}};

#ifdef FAKE_NO_DEVICE
#define DEVICE NULL
#else
#define DEVICE &device
#endif
static const graft_device device __attribute__((unused)) = {
    &image, sizeof(image), names, sizeof(names) / sizeof(names[0]), deviceCodes};

static const graft_artifact artifact = {GRAFT_ARTIFACT_MAGIC,
                                        GRAFT_ARTIFACT_ABI,
                                        sizeof(manifest) - 1,
                                        manifest,
                                        weights,
                                        sizeof(weights),
                                        codes,
                                        sizeof(codes) / sizeof(codes[0]),
                                        DEVICE};

__attribute__((visibility("default"))) const graft_artifact *graft_artifact_query(uint32_t abi) {
  return abi == GRAFT_ARTIFACT_ABI ? &artifact : NULL;
}
