//===- TensorTest.cpp - Sizes, types and SHA-256 ----------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Tensor.h"
#include "graft/Runtime/Sha256.h"

#include <gtest/gtest.h>

using namespace graft::runtime;

TEST(TensorTest, KnowsTypesByName) {
  for (int32_t type = 1; type <= GRAFT_BOOL; ++type) {
    ASSERT_NE(typeName(type), nullptr);
    EXPECT_EQ(typeFromName(typeName(type)), type);
    EXPECT_GT(typeBytes(type), 0u);
  }
  EXPECT_EQ(typeName(0), nullptr);
  EXPECT_EQ(typeName(GRAFT_BOOL + 1), nullptr);
  EXPECT_EQ(typeBytes(-1), 0u);
  EXPECT_FALSE(typeFromName("f8"));
}

TEST(TensorTest, ChecksSizes) {
  int64_t dims[] = {2, 3, 0}, huge[] = {0, int64_t(1) << 40, int64_t(1) << 40}, bad[] = {-1};
  EXPECT_EQ(tensorBytes(GRAFT_F32, dims, 2), 24);
  EXPECT_EQ(tensorBytes(GRAFT_F32, dims, 3), 0);
  EXPECT_EQ(tensorBytes(GRAFT_F64, dims, 0), 8);
  EXPECT_FALSE(tensorBytes(GRAFT_F32, huge, 3)) << "it overflows in another order";
  EXPECT_FALSE(tensorBytes(GRAFT_F32, bad, 1));
  EXPECT_EQ(shapeText(dims, 3), "2x3x0");
  EXPECT_EQ(shapeText(bad, 1), "?");
  EXPECT_EQ(shapeText(dims, 0), "scalar");
}

TEST(TensorTest, ComputesSha256) {
  EXPECT_EQ(sha256("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::string million(1000000, 'a');
  EXPECT_EQ(sha256(million.data(), million.size()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  std::string exact(56, 'a'); // the length no longer fits into the last block
  EXPECT_EQ(sha256(exact.data(), exact.size()),
            "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
}
