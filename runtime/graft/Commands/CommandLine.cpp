//===- CommandLine.cpp - The graft executable's flags -----------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Commands.h"

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iostream>

using namespace graft::commands;

int graft::commands::exitCode(const Status &status) {
  std::cout.flush();
  std::fflush(stdout);
  std::cerr << "error: " << status.message() << std::endl;
  // Too little memory for the input is the input's fault as far as a script can tell.
  return status.code() == GRAFT_ERROR_MEMORY ? int(GRAFT_ERROR_INPUT) : status.code();
}

namespace {
/// One argument a flag: a flag that took several would swallow the library's name.
CLI::Option *addList(CLI::App *app, const char *flag, std::vector<std::string> &list,
                     const char *what, const char *form) {
  return app->add_option(flag, list, what)->allow_extra_args(false)->type_name(form);
}

void addSessionOptions(CLI::App *app, SessionOptions &options) {
  app->add_option("library", options.library, "a library that graft compile made")
      ->required()
      ->type_name("OUT.so");
  auto *task =
      addList(app, "--task", options.tasks, "the tasks to run, base unless given", "NAME[,NAME...]")
          ->delimiter(',');
  addList(app, "--row-tasks", options.rowTasks, "one task for each row of dimension 0",
          "NAME,NAME,...")
      ->delimiter(',')
      ->excludes(task);
  addList(app, "--input", options.inputs, "an input from a file", "NAME=@FILE.npy");
  app->add_option("--threads", options.threads,
                  "number of threads; the cores that the process may use unless given")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  app->add_flag("--json", options.json, "print one JSON object");
}

void addRoutingOptions(CLI::App *app, RoutingOptions &options) {
  const char *form = "FILE.npy|ROUTER=@FILE.npy";
  addList(app, "--routes", options.routes, "what routers choose, instead of their own choice",
          form);
  addList(app, "--route-weights", options.weights, "with which weights; else routers weigh", form);
  addList(app, "--record-routes", options.recordRoutes, "write what routers choose", form);
  addList(app, "--record-route-weights", options.recordWeights, "write with which weights", form);
  app->add_option("--routing-stats", options.statistics,
                  "write load, entropy and overlap of routes")
      ->type_name("FILE.json");
  addList(app, "--rules", options.rules, "the rule of each row, for --routing-stats",
          "@FILE.npy|ROUTER=@FILE.npy");
}

/// CLI11's own check lets NaN pass, and prints the greatest double in full.
std::string checkTolerance(const std::string &text) {
  char *end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (!text.empty() && *end == '\0' && value >= 0 && std::isfinite(value))
    return {};
  return "expected a number of at least 0, found '" + text + "'";
}

int dispatch(int argc, char **argv) {
  const CLI::Validator isTolerance(checkTolerance, "");
  CLI::App app("graft: one native library from a backbone and its modules", "graft");
  app.set_version_flag("--version", std::string("graft ") + graft_version());
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 the input is at fault, 2 not supported, 3 a comparison failed, "
             "70 an internal error");
  // Only its name: the compiler has its own flags.
  app.add_subcommand("compile", "compile an ONNX backbone and its adapters into a library")
      ->prefix_command();

  RunOptions run;
  CLI::App *runApp = app.add_subcommand("run", "run tasks of a library on given inputs");
  addSessionOptions(runApp, run.session);
  addList(runApp, "--output", run.outputs, "write an output to a file", "NAME=@FILE.npy");
  addList(runApp, "--expect", run.expected, "compare an output with a file; exit 3 if they differ",
          "NAME=@FILE.npy");
  runApp->add_option("--rtol", run.tolerance.relative, "relative tolerance of --expect")
      ->check(isTolerance)
      ->type_name("R")
      ->capture_default_str();
  runApp->add_option("--atol", run.tolerance.absolute, "absolute tolerance of --expect")
      ->check(isTolerance)
      ->type_name("A")
      ->capture_default_str();
  addRoutingOptions(runApp, run.routing);

  BenchOptions bench;
  CLI::App *benchApp = app.add_subcommand("bench", "measure the time of a run");
  addSessionOptions(benchApp, bench.session);
  addList(benchApp, "--shape", bench.session.shapes,
          "a seeded input; integers are below MAX, 2 unless given", "NAME=1x128[:MAX]");
  benchApp
      ->add_option("--iterations", bench.iterations, "runs to time; a second's worth unless given")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 40))
      ->type_name("N");
  benchApp->add_option("--warmup", bench.warmup, "runs before those")
      ->check(CLI::Range(int64_t(0), int64_t(1) << 40))
      ->type_name("N")
      ->capture_default_str();

  std::string inspected;
  bool inspectJson = false;
  CLI::App *inspectApp =
      app.add_subcommand("inspect", "show a library, an ONNX file or an adapter");
  inspectApp->add_option("what", inspected, "OUT.so, FILE.onnx or ADAPTER_DIR")
      ->required()
      ->type_name("PATH");
  inspectApp->add_flag("--json", inspectJson, "print one JSON object");
  bool allowLinks = false; // for the compiler, which is asked about all but libraries
  inspectApp->add_flag("--allow-links", allowLinks, "external data of FILE.onnx may be links");

  auto named = [&](const CLI::App *command) { return command->get_name() == argv[1]; };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(named).empty())
    return exitCode(inputError("there is no command '" + std::string(argv[1]) +
                               "'; there are compile, run, bench, inspect"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &success) { // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError &error) {
    return exitCode(inputError(error.what()));
  }
  if (*runApp)
    return runCommand(run);
  if (*benchApp)
    return benchCommand(bench);
  return inspectCommand(inspected, inspectJson);
}
} // namespace

/// `compile`, and `inspect` of what is not a library, are the compiler's whole.
static bool isForCompiler(int argc, char **argv) {
  if (argc < 2)
    return false;
  if (std::strcmp(argv[1], "compile") == 0)
    return true;
  if (std::strcmp(argv[1], "inspect") != 0)
    return false;
  for (int i = 2; i < argc; ++i)
    if (std::strcmp(argv[i], "--help") == 0 || std::strcmp(argv[i], "-h") == 0)
      return false;
  for (int i = 2; i < argc; ++i)
    if (argv[i][0] != '-')
      return !isLibrary(argv[i]);
  return false;
}

int graft::commands::graftMain(int argc, char **argv) {
  try {
    return isForCompiler(argc, argv) ? compilerMain(argc, argv) : dispatch(argc, argv);
  } catch (const std::bad_alloc &) {
    return exitCode(runtime::memoryError("out of memory"));
  } catch (const std::exception &exception) {
    return exitCode(runtime::internalError(exception.what()));
  }
}
