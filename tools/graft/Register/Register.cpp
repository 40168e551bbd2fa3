//===- Register.cpp - All dialects, interfaces and passes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Register/Register.h"

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Conversion/OnnxToLinalg/OnnxToLinalgPasses.h"
#include "graft/Dispatch/Dispatch.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Pipelines/Phases.h"
#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"

void graft::registerDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<onnx::OnnxDialect, modular::ModularDialect, dispatch::DispatchDialect>();
}

void graft::registerEverything(mlir::DialectRegistry &registry) {
  registerDialects(registry);
  mlir::registerAllPasses();
  registerGraftKernelsPasses();
  registerGraftOnnxPasses();
  registerGraftOnnxToLinalgPasses();
  registerGraftCodegenPasses();
  registerGraftGpuPasses();
  registerGraftTransformsPasses();
  registerPhasePipelines();
}
