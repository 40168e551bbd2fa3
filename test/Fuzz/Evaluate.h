//===- Evaluate.h - What a graph computes, by the rules of docs/spec.md -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_FUZZ_EVALUATE_H
#define GRAFT_FUZZ_EVALUATE_H

#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>
#include <memory>

namespace graft::fuzz {

/// A tensor of any element type; its elements are held as doubles.
struct Array {
  llvm::SmallVector<int64_t> shape;
  std::vector<double> data;

  Array() = default;
  explicit Array(llvm::ArrayRef<int64_t> shape) : shape(shape), data(size_t(count(shape))) {}
  static int64_t count(llvm::ArrayRef<int64_t> shape) {
    int64_t product = 1;
    for (int64_t dim : shape)
      product *= dim;
    return product;
  }
  int64_t rows() const { return shape.front(); }
  int64_t last() const { return shape.back(); }
  /// Elements of one position of dimension 0.
  int64_t rowSize() const { return count(llvm::ArrayRef(shape).drop_front()); }
  /// The rows of the given numbers.
  Array take(llvm::ArrayRef<int64_t> numbers) const;
};

/// What each row takes, and with which weights: (rows, slots).
struct Route {
  Array chosen, weights;
  int64_t modules = 0;

  int64_t slots() const { return chosen.last(); }
  /// The module in a slot of a row, or nothing if it is empty.
  std::optional<int64_t> get(int64_t row, int64_t slot) const {
    double number = chosen.data[size_t(row * slots() + slot)];
    return number >= 0 && number < double(modules) ? std::optional(int64_t(number)) : std::nullopt;
  }
};

/// What the modules made: of each module the results of the rows that take it.
struct Parts {
  std::shared_ptr<Route> route;
  std::vector<Array> results;
  std::vector<std::vector<int64_t>> place; ///< by module and row, -1 where it is not taken

  /// The result in a slot of a row; null where the slot is empty.
  const double *get(int64_t row, int64_t slot) const;
};

/// Computes a graph of the modular level directly: no pass and no lowering of Graft is used, only
/// its ops' definitions. Rows are told apart by hand, module by module.
///
/// With `single`, every result is rounded to f32: how far that is from what is not rounded tells
/// how well the graph is conditioned.
class Evaluator {
public:
  Evaluator(mlir::ModuleOp module, llvm::StringRef task, bool single)
      : module(module), task(task), single(single) {}

  /// The results of @main, or nothing if it has an op that is not known here.
  std::optional<std::vector<Array>> run(std::vector<Array> inputs);

  /// An op that is not known, or whose operands are not what is expected.
  std::string unknown;
  /// A choice hung on less than rounding: other routes would be as right.
  bool ambiguous = false;

private:
  struct Datum {
    Array array;
    std::shared_ptr<Route> route;
    std::shared_ptr<Parts> parts;
    std::vector<mlir::StringAttr> names; ///< of a route that the task fixes
  };

  /// Sets what the block's arguments are, and what `above` it is known; returns what the
  /// terminator names.
  std::optional<std::vector<Array>> runBlock(mlir::Block &block, std::vector<Array> arguments,
                                             const llvm::DenseMap<mlir::Value, Datum> *above);

  using Values = llvm::DenseMap<mlir::Value, Datum>;
  bool runOnnx(mlir::Operation *op, Values &values);
  bool runArranging(mlir::Operation *op, Values &values);
  bool runModular(mlir::Operation *op, Values &values);
  bool runApply(modular::ApplyOp op, Values &values);
  bool runStep(mlir::Operation *op, Values &values);
  bool runAggregate(mlir::Operation *op, Values &values);
  Array selectTop(modular::SelectTopOp op, const Array &scores);
  Array selectAbove(modular::SelectAboveOp op, const Array &scores);
  Array selectRows(modular::SelectRowsOp op, const Array &scores);
  Array maskGroups(modular::MaskGroupsOp op, Array scores);
  Array weigh(modular::WeighOp op, const Array &chosen, const Array &scores);
  Array adapt(modular::AdaptOp op, Array value, llvm::ArrayRef<mlir::StringAttr> names);
  Array read(mlir::TypedAttr value);
  Array readParameter(mlir::FlatSymbolRefAttr name);
  /// Notes that `a` and `b` are compared where rounding may make either the greater.
  void compare(double a, double b);

  mlir::ModuleOp module;
  std::string task;
  const bool single;
};

} // namespace graft::fuzz

#endif // GRAFT_FUZZ_EVALUATE_H
