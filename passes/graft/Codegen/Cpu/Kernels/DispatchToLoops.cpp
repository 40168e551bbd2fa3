//===- DispatchToLoops.cpp - The oracle of the dispatch kernels --*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/KernelPasses.h"
#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/TypeSwitch.h"

namespace graft {
#define GEN_PASS_DEF_CONVERTDISPATCHTOLOOPSPASS
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

namespace {
/// Scalar loops around one op.
class Loops {
public:
  Loops(OpBuilder &builder, Operation *op)
      : b(op->getLoc(), builder),
        element(cast<MemRefType>(op->getOperands().back().getType()).getElementType()),
        wide(element.isF64() ? element : Type(builder.getF32Type())) {}

  void lower(MatmulOp op);
  void lower(BatchMatmulOp op);
  void lower(AttentionOp op);
  void lower(SoftmaxOp op);
  void lower(LayerNormOp op);
  void lower(PlanOp op);
  void lower(GatherOp op);
  void lower(SegmentedMatmulOp op);
  void lowerRagged(SegmentedMatmulOp op);
  void lower(CombineOp op);

private:
  using Indices = SmallVector<Value>;

  Value index(int64_t i) { return arith::ConstantIndexOp::create(b, i); }
  Value real(double x) { return arith::ConstantOp::create(b, b.getFloatAttr(wide, x)); }
  Value dim(Value memref, int64_t d) { return memref::DimOp::create(b, memref, d); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value maximum(Value x, Value y) { return arith::MaximumFOp::create(b, x, y); }
  Value widen(Value x) { return x.getType() == wide ? x : arith::ExtFOp::create(b, wide, x); }
  Value narrow(Value x) {
    return element == wide ? x : Value(arith::TruncFOp::create(b, element, x));
  }
  Value load(Value memref, ValueRange at) { return widen(memref::LoadOp::create(b, memref, at)); }
  void store(Value value, Value memref, ValueRange at) {
    memref::StoreOp::create(b, narrow(value), memref, at);
  }

  /// A loop over [0, count).
  void loop(Value count, function_ref<void(Value)> body) { loop(index(0), count, body); }
  void loop(Value from, Value to, function_ref<void(Value)> body) {
    auto op = scf::ForOp::create(b, from, to, index(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.getBody());
    body(op.getInductionVar());
  }

  /// `body` if the condition holds, the carried value as it is otherwise.
  Value when(Value condition, Value carried, function_ref<Value()> body) {
    auto op = scf::IfOp::create(b, carried.getType(), condition, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.thenBlock());
    scf::YieldOp::create(b, body());
    b.setInsertionPointToStart(op.elseBlock());
    scf::YieldOp::create(b, carried);
    return op.getResult(0);
  }

  /// An integer of memory as an index, and back.
  Value loadIndex(Value memref, ValueRange at) {
    Value x = memref::LoadOp::create(b, memref, at);
    return arith::IndexCastOp::create(b, b.getIndexType(), x);
  }
  void storeIndex(Value x, Value memref, ValueRange at) {
    Type type = cast<MemRefType>(memref.getType()).getElementType();
    memref::StoreOp::create(b, arith::IndexCastOp::create(b, type, x), memref, at);
  }
  Value isBelow(Value x, Value bound) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, x, bound);
  }

  /// The last element of a plan's offsets: how many slots are not empty.
  Value filled(Value offsets) {
    return loadIndex(offsets, index(cast<MemRefType>(offsets.getType()).getDimSize(0) - 1));
  }

  /// acc + Σ_k x[xAt(k)] · w[k, n], for weight `i` of a product.
  Value product(ProductOpInterface op, unsigned i, Value sum, Value depth, Value n,
                function_ref<Value(Value)> x);
  /// Stores what the epilogue makes of the sum at `at` of out.
  void finish(ProductOpInterface op, Value sum, ValueRange at, ValueRange segmentExtras);

  /// A loop over [0, count) that carries one value.
  Value reduce(Value count, Value init, function_ref<Value(Value, Value)> body) {
    auto op = scf::ForOp::create(b, index(0), count, index(1), init);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(op.getBody());
    Value next = body(op.getInductionVar(), op.getRegionIterArg(0));
    scf::YieldOp::create(b, next);
    b.setInsertionPointAfter(op);
    return op.getResult(0);
  }

  /// Loops over the first `depth` dimensions of `memref`.
  void nest(Value memref, int64_t depth, function_ref<void(Indices)> body) {
    OpBuilder::InsertionGuard guard(b);
    Indices at;
    Value one = index(1), zero = index(0);
    SmallVector<Value> sizes;
    for (int64_t d = 0; d < depth; ++d)
      sizes.push_back(dim(memref, d));
    for (Value size : sizes) {
      auto op = scf::ForOp::create(b, zero, size, one);
      b.setInsertionPointToStart(op.getBody());
      at.push_back(op.getInductionVar());
    }
    body(at);
  }

  /// The element of a NumPy-like broadcast operand that belongs to `at`.
  Value loadBroadcast(Value memref, ValueRange at) {
    auto type = cast<MemRefType>(memref.getType());
    Indices own;
    for (int64_t d = 0; d < type.getRank(); ++d)
      own.push_back(type.getDimSize(d) == 1 ? index(0) : at[at.size() - type.getRank() + d]);
    return memref::LoadOp::create(b, memref, own);
  }

  /// Indices given as b, h, s, d in the order of a layout.
  static Indices inLayout(StringRef layout, ValueRange bhsd) {
    Indices at;
    for (char letter : layout)
      at.push_back(bhsd[StringRef("bhsd").find(letter)]);
    return at;
  }

  ImplicitLocOpBuilder b;
  Type element, wide;
};
} // namespace

Value Loops::product(ProductOpInterface op, unsigned i, Value sum, Value depth, Value n,
                     function_ref<Value(Value)> x) {
  Value w = op.getWeights()[i], panel, column;
  if (op.isPacked(i)) {
    Value width = index(cast<ShapedType>(w.getType()).getDimSize(2));
    panel = arith::DivUIOp::create(b, n, width);
    column = arith::RemUIOp::create(b, n, width);
  }
  return reduce(depth, sum, [&](Value k, Value partial) {
    Indices at = op.isPacked(i)       ? Indices{panel, k, column}
                 : op.isTransposed(i) ? Indices{n, k}
                                      : Indices{k, n};
    return add(partial, mul(x(k), load(w, at)));
  });
}

void Loops::finish(ProductOpInterface op, Value sum, ValueRange at, ValueRange segmentExtras) {
  sum = narrow(sum);
  if (!op.getEpilogue().empty()) {
    Block &block = op.getEpilogue().front();
    SmallVector<Value> values{sum};
    for (Value extra : op.getExtras()) {
      auto type = dyn_cast<MemRefType>(extra.getType());
      values.push_back(
          type ? memref::LoadOp::create(b, extra, ValueRange(at).take_back(type.getRank()))
               : extra);
    }
    for (Value extra : segmentExtras)
      values.push_back(memref::LoadOp::create(b, extra, at.back()));
    IRMapping mapping;
    mapping.map(block.getArguments(), values);
    for (Operation &inner : block.without_terminator())
      b.clone(inner, mapping);
    sum = mapping.lookupOrDefault(cast<YieldOp>(block.getTerminator()).getValue());
  }
  memref::StoreOp::create(b, sum, op.getInitMutable().get(), at);
}

void Loops::lower(MatmulOp op) {
  int64_t rank = op.getInitType().getRank();
  nest(op.getInit(), rank, [&](Indices at) {
    Value sum = real(0);
    for (unsigned i = 0; i < op.getInputs().size(); ++i) {
      Value x = op.getInputs()[i];
      sum = product(op, i, sum, dim(x, rank - 1), at.back(), [&](Value k) {
        Indices own(at);
        own.back() = k;
        return load(x, own);
      });
    }
    finish(op, sum, at, {});
  });
}

void Loops::lower(PlanOp op) {
  // A module at a time: its slots in their order.
  Value zero = index(0), keys = op.getKeys();
  Value rows = dim(keys, 0), slots = dim(keys, 1);
  Value next = reduce(index(op.getModules()), zero, [&](Value e, Value start) {
    storeIndex(start, op.getOffsets(), e);
    Value own = arith::IndexCastOp::create(b, b.getI64Type(), e);
    return reduce(rows, start, [&](Value r, Value carried) {
      return reduce(slots, carried, [&](Value s, Value p) {
        Value key = memref::LoadOp::create(b, keys, ValueRange{r, s});
        Value taken = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, key, own);
        return when(taken, p, [&]() -> Value {
          Value slot = arith::AddIOp::create(b, arith::MulIOp::create(b, r, slots), s);
          storeIndex(slot, op.getOrder(), p);
          storeIndex(p, op.getPosition(), {r, s});
          return arith::AddIOp::create(b, p, index(1));
        });
      });
    });
  });
  storeIndex(next, op.getOffsets(), index(op.getModules()));
  nest(keys, 2, [&](Indices at) {
    Value key = memref::LoadOp::create(b, keys, at);
    Value modules = arith::ConstantOp::create(b, b.getI64IntegerAttr(op.getModules()));
    Value empty = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, key, modules);
    auto choice = scf::IfOp::create(b, empty, /*withElseRegion=*/false);
    b.setInsertionPointToStart(choice.thenBlock());
    storeIndex(index(-1), op.getPosition(), at);
  });
  loop(next, dim(op.getOrder(), 0), [&](Value p) { storeIndex(zero, op.getOrder(), p); });
}

void Loops::lower(GatherOp op) {
  loop(filled(op.getOffsets()), [&](Value p) {
    Value row = arith::DivUIOp::create(b, loadIndex(op.getOrder(), p), index(op.getSlots()));
    loop(dim(op.getInit(), 1), [&](Value n) {
      Value x = memref::LoadOp::create(b, op.getInput(), ValueRange{row, n});
      memref::StoreOp::create(b, x, op.getInit(), ValueRange{p, n});
    });
  });
}

void Loops::lowerRagged(SegmentedMatmulOp op) {
  // An element at a time, each with the one module that its row belongs to, if any.
  const int64_t rank = op.getInitType().getRank();
  const unsigned first = op.firstOfModules();
  nest(op.getInit(), rank, [&](Indices at) {
    Value row = index(0);
    for (int64_t d = 0; d + 1 < rank; ++d)
      row = arith::AddIOp::create(b, arith::MulIOp::create(b, row, dim(op.getInit(), d)), at[d]);
    auto read = [&](Value memref, Value k) {
      Indices own(at);
      own.back() = k;
      return load(memref, own);
    };
    Value sum = real(0), written = arith::ConstantOp::create(b, b.getBoolAttr(first != 0));
    if (first)
      sum = product(op, 0, sum, index(op.getReductionSize(0)), at.back(),
                    [&](Value k) { return read(op.getSharedInput(), k); });
    for (unsigned i = 0; i < op.countOfModules(); ++i) {
      const int64_t module = (*op.getModules())[i];
      Value from = loadIndex(op.getOffsets(), index(module));
      Value to = loadIndex(op.getOffsets(), index(module + 1));
      Value isOwn = arith::AndIOp::create(
          b, isBelow(row, to), arith::CmpIOp::create(b, arith::CmpIPredicate::uge, row, from));
      if (op.getColumns())
        isOwn = arith::AndIOp::create(b, isOwn, isBelow(at.back(), index((*op.getColumns())[i])));
      sum = when(isOwn, sum, [&] {
        return product(
            op, first + i, sum, index(op.getReductionSize(first + i)), at.back(), [&](Value k) {
              return read(op.getInput(), arith::AddIOp::create(b, k, index(op.startOf(i))));
            });
      });
      written = arith::OrIOp::create(b, written, isOwn);
    }
    auto choice = scf::IfOp::create(b, written, /*withElseRegion=*/false);
    b.setInsertionPointToStart(choice.thenBlock());
    finish(op, sum, at, {});
  });
}

void Loops::lower(SegmentedMatmulOp op) {
  if (op.getModules())
    return lowerRagged(op);
  for (unsigned e = 0; e < op.getWeights().size(); ++e) {
    Value from = loadIndex(op.getOffsets(), index(e)),
          to = loadIndex(op.getOffsets(), index(e + 1));
    SmallVector<Value> extras;
    for (unsigned group = 0; group < op.getSegmentGroups(); ++group)
      extras.push_back(op.getSegmentExtra(group, e));
    loop(from, to, [&](Value p) {
      Value row = p;
      if (op.getOrder())
        row = arith::DivUIOp::create(b, loadIndex(op.getOrder(), p), index(op.getSlots()));
      loop(dim(op.getInit(), 1), [&](Value n) {
        Value sum = product(op, e, real(0), dim(op.getInput(), 1), n,
                            [&](Value k) { return load(op.getInput(), {row, k}); });
        finish(op, sum, {p, n}, extras);
      });
    });
  }
}

void Loops::lower(CombineOp op) {
  Value parts = dim(op.getParts(), 0), slots = dim(op.getPosition(), 1);
  nest(op.getInit(), 2, [&](Indices at) {
    Value sum = reduce(slots, real(0), [&](Value s, Value partial) {
      Value p = loadIndex(op.getPosition(), {at[0], s});
      return when(isBelow(p, parts), partial, [&] {
        Value x = load(op.getParts(), {p, at[1]});
        return add(partial, op.getWeights() ? mul(load(op.getWeights(), {at[0], s}), x) : x);
      });
    });
    store(sum, op.getInit(), at);
  });
}

void Loops::lower(BatchMatmulOp op) {
  int64_t rank = op.getInitType().getRank();
  Value k = dim(op.getA(), op.getTransposeA() ? rank - 2 : rank - 1);
  nest(op.getInit(), rank, [&](Indices at) {
    auto indices = [&](Value memref, bool transposed, Value row, Value column) {
      auto type = cast<MemRefType>(memref.getType());
      Indices own;
      for (int64_t d = 0; d + 2 < rank; ++d)
        own.push_back(type.getDimSize(d) == 1 ? index(0) : at[d]);
      own.push_back(transposed ? column : row);
      own.push_back(transposed ? row : column);
      return own;
    };
    Value sum = reduce(k, real(0), [&](Value i, Value partial) {
      Value x = load(op.getA(), indices(op.getA(), op.getTransposeA(), at[rank - 2], i));
      Value y = load(op.getB(), indices(op.getB(), op.getTransposeB(), i, at[rank - 1]));
      return add(partial, mul(x, y));
    });
    store(sum, op.getInit(), at);
  });
}

void Loops::lower(AttentionOp op) {
  StringRef layouts[] = {op.getQLayout(), op.getKLayout(), op.getVLayout(), op.getOutLayout()};
  Value operands[] = {op.getQ(), op.getK(), op.getV(), op.getInit()};
  auto size = [&](int which, char letter) {
    return dim(operands[which], layouts[which].find(letter));
  };
  Value heads = size(0, 'h'), rows = size(0, 's'), keys = size(1, 's');
  Value group = arith::DivUIOp::create(b, heads, size(1, 'h'));
  Value depth = size(0, 'd'), columns = size(2, 'd');
  Value scale = real(op.getScale().convertToDouble());
  Value lowest = real(-std::numeric_limits<float>::max());
  Value infinity = real(-std::numeric_limits<double>::infinity());
  loop(size(0, 'b'), [&](Value batch) {
    loop(heads, [&](Value head) {
      Value kvHead = arith::DivUIOp::create(b, head, group);
      loop(rows, [&](Value row) {
        // Recomputed wherever it is needed: the oracle has no memory of its own.
        auto score = [&](Value key) -> Value {
          Value sum = reduce(depth, real(0), [&](Value d, Value partial) {
            Value x = load(operands[0], inLayout(layouts[0], {batch, head, row, d}));
            Value y = load(operands[1], inLayout(layouts[1], {batch, kvHead, key, d}));
            return add(partial, mul(x, y));
          });
          sum = mul(sum, scale);
          if (op.getMask()) {
            Value mask = loadBroadcast(op.getMask(), {batch, head, row, key});
            sum = mask.getType().isInteger(1)
                      ? Value(arith::SelectOp::create(b, mask, sum, infinity))
                      : add(sum, widen(mask));
          }
          if (op.getCausal()) {
            Value last = arith::SubIOp::create(b, arith::AddIOp::create(b, row, keys), rows);
            Value seen = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, key, last);
            sum = arith::SelectOp::create(b, seen, sum, infinity);
          }
          return sum;
        };
        Value greatest = reduce(
            keys, lowest, [&](Value key, Value partial) { return maximum(partial, score(key)); });
        auto weight = [&](Value key) -> Value {
          return math::ExpOp::create(b, arith::SubFOp::create(b, score(key), greatest));
        };
        Value total = reduce(keys, real(0),
                             [&](Value key, Value partial) { return add(partial, weight(key)); });
        Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, total, real(0));
        total = arith::SelectOp::create(b, none, real(1), total);
        loop(columns, [&](Value column) {
          Value sum = reduce(keys, real(0), [&](Value key, Value partial) {
            Value y = load(operands[2], inLayout(layouts[2], {batch, kvHead, key, column}));
            return add(partial, mul(weight(key), y));
          });
          store(arith::DivFOp::create(b, sum, total), operands[3],
                inLayout(layouts[3], {batch, head, row, column}));
        });
      });
    });
  });
}

void Loops::lower(SoftmaxOp op) {
  int64_t rank = op.getInitType().getRank();
  Value count = dim(op.getInit(), rank - 1);
  Value scale = real(op.getScale().convertToDouble());
  nest(op.getInit(), rank - 1, [&](Indices row) {
    auto at = [&](Value i) {
      Indices indices(row);
      indices.push_back(i);
      return indices;
    };
    auto score = [&](Value i) {
      Value x = mul(load(op.getInput(), at(i)), scale);
      return op.getMask() ? add(x, widen(loadBroadcast(op.getMask(), at(i)))) : x;
    };
    Value greatest = reduce(count, real(-std::numeric_limits<double>::infinity()),
                            [&](Value i, Value partial) { return maximum(partial, score(i)); });
    auto power = [&](Value i) -> Value {
      return math::ExpOp::create(b, arith::SubFOp::create(b, score(i), greatest));
    };
    Value total =
        reduce(count, real(0), [&](Value i, Value partial) { return add(partial, power(i)); });
    loop(count,
         [&](Value i) { store(arith::DivFOp::create(b, power(i), total), op.getInit(), at(i)); });
  });
}

void Loops::lower(LayerNormOp op) {
  int64_t rank = op.getInitType().getRank();
  Value count = dim(op.getInit(), rank - 1);
  Value n = arith::IndexCastOp::create(b, b.getI64Type(), count);
  n = arith::SIToFPOp::create(b, wide, n);
  Value epsilon = real(op.getEpsilon().convertToDouble());
  nest(op.getInit(), rank - 1, [&](Indices row) {
    auto at = [&](Value i) {
      Indices indices(row);
      indices.push_back(i);
      return indices;
    };
    auto input = [&](Value i) {
      Value x = load(op.getInput(), at(i));
      return op.getResidual() ? add(x, load(op.getResidual(), at(i))) : x;
    };
    Value mean = real(0);
    if (!op.getRms()) {
      mean = reduce(count, mean, [&](Value i, Value partial) { return add(partial, input(i)); });
      mean = arith::DivFOp::create(b, mean, n);
    }
    auto centred = [&](Value i) -> Value {
      return op.getRms() ? input(i) : arith::SubFOp::create(b, input(i), mean);
    };
    Value variance = reduce(count, real(0), [&](Value i, Value partial) {
      Value x = centred(i);
      return add(partial, mul(x, x));
    });
    variance = arith::DivFOp::create(b, variance, n);
    Value root = math::SqrtOp::create(b, add(variance, epsilon));
    loop(count, [&](Value i) {
      Value x = arith::DivFOp::create(b, centred(i), root);
      if (op.getWeight())
        x = mul(x, load(op.getWeight(), i));
      if (op.getBias())
        x = add(x, load(op.getBias(), i));
      store(x, op.getInit(), at(i));
    });
  });
}

namespace {
struct ConvertDispatchToLoops
    : graft::impl::ConvertDispatchToLoopsPassBase<ConvertDispatchToLoops> {
  using Base = graft::impl::ConvertDispatchToLoopsPassBase<ConvertDispatchToLoops>;
  using Base::Base;

  void runOnOperation() override {
    if (deviceOnly && !getOperation()->hasAttr(kDeviceAttr))
      return;
    getOperation().walk([](Operation *op) {
      auto destination = dyn_cast<DestinationStyleOpInterface>(op);
      if (!destination || !isa<DispatchDialect>(op->getDialect()) ||
          !destination.hasPureBufferSemantics())
        return;
      OpBuilder builder(op);
      Loops loops(builder, op);
      TypeSwitch<Operation *>(op)
          .Case<MatmulOp, BatchMatmulOp, AttentionOp, SoftmaxOp, LayerNormOp, PlanOp, GatherOp,
                SegmentedMatmulOp, CombineOp>([&](auto concrete) { loops.lower(concrete); });
      op->erase();
    });
  }
};
} // namespace
