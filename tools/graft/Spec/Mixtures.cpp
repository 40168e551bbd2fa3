//===- Mixtures.cpp - Asking a router, applying its modules, aggregating -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/SymbolLookup.h"
#include "graft/Spec/Builder.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;
using namespace graft::modular;
using onnx::GraphBuilder;

std::string SpecBuilder::keyOf(const void *definition, const Uses &uses, const Frame &frame,
                               const Captures &captures) {
  std::string key = std::to_string(reinterpret_cast<uintptr_t>(definition));
  for (const auto &[capture, value] : captures)
    if (uses.captures.count(capture))
      key += "|" + capture + "=" + value;
  if (uses.layer)
    key +=
        "|" + std::to_string(reinterpret_cast<uintptr_t>(frame.layer.output.getAsOpaquePointer()));
  return key;
}

/// The name, with what makes it differ from place to place.
std::string SpecBuilder::symbolFor(const Frame &frame, StringRef name, const Uses &uses) {
  std::string symbol = name.str();
  for (const auto &[capture, value] : frame.layer.captures)
    if (uses.captures.count(capture) || uses.layer)
      symbol += "." + capture + value;
  return freshSymbol(module, symbol);
}

std::vector<SpecBuilder::Member> SpecBuilder::membersOf(Frame &frame, const Module &mixture) {
  std::vector<Member> members;
  std::set<std::string> names;
  for (auto [i, ref] : llvm::enumerate(mixture.modules)) {
    const Module &own = *ref.own;
    std::string name = own.name.empty() ? frame.name + "." + std::to_string(i) : own.name;
    const bool isOne = own.count && !ref.name.empty() && ref.name.text != own.name;
    const int64_t first = isOne ? std::stoll(ref.name.text.substr(own.name.size() + 1)) : 0;
    const int64_t end = !own.count ? 1 : isOne ? first + 1 : *own.count;
    for (int64_t index = first; index < end; ++index) {
      Member member{&own, frame.captures, name, ref.mark};
      if (own.count) {
        member.captures["index"] = std::to_string(index);
        member.name += "." + std::to_string(index);
      }
      if (!names.insert(member.name).second)
        errors.fail(ref.mark, "expected each module once, found '" + member.name + "' twice");
      members.push_back(std::move(member));
    }
  }
  return members;
}

/// The symbol of a module for inputs of these types, and what it gives.
std::optional<SpecBuilder::Instance> SpecBuilder::instantiate(Frame &frame, const Member &member,
                                                              ValueRange arguments,
                                                              const std::set<Need> &needs) {
  const Uses &uses = known.of(*member.module);
  // One of a family is told by its number, which its definition does not count as a use.
  std::string key = keyOf(member.module, uses, frame, member.captures);
  if (auto index = member.captures.find("index"); index != member.captures.end())
    key += "|index=" + index->second;
  SmallVector<Type> types;
  for (Value argument : arguments) {
    types.push_back(withAnyRows(spec::typeOf(argument)));
    key += "|" + typeText(types.back());
  }
  for (const Need &need : needs)
    key += "|" + need.key();
  if (auto it = instances.find(key); it != instances.end())
    return it->second;

  OpBuilder builder(main);
  Location loc = frame.b.getLoc();
  Instance instance;
  instance.symbol = symbolFor(frame, member.name, uses);
  auto made = modular::ModuleOp::create(
      builder, loc, builder.getStringAttr(instance.symbol),
      CompositionAttr::get(builder.getContext(), Composition::Function),
      TypeAttr::get(builder.getFunctionType(types, {})), StringAttr(), ArrayAttr(), ArrayAttr());
  Block &block = made.getBody().emplaceBlock();
  for (Type type : types)
    block.addArgument(type, loc);
  builder.setInsertionPointToEnd(&block);
  GraphBuilder b(loc, builder);
  Frame inside{b, frame.layer, frame.level, member.name, member.captures, {}, true};
  for (auto [need, argument] : llvm::zip(needs, block.getArguments().drop_front()))
    inside.needs[need.key()] = argument;
  Value value = build(inside, *member.module, block.getArgument(0));
  if (!value)
    return std::nullopt;
  YieldOp::create(b, value);
  instance.result = spec::typeOf(value);
  SmallVector<int64_t> shape(instance.result.getShape());
  if (shape.empty()) {
    errors.fail(member.mark, "expected a module that gives rows, found a scalar");
    return std::nullopt;
  }
  made.setFunctionTypeAttr(TypeAttr::get(builder.getFunctionType(types, value.getType())));
  instances[key] = instance;
  return instance;
}

/// What a router reads by name, a row for each row of `x`.
Value SpecBuilder::needed(Frame &frame, const Need &need, bool perSequence, Value x) {
  if (frame.level != Level::Whole) {
    auto it = frame.needs.find(need.key());
    return it == frame.needs.end() ? Value() : it->second;
  }
  Value value = current(backbone.lookup(need.name.text));
  if (!value)
    return fail(need.name.mark,
                "expected the name of an input or of a tensor of the backbone, found '" +
                    need.name.text + "'" + nearestNames(need.name.text, backbone.tensorNames()));
  auto type = dyn_cast<RankedTensorType>(value.getType());
  const int64_t leading = perSequence ? 1 : spec::typeOf(x).getRank() - 1;
  const int64_t rank = need.isNumbers ? leading : leading + 1;
  std::string what = need.isNumbers ? "an integer" : "a vector";
  if (!type || type.getRank() != rank)
    return fail(need.name.mark, "expected '" + need.name.text + "' to have " + Twine(rank) +
                                    " dimensions, " + what + " for each " +
                                    (perSequence ? "sequence" : "token") + ", found " +
                                    typeText(value.getType()));
  // Rows that are not provably as many would be read out of bounds.
  if (!frame.isAligned || !frame.layer.input || !shapes->isKnown(frame.layer.input) ||
      !shapes->isKnown(value) ||
      ArrayRef(shapes->get(value).dims).take_front(leading) !=
          ArrayRef(shapes->get(frame.layer.input).dims).take_front(leading)) {
    auto dims = [&](Value of) {
      std::string text;
      if (of && shapes->isKnown(of))
        for (const Polynomial &dim : ArrayRef(shapes->get(of).dims).take_front(leading))
          text += (text.empty() ? "" : ", ") + dim.str();
      return text.empty() ? std::string("not known") : "[" + text + "]";
    };
    return fail(need.name.mark, "expected '" + need.name.text + "' to have the rows of '" +
                                    frame.layer.name + "', " + dims(frame.layer.input) +
                                    ", found " + dims(value));
  }
  GraphBuilder &b = frame.b;
  if (need.isNumbers)
    return leading == 1
               ? value
               : onnx::ReshapeOp::create(
                     b, RankedTensorType::get({ShapedType::kDynamic}, type.getElementType()), value,
                     b.integers(-1));
  if (ShapedType::isDynamic(type.getShape().back()))
    return fail(need.name.mark, "expected '" + need.name.text +
                                    "' to have a last dimension that is known, found " +
                                    typeText(type));
  return rank == 2 ? value : b.rowsOf(value);
}

Value SpecBuilder::buildMixture(Frame &frame, const Module &mixture, Value x) {
  GraphBuilder &b = frame.b;
  const Router &router = *mixture.router.own;
  const bool perSequence = router.perSequence;
  const int64_t rank = spec::typeOf(x).getRank();
  if (rank < 2 || ShapedType::isDynamic(spec::typeOf(x).getShape().back()))
    return fail(mixture.mark, "mixture: expected an input of at least 2 dimensions with a last one "
                              "that is known, found " +
                                  typeText(x.getType()));
  if (frame.level == Level::Tokens && perSequence)
    return fail(router.mark,
                "expected a router per token within a module that is chosen per token");
  const bool isFlattened = !perSequence && rank > 2;
  Value rows = isFlattened ? b.rowsOf(x) : x;
  std::vector<Member> members = membersOf(frame, mixture);
  if (errors.any())
    return Value();

  std::set<Need> needs = known.of(router).needs, moduleNeeds;
  for (const Member &member : members) {
    std::set<Need> own = known.of(*member.module).needs;
    moduleNeeds.insert(own.begin(), own.end());
  }
  if (isFlattened && frame.level == Level::Sequences && !(needs.empty() && moduleNeeds.empty()))
    return fail(router.mark,
                "expected a router that reads its rows alone, since it routes the "
                "tokens of sequences that are chosen",
                FaultKind::Unsupported);
  auto gather = [&](const std::set<Need> &wanted, SmallVectorImpl<Value> &values) {
    values.push_back(rows);
    for (const Need &need : wanted) {
      Value value = needed(frame, need, perSequence, x);
      if (!value)
        return false;
      values.push_back(value);
    }
    return true;
  };
  SmallVector<Value> routed, applied;
  if (!gather(needs, routed) || !gather(moduleNeeds, applied))
    return Value();

  Frame below{b,
              frame.layer,
              perSequence ? Level::Sequences : Level::Tokens,
              mixture.name.empty() ? frame.name : mixture.name,
              frame.captures,
              {},
              true};
  RouterOp asked =
      routerFor(below, router, router.name.empty() ? below.name + ".router" : router.name, members,
                routed, needs);
  if (!asked)
    return Value();
  SmallVector<Attribute> symbols;
  RankedTensorType result;
  for (const Member &member : members) {
    std::optional<Instance> instance = instantiate(below, member, applied, moduleNeeds);
    if (!instance)
      return Value();
    symbols.push_back(FlatSymbolRefAttr::get(b.getContext(), instance->symbol));
    auto given = instance->result;
    if (result &&
        (given.getElementType() != result.getElementType() || given.getRank() != result.getRank() ||
         failed(
             verifyCompatibleShape(given.getShape().drop_front(), result.getShape().drop_front()))))
      return fail(member.mark,
                  "expected modules that give the same shape, since they are aggregated; "
                  "found " +
                      typeText(result) + " of '" + members[0].name + "' and " + typeText(given) +
                      " of '" + member.name + "'");
    if (!result)
      result = given;
  }
  SmallVector<int64_t> shape(result.getShape());
  shape.front() = spec::typeOf(rows).getDimSize(0);
  result = result.clone(shape);

  Value route = RouteOp::create(b, RouteType::get(b.getContext(), members.size(), asked.getSlots()),
                                FlatSymbolRefAttr::get(asked.getSymNameAttr()), routed);
  auto apply = ApplyOp::create(b, PartsType::get(b.getContext(), result), route, applied,
                               b.getArrayAttr(symbols), /*bodiesCount=*/0u);
  const Aggregator &aggregator = *mixture.aggregator.own;
  Value sum = buildAggregate(below, aggregator,
                             aggregator.name.empty() ? below.name + ".aggregator" : aggregator.name,
                             apply.getParts(), asked.getSlots(), rows);
  if (!sum)
    return sum;
  if (isFlattened)
    sum = b.vectorsLike(sum, x);
  for (const Ref<Module> &ref : mixture.shared) {
    Value part = build(frame, ref, x);
    if (!part)
      return part;
    if (spec::typeOf(part).getRank() != spec::typeOf(sum).getRank() ||
        spec::typeOf(part).getShape().back() != spec::typeOf(sum).getShape().back())
      return fail(ref.mark, "shared: expected a module that gives " + typeText(sum.getType()) +
                                ", found " + typeText(part.getType()));
    sum = b.binary<onnx::AddOp>(sum, part);
  }
  return sum;
}
