//===- RecurrentOps.cpp - LSTM, GRU and RNN -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Windows.h"
#include "graft/Conversion/OnnxToLinalg/Lowering.h"
#include "graft/Dispatch/Dispatch.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

namespace {
/// A recurrent layer, its operands with the sequence first. Absent operands have no value.
struct Layer {
  Lowering &l;
  Operation *op;
  int64_t gates;
  Tensor x = {}, w = {}, r = {}, bias = {}, lengths = {}, initialH = {}, initialC = {},
         peephole = {};
  Polynomial steps = {}, batch = {}, hidden = {};
  int64_t directions = 0;
  std::optional<float> clip = {};
  SmallVector<std::string> activations = {}; // per direction as many as the layer has
};

/// What one direction leaves: all hidden states, and the last states.
struct Run {
  Tensor sequence, lastH, lastC;
};
} // namespace

static Value activate(B &b, Value x, StringRef name) {
  if (name == "sigmoid")
    return sigmoid(b, x);
  if (name == "tanh")
    return math::TanhOp::create(b, x);
  return maximum(b, x, number(b, x, 0), false);
}

/// `t` (directions, n, …) at one direction, without that dimension.
static Tensor atDirection(Lowering &l, Tensor t, int64_t direction) {
  Dims offsets(t.rank(), 0), sizes = t.dims, ones(t.rank(), 1);
  offsets[0] = direction;
  sizes[0] = 1;
  Tensor part = l.slice(t, offsets, sizes, ones);
  return l.reshape(part, ArrayRef<Polynomial>(t.dims).drop_front(1));
}

static Tensor part(Lowering &l, Tensor t, int64_t axis, Polynomial offset, Polynomial size) {
  Dims offsets(t.rank(), 0), sizes = t.dims, ones(t.rank(), 1);
  offsets[axis] = offset;
  sizes[axis] = size;
  return l.slice(t, offsets, sizes, ones);
}

/// x · wᵀ with w (out, in).
static Tensor timesTransposed(Lowering &l, Tensor x, Tensor w) {
  Dims dims = x.dims;
  dims.back() = w.dims[0];
  Tensor init = l.empty(dims, x.element());
  auto op = dispatch::MatmulOp::create(l.b, ValueRange{x.value}, ValueRange{w.value}, ValueRange{},
                                       init.value, ArrayRef<bool>{true});
  return {op->getResult(0), dims};
}

static Value clipped(B &b, Value x, std::optional<float> clip) {
  if (!clip)
    return x;
  return minimum(b, maximum(b, x, number(b, x, -*clip), false), number(b, x, *clip), false);
}

/// The next state of an LSTM. `input` is x·Wᵀ with all biases, (batch, 4·hidden), gates in ONNX's
/// order i, o, f, c.
static std::pair<Tensor, Tensor> stepLstm(Layer &layer, int64_t direction, Tensor input, Tensor h,
                                          Tensor c, Tensor r) {
  Lowering &l = layer.l;
  auto f = ArrayRef(layer.activations).slice(3 * direction, 3);
  Tensor recurrent = timesTransposed(l, h, r);
  SmallVector<Tensor> operands;
  for (int64_t gate = 0; gate < 4; ++gate) {
    operands.push_back(part(l, input, 1, Polynomial(gate) * layer.hidden, layer.hidden));
    operands.push_back(part(l, recurrent, 1, Polynomial(gate) * layer.hidden, layer.hidden));
  }
  operands.push_back(c);
  bool peeps = layer.peephole.value != nullptr;
  if (peeps) {
    Tensor p = atDirection(l, layer.peephole, direction);
    for (int64_t gate = 0; gate < 3; ++gate)
      operands.push_back(part(l, p, 0, Polynomial(gate) * layer.hidden, layer.hidden));
  }
  bool coupled = cast<onnx::LSTMOp>(layer.op).getInputForget() != 0;
  Type type = h.element();
  auto gate = [&](B &b, ValueRange v, int64_t i) { return add(b, v[2 * i], v[2 * i + 1]); };
  Tensor next = l.map(operands, c.dims, type, [&](B &b, ValueRange v) {
    auto preact = [&](int64_t i, int64_t peep) {
      Value x = gate(b, v, i);
      if (peeps && peep >= 0)
        x = add(b, x, mul(b, v[9 + peep], v[8]));
      return clipped(b, x, layer.clip);
    };
    Value in = activate(b, preact(0, 0), f[0]);
    Value forget = coupled ? sub(b, number(b, in, 1), in) : activate(b, preact(2, 2), f[0]);
    Value candidate = activate(b, preact(3, -1), f[1]);
    return add(b, mul(b, forget, v[8]), mul(b, in, candidate));
  });
  operands.push_back(next);
  Tensor hidden = l.map(operands, c.dims, type, [&](B &b, ValueRange v) {
    Value x = gate(b, v, 1);
    if (peeps)
      x = add(b, x, mul(b, v[10], v.back()));
    Value out = activate(b, clipped(b, x, layer.clip), f[0]);
    return mul(b, out, activate(b, v.back(), f[2]));
  });
  return {hidden, next};
}

/// The next state of a GRU; `input` is x·Wᵀ with the biases that add to it, gates in ONNX's order
/// z, r, h.
static Tensor stepGru(Layer &layer, int64_t direction, Tensor input, Tensor h, Tensor r,
                      Tensor candidateBias) {
  Lowering &l = layer.l;
  auto f = ArrayRef(layer.activations).slice(2 * direction, 2);
  Polynomial n = layer.hidden;
  Type type = h.element();
  auto in = [&](int64_t gate) { return part(l, input, 1, Polynomial(gate) * n, n); };
  bool resetAfter = cast<onnx::GRUOp>(layer.op).getLinearBeforeReset() != 0;
  auto combine = [&](Tensor z, Tensor recurrent, Tensor candidate, Tensor scale) {
    SmallVector<Tensor> operands{z, h, recurrent, candidate};
    if (scale.value)
      operands.push_back(scale);
    if (scale.value && candidateBias.value)
      operands.push_back(candidateBias);
    return l.map(operands, h.dims, type, [&](B &b, ValueRange v) {
      Value so = v[2];
      if (v.size() > 5)
        so = add(b, so, v[5]);
      if (v.size() > 4)
        so = mul(b, v[4], so);
      Value value = activate(b, clipped(b, add(b, v[3], so), layer.clip), f[1]);
      Value keep = mul(b, v[0], v[1]);
      return add(b, mul(b, sub(b, number(b, v[0], 1), v[0]), value), keep);
    });
  };
  auto gateOf = [&](Tensor a, Tensor c) {
    return l.map({a, c}, h.dims, type, [&](B &b, ValueRange v) {
      return activate(b, clipped(b, add(b, v[0], v[1]), layer.clip), f[0]);
    });
  };
  if (resetAfter) {
    Tensor recurrent = timesTransposed(l, h, r);
    auto so = [&](int64_t gate) { return part(l, recurrent, 1, Polynomial(gate) * n, n); };
    Tensor z = gateOf(in(0), so(0)), reset = gateOf(in(1), so(1));
    return combine(z, so(2), in(2), reset);
  }
  Tensor recurrent = timesTransposed(l, h, part(l, r, 0, 0, n * Polynomial(2)));
  Tensor z = gateOf(in(0), part(l, recurrent, 1, 0, n));
  Tensor reset = gateOf(in(1), part(l, recurrent, 1, n, n));
  Tensor scaled =
      l.map({reset, h}, h.dims, type, [](B &b, ValueRange v) { return mul(b, v[0], v[1]); });
  Tensor candidate = timesTransposed(l, scaled, part(l, r, 0, n * Polynomial(2), n));
  return combine(z, candidate, in(2), {});
}

static Tensor stepRnn(Layer &layer, int64_t direction, Tensor input, Tensor h, Tensor r) {
  Lowering &l = layer.l;
  return l.map({input, timesTransposed(l, h, r)}, h.dims, h.element(), [&](B &b, ValueRange v) {
    return activate(b, clipped(b, add(b, v[0], v[1]), layer.clip), layer.activations[direction]);
  });
}

/// Runs one direction: the products with the inputs at once, then a loop over the steps.
static Run runDirection(Layer &layer, int64_t direction, bool backwards) {
  Lowering &l = layer.l;
  B &b = l.b;
  Type type = layer.x.element();
  Polynomial n = layer.hidden, wide = n * Polynomial(layer.gates);
  Dims stateDims{layer.batch, n};
  Tensor w = atDirection(l, layer.w, direction), r = atDirection(l, layer.r, direction);
  Tensor inputs = timesTransposed(l, layer.x, w), candidateBias;
  if (layer.bias.value) {
    Tensor both = atDirection(l, layer.bias, direction);
    Tensor wb = part(l, both, 0, 0, wide), rb = part(l, both, 0, wide, wide);
    auto gru = dyn_cast<onnx::GRUOp>(layer.op);
    if (gru && gru.getLinearBeforeReset()) {
      // The candidate's recurrent bias is within what reset scales.
      candidateBias = part(l, rb, 0, n * Polynomial(2), n);
      Tensor zeros = l.filled({n}, l.scalar(type, 0));
      rb = l.concat({part(l, rb, 0, 0, n * Polynomial(2)), zeros}, 0);
    }
    inputs = l.map({inputs, wb, rb}, inputs.dims, type,
                   [](B &b, ValueRange v) { return add(b, v[0], add(b, v[1], v[2])); });
  }
  auto initial = [&](Tensor given) {
    return given.value ? atDirection(l, given, direction) : l.filled(stateDims, l.scalar(type, 0));
  };
  bool isLstm = isa<onnx::LSTMOp>(layer.op);
  Tensor h0 = initial(layer.initialH);
  Tensor c0 = isLstm ? initial(layer.initialC) : h0;
  Dims sequenceDims{layer.steps, layer.batch, n};
  Tensor out = l.empty(sequenceDims, type);
  SmallVector<Value> carried{out.value, h0.value};
  if (isLstm)
    carried.push_back(c0.value);
  Value zero = l.index(0), one = l.index(1), size = l.index(layer.steps);
  auto loop = scf::ForOp::create(b, zero, size, one, carried);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value t = loop.getInductionVar();
    if (backwards)
      t = arith::SubIOp::create(b, arith::SubIOp::create(b, size, one), t);
    Tensor h{loop.getRegionIterArgs()[1], stateDims}, c;
    if (isLstm)
      c = {loop.getRegionIterArgs()[2], stateDims};
    auto zeroIndex = b.getIndexAttr(0), oneIndex = b.getIndexAttr(1);
    SmallVector<OpFoldResult> offsets{t, zeroIndex, zeroIndex}, ones(3, oneIndex);
    SmallVector<OpFoldResult> inputSizes{oneIndex, l.fold(layer.batch), l.fold(wide)};
    Dims inputDims{layer.batch, wide};
    Tensor input{tensor::ExtractSliceOp::create(b, l.type(inputDims, type), inputs.value, offsets,
                                                inputSizes, ones),
                 inputDims};
    Tensor nextH, nextC;
    if (isLstm)
      std::tie(nextH, nextC) = stepLstm(layer, direction, input, h, c, r);
    else if (isa<onnx::GRUOp>(layer.op))
      nextH = stepGru(layer, direction, input, h, r, candidateBias);
    else
      nextH = stepRnn(layer, direction, input, h, r);
    Tensor stored = nextH;
    if (layer.lengths.value) {
      // Beyond a row's length the state stays and the output is zero.
      Tensor lengths = l.reshape(layer.lengths, {layer.batch, 1});
      auto keep = [&](Tensor next, Tensor old) {
        SmallVector<Tensor> operands{lengths, next};
        if (old.value)
          operands.push_back(old);
        return l.map(operands, stateDims, type, [&](B &b, ValueRange v) -> Value {
          Value length = arith::IndexCastOp::create(b, b.getIndexType(), v[0]);
          Value runs = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, t, length);
          return arith::SelectOp::create(b, runs, v[1], old.value ? v[2] : number(b, v[1], 0));
        });
      };
      stored = keep(nextH, {});
      nextH = keep(nextH, h);
      if (isLstm)
        nextC = keep(nextC, c);
    }
    SmallVector<OpFoldResult> sizes{oneIndex, l.fold(layer.batch), l.fold(n)};
    SmallVector<Value> results{tensor::InsertSliceOp::create(b, stored.value,
                                                             loop.getRegionIterArgs()[0], offsets,
                                                             sizes, ones),
                               nextH.value};
    if (isLstm)
      results.push_back(nextC.value);
    scf::YieldOp::create(b, results);
  }
  Run run{{loop.getResult(0), sequenceDims}, {loop.getResult(1), stateDims}, {}};
  if (isLstm)
    run.lastC = {loop.getResult(2), stateDims};
  return run;
}

/// Puts the directions side by side, at dimension `axis`.
static Tensor stack(Lowering &l, ArrayRef<Tensor> parts, int64_t axis) {
  SmallVector<Tensor> wide;
  for (const Tensor &t : parts) {
    Dims dims = t.dims;
    dims.insert(dims.begin() + axis, 1);
    wide.push_back(l.reshape(t, dims));
  }
  return l.concat(wide, axis);
}

template <typename OpTy> static LogicalResult lowerRecurrent(Lowering &l, OpTy op) {
  constexpr bool isLstm = std::is_same_v<OpTy, onnx::LSTMOp>;
  constexpr bool isGru = std::is_same_v<OpTy, onnx::GRUOp>;
  Layer layer{l, op, isLstm ? 4 : isGru ? 3 : 1};
  auto optional = [&](Value value) { return value ? l.get(value) : Tensor(); };
  layer.x = l.get(op.getX());
  layer.w = l.get(op.getW());
  layer.r = l.get(op.getR());
  layer.bias = optional(op.getB());
  layer.lengths = optional(op.getSequenceLens());
  layer.initialH = optional(op.getInitialH());
  if constexpr (isLstm) {
    layer.initialC = optional(op.getInitialC());
    layer.peephole = optional(op.getP());
  }
  bool batchFirst = op.getLayout() != 0;
  if (batchFirst) {
    layer.x = l.transpose(layer.x, {1, 0, 2});
    for (Tensor *state : {&layer.initialH, &layer.initialC})
      if (state->value)
        *state = l.transpose(*state, {1, 0, 2});
  }
  layer.steps = layer.x.dims[0];
  layer.batch = layer.x.dims[1];
  layer.hidden = layer.r.dims[2];
  auto directions = layer.w.dims[0].asConstant();
  StringRef direction = op.getDirection();
  if (!directions || *directions != (direction == "bidirectional" ? 2 : 1))
    return l.unsupported(op, "weights that do not fit the direction");
  layer.directions = *directions;
  if (op.getClip())
    layer.clip = op.getClip()->convertToFloat();
  if (layer.lengths.value && direction != "forward")
    return l.unsupported(op, "sequence_lens with a backward direction");
  if (ArrayAttr names = op.getActivationsAttr())
    for (Attribute name : names)
      layer.activations.push_back(cast<StringAttr>(name).getValue().lower());
  unsigned each = isLstm ? 3 : isGru ? 2 : 1;
  if (layer.activations.empty())
    for (int64_t d = 0; d < layer.directions; ++d)
      for (unsigned i = 0; i < each; ++i)
        layer.activations.push_back(i == 0 && each > 1 ? "sigmoid" : "tanh");
  if (int64_t(layer.activations.size()) != int64_t(each) * layer.directions)
    return l.unsupported(op, "a number of activations that does not fit");
  for (StringRef name : layer.activations)
    if (name != "sigmoid" && name != "tanh" && name != "relu")
      return l.unsupported(op, "activation " + name);

  SmallVector<Tensor> sequences, hs, cs;
  for (int64_t d = 0; d < layer.directions; ++d) {
    Run run = runDirection(layer, d, direction == "reverse" || d == 1);
    sequences.push_back(run.sequence);
    hs.push_back(run.lastH);
    cs.push_back(run.lastC);
  }
  auto state = [&](ArrayRef<Tensor> parts) {
    Tensor last = stack(l, parts, 0);
    return batchFirst ? l.transpose(last, {1, 0, 2}) : last;
  };
  if (op.getY()) {
    Tensor all = stack(l, sequences, 1);
    l.set(op.getY(), batchFirst ? l.transpose(all, {2, 0, 1, 3}) : all);
  }
  if (op.getYH())
    l.set(op.getYH(), state(hs));
  if constexpr (isLstm)
    if (op.getYC())
      l.set(op.getYC(), state(cs));
  return success();
}

void graft::lowering::addRecurrent(Table &table) {
  table.add(lowerRecurrent<onnx::LSTMOp>);
  table.add(lowerRecurrent<onnx::GRUOp>);
  table.add(lowerRecurrent<onnx::RNNOp>);
}
