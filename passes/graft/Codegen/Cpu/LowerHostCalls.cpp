//===- LowerHostCalls.cpp - Memory and failures go to the host ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Dispatch/Exchange.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace graft {
#define GEN_PASS_DEF_LOWERHOSTCALLSPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// Above this, a buffer is no business of the stack's. Threads have at least 2 MB.
static constexpr int64_t kStackBytes = 128 << 10;

static int64_t staticBytes(MemRefType type) {
  return type.hasStaticShape() ? type.getNumElements() * bytesInBuffer(type.getElementType())
                               : std::numeric_limits<int64_t>::max();
}

/// Whether nothing outside of the block in which `buffer` is made can see it.
static bool staysInBlock(Value buffer) {
  SmallVector<Value> aliases{buffer};
  llvm::DenseSet<Value> seen{buffer};
  for (size_t i = 0; i < aliases.size(); ++i) {
    for (Operation *user : aliases[i].getUsers()) {
      if (user->hasTrait<OpTrait::IsTerminator>())
        return false;
      for (Value result : user->getResults())
        if (isa<BaseMemRefType>(result.getType()) && seen.insert(result).second)
          aliases.push_back(result);
    }
  }
  return true;
}

namespace {
struct LowerHostCalls : graft::impl::LowerHostCallsPassBase<LowerHostCalls> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    messages.clear();
    SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
    for (func::FuncOp func : functions) {
      if (func.isExternal() || func.getNumArguments() == 0 ||
          !isa<LLVM::LLVMPointerType>(func.getArgumentTypes()[0]) ||
          func.getName().starts_with("graft_shape."))
        continue;
      SmallVector<memref::AllocOp> allocs;
      SmallVector<memref::AllocaOp> allocas;
      SmallVector<memref::DeallocOp> deallocs;
      SmallVector<Operation *> checks;
      SmallVector<dispatch::ExchangeOp> exchanges;
      func.walk([&](Operation *op) {
        if (auto alloc = dyn_cast<memref::AllocOp>(op))
          allocs.push_back(alloc);
        else if (auto alloca = dyn_cast<memref::AllocaOp>(op))
          allocas.push_back(alloca);
        else if (auto dealloc = dyn_cast<memref::DeallocOp>(op))
          deallocs.push_back(dealloc);
        else if (op->getName().getStringRef() == "dispatch.check")
          checks.push_back(op);
        else if (auto exchange = dyn_cast<dispatch::ExchangeOp>(op))
          exchanges.push_back(exchange);
      });
      // When each buffer ends is decided here.
      for (memref::DeallocOp dealloc : deallocs)
        dealloc.erase();
      for (memref::AllocOp alloc : allocs)
        if (failed(lowerAlloc(func, alloc)))
          return signalPassFailure();
      for (memref::AllocaOp alloca : allocas)
        hoist(func, alloca);
      for (dispatch::ExchangeOp exchange : exchanges)
        lowerExchange(func, exchange);
      for (Operation *check : checks)
        lowerCheck(func, check);
    }
  }

  /// In a loop, an alloca would take more of the stack with each iteration.
  static void hoist(func::FuncOp func, memref::AllocaOp alloca) {
    if (alloca->getNumOperands() == 0)
      alloca->moveBefore(&func.getBody().front(), func.getBody().front().begin());
  }

  LogicalResult lowerAlloc(func::FuncOp func, memref::AllocOp alloc) {
    OpBuilder builder(alloc);
    Location loc = alloc.getLoc();
    MemRefType type = alloc.getType();
    bool local = staysInBlock(alloc);
    if (local && staticBytes(type) <= kStackBytes) {
      builder.setInsertionPointToStart(&func.getBody().front());
      Value buffer = memref::AllocaOp::create(builder, loc, type, builder.getI64IntegerAttr(64));
      alloc.replaceAllUsesWith(buffer);
      alloc.erase();
      return success();
    }
    if (!type.getLayout().isIdentity())
      return alloc.emitError("a buffer must have the identity layout, found ") << type;
    Value host = func.getArgument(0);
    Value bytes = bufferBytes(builder, loc, type, alloc.getDynamicSizes());
    bytes = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), bytes);
    Value memory =
        func::CallOp::create(builder, loc, hostFunction("graft_allocate"), ValueRange{host, bytes})
            .getResult(0);
    if (local && alloc->getBlock() != &func.getBody().front()) {
      OpBuilder end(alloc->getBlock()->getTerminator());
      func::CallOp::create(end, loc, hostFunction("graft_release"), ValueRange{host, memory});
    }
    alloc.replaceAllUsesWith(viewPointer(builder, loc, memory, type, alloc.getDynamicSizes()));
    alloc.erase();
    return success();
  }

  void lowerCheck(func::FuncOp func, Operation *check) {
    OpBuilder builder(check);
    Location loc = check->getLoc();
    auto message = check->getAttrOfType<StringAttr>("message");
    std::string text = (message ? message.getValue() : StringRef("a check failed")).str();
    text.push_back('\0');
    LLVM::GlobalOp &global = messages[builder.getStringAttr(text)];
    if (!global) {
      OpBuilder top = OpBuilder::atBlockBegin(getOperation().getBody());
      auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), text.size());
      global = LLVM::GlobalOp::create(top, loc, type, /*isConstant=*/true, LLVM::Linkage::Private,
                                      "graft_message." + std::to_string(messages.size() - 1),
                                      builder.getStringAttr(text));
    }
    Value holds = check->getOperand(0);
    auto fail = [&] {
      Value address = LLVM::AddressOfOp::create(builder, loc, global);
      func::CallOp::create(builder, loc, hostFunction("graft_fail"),
                           ValueRange{func.getArgument(0), address});
    };
    if (check->getParentOp() == func && canReturnNothing(func)) {
      // What follows may rely on what was checked.
      Block *rest = check->getBlock()->splitBlock(check);
      Block *failed = builder.createBlock(&func.getBody(), std::next(rest->getIterator()));
      fail();
      func::ReturnOp::create(builder, loc, nothing(builder, func));
      builder.setInsertionPointToEnd(rest->getPrevNode());
      cf::CondBranchOp::create(builder, loc, holds, rest, failed);
    } else {
      Value yes = arith::ConstantIntOp::create(builder, loc, 1, 1);
      auto branch =
          scf::IfOp::create(builder, loc, arith::XOrIOp::create(builder, loc, holds, yes));
      builder.setInsertionPointToStart(branch.thenBlock());
      fail();
    }
    check->erase();
  }

  void lowerExchange(func::FuncOp func, dispatch::ExchangeOp exchange) {
    OpBuilder builder(exchange);
    Location loc = exchange.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    auto wide = builder.getI64Type();
    auto addressOf = [&](Value buffer) -> Value {
      if (!buffer)
        return LLVM::ZeroOp::create(builder, loc, pointer);
      Value address = memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, buffer);
      address = arith::IndexCastOp::create(builder, loc, wide, address);
      return LLVM::IntToPtrOp::create(builder, loc, pointer, address);
    };
    Value number = LLVM::ConstantOp::create(builder, loc, wide, exchange.getNumberAttr());
    Value rows = memref::DimOp::create(builder, loc, exchange.getChosen(), 0);
    rows = arith::IndexCastOp::create(builder, loc, wide, rows);
    SmallVector<Value> operands{func.getArgument(0), number, rows, addressOf(exchange.getChosen()),
                                addressOf(exchange.getWeights())};
    const bool isWithin = bool(exchange.getPlaces());
    if (isWithin) {
      Value count = memref::DimOp::create(builder, loc, exchange.getPlaces(), 0);
      operands.push_back(arith::IndexCastOp::create(builder, loc, wide, count));
      operands.push_back(addressOf(exchange.getPlaces()));
      operands.push_back(arith::IndexCastOp::create(builder, loc, wide, exchange.getTotal()));
    }
    func::CallOp::create(builder, loc, routeFunction(isWithin), operands);
    exchange->erase();
  }

  /// A private function of the module, made where it is asked for first; `build` writes its body.
  func::FuncOp privateFunction(StringRef name, TypeRange arguments, TypeRange results,
                               llvm::function_ref<void(OpBuilder &, Location, ValueRange)> build) {
    if (auto function = getOperation().lookupSymbol<func::FuncOp>(name))
      return function;
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    Location loc = UnknownLoc::get(&getContext());
    auto function =
        func::FuncOp::create(builder, loc, name, builder.getFunctionType(arguments, results));
    function.setPrivate();
    Block *body = function.addEntryBlock();
    builder.setInsertionPointToStart(body);
    build(builder, loc, body->getArguments());
    return function;
  }

  /// A private function that calls the host's `route`, or `route_within`, if it has one.
  func::FuncOp routeFunction(bool isWithin) {
    const unsigned field = isWithin ? HostRouteWithin : HostRoute;
    MLIRContext *context = &getContext();
    auto pointer = LLVM::LLVMPointerType::get(context);
    auto wide = IntegerType::get(context, 64);
    SmallVector<Type> types{pointer, wide, wide, pointer, pointer};
    if (isWithin)
      types.append({wide, pointer, wide});
    auto build = [&](OpBuilder &builder, Location loc, ValueRange arguments) {
      Value host = arguments[0];
      // A host from before there were routes has a shorter table.
      Value size = LLVM::LoadOp::create(builder, loc, builder.getI32Type(), host);
      Value enough =
          LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(8 * (field + 1)));
      Value knows = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::uge, size, enough);
      scf::IfOp::create(builder, loc, knows, [&](OpBuilder &builder, Location loc) {
        Value route = loadHostField(builder, loc, host, field);
        Value null = LLVM::ZeroOp::create(builder, loc, pointer);
        Value looks = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, route, null);
        scf::IfOp::create(builder, loc, looks, [&](OpBuilder &builder, Location loc) {
          SmallVector<Value> operands{route, loadHostField(builder, loc, host, HostContext)};
          llvm::append_range(operands, arguments.drop_front());
          auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types);
          LLVM::CallOp::create(builder, loc, type, operands);
          scf::YieldOp::create(builder, loc);
        });
        scf::YieldOp::create(builder, loc);
      });
      func::ReturnOp::create(builder, loc);
    };
    return privateFunction(isWithin ? "graft_route_within" : "graft_route", types, {}, build);
  }

  static bool canReturnNothing(func::FuncOp func) {
    return llvm::all_of(func.getResultTypes(), [](Type type) {
      auto memref = dyn_cast<MemRefType>(type);
      return memref && memref.getLayout().isIdentity();
    });
  }

  /// Results of no elements, at no address.
  static SmallVector<Value> nothing(OpBuilder &builder, func::FuncOp func) {
    SmallVector<Value> results;
    for (Type type : func.getResultTypes()) {
      auto memref = cast<MemRefType>(type);
      auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
      Value null = LLVM::ZeroOp::create(builder, func.getLoc(), pointer);
      SmallVector<Value> sizes(memref.getNumDynamicDims());
      for (Value &size : sizes)
        size = arith::ConstantIndexOp::create(builder, func.getLoc(), 0);
      results.push_back(viewPointer(builder, func.getLoc(), null, memref, sizes));
    }
    return results;
  }

  /// A private function that calls the host. Its first argument is the host.
  func::FuncOp hostFunction(StringRef name) {
    MLIRContext *context = &getContext();
    auto pointer = LLVM::LLVMPointerType::get(context);
    const bool allocates = name == "graft_allocate";
    SmallVector<Type> types{pointer,
                            allocates ? Type(IntegerType::get(context, 64)) : Type(pointer)};
    SmallVector<Type> results;
    if (allocates)
      results.push_back(pointer);
    auto build = [&](OpBuilder &builder, Location loc, ValueRange arguments) {
      Value host = arguments[0];
      unsigned field = allocates ? HostAllocate : name == "graft_fail" ? HostFail : HostRelease;
      SmallVector<Value> operands{loadHostField(builder, loc, host, field),
                                  loadHostField(builder, loc, host, HostContext)};
      SmallVector<Type> parameters{pointer};
      if (field == HostFail) {
        parameters.push_back(builder.getI32Type());
        operands.push_back(LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(1)));
      }
      parameters.push_back(types[1]);
      operands.push_back(arguments[1]);
      Type result = allocates ? Type(pointer) : Type(LLVM::LLVMVoidType::get(context));
      auto call = LLVM::CallOp::create(builder, loc,
                                       LLVM::LLVMFunctionType::get(result, parameters), operands);
      func::ReturnOp::create(builder, loc, call->getResults());
    };
    return privateFunction(name, types, results, build);
  }

  llvm::DenseMap<StringAttr, LLVM::GlobalOp> messages;
};
} // namespace
