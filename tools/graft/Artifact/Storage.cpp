//===- Storage.cpp - The weights of a library --------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/Storage.h"

#include "graft/Analysis/Residency.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace graft;

static ContentHash hashOf(ArrayRef<char> bytes) {
  auto digest = llvm::BLAKE3::hash<16>(
      ArrayRef<uint8_t>(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  ContentHash hash;
  std::copy(digest.begin(), digest.end(), hash.begin());
  return hash;
}

/// The places of a dimension's elements from what a packing says of it: sizes and strides in turn,
/// the innermost last. False if some would be beyond the `limit` elements of the weight.
static bool listPlaces(ArrayRef<int64_t> steps, int64_t limit, std::vector<int64_t> &places) {
  places.assign(1, 0);
  for (size_t i = 0; i + 1 < steps.size(); i += 2) {
    int64_t size = steps[i], stride = steps[i + 1];
    if (size < 1 || stride < 0 || stride > limit || size > limit / int64_t(places.size()))
      return false;
    std::vector<int64_t> next;
    next.reserve(places.size() * size);
    for (int64_t place : places)
      for (int64_t j = 0; j < size; ++j)
        next.push_back(place + j * stride);
    places = std::move(next);
    if (places.back() >= limit)
      return false;
  }
  return steps.size() % 2 == 0;
}

FailureOr<std::vector<char>> graft::packWeight(ArrayRef<char> bytes, RankedTensorType type,
                                               Attribute packing, std::string &error) {
  auto fields = dyn_cast<DictionaryAttr>(packing);
  auto get = [&](StringRef name) {
    auto field = fields ? fields.getAs<IntegerAttr>(name) : IntegerAttr();
    return field ? field.getInt() : -1;
  };
  auto columns = fields ? fields.getAs<DenseI64ArrayAttr>("n") : DenseI64ArrayAttr();
  auto rows = fields ? fields.getAs<DenseI64ArrayAttr>("k") : DenseI64ArrayAttr();
  const int64_t panel = get("panel"), offset = get("offset"), elements = type.getNumElements();
  std::vector<int64_t> n, k;
  if (panel < 1 || panel > 4096 || offset < 0 || !columns || !rows ||
      !listPlaces(columns, elements, n) || !listPlaces(rows, elements, k) ||
      offset > elements - 1 - n.back() - k.back()) {
    llvm::raw_string_ostream(error) << "cannot pack " << type << " as " << packing;
    return failure();
  }
  const int64_t depth = k.size(), width = n.size(), panels = llvm::divideCeil(width, panel);
  const int64_t size = *WeightStore::byteSize(RankedTensorType::get({1}, type.getElementType()));
  std::optional<int64_t> total =
      WeightStore::byteSize(RankedTensorType::get({panels, depth, panel}, type.getElementType()));
  if (!total) {
    llvm::raw_string_ostream(error) << "the packed form of " << type << " is too large";
    return failure();
  }
  std::vector<char> packed(*total);
  const char *source = bytes.data() + offset * size;
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t first = p * panel, count = std::min(panel, width - first);
    char *out = packed.data() + p * depth * panel * size;
    if (n[first + count - 1] - n[first] == count - 1) {
      for (int64_t i = 0; i < depth; ++i)
        memcpy(out + i * panel * size, source + (k[i] + n[first]) * size, count * size);
      continue;
    }
    // A block of k at a time stays in the cache.
    for (int64_t k0 = 0; k0 < depth; k0 += 64)
      for (int64_t j = 0; j < count; ++j)
        for (int64_t i = k0, end = std::min(depth, k0 + 64); i < end; ++i)
          memcpy(out + (i * panel + j) * size, source + (k[i] + n[first + j]) * size, size);
  }
  return packed;
}

/// Bytes of the part of a weight that a packing takes.
static uint64_t sizeBeforePacking(Attribute packing, RankedTensorType type) {
  int64_t elements = 1;
  for (StringRef name : {"n", "k"})
    for (auto [i, value] :
         llvm::enumerate(cast<DictionaryAttr>(packing).getAs<DenseI64ArrayAttr>(name).asArrayRef()))
      elements *= i % 2 ? 1 : value;
  return *WeightStore::byteSize(RankedTensorType::get({elements}, type.getElementType()));
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
    uint64_t position = llvm::alignTo(facts.bytes + between, kWeightAlignment);
    stream.write_zeros(base + position - stream.tell());
    stream.write(content.data(), content.size());
    facts.blobs.push_back({weight.getKey().str(), position, content.size()});
    facts.bytes = position + content.size();
    facts.sourceBytes += packing ? sizeBeforePacking(packing, weight.getType()) : bytes->size();
  }
  sources[source] = it->second;
  return known[key] = it->second;
}
