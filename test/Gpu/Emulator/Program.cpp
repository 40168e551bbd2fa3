//===- Program.cpp - From text to kernels that run -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"
#include "Emulator.h"
#include "Lower.h"
#include "Machine.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMIRToLLVMTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/LLVMIRToNVVMTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Target/LLVMIR/Import.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Module.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"

using namespace mlir;
using namespace graft::emulator;

namespace graft::emulator::detail {
struct Unit {
  Contents contents;
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

class ProgramState {
public:
  llvm::Error build(ModuleOp module);
  llvm::Error compile(ModuleOp module);
  std::pair<Unit *, Kernel *> find(llvm::StringRef kernel);

  Arena arena;
  std::vector<Site> sites = {{"the kernel", "its end"}};
  std::vector<Unit> units;
  std::unique_ptr<Memory> memory;
  std::unique_ptr<Stacks> stacks;
};
} // namespace graft::emulator::detail
using namespace graft::emulator::detail;

static void optimize(llvm::Module &module, llvm::TargetMachine *machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(machine);
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(components);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, components, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O1).run(module, modules);
}

llvm::Error ProgramState::compile(ModuleOp module) {
  Unit unit;
  // That of NVPTX: modules need not have one, and MLIR's own differs.
  llvm::DataLayout device("e-p6:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64");
  module->setAttr(DLTIDialect::kDataLayoutAttrName,
                  translateDataLayout(device, module.getContext()));
  if (failed(Lowering(module, arena.base, sites).run(unit.contents)) || failed(verify(module)))
    return llvm::createStringError("the kernels cannot be emulated");
  auto context = std::make_unique<llvm::LLVMContext>();
  auto translated = translateModuleToLLVMIR(module, *context);
  if (!translated)
    return llvm::createStringError("the kernels cannot be translated to LLVM IR");

  auto target = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!target)
    return target.takeError();
  auto machine = target->createTargetMachine();
  if (!machine)
    return machine.takeError();
  translated->setTargetTriple((*machine)->getTargetTriple());
  translated->setDataLayout((*machine)->createDataLayout());
  optimize(*translated, machine->get());

  auto jit = llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(std::move(*target)).create();
  if (!jit)
    return jit.takeError();
  unit.jit = std::move(*jit);
  llvm::orc::SymbolMap symbols;
  for (const Call &call : calls())
    symbols[unit.jit->mangleAndIntern(call.name)] = {llvm::orc::ExecutorAddr::fromPtr(call.address),
                                                     llvm::JITSymbolFlags::Exported};
  if (auto error = unit.jit->getMainJITDylib().define(llvm::orc::absoluteSymbols(symbols)))
    return error;
  if (auto error = unit.jit->addIRModule({std::move(translated), std::move(context)}))
    return error;
  for (Region &variable : unit.contents.variables) {
    auto address = unit.jit->lookup(variable.name);
    if (!address)
      return address.takeError();
    variable.begin = address->getValue();
  }
  units.push_back(std::move(unit));
  return llvm::Error::success();
}

llvm::Error ProgramState::build(ModuleOp module) {
  if (!arena.base)
    return llvm::createStringError("no memory for the emulator");
  std::string said;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      said += (said.empty() ? "" : "; ") + diagnostic.str();
    return success();
  });
  auto compileOne = [&](ModuleOp one) -> llvm::Error {
    if (auto error = compile(one))
      return said.empty() ? std::move(error)
                          : llvm::joinErrors(llvm::createStringError(said), std::move(error));
    return llvm::Error::success();
  };
  auto modules = llvm::to_vector(module.getOps<gpu::GPUModuleOp>());
  if (modules.empty()) // kernels at the top, as from LLVM IR
    return compileOne(module);
  for (gpu::GPUModuleOp device : modules) {
    OwningOpRef<ModuleOp> alone = ModuleOp::create(device.getLoc());
    alone->getBody()->getOperations().splice(alone->getBody()->end(),
                                             device.getBody()->getOperations());
    if (auto error = compileOne(*alone))
      return error;
  }
  return llvm::Error::success();
}

std::pair<Unit *, Kernel *> ProgramState::find(llvm::StringRef kernel) {
  for (Unit &unit : units)
    for (Kernel &one : unit.contents.kernels)
      if (one.name == kernel)
        return {&unit, &one};
  return {};
}

Program::Program(std::unique_ptr<ProgramState> state) : state(std::move(state)) {}
Program::~Program() = default;

/// LLVM IR for NVPTX; operations that the import does not know stay calls of intrinsics.
static OwningOpRef<ModuleOp> readLLVM(llvm::StringRef text, llvm::StringRef name,
                                      MLIRContext &context, std::string &said) {
  llvm::LLVMContext llvmContext;
  llvm::SMDiagnostic diagnostic;
  auto module = llvm::parseIR(llvm::MemoryBufferRef(text, name), diagnostic, llvmContext);
  if (!module) {
    said = diagnostic.getMessage().str();
    return {};
  }
  return translateLLVMIRToModule(std::move(module), &context, /*emitExpensiveWarnings=*/false,
                                 /*dropDICompositeTypeElements=*/true);
}

static llvm::Expected<std::unique_ptr<ProgramState>> read(llvm::StringRef text,
                                                          llvm::StringRef name) {
  static const bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  DialectRegistry registry;
  registry.insert<arith::ArithDialect, DLTIDialect, func::FuncDialect, gpu::GPUDialect,
                  LLVM::LLVMDialect, memref::MemRefDialect, NVVM::NVVMDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerLLVMDialectImport(registry);
  registerNVVMDialectImport(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.allowUnregisteredDialects();
  context.loadDialect<DLTIDialect, LLVM::LLVMDialect>(); // for what compile adds
  std::string said;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream(said) << diagnostic.getLocation() << ": " << diagnostic << "\n";
    return success();
  });
  auto module = name.ends_with(".ll") || text.contains("\ndefine ")
                    ? readLLVM(text, name, context, said)
                    : parseSourceString<ModuleOp>(text, ParserConfig(&context), name);
  if (!module)
    return llvm::createStringError("'" + name.str() + "' cannot be read: " + said);
  auto state = std::make_unique<ProgramState>();
  if (auto error = state->build(*module))
    return error;
  return state;
}

llvm::Expected<std::unique_ptr<Program>> Program::load(llvm::StringRef path) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (!file)
    return llvm::createStringError("'" + path.str() +
                                   "' cannot be read: " + file.getError().message());
  auto state = read((*file)->getBuffer(), path);
  if (!state)
    return state.takeError();
  return std::unique_ptr<Program>(new Program(std::move(*state)));
}

llvm::Expected<std::unique_ptr<Program>> Program::parse(llvm::StringRef text) {
  auto state = read(text, "text");
  if (!state)
    return state.takeError();
  return std::unique_ptr<Program>(new Program(std::move(*state)));
}

bool Program::has(llvm::StringRef kernel) const { return state->find(kernel).first; }

std::vector<std::string> Program::kernels() const {
  std::vector<std::string> names;
  for (const Unit &unit : state->units)
    for (const Kernel &kernel : unit.contents.kernels)
      names.push_back(kernel.name);
  return names;
}

std::vector<uint32_t> Program::argumentSizes(llvm::StringRef kernel) const {
  auto [unit, found] = state->find(kernel);
  return unit ? found->argumentBytes : std::vector<uint32_t>();
}

llvm::Error Program::run(const Launch &launch, llvm::ArrayRef<Allocation> memory,
                         const Schedule &schedule) {
  auto [unit, kernel] = state->find(launch.kernel);
  auto refuse = [&](const std::string &why) {
    return llvm::createStringError("kernel '" + launch.kernel + "' " + why);
  };
  if (!unit)
    return refuse("is not in the program");
  uint32_t most = kernel->mostThreads ? kernel->mostThreads : mostThreads;
  if (launch.threads == 0 || launch.threads > most)
    return refuse("is launched with " + std::to_string(launch.threads) + " threads, 1 to " +
                  std::to_string(most) + " are possible");
  if (kernel->exactThreads && launch.threads != kernel->exactThreads)
    return refuse("is launched with " + std::to_string(launch.threads) +
                  " threads, it is made for " + std::to_string(kernel->exactThreads));
  if (launch.sharedBytes > (227 << 10))
    return refuse("is launched with " + std::to_string(launch.sharedBytes) +
                  " bytes of shared memory");
  auto entry = unit->jit->lookup("graft_entry_" + launch.kernel);
  if (!entry)
    return entry.takeError();

  if (!state->memory)
    state->memory = std::make_unique<Memory>(state->arena.base, state->sites);
  if (!state->stacks)
    state->stacks = std::make_unique<Stacks>(mostThreads);
  if (!state->stacks->valid())
    return refuse("finds no memory for its threads");
  std::vector<Region> globals = unit->contents.variables;
  for (const Allocation &one : memory)
    globals.push_back(
        {"allocation " + std::to_string(globals.size() - unit->contents.variables.size()),
         reinterpret_cast<uintptr_t>(one.begin), one.bytes});
  for (size_t i = 0; i < kernel->byAddress.size(); ++i)
    if (kernel->byAddress[i])
      globals.push_back({"argument " + std::to_string(i),
                         reinterpret_cast<uintptr_t>(launch.arguments[i]),
                         kernel->argumentBytes[i]});
  std::vector<Region> shared = unit->contents.shared;
  shared.push_back({"(dynamic)", unit->contents.dynamic, launch.sharedBytes});
  state->memory->setGlobal(std::move(globals));
  state->memory->setShared(std::move(shared));
  state->memory->races = launch.races;
  state->memory->traffic = launch.traffic;
  Machine machine(launch, schedule, *state->memory, *state->stacks, state->sites);
  return machine.run(entry->toPtr<Machine::Entry>());
}
