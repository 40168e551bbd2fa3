//===- DeviceFailureTest.cpp - Devices that cannot or do not ----*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "DeviceSupport.h"

using namespace graft::test;
using testing::HasSubstr;

static constexpr const char *kDevice = "Mock GPU (sm_90)";

/// What the library says after a run that went well.
static std::string deviceAfterRun(const std::vector<std::string> &tasks = {"base"}) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  request.tasks = tasks;
  auto outputs = run(library, request.get());
  EXPECT_EQ(outputs["y"].values, (Floats{30, 66}));
  return graft_library_device(library.get());
}

TEST(DeviceFailureTest, SaysWhyThereIsNoDevice) {
  struct Case {
    const char *name, *value, *words;
  };
  for (const Case &test : std::vector<Case>{
           {"GRAFT_DEVICE", "cpu", "cpu: GRAFT_DEVICE=cpu"},
           {"GRAFT_DEVICE", "gpu",
            "cpu: GRAFT_DEVICE: expected cpu or the number of a device, found 'gpu'"},
           {"GRAFT_DEVICE", "1", "cpu: GRAFT_DEVICE=1: there is 1 device"},
           {"GRAFT_DEVICE", "0", kDevice},
           {"GRAFT_MOCK_DEVICES", "0", "cpu: there is no NVIDIA GPU"},
           {"GRAFT_MOCK_VERSION", "10020",
            "cpu: the driver is too old: expected one for CUDA 11.4 or newer, found one for CUDA "
            "10.2"},
           {"GRAFT_MOCK_CAPABILITY", "61",
            "cpu: Mock GPU (sm_61): the library needs sm_70 or newer"},
           {"GRAFT_MOCK_FAIL", "cuDriverGetVersion:1:34",
            "cpu: the driver does not start: error 34 of the driver"},
           {"GRAFT_MOCK_FAIL", "cuInit:1:999",
            "cpu: the driver does not start: error 999 of the driver"},
           {"GRAFT_MOCK_FAIL", "cuDevicePrimaryCtxRetain:1:2",
            "cpu: Mock GPU (sm_90): no context: out of memory (CUDA_ERROR_OUT_OF_MEMORY)"},
           {"GRAFT_MOCK_FAIL", "cuModuleLoadDataEx:1:222",
            "cpu: Mock GPU (sm_90): the library's code cannot be loaded: the provided PTX was "
            "compiled with an unsupported toolchain. (CUDA_ERROR_UNSUPPORTED_PTX_VERSION), which a "
            "newer driver knows"},
           {"GRAFT_MOCK_FAIL", "cuModuleGetFunction:3:500",
            "cpu: Mock GPU (sm_90): kernel 'sums': named symbol not found (CUDA_ERROR_NOT_FOUND)"},
           {"GRAFT_MOCK_FAIL", "cuMemcpyHtoD_v2:1:1",
            "cpu: Mock GPU (sm_90): the weights cannot be copied to it: invalid argument "
            "(CUDA_ERROR_INVALID_VALUE)"},
           {"GRAFT_MOCK_MEMORY", "100",
            "cpu: Mock GPU (sm_90): cannot allocate 256 bytes for the weights: out of memory "
            "(CUDA_ERROR_OUT_OF_MEMORY)"}}) {
    Variable variable(test.name, test.value);
    DriverLog log;
    EXPECT_EQ(deviceAfterRun(), test.words);
    EXPECT_EQ(log.count("cuDevicePrimaryCtxRetain -> 0"),
              log.count("cuDevicePrimaryCtxRelease_v2 leaks=0"))
        << test.value;
  }
}

TEST(DeviceFailureTest, PicksADevice) {
  Variable devices("GRAFT_MOCK_DEVICES", "3"), choice("GRAFT_DEVICE", "2");
  DriverLog log;
  EXPECT_EQ(deviceAfterRun(), kDevice);
  EXPECT_EQ(log.count("cuDeviceGet 2 -> 0"), 1u);
}

TEST(DeviceFailureTest, ShowsTheLogOfBadCode) {
  std::string bytes = readFile(fixture("device.so"));
  size_t at = bytes.find(".version 7.0");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 8, ".virsion");
  std::string path = writeFile("badcode.so", bytes);
  Library library = open(path);
  DeviceRequest request;
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{30, 66}));
  EXPECT_STREQ(graft_library_device(library.get()),
               "cpu: Mock GPU (sm_90): the library's code cannot be loaded: a PTX JIT compilation "
               "failed (CUDA_ERROR_INVALID_PTX): ptxas application ptx input, line 1; fatal : "
               "Missing .version directive");
  ::unlink(path.c_str());
}

TEST(DeviceFailureTest, GoesOnTheCpuWithoutMemory) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  request.tasks = {"huge"};
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{30, 66}));
  EXPECT_THAT(
      graft_library_device(library.get()),
      testing::MatchesRegex("cpu: Mock GPU .sm_90.: cannot allocate 1759218[0-9]* bytes for "
                            "a run, which the CPU does instead"));
  // Smaller ones do fit.
  request.tasks = {"base"};
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{30, 66}));
  EXPECT_STREQ(graft_library_device(library.get()), kDevice);
}

TEST(DeviceFailureTest, DoesWithoutPinnedMemory) {
  Variable fail("GRAFT_MOCK_FAIL", "cuMemHostAlloc:*:2");
  DriverLog log;
  EXPECT_EQ(deviceAfterRun(), kDevice);
  EXPECT_EQ(log.count("cuMemcpyDtoHAsync_v2 264 pageable"), 0u);
  EXPECT_THAT(log.text(), HasSubstr(" pageable -> 0"));
}

/// The words of a run that fails; the library goes on on the CPU.
static std::string faultOf(const char *task, const std::string &failure = "", int rounds = 1) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  request.tasks = {task};
  for (int round = 1; round < rounds; ++round)
    run(library, request.get());
  std::string words;
  {
    Variable fail("GRAFT_MOCK_FAIL", failure);
    words = runError(library, request.get(), GRAFT_ERROR_INTERNAL);
  }
  EXPECT_EQ(graft_library_device(library.get()), "cpu: " + words);
  DriverLog log;
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{30, 66}));
  EXPECT_EQ(log.text(), "");
  return words;
}

TEST(DeviceFailureTest, LeavesADeviceThatFails) {
  DriverLog log;
  EXPECT_EQ(faultOf("base", "cuLaunchKernel:2:701"),
            "Mock GPU (sm_90): kernel 'scale': too many resources requested for launch "
            "(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)");
  EXPECT_EQ(faultOf("trap"), "Mock GPU (sm_90): a run failed: unspecified launch failure "
                             "(CUDA_ERROR_LAUNCH_FAILED)");
  EXPECT_EQ(faultOf("base", "cuStreamSynchronize:1:700", 2),
            "Mock GPU (sm_90): a run failed: an illegal memory access was encountered "
            "(CUDA_ERROR_ILLEGAL_ADDRESS)");
  EXPECT_EQ(faultOf("base", "cuGraphLaunch:1:719", 3),
            "Mock GPU (sm_90): a graph of launches: unspecified launch failure "
            "(CUDA_ERROR_LAUNCH_FAILED)");
  EXPECT_THAT(faultOf("base", "cuMemcpyHtoDAsync_v2:1:1", 2),
              HasSubstr("inputs cannot be copied to it: invalid argument"));
  EXPECT_THAT(faultOf("base", "cuMemcpyDtoHAsync_v2:1:1", 2),
              HasSubstr("outputs cannot be copied from it: invalid argument"));
  EXPECT_THAT(faultOf("base", "cuStreamCreate:1:2"), HasSubstr("no stream: out of memory"));
  EXPECT_THAT(faultOf("base", "cuCtxPushCurrent_v2:1:201", 2), HasSubstr("invalid device context"));
  EXPECT_THAT(faultOf("shared", "cuFuncSetAttribute:1:1"),
              HasSubstr("kernel 'sums' with 65536 bytes of shared memory: invalid argument"));
}

TEST(DeviceFailureTest, RefusesLaunchesThatAreNone) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  request.tasks = {"base"};
  run(library, request.get());
  request.tasks = {"wide"};
  DriverLog log;
  for (int round = 0; round < 3; ++round)
    EXPECT_EQ(
        runError(library, request.get(), GRAFT_ERROR_INTERNAL),
        "kernel 'sums': 1 blocks of 2048 threads with 0 bytes of shared memory are no launch");
  EXPECT_EQ(log.count("cuStreamSynchronize"), 3u) << "what was enqueued ends before the next run";
  // The device has had no part in it.
  EXPECT_STREQ(graft_library_device(library.get()), kDevice);
}

TEST(DeviceFailureTest, FindsCodeThatContradictsItself) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  request.tasks = {"misshapen"};
  EXPECT_EQ(runError(library, request.get(), GRAFT_ERROR_INTERNAL),
            "value 17 has the shape 2 on the host and 3 on the device");
  request.tasks = {"unknown"};
  request.x[0] = -5;
  EXPECT_EQ(runError(library, request.get(), GRAFT_ERROR_INTERNAL),
            "the device's code reports check 9 of 2");
}

TEST(DeviceFailureTest, LeavesTheCallersContextAlone) {
  Library library = open(fixture("device.so"));
  DeviceRequest request;
  DriverLog log;
  run(library, request.get());
  EXPECT_EQ(log.count("cuCtxPushCurrent_v2"), log.count("cuCtxPopCurrent_v2"));
}

TEST(DeviceFailureTest, ChecksWhatIsSaidOfTheDevice) {
  EXPECT_THAT(openError(fixture("device-untold.so")),
              HasSubstr("manifest: device: the library has code for a device, the manifest has "
                        "none"));
  EXPECT_THAT(
      openError(fixture("device-missing.so")),
      HasSubstr("manifest: device: the library has no code for a device, the manifest has"));
  auto patchedError = [](const std::string &from, const std::string &to) {
    static int count = 0;
    std::string bytes = readFile(fixture("device.so"));
    size_t at = bytes.find(from);
    EXPECT_NE(at, std::string::npos);
    bytes.replace(at, from.size(), to);
    std::string path = writeFile("device" + std::to_string(count++) + ".so", bytes);
    std::string words = openError(path);
    ::unlink(path.c_str());
    return words;
  };
  EXPECT_THAT(patchedError("\"capability\":70", "\"capability\":-7"),
              HasSubstr("device.capability: expected an integer from 10 to 9999, found -7"));
  EXPECT_THAT(patchedError("\"codes\":[{\"buffers\":[[0,1]]},{\"buffers\":[]},null",
                           "\"codes\":[{\"buffers\":[[0,1]]},null,{\"buffers\":[]}"),
              HasSubstr("device.codes[1]: the library has code, the manifest has none"));
  EXPECT_THAT(patchedError("\"checks\":[", "\"chocks\":["), HasSubstr("device.checks: missing"));
}
