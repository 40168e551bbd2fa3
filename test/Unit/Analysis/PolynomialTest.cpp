//===- PolynomialTest.cpp - Tests of polynomials over dimensions -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Polynomial.h"
#include "graft/Analysis/SymbolicShapes.h"

#include "gtest/gtest.h"

using namespace graft;
using P = Polynomial;

static P parse(llvm::StringRef text) {
  auto p = P::parse(text);
  EXPECT_TRUE(p) << text.str();
  return p.value_or(P(-12345));
}

TEST(Polynomial, IsCanonical) {
  P b = P::symbol("batch"), s = P::symbol("seq");
  EXPECT_EQ((b + s) * (b + s), b * b + P(2) * b * s + s * s);
  EXPECT_EQ(b * s - s * b, P(0));
  EXPECT_EQ((s + 1 - s).asConstant(), 1);
  EXPECT_FALSE((s + 1).asConstant());
}

TEST(Polynomial, Evaluates) {
  llvm::StringMap<int64_t> symbols{{"seq", 7}, {"batch", 3}, {"big", INT64_MAX}};
  EXPECT_EQ(parse("2*batch*seq - seq + 7").evaluate(symbols), 42);
  EXPECT_EQ(parse("floordiv(seq + 1, 2) + mod(seq, 2)*max(0, batch - 4)").evaluate(symbols), 4);
  EXPECT_EQ(parse("select(eq(seq, 7), min(batch, seq), lt(seq, 1))").evaluate(symbols), 3);
  EXPECT_EQ(parse("broadcast(min(1, seq), batch)").evaluate(symbols), 3);
  EXPECT_EQ(P(0).evaluate({}), 0);
  for (const char *text : {"unknown", "floordiv(seq, batch - 3)", "2*big", "big + 1", "other(seq)"})
    EXPECT_FALSE(parse(text).evaluate(symbols)) << text;
}

TEST(Polynomial, PrintsAndParses) {
  for (const char *text : {"0", "-1", "384", "seq", "seq + 1", "batch*seq", "2*batch*seq - seq + 7",
                           "floordiv(seq + 1, 2) + 3", "batch*max(0, seq - 4)",
                           "broadcast(min(512, seq), select(eq(a, 1), b, c))", "%3"})
    EXPECT_EQ(parse(text).str(), text);
  EXPECT_EQ(parse("1+seq").str(), "seq + 1");
  EXPECT_EQ(parse("(seq + 1)*(seq - 1)").str(), "seq*seq - 1");
  for (const char *text : {"", "+", "seq +", "f(", "(seq", "2**3", "99999999999999999999", "a b"})
    EXPECT_FALSE(P::parse(text)) << text;
  EXPECT_FALSE(P::parse(std::string(1000, '('))) << "nests too deep";
}

TEST(Polynomial, Divides) {
  EXPECT_EQ(P::floorDiv(parse("384*batch*seq"), parse("batch*seq")), P(384));
  EXPECT_EQ(P::floorDiv(parse("(past + seq)*batch*32"), parse("past + seq")), parse("32*batch"));
  EXPECT_EQ(P::floorDiv(parse("seq*seq - 1"), parse("seq + 1")), parse("seq - 1"));
  EXPECT_EQ(P::floorDiv(-7, 2), P(-4));
  EXPECT_EQ(P::floorDiv(parse("seq + 1"), 2).str(), "floordiv(seq + 1, 2)");
  EXPECT_EQ(P::floorDiv(parse("seq"), 0).str(), "floordiv(seq, 0)");
  EXPECT_EQ(P::ceilDiv(parse("4*seq"), 4), parse("seq"));
  EXPECT_EQ(P::ceilDiv(7, 2), P(4));
  EXPECT_EQ(P::mod(-7, 3), P(2));
  EXPECT_EQ(P::mod(parse("6*seq"), 3), P(0));
}

TEST(Polynomial, KnowsWhatIsNotNegative) {
  EXPECT_TRUE(parse("batch*seq + 1").isPositive());
  EXPECT_FALSE(parse("seq").isPositive());
  EXPECT_TRUE(parse("floordiv(seq + 1, 2)").isNonNegative());
  EXPECT_FALSE(parse("seq - 1").isNonNegative());
  EXPECT_FALSE(parse("%0").isNonNegative()) << "data may be negative";
  EXPECT_TRUE(parse("max(%0, 0)").isNonNegative());
  EXPECT_EQ(P::max(parse("seq"), 0), parse("seq"));
  EXPECT_EQ(P::min(parse("seq"), INT64_MAX), parse("seq"));
  EXPECT_EQ(P::equal(parse("seq"), -1), P(0)) << "a dimension is never -1";
  EXPECT_EQ(P::equal(parse("seq"), parse("batch")).str(), "eq(seq, batch)");
}

TEST(Polynomial, OverflowStaysOpaque) {
  P most(INT64_MAX);
  EXPECT_EQ((most + 1).str(), "add(9223372036854775807, 1)");
  EXPECT_EQ((most * P(2)).str(), "mul(9223372036854775807, 2)");
  EXPECT_EQ(P(INT64_MIN).str(), "-9223372036854775808");
}

TEST(Polynomial, Symbols) {
  EXPECT_EQ(parse("floordiv(b + a, c)*d + a").symbols(),
            (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST(SymbolicShapes, BroadcastsDims) {
  EXPECT_EQ(broadcastDim(parse("seq"), 1), parse("seq"));
  EXPECT_EQ(broadcastDim(parse("seq"), 7), P(7)) << "seq is 7 or 1";
  EXPECT_EQ(broadcastDim(parse("a"), parse("b")).str(), "broadcast(a, b)");
  EXPECT_EQ(broadcastDim(parse("min(512, seq)"), parse("seq")), parse("seq"));
}

TEST(SymbolicShapes, SliceBounds) {
  auto text = [](P dim, P start, P end, P step) {
    SliceBounds bounds = sliceBounds(dim, start, end, step);
    return bounds.start.str() + " : " + bounds.length.str();
  };
  EXPECT_EQ(text(10, 2, 7, 2), "2 : 3");
  EXPECT_EQ(text(10, -3, INT64_MAX, 1), "7 : 3");
  EXPECT_EQ(text(10, INT64_MIN, INT64_MAX, 1), "0 : 10");
  EXPECT_EQ(text(10, -1, INT64_MIN, -1), "9 : 10");
  EXPECT_EQ(text(10, 8, 2, -2), "8 : 3");
  EXPECT_EQ(text(parse("seq"), 0, INT64_MAX, 1), "0 : seq");
  EXPECT_EQ(text(512, 0, parse("seq"), 1), "0 : min(512, seq)");
  EXPECT_EQ(text(10, 7, 3, 1), "7 : 0");
}
