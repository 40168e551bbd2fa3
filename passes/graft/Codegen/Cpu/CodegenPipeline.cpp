//===- CodegenPipeline.cpp - The order of code generation --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Codegen.h"
#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace graft;

void graft::addCpuFusion(OpPassManager &pm, const CodegenOptions &options) {
  pm.addNestedPass<func::FuncOp>(createFuseEpiloguesPass());
  pm.addNestedPass<func::FuncOp>(createSplitGathersPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  PackWeightsPassOptions packing;
  packing.lanes = options.target.floatLanes();
  pm.addNestedPass<func::FuncOp>(createPackWeightsPass(packing));
}

void graft::addCpuBufferization(OpPassManager &pm, const CodegenOptions &options) {
  pm.addNestedPass<func::FuncOp>(createResolveDimsPass());
  pm.addNestedPass<func::FuncOp>(createStageDestinationsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  bufferize.unknownTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  // Copies of a buffer to itself go away here.
  pm.addPass(createCSEPass());
  pm.addPass(createCanonicalizerPass());
  pm.addNestedPass<func::FuncOp>(memref::createResolveShapedTypeResultDimsPass());
  pm.addNestedPass<func::FuncOp>(createResolveDimsPass());
  pm.addPass(createCSEPass());
  pm.addPass(createCanonicalizerPass());
  PlanArenaPassOptions arena;
  arena.instrumented = options.instrumented;
  pm.addPass(createPlanArenaPass(arena));
}

static void addKernels(OpPassManager &pm, const CodegenOptions &options) {
  ConvertDispatchToKernelsPassOptions kernels;
  kernels.lanes = options.target.floatLanes();
  kernels.fma = options.target.has("fma");
  pm.addPass(createConvertDispatchToKernelsPass(kernels));
  pm.addNestedPass<func::FuncOp>(createConvertDispatchToLoopsPass());
  pm.addNestedPass<func::FuncOp>(createLowerStridedCopiesPass());
  pm.addNestedPass<func::FuncOp>(createLinalgToLoopsPass());
}

static void addHost(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createOutlineParallelPass());
  pm.addPass(createLowerHostCallsPass());
  pm.addPass(createStageEntriesPass());
}

/// Arithmetic of bfloat16 that no lowering has widened: LLVM would call functions that the library
/// does not have.
static void addWideArithmetic(OpPassManager &pm) {
  math::MathExtendToSupportedTypesOptions functions;
  functions.extraTypeStrs = {"f16"};
  pm.addPass(math::createMathExtendToSupportedTypes(functions));
  arith::ArithEmulateUnsupportedFloatsOptions operations;
  operations.sourceTypeStrs = {"bf16"};
  operations.targetTypeStr = "f32";
  pm.addPass(arith::createArithEmulateUnsupportedFloats(operations));
}

static void addLLVM(OpPassManager &pm) {
  pm.addPass(createExpandMathPass());
  pm.addNestedPass<func::FuncOp>(
      createConvertVectorToSCFPass(VectorTransferToSCFOptions().enableFullUnroll()));
  pm.addPass(createLowerExpandShapesPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  addWideArithmetic(pm);
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  pm.addPass(arith::createArithExpandOpsPass(expand));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createLowerForksPass());
}

void graft::addCpuCodegen(OpPassManager &pm, const CodegenOptions &options) {
  addKernels(pm, options);
  addHost(pm);
  addLLVM(pm);
}

/// Attributes of ours on arguments and results have done their work; LLVM IR would warn of each.
static void dropOwnAttributes(ModuleOp module) {
  auto isOwn = [](NamedAttribute attribute) {
    StringRef name = attribute.getName().getValue();
    return name.starts_with("modular.") || name.starts_with("dispatch.");
  };
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    auto interface = cast<FunctionOpInterface>(*function);
    for (unsigned i = 0; i < interface.getNumArguments(); ++i)
      for (NamedAttribute attribute : interface.getArgAttrs(i))
        if (isOwn(attribute))
          interface.removeArgAttr(i, attribute.getName());
    for (unsigned i = 0; i < interface.getNumResults(); ++i)
      for (NamedAttribute attribute : interface.getResultAttrs(i))
        if (isOwn(attribute))
          interface.removeResultAttr(i, attribute.getName());
  }
}

std::vector<StageCode> graft::takeStageCode(ModuleOp module) {
  dropOwnAttributes(module);
  std::vector<StageCode> stages;
  for (auto run : module.getOps<LLVM::LLVMFuncOp>()) {
    StringRef name = run.getName();
    if (!name.consume_front("graft_run."))
      continue;
    StageCode code;
    code.name = name.str();
    auto buffers = run->getAttrOfType<DenseI64ArrayAttr>(kBuffersAttr);
    for (int64_t i = 0; i + 1 < buffers.size(); i += 2)
      code.buffers.push_back({buffers[i], buffers[i + 1]});
    for (Attribute parameter : run->getAttrOfType<ArrayAttr>(kParametersAttr)) {
      StageCode::Parameter &slot = code.parameters.emplace_back();
      if (auto fields = dyn_cast<DictionaryAttr>(parameter)) {
        slot.type = cast<RankedTensorType>(fields.getAs<TypeAttr>("type").getValue());
        slot.packing = fields.get("packing");
        slot.source = fields.getAs<IntegerAttr>("source").getInt();
      }
    }
    stages.push_back(std::move(code));
  }
  return stages;
}
