//===- Routes.cpp - Routes that a run shows and is given --------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Routes.h"

#include "graft/Runtime/Bind.h"
#include "graft/Runtime/Tensor.h"

#include <algorithm>
#include <cstring>

using namespace graft::runtime;

static Status bad(const std::string &router, const std::string &words) {
  return inputError("routes of '" + router + "': " + words);
}

/// Whether the float at `index` is NaN, told by its bits.
static bool isNaN(int32_t type, const void *data, int64_t index) {
  const char *at = static_cast<const char *>(data) + index * int64_t(typeBytes(type));
  auto isAbove = [&](auto bits, auto infinity) {
    std::memcpy(&bits, at, sizeof(bits));
    return decltype(bits)(bits << 1) > decltype(bits)(infinity << 1);
  };
  switch (type) {
  case GRAFT_F32:
    return isAbove(uint32_t(), uint32_t(0x7f800000));
  case GRAFT_F64:
    return isAbove(uint64_t(), uint64_t(0x7ff0000000000000));
  case GRAFT_F16:
    return isAbove(uint16_t(), uint16_t(0x7c00));
  default: // bf16
    return isAbove(uint16_t(), uint16_t(0x7f80));
  }
}

Routes::Routes(const Manifest &manifest, const graft_request &request,
               const std::vector<uint32_t> &all)
    : manifest(manifest), request(request), rowTasks(request.flags & GRAFT_ROW_TASKS),
      batch(int64_t(all.size())) {
  for (uint32_t task : all)
    if (std::find(tasks.begin(), tasks.end(), task) == tasks.end())
      tasks.push_back(task);
}

/// Whether the row did not come to the router when its route was recorded.
static bool isUnreached(const graft_route &route, int64_t row) {
  const int64_t *chosen = route.chosen + row * route.slots;
  return std::all_of(chosen, chosen + route.slots,
                     [](int64_t module) { return module == GRAFT_ROUTE_UNREACHED; });
}

//===----------------------------------------------------------------------===//
// What is given
//===----------------------------------------------------------------------===//

const graft_route *Routes::find(uint32_t router, uint32_t task) const {
  const graft_route *found = nullptr;
  for (size_t i = 0; i < request.route_count; ++i) {
    const graft_route &route = *versioned(request.routes, i);
    if (manifest.routers[router].name != route.router)
      continue;
    if (route.task && manifest.tasks[task].name == route.task)
      return &route;
    if (!route.task)
      found = &route;
  }
  return found;
}

Status Routes::checkGiven(const graft_route &route, const std::vector<int64_t> &symbols) {
  std::string name = route.router ? route.router : "";
  int32_t index = manifest.findRouter(name);
  if (index < 0)
    return inputError(
        "there is no router '" + name + "'" +
        (manifest.routers.empty() ? "; there are none" : "; there are " + manifest.routerNames()));
  const RouterInfo &router = manifest.routers[uint32_t(index)];
  if (route.task && std::none_of(tasks.begin(), tasks.end(), [&](uint32_t task) {
        return manifest.tasks[task].name == route.task;
      }))
    return bad(name, "task '" + std::string(route.task) + "' does not run");
  if (route.slots != router.slots)
    return bad(name, "expected " + std::to_string(router.slots) + " slots, found " +
                         std::to_string(route.slots));
  int64_t count, bytes;
  if (route.rows < 0 || !checkedMul(route.rows, route.slots, count) ||
      !checkedMul(count, int64_t(sizeof(int64_t)), bytes))
    return bad(name, "expected a number of rows, found " + std::to_string(route.rows));
  if (std::optional<int64_t> wanted = router.countRows(symbols); wanted && *wanted != route.rows)
    return bad(name, "expected " + std::to_string(*wanted) + " rows, found " +
                         std::to_string(route.rows));
  if (count > 0 && !route.chosen)
    return bad(name, "there is no data");
  if (route.weights && route.weight_type != router.weightType)
    return bad(name, std::string("expected weights of type ") + typeName(router.weightType) +
                         ", found " +
                         (typeName(route.weight_type) ? typeName(route.weight_type)
                                                      : std::to_string(route.weight_type)));
  const int64_t modules = int64_t(router.modules.size());
  for (int64_t i = 0; i < count; ++i) {
    auto place = [&] {
      return "row " + std::to_string(i / route.slots) + ", slot " +
             std::to_string(i % route.slots) + ": ";
    };
    if (router.within >= 0 && isUnreached(route, i / route.slots))
      continue;
    if (route.chosen[i] < -1 || route.chosen[i] >= modules)
      return bad(name, place() + "expected one of " + std::to_string(modules) +
                           " modules or -1, found " + std::to_string(route.chosen[i]));
    if (route.weights && route.chosen[i] >= 0 && isNaN(router.weightType, route.weights, i))
      return bad(name, place() + "expected a weight, found NaN");
  }
  return {};
}

/// Tasks that share a stage cannot take different routes there.
Status Routes::checkShared() const {
  for (size_t stage = 0; stage < manifest.stages.size() && !rowTasks; ++stage)
    for (uint32_t router : manifest.stages[stage].routers) {
      const TaskInfo *first = nullptr;
      const graft_route *route = nullptr;
      for (uint32_t task : tasks) {
        const TaskInfo &info = manifest.tasks[task];
        if (std::find(info.path.begin(), info.path.end(), stage) == info.path.end())
          continue;
        if (first && find(router, task) != route)
          return bad(manifest.routers[router].name, "tasks '" + first->name + "' and '" +
                                                        info.name +
                                                        "' run it once, and need the same routes");
        first = &info;
        route = find(router, task);
      }
    }
  return {};
}

Status Routes::check(const std::vector<int64_t> &symbols) {
  for (size_t i = 0; i < request.route_count; ++i) {
    const graft_route &route = *versioned(request.routes, i);
    if (Status status = checkGiven(route, symbols); status.failed())
      return status;
    for (size_t j = 0; j < i; ++j) {
      const graft_route &other = *versioned(request.routes, j);
      const bool sameTask = route.task && other.task ? !std::strcmp(route.task, other.task)
                                                     : !route.task && !other.task;
      if (!std::strcmp(route.router, other.router) && sameTask)
        return bad(route.router, "given twice");
    }
  }
  return checkShared();
}

//===----------------------------------------------------------------------===//
// While it runs
//===----------------------------------------------------------------------===//

void Routes::setRows(const std::vector<int64_t> &rows, std::vector<Part> whose, bool all) {
  own = &rows;
  parts = std::move(whose);
  runsAll = all;
  stageTasks.clear();
  for (const Part &part : parts)
    stageTasks.push_back(part.task);
}

void Routes::enterStage(uint32_t stage) {
  fixedRouters = &manifest.stages[stage].fixedRouters;
  if (rowTasks)
    return;
  stageTasks.clear();
  for (uint32_t task : tasks) {
    const std::vector<uint32_t> &path = manifest.tasks[task].path;
    if (std::find(path.begin(), path.end(), stage) != path.end())
      stageTasks.push_back(task);
  }
}

int64_t Routes::positionOf(int64_t row) const {
  return isPart && !runsAll ? (*own)[size_t(row / inner)] * inner + row % inner : row;
}

Status Routes::checkAsked(int64_t number, int64_t rows) const {
  if (number < 0 || uint64_t(number) >= manifest.routers.size() || rows < 0 || stageTasks.empty())
    return internalError("the code asks router " + std::to_string(number) +
                         ", of which there are " + std::to_string(manifest.routers.size()));
  return {};
}

void Routes::enterRows(int64_t rows) {
  // Where a batch may be cut, its rows are proven to be those of all that routes, in order; but for
  // what is the same for all of them.
  const int64_t run = !own ? 0 : runsAll ? batch : int64_t(own->size());
  isPart = own && manifest.rows.independent && rows % run == 0;
  inner = isPart ? rows / run : 1;
}

bool Routes::isOnlyWeighed(int64_t number, int64_t rows, int64_t *chosen, const void *weights) {
  const RouterInfo &router = manifest.routers[size_t(number)];
  for (int64_t i = 0; i < rows * router.slots; ++i)
    if (uint64_t(chosen[i]) >= router.modules.size())
      chosen[i] = -1;
  if (!weights && !router.weighs) {
    weighed.assign(chosen, chosen + rows * router.slots);
    weighedBy = number;
    return true;
  }
  if (weighedBy != number || weighed.size() != size_t(rows * router.slots))
    weighed.clear();
  return false;
}

Status Routes::route(int64_t number, int64_t rows, int64_t *chosen, void *weights) {
  if (Status status = checkAsked(number, rows); status.failed())
    return status;
  const RouterInfo &router = manifest.routers[size_t(number)];
  enterRows(rows);
  if (isOnlyWeighed(number, rows, chosen, weights))
    return {};
  const bool isFixed = std::find(fixedRouters->begin(), fixedRouters->end(), uint32_t(number)) !=
                       fixedRouters->end();
  auto replaceFor = [&](uint32_t task, int64_t begin, int64_t end) {
    const graft_route *given = find(uint32_t(number), task);
    if (!given)
      return Status();
    return isFixed ? compare(router, *given, begin, end, chosen, weights)
                   : replace(router, *given, begin, end, chosen, weights);
  };
  // Where all of the batch runs for a task, all of what is given does.
  if (!isPart || runsAll) {
    if (Status status = replaceFor(stageTasks.front(), 0, rows); status.failed())
      return status;
  } else {
    for (const Part &part : parts)
      if (Status status = replaceFor(part.task, int64_t(part.first) * inner,
                                     int64_t(part.first + part.count) * inner);
          status.failed())
        return status;
  }
  weighed.clear();
  if (!weights || !request.on_route)
    return {};
  if (!isPart)
    return showAll(router, rows, chosen, weights);
  for (const Part &part : parts)
    if (Status status = showPart(router, part, chosen, weights); status.failed())
      return status;
  return {};
}

void Routes::findParts(int64_t rows) {
  partOf.assign(size_t(rows), isPart ? -1 : 0);
  for (size_t part = 0; isPart && part < parts.size(); ++part)
    for (size_t i = parts[part].first; i < parts[part].first + parts[part].count; ++i) {
      const int64_t first = (runsAll ? (*own)[i] : int64_t(i)) * inner;
      std::fill_n(partOf.begin() + first, inner, int64_t(part));
    }
}

Status Routes::routeWithin(int64_t number, int64_t rows, int64_t *chosen, void *weights,
                           int64_t count, const int64_t *places, int64_t total) {
  if (Status status = checkAsked(number, rows); status.failed())
    return status;
  const RouterInfo &router = manifest.routers[size_t(number)];
  if (count == 0 && rows == 0)
    return {};
  if (count <= 0 || rows % count != 0)
    return bad(router.name, "expected as many rows for each of " + std::to_string(count) +
                                " that came to its module, found " + std::to_string(rows));
  const int64_t each = rows / count;
  enterRows(total);
  findParts(total);
  cameTo.assign(size_t(rows), -1);
  cameBy.assign(size_t(rows), -1);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t place = places[row / each];
    if (place < -1 || place >= total)
      return internalError("the code asks router " + std::to_string(number) + " for row " +
                           std::to_string(place) + " of " + std::to_string(total));
    if (place < 0)
      continue;
    cameTo[size_t(row)] = positionOf(place) * each + row % each;
    cameBy[size_t(row)] = partOf[size_t(place)];
  }
  if (isOnlyWeighed(number, rows, chosen, weights))
    return {};
  const int64_t all = (isPart ? batch * inner : total) * each;
  const size_t partCount = isPart ? parts.size() : 1;
  for (size_t part = 0; part < partCount; ++part) {
    const bool isWhole = !isPart || runsAll;
    const graft_route *given =
        find(uint32_t(number), isWhole ? stageTasks.front() : parts[part].task);
    if (!given || (isWhole && part > 0))
      continue;
    if (Status status = checkRows(router, *given, all); status.failed())
      return status;
    for (int64_t row = 0; row < rows; ++row)
      if (cameTo[size_t(row)] >= 0 && (isWhole || cameBy[size_t(row)] == int64_t(part)))
        if (Status status = replaceRow(router, *given, row, cameTo[size_t(row)], chosen, weights);
            status.failed())
          return status;
  }
  weighed.clear();
  for (size_t part = 0; weights && request.on_route && part < partCount; ++part)
    if (Status status = showWithin(router, int64_t(part), rows, chosen, weights, all);
        status.failed())
      return status;
  return {};
}

Status Routes::checkRows(const RouterInfo &router, const graft_route &given, int64_t wanted) const {
  if (given.rows == wanted)
    return {};
  return bad(router.name,
             "expected " + std::to_string(wanted) + " rows, found " + std::to_string(given.rows));
}

Status Routes::compare(const RouterInfo &router, const graft_route &given, int64_t begin,
                       int64_t end, const int64_t *chosen, const void *weights) const {
  if (Status status = checkRows(router, given, isPart ? batch * inner : end); status.failed())
    return status;
  const size_t slots = size_t(router.slots), bytes = slots * typeBytes(router.weightType);
  for (int64_t row = begin; row < end; ++row) {
    const auto position = size_t(positionOf(row));
    const int64_t *route = chosen + size_t(row) * slots;
    const bool sameWeights =
        !given.weights || !weights ||
        !std::memcmp(static_cast<const char *>(given.weights) + position * bytes,
                     static_cast<const char *>(weights) + size_t(row) * bytes, bytes);
    if (!std::equal(route, route + slots, given.chosen + position * slots) || !sameWeights)
      return bad(router.name, "row " + std::to_string(position) +
                                  ": expected the route of its task, which is compiled in");
  }
  return {};
}

Status Routes::replace(const RouterInfo &router, const graft_route &given, int64_t begin,
                       int64_t end, int64_t *chosen, void *weights) {
  if (Status status = checkRows(router, given, isPart ? batch * inner : end); status.failed())
    return status;
  for (int64_t row = begin; row < end; ++row)
    if (Status status = replaceRow(router, given, row, positionOf(row), chosen, weights);
        status.failed())
      return status;
  return {};
}

Status Routes::replaceRow(const RouterInfo &router, const graft_route &given, int64_t row,
                          int64_t position, int64_t *chosen, void *weights) {
  const size_t slots = size_t(router.slots), bytes = typeBytes(router.weightType);
  const int64_t from = position * router.slots;
  int64_t *here = chosen + row * router.slots;
  char *weighs = weights ? static_cast<char *>(weights) + size_t(row) * slots * bytes : nullptr;
  if (router.within >= 0 && isUnreached(given, position))
    return bad(router.name, "row " + std::to_string(position) + ": expected a route, found " +
                                std::to_string(GRAFT_ROUTE_UNREACHED) +
                                ", that of a row which does not come there");
  if (weights && !given.weights && !router.weighs) {
    const int64_t *of = weighed.empty() ? here : weighed.data() + row * router.slots;
    rowChosen.assign(of, of + slots);
    rowWeights.assign(weighs, weighs + slots * bytes);
    std::memset(weighs, 0, slots * bytes);
    for (size_t s = 0; s < slots; ++s) {
      const int64_t module = given.chosen[from + int64_t(s)];
      if (module < 0)
        continue;
      auto found = std::find(rowChosen.begin(), rowChosen.end(), module);
      if (found == rowChosen.end())
        return bad(router.name, "row " + std::to_string(position) + ": the router gives module '" +
                                    router.modules[size_t(module)] +
                                    "' no weight there: give the weights too");
      std::memcpy(weighs + s * bytes, rowWeights.data() + size_t(found - rowChosen.begin()) * bytes,
                  bytes);
    }
  } else if (weights && given.weights) {
    std::memcpy(weighs, static_cast<const char *>(given.weights) + size_t(from) * bytes,
                slots * bytes);
  }
  std::copy_n(given.chosen + from, slots, here);
  return {};
}

Status Routes::showWithin(const RouterInfo &router, int64_t part, int64_t rows,
                          const int64_t *chosen, const void *weights, int64_t all) {
  const size_t slots = size_t(router.slots), bytes = slots * typeBytes(router.weightType);
  names.clear();
  if (isPart)
    names.push_back(manifest.tasks[parts[size_t(part)].task].name.c_str());
  else
    for (uint32_t task : stageTasks)
      names.push_back(manifest.tasks[task].name.c_str());
  positions.clear();
  ownChosen.clear();
  ownWeights.clear();
  for (int64_t row = 0; row < rows; ++row) {
    if (cameTo[size_t(row)] < 0 || cameBy[size_t(row)] != part)
      continue;
    const char *from = static_cast<const char *>(weights) + size_t(row) * bytes;
    positions.push_back(cameTo[size_t(row)]);
    ownChosen.insert(ownChosen.end(), chosen + row * router.slots,
                     chosen + (row + 1) * router.slots);
    ownWeights.insert(ownWeights.end(), from, from + bytes);
  }
  if (positions.empty()) // as where no row came
    return {};
  graft_route route = GRAFT_ROUTE_INIT;
  route.rows = int64_t(positions.size());
  route.positions = positions.data();
  route.batch_rows = all;
  route.chosen = ownChosen.data();
  route.weights = ownWeights.data();
  return show(router, route);
}

Status Routes::showAll(const RouterInfo &router, int64_t rows, const int64_t *chosen,
                       const void *weights) {
  names.clear();
  for (uint32_t task : stageTasks)
    names.push_back(manifest.tasks[task].name.c_str());
  graft_route route = GRAFT_ROUTE_INIT;
  route.rows = route.batch_rows = rows;
  route.chosen = chosen;
  route.weights = weights;
  return show(router, route);
}

Status Routes::showPart(const RouterInfo &router, const Part &part, const int64_t *chosen,
                        const void *weights) {
  const size_t slots = size_t(router.slots), bytes = slots * typeBytes(router.weightType);
  names.assign(1, manifest.tasks[part.task].name.c_str());
  positions.clear();
  for (size_t row = part.first; row < part.first + part.count; ++row)
    for (int64_t i = 0; i < inner; ++i)
      positions.push_back((*own)[row] * inner + i);
  graft_route route = GRAFT_ROUTE_INIT;
  route.rows = int64_t(positions.size());
  route.positions = positions.data();
  route.batch_rows = batch * inner;
  const size_t first = part.first * size_t(inner);
  route.chosen = chosen + first * slots;
  route.weights = static_cast<const char *>(weights) + first * bytes;
  if (runsAll) {
    ownChosen.clear();
    ownWeights.clear();
    for (int64_t row : positions) {
      const char *from = static_cast<const char *>(weights) + size_t(row) * bytes;
      ownChosen.insert(ownChosen.end(), chosen + size_t(row) * slots,
                       chosen + size_t(row + 1) * slots);
      ownWeights.insert(ownWeights.end(), from, from + bytes);
    }
    route.chosen = ownChosen.data();
    route.weights = ownWeights.data();
  }
  return show(router, route);
}

Status Routes::show(const RouterInfo &router, graft_route &route) {
  route.router = router.name.c_str();
  route.weight_type = router.weightType;
  route.slots = router.slots;
  route.tasks = names.data();
  route.task_count = names.size();
  if (request.on_route(request.on_route_data, &route) != 0)
    return inputError("who looks at routes ended the run at those of '" + router.name + "'");
  return {};
}
