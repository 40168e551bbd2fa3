//===- Describe.cpp - What a compilation tells: to the artifact and to its user -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Driver/Describe.h"

#include "graft/Codegen/Cpu/StageFunction.h"

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Modular/Exposure.h"
#include "graft/Onnx/Origin.h"
#include "graft/Transforms/ExposeRoutes.h"
#include "graft/Transforms/StagePlan.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;

static llvm::StringRef nameOf(Residency choice) {
  return choice == Residency::Fold ? "fold" : "branch";
}

ResidencyReport graft::describeResidency(const ResidencyPlan &plan) {
  ResidencyReport report;
  report.bytes = plan.bytes;
  report.leastBytes = plan.leastBytes;
  for (const SiteResidency &choice : plan.sites) {
    if (AdaptOp(choice.adapt)->hasAttr("modular.decides_route"))
      continue;
    ResidencyRow &row = report.rows.emplace_back();
    row.site = AdaptOp(choice.adapt).getSite().getDefiningOp<SiteOp>().getPath().str();
    for (StringAttr name : choice.modules)
      row.adapters.push_back(name.str());
    for (StringAttr task : choice.tasks)
      row.tasks.push_back(task.str());
    row.choice = choice;
  }
  return report;
}

void graft::printResidency(llvm::raw_ostream &out, const ResidencyReport &residency,
                           const ResidencyOptions &options) {
  struct Sum {
    unsigned sites = 0, folded = 0;
    uint64_t foldBytes = 0, branchBytes = 0, branchFlops = 0;
    double error = 0;
  };
  llvm::MapVector<StringRef, Sum> sums;
  std::vector<std::string> names;
  names.reserve(residency.rows.size());
  for (const ResidencyRow &row : residency.rows) {
    names.push_back(llvm::join(row.adapters, "+"));
    Sum &sum = sums[names.back()];
    ++sum.sites;
    sum.folded += row.choice.choice == Residency::Fold;
    sum.foldBytes += row.choice.foldBytes;
    sum.branchBytes += row.choice.branchBytes;
    sum.branchFlops += row.choice.branchFlops;
    sum.error = std::max(sum.error, row.choice.foldError);
  }
  if (!sums.empty()) {
    out << "residency: sites, bytes folded or beside, operations a row beside, largest fold "
           "error\n";
    for (auto &[name, sum] : sums)
      out << llvm::formatv("  {0}: {1} of {2} sites folded; {3} bytes folded, {4} beside, {5} "
                           "operations; error {6:E2}\n",
                           name, sum.folded, sum.sites, sum.foldBytes, sum.branchBytes,
                           sum.branchFlops, sum.error);
  }
  out << "weights: " << residency.bytes << " bytes predicted, " << residency.leastBytes
      << " the least";
  if (options.memoryBudget)
    out << ", " << *options.memoryBudget << " the budget";
  out << "\n";
}

void graft::printRows(llvm::raw_ostream &out, mlir::ModuleOp module) {
  for (auto stage : module.getOps<StageOp>()) {
    if (!stage->hasAttr("modular.keys"))
      continue;
    auto tasks = module.getOps<TaskOp>();
    out << "rows: " << stage.getTasks().size() << " of "
        << std::distance(tasks.begin(), tasks.end()) << " tasks run together in one batch\n";
    if (auto apart = module->getAttrOfType<DictionaryAttr>("modular.apart"))
      for (NamedAttribute entry : apart)
        out << "  " << entry.getName().getValue() << " runs apart: it "
            << cast<StringAttr>(entry.getValue()).getValue() << "\n";
  }
}

/// A dimension of a `modular.dims` attribute.
static std::vector<std::string> readDims(Attribute dims) {
  std::vector<std::string> result;
  if (auto list = dyn_cast_or_null<ArrayAttr>(dims))
    for (auto dim : list.getAsRange<StringAttr>())
      result.push_back(dim.str());
  return result;
}

static ArtifactSpec::Tensor describeTensor(StringRef name, Type type, Attribute dims) {
  ArtifactSpec::Tensor tensor;
  tensor.name = name.str();
  tensor.type = elementTypeName(cast<ShapedType>(type).getElementType()).str();
  tensor.dims = readDims(dims);
  return tensor;
}

llvm::json::Object graft::describeRows(const RowIndependence &rows) {
  llvm::json::Object object{{"independent", bool(rows)}};
  if (rows)
    return object;
  object["reason"] = rows.getReason().str();
  if (Operation *culprit = rows.getCulprit()) {
    object["op"] = culprit->getName().stripDialect().str();
    object["node"] = originOf(culprit->getLoc()).node.str();
  }
  return object;
}

/// A sum of products, [[coefficient, symbol, …], …], or null if it is none of the model's symbols.
static llvm::json::Value describeSize(const Polynomial &size, ArrayRef<StringAttr> symbols) {
  llvm::json::Array terms;
  for (auto &[monomial, coefficient] : size.getTerms()) {
    llvm::json::Array term{coefficient};
    for (const std::string &atom : monomial) {
      const auto *found =
          llvm::find_if(symbols, [&](StringAttr symbol) { return symbol.getValue() == atom; });
      if (found == symbols.end())
        return nullptr;
      term.push_back(int64_t(found - symbols.begin()));
    }
    terms.push_back(std::move(term));
  }
  return terms;
}

llvm::json::Array graft::describeRouters(mlir::ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto described = module->getAttrOfType<ArrayAttr>(kRoutersAttr);
  if (!described || !main || main.isExternal())
    return {};
  SymbolicShapes shapes(main);
  const SmallVector<StringAttr> symbols = getModelSymbols(main);
  llvm::DenseMap<int64_t, Polynomial> rows;
  llvm::DenseMap<int64_t, Polynomial> came; // within a module, how many rows take it
  main.walk([&](ExposeOp op) {
    rows[op.getNumber()] = shapes.get(op.getChosen()).dims.front();
    if (isa<ApplyOp>(op->getParentOp()))
      came[op.getNumber()] = shapes.get(op->getParentRegion()->getArgument(0)).dims.front();
  });
  llvm::json::Array routers;
  for (auto [number, facts] : llvm::enumerate(described.getAsRange<DictionaryAttr>())) {
    llvm::json::Array modules;
    for (auto [name, bytes] : llvm::zip(facts.getAs<ArrayAttr>("modules").getAsRange<StringAttr>(),
                                        facts.getAs<DenseI64ArrayAttr>("bytes").asArrayRef()))
      modules.push_back(llvm::json::Object{{"name", llvm::json::fixUTF8(name)}, {"bytes", bytes}});
    llvm::json::Object router{
        {"name", llvm::json::fixUTF8(facts.getAs<StringAttr>("name"))},
        {"slots", facts.getAs<IntegerAttr>("slots").getInt()},
        {"weighs", facts.getAs<BoolAttr>("weighs").getValue()},
        {"weights", elementTypeName(facts.getAs<TypeAttr>("weights").getValue())},
        {"modules", std::move(modules)}};
    for (StringRef key : {"same_modules_as", "tokens_of"})
      if (auto other = facts.getAs<IntegerAttr>(key))
        router[key] = other.getInt();
    if (auto within = facts.getAs<DenseI64ArrayAttr>("within")) {
      router["within"] = llvm::json::Object{{"router", within[0]}, {"module", within[1]}};
      // As many for each row of the route around it as for each that takes the module.
      const Polynomial some = came.lookup(number), own = rows.lookup(number);
      const Polynomial each = some.isConstant(0) ? Polynomial(0) : Polynomial::floorDiv(own, some);
      if (rows.contains(within[0]) && each * some == own)
        rows[number] = each * rows.lookup(within[0]);
      else
        rows.erase(number);
    }
    if (auto known = rows.find(number); known != rows.end())
      if (llvm::json::Value size = describeSize(known->second, symbols);
          size.kind() != llvm::json::Value::Null)
        router["rows"] = std::move(size);
    routers.push_back(std::move(router));
  }
  return routers;
}

llvm::json::Array graft::describeHiddenRouters(mlir::ModuleOp module) {
  llvm::json::Array names;
  if (auto hidden = module->getAttrOfType<ArrayAttr>(kHiddenRoutersAttr))
    for (auto name : hidden.getAsRange<StringAttr>())
      names.push_back(llvm::json::fixUTF8(name));
  return names;
}

/// Small parameters are dense elements; the artifact takes bytes from the store.
static WeightAttr asWeight(ParameterOp parameter) {
  if (auto weight = dyn_cast<WeightAttr>(parameter.getValue()))
    return weight;
  auto dense = cast<DenseElementsAttr>(parameter.getValue());
  ArrayRef<char> raw = dense.getRawData();
  const size_t bytes = *WeightStore::byteSize(parameter.getType());
  std::vector<char> expanded(raw.begin(), raw.end());
  if (parameter.getType().getElementType().isInteger(1)) {
    expanded.clear();
    for (bool element : dense.getValues<bool>())
      expanded.push_back(element);
  } else if (dense.isSplat()) {
    expanded.clear();
    while (expanded.size() < bytes)
      expanded.insert(expanded.end(), raw.begin(), raw.end());
  }
  auto &store = parameter.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  StringRef key =
      store.addProduced(parameter.getSymName(), parameter.getType(), std::move(expanded));
  auto weight = WeightAttr::get(parameter.getContext(), key, parameter.getType());
  parameter.setValueAttr(weight);
  return weight;
}

static std::vector<ArtifactSpec::Output> describeOutputs(DenseI64ArrayAttr values,
                                                         func::FuncOp main) {
  std::vector<ArtifactSpec::Output> outputs;
  ArrayAttr resultNames = main.getAllResultAttrs();
  for (auto [index, value] : llvm::enumerate(values.asArrayRef())) {
    auto name = cast<DictionaryAttr>(resultNames[index]).getAs<StringAttr>("modular.name");
    outputs.push_back({name.str(), unsigned(value)});
  }
  return outputs;
}

static ArtifactSpec::RowStage describeRowStage(StageOp stage, func::FuncOp main, unsigned index) {
  ArtifactSpec::RowStage rows;
  rows.stage = index;
  rows.keys = stage->getAttrOfType<IntegerAttr>("modular.keys").getInt();
  for (auto task : stage.getTasks().getAsRange<StringAttr>())
    rows.tasks.push_back(task.str());
  rows.outputs = describeOutputs(stage->getAttrOfType<DenseI64ArrayAttr>("modular.outputs"), main);
  return rows;
}

/// The last argument that is neither a symbol nor a parameter.
static unsigned keysArgumentOf(func::FuncOp body) {
  unsigned number = 0;
  for (unsigned i = 0; i < body.getNumArguments(); ++i)
    if (!body.getArgAttr(i, "modular.symbol") && !body.getArgAttr(i, "modular.slot"))
      number = i;
  return number;
}

FailureOr<ArtifactSpec> graft::describeArtifact(mlir::ModuleOp module,
                                                const std::vector<StageCode> &codes,
                                                const ResidencyReport &residency) {
  ArtifactSpec spec;
  SymbolTable symbols(module);
  auto main = symbols.lookup<func::FuncOp>("main");
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto name = main.getArgAttrOfType<StringAttr>(i, "modular.name");
    Attribute dims = main.getArgAttr(i, "modular.dims");
    spec.inputs.push_back(
        describeTensor(name ? name.getValue() : "", main.getArgumentTypes()[i], dims));
  }
  llvm::StringMap<unsigned> codeIndex, stageIndex;
  for (const StageCode &code : codes)
    if (!StringRef(code.name).ends_with(kDeviceSuffix)) {
      codeIndex[code.name] = spec.codes.size();
      spec.codes.push_back({code, "", std::nullopt});
    }
  for (const StageCode &code : codes)
    if (StringRef name = code.name; name.consume_back(kDeviceSuffix))
      spec.codes[codeIndex.lookup(name)].device = code;

  for (auto stage : module.getOps<StageOp>()) {
    auto body = symbols.lookup<func::FuncOp>(stage.getBody());
    if (spec.stages.empty())
      for (unsigned i = 0; i < body.getNumArguments(); ++i)
        if (auto symbol = body.getArgAttrOfType<StringAttr>(i, "modular.symbol"))
          spec.symbols.push_back(symbol.str());
    stageIndex[stage.getSymName()] = spec.stages.size();
    ArtifactSpec::Stage &described = spec.stages.emplace_back();
    described.code = codeIndex.lookup(stage.getBody());
    if (stage.getParent())
      described.parent = stageIndex.lookup(*stage.getParent());
    described.inputs.assign(stage.getInputs().begin(), stage.getInputs().end());
    described.outputs.assign(stage.getOutputs().begin(), stage.getOutputs().end());
    body.walk([&](ExposeOp op) {
      if (op.getWeights())
        described.routers.push_back(op.getNumber());
      if (op.getFixed())
        described.fixedRouters.push_back(op.getNumber());
    });
    if (auto keys = stage->getAttrOfType<IntegerAttr>("modular.keys")) {
      // Values are numbered in the order in which they are described: these come before what the
      // stage computes.
      spec.rowStage = describeRowStage(stage, main, spec.stages.size() - 1);
      const unsigned argument = keysArgumentOf(body);
      spec.values.push_back(describeTensor("", body.getArgumentTypes()[argument],
                                           body.getArgAttr(argument, "modular.dims")));
    }
    for (unsigned i = 0; i < body.getNumResults(); ++i)
      spec.values.push_back(
          describeTensor("", body.getResultTypes()[i], body.getResultAttr(i, "modular.dims")));
    for (auto [index, slot] : llvm::enumerate(spec.codes[described.code].info.parameters)) {
      if (!slot.type) { // the code has no use for it
        described.parameters.push_back({});
        continue;
      }
      int64_t source = index;
      if (auto packing = dyn_cast_or_null<DictionaryAttr>(slot.packing))
        if (auto original = packing.getAs<IntegerAttr>("source"))
          source = original.getInt();
      auto parameter = symbols.lookup<ParameterOp>(
          cast<FlatSymbolRefAttr>(stage.getParameters()[source]).getAttr());
      described.parameters.push_back({asWeight(parameter), slot.packing});
    }
  }

  for (auto task : module.getOps<TaskOp>()) {
    ArtifactSpec::Task &described = spec.tasks.emplace_back();
    described.name = task.getSymName().str();
    described.stage =
        stageIndex.lookup(task->getAttrOfType<FlatSymbolRefAttr>("modular.stage").getValue());
    described.outputs =
        describeOutputs(task->getAttrOfType<DenseI64ArrayAttr>("modular.outputs"), main);
    llvm::json::Array adapters, choices;
    for (auto name : task.getModules().getAsRange<StringAttr>())
      adapters.push_back(name.str());
    for (const ResidencyRow &row : residency.rows)
      if (llvm::is_contained(row.tasks, described.name))
        choices.push_back(llvm::json::Object{{"site", row.site},
                                             {"adapters", row.adapters},
                                             {"residency", nameOf(row.choice.choice)},
                                             {"fold_error", row.choice.foldError}});
    described.extra["adapters"] = std::move(adapters);
    described.extra["residency"] = std::move(choices);
  }

  struct Sum {
    int64_t sites = 0, bytes = 0, folded = 0;
  };
  llvm::MapVector<StringRef, Sum> modules;
  for (const ResidencyRow &row : residency.rows)
    if (row.adapters.size() == 1) {
      Sum &sum = modules[row.adapters.front()];
      const bool folds = row.choice.choice == Residency::Fold;
      ++sum.sites;
      sum.folded += folds;
      sum.bytes += folds ? row.choice.foldBytes : row.choice.branchBytes;
    }
  auto routerOf = [&](StringRef name) -> llvm::json::Value {
    for (auto router : module.getOps<RouterOp>())
      for (auto chosen : router.getModules().getAsRange<StringAttr>())
        if (chosen == name)
          return router.getSymName().str();
    return nullptr;
  };
  for (auto &[name, sum] : modules)
    spec.modules.push_back(llvm::json::Object{{"name", name.str()},
                                              {"kind", "parameter composition"},
                                              {"router", routerOf(name)},
                                              {"sites", sum.sites},
                                              {"bytes", sum.bytes},
                                              {"residency", sum.folded == sum.sites ? "fold"
                                                            : sum.folded == 0       ? "branch"
                                                                                    : "mixed"}});
  return spec;
}

void graft::printImage(llvm::raw_ostream &out, const DeviceImage &image) {
  unsigned registers = 0, spills = 0;
  for (const std::optional<KernelResources> &kernel : image.kernels)
    if (kernel) {
      registers = std::max(registers, kernel->registers);
      spills += kernel->spillStores + kernel->spillLoads;
    }
  out << "device: " << image.arch << ": " << image.code.size() << " bytes of machine code, at most "
      << registers << " registers a thread, " << spills << " bytes of spills\n";
}
