//===- Trial.cpp - All that is checked of one graph ----------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Trial.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;

static std::optional<Failure> fail(StringRef kind, const std::string &words) {
  return Failure{kind.str(), words};
}

//===----------------------------------------------------------------------===//
// Libraries
//===----------------------------------------------------------------------===//

std::optional<Failure> Trial::build(Build &build, bool dense, FoldPolicy fold, CpuTarget target,
                                    bool roundTrips) {
  Choices choices;
  choices.dense = dense;
  choices.fold = fold;
  choices.target = std::move(target);
  choices.instrumented = options.instrumented;
  choices.overruns = options.overruns;
  // Most of a compilation's time is LLVM's, whose optimisations are not what is tried here.
  choices.optLevel = random.chance(3) ? 2 : options.effort;
  choices.roundTrips = roundTrips;
  std::string path = options.folder + "/" + build.name + ".so";
  std::string error = compile(module.clone(), choices, path, build.facts);
  if (!error.empty())
    return fail("compile", std::string(build.name) + ": " + error);
  error = build.library.open(path);
  llvm::sys::fs::remove(path);
  return error.empty() ? std::nullopt : fail("open", error);
}

//===----------------------------------------------------------------------===//
// Batches and what they should give
//===----------------------------------------------------------------------===//

Draw Trial::anyDraw(int64_t rows) {
  Draw how;
  how.rows = fixedRows(main).value_or(rows);
  how.length = random.pick({1, 2, 3, 5});
  return how;
}

std::optional<Batch> Trial::drawClear(Draw how, std::vector<Reference> &references) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    Batch batch = draw(main, how, random);
    bool ambiguous = false;
    references.clear();
    for (const std::string &task : tasks) {
      Evaluator exact(module, task, /*single=*/false), single(module, task, /*single=*/true);
      auto results = exact.run(batch.arrays), rounded = single.run(batch.arrays);
      if (!results || !rounded) {
        unknown = exact.unknown;
        return std::nullopt;
      }
      ambiguous |= exact.ambiguous;
      Reference &reference = references.emplace_back();
      for (auto [a, b] : llvm::zip_equal(*results, *rounded)) {
        double error = 0, size = 0;
        for (auto [x, y] : llvm::zip_equal(a.data, b.data))
          if (std::isfinite(x) && std::isfinite(y)) {
            error = std::max(error, std::abs(x - y));
            size = std::max(size, std::abs(x));
          }
        // Worse conditioned than that, or another route was taken.
        ambiguous |= error > 1e-3 * (1 + size);
        reference.error.push_back(error);
      }
      reference.exact = std::move(*results);
    }
    if (!ambiguous)
      return batch;
    ++counts["# batches drawn again: ambiguous"];
  }
  ++counts["# batches left out: ambiguous"];
  return std::nullopt;
}

std::optional<Failure> Trial::checkValues(const Build &build, const std::string &task,
                                          const Outcome &outcome, const Reference &reference) {
  if (outcome.status != GRAFT_OK)
    return fail("run", std::string(build.name) + ", task " + task + ": " + outcome.error);
  for (auto [number, expected] : llvm::enumerate(reference.exact)) {
    std::string name = "y" + std::to_string(number);
    auto found = outcome.outputs.find(name);
    if (found == outcome.outputs.end() || found->second.shape != expected.shape)
      return fail("shape", std::string(build.name) + ", task " + task + ": output " + name);
    const Output &output = found->second;
    const int64_t size = expected.rowSize();
    for (int64_t r = 0; r < expected.rows() && size > 0; ++r) {
      double scale = 0;
      ArrayRef<double> row(expected.data.data() + r * size, size_t(size));
      for (double each : row)
        scale = std::max(scale, std::isfinite(each) ? std::abs(each) : 0);
      const double allowed = 1e-5 * scale + 40 * reference.error[number] + 1e-6;
      for (int64_t i = 0; i < size; ++i) {
        const double want = row[size_t(i)], have = output.data[size_t(r * size + i)];
        if (std::isfinite(want) ? std::abs(have - want) <= allowed : !std::isfinite(have))
          continue;
        return fail("values",
                    llvm::formatv("{0}, task {1}, {2} rows, {3}[{4}, {5}]: expected {6} within "
                                  "{7:E2}, found {8}",
                                  build.name, task, expected.rows(), name, r, i, want, allowed,
                                  have));
      }
    }
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Bits
//===----------------------------------------------------------------------===//

static bool areSameBits(const Outcome &a, const Outcome &b) {
  if (a.status != b.status || a.outputs.size() != b.outputs.size())
    return false;
  for (auto &[name, output] : a.outputs) {
    auto found = b.outputs.find(name);
    if (found == b.outputs.end() || found->second.shape != output.shape)
      return false;
    for (int64_t r = 0; r < output.shape.front(); ++r)
      if (!output.isRow(r, found->second, r))
        return false;
  }
  return true;
}

/// (row-S2), (route-S5): a row has its bits whatever else is in the batch.
std::optional<Failure> Trial::checkBeside(Build &build, const Batch &batch, const Outcome &known,
                                          const std::string &task) {
  std::vector<int64_t> order(size_t(batch.rows), 0);
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[size_t(random.below(int64_t(i)))]);
  order.resize(size_t(random.between(1, batch.rows)));
  Draw more = anyDraw(0);
  for (auto [array, argument] : llvm::zip_equal(batch.arrays, main.getArgumentTypes()))
    if (cast<RankedTensorType>(argument).getRank() == 3 ||
        (cast<RankedTensorType>(argument).getRank() == 2 &&
         cast<RankedTensorType>(argument).isDynamicDim(1)))
      more.length = array.shape[1];
  more.rows = fixedRows(main) ? batch.rows - int64_t(order.size()) : random.pick({0, 1, 3, 17});
  more.special = random.chance(50);
  Batch mixed = batch.take(order).join(draw(main, more, random));
  Outcome outcome = build.library.run(mixed, task, random.pick({1, 2}));
  if (outcome.status != GRAFT_OK)
    return fail("run", std::string(build.name) + ", other rows: " + outcome.error);
  for (auto &[name, output] : outcome.outputs)
    for (auto [i, row] : llvm::enumerate(order))
      if (!output.isRow(int64_t(i), known.outputs.find(name)->second, row))
        return fail("rows", llvm::formatv("{0}, task {1}: row {2} of {3} has other bits as row {4} "
                                          "among {5} others",
                                          build.name, task, row, batch.rows, i, mixed.rows - 1));
  return std::nullopt;
}

/// (route-S9), (route-S10): looking changes no bit, and what was seen gives the same bits again.
std::optional<Failure> Trial::checkRoutes(Build &build, const Batch &batch, const Outcome &known,
                                          const std::string &task, AllRouted &seen) {
  if (!areSameBits(known, build.library.run(batch, task, 1, false, &seen)))
    return fail("looks",
                llvm::formatv("{0}, task {1}: other bits when routes are seen", build.name, task));
  if (seen.empty() || llvm::any_of(seen, [](auto &each) { return each.second.anyNaN; }))
    return std::nullopt;
  Outcome again = build.library.run(batch, task, 2, false, nullptr, &seen);
  if (!areSameBits(known, again))
    return fail("replay",
                llvm::formatv("{0}, task {1}, {2} rows: other bits by the same routes {3}",
                              build.name, task, batch.rows, again.error));
  ++counts["# runs replayed"];
  for (auto &[name, routed] : seen)
    counts["# routes of rows that do not come to a router"] +=
        llvm::count(routed.chosen, GRAFT_ROUTE_UNREACHED);
  return std::nullopt;
}

/// (stage-S3): together the tasks give the bits that each gives alone; and so do tasks by rows.
std::optional<Failure> Trial::checkTasks(Build &build, const Batch &batch) {
  std::vector<Outcome> alone;
  for (const std::string &task : tasks)
    alone.push_back(build.library.run(batch, task, 1));
  Outcome all = build.library.run(batch, tasks, 2);
  if (all.status != GRAFT_OK)
    return fail("run", std::string(build.name) + ", all tasks: " + all.error);
  for (auto [task, own] : llvm::zip_equal(tasks, alone))
    for (auto &[name, output] : own.outputs) {
      auto found = all.outputs.find(tasks.size() > 1 ? task + "." + name : name);
      if (found == all.outputs.end() || found->second.shape != output.shape)
        return fail("tasks", std::string(build.name) + ": no output " + name + " of " + task);
      for (int64_t r = 0; r < output.shape.front(); ++r)
        if (!output.isRow(r, found->second, r))
          return fail("tasks", llvm::formatv("{0}: row {1} of task {2} has other bits beside other "
                                             "tasks",
                                             build.name, r, task));
    }
  if (!build.facts.rowsAreIndependent || tasks.size() < 2 || batch.rows == 0)
    return std::nullopt;
  std::vector<std::string> byRow;
  std::vector<size_t> numbers;
  for (int64_t r = 0; r < batch.rows; ++r) {
    numbers.push_back(size_t(random.below(int64_t(tasks.size()))));
    byRow.push_back(tasks[numbers.back()]);
  }
  Outcome mixed = build.library.run(batch, byRow, 2, /*rowTasks=*/true);
  if (mixed.status != GRAFT_OK)
    return fail("run", std::string(build.name) + ", row tasks: " + mixed.error);
  ++counts["# batches of row tasks"];
  for (auto &[name, output] : mixed.outputs)
    for (int64_t r = 0; r < batch.rows; ++r)
      if (!output.isRow(r, alone[numbers[size_t(r)]].outputs[name], r))
        return fail("row tasks", llvm::formatv("{0}: row {1} has other bits than task {2} gives it",
                                               build.name, r, byRow[size_t(r)]));
  return std::nullopt;
}

/// (route-S10): sparse dispatch and the oracle show the same choice of the same rows.
static std::optional<Failure> compareRoutes(const AllRouted &sparse, const AllRouted &dense,
                                            const std::string &task) {
  for (auto &[name, routed] : dense) {
    auto found = sparse.find(name);
    if (found == sparse.end() || routed.chosen == found->second.chosen)
      continue;
    size_t i = 0;
    while (i < routed.chosen.size() && i < found->second.chosen.size() &&
           routed.chosen[i] == found->second.chosen[i])
      ++i;
    auto at = [&](const Routed &each) {
      return i < each.chosen.size() ? std::to_string(each.chosen[i]) : "nothing";
    };
    return fail("routes",
                llvm::formatv("task {0}, {1}: row {2}, slot {3}: expected {4}, the oracle "
                              "shows {5}",
                              task, name, int64_t(i) / routed.slots, int64_t(i) % routed.slots,
                              at(found->second), at(routed)));
  }
  return std::nullopt;
}

std::optional<Failure> Trial::checkBatch(const Batch &batch, std::vector<Reference> references) {
  std::map<std::string, AllRouted> routed; // by task
  for (Build *build : {&sparse, &dense}) {
    for (auto [task, reference] : llvm::zip_equal(tasks, references)) {
      Outcome one = build->library.run(batch, task, 1);
      if (auto failure = checkValues(*build, task, one, reference))
        return failure;
      ++counts["# runs held against fp64"];
      if (!areSameBits(one, build->library.run(batch, task, 2)))
        return fail("threads", llvm::formatv("{0}, task {1}, {2} rows: other bits with 2 threads",
                                             build->name, task, batch.rows));
      AllRouted seen;
      if (auto failure = checkRoutes(*build, batch, one, task, seen))
        return failure;
      auto [first, isFirst] = routed.try_emplace(task, std::move(seen));
      if (!isFirst)
        if (auto failure = compareRoutes(first->second, seen, task))
          return failure;
      if (build->facts.rowsAreIndependent && batch.rows > 0)
        if (auto failure = checkBeside(*build, batch, one, task))
          return failure;
    }
    if (auto failure = checkTasks(*build, batch))
      return failure;
  }
  return std::nullopt;
}

/// (library-S3): an index that no table has is the input's fault, and is said to be.
std::optional<Failure> Trial::checkOutside() {
  Draw how = anyDraw(8);
  how.outside = true;
  Batch batch = draw(main, how, random);
  bool isOutside = false;
  for (auto [name, array] : llvm::zip_equal(batch.names, batch.arrays)) {
    int64_t count;
    if (!StringRef(name).starts_with("ids") ||
        StringRef(name).split('.').second.getAsInteger(10, count))
      continue;
    for (double id : array.data)
      isOutside |= id >= double(count) || id < -double(count);
  }
  if (!isOutside)
    return std::nullopt;
  for (Build *build : {&sparse, &dense}) {
    Outcome outcome = build->library.run(batch, tasks.front(), 2);
    if (outcome.status != GRAFT_ERROR_INPUT)
      return fail("outside", llvm::formatv("{0}: expected an index outside of a table to be "
                                           "refused, found status {1}: {2}",
                                           build->name, outcome.status, outcome.error));
    ++counts["# runs refused for an index outside of a table"];
  }
  return std::nullopt;
}

std::optional<Failure> Trial::run() {
  main = module.lookupSymbol<func::FuncOp>("main");
  if (failed(verify(module)))
    return fail("generate", "the graph does not verify");
  countOps(module, counts);
  const bool roundTrips = random.chance(15);
  if (roundTrips)
    if (std::string error = roundTrip(module); !error.empty())
      return fail("round trip", error);
  for (auto task : module.getOps<modular::TaskOp>())
    tasks.push_back(task.getSymName().str());
  auto fold = random.pick({FoldPolicy::Auto, FoldPolicy::Always, FoldPolicy::Never});
  CpuTarget target = random.chance(50) ? CpuTarget::native() : CpuTarget::generic();
  if (auto failure = build(sparse, /*dense=*/false, fold, target, roundTrips))
    return failure;
  if (auto failure = build(dense, /*dense=*/true, fold, target, false))
    return failure;
  counts["# applies dispatched"] += sparse.facts.dispatched;
  counts["# applies dispatched whose bodies differ"] += sparse.facts.differing;
  counts["# applies dense"] += sparse.facts.dense;

  std::vector<Draw> draws{anyDraw(random.between(2, 9)), anyDraw(random.between(2, 20))};
  draws[1].special = true;
  if (!fixedRows(main)) {
    draws.push_back(anyDraw(random.pick({0, 1})));
    if (random.chance(30))
      draws.push_back(anyDraw(random.between(30, 140)));
    if (random.chance(4)) // enough for threads to share
      draws.push_back(anyDraw(random.between(800, 2000)));
  }
  for (const Draw &how : draws) {
    std::vector<Reference> references;
    std::optional<Batch> batch = drawClear(how, references);
    if (!unknown.empty())
      return fail("evaluate", "not known: " + unknown);
    if (!batch)
      continue;
    if (auto failure = checkBatch(*batch, std::move(references)))
      return failure;
  }
  return checkOutside();
}
