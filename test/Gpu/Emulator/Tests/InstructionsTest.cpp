//===- InstructionsTest.cpp - What each instruction yields -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include <cmath>
#include <cstring>

using namespace graft::emulator;
using namespace graft::emulator::test;
using testing::Each;
using testing::ElementsAre;

static uint32_t bitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

static float floatOf(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

/// What each lane has at the end: `expected(lane)`.
template <typename Function>
static void expectLanes(const std::string &body, uint32_t lanes, Function expected) {
  std::vector<uint32_t> in(lanes), wanted(lanes);
  for (uint32_t i = 0; i < lanes; ++i) {
    in[i] = 100 + i;
    wanted[i] = expected(i);
  }
  EXPECT_EQ(wordsOf(words(body), in), wanted) << body;
}

TEST(Instructions, Registers) {
  auto one = [](const std::string &name) { return "%r = nvvm.read.ptx.sreg." + name + " : i32"; };
  expectLanes(one("tid.x"), 70, [](uint32_t i) { return i; });
  expectLanes(one("ntid.x"), 70, [](uint32_t) { return 70; });
  expectLanes(one("laneid"), 70, [](uint32_t i) { return i % 32; });
  expectLanes(one("warpid"), 70, [](uint32_t i) { return i / 32; });
  expectLanes(one("nwarpid"), 70, [](uint32_t) { return 3; });
  expectLanes(one("warpsize"), 70, [](uint32_t) { return 32; });
  expectLanes(one("nctaid.x"), 4, [](uint32_t) { return 1; });
  for (const char *name : {"tid.y", "tid.z", "ctaid.x", "ctaid.y", "ctaid.z"})
    expectLanes(one(name), 4, [](uint32_t) { return 0; });
  for (const char *name : {"ntid.y", "ntid.z", "nctaid.y", "nctaid.z"})
    expectLanes(one(name), 4, [](uint32_t) { return 1; });
  expectLanes(one("lanemask.eq"), 40, [](uint32_t i) { return 1u << i % 32; });
  expectLanes(one("lanemask.lt"), 40, [](uint32_t i) { return (1u << i % 32) - 1; });
  expectLanes(one("lanemask.le"), 40, [](uint32_t i) { return (2ull << i % 32) - 1; });
  expectLanes(one("lanemask.gt"), 40, [](uint32_t i) { return -(2ull << i % 32); });
  expectLanes(one("lanemask.ge"), 40, [](uint32_t i) { return -(1ull << i % 32); });
}

TEST(Instructions, Blocks) {
  auto program = Program::parse(module("%out: !llvm.ptr<1>", R"(
    %i = nvvm.read.ptx.sreg.ctaid.x : i32
    %n = nvvm.read.ptx.sreg.nctaid.x : i32
    %to = llvm.getelementptr %out[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %r = llvm.mul %i, %n : i32
    llvm.store %r, %to : i32, !llvm.ptr<1>)"));
  ASSERT_TRUE(bool(program));
  EXPECT_TRUE((*program)->has("k"));
  EXPECT_FALSE((*program)->has("other"));
  EXPECT_THAT((*program)->kernels(), ElementsAre("k"));
  EXPECT_THAT((*program)->argumentSizes("k"), ElementsAre(8));
  std::vector<uint32_t> out(4);
  void *to = out.data(), *arguments[] = {&to};
  EXPECT_EQ(message((*program)->run({"k", 4, 1, 0, arguments}, {{(char *)to, 16}}, Schedule())),
            "");
  EXPECT_THAT(out, ElementsAre(0, 4, 8, 12));
}

static std::string shuffle(const std::string &kind, int by, int clamp) {
  return "%by = llvm.mlir.constant(" + std::to_string(by) + " : i32) : i32\n" +
         "%clamp = llvm.mlir.constant(" + std::to_string(clamp) + " : i32) : i32\n" +
         "%r = nvvm.shfl.sync " + kind + " %all, %x, %by, %clamp : i32 -> i32";
}

TEST(Instructions, Shuffle) {
  expectLanes(shuffle("up", 3, 0), 64, [](uint32_t i) { return 100 + (i % 32 < 3 ? i : i - 3); });
  expectLanes(shuffle("down", 3, 31), 64,
              [](uint32_t i) { return 100 + (i % 32 > 28 ? i : i + 3); });
  expectLanes(shuffle("bfly", 5, 31), 64, [](uint32_t i) { return 100 + (i ^ 5); });
  expectLanes(shuffle("idx", 7, 31), 64, [](uint32_t i) { return 100 + i / 32 * 32 + 7; });
  // Segments of eight lanes: their mask is in bits 8 to 12.
  expectLanes(shuffle("idx", 3, 0x1807 | 31), 32, [](uint32_t i) { return 100 + i / 8 * 8 + 3; });
  expectLanes(shuffle("up", 2, 0x1800), 32,
              [](uint32_t i) { return 100 + (i % 8 < 2 ? i : i - 2); });
  expectLanes(shuffle("down", 2, 0x181f), 32,
              [](uint32_t i) { return 100 + (i % 8 > 5 ? i : i + 2); });
  // A clamp below 31 keeps lanes from reading above it.
  expectLanes(shuffle("bfly", 16, 15), 32, [](uint32_t i) { return 100 + (i < 16 ? i : i ^ 16); });
}

TEST(Instructions, ShuffleSaysWhatIsValid) {
  expectLanes(R"(
    %clamp = llvm.mlir.constant(31 : i32) : i32
    %f = llvm.bitcast %x : i32 to f32
    %both = nvvm.shfl.sync down %all, %f, %one, %clamp {return_value_and_is_valid} : f32 -> !llvm.struct<(f32, i1)>
    %value = llvm.extractvalue %both[0] : !llvm.struct<(f32, i1)>
    %valid = llvm.extractvalue %both[1] : !llvm.struct<(f32, i1)>
    %word = llvm.bitcast %value : f32 to i32
    %r = llvm.select %valid, %word, %zero : i1, i32)",
              32, [](uint32_t i) { return i == 31 ? 0 : 101 + i; });
}

TEST(Instructions, PartOfAWarpShuffles) {
  expectLanes(R"(
    %mask = llvm.mlir.constant(255 : i32) : i32
    %clamp = llvm.mlir.constant(31 : i32) : i32
    %eight = llvm.mlir.constant(8 : i32) : i32
    %few = llvm.icmp "ult" %tid, %eight : i32
    llvm.cond_br %few, ^some, ^join(%x : i32)
  ^some:
    %s = nvvm.shfl.sync bfly %mask, %x, %one, %clamp : i32 -> i32
    llvm.br ^join(%s : i32)
  ^join(%r: i32):)",
              32, [](uint32_t i) { return 100 + (i < 8 ? i ^ 1 : i); });
}

static std::string vote(const std::string &kind, const std::string &type, int least) {
  return "%least = llvm.mlir.constant(" + std::to_string(least) + " : i32) : i32\n" +
         "%p = llvm.icmp \"uge\" %x, %least : i32\n%v = nvvm.vote.sync " + kind + " %all, %p -> " +
         type + "\n" +
         (type == "i1" ? "%r = llvm.zext %v : i1 to i32" : "%r = llvm.add %v, %zero : i32");
}

TEST(Instructions, Vote) {
  expectLanes(vote("ballot", "i32", 104), 32, [](uint32_t) { return 0xfffffff0; });
  expectLanes(vote("any", "i1", 131), 32, [](uint32_t) { return 1; });
  expectLanes(vote("any", "i1", 132), 32, [](uint32_t) { return 0; });
  expectLanes(vote("all", "i1", 100), 32, [](uint32_t) { return 1; });
  expectLanes(vote("all", "i1", 101), 32, [](uint32_t) { return 0; });
  expectLanes(vote("uni", "i1", 132), 32, [](uint32_t) { return 1; });
  expectLanes(vote("uni", "i1", 131), 32, [](uint32_t) { return 0; });
  expectLanes(vote("all", "i1", 100), 40,
              [](uint32_t) { return 1; }); // eight lanes in the second warp
}

TEST(Instructions, Match) {
  expectLanes(R"(
    %three = llvm.mlir.constant(3 : i32) : i32
    %low = llvm.and %x, %three : i32
    %r = nvvm.match.sync any %all, %low : i32 -> i32)",
              32, [](uint32_t i) { return 0x11111111u << i % 4; });
  expectLanes(R"(
    %wide = llvm.zext %x : i32 to i64
    %five = llvm.mlir.constant(5 : i64) : i64
    %high = llvm.shl %wide, %five : i64
    %both = nvvm.match.sync all %all, %high : i64 -> !llvm.struct<(i32, i1)>
    %r = llvm.extractvalue %both[0] : !llvm.struct<(i32, i1)>)",
              32, [](uint32_t) { return 0; });
  expectLanes(R"(
    %both = nvvm.match.sync all %all, %one : i32 -> !llvm.struct<(i32, i1)>
    %equal = llvm.extractvalue %both[0] : !llvm.struct<(i32, i1)>
    %valid = llvm.extractvalue %both[1] : !llvm.struct<(i32, i1)>
    %r = llvm.select %valid, %equal, %zero : i1, i32)",
              32, [](uint32_t) { return ~0u; });
}

TEST(Instructions, ReduceAndElect) {
  auto reduce = [](const std::string &kind) {
    return "%m = llvm.sub %x, %hundred : i32\n%r = nvvm.redux.sync " + kind +
           " %m, %all : i32 -> i32";
  };
  auto body = [&](const std::string &kind, int less) {
    return "%hundred = llvm.mlir.constant(" + std::to_string(less) + " : i32) : i32\n" +
           reduce(kind);
  };
  expectLanes(body("add", 100), 32, [](uint32_t) { return 496; });
  expectLanes(body("min", 110), 32, [](uint32_t) { return -10; });
  expectLanes(body("umin", 110), 32, [](uint32_t) { return 0; });
  expectLanes(body("max", 110), 32, [](uint32_t) { return 21; });
  expectLanes(body("umax", 110), 32, [](uint32_t) { return -1; });
  expectLanes(body("and", 84), 32, [](uint32_t) { return 0; });
  expectLanes(body("or", 100), 32, [](uint32_t) { return 31; });
  expectLanes(body("xor", 100), 32, [](uint32_t) { return 0; });
  expectLanes("%e = nvvm.elect.sync -> i1\n%r = llvm.zext %e : i1 to i32", 64,
              [](uint32_t i) { return i % 32 == 0; });
}

static const char *const array =
    "llvm.mlir.global internal @s() {addr_space = 3 : i32} : !llvm.array<64 x i32>\n";
static const char *const put = R"(
    %s = llvm.mlir.addressof @s : !llvm.ptr<3>
    %mine = llvm.getelementptr %s[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    llvm.store %x, %mine : i32, !llvm.ptr<3>
    %other = llvm.xor %tid, %by : i32
    %theirs = llvm.getelementptr %s[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
)";
static const char *const get = "\n%r = llvm.load %theirs : !llvm.ptr<3> -> i32";

TEST(Instructions, Barriers) {
  auto with = [](int by, const std::string &barrier) {
    return words("%by = llvm.mlir.constant(" + std::to_string(by) + " : i32) : i32\n" + put +
                     barrier + get,
                 array);
  };
  std::vector<uint32_t> across(64), within(64);
  for (uint32_t i = 0; i < 64; ++i) {
    across[i] = i ^ 32;
    within[i] = i ^ 1;
  }
  EXPECT_EQ(wordsOf(with(32, "nvvm.barrier0"), counted(64)), across);
  EXPECT_EQ(wordsOf(with(32, "nvvm.barrier"), counted(64)), across);
  EXPECT_EQ(wordsOf(with(32, "nvvm.barrier id = %one"), counted(64)), across);
  EXPECT_EQ(
      wordsOf(with(32, "llvm.inline_asm has_side_effects \"bar.sync 1, 64;\", \"\" : () -> ()"),
              counted(64)),
      across);
  EXPECT_EQ(wordsOf(with(1, "nvvm.bar.warp.sync %all : i32"), counted(64)), within);
  // One barrier for each warp.
  EXPECT_EQ(wordsOf(with(1, R"(
    %w = nvvm.read.ptx.sreg.warpid : i32
    %id = llvm.add %w, %one : i32
    %count = llvm.mlir.constant(32 : i32) : i32
    nvvm.barrier id = %id number_of_threads = %count)"),
                    counted(64)),
            within);
}

TEST(Instructions, BarriersReduce) {
  auto with = [](const std::string &what) {
    return "%p = llvm.icmp \"eq\" %tid, %one : i32\n%q = llvm.zext %p : i1 to i32\n" +
           ("%r = nvvm.barrier #nvvm.reduction<" + what + "> %q -> i32");
  };
  expectLanes(with("popc"), 64, [](uint32_t) { return 1; });
  expectLanes(with("or"), 64, [](uint32_t) { return 1; });
  expectLanes(with("and"), 64, [](uint32_t) { return 0; });
}

TEST(Instructions, ArriveLetsOthersGo) {
  // The first warp writes and arrives; the second waits and reads.
  std::string text = words(std::string(R"(
    %by = llvm.mlir.constant(32 : i32) : i32
    %count = llvm.mlir.constant(64 : i32) : i32
    %two = llvm.mlir.constant(2 : i32) : i32)") +
                               put + R"(
    %w = nvvm.read.ptx.sreg.warpid : i32
    %first = llvm.icmp "eq" %w, %zero : i32
    llvm.cond_br %first, ^writes, ^reads
  ^writes:
    nvvm.barrier.arrive id = %two number_of_threads = %count
    llvm.br ^join(%zero : i32)
  ^reads:
    nvvm.barrier id = %two number_of_threads = %count
    %got = llvm.load %theirs : !llvm.ptr<3> -> i32
    llvm.br ^join(%got : i32)
  ^join(%r: i32):)",
                           array);
  std::vector<uint32_t> wanted(64);
  for (uint32_t i = 32; i < 64; ++i)
    wanted[i] = i - 32;
  EXPECT_EQ(wordsOf(text, counted(64)), wanted);
}

TEST(Instructions, Approximations) {
  auto apply = [](const std::string &line) {
    return words("%f = llvm.bitcast %x : i32 to f32\n" + line +
                 "\n%r = llvm.bitcast %g : f32 to i32");
  };
  auto assembly = [&](const std::string &name) {
    return apply("%g = llvm.inline_asm \"" + name + " $0, $1;\", \"=f,f\" %f : (f32) -> f32");
  };
  auto near = [](const std::string &text, float in, float out) {
    std::vector<uint32_t> got = wordsOf(text, {bitsOf(in)});
    ASSERT_EQ(got.size(), 1u);
    EXPECT_NEAR(floatOf(got[0]), out, 1e-6 * std::fabs(out)) << text;
  };
  near(assembly("ex2.approx.ftz.f32"), 3.5f, std::exp2(3.5f));
  near(assembly("lg2.approx.f32"), 3.5f, std::log2(3.5f));
  near(assembly("rcp.approx.ftz.f32"), 4, 0.25f);
  near(assembly("rsqrt.approx.f32"), 4, 0.5f);
  near(assembly("sqrt.approx.f32"), 4, 2);
  near(assembly("sin.approx.f32"), 1, std::sin(1.0f));
  near(assembly("cos.approx.f32"), 1, std::cos(1.0f));
  near(assembly("tanh.approx.f32"), 1, std::tanh(1.0f));
  near(assembly("ex2.approx.ftz.f32"), -140, 0);
  near(assembly("ex2.approx.f32"), -140, 0x1p-140f);
  near(apply("%g = nvvm.inline_ptx \"ex2.approx.ftz.f32 $0, $1;\" ro(%f : f32) -> f32"), 2, 4);
  near(apply("%g = nvvm.rcp.approx.ftz.f %f : f32"), 8, 0.125f);
  near(apply("%g = llvm.call_intrinsic \"llvm.nvvm.ex2.approx.ftz.f\"(%f) : (f32) -> f32"), 2, 4);
  near(apply("%g = llvm.intr.exp(%f) : (f32) -> f32"), 1, std::exp(1.0f));
  near(apply("%g = llvm.intr.fma(%f, %f, %f) : (f32, f32, f32) -> f32"), 3, 12);
  // To 10 bits, ties away from zero.
  std::string round =
      words("%f = llvm.bitcast %x : i32 to f32\n%r = llvm.inline_asm \"cvt.rna.tf32.f32 $0, "
            "$1;\", \"=r,f\" %f : (f32) -> i32");
  EXPECT_THAT(wordsOf(round, {0x3f801000, 0x3f800fff, 0xbf801000, 0x3f803000}),
              ElementsAre(0x3f802000, 0x3f800000, 0xbf802000, 0x3f804000));
  std::string op =
      words("%f = llvm.bitcast %x : i32 to f32\n%r = nvvm.convert.float.to.tf32 %f {rnd = "
            "#nvvm.fp_rnd_mode<rna>}");
  EXPECT_THAT(wordsOf(op, {0x3f801000}), ElementsAre(0x3f802000));
}

TEST(Instructions, Libdevice) {
  std::string text =
      words("%f = llvm.bitcast %x : i32 to f32\n%g = llvm.call @__nv_expf(%f) : (f32) -> f32\n"
            "%h = llvm.call @__nv_powf(%g, %f) : (f32, f32) -> f32\n"
            "%r = llvm.bitcast %h : f32 to i32",
            "llvm.func @__nv_expf(f32) -> f32\nllvm.func @__nv_powf(f32, f32) -> f32");
  EXPECT_THAT(wordsOf(text, {bitsOf(1.5f)}), ElementsAre(bitsOf(std::pow(std::exp(1.5f), 1.5f))));
}

TEST(Instructions, SmallFloats) {
  // There and back: f16 and bf16 round to even.
  auto through = [](const std::string &type) {
    return words("%f = llvm.bitcast %x : i32 to f32\n%h = llvm.fptrunc %f : f32 to " + type +
                 "\n%g = llvm.fpext %h : " + type + " to f32\n%r = llvm.bitcast %g : f32 to i32");
  };
  EXPECT_THAT(wordsOf(through("f16"), {0x3f801000, 0x3f803000, 0x33800000, 0x477fefff, 0x477ff000}),
              ElementsAre(0x3f800000, 0x3f804000, 0x33800000, 0x477fe000, 0x7f800000));
  EXPECT_THAT(wordsOf(through("bf16"), {0x3f808000, 0x3f818000, 0x3f808001}),
              ElementsAre(0x3f800000, 0x3f820000, 0x3f810000));
}

TEST(Instructions, PairsOfSmallFloats) {
  auto pair = [](const std::string &type) {
    return words("%f = llvm.bitcast %x : i32 to f32\n%g = llvm.fadd %f, %f : f32\n"
                 "%h = nvvm.convert.f32x2.to." +
                 type + "x2 %g, %f {rnd = #nvvm.fp_rnd_mode<rn>} : vector<2x" + type +
                 ">\n%r = llvm.bitcast %h : vector<2x" + type + "> to i32");
  };
  EXPECT_THAT(wordsOf(pair("f16"), {bitsOf(1.0f)}), ElementsAre(0x40003c00));
  EXPECT_THAT(wordsOf(pair("bf16"), {bitsOf(1.0f)}), ElementsAre(0x40003f80));
}

TEST(Instructions, WarpsMayWaitForEachOtherThroughMemory) {
  // The flag of each warp is raised by the other one, once its own has been seen by nobody yet.
  std::string text = words(std::string(R"(
    %by = llvm.mlir.constant(32 : i32) : i32)") +
                               put + R"(
    nvvm.barrier0
    %c1000 = llvm.mlir.constant(1000 : i32) : i32
    %old = llvm.atomicrmw add %theirs, %c1000 monotonic : !llvm.ptr<3>, i32
    llvm.br ^wait
  ^wait:
    %now = llvm.load volatile %mine : !llvm.ptr<3> -> i32
    %raised = llvm.icmp "uge" %now, %c1000 : i32
    llvm.cond_br %raised, ^done, ^wait
  ^done:
    %r = llvm.sub %now, %c1000 : i32)",
                           array);
  EXPECT_EQ(wordsOf(text, counted(64)), counted(64));
}

TEST(Instructions, Atomics) {
  std::string text = words(R"(
    %s = llvm.mlir.addressof @s : !llvm.ptr<3>
    %mine = llvm.getelementptr %s[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    llvm.store %zero, %mine : i32, !llvm.ptr<3>
    nvvm.barrier0
    %three = llvm.mlir.constant(3 : i32) : i32
    %which = llvm.and %tid, %three : i32
    %there = llvm.getelementptr %s[%which] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %old = llvm.atomicrmw add %there, %x monotonic : !llvm.ptr<3>, i32
    %both = llvm.cmpxchg %in, %zero, %one monotonic monotonic : !llvm.ptr<1>, i32
    %was = llvm.atomicrmw umax %from, %one monotonic : !llvm.ptr<1>, i32
    nvvm.barrier0
    %r = llvm.load %there : !llvm.ptr<3> -> i32)",
                           array);
  std::vector<uint32_t> wanted(64);
  for (uint32_t i = 0; i < 64; ++i)
    wanted[i % 4] += i;
  for (uint32_t i = 4; i < 64; ++i)
    wanted[i] = wanted[i - 4];
  auto program = Program::parse(text);
  ASSERT_TRUE(bool(program)) << message(program.takeError());
  for (const Schedule &schedule : schedules()) {
    std::vector<uint32_t> in = counted(64), out;
    EXPECT_EQ(runWords(**program, in, out, schedule), "") << schedule.name();
    EXPECT_EQ(out, wanted) << schedule.name();
    EXPECT_EQ(in[0], 1u);
  }
}

TEST(Instructions, DynamicSharedMemoryAndConstants) {
  std::string text =
      words(R"(
    %s = llvm.mlir.addressof @d : !llvm.ptr<3>
    %mine = llvm.getelementptr %s[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %c = llvm.mlir.addressof @c : !llvm.ptr<4>
    %at = llvm.getelementptr %c[%tid] : (!llvm.ptr<4>, i32) -> !llvm.ptr<4>, i32
    %v = llvm.load %at : !llvm.ptr<4> -> i32
    llvm.store %v, %mine : i32, !llvm.ptr<3>
    %word = llvm.ptrtoint %mine : !llvm.ptr<3> to i32
    %again = llvm.inttoptr %word : i32 to !llvm.ptr<3>
    %generic = llvm.addrspacecast %again : !llvm.ptr<3> to !llvm.ptr
    %r = llvm.load %generic : !llvm.ptr -> i32)",
            "llvm.mlir.global external @d() {addr_space = 3 : i32, alignment = 16 : i64} : "
            "!llvm.array<0 x i8>\n"
            "llvm.mlir.global internal constant @c(dense<[5, 6, 7]> : tensor<3xi32>) {addr_space = "
            "4 : i32} : !llvm.array<3 x i32>");
  auto program = Program::parse(text);
  ASSERT_TRUE(bool(program)) << message(program.takeError());
  std::vector<uint32_t> out;
  EXPECT_EQ(runWords(**program, counted(3), out, Schedule(), 1, 12), "");
  EXPECT_THAT(out, ElementsAre(5, 6, 7));
  EXPECT_THAT(runWords(**program, counted(3), out, Schedule(), 1, 8),
              testing::HasSubstr("shared memory (dynamic) + 8 (of 8 bytes): out of bounds"));
  EXPECT_THAT(runWords(**program, counted(4), out, Schedule(), 1, 16),
              testing::HasSubstr("global memory c + 12 (of 12 bytes): out of bounds"));
}

TEST(Instructions, ArgumentsOfManyTypes) {
  auto program = Program::parse(module("%out: !llvm.ptr, %a: i8, %b: i64, %c: f16, %p: !llvm.ptr "
                                       "{llvm.byval = !llvm.struct<(i32, f64)>}",
                                       R"(
    %q = llvm.getelementptr %p[0, 1] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(i32, f64)>
    %d = llvm.load %q : !llvm.ptr -> f64
    %x = llvm.sext %a : i8 to i64
    %y = llvm.add %x, %b : i64
    %z = llvm.sitofp %y : i64 to f64
    %w = llvm.fpext %c : f16 to f64
    %s = llvm.fadd %z, %w : f64
    %t = llvm.fadd %s, %d : f64
    llvm.store %t, %out : f64, !llvm.ptr)"));
  ASSERT_TRUE(bool(program)) << message(program.takeError());
  EXPECT_THAT((*program)->argumentSizes("k"), ElementsAre(8, 1, 8, 2, 16));
  EXPECT_THAT((*program)->argumentSizes("other"), testing::IsEmpty());
  double out = 0;
  void *to = &out;
  int8_t a = -3;
  int64_t b = 1000;
  uint16_t c = 0x3800;
  struct {
    int32_t i;
    double d;
  } p{0, 0.25};
  void *arguments[] = {&to, &a, &b, &c, &p};
  EXPECT_EQ(message((*program)->run({"k", 1, 1, 0, arguments}, {{(char *)to, 8}}, Schedule())), "");
  EXPECT_EQ(out, 997.75);
}
