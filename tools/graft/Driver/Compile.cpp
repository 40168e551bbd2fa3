//===- Compile.cpp - The phases of a compilation -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowIndependence.h"
#include "graft/Artifact/Artifact.h"
#include "graft/Codegen/Gpu/Assembler.h"
#include "graft/Codegen/Gpu/GpuCodegen.h"
#include "graft/Driver/CompileOptions.h"
#include "graft/Driver/Describe.h"
#include "graft/Driver/Diagnostics.h"
#include "graft/Driver/Outputs.h"
#include "graft/Driver/TextOutput.h"
#include "graft/Import/Import.h"
#include "graft/Link/Sites.h"
#include "graft/Onnx/Origin.h"
#include "graft/Register/Plugins.h"
#include "graft/Register/Register.h"
#include "graft/Spec/Spec.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

#include <chrono>
#include <sys/resource.h>

using namespace mlir;
using namespace graft;

namespace {

/// A compilation on its way through the levels.
class Compilation {
public:
  Compilation(const CompileOptions &options, const DialectRegistry &registry)
      : options(options), context(registry),
        diagnostics(&context, options.backbone, options.warningsAreErrors) {
    phaseOptions.residency = options.residency;
    phaseOptions.codegen.target = options.target;
    phaseOptions.device = options.device;
    phaseOptions.denseRouting = options.denseRouting;
    phaseOptions.routingProfile = options.routingProfile;
    phaseOptions.onPrune = [this](const PrunedRouter &router) { pruned.push_back(router); };
    phaseOptions.repair = options.repair;
    phaseOptions.rowStage = !options.splitTasks; // one task a library: there is nothing to mix
    phaseOptions.onPlan = [this](const ResidencyPlan &plan) {
      residency = describeResidency(plan); // names: the plan's ops are gone after the split
    };
  }

  int run();

private:
  /// Takes the time of a phase; shows its name on a terminal.
  LogicalResult runTimed(const PhaseInfo &info);
  LogicalResult run(const PhaseInfo &info);
  LogicalResult runPasses(const PhaseInfo &info, mlir::ModuleOp target);
  LogicalResult importBackbone();
  LogicalResult link();
  void noteCalls();
  void takeBodies();
  /// Machine code for a device, where there is an assembler.
  LogicalResult assembleKernels();
  LogicalResult write();
  /// Writes what the phase has yielded, the last one of this compilation.
  LogicalResult emit(const PhaseInfo &info);
  LogicalResult emit(EmitFormat format, std::string &code) {
    return emitCode(*codeModule, phaseOptions.codegen, format, code);
  }
  /// Success, or failure with the error's exit code.
  LogicalResult check(llvm::Error error) {
    if (!error)
      return success();
    exitCode = reportFault(std::move(error));
    return failure();
  }
  int fail(const PhaseInfo &info);
  void report();

  const CompileOptions &options;
  PhaseOptions phaseOptions;
  MLIRContext context;
  UserDiagnostics diagnostics;
  std::optional<int> exitCode; ///< of an error that is no diagnostic

  std::optional<Spec> spec;
  BackboneNames names; ///< for the spec

  OwningOpRef<mlir::ModuleOp> module;     ///< onnx, then modular
  OwningOpRef<mlir::ModuleOp> codeModule; ///< the bodies of stages, down to LLVM
  std::vector<PrunedRouter> pruned;
  ResidencyReport residency;
  llvm::json::Object rows;
  llvm::json::Array routers, hiddenRouters;
  DeviceCode device;
  std::string ptx;
  std::vector<DeviceImage> images; ///< in the order of the options
  std::string sass;
  std::vector<StageCode> codes;
  std::string object;
  StorageReport storage;
  struct Times {
    StringRef phase;
    double seconds;
    int64_t peak; ///< bytes of memory, of the process so far
  };
  std::vector<Times> times;
};

} // namespace

LogicalResult Compilation::runTimed(const PhaseInfo &info) {
  const bool onTerminal = llvm::sys::Process::StandardErrIsDisplayed();
  if (onTerminal)
    llvm::errs() << "\r\033[K" << info.name << "…";
  auto start = std::chrono::steady_clock::now();
  LogicalResult result = run(info);
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  times.push_back({info.name, taken.count(), int64_t(usage.ru_maxrss) * 1024});
  if (onTerminal)
    llvm::errs() << "\r\033[K";
  return result;
}

LogicalResult Compilation::run(const PhaseInfo &info) {
  switch (info.phase) {
  case Phase::Import:
    return importBackbone();
  case Phase::Link:
    return link();
  case Phase::Raise:
    return runPasses(info, *module);
  case Phase::Specialize:
    rows = describeRows(RowIndependence(module->lookupSymbol<func::FuncOp>("main")));
    routers = describeRouters(*module);
    hiddenRouters = describeHiddenRouters(*module);
    return runPasses(info, *module);
  case Phase::Lower:
    takeBodies();
    return runPasses(info, *codeModule);
  case Phase::Fuse:
  case Phase::Bufferize:
  case Phase::Place:
    return runPasses(info, *codeModule);
  case Phase::Device:
    if (failed(runPasses(info, *codeModule)))
      return failure();
    device = takeDeviceCode(*codeModule);
    return success();
  case Phase::Ptx:
    return device.kernels.empty() ? success() : emitPtx(*device.module, ptx);
  case Phase::Cubin:
    return assembleKernels();
  case Phase::Generate:
    if (failed(runPasses(info, *codeModule)))
      return failure();
    codes = takeStageCode(*codeModule);
    return success();
  case Phase::Select:
    return success(); // a form of what Assemble encodes, written only where asked for
  case Phase::Assemble:
    return emit(EmitFormat::Object, object);
  case Phase::Write:
    return write();
  }
  llvm_unreachable("a phase of the table");
}

LogicalResult Compilation::runPasses(const PhaseInfo &info, mlir::ModuleOp target) {
  PassManager pm(&context, mlir::ModuleOp::getOperationName());
  info.build(pm, phaseOptions);
  return pm.run(target);
}

LogicalResult Compilation::importBackbone() {
  ImportOptions import;
  import.allowLinks = options.allowLinks;
  std::vector<std::string> externalFiles;
  import.externalFiles = &externalFiles;
  if (!options.spec.empty()) {
    // What can be told without the backbone comes before the backbone.
    auto read = Spec::read(options.spec);
    if (!read)
      return check(read.takeError());
    spec.emplace(std::move(*read));
    import.tensors = &names.tensors;
    externalFiles.push_back(options.spec);
  }
  auto imported = importOnnx(options.backbone, &context, import);
  if (!imported)
    return check(imported.takeError());
  module = std::move(*imported);
  return check(checkOverwrites(options, externalFiles));
}

/// Which modules are called again: linking takes the parameters away that tell.
void Compilation::noteCalls() {
  Sites sites(*module);
  module->walk([&](Operation *op) {
    StringRef scope = originOf(op->getLoc()).module;
    if (StringRef called = sites.called(scope); called != scope)
      names.calls[scope] = called.str();
  });
}

/// The tasks that only the spec names apply no adapter.
static llvm::Error addTasks(const Spec &spec, LinkOptions &link) {
  for (const Spec::Task &task : spec.tasks()) {
    const std::string &name = task.name;
    auto isIt = [&](const auto &each) { return each.name == name; };
    if (llvm::any_of(link.adapters, isIt) || llvm::any_of(link.tasks, isIt))
      continue;
    if (name == "main" || StringRef(name).find_first_of("+,@/=") != StringRef::npos)
      return inputFault(task.place +
                        ": expected the name of a task, without '+', ',', '@', '/' or "
                        "'=' and other than main, found '" +
                        name + "'");
    link.tasks.push_back({name, {}});
  }
  return llvm::Error::success();
}

LogicalResult Compilation::link() {
  LinkOptions link = options.link;
  if (spec) {
    noteCalls();
    if (failed(check(addTasks(*spec, link))))
      return failure();
  }
  // Adapters bind to the backbone as it was exported; what is raised takes them along.
  if (failed(check(linkAdapters(*module, link))) || failed(verify(*module)))
    return failure();
  if (spec && (failed(check(spec->apply(*module, options.backbone, names, options.allowLinks))) ||
               failed(verify(*module))))
    return failure();
  return runPasses(getPhase(Phase::Link), *module);
}

void Compilation::takeBodies() {
  // The bodies of stages, which name no weight, apart from what says how they are run.
  codeModule = mlir::ModuleOp::create(module->getLoc());
  OpBuilder builder(codeModule->getBodyRegion());
  for (auto function : module->getOps<func::FuncOp>())
    if (function->hasAttr("modular.stage"))
      cast<func::FuncOp>(builder.clone(*function)).setPublic();
}

LogicalResult Compilation::assembleKernels() {
  const bool isLevel = options.emit == Phase::Cubin;
  std::vector<std::string> architectures = options.architectures;
  if (isLevel && architectures.empty())
    architectures.push_back("sm_" + std::to_string(kLeastCapability));
  if (architectures.empty() || device.kernels.empty() || (!isLevel && options.emit != Phase::Write))
    return success();
  const DeviceTools tools = DeviceTools::find(options.deviceTools);
  const std::string where =
      options.deviceTools.empty() ? "on PATH" : "in '" + options.deviceTools + "'";
  if (isLevel && !(tools.canAssemble() && tools.canDisassemble()))
    return check(
        unsupportedFault("--emit sass: expected " +
                         StringRef(tools.canAssemble() ? "nvdisasm or cuobjdump" : "ptxas") + " " +
                         where + ", found none"));
  if (!tools.canAssemble() && !options.deviceTools.empty())
    return check(inputFault("--gpu-tools: expected ptxas " + where + ", found none"));
  if (!tools.canAssemble()) {
    emitWarning(module->getLoc()) << "--gpu-arch: expected ptxas on PATH, found none; the library "
                                     "has PTX alone, which the driver assembles";
    return success();
  }
  std::vector<std::optional<llvm::Expected<DeviceImage>>> results(architectures.size());
  // The assembler takes as long as all phases before it.
  parallelFor(&context, 0, results.size(), [&](size_t i) {
    results[i].emplace(tools.assemble(ptx, architectures[i], device.kernels));
  });
  llvm::Error errors = llvm::Error::success();
  for (auto &result : results) {
    if (*result)
      images.push_back(std::move(**result));
    else if (llvm::Error error = result->takeError(); errors)
      llvm::consumeError(std::move(error)); // one is enough
    else
      errors = std::move(error);
  }
  if (errors)
    return check(std::move(errors));
  for (const DeviceImage &image : isLevel ? ArrayRef(images) : ArrayRef<DeviceImage>()) {
    llvm::Expected<std::string> text = tools.disassemble(image);
    if (!text)
      return check(text.takeError());
    sass += "// " + image.arch + "\n" + *text;
  }
  return success();
}

LogicalResult Compilation::write() {
  FailureOr<ArtifactSpec> spec = describeArtifact(*module, codes, residency);
  if (failed(spec))
    return failure();
  spec->backbone = llvm::sys::path::filename(options.backbone).str();
  spec->target = options.target;
  spec->rows = std::move(rows);
  spec->routers = std::move(routers);
  spec->hiddenRouters = std::move(hiddenRouters);
  spec->codes.front().object = std::move(object);
  if (options.device)
    spec->device = ArtifactSpec::Device{std::move(ptx), kLeastCapability, device.kernels,
                                        device.checks, images};
  const WeightStore &store = context.getLoadedDialect<modular::ModularDialect>()->getWeightStore();
  return options.splitTasks
             ? writeSplitArtifacts(*spec, store, options.output, module->getLoc(), &storage)
             : writeArtifact(*spec, store, options.output, module->getLoc(), &storage);
}

LogicalResult Compilation::emit(const PhaseInfo &info) {
  std::string code;
  switch (info.phase) {
  case Phase::Write:
    return success();
  case Phase::Device:
    return check(writeText(*device.module, options.output));
  case Phase::Ptx:
    return check(writeBytes(ptx, options.output));
  case Phase::Cubin:
    return check(writeBytes(sass, options.output));
  case Phase::Generate:
  case Phase::Select:
    if (failed(emit(info.phase == Phase::Select ? EmitFormat::Assembly : EmitFormat::LLVM, code)))
      return failure();
    return check(writeBytes(code, options.output));
  case Phase::Assemble:
    return check(writeBytes(object, options.output));
  default:
    return check(writeText(codeModule ? *codeModule : *module, options.output));
  }
}

int Compilation::fail(const PhaseInfo &info) {
  const int code = exitCode ? *exitCode : diagnostics.getExitCode();
  if (code == 70 && module)
    writeReproducer(codeModule ? *codeModule : *module, options.output, info.name);
  return code;
}

void Compilation::report() {
  if (options.emit == Phase::Write) {
    for (const PrunedRouter &router : pruned)
      llvm::outs() << llvm::formatv("router {0}: {1} of {2} modules left out, {3:F4} of the "
                                    "profile's weights lost\n",
                                    router.router, router.left, router.modules, router.lost);
    printResidency(llvm::outs(), residency, options.residency);
    printRows(llvm::outs(), *module);
    if (options.device)
      llvm::outs() << "device: " << device.kernels.size() << " kernels\n";
    for (const DeviceImage &image : images)
      printImage(llvm::outs(), image);
    for (const DeviceCode::OnHost &each : device.onHost)
      llvm::outs() << "device: " << each.stage << " runs on the CPU: " << each.why << "\n";
    llvm::outs() << "weights: " << storage.bytes << " bytes stored, " << storage.sourceBytes
                 << " before packing\n"
                 << "library: " << residency.bytes + storage.codeBytes << " bytes predicted, "
                 << storage.codeBytes << " of them code and tables; " << storage.fileBytes
                 << " written\n";
  }
  if (options.timeReport)
    for (const Times &each : times)
      llvm::errs() << llvm::formatv("{0,-12} {1,8:F3} s, {2,6} MB at most so far\n", each.phase,
                                    each.seconds, each.peak >> 20);
}

int Compilation::run() {
  if (failed(check(checkPlaces(options))))
    return *exitCode;
  for (const PhaseInfo &info : getPhases()) {
    if (failed(runTimed(info)))
      return fail(info);
    if (diagnostics.anyError()) // a warning under --werror
      return 1;
    if (info.phase == options.emit) {
      if (failed(emit(info)))
        return fail(info);
      break;
    }
  }
  report();
  return 0;
}

int graft::compile(const CompileOptions &options) {
  DialectRegistry registry;
  registerDialects(registry);
  for (const std::string &plugin : options.plugins)
    if (llvm::Error error = loadPlugin(plugin, registry))
      return reportFault(std::move(error));
  return Compilation(options, registry).run();
}
