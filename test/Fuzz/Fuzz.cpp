//===- Fuzz.cpp - Generated graphs, compiled and run ---------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// graft-fuzz [--seeds FIRST:COUNT | --seed N] [--jobs N] [--seconds S] [--instrumented] [--emit]
//
// Exit code 1 if any graph failed. README.md beside this file says what is checked.

#include "Generate.h"
#include "Trial.h"

#include "graft/Driver/TextOutput.h"
#include "graft/Register/Register.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;
namespace cl = llvm::cl;

static cl::opt<std::string> seeds("seeds", cl::desc("FIRST:COUNT"), cl::init("0:200"));
static cl::opt<int64_t> oneSeed("seed", cl::desc("One graph alone"), cl::init(-1));
static cl::opt<unsigned> jobs("jobs", cl::desc("Processes at once"), cl::init(1));
static cl::opt<unsigned> seconds("seconds", cl::desc("Begin no more graphs after that"),
                                 cl::init(0));
static cl::opt<unsigned> mostFailures("failures", cl::desc("Stop after so many"), cl::init(20));
static cl::opt<bool> instrumented("instrumented",
                                  cl::desc("Generated code under AddressSanitizer, each buffer an "
                                           "allocation: for graft-fuzz-asan"));
static cl::opt<bool> overruns("overrun",
                              cl::desc("Plant a write behind a buffer's end in the code"));
static cl::opt<unsigned> effort("effort", cl::desc("LLVM's optimisation level for most graphs"),
                                cl::init(0));
static cl::opt<bool> emit("emit", cl::desc("Print the graph of --seed and stop"));
static cl::opt<bool> quiet("quiet", cl::desc("No list of what was covered"));
static cl::opt<std::string> folder("folder", cl::desc("Where failing graphs are written"),
                                   cl::init("."));

/// Graphs that one process tries: what a compilation leaves behind ends with it.
static constexpr int64_t kChunk = 25;
/// A graph that takes longer hangs.
static constexpr unsigned kMostSeconds = 300;

namespace {
using Counts = std::map<std::string, uint64_t>;
/// A process at work on seeds [next, end).
struct Worker {
  pid_t pid = -1;
  int64_t first = 0, end = 0;
  std::string log; ///< its lines: what it has begun, what failed, and counts
};
} // namespace

static std::optional<Failure> tryGraph(int64_t seed, const std::string &scratch, Counts &counts) {
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadDialect<func::FuncDialect, onnx::OnnxDialect, modular::ModularDialect>();
  OwningOpRef<mlir::ModuleOp> module = generate(context, uint64_t(seed));
  if (emit) {
    module->print(llvm::outs());
    return std::nullopt;
  }
  TrialOptions options{scratch, instrumented, overruns, effort};
  std::optional<Failure> failure = Trial(*module, uint64_t(seed), options, counts).run();
  if (failure) {
    std::string path = folder + "/fuzz-" + std::to_string(seed) + ".mlir";
    llvm::consumeError(writeText(*module, path));
  }
  return failure;
}

static std::string oneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.substr(0, 1500);
}

/// Seconds since the program began, or the process that this one is a copy of.
static double elapsed() {
  static const auto begin = std::chrono::steady_clock::now();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

static bool hasTime() { return seconds == 0 || elapsed() < seconds; }

/// Tries [first, end) in this process; writes to `log` what there is to tell.
static void work(int64_t first, int64_t end, const std::string &scratch, llvm::raw_ostream &log) {
  Counts counts;
  for (int64_t seed = first; seed < end && hasTime(); ++seed) {
    log << "begin " << seed << "\n";
    log.flush();
    alarm(kMostSeconds);
    if (auto failure = tryGraph(seed, scratch, counts))
      log << "fail " << seed << " " << failure->kind << ": " << oneLine(failure->words) << "\n";
    ++counts["# graphs"];
  }
  alarm(0);
  for (auto &[name, count] : counts)
    log << "count " << count << " " << name << "\n";
  log.flush();
}

static void start(Worker &worker, const std::string &scratch) {
  llvm::sys::fs::create_directories(scratch);
  worker.log = scratch + "/log";
  worker.pid = fork();
  if (worker.pid != 0)
    return;
  std::error_code code;
  llvm::raw_fd_ostream log(worker.log, code);
  work(worker.first, worker.end, scratch, log);
  log.close();
  _exit(0);
}

/// Reads what the process told. \returns the seed from which on another has to go on
static int64_t finish(Worker &worker, int status, Counts &counts, unsigned &failures) {
  auto buffer = llvm::MemoryBuffer::getFile(worker.log);
  int64_t begun = worker.first - 1;
  StringRef text = buffer ? (*buffer)->getBuffer() : StringRef();
  while (!text.empty()) {
    StringRef line;
    std::tie(line, text) = text.split('\n');
    if (line.consume_front("begin ")) {
      (void)line.getAsInteger(10, begun);
    } else if (line.consume_front("fail ")) {
      ++failures;
      llvm::outs() << "seed " << line << "\n";
    } else if (line.consume_front("count ")) {
      uint64_t count;
      auto [number, name] = line.split(' ');
      if (!number.getAsInteger(10, count))
        counts[name.str()] += count;
    }
  }
  llvm::outs().flush();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return worker.end;
  ++failures;
  ++counts["# graphs"];
  llvm::outs() << "seed " << begun << " crash: "
               << (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "no end in sight"
                   : WIFSIGNALED(status)                              ? strsignal(WTERMSIG(status))
                                                                      : "the process ended early")
               << "\n";
  llvm::outs().flush();
  return begun + 1;
}

static int runAll(int64_t first, int64_t count) {
  (void)elapsed();
  SmallString<128> scratch;
  if (llvm::sys::fs::createUniqueDirectory("graft-fuzz", scratch)) {
    llvm::errs() << "error: no place for libraries\n";
    return 2;
  }
  Counts counts;
  unsigned failures = 0;
  std::vector<Worker> workers(std::max(1u, unsigned(jobs)));
  int64_t next = first;
  const int64_t end = first + count;
  auto mayBegin = [&] { return next < end && failures < mostFailures && hasTime(); };
  auto assign = [&](size_t i) {
    workers[i].first = next;
    workers[i].end = next = std::min(
        end, next + std::max<int64_t>(1, std::min(kChunk, count / int64_t(2 * workers.size()))));
    start(workers[i], (scratch + "/" + std::to_string(i)).str());
  };
  unsigned busy = 0;
  for (size_t i = 0; i < workers.size() && mayBegin(); ++i, ++busy)
    assign(i);
  while (busy > 0) {
    int status;
    const pid_t pid = waitpid(-1, &status, 0);
    for (size_t i = 0; i < workers.size(); ++i) {
      Worker &worker = workers[i];
      if (worker.pid != pid)
        continue;
      worker.pid = -1;
      const int64_t rest = finish(worker, status, counts, failures);
      if (rest < worker.end && failures < mostFailures) {
        worker.first = rest;
        start(worker, (scratch + "/" + std::to_string(i)).str());
      } else if (mayBegin()) {
        assign(i);
      } else {
        --busy;
      }
    }
  }
  llvm::sys::fs::remove_directories(scratch);
  const uint64_t graphs = counts["# graphs"];
  if (!quiet)
    for (auto &[name, count] : counts)
      llvm::outs() << llvm::format("%8llu  ", (unsigned long long)count) << name << "\n";
  llvm::outs() << graphs << " graphs, " << failures << " failures, "
               << llvm::format("%.1f", elapsed()) << " s\n";
  return failures ? 1 : 0;
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv, "Generated modular graphs, compiled and run\n");
  if (oneSeed >= 0 && emit) {
    Counts counts;
    (void)tryGraph(oneSeed, "", counts);
    return 0;
  }
  int64_t first, count;
  auto [from, many] = StringRef(seeds).split(':');
  if (from.getAsInteger(10, first) || many.getAsInteger(10, count) || first < 0 || count < 1) {
    llvm::errs() << "error: --seeds: expected FIRST:COUNT, found '" << seeds << "'\n";
    return 2;
  }
  return oneSeed >= 0 ? runAll(oneSeed, 1) : runAll(first, count);
}
