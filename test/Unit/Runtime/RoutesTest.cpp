//===- RoutesTest.cpp - Routes that runs show and are given -----*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "TestSupport.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstddef>

using namespace graft::test;
using testing::HasSubstr;
using Numbers = std::vector<int64_t>;

namespace {
/// A route that a callback was shown.
struct Seen {
  std::string router;
  std::vector<std::string> tasks;
  Numbers chosen, positions;
  Floats weights;
  int64_t rows = 0, batchRows = 0;
};

/// A run of the library that routes.
struct Routed {
  std::vector<std::string> tasks = {"base"};
  bool rowTasks = false;
  Dims dims = {1, 2, 3};
  Floats x = {4, 1, 2, 1, 3, 6};
  std::vector<graft_route> given;
  int32_t answer = 0; ///< of the callback
  std::vector<Seen> seen;
  bool looks = true;

  Library library = open(fixture("routers.so"));
  std::vector<const char *> names;
  graft_buffer input = GRAFT_BUFFER_INIT;

  static int32_t look(void *data, const graft_route *route) {
    auto *self = static_cast<Routed *>(data);
    Seen &seen = self->seen.emplace_back();
    seen.router = route->router;
    seen.tasks.assign(route->tasks, route->tasks + route->task_count);
    seen.chosen.assign(route->chosen, route->chosen + route->rows * route->slots);
    const float *weights = static_cast<const float *>(route->weights);
    seen.weights.assign(weights, weights + route->rows * route->slots);
    if (route->positions)
      seen.positions.assign(route->positions, route->positions + route->rows);
    seen.rows = route->rows;
    seen.batchRows = route->batch_rows;
    EXPECT_EQ(route->weight_type, GRAFT_F32);
    EXPECT_EQ(route->task, nullptr);
    return self->answer;
  }

  graft_request request() {
    names.clear();
    for (const std::string &task : tasks)
      names.push_back(task.c_str());
    input.name = "x";
    input.type = GRAFT_F32;
    input.data = x.data();
    input.bytes = x.size() * 4;
    input.rank = 3;
    std::copy(dims.begin(), dims.end(), input.dims);
    graft_request request = GRAFT_REQUEST_INIT;
    request.flags = rowTasks ? GRAFT_ROW_TASKS : 0;
    request.tasks = names.data();
    request.task_count = names.size();
    request.inputs = &input;
    request.input_count = 1;
    request.threads = 1;
    request.routes = given.data();
    request.route_count = given.size();
    request.on_route = looks ? look : nullptr;
    request.on_route_data = this;
    seen.clear();
    return request;
  }

  void give(const char *router, int64_t slots, const Numbers &chosen,
            const Floats *weights = nullptr, const char *task = nullptr) {
    graft_route &route = given.emplace_back();
    route = GRAFT_ROUTE_INIT;
    route.router = router;
    route.task = task;
    route.rows = int64_t(chosen.size()) / slots;
    route.slots = slots;
    route.chosen = chosen.data();
    route.weights = weights ? weights->data() : nullptr;
    route.weight_type = weights ? GRAFT_F32 : 0;
  }

  std::map<std::string, Output> run() { return graft::test::run(library, request()); }
  std::string error(int32_t code = GRAFT_ERROR_INPUT) { return runError(library, request(), code); }
};
} // namespace

// The first row: gate (4·1 + 2·3) / 6, soft 4 + 10 + 200. The second: (6·3 + 3·2) / 9, 1 + 30 +
// 600.
static const float kFirst = 10.0f / 6 + 214, kSecond = 24.0f / 9 + 631;

TEST(RoutesTest, ListsRouters) {
  Routed routed;
  ASSERT_EQ(graft_router_count(routed.library.get()), 2u);
  graft_router info = GRAFT_ROUTER_INIT;
  ASSERT_EQ(graft_router_info(routed.library.get(), 0, &info, nullptr), GRAFT_OK);
  EXPECT_STREQ(info.name, "gate");
  EXPECT_EQ(info.weight_type, GRAFT_F32);
  EXPECT_EQ(info.slots, 2);
  ASSERT_EQ(info.module_count, 3u);
  EXPECT_STREQ(info.modules[2], "e2");
  graft_error error = GRAFT_ERROR_INIT;
  EXPECT_EQ(graft_router_info(routed.library.get(), 2, &info, &error), GRAFT_ERROR_INPUT);
  EXPECT_STREQ(error.message, "there is no router 2");
  EXPECT_EQ(graft_router_count(open(fixture("fake.so")).get()), 0u);
}

TEST(RoutesTest, ShowsNothingToNobody) {
  Routed routed;
  routed.looks = false;
  auto outputs = routed.run();
  EXPECT_EQ(outputs["looks"].values, Floats{0});
  EXPECT_FLOAT_EQ(outputs["y"].values[0], kFirst);
  EXPECT_FLOAT_EQ(outputs["y"].values[1], kSecond);
  EXPECT_TRUE(routed.seen.empty());
}

TEST(RoutesTest, ServesCallersOfTheFirstVersion) {
  Routed routed;
  graft_request request = routed.request();
  request.struct_size = offsetof(graft_request, routes);
  EXPECT_EQ(run(routed.library, request)["looks"].values, Floats{0});
  EXPECT_TRUE(routed.seen.empty());
  request.struct_size -= 1;
  EXPECT_THAT(runError(routed.library, request), HasSubstr("struct_size too small"));
}

TEST(RoutesTest, ShowsRoutesAsTheyApply) {
  Routed routed;
  auto outputs = routed.run();
  EXPECT_EQ(outputs["looks"].values, Floats{1});
  EXPECT_FLOAT_EQ(outputs["y"].values[0], kFirst);
  ASSERT_EQ(routed.seen.size(), 2u);
  EXPECT_EQ(routed.seen[0].router, "gate");
  EXPECT_EQ(routed.seen[0].tasks, std::vector<std::string>{"base"});
  EXPECT_EQ(routed.seen[0].chosen, (Numbers{0, 2, 2, 1}));
  EXPECT_EQ(routed.seen[0].weights, (Floats{4.0f / 6, 2.0f / 6, 6.0f / 9, 3.0f / 9}));
  EXPECT_EQ(routed.seen[0].rows, 2);
  EXPECT_EQ(routed.seen[0].batchRows, 2);
  EXPECT_TRUE(routed.seen[0].positions.empty());
  EXPECT_EQ(routed.seen[1].router, "soft");
  EXPECT_EQ(routed.seen[1].chosen, (Numbers{0, 1, 2, 0, 1, 2}));
}

TEST(RoutesTest, ShowsASharedStageOnce) {
  Routed routed;
  routed.tasks = {"base", "a"};
  routed.run();
  ASSERT_EQ(routed.seen.size(), 3u);
  EXPECT_EQ(routed.seen[0].tasks, (std::vector<std::string>{"base", "a"}));
  EXPECT_EQ(routed.seen[1].tasks, std::vector<std::string>{"base"});
  EXPECT_EQ(routed.seen[2].tasks, std::vector<std::string>{"a"});
  EXPECT_EQ(routed.seen[2].weights[0], 8);
}

TEST(RoutesTest, SaysWhichRowsOfTheBatchATaskHas) {
  Routed routed;
  routed.rowTasks = true;
  routed.tasks = {"a", "base", "a"};
  routed.dims = {3, 2, 3};
  routed.x = {4, 1, 2, 1, 3, 6, 1, 2, 3, 3, 2, 1, 5, 6, 7, 7, 6, 5};
  routed.run();
  ASSERT_EQ(routed.seen.size(), 4u);
  EXPECT_EQ(routed.seen[0].tasks, std::vector<std::string>{"a"});
  EXPECT_EQ(routed.seen[0].positions, (Numbers{0, 1, 4, 5}));
  EXPECT_EQ(routed.seen[0].chosen, (Numbers{0, 2, 2, 1, 2, 1, 0, 1}));
  EXPECT_EQ(routed.seen[0].batchRows, 6);
  EXPECT_EQ(routed.seen[2].tasks, std::vector<std::string>{"base"});
  EXPECT_EQ(routed.seen[2].positions, (Numbers{2, 3}));
}

TEST(RoutesTest, TakesATasksRowsOutOfABatchThatCannotBeCut) {
  Routed routed;
  routed.library = open(fixture("fixed.so"));
  routed.rowTasks = true;
  routed.tasks = {"a", "base"};
  routed.dims = {2, 2, 3};
  routed.x = {4, 1, 2, 1, 3, 6, 1, 2, 3, 3, 2, 1};
  const Floats y = routed.run()["y"].values;
  ASSERT_EQ(routed.seen.size(), 4u);
  EXPECT_EQ(routed.seen[0].positions, (Numbers{0, 1}));
  EXPECT_EQ(routed.seen[0].chosen, (Numbers{0, 2, 2, 1}));
  EXPECT_EQ(routed.seen[2].positions, (Numbers{2, 3}));
  EXPECT_EQ(routed.seen[2].chosen, (Numbers{2, 1, 0, 1}));
  EXPECT_EQ(routed.seen[2].batchRows, 4);
  const Numbers same = {0, 2, 2, 1, 2, 1, 0, 1}, other = {0, 2, 2, 1, 2, 1, 1, -1};
  routed.give("gate", 2, same);
  EXPECT_EQ(routed.run()["y"].values, y);
  routed.given.clear();
  routed.give("gate", 2, other);
  const Floats changed = routed.run()["y"].values;
  EXPECT_EQ(Floats(changed.begin(), changed.begin() + 3), Floats(y.begin(), y.begin() + 3));
  EXPECT_FLOAT_EQ(changed[3], 2 + 3 + 20 + 100);
}

TEST(RoutesTest, WeighsAnewWhatIsGiven) {
  Routed routed;
  const Numbers chosen = {1, 2, 0, -1};
  routed.give("gate", 2, chosen);
  auto outputs = routed.run();
  EXPECT_EQ(routed.seen[0].chosen, chosen);
  EXPECT_EQ(routed.seen[0].weights, (Floats{1.0f / 3, 2.0f / 3, 1, 0}));
  EXPECT_FLOAT_EQ(outputs["y"].values[0], (1 * 2 + 2 * 3) / 3.0f + 214);
  EXPECT_FLOAT_EQ(outputs["y"].values[1], 1 + 631);
}

TEST(RoutesTest, TakesWeightsThatAreGiven) {
  Routed routed;
  const Numbers chosen = {1, 2, 0, -1};
  const Floats weights = {0.5f, 2, 4, NAN}; // an empty slot's counts for nothing
  routed.give("gate", 2, chosen, &weights);
  auto outputs = routed.run();
  EXPECT_EQ(routed.seen[0].weights[1], 2);
  EXPECT_FLOAT_EQ(outputs["y"].values[0], 1 + 6 + 214);
  EXPECT_FLOAT_EQ(outputs["y"].values[1], 4 + 631);
}

TEST(RoutesTest, KeepsEachModulesWeight) {
  Routed routed;
  const Numbers chosen = {2, -1, -1, 1, 0, -1};
  routed.give("soft", 3, chosen);
  auto outputs = routed.run();
  EXPECT_EQ(routed.seen[1].weights, (Floats{2, 0, 0, 3, 1, 0}));
  EXPECT_FLOAT_EQ(outputs["y"].values[0], 10.0f / 6 + 200);
  EXPECT_FLOAT_EQ(outputs["y"].values[1], 24.0f / 9 + 31);
}

TEST(RoutesTest, RepeatsWhatWasSeenBitForBit) {
  Routed routed;
  routed.x = {0.3f, 0.7f, 0.1f, 0.9f, 0.2f, 0.4f};
  const Floats first = routed.run()["y"].values;
  const std::vector<Seen> seen = routed.seen;
  routed.give("gate", 2, seen[0].chosen);
  routed.give("soft", 3, seen[1].chosen);
  EXPECT_EQ(routed.run()["y"].values, first);
  routed.given.clear();
  routed.give("gate", 2, seen[0].chosen, &seen[0].weights);
  routed.give("soft", 3, seen[1].chosen, &seen[1].weights);
  EXPECT_EQ(routed.run()["y"].values, first);
}

TEST(RoutesTest, GivesRowTasksTheirRows) {
  Routed routed;
  routed.rowTasks = true;
  routed.tasks = {"a", "base"};
  routed.dims = {2, 1, 3};
  const Numbers chosen = {0, -1, 1, -1}, other = {2, -1, 2, -1};
  routed.give("gate", 2, chosen);
  EXPECT_FLOAT_EQ(routed.run()["y"].values[0], 1 + 2 * 214);
  EXPECT_FLOAT_EQ(routed.run()["y"].values[1], 2 + 631);
  routed.give("gate", 2, other, nullptr, "base");
  EXPECT_FLOAT_EQ(routed.run()["y"].values[0], 1 + 2 * 214);
  EXPECT_FLOAT_EQ(routed.run()["y"].values[1], 3 + 631);
}

TEST(RoutesTest, GivesATaskItsOwn) {
  Routed routed;
  routed.tasks = {"base", "a"};
  const Numbers chosen = {0, -1, -1, 0, -1, -1};
  routed.give("soft", 3, chosen, nullptr, "a");
  auto outputs = routed.run();
  EXPECT_FLOAT_EQ(outputs["base.y"].values[0], kFirst);
  EXPECT_FLOAT_EQ(outputs["a.y"].values[0], 10.0f / 6 + 8);
}

TEST(RoutesTest, RefusesWhatDoesNotFit) {
  const Numbers two = {0, 1, 1, 2}, high = {0, 1, 3, 2}, low = {0, -2, 1, 2},
                three = {0, 1, 1, 2, 2, 0};
  const Floats weights = {1, 1, NAN, 1};
  auto words = [](auto change) {
    Routed routed;
    change(routed);
    std::string words = routed.error();
    EXPECT_TRUE(routed.seen.empty()) << "something ran";
    return words;
  };
  EXPECT_EQ(words([&](Routed &r) { r.give("door", 2, two); }),
            "there is no router 'door'; there are gate, soft");
  EXPECT_EQ(words([&](Routed &r) { r.give("gate", 1, two); }),
            "routes of 'gate': expected 2 slots, found 1");
  EXPECT_EQ(words([&](Routed &r) { r.give("gate", 2, three); }),
            "routes of 'gate': expected 2 rows, found 3");
  EXPECT_EQ(words([&](Routed &r) { r.give("gate", 2, high); }),
            "routes of 'gate': row 1, slot 0: expected one of 3 modules or -1, found 3");
  EXPECT_EQ(words([&](Routed &r) { r.give("gate", 2, low); }),
            "routes of 'gate': row 0, slot 1: expected one of 3 modules or -1, found -2");
  EXPECT_EQ(words([&](Routed &r) { r.give("gate", 2, two, &weights); }),
            "routes of 'gate': row 1, slot 0: expected a weight, found NaN");
  EXPECT_EQ(words([&](Routed &r) {
              r.give("gate", 2, two, &weights);
              r.given[0].weight_type = GRAFT_F64;
            }),
            "routes of 'gate': expected weights of type f32, found f64");
  EXPECT_EQ(words([&](Routed &r) {
              r.give("gate", 2, two);
              r.given[0].rows = int64_t(1) << 62;
            }),
            "routes of 'gate': expected a number of rows, found 4611686018427387904");
  EXPECT_EQ(words([&](Routed &r) {
              r.give("gate", 2, two);
              r.given[0].chosen = nullptr;
            }),
            "routes of 'gate': there is no data");
  EXPECT_EQ(words([&](Routed &r) {
              r.give("gate", 2, two);
              r.give("gate", 2, two);
            }),
            "routes of 'gate': given twice");
  EXPECT_EQ(words([&](Routed &r) { r.give("gate", 2, two, nullptr, "a"); }),
            "routes of 'gate': task 'a' does not run");
  EXPECT_EQ(words([&](Routed &r) {
              r.tasks = {"base", "a"};
              r.give("gate", 2, two, nullptr, "a");
            }),
            "routes of 'gate': tasks 'base' and 'a' run it once, and need the same routes");
  EXPECT_EQ(words([&](Routed &r) {
              r.give("gate", 2, two);
              r.given[0].struct_size = 8;
            }),
            "the struct_size of a route is too small");
  Routed other;
  other.library = open(fixture("fake.so"));
  other.give("gate", 2, two);
  Request request;
  graft_request wanted = request.get();
  wanted.routes = other.given.data();
  wanted.route_count = 1;
  EXPECT_EQ(runError(other.library, wanted), "there is no router 'gate'; there are none");
}

TEST(RoutesTest, RefusesModulesWithoutAWeight) {
  Routed routed;
  routed.x = {-1, 1, 2, 1, 3, 6};
  const Numbers turned = {2, 1, -1, 2, 1, 0}, wrong = {2, 0, 1, 2, 1, 0};
  routed.give("soft", 3, turned);
  EXPECT_FLOAT_EQ(routed.run()["y"].values[0], 8.0f / 3 + 210);
  EXPECT_EQ(routed.seen[1].chosen, turned);
  routed.given.clear();
  routed.give("soft", 3, wrong);
  EXPECT_EQ(routed.error(),
            "routes of 'soft': row 0: the router gives module 'e0' no weight there: "
            "give the weights too");
}

TEST(RoutesTest, KeepsWeightsOfWhatWasDropped) {
  Routed routed;
  routed.x = {4, 60, 2, 1, 3, 6};
  EXPECT_FLOAT_EQ(routed.run()["y"].values[0], (60 * 2 + 4) / 64.0f + 204);
  EXPECT_EQ(routed.seen[1].chosen, (Numbers{0, -1, 2, 0, 1, 2}));
  const Numbers chosen = {1, 0, -1, 0, 1, 2};
  routed.give("soft", 3, chosen);
  EXPECT_FLOAT_EQ(routed.run()["y"].values[0], (60 * 2 + 4) / 64.0f + 604);
  EXPECT_EQ(routed.seen[1].weights, (Floats{60, 4, 0, 1, 3, 6}));
}

TEST(RoutesTest, ShowsEmptySlotsAsSuch) {
  Routed routed;
  routed.x = {-1, 1, 2, 1, -2, 6};
  routed.run();
  EXPECT_EQ(routed.seen[1].chosen, (Numbers{-1, 1, 2, 0, -1, 2}));
}

TEST(RoutesTest, EndsWhereTheCallbackSaysSo) {
  Routed routed;
  routed.answer = 1;
  EXPECT_EQ(routed.error(), "who looks at routes ended the run at those of 'gate'");
  EXPECT_EQ(routed.seen.size(), 1u);
  routed.answer = 0;
  EXPECT_FLOAT_EQ(routed.run()["y"].values[0], kFirst);
}
