//===- Lowering.h - What the lowering of an onnx op builds with -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CONVERSION_ONNXTOLINALG_LOWERING_H
#define GRAFT_CONVERSION_ONNXTOLINALG_LOWERING_H

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Onnx/Onnx.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <functional>
#include <map>

namespace graft::lowering {

using Dims = llvm::SmallVector<Polynomial, 4>;

/// A lowered tensor with its dimensions. Its type is static exactly where they are constant, and
/// its element type is signless.
struct Tensor {
  mlir::Value value;
  Dims dims;

  int64_t rank() const { return dims.size(); }
  mlir::Type element() const {
    return mlir::cast<mlir::RankedTensorType>(value.getType()).getElementType();
  }
};

using ScalarBody = llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::ValueRange)>;
using IndexBody = llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::ValueRange)>;

/// Lowers one function op by op, in order; `b` stands where the current op's lowering goes.
class Lowering {
public:
  explicit Lowering(mlir::func::FuncOp function);
  mlir::LogicalResult run();

  mlir::ImplicitLocOpBuilder b;
  SymbolicShapes shapes;

  /// Within a module whose routes are shown: which row of the route around it each row that is
  /// there is, (rows) of i64, -1 where it does not take the module; and how many rows that route
  /// has, counting those that do not come to it either.
  struct Places {
    Tensor rows;
    Polynomial total;
  };
  std::optional<Places> places;

  //===--------------------------------------------------------------------===//
  // Values
  //===--------------------------------------------------------------------===//

  /// The lowered form of a value of the onnx level.
  Tensor get(mlir::Value value);
  /// Says what replaces a value; casts if the tensor's dims are known less or better than the
  /// value's.
  void set(mlir::Value value, Tensor tensor);
  bool isLowered(mlir::Value value) const { return lowered.contains(value); }
  const Dims &dims(mlir::Value value) const { return shapes.get(value).dims; }
  /// The signless element type.
  mlir::Type element(mlir::Value value) const;
  bool isUnsigned(mlir::Value value) const;
  /// True for a parameter of the model: an argument with a slot, or a constant.
  bool isParameter(mlir::Value value) const;
  /// Lowers one op, into the insertion point if it is nested.
  mlir::LogicalResult lower(mlir::Operation *op);
  /// Lowers the ops of a nested block into the insertion point.
  mlir::LogicalResult lowerBlock(mlir::Block &block);
  /// The constant that a value is at compile time, or null.
  static mlir::DenseElementsAttr constantOf(mlir::Value value);

  //===--------------------------------------------------------------------===//
  // Indices and scalars
  //===--------------------------------------------------------------------===//

  /// The value of a polynomial: one SSA value at the function's start for each, unless it depends
  /// on data.
  mlir::Value index(const Polynomial &p);
  mlir::OpFoldResult fold(const Polynomial &p);
  llvm::SmallVector<mlir::OpFoldResult> fold(llvm::ArrayRef<Polynomial> dims);
  mlir::Value scalar(mlir::Type type, double value);
  mlir::Value scalar(mlir::Attribute value);

  //===--------------------------------------------------------------------===//
  // Checks
  //===--------------------------------------------------------------------===//

  /// Fails the run unless the condition holds. The message gets the op and node in front.
  void check(mlir::Value condition, const llvm::Twine &message);
  /// The same at compile time where both are constant.
  void checkEqual(const Polynomial &a, const Polynomial &b, const llvm::Twine &message);
  mlir::LogicalResult unsupported(mlir::Operation *op, const llvm::Twine &reason);

  //===--------------------------------------------------------------------===//
  // Tensors
  //===--------------------------------------------------------------------===//

  mlir::RankedTensorType type(llvm::ArrayRef<Polynomial> dims, mlir::Type element);
  Tensor empty(llvm::ArrayRef<Polynomial> dims, mlir::Type element);
  Tensor filled(llvm::ArrayRef<Polynomial> dims, mlir::Value scalar);
  Tensor constant(mlir::DenseElementsAttr value);
  /// A tensor of index values, as integers of `element`.
  Tensor fromIndices(llvm::ArrayRef<Polynomial> values, llvm::ArrayRef<Polynomial> dims,
                     mlir::Type element);

  /// The same elements in row-major order.
  Tensor reshape(Tensor x, llvm::ArrayRef<Polynomial> dims);
  Tensor transpose(Tensor x, llvm::ArrayRef<int64_t> perm);
  Tensor slice(Tensor x, llvm::ArrayRef<Polynomial> offsets, llvm::ArrayRef<Polynomial> sizes,
               llvm::ArrayRef<Polynomial> strides);
  /// Copies `x` into `into` at the offsets.
  Tensor insert(Tensor x, Tensor into, llvm::ArrayRef<Polynomial> offsets);
  Tensor concat(llvm::ArrayRef<Tensor> parts, int64_t axis);
  Tensor broadcast(Tensor x, llvm::ArrayRef<Polynomial> dims);

  /// Applies a body to the elements of tensors that broadcast to `dims`. Half-precision operands
  /// come as f32 and the result is rounded to `element`.
  Tensor map(llvm::ArrayRef<Tensor> operands, llvm::ArrayRef<Polynomial> dims, mlir::Type element,
             ScalarBody body);
  /// A tensor of what a body makes of each position.
  Tensor generate(llvm::ArrayRef<Polynomial> dims, mlir::Type element, IndexBody body);
  /// Reduces the marked axes, which go away. The body takes an element and the accumulator.
  Tensor reduce(Tensor x, llvm::ArrayRef<bool> axes, mlir::Value init, ScalarBody body);
  /// Several accumulators at once; `inits` and `body`'s results are in the same order. The body
  /// takes the element, the indices of the loops and the accumulators.
  llvm::SmallVector<Tensor> reduceMany(
      Tensor x, llvm::ArrayRef<bool> axes, llvm::ArrayRef<mlir::Value> inits,
      llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::ImplicitLocOpBuilder &, mlir::Value,
                                                        mlir::ValueRange, mlir::ValueRange)>
          body);

private:
  mlir::LogicalResult finish();
  void seedArguments();
  bool isStatic(const Polynomial &p) const;
  mlir::Value emit(mlir::OpBuilder &at, const Polynomial &p, bool cached);
  mlir::Value emitAtom(mlir::OpBuilder &at, llvm::StringRef text, bool cached);
  mlir::Value emitSymbol(mlir::OpBuilder &at, llvm::StringRef name, bool cached);

  mutable mlir::func::FuncOp function;
  mlir::Operation *current = nullptr;
  mlir::Operation *entryEnd = nullptr; // index values go before it
  llvm::DenseMap<mlir::Value, Tensor> lowered;
  llvm::DenseSet<mlir::Value> unsignedArguments; // their types are signless already
  std::map<Polynomial, mlir::Value> indexValues;
  std::map<std::string, mlir::Value> atomValues;
};

/// How ops are lowered. To add an op, write a function in the file of its topic and add it to that
/// file's table.
class Table {
public:
  template <typename OpTy> void add(mlir::LogicalResult (*lower)(Lowering &, OpTy)) {
    entries[OpTy::getOperationName()] = [lower](Lowering &l, mlir::Operation *op) {
      return lower(l, mlir::cast<OpTy>(op));
    };
  }
  /// One function for several ops.
  template <typename... OpTys>
  void addAll(mlir::LogicalResult (*lower)(Lowering &, mlir::Operation *)) {
    ((entries[OpTys::getOperationName()] = lower), ...);
  }
  static const Table &get();
  const std::function<mlir::LogicalResult(Lowering &, mlir::Operation *)> *
  lookup(llvm::StringRef name) const {
    auto it = entries.find(name);
    return it == entries.end() ? nullptr : &it->second;
  }

private:
  llvm::StringMap<std::function<mlir::LogicalResult(Lowering &, mlir::Operation *)>> entries;
};

// The tables of the topics.
void addActivations(Table &table);
void addAttention(Table &table);
void addControl(Table &table);
void addConvolution(Table &table);
void addEinsum(Table &table);
void addElementwise(Table &table);
void addIndexing(Table &table);
void addConstants(Table &table);
void addMatmul(Table &table);
void addNormalization(Table &table);
void addPooling(Table &table);
void addRecurrent(Table &table);
void addReduction(Table &table);
void addResize(Table &table);
void addRouting(Table &table);
void addRowTasks(Table &table);
void addScatter(Table &table);
void addShape(Table &table);
void addSoftmax(Table &table);
void addSorting(Table &table);

/// `axis` counted from the front.
inline int64_t normalizeAxis(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// The constant attributes of scalars: zero, the least and the greatest value of a type.
mlir::TypedAttr zeroOf(mlir::Type type);
mlir::TypedAttr lowestOf(mlir::Type type, bool isUnsigned);
mlir::TypedAttr highestOf(mlir::Type type, bool isUnsigned);

/// Sum, product and so on of two scalars of any element type.
mlir::Value add(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Value y);
mlir::Value sub(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Value y);
mlir::Value mul(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Value y);
mlir::Value maximum(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Value y, bool isUnsigned);
mlir::Value minimum(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Value y, bool isUnsigned);
/// Converts between any two element types as ONNX's Cast does.
mlir::Value convert(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Type to, bool fromUnsigned,
                    bool toUnsigned);
/// A float constant of the type of `like`.
mlir::Value number(mlir::ImplicitLocOpBuilder &b, mlir::Value like, double value);
mlir::Value sigmoid(mlir::ImplicitLocOpBuilder &b, mlir::Value x);

} // namespace graft::lowering

#endif // GRAFT_CONVERSION_ONNXTOLINALG_LOWERING_H
