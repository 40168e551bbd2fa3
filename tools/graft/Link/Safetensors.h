//===- Safetensors.h - Files of tensors -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_SAFETENSORS_H
#define GRAFT_LINK_SAFETENSORS_H

#include "graft/Import/MappedFile.h"

#include "mlir/IR/BuiltinTypes.h"

namespace graft {

/// A tensor in a mapped file.
struct SafeTensor {
  std::string name;
  mlir::RankedTensorType type;
  llvm::ArrayRef<char> bytes;
};

/// A safetensors file, mapped; its header is validated whole: types, sizes, and that the tensors
/// cover the data without overlap.
class SafetensorsFile {
public:
  static llvm::Expected<SafetensorsFile> open(llvm::StringRef path, mlir::MLIRContext *context);

  /// In the order of the data.
  llvm::ArrayRef<SafeTensor> tensors() const { return list; }
  std::shared_ptr<const MappedFile> file() const { return mapped; }

private:
  std::shared_ptr<const MappedFile> mapped;
  std::vector<SafeTensor> list;
};

/// Whether writeSafetensors has made the file, by what its header says.
bool isWrittenByGraft(llvm::StringRef path);

/// Writes `tensors` to `path`, each aligned to 64 bytes where sizes allow. Leaves no partial file
/// behind.
llvm::Error writeSafetensors(llvm::StringRef path, llvm::ArrayRef<SafeTensor> tensors);

} // namespace graft

#endif // GRAFT_LINK_SAFETENSORS_H
