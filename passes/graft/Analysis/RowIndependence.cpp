//===- RowIndependence.cpp - Whether the rows of a batch can't see each other -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowRules.h"
#include "graft/Analysis/Segments.h"

#include "graft/Modular/Exposure.h"

using namespace mlir;
using namespace graft;

bool rowrules::divides(const Polynomial &divisor, const Polynomial &p) {
  return Polynomial::floorDiv(p, divisor) * divisor == p;
}

bool RowIndependence::dependsOnCount(const Polynomial &p) const {
  return llvm::any_of(p.symbols(), [&](const std::string &name) {
    const SymbolicShapes::Source *source = shapes.lookup(name);
    return name == symbol || (source && source->kind == SymbolicShapes::Source::Definition &&
                              dependsOnCount(source->definition));
  });
}

bool RowIndependence::dependsOnData(const Polynomial &p) const {
  return llvm::any_of(p.symbols(), [&](const std::string &name) {
    using Source = SymbolicShapes::Source;
    const Source *source = shapes.lookup(name);
    if (!source || source->kind == Source::Argument)
      return false;
    if (source->kind == Source::Definition)
      return dependsOnData(source->definition);
    if (isa<BlockArgument>(source->value) && source->kind == Source::Dimension)
      return false;
    auto found = states.find(source->value);
    return found == states.end() || !found->second.isSame();
  });
}

bool RowIndependence::isKnownBeforeData(Value value) const {
  if (get(value).isSame())
    return true;
  const auto &elements = shapes.get(value).elements;
  return elements && llvm::none_of(*elements, [&](auto &p) { return dependsOnData(p); });
}

const RowState &RowIndependence::get(Value value) const {
  static const RowState same;
  auto found = states.find(value);
  return found == states.end() ? same : found->second;
}

bool RowIndependence::isSameAt(Operation *op, unsigned i) const {
  return i >= op->getNumOperands() || get(op, i).isSame();
}

bool RowIndependence::areSame(Operation *op, unsigned first) const {
  return llvm::all_of(op->getOperands().drop_front(std::min(first, op->getNumOperands())),
                      [&](Value v) { return get(v).isSame(); });
}

bool RowIndependence::isWhole(Value value, const RowState &state) const {
  return dims(value)[state.dim] == count * state.inner;
}

bool RowIndependence::isInRowOrder(Value value) const {
  value = copies.lookupOrDefault(value);
  const RowState &state = get(value);
  return state.isRows() && !state.isNumber() && state.dim == 0 && isWhole(value, state);
}

RowState RowIndependence::mixed(StringRef why) const {
  RowState state;
  state.kind = RowState::Mixed;
  state.culprit = current;
  state.reason = why;
  return state;
}

bool RowIndependence::seed(func::FuncOp main) {
  for (BlockArgument argument : main.getArguments()) {
    if (main.getArgAttr(argument.getArgNumber(), "modular.slot"))
      continue;
    const SymbolicTensor &tensor = shapes.get(argument);
    std::optional<StringRef> first;
    if (tensor.rank() > 0)
      first = tensor.dims[0].asAtom();
    auto describe = [&](unsigned index, StringRef dim) {
      auto name = main.getArgAttrOfType<StringAttr>(index, "modular.name");
      return (name ? name.getValue() : StringRef("an input")).str() + " with " + dim.str();
    };
    if (!first || tensor.dims[0].symbols().size() != 1) {
      reason += ", found " + describe(argument.getArgNumber(), "none");
      return false;
    }
    symbol = first->str();
    count = Polynomial::symbol(symbol);
    for (const Polynomial &dim : ArrayRef<Polynomial>(tensor.dims).drop_front())
      if (dependsOnCount(dim)) {
        reason +=
            " that no other is, found " + describe(argument.getArgNumber(), symbol) + " twice";
        return false;
      }
    states[argument] = RowState::rows(0);
  }
  return !symbol.empty();
}

/// The symbol that an argument's dimension `dim` is, or null.
static StringAttr symbolAt(func::FuncOp main, unsigned argument, unsigned dim) {
  auto type = dyn_cast<RankedTensorType>(main.getArgumentTypes()[argument]);
  auto dims = main.getArgAttrOfType<ArrayAttr>(argument, "modular.dims");
  if (!type || !dims || dim >= dims.size() || !type.isDynamicDim(dim))
    return nullptr;
  auto text = dyn_cast<StringAttr>(dims[dim]);
  std::optional<Polynomial> parsed = text ? Polynomial::parse(text.getValue()) : std::nullopt;
  auto atom = parsed ? parsed->asAtom() : std::nullopt;
  return atom && !atom->contains('(') ? text : nullptr;
}

/// Makes a copy in which the first dimensions of all arguments are one symbol, if they are several:
/// an exporter that was not told so does not know that a mask has as many rows as what it masks.
void RowIndependence::unifySymbols(func::FuncOp main) {
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    StringAttr symbol = symbolAt(main, i, 0);
    if (!symbol)
      return rowSymbols.clear();
    rowSymbols.insert(symbol);
  }
  if (rowSymbols.size() < 2)
    return;
  renamed = cast<func::FuncOp>(main->clone(copies));
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    SmallVector<Attribute> dims(
        main.getArgAttrOfType<ArrayAttr>(i, "modular.dims").getAsRange<Attribute>());
    for (auto [d, dim] : llvm::enumerate(dims))
      if (StringAttr symbol = symbolAt(main, i, d); symbol && rowSymbols.contains(symbol))
        dim = rowSymbols.front();
    renamed->setArgAttr(i, "modular.dims", ArrayAttr::get(main.getContext(), dims));
  }
}

RowIndependence::RowIndependence(func::FuncOp main)
    : shapes((unifySymbols(main), renamed ? *renamed : main)) {
  if (renamed)
    main = *renamed;
  reason = "expected inputs whose first dimension is a symbol";
  if (!seed(main))
    return;
  reason.clear();
  for (Operation &op : main.getBody().front().without_terminator())
    visit(&op);
  for (Value result : main.getBody().front().getTerminator()->getOperands()) {
    const RowState &state = get(result);
    culprit = state.isMixed() ? state.culprit : result.getDefiningOp();
    if (state.isMixed())
      reason = state.reason.str();
    else if (state.isNumber())
      reason = rowrules::numberAsData;
    else if (!state.isRows() || state.dim != 0 || state.inner != Polynomial(1) ||
             !isWhole(result, state))
      reason = "expected results whose first dimension is that of the rows";
    if (!reason.empty())
      return;
  }
  culprit = nullptr;
}

/// The state where the dimensions bear it out.
RowState RowIndependence::checked(Value value, RowState state) {
  if (state.isMixed() || !isa<RankedTensorType>(value.getType()))
    return state;
  states[value] =
      state; // a size that a value alone tells is as much the same for all rows as it is
  for (auto [i, dim] : llvm::enumerate(dims(value))) {
    if (dependsOnData(dim))
      return mixed("has a size that only data tells");
    if (state.isRows() && int64_t(i) == state.dim) {
      if (!rowrules::divides(count * state.inner, dim) || dependsOnCount(state.inner) ||
          dependsOnCount(Polynomial::floorDiv(dim, count * state.inner)))
        return mixed("takes rows apart");
    } else if (dependsOnCount(dim)) {
      return mixed("makes rows that are not a batch's");
    }
  }
  if (state.isRows() && state.dim >= rank(value))
    return mixed("takes rows apart");
  if (dependsOnCount(state.scale))
    return mixed("computes with the number of rows");
  return state;
}

RowState RowIndependence::ofElements(Value value, ArrayRef<Polynomial> elements) {
  for (const Polynomial &element : elements) {
    if (dependsOnData(element))
      return mixed("computes with a size that only data tells");
    if (dependsOnCount(element))
      return mixed("computes with the number of rows");
  }
  return RowState::same();
}

void RowIndependence::visit(Operation *op) {
  current = op;
  std::optional<RowState> common;
  // Symbols for elements that only the data tells say nothing of the data.
  auto isReadFrom = [&](Value result, const Polynomial &element) {
    auto atom = element.asAtom();
    const SymbolicShapes::Source *source = atom ? shapes.lookup(*atom) : nullptr;
    return source && source->value == result;
  };
  for (Value result : op->getResults()) {
    const auto &elements = shapes.get(result).elements;
    if (elements && llvm::none_of(*elements, [&](auto &p) { return isReadFrom(result, p); })) {
      states[result] = ofElements(result, *elements);
      continue;
    }
    if (!common)
      common = stateOf(op);
    RowState state = *common;
    if (state.isRows() && isa<onnx::LSTMOp, onnx::GRUOp, onnx::RNNOp>(op))
      state.dim = rank(result) == 4 ? 2 : 1;
    if (state.isRows() && isa<onnx::MaxPoolOp>(op) && result != op->getResult(0))
      state = mixed("counts positions through all rows");
    states[result] = checked(result, state);
  }
}

const llvm::StringMap<RowIndependence::Entry> &RowIndependence::table() {
  using R = RowIndependence;
  static const llvm::StringMap<Entry> table = [] {
    llvm::StringMap<Entry> table;
    auto add = [&](StringRef names, Entry entry) {
      SmallVector<StringRef> each;
      names.split(each, ' ');
      for (StringRef name : each)
        table[name] = entry;
    };
    add("Add Sub Mul Identity Cast Where Sum Equal Greater GreaterOrEqual Less LessOrEqual",
        {&R::elementwise, Entry::Numbers});
    add("Div Pow Mod Min Max Mean Sqrt Exp Log Erf Tanh Sigmoid Relu LeakyRelu PRelu Elu Selu Celu "
        "HardSigmoid HardSwish Mish Softplus Softsign Gelu Swish ThresholdedRelu Shrink Neg Abs "
        "Sign Reciprocal Floor Ceil Round Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh "
        "Clip Not And Or Xor IsNaN IsInf BitwiseAnd BitwiseOr BitwiseXor BitwiseNot "
        "BitShift Dropout",
        {&R::elementwise});
    add("CastLike", {&R::castLike});
    add("Softmax LogSoftmax Hardmax CumSum CumProd LpNormalization LayerNormalization "
        "RMSNormalization "
        "TopK Split Trilu",
        {&R::alongAxis});
    add("Conv ConvTranspose MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool "
        "BatchNormalization InstanceNormalization GroupNormalization LRN DepthToSpace "
        "SpaceToDepth",
        {&R::firstDim});
    add("Resize", {&R::firstDim, 0, 1});
    add("ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum "
        "ReduceLogSumExp ReduceSumSquare ArgMax ArgMin",
        {&R::reduce});
    add("Reshape", {&R::reshape, Entry::Numbers, 1});
    add("Flatten Squeeze Unsqueeze", {&R::reshape, Entry::Numbers});
    add("Transpose", {&R::transpose, Entry::Numbers});
    add("ConstantOfShape", {&R::fill, Entry::MakesRows, 0});
    add("Expand", {&R::fill, Entry::Numbers | Entry::MakesRows, 1});
    add("Tile", {&R::tile, Entry::MakesRows, 1});
    add("Range", {&R::range, Entry::MakesRows, 0});
    add("NonZero", {&R::nonZero});
    add("Gather", {&R::gather, Entry::Numbers});
    add("GatherND", {&R::gatherND, Entry::Numbers});
    add("GatherElements ScatterElements", {&R::byElement});
    add("ScatterND", {&R::scatterND, Entry::Numbers});
    add("MatMul", {&R::matmul});
    add("Einsum", {&R::einsum});
    add("Gemm", {&R::gemm});
    add("Concat", {&R::concat, Entry::Numbers});
    add("Slice", {&R::slice, Entry::Numbers, 1});
    add("Pad", {&R::pad, 0, 1});
    add("OneHot", {&R::oneHot});
    add("ReverseSequence", {&R::reverseSequence});
    add("LSTM GRU RNN", {&R::recurrent});
    add("Attention", {&R::attention});
    add("RotaryEmbedding", {&R::rotary});
    return table;
  }();
  return table;
}

RowState RowIndependence::stateOf(Operation *op) {
  constexpr StringRef unruled = "has no rule that keeps rows apart";
  if (isa<modular::AggregateOp, modular::CollectOp>(op))
    return aggregate(op);
  if (isa<modular::ExposeOp>(op))
    return expose(op);
  if (op->getNumRegions() != 0) {
    bool isSame = areSame(op, 0);
    op->walk([&](Operation *inner) {
      isSame &= llvm::all_of(inner->getOperands(), [&](Value v) { return get(v).isSame(); });
    });
    return isSame ? RowState::same() : mixed(unruled);
  }
  auto found = table().find(op->getName().stripDialect());
  const Entry entry = found == table().end() ? Entry() : found->second;
  // Sizes may depend on the number of rows where the rule says what comes of it.
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (i < entry.firstSize && get(operand).isMixed()) // what is no size any more is to be named
      return shapes.get(operand).elements ? mixed(get(operand).reason) : get(operand);
  if (areSame(op, 0) && !(entry.flags & Entry::MakesRows))
    return RowState::same();
  if (!entry.rule)
    return mixed(unruled);
  if (!(entry.flags & Entry::Numbers))
    for (Value operand : op->getOperands())
      if (get(operand).isNumber())
        return mixed(rowrules::numberAsData);
  return (this->*entry.rule)(op);
}

RowState RowIndependence::elementwise(Operation *op) {
  int64_t most = 0;
  for (Value operand : op->getOperands())
    most = std::max(most, rank(operand));
  std::optional<RowState> common;
  Polynomial size;
  bool hasNumbers = false;
  for (Value operand : op->getOperands()) {
    const RowState &state = get(operand);
    if (!state.isRows())
      continue;
    const int64_t aligned = state.dim + most - rank(operand);
    const Polynomial &own = dims(operand)[state.dim];
    if (common && (common->dim != aligned || common->inner != state.inner || size != own))
      return mixed("combines different rows");
    common = RowState::rows(aligned, state.inner);
    size = own;
    hasNumbers |= state.isNumber();
  }
  if (!common)
    return RowState::same();
  // What is the same for all rows must not have a dimension that runs along them.
  for (Value operand : op->getOperands()) {
    const int64_t index = common->dim - (most - rank(operand));
    if (get(operand).isSame() && index >= 0 && !dims(operand)[index].isConstant(1))
      return mixed("combines different rows");
  }
  return hasNumbers ? numbersOf(op, *common) : *common;
}

/// Each row's route, and what its modules see of it, follow from that row.
RowState RowIndependence::aggregate(Operation *op) {
  auto apply = op->getOperand(0).getDefiningOp<modular::ApplyOp>();
  auto route = apply ? apply.getRoute().getDefiningOp<modular::RouteOfOp>() : nullptr;
  if (!route)
    return mixed("asks a router that is not inlined");
  if (!segmentModules(apply, shapes))
    return mixed("has modules that may let rows see each other");
  SmallVector<Value> values(apply.getInputs());
  llvm::append_values(values, route.getChosen(), route.getWeights());
  if (llvm::all_of(values, [&](Value value) { return get(value).isSame(); }))
    return RowState::same();
  const RowState &first = get(values.front());
  for (Value value : values) {
    const RowState &state = get(value);
    if (!state.isRows() || state.isNumber() || state.dim != 0 || state.inner != first.inner)
      return mixed("combines different rows");
  }
  return RowState::rows(0, first.inner);
}

/// What the host gives is given for each row; it may not look at others' rows.
RowState RowIndependence::expose(Operation *op) {
  RowState common = RowState::same();
  for (Value operand : op->getOperands()) {
    const RowState &state = get(operand);
    if (state.isMixed())
      return state;
    if (state.isSame())
      continue;
    if (state.isNumber() || state.dim != 0 || (common.isRows() && state.inner != common.inner))
      return mixed("combines different rows");
    common = RowState::rows(0, state.inner);
  }
  return common;
}

RowState RowIndependence::castLike(Operation *op) { return get(op, 0); }

RowState RowIndependence::alongAxis(Operation *op) {
  const RowState &state = get(op, 0);
  const int64_t n = rank(op->getOperand(0));
  if (!areSame(op, 1) || !state.isRows())
    return mixed("combines different rows");
  int64_t axis = rowrules::wrap(rowrules::intAttr(op, "axis", isa<onnx::SplitOp>(op) ? 0 : -1), n);
  if (isa<onnx::CumSumOp, onnx::CumProdOp>(op)) {
    auto known = shapes.constantElements(op->getOperand(1));
    if (!known || known->size() != 1)
      return mixed("runs along an axis that only data tells");
    axis = rowrules::wrap(known->front(), n);
  }
  if (isa<onnx::TriluOp>(op))
    axis = n - 2;
  const bool toTheEnd =
      isa<onnx::LayerNormalizationOp, onnx::RMSNormalizationOp, onnx::TriluOp>(op);
  if (state.dim == axis || (toTheEnd && state.dim > axis))
    return mixed("works along the rows");
  return RowState::rows(state.dim, state.inner);
}

RowState RowIndependence::firstDim(Operation *op) {
  const RowState &state = get(op, 0);
  if (!state.isRows() || state.dim != 0 || rowrules::intAttr(op, "training_mode", 0) != 0)
    return mixed("combines different rows");
  if (isa<onnx::ResizeOp>(op)) {
    for (Value size : op->getOperands().drop_front())
      if (!isKnownBeforeData(size))
        return mixed("has a size that only data tells");
    if (dims(op->getResult(0))[0] != dims(op->getOperand(0))[0])
      return mixed("takes rows apart");
  } else if (!areSame(op, 1)) {
    return mixed("combines different rows");
  }
  return RowState::rows(0, state.inner);
}

RowState RowIndependence::reduce(Operation *op) {
  const RowState &state = get(op, 0);
  const int64_t n = rank(op->getOperand(0));
  SmallVector<int64_t> axes;
  if (isa<onnx::ArgMaxOp, onnx::ArgMinOp>(op)) {
    axes.push_back(rowrules::intAttr(op, "axis", 0));
  } else if (op->getNumOperands() > 1) {
    auto known = shapes.constantElements(op->getOperand(1));
    if (!known || !isSameAt(op, 1))
      return mixed("reduces over axes that only data tells");
    axes = *known;
  }
  if (axes.empty() && rowrules::intAttr(op, "noop_with_empty_axes", 0) == 0)
    return mixed("reduces over the rows");
  int64_t result = state.dim;
  for (int64_t axis : axes) {
    axis = rowrules::wrap(axis, n);
    if (axis == state.dim)
      return mixed("reduces over the rows");
    if (axis < state.dim && rowrules::intAttr(op, "keepdims", 1) == 0)
      --result;
  }
  return RowState::rows(result, state.inner);
}

RowState RowIndependence::recurrent(Operation *op) {
  const RowState &x = get(op, 0);
  if (rowrules::intAttr(op, "layout", 0) != 0)
    return mixed("has no rule that keeps rows apart");
  if (!x.isRows() || x.dim != 1)
    return mixed("works along the rows");
  // X W R B sequence_lens initial_h initial_c P, of which those from B on may lack.
  auto segments = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
  if (!segments)
    return mixed("has no rule that keeps rows apart");
  unsigned position = 0;
  for (int64_t formal = 0; formal < segments.size(); ++formal)
    for (int32_t i = 0; i < segments[formal]; ++i, ++position) {
      if (formal == 0)
        continue;
      const bool isPerRow = formal >= 4 && formal <= 6;
      const RowState &state = get(op, position);
      const int64_t dim = formal == 4 ? 0 : 1;
      if (!isPerRow ? !state.isSame()
                    : !state.isRows() || state.dim != dim || state.inner != x.inner)
        return mixed("combines different rows");
    }
  return RowState::rows(1, x.inner);
}
