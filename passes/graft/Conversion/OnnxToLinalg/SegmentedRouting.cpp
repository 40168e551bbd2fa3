//===- SegmentedRouting.cpp - Modules on the rows that take them, together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// There is one plan for an apply, whatever its modules: they are numbered class by class, so that
// the rows of a class stand side by side. A class computes its rows and puts them where they stand
// among all; what is summed later, in the order of the slots, does not know of classes.
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Routing.h"

#include "graft/Dispatch/Dispatch.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;
using dispatch::SegmentedMatmulOp;

namespace {
/// Rows that stand sorted by module, in which order, and where each module's begin.
struct Rows {
  Value order, offsets;
  Polynomial count;
};

/// Lowers the bodies of a class in lockstep: a product with each module's own matrix becomes a
/// segmented one, all else is computed for all rows at once.
class LockstepLowering {
public:
  /// `gathered` is what products read rows from, instead of the arguments, if it is not null.
  LockstepLowering(Lowering &l, Rows rows, modular::ApplyOp gathered, int64_t slots)
      : l(l), rows(rows), gathered(gathered), slots(slots) {}

  LogicalResult run(ArrayRef<SegmentedOp> ops);

private:
  void product(const SegmentedOp &op);
  void shift(const SegmentedOp &op);
  SmallVector<Value> get(ArrayRef<Value> values) {
    return llvm::map_to_vector(values, [&](Value value) { return l.get(value).value; });
  }
  /// The offsets of the modules' vectors, of which a row has `each`.
  Value offsetsOf(const Polynomial &each);
  /// Replaces the product behind `x` by one whose epilogue also applies `op` to the sum and a
  /// vector of each module's.
  void extend(Value x, Value result, ArrayRef<Value> vectors,
              llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> op);
  void emit(Value result, Value input, Value order, Value offsets, ArrayRef<Value> matrices,
            ArrayRef<Value> vectors, bool transposed,
            llvm::function_ref<Value(OpBuilder &, Location, ValueRange)> epilogue);

  Lowering &l;
  const Rows rows;
  modular::ApplyOp gathered;
  const int64_t slots;
  std::map<Polynomial, Value> offsets;
  llvm::DenseMap<Value, SegmentedMatmulOp> products; ///< by the value in the first body
};

/// Lowers one apply.
class PartsLowering {
public:
  PartsLowering(Lowering &l, modular::ApplyOp apply, const Segmentation &segmentation)
      : l(l), apply(apply), segmentation(segmentation),
        slots(apply.getRoute().getType().getSlots()) {}

  FailureOr<Parts> run();

private:
  void plan();
  Tensor renumber(Tensor chosen);
  Value index(int64_t value) { return arith::ConstantIndexOp::create(l.b, value); }
  /// Element `number` of the plan's offsets.
  Value offset(int64_t number);
  FailureOr<Tensor> lowerWhole(const ModuleClass &modules);
  /// The parts with those of a class in their places; `first` is its first module's new number.
  FailureOr<Value> lowerFilled(const ModuleClass &modules, int64_t first, Value parts);
  FailureOr<Tensor> lowerRows(const ModuleClass &modules, int64_t first, Value begin, Value count);
  void gather(ValueRange inputs, ValueRange arguments, const Rows &rows);
  ArrayRef<Polynomial> partDims() { return l.dims(apply.getParts()); }

  Lowering &l;
  modular::ApplyOp apply;
  const Segmentation &segmentation;
  const int64_t slots;
  Value order, offsets;
  Tensor position;
};
} // namespace

//===----------------------------------------------------------------------===//
// Bodies in lockstep
//===----------------------------------------------------------------------===//

/// The vectors along the last dimension.
static Dims asVectors(ArrayRef<Polynomial> dims) {
  return {product(dims.drop_back()), dims.back()};
}

Value LockstepLowering::offsetsOf(const Polynomial &each) {
  if (each.isConstant(1))
    return rows.offsets;
  Value &scaled = offsets[each];
  if (!scaled) {
    Tensor from{rows.offsets, {cast<RankedTensorType>(rows.offsets.getType()).getDimSize(0)}};
    Value factor = l.index(each);
    scaled = l.map({from}, from.dims, from.element(),
                   [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                     Value by = arith::IndexCastOp::create(b, v[0].getType(), factor);
                     return arith::MulIOp::create(b, v[0], by);
                   })
                 .value;
  }
  return scaled;
}

void LockstepLowering::emit(Value result, Value input, Value order, Value offsets,
                            ArrayRef<Value> matrices, ArrayRef<Value> vectors, bool transposed,
                            llvm::function_ref<Value(OpBuilder &, Location, ValueRange)> epilogue) {
  const Dims &dims = l.dims(result);
  Tensor init = l.empty(asVectors(dims), l.element(result));
  auto op = SegmentedMatmulOp::create(l.b, input, order, order ? slots : 1, offsets, matrices,
                                      ValueRange(), vectors, init.value, transposed, epilogue);
  products[result] = op;
  l.set(result, l.reshape({op.getResult(0), init.dims}, dims));
}

void LockstepLowering::product(const SegmentedOp &op) {
  Operation *first = op.ops.front();
  Value x = first->getOperand(0);
  auto gemm = dyn_cast<onnx::GemmOp>(first);
  // The rows of an input are gathered by the product; what follows stands in order already.
  auto argument = gathered ? dyn_cast<BlockArgument>(x) : nullptr;
  const Dims &dims = l.dims(x);
  Value input = argument ? l.get(gathered.getInputs()[argument.getArgNumber()]).value
                         : l.reshape(l.get(x), asVectors(dims)).value;
  Polynomial each = graft::product(ArrayRef(dims).drop_front().drop_back());
  emit(first->getResult(0), input, argument ? rows.order : Value(), offsetsOf(each),
       get(op.operand(1)), {}, gemm && gemm.getTransB() != 0, nullptr);
  if (gemm && gemm.getC())
    extend(first->getResult(0), first->getResult(0), get(op.operand(2)),
           [](ImplicitLocOpBuilder &b, Value sum, Value bias) { return add(b, sum, bias); });
}

void LockstepLowering::extend(Value x, Value result, ArrayRef<Value> vectors,
                              llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> op) {
  SegmentedMatmulOp old = products.lookup(x);
  SmallVector<Value> all(old.getSegmentExtras());
  llvm::append_range(all, vectors);
  emit(result, old.getInput(), old.getOrder(), old.getOffsets(),
       SmallVector<Value>(old.getWeights()), all, old.getTransposed(),
       [&](OpBuilder &builder, Location loc, ValueRange arguments) {
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

void LockstepLowering::shift(const SegmentedOp &op) {
  Operation *first = op.ops.front();
  const unsigned x = products.contains(first->getOperand(0)) ? 0 : 1;
  extend(first->getOperand(x), first->getResult(0), get(op.operand(1 - x)),
         [&](ImplicitLocOpBuilder &b, Value sum, Value vector) {
           if (isa<onnx::AddOp>(first))
             return add(b, sum, vector);
           return isa<onnx::SubOp>(first) ? sub(b, sum, vector) : mul(b, sum, vector);
         });
}

LogicalResult LockstepLowering::run(ArrayRef<SegmentedOp> ops) {
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
  return success();
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

/// What is chosen, under the numbers that the modules have class by class.
Tensor PartsLowering::renumber(Tensor chosen) {
  SmallVector<int64_t> number(apply.getBodies().size());
  int64_t next = 0;
  for (const ModuleClass &modules : segmentation.classes)
    for (unsigned module : modules.modules)
      number[module] = next++;
  if (llvm::is_sorted(number))
    return chosen;
  auto type = RankedTensorType::get(next, l.b.getI64Type());
  Value table = arith::ConstantOp::create(l.b, DenseElementsAttr::get(type, ArrayRef(number)));
  return l.map({chosen}, chosen.dims, chosen.element(),
               [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                 Value count = arith::ConstantOp::create(b, b.getI64IntegerAttr(next));
                 Value none = arith::ConstantOp::create(b, b.getI64IntegerAttr(-1));
                 Value zero = arith::ConstantOp::create(b, b.getI64IntegerAttr(0));
                 Value is = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, v[0], count);
                 Value safe = arith::SelectOp::create(b, is, v[0], zero);
                 safe = arith::IndexCastOp::create(b, b.getIndexType(), safe);
                 Value to = tensor::ExtractOp::create(b, table, safe);
                 return arith::SelectOp::create(b, is, to, none);
               });
}

void PartsLowering::plan() {
  auto route = cast<modular::RouteOfOp>(apply.getRoute().getDefiningOp());
  Tensor chosen = l.get(route.getChosen());
  Type place = l.b.getI32Type();
  const int64_t modules = apply.getBodies().size();
  for (Value input : apply.getInputs())
    l.checkEqual(l.get(input).dims[0], chosen.dims[0], "an input has another number of rows");
  auto plan = dispatch::PlanOp::create(
      l.b, renumber(chosen).value, l.empty(chosen.dims[0] * Polynomial(slots), place).value,
      l.empty(Polynomial(modules + 1), place).value, l.empty(chosen.dims, place).value);
  order = plan.getResults()[0];
  offsets = plan.getResults()[1];
  position = {plan.getResults()[2], chosen.dims};
}

Value PartsLowering::offset(int64_t number) {
  Value place = tensor::ExtractOp::create(l.b, offsets, index(number));
  return arith::IndexCastOp::create(l.b, l.b.getIndexType(), place);
}

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

/// Sets the arguments of a body to the rows that take it.
void PartsLowering::gather(ValueRange inputs, ValueRange arguments, const Rows &rows) {
  for (auto [value, argument] : llvm::zip(inputs, arguments)) {
    Tensor input = l.get(value);
    const Polynomial columns = product(ArrayRef(input.dims).drop_front());
    Tensor flat = l.reshape(input, {input.dims[0], columns});
    Tensor init = l.empty({rows.count, columns}, input.element());
    Value gathered;
    if (isa<FloatType>(input.element())) {
      gathered =
          dispatch::GatherOp::create(l.b, flat.value, rows.order, rows.offsets, init.value, slots)
              .getResult(0);
    } else {
      gathered =
          l.generate(init.dims, input.element(),
                     [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
                       Value slot = tensor::ExtractOp::create(b, rows.order, at[0]);
                       slot = arith::IndexCastOp::create(b, b.getIndexType(), slot);
                       Value by = arith::ConstantIndexOp::create(b, slots);
                       Value row = arith::DivUIOp::create(b, slot, by);
                       return tensor::ExtractOp::create(b, flat.value, ValueRange{row, at[1]});
                     })
              .value;
    }
    l.set(argument, l.reshape({gathered, init.dims}, l.dims(argument)));
  }
}

FailureOr<Tensor> PartsLowering::lowerWhole(const ModuleClass &modules) {
  Block &body = apply.getBodies().front().front();
  Rows rows{order, offsets, l.dims(body.getArgument(0))[0]};
  gather(apply.getInputs(), body.getArguments(), rows);
  if (failed(LockstepLowering(l, rows, apply, slots).run(modules.ops)))
    return failure();
  return l.get(body.getTerminator()->getOperand(0));
}

FailureOr<Tensor> PartsLowering::lowerRows(const ModuleClass &modules, int64_t first, Value begin,
                                           Value count) {
  Block &body = apply.getBodies()[modules.modules.front()].front();
  // The number of rows is read from the first argument: that has to have it before all else.
  BlockArgument sized = body.getArgument(0);
  SmallVector<Value> sizes;
  for (const Polynomial &dim : l.dims(sized))
    if (!dim.asConstant())
      sizes.push_back(sizes.empty() ? count : l.index(dim));
  Value empty = tensor::EmptyOp::create(l.b, l.type(l.dims(sized), l.element(sized)), sizes);
  l.set(sized, {empty, l.dims(sized)});

  const int64_t members = modules.modules.size();
  Rows rows{{}, {}, l.dims(sized)[0]};
  OpFoldResult one = l.b.getIndexAttr(1);
  rows.order =
      tensor::ExtractSliceOp::create(l.b, order, OpFoldResult(begin), OpFoldResult(count), one);
  rows.offsets = l.generate({members + 1}, l.b.getI32Type(),
                            [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
                              Value by = arith::ConstantIndexOp::create(b, first);
                              Value from = arith::AddIOp::create(b, at[0], by);
                              Value place = tensor::ExtractOp::create(b, offsets, from);
                              Value start = arith::IndexCastOp::create(b, place.getType(), begin);
                              return arith::SubIOp::create(b, place, start);
                            })
                     .value;
  gather(apply.getInputs(), body.getArguments(), rows);
  std::optional<Lowering::Places> own;
  if (showsRoutes(*body.getParent()))
    own = placesWithin(l, apply, rows.count, [&](ImplicitLocOpBuilder &b, Value at) -> Value {
      Value slot = tensor::ExtractOp::create(b, rows.order, at);
      slot = arith::ExtUIOp::create(b, b.getI64Type(), slot);
      Value by = arith::ConstantOp::create(b, b.getI64IntegerAttr(slots));
      return arith::DivUIOp::create(b, slot, by);
    });
  llvm::SaveAndRestore places(l.places, own);
  Tensor part;
  if (modules.ops.empty()) {
    FailureOr<Tensor> lowered = lowerBody(l, body);
    if (failed(lowered))
      return failure();
    part = *lowered;
  } else {
    if (failed(LockstepLowering(l, rows, {}, slots).run(modules.ops)))
      return failure();
    part = l.get(body.getTerminator()->getOperand(0));
  }
  return l.reshape(part, {rows.count, product(partDims().drop_front())});
}

FailureOr<Value> PartsLowering::lowerFilled(const ModuleClass &modules, int64_t first,
                                            Value parts) {
  Value begin = offset(first), end = offset(first + modules.modules.size());
  Value count = arith::SubIOp::create(l.b, end, begin);
  Value any = arith::CmpIOp::create(l.b, arith::CmpIPredicate::ne, count, index(0));
  // Nothing at all for modules without rows.
  auto branch = scf::IfOp::create(l.b, parts.getType(), any, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPointToEnd(branch.elseBlock());
  scf::YieldOp::create(l.b, parts);
  l.b.setInsertionPointToEnd(branch.thenBlock());
  FailureOr<Tensor> rows = lowerRows(modules, first, begin, count);
  if (failed(rows))
    return failure();
  SmallVector<OpFoldResult> offsets{begin, l.b.getIndexAttr(0)};
  SmallVector<OpFoldResult> sizes{count, l.fold(rows->dims[1])};
  SmallVector<OpFoldResult> strides(2, l.b.getIndexAttr(1));
  Value all = tensor::InsertSliceOp::create(l.b, rows->value, parts, offsets, sizes, strides);
  scf::YieldOp::create(l.b, all);
  return branch.getResult(0);
}

FailureOr<Parts> PartsLowering::run() {
  plan();
  if (segmentation.hasPlaceForEachSlot) {
    FailureOr<Tensor> values = lowerWhole(segmentation.classes.front());
    if (failed(values))
      return failure();
    return Parts{*values, position};
  }
  const Polynomial columns = product(partDims().drop_front());
  SmallVector<Value> sizes{offset(apply.getBodies().size())};
  if (!columns.asConstant())
    sizes.push_back(l.index(columns));
  Type element = apply.getParts().getType().getType().getElementType();
  Value parts = tensor::EmptyOp::create(
      l.b,
      RankedTensorType::get({ShapedType::kDynamic, l.type({columns}, element).getDimSize(0)},
                            element),
      sizes);
  int64_t first = 0;
  for (const ModuleClass &modules : segmentation.classes) {
    FailureOr<Value> filled = lowerFilled(modules, first, parts);
    if (failed(filled))
      return failure();
    parts = *filled;
    first += modules.modules.size();
  }
  return Parts{{parts, {Polynomial::symbol("positions"), columns}}, position};
}

FailureOr<Parts> graft::lowering::lowerParts(Lowering &l, modular::ApplyOp apply,
                                             const Segmentation &segmentation) {
  return PartsLowering(l, apply, segmentation).run();
}
