//===- Builder.cpp - Writes a spec's places -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Builder.h"

#include "graft/Onnx/Origin.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;
using onnx::GraphBuilder;

SpecBuilder::SpecBuilder(mlir::ModuleOp module, Errors &errors, const Document &document,
                         Tensors &tensors, Backbone &backbone)
    : module(module), main(*module.getOps<func::FuncOp>().begin()), errors(errors),
      document(document), tensors(tensors), backbone(backbone) {}

Value SpecBuilder::current(Value value) const {
  for (auto it = replaced.find(value); it != replaced.end(); it = replaced.find(value))
    value = it->second;
  return value;
}

std::string graft::spec::typeText(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// Whether what a layer gave may be replaced by `found`: another width only where nothing but the
/// model's output shows it.
static bool mayReplace(Value layer, Value found) {
  auto from = dyn_cast<RankedTensorType>(layer.getType()), to = typeOf(found);
  if (!from || from.getElementType() != to.getElementType())
    return false;
  if (from.getRank() == to.getRank() && succeeded(verifyCompatibleShape(from, to)))
    return true;
  return llvm::all_of(layer.getUsers(), [](Operation *op) { return isa<func::ReturnOp>(op); });
}

void SpecBuilder::place(const Layer &layer) {
  const Place &place = *layer.place;
  Value output = current(layer.output), input = current(layer.input);
  Operation *anchor = output.getDefiningOp();
  OpBuilder at(main.getContext());
  if (anchor)
    at.setInsertionPointAfter(anchor);
  else
    at.setInsertionPointToStart(&main.getBody().front());
  Operation *end =
      at.getInsertionPoint() == at.getBlock()->end() ? nullptr : &*at.getInsertionPoint();
  if (input && input != output && input.getDefiningOp() && anchor &&
      !input.getDefiningOp()->isBeforeInBlock(anchor))
    return errors.fail(place.mark, "expected an input that is computed before the output");
  for (Value value : {input, output})
    if (value && !isa<RankedTensorType>(value.getType()))
      return errors.fail(place.mark, "expected '" + layer.name +
                                         "' to read and give tensors of known rank, found " +
                                         typeText(value.getType()));

  // Where the modules stand in, their ops are the place's.
  GraphBuilder b(originLocation(main.getContext(), "", layer.name), at);
  Frame frame{b, layer, Level::Whole, place.module.own->name, layer.captures, {}, true};
  if (frame.name.empty())
    frame.name = layer.name;
  Value result = build(frame, place.module, place.how == Place::After ? output : input);
  if (!result)
    return;
  if (place.how == Place::Beside) {
    if (!mayReplace(output, result) ||
        typeOf(result).getShape().back() != typeOf(output).getShape().back())
      return errors.fail(place.module.mark,
                         "beside: expected a module that gives what '" + layer.name + "' gives, " +
                             typeText(output.getType()) + ", found " + typeText(result.getType()));
    result = b.binary<onnx::AddOp>(output, result);
  }
  if (!mayReplace(output, result))
    return errors.fail(place.module.mark, "expected a module that gives what '" + layer.name +
                                              "' gives, " + typeText(output.getType()) +
                                              ", found " + typeText(result.getType()));
  if (result == output)
    return;
  llvm::SmallPtrSet<Operation *, 16> own;
  for (Operation *op = anchor ? anchor->getNextNode() : &main.getBody().front().front(); op != end;
       op = op->getNextNode())
    own.insert(op);
  output.replaceUsesWithIf(result, [&](OpOperand &use) { return !own.contains(use.getOwner()); });
  replaced[output] = result;
}

void SpecBuilder::addInputs() {
  mlir::Builder b(module.getContext());
  for (const Input &input : document.inputs) {
    if (backbone.lookup(input.name.text)) {
      errors.fail(input.name.mark,
                  "expected a name that the backbone has not, found '" + input.name.text + "'");
      continue;
    }
    Type element = llvm::StringSwitch<Type>(input.type)
                       .Case("float64", b.getF64Type())
                       .Case("float32", b.getF32Type())
                       .Case("float16", b.getF16Type())
                       .Case("bfloat16", b.getBF16Type())
                       .Case("int64", b.getI64Type())
                       .Case("int32", b.getI32Type())
                       .Case("int8", b.getIntegerType(8))
                       .Case("uint8", b.getIntegerType(8, false))
                       .Default(b.getI1Type());
    SmallVector<int64_t> shape;
    SmallVector<Attribute> dims;
    for (const Text &size : input.shape) {
      int64_t number = ShapedType::kDynamic;
      if (StringRef(size.text).getAsInteger(10, number))
        number = ShapedType::kDynamic;
      shape.push_back(number);
      dims.push_back(b.getStringAttr(size.text));
    }
    const unsigned index = main.getNumArguments();
    DictionaryAttr attributes =
        b.getDictionaryAttr({b.getNamedAttr("modular.name", b.getStringAttr(input.name.text)),
                             b.getNamedAttr("modular.dims", b.getArrayAttr(dims))});
    if (failed(main.insertArgument(index, RankedTensorType::get(shape, element), attributes,
                                   originLocation(module.getContext(), input.name.text, ""))))
      errors.fail(input.name.mark, "expected a backbone that takes another input");
    backbone.add(input.name.text, main.getArgument(index));
  }
}

/// Removes what nothing reads any more. An adapter's change that is then nowhere is worth a word.
static void removeDead(mlir::ModuleOp module, func::FuncOp main) {
  std::map<StringRef, Location> lost;
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(main.getBody().front()))) {
    if (!isOpTriviallyDead(&op))
      continue;
    if (auto adapt = dyn_cast<modular::AdaptOp>(op))
      if (auto site = adapt.getSite().getDefiningOp<modular::SiteOp>())
        lost.try_emplace(site.getPath(), adapt.getLoc());
    op.erase();
  }
  module.walk([&](modular::SiteOp site) { lost.erase(site.getPath()); });
  for (const auto &[path, location] : lost)
    emitWarning(location) << "an adapter changes '" << path << "', which the spec leaves out";
}

void SpecBuilder::run() {
  addInputs();
  if (errors.any())
    return;
  shapes.emplace(main);
  std::vector<Layer> layers;
  llvm::DenseMap<Value, Mark> replacedAt;
  for (const Place &place : document.places) {
    for (Layer &layer : backbone.find(place)) {
      if (place.how == Place::Replace && place.where != Place::Tensor)
        if (auto [it, isNew] = replacedAt.try_emplace(layer.output, place.mark); !isNew)
          errors.fail(place.mark, "expected layers that are replaced once, found '" + layer.name +
                                      "' again, as in line " + Twine(it->second.line));
      layers.push_back(std::move(layer));
    }
    if (errors.any())
      return;
  }
  for (auto router : module.getOps<modular::RouterOp>())
    if (router.isFixedByTask())
      for (auto name : router.getModules().getAsRange<StringAttr>())
        adapterNames.insert(name.str());
  for (const Layer &layer : layers) {
    place(layer);
    if (errors.any())
      return;
  }
  finishTasks();
  removeDead(module, main);
}
