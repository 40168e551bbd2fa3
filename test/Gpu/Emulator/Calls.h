//===- Calls.h - What compiled kernels call -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_CALLS_H
#define GRAFT_TEST_GPU_EMULATOR_CALLS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace graft::emulator {

struct Call {
  llvm::StringLiteral name;
  void *address;
};

/// The functions of the emulator, of libdevice, and what the compiler itself may call for small
/// floats.
llvm::ArrayRef<Call> calls();

/// The function of an instruction that approximates, such as `ex2.approx.ftz.f32`; empty where it
/// is not known. Its result is an i32 or f32, its operand f32.
llvm::StringRef approximation(llvm::StringRef instruction);

} // namespace graft::emulator

#endif // GRAFT_TEST_GPU_EMULATOR_CALLS_H
