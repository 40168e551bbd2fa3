//===- CheckOps.cpp - What ONNX's own inference lets pass -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/OnnxFile.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Onnx/Origin.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace graft;

/// The integers of a constant operand, if it is one.
static std::optional<SmallVector<int64_t>> constantIntegers(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getName().getStringRef() != "onnx.Constant")
    return std::nullopt;
  auto dense = op->getAttrOfType<DenseElementsAttr>("value");
  if (!dense || !dense.getElementType().isSignlessInteger() ||
      dense.getElementType().isSignlessInteger(1))
    return std::nullopt;
  SmallVector<int64_t> numbers;
  for (const llvm::APInt &number : dense.getValues<llvm::APInt>())
    numbers.push_back(number.getSExtValue());
  return numbers;
}

static int64_t integer(Operation *op, StringRef name, int64_t missing) {
  auto attribute = op->getAttrOfType<IntegerAttr>(name);
  return attribute ? attribute.getInt() : missing;
}

/// A kernel of (out, in / groups, …) on channels of another number.
static std::string checkConv(Operation *op) {
  if (op->getNumOperands() < 2)
    return "";
  auto input = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
  auto kernel = dyn_cast<RankedTensorType>(op->getOperand(1).getType());
  if (!input || !kernel || input.getRank() < 2 || kernel.getRank() != input.getRank())
    return input && kernel ? "expected a kernel of the input's rank" : "";
  int64_t groups = integer(op, "group", 1), out = kernel.getDimSize(0), in = kernel.getDimSize(1);
  if (groups < 1)
    return "expected at least 1 group, found " + std::to_string(groups);
  if (!ShapedType::isDynamic(out) && out % groups != 0)
    return "expected as many output channels in each group, found " + std::to_string(out) + " in " +
           std::to_string(groups) + " groups";
  int64_t channels = input.getDimSize(1), wanted;
  if (ShapedType::isDynamic(channels) || ShapedType::isDynamic(in))
    return "";
  if (llvm::MulOverflow(in, groups, wanted) || wanted != channels)
    return "expected " + std::to_string(channels) + " input channels, found a kernel for " +
           std::to_string(in) + " in each of " + std::to_string(groups) + " groups";
  return "";
}

/// Constant indices that no entry has.
static std::string checkGather(Operation *op) {
  auto data = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
  auto indices = constantIntegers(op->getOperand(1));
  if (!data || !indices)
    return "";
  int64_t axis = integer(op, "axis", 0);
  axis = axis < 0 ? axis + data.getRank() : axis;
  if (axis < 0 || axis >= data.getRank() || data.isDynamicDim(axis))
    return "";
  int64_t size = data.getDimSize(axis);
  for (int64_t index : *indices)
    if (index < -size || index >= size)
      return "expected indices below " + std::to_string(size) + ", found " + std::to_string(index);
  return "";
}

/// A constant shape of another number of elements.
static std::string checkReshape(Operation *op) {
  auto input = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
  auto shape = constantIntegers(op->getOperand(1));
  if (!input || !input.hasStaticShape() || !shape)
    return "";
  int64_t count = 1;
  bool free = false;
  for (auto [i, dim] : llvm::enumerate(*shape)) {
    if (dim == -1) {
      free = true;
      continue;
    }
    if (dim == 0 && integer(op, "allowzero", 0) == 0) {
      if (static_cast<int64_t>(i) >= input.getRank())
        return "expected a dimension to copy, found none at " + std::to_string(i);
      dim = input.getDimSize(i);
    }
    if (dim < 0 || llvm::MulOverflow(count, dim, count))
      return "expected sizes of at least 0 as shape, found " + std::to_string(dim);
  }
  int64_t elements = input.getNumElements();
  if (free ? (count == 0 ? elements != 0 : elements % count != 0) : elements != count)
    return "expected a shape of " + std::to_string(elements) + " elements, found one of " +
           std::to_string(count) + (free ? " times another dimension" : "");
  return "";
}

llvm::Error graft::checkOps(ModuleOp module, StringRef file) {
  std::string words;
  module.walk([&](Operation *op) {
    StringRef name = op->getName().getStringRef();
    std::string wrong;
    if (name == "onnx.Conv")
      wrong = checkConv(op);
    else if (name == "onnx.Gather" && op->getNumOperands() == 2)
      wrong = checkGather(op);
    else if (name == "onnx.Reshape" && op->getNumOperands() == 2)
      wrong = checkReshape(op);
    if (wrong.empty())
      return WalkResult::advance();
    Origin origin = originOf(op->getLoc());
    words = (file + ": " + origin.node + ": " + wrong).str();
    return WalkResult::interrupt();
  });
  return words.empty() ? llvm::Error::success() : inputFault(words);
}
