//===- WeightStore.cpp - The bytes of weights, mapped or produced -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/WeightStore.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace graft;

StringRef WeightStore::add(StringRef name, Entry entry) {
  std::lock_guard<std::mutex> lock(mutex);
  std::string key = name.str();
  for (unsigned suffix = 1; entries.count(key); ++suffix)
    key = (name + "#" + Twine(suffix)).str();
  return entries.try_emplace(key, std::move(entry)).first->getKey();
}

StringRef WeightStore::addMapped(StringRef name, RankedTensorType type, ArrayRef<char> bytes,
                                 std::shared_ptr<const void> owner) {
  return add(name, Entry{type, bytes, std::move(owner), std::nullopt});
}

StringRef WeightStore::addProduced(StringRef name, RankedTensorType type, std::vector<char> bytes) {
  auto owned = std::make_shared<std::vector<char>>(std::move(bytes));
  ArrayRef<char> view(*owned);
  return add(name, Entry{type, view, std::move(owned), std::nullopt});
}

StringRef WeightStore::addView(StringRef name, RankedTensorType type, StringRef of,
                               int64_t offset) {
  std::unique_lock<std::mutex> lock(mutex);
  Entry view = entries.find(of)->second;
  lock.unlock();
  view.type = type;
  view.bytes = view.bytes.slice(offset, *byteSize(type));
  view.hash.reset();
  return add(name, std::move(view));
}

std::optional<ArrayRef<char>> WeightStore::lookup(StringRef key) const {
  std::lock_guard<std::mutex> lock(mutex);
  auto it = entries.find(key);
  if (it == entries.end())
    return std::nullopt;
  return it->second.bytes;
}

ContentHash WeightStore::hash(StringRef key) const {
  std::unique_lock<std::mutex> lock(mutex);
  Entry &entry = entries.find(key)->second;
  if (entry.hash)
    return *entry.hash;
  std::string type;
  llvm::raw_string_ostream(type) << entry.type;
  lock.unlock(); // hashing may take long, and entries are never removed
  llvm::BLAKE3 hasher;
  hasher.update(type);
  hasher.update(
      ArrayRef<uint8_t>(reinterpret_cast<const uint8_t *>(entry.bytes.data()), entry.bytes.size()));
  ContentHash hash;
  auto result = hasher.final<16>();
  std::copy(result.begin(), result.end(), hash.begin());
  lock.lock();
  entry.hash = hash;
  return hash;
}

std::optional<int64_t> WeightStore::byteSize(RankedTensorType type) {
  if (!type.hasStaticShape() || !type.getElementType().isIntOrFloat())
    return std::nullopt;
  unsigned bits = type.getElementTypeBitWidth();
  if (bits != 1 && bits % 8 != 0)
    return std::nullopt;
  int64_t bytes = bits == 1 ? 1 : bits / 8;
  for (int64_t dim : type.getShape())
    if (llvm::MulOverflow(bytes, dim, bytes))
      return std::nullopt;
  return bytes;
}
