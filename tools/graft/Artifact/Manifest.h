//===- Manifest.h - What a library says about itself -------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ARTIFACT_MANIFEST_H
#define GRAFT_ARTIFACT_MANIFEST_H

#include "graft/Artifact/Artifact.h"

namespace graft {

/// A file of weights beside the library.
struct WeightsFile {
  std::string name;
  uint64_t bytes = 0;
  std::string sha256; ///< hexadecimal
};

/// The parts of a specification that one library holds, in the order in which it holds them. The
/// manifest's indices count within these.
struct LibraryContent {
  std::vector<unsigned> codes, stages, tasks;
};

/// The manifest of a library.
/// \param parameters per stage and slot of the specification, an index into `storage.blobs`
/// \param weightsFile null if the weights are in the library
std::string buildManifest(const ArtifactSpec &spec, const LibraryContent &content,
                          const StorageReport &storage,
                          const std::vector<std::vector<unsigned>> &parameters,
                          const WeightsFile *weightsFile);

} // namespace graft

#endif // GRAFT_ARTIFACT_MANIFEST_H
