//===- Residency.cpp - Where a module's parameters live: folded or beside -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Residency.h"

#include "graft/Modular/ParameterValues.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

#include <set>

using namespace mlir;
using namespace graft;
using namespace graft::modular;

//===----------------------------------------------------------------------===//
// Which uses a delta can be distributed over
//===----------------------------------------------------------------------===//

/// Follows a parameter's value to the ops that compute with it. `transposed` says whether `value`
/// is the transpose of the canonical form.
static bool followUses(Value value, bool transposed, SmallVectorImpl<OpOperand *> &uses) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<onnx::IdentityOp>(user)) {
      if (!followUses(user->getResult(0), transposed, uses))
        return false;
      continue;
    }
    if (isa<onnx::TransposeOp>(user)) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (!type || type.getRank() != 2 || !followUses(user->getResult(0), !transposed, uses))
        return false;
      continue;
    }
    auto linear = dyn_cast<onnx::LinearInParameterOpInterface>(user);
    if (!linear || linear.getParameterOperandNumber() != use.getOperandNumber() ||
        linear.isParameterTransposed() != transposed)
      return false;
    uses.push_back(&use);
  }
  return true;
}

std::optional<SmallVector<OpOperand *>> graft::getLinearUses(AdaptOp adapt) {
  auto site = adapt.getSite().getDefiningOp<SiteOp>();
  SmallVector<OpOperand *> uses;
  if (!site || !followUses(adapt.getResult(), site.getTransposed(), uses))
    return std::nullopt;
  return uses;
}

/// The thin matrices of a route's modules at a site, or nothing if some step has none.
static std::optional<SmallVector<LowRankForm>>
getLowRankForms(ArrayRef<ModuleOpInterface> modules) {
  SmallVector<LowRankForm> forms;
  for (ModuleOpInterface module : modules)
    for (auto step : cast<FunctionOpInterface>(module.getOperation())
                         .getFunctionBody()
                         .front()
                         .getOps<ParameterCompositionOpInterface>()) {
      std::optional<LowRankForm> form = step.getLowRankForm();
      if (!form)
        return std::nullopt;
      forms.push_back(*form);
    }
  return forms;
}

static bool canBranch(AdaptOp adapt, const std::optional<SmallVector<LowRankForm>> &forms) {
  std::optional<SmallVector<OpOperand *>> uses = getLinearUses(adapt);
  if (!forms || !uses)
    return false;
  return llvm::all_of(*uses, [&](OpOperand *use) {
    // A magnitude scales the product, but not a bias that the op adds itself; and a delta has no
    // form in groups.
    const bool scalesRows =
        llvm::any_of(*forms, [](const LowRankForm &f) { return bool(f.magnitude); });
    if (auto conv = dyn_cast<onnx::ConvOp>(use->getOwner()))
      return !scalesRows && conv.getGroup() == 1;
    if (auto gather = dyn_cast<onnx::GatherOp>(use->getOwner()))
      return !scalesRows && gather.getAxis() == 0;
    return !scalesRows || isa<onnx::MatMulOp>(use->getOwner());
  });
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

/// Bytes of a weight in the form in which code stores it: matmul weights are packed in panels, all
/// others, those of convolutions too, stay as they are.
static uint64_t storedBytes(RankedTensorType type, bool isMatrix, int64_t columns,
                            const ResidencyOptions &options) {
  uint64_t elements = type.getNumElements();
  const uint64_t width = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  if (!isMatrix || columns <= 0)
    return elements * width;
  return elements / columns * llvm::alignTo(columns, options.panelWidth) * width;
}

/// Whether `value`, a weight, is multiplied with, and then how many columns the product has.
static std::pair<bool, int64_t> getMatrixUse(Value value) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<onnx::IdentityOp, onnx::TransposeOp, modular::AdaptOp>(user) &&
        user->getNumResults() == 1)
      return getMatrixUse(user->getResult(0));
    auto linear = dyn_cast<onnx::LinearInParameterOpInterface>(user);
    if (!linear || isa<onnx::GatherOp, onnx::ConvOp>(user) ||
        linear.getParameterOperandNumber() != use.getOperandNumber())
      continue;
    auto type = cast<RankedTensorType>(value.getType());
    return {true,
            linear.isParameterTransposed() ? type.getShape().back() : type.getShape().front()};
  }
  return {false, 0};
}

/// The weights of the backbone that some task runs on unchanged.
static uint64_t getFrozenBytes(mlir::ModuleOp module, const ResidencyOptions &options) {
  auto &store = module.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  std::set<std::pair<std::string, int64_t>> seen; // content, and how it is packed
  SymbolTableCollection symbols;
  uint64_t bytes = 0;
  auto add = [&](TypedAttr value, Value result) {
    auto weight = dyn_cast_or_null<WeightAttr>(value);
    if (!weight)
      return;
    auto [isMatrix, columns] = getMatrixUse(result);
    std::string identity = weight.getKey().str();
    if (store.lookup(identity)) {
      ContentHash hash = store.hash(identity);
      identity.assign(hash.begin(), hash.end());
    }
    if (seen.insert({identity, isMatrix ? columns : -1}).second)
      bytes += storedBytes(weight.getType(), isMatrix, columns, options);
  };
  module.walk([&](Operation *op) {
    if (auto constant = dyn_cast<onnx::ConstantOp>(op))
      add(constant.getValue(), constant.getResult());
    else if (auto site = dyn_cast<SiteOp>(op))
      if (auto parameter =
              symbols.lookupNearestSymbolFrom<ParameterOp>(site, site.getParameterAttr()))
        add(parameter.getValue(), site.getResult());
  });
  return bytes;
}

/// Bytes that one adapt needs beside the frozen weight: each folded copy, and each module that
/// stays beside once.
static uint64_t getAddedBytes(ArrayRef<SiteResidency *> combinations) {
  llvm::DenseMap<StringAttr, uint64_t> branches;
  uint64_t bytes = 0;
  for (SiteResidency *site : combinations) {
    if (site->choice == Residency::Fold) {
      bytes += site->foldBytes;
      continue;
    }
    // The branches of a combination are those of its modules; count a module once.
    for (StringAttr name : site->modules)
      branches[name] = std::max(branches[name], site->branchBytes / site->modules.size());
  }
  for (auto &[name, size] : branches)
    bytes += size;
  return bytes;
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

/// One entry for each adapt and each set of modules that some task has there.
static FailureOr<std::vector<SiteResidency>> collectSites(mlir::ModuleOp module,
                                                          const ResidencyOptions &options,
                                                          SymbolTableCollection &symbols) {
  std::vector<SiteResidency> sites;
  SmallVector<AdaptOp> adapts;
  module.walk([&](AdaptOp adapt) { adapts.push_back(adapt); });
  for (AdaptOp adapt : adapts) {
    auto route = adapt.getRoute().getDefiningOp<RouteOp>();
    auto router = symbols.lookupNearestSymbolFrom<RouterOpInterface>(adapt, route.getRouterAttr());
    llvm::MapVector<ArrayAttr, SmallVector<StringAttr>> tasksOf;
    for (TaskOp task : module.getOps<TaskOp>()) {
      std::optional<SmallVector<StringAttr>> names = router.getConstantRoute(task);
      if (!names)
        return adapt.emitError() << "expected a route that is known for each task";
      SmallVector<Attribute> here;
      for (StringAttr name : *names)
        if (adapt.getModules().contains(name))
          here.push_back(name);
      llvm::sort(here, [](Attribute a, Attribute b) {
        return cast<StringAttr>(a).getValue() < cast<StringAttr>(b).getValue();
      });
      if (!here.empty())
        tasksOf[ArrayAttr::get(module.getContext(), here)].push_back(task.getSymNameAttr());
    }
    for (auto &[names, tasks] : tasksOf) {
      SiteResidency site;
      site.adapt = adapt;
      site.modules = llvm::to_vector(names.getAsRange<StringAttr>());
      site.tasks = tasks;
      auto forms = getLowRankForms(getModulesOfRoute(adapt, site.modules, symbols));
      site.canBranch = canBranch(adapt, forms);
      FailureOr<AdaptedValue> value = evaluateAdapt(adapt, site.modules, symbols);
      if (failed(value))
        return failure();
      site.foldError = value->error;
      auto [isMatrix, columns] = getMatrixUse(adapt.getResult());
      const bool resized = value->type != adapt.getSite().getType();
      site.foldBytes = storedBytes(value->type, isMatrix && !resized, columns, options);
      if (site.canBranch)
        for (const LowRankForm &form : *forms) {
          auto down = symbols.lookupNearestSymbolFrom<ParameterOp>(adapt, form.down).getType();
          auto up = symbols.lookupNearestSymbolFrom<ParameterOp>(adapt, form.up).getType();
          site.branchBytes += storedBytes(down, true, down.getDimSize(0), options) +
                              storedBytes(up, true, up.getDimSize(0), options);
          site.branchFlops += 2 * (down.getNumElements() + up.getNumElements());
        }
      sites.push_back(std::move(site));
    }
  }
  return sites;
}

static InFlightDiagnostic &describe(InFlightDiagnostic &diagnostic, const SiteResidency &site) {
  auto siteOp = const_cast<SiteResidency &>(site).adapt.getSite().getDefiningOp<SiteOp>();
  diagnostic << "site '" << siteOp.getPath() << "', ";
  llvm::interleave(
      site.modules, [&](StringAttr name) { diagnostic << "adapter '" << name.getValue() << "'"; },
      [&] { diagnostic << " and "; });
  return diagnostic;
}

FailureOr<ResidencyPlan> graft::planResidency(mlir::ModuleOp module,
                                              const ResidencyOptions &options) {
  SymbolTableCollection symbols;
  auto sites = collectSites(module, options, symbols);
  if (failed(sites))
    return failure();
  ResidencyPlan plan;
  plan.sites = std::move(*sites);
  plan.frozenBytes = getFrozenBytes(module, options);

  llvm::MapVector<Operation *, SmallVector<SiteResidency *>> byAdapt;
  for (SiteResidency &site : plan.sites) {
    const bool mayFold = site.foldError <= options.tolerance; // false for NaN
    if (!mayFold && (!site.canBranch || options.policy == FoldPolicy::Always)) {
      InFlightDiagnostic error = site.adapt.emitError();
      describe(error, site) << ": expected a fold with an error of at most " << options.tolerance
                            << " of the change, found " << site.foldError;
      return error;
    }
    byAdapt[site.adapt].push_back(&site);
    // What takes the fewest bytes; what can't be chosen stays out of the comparison.
    site.choice = site.canBranch && (!mayFold || site.branchBytes <= site.foldBytes)
                      ? Residency::Branch
                      : Residency::Fold;
  }
  auto total = [&] {
    uint64_t bytes = plan.frozenBytes;
    for (auto &[adapt, combinations] : byAdapt)
      bytes += getAddedBytes(combinations);
    return bytes;
  };
  plan.leastBytes = total();
  if (options.memoryBudget && plan.leastBytes > *options.memoryBudget)
    return module.emitError() << "expected a memory budget of at least " << plan.leastBytes
                              << " bytes, the least possible for these tasks, found "
                              << *options.memoryBudget;

  const uint64_t budget = options.memoryBudget.value_or(
      options.policy == FoldPolicy::Auto ? plan.frozenBytes * kDefaultBudgetMultiple : UINT64_MAX);
  uint64_t bytes = plan.leastBytes;
  if (options.policy == FoldPolicy::Never) {
    for (SiteResidency &site : plan.sites)
      site.choice = site.canBranch ? Residency::Branch : Residency::Fold;
  } else {
    // Greedy knapsack: the time that a fold saves for the bytes that it costs.
    SmallVector<SiteResidency *> candidates;
    for (SiteResidency &site : plan.sites)
      if (site.choice == Residency::Branch && site.foldError <= options.tolerance)
        candidates.push_back(&site);
    llvm::stable_sort(candidates, [](SiteResidency *a, SiteResidency *b) {
      return double(a->branchFlops) * b->foldBytes > double(b->branchFlops) * a->foldBytes;
    });
    for (SiteResidency *site : candidates) {
      ArrayRef<SiteResidency *> combinations = byAdapt[site->adapt];
      const uint64_t before = getAddedBytes(combinations);
      site->choice = Residency::Fold;
      const uint64_t after = bytes - before + getAddedBytes(combinations);
      if (after <= budget || (options.policy == FoldPolicy::Always && !options.memoryBudget))
        bytes = after;
      else
        site->choice = Residency::Branch;
    }
  }
  plan.bytes = total();
  if (options.memoryBudget && plan.bytes > *options.memoryBudget)
    return module.emitError() << "expected a memory budget of at least " << plan.bytes
                              << " bytes without folding, found " << *options.memoryBudget;
  if (options.policy == FoldPolicy::Always)
    for (SiteResidency &site : plan.sites)
      if (site.choice != Residency::Fold) {
        InFlightDiagnostic error = site.adapt.emitError();
        describe(error, site) << ": expected a memory budget that lets every site fold, found "
                              << budget << " bytes";
        return error;
      }
  return plan;
}
