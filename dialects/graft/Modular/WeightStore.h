//===- WeightStore.h - The bytes of weights, mapped or produced -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_WEIGHTSTORE_H
#define GRAFT_MODULAR_WEIGHTSTORE_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"

#include <array>
#include <memory>
#include <mutex>
#include <optional>

namespace graft {

/// 128 bits of BLAKE3 over a tensor's element type, shape and bytes.
using ContentHash = std::array<uint8_t, 16>;

/// The bytes behind `#modular.weight` attributes: dense, row-major, little-endian tensors, by key.
///
/// Bytes are borrowed from mapped files, whose owner the store keeps alive, or owned by the store
/// when a pass produced them. They are never written after they were added. All functions are
/// thread-safe, since passes may run in parallel.
class WeightStore {
public:
  /// Adds a tensor whose bytes belong to `owner`. The number of bytes must be what `type` takes.
  /// Returns the key under which it is kept: `name`, or `name` with a suffix if that names another
  /// tensor already.
  llvm::StringRef addMapped(llvm::StringRef name, mlir::RankedTensorType type,
                            llvm::ArrayRef<char> bytes, std::shared_ptr<const void> owner);

  /// Adds a tensor that a pass has computed.
  llvm::StringRef addProduced(llvm::StringRef name, mlir::RankedTensorType type,
                              std::vector<char> bytes);

  /// Adds a tensor whose bytes are those of another, which must exist, from byte `offset` on.
  llvm::StringRef addView(llvm::StringRef name, mlir::RankedTensorType type, llvm::StringRef of,
                          int64_t offset);

  /// The bytes of a key, or nothing if the store has no such key.
  std::optional<llvm::ArrayRef<char>> lookup(llvm::StringRef key) const;

  /// The hash of a key's content, computed once. The key must exist.
  ContentHash hash(llvm::StringRef key) const;

  /// The number of bytes a dense tensor of `type` takes: bool is a byte, elements below a byte are
  /// not supported. Nothing if the type is dynamic or its size overflows 63 bits.
  static std::optional<int64_t> byteSize(mlir::RankedTensorType type);

private:
  struct Entry {
    mlir::RankedTensorType type;
    llvm::ArrayRef<char> bytes;
    std::shared_ptr<const void> owner;
    std::optional<ContentHash> hash;
  };

  llvm::StringRef add(llvm::StringRef name, Entry entry);

  mutable std::mutex mutex;
  mutable llvm::StringMap<Entry> entries;
};

} // namespace graft

#endif // GRAFT_MODULAR_WEIGHTSTORE_H
