//===- Manifest.cpp - What a library says about itself ----------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Manifest.h"

#include "graft/Runtime/ArtifactAbi.h"
#include "graft/Runtime/JsonReader.h"
#include "graft/Runtime/Tensor.h"

#include <algorithm>
#include <unordered_set>

using namespace graft::runtime;

static int32_t readType(const JsonPlace &place) {
  std::string name = place.string();
  std::optional<int32_t> type = typeFromName(name);
  if (!type)
    place.fail("unknown element type '" + name + "'");
  return type.value_or(0);
}

static ValueInfo readValue(const JsonPlace &place) {
  ValueInfo value;
  value.type = readType(place["type"]);
  place["dims"].each([&](const JsonPlace &dim, size_t) {
    Dimension &dimension = value.dims.emplace_back();
    if (dim.isString())
      dimension.text = dim.string();
    else
      dimension.size = dim.integer(0);
  });
  if (value.dims.size() > GRAFT_MAX_RANK)
    place.fail("rank " + std::to_string(value.dims.size()) + " is above " +
               std::to_string(GRAFT_MAX_RANK));
  return value;
}

static void readSymbolsAndInputs(const JsonPlace &root, Manifest &manifest) {
  root["symbols"].each([&](const JsonPlace &place, size_t) {
    std::string name = place.string();
    if (std::count(manifest.symbols.begin(), manifest.symbols.end(), name))
      place.fail("'" + name + "' occurs twice");
    manifest.symbols.push_back(std::move(name));
  });
  std::vector<bool> bound(manifest.symbols.size());
  std::vector<ValueInfo> inputs;
  root["inputs"].each([&](const JsonPlace &place, size_t) {
    ValueInfo input = readValue(place);
    input.name = place["name"].string();
    for (const ValueInfo &other : inputs)
      if (other.name == input.name)
        place.fail("'" + input.name + "' occurs twice");
    for (Dimension &dim : input.dims) {
      if (dim.size >= 0)
        continue;
      auto found = std::find(manifest.symbols.begin(), manifest.symbols.end(), dim.text);
      if (found == manifest.symbols.end())
        return place.fail("'" + dim.text + "' is not among the symbols");
      dim.symbol = int32_t(found - manifest.symbols.begin());
      bound[dim.symbol] = true;
    }
    inputs.push_back(std::move(input));
  });
  for (size_t i = 0; i < bound.size(); ++i)
    if (!bound[i])
      root["symbols"].fail("'" + manifest.symbols[i] + "' is no input's dimension");

  root["values"].each([&](const JsonPlace &place, size_t i) {
    ValueInfo value = readValue(place);
    if (i >= inputs.size()) {
      manifest.values.push_back(std::move(value));
      return;
    }
    if (value.type != inputs[i].type || value.rank() != inputs[i].rank())
      place.fail("type or rank differs from that of inputs[" + std::to_string(i) + "]");
    manifest.values.push_back(inputs[i]);
  });
  if (manifest.values.size() < inputs.size())
    root["values"].fail("expected at least the " + std::to_string(inputs.size()) + " inputs");
  manifest.inputCount = uint32_t(inputs.size());
}

static void readStorage(const JsonPlace &root, uint64_t sectionBytes, Manifest &manifest) {
  uint64_t available = sectionBytes;
  if (root.has("weights_file")) {
    JsonPlace place = root["weights_file"];
    WeightsFile &file = manifest.weightsFile;
    file.name = place["name"].string();
    file.bytes = uint64_t(place["bytes"].integer(0));
    file.sha256 = place["sha256"].string();
    if (file.name.empty() || file.name == "." || file.name == ".." ||
        file.name.find('/') != std::string::npos || file.name.find('\0') != std::string::npos)
      place["name"].fail("expected a file name without a folder");
    if (file.sha256.size() != 64 ||
        file.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
      place["sha256"].fail("expected 64 lower-case hexadecimal digits");
    available = file.bytes;
  }
  root["storage"].each([&](const JsonPlace &place, size_t) {
    StorageInfo storage;
    storage.name = place["name"].string();
    storage.offset = uint64_t(place["offset"].integer(0));
    storage.bytes = uint64_t(place["bytes"].integer(0));
    if (storage.offset > available || storage.bytes > available - storage.offset)
      place.fail("bytes " + std::to_string(storage.offset) + " + " + std::to_string(storage.bytes) +
                 " lie beyond the weights (" + std::to_string(available) + " bytes)");
    manifest.storage.push_back(std::move(storage));
  });
}

static void readRouters(const JsonPlace &root, Manifest &manifest) {
  constexpr int64_t kMostSlots = int64_t(1) << 20;
  if (!root.has("routers")) // libraries from before there were any
    return;
  std::unordered_set<std::string> names;
  root["routers"].each([&](const JsonPlace &place, size_t) {
    RouterInfo router;
    router.name = place["name"].string();
    router.weightType = readType(place["weights"]);
    router.slots = place["slots"].integer(1, kMostSlots);
    router.weighs = place["weighs"].boolean();
    if (router.name.empty() || !names.insert(router.name).second)
      place.fail("the name '" + router.name + "' is empty or used twice");
    if (router.weightType > GRAFT_F64)
      place["weights"].fail("expected a float type");
    std::unordered_set<std::string> modules;
    place["modules"].each([&](const JsonPlace &item, size_t) {
      std::string name = item["name"].string();
      if (name.empty() || !modules.insert(name).second)
        item.fail("the name '" + name + "' is empty or used twice");
      item["bytes"].integer(0);
      router.modules.push_back(std::move(name));
    });
    if (router.modules.empty())
      place["modules"].fail("there are none");
    if (place.has("within")) {
      router.within = int32_t(place["within"]["router"].index(manifest.routers.size(), "routers"));
      place["within"]["module"].index(manifest.routers[size_t(router.within)].modules.size(),
                                      "modules");
    }
    if (place.has("rows")) {
      router.rows.emplace();
      place["rows"].each([&](const JsonPlace &item, size_t) {
        RouterInfo::Term &term = router.rows->emplace_back();
        item.each([&](const JsonPlace &factor, size_t i) {
          if (i == 0)
            term.coefficient = factor.integer(std::numeric_limits<int64_t>::min());
          else
            term.symbols.push_back(factor.index(manifest.symbols.size(), "symbols"));
        });
      });
    }
    manifest.routers.push_back(std::move(router));
  });
  for (RouterInfo &router : manifest.routers)
    for (const std::string &name : router.modules)
      router.moduleNames.push_back(name.c_str());
}

static std::vector<Interval> readBuffers(const JsonPlace &code) {
  std::vector<Interval> buffers;
  code["buffers"].each([&](const JsonPlace &buffer, size_t) {
    int64_t ends[2] = {0, 0};
    size_t count = 0;
    buffer.each([&](const JsonPlace &end, size_t i) {
      if (i < 2)
        ends[i] = end.integer(0);
      ++count;
    });
    if (count != 2 || ends[0] > ends[1])
      buffer.fail("expected [first, last] with first not after last");
    buffers.push_back({ends[0], ends[1]});
  });
  return buffers;
}

static DeviceImage readDeviceImage(const JsonPlace &place) {
  DeviceImage image;
  const std::string arch = place["arch"].string(), kind = place["kind"].string();
  if (!parseArchitecture(arch, image))
    place["arch"].fail("expected a name as sm_90a, found '" + arch + "'");
  if (kind != "ptx" && kind != "cubin")
    place["kind"].fail("expected ptx or cubin, found '" + kind + "'");
  image.isPtx = kind == "ptx";
  image.offset = uint64_t(place["offset"].integer(0));
  image.bytes = uint64_t(place["bytes"].integer(1));
  return image;
}

static void readDevice(const JsonPlace &root, uint64_t codeCount, Manifest &manifest) {
  if (!root.has("device"))
    return;
  JsonPlace place = root["device"];
  DeviceInfo device;
  device.capability = place["capability"].integer(10, 9999);
  place["codes"].each([&](const JsonPlace &code, size_t) {
    std::optional<std::vector<Interval>> &buffers = device.codes.emplace_back();
    if (!code.isNull())
      buffers = readBuffers(code);
  });
  if (device.codes.size() != codeCount)
    place["codes"].fail("the library has " + std::to_string(codeCount) + ", the manifest " +
                        std::to_string(device.codes.size()));
  place["checks"].each(
      [&](const JsonPlace &check, size_t) { device.checks.push_back(check.string()); });
  if (place.has("images"))
    place["images"].each(
        [&](const JsonPlace &image, size_t) { device.images.push_back(readDeviceImage(image)); });
  manifest.device = std::move(device);
}

static void readStages(const JsonPlace &root, uint64_t codeCount, Manifest &manifest) {
  root["codes"].each(
      [&](const JsonPlace &place, size_t) { manifest.codes.push_back(readBuffers(place)); });
  if (manifest.codes.size() != codeCount)
    root["codes"].fail("the library has " + std::to_string(codeCount) + ", the manifest " +
                       std::to_string(manifest.codes.size()));

  root["stages"].each([&](const JsonPlace &place, size_t) {
    StageInfo stage;
    auto indices = [&](const char *key, size_t count, const char *what,
                       std::vector<uint32_t> &list) {
      place[key].each(
          [&](const JsonPlace &item, size_t) { list.push_back(item.index(count, what)); });
    };
    stage.code = place["code"].index(manifest.codes.size(), "codes");
    stage.parent = int32_t(place["parent"].integer(-1, std::numeric_limits<int32_t>::max()));
    indices("inputs", manifest.values.size(), "values", stage.inputs);
    indices("outputs", manifest.values.size(), "values", stage.outputs);
    indices("parameters", manifest.storage.size(), "storage entries", stage.parameters);
    if (place.has("routers"))
      indices("routers", manifest.routers.size(), "routers", stage.routers);
    if (place.has("fixed_routers"))
      indices("fixed_routers", manifest.routers.size(), "routers", stage.fixedRouters);
    manifest.stages.push_back(std::move(stage));
  });
}

/// Orders parents before children; fails where parents go in circles.
static void orderStages(const JsonPlace &root, Manifest &manifest) {
  size_t count = manifest.stages.size();
  for (size_t i = 0; i < count; ++i)
    if (manifest.stages[i].parent >= int64_t(count))
      return root["stages"].fail("stage " + std::to_string(i) + " has the parent " +
                                 std::to_string(manifest.stages[i].parent) + " of " +
                                 std::to_string(count) + " stages");
  std::vector<std::vector<uint32_t>> children(count);
  for (size_t i = 0; i < count; ++i) {
    if (manifest.stages[i].parent < 0)
      manifest.stageOrder.push_back(uint32_t(i));
    else
      children[manifest.stages[i].parent].push_back(uint32_t(i));
  }
  for (size_t next = 0; next < manifest.stageOrder.size(); ++next)
    for (uint32_t child : children[manifest.stageOrder[next]])
      manifest.stageOrder.push_back(child);
  if (manifest.stageOrder.size() != count)
    root["stages"].fail("the stages' parents do not form a tree");
}

static bool isAncestorOrSelf(const Manifest &manifest, uint32_t stage, uint32_t ancestor) {
  for (int64_t at = stage; at >= 0; at = manifest.stages[at].parent)
    if (at == ancestor)
      return true;
  return false;
}

namespace {
/// The value that tells tasks of rows, and the one stage that reads it.
struct KeysPlace {
  uint32_t value, stage;
};
} // namespace

static std::optional<KeysPlace> readKeys(const JsonPlace &root, const Manifest &manifest) {
  if (!root.has("rows") || !root["rows"].has("stage"))
    return std::nullopt;
  JsonPlace rows = root["rows"];
  KeysPlace keys{rows["keys"].index(manifest.values.size(), "values"),
                 rows["stage"].index(manifest.stages.size(), "stages")};
  if (keys.value >= manifest.values.size())
    return std::nullopt;
  const ValueInfo &value = manifest.values[keys.value];
  if (keys.value < manifest.inputCount || value.type != GRAFT_I64 || value.rank() != 2)
    rows["keys"].fail("expected a value of type i64 and rank 2 that is no input");
  return keys;
}

/// Each value has one stage that computes it, and is only read below that stage.
static void checkDataflow(const JsonPlace &root, Manifest &manifest,
                          std::vector<int64_t> &producer) {
  std::optional<KeysPlace> keys = readKeys(root, manifest);
  JsonPlace stages = root["stages"];
  producer.assign(manifest.values.size(), -1);
  std::vector<int64_t> codeRank(manifest.codes.size(), -1);
  for (uint32_t i : manifest.stageOrder) {
    const StageInfo &stage = manifest.stages[i];
    std::string name = "stage " + std::to_string(i);
    for (uint32_t value : stage.inputs) {
      bool isKeys = keys && value == keys->value && i == keys->stage;
      bool visible = value < manifest.inputCount || isKeys ||
                     (producer[value] >= 0 && producer[value] != i &&
                      isAncestorOrSelf(manifest, i, uint32_t(producer[value])));
      if (!visible)
        return stages.fail(name + " reads value " + std::to_string(value) +
                           ", which nothing above it computes");
    }
    int64_t rank = 0;
    for (uint32_t value : stage.outputs) {
      if (value < manifest.inputCount || producer[value] >= 0 || (keys && value == keys->value))
        return stages.fail(name + " computes value " + std::to_string(value) +
                           ", which is an input or computed elsewhere");
      producer[value] = i;
      rank += manifest.values[value].rank();
    }
    // Stages with one code share its shape function, which fills that many dimensions.
    if (codeRank[stage.code] >= 0 && codeRank[stage.code] != rank)
      return stages.fail(name + " has outputs of other ranks than another stage of its code");
    codeRank[stage.code] = rank;
  }
}

/// Reads the path to `task.stage`, and what of it is an output.
static void readPath(const JsonPlace &place, const std::vector<int64_t> &producer,
                     const Manifest &manifest, TaskInfo &task) {
  task.stage = place["stage"].index(manifest.stages.size(), "stages");
  std::unordered_set<std::string> outputs;
  place["outputs"].each([&](const JsonPlace &item, size_t) {
    OutputInfo output;
    output.name = item["name"].string();
    output.qualifiedName = task.name + "." + output.name;
    output.value = item["value"].index(manifest.values.size(), "values");
    if (!outputs.insert(output.name).second)
      item.fail("the name '" + output.name + "' is used twice");
    bool known = output.value < producer.size() && task.stage < manifest.stages.size() &&
                 (output.value < manifest.inputCount ||
                  (producer[output.value] >= 0 &&
                   isAncestorOrSelf(manifest, task.stage, uint32_t(producer[output.value]))));
    if (!known)
      item.fail("no stage of the task computes value " + std::to_string(output.value));
    task.outputs.push_back(std::move(output));
  });
  for (int64_t at = task.stage; at >= 0 && size_t(at) < manifest.stages.size();
       at = manifest.stages[at].parent)
    task.path.insert(task.path.begin(), uint32_t(at));
}

static void readTasks(const JsonPlace &root, const std::vector<int64_t> &producer,
                      Manifest &manifest) {
  std::unordered_set<std::string> names;
  root["tasks"].each([&](const JsonPlace &place, size_t) {
    TaskInfo task;
    task.name = place["name"].string();
    if (task.name.empty() || !names.insert(task.name).second)
      place.fail("the name '" + task.name + "' is empty or used twice");
    readPath(place, producer, manifest, task);
    manifest.tasks.push_back(std::move(task));
  });
  if (manifest.tasks.empty())
    root["tasks"].fail("there are none");
}

/// The path on which rows of several tasks run together, after the tasks.
static void readRowsTogether(const JsonPlace &root, const std::vector<int64_t> &producer,
                             Manifest &manifest) {
  manifest.rows.keyOf.assign(manifest.tasks.size(), -1);
  if (!root.has("rows") || !root["rows"].has("stage"))
    return;
  JsonPlace rows = root["rows"];
  TaskInfo together;
  readPath(rows, producer, manifest, together);
  manifest.rows.keys = rows["keys"].index(manifest.values.size(), "values");
  rows["tasks"].each([&](const JsonPlace &place, size_t key) {
    const int32_t task = manifest.findTask(place.string());
    if (task < 0 || manifest.rows.keyOf[task] >= 0)
      return place.fail("'" + place.string() + "' is no task, or occurs twice");
    manifest.rows.keyOf[task] = int64_t(key);
    for (const OutputInfo &output : manifest.tasks[task].outputs)
      if (std::none_of(together.outputs.begin(), together.outputs.end(),
                       [&](const OutputInfo &other) { return other.name == output.name; }))
        place.fail("has an output '" + output.name + "' that the rows' stage has not");
  });
  for (const TaskInfo &task : manifest.tasks)
    if (std::count(task.path.begin(), task.path.end(), together.stage))
      rows["stage"].fail("is on the path of task '" + task.name + "'");
  manifest.rows.together = std::move(together);
}

static void readHead(const JsonPlace &root, Manifest &manifest) {
  manifest.version = root["graft"].string();
  root["abi"].integer(GRAFT_ARTIFACT_ABI, GRAFT_ARTIFACT_ABI);
  if (root.has("backbone"))
    manifest.backbone = root["backbone"].string();
  manifest.cpu = root["cpu"]["name"].string();
  root["cpu"]["features"].each(
      [&](const JsonPlace &place, size_t) { manifest.cpuFeatures.push_back(place.string()); });
  if (root.has("rows")) {
    JsonPlace rows = root["rows"];
    manifest.rows.independent = rows["independent"].boolean();
    auto optional = [&](const char *key) { return rows.has(key) ? rows[key].string() : ""; };
    manifest.rows.op = optional("op");
    manifest.rows.node = optional("node");
    manifest.rows.reason = optional("reason");
  }
}

Status graft::runtime::parseManifest(std::string_view text, uint64_t sectionBytes,
                                     uint64_t codeCount, Manifest &manifest) {
  nlohmann::json document;
  try {
    document = nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception &error) {
    return inputError(std::string("manifest: ") + error.what());
  }
  Status status;
  JsonPlace root(&document, "", status);
  readHead(root, manifest);
  readSymbolsAndInputs(root, manifest);
  readStorage(root, sectionBytes, manifest);
  readRouters(root, manifest);
  readStages(root, codeCount, manifest);
  readDevice(root, codeCount, manifest);
  // From here on indices are used.
  std::vector<int64_t> producer;
  if (!status.failed())
    orderStages(root, manifest);
  if (!status.failed())
    checkDataflow(root, manifest, producer);
  if (!status.failed())
    readTasks(root, producer, manifest);
  if (!status.failed())
    readRowsTogether(root, producer, manifest);
  return status;
}

template <typename Items> static int32_t findName(const Items &items, std::string_view name) {
  for (size_t i = 0; i < items.size(); ++i)
    if (items[i].name == name)
      return int32_t(i);
  return -1;
}

int32_t Manifest::findTask(std::string_view name) const { return findName(tasks, name); }

int32_t Manifest::findInput(std::string_view name) const {
  int32_t found = findName(values, name);
  return found < int32_t(inputCount) ? found : -1;
}

int32_t Manifest::findRouter(std::string_view name) const { return findName(routers, name); }

std::optional<int64_t> RouterInfo::countRows(const std::vector<int64_t> &symbols) const {
  if (!rows)
    return std::nullopt;
  int64_t sum = 0;
  for (const Term &term : *rows) {
    int64_t product = term.coefficient;
    for (uint32_t symbol : term.symbols)
      if (symbols[symbol] < 0 || !checkedMul(product, symbols[symbol], product))
        return std::nullopt;
    if (!checkedAdd(sum, product, sum))
      return std::nullopt;
  }
  return sum < 0 ? std::nullopt : std::optional(sum);
}

template <typename Iterator> static std::string joined(Iterator begin, Iterator end) {
  std::string text;
  for (Iterator at = begin; at != end; ++at)
    text += (at == begin ? "" : ", ") + at->name;
  return text;
}

std::string Manifest::taskNames() const { return joined(tasks.begin(), tasks.end()); }
std::string Manifest::inputNames() const {
  return joined(values.begin(), values.begin() + inputCount);
}
std::string Manifest::routerNames() const { return joined(routers.begin(), routers.end()); }
