//===- TopP.cpp - A router that takes as many modules as it needs -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Modular.h"
#include "graft/Onnx/GraphBuilder.h"

#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

#include "TopP.h.inc"

using namespace mlir;
namespace onnx = graft::onnx;

#include "TopP.cpp.inc"

void topp::TopPDialect::initialize() {
  addOperations<
#include "TopP.list.inc"
      >();
}

/// As many slots as may be needed. The op is not verified yet: an attribute may have any value.
LogicalResult topp::SelectOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                               Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto scores = cast<RankedTensorType>(adaptor.getScores().getType());
  const int64_t most = adaptor.getMost();
  if (scores.getRank() != 2 || most < 1)
    return emitOptionalError(loc,
                             "expects scores of (rows, modules) and most of at least 1, found ",
                             scores, " and ", most);
  types.push_back(scores.clone({scores.getDimSize(0), most}, IntegerType::get(context, 64)));
  return success();
}

LogicalResult topp::SelectOp::verify() {
  double p = getP().convertToDouble();
  if (!(p > 0 && p <= 1))
    return emitOpError() << "expects p above 0 and at most 1, found " << p;
  RankedTensorType scores = getScores().getType();
  if (scores.isDynamicDim(1) || int64_t(getMost()) > scores.getDimSize(1))
    return emitOpError() << "expects scores of at least " << getMost() << " modules, found "
                         << scores;
  return success();
}

Value topp::SelectOp::buildStep(OpBuilder &builder, ValueRange operands) {
  onnx::GraphBuilder b(getLoc(), builder);
  Value shares = b.softmax(operands[0]);
  auto [greatest, numbers] = b.topK(shares, getMost());
  // A module is needed if those before it do not reach p.
  Value before = b.binary<onnx::SubOp>(b.cumulativeSum(greatest, 1), greatest);
  Value isNeeded = b.predicate<onnx::LessOp>(before, b.number(getP().convertToDouble(), before));
  return b.where(isNeeded, numbers, b.number(-1, numbers));
}

extern "C" DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "TopP", "1.0",
          [](DialectRegistry *registry) { registry->insert<topp::TopPDialect>(); }};
}

extern "C" PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "TopP", "1.0", [] {}};
}
