//===- RowTasksTest.cpp - A task for each row -------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "TestSupport.h"

#include <gmock/gmock.h>

using namespace graft::test;
using testing::HasSubstr;

namespace {
struct RowTasksTest : testing::Test {
  Library library = open(fixture("fake.so"));
  Request request;

  void SetUp() override {
    request.rows = true;
    request.batch = 4;
    request.seq = 2;
    request.x = {1, 1, 2, 2, 3, 3, 4, 4};
    request.mask.assign(8, 1);
  }
};
} // namespace

TEST_F(RowTasksTest, MergesOutputsOfOneShape) {
  // trunk is base's alone, so it comes under base's name.
  request.tasks = {"base", "a", "base", "a"};
  auto outputs = run(library, request.get());
  EXPECT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs["y"].dims, (Dims{4}));
  EXPECT_EQ(outputs["y"].values, (Floats{3, 10, 7, 18}));
  EXPECT_EQ(outputs["base.trunk"].dims, (Dims{2, 2}));
  EXPECT_EQ(outputs["base.trunk"].values, (Floats{1.5f, 1.5f, 3.5f, 3.5f}));

  // Rows next to each other are not copied; the result is the same.
  request.tasks = {"a", "a", "base", "base"};
  outputs = run(library, request.get());
  EXPECT_EQ(outputs["y"].values, (Floats{6, 10, 7, 9}));
}

TEST_F(RowTasksTest, KeepsOutputsApartWhoseShapesDiffer) {
  request.tasks = {"b", "a", "a", "b"};
  auto outputs = run(library, request.get());
  EXPECT_EQ(outputs.size(), 3u);
  EXPECT_EQ(outputs["b.y"].dims, (Dims{2, 2}));
  EXPECT_EQ(outputs["b.y"].values, (Floats{30, 60, 90, 180}));
  EXPECT_EQ(outputs["a.y"].values, (Floats{10, 14}));
  EXPECT_EQ(outputs["b.kept"].values, (Floats{0, 1, 2, 3}));
}

TEST_F(RowTasksTest, IsAnOrdinaryRunForOneTask) {
  request.tasks = {"b", "b", "b", "b"};
  auto outputs = run(library, request.get());
  EXPECT_EQ(outputs["y"].dims, (Dims{4, 2}));
  EXPECT_EQ(outputs["kept"].dims, (Dims{8}));
}

TEST_F(RowTasksTest, EqualsRunsOfOneRow) {
  request.tasks = {"a", "base", "base", "a"};
  auto mixed = run(library, request.get());
  for (size_t row = 0; row < 4; ++row) {
    Request single;
    single.tasks = {request.tasks[row]};
    single.batch = 1;
    single.seq = 2;
    single.x.assign(2, request.x[2 * row]);
    single.mask.assign(2, 1);
    EXPECT_EQ(run(library, single.get())["y"].values[0], mixed["y"].values[row]);
  }
}

TEST_F(RowTasksTest, RunsRowsOfTasksThatCanTogetherOnce) {
  auto trunkRuns = [&] {
    Request count;
    count.tasks = {"count"};
    return run(library, count.get())["runs"].values.at(0);
  };
  const float before = trunkRuns();
  request.tasks = {"a", "base", "a", "base"};
  auto outputs = run(library, request.get());
  EXPECT_EQ(trunkRuns(), before + 1);
  EXPECT_EQ(outputs["y"].values, (Floats{6, 5, 14, 9}));
  EXPECT_EQ(outputs["base.trunk"].values, (Floats{2.5f, 2.5f, 4.5f, 4.5f}));

  // Those of another task run apart.
  request.tasks = {"a", "base", "b", "base"};
  outputs = run(library, request.get());
  EXPECT_EQ(trunkRuns(), before + 3);
  EXPECT_EQ(outputs["a.y"].values, (Floats{6}));
  EXPECT_EQ(outputs["base.y"].values, (Floats{5, 9}));
  EXPECT_EQ(outputs["b.y"].values, (Floats{70, 140}));
}

TEST_F(RowTasksTest, WritesToTheCallersBuffers) {
  request.tasks = {"a", "base", "a", "a"};
  float y[4] = {};
  graft_buffer output = GRAFT_BUFFER_INIT;
  output.name = "y";
  output.data = y;
  output.bytes = sizeof(y);
  graft_request wanted = request.get();
  wanted.outputs = &output;
  wanted.output_count = 1;
  graft_error error = GRAFT_ERROR_INIT;
  ASSERT_EQ(graft_run(library.get(), &wanted, nullptr, &error), GRAFT_OK) << error.message;
  EXPECT_THAT(y, testing::ElementsAre(6, 5, 14, 18));
  EXPECT_EQ(output.dims[0], 4);
  output.bytes = 12;
  EXPECT_EQ(runError(library, wanted), "output 'y': the shape 4 needs 16 bytes, the buffer has 12");
}

TEST_F(RowTasksTest, TellsShapesBeforehand) {
  request.tasks = {"a", "base", "a", "a"};
  graft_request wanted = request.get();
  graft_result *result = nullptr;
  ASSERT_EQ(graft_query_outputs(library.get(), &wanted, &result, nullptr), GRAFT_OK);
  auto outputs = copyOutputs(result);
  EXPECT_EQ(outputs["y"].dims, (Dims{4}));
  EXPECT_EQ(outputs["base.trunk"].dims, (Dims{1, 2}));
  graft_result_free(result);
}

TEST_F(RowTasksTest, RefusesAnotherNumberOfRows) {
  request.tasks = {"a", "base"};
  EXPECT_EQ(runError(library, request.get()),
            "row tasks: there are 2 tasks, but the inputs have 4 rows");
  request.tasks = {"a", "base", "a", "fail"};
  EXPECT_THAT(runError(library, request.get()), HasSubstr("index 7"));
}

TEST_F(RowTasksTest, RefusesRowsThatDependOnEachOther) {
  std::string bytes = readFile(fixture("fake.so"));
  size_t at = bytes.find("\"independent\":true ");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 19, "\"independent\":false");
  std::string path = writeFile("dependent.so", bytes);
  Library dependent = open(path);
  ::unlink(path.c_str());
  request.tasks = {"a", "base", "a", "a"};
  EXPECT_EQ(
      runError(dependent, request.get(), GRAFT_ERROR_UNSUPPORTED),
      "row tasks: the rows of this backbone depend on each other, through Mean '/pool': axis 0");
}
