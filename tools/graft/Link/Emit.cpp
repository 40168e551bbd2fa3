//===- Emit.cpp - Writes modules, routers, sites and adapts -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Elements.h"
#include "graft/Link/Plan.h"
#include "graft/Modular/Modular.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace graft;

namespace {

class Emitter {
public:
  Emitter(ModuleOp module, const LinkPlan &plan)
      : module(module), plan(plan), builder(module.getContext()),
        store(module.getContext()->getOrLoadDialect<modular::ModularDialect>()->getWeightStore()) {
    for (Operation &op : *module.getBody())
      if (auto symbol = dyn_cast<SymbolOpInterface>(op))
        symbols.insert(symbol.getName());
    for (const auto &task : plan.tasks)
      symbols.insert(task.name);
  }

  void run();

private:
  std::string symbol(StringRef stem) {
    std::string name = stem.str();
    for (unsigned count = 1; !symbols.insert(name).second; ++count)
      name = (stem + "_" + Twine(count)).str();
    return name;
  }

  FlatSymbolRefAttr parameter(StringRef stem, TypedAttr value) {
    std::string name = symbol(stem);
    modular::ParameterOp::create(builder, builder.getUnknownLoc(), name, value);
    return FlatSymbolRefAttr::get(builder.getContext(), name);
  }

  TypedAttr weight(RankedTensorType type, StringRef key) {
    return modular::WeightAttr::get(builder.getContext(), key, type);
  }

  /// A tensor of an adapter as a parameter of `type`, whose elements are the tensor's in order, or
  /// transposed.
  FlatSymbolRefAttr own(const LinkedAdapter &adapter, const SafeTensor &tensor,
                        RankedTensorType type, bool transposed = false);
  FlatSymbolRefAttr produced(const LinkedAdapter &adapter, const Twine &name, RankedTensorType type,
                             std::vector<char> bytes);

  FlatSymbolRefAttr moduleOf(const SitePlan &here, const Entry &entry);
  Value step(const SitePlan &here, const Entry &entry, const Binding &binding, Value value);
  std::vector<char> tiedRows(const Site &site, const Change &change);

  void ungroup(SitePlan &here);
  void enter(const SitePlan &here, ArrayRef<NamedAttribute> modules, Value route);
  FlatSymbolRefAttr backbone(Operation *constant, StringRef name);

  ModuleOp module;
  const LinkPlan &plan;
  OpBuilder builder;
  WeightStore &store;
  llvm::StringSet<> symbols;
  llvm::DenseMap<Operation *, FlatSymbolRefAttr> parameters;
};

FlatSymbolRefAttr Emitter::produced(const LinkedAdapter &adapter, const Twine &name,
                                    RankedTensorType type, std::vector<char> bytes) {
  std::string stem = (adapter.name + "." + name).str();
  return parameter(stem, weight(type, store.addProduced(stem, type, std::move(bytes))));
}

FlatSymbolRefAttr Emitter::own(const LinkedAdapter &adapter, const SafeTensor &tensor,
                               RankedTensorType type, bool transposed) {
  StringRef name = tensor.name;
  name.consume_front("base_model.model.");
  unsigned width = elementSize(tensor.type.getElementType());
  if (transposed)
    return produced(
        adapter, name, type,
        transposeBytes(tensor.bytes, tensor.type.getDimSize(0), tensor.type.getDimSize(1), width));
  if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % width != 0)
    return produced(adapter, name, type,
                    std::vector<char>(tensor.bytes.begin(), tensor.bytes.end()));
  std::string stem = (adapter.name + "." + name).str();
  return parameter(stem,
                   weight(type, store.addMapped(stem, type, tensor.bytes, adapter.adapter->data)));
}

/// `tensor`'s type with another shape of as many elements.
RankedTensorType reshaped(const SafeTensor &tensor, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, tensor.type.getElementType());
}

/// The matrix B of a convolution in groups, which takes part of the rank for each group, as one
/// that takes all of it.
std::vector<char> ungroupedUp(const SafeTensor &up, int64_t groups) {
  int64_t out = up.type.getDimSize(0), part = up.type.getDimSize(1), rank = part * groups;
  unsigned width = elementSize(up.type.getElementType());
  std::vector<char> bytes(out * rank * width);
  for (int64_t row = 0; row < out; ++row) {
    int64_t group = row / (out / groups);
    std::memcpy(bytes.data() + (row * rank + group * part) * width,
                up.bytes.data() + row * part * width, part * width);
  }
  return bytes;
}

/// `tensor`, whose rows are a part of a layer's, with rows of zeros around them.
std::vector<char> paddedRows(const SafeTensor &tensor, int64_t begin, int64_t rows) {
  const int64_t own = tensor.type.getDimSize(0);
  const size_t width = own ? tensor.bytes.size() / own : 0;
  std::vector<char> bytes(rows * width);
  std::memcpy(bytes.data() + begin * width, tensor.bytes.data(), tensor.bytes.size());
  return bytes;
}

/// All elements as doubles.
std::vector<double> numbersOf(ArrayRef<char> bytes, FloatType type) {
  const unsigned width = elementSize(type);
  std::vector<double> numbers(bytes.size() / width);
  for (size_t i = 0; i < numbers.size(); ++i) {
    llvm::APFloat element = readElement(bytes.data() + i * width, type);
    bool lost;
    element.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lost);
    numbers[i] = element.convertToDouble();
  }
  return numbers;
}

std::vector<double> numbersOf(const SafeTensor &tensor) {
  return numbersOf(tensor.bytes, cast<FloatType>(tensor.type.getElementType()));
}

/// DoRA brings rows to their magnitudes by the norms of W + s · B A. For a convolution in groups
/// PEFT takes the norms of another product, of B and A read as matrices as they lie in memory. The
/// magnitudes that make up for the difference, of the convolution without groups, whose kernel is
/// `bytes`.
std::vector<float> groupedMagnitudes(const Change &change, ArrayRef<char> bytes, FloatType type,
                                     int64_t groups, double scale) {
  const std::vector<double> weight = numbersOf(bytes, type), down = numbersOf(*change.down),
                            up = numbersOf(*change.up), given = numbersOf(*change.magnitude);
  const int64_t rank = change.down->type.getDimSize(0), out = change.up->type.getDimSize(0),
                part = rank / groups, columns = down.size() / rank, own = columns / groups;
  std::vector<float> magnitudes(out);
  for (int64_t row = 0; row < out; ++row) {
    const int64_t group = row / (out / groups);
    double whole = 0, lying = 0;
    for (int64_t column = 0; column < columns; ++column) {
      double sum = 0;
      for (int64_t q = 0; q < part; ++q)
        sum += up[row * part + q] * down[(group * part + q) * columns + column];
      const double element = weight[row * columns + column] + scale * sum;
      whole += element * element;
    }
    for (int64_t at = 0; at < own; ++at) {
      const int64_t i = (row * own + at) / columns, j = (row * own + at) % columns;
      double sum = 0;
      for (int64_t q = 0; q < rank; ++q)
        sum += up[i * rank + q] * down[q * columns + j];
      const double element = weight[row * columns + group * own + at] + scale * sum;
      lying += element * element;
    }
    magnitudes[row] = static_cast<float>(given[row] * std::sqrt(whole / lying));
  }
  return magnitudes;
}

/// The backbone's (out, in) matrix with the trained tokens in the place of its rows.
std::vector<char> Emitter::tiedRows(const Site &site, const Change &change) {
  std::vector<char> buffer;
  ArrayRef<char> stored = *constantBytes(site.uses.front().constant, buffer);
  ArrayRef<int64_t> shape = site.canonical().getShape();
  auto type = cast<FloatType>(site.stored.getElementType());
  auto given = cast<FloatType>(change.value->type.getElementType());
  unsigned width = elementSize(type), givenWidth = elementSize(given);
  std::vector<char> bytes = site.transposed ? transposeBytes(stored, shape[1], shape[0], width)
                                            : std::vector<char>(stored.begin(), stored.end());
  for (auto [row, token] : llvm::enumerate(change.indices))
    for (int64_t column = 0; column < shape[1]; ++column) {
      llvm::APFloat element =
          readElement(change.value->bytes.data() + (row * shape[1] + column) * givenWidth, given);
      bool lost;
      element.convert(type.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lost);
      uint64_t bits = element.bitcastToAPInt().getZExtValue();
      std::memcpy(bytes.data() + (token * shape[1] + column) * width, &bits, width);
    }
  return bytes;
}

Value Emitter::step(const SitePlan &here, const Entry &entry, const Binding &binding, Value value) {
  const Change &change = *binding.change;
  const LinkedAdapter &adapter = *entry.adapter;
  Location loc = builder.getUnknownLoc();
  auto type = cast<RankedTensorType>(value.getType());
  OpBuilder::InsertionGuard guard(builder);
  // Parameters stand before the module that reads them.
  OpBuilder::InsertPoint body = builder.saveInsertionPoint();
  builder.setInsertionPoint(body.getBlock()->getParentOp());
  auto at = [&] { builder.restoreInsertionPoint(body); };

  switch (change.kind) {
  case Change::LowRank: {
    int64_t rank = change.down->type.getDimSize(0);
    FlatSymbolRefAttr down =
        own(adapter, *change.down, reshaped(*change.down, {rank, type.getDimSize(1)}));
    RankedTensorType upType =
        RankedTensorType::get({type.getDimSize(0), rank}, change.up->type.getElementType());
    FlatSymbolRefAttr up;
    StringRef name = change.up->name;
    name.consume_front("base_model.model.");
    if (binding.groups > 1) {
      up = produced(adapter, name, upType, ungroupedUp(*change.up, binding.groups));
    } else if (binding.part) {
      up = produced(adapter, name, upType,
                    paddedRows(*change.up, binding.part->first, type.getDimSize(0)));
    } else {
      up = own(adapter, *change.up, upType);
    }
    FlatSymbolRefAttr magnitude;
    if (change.magnitude && binding.groups > 1) {
      std::vector<char> buffer;
      const Site &site = *here.site; // without groups by now
      auto kernel = constantBytes(site.uses.front().constant, buffer);
      std::vector<float> numbers =
          groupedMagnitudes(change, *kernel, cast<FloatType>(site.stored.getElementType()),
                            binding.groups, change.scale * adapter.scale);
      std::vector<char> bytes(numbers.size() * sizeof(float));
      std::memcpy(bytes.data(), numbers.data(), bytes.size());
      magnitude = produced(adapter, change.magnitude->name,
                           RankedTensorType::get({type.getDimSize(0)}, builder.getF32Type()),
                           std::move(bytes));
    } else if (change.magnitude)
      magnitude =
          own(adapter, *change.magnitude, reshaped(*change.magnitude, {type.getDimSize(0)}));
    at();
    return modular::LowRankOp::create(builder, loc, type, value, down, up,
                                      builder.getF64FloatAttr(change.scale * adapter.scale),
                                      magnitude);
  }
  case Change::Delta: {
    RankedTensorType deltaType = reshaped(*change.value, type.getShape());
    FlatSymbolRefAttr delta;
    if (binding.part)
      delta = produced(adapter, change.value->name, deltaType,
                       paddedRows(*change.value, binding.part->first, type.getDimSize(0)));
    else
      delta = own(adapter, *change.value, deltaType);
    at();
    return modular::DeltaOp::create(builder, loc, type, value, delta,
                                    builder.getF64FloatAttr(change.scale * adapter.scale));
  }
  case Change::Tokens: {
    if (here.site->kind != Site::Embedding) { // a tied weight
      FlatSymbolRefAttr rows =
          produced(adapter, here.site->path(), type, tiedRows(*here.site, change));
      at();
      return modular::ReplaceOp::create(builder, loc, type, value, rows);
    }
    FlatSymbolRefAttr tokens = own(adapter, *change.value, change.value->type);
    at();
    return modular::ReplaceColumnsOp::create(builder, loc, type, value, tokens,
                                             builder.getDenseI64ArrayAttr(change.indices));
  }
  case Change::Replace: {
    bool transposed = binding.layout == Layout::Transposed;
    SmallVector<int64_t> shape(type.getShape());
    ArrayRef<int64_t> given = change.value->type.getShape();
    if (shape.size() == 2 && given.size() == 2 && here.site->stored.getRank() == 2)
      shape = transposed ? SmallVector<int64_t>{given[1], given[0]} : SmallVector<int64_t>(given);
    else if (entry.rows)
      shape[0] = entry.rows;
    RankedTensorType result = RankedTensorType::get(shape, type.getElementType());
    FlatSymbolRefAttr tensor =
        own(adapter, *change.value, reshaped(*change.value, shape), transposed);
    at();
    return modular::ReplaceOp::create(builder, loc, result, value, tensor);
  }
  case Change::Copy:
    break;
  }
  return value;
}

FlatSymbolRefAttr Emitter::moduleOf(const SitePlan &here, const Entry &entry) {
  RankedTensorType type = here.site->canonical();
  Location loc = builder.getUnknownLoc();
  std::string name = symbol(entry.adapter->name + "." + here.site->path());
  OperationState state(loc, modular::ModuleOp::getOperationName());
  Region *body = state.addRegion();
  Block &block = body->emplaceBlock();
  block.addArgument(type, loc);
  state.addAttribute("sym_name", builder.getStringAttr(name));
  state.addAttribute("composition", modular::CompositionAttr::get(builder.getContext(),
                                                                  modular::Composition::Parameter));
  state.addAttribute("function_type", TypeAttr::get(builder.getFunctionType(type, type)));
  auto made = cast<modular::ModuleOp>(builder.create(state));
  OpBuilder::InsertionGuard guard(builder);
  Block &inside = made.getBody().front();
  Value value = inside.getArgument(0);
  for (const Binding &binding : entry.bindings) {
    builder.setInsertionPointToEnd(&inside);
    value = step(here, entry, binding, value);
  }
  builder.setInsertionPointToEnd(&inside);
  modular::YieldOp::create(builder, loc, value);
  made.setFunctionTypeAttr(TypeAttr::get(builder.getFunctionType(type, value.getType())));
  return FlatSymbolRefAttr::get(builder.getContext(), name);
}

FlatSymbolRefAttr Emitter::backbone(Operation *constant, StringRef name) {
  FlatSymbolRefAttr &known = parameters[constant];
  if (!known)
    known = parameter(name, cast<TypedAttr>(constant->getAttr("value")));
  return known;
}

/// Writes a convolution in groups as one without: what modules add to it reads all channels.
void Emitter::ungroup(SitePlan &here) {
  Site &site = *here.site;
  std::vector<char> buffer;
  ArrayRef<char> stored = *constantBytes(site.uses.front().constant, buffer);
  SmallVector<int64_t> shape(site.stored.getShape());
  int64_t out = shape[0], part = shape[1], kernel = 1;
  for (int64_t dim : ArrayRef<int64_t>(shape).drop_front(2))
    kernel *= dim;
  shape[1] = part * here.groups;
  unsigned width = elementSize(site.stored.getElementType());
  std::vector<char> bytes(out * shape[1] * kernel * width);
  for (int64_t row = 0; row < out; ++row) {
    int64_t group = row / (out / here.groups);
    std::memcpy(bytes.data() + (row * shape[1] + group * part) * kernel * width,
                stored.data() + row * part * kernel * width, part * kernel * width);
  }
  site.stored = RankedTensorType::get(shape, site.stored.getElementType());
  StringRef key = store.addProduced(site.path(), site.stored, std::move(bytes));
  OpBuilder::InsertionGuard guard(builder);
  SiteUse &first = site.uses.front();
  builder.setInsertionPoint(first.constant);
  OperationState state(first.constant->getLoc(), "onnx.Constant", ValueRange(),
                       TypeRange(site.stored),
                       {builder.getNamedAttr("value", weight(site.stored, key))});
  Operation *constant = builder.create(state);
  for (SiteUse &use : site.uses) {
    use.constant = constant;
    use.stored = site.stored;
    use.op->setOperand(use.operand, constant->getResult(0));
    use.op->setAttr("group", builder.getI64IntegerAttr(1));
  }
}

/// The type of a use's parameter once modules have entered: rows may be of another number.
RankedTensorType adaptedType(const SitePlan &here, const SiteUse &use) {
  const Site &site = *here.site;
  SmallVector<int64_t> shape(use.stored.getShape());
  for (const Entry &entry : here.entries)
    for (const Binding &binding : entry.bindings) {
      if (binding.change->kind != Change::Replace || use.stored.getRank() > 2)
        continue;
      ArrayRef<int64_t> given = binding.change->value->type.getShape();
      if (given.size() != shape.size() || site.kind == Site::Other)
        continue;
      bool swapped = (binding.layout == Layout::Transposed) != use.transposed;
      for (size_t d = 0; d < shape.size(); ++d)
        if (given[swapped ? shape.size() - 1 - d : d] != use.stored.getDimSize(d))
          shape[d] = ShapedType::kDynamic;
    }
  return RankedTensorType::get(shape, use.stored.getElementType());
}

/// Puts a site and an adapt between the parameter and each of its uses. What lies between, a
/// transposition, is copied for the use.
void Emitter::enter(const SitePlan &here, ArrayRef<NamedAttribute> modules, Value route) {
  const Site &site = *here.site;
  for (const SiteUse &use : site.uses) {
    builder.setInsertionPoint(use.op);
    Location loc = use.op->getLoc();
    auto opened = modular::SiteOp::create(
        builder, loc, use.stored, builder.getStringAttr(site.path()), parameters[use.constant],
        use.transposed ? builder.getUnitAttr() : UnitAttr());
    Value value = modular::AdaptOp::create(builder, loc, adaptedType(here, use), opened.getResult(),
                                           route, builder.getDictionaryAttr(modules));
    SmallVector<Operation *> between;
    for (Operation *op = use.op->getOperand(use.operand).getDefiningOp(); op != use.constant;
         op = op->getOperand(0).getDefiningOp())
      between.push_back(op);
    for (Operation *op : llvm::reverse(between)) {
      Operation *copy = builder.clone(*op);
      copy->setOperand(0, value);
      auto type = cast<RankedTensorType>(copy->getResult(0).getType());
      auto from = cast<RankedTensorType>(value.getType());
      if (!from.hasStaticShape()) {
        SmallVector<int64_t> sizes(type.getShape());
        bool turned = type.getRank() == 2 && op->getName().stripDialect() == "Transpose" &&
                      (!op->hasAttr("perm") ||
                       cast<IntegerAttr>(op->getAttrOfType<ArrayAttr>("perm")[0]).getInt() == 1);
        for (int64_t d = 0; d < type.getRank(); ++d)
          if (from.isDynamicDim(turned ? type.getRank() - 1 - d : d))
            sizes[d] = ShapedType::kDynamic;
        copy->getResult(0).setType(RankedTensorType::get(sizes, type.getElementType()));
      }
      value = copy->getResult(0);
    }
    use.op->setOperand(use.operand, value);
    for (Operation *op : between)
      if (op->use_empty())
        op->erase();
  }
}

void Emitter::run() {
  func::FuncOp main = *module.getOps<func::FuncOp>().begin();
  std::vector<SitePlan> sites = plan.sites;
  for (SitePlan &here : sites) {
    if (here.site->absent)
      plan.backbone->write(*here.site);
    if (here.groups > 1)
      ungroup(here);
  }

  builder.setInsertionPoint(main);
  SmallVector<SmallVector<NamedAttribute>> modules;
  for (SitePlan &here : sites) {
    // A constant may serve several sites; its own name is the first's.
    for (const SiteUse &use : here.site->uses)
      backbone(use.constant, here.site->path());
    modules.emplace_back();
    for (const Entry &entry : here.entries)
      modules.back().push_back(builder.getNamedAttr(entry.adapter->name, moduleOf(here, entry)));
  }
  SmallVector<StringRef> names;
  for (const LinkedAdapter &adapter : plan.adapters)
    names.push_back(adapter.name);
  std::string router = symbol("adapters");
  modular::RouterOp::create(builder, builder.getUnknownLoc(), router,
                            builder.getStrArrayAttr(names));
  for (const auto &task : plan.tasks) {
    SmallVector<StringRef> taken(task.adapters.begin(), task.adapters.end());
    modular::TaskOp::create(builder, builder.getUnknownLoc(), task.name, router,
                            builder.getStrArrayAttr(taken));
  }
  if (sites.empty())
    return;
  builder.setInsertionPointToStart(&main.getBody().front());
  Value route = modular::RouteOp::create(
      builder, builder.getUnknownLoc(),
      modular::RouteType::get(builder.getContext(), names.size(), /*slots=*/0), router,
      ValueRange());
  for (auto [here, entered] : llvm::zip(sites, modules))
    enter(here, entered, route);
  // Constants that now are parameters only.
  for (auto &[constant, reference] : parameters)
    if (constant->use_empty())
      constant->erase();
  llvm::consumeError(resizeResults(module, plan, /*apply=*/true));
}

} // namespace

void graft::emitPlan(ModuleOp module, const LinkPlan &plan) { Emitter(module, plan).run(); }
