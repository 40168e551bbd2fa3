//===- Routing.cpp - Routes that graft run is given and writes --*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Routing.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <set>

using namespace graft::commands;

static constexpr const char *kRoutes = "--routes", *kWeights = "--route-weights",
                            *kRecordRoutes = "--record-routes",
                            *kRecordWeights = "--record-route-weights", *kRules = "--rules";

static Status wrong(const std::string &flag, const std::string &words) {
  return inputError(flag + ": " + words);
}

Status Routing::listRouters() {
  for (size_t i = 0; i < graft_router_count(session->library()); ++i) {
    graft_router info = GRAFT_ROUTER_INIT;
    graft_error error = GRAFT_ERROR_INIT;
    if (graft_router_info(session->library(), i, &info, &error) != GRAFT_OK)
      return Status(error.code, error.message);
    Router &router = routers.emplace_back();
    router.name = info.name;
    router.weightType = info.weight_type;
    router.slots = info.slots;
    router.modules.assign(info.modules, info.modules + info.module_count);
  }
  return readLinks();
}

/// A sum of products of symbols, which are dimensions of inputs; -1 if it is no size.
static int64_t countRows(const nlohmann::json &manifest, const nlohmann::json &terms,
                         const Session &session) {
  std::map<std::string, int64_t> sizes;
  for (const nlohmann::json &input : manifest["inputs"])
    for (size_t i = 0; i < session.inputCount(); ++i)
      for (size_t d = 0; input["name"] == session.inputName(i) && d < input["dims"].size(); ++d)
        if (const nlohmann::json &dim = input["dims"][d];
            dim.is_string() && d < session.input(i).dims.size())
          sizes[dim.get<std::string>()] = session.input(i).dims[d];
  int64_t sum = 0;
  for (const nlohmann::json &term : terms) {
    int64_t product = term[0].get<int64_t>();
    for (size_t i = 1; i < term.size(); ++i) {
      auto size = sizes.find(manifest["symbols"][term[i].get<size_t>()].get<std::string>());
      if (size == sizes.end() || __builtin_mul_overflow(product, size->second, &product))
        return -1;
    }
    if (__builtin_add_overflow(sum, product, &sum))
      return -1;
  }
  return std::max<int64_t>(sum, -1);
}

/// The routers that the stages of these tasks ask.
static std::set<uint64_t> askedRouters(const nlohmann::json &manifest,
                                       const std::vector<std::string> &tasks) {
  std::set<uint64_t> asked;
  for (const nlohmann::json &task : manifest["tasks"])
    if (std::count(tasks.begin(), tasks.end(), task["name"].get<std::string>()))
      for (int64_t stage = task["stage"]; stage >= 0; stage = manifest["stages"][stage]["parent"])
        for (const nlohmann::json &router :
             manifest["stages"][stage].value("routers", nlohmann::json::array()))
          asked.insert(router.get<uint64_t>());
  return asked;
}

/// What the manifest says of how routers belong together.
Status Routing::readLinks() {
  size_t bytes = 0;
  const char *text = graft_library_manifest(session->library(), &bytes);
  // The runtime has checked it, but for what is for readers.
  const auto manifest = nlohmann::json::parse(text, text + bytes);
  for (const auto &name : manifest.value("hidden_routers", nlohmann::json::array()))
    hidden.push_back(name.is_string() ? name.get<std::string>() : name.dump());
  const std::set<uint64_t> asked = askedRouters(manifest, tasks);
  for (size_t i = 0; i < routers.size(); ++i) {
    const nlohmann::json &facts = manifest["routers"][i];
    routers[i].isAsked = asked.count(i);
    for (auto [key, number] : {std::pair{"same_modules_as", &routers[i].sameModulesAs},
                               std::pair{"tokens_of", &routers[i].tokensOf}}) {
      if (!facts.contains(key))
        continue;
      if (!facts[key].is_number_unsigned() || facts[key].get<uint64_t>() >= i)
        return inputError(session->path() + ": router '" + routers[i].name + "': " + key +
                          ": expected the number of an earlier router, found " + facts[key].dump());
      *number = facts[key].get<int64_t>();
    }
    if (facts.contains("within")) { // checked
      routers[i].within = facts["within"]["router"].get<int64_t>();
      routers[i].module = facts["within"]["module"].get<size_t>();
    }
    if (facts.contains("rows"))
      routers[i].rows = countRows(manifest, facts["rows"], *session);
    if (routers[i].tokensOf < 0)
      listed.push_back(i);
  }
  return {};
}

/// What shows tokens has no routes of its own.
Status Routing::refuseTokens(const char *flag, const File &file) const {
  const Router &router = routers[file.router];
  if (router.tokensOf < 0)
    return {};
  const std::string &of = routers[size_t(router.tokensOf)].name;
  return wrong(flag, "router '" + router.name + "' shows what each token gives the modules of '" +
                         of + "': expected '" + of + "'");
}

Status Routing::findRouter(const std::string &name, File &file) const {
  auto find = [&](const std::string &wanted) {
    auto found = std::find_if(routers.begin(), routers.end(),
                              [&](const Router &router) { return router.name == wanted; });
    file.router = size_t(found - routers.begin());
    return found != routers.end();
  };
  if (find(name))
    return {};
  for (size_t task = 0; task < tasks.size(); ++task)
    if (name.compare(0, tasks[task].size() + 1, tasks[task] + ".") == 0 &&
        find(name.substr(tasks[task].size() + 1))) {
      file.task = int64_t(task);
      return {};
    }
  std::string known;
  for (const Router &router : routers)
    known += (known.empty() ? "; there are " : ", ") + router.name;
  if (std::count(hidden.begin(), hidden.end(), name))
    return inputError(session->path() + ": the routes of '" + name +
                      "' are not shown: it is asked in a loop or a branch");
  return inputError(session->path() + ": there is no router '" + name + "'" +
                    (known.empty() ? "; there are none" : known));
}

Status Routing::parse(const char *flag, const std::vector<std::string> &texts, Files &files) const {
  for (const std::string &text : texts) {
    if (text.find("=@") == std::string::npos) {
      if (!files.all.empty())
        return wrong(flag, "expected one file of all routers, found '" + files.all + "' and '" +
                               text + "'");
      files.all = text[0] == '@' ? text.substr(1) : text;
      if (files.all.empty())
        return wrong(flag, "expected FILE.npy or ROUTER=@FILE.npy, found '" + text + "'");
      if (routers.empty())
        return wrong(flag, session->path() + ": there are no routers");
      continue;
    }
    FileArgument argument;
    if (Status status = parseFileArgument(text, argument); status.failed())
      return wrong(flag, status.message());
    File &file = files.named.emplace_back();
    file.path = argument.path;
    if (Status status = findRouter(argument.name, file); status.failed())
      return wrong(flag, status.message());
    for (size_t i = 0; i + 1 < files.named.size(); ++i)
      if (files.named[i].router == file.router && files.named[i].task == file.task)
        return wrong(flag, "router '" + argument.name + "' is named twice");
  }
  return {};
}

Status Routing::open(const RoutingOptions &options, const Session &opened) {
  session = &opened;
  tasks = session->tasks();
  std::vector<std::string> distinct;
  for (const std::string &task : tasks)
    if (!std::count(distinct.begin(), distinct.end(), task))
      distinct.push_back(task);
  tasks = std::move(distinct);
  statistics = options.statistics;
  rowTasks = session->request().flags & GRAFT_ROW_TASKS;
  if (Status status = listRouters(); status.failed())
    return status;
  // Chosen before weights: these are for those.
  for (auto [flag, texts, areWeights] : {std::tuple{kRoutes, &options.routes, false},
                                         std::tuple{kWeights, &options.weights, true}}) {
    Files files;
    if (Status status = parse(flag, *texts, files); status.failed())
      return status;
    if (!files.all.empty())
      if (Status status = readAll(flag, files.all, areWeights); status.failed())
        return status;
    for (const File &file : files.named) {
      if (Status status = refuseTokens(flag, file); status.failed())
        return status;
      if (Status status = readNamed(flag, file, areWeights); status.failed())
        return status;
    }
  }
  for (const auto &[key, route] : given)
    givenList.push_back(route);
  if (Status status = parse(kRecordRoutes, options.recordRoutes, recordRoutes); status.failed())
    return status;
  if (Status status = parse(kRecordWeights, options.recordWeights, recordWeights); status.failed())
    return status;
  looks = !recordRoutes.empty() || !recordWeights.empty() || !statistics.empty();
  return readRules(options);
}

//===----------------------------------------------------------------------===//
// What is given
//===----------------------------------------------------------------------===//

Status Routing::give(const char *flag, const File &file, const char *data, int64_t rows,
                     bool areWeights) {
  const Router &router = routers[file.router];
  std::pair<size_t, int64_t> key(file.router, file.task);
  auto found = given.find(key);
  if (!areWeights) {
    if (found != given.end())
      return wrong(flag, "router '" + router.name + "' is given twice");
    const auto *chosen = reinterpret_cast<const int64_t *>(data);
    if (router.within >= 0 && !router.isAsked &&
        std::any_of(chosen, chosen + rows * router.slots,
                    [](int64_t module) { return module != GRAFT_ROUTE_UNREACHED; }))
      return wrong(flag,
                   "router '" + router.name +
                       "' is not asked by the tasks that run, since no row comes there or its "
                       "route is compiled in: expected -2 in all slots");
    graft_route &route = given[key];
    route = GRAFT_ROUTE_INIT;
    route.router = router.name.c_str();
    route.task = file.task < 0 ? nullptr : tasks[size_t(file.task)].c_str();
    route.rows = rows;
    route.slots = router.slots;
    route.chosen = reinterpret_cast<const int64_t *>(data);
    return {};
  }
  if (found == given.end())
    return wrong(flag, "router '" + router.name + "' is given no routes (" + kRoutes + ")");
  graft_route &route = found->second;
  if (route.weights)
    return wrong(flag, "router '" + router.name + "' is given twice");
  if (route.rows != rows)
    return wrong(flag, file.path + ": expected " + std::to_string(route.rows) +
                           " rows, as its routes have, found " + std::to_string(rows));
  route.weights = data;
  route.weight_type = router.weightType;
  return {};
}

/// Checks the type; weights of bf16 may have been saved as their bits.
static Status checkType(const std::string &path, const Router &router, bool areWeights,
                        Tensor &tensor) {
  const int32_t wanted = areWeights ? router.weightType : int32_t(GRAFT_I64);
  if (wanted == GRAFT_BF16 && tensor.type == GRAFT_U16)
    tensor.type = GRAFT_BF16;
  if (tensor.type != wanted)
    return inputError(path + ": router '" + router.name + "': expected the type " +
                      graft_type_name(wanted) + ", found " + graft_type_name(tensor.type));
  return {};
}

static Status wrongShape(const std::string &path, const std::string &wanted, const Tensor &tensor) {
  return inputError(path + ": expected the shape " + wanted + ", found " + shapeText(tensor.dims));
}

Status Routing::readAll(const char *flag, const std::string &path, bool areWeights) {
  Tensor &tensor = tensors.emplace_back();
  if (Status status = readNpy(path, tensor); status.failed())
    return status;
  if (tensor.dims.size() == 2 && listed.size() == 1)
    tensor.dims.insert(tensor.dims.begin(), 1);
  if (tensor.dims.size() != 3 || tensor.dims[0] != int64_t(listed.size()))
    return wrongShape(path, "(" + std::to_string(listed.size()) + " routers, rows, slots)", tensor);
  const uint64_t step = tensor.bytes / listed.size();
  for (size_t i = 0; i < listed.size(); ++i) {
    const Router &router = routers[listed[i]];
    if (Status status = checkType(path, router, areWeights, tensor); status.failed())
      return status;
    if (tensor.dims[2] != router.slots)
      return inputError(path + ": expected the " + std::to_string(router.slots) +
                        " slots of router '" + router.name + "', found " +
                        std::to_string(tensor.dims[2]));
    File file;
    file.router = listed[i];
    file.path = path;
    if (Status status = give(flag, file, tensor.data.get() + i * step, tensor.dims[1], areWeights);
        status.failed())
      return status;
  }
  return {};
}

Status Routing::readNamed(const char *flag, const File &file, bool areWeights) {
  Tensor &tensor = tensors.emplace_back();
  const Router &router = routers[file.router];
  if (Status status = readNpy(file.path, tensor); status.failed())
    return status;
  if (Status status = checkType(file.path, router, areWeights, tensor); status.failed())
    return status;
  if (tensor.dims.size() != 2 || tensor.dims[1] != router.slots)
    return wrongShape(file.path, "(rows, " + std::to_string(router.slots) + " slots)", tensor);
  return give(flag, file, tensor.data.get(), tensor.dims[0], areWeights);
}

Status Routing::readRules(const RoutingOptions &options) {
  constexpr size_t kMostRules = 4096;
  Files files;
  if (Status status = parse(kRules, options.rules, files); status.failed())
    return status;
  if (!files.empty() && statistics.empty())
    return wrong(kRules, "labels rows for --routing-stats, which is not there");
  auto read = [&](const std::string &path, RuleLabels &rules) -> Status {
    Tensor tensor;
    if (Status status = readNpy(path, tensor); status.failed())
      return status;
    if (tensor.type != GRAFT_I64)
      return inputError(path + ": expected the type i64, found " + graft_type_name(tensor.type));
    rules.path = path;
    rules.dims = tensor.dims;
    rules.labels.resize(tensor.bytes / sizeof(int64_t));
    if (!rules.labels.empty())
      std::memcpy(rules.labels.data(), tensor.data.get(), tensor.bytes);
    std::vector<int64_t> distinct = rules.labels;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    if (distinct.size() > kMostRules)
      return inputError(path + ": expected at most " + std::to_string(kMostRules) +
                        " different labels, found " + std::to_string(distinct.size()));
    return {};
  };
  for (size_t i = 0; i < session->inputCount(); ++i)
    rules.inputs.push_back(session->input(i).dims);
  if (!files.all.empty())
    if (Status status = read(files.all, rules.all.emplace()); status.failed())
      return status;
  for (const File &file : files.named) {
    if (Status status = refuseTokens(kRules, file); status.failed())
      return status;
    if (file.task >= 0)
      return wrong(kRules, "expected the name of a router, found '" + tasks[size_t(file.task)] +
                               "." + routers[file.router].name + "'");
    if (Status status = read(file.path, rules.named[file.router]); status.failed())
      return status;
  }
  return {};
}

//===----------------------------------------------------------------------===//
// What is seen
//===----------------------------------------------------------------------===//

void Routing::attach(graft_request &request) {
  request.routes = givenList.data();
  request.route_count = givenList.size();
  if (looks) {
    request.on_route = look;
    request.on_route_data = this;
  }
}

int32_t Routing::look(void *self, const graft_route *route) {
  try {
    static_cast<Routing *>(self)->take(*route);
    return 0;
  } catch (const std::bad_alloc &) { // none may pass the C interface
    return 1;
  }
}

void Routing::take(const graft_route &route) {
  std::vector<std::string> own(route.tasks, route.tasks + route.task_count);
  size_t router = 0;
  while (routers[router].name != route.router)
    ++router;
  // A router within a module sees no more than the rows that come there.
  const bool isWithin = routers[router].within >= 0;
  const bool isPart = route.positions && (!isWithin || (rowTasks && own.size() == 1));
  auto found = std::find_if(records.begin(), records.end(), [&](const RouteRecord &record) {
    return record.router == router && record.isOfRowTasks() == isPart &&
           (isPart || record.tasks == own);
  });
  if (found == records.end()) {
    found = records.emplace(records.end());
    found->router = router;
  }
  const size_t slots = size_t(route.slots), rowBytes = slots * graft_type_bytes(route.weight_type);
  found->rows = route.batch_rows;
  found->chosen.resize(size_t(route.batch_rows) * slots, isWithin ? GRAFT_ROUTE_UNREACHED : -1);
  found->weights.resize(size_t(route.batch_rows) * rowBytes);
  int32_t task = 0;
  if (isPart) {
    // Row tasks: one task at a time.
    auto known = std::find(found->tasks.begin(), found->tasks.end(), own.front());
    task = int32_t(known - found->tasks.begin());
    if (known == found->tasks.end())
      found->tasks.push_back(own.front());
    found->taskOfRow.resize(size_t(route.batch_rows), -1);
  } else {
    found->tasks = std::move(own);
  }
  for (int64_t row = 0; row < route.rows; ++row) {
    const size_t to = size_t(route.positions ? route.positions[row] : row), from = size_t(row);
    std::copy_n(route.chosen + from * slots, slots, found->chosen.begin() + long(to * slots));
    std::memcpy(found->weights.data() + to * rowBytes,
                static_cast<const char *>(route.weights) + from * rowBytes, rowBytes);
    if (isPart)
      found->taskOfRow[to] = task;
  }
}

/// Where no row came to a router within a module, or none of a task, it was not asked; the router
/// that chooses the module was.
void Routing::addUnreached() {
  for (size_t i = 0; i < routers.size(); ++i) {
    const Router &router = routers[i];
    for (size_t o = 0; router.within >= 0 && o < records.size(); ++o) {
      if (records[o].router != size_t(router.within))
        continue;
      const RouteRecord outer = records[o];
      auto found = std::find_if(records.begin(), records.end(), [&](const RouteRecord &record) {
        return record.router == i && record.isOfRowTasks() == outer.isOfRowTasks() &&
               (outer.isOfRowTasks() || record.tasks == outer.tasks);
      });
      if (found == records.end() && router.rows >= 0) {
        found = records.emplace(records.end());
        found->router = i;
        found->rows = router.rows;
        found->tasks = outer.tasks;
        found->chosen.assign(size_t(found->rows * router.slots), GRAFT_ROUTE_UNREACHED);
        found->weights.assign(found->chosen.size() * graft_type_bytes(router.weightType), 0);
        if (outer.isOfRowTasks())
          found->taskOfRow.assign(size_t(found->rows), -1);
      } else if (found != records.end() && outer.isOfRowTasks()) {
        for (const std::string &task : outer.tasks)
          if (!std::count(found->tasks.begin(), found->tasks.end(), task))
            found->tasks.push_back(task);
      }
    }
  }
}

Status Routing::findRecord(const char *flag, const File &file, const RouteRecord *&record) const {
  record = nullptr;
  const std::string &name = routers[file.router].name;
  std::string several;
  for (const RouteRecord &each : records) {
    if (each.router != file.router ||
        (file.task >= 0 && (each.isOfRowTasks() || !std::count(each.tasks.begin(), each.tasks.end(),
                                                               tasks[size_t(file.task)]))))
      continue;
    for (const std::string &task : each.tasks)
      several += (several.empty() ? "" : ", ") + task;
    if (record)
      return wrong(flag, "router '" + name + "' has routes of their own in tasks " + several +
                             ": name TASK." + name + "=@FILE.npy");
    record = &each;
  }
  return record ? Status() : wrong(flag, "router '" + name + "' was not asked for such rows");
}

static TensorView viewOf(const Router &router, const RouteRecord &record, bool areWeights) {
  TensorView view;
  view.dims = {record.rows, router.slots};
  view.type = areWeights ? router.weightType : int32_t(GRAFT_I64);
  view.data =
      areWeights ? record.weights.data() : reinterpret_cast<const char *>(record.chosen.data());
  view.bytes = uint64_t(record.rows * router.slots) * graft_type_bytes(view.type);
  return view;
}

Status Routing::write(const char *flag, const Files &files, bool areWeights,
                      NpyWriter &writer) const {
  const RouteRecord *record;
  for (const File &file : files.named) {
    if (Status status = findRecord(flag, file, record); status.failed())
      return status;
    if (Status status = writer.add(file.path, viewOf(routers[file.router], *record, areWeights));
        status.failed())
      return status;
  }
  if (files.all.empty())
    return {};
  std::vector<TensorView> views;
  std::vector<char> bytes;
  for (size_t i : listed) {
    File file;
    file.router = i;
    if (Status status = findRecord(flag, file, record); status.failed())
      return status;
    const TensorView &view = views.emplace_back(viewOf(routers[i], *record, areWeights));
    if (view.dims != views.front().dims || view.type != views.front().type)
      return wrong(flag, files.all + ": router '" + routers[listed.front()].name + "' has " +
                             graft_type_name(views.front().type) + " " +
                             shapeText(views.front().dims) + ", '" + routers[i].name + "' " +
                             graft_type_name(view.type) + " " + shapeText(view.dims) +
                             ": name a file for each, ROUTER=@FILE.npy");
    bytes.insert(bytes.end(), view.data, view.data + view.bytes);
  }
  TensorView whole = views.front();
  whole.dims.insert(whole.dims.begin(), int64_t(listed.size()));
  whole.data = bytes.data();
  whole.bytes = bytes.size();
  return writer.add(files.all, whole);
}

Status Routing::write(NpyWriter &writer) {
  addUnreached();
  if (Status status = write(kRecordRoutes, recordRoutes, false, writer); status.failed())
    return status;
  if (Status status = write(kRecordWeights, recordWeights, true, writer); status.failed())
    return status;
  if (statistics.empty())
    return {};
  nlohmann::ordered_json facts = session->facts();
  facts.erase("inputs");
  std::vector<std::string> unlabelled;
  if (Status status = routingStatistics(routers, records, rules, facts, unlabelled);
      status.failed())
    return status;
  if (!hidden.empty())
    facts["not_shown"] = hidden;
  for (const std::string &words : unlabelled)
    std::cerr << "warning: " << kRules << ": " << words << std::endl;
  return writer.addText(
      statistics,
      facts.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}
