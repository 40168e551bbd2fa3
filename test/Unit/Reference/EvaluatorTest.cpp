//===- EvaluatorTest.cpp - Ops on numbers, and graphs that don't fit -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/Evaluator.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace graft;
using namespace graft::reference;
using ::testing::ElementsAre;

namespace {

class EvaluatorTest : public ::testing::Test {
protected:
  EvaluatorTest() {
    context.loadDialect<modular::ModularDialect, onnx::OnnxDialect, func::FuncDialect>();
  }

  /// The first result of the last op, or null.
  const Tensor *evaluate(StringRef text) {
    module = parseSourceString<mlir::ModuleOp>(
        ("func.func @main() {\n" + text + "\nreturn }").str(), &context);
    EXPECT_TRUE(module);
    if (!module)
      return nullptr;
    Block &block = (*module->getOps<func::FuncOp>().begin()).getBody().front();
    return at.get(block.getTerminator()->getPrevNode()->getResult(0));
  }

  /// Why the last op is not computed.
  std::string refusal(StringRef text) {
    at = Evaluator();
    return evaluate(text) ? "none" : at.failure().why;
  }

  MLIRContext context;
  OwningOpRef<mlir::ModuleOp> module;
  Evaluator at;
};

std::string integers(StringRef name, StringRef values, StringRef shape) {
  return ("%" + name + " = onnx.Constant {value = dense<" + values + "> : tensor<" + shape +
          "xi64>} : () -> tensor<" + shape + "xi64>\n")
      .str();
}

std::string floats(StringRef name, StringRef values, StringRef shape) {
  return ("%" + name + " = onnx.Constant {value = dense<" + values + "> : tensor<" + shape +
          "xf32>} : () -> tensor<" + shape + "xf32>\n")
      .str();
}

TEST_F(EvaluatorTest, ValuesStayWhereTheyAre) {
  // More parts than a table of values has room for at first: the whole is read for each of them.
  std::string names, types, sizes;
  for (int i = 0; i < 200; ++i) {
    names += (i ? ", %p" : "%p") + std::to_string(i);
    types += i ? ", tensor<1xf32>" : "tensor<1xf32>";
    sizes += i ? ", 1" : "1";
  }
  std::string elements;
  for (int i = 0; i < 200; ++i)
    elements += (i ? ", " : "") + std::to_string(i) + ".0";
  ASSERT_TRUE(evaluate(
      floats("x", "[" + elements + "]", "200") + integers("s", "[" + sizes + "]", "200") + names +
      " = onnx.Split %x, %s : (tensor<200xf32>, tensor<200xi64>) -> (" + types + ")"));
  Operation *split = (*module->getOps<func::FuncOp>().begin()).getBody().front().getTerminator();
  split = split->getPrevNode();
  const Tensor *whole = at.lookup(split->getOperand(0));
  for (int i = 0; i < 200; ++i)
    EXPECT_THAT(at.get(split->getResult(i))->values(), ElementsAre(double(i)));
  EXPECT_EQ(at.lookup(split->getOperand(0)), whole);
}

TEST_F(EvaluatorTest, RefusesSplits) {
  const std::string x = floats("x", "[1.0, 2.0]", "2");
  auto split = [&](StringRef sizes, StringRef count, StringRef axis = "0") {
    return refusal(x + integers("s", sizes, count) + "%a, %b = onnx.Split %x, %s {axis = " +
                   axis.str() + " : i64} : (tensor<2xf32>, tensor<" + count.str() +
                   "xi64>) -> (tensor<1xf32>, tensor<1xf32>)");
  };
  EXPECT_EQ(split("[1, 1]", "2"), "none");
  EXPECT_EQ(split("[1, 1]", "2", "1"), "an axis that does not fit");
  EXPECT_EQ(split("[2]", "1"), "1 sizes for 2 parts");
  EXPECT_EQ(split("[2, 1]", "2"), "sizes of 3 in all for 2");
  EXPECT_EQ(split("[3, -1]", "2"), "a size that does not fit");
  EXPECT_EQ(split("[9223372036854775807, 9223372036854775807]", "2"), "a size that does not fit");
}

TEST_F(EvaluatorTest, RefusesArrangements) {
  const std::string x = floats("x", "[[1.0, 2.0]]", "1x2"), none = floats("e", "1.0", "0x2");
  EXPECT_EQ(refusal(none + "%y = onnx.Transpose %e {perm = []} : (tensor<0x2xf32>) -> tensor<f32>"),
            "a permutation that does not fit");
  EXPECT_EQ(
      refusal(x + integers("s", "[4611686018427387904, 4]", "2") +
              "%y = onnx.Reshape %x, %s : (tensor<1x2xf32>, tensor<2xi64>) -> tensor<?x?xf32>"),
      "a shape that overflows");
  EXPECT_EQ(
      refusal(x + integers("s", "[1099511627776, 1, 2]", "3") +
              "%y = onnx.Expand %x, %s : (tensor<1x2xf32>, tensor<3xi64>) -> tensor<?x1x2xf32>"),
      "a shape that overflows");
  EXPECT_EQ(refusal(x +
                    "%y = onnx.Concat %x, %x {axis = 2 : i64} : (tensor<1x2xf32>, tensor<1x2xf32>)"
                    " -> tensor<2x2xf32>"),
            "an axis that does not fit");
  EXPECT_EQ(refusal(none + "%y = onnx.Range %e, %e, %e : (tensor<0x2xf32>, tensor<0x2xf32>, "
                           "tensor<0x2xf32>) -> tensor<?xf32>"),
            "a bound that is not one number");
  EXPECT_EQ(refusal(integers("s", "[0, 1099511627776]", "2") +
                    "%y = onnx.ConstantOfShape %s : (tensor<2xi64>) -> tensor<?x?xf32>"),
            "a shape that overflows");
}

TEST_F(EvaluatorTest, SlicesByGreatSteps) {
  const Tensor *y =
      evaluate(floats("x", "[1.0, 2.0, 3.0]", "3") + integers("s", "[-1]", "1") +
               integers("e", "[-9223372036854775808]", "1") + integers("a", "[0]", "1") +
               integers("t", "[-9223372036854775808]", "1") +
               "%y = onnx.Slice %x, %s, %e, %a, %t {operandSegmentSizes = array<i32: 1, 1, 1, 1, "
               "1>} : (tensor<3xf32>, tensor<1xi64>, "
               "tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>");
  ASSERT_TRUE(y);
  EXPECT_THAT(y->values(), ElementsAre(3.0));
}

TEST_F(EvaluatorTest, RefusesIndices) {
  const std::string x = floats("x", "[[1.0, 2.0]]", "1x2"), i = integers("i", "[[2]]", "1x1");
  EXPECT_EQ(refusal(x + i +
                    "%y = onnx.Gather %x, %i {axis = 1 : i64} : (tensor<1x2xf32>, "
                    "tensor<1x1xi64>) -> tensor<1x1x1xf32>"),
            "an index outside of its axis");
  EXPECT_EQ(refusal(x + i +
                    "%y = onnx.GatherElements %x, %i {axis = 1 : i64} : (tensor<1x2xf32>, "
                    "tensor<1x1xi64>) -> tensor<1x1xf32>"),
            "indices that do not fit");
  EXPECT_EQ(refusal(x + i +
                    "%y = onnx.GatherND %x, %i : (tensor<1x2xf32>, tensor<1x1xi64>) -> "
                    "tensor<1x2xf32>"),
            "indices that do not fit");
  EXPECT_EQ(refusal(x + i +
                    "%y = onnx.ScatterND %x, %i, %x : (tensor<1x2xf32>, tensor<1x1xi64>, "
                    "tensor<1x2xf32>) -> tensor<1x2xf32>"),
            "indices that do not fit");
  EXPECT_EQ(refusal(x + integers("k", "[3]", "1") +
                    "%v, %c = onnx.TopK %x, %k : (tensor<1x2xf32>, tensor<1xi64>) -> "
                    "(tensor<1x3xf32>, tensor<1x3xi64>)"),
            "a k that does not fit");
}

TEST_F(EvaluatorTest, RefusesProducts) {
  const std::string x = floats("x", "[[1.0, 2.0]]", "1x2");
  EXPECT_EQ(refusal(x + "%y = onnx.MatMul %x, %x : (tensor<1x2xf32>, tensor<1x2xf32>) -> "
                        "tensor<1x2xf32>"),
            "sizes that do not fit");
  EXPECT_EQ(refusal(x + floats("s", "1.0", "2") +
                    "%y = onnx.RMSNormalization %x, %s {axis = -3 : i64} : (tensor<1x2xf32>, "
                    "tensor<2xf32>) -> tensor<1x2xf32>"),
            "an axis that does not fit");
}

} // namespace
