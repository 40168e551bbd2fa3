//===- StageBody.cpp - The code of stages and the parameters they run on -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/StageBody.h"

#include "graft/Modular/ParameterValues.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Transforms/OnnxPasses.h"

#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;

std::optional<int64_t> StageBody::slotOf(Value argument) const {
  func::FuncOp parent = function;
  auto own = dyn_cast_if_present<BlockArgument>(argument);
  if (!own || own.getOwner()->getParentOp() != parent)
    return std::nullopt;
  auto slot = parent.getArgAttrOfType<IntegerAttr>(own.getArgNumber(), "modular.slot");
  return slot ? std::optional<int64_t>(slot.getInt()) : std::nullopt;
}

ParameterOp StageBody::parameterAt(StageOp stage, int64_t slot) {
  auto symbol = cast<FlatSymbolRefAttr>(stage.getParameters()[size_t(slot)]);
  return SymbolTable::lookupNearestSymbolFrom<ParameterOp>(stage, symbol);
}

FailureOr<std::vector<double>> StageBody::read(StageOp stage, int64_t slot) {
  ParameterOp parameter = parameterAt(stage, slot);
  return readElements(parameter, parameter.getValue());
}

bool StageBody::isKnown(Value value) const {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  return constant ? isa<DenseElementsAttr>(constant.getValue()) : slotOf(value).has_value();
}

static StringAttr symbolAt(StageOp stage, int64_t slot) {
  return cast<FlatSymbolRefAttr>(stage.getParameters()[size_t(slot)]).getAttr();
}

StringAttr StageBody::symbolOf(StageOp stage, Value value) const {
  std::optional<int64_t> slot = slotOf(value);
  return slot ? symbolAt(stage, *slot) : StringAttr();
}

FailureOr<std::vector<double>> StageBody::read(StageOp stage, Value value) const {
  if (auto constant = value.getDefiningOp<onnx::ConstantOp>())
    return readElements(constant, constant.getValue());
  return read(stage, *slotOf(value));
}

BlockArgument StageBody::addSlot(ArrayRef<ParameterOp> ofStages) {
  for (BlockArgument argument : function.getArguments())
    if (std::optional<int64_t> slot = slotOf(argument))
      if (llvm::all_of(llvm::zip(stages, ofStages), [&](const auto &pair) {
            ParameterOp parameter = std::get<1>(pair);
            return symbolAt(std::get<0>(pair), *slot) == parameter.getSymNameAttr();
          }))
        return argument;
  Builder builder(function.getContext());
  const int64_t slot = int64_t(StageOp(stages.front()).getParameters().size());
  for (auto [stage, parameter] : llvm::zip(stages, ofStages)) {
    SmallVector<Attribute> parameters(stage.getParameters().getValue());
    parameters.push_back(FlatSymbolRefAttr::get(ParameterOp(parameter).getSymNameAttr()));
    stage.setParametersAttr(builder.getArrayAttr(parameters));
  }
  const unsigned index = function.getNumArguments();
  auto attributes = builder.getDictionaryAttr(
      builder.getNamedAttr("modular.slot", builder.getI64IntegerAttr(slot)));
  ParameterOp first = ofStages.front();
  (void)function.insertArgument(index, first.getType(), attributes, first.getLoc());
  return function.getArgument(index);
}

BlockArgument StageBody::addSlot(Location loc, StringRef name, ArrayRef<double> values,
                                 Type element) {
  OpBuilder before(function);
  auto parameter =
      createParameter(before, loc, name, RankedTensorType::get(int64_t(values.size()), element),
                      roundElements(values, element));
  return addSlot(SmallVector<ParameterOp>(stages.size(), parameter));
}

void StageBody::clean() {
  function.walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (isOpTriviallyDead(op))
      op->erase();
  });
  Builder builder(function.getContext());
  llvm::BitVector unused(function.getNumArguments());
  SmallVector<int64_t> kept;
  for (BlockArgument argument : function.getArguments()) {
    std::optional<int64_t> slot = slotOf(argument);
    unused[argument.getArgNumber()] = slot && argument.use_empty();
    if (!slot || argument.use_empty())
      continue;
    function.setArgAttr(argument.getArgNumber(), "modular.slot",
                        builder.getI64IntegerAttr(int64_t(kept.size())));
    kept.push_back(*slot);
  }
  (void)function.eraseArguments(unused);
  for (StageOp stage : stages)
    stage.setParametersAttr(builder.getArrayAttr(llvm::map_to_vector(
        kept, [&](int64_t slot) { return stage.getParameters()[size_t(slot)]; })));

  SmallVector<Attribute> dims;
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    dims.push_back(function.getResultAttr(i, "modular.dims"));
  inferShapes(function);
  for (auto [i, before] : llvm::enumerate(dims))
    if (before)
      function.setResultAttr(unsigned(i), "modular.dims", before);
}

SmallVector<StageBody> graft::getStageBodies(mlir::ModuleOp module) {
  SmallVector<StageBody> bodies;
  llvm::DenseMap<StringAttr, size_t> numbers;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function->hasAttr("modular.stage"))
      continue;
    numbers[function.getSymNameAttr()] = bodies.size();
    bodies.push_back({function, {}});
  }
  for (auto stage : module.getOps<StageOp>())
    if (auto found = numbers.find(stage.getBodyAttr().getAttr()); found != numbers.end())
      bodies[found->second].stages.push_back(stage);
  llvm::erase_if(bodies, [](const StageBody &body) { return body.stages.empty(); });
  return bodies;
}

std::string graft::getStageIdentity(func::FuncOp function) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  StringAttr name = function.getSymNameAttr();
  function.setSymName("");
  function.print(stream, OpPrintingFlags().useLocalScope().printGenericOpForm().skipRegions(false));
  function.setSymNameAttr(name);
  return text;
}

void graft::mergeStageBodies(mlir::ModuleOp module) {
  llvm::StringMap<func::FuncOp> bodies;
  for (StageBody &body : getStageBodies(module)) {
    func::FuncOp &first = bodies[getStageIdentity(body.function)];
    if (!first) {
      first = body.function;
      continue;
    }
    for (StageOp stage : body.stages)
      stage.setBody(first.getSymName());
    body.function.erase();
  }
}

void graft::eraseUnusedParameters(mlir::ModuleOp module) {
  llvm::DenseSet<StringAttr> used;
  for (auto stage : module.getOps<StageOp>())
    for (auto parameter : stage.getParameters().getAsRange<FlatSymbolRefAttr>())
      used.insert(parameter.getAttr());
  for (auto parameter : llvm::make_early_inc_range(module.getOps<ParameterOp>()))
    if (!used.contains(parameter.getSymNameAttr()))
      parameter.erase();
}
