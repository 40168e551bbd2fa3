//===- Polynomial.h - Integer polynomials over dimensions -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_POLYNOMIAL_H
#define GRAFT_ANALYSIS_POLYNOMIAL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace graft {

/// A polynomial with integer coefficients over atoms, in canonical form: two of them are equal as
/// functions of their atoms exactly if they compare equal.
///
/// An atom is a symbol, which is the name of a dimension or of an integer that only the data tells,
/// or an opaque function of polynomials where the result is no polynomial: `floordiv(seq + 1, 2)`.
/// Both are kept as their canonical text, so that a polynomial is a value without a context and
/// whatever prints also parses.
class Polynomial {
public:
  /// The atoms of a product, sorted, as often as they occur; empty for the constant term.
  using Monomial = std::vector<std::string>;

  Polynomial() = default; // zero
  Polynomial(int64_t constant);
  static Polynomial symbol(llvm::StringRef name);
  /// An opaque function as it is, without simplification.
  static Polynomial call(llvm::StringRef function, llvm::ArrayRef<Polynomial> arguments);

  Polynomial operator+(const Polynomial &other) const;
  Polynomial operator-(const Polynomial &other) const;
  Polynomial operator*(const Polynomial &other) const;
  /// Rounded towards minus infinity. Division by zero is left to who evaluates it.
  static Polynomial floorDiv(const Polynomial &a, const Polynomial &b);
  static Polynomial ceilDiv(const Polynomial &a, const Polynomial &b);
  /// The remainder that goes with floorDiv.
  static Polynomial mod(const Polynomial &a, const Polynomial &b);
  static Polynomial max(const Polynomial &a, const Polynomial &b);
  static Polynomial min(const Polynomial &a, const Polynomial &b);
  /// 1 or 0.
  static Polynomial equal(const Polynomial &a, const Polynomial &b);
  static Polynomial less(const Polynomial &a, const Polynomial &b);
  static Polynomial select(const Polynomial &condition, const Polynomial &a, const Polynomial &b);

  std::optional<int64_t> asConstant() const;
  bool isConstant(int64_t value) const { return asConstant() == value; }
  /// The polynomial's text if it is one atom, alone.
  std::optional<llvm::StringRef> asAtom() const;
  /// Not below zero whatever the symbols are. Symbols are dimensions, so not negative, but for
  /// those whose name begins with `%`.
  bool isNonNegative() const;
  bool isPositive() const { return (*this - Polynomial(1)).isNonNegative(); }

  const std::map<Monomial, int64_t> &getTerms() const { return terms; }
  /// The symbols that it depends on, those within opaque functions too, sorted.
  std::vector<std::string> symbols() const;

  /// The value where the symbols have these; nothing if one has none, a divisor is 0, or it
  /// leaves 64 bits.
  std::optional<int64_t> evaluate(const llvm::StringMap<int64_t> &symbols) const;

  std::string str() const;
  /// Parses what str() gives: sums of products of integers, names and functions. Nothing if the
  /// text is something else.
  static std::optional<Polynomial> parse(llvm::StringRef text);

  bool operator==(const Polynomial &other) const { return terms == other.terms; }
  bool operator!=(const Polynomial &other) const { return terms != other.terms; }
  bool operator<(const Polynomial &other) const { return terms < other.terms; }

private:
  /// The quotient if the division leaves no remainder as polynomials.
  static std::optional<Polynomial> divideExactly(Polynomial a, const Polynomial &b);

  std::map<Monomial, int64_t> terms; // no zero coefficients
};

/// An opaque function taken apart. `arguments` is empty for a symbol.
struct Atom {
  std::string function; // or the symbol's name
  llvm::SmallVector<Polynomial> arguments;
  bool isSymbol() const { return arguments.empty(); }
};

/// Takes the text of an atom apart.
Atom parseAtom(llvm::StringRef text);

/// The product of all, 1 if there are none.
Polynomial product(llvm::ArrayRef<Polynomial> factors);

} // namespace graft

#endif // GRAFT_ANALYSIS_POLYNOMIAL_H
