//===- Adapter.h - A PEFT adapter's folder -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_ADAPTER_H
#define GRAFT_LINK_ADAPTER_H

#include "graft/Link/Safetensors.h"

#include <map>
#include <optional>

namespace graft {

/// What adapter_config.json says and linking needs.
struct AdapterConfig {
  int64_t rank = 8;
  double alpha = 8;
  bool rankStabilized = false, dora = false, fanInFanOut = false;
  std::string bias = "none";
  std::string taskType, baseModel;
  std::vector<std::pair<std::string, int64_t>> rankPattern;
  std::vector<std::pair<std::string, double>> alphaPattern;
  std::vector<std::string> modulesToSave;
  /// Indices of trainable tokens by the end of a module's path; an empty one stands for the input
  /// embedding.
  std::vector<std::pair<std::string, std::vector<int64_t>>> tokenIndices;
};

/// How a tensor, or a pair, of an adapter changes one parameter of one module.
struct Change {
  enum Kind {
    LowRank, ///< adds scale · up · down, with rows brought to `magnitude` if there is one
    Delta,   ///< adds scale · value
    Replace, ///< takes the place of the parameter
    Tokens,  ///< takes the place of the rows `indices` of an embedding
    Copy,    ///< a copy of the backbone's own parameter, which must equal it
  };
  Kind kind;
  /// The module's path in the adapter's file and the name of its parameter: `weight` or `bias`
  /// mostly.
  std::string module, role;
  const SafeTensor *down = nullptr, *up = nullptr, *magnitude = nullptr, *value = nullptr;
  bool embedding = false;
  double scale = 1;
  std::vector<int64_t> indices = {};

  /// The tensor that stands for the change in messages.
  const SafeTensor &tensor() const { return down ? *down : *value; }
};

/// A PEFT folder, read and checked as far as that is possible without the backbone.
struct Adapter {
  std::string folder, file;
  AdapterConfig config;
  std::shared_ptr<const MappedFile> data;
  std::vector<SafeTensor> tensors;
  std::vector<Change> changes;

  std::string kind() const;
};

/// Reads the folder. Errors are Faults: what isn't LoRA is unsupported.
llvm::Expected<std::unique_ptr<Adapter>> readAdapter(llvm::StringRef folder,
                                                     mlir::MLIRContext *context);

/// Reads and validates adapter_config.json.
llvm::Expected<AdapterConfig> readAdapterConfig(llvm::StringRef path);

/// The value of the first of PEFT's patterns that matches a module's path.
template <typename T>
llvm::Expected<std::optional<T>> matchPattern(llvm::ArrayRef<std::pair<std::string, T>> patterns,
                                              llvm::StringRef module, llvm::StringRef where);

} // namespace graft

#endif // GRAFT_LINK_ADAPTER_H
