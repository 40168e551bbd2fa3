//===- PackWeights.cpp - Weight arguments take the kernels' layout -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelBuilder.h"
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"
#include "graft/Codegen/Cpu/Kernels/WeightView.h"
#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

namespace graft {
#define GEN_PASS_DEF_PACKWEIGHTSPASS
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

static constexpr StringLiteral kSlot = "modular.slot";
static constexpr StringLiteral kPacking = "dispatch.packing";

namespace {
struct PackWeights : graft::impl::PackWeightsPassBase<PackWeights> {
  using PackWeightsPassBase::PackWeightsPassBase;

  /// What weight `i` of a product is of an argument with a slot, if it can be packed: columns, then
  /// rows.
  std::optional<WeightView> packable(ProductOpInterface op, unsigned i) {
    auto type = cast<RankedTensorType>(op.getWeights()[i].getType());
    std::optional<WeightView> view = viewOfWeight(op.getWeights()[i]);
    if (!view || !isKernelFloat(type.getElementType()) || type.getRank() != 2 ||
        view->weight.getOwner()->getParentOp() != getOperation() ||
        !getOperation().getArgAttrOfType<IntegerAttr>(view->weight.getArgNumber(), kSlot))
      return std::nullopt;
    if (!op.isTransposed(i))
      std::swap(view->dimensions[0], view->dimensions[1]);
    return view;
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    // The uses of each form of a weight. A product whose weights are not all packable has no
    // kernel: it stays.
    struct Form {
      BlockArgument weight;
      int64_t n, k;
      SmallVector<OpOperand *> uses;
      bool whole = false, transposed = false; // the weight itself, (N, K) if transposed
    };
    llvm::MapVector<Attribute, Form> forms;
    func.walk([&](ProductOpInterface op) {
      unsigned count = op.getWeights().size();
      SmallVector<std::optional<WeightView>> views;
      for (unsigned i = 0; i < count; ++i) {
        views.push_back(op.isPacked(i) ? std::nullopt : packable(op, i));
        if (!op.isPacked(i) && !views.back())
          return;
      }
      for (unsigned i = 0; i < count; ++i) {
        if (!views[i])
          continue;
        auto shape = cast<RankedTensorType>(op.getWeights()[i].getType()).getShape();
        int64_t n = shape[op.isTransposed(i) ? 0 : 1], k = shape[op.isTransposed(i) ? 1 : 0];
        Form &form = forms[packing(*views[i], n)];
        form.weight = views[i]->weight;
        form.n = n;
        form.k = k;
        form.uses.push_back(&op->getOpOperand(op.getWeights().getBeginOperandIndex() + i));
        form.whole = form.weight == op.getWeights()[i];
        form.transposed = op.isTransposed(i);
      }
    });
    int64_t slots = 0;
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (auto slot = func.getArgAttrOfType<IntegerAttr>(i, kSlot))
        slots = std::max(slots, slot.getInt() + 1);

    for (auto &[packing, form] : forms) {
      int64_t width = cast<DictionaryAttr>(packing).getAs<IntegerAttr>("panel").getInt();
      auto packed =
          RankedTensorType::get({(form.n + width - 1) / width, form.k, width},
                                cast<RankedTensorType>(form.weight.getType()).getElementType());
      // The operands move first: an argument that nothing else reads then takes the new form.
      auto builder = OpBuilder::atBlockBegin(&func.getBody().front());
      auto moved = UnrealizedConversionCastOp::create(builder, func.getLoc(), packed, ValueRange());
      for (OpOperand *use : form.uses)
        redirect(*use, moved.getResult(0));
      if (form.whole)
        readElements(form.weight, form.transposed, moved.getResult(0), width);
      unsigned number = form.weight.getArgNumber();
      if (form.weight.use_empty()) {
        form.weight.setType(packed);
      } else {
        SmallVector<NamedAttribute> attrs(func.getArgAttrDict(number).getValue());
        for (NamedAttribute &attr : attrs)
          if (attr.getName() == kSlot)
            attr.setValue(builder.getI64IntegerAttr(slots++));
        number = func.getNumArguments();
        (void)func.insertArgument(number, packed, builder.getDictionaryAttr(attrs),
                                  form.weight.getLoc());
      }
      func.setArgAttr(number, kPacking, packing);
      moved.getResult(0).replaceAllUsesWith(func.getArgument(number));
      moved.erase();
    }
    func.setFunctionType(typeOf(func));
  }

  /// How the columns and rows of a view become panels.
  DictionaryAttr packing(const WeightView &view, int64_t n) {
    Builder b(&getContext());
    auto field = [&](StringRef name, int64_t value) {
      return b.getNamedAttr(name, b.getI64IntegerAttr(value));
    };
    auto steps = [&](StringRef name, const WeightView::Dimension &dimension) {
      SmallVector<int64_t> list;
      for (const WeightView::Step &step : dimension)
        llvm::append_values(list, step.size, step.stride);
      return b.getNamedAttr(name, b.getDenseI64ArrayAttr(list));
    };
    auto slot = getOperation().getArgAttrOfType<IntegerAttr>(view.weight.getArgNumber(), kSlot);
    return b.getDictionaryAttr(
        {b.getNamedAttr("layout", b.getStringAttr("panels")), field("source", slot.getInt()),
         field("panel", n > lanes ? 2 * lanes : lanes), field("offset", view.offset),
         steps("n", view.dimensions[0]), steps("k", view.dimensions[1])});
  }

  /// Where all that still reads a weight are single elements (the lookups of an embedding that is
  /// tied to the last product), they are read from the panels: the weight is not stored twice.
  static void readElements(BlockArgument weight, bool transposed, Value packed, int64_t width) {
    if (!llvm::all_of(weight.getUsers(), llvm::IsaPred<tensor::ExtractOp>))
      return;
    for (Operation *user : llvm::make_early_inc_range(weight.getUsers())) {
      auto op = cast<tensor::ExtractOp>(user);
      ImplicitLocOpBuilder b(op.getLoc(), op);
      Value n = op.getIndices()[transposed ? 0 : 1], k = op.getIndices()[transposed ? 1 : 0];
      Value panel = arith::ConstantIndexOp::create(b, width);
      Value at[] = {arith::DivUIOp::create(b, n, panel), k, arith::RemUIOp::create(b, n, panel)};
      op.replaceAllUsesWith(tensor::ExtractOp::create(b, packed, at).getResult());
      op.erase();
    }
  }

  /// Makes a product read a weight in panels, and drops the views that led to it before.
  static void redirect(OpOperand &use, Value packed) {
    auto op = cast<ProductOpInterface>(use.getOwner());
    op.dropTransposed(use.getOperandNumber() - op.getWeights().getBeginOperandIndex());
    Operation *view = use.get().getDefiningOp();
    use.set(packed);
    while (view && view->use_empty()) {
      Operation *unused = view;
      view = view->getOperand(0).getDefiningOp();
      unused->erase();
    }
  }

  /// The function's type as its block says.
  static FunctionType typeOf(func::FuncOp func) {
    return FunctionType::get(func.getContext(), func.getBody().getArgumentTypes(),
                             func.getResultTypes());
  }
};
} // namespace
