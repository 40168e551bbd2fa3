//===- MergeKernels.cpp - Kernels that are the same become one ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Codegen/Gpu/KernelFunction.h"

#include "llvm/ADT/StringMap.h"

namespace graft {
#define GEN_PASS_DEF_MERGEKERNELSPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// A kernel and its own memory as text, without its name.
static std::string identityOf(gpu::GPUFuncOp kernel) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  auto flags = OpPrintingFlags().useLocalScope().printGenericOpForm();
  kernel->print(stream, flags);
  for (Operation *global : ownMemory(kernel))
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
        auto [first, isNew] = kernels.try_emplace(identityOf(kernel), name);
        if (isNew)
          continue;
        merged[name] = first->second;
        eraseKernel(kernel);
      }
    getOperation().walk([&](gpu::LaunchFuncOp launch) {
      if (auto found = merged.find(launch.getKernel()); found != merged.end())
        launch.setKernelAttr(found->second);
    });
  }
};
} // namespace
