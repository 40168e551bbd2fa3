//===- Plugins.cpp - Dialects and passes of somebody else's -----*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Register/Plugins.h"

#include "graft/Fault/Fault.h"

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Support/DynamicLibrary.h"

using namespace mlir;
using namespace graft;

llvm::Error graft::loadPlugin(StringRef path, DialectRegistry &registry) {
  std::string why;
  llvm::sys::DynamicLibrary library =
      llvm::sys::DynamicLibrary::getPermanentLibrary(path.str().c_str(), &why);
  if (!library.isValid())
    return inputFault(path + ": expected a plugin, found what can't be loaded: " + why);
  const bool hasDialects = library.getAddressOfSymbol("mlirGetDialectPluginInfo");
  const bool hasPasses = library.getAddressOfSymbol("mlirGetPassPluginInfo");
  if (!hasDialects && !hasPasses)
    return inputFault(path + ": expected mlirGetDialectPluginInfo or mlirGetPassPluginInfo, found "
                             "a library without either");
  if (hasDialects) {
    llvm::Expected<DialectPlugin> plugin = DialectPlugin::load(path.str());
    if (!plugin)
      return inputFault(path + ": " + llvm::toString(plugin.takeError()));
    plugin->registerDialectRegistryCallbacks(registry);
  }
  if (hasPasses) {
    llvm::Expected<PassPlugin> plugin = PassPlugin::load(path.str());
    if (!plugin)
      return inputFault(path + ": " + llvm::toString(plugin.takeError()));
    plugin->registerPassRegistryCallbacks();
  }
  return llvm::Error::success();
}

void graft::loadDialectsOfPassPlugins(int argc, char **argv, DialectRegistry &registry) {
  for (int i = 1; i < argc; ++i) {
    StringRef argument = argv[i];
    if (!argument.consume_front("--load-pass-plugin") &&
        !argument.consume_front("-load-pass-plugin"))
      continue;
    if (!argument.consume_front("=")) {
      if (!argument.empty() || i + 1 == argc)
        continue;
      argument = argv[++i];
    }
    llvm::Expected<DialectPlugin> plugin = DialectPlugin::load(argument.str());
    if (plugin)
      plugin->registerDialectRegistryCallbacks(registry);
    else
      llvm::consumeError(plugin.takeError());
  }
}
