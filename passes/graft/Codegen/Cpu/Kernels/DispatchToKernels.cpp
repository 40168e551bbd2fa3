//===- DispatchToKernels.cpp - Dispatch ops become calls of kernels -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelCall.h"
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/TypeSwitch.h"

namespace graft {
#define GEN_PASS_DEF_CONVERTDISPATCHTOKERNELSPASS
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

/// The last dimension apart, all others together.
static SmallVector<ReassociationIndices> rowsOf(int64_t rank) {
  SmallVector<ReassociationIndices> groups(2);
  for (int64_t d = 0; d + 1 < rank; ++d)
    groups[0].push_back(d);
  groups[1].push_back(rank - 1);
  return groups;
}

/// The size of a memref that its op was given for a dimension.
static OpFoldResult sizeOf(Value memref, int64_t dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(dim))
    return IntegerAttr::get(IndexType::get(memref.getContext()), type.getDimSize(dim));
  ValueRange sizes;
  if (auto alloc = memref.getDefiningOp<memref::AllocOp>())
    sizes = alloc.getDynamicSizes();
  else if (auto view = memref.getDefiningOp<memref::ViewOp>())
    sizes = view.getSizes();
  return sizes.empty() ? OpFoldResult() : OpFoldResult(sizes[type.getDynamicDimIndex(dim)]);
}

/// `memref` as some columns of all the rows of another, which is rows: its own type may not tell.
static memref::SubViewOp columnsOf(Value memref) {
  auto view = memref.getDefiningOp<memref::SubViewOp>();
  if (!view || !isRows(view.getSource()) || view.getSourceType().getRank() < 3 ||
      view.getSourceType().getRank() != view.getType().getRank())
    return nullptr;
  for (int64_t d = 0, rank = view.getType().getRank(); d < rank; ++d)
    if (!isOneInteger(view.getMixedStrides()[d]) ||
        (d + 1 < rank && (!isZeroInteger(view.getMixedOffsets()[d]) ||
                          view.getMixedSizes()[d] != sizeOf(view.getSource(), d))))
      return nullptr;
  return view;
}

bool graft::isRows(Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (!type || type.getRank() < 1 || !isKernelFloat(type.getElementType()))
    return false;
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)) || strides.back() != 1)
    return false;
  return type.getRank() <= 2 ||
         memref::CollapseShapeOp::isGuaranteedCollapsible(type, rowsOf(type.getRank())) ||
         columnsOf(memref);
}

Value graft::withDynamicOffset(KernelBuilder &b, Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)) || ShapedType::isDynamic(offset))
    return memref;
  auto layout = StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic, strides);
  return memref::CastOp::create(
      b, MemRefType::get(type.getShape(), type.getElementType(), layout, type.getMemorySpace()),
      memref);
}

Value graft::viewAsRows(KernelBuilder &b, Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  if (type.getRank() == 1) {
    SmallVector<OpFoldResult> sizes{b.getIndexAttr(1),
                                    memref::getMixedSize(b, b.getLoc(), memref, 0)};
    memref = memref::ExpandShapeOp::create(b, b.getLoc(), ArrayRef<int64_t>{1, type.getDimSize(0)},
                                           memref, {{0, 1}}, sizes);
  } else if (memref::SubViewOp columns = type.getRank() > 2 ? columnsOf(memref) : nullptr) {
    Value rows = viewAsRows(b, columns.getSource());
    OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
    memref = memref::SubViewOp::create(
        b, b.getLoc(), rows, ArrayRef<OpFoldResult>{zero, columns.getMixedOffsets().back()},
        ArrayRef<OpFoldResult>{memref::getMixedSize(b, b.getLoc(), rows, 0),
                               columns.getMixedSizes().back()},
        ArrayRef<OpFoldResult>{one, one});
  } else if (type.getRank() > 2) {
    memref = memref::CollapseShapeOp::create(b, memref, rowsOf(type.getRank()));
  }
  // One row or many: the kernel is the same, so that a static number of rows is forgotten.
  type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  (void)type.getStridesAndOffset(strides, offset);
  auto layout = StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic, strides);
  auto general = MemRefType::get({ShapedType::kDynamic, type.getDimSize(1)}, type.getElementType(),
                                 layout, type.getMemorySpace());
  return general == type ? memref : Value(memref::CastOp::create(b, general, memref));
}

/// Calls the kernel for shares of its tasks, in parallel, each of about 10 µs or more.
static void callInShares(KernelBuilder &b, const KernelCall &call, func::FuncOp kernel) {
  KernelCall::Work work = call.plan(b, call.operands);
  Value enough = b.ceilDiv(b.mul(work.tasks, work.cost), b.index(10000));
  Value shares = b.min(work.tasks, enough);
  scf::ParallelOp loop = b.parallel(shares, [&](Value share) {
    SmallVector<Value> operands(call.operands);
    operands.push_back(b.share(share, shares, work.tasks));
    operands.push_back(b.share(b.add(share, 1), shares, work.tasks));
    func::CallOp::create(b, kernel, operands);
  });
  // What a share takes, in cycles: the call hides it.
  loop->setAttr("dispatch.cost", b.getI64IntegerAttr(30000));
}

namespace {
struct ConvertDispatchToKernels
    : graft::impl::ConvertDispatchToKernelsPassBase<ConvertDispatchToKernels> {
  using ConvertDispatchToKernelsPassBase::ConvertDispatchToKernelsPassBase;

  struct Known {
    Operation *op;
    std::string name;
    FunctionType type;
    func::FuncOp kernel;
  };

  void runOnOperation() override {
    if (lanes != 16 && lanes != 8 && lanes != 4) {
      getOperation().emitError() << "lanes: expected 4, 8 or 16, got " << lanes;
      return signalPassFailure();
    }
    SymbolTable symbols(getOperation());
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<MatmulOp, BatchMatmulOp, AttentionOp, SoftmaxOp, LayerNormOp, PlanOp, GatherOp,
              SegmentedMatmulOp, CombineOp>(op) &&
          cast<DestinationStyleOpInterface>(op).hasPureBufferSemantics())
        ops.push_back(op);
    });
    // The ops are erased last: kernels are compared and written by them.
    SmallVector<Operation *> done;
    for (Operation *op : ops) {
      OpBuilder builder(op);
      KernelBuilder b(op->getLoc(), builder, target());
      std::optional<KernelCall> call = prepare(op, b);
      if (!call)
        continue;
      callInShares(b, *call, kernelFor(op, *call, symbols));
      done.push_back(op);
    }
    for (Operation *op : done)
      op->erase();
  }

  KernelTarget target() {
    KernelTarget target;
    target.lanes = lanes;
    target.fma = fma;
    return target;
  }

  static std::optional<KernelCall> prepare(Operation *op, KernelBuilder &b) {
    return TypeSwitch<Operation *, std::optional<KernelCall>>(op)
        .Case([&](MatmulOp op) { return prepareMatmul(op, b); })
        .Case([&](BatchMatmulOp op) { return prepareBatchMatmul(op, b); })
        .Case([&](AttentionOp op) { return prepareAttention(op, b); })
        .Case([&](LayerNormOp op) { return prepareLayerNorm(op, b); })
        .Case([&](SoftmaxOp op) { return prepareSoftmax(op, b); })
        .Case([&](PlanOp op) { return preparePlan(op, b); })
        .Case([&](GatherOp op) { return prepareGather(op, b); })
        .Case([&](SegmentedMatmulOp op) {
          return op.getModules() ? prepareSegmentedLowRank(op, b) : prepareSegmentedMatmul(op, b);
        })
        .Case([&](CombineOp op) { return prepareCombine(op, b); })
        .Default([](Operation *) { return std::nullopt; });
  }

  func::FuncOp kernelFor(Operation *op, KernelCall &call, SymbolTable &symbols) {
    OpBuilder builder(op->getContext());
    SmallVector<Type> types(TypeRange(ValueRange(call.operands)));
    types.append(2, builder.getIndexType());
    auto type = builder.getFunctionType(types, {});
    for (Known &known : kernels)
      if (known.name == call.name && known.type == type && isSame(known.op, op))
        return known.kernel;
    auto kernel = func::FuncOp::create(builder, op->getLoc(), "graft_kernel." + call.name, type);
    kernel.setPrivate();
    symbols.insert(kernel);
    builder.setInsertionPointToStart(kernel.addEntryBlock());
    KernelBuilder b(op->getLoc(), builder, target());
    ValueRange arguments = kernel.getArguments();
    b.loop(arguments.drop_back().back(), arguments.back(), 1,
           [&](Value task) { call.build(b, arguments.drop_back(2), task); });
    func::ReturnOp::create(b);
    kernels.push_back({op, call.name, type, kernel});
    return kernel;
  }

  /// Operands and locations aside.
  static bool isSame(Operation *a, Operation *b) {
    if (a->getName() != b->getName() || a->getAttrDictionary() != b->getAttrDictionary() ||
        a->getNumRegions() != b->getNumRegions())
      return false;
    for (auto [left, right] : llvm::zip(a->getRegions(), b->getRegions()))
      if (!OperationEquivalence::isRegionEquivalentTo(&left, &right,
                                                      OperationEquivalence::Flags::IgnoreLocations))
        return false;
    return true;
  }

  SmallVector<Known> kernels;
};
} // namespace
