//===- MatricesTest.cpp - Layouts of matrices, and copies -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"
#include "Kernels.h"

#include <cmath>
#include <cstring>

using namespace graft::emulator;
using namespace graft::emulator::test;

namespace {
struct Place {
  uint32_t row, column;
};

/// Element i of a lane's fragment as the tables of PTX's "Matrix Fragments for mma" give it, one
/// table for each shape.
Place placeA(Element type, uint32_t k, uint32_t lane, uint32_t i) {
  uint32_t group = lane >> 2, inGroup = lane % 4;
  if (type == Element::TF32) {
    if (k == 4) // a0: row = group, a1: row = group + 8; column = thread in group
      return {i == 0 ? group : group + 8, inGroup};
    // row: group for a0 and a2, group + 8 for a1 and a3; column: thread for a0 and a1, thread + 4
    // for a2 and a3
    return {i == 0 || i == 2 ? group : group + 8, i < 2 ? inGroup : inGroup + 4};
  }
  if (k == 8) // row: group for a0 and a1, else group + 8; column = 2 * thread + (i & 1)
    return {i < 2 ? group : group + 8, inGroup * 2 + (i & 1)};
  // row: group for 0 <= i < 2 and 4 <= i < 6; column: 2 * thread + (i & 1) for i < 4, else + 8
  return {i < 2 || (i >= 4 && i < 6) ? group : group + 8, inGroup * 2 + (i & 1) + (i < 4 ? 0 : 8)};
}

Place placeB(Element type, uint32_t k, uint32_t lane, uint32_t i) {
  uint32_t group = lane >> 2, inGroup = lane % 4;
  if (type == Element::TF32)
    return {i == 0 ? inGroup : inGroup + 4, group};
  if (k == 8)
    return {inGroup * 2 + i, group};
  return {inGroup * 2 + (i & 1) + (i < 2 ? 0 : 8), group};
}

Place placeC(uint32_t lane, uint32_t i) {
  return {i < 2 ? lane >> 2 : (lane >> 2) + 8, lane % 4 * 2 + (i & 1)};
}

/// A kernel whose thread takes its registers from %in, one after another, and puts those of D into
/// %out.
std::string mmaKernel(Element type, uint32_t k, bool half) {
  MmaShape shape{k, type, half};
  uint32_t counts[] = {shape.registersA(), shape.registersB(), shape.registersC()};
  uint32_t all = counts[0] + counts[1] + counts[2];
  std::string body =
      "%tid = nvvm.read.ptx.sreg.tid.x : i32\n%all = llvm.mlir.constant(" + std::to_string(all) +
      " : i32) : i32\n%first = llvm.mul %tid, %all : i32\n" + "%four = llvm.mlir.constant(" +
      std::to_string(counts[2]) + " : i32) : i32\n%firstOut = llvm.mul %tid, %four : i32\n" +
      "%base = llvm.getelementptr %in[%first] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n" +
      "%to = llvm.getelementptr %out[%firstOut] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32\n";
  std::string operand = type == Element::F16 ? "vector<2xf16>" : "i32";
  std::string sum = half ? "vector<2xf16>" : "f32";
  std::string lists[3];
  for (uint32_t i = 0, which = 0, left = counts[0]; i < all; ++i) {
    while (left == 0)
      left = counts[++which];
    --left;
    std::string n = std::to_string(i);
    body += "%p" + n + " = llvm.getelementptr %base[" + n +
            "] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i32\n%v" + n + " = llvm.load %p" + n +
            " : !llvm.ptr<1> -> " + (which == 2 ? sum : operand) + "\n";
    lists[which] += (lists[which].empty() ? "%v" : ", %v") + n;
  }
  std::string result;
  for (uint32_t i = 0; i < counts[2]; ++i)
    result += (i ? ", " : "!llvm.struct<(") + sum;
  result += ")>";
  std::string name = type == Element::BF16 ? "bf16" : "tf32";
  std::string types = type == Element::F16
                          ? ""
                          : ", multiplicandAPtxType = #nvvm.mma_type<" + name +
                                ">, multiplicandBPtxType = #nvvm.mma_type<" + name + ">";
  body += "%d = nvvm.mma.sync A[" + lists[0] + "] B[" + lists[1] + "] C[" + lists[2] +
          "] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, shape = "
          "#nvvm.shape<m = 16, n = "
          "8, k = " +
          std::to_string(k) + ">" + types + "} : (" + operand + ", " + operand + ", " + sum +
          ") -> " + result + "\n";
  for (uint32_t i = 0; i < counts[2]; ++i) {
    std::string n = std::to_string(i);
    body += "%d" + n + " = llvm.extractvalue %d[" + n + "] : " + result + "\n%q" + n +
            " = llvm.getelementptr %to[" + n +
            "] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i32\nllvm.store %d" + n + ", %q" + n + " : " +
            sum + ", !llvm.ptr<1>\n";
  }
  return module("%in: !llvm.ptr<1>, %out: !llvm.ptr<1>", body);
}

uint32_t encode(Element type, float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if (type == Element::TF32)
    return bits | 0x1abc; // what the hardware does not look at
  return type == Element::F16 ? encodeF16(value) : encodeBF16(value);
}

void checkMma(Element type, uint32_t k, bool half) {
  MmaShape shape{k, type, half};
  float a[16][16], b[16][8], c[16][8];
  uint32_t seed = k + 7 * uint32_t(type);
  auto next = [&] { return float(int((seed = seed * 1664525 + 1013904223) >> 28) - 8) / 4; };
  for (auto &row : a)
    for (float &one : row)
      one = next();
  for (auto &row : b)
    for (float &one : row)
      one = next();
  for (auto &row : c)
    for (float &one : row)
      one = next();
  uint32_t packed = type == Element::TF32 ? 1 : 2;
  uint32_t na = shape.registersA(), nb = shape.registersB(), nc = shape.registersC(),
           all = na + nb + nc;
  ASSERT_EQ(na * packed * 32, 16 * k);
  ASSERT_EQ(nb * packed * 32, 8 * k);
  std::vector<uint32_t> in(32 * all), out(32 * nc);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint32_t *registers = &in[lane * all];
    for (uint32_t i = 0; i < na * packed; ++i) {
      Place at = placeA(type, k, lane, i);
      registers[i / packed] |= encode(type, a[at.row][at.column]) << 16 * (i % packed);
    }
    for (uint32_t i = 0; i < nb * packed; ++i) {
      Place at = placeB(type, k, lane, i);
      registers[na + i / packed] |= encode(type, b[at.row][at.column]) << 16 * (i % packed);
    }
    for (uint32_t i = 0; i < 4; ++i) {
      Place at = placeC(lane, i);
      if (half)
        registers[na + nb + i / 2] |= uint32_t(encodeF16(c[at.row][at.column])) << 16 * (i % 2);
      else
        memcpy(&registers[na + nb + i], &c[at.row][at.column], 4);
    }
  }
  auto program = Program::parse(mmaKernel(type, k, half));
  ASSERT_TRUE(bool(program)) << message(program.takeError());
  const void *from = in.data(), *to = out.data();
  void *arguments[] = {&from, &to};
  for (const Schedule &schedule : schedules()) {
    std::string said = message((*program)->run(
        {"k", 1, 32, 0, arguments},
        {{(const char *)from, in.size() * 4}, {(const char *)to, out.size() * 4}}, schedule));
    ASSERT_EQ(said, "");
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t i = 0; i < 4; ++i) {
        Place at = placeC(lane, i);
        float wanted = c[at.row][at.column], got;
        for (uint32_t l = 0; l < k; ++l)
          wanted += a[at.row][l] * b[l][at.column];
        if (half)
          got = decode(Element::F16, out[lane * nc + i / 2] >> 16 * (i % 2));
        else
          memcpy(&got, &out[lane * nc + i], 4);
        ASSERT_EQ(got, wanted) << "lane " << lane << ", element " << i;
      }
  }
}
} // namespace

TEST(Matrices, ProductsOfF16) {
  checkMma(Element::F16, 16, false);
  checkMma(Element::F16, 8, false);
  checkMma(Element::F16, 16, true);
  checkMma(Element::F16, 8, true);
}

TEST(Matrices, ProductsOfBF16) {
  checkMma(Element::BF16, 16, false);
  checkMma(Element::BF16, 8, false);
}

TEST(Matrices, ProductsOfTF32) {
  checkMma(Element::TF32, 8, false);
  checkMma(Element::TF32, 4, false);
}

TEST(Matrices, SmallFloatsRound) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float f16 = decode(Element::F16, bits), bf16 = decode(Element::BF16, bits);
    if (f16 == f16) {
      ASSERT_EQ(encodeF16(f16), bits);
    }
    if (bf16 == bf16) {
      ASSERT_EQ(encodeBF16(bf16), bits);
    }
  }
  EXPECT_EQ(encodeF16(1 + 0x1p-11f), 0x3c00); // a tie goes to even
  EXPECT_EQ(encodeF16(1 + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(encodeF16(0x1p-25f), 0);
  EXPECT_EQ(encodeF16(0x1.8p-24f), 2);
  EXPECT_EQ(encodeF16(65519), 0x7bff);
  EXPECT_EQ(encodeF16(65520), 0x7c00);
  EXPECT_EQ(encodeBF16(1 + 0x1p-8f), 0x3f80);
  EXPECT_TRUE(std::isnan(decode(Element::F16, encodeF16(NAN))));
  EXPECT_TRUE(std::isnan(decode(Element::BF16, encodeBF16(NAN))));
}

/// 32 rows of eight 16-bit elements, each its row times 256 plus its column, are loaded by `num`
/// matrices; each thread has %x for a row.
static std::string ldmatrixKernel(uint32_t num, const std::string &layout,
                                  const std::string &row = "%tid") {
  std::string result = "i32", pick = "";
  std::string body = R"(
    %s = llvm.mlir.addressof @s : !llvm.ptr<3>
    %four = llvm.mlir.constant(4 : i32) : i32
    %w = llvm.mul %tid, %four : i32
    %mine = llvm.getelementptr %s[%w] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %c256 = llvm.mlir.constant(256 : i32) : i32
    %high = llvm.mul %tid, %c256 : i32
)";
  for (int i = 0; i < 4; ++i) {
    std::string n = std::to_string(i);
    body += "%e" + n + " = llvm.mlir.constant(" + std::to_string(2 * i + (2 * i + 1) * 65536) +
            " : i32) : i32\n%both" + n + " = llvm.mul %high, %c65537 : i32\n%v" + n +
            " = llvm.add %both" + n + ", %e" + n + " : i32\n%p" + n +
            " = llvm.getelementptr %mine[" + n +
            "] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32\nllvm.store %v" + n + ", %p" + n +
            " : i32, !llvm.ptr<3>\n";
  }
  body = "%c65537 = llvm.mlir.constant(65537 : i32) : i32\n" + body +
         "nvvm.bar.warp.sync %all : i32\n";
  if (num == 2)
    result = "!llvm.struct<(i32, i32)>";
  if (num == 4)
    result = "!llvm.struct<(i32, i32, i32, i32)>";
  body += "%at = llvm.getelementptr %s[" + row +
          ", 0] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<4 x i32>\n";
  body += "%m = nvvm.ldmatrix %at {num = " + std::to_string(num) +
          " : i32, layout = #nvvm.mma_layout<" + layout +
          ">, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = "
          "#nvvm.ld_st_matrix_elt_type<b16>} : "
          "(!llvm.ptr<3>) -> " +
          result + "\n";
  // Which of the matrices is seen: %x.
  if (num == 1)
    return words(body + "%r = llvm.add %m, %zero : i32",
                 "llvm.mlir.global internal @s() {addr_space = 3 : i32, alignment = 16 : i64} : "
                 "!llvm.array<128 x i32>");
  body += "%u0 = llvm.extractvalue %m[0] : " + result + "\n";
  for (uint32_t i = 1; i < num; ++i) {
    std::string n = std::to_string(i), before = std::to_string(i - 1);
    body += "%g" + n + " = llvm.extractvalue %m[" + n + "] : " + result + "\n%k" + n +
            " = llvm.mlir.constant(" + n + " : i32) : i32\n%i" + n + " = llvm.icmp \"eq\" %x, %k" +
            n + " : i32\n%u" + n + " = llvm.select %i" + n + ", %g" + n + ", %u" + before +
            " : i1, i32\n";
  }
  return words(body + "%r = llvm.add %u" + std::to_string(num - 1) + ", %zero : i32",
               "llvm.mlir.global internal @s() {addr_space = 3 : i32, alignment = 16 : i64} : "
               "!llvm.array<128 x i32>");
}

TEST(Matrices, LdMatrix) {
  for (uint32_t num : {1u, 2u, 4u})
    for (bool transposed : {false, true})
      for (uint32_t which = 0; which < num; ++which) {
        std::vector<uint32_t> in(32, which), wanted(32);
        for (uint32_t lane = 0; lane < 32; ++lane) {
          // A lane has two neighbours of row lane / 4, or of that column of the transposed matrix.
          uint32_t row = lane / 4, column = lane % 4 * 2;
          uint32_t low =
              transposed ? (8 * which + column) * 256 + row : (8 * which + row) * 256 + column;
          uint32_t high = transposed ? low + 256 : low + 1;
          wanted[lane] = low | high << 16;
        }
        EXPECT_EQ(wordsOf(ldmatrixKernel(num, transposed ? "col" : "row"), in), wanted)
            << num << transposed << which;
      }
}

TEST(Matrices, LdMatrixIsChecked) {
  using testing::HasSubstr;
  std::string text = ldmatrixKernel(4, "row");
  auto without = [&](const std::string &from, const std::string &to) {
    std::string changed = text;
    return changed.replace(changed.find(from), from.size(), to);
  };
  EXPECT_THAT(errorOf(text, 64), HasSubstr("out of bounds"));
  EXPECT_EQ(errorOf(text, 32), "");
  EXPECT_THAT(errorOf(without("nvvm.bar.warp.sync %all : i32", ""), 32),
              testing::AnyOf(HasSubstr("a race"), HasSubstr("nobody has written")));
  EXPECT_THAT(errorOf(without("%s[%tid, 0]", "%s[%x, 1]"), 32), HasSubstr("not aligned to 16"));
  EXPECT_THAT(errorOf(text, 16), HasSubstr("needs a whole warp"));
  // f16 aligned as an element is not aligned for ldmatrix, whatever the chance of this launch.
  EXPECT_THAT(errorOf(without(", alignment = 16 : i64", ""), 32), HasSubstr("not aligned to 16"));
}

/// Each thread copies `size` bytes and reads its first word.
static std::string copyKernel(uint32_t size, const std::string &bytes, const std::string &between) {
  std::string body = "%by = llvm.mlir.constant(" + std::to_string(size / 4) + R"( : i32) : i32
    %s = llvm.mlir.addressof @s : !llvm.ptr<3>
    %i = llvm.mul %tid, %by : i32
    %mine = llvm.getelementptr %s[%i] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
    %mask = llvm.mlir.constant(-4 : i32) : i32
    %low = llvm.and %tid, %mask : i32
    %source = llvm.getelementptr %in[%low] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    %size = llvm.mlir.constant()" +
                     bytes + R"( : i32) : i32
    nvvm.cp.async.shared.global %mine, %source, )" +
                     std::to_string(size) + (size == 16 ? ", cache = cg" : ", cache = ca") +
                     R"(, %size : !llvm.ptr<3>, !llvm.ptr<1>, i32
)" + between + R"(
    %last = llvm.getelementptr %mine[)" +
                     std::to_string(size / 4 - 1) + R"(] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
    %r = llvm.load %last : !llvm.ptr<3> -> i32
)";
  return words(body, "llvm.mlir.global internal @s() {addr_space = 3 : i32, alignment = 16 : i64} "
                     ": !llvm.array<256 x i32>");
}

TEST(Matrices, AsynchronousCopies) {
  const char *wait = "nvvm.cp.async.commit.group\nnvvm.cp.async.wait.group 0";
  alignas(16) static const uint32_t dummy = 0;
  (void)dummy;
  for (uint32_t size : {4u, 8u, 16u}) {
    std::vector<uint32_t> wanted(64), part(64);
    for (uint32_t i = 0; i < 64; ++i)
      wanted[i] = (i & ~3u) + size / 4 - 1;
    EXPECT_EQ(wordsOf(copyKernel(size, std::to_string(size), wait), counted(64)), wanted);
    EXPECT_EQ(wordsOf(copyKernel(size, std::to_string(size - 4), wait), counted(64)), part);
    using testing::HasSubstr;
    EXPECT_THAT(errorOf(copyKernel(size, std::to_string(size + 4), wait)), HasSubstr("copies"));
    for (const char *less : {"", "nvvm.cp.async.wait.group 0", "nvvm.cp.async.commit.group",
                             "nvvm.cp.async.commit.group\nnvvm.cp.async.wait.group 1"})
      EXPECT_THAT(errorOf(copyKernel(size, std::to_string(size), less)),
                  HasSubstr("has not been waited for"));
  }
}
