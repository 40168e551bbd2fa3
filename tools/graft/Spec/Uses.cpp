//===- Uses.cpp - What definitions of a spec depend on -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Uses.h"

#include <algorithm>

using namespace graft::spec;

void Uses::add(const Uses &other) {
  captures.insert(other.captures.begin(), other.captures.end());
  needs.insert(other.needs.begin(), other.needs.end());
  layer |= other.layer;
}

static void add(Uses &uses, const Text &text) {
  for (std::string &name : capturesOf(text.text))
    uses.captures.insert(std::move(name));
}

static void add(Uses &uses, const TensorRef &tensor) {
  add(uses, tensor.source);
  for (const Text &index : tensor.index)
    add(uses, index);
}

const Uses &UsesCache::of(const Module &module) {
  if (auto it = known.find(&module); it != known.end())
    return it->second;
  Uses uses;
  uses.layer = module.kind == Module::Layer;
  for (const auto &[key, tensor] : module.tensors)
    add(uses, tensor);
  add(uses, module.file);
  add(uses, module.path);
  for (const auto *list : {&module.modules, &module.shared})
    for (const Ref<Module> &ref : *list)
      uses.add(of(*ref.own));
  if (module.router.own)
    uses.add(of(*module.router.own));
  if (module.aggregator.own)
    uses.add(of(*module.aggregator.own));
  if (module.count)
    uses.captures.erase("index");
  return known[&module] = std::move(uses);
}

const Uses &UsesCache::of(const Router &router) {
  if (auto it = known.find(&router); it != known.end())
    return it->second;
  Uses uses;
  if (router.score.kind == Score::Body)
    uses.add(of(*router.score.body.own));
  add(uses, router.score.constant);
  for (const auto *tensor : {&router.noiseWeight, &router.bias})
    if (*tensor)
      add(uses, **tensor);
  for (const Text *name : {&router.of, &router.score.input, &router.noise, &router.mask})
    if (!name->empty())
      uses.needs.insert({*name, false});
  if (!router.select.input.empty())
    uses.needs.insert({router.select.input, true});
  return known[&router] = std::move(uses);
}

const Uses &UsesCache::of(const Aggregator &aggregator) {
  Uses uses;
  for (const auto &[key, tensor] : aggregator.tensors)
    add(uses, tensor);
  add(uses, aggregator.file);
  return known[&aggregator] = std::move(uses);
}

static void collect(const Ref<Module> &ref, std::set<const Module *> &seen,
                    std::vector<const Router *> &routers) {
  if (!seen.insert(ref.own.get()).second)
    return;
  for (const auto *list : {&ref.own->modules, &ref.own->shared})
    for (const Ref<Module> &each : *list)
      collect(each, seen, routers);
  const auto &router = ref.own->router.own;
  if (router && std::find(routers.begin(), routers.end(), router.get()) == routers.end())
    routers.push_back(router.get());
  if (router && router->score.kind == Score::Body)
    collect(router->score.body, seen, routers);
}

std::vector<const Router *> graft::spec::routersOf(const Document &document) {
  std::vector<const Router *> routers;
  std::set<const Module *> seen;
  for (const Place &place : document.places)
    collect(place.module, seen, routers);
  return routers;
}
