//===- SampleExecutor.cpp - A few kernels for the runtime's tests *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// What the kernels of test/Unit/Runtime/Fixture/DeviceKernels.h do, in C++. Nothing is read of the
/// PTX but which kernels it has.
///
//===----------------------------------------------------------------------===//

#include "Executor.h"

#include <cstring>

namespace {
/// The arguments of a launch, and what may be touched.
struct Frame {
  const DeviceLaunch &launch;
  const std::vector<DeviceAllocation> &allocations;
  std::string words;

  int64_t threads() const { return int64_t(launch.blocks[0]) * launch.threads[0]; }
  template <typename Type> Type value(size_t i) const {
    Type result;
    std::memcpy(&result, launch.arguments[i], sizeof(result));
    return result;
  }
  /// The elements at an address, or null where they are no device memory.
  template <typename Type> Type *memory(const void *address, int64_t count) {
    const char *begin = static_cast<const char *>(address);
    const uint64_t bytes = uint64_t(count) * sizeof(Type);
    for (const DeviceAllocation &allocation : allocations)
      if (begin >= allocation.begin && bytes <= allocation.bytes &&
          uint64_t(begin - allocation.begin) <= allocation.bytes - bytes)
        return static_cast<Type *>(const_cast<void *>(address));
    words = "illegal address";
    return nullptr;
  }
  template <typename Type> Type *array(size_t i, int64_t count) {
    return memory<Type>(value<const void *>(i), count);
  }
};

using Kernel = void (*)(Frame &frame);
struct KernelInfo {
  const char *name;
  std::vector<uint32_t> sizes;
  Kernel run;
};
} // namespace

template <typename Op> static void elementwise(Frame &frame, Op op) {
  const int64_t count = std::min(frame.value<int64_t>(3), frame.threads());
  const float *x = frame.array<float>(0, count), *constant = frame.array<float>(1, 1);
  float *out = frame.array<float>(2, count);
  if (!x || !constant || !out)
    return;
  for (int64_t i = 0; i < count; ++i)
    out[i] = op(x[i], *constant);
}

static float sumOf(const float *x, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += x[i];
  return sum;
}

static void sums(Frame &frame) {
  const int64_t rows = frame.value<int64_t>(3), columns = frame.value<int64_t>(4);
  const float *x = frame.array<float>(0, rows * columns), *factor = frame.array<float>(1, 1);
  float *out = frame.array<float>(2, rows);
  if (!x || !factor || !out)
    return;
  for (int64_t r = 0; r < std::min(rows, frame.threads()); ++r)
    out[r] = sumOf(x + r * columns, columns) * *factor;
}

static void together(Frame &frame) {
  const int64_t rows = frame.value<int64_t>(4), columns = frame.value<int64_t>(5);
  const float *x = frame.array<float>(0, rows * columns);
  const int64_t *keys = frame.array<int64_t>(1, rows);
  const float **factors = frame.array<const float *>(2, 2);
  float *out = frame.array<float>(3, rows);
  if (!x || !keys || !factors || !out)
    return;
  for (int64_t r = 0; r < std::min(rows, frame.threads()); ++r) {
    const float *factor = frame.memory<float>(factors[keys[r] & 1], 1);
    if (factor)
      out[r] = sumOf(x + r * columns, columns) * *factor;
  }
}

static void check(Frame &frame) {
  const int64_t count = frame.value<int64_t>(1);
  const float *x = frame.array<float>(0, count);
  uint32_t *status = frame.array<uint32_t>(3, 1);
  if (!x || !status)
    return;
  for (int64_t i = 0; i < std::min(count, frame.threads()); ++i)
    if (x[i] < 0 && *status == 0)
      *status = frame.value<uint32_t>(2);
}

static const KernelInfo kKernels[] = {
    {"add",
     {8, 8, 8, 8},
     [](Frame &frame) { elementwise(frame, [](float a, float b) { return a + b; }); }},
    {"scale",
     {8, 8, 8, 8},
     [](Frame &frame) { elementwise(frame, [](float a, float b) { return a * b; }); }},
    {"sums", {8, 8, 8, 8, 8}, sums},
    {"together", {8, 8, 8, 8, 8, 8}, together},
    {"check", {8, 8, 4, 8}, check},
    {"trap", {}, [](Frame &frame) { frame.words = "a trap"; }},
};

namespace {
class SampleExecutor final : public Executor {
public:
  std::string load(const char *image) override {
    // Machine code is not looked into.
    isOpaque = std::memcmp(image, "\177ELF", 4) == 0;
    text = isOpaque ? "" : image;
    return !isOpaque && text.compare(0, 9, ".version ") != 0
               ? "ptxas application ptx input, line 1; fatal : Missing .version directive\n"
               : "";
  }
  bool has(const char *kernel) override {
    return find(kernel) && (isOpaque || text.find(".visible .entry " + std::string(kernel) + "(") !=
                                            std::string::npos);
  }
  std::vector<uint32_t> argumentSizes(const char *kernel) override { return find(kernel)->sizes; }
  std::string run(const DeviceLaunch &launch,
                  const std::vector<DeviceAllocation> &allocations) override {
    Frame frame{launch, allocations, {}};
    find(launch.kernel)->run(frame);
    return frame.words;
  }

private:
  const KernelInfo *find(const char *name) const {
    for (const KernelInfo &kernel : kKernels)
      if (std::strcmp(kernel.name, name) == 0)
        return &kernel;
    return nullptr;
  }

  std::string text;
  bool isOpaque = false;
};
} // namespace

std::unique_ptr<Executor> createExecutor() { return std::make_unique<SampleExecutor>(); }
