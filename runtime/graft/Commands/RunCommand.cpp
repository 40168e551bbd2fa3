//===- RunCommand.cpp - graft run -------------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Commands.h"
#include "graft/Commands/Npy.h"

#include <nlohmann/json.hpp>

#include <cstring>
#include <iostream>
#include <set>

using namespace graft::commands;

namespace {
/// An --expect with its file read.
struct Expected {
  FileArgument argument;
  Tensor tensor;
};
} // namespace

static Status parseFiles(const std::vector<std::string> &texts, const char *flag,
                         std::vector<FileArgument> &files) {
  std::set<std::string> names;
  for (const std::string &text : texts) {
    FileArgument &file = files.emplace_back();
    if (Status status = parseFileArgument(text, file); status.failed())
      return Status(status.code(), std::string(flag) + ": " + status.message());
    if (!names.insert(file.name).second)
      return inputError(std::string(flag) + ": output '" + file.name + "' is named twice");
  }
  return {};
}

static Status checkNames(const Session &session, const Result &outputs,
                         const std::vector<FileArgument> &files) {
  for (const FileArgument &file : files) {
    std::string known;
    bool found = false;
    for (size_t i = 0; i < graft_result_count(outputs.get()); ++i) {
      const char *name = outputOf(outputs, i).name;
      found |= file.name == name;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    if (!found)
      return inputError(session.path() + ": there is no output '" + file.name + "'; there are " +
                        known);
  }
  return {};
}

static const FileArgument *findFile(const std::vector<FileArgument> &files, const char *name) {
  for (const FileArgument &file : files)
    if (file.name == name)
      return &file;
  return nullptr;
}

static nlohmann::ordered_json comparisonFacts(const Expected &expected, const Comparison &result) {
  nlohmann::ordered_json object;
  object["name"] = expected.argument.name;
  object["file"] = expected.argument.path;
  object["passed"] = result.passed();
  if (!result.shapeMismatch.empty()) {
    object["mismatch"] = result.shapeMismatch;
    return object;
  }
  object["relative_error"] = result.relativeError;
  object["max_absolute_error"] = result.largestDifference;
  object["mismatches"] = result.mismatches;
  object["elements"] = result.elements;
  return object;
}

/// Compares, prints, and says in words what differs.
static bool compareOutput(const Expected &expected, const TensorView &found,
                          const Tolerance &tolerance, bool json, nlohmann::ordered_json &facts) {
  TensorView wanted(expected.tensor);
  // Bits of bf16 may have been saved as such.
  if (found.type == GRAFT_BF16 && wanted.type == GRAFT_U16)
    wanted.type = GRAFT_BF16;
  Comparison result = compare(found, wanted, tolerance);
  facts.push_back(comparisonFacts(expected, result));
  const std::string &name = expected.argument.name;
  if (!json && result.shapeMismatch.empty())
    std::printf("%s: relative error %.3g, largest difference %.3g, %s\n", name.c_str(),
                result.relativeError, result.largestDifference,
                result.passed() ? "as expected" : "not as expected");
  if (result.passed())
    return true;
  std::string words = result.shapeMismatch;
  if (words.empty())
    words = std::to_string(result.mismatches) + " of " + std::to_string(result.elements) +
            " elements differ; the worst is " + positionText(found.dims, result.worst) +
            ": expected " + elementText(wanted, result.worst) + ", found " +
            elementText(found, result.worst);
  std::fflush(stdout);
  std::cerr << "error: " << expected.argument.path << ": output '" << name << "': " << words
            << std::endl;
  return false;
}

static Status perform(const RunOptions &options, bool &differs) {
  std::vector<FileArgument> outputFiles, expectFiles;
  if (Status status = parseFiles(options.outputs, "--output", outputFiles); status.failed())
    return status;
  if (Status status = parseFiles(options.expected, "--expect", expectFiles); status.failed())
    return status;
  Session session;
  if (Status status = session.open(options.session, /*generate=*/false); status.failed())
    return status;
  Result result;
  if (Status status = session.query(result); status.failed())
    return status;
  if (Status status = checkNames(session, result, outputFiles); status.failed())
    return status;
  if (Status status = checkNames(session, result, expectFiles); status.failed())
    return status;
  std::vector<Expected> expected;
  for (const FileArgument &file : expectFiles) {
    expected.push_back({file, {}});
    if (Status status = readNpy(file.path, expected.back().tensor); status.failed())
      return status;
  }

  Routing routing;
  if (Status status = routing.open(options.routing, session); status.failed())
    return status;

  graft_request request = session.request();
  routing.attach(request);
  if (Status status = session.run(request, &result); status.failed())
    return status;

  bool json = options.session.json;
  if (const std::string device = session.deviceLine(); !device.empty() && !json)
    std::cerr << "device: " << device << std::endl;
  nlohmann::ordered_json facts = session.facts();
  facts["outputs"] = nlohmann::ordered_json::array();
  facts["comparisons"] = nlohmann::ordered_json::array();
  NpyWriter writer;
  for (size_t i = 0; i < graft_result_count(result.get()); ++i) {
    graft_buffer buffer = outputOf(result, i);
    TensorView output(buffer);
    nlohmann::ordered_json described = describe(buffer.name, output);
    const FileArgument *file = findFile(outputFiles, buffer.name);
    if (file) {
      if (Status status = writer.add(file->path, output); status.failed())
        return status;
      described["file"] = file->path;
    } else if (!findFile(expectFiles, buffer.name) && !json) {
      std::printf("%s: %s %s: %s\n", buffer.name, graft_type_name(output.type),
                  shapeText(output.dims).c_str(), previewText(output).c_str());
    }
    if (!file)
      described["preview"] = previewText(output);
    facts["outputs"].push_back(std::move(described));
    for (const Expected &wanted : expected)
      if (wanted.argument.name == buffer.name)
        differs |= !compareOutput(wanted, output, options.tolerance, json, facts["comparisons"]);
  }
  if (Status status = routing.write(writer); status.failed())
    return status;
  if (Status status = writer.commit(); status.failed())
    return status;
  if (json)
    printJson(facts);
  return {};
}

int graft::commands::runCommand(const RunOptions &options) {
  bool differs = false;
  if (Status status = perform(options, differs); status.failed())
    return exitCode(status);
  return differs ? kComparisonFailed : 0;
}
