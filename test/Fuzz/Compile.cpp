//===- Compile.cpp - A graph on its way to a library, in this process -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compile.h"

#include "graft/Analysis/RowIndependence.h"
#include "graft/Artifact/Artifact.h"
#include "graft/Driver/Describe.h"
#include "graft/Modular/Modular.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;

namespace {
/// Keeps what is said of errors.
class Said {
public:
  explicit Said(MLIRContext *context)
      : handler(context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
            text += diagnostic.str() + "; ";
          return success();
        }) {}
  std::string text;

private:
  ScopedDiagnosticHandler handler;
};
} // namespace

static std::string print(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text;
}

std::string graft::fuzz::roundTrip(mlir::ModuleOp module) {
  Said said(module.getContext());
  std::string text = print(module);
  auto parsed = parseSourceString<mlir::ModuleOp>(text, ParserConfig(module.getContext()));
  if (!parsed)
    return "what is printed cannot be parsed: " + said.text;
  std::string again = print(*parsed);
  if (again == text)
    return "";
  size_t at =
      std::mismatch(text.begin(), text.begin() + std::min(text.size(), again.size()), again.begin())
          .first -
      text.begin();
  at -= std::min<size_t>(at, 60);
  return "another text when parsed and printed again: '" + text.substr(at, 120) + "' became '" +
         again.substr(at, 120) + "'";
}

void graft::fuzz::countOps(mlir::ModuleOp module, std::map<std::string, uint64_t> &counts) {
  module.walk([&](Operation *op) {
    std::string name = op->getName().getStringRef().str();
    ++counts[name];
    if (auto weigh = dyn_cast<modular::WeighOp>(op))
      ++counts[name + " by " + modular::stringifyNormalization(weigh.getNormalization()).str()];
    if (auto aggregate = dyn_cast<modular::AggregateOp>(op))
      ++counts[name + " " + modular::stringifyAggregation(aggregate.getAggregation()).str()];
  });
}

/// The functions of stages, apart from what says how they are run.
static OwningOpRef<mlir::ModuleOp> takeBodies(mlir::ModuleOp module) {
  OwningOpRef<mlir::ModuleOp> bodies = mlir::ModuleOp::create(module.getLoc());
  OpBuilder builder(bodies->getBodyRegion());
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr("modular.stage"))
      cast<func::FuncOp>(builder.clone(*function)).setPublic();
  return bodies;
}

/// Writes one row behind the end of the first buffer of floats that a stage allocates.
static bool plantOverrun(mlir::ModuleOp bodies) {
  memref::AllocOp buffer;
  bodies.walk([&](memref::AllocOp alloc) {
    if (!buffer && alloc.getType().getRank() > 0 && alloc.getType().getElementType().isF32() &&
        isa<func::FuncOp>(alloc->getParentOp()))
      buffer = alloc;
  });
  if (!buffer)
    return false;
  OpBuilder builder(buffer->getBlock()->getTerminator());
  Location loc = buffer.getLoc();
  SmallVector<Value> at{memref::DimOp::create(builder, loc, buffer, 0)};
  at.resize(size_t(buffer.getType().getRank()), arith::ConstantIndexOp::create(builder, loc, 0));
  Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  memref::StoreOp::create(builder, loc, zero, buffer, at);
  return true;
}

static void countApplies(mlir::ModuleOp module, Compiled &compiled) {
  auto opsOf = [](Region &body) {
    SmallVector<OperationName> names;
    body.walk([&](Operation *op) { names.push_back(op->getName()); });
    return names;
  };
  module.walk([&](modular::ApplyOp apply) {
    const bool isDense = apply->hasAttr("modular.dense");
    ++(isDense ? compiled.dense : compiled.dispatched);
    if (!isDense && apply.isInlined())
      compiled.differing += llvm::any_of(apply.getBodies(), [&](Region &body) {
        return opsOf(body) != opsOf(apply.getBodies().front());
      });
  });
}

std::string graft::fuzz::compile(OwningOpRef<mlir::ModuleOp> module, const Choices &choices,
                                 StringRef path, Compiled &compiled) {
  MLIRContext *context = module->getContext();
  Said said(context);
  PhaseOptions options;
  options.denseRouting = choices.dense;
  options.residency.policy = choices.fold;
  options.residency.lanes = choices.target.floatLanes();
  options.codegen.target = choices.target;
  options.codegen.instrumented = choices.instrumented;
  options.codegen.optLevel = choices.optLevel;
  ResidencyReport residency;
  options.onPlan = [&](const ResidencyPlan &plan) { residency = describeResidency(plan); };

  OwningOpRef<mlir::ModuleOp> bodies;
  llvm::json::Object rows;
  llvm::json::Array routers;
  std::vector<StageCode> codes;
  for (const PhaseInfo &info : getPhases()) {
    // Link binds adapters and raises: that is done. The last three are below.
    if (!info.build || info.phase == Phase::Link)
      continue;
    if (info.phase == Phase::Specialize) {
      countApplies(*module, compiled);
      RowIndependence independence(module->lookupSymbol<func::FuncOp>("main"));
      compiled.rowsAreIndependent = bool(independence);
      rows = describeRows(independence);
      routers = describeRouters(*module);
    }
    if (info.phase == Phase::Lower)
      bodies = takeBodies(*module);
    mlir::ModuleOp target = bodies ? *bodies : *module;
    PassManager pm(context, mlir::ModuleOp::getOperationName());
    pm.enableVerifier(true);
    info.build(pm, options);
    if (failed(pm.run(target)))
      return ("phase " + info.name + ": " + said.text).str();
    if (choices.overruns && info.phase == Phase::Bufferize && !plantOverrun(target))
      return "no buffer to write behind";
    if (choices.roundTrips)
      if (std::string error = roundTrip(target); !error.empty())
        return ("phase " + info.name + ": " + error).str();
  }
  codes = takeStageCode(*bodies);
  std::string object;
  if (failed(emitCode(*bodies, options.codegen, EmitFormat::Object, object)))
    return "emitting code: " + said.text;
  FailureOr<ArtifactSpec> spec = describeArtifact(*module, codes, residency);
  if (failed(spec))
    return "describing the library: " + said.text;
  spec->backbone = "fuzz";
  spec->target = choices.target;
  spec->rows = std::move(rows);
  spec->routers = std::move(routers);
  spec->instrumented = choices.instrumented;
  spec->codes.front().object = std::move(object);
  const auto &store = context->getLoadedDialect<modular::ModularDialect>()->getWeightStore();
  if (failed(writeArtifact(*spec, store, path, module->getLoc())))
    return "writing the library: " + said.text;
  return "";
}
