//===- Tensor.h - Values of the reference evaluation -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_REFERENCE_TENSOR_H
#define GRAFT_REFERENCE_TENSOR_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <memory>
#include <optional>
#include <vector>

namespace graft::reference {

using Shape = llvm::SmallVector<int64_t, 4>;

/// The product of all dimensions; nothing if one is negative or it overflows.
std::optional<int64_t> elementCount(llvm::ArrayRef<int64_t> shape);
/// The same for what is computed: nothing if it is more than memory should be asked for. A
/// dimension of 0 does not hide that of the others, along which loops run.
std::optional<int64_t> computedCount(llvm::ArrayRef<int64_t> shape);
/// Elements between neighbours along each dimension, row-major.
Shape rowMajor(llvm::ArrayRef<int64_t> shape);

/// Elements as doubles, whatever their type: integers are exact up to 2^53, bools are 0 and 1.
/// A weight is read where it lies; picking, transposing and cutting it moves no element.
class Tensor {
public:
  enum Kind { Float, Integer, Bool };

  Tensor() = default;
  Tensor(Kind kind, llvm::ArrayRef<int64_t> shape, std::vector<double> values)
      : kind(kind), shape(shape), dense(std::make_shared<std::vector<double>>(std::move(values))) {}
  /// Floats of `type` at `bytes`, which live as long as the tensor and what is made of it.
  static Tensor weight(mlir::RankedTensorType type, const char *bytes);

  static Kind kindOf(mlir::Type elementType);

  Kind kind = Float;
  Shape shape;

  int64_t rank() const { return shape.size(); }
  int64_t count() const { return *elementCount(shape); }
  /// All elements, row-major; a weight's are copied.
  llvm::ArrayRef<double> values() const;
  /// The elements as integers, saturated.
  llvm::SmallVector<int64_t> integers() const;

  /// The matrix of the last two dimensions at a place of those before.
  struct Matrix {
    const double *doubles = nullptr;
    const char *bytes = nullptr;
    mlir::Type type;
    int64_t rowStride, columnStride;

    double at(int64_t row, int64_t column) const;
  };
  Matrix matrix(int64_t place) const;

  // Views. Nothing where the tensor is no weight, or the view has no such form.
  std::optional<Tensor> picked(llvm::ArrayRef<int64_t> places) const; ///< along dimension 0
  std::optional<Tensor> part(int64_t place) const;                    ///< of dimension 0
  std::optional<Tensor> transposed(llvm::ArrayRef<int64_t> permutation) const;
  std::optional<Tensor> sliced(int64_t dim, int64_t start, int64_t step, int64_t length) const;
  std::optional<Tensor> reshaped(llvm::ArrayRef<int64_t> to) const; ///< only dimensions of 1 differ

private:
  int64_t offset(int64_t dim, int64_t index) const {
    return dim == 0 && !starts.empty() ? starts[index] : index * strides[dim];
  }

  mutable std::shared_ptr<std::vector<double>> dense;
  // A weight: its elements, from there on. `starts` are those of dimension 0 if picked.
  const char *base = nullptr;
  mlir::Type elementType;
  Shape strides;
  std::vector<int64_t> starts;
};

} // namespace graft::reference

#endif // GRAFT_REFERENCE_TENSOR_H
