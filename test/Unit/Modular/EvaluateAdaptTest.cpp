//===- EvaluateAdaptTest.cpp - Folding in numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/ParameterValues.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace graft;
using namespace graft::modular;

namespace {

class EvaluateAdapt : public ::testing::Test {
protected:
  EvaluateAdapt() { context.loadDialect<ModularDialect, func::FuncDialect>(); }

  /// Evaluates the only adapt of a module for a route that takes `names`.
  AdaptedValue evaluate(StringRef text, ArrayRef<const char *> names) {
    module = parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    AdaptOp adapt;
    module->walk([&](AdaptOp op) { adapt = op; });
    SmallVector<StringAttr> route;
    for (const char *name : names)
      route.push_back(StringAttr::get(&context, name));
    SymbolTableCollection symbols;
    auto value = evaluateAdapt(adapt, route, symbols);
    EXPECT_TRUE(succeeded(value));
    return succeeded(value) ? *value : AdaptedValue();
  }

  static std::vector<float> floats(const AdaptedValue &value) {
    std::vector<float> result(value.bytes.size() / sizeof(float));
    std::memcpy(result.data(), value.bytes.data(), value.bytes.size());
    return result;
  }

  MLIRContext context;
  OwningOpRef<mlir::ModuleOp> module;
};

/// A backbone with one site of a 2 × 3 parameter, (out, in), and what follows in `modules`.
std::string backbone(StringRef modules, StringRef adapt, StringRef type = "tensor<2x3xf32>",
                     StringRef result = "tensor<2x3xf32>", StringRef transposed = "",
                     StringRef value = "dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>") {
  return ("modular.parameter @w = " + value + " : " + type + R"(
    modular.parameter @A = dense<[[1.0, 10.0, 100.0]]> : tensor<1x3xf32>
    modular.parameter @B = dense<[[2.0], [3.0]]> : tensor<2x1xf32>
    modular.parameter @m = dense<[1.0, 2.0]> : tensor<2xf32>
    modular.parameter @d = dense<1.0> : tensor<2x3xf32>
    modular.parameter @r = dense<[[7.0, 8.0]]> : tensor<1x2xf32>
    modular.router @adapters fixed by task over ["a", "b"]
  )" + modules +
          R"(
    func.func @main() -> )" +
          result + R"( {
      %r = modular.route @adapters : !modular.route<2>
      %s = modular.site "w" of @w )" +
          transposed + " : " + type + R"(
      %a = modular.adapt %s with %r )" +
          adapt + " : " + type + ", !modular.route<2> to " + result + "\n return %a : " + result +
          " }")
      .str();
}

const char *const lowRank = R"(
  modular.module @a parameter(%w: tensor<2x3xf32>) -> tensor<2x3xf32> {
    %0 = modular.low_rank %w, @A, @B scale 0.5 : tensor<2x3xf32>
    modular.yield %0 : tensor<2x3xf32>
  })";

TEST_F(EvaluateAdapt, LowRankAddsTheScaledProduct) {
  auto value = evaluate(backbone(lowRank, "{a = @a}"), {"a"});
  EXPECT_EQ(floats(value), (std::vector<float>{2, 12, 103, 5.5, 20, 156}));
  EXPECT_LT(value.error, 1e-6);
}

TEST_F(EvaluateAdapt, RouteWithoutModulesLeavesTheParameter) {
  auto value = evaluate(backbone(lowRank, "{a = @a}"), {});
  EXPECT_EQ(floats(value), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(value.error, 0);
}

TEST_F(EvaluateAdapt, TransposedSiteIsSeenAsOutIn) {
  auto value = evaluate(backbone(lowRank, "{a = @a}", "tensor<3x2xf32>", "tensor<3x2xf32>",
                                 "transposed", "dense<[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]>"),
                        {"a"});
  EXPECT_EQ(floats(value), (std::vector<float>{2, 5.5, 12, 20, 103, 156}));
}

TEST_F(EvaluateAdapt, MagnitudeSetsTheLengthOfRows) {
  auto value = evaluate(backbone(R"(
    modular.module @a parameter(%w: tensor<2x3xf32>) -> tensor<2x3xf32> {
      %0 = modular.low_rank %w, @A, @B scale 0.5 magnitude @m : tensor<2x3xf32>
      modular.yield %0 : tensor<2x3xf32>
    })",
                                 "{a = @a}"),
                        {"a"});
  const double first = std::sqrt(2.0 * 2 + 12 * 12 + 103 * 103);
  const double second = std::sqrt(5.5 * 5.5 + 20 * 20 + 156.0 * 156);
  auto result = floats(value);
  EXPECT_NEAR(result[2], 103 / first, 1e-6);
  EXPECT_NEAR(result[5], 2 * 156 / second, 1e-6);
}

TEST_F(EvaluateAdapt, ModulesAddInAnyOrderAndReplacementComesFirst) {
  const char *modules = R"(
    modular.module @a parameter(%w: tensor<2x3xf32>) -> tensor<2x3xf32> {
      %0 = modular.delta %w, @d scale 2.0 : tensor<2x3xf32>
      modular.yield %0 : tensor<2x3xf32>
    }
    modular.module @b parameter(%w: tensor<2x3xf32>) -> tensor<2x3xf32> {
      %0 = modular.replace_columns %w, @r at [1] : tensor<2x3xf32>
      modular.yield %0 : tensor<2x3xf32>
    })";
  for (auto order : {std::vector<const char *>{"a", "b"}, std::vector<const char *>{"b", "a"}})
    EXPECT_EQ(floats(evaluate(backbone(modules, "{a = @a, b = @b}"), order)),
              (std::vector<float>{3, 9, 5, 6, 10, 8}));
}

TEST_F(EvaluateAdapt, HeadOfAnotherSize) {
  auto value = evaluate(backbone(R"(
    modular.parameter @head = dense<9.0> : tensor<4x3xf32>
    modular.module @a parameter(%w: tensor<2x3xf32>) -> tensor<4x3xf32> {
      %0 = modular.replace %w, @head : tensor<2x3xf32> to tensor<4x3xf32>
      modular.yield %0 : tensor<4x3xf32>
    })",
                                 "{a = @a}", "tensor<2x3xf32>", "tensor<?x3xf32>"),
                        {"a"});
  EXPECT_EQ(value.type.getShape(), ArrayRef<int64_t>({4, 3}));
  EXPECT_EQ(floats(value), std::vector<float>(12, 9.0f));
}

TEST_F(EvaluateAdapt, ErrorIsThatOfRoundingRelativeToTheChange) {
  // 1 + 2⁻¹² rounds to 1 in f16: all of the change is lost.
  auto value = evaluate(R"(
    modular.parameter @w = dense<1.0> : tensor<1x1xf16>
    modular.parameter @d = dense<1.0> : tensor<1x1xf32>
    modular.router @adapters fixed by task over ["a"]
    modular.module @a parameter(%w: tensor<1x1xf16>) -> tensor<1x1xf16> {
      %0 = modular.delta %w, @d scale 2.44140625e-4 : tensor<1x1xf16>
      modular.yield %0 : tensor<1x1xf16>
    }
    func.func @main() -> tensor<1x1xf16> {
      %r = modular.route @adapters : !modular.route<1>
      %s = modular.site "w" of @w : tensor<1x1xf16>
      %a = modular.adapt %s with %r {a = @a} : tensor<1x1xf16>, !modular.route<1> to tensor<1x1xf16>
      return %a : tensor<1x1xf16>
    })",
                        {"a"});
  EXPECT_DOUBLE_EQ(value.error, 1.0);
}

} // namespace
