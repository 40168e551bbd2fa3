//===- DispatchToDevice.cpp - Dispatch ops become kernels of a GPU -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Codegen/Gpu/Kernels/DeviceKernels.h"

#include "llvm/ADT/TypeSwitch.h"

namespace graft {
#define GEN_PASS_DEF_CONVERTDISPATCHTODEVICEPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

namespace {
struct ConvertDispatchToDevice
    : graft::impl::ConvertDispatchToDevicePassBase<ConvertDispatchToDevice> {
  void runOnOperation() override {
    for (auto stage : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!stage->hasAttr(kDeviceAttr))
        continue;
      addHostArgument(stage);
      for (Operation &op : llvm::make_early_inc_range(stage.getBody().front()))
        llvm::TypeSwitch<Operation *>(&op)
            .Case<ProductOpInterface, PlanOp, SoftmaxOp, LayerNormOp, AttentionOp>(
                [](auto concrete) { (void)convertToKernel(concrete); });
    }
  }
};
} // namespace
