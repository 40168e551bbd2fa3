//===- TensorData.cpp - Elements of ONNX tensors -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/TensorData.h"

#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace mlir;
using namespace graft;
using ::onnx::TensorProto;

namespace {

struct ElementKind {
  int32_t onnx;
  const char *name;
  unsigned bits;
  Type (*type)(MLIRContext *);
};

template <typename T> Type get(MLIRContext *context) { return T::get(context); }
template <unsigned Bits, IntegerType::SignednessSemantics Sign = IntegerType::Signless>
Type integer(MLIRContext *context) {
  return IntegerType::get(context, Bits, Sign);
}
template <typename T> Type complexOf(MLIRContext *context) {
  return ComplexType::get(T::get(context));
}

constexpr auto Unsigned = IntegerType::Unsigned;

const ElementKind kinds[] = {
    {TensorProto::FLOAT, "float", 32, get<Float32Type>},
    {TensorProto::UINT8, "uint8", 8, integer<8, Unsigned>},
    {TensorProto::INT8, "int8", 8, integer<8>},
    {TensorProto::UINT16, "uint16", 16, integer<16, Unsigned>},
    {TensorProto::INT16, "int16", 16, integer<16>},
    {TensorProto::INT32, "int32", 32, integer<32>},
    {TensorProto::INT64, "int64", 64, integer<64>},
    {TensorProto::BOOL, "bool", 8, integer<1>},
    {TensorProto::FLOAT16, "float16", 16, get<Float16Type>},
    {TensorProto::DOUBLE, "double", 64, get<Float64Type>},
    {TensorProto::UINT32, "uint32", 32, integer<32, Unsigned>},
    {TensorProto::UINT64, "uint64", 64, integer<64, Unsigned>},
    {TensorProto::COMPLEX64, "complex64", 64, complexOf<Float32Type>},
    {TensorProto::COMPLEX128, "complex128", 128, complexOf<Float64Type>},
    {TensorProto::BFLOAT16, "bfloat16", 16, get<BFloat16Type>},
    {TensorProto::FLOAT8E4M3FN, "float8e4m3fn", 8, get<Float8E4M3FNType>},
    {TensorProto::FLOAT8E4M3FNUZ, "float8e4m3fnuz", 8, get<Float8E4M3FNUZType>},
    {TensorProto::FLOAT8E5M2, "float8e5m2", 8, get<Float8E5M2Type>},
    {TensorProto::FLOAT8E5M2FNUZ, "float8e5m2fnuz", 8, get<Float8E5M2FNUZType>},
    {TensorProto::UINT4, "uint4", 4, integer<4, Unsigned>},
    {TensorProto::INT4, "int4", 4, integer<4>},
    {TensorProto::FLOAT4E2M1, "float4e2m1", 4, get<Float4E2M1FNType>},
    {TensorProto::FLOAT8E8M0, "float8e8m0", 8, get<Float8E8M0FNUType>},
    {TensorProto::UINT2, "uint2", 2, integer<2, Unsigned>},
    {TensorProto::INT2, "int2", 2, integer<2>},
    {TensorProto::FLOAT6E2M3, "float6e2m3", 6, get<Float6E2M3FNType>},
    {TensorProto::FLOAT6E3M2, "float6e3m2", 6, get<Float6E3M2FNType>},
};

const ElementKind *find(int32_t onnxType) {
  for (const ElementKind &kind : kinds)
    if (kind.onnx == onnxType)
      return &kind;
  return nullptr;
}

/// Appends the low `Bytes` bytes of each value.
template <size_t Bytes, typename Field> void append(std::vector<char> &out, const Field &field) {
  size_t at = out.size();
  out.resize(at + Bytes * field.size());
  for (const auto &value : field) {
    std::memcpy(out.data() + at, &value, Bytes);
    at += Bytes;
  }
}

} // namespace

Type graft::elementType(MLIRContext *context, int32_t onnxType) {
  const ElementKind *kind = find(onnxType);
  return kind ? kind->type(context) : Type();
}

unsigned graft::elementBits(int32_t onnxType) {
  const ElementKind *kind = find(onnxType);
  return kind ? kind->bits : 0;
}

StringRef graft::elementName(int32_t onnxType) {
  if (const ElementKind *kind = find(onnxType))
    return kind->name;
  return onnxType == TensorProto::STRING ? "string" : "an unknown type";
}

llvm::Expected<int64_t> graft::packedBytes(const TensorProto &tensor, StringRef where) {
  unsigned bits = elementBits(tensor.data_type());
  if (bits == 0) {
    if (tensor.data_type() == TensorProto::STRING)
      return unsupportedFault(where + ": a tensor of strings is not supported");
    return inputFault(where + ": expected an element type of ONNX, found " +
                      Twine(tensor.data_type()));
  }
  int64_t count = 1;
  for (int64_t dim : tensor.dims()) {
    if (dim < 0)
      return inputFault(where + ": expected dimensions of at least 0, found " + Twine(dim));
    if (llvm::MulOverflow(count, dim, count))
      return inputFault(where + ": the product of its dimensions overflows");
  }
  int64_t total;
  if (llvm::MulOverflow(count, static_cast<int64_t>(bits), total) ||
      llvm::AddOverflow(total, int64_t(7), total))
    return inputFault(where + ": its size in bytes overflows");
  return total / 8;
}

llvm::Expected<std::vector<char>> graft::packElements(const TensorProto &tensor, StringRef where) {
  llvm::Expected<int64_t> bytes = packedBytes(tensor, where);
  if (!bytes)
    return bytes.takeError();
  std::vector<char> out;
  if (tensor.has_raw_data()) {
    out.assign(tensor.raw_data().begin(), tensor.raw_data().end());
  } else {
    switch (tensor.data_type()) {
    case TensorProto::FLOAT:
    case TensorProto::COMPLEX64:
      append<4>(out, tensor.float_data());
      break;
    case TensorProto::DOUBLE:
    case TensorProto::COMPLEX128:
      append<8>(out, tensor.double_data());
      break;
    case TensorProto::INT64:
      append<8>(out, tensor.int64_data());
      break;
    case TensorProto::UINT64:
      append<8>(out, tensor.uint64_data());
      break;
    case TensorProto::UINT32:
      append<4>(out, tensor.uint64_data());
      break;
    case TensorProto::INT32:
      append<4>(out, tensor.int32_data());
      break;
    case TensorProto::INT16:
    case TensorProto::UINT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      append<2>(out, tensor.int32_data());
      break;
    default: // bytes, and packed elements below a byte
      append<1>(out, tensor.int32_data());
    }
  }
  if (static_cast<int64_t>(out.size()) != *bytes)
    return inputFault(where + ": expected " + Twine(*bytes) + " bytes of " +
                      elementName(tensor.data_type()) + ", found " + Twine(out.size()));
  return out;
}

DenseElementsAttr graft::denseFromRaw(RankedTensorType type, ArrayRef<char> raw) {
  Type element = type.getElementType();
  size_t count = type.getNumElements();
  if (element.isInteger(1)) {
    SmallVector<bool> values;
    for (char byte : raw)
      values.push_back(byte != 0);
    return DenseElementsAttr::get(type, ArrayRef<bool>(values));
  }
  unsigned bits = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 8;
  if (bits >= 8)
    return DenseElementsAttr::getFromRawBuffer(type, raw);
  // Elements are packed from the low bits up; MLIR keeps a byte for each.
  SmallVector<char> values;
  values.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    size_t bit = i * bits;
    unsigned word = static_cast<uint8_t>(raw[bit / 8]);
    if (bit / 8 + 1 < raw.size())
      word |= static_cast<unsigned>(static_cast<uint8_t>(raw[bit / 8 + 1])) << 8;
    values.push_back(static_cast<char>((word >> (bit % 8)) & ((1u << bits) - 1)));
  }
  return DenseElementsAttr::getFromRawBuffer(type, values);
}
