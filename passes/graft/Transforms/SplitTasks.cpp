//===- SplitTasks.cpp - Cuts a backbone into the tree of stages of its tasks -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowIndependence.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Transforms/BindTasks.h"
#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"
#include "graft/Transforms/StageBody.h"
#include "graft/Transforms/StagePlan.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

namespace graft {
#define GEN_PASS_DEF_SPLITTASKSPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::modular;

namespace {

/// A value that a stage has computed, or an input of the model.
struct Available {
  int64_t id;
  Type type;
  Attribute dims; ///< `modular.dims`
};

/// `dims` with each name in its texts replaced by what `rename` makes of it.
Attribute renameSymbols(Attribute dims, llvm::function_ref<std::string(StringRef)> rename) {
  auto texts = dyn_cast_if_present<ArrayAttr>(dims);
  if (!texts)
    return dims;
  auto isPartOfName = [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.' || c == '%'; };
  SmallVector<Attribute> renamed;
  for (auto text : texts.getAsRange<StringAttr>()) {
    std::string result;
    for (StringRef rest = text; !rest.empty();) {
      StringRef name = rest.take_while(isPartOfName);
      result += rename(name);
      rest = rest.drop_front(name.size());
      result += rest.take_front();
      rest = rest.drop_front(std::min<size_t>(1, rest.size()));
    }
    renamed.push_back(StringAttr::get(text.getContext(), result));
  }
  return ArrayAttr::get(texts.getContext(), renamed);
}

/// `dims` of a stage's result for the stages after it. Symbols that its analysis made up (`dim.0`,
/// `sum.0`, `%0`) get the stage's number: those of another stage may have the same name and mean
/// something else.
Attribute dimsOfStage(Attribute dims, ArrayRef<StringAttr> modelSymbols, size_t stage) {
  return renameSymbols(dims, [&](StringRef name) {
    StringRef rest = name;
    bool prefixed =
        rest.consume_front("dim.") || rest.consume_front("sum.") || rest.consume_front("%");
    bool isMadeUp = prefixed && !rest.empty() && llvm::all_of(rest, llvm::isDigit) &&
                    llvm::none_of(modelSymbols, [&](StringAttr symbol) { return symbol == name; });
    return isMadeUp ? (name + "." + Twine(stage)).str() : name.str();
  });
}

/// Builds one stage's function from the backbone.
class StageBuilder {
public:
  using Visible = llvm::DenseMap<Value, Available>;

  StageBuilder(func::FuncOp main, const Spine &spine, const PlannedStage &stage,
               const llvm::DenseMap<Operation *, TaskBinding> &bindings, const Visible &visible,
               llvm::function_ref<ParameterOp(onnx::ConstantOp)> declare)
      : main(main), spine(spine), stage(stage), bindings(bindings), visible(visible),
        declare(declare) {}

  /// Makes it a stage for the rows of several tasks, the number of which is any of `symbols`.
  void setRows(const RowStage &stage, ArrayRef<StringAttr> symbols) {
    rows = &stage;
    rowSymbols = symbols;
  }

  /// The function, inserted at `builder`; null after an error.
  func::FuncOp build(OpBuilder &builder);

  SmallVector<Value> inputs, outputs;  ///< values of the backbone
  SmallVector<ParameterOp> parameters; ///< by slot

private:
  bool isInside(Operation *op) const {
    auto found = spine.number.find(op);
    return found != spine.number.end() && found->second >= stage.begin && found->second < stage.end;
  }
  void collect();
  void collect(Value value);
  void slot(ParameterOp parameter) {
    if (slots.try_emplace(parameter, parameters.size()).second)
      parameters.push_back(parameter);
  }
  LogicalResult cloneOp(OpBuilder &builder, Operation *op);
  LogicalResult materialize(OpBuilder &builder, Operation *op);
  LogicalResult addBranches(OpBuilder &builder, Operation *original, Operation *clone);
  void addRowProduct(OpBuilder &builder, Operation *original, AdaptOp adapt);
  Attribute dimsOf(const Available &available);
  Value argument(ParameterOp parameter) { return slotArguments[slots.lookup(parameter)]; }

  func::FuncOp main;
  const Spine &spine;
  const PlannedStage &stage;
  const llvm::DenseMap<Operation *, TaskBinding> &bindings;
  const Visible &visible;
  llvm::function_ref<ParameterOp(onnx::ConstantOp)> declare;
  const RowStage *rows = nullptr;
  ArrayRef<StringAttr> rowSymbols;
  Value keys;

  llvm::DenseMap<Operation *, unsigned> slots;
  llvm::DenseSet<Value> seen;
  /// The adapt whose value is an op's parameter, where a branch is kept beside that op.
  llvm::DenseMap<Operation *, AdaptOp> branchedAt;
  SmallVector<Value> slotArguments;
  IRMapping mapping;
};

} // namespace

/// Everything that `op` reads, also inside its regions.
static SmallVector<Value> getReadValues(Operation *op) {
  SmallVector<Value> values(op->getOperands());
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  llvm::append_range(values, captured);
  return values;
}

void StageBuilder::collect(Value value) {
  if (!seen.insert(value).second)
    return;
  Operation *producer = value.getDefiningOp();
  if (!producer || !spine.isRematerialized(producer)) {
    if (!producer || !isInside(producer))
      inputs.push_back(value);
    return;
  }
  if (auto adapt = dyn_cast<AdaptOp>(producer)) {
    const TaskBinding &binding = bindings.find(adapt)->second;
    slot(binding.parameter);
    if (rows) {
      auto modules = rows->modules.find(adapt);
      if (modules == rows->modules.end())
        return;
      for (const RowStage::Module &each : modules->second) {
        slot(each.down);
        slot(each.up);
      }
      for (OpOperand *use : getLinearUses(adapt).value_or(SmallVector<OpOperand *>()))
        branchedAt[use->getOwner()] = adapt;
      return;
    }
    for (const TaskBinding::Branch &branch : binding.branches) {
      slot(branch.down);
      slot(branch.up);
      if (branch.rowScale)
        slot(branch.rowScale);
    }
    if (!binding.branches.empty())
      for (OpOperand *use : getLinearUses(adapt).value_or(SmallVector<OpOperand *>()))
        branchedAt[use->getOwner()] = adapt;
    return;
  }
  if (auto constant = dyn_cast<onnx::ConstantOp>(producer)) {
    if (isa<WeightAttr>(constant.getValue()))
      slot(declare(constant));
    return;
  }
  if (auto site = dyn_cast<SiteOp>(producer)) {
    slot(SymbolTable::lookupNearestSymbolFrom<ParameterOp>(site, site.getParameterAttr()));
    return;
  }
  for (Value operand : getReadValues(producer))
    collect(operand);
}

void StageBuilder::collect() {
  for (unsigned i = stage.begin; i < stage.end; ++i) {
    Operation *op = spine.ops[i];
    if (op->hasTrait<OpTrait::IsTerminator>())
      continue; // what it returns is an output, here or of an earlier stage
    for (Value value : getReadValues(op))
      collect(value);
  }
  llvm::sort(inputs, [&](Value a, Value b) {
    return visible.find(a)->second.id < visible.find(b)->second.id;
  });
  for (unsigned i = stage.begin; i < stage.end; ++i)
    for (Value result : spine.ops[i]->getResults())
      if (llvm::any_of(result.getUsers(), [&](Operation *user) {
            Operation *ancestor = main.getBody().front().findAncestorOpInBlock(*user);
            if (ancestor->hasTrait<OpTrait::IsTerminator>())
              return true;
            auto found = spine.number.find(ancestor);
            return found == spine.number.end() ? spine.uses(ancestor).second >= stage.end
                                               : found->second >= stage.end;
          }))
        outputs.push_back(result);
}

LogicalResult StageBuilder::materialize(OpBuilder &builder, Operation *op) {
  for (Value value : getReadValues(op)) {
    Operation *producer = value.getDefiningOp();
    if (mapping.contains(value) || !producer || !spine.isRematerialized(producer))
      continue;
    if (auto adapt = dyn_cast<AdaptOp>(producer)) {
      mapping.map(value, argument(bindings.find(adapt)->second.parameter));
    } else if (auto site = dyn_cast<SiteOp>(producer)) {
      mapping.map(value, argument(SymbolTable::lookupNearestSymbolFrom<ParameterOp>(
                             site, site.getParameterAttr())));
    } else if (auto constant = dyn_cast<onnx::ConstantOp>(producer);
               constant && isa<WeightAttr>(constant.getValue())) {
      mapping.map(value, argument(declare(constant)));
    } else if (failed(materialize(builder, producer))) {
      return failure();
    } else {
      builder.clone(*producer, mapping);
    }
  }
  return success();
}

/// `y = x·W + b` becomes `c·(x·W + (x·Aᵀ)·(s·B)ᵀ) + … + b`.
LogicalResult StageBuilder::addBranches(OpBuilder &builder, Operation *original, Operation *clone) {
  auto adapt = branchedAt.lookup(original);
  if (!adapt)
    return success();
  auto linear = cast<onnx::LinearInParameterOpInterface>(clone);
  Value sum = clone->getResult(0);
  for (const TaskBinding::Branch &branch : bindings.find(adapt)->second.branches) {
    FailureOr<Value> delta =
        linear.buildLowRankDelta(builder, argument(branch.down), argument(branch.up));
    if (failed(delta))
      return original->emitError() << "expected an op that a low-rank delta distributes over";
    builder.setInsertionPointToEnd(clone->getBlock());
    sum = onnx::AddOp::create(builder, clone->getLoc(), sum.getType(), sum, *delta);
    sum.getDefiningOp()->setAttr("modular.beside", builder.getUnitAttr());
    if (branch.rowScale)
      sum = onnx::MulOp::create(builder, clone->getLoc(), sum.getType(), sum,
                                argument(branch.rowScale));
  }
  mapping.map(original->getResult(0), sum);
  return success();
}

/// `y = x·W + b` becomes the row product of x and W, and what each row's task has beside it, + b.
void StageBuilder::addRowProduct(OpBuilder &builder, Operation *original, AdaptOp adapt) {
  SmallVector<Value> downs, ups;
  SmallVector<int64_t> modules, starts;
  bool isShared = false;
  for (const RowStage::Module &each : rows->modules.find(adapt)->second) {
    modules.push_back(each.key);
    starts.push_back(each.start);
    downs.push_back(argument(each.down));
    ups.push_back(argument(each.up));
    RowStage::Module module = each;
    isShared |= module.down.getType().getDimSize(0) != module.up.getType().getDimSize(1);
  }
  auto gemm = dyn_cast<onnx::GemmOp>(original);
  Location loc = original->getLoc();
  Value y = RowProductOp::create(
      builder, loc, original->getResult(0).getType(), mapping.lookup(original->getOperand(0)),
      mapping.lookup(original->getOperand(1)), keys, downs, ups, int64_t(rows->tasks.size()),
      modules, gemm && gemm.getTransB() != 0,
      isShared ? builder.getDenseI64ArrayAttr(starts) : DenseI64ArrayAttr());
  if (gemm && gemm.getC())
    y = onnx::AddOp::create(builder, loc, y.getType(), y, mapping.lookup(gemm.getC()));
  mapping.map(original->getResult(0), y);
}

LogicalResult StageBuilder::cloneOp(OpBuilder &builder, Operation *op) {
  if (failed(materialize(builder, op)))
    return failure();
  if (auto adapt = branchedAt.lookup(op); adapt && rows) {
    addRowProduct(builder, op, adapt);
    return success();
  }
  Operation *clone = builder.clone(*op, mapping);
  // Branches come before the bias, so that the sum is one product.
  Value bias;
  if (auto gemm = dyn_cast<onnx::GemmOp>(clone);
      gemm && gemm.getC() && branchedAt.count(op) && gemm.getBeta().isExactlyValue(1)) {
    bias = gemm.getC();
    gemm.getCMutable().clear();
  }
  if (failed(addBranches(builder, op, clone)))
    return failure();
  if (bias) {
    Value y = mapping.lookup(op->getResult(0));
    builder.setInsertionPointToEnd(clone->getBlock());
    mapping.map(op->getResult(0),
                onnx::AddOp::create(builder, op->getLoc(), y.getType(), y, bias).getResult());
  }
  return success();
}

/// The number of rows is one symbol where rows of several tasks are.
Attribute StageBuilder::dimsOf(const Available &available) {
  if (!rows || rowSymbols.size() < 2)
    return available.dims;
  return renameSymbols(available.dims, [&](StringRef name) {
    bool isRows = llvm::any_of(rowSymbols, [&](StringAttr symbol) { return symbol == name; });
    return (isRows ? rowSymbols.front().getValue() : name).str();
  });
}

func::FuncOp StageBuilder::build(OpBuilder &builder) {
  collect();
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  auto add = [&](Type type, NamedAttrList list) {
    types.push_back(type);
    attributes.push_back(list.getDictionary(builder.getContext()));
  };
  for (StringAttr symbol : getModelSymbols(main))
    add(builder.getIndexType(), {builder.getNamedAttr("modular.symbol", symbol)});
  const unsigned firstInput = types.size();
  for (Value input : inputs) {
    const Available &available = visible.find(input)->second;
    NamedAttrList list;
    if (available.dims)
      list.set("modular.dims", dimsOf(available));
    add(available.type, list);
  }
  const unsigned keysAt = types.size();
  if (rows)
    add(RankedTensorType::get({ShapedType::kDynamic, 1}, builder.getI64Type()),
        {builder.getNamedAttr("modular.dims",
                              builder.getStrArrayAttr({rowSymbols.front().getValue(), "1"}))});
  const unsigned firstSlot = types.size();
  for (auto [slot, parameter] : llvm::enumerate(parameters))
    add(parameter.getType(),
        {builder.getNamedAttr("modular.slot", builder.getI64IntegerAttr(slot))});

  SmallVector<Type> results;
  for (Value output : outputs)
    results.push_back(output.getType());
  auto function =
      func::FuncOp::create(builder, main.getLoc(), "body", builder.getFunctionType(types, results));
  function.setPrivate();
  function.setAllArgAttrs(attributes);
  function->setAttr("modular.stage", builder.getUnitAttr());
  OpBuilder::InsertionGuard guard(builder);
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  for (auto [index, input] : llvm::enumerate(inputs))
    mapping.map(input, block->getArgument(firstInput + index));
  if (rows)
    keys = block->getArgument(keysAt);
  slotArguments.assign(block->args_begin() + firstSlot, block->args_end());
  for (unsigned i = stage.begin; i < stage.end; ++i)
    if (!spine.ops[i]->hasTrait<OpTrait::IsTerminator>() && failed(cloneOp(builder, spine.ops[i])))
      return nullptr;
  SmallVector<Value> returned;
  for (Value output : outputs)
    returned.push_back(mapping.lookup(output));
  func::ReturnOp::create(builder, main.getLoc(), returned);
  inferShapes(function);
  return function;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// Values that are returned are computed by some op: what is an input or a constant is copied.
static void copyReturnedInputs(func::FuncOp main) {
  Operation *terminator = main.getBody().front().getTerminator();
  OpBuilder builder(terminator);
  for (OpOperand &operand : terminator->getOpOperands()) {
    Operation *producer = operand.get().getDefiningOp();
    if (!producer || isa<onnx::ConstantOp, AdaptOp, SiteOp>(producer))
      operand.set(onnx::IdentityOp::create(builder, operand.get().getLoc(), operand.get().getType(),
                                           operand.get()));
  }
}

namespace {
struct SplitTasksPass : graft::impl::SplitTasksPassBase<SplitTasksPass> {
  void runOnOperation() override {
    if (failed(split(getOperation())))
      signalPassFailure();
  }

  using SplitTasksPassBase::SplitTasksPassBase;

  LogicalResult split(mlir::ModuleOp module);
};
} // namespace

/// Whether lowering will see that the vectors of each row product are those of its rows.
static bool hasVectorsOfRows(func::FuncOp function) {
  SymbolicShapes shapes(function);
  return !function
              .walk([&](RowProductOp op) {
                Polynomial all = product(ArrayRef(shapes.get(op.getX()).dims).drop_back());
                const Polynomial &rows = shapes.get(op.getKeys()).dims.front();
                return Polynomial::floorDiv(all, rows) * rows == all ? WalkResult::advance()
                                                                     : WalkResult::interrupt();
              })
              .wasInterrupted();
}

/// Says which tasks have no part in the row stage, for the report.
static void recordApart(mlir::ModuleOp module, const TasksApart &apart) {
  NamedAttrList list;
  for (auto &[task, why] : apart)
    list.set(task, StringAttr::get(module.getContext(), why));
  if (!apart.empty())
    module->setAttr("modular.apart", list.getDictionary(module.getContext()));
}

LogicalResult SplitTasksPass::split(mlir::ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main || main.isExternal() || !main.getBody().hasOneBlock())
    return module.emitError() << "expected a function @main of one block";
  FailureOr<TaskBindings> bindings = bindTasks(module);
  if (failed(bindings))
    return failure();
  if (bindings->empty())
    return module.emitError() << "expected a task";
  copyReturnedInputs(main);
  Spine spine(main);
  std::vector<PlannedStage> plan = planStages(spine, *bindings);
  std::optional<RowStage> rowStage;
  std::optional<RowIndependence> independence;
  if (rows && bindings->size() > 2) {
    TasksApart apart;
    independence.emplace(main);
    auto planned = planRowStage(main, spine, *bindings, plan, *independence, apart);
    if (failed(planned))
      return failure();
    rowStage = std::move(*planned);
    recordApart(module, apart);
  }
  // It comes last: no other stage reads what it computes.
  if (rowStage)
    plan.push_back(
        {rowStage->parent, rowStage->begin, unsigned(spine.ops.size()), rowStage->tasks});

  OpBuilder builder(module.getBodyRegion());
  builder.setInsertionPointToEnd(module.getBody());
  llvm::DenseMap<Attribute, ParameterOp> declared;
  llvm::StringMap<unsigned> names;
  auto declare = [&](onnx::ConstantOp constant) {
    ParameterOp &parameter = declared[constant.getValue()];
    if (!parameter) {
      std::string name = cast<WeightAttr>(constant.getValue()).getKey().str();
      while (SymbolTable::lookupSymbolIn(module, name))
        name += "_" + std::to_string(++names[name]);
      OpBuilder atStart(module.getBodyRegion());
      parameter = ParameterOp::create(atStart, constant.getLoc(), name, constant.getValue());
    }
    return parameter;
  };

  // Values that are visible after each stage.
  std::vector<StageBuilder::Visible> visible(plan.size());
  StageBuilder::Visible modelInputs;
  int64_t nextId = 0;
  for (BlockArgument argument : main.getArguments())
    modelInputs[argument] = {nextId++, argument.getType(),
                             main.getArgAttr(argument.getArgNumber(), "modular.dims")};
  const auto modelSymbols = getModelSymbols(main);
  llvm::StringMap<func::FuncOp> bodies;
  SmallVector<StageOp> stages;
  for (auto [index, planned] : llvm::enumerate(plan)) {
    const auto &before = planned.parent < 0 ? modelInputs : visible[planned.parent];
    StageBuilder stage(main, spine, planned, bindings->find(planned.tasks.front())->second, before,
                       declare);
    const bool isRows = rowStage && index + 1 == plan.size();
    if (isRows)
      stage.setRows(*rowStage, independence->getRowSymbols());
    func::FuncOp function = stage.build(builder);
    if (!function)
      return failure();
    if (isRows && !hasVectorsOfRows(function)) {
      function.erase();
      break;
    }
    func::FuncOp &body = bodies[getStageIdentity(function)];
    if (body) {
      function.erase();
    } else {
      body = function;
      body.setName("body" + std::to_string(bodies.size() - 1));
    }
    visible[index] = before;
    SmallVector<int64_t> inputs, outputs;
    for (Value input : stage.inputs)
      inputs.push_back(before.find(input)->second.id);
    if (isRows)
      inputs.push_back(nextId++); // the keys
    for (auto [number, output] : llvm::enumerate(stage.outputs)) {
      outputs.push_back(nextId);
      Attribute dims = body.getResultAttr(number, "modular.dims");
      visible[index][output] = {nextId++, body.getResultTypes()[number],
                                dimsOfStage(dims, modelSymbols, index)};
    }
    SmallVector<Attribute> parameters, tasks(planned.tasks.begin(), planned.tasks.end());
    for (ParameterOp parameter : stage.parameters)
      parameters.push_back(FlatSymbolRefAttr::get(parameter.getSymNameAttr()));
    stages.push_back(StageOp::create(
        builder, main.getLoc(), builder.getStringAttr("stage" + std::to_string(index)),
        FlatSymbolRefAttr::get(body.getSymNameAttr()),
        planned.parent < 0 ? FlatSymbolRefAttr()
                           : FlatSymbolRefAttr::get(stages[planned.parent].getSymNameAttr()),
        builder.getArrayAttr(parameters), builder.getDenseI64ArrayAttr(inputs),
        builder.getDenseI64ArrayAttr(outputs), builder.getArrayAttr(tasks)));
    SmallVector<int64_t> returned;
    for (Value value : main.getBody().front().getTerminator()->getOperands())
      if (auto found = visible[index].find(value); found != visible[index].end())
        returned.push_back(found->second.id);
    auto outputsAttr = builder.getDenseI64ArrayAttr(returned);
    if (isRows) {
      stages.back()->setAttr("modular.keys", builder.getI64IntegerAttr(inputs.back()));
      stages.back()->setAttr("modular.outputs", outputsAttr);
      break;
    }
    for (StringAttr task : planned.tasks) {
      auto op = module.lookupSymbol<TaskOp>(task);
      op->setAttr("modular.stage", FlatSymbolRefAttr::get(stages.back().getSymNameAttr()));
      op->setAttr("modular.outputs", outputsAttr);
    }
  }

  // The backbone itself and what only it refers to are done with; its signature stays, as that of
  // the library.
  main.setPrivate();
  main.eraseBody();
  for (auto each : llvm::make_early_inc_range(module.getOps<modular::ModuleOp>()))
    each.erase();
  eraseUnusedParameters(module);
  return success();
}
