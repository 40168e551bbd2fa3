//===- LinkTest.cpp - Linking of PEFT adapters -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FixtureFiles.h"

#include "graft/Import/Import.h"
#include "graft/Link/Adapter.h"
#include "graft/Link/Inspect.h"
#include "graft/Link/Link.h"
#include "graft/Modular/Modular.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace graft;
using namespace graft::test;
using testing::HasSubstr;

namespace {

llvm::json::Array casesOf(const std::string &file) {
  auto buffer = llvm::MemoryBuffer::getFile(fixtures + "/" + file);
  if (!buffer)
    return {};
  auto json = llvm::json::parse((*buffer)->getBuffer());
  return json ? std::move(*json->getAsObject()->getArray("cases")) : llvm::json::Array();
}

/// A backbone with adapters linked, or why not.
struct Linked {
  mlir::MLIRContext context{registry()};
  mlir::OwningOpRef<mlir::ModuleOp> module;
  int kind = 0;
  std::string words;

  Linked(const std::string &model, const LinkOptions &options) {
    auto imported = importOnnx(fixtures + "/" + model, &context);
    if (!imported) {
      kind = exitCodeOf(imported.takeError(), words);
      return;
    }
    module = std::move(*imported);
    if (llvm::Error error = linkAdapters(*module, options))
      kind = exitCodeOf(std::move(error), words);
    else if (failed(mlir::verify(*module)))
      kind = 99;
  }

  std::string text() {
    std::string out;
    llvm::raw_string_ostream os(out);
    module->print(os);
    return out;
  }
};

LinkOptions::Adapter adapter(const std::string &name, const std::string &folder, double scale = 1) {
  return {name, fixtures + "/" + folder, scale};
}

/// Every adapter of the fixtures alone, all of a model's at once, and the tasks that compose them.
TEST(Link, EveryFixture) {
  unsigned count = 0;
  for (const llvm::json::Value &value : casesOf("manifest.json")) {
    const llvm::json::Object &example = *value.getAsObject();
    std::string model = example.getString("model")->str();
    LinkOptions all;
    for (const llvm::json::Value &item : *example.getArray("adapters")) {
      auto folder = item.getAsObject()->getString("dir"),
           name = item.getAsObject()->getString("name");
      all.adapters.push_back(adapter(name->str(), folder->str()));
      LinkOptions one;
      one.adapters.push_back(all.adapters.back());
      Linked linked(model, one);
      EXPECT_EQ(linked.kind, 0) << model << " " << folder->str() << ": " << linked.words;
      ++count;
    }
    if (const auto *tasks = example.getArray("tasks"))
      for (const llvm::json::Value &item : *tasks) {
        LinkOptions::Task task{item.getAsObject()->getString("name")->str(), {}};
        for (const llvm::json::Value &name : *item.getAsObject()->getArray("adapters"))
          task.adapters.push_back(name.getAsString()->str());
        all.tasks.push_back(task);
      }
    Linked linked(model, all);
    EXPECT_EQ(linked.kind, 0) << model << ": " << linked.words;
  }
  EXPECT_GT(count, 100u);
}

/// Damaged adapters, and ones that don't fit: refused, naming the culprit.
TEST(Link, EveryBadAdapter) {
  unsigned count = 0;
  for (const llvm::json::Value &value : casesOf("bad/manifest.json")) {
    const llvm::json::Object &example = *value.getAsObject();
    std::string name = example.getString("name")->str();
    if (!llvm::StringRef(name).starts_with("adapter-") || !example.getArray("flags")->empty() ||
        example.getObject("links") || example.getObject("hard_links"))
      continue;
    LinkOptions options;
    for (const llvm::json::Value &item : *example.getArray("adapters")) {
      auto [key, folder] = item.getAsString()->split('=');
      options.adapters.push_back(adapter(key.str(), folder.str()));
    }
    Linked linked(example.getString("model")->str(), options);
    bool expected = false;
    for (const llvm::json::Value &code : *example.getArray("exit"))
      expected |= code.getAsInteger() == linked.kind;
    EXPECT_TRUE(expected) << name << ": " << linked.kind << " " << linked.words;
    for (const llvm::json::Value &choice : *example.getArray("stderr")) {
      bool found = false;
      for (const llvm::json::Value &word : *choice.getAsArray())
        found |= llvm::StringRef(linked.words).contains(*word.getAsString());
      EXPECT_TRUE(found) << name << ": " << linked.words;
    }
    ++count;
  }
  EXPECT_GT(count, 50u);
}

TEST(Link, WithoutAdapters) {
  Linked linked("models/mlp.legacy.onnx", {});
  ASSERT_EQ(linked.kind, 0) << linked.words;
  EXPECT_THAT(linked.text(), HasSubstr("modular.task @base routes @adapters to []"));
  EXPECT_THAT(linked.text(), testing::Not(HasSubstr("modular.adapt")));
}

TEST(Link, SitesModulesAndTasks) {
  LinkOptions options;
  options.adapters.push_back(adapter("all", "adapters/mlp/all", 0.5));
  options.tasks.push_back({"both", {"all"}});
  for (const char *model : {"models/mlp.legacy.onnx", "models/mlp.dynamo-unoptimized.onnx"}) {
    Linked linked(model, options);
    ASSERT_EQ(linked.kind, 0) << linked.words;
    std::string text = linked.text();
    EXPECT_THAT(text, HasSubstr("modular.module @all.layers.2.weight parameter"));
    // r is 4 and alpha 8; the scale on the command line halves that.
    EXPECT_THAT(text,
                HasSubstr("@all.layers.2.lora_B.weight scale 1.000000e+00 : tensor<48x33xf32>"));
    EXPECT_THAT(text, HasSubstr("modular.site \"layers.2.weight\""));
    EXPECT_THAT(text, HasSubstr("{all = @all.layers.2.weight}"));
    EXPECT_THAT(text, HasSubstr("modular.task @both routes @adapters to [\"all\"]"));
  }
}

/// A head with other labels: the task decides the size of the result.
TEST(Link, HeadOfAnotherSize) {
  LinkOptions options;
  options.adapters.push_back(adapter("topic", "adapters/bert-cls/topic"));
  Linked linked("models/bert-cls.legacy.onnx", options);
  ASSERT_EQ(linked.kind, 0) << linked.words;
  EXPECT_THAT(linked.text(), HasSubstr("tensor<3x32xf32>, !modular.route<1> to tensor<?x32xf32>"));
  auto main = *linked.module->getOps<mlir::func::FuncOp>().begin();
  EXPECT_TRUE(mlir::cast<mlir::RankedTensorType>(main.getResultTypes()[0]).isDynamicDim(1));
}

/// The output layer of a GPT-2 is tied to its embedding: trained tokens reach both.
TEST(Link, TokensOfTiedWeights) {
  LinkOptions options;
  options.adapters.push_back(adapter("tokens", "adapters/gpt2-lm/tokens"));
  for (const char *model : {"models/gpt2-lm.legacy.onnx", "models/gpt2-lm.dynamo.onnx"}) {
    Linked linked(model, options);
    ASSERT_EQ(linked.kind, 0) << linked.words;
    std::string text = linked.text();
    EXPECT_THAT(text, HasSubstr("modular.replace_columns"));
    EXPECT_THAT(text, HasSubstr("modular.site \"transformer.wte.weight\""));
    EXPECT_THAT(text, HasSubstr("modular.site \"lm_head.weight\""));
  }
}

/// LoRA on a convolution in groups reads all channels: the convolution is written without groups.
TEST(Link, ConvolutionInGroups) {
  LinkOptions options;
  options.adapters.push_back(adapter("grouped", "adapters/convnet/grouped"));
  Linked linked("models/convnet.legacy.onnx", options);
  ASSERT_EQ(linked.kind, 0) << linked.words;
  EXPECT_THAT(linked.text(), HasSubstr("modular.site \"grouped.weight\""));
  linked.module->walk(
      [](modular::SiteOp site) { EXPECT_EQ(site.getResult().getType().getShape()[1], 24); });
}

TEST(Link, Maps) {
  LinkOptions options;
  options.adapters.push_back(adapter("a", "adapters/bert-cls/lora"));
  options.maps.emplace_back("^bert[.](.*)query$", "bert.\\1key");
  options.maps.emplace_back("query", "never");
  Linked linked("models/bert.legacy.onnx", options);
  ASSERT_EQ(linked.kind, 0) << linked.words;
  EXPECT_THAT(linked.text(),
              HasSubstr("modular.site \"encoder.layer.0.attention.self.key.weight\""));
  EXPECT_THAT(linked.text(),
              HasSubstr("modular.site \"encoder.layer.0.attention.self.value.weight\""));
  EXPECT_THAT(linked.text(), testing::Not(HasSubstr("self.query.weight\" of")));
  options.maps.insert(options.maps.begin(), {"query$", "nowhere"});
  Linked lost("models/bert.legacy.onnx", options);
  EXPECT_EQ(lost.kind, 1);
  EXPECT_THAT(lost.words, HasSubstr("attention.self.nowhere.weight"));
  EXPECT_THAT(lost.words, HasSubstr("the nearest are"));
  options.maps.erase(options.maps.begin());
  options.maps.emplace_back("(", "");
  EXPECT_EQ(Linked("models/bert.legacy.onnx", options).kind, 1);
}

/// Rows of a layer that an exporter has joined with others; what is added there must stay apart.
TEST(Link, PartsOfALayer) {
  auto link = [&](const char *query, const char *value) {
    LinkOptions options;
    options.adapters.push_back(adapter("a", "adapters/bert-cls/lora"));
    options.maps.emplace_back("^bert[.](.*)attention.self.query$",
                              std::string("bert.\\1intermediate.dense") + query);
    options.maps.emplace_back("^bert[.](.*)attention.self.value$",
                              std::string("bert.\\1intermediate.dense") + value);
    auto linked = std::make_unique<Linked>("models/bert.legacy.onnx", options);
    return std::make_tuple(linked->kind, linked->words, linked->kind ? "" : linked->text());
  };
  auto [kind, words, text] = link("[0:32]", "[32:64]");
  ASSERT_EQ(kind, 0) << words;
  EXPECT_THAT(text, HasSubstr("modular.site \"encoder.layer.0.intermediate.dense.weight\""));
  for (auto [query, value, expected] :
       {std::tuple("[0:32]", "[31:63]", "expected a site of its own"),
        std::tuple("[0:32]", "[33:65]", "expected rows within the 64"),
        std::tuple("[0:32]", "[32:63]", "expected lora_B of (out, rank) for (out, in) = 31x32"),
        std::tuple("[0:32]", "[a:64]", "expected rows as [BEGIN:END], found [a:64]"),
        std::tuple("[0:32]", "", "expected lora_B")}) {
    auto [kind, words, text] = link(query, value);
    EXPECT_EQ(kind, 1) << value;
    EXPECT_THAT(words, HasSubstr(expected));
  }
}

/// Options that change the mathematics are applied or refused, never left out.
TEST(Link, OptionsOfTheConfig) {
  llvm::SmallString<128> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("adapter_config", "json", path));
  auto read = [&](const std::string &options) {
    std::error_code code;
    llvm::raw_fd_ostream(path, code)
        << "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8" << options << "}";
    int kind = 0;
    std::string words;
    auto config = readAdapterConfig(path);
    if (!config)
      llvm::handleAllErrors(config.takeError(), [&](const Fault &fault) {
        kind = static_cast<int>(fault.getKind());
        words = fault.message();
      });
    return std::pair(kind, words);
  };
  for (const char *harmless :
       {"", R"(, "target_modules": ".*q", "exclude_modules": ["k"], "layers_to_transform": [0])",
        R"(, "layers_pattern": "h", "lora_dropout": 0.1, "init_lora_weights": "eva")",
        R"(, "eva_config": {"rho": 2.0}, "init_lora_weights": "MiCA", "inference_mode": true)",
        R"(, "use_new": false, "new_config": null, "new_list": [], "new_name": "")"})
    EXPECT_EQ(read(harmless).first, 0) << harmless;
  for (auto [options, name] :
       {std::pair(R"(, "layer_replication": [[0, 2]])", "layer_replication"),
        std::pair(R"(, "use_bdlora": {"nblocks": 2})", "use_bdlora"),
        std::pair(R"(, "alora_invocation_tokens": [1])", "alora_invocation_tokens"),
        std::pair(R"(, "kasa_config": {"beta": 1.0})", "kasa_config"),
        std::pair(R"(, "enable_lora": [true, false])", "enable_lora"),
        std::pair(R"(, "use_new": true)", "use_new"), std::pair(R"(, "new_power": 2)", "new_power"),
        std::pair(R"(, "init_lora_weights": "pissa_niter_16")", "pissa_niter_16"),
        std::pair(R"(, "init_lora_weights": "OLoRA")", "OLoRA"),
        std::pair(R"(, "init_lora_weights": "new")", "'new' is unknown")}) {
    auto [kind, words] = read(options);
    EXPECT_EQ(kind, 2) << options;
    EXPECT_THAT(words, HasSubstr(name));
  }
  llvm::sys::fs::remove(path);
}

TEST(Link, Names) {
  for (auto [adapterName, taskName, words] :
       {std::tuple("base", "t", "base"), std::tuple("a", "a", "twice"),
        std::tuple("a", "base", "base"), std::tuple("a", "main", "main"),
        std::tuple("", "t", "name")}) {
    LinkOptions options;
    options.adapters.push_back(adapter(adapterName, "adapters/mlp/all"));
    options.tasks.push_back({taskName, {}});
    Linked linked("models/mlp.legacy.onnx", options);
    EXPECT_EQ(linked.kind, 1) << adapterName << " " << taskName;
    EXPECT_THAT(linked.words, HasSubstr(words));
  }
  LinkOptions options;
  options.adapters = {adapter("a", "adapters/mlp/dora"), adapter("b", "adapters/mlp/dora")};
  options.tasks = {{"t", {"a", "b"}}};
  Linked linked("models/mlp.legacy.onnx", options);
  EXPECT_EQ(linked.kind, 1);
  EXPECT_THAT(linked.words, HasSubstr("expected one adapter that replaces"));
}

/// PEFT: the first pattern that matches the end of a module's path, from a dot on.
TEST(Link, Patterns) {
  std::vector<std::pair<std::string, int64_t>> patterns = {
      {"^bert\\.x", 1}, {"layer.0.query", 2}, {"value", 3}, {R"(h\.\d+\.attn)", 4}};
  auto match = [&](llvm::StringRef path) {
    return llvm::cantFail(matchPattern<int64_t>(patterns, path, ""));
  };
  EXPECT_EQ(match("bert.x"), 1);
  EXPECT_EQ(match("a.bert.x"), std::nullopt);
  EXPECT_EQ(match("bert.layer.0.query"), 2);
  EXPECT_EQ(match("bert.xlayer.0.query"), std::nullopt);
  EXPECT_EQ(match("layer.1.value"), 3);
  EXPECT_EQ(match("layer.1.revalue"), std::nullopt);
  EXPECT_EQ(match("transformer.h.12.attn"), 4);
}

TEST(Link, SafetensorsRoundTrip) {
  mlir::MLIRContext context;
  llvm::SmallString<128> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("tensors", "safetensors", path));
  float values[6] = {1, 2, 3, 4, 5, 6};
  llvm::ArrayRef<char> bytes(reinterpret_cast<const char *>(values), sizeof values);
  auto f32 = mlir::Float32Type::get(&context);
  std::vector<SafeTensor> written = {
      {"scalar", mlir::RankedTensorType::get({}, f32), bytes.take_front(4)},
      {"flags", mlir::RankedTensorType::get({3}, mlir::IntegerType::get(&context, 1)),
       bytes.take_front(3)},
      {"empty", mlir::RankedTensorType::get({0, 4}, f32), {}},
      {"matrix", mlir::RankedTensorType::get({2, 3}, f32), bytes}};
  ASSERT_FALSE(llvm::errorToBool(writeSafetensors(path, written)));
  auto file = SafetensorsFile::open(path, &context);
  ASSERT_TRUE(bool(file)) << llvm::toString(file.takeError());
  ASSERT_EQ(file->tensors().size(), written.size());
  for (const SafeTensor &tensor : file->tensors()) {
    auto it =
        llvm::find_if(written, [&](const SafeTensor &other) { return other.name == tensor.name; });
    ASSERT_NE(it, written.end());
    EXPECT_EQ(it->type, tensor.type);
    EXPECT_EQ(it->bytes, tensor.bytes);
  }
  llvm::sys::fs::remove(path);
}

TEST(Inspect, BackboneAndAdapter) {
  for (bool json : {false, true}) {
    mlir::MLIRContext context(registry());
    std::string out;
    llvm::raw_string_ostream os(out);
    ASSERT_FALSE(llvm::errorToBool(
        inspectBackbone(fixtures + "/models/bert-cls.legacy.onnx", &context, {}, json, os)));
    EXPECT_THAT(out, HasSubstr("bert.encoder.layer.0.attention.self.query.weight"));
    EXPECT_THAT(out, HasSubstr("attention_mask"));
    if (json)
      EXPECT_TRUE(bool(llvm::json::parse(out)));
    out.clear();
    ASSERT_FALSE(llvm::errorToBool(
        inspectAdapter(fixtures + "/adapters/bert-cls/dora", &context, json, os)));
    EXPECT_THAT(out, HasSubstr("dora"));
    EXPECT_THAT(out, HasSubstr("classifier.weight"));
    if (json)
      EXPECT_TRUE(bool(llvm::json::parse(out)));
  }
}

} // namespace
