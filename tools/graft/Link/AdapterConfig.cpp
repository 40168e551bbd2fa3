//===- AdapterConfig.cpp - adapter_config.json of PEFT -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Adapter.h"
#include "graft/Link/Json.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <regex>

using namespace graft;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;

namespace {

/// Reads the keys of a configuration, each with the type that it must have.
class Reader {
public:
  Reader(const Json &json, std::string where) : json(json), where(std::move(where)) {}

  /// The value of `key`, or null if it is missing or null.
  const Json *find(const char *key) const {
    auto it = json.find(key);
    return it == json.end() || it->is_null() ? nullptr : &*it;
  }

  Error expected(const Twine &key, const Twine &what, const Json &found) const {
    return inputFault(where + ": " + key + ": expected " + what + ", found " +
                      found.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  Error read(const char *key, bool &value) const {
    if (const Json *found = find(key)) {
      if (!found->is_boolean())
        return expected(key, "true or false", *found);
      value = found->get<bool>();
    }
    return Error::success();
  }

  Error read(const char *key, std::string &value) const {
    if (const Json *found = find(key)) {
      if (!found->is_string())
        return expected(key, "a string", *found);
      value = found->get<std::string>();
    }
    return Error::success();
  }

  Error readRank(const Twine &key, const Json &found, int64_t &value) const {
    if (!found.is_number_unsigned() || found.get<uint64_t>() == 0 ||
        found.get<uint64_t>() > (1u << 30))
      return expected(key, "a rank of at least 1", found);
    value = found.get<int64_t>();
    return Error::success();
  }

  Error readAlpha(const Twine &key, const Json &found, double &value) const {
    if (!found.is_number() || !std::isfinite(found.get<double>()))
      return expected(key, "a finite number", found);
    value = found.get<double>();
    return Error::success();
  }

  template <typename T, typename Read>
  Error readPatterns(const char *key, std::vector<std::pair<std::string, T>> &patterns,
                     Read read) const {
    const Json *found = find(key);
    if (!found)
      return Error::success();
    if (!found->is_object())
      return expected(key, "an object", *found);
    for (const auto &[pattern, value] : found->items()) {
      patterns.emplace_back(pattern, T());
      if (Error error = (this->*read)(Twine(key) + ": " + pattern, value, patterns.back().second))
        return error;
      // Whether it is a pattern at all is found out once, here.
      auto matched = matchPattern<T>(patterns, "", where + ": " + key);
      if (!matched)
        return matched.takeError();
    }
    return Error::success();
  }

  Error readStrings(const char *key, std::vector<std::string> &values) const {
    const Json *found = find(key);
    if (!found)
      return Error::success();
    if (!found->is_array())
      return expected(key, "a list of strings", *found);
    for (const Json &item : *found) {
      if (!item.is_string())
        return expected(key, "a list of strings", *found);
      values.push_back(item.get<std::string>());
    }
    return Error::success();
  }

  Error readIndices(const Twine &key, const Json &found, std::vector<int64_t> &indices) const {
    if (!found.is_array())
      return expected(key, "a list of token indices", found);
    for (const Json &item : found) {
      if (!item.is_number_unsigned() || item.get<uint64_t>() > INT64_MAX)
        return expected(key, "token indices of at least 0", item);
      indices.push_back(item.get<int64_t>());
    }
    std::vector<int64_t> sorted = indices;
    llvm::sort(sorted);
    if (auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
      return inputFault(where + ": " + key + ": expected each token once, found " + Twine(*twice) +
                        " twice");
    return Error::success();
  }

  Error readTokens(AdapterConfig &config) const {
    const char *key = "trainable_token_indices";
    const Json *found = find(key);
    if (!found)
      return Error::success();
    if (!found->is_object()) {
      config.tokenIndices.emplace_back();
      return readIndices(key, *found, config.tokenIndices.back().second);
    }
    for (const auto &[module, indices] : found->items()) {
      config.tokenIndices.emplace_back(module, std::vector<int64_t>());
      if (Error error =
              readIndices(Twine(key) + ": " + module, indices, config.tokenIndices.back().second))
        return error;
    }
    return Error::success();
  }

private:
  const Json &json;
  std::string where;
};

/// Options that change what the tensors mean, and are not supported when they are set.
const char *const unsupported[] = {
    "target_parameters", "layer_replication", "use_qalora",          "alora_invocation_tokens",
    "arrow_config",      "lora_ga_config",    "ensure_weight_tying", "use_bdlora",
    "monteclora_config", "velora_config",     "kasa_config",
};

/// Options that are read here, or that change nothing once an adapter is trained: what says which
/// modules have tensors, for the tensors say so themselves; what is drawn or frozen in training;
/// where the work is done; who wrote the file.
const char *const known[] = {
    // read
    "peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "fan_in_fan_out", "lora_bias", "bias",
    "task_type", "base_model_name_or_path", "rank_pattern", "alpha_pattern", "modules_to_save",
    "trainable_token_indices", "init_lora_weights",
    // which modules
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
    // training
    "lora_dropout", "loftq_config", "eva_config", "corda_config", "inference_mode",
    "qalora_group_size",
    // where
    "runtime_config", "megatron_config", "megatron_core", "merge_weights",
    // who
    "peft_version", "auto_mapping", "revision"};

/// Initialisations that change the backbone's own weights, and those that leave them alone.
const char *const changingInits[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};
const char *const harmlessInits[] = {"gaussian", "eva", "orthogonal", "mica"};

/// Whether an option that is set like this is off.
bool isOff(const Json &value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
         (value.is_structured() && value.empty()) ||
         (value.is_string() && value.get_ref<const std::string &>().empty());
}

} // namespace

template <typename T>
Expected<std::optional<T>> graft::matchPattern(llvm::ArrayRef<std::pair<std::string, T>> patterns,
                                               StringRef module, StringRef where) {
  for (const auto &[pattern, value] : patterns) {
    try {
      // As PEFT asks Python: re.match(rf"(.*\.)?({pattern})$", module).
      std::regex regex("(.*\\.)?(" + pattern + ")", std::regex::ECMAScript);
      if (std::regex_match(module.begin(), module.end(), regex))
        return std::optional<T>(value);
    } catch (const std::regex_error &error) {
      return inputFault(where + ": expected a regular expression, found '" + pattern + "'");
    }
  }
  return std::optional<T>();
}
template Expected<std::optional<int64_t>>
    graft::matchPattern(llvm::ArrayRef<std::pair<std::string, int64_t>>, StringRef, StringRef);
template Expected<std::optional<double>>
    graft::matchPattern(llvm::ArrayRef<std::pair<std::string, double>>, StringRef, StringRef);

Expected<AdapterConfig> graft::readAdapterConfig(StringRef path) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  auto json = parseJson(StringRef((*file)->bytes().data(), (*file)->bytes().size()), path);
  if (!json)
    return json.takeError();
  if (!json->is_object())
    return inputFault(path + ": expected a JSON object");
  Reader reader(*json, path.str());

  const Json *type = reader.find("peft_type");
  if (!type) {
    if (StringRef version = reader.find("version") && reader.find("version")->is_string()
                                ? StringRef(reader.find("version")->get_ref<const std::string &>())
                                : "";
        reader.find("config") && version.starts_with("adapters"))
      return unsupportedFault(path + ": adapters of AdapterHub are not supported");
    return inputFault(path + ": expected a peft_type, found none");
  }
  if (!type->is_string())
    return reader.expected("peft_type", "a string", *type);
  if (type->get<std::string>() != "LORA")
    return unsupportedFault(path + ": peft_type " + type->get<std::string>() +
                            " is not supported; LORA is");
  for (const auto &[key, value] : json->items()) {
    if (isOff(value) || llvm::is_contained(known, StringRef(key)))
      continue;
    if (llvm::is_contained(unsupported, StringRef(key)))
      return unsupportedFault(path + ": " + key + " is not supported");
    return unsupportedFault(path + ": " + key + ": expected an option of LoRA, found an unknown " +
                            "one that is set; what it changes would be left out");
  }
  if (const Json *init = reader.find("init_lora_weights"); init && init->is_string()) {
    const std::string name = StringRef(init->get_ref<const std::string &>()).lower();
    auto begins = [&](StringRef known) { return StringRef(name).starts_with(known); };
    if (llvm::any_of(changingInits, begins))
      return unsupportedFault(path + ": init_lora_weights '" + init->get<std::string>() +
                              "' is not supported: it changes the backbone's own weights; PEFT "
                              "converts such an adapter when it is "
                              "saved with path_initial_model_for_weight_conversion");
    if (!llvm::is_contained(harmlessInits, StringRef(name)))
      return unsupportedFault(path + ": init_lora_weights '" + init->get<std::string>() +
                              "' is unknown; it may change the backbone's own weights");
  }

  AdapterConfig config;
  const Json *rank = reader.find("r"), *alpha = reader.find("lora_alpha");
  if (!rank || !alpha)
    return inputFault(path + ": expected " + (rank ? "lora_alpha" : "r") + ", found none");
  if (Error error = reader.readRank("r", *rank, config.rank))
    return std::move(error);
  if (Error error = reader.readAlpha("lora_alpha", *alpha, config.alpha))
    return std::move(error);
  bool loraBias = false; // the tensors say so themselves
  for (auto [key, value] : {std::pair<const char *, bool *>{"use_rslora", &config.rankStabilized},
                            {"use_dora", &config.dora},
                            {"fan_in_fan_out", &config.fanInFanOut},
                            {"lora_bias", &loraBias}})
    if (Error error = reader.read(key, *value))
      return std::move(error);
  for (auto [key, value] : {std::pair<const char *, std::string *>{"bias", &config.bias},
                            {"task_type", &config.taskType},
                            {"base_model_name_or_path", &config.baseModel}})
    if (Error error = reader.read(key, *value))
      return std::move(error);
  if (config.bias != "none" && config.bias != "all" && config.bias != "lora_only")
    return inputFault(path + ": bias: expected none, all or lora_only, found '" + config.bias +
                      "'");
  if (Error error = reader.readPatterns("rank_pattern", config.rankPattern, &Reader::readRank))
    return std::move(error);
  if (Error error = reader.readPatterns("alpha_pattern", config.alphaPattern, &Reader::readAlpha))
    return std::move(error);
  if (Error error = reader.readStrings("modules_to_save", config.modulesToSave))
    return std::move(error);
  // PEFT's models for a task save their heads unasked.
  if (config.taskType == "SEQ_CLS" || config.taskType == "TOKEN_CLS")
    config.modulesToSave.insert(config.modulesToSave.end(), {"classifier", "score"});
  if (config.taskType == "QUESTION_ANS")
    config.modulesToSave.push_back("qa_outputs");
  if (Error error = reader.readTokens(config))
    return std::move(error);
  return std::move(config);
}
