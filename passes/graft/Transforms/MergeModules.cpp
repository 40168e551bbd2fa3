//===- MergeModules.cpp - Modules that are the same become one --*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/Passes.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OperationSupport.h"

#include <map>

namespace graft {
#define GEN_PASS_DEF_MERGEMODULESPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::modular;

namespace {
/// Symbols that stand for others, and the ops that are not needed then.
class Merger {
public:
  explicit Merger(mlir::ModuleOp module)
      : module(module),
        store(module.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore()) {}

  /// Merges the parameters that modules read, by content.
  void mergeParameters();
  /// Merges modules by what they compute; returns whether there were any that are the same.
  bool mergeModules();

private:
  void replaceUses();

  mlir::ModuleOp module;
  WeightStore &store;
  llvm::DenseMap<StringAttr, FlatSymbolRefAttr> standsFor;
  SmallVector<Operation *> merged;
};
} // namespace

void Merger::replaceUses() {
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](FlatSymbolRefAttr symbol) -> std::optional<Attribute> {
    auto found = standsFor.find(symbol.getAttr());
    return found == standsFor.end() ? std::nullopt : std::optional<Attribute>(found->second);
  });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true);
  for (Operation *op : merged)
    op->erase();
  standsFor.clear();
  merged.clear();
}

void Merger::mergeParameters() {
  llvm::DenseSet<StringAttr> ofModules;
  for (auto interface : module.getOps<ModuleOpInterface>()) {
    SmallVector<FlatSymbolRefAttr> parameters;
    interface.collectParameters(parameters);
    for (FlatSymbolRefAttr parameter : parameters)
      ofModules.insert(parameter.getAttr());
  }
  std::map<ContentHash, ParameterOp> byContent; // type, shape and bytes
  llvm::DenseMap<Attribute, ParameterOp> byValue;
  for (auto parameter : module.getOps<ParameterOp>()) {
    if (!ofModules.contains(parameter.getSymNameAttr()))
      continue;
    ParameterOp *first = &byValue[parameter.getValue()];
    auto weight = dyn_cast<WeightAttr>(parameter.getValue());
    if (weight && store.lookup(weight.getKey()))
      first = &byContent[store.hash(weight.getKey())];
    if (!*first) {
      *first = parameter;
      continue;
    }
    standsFor[parameter.getSymNameAttr()] = FlatSymbolRefAttr::get(first->getSymNameAttr());
    merged.push_back(parameter);
  }
  replaceUses();
}

/// Whether two sites are one use of one parameter, wherever they were exported from.
static bool areSameSite(Operation *a, Operation *b) {
  auto first = dyn_cast<SiteOp>(a), second = dyn_cast<SiteOp>(b);
  return first && second && first.getParameterAttr() == second.getParameterAttr() &&
         first.getTransposed() == second.getTransposed() &&
         first.getResult().getType() == second.getResult().getType();
}

/// Whether two blocks compute the same of their arguments.
static bool computeTheSame(Block &a, Block &b) {
  if (a.getArgumentTypes() != b.getArgumentTypes() ||
      a.getOperations().size() != b.getOperations().size())
    return false;
  IRMapping mapping;
  mapping.map(a.getArguments(), b.getArguments());
  for (auto [first, second] : llvm::zip(a, b)) {
    const bool same =
        areSameSite(&first, &second) ||
        OperationEquivalence::isEquivalentTo(
            &first, &second,
            [&](Value x, Value y) { return success(mapping.lookupOrDefault(x) == y); },
            [&](Value x, Value y) { mapping.map(x, y); }, OperationEquivalence::IgnoreLocations);
    if (!same)
      return false;
    mapping.map(first.getResults(), second.getResults());
  }
  return true;
}

bool Merger::mergeModules() {
  SmallVector<modular::ModuleOp> kept;
  for (auto candidate : module.getOps<modular::ModuleOp>()) {
    auto same = llvm::find_if(kept, [&](modular::ModuleOp other) {
      return other.getComposition() == candidate.getComposition() &&
             other.getFunctionType() == candidate.getFunctionType() &&
             computeTheSame(other.getBody().front(), candidate.getBody().front());
    });
    if (same == kept.end()) {
      kept.push_back(candidate);
      continue;
    }
    standsFor[candidate.getSymNameAttr()] = FlatSymbolRefAttr::get(same->getSymNameAttr());
    merged.push_back(candidate);
  }
  const bool any = !merged.empty();
  replaceUses();
  return any;
}

namespace {
struct MergeModulesPass : graft::impl::MergeModulesPassBase<MergeModulesPass> {
  void runOnOperation() override {
    Merger merger(getOperation());
    merger.mergeParameters();
    // Modules that apply modules are the same once those are.
    while (merger.mergeModules())
      ;
  }
};
} // namespace
