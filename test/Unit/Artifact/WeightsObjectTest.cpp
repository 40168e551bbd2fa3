//===- WeightsObjectTest.cpp - Sections of any size -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/Storage.h"

#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"

#include "gtest/gtest.h"

using namespace graft;
using namespace llvm;

namespace {

/// An object whose section has `bytes` bytes, of which none are written: a hole in the file.
void check(uint64_t bytes) {
  SmallString<128> path;
  int fd;
  ASSERT_FALSE(sys::fs::createTemporaryFile("graft-weights", "o", fd, path));
  FileRemover remover(path);
  {
    raw_fd_ostream stream(fd, /*shouldClose=*/true);
    WeightsObject::begin(stream);
    stream.seek(WeightsObject::kDataOffset + bytes);
    WeightsObject::end(stream, bytes);
    ASSERT_FALSE(stream.has_error());
  }
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  ASSERT_TRUE(bool(buffer));
  auto object = object::ObjectFile::createELFObjectFile(**buffer);
  ASSERT_TRUE(bool(object)) << toString(object.takeError());
  unsigned found = 0;
  for (object::ELFSectionRef section : (*object)->sections()) {
    if (cantFail(section.getName()) != ".graft.weights")
      continue;
    ++found;
    EXPECT_EQ(section.getSize(), bytes);
    EXPECT_EQ(section.getFlags(), uint64_t(ELF::SHF_ALLOC | ELF::SHF_X86_64_LARGE));
    EXPECT_EQ(cantFail(section.getContents()).size(), bytes);
    EXPECT_GE(section.getAlignment().value(), 4096u);
  }
  EXPECT_EQ(found, 1u);
  unsigned symbols = 0;
  for (object::ELFSymbolRef symbol : (*object)->symbols()) {
    ++symbols;
    EXPECT_EQ(cantFail(symbol.getName()), "graft_weights");
    EXPECT_EQ(symbol.getSize(), bytes);
  }
  EXPECT_EQ(symbols, 1u);
}

TEST(WeightsObject, OfFewBytes) { check(192); }
/// Beyond what 31 and 32 bits address.
TEST(WeightsObject, OfMoreThanTwoGigabytes) { check((uint64_t(2) << 30) + 64); }
TEST(WeightsObject, OfMoreThanFourGigabytes) { check((uint64_t(5) << 30) + 64); }

} // namespace
