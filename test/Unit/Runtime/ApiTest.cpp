//===- ApiTest.cpp - The C interface ----------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "TestSupport.h"

#include <gmock/gmock.h>

using namespace graft::test;
using testing::HasSubstr;

TEST(ApiTest, ListsTasksInputsAndOutputs) {
  Library library = open(fixture("fake.so"));
  ASSERT_EQ(graft_task_count(library.get()), 9u);
  EXPECT_STREQ(graft_task_name(library.get(), 2), "b");
  EXPECT_EQ(graft_task_name(library.get(), 9), nullptr);
  ASSERT_EQ(graft_input_count(library.get()), 2u);
  graft_tensor_info info = GRAFT_TENSOR_INFO_INIT;
  ASSERT_EQ(graft_input_info(library.get(), 1, &info, nullptr), GRAFT_OK);
  EXPECT_STREQ(info.name, "mask");
  EXPECT_EQ(info.type, GRAFT_BOOL);
  EXPECT_EQ(info.rank, 2);
  EXPECT_EQ(info.dims[1], -1);
  EXPECT_STREQ(info.symbols[1], "seq");
  ASSERT_EQ(graft_output_count(library.get(), 2), 2u);
  ASSERT_EQ(graft_output_info(library.get(), 2, 0, &info, nullptr), GRAFT_OK);
  EXPECT_STREQ(info.name, "y");
  EXPECT_EQ(info.dims[1], 2);
  EXPECT_EQ(info.symbols[1], nullptr);
  graft_error error = GRAFT_ERROR_INIT;
  EXPECT_EQ(graft_output_info(library.get(), 2, 2, &info, &error), GRAFT_ERROR_INPUT);
  EXPECT_STREQ(error.message, "there is no output 2 of task 2");
  EXPECT_EQ(graft_input_info(library.get(), 2, &info, &error), GRAFT_ERROR_INPUT);
  size_t bytes = 0;
  const char *manifest = graft_library_manifest(library.get(), &bytes);
  EXPECT_EQ(std::string(manifest, bytes).substr(0, 9), "{\"graft\":");
}

TEST(ApiTest, NeedsNoError) {
  graft_library *library = nullptr;
  EXPECT_EQ(graft_library_open("/nowhere.so", nullptr, &library, nullptr), GRAFT_ERROR_INPUT);
  EXPECT_EQ(library, nullptr);
}

TEST(ApiTest, CutsMessagesToTheRoomThereIs) {
  graft_error error = GRAFT_ERROR_INIT;
  error.struct_size = 8 + 5;
  std::memset(error.message, '#', sizeof(error.message));
  graft_library *library = nullptr;
  EXPECT_EQ(graft_library_open("/nowhere.so", nullptr, &library, &error), GRAFT_ERROR_INPUT);
  EXPECT_EQ(std::string(error.message, 6), std::string("/now\0#", 6));
  std::string longPath = "/" + std::string(3000, 'x');
  error.struct_size = sizeof(error);
  graft_library_open(longPath.c_str(), nullptr, &library, &error);
  EXPECT_EQ(std::strlen(error.message), sizeof(error.message) - 1);
}

TEST(ApiTest, RefusesWhatItDoesNotKnow) {
  graft_open_options options = GRAFT_OPEN_OPTIONS_INIT;
  options.flags = 1u << 30;
  graft_library *library = nullptr;
  EXPECT_EQ(graft_library_open(fixture("fake.so").c_str(), &options, &library, nullptr),
            GRAFT_ERROR_UNSUPPORTED);
  EXPECT_EQ(graft_library_open(nullptr, nullptr, &library, nullptr), GRAFT_ERROR_INPUT);
  EXPECT_EQ(graft_run(nullptr, nullptr, nullptr, nullptr), GRAFT_ERROR_INPUT);
  Library opened = open(fixture("fake.so"));
  EXPECT_EQ(graft_run(opened.get(), nullptr, nullptr, nullptr), GRAFT_ERROR_INPUT);
  graft_library_close(nullptr);
  graft_result_free(nullptr);
}

TEST(ApiTest, WalksBuffersByTheirOwnSize) {
  // A caller whose header has a longer struct.
  struct Longer {
    graft_buffer buffer;
    char more[24];
  } inputs[2] = {};
  Request request;
  request.get();
  for (int i = 0; i < 2; ++i) {
    inputs[i].buffer = request.inputs[size_t(i)];
    inputs[i].buffer.struct_size = sizeof(Longer);
  }
  graft_request wanted = request.raw();
  wanted.inputs = &inputs[0].buffer;
  Library library = open(fixture("fake.so"));
  EXPECT_EQ(run(library, wanted)["y"].values, (Floats{7.5f, 16.5f}));
}

TEST(ApiTest, InspectsWithoutRunning) {
  graft_open_options options = GRAFT_OPEN_OPTIONS_INIT;
  options.flags = GRAFT_OPEN_INSPECT;
  graft_library *opened = nullptr;
  ASSERT_EQ(graft_library_open(fixture("fake.so").c_str(), &options, &opened, nullptr), GRAFT_OK);
  Library library(opened);
  Request request;
  EXPECT_EQ(runError(library, request.get()), "the library was opened for inspection only");
}

TEST(ApiTest, KnowsTypesAndVersions) {
  EXPECT_EQ(graft_api_version(), GRAFT_API_VERSION);
  EXPECT_THAT(graft_version(), HasSubstr("."));
  EXPECT_EQ(graft_type_bytes(GRAFT_BF16), 2u);
  EXPECT_STREQ(graft_type_name(GRAFT_BOOL), "bool");
  EXPECT_GE(graft_default_threads(), 1);
}
