//===- Link.cpp - Binds adapters to a backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Link.h"
#include "graft/Link/Plan.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace graft;
using llvm::Error;
using llvm::Expected;

bool Entry::replaces() const {
  return llvm::any_of(bindings, [](const Binding &binding) {
    const Change &change = *binding.change;
    return change.kind == Change::Replace || change.kind == Change::Tokens ||
           (change.kind == Change::LowRank && change.magnitude);
  });
}

bool SitePlan::resized() const {
  return llvm::any_of(entries, [](const Entry &entry) { return entry.rows != 0; });
}

namespace {

class Planner {
public:
  Planner(ModuleOp module, const LinkOptions &options) : module(module), options(options) {}

  Error run(LinkPlan &plan);

private:
  Error readAdapters(LinkPlan &plan);
  Error checkNames(LinkPlan &plan);
  void place(LinkPlan &plan, const LinkedAdapter &adapter, std::vector<Binding> bindings);
  Error checkSizes(LinkPlan &plan, const LinkedAdapter &adapter);
  Error checkConflicts(const LinkPlan &plan);
  SitePlan &planOf(LinkPlan &plan, Site *site);

  ModuleOp module;
  const LinkOptions &options;
  std::shared_ptr<Sites> sites;
  std::map<Site *, size_t> order;
};

Error Planner::checkNames(LinkPlan &plan) {
  plan.tasks.push_back({"base", {}});
  llvm::StringMap<char> tasks, adapters;
  tasks["base"];
  auto claim = [&](StringRef flag, StringRef name) -> Error {
    if (name.empty())
      return inputFault(flag + ": expected a name, found none");
    if (name == "base")
      return inputFault(flag + " base: expected another name: base is the backbone alone");
    if (name == "main")
      return inputFault(flag + " main: expected another name: main is the model's own");
    if (!tasks.try_emplace(name).second)
      return inputFault(flag + " " + name + ": expected a name that isn't taken, found it twice");
    return Error::success();
  };
  for (const auto &adapter : options.adapters) {
    if (Error error = claim("--adapter", adapter.name))
      return error;
    adapters[adapter.name];
    plan.tasks.push_back({adapter.name, {adapter.name}});
  }
  for (const auto &task : options.tasks) {
    if (Error error = claim("--task", task.name))
      return error;
    llvm::StringMap<char> seen;
    for (const std::string &name : task.adapters) {
      if (!adapters.count(name))
        return inputFault("--task " + task.name + ": expected the name of an adapter, found '" +
                          name + "'");
      if (!seen.try_emplace(name).second)
        return inputFault("--task " + task.name + ": expected each adapter once, found '" + name +
                          "' twice");
    }
    plan.tasks.push_back(task);
  }
  return Error::success();
}

SitePlan &Planner::planOf(LinkPlan &plan, Site *site) {
  auto [it, isNew] = order.try_emplace(site, plan.sites.size());
  if (isNew)
    plan.sites.push_back(SitePlan{site, {}, 1});
  return plan.sites[it->second];
}

void Planner::place(LinkPlan &plan, const LinkedAdapter &adapter, std::vector<Binding> bindings) {
  auto entryOf = [&](Site *site) -> Entry & {
    SitePlan &here = planOf(plan, site);
    if (here.entries.empty() || here.entries.back().adapter != &adapter)
      here.entries.push_back(Entry{&adapter, {}, 0});
    return here.entries.back();
  };
  for (Binding &binding : bindings) {
    if (binding.change->kind == Change::Copy)
      continue;
    Entry &entry = entryOf(binding.site);
    planOf(plan, binding.site).groups = std::max(planOf(plan, binding.site).groups, binding.groups);
    if (binding.change->kind == Change::Replace && binding.site->stored.getRank() <= 2) {
      ArrayRef<int64_t> given = binding.change->value->type.getShape();
      ArrayRef<int64_t> shape = binding.site->canonical().getShape();
      if (given.size() == shape.size() &&
          (binding.site->kind == Site::Linear || binding.site->kind == Site::Bias)) {
        int64_t rows = given[binding.layout == Layout::Transposed ? 1 : 0];
        if (rows != shape[0])
          entry.rows = rows;
      }
    }
    // PEFT ties the trained tokens of an embedding to the weights that are tied to it.
    if (binding.change->kind == Change::Tokens)
      for (const Site &site : sites->all())
        if (holdSameTable(*binding.site, site)) {
          Binding tied = binding;
          tied.site = sites->find(site.module, site.role);
          entryOf(tied.site).bindings.push_back(tied);
        }
    entryOf(binding.site).bindings.push_back(binding);
  }
}

/// A head of another size must bring all of its parts.
Error Planner::checkSizes(LinkPlan &plan, const LinkedAdapter &adapter) {
  auto rowsAt = [&](Site *site, const Binding **binding) -> int64_t {
    *binding = nullptr;
    auto it = order.find(site);
    if (it == order.end())
      return 0;
    for (const Entry &entry : plan.sites[it->second].entries)
      if (entry.adapter == &adapter) {
        *binding = &entry.bindings.front();
        return entry.rows;
      }
    return 0;
  };
  for (const SitePlan &here : plan.sites) {
    Site *weight = sites->find(here.site->module, "weight"),
         *bias = sites->find(here.site->module, "bias");
    if (here.site != weight && here.site != bias)
      continue;
    const Binding *weightBinding, *biasBinding, *own;
    if (rowsAt(here.site, &own) == 0)
      continue;
    int64_t weightRows = weight ? rowsAt(weight, &weightBinding) : 0;
    // A bias that nobody writes has no size.
    const bool hasBias = bias && (!bias->absent || order.count(bias));
    int64_t biasRows = hasBias ? rowsAt(bias, &biasBinding) : weightRows;
    const SafeTensor &tensor = own->change->tensor();
    if (!weight || weight->kind != Site::Linear || weightRows != biasRows)
      return inputFault(adapter.adapter->file + ": " + tensor.name + ": expected " +
                        Twine(here.site->canonical().getDimSize(0)) + " rows as " +
                        here.site->path() + " has, or weight and bias of another size, found " +
                        Twine(rowsAt(here.site, &own)));
  }
  return Error::success();
}

Error Planner::checkConflicts(const LinkPlan &plan) {
  for (const auto &task : plan.tasks)
    for (const SitePlan &here : plan.sites) {
      const Entry *first = nullptr;
      for (const Entry &entry : here.entries) {
        if (!llvm::is_contained(task.adapters, entry.adapter->name) || !entry.replaces())
          continue;
        if (first)
          return inputFault("--task " + task.name + ": expected one adapter that replaces " +
                            here.site->path() + ", found two, " + first->adapter->name + " and " +
                            entry.adapter->name);
        first = &entry;
      }
      // What is added must fit what replaces.
      for (const Entry &entry : here.entries)
        if (first && first->rows && &entry != first &&
            llvm::is_contained(task.adapters, entry.adapter->name))
          return inputFault("--task " + task.name + ": expected a head that only " +
                            first->adapter->name + " changes, found that " + entry.adapter->name +
                            " changes " + here.site->path() + " too");
    }
  return Error::success();
}

Error Planner::readAdapters(LinkPlan &plan) {
  plan.adapters.reserve(options.adapters.size());
  std::vector<std::string> named;
  for (const auto &option : options.adapters) {
    auto adapter = readAdapter(option.directory, module.getContext());
    if (!adapter)
      return adapter.takeError();
    auto paths = mapPaths(**adapter, options.maps);
    if (!paths)
      return paths.takeError();
    for (MappedPath &path : *paths)
      named.push_back(std::move(path.path));
    plan.adapters.push_back(LinkedAdapter{option.name, option.scale, std::move(*adapter)});
  }
  sites = plan.backbone = std::make_shared<Sites>(module, named);
  return Error::success();
}

Error Planner::run(LinkPlan &plan) {
  if (Error error = checkNames(plan))
    return error;
  for (const auto &[pattern, replacement] : options.maps)
    if (std::string words; !llvm::Regex(pattern).isValid(words))
      return inputFault("--map: " + pattern + ": expected a POSIX extended expression: " + words);
  if (Error error = readAdapters(plan))
    return error;
  for (const LinkedAdapter &linked : plan.adapters) {
    auto bindings = bindAdapter(*linked.adapter, *sites, options.maps);
    if (!bindings)
      return bindings.takeError();
    place(plan, linked, std::move(*bindings));
  }
  for (const LinkedAdapter &linked : plan.adapters)
    if (Error error = checkSizes(plan, linked))
      return error;
  return checkConflicts(plan);
}

} // namespace

Error graft::linkAdapters(ModuleOp module, const LinkOptions &options) {
  try {
    LinkPlan plan;
    Planner planner(module, options);
    if (Error error = planner.run(plan))
      return error;
    if (Error error = resizeResults(module, plan, /*apply=*/false))
      return error;
    emitPlan(module, plan);
    return Error::success();
  } catch (const std::exception &error) { // the JSON library's, of keys that are no text
    return inputFault(StringRef("adapter: ") + error.what());
  }
}
