//===- InspectRouting.cpp - Which routing is recognised in a backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/InspectRouting.h"

#include "graft/Onnx/Origin.h"
#include "graft/Transforms/Passes.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace graft;
using llvm::formatv;

static Json placeOf(const std::string &node, const std::string &module) {
  Json json = {{"node", node}};
  if (!module.empty())
    json["module"] = module;
  return json;
}

void graft::inspectRouting(mlir::ModuleOp module, Json &facts) {
  OwningOpRef<mlir::ModuleOp> copy(module.clone());
  RaiseReport report;
  Json refused = Json::array();
  // What the compiler refuses is a fact here.
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      Origin origin = originOf(diagnostic.getLocation());
      Json json = placeOf(origin.node.str(), origin.module.str());
      json["reason"] = diagnostic.str();
      refused.push_back(std::move(json));
    }
    return success();
  });
  PassManager manager(module.getContext(), mlir::ModuleOp::getOperationName());
  manager.addPass(
      createRaiseRoutingPass(/*repair=*/true, [&](const RaiseReport &all) { report = all; }));
  (void)manager.run(*copy);
  facts["routers"] = Json::array();
  for (const RaiseReport::Raised &each : report.raised) {
    Json json = placeOf(each.node, each.module);
    json["router"] = each.router;
    json["form"] = each.form;
    json["modules"] = each.modules;
    json["slots"] = each.slots;
    json["checked"] = each.unchecked.empty();
    if (!each.unchecked.empty())
      json["unchecked"] = each.unchecked;
    if (!each.frozen.empty()) {
      json["frozen"] = each.frozen;
      json["needs_repair"] = each.needsRepair;
    }
    facts["routers"].push_back(std::move(json));
  }
  facts["not_raised"] = std::move(refused);
  for (const RaiseReport::Left &each : report.left) {
    Json json = placeOf(each.node, each.module);
    json["reason"] = each.reason;
    facts["not_raised"].push_back(std::move(json));
  }
}

static std::string place(const Json &json) {
  std::string text = "node '" + json["node"].get<std::string>() + "'";
  if (json.contains("module"))
    text += " (module '" + json["module"].get<std::string>() + "')";
  return text;
}

void graft::printRouting(const Json &facts, llvm::raw_ostream &os) {
  if (!facts["routers"].empty())
    os << "\nrouters\n";
  for (const Json &item : facts["routers"]) {
    os << formatv("  {0,-46} {1,4} modules, {2} slots; {3} at {4}",
                  item["router"].get<std::string>(), item["modules"].get<int64_t>(),
                  item["slots"].get<int64_t>(), item["form"].get<std::string>(), place(item));
    if (item.contains("frozen"))
      os << "; " << item["frozen"].get<std::string>()
         << (item["needs_repair"].get<bool>() ? ": refused without --repair" : "");
    if (item.contains("unchecked"))
      os << "; not compared in numbers: " << item["unchecked"].get<std::string>();
    os << "\n";
  }
  if (!facts["not_raised"].empty())
    os << "\nnot raised\n";
  for (const Json &item : facts["not_raised"])
    os << "  " << place(item) << ": " << item["reason"].get<std::string>() << "\n";
}
