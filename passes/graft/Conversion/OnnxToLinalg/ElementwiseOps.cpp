//===- ElementwiseOps.cpp - Arithmetic, logic, conversions -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

static bool isFloat(Value x) { return isa<FloatType>(x.getType()); }

Value graft::lowering::add(B &b, Value x, Value y) {
  return isFloat(x) ? arith::AddFOp::create(b, x, y).getResult()
                    : arith::AddIOp::create(b, x, y).getResult();
}
Value graft::lowering::sub(B &b, Value x, Value y) {
  return isFloat(x) ? arith::SubFOp::create(b, x, y).getResult()
                    : arith::SubIOp::create(b, x, y).getResult();
}
Value graft::lowering::mul(B &b, Value x, Value y) {
  return isFloat(x) ? arith::MulFOp::create(b, x, y).getResult()
                    : arith::MulIOp::create(b, x, y).getResult();
}
Value graft::lowering::maximum(B &b, Value x, Value y, bool isUnsigned) {
  if (isFloat(x))
    return arith::MaximumFOp::create(b, x, y);
  return isUnsigned ? arith::MaxUIOp::create(b, x, y).getResult()
                    : arith::MaxSIOp::create(b, x, y).getResult();
}
Value graft::lowering::minimum(B &b, Value x, Value y, bool isUnsigned) {
  if (isFloat(x))
    return arith::MinimumFOp::create(b, x, y);
  return isUnsigned ? arith::MinUIOp::create(b, x, y).getResult()
                    : arith::MinSIOp::create(b, x, y).getResult();
}

Value graft::lowering::number(B &b, Value like, double value) {
  Type type = like.getType();
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
  return arith::ConstantOp::create(b, b.getIntegerAttr(type, int64_t(value)));
}

TypedAttr graft::lowering::zeroOf(Type type) {
  return cast<TypedAttr>(Builder(type.getContext()).getZeroAttr(type));
}

static TypedAttr extremeOf(Type type, bool isUnsigned, bool greatest) {
  Builder builder(type.getContext());
  if (auto floating = dyn_cast<FloatType>(type))
    return builder.getFloatAttr(type, APFloat::getInf(floating.getFloatSemantics(), !greatest));
  unsigned width = type.getIntOrFloatBitWidth();
  APInt value =
      isUnsigned ? (greatest ? APInt::getMaxValue(width) : APInt::getMinValue(width))
                 : (greatest ? APInt::getSignedMaxValue(width) : APInt::getSignedMinValue(width));
  return builder.getIntegerAttr(type, value);
}
TypedAttr graft::lowering::lowestOf(Type type, bool isUnsigned) {
  return extremeOf(type, isUnsigned, false);
}
TypedAttr graft::lowering::highestOf(Type type, bool isUnsigned) {
  return extremeOf(type, isUnsigned, true);
}

Value graft::lowering::convert(B &b, Value x, Type to, bool fromUnsigned, bool toUnsigned) {
  Type from = x.getType();
  if (from == to)
    return x;
  if (to.isInteger(1)) {
    Value zero = number(b, x, 0);
    if (isFloat(x))
      return arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, x, zero);
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, x, zero);
  }
  unsigned fromWidth = from.getIntOrFloatBitWidth(), toWidth = to.getIntOrFloatBitWidth();
  if (isFloat(x) && isa<FloatType>(to)) {
    if (fromWidth == toWidth) // between f16 and bf16
      return arith::TruncFOp::create(b, to, arith::ExtFOp::create(b, b.getF32Type(), x));
    return fromWidth < toWidth ? arith::ExtFOp::create(b, to, x).getResult()
                               : arith::TruncFOp::create(b, to, x).getResult();
  }
  if (isFloat(x)) {
    // Out of range is undefined in IR, and whatever the machine gives in ONNX: convert through a
    // saturated value.
    Type wide = toWidth < 64 ? b.getI64Type() : to;
    double limit = 9223372036854774784.0; // the greatest double below 2^63
    if (from.isF32())
      limit = 9223371487098961920.0; // the greatest float below 2^63
    if (!from.isF16()) {
      Value high = number(b, x, limit), low = number(b, x, -limit);
      x = arith::MaxNumFOp::create(b, arith::MinNumFOp::create(b, x, high), low);
    } else {
      Value isNumber = arith::CmpFOp::create(b, arith::CmpFPredicate::ORD, x, x);
      x = arith::SelectOp::create(b, isNumber, x, number(b, x, 0));
    }
    Value integer = arith::FPToSIOp::create(b, wide, x);
    return wide == to ? integer : arith::TruncIOp::create(b, to, integer).getResult();
  }
  if (isa<FloatType>(to))
    return fromUnsigned || from.isInteger(1) ? arith::UIToFPOp::create(b, to, x).getResult()
                                             : arith::SIToFPOp::create(b, to, x).getResult();
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(b, to, x);
  if (fromWidth == toWidth)
    return x;
  return fromUnsigned || from.isInteger(1) ? arith::ExtUIOp::create(b, to, x).getResult()
                                           : arith::ExtSIOp::create(b, to, x).getResult();
}

//===----------------------------------------------------------------------===//
// Binary
//===----------------------------------------------------------------------===//

/// Integer division and remainder must not trap: the divisor is never 0, and -1 is taken apart.
static std::pair<Value, Value> divideIntegers(B &b, Value x, Value y, bool isUnsigned) {
  Value zero = number(b, y, 0), one = number(b, y, 1);
  Value isZero = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, y, zero);
  if (isUnsigned) {
    Value safe = arith::SelectOp::create(b, isZero, one, y);
    return {arith::DivUIOp::create(b, x, safe), arith::RemUIOp::create(b, x, safe)};
  }
  Value isMinusOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, y, number(b, y, -1));
  Value unsafe = arith::OrIOp::create(b, isZero, isMinusOne);
  Value safe = arith::SelectOp::create(b, unsafe, one, y);
  Value quotient = arith::DivSIOp::create(b, x, safe);
  Value negated = arith::SubIOp::create(b, zero, x);
  quotient = arith::SelectOp::create(b, isMinusOne, negated, quotient);
  return {quotient, arith::RemSIOp::create(b, x, safe)};
}

static Value modulo(B &b, Value x, Value y, bool isUnsigned, bool isFmod) {
  if (isFloat(x)) {
    Value rest = arith::RemFOp::create(b, x, y);
    if (isFmod)
      return rest;
    // The sign of the divisor.
    Value zero = number(b, x, 0);
    Value nonZero = arith::CmpFOp::create(b, arith::CmpFPredicate::ONE, rest, zero);
    Value negative = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, rest, zero);
    Value below = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, y, zero);
    Value differ = arith::AndIOp::create(b, nonZero, arith::XOrIOp::create(b, negative, below));
    return arith::SelectOp::create(b, differ, arith::AddFOp::create(b, rest, y), rest);
  }
  Value rest = divideIntegers(b, x, y, isUnsigned).second;
  if (isUnsigned || isFmod)
    return rest;
  Value zero = number(b, x, 0);
  Value nonZero = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, rest, zero);
  Value negative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, rest, zero);
  Value below = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, y, zero);
  Value differ = arith::AndIOp::create(b, nonZero, arith::XOrIOp::create(b, negative, below));
  return arith::SelectOp::create(b, differ, arith::AddIOp::create(b, rest, y), rest);
}

/// `x` to the power of `y`, in the type of `x`. Small constant exponents are products.
static Value power(B &b, Value x, Value y, bool xUnsigned, bool yUnsigned) {
  APFloat exponent(0.0);
  APInt integer;
  std::optional<double> constant;
  if (matchPattern(y, m_ConstantFloat(&exponent)))
    constant = exponent.convertToDouble();
  else if (matchPattern(y, m_ConstantInt(&integer)))
    constant = double(integer.getSExtValue());
  if (constant && *constant == 1)
    return x;
  if (constant && *constant == 2)
    return mul(b, x, x);
  if (constant && *constant == 3)
    return mul(b, mul(b, x, x), x);
  if (constant && *constant == 0.5 && isFloat(x))
    return math::SqrtOp::create(b, x);
  if (constant && *constant == -1 && isFloat(x))
    return arith::DivFOp::create(b, number(b, x, 1), x);
  Type type = x.getType();
  if (!isFloat(x)) {
    if (!isFloat(y) && type.getIntOrFloatBitWidth() >= 32)
      return math::IPowIOp::create(b, x, convert(b, y, type, yUnsigned, xUnsigned));
    Value wide = convert(b, x, b.getF64Type(), xUnsigned, false);
    Value result = math::PowFOp::create(b, wide, convert(b, y, b.getF64Type(), yUnsigned, false));
    return convert(b, result, type, false, xUnsigned);
  }
  return math::PowFOp::create(b, x, convert(b, y, type, yUnsigned, false));
}

template <typename OpTy> static Value logic(B &b, ValueRange v) {
  return OpTy::create(b, v[0], v[1]);
}

static Value compare(B &b, Value x, Value y, bool isUnsigned, arith::CmpFPredicate floats,
                     arith::CmpIPredicate integers, arith::CmpIPredicate unsignedIntegers) {
  if (isFloat(x))
    return arith::CmpFOp::create(b, floats, x, y);
  return arith::CmpIOp::create(b, isUnsigned ? unsignedIntegers : integers, x, y);
}

static LogicalResult lowerBinary(Lowering &l, Operation *op) {
  bool isUnsigned = l.isUnsigned(op->getOperand(0));
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  auto body = [&](B &b, ValueRange v) -> Value {
    auto cmp = [&](F floats, I integers, I unsignedIntegers) {
      return compare(b, v[0], v[1], isUnsigned, floats, integers, unsignedIntegers);
    };
    return llvm::TypeSwitch<Operation *, Value>(op)
        .Case([&](onnx::AddOp) { return add(b, v[0], v[1]); })
        .Case([&](onnx::SubOp) { return sub(b, v[0], v[1]); })
        .Case([&](onnx::MulOp) { return mul(b, v[0], v[1]); })
        .Case([&](onnx::DivOp) -> Value {
          if (isFloat(v[0]))
            return arith::DivFOp::create(b, v[0], v[1]);
          return divideIntegers(b, v[0], v[1], isUnsigned).first;
        })
        .Case(
            [&](onnx::ModOp mod) { return modulo(b, v[0], v[1], isUnsigned, mod.getFmod() != 0); })
        .Case([&](onnx::PowOp) {
          return power(b, v[0], v[1], isUnsigned, l.isUnsigned(op->getOperand(1)));
        })
        .Case<onnx::AndOp, onnx::BitwiseAndOp>(
            [&](Operation *) { return logic<arith::AndIOp>(b, v); })
        .Case<onnx::OrOp, onnx::BitwiseOrOp>([&](Operation *) { return logic<arith::OrIOp>(b, v); })
        .Case<onnx::XorOp, onnx::BitwiseXorOp>(
            [&](Operation *) { return logic<arith::XOrIOp>(b, v); })
        .Case([&](onnx::EqualOp) { return cmp(F::OEQ, I::eq, I::eq); })
        .Case([&](onnx::GreaterOp) { return cmp(F::OGT, I::sgt, I::ugt); })
        .Case([&](onnx::GreaterOrEqualOp) { return cmp(F::OGE, I::sge, I::uge); })
        .Case([&](onnx::LessOp) { return cmp(F::OLT, I::slt, I::ult); })
        .Case([&](onnx::LessOrEqualOp) { return cmp(F::OLE, I::sle, I::ule); })
        .Case([&](onnx::BitShiftOp shift) -> Value {
          // A shift by the width or more is undefined in IR, and 0 here.
          unsigned width = v[0].getType().getIntOrFloatBitWidth();
          Value inside = arith::CmpIOp::create(b, I::ult, v[1], number(b, v[1], width));
          Value zero = number(b, v[0], 0), by = arith::SelectOp::create(b, inside, v[1], zero);
          Value shifted = shift.getDirection() == "LEFT"
                              ? arith::ShLIOp::create(b, v[0], by).getResult()
                              : arith::ShRUIOp::create(b, v[0], by).getResult();
          return arith::SelectOp::create(b, inside, shifted, zero);
        })
        .Default([](Operation *) { return Value(); });
  };
  Value result = op->getResult(0);
  l.set(result, l.map({l.get(op->getOperand(0)), l.get(op->getOperand(1))}, l.dims(result),
                      l.element(result), body));
  return success();
}

static LogicalResult lowerVariadic(Lowering &l, Operation *op) {
  if (op->getNumOperands() == 0)
    return l.unsupported(op, "no operands");
  bool isUnsigned = l.isUnsigned(op->getOperand(0));
  SmallVector<Tensor> operands;
  for (Value operand : op->getOperands())
    operands.push_back(l.get(operand));
  auto body = [&](B &b, ValueRange v) -> Value {
    Value result = v[0];
    for (Value next : v.drop_front())
      result = isa<onnx::MinOp>(op)   ? minimum(b, result, next, isUnsigned)
               : isa<onnx::MaxOp>(op) ? maximum(b, result, next, isUnsigned)
                                      : add(b, result, next);
    if (isa<onnx::MeanOp>(op))
      result = arith::DivFOp::create(b, result, number(b, result, v.size()));
    return result;
  };
  Value result = op->getResult(0);
  l.set(result, l.map(operands, l.dims(result), l.element(result), body));
  return success();
}

static LogicalResult lowerWhere(Lowering &l, onnx::WhereOp op) {
  Tensor result =
      l.map({l.get(op.getCondition()), l.get(op.getX()), l.get(op.getY())}, l.dims(op.getOutput()),
            l.element(op.getOutput()), [](B &b, ValueRange v) -> Value {
              return arith::SelectOp::create(b, v[0], v[1], v[2]);
            });
  l.set(op.getOutput(), result);
  return success();
}

static LogicalResult lowerClip(Lowering &l, onnx::ClipOp op) {
  SmallVector<Tensor> operands{l.get(op.getInput())};
  if (op.getMin())
    operands.push_back(l.reshape(l.get(op.getMin()), {}));
  if (op.getMax())
    operands.push_back(l.reshape(l.get(op.getMax()), {}));
  bool isUnsigned = l.isUnsigned(op.getInput());
  Tensor result = l.map(operands, l.dims(op.getOutput()), l.element(op.getOutput()),
                        [&](B &b, ValueRange v) -> Value {
                          Value x = v[0];
                          if (op.getMin())
                            x = maximum(b, x, v[1], isUnsigned);
                          if (op.getMax())
                            x = minimum(b, x, v.back(), isUnsigned);
                          return x;
                        });
  l.set(op.getOutput(), result);
  return success();
}

//===----------------------------------------------------------------------===//
// Unary
//===----------------------------------------------------------------------===//

template <typename OpTy> static Value apply(B &b, Value x) { return OpTy::create(b, x); }

static Value sign(B &b, Value x, bool isUnsigned) {
  Value zero = number(b, x, 0), one = number(b, x, 1);
  if (isUnsigned)
    return arith::MinUIOp::create(b, x, one);
  if (!isFloat(x))
    return arith::MaxSIOp::create(b, arith::MinSIOp::create(b, x, one), number(b, x, -1));
  using F = arith::CmpFPredicate;
  Value below = arith::CmpFOp::create(b, F::OLT, x, zero);
  Value above = arith::CmpFOp::create(b, F::OGT, x, zero);
  Value rest = arith::SelectOp::create(b, below, number(b, x, -1), x);
  return arith::SelectOp::create(b, above, one, rest);
}

static Value isInfinite(B &b, Value x, bool negative, bool positive) {
  auto is = [&](bool isNegative) -> Value {
    auto type = cast<FloatType>(x.getType());
    Value infinity = arith::ConstantOp::create(
        b, b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(), isNegative)));
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x, infinity);
  };
  if (negative && positive)
    return arith::OrIOp::create(b, is(true), is(false));
  if (!negative && !positive)
    return arith::ConstantOp::create(b, b.getBoolAttr(false));
  return is(negative);
}

static LogicalResult lowerUnary(Lowering &l, Operation *op) {
  bool isUnsigned = l.isUnsigned(op->getOperand(0));
  auto body = [&](B &b, ValueRange v) -> Value {
    Value x = v[0];
    using T = llvm::TypeSwitch<Operation *, Value>;
    return T(op)
        .Case<onnx::SqrtOp>([&](Operation *) { return apply<math::SqrtOp>(b, x); })
        .Case<onnx::ExpOp>([&](Operation *) { return apply<math::ExpOp>(b, x); })
        .Case<onnx::LogOp>([&](Operation *) { return apply<math::LogOp>(b, x); })
        .Case<onnx::ErfOp>([&](Operation *) { return apply<math::ErfOp>(b, x); })
        .Case<onnx::FloorOp>([&](Operation *) { return apply<math::FloorOp>(b, x); })
        .Case<onnx::CeilOp>([&](Operation *) { return apply<math::CeilOp>(b, x); })
        .Case<onnx::RoundOp>([&](Operation *) { return apply<math::RoundEvenOp>(b, x); })
        .Case<onnx::SinOp>([&](Operation *) { return apply<math::SinOp>(b, x); })
        .Case<onnx::CosOp>([&](Operation *) { return apply<math::CosOp>(b, x); })
        .Case<onnx::TanOp>([&](Operation *) { return apply<math::TanOp>(b, x); })
        .Case<onnx::AsinOp>([&](Operation *) { return apply<math::AsinOp>(b, x); })
        .Case<onnx::AcosOp>([&](Operation *) { return apply<math::AcosOp>(b, x); })
        .Case<onnx::AtanOp>([&](Operation *) { return apply<math::AtanOp>(b, x); })
        .Case<onnx::SinhOp>([&](Operation *) { return apply<math::SinhOp>(b, x); })
        .Case<onnx::CoshOp>([&](Operation *) { return apply<math::CoshOp>(b, x); })
        .Case<onnx::AsinhOp>([&](Operation *) { return apply<math::AsinhOp>(b, x); })
        .Case<onnx::AcoshOp>([&](Operation *) { return apply<math::AcoshOp>(b, x); })
        .Case<onnx::AtanhOp>([&](Operation *) { return apply<math::AtanhOp>(b, x); })
        .Case<onnx::NegOp>([&](Operation *) {
          return isFloat(x) ? apply<arith::NegFOp>(b, x) : sub(b, number(b, x, 0), x);
        })
        .Case<onnx::AbsOp>([&](Operation *) {
          if (isUnsigned)
            return x;
          return isFloat(x) ? apply<math::AbsFOp>(b, x) : apply<math::AbsIOp>(b, x);
        })
        .Case<onnx::SignOp>([&](Operation *) { return sign(b, x, isUnsigned); })
        .Case<onnx::ReciprocalOp>(
            [&](Operation *) -> Value { return arith::DivFOp::create(b, number(b, x, 1), x); })
        .Case<onnx::NotOp>(
            [&](Operation *) -> Value { return arith::XOrIOp::create(b, x, number(b, x, 1)); })
        .Case<onnx::BitwiseNotOp>(
            [&](Operation *) -> Value { return arith::XOrIOp::create(b, x, number(b, x, -1)); })
        .Case<onnx::IsNaNOp>([&](Operation *) -> Value {
          return arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
        })
        .Case([&](onnx::IsInfOp inf) {
          return isInfinite(b, x, inf.getDetectNegative() != 0, inf.getDetectPositive() != 0);
        })
        .Case<onnx::CastOp, onnx::CastLikeOp>([&](Operation *) {
          return convert(b, x, l.element(op->getResult(0)), isUnsigned,
                         l.isUnsigned(op->getResult(0)));
        })
        .Default([](Operation *) { return Value(); });
  };
  Value result = op->getResult(0);
  l.set(result, l.map({l.get(op->getOperand(0))}, l.dims(result), l.element(result), body));
  return success();
}

static LogicalResult lowerIdentity(Lowering &l, Operation *op) {
  if (auto dropout = dyn_cast<onnx::DropoutOp>(op); dropout && dropout.getMask()) {
    Value mask = dropout.getMask();
    l.set(mask, l.filled(l.dims(mask), l.scalar(l.element(mask), 1)));
  }
  l.set(op->getResult(0), l.get(op->getOperand(0)));
  return success();
}

static LogicalResult lowerCast(Lowering &l, Operation *op) {
  Value from = op->getOperand(0), to = op->getResult(0);
  if (l.element(from) == l.element(to)) {
    l.set(to, l.get(from));
    return success();
  }
  return lowerUnary(l, op);
}

void graft::lowering::addElementwise(Table &table) {
  table.addAll<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::ModOp, onnx::PowOp,
               onnx::AndOp, onnx::OrOp, onnx::XorOp, onnx::BitwiseAndOp, onnx::BitwiseOrOp,
               onnx::BitwiseXorOp, onnx::BitShiftOp, onnx::EqualOp, onnx::GreaterOp,
               onnx::GreaterOrEqualOp, onnx::LessOp, onnx::LessOrEqualOp>(lowerBinary);
  table.addAll<onnx::MinOp, onnx::MaxOp, onnx::MeanOp, onnx::SumOp>(lowerVariadic);
  table.addAll<onnx::SqrtOp, onnx::ExpOp, onnx::LogOp, onnx::ErfOp, onnx::FloorOp, onnx::CeilOp,
               onnx::RoundOp, onnx::SinOp, onnx::CosOp, onnx::TanOp, onnx::AsinOp, onnx::AcosOp,
               onnx::AtanOp, onnx::SinhOp, onnx::CoshOp, onnx::AsinhOp, onnx::AcoshOp,
               onnx::AtanhOp, onnx::NegOp, onnx::AbsOp, onnx::SignOp, onnx::ReciprocalOp,
               onnx::NotOp, onnx::BitwiseNotOp, onnx::IsNaNOp, onnx::IsInfOp>(lowerUnary);
  table.addAll<onnx::CastOp, onnx::CastLikeOp>(lowerCast);
  table.addAll<onnx::IdentityOp, onnx::DropoutOp>(lowerIdentity);
  table.add(lowerWhere);
  table.add(lowerClip);
}
