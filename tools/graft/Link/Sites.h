//===- Sites.h - Where adapters can bind in a backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_SITES_H
#define GRAFT_LINK_SITES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace graft {

/// One op that reads a parameter.
struct SiteUse {
  mlir::Operation *op = nullptr;
  unsigned operand = 0;
  /// The `onnx.Constant` that holds the parameter. Transpose, Cast and Identity ops may lie
  /// between.
  mlir::Operation *constant = nullptr;
  /// The constant's type, and whether its matrix is (in, out).
  mlir::RankedTensorType stored = nullptr;
  bool transposed = false;
};

/// A parameter of a module, with all its uses, in every call of the module: they read the same
/// values.
struct Site {
  /// The module's path, and the parameter's name in it: `weight` or `bias` mostly.
  std::string module, role;
  std::vector<SiteUse> uses;
  /// The module's path has underscores for its dots, as torch.export names parameters.
  bool mangled = false;
  /// A bias of zeros that the exporter has left out: the site has no use until one is written.
  bool absent = false;
  /// What the op that reads it makes of it.
  enum Kind { Linear, Convolution, TransposedConvolution, Embedding, Bias, Other } kind = Other;
  /// Of the first use: linear layers may be kept in either way, use by use.
  mlir::RankedTensorType stored;
  bool transposed = false;
  /// The name of the constant in the ONNX file.
  std::string constant;
  /// Not empty: why nothing can bind here.
  std::string obstacle;

  std::string path() const { return module.empty() ? role : module + "." + role; }
  /// (out, in) of a matrix, (out, in · kernel) of a kernel.
  mlir::RankedTensorType canonical() const;
  llvm::StringRef op() const;
};

/// The sites of a backbone's `@main`.
class Sites {
public:
  /// `named` are modules that adapters speak of: no scope of such a name is only a call of
  /// another module.
  explicit Sites(mlir::ModuleOp module, llvm::ArrayRef<std::string> named = {});

  const std::deque<Site> &all() const { return list; }
  /// The site of a module's parameter, or null.
  Site *find(llvm::StringRef module, llvm::StringRef role);
  /// The module of which the scope of a node's name is another call: torch's older exporter writes
  /// the second call of `a.b` as `a.b_1`. The scope itself where it isn't one.
  llvm::StringRef called(llvm::StringRef scope) const;

  /// Writes the zeros of a bias that is absent, and what adds them, so that the site has uses.
  void write(Site &site);

private:
  struct Read;
  static std::optional<Site> describe(const Read &read, llvm::StringRef scope);
  static bool sameParameter(const Read &a, const Read &b);
  void resolveCalls(std::vector<Read> &reads, llvm::ArrayRef<std::string> named);
  void add(Site site);

  std::map<std::string, std::string> calls;
  std::deque<Site> list;                // sites keep their places
  std::map<std::string, size_t> byPath; // as it is, and mangled where it is known as that alone
};

/// The bytes of a constant's value. They lie in the store or in the attribute; `buffer` holds them
/// otherwise.
std::optional<llvm::ArrayRef<char>> constantBytes(mlir::Operation *constant,
                                                  std::vector<char> &buffer);

} // namespace graft

#endif // GRAFT_LINK_SITES_H
