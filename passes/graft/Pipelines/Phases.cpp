//===- Phases.cpp - The phases of a compilation, in one table -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Pipelines/Phases.h"

#include "graft/Codegen/Gpu/GpuCodegen.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Conversion/OnnxToLinalg/OnnxToLinalgPasses.h"
#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace graft;

static void buildLink(OpPassManager &pm, const PhaseOptions &options) {
  pm.addPass(createRaiseRoutingPass(options.repair, options.onRaise));
}

static void buildRaise(OpPassManager &pm, const PhaseOptions &options) {
  pm.addPass(createPruneModulesPass(options.routingProfile, options.onPrune));
  pm.addPass(createMergeModulesPass());
  pm.addPass(createInlineModulesPass({options.denseRouting}));
  pm.addNestedPass<func::FuncOp>(createRaiseOnnxPass());
}

static void buildSpecialize(OpPassManager &pm, const PhaseOptions &options) {
  pm.addPass(createPlanResidencyPass(options.residency, options.onPlan));
  pm.addPass(createSplitTasksPass({options.rowStage}));
  if (options.denseRouting)
    return;
  pm.addPass(createFoldRoutesPass());
  pm.addPass(createCollapseProductsPass());
  pm.addPass(createWidenProductsPass());
}

static void buildLower(OpPassManager &pm, const PhaseOptions &) {
  pm.addNestedPass<func::FuncOp>(createConvertOnnxToLinalgPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

static void buildFuse(OpPassManager &pm, const PhaseOptions &options) {
  if (options.device)
    pm.addPass(createCopyForDevicePass());
  addCpuFusion(pm, options.codegen);
}

static void buildBufferize(OpPassManager &pm, const PhaseOptions &options) {
  addCpuBufferization(pm, options.codegen);
}

static void buildPlace(OpPassManager &pm, const PhaseOptions &options) {
  if (options.device)
    addDevicePlacement(pm);
}

static void buildDevice(OpPassManager &pm, const PhaseOptions &options) {
  if (options.device)
    addDeviceCode(pm);
}

static void buildGenerate(OpPassManager &pm, const PhaseOptions &options) {
  addCpuCodegen(pm, options.codegen);
}

static constexpr PhaseInfo kPhases[] = {
    {Phase::Import, "import", "onnx", true,
     "the backbone as exported, in the standard's ops, checked and converted", nullptr},
    {Phase::Link, "link", "modular", true,
     "adapters bound, mixtures raised: where which module enters; nothing is specialised or folded",
     buildLink},
    {Phase::Raise, "raise", "", false,
     "unused modules left out, equal ones merged, all inlined; norms, GELU and attention as one op "
     "each, "
     "where an exporter took them apart",
     buildRaise},
    {Phase::Specialize, "specialize", "", false,
     "a body for each stage of the tree of tasks; modules folded, or beside the frozen weights",
     buildSpecialize},
    {Phase::Lower, "lower", "dispatch", true,
     "the stages' bodies as `dispatch` and `linalg` ops on tensors", buildLower},
    {Phase::Fuse, "fuse", "linalg", true,
     "the same with elementwise work fused into matmuls, on packed weights", buildFuse},
    {Phase::Bufferize, "bufferize", "", false,
     "the same on memrefs, the caller's or views into one arena", buildBufferize},
    {Phase::Place, "place", "", false,
     "for a GPU: what the stages' copies for it compute as kernels, and their launches",
     buildPlace},
    {Phase::Device, "device", "nvvm", true, "for a GPU: kernels in the `llvm` and `nvvm` dialects",
     buildDevice},
    {Phase::Ptx, "ptx", "ptx", true, "for a GPU: all kernels as PTX", nullptr},
    {Phase::Cubin, "cubin", "sass", true,
     "for a GPU: machine code for the architectures of `--gpu-arch`; as a level, disassembled",
     nullptr},
    {Phase::Generate, "generate", "llvm", true,
     "kernels, loops, threads and entries in the `llvm` dialect; as a level, optimised LLVM IR",
     buildGenerate},
    {Phase::Select, "select", "asm", true, "assembly for the target", nullptr},
    {Phase::Assemble, "assemble", "obj", false, "a relocatable object", nullptr},
    {Phase::Write, "write", "so", false, "the library: code, packed weights, manifest; the default",
     nullptr},
};

ArrayRef<PhaseInfo> graft::getPhases() { return kPhases; }

const PhaseInfo &graft::getPhase(Phase phase) { return kPhases[unsigned(phase)]; }

const PhaseInfo *graft::findLevel(StringRef level) {
  for (const PhaseInfo &info : kPhases)
    if (!level.empty() && info.level == level)
      return &info;
  return nullptr;
}

std::string graft::listLevels() {
  SmallVector<StringRef> levels;
  for (const PhaseInfo &info : kPhases)
    if (!info.level.empty())
      levels.push_back(info.level);
  return llvm::join(ArrayRef(levels).drop_back(), ", ") + " or " + levels.back().str();
}

//===----------------------------------------------------------------------===//
// Pipelines
//===----------------------------------------------------------------------===//

namespace {
enum class Cpu { Native, Generic, Avx512 };

struct PipelineOptions : PassPipelineOptions<PipelineOptions> {
  Option<Cpu> cpu{*this, "cpu", llvm::cl::desc("Whose features the code may use"),
                  llvm::cl::init(Cpu::Native),
                  llvm::cl::values(clEnumValN(Cpu::Native, "native", "this machine's"),
                                   clEnumValN(Cpu::Generic, "generic", "x86-64-v3"),
                                   clEnumValN(Cpu::Avx512, "avx512", "x86-64-v4"))};
  Option<bool> instrumented{*this, "instrumented", llvm::cl::desc("One allocation a buffer"),
                            llvm::cl::init(false)};
  Option<FoldPolicy> fold{
      *this, "fold", llvm::cl::desc("Whether modules go into the weights"),
      llvm::cl::init(FoldPolicy::Auto),
      llvm::cl::values(clEnumValN(FoldPolicy::Auto, "auto", "by the cost model"),
                       clEnumValN(FoldPolicy::Always, "always", "all"),
                       clEnumValN(FoldPolicy::Never, "never", "where nothing else can be done"))};

  Option<bool> repair{*this, "repair",
                      llvm::cl::desc("Compile what was traced where an export froze it"),
                      llvm::cl::init(false)};
  Option<bool> dense{*this, "dense-routing",
                     llvm::cl::desc("Compute every module for every row: the oracle"),
                     llvm::cl::init(false)};

  Option<bool> device{*this, "device", llvm::cl::desc("Kernels for a GPU too"),
                      llvm::cl::init(false)};

  PhaseOptions get() const {
    PhaseOptions options;
    options.device = device;
    options.denseRouting = dense;
    options.repair = repair;
    options.codegen.target = cpu == Cpu::Native    ? CpuTarget::native()
                             : cpu == Cpu::Generic ? CpuTarget::generic()
                                                   : CpuTarget::avx512();
    options.codegen.instrumented = instrumented;
    options.residency.policy = fold;
    options.residency.lanes = options.codegen.target.floatLanes();
    return options;
  }
};
} // namespace

void graft::registerPhasePipelines() {
  for (const PhaseInfo &info : kPhases)
    if (info.build)
      PassPipelineRegistration<PipelineOptions>(
          ("graft-" + info.name).str(), info.doc,
          [build = info.build](OpPassManager &pm, const PipelineOptions &options) {
            build(pm, options.get());
          });
}

//===----------------------------------------------------------------------===//
// Documentation
//===----------------------------------------------------------------------===//

/// The names of the passes that `info` adds, without what they are nested in and their options.
static std::string listPasses(const PhaseInfo &info) {
  PhaseOptions options;
  options.codegen.target = CpuTarget::generic();
  options.device = true;
  OpPassManager pm(mlir::ModuleOp::getOperationName());
  info.build(pm, options);
  std::string text;
  llvm::raw_string_ostream stream(text);
  pm.printAsTextualPipeline(stream);
  SmallVector<std::string> names;
  std::string name;
  unsigned depth = 0;
  for (char c : text) {
    depth += c == '{';
    if (depth == 0 && (c == '(' || c == ')' || c == ',')) {
      if (c != '(' && !name.empty())
        names.push_back("`" + name + "`");
      name.clear();
    } else if (depth == 0) {
      name += c;
    }
    depth -= c == '}';
  }
  return llvm::join(names, ", ");
}

void graft::printPhases(llvm::raw_ostream &out) {
  out << "# Phases\n\nA compilation runs these in order. `--emit LEVEL` stops after the phase that "
         "yields the level; `graft-opt --graft-PHASE` runs the\npasses of one. The table is "
         "`passes/graft/Pipelines/Phases.cpp`.\n\n"
         "| phase | level | what it yields | passes |\n| --- | --- | --- | --- |\n";
  for (const PhaseInfo &info : kPhases)
    out << "| " << info.name << " | "
        << (info.level.empty() ? std::string() : "`" + info.level.str() + "`") << " | " << info.doc
        << " | " << (info.build ? listPasses(info) : std::string()) << " |\n";
}
