//===- DeviceKernels.h - The kernels of FakeDevice.c --------------*- C -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// PTX that a driver takes, so that the fixture runs on a GPU too; the mock driver of
/// test/Gpu/Driver has the same kernels in C++. A thread does one element or row:
///   add(x, bias, out, n)        scale(x, factor, out, n)    with a constant behind a pointer
///   sums(x, factor, out, rows, columns)                     factor times the sum of a row
///   together(x, keys, factors, out, rows, columns)          the same, the factor by the row's key
///   check(x, n, message, status)                            whether no element is below 0
///   trap()                                                  a fault
///
//===----------------------------------------------------------------------===//

// clang-format off
#define DEVICE_KERNELS \
    ".version 7.0\n" \
    ".target sm_70\n" \
    ".address_size 64\n" \
    ".visible .entry add(\n" \
    " .param .u64 .ptr .align 1 add_param_0,\n" \
    " .param .u64 .ptr .align 1 add_param_1,\n" \
    " .param .u64 .ptr .align 1 add_param_2,\n" \
    " .param .u64 add_param_3\n" \
    ")\n" \
    "{\n" \
    " .reg .pred %p<2>;\n" \
    " .reg .b32 %r<7>;\n" \
    " .reg .b64 %rd<14>;\n" \
    " ld.param.b64 %rd4, [add_param_0];\n" \
    " cvta.to.global.u64 %rd5, %rd4;\n" \
    " ld.param.b64 %rd6, [add_param_1];\n" \
    " cvta.to.global.u64 %rd1, %rd6;\n" \
    " ld.param.b64 %rd7, [add_param_2];\n" \
    " cvta.to.global.u64 %rd8, %rd7;\n" \
    " ld.param.b64 %rd9, [add_param_3];\n" \
    " mov.u32 %r1, %ctaid.x;\n" \
    " mov.u32 %r2, %ntid.x;\n" \
    " mul.wide.u32 %rd10, %r1, %r2;\n" \
    " mov.u32 %r3, %tid.x;\n" \
    " cvt.u64.u32 %rd11, %r3;\n" \
    " add.s64 %rd12, %rd10, %rd11;\n" \
    " setp.ge.s64 %p1, %rd12, %rd9;\n" \
    " @%p1 bra $L__BB0_2;\n" \
    " shl.b64 %rd13, %rd12, 2;\n" \
    " add.s64 %rd2, %rd5, %rd13;\n" \
    " add.s64 %rd3, %rd8, %rd13;\n" \
    " ld.global.b32 %r4, [%rd2];\n" \
    " ld.global.b32 %r5, [%rd1];\n" \
    " add.rn.f32 %r6, %r4, %r5;\n" \
    " st.global.b32 [%rd3], %r6;\n" \
    "$L__BB0_2:\n" \
    " ret;\n" \
    "}\n" \
    ".visible .entry scale(\n" \
    " .param .u64 .ptr .align 1 scale_param_0,\n" \
    " .param .u64 .ptr .align 1 scale_param_1,\n" \
    " .param .u64 .ptr .align 1 scale_param_2,\n" \
    " .param .u64 scale_param_3\n" \
    ")\n" \
    "{\n" \
    " .reg .pred %p<2>;\n" \
    " .reg .b32 %r<7>;\n" \
    " .reg .b64 %rd<14>;\n" \
    " ld.param.b64 %rd4, [scale_param_0];\n" \
    " cvta.to.global.u64 %rd5, %rd4;\n" \
    " ld.param.b64 %rd6, [scale_param_1];\n" \
    " cvta.to.global.u64 %rd1, %rd6;\n" \
    " ld.param.b64 %rd7, [scale_param_2];\n" \
    " cvta.to.global.u64 %rd8, %rd7;\n" \
    " ld.param.b64 %rd9, [scale_param_3];\n" \
    " mov.u32 %r1, %ctaid.x;\n" \
    " mov.u32 %r2, %ntid.x;\n" \
    " mul.wide.u32 %rd10, %r1, %r2;\n" \
    " mov.u32 %r3, %tid.x;\n" \
    " cvt.u64.u32 %rd11, %r3;\n" \
    " add.s64 %rd12, %rd10, %rd11;\n" \
    " setp.ge.s64 %p1, %rd12, %rd9;\n" \
    " @%p1 bra $L__BB1_2;\n" \
    " shl.b64 %rd13, %rd12, 2;\n" \
    " add.s64 %rd2, %rd5, %rd13;\n" \
    " add.s64 %rd3, %rd8, %rd13;\n" \
    " ld.global.b32 %r4, [%rd2];\n" \
    " ld.global.b32 %r5, [%rd1];\n" \
    " mul.rn.f32 %r6, %r4, %r5;\n" \
    " st.global.b32 [%rd3], %r6;\n" \
    "$L__BB1_2:\n" \
    " ret;\n" \
    "}\n" \
    ".visible .entry sums(\n" \
    " .param .u64 .ptr .align 1 sums_param_0,\n" \
    " .param .u64 .ptr .align 1 sums_param_1,\n" \
    " .param .u64 .ptr .align 1 sums_param_2,\n" \
    " .param .u64 sums_param_3,\n" \
    " .param .u64 sums_param_4\n" \
    ")\n" \
    "{\n" \
    " .reg .pred %p<4>;\n" \
    " .reg .b32 %r<8>;\n" \
    " .reg .b64 %rd<17>;\n" \
    " ld.param.b64 %rd5, [sums_param_0];\n" \
    " cvta.to.global.u64 %rd1, %rd5;\n" \
    " ld.param.b64 %rd6, [sums_param_1];\n" \
    " cvta.to.global.u64 %rd2, %rd6;\n" \
    " ld.param.b64 %rd7, [sums_param_2];\n" \
    " cvta.to.global.u64 %rd3, %rd7;\n" \
    " ld.param.b64 %rd8, [sums_param_3];\n" \
    " mov.u32 %r1, %ctaid.x;\n" \
    " mov.u32 %r2, %ntid.x;\n" \
    " mul.wide.u32 %rd9, %r1, %r2;\n" \
    " mov.u32 %r3, %tid.x;\n" \
    " cvt.u64.u32 %rd10, %r3;\n" \
    " add.s64 %rd4, %rd9, %rd10;\n" \
    " setp.ge.s64 %p1, %rd4, %rd8;\n" \
    " @%p1 bra $L__BB2_5;\n" \
    " ld.param.b64 %rd15, [sums_param_4];\n" \
    " setp.lt.s64 %p2, %rd15, 1;\n" \
    " mov.b32 %r7, 0f00000000;\n" \
    " @%p2 bra $L__BB2_4;\n" \
    " mul.lo.s64 %rd11, %rd15, %rd4;\n" \
    " shl.b64 %rd12, %rd11, 2;\n" \
    " add.s64 %rd16, %rd1, %rd12;\n" \
    " mov.b32 %r7, 0f00000000;\n" \
    "$L__BB2_3:\n" \
    " .pragma \"nounroll\";\n" \
    " ld.global.b32 %r4, [%rd16];\n" \
    " add.rn.f32 %r7, %r7, %r4;\n" \
    " add.s64 %rd16, %rd16, 4;\n" \
    " add.s64 %rd15, %rd15, -1;\n" \
    " setp.eq.b64 %p3, %rd15, 0;\n" \
    " @%p3 bra $L__BB2_4;\n" \
    " bra.uni $L__BB2_3;\n" \
    "$L__BB2_4:\n" \
    " ld.global.b32 %r5, [%rd2];\n" \
    " mul.rn.f32 %r6, %r7, %r5;\n" \
    " shl.b64 %rd13, %rd4, 2;\n" \
    " add.s64 %rd14, %rd3, %rd13;\n" \
    " st.global.b32 [%rd14], %r6;\n" \
    "$L__BB2_5:\n" \
    " ret;\n" \
    "}\n" \
    ".visible .entry together(\n" \
    " .param .u64 .ptr .align 1 together_param_0,\n" \
    " .param .u64 .ptr .align 1 together_param_1,\n" \
    " .param .u64 .ptr .align 1 together_param_2,\n" \
    " .param .u64 .ptr .align 1 together_param_3,\n" \
    " .param .u64 together_param_4,\n" \
    " .param .u64 together_param_5\n" \
    ")\n" \
    "{\n" \
    " .reg .pred %p<4>;\n" \
    " .reg .b32 %r<8>;\n" \
    " .reg .b64 %rd<25>;\n" \
    " ld.param.b64 %rd6, [together_param_0];\n" \
    " cvta.to.global.u64 %rd1, %rd6;\n" \
    " ld.param.b64 %rd7, [together_param_1];\n" \
    " cvta.to.global.u64 %rd2, %rd7;\n" \
    " ld.param.b64 %rd8, [together_param_2];\n" \
    " cvta.to.global.u64 %rd3, %rd8;\n" \
    " ld.param.b64 %rd9, [together_param_3];\n" \
    " cvta.to.global.u64 %rd4, %rd9;\n" \
    " ld.param.b64 %rd10, [together_param_4];\n" \
    " mov.u32 %r1, %ctaid.x;\n" \
    " mov.u32 %r2, %ntid.x;\n" \
    " mul.wide.u32 %rd11, %r1, %r2;\n" \
    " mov.u32 %r3, %tid.x;\n" \
    " cvt.u64.u32 %rd12, %r3;\n" \
    " add.s64 %rd5, %rd11, %rd12;\n" \
    " setp.ge.s64 %p1, %rd5, %rd10;\n" \
    " @%p1 bra $L__BB3_5;\n" \
    " ld.param.b64 %rd23, [together_param_5];\n" \
    " setp.lt.s64 %p2, %rd23, 1;\n" \
    " mov.b32 %r7, 0f00000000;\n" \
    " @%p2 bra $L__BB3_4;\n" \
    " mul.lo.s64 %rd13, %rd23, %rd5;\n" \
    " shl.b64 %rd14, %rd13, 2;\n" \
    " add.s64 %rd24, %rd1, %rd14;\n" \
    " mov.b32 %r7, 0f00000000;\n" \
    "$L__BB3_3:\n" \
    " .pragma \"nounroll\";\n" \
    " ld.global.b32 %r4, [%rd24];\n" \
    " add.rn.f32 %r7, %r7, %r4;\n" \
    " add.s64 %rd24, %rd24, 4;\n" \
    " add.s64 %rd23, %rd23, -1;\n" \
    " setp.eq.b64 %p3, %rd23, 0;\n" \
    " @%p3 bra $L__BB3_4;\n" \
    " bra.uni $L__BB3_3;\n" \
    "$L__BB3_4:\n" \
    " shl.b64 %rd15, %rd5, 3;\n" \
    " add.s64 %rd16, %rd2, %rd15;\n" \
    " ld.global.b64 %rd17, [%rd16];\n" \
    " shl.b64 %rd18, %rd17, 3;\n" \
    " add.s64 %rd19, %rd3, %rd18;\n" \
    " ld.global.b64 %rd20, [%rd19];\n" \
    " ld.b32 %r5, [%rd20];\n" \
    " mul.rn.f32 %r6, %r7, %r5;\n" \
    " shl.b64 %rd21, %rd5, 2;\n" \
    " add.s64 %rd22, %rd4, %rd21;\n" \
    " st.global.b32 [%rd22], %r6;\n" \
    "$L__BB3_5:\n" \
    " ret;\n" \
    "}\n" \
    ".visible .entry check(\n" \
    " .param .u64 .ptr .align 1 check_param_0,\n" \
    " .param .u64 check_param_1,\n" \
    " .param .u32 check_param_2,\n" \
    " .param .u64 .ptr .align 1 check_param_3\n" \
    ")\n" \
    "{\n" \
    " .reg .pred %p<3>;\n" \
    " .reg .b32 %r<7>;\n" \
    " .reg .b64 %rd<11>;\n" \
    " ld.param.b64 %rd4, [check_param_0];\n" \
    " cvta.to.global.u64 %rd1, %rd4;\n" \
    " ld.param.b64 %rd5, [check_param_1];\n" \
    " ld.param.b64 %rd6, [check_param_3];\n" \
    " cvta.to.global.u64 %rd2, %rd6;\n" \
    " mov.u32 %r2, %ctaid.x;\n" \
    " mov.u32 %r3, %ntid.x;\n" \
    " mul.wide.u32 %rd7, %r2, %r3;\n" \
    " mov.u32 %r4, %tid.x;\n" \
    " cvt.u64.u32 %rd8, %r4;\n" \
    " add.s64 %rd3, %rd7, %rd8;\n" \
    " setp.ge.s64 %p1, %rd3, %rd5;\n" \
    " @%p1 bra $L__BB4_3;\n" \
    " shl.b64 %rd9, %rd3, 2;\n" \
    " add.s64 %rd10, %rd1, %rd9;\n" \
    " ld.global.b32 %r5, [%rd10];\n" \
    " setp.geu.f32 %p2, %r5, 0f00000000;\n" \
    " @%p2 bra $L__BB4_3;\n" \
    " ld.param.b32 %r1, [check_param_2];\n" \
    " fence.sc.sys;\n" \
    " atom.acquire.sys.global.cas.b32 %r6, [%rd2], 0, %r1;\n" \
    "$L__BB4_3:\n" \
    " ret;\n" \
    "}\n" \
    ".visible .entry trap()\n" \
    "{\n" \
    " trap;\n" \
    "}\n"
// clang-format on

static const char kernels[] __attribute__((aligned(64), unused)) = DEVICE_KERNELS;
