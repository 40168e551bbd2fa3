//===- ManifestTest.cpp - What a manifest must say --------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Manifest.h"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

using namespace graft::runtime;
using testing::HasSubstr;
using Json = nlohmann::json;

static constexpr uint64_t kWeights = 1024, kCodes = 2;

static Json good() {
  return Json::parse(R"({
    "graft": "0.1.0", "abi": 2, "backbone": "m.onnx",
    "cpu": {"name": "generic", "features": ["avx2"]},
    "symbols": ["batch"],
    "inputs": [{"name": "x", "type": "f32", "dims": ["batch", 4]}],
    "storage": [{"name": "w", "offset": 0, "bytes": 64}, {"name": "v", "offset": 1000, "bytes": 24}],
    "codes": [{"buffers": [[0, 3], [1, 1]]}, {"buffers": []}],
    "values": [{"type": "f32", "dims": ["batch", 4]}, {"type": "f16", "dims": ["batch + 1"]},
               {"type": "i64", "dims": []}, {"type": "i64", "dims": []}],
    "stages": [{"code": 1, "parent": 1, "inputs": [1], "outputs": [2], "parameters": [1]},
               {"code": 0, "parent": -1, "inputs": [0], "outputs": [1], "parameters": [0, 1]},
               {"code": 1, "parent": 1, "inputs": [1, 0], "outputs": [3], "parameters": []}],
    "tasks": [{"name": "base", "stage": 0, "outputs": [{"name": "y", "value": 2},
                                                       {"name": "h", "value": 1},
                                                       {"name": "same", "value": 0}]},
              {"name": "a", "stage": 2, "outputs": [{"name": "y", "value": 3}]}],
    "rows": {"independent": true}})");
}

static Status parse(const Json &document, Manifest &manifest) {
  return parseManifest(document.dump(), kWeights, kCodes, manifest);
}

/// The words after a change of the good manifest.
static std::string errorAt(const char *pointer, const char *value) {
  Json document = good();
  document[Json::json_pointer(pointer)] = Json::parse(value);
  Manifest manifest;
  Status status = parse(document, manifest);
  EXPECT_TRUE(!status.failed() || status.code() == GRAFT_ERROR_INPUT);
  return status.message();
}

TEST(ManifestTest, ReadsAGoodOne) {
  Manifest manifest;
  Status status = parse(good(), manifest);
  ASSERT_FALSE(status.failed()) << status.message();
  EXPECT_EQ(manifest.inputCount, 1u);
  EXPECT_EQ(manifest.values[0].name, "x");
  EXPECT_EQ(manifest.values[0].dims[0].symbol, 0);
  EXPECT_EQ(manifest.values[0].dims[1].size, 4);
  EXPECT_EQ(manifest.values[1].dims[0].text, "batch + 1");
  EXPECT_EQ(manifest.stageOrder, (std::vector<uint32_t>{1, 0, 2}));
  EXPECT_EQ(manifest.tasks[0].path, (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(manifest.tasks[1].outputs[0].qualifiedName, "a.y");
  EXPECT_EQ(manifest.findTask("a"), 1);
  EXPECT_EQ(manifest.findTask("b"), -1);
  EXPECT_EQ(manifest.findInput("x"), 0);
  EXPECT_EQ(manifest.findInput(""), -1);
  EXPECT_TRUE(manifest.rows.independent);
}

/// The good one with a stage on which rows of both tasks run together.
static Json together() {
  Json document = good();
  document["values"].push_back(Json::parse(R"({"type": "i64", "dims": ["batch", 1]})"));
  document["values"].push_back(Json::parse(R"({"type": "i64", "dims": []})"));
  document["stages"].push_back(Json::parse(
      R"({"code": 1, "parent": 1, "inputs": [1, 4], "outputs": [5], "parameters": []})"));
  document["tasks"][0]["outputs"].erase(2);
  document["rows"] =
      Json::parse(R"({"independent": true, "stage": 3, "keys": 4, "tasks": ["a", "base"],
                                     "outputs": [{"name": "y", "value": 5}, {"name": "h", "value": 1}]})");
  return document;
}

TEST(ManifestTest, ReadsTheStageOfRowsTogether) {
  Manifest manifest;
  Status status = parse(together(), manifest);
  ASSERT_FALSE(status.failed()) << status.message();
  ASSERT_TRUE(manifest.rows.together);
  EXPECT_EQ(manifest.rows.keys, 4u);
  EXPECT_EQ(manifest.rows.keyOf, (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(manifest.task(2).path, (std::vector<uint32_t>{1, 3}));
  EXPECT_EQ(manifest.task(1).name, "a");

  auto errorOf = [](const char *pointer, const char *value) {
    Json document = together();
    document[Json::json_pointer(pointer)] = Json::parse(value);
    Manifest changed;
    return parse(document, changed).message();
  };
  EXPECT_EQ(errorOf("/rows/keys", "3"),
            "manifest: rows.keys: expected a value of type i64 and rank 2 that is no input");
  EXPECT_EQ(errorOf("/rows/keys", "9"), "manifest: rows.keys: expected one of 6 values, found 9");
  EXPECT_EQ(errorOf("/rows/stage", "4"), "manifest: rows.stage: expected one of 4 stages, found 4");
  EXPECT_EQ(errorOf("/rows/stage", "2"),
            "manifest: stages: stage 3 reads value 4, which nothing above it computes");
  EXPECT_EQ(errorOf("/stages/2/outputs", "[4]"),
            "manifest: stages: stage 2 computes value 4, which is an input or computed elsewhere");
  EXPECT_EQ(errorOf("/rows/tasks/1", "\"a\""),
            "manifest: rows.tasks[1]: 'a' is no task, or occurs twice");
  EXPECT_EQ(errorOf("/rows/tasks/1", "\"c\""),
            "manifest: rows.tasks[1]: 'c' is no task, or occurs twice");
  EXPECT_EQ(errorOf("/rows/outputs/1/name", "\"other\""),
            "manifest: rows.tasks[1]: has an output 'h' that the rows' stage has not");
  EXPECT_EQ(errorOf("/tasks/1/stage", "3"),
            "manifest: tasks[1].outputs[0]: no stage of the task computes value 3");
  Json document = together();
  document["tasks"][1] = Json::parse(R"({"name": "a", "stage": 3, "outputs": []})");
  Manifest changed;
  EXPECT_EQ(parse(document, changed).message(), "manifest: rows.stage: is on the path of task 'a'");
}

TEST(ManifestTest, IgnoresWhatItDoesNotKnow) {
  EXPECT_EQ(errorAt("/future", "[1]"), "");
  EXPECT_EQ(errorAt("/weights_file", "null"), "");
  EXPECT_EQ(errorAt("/storage/0/bytes", "1024"), "");
}

static Json withRouters() {
  Json document = good();
  document["routers"] = Json::parse(R"([
    {"name": "gate", "slots": 2, "weighs": true, "weights": "bf16", "rows": [[3, 0, 0], [-2]],
     "modules": [{"name": "e0", "bytes": 8}, {"name": "e1", "bytes": 0}]},
    {"name": "soft", "slots": 1, "weighs": false, "weights": "f32",
     "within": {"router": 0, "module": 1}, "modules": [{"name": "e0", "bytes": 8}]}])");
  document["stages"][2]["routers"] = {1, 0};
  document["stages"][2]["fixed_routers"] = {0};
  return document;
}

TEST(ManifestTest, ReadsRouters) {
  Manifest manifest;
  Status status = parse(withRouters(), manifest);
  ASSERT_FALSE(status.failed()) << status.message();
  ASSERT_EQ(manifest.routers.size(), 2u);
  const RouterInfo &gate = manifest.routers[0];
  EXPECT_EQ(gate.name, "gate");
  EXPECT_EQ(gate.slots, 2);
  EXPECT_TRUE(gate.weighs);
  EXPECT_EQ(gate.weightType, GRAFT_BF16);
  EXPECT_STREQ(gate.moduleNames[1], "e1");
  EXPECT_EQ(gate.countRows({5}), 73);
  EXPECT_EQ(gate.countRows({-1}), std::nullopt);
  EXPECT_EQ(gate.countRows({0}), std::nullopt) << "-2 is no size";
  EXPECT_EQ(gate.countRows({int64_t(1) << 32}), std::nullopt);
  EXPECT_EQ(gate.within, -1);
  EXPECT_EQ(manifest.routers[1].within, 0);
  EXPECT_EQ(manifest.routers[1].countRows({5}), std::nullopt);
  EXPECT_EQ(manifest.stages[2].routers, (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(manifest.stages[2].fixedRouters, (std::vector<uint32_t>{0}));
  EXPECT_TRUE(manifest.stages[0].routers.empty() && manifest.stages[0].fixedRouters.empty());
  EXPECT_EQ(manifest.findRouter("soft"), 1);
  EXPECT_EQ(manifest.findRouter("none"), -1);
  EXPECT_EQ(manifest.routerNames(), "gate, soft");
}

TEST(ManifestTest, NamesFaultsOfRouters) {
  auto words = [](const char *pointer, const char *value) {
    Json document = withRouters();
    document[Json::json_pointer(pointer)] = Json::parse(value);
    Manifest manifest;
    return parse(document, manifest).message();
  };
  EXPECT_THAT(words("/routers", "3"), HasSubstr("manifest: routers: expected an array"));
  EXPECT_THAT(words("/routers/1/name", "\"gate\""),
              HasSubstr("routers[1]: the name 'gate' is empty or used twice"));
  EXPECT_THAT(words("/routers/0/slots", "0"), HasSubstr("expected an integer from 1"));
  EXPECT_THAT(words("/routers/0/slots", "9999999999"), HasSubstr("to 1048576, found 9999999999"));
  EXPECT_THAT(words("/routers/1/within/router", "1"),
              HasSubstr("expected one of 1 routers, found 1"));
  EXPECT_THAT(words("/routers/1/within/module", "2"),
              HasSubstr("expected one of 2 modules, found 2"));
  EXPECT_THAT(words("/routers/0/weighs", "1"), HasSubstr("expected true or false, found 1"));
  EXPECT_THAT(words("/routers/0/weights", "\"i64\""), HasSubstr("expected a float type"));
  EXPECT_THAT(words("/routers/0/weights", "\"f8\""), HasSubstr("unknown element type 'f8'"));
  EXPECT_THAT(words("/routers/0/modules", "[]"), HasSubstr("modules: there are none"));
  EXPECT_THAT(words("/routers/0/modules/1/name", "\"e0\""),
              HasSubstr("'e0' is empty or used twice"));
  EXPECT_THAT(words("/routers/0/modules/1/bytes", "-1"), HasSubstr("bytes: expected an integer"));
  EXPECT_THAT(words("/routers/0/rows/0/1", "1"), HasSubstr("expected one of 1 symbols, found 1"));
  EXPECT_THAT(words("/stages/2/routers/0", "2"), HasSubstr("expected one of 2 routers, found 2"));
  EXPECT_THAT(words("/stages/2/fixed_routers/0", "-1"), HasSubstr("expected one of 2 routers"));
}

TEST(ManifestTest, NamesEachFault) {
  EXPECT_EQ(errorAt("/abi", "1"), "manifest: abi: expected an integer from 2 to 2, found 1");
  EXPECT_EQ(errorAt("/graft", "1"), "manifest: graft: expected a string, found 1");
  EXPECT_EQ(errorAt("/cpu", "{}"), "manifest: cpu.name: missing");
  EXPECT_EQ(errorAt("/cpu/features/0", "3"),
            "manifest: cpu.features[0]: expected a string, found 3");
  EXPECT_EQ(errorAt("/symbols", R"(["batch", "batch"])"),
            "manifest: symbols[1]: 'batch' occurs twice");
  EXPECT_EQ(errorAt("/symbols", R"(["batch", "seq"])"),
            "manifest: symbols: 'seq' is no input's dimension");
  EXPECT_EQ(errorAt("/symbols", "[]"), "manifest: inputs[0]: 'batch' is not among the symbols");
  EXPECT_EQ(errorAt("/inputs/0/type", R"("f8")"),
            "manifest: inputs[0].type: unknown element type 'f8'");
  EXPECT_EQ(errorAt("/inputs/0/dims/1", "-1"),
            "manifest: inputs[0].dims[1]: expected an integer from 0, found -1");
  EXPECT_EQ(errorAt("/inputs/0/dims/1", "1.5"),
            "manifest: inputs[0].dims[1]: expected an integer from 0, found 1.5");
  EXPECT_EQ(errorAt("/inputs/0/dims", R"(["batch",1,1,1,1,1,1,1,1])"),
            "manifest: inputs[0]: rank 9 is above 8");
  EXPECT_EQ(errorAt("/values/0/type", R"("i8")"),
            "manifest: values[0]: type or rank differs from that of inputs[0]");
  EXPECT_EQ(errorAt("/values", "[]"), "manifest: values: expected at least the 1 inputs");
  EXPECT_EQ(errorAt("/storage/1/bytes", "25"),
            "manifest: storage[1]: bytes 1000 + 25 lie beyond the weights (1024 bytes)");
  EXPECT_EQ(errorAt("/storage/1/offset", "9223372036854775807"),
            "manifest: storage[1]: bytes 9223372036854775807 + 24 lie beyond the weights (1024 "
            "bytes)");
  EXPECT_THAT(errorAt("/storage/1/offset", "18446744073709551615"),
              HasSubstr("expected an integer"));
  EXPECT_EQ(errorAt("/codes/0/buffers/0", "[3, 2]"),
            "manifest: codes[0].buffers[0]: expected [first, last] with first not after last");
  EXPECT_EQ(errorAt("/codes/0/buffers/0", "[3]"),
            "manifest: codes[0].buffers[0]: expected [first, last] with first not after last");
  EXPECT_EQ(errorAt("/codes", "[]"), "manifest: codes: the library has 2, the manifest 0");
  EXPECT_EQ(errorAt("/stages/0/code", "2"),
            "manifest: stages[0].code: expected one of 2 codes, found 2");
  EXPECT_EQ(errorAt("/stages/0/inputs/0", "4"),
            "manifest: stages[0].inputs[0]: expected one of 4 values, found 4");
  EXPECT_EQ(errorAt("/stages/0/parameters/0", "-1"),
            "manifest: stages[0].parameters[0]: expected one of 2 storage entries, found -1");
  EXPECT_EQ(errorAt("/tasks/0/stage", "3"),
            "manifest: tasks[0].stage: expected one of 3 stages, found 3");
  EXPECT_EQ(errorAt("/tasks", "[]"), "manifest: tasks: there are none");
  EXPECT_EQ(errorAt("/tasks/1/name", R"("base")"),
            "manifest: tasks[1]: the name 'base' is empty or used twice");
  EXPECT_EQ(errorAt("/tasks/0/outputs/1/name", R"("y")"),
            "manifest: tasks[0].outputs[1]: the name 'y' is used twice");
  EXPECT_EQ(errorAt("/rows/independent", "1"),
            "manifest: rows.independent: expected true or false, found 1");
}

TEST(ManifestTest, ChecksTheTreeAndTheDataflow) {
  EXPECT_EQ(errorAt("/stages/1/parent", "0"),
            "manifest: stages: the stages' parents do not form a tree");
  EXPECT_EQ(errorAt("/stages/0/parent", "0"),
            "manifest: stages: the stages' parents do not form a tree");
  EXPECT_EQ(errorAt("/stages/0/parent", "9"),
            "manifest: stages: stage 0 has the parent 9 of 3 stages");
  EXPECT_THAT(errorAt("/stages/0/parent", "-2"), HasSubstr("expected an integer from -1"));
  EXPECT_EQ(errorAt("/stages/2/inputs/0", "2"),
            "manifest: stages: stage 2 reads value 2, which nothing above it computes");
  EXPECT_EQ(errorAt("/stages/2/inputs/0", "3"),
            "manifest: stages: stage 2 reads value 3, which nothing above it computes");
  EXPECT_EQ(errorAt("/stages/2/outputs/0", "2"),
            "manifest: stages: stage 2 computes value 2, which is an input or computed elsewhere");
  EXPECT_EQ(errorAt("/stages/1/outputs/0", "0"),
            "manifest: stages: stage 1 computes value 0, which is an input or computed elsewhere");
  EXPECT_EQ(errorAt("/values/3/dims", "[1]"),
            "manifest: stages: stage 2 has outputs of other ranks than another stage of its code");
  EXPECT_EQ(errorAt("/tasks/1/outputs/0/value", "2"),
            "manifest: tasks[1].outputs[0]: no stage of the task computes value 2");
}

TEST(ManifestTest, ChecksTheWeightsFile) {
  std::string hash(64, 'a');
  auto file = [&](const std::string &name, const std::string &sha, const char *bytes = "1024") {
    return errorAt(
        "/weights_file",
        ("{\"name\":\"" + name + "\",\"bytes\":" + bytes + ",\"sha256\":\"" + sha + "\"}").c_str());
  };
  EXPECT_EQ(file("weights.bin", hash), "");
  for (const char *name : {"", "..", ".", "../w", "/etc/passwd", "a/b", "a\\u0000b"})
    EXPECT_EQ(file(name, hash),
              "manifest: weights_file.name: expected a file name without a folder")
        << name;
  EXPECT_THAT(file("w", "abc"), HasSubstr("expected 64 lower-case hexadecimal digits"));
  EXPECT_THAT(file("w", hash, "1000"), HasSubstr("lie beyond the weights (1000 bytes)"));
}

TEST(ManifestTest, NamesEachMissingKey) {
  const Json whole = good();
  for (const auto &[key, value] : whole.items()) {
    if (key == "backbone" || key == "rows")
      continue;
    Json document = good();
    document.erase(key);
    Manifest manifest;
    EXPECT_THAT(parse(document, manifest).message(), testing::StartsWith("manifest: " + key));
  }
}

TEST(ManifestTest, SurvivesDamage) {
  std::string text = good().dump();
  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = text;
    for (int flips = 0; flips < 2; ++flips)
      damaged[random() % damaged.size()] =
          random() % 2 ? char(random()) : "0123456789[]{},:\"-"[random() % 18];
    Manifest manifest;
    (void)parseManifest(damaged, kWeights, kCodes, manifest).failed();
  }
  for (size_t size = 0; size < text.size(); ++size) {
    Manifest manifest;
    ASSERT_TRUE(parseManifest(text.substr(0, size), kWeights, kCodes, manifest).failed());
  }
  Manifest manifest;
  EXPECT_TRUE(parseManifest(std::string(100000, '['), kWeights, kCodes, manifest).failed());
}
