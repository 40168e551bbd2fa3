//===- ResidencyTest.cpp - Which modules fold, and what that takes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Residency.h"
#include "graft/Fault/Fault.h"
#include "graft/Register/Register.h"

#include "mlir/Parser/Parser.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace graft;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

/// Plans for one product with a weight of 16 × 16 and the adapters a and b, of rank 1 and 2. With
/// vectors of 8 floats the weight takes 16 · 16 · 4 = 1024 bytes; A and B of rank r take
/// 16 · 8 · 4 = 512 and r · 16 · 4 bytes.
class ResidencyTest : public ::testing::Test {
protected:
  static constexpr uint64_t kWeight = 1024, kA = 512 + 64, kB = 512 + 128;

  ResidencyTest() : context(registry()) { options.lanes = 8; }

  static DialectRegistry registry() {
    DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }

  /// `tasks`: lines of modular.task.
  FailureOr<ResidencyPlan> plan(StringRef tasks) {
    std::string text = (R"(
      modular.parameter @w = dense<1.0> : tensor<16x16xf32>
      modular.parameter @a.A = dense<0.1> : tensor<1x16xf32>
      modular.parameter @a.B = dense<0.3> : tensor<16x1xf32>
      modular.parameter @b.A = dense<0.1> : tensor<2x16xf32>
      modular.parameter @b.B = dense<0.3> : tensor<16x2xf32>
      modular.module @a parameter(%w: tensor<16x16xf32>) -> tensor<16x16xf32> {
        %0 = modular.low_rank %w, @a.A, @a.B scale 1.0 : tensor<16x16xf32>
        modular.yield %0 : tensor<16x16xf32>
      }
      modular.module @b parameter(%w: tensor<16x16xf32>) -> tensor<16x16xf32> {
        %0 = modular.low_rank %w, @b.A, @b.B scale 1.0 : tensor<16x16xf32>
        modular.yield %0 : tensor<16x16xf32>
      }
      modular.router @adapters fixed by task over ["a", "b"]
      modular.task @base routes @adapters to []
    )" + tasks + R"(
      func.func @main(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
        %r = modular.route @adapters : !modular.route<2>
        %s = modular.site "w" of @w transposed : tensor<16x16xf32>
        %W = modular.adapt %s with %r {a = @a, b = @b} : tensor<16x16xf32>, !modular.route<2> to tensor<16x16xf32>
        %y = onnx.MatMul %x, %W : (tensor<?x16xf32>, tensor<16x16xf32>) -> tensor<?x16xf32>
        return %y : tensor<?x16xf32>
      })")
                           .str();
    module = parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      words = diagnostic.str();
      kind = getFaultKind(diagnostic);
    });
    return planResidency(*module, options);
  }

  MLIRContext context;
  OwningOpRef<mlir::ModuleOp> module;
  ResidencyOptions options;
  std::string words;
  std::optional<FaultKind> kind;
};

constexpr StringRef kTopic = "modular.task @topic routes @adapters to [\"a\"]\n";
constexpr StringRef kBoth = "modular.task @both routes @adapters to [\"a\", \"b\"]\n";

TEST_F(ResidencyTest, FoldsWhereThereIsRoom) {
  auto made = plan(kTopic);
  ASSERT_TRUE(succeeded(made));
  EXPECT_EQ(made->frozenBytes, kWeight);
  EXPECT_EQ(made->leastBytes, kWeight + kA);
  EXPECT_EQ(made->bytes, 2 * kWeight);
  ASSERT_EQ(made->sites.size(), 1u);
  EXPECT_EQ(made->sites[0].choice, Residency::Fold);
  EXPECT_TRUE(made->sites[0].folded) << "the value need not be computed again";
  EXPECT_GT(made->sites[0].foldError, 0);
  EXPECT_LT(made->sites[0].foldError, 1e-5);
}

TEST_F(ResidencyTest, KeepsToTheBudget) {
  options.memoryBudget = 2 * kWeight - 1;
  auto made = plan(kTopic);
  ASSERT_TRUE(succeeded(made));
  EXPECT_EQ(made->sites[0].choice, Residency::Branch);
  EXPECT_FALSE(made->sites[0].folded);
  EXPECT_EQ(made->bytes, kWeight + kA);

  options.memoryBudget = 2 * kWeight;
  made = plan(kTopic);
  ASSERT_TRUE(succeeded(made));
  EXPECT_EQ(made->sites[0].choice, Residency::Fold);
}

TEST_F(ResidencyTest, RefusesABudgetBelowTheLeast) {
  options.memoryBudget = kWeight + kA - 1;
  EXPECT_TRUE(failed(plan(kTopic)));
  EXPECT_EQ(kind, FaultKind::Input);
  EXPECT_THAT(words, HasSubstr("expected a memory budget of at least 1600 bytes"));
  EXPECT_THAT(words, HasSubstr("found 1599"));
}

TEST_F(ResidencyTest, CountsTheBytesOfEachModuleOnce) {
  options.policy = FoldPolicy::Never;
  auto made = plan((kTopic + kBoth).str());
  ASSERT_TRUE(succeeded(made));
  ASSERT_EQ(made->sites.size(), 2u);
  EXPECT_THAT(made->sites[0].moduleBytes, ElementsAre(kA));
  EXPECT_THAT(made->sites[1].moduleBytes, ElementsAre(kA, kB));
  EXPECT_EQ(made->bytes, kWeight + kA + kB);
}

TEST_F(ResidencyTest, HoldsFoldsAgainstTheTolerance) {
  options.tolerance = 0;
  auto made = plan(kTopic);
  ASSERT_TRUE(succeeded(made));
  EXPECT_EQ(made->sites[0].choice, Residency::Branch);

  options.policy = FoldPolicy::Always;
  EXPECT_TRUE(failed(plan(kTopic)));
  EXPECT_EQ(kind, FaultKind::Input);
  EXPECT_THAT(words, HasSubstr("site 'w', adapter 'a': expected a fold with an error of at most"));
}

TEST_F(ResidencyTest, AlwaysWantsABudgetThatLetsAllFold) {
  options.policy = FoldPolicy::Always;
  options.memoryBudget = 2 * kWeight;
  EXPECT_TRUE(succeeded(plan(kTopic)));
  options.memoryBudget = 3 * kWeight - 1; // one for each of base, topic and both
  EXPECT_TRUE(failed(plan((kTopic + kBoth).str())));
  EXPECT_EQ(kind, FaultKind::Input);
  EXPECT_THAT(words, HasSubstr("bytes, so that every site folds"));
}

} // namespace
