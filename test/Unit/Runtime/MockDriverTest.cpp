//===- MockDriverTest.cpp - The mock driver is as strict as the real one *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "DeviceSupport.h"

#include "graft/Runtime/CudaDriver.h"

#include "Fixture/DeviceKernels.h"

#include <thread>

using namespace graft::runtime::cuda;
using graft::test::DriverLog;
using graft::test::Variable;

namespace {
/// A context, a stream, and the kernels of the fixture.
struct MockDriverTest : testing::Test {
  std::string reason;
  const Driver &driver = *Driver::get(reason);
  Device device = 0;
  Context context = nullptr;
  Stream stream = nullptr;
  Module module = nullptr;
  Function scale = nullptr;
  Address memory = 0, factor = 0;

  void SetUp() override {
    ASSERT_EQ(driver.init(0), 0);
    ASSERT_EQ(driver.primaryRetain(&context, device), 0);
    ASSERT_EQ(driver.pushCurrent(context), 0);
    ASSERT_EQ(driver.streamCreate(&stream, kStreamNonBlocking), 0);
    ASSERT_EQ(driver.moduleLoad(&module, kernels, 0, nullptr, nullptr), 0);
    ASSERT_EQ(driver.moduleGetFunction(&scale, module, "scale"), 0);
    ASSERT_EQ(driver.memAlloc(&memory, 64), 0);
    ASSERT_EQ(driver.memAlloc(&factor, 4), 0);
    const float two = 2;
    ASSERT_EQ(driver.copyToDeviceAsync(factor, &two, 4, stream), 0);
    set({1, 2});
  }
  void TearDown() override {
    driver.popCurrent(&context);
    driver.primaryRelease(device);
  }

  void set(std::vector<float> values) {
    ASSERT_EQ(driver.copyToDeviceAsync(memory, values.data(), values.size() * 4, stream), 0);
  }
  std::vector<float> get() {
    std::vector<float> values(2);
    EXPECT_EQ(driver.copyToHostAsync(values.data(), memory, 8, stream), 0);
    return values;
  }
  /// Twice the elements, in place.
  Result launch(unsigned blocks = 1, unsigned threads = 32, unsigned sharedBytes = 0) {
    int64_t count = 2;
    void *arguments[] = {&memory, &factor, &memory, &count};
    Result result = driver.launchKernel(scale, blocks, 1, 1, threads, 1, 1, sharedBytes, stream,
                                        arguments, nullptr);
    count = 0; // what was given counts, not what is there when it runs
    return result;
  }
};
} // namespace

TEST_F(MockDriverTest, RunsWhenTheHostWaits) {
  void *host = nullptr;
  ASSERT_EQ(driver.memHostAlloc(&host, 8, 0), 0);
  float *values = static_cast<float *>(host);
  values[0] = values[1] = 0;
  ASSERT_EQ(launch(), 0);
  ASSERT_EQ(driver.copyToHostAsync(host, memory, 8, stream), 0);
  EXPECT_EQ(values[1], 0);
  ASSERT_EQ(driver.streamSynchronize(stream), 0);
  EXPECT_EQ(values[1], 4);
  // Pinned memory is read when the copy is done.
  values[1] = 7;
  ASSERT_EQ(driver.copyToDeviceAsync(memory, host, 8, stream), 0);
  values[1] = 8;
  EXPECT_EQ(get()[1], 8);
  EXPECT_EQ(driver.memFreeHost(host), 0);
  EXPECT_EQ(driver.memFreeHost(host), 1);
}

TEST_F(MockDriverTest, ReplaysWhatItCaptured) {
  Graph graph = nullptr;
  GraphExec exec = nullptr;
  ASSERT_EQ(driver.streamBeginCapture(stream, kCaptureThreadLocal), 0);
  ASSERT_EQ(launch(), 0);
  ASSERT_EQ(launch(), 0);
  ASSERT_EQ(driver.streamEndCapture(stream, &graph), 0);
  EXPECT_EQ(get(), (std::vector<float>{1, 2})) << "a capture runs nothing";
  ASSERT_EQ(driver.graphInstantiate(&exec, graph, 0), 0);
  ASSERT_EQ(driver.graphDestroy(graph), 0);
  ASSERT_EQ(driver.graphLaunch(exec, stream), 0);
  ASSERT_EQ(driver.graphLaunch(exec, stream), 0);
  EXPECT_EQ(get(), (std::vector<float>{16, 32}));
  ASSERT_EQ(driver.graphExecDestroy(exec), 0);
  EXPECT_EQ(driver.graphLaunch(exec, stream), 400);
}

TEST_F(MockDriverTest, RefusesInACaptureWhatItCannotHave) {
  Graph graph = nullptr;
  for (int what = 0; what < 3; ++what) {
    ASSERT_EQ(driver.streamBeginCapture(stream, kCaptureThreadLocal), 0);
    Address fresh = 0;
    if (what == 0)
      EXPECT_EQ(driver.streamSynchronize(stream), 900);
    else if (what == 1)
      EXPECT_EQ(driver.memAlloc(&fresh, 64), 900);
    else
      EXPECT_EQ(launch(1, 2048), 1);
    EXPECT_EQ(driver.streamEndCapture(stream, &graph), 901);
    EXPECT_EQ(graph, nullptr);
  }
  EXPECT_EQ(driver.streamEndCapture(stream, &graph), 1);
  // Others may allocate meanwhile.
  ASSERT_EQ(driver.streamBeginCapture(stream, kCaptureThreadLocal), 0);
  std::thread([&] {
    ASSERT_EQ(driver.pushCurrent(context), 0);
    Address fresh = 0;
    EXPECT_EQ(driver.memAlloc(&fresh, 64), 0);
  }).join();
  EXPECT_EQ(driver.streamEndCapture(stream, &graph), 0);
  driver.graphDestroy(graph);
}

TEST_F(MockDriverTest, GivesTheErrorsOfTheRealOne) {
  EXPECT_EQ(launch(0), 1);
  EXPECT_EQ(launch(1, 2048), 1);
  EXPECT_EQ(launch(1, 32, 49 << 10), 1);
  EXPECT_EQ(driver.funcSetAttribute(scale, kMaxDynamicSharedBytes, 300 << 10), 1);
  EXPECT_EQ(driver.funcSetAttribute(scale, kMaxDynamicSharedBytes, 64 << 10), 0);
  EXPECT_EQ(launch(1, 32, 49 << 10), 0);
  float value = 0;
  EXPECT_EQ(driver.copyToDevice(memory + 61, &value, 4), 1);
  EXPECT_EQ(driver.copyToHostAsync(&value, 16, 4, stream), 1);
  Address fresh = 0;
  EXPECT_EQ(driver.memAlloc(&fresh, 0), 1);
  EXPECT_EQ(driver.memAlloc(&fresh, size_t(1) << 40), 2);
  EXPECT_EQ(driver.memFree(memory + 4), 1);
  Function none = nullptr;
  EXPECT_EQ(driver.moduleGetFunction(&none, module, "nothing"), 500);
  std::string log(200, '\0');
  int options[] = {kJitErrorLog, kJitErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  Module bad = nullptr;
  EXPECT_EQ(driver.moduleLoad(&bad, ".verzion 7", 2, options, values), 218);
  EXPECT_EQ(log.substr(0, 17), "ptxas application");
  Context popped = nullptr;
  ASSERT_EQ(driver.popCurrent(&popped), 0);
  EXPECT_EQ(driver.memAlloc(&fresh, 64), 201);
  EXPECT_EQ(driver.popCurrent(&popped), 201);
  ASSERT_EQ(driver.pushCurrent(context), 0);
}

TEST_F(MockDriverTest, KeepsAFault) {
  Function trap = nullptr;
  ASSERT_EQ(driver.moduleGetFunction(&trap, module, "trap"), 0);
  ASSERT_EQ(driver.launchKernel(trap, 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr), 0);
  EXPECT_EQ(driver.streamSynchronize(stream), 719);
  Address fresh = 0;
  EXPECT_EQ(driver.memAlloc(&fresh, 64), 719);
  EXPECT_EQ(launch(), 719);
}

TEST_F(MockDriverTest, FindsAccessesOfTheHostAndBadOnesOfKernels) {
  EXPECT_DEATH(*reinterpret_cast<volatile float *>(memory) = 1, "");
  ASSERT_EQ(driver.streamSynchronize(stream), 0);
  EXPECT_DEATH(*reinterpret_cast<volatile float *>(memory) = 1, "");
  memory += 60; // of which only one element is there
  ASSERT_EQ(launch(), 0);
  EXPECT_EQ(driver.streamSynchronize(stream), 700);
}

TEST_F(MockDriverTest, FailsAsItIsTold) {
  DriverLog log;
  Variable fail("GRAFT_MOCK_FAIL", "cuMemAlloc_v2:2:2,cuLaunchKernel:*:701");
  Address fresh = 0;
  EXPECT_EQ(driver.memAlloc(&fresh, 64), 0);
  EXPECT_EQ(driver.memAlloc(&fresh, 64), 2);
  EXPECT_EQ(driver.memAlloc(&fresh, 64), 0);
  EXPECT_EQ(launch(), 701);
  EXPECT_EQ(launch(), 701);
  EXPECT_EQ(log.text(), "cuMemAlloc_v2 64 -> 0\ncuMemAlloc_v2 injected -> 2\n"
                        "cuMemAlloc_v2 64 -> 0\ncuLaunchKernel injected -> 701\n"
                        "cuLaunchKernel injected -> 701\n");
}
