//===- CpuFeaturesTest.cpp - What this processor can do ---------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/CpuFeatures.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

using namespace graft::runtime;

TEST(CpuFeaturesTest, AgreesWithTheKernel) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  std::set<std::string> flags;
  while (flags.empty() && std::getline(file, line)) {
    if (line.compare(0, 5, "flags") != 0)
      continue;
    for (size_t at = line.find(':') + 1; at < line.size();) {
      size_t begin = line.find_first_not_of(" ", at);
      at = std::min(line.find(' ', begin), line.size());
      flags.insert(line.substr(begin, at - begin));
    }
  }
  ASSERT_FALSE(flags.empty());
  // By the names of LLVM and of the kernel.
  static constexpr const char *kNames[][2] = {{"sse2", "sse2"},
                                              {"avx", "avx"},
                                              {"avx2", "avx2"},
                                              {"fma", "fma"},
                                              {"f16c", "f16c"},
                                              {"bmi", "bmi1"},
                                              {"bmi2", "bmi2"},
                                              {"lzcnt", "abm"},
                                              {"movbe", "movbe"},
                                              {"avx512f", "avx512f"},
                                              {"avx512bw", "avx512bw"},
                                              {"avx512vl", "avx512vl"},
                                              {"avx512dq", "avx512dq"},
                                              {"avx512cd", "avx512cd"},
                                              {"avx512vnni", "avx512_vnni"},
                                              {"avx512bf16", "avx512_bf16"},
                                              {"popcnt", "popcnt"},
                                              {"amx-tile", "amx_tile"}};
  for (const auto &[ours, kernels] : kNames)
    EXPECT_EQ(cpuFeature(ours), flags.count(kernels) ? CpuFeature::Present : CpuFeature::Missing)
        << ours;
}

TEST(CpuFeaturesTest, NamesWhatIsMissing) {
  EXPECT_FALSE(checkCpu("generic", {"sse2", "64bit"}).failed());
  EXPECT_EQ(cpuFeature("holographic"), CpuFeature::Unknown);
  Status status = checkCpu("future", {"sse2", "holographic", "quantum"});
  EXPECT_EQ(status.code(), GRAFT_ERROR_UNSUPPORTED);
  EXPECT_EQ(status.message(), "cpu: the library was compiled for 'future'; this runtime does not "
                              "know holographic quantum");
}

TEST(CpuFeaturesTest, KnowsWhatTheCompilerAsksFor) {
  for (const char *name :
       {"avx",        "avx2",       "bmi",      "bmi2",           "cx16",       "f16c",
        "fma",        "lzcnt",      "movbe",    "popcnt",         "sahf",       "sse3",
        "sse4.1",     "sse4.2",     "ssse3",    "xsave",          "cx8",        "cmov",
        "fxsr",       "mmx",        "sse",      "sse2",           "avx512bw",   "avx512cd",
        "avx512dq",   "avx512f",    "avx512vl", "avx512bf16",     "avx512fp16", "avx512bitalg",
        "avx512ifma", "avx512vbmi", "gfni",     "avxvnni",        "avx512vnni", "avx512vbmi2",
        "amx-tile",   "amx-bf16",   "64bit",    "avx512vpopcntdq"})
    EXPECT_NE(cpuFeature(name), CpuFeature::Unknown) << name;
}
