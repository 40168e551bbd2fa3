//===- SymbolText.cpp - Dimensions written over symbols ----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/SymbolText.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace graft;

namespace {
/// Recursive descent. Without a builder it only checks.
///
///   sum     := product (('+' | '-') product)*
///   product := factor ('*' factor)*
///   factor  := integer | name | '-' factor | '(' sum ')'
struct Parser {
  StringRef rest;
  const llvm::StringMap<Value> &symbols;
  OpBuilder *builder;
  std::optional<Location> loc;
  unsigned depth = 0;

  bool consume(char c) {
    rest = rest.ltrim();
    return rest.consume_front(StringRef(&c, 1));
  }

  template <typename Op> Value combine(Value lhs, Value rhs) {
    return builder ? Op::create(*builder, *loc, lhs, rhs).getResult() : Value();
  }
  Value constant(int64_t value) {
    return builder ? arith::ConstantIndexOp::create(*builder, *loc, value).getResult() : Value();
  }

  bool sum(Value &value) {
    if (!product(value))
      return false;
    while (true) {
      Value rhs;
      if (consume('+')) {
        if (!product(rhs))
          return false;
        value = combine<arith::AddIOp>(value, rhs);
      } else if (consume('-')) {
        if (!product(rhs))
          return false;
        value = combine<arith::SubIOp>(value, rhs);
      } else {
        return true;
      }
    }
  }

  bool product(Value &value) {
    if (!factor(value))
      return false;
    while (consume('*')) {
      Value rhs;
      if (!factor(rhs))
        return false;
      value = combine<arith::MulIOp>(value, rhs);
    }
    return true;
  }

  bool factor(Value &value) {
    if (++depth > 64)
      return false;
    bool parsed = primary(value);
    --depth;
    return parsed;
  }

  bool primary(Value &value) {
    if (consume('('))
      return sum(value) && consume(')');
    if (consume('-')) {
      Value operand;
      if (!factor(operand))
        return false;
      value = combine<arith::SubIOp>(constant(0), operand);
      return true;
    }
    rest = rest.ltrim();
    int64_t number;
    if (!rest.empty() && llvm::isDigit(rest.front())) {
      if (rest.consumeInteger(10, number))
        return false;
      value = constant(number);
      return true;
    }
    // A name is whatever a symbol is called: the longest that fits, since models choose them
    // freely.
    StringRef name;
    for (const auto &symbol : symbols)
      if (rest.starts_with(symbol.getKey()) && symbol.getKey().size() > name.size())
        name = symbol.getKey();
    if (name.empty())
      return false;
    rest = rest.drop_front(name.size());
    if (!rest.empty() && (llvm::isAlnum(rest.front()) || rest.front() == '_'))
      return false;
    value = symbols.lookup(name);
    return true;
  }

  bool parse(Value &value) { return sum(value) && rest.trim().empty(); }
};
} // namespace

bool graft::isSymbolic(StringRef text, const llvm::StringMap<Value> &symbols) {
  Value value;
  return Parser{text, symbols, nullptr, std::nullopt, 0}.parse(value);
}

Value graft::buildSymbolText(OpBuilder &builder, Location loc, StringRef text,
                             const llvm::StringMap<Value> &symbols) {
  Value value;
  Parser{text, symbols, &builder, loc, 0}.parse(value);
  return value;
}
