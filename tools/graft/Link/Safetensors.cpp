//===- Safetensors.cpp - Files of tensors -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Safetensors.h"
#include "graft/Link/Json.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace graft;
using llvm::Expected;

/// What a header of ours begins with.
static Json metadata() { return {{"producer", "graft"}}; }

/// The format's own limit.
static constexpr uint64_t maxHeader = 100'000'000;

namespace {
struct NamedType {
  const char *name;
  unsigned bytes;
  Type (*type)(MLIRContext *);
};
template <typename T> Type floating(MLIRContext *context) { return T::get(context); }
template <unsigned Bits, bool Unsigned = false> Type integer(MLIRContext *context) {
  return IntegerType::get(context, Bits, Unsigned ? IntegerType::Unsigned : IntegerType::Signless);
}
const NamedType types[] = {
    {"F64", 8, floating<Float64Type>},
    {"F32", 4, floating<Float32Type>},
    {"F16", 2, floating<Float16Type>},
    {"BF16", 2, floating<BFloat16Type>},
    {"I64", 8, integer<64>},
    {"I32", 4, integer<32>},
    {"I16", 2, integer<16>},
    {"I8", 1, integer<8>},
    {"U64", 8, integer<64, true>},
    {"U32", 4, integer<32, true>},
    {"U16", 2, integer<16, true>},
    {"U8", 1, integer<8, true>},
    {"BOOL", 1, integer<1>},
    {"F8_E4M3", 1, floating<Float8E4M3FNType>},
    {"F8_E5M2", 1, floating<Float8E5M2Type>},
};
} // namespace

Expected<SafetensorsFile> SafetensorsFile::open(StringRef path, MLIRContext *context) {
  auto mapped = MappedFile::open(path);
  if (!mapped)
    return mapped.takeError();
  ArrayRef<char> bytes = (*mapped)->bytes();
  if (bytes.size() < 8)
    return inputFault(path + ": expected a safetensors file, found one of " + Twine(bytes.size()) +
                      " bytes");
  uint64_t length = llvm::support::endian::read64le(bytes.data());
  if (length > maxHeader || length > bytes.size() - 8)
    return inputFault(path + ": expected a header inside the file, found one of " + Twine(length) +
                      " bytes in a file of " + Twine(bytes.size()));
  auto header = parseJson(StringRef(bytes.data() + 8, length), (path + ": header").str());
  if (!header)
    return header.takeError();
  if (!header->is_object())
    return inputFault(path + ": header: expected a JSON object");

  SafetensorsFile file;
  file.mapped = *mapped;
  ArrayRef<char> data = bytes.drop_front(8 + length);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto &[name, entry] : header->items()) {
    if (name == "__metadata__")
      continue;
    std::string where = (path + ": " + name).str();
    auto get = [&, &entry = entry](const char *key) -> const Json * {
      auto it = entry.is_object() ? entry.find(key) : entry.end();
      return entry.is_object() && it != entry.end() ? &*it : nullptr;
    };
    const Json *dtype = get("dtype"), *shape = get("shape"), *offsets = get("data_offsets");
    if (!dtype || !dtype->is_string())
      return inputFault(where + ": expected a string as dtype");
    const auto *named = llvm::find_if(types, [&](const NamedType &type) {
      return dtype->get_ref<const std::string &>() == type.name;
    });
    if (named == std::end(types))
      return inputFault(where + ": expected a known dtype, found '" +
                        dtype->get_ref<const std::string &>() + "'");
    if (!shape || !shape->is_array())
      return inputFault(where + ": expected a list of sizes as shape");
    SmallVector<int64_t> dims;
    uint64_t size = named->bytes;
    for (const Json &dim : *shape) {
      if (!dim.is_number_unsigned() || dim.get<uint64_t>() > INT64_MAX)
        return inputFault(where + ": expected sizes of at least 0 as shape, found " + dim.dump());
      dims.push_back(dim.get<int64_t>());
      if (llvm::MulOverflow(static_cast<int64_t>(size), dims.back(),
                            reinterpret_cast<int64_t &>(size)))
        return inputFault(where + ": the product of its shape overflows");
    }
    if (!offsets || !offsets->is_array() || offsets->size() != 2 ||
        !(*offsets)[0].is_number_unsigned() || !(*offsets)[1].is_number_unsigned())
      return inputFault(where + ": expected two byte positions as data_offsets");
    uint64_t begin = (*offsets)[0].get<uint64_t>(), end = (*offsets)[1].get<uint64_t>();
    if (begin > end || end > data.size())
      return inputFault(where + ": expected data_offsets inside the data of " + Twine(data.size()) +
                        " bytes, found [" + Twine(begin) + ", " + Twine(end) + "]");
    if (end - begin != size)
      return inputFault(where + ": expected " + Twine(size) +
                        " bytes for its shape and dtype, found " + Twine(end - begin));
    file.list.push_back(SafeTensor{name, RankedTensorType::get(dims, named->type(context)),
                                   data.slice(begin, size)});
    ranges.emplace_back(begin, end);
  }
  llvm::sort(file.list, [](const SafeTensor &a, const SafeTensor &b) {
    return std::make_pair(a.bytes.data(), StringRef(a.name)) <
           std::make_pair(b.bytes.data(), StringRef(b.name));
  });
  llvm::sort(ranges);
  uint64_t at = 0;
  for (auto [begin, end] : ranges) {
    if (begin != at)
      return inputFault(path + ": expected tensors that follow each other, found " +
                        (begin < at ? "an overlap" : "a gap") + " at byte " + Twine(begin));
    at = end;
  }
  if (at != data.size())
    return inputFault(path + ": expected " + Twine(at) + " bytes of data, found " +
                      Twine(data.size()));
  return std::move(file);
}

bool graft::isWrittenByGraft(StringRef path) {
  auto mapped = MappedFile::open(path);
  if (!mapped) {
    llvm::consumeError(mapped.takeError());
    return false;
  }
  ArrayRef<char> bytes = (*mapped)->bytes();
  const std::string start = R"({"__metadata__":)" + metadata().dump();
  return bytes.size() >= 8 && StringRef(bytes.data() + 8, bytes.size() - 8).starts_with(start);
}

llvm::Error graft::writeSafetensors(StringRef path, ArrayRef<SafeTensor> tensors) {
  // Larger alignments first: without gaps, which the format forbids, each tensor then is aligned to
  // its elements.
  std::vector<const SafeTensor *> order;
  for (const SafeTensor &tensor : tensors)
    order.push_back(&tensor);
  auto alignment = [](const SafeTensor *tensor) {
    return tensor->bytes.empty() ? 1u : 1u << std::min(6, llvm::countr_zero(tensor->bytes.size()));
  };
  llvm::sort(order, [&](const SafeTensor *a, const SafeTensor *b) {
    return std::make_tuple(alignment(b), StringRef(a->name)) <
           std::make_tuple(alignment(a), StringRef(b->name));
  });
  Json header = {{"__metadata__", metadata()}};
  uint64_t at = 0;
  for (const SafeTensor *tensor : order) {
    const auto *named = llvm::find_if(types, [&](const NamedType &type) {
      return type.type(tensor->type.getContext()) == tensor->type.getElementType();
    });
    if (named == std::end(types))
      return unsupportedFault(path + ": " + tensor->name +
                              ": its element type has no name in safetensors");
    header[tensor->name] = {{"dtype", named->name},
                            {"shape", std::vector<int64_t>(tensor->type.getShape())},
                            {"data_offsets", {at, at + tensor->bytes.size()}}};
    at += tensor->bytes.size();
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize(llvm::alignTo(text.size() + 8, 64) - 8, ' ');
  return llvm::writeToOutput(path, [&](llvm::raw_ostream &os) {
    char length[8];
    llvm::support::endian::write64le(length, text.size());
    os.write(length, sizeof length);
    os << text;
    for (const SafeTensor *tensor : order)
      os.write(tensor->bytes.data(), tensor->bytes.size());
    return llvm::Error::success();
  });
}
