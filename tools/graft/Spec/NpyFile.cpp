//===- NpyFile.cpp - Tensors of .npy files -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/MappedFile.h"
#include "graft/Modular/WeightStore.h"
#include "graft/Spec/Tensors.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;
using llvm::Expected;

static Type elementTypeOf(StringRef code, MLIRContext *context) {
  Builder b(context);
  return llvm::StringSwitch<Type>(code)
      .Case("f8", b.getF64Type())
      .Case("f4", b.getF32Type())
      .Case("f2", b.getF16Type())
      .Case("i8", b.getI64Type())
      .Case("i4", b.getI32Type())
      .Case("i1", b.getIntegerType(8))
      .Case("u1", b.getIntegerType(8, /*isSigned=*/false))
      .Case("b1", b.getI1Type())
      .Default(Type());
}

Expected<StoredTensor> graft::spec::readNpyFile(StringRef path, MLIRContext *context) {
  auto mapped = MappedFile::open(path);
  if (!mapped)
    return mapped.takeError();
  ArrayRef<char> bytes = (*mapped)->bytes();
  StringRef text(bytes.data(), bytes.size());
  auto damaged = [&](const Twine &words) { return inputFault(path + ": " + words); };
  if (text.size() < 12 || !text.starts_with(StringRef("\x93NUMPY", 6)))
    return damaged("expected a NumPy file (.npy)");
  const bool isFirst = text[6] == 1;
  const size_t fixed = isFirst ? 10 : 12;
  const size_t length = isFirst ? llvm::support::endian::read16le(text.data() + 8)
                                : llvm::support::endian::read32le(text.data() + 8);
  if (text[6] < 1 || text[6] > 3 || length > text.size() - fixed || length > 1 << 16)
    return damaged("expected a header inside the file");
  StringRef header = text.substr(fixed, length);

  SmallVector<StringRef> found;
  if (!llvm::Regex("'descr': *'([^']*)'").match(header, &found))
    return damaged("expected a plain element type");
  StringRef code = found[1];
  const bool isBig = code.starts_with(">") && code != ">i1" && code != ">u1";
  Type element = code.size() == 3 && !isBig ? elementTypeOf(code.drop_front(), context) : Type();
  if (!element)
    return damaged("expected little-endian elements of a known type, found '" +
                   code.take_front(40) + "'");
  if (!llvm::Regex("'fortran_order': *False").match(header))
    return damaged("expected an array in C order");
  if (!llvm::Regex("'shape': *\\(([0-9L, ]*)\\)").match(header, &found))
    return damaged("expected a shape");
  SmallVector<int64_t> shape;
  SmallVector<StringRef> parts;
  found[1].split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts) {
    if (part = part.trim(" L"); part.empty())
      continue;
    int64_t size;
    if (part.getAsInteger(10, size) || shape.size() == 8)
      return damaged("expected up to 8 sizes");
    shape.push_back(size);
  }
  auto type = RankedTensorType::get(shape, element);
  std::optional<int64_t> wanted = WeightStore::byteSize(type);
  ArrayRef<char> data = bytes.drop_front(fixed + length);
  if (!wanted || uint64_t(*wanted) != data.size())
    return damaged("expected as many bytes as its shape needs, found " + Twine(data.size()));
  return StoredTensor{type, data, *mapped};
}
