//===- ParameterValues.cpp - The elements of parameters in double precision -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/ParameterValues.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/APFloat.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace graft::modular;

static bool isSupported(Type type) {
  return type.isF64() || type.isF32() || type.isF16() || type.isBF16();
}

template <typename T> static void readAs(ArrayRef<char> bytes, std::vector<double> &values) {
  for (size_t i = 0; i < values.size(); ++i) {
    T element;
    std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = element;
  }
}

FailureOr<std::vector<double>> graft::modular::readElements(Operation *where, TypedAttr value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !isSupported(type.getElementType()))
    return where->emitError() << "expected a tensor of f16, bf16, f32 or f64, found "
                              << value.getType();
  std::vector<double> values(type.getNumElements());
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    for (auto [element, result] : llvm::zip_equal(dense.getValues<APFloat>(), values)) {
      APFloat wide = element;
      bool losesInfo;
      wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      result = wide.convertToDouble();
    }
    return values;
  }
  auto weight = dyn_cast<WeightAttr>(value);
  std::optional<ArrayRef<char>> bytes;
  if (weight)
    bytes = where->getContext()->getLoadedDialect<ModularDialect>()->getWeightStore().lookup(
        weight.getKey());
  if (!bytes)
    return where->emitError() << "expected a weight whose bytes are loaded, found " << value;
  Type element = type.getElementType();
  if (element.isF64()) {
    readAs<double>(*bytes, values);
  } else if (element.isF32()) {
    readAs<float>(*bytes, values);
  } else {
    const llvm::fltSemantics &semantics = cast<FloatType>(element).getFloatSemantics();
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits;
      std::memcpy(&bits, bytes->data() + 2 * i, 2);
      APFloat wide(semantics, APInt(16, bits));
      bool losesInfo;
      wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      values[i] = wide.convertToDouble();
    }
  }
  return values;
}

std::vector<char> graft::modular::roundElements(ArrayRef<double> values, Type type) {
  const size_t width = type.getIntOrFloatBitWidth() / 8;
  std::vector<char> bytes(values.size() * width);
  for (size_t i = 0; i < values.size(); ++i) {
    char *to = bytes.data() + i * width;
    if (type.isF64()) {
      std::memcpy(to, &values[i], width);
    } else if (type.isF32()) {
      const float rounded = static_cast<float>(values[i]);
      std::memcpy(to, &rounded, width);
    } else {
      APFloat narrow(values[i]);
      bool losesInfo;
      narrow.convert(cast<FloatType>(type).getFloatSemantics(), APFloat::rmNearestTiesToEven,
                     &losesInfo);
      const uint16_t bits = narrow.bitcastToAPInt().getZExtValue();
      std::memcpy(to, &bits, width);
    }
  }
  return bytes;
}

ParameterOp graft::modular::createParameter(OpBuilder &builder, Location loc, StringRef name,
                                            RankedTensorType type, std::vector<char> bytes) {
  auto &store = builder.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  StringRef key = store.addProduced(name, type, std::move(bytes));
  auto value = WeightAttr::get(builder.getContext(), key, type);
  // The key is unique in the store; a symbol of that name can only come from another store's text.
  Operation *table = SymbolTable::getNearestSymbolTable(builder.getInsertionBlock()->getParentOp());
  std::string symbol = key.str();
  for (unsigned suffix = 1; SymbolTable::lookupSymbolIn(table, symbol); ++suffix)
    symbol = (key + "_" + Twine(suffix)).str();
  return ParameterOp::create(builder, loc, symbol, cast<TypedAttr>(Attribute(value)));
}

std::vector<double> graft::modular::transposed(ArrayRef<double> matrix, int64_t rows,
                                               int64_t columns) {
  std::vector<double> result(matrix.size());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      result[column * rows + row] = matrix[row * columns + column];
  return result;
}

SmallVector<ModuleOpInterface> graft::modular::getModulesOfRoute(AdaptOp adapt,
                                                                 ArrayRef<StringAttr> names,
                                                                 SymbolTableCollection &symbols) {
  SmallVector<ModuleOpInterface> modules;
  for (StringAttr name : names)
    if (auto symbol = dyn_cast_or_null<FlatSymbolRefAttr>(adapt.getModules().get(name)))
      if (auto module = symbols.lookupNearestSymbolFrom<ModuleOpInterface>(adapt, symbol))
        modules.push_back(module);
  llvm::stable_sort(modules, [](ModuleOpInterface a, ModuleOpInterface b) {
    return a.replacesParameter() > b.replacesParameter();
  });
  return modules;
}

SmallVector<ParameterCompositionOpInterface> graft::modular::getSteps(ModuleOpInterface module) {
  Block &body = cast<FunctionOpInterface>(module.getOperation()).getFunctionBody().front();
  return llvm::to_vector(body.getOps<ParameterCompositionOpInterface>());
}

static double norm(ArrayRef<double> a, ArrayRef<double> b) {
  double squares = 0;
  for (auto [x, y] : llvm::zip_equal(a, b))
    squares += (x - y) * (x - y);
  return std::sqrt(squares);
}

FailureOr<AdaptedValue> graft::modular::evaluateAdapt(AdaptOp adapt, ArrayRef<StringAttr> names,
                                                      SymbolTableCollection &symbols) {
  auto site = adapt.getSite().getDefiningOp<SiteOp>();
  auto parameter =
      site ? symbols.lookupNearestSymbolFrom<ParameterOp>(adapt, site.getParameterAttr())
           : ParameterOp();
  if (!parameter)
    return adapt.emitError() << "expected the value of a 'modular.site', to fold its parameter";
  auto frozen = readElements(adapt, parameter.getValue());
  if (failed(frozen))
    return failure();
  const bool isTransposed = site.getTransposed();
  RankedTensorType stored = parameter.getType();
  if (isTransposed)
    *frozen = transposed(*frozen, stored.getDimSize(0), stored.getDimSize(1));
  auto read = [&](FlatSymbolRefAttr name) -> FailureOr<std::vector<double>> {
    auto own = symbols.lookupNearestSymbolFrom<ParameterOp>(adapt, name);
    if (!own)
      return adapt.emitError() << "expected " << name << " to name a parameter";
    return readElements(own, own.getValue());
  };
  std::vector<double> exact = *frozen;
  RankedTensorType canonical = site.getCanonicalType();
  for (ModuleOpInterface module : getModulesOfRoute(adapt, names, symbols)) {
    for (ParameterCompositionOpInterface step : getSteps(module))
      if (failed(step.evaluate(exact, read)))
        return failure();
    auto function = cast<FunctionOpInterface>(module.getOperation());
    canonical = cast<RankedTensorType>(function.getResultTypes().front());
  }

  AdaptedValue result;
  SmallVector<int64_t> shape(stored.getShape());
  if (canonical.getRank() == 2 && isTransposed)
    shape = {canonical.getDimSize(1), canonical.getDimSize(0)};
  else if (canonical != site.getCanonicalType())
    shape.front() = canonical.getDimSize(0),
    shape.back() = stored.getRank() == 2 ? canonical.getDimSize(1) : shape.back();
  result.type = RankedTensorType::get(shape, stored.getElementType());
  if (size_t(result.type.getNumElements()) != exact.size())
    return adapt.emitError() << "expected modules that keep all but the outer dimension of "
                             << stored << ", found a result of " << canonical;
  const double change = exact.size() == frozen->size()
                            ? norm(exact, *frozen)
                            : norm(exact, std::vector<double>(exact.size()));
  if (isTransposed)
    exact = transposed(exact, canonical.getDimSize(0), canonical.getDimSize(1));
  result.bytes = roundElements(exact, stored.getElementType());
  if (change != 0) {
    auto rounded =
        readElements(adapt, DenseElementsAttr::getFromRawBuffer(result.type, result.bytes));
    if (failed(rounded))
      return failure();
    result.error = norm(*rounded, exact) / change;
  }
  return result;
}
