//===- CheckNames.cpp - Names of a spec, and what is within what -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Fields.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <set>

using namespace graft;
using namespace graft::spec;
using llvm::StringRef;
using llvm::Twine;

namespace {
/// Resolves every reference, and follows those of modules.
class Checker {
public:
  Checker(Document &document, Errors &errors) : document(document), errors(errors) {}
  void run();

private:
  template <typename T>
  void resolve(Ref<T> &ref, StringRef what, std::map<std::string, std::shared_ptr<T>> &known,
               llvm::ArrayRef<StringRef> others);
  void resolveModule(Ref<Module> &ref);
  void resolve(Module &module);
  void resolve(Router &router);
  void visit(const std::shared_ptr<Module> &module, const Ref<Module> *from);
  /// The modules that stand directly in another, with those of its router's score.
  static std::vector<const Ref<Module> *> within(const Module &module);

  Document &document;
  Errors &errors;
  std::set<const void *> seen;
  std::set<const Module *> done;
  std::vector<const Module *> path;
};
} // namespace

template <typename T>
void Checker::resolve(Ref<T> &ref, StringRef what, std::map<std::string, std::shared_ptr<T>> &known,
                      llvm::ArrayRef<StringRef> others) {
  if (ref.own || ref.name.empty())
    return;
  if (auto it = known.find(ref.name.text); it != known.end()) {
    ref.own = it->second;
    return;
  }
  std::vector<std::string> names(others.begin(), others.end());
  for (const auto &[name, each] : known)
    names.push_back(name);
  errors.fail(ref.name.mark, "expected the name of " + what + ", found '" + ref.name.text + "'" +
                                 nearestNames(ref.name.text, names));
}

void Checker::resolveModule(Ref<Module> &ref) {
  if (ref.own) // written in place
    return resolve(*ref.own);
  StringRef name = ref.name.text;
  if (const auto *reserved = llvm::find(reservedModules, name);
      reserved != std::end(reservedModules)) {
    ref.own = std::make_shared<Module>();
    ref.own->name = name.str();
    ref.own->mark = ref.name.mark;
    ref.own->kind = name == "layer"  ? Module::Layer
                    : name == "zero" ? Module::Zero
                                     : Module::Identity;
    return;
  }
  // One of a family.
  auto [family, number] = name.rsplit('.');
  if (int64_t index; !document.modules.count(name.str()) && !number.getAsInteger(10, index))
    if (auto it = document.modules.find(family.str());
        it != document.modules.end() && it->second->count) {
      if (index < 0 || index >= *it->second->count)
        errors.fail(ref.name.mark, "expected one of the " + Twine(*it->second->count) +
                                       " modules '" + family + "', found '" + name + "'");
      ref.own = it->second;
      return;
    }
  std::vector<StringRef> others(std::begin(reservedModules), std::end(reservedModules));
  resolve(ref, "a module", document.modules, others);
}

void Checker::resolve(Module &module) {
  if (!seen.insert(&module).second)
    return;
  for (auto *list : {&module.modules, &module.shared})
    for (Ref<Module> &ref : *list)
      resolveModule(ref);
  if (module.kind != Module::Mixture)
    return;
  resolve(module.router, "a router", document.routers, {});
  if (module.router.own)
    resolve(*module.router.own);
  static const StringRef simple[] = {"weighted_sum", "sum", "mean", "concat"};
  if (const auto *kind = llvm::find(simple, StringRef(module.aggregator.name.text));
      kind != std::end(simple)) {
    module.aggregator.own = std::make_shared<Aggregator>();
    module.aggregator.own->kind = Aggregator::Kind(kind - simple);
    module.aggregator.own->mark = module.aggregator.mark;
  } else if (!module.aggregator) {
    module.aggregator.own = std::make_shared<Aggregator>();
    module.aggregator.own->mark = module.mark;
  } else {
    resolve(module.aggregator, "an aggregator", document.aggregators, simple);
  }
}

void Checker::resolve(Router &router) {
  if (!seen.insert(&router).second)
    return;
  if (router.score.kind == Score::Body)
    resolveModule(router.score.body);
}

std::vector<const Ref<Module> *> Checker::within(const Module &module) {
  std::vector<const Ref<Module> *> list;
  for (const auto *each : {&module.modules, &module.shared})
    for (const Ref<Module> &ref : *each)
      list.push_back(&ref);
  if (module.router.own && module.router.own->score.kind == Score::Body)
    list.push_back(&module.router.own->score.body);
  return list;
}

void Checker::visit(const std::shared_ptr<Module> &module, const Ref<Module> *from) {
  if (!module || done.count(module.get()))
    return;
  if (auto it = llvm::find(path, module.get()); it != path.end()) {
    std::vector<std::string> names;
    for (; it != path.end(); ++it)
      if (!(*it)->name.empty())
        names.push_back((*it)->name);
    names.push_back(module->name);
    return errors.fail(from->mark, "expected modules that are not within themselves, found " +
                                       llvm::join(names, " → "));
  }
  path.push_back(module.get());
  for (const Ref<Module> *ref : within(*module))
    visit(ref->own, ref);
  path.pop_back();
  done.insert(module.get());
}

void Checker::run() {
  for (auto &[name, module] : document.modules) {
    if (module->count)
      for (auto &[other, unused] : document.modules)
        if (StringRef rest = other; rest.consume_front(name + "."))
          if (int64_t index; !rest.getAsInteger(10, index) && index >= 0 && index < *module->count)
            errors.fail(unused->mark, "expected a name that is not taken, found '" + other +
                                          "', which is one of the " + Twine(*module->count) +
                                          " modules '" + name + "'");
    resolve(*module);
  }
  for (auto &[name, router] : document.routers)
    resolve(*router);
  for (Place &place : document.places)
    resolveModule(place.module);
  if (errors.any())
    return;
  for (auto &[name, module] : document.modules)
    visit(module, nullptr);
  for (auto &[name, router] : document.routers)
    if (router->score.kind == Score::Body)
      visit(router->score.body.own, &router->score.body);
  for (Place &place : document.places)
    visit(place.module.own, &place.module);
}

/// Modules may be within each other where that is an error: nothing else lets go of them.
Document::~Document() {
  for (auto &[name, module] : modules) {
    module->modules.clear();
    module->shared.clear();
    module->router = {};
  }
  for (auto &[name, router] : routers)
    router->score.body = {};
}

void graft::spec::checkNames(Document &document, Errors &errors) {
  Checker(document, errors).run();
}
