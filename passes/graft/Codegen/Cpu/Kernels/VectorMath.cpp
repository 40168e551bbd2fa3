//===- VectorMath.cpp - Functions computed by polynomials --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace graft;

namespace {
/// Arithmetic on values of one type, f32 or a vector of it.
struct Arithmetic {
  Arithmetic(ImplicitLocOpBuilder &b, Type type, bool fma) : b(b), type(type), hasFma(fma) {
    Type i32 = b.getI32Type();
    auto vector = dyn_cast<VectorType>(type);
    integer = vector ? Type(vector.clone(i32)) : i32;
  }

  Value constant(Type type, TypedAttr element) {
    if (auto vector = dyn_cast<VectorType>(type))
      return arith::ConstantOp::create(b, DenseElementsAttr::get(vector, Attribute(element)));
    return arith::ConstantOp::create(b, element);
  }
  Value real(float x) { return constant(type, b.getF32FloatAttr(x)); }
  Value whole(int32_t x) { return constant(integer, b.getI32IntegerAttr(x)); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) {
    return hasFma ? Value(math::FmaOp::create(b, x, y, z)) : add(mul(x, y), z);
  }
  Value horner(Value x, ArrayRef<float> coefficients) {
    Value sum = real(coefficients.front());
    for (float c : coefficients.drop_front())
      sum = fma(x, sum, real(c));
    return sum;
  }
  /// x held in [low, high]; NaN stays.
  Value clamp(Value x, float low, float high) {
    Value l = real(low), h = real(high);
    Value above = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, h);
    x = arith::SelectOp::create(b, above, h, x);
    Value below = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, l);
    return arith::SelectOp::create(b, below, l, x);
  }

  ImplicitLocOpBuilder &b;
  Type type, integer;
  bool hasFma;
};

/// e^x = 2^n · e^r with |r| ≤ ln 2 / 2 (Cephes). `bits` holds n + 0x4B400000.
struct ReducedExp {
  Value power, bits;
};
} // namespace

static ReducedExp reduceExp(Arithmetic &m, Value x) {
  // Adding 1.5 · 2^23 rounds to an integer, which then is in the low bits.
  Value magic = m.real(12582912.0f);
  Value shifted = m.add(m.mul(x, m.real(1.44269504f)), magic);
  Value n = m.sub(shifted, magic);
  Value r = m.fma(n, m.real(-0.693359375f), x);
  r = m.fma(n, m.real(2.12194440e-4f), r);
  Value q = m.horner(r, {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                         1.6666665459e-1f, 5.0000001201e-1f});
  Value power = m.add(m.fma(q, m.mul(r, r), r), m.real(1.0f));
  return {power, arith::BitcastOp::create(m.b, m.integer, shifted)};
}

Value graft::buildExp(ImplicitLocOpBuilder &b, Value x, bool fma) {
  Arithmetic m(b, x.getType(), fma);
  auto [power, bits] = reduceExp(m, m.clamp(x, -104.0f, 89.0f));
  // 2^n in two factors, since n reaches from -150 to 128.
  Value n = arith::SubIOp::create(b, bits, m.whole(0x4B400000));
  Value half = arith::ShRSIOp::create(b, n, m.whole(1));
  Value rest = arith::SubIOp::create(b, n, half);
  for (Value exponent : {half, rest}) {
    Value biased = arith::AddIOp::create(b, exponent, m.whole(127));
    Value factor = arith::ShLIOp::create(b, biased, m.whole(23));
    power = m.mul(power, arith::BitcastOp::create(b, m.type, factor));
  }
  return power;
}

Value graft::buildExpNonPositive(ImplicitLocOpBuilder &b, Value x, bool fma) {
  Arithmetic m(b, x.getType(), fma);
  auto [power, bits] = reduceExp(m, x);
  // The shift drops 0x4B400000, which is nothing but high bits.
  Value factor =
      arith::ShLIOp::create(b, arith::AddIOp::create(b, bits, m.whole(127)), m.whole(23));
  Value result = m.mul(power, arith::BitcastOp::create(b, m.type, factor));
  Value tiny = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, m.real(-87.3f));
  return arith::SelectOp::create(b, tiny, m.real(0.0f), result);
}

Value graft::buildErf(ImplicitLocOpBuilder &b, Value x, bool fma) {
  // Odd rational 13/8 on [-4, 4] (Eigen's coefficients).
  Arithmetic m(b, x.getType(), fma);
  Value y = m.clamp(x, -4.0f, 4.0f);
  Value t = m.mul(y, y);
  Value p = m.horner(t, {-2.72614225801306e-10f, 2.77068142495902e-08f, -2.10102402082508e-06f,
                         -5.69250639462346e-05f, -7.34990630326855e-04f, -2.95459980854025e-03f,
                         -1.60960333262415e-02f});
  Value q = m.horner(t, {-1.45660718464996e-05f, -2.13374055278905e-04f, -1.68282697438203e-03f,
                         -7.37332916720468e-03f, -1.42647390514189e-02f});
  return arith::DivFOp::create(b, m.mul(y, p), q);
}

namespace {
template <typename OpTy, Value (*build)(ImplicitLocOpBuilder &, Value, bool)>
struct ByArithmetic : OpRewritePattern<OpTy> {
  ByArithmetic(MLIRContext *context, bool fma) : OpRewritePattern<OpTy>(context, 2), fma(fma) {}
  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not of f32");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, build(b, op.getOperand(), fma));
    return success();
  }
  bool fma;
};
} // namespace

void graft::populateVectorMathPatterns(RewritePatternSet &patterns, bool fma) {
  patterns.add<ByArithmetic<math::ExpOp, buildExp>, ByArithmetic<math::ErfOp, buildErf>>(
      patterns.getContext(), fma);
}
