//===- DeviceImages.cpp - Which of a library's code a GPU takes -*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/DeviceImages.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <elf.h>
#include <tuple>

using namespace graft::runtime;

std::string DeviceImage::text() const {
  std::string words = isPtx ? "the PTX for sm_" : "the cubin for sm_";
  words += std::to_string(capability);
  return suffix ? words + suffix : words;
}

bool graft::runtime::parseArchitecture(std::string_view text, DeviceImage &image) {
  if (text.substr(0, 3) != "sm_")
    return false;
  text.remove_prefix(3);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), image.capability);
  text.remove_prefix(size_t(end - text.data()));
  image.suffix = text.empty() ? 0 : text[0];
  return error == std::errc() && image.capability >= 10 && image.capability < 10000 &&
         (text.empty() || text == "a" || text == "f");
}

/// Those of boards with memory of their own do not take these' code, nor these theirs.
static bool isEmbedded(int64_t capability) {
  for (int64_t each : {53, 62, 72, 87, 101, 110})
    if (capability == each)
      return true;
  return false;
}

/// As the CUDA C++ Programming Guide has it under "Binary Compatibility", "PTX Compatibility" and
/// "Architecture-Specific Features": machine code is for the minor revisions from its own on, with
/// `a` for its own alone; PTX is for all that is newer, unless it has a suffix.
static bool fits(const DeviceImage &image, int64_t capability) {
  if (image.capability == capability)
    return true;
  if (image.suffix == 'a' || image.capability > capability)
    return false;
  const bool isOfFamily = image.capability / 10 == capability / 10;
  if (image.isPtx)
    return image.suffix == 0 || isOfFamily;
  return isOfFamily && !isEmbedded(image.capability) && !isEmbedded(capability);
}

std::vector<DeviceImage> graft::runtime::fittingImages(const std::vector<DeviceImage> &images,
                                                       int64_t capability) {
  std::vector<DeviceImage> found;
  for (const DeviceImage &image : images)
    if (fits(image, capability))
      found.push_back(image);
  auto rank = [](const DeviceImage &image) {
    // Of one capability, what others cannot run uses what they do not have.
    const int specific = image.suffix == 'a' ? 2 : image.suffix == 'f' ? 1 : 0;
    return std::tuple(!image.isPtx, image.capability, specific);
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const DeviceImage &a, const DeviceImage &b) { return rank(a) > rank(b); });
  return found;
}

bool graft::runtime::isWholeCubin(const char *begin, uint64_t bytes) {
  Elf64_Ehdr header;
  if (bytes < sizeof(header))
    return false;
  std::memcpy(&header, begin, sizeof(header));
  auto tableFits = [&](uint64_t offset, uint64_t count, uint64_t size) {
    return offset <= bytes && count * size <= bytes - offset;
  };
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
         header.e_ident[EI_CLASS] == ELFCLASS64 &&
         tableFits(header.e_shoff, header.e_shnum, header.e_shentsize) &&
         tableFits(header.e_phoff, header.e_phnum, header.e_phentsize);
}
