//===- DeviceImagesTest.cpp - Which code a device takes ---------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "DeviceSupport.h"

#include "graft/Runtime/DeviceImages.h"

using namespace graft::runtime;
using namespace graft::test;
using testing::HasSubstr;

static DeviceImage image(const std::string &kind, const std::string &architecture) {
  DeviceImage made;
  made.isPtx = kind == "ptx";
  EXPECT_TRUE(parseArchitecture(architecture, made));
  return made;
}

static std::string fitting(const std::vector<DeviceImage> &images, int64_t capability) {
  std::string text;
  for (const DeviceImage &each : fittingImages(images, capability))
    text += (text.empty() ? "" : ", ") + each.text();
  return text;
}

TEST(DeviceImagesTest, FitAsNvidiaSays) {
  const std::vector<DeviceImage> images = {image("ptx", "sm_80"),    image("cubin", "sm_80"),
                                           image("cubin", "sm_86"),  image("cubin", "sm_90"),
                                           image("cubin", "sm_90a"), image("cubin", "sm_100a"),
                                           image("cubin", "sm_100f")};
  EXPECT_EQ(fitting(images, 75), "");
  EXPECT_EQ(fitting(images, 80), "the cubin for sm_80, the PTX for sm_80");
  EXPECT_EQ(fitting(images, 86), "the cubin for sm_86, the cubin for sm_80, the PTX for sm_80");
  EXPECT_EQ(fitting(images, 89), "the cubin for sm_86, the cubin for sm_80, the PTX for sm_80");
  EXPECT_EQ(fitting(images, 87), "the PTX for sm_80") << "an embedded device";
  EXPECT_EQ(fitting(images, 90), "the cubin for sm_90a, the cubin for sm_90, the PTX for sm_80");
  EXPECT_EQ(fitting(images, 100),
            "the cubin for sm_100a, the cubin for sm_100f, the PTX for sm_80");
  EXPECT_EQ(fitting(images, 103), "the cubin for sm_100f, the PTX for sm_80");
  EXPECT_EQ(fitting(images, 120), "the PTX for sm_80");
  const std::vector<DeviceImage> texts = {image("ptx", "sm_80"), image("ptx", "sm_90"),
                                          image("ptx", "sm_90a"), image("ptx", "sm_100f")};
  EXPECT_EQ(fitting(texts, 89), "the PTX for sm_80");
  EXPECT_EQ(fitting(texts, 90), "the PTX for sm_90a, the PTX for sm_90, the PTX for sm_80");
  EXPECT_EQ(fitting(texts, 103), "the PTX for sm_100f, the PTX for sm_90, the PTX for sm_80");
  EXPECT_EQ(fitting(texts, 120), "the PTX for sm_90, the PTX for sm_80");
}

TEST(DeviceImagesTest, ParsesNames) {
  DeviceImage made;
  for (const char *bad : {"", "sm_", "sm_a", "sm_90b", "sm_90aa", "sm_9", "sm_-90", "sm_99999",
                          "compute_90", "sm_99999999999999999999"})
    EXPECT_FALSE(parseArchitecture(bad, made)) << bad;
}

TEST(DeviceImagesTest, PicksTheBestOne) {
  struct Case {
    const char *capability, *code, *call;
  };
  for (const Case &test :
       std::vector<Case>{{"90", "the cubin for sm_90a", "cuModuleLoadDataEx sm_90 -> 0"},
                         {"80", "the cubin for sm_80", "cuModuleLoadDataEx sm_80 -> 0"},
                         {"89", "the cubin for sm_86", "cuModuleLoadDataEx sm_86 -> 0"},
                         {"121", "the cubin for sm_120", "cuModuleLoadDataEx sm_120 -> 0"},
                         {"87", "the PTX for sm_70", "cuModuleLoadDataEx -> 0"},
                         {"103", "the PTX for sm_70", "cuModuleLoadDataEx -> 0"},
                         {"75", "the PTX for sm_70", "cuModuleLoadDataEx -> 0"}}) {
    Variable capability("GRAFT_MOCK_CAPABILITY", test.capability);
    DriverLog log;
    Library library = open(fixture("device-images.so"));
    DeviceRequest request;
    EXPECT_EQ(run(library, request.get())["y"].values, (Floats{30, 66}));
    EXPECT_EQ(graft_library_device(library.get()),
              std::string("Mock GPU (sm_") + test.capability + ")");
    EXPECT_STREQ(graft_library_device_code(library.get()), test.code);
    EXPECT_EQ(log.count("cuModuleLoadDataEx"), 1u) << test.capability;
    EXPECT_EQ(log.count(test.call), 1u) << test.capability;
  }
}

TEST(DeviceImagesTest, TakesTheNextOneWhereOneIsRejected) {
  for (const char *code : {"200", "209", "218", "222"}) {
    Variable fail("GRAFT_MOCK_FAIL", std::string("cuModuleLoadDataEx:1:") + code);
    Library library = open(fixture("device-images.so"));
    DeviceRequest request;
    EXPECT_EQ(run(library, request.get())["y"].values, (Floats{30, 66}));
    EXPECT_STREQ(graft_library_device(library.get()), "Mock GPU (sm_90)");
    EXPECT_STREQ(graft_library_device_code(library.get()), "the PTX for sm_70") << code;
  }
}

TEST(DeviceImagesTest, GoesOnTheCpuWhereAllAreRejected) {
  struct Case {
    const char *code, *words;
  };
  for (const Case &test : std::vector<Case>{
           {"209", "no kernel image is available for execution on the device "
                   "(CUDA_ERROR_NO_BINARY_FOR_GPU)"},
           {"218", "a PTX JIT compilation failed (CUDA_ERROR_INVALID_PTX)"},
           {"222", "the provided PTX was compiled with an unsupported toolchain. "
                   "(CUDA_ERROR_UNSUPPORTED_PTX_VERSION), which a newer driver knows"}}) {
    Variable fail("GRAFT_MOCK_FAIL", std::string("cuModuleLoadDataEx:*:") + test.code);
    DriverLog log;
    Library library = open(fixture("device-images.so"));
    DeviceRequest request;
    EXPECT_EQ(run(library, request.get())["y"].values, (Floats{30, 66}));
    EXPECT_EQ(graft_library_device(library.get()),
              "cpu: Mock GPU (sm_90): the library's code cannot be loaded: the cubin for sm_90a: " +
                  std::string(test.words) + "; the PTX for sm_70: " + test.words);
    EXPECT_EQ(graft_library_device_code(library.get()), nullptr);
    EXPECT_EQ(log.count("cuDevicePrimaryCtxRelease_v2 leaks=0"), 1u);
  }
}

TEST(DeviceImagesTest, SaysNothingOfCodeThatIsNotLoaded) {
  Library plain = open(fixture("device.so"));
  DeviceRequest request;
  run(plain, request.get());
  EXPECT_EQ(graft_library_device_code(plain.get()), nullptr) << "of one kind, and not told which";
  EXPECT_EQ(graft_library_device_code(open(fixture("fake.so")).get()), nullptr);
  EXPECT_EQ(graft_library_device_code(nullptr), nullptr);
  Variable none("GRAFT_MOCK_DEVICES", "0");
  EXPECT_EQ(graft_library_device_code(open(fixture("device-images.so")).get()), nullptr);
}

/// The library with other bytes.
static std::string patched(const std::string &from, const std::string &to) {
  static int count = 0;
  std::string bytes = readFile(fixture("device-images.so"));
  const size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  bytes.replace(at, from.size(), to);
  return writeFile("images" + std::to_string(count++) + ".so", bytes);
}

TEST(DeviceImagesTest, LeavesToTheCpuWhatIsForOtherDevices) {
  const std::string path = patched("\"arch\":\"sm_70\"", "\"arch\":\"sm_99\"");
  Variable old("GRAFT_MOCK_CAPABILITY", "75");
  DriverLog log;
  Library library = open(path);
  DeviceRequest request;
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{30, 66}));
  EXPECT_STREQ(
      graft_library_device(library.get()),
      "cpu: Mock GPU (sm_75): none of the library's code is for it: the PTX for sm_99, the "
      "cubin for sm_80, the cubin for sm_86, the cubin for sm_90a, the cubin for sm_120");
  EXPECT_EQ(log.count("cuModuleLoadDataEx"), 0u);
  ::unlink(path.c_str());
}

TEST(DeviceImagesTest, RefusesDamage) {
  struct Case {
    std::string from, to, words;
  };
  std::string header("\x7f"
                     "ELF\x02\x01\x01\x41\x08",
                     9);
  for (const Case &test : std::vector<Case>{
           {"\"arch\":\"sm_80\"", "\"arch\":\"sm_8x\"",
            "device.images[1].arch: expected a name as sm_90a, found 'sm_8x'"},
           {"\"kind\":\"ptx\"", "\"kind\":\"pty\"",
            "device.images[0].kind: expected ptx or cubin, found 'pty'"},
           {"\"offset\":16384", "\"offset\":96384",
            "device.images[1]: expected a place in 16640 bytes, found 64 at 96384"},
           {"\"offset\":16384,\"bytes\":64", "\"offset\":16384,\"bytes\":63",
            "device.images[1]: expected the cubin for sm_80, found none, or a part of one"},
           {"\"offset\":16384", "\"offset\":16380",
            "device.images[1]: expected the cubin for sm_80, found none, or a part of one"},
           {"\"offset\":0,\"bytes\":16384", "\"offset\":0,\"bytes\":16385",
            "device.images[0]: expected the PTX for sm_70, found text without an end"},
           {"\"bytes\":16384", "\"bytes\":-6384", "expected an integer from 1"},
           {header, header.substr(0, 4) + '\x01' + header.substr(5),
            "device.images[1]: expected the cubin for sm_80, found none"}}) {
    const std::string path = patched(test.from, test.to);
    EXPECT_THAT(openError(path), HasSubstr(test.words));
    ::unlink(path.c_str());
  }
  // Headers that reach beyond the end, which the driver would follow.
  std::string cubin(256, '\0');
  cubin.replace(0, header.size(), header);
  EXPECT_TRUE(isWholeCubin(cubin.data(), cubin.size()));
  cubin[0x28] = 1;  // section headers: where,
  cubin[0x3a] = 64; // how large,
  cubin[0x3c] = 4;  // how many
  EXPECT_FALSE(isWholeCubin(cubin.data(), cubin.size()));
  EXPECT_TRUE(isWholeCubin(cubin.data(), cubin.size() + 1));
  cubin[0x2f] = '\x80';
  EXPECT_FALSE(isWholeCubin(cubin.data(), cubin.size() + 1));
}
