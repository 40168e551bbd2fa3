//===- EmulatorExecutor.cpp - A driver that runs kernels on the CPU -*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
//
// GRAFT_EMULATOR_IR names what `graft compile --emit nvvm` yields for the library that is loaded;
// GRAFT_EMULATOR_SCHEDULE is the number of one of the emulator's schedules, 0 unless given; to the
// file GRAFT_EMULATOR_TRAFFIC, if it is set, goes a line for each launch, of what it moved.
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"
#include "Executor.h"

#include <cstdlib>
#include <cstring>
#include <fstream>

using namespace graft::emulator;

namespace {
class EmulatorExecutor : public Executor {
public:
  std::string load(const char *image) override {
    const char *path = std::getenv("GRAFT_EMULATOR_IR");
    if (!path)
      return "GRAFT_EMULATOR_IR names no file";
    auto loaded = Program::load(path);
    if (!loaded)
      return llvm::toString(loaded.takeError());
    program = std::move(*loaded);
    // What is emulated has to be what the library carries, which machine code does not tell.
    if (std::memcmp(image, "\177ELF", 4) == 0)
      return "";
    for (const std::string &kernel : program->kernels())
      if (std::string(image).find(".entry " + kernel + "(") == std::string::npos)
        return "the library has no kernel '" + kernel + "'";
    return "";
  }
  bool has(const char *kernel) override { return program && program->has(kernel); }
  std::vector<uint32_t> argumentSizes(const char *kernel) override {
    return program->argumentSizes(kernel);
  }
  std::string run(const DeviceLaunch &launch,
                  const std::vector<DeviceAllocation> &allocations) override {
    std::vector<Allocation> memory;
    for (const DeviceAllocation &each : allocations)
      memory.push_back({each.begin, each.bytes});
    const char *schedule = std::getenv("GRAFT_EMULATOR_SCHEDULE");
    const size_t number = schedule ? size_t(std::atoi(schedule)) : 0;
    if (number >= schedules().size())
      return "there is no such schedule";
    Traffic traffic;
    Launch emulated{launch.kernel, launch.blocks[0], launch.threads[0], launch.sharedBytes,
                    launch.arguments};
    emulated.traffic = &traffic;
    if (llvm::Error error = program->run(emulated, memory, schedules()[number]))
      return llvm::toString(std::move(error));
    return report(launch.kernel, traffic);
  }

private:
  static std::string report(const char *kernel, const Traffic &traffic) {
    const char *path = std::getenv("GRAFT_EMULATOR_TRAFFIC");
    if (!path)
      return "";
    std::ofstream file(path, std::ios::app);
    file << kernel << " read=" << traffic.read << " written=" << traffic.written
         << " accesses=" << traffic.accesses << " wide=" << traffic.wide
         << " products=" << traffic.products << "\n";
    return file ? "" : "cannot write GRAFT_EMULATOR_TRAFFIC";
  }

  std::unique_ptr<Program> program;
};
} // namespace

std::unique_ptr<Executor> createExecutor() { return std::make_unique<EmulatorExecutor>(); }
