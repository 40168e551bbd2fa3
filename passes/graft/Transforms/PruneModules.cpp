//===- PruneModules.cpp - Modules that a profile never uses are left out -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/Passes.h"

#include "graft/Fault/Fault.h"
#include "graft/Onnx/GraphBuilder.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

namespace graft {
#define GEN_PASS_DEF_PRUNEMODULESPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::modular;

namespace {
/// What a profile says of one router, over all tasks and all places where it is asked.
struct Usage {
  SmallVector<std::string> modules;
  SmallVector<double> rows, weight; ///< of each module
  bool isWithin = false;            ///< a module, perhaps one that no row takes
};
using Usages = llvm::MapVector<StringRef, Usage>;
} // namespace

/// A number of a profile that counts something.
static std::optional<double> countOf(const llvm::json::Value &value) {
  std::optional<double> number = value.getAsNumber();
  return number && *number >= 0 ? number : std::nullopt;
}

/// Adds one entry of the profile's `routers`; false if it is not of the form that
/// `graft run --routing-stats` writes.
static bool addRouter(const llvm::json::Object &router, Usages &usages) {
  auto name = router.getString("router");
  auto *modules = router.getArray("modules"), *tasks = router.getArray("tasks");
  if (!name || !modules || !tasks)
    return false;
  // A router that is asked at several places has an entry for each: `gate`, `gate#2`.
  Usage &usage = usages[name->split('#').first];
  SmallVector<std::string> names;
  for (const llvm::json::Value &module : *modules)
    names.push_back(module.getAsString().value_or("").str());
  if (!usage.modules.empty() && usage.modules != names)
    return false;
  usage.modules = names;
  usage.isWithin |= router.getObject("within") != nullptr;
  usage.rows.resize(names.size());
  usage.weight.resize(names.size());
  for (const llvm::json::Value &task : *tasks) {
    auto *object = task.getAsObject();
    auto *load = object ? object->getObject("load") : nullptr;
    auto *rows = load ? load->getArray("rows") : nullptr;
    auto *weight = load ? load->getArray("weight") : nullptr;
    if (!rows || !weight || rows->size() != names.size() || weight->size() != names.size())
      return false;
    for (size_t i = 0; i < names.size(); ++i) {
      std::optional<double> count = countOf((*rows)[i]);
      if (!count)
        return false;
      usage.rows[i] += *count;
      // A sum of weights is null where a weight was no number.
      usage.weight[i] += (*weight)[i].getAsNumber().value_or(0);
    }
  }
  return true;
}

static FailureOr<Usages> readProfile(mlir::ModuleOp module, StringRef path,
                                     llvm::json::Value &storage) {
  auto fail = [&](const Twine &what) {
    return emitInputFault(UnknownLoc::get(module.getContext())) << path << ": " << what;
  };
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return fail("expected a routing profile, found " + buffer.getError().message());
  llvm::Expected<llvm::json::Value> json = llvm::json::parse((*buffer)->getBuffer());
  if (!json)
    return fail("expected a routing profile in JSON: " + llvm::toString(json.takeError()));
  storage = std::move(*json);
  auto *object = storage.getAsObject();
  auto *routers = object ? object->getArray("routers") : nullptr;
  Usages usages;
  if (routers)
    for (const llvm::json::Value &entry : *routers)
      if (auto *router = entry.getAsObject(); !router || !addRouter(*router, usages))
        routers = nullptr;
  if (!routers)
    return fail("expected what 'graft run --routing-stats' writes: routers with their modules, and "
                "for each task the load of each module");
  return usages;
}

/// Numbers of modules among those that are left, −1 for those that are not.
static Value buildRenumbered(onnx::GraphBuilder &b, Value chosen, ArrayRef<int64_t> numbers) {
  Value filled = b.isWithin(chosen, numbers.size());
  Value safe = b.where(filled, chosen, b.number(0, chosen));
  Value number = onnx::GatherOp::create(b, chosen.getType(), b.integers(numbers), safe,
                                        /*axis=*/int64_t(0));
  return b.where(filled, number, b.number(-1, chosen));
}

namespace {
struct PruneModulesPass : graft::impl::PruneModulesPassBase<PruneModulesPass> {
  using PruneModulesPassBase::PruneModulesPassBase;

  std::function<void(const PrunedRouter &)> onPrune; ///< told of each router, or null

  void runOnOperation() override {
    if (failed(prune(getOperation())))
      signalPassFailure();
  }

private:
  LogicalResult prune(mlir::ModuleOp module);
  void leaveOut(mlir::ModuleOp module, RouterOp router, ArrayRef<int64_t> numbers, int64_t kept);
};
} // namespace

void PruneModulesPass::leaveOut(mlir::ModuleOp module, RouterOp router, ArrayRef<int64_t> numbers,
                                int64_t kept) {
  auto filter = [&](ArrayAttr all) {
    SmallVector<Attribute> left;
    for (auto [attribute, number] : llvm::zip(all, numbers))
      if (number >= 0)
        left.push_back(attribute);
    return ArrayAttr::get(module.getContext(), left);
  };
  Operation *yield = router.getBody().front().getTerminator();
  OpBuilder builder(yield);
  onnx::GraphBuilder b(router.getLoc(), builder);
  yield->setOperand(0, buildRenumbered(b, yield->getOperand(0), numbers));
  router.setModulesAttr(filter(router.getModules()));
  module.walk([&](RouteOp route) {
    if (route.getRouterAttr().getAttr() != router.getSymNameAttr())
      return;
    route.getResult().setType(
        RouteType::get(module.getContext(), kept, route.getType().getSlots()));
    for (Operation *user : route->getUsers())
      if (auto apply = dyn_cast<ApplyOp>(user))
        apply.setModulesAttr(filter(apply.getModules()));
  });
}

LogicalResult PruneModulesPass::prune(mlir::ModuleOp module) {
  if (profile.empty())
    return success();
  llvm::json::Value storage(nullptr);
  FailureOr<Usages> usages = readProfile(module, profile, storage);
  if (failed(usages))
    return failure();
  for (auto &[name, usage] : *usages) {
    auto router = module.lookupSymbol<RouterOp>(name);
    SmallVector<std::string> names;
    if (router && !router.isFixedByTask())
      for (auto each : router.getModules().getAsRange<StringAttr>())
        names.push_back(each.str());
    if (names != usage.modules)
      return emitInputFault(UnknownLoc::get(module.getContext()))
             << profile << ": expected the routers of this model with their modules, found router '"
             << name << "' of " << usage.modules.size() << " modules";
    SmallVector<int64_t> numbers;
    int64_t kept = 0;
    double all = 0, lost = 0;
    for (auto [rows, weight] : llvm::zip(usage.rows, usage.weight)) {
      numbers.push_back(rows > 0 ? kept++ : -1);
      all += weight;
      lost += rows > 0 ? 0 : weight;
    }
    if (kept == 0 && usage.isWithin)
      continue;
    if (kept == 0)
      return emitInputFault(UnknownLoc::get(module.getContext()))
             << profile << ": router '" << name
             << "': expected rows that take a module, found none";
    const int64_t left = names.size() - kept;
    if (left != 0)
      leaveOut(module, router, numbers, kept);
    if (onPrune)
      onPrune({name.str(), left, int64_t(names.size()), all > 0 ? lost / all : 0});
  }
  return success();
}

std::unique_ptr<Pass>
graft::createPruneModulesPass(StringRef profile,
                              std::function<void(const PrunedRouter &)> onPrune) {
  PruneModulesPassOptions options;
  options.profile = profile.str();
  auto pass = std::make_unique<PruneModulesPass>(std::move(options));
  pass->onPrune = std::move(onPrune);
  return pass;
}
