//===- CopyForDevice.cpp - Stage functions for CPU and GPU -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/GpuPasses.h"

namespace graft {
#define GEN_PASS_DEF_COPYFORDEVICEPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

namespace {
struct CopyForDevice : graft::impl::CopyForDevicePassBase<CopyForDevice> {
  void runOnOperation() override {
    OpBuilder builder(&getContext());
    for (auto stage : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!isStage(stage) || stage->hasAttr(kDeviceAttr))
        continue;
      builder.setInsertionPointAfter(stage);
      auto copy = cast<func::FuncOp>(builder.clone(*stage));
      copy.setSymName((stage.getSymName() + kDeviceSuffix).str());
      copy->setAttr(kDeviceAttr, builder.getUnitAttr());
    }
  }
};
} // namespace
