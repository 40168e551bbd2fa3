//===- LowerStridedCopies.cpp - Copies that are no memcpy --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CodegenPasses.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace graft {
#define GEN_PASS_DEF_LOWERSTRIDEDCOPIESPASS
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"
} // namespace graft

using namespace mlir;

namespace {
struct LowerStridedCopies : graft::impl::LowerStridedCopiesPassBase<LowerStridedCopies> {
  void runOnOperation() override {
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](memref::CopyOp copy) {
      auto from = dyn_cast<MemRefType>(copy.getSource().getType());
      auto to = dyn_cast<MemRefType>(copy.getTarget().getType());
      if (from && to && !(from.getLayout().isIdentity() && to.getLayout().isIdentity()))
        copies.push_back(copy);
    });
    for (memref::CopyOp copy : copies) {
      OpBuilder builder(copy);
      int64_t rank = cast<MemRefType>(copy.getTarget().getType()).getRank();
      AffineMap identity = builder.getMultiDimIdentityMap(rank);
      linalg::GenericOp::create(
          builder, copy.getLoc(), copy.getSource(), copy.getTarget(),
          ArrayRef<AffineMap>{identity, identity},
          SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
          [](OpBuilder &b, Location loc, ValueRange values) {
            linalg::YieldOp::create(b, loc, values.front());
          });
      copy.erase();
    }
  }
};
} // namespace
