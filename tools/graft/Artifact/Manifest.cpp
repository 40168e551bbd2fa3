//===- Manifest.cpp - What a library says about itself -----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/Manifest.h"

#include "graft/Artifact/DeviceImages.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace graft;
namespace json = llvm::json;

StringRef graft::elementTypeName(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return "bool";
    case 8:
      return isUnsigned ? "u8" : "i8";
    case 16:
      return isUnsigned ? "u16" : "i16";
    case 32:
      return isUnsigned ? "u32" : "i32";
    case 64:
      return isUnsigned ? "u64" : "i64";
    default:
      return "";
    }
  }
  return type.isF32()    ? "f32"
         : type.isF64()  ? "f64"
         : type.isF16()  ? "f16"
         : type.isBF16() ? "bf16"
                         : "";
}

/// Names come from models, and may hold anything.
static std::string text(StringRef name) {
  return json::isUTF8(name) ? name.str() : json::fixUTF8(name);
}

static json::Array dimensions(const std::vector<std::string> &dims) {
  json::Array array;
  for (StringRef dim : dims) {
    int64_t size;
    if (dim.getAsInteger(10, size))
      array.push_back(text(dim));
    else
      array.push_back(size);
  }
  return array;
}

static json::Array indices(const std::vector<unsigned> &values) {
  json::Array array;
  for (unsigned value : values)
    array.push_back(int64_t(value));
  return array;
}

static json::Array outputsOf(const std::vector<ArtifactSpec::Output> &outputs) {
  json::Array array;
  for (const ArtifactSpec::Output &output : outputs)
    array.push_back(json::Object{{"name", text(output.name)}, {"value", int64_t(output.value)}});
  return array;
}

/// Whether rows are independent, and the stage on which those of several tasks run together.
static json::Object rowsOf(const ArtifactSpec &spec,
                           const llvm::DenseMap<unsigned, int64_t> &stageOf) {
  json::Object object(spec.rows);
  if (!spec.rowStage || !stageOf.count(spec.rowStage->stage))
    return object;
  json::Array tasks;
  for (const std::string &task : spec.rowStage->tasks)
    tasks.push_back(text(task));
  object["stage"] = stageOf.lookup(spec.rowStage->stage);
  object["keys"] = int64_t(spec.rowStage->keys);
  object["tasks"] = std::move(tasks);
  object["outputs"] = outputsOf(spec.rowStage->outputs);
  return object;
}

std::string graft::buildManifest(const ArtifactSpec &spec, const LibraryContent &content,
                                 const StorageReport &storage,
                                 const std::vector<std::vector<unsigned>> &parameters,
                                 const WeightsFile *weightsFile) {
  llvm::DenseMap<unsigned, int64_t> codeOf, stageOf;
  for (auto [index, code] : llvm::enumerate(content.codes))
    codeOf[code] = index;
  for (auto [index, stage] : llvm::enumerate(content.stages))
    stageOf[stage] = index;

  std::string result;
  llvm::raw_string_ostream stream(result);
  json::OStream out(stream, /*IndentSize=*/1);
  auto tensor = [&](const ArtifactSpec::Tensor &tensor, bool named) {
    out.object([&] {
      if (named)
        out.attribute("name", text(tensor.name));
      out.attribute("type", tensor.type);
      out.attribute("dims", dimensions(tensor.dims));
    });
  };
  out.object([&] {
    out.attribute("graft", GRAFT_VERSION);
    out.attribute("abi", 2);
    out.attribute("backbone", text(spec.backbone));
    out.attributeObject("cpu", [&] {
      out.attribute("name", spec.target.name);
      out.attribute("features", json::Array(spec.target.features));
    });
    out.attributeArray("symbols", [&] {
      for (StringRef symbol : spec.symbols)
        out.value(text(symbol));
    });
    out.attributeArray("inputs", [&] {
      for (const ArtifactSpec::Tensor &input : spec.inputs)
        tensor(input, /*named=*/true);
    });
    out.attributeArray("storage", [&] {
      for (const StorageReport::Blob &blob : storage.blobs)
        out.object([&] {
          out.attribute("name", text(blob.name));
          out.attribute("offset", int64_t(blob.offset));
          out.attribute("bytes", int64_t(blob.bytes));
        });
    });
    if (weightsFile)
      out.attributeObject("weights_file", [&] {
        out.attribute("name", text(weightsFile->name));
        out.attribute("bytes", int64_t(weightsFile->bytes));
        out.attribute("sha256", weightsFile->sha256);
      });
    auto code = [&](const StageCode &info) {
      out.object([&] {
        out.attributeArray("buffers", [&] {
          for (auto [first, last] : info.buffers)
            out.value(json::Array{first, last});
        });
      });
    };
    out.attributeArray("codes", [&] {
      for (unsigned number : content.codes)
        code(spec.codes[number].info);
    });
    if (spec.device)
      out.attributeObject("device", [&] {
        out.attribute("capability", int64_t(spec.device->capability));
        out.attributeArray("codes", [&] {
          for (unsigned number : content.codes)
            if (const std::optional<StageCode> &info = spec.codes[number].device)
              code(*info);
            else
              out.value(nullptr);
        });
        writeImages(out, *spec.device);
        out.attributeArray("checks", [&] {
          for (const std::string &check : spec.device->checks)
            out.value(check);
        });
      });
    out.attributeArray("values", [&] {
      for (const ArtifactSpec::Tensor &input : spec.inputs)
        tensor(input, /*named=*/false);
      for (const ArtifactSpec::Tensor &value : spec.values)
        tensor(value, /*named=*/false);
    });
    out.attributeArray("stages", [&] {
      for (unsigned index : content.stages) {
        const ArtifactSpec::Stage &stage = spec.stages[index];
        out.object([&] {
          out.attribute("code", codeOf[stage.code]);
          out.attribute("parent", stage.parent < 0 ? -1 : stageOf[stage.parent]);
          out.attribute("inputs", indices(stage.inputs));
          out.attribute("outputs", indices(stage.outputs));
          out.attribute("parameters", indices(parameters[index]));
          if (!stage.routers.empty())
            out.attribute("routers", indices(stage.routers));
          if (!stage.fixedRouters.empty())
            out.attribute("fixed_routers", indices(stage.fixedRouters));
        });
      }
    });
    out.attributeArray("tasks", [&] {
      for (unsigned index : content.tasks) {
        const ArtifactSpec::Task &task = spec.tasks[index];
        out.object([&] {
          out.attribute("name", text(task.name));
          out.attribute("stage", stageOf[task.stage]);
          out.attribute("outputs", outputsOf(task.outputs));
          for (const auto &[key, value] : task.extra)
            out.attribute(key, value);
        });
      }
    });
    out.attribute("rows", rowsOf(spec, stageOf));
    out.attribute("routers", json::Value(json::Array(spec.routers)));
    if (!spec.hiddenRouters.empty())
      out.attribute("hidden_routers", json::Value(json::Array(spec.hiddenRouters)));
    out.attribute("modules", json::Value(json::Array(spec.modules)));
  });
  return result;
}
