//===- CpuTarget.h - What code is generated for ------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_CPUTARGET_H
#define GRAFT_CODEGEN_CPU_CPUTARGET_H

#include "llvm/ADT/StringRef.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm {
class TargetMachine;
}

namespace graft {

/// An x86-64 machine, known by its feature bits alone: never by a model's name, whose features may
/// be masked or emulated.
struct CpuTarget {
  /// As the user wrote it and the manifest shows it: "native" or "generic".
  std::string name;
  /// All features that the code may use, under LLVM's names, sorted. The runtime refuses a machine
  /// that lacks one of them.
  std::vector<std::string> features;

  /// x86-64-v3: AVX2, FMA, F16C, BMI.
  static CpuTarget generic();
  /// What this machine has. It need not have AVX2.
  static CpuTarget native();
  /// By the name of `--cpu`; false if there is no such target.
  static bool parse(llvm::StringRef name, CpuTarget &target);
  /// x86-64-v4, for tests of AVX-512 code on any machine: it compiles there, and need not run.
  static CpuTarget avx512();

  bool has(llvm::StringRef feature) const;
  /// AVX-512 with byte, word and doubleword instructions, and on shorter vectors too.
  bool hasAvx512() const;
  /// 512 with AVX-512, else 256 with AVX, else 128.
  unsigned vectorBits() const;
  /// Lanes of float in a vector register.
  unsigned floatLanes() const { return vectorBits() / 32; }
  /// "+avx2,+fma,…"
  std::string featureString() const;

  /// Initialises LLVM's x86 back end, once.
  std::unique_ptr<llvm::TargetMachine> createTargetMachine() const;
};

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_CPUTARGET_H
