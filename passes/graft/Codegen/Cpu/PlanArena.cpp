//===- PlanArena.cpp - Buffers become views into one arena -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Cpu/SymbolText.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

#include <map>

namespace graft {
#define GEN_PASS_DEF_PLANARENAPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

namespace {
/// Index arithmetic that depends on nothing but the symbols: it can be computed at the start of the
/// function, and in another function.
class SymbolicValues {
public:
  explicit SymbolicValues(func::FuncOp func) : func(func) {}

  bool contains(Value value) {
    auto it = known.find(value);
    if (it != known.end())
      return it->second;
    bool symbolic = compute(value);
    known[value] = symbolic;
    return symbolic;
  }

  /// Computes `value` at the builder's place, from the symbols that `mapping` knows.
  static Value clone(OpBuilder &builder, Value value, IRMapping &mapping) {
    if (Value mapped = mapping.lookupOrNull(value))
      return mapped;
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      clone(builder, operand, mapping);
    builder.clone(*op, mapping);
    return mapping.lookup(value);
  }

private:
  bool compute(Value value) {
    if (!value.getType().isIntOrIndex())
      return false;
    if (auto arg = dyn_cast<BlockArgument>(value))
      return arg.getOwner() == &func.getBody().front() &&
             func.getArgAttr(arg.getArgNumber(), kSymbolAttr);
    Operation *op = value.getDefiningOp();
    return op->getNumRegions() == 0 && isPure(op) &&
           llvm::all_of(op->getOperands(), [&](Value operand) { return contains(operand); });
  }

  func::FuncOp func;
  llvm::DenseMap<Value, bool> known;
};

/// The operations of the stage's block between which a buffer is in use.
struct Interval {
  int64_t first = std::numeric_limits<int64_t>::max(), last = -1;
  bool returned = false; ///< it outlives the stage
};

struct PlanArena : graft::impl::PlanArenaPassBase<PlanArena> {
  using PlanArenaPassBase::PlanArenaPassBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> stages;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (isStage(func))
        stages.push_back(func);
    for (func::FuncOp func : stages)
      if (failed(plan(func)))
        return signalPassFailure();
  }

  LogicalResult plan(func::FuncOp func) {
    Block &block = func.getBody().front();
    SymbolicValues symbolic(func);
    llvm::DenseMap<Operation *, int64_t> numbers;
    int64_t count = 0;
    for (Operation &op : block)
      numbers[&op] = count++;

    SmallVector<memref::AllocOp> buffers;
    SmallVector<int64_t> intervals;
    func.walk([&](memref::AllocOp alloc) {
      if (instrumented || !alloc.getType().getLayout().isIdentity() ||
          !alloc.getSymbolOperands().empty() || isInParallelLoop(alloc, func) ||
          !llvm::all_of(alloc.getDynamicSizes(), [&](Value v) { return symbolic.contains(v); }))
        return;
      Interval live = liveness(alloc, block, numbers);
      if (live.returned)
        return;
      if (live.last < 0) // never used
        live.first = live.last = 0;
      buffers.push_back(alloc);
      intervals.push_back(live.first);
      intervals.push_back(live.last);
    });

    OpBuilder builder(func.getContext());
    auto arenaType = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
    auto offsetsType = MemRefType::get({int64_t(buffers.size())}, builder.getIndexType());
    auto role = [&](StringRef name) {
      return builder.getDictionaryAttr(
          builder.getNamedAttr(kRoleAttr, builder.getStringAttr(name)));
    };
    (void)func.insertArgument(func.getNumArguments(), arenaType, role("arena"), func.getLoc());
    (void)func.insertArgument(func.getNumArguments(), offsetsType, role("offsets"), func.getLoc());
    Value arena = stageArgument(func, "arena"), offsets = stageArgument(func, "offsets");

    buildShapeFunction(func, buffers);

    // The views come at the start of the function, where they dominate whatever a buffer's alias
    // reaches; only the symbols are needed to compute them.
    builder.setInsertionPointToStart(&block);
    IRMapping mapping;
    for (BlockArgument symbol : stageSymbolArguments(func))
      mapping.map(symbol, symbol);
    for (auto [index, alloc] : llvm::enumerate(buffers)) {
      Location loc = alloc.getLoc();
      SmallVector<Value> sizes;
      for (Value size : alloc.getDynamicSizes())
        sizes.push_back(SymbolicValues::clone(builder, size, mapping));
      Value position = arith::ConstantIndexOp::create(builder, loc, index);
      Value offset = memref::LoadOp::create(builder, loc, offsets, position);
      Value view = memref::ViewOp::create(builder, loc, alloc.getType(), arena, offset, sizes);
      alloc.replaceAllUsesWith(view);
    }
    // Only now: the first of them may be what the builder stands before.
    for (memref::AllocOp alloc : buffers)
      alloc.erase();
    func->setAttr(kBuffersAttr, builder.getDenseI64ArrayAttr(intervals));
    return success();
  }

  static bool isInParallelLoop(Operation *op, func::FuncOp func) {
    for (op = op->getParentOp(); op != func; op = op->getParentOp())
      if (isa<scf::ParallelOp, scf::ForallOp>(op))
        return true;
    return false;
  }

  static Interval liveness(memref::AllocOp alloc, Block &block,
                           const llvm::DenseMap<Operation *, int64_t> &numbers) {
    Interval live;
    llvm::SetVector<Value> aliases;
    aliases.insert(alloc);
    for (size_t i = 0; i < aliases.size(); ++i) {
      for (Operation *user : aliases[i].getUsers()) {
        if (auto it = numbers.find(block.findAncestorOpInBlock(*user)); it != numbers.end()) {
          live.first = std::min(live.first, it->second);
          live.last = std::max(live.last, it->second);
        }
        // Whatever an op that sees the buffer passes on may be the buffer.
        auto addAll = [&](ValueRange values) {
          for (Value value : values)
            if (isa<BaseMemRefType>(value.getType()))
              aliases.insert(value);
        };
        addAll(user->getResults());
        for (Region &region : user->getRegions())
          for (Block &inner : region)
            addAll(inner.getArguments());
        if (user->getBlock() == &block && isa<func::ReturnOp>(user))
          live.returned = true;
        if (user->hasTrait<OpTrait::IsTerminator>() && user->getBlock() != &block) {
          Operation *parent = user->getParentOp();
          addAll(parent->getResults());
          for (Region &region : parent->getRegions())
            for (Block &inner : region)
              addAll(inner.getArguments());
        }
      }
    }
    return live;
  }

  /// graft_shape.STAGE(symbols, output_dims, buffer_bytes).
  static void buildShapeFunction(func::FuncOp func, ArrayRef<memref::AllocOp> buffers) {
    OpBuilder builder(func.getContext());
    builder.setInsertionPointAfter(func);
    Location loc = func.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(func.getContext());
    auto shape = func::FuncOp::create(builder, loc, ("graft_shape." + func.getName()).str(),
                                      builder.getFunctionType({pointer, pointer, pointer}, {}));
    Block *body = shape.addEntryBlock();
    builder.setInsertionPointToStart(body);
    auto element = [&](Value array, int64_t index) -> Value {
      return LLVM::GEPOp::create(builder, loc, pointer, builder.getI64Type(), array,
                                 ArrayRef<LLVM::GEPArg>{int32_t(index)});
    };
    IRMapping mapping;
    llvm::StringMap<Value> symbols;
    for (auto [index, arg] : llvm::enumerate(stageSymbolArguments(func))) {
      Value value = LLVM::LoadOp::create(builder, loc, builder.getI64Type(),
                                         element(body->getArgument(0), index));
      value = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), value);
      mapping.map(arg, value);
      symbols[func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), kSymbolAttr).getValue()] =
          value;
    }
    auto store = [&](Value value, Value array, int64_t index) {
      value = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), value);
      LLVM::StoreOp::create(builder, loc, value, element(array, index));
    };

    // Outputs are arguments or results, each marked with its number.
    std::map<int64_t, std::pair<MemRefType, ArrayAttr>> outputs;
    for (BlockArgument arg : func.getArguments())
      if (auto number = func.getArgAttrOfType<IntegerAttr>(arg.getArgNumber(), kOutputAttr))
        outputs[number.getInt()] = {
            cast<MemRefType>(arg.getType()),
            func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), kDimsAttr)};
    for (unsigned i = 0; i < func.getNumResults(); ++i)
      if (auto number = func.getResultAttrOfType<IntegerAttr>(i, kOutputAttr))
        outputs[number.getInt()] = {cast<MemRefType>(func.getResultTypes()[i]),
                                    func.getResultAttrOfType<ArrayAttr>(i, kDimsAttr)};
    int64_t position = 0;
    for (auto &[number, output] : outputs) {
      auto [type, dims] = output;
      for (int64_t d = 0; d < type.getRank(); ++d) {
        Value value;
        auto text = dims ? dyn_cast<StringAttr>(dims[d]) : StringAttr();
        if (!type.isDynamicDim(d))
          value = arith::ConstantIndexOp::create(builder, loc, type.getDimSize(d));
        else if (text && isSymbolic(text.getValue(), symbols))
          value = buildSymbolText(builder, loc, text.getValue(), symbols);
        else
          value = arith::ConstantIndexOp::create(builder, loc, -1);
        store(value, body->getArgument(1), position++);
      }
    }
    int64_t index = 0;
    for (memref::AllocOp alloc : buffers) {
      SmallVector<Value> sizes;
      for (Value size : alloc.getDynamicSizes())
        sizes.push_back(SymbolicValues::clone(builder, size, mapping));
      store(bufferBytes(builder, loc, alloc.getType(), sizes), body->getArgument(2), index++);
    }
    func::ReturnOp::create(builder, loc);
  }
};
} // namespace
