//===- ChecksTest.cpp - What a kernel may not do -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

using namespace graft::emulator;
using namespace graft::emulator::test;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

static const char *const array =
    "llvm.mlir.global internal @s() {addr_space = 3 : i32} : !llvm.array<64 x i32>\n";

/// %mine: a thread's word of @s; %theirs: that of the thread whose number differs by `by`.
static std::string places(int by) {
  return "%by = llvm.mlir.constant(" + std::to_string(by) + R"( : i32) : i32
    %s = llvm.mlir.addressof @s : !llvm.ptr<3>
    %mine = llvm.getelementptr %s[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %other = llvm.xor %tid, %by : i32
    %theirs = llvm.getelementptr %s[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
)";
}

static std::string shared(int by, const std::string &body) {
  return words(places(by) + body, array);
}

TEST(Checks, BoundsOfGlobalMemory) {
  auto reads = [](const std::string &offset, const std::string &type) {
    return words("%p = llvm.getelementptr %from[" + offset +
                 "] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i32\n%v = llvm.load %p {alignment = 4 : i64} "
                 ": !llvm.ptr<1> -> " +
                 type + "\n%r = llvm.mlir.constant(1 : i32) : i32");
  };
  EXPECT_EQ(errorOf(reads("0", "i32")), "");
  EXPECT_THAT(errorOf(reads("1", "i32")),
              AllOf(StartsWith("kernel 'k', block 0, thread 63: llvm.load (text:"),
                    HasSubstr("reads 4 bytes of global memory allocation"),
                    HasSubstr(" + 256 (of 256 bytes): out of bounds")));
  EXPECT_THAT(errorOf(reads("-1", "i32")), HasSubstr("out of bounds"));
  EXPECT_THAT(errorOf(reads("0", "vector<2xi32>")),
              AllOf(HasSubstr("reads 8 bytes"), HasSubstr("out of bounds")));
  std::string stores =
      words("%p = llvm.getelementptr %to[1] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i32\nllvm.store %x, "
            "%p : i32, !llvm.ptr<1>\n%r = llvm.add %x, %x : i32");
  EXPECT_THAT(errorOf(stores), AllOf(HasSubstr("llvm.store"), HasSubstr("writes 4 bytes"),
                                     HasSubstr("out of bounds")));
  std::string updates = words("%p = llvm.getelementptr %to[1] : (!llvm.ptr<1>) -> !llvm.ptr<1>, "
                              "i32\n%r = llvm.atomicrmw add %p, %x monotonic : !llvm.ptr<1>, i32");
  EXPECT_THAT(errorOf(updates), AllOf(HasSubstr("llvm.atomicrmw"), HasSubstr("updates 4 bytes"),
                                      HasSubstr("out of bounds")));
  std::string exchanges = words(
      "%p = llvm.getelementptr %to[1] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i32\n%b = llvm.cmpxchg %p, "
      "%x, %x monotonic monotonic : !llvm.ptr<1>, i32\n%r = llvm.add %x, %x : i32");
  EXPECT_THAT(errorOf(exchanges), AllOf(HasSubstr("llvm.cmpxchg"), HasSubstr("out of bounds")));
  std::string copies = words(
      "%n = llvm.mlir.constant(8 : i64) : i64\n\"llvm.intr.memcpy\"(%to, %from, %n) <{isVolatile = "
      "false}> : (!llvm.ptr<1>, !llvm.ptr<1>, i64) -> ()\n%r = llvm.add %x, %x : i32");
  EXPECT_THAT(errorOf(copies), AllOf(HasSubstr("llvm.intr.memcpy"), HasSubstr("out of bounds")));
}

TEST(Checks, BoundsOfSharedMemory) {
  std::string beyond = words(R"(
    %s = llvm.mlir.addressof @s : !llvm.ptr<3>
    %p = llvm.getelementptr %s[1, %tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<64 x i32>
    llvm.store %x, %p : i32, !llvm.ptr<3>
    %r = llvm.add %x, %x : i32)",
                             array);
  EXPECT_THAT(errorOf(beyond),
              HasSubstr("writes 4 bytes of shared memory s + 256 (of 256 bytes): out of bounds"));
  // One array does not run into the next.
  std::string next =
      words(R"(
    %s = llvm.mlir.addressof @s : !llvm.ptr<3>
    %p = llvm.getelementptr %s[1, %tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<64 x i32>
    llvm.store %x, %p : i32, !llvm.ptr<3>
    %r = llvm.add %x, %x : i32)",
            std::string(array) +
                "llvm.mlir.global internal @t() {addr_space = 3 : i32} : !llvm.array<640 x i32>\n");
  EXPECT_THAT(errorOf(next), HasSubstr("out of bounds"));
}

TEST(Checks, PointersIntoTheWrongSpace) {
  std::string global =
      words("%g = llvm.addrspacecast %from : !llvm.ptr<1> to !llvm.ptr\n%s = llvm.addrspacecast %g "
            ": !llvm.ptr to !llvm.ptr<3>\n%r = llvm.load %s : !llvm.ptr<3> -> i32");
  EXPECT_THAT(errorOf(global), HasSubstr("not in shared memory"));
  std::string there =
      shared(0, "llvm.store %x, %mine : i32, !llvm.ptr<3>\n%g = llvm.addrspacecast %mine : "
                "!llvm.ptr<3> to !llvm.ptr\n%s1 = llvm.addrspacecast %g : !llvm.ptr to "
                "!llvm.ptr<1>\n%r = llvm.load %s1 : !llvm.ptr<1> -> i32");
  EXPECT_THAT(errorOf(there), HasSubstr("out of bounds"));
  std::string own = words("%a = llvm.alloca %one x i32 : (i32) -> !llvm.ptr<5>\nllvm.store %x, %a "
                          ": i32, !llvm.ptr<5>\n%r = llvm.load %a : !llvm.ptr<5> -> i32");
  EXPECT_EQ(errorOf(own), "");
}

TEST(Checks, Alignment) {
  auto reads = [](const std::string &type, const std::string &aligned) {
    return words("%half = llvm.mlir.constant(32 : i32) : i32\n%low = llvm.icmp \"ult\" %tid, %half "
                 ": i32\n%i = llvm.select %low, %tid, %zero : i1, i32\n"
                 "%p = llvm.getelementptr %in[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n%v = "
                 "llvm.load %p " +
                 aligned + " : !llvm.ptr<1> -> " + type + "\n%r = llvm.add %x, %x : i32");
  };
  EXPECT_THAT(errorOf(reads("vector<4xi32>", "")), HasSubstr("not aligned to 16 bytes"));
  EXPECT_THAT(errorOf(reads("vector<2xi32>", "")), HasSubstr("not aligned to 8 bytes"));
  EXPECT_THAT(errorOf(reads("i64", "")), HasSubstr("not aligned to 8 bytes"));
  EXPECT_EQ(errorOf(reads("vector<4xi32>", "{alignment = 4 : i64}")), "");
  EXPECT_EQ(errorOf(reads("i32", "")), "");
}

TEST(Checks, WhatNobodyHasWritten) {
  EXPECT_THAT(
      errorOf(shared(0, "%r = llvm.load %mine : !llvm.ptr<3> -> i32")),
      HasSubstr("reads 4 bytes of shared memory s + 0 (of 256 bytes): nobody has written it"));
  EXPECT_THAT(errorOf(shared(0, "%r = llvm.atomicrmw add %mine, %x monotonic : !llvm.ptr<3>, i32")),
              HasSubstr("nobody has written it"));
  // Nor does a block find what an earlier one has left.
  std::string later = shared(0, R"(
    %b = nvvm.read.ptx.sreg.ctaid.x : i32
    %first = llvm.icmp "eq" %b, %zero : i32
    llvm.cond_br %first, ^write, ^read
  ^write:
    llvm.store %x, %mine : i32, !llvm.ptr<3>
    llvm.br ^read
  ^read:
    %r = llvm.load %mine : !llvm.ptr<3> -> i32)");
  EXPECT_EQ(errorOf(later, 64, 1), "");
  EXPECT_THAT(errorOf(later, 64, 2),
              AllOf(HasSubstr("block 1, "), HasSubstr("nobody has written it")));
}

TEST(Checks, RacesInSharedMemory) {
  auto exchange = [](int by, const std::string &between) {
    return shared(by, "llvm.store %x, %mine : i32, !llvm.ptr<3>\n" + between +
                          "\n%r = llvm.load %theirs : !llvm.ptr<3> -> i32");
  };
  EXPECT_EQ(errorOf(exchange(32, "nvvm.barrier0")), "");
  EXPECT_THAT(errorOf(exchange(32, "")), testing::AnyOf(HasSubstr("nobody has written"),
                                                        HasSubstr("a race: reads what thread")));
  // What orders a warp's lanes does not order warps.
  EXPECT_THAT(errorOf(exchange(32, "nvvm.bar.warp.sync %all : i32")),
              testing::AnyOf(HasSubstr("nobody has written"), HasSubstr("a race")));
  EXPECT_EQ(errorOf(exchange(1, "nvvm.bar.warp.sync %all : i32")), "");
  // A vote brings lanes together but orders nothing.
  EXPECT_THAT(errorOf(exchange(
                  1, "%p = llvm.icmp \"eq\" %x, %x : i32\n%v = nvvm.vote.sync any %all, %p -> i1")),
              HasSubstr("a race: reads what thread 1 wrote at llvm.store (text:"));
  // A barrier of one warp orders nothing for another.
  EXPECT_THAT(
      errorOf(exchange(32, "%w = nvvm.read.ptx.sreg.warpid : i32\n%c = llvm.mlir.constant(32 : "
                           "i32) : i32\nnvvm.barrier id = %w number_of_threads = %c")),
      testing::AnyOf(HasSubstr("nobody has written"), HasSubstr("a race")));
}

TEST(Checks, RacesOfAReadAndALaterWrite) {
  auto twice = [](int by, const std::string &between) {
    return shared(by, "llvm.store %x, %mine : i32, !llvm.ptr<3>\nnvvm.barrier0\n%r = llvm.load "
                      "%theirs : !llvm.ptr<3> -> i32\n" +
                          between + "\nllvm.store %zero, %mine : i32, !llvm.ptr<3>");
  };
  EXPECT_EQ(errorOf(twice(32, "nvvm.barrier0")), "");
  EXPECT_THAT(errorOf(twice(32, "")), HasSubstr("a race: "));
  // The first warp only reads what the second writes.
  std::string oneWay = shared(32, R"(
    llvm.store %x, %mine : i32, !llvm.ptr<3>
    nvvm.barrier0
    %first = llvm.icmp "ult" %tid, %by : i32
    llvm.cond_br %first, ^read, ^write
  ^read:
    %got = llvm.load %theirs : !llvm.ptr<3> -> i32
    llvm.br ^join(%got : i32)
  ^write:
    llvm.store %zero, %mine : i32, !llvm.ptr<3>
    llvm.br ^join(%zero : i32)
  ^join(%r: i32):)");
  EXPECT_THAT(errorOf(oneWay),
              AllOf(HasSubstr("a race: writes what thread"), HasSubstr("read at llvm.load")));
  EXPECT_THAT(errorOf(twice(1, "")), HasSubstr("a race: "));
  EXPECT_EQ(errorOf(twice(1, "nvvm.bar.warp.sync %all : i32")), "");
}

TEST(Checks, RacesAfterSomeLanesHaveMet) {
  // The first lane has met itself before the barrier; what another one of its warp does after the
  // barrier is still unordered.
  std::string text = shared(31, R"(
    %first = llvm.icmp "eq" %tid, %zero : i32
    llvm.cond_br %first, ^meet, ^all
  ^meet:
    nvvm.bar.warp.sync %one : i32
    llvm.br ^all
  ^all:
    nvvm.barrier0
    %c1 = llvm.icmp "eq" %tid, %one : i32
    llvm.cond_br %c1, ^write, ^other
  ^write:
    llvm.store %x, %s : i32, !llvm.ptr<3>
    llvm.br ^join(%zero : i32)
  ^other:
    %c40 = llvm.mlir.constant(40 : i32) : i32
    %is40 = llvm.icmp "eq" %tid, %c40 : i32
    llvm.cond_br %is40, ^read, ^join(%zero : i32)
  ^read:
    %got = llvm.load %s : !llvm.ptr<3> -> i32
    llvm.br ^join(%got : i32)
  ^join(%r: i32):)");
  EXPECT_THAT(errorOf(text), HasSubstr("a race: reads what thread 1 wrote"));
}

TEST(Checks, RacesOfWrites) {
  EXPECT_THAT(
      errorOf(shared(0, "llvm.store %x, %s : i32, !llvm.ptr<3>\n%r = llvm.add %x, %x : i32")),
      HasSubstr("a race: writes what thread"));
  EXPECT_EQ(
      errorOf(shared(0, "llvm.store %x, %mine : i32, !llvm.ptr<3>\n%r = llvm.add %x, %x : i32")),
      "");
  // Atomics order themselves, but not what is plain.
  std::string mixed = shared(0, R"(
    %first = llvm.icmp "eq" %tid, %zero : i32
    llvm.cond_br %first, ^write, ^join
  ^write:
    llvm.store %x, %s : i32, !llvm.ptr<3>
    llvm.br ^join
  ^join:
    nvvm.barrier0
    %old = llvm.atomicrmw add %s, %x monotonic : !llvm.ptr<3>, i32
    %r = llvm.load %s : !llvm.ptr<3> -> i32)");
  EXPECT_THAT(errorOf(mixed), HasSubstr("a race: "));
}

TEST(Checks, RacesBetweenBlocks) {
  std::string plain = words("%r = llvm.add %x, %x : i32");
  EXPECT_EQ(errorOf(plain, 64, 1), "");
  EXPECT_THAT(
      errorOf(plain, 64, 2),
      AllOf(HasSubstr("block 1, "), HasSubstr("a race: block 0 has written it at llvm.store")));
  // What one block writes another must not read, unless atomics may have ordered them.
  auto reads = [](const std::string &before) {
    return words("%b = nvvm.read.ptx.sreg.ctaid.x : i32\n%p = llvm.icmp \"eq\" %b, %zero : i32\n"
                 "llvm.cond_br %p, ^write, ^read\n^write:\nllvm.store %x, %to : i32, !llvm.ptr<1>\n"
                 "llvm.return\n^read:\n" +
                 before + "\n%r = llvm.load %to : !llvm.ptr<1> -> i32");
  };
  std::string atomic = "%old = llvm.atomicrmw add %in, %zero monotonic : !llvm.ptr<1>, i32";
  EXPECT_THAT(errorOf(reads(""), 64, 2), HasSubstr("a race: block 0 has written it"));
  EXPECT_EQ(errorOf(reads(atomic), 64, 2), "");
  auto program = Program::parse(plain);
  ASSERT_TRUE(bool(program));
  uint32_t in = 3, out = 0;
  void *from = &in, *to = &out, *arguments[] = {&from, &to};
  Launch launch{"k", 2, 1, 0, arguments, /*races=*/false};
  EXPECT_EQ(message((*program)->run(launch, {{(char *)from, 4}, {(char *)to, 4}}, Schedule())), "");
  EXPECT_EQ(out, 6u);
}

static std::string forSome(const std::string &body) {
  return words(R"(
    %few = llvm.mlir.constant(5 : i32) : i32
    %p = llvm.icmp "ult" %tid, %few : i32
    %clamp = llvm.mlir.constant(31 : i32) : i32
    llvm.cond_br %p, ^some, ^rest
)" + body + R"(
  ^join:
    %r = llvm.add %x, %x : i32)");
}

TEST(Checks, Divergence) {
  std::string leaves = words(R"(
    %few = llvm.mlir.constant(5 : i32) : i32
    %p = llvm.icmp "ult" %tid, %few : i32
    llvm.cond_br %p, ^some, ^rest
  ^rest:
    llvm.return
  ^some:
    %v = nvvm.vote.sync ballot %all, %p -> i32
    %r = llvm.add %v, %x : i32)");
  EXPECT_THAT(errorOf(leaves, 32),
              AllOf(HasSubstr("nvvm.vote.sync (text:"), HasSubstr("waits for thread "),
                    HasSubstr("which has exited")));
  std::string apart =
      forSome("^some:\n%v = nvvm.vote.sync ballot %all, %p -> i32\nllvm.br ^join\n^rest:\n%w = "
              "nvvm.shfl.sync bfly %all, %x, %one, %clamp : i32 -> i32\nllvm.br ^join");
  EXPECT_THAT(errorOf(apart, 32), testing::AnyOf(HasSubstr("which is at nvvm.vote.sync"),
                                                 HasSubstr("which is at nvvm.shfl.sync")));
  std::string masks = forSome("^some:\n%m = llvm.mlir.constant(31 : i32) : i32\nllvm.br ^vote(%m : "
                              "i32)\n^rest:\nllvm.br ^vote(%all : i32)\n^vote(%mask : i32):\n%v = "
                              "nvvm.vote.sync ballot %mask, %p -> i32\nllvm.br ^join");
  EXPECT_THAT(errorOf(masks, 32), HasSubstr("waits for thread 0 of its warp, which has exited"));
  std::string foreign =
      forSome("^some:\n%m = llvm.mlir.constant(-32 : i32) : i32\n%v = nvvm.vote.sync ballot %m, %p "
              "-> i32\nllvm.br ^join\n^rest:\nllvm.br ^join");
  EXPECT_THAT(errorOf(foreign, 32), HasSubstr("a mask without the lane that executes it"));
}

TEST(Checks, BarriersThatNotAllReach) {
  std::string lanes = forSome("^some:\nnvvm.barrier0\nllvm.br ^join\n^rest:\nllvm.br ^join");
  EXPECT_THAT(errorOf(lanes),
              AllOf(HasSubstr("block 0: a deadlock: 5 threads (0 to 4) at nvvm.barrier0 (text:"),
                    HasSubstr("59 threads (5 to 63) exited")));
  std::string apart =
      forSome("^some:\nnvvm.barrier0\nllvm.br ^join\n^rest:\nnvvm.barrier\nllvm.br ^join");
  EXPECT_THAT(errorOf(apart),
              HasSubstr("is not the barrier at which the other lanes of its warp wait"));
  std::string counts =
      words("%w = nvvm.read.ptx.sreg.warpid : i32\n%n = llvm.add %w, %one : i32\n%c = "
            "llvm.mlir.constant(32 : i32) : i32\n%t = llvm.mul %n, %c : i32\n"
            "nvvm.barrier id = %one number_of_threads = %t\n%r = llvm.add %x, %x : i32");
  EXPECT_THAT(errorOf(counts), HasSubstr("a deadlock"));
  std::string odd = words("%c = llvm.mlir.constant(33 : i32) : i32\nnvvm.barrier id = %one "
                          "number_of_threads = %c\n%r = llvm.add %x, %x : i32");
  EXPECT_THAT(errorOf(odd), HasSubstr("not a multiple of 32"));
  std::string many = words(
      "%c = llvm.mlir.constant(16 : i32) : i32\nnvvm.barrier id = %c\n%r = llvm.add %x, %x : i32");
  EXPECT_THAT(errorOf(many), HasSubstr("names barrier 16, there are 16"));
}

TEST(Checks, BarriersThatOnlyPartOfAWarpReaches) {
  // 32 threads arrive, but of two warps.
  std::string halves = words(R"(
    %c = llvm.mlir.constant(32 : i32) : i32
    %sixteen = llvm.mlir.constant(16 : i32) : i32
    %lane = nvvm.read.ptx.sreg.laneid : i32
    %p = llvm.icmp "ult" %lane, %sixteen : i32
    llvm.cond_br %p, ^some, ^join
  ^some:
    nvvm.barrier id = %one number_of_threads = %c
    llvm.br ^join
  ^join:
    %r = llvm.add %x, %x : i32)");
  EXPECT_THAT(errorOf(halves), HasSubstr("lacks lanes of a warp"));
  std::string twice = words(R"(
    %c = llvm.mlir.constant(64 : i32) : i32
    %w = nvvm.read.ptx.sreg.warpid : i32
    %p = llvm.icmp "eq" %w, %zero : i32
    llvm.cond_br %p, ^some(%zero : i32), ^join
  ^some(%i: i32):
    nvvm.barrier.arrive id = %one number_of_threads = %c
    %next = llvm.add %i, %one : i32
    %again = llvm.icmp "ule" %next, %one : i32
    llvm.cond_br %again, ^some(%next : i32), ^join
  ^join:
    %r = llvm.add %x, %x : i32)");
  EXPECT_THAT(errorOf(twice), HasSubstr("comes a second time"));
  std::string counts = words(R"(
    %c = llvm.mlir.constant(32 : i32) : i32
    %two = llvm.mlir.constant(2 : i32) : i32
    %w = nvvm.read.ptx.sreg.warpid : i32
    %n = llvm.add %w, %two : i32
    %t = llvm.mul %n, %c : i32
    nvvm.barrier id = %one number_of_threads = %t
    %r = llvm.add %x, %x : i32)");
  EXPECT_THAT(errorOf(counts), HasSubstr("but others wait there for"));
}

TEST(Checks, WaitingThroughMemoryForEver) {
  std::string text = words(R"(
    llvm.br ^wait
  ^wait:
    %now = llvm.load volatile %from : !llvm.ptr<1> -> i32
    %raised = llvm.icmp "eq" %now, %all : i32
    llvm.cond_br %raised, ^done, ^wait
  ^done:
    %r = llvm.add %x, %x : i32)");
  EXPECT_THAT(errorOf(text, 1), AllOf(HasSubstr("llvm.load"), HasSubstr("goes on and on")));
}

TEST(Checks, MemoryOfAnotherThread) {
  std::string text =
      words(places(32) + R"(
    %own = llvm.alloca %one x i32 : (i32) -> !llvm.ptr
    llvm.store %x, %own : i32, !llvm.ptr
    %word = llvm.ptrtoint %own : !llvm.ptr to i64
    %t = llvm.mlir.addressof @t : !llvm.ptr<3>
    %slot = llvm.getelementptr %t[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
    llvm.store %word, %slot : i64, !llvm.ptr<3>
    nvvm.barrier0
    %far = llvm.getelementptr %t[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i64
    %theirWord = llvm.load %far : !llvm.ptr<3> -> i64
    %foreign = llvm.inttoptr %theirWord : i64 to !llvm.ptr
    %r = llvm.load %foreign : !llvm.ptr -> i32)",
            std::string(array) +
                "llvm.mlir.global internal @t() {addr_space = 3 : i32} : !llvm.array<64 x i64>\n");
  EXPECT_THAT(errorOf(text), AllOf(HasSubstr("reads 4 bytes of"), HasSubstr("out of bounds")));
}

TEST(Checks, MemoryThatIsBeingCopiedTo) {
  auto copies = [](const std::string &between, const std::string &source = "%from") {
    return words(places(0) + "nvvm.cp.async.shared.global %mine, " + source +
                     ", 4, cache = ca : !llvm.ptr<3>, !llvm.ptr<1>\n" + between +
                     "\nllvm.store %x, %mine : i32, !llvm.ptr<3>\n%r = llvm.add %x, %x : i32",
                 array);
  };
  std::string waits = "nvvm.cp.async.commit.group\nnvvm.cp.async.wait.group 0";
  EXPECT_EQ(errorOf(copies(waits)), "");
  EXPECT_THAT(errorOf(copies("")),
              AllOf(HasSubstr("llvm.store"), HasSubstr("has not been waited for")));
  // The source is in bounds and aligned.
  std::string odd = "%odd = llvm.getelementptr %from[2] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8\n";
  std::string text = copies(waits, "%odd");
  text.insert(text.find("nvvm.cp.async"), odd);
  EXPECT_THAT(errorOf(text), HasSubstr("not aligned to 4 bytes"));
  std::string beyond = copies(waits, "%far");
  beyond.insert(beyond.find("nvvm.cp.async"),
                "%far = llvm.getelementptr %from[1] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i32\n");
  EXPECT_THAT(errorOf(beyond), AllOf(HasSubstr("nvvm.cp.async.shared.global"),
                                     HasSubstr("of global memory"), HasSubstr("out of bounds")));
}

TEST(Checks, WhatIsReachedButNotMeantTo) {
  EXPECT_THAT(errorOf(forSome(
                  "^some:\n\"llvm.intr.trap\"() : () -> ()\nllvm.br ^join\n^rest:\nllvm.br ^join")),
              HasSubstr("llvm.intr.trap"));
  EXPECT_THAT(errorOf(forSome("^some:\nllvm.unreachable\n^rest:\nllvm.br ^join")),
              HasSubstr("llvm.unreachable"));
}

TEST(Checks, WhatIsNotKnown) {
  auto known = [](const std::string &line, const std::string &globals = "") {
    return refusal(words(line + "\n%r = llvm.add %x, %x : i32", globals));
  };
  EXPECT_EQ(known(""), "");
  EXPECT_THAT(known("nvvm.wgmma.fence.aligned"),
              HasSubstr("'nvvm.wgmma.fence.aligned' is not known to the emulator"));
  EXPECT_THAT(known("%c = nvvm.read.ptx.sreg.clock : i32"),
              HasSubstr("'nvvm.read.ptx.sreg.clock' is not known"));
  EXPECT_THAT(known("%y = llvm.inline_asm \"popc.b32 $0, $1;\", \"=r,r\" %x : (i32) -> i32"),
              HasSubstr("the assembly 'popc.b32 $0, $1;' is not known"));
  EXPECT_THAT(known("%y = llvm.call @f(%x) : (i32) -> i32", "llvm.func @f(i32) -> i32"),
              HasSubstr("the function 'f' is not known"));
  EXPECT_THAT(
      known("%y = llvm.call_intrinsic \"llvm.nvvm.sad.i\"(%x, %x, %x) : (i32, i32, i32) -> i32"),
      HasSubstr("the intrinsic 'llvm.nvvm.sad.i' is not known"));
  EXPECT_THAT(known("%y = builtin.unrealized_conversion_cast %x : i32 to index"),
              HasSubstr("'builtin.unrealized_conversion_cast' is not known"));
  EXPECT_THAT(known("%y = arith.addi %x, %x : i32"), HasSubstr("'arith.addi' is not known"));
  EXPECT_THAT(known("%y = llvm.mlir.addressof @e : !llvm.ptr<1>",
                    "llvm.mlir.global external @e() {addr_space = 1 : i32} : i32"),
              HasSubstr("'e' is a variable of another module"));
  EXPECT_THAT(refusal("what"), HasSubstr("'text' cannot be read"));
  auto missing = Program::load("/nowhere.mlir");
  EXPECT_THAT(message(missing.takeError()), HasSubstr("'/nowhere.mlir' cannot be read"));
}

TEST(Checks, Launches) {
  auto program = Program::parse(words("%r = llvm.add %x, %x : i32"));
  ASSERT_TRUE(bool(program));
  auto launched = [&](const std::string &kernel, uint32_t threads, uint32_t bytes) {
    return message((*program)->run({kernel, 1, threads, bytes, nullptr}, {}, Schedule()));
  };
  EXPECT_EQ(launched("other", 1, 0), "kernel 'other' is not in the program");
  EXPECT_THAT(launched("k", 0, 0), HasSubstr("with 0 threads, 1 to 1024"));
  EXPECT_THAT(launched("k", 1025, 0), HasSubstr("with 1025 threads"));
  EXPECT_THAT(launched("k", 1, 1 << 20), HasSubstr("bytes of shared memory"));
  std::string text = words("%r = llvm.add %x, %x : i32");
  std::string bounded =
      text.replace(text.find("nvvm.kernel"), 11, "nvvm.kernel, nvvm.maxntid = array<i32: 32>");
  EXPECT_THAT(errorOf(bounded, 64), HasSubstr("with 64 threads, 1 to 32"));
  std::string exact = words("%r = llvm.add %x, %x : i32");
  exact.replace(exact.find("nvvm.kernel"), 11,
                "nvvm.kernel, gpu.known_block_size = array<i32: 32, 1, 1>");
  EXPECT_THAT(errorOf(exact, 16), HasSubstr("with 16 threads, it is made for 32"));
  EXPECT_EQ(errorOf(exact, 32), "");
}

TEST(Checks, SchedulesAreManyAndNamed) {
  EXPECT_GE(schedules().size(), 6u);
  std::vector<std::string> names;
  for (const Schedule &schedule : schedules()) {
    EXPECT_THAT(names, testing::Not(testing::Contains(schedule.name())));
    names.push_back(schedule.name());
  }
  // Who comes first depends on them.
  auto program =
      Program::parse(words("%r = llvm.atomicrmw add %in, %one monotonic : !llvm.ptr<1>, i32"));
  ASSERT_TRUE(bool(program));
  std::vector<std::vector<uint32_t>> orders;
  for (const Schedule &schedule : schedules()) {
    std::vector<uint32_t> in(64), out;
    EXPECT_EQ(runWords(**program, in, out, schedule), "");
    if (!llvm::is_contained(orders, out))
      orders.push_back(out);
  }
  EXPECT_GE(orders.size(), 6u);
}
