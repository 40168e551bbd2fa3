//===- Routers.cpp - Scores, selection and weights of a spec's routers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Builder.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;
using namespace graft::modular;
using onnx::GraphBuilder;

static RankedTensorType rowsBy(Value like, int64_t columns, Type element) {
  return RankedTensorType::get({spec::typeOf(like).getDimSize(0), columns}, element);
}

/// A row for each row of `x`.
Value SpecBuilder::repeat(GraphBuilder &b, Value row, Value x) {
  const int64_t columns = spec::typeOf(row).getShape().back();
  auto one = RankedTensorType::get({1}, b.getI64Type());
  Value count = onnx::ShapeOp::create(b, one, x, b.getI64IntegerAttr(1), b.getI64IntegerAttr(0));
  Value shape = onnx::ConcatOp::create(b, RankedTensorType::get({2}, b.getI64Type()),
                                       ValueRange{count, b.integers(columns)}, /*axis=*/int64_t(0));
  return onnx::ExpandOp::create(b, rowsBy(x, columns, spec::typeOf(row).getElementType()), row,
                                shape);
}

modular::RouterOp SpecBuilder::routerFor(Frame &frame, const Router &router, StringRef name,
                                         const std::vector<Member> &members, ValueRange arguments,
                                         const std::set<Need> &needs) {
  const Uses &uses = known.of(router);
  std::string key = keyOf(&router, uses, frame, frame.captures);
  SmallVector<Type> types;
  for (Value argument : arguments) {
    types.push_back(withAnyRows(spec::typeOf(argument)));
    key += "|" + typeText(types.back());
  }
  for (const Member &member : members)
    key += "|" + member.name;
  if (auto it = routers.find(key); it != routers.end())
    return it->second;

  OpBuilder builder(main);
  Location loc = frame.b.getLoc();
  SmallVector<Attribute> names;
  for (const Member &member : members)
    names.push_back(builder.getStringAttr(member.name));
  auto made =
      RouterOp::create(builder, loc, symbolFor(frame, name, uses), builder.getArrayAttr(names));
  Block &block = made.getBody().emplaceBlock();
  for (Type type : types)
    block.addArgument(type, loc);
  builder.setInsertionPointToEnd(&block);
  GraphBuilder b(loc, builder);
  Frame inside{b, frame.layer, frame.level, name.str(), frame.captures, {}, true};
  for (auto [need, argument] : llvm::zip(needs, block.getArguments().drop_front()))
    inside.needs[need.key()] = argument;
  Value chosen, weights;
  if (!buildRoute(inside, router, members, block.getArgument(0), chosen, weights))
    return {};
  YieldOp::create(b, ValueRange{chosen, weights});
  routers[key] = made;
  return made;
}

/// A vector for each sequence.
static Value pool(GraphBuilder &b, Router::Pool kind, Value x) {
  auto type = spec::typeOf(x);
  SmallVector<int64_t> axes;
  for (int64_t axis = 1; axis + 1 < type.getRank(); ++axis)
    axes.push_back(axis);
  if (axes.empty())
    return x;
  auto result = rowsBy(x, type.getShape().back(), type.getElementType());
  if (kind == Router::Mean)
    return onnx::ReduceMeanOp::create(b, result, x, b.integers(axes), int64_t(0));
  if (kind == Router::Max)
    return onnx::ReduceMaxOp::create(b, result, x, b.integers(axes), int64_t(0));
  // The first or the last along each.
  const bool isFirst = kind == Router::First;
  SmallVector<int64_t> starts(axes.size(), isFirst ? 0 : -1),
      ends(axes.size(), isFirst ? 1 : INT64_MAX), shape(type.getShape());
  for (int64_t axis : axes)
    shape[axis] = 1;
  Value part = onnx::SliceOp::create(b, type.clone(shape), x, b.integers(starts), b.integers(ends),
                                     b.integers(axes), Value());
  return onnx::SqueezeOp::create(b, result, part, b.integers(axes));
}

/// The scores as the router computes them, (rows, modules).
Value SpecBuilder::buildLogits(Frame &frame, const Router &router, int64_t modules, Value x) {
  GraphBuilder &b = frame.b;
  const Score &score = router.score;
  Value logits;
  switch (score.kind) {
  case Score::Nothing:
    return Value();
  case Score::Constant: {
    Value row =
        tensors.constant(b, score.constant, frame.captures, {modules},
                         spec::typeOf(x).getElementType(), "constant", "a score for each module,");
    return row ? repeat(b, row, x) : row;
  }
  case Score::Input:
    logits = needed(frame, {score.input, false}, router.perSequence, x);
    break;
  case Score::Body: {
    Frame inside = frame;
    inside.level = Level::Tokens;
    logits = build(inside, score.body, x);
    break;
  }
  }
  if (!logits)
    return logits;
  auto type = spec::typeOf(logits);
  if (type.getRank() != 2 || type.getDimSize(1) != modules ||
      !isa<FloatType>(type.getElementType()))
    return fail(score.mark, "score: expected scores for the " + Twine(modules) +
                                " modules of the mixture, found " + typeText(type));
  return logits;
}

bool SpecBuilder::buildRoute(Frame &frame, const Router &router, const std::vector<Member> &members,
                             Value x, Value &chosen, Value &weights) {
  GraphBuilder &b = frame.b;
  const int64_t modules = members.size();
  auto read = [&](const Text &name) { return needed(frame, {name, false}, router.perSequence, x); };
  Value from = router.of.empty() ? x : read(router.of);
  if (!from)
    return false;
  if (router.perSequence)
    from = pool(b, router.pool, from);
  Value logits = buildLogits(frame, router, modules, from);
  if (errors.any())
    return false;
  if (logits && !router.noise.empty()) {
    Value noise = read(router.noise);
    if (!noise)
      return false;
    if (spec::typeOf(noise).getDimSize(1) != modules ||
        spec::typeOf(noise).getElementType() != spec::typeOf(logits).getElementType())
      return fail(router.noise.mark, "noise: expected noise for the " + Twine(modules) +
                                         " modules as " + typeText(logits.getType()) + ", found " +
                                         typeText(noise.getType())),
             false;
    if (router.noiseWeight) {
      Value weight = tensors.constant(
          b, *router.noiseWeight, frame.captures, {modules, spec::typeOf(from).getDimSize(1)},
          spec::typeOf(from).getElementType(), "noise", "(modules, in)");
      if (!weight)
        return false;
      noise =
          b.binary<onnx::MulOp>(noise, b.unary<onnx::SoftplusOp>(b.linear(from, weight, Value())));
    }
    logits = b.binary<onnx::AddOp>(logits, noise);
  }
  Value scores = !logits                                ? Value()
                 : router.activation == Router::Softmax ? b.softmax(logits)
                 : router.activation == Router::Sigmoid ? b.unary<onnx::SigmoidOp>(logits)
                                                        : logits;
  Value selecting = scores, allowed;
  if (router.bias) {
    Value bias = tensors.constant(b, *router.bias, frame.captures, {modules},
                                  spec::typeOf(scores).getElementType(), "bias",
                                  "a number for each module,");
    if (!bias)
      return false;
    selecting = b.binary<onnx::AddOp>(selecting, bias);
  }
  if (!router.mask.empty()) {
    allowed = read(router.mask);
    if (!allowed)
      return false;
    if (spec::typeOf(allowed).getDimSize(1) != modules ||
        !spec::typeOf(allowed).getElementType().isInteger(1))
      return fail(router.mask.mark, "mask: expected bools for the " + Twine(modules) +
                                        " modules of the mixture, found " +
                                        typeText(allowed.getType())),
             false;
    selecting = b.where(allowed, selecting, b.lowest(selecting));
  }
  if (const auto &groups = router.groups) {
    if (modules % groups->count != 0 || groups->sum > modules / groups->count)
      return fail(groups->mark, "groups: expected groups that divide the " + Twine(modules) +
                                    " modules, and at most as many greatest scores as a group has, "
                                    "found " +
                                    Twine(groups->count) + " groups and " + Twine(groups->sum)),
             false;
    selecting =
        MaskGroupsOp::create(b, selecting.getType(), selecting, b.getI64IntegerAttr(groups->count),
                             b.getI64IntegerAttr(groups->keep), b.getI64IntegerAttr(groups->sum));
  }
  chosen = buildChosen(frame, router, members, from, selecting);
  if (!chosen)
    return false;
  if (allowed) {
    // Where fewer are allowed than are asked for, slots stay empty.
    Value ones = b.where(allowed, b.number(1, scores), b.number(0, scores));
    Value isAllowed =
        b.predicate<onnx::GreaterOp>(b.gatherElements(ones, chosen), b.number(0, ones));
    chosen = b.where(isAllowed, chosen, b.number(-1, chosen));
  }
  Value by = router.by == Router::Logits      ? logits
             : router.by == Router::Selecting ? selecting
             : router.by == Router::Scores    ? scores
                                              : Value();
  if (!by && router.hasBy && router.by != Router::Ones)
    return fail(router.mark, "weight: expected a router with 'score' to weigh by, found none"),
           false;
  const int64_t slots = spec::typeOf(chosen).getDimSize(1);
  const Normalization kinds[] = {Normalization::None, Normalization::Sum, Normalization::Softmax};
  if (by)
    weights = WeighOp::create(b, rowsBy(chosen, slots, spec::typeOf(by).getElementType()), chosen,
                              by, kinds[router.normalization]);
  else
    weights = WeighEvenlyOp::create(
        b, rowsBy(chosen, slots, spec::typeOf(from).getElementType()), chosen,
        b.getI64IntegerAttr(modules),
        router.normalization == Router::NoNormalization ? UnitAttr() : b.getUnitAttr());
  if (router.scale != 1)
    weights = b.binary<onnx::MulOp>(weights, b.number(router.scale, weights));
  if (const auto &capacity = router.capacity)
    chosen = LimitOp::create(b, chosen.getType(), chosen,
                             capacity->rows ? b.getI64IntegerAttr(*capacity->rows) : IntegerAttr(),
                             capacity->rows ? FloatAttr() : b.getF64FloatAttr(capacity->factor),
                             b.getI64IntegerAttr(modules));
  return true;
}

int64_t SpecBuilder::numberOf(Errors &errors, const std::vector<Member> &members,
                              const Text &name) {
  std::vector<std::string> known;
  for (auto [i, member] : llvm::enumerate(members)) {
    if (member.name == name.text)
      return i;
    known.push_back(member.name);
  }
  errors.fail(name.mark, "expected the name of a module of the mixture, found '" + name.text + "'" +
                             nearestNames(name.text, known));
  return 0;
}

Value SpecBuilder::buildChosen(Frame &frame, const Router &router,
                               const std::vector<Member> &members, Value x, Value selecting) {
  GraphBuilder &b = frame.b;
  const Select &select = router.select;
  const int64_t modules = members.size();
  auto type = [&](int64_t slots) { return rowsBy(x, slots, b.getI64Type()); };
  switch (select.kind) {
  case Select::All:
    return SelectAllOp::create(b, type(modules), selecting);
  case Select::Top:
    if (select.count > modules)
      return fail(select.mark, "top: expected at most the " + Twine(modules) +
                                   " modules of the mixture, found " + Twine(select.count));
    return SelectTopOp::create(b, type(select.count), b.getI64IntegerAttr(select.count), selecting);
  case Select::Above:
    return SelectAboveOp::create(b, type(modules), b.getF64FloatAttr(select.threshold), selecting);
  case Select::Rows:
    if (select.threshold > double(modules))
      return fail(select.mark, "rows: expected a factor of at most the " + Twine(modules) +
                                   " modules of the mixture");
    return SelectRowsOp::create(
        b, type(modules), select.count ? b.getI64IntegerAttr(select.count) : IntegerAttr(),
        select.count ? FloatAttr() : b.getF64FloatAttr(select.threshold), selecting);
  case Select::Hash: {
    Value ids = needed(frame, {select.input, true}, router.perSequence, x);
    if (!ids)
      return ids;
    Type element = spec::typeOf(ids).getElementType();
    if (!isa<IntegerType>(element) || element.isInteger(1))
      return fail(select.input.mark, "hash: expected integers, found " + typeText(ids.getType()));
    if (!element.isSignlessInteger(64))
      ids = b.cast(ids, b.getI64Type());
    return SelectHashOp::create(b, type(1), b.getI64IntegerAttr(select.count), ids,
                                b.getI64IntegerAttr(modules));
  }
  case Select::Fixed: {
    SmallVector<int64_t> numbers;
    for (const Text &name : select.fixed)
      numbers.push_back(numberOf(errors, members, name));
    return errors.any() ? Value() : repeat(b, b.integers(numbers), x);
  }
  case Select::Task:
    return buildTaskChoice(frame, router, members, x);
  case Select::Op: {
    Operation *op = createNamed(
        b, errors, select.op, selecting, "a step of a router",
        [](RegisteredOperationName name) { return name.hasInterface<RouterStepOpInterface>(); });
    if (!op)
      return Value();
    auto found = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!found || found.getRank() != 2 || !found.getElementType().isInteger(64) ||
        found.isDynamicDim(1))
      return fail(select.op.name.mark,
                  select.op.name.text +
                      ": expected a step that gives (rows, slots) of i64, found " +
                      typeText(op->getResult(0).getType()));
    return op->getResult(0);
  }
  }
  llvm_unreachable("a selection");
}
