//===- ReadRouters.cpp - Routers of a spec -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Fields.h"

#include "llvm/ADT/STLExtras.h"

using namespace graft;
using namespace graft::spec;
using llvm::StringRef;
using llvm::Twine;

/// Scores: of a body, of an input, or constant.
static Score readScore(Errors &errors, const NodeRef &node) {
  Score score;
  score.mark = node->mark;
  if (node->kind == Node::Map && node->find("input")) {
    Fields fields(errors, node, "a score", {"input"});
    score.kind = Score::Input;
    score.input = readText(errors, *node->find("input"), "input");
  } else if (node->kind == Node::Map && node->find("constant")) {
    Fields fields(errors, node, "a score", {"constant"});
    score.kind = Score::Constant;
    score.constant = readTensor(errors, *node->find("constant"), "constant");
  } else {
    score.kind = Score::Body;
    score.body = readRef(errors, node, "a score (input, constant or a module's body)", readModule);
  }
  return score;
}

static std::vector<Text> readNames(Errors &errors, const NodeRef &node, StringRef what) {
  std::vector<Text> names;
  for (const NodeRef &item : readList(errors, node, what)) {
    names.push_back(readText(errors, item, what));
    for (const Text &other : llvm::ArrayRef(names).drop_back())
      if (other.text == names.back().text)
        errors.fail(item->mark,
                    what + ": expected each module once, found '" + other.text + "' twice");
  }
  return names;
}

/// `N` rows, or `{factor: F}`: a part of what all modules would take if they took equally many.
static Router::Capacity readCapacity(Errors &errors, const NodeRef &node, StringRef what) {
  constexpr int64_t most = 1 << 24;
  Router::Capacity capacity;
  capacity.mark = node->mark;
  if (node->kind != Node::Map) {
    capacity.rows = readInteger(errors, node, what, 1, most);
    return capacity;
  }
  Fields fields(errors, node, what, {"factor"});
  if (const NodeRef *factor = fields.need("factor"))
    if (capacity.factor = readNumber(errors, *factor, "factor");
        !(capacity.factor >= 1e-6 && capacity.factor <= 1e6))
      errors.fail((*factor)->mark, "factor: expected a number from 0.000001 to 1000000, found " +
                                       describe(**factor));
  return capacity;
}

static Select readSelect(Errors &errors, const NodeRef &node) {
  Select select;
  select.mark = node->mark;
  if (node->kind == Node::Scalar) {
    readChoice(errors, node, "select", {"all"});
    return select;
  }
  if (node->kind == Node::Map && node->find("op")) {
    select.kind = Select::Op;
    select.op = readOp(errors, node, "op");
    return select;
  }
  Fields fields(errors, node, "select (all or a map)",
                {"top", "above", "hash", "rows", "fixed", "task", "op"});
  const Node::Entry *chosen =
      fields.choose({"top", "above", "hash", "rows", "fixed", "task", "op"});
  if (!chosen)
    return select;
  StringRef key = chosen->key;
  select.mark = chosen->value->mark;
  if (key == "top") {
    select.kind = Select::Top;
    select.count = readInteger(errors, chosen->value, key, 1);
  } else if (key == "above") {
    select.kind = Select::Above;
    select.threshold = readNumber(errors, chosen->value, key);
  } else if (key == "hash") {
    select.kind = Select::Hash;
    if (chosen->value->kind == Node::Map) {
      Fields hash(errors, chosen->value, "hash", {"input", "seed"});
      if (const NodeRef *input = hash.need("input"))
        select.input = readText(errors, *input, "input");
      if (const NodeRef *seed = hash.get("seed"))
        select.count = readInteger(errors, *seed, "seed", 0);
    } else {
      select.input = readText(errors, chosen->value, key);
    }
  } else if (key == "rows") {
    select.kind = Select::Rows;
    Router::Capacity rows = readCapacity(errors, chosen->value, key);
    select.count = rows.rows.value_or(0);
    select.threshold = rows.factor;
  } else if (key == "fixed") {
    select.kind = Select::Fixed;
    select.fixed = readNames(errors, chosen->value, key);
    if (select.fixed.empty())
      errors.fail(chosen->value->mark, "fixed: expected a module, found none");
  } else if (key == "task") {
    select.kind = Select::Task;
    if (chosen->value->kind != Node::Map)
      errors.fail(chosen->value->mark, "task: expected a map of tasks to lists of modules, found " +
                                           describe(*chosen->value));
    for (const Node::Entry &entry : chosen->value->entries)
      select.tasks.push_back(
          {{entry.key, entry.mark}, readNames(errors, entry.value, "task " + entry.key)});
  }
  return select;
}

static void readWeight(Errors &errors, const NodeRef &node, Router &router) {
  Fields fields(errors, node, "weight", {"by", "normalize", "scale"});
  if (const NodeRef *by = fields.get("by")) {
    router.by =
        Router::By(readChoice(errors, *by, "by", {"scores", "logits", "selecting", "ones"}));
    router.hasBy = true;
  }
  if (const NodeRef *normalize = fields.get("normalize"))
    router.normalization = Router::Normalization(
        readChoice(errors, *normalize, "normalize", {"none", "sum", "softmax"}));
  if (const NodeRef *scale = fields.get("scale"))
    router.scale = readNumber(errors, *scale, "scale");
}

static Router::Groups readGroups(Errors &errors, const NodeRef &node) {
  Router::Groups groups;
  groups.mark = node->mark;
  Fields fields(errors, node, "groups", {"count", "keep", "sum"});
  if (const NodeRef *count = fields.need("count"))
    groups.count = readInteger(errors, *count, "count", 1);
  if (const NodeRef *keep = fields.need("keep"))
    groups.keep = readInteger(errors, *keep, "keep", 1);
  if (const NodeRef *sum = fields.get("sum"))
    groups.sum = readInteger(errors, *sum, "sum", 1);
  if (groups.keep > groups.count)
    errors.fail(fields.markOf("keep"), "keep: expected at most the " + Twine(groups.count) +
                                           " groups, found " + Twine(groups.keep));
  return groups;
}

std::shared_ptr<Router> graft::spec::readRouter(Errors &errors, const NodeRef &node,
                                                StringRef what) {
  auto router = std::make_shared<Router>();
  router->mark = node->mark;
  Fields fields(errors, node, "a router",
                {"per", "pool", "of", "score", "noise", "activation", "bias", "mask", "groups",
                 "select", "weight", "capacity"});
  if (errors.any())
    return router;
  if (const NodeRef *per = fields.get("per"))
    router->perSequence = readChoice(errors, *per, "per", {"token", "sequence", "batch"}) != 0;
  if (const NodeRef *pool = fields.get("pool")) {
    router->pool =
        Router::Pool(readChoice(errors, *pool, "pool", {"mean", "max", "first", "last"}));
    if (!router->perSequence)
      errors.fail(fields.markOf("pool"), "pool: expected a router per sequence or batch");
  }
  if (const NodeRef *of = fields.get("of"))
    router->of = readText(errors, *of, "of");
  if (const NodeRef *score = fields.get("score"))
    router->score = readScore(errors, *score);
  if (const NodeRef *noise = fields.get("noise")) {
    if ((*noise)->kind == Node::Map) {
      Fields own(errors, *noise, "noise", {"input", "weight"});
      if (const NodeRef *input = own.need("input"))
        router->noise = readText(errors, *input, "input");
      if (const NodeRef *weight = own.get("weight"))
        router->noiseWeight = readTensor(errors, *weight, "weight");
    } else {
      router->noise = readText(errors, *noise, "noise");
    }
  }
  if (const NodeRef *activation = fields.get("activation"))
    router->activation = Router::Transform(
        readChoice(errors, *activation, "activation", {"none", "softmax", "sigmoid"}));
  if (const NodeRef *bias = fields.get("bias"))
    router->bias = readTensor(errors, *bias, "bias");
  if (const NodeRef *mask = fields.get("mask"))
    router->mask = readText(errors, *mask, "mask");
  if (const NodeRef *groups = fields.get("groups"))
    router->groups = readGroups(errors, *groups);
  if (const NodeRef *select = fields.need("select"))
    router->select = readSelect(errors, *select);
  if (const NodeRef *weight = fields.get("weight"))
    readWeight(errors, *weight, *router);
  if (const NodeRef *capacity = fields.get("capacity"))
    router->capacity = readCapacity(errors, *capacity, "capacity");

  const Select::Kind kind = router->select.kind;
  const bool needsScores = kind != Select::Fixed && kind != Select::Task && kind != Select::Hash;
  const bool hasScores = router->score.kind != Score::Nothing;
  if (needsScores && !hasScores)
    errors.fail(router->mark, "expected a router with 'score', found none");
  if (!hasScores)
    for (StringRef key : {"noise", "activation", "bias", "mask", "groups"})
      if (fields.has(key))
        errors.fail(fields.markOf(key), key + ": expected a router with 'score', found none");
  if (!needsScores)
    for (StringRef key : {"bias", "mask", "groups"})
      if (fields.has(key))
        errors.fail(fields.markOf(key), key + ": expected a selection by scores, which it changes");
  return router;
}
