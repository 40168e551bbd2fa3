//===- Assembler.h - The CUDA toolkit's tools, where there are some *- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_ASSEMBLER_H
#define GRAFT_CODEGEN_GPU_ASSEMBLER_H

#include "graft/Codegen/Gpu/GpuCodegen.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace graft {

/// The devices that `--gpu-arch all` means: a generation's first, and those that have code of their
/// own.
llvm::ArrayRef<llvm::StringLiteral> commonArchitectures();

/// The architectures of "sm_80,sm_90a", in that order; a Fault says what is wrong with one.
llvm::Expected<std::vector<std::string>> parseArchitectures(llvm::StringRef list);

/// What a kernel takes of a device, as the assembler says.
struct KernelResources {
  unsigned registers = 0;                   ///< a thread
  unsigned shared = 0;                      ///< bytes a block, without what launches ask for
  unsigned stack = 0;                       ///< bytes a thread
  unsigned spillStores = 0, spillLoads = 0; ///< bytes of code that moves registers, a thread
};

/// Machine code for one architecture.
struct DeviceImage {
  std::string arch; ///< as sm_90a
  std::string code; ///< a cubin
  /// By a kernel's number; none where the assembler says nothing of it.
  std::vector<std::optional<KernelResources>> kernels;
};

/// ptxas, and what reads its code, run as programs of their own: nothing of CUDA is linked.
class DeviceTools {
public:
  /// Looks in `folder`, or, where it is empty, on PATH.
  static DeviceTools find(llvm::StringRef folder);

  bool canAssemble() const { return !ptxas.empty(); }
  bool canDisassemble() const { return !nvdisasm.empty() || !cuobjdump.empty(); }

  llvm::Expected<DeviceImage> assemble(llvm::StringRef ptx, llvm::StringRef arch,
                                       llvm::ArrayRef<DeviceKernel> kernels) const;
  /// The machine's instructions as text.
  llvm::Expected<std::string> disassemble(const DeviceImage &image) const;

private:
  std::string ptxas, nvdisasm, cuobjdump; ///< paths, empty where there is none
};

} // namespace graft

#endif // GRAFT_CODEGEN_GPU_ASSEMBLER_H
