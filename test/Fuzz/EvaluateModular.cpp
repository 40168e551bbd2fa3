//===- EvaluateModular.cpp - Routes, modules and aggregates by their rules -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;
using namespace graft::modular;

Array Array::take(ArrayRef<int64_t> numbers) const {
  SmallVector<int64_t> dims(shape);
  dims.front() = int64_t(numbers.size());
  Array result(dims);
  const int64_t size = rowSize();
  for (auto [to, from] : llvm::enumerate(numbers))
    std::copy_n(data.begin() + from * size, size, result.data.begin() + int64_t(to) * size);
  return result;
}

const double *Parts::get(int64_t row, int64_t slot) const {
  std::optional<int64_t> number = route->get(row, slot);
  if (!number)
    return nullptr;
  const Array &result = results[size_t(*number)];
  return result.data.data() + place[size_t(*number)][size_t(row)] * result.rowSize();
}

//===----------------------------------------------------------------------===//
// Applying and aggregating
//===----------------------------------------------------------------------===//

bool Evaluator::runApply(ApplyOp op, Values &values) {
  auto parts = std::make_shared<Parts>();
  parts->route = values[op.getRoute()].route;
  if (!parts->route)
    return false;
  const int64_t rows = parts->route->chosen.rows();
  for (int64_t e = 0; e < parts->route->modules; ++e) {
    std::vector<int64_t> own, &place = parts->place.emplace_back(size_t(rows), -1);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t s = 0; s < parts->route->slots(); ++s)
        if (parts->route->get(r, s) == e && place[size_t(r)] < 0) {
          place[size_t(r)] = int64_t(own.size());
          own.push_back(r);
        }
    std::vector<Array> arguments;
    for (Value input : op.getInputs())
      arguments.push_back(values[input].array.take(own));
    Block *body;
    if (op.isInlined()) {
      body = &op.getBodies()[unsigned(e)].front();
    } else {
      auto symbol = cast<FlatSymbolRefAttr>(op.getModules()[unsigned(e)]);
      auto function = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(op, symbol);
      body = &function.getFunctionBody().front();
    }
    auto results = runBlock(*body, std::move(arguments), op.isInlined() ? &values : nullptr);
    if (!results)
      return false;
    parts->results.push_back(std::move(results->front()));
  }
  values[op.getParts()].parts = parts;
  return true;
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

Array Evaluator::read(TypedAttr value) {
  auto type = cast<RankedTensorType>(value.getType());
  Array result(type.getShape());
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    if (isa<FloatType>(type.getElementType())) {
      for (auto [element, to] : llvm::zip_equal(dense.getValues<APFloat>(), result.data))
        to = element.convertToFloat();
    } else {
      for (auto [element, to] : llvm::zip_equal(dense.getValues<APInt>(), result.data))
        to = type.getElementType().isInteger(1) ? double(element.getZExtValue())
                                                : double(element.getSExtValue());
    }
    return result;
  }
  auto &store = module.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  ArrayRef<char> bytes = store.lookup(cast<WeightAttr>(value).getKey()).value();
  for (auto [i, to] : llvm::enumerate(result.data)) {
    float element;
    std::memcpy(&element, bytes.data() + i * sizeof(float), sizeof(float));
    to = element;
  }
  return result;
}

Array Evaluator::readParameter(FlatSymbolRefAttr name) {
  return read(module.lookupSymbol<ParameterOp>(name.getAttr()).getValue());
}

static Array transpose(const Array &matrix) {
  Array result({matrix.shape[1], matrix.shape[0]});
  for (int64_t i = 0; i < matrix.shape[0]; ++i)
    for (int64_t j = 0; j < matrix.shape[1]; ++j)
      result.data[size_t(j * matrix.shape[0] + i)] = matrix.data[size_t(i * matrix.shape[1] + j)];
  return result;
}

/// θ + s·B·A, its rows brought to the lengths in `magnitude` if there is one.
static void addLowRank(Array &value, const Array &down, const Array &up, double scale,
                       const Array *magnitude) {
  for (int64_t o = 0; o < value.shape[0]; ++o) {
    double *row = value.data.data() + o * value.shape[1], squares = 0;
    for (int64_t i = 0; i < value.shape[1]; ++i) {
      for (int64_t k = 0; k < down.shape[0]; ++k)
        row[i] +=
            scale * up.data[size_t(o * up.shape[1] + k)] * down.data[size_t(k * down.shape[1] + i)];
      squares += row[i] * row[i];
    }
    for (int64_t i = 0; magnitude && i < value.shape[1]; ++i)
      row[i] *= magnitude->data[size_t(o)] / std::sqrt(squares);
  }
}

Array Evaluator::adapt(AdaptOp op, Array value, ArrayRef<StringAttr> names) {
  auto site = op.getSite().getDefiningOp<SiteOp>();
  if (site.getTransposed())
    value = transpose(value);
  std::vector<modular::ModuleOp> adding, replacing;
  for (StringAttr name : names)
    if (auto symbol = dyn_cast_or_null<FlatSymbolRefAttr>(op.getModules().get(name))) {
      auto entered = module.lookupSymbol<modular::ModuleOp>(symbol.getAttr());
      // (modular-S1): what replaces comes first.
      (entered.replacesParameter() ? replacing : adding).push_back(entered);
    }
  replacing.insert(replacing.end(), adding.begin(), adding.end());
  for (modular::ModuleOp entered : replacing)
    for (Operation &step : entered.getBody().front().without_terminator())
      llvm::TypeSwitch<Operation *>(&step)
          .Case([&](LowRankOp low) {
            Array magnitude;
            if (low.getMagnitudeAttr())
              magnitude = readParameter(low.getMagnitudeAttr());
            addLowRank(value, readParameter(low.getDownAttr()), readParameter(low.getUpAttr()),
                       low.getScale().convertToDouble(),
                       low.getMagnitudeAttr() ? &magnitude : nullptr);
          })
          .Case([&](DeltaOp delta) {
            Array added = readParameter(delta.getValueAttr());
            for (auto [to, change] : llvm::zip_equal(value.data, added.data))
              to += delta.getScale().convertToDouble() * change;
          })
          .Case([&](ReplaceOp replace) { value.data = readParameter(replace.getValueAttr()).data; })
          .Case([&](ReplaceColumnsOp replace) {
            Array columns = readParameter(replace.getValuesAttr());
            for (auto [i, column] : llvm::enumerate(replace.getIndices()))
              for (int64_t o = 0; o < value.shape[0]; ++o)
                value.data[size_t(o * value.shape[1] + column)] =
                    columns.data[i * size_t(value.shape[0]) + size_t(o)];
          })
          .Default([&](Operation *other) { unknown = other->getName().getStringRef(); });
  return site.getTransposed() ? transpose(value) : value;
}

//===----------------------------------------------------------------------===//
// Ops in order
//===----------------------------------------------------------------------===//

bool Evaluator::runModular(Operation *op, Values &values) {
  auto array = [&](Value value) -> Array & { return values[value].array; };
  // Looked up before it is set: a map moves what it holds.
  auto set = [&](Value value, Array result) { values[value].array = std::move(result); };
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([&](SiteOp site) {
        set(site, readParameter(site.getParameterAttr()));
        return true;
      })
      .Case([&](AdaptOp adapted) {
        std::vector<StringAttr> names = values[adapted.getRoute()].names;
        set(adapted, adapt(adapted, array(adapted.getSite()), names));
        return unknown.empty();
      })
      .Case([&](RouteOfOp route) {
        auto result = std::make_shared<Route>();
        result->chosen = array(route.getChosen());
        result->weights = array(route.getWeights());
        result->modules = route.getType().getModules();
        values[route.getResult()].route = result;
        return true;
      })
      .Case([&](RouteOp route) {
        auto router = module.lookupSymbol<RouterOp>(route.getRouterAttr().getAttr());
        if (router.isFixedByTask()) {
          auto taskOp = module.lookupSymbol<TaskOp>(task);
          if (taskOp.getRouterAttr() == route.getRouterAttr())
            for (auto name : taskOp.getModules().getAsRange<StringAttr>())
              values[route.getResult()].names.push_back(name);
          return true;
        }
        std::vector<Array> arguments;
        for (Value input : route.getInputs())
          arguments.push_back(array(input));
        auto results = runBlock(router.getBody().front(), std::move(arguments), nullptr);
        if (!results)
          return false;
        auto result = std::make_shared<Route>();
        result->chosen = std::move((*results)[0]);
        result->weights = std::move((*results)[1]);
        result->modules = route.getType().getModules();
        values[route.getResult()].route = result;
        return true;
      })
      .Case([&](ApplyOp apply) { return runApply(apply, values); })
      .Default([](Operation *) { return false; });
}

std::optional<std::vector<Array>> Evaluator::runBlock(Block &block, std::vector<Array> arguments,
                                                      const Values *above) {
  Values values;
  if (above)
    values = *above;
  for (auto [argument, given] : llvm::zip_equal(block.getArguments(), arguments))
    values[argument].array = std::move(given);
  for (Operation &op : block.without_terminator()) {
    if (!runModular(&op, values) && !runStep(&op, values) && !runAggregate(&op, values) &&
        !runOnnx(&op, values) && !runArranging(&op, values)) {
      if (unknown.empty())
        unknown = op.getName().getStringRef();
      return std::nullopt;
    }
    for (Value result : op.getResults())
      if (single && isa<FloatType>(getElementTypeOrSelf(result.getType())))
        for (double &element : values[result].array.data)
          element = double(float(element));
  }
  std::vector<Array> results;
  for (Value value : block.getTerminator()->getOperands())
    results.push_back(values[value].array);
  return results;
}

std::optional<std::vector<Array>> Evaluator::run(std::vector<Array> inputs) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  return runBlock(main.getBody().front(), std::move(inputs), nullptr);
}
