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
      // Both what is reshaped and the size it is given follow from the head, or neither.
      for (Operation *op : reshapes)
        if (!isResized(op->getOperand(0)) || !isResized(op->getResult(0)))
          return refuse(op);
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

  bool isResized(Value value) const {
    return llvm::any_of(seen, [&](const auto &each) { return each.first == value; });
  }

  static std::optional<SmallVector<int64_t>> integers(Value value) {
    Operation *constant = value.getDefiningOp();
    auto dense = constant && constant->getName().stripDialect() == "Constant"
                     ? dyn_cast_or_null<DenseIntElementsAttr>(constant->getAttr("value"))
                     : nullptr;
    if (!dense)
      return std::nullopt;
    SmallVector<int64_t> values;
    for (const APInt &each : dense.getValues<APInt>())
      values.push_back(each.getSExtValue());
    return values;
  }

  static int64_t integer(Operation *op, StringRef name, int64_t missing) {
    auto attribute = op->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : missing;
  }

  /// Classifiers of decoders pick the last token's row out of what the head gives.
  Error arrange(Operation *op, int64_t dim, int64_t rank) {
    StringRef name = op->getName().stripDialect();
    Value result = op->getResult(0);
    auto rankOf = [](Value value) { return cast<RankedTensorType>(value.getType()).getRank(); };
    auto at = [&](int64_t axis) { return axis < 0 ? axis + rank : axis; };
    if (name == "Shape")
      return followSize(result, dim - at(integer(op, "start", 0)));
    if (name == "Flatten" && dim == rank - 1 && at(integer(op, "axis", 1)) == dim)
      return change(result, 1);
    if (name == "Gather" && isa<RankedTensorType>(op->getOperand(1).getType())) {
      const int64_t axis = at(integer(op, "axis", 0));
      if (axis != dim)
        return change(result, dim < axis ? dim : dim + rankOf(op->getOperand(1)) - 1);
    }
    if (name == "GatherND" && isa<RankedTensorType>(op->getOperand(1).getType())) {
      auto indices = cast<RankedTensorType>(op->getOperand(1).getType());
      const int64_t last = indices.getRank() - 1, width = last < 0 ? -1 : indices.getDimSize(last),
                    skipped = integer(op, "batch_dims", 0) + width;
      if (width >= 0 && dim >= skipped)
        return change(result, last + dim - skipped);
    }
    if (name == "Transpose") {
      auto perm = op->getAttrOfType<ArrayAttr>("perm");
      for (int64_t i = 0; i < rank; ++i)
        if ((perm ? at(cast<IntegerAttr>(perm[i]).getInt()) : rank - 1 - i) == dim)
          return change(result, i);
    }
    if (name == "Slice" && op->getNumOperands() > 3)
      if (auto axes = integers(op->getOperand(3));
          axes && llvm::none_of(*axes, [&](int64_t axis) { return at(axis) == dim; }))
        return change(result, dim);
    if (name == "Reshape") {
      reshapes.push_back(op);
      auto shape = integers(op->getOperand(1));
      if (shape && dim == rank - 1 && !shape->empty() && shape->back() == -1)
        return change(result, shape->size() - 1);
      return Error::success(); // if its shape is computed, that leads to the result
    }
    return refuse(op);
  }

  /// The size, at `position` of a tensor that holds sizes, to the shapes that are made of it.
  Error followSize(Value sizes, int64_t position) {
    auto type = dyn_cast<RankedTensorType>(sizes.getType());
    if (!type || position < 0 || (type.hasStaticShape() && position >= type.getNumElements()))
      return Error::success();
    for (OpOperand &operand : sizes.getUses()) {
      Operation *op = operand.getOwner();
      StringRef name = op->getName().stripDialect();
      int64_t next = position;
      if (name == "Reshape" && operand.getOperandNumber() == 1) {
        reshapes.push_back(op);
        if (Error error = change(op->getResult(0), position))
          return error;
        continue;
      }
      if (name == "Gather" && operand.getOperandNumber() == 0) {
        auto index = integers(op->getOperand(1));
        if (!index || index->size() != 1 || !type.hasStaticShape())
          return refuse(op);
        if ((index->front() < 0 ? index->front() + type.getNumElements() : index->front()) !=
            position)
          continue;
        next = 0;
      } else if (name == "Concat") {
        for (Value before : op->getOperands().take_front(operand.getOperandNumber())) {
          auto part = dyn_cast<RankedTensorType>(before.getType());
          if (!part || !part.hasStaticShape())
            return refuse(op);
          next += part.getNumElements();
        }
      } else if (operand.getOperandNumber() != 0 ||
                 !llvm::StringSet<>{"Unsqueeze", "Squeeze", "Cast", "Identity", "Reshape"}.contains(
                     name)) {
        return refuse(op);
      }
      if (Error error = followSize(op->getResult(0), next))
        return error;
    }
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
    const int64_t rank = cast<RankedTensorType>(operand.get().getType()).getRank();
    return operand.getOperandNumber() == 0 ? arrange(op, rank - fromEnd, rank) : refuse(op);
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
  SmallVector<Operation *> reshapes;
  llvm::DenseSet<std::pair<Value, int64_t>> seen;
};

} // namespace

Error graft::resizeResults(ModuleOp module, const LinkPlan &plan, bool apply) {
  return Resizer(plan, apply).run();
}
