//===- CpuTarget.cpp - What code is generated for ----------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/CpuTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

#include <mutex>

using namespace llvm;
using namespace graft;

/// x86-64-v3.
static constexpr StringLiteral kGeneric[] = {"avx",    "avx2",   "bmi",   "bmi2",   "cx16", "f16c",
                                             "fma",    "lzcnt",  "movbe", "popcnt", "sahf", "sse3",
                                             "sse4.1", "sse4.2", "ssse3", "xsave",  "cx8",  "cmov",
                                             "fxsr",   "mmx",    "sse",   "sse2"};

/// What x86-64-v4 adds.
static constexpr StringLiteral kAvx512[] = {"avx512bw", "avx512cd", "avx512dq", "avx512f",
                                            "avx512vl"};

/// Other features that code generation puts to use. Those that it would not, such as keys and
/// clocks, are left out: the library would refuse machines for nothing.
static constexpr StringLiteral kUseful[] = {
    "avx512bf16",  "avx512bitalg", "avx512fp16", "avx512ifma",      "avx512vbmi",
    "avx512vbmi2", "avx512vnni",   "avxvnni",    "avx512vpopcntdq", "gfni"};

static CpuTarget fromFeatures(StringRef name, std::vector<std::string> features) {
  llvm::sort(features);
  CpuTarget target;
  target.name = name.str();
  target.features = std::move(features);
  return target;
}

CpuTarget CpuTarget::generic() {
  return fromFeatures("generic",
                      std::vector<std::string>(std::begin(kGeneric), std::end(kGeneric)));
}

CpuTarget CpuTarget::avx512() {
  std::vector<std::string> features(std::begin(kGeneric), std::end(kGeneric));
  features.insert(features.end(), std::begin(kAvx512), std::end(kAvx512));
  return fromFeatures("avx512", std::move(features));
}

CpuTarget CpuTarget::native() {
  StringMap<bool> host = sys::getHostCPUFeatures();
  std::vector<std::string> features;
  for (ArrayRef<StringLiteral> list :
       {ArrayRef<StringLiteral>(kGeneric), ArrayRef<StringLiteral>(kAvx512),
        ArrayRef<StringLiteral>(kUseful)})
    for (StringRef feature : list)
      if (host.lookup(feature))
        features.push_back(feature.str());
  return fromFeatures("native", std::move(features));
}

bool CpuTarget::parse(StringRef name, CpuTarget &target) {
  if (name == "native")
    target = native();
  else if (name == "generic")
    target = generic();
  else if (name == "avx512")
    target = avx512();
  else
    return false;
  return true;
}

bool CpuTarget::has(StringRef feature) const { return llvm::is_contained(features, feature); }

bool CpuTarget::hasAvx512() const {
  return has("avx512f") && has("avx512bw") && has("avx512vl") && has("avx512dq");
}

unsigned CpuTarget::vectorBits() const { return hasAvx512() ? 512 : has("avx") ? 256 : 128; }

std::string CpuTarget::featureString() const {
  std::string text;
  for (StringRef feature : features)
    text += (text.empty() ? "+" : ",+") + feature.str();
  return text;
}

std::unique_ptr<TargetMachine> CpuTarget::createTargetMachine() const {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const Target *backend = TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return nullptr;
  TargetOptions options;
  // An fma is one that the IR asks for. (Strict would take apart what vector.fma becomes, fmuladd.)
  options.AllowFPOpFusion = FPOpFusion::Standard;
  options.FunctionSections = true; // a library of one task leaves the others' code out
  return std::unique_ptr<TargetMachine>(
      backend->createTargetMachine(triple, "x86-64", featureString(), options, Reloc::PIC_,
                                   CodeModel::Small, CodeGenOptLevel::Aggressive));
}
