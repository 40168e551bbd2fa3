//===- StageDestinations.cpp - Results into the caller's memory --*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Cpu/SymbolText.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace graft {
#define GEN_PASS_DEF_STAGEDESTINATIONSPASS
#define GEN_PASS_DEF_RESOLVEDIMSPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

/// Whether every dimension of `type` is known from its type or from `dims`.
static bool isSized(RankedTensorType type, ArrayAttr dims, const llvm::StringMap<Value> &symbols) {
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!type.isDynamicDim(i))
      continue;
    auto text = dims ? dyn_cast<StringAttr>(dims[i]) : StringAttr();
    if (!text || !isSymbolic(text.getValue(), symbols))
      return false;
  }
  return true;
}

/// Whether `value` is what `start` becomes through updates in place, as far as can be seen.
static bool updatesInPlace(Value value, Value start) {
  while (value != start) {
    auto result = dyn_cast<OpResult>(value);
    if (!result)
      return false;
    Operation *op = result.getOwner();
    if (auto style = dyn_cast<DestinationStyleOpInterface>(op))
      value = style.getTiedOpOperand(result)->get();
    else if (auto insert = dyn_cast<tensor::InsertOp>(op))
      value = insert.getDest();
    else if (auto loop = dyn_cast<scf::ForOp>(op))
      value = loop.getInitArgs()[result.getResultNumber()];
    else
      return false;
  }
  return true;
}

namespace {
struct StageDestinations : graft::impl::StageDestinationsPassBase<StageDestinations> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (!isStage(func))
      return;
    if (!func.getBody().hasOneBlock()) {
      func.emitError("a stage function must have a single block");
      return signalPassFailure();
    }
    func.walk([](scf::ForOp loop) { tieCarriedValues(loop); });

    OpBuilder builder(func.getContext());
    for (BlockArgument arg : func.getArguments())
      if (isa<TensorType>(arg.getType()))
        func.setArgAttr(arg.getArgNumber(), bufferization::BufferizationDialect::kWritableAttrName,
                        builder.getBoolAttr(false));

    auto returned = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    llvm::StringMap<Value> symbols = stageSymbols(func);
    SmallVector<Value> kept;
    SmallVector<DictionaryAttr> keptAttrs;
    SmallVector<Attribute> outputs;
    for (unsigned i = 0; i < returned.getNumOperands(); ++i) {
      Value value = returned.getOperand(i);
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (!type) {
        func.emitError() << "result " << i << " of a stage must be a ranked tensor, found "
                         << value.getType();
        return signalPassFailure();
      }
      auto dims = func.getResultAttrOfType<ArrayAttr>(i, kDimsAttr);
      if (dims && int64_t(dims.size()) != type.getRank()) {
        func.emitError() << "result " << i << " has " << dims.size() << " " << kDimsAttr
                         << " for the " << type.getRank() << " dimensions of " << type;
        return signalPassFailure();
      }
      SmallVector<NamedAttribute> attrs{
          builder.getNamedAttr(kOutputAttr, builder.getI64IntegerAttr(i))};
      if (dims)
        attrs.push_back(builder.getNamedAttr(kDimsAttr, dims));
      auto memref = MemRefType::get(type.getShape(), type.getElementType());
      if (isSized(type, dims, symbols)) {
        unsigned index = func.getNumArguments();
        (void)func.insertArgument(index, memref, builder.getDictionaryAttr(attrs), value.getLoc());
        writeTo(returned, value, func.getArgument(index));
        outputs.push_back(builder.getBoolAttr(true));
        continue;
      }
      builder.setInsertionPoint(returned);
      SmallVector<Value> sizes;
      for (int64_t d = 0; d < type.getRank(); ++d)
        if (type.isDynamicDim(d))
          sizes.push_back(tensor::DimOp::create(builder, value.getLoc(), value, d));
      Value buffer = memref::AllocOp::create(builder, value.getLoc(), memref, sizes);
      writeTo(returned, value, buffer);
      kept.push_back(buffer);
      keptAttrs.push_back(builder.getDictionaryAttr(attrs));
      outputs.push_back(builder.getBoolAttr(false));
    }
    builder.setInsertionPoint(returned);
    func::ReturnOp::create(builder, returned.getLoc(), kept);
    returned.erase();
    func.setType(builder.getFunctionType(func.getArgumentTypes(), ValueRange(kept).getTypes()));
    func.setAllResultAttrs(keptAttrs);
    func->setAttr(kOutputsAttr, builder.getArrayAttr(outputs));
  }

  /// At the end of the function, `value` has to be in `buffer`, all of which is overwritten.
  static void writeTo(func::ReturnOp returned, Value value, Value buffer) {
    // An op that only splits dimensions writes what it splits to the same memory: its source can
    // then be computed there.
    OpBuilder builder(returned);
    if (isa<BlockArgument>(buffer))
      builder.setInsertionPointToStart(returned->getBlock());
    while (auto expand = value.getDefiningOp<tensor::ExpandShapeOp>()) {
      buffer = memref::CollapseShapeOp::create(builder, expand.getLoc(), buffer,
                                               expand.getReassociationIndices());
      value = expand.getSrc();
      auto type = cast<RankedTensorType>(value.getType());
      auto memref = MemRefType::get(type.getShape(), type.getElementType());
      if (buffer.getType() != memref)
        buffer = memref::CastOp::create(builder, expand.getLoc(), memref, buffer);
    }
    builder.setInsertionPoint(returned);
    auto write = bufferization::MaterializeInDestinationOp::create(
        builder, returned.getLoc(), /*result=*/Type(), value, buffer);
    write.setRestrict(true);
    write.setWritable(true);
  }

  /// Bufferisation wants the value that an iteration yields to be in the buffer that it began with.
  static void tieCarriedValues(scf::ForOp loop) {
    auto yield = cast<scf::YieldOp>(loop.getBody()->getTerminator());
    for (auto [operand, arg] : llvm::zip(yield->getOpOperands(), loop.getRegionIterArgs())) {
      if (!isa<RankedTensorType>(arg.getType()) || updatesInPlace(operand.get(), arg))
        continue;
      OpBuilder builder(yield);
      auto copy = linalg::CopyOp::create(builder, yield.getLoc(), operand.get(), arg);
      operand.set(copy.getResult(0));
    }
  }
};

struct ResolveDims : graft::impl::ResolveDimsPassBase<ResolveDims> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    llvm::StringMap<Value> symbols = stageSymbols(func);
    if (func.isExternal() || symbols.empty())
      return;
    OpBuilder builder(func.getContext());
    llvm::StringMap<Value> known;
    builder.setInsertionPointToStart(&func.getBody().front());
    auto resolve = [&](Value source, std::optional<int64_t> index) -> Value {
      auto arg = dyn_cast<BlockArgument>(source);
      if (!arg || arg.getOwner() != &func.getBody().front() || !index)
        return {};
      auto dims = func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), kDimsAttr);
      if (!dims || *index < 0 || *index >= int64_t(dims.size()))
        return {};
      auto text = dyn_cast<StringAttr>(dims[*index]);
      if (!text || !isSymbolic(text.getValue(), symbols))
        return {};
      Value &value = known[text.getValue()];
      if (!value)
        value = buildSymbolText(builder, func.getLoc(), text.getValue(), symbols);
      return value;
    };
    func.walk([&](Operation *op) {
      Value dimension;
      if (auto dim = dyn_cast<tensor::DimOp>(op))
        dimension = resolve(dim.getSource(), dim.getConstantIndex());
      else if (auto dim = dyn_cast<memref::DimOp>(op))
        dimension = resolve(dim.getSource(), dim.getConstantIndex());
      if (!dimension)
        return;
      op->replaceAllUsesWith(ValueRange(dimension));
      op->erase();
    });
  }
};
} // namespace
