//===- Calls.cpp - What compiled kernels call -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Calls.h"
#include "Fragments.h"
#include "Machine.h"

#include <cmath>
#include <cstring>

using namespace graft::emulator;

namespace {
Machine &machine() { return *Machine::current; }

uint32_t read(uint32_t which) { return machine().read(Register(which)); }
void access(const char *at, uint64_t bytes, uint32_t flags, uint32_t site) {
  machine().access(at, bytes, flags, site);
}
uint32_t barrier(uint32_t id, uint32_t count, uint32_t detail, uint32_t predicate, uint32_t site) {
  return machine().barrier(id, count, detail, predicate, site);
}
uint32_t warp(uint32_t kind, uint32_t detail, uint32_t mask, uint32_t a, uint32_t b, uint32_t c,
              uint32_t site) {
  Post post;
  post.kind = Together(kind);
  post.detail = detail;
  post.mask = mask;
  post.site = site;
  post.value[0] = a;
  post.value[1] = b;
  post.value[2] = c;
  return machine().together(post).result[0];
}
uint32_t second() { return machine().second(); }
void matrix(uint32_t kind, uint32_t detail, const void *in, void *out, uint32_t site) {
  Post post;
  post.kind = Together(kind);
  post.detail = detail;
  post.mask = ~0u;
  post.site = site;
  post.in = in;
  post.out = out;
  machine().together(post);
}
void issue(char *to, const char *from, uint32_t bytes, uint32_t size, uint32_t site) {
  machine().issue(to, from, bytes, size, site);
}
/// A predicated store of four words, at once.
void store(char *at, uint32_t predicate, uint32_t a, uint32_t b, uint32_t c, uint32_t d,
           uint32_t site) {
  if (!predicate)
    return;
  machine().access(at, 16, AccessFlags::encode(Access::Write, AccessFlags::global, 4), site);
  uint32_t words[] = {a, b, c, d};
  memcpy(at, words, 16);
}
void commit() { machine().commit(); }
void wait(uint32_t keep, uint32_t site) { machine().wait(keep, site); }
void unreachable(uint32_t site) { machine().fail("is reached", site); }

float flush(float value) {
  return std::fabs(value) < 0x1p-126f ? std::copysign(0.0f, value) : value;
}
template <float (*function)(float)> float flushed(float value) {
  return flush(function(flush(value)));
}
float reciprocal(float value) { return 1 / value; }
float rsqrt(float value) { return 1 / std::sqrt(value); }
double rsqrtDouble(double value) { return 1 / std::sqrt(value); }
float divide(float a, float b) { return a / b; }
float saturate(float value) { return value > 0 ? std::fmin(value, 1.0f) : 0; }
/// To the nearest, ties away from zero.
uint32_t toTF32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return value != value ? 0x7fffffff : (bits + 0x1000) & ~0x1fffu;
}

using F16 = _Float16;
using BF16 = __bf16;
template <typename To> To bitcast(uint16_t bits) {
  To value;
  memcpy(&value, &bits, 2);
  return value;
}
template <typename From> uint16_t bitsOf(From value) {
  uint16_t bits;
  memcpy(&bits, &value, 2);
  return bits;
}
F16 truncateF16(float value) { return bitcast<F16>(encodeF16(value)); }
BF16 truncateBF16(float value) { return bitcast<BF16>(encodeBF16(value)); }
/// To the nearest float that is odd if inexact: rounding once more is then as rounding once.
float toOdd(double value) {
  float near = float(value);
  if (double(near) == value || value != value || std::isinf(near))
    return near;
  uint32_t bits;
  memcpy(&bits, &near, 4);
  if (std::fabs(double(near)) > std::fabs(value))
    --bits;
  bits |= 1;
  memcpy(&near, &bits, 4);
  return near;
}
F16 truncateDoubleF16(double value) { return truncateF16(toOdd(value)); }
BF16 truncateDoubleBF16(double value) { return truncateBF16(toOdd(value)); }
float extendF16(F16 value) { return decode(Element::F16, bitsOf(value)); }

template <typename Function> constexpr void *address(Function *function) {
  return reinterpret_cast<void *>(function);
}
float (*asF(float (*function)(float)))(float) { return function; }
double (*asD(double (*function)(double)))(double) { return function; }
float (*asF2(float (*function)(float, float)))(float, float) { return function; }
double (*asD2(double (*function)(double, double)))(double, double) { return function; }
} // namespace

#define UNARY(name)                                                                                \
  {"__nv_" #name "f", address(asF(&::name##f))}, { "__nv_" #name, address(asD(&::name)) }
#define BINARY(name)                                                                               \
  {"__nv_" #name "f", address(asF2(&::name##f))}, { "__nv_" #name, address(asD2(&::name)) }
#define APPROXIMATE(name, function)                                                                \
  {"graft_emu_" name, address(&function)}, { "graft_emu_" name ".ftz", address(&flushed<function>) }

llvm::ArrayRef<Call> graft::emulator::calls() {
  static const Call table[] = {
      {"graft_emu_register", address(&read)},
      {"graft_emu_access", address(&access)},
      {"graft_emu_barrier", address(&barrier)},
      {"graft_emu_warp", address(&warp)},
      {"graft_emu_second", address(&second)},
      {"graft_emu_matrix", address(&matrix)},
      {"graft_emu_issue", address(&issue)},
      {"graft_emu_store", address(&store)},
      {"graft_emu_commit", address(&commit)},
      {"graft_emu_wait", address(&wait)},
      {"graft_emu_unreachable", address(&unreachable)},
      APPROXIMATE("ex2", ::exp2f),
      APPROXIMATE("lg2", ::log2f),
      APPROXIMATE("rcp", reciprocal),
      APPROXIMATE("rsqrt", rsqrt),
      APPROXIMATE("sqrt", ::sqrtf),
      APPROXIMATE("sin", ::sinf),
      APPROXIMATE("cos", ::cosf),
      APPROXIMATE("tanh", ::tanhf),
      {"graft_emu_tf32", address(&toTF32)},
      {"__truncsfhf2", address(&truncateF16)},
      {"__truncsfbf2", address(&truncateBF16)},
      {"__truncdfhf2", address(&truncateDoubleF16)},
      {"__truncdfbf2", address(&truncateDoubleBF16)},
      {"__extendhfsf2", address(&extendF16)},
      UNARY(exp),
      UNARY(exp2),
      UNARY(log),
      UNARY(log2),
      UNARY(log10),
      UNARY(log1p),
      UNARY(expm1),
      UNARY(sin),
      UNARY(cos),
      UNARY(tan),
      UNARY(asin),
      UNARY(acos),
      UNARY(atan),
      UNARY(sinh),
      UNARY(cosh),
      UNARY(tanh),
      UNARY(asinh),
      UNARY(acosh),
      UNARY(atanh),
      UNARY(sqrt),
      UNARY(cbrt),
      UNARY(erf),
      UNARY(erfc),
      UNARY(floor),
      UNARY(ceil),
      UNARY(trunc),
      UNARY(rint),
      UNARY(round),
      UNARY(nearbyint),
      UNARY(fabs),
      UNARY(tgamma),
      UNARY(lgamma),
      BINARY(pow),
      BINARY(fmod),
      BINARY(fmin),
      BINARY(fmax),
      BINARY(atan2),
      BINARY(copysign),
      BINARY(hypot),
      BINARY(fdim),
      {"__nv_fast_expf", address(asF(&::expf))},
      {"__nv_fast_exp2f", address(asF(&::exp2f))},
      {"__nv_fast_logf", address(asF(&::logf))},
      {"__nv_fast_log2f", address(asF(&::log2f))},
      {"__nv_fast_log10f", address(asF(&::log10f))},
      {"__nv_fast_sinf", address(asF(&::sinf))},
      {"__nv_fast_cosf", address(asF(&::cosf))},
      {"__nv_fast_powf", address(asF2(&::powf))},
      {"__nv_fast_fdividef", address(asF2(&divide))},
      {"__nv_rsqrtf", address(asF(&rsqrt))},
      {"__nv_rsqrt", address(asD(&rsqrtDouble))},
      {"__nv_frcp_rn", address(asF(&reciprocal))},
      {"__nv_fsqrt_rn", address(asF(&::sqrtf))},
      {"__nv_fdiv_rn", address(asF2(&divide))},
      {"__nv_saturatef", address(asF(&saturate))},
      {"__nv_fmaf", address(static_cast<float (*)(float, float, float)>(&::fmaf))},
      {"__nv_fma", address(static_cast<double (*)(double, double, double)>(&::fma))},
  };
  return table;
}

llvm::StringRef graft::emulator::approximation(llvm::StringRef instruction) {
  if (instruction == "cvt.rna.tf32.f32")
    return "graft_emu_tf32";
  auto [name, rest] = instruction.split(".approx");
  bool flushes = rest.consume_front(".ftz");
  if (rest != ".f32" && rest != ".f")
    return "";
  for (const Call &call : calls()) {
    llvm::StringRef known = call.name;
    if (!known.consume_front("graft_emu_") || known.ends_with(".ftz") != flushes)
      continue;
    known.consume_back(".ftz");
    if (known == name)
      return call.name;
  }
  return "";
}
