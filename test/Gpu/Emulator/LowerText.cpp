//===- LowerText.cpp - Inline assembly, intrinsics and functions, known by name -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"
#include "Fragments.h"
#include "Lower.h"
#include "Machine.h"

using namespace mlir;
using namespace graft::emulator;

LogicalResult Lowering::approximate(Operation *op, StringRef function, ValueRange operands) {
  Type result = function == "graft_emu_tf32" ? i32 : f32;
  if (op->getNumResults() != 1 || operands.size() != 1)
    return refuse(op, "'" + op->getName().getStringRef() + "' has other operands than expected");
  Value operand = operands[0];
  if (operand.getType() == i32)
    operand = LLVM::BitcastOp::create(builder, op->getLoc(), f32, operand);
  Value value = call(function, result, operand);
  Type wanted = op->getResult(0).getType();
  if (wanted != result)
    value = LLVM::BitcastOp::create(builder, op->getLoc(), wanted, value);
  replace(op, value);
  return success();
}

namespace {
/// An operand of an instruction: `$1`, `16`, `[ $0 + 0 ]` or `{ $0, $1 }`.
struct Argument {
  SmallVector<unsigned> places;
  int64_t number = 0;
  bool good = false;
};
} // namespace

static Argument parseArgument(StringRef text) {
  Argument argument;
  text = text.trim();
  argument.good = true;
  if (!text.getAsInteger(0, argument.number))
    return argument;
  if (text.consume_front("[") && text.consume_back("]")) {
    auto [base, offset] = text.split('+');
    argument.good = !offset.trim().getAsInteger(0, argument.number) || offset.empty();
    text = base;
  } else if (text.consume_front("{")) {
    argument.good = text.consume_back("}");
  }
  SmallVector<StringRef> names;
  text.split(names, ',');
  for (StringRef name : names) {
    unsigned place = 0;
    name = name.trim();
    argument.good &= name.consume_front("$") && !name.getAsInteger(10, place);
    argument.places.push_back(place);
  }
  return argument;
}

/// Splits at commas outside of brackets.
static SmallVector<Argument> parseArguments(StringRef text) {
  SmallVector<Argument> arguments;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    depth += StringRef("[{").contains(text[i]);
    depth -= StringRef("]}").contains(text[i]);
    if (text[i] != ',' || depth)
      continue;
    arguments.push_back(parseArgument(text.slice(start, i)));
    start = i + 1;
  }
  if (!text.trim().empty())
    arguments.push_back(parseArgument(text.substr(start)));
  return arguments;
}

/// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 and its kin.
static std::optional<MmaShape> shapeOf(StringRef instruction) {
  MmaShape shape{0, Element::F16, false};
  if (!instruction.consume_front("mma.sync.aligned.m16n8k") ||
      instruction.consumeInteger(10, shape.depth) || !instruction.consume_front(".row.col."))
    return std::nullopt;
  shape.half = instruction == "f16.f16.f16.f16";
  if (instruction == "f32.bf16.bf16.f32")
    shape.type = Element::BF16;
  else if (instruction == "f32.tf32.tf32.f32")
    shape.type = Element::TF32;
  else if (instruction != "f32.f16.f16.f32" && !shape.half)
    return std::nullopt;
  uint32_t deepest = shape.type == Element::TF32 ? 8 : 16;
  if (shape.depth != deepest && shape.depth != deepest / 2)
    return std::nullopt;
  return shape;
}

LogicalResult Lowering::lowerAssembly(Operation *op, StringRef text, unsigned results,
                                      ValueRange operands) {
  auto unknown = [&] {
    return refuse(op, "the assembly '" + text + "' is not known to the emulator");
  };
  StringRef rest = text.trim().rtrim(';').trim();
  StringRef predicate, instruction;
  if (rest.starts_with("@"))
    std::tie(predicate, rest) = rest.drop_front().split(' ');
  std::tie(instruction, rest) = rest.split(' ');
  SmallVector<Argument> arguments = parseArguments(rest);
  // `$n` counts results before operands.
  bool good = true;
  SmallVector<SmallVector<Value>> values;
  for (const Argument &argument : arguments) {
    good &= argument.good;
    auto &those = values.emplace_back();
    for (unsigned place : argument.places) {
      good &= place < results + operands.size();
      if (good && place >= results)
        those.push_back(operands[place - results]);
    }
  }
  if (!good)
    return unknown();
  auto valueOf = [&](unsigned i) {
    return values[i].empty() ? constant(arguments[i].number) : values[i][0];
  };
  auto isRead = [&](unsigned i, size_t count) {
    return i < values.size() && values[i].size() == count;
  };
  if (!predicate.empty()) {
    Argument condition = parseArgument(predicate);
    bool known = instruction == "st.global.v4.b32" && condition.good && results == 0 &&
                 condition.places.size() == 1 && condition.places[0] < operands.size() &&
                 arguments.size() == 2 && isRead(0, 1) && isRead(1, 4) && arguments[0].number == 0;
    if (!known)
      return unknown();
    SmallVector<Value> passed = {toGeneric(values[0][0]), bits(operands[condition.places[0]])};
    for (Value word : values[1])
      passed.push_back(bits(word));
    passed.push_back(site(op));
    call("graft_emu_store", {}, passed);
    op->erase();
    return success();
  }
  if (results == 1 && arguments.size() == 2 && isRead(1, 1)) {
    StringRef function = approximation(instruction);
    if (!function.empty())
      return approximate(op, function, values[1]);
  }
  if (results == 0 && instruction.starts_with("griddepcontrol.")) {
    op->erase();
    return success();
  }
  bool arrives = instruction == "bar.arrive";
  if (results == 0 && (arrives || instruction == "bar.sync" || instruction == "barrier.sync") &&
      (arguments.size() == 2 || (arguments.size() == 1 && !arrives))) {
    call("graft_emu_barrier", i32,
         {valueOf(0), arguments.size() == 2 ? valueOf(1) : constant(0),
          constant(arrives ? Machine::arrive : Machine::plain), constant(0), site(op)});
    op->erase();
    return success();
  }
  if (results == 0 && arguments.size() >= 3 && isRead(0, 1) && isRead(1, 1) &&
      (instruction == "cp.async.cg.shared.global" || instruction == "cp.async.ca.shared.global") &&
      arguments[0].number == 0 && arguments[1].number == 0) {
    call("graft_emu_issue", {},
         {toGeneric(values[0][0]), toGeneric(values[1][0]),
          arguments.size() == 4 ? valueOf(3) : valueOf(2), constant(arguments[2].number),
          site(op)});
    op->erase();
    return success();
  }
  // Results, A, B, C.
  auto shape = shapeOf(instruction);
  if (shape && arguments.size() == 4 && isRead(1, shape->registersA()) &&
      isRead(2, shape->registersB()) && isRead(3, shape->registersC()) &&
      results == shape->registersC()) {
    SmallVector<Value> registers;
    for (unsigned i : {1, 2, 3})
      llvm::append_range(registers, values[i]);
    matrix(op, Together::Mma, shape->encode(), {}, registers);
    return success();
  }
  return unknown();
}

LogicalResult Lowering::lowerIntrinsic(LLVM::CallIntrinsicOp op) {
  StringRef name = op.getIntrin();
  auto unknown = [&] {
    return refuse(op, "the intrinsic '" + op.getIntrin() + "' is not known to the emulator");
  };
  if (!name.consume_front("llvm.nvvm."))
    return unknown();
  StringRef function = approximation(name);
  if (!function.empty())
    return approximate(op, function, op.getArgs());
  auto arguments = op.getArgs();
  if (name == "barrier.cta.sync.aligned.all" || name == "barrier.cta.sync.aligned.count") {
    Value count = arguments.size() == 2 ? arguments[1] : constant(0);
    call("graft_emu_barrier", i32,
         {arguments[0], count, constant(Machine::plain), constant(0), site(op)});
  } else if (name == "bar.warp.sync") {
    warp(op, Together::Sync, 0, arguments[0], {});
  } else if (name == "cp.async.commit.group") {
    call("graft_emu_commit", {}, {});
  } else if (name == "cp.async.wait.group") {
    call("graft_emu_wait", {}, {arguments[0], site(op)});
  } else if (name.consume_front("ldmatrix.sync.aligned.m8n8.x") && name.consume_back(".b16.p3")) {
    bool transposed = name.consume_back(".trans");
    unsigned count;
    if (name.getAsInteger(10, count) || (count != 1 && count != 2 && count != 4))
      return unknown();
    matrix(op, Together::LdMatrix, count | uint32_t(transposed) << 8, toGeneric(arguments[0]), {});
    return success();
  } else {
    return unknown();
  }
  op->erase();
  return success();
}

LogicalResult Lowering::lowerCall(LLVM::CallOp op) {
  auto callee = op.getCallee();
  if (!callee)
    return refuse(op, "a call through a pointer is not known to the emulator");
  auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(*callee);
  if (!function || !function.isExternal())
    return success();
  for (const Call &known : calls())
    if (known.name == *callee && callee->starts_with("__nv_"))
      return success();
  return refuse(op, "the function '" + *callee + "' is not known to the emulator");
}
