//===- SchemaTest.cpp - The onnx dialect against ONNX's own schemas -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Onnx/Onnx.h"
#include "graft/Register/Register.h"

#include "mlir/IR/MLIRContext.h"

#include "onnx/defs/schema.h"
#include "gtest/gtest.h"

#include <set>

using namespace mlir;

namespace {
struct SchemaTest : testing::Test {
  SchemaTest() {
    DialectRegistry registry;
    registry.insert<graft::onnx::OnnxDialect>();
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  std::vector<RegisteredOperationName> ops() {
    std::vector<RegisteredOperationName> result;
    for (RegisteredOperationName name : context.getRegisteredOperations())
      if (name.getDialectNamespace() == "onnx" && name.stripDialect() != "Yield")
        result.push_back(name);
    return result;
  }

  static const ::onnx::OpSchema *schema(RegisteredOperationName name) {
    return ::onnx::OpSchemaRegistry::Schema(name.stripDialect().str());
  }

  MLIRContext context;
};
} // namespace

TEST_F(SchemaTest, EveryOpIsOfTheStandard) {
  EXPECT_GT(ops().size(), 140u);
  for (RegisteredOperationName name : ops())
    EXPECT_TRUE(schema(name)) << name.getStringRef().str();
}

TEST_F(SchemaTest, AttributesAreThoseOfTheStandard) {
  for (RegisteredOperationName name : ops()) {
    const ::onnx::OpSchema *standard = schema(name);
    if (!standard)
      continue;
    std::set<std::string> expected, found;
    for (const auto &[attribute, description] : standard->attributes())
      if (description.type != ::onnx::AttributeProto::GRAPH) // these are regions
        expected.insert(attribute);
    for (StringAttr attribute : name.getAttributeNames())
      if (attribute != "operandSegmentSizes" && attribute != "resultSegmentSizes")
        found.insert(attribute.str());
    if (name.stripDialect() == "Constant")
      expected = {"value"}; // the other ways to write one become it
    EXPECT_EQ(found, expected) << name.getStringRef().str();
  }
}

// An op has segment sizes exactly if the schema has more than one optional or variadic operand.
TEST_F(SchemaTest, SegmentsFollowTheSchema) {
  for (RegisteredOperationName name : ops()) {
    const ::onnx::OpSchema *standard = schema(name);
    if (!standard)
      continue;
    auto variable = [](const std::vector<::onnx::OpSchema::FormalParameter> &parameters) {
      int count = 0;
      for (const auto &parameter : parameters)
        count += parameter.GetOption() != ::onnx::OpSchema::Single;
      return count;
    };
    EXPECT_EQ(name.hasTrait<OpTrait::AttrSizedOperandSegments>(), variable(standard->inputs()) > 1)
        << name.getStringRef().str();
    EXPECT_EQ(name.hasTrait<OpTrait::AttrSizedResultSegments>(), variable(standard->outputs()) > 1)
        << name.getStringRef().str();
  }
}
