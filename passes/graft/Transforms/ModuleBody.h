//===- ModuleBody.h - The part of a graph that belongs to one module -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_MODULEBODY_H
#define GRAFT_TRANSFORMS_MODULEBODY_H

#include "graft/Analysis/Einsum.h"
#include "graft/Transforms/RaiseRouting.h"

#include "llvm/ADT/SetVector.h"

namespace graft::raise {

/// What one module has of a value in which all modules' parts stand side by side: `size` positions
/// along `axis` from `start` on. Where it `drops`, that is one, and the dimension goes away.
struct Part {
  int64_t axis, start, size;
  bool drops;
};

/// Builds what one module makes of its inputs, out of a graph in which all modules are computed:
/// from a value backwards, each op is cloned on the module's part of its operands. What all modules
/// read and what has the rows along dimension 0 becomes an input.
class ModuleBody {
public:
  using Value = mlir::Value;

  /// `rows` is the size of dimension 0 of the inputs.
  ModuleBody(SymbolicShapes &shapes, mlir::Location loc, const Polynomial &rows);

  /// What stands for a value, or for a part of it; null if that cannot be told apart from the other
  /// modules'.
  Value clone(Value value);
  Value clone(Value value, Part part);
  /// Says that a value, which is read `uses` times, is this module's alone, and with it what
  /// nothing else reads.
  void own(Value branch, int64_t uses = 1);
  /// Ends the body with its result. Whether each row of the result follows from that row of the
  /// inputs.
  bool finish(Value result);
  /// Whether each op treats the vectors along the last dimension alone.
  bool isOfVectors();
  /// Makes rows of vectors of the inputs' dimensions but the last.
  void flatten();
  /// Multiplies the result by module `number`'s element of the vectors of an input. What makes
  /// vectors of vectors at the end becomes a module of `mixture`, applied to those that have a
  /// weight.
  void weigh(Value shares, int64_t number, MixtureBuilder &mixture);

  llvm::ArrayRef<Value> getInputs() const { return inputs; }
  /// What tells its tensors of numbers from others, each once.
  llvm::SmallVector<mlir::Attribute> getParameters();
  bool hasConvolution();
  /// Whether more of an input matters than its shape.
  bool readsRows();
  mlir::func::FuncOp getFunction() { return *function; }

private:
  using Dims = llvm::SmallVector<Polynomial, 4>;
  using Key = std::tuple<mlir::Value, int64_t, int64_t, int64_t, bool>;

  Value cloneElementwise(mlir::Operation *op, Part part);
  Value cloneMatMul(onnx::MatMulOp op, Part part);
  Value cloneGemm(onnx::GemmOp op, Part part);
  Value cloneEinsum(onnx::EinsumOp op, Part part);
  /// An Einsum, or the product with a parameter that it is.
  Value emitEinsum(onnx::EinsumOp op, mlir::ValueRange operands, const EinsumEquation &equation,
                   std::optional<Part> part);
  Value cloneTranspose(onnx::TransposeOp op, Part part);
  Value cloneUnsqueeze(onnx::UnsqueezeOp op, Part part);
  Value cloneReshape(mlir::Operation *op, Part part);
  Value cloneExpand(onnx::ExpandOp op, Part part);
  Value cloneConcat(onnx::ConcatOp op, Part part);
  Value cloneSlice(onnx::SliceOp op, Part part);
  Value cloneSplit(onnx::SplitOp op, mlir::OpResult result, Part part);
  Value cloneAlongAxis(mlir::Operation *op, Part part);
  Value cloneReduction(mlir::Operation *op, Part part);
  Value cloneGather(onnx::GatherOp op, Part part);
  Value cloneConstant(onnx::ConstantOp op, Part part);
  /// The operand of an op that broadcasts, given the part of its result, which has `rank`.
  Value cloneBroadcast(Value operand, int64_t rank, Part part);
  Value cloneUncached(Value value, Part part);

  /// An input: the value as it is.
  Value argument(Value value);
  void setType();
  llvm::SetVector<mlir::Operation *> findTail(const SymbolicShapes &known);
  /// The op on other operands, with results for the part.
  mlir::Operation *emit(mlir::Operation *op, mlir::ValueRange operands, std::optional<Part> part);
  mlir::RankedTensorType typeOf(Value value, std::optional<Part> part) const;
  Dims dimsOf(Value value, std::optional<Part> part = {}) const;
  /// A vector of sizes that follow from the inputs', or null.
  Value sizes(llvm::ArrayRef<Polynomial> wanted);
  Value reshape(Value x, llvm::ArrayRef<Polynomial> from, llvm::ArrayRef<Polynomial> to,
                mlir::RankedTensorType type);
  /// The integers of a value that are known before any data is.
  std::optional<llvm::SmallVector<int64_t>> integers(Value value);
  int64_t rank(Value value) const { return shapes.get(value).rank(); }

  SymbolicShapes &shapes;
  const Polynomial rows;
  mlir::OwningOpRef<mlir::func::FuncOp> function; ///< of the inputs
  onnx::GraphBuilder b;
  llvm::SmallVector<Value> inputs;
  llvm::DenseMap<Value, Value> whole;
  std::map<Key, Value, std::function<bool(const Key &, const Key &)>> parts;
  mlir::IRMapping parameters;
  llvm::DenseSet<mlir::Operation *> owned;
};

} // namespace graft::raise

#endif // GRAFT_TRANSFORMS_MODULEBODY_H
