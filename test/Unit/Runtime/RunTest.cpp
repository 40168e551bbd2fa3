//===- RunTest.cpp - Running tasks through the C interface ------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "TestSupport.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <new>

using namespace graft::test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

namespace {
struct RunTest : testing::Test {
  Library library = open(fixture("fake.so"));
  Request request;
};
} // namespace

TEST_F(RunTest, ComputesATask) {
  auto outputs = run(library, request.get());
  EXPECT_EQ(outputs["y"].dims, (Dims{2}));
  EXPECT_EQ(outputs["y"].values, (Floats{7.5f, 16.5f}));
  EXPECT_EQ(outputs["trunk"].dims, (Dims{2, 3}));
  EXPECT_EQ(outputs["trunk"].values, (Floats{1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f}));
  request.tasks = {"a"};
  outputs = run(library, request.get());
  EXPECT_EQ(outputs["y"].values, (Floats{15, 33}));
}

TEST_F(RunTest, NormalisesBools) {
  request.mask = {0, 2, 255, 0, 0, 7};
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{6.5f, 7.5f}));
  request.tasks = {"echo"};
  EXPECT_EQ(run(library, request.get())["mask"].values, (Floats{0, 1, 1, 0, 0, 1}));
  EXPECT_EQ(request.mask[1], 2) << "the caller's input was written to";
}

TEST_F(RunTest, GivesOutputsWhoseSizeDependsOnData) {
  request.tasks = {"b"};
  request.x = {1, 0, 3, 0, 0, 6};
  auto outputs = run(library, request.get());
  EXPECT_EQ(outputs["y"].dims, (Dims{2, 2}));
  EXPECT_EQ(outputs["kept"].dims, (Dims{3}));
  EXPECT_EQ(outputs["kept"].values, (Floats{0, 2, 5}));
  request.x.assign(6, 0);
  EXPECT_EQ(run(library, request.get())["kept"].dims, (Dims{0}));
}

TEST_F(RunTest, SharesStagesBetweenTasks) {
  Request count;
  count.tasks = {"count"};
  float before = run(library, count.get())["runs"].values[0];
  request.tasks = {"b", "base", "a"};
  auto outputs = run(library, request.get());
  EXPECT_EQ(run(library, count.get())["runs"].values[0], before + 1);
  EXPECT_EQ(outputs.size(), 5u);
  EXPECT_EQ(outputs["base.y"].values, (Floats{7.5f, 16.5f}));
  EXPECT_EQ(outputs["a.y"].values, (Floats{15, 33}));
  EXPECT_EQ(outputs["b.y"].values, (Floats{75, 150, 165, 330}));
  EXPECT_EQ(outputs["b.kept"].dims, (Dims{6}));
  EXPECT_EQ(outputs["base.trunk"].values[5], 6.5f);
}

TEST_F(RunTest, FollowsShapes) {
  for (int64_t batch : {0, 1, 5}) {
    for (int64_t seq : {1, 4, 33}) {
      request.batch = batch;
      request.seq = seq;
      request.x.assign(size_t(batch * seq), 1);
      request.mask.assign(size_t(batch * seq), 1);
      request.threads = int32_t(seq);
      auto outputs = run(library, request.get());
      EXPECT_EQ(outputs["trunk"].dims, (Dims{batch, seq}));
      EXPECT_EQ(outputs["y"].values, Floats(size_t(batch), 1.5f * float(seq)));
    }
  }
}

TEST_F(RunTest, WritesToTheCallersBuffers) {
  float y[2] = {}, trunk[6] = {};
  graft_buffer outputs[2] = {GRAFT_BUFFER_INIT, GRAFT_BUFFER_INIT};
  outputs[0].name = "trunk";
  outputs[0].data = trunk;
  outputs[0].bytes = sizeof(trunk);
  outputs[1].name = "y";
  outputs[1].data = y;
  outputs[1].bytes = sizeof(y);
  graft_request wanted = request.get();
  wanted.outputs = outputs;
  wanted.output_count = 2;
  graft_error error = GRAFT_ERROR_INIT;
  ASSERT_EQ(graft_run(library.get(), &wanted, nullptr, &error), GRAFT_OK) << error.message;
  EXPECT_THAT(y, ElementsAre(7.5f, 16.5f));
  EXPECT_EQ(trunk[5], 6.5f);
  EXPECT_EQ(outputs[0].type, GRAFT_F32);
  EXPECT_EQ(outputs[0].rank, 2);
  EXPECT_EQ(outputs[0].dims[1], 3);

  // The result lists them too, and what the caller did not name.
  wanted.output_count = 1;
  graft_result *result = nullptr;
  ASSERT_EQ(graft_run(library.get(), &wanted, &result, &error), GRAFT_OK) << error.message;
  auto all = copyOutputs(result);
  EXPECT_EQ(all["trunk"].values[5], 6.5f);
  EXPECT_EQ(all["y"].values[1], 16.5f);
  graft_result_free(result);

  // Without data the result owns it.
  outputs[0].data = nullptr;
  ASSERT_EQ(graft_run(library.get(), &wanted, &result, &error), GRAFT_OK) << error.message;
  ASSERT_NE(outputs[0].data, nullptr);
  EXPECT_EQ(outputs[0].bytes, 24u);
  EXPECT_EQ(static_cast<float *>(outputs[0].data)[5], 6.5f);
  graft_result_free(result);
}

TEST_F(RunTest, CopiesDataDependentOutputsToTheCaller) {
  request.tasks = {"b"};
  int64_t kept[6] = {};
  graft_buffer output = GRAFT_BUFFER_INIT;
  output.name = "kept";
  output.data = kept;
  output.bytes = sizeof(kept);
  graft_request wanted = request.get();
  wanted.outputs = &output;
  wanted.output_count = 1;
  ASSERT_EQ(graft_run(library.get(), &wanted, nullptr, nullptr), GRAFT_OK);
  EXPECT_EQ(output.dims[0], 6);
  EXPECT_EQ(kept[5], 5);
  output.bytes = 40;
  EXPECT_THAT(runError(library, wanted),
              HasSubstr("output 'kept': the shape 6 needs 48 bytes, the buffer has 40"));
}

TEST_F(RunTest, KeepsResultsAfterTheLibraryIsClosed) {
  graft_request wanted = request.get();
  graft_result *result = nullptr;
  ASSERT_EQ(graft_run(library.get(), &wanted, &result, nullptr), GRAFT_OK);
  library.reset();
  EXPECT_THAT(copyOutputs(result)["y"].values, ElementsAre(7.5f, 16.5f));
  graft_result_free(result);
}

TEST_F(RunTest, TellsShapesBeforehand) {
  request.tasks = {"b", "base"};
  request.batch = 7;
  graft_request wanted = request.get();
  for (graft_buffer &input : request.inputs)
    input.data = nullptr;
  graft_result *result = nullptr;
  graft_error error = GRAFT_ERROR_INIT;
  ASSERT_EQ(graft_query_outputs(library.get(), &wanted, &result, &error), GRAFT_OK)
      << error.message;
  auto outputs = copyOutputs(result);
  EXPECT_EQ(outputs["b.y"].dims, (Dims{7, 2}));
  EXPECT_EQ(outputs["b.kept"].dims, (Dims{-1}));
  EXPECT_EQ(outputs["base.trunk"].dims, (Dims{7, 3}));
  graft_buffer buffer = GRAFT_BUFFER_INIT;
  ASSERT_EQ(graft_result_get(result, 0, &buffer, nullptr), GRAFT_OK);
  EXPECT_EQ(buffer.bytes, 56u);
  EXPECT_EQ(buffer.data, nullptr);
  graft_result_free(result);
}

TEST_F(RunTest, ReportsFailuresOfTheCode) {
  request.tasks = {"fail"};
  EXPECT_EQ(runError(library, request.get()), "gather: index 7 is out of range");
  request.tasks = {"silent"};
  EXPECT_THAT(runError(library, request.get(), GRAFT_ERROR_INTERNAL), HasSubstr("ended with 5"));
  request.tasks = {"huge"};
  EXPECT_THAT(runError(library, request.get(), GRAFT_ERROR_MEMORY), HasSubstr("cannot allocate"));
  request.tasks = {"hungry"};
  EXPECT_THAT(runError(library, request.get(), GRAFT_ERROR_MEMORY),
              HasSubstr("cannot allocate 1152921504606846976 bytes"));
  request.tasks = {"base", "fail"};
  EXPECT_THAT(runError(library, request.get()), HasSubstr("index 7"));
  // And is as usable as before.
  request.tasks = {"base"};
  EXPECT_EQ(run(library, request.get())["y"].values, (Floats{7.5f, 16.5f}));
}

TEST_F(RunTest, RefusesBadInputs) {
  auto refused = [&](auto change) {
    Request bad;
    bad.get();
    change(bad);
    return runError(library, bad.raw());
  };
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].name = "z"; }),
            "there is no input 'z'; there are x, mask");
  EXPECT_EQ(refused([](Request &r) { r.inputs[1] = r.inputs[0]; }), "input 'x' is given twice");
  EXPECT_EQ(refused([](Request &r) { r.inputs.pop_back(); }), "input 'mask' is missing");
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].type = GRAFT_F64; }),
            "input 'x': expected the type f32, found f64");
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].type = 99; }),
            "input 'x': expected the type f32, found 99");
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].rank = 1; }),
            "input 'x': expected the shape batchxseq, found 2");
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].rank = 99; }),
            "input 'x': expected the shape batchxseq, found rank 99");
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].dims[1] = -3; }),
            "input 'x': a negative or too large dimension in 2x?");
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].dims[1] = int64_t(1) << 62; }),
            "input 'x': a negative or too large dimension in 2x4611686018427387904");
  EXPECT_THAT(refused([](Request &r) {
                r.inputs[0].dims[0] = 0;
                r.inputs[0].dims[1] = int64_t(1) << 40;
              }),
              HasSubstr("dimension 1 is too large"));
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].bytes = 23; }),
            "input 'x': the shape 2x3 needs 24 bytes, the buffer has 23");
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].data = nullptr; }), "input 'x': there is no data");
  EXPECT_EQ(
      refused([](Request &r) { r.inputs[0].data = static_cast<char *>(r.inputs[0].data) + 2; }),
      "input 'x': the data is not aligned to its elements");
  EXPECT_EQ(refused([](Request &r) { r.inputs[1].dims[1] = 2; }),
            "input 'mask': dimension 1 ('seq') is 2, but another input has 3");
  EXPECT_EQ(refused([](Request &r) { r.inputs[0].struct_size = 4; }),
            "the struct_size of a buffer is too small");
  EXPECT_EQ(refused([](Request &r) { r.names[0] = "zz"; }),
            "there is no task 'zz'; there are base, a, b, fail, silent, huge, hungry, echo, count");
  EXPECT_EQ(refused([](Request &r) { r.names.clear(); }), "no task is named");
  EXPECT_EQ(refused([](Request &r) { r.names.push_back("base"); }), "task 'base' is named twice");
  EXPECT_EQ(refused([](Request &r) { r.threads = -1; }), "expected 0 to 4096 threads, found -1");
}

TEST_F(RunTest, RefusesBadOutputs) {
  float memory[8];
  graft_buffer outputs[2] = {GRAFT_BUFFER_INIT, GRAFT_BUFFER_INIT};
  outputs[0].name = outputs[1].name = "y";
  outputs[0].data = outputs[1].data = memory;
  outputs[0].bytes = outputs[1].bytes = 7;
  graft_request wanted = request.get();
  wanted.outputs = outputs;
  wanted.output_count = 1;
  EXPECT_EQ(runError(library, wanted), "output 'y': the shape 2 needs 8 bytes, the buffer has 7");
  wanted.output_count = 2;
  EXPECT_EQ(runError(library, wanted), "output 'y' is named twice");
  outputs[1].name = "z";
  EXPECT_EQ(runError(library, wanted), "there is no output 'z'; there are y, trunk");
  wanted.output_count = 1;
  outputs[0].type = GRAFT_I64;
  EXPECT_EQ(runError(library, wanted), "output 'y': expected the type f32, found i64");
}

// Counts what C++ code allocates.
static std::atomic<int64_t> allocationCount{0};
void *operator new(size_t bytes) {
  ++allocationCount;
  if (void *memory = std::malloc(bytes ? bytes : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

TEST_F(RunTest, AllocatesNothingInTheSteadyState) {
  float y[2], trunk[6], a[2];
  graft_buffer outputs[3] = {GRAFT_BUFFER_INIT, GRAFT_BUFFER_INIT, GRAFT_BUFFER_INIT};
  const char *names[] = {"base.y", "base.trunk", "a.y"};
  float *memory[] = {y, trunk, a};
  for (int i = 0; i < 3; ++i) {
    outputs[i].name = names[i];
    outputs[i].data = memory[i];
    outputs[i].bytes = i == 1 ? sizeof(trunk) : sizeof(y);
  }
  request.tasks = {"base", "a"};
  graft_request wanted = request.get();
  wanted.outputs = outputs;
  wanted.output_count = 3;
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(graft_run(library.get(), &wanted, nullptr, nullptr), GRAFT_OK);
  int64_t before = allocationCount;
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(graft_run(library.get(), &wanted, nullptr, nullptr), GRAFT_OK);
  EXPECT_EQ(allocationCount, before);
  EXPECT_EQ(a[1], 33);
}

// A sanitizer's allocator ends the process when it is asked for more than there is, unless told.
extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char *__tsan_default_options() { return "allocator_may_return_null=1"; }
// libomp does not give back the teams of threads that end.
extern "C" const char *__lsan_default_suppressions() { return "leak:libomp.so\n"; }
