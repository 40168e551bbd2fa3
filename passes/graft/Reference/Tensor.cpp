//===- Tensor.cpp - Values of the reference evaluation -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/Tensor.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <cstring>

using namespace graft::reference;
using llvm::ArrayRef;

std::optional<int64_t> graft::reference::elementCount(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    if (dim < 0 || llvm::MulOverflow(count, dim, count))
      return std::nullopt;
  return count;
}

std::optional<int64_t> graft::reference::computedCount(ArrayRef<int64_t> shape) {
  Shape atLeastOne(shape);
  for (int64_t &dim : atLeastOne)
    dim = dim == 0 ? 1 : dim;
  std::optional<int64_t> most = elementCount(atLeastOne);
  return most && *most <= (int64_t(1) << 28) ? elementCount(shape) : std::nullopt;
}

Shape graft::reference::rowMajor(ArrayRef<int64_t> shape) {
  Shape strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

Tensor::Kind Tensor::kindOf(mlir::Type elementType) {
  return elementType.isInteger(1)                  ? Bool
         : mlir::isa<mlir::FloatType>(elementType) ? Float
                                                   : Integer;
}

Tensor Tensor::weight(mlir::RankedTensorType type, const char *bytes) {
  Tensor tensor;
  tensor.shape = Shape(type.getShape());
  tensor.base = bytes;
  tensor.elementType = type.getElementType();
  tensor.strides = rowMajor(tensor.shape);
  return tensor;
}

/// The element at `index` of floats of `type`.
static double load(const char *bytes, mlir::Type type, int64_t index) {
  if (type.isF32()) {
    float value;
    std::memcpy(&value, bytes + 4 * index, 4);
    return value;
  }
  if (type.isF64()) {
    double value;
    std::memcpy(&value, bytes + 8 * index, 8);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes + 2 * index, 2);
  llvm::APFloat value(mlir::cast<mlir::FloatType>(type).getFloatSemantics(), llvm::APInt(16, bits));
  bool losesInfo;
  value.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return value.convertToDouble();
}

double Tensor::Matrix::at(int64_t row, int64_t column) const {
  const int64_t index = row * rowStride + column * columnStride;
  return doubles ? doubles[index] : load(bytes, type, index);
}

ArrayRef<double> Tensor::values() const {
  if (dense)
    return *dense;
  auto all = std::make_shared<std::vector<double>>();
  all->reserve(count());
  Shape index(shape.size(), 0);
  for (int64_t i = 0, n = count(); i < n; ++i) {
    int64_t at = 0;
    for (int64_t dim = 0; dim < rank(); ++dim)
      at += offset(dim, index[dim]);
    all->push_back(load(base, elementType, at));
    for (int64_t dim = rank(); dim-- > 0 && ++index[dim] == shape[dim];)
      index[dim] = 0;
  }
  dense = std::move(all);
  return *dense;
}

llvm::SmallVector<int64_t> Tensor::integers() const {
  llvm::SmallVector<int64_t> result;
  for (double value : values())
    result.push_back(value >= 0x1p63     ? INT64_MAX
                     : value <= -0x1p63  ? INT64_MIN
                     : std::isnan(value) ? 0
                                         : int64_t(value));
  return result;
}

Tensor::Matrix Tensor::matrix(int64_t place) const {
  Matrix result;
  if (base) {
    int64_t at = 0;
    for (int64_t dim = rank() - 2; dim-- > 0; place /= shape[dim])
      at += offset(dim, place % shape[dim]);
    result.bytes = base + at * (elementType.getIntOrFloatBitWidth() / 8);
    result.type = elementType;
    result.rowStride = strides[rank() - 2];
    result.columnStride = strides[rank() - 1];
    return result;
  }
  result.rowStride = shape[rank() - 1];
  result.columnStride = 1;
  result.doubles = dense->data() + place * shape[rank() - 2] * shape[rank() - 1];
  return result;
}

std::optional<Tensor> Tensor::picked(ArrayRef<int64_t> places) const {
  if (!base || rank() < 3) // what is small is copied
    return std::nullopt;
  Tensor result = *this;
  result.dense.reset();
  result.shape[0] = places.size();
  result.starts.clear();
  for (int64_t place : places)
    result.starts.push_back(offset(0, place));
  return result;
}

std::optional<Tensor> Tensor::part(int64_t place) const {
  if (!base || rank() < 2)
    return std::nullopt;
  Tensor result = *this;
  result.dense.reset();
  result.base += offset(0, place) * (elementType.getIntOrFloatBitWidth() / 8);
  result.starts.clear();
  result.shape.erase(result.shape.begin());
  result.strides.erase(result.strides.begin());
  return result;
}

std::optional<Tensor> Tensor::transposed(ArrayRef<int64_t> permutation) const {
  if (!base || (!starts.empty() && permutation.front() != 0))
    return std::nullopt;
  Tensor result = *this;
  result.dense.reset();
  for (auto [to, from] : llvm::enumerate(permutation)) {
    result.shape[to] = shape[from];
    result.strides[to] = strides[from];
  }
  return result;
}

std::optional<Tensor> Tensor::sliced(int64_t dim, int64_t start, int64_t step,
                                     int64_t length) const {
  if (!base || (dim == 0 && !starts.empty()))
    return std::nullopt;
  Tensor result = *this;
  result.dense.reset();
  result.base += start * strides[dim] * (elementType.getIntOrFloatBitWidth() / 8);
  result.strides[dim] *= step;
  result.shape[dim] = length;
  return result;
}

std::optional<Tensor> Tensor::reshaped(ArrayRef<int64_t> to) const {
  if (!base || !starts.empty())
    return std::nullopt;
  Tensor result = *this;
  result.dense.reset();
  result.shape = Shape(to);
  result.strides.clear();
  int64_t from = 0;
  for (int64_t dim : to) {
    while (dim != 1 && from < rank() && shape[from] == 1)
      ++from;
    if (dim == 1) {
      result.strides.push_back(1);
      continue;
    }
    if (from == rank() || shape[from] != dim)
      return std::nullopt;
    result.strides.push_back(strides[from++]);
  }
  return result;
}
