//===- PlaceOnDevice.cpp - What a stage computes becomes kernels -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/FlattenParallel.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/GpuPasses.h"
#include "graft/Codegen/Gpu/KernelFunction.h"
#include "graft/Codegen/Gpu/LoopAccesses.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

namespace graft {
#define GEN_PASS_DEF_PLACEONDEVICEPASS
#include "graft/Codegen/Gpu/GpuPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

static constexpr unsigned kThreads = 256;
/// A thread's own buffers are registers or memory that the device sets aside for each thread.
static constexpr int64_t kLocalBytes = 1024;

namespace {
/// Makes kernels of one stage function.
class Placement {
public:
  Placement(func::FuncOp stage, SmallVectorImpl<Attribute> &checks)
      : stage(stage), checks(checks) {}

  /// Why it cannot be done; empty if it was.
  std::string run();

private:
  bool isHost(Operation *op);
  std::string whyNot(Operation *op);
  std::string check(Operation *top);
  /// What the ops use from outside: what is to be passed, and what is cloned into the kernel.
  void findCaptured(ArrayRef<Operation *> ops, llvm::SetVector<Value> &captured,
                    llvm::SetVector<Operation *> &cloned);
  /// A kernel before its body is written: what it knows of the host's code, and where it ends.
  struct Body {
    gpu::GPUFuncOp kernel;
    IRMapping mapping;
    OpBuilder builder;
    Value status; ///< the host's word, if `ops` check something
  };
  /// Launches a kernel that is to compute `ops`, and gets `numbers` too.
  Body open(OpBuilder &host, StringRef name, Value blocks, unsigned threads,
            ArrayRef<Operation *> ops, ValueRange numbers);
  void placeLoop(scf::ParallelOp loop);
  void placeSequence(ArrayRef<Operation *> ops);
  /// Lowers, in a kernel, what kernels have otherwise: memory, tables, checks.
  void close(const Body &body);

  func::FuncOp stage;
  SmallVectorImpl<Attribute> &checks;
  llvm::DenseSet<Value> ofDevice; ///< numbers that only the device knows
};
} // namespace

static bool hasCheck(ArrayRef<Operation *> ops) {
  return llvm::any_of(ops, [](Operation *op) {
    return op->walk([](dispatch::CheckOp) { return WalkResult::interrupt(); }).wasInterrupted();
  });
}

/// Whether `op` computes sizes and addresses.
bool Placement::isHost(Operation *op) {
  if (llvm::any_of(op->getOperands(), [&](Value operand) { return ofDevice.contains(operand); }))
    return false;
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return isOfHost(load);
  // What the host finds wrong with sizes ends the run before anything is computed with them.
  if (isa<dispatch::CheckOp>(op))
    return true;
  // Of what a kernel is launched with, the host's table is read.
  if (isa<func::ReturnOp, gpu::LaunchFuncOp, LLVM::LoadOp, memref::DimOp, memref::GetGlobalOp,
          memref::ExtractStridedMetadataOp, memref::ExtractAlignedPointerAsIndexOp,
          memref::ReinterpretCastOp, UnrealizedConversionCastOp>(op) ||
      isa<ViewLikeOpInterface>(op))
    return true;
  // Choices between kernels, by sizes, are made before.
  if (auto choice = dyn_cast<scf::IfOp>(op))
    return choice->walk([](gpu::LaunchFuncOp) { return WalkResult::interrupt(); }).wasInterrupted();
  return op->getNumRegions() == 0 && isMemoryEffectFree(op);
}

std::string Placement::whyNot(Operation *op) {
  std::string name = op->getName().getStringRef().str();
  if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
    MemRefType type = alloc.getType();
    const bool isLocal =
        op->getParentOp() != stage && type.hasStaticShape() &&
        type.getNumElements() * bytesInBuffer(type.getElementType()) <= kLocalBytes;
    return isLocal ? "" : "memory whose size depends on data";
  }
  if (isa<memref::DeallocOp>(op) && op->getParentOp() != stage)
    return "";
  if (isa<memref::LoadOp, memref::StoreOp, memref::AllocaOp, memref::DimOp, memref::GetGlobalOp,
          dispatch::CheckOp>(op) ||
      isa<ViewLikeOpInterface>(op) || isa<scf::SCFDialect>(op->getDialect()) ||
      isa<affine::AffineDialect, arith::ArithDialect, math::MathDialect>(op->getDialect()))
    return "";
  return name;
}

std::string Placement::check(Operation *top) {
  std::string why;
  top->walk([&](Operation *op) {
    why = whyNot(op);
    return why.empty() ? WalkResult::advance() : WalkResult::interrupt();
  });
  for (Value result : top->getResults())
    if (isa<MemRefType>(result.getType()) && why.empty())
      why = "a buffer that data chooses";
  return why;
}

void Placement::findCaptured(ArrayRef<Operation *> ops, llvm::SetVector<Value> &captured,
                             llvm::SetVector<Operation *> &cloned) {
  llvm::DenseSet<Operation *> inside(ops.begin(), ops.end());
  auto add = [&](Value value) {
    Operation *op = value.getDefiningOp();
    if (op && inside.contains(op))
      return;
    if (op && (op->hasTrait<OpTrait::ConstantLike>() || isa<memref::GetGlobalOp>(op)))
      cloned.insert(op);
    else
      captured.insert(value);
  };
  for (Operation *op : ops) {
    for (Value operand : op->getOperands())
      add(operand);
    llvm::SetVector<Value> used;
    for (Region &region : op->getRegions())
      getUsedValuesDefinedAbove(region, used);
    for (Value value : used)
      add(value);
  }
}

Placement::Body Placement::open(OpBuilder &host, StringRef name, Value blocks, unsigned threads,
                                ArrayRef<Operation *> ops, ValueRange numbers) {
  Location loc = ops.front()->getLoc();
  llvm::SetVector<Value> captured;
  llvm::SetVector<Operation *> cloned;
  findCaptured(ops, captured, cloned);
  captured.insert(numbers.begin(), numbers.end());
  const bool needsStatus = hasCheck(ops);
  if (needsStatus)
    captured.insert(loadHostField(host, loc, stageArgument(stage, "host"), HostDeviceStatus));
  KernelFunction kernel =
      KernelFunction::create(host, loc, name, blocks, threads, captured.getArrayRef());
  Body body{kernel.function,
            {},
            OpBuilder(kernel.function.getBody().front().getTerminator()),
            needsStatus ? kernel.values.back() : Value()};
  body.mapping.map(captured.getArrayRef(), kernel.values);
  for (Operation *op : cloned)
    body.builder.clone(*op, body.mapping);
  return body;
}

void Placement::close(const Body &body) {
  gpu::GPUFuncOp kernel = body.kernel;
  gpu::GPUModuleOp device = kernel->getParentOfType<gpu::GPUModuleOp>();
  kernel.walk([&](memref::GetGlobalOp get) { copyTable(get, device); });
  OpBuilder builder(kernel.getContext());
  kernel.walk([&](memref::DeallocOp dealloc) { dealloc.erase(); });
  kernel.walk([&](memref::AllocOp alloc) {
    builder.setInsertionPointToStart(&kernel.getBody().front());
    alloc.replaceAllUsesWith(
        memref::AllocaOp::create(builder, alloc.getLoc(), alloc.getType()).getResult());
    alloc.erase();
  });
  kernel.walk([&](dispatch::CheckOp check) {
    Location loc = check.getLoc();
    Attribute message = check->getAttr("message");
    auto found = llvm::find(checks, message);
    const int64_t number = found - checks.begin() + 1;
    if (found == checks.end())
      checks.push_back(message);
    builder.setInsertionPoint(check);
    Value yes = arith::ConstantIntOp::create(builder, loc, 1, 1);
    Value fails = arith::XOrIOp::create(builder, loc, check->getOperand(0), yes);
    auto branch = scf::IfOp::create(builder, loc, fails);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value none = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(0));
    Value own = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(number));
    LLVM::AtomicCmpXchgOp::create(builder, loc, body.status, none, own,
                                  LLVM::AtomicOrdering::monotonic, LLVM::AtomicOrdering::monotonic);
    check.erase();
  });
}

void Placement::placeLoop(scf::ParallelOp loop) {
  Location loc = loop.getLoc();
  OpBuilder host(loop);
  FlatRange all(host, loop);
  Value threads = arith::ConstantIndexOp::create(host, loc, kThreads);
  Value blocks = arith::CeilDivSIOp::create(host, loc, all.total, threads);
  SmallVector<Value> numbers{all.total};
  llvm::append_range(numbers, ArrayRef(all.counts).drop_front());
  Body body = open(host, "loop", blocks, kThreads, loop.getOperation(), numbers);

  OpBuilder &builder = body.builder;
  Value thread = gpu::ThreadIdOp::create(builder, loc, gpu::Dimension::x);
  Value block = gpu::BlockIdOp::create(builder, loc, gpu::Dimension::x);
  Value grid = gpu::GridDimOp::create(builder, loc, gpu::Dimension::x);
  Value size = arith::ConstantIndexOp::create(builder, loc, kThreads);
  Value first =
      arith::AddIOp::create(builder, loc, arith::MulIOp::create(builder, loc, block, size), thread);
  Value stride = arith::MulIOp::create(builder, loc, grid, size);
  auto range = scf::ForOp::create(builder, loc, first, body.mapping.lookup(all.total), stride);
  builder.setInsertionPointToStart(range.getBody());
  mapIteration(builder, loop, all, range.getInductionVar(), body.mapping);
  for (Operation &op : loop.getBody()->without_terminator())
    builder.clone(op, body.mapping);
  close(body);
  loop.erase();
}

void Placement::placeSequence(ArrayRef<Operation *> ops) {
  OpBuilder host(ops.back());
  host.setInsertionPointAfter(ops.back());
  Value one = arith::ConstantIndexOp::create(host, ops.front()->getLoc(), 1);
  Body body = open(host, "steps", one, 1, ops, {});
  for (Operation *op : ops)
    body.builder.clone(*op, body.mapping);
  close(body);
  for (Operation *op : llvm::reverse(ops))
    op->erase();
}

std::string Placement::run() {
  if (!llvm::hasSingleElement(stage.getBody()))
    return "code that branches";
  if (stage.getNumResults())
    return "a result whose size depends on data";
  // What is to be a kernel: a parallel loop, or a run of other ops. A run ends where a loop begins.
  std::vector<SmallVector<Operation *>> kernels;
  SmallVector<Operation *> exchanges;
  llvm::DenseMap<Operation *, size_t> kernelOf;
  bool isOpen = false;
  for (Operation &op : stage.getBody().front()) {
    if (isa<dispatch::ExchangeOp>(op)) {
      exchanges.push_back(&op);
      continue;
    }
    if (isHost(&op)) {
      isOpen = isOpen && !isa<gpu::LaunchFuncOp, scf::IfOp>(op);
      continue;
    }
    if (std::string why = check(&op); !why.empty())
      return why;
    if (isa<scf::ParallelOp>(op) || !isOpen)
      kernels.emplace_back();
    isOpen = !isa<scf::ParallelOp>(op);
    kernels.back().push_back(&op);
    kernelOf[&op] = kernels.size() - 1;
    ofDevice.insert(op.result_begin(), op.result_end());
  }
  for (auto [i, ops] : llvm::enumerate(kernels)) {
    for (Operation *op : ops)
      for (Operation *user : op->getUsers()) {
        auto found = kernelOf.find(stage.getBody().findAncestorOpInRegion(*user));
        if (found == kernelOf.end() || found->second != i)
          return "a number that data decides";
      }
    llvm::SetVector<Value> captured;
    llvm::SetVector<Operation *> cloned;
    findCaptured(ops, captured, cloned);
    for (Value value : captured)
      if (!canPass(value.getType()))
        return "a value of a type that kernels cannot be given";
  }
  for (Operation *exchange : exchanges)
    exchange->erase();
  for (ArrayRef<Operation *> ops : kernels)
    if (auto loop = dyn_cast<scf::ParallelOp>(ops.front()))
      placeLoop(loop);
    else
      placeSequence(ops);
  return "";
}

namespace {
struct PlaceOnDevice : graft::impl::PlaceOnDevicePassBase<PlaceOnDevice> {
  void runOnOperation() override {
    SmallVector<Attribute> checks;
    Builder builder(&getContext());
    for (auto stage : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (!stage->hasAttr(kDeviceAttr))
        continue;
      addHostArgument(stage);
      std::string why = Placement(stage, checks).run();
      if (why.empty())
        continue;
      StringRef name = stage.getSymName();
      name.consume_back(kDeviceSuffix);
      if (auto onHost = getOperation().lookupSymbol<func::FuncOp>(name))
        onHost->setAttr(kOnHostAttr, builder.getStringAttr(why));
      if (auto shape = getOperation().lookupSymbol(("graft_shape." + stage.getSymName()).str()))
        shape->erase();
      // Products have their kernels already.
      stage.walk([&](gpu::LaunchFuncOp launch) {
        eraseKernel(SymbolTable::lookupNearestSymbolFrom<gpu::GPUFuncOp>(getOperation(),
                                                                         launch.getKernel()));
      });
      stage.erase();
    }
    getOperation()->setAttr(kChecksAttr, builder.getArrayAttr(checks));
  }
};
} // namespace
