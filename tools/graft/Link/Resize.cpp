//===- Resize.cpp - Heads of another size than the backbone's -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Plan.h"
#include "graft/Onnx/Origin.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace graft;
using llvm::Error;

namespace {

/// Follows a dimension whose size the task decides from where it arises to the model's results.
class Resizer {
public:
  Resizer(const LinkPlan &plan, bool apply) : plan(plan), apply(apply) {}

  Error run() {
    for (const SitePlan &here : plan.sites)
      if (here.resized())
        for (const SiteUse &use : here.site->uses)
          resized.insert(&use.op->getOpOperand(use.operand));
    for (const SitePlan &here : plan.sites) {
      if (!here.resized())
        continue;
      for (const Entry &entry : here.entries)
        if (entry.rows)
          culprit =
              entry.adapter->adapter->file + ": " + entry.bindings.front().change->tensor().name;
      path = here.site->path();
      for (const SiteUse &use : here.site->uses) {
        if (here.site->kind != Site::Linear)
          continue; // its weight leads to the same result
        auto type = dyn_cast<RankedTensorType>(use.op->getResult(0).getType());
        if (!type || type.getRank() == 0)
          return refuse(use.op);
        if (Error error = change(use.op->getResult(0), type.getRank() - 1))
          return error;
      }
    }
    return Error::success();
  }

private:
  Error refuse(Operation *op) {
    Origin origin = originOf(op->getLoc());
    return inputFault(culprit + ": expected the size of the backbone's " + path +
                      ", for what follows depends on it: " + op->getName().stripDialect() + " " +
                      origin.node);
  }

  Error change(Value value, int64_t dim) {
    if (!seen.insert({value, dim}).second)
      return Error::success();
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type)
      return refuse(value.getDefiningOp());
    if (apply) {
      SmallVector<int64_t> shape(type.getShape());
      shape[dim] = ShapedType::kDynamic;
      value.setType(RankedTensorType::get(shape, type.getElementType()));
    }
    int64_t fromEnd = type.getRank() - dim;
    for (OpOperand &operand : llvm::make_early_inc_range(value.getUses()))
      if (Error error = follow(operand, fromEnd))
        return error;
    return Error::success();
  }

  Error follow(OpOperand &operand, int64_t fromEnd) {
    Operation *op = operand.getOwner();
    if (auto terminator = dyn_cast<func::ReturnOp>(op)) {
      result(terminator->getParentOfType<func::FuncOp>(), operand, fromEnd);
      return Error::success();
    }
    StringRef name = op->getName().stripDialect();
    static const llvm::StringSet<> same = {
        "Relu",     "Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Identity", "Cast",
        "Softplus", "Exp",     "Log",  "Neg",     "Abs",        "Gelu",     "Dropout"};
    static const llvm::StringSet<> broadcasting = {"Add", "Sub", "Mul", "Div"};
    auto resultType = op->getNumResults() ? dyn_cast<RankedTensorType>(op->getResult(0).getType())
                                          : RankedTensorType();
    if (!resultType)
      return refuse(op);
    if (same.contains(name) && operand.getOperandNumber() == 0)
      return change(op->getResult(0), resultType.getRank() - fromEnd);
    if (broadcasting.contains(name)) {
      for (OpOperand &other : op->getOpOperands()) {
        if (&other == &operand || resized.contains(&other))
          continue;
        auto type = dyn_cast<RankedTensorType>(other.get().getType());
        if (!type)
          return refuse(op);
        int64_t dim = type.getRank() - fromEnd;
        if (dim >= 0 && type.getDimSize(dim) != 1 && !seen.contains({other.get(), dim}))
          return refuse(op);
      }
      return change(op->getResult(0), resultType.getRank() - fromEnd);
    }
    if (name == "ArgMax" || name == "ArgMin") {
      auto axis = op->getAttrOfType<IntegerAttr>("axis");
      int64_t rank = cast<RankedTensorType>(operand.get().getType()).getRank();
      int64_t at = axis ? axis.getInt() : 0;
      if ((at < 0 ? at + rank : at) == rank - fromEnd)
        return Error::success();
    }
    return refuse(op);
  }

  /// The function's result has that dimension then, under a name of its own.
  void result(func::FuncOp function, OpOperand &operand, int64_t fromEnd) {
    if (!apply)
      return;
    unsigned index = operand.getOperandNumber();
    FunctionType type = function.getFunctionType();
    SmallVector<Type> results(type.getResults());
    results[index] = operand.get().getType();
    function.setType(FunctionType::get(type.getContext(), type.getInputs(), results));
    auto dims = function.getResultAttrOfType<ArrayAttr>(index, "modular.dims");
    auto name = function.getResultAttrOfType<StringAttr>(index, "modular.name");
    if (!dims)
      return;
    SmallVector<Attribute> texts(dims.begin(), dims.end());
    size_t dim = texts.size() - fromEnd;
    texts[dim] = StringAttr::get(type.getContext(), (name ? name.getValue() : StringRef("result")) +
                                                        "_d" + Twine(dim));
    function.setResultAttr(index, "modular.dims", ArrayAttr::get(type.getContext(), texts));
  }

  const LinkPlan &plan;
  bool apply;
  std::string culprit, path;
  llvm::DenseSet<OpOperand *> resized;
  llvm::DenseSet<std::pair<Value, int64_t>> seen;
};

} // namespace

Error graft::resizeResults(ModuleOp module, const LinkPlan &plan, bool apply) {
  return Resizer(plan, apply).run();
}
