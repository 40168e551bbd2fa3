//===- DeviceImages.h - Which of a library's code a GPU takes ---*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_DEVICEIMAGES_H
#define GRAFT_RUNTIME_DEVICEIMAGES_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace graft::runtime {

/// A piece of a graft_device's image.
struct DeviceImage {
  bool isPtx = false;
  int64_t capability = 0; ///< 90 of sm_90a
  char suffix = 0;        ///< 'a', 'f' or none
  uint64_t offset = 0, bytes = 0;

  /// "the cubin for sm_90a"
  std::string text() const;
};

/// Takes sm_90a apart; false if it is something else.
bool parseArchitecture(std::string_view text, DeviceImage &image);

/// Those that a device of that capability may take, the best one first.
std::vector<DeviceImage> fittingImages(const std::vector<DeviceImage> &images, int64_t capability);

/// Whether there is a cubin in `bytes` whose headers stay within it: the driver is not told how
/// long it is.
bool isWholeCubin(const char *begin, uint64_t bytes);

} // namespace graft::runtime

#endif
