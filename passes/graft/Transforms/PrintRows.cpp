//===- PrintRows.cpp - Says whether rows can't see each other -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowIndependence.h"
#include "graft/Transforms/OnnxPasses.h"

namespace graft {
#define GEN_PASS_DEF_PRINTROWSPASS
#include "graft/Transforms/OnnxPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;

namespace {
struct PrintRowsPass : graft::impl::PrintRowsPassBase<PrintRowsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    RowIndependence rows(function);
    if (rows) {
      function.emitRemark("rows are independent");
      return;
    }
    Operation *culprit = rows.getCulprit();
    (culprit ? culprit : function)->emitRemark("rows are not independent: ") << rows.getReason();
  }
};
} // namespace
