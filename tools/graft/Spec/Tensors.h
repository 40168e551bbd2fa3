//===- Tensors.h - The weights that a spec names -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_SPEC_TENSORS_H
#define GRAFT_SPEC_TENSORS_H

#include "graft/Onnx/GraphBuilder.h"
#include "graft/Spec/Document.h"

#include "llvm/ADT/StringMap.h"

namespace graft {
struct Adapter;
}

namespace graft::spec {

/// What stands for each `{capture}` of a text.
using Captures = std::map<std::string, std::string>;

/// A tensor in a mapped file or in memory.
struct StoredTensor {
  mlir::RankedTensorType type;
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<const void> owner;
};

/// Reads an .npy file: little endian, C order, floats, integers or bools.
llvm::Expected<StoredTensor> readNpyFile(llvm::StringRef path, mlir::MLIRContext *context);

/// The tensors of all files that a spec names, read when they are asked for.
class Tensors {
public:
  Tensors(Errors &errors, const Document &document, llvm::StringRef backbone,
          mlir::MLIRContext *context, bool allowLinks);
  ~Tensors();

  /// A constant, where `b` stands, of shape `wanted`, -1 fitting any size, and of floats of type
  /// `element`, to which the file's are rounded. A matrix of two dimensions is turned to (out, in).
  /// `what` names the tensor in messages, `form` its dimensions. Null with an error otherwise.
  mlir::Value constant(onnx::GraphBuilder &b, const TensorRef &ref, const Captures &captures,
                       llvm::ArrayRef<int64_t> wanted, mlir::Type element, llvm::StringRef what,
                       llvm::StringRef form);
  /// A PEFT folder.
  const Adapter *adapter(const Text &folder, const Captures &captures);
  /// A tensor that is at hand, as a constant.
  mlir::Value constant(onnx::GraphBuilder &b, llvm::StringRef name, const StoredTensor &tensor,
                       llvm::ArrayRef<int64_t> wanted, mlir::Type element, bool isInOut, Mark mark,
                       llvm::StringRef what, llvm::StringRef form);

  /// The text with captures replaced; one that isn't known is an error.
  std::string substitute(const Text &text, const Captures &captures);
  /// The path of a file that the spec names, beside the spec if relative.
  std::string pathOf(llvm::StringRef file) const;

  const bool allowLinks;

private:
  using File = llvm::StringMap<StoredTensor>;

  std::optional<StoredTensor> load(const TensorRef &ref, const Captures &captures,
                                   std::string &name);
  File *open(const std::string &path, Mark mark);
  std::optional<StoredTensor> part(StoredTensor tensor, const TensorRef &ref,
                                   const Captures &captures, const std::string &name);

  Errors &errors;
  const Document &document;
  const std::string backbone;
  mlir::MLIRContext *context;
  std::map<std::string, File> files;
  std::map<std::string, std::unique_ptr<Adapter>> adapters;
};

/// The words of a fault without the file that they begin with.
std::string wordsOf(llvm::Error error, llvm::StringRef file = "");

} // namespace graft::spec

#endif // GRAFT_SPEC_TENSORS_H
