//===- write-stage.cpp - Compiles stage functions for tests ------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// write-stage IN.mlir OUT [so|llvm|asm|obj|split] [native|generic|avx512] [instrumented]
//
// Each stage function becomes a stage and a task of its own, with its name; the first is also
// `base`. All have the inputs of the first. A weight is given by `test.value = dense<…>` on its
// argument.
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/Artifact.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Pipelines/Phases.h"
#include "graft/Register/Register.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace graft;

static ArtifactSpec::Tensor tensorOf(Type type, ArrayAttr dims, std::string name) {
  ArtifactSpec::Tensor tensor;
  tensor.name = std::move(name);
  auto ranked = cast<RankedTensorType>(type);
  tensor.type = elementTypeName(ranked.getElementType()).str();
  for (int64_t i = 0; i < ranked.getRank(); ++i)
    tensor.dims.push_back(dims ? cast<StringAttr>(dims[i]).str()
                               : std::to_string(ranked.getDimSize(i)));
  return tensor;
}

static void addStage(func::FuncOp func, WeightStore &store, ArtifactSpec &spec) {
  bool first = spec.stages.empty();
  ArtifactSpec::Stage stage;
  stage.code = spec.codes.size();
  std::vector<unsigned> inputs;
  for (unsigned i = 0; i < func.getNumArguments(); ++i) {
    auto dims = func.getArgAttrOfType<ArrayAttr>(i, kDimsAttr);
    if (auto symbol = func.getArgAttrOfType<StringAttr>(i, kSymbolAttr)) {
      if (first)
        spec.symbols.push_back(symbol.str());
    } else if (auto slot = func.getArgAttrOfType<IntegerAttr>(i, kSlotAttr)) {
      auto value = func.getArgAttrOfType<DenseElementsAttr>(i, "test.value");
      auto type = cast<RankedTensorType>(value.getType());
      std::vector<char> bytes;
      for (int64_t e = 0, size = value.getRawData().size() / (value.isSplat() ? 1 : value.size());
           e < value.size(); ++e) {
        const char *at = value.getRawData().data() + (value.isSplat() ? 0 : e * size);
        bytes.insert(bytes.end(), at, at + size);
      }
      StringRef key =
          store.addProduced(("weight" + Twine(slot.getInt())).str(), type, std::move(bytes));
      stage.parameters.resize(std::max<size_t>(stage.parameters.size(), slot.getInt() + 1));
      stage.parameters[slot.getInt()] = {modular::WeightAttr::get(func.getContext(), key, type),
                                         {}};
    } else {
      stage.inputs.push_back(stage.inputs.size());
      if (first)
        spec.inputs.push_back(tensorOf(func.getArgumentTypes()[i], dims,
                                       "input" + std::to_string(spec.inputs.size())));
    }
  }
  ArtifactSpec::Task task;
  task.name = first ? "base" : func.getName().str();
  task.stage = spec.stages.size();
  for (unsigned i = 0; i < func.getNumResults(); ++i) {
    unsigned value = spec.inputs.size() + spec.values.size();
    spec.values.push_back(
        tensorOf(func.getResultTypes()[i], func.getResultAttrOfType<ArrayAttr>(i, kDimsAttr), ""));
    stage.outputs.push_back(value);
    task.outputs.push_back({"output" + std::to_string(i), value});
  }
  spec.stages.push_back(std::move(stage));
  spec.tasks.push_back(std::move(task));
  spec.codes.emplace_back();
}

int main(int argc, char **argv) {
  StringRef format = argc > 3 ? argv[3] : "so";
  CodegenOptions options;
  if (argc < 3 || (argc > 4 && !CpuTarget::parse(argv[4], options.target))) {
    llvm::errs() << "usage: write-stage IN.mlir OUT [so|llvm|asm|obj|split] [CPU] [instrumented]\n";
    return 2;
  }
  options.instrumented = argc > 5;
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry);
  context.allowUnregisteredDialects(); // the attributes of tests
  auto module = parseSourceFile<ModuleOp>(argv[1], &context);
  if (!module)
    return 1;
  WeightStore &store = context.getOrLoadDialect<modular::ModularDialect>()->getWeightStore();
  ArtifactSpec spec;
  spec.target = options.target;
  spec.backbone = argv[1];
  spec.instrumented = options.instrumented;
  spec.rows["independent"] = true;
  for (auto func : module->getOps<func::FuncOp>())
    if (isStage(func))
      addStage(func, store, spec);

  PassManager pm(&context, ModuleOp::getOperationName());
  PhaseOptions phases;
  phases.codegen = options;
  for (Phase phase : {Phase::Fuse, Phase::Bufferize, Phase::Generate})
    getPhase(phase).build(pm, phases);
  if (failed(pm.run(*module)))
    return 1;
  std::vector<StageCode> codes = takeStageCode(*module);
  for (auto [index, code] : llvm::enumerate(codes)) {
    std::vector<ArtifactSpec::Parameter> given = std::move(spec.stages[index].parameters);
    for (const StageCode::Parameter &parameter : code.parameters)
      spec.stages[index].parameters.push_back({given[parameter.source].weight, parameter.packing});
    spec.codes[index].info = code;
  }
  std::string bytes;
  EmitFormat emit = format == "llvm"  ? EmitFormat::LLVM
                    : format == "asm" ? EmitFormat::Assembly
                                      : EmitFormat::Object;
  if (failed(emitCode(*module, options, emit, bytes)))
    return 1;
  Location loc = UnknownLoc::get(&context);
  if (format == "so" || format == "split") {
    spec.codes[0].object = std::move(bytes);
    StorageReport report;
    LogicalResult written = format == "so"
                                ? writeArtifact(spec, store, argv[2], loc, &report)
                                : writeSplitArtifacts(spec, store, argv[2], loc, &report);
    if (failed(written))
      return 1;
    llvm::outs() << "stored " << report.blobs.size() << " weights, " << report.bytes << " bytes\n";
    return 0;
  }
  std::string error;
  auto output = openOutputFile(argv[2], &error);
  if (!output) {
    llvm::errs() << error << "\n";
    return 1;
  }
  output->os() << bytes;
  output->keep();
  return 0;
}
