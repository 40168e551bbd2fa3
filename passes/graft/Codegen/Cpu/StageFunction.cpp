//===- StageFunction.cpp - The parts of a stage function ---------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace graft;

llvm::StringMap<Value> graft::stageSymbols(func::FuncOp func) {
  llvm::StringMap<Value> symbols;
  for (BlockArgument arg : func.getArguments())
    if (auto name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), kSymbolAttr))
      symbols[name.getValue()] = arg;
  return symbols;
}

SmallVector<BlockArgument> graft::stageSymbolArguments(func::FuncOp func) {
  SmallVector<BlockArgument> symbols;
  for (BlockArgument arg : func.getArguments())
    if (func.getArgAttr(arg.getArgNumber(), kSymbolAttr))
      symbols.push_back(arg);
  return symbols;
}

BlockArgument graft::stageArgument(func::FuncOp func, StringRef role) {
  for (BlockArgument arg : func.getArguments())
    if (auto name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), kRoleAttr))
      if (name.getValue() == role)
        return arg;
  return {};
}

void graft::addHostArgument(func::FuncOp func) {
  if (stageArgument(func, "host"))
    return;
  Builder builder(func.getContext());
  auto role =
      builder.getDictionaryAttr(builder.getNamedAttr(kRoleAttr, builder.getStringAttr("host")));
  (void)func.insertArgument(0, LLVM::LLVMPointerType::get(func.getContext()), role, func.getLoc());
}

Value graft::loadHostField(OpBuilder &builder, Location loc, Value host, unsigned index) {
  // Two 32-bit fields come first, then pointers.
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Value field = LLVM::GEPOp::create(builder, loc, pointer, builder.getI8Type(), host,
                                    ArrayRef<LLVM::GEPArg>{int32_t(8 * index)});
  return LLVM::LoadOp::create(builder, loc, pointer, field);
}

Value graft::viewPointer(OpBuilder &builder, Location loc, Value memory, MemRefType type,
                         ValueRange dynamicSizes) {
  MLIRContext *context = builder.getContext();
  auto pointer = LLVM::LLVMPointerType::get(context);
  auto array = LLVM::LLVMArrayType::get(builder.getI64Type(), 1);
  auto descriptor = LLVM::LLVMStructType::getLiteral(
      context, {pointer, pointer, builder.getI64Type(), array, array});
  Value zero = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(0));
  Value one = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(1));
  // The number of bytes is never asked for.
  Value bound = LLVM::ConstantOp::create(
      builder, loc, builder.getI64IntegerAttr(std::numeric_limits<int64_t>::max()));
  Value value = LLVM::PoisonOp::create(builder, loc, descriptor);
  value = LLVM::InsertValueOp::create(builder, loc, value, memory, ArrayRef<int64_t>{0});
  value = LLVM::InsertValueOp::create(builder, loc, value, memory, ArrayRef<int64_t>{1});
  value = LLVM::InsertValueOp::create(builder, loc, value, zero, ArrayRef<int64_t>{2});
  value = LLVM::InsertValueOp::create(builder, loc, value, bound, ArrayRef<int64_t>{3, 0});
  value = LLVM::InsertValueOp::create(builder, loc, value, one, ArrayRef<int64_t>{4, 0});
  auto bytesType = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
  Value bytes = UnrealizedConversionCastOp::create(builder, loc, bytesType, value).getResult(0);
  if (type == bytesType)
    return bytes;
  Value shift = arith::ConstantIndexOp::create(builder, loc, 0);
  return memref::ViewOp::create(builder, loc, type, bytes, shift, dynamicSizes);
}

int64_t graft::bytesInBuffer(Type type) {
  if (type.isIndex())
    return 8;
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.getNumElements() * bytesInBuffer(vector.getElementType());
  return llvm::divideCeil(type.getIntOrFloatBitWidth(), 8);
}

Value graft::bufferBytes(OpBuilder &builder, Location loc, MemRefType type,
                         ValueRange dynamicSizes) {
  int64_t fixed = bytesInBuffer(type.getElementType());
  for (int64_t size : type.getShape())
    if (!ShapedType::isDynamic(size))
      fixed *= size;
  Value bytes = arith::ConstantIndexOp::create(builder, loc, fixed);
  for (Value size : dynamicSizes)
    bytes = arith::MulIOp::create(builder, loc, bytes, size);
  return bytes;
}
