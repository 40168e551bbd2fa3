//===- CompilerLibrary.cpp - Finds the compiler when it is asked for *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Commands.h"

#include <dlfcn.h>
#include <iostream>
#include <unistd.h>

using namespace graft::commands;

static constexpr const char *kLibrary = "libGraft.so";

int graft::commands::compilerMain(int argc, char **argv) {
  // Beside the executable first: the build tree and an installation look alike.
  std::string folder(4096, '\0');
  ssize_t length = ::readlink("/proc/self/exe", folder.data(), folder.size());
  folder.resize(length > 0 ? size_t(length) : 0);
  folder.resize(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/'));
  void *library = nullptr;
  for (const std::string &path : {folder + "/../lib/" + kLibrary, folder + "/" + kLibrary}) {
    if (::access(path.c_str(), F_OK) != 0)
      continue;
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
      std::cerr << "error: " << path << ": cannot load: " << ::dlerror() << std::endl;
      return GRAFT_ERROR_INPUT;
    }
    break;
  }
  if (!library) // by the run path that the installation set
    library = ::dlopen(kLibrary, RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    std::cerr << "error: " << kLibrary << ": the compiler is not installed beside " << folder
              << "/graft; 'graft run', 'bench' and 'inspect' of libraries work without it"
              << std::endl;
    return GRAFT_ERROR_INPUT;
  }
  auto driver = reinterpret_cast<int (*)(int, char **)>(::dlsym(library, "graft_driver_main"));
  if (!driver) {
    std::cerr << "error: " << kLibrary << ": it has no graft_driver_main; is it of another version?"
              << std::endl;
    return GRAFT_ERROR_INPUT;
  }
  return driver(argc, argv);
}
