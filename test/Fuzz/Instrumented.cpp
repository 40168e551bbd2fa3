//===- Instrumented.cpp - AddressSanitizer in a process that is not compiled with it -*- C++
//-*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Only generated code is instrumented; this executable brings the runtime along that it calls.

/// What stays when a worker ends belongs to MLIR and the linker.
extern "C" const char *__asan_default_options() { return "detect_leaks=0"; }
