//===- InspectKernels.cpp - What graft inspect says of kernels --*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/InspectKernels.h"

#include "graft/Commands/Occupancy.h"

#include <cmath>
#include <ostream>

using namespace graft::commands;
using Json = nlohmann::ordered_json;

/// The runtime has not checked what it does not read.
static int64_t numberOf(const Json &object, const char *key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : -1;
}

static const Json &elementOf(const Json &object, const char *key, size_t number) {
  static const Json none;
  const auto found = object.find(key);
  const bool isThere = found != object.end() && found->is_array() && number < found->size();
  return isThere && (*found)[number].is_object() ? (*found)[number] : none;
}

/// What one kernel takes on one architecture.
static Json resourcesOf(const Json &image, const Json &assembled, int64_t threads) {
  Json facts = {{"arch", image["arch"]}};
  for (const char *key : {"registers", "shared", "stack", "spill_stores", "spill_loads"})
    facts[key] = numberOf(assembled, key);
  // No launch asks for more memory than its kernel has.
  if (auto occupancy =
          occupancyOf(image["arch"].get<std::string>(), threads, facts["registers"].get<int64_t>(),
                      facts["shared"].get<int64_t>())) {
    facts["blocks"] = occupancy->blocks;
    facts["occupancy"] = occupancy->share;
  }
  return facts;
}

void graft::commands::addKernelFacts(Json &facts, const Json &device) {
  if (!device.contains("images") || !device.contains("kernels"))
    return;
  facts["images"] = Json::array();
  for (const Json &image : device["images"])
    facts["images"].push_back(
        {{"arch", image["arch"]}, {"kind", image["kind"]}, {"bytes", image["bytes"]}});
  facts["kernel_facts"] = Json::array();
  for (size_t i = 0; i < facts["kernels"].size(); ++i) {
    const Json &told = elementOf(device, "kernels", i);
    Json kernel = {{"name", facts["kernels"][i]}};
    for (const char *key : {"threads", "launches"})
      kernel[key] = numberOf(told, key);
    for (const char *key : {"least_bytes", "moved_bytes"})
      if (told.contains(key) && told[key].is_string())
        kernel[key] = told[key];
    kernel["assembled"] = Json::array();
    for (const Json &image : device["images"])
      if (const Json &assembled = elementOf(image, "kernels", i); !assembled.is_null())
        kernel["assembled"].push_back(
            resourcesOf(image, assembled, kernel["threads"].get<int64_t>()));
    facts["kernel_facts"].push_back(std::move(kernel));
  }
}

void graft::commands::printKernels(std::ostream &out, const Json &facts) {
  if (!facts.contains("kernel_facts"))
    return;
  out << "code:";
  const char *separator = " ";
  bool hasCubin = false;
  for (const Json &image : facts["images"]) {
    hasCubin |= image["kind"] == "cubin";
    out << separator << image["kind"].get<std::string>() << " for "
        << image["arch"].get<std::string>() << ", " << image["bytes"] << " bytes";
    separator = "; ";
  }
  out << "\n";
  for (const Json &kernel : facts["kernel_facts"]) {
    out << "  " << kernel["name"].get<std::string>() << ": " << kernel["threads"] << " threads, "
        << kernel["launches"] << (kernel["launches"] == 1 ? " launch" : " launches");
    if (kernel.contains("least_bytes"))
      out << "; at least " << kernel["least_bytes"].get<std::string>() << " bytes";
    if (kernel.contains("moved_bytes"))
      out << ", moves " << kernel["moved_bytes"].get<std::string>();
    out << "\n";
    for (const Json &of : kernel["assembled"]) {
      out << "    " << of["arch"].get<std::string>() << ": " << of["registers"] << " registers, "
          << of["shared"] << " bytes of shared memory, ";
      if (of["spill_stores"] == 0 && of["spill_loads"] == 0)
        out << "no spills";
      else
        out << "spills of " << of["spill_stores"] << " bytes stored, " << of["spill_loads"]
            << " loaded";
      if (of.contains("blocks"))
        out << ", " << of["blocks"] << (of["blocks"] == 1 ? " block" : " blocks")
            << " a multiprocessor (" << std::lround(of["occupancy"].get<double>() * 100)
            << " % of its warps)";
      out << "\n";
    }
    if (kernel["assembled"].empty())
      out << (hasCubin ? "    the assembler did not say what it takes\n"
                       : "    assembled by the driver\n");
  }
}
