//===- Kernels.h - Small kernels for the tests -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_TESTS_KERNELS_H
#define GRAFT_TEST_GPU_EMULATOR_TESTS_KERNELS_H

#include "Emulator.h"

#include "gmock/gmock.h"

#include <string>
#include <vector>

namespace graft::emulator::test {

/// A module with one kernel, `k`.
inline std::string module(const std::string &arguments, const std::string &body,
                          const std::string &globals = "") {
  return "gpu.module @m {\n" + globals + "\nllvm.func @k(" + arguments +
         ") attributes {gpu.kernel, nvvm.kernel} {\n" + body + "\nllvm.return\n}\n}\n";
}

/// A kernel of (%in, %out) with one word of each for each thread: %tid, %x, its word of %in, are
/// there; the body defines %r, an i32.
inline std::string words(const std::string &body, const std::string &globals = "") {
  return module("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", R"(
    %tid = nvvm.read.ptx.sreg.tid.x : i32
    %from = llvm.getelementptr %in[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %to = llvm.getelementptr %out[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %x = llvm.load %from : !llvm.ptr<1> -> i32
    %zero = llvm.mlir.constant(0 : i32) : i32
    %one = llvm.mlir.constant(1 : i32) : i32
    %all = llvm.mlir.constant(-1 : i32) : i32
)" + body + "\nllvm.store %r, %to : i32, !llvm.ptr<1>",
                globals);
}

inline std::string message(llvm::Error error) { return llvm::toString(std::move(error)); }

/// What is said of a program that cannot be had.
inline std::string refusal(const std::string &text) {
  auto program = Program::parse(text);
  return program ? "" : message(program.takeError());
}

/// Runs a kernel of words under one schedule; an error's words or nothing.
inline std::string runWords(Program &program, const std::vector<uint32_t> &in,
                            std::vector<uint32_t> &out, const Schedule &schedule,
                            uint32_t blocks = 1, uint32_t sharedBytes = 0) {
  out.assign(in.size(), 0xdeadbeef);
  const void *from = in.data();
  void *to = out.data(), *arguments[] = {&from, &to};
  Allocation memory[] = {{reinterpret_cast<const char *>(from), in.size() * 4},
                         {reinterpret_cast<const char *>(to), out.size() * 4}};
  Launch launch{"k", blocks, uint32_t(in.size()), sharedBytes, arguments};
  return message(program.run(launch, memory, schedule));
}

/// What a kernel of words makes of `in` under every schedule.
inline std::vector<uint32_t> wordsOf(const std::string &text, const std::vector<uint32_t> &in) {
  auto program = Program::parse(text);
  if (!program) {
    ADD_FAILURE() << message(program.takeError());
    return {};
  }
  std::vector<uint32_t> first, out;
  for (const Schedule &schedule : schedules()) {
    std::string said = runWords(**program, in, out, schedule);
    EXPECT_EQ(said, "") << schedule.name();
    if (first.empty())
      first = out;
    EXPECT_EQ(out, first) << schedule.name();
  }
  return first;
}

/// What is said when it runs; empty where no schedule brings an error.
inline std::string errorOf(const std::string &text, uint32_t threads = 64, uint32_t blocks = 1) {
  auto program = Program::parse(text);
  if (!program)
    return message(program.takeError());
  std::vector<uint32_t> in(threads), out;
  for (uint32_t i = 0; i < threads; ++i)
    in[i] = i;
  for (const Schedule &schedule : schedules()) {
    std::string said = runWords(**program, in, out, schedule, blocks, 128);
    if (!said.empty())
      return said;
  }
  return "";
}

inline std::vector<uint32_t> counted(uint32_t count) {
  std::vector<uint32_t> in(count);
  for (uint32_t i = 0; i < count; ++i)
    in[i] = i;
  return in;
}

} // namespace graft::emulator::test

#endif // GRAFT_TEST_GPU_EMULATOR_TESTS_KERNELS_H
