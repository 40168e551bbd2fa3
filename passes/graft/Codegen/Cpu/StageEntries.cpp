//===- StageEntries.cpp - The C functions of a stage -------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Fault/Fault.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace graft {
#define GEN_PASS_DEF_STAGEENTRIESPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// struct graft_tensor { void *data; int64_t dims[GRAFT_MAX_RANK]; }
static constexpr int64_t kMaxRank = 8;
static constexpr int64_t kTensorBytes = 8 + 8 * kMaxRank;

namespace {
/// Builds graft_run.STAGE(host, parameters, values, symbols, arena, offsets).
struct EntryBuilder {
  func::FuncOp stage;
  OpBuilder builder;
  Location loc;
  Type pointer;
  Block *body = nullptr;
  SmallVector<Attribute> parameters;

  explicit EntryBuilder(func::FuncOp stage)
      : stage(stage), builder(stage.getContext()), loc(stage.getLoc()),
        pointer(LLVM::LLVMPointerType::get(stage.getContext())) {}

  Value at(Value base, int64_t bytes) {
    return LLVM::GEPOp::create(builder, loc, pointer, builder.getI8Type(), base,
                               ArrayRef<LLVM::GEPArg>{int32_t(bytes)});
  }
  Value loadIndex(Value base, int64_t bytes) {
    Value value = LLVM::LoadOp::create(builder, loc, builder.getI64Type(), at(base, bytes));
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), value);
  }
  Value loadPointer(Value base, int64_t bytes) {
    return LLVM::LoadOp::create(builder, loc, pointer, at(base, bytes));
  }

  FailureOr<Value> value(MemRefType type, int64_t position) {
    if (type.getRank() > kMaxRank)
      return emitUnsupportedFault(stage)
             << "not supported: a value of rank " << type.getRank() << ", above " << kMaxRank;
    Value values = body->getArgument(2);
    SmallVector<Value> sizes;
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        sizes.push_back(loadIndex(values, position * kTensorBytes + 8 + 8 * d));
    return viewPointer(builder, loc, loadPointer(values, position * kTensorBytes), type, sizes);
  }

  LogicalResult parameter(unsigned argument, int64_t slot, MemRefType type) {
    if (slot < 0 || slot > (1 << 20))
      return stage.emitError() << "slot " << slot << " is out of range";
    if (!type.hasStaticShape())
      return stage.emitError() << "the weight in slot " << slot << " has no static shape";
    if (int64_t(parameters.size()) <= slot)
      parameters.resize(slot + 1, builder.getUnitAttr());
    SmallVector<NamedAttribute> fields{builder.getNamedAttr(
        "type", TypeAttr::get(RankedTensorType::get(type.getShape(), type.getElementType())))};
    int64_t source = slot;
    if (auto packing = stage.getArgAttrOfType<DictionaryAttr>(argument, kPackingAttr)) {
      if (auto from = packing.getAs<IntegerAttr>("source"))
        source = from.getInt();
      fields.push_back(builder.getNamedAttr("packing", packing));
    }
    fields.push_back(builder.getNamedAttr("source", builder.getI64IntegerAttr(source)));
    parameters[slot] = builder.getDictionaryAttr(fields);
    return success();
  }

  LogicalResult build() {
    builder.setInsertionPointAfter(stage);
    auto run = func::FuncOp::create(
        builder, loc, ("graft_run." + stage.getName()).str(),
        builder.getFunctionType(SmallVector<Type>(6, pointer), builder.getI32Type()));
    body = run.addEntryBlock();
    builder.setInsertionPointToStart(body);

    int64_t inputs = 0;
    for (unsigned i = 0; i < stage.getNumArguments(); ++i)
      inputs += isInput(i);
    SmallVector<Value> operands;
    int64_t input = 0, symbol = 0;
    for (unsigned i = 0; i < stage.getNumArguments(); ++i) {
      Type type = stage.getArgumentTypes()[i];
      if (auto role = stage.getArgAttrOfType<StringAttr>(i, kRoleAttr)) {
        if (role.getValue() == "host")
          operands.push_back(body->getArgument(0));
        else
          operands.push_back(viewOf(body->getArgument(role.getValue() == "arena" ? 4 : 5),
                                    cast<MemRefType>(type)));
        continue;
      }
      if (stage.getArgAttr(i, kSymbolAttr)) {
        operands.push_back(loadIndex(body->getArgument(3), 8 * symbol++));
        continue;
      }
      auto memref = dyn_cast<MemRefType>(type);
      if (!memref || !memref.getLayout().isIdentity())
        return stage.emitError() << "argument " << i
                                 << " of a stage must be a tensor or a symbol, found " << type;
      if (auto slot = stage.getArgAttrOfType<IntegerAttr>(i, kSlotAttr)) {
        if (failed(parameter(i, slot.getInt(), memref)))
          return failure();
        operands.push_back(viewOf(loadPointer(body->getArgument(1), 8 * slot.getInt()), memref));
        continue;
      }
      auto output = stage.getArgAttrOfType<IntegerAttr>(i, kOutputAttr);
      FailureOr<Value> view = value(memref, output ? inputs + output.getInt() : input++);
      if (failed(view))
        return failure();
      operands.push_back(*view);
    }
    auto call = func::CallOp::create(builder, loc, stage, operands);
    storeResults(call, inputs);
    Value zero = arith::ConstantIntOp::create(builder, loc, 0, 32);
    func::ReturnOp::create(builder, loc, zero);
    run->setAttr(kParametersAttr, builder.getArrayAttr(parameters));
    run->setAttr(kBuffersAttr, stage->hasAttr(kBuffersAttr)
                                   ? stage->getAttr(kBuffersAttr)
                                   : Attribute(builder.getDenseI64ArrayAttr({})));
    return success();
  }

  bool isInput(unsigned i) {
    return !stage.getArgAttr(i, kRoleAttr) && !stage.getArgAttr(i, kSymbolAttr) &&
           !stage.getArgAttr(i, kSlotAttr) && !stage.getArgAttr(i, kOutputAttr);
  }

  /// The arena's size does not matter: nobody asks for it.
  Value viewOf(Value memory, MemRefType type) {
    return viewPointer(builder, loc, memory, type, {});
  }

  /// The outputs that the stage allocated.
  void storeResults(func::CallOp call, int64_t inputs) {
    LLVMTypeConverter converter(stage.getContext());
    Value values = body->getArgument(2);
    for (auto [index, result] : llvm::enumerate(call.getResults())) {
      auto type = cast<MemRefType>(result.getType());
      auto number = stage.getResultAttrOfType<IntegerAttr>(index, kOutputAttr);
      int64_t position = (inputs + number.getInt()) * kTensorBytes;
      Type structType = converter.convertType(type);
      MemRefDescriptor descriptor(
          UnrealizedConversionCastOp::create(builder, loc, structType, result).getResult(0));
      LLVM::StoreOp::create(builder, loc, descriptor.alignedPtr(builder, loc),
                            at(values, position));
      for (int64_t d = 0; d < type.getRank(); ++d)
        LLVM::StoreOp::create(builder, loc, descriptor.size(builder, loc, d),
                              at(values, position + 8 + 8 * d));
    }
  }
};

struct StageEntries : graft::impl::StageEntriesPassBase<StageEntries> {
  void runOnOperation() override {
    SmallVector<func::FuncOp> stages;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (isStage(func))
        stages.push_back(func);
    for (func::FuncOp func : stages) {
      if (!stageArgument(func, "host") || !stageArgument(func, "arena")) {
        func.emitError(
            "a stage needs graft-plan-arena and graft-outline-parallel before its entry");
        return signalPassFailure();
      }
      if (failed(EntryBuilder(func).build()))
        return signalPassFailure();
      func.setPrivate();
    }
  }
};
} // namespace
