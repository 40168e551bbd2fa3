//===- ModularOps.cpp - Verification of the modular dialect's ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Modular.h"
#include "graft/Modular/SymbolLookup.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace graft::modular;

#include "graft/Modular/ModularInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "graft/Modular/ModularOps.cpp.inc"

RankedTensorType graft::modular::getCanonicalType(RankedTensorType stored, bool transposed) {
  ArrayRef<int64_t> shape = stored.getShape();
  if (stored.getRank() < 2)
    return stored;
  if (stored.getRank() == 2 && transposed)
    return RankedTensorType::get({shape[1], shape[0]}, stored.getElementType());
  int64_t rest = 1;
  for (int64_t dim : shape.drop_front())
    rest = ShapedType::isDynamic(dim) || ShapedType::isDynamic(rest) ? ShapedType::kDynamic
                                                                     : rest * dim;
  return RankedTensorType::get({shape[0], rest}, stored.getElementType());
}

//===----------------------------------------------------------------------===//
// Parameters, sites, adapts
//===----------------------------------------------------------------------===//

LogicalResult ParameterOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getValue().getType());
  if (!type || !type.hasStaticShape())
    return emitOpError() << "(parameter-C1) expects a ranked tensor of static shape, found "
                         << getValue().getType();
  return success();
}

LogicalResult SiteOp::verify() {
  if (getTransposed() && getResult().getType().getRank() != 2)
    return emitOpError() << "(site-C3) expects a matrix where it is transposed, found "
                         << getResult().getType();
  return success();
}

LogicalResult SiteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto parameter =
      resolve<ParameterOp>(*this, symbols, getParameterAttr(), "a parameter (site-C1)");
  if (failed(parameter))
    return failure();
  if (parameter->getType() != getResult().getType())
    return emitOpError() << "(site-C2) expects the parameter's type " << parameter->getType()
                         << ", found " << getResult().getType();
  return success();
}

LogicalResult AdaptOp::verify() {
  if (!getRoute().getDefiningOp<RouteOp>())
    return emitOpError() << "(adapt-C1) expects the route of a 'modular.route'";
  return success();
}

LogicalResult AdaptOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto route = getRoute().getDefiningOp<RouteOp>();
  auto router = symbols.lookupNearestSymbolFrom(*this, route.getRouterAttr());
  auto routerInterface = dyn_cast_or_null<RouterOpInterface>(router);
  if (!routerInterface)
    return success(); // the route's own verifier says so
  auto site = getSite().getDefiningOp<SiteOp>();
  bool transposed = site && site.getTransposed();
  for (NamedAttribute entry : getModules()) {
    if (!llvm::is_contained(routerInterface.getModuleNames(), Attribute(entry.getName())))
      return emitOpError() << "(adapt-C1) expects a name that router " << route.getRouterAttr()
                           << " chooses among, found " << entry.getName();
    auto symbol = dyn_cast<FlatSymbolRefAttr>(entry.getValue());
    auto module = symbol ? symbols.lookupNearestSymbolFrom<ModuleOpInterface>(*this, symbol)
                         : ModuleOpInterface();
    if (!module || module.getComposition() != Composition::Parameter)
      return emitOpError() << "(adapt-C2) expects " << entry.getValue()
                           << " to name a module that composes parameters";
    auto function = cast<FunctionOpInterface>(module.getOperation());
    Type expected[] = {getCanonicalType(getSite().getType(), transposed),
                       getCanonicalType(getResult().getType(), transposed)};
    Type found[] = {function.getArgumentTypes().front(), function.getResultTypes().front()};
    for (auto [want, have] : llvm::zip(expected, found))
      if (failed(verifyCompatibleShape(want, have)) ||
          getElementTypeOrSelf(want) != getElementTypeOrSelf(have))
        return emitOpError() << "(adapt-C3) expects module " << symbol << " to have type " << want
                             << ", found " << have;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

ParseResult graft::modular::ModuleOp::parse(OpAsmParser &parser, OperationState &result) {
  StringRef keyword;
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Type> resultTypes;
  SmallVector<DictionaryAttr> resultAttributes;
  bool isVariadic = false;
  SMLoc where;
  Builder &builder = parser.getBuilder();
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name), result.attributes) ||
      parser.getCurrentLocation(&where) || parser.parseKeyword(&keyword))
    return failure();
  std::optional<Composition> composition = symbolizeComposition(keyword);
  if (!composition)
    return parser.emitError(where) << "expected parameter, input or function, found " << keyword;
  result.addAttribute(getCompositionAttrName(result.name),
                      CompositionAttr::get(builder.getContext(), *composition));
  if (function_interface_impl::parseFunctionSignatureWithArguments(
          parser, /*allowVariadic=*/false, arguments, isVariadic, resultTypes, resultAttributes))
    return failure();
  SmallVector<Type> argumentTypes;
  for (OpAsmParser::Argument &argument : arguments)
    argumentTypes.push_back(argument.type);
  result.addAttribute(getFunctionTypeAttrName(result.name),
                      TypeAttr::get(builder.getFunctionType(argumentTypes, resultTypes)));
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  return parser.parseRegion(*result.addRegion(), arguments);
}

void graft::modular::ModuleOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << ' ' << stringifyComposition(getComposition());
  function_interface_impl::printFunctionSignature(printer, *this, getArgumentTypes(),
                                                  /*isVariadic=*/false, getResultTypes());
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getSymNameAttrName(), getCompositionAttrName(), getFunctionTypeAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult graft::modular::ModuleOp::verifyRegions() {
  auto yield = dyn_cast<YieldOp>(getBody().front().back());
  if (!yield || yield.getOperandTypes() != TypeRange(getResultTypes()))
    return emitOpError() << "(module-C1) expects a body that ends in a 'modular.yield' of "
                         << getFunctionType().getResults();
  if (getComposition() != Composition::Parameter)
    return success();
  if (getArgumentTypes().size() != 1 || getResultTypes().size() != 1 ||
      !isa<RankedTensorType>(getArgumentTypes().front()) ||
      !isa<RankedTensorType>(getResultTypes().front()))
    return emitOpError() << "(module-C2) expects one argument and one result, both ranked tensors";
  Value previous = getBody().getArgument(0);
  for (Operation &op : getBody().front()) {
    if (op.getNumOperands() == 0 || op.getOperand(0) != previous ||
        !isa<YieldOp, ParameterCompositionOpInterface>(op))
      return op.emitOpError() << "(module-C2) expects steps of parameter composition, each on the "
                                 "result of the one before";
    if (op.getNumResults() == 1)
      previous = op.getResult(0);
  }
  return success();
}

void graft::modular::ModuleOp::collectParameters(SmallVectorImpl<FlatSymbolRefAttr> &parameters) {
  getBody().walk([&](Operation *op) {
    for (NamedAttribute attribute : op->getAttrs())
      if (auto symbol = dyn_cast<FlatSymbolRefAttr>(attribute.getValue()))
        parameters.push_back(symbol);
  });
}

bool graft::modular::ModuleOp::replacesParameter() {
  return llvm::any_of(
      getBody().getOps<ParameterCompositionOpInterface>(),
      [](ParameterCompositionOpInterface step) { return step.replacesParameter(); });
}

//===----------------------------------------------------------------------===//
// Tasks, stages
//===----------------------------------------------------------------------===//

LogicalResult TaskOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto router = resolve<RouterOpInterface>(*this, symbols, getRouterAttr(), "a router (task-C1)");
  if (failed(router))
    return failure();
  llvm::StringSet<> seen;
  for (StringAttr name : getModules().getAsRange<StringAttr>()) {
    if (!llvm::is_contained(router->getModuleNames(), Attribute(name)))
      return emitOpError() << "(task-C1) expects a name that router " << getRouterAttr()
                           << " chooses among, found " << name;
    if (!seen.insert(name.getValue()).second)
      return emitOpError() << "(task-C1) expects each module once, found " << name << " twice";
  }
  WalkResult result = (*this)->getParentOp()->walk([&](AdaptOp adapt) {
    StringAttr replacing;
    for (StringAttr name : getModules().getAsRange<StringAttr>()) {
      auto symbol = dyn_cast_or_null<FlatSymbolRefAttr>(adapt.getModules().get(name));
      auto module = symbol ? symbols.lookupNearestSymbolFrom<ModuleOpInterface>(adapt, symbol)
                           : ModuleOpInterface();
      if (!module || !module.replacesParameter())
        continue;
      if (replacing) {
        emitOpError() << "(task-C2) expects at most one module that replaces a site's parameter, "
                         "found "
                      << replacing << " and " << name;
        return WalkResult::interrupt();
      }
      replacing = name;
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult StageOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto body = resolve<FunctionOpInterface>(*this, symbols, getBodyAttr(), "a function (stage-C1)");
  if (failed(body))
    return failure();
  if (getParentAttr() &&
      failed(resolve<StageOp>(*this, symbols, getParentAttr(), "a stage (stage-C3)")))
    return failure();
  size_t values = 0;
  ArrayRef<Attribute> parameters = getParameters().getValue();
  for (unsigned i = 0; i < body->getNumArguments(); ++i) {
    auto slot = body->getArgAttrOfType<IntegerAttr>(i, "modular.slot");
    if (!slot) {
      values += !body->getArgAttr(i, "modular.symbol");
      continue;
    }
    if (slot.getInt() < 0 || size_t(slot.getInt()) >= parameters.size())
      return emitOpError() << "(stage-C1) expects a parameter for slot " << slot.getInt()
                           << ", found " << parameters.size() << " parameters";
    auto parameter =
        resolve<ParameterOp>(*this, symbols, cast<FlatSymbolRefAttr>(parameters[slot.getInt()]),
                             "a parameter (stage-C2)");
    if (failed(parameter))
      return failure();
    if (parameter->getType() != body->getArgumentTypes()[i])
      return emitOpError() << "(stage-C2) expects slot " << slot.getInt() << " to have type "
                           << body->getArgumentTypes()[i] << ", found " << parameter->getType();
  }
  if (values != getInputs().size() || body->getNumResults() != getOutputs().size())
    return emitOpError() << "(stage-C1) expects " << values << " inputs and "
                         << body->getNumResults() << " outputs, found " << getInputs().size()
                         << " and " << getOutputs().size();
  return success();
}

LogicalResult RowProductOp::verify() {
  ArrayRef<int64_t> modules = getModules();
  if (getDowns().size() != modules.size() || getUps().size() != modules.size())
    return emitOpError() << "(row_product-C1) expects a down and an up for each of "
                         << modules.size() << " modules, found " << getDowns().size() << " and "
                         << getUps().size();
  for (auto [i, module] : llvm::enumerate(modules))
    if (module < (i == 0 ? 0 : modules[i - 1] + 1) || module >= int64_t(getTasks()))
      return emitOpError() << "(row_product-C1) expects ascending numbers below " << getTasks()
                           << ", found " << module;
  auto shapeOf = [](Value value) { return cast<RankedTensorType>(value.getType()).getShape(); };
  auto agree = [](int64_t a, int64_t b) {
    return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
  };
  auto bad = [&](const Twine &what, Value value) {
    return emitOpError() << "(row_product-C2) expects " << what << ", found " << value.getType();
  };
  ArrayRef<int64_t> x = shapeOf(getX()), w = shapeOf(getWeight()), y = shapeOf(getY());
  if (x.size() < 2)
    return bad("x of a rank of at least 2", getX());
  const bool isTransposed = getTransposed();
  if (w.size() != 2 || !agree(w[isTransposed ? 1 : 0], x.back()))
    return bad("a weight for vectors of " + Twine(x.back()), getWeight());
  const int64_t out = w[isTransposed ? 0 : 1];
  if (y.size() != x.size() || !agree(y.back(), out))
    return bad("a result of vectors of " + Twine(out), getY());
  std::optional<ArrayRef<int64_t>> starts = getStarts();
  if (starts && starts->size() != modules.size())
    return emitOpError() << "(row_product-C4) expects " << modules.size() << " starts, found "
                         << starts->size();
  for (auto [i, down, up] : llvm::enumerate(getDowns(), getUps())) {
    if (shapeOf(down).size() != 2 || !agree(shapeOf(down)[1], x.back()))
      return bad("a down for vectors of " + Twine(x.back()), down);
    if (shapeOf(up).size() != 2 || !agree(shapeOf(up)[0], out) ||
        (!starts && !agree(shapeOf(up)[1], shapeOf(down)[0])))
      return bad("an up from " + Twine(shapeOf(down)[0]) + " to " + Twine(out), up);
    if (!starts || ShapedType::isDynamic(shapeOf(down)[0]) || ShapedType::isDynamic(shapeOf(up)[1]))
      continue;
    const int64_t last = shapeOf(down)[0] - shapeOf(up)[1];
    if ((*starts)[i] < 0 || (*starts)[i] > last)
      return emitOpError() << "(row_product-C4) expects a start from 0 to " << last << ", found "
                           << (*starts)[i];
  }
  ArrayRef<int64_t> keys = shapeOf(getKeys());
  if (keys.size() != 2 || !agree(keys[1], 1))
    return emitOpError() << "(row_product-C3) expects keys of (rows, 1), found "
                         << getKeys().getType();
  return success();
}
