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
};

/// A parameter of a module, with all its uses: they read the same values.
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
  /// The type of the constant, and whether its matrix is (in, out).
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
  explicit Sites(mlir::ModuleOp module);

  const std::deque<Site> &all() const { return list; }
  /// The site of a module's parameter, or null.
  Site *find(llvm::StringRef module, llvm::StringRef role);

  /// Writes the zeros of a bias that is absent, and what adds them, so that the site has uses.
  void write(Site &site);

private:
  void add(SiteUse use, bool transposedByOps);

  std::deque<Site> list;                // sites keep their places
  std::map<std::string, size_t> byPath; // as it is, and mangled where it is known as that alone
};

/// The bytes of a constant's value. They lie in the store or in the attribute; `buffer` holds them
/// otherwise.
std::optional<llvm::ArrayRef<char>> constantBytes(mlir::Operation *constant,
                                                  std::vector<char> &buffer);

} // namespace graft

#endif // GRAFT_LINK_SITES_H
