//===- Residency.cpp - Where a module's parameters live: folded or beside -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Residency.h"

#include "graft/Fault/Fault.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

#include <map>
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
  // Beside an expert there is no place yet: within a module's body the parameter is one tensor.
  if (llvm::any_of(
          uses, [&](OpOperand *use) { return use->getOwner()->getBlock() != adapt->getBlock(); }))
    return std::nullopt;
  return uses;
}

/// The thin matrices of one or more modules at a site, or nothing if some step has none.
static std::optional<SmallVector<LowRankForm>>
getLowRankForms(ArrayRef<ModuleOpInterface> modules) {
  SmallVector<LowRankForm> forms;
  for (ModuleOpInterface module : modules)
    for (ParameterCompositionOpInterface step : getSteps(module)) {
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

namespace {
/// How code has a weight stored: as it is, or packed for products whose columns are its first or
/// its last dimension.
enum class StoredForm { Plain, ColumnsFirst, ColumnsLast };
} // namespace

/// Bytes of a weight in that form: matrices are packed in panels, all others, those of convolutions
/// too, stay as they are. The next weight begins at an aligned position.
static uint64_t storedBytes(RankedTensorType type, StoredForm form,
                            const ResidencyOptions &options) {
  const uint64_t elements = type.getNumElements();
  const uint64_t width = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  uint64_t bytes = elements * width;
  if (form != StoredForm::Plain && type.getRank() == 2) {
    const uint64_t columns =
        form == StoredForm::ColumnsFirst ? type.getDimSize(0) : type.getDimSize(1);
    // Panels are two vectors wide, or one where that is enough.
    const uint64_t panel = columns > options.lanes ? 2 * options.lanes : options.lanes;
    if (columns != 0)
      bytes = elements / columns * llvm::alignTo(columns, panel) * width;
  }
  return llvm::alignTo(bytes, kWeightAlignment);
}

/// The forms in which the ops that use `value`, a weight or, if `transposed`, its transpose, want
/// it stored. One that is used in several ways is stored in several forms. Lookups and products are
/// listed apart where they are asked for.
static void collectForms(Value value, bool transposed, std::set<StoredForm> &forms,
                         SmallVectorImpl<Operation *> *lookups = nullptr,
                         SmallVectorImpl<Operation *> *products = nullptr) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<onnx::IdentityOp, onnx::TransposeOp, modular::AdaptOp>(user)) {
      collectForms(user->getResult(0), transposed != isa<onnx::TransposeOp>(user), forms, lookups,
                   products);
      continue;
    }
    auto linear = dyn_cast<onnx::LinearInParameterOpInterface>(user);
    if (linear && linear.getParameterOperandNumber() == use.getOperandNumber()) {
      if (isa<onnx::MatMulOp, onnx::GemmOp>(user)) {
        forms.insert(linear.isParameterTransposed() != transposed ? StoredForm::ColumnsLast
                                                                  : StoredForm::ColumnsFirst);
        if (products)
          products->push_back(user);
        continue;
      }
      if (isa<onnx::GatherOp>(user) && lookups) {
        lookups->push_back(user);
        continue;
      }
    }
    forms.insert(StoredForm::Plain);
  }
}

static std::set<StoredForm> getForms(Value value) {
  std::set<StoredForm> forms;
  collectForms(value, /*transposed=*/false, forms);
  return forms;
}

/// A number for the form that a site's parameter has in the library. Panels of a matrix are those
/// of its transpose.
static unsigned formOfCanonical(StoredForm form, bool transposed) {
  if (form == StoredForm::Plain)
    return transposed ? 1 : 0;
  return (form == StoredForm::ColumnsLast) != transposed ? 3 : 2;
}

/// Bytes of what is kept of one step of a module beside `adapt`, as bindTasks makes it.
static uint64_t branchBytes(AdaptOp adapt, const LowRankForm &form, ParameterOp down,
                            ParameterOp up, const ResidencyOptions &options) {
  StoredForm ofDown = StoredForm::ColumnsFirst, ofUp = StoredForm::ColumnsFirst;
  Type element = getElementTypeOrSelf(adapt.getType());
  std::optional<SmallVector<OpOperand *>> uses = getLinearUses(adapt);
  if (uses && !uses->empty()) {
    Operation *user = uses->front()->getOwner();
    element = getElementTypeOrSelf(user->getResult(0).getType());
    if (isa<onnx::ConvOp, onnx::GatherOp>(user))
      ofDown = StoredForm::Plain;
    if (isa<onnx::ConvOp>(user))
      ofUp = StoredForm::Plain;
  }
  uint64_t bytes =
      storedBytes(cast<RankedTensorType>(down.getType().clone(element)), ofDown, options) +
      storedBytes(cast<RankedTensorType>(up.getType().clone(element)), ofUp, options);
  if (form.magnitude)
    bytes += storedBytes(RankedTensorType::get({up.getType().getDimSize(0)}, element),
                         StoredForm::Plain, options);
  return bytes;
}

/// Whether some task parts from another after `first` and no later than at `second`: they are in
/// different stages then.
static bool isCutBetween(mlir::ModuleOp module, Operation *first, Operation *second) {
  std::set<StringRef> parted;
  WalkResult result = module.walk([&](AdaptOp adapt) {
    bool parts = false;
    for (NamedAttribute entry : adapt.getModules())
      parts |= parted.insert(entry.getName()).second;
    for (OpOperand *use : getLinearUses(adapt).value_or(SmallVector<OpOperand *>())) {
      Operation *user = use->getOwner();
      if (parts && user->getBlock() == first->getBlock() &&
          user->getBlock() == second->getBlock() && first->isBeforeInBlock(user) &&
          !second->isBeforeInBlock(user))
        return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return result.wasInterrupted();
}

/// The weights of the backbone, which the task `base` runs on unchanged.
static uint64_t getFrozenBytes(mlir::ModuleOp module, const ResidencyOptions &options) {
  auto &store = module.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  struct Content {
    RankedTensorType type;
    std::set<StoredForm> forms;
    SmallVector<Operation *> lookups, products;
  };
  std::map<std::string, Content> contents;
  SymbolTableCollection symbols;
  auto add = [&](TypedAttr value, Value result) {
    // Small constants are part of the code; small parameters are stored as the others are.
    auto weight = dyn_cast_or_null<WeightAttr>(value);
    if (!weight && !isa_and_nonnull<SiteOp>(result.getDefiningOp()))
      return;
    std::string identity;
    if (!weight) {
      llvm::raw_string_ostream(identity) << value;
    } else if (identity = weight.getKey().str(); store.lookup(identity)) {
      ContentHash hash = store.hash(identity);
      identity.assign(hash.begin(), hash.end());
    }
    Content &content = contents[identity];
    content.type = cast<RankedTensorType>(value.getType());
    collectForms(result, /*transposed=*/false, content.forms, &content.lookups, &content.products);
  };
  module.walk([&](Operation *op) {
    if (auto constant = dyn_cast<onnx::ConstantOp>(op))
      add(constant.getValue(), constant.getResult());
    else if (auto site = dyn_cast<SiteOp>(op))
      if (auto parameter =
              symbols.lookupNearestSymbolFrom<ParameterOp>(site, site.getParameterAttr()))
        add(parameter.getValue(), site.getResult());
  });
  uint64_t bytes = 0;
  for (auto &[identity, content] : contents) {
    // Lookups read the panels of a product in the same stage.
    for (Operation *lookup : content.lookups)
      if (llvm::all_of(content.products,
                       [&](Operation *product) { return isCutBetween(module, lookup, product); }))
        content.forms.insert(StoredForm::Plain);
    for (StoredForm form : content.forms)
      bytes += storedBytes(content.type, form, options);
  }
  return bytes;
}

/// Bytes that the adapts of one site need beside the frozen weight: each folded copy once in each
/// form, however often the site is used, and each module that stays beside once, whatever it is
/// combined with.
static uint64_t getAddedBytes(ArrayRef<SiteResidency *> combinations) {
  llvm::DenseMap<StringAttr, uint64_t> branches;
  std::set<std::pair<const void *, unsigned>> folded;
  uint64_t bytes = 0;
  for (SiteResidency *site : combinations) {
    if (site->choice == Residency::Fold) {
      SmallVector<Attribute> names(site->modules.begin(), site->modules.end());
      const void *set = ArrayAttr::get(site->adapt.getContext(), names).getAsOpaquePointer();
      for (auto [form, size] : site->foldForms)
        if (folded.insert({set, form}).second)
          bytes += size;
      continue;
    }
    for (auto [name, size] : llvm::zip_equal(site->modules, site->moduleBytes))
      branches[name] = size;
  }
  for (auto &[name, size] : branches)
    bytes += size;
  return bytes;
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

/// Whether there is room for one more evaluated fold until the plan has decided. What is kept is
/// bounded by what the plan may fold, so that planning takes no more memory than the library.
static bool hasRoom(const SiteResidency &site, uint64_t kept, uint64_t room,
                    const ResidencyOptions &options) {
  if (!(site.foldError <= options.tolerance))
    return false;
  if (!site.canBranch || options.policy == FoldPolicy::Always)
    return true;
  return options.policy == FoldPolicy::Auto && kept + site.foldBytes <= room;
}

/// What the modules `names` cost at `adapt`, folded and beside.
static FailureOr<SiteResidency> assess(AdaptOp adapt, ArrayRef<StringAttr> names,
                                       const ResidencyOptions &options,
                                       SymbolTableCollection &symbols) {
  SiteResidency site;
  site.adapt = adapt;
  site.modules.assign(names.begin(), names.end());
  site.canBranch = canBranch(adapt, getLowRankForms(getModulesOfRoute(adapt, names, symbols)));
  FailureOr<AdaptedValue> value = evaluateAdapt(adapt, names, symbols);
  if (failed(value))
    return failure();
  site.foldError = value->error;
  auto op = adapt.getSite().getDefiningOp<SiteOp>();
  for (StoredForm form : getForms(adapt.getResult())) {
    site.foldForms.emplace_back(formOfCanonical(form, op && op.getTransposed()),
                                storedBytes(value->type, form, options));
    site.foldBytes += site.foldForms.back().second;
  }
  site.folded = std::move(*value);
  if (!site.canBranch)
    return site;
  for (StringAttr name : names) {
    uint64_t bytes = 0;
    auto ownForms = getLowRankForms(getModulesOfRoute(adapt, name, symbols));
    for (const LowRankForm &form : *ownForms) {
      auto down = symbols.lookupNearestSymbolFrom<ParameterOp>(adapt, form.down);
      auto up = symbols.lookupNearestSymbolFrom<ParameterOp>(adapt, form.up);
      bytes += branchBytes(adapt, form, down, up, options);
      site.branchFlops += 2 * (down.getType().getNumElements() + up.getType().getNumElements());
    }
    site.moduleBytes.push_back(bytes);
    site.branchBytes += bytes;
  }
  return site;
}

/// One entry for each adapt and each set of modules that some task has there. `room` is for the
/// results that are kept.
static FailureOr<std::vector<SiteResidency>> collectSites(mlir::ModuleOp module, uint64_t room,
                                                          const ResidencyOptions &options,
                                                          SymbolTableCollection &symbols) {
  std::vector<SiteResidency> sites;
  uint64_t kept = 0;
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
      auto site = assess(adapt, llvm::to_vector(names.getAsRange<StringAttr>()), options, symbols);
      if (failed(site))
        return failure();
      site->tasks = tasks;
      if (hasRoom(*site, kept, room, options))
        kept += site->foldBytes;
      else
        site->folded.reset();
      sites.push_back(std::move(*site));
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
  ResidencyPlan plan;
  plan.frozenBytes = getFrozenBytes(module, options);
  const uint64_t budget = options.memoryBudget.value_or(
      options.policy == FoldPolicy::Auto ? plan.frozenBytes * kDefaultBudgetMultiple : UINT64_MAX);
  const uint64_t room = budget - std::min(budget, plan.frozenBytes);
  auto sites = collectSites(module, room, options, symbols);
  if (failed(sites))
    return failure();
  plan.sites = std::move(*sites);

  // The uses of one site, in one call of its module or in several, share what is stored.
  llvm::MapVector<std::pair<Attribute, Attribute>, SmallVector<SiteResidency *>> bySite;
  auto siteOf = [](SiteResidency &site) {
    auto op = site.adapt.getSite().getDefiningOp<SiteOp>();
    return std::pair<Attribute, Attribute>(op ? op.getPathAttr() : StringAttr(),
                                           site.adapt.getModules());
  };
  for (SiteResidency &site : plan.sites) {
    const bool mayFold = site.foldError <= options.tolerance; // false for NaN
    if (!mayFold && (!site.canBranch || options.policy == FoldPolicy::Always)) {
      InFlightDiagnostic error = emitInputFault(site.adapt);
      describe(error, site) << ": expected a fold with an error of at most " << options.tolerance
                            << " of the change, found " << site.foldError;
      return error;
    }
    bySite[siteOf(site)].push_back(&site);
    // What takes the fewest bytes; what can't be chosen stays out of the comparison.
    site.choice = site.canBranch && (!mayFold || site.branchBytes <= site.foldBytes)
                      ? Residency::Branch
                      : Residency::Fold;
  }
  auto total = [&] {
    uint64_t bytes = plan.frozenBytes;
    for (auto &[path, combinations] : bySite)
      bytes += getAddedBytes(combinations);
    return bytes;
  };
  plan.leastBytes = total();
  if (options.memoryBudget && plan.leastBytes > *options.memoryBudget)
    return emitInputFault(module) << "expected a memory budget of at least " << plan.leastBytes
                                  << " bytes, the least possible for these tasks, found "
                                  << *options.memoryBudget;

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
      ArrayRef<SiteResidency *> combinations = bySite[siteOf(*site)];
      const uint64_t before = getAddedBytes(combinations);
      site->choice = Residency::Fold;
      const uint64_t after = bytes - before + getAddedBytes(combinations);
      if (after <= budget || (options.policy == FoldPolicy::Always && !options.memoryBudget))
        bytes = after;
      else
        site->choice = Residency::Branch;
    }
  }
  for (SiteResidency &site : plan.sites)
    if (site.choice != Residency::Fold)
      site.folded.reset();
  plan.bytes = total();
  if (options.memoryBudget && plan.bytes > *options.memoryBudget)
    return emitInputFault(module) << "expected a memory budget of at least " << plan.bytes
                                  << " bytes without folding, found " << *options.memoryBudget;
  if (options.policy == FoldPolicy::Always)
    for (SiteResidency &site : plan.sites)
      if (site.choice != Residency::Fold) {
        InFlightDiagnostic error = emitInputFault(site.adapt);
        for (SiteResidency &other : plan.sites)
          other.choice = Residency::Fold;
        describe(error, site) << ": expected a memory budget of at least " << total()
                              << " bytes, so that every site folds, found " << budget;
        return error;
      }
  return plan;
}
