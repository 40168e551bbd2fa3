//===- ConcurrencyTest.cpp - Several threads, one library -------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "TestSupport.h"

#include <thread>

using namespace graft::test;

TEST(ConcurrencyTest, RunsOneLibraryFromManyThreads) {
  Library library = open(fixture("fake.so"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 200; ++round) {
        Request request;
        // Shapes come anew and again, so that plans are both made and found.
        request.batch = 1 + (round + t) % 7;
        request.seq = 1 + round % 5;
        // One thread a run when a sanitizer watches: it does not see libomp's own synchronisation.
        request.threads = std::getenv("GRAFT_TEST_ONE_THREAD") ? 1 : 1 + t % 3;
        request.x.assign(size_t(request.batch * request.seq), float(t));
        request.mask.assign(request.x.size(), 1);
        request.tasks = round % 3 == 0   ? std::vector<std::string>{"base", "b"}
                        : round % 3 == 1 ? std::vector<std::string>{"fail"}
                                         : std::vector<std::string>(size_t(request.batch), "a");
        request.rows = round % 3 == 2;
        float sum = (float(t) + 0.5f) * float(request.seq);
        if (round % 3 == 1) {
          ASSERT_EQ(runError(library, request.get()), "gather: index 7 is out of range");
          continue;
        }
        auto outputs = run(library, request.get());
        if (round % 3 == 0) {
          ASSERT_EQ(outputs["base.y"].values, Floats(size_t(request.batch), sum));
          ASSERT_EQ(outputs["b.kept"].values.size(), t ? request.x.size() : 0u);
        } else {
          ASSERT_EQ(outputs["y"].values, Floats(size_t(request.batch), 2 * sum));
        }
      }
    });
  }
  // Others open and close it meanwhile.
  for (int round = 0; round < 50; ++round)
    open(fixture("fake.so"));
  for (std::thread &thread : threads)
    thread.join();
}
