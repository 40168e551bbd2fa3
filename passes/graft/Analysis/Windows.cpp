//===- Windows.cpp - The windows of convolutions and pools -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Windows.h"

using namespace mlir;
using namespace graft;

SmallVector<int64_t> graft::integers(ArrayAttr attribute, size_t count, int64_t otherwise) {
  SmallVector<int64_t> values;
  if (!attribute || attribute.empty())
    return SmallVector<int64_t>(count, otherwise);
  for (Attribute value : attribute)
    if (auto integer = dyn_cast<IntegerAttr>(value))
      values.push_back(integer.getInt());
  return values;
}

static WindowAttributes attributesOf(Operation *op) {
  WindowAttributes attributes;
  if (auto autoPad = op->getAttrOfType<StringAttr>("auto_pad"))
    attributes.autoPad = autoPad.getValue();
  attributes.kernelShape = op->getAttrOfType<ArrayAttr>("kernel_shape");
  attributes.strides = op->getAttrOfType<ArrayAttr>("strides");
  attributes.dilations = op->getAttrOfType<ArrayAttr>("dilations");
  attributes.pads = op->getAttrOfType<ArrayAttr>("pads");
  if (auto ceilMode = op->getAttrOfType<IntegerAttr>("ceil_mode"))
    attributes.ceilMode = ceilMode.getInt() != 0;
  return attributes;
}

/// What does not depend on the direction: kernel, stride, dilation, explicit pads.
static std::optional<SmallVector<Window>> basicWindows(ArrayRef<Polynomial> x,
                                                       ArrayRef<Polynomial> kernel,
                                                       const WindowAttributes &attributes) {
  if (x.size() < 3)
    return std::nullopt;
  size_t count = x.size() - 2;
  auto strides = integers(attributes.strides, count, 1);
  auto dilations = integers(attributes.dilations, count, 1);
  auto pads = integers(attributes.pads, 2 * count, 0);
  auto kernelShape = integers(attributes.kernelShape, 0, 0);
  if (strides.size() != count || dilations.size() != count || pads.size() != 2 * count ||
      (kernelShape.empty() ? kernel.size() : kernelShape.size()) != count)
    return std::nullopt;
  SmallVector<Window> windows(count);
  for (size_t i = 0; i < count; ++i) {
    if (strides[i] < 1 || dilations[i] < 1)
      return std::nullopt;
    Window &w = windows[i];
    w.kernel = kernelShape.empty() ? kernel[i] : Polynomial(kernelShape[i]);
    w.stride = strides[i];
    w.dilation = dilations[i];
    w.padBegin = pads[i];
    w.padEnd = pads[count + i];
    w.input = x[i + 2];
  }
  return windows;
}

std::optional<SmallVector<Window>> graft::windows(ArrayRef<Polynomial> x,
                                                  ArrayRef<Polynomial> kernel,
                                                  const WindowAttributes &attributes) {
  auto result = basicWindows(x, kernel, attributes);
  if (!result)
    return std::nullopt;
  for (Window &w : *result) {
    Polynomial extent = Polynomial(w.dilation) * (w.kernel - 1) + 1;
    if (attributes.autoPad == "SAME_UPPER" || attributes.autoPad == "SAME_LOWER") {
      w.output = Polynomial::ceilDiv(w.input, w.stride);
      Polynomial total =
          Polynomial::max((w.output - 1) * Polynomial(w.stride) + extent - w.input, 0);
      Polynomial less = Polynomial::floorDiv(total, 2);
      w.padBegin = attributes.autoPad == "SAME_UPPER" ? less : total - less;
      w.padEnd = total - w.padBegin;
      continue;
    }
    if (attributes.autoPad == "VALID")
      w.padBegin = w.padEnd = 0;
    Polynomial span = w.input + w.padBegin + w.padEnd - extent;
    if (attributes.ceilMode) {
      Polynomial last = Polynomial::ceilDiv(span, w.stride);
      // A window that would begin in the padding at the end is left out.
      Polynomial inside = Polynomial::less(last * Polynomial(w.stride), w.input + w.padBegin);
      w.output = Polynomial::select(inside, last + 1, last);
    } else {
      w.output = Polynomial::floorDiv(span, w.stride) + 1;
    }
    w.output = Polynomial::max(w.output, 0);
  }
  return result;
}

std::optional<SmallVector<Window>> graft::windowsOf(const SymbolicShapes &shapes, Operation *op) {
  ArrayRef<Polynomial> x = shapes.get(op->getOperand(0)).dims, kernel;
  if (op->getNumOperands() > 1)
    kernel = ArrayRef<Polynomial>(shapes.get(op->getOperand(1)).dims).drop_front(2);
  return windows(x, kernel, attributesOf(op));
}

std::optional<SmallVector<Window>> graft::transposedWindowsOf(const SymbolicShapes &shapes,
                                                              Operation *op) {
  ArrayRef<Polynomial> x = shapes.get(op->getOperand(0)).dims;
  ArrayRef<Polynomial> kernel = shapes.get(op->getOperand(1)).dims;
  if (kernel.size() != x.size() || x.size() < 3)
    return std::nullopt;
  WindowAttributes attributes = attributesOf(op);
  auto result = basicWindows(x, kernel.drop_front(2), attributes);
  size_t count = x.size() - 2;
  auto extra = integers(op->getAttrOfType<ArrayAttr>("output_padding"), count, 0);
  auto shape = integers(op->getAttrOfType<ArrayAttr>("output_shape"), 0, 0);
  if (!result || extra.size() != count || (!shape.empty() && shape.size() < count))
    return std::nullopt;
  for (size_t i = 0; i < count; ++i) {
    Window &w = (*result)[i];
    Polynomial extent = Polynomial(w.dilation) * (w.kernel - 1) + 1;
    Polynomial full = (w.input - 1) * Polynomial(w.stride) + extent + Polynomial(extra[i]);
    bool same = attributes.autoPad == "SAME_UPPER" || attributes.autoPad == "SAME_LOWER";
    if (same || !shape.empty()) {
      w.output = shape.empty() ? w.input * Polynomial(w.stride)
                               : Polynomial(shape[shape.size() - count + i]);
      Polynomial total = Polynomial::max(full - w.output, 0), half = Polynomial::floorDiv(total, 2);
      w.padBegin = attributes.autoPad == "SAME_UPPER" ? half : total - half;
      w.padEnd = total - w.padBegin;
    } else {
      if (attributes.autoPad == "VALID")
        w.padBegin = w.padEnd = 0;
      w.output = full - w.padBegin - w.padEnd;
    }
  }
  return result;
}
