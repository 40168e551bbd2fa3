//===- DamagedLibraryTest.cpp - Files that are not whole libraries *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "TestSupport.h"

#include "graft/Runtime/ArtifactAbi.h"
#include "graft/Runtime/ElfFile.h"

#include <gmock/gmock.h>

#include <random>
#include <sys/stat.h>

using namespace graft::test;
using testing::HasSubstr;

namespace {
/// A file that goes away with the test.
struct Copy {
  std::string path;
  Copy(const std::string &name, const std::string &bytes) : path(writeFile(name, bytes)) {}
  ~Copy() { ::unlink(path.c_str()); }
};
} // namespace

/// The fixture with `from` replaced, once, by `to` of the same length.
static std::string patched(const std::string &from, const std::string &to) {
  std::string bytes = readFile(fixture("fake.so"));
  size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  EXPECT_EQ(from.size(), to.size());
  return bytes.replace(at, to.size(), to);
}

static std::string patchedError(const std::string &from, const std::string &to,
                                int32_t code = GRAFT_ERROR_INPUT) {
  static int count = 0; // the dynamic linker knows a library by its path
  Copy copy("patched" + std::to_string(count++) + ".so", patched(from, to));
  std::string words = openError(copy.path, code);
  if (words.empty())
    return words;
  EXPECT_EQ(words.substr(0, copy.path.size() + 2), copy.path + ": ");
  return words.substr(std::min(words.size(), copy.path.size() + 2));
}

TEST(DamagedLibraryTest, RefusesEveryTruncation) {
  std::string whole = readFile(fixture("fake.so"));
  graft::runtime::ElfFile elf;
  ASSERT_FALSE(elf.check(whole.data(), whole.size(), "f").failed());
  for (size_t size = 0; size < whole.size(); ++size) {
    // The memory ends where the file does, so that AddressSanitizer sees reads beyond.
    std::vector<char> part(whole.begin(), whole.begin() + ptrdiff_t(size));
    ASSERT_TRUE(elf.check(part.data(), size, "f").failed()) << size;
  }
  for (size_t size :
       {size_t(0), size_t(3), size_t(63), size_t(64), whole.size() / 2, whole.size() - 1}) {
    Copy copy("truncated.so", whole.substr(0, size));
    EXPECT_THAT(openError(copy.path), HasSubstr(size < 4 ? "expected a library" : "truncated"));
  }
}

TEST(DamagedLibraryTest, SurvivesDamagedHeaders) {
  std::string whole = readFile(fixture("fake.so"));
  std::mt19937 random(7);
  graft::runtime::ElfFile elf;
  for (int round = 0; round < 20000; ++round) {
    std::vector<char> bytes(whole.begin(), whole.end());
    uint64_t headers;
    std::memcpy(&headers, whole.data() + 40, 8); // the section headers' offset
    for (int flips = 0; flips < 3; ++flips) {
      size_t at = random() % 2 ? random() % 800 : headers + random() % (whole.size() - headers);
      bytes[at] = char(random());
    }
    (void)elf.check(bytes.data(), bytes.size(), "f").failed();
  }
}

TEST(DamagedLibraryTest, RefusesOtherFiles) {
  EXPECT_THAT(openError("/nowhere/x.so"), HasSubstr("No such file"));
  EXPECT_THAT(openError("/"), HasSubstr("expected a regular file"));
  EXPECT_THAT(openError("/dev/null"), HasSubstr("expected a regular file"));
  Copy text("text.so", "hello, this is no library at all");
  EXPECT_THAT(openError(text.path), HasSubstr("expected a library (ELF), found something else"));
  EXPECT_THAT(openError("/proc/self/exe"), testing::AnyOf(HasSubstr("shared library for x86-64"),
                                                          HasSubstr("not made by graft")));
  std::string pipe = writeFile("pipe.so", "");
  ::unlink(pipe.c_str());
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(openError(pipe), HasSubstr("expected a regular file"));
  ::unlink(pipe.c_str());
  EXPECT_THAT(patchedError("graft_artifact_query", "graft_artifact_quest"),
              HasSubstr("not made by graft"));
}

TEST(DamagedLibraryTest, ChecksMagicAndVersion) {
  std::string head("GRFT\x02\0\0\0", 8);
  EXPECT_THAT(patchedError(head, std::string("GRFX\x02\0\0\0", 8)), HasSubstr("magic number"));
  EXPECT_THAT(patchedError(head, std::string("GRFT\x03\0\0\0", 8), GRAFT_ERROR_UNSUPPORTED),
              HasSubstr("version 3 of the binary interface"));
}

TEST(DamagedLibraryTest, ChecksItsTableOfContents) {
  // The manifest's size follows magic and ABI.
  std::string bytes = readFile(fixture("fake.so"));
  size_t at = bytes.find(std::string("GRFT\x02\0\0\0", 8));
  ASSERT_NE(at, std::string::npos);
  for (size_t field :
       {offsetof(graft_artifact, manifest_bytes), offsetof(graft_artifact, weights_bytes),
        offsetof(graft_artifact, code_count)}) {
    for (unsigned char value : {0x40, 0xff}) {
      std::string damaged = bytes;
      damaged[at + field + 5] = char(value);
      Copy copy("contents" + std::to_string(field) + std::to_string(value) + ".so", damaged);
      EXPECT_THAT(openError(copy.path), HasSubstr("points outside of the library"));
    }
  }
}

TEST(DamagedLibraryTest, ChecksTheManifest) {
  EXPECT_THAT(patchedError("\"symbols\":[", "\"symbols\":{"), HasSubstr("manifest: "));
  EXPECT_THAT(patchedError("\"offset\":192,\"bytes\":8", "\"offset\":192,\"bytes\":9"),
              testing::IsEmpty());
  EXPECT_THAT(patchedError("\"offset\":192,", "\"offset\":252,"),
              HasSubstr("manifest: storage[3]: bytes 252 + 8 lie beyond the weights (256 bytes)"));
  EXPECT_THAT(patchedError("\"sse2\"", "\"s?e2\"", GRAFT_ERROR_UNSUPPORTED),
              HasSubstr("this runtime does not know s?e2"));
}

TEST(DamagedLibraryTest, OpensUnfitLibrariesForInspection) {
  Copy copy("unfit.so", patched("\"sse2\"", "\"s?e2\""));
  EXPECT_EQ(openError(copy.path, 0, GRAFT_OPEN_INSPECT), "");
}

TEST(DamagedLibraryTest, ChecksTheWeightsFile) {
  std::string folder = writeFile("split", "");
  ::unlink(folder.c_str());
  ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
  std::string library = folder + "/split.so", weights = folder + "/weights.bin";
  std::ofstream(library, std::ios::binary) << readFile(fixture("split.so"));
  EXPECT_THAT(openError(library), HasSubstr("weights.bin: No such file"));
  EXPECT_EQ(openError(library, 0, GRAFT_OPEN_INSPECT), "") << "nothing is read for that";

  std::vector<float> values(64);
  values[0] = 0.5f, values[16] = 1, values[32] = 2, values[48] = 10, values[49] = 20;
  std::string bytes(reinterpret_cast<char *>(values.data()), 256);
  std::ofstream(weights, std::ios::binary) << bytes;
  EXPECT_EQ(openError(library, 0, GRAFT_OPEN_VERIFY), "");
  Request request;
  request.tasks = {"a"};
  EXPECT_EQ(run(open(library), request.get())["y"].values, (Floats{15, 33}));

  std::ofstream(weights, std::ios::binary) << bytes.substr(0, 255);
  EXPECT_THAT(openError(library), HasSubstr("expected 256 bytes, found 255"));
  bytes[100] = 1;
  std::ofstream(weights, std::ios::binary) << bytes;
  EXPECT_EQ(openError(library), "");
  EXPECT_THAT(openError(library, GRAFT_ERROR_INPUT, GRAFT_OPEN_VERIFY),
              HasSubstr("expected the SHA-256 a8e5b6da92"));
  ::setenv("GRAFT_VERIFY", "1", 1);
  EXPECT_THAT(openError(library), HasSubstr("expected the SHA-256"));
  ::unsetenv("GRAFT_VERIFY");
  ::unlink(weights.c_str());
  ::unlink(library.c_str());
  ::rmdir(folder.c_str());
}
