//===- FlattenParallel.cpp - The iterations of a loop as one range -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/FlattenParallel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace graft;

FlatRange::FlatRange(OpBuilder &builder, scf::ParallelOp loop) {
  Location loc = loop.getLoc();
  total = arith::ConstantIndexOp::create(builder, loc, 1);
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  for (auto [lower, upper, step] :
       llvm::zip(loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
    Value count = arith::SubIOp::create(builder, loc, upper, lower);
    count = arith::MaxSIOp::create(builder, loc, count, zero);
    if (!matchPattern(step, m_One()))
      count = arith::CeilDivSIOp::create(builder, loc, count, step);
    counts.push_back(count);
    total = arith::MulIOp::create(builder, loc, total, count);
  }
}

void graft::mapIteration(OpBuilder &builder, scf::ParallelOp loop, const FlatRange &range,
                         Value number, IRMapping &mapping) {
  Location loc = loop.getLoc();
  for (unsigned d = loop.getNumLoops(); d-- > 0;) {
    Value index = number;
    if (d > 0) {
      Value count = mapping.lookup(range.counts[d]);
      index = arith::RemUIOp::create(builder, loc, number, count);
      number = arith::DivUIOp::create(builder, loc, number, count);
    }
    Value lower = mapping.lookupOrDefault(loop.getLowerBound()[d]);
    Value step = mapping.lookupOrDefault(loop.getStep()[d]);
    if (!matchPattern(step, m_One()))
      index = arith::MulIOp::create(builder, loc, index, step);
    if (!matchPattern(lower, m_Zero()))
      index = arith::AddIOp::create(builder, loc, index, lower);
    mapping.map(loop.getInductionVars()[d], index);
  }
}
