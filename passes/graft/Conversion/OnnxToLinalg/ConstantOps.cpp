//===- ConstantOps.cpp - Constants and ranges -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

/// A weight stays an onnx.Constant: stages have theirs as arguments, and only hand-written IR comes
/// here with one.
static LogicalResult lowerConstant(Lowering &l, onnx::ConstantOp op) {
  if (auto elements = dyn_cast<DenseElementsAttr>(op.getValue()))
    l.set(op.getOutput(), l.constant(elements));
  else if (isa<RankedTensorType>(op.getType()))
    l.set(op.getOutput(), {op.getOutput(), l.dims(op.getOutput())});
  else
    return l.unsupported(op, "a value that is not a tensor");
  return success();
}

static LogicalResult lowerConstantOfShape(Lowering &l, onnx::ConstantOfShapeOp op) {
  if (!l.shapes.elements(op.getInput()))
    return l.unsupported(op, "a shape of unknown length");
  Type type = l.element(op.getOutput());
  Value fill;
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(op.getValueAttr())) {
    Attribute element = *value.value_begin<Attribute>();
    if (auto integer = dyn_cast<IntegerAttr>(element))
      fill = l.scalar(l.b.getIntegerAttr(type, integer.getValue()));
    else
      fill = l.scalar(element);
  } else {
    fill = l.scalar(zeroOf(type));
  }
  l.set(op.getOutput(), l.filled(l.dims(op.getOutput()), fill));
  return success();
}

static LogicalResult lowerRange(Lowering &l, onnx::RangeOp op) {
  Type type = l.element(op.getOutput());
  auto scalarOf = [&](Value value) -> Value {
    Tensor scalar = l.reshape(l.get(value), {});
    return tensor::ExtractOp::create(l.b, scalar.value, ValueRange{});
  };
  Value start = scalarOf(op.getStart()), delta = scalarOf(op.getDelta());
  Dims dims = l.dims(op.getOutput());
  auto body = [&](B &b, ValueRange at) -> Value {
    Value i = arith::IndexCastOp::create(b, b.getI64Type(), at[0]);
    Value step = convert(b, i, delta.getType(), false, false);
    return convert(b, add(b, start, mul(b, step, delta)), type, false, false);
  };
  if (isa<FloatType>(type)) {
    // max(ceil((limit - start) / delta), 0), which no polynomial tells.
    Value limit = scalarOf(op.getLimit());
    Value span = sub(l.b, limit, start);
    Value count = math::CeilOp::create(l.b, arith::DivFOp::create(l.b, span, delta));
    Value integer = convert(l.b, count, l.b.getI64Type(), false, false);
    Value most = l.scalar(l.b.getI64Type(), double(int64_t(1) << 40));
    Value safe = arith::MinSIOp::create(
        l.b, arith::MaxSIOp::create(l.b, integer, l.scalar(l.b.getI64Type(), 0)), most);
    Value size = arith::IndexCastOp::create(l.b, l.b.getIndexType(), safe);
    auto resultType = RankedTensorType::get({ShapedType::kDynamic}, type);
    Value init = tensor::EmptyOp::create(l.b, resultType, ValueRange{size});
    auto generic =
        linalg::GenericOp::create(l.b, TypeRange{resultType}, ValueRange{}, ValueRange{init},
                                  ArrayRef<AffineMap>{l.b.getMultiDimIdentityMap(1)},
                                  ArrayRef<utils::IteratorType>{utils::IteratorType::parallel},
                                  [&](OpBuilder &nested, Location loc, ValueRange) {
                                    B b(loc, nested);
                                    Value i = linalg::IndexOp::create(b, 0);
                                    linalg::YieldOp::create(b, ValueRange{body(b, ValueRange{i})});
                                  });
    l.set(op.getOutput(), {generic.getResult(0), dims});
    return success();
  }
  l.set(op.getOutput(), l.generate(dims, type, body));
  return success();
}

static LogicalResult lowerEyeLike(Lowering &l, onnx::EyeLikeOp op) {
  Type type = l.element(op.getOutput());
  int64_t k = op.getK();
  Dims dims = l.dims(op.getOutput());
  if (dims.size() != 2)
    return l.unsupported(op, "a rank other than 2");
  Tensor result = l.generate(dims, type, [&](B &b, ValueRange at) -> Value {
    Value offset = arith::ConstantIndexOp::create(b, k);
    Value column = arith::AddIOp::create(b, at[0], offset);
    Value is = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, column, at[1]);
    return convert(b, is, type, true, false);
  });
  l.set(op.getOutput(), result);
  return success();
}

void graft::lowering::addConstants(Table &table) {
  table.add(lowerConstant);
  table.add(lowerConstantOfShape);
  table.add(lowerRange);
  table.add(lowerEyeLike);
}
