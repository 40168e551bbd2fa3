//===- Polynomial.cpp - Integer polynomials over dimensions -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Polynomial.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <set>

using namespace llvm;
using namespace graft;

Polynomial::Polynomial(int64_t constant) {
  if (constant)
    terms[{}] = constant;
}

Polynomial Polynomial::symbol(StringRef name) {
  Polynomial result;
  result.terms[{name.str()}] = 1;
  return result;
}

Polynomial Polynomial::call(StringRef function, ArrayRef<Polynomial> arguments) {
  std::string text = function.str() + "(";
  for (auto [i, argument] : enumerate(arguments))
    text += (i ? ", " : "") + argument.str();
  return symbol(text + ")");
}

// A sum or product whose coefficients overflow stays opaque; nothing but nonsense input has one.
Polynomial Polynomial::operator+(const Polynomial &other) const {
  Polynomial result = *this;
  for (const auto &[monomial, coefficient] : other.terms) {
    auto it = result.terms.try_emplace(monomial, 0).first;
    if (AddOverflow(it->second, coefficient, it->second))
      return call("add", {*this, other});
    if (it->second == 0)
      result.terms.erase(it);
  }
  return result;
}

Polynomial Polynomial::operator-(const Polynomial &other) const {
  return *this + other * Polynomial(-1);
}

Polynomial Polynomial::operator*(const Polynomial &other) const {
  Polynomial result;
  for (const auto &[left, a] : terms) {
    for (const auto &[right, b] : other.terms) {
      Monomial monomial(left);
      monomial.insert(monomial.end(), right.begin(), right.end());
      std::sort(monomial.begin(), monomial.end());
      auto it = result.terms.try_emplace(std::move(monomial), 0).first;
      int64_t value;
      if (MulOverflow(a, b, value) || AddOverflow(it->second, value, it->second))
        return call("mul", {*this, other});
      if (it->second == 0)
        result.terms.erase(it);
    }
  }
  return result;
}

/// Graded lexicographic order: compatible with multiplication, as long division needs it.
static bool leads(const Polynomial::Monomial &a, const Polynomial::Monomial &b) {
  return a.size() != b.size() ? a.size() > b.size() : a < b;
}

std::optional<Polynomial> Polynomial::divideExactly(Polynomial a, const Polynomial &b) {
  auto leading = [](const Polynomial &p) {
    return std::min_element(p.terms.begin(), p.terms.end(),
                            [](const auto &x, const auto &y) { return leads(x.first, y.first); });
  };
  if (b.terms.empty())
    return std::nullopt;
  const auto &[divisor, coefficient] = *leading(b);
  Polynomial quotient;
  while (!a.terms.empty()) {
    const auto &[monomial, value] = *leading(a);
    if (coefficient == -1 ? value == INT64_MIN : value % coefficient != 0)
      return std::nullopt;
    Monomial rest;
    if (!std::includes(monomial.begin(), monomial.end(), divisor.begin(), divisor.end()))
      return std::nullopt;
    std::set_difference(monomial.begin(), monomial.end(), divisor.begin(), divisor.end(),
                        std::back_inserter(rest));
    Polynomial step;
    step.terms[rest] = value / coefficient;
    Polynomial next = a - step * b;
    if (!next.terms.empty() && !leads(monomial, leading(next)->first))
      return std::nullopt; // an overflow turned opaque
    quotient = quotient + step;
    a = std::move(next);
  }
  return quotient;
}

Polynomial Polynomial::floorDiv(const Polynomial &a, const Polynomial &b) {
  auto x = a.asConstant(), y = b.asConstant();
  if (x && y && *y != 0 && !(*x == INT64_MIN && *y == -1))
    return divideFloorSigned(*x, *y);
  if (auto quotient = divideExactly(a, b))
    return *quotient;
  return call("floordiv", {a, b});
}

Polynomial Polynomial::ceilDiv(const Polynomial &a, const Polynomial &b) {
  return Polynomial(0) - floorDiv(Polynomial(0) - a, b);
}

Polynomial Polynomial::mod(const Polynomial &a, const Polynomial &b) {
  auto y = b.asConstant();
  if (y && (*y == 1 || *y == -1))
    return 0;
  auto x = a.asConstant();
  if (x && y && *y != 0)
    return ((*x % *y) + *y) % *y;
  if (divideExactly(a, b))
    return 0;
  return call("mod", {a, b});
}

Polynomial Polynomial::max(const Polynomial &a, const Polynomial &b) {
  if (a == b || (a - b).isNonNegative())
    return a;
  if ((b - a).isNonNegative())
    return b;
  return b < a ? call("max", {b, a}) : call("max", {a, b});
}

/// So large that no dimension reaches it: exporters write "to the end" this way.
static bool isUnbounded(const Polynomial &p) {
  auto value = p.asConstant();
  return value && *value >= (int64_t(1) << 31) - 1;
}

Polynomial Polynomial::min(const Polynomial &a, const Polynomial &b) {
  if (a == b || (isUnbounded(b) && !isUnbounded(a)) || (b - a).isNonNegative())
    return a;
  if (isUnbounded(a) || (a - b).isNonNegative())
    return b;
  return b < a ? call("min", {b, a}) : call("min", {a, b});
}

Polynomial Polynomial::equal(const Polynomial &a, const Polynomial &b) {
  Polynomial difference = a - b;
  if (auto constant = difference.asConstant())
    return *constant == 0;
  if (difference.isPositive() || (b - a).isPositive())
    return 0;
  return call("eq", {a, b});
}

Polynomial Polynomial::less(const Polynomial &a, const Polynomial &b) {
  auto x = a.asConstant(), y = b.asConstant();
  if (x && y)
    return *x < *y;
  if ((b - a).isPositive())
    return 1;
  if ((a - b).isNonNegative())
    return 0;
  return call("lt", {a, b});
}

Polynomial Polynomial::select(const Polynomial &condition, const Polynomial &a,
                              const Polynomial &b) {
  if (auto constant = condition.asConstant())
    return *constant ? a : b;
  if (a == b)
    return a;
  return call("select", {condition, a, b});
}

std::optional<int64_t> Polynomial::asConstant() const {
  if (terms.empty())
    return 0;
  if (terms.size() == 1 && terms.begin()->first.empty())
    return terms.begin()->second;
  return std::nullopt;
}

std::optional<StringRef> Polynomial::asAtom() const {
  if (terms.size() != 1 || terms.begin()->second != 1 || terms.begin()->first.size() != 1)
    return std::nullopt;
  return StringRef(terms.begin()->first.front());
}

static bool isNonNegativeAtom(StringRef text) {
  if (!text.ends_with(")"))
    return !text.starts_with("%");
  Atom atom = parseAtom(text);
  if (atom.function == "eq" || atom.function == "lt")
    return true;
  if (atom.function == "max")
    return any_of(atom.arguments, [](const Polynomial &p) { return p.isNonNegative(); });
  if (atom.function == "mod")
    return atom.arguments[1].isNonNegative();
  ArrayRef<Polynomial> values(atom.arguments);
  if (atom.function == "select")
    values = values.drop_front();
  return atom.function != "add" && atom.function != "mul" &&
         all_of(values, [](const Polynomial &p) { return p.isNonNegative(); });
}

bool Polynomial::isNonNegative() const {
  return all_of(terms, [](const auto &term) {
    return term.second >= 0 &&
           all_of(term.first, [](StringRef atom) { return isNonNegativeAtom(atom); });
  });
}

static void collectSymbols(const Polynomial &p, std::set<std::string> &symbols) {
  for (const auto &[monomial, coefficient] : p.getTerms()) {
    for (StringRef text : monomial) {
      Atom atom = parseAtom(text);
      if (atom.isSymbol())
        symbols.insert(atom.function);
      for (const Polynomial &argument : atom.arguments)
        collectSymbols(argument, symbols);
    }
  }
}

std::vector<std::string> Polynomial::symbols() const {
  std::set<std::string> symbols;
  collectSymbols(*this, symbols);
  return {symbols.begin(), symbols.end()};
}

/// An opaque function of numbers, or nothing if it is none or has no value there.
static std::optional<int64_t> applyFunction(StringRef function, ArrayRef<int64_t> x) {
  auto is = [&](StringRef name, size_t count) { return function == name && x.size() == count; };
  Polynomial result;
  if (is("floordiv", 2) && x[1] != 0)
    result = Polynomial::floorDiv(x[0], x[1]);
  else if (is("mod", 2) && x[1] != 0)
    result = Polynomial::mod(x[0], x[1]);
  else if (is("max", 2))
    result = Polynomial::max(x[0], x[1]);
  else if (is("min", 2))
    result = Polynomial::min(x[0], x[1]);
  else if (is("eq", 2))
    result = Polynomial(x[0] == x[1]);
  else if (is("lt", 2))
    result = Polynomial(x[0] < x[1]);
  else if (is("select", 3))
    result = Polynomial(x[0] != 0 ? x[1] : x[2]);
  else if (is("add", 2))
    result = Polynomial(x[0]) + Polynomial(x[1]);
  else if (is("mul", 2))
    result = Polynomial(x[0]) * Polynomial(x[1]);
  else if (is("broadcast", 2))
    result = Polynomial(x[0] == 1 ? x[1] : x[0]);
  else
    return std::nullopt;
  return result.asConstant();
}

std::optional<int64_t> Polynomial::evaluate(const StringMap<int64_t> &symbols) const {
  auto valueOf = [&](StringRef text) -> std::optional<int64_t> {
    Atom atom = parseAtom(text);
    if (atom.isSymbol()) {
      auto known = symbols.find(atom.function);
      return known == symbols.end() ? std::nullopt : std::optional(known->second);
    }
    SmallVector<int64_t> arguments;
    for (const Polynomial &argument : atom.arguments) {
      std::optional<int64_t> number = argument.evaluate(symbols);
      if (!number)
        return std::nullopt;
      arguments.push_back(*number);
    }
    return applyFunction(atom.function, arguments);
  };
  int64_t sum = 0;
  for (const auto &[monomial, factor] : terms) {
    int64_t term = factor;
    for (const std::string &text : monomial) {
      std::optional<int64_t> value = valueOf(text);
      if (!value || MulOverflow(term, *value, term))
        return std::nullopt;
    }
    if (AddOverflow(sum, term, sum))
      return std::nullopt;
  }
  return sum;
}

std::string Polynomial::str() const {
  if (terms.empty())
    return "0";
  std::vector<const std::pair<const Monomial, int64_t> *> order;
  for (const auto &term : terms)
    order.push_back(&term);
  llvm::sort(order, [](auto *a, auto *b) { return leads(a->first, b->first); });
  std::string text;
  for (const auto *term : order) {
    int64_t coefficient = term->second;
    uint64_t magnitude = coefficient < 0 ? -uint64_t(coefficient) : uint64_t(coefficient);
    if (text.empty())
      text = coefficient < 0 ? "-" : "";
    else
      text += coefficient < 0 ? " - " : " + ";
    std::string factors = join(term->first, "*");
    if (magnitude != 1 || factors.empty())
      text += std::to_string(magnitude) + (factors.empty() ? "" : "*");
    text += factors;
  }
  return text;
}

namespace {
/// Recursive descent over what str() gives.
struct Parser {
  StringRef rest;
  unsigned depth = 0;

  void skip() { rest = rest.ltrim(); }
  bool take(char c) {
    skip();
    return rest.consume_front(StringRef(&c, 1));
  }

  std::optional<Polynomial> sum() {
    if (++depth > 64)
      return std::nullopt; // text that nests this deep is not ours
    Polynomial result;
    bool negative = take('-');
    while (true) {
      auto term = factors();
      if (!term)
        return std::nullopt;
      result = negative ? result - *term : result + *term;
      if (take('-'))
        negative = true;
      else if (take('+'))
        negative = false;
      else
        break;
    }
    --depth;
    return result;
  }

  std::optional<Polynomial> factors() {
    auto result = factor();
    while (result && take('*')) {
      auto next = factor();
      if (!next)
        return std::nullopt;
      result = *result * *next;
    }
    return result;
  }

  std::optional<Polynomial> factor() {
    skip();
    if (take('(')) {
      auto inner = sum();
      return inner && take(')') ? inner : std::nullopt;
    }
    if (!rest.empty() && isDigit(rest.front())) {
      uint64_t value;
      if (rest.consumeInteger(10, value) || value > uint64_t(INT64_MAX))
        return std::nullopt;
      return Polynomial(int64_t(value));
    }
    StringRef name = rest.take_until([](char c) { return StringRef(" \t+-*(),").contains(c); });
    if (name.empty())
      return std::nullopt;
    rest = rest.drop_front(name.size());
    if (!rest.consume_front("("))
      return Polynomial::symbol(name);
    SmallVector<Polynomial> arguments;
    do {
      auto argument = sum();
      if (!argument)
        return std::nullopt;
      arguments.push_back(*argument);
    } while (take(','));
    if (!take(')'))
      return std::nullopt;
    return Polynomial::call(name, arguments);
  }
};
} // namespace

std::optional<Polynomial> Polynomial::parse(StringRef text) {
  Parser parser{text};
  auto result = parser.sum();
  parser.skip();
  return parser.rest.empty() ? result : std::nullopt;
}

Atom graft::parseAtom(StringRef text) {
  Atom atom;
  size_t open = text.find('(');
  if (open == StringRef::npos || !text.ends_with(")")) {
    atom.function = text.str();
    return atom;
  }
  atom.function = text.take_front(open).str();
  Parser parser{text.drop_front(open + 1)};
  do {
    if (auto argument = parser.sum())
      atom.arguments.push_back(*argument);
    else
      break;
  } while (parser.take(','));
  return atom;
}

Polynomial graft::product(ArrayRef<Polynomial> factors) {
  Polynomial result(1);
  for (const Polynomial &factor : factors)
    result = result * factor;
  return result;
}
