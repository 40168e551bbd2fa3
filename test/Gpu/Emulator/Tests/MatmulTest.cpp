//===- MatmulTest.cpp - A pipelined product of matrices and what can go wrong in it -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"
#include "Kernels.h"

#include <cmath>

using namespace graft::emulator;
using namespace graft::emulator::test;

// C[M x 16] = A[M x K] times the transposed B[16 x K]: f16, two warps with 16 rows each, two stages
// of 16 columns.
static const char *const matmul = R"(
gpu.module @m {
  llvm.mlir.global internal @a() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<1024 x f16>
  llvm.mlir.global internal @b() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<512 x f16>
  llvm.func @load(%stage: i32, %tile: i32, %ga: !llvm.ptr<1>, %gb: !llvm.ptr<1>, %m: i32, %k: i32) {
    %c1 = llvm.mlir.constant(1 : i32) : i32
    %c8 = llvm.mlir.constant(8 : i32) : i32
    %c16 = llvm.mlir.constant(16 : i32) : i32
    %c32 = llvm.mlir.constant(32 : i32) : i32
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %sizeA = llvm.mlir.constant(512 : i32) : i32
    %sizeB = llvm.mlir.constant(256 : i32) : i32
    %a = llvm.mlir.addressof @a : !llvm.ptr<3>
    %b = llvm.mlir.addressof @b : !llvm.ptr<3>
    %tid = nvvm.read.ptx.sreg.tid.x : i32
    %block = nvvm.read.ptx.sreg.ctaid.x : i32
    // Two chunks of eight elements a row.
    %row = llvm.lshr %tid, %c1 : i32
    %odd = llvm.and %tid, %c1 : i32
    %chunk = llvm.mul %odd, %c8 : i32
    %inTile = llvm.mul %row, %c16 : i32
    %place = llvm.add %inTile, %chunk : i32
    %first = llvm.mul %tile, %c16 : i32
    %column = llvm.add %first, %chunk : i32
    %firstRow = llvm.mul %block, %c32 : i32
    %rowA = llvm.add %firstRow, %row : i32
    %inside = llvm.icmp "ult" %rowA, %m : i32
    %bytes = llvm.select %inside, %c16, %c0 : i1, i32
    %offA = llvm.mul %rowA, %k : i32
    %indexA = llvm.add %offA, %column : i32
    %fromA = llvm.getelementptr %ga[%indexA] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f16
    %stageA = llvm.mul %stage, %sizeA : i32
    %atA = llvm.add %stageA, %place : i32
    %toA = llvm.getelementptr %a[%atA] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f16
    nvvm.cp.async.shared.global %toA, %fromA, 16, cache = cg, %bytes : !llvm.ptr<3>, !llvm.ptr<1>, i32
    %half = llvm.icmp "ult" %tid, %c32 : i32
    llvm.cond_br %half, ^second, ^done
  ^second:
    %offB = llvm.mul %row, %k : i32
    %indexB = llvm.add %offB, %column : i32
    %fromB = llvm.getelementptr %gb[%indexB] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f16
    %stageB = llvm.mul %stage, %sizeB : i32
    %atB = llvm.add %stageB, %place : i32
    %toB = llvm.getelementptr %b[%atB] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f16
    nvvm.cp.async.shared.global %toB, %fromB, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
    llvm.br ^done
  ^done:
    llvm.return
  }
  llvm.func @matmul(%ga: !llvm.ptr<1>, %gb: !llvm.ptr<1>, %gc: !llvm.ptr<1>, %m: i32, %k: i32) attributes {nvvm.kernel} {
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %c1 = llvm.mlir.constant(1 : i32) : i32
    %c2 = llvm.mlir.constant(2 : i32) : i32
    %c3 = llvm.mlir.constant(3 : i32) : i32
    %c4 = llvm.mlir.constant(4 : i32) : i32
    %c5 = llvm.mlir.constant(5 : i32) : i32
    %c7 = llvm.mlir.constant(7 : i32) : i32
    %c8 = llvm.mlir.constant(8 : i32) : i32
    %c15 = llvm.mlir.constant(15 : i32) : i32
    %c16 = llvm.mlir.constant(16 : i32) : i32
    %c31 = llvm.mlir.constant(31 : i32) : i32
    %c32 = llvm.mlir.constant(32 : i32) : i32
    %sizeA = llvm.mlir.constant(512 : i32) : i32
    %sizeB = llvm.mlir.constant(256 : i32) : i32
    %z = llvm.mlir.constant(0.0 : f32) : f32
    %a = llvm.mlir.addressof @a : !llvm.ptr<3>
    %b = llvm.mlir.addressof @b : !llvm.ptr<3>
    %tid = nvvm.read.ptx.sreg.tid.x : i32
    %block = nvvm.read.ptx.sreg.ctaid.x : i32
    %lane = llvm.and %tid, %c31 : i32
    %warp = llvm.lshr %tid, %c5 : i32
    %tiles = llvm.lshr %k, %c4 : i32
    // A's matrices: rows 0-7, rows 8-15, and both again for k from 8. B's: columns 0-7 for both k, then columns 8-15.
    %l15 = llvm.and %lane, %c15 : i32
    %l4 = llvm.lshr %lane, %c4 : i32
    %w16 = llvm.mul %warp, %c16 : i32
    %rowA = llvm.add %w16, %l15 : i32
    %rowA16 = llvm.mul %rowA, %c16 : i32
    %kA = llvm.mul %l4, %c8 : i32
    %placeA = llvm.add %rowA16, %kA : i32
    %l7 = llvm.and %lane, %c7 : i32
    %l3 = llvm.lshr %lane, %c3 : i32
    %l31 = llvm.and %l3, %c1 : i32
    %kB = llvm.mul %l31, %c8 : i32
    %upper = llvm.mul %l4, %c8 : i32
    %rowB = llvm.add %upper, %l7 : i32
    %rowB16 = llvm.mul %rowB, %c16 : i32
    %placeB = llvm.add %rowB16, %kB : i32

    llvm.call @load(%c0, %c0, %ga, %gb, %m, %k) : (i32, i32, !llvm.ptr<1>, !llvm.ptr<1>, i32, i32) -> ()
    nvvm.cp.async.commit.group
    llvm.call @load(%c1, %c1, %ga, %gb, %m, %k) : (i32, i32, !llvm.ptr<1>, !llvm.ptr<1>, i32, i32) -> ()
    nvvm.cp.async.commit.group
    llvm.br ^loop(%c0, %z, %z, %z, %z, %z, %z, %z, %z : i32, f32, f32, f32, f32, f32, f32, f32, f32)
  ^loop(%t: i32, %p0: f32, %p1: f32, %p2: f32, %p3: f32, %q0: f32, %q1: f32, %q2: f32, %q3: f32):
    nvvm.cp.async.wait.group 1
    nvvm.barrier0 // the first
    %stage = llvm.and %t, %c1 : i32
    %stageA = llvm.mul %stage, %sizeA : i32
    %atA = llvm.add %stageA, %placeA : i32
    %pa = llvm.getelementptr %a[%atA] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f16
    %fa = nvvm.ldmatrix %pa {num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
    %stageB = llvm.mul %stage, %sizeB : i32
    %atB = llvm.add %stageB, %placeB : i32
    %pb = llvm.getelementptr %b[%atB] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, f16
    %fb = nvvm.ldmatrix %pb {num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
    %ra0 = llvm.extractvalue %fa[0] : !llvm.struct<(i32, i32, i32, i32)>
    %ra1 = llvm.extractvalue %fa[1] : !llvm.struct<(i32, i32, i32, i32)>
    %ra2 = llvm.extractvalue %fa[2] : !llvm.struct<(i32, i32, i32, i32)>
    %ra3 = llvm.extractvalue %fa[3] : !llvm.struct<(i32, i32, i32, i32)>
    %rb0 = llvm.extractvalue %fb[0] : !llvm.struct<(i32, i32, i32, i32)>
    %rb1 = llvm.extractvalue %fb[1] : !llvm.struct<(i32, i32, i32, i32)>
    %rb2 = llvm.extractvalue %fb[2] : !llvm.struct<(i32, i32, i32, i32)>
    %rb3 = llvm.extractvalue %fb[3] : !llvm.struct<(i32, i32, i32, i32)>
    %a0 = llvm.bitcast %ra0 : i32 to vector<2xf16>
    %a1 = llvm.bitcast %ra1 : i32 to vector<2xf16>
    %a2 = llvm.bitcast %ra2 : i32 to vector<2xf16>
    %a3 = llvm.bitcast %ra3 : i32 to vector<2xf16>
    %b0 = llvm.bitcast %rb0 : i32 to vector<2xf16>
    %b1 = llvm.bitcast %rb1 : i32 to vector<2xf16>
    %b2 = llvm.bitcast %rb2 : i32 to vector<2xf16>
    %b3 = llvm.bitcast %rb3 : i32 to vector<2xf16>
    %d = nvvm.mma.sync A[%a0, %a1, %a2, %a3] B[%b0, %b1] C[%p0, %p1, %p2, %p3] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, shape = #nvvm.shape<m = 16, n = 8, k = 16>} : (vector<2xf16>, vector<2xf16>, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    %e = nvvm.mma.sync A[%a0, %a1, %a2, %a3] B[%b2, %b3] C[%q0, %q1, %q2, %q3] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, shape = #nvvm.shape<m = 16, n = 8, k = 16>} : (vector<2xf16>, vector<2xf16>, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    %d0 = llvm.extractvalue %d[0] : !llvm.struct<(f32, f32, f32, f32)>
    %d1 = llvm.extractvalue %d[1] : !llvm.struct<(f32, f32, f32, f32)>
    %d2 = llvm.extractvalue %d[2] : !llvm.struct<(f32, f32, f32, f32)>
    %d3 = llvm.extractvalue %d[3] : !llvm.struct<(f32, f32, f32, f32)>
    %e0 = llvm.extractvalue %e[0] : !llvm.struct<(f32, f32, f32, f32)>
    %e1 = llvm.extractvalue %e[1] : !llvm.struct<(f32, f32, f32, f32)>
    %e2 = llvm.extractvalue %e[2] : !llvm.struct<(f32, f32, f32, f32)>
    %e3 = llvm.extractvalue %e[3] : !llvm.struct<(f32, f32, f32, f32)>
    nvvm.barrier0 // the second
    %ahead = llvm.add %t, %c2 : i32
    %more = llvm.icmp "ult" %ahead, %tiles : i32
    llvm.cond_br %more, ^issue, ^next
  ^issue:
    llvm.call @load(%stage, %ahead, %ga, %gb, %m, %k) : (i32, i32, !llvm.ptr<1>, !llvm.ptr<1>, i32, i32) -> ()
    llvm.br ^next
  ^next:
    nvvm.cp.async.commit.group
    %t1 = llvm.add %t, %c1 : i32
    %again = llvm.icmp "ult" %t1, %tiles : i32
    llvm.cond_br %again, ^loop(%t1, %d0, %d1, %d2, %d3, %e0, %e1, %e2, %e3 : i32, f32, f32, f32, f32, f32, f32, f32, f32), ^store
  ^store:
    %group = llvm.lshr %lane, %c2 : i32
    %in4 = llvm.and %lane, %c3 : i32
    %column = llvm.mul %in4, %c2 : i32
    %b32 = llvm.mul %block, %c32 : i32
    %blockRow = llvm.add %b32, %w16 : i32
    %row = llvm.add %blockRow, %group : i32
    %row8 = llvm.add %row, %c8 : i32
    %f0 = llvm.mul %row, %c16 : i32
    %i0 = llvm.add %f0, %column : i32
    %u = llvm.mlir.undef : vector<2xf32>
    %v00 = llvm.insertelement %d0, %u[%c0 : i32] : vector<2xf32>
    %v0 = llvm.insertelement %d1, %v00[%c1 : i32] : vector<2xf32>
    %v10 = llvm.insertelement %e0, %u[%c0 : i32] : vector<2xf32>
    %v1 = llvm.insertelement %e1, %v10[%c1 : i32] : vector<2xf32>
    %v20 = llvm.insertelement %d2, %u[%c0 : i32] : vector<2xf32>
    %v2 = llvm.insertelement %d3, %v20[%c1 : i32] : vector<2xf32>
    %v30 = llvm.insertelement %e2, %u[%c0 : i32] : vector<2xf32>
    %v3 = llvm.insertelement %e3, %v30[%c1 : i32] : vector<2xf32>
    %s0 = llvm.getelementptr %gc[%i0] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32
    %s1 = llvm.getelementptr %s0[8] : (!llvm.ptr<1>) -> !llvm.ptr<1>, f32
    %s2 = llvm.getelementptr %s0[128] : (!llvm.ptr<1>) -> !llvm.ptr<1>, f32
    %s3 = llvm.getelementptr %s0[136] : (!llvm.ptr<1>) -> !llvm.ptr<1>, f32
    %low = llvm.icmp "ult" %row, %m : i32
    llvm.cond_br %low, ^storeLow, ^high
  ^storeLow:
    llvm.store %v0, %s0 : vector<2xf32>, !llvm.ptr<1>
    llvm.store %v1, %s1 : vector<2xf32>, !llvm.ptr<1>
    llvm.br ^high
  ^high:
    %isHigh = llvm.icmp "ult" %row8, %m : i32
    llvm.cond_br %isHigh, ^storeHigh, ^end
  ^storeHigh:
    llvm.store %v2, %s2 : vector<2xf32>, !llvm.ptr<1>
    llvm.store %v3, %s3 : vector<2xf32>, !llvm.ptr<1>
    llvm.br ^end
  ^end:
    llvm.return
  }
}
)";

namespace {
/// The words of an error of any schedule, or of a wrong result; empty where all is well.
std::string outcome(const std::string &text) {
  auto program = Program::parse(text);
  if (!program)
    return "unusable: " + message(program.takeError());
  uint32_t m = 43, k = 80, n = 16;
  std::vector<uint16_t> a(m * k), b(n * k);
  uint32_t seed = 7;
  auto fill = [&](std::vector<uint16_t> &those) {
    for (uint16_t &one : those)
      one = encodeF16(float((seed = seed * 1664525 + 1013904223) >> 24) / 64 - 2);
  };
  fill(a);
  fill(b);
  std::vector<float> c(m * n), wanted(m * n);
  for (uint32_t i = 0; i < m; ++i)
    for (uint32_t j = 0; j < n; ++j)
      for (uint32_t l = 0; l < k; ++l)
        wanted[i * n + j] +=
            decode(Element::F16, a[i * k + l]) * decode(Element::F16, b[j * k + l]);
  const void *pa = a.data(), *pb = b.data(), *pc = c.data();
  void *arguments[] = {&pa, &pb, &pc, &m, &k};
  Allocation memory[] = {{(const char *)pa, a.size() * 2},
                         {(const char *)pb, b.size() * 2},
                         {(const char *)pc, c.size() * 4}};
  for (const Schedule &schedule : schedules()) {
    std::fill(c.begin(), c.end(), NAN);
    Launch launch{"matmul", (m + 31) / 32, 64, 0, arguments};
    std::string said = message((*program)->run(launch, memory, schedule));
    if (!said.empty())
      return said;
    for (uint32_t i = 0; i < m * n; ++i)
      if (!(std::fabs(c[i] - wanted[i]) < 1e-3))
        return "wrong with " + schedule.name() + ": " + std::to_string(c[i]) + " at " +
               std::to_string(i) + ", not " + std::to_string(wanted[i]);
  }
  return "";
}

std::string mutant(const std::string &from, const std::string &to) {
  std::string text = matmul;
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  EXPECT_EQ(text.find(from, at + 1), std::string::npos) << from;
  return text.replace(at, from.size(), to);
}
} // namespace

TEST(Matmul, EqualsALoop) { EXPECT_EQ(outcome(matmul), ""); }

TEST(Matmul, MutantsAreCaught) {
  using testing::HasSubstr;
  EXPECT_THAT(outcome(mutant("nvvm.barrier0 // the first", "")), HasSubstr("a race: reads what"));
  EXPECT_THAT(outcome(mutant("nvvm.barrier0 // the second", "")), HasSubstr("a race: writes what"));
  EXPECT_THAT(outcome(mutant("wait.group 1", "wait.group 2")),
              HasSubstr("has not been waited for"));
  EXPECT_EQ(outcome(mutant("wait.group 1", "wait.group 0")), "");
  EXPECT_THAT(outcome(mutant("%bytes = llvm.select %inside, %c16, %c0",
                             "%bytes = llvm.select %inside, %c16, %c16")),
              HasSubstr("out of bounds"));
  EXPECT_THAT(
      outcome(mutant("%isHigh = llvm.icmp \"ult\" %row8", "%isHigh = llvm.icmp \"ule\" %row8")),
      HasSubstr("out of bounds"));
  EXPECT_THAT(
      outcome(mutant("%more = llvm.icmp \"ult\" %ahead", "%more = llvm.icmp \"ule\" %ahead")),
      HasSubstr("out of bounds"));
  EXPECT_THAT(outcome(mutant("%ahead = llvm.add %t, %c2", "%ahead = llvm.add %t, %c1")),
              testing::Not(testing::IsEmpty()));
  EXPECT_THAT(outcome(mutant("%upper = llvm.mul %l4, %c8", "%upper = llvm.mul %l4, %c7")),
              HasSubstr("wrong with"));
  EXPECT_THAT(outcome(mutant("%placeA = llvm.add %rowA16, %kA", "%placeA = llvm.add %rowA16, %l4")),
              HasSubstr("not aligned to 16"));
  EXPECT_THAT(outcome(mutant("%half = llvm.icmp \"ult\" %tid, %c32",
                             "%half = llvm.icmp \"ult\" %tid, %c16")),
              HasSubstr("nobody has written it"));
  EXPECT_THAT(outcome(mutant("%half = llvm.icmp \"ult\" %tid, %c32",
                             "%half = llvm.icmp \"ule\" %tid, %c32")),
              HasSubstr("has not been waited for"));
}
