//===- BindTasks.cpp - What each task runs on at each adapt -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/BindTasks.h"

#include "graft/Modular/ParameterValues.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <map>

using namespace mlir;
using namespace graft;
using namespace graft::modular;

/// What two adapts have in common if their folds are one parameter.
static std::string getFoldKey(AdaptOp adapt, ArrayRef<StringAttr> names,
                              SymbolTableCollection &symbols) {
  auto site = adapt.getSite().getDefiningOp<SiteOp>();
  std::string key = (site.getParameter() + (site.getTransposed() ? "|transposed" : "|")).str();
  for (ModuleOpInterface module : getModulesOfRoute(adapt, names, symbols))
    key += ("|" + SymbolTable::getSymbolName(module).getValue()).str();
  return key;
}

static ParameterOp createFolded(OpBuilder &builder, AdaptOp adapt, ArrayRef<StringAttr> names,
                                AdaptedValue &value) {
  auto site = adapt.getSite().getDefiningOp<SiteOp>();
  std::string name =
      llvm::join(llvm::map_range(names, [](StringAttr part) { return part.str(); }), "+");
  return createParameter(builder, site.getLoc(), name + "/" + site.getPath().str(), value.type,
                         std::move(value.bytes));
}

void graft::recordResidency(mlir::ModuleOp module, ResidencyPlan &plan) {
  OpBuilder builder(module.getBodyRegion());
  SymbolTableCollection symbols;
  std::map<std::string, ParameterOp> folded;
  llvm::MapVector<Operation *, NamedAttrList> choices;
  for (SiteResidency &site : plan.sites) {
    Attribute choice = builder.getStringAttr(site.choice == Residency::Fold ? "fold" : "branch");
    if (site.choice == Residency::Fold) {
      ParameterOp &parameter = folded[getFoldKey(site.adapt, site.modules, symbols)];
      if (!parameter && site.folded)
        parameter = createFolded(builder, site.adapt, site.modules, *site.folded);
      if (parameter)
        choice = FlatSymbolRefAttr::get(parameter.getSymNameAttr());
    }
    site.folded.reset();
    for (StringAttr task : site.tasks)
      choices[site.adapt].set(task, choice);
  }
  for (auto &[adapt, list] : choices)
    adapt->setAttr("modular.residency", list.getDictionary(adapt->getContext()));
}

namespace {
/// Makes the parameters of bindings, each once.
class Binder {
public:
  explicit Binder(mlir::ModuleOp module) : module(module), builder(module.getBodyRegion()) {}

  FailureOr<TaskBinding> bind(AdaptOp adapt, StringAttr task);

private:
  FailureOr<ParameterOp> fold(AdaptOp adapt, ArrayRef<StringAttr> names);
  FailureOr<TaskBinding::Branch> branch(AdaptOp adapt, StringRef name, const LowRankForm &form);
  FailureOr<std::vector<double>> read(FlatSymbolRefAttr symbol) {
    auto parameter = lookup(symbol);
    return readElements(parameter, parameter.getValue());
  }
  ParameterOp lookup(FlatSymbolRefAttr symbol) {
    return symbols.lookupNearestSymbolFrom<ParameterOp>(module, symbol);
  }

  mlir::ModuleOp module;
  OpBuilder builder;
  SymbolTableCollection symbols;
  /// By parameter, orientation and modules.
  std::map<std::string, ParameterOp> folded;
  std::map<std::string, TaskBinding::Branch> branches;
};
} // namespace

FailureOr<ParameterOp> Binder::fold(AdaptOp adapt, ArrayRef<StringAttr> names) {
  ParameterOp &parameter = folded[getFoldKey(adapt, names, symbols)];
  if (parameter)
    return parameter;
  FailureOr<AdaptedValue> value = evaluateAdapt(adapt, names, symbols);
  if (failed(value))
    return failure();
  parameter = createFolded(builder, adapt, names, *value);
  return parameter;
}

/// The element type and the shapes that ops linear in the parameter want of the thin matrices.
static std::pair<Type, SmallVector<int64_t>> getBranchForm(AdaptOp adapt) {
  std::optional<SmallVector<OpOperand *>> uses = getLinearUses(adapt);
  Type element = getElementTypeOrSelf(adapt.getType());
  SmallVector<int64_t> kernel;
  if (uses && !uses->empty()) {
    element = getElementTypeOrSelf(uses->front()->getOwner()->getResult(0).getType());
    if (isa<onnx::ConvOp>(uses->front()->getOwner()))
      llvm::append_range(kernel, adapt.getSite().getType().getShape().drop_front());
  }
  return {element, kernel};
}

FailureOr<TaskBinding::Branch> Binder::branch(AdaptOp adapt, StringRef name,
                                              const LowRankForm &form) {
  auto site = adapt.getSite().getDefiningOp<SiteOp>();
  // A row scale depends on the frozen weight, thin matrices only on the module.
  std::string key = (form.down.getValue() + "|" + form.up.getValue() +
                     (form.magnitude ? "|" + site.getParameter() : ""))
                        .str();
  auto [entry, isNew] = branches.try_emplace(key);
  TaskBinding::Branch &result = entry->second;
  if (!isNew)
    return result;
  auto down = read(form.down), up = read(form.up);
  if (failed(down) || failed(up))
    return failure();
  auto [element, kernel] = getBranchForm(adapt);
  const int64_t rank = lookup(form.down).getType().getDimSize(0);
  const int64_t in = lookup(form.down).getType().getDimSize(1);
  const int64_t out = lookup(form.up).getType().getDimSize(0);

  std::string stem = name.str() + "/" + site.getPath().str();
  if (form.magnitude) {
    auto frozen = read(site.getParameterAttr());
    auto magnitude = read(form.magnitude);
    if (failed(frozen) || failed(magnitude))
      return failure();
    if (site.getTransposed())
      *frozen = transposed(*frozen, in, out);
    std::vector<double> factor(out);
    for (int64_t o = 0; o < out; ++o) {
      double squares = 0;
      for (int64_t i = 0; i < in; ++i) {
        double sum = (*frozen)[o * in + i];
        for (int64_t r = 0; r < rank; ++r)
          sum += form.scale * (*up)[o * rank + r] * (*down)[r * in + i];
        squares += sum * sum;
      }
      factor[o] = (*magnitude)[o] / std::sqrt(squares);
    }
    result.rowScale =
        createParameter(builder, site.getLoc(), stem + ".row_scale",
                        RankedTensorType::get({out}, element), roundElements(factor, element));
  }
  for (double &value : *up)
    value *= form.scale;
  SmallVector<int64_t> downShape = {rank}, upShape = {out, rank};
  if (kernel.empty()) {
    downShape.push_back(in);
  } else {
    downShape.append(kernel);
    upShape.append(kernel.size() - 1, 1);
  }
  result.down =
      createParameter(builder, site.getLoc(), stem + ".down",
                      RankedTensorType::get(downShape, element), roundElements(*down, element));
  result.up = createParameter(builder, site.getLoc(), stem + ".up",
                              RankedTensorType::get(upShape, element), roundElements(*up, element));
  return result;
}

FailureOr<TaskBinding> Binder::bind(AdaptOp adapt, StringAttr task) {
  auto site = adapt.getSite().getDefiningOp<SiteOp>();
  auto taskOp = symbols.lookupSymbolIn<TaskOp>(module, task);
  auto route = adapt.getRoute().getDefiningOp<RouteOp>();
  auto router = symbols.lookupNearestSymbolFrom<RouterOpInterface>(adapt, route.getRouterAttr());
  std::optional<SmallVector<StringAttr>> constant = router.getConstantRoute(taskOp);
  if (!site || !constant)
    return adapt.emitError() << "expected a site, and a route that is known for task '"
                             << task.getValue() << "'";
  SmallVector<StringAttr> names;
  for (StringAttr name : *constant)
    if (adapt.getModules().contains(name))
      names.push_back(name);
  llvm::sort(names, [](StringAttr a, StringAttr b) { return a.getValue() < b.getValue(); });

  TaskBinding binding;
  binding.parameter = lookup(site.getParameterAttr());
  if (names.empty())
    return binding;
  auto residency = adapt->getAttrOfType<DictionaryAttr>("modular.residency");
  Attribute choice = residency ? residency.get(task) : Attribute();
  if (auto kept = dyn_cast_or_null<FlatSymbolRefAttr>(choice)) {
    binding.parameter = lookup(kept);
    if (!binding.parameter)
      return adapt.emitError() << "expected " << kept << " to name a parameter";
    return binding;
  }
  if (!choice || choice == builder.getStringAttr("fold")) {
    FailureOr<ParameterOp> parameter = fold(adapt, names);
    if (failed(parameter))
      return failure();
    binding.parameter = *parameter;
    return binding;
  }
  for (StringAttr name : names)
    for (ModuleOpInterface module : getModulesOfRoute(adapt, name, symbols))
      for (ParameterCompositionOpInterface step : getSteps(module)) {
        std::optional<LowRankForm> form = step.getLowRankForm();
        if (!form)
          return adapt.emitError() << "expected modules of low rank where they stay beside, found "
                                   << SymbolTable::getSymbolName(module);
        FailureOr<TaskBinding::Branch> made = branch(adapt, name, *form);
        if (failed(made))
          return failure();
        // What scales the frozen weight comes before what only adds.
        binding.branches.insert(made->rowScale ? binding.branches.begin() : binding.branches.end(),
                                *made);
      }
  return binding;
}

FailureOr<ParameterOp> graft::stackRows(mlir::ModuleOp module, ArrayRef<ParameterOp> parts) {
  OpBuilder builder(module.getBodyRegion());
  ParameterOp first = parts.front();
  std::vector<double> all;
  SmallVector<StringRef> names;
  int64_t rows = 0;
  for (ParameterOp part : parts) {
    auto values = readElements(part, part.getValue());
    if (failed(values))
      return failure();
    llvm::append_range(all, *values);
    names.push_back(part.getSymName());
    rows += part.getType().getDimSize(0);
  }
  Type element = first.getType().getElementType();
  return createParameter(builder, first.getLoc(), llvm::join(names, "+"),
                         RankedTensorType::get({rows, first.getType().getDimSize(1)}, element),
                         roundElements(all, element));
}

FailureOr<TaskBinding::Branch> graft::joinBranches(mlir::ModuleOp module,
                                                   ArrayRef<TaskBinding::Branch> branches) {
  SmallVector<ParameterOp> downs;
  std::vector<std::vector<double>> ups;
  SmallVector<StringRef> names;
  for (TaskBinding::Branch branch : branches) {
    auto up = readElements(branch.up, branch.up.getValue());
    if (failed(up))
      return failure();
    downs.push_back(branch.down);
    ups.push_back(std::move(*up));
    names.push_back(branch.up.getSymName());
  }
  FailureOr<ParameterOp> down = stackRows(module, downs);
  if (failed(down))
    return failure();
  ParameterOp first = branches.front().up;
  const int64_t out = first.getType().getDimSize(0);
  std::vector<double> all;
  for (int64_t o = 0; o < out; ++o)
    for (const std::vector<double> &up : ups)
      all.insert(all.end(), up.begin() + o * (up.size() / out),
                 up.begin() + (o + 1) * (up.size() / out));
  OpBuilder builder(module.getBodyRegion());
  Type element = first.getType().getElementType();
  auto type = RankedTensorType::get({out, down->getType().getDimSize(0)}, element);
  TaskBinding::Branch joined;
  joined.down = *down;
  joined.up = createParameter(builder, first.getLoc(), llvm::join(names, "+"), type,
                              roundElements(all, element));
  return joined;
}

FailureOr<TaskBindings> graft::bindTasks(mlir::ModuleOp module) {
  Binder binder(module);
  TaskBindings bindings;
  SmallVector<AdaptOp> adapts;
  module.walk([&](AdaptOp adapt) { adapts.push_back(adapt); });
  for (auto task : llvm::to_vector(module.getOps<TaskOp>())) {
    auto &ofTask = bindings[task.getSymNameAttr()];
    for (AdaptOp adapt : adapts) {
      FailureOr<TaskBinding> binding = binder.bind(adapt, task.getSymNameAttr());
      if (failed(binding))
        return failure();
      ofTask[adapt] = *binding;
    }
  }
  return bindings;
}
