//===- Tensors.cpp - The weights that a spec names -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Tensors.h"

#include "graft/Import/OnnxFile.h"
#include "graft/Import/TensorData.h"
#include "graft/Link/Adapter.h"
#include "graft/Link/Elements.h"
#include "graft/Link/Match.h"
#include "graft/Modular/Modular.h"

#include "llvm/Support/Path.h"

#include <cstring>

using namespace mlir;
using namespace graft;
using namespace graft::spec;

Tensors::Tensors(Errors &errors, const Document &document, StringRef backbone, MLIRContext *context,
                 bool allowLinks)
    : allowLinks(allowLinks), errors(errors), document(document), backbone(backbone),
      context(context) {}
Tensors::~Tensors() = default;

std::string graft::spec::wordsOf(llvm::Error error, StringRef file) {
  std::string words = llvm::toString(std::move(error));
  StringRef rest = words;
  if (!file.empty())
    rest.consume_front((file + ": ").str());
  return rest.str();
}

std::string Tensors::substitute(const Text &text, const Captures &captures) {
  std::string result;
  StringRef rest = text.text;
  for (const std::string &name : capturesOf(text.text)) {
    auto it = captures.find(name);
    if (it == captures.end()) {
      std::vector<std::string> known;
      for (const auto &[each, value] : captures)
        known.push_back(each);
      errors.fail(text.mark, "expected {index} within a module with 'count', or a capture of the "
                             "place's path, found '{" +
                                 name + "}'" + nearestNames(name, known));
      return text.text;
    }
    size_t at = rest.find('{');
    result += rest.take_front(at).str() + it->second;
    rest = rest.drop_front(at + name.size() + 2);
  }
  return result + rest.str();
}

std::string Tensors::pathOf(StringRef file) const {
  if (llvm::sys::path::is_absolute(file))
    return file.str();
  SmallString<128> path(llvm::sys::path::parent_path(errors.file));
  llvm::sys::path::append(path, file);
  return path.str().str();
}

Tensors::File *Tensors::open(const std::string &path, Mark mark) {
  auto [it, isNew] = files.try_emplace(path);
  if (!isNew)
    return &it->second;
  File &file = it->second;
  auto fail = [&](llvm::Error error) -> File * {
    errors.fail(mark, llvm::toString(std::move(error)));
    return nullptr;
  };
  try {
    StringRef extension = llvm::sys::path::extension(path);
    if (extension == ".npy") {
      auto tensor = readNpyFile(path, context);
      if (!tensor)
        return fail(tensor.takeError());
      file[""] = *tensor;
    } else if (extension == ".safetensors") {
      auto opened = SafetensorsFile::open(path, context);
      if (!opened)
        return fail(opened.takeError());
      for (const SafeTensor &tensor : opened->tensors())
        file[tensor.name] = {tensor.type, tensor.bytes, opened->file()};
    } else if (extension == ".onnx") {
      ImportOptions options;
      options.allowLinks = allowLinks;
      auto model = readOnnxFile(path, options);
      if (!model)
        return fail(model.takeError());
      for (const auto &tensor : (*model)->proto.graph().initializer()) {
        Type element = elementType(context, tensor.data_type());
        if (!element)
          continue; // text
        auto type = RankedTensorType::get(
            SmallVector<int64_t>(tensor.dims().begin(), tensor.dims().end()), element);
        if (const Payload *payload = (*model)->payloadOf(tensor)) {
          file[tensor.name()] = {type, payload->bytes, payload->owner};
          continue;
        }
        auto packed = packElements(tensor, path + ": " + tensor.name());
        if (!packed)
          return fail(packed.takeError());
        auto owned = std::make_shared<std::vector<char>>(std::move(*packed));
        file[tensor.name()] = {type, *owned, owned};
      }
    } else {
      errors.fail(mark, path + ": expected a file of tensors (.npy, .safetensors or .onnx)");
      return nullptr;
    }
  } catch (const std::exception &error) { // the ONNX and JSON libraries'
    errors.fail(mark, path + ": " + error.what());
    return nullptr;
  }
  return &file;
}

/// A part of a tensor along its first dimension, which is left out if `count` is 0.
static StoredTensor slice(const StoredTensor &tensor, int64_t first, int64_t count) {
  SmallVector<int64_t> shape(tensor.type.getShape());
  const int64_t bytes = shape[0] ? tensor.bytes.size() / shape[0] : 0;
  if (count)
    shape[0] = count;
  else
    shape.erase(shape.begin());
  return {RankedTensorType::get(shape, tensor.type.getElementType()),
          tensor.bytes.slice(first * bytes, std::max<int64_t>(count, 1) * bytes), tensor.owner};
}

std::optional<StoredTensor> Tensors::part(StoredTensor tensor, const TensorRef &ref,
                                          const Captures &captures, const std::string &name) {
  for (const Text &each : ref.index) {
    std::string text = substitute(each, captures);
    int64_t index;
    if (tensor.type.getRank() == 0 || StringRef(text).getAsInteger(10, index) || index < 0 ||
        index >= tensor.type.getDimSize(0)) {
      errors.fail(each.mark, "index: expected a place along the first dimension of " + name + ", " +
                                 shapeText(tensor.type.getShape()) + ", found '" + text + "'");
      return std::nullopt;
    }
    tensor = slice(tensor, index, 0);
  }
  if (ref.rows) {
    if (tensor.type.getRank() == 0 || ref.rows->second > tensor.type.getDimSize(0)) {
      errors.fail(ref.mark, "rows: expected rows of " + name + ", " +
                                shapeText(tensor.type.getShape()) + ", found [" +
                                Twine(ref.rows->first) + ", " + Twine(ref.rows->second) + "]");
      return std::nullopt;
    }
    tensor = slice(tensor, ref.rows->first, ref.rows->second - ref.rows->first);
  }
  return tensor;
}

std::optional<StoredTensor> Tensors::load(const TensorRef &ref, const Captures &captures,
                                          std::string &name) {
  if (ref.isLiteral) {
    auto values = std::make_shared<std::vector<double>>(ref.values);
    auto type = RankedTensorType::get(ref.shape, Float64Type::get(context));
    name = "values";
    return StoredTensor{
        type, {reinterpret_cast<const char *>(values->data()), 8 * values->size()}, values};
  }
  std::string source = substitute(ref.source, captures);
  if (errors.any())
    return std::nullopt;
  // A path may have a colon: a name of the section files has none.
  auto [file, tensor] = StringRef(source).split(':');
  std::string path;
  if (file == "backbone")
    path = backbone;
  else if (auto it = document.files.find(file.str()); it != document.files.end())
    path = pathOf(substitute(it->second, captures));
  else
    path = pathOf(file);
  File *opened = open(path, ref.source.mark);
  if (!opened)
    return std::nullopt;
  auto it = opened->find(tensor);
  if (it == opened->end()) {
    std::vector<std::string> known;
    for (const auto &each : *opened)
      known.push_back(each.getKey().str());
    std::sort(known.begin(), known.end());
    errors.fail(ref.source.mark, "expected the name of a tensor of " + path + ", found '" + tensor +
                                     "'" + nearestNames(tensor, known));
    return std::nullopt;
  }
  name = tensor.empty() ? llvm::sys::path::stem(path).str() : tensor.str();
  return part(it->second, ref, captures, name);
}

/// All elements of another float type, rounded.
static std::vector<char> converted(ArrayRef<char> bytes, FloatType from, FloatType to) {
  const unsigned width = elementSize(from), wanted = elementSize(to);
  std::vector<char> result(bytes.size() / width * wanted);
  for (size_t i = 0; i < bytes.size() / width; ++i) {
    llvm::APFloat element = readElement(bytes.data() + i * width, from);
    bool lost;
    element.convert(to.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lost);
    uint64_t bits = element.bitcastToAPInt().getZExtValue();
    std::memcpy(result.data() + i * wanted, &bits, wanted);
  }
  return result;
}

static bool fits(ArrayRef<int64_t> wanted, ArrayRef<int64_t> found) {
  return wanted.size() == found.size() && llvm::all_of(llvm::zip(wanted, found), [](auto pair) {
           return std::get<0>(pair) < 0 || std::get<0>(pair) == std::get<1>(pair);
         });
}

/// (out, in) as 4x?.
static std::string wantedText(ArrayRef<int64_t> wanted) {
  std::string text;
  for (int64_t size : wanted)
    text += (text.empty() ? "" : "x") + (size < 0 ? "?" : std::to_string(size));
  return text.empty() ? "a scalar" : text;
}

Value Tensors::constant(onnx::GraphBuilder &b, StringRef name, const StoredTensor &tensor,
                        ArrayRef<int64_t> wanted, Type element, bool isInOut, Mark mark,
                        StringRef what, StringRef form) {
  auto fail = [&](const Twine &words) {
    errors.fail(mark, what + ": expected " + words);
    return Value();
  };
  SmallVector<int64_t> shape(tensor.type.getShape());
  const bool isTurned = isInOut && shape.size() == 2;
  if (isTurned)
    std::swap(shape[0], shape[1]);
  if (!fits(wanted, shape)) {
    std::string words = form.str() + " of " + wantedText(wanted) + ", found " +
                        (shape.empty() ? "a scalar" : shapeText(shape)) + " in " + name.str();
    if (shape.size() == 2 && fits(wanted, {shape[1], shape[0]}))
      words +=
          isInOut ? "; it would fit with 'layout: out,in'" : "; it would fit with 'layout: in,out'";
    return fail(words);
  }
  if (llvm::is_contained(shape, 0))
    return fail("at least one element in " + name);
  auto from = dyn_cast<FloatType>(tensor.type.getElementType());
  auto to = dyn_cast<FloatType>(element);
  if (!from || !isParameterElement(from) || !to || !isParameterElement(to)) {
    std::string text;
    llvm::raw_string_ostream(text) << tensor.type.getElementType();
    return fail("floats in " + name + ", found " + text);
  }
  if (findNotFinite(tensor.bytes, from) >= 0)
    return fail("finite numbers in " + name + ", found NaN or an infinity at element " +
                Twine(findNotFinite(tensor.bytes, from)));

  auto type = RankedTensorType::get(shape, to);
  StoredTensor stored = tensor;
  auto own = [&](std::vector<char> bytes) {
    auto owned = std::make_shared<std::vector<char>>(std::move(bytes));
    stored.bytes = *owned;
    stored.owner = owned;
  };
  if (isTurned)
    own(transposeBytes(stored.bytes, shape[1], shape[0], elementSize(from)));
  if (from != to)
    own(converted(stored.bytes, from, to));
  else if (reinterpret_cast<uintptr_t>(stored.bytes.data()) % elementSize(to) != 0)
    own({stored.bytes.begin(), stored.bytes.end()});
  constexpr int64_t denseElements = 64; // as import does it
  if (type.getNumElements() <= denseElements)
    return onnx::ConstantOp::create(b, type,
                                    DenseElementsAttr::getFromRawBuffer(type, stored.bytes));
  WeightStore &store = context->getOrLoadDialect<modular::ModularDialect>()->getWeightStore();
  StringRef key = store.addMapped(name, type, stored.bytes, stored.owner);
  return onnx::ConstantOp::create(b, type,
                                  cast<TypedAttr>(modular::WeightAttr::get(context, key, type)));
}

Value Tensors::constant(onnx::GraphBuilder &b, const TensorRef &ref, const Captures &captures,
                        ArrayRef<int64_t> wanted, Type element, StringRef what, StringRef form) {
  std::string name;
  std::optional<StoredTensor> tensor = load(ref, captures, name);
  if (!tensor)
    return Value();
  for (const Text &index : ref.index)
    name += "." + substitute(index, captures);
  if (ref.rows)
    name += ":" + std::to_string(ref.rows->first);
  return constant(b, name, *tensor, wanted, element, ref.isInOut.value_or(false), ref.mark, what,
                  form);
}

const Adapter *Tensors::adapter(const Text &folder, const Captures &captures) {
  std::string path = pathOf(substitute(folder, captures));
  std::unique_ptr<Adapter> &known = adapters[path];
  if (known || errors.any())
    return known.get();
  try {
    auto read = readAdapter(path, context);
    if (read)
      known = std::move(*read);
    else
      errors.fail(folder.mark, llvm::toString(read.takeError()));
  } catch (const std::exception &error) { // the JSON library's
    errors.fail(folder.mark, path + ": " + error.what());
  }
  return known.get();
}
