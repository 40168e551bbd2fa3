//===- PackWeights.cpp - Weight arguments take the kernels' layout -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelBuilder.h"
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"
#include "graft/Dispatch/Dispatch.h"

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

  /// The argument of the function that pair `i`'s weight is, if it can be packed.
  BlockArgument packable(MatmulOp op, unsigned i) {
    auto arg = dyn_cast<BlockArgument>(op.getWeights()[i]);
    if (!arg || arg.getOwner()->getParentOp() != getOperation() ||
        !getOperation().getArgAttrOfType<IntegerAttr>(arg.getArgNumber(), kSlot))
      return {};
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    if (!type || type.getRank() != 2 || !type.hasStaticShape() || !type.getElementType().isF32() ||
        type.getNumElements() == 0)
      return {};
    return arg;
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    // The uses of each weight, by orientation. A matmul whose weights are not all packable has no
    // kernel: it stays.
    using Orientation = std::pair<BlockArgument, unsigned>;
    llvm::MapVector<Orientation, SmallVector<OpOperand *>> uses;
    func.walk([&](MatmulOp op) {
      unsigned pairs = op.getWeights().size();
      for (unsigned i = 0; i < pairs; ++i)
        if (!op.isPacked(i) && !packable(op, i))
          return;
      for (unsigned i = 0; i < pairs; ++i)
        if (!op.isPacked(i))
          uses[{packable(op, i), unsigned(op.isTransposed(i))}].push_back(
              &op.getWeightsMutable()[i]);
    });
    int64_t slots = 0;
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (auto slot = func.getArgAttrOfType<IntegerAttr>(i, kSlot))
        slots = std::max(slots, slot.getInt() + 1);

    for (auto &[orientation, operands] : uses) {
      auto [arg, transposed] = orientation;
      auto type = cast<RankedTensorType>(arg.getType());
      int64_t n = type.getDimSize(transposed ? 0 : 1), k = type.getDimSize(transposed ? 1 : 0);
      int64_t panel = n > lanes ? 2 * lanes : lanes;
      auto packed =
          RankedTensorType::get({(n + panel - 1) / panel, k, panel}, type.getElementType());
      unsigned number = arg.getArgNumber();
      auto slot = func.getArgAttrOfType<IntegerAttr>(number, kSlot);
      Builder b(&getContext());
      auto integer = [&](StringRef name, int64_t value) {
        return b.getNamedAttr(name, b.getI64IntegerAttr(value));
      };
      auto packing = b.getDictionaryAttr(
          {b.getNamedAttr("layout", b.getStringAttr("panels")), integer("source", slot.getInt()),
           integer("n", n), integer("k", k), integer("panel", panel),
           b.getNamedAttr("transposed", b.getBoolAttr(transposed != 0))});
      // Another use of the weight keeps the argument: the packed form gets a slot of its own.
      if (size_t(std::distance(arg.use_begin(), arg.use_end())) != operands.size()) {
        SmallVector<NamedAttribute> attrs;
        for (NamedAttribute attr : mlir::function_interface_impl::getArgAttrs(func, number))
          attrs.push_back(attr.getName() == kSlot ? integer(kSlot, slots) : attr);
        ++slots;
        number = func.getNumArguments();
        (void)func.insertArgument(number, packed, b.getDictionaryAttr(attrs), arg.getLoc());
      }
      BlockArgument target = func.getArgument(number);
      func.setArgAttr(number, kPacking, packing);
      for (OpOperand *operand : operands) {
        auto op = cast<MatmulOp>(operand->getOwner());
        unsigned pair = operand->getOperandNumber() - op.getInputs().size();
        if (transposed) {
          SmallVector<bool> flags(op.getTransposed());
          flags[pair] = false;
          if (llvm::is_contained(flags, true))
            op.setTransposed(flags);
          else
            op.setTransposed(ArrayRef<bool>());
        }
        operand->set(target);
      }
      if (target == arg)
        arg.setType(packed);
    }
    func.setFunctionType(typeOf(func));
  }

  /// The function's type as its block says.
  static FunctionType typeOf(func::FuncOp func) {
    return FunctionType::get(func.getContext(), func.getBody().getArgumentTypes(),
                             func.getResultTypes());
  }
};
} // namespace
