//===- JsonReader.h - Reads JSON, noting the first thing that is wrong *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_JSONREADER_H
#define GRAFT_RUNTIME_JSONREADER_H

#include "graft/Runtime/Status.h"

#include <nlohmann/json.hpp>

#include <limits>

namespace graft::runtime {

/// A place in a JSON document. What is missing or of the wrong kind sets the status that all places
/// share, unless it is set already, and reads as empty: the reader need not look at each step.
class JsonPlace {
public:
  JsonPlace(const nlohmann::json *value, std::string path, Status &status)
      : value(value), path(std::move(path)), status(status) {}

  bool has(const char *key) const {
    return value && value->is_object() && value->contains(key) && !(*value)[key].is_null();
  }

  JsonPlace operator[](const char *key) const {
    std::string inner = path.empty() ? key : path + "." + key;
    if (value && !value->is_object())
      fail("expected an object");
    else if (value && !value->contains(key))
      JsonPlace(nullptr, inner, status).fail("missing");
    else if (value)
      return {&(*value)[key], std::move(inner), status};
    return {nullptr, std::move(inner), status};
  }

  /// Calls `visit` with each element's place and index.
  template <typename Visitor> void each(Visitor visit) const {
    if (value && !value->is_array())
      return fail("expected an array");
    for (size_t i = 0; value && i < value->size() && !status.failed(); ++i)
      visit(JsonPlace(&(*value)[i], path + "[" + std::to_string(i) + "]", status), i);
  }

  /// An integer in [low, high].
  int64_t integer(int64_t low, int64_t high = std::numeric_limits<int64_t>::max()) const {
    if (!value)
      return 0;
    int64_t number = 0;
    bool fits = value->is_number_integer();
    if (fits && value->is_number_unsigned() &&
        value->get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max()))
      fits = false;
    if (fits)
      number = value->get<int64_t>();
    if (!fits || number < low || number > high) {
      fail("expected an integer from " + std::to_string(low) +
           (high == std::numeric_limits<int64_t>::max() ? "" : " to " + std::to_string(high)) +
           ", found " + shown());
      return 0;
    }
    return number;
  }

  /// An index into `count` things called `what`.
  uint32_t index(size_t count, const char *what) const {
    if (!value)
      return 0;
    if (value->is_number_unsigned() && value->get<uint64_t>() < count)
      return value->get<uint32_t>();
    fail("expected one of " + std::to_string(count) + " " + what + ", found " + shown());
    return 0;
  }

  std::string string() const {
    if (value && value->is_string())
      return value->get<std::string>();
    if (value)
      fail("expected a string, found " + shown());
    return {};
  }

  bool boolean() const {
    if (value && value->is_boolean())
      return value->get<bool>();
    if (value)
      fail("expected true or false, found " + shown());
    return false;
  }

  bool isNull() const { return value && value->is_null(); }
  bool isString() const { return value && value->is_string(); }

  void fail(const std::string &words) const {
    if (!status.failed())
      status = inputError("manifest: " + (path.empty() ? "" : path + ": ") + words);
  }

private:
  std::string shown() const {
    std::string text = value->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    return text.size() > 60 ? text.substr(0, 60) + "..." : text;
  }

  const nlohmann::json *value;
  std::string path;
  Status &status;
};

} // namespace graft::runtime

#endif
