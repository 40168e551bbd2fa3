//===- NpyTest.cpp - NumPy's file format, comparison, seeded tensors *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "TestSupport.h"

#include "graft/Commands/Compare.h"
#include "graft/Commands/Npy.h"
#include "graft/Commands/RandomTensor.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>
#include <sys/stat.h>

using namespace graft::commands;
using graft::test::writeFile;
using testing::HasSubstr;

/// A file of version 1 with this header and so many bytes of data.
static std::string npy(const std::string &header, size_t data, int version = 1) {
  std::string text = "\x93NUMPY";
  text += char(version);
  text += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    text += char(header.size() >> 8 * i & 0xff);
  return text + header + std::string(data, '\x01');
}

static std::string errorOf(const std::string &bytes) {
  NpyHeader header;
  return parseNpyHeader(bytes, bytes.size(), header).message();
}

TEST(NpyTest, ReadsWhatNumPyWrites) {
  NpyHeader header;
  for (int version : {1, 2, 3}) {
    std::string file =
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      \n", 24, version);
    EXPECT_FALSE(parseNpyHeader(file, file.size(), header).failed());
    EXPECT_EQ(header.dims.size(), size_t(2));
    header = {};
  }
  auto dims = [](const char *shape, size_t bytes) {
    NpyHeader parsed;
    std::string file = npy(
        std::string("{'shape': ") + shape + ", \"fortran_order\": False, 'descr': '|b1'}", bytes);
    Status status = parseNpyHeader(file, file.size(), parsed);
    EXPECT_FALSE(status.failed()) << status.message();
    return parsed.dims;
  };
  EXPECT_EQ(dims("()", 1), std::vector<int64_t>{});
  EXPECT_EQ(dims("(5,)", 5), std::vector<int64_t>{5});
  EXPECT_EQ(dims("(5L, 0L)", 0), (std::vector<int64_t>{5, 0}));
}

TEST(NpyTest, NamesEachFault) {
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  EXPECT_EQ(errorOf(""), "expected a NumPy file (.npy)");
  EXPECT_EQ(errorOf("PK\x03\x04 an .npz"), "expected a NumPy file (.npy)");
  EXPECT_EQ(errorOf("\x93NUMPY\x01"), "the file ends within its header");
  EXPECT_EQ(errorOf(npy(good, 24, 4)), "version 4 of the format is unknown");
  EXPECT_EQ(errorOf(npy(good, 23)), "the shape 2x3 needs 24 bytes, the file has 23");
  EXPECT_EQ(errorOf(npy(good, 25)), "the shape 2x3 needs 24 bytes, the file has 25");
  EXPECT_EQ(errorOf(npy(good, 0).substr(0, 40)), "the file ends within its header");
  auto header = [](const std::string &descr, const std::string &order, const std::string &shape) {
    return errorOf(npy(
        "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + "}", 24));
  };
  EXPECT_THAT(header("'<f4'", "True", "(2, 3)"), HasSubstr("Fortran order"));
  EXPECT_THAT(header("'>f4'", "False", "(2, 3)"), HasSubstr("big endian"));
  EXPECT_THAT(header("'<c8'", "False", "(2, 3)"), HasSubstr("'<c8' is not supported"));
  EXPECT_THAT(header("'|O'", "False", "(2, 3)"), HasSubstr("'|O' is not supported"));
  EXPECT_THAT(header("[('a', '<f4')]", "False", "(6,)"), HasSubstr("has fields"));
  EXPECT_THAT(header("'<f4'", "False", "(1,1,1,1,1,1,1,2,3)"), HasSubstr("rank is above 8"));
  EXPECT_THAT(header("'<f4'", "False", "(99999999999999999999,)"), HasSubstr("too large"));
  EXPECT_THAT(header("'<f4'", "False", "(0, 4611686018427387904, 4611686018427387904)"),
              HasSubstr("too large"));
  EXPECT_THAT(header("'<f4'", "False", "(-1,)"), HasSubstr("expected a dimension"));
  EXPECT_THAT(header("'<f4'", "False", "(6"), HasSubstr("damaged header"));
  EXPECT_THAT(header("'<f4'", "False", "6"), HasSubstr("expected a tuple"));
  EXPECT_THAT(header("'<f4'", "Maybe", "(6,)"), HasSubstr("True or False"));
  EXPECT_THAT(errorOf(npy(good + " x", 24)), HasSubstr("something follows"));
  EXPECT_THAT(errorOf(npy("{'descr': '<f4'}", 24)), HasSubstr("is missing"));
  EXPECT_THAT(errorOf(npy("{'descr': '<f4', 'descr': '<f4'}", 24)), HasSubstr("there twice"));
}

TEST(NpyTest, SurvivesDamage) {
  std::string good =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }             \n", 24);
  for (size_t size = 0; size < good.size(); ++size) {
    std::vector<char> part(good.begin(), good.begin() + ptrdiff_t(size));
    NpyHeader header;
    ASSERT_TRUE(parseNpyHeader({part.data(), size}, size, header).failed());
  }
  std::mt19937 random(5);
  for (int round = 0; round < 50000; ++round) {
    std::vector<char> bytes(good.begin(), good.end());
    for (int flips = 0; flips < 3; ++flips)
      bytes[random() % bytes.size()] =
          random() % 2 ? char(random()) : "0123456789(){},:'<L"[random() % 19];
    NpyHeader header;
    Status status = parseNpyHeader({bytes.data(), bytes.size()}, bytes.size(), header);
    if (!status.failed()) {
      Tensor tensor;
      ASSERT_FALSE(tensor.allocate(header.type, header.dims).failed());
      ASSERT_EQ(header.dataOffset + tensor.bytes, bytes.size());
    }
  }
}

TEST(NpyTest, WritesWhatItReads) {
  std::string path = writeFile("round-trip.npy", "old");
  for (int32_t type = 1; type <= GRAFT_BOOL; ++type) {
    for (std::vector<int64_t> dims : {std::vector<int64_t>{}, {7}, {0, 3}, {2, 3, 4}}) {
      Tensor tensor, back;
      ASSERT_FALSE(randomTensor({"t", dims, 100}, type, tensor).failed());
      NpyWriter writer;
      ASSERT_FALSE(writer.add(path, tensor).failed());
      ASSERT_FALSE(writer.commit().failed());
      Status status = readNpy(path, back);
      ASSERT_FALSE(status.failed()) << status.message();
      ASSERT_EQ(back.type, type);
      ASSERT_EQ(back.dims, dims);
      ASSERT_EQ(std::memcmp(back.data.get(), tensor.data.get(), tensor.bytes), 0);
      ASSERT_EQ((graft::test::readFile(path).size() - tensor.bytes) % 64, 0u);
    }
  }
  ::unlink(path.c_str());
}

TEST(NpyTest, WritesAllFilesOrNone) {
  Tensor tensor;
  ASSERT_FALSE(randomTensor({"t", {4}, 2}, GRAFT_F32, tensor).failed());
  std::string folder = writeFile("folder", "");
  ::unlink(folder.c_str());
  ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
  {
    NpyWriter writer;
    ASSERT_FALSE(writer.add(folder + "/a.npy", tensor).failed());
    EXPECT_THAT(writer.add(folder + "/nowhere/b.npy", tensor).message(),
                HasSubstr("nowhere/b.npy: cannot write: No such file"));
    EXPECT_THAT(writer.add(folder + "/a.npy", tensor).message(), HasSubstr("two outputs"));
  }
  EXPECT_EQ(::rmdir(folder.c_str()), 0) << "something was left behind";
  // Devices are written to, not replaced.
  NpyWriter writer;
  EXPECT_FALSE(writer.add("/dev/null", tensor).failed());
  EXPECT_FALSE(writer.commit().failed());
  struct stat facts;
  ASSERT_EQ(::stat("/dev/null", &facts), 0);
  EXPECT_TRUE(S_ISCHR(facts.st_mode));
}

static Comparison compareFloats(std::vector<float> a, std::vector<float> b) {
  TensorView found, expected;
  found.type = expected.type = GRAFT_F32;
  found.dims = {int64_t(a.size())};
  expected.dims = {int64_t(b.size())};
  found.data = reinterpret_cast<const char *>(a.data());
  expected.data = reinterpret_cast<const char *>(b.data());
  found.bytes = a.size() * 4;
  expected.bytes = b.size() * 4;
  return compare(found, expected, {1e-4, 1e-5});
}

TEST(CompareTest, ComparesElementwise) {
  Comparison result = compareFloats({3, 4}, {3, 4});
  EXPECT_TRUE(result.passed());
  EXPECT_EQ(result.relativeError, 0);
  result = compareFloats({3, 5}, {3, 4});
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.mismatches, 1u);
  EXPECT_EQ(result.worst, 1u);
  EXPECT_DOUBLE_EQ(result.relativeError, 0.2);
  EXPECT_DOUBLE_EQ(result.largestDifference, 1);
  EXPECT_TRUE(compareFloats({1.00005f}, {1}).passed());
  EXPECT_FALSE(compareFloats({1.0002f}, {1}).passed());
  EXPECT_TRUE(compareFloats({0.000009f}, {0}).passed());
  EXPECT_EQ(compareFloats({1}, {0}).relativeError, INFINITY);
  EXPECT_FALSE(compareFloats({1}, {1, 2}).passed());
  EXPECT_TRUE(compareFloats({}, {}).passed());
}

TEST(CompareTest, MatchesInfinitiesButNoNan) {
  EXPECT_TRUE(compareFloats({INFINITY}, {INFINITY}).passed());
  EXPECT_FALSE(compareFloats({-INFINITY}, {INFINITY}).passed());
  EXPECT_FALSE(compareFloats({1}, {INFINITY}).passed());
  EXPECT_FALSE(compareFloats({NAN}, {NAN}).passed());
  Comparison result = compareFloats({1, NAN, 9}, {1, 2, 3});
  EXPECT_EQ(result.mismatches, 2u);
  EXPECT_EQ(result.worst, 1u);
  EXPECT_TRUE(std::isnan(result.relativeError));
}

TEST(RandomTensorTest, ParsesShapes) {
  ShapeArgument argument;
  ASSERT_FALSE(parseShapeArgument("ids=1x128:30522", argument).failed());
  EXPECT_EQ(argument.name, "ids");
  EXPECT_EQ(argument.dims, (std::vector<int64_t>{1, 128}));
  EXPECT_EQ(argument.most, 30522);
  argument = {};
  ASSERT_FALSE(parseShapeArgument("a:0=b=3", argument).failed());
  EXPECT_EQ(argument.name, "a:0=b");
  ASSERT_FALSE(parseShapeArgument("s=", argument).failed());
  EXPECT_TRUE(argument.dims.empty());
  for (const char *bad : {"x", "=3", "x=3x", "x=ax3", "x=3:0", "x=3:", "x=-1", "x=3:y", "x=x3",
                          "x=99999999999999999999", "x=1x1x1x1x1x1x1x1x1"})
    EXPECT_TRUE(parseShapeArgument(bad, argument).failed()) << bad;
}

TEST(RandomTensorTest, IsSeededAndBounded) {
  for (int32_t type = 1; type <= GRAFT_BOOL; ++type) {
    Tensor first, second;
    ASSERT_FALSE(randomTensor({"t", {1000}, 100}, type, first).failed());
    ASSERT_FALSE(randomTensor({"t", {1000}, 100}, type, second).failed());
    EXPECT_EQ(std::memcmp(first.data.get(), second.data.get(), first.bytes), 0);
    TensorView view(first);
    long double sum = 0, squares = 0, largest = 0;
    for (size_t i = 0; i < view.count(); ++i) {
      long double value = view.element(i);
      sum += value;
      squares += value * value;
      largest = std::max(largest, std::fabs(value));
    }
    bool isFloat = type <= GRAFT_F64;
    EXPECT_LT(largest, isFloat ? 5 : type == GRAFT_BOOL ? 2 : 100) << type;
    if (isFloat) {
      EXPECT_NEAR(double(sum / 1000), 0, 0.15) << type;
      EXPECT_NEAR(double(squares / 1000), 1, 0.15) << type;
    } else if (type != GRAFT_BOOL) {
      EXPECT_NEAR(double(sum / 1000), 49.5, 4) << type;
    }
  }
  Tensor tensor;
  EXPECT_THAT(randomTensor({"t", {1}, 300}, GRAFT_U8, tensor).message(), HasSubstr("too large"));
  EXPECT_FALSE(randomTensor({"t", {1}, 256}, GRAFT_U8, tensor).failed());
  EXPECT_TRUE(randomTensor({"t", {1}, 129}, GRAFT_I8, tensor).failed());
}
