//===- Bufferization.cpp - Dispatch ops from tensors to memrefs -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace graft::dispatch;

namespace {
/// The same op on buffers: it fills the init's buffer, which replaces the result.
template <typename OpTy>
struct DestinationInterface
    : public DstBufferizableOpInterfaceExternalModel<DestinationInterface<OpTy>, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options, BufferizationState &state) const {
    auto destination = cast<DestinationStyleOpInterface>(op);
    if (destination.hasPureBufferSemantics())
      return success();
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      if (!isa<TensorType>(operand.getType())) {
        operands.push_back(operand);
        continue;
      }
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
    }
    OperationState newState(op->getLoc(), op->getName(), operands, TypeRange{}, op->getAttrs());
    // Segment sizes live in the properties; the empty results have their default.
    newState.propertiesAttr = op->getPropertiesAsAttribute();
    for (Region &region : op->getRegions())
      newState.addRegion()->takeBody(region);
    Operation *buffers = rewriter.create(newState);
    replaceOpWithBufferizedValues(
        rewriter, op,
        cast<DestinationStyleOpInterface>(buffers).getDpsInits().take_front(op->getNumResults()));
    return success();
  }
};
} // namespace

void graft::dispatch::attachBufferization(MLIRContext *context) {
  MatmulOp::attachInterface<DestinationInterface<MatmulOp>>(*context);
  PlanOp::attachInterface<DestinationInterface<PlanOp>>(*context);
  GatherOp::attachInterface<DestinationInterface<GatherOp>>(*context);
  SegmentedMatmulOp::attachInterface<DestinationInterface<SegmentedMatmulOp>>(*context);
  CombineOp::attachInterface<DestinationInterface<CombineOp>>(*context);
  BatchMatmulOp::attachInterface<DestinationInterface<BatchMatmulOp>>(*context);
  AttentionOp::attachInterface<DestinationInterface<AttentionOp>>(*context);
  SoftmaxOp::attachInterface<DestinationInterface<SoftmaxOp>>(*context);
  LayerNormOp::attachInterface<DestinationInterface<LayerNormOp>>(*context);
}
