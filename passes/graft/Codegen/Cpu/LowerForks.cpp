//===- LowerForks.cpp - Closures for the host's threads ----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace graft {
#define GEN_PASS_DEF_LOWERFORKSPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

namespace {
struct LowerForks : graft::impl::LowerForksPassBase<LowerForks> {
  void runOnOperation() override {
    SmallVector<LLVM::LLVMFuncOp> functions(getOperation().getOps<LLVM::LLVMFuncOp>());
    for (LLVM::LLVMFuncOp function : functions) {
      if (function.isExternal())
        continue;
      if (auto body = function->getAttrOfType<FlatSymbolRefAttr>(kForkAttr))
        lowerFork(function, getOperation().lookupSymbol<LLVM::LLVMFuncOp>(body.getValue()));
      else
        returnWithoutMemory(function);
    }
    for (LLVM::LLVMFuncOp function : functions)
      if (!function.isExternal() &&
          SymbolTable::getSymbolVisibility(function) == SymbolTable::Visibility::Private)
        function.setLinkage(LLVM::Linkage::Internal);
  }

  /// fork(host, count, values...) calls parallel_for(context, count, closure, &{host, values...}).
  static void lowerFork(LLVM::LLVMFuncOp fork, LLVM::LLVMFuncOp body) {
    MLIRContext *context = fork.getContext();
    Location loc = fork.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(context);
    auto i64 = IntegerType::get(context, 64);
    auto none = LLVM::LLVMVoidType::get(context);
    SmallVector<Type> fields(fork.getArgumentTypes());
    fields.erase(fields.begin() + 1);
    auto closureType = LLVM::LLVMStructType::getLiteral(context, fields);

    OpBuilder builder(context);
    builder.setInsertionPointAfter(fork);
    auto closureFunction = LLVM::LLVMFuncOp::create(
        builder, loc, (body.getName() + ".closure").str(),
        LLVM::LLVMFunctionType::get(none, {pointer, i64, i64}), LLVM::Linkage::Internal);
    Block *entry = closureFunction.addEntryBlock(builder);
    builder.setInsertionPointToStart(entry);
    auto field = [&](Value closure, unsigned index) -> Value {
      return LLVM::GEPOp::create(builder, loc, pointer, closureType, closure,
                                 ArrayRef<LLVM::GEPArg>{0, int32_t(index)});
    };
    SmallVector<Value> values;
    for (auto [index, type] : llvm::enumerate(fields))
      values.push_back(
          LLVM::LoadOp::create(builder, loc, type, field(entry->getArgument(0), index)));
    SmallVector<Value> operands{values[0], entry->getArgument(1), entry->getArgument(2)};
    operands.append(values.begin() + 1, values.end());
    LLVM::CallOp::create(builder, loc, body, operands);
    LLVM::ReturnOp::create(builder, loc, ValueRange());

    Region &region = fork.getBody();
    while (region.getBlocks().size() > 1)
      region.back().erase();
    Block &block = region.front();
    while (!block.empty())
      block.back().erase();
    builder.setInsertionPointToStart(&block);
    Value one = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(1));
    Value closure = LLVM::AllocaOp::create(builder, loc, pointer, closureType, one);
    Value host = fork.getArgument(0);
    for (unsigned i = 0; i < fields.size(); ++i)
      LLVM::StoreOp::create(builder, loc, i == 0 ? host : Value(fork.getArgument(i + 1)),
                            field(closure, i));
    Value address = LLVM::AddressOfOp::create(builder, loc, closureFunction);
    SmallVector<Value> arguments{loadHostField(builder, loc, host, HostParallelFor),
                                 loadHostField(builder, loc, host, HostContext),
                                 fork.getArgument(1), address, closure};
    LLVM::CallOp::create(builder, loc,
                         LLVM::LLVMFunctionType::get(none, {pointer, i64, pointer, pointer}),
                         arguments);
    LLVM::ReturnOp::create(builder, loc, ValueRange());
    fork->removeAttr(kForkAttr);
    fork.setNoInline(true);
  }

  /// The host has noted that there was no memory; what the function would return is never read.
  static void returnWithoutMemory(LLVM::LLVMFuncOp function) {
    SmallVector<LLVM::CallOp> calls;
    function.walk([&](LLVM::CallOp call) {
      if (call.getCallee() == StringRef("graft_allocate"))
        calls.push_back(call);
    });
    for (LLVM::CallOp call : calls) {
      OpBuilder builder(call);
      builder.setInsertionPointAfter(call);
      Location loc = call.getLoc();
      Block *before = call->getBlock();
      Block *after = before->splitBlock(builder.getInsertionPoint());
      Block *leave = builder.createBlock(after);
      Type type = function.getFunctionType().getReturnType();
      if (isa<LLVM::LLVMVoidType>(type))
        LLVM::ReturnOp::create(builder, loc, ValueRange());
      else
        LLVM::ReturnOp::create(builder, loc, ValueRange(LLVM::ZeroOp::create(builder, loc, type)));
      builder.setInsertionPointToEnd(before);
      Value null = LLVM::ZeroOp::create(builder, loc, call.getResult().getType());
      Value missing =
          LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::eq, call.getResult(), null);
      LLVM::CondBrOp::create(builder, loc, missing, leave, after);
    }
  }
};
} // namespace
