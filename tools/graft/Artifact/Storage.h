//===- Storage.h - The weights of a library ----------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ARTIFACT_STORAGE_H
#define GRAFT_ARTIFACT_STORAGE_H

#include "graft/Artifact/Artifact.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/raw_ostream.h"

#include <map>

namespace graft {

/// Writes weights one by one, as they are asked for: each content once, 64-byte aligned. At most
/// one rearranged weight is held in memory.
class StorageWriter {
public:
  /// `base` is where the weights begin in `stream`; so many bytes at least stay free between two.
  StorageWriter(llvm::raw_ostream &stream, uint64_t base, const WeightStore &store,
                uint64_t between = 0)
      : stream(stream), base(base), between(between), store(store) {}

  /// The index in the report's blobs of a weight in the form that `packing` describes.
  mlir::FailureOr<unsigned> add(modular::WeightAttr weight, mlir::Attribute packing,
                                mlir::Location loc);

  const StorageReport &report() const { return facts; }

private:
  llvm::raw_ostream &stream;
  uint64_t base, between;
  const WeightStore &store;
  StorageReport facts;
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::Attribute>, unsigned> known;
  std::map<std::pair<ContentHash, const void *>, unsigned> sources;
  std::map<ContentHash, unsigned> contents;
};

/// Rearranges a weight, or a part of it, as a matrix (K, N), into panels of P columns:
/// (ceil(N/P), K, P), the last panel padded with zeros. `packing` is a dictionary of `panel = P`,
/// `offset`, and of `n` and `k`: sizes and strides of columns and rows, as graft-pack-weights
/// describes them. Fails with `error` set if that is not within the weight.
mlir::FailureOr<std::vector<char>> packWeight(llvm::ArrayRef<char> bytes,
                                              mlir::RankedTensorType type, mlir::Attribute packing,
                                              std::string &error);

/// A relocatable object of nothing but weights: the section `.graft.weights`, read-only and large,
/// so that it may lie beyond 2 GB, and the symbol `graft_weights` at its start.
class WeightsObject {
public:
  /// Where the section's bytes begin in the file.
  static constexpr uint64_t kDataOffset = 4096;

  /// Leaves room for what comes before the section.
  static void begin(llvm::raw_fd_ostream &stream);
  /// Completes the object after `bytes` bytes of the section were written.
  static void end(llvm::raw_fd_ostream &stream, uint64_t bytes);
};

} // namespace graft

#endif // GRAFT_ARTIFACT_STORAGE_H
