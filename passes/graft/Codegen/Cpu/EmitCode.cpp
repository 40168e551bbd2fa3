//===- EmitCode.cpp - From the LLVM dialect to machine code ------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/EmitModule.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Instrumentation/AddressSanitizer.h"

using namespace mlir;
using namespace graft;

namespace {
/// A module of LLVM IR with the context that it lives in.
struct TranslatedModule {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
};
} // namespace

static FailureOr<TranslatedModule> translate(ModuleOp module) {
  DialectRegistry registry;
  registerAllToLLVMIRTranslations(registry);
  module.getContext()->appendDialectRegistry(registry);
  TranslatedModule result;
  result.context = std::make_unique<llvm::LLVMContext>();
  result.module = translateModuleToLLVMIR(module, *result.context);
  if (!result.module)
    return module.emitError("translation to LLVM IR failed");
  return result;
}

/// The attributes that the back end goes by. Only the functions of the ABI are visible outside.
static void prepare(llvm::Module &module, llvm::TargetMachine &machine,
                    const CodegenOptions &options) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  std::string features = options.target.featureString();
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", "x86-64");
    function.addFnAttr("target-features", features);
    function.addFnAttr("prefer-vector-width", std::to_string(options.target.vectorBits()));
    function.addFnAttr(llvm::Attribute::NoUnwind);
    if (options.instrumented)
      function.addFnAttr(llvm::Attribute::SanitizeAddress);
    if (!function.hasLocalLinkage() && !function.hasFnAttribute(kExportAttr))
      function.setVisibility(llvm::GlobalValue::HiddenVisibility);
  }
}

bool graft::emitModule(llvm::Module &module, const CodegenOptions &options, EmitFormat format,
                       std::string &output, std::string &error) {
  std::unique_ptr<llvm::TargetMachine> machine = options.target.createTargetMachine();
  if (!machine) {
    error = "LLVM has no x86 back end";
    return false;
  }
  prepare(module, *machine, options);

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine.get());
  // There is no C library: a call of one must not appear where there was none.
  llvm::TargetLibraryInfoImpl libraries(module.getTargetTriple());
  libraries.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(libraries); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager passes =
      builder.buildPerModuleDefaultPipeline(options.optLevel >= 3   ? llvm::OptimizationLevel::O3
                                            : options.optLevel == 2 ? llvm::OptimizationLevel::O2
                                                                    : llvm::OptimizationLevel::O1);
  if (options.instrumented)
    passes.addPass(llvm::AddressSanitizerPass(llvm::AddressSanitizerOptions()));
  passes.run(module, modules);

  llvm::raw_string_ostream text(output);
  if (format == EmitFormat::LLVM) {
    module.print(text, nullptr);
    return true;
  }
  llvm::SmallString<0> buffer;
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, stream, nullptr,
                                   format == EmitFormat::Assembly
                                       ? llvm::CodeGenFileType::AssemblyFile
                                       : llvm::CodeGenFileType::ObjectFile)) {
    error = "the x86 back end emits no such file";
    return false;
  }
  codegen.run(module);
  text << buffer;
  return true;
}

LogicalResult graft::emitCode(ModuleOp module, const CodegenOptions &options, EmitFormat format,
                              std::string &output) {
  std::vector<std::string> outputs;
  if (failed(emitCode(ArrayRef<ModuleOp>(module), options, format, outputs)))
    return failure();
  output += outputs.front();
  return success();
}

LogicalResult graft::emitCode(ArrayRef<ModuleOp> modules, const CodegenOptions &options,
                              EmitFormat format, std::vector<std::string> &outputs) {
  // Translation reads the shared MLIR context, one module at a time; what follows, and takes most
  // of the time, has a context of LLVM's per module.
  outputs.assign(modules.size(), "");
  std::vector<std::string> errors(modules.size());
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (auto [index, module] : llvm::enumerate(modules)) {
    FailureOr<TranslatedModule> translated = translate(module);
    if (failed(translated)) {
      pool.wait();
      return failure();
    }
    pool.async([&options, &outputs, &errors, format, i = index,
                held = std::make_shared<TranslatedModule>(std::move(*translated))] {
      emitModule(*held->module, options, format, outputs[i], errors[i]);
      held->module.reset();
    });
  }
  pool.wait();
  for (auto [index, error] : llvm::enumerate(errors)) {
    if (!error.empty()) {
      ModuleOp module = modules[index];
      return module.emitError(error);
    }
  }
  return success();
}
