//===- Outputs.cpp - What a compilation may write -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Driver/Outputs.h"

#include "graft/Driver/TextOutput.h"
#include "graft/Fault/Fault.h"
#include "graft/Link/Safetensors.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace graft;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

static std::string inFolder(llvm::StringRef folder, const llvm::Twine &name) {
  llvm::SmallString<128> joined(folder);
  path::append(joined, name);
  return joined.str().str();
}

llvm::Error graft::checkPlaces(const CompileOptions &options) {
  if (options.output == "-")
    return llvm::Error::success();
  if (options.splitTasks)
    return fs::exists(options.output) && !fs::is_directory(options.output)
               ? inputFault("-o " + options.output + ": expected a folder, found a file")
               : llvm::Error::success();
  llvm::StringRef folder = path::parent_path(options.output);
  if (!folder.empty() && !fs::is_directory(folder))
    return inputFault("-o " + options.output + ": expected a folder " + folder + ", found " +
                      (fs::exists(folder) ? "a file" : "none"));
  if (fs::is_directory(options.output))
    return inputFault("-o " + options.output + ": expected the name of a file, found a folder");
  return llvm::Error::success();
}

llvm::Error graft::checkOverwrites(const CompileOptions &options,
                                   llvm::ArrayRef<std::string> externalFiles) {
  if (options.output == "-")
    return llvm::Error::success();
  std::vector<std::string> inputs(externalFiles), outputs;
  inputs.push_back(options.backbone);
  for (const LinkOptions::Adapter &adapter : options.link.adapters)
    for (const char *name : {"adapter_config.json", "adapter_model.safetensors"})
      inputs.push_back(inFolder(adapter.directory, name));

  if (options.splitTasks) {
    outputs.push_back(inFolder(options.output, "base.so"));
    for (const LinkOptions::Adapter &adapter : options.link.adapters)
      outputs.push_back(inFolder(options.output, adapter.name + ".so"));
    for (const LinkOptions::Task &task : options.link.tasks)
      outputs.push_back(inFolder(options.output, task.name + ".so"));
    outputs.push_back(inFolder(options.output, "weights.bin"));
  } else {
    outputs.push_back(options.output);
  }
  if (options.emit < Phase::Generate) {
    std::string weights = weightsBeside(options.output);
    if (weights == options.output)
      return inputFault("-o " + options.output +
                        ": expected another name for the text than for its weights beside it, " +
                        weights);
    if (fs::exists(weights) && !isWrittenByGraft(weights))
      return inputFault("-o " + options.output +
                        ": expected no file where the weights of the text go, or one that graft "
                        "has written, found " +
                        weights);
    outputs.push_back(std::move(weights));
  }
  for (const std::string &output : outputs)
    for (const std::string &input : inputs)
      if (bool same; !fs::equivalent(output, input, same) && same)
        return inputFault("-o " + options.output + ": expected outputs that are no inputs, found " +
                          input);
  return llvm::Error::success();
}
