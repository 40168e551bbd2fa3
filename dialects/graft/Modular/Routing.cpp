//===- Routing.cpp - Verification of routers, routes and what applies them -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Modular.h"
#include "graft/Modular/RoutingTypes.h"
#include "graft/Modular/SymbolLookup.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace graft::modular;
using namespace graft::modular::detail;

bool graft::modular::detail::fits(Type expected, Type found) {
  return succeeded(verifyCompatibleShape(expected, found)) &&
         getElementTypeOrSelf(expected) == getElementTypeOrSelf(found);
}

RankedTensorType graft::modular::withAnyRows(RankedTensorType type) {
  SmallVector<int64_t> shape(type.getShape());
  shape.front() = ShapedType::kDynamic;
  return type.clone(shape);
}

RankedTensorType graft::modular::withSlots(RankedTensorType part, int64_t slots) {
  SmallVector<int64_t> shape(part.getShape());
  shape.insert(shape.begin() + 1, slots);
  return part.clone(shape);
}

static bool fit(TypeRange expected, TypeRange found) {
  return expected.size() == found.size() &&
         llvm::all_of(llvm::zip_equal(expected, found),
                      [](auto pair) { return fits(std::get<0>(pair), std::get<1>(pair)); });
}

//===----------------------------------------------------------------------===//
// Routers
//===----------------------------------------------------------------------===//

ParseResult RouterOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  ArrayAttr modules;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name), result.attributes))
    return failure();
  bool isFixed = succeeded(parser.parseOptionalKeyword("fixed"));
  if (isFixed) {
    if (parser.parseKeyword("by") || parser.parseKeyword("task"))
      return failure();
  } else if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren,
                                      /*allowType=*/true)) {
    return failure();
  }
  if (parser.parseKeyword("over") ||
      parser.parseAttribute(modules, getModulesAttrName(result.name), result.attributes) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  Region *body = result.addRegion();
  return isFixed ? ParseResult::success() : parser.parseRegion(*body, arguments);
}

void RouterOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  if (isFixedByTask()) {
    printer << " fixed by task";
  } else {
    printer << '(';
    llvm::interleaveComma(getBody().getArguments(), printer,
                          [&](BlockArgument argument) { printer.printRegionArgument(argument); });
    printer << ')';
  }
  printer << " over " << getModules();
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                           {getSymNameAttrName(), getModulesAttrName()});
  if (!isFixedByTask()) {
    printer << ' ';
    printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  }
}

LogicalResult RouterOp::verify() {
  llvm::StringSet<> seen;
  for (StringAttr name : getModules().getAsRange<StringAttr>())
    if (name.empty() || !seen.insert(name.getValue()).second)
      return emitOpError() << "(router-C1) expects distinct names that are not empty, found "
                           << name << (name.empty() ? "" : " twice");
  return success();
}

bool graft::modular::detail::areRoute(Type chosen, Type weights) {
  auto first = dyn_cast<RankedTensorType>(chosen), second = dyn_cast<RankedTensorType>(weights);
  return first && second && first.getRank() == 2 && first.getElementType().isInteger(64) &&
         isa<FloatType>(second.getElementType()) && first.getDimSize(1) > 0 &&
         first.getDimSize(1) == second.getDimSize(1) &&
         succeeded(verifyCompatibleShape(first, second));
}

LogicalResult RouterOp::verifyRegions() {
  if (isFixedByTask())
    return success();
  auto yield = dyn_cast<YieldOp>(getBody().front().back());
  if (!yield || yield.getNumOperands() != 2 ||
      !areRoute(yield.getOperand(0).getType(), yield.getOperand(1).getType()))
    return emitOpError()
           << "(router-C2) expects a body that yields what is chosen, of i64, and its "
              "weights, of floats, both (rows, slots)";
  return success();
}

ArrayAttr RouterOp::getModuleNames() { return getModules(); }

int64_t RouterOp::getSlots() {
  if (isFixedByTask())
    return 0;
  return cast<RankedTensorType>(getBody().front().getTerminator()->getOperand(0).getType())
      .getDimSize(1);
}

Region *RouterOp::getRouteBody() { return isFixedByTask() ? nullptr : &getBody(); }

std::optional<SmallVector<StringAttr>> RouterOp::getConstantRoute(Operation *op) {
  if (!isFixedByTask())
    return std::nullopt;
  auto task = cast<TaskOp>(op);
  if (task.getRouterAttr().getAttr() != getSymNameAttr())
    return SmallVector<StringAttr>();
  return llvm::to_vector(task.getModules().getAsRange<StringAttr>());
}

ParseResult RouteOp::parse(OpAsmParser &parser, OperationState &result) {
  FlatSymbolRefAttr router;
  SmallVector<OpAsmParser::UnresolvedOperand> inputs;
  SmallVector<Type> types;
  RouteType type;
  SMLoc where;
  if (parser.parseAttribute(router, getRouterAttrName(result.name), result.attributes) ||
      parser.getCurrentLocation(&where) ||
      parser.parseOperandList(inputs, OpAsmParser::Delimiter::OptionalParen) ||
      parser.parseOptionalAttrDict(result.attributes) || parser.parseColon())
    return failure();
  if (!inputs.empty() && (parser.parseLParen() || parser.parseTypeList(types) ||
                          parser.parseRParen() || parser.parseArrow()))
    return failure();
  if (parser.parseType(type) || parser.resolveOperands(inputs, types, where, result.operands))
    return failure();
  result.addTypes(type);
  return success();
}

void RouteOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getRouterAttr();
  if (!getInputs().empty())
    printer << '(' << getInputs() << ')';
  printer.printOptionalAttrDict((*this)->getAttrs(), {getRouterAttrName()});
  printer << " : ";
  if (!getInputs().empty())
    printer << '(' << getInputs().getTypes() << ") -> ";
  printer << Type(getResult().getType());
}

LogicalResult RouteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto router = resolve<RouterOpInterface>(*this, symbols, getRouterAttr(), "a router (route-C1)");
  if (failed(router))
    return failure();
  int64_t modules = router->getModuleNames().size();
  if (getResult().getType().getModules() != modules)
    return emitOpError() << "(route-C2) expects a route among " << modules << " modules, found "
                         << getResult().getType();
  if (getResult().getType().getSlots() != router->getSlots())
    return emitOpError() << "(route-C2) expects a route of " << router->getSlots()
                         << " slots, found " << getResult().getType();
  Region *body = router->getRouteBody();
  TypeRange expected = body ? TypeRange(body->getArgumentTypes()) : TypeRange();
  if (!fit(expected, getInputs().getTypes()))
    return emitOpError() << "(route-C3) expects the inputs that " << getRouterAttr() << " takes, ("
                         << expected << "), found (" << getInputs().getTypes() << ")";
  return success();
}

LogicalResult RouteOfOp::verify() {
  if (!areRoute(getChosen().getType(), getWeights().getType()) ||
      getResult().getType().getSlots() != getChosen().getType().getDimSize(1))
    return emitOpError() << "(route_of-C1) expects two tensors of (rows, "
                         << getResult().getType().getSlots() << "), found " << getChosen().getType()
                         << " and " << getWeights().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Applying
//===----------------------------------------------------------------------===//

LogicalResult ApplyOp::verify() {
  int64_t wanted = getRoute().getType().getModules();
  int64_t found = isInlined() ? getBodies().size() : getModules().size();
  if (!getRoute().getType().isPerRow() || wanted != found || (isInlined() && !getModules().empty()))
    return emitOpError() << "(apply-C1) expects a route for each row and a module for each of its "
                         << wanted << ", found " << getRoute().getType() << " and " << found
                         << " modules";
  return success();
}

/// A module's signature against what it is applied to and what is said that it gives.
static LogicalResult verifySignature(ApplyOp apply, const Twine &what, TypeRange arguments,
                                     TypeRange results) {
  auto fitsBut = [](Type expected, Type found, bool anyRows = false) {
    auto first = dyn_cast<RankedTensorType>(expected), second = dyn_cast<RankedTensorType>(found);
    // A module sees the rows that it is chosen for: how many, nobody knows.
    return first && second && first.getRank() == second.getRank() && first.getRank() > 0 &&
           (anyRows || second.isDynamicDim(0)) &&
           fits(RankedTensorType::get(first.getShape().drop_front(), first.getElementType()),
                RankedTensorType::get(second.getShape().drop_front(), second.getElementType()));
  };
  RankedTensorType part = apply.getParts().getType().getType();
  bool ok = arguments.size() == apply.getInputs().size() && results.size() == 1 &&
            // Of a region, shape inference may have found out.
            fitsBut(part, results.front(), /*anyRows=*/apply.isInlined());
  for (auto [input, argument] : llvm::zip(apply.getInputs().getTypes(), arguments))
    ok = ok && fitsBut(input, argument);
  if (ok)
    return success();
  return apply.emitOpError() << "(apply-C3) expects " << what << " to make " << part << " of ("
                             << apply.getInputs().getTypes() << ") for any number of rows, found ("
                             << arguments << ") -> (" << results << ")";
}

LogicalResult ApplyOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (auto symbol : getModules().getAsRange<FlatSymbolRefAttr>()) {
    auto module = symbols.lookupNearestSymbolFrom<ModuleOpInterface>(*this, symbol);
    if (!module || module.getComposition() != Composition::Function)
      return emitOpError() << "(apply-C2) expects " << symbol
                           << " to name a module that composes functions";
    auto function = cast<FunctionOpInterface>(module.getOperation());
    if (failed(verifySignature(*this, "module @" + symbol.getValue(), function.getArgumentTypes(),
                               function.getResultTypes())))
      return failure();
  }
  return success();
}

LogicalResult ApplyOp::verifyRegions() {
  for (auto &&[index, body] : llvm::enumerate(getBodies())) {
    auto yield = dyn_cast<YieldOp>(body.front().back());
    if (!yield || failed(verifySignature(*this, "region " + Twine(index), body.getArgumentTypes(),
                                         yield.getOperandTypes())))
      return yield ? failure() : emitOpError() << "(apply-C3) expects a region to yield a tensor";
  }
  return success();
}
