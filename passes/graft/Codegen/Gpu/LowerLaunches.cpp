//===- LowerLaunches.cpp - The host launches kernels -------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Codegen/Gpu/KernelTraffic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"

namespace graft {
#define GEN_PASS_DEF_LOWERLAUNCHESPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// `host->launch(context, kernel, blocks, threads, shared, arguments)`
static void lower(gpu::LaunchFuncOp launch, int64_t kernel) {
  auto stage = launch->getParentOfType<func::FuncOp>();
  ImplicitLocOpBuilder b(launch.getLoc(), launch);
  Type i64 = b.getI64Type();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto wide = [&](Value value) -> Value {
    if (value.getType().isIndex())
      return arith::IndexCastOp::create(b, i64, value);
    return value;
  };
  // In a loop or a branch, an alloca would take more of the stack each time.
  auto slots = [&](Type type) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&stage.getBody().front());
    Value one = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(1));
    return LLVM::AllocaOp::create(b, pointer, type, one, /*alignment=*/8);
  };
  const auto count = int64_t(launch.getKernelOperands().size());
  Value table = slots(LLVM::LLVMArrayType::get(pointer, count));
  for (auto [i, operand] : llvm::enumerate(launch.getKernelOperands())) {
    Value value = wide(operand);
    Value slot = slots(value.getType());
    LLVM::StoreOp::create(b, value, slot);
    Value place =
        LLVM::GEPOp::create(b, pointer, pointer, table, ArrayRef<LLVM::GEPArg>{int32_t(i)});
    LLVM::StoreOp::create(b, slot, place);
  }
  Value shared = launch.getDynamicSharedMemorySize();
  shared = shared ? LLVM::ZExtOp::create(b, i64, shared).getResult()
                  : LLVM::ConstantOp::create(b, b.getI64IntegerAttr(0)).getResult();
  Value host = stageArgument(stage, "host");
  Value function = loadHostField(b, b.getLoc(), host, HostLaunch);
  Value context = loadHostField(b, b.getLoc(), host, HostContext);
  Value number = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(kernel));
  auto type = LLVM::LLVMFunctionType::get(b.getI32Type(), {pointer, i64, i64, i64, i64, pointer});
  // The host remembers a failure, and launches nothing more.
  LLVM::CallOp::create(b, type,
                       ValueRange{function, context, number, wide(launch.getGridSizeX()),
                                  wide(launch.getBlockSizeX()), shared, table});
  launch.erase();
}

namespace {
struct LowerLaunches : graft::impl::LowerLaunchesPassBase<LowerLaunches> {
  void runOnOperation() override {
    llvm::MapVector<StringAttr, gpu::GPUFuncOp> kernels;
    for (auto device : getOperation().getOps<gpu::GPUModuleOp>())
      for (auto kernel : device.getOps<gpu::GPUFuncOp>())
        kernels.try_emplace(kernel.getNameAttr(), kernel);
    SmallVector<gpu::LaunchFuncOp> launches;
    getOperation().walk([&](gpu::LaunchFuncOp launch) { launches.push_back(launch); });
    for (gpu::LaunchFuncOp launch : launches) {
      auto *found = kernels.find(launch.getKernelName());
      if (found == kernels.end() ||
          !stageArgument(launch->getParentOfType<func::FuncOp>(), "host")) {
        launch.emitOpError("expected a kernel of the device's module, in a stage with a host");
        return signalPassFailure();
      }
      addTraffic(launch, found->second);
      lower(launch, found - kernels.begin());
    }
  }
};
} // namespace
