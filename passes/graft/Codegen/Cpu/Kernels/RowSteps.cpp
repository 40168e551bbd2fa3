//===- RowSteps.cpp - Steps over a row by vectors ----------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/RowSteps.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace graft;

RowSteps::RowSteps(KernelBuilder &b, Value size) : b(b), size(size) {
  Value lanes = b.index(b.target.lanes);
  IntegerAttr known;
  fixed = matchPattern(size, m_Constant(&known));
  whole = b.mul(b.div(size, lanes), lanes);
  if (fixed) {
    int64_t rest = known.getInt() % b.target.lanes;
    hasRest = rest != 0;
    whole = b.index(known.getInt() - rest);
  }
  if (hasRest)
    mask = b.lanesBelow(b.sub(size, whole));
}

RowSteps::Values RowSteps::each(ValueRange inits,
                                function_ref<Values(Value, ValueRange, Value)> body) {
  Values carried = b.loop(b.index(0), whole, b.target.lanes, inits,
                          [&](Value i, ValueRange values) { return body(i, values, Value()); });
  return hasRest ? body(whole, carried, mask) : carried;
}

Value graft::rowSize(KernelBuilder &b, Value rows) {
  int64_t size = cast<MemRefType>(rows.getType()).getDimSize(1);
  return ShapedType::isDynamic(size) ? b.dim(rows, 1) : b.index(size);
}

KernelCall::Work graft::planRows(KernelBuilder &b, Value rows, int64_t perNs) {
  return {b.dim(rows, 0), b.add(b.div(rowSize(b, rows), b.index(perNs)), 1)};
}
