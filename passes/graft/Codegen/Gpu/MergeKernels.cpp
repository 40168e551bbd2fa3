//===- MergeKernels.cpp - Kernels that are the same become one ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/GpuPasses.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/StringMap.h"

namespace graft {
#define GEN_PASS_DEF_MERGEKERNELSPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// The memory of the kernel's own, which is named after it.
static SmallVector<Operation *> ownGlobals(gpu::GPUFuncOp kernel) {
  const std::string prefix = (kernel.getName() + "_").str();
  SmallVector<Operation *> found;
  for (Operation &op : *kernel->getBlock())
    if (auto symbol = dyn_cast<SymbolOpInterface>(op); symbol && &op != kernel &&
                                                       isa<LLVM::GlobalOp, memref::GlobalOp>(op) &&
                                                       symbol.getName().starts_with(prefix))
      found.push_back(&op);
  return found;
}

/// A kernel and its own memory as text, without its name.
static std::string identityOf(gpu::GPUFuncOp kernel, ArrayRef<Operation *> globals) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  auto flags = OpPrintingFlags().useLocalScope().printGenericOpForm();
  kernel->print(stream, flags);
  for (Operation *global : globals)
    global->print(stream, flags);
  const StringRef name = kernel.getName();
  std::string without;
  for (StringRef rest = text; !rest.empty();) {
    auto [before, after] = rest.split(name);
    without += before;
    rest = after;
  }
  return without;
}

namespace {
struct MergeKernels : graft::impl::MergeKernelsPassBase<MergeKernels> {
  void runOnOperation() override {
    llvm::StringMap<SymbolRefAttr> kernels;
    llvm::DenseMap<Attribute, SymbolRefAttr> merged;
    for (auto device : getOperation().getOps<gpu::GPUModuleOp>())
      for (auto kernel : llvm::make_early_inc_range(device.getOps<gpu::GPUFuncOp>())) {
        auto name = SymbolRefAttr::get(device.getNameAttr(),
                                       {FlatSymbolRefAttr::get(kernel.getNameAttr())});
        SmallVector<Operation *> globals = ownGlobals(kernel);
        auto [first, isNew] = kernels.try_emplace(identityOf(kernel, globals), name);
        if (isNew)
          continue;
        merged[name] = first->second;
        for (Operation *global : globals)
          global->erase();
        kernel->erase();
      }
    getOperation().walk([&](gpu::LaunchFuncOp launch) {
      if (auto found = merged.find(launch.getKernel()); found != merged.end())
        launch.setKernelAttr(found->second);
    });
  }
};
} // namespace
