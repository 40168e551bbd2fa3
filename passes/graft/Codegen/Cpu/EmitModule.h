//===- EmitModule.h - LLVM's optimiser and back end --------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_EMITMODULE_H
#define GRAFT_CODEGEN_CPU_EMITMODULE_H

#include "graft/Codegen/Cpu/Codegen.h"

namespace llvm {
class Module;
}

namespace graft {

/// A function with this attribute is the library's interface; all others are hidden in it.
inline constexpr llvm::StringLiteral kExportAttr = "graft-export";

/// Optimises `module` and appends it to `output`. False with `error` set if that fails.
bool emitModule(llvm::Module &module, const CodegenOptions &options, EmitFormat format,
                std::string &output, std::string &error);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_EMITMODULE_H
