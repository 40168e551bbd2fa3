//===- ImportTest.cpp - Import of ONNX files -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FixtureFiles.h"

#include "graft/Import/Import.h"
#include "graft/Onnx/Origin.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include "gtest/gtest.h"

#include <set>

using namespace graft;
using namespace graft::test;

namespace {

/// 0, or the kind of the fault; `words` is its message.
int importKind(llvm::StringRef path, std::string *words = nullptr) {
  mlir::MLIRContext context(registry());
  auto module = importOnnx(path, &context);
  std::string said;
  const int code = module ? 0 : exitCodeOf(module.takeError(), said);
  EXPECT_NE(code, 70) << said;
  if (words)
    *words = said;
  return code;
}

TEST(Import, EveryFixture) {
  std::error_code code;
  unsigned count = 0;
  for (llvm::sys::fs::directory_iterator it(fixtures + "/models", code), end; it != end;
       it.increment(code)) {
    if (llvm::sys::path::extension(it->path()) != ".onnx")
      continue;
    std::string words;
    EXPECT_EQ(importKind(it->path(), &words), 0) << it->path() << ": " << words;
    ++count;
  }
  EXPECT_GT(count, 40u);
}

/// The module paths of the ops that read the model's weights, whatever the exporter.
std::set<std::string> modulesOf(llvm::StringRef file) {
  mlir::MLIRContext context(registry());
  auto module = importOnnx(fixtures + "/models/" + file.str(), &context);
  std::set<std::string> paths;
  if (!module) {
    ADD_FAILURE() << llvm::toString(module.takeError());
    return paths;
  }
  (*module)->walk([&](mlir::Operation *op) {
    llvm::StringRef name = op->getName().getStringRef();
    if (name == "onnx.MatMul" || name == "onnx.Gemm" || name == "onnx.Gather")
      paths.insert(originOf(op->getLoc()).module.str());
  });
  return paths;
}

TEST(Import, ModulePathsOfBothExporters) {
  for (const char *file : {"bert-cls.legacy.onnx", "bert-cls.legacy-opset11.onnx",
                           "bert-cls.dynamo.onnx", "bert-cls.dynamo-unoptimized.onnx"}) {
    std::set<std::string> paths = modulesOf(file);
    for (const char *path : {"bert.embeddings.word_embeddings", "classifier",
                             "bert.encoder.layer.1.attention.self.query",
                             "bert.encoder.layer.0.attention.output.dense"})
      EXPECT_TRUE(paths.count(path)) << file << " has no " << path;
  }
  // A Sequential's own name is not part of its items' paths.
  EXPECT_TRUE(modulesOf("mlp.legacy.onnx").count("layers.0"));
  EXPECT_TRUE(modulesOf("mlp.legacy-opset9.onnx").count("layers.0"));
}

TEST(Import, ReadsOriginsThroughFusion) {
  mlir::MLIRContext context;
  mlir::Location one = originLocation(&context, "/a/MatMul", "a");
  mlir::Location two = originLocation(&context, "/b/Add", "b");
  mlir::Location fused = mlir::FusedLoc::get(&context, {one, two});
  EXPECT_EQ(originOf(fused).node, "/a/MatMul");
  EXPECT_EQ(originOf(fused).module, "a");
  EXPECT_EQ(originOf(originLocation(&context, "", "")).node, "");
}

/// No damage may crash the importer: truncation at every length, and every byte changed.
TEST(Import, SurvivesDamage) {
  auto buffer = llvm::MemoryBuffer::getFile(fixtures + "/models/mlp.legacy.onnx");
  ASSERT_TRUE(buffer);
  std::string whole = (*buffer)->getBuffer().str();
  llvm::SmallString<128> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("damaged", "onnx", path));
  auto importBytes = [&](llvm::StringRef bytes) {
    std::error_code code;
    llvm::raw_fd_ostream(path, code) << bytes;
    return importKind(path);
  };
  ASSERT_EQ(importBytes(whole), 0);
  // Bytes inside weights change nothing: the structure lies in the first and last kilobytes.
  unsigned refused = 0;
  for (size_t length = 0; length < whole.size(); length += length < 3000 ? 131 : 1997)
    refused += importBytes(llvm::StringRef(whole).take_front(length)) != 0;
  EXPECT_GT(refused, 20u);
  for (size_t at = 0; at < whole.size(); at += at < 4000 ? 53 : 1201)
    for (char change : {'\x01', '\x80'}) {
      std::string damaged = whole;
      damaged[at] ^= change;
      importBytes(damaged);
    }
  llvm::sys::fs::remove(path);
}

} // namespace
