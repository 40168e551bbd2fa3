//===- SplitGathers.cpp - Rows are gathered before they are multiplied -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace graft {
#define GEN_PASS_DEF_SPLITGATHERSPASS
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

namespace {
struct SplitGathers : graft::impl::SplitGathersPassBase<SplitGathers> {
  void runOnOperation() override {
    if (getOperation()->hasAttr(kDeviceAttr))
      return; // its kernels gather as they read
    getOperation().walk([](SegmentedMatmulOp op) {
      if (!op.getOrder() || !op.hasPureTensorSemantics())
        return;
      OpBuilder b(op);
      auto type = cast<RankedTensorType>(op.getInput().getType());
      SmallVector<OpFoldResult> sizes{tensor::getMixedSize(b, op.getLoc(), op.getOrder(), 0),
                                      tensor::getMixedSize(b, op.getLoc(), op.getInput(), 1)};
      Value init = tensor::EmptyOp::create(b, op.getLoc(), sizes, type.getElementType());
      auto rows = GatherOp::create(b, op.getLoc(), op.getInput(), op.getOrder(), op.getOffsets(),
                                   init, op.getSlots());
      op.getInputMutable().set(rows.getResults().front());
      op.getOrderMutable().clear();
      op.setSlots(1);
    });
  }
};
} // namespace
