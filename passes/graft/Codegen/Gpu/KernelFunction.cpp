//===- KernelFunction.cpp - A kernel and its launch --------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/KernelFunction.h"

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/KernelTraffic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace graft;

gpu::GPUModuleOp graft::getDeviceModule(mlir::ModuleOp module) {
  for (auto found : module.getOps<gpu::GPUModuleOp>())
    return found;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(), builder.getUnitAttr());
  return gpu::GPUModuleOp::create(builder, module.getLoc(), "device");
}

bool graft::canPass(Type type) {
  if (auto memref = dyn_cast<MemRefType>(type)) {
    int64_t offset;
    SmallVector<int64_t> strides;
    return succeeded(memref.getStridesAndOffset(strides, offset));
  }
  return type.isIndex() || type.isSignlessIntOrFloat() || isa<LLVM::LLVMPointerType>(type);
}

/// The stage whose code `builder` writes.
static func::FuncOp stageAt(OpBuilder &builder) {
  Operation *parent = builder.getInsertionBlock()->getParentOp();
  auto stage = dyn_cast<func::FuncOp>(parent);
  return stage ? stage : parent->getParentOfType<func::FuncOp>();
}

Value graft::pointerTo(OpBuilder &host, Location loc, Value memref) {
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(host, loc, memref);
  address = arith::IndexCastOp::create(host, loc, host.getI64Type(), address);
  return LLVM::IntToPtrOp::create(host, loc, LLVM::LLVMPointerType::get(host.getContext()),
                                  address);
}

void graft::copyTable(memref::GetGlobalOp get, gpu::GPUModuleOp device) {
  if (device.lookupSymbol(get.getName()))
    return;
  Operation *global = SymbolTable::lookupNearestSymbolFrom(
      device->getParentOfType<mlir::ModuleOp>(), get.getNameAttr());
  OpBuilder::atBlockBegin(device.getBody()).clone(*global);
}

/// The ops that make `value` of a table, the last one first; none if it is of other memory.
static SmallVector<Operation *> viewsOfTable(Value value) {
  SmallVector<Operation *> ops;
  while (Operation *op = value.getDefiningOp()) {
    ops.push_back(op);
    if (isa<memref::GetGlobalOp>(op))
      return ops;
    auto view = dyn_cast<ViewLikeOpInterface>(op);
    if (!view)
      break;
    value = view.getViewSource();
  }
  return {};
}

bool graft::isTable(Value memref) { return !viewsOfTable(memref).empty(); }

/// What a view takes besides the memref: sizes and the like, which are numbers of the host's.
static SmallVector<Value> numbersOf(Operation *view) {
  return llvm::filter_to_vector(view->getOperands(),
                                [](Value operand) { return !isa<MemRefType>(operand.getType()); });
}

KernelArguments::KernelArguments(OpBuilder &builder, Location loc, ValueRange all) : values(all) {
  for (Value value : all) {
    SmallVector<Operation *> views = viewsOfTable(value);
    for (Operation *view : llvm::reverse(views))
      llvm::append_range(passed, numbersOf(view));
    if (views.empty())
      pass(builder, loc, value);
  }
}

void KernelArguments::pass(OpBuilder &builder, Location loc, Value value) {
  auto type = dyn_cast<MemRefType>(value.getType());
  if (!type) {
    passed.push_back(value);
    return;
  }
  passed.push_back(pointerTo(builder, loc, value));
  if (type.getLayout().isIdentity()) {
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        passed.push_back(memref::DimOp::create(builder, loc, value, d));
    return;
  }
  auto whole = memref::ExtractStridedMetadataOp::create(builder, loc, value);
  auto [strides, offset] = type.getStridesAndOffset();
  if (ShapedType::isDynamic(offset))
    passed.push_back(whole.getOffset());
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (type.isDynamicDim(d))
      passed.push_back(whole.getSizes()[d]);
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (ShapedType::isDynamic(strides[d]))
      passed.push_back(whole.getStrides()[d]);
}

SmallVector<Value> KernelArguments::receive(OpBuilder &builder, Location loc, Block *entry) const {
  SmallVector<Value> received;
  unsigned next = 0;
  auto take = [&]() -> Value { return entry->getArgument(next++); };
  for (Value value : values) {
    if (SmallVector<Operation *> views = viewsOfTable(value); !views.empty()) {
      IRMapping mapping;
      for (Operation *view : llvm::reverse(views)) {
        for (Value number : numbersOf(view))
          mapping.map(number, take());
        builder.clone(*view, mapping);
      }
      copyTable(cast<memref::GetGlobalOp>(views.back()),
                entry->getParentOp()->getParentOfType<gpu::GPUModuleOp>());
      received.push_back(mapping.lookup(value));
      continue;
    }
    auto type = dyn_cast<MemRefType>(value.getType());
    if (!type) {
      received.push_back(take());
      continue;
    }
    Value memory = take();
    SmallVector<Value> sizes;
    if (type.getLayout().isIdentity()) {
      for (int64_t d = 0; d < type.getRank(); ++d)
        if (type.isDynamicDim(d))
          sizes.push_back(take());
      received.push_back(viewPointer(builder, loc, memory, type, sizes));
      continue;
    }
    auto orTake = [&](int64_t value) -> OpFoldResult {
      if (ShapedType::isDynamic(value))
        return take();
      return builder.getIndexAttr(value);
    };
    auto [strides, offset] = type.getStridesAndOffset();
    OpFoldResult from = orTake(offset);
    auto shape = llvm::map_to_vector(type.getShape(), orTake);
    auto steps = llvm::map_to_vector(strides, orTake);
    Value base = viewPointer(builder, loc, memory, MemRefType::get({}, type.getElementType()), {});
    received.push_back(
        memref::ReinterpretCastOp::create(builder, loc, type, base, from, shape, steps));
  }
  return received;
}

Value graft::loadProcessors(OpBuilder &host, Location loc) {
  Value table = stageArgument(stageAt(host), "host");
  Value count = loadHostField(host, loc, table, HostDeviceProcessors);
  count = LLVM::PtrToIntOp::create(host, loc, host.getI64Type(), count);
  return arith::IndexCastOp::create(host, loc, host.getIndexType(), count);
}

SmallVector<Operation *> graft::ownMemory(gpu::GPUFuncOp kernel) {
  const std::string prefix = (kernel.getName() + "_").str();
  SmallVector<Operation *> found;
  for (Operation &op : *kernel->getBlock())
    if (isa<LLVM::GlobalOp, memref::GlobalOp>(op) &&
        cast<SymbolOpInterface>(op).getName().starts_with(prefix))
      found.push_back(&op);
  return found;
}

void graft::eraseKernel(gpu::GPUFuncOp kernel) {
  for (Operation *global : ownMemory(kernel))
    global->erase();
  kernel->erase();
}

/// Blocks of a grid.
static constexpr int64_t kMostBlocks = 1 << 20;

KernelFunction KernelFunction::create(OpBuilder &host, Location loc, StringRef name, Value blocks,
                                      unsigned threads, ValueRange captured) {
  if (!matchPattern(blocks, m_Constant())) {
    Value most = arith::ConstantIndexOp::create(host, loc, kMostBlocks);
    blocks = arith::MinUIOp::create(host, loc, blocks, most);
  }
  KernelArguments arguments(host, loc, captured);
  func::FuncOp stage = stageAt(host);
  gpu::GPUModuleOp device = getDeviceModule(stage->getParentOfType<mlir::ModuleOp>());

  OpBuilder builder(host.getContext());
  builder.setInsertionPointToEnd(device.getBody());
  const auto number =
      std::distance(device.getOps<gpu::GPUFuncOp>().begin(), device.getOps<gpu::GPUFuncOp>().end());
  StringRef of = stage.getSymName();
  of.consume_back(kDeviceSuffix);
  auto type = builder.getFunctionType(ValueRange(arguments.operands()).getTypes(), {});
  auto function =
      gpu::GPUFuncOp::create(builder, loc, (of + "_" + name + "_" + Twine(number)).str(), type);
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  function.setKnownBlockSizeAttr(builder.getDenseI32ArrayAttr({int32_t(threads), 1, 1}));
  Block *entry = &function.getBody().front();
  builder.setInsertionPointToEnd(entry);
  KernelFunction kernel{function, arguments.receive(builder, loc, entry), {}};
  gpu::ReturnOp::create(builder, loc);

  Value one = arith::ConstantIndexOp::create(host, loc, 1);
  Value count = arith::ConstantIndexOp::create(host, loc, threads);
  kernel.launch =
      gpu::LaunchFuncOp::create(host, loc, function, gpu::KernelDim3{blocks, one, one},
                                gpu::KernelDim3{count, one, one}, Value(), arguments.operands());
  setTraffic(kernel.launch, symbolicBytes(captured), std::nullopt);
  return kernel;
}
