//===- Compile.cpp - The phases of a compilation -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowIndependence.h"
#include "graft/Artifact/Artifact.h"
#include "graft/Conversion/OnnxToLinalg/OnnxToLinalgPasses.h"
#include "graft/Driver/CompileOptions.h"
#include "graft/Driver/Describe.h"
#include "graft/Driver/Diagnostics.h"
#include "graft/Driver/TextOutput.h"
#include "graft/Import/Import.h"
#include "graft/Register/Register.h"
#include "graft/Transforms/BindTasks.h"
#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

#include <chrono>

using namespace mlir;
using namespace graft;

namespace {

/// A compilation on its way through the levels.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options(options), context(registry()),
        diagnostics(&context, options.backbone, options.warningsAreErrors) {}

  int run();

private:
  static DialectRegistry registry() {
    DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }

  enum class Step { Continue, Done, Failed };

  /// Runs a phase and takes its time; shows its name on a terminal.
  template <typename Function> Step phase(llvm::StringRef name, Function function);
  Step stopAt(EmitLevel level, Operation *op);
  Step runPasses(llvm::function_ref<void(OpPassManager &)> build, mlir::ModuleOp target);

  Step importBackbone();
  Step link();
  Step specialize();
  Step lower();
  Step generate();
  Step write();
  void report();

  const CompileOptions &options;
  MLIRContext context;
  UserDiagnostics diagnostics;
  int exitCode = 70;

  OwningOpRef<mlir::ModuleOp> module;     ///< onnx, then modular
  OwningOpRef<mlir::ModuleOp> codeModule; ///< the bodies of stages, down to LLVM
  ResidencyPlan plan;
  ResidencyTable residency;
  llvm::json::Object rows;
  std::vector<StageCode> codes;
  std::string object;
  StorageReport storage;
  std::vector<std::pair<std::string, double>> times;
};

} // namespace

template <typename Function>
Compilation::Step Compilation::phase(llvm::StringRef name, Function function) {
  const bool onTerminal = llvm::sys::Process::StandardErrIsDisplayed();
  if (onTerminal)
    llvm::errs() << "\r\033[K" << name << "…";
  auto start = std::chrono::steady_clock::now();
  Step step = function();
  times.push_back(
      {name.str(),
       std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()});
  if (onTerminal)
    llvm::errs() << "\r\033[K";
  return step;
}

Compilation::Step Compilation::stopAt(EmitLevel level, Operation *op) {
  if (options.emit != level)
    return Step::Continue;
  if (llvm::Error error = writeText(op, options.output)) {
    exitCode = reportFault(std::move(error));
    return Step::Failed;
  }
  return Step::Done;
}

Compilation::Step Compilation::runPasses(llvm::function_ref<void(OpPassManager &)> build,
                                         mlir::ModuleOp target) {
  PassManager pm(&context, mlir::ModuleOp::getOperationName());
  build(pm);
  if (succeeded(pm.run(target)))
    return Step::Continue;
  exitCode = diagnostics.anyUnsupported() ? 2 : 70;
  return Step::Failed;
}

Compilation::Step Compilation::importBackbone() {
  ImportOptions import;
  import.allowLinks = options.allowLinks;
  auto imported = importOnnx(options.backbone, &context, import);
  if (!imported) {
    exitCode = reportFault(imported.takeError());
    return Step::Failed;
  }
  module = std::move(*imported);
  return stopAt(EmitLevel::Onnx, *module);
}

Compilation::Step Compilation::link() {
  if (llvm::Error error = linkAdapters(*module, options.link)) {
    exitCode = reportFault(std::move(error));
    return Step::Failed;
  }
  if (failed(verify(*module)))
    return Step::Failed;
  return stopAt(EmitLevel::Modular, *module);
}

Compilation::Step Compilation::specialize() {
  Step raised = runPasses(
      [](OpPassManager &pm) { pm.addNestedPass<func::FuncOp>(createRaiseOnnxPass()); }, *module);
  if (raised != Step::Continue)
    return raised;
  rows = describeRows(RowIndependence(module->lookupSymbol<func::FuncOp>("main")));
  auto planned = planResidency(*module, options.residency);
  if (failed(planned)) {
    exitCode = 1;
    return Step::Failed;
  }
  plan = std::move(*planned);
  recordResidency(plan);
  residency = describeResidency(plan); // names; the plan's ops are gone after the split
  return runPasses([](OpPassManager &pm) { pm.addPass(createSplitTasksPass()); }, *module);
}

Compilation::Step Compilation::lower() {
  // The bodies of stages, which name no weight, apart from what says how they are run.
  codeModule = mlir::ModuleOp::create(module->getLoc());
  OpBuilder builder(codeModule->getBodyRegion());
  for (auto function : llvm::make_early_inc_range(module->getOps<func::FuncOp>()))
    if (function->hasAttr("modular.stage")) {
      auto clone = cast<func::FuncOp>(builder.clone(*function));
      clone.setPublic();
    }
  Step step = runPasses(
      [](OpPassManager &pm) {
        pm.addNestedPass<func::FuncOp>(createConvertOnnxToLinalgPass());
        pm.addPass(createCanonicalizerPass());
        pm.addPass(createCSEPass());
      },
      *codeModule);
  return step == Step::Continue ? stopAt(EmitLevel::Dispatch, *codeModule) : step;
}

Compilation::Step Compilation::generate() {
  CodegenOptions codegen;
  codegen.target = options.target;
  if (options.emit == EmitLevel::Linalg) {
    Step step = runPasses([&](OpPassManager &pm) { addCpuTensorPasses(pm, codegen); }, *codeModule);
    return step == Step::Continue ? stopAt(EmitLevel::Linalg, *codeModule) : step;
  }
  if (failed(lowerToLLVM(*codeModule, codegen, codes))) {
    exitCode = diagnostics.anyUnsupported() ? 2 : 70;
    return Step::Failed;
  }
  const EmitFormat format = options.emit == EmitLevel::LLVM       ? EmitFormat::LLVM
                            : options.emit == EmitLevel::Assembly ? EmitFormat::Assembly
                                                                  : EmitFormat::Object;
  if (failed(emitCode(*codeModule, codegen, format, object)))
    return Step::Failed;
  if (options.emit == EmitLevel::Library)
    return Step::Continue;
  if (llvm::Error error = writeBytes(object, options.output)) {
    exitCode = reportFault(std::move(error));
    return Step::Failed;
  }
  return Step::Done;
}

Compilation::Step Compilation::write() {
  FailureOr<ArtifactSpec> spec = describeArtifact(*module, codes, residency);
  if (failed(spec))
    return Step::Failed;
  spec->backbone = llvm::sys::path::filename(options.backbone).str();
  spec->target = options.target;
  spec->rows = std::move(rows);
  spec->codes.front().object = std::move(object);
  const WeightStore &store = context.getLoadedDialect<modular::ModularDialect>()->getWeightStore();
  auto written = options.splitTasks
                     ? writeSplitArtifacts(*spec, store, options.output, module->getLoc(), &storage)
                     : writeArtifact(*spec, store, options.output, module->getLoc(), &storage);
  if (failed(written)) {
    exitCode = 1;
    return Step::Failed;
  }
  return Step::Continue;
}

void Compilation::report() {
  llvm::raw_ostream &out = llvm::outs();
  printResidency(out, plan, residency, options.residency);
  if (options.emit == EmitLevel::Library)
    out << "weights: " << storage.bytes << " bytes stored, " << storage.sourceBytes
        << " before packing\n";
  if (options.timeReport)
    for (auto &[name, seconds] : times)
      out << llvm::formatv("{0,-12} {1,8:F3} s\n", name, seconds);
}

int Compilation::run() {
  struct Phase {
    llvm::StringRef name;
    Step (Compilation::*function)();
  };
  static const Phase phases[] = {
      {"import", &Compilation::importBackbone}, {"link", &Compilation::link},
      {"specialize", &Compilation::specialize}, {"lower", &Compilation::lower},
      {"generate", &Compilation::generate},     {"write", &Compilation::write},
  };
  for (const Phase &each : phases) {
    switch (phase(each.name, [&] { return (this->*each.function)(); })) {
    case Step::Continue:
      break;
    case Step::Done:
      return 0;
    case Step::Failed:
      if (exitCode == 70)
        writeReproducer(codeModule ? *codeModule : *module, options.output, each.name);
      return exitCode;
    }
    if (diagnostics.anyError())
      return 1; // a warning under --werror
  }
  report();
  return 0;
}

int graft::compile(const CompileOptions &options) { return Compilation(options).run(); }
