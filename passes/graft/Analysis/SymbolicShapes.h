//===- SymbolicShapes.h - Dimensions as polynomials of the inputs' -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_SYMBOLICSHAPES_H
#define GRAFT_ANALYSIS_SYMBOLICSHAPES_H

#include "graft/Analysis/Polynomial.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace graft {

namespace modular {
class ApplyOp;
}

/// What is known of a tensor's shape, and of its elements where it is a small integer tensor, such
/// as one that computes a shape.
struct SymbolicTensor {
  llvm::SmallVector<Polynomial, 4> dims;
  /// All elements in row-major order; bools are 0 and 1.
  std::optional<llvm::SmallVector<Polynomial>> elements;

  SymbolicTensor() = default;
  SymbolicTensor(llvm::ArrayRef<Polynomial> dims) : dims(dims) {}
  unsigned rank() const { return dims.size(); }
  std::optional<int64_t> elementCount() const { return product(dims).asConstant(); }
};

/// The dimensions of every value of a function in onnx ops as polynomials over symbols.
///
/// A symbol is
/// * what an argument's `modular.dims` names. Its value is the `index` argument with that
///   `modular.symbol`, or the dimension of the first argument that has it alone;
/// * a dimension of an argument that has no `modular.dims`;
/// * a dimension or an integer that depends on data: its value is read from the tensor.
///
/// Result types are never trusted but for ops without a rule here.
class SymbolicShapes {
public:
  /// Where a symbol's value comes from: an index argument, a dimension or an element of a tensor,
  /// or a polynomial that the symbol stands for.
  struct Source {
    enum Kind { Argument, Dimension, Element, Definition } kind;
    mlir::Value value;
    int64_t index = 0; // of the dimension, or of the element in row-major order
    Polynomial definition;
  };

  explicit SymbolicShapes(mlir::func::FuncOp function);

  const SymbolicTensor &get(mlir::Value value) const;
  bool isKnown(mlir::Value value) const { return tensors.contains(value); }
  /// The elements of a small integer tensor: those that are known, else symbols for them. Nothing
  /// if the tensor is not of integers, too large or of unknown size.
  std::optional<llvm::SmallVector<Polynomial>> elements(mlir::Value value);
  /// The elements if all of them are constant.
  std::optional<llvm::SmallVector<int64_t>> constantElements(mlir::Value value);

  /// The source of a symbol, or null if the function has no such symbol.
  const Source *lookup(llvm::StringRef symbol) const;

  /// The type that the polynomials give, static where one is constant.
  mlir::RankedTensorType type(mlir::Value value) const;

  /// A new symbol for a dimension of a value, or for an element, that only the data tells.
  Polynomial freshDimension(mlir::Value value, int64_t dim);
  Polynomial freshElement(mlir::Value value, int64_t index);

  /// Sets what is known of `value`. Passes that add ops while they hold the analysis use it.
  void set(mlir::Value value, SymbolicTensor tensor);
  /// Computes the results of one more op whose operands are known.
  void visit(mlir::Operation *op);

  /// Shape tensors have at most this many elements.
  static constexpr int64_t elementLimit = 256;

private:
  void seedArguments(mlir::func::FuncOp function);
  void seedBodies(modular::ApplyOp apply);
  void visit(mlir::Region &region);
  std::string freshName(llvm::StringRef prefix);
  /// `p`, or a symbol that stands for it if its text has become long: opaque functions of opaque
  /// functions would grow without bound.
  Polynomial shortened(const Polynomial &p);

  llvm::DenseMap<mlir::Value, SymbolicTensor> tensors;
  llvm::StringMap<Source> sources;
  std::map<Polynomial, std::string> definitions;
  unsigned fresh = 0;
};

/// The dimension that two broadcast to. Where neither is provably 1 nor equal to the other, it is
/// an opaque function of both.
Polynomial broadcastDim(const Polynomial &a, const Polynomial &b);
llvm::SmallVector<Polynomial, 4> broadcastDims(llvm::ArrayRef<Polynomial> a,
                                               llvm::ArrayRef<Polynomial> b);

/// Start, step and length of a Slice along one axis, normalised: negative positions count from the
/// end and all are clamped to the dimension.
struct SliceBounds {
  Polynomial start, step, length;
};
SliceBounds sliceBounds(const Polynomial &dim, const Polynomial &start, const Polynomial &end,
                        const Polynomial &step);

namespace detail {
/// The dims of the results of `op`, without elements. False if there is no rule for it.
bool inferDims(SymbolicShapes &shapes, mlir::Operation *op,
               llvm::SmallVectorImpl<SymbolicTensor> &results);
/// Fills in the elements of an integer result where the operands' elements tell them.
void inferElements(SymbolicShapes &shapes, mlir::Operation *op, SymbolicTensor &result);
} // namespace detail

} // namespace graft

#endif // GRAFT_ANALYSIS_SYMBOLICSHAPES_H
