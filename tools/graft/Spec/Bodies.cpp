//===- Bodies.cpp - What a module makes of its input -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Builder.h"

#include "graft/Link/Adapter.h"
#include "graft/Link/Match.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;
using onnx::GraphBuilder;

static int64_t widthOf(Value value) { return typeOf(value).getShape().back(); }

/// A shape with ? for what is not known.
static std::string shapeOf(Value value) {
  std::string text;
  for (int64_t size : typeOf(value).getShape())
    text += (text.empty() ? "" : "x") + (ShapedType::isDynamic(size) ? "?" : std::to_string(size));
  return text;
}

Value SpecBuilder::activate(GraphBuilder &b, Activation::Kind kind, Value x) {
  Type type = x.getType();
  switch (kind) {
  case Activation::None:
    return x;
  case Activation::Relu:
    return b.unary<onnx::ReluOp>(x);
  case Activation::Gelu:
    return onnx::GeluOp::create(b, type, x, "none");
  case Activation::GeluTanh:
    return onnx::GeluOp::create(b, type, x, "tanh");
  case Activation::Silu:
    return b.binary<onnx::MulOp>(x, b.unary<onnx::SigmoidOp>(x));
  case Activation::Tanh:
    return b.unary<onnx::TanhOp>(x);
  case Activation::Sigmoid:
    return b.unary<onnx::SigmoidOp>(x);
  case Activation::LeakyRelu:
    return onnx::LeakyReluOp::create(b, type, x, b.getF32FloatAttr(0.01f));
  case Activation::Elu:
    return onnx::EluOp::create(b, type, x, b.getF32FloatAttr(1));
  case Activation::Softplus:
    return b.unary<onnx::SoftplusOp>(x);
  }
  llvm_unreachable("an activation");
}

Value SpecBuilder::build(Frame &frame, const Ref<Module> &ref, Value x) {
  // One of a family has its number at its end.
  std::optional<std::string> outer;
  auto it = frame.captures.find("index");
  if (it != frame.captures.end())
    outer = it->second;
  if (ref.own->count) {
    StringRef number = StringRef(ref.name.text).rsplit('.').second;
    const bool isOne = ref.name.text != ref.own->name && !ref.name.empty();
    if (!isOne && *ref.own->count != 1)
      return fail(ref.mark, "expected one module, found the " + Twine(*ref.own->count) + " of '" +
                                ref.own->name + "'");
    frame.captures["index"] = isOne ? number.str() : "0";
  }
  Value result = build(frame, *ref.own, x);
  if (outer)
    frame.captures["index"] = *outer;
  else
    frame.captures.erase("index");
  return result;
}

Value SpecBuilder::build(Frame &frame, const Module &module, Value x) {
  GraphBuilder &b = frame.b;
  if (budget == 0)
    return fail(module.mark, "expected at most 100000 bodies at all places together, found more");
  --budget;
  Value result = buildBody(frame, module, x);
  if (!result)
    return result;
  if (module.scale != 1)
    result = b.binary<onnx::MulOp>(result, b.number(module.scale, result));
  if (!module.residual)
    return result;
  if (typeOf(result).getRank() != typeOf(x).getRank() || widthOf(result) != widthOf(x))
    return fail(module.mark, "residual: expected a module that gives " + shapeOf(x) +
                                 " as it takes, found " + shapeOf(result));
  return b.binary<onnx::AddOp>(x, result);
}

Value SpecBuilder::buildBody(Frame &frame, const Module &module, Value x) {
  GraphBuilder &b = frame.b;
  switch (module.kind) {
  case Module::Identity:
    return x;
  case Module::Zero:
    return b.expandTo(b.number(0, x), x);
  case Module::Layer:
    return buildLayer(frame, module.mark, x);
  case Module::Linear:
  case Module::Mlp:
  case Module::Glu:
  case Module::Bottleneck:
  case Module::Lora:
  case Module::Peft: {
    // Products are of matrices.
    if (typeOf(x).getRank() < 2 || ShapedType::isDynamic(widthOf(x)))
      return fail(module.mark, "expected an input of at least 2 dimensions with a last one that is "
                               "known, found " +
                                   shapeOf(x));
    Value rows = typeOf(x).getRank() == 2 ? x : b.rowsOf(x);
    Value result = buildOnRows(frame, module, rows);
    return result ? b.vectorsLike(result, x) : result;
  }
  case Module::LayerNorm:
  case Module::RmsNorm:
    return buildNorm(frame, module, x);
  case Module::Onnx:
    return buildOnnx(frame, module.file, x);
  case Module::Stack:
    for (const Ref<Module> &ref : module.modules)
      if (x = build(frame, ref, x); !x)
        return x;
    return x;
  case Module::Sum: {
    Value sum;
    for (const Ref<Module> &ref : module.modules) {
      Value part = build(frame, ref, x);
      if (!part)
        return part;
      if (sum && (typeOf(sum).getRank() != typeOf(part).getRank() || widthOf(sum) != widthOf(part)))
        return fail(ref.mark, "sum: expected modules that give the same shape, found " +
                                  shapeOf(sum) + " and " + shapeOf(part));
      sum = sum ? b.binary<onnx::AddOp>(sum, part) : part;
    }
    return sum;
  }
  case Module::Parallel:
  case Module::Split:
    return buildParts(frame, module, x);
  case Module::Mixture:
    return buildMixture(frame, module, x);
  }
  llvm_unreachable("a kind of body");
}

Value SpecBuilder::buildLinear(Frame &frame, const Module &module, Value x, StringRef weight,
                               StringRef bias) {
  Type element = typeOf(x).getElementType();
  Value w = tensors.constant(frame.b, *module.tensor(weight), frame.captures, {-1, widthOf(x)},
                             element, weight, "(out, in)");
  if (!w)
    return w;
  Value shift;
  if (const TensorRef *ref = module.tensor(bias))
    if (shift = tensors.constant(frame.b, *ref, frame.captures, {typeOf(w).getDimSize(0)}, element,
                                 bias, "(out)");
        !shift)
      return shift;
  return frame.b.linear(x, w, shift);
}

Value SpecBuilder::buildOnRows(Frame &frame, const Module &module, Value x) {
  GraphBuilder &b = frame.b;
  switch (module.kind) {
  case Module::Linear: {
    Value y = buildLinear(frame, module, x, "weight", "bias");
    return y ? activate(b, module.activation, y) : y;
  }
  case Module::Mlp:
  case Module::Bottleneck: {
    const bool isMlp = module.kind == Module::Mlp;
    Value h = buildLinear(frame, module, x, isMlp ? "up" : "down", isMlp ? "up_bias" : "down_bias");
    return h ? buildLinear(frame, module, activate(b, module.activation, h), isMlp ? "down" : "up",
                           isMlp ? "down_bias" : "up_bias")
             : h;
  }
  case Module::Glu: {
    Value gate = buildLinear(frame, module, x, "gate", "gate_bias");
    Value up = gate ? buildLinear(frame, module, x, "up", "up_bias") : gate;
    if (!up)
      return up;
    if (widthOf(gate) != widthOf(up))
      return fail(module.mark, "expected gate and up of as many outputs, found " +
                                   Twine(widthOf(gate)) + " and " + Twine(widthOf(up)));
    Value h = b.binary<onnx::MulOp>(activate(b, module.activation, gate), up);
    return buildLinear(frame, module, h, "down", "down_bias");
  }
  case Module::Peft:
    return buildPeft(frame, module, x);
  default:
    return buildLora(frame, module, x);
  }
}

Value SpecBuilder::buildLora(Frame &frame, const Module &module, Value x) {
  GraphBuilder &b = frame.b;
  Value h = buildLinear(frame, module, x, "down", "");
  Value y = h ? buildLinear(frame, module, h, "up", "") : h;
  if (!y)
    return y;
  const double scale = module.alpha ? *module.alpha / double(widthOf(h)) : module.factor;
  return scale == 1 ? y : b.binary<onnx::MulOp>(y, b.number(scale, y));
}

Value SpecBuilder::buildPeft(Frame &frame, const Module &module, Value x) {
  const Adapter *adapter = tensors.adapter(module.file, frame.captures);
  std::string path = tensors.substitute(module.path, frame.captures);
  if (!adapter || errors.any())
    return Value();
  std::vector<std::string> known;
  const Change *found = nullptr;
  for (const Change &change : adapter->changes) {
    if (change.kind != Change::LowRank || change.embedding || change.role != "weight")
      continue;
    known.push_back(change.module);
    if (change.module == path)
      found = &change;
  }
  if (!found)
    return fail(module.path.mark, "expected the path of a module with LoRA in " + adapter->folder +
                                      ", found '" + path + "'" + nearestNames(path, known));
  if (found->magnitude)
    return fail(module.path.mark,
                path +
                    ": expected LoRA without magnitudes (DoRA), which change a layer's weight and "
                    "are no module beside it; bind it with --adapter");
  Type element = typeOf(x).getElementType();
  auto constant = [&](const SafeTensor &tensor, int64_t in, StringRef what) {
    return tensors.constant(frame.b, tensor.name, {tensor.type, tensor.bytes, adapter->data},
                            {-1, in}, element, /*isInOut=*/false, module.path.mark, what,
                            "(out, in)");
  };
  Value down = constant(*found->down, widthOf(x), "lora_A");
  Value up = down ? constant(*found->up, typeOf(down).getDimSize(0), "lora_B") : down;
  if (!up)
    return up;
  GraphBuilder &b = frame.b;
  Value y = b.linear(b.linear(x, down, Value()), up, Value());
  const double scale = found->scale * module.factor;
  return scale == 1 ? y : b.binary<onnx::MulOp>(y, b.number(scale, y));
}

Value SpecBuilder::buildNorm(Frame &frame, const Module &module, Value x) {
  GraphBuilder &b = frame.b;
  auto vector = [&](StringRef key) {
    return tensors.constant(b, *module.tensor(key), frame.captures, {widthOf(x)},
                            typeOf(x).getElementType(), key, "(features)");
  };
  Value weight = vector("weight");
  if (!weight)
    return weight;
  auto last = b.getI64IntegerAttr(-1), stash = b.getI64IntegerAttr(1);
  auto epsilon = b.getF32FloatAttr(float(module.epsilon));
  if (module.kind == Module::RmsNorm)
    return onnx::RMSNormalizationOp::create(b, x.getType(), x, weight, last, epsilon, stash);
  Value bias = module.tensor("bias") ? vector("bias") : Value();
  if (errors.any())
    return Value();
  return onnx::LayerNormalizationOp::create(b, x.getType(), Type(), Type(), x, weight, bias, last,
                                            epsilon, stash)
      .getY();
}

/// All modules on the same input, or each on a part of it; what they give is joined.
Value SpecBuilder::buildParts(Frame &frame, const Module &module, Value x) {
  GraphBuilder &b = frame.b;
  const int64_t rank = typeOf(x).getRank();
  const int64_t axis = module.axis < 0 ? module.axis + rank : module.axis;
  if (axis < 0 || axis >= rank)
    return fail(module.mark, "axis: expected one of the " + Twine(rank) + " dimensions of " +
                                 shapeOf(x) + ", found " + Twine(module.axis));
  if (frame.level != Level::Whole && axis == 0)
    return fail(module.mark, "axis: expected another than 0, along which a router has chosen rows");
  const bool isSplit = module.kind == Module::Split;
  int64_t before = 0, behind = 0, total = 0;
  bool hasRest = false;
  for (std::optional<int64_t> size : module.sizes) {
    hasRest |= !size;
    if (llvm::AddOverflow(total, size.value_or(0), total))
      return fail(module.mark, "sizes: expected a sum that can be counted");
  }
  const int64_t size = typeOf(x).getDimSize(axis);
  if (isSplit && (ShapedType::isDynamic(size) ? !hasRest : hasRest ? total > size : total != size))
    return fail(module.mark,
                "sizes: expected " +
                    (ShapedType::isDynamic(size)
                         ? std::string("'rest' among the sizes of a dimension that varies")
                         : "sizes of " + std::to_string(size) + " in all") +
                    ", found " + Twine(total));
  SmallVector<Value> parts;
  behind = total;
  for (auto [i, ref] : llvm::enumerate(module.modules)) {
    Value part = x;
    if (isSplit) {
      std::optional<int64_t> own = module.sizes[i];
      const bool isAfterRest =
          llvm::is_contained(ArrayRef(module.sizes).take_front(i), std::nullopt);
      behind -= own.value_or(0);
      const int64_t start = isAfterRest ? -(behind + *own) : before;
      const int64_t end = !own || isAfterRest ? (behind ? -behind : INT64_MAX) : before + *own;
      before += own.value_or(0);
      SmallVector<int64_t> shape(typeOf(x).getShape());
      if (!ShapedType::isDynamic(size))
        shape[axis] = own.value_or(size - total);
      else
        shape[axis] = ShapedType::kDynamic;
      part = onnx::SliceOp::create(b, typeOf(x).clone(shape), x, b.integers(start), b.integers(end),
                                   b.integers(axis), Value());
    }
    const bool wasAligned = frame.isAligned;
    frame.isAligned = wasAligned && (!isSplit || axis == rank - 1); // else rows of a part
    part = build(frame, ref, part);
    frame.isAligned = wasAligned;
    if (!part)
      return part;
    if (typeOf(part).getRank() != rank ||
        typeOf(part).getElementType() != typeOf(x).getElementType())
      return fail(ref.mark, "expected a module that gives " + Twine(rank) + " dimensions, found " +
                                shapeOf(part));
    for (int64_t d = 0; d < rank && !parts.empty(); ++d)
      if (d != axis && !ShapedType::isDynamic(typeOf(part).getDimSize(d)) &&
          !ShapedType::isDynamic(typeOf(parts[0]).getDimSize(d)) &&
          typeOf(part).getDimSize(d) != typeOf(parts[0]).getDimSize(d))
        return fail(ref.mark, "expected modules that give the same shape but along axis " +
                                  Twine(axis) + ", found " + shapeOf(parts[0]) + " and " +
                                  shapeOf(part));
    parts.push_back(part);
  }
  SmallVector<int64_t> shape(typeOf(parts[0]).getShape());
  shape[axis] = 0;
  for (Value part : parts) {
    const int64_t own = typeOf(part).getDimSize(axis);
    shape[axis] = ShapedType::isDynamic(own) || ShapedType::isDynamic(shape[axis])
                      ? ShapedType::kDynamic
                      : shape[axis] + own;
  }
  if (isSplit)
    for (int64_t d = 0; d < rank; ++d)
      if (d == axis && axis != rank - 1)
        shape[d] = size;
  frame.isAligned = frame.isAligned && axis == rank - 1;
  return onnx::ConcatOp::create(b, typeOf(parts[0]).clone(shape), parts, b.getI64IntegerAttr(axis));
}
