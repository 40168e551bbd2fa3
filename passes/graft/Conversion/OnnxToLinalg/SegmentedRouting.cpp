//===- SegmentedRouting.cpp - Modules on the rows that take them, together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Routing.h"

#include "graft/Dispatch/Dispatch.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;
using dispatch::SegmentedMatmulOp;

namespace {
/// Lowers one apply to a plan and segmented matmuls.
class SegmentedLowering {
public:
  SegmentedLowering(Lowering &l, modular::ApplyOp apply, modular::RouteOfOp route)
      : l(l), apply(apply), chosen(l.get(route.getChosen())),
        slots(apply.getRoute().getType().getSlots()), rows(chosen.dims[0] * Polynomial(slots)) {}

  FailureOr<SegmentedParts> run(ArrayRef<SegmentedOp> ops);

private:
  void plan();
  void product(const SegmentedOp &op);
  void shift(const SegmentedOp &op);
  SmallVector<Value> get(ArrayRef<Value> values) {
    return llvm::map_to_vector(values, [&](Value value) { return l.get(value).value; });
  }
  /// Replaces the product behind `rows` by one whose epilogue also applies `op` to the sum and a
  /// vector of each module's.
  void extend(Value rows, Value result, ArrayRef<Value> vectors,
              llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> op);
  void emit(Value result, Value input, Value order, int64_t slots, ArrayRef<Value> matrices,
            ArrayRef<Value> vectors, bool transposed,
            llvm::function_ref<Value(OpBuilder &, Location, ValueRange)> epilogue);

  Lowering &l;
  modular::ApplyOp apply;
  const Tensor chosen;
  const int64_t slots;
  const Polynomial rows; ///< positions: a place for each slot of each row
  Value order, offsets, position;
  llvm::DenseMap<Value, SegmentedMatmulOp> products; ///< by the value in the first body
};
} // namespace

void SegmentedLowering::plan() {
  Type place = l.b.getI32Type();
  const int64_t modules = apply.getBodies().size();
  auto plan = dispatch::PlanOp::create(l.b, chosen.value, l.empty(rows, place).value,
                                       l.empty(Polynomial(modules + 1), place).value,
                                       l.empty(chosen.dims, place).value);
  order = plan.getResults()[0];
  offsets = plan.getResults()[1];
  position = plan.getResults()[2];
}

void SegmentedLowering::emit(
    Value result, Value input, Value order, int64_t slots, ArrayRef<Value> matrices,
    ArrayRef<Value> vectors, bool transposed,
    llvm::function_ref<Value(OpBuilder &, Location, ValueRange)> epilogue) {
  Tensor init = l.empty(l.dims(result), l.element(result));
  auto op = SegmentedMatmulOp::create(l.b, input, order, slots, offsets, matrices, ValueRange(),
                                      vectors, init.value, transposed, epilogue);
  products[result] = op;
  l.set(result, {op.getResult(0), init.dims});
}

void SegmentedLowering::product(const SegmentedOp &op) {
  Operation *first = op.ops.front();
  Value x = first->getOperand(0);
  auto gemm = dyn_cast<onnx::GemmOp>(first);
  // The rows of an input are gathered by the product; what follows stands in order already.
  auto argument = dyn_cast<BlockArgument>(x);
  Value input = argument ? l.get(apply.getInputs()[argument.getArgNumber()]).value : l.get(x).value;
  emit(first->getResult(0), input, argument ? order : Value(), argument ? slots : 1,
       get(op.operand(1)), {}, gemm && gemm.getTransB() != 0, nullptr);
  if (gemm && gemm.getC())
    extend(first->getResult(0), first->getResult(0), get(op.operand(2)),
           [](ImplicitLocOpBuilder &b, Value sum, Value bias) { return add(b, sum, bias); });
}

void SegmentedLowering::extend(Value rows, Value result, ArrayRef<Value> vectors,
                               llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> op) {
  SegmentedMatmulOp old = products.lookup(rows);
  SmallVector<Value> all(old.getSegmentExtras());
  llvm::append_range(all, vectors);
  emit(result, old.getInput(), old.getOrder(), old.getSlots(), SmallVector<Value>(old.getWeights()),
       all, old.getTransposed(), [&](OpBuilder &builder, Location loc, ValueRange arguments) {
         Value sum = arguments.front();
         if (!old.getEpilogue().empty()) {
           Block &block = old.getEpilogue().front();
           IRMapping mapping;
           mapping.map(block.getArguments(), arguments.drop_back());
           for (Operation &inner : block.without_terminator())
             builder.clone(inner, mapping);
           sum = mapping.lookup(block.getTerminator()->getOperand(0));
         }
         ImplicitLocOpBuilder b(loc, builder);
         return op(b, sum, arguments.back());
       });
}

void SegmentedLowering::shift(const SegmentedOp &op) {
  Operation *first = op.ops.front();
  const unsigned rows = products.contains(first->getOperand(0)) ? 0 : 1;
  extend(first->getOperand(rows), first->getResult(0), get(op.operand(1 - rows)),
         [&](ImplicitLocOpBuilder &b, Value sum, Value vector) {
           if (isa<onnx::AddOp>(first))
             return add(b, sum, vector);
           return isa<onnx::SubOp>(first) ? sub(b, sum, vector) : mul(b, sum, vector);
         });
}

FailureOr<SegmentedParts> SegmentedLowering::run(ArrayRef<SegmentedOp> ops) {
  plan();
  Block &body = apply.getBodies().front().front();
  for (auto [argument, value] : llvm::zip(body.getArguments(), apply.getInputs())) {
    Tensor input = l.get(value);
    l.checkEqual(input.dims[0], chosen.dims[0], "an input has another number of rows");
    Tensor init = l.empty({rows, input.dims[1]}, input.element());
    auto gather = dispatch::GatherOp::create(l.b, input.value, order, offsets, init.value, slots);
    l.set(argument, {gather.getResult(0), init.dims});
  }
  Location loc = l.b.getLoc();
  for (const SegmentedOp &op : ops) {
    l.b.setLoc(op.ops.front()->getLoc());
    if (op.kind == SegmentedOp::Product)
      product(op);
    else if (op.kind == SegmentedOp::Shift)
      shift(op);
    else if (failed(l.lower(op.ops.front())))
      return failure();
  }
  l.b.setLoc(loc);
  return SegmentedParts{l.get(body.getTerminator()->getOperand(0)), {position, chosen.dims}};
}

FailureOr<SegmentedParts> graft::lowering::lowerSegmented(Lowering &l, modular::ApplyOp apply,
                                                          modular::RouteOfOp route,
                                                          ArrayRef<SegmentedOp> ops) {
  return SegmentedLowering(l, apply, route).run(ops);
}
