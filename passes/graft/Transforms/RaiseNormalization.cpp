//===- RaiseNormalization.cpp - Recognising layer norm and RMS norm -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/Raise.h"

using namespace mlir;
using namespace graft;
using namespace graft::raise;

static Value throughIdentity(Value value) {
  while (auto cast = value.getDefiningOp<onnx::CastOp>()) {
    if (cast.getInput().getType() != cast.getType())
      break;
    value = cast.getInput();
  }
  return value;
}

/// The operand of a ReduceMean over the last dimension that keeps it.
static Value meanOf(const Matcher &m, Value value) {
  auto mean = value.getDefiningOp<onnx::ReduceMeanOp>();
  if (!mean || !mean.getKeepdims() || !mean.getAxes())
    return {};
  auto axes = m.shapes.constantElements(mean.getAxes());
  int64_t rank = m.shapes.get(mean.getData()).rank();
  if (!axes || axes->size() != 1 || (axes->front() != -1 && axes->front() != rank - 1))
    return {};
  return mean.getData();
}

/// The operand of a square: Pow(x, 2) or Mul(x, x).
static Value squareOf(const Matcher &m, Value value) {
  if (auto power = value.getDefiningOp<onnx::PowOp>())
    return m.isScalar(power.getY(), 2) ? power.getX() : Value();
  auto product = value.getDefiningOp<onnx::MulOp>();
  return product && product.getA() == product.getB() ? product.getA() : Value();
}

namespace {
/// x / sqrt(mean(x²) + epsilon).
struct Rooted {
  Value x;
  double epsilon;
};
} // namespace

static std::optional<Rooted> rooted(const Matcher &m, Value value) {
  Operation *op = throughIdentity(value).getDefiningOp();
  Value x, root;
  auto rootOf = [](Value v) {
    auto sqrt = v.getDefiningOp<onnx::SqrtOp>();
    return sqrt ? sqrt.getX() : Value();
  };
  auto inverseRootOf = [&](Value v) {
    if (auto reciprocal = v.getDefiningOp<onnx::ReciprocalOp>())
      return rootOf(reciprocal.getX());
    if (auto quotient = v.getDefiningOp<onnx::DivOp>(); quotient && m.isScalar(quotient.getA(), 1))
      return rootOf(quotient.getB());
    if (auto power = v.getDefiningOp<onnx::PowOp>(); power && m.isScalar(power.getY(), -0.5))
      return Value(power.getX());
    return Value();
  };
  if (auto quotient = dyn_cast_or_null<onnx::DivOp>(op)) {
    x = quotient.getA();
    root = rootOf(quotient.getB());
  } else if (isa_and_nonnull<onnx::MulOp>(op)) {
    eitherOrder(op, [&](Value a, Value b) {
      x = a;
      root = inverseRootOf(b);
      return bool(root);
    });
  }
  auto sum = root ? root.getDefiningOp<onnx::AddOp>() : nullptr;
  if (!sum)
    return std::nullopt;
  std::optional<Rooted> result;
  eitherOrder(sum, [&](Value mean, Value epsilon) {
    auto constant = m.scalar(epsilon);
    Value squares = meanOf(m, mean);
    Value of = squares ? squareOf(m, squares) : Value();
    if (constant && of && throughIdentity(of) == throughIdentity(x))
      result = Rooted{throughIdentity(x), *constant};
    return result.has_value();
  });
  return result;
}

/// True for a parameter or constant with the dims of x's last dimension alone.
static bool isVectorFor(const Matcher &m, Value vector, Value x) {
  const auto &dims = m.shapes.get(vector).dims, &of = m.shapes.get(x).dims;
  return dims.size() == 1 && !of.empty() && dims[0] == of.back() &&
         cast<ShapedType>(vector.getType()).getElementType() ==
             cast<ShapedType>(x.getType()).getElementType();
}

/// Before: Add(Mul(rooted(Sub(x, ReduceMean(x))), weight), bias); after: LayerNormalization(x,
/// weight, bias).
bool graft::raise::raiseLayerNormalization(const Matcher &m, Operation *op) {
  if (!isa<onnx::AddOp>(op))
    return false;
  return eitherOrder(op, [&](Value scaled, Value bias) {
    auto product = scaled.getDefiningOp<onnx::MulOp>();
    return product && eitherOrder(product, [&](Value normalised, Value weight) {
             auto found = rooted(m, normalised);
             auto centred = found ? found->x.getDefiningOp<onnx::SubOp>() : nullptr;
             if (!centred || meanOf(m, centred.getB()) != centred.getA() ||
                 !isVectorFor(m, weight, centred.getA()) || !isVectorFor(m, bias, centred.getA()))
               return false;
             OpBuilder b(op);
             Type type = op->getResult(0).getType();
             m.replace(
                 op,
                 onnx::LayerNormalizationOp::create(
                     b, op->getLoc(), TypeRange{type}, ValueRange{centred.getA(), weight, bias},
                     ArrayRef<NamedAttribute>{
                         b.getNamedAttr("axis", b.getI64IntegerAttr(-1)),
                         b.getNamedAttr("epsilon", b.getF32FloatAttr(found->epsilon)),
                         b.getNamedAttr("resultSegmentSizes", b.getDenseI32ArrayAttr({1, 0, 0}))}));
             return true;
           });
  });
}

/// Before: Mul(weight, x / sqrt(mean(x²) + epsilon)); after: RMSNormalization(x, weight).
bool graft::raise::raiseRMSNormalization(const Matcher &m, Operation *op) {
  if (!isa<onnx::MulOp>(op))
    return false;
  return eitherOrder(op, [&](Value normalised, Value weight) {
    auto found = rooted(m, normalised);
    if (!found || !isVectorFor(m, weight, found->x))
      return false;
    // A centred operand: the start of a layer norm, which the addition of its bias completes.
    auto centred = found->x.getDefiningOp<onnx::SubOp>();
    if (centred && meanOf(m, centred.getB()) == centred.getA())
      return false;
    OpBuilder b(op);
    m.replace(op, onnx::RMSNormalizationOp::create(
                      b, op->getLoc(), TypeRange{op->getResult(0).getType()},
                      ValueRange{found->x, weight},
                      ArrayRef<NamedAttribute>{
                          b.getNamedAttr("axis", b.getI64IntegerAttr(-1)),
                          b.getNamedAttr("epsilon", b.getF32FloatAttr(found->epsilon))}));
    return true;
  });
}
