//===- Adapter.cpp - Reads a PEFT adapter's folder -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Adapter.h"
#include "graft/Link/Elements.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace mlir;
using namespace graft;
using llvm::Error;
using llvm::Expected;

namespace {

/// The tensors of one module of the adapter.
struct Parts {
  const SafeTensor *down = nullptr, *up = nullptr, *upBias = nullptr, *magnitude = nullptr,
                   *tokens = nullptr;
  bool embedding = false;
  /// Of a layer within an adapted one: the outer one's path, which the config's patterns are for.
  std::string outer;
  /// Tensors that a module of the backbone has under the same name, by that name; of the wrapped
  /// layer, or plain.
  std::map<std::string, const SafeTensor *> base, plain;

  bool adapted() const { return down || up || magnitude; }
};

/// Sorts an adapter's tensors by the modules that they belong to and turns them into changes.
class Sorter {
public:
  explicit Sorter(Adapter &adapter) : adapter(adapter) {}

  Error run() {
    for (const SafeTensor &tensor : adapter.tensors)
      if (Error error = place(tensor))
        return error;
    for (auto &[module, parts] : modules)
      if (Error error = change(module, parts))
        return error;
    if (adapter.changes.empty())
      return inputFault(adapter.file + ": expected tensors of an adapter, found none");
    for (const auto &[key, indices] : adapter.config.tokenIndices)
      if (!indices.empty() && !usedTokens)
        return inputFault(adapter.file +
                          ": expected a tensor trainable_tokens_delta for the config's " +
                          "trainable_token_indices, found none");
    return Error::success();
  }

private:
  Error place(const SafeTensor &tensor);
  Error change(const std::string &module, Parts &parts);
  Error lowRank(const std::string &module, const Parts &parts);
  Error tokens(const std::string &module, const Parts &parts);
  bool isSaved(StringRef module) const;
  std::string where(const SafeTensor &tensor) const { return adapter.file + ": " + tensor.name; }
  Error set(const SafeTensor *&slot, const SafeTensor &tensor) {
    if (slot)
      return inputFault(where(tensor) + ": says the same as " + slot->name);
    slot = &tensor;
    return Error::success();
  }

  Adapter &adapter;
  Parts &partsOf(StringRef path) {
    // PEFT wraps torch's MultiheadAttention, and within the wrapped one its out_proj.
    auto [outer, inner] = path.split(".base_layer.");
    std::string module = inner.empty() ? path.str() : (outer + "." + inner).str();
    auto [it, isNew] = order.try_emplace(module, modules.size());
    if (isNew)
      modules.emplace_back(module, Parts());
    Parts &parts = modules[it->second].second;
    if (!inner.empty())
      parts.outer = outer.str();
    return parts;
  }

  /// In the order of the file, so that the first that is wrong is the one that is named.
  std::vector<std::pair<std::string, Parts>> modules;
  llvm::StringMap<size_t> order;
  bool usedTokens = false;
};

/// Removes `.suffix` from the end of `name`.
bool consume(StringRef &name, StringRef suffix) {
  return name.size() > suffix.size() + 1 && name.drop_back(suffix.size()).ends_with(".") &&
         name.consume_back(suffix) && name.consume_back(".");
}

Error Sorter::place(const SafeTensor &tensor) {
  StringRef name = tensor.name;
  if (!name.consume_front("base_model.model."))
    return inputFault(where(tensor) + ": expected a name that begins with base_model.model.");
  auto element = dyn_cast<FloatType>(tensor.type.getElementType());
  if (!element || !isParameterElement(element)) {
    std::string found;
    llvm::raw_string_ostream(found) << tensor.type.getElementType();
    return inputFault(where(tensor) + ": expected elements of f32, f16, bf16 or f64, found " +
                      found);
  }
  if (int64_t at = findNotFinite(tensor.bytes, element); at >= 0)
    return inputFault(where(tensor) +
                      ": expected finite numbers, found NaN or infinity at element " + Twine(at));

  if (consume(name, "lora_A.weight") || consume(name, "lora_A.default.weight"))
    return set(partsOf(name).down, tensor);
  if (consume(name, "lora_B.weight") || consume(name, "lora_B.default.weight"))
    return set(partsOf(name).up, tensor);
  if (consume(name, "lora_B.bias") || consume(name, "lora_B.default.bias"))
    return set(partsOf(name).upBias, tensor);
  bool isDown = consume(name, "lora_embedding_A");
  if (isDown || consume(name, "lora_embedding_B")) {
    Parts &parts = partsOf(name);
    parts.embedding = true;
    return set(isDown ? parts.down : parts.up, tensor);
  }
  if (consume(name, "lora_magnitude_vector") || consume(name, "lora_magnitude_vector.weight"))
    return set(partsOf(name).magnitude, tensor);
  if (consume(name, "token_adapter.trainable_tokens_delta") ||
      consume(name, "trainable_tokens_delta"))
    return set(partsOf(name).tokens, tensor);
  if (name.contains(".lora_") || name.contains(".ranknum") || name.contains("_delta"))
    return inputFault(where(tensor) + ": expected a tensor of LoRA, found an unknown one");

  auto [module, role] = name.rsplit('.');
  if (role.empty())
    std::swap(module, role);
  for (StringRef wrapper : {"token_adapter.base_layer", "base_layer", "original_module"})
    if (consume(module, wrapper))
      return set(partsOf(module).base[role.str()], tensor);
  consume(module, "modules_to_save");
  return set(partsOf(module).plain[role.str()], tensor);
}

/// PEFT saves a module if the end of its path is named; its parts are saved with it.
bool Sorter::isSaved(StringRef module) const {
  for (StringRef path = module; !path.empty(); path = path.rsplit('.').first) {
    for (const std::string &name : adapter.config.modulesToSave)
      if (path.ends_with(name))
        return true;
    if (!path.contains('.'))
      break;
  }
  return false;
}

Error Sorter::lowRank(const std::string &module, const Parts &parts) {
  const AdapterConfig &config = adapter.config;
  if (!parts.down || !parts.up) {
    const SafeTensor &other = parts.down ? *parts.down : parts.up ? *parts.up : *parts.magnitude;
    return inputFault(where(other) + ": expected lora_A and lora_B of " + module + ", found no " +
                      (parts.down ? "lora_B" : "lora_A"));
  }
  ArrayRef<int64_t> down = parts.down->type.getShape(), up = parts.up->type.getShape();
  for (const SafeTensor *tensor : {parts.down, parts.up})
    if (tensor->type.getRank() < 2 || (parts.embedding && tensor->type.getRank() != 2))
      return inputFault(where(*tensor) + ": expected a matrix, found a tensor of rank " +
                        Twine(tensor->type.getRank()));
  const std::string &named = parts.outer.empty() ? module : parts.outer;
  auto expected = matchPattern<int64_t>(config.rankPattern, named, adapter.folder);
  if (!expected)
    return expected.takeError();
  auto alpha = matchPattern<double>(config.alphaPattern, named, adapter.folder);
  if (!alpha)
    return alpha.takeError();
  int64_t rank = expected->value_or(config.rank);
  if (down[0] != rank)
    return inputFault(where(*parts.down) + ": expected the rank " + Twine(rank) +
                      " that the config gives it (r, rank_pattern), found " + Twine(down[0]));
  Change change{Change::LowRank, module, "weight"};
  change.down = parts.down;
  change.up = parts.up;
  change.magnitude = parts.magnitude;
  change.embedding = parts.embedding;
  change.scale = alpha->value_or(config.alpha) /
                 (config.rankStabilized ? std::sqrt(static_cast<double>(rank)) : rank);
  // PEFT merges a MultiheadAttention before it runs: itself, out_proj's too, and then out_proj once
  // more. What was trained is twice the delta.
  if (!parts.outer.empty())
    change.scale *= 2;
  // A convolution in groups has a B of (out, rank / groups, 1, 1): the backbone knows the groups.
  bool kernel = down.size() > 2;
  if (kernel ? (up.size() != down.size() || up[1] == 0 || rank % up[1] != 0) : up[1] != rank)
    return inputFault(where(*parts.up) + ": expected the rank of lora_A, " + Twine(rank) +
                      ", found " + Twine(up.size() > 1 ? up[1] : 0));
  if (!kernel && (down.size() != 2 || up.size() != 2))
    return inputFault(where(*parts.up) + ": expected a matrix, as lora_A is one");
  for (size_t d = 2; kernel && d < up.size(); ++d)
    if (up[d] != 1)
      return unsupportedFault(where(*parts.up) +
                              ": a lora_B with a kernel above 1 is not supported");
  if (config.dora != (parts.magnitude != nullptr))
    return inputFault(
        where(*parts.down) + ": expected " +
        (config.dora ? "a lora_magnitude_vector beside it, for the config says use_dora, found none"
                     : "no lora_magnitude_vector beside it, for the config doesn't say use_dora, "
                       "found one"));
  if (parts.magnitude && parts.magnitude->type.getNumElements() != up[0])
    return inputFault(where(*parts.magnitude) + ": expected " + Twine(up[0]) +
                      " magnitudes, as lora_B has rows, found " +
                      Twine(parts.magnitude->type.getNumElements()));
  adapter.changes.push_back(std::move(change));
  if (!parts.upBias)
    return Error::success();
  if (config.dora)
    return unsupportedFault(where(*parts.upBias) + ": DoRA with a bias of lora_B is not supported");
  if (parts.upBias->type.getNumElements() != up[0])
    return inputFault(where(*parts.upBias) + ": expected " + Twine(up[0]) + " elements, found " +
                      Twine(parts.upBias->type.getNumElements()));
  Change bias{Change::Delta, module, "bias"};
  bias.value = parts.upBias;
  bias.scale = adapter.changes.back().scale;
  adapter.changes.push_back(std::move(bias));
  return Error::success();
}

Error Sorter::tokens(const std::string &module, const Parts &parts) {
  Change change{Change::Tokens, module, "weight"};
  change.value = parts.tokens;
  change.embedding = true;
  const std::vector<int64_t> *indices = nullptr;
  for (const auto &[key, value] : adapter.config.tokenIndices)
    if (key.empty() || StringRef(module).ends_with(key))
      indices = &value;
  if (!indices)
    return inputFault(where(*parts.tokens) + ": expected trainable_token_indices of " + module +
                      " in the config, found none");
  if (parts.tokens->type.getRank() != 2 ||
      parts.tokens->type.getDimSize(0) != static_cast<int64_t>(indices->size()))
    return inputFault(where(*parts.tokens) + ": expected a row for each of the config's " +
                      Twine(indices->size()) + " trainable tokens, found " +
                      Twine(parts.tokens->type.getRank() ? parts.tokens->type.getDimSize(0) : 0));
  if (parts.down)
    return unsupportedFault(
        where(*parts.tokens) +
        ": trainable tokens of an embedding that LoRA changes too are not supported");
  change.indices = *indices;
  usedTokens = true;
  if (!indices->empty())
    adapter.changes.push_back(std::move(change));
  return Error::success();
}

Error Sorter::change(const std::string &module, Parts &parts) {
  auto add = [&](Change::Kind kind, const std::string &role, const SafeTensor *tensor) {
    Change change{kind, module, role};
    change.value = tensor;
    change.embedding = false;
    adapter.changes.push_back(std::move(change));
  };
  bool saved = isSaved(module);
  if (saved && parts.adapted())
    return inputFault(adapter.file + ": " + module +
                      ": expected a module that is either saved or adapted, found both");
  // A base layer that is itself replaced, in parts: what replaces comes first, what adds after it.
  for (auto &[role, tensor] : parts.base) {
    bool trained = role == "bias" && adapter.config.bias != "none";
    add(trained ? Change::Replace : Change::Copy, role, tensor);
  }
  for (auto &[role, tensor] : parts.plain) {
    bool trained =
        saved || (role == "bias" && (adapter.config.bias == "all" ||
                                     (adapter.config.bias == "lora_only" && parts.adapted())));
    add(trained ? Change::Replace : Change::Copy, role, tensor);
  }
  if (parts.adapted())
    if (Error error = lowRank(module, parts))
      return error;
  if (parts.upBias && !parts.adapted())
    return inputFault(where(*parts.upBias) + ": expected lora_A and lora_B of " + module +
                      ", found neither");
  if (parts.tokens)
    if (Error error = tokens(module, parts))
      return error;
  return Error::success();
}

} // namespace

std::string Adapter::kind() const {
  std::string kind = config.dora ? "dora" : "lora";
  if (config.rankStabilized)
    kind += ", rank-stabilised";
  if (llvm::any_of(changes, [](const Change &c) { return c.kind == Change::Tokens; }))
    kind += ", trainable tokens";
  if (llvm::any_of(changes, [](const Change &c) { return c.kind == Change::Replace; }))
    kind += ", saved parameters";
  return kind;
}

Expected<std::unique_ptr<Adapter>> graft::readAdapter(StringRef folder, MLIRContext *context) {
  if (!llvm::sys::fs::is_directory(folder))
    return inputFault(folder + ": expected the folder of an adapter, found " +
                      (llvm::sys::fs::exists(folder) ? "a file" : "nothing"));
  auto adapter = std::make_unique<Adapter>();
  adapter->folder = folder.str();
  SmallString<256> path(folder);
  llvm::sys::path::append(path, "adapter_config.json");
  auto config = readAdapterConfig(path);
  if (!config)
    return config.takeError();
  adapter->config = std::move(*config);

  path = folder;
  llvm::sys::path::append(path, "adapter_model.safetensors");
  adapter->file = path.str().str();
  if (!llvm::sys::fs::exists(path)) {
    SmallString<256> pickle(folder);
    llvm::sys::path::append(pickle, "adapter_model.bin");
    if (llvm::sys::fs::exists(pickle))
      return unsupportedFault(pickle + ": a pickled adapter is not supported; PEFT writes "
                                       "adapter_model.safetensors");
  }
  auto file = SafetensorsFile::open(path, context);
  if (!file)
    return file.takeError();
  adapter->data = file->file();
  adapter->tensors = file->tensors().vec();
  Sorter sorter(*adapter);
  if (Error error = sorter.run())
    return std::move(error);
  return std::move(adapter);
}
