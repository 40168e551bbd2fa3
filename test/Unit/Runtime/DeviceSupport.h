//===- DeviceSupport.h - Short ways to run on the mock driver ---*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_UNIT_RUNTIME_DEVICESUPPORT_H
#define GRAFT_TEST_UNIT_RUNTIME_DEVICESUPPORT_H

#include "TestSupport.h"

#include <gmock/gmock.h>

namespace graft::test {

/// A variable of the environment, until the end of the scope.
class Variable {
public:
  Variable(const char *name, const std::string &value) : name(name) {
    ::setenv(name, value.c_str(), 1);
  }
  Variable(const Variable &) = delete;
  Variable &operator=(const Variable &) = delete;
  ~Variable() { ::unsetenv(name); }

private:
  const char *name;
};

/// What the driver was asked, from here on.
class DriverLog {
public:
  DriverLog() : path(writeFile("driver.log", "")), variable("GRAFT_MOCK_LOG", path) {}
  ~DriverLog() { ::unlink(path.c_str()); }

  std::string text() const { return readFile(path); }
  void clear() { std::ofstream(path, std::ios::trunc); }
  /// Lines that begin so.
  size_t count(const std::string &begin) const {
    std::string lines = "\n" + text();
    size_t found = 0;
    for (size_t at = 0; (at = lines.find("\n" + begin, at)) != std::string::npos; ++at)
      ++found;
    return found;
  }

private:
  std::string path;
  Variable variable;
};

/// A run of the fixture for devices: its only input is x.
struct DeviceRequest : Request {
  graft_request get() {
    Request::get();
    inputs.resize(1);
    return raw();
  }
};

/// The same run on the CPU.
inline std::map<std::string, Output> runOnCpu(DeviceRequest request) {
  Variable cpu("GRAFT_DEVICE", "cpu");
  Library library = open(fixture("device.so"));
  auto outputs = run(library, request.get());
  EXPECT_STREQ(graft_library_device(library.get()), "cpu: GRAFT_DEVICE=cpu");
  return outputs;
}

inline void expectEqual(const std::map<std::string, Output> &found,
                        const std::map<std::string, Output> &expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto &[name, output] : expected) {
    ASSERT_TRUE(found.count(name)) << name;
    EXPECT_EQ(found.at(name).dims, output.dims) << name;
    EXPECT_EQ(found.at(name).values, output.values) << name;
  }
}

} // namespace graft::test

#endif
