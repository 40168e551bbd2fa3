//===- ResizeOps.cpp - Resampling -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Windows.h"
#include "graft/Conversion/OnnxToLinalg/Lowering.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

namespace {
/// One resized axis: its sizes as floats and as indices, and output over input as the model gives
/// it.
struct Axis {
  int64_t dim;
  Value input, output, scale; // f32
  Value last;                 // index
};
} // namespace

static Value asFloat(B &b, Value index) {
  Value integer = arith::IndexCastOp::create(b, b.getI64Type(), index);
  return arith::SIToFPOp::create(b, b.getF32Type(), integer);
}

/// The position in the input that an output position stands for, in f32 as in the specification.
static Value coordinate(B &b, StringRef mode, const Axis &axis, Value at) {
  Value o = asFloat(b, at), half = number(b, o, 0.5), one = number(b, o, 1);
  auto divide = [&](Value x, Value y) -> Value { return arith::DivFOp::create(b, x, y); };
  auto isOne = [&](Value x) -> Value {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OLE, x, one);
  };
  if (mode == "asymmetric")
    return divide(o, axis.scale);
  if (mode == "align_corners") {
    Value span = mul(b, o, sub(b, axis.input, one));
    Value single = isOne(axis.output);
    Value steps = arith::SelectOp::create(b, single, one, sub(b, axis.output, one));
    return arith::SelectOp::create(b, single, number(b, o, 0), divide(span, steps));
  }
  Value centre = sub(b, divide(add(b, o, half), axis.scale), half);
  if (mode == "pytorch_half_pixel")
    return arith::SelectOp::create(b, isOne(axis.output), number(b, o, 0), centre);
  if (mode == "half_pixel_symmetric") {
    Value adjustment = divide(axis.output, mul(b, axis.input, axis.scale));
    Value middle = mul(b, axis.input, half);
    return add(b, mul(b, middle, sub(b, one, adjustment)), centre);
  }
  return centre;
}

static Value nearest(B &b, StringRef mode, Value x) {
  if (mode == "floor")
    return math::FloorOp::create(b, x);
  if (mode == "ceil")
    return math::CeilOp::create(b, x);
  Value half = number(b, x, 0.5);
  if (mode == "round_prefer_ceil")
    return math::FloorOp::create(b, add(b, x, half));
  return math::CeilOp::create(b, sub(b, x, half));
}

static Value asIndex(B &b, Value x, Value last) {
  Value integer = arith::FPToSIOp::create(b, b.getI64Type(), x);
  Value i = arith::IndexCastOp::create(b, b.getIndexType(), integer);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  return arith::MinSIOp::create(b, arith::MaxSIOp::create(b, i, zero), last);
}

/// Positions along an axis between which is interpolated, each with its weight.
using Taps = SmallVector<std::pair<Value, Value>, 4>;

static Taps linearTaps(B &b, const Axis &axis, Value position) {
  Value most = sub(b, axis.input, number(b, position, 1));
  position = arith::MaximumFOp::create(b, arith::MinimumFOp::create(b, position, most),
                                       number(b, position, 0));
  Value low = math::FloorOp::create(b, position), rest = sub(b, position, low);
  Value first = asIndex(b, low, axis.last);
  Value next = arith::AddIOp::create(b, first, arith::ConstantIndexOp::create(b, 1));
  return {{first, sub(b, number(b, rest, 1), rest)},
          {arith::MinSIOp::create(b, next, axis.last), rest}};
}

/// Keys' convolution with coefficient `a`. Beyond the border its value repeats, or counts for
/// nothing.
static Taps cubicTaps(B &b, const Axis &axis, Value position, double a, bool excludeOutside) {
  Value low = math::FloorOp::create(b, position), rest = sub(b, position, low);
  auto c = [&](double value) { return number(b, rest, value); };
  auto near = [&](Value x) { // |x| <= 1
    Value slope = sub(b, mul(b, x, c(a + 2)), c(a + 3));
    return add(b, mul(b, slope, mul(b, x, x)), c(1));
  };
  auto far = [&](Value x) { // 1 < |x| < 2
    Value inner = add(b, mul(b, sub(b, mul(b, x, c(a)), c(5 * a)), x), c(8 * a));
    return sub(b, mul(b, inner, x), c(4 * a));
  };
  Value back = sub(b, c(1), rest);
  Value weights[] = {far(add(b, rest, c(1))), near(rest), near(back), far(add(b, back, c(1)))};
  Taps taps;
  Value sum = c(0);
  for (int64_t i = 0; i < 4; ++i) {
    Value at = add(b, low, c(i - 1)), weight = weights[i];
    if (excludeOutside) {
      Value within = arith::AndIOp::create(
          b, arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, at, c(0)),
          arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, at, axis.input));
      weight = arith::SelectOp::create(b, within, weight, c(0));
    }
    sum = add(b, sum, weight);
    taps.push_back({asIndex(b, at, axis.last), weight});
  }
  if (excludeOutside)
    for (auto &[at, weight] : taps)
      weight = arith::DivFOp::create(b, weight, sum);
  return taps;
}

static LogicalResult lowerResize(Lowering &l, onnx::ResizeOp op) {
  Tensor x = l.get(op.getX());
  StringRef mode = op.getMode(), transform = op.getCoordinateTransformationMode();
  if (mode != "nearest" && mode != "linear" && mode != "cubic")
    return l.unsupported(op, "mode " + mode);
  if (transform == "tf_crop_and_resize" || op.getAntialias())
    return l.unsupported(op, "tf_crop_and_resize and antialias");
  const Dims &dims = l.dims(op.getY());
  DenseElementsAttr scales = op.getScales() ? Lowering::constantOf(op.getScales()) : nullptr;
  SmallVector<int64_t> given = integers(op.getAxesAttr(), 0, 0);
  if (given.empty())
    given = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  if (int64_t(dims.size()) != x.rank() ||
      (op.getSizes() && op.getKeepAspectRatioPolicy() != "stretch"))
    return l.unsupported(op, "a size that depends on the aspect ratio");
  if (!op.getSizes() && (!scales || scales.getNumElements() != int64_t(given.size())))
    return l.unsupported(op, "scales that are not constant");
  SmallVector<Axis> axes;
  for (auto [i, axis] : llvm::enumerate(given)) {
    int64_t d = normalizeAxis(axis, x.rank());
    if (dims[d] == x.dims[d])
      continue;
    Axis a{d, asFloat(l.b, l.index(x.dims[d])), asFloat(l.b, l.index(dims[d])), {}, {}};
    a.scale = op.getSizes()
                  ? arith::DivFOp::create(l.b, a.output, a.input).getResult()
                  : l.scalar(l.b.getF32Type(), scales.getValues<APFloat>()[i].convertToFloat());
    a.last = arith::MaxSIOp::create(l.b, l.index(x.dims[d] - 1), l.index(0));
    axes.push_back(a);
  }
  if (mode != "nearest" && axes.size() > 3)
    return l.unsupported(op, mode + " resampling of more than three dimensions");
  Tensor result = l.generate(dims, x.element(), [&](B &b, ValueRange at) -> Value {
    SmallVector<Value> from(at);
    if (mode == "nearest") {
      for (const Axis &axis : axes)
        from[axis.dim] = asIndex(
            b, nearest(b, op.getNearestMode(), coordinate(b, transform, axis, at[axis.dim])),
            axis.last);
      return tensor::ExtractOp::create(b, x.value, from);
    }
    SmallVector<Taps> taps;
    for (const Axis &axis : axes) {
      Value position = coordinate(b, transform, axis, at[axis.dim]);
      taps.push_back(mode == "linear"
                         ? linearTaps(b, axis, position)
                         : cubicTaps(b, axis, position, op.getCubicCoeffA().convertToDouble(),
                                     op.getExcludeOutside()));
    }
    // The sum over all combinations, one axis after the other.
    std::function<Value(size_t, Value)> sumFrom = [&](size_t axis, Value factor) -> Value {
      if (axis == axes.size()) {
        Value element = tensor::ExtractOp::create(b, x.value, from);
        Value wide = convert(b, element, b.getF32Type(), false, false);
        return factor ? mul(b, wide, factor) : wide;
      }
      Value sum;
      for (auto [position, weight] : taps[axis]) {
        from[axes[axis].dim] = position;
        Value part = sumFrom(axis + 1, factor ? mul(b, factor, weight) : weight);
        sum = sum ? add(b, sum, part) : part;
      }
      return sum;
    };
    Value sum = sumFrom(0, {});
    return convert(b, sum, x.element(), false, false);
  });
  l.set(op.getY(), result);
  return success();
}

void graft::lowering::addResize(Table &table) { table.add(lowerResize); }
