//===- Trial.h - All that is checked of one graph ------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_FUZZ_TRIAL_H
#define GRAFT_FUZZ_TRIAL_H

#include "Compile.h"
#include "Run.h"

namespace graft::fuzz {

struct TrialOptions {
  std::string folder; ///< for libraries on their way
  bool instrumented = false;
  bool overruns = false; ///< see Choices
  unsigned effort = 0;   ///< of LLVM, for most graphs
};

struct Failure {
  std::string kind;  ///< "values", "threads", "compile", …
  std::string words; ///< what was expected and what was found
};

/// Compiles one graph with its modules dispatched and with every module on every row, runs both on
/// batches that the seed decides, and holds them against an evaluation in double precision that
/// shares no code with Graft's lowerings, and against themselves with other threads, other rows
/// beside, and other tasks.
class Trial {
public:
  Trial(mlir::ModuleOp module, uint64_t seed, const TrialOptions &options,
        std::map<std::string, uint64_t> &counts)
      : module(module), options(options), counts(counts), random(seed ^ 0x5DEECE66Du) {}

  std::optional<Failure> run();

private:
  /// What one task should give on one batch.
  struct Reference {
    std::vector<Array> exact;
    std::vector<double> error; ///< by output: how far f32 is off, in all
  };
  struct Build {
    const char *name;
    Compiled facts;
    Library library;
  };

  std::optional<Failure> build(Build &build, bool dense, FoldPolicy fold, CpuTarget target,
                               bool roundTrips);
  std::optional<Failure> checkBatch(const Batch &batch, std::vector<Reference> references);
  std::optional<Failure> checkTasks(Build &build, const Batch &batch);
  std::optional<Failure> checkBeside(Build &build, const Batch &batch, const Outcome &known,
                                     const std::string &task);
  std::optional<Failure> checkRoutes(Build &build, const Batch &batch, const Outcome &known,
                                     const std::string &task, AllRouted &seen);
  std::optional<Failure> checkOutside();
  std::optional<Failure> checkValues(const Build &build, const std::string &task,
                                     const Outcome &outcome, const Reference &reference);
  /// A batch whose routes do not hang on rounding, and what each task makes of it.
  std::optional<Batch> drawClear(Draw how, std::vector<Reference> &references);
  Draw anyDraw(int64_t rows);

  mlir::ModuleOp module;
  mlir::func::FuncOp main;
  const TrialOptions &options;
  std::map<std::string, uint64_t> &counts;
  Random random;
  std::vector<std::string> tasks;
  Build sparse{"dispatched", {}, {}}, dense{"dense", {}, {}};
  std::string unknown; ///< an op that the evaluation does not know
};

} // namespace graft::fuzz

#endif // GRAFT_FUZZ_TRIAL_H
