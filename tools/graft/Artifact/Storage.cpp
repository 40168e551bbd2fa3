//===- Storage.cpp - The weights of a library --------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/Storage.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace graft;

static constexpr uint64_t kAlignment = 64;

static ContentHash hashOf(ArrayRef<char> bytes) {
  auto digest = llvm::BLAKE3::hash<16>(
      ArrayRef<uint8_t>(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  ContentHash hash;
  std::copy(digest.begin(), digest.end(), hash.begin());
  return hash;
}

FailureOr<std::vector<char>> graft::packWeight(ArrayRef<char> bytes, RankedTensorType type,
                                               Attribute packing, std::string &error) {
  auto fields = dyn_cast<DictionaryAttr>(packing);
  auto panelAttr = fields ? fields.getAs<IntegerAttr>("panel") : IntegerAttr();
  int64_t panel = panelAttr ? panelAttr.getInt() : 0;
  if (panel < 1 || panel > 4096 || type.getRank() != 2) {
    llvm::raw_string_ostream(error) << "cannot pack " << type << " as " << packing;
    return failure();
  }
  bool transposed = fields.get("transposed") != nullptr;
  if (auto flag = fields.getAs<BoolAttr>("transposed"))
    transposed = flag.getValue();
  int64_t rows = type.getDimSize(transposed ? 1 : 0);    // K
  int64_t columns = type.getDimSize(transposed ? 0 : 1); // N
  int64_t size = *WeightStore::byteSize(RankedTensorType::get({1}, type.getElementType()));
  int64_t panels = llvm::divideCeil(columns, panel);
  std::optional<int64_t> total =
      WeightStore::byteSize(RankedTensorType::get({panels, rows, panel}, type.getElementType()));
  if (!total) {
    llvm::raw_string_ostream(error) << "the packed form of " << type << " is too large";
    return failure();
  }
  std::vector<char> packed(*total);
  for (int64_t p = 0; p < panels; ++p) {
    int64_t width = std::min(panel, columns - p * panel);
    char *out = packed.data() + p * rows * panel * size;
    if (!transposed) {
      for (int64_t k = 0; k < rows; ++k)
        memcpy(out + k * panel * size, bytes.data() + (k * columns + p * panel) * size,
               width * size);
      continue;
    }
    // Columns of the panel are rows of the source: a block of k at a time stays in the cache.
    for (int64_t k0 = 0; k0 < rows; k0 += 64)
      for (int64_t j = 0; j < width; ++j)
        for (int64_t k = k0, end = std::min(rows, k0 + 64); k < end; ++k)
          memcpy(out + (k * panel + j) * size, bytes.data() + ((p * panel + j) * rows + k) * size,
                 size);
  }
  return packed;
}

FailureOr<unsigned> StorageWriter::add(modular::WeightAttr weight, Attribute packing,
                                       Location loc) {
  if (!weight) {
    // The code has no such slot: any weight will do.
    if (facts.blobs.empty()) {
      stream.write_zeros(1);
      facts.blobs.push_back({"unused", 0, 1});
      facts.bytes = 1;
    }
    return 0u;
  }
  // Which slot of its stage a weight is for does not matter to its form.
  if (auto fields = dyn_cast_or_null<DictionaryAttr>(packing); fields && fields.get("source")) {
    NamedAttrList form(fields);
    form.erase("source");
    packing = form.getDictionary(packing.getContext());
  }
  auto key = std::make_pair(Attribute(weight), packing);
  if (auto it = known.find(key); it != known.end())
    return it->second;
  auto fail = [&](const Twine &message) -> FailureOr<unsigned> {
    emitError(loc) << "weight '" << weight.getKey() << "': " << message;
    return failure();
  };
  std::optional<ArrayRef<char>> bytes = store.lookup(weight.getKey());
  if (!bytes)
    return fail("the store of weights does not have it");
  std::optional<int64_t> expected = WeightStore::byteSize(weight.getType());
  if (!expected || uint64_t(*expected) != bytes->size())
    return fail("expected " + Twine(expected.value_or(-1)) + " bytes, found " +
                Twine(bytes->size()));

  auto source = std::make_pair(store.hash(weight.getKey()), packing.getAsOpaquePointer());
  if (auto it = sources.find(source); it != sources.end())
    return known[key] = it->second;

  std::vector<char> packed;
  ArrayRef<char> content = *bytes;
  if (packing) {
    std::string error;
    FailureOr<std::vector<char>> result = packWeight(*bytes, weight.getType(), packing, error);
    if (failed(result))
      return fail(error);
    packed = std::move(*result);
    content = packed;
  }
  auto [it, added] = contents.try_emplace(hashOf(content), facts.blobs.size());
  if (added) {
    uint64_t position = llvm::alignTo(facts.bytes, kAlignment);
    stream.write_zeros(base + position - stream.tell());
    stream.write(content.data(), content.size());
    facts.blobs.push_back({weight.getKey().str(), position, content.size()});
    facts.bytes = position + content.size();
    facts.sourceBytes += bytes->size();
  }
  sources[source] = it->second;
  return known[key] = it->second;
}
