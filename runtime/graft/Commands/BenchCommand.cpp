//===- BenchCommand.cpp - graft bench ---------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Commands.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <numeric>

using namespace graft::commands;

namespace {
struct Times {
  double least, median, p90, mean;
};
} // namespace

static constexpr int64_t kFewest = 10, kMost = 100000;
static constexpr double kEnoughMs = 1000;

static double percentile(const std::vector<double> &sorted, double fraction) {
  double at = fraction * double(sorted.size() - 1);
  size_t below = size_t(at);
  size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - double(below)) * (sorted[above] - sorted[below]);
}

static Times summarise(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times.front(), percentile(times, 0.5), percentile(times, 0.9),
          std::accumulate(times.begin(), times.end(), 0.0) / double(times.size())};
}

/// Memory for all outputs whose size is known, so that runs are timed and not the allocator.
static Status allocateOutputs(const Result &described, std::vector<Tensor> &memory,
                              std::vector<graft_buffer> &buffers) {
  for (size_t i = 0; i < graft_result_count(described.get()); ++i) {
    graft_buffer buffer = outputOf(described, i);
    std::vector<int64_t> dims(buffer.dims, buffer.dims + buffer.rank);
    if (std::count(dims.begin(), dims.end(), -1))
      continue;
    Tensor &tensor = memory.emplace_back();
    if (Status status = tensor.allocate(buffer.type, dims); status.failed())
      return status;
    buffer.data = tensor.data.get();
    buffer.bytes = tensor.bytes;
    buffers.push_back(buffer);
  }
  return {};
}

static Status measure(const Session &session, const BenchOptions &options,
                      const graft_request &request, std::vector<double> &times) {
  using Clock = std::chrono::steady_clock;
  for (int64_t i = 0; i < options.warmup; ++i)
    if (Status status = session.run(request, nullptr); status.failed())
      return status;
  double total = 0;
  auto more = [&] {
    int64_t done = int64_t(times.size());
    if (options.iterations)
      return done < options.iterations;
    return done < kFewest || (total < kEnoughMs && done < kMost);
  };
  while (more()) {
    auto begin = Clock::now();
    Status status = session.run(request, nullptr);
    double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    if (status.failed())
      return status;
    times.push_back(ms);
    total += ms;
  }
  return {};
}

static Status perform(const BenchOptions &options) {
  Session session;
  if (Status status = session.open(options.session, /*generate=*/true); status.failed())
    return status;
  Result described;
  if (Status status = session.query(described); status.failed())
    return status;
  std::vector<Tensor> memory;
  std::vector<graft_buffer> buffers;
  if (Status status = allocateOutputs(described, memory, buffers); status.failed())
    return status;
  graft_request request = session.request();
  request.outputs = buffers.data();
  request.output_count = buffers.size();
  std::vector<double> times;
  if (Status status = measure(session, options, request, times); status.failed())
    return status;

  Times result = summarise(times);
  if (options.session.json) {
    nlohmann::ordered_json facts = session.facts();
    facts["warmup"] = options.warmup;
    facts["iterations"] = times.size();
    facts["ms"] = {{"min", result.least},
                   {"median", result.median},
                   {"p90", result.p90},
                   {"mean", result.mean}};
    printJson(facts);
    return {};
  }
  std::printf("%s: %s\n", session.path().c_str(), session.headline().c_str());
  if (const std::string device = session.deviceLine(); !device.empty())
    std::printf("  device: %s\n", device.c_str());
  for (size_t i = 0; i < session.inputCount(); ++i)
    std::printf("  %s: %s %s\n", session.inputName(i), graft_type_name(session.input(i).type),
                shapeText(session.input(i).dims).c_str());
  std::printf("min %.4g ms, median %.4g ms, p90 %.4g ms, mean %.4g ms (%zu runs after %lld)\n",
              result.least, result.median, result.p90, result.mean, times.size(),
              static_cast<long long>(options.warmup));
  return {};
}

int graft::commands::benchCommand(const BenchOptions &options) {
  Status status = perform(options);
  return status.failed() ? exitCode(status) : 0;
}
