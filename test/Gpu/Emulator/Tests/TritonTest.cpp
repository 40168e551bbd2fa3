//===- TritonTest.cpp - Kernels of another compiler -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"
#include "Kernels.h"

#include "llvm/Support/MemoryBuffer.h"

#include <cstring>

using namespace graft::emulator;
using namespace graft::emulator::test;

// What Triton has compiled uses ldmatrix, mma.sync and cp.async as the hardware has them: that it
// computes a product here tells that the layouts of the emulator are not merely consistent with
// themselves.
// What is said of such a kernel, if anything.
static std::string outcome(const std::string &text, Element type) {
  auto program = Program::parse(text);
  if (!program)
    return message(program.takeError());
  EXPECT_THAT((*program)->argumentSizes("matmul"), testing::ElementsAre(8, 8, 8, 4, 4, 8, 8));
  uint32_t m = 43, k = 160, n = 32, bytes = type == Element::TF32 ? 4 : 2;
  std::vector<float> a(m * k), b(n * k), c(m * n), wanted(m * n);
  uint32_t seed = 5;
  auto fill = [&](std::vector<float> &values) {
    // Sums of products are exact.
    for (float &value : values)
      value = float(int((seed = seed * 1664525 + 1013904223) >> 28) - 8) / 4;
    std::vector<char> packed(values.size() * bytes);
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t small = type == Element::F16 ? encodeF16(values[i]) : encodeBF16(values[i]);
      if (bytes == 4)
        memcpy(&packed[4 * i], &values[i], 4);
      else
        memcpy(&packed[2 * i], &small, 2);
    }
    return packed;
  };
  std::vector<char> packedA = fill(a), packedB = fill(b);
  for (uint32_t i = 0; i < m; ++i)
    for (uint32_t j = 0; j < n; ++j)
      for (uint32_t l = 0; l < k; ++l)
        wanted[i * n + j] += a[i * k + l] * b[j * k + l];
  void *pa = packedA.data(), *pb = packedB.data(), *pc = c.data(), *none = nullptr;
  void *arguments[] = {&pa, &pb, &pc, &m, &k, &none, &none};
  Allocation memory[] = {{packedA.data(), packedA.size()},
                         {packedB.data(), packedB.size()},
                         {(const char *)pc, c.size() * 4}};
  for (const Schedule &schedule : schedules()) {
    std::fill(c.begin(), c.end(), -1);
    Launch launch{"matmul", (m + 31) / 32, 128, 8192 * bytes / 2, arguments};
    std::string said = message((*program)->run(launch, memory, schedule));
    if (!said.empty())
      return said;
    if (c != wanted)
      return "wrong with " + schedule.name();
  }
  return "";
}

static std::string read(const std::string &name) {
  auto file = llvm::MemoryBuffer::getFile(FIXTURES "/triton-matmul-" + name + ".ll");
  return file ? (*file)->getBuffer().str() : "";
}

TEST(Triton, F16) { EXPECT_EQ(outcome(read("f16"), Element::F16), ""); }
TEST(Triton, BF16) { EXPECT_EQ(outcome(read("bf16"), Element::BF16), ""); }
TEST(Triton, TF32) { EXPECT_EQ(outcome(read("tf32"), Element::TF32), ""); }

TEST(Triton, MutantsAreCaught) {
  std::string text = read("f16");
  auto mutant = [&](llvm::StringRef from, llvm::StringRef to, size_t after = 0) {
    std::string changed = text;
    size_t at = changed.find(from, after);
    EXPECT_NE(at, std::string::npos);
    return outcome(changed.replace(at, from.size(), to), Element::F16);
  };
  llvm::StringRef barrier = "tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)";
  EXPECT_THAT(mutant(barrier, ""), testing::HasSubstr("a race: "));
  EXPECT_THAT(mutant("{ $8, $9, $10, $11 }", "{ $8, $10, $9, $11 }"),
              testing::HasSubstr("wrong with"));
  llvm::StringRef wait = "tail call void @llvm.nvvm.cp.async.wait.group(i32 2)";
  EXPECT_THAT(mutant(wait, ""), testing::HasSubstr("has not been waited for"));
  auto program = Program::load(FIXTURES "/triton-matmul-f16.ll");
  EXPECT_TRUE(bool(program)) << message(program.takeError());
}
