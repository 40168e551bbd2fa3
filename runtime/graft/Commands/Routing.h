//===- Routing.h - Routes that graft run is given, writes and counts *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_ROUTING_H
#define GRAFT_COMMANDS_ROUTING_H

#include "graft/Commands/Npy.h"
#include "graft/Commands/RoutingMeasures.h"
#include "graft/Commands/RuleLabels.h"
#include "graft/Commands/Session.h"

#include <map>

namespace graft::commands {

/// Each of the lists has FILE.npy, of all routers, and [TASK.]ROUTER=@FILE.npy.
struct RoutingOptions {
  std::vector<std::string> routes, weights;             ///< given
  std::vector<std::string> recordRoutes, recordWeights; ///< written
  std::string statistics;                               ///< FILE.json
  std::vector<std::string> rules;                       ///< labels of rows
};

/// A router of the library.
struct Router {
  std::string name;
  int32_t weightType = 0;
  int64_t slots = 0;
  std::vector<std::string> modules;
  // Facts of the manifest, numbers of routers; -1: none.
  int64_t sameModulesAs = -1; ///< the first that chooses among the very same modules
  int64_t tokensOf = -1;      ///< shows what each token gives the modules of this one
  int64_t within = -1;        ///< chooses the module that asks it
  size_t module = 0;          ///< which that is
  bool isAsked = false;       ///< by the code of a task that runs
  int64_t rows = -1;          ///< of the whole batch; -1: only a run tells
};

/// What a router did in a run.
struct RouteRecord {
  size_t router = 0;
  std::vector<std::string> tasks; ///< that share it, or, of row tasks, that have rows in it
  int64_t rows = 0;
  std::vector<int64_t> chosen;
  std::vector<char> weights;
  std::vector<int32_t> taskOfRow; ///< row tasks: index into `tasks`

  bool isOfRowTasks() const { return !taskOfRow.empty(); }
  /// Whether a row came to the router; to one outside of all modules all do.
  bool isReached(int64_t row, int64_t slots) const {
    return chosen[size_t(row * slots)] != GRAFT_ROUTE_UNREACHED;
  }
};

/// What --rules gives; where there is nothing and row tasks run, rows have their tasks as labels.
struct Rules {
  std::optional<RuleLabels> all;            ///< of all routers whose rows they fit
  std::map<size_t, RuleLabels> named;       ///< by router
  std::vector<std::vector<int64_t>> inputs; ///< shapes of the model's inputs
};

/// Adds what --routing-stats writes of each router, and of those with the same modules.
/// \param unlabelled of routers that the labels of all do not fit, why
Status routingStatistics(const std::vector<Router> &routers,
                         const std::vector<RouteRecord> &records, const Rules &rules,
                         nlohmann::ordered_json &statistics, std::vector<std::string> &unlabelled);

/// The routes of one run of a session.
class Routing {
public:
  /// Reads what is given, and finds what is named.
  Status open(const RoutingOptions &options, const Session &session);
  /// Makes a request give the routes and show those that it takes.
  void attach(graft_request &request);
  /// Adds the files that were asked for.
  Status write(NpyWriter &writer);

private:
  /// A file of one router, and of one task or all.
  struct File {
    size_t router = 0;
    int64_t task = -1; ///< index into `tasks`
    std::string path;
  };
  struct Files {
    std::string all; ///< of all routers; empty if there is none
    std::vector<File> named;

    bool empty() const { return all.empty() && named.empty(); }
  };
  Status listRouters();
  Status readLinks();
  Status parse(const char *flag, const std::vector<std::string> &texts, Files &files) const;
  Status findRouter(const std::string &name, File &file) const;
  Status readAll(const char *flag, const std::string &path, bool areWeights);
  Status readNamed(const char *flag, const File &file, bool areWeights);
  Status give(const char *flag, const File &file, const char *data, int64_t rows, bool areWeights);
  Status readRules(const RoutingOptions &options);
  Status refuseTokens(const char *flag, const File &file) const;
  static int32_t look(void *self, const graft_route *route);
  void take(const graft_route &route);
  void addUnreached();
  Status findRecord(const char *flag, const File &file, const RouteRecord *&record) const;
  Status write(const char *flag, const Files &files, bool areWeights, NpyWriter &writer) const;

  const Session *session = nullptr;
  std::vector<Router> routers;
  std::vector<size_t> listed;     ///< those that files of all routers have
  std::vector<std::string> tasks; ///< those that run, each once
  bool looks = false, rowTasks = false;
  std::vector<std::string> hidden; ///< routers whose routes are not shown
  std::string statistics;
  Files recordRoutes, recordWeights;
  std::vector<Tensor> tensors; ///< what `given` points to
  std::map<std::pair<size_t, int64_t>, graft_route> given;
  std::vector<graft_route> givenList;
  Rules rules;
  std::vector<RouteRecord> records;
};

} // namespace graft::commands

#endif
