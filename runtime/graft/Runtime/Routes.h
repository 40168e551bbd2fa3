//===- Routes.h - Routes that a run shows and is given ----------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_ROUTES_H
#define GRAFT_RUNTIME_ROUTES_H

#include "graft/Runtime/HostContext.h"
#include "graft/Runtime/Manifest.h"

namespace graft::runtime {

/// The routes of one request: puts those that are given in the routers' place, and shows all.
class Routes final : public RouteObserver {
public:
  /// \param tasks those that run; with row tasks one a row
  Routes(const Manifest &manifest, const graft_request &request,
         const std::vector<uint32_t> &tasks);

  /// Whether the request gives routes or looks at them.
  static bool areWanted(const graft_request &request) {
    return request.route_count > 0 || request.on_route;
  }
  /// Checks what is given.
  /// \param symbols -1 where they are not known
  Status check(const std::vector<int64_t> &symbols);

  /// Rows that follow each other in what runs, and are of one task.
  struct Part {
    uint32_t task;
    size_t first, count;
  };
  /// The rows that run from here on: all of the batch for all tasks, unless row tasks run.
  /// \param rows of the batch, which live as long as they run
  /// \param parts what of `rows` is whose
  /// \param runsAll the code runs the whole batch, of which only `rows` count
  void setRows(const std::vector<int64_t> &rows, std::vector<Part> parts, bool runsAll);
  void enterStage(uint32_t stage);

  Status route(int64_t router, int64_t rows, int64_t *chosen, void *weights) override;
  Status routeWithin(int64_t router, int64_t rows, int64_t *chosen, void *weights, int64_t count,
                     const int64_t *places, int64_t total) override;

private:
  Status checkGiven(const graft_route &route, const std::vector<int64_t> &symbols);
  Status checkShared() const;
  /// What is given for a router and a task, or null.
  const graft_route *find(uint32_t router, uint32_t task) const;
  Status checkAsked(int64_t number, int64_t rows) const;
  /// Takes the rows of a router, or of the route around it, for those of all that runs.
  void enterRows(int64_t rows);
  /// Empties slots that hold no module; whether there is nothing else to do yet.
  bool isOnlyWeighed(int64_t number, int64_t rows, int64_t *chosen, const void *weights);
  /// Which of the router's rows in the whole batch row `row` is.
  int64_t positionOf(int64_t row) const;
  /// By row of what runs, which of the parts it is of; -1 if it does not count.
  void findParts(int64_t rows);
  Status checkRows(const RouterInfo &router, const graft_route &given, int64_t wanted) const;
  /// Whether what is given is what the code does whatever it is told. Rows [begin, end) of those
  /// that run.
  Status compare(const RouterInfo &router, const graft_route &given, int64_t begin, int64_t end,
                 const int64_t *chosen, const void *weights) const;
  /// Rows [begin, end) of those that run.
  Status replace(const RouterInfo &router, const graft_route &given, int64_t begin, int64_t end,
                 int64_t *chosen, void *weights);
  /// Row `row` of those that run, which is row `position` of what is given.
  Status replaceRow(const RouterInfo &router, const graft_route &given, int64_t row,
                    int64_t position, int64_t *chosen, void *weights);
  /// The rows of a part that came to a router within a module, or all that did if it is none.
  Status showWithin(const RouterInfo &router, int64_t part, int64_t rows, const int64_t *chosen,
                    const void *weights, int64_t all);
  Status showAll(const RouterInfo &router, int64_t rows, const int64_t *chosen,
                 const void *weights);
  Status showPart(const RouterInfo &router, const Part &part, const int64_t *chosen,
                  const void *weights);
  Status show(const RouterInfo &router, graft_route &route);

  const Manifest &manifest;
  const graft_request &request;
  const bool rowTasks;
  const int64_t batch;                                 ///< rows of row tasks
  std::vector<uint32_t> tasks;                         ///< each once
  std::vector<uint32_t> stageTasks;                    ///< of these, those that run the stage
  const std::vector<uint32_t> *fixedRouters = nullptr; ///< of the stage
  const std::vector<int64_t> *own = nullptr;           ///< rows of the batch that run
  std::vector<Part> parts;                             ///< of `own`
  bool runsAll = false;
  bool isPart = false; ///< the router's rows are those of `own`, `inner` for each
  int64_t inner = 1;
  // Kept between calls for their memory.
  std::vector<const char *> names;
  std::vector<int64_t> positions, ownChosen, rowChosen;
  std::vector<int64_t> weighed; ///< what the weights that come next are of, if that is shown
  int64_t weighedBy = -1;       ///< the router that does
  std::vector<char> ownWeights, rowWeights;
  std::vector<int64_t> partOf; ///< see findParts
  std::vector<int64_t> cameTo; ///< the router's row in the whole batch; -1 if it does not count
  std::vector<int64_t> cameBy; ///< the part of that row
};

} // namespace graft::runtime

#endif
