//===- Generate.h - Graphs of modules, routers and aggregators that a seed decides -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_FUZZ_GENERATE_H
#define GRAFT_FUZZ_GENERATE_H

#include "Random.h"

#include "graft/Modular/Modular.h"
#include "graft/Onnx/GraphBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>

namespace graft::fuzz {

/// A module of the modular level, as `graft compile` has it after linking: parameters, adapters by
/// task, routers, modules, and a function @main that uses them. The same seed gives the same.
///
/// The names of @main's inputs tell what may be in them: `x`, `z`, `noise` and `weights` are
/// numbers, `scores` too, with equal ones and NaN among them, `chosen.E` are numbers of E modules,
/// and others, `ids.N` are rows of a table of N, `any` is any integer.
mlir::OwningOpRef<mlir::ModuleOp> generate(mlir::MLIRContext &context, uint64_t seed);

/// Builds such a module.
class Generator {
public:
  using Value = mlir::Value;
  using Builder = onnx::GraphBuilder;

  Generator(mlir::MLIRContext &context, uint64_t seed);
  mlir::OwningOpRef<mlir::ModuleOp> run();

private:
  //===- Parameters (GenerateParameters.cpp) ------------------------------===//

  void declareTasks();
  std::string unique(llvm::StringRef stem) { return (stem + llvm::Twine(names++)).str(); }
  mlir::FlatSymbolRefAttr parameter(llvm::ArrayRef<int64_t> shape,
                                    llvm::function_ref<double()> element);
  mlir::TypedAttr contents(llvm::ArrayRef<int64_t> shape, llvm::function_ref<double()> element,
                           bool inStore);
  /// A weight of (in, out), or of (out, in): a constant, a site, or an adapted site. Those of one
  /// `key` other than 0 are one parameter.
  Value matrix(Builder &b, int64_t in, int64_t out, bool inFirst, uint64_t key = 0);
  /// Of numbers whose products with inputs sum exactly.
  Value gate(Builder &b, int64_t in, int64_t out, bool inFirst);
  Value vector(Builder &b, int64_t size, double around, uint64_t key = 0);
  Value adapted(Builder &b, Value site, bool inFirst);
  mlir::FlatSymbolRefAttr adapter(mlir::RankedTensorType canonical, bool mayReplace,
                                  bool &replaces);
  Value use(Builder &b, mlir::RankedTensorType type, mlir::TypedAttr value, bool transposed,
            uint64_t key);

  //===- Routers (GenerateRouters.cpp) ------------------------------------===//

  struct Asked {
    mlir::FlatSymbolRefAttr router;
    int64_t slots;
    llvm::SmallVector<Value> inputs;
  };
  /// A router over `modules`, and what it is asked with where `b` stands: `x`, or inputs of the
  /// model if that is where `b` is.
  Asked router(Builder &b, Value x, int64_t modules, Random &shape);
  Value scores(Builder &b, Value x, int64_t modules, Random &shape);
  /// `seesRows`: which rows a module takes may hang on all of them.
  Value select(Builder &b, Value scores, bool seesRows, Random &shape);
  Value selectionScores(Builder &b, Value scores, Random &shape);
  Value weights(Builder &b, Value chosen, Value scores, Value selecting, Random &shape);

  //===- Modules (GenerateModules.cpp) ------------------------------------===//

  /// A mixture of modules on `x`, of width `out`, as `shape` decides: two with the same `shape` are
  /// alike but for their parameters.
  Value mixture(Builder &b, Value x, int64_t out, Random &shape, int depth);
  mlir::FlatSymbolRefAttr expert(mlir::TypeRange inputs, int64_t out, Random shape, int depth);
  Value body(Builder &b, mlir::ValueRange inputs, int64_t out, Random &shape, int depth);
  Value step(Builder &b, Value x, Random &shape, int depth);
  Value product(Builder &b, Value x, int64_t out, Random &shape);
  Value activation(Builder &b, Value x, Random &shape);
  Value norm(Builder &b, Value x, Random &shape);
  /// What brings the parts together, to the width of `x` or another.
  Value aggregate(Builder &b, Value parts, Value x, Random &shape);
  Value attention(Builder &b, Value parts, Value x, Random &shape);
  Value aggregateByOwn(Builder &b, Value parts, Random &shape);

  //===- The backbone (GenerateGraph.cpp) ---------------------------------===//

  /// An input of the model, made when it is first asked for.
  Value input(llvm::StringRef name, llvm::ArrayRef<std::string> dims, mlir::Type element);
  bool isInMain(Builder &b);
  Value start();
  Value layer(Builder &b, Value x);
  Value tokens(Builder &b, Value x, int64_t out);
  void finish(Builder &b, llvm::ArrayRef<Value> results);

  static int64_t width(Value x) {
    return llvm::cast<mlir::RankedTensorType>(x.getType()).getShape().back();
  }
  static int64_t rank(Value x) { return llvm::cast<mlir::RankedTensorType>(x.getType()).getRank(); }
  /// As `x`, with another last dimension or element type.
  static mlir::RankedTensorType like(Value x, int64_t last, mlir::Type element = {});
  int64_t anyWidth(Random &from) { return from.pick({1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 20, 33}); }

  mlir::MLIRContext &context;
  Random random; ///< what is in parameters, and all of the backbone
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::Location loc;
  unsigned names = 0;
  int budget = 12;       ///< modules that may still be declared
  bool ofTokens = false; ///< the rows of the backbone are tokens, those of the inputs sequences
  bool twisted = false;  ///< the body is to differ in a detail from those that it is alike
  llvm::SmallVector<std::string> adapters;
  std::map<uint64_t, std::pair<mlir::FlatSymbolRefAttr, mlir::TypedAttr>> shared;
  mlir::func::FuncOp main;
  std::string rowDim; ///< "n", or a number
  std::string sequenceDim;
  std::map<std::string, Value> inputs;
};

} // namespace graft::fuzz

#endif // GRAFT_FUZZ_GENERATE_H
