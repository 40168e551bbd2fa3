//===- CompileCommand.cpp - The command line of graft compile -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/Assembler.h"
#include "graft/Driver/Commands.h"
#include "graft/Driver/CompileOptions.h"
#include "graft/Fault/Fault.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <CLI/CLI.hpp>

using namespace graft;

/// The flags as they are written, before they mean anything.
namespace {
struct Flags {
  std::string backbone, output, spec, fold = "auto", budget, routingProfile, target = "cpu";
  std::string cpu = "native", precision = "fp32", emit = "so", report, gpuArch, gpuTools;
  std::vector<std::string> adapters, tasks, maps, plugins;
  double tolerance = 1e-3;
  bool splitTasks = false, repair = false, allowLinks = false, timeReport = false, werror = false,
       denseRouting = false;
};
} // namespace

static void declare(CLI::App &app, Flags &flags) {
  app.add_option("backbone", flags.backbone, "The backbone, an ONNX file")->required();
  app.add_option("-o", flags.output, "What is written; - for text on standard output")->required();
  app.add_option("--adapter", flags.adapters,
                 "NAME=DIR[@SCALE]: an adapter, and a task of that name")
      ->allow_extra_args(false);
  app.add_option("--task", flags.tasks, "NAME=[ADAPTER[+ADAPTER...]]: a task")
      ->allow_extra_args(false);
  app.add_option("--spec", flags.spec,
                 "A YAML file: routers, modules, aggregators and where they go");
  app.add_option("--map", flags.maps, "REGEX=REPLACEMENT on an adapter's module paths")
      ->allow_extra_args(false);
  app.add_option("--fold", flags.fold, "auto, always or never");
  app.add_option("--fold-tolerance", flags.tolerance, "The largest error of a fold, of its change");
  app.add_option("--memory-budget", flags.budget, "Bytes of weights in the library: N[K|M|G]");
  app.add_flag("--split-tasks", flags.splitTasks, "A library per task beside one weights file");
  app.add_flag("--repair", flags.repair, "Compile what was traced where an export froze it");
  app.add_option("--routing-profile", flags.routingProfile,
                 "Leave out the modules that this profile never uses");
  app.add_option("--target", flags.target, "cpu or cuda");
  app.add_option("--gpu-arch", flags.gpuArch,
                 "Machine code beside the PTX: sm_80,sm_90a,... or all");
  app.add_option("--gpu-tools", flags.gpuTools, "The folder of ptxas and nvdisasm, else PATH's");
  app.add_option("--cpu", flags.cpu, "native or generic");
  app.add_option("--precision", flags.precision, "fp32");
  app.add_flag("--allow-links", flags.allowLinks, "External data may be links");
  app.add_option("--load-plugin", flags.plugins, "A library with routers, aggregators and passes")
      ->allow_extra_args(false);
  app.add_option("--emit", flags.emit, listLevels() + "; so unless given");
  app.add_flag("--dense-routing", flags.denseRouting,
               "Compute every module for every row, which sparse dispatch is held against");
  app.add_flag("--time-report", flags.timeReport, "Say what each phase took");
  app.add_option("--report", flags.report, "A report as HTML (not yet)");
  app.add_flag("--werror", flags.werror, "Warnings are errors");
}

/// Parts of the contract whose time has not come.
static llvm::Error checkSupported(const CLI::App &app, const Flags &flags) {
  auto notYet = [](const llvm::Twine &what) {
    return unsupportedFault(what + ": not supported yet");
  };
  if (app.count("--report"))
    return notYet("--report");
  if (flags.target != "cpu" && flags.target != "cuda")
    return inputFault("--target: expected cpu or cuda, found '" + flags.target + "'");
  // AMX computes in these, below the precision of fp32.
  if (llvm::is_contained({"bf16", "fp16", "tf32", "int8", "fp8"}, llvm::StringRef(flags.precision)))
    return notYet("--precision " + flags.precision);
  if (flags.precision != "fp32")
    return inputFault("--precision: expected fp32, found '" + flags.precision + "'");
  if (flags.cpu == "amx" || llvm::X86::parseArchX86(flags.cpu) != llvm::X86::CK_None)
    return notYet("--cpu " + flags.cpu);
  auto needsDevice = [&](const llvm::Twine &what) {
    return inputFault(what + ": expected --target cuda, found '" + flags.target + "'");
  };
  if (flags.target == "cuda")
    return llvm::Error::success();
  if (llvm::is_contained({"nvvm", "ptx", "sass"}, llvm::StringRef(flags.emit)))
    return needsDevice("--emit " + flags.emit);
  for (const char *flag : {"--gpu-arch", "--gpu-tools"})
    if (app.count(flag))
      return needsDevice(flag);
  return llvm::Error::success();
}

/// NAME and what follows the first '='.
static llvm::Expected<std::pair<std::string, std::string>> splitName(llvm::StringRef flag,
                                                                     llvm::StringRef text) {
  auto [name, value] = text.split('=');
  if (name.empty() || name.size() == text.size())
    return inputFault(flag + ": expected NAME=…, found '" + text + "'");
  if (name.find_first_of("+,@/") != llvm::StringRef::npos)
    return inputFault(flag + ": expected a name without '+', ',', '@' or '/', found '" + name +
                      "'");
  return std::make_pair(name.str(), value.str());
}

static llvm::Error parseAdapters(const Flags &flags, LinkOptions &link) {
  for (llvm::StringRef text : flags.adapters) {
    auto parts = splitName("--adapter", text);
    if (!parts)
      return parts.takeError();
    LinkOptions::Adapter adapter;
    adapter.name = parts->first;
    adapter.directory = parts->second;
    // The scale is what follows the last '@' if that is a number: folders may have one in their
    // names.
    auto [directory, scale] = llvm::StringRef(parts->second).rsplit('@');
    if (double number; !scale.empty() && !scale.getAsDouble(number, /*AllowInexact=*/true)) {
      if (!std::isfinite(number))
        return inputFault("--adapter: expected a finite scale, found '" + scale + "'");
      adapter.directory = directory.str();
      adapter.scale = number;
    }
    if (adapter.directory.empty())
      return inputFault("--adapter: expected NAME=DIR[@SCALE], found '" + text + "'");
    link.adapters.push_back(std::move(adapter));
  }
  return llvm::Error::success();
}

static llvm::Error parseTasks(const Flags &flags, LinkOptions &link) {
  for (llvm::StringRef text : flags.tasks) {
    auto parts = splitName("--task", text);
    if (!parts)
      return parts.takeError();
    LinkOptions::Task task;
    task.name = parts->first;
    llvm::SmallVector<llvm::StringRef> names;
    if (!parts->second.empty())
      llvm::StringRef(parts->second).split(names, '+');
    for (llvm::StringRef name : names) {
      if (llvm::none_of(link.adapters, [&](auto &adapter) { return adapter.name == name; }))
        return inputFault("--task " + task.name + ": expected the name of an adapter, found '" +
                          name + "'");
      if (llvm::is_contained(task.adapters, name))
        return inputFault("--task " + task.name + ": expected each adapter once, found '" + name +
                          "' twice");
      task.adapters.push_back(name.str());
    }
    link.tasks.push_back(std::move(task));
  }
  // Each name is one task, and the backbone alone is always there.
  std::vector<std::string> names = {"base"};
  auto add = [&](llvm::StringRef flag, const std::string &name) -> llvm::Error {
    if (llvm::is_contained(names, name))
      return inputFault(flag + ": expected a name that is not taken, found '" + name + "'" +
                        (name == "base" ? ", which is the backbone alone" : " twice"));
    names.push_back(name);
    return llvm::Error::success();
  };
  for (auto &adapter : link.adapters)
    if (llvm::Error error = add("--adapter", adapter.name))
      return error;
  for (auto &task : link.tasks)
    if (llvm::Error error = add("--task", task.name))
      return error;
  return llvm::Error::success();
}

static llvm::Expected<uint64_t> parseBytes(llvm::StringRef text) {
  llvm::StringRef digits = text.rtrim("KMG");
  unsigned shift = text.size() - digits.size() > 1 ? 64
                   : text.ends_with("K")           ? 10
                   : text.ends_with("M")           ? 20
                   : text.ends_with("G")           ? 30
                                                   : 0;
  uint64_t number;
  if (digits.getAsInteger(10, number) || shift == 64 || number > (uint64_t(1) << 62) >> shift)
    return inputFault(
        "--memory-budget: expected a number of bytes with K, M or G after it, found '" + text +
        "'");
  return number << shift;
}

static llvm::Expected<CompileOptions> interpret(const CLI::App &app, const Flags &flags) {
  if (llvm::Error error = checkSupported(app, flags))
    return std::move(error);
  CompileOptions options;
  options.backbone = flags.backbone;
  options.plugins = flags.plugins;
  options.routingProfile = flags.routingProfile;
  options.output = flags.output;
  options.spec = flags.spec;
  options.splitTasks = flags.splitTasks;
  options.repair = flags.repair;
  options.allowLinks = flags.allowLinks;
  options.timeReport = flags.timeReport;
  options.denseRouting = flags.denseRouting;
  options.warningsAreErrors = flags.werror;
  if (llvm::Error error = parseAdapters(flags, options.link))
    return std::move(error);
  if (llvm::Error error = parseTasks(flags, options.link))
    return std::move(error);
  for (llvm::StringRef text : flags.maps) {
    if (!text.contains('='))
      return inputFault("--map: expected REGEX=REPLACEMENT, found '" + text + "'");
    auto [pattern, replacement] = text.split('=');
    options.link.maps.push_back({pattern.str(), replacement.str()});
  }
  auto policy = llvm::StringSwitch<std::optional<FoldPolicy>>(flags.fold)
                    .Case("auto", FoldPolicy::Auto)
                    .Case("always", FoldPolicy::Always)
                    .Case("never", FoldPolicy::Never)
                    .Default(std::nullopt);
  if (!policy)
    return inputFault("--fold: expected auto, always or never, found '" + flags.fold + "'");
  options.residency.policy = *policy;
  if (!(flags.tolerance >= 0))
    return inputFault("--fold-tolerance: expected a number that is not negative");
  options.residency.tolerance = flags.tolerance;
  if (!flags.budget.empty()) {
    llvm::Expected<uint64_t> bytes = parseBytes(flags.budget);
    if (!bytes)
      return bytes.takeError();
    options.residency.memoryBudget = *bytes;
  }
  if (!CpuTarget::parse(flags.cpu, options.target))
    return inputFault("--cpu: expected native or generic, found '" + flags.cpu + "'");
  options.residency.lanes = options.target.floatLanes();
  const PhaseInfo *last = findLevel(flags.emit);
  if (!last)
    return inputFault("--emit: expected " + listLevels() + ", found '" + flags.emit + "'");
  options.emit = last->phase;
  options.device = flags.target == "cuda";
  options.deviceTools = flags.gpuTools;
  if (app.count("--gpu-arch")) {
    auto architectures = parseArchitectures(flags.gpuArch);
    if (!architectures)
      return architectures.takeError();
    options.architectures = std::move(*architectures);
  }
  if (options.output == "-" && !last->isText)
    return inputFault("-o -: expected a level that is text, found '" + flags.emit + "'");
  if (options.splitTasks && options.emit != Phase::Write)
    return inputFault("--split-tasks: expected --emit so, found '" + flags.emit + "'");
  return options;
}

int graft::runCompileCommand(int argc, char **argv) {
  CLI::App app("Compiles a backbone and its adapters into one native library", "graft compile");
  Flags flags;
  declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error); // --help
    llvm::errs() << "error: graft compile: " << error.what() << "\n";
    return 1;
  }
  llvm::Expected<CompileOptions> options = interpret(app, flags);
  if (!options)
    return reportFault(options.takeError());
  return compile(*options);
}
