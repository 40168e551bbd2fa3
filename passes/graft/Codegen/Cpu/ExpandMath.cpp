//===- ExpandMath.cpp - Mathematics without libm -----------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Fault/Fault.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/StringSet.h"

#include <cmath>

namespace graft {
#define GEN_PASS_DEF_EXPANDMATHPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;

namespace {
/// Arithmetic on scalars and vectors of one type.
struct Arithmetic {
  PatternRewriter &rewriter;
  Location loc;
  Type type;

  Type elementType() const { return getElementTypeOrSelf(type); }
  Type like(Type element) const {
    if (auto vector = dyn_cast<VectorType>(type))
      return vector.clone(element);
    return element;
  }
  Value constant(TypedAttr attr) {
    if (auto vector = dyn_cast<VectorType>(like(attr.getType())))
      return arith::ConstantOp::create(rewriter, loc,
                                       DenseElementsAttr::get(vector, Attribute(attr)));
    return arith::ConstantOp::create(rewriter, loc, attr);
  }
  Value real(double value) { return constant(rewriter.getFloatAttr(elementType(), value)); }
  Value real64(double value) { return constant(rewriter.getF64FloatAttr(value)); }
  Value integer(int64_t value, unsigned bits) {
    return constant(rewriter.getIntegerAttr(rewriter.getIntegerType(bits), value));
  }
  template <typename Op, typename... Args> Value op(Args &&...args) {
    return Op::create(rewriter, loc, std::forward<Args>(args)...);
  }
  Value select(Value condition, Value yes, Value no) {
    return op<arith::SelectOp>(condition, yes, no);
  }
  Value compare(arith::CmpFPredicate predicate, Value lhs, Value rhs) {
    return op<arith::CmpFOp>(predicate, lhs, rhs);
  }
};

/// x mod y, with the sign of x, as fmod has it. The quotient of two floats of at most 32 bits is
/// exact to its integer part in double precision up to 2^53, beyond which there is no remainder to
/// speak of.
struct ExpandRemF : OpRewritePattern<arith::RemFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::RemFOp rem, PatternRewriter &rewriter) const override {
    Arithmetic a{rewriter, rem.getLoc(), rem.getType()};
    Type wide = a.like(rewriter.getF64Type());
    bool narrow = rem.getType() != wide;
    auto widen = [&](Value v) { return narrow ? a.op<arith::ExtFOp>(wide, v) : v; };
    Value x = widen(rem.getLhs()), y = widen(rem.getRhs());
    Value magnitude = a.op<math::AbsFOp>(x), divisor = a.op<math::AbsFOp>(y);
    Value quotient = a.op<math::TruncOp>(a.op<arith::DivFOp>(magnitude, divisor));
    Value rest = a.op<math::FmaOp>(a.op<arith::NegFOp>(quotient), divisor, magnitude);
    // The division may have rounded up to the next integer, or down from it.
    Value zero = a.real64(0.0);
    rest = a.select(a.compare(arith::CmpFPredicate::OLT, rest, zero),
                    a.op<arith::AddFOp>(rest, divisor), rest);
    rest = a.select(a.compare(arith::CmpFPredicate::OGE, rest, divisor),
                    a.op<arith::SubFOp>(rest, divisor), rest);
    Value infinity = a.real64(HUGE_VAL);
    Value finite = a.compare(arith::CmpFPredicate::OLT, magnitude, infinity);
    Value unbounded = a.compare(arith::CmpFPredicate::OEQ, divisor, infinity);
    rest = a.select(a.op<arith::AndIOp>(finite, unbounded), magnitude, rest);
    rest = a.op<math::CopySignOp>(rest, x);
    if (narrow)
      rest = a.op<arith::TruncFOp>(rem.getType(), rest);
    rewriter.replaceOp(rem, rest);
    return success();
  }
};

/// Halves away from zero. The instruction rounds them to even.
struct ExpandRound : OpRewritePattern<math::RoundOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::RoundOp round, PatternRewriter &rewriter) const override {
    Arithmetic a{rewriter, round.getLoc(), round.getType()};
    Value x = round.getOperand();
    Value whole = a.op<math::TruncOp>(x);
    Value rest = a.op<math::AbsFOp>(a.op<arith::SubFOp>(x, whole));
    Value step = a.op<math::CopySignOp>(a.real(1.0), x);
    Value up = a.compare(arith::CmpFPredicate::OGE, rest, a.real(0.5));
    rewriter.replaceOp(round, a.select(up, a.op<arith::AddFOp>(whole, step), whole));
    return success();
  }
};

/// a^b = exp(b log |a|) for the base's magnitude; the sign follows from whether b is odd.
struct ExpandPow : OpRewritePattern<math::PowFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::PowFOp pow, PatternRewriter &rewriter) const override {
    Arithmetic a{rewriter, pow.getLoc(), pow.getType()};
    Value base = pow.getLhs(), exponent = pow.getRhs();
    APFloat constant(0.0f);
    if (matchPattern(exponent, m_ConstantFloat(&constant))) {
      bool inexact;
      constant.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &inexact);
      double value = constant.convertToDouble();
      if (value == 0.5) {
        rewriter.replaceOpWithNewOp<math::SqrtOp>(pow, base);
        return success();
      }
      double magnitude = std::abs(value);
      if (magnitude <= 8 && magnitude == std::floor(magnitude)) {
        Value result = a.real(1.0), power = base;
        bool first = true;
        for (unsigned bits = unsigned(magnitude); bits; bits >>= 1) {
          if (bits & 1)
            result = first ? power : a.op<arith::MulFOp>(result, power);
          first &= !(bits & 1);
          if (bits > 1)
            power = a.op<arith::MulFOp>(power, power);
        }
        if (value < 0)
          result = a.op<arith::DivFOp>(a.real(1.0), result);
        rewriter.replaceOp(pow, result);
        return success();
      }
    }
    Value zero = a.real(0.0), one = a.real(1.0), half = a.real(0.5);
    Value magnitude = a.op<math::AbsFOp>(base);
    Value result = a.op<math::ExpOp>(
        a.op<arith::MulFOp>(exponent, a.op<math::LogOp>(magnitude)).getDefiningOp()->getResult(0));
    Value whole = a.compare(arith::CmpFPredicate::OEQ, a.op<math::FloorOp>(exponent), exponent);
    Value halved = a.op<arith::MulFOp>(exponent, half);
    Value odd = a.op<arith::AndIOp>(
        whole, a.compare(arith::CmpFPredicate::ONE, a.op<math::FloorOp>(halved), halved));
    Value negative = a.compare(arith::CmpFPredicate::OLT, base, zero);
    Value flip = a.op<arith::AndIOp>(negative, odd);
    result = a.select(flip, a.op<arith::NegFOp>(result), result);
    Value yes = a.integer(1, 1);
    Value undefined = a.op<arith::AndIOp>(negative, a.op<arith::XOrIOp>(whole, yes));
    result = a.select(undefined, a.real(NAN), result);
    Value unit = a.op<arith::OrIOp>(a.compare(arith::CmpFPredicate::OEQ, exponent, zero),
                                    a.compare(arith::CmpFPredicate::OEQ, base, one));
    result = a.select(unit, one, result);
    Value nothing = a.op<arith::AndIOp>(a.compare(arith::CmpFPredicate::OEQ, base, zero),
                                        a.compare(arith::CmpFPredicate::OGT, exponent, zero));
    result = a.select(nothing, zero, result);
    rewriter.replaceOp(pow, result);
    return success();
  }
};

/// Sine and cosine. Upstream's approximation reduces the argument in single precision, and loses
/// five digits at a position of 1000 in a rotary embedding; in double precision nothing is lost.
template <typename Op> struct ExpandSinCos : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    Arithmetic a{rewriter, op.getLoc(), op.getType()};
    Type wide = a.like(rewriter.getF64Type());
    bool narrow = op.getType() != wide;
    Value x = narrow ? a.op<arith::ExtFOp>(wide, op.getOperand()) : op.getOperand();
    // Quarter turns, and what remains within ±π/4.
    Value turns = a.op<math::RoundEvenOp>(a.op<arith::MulFOp>(x, a.real64(0.63661977236758134308)));
    Value back = a.op<arith::NegFOp>(turns);
    Value rest = a.op<math::FmaOp>(back, a.real64(1.57079632679489655800), x);
    rest = a.op<math::FmaOp>(back, a.real64(6.12323399573676603587e-17), rest);
    Value square = a.op<arith::MulFOp>(rest, rest);
    auto polynomial = [&](ArrayRef<double> coefficients) {
      Value sum = a.real64(coefficients[0]);
      for (double c : coefficients.drop_front())
        sum = a.op<math::FmaOp>(sum, square, a.real64(c));
      return sum;
    };
    // Taylor's series to degree 17 and 16: below 1e-17 within ±π/4.
    Value sine = a.op<arith::MulFOp>(
        rest, polynomial({2.8114572543455206e-15, -7.6471637318198165e-13, 1.6059043836821613e-10,
                          -2.5052108385441720e-08, 2.7557319223985893e-06, -1.9841269841269841e-04,
                          8.3333333333333332e-03, -1.6666666666666666e-01, 1.0}));
    Value cosine =
        polynomial({4.7794773323873853e-14, -1.1470745597729725e-11, 2.0876756987868099e-09,
                    -2.7557319223985888e-07, 2.4801587301587302e-05, -1.3888888888888889e-03,
                    4.1666666666666664e-02, -0.5, 1.0});
    // Of huge arguments nothing is asked but that the result is a number within ±1.
    Value bound = a.real64(9.0e15);
    Value moderate = a.compare(arith::CmpFPredicate::OLT, a.op<math::AbsFOp>(turns), bound);
    Value safe = a.select(moderate, turns, a.real64(0.0));
    Value quadrant = a.op<arith::FPToSIOp>(a.like(rewriter.getI64Type()), safe);
    if (std::is_same_v<Op, math::CosOp>)
      quadrant = a.op<arith::AddIOp>(quadrant, a.integer(1, 64));
    auto bit = [&](int64_t mask) {
      Value masked = a.op<arith::AndIOp>(quadrant, a.integer(mask, 64));
      return a.op<arith::CmpIOp>(arith::CmpIPredicate::ne, masked, a.integer(0, 64));
    };
    Value result = a.select(bit(1), cosine, sine);
    result = a.select(bit(2), a.op<arith::NegFOp>(result), result);
    Value number = a.compare(arith::CmpFPredicate::OLT, a.op<math::AbsFOp>(x), a.real64(HUGE_VAL));
    Value otherwise = a.select(number, a.real64(0.0), a.real64(NAN));
    result = a.select(moderate, result, otherwise);
    if (narrow)
      result = a.op<arith::TruncFOp>(op.getType(), result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// Integer powers: a multiplication for each bit of the exponent.
struct ExpandIPow : OpRewritePattern<math::IPowIOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::IPowIOp pow, PatternRewriter &rewriter) const override {
    Arithmetic a{rewriter, pow.getLoc(), pow.getType()};
    unsigned bits = getElementTypeOrSelf(pow.getType()).getIntOrFloatBitWidth();
    Value zero = a.integer(0, bits), one = a.integer(1, bits), minus = a.integer(-1, bits);
    auto is = [&](arith::CmpIPredicate predicate, Value lhs, Value rhs) {
      return a.op<arith::CmpIOp>(predicate, lhs, rhs);
    };
    Value base = pow.getLhs(), exponent = pow.getRhs(), result = one, power = base, rest = exponent;
    for (unsigned bit = 0; bit < bits; ++bit) {
      Value odd = is(arith::CmpIPredicate::ne, a.op<arith::AndIOp>(rest, one), zero);
      result = a.select(odd, a.op<arith::MulIOp>(result, power), result);
      if (bit + 1 == bits)
        break;
      power = a.op<arith::MulIOp>(power, power);
      rest = a.op<arith::ShRUIOp>(rest, one);
    }
    // 1 / base^|exponent|, rounded towards zero: only 1 and -1 leave something.
    Value sign = a.select(is(arith::CmpIPredicate::ne, a.op<arith::AndIOp>(exponent, one), zero),
                          minus, one);
    Value inverse = a.select(is(arith::CmpIPredicate::eq, base, one), one,
                             a.select(is(arith::CmpIPredicate::eq, base, minus), sign, zero));
    Value negative = is(arith::CmpIPredicate::slt, exponent, zero);
    rewriter.replaceOp(pow, a.select(negative, inverse, result));
    return success();
  }
};

/// Upstream's approximations are for single precision; these are for double. The errors are a few
/// units in the last place.
template <typename Op> struct ExpandDouble : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    Arithmetic a{rewriter, op.getLoc(), op.getType()};
    if (!a.elementType().isF64())
      return failure();
    rewriter.replaceOp(op, compute(a, op.getOperand()));
    return success();
  }

private:
  static Value horner(Arithmetic &a, Value x, ArrayRef<double> coefficients) {
    Value sum = a.real64(coefficients[0]);
    for (double c : coefficients.drop_front())
      sum = a.op<math::FmaOp>(sum, x, a.real64(c));
    return sum;
  }

  static Value exp(Arithmetic &a, Value x) {
    Type bits = a.like(a.rewriter.getI64Type());
    Value low = a.real64(-708.0), high = a.real64(709.7);
    Value bounded = a.op<arith::MinimumFOp>(a.op<arith::MaximumFOp>(x, low), high);
    bounded = a.select(a.compare(arith::CmpFPredicate::UNO, x, x), a.real64(0.0), bounded);
    Value power =
        a.op<math::RoundEvenOp>(a.op<arith::MulFOp>(bounded, a.real64(1.4426950408889634074)));
    Value back = a.op<arith::NegFOp>(power);
    Value rest = a.op<math::FmaOp>(back, a.real64(6.93147180369123816490e-01), bounded);
    rest = a.op<math::FmaOp>(back, a.real64(1.90821492927058770002e-10), rest);
    // Taylor's series to degree 13: below 1e-17 within ±ln(2)/2.
    Value result = horner(a, rest,
                          {1.6059043836821613e-10, 2.08767569878681e-09, 2.505210838544172e-08,
                           2.755731922398589e-07, 2.7557319223985893e-06, 2.48015873015873e-05,
                           1.984126984126984e-04, 1.3888888888888889e-03, 8.3333333333333333e-03,
                           4.1666666666666664e-02, 1.6666666666666666e-01, 0.5, 1.0, 1.0});
    // 2^1024 is no number: half of the power is multiplied in twice.
    Value whole = a.op<arith::FPToSIOp>(bits, power);
    Value half = a.op<arith::ShRSIOp>(whole, a.integer(1, 64));
    auto scale = [&](Value exponent) {
      Value biased = a.op<arith::AddIOp>(exponent, a.integer(1023, 64));
      return a.op<arith::BitcastOp>(a.type, a.op<arith::ShLIOp>(biased, a.integer(52, 64)));
    };
    result = a.op<arith::MulFOp>(result, scale(half));
    result = a.op<arith::MulFOp>(result, scale(a.op<arith::SubIOp>(whole, half)));
    result = a.select(a.compare(arith::CmpFPredicate::OLT, x, low), a.real64(0.0), result);
    result = a.select(a.compare(arith::CmpFPredicate::OGT, x, a.real64(709.782712893384)),
                      a.real64(HUGE_VAL), result);
    return a.select(a.compare(arith::CmpFPredicate::UNO, x, x), x, result);
  }

  static Value log(Arithmetic &a, Value x) {
    Type bits = a.like(a.rewriter.getI64Type());
    Value tiny = a.compare(arith::CmpFPredicate::OLT, x, a.real64(2.2250738585072014e-308));
    Value normal = a.select(tiny, a.op<arith::MulFOp>(x, a.real64(18014398509481984.0)), x);
    Value word = a.op<arith::BitcastOp>(bits, normal);
    // x = 2^e m with m in [√½, √2): the fraction's bits, counted from those of √½.
    Value from = a.integer(0x3FE6A09E667F3BCD, 64);
    Value distance = a.op<arith::SubIOp>(word, from);
    Value exponent = a.op<arith::ShRSIOp>(distance, a.integer(52, 64));
    Value mantissa = a.op<arith::BitcastOp>(
        a.type, a.op<arith::SubIOp>(word, a.op<arith::ShLIOp>(exponent, a.integer(52, 64))));
    Value e = a.op<arith::SIToFPOp>(a.type, exponent);
    e = a.select(tiny, a.op<arith::SubFOp>(e, a.real64(54.0)), e);
    Value one = a.real64(1.0);
    Value f = a.op<arith::SubFOp>(mantissa, one);
    Value s = a.op<arith::DivFOp>(f, a.op<arith::AddFOp>(mantissa, one));
    Value z = a.op<arith::MulFOp>(s, s);
    // ln m = 2 artanh(s) = 2s (1 + z/3 + z²/5 + …), |s| ≤ 0.172.
    Value series = horner(a, z,
                          {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9,
                           1.0 / 7, 1.0 / 5, 1.0 / 3});
    Value twice = a.op<arith::AddFOp>(s, s);
    Value ln = a.op<math::FmaOp>(a.op<arith::MulFOp>(twice, z), series, twice);
    Value result = a.op<math::FmaOp>(e, a.real64(1.90821492927058770002e-10), ln);
    result = a.op<math::FmaOp>(e, a.real64(6.93147180369123816490e-01), result);
    Value infinity = a.real64(HUGE_VAL), zero = a.real64(0.0);
    result = a.select(a.compare(arith::CmpFPredicate::OEQ, x, infinity), infinity, result);
    result = a.select(a.compare(arith::CmpFPredicate::OEQ, x, zero), a.real64(-HUGE_VAL), result);
    return a.select(a.compare(arith::CmpFPredicate::UGE, x, zero),
                    a.select(a.compare(arith::CmpFPredicate::UNO, x, x), x, result), a.real64(NAN));
  }

  static Value tanh(Arithmetic &a, Value x) {
    Value square = a.op<arith::MulFOp>(x, x);
    Value small = a.op<arith::MulFOp>(
        x, horner(a, square, {62.0 / 2835, -17.0 / 315, 2.0 / 15, -1.0 / 3, 1.0}));
    Value magnitude = a.op<math::AbsFOp>(x);
    Value power = exp(a, a.op<arith::MulFOp>(magnitude, a.real64(-2.0)));
    Value one = a.real64(1.0);
    Value large =
        a.op<arith::DivFOp>(a.op<arith::SubFOp>(one, power), a.op<arith::AddFOp>(one, power));
    Value near = a.compare(arith::CmpFPredicate::OLT, magnitude, a.real64(0.02));
    return a.select(near, small, a.op<math::CopySignOp>(large, x));
  }

  static Value compute(Arithmetic &a, Value x) {
    if constexpr (std::is_same_v<Op, math::ExpOp>)
      return exp(a, x);
    else if constexpr (std::is_same_v<Op, math::LogOp>)
      return log(a, x);
    else
      return tanh(a, x);
  }
};

struct ExpandMath : graft::impl::ExpandMathPassBase<ExpandMath> {
  void runOnOperation() override {
    // The processor does these itself.
    static const llvm::StringSet<> native{
        "math.absf", "math.ceil",      "math.copysign", "math.floor", "math.fma",
        "math.rint", "math.roundeven", "math.sqrt",     "math.trunc", "math.sin",
        "math.cos",  "math.round",     "math.isnan",    "math.isinf", "math.isfinite",
        "math.powf", "math.isnormal",  "math.rsqrt",    "math.ipowi"};
    auto approximate = [&](StringRef name) {
      std::string full = name.starts_with("math.") ? name.str() : ("math." + name).str();
      return !native.contains(full);
    };
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandRemF, ExpandRound, ExpandPow, ExpandIPow, ExpandDouble<math::ExpOp>,
                 ExpandDouble<math::LogOp>, ExpandDouble<math::TanhOp>, ExpandSinCos<math::SinOp>,
                 ExpandSinCos<math::CosOp>>(&getContext(), /*benefit=*/2);
    math::populateExpansionPatterns(
        patterns, {"sinh", "cosh", "tan", "asinh", "acosh", "atanh", "exp2", "fpowi", "rsqrt"});
    populateMathF32ExpansionPatterns(patterns, approximate);
    populateMathPolynomialApproximationPatterns(patterns, approximate);
    GreedyRewriteConfig config;
    config.enableConstantCSE(true);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      return signalPassFailure();
    WalkResult rest = getOperation()->walk([&](Operation *op) {
      if (!isa<math::MathDialect>(op->getDialect()) || !isFloat(op) ||
          native.contains(op->getName().getStringRef()))
        return WalkResult::advance();
      graft::emitUnsupportedFault(op) << "not supported: " << op->getName().getStringRef() << " of "
                                      << getElementTypeOrSelf(op->getResultTypes()[0]);
      return WalkResult::interrupt();
    });
    if (rest.wasInterrupted())
      signalPassFailure();
  }

  static bool isFloat(Operation *op) {
    return op->getNumResults() == 1 &&
           isa<FloatType>(getElementTypeOrSelf(op->getResultTypes()[0]));
  }
};
} // namespace
