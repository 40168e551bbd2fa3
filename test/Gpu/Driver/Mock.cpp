//===- Mock.cpp - The state of the mock driver ------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "Mock.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <sys/mman.h>

Executor::~Executor() = default;

/// Addresses are never used twice before they run out: what is freed stays unmapped.
static constexpr uint64_t kRegion = uint64_t(1) << 36, kPage = 4096;
/// The real driver's; no address has more by accident.
static constexpr uint64_t kAlignment = 256;

Mock &Mock::get() {
  static Mock *mock = new Mock; // calls may come when the process ends
  return *mock;
}

Mock::Mock() {
  void *memory =
      ::mmap(nullptr, kRegion, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mock driver: no address space");
    std::abort();
  }
  region = static_cast<char *>(memory);
}

void Mock::protect(bool accessible) {
  for (const auto &[address, bytes] : allocations) {
    char *page = reinterpret_cast<char *>(address & ~(kPage - 1));
    ::mprotect(page, reinterpret_cast<char *>(address) + bytes - page,
               accessible ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
}

CUstream_st *Mock::find(CUstream_st *stream) {
  if (!stream)
    return &legacy;
  return streams.count(stream) ? stream : nullptr;
}

template <typename Ranges, typename Key>
static bool contains(const Ranges &ranges, Key begin, uint64_t bytes) {
  auto after = ranges.upper_bound(begin);
  if (after == ranges.begin())
    return false;
  auto range = std::prev(after);
  const uint64_t offset = uint64_t(begin - range->first);
  return offset <= range->second && bytes <= range->second - offset;
}

bool Mock::isPinned(const void *memory, size_t bytes) const {
  return contains(pinned, static_cast<char *>(const_cast<void *>(memory)), bytes);
}

bool Mock::isDevice(Address address, size_t bytes) const {
  return contains(allocations, address, bytes);
}

Result Mock::allocate(Address &address, size_t bytes) {
  const uint64_t limit = knob("GRAFT_MOCK_MEMORY", uint64_t(256) << 20);
  if (bytes == 0)
    return kInvalidValue;
  if (allocated > limit || bytes > limit - allocated || bytes + 2 * kPage > kRegion - highest)
    return kOutOfMemory;
  char *begin = region + highest + kAlignment;
  highest += (kAlignment + bytes + 2 * kPage - 1) & ~(kPage - 1); // and a page that nobody has
  address = reinterpret_cast<Address>(begin);
  allocations[address] = bytes;
  allocated += bytes;
  protect(true);
  std::memset(begin, 0xb5, bytes); // as if others had used it
  protect(false);
  return kSuccess;
}

Result Mock::release(Address address) {
  auto found = allocations.find(address);
  if (found == allocations.end())
    return kInvalidValue;
  char *page = reinterpret_cast<char *>(address & ~(kPage - 1));
  const size_t length = size_t(reinterpret_cast<char *>(address) + found->second - page);
  ::mmap(page, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  allocated -= found->second;
  allocations.erase(found);
  return kSuccess;
}

size_t Mock::reset() {
  const size_t leaks = allocations.size() + streams.size() + execs.size() + modules.size();
  while (!allocations.empty())
    release(allocations.begin()->first);
  for (CUstream_st *stream : streams)
    delete stream;
  for (CUgraphExec_st *exec : execs)
    delete exec;
  for (CUmod_st *module : modules)
    delete module;
  streams.clear();
  execs.clear();
  modules.clear();
  functions.clear();
  legacy.work.clear();
  return leaks;
}

Result Mock::perform(const Work &work) {
  if (work.kind == Work::kernel) {
    std::vector<DeviceAllocation> memory;
    for (const auto &[address, bytes] : allocations)
      memory.push_back({reinterpret_cast<const char *>(address), bytes});
    std::vector<void *> arguments;
    for (const std::vector<char> &argument : work.arguments)
      arguments.push_back(const_cast<char *>(argument.data()));
    DeviceLaunch launch = work.launch;
    launch.kernel = work.function->name.c_str();
    launch.arguments = arguments.data();
    std::string words = work.function->module->executor->run(launch, memory);
    if (words.empty())
      return kSuccess;
    std::fprintf(stderr, "mock driver: kernel '%s': %s\n", launch.kernel, words.c_str());
    return words.find("address") != std::string::npos ? kIllegalAddress : kLaunchFailed;
  }
  if (!isDevice(work.device, work.bytes)) // freed since
    return kIllegalAddress;
  void *device = reinterpret_cast<void *>(work.device);
  if (work.kind == Work::toHost)
    std::memcpy(work.host, device, work.bytes);
  else
    std::memcpy(device, work.host ? work.host : work.staged.data(), work.bytes);
  return kSuccess;
}

Result Mock::flush(CUstream_st &stream) {
  std::vector<Work> work = std::move(stream.work);
  stream.work.clear();
  CUctx_st *context = currentContext();
  protect(true);
  for (const Work &item : work)
    if (context->fault == kSuccess)
      context->fault = perform(item);
  protect(false);
  return context->fault;
}

uint64_t knob(const char *name, uint64_t otherwise) {
  const char *text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

bool isCapturing(bool invalidate) {
  bool found = false;
  for (CUstream_st *stream : Mock::get().streams)
    if (stream->capture && stream->capturer == std::this_thread::get_id()) {
      found = true;
      stream->invalidated |= invalidate;
    }
  return found;
}

/// What GRAFT_MOCK_FAIL says about this call, the calls counted since it was set.
static Result injected(const std::string &name) {
  static std::string knownText;
  static std::map<std::string, uint64_t> counts;
  const char *set = std::getenv("GRAFT_MOCK_FAIL");
  const std::string text = set ? set : "";
  if (text != knownText) {
    knownText = text;
    counts.clear();
  }
  const uint64_t count = ++counts[name];
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    std::istringstream fields(item);
    std::string function, number, code;
    std::getline(fields, function, ':');
    std::getline(fields, number, ':');
    std::getline(fields, code, ':');
    if (function == name && (number == "*" || number == std::to_string(count)))
      return std::atoi(code.c_str());
  }
  return kSuccess;
}

static void writeLog(const std::string &line) {
  const char *path = std::getenv("GRAFT_MOCK_LOG");
  FILE *file = path && *path ? std::fopen(path, "a") : nullptr;
  if (!file)
    return;
  std::fputs(line.c_str(), file);
  std::fclose(file);
}

/// Faults after which a context is of no more use.
static bool isSticky(Result result) {
  return result == 214 || (result >= 700 && result < 720 && result != 701 && result != 704 &&
                           result != 705 && result != 708 && result != 709);
}

Result call(const char *name, Needs needs, const std::function<Result(std::string &facts)> &body) {
  Mock &mock = Mock::get();
  std::lock_guard<std::mutex> lock(mock.mutex);
  std::string facts;
  CUctx_st *context = currentContext();
  Result result = injected(name);
  if (result != kSuccess)
    facts = " injected";
  else if (needs != Needs::nothing && !mock.initialized)
    result = kNotInitialized;
  else if (needs == Needs::context && !context)
    result = kInvalidContext;
  else if (needs == Needs::context && context->fault != kSuccess)
    result = context->fault;
  else
    result = body(facts);
  if (context && isSticky(result))
    context->fault = result;
  writeLog(name + facts + " -> " + std::to_string(result) + "\n");
  return result;
}
