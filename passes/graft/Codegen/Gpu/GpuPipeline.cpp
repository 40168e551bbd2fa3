//===- GpuPipeline.cpp - The order of code generation for a GPU --*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/GpuCodegen.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Codegen/Gpu/KernelTraffic.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace graft;

void graft::addDevicePlacement(OpPassManager &pm) {
  pm.addPass(createConvertDispatchToDevicePass());
  pm.addNestedPass<func::FuncOp>(createConvertDispatchToLoopsPass({/*deviceOnly=*/true}));
  pm.addNestedPass<func::FuncOp>(createSinkChecksPass());
  pm.addNestedPass<func::FuncOp>(createParallelizeLoopsPass());
  // Sizes that are the same are one value.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createFuseRowsPass());
  pm.addPass(createPlaceOnDevicePass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createMergeKernelsPass());
}

void graft::addDeviceCode(OpPassManager &pm) {
  pm.addPass(createLowerLaunchesPass());
  OpPassManager &device = pm.nest<gpu::GPUModuleOp>();
  device.addPass(createExpandMathPass());
  device.addPass(createLowerExpandShapesPass());
  device.addPass(memref::createExpandStridedMetadataPass());
  device.addPass(createLowerAffinePass());
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  device.addPass(arith::createArithExpandOpsPass(expand));
  device.addPass(createCanonicalizerPass());
  device.addPass(createCSEPass());
  device.addPass(createSCFToControlFlowPass());
  device.addPass(createConvertKernelsToNvvmPass());
  device.addPass(createReconcileUnrealizedCastsPass());
  device.addPass(createCanonicalizerPass());
}

static DeviceKernel describeKernel(LLVM::LLVMFuncOp function) {
  DeviceKernel kernel;
  kernel.name = function.getName().str();
  if (auto threads =
          function->getAttrOfType<DenseI32ArrayAttr>(NVVM::NVVMDialect::getMaxntidAttrName()))
    kernel.threads = unsigned(threads[0]);
  auto traffic = function->getAttrOfType<DictionaryAttr>(kTrafficAttr);
  if (!traffic)
    return kernel;
  kernel.launches = unsigned(traffic.getAs<IntegerAttr>("launches").getInt());
  for (auto [key, bytes] :
       {std::pair("least", &kernel.leastBytes), std::pair("moved", &kernel.movedBytes)})
    if (auto text = traffic.getAs<StringAttr>(key))
      *bytes = text.str();
  function->removeAttr(kTrafficAttr); // of no use to who reads the kernels
  return kernel;
}

DeviceCode graft::takeDeviceCode(ModuleOp module) {
  DeviceCode code;
  code.module = ModuleOp::create(module.getLoc());
  for (auto device : llvm::make_early_inc_range(module.getOps<gpu::GPUModuleOp>())) {
    for (auto function : device.getOps<LLVM::LLVMFuncOp>())
      if (function->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName()))
        code.kernels.push_back(describeKernel(function));
    device->moveBefore(code.module->getBody(), code.module->getBody()->end());
  }
  if (auto checks = module->getAttrOfType<ArrayAttr>(kChecksAttr))
    for (auto check : checks.getAsRange<StringAttr>())
      code.checks.push_back(check.str());
  module->removeAttr(kChecksAttr);
  module->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
  module.walk([&](func::FuncOp stage) {
    if (auto why = stage->getAttrOfType<StringAttr>(kOnHostAttr))
      code.onHost.push_back({stage.getSymName().str(), why.str()});
    stage->removeAttr(kOnHostAttr);
  });
  return code;
}
