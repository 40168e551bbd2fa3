//===- LowerNvvm.cpp - Operations of the NVVM dialect -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"
#include "Lower.h"
#include "Machine.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft::emulator;

/// Grids and blocks have one dimension.
static std::optional<Register> registerOf(StringRef name) {
  return llvm::StringSwitch<std::optional<Register>>(name)
      .Case("tid.x", Register::Thread)
      .Case("ntid.x", Register::Threads)
      .Case("ctaid.x", Register::Block)
      .Case("nctaid.x", Register::Blocks)
      .Cases({"tid.y", "tid.z", "ctaid.y", "ctaid.z", "smid", "gridid"}, Register::Zero)
      .Cases({"ntid.y", "ntid.z", "nctaid.y", "nctaid.z", "nsmid"}, Register::One)
      .Case("laneid", Register::Lane)
      .Case("warpid", Register::Warp)
      .Case("nwarpid", Register::Warps)
      .Case("warpsize", Register::WarpSize)
      .Case("lanemask.eq", Register::LanesEq)
      .Case("lanemask.le", Register::LanesLe)
      .Case("lanemask.lt", Register::LanesLt)
      .Case("lanemask.ge", Register::LanesGe)
      .Case("lanemask.gt", Register::LanesGt)
      .Default(std::nullopt);
}

Value Lowering::bits(Value value) {
  if (value.getType() == i32)
    return value;
  if (value.getType() == i1)
    return LLVM::ZExtOp::create(builder, value.getLoc(), i32, value);
  return LLVM::BitcastOp::create(builder, value.getLoc(), i32, value);
}

Value Lowering::warp(Operation *op, Together kind, uint32_t detail, Value mask, ValueRange values) {
  SmallVector<Value> operands = {constant(uint32_t(kind)), constant(detail), mask};
  for (size_t i = 0; i < 3; ++i)
    operands.push_back(i < values.size() ? bits(values[i]) : constant(0));
  operands.push_back(site(op));
  return call("graft_emu_warp", i32, operands);
}

/// Where a function keeps the registers that it hands to the machine, or gets from it.
Value Lowering::scratch(Operation *op, bool out) {
  auto function = op->getParentOfType<LLVM::LLVMFuncOp>();
  auto &pair = buffers[function];
  if (!pair.first) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&function.getBody().front());
    auto array = [&](int64_t words) {
      return LLVM::AllocaOp::create(builder, op->getLoc(), pointer,
                                    LLVM::LLVMArrayType::get(i32, words), constant(1), 16);
    };
    pair = {array(16), array(4)};
  }
  return out ? pair.second : pair.first;
}

void Lowering::matrix(Operation *op, Together kind, uint32_t detail, Value in,
                      ValueRange registers) {
  if (!in) {
    in = scratch(op, false);
    for (auto [i, value] : llvm::enumerate(registers)) {
      Value slot = LLVM::GEPOp::create(builder, op->getLoc(), pointer, i32, in,
                                       ArrayRef<LLVM::GEPArg>{int32_t(i)});
      LLVM::StoreOp::create(builder, op->getLoc(), value, slot, 4);
    }
  }
  Value out = scratch(op, true);
  call("graft_emu_matrix", {}, {constant(uint32_t(kind)), constant(detail), in, out, site(op)});
  replace(op, LLVM::LoadOp::create(builder, op->getLoc(), op->getResult(0).getType(), out, 4));
}

static std::optional<Element> elementOf(std::optional<NVVM::MMATypes> type) {
  if (type == NVVM::MMATypes::f16)
    return Element::F16;
  if (type == NVVM::MMATypes::bf16)
    return Element::BF16;
  if (type == NVVM::MMATypes::tf32)
    return Element::TF32;
  return std::nullopt;
}

static std::optional<MmaShape> shapeOf(NVVM::MmaOp op) {
  auto element = elementOf(op.getMultiplicandAPtxType());
  NVVM::MMATypes c = op.accumPtxType(), d = op.resultPtxType();
  uint32_t k = op.getShape().getK();
  bool wide = element == Element::TF32;
  if (!element || elementOf(op.getMultiplicandBPtxType()) != element || op.getB1Op() ||
      op.getIntOverflowBehavior() || op.getShape().getM() != 16 || op.getShape().getN() != 8 ||
      (k != (wide ? 4 : 8) && k != (wide ? 8 : 16)) || op.getLayoutA() != NVVM::MMALayout::row ||
      op.getLayoutB() != NVVM::MMALayout::col || c != d ||
      (c != NVVM::MMATypes::f32 && c != NVVM::MMATypes::f16) ||
      (c == NVVM::MMATypes::f16 && element != Element::F16))
    return std::nullopt;
  return MmaShape{k, *element, c == NVVM::MMATypes::f16};
}

static std::optional<ReduceKind> reduceOf(NVVM::ReduxKind kind) {
  switch (kind) {
  case NVVM::ReduxKind::ADD:
    return ReduceKind::Add;
  case NVVM::ReduxKind::AND:
    return ReduceKind::And;
  case NVVM::ReduxKind::OR:
    return ReduceKind::Or;
  case NVVM::ReduxKind::XOR:
    return ReduceKind::Xor;
  case NVVM::ReduxKind::MIN:
    return ReduceKind::Min;
  case NVVM::ReduxKind::MAX:
    return ReduceKind::Max;
  case NVVM::ReduxKind::UMIN:
    return ReduceKind::UMin;
  case NVVM::ReduxKind::UMAX:
    return ReduceKind::UMax;
  default:
    return std::nullopt;
  }
}

static ShuffleKind shuffleOf(NVVM::ShflKind kind) {
  switch (kind) {
  case NVVM::ShflKind::bfly:
    return ShuffleKind::Butterfly;
  case NVVM::ShflKind::up:
    return ShuffleKind::Up;
  case NVVM::ShflKind::down:
    return ShuffleKind::Down;
  case NVVM::ShflKind::idx:
    return ShuffleKind::Index;
  }
  return ShuffleKind::Index;
}

LogicalResult Lowering::lowerNvvm(Operation *op) {
  Location loc = op->getLoc();
  auto unknown = [&](const Twine &what = "") {
    return refuse(op, "'" + op->getName().getStringRef() + "'" + what +
                          " is not known to the emulator");
  };
  StringRef name = op->getName().getStringRef();
  if (name.consume_front("nvvm.read.ptx.sreg.")) {
    auto which = registerOf(name);
    if (!which)
      return unknown();
    replace(op, call("graft_emu_register", i32, {constant(uint32_t(*which))}));
    return success();
  }
  auto truth = [&](Value value) {
    return LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, value, constant(0));
  };
  auto fit = [&](Value value, Type type) -> Value {
    if (type == i32)
      return value;
    if (type == i1)
      return truth(value);
    return LLVM::BitcastOp::create(builder, loc, type, value);
  };
  /// The result, or a struct of it and of whether it is valid.
  auto pairUp = [&](Value value, Type type) -> Value {
    auto structure = dyn_cast<LLVM::LLVMStructType>(type);
    if (!structure)
      return fit(value, type);
    Value second = truth(call("graft_emu_second", i32, {}));
    Value both = LLVM::PoisonOp::create(builder, loc, type);
    both = LLVM::InsertValueOp::create(builder, loc, both, fit(value, structure.getBody()[0]),
                                       ArrayRef<int64_t>{0});
    return LLVM::InsertValueOp::create(builder, loc, both, second, ArrayRef<int64_t>{1});
  };
  auto barrier = [&](Value id, Value count, Machine::BarrierDetail detail, Value predicate) {
    Value zero = constant(0);
    return call("graft_emu_barrier", i32,
                {id ? id : zero, count ? count : zero, constant(detail),
                 predicate ? predicate : zero, site(op)});
  };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](NVVM::Barrier0Op) {
        barrier({}, {}, Machine::plain, {});
        op->erase();
        return success();
      })
      .Case([&](NVVM::BarrierOp wait) {
        Machine::BarrierDetail detail = Machine::plain;
        if (auto reduction = wait.getReductionOp())
          detail = *reduction == NVVM::BarrierReduction::POPC  ? Machine::popc
                   : *reduction == NVVM::BarrierReduction::AND ? Machine::all
                                                               : Machine::any;
        Value result = barrier(wait.getBarrierId(), wait.getNumberOfThreads(), detail,
                               wait.getReductionPredicate());
        replace(op, op->getNumResults() ? result : Value());
        return success();
      })
      .Case([&](NVVM::BarrierArriveOp arrive) {
        barrier(arrive.getBarrierId(), arrive.getNumberOfThreads(), Machine::arrive, {});
        op->erase();
        return success();
      })
      .Case([&](NVVM::SyncWarpOp sync) {
        warp(op, Together::Sync, 0, sync.getMask(), {});
        op->erase();
        return success();
      })
      .Case([&](NVVM::ShflOp shuffle) {
        Value result = warp(op, Together::Shuffle, uint32_t(shuffleOf(shuffle.getKind())),
                            shuffle.getThreadMask(),
                            {shuffle.getVal(), shuffle.getOffset(), shuffle.getMaskAndClamp()});
        replace(op, pairUp(result, shuffle.getType()));
        return success();
      })
      .Case([&](NVVM::VoteSyncOp vote) {
        VoteKind kind = vote.getKind() == NVVM::VoteSyncKind::any      ? VoteKind::Any
                        : vote.getKind() == NVVM::VoteSyncKind::all    ? VoteKind::All
                        : vote.getKind() == NVVM::VoteSyncKind::ballot ? VoteKind::Ballot
                                                                       : VoteKind::Uniform;
        Value result =
            warp(op, Together::Vote, uint32_t(kind), vote.getMask(), {Value(vote.getPred())});
        replace(op, fit(result, vote.getType()));
        return success();
      })
      .Case([&](NVVM::MatchSyncOp match) {
        Value value = match.getVal(), high = constant(0);
        if (value.getType() == i64) {
          Value shifted = LLVM::LShrOp::create(builder, loc, value, constant(32, 64));
          high = LLVM::TruncOp::create(builder, loc, i32, shifted);
          value = LLVM::TruncOp::create(builder, loc, i32, value);
        }
        Value result = warp(op, Together::Match, match.getKind() == NVVM::MatchSyncKind::all,
                            match.getThreadMask(), {value, high});
        replace(op, pairUp(result, match.getType()));
        return success();
      })
      .Case([&](NVVM::ReduxOp reduction) {
        auto kind = reduceOf(reduction.getKind());
        if (!kind || reduction.getType() != i32)
          return unknown(" of floats");
        replace(op, warp(op, Together::Reduce, uint32_t(*kind), reduction.getMaskAndClamp(),
                         {Value(reduction.getVal())}));
        return success();
      })
      .Case([&](NVVM::ElectSyncOp elect) {
        Value mask = elect.getMembermask() ? Value(elect.getMembermask()) : constant(-1);
        replace(op, truth(warp(op, Together::Elect, 0, mask, {})));
        return success();
      })
      .Case([&](NVVM::LdMatrixOp load) {
        auto shape = load.getShape();
        if (shape.getM() != 8 || shape.getN() != 8 ||
            load.getEltType() != NVVM::LdStMatrixEltType::B16)
          return unknown(" of this shape");
        bool transposed = load.getLayout() == NVVM::MMALayout::col;
        Value at = toGeneric(load.getPtr());
        matrix(op, Together::LdMatrix, load.getNum() | uint32_t(transposed) << 8, at, {});
        return success();
      })
      .Case([&](NVVM::MmaOp product) {
        auto shape = shapeOf(product);
        if (!shape)
          return unknown(" of these shapes and types");
        SmallVector<Value> registers = llvm::to_vector(op->getOperands());
        if (registers.size() != shape->registersA() + shape->registersB() + shape->registersC())
          return refuse(op, "'nvvm.mma.sync' has " + Twine(registers.size()) + " registers");
        matrix(op, Together::Mma, shape->encode(), {}, registers);
        return success();
      })
      .Case([&](NVVM::CpAsyncOp copy) {
        Value bytes = copy.getCpSize() ? Value(copy.getCpSize()) : constant(copy.getSize());
        Value to = toGeneric(copy.getDst());
        Value from = toGeneric(copy.getSrc());
        call("graft_emu_issue", {}, {to, from, bytes, constant(copy.getSize()), site(op)});
        op->erase();
        return success();
      })
      .Case([&](NVVM::CpAsyncCommitGroupOp) {
        call("graft_emu_commit", {}, {});
        op->erase();
        return success();
      })
      .Case([&](NVVM::CpAsyncWaitGroupOp wait) {
        call("graft_emu_wait", {}, {constant(wait.getN()), site(op)});
        op->erase();
        return success();
      })
      .Case([&](NVVM::RcpApproxFtzF32Op reciprocal) {
        return approximate(op, "graft_emu_rcp.ftz", reciprocal.getArg());
      })
      .Case([&](NVVM::ConvertFloatToTF32Op convert) {
        if (convert.getRnd() != NVVM::FPRoundingMode::RNA || convert.getRelu() ||
            convert.getSat() != NVVM::SaturationMode::NONE)
          return unknown(" with this rounding");
        return approximate(op, "graft_emu_tf32", convert.getSrc());
      })
      .Case<NVVM::ConvertF32x2ToF16x2Op, NVVM::ConvertF32x2ToBF16x2Op>([&](auto convert) {
        if (convert.getRnd() != NVVM::FPRoundingMode::RN || convert.getRelu() ||
            convert.getSat() != NVVM::SaturationMode::NONE)
          return unknown(" with this rounding");
        auto type = cast<VectorType>(convert.getType());
        Value both = LLVM::PoisonOp::create(builder, loc, type);
        for (auto [i, half] :
             {std::pair(0, convert.getSrcLo()), std::pair(1, convert.getSrcHi())}) {
          Value small = LLVM::FPTruncOp::create(builder, loc, type.getElementType(), half);
          both = LLVM::InsertElementOp::create(builder, loc, both, small, constant(i));
        }
        replace(op, both);
        return success();
      })
      .Case([&](NVVM::InlinePtxOp text) {
        if (text.getPredicate() || !text.getReadWriteArgs().empty())
          return unknown(" with a predicate or changed operands");
        return lowerAssembly(op, text.getPtxCode(), op->getNumResults(), text.getReadOnlyArgs());
      })
      .Case<NVVM::MembarOp, NVVM::PrefetchOp, NVVM::GriddepcontrolOp>([&](auto) {
        op->erase();
        return success();
      })
      .Default([&](Operation *) { return unknown(); });
}
