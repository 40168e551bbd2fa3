//===- SortingOps.cpp - TopK -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

static Value precedes(B &b, Value x, Value y, bool largest, bool isUnsigned) {
  if (isa<FloatType>(x.getType()))
    return arith::CmpFOp::create(b, largest ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT,
                                 x, y);
  using P = arith::CmpIPredicate;
  return arith::CmpIOp::create(
      b, isUnsigned ? (largest ? P::ugt : P::ult) : (largest ? P::sgt : P::slt), x, y);
}

/// Picks k times the best element that comes after the one picked before, in the order of value and
/// then of position: no memory, no sorting, and the lower index first among equals.
static LogicalResult lowerTopK(Lowering &l, onnx::TopKOp op) {
  Tensor x = l.get(op.getX());
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  auto k = l.shapes.elements(op.getK());
  if (axis < 0 || axis >= x.rank() || !k || k->size() != 1)
    return l.unsupported(op, "an axis out of range, or a k that is not one integer");
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  std::swap(perm[axis], perm.back());
  Tensor moved = l.transpose(x, perm);
  Polynomial rows = product(ArrayRef<Polynomial>(moved.dims).drop_back());
  Tensor flat = l.reshape(moved, {rows, moved.dims.back()});
  Dims outDims{rows, k->front()};
  B &b = l.b;
  Type type = x.element(), i64 = b.getI64Type();
  bool largest = op.getLargest() != 0, isUnsigned = l.isUnsigned(op.getX());
  Value zero = l.index(0), one = l.index(1), size = l.index(moved.dims.back());
  Value count = l.index(k->front());
  l.check(arith::CmpIOp::create(b, arith::CmpIPredicate::sle, count, size),
          "k is more than the dimension has");
  Value nothing = l.scalar(i64, -1), any = l.scalar(zeroOf(type));
  Tensor values = l.empty(outDims, type), positions = l.empty(outDims, i64);
  auto overRows =
      scf::ForOp::create(b, zero, l.index(rows), one, ValueRange{values.value, positions.value});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(overRows.getBody());
    Value row = overRows.getInductionVar();
    auto overPicks = scf::ForOp::create(
        b, zero, count, one,
        ValueRange{overRows.getRegionIterArgs()[0], overRows.getRegionIterArgs()[1], any, nothing});
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(overPicks.getBody());
      ValueRange so = overPicks.getRegionIterArgs();
      Value lastValue = so[2], lastAt = so[3];
      auto scan = scf::ForOp::create(b, zero, size, one, ValueRange{any, nothing});
      {
        OpBuilder::InsertionGuard innermost(b);
        b.setInsertionPointToStart(scan.getBody());
        Value j = arith::IndexCastOp::create(b, i64, scan.getInductionVar());
        Value element =
            tensor::ExtractOp::create(b, flat.value, ValueRange{row, scan.getInductionVar()});
        Value best = scan.getRegionIterArgs()[0], bestAt = scan.getRegionIterArgs()[1];
        auto isNone = [&](Value at) -> Value {
          return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, at, number(b, at, 0));
        };
        // After the last pick: worse, or as good and further on.
        Value worse = precedes(b, lastValue, element, largest, isUnsigned);
        Value better = precedes(b, element, lastValue, largest, isUnsigned);
        Value further = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, j, lastAt);
        Value notBetter = arith::XOrIOp::create(b, better, number(b, better, 1));
        Value after = arith::OrIOp::create(b, worse, arith::AndIOp::create(b, notBetter, further));
        after = arith::OrIOp::create(b, after, isNone(lastAt));
        Value wins = arith::OrIOp::create(b, isNone(bestAt),
                                          precedes(b, element, best, largest, isUnsigned));
        Value take = arith::AndIOp::create(b, after, wins);
        scf::YieldOp::create(b, ValueRange{arith::SelectOp::create(b, take, element, best),
                                           arith::SelectOp::create(b, take, j, bestAt)});
      }
      Value slot = overPicks.getInductionVar();
      Value best = scan.getResult(0), bestAt = scan.getResult(1);
      Value nextValues = tensor::InsertOp::create(b, best, so[0], ValueRange{row, slot});
      Value nextPositions = tensor::InsertOp::create(b, bestAt, so[1], ValueRange{row, slot});
      scf::YieldOp::create(b, ValueRange{nextValues, nextPositions, best, bestAt});
    }
    scf::YieldOp::create(b, ValueRange{overPicks.getResult(0), overPicks.getResult(1)});
  }
  Dims wide = moved.dims;
  wide.back() = k->front();
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    l.set(result, l.transpose(l.reshape({overRows.getResult(i), outDims}, wide), perm));
  return success();
}

void graft::lowering::addSorting(Table &table) { table.add(lowerTopK); }
