//===- Elements.cpp - Single elements of stored tensors -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Elements.h"

#include <cstring>

using namespace mlir;
using namespace graft;
using llvm::APFloat;
using llvm::APInt;

bool graft::isParameterElement(Type type) {
  return isa<Float64Type, Float32Type, Float16Type, BFloat16Type>(type);
}

unsigned graft::elementSize(Type type) { return type.getIntOrFloatBitWidth() / 8; }

APFloat graft::readElement(const char *data, FloatType type) {
  uint64_t bits = 0;
  std::memcpy(&bits, data, type.getWidth() / 8);
  return APFloat(type.getFloatSemantics(), APInt(type.getWidth(), bits));
}

bool graft::sameElement(const char *a, FloatType aType, const char *b, FloatType bType) {
  if (aType == bType && std::memcmp(a, b, aType.getWidth() / 8) == 0)
    return true;
  APFloat x = readElement(a, aType), y = readElement(b, bType);
  bool lost;
  if (aType.getWidth() < bType.getWidth())
    y.convert(aType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
  else
    x.convert(bType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
  return x.compare(y) == APFloat::cmpEqual;
}

/// Whether the exponent's bits are all set: NaN or infinity.
template <typename Bits> static int64_t findSpecial(ArrayRef<char> bytes, Bits exponent) {
  for (size_t i = 0; i + sizeof(Bits) <= bytes.size(); i += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i, sizeof bits);
    if ((bits & exponent) == exponent)
      return i / sizeof(Bits);
  }
  return -1;
}

int64_t graft::findNotFinite(ArrayRef<char> bytes, FloatType type) {
  if (type.isF64())
    return findSpecial<uint64_t>(bytes, 0x7ff0000000000000ull);
  if (type.isF32())
    return findSpecial<uint32_t>(bytes, 0x7f800000u);
  return findSpecial<uint16_t>(bytes, type.isF16() ? 0x7c00 : 0x7f80);
}

std::vector<char> graft::transposeBytes(ArrayRef<char> bytes, int64_t rows, int64_t columns,
                                        unsigned width) {
  std::vector<char> out(bytes.size());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      std::memcpy(out.data() + (column * rows + row) * width,
                  bytes.data() + (row * columns + column) * width, width);
  return out;
}
