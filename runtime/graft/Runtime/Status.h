//===- Status.h - An error code with words -------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_STATUS_H
#define GRAFT_RUNTIME_STATUS_H

#include "graft/Runtime/graft.h"

#include <string>
#include <utility>

namespace graft::runtime {

/// Success, or a `graft_status` with words: lower case, no full stop, naming the culprit.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(int32_t code, std::string message) : errorCode(code), words(std::move(message)) {}

  bool failed() const { return errorCode != GRAFT_OK; }
  int32_t code() const { return errorCode; }
  const std::string &message() const { return words; }

private:
  int32_t errorCode = GRAFT_OK;
  std::string words;
};

inline Status inputError(std::string message) { return {GRAFT_ERROR_INPUT, std::move(message)}; }
inline Status unsupported(std::string message) {
  return {GRAFT_ERROR_UNSUPPORTED, std::move(message)};
}
inline Status internalError(std::string message) {
  return {GRAFT_ERROR_INTERNAL, std::move(message)};
}
inline Status memoryError(std::string message) { return {GRAFT_ERROR_MEMORY, std::move(message)}; }

} // namespace graft::runtime

#endif
