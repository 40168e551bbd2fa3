//===- Switch.cpp - From one stack to another -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Switch.h"

#include <sys/mman.h>

using namespace graft::emulator;

#ifdef __x86_64__
// What a callee has to preserve goes onto the old stack; control words of the FPU are the same
// everywhere.
asm(R"(
  .text
  .local graft_emulator_switch
  .type graft_emulator_switch,@function
graft_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size graft_emulator_switch, .-graft_emulator_switch
)");
extern "C" void graft_emulator_switch(void **from, void *to);
void graft::emulator::switchStack(void **from, void *to) { graft_emulator_switch(from, to); }

void *Stacks::start(uint32_t i, void (*entry)()) {
  auto **top = reinterpret_cast<void **>(const_cast<char *>(extent(i).end()));
  // As after a call: the stack is 8 off a multiple of 16, and there is a return address, of
  // nowhere.
  top[-1] = nullptr;
  top[-2] = reinterpret_cast<void *>(entry);
  for (int saved = 3; saved <= 8; ++saved)
    top[-saved] = nullptr;
  return top - 8;
}
#else
#error "the emulator switches stacks on x86-64 only"
#endif

Stacks::Stacks(uint32_t count) : bytes(count * (size + guard)) {
  void *at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    return;
  memory = static_cast<char *>(at);
  for (uint32_t i = 0; i < count; ++i)
    mprotect(memory + i * (size + guard), guard, PROT_NONE);
}

Stacks::~Stacks() {
  if (memory)
    munmap(memory, bytes);
}
