//===- Exchange.cpp - Routes between code and host -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Dispatch/Exchange.h"
#include "graft/Dispatch/Verify.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace graft::dispatch;
using namespace graft::dispatch::detail;

#define GET_OP_CLASSES
#include "graft/Dispatch/DispatchExchange.cpp.inc"

namespace {
/// Who looks at routes.
struct ObserverResource : SideEffects::Resource::Base<ObserverResource> {
  StringRef getName() final { return "GraftRouteObserver"; }
};

/// The same op on buffers, which the host may change in place.
struct ExchangeInterface
    : public BufferizableOpInterface::ExternalModel<ExchangeInterface, ExchangeOp> {
  bool bufferizesToMemoryRead(Operation *, OpOperand &, const AnalysisState &) const {
    return true;
  }
  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return llvm::is_contained(cast<ExchangeOp>(op).getRouteOperands(), &operand);
  }
  AliasingValueList getAliasingValues(Operation *op, OpOperand &operand,
                                      const AnalysisState &) const {
    if (!llvm::is_contained(cast<ExchangeOp>(op).getRouteOperands(), &operand))
      return {};
    return {{op->getResult(operand.getOperandNumber()), BufferRelation::Equivalent}};
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options, BufferizationState &state) const {
    SmallVector<Value> dense;
    for (Value operand : op->getOperands()) {
      if (!isa<TensorType>(operand.getType())) {
        dense.push_back(operand);
        continue;
      }
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      FailureOr<Value> own = makeDense(*buffer, op->getLoc(), rewriter, options);
      if (failed(own))
        return failure();
      dense.push_back(*own);
    }
    OperationState onBuffers(op->getLoc(), op->getName(), dense, TypeRange{}, op->getAttrs());
    onBuffers.propertiesAttr = op->getPropertiesAsAttribute();
    rewriter.create(onBuffers);
    replaceOpWithBufferizedValues(rewriter, op, ArrayRef(dense).take_front(op->getNumResults()));
    return success();
  }

  /// The buffer, or a copy of it if its elements have gaps: the host knows rows and slots only.
  static FailureOr<Value> makeDense(Value buffer, Location loc, RewriterBase &rewriter,
                                    const BufferizationOptions &options) {
    auto type = cast<MemRefType>(buffer.getType());
    if (type.getLayout().isIdentity())
      return buffer;
    SmallVector<Value> sizes;
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        sizes.push_back(memref::DimOp::create(rewriter, loc, buffer, d));
    FailureOr<Value> copy = options.createAlloc(
        rewriter, loc, MemRefType::get(type.getShape(), type.getElementType()), sizes);
    if (failed(copy) || failed(options.createMemCpy(rewriter, loc, buffer, *copy)))
      return failure();
    return copy;
  }
};
} // namespace

void graft::dispatch::attachExchangeBufferization(MLIRContext *context) {
  ExchangeOp::attachInterface<ExchangeInterface>(*context);
}

SmallVector<OpOperand *> ExchangeOp::getRouteOperands() {
  SmallVector<OpOperand *> operands{&getChosenMutable()};
  for (OpOperand &weights : getWeightsMutable())
    operands.push_back(&weights);
  return operands;
}

void ExchangeOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  bool onBuffers = false;
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    onBuffers = true;
    effects.emplace_back(MemoryEffects::Read::get(), &operand, SideEffects::DefaultResource::get());
    if (llvm::is_contained(getRouteOperands(), &operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand,
                           SideEffects::DefaultResource::get());
  }
  if (onBuffers || getFixed())
    effects.emplace_back(MemoryEffects::Write::get(), ObserverResource::get());
}

LogicalResult ExchangeOp::verify() {
  ShapedType chosen = shaped(getChosen());
  if (failed(verifyMatrices(*this, {{"chosen", chosen}})))
    return failure();
  if (getWeights()) {
    ShapedType weights = shaped(getWeights());
    if (failed(verifyMatrices(*this, {{"weights", weights}})))
      return failure();
    for (int64_t d = 0; d < 2; ++d)
      if (!agree(weights.getDimSize(d), chosen.getDimSize(d)))
        return differ(*this, "weights dimension " + Twine(d), chosen.getDimSize(d),
                      weights.getDimSize(d));
  }
  SmallVector<Type> expected;
  for (OpOperand *operand : getRouteOperands())
    if (isa<TensorType>(operand->get().getType()))
      expected.push_back(operand->get().getType());
  if (TypeRange(expected) != getResultTypes())
    return emitOpError() << "results: expected (" << expected << "), got (" << getResultTypes()
                         << ")";
  if (int64_t(getNumber()) < 0)
    return emitOpError() << "number: expected at least 0, got " << int64_t(getNumber());
  if (getPlaces() && shaped(getPlaces()).getRank() != 1)
    return emitOpError() << "places: expected rank 1, got " << shaped(getPlaces()).getRank();
  if (bool(getPlaces()) != bool(getTotal()))
    return emitOpError() << "expected a total where there are places";
  return success();
}
