//===- RaiseRouting.h - Recognising mixtures that an exporter took apart -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_RAISEROUTING_H
#define GRAFT_TRANSFORMS_RAISEROUTING_H

#include "graft/Analysis/Segments.h"
#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/GraphBuilder.h"
#include "graft/Transforms/RaiseCheck.h"
#include "graft/Transforms/RaiseReport.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

namespace graft::raise {

/// Builds a mixture, router, modules and aggregate, beside an op that it stands for. Symbols are
/// named after that op's module path or node.
class MixtureBuilder {
public:
  using Value = mlir::Value;

  MixtureBuilder(mlir::ModuleOp module, mlir::Operation *op, int64_t experts);
  /// The same where something that belongs to it stands between `begin` and the op already.
  MixtureBuilder(mlir::ModuleOp module, mlir::Operation *op, int64_t experts,
                 mlir::Operation *begin);

  /// Declares the router; `body` builds what is chosen and its weights from the router's arguments,
  /// which have the types of `inputs` for any number of rows.
  void
  route(mlir::ValueRange inputs,
        llvm::function_ref<std::pair<Value, Value>(onnx::GraphBuilder &, mlir::ValueRange)> body);
  /// The router's argument has the weights of each row's tokens, and what it yields is their mean.
  void weighTokens();
  /// Declares the next expert; `body` builds its result from rows of `inputs`.
  void addExpert(mlir::ValueRange inputs,
                 llvm::function_ref<Value(onnx::GraphBuilder &, mlir::ValueRange)> body);
  /// Declares a module that an expert is to apply, and gives its symbol.
  mlir::FlatSymbolRefAttr
  addInner(mlir::ValueRange inputs,
           llvm::function_ref<Value(onnx::GraphBuilder &, mlir::ValueRange)> body);
  /// The sum over the experts of each row's route, before the op.
  Value build(mlir::ValueRange routed, mlir::ValueRange inputs,
              modular::Aggregation how = modular::Aggregation::WeightedSum);
  /// Takes router and experts away again; what was built before the op is dead then.
  void discard();

  modular::RouterOp getRouter() const { return router; }
  /// The op behind which everything is built, or null if it is the first.
  mlir::Operation *getBegin() const { return begin; }

private:
  modular::ModuleOp
  addModule(llvm::StringRef name, mlir::ValueRange inputs,
            llvm::function_ref<Value(onnx::GraphBuilder &, mlir::ValueRange)> body);

  mlir::ModuleOp module;
  mlir::Operation *op, *begin;
  std::string name;
  int64_t experts;
  modular::RouterOp router;
  llvm::SmallVector<mlir::Attribute> modules;
  llvm::SmallVector<mlir::FlatSymbolRefAttr> inner;
  mlir::Type result;
};

/// Whether `value` is a constant of floats of that shape whose bytes are at hand.
bool isStacked(mlir::Value value, llvm::ArrayRef<int64_t> shape);

/// Rows first, first + step, … of a matrix; all of them unless `count` says how many.
struct Rows {
  int64_t first = 0, step = 1, count = -1;
};
/// Rows of part `index` of a stacked constant along its first dimension, where `b` stands. The
/// bytes are the constant's own unless rows are left out between them.
mlir::Value buildPart(onnx::GraphBuilder &b, mlir::Value value, int64_t index, Rows rows = {});

// What patterns ask of values.

/// The integers of a small constant.
std::optional<llvm::SmallVector<int64_t>> integersOf(mlir::Value value);
/// The one integer of a small constant.
std::optional<int64_t> integerOf(mlir::Value value);
/// The ranked type, or null.
mlir::RankedTensorType typeOf(mlir::Value value);
/// Whether the value is zero everywhere: a constant, or one that is repeated to a shape.
bool isZero(mlir::Value value);
/// Whether the value is a parameter, adapted or not, or any other constant.
bool isParameter(mlir::Value value);
/// The value where `b` stands: a parameter is cloned, with what adapts it, unless `mapping` has it.
mlir::Value cloneParameter(mlir::OpBuilder &b, mlir::Value value, mlir::IRMapping &mapping);
/// Whether the op treats each vector along the last dimension alone, given that its operands but
/// parameters do.
bool actsOnVectors(mlir::Operation *op);

/// What weighs the experts of a mixture: a weight for each, or what is chosen and its weights.
struct Gates {
  mlir::Value shares;          ///< (…, modules), or null
  mlir::Value chosen, weights; ///< (…, slots), or null; without weights all weigh 1
  int64_t count = 0;           ///< of slots, where the last dimension is no such; 0 else

  bool operator==(const Gates &other) const {
    return shares == other.shares && chosen == other.chosen && weights == other.weights;
  }
  int64_t slots() const {
    return count ? count : typeOf(shares ? shares : chosen).getShape().back();
  }
};

/// Declares the mixture's router; `routed` becomes what it is asked with, where `b` stands. What
/// the gates are made of is looked through: a softmax, the k greatest and their weights.
void buildRouter(onnx::GraphBuilder &b, MixtureBuilder &mixture, Gates gates,
                 llvm::SmallVectorImpl<mlir::Value> &routed);

/// Chooses the modules whose weight is not 0, and weighs them by it: `shares` is (rows, modules).
/// Of (rows, …, modules) it chooses what any of a row's weights are not 0 for, and shows their
/// mean.
std::pair<mlir::Value, mlir::Value> takeWeighed(onnx::GraphBuilder &b, mlir::Value shares);

/// A run over a function: what the patterns share.
class Raising {
public:
  Raising(mlir::ModuleOp module, mlir::func::FuncOp main, bool repair)
      : module(module), repair(repair), main(main) {}

  mlir::ModuleOp module;
  const bool repair; ///< what an exporter froze becomes what it was traced from
  RaiseReport report;

  /// Costs a walk over the function: asked where the ops at the root fit.
  SymbolicShapes &shapes();
  /// Puts `result`, built by `mixture`, in the place of the op's. First both are computed on
  /// numbers: false, with a warning, and nothing is replaced, if they differ.
  bool replace(MixtureBuilder &mixture, mlir::Operation *op, mlir::Value result,
               llvm::StringRef form);
  /// The same where the comparison was made.
  void replace(MixtureBuilder &mixture, mlir::Operation *op, mlir::Value result,
               llvm::StringRef form, const Verdict &verdict);
  /// Ops are gone, or have other operands.
  void changed() { known.reset(); }
  /// What looks like routing stays.
  void leave(mlir::Operation *op, const llvm::Twine &reason);

private:
  mlir::func::FuncOp main;
  std::optional<SymbolicShapes> known;
};

// The patterns. Each returns whether it replaced the op.

/// Σ_e gate_e · branch_e, as a tree of additions or a sum over stacked branches, where all gates
/// are of one router and all branches start from one value.
bool raiseGatedSum(Raising &raising, mlir::Operation *op);

/// Whether matrices are gathered of stacked ones anywhere.
bool gathersMatrices(mlir::func::FuncOp main);
/// A sum over slots of what weights that are gathered for each slot of each row make of the row; or
/// without a sum, what they make of it where a row has one slot.
bool raiseGatheredWeights(Raising &raising, mlir::Operation *op, bool isSum);

/// A loop over experts, unrolled: each step adds what one expert makes of the rows that it is
/// chosen for. `seen` are steps of loops that were looked at. A loop of which an export froze what
/// depends on data is an error, unless that is to be repaired.
mlir::FailureOr<bool> raiseLoop(Raising &raising, mlir::Operation *op,
                                llvm::DenseSet<mlir::Operation *> &seen);

/// A MoE with the weights of a QMoE of integers as floats in its place; any other op is left.
mlir::FailureOr<mlir::Operation *> dequantizeExperts(mlir::Operation *op);

/// com.microsoft's MoE; an op that says what Graft does not do is an error.
mlir::FailureOr<bool> raiseContribMoE(Raising &raising, mlir::Operation *op);

/// Says of choices of the greatest by which modules seem to be taken that no mixture was seen
/// behind them, unless something behind them was left already.
void leaveRest(Raising &raising, mlir::func::FuncOp main);

} // namespace graft::raise

#endif // GRAFT_TRANSFORMS_RAISEROUTING_H
