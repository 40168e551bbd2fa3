//===- DeviceTest.cpp - Runs on a device ------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "DeviceSupport.h"

#include <thread>

using namespace graft::test;
using testing::HasSubstr;

static constexpr const char *kDevice = "Mock GPU (sm_90)";

TEST(DeviceTest, EqualsTheCpu) {
  Library library = open(fixture("device.so"));
  for (const std::vector<std::string> &tasks :
       std::vector<std::vector<std::string>>{{"base"},
                                             {"a"},
                                             {"base", "a"},
                                             {"host"},
                                             {"after"},
                                             {"a", "host", "after"},
                                             {"check"},
                                             {"shared"}}) {
    DeviceRequest request;
    request.tasks = tasks;
    auto outputs = run(library, request.get());
    EXPECT_STREQ(graft_library_device(library.get()), kDevice);
    expectEqual(outputs, runOnCpu(request));
  }
  DeviceRequest request;
  auto outputs = run(library, request.get());
  EXPECT_EQ(outputs["y"].values, (Floats{4 * (6 + 1.5f), 4 * (15 + 1.5f)}));
  EXPECT_EQ(outputs["trunk"].values[5], 26);
}

TEST(DeviceTest, RunsEmptyAndLargeTensors) {
  Library library = open(fixture("device.so"));
  for (auto [batch, seq] : {std::pair(0, 3), std::pair(2, 0), std::pair(1000, 700)}) {
    DeviceRequest request;
    request.tasks = {"base", "after"};
    request.batch = batch;
    request.seq = seq;
    request.x.assign(size_t(batch * seq), 0);
    for (size_t i = 0; i < request.x.size(); ++i)
      request.x[i] = float(i % 17);
    expectEqual(run(library, request.get()), runOnCpu(request));
    EXPECT_STREQ(graft_library_device(library.get()), kDevice);
  }
}

TEST(DeviceTest, WritesToTheCallersMemory) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  graft_request raw = request.get();
  std::vector<float> y(2), trunk(5);
  graft_buffer buffers[2] = {GRAFT_BUFFER_INIT, GRAFT_BUFFER_INIT};
  buffers[0].name = "y";
  buffers[0].data = y.data();
  buffers[0].bytes = 8;
  buffers[1].name = "trunk";
  buffers[1].data = trunk.data();
  buffers[1].bytes = 20;
  raw.outputs = buffers;
  raw.output_count = 1;
  EXPECT_EQ(graft_run(library.get(), &raw, nullptr, nullptr), GRAFT_OK);
  EXPECT_EQ(y, (Floats{30, 66}));
  raw.output_count = 2;
  EXPECT_THAT(runError(library, raw), HasSubstr("'trunk': the shape 2x3 needs 24 bytes"));
}

TEST(DeviceTest, WaitsOnlyAtTheEnd) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  request.tasks = {"base", "a"};
  run(library, request.get());
  DriverLog log;
  request.batch = 1;
  request.seq = 6; // launches of their own
  run(library, request.get());
  EXPECT_EQ(log.count("cuStreamSynchronize"), 1u) << log.text();
  EXPECT_EQ(log.count("cuMemcpyHtoDAsync_v2"), 1u);
  EXPECT_EQ(log.count("cuMemcpyDtoHAsync_v2"), 1u);
  EXPECT_EQ(log.count("cuLaunchKernel"), 4u);
  EXPECT_THAT(log.text(), testing::Not(HasSubstr("pageable")));
  EXPECT_EQ(log.count("cuMem"), 2u) << "nothing is allocated";
  // The outputs come last, and only then the host waits.
  EXPECT_THAT(log.text(), testing::ContainsRegex("cuMemcpyDtoHAsync_v2 .*\ncuStreamSynchronize"));
}

TEST(DeviceTest, LaunchesGraphsFromTheSecondRunOn) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  const auto expected = runOnCpu(request);
  DriverLog log;
  for (int round = 0; round < 4; ++round) {
    log.clear();
    expectEqual(run(library, request.get()), expected);
    EXPECT_EQ(log.count("cuStreamBeginCapture_v2"), round == 1 ? 1u : 0u);
    EXPECT_EQ(log.count("cuLaunchKernel"), round < 2 ? 3u : 0u);
    EXPECT_EQ(log.count("cuGraphLaunch nodes=3"), round > 0 ? 1u : 0u);
    EXPECT_EQ(log.count("cuStreamSynchronize"), round == 0 ? 2u : 1u)
        << "the first one for weights";
  }
  // Other data, the same graph.
  request.x = {6, 5, 4, 3, 2, 1};
  log.clear();
  expectEqual(run(library, request.get()), runOnCpu(request));
  EXPECT_EQ(log.count("cuLaunchKernel"), 0u);
  // Memory that grows moves: graphs of the old one are of no use.
  DeviceRequest large;
  large.batch = 1000;
  large.seq = 1000;
  large.x.assign(1000000, 1);
  run(library, large.get());
  EXPECT_EQ(log.count("cuGraphExecDestroy"), 1u);
  log.clear();
  expectEqual(run(library, request.get()), runOnCpu(request));
  EXPECT_EQ(log.count("cuLaunchKernel"), 3u);
  EXPECT_EQ(log.count("cuGraphLaunch"), 0u);
}

TEST(DeviceTest, KeepsAFewGraphs) {
  Library library = open(fixture("device.so"));
  DriverLog log;
  for (int round = 0; round < 2; ++round)
    for (int64_t rows = 1; rows <= 18; ++rows)
      for (int again = 0; again < 2; ++again) {
        DeviceRequest request;
        request.batch = rows;
        request.seq = 1;
        request.x.assign(size_t(rows), float(rows));
        EXPECT_EQ(run(library, request.get())["trunk"].values[0], 4 * (float(rows) + 0.5f));
      }
  EXPECT_EQ(log.count("cuGraphInstantiate"), 36u);
  EXPECT_EQ(log.count("cuGraphExecDestroy"), 20u);
}

TEST(DeviceTest, LaunchesPlainlyWhereCaptureFails) {
  for (const char *failure : {"cuStreamBeginCapture_v2:*:900", "cuStreamEndCapture:*:901",
                              "cuGraphInstantiateWithFlags:*:801", "cuLaunchKernel:5:900"}) {
    Library library = open(fixture("device.so"));
    DeviceRequest request;
    const auto expected = runOnCpu(request);
    Variable fail("GRAFT_MOCK_FAIL", failure);
    DriverLog log;
    for (int round = 0; round < 4; ++round)
      expectEqual(run(library, request.get()), expected);
    EXPECT_EQ(log.count("cuGraphLaunch"), 0u) << failure;
    EXPECT_EQ(log.count("cuStreamBeginCapture_v2"), 1u) << "not again for the same launches";
    EXPECT_STREQ(graft_library_device(library.get()), kDevice);
  }
}

TEST(DeviceTest, ReportsWhatIsWrongWithTheData) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  request.tasks = {"check"};
  const std::vector<float> good = request.x;
  for (int round = 0; round < 3; ++round) { // plain, captured, replayed
    request.x = good;
    run(library, request.get());
    request.x[4] = -3;
    EXPECT_EQ(runError(library, request.get()), "trunk: expected no element below 0");
    EXPECT_STREQ(graft_library_device(library.get()), kDevice);
  }
}

TEST(DeviceTest, RunsRowTasks) {
  Library library = open(fixture("device.so"));
  for (const std::vector<std::string> &tasks :
       std::vector<std::vector<std::string>>{{"base", "a", "base", "a"},
                                             {"a", "a", "base", "base"},
                                             {"a", "a", "a", "a"},
                                             {"host", "a", "base", "host"},
                                             {"after", "check", "after", "a"}}) {
    DeviceRequest request;
    request.rows = true;
    request.tasks = tasks;
    request.batch = 4;
    request.x = {1, 1, 2, 1, 3, 3, 2, 1, 4, 2, 9, 1};
    for (int round = 0; round < 3; ++round)
      expectEqual(run(library, request.get()), runOnCpu(request));
    EXPECT_STREQ(graft_library_device(library.get()), kDevice);
  }
}

TEST(DeviceTest, LeavesRoutesToTheCpu) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  graft_request raw = request.get();
  raw.on_route = [](void *, const graft_route *) -> int32_t { return 0; };
  EXPECT_EQ(run(library, raw)["y"].values, (Floats{30, 66}));
  EXPECT_STREQ(graft_library_device(library.get()), "cpu: the run shows routes or is given some");
  run(library, request.get());
  EXPECT_STREQ(graft_library_device(library.get()), kDevice);
}

TEST(DeviceTest, LeavesToTheCpuWhatOnlyDataTells) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  request.tasks = {"late"};
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{20, 28}));
  EXPECT_STREQ(graft_library_device(library.get()),
               "cpu: stage 11 reads a value whose size only a stage on the host tells");
  request.tasks = {"plain"};
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{3, 6}));
  EXPECT_STREQ(graft_library_device(library.get()),
               "cpu: none of the run's stages has code for a device");
  // With others some of it is on the device.
  request.tasks = {"plain", "a"};
  auto outputs = run(library, request.get());
  EXPECT_EQ(outputs["plain.y"].values, (Floats{3, 6}));
  EXPECT_EQ(outputs["a.y"].values, (Floats{60, 132}));
  EXPECT_STREQ(graft_library_device(library.get()), kDevice);
}

TEST(DeviceTest, ServesManyThreads) {
  DriverLog log;
  {
    Library library = open(fixture("device.so"));
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int round = 0; round < 60; ++round) {
          DeviceRequest request;
          request.batch = 1 + (round / 3 + t) % 3;
          request.seq = 1 + round % 2;
          request.x.assign(size_t(request.batch * request.seq), float(t));
          const float trunk = 4 * (float(t) + 0.5f);
          request.tasks = {round % 5 == 0 ? "after" : "a"};
          auto outputs = run(library, request.get());
          if (round % 5 == 0)
            ASSERT_EQ(outputs["low"].values, Floats(size_t(request.batch), 2 * trunk));
          else
            ASSERT_EQ(outputs["y"].values,
                      Floats(size_t(request.batch), 2 * trunk * float(request.seq)));
        }
      });
    for (std::thread &thread : threads)
      thread.join();
    EXPECT_STREQ(graft_library_device(library.get()), kDevice);
    EXPECT_EQ(log.count("cuModuleLoadDataEx"), 1u);
  }
  EXPECT_EQ(log.count("cuDevicePrimaryCtxRelease_v2 leaks=0"), 1u) << "all was given back";
}

TEST(DeviceTest, ListsKernels) {
  Library library = open(fixture("device.so"));
  ASSERT_EQ(graft_kernel_count(library.get()), 6u);
  EXPECT_STREQ(graft_kernel_name(library.get(), 3), "together");
  EXPECT_EQ(graft_kernel_name(library.get(), 6), nullptr);
  Library plain = open(fixture("fake.so"));
  EXPECT_EQ(graft_library_device(plain.get()), nullptr);
  EXPECT_EQ(graft_kernel_count(plain.get()), 0u);
  EXPECT_EQ(graft_library_device(nullptr), nullptr);
}
