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
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Instrumentation/AddressSanitizer.h"

using namespace mlir;
using namespace graft;

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
  if (options.optLevel == 0)
    machine->setOptLevel(llvm::CodeGenOptLevel::None);
  llvm::ModulePassManager passes =
      builder.buildPerModuleDefaultPipeline(options.optLevel >= 3   ? llvm::OptimizationLevel::O3
                                            : options.optLevel == 2 ? llvm::OptimizationLevel::O2
                                            : options.optLevel == 1 ? llvm::OptimizationLevel::O1
                                                                    : llvm::OptimizationLevel::O0);
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
  DialectRegistry registry;
  registerAllToLLVMIRTranslations(registry);
  module.getContext()->appendDialectRegistry(registry);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> translated = translateModuleToLLVMIR(module, context);
  if (!translated)
    return module.emitError("translation to LLVM IR failed");
  std::string error;
  if (!emitModule(*translated, options, format, output, error))
    return module.emitError(error);
  return success();
}
