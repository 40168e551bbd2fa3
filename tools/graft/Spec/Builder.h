//===- Builder.h - Writes a spec's modules and routers as IR -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_SPEC_BUILDER_H
#define GRAFT_SPEC_BUILDER_H

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Modular/Modular.h"
#include "graft/Spec/Places.h"
#include "graft/Spec/Uses.h"

namespace graft::spec {

/// Whose rows a body sees.
enum class Level {
  Whole,    ///< the backbone's tensors
  Tokens,   ///< vectors, as a matrix
  Sequences ///< elements of dimension 0
};

/// Where a body is being built.
struct Frame {
  onnx::GraphBuilder &b;
  const Layer &layer;
  Level level;
  std::string name; ///< of what the body belongs to
  Captures captures;
  /// Below Whole: what routers read, by Need::key.
  std::map<std::string, mlir::Value> needs;
  /// At Whole: whether the first dimensions are still those of the layer's input.
  bool isAligned = true;
};

class SpecBuilder {
public:
  using Value = mlir::Value;

  SpecBuilder(mlir::ModuleOp module, Errors &errors, const Document &document, Tensors &tensors,
              Backbone &backbone);

  /// Writes all places. Where there is an error, the module is of no use any more.
  void run();

private:
  /// A module that a mixture chooses among.
  struct Member {
    const Module *module;
    Captures captures;
    std::string name;
    Mark mark;
  };
  struct Instance {
    std::string symbol;
    mlir::RankedTensorType result;
  };

  Value fail(Mark mark, const llvm::Twine &message, FaultKind kind = FaultKind::Input) {
    errors.fail(mark, message, kind);
    return Value();
  }

  // Places.
  void addInputs();
  void place(const Layer &layer);
  Value current(Value value) const;

  // Bodies (Bodies.cpp). All return null with an error.
  Value build(Frame &frame, const Ref<Module> &ref, Value x);
  Value build(Frame &frame, const Module &module, Value x);
  Value buildBody(Frame &frame, const Module &module, Value x);
  Value buildLinear(Frame &frame, const Module &module, Value x, llvm::StringRef weight,
                    llvm::StringRef bias);
  Value buildOnRows(Frame &frame, const Module &module, Value x);
  Value buildLora(Frame &frame, const Module &module, Value x);
  Value buildPeft(Frame &frame, const Module &module, Value x);
  Value buildNorm(Frame &frame, const Module &module, Value x);
  Value buildParts(Frame &frame, const Module &module, Value x);
  static Value activate(onnx::GraphBuilder &b, Activation::Kind kind, Value x);

  // Bodies that are graphs (Graphs.cpp).
  Value buildOnnx(Frame &frame, const Text &file, Value x);
  Value buildLayer(Frame &frame, Mark mark, Value x);
  Value splice(Frame &frame, Mark mark, llvm::StringRef what, mlir::func::FuncOp scratch,
               mlir::ValueRange inputs);
  mlir::func::FuncOp importBody(Frame &frame, const Text &file, llvm::ArrayRef<mlir::Type> types);

  // Mixtures (Mixtures.cpp).
  Value buildMixture(Frame &frame, const Module &module, Value x);
  std::vector<Member> membersOf(Frame &frame, const Module &module);
  std::optional<Instance> instantiate(Frame &frame, const Member &member,
                                      mlir::ValueRange arguments, const std::set<Need> &needs);
  Value needed(Frame &frame, const Need &need, bool perSequence, Value x);
  /// What two uses of a definition that may share a symbol have in common, but for types.
  static std::string keyOf(const void *definition, const Uses &uses, const Frame &frame,
                           const Captures &captures);
  std::string symbolFor(const Frame &frame, llvm::StringRef name, const Uses &uses);

  // Routers (Routers.cpp).
  modular::RouterOp routerFor(Frame &frame, const Router &router, llvm::StringRef name,
                              const std::vector<Member> &members, mlir::ValueRange arguments,
                              const std::set<Need> &needs);
  bool buildRoute(Frame &frame, const Router &router, const std::vector<Member> &members, Value x,
                  Value &chosen, Value &weights);
  Value buildLogits(Frame &frame, const Router &router, int64_t modules, Value x);
  Value buildChosen(Frame &frame, const Router &router, const std::vector<Member> &members, Value x,
                    Value selecting);
  Value buildTaskChoice(Frame &frame, const Router &router, const std::vector<Member> &members,
                        Value x);
  static Value repeat(onnx::GraphBuilder &b, Value row, Value x);
  static int64_t numberOf(Errors &errors, const std::vector<Member> &members, const Text &name);

  void finishTasks();

  // Aggregators (Aggregators.cpp).
  Value buildAggregate(Frame &frame, const Aggregator &aggregator, llvm::StringRef name,
                       Value parts, int64_t slots, Value rows);
  mlir::FlatSymbolRefAttr aggregatorFor(Frame &frame, const Aggregator &aggregator,
                                        llvm::StringRef name, mlir::RankedTensorType part,
                                        int64_t slots, mlir::RankedTensorType &result);

  mlir::ModuleOp module;
  mlir::func::FuncOp main;
  Errors &errors;
  const Document &document;
  Tensors &tensors;
  Backbone &backbone;
  std::optional<SymbolicShapes> shapes;
  llvm::DenseMap<Value, Value> replaced;
  std::set<std::string> adapterNames;
  UsesCache known;
  unsigned budget = 100'000; ///< of bodies: few definitions may stand for very many
  std::map<std::string, Instance> instances;
  std::map<std::string, modular::RouterOp> routers;
  std::map<std::string, std::pair<mlir::FlatSymbolRefAttr, mlir::RankedTensorType>> aggregators;
};

/// A registered op by its name, with what the spec says as attributes and the result types that it
/// infers. `wanted` says whether an op of that name fits, `what` it is in messages. Null with an
/// error otherwise.
mlir::Operation *createNamed(onnx::GraphBuilder &b, Errors &errors, const OpRef &ref,
                             mlir::ValueRange operands, llvm::StringRef what,
                             llvm::function_ref<bool(mlir::RegisteredOperationName)> wanted);

/// As IR has it.
std::string typeText(mlir::Type type);
/// The ranked type.
inline mlir::RankedTensorType typeOf(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}

} // namespace graft::spec

#endif // GRAFT_SPEC_BUILDER_H
