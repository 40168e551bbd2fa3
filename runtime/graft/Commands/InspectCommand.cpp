//===- InspectCommand.cpp - graft inspect of libraries ----------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Commands.h"
#include "graft/Commands/InspectKernels.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sys/stat.h>

using namespace graft::commands;
using Json = nlohmann::ordered_json;

bool graft::commands::isLibrary(const std::string &path) {
  if (path.size() > 3 && path.compare(path.size() - 3, 3, ".so") == 0)
    return true;
  struct stat facts;
  if (::stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode))
    return false;
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof(magic));
  return std::string(magic, 4) == "\x7f"
                                  "ELF";
}

/// Bytes of the weights that the stages of a task's path read.
static uint64_t taskBytes(const Json &manifest, const Json &task) {
  std::set<uint64_t> storage;
  for (int64_t stage = task["stage"]; stage >= 0; stage = manifest["stages"][stage]["parent"])
    for (const Json &slot : manifest["stages"][stage]["parameters"])
      storage.insert(slot.get<uint64_t>());
  uint64_t bytes = 0;
  for (uint64_t index : storage)
    bytes += manifest["storage"][index]["bytes"].get<uint64_t>();
  return bytes;
}

static Json taskFacts(const Json &manifest, const Json &task) {
  Json facts;
  facts["name"] = task["name"];
  facts["adapters"] = task.value("adapters", Json::array());
  facts["outputs"] = Json::array();
  for (const Json &output : task["outputs"]) {
    const Json &value = manifest["values"][output["value"].get<size_t>()];
    facts["outputs"].push_back(
        {{"name", output["name"]}, {"type", value["type"]}, {"dims", value["dims"]}});
  }
  facts["stages"] = Json::array();
  for (int64_t stage = task["stage"]; stage >= 0; stage = manifest["stages"][stage]["parent"])
    facts["stages"].insert(facts["stages"].begin(), stage);
  facts["weights_bytes"] = taskBytes(manifest, task);
  facts["residency"] = task.value("residency", Json::array());
  return facts;
}

/// The tasks whose path has a stage that asks the router.
static Json tasksOfRouter(const Json &manifest, size_t router) {
  Json names = Json::array();
  for (const Json &task : manifest["tasks"])
    for (int64_t stage = task["stage"]; stage >= 0; stage = manifest["stages"][stage]["parent"]) {
      const Json asked = manifest["stages"][stage].value("routers", Json::array());
      if (std::find(asked.begin(), asked.end(), router) != asked.end()) {
        names.push_back(task["name"]);
        break;
      }
    }
  return names;
}

/// The routers that choose row by row.
static Json routerFacts(const Json &manifest) {
  Json routers = Json::array();
  const Json all = manifest.value("routers", Json::array());
  for (size_t i = 0; i < all.size(); ++i) {
    Json &facts = routers.emplace_back();
    for (const char *key : {"name", "slots", "weights", "weighs"})
      facts[key] = all[i][key];
    facts["tasks"] = tasksOfRouter(manifest, i);
    for (const char *key : {"same_modules_as", "tokens_of"})
      if (const Json other = all[i].value(key, Json()); other.is_number_unsigned() && other < i)
        facts[key] = all[other.get<size_t>()]["name"];
    if (all[i].contains("within")) { // checked
      const Json &outer = all[all[i]["within"]["router"].get<size_t>()];
      facts["within"] = {
          {"router", outer["name"]},
          {"module", outer["modules"][all[i]["within"]["module"].get<size_t>()]["name"]}};
    }
    facts["modules"] = all[i]["modules"];
  }
  return routers;
}

/// All modules, with the router that chooses each and the tasks that reach it: those that tasks
/// take, then those that routers choose for rows.
static Json moduleFacts(const Json &manifest, const Json &routers) {
  Json modules = Json::array();
  for (Json module : manifest.value("modules", Json::array())) {
    if (!module.is_object()) // for the reader, and not checked
      continue;
    module["tasks"] = Json::array();
    for (const Json &task : manifest["tasks"]) {
      const Json taken = task.value("adapters", Json::array());
      if (std::find(taken.begin(), taken.end(), module.value("name", Json())) != taken.end())
        module["tasks"].push_back(task["name"]);
    }
    modules.push_back(std::move(module));
  }
  for (const Json &router : routers)
    for (const Json &module : router.contains("tokens_of") ? Json::array() : router["modules"])
      modules.push_back({{"name", module["name"]},
                         {"kind", "function composition"},
                         {"router", router["name"]},
                         {"bytes", module["bytes"]},
                         {"tasks", router["tasks"]}});
  return modules;
}

/// What it has for a GPU, and whether there is one here.
static Json deviceFacts(const Library &library, const Json &manifest) {
  Json facts;
  facts["capability"] = manifest["device"]["capability"];
  facts["here"] = graft_library_device(library.get());
  const Json &codes = manifest["device"]["codes"];
  facts["codes"] = codes.size() - size_t(std::count(codes.begin(), codes.end(), Json()));
  facts["kernels"] = Json::array();
  for (size_t i = 0; i < graft_kernel_count(library.get()); ++i)
    facts["kernels"].push_back(graft_kernel_name(library.get(), i));
  addKernelFacts(facts, manifest["device"]);
  return facts;
}

static Json libraryFacts(const std::string &path, const Library &library, const Json &manifest,
                         const Status &runnable) {
  Json facts;
  facts["file"] = path;
  struct stat file;
  facts["bytes"] = ::stat(path.c_str(), &file) == 0 ? uint64_t(file.st_size) : 0;
  facts["graft"] = manifest["graft"];
  facts["abi"] = manifest["abi"];
  facts["backbone"] = manifest.value("backbone", "");
  facts["cpu"] = {{"name", manifest["cpu"]["name"]},
                  {"features", manifest["cpu"]["features"]},
                  {"runs_here", !runnable.failed()}};
  if (runnable.failed())
    facts["cpu"]["reason"] = runnable.message();
  if (graft_library_device(library.get()))
    facts["device"] = deviceFacts(library, manifest);
  facts["symbols"] = manifest["symbols"];
  facts["inputs"] = manifest["inputs"];
  facts["tasks"] = Json::array();
  for (const Json &task : manifest["tasks"])
    facts["tasks"].push_back(taskFacts(manifest, task));
  facts["routers"] = routerFacts(manifest);
  if (manifest.contains("hidden_routers"))
    facts["hidden_routers"] = manifest["hidden_routers"];
  facts["modules"] = moduleFacts(manifest, facts["routers"]);
  facts["rows"] = manifest.value("rows", Json{{"independent", false}});
  uint64_t bytes = 0;
  for (const Json &storage : manifest["storage"])
    bytes += storage["bytes"].get<uint64_t>();
  facts["weights"] = {{"bytes", bytes}, {"pieces", manifest["storage"].size()}};
  if (manifest.contains("weights_file") && !manifest["weights_file"].is_null())
    facts["weights"]["file"] = manifest["weights_file"];
  facts["stages"] = manifest["stages"].size();
  facts["codes"] = manifest["codes"].size();
  return facts;
}

static std::string bytesText(uint64_t bytes) {
  char text[32];
  if (bytes < 10000)
    return std::to_string(bytes) + " bytes";
  if (bytes < 10000000)
    std::snprintf(text, sizeof(text), "%.1f KB", double(bytes) / 1e3);
  else
    std::snprintf(text, sizeof(text), "%.1f MB", double(bytes) / 1e6);
  return text;
}

static std::string plain(const Json &value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// "ids: i64 batch x seq"
static std::string tensorText(const Json &tensor) {
  std::string text = plain(tensor["name"]) + ": " + plain(tensor["type"]);
  for (size_t i = 0; i < tensor["dims"].size(); ++i)
    text += (i ? " x " : " ") + plain(tensor["dims"][i]);
  return tensor["dims"].empty() ? text + " scalar" : text;
}

static std::string joined(const Json &list) {
  std::string text;
  for (const Json &item : list)
    text += (text.empty() ? "" : " ") + plain(item);
  return text;
}

/// "38 sites: 36 fold, 2 branch; error of a fold at most 4.1e-08"
static std::string residencyText(const Json &sites) {
  std::map<std::string, size_t> counts;
  double worst = 0;
  for (const Json &site : sites) {
    auto field = [&](const char *name) {
      return site.is_object() ? site.value(name, Json()) : Json();
    };
    ++counts[field("residency").is_string() ? plain(field("residency")) : "?"];
    if (field("fold_error").is_number())
      worst = std::max(worst, field("fold_error").get<double>());
  }
  std::string text = std::to_string(sites.size()) + (sites.size() == 1 ? " site" : " sites");
  const char *separator = ": ";
  for (const auto &[residency, count] : counts) {
    text += separator + std::to_string(count) + " " + residency;
    separator = ", ";
  }
  if (counts.count("fold")) {
    char error[32];
    std::snprintf(error, sizeof(error), "%.1e", worst);
    text += std::string("; error of a fold at most ") + error;
  }
  return text;
}

/// A line for each router, and under it one for all modules that follow each other and are as
/// large.
static void printRouters(std::ostream &out, const Json &routers) {
  if (!routers.empty())
    out << "routers:\n";
  for (const Json &router : routers) {
    if (router.contains("tokens_of")) {
      out << "  " << plain(router["name"]) << ": what each token gives the modules of "
          << plain(router["tokens_of"]) << "\n";
      continue;
    }
    const Json &modules = router["modules"];
    out << "  " << plain(router["name"]) << ": " << router["slots"] << " of " << modules.size()
        << " modules a row, weights " << plain(router["weights"]) << "; tasks "
        << joined(router["tasks"]);
    if (router.contains("within"))
      out << "; within " << plain(router["within"]["module"]) << " of "
          << plain(router["within"]["router"]);
    if (router.contains("same_modules_as")) {
      out << "; the modules of " << plain(router["same_modules_as"]) << "\n";
      continue;
    }
    out << "\n";
    for (size_t first = 0, next; first < modules.size(); first = next) {
      next = first + 1;
      while (next < modules.size() && modules[next]["bytes"] == modules[first]["bytes"])
        ++next;
      out << "    " << plain(modules[first]["name"]);
      if (next - first > 1)
        out << " to " << plain(modules[next - 1]["name"]);
      out << ": " << bytesText(modules[first]["bytes"]) << (next - first > 1 ? " each\n" : "\n");
    }
  }
}

/// Those that tasks take; the others stand under their routers.
static void printModules(std::ostream &out, const Json &routers, const Json &hidden,
                         const Json &modules) {
  printRouters(out, routers);
  for (const Json &name : hidden)
    out << "  " << plain(name) << ": its routes are not shown, since it is asked in a loop or a "
        << "branch\n";
  bool any = false;
  for (const Json &module : modules) {
    if (module.value("kind", Json()) == "function composition")
      continue;
    if (!any)
      out << "modules:\n";
    any = true;
    out << "  " << plain(module.value("name", Json("?"))) << ":";
    const char *separator = " ";
    for (const auto &[key, value] : module.items()) {
      if (key == "name")
        continue;
      out << separator << key << " " << (value.is_array() ? joined(value) : plain(value));
      separator = ", ";
    }
    out << "\n";
  }
}

static void printText(const Json &facts) {
  std::ostream &out = std::cout;
  out << plain(facts["file"]) << ": " << bytesText(facts["bytes"]) << ", made by graft "
      << plain(facts["graft"]) << " from " << plain(facts["backbone"]) << "\n";
  out << "cpu: " << plain(facts["cpu"]["name"]) << " (" << joined(facts["cpu"]["features"])
      << ")\n";
  if (facts["cpu"].contains("reason"))
    out << "does not run here: " << plain(facts["cpu"]["reason"]) << "\n";
  if (facts.contains("device")) {
    const Json &device = facts["device"];
    out << "device: sm_" << device["capability"] << " or newer; here " << plain(device["here"])
        << "\nkernels: " << device["kernels"].size() << " for " << device["codes"]
        << " bodies: " << joined(device["kernels"]) << "\n";
    printKernels(out, device);
  }
  out << "weights: " << bytesText(facts["weights"]["bytes"]) << " in " << facts["weights"]["pieces"]
      << " pieces";
  if (facts["weights"].contains("file"))
    out << ", in " << plain(facts["weights"]["file"]["name"]);
  out << "\nstages: " << facts["stages"] << ", " << facts["codes"] << " bodies\ninputs:\n";
  for (const Json &input : facts["inputs"])
    out << "  " << tensorText(input) << "\n";
  out << "tasks:\n";
  for (const Json &task : facts["tasks"]) {
    out << "  " << plain(task["name"]) << ": "
        << (task["adapters"].empty() ? "the backbone alone" : joined(task["adapters"])) << ", "
        << bytesText(task["weights_bytes"]) << " of weights\n";
    for (const Json &output : task["outputs"])
      out << "    " << tensorText(output) << "\n";
    if (!task["residency"].empty())
      out << "    " << residencyText(task["residency"]) << "\n";
  }
  printModules(out, facts["routers"], facts.value("hidden_routers", Json::array()),
               facts["modules"]);
  const Json &rows = facts["rows"];
  if (rows.value("independent", false)) {
    out << "rows: independent, row tasks are possible";
    if (rows.contains("tasks"))
      out << ", " << rows["tasks"].size() << " tasks' in one run";
    out << "\n";
  } else {
    out << "rows: they depend on each other";
    if (rows.contains("op"))
      out << ", through " << plain(rows["op"]) << " '" << plain(rows.value("node", Json("")))
          << "'";
    out << (rows.contains("reason") ? ": " + plain(rows["reason"]) : "") << "\n";
  }
  out.flush();
}

int graft::commands::inspectCommand(const std::string &path, bool json) {
  Library library;
  if (Status status = openLibrary(path, GRAFT_OPEN_INSPECT, library); status.failed())
    return exitCode(status);
  Library second;
  Status runnable = openLibrary(path, 0, second);
  size_t bytes = 0;
  const char *text = graft_library_manifest(library.get(), &bytes);
  // The runtime has checked it.
  Json facts = libraryFacts(path, library, Json::parse(text, text + bytes), runnable);
  if (json)
    printJson(facts);
  else
    printText(facts);
  return 0;
}
