//===- Memory.cpp - Bounds, initialisation and races of memory -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Memory.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

using namespace graft::emulator;

Arena::Arena() {
  for (int low : {MAP_32BIT, 0}) {
    void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | low, -1, 0);
    if (at == MAP_FAILED)
      continue;
    base = static_cast<char *>(at);
    return;
  }
}

Arena::~Arena() {
  if (base)
    munmap(base, size);
}

static llvm::StringRef verb(Access access) {
  switch (access) {
  case Access::Read:
    return "reads";
  case Access::Write:
    return "writes";
  case Access::Atomic:
    return "updates";
  }
  return "touches";
}

static std::string number(uint64_t value) { return std::to_string(value); }

void Memory::setGlobal(std::vector<Region> regions) {
  globals = std::move(regions);
  llvm::sort(globals, [](const Region &a, const Region &b) { return a.begin < b.begin; });
  pages.clear();
}

void Memory::setShared(std::vector<Region> regions) {
  shareds = std::move(regions);
  llvm::sort(shareds, [](const Region &a, const Region &b) { return a.begin < b.begin; });
  uint64_t end = 0;
  for (const Region &region : shareds)
    end = std::max(end, region.begin + region.bytes);
  if (end <= cellCount)
    return;
  cells.reset(static_cast<Cell *>(calloc(end, sizeof(Cell)))); // of generation 0: never written
  cellCount = end;
}

void Memory::startBlock(uint32_t number) {
  block = number;
  usedAtomics = false;
  ++generation;
  // NaNs of every type, for whoever reads it all the same.
  for (const Region &region : shareds)
    memset(arena + region.begin, 0xff, region.bytes);
}

const Region *Memory::find(llvm::ArrayRef<Region> regions, uint64_t at) const {
  const Region *after = llvm::upper_bound(
      regions, at, [](uint64_t at, const Region &region) { return at < region.begin; });
  return after == regions.begin() ? nullptr : after - 1;
}

std::string Memory::describe(const char *at) const {
  bool inArena = at >= arena && at < arena + Arena::size;
  uint64_t place = inArena ? at - arena : reinterpret_cast<uintptr_t>(at);
  llvm::ArrayRef<Region> regions = inArena ? shareds : globals;
  const Region *region = find(regions, place);
  std::string text = inArena ? "shared memory" : "global memory";
  if (!region)
    return text + " before all that there is";
  return text + " " + region->name + " + " + number(place - region->begin) + " (of " +
         number(region->bytes) + " bytes)";
}

bool Memory::fail(const char *at, uint64_t bytes, Access access, llvm::StringRef why) {
  problem =
      (verb(access) + " " + llvm::Twine(bytes) + " bytes of " + describe(at) + ": " + why).str();
  return false;
}

bool Memory::race(llvm::StringRef doing, llvm::StringRef done, const Moment &other) {
  const Site &site = sites[other.site];
  problem = ("a race: " + doing + " what thread " + llvm::Twine(other.thread) + " " + done +
             " at " + site.op + " (" + site.where + "), with no barrier between")
                .str();
  return false;
}

bool Memory::access(Thread &thread, const char *at, uint64_t bytes, uint32_t flags, uint32_t site,
                    llvm::StringRef stack) {
  Access access = AccessFlags::access(flags);
  uint32_t space = AccessFlags::space(flags);
  if (bytes == 0)
    return true;
  if (reinterpret_cast<uintptr_t>(at) % AccessFlags::align(flags))
    return fail(at, bytes, access,
                "not aligned to " + number(AccessFlags::align(flags)) + " bytes");
  if (at >= stack.begin() && at + bytes <= stack.end()) {
    if (space == AccessFlags::anywhere || space == AccessFlags::local)
      return true;
    return fail(at, bytes, access, "it is the thread's own memory");
  }
  bool inArena = at >= arena && at < arena + Arena::size;
  if (inArena && space != AccessFlags::global)
    return shared(thread, at, bytes, access, site);
  if (space == AccessFlags::shared)
    return fail(at, bytes, access, "not in shared memory");
  return global(at, bytes, access, site);
}

bool Memory::global(const char *at, uint64_t bytes, Access access, uint32_t site) {
  auto place = reinterpret_cast<uintptr_t>(at);
  const Region *region = find(globals, place);
  if (!region || place - region->begin + bytes > region->bytes)
    return fail(at, bytes, access, "out of bounds");
  if (traffic) {
    if (access != Access::Write)
      traffic->read += bytes;
    if (access != Access::Read)
      traffic->written += bytes;
    ++traffic->accesses;
    traffic->wide += bytes == 16;
  }
  return !races || betweenBlocks(at, bytes, access, site);
}

bool Memory::betweenBlocks(const char *at, uint64_t bytes, Access access, uint32_t site) {
  usedAtomics |= access == Access::Atomic;
  Page *page = nullptr;
  for (uint64_t i = 0; i < bytes; ++i) {
    auto place = reinterpret_cast<uintptr_t>(at) + i;
    if (i == 0 || place % 4096 == 0) {
      auto found = pages.find(place / 4096);
      if (found == pages.end() && access == Access::Write)
        found = pages.try_emplace(place / 4096, std::make_unique<Page>()).first;
      page = found == pages.end() ? nullptr : found->second.get();
    }
    if (!page)
      continue;
    uint32_t &writer = page->block[place % 4096];
    uint32_t &where = page->site[place % 4096];
    if (writer && writer != block + 1 && !usedAtomics)
      return fail(at, bytes, access,
                  "a race: block " + number(writer - 1) + " has written it at " + sites[where].op +
                      " (" + sites[where].where + ")");
    if (access == Access::Write) {
      writer = block + 1;
      where = site;
    }
  }
  return true;
}

bool Memory::shared(Thread &thread, const char *at, uint64_t bytes, Access access, uint32_t site) {
  uint64_t place = at - arena;
  const Region *region = find(shareds, place);
  if (!region || place - region->begin + bytes > region->bytes)
    return fail(at, bytes, access, "out of bounds");
  Cell before, after;
  for (uint64_t i = 0; i < bytes; ++i) {
    Cell &cell = cells[place + i];
    // Bytes of one access mostly have the same history.
    if (i && !memcmp(&cell, &before, sizeof(Cell))) {
      cell = after;
      continue;
    }
    memcpy(&before, &cell, sizeof(Cell));
    if (cell.generation != generation) {
      cell = Cell();
      cell.generation = generation;
    }
    if (!advance(cell, thread, access, site))
      return fail(at, bytes, access, std::string(problem));
    after = cell;
  }
  return true;
}

bool Memory::advance(Cell &cell, Thread &thread, Access access, uint32_t site) {
  bool reads = access != Access::Write, writes = access != Access::Read;
  auto says = [&](llvm::StringRef what) {
    problem = what.str();
    return false;
  };
  if (cell.content == Content::Pending)
    return says("an asynchronous copy to it has not been waited for");
  if (reads && cell.content == Content::Unwritten)
    return says("nobody has written it");
  bool atomics = access == Access::Atomic && cell.atomic;
  if (races && cell.writer.thread != ~0u && !atomics && !thread.knows(cell.writer))
    return race(verb(access), "wrote", cell.writer);
  if (writes) {
    for (int i : {0, 1}) {
      const Moment &reader = cell.readers[i];
      if (!races || reader.thread == ~0u)
        continue;
      // Another lane has read it at the same time as this very thread.
      bool lanes = cell.several[i] && reader.thread == thread.index && reader.clock == thread.clock;
      if (lanes || !thread.knows(reader))
        return race("writes", "or its neighbour read", reader);
      cell.readers[i] = Moment();
    }
    cell.writer = thread.now(site);
    cell.content = Content::Written;
    cell.atomic = access == Access::Atomic;
    return true;
  }
  // Two readers of different warps: whoever writes is of another warp than one of them.
  int slot = 1;
  for (int i : {1, 0})
    if (cell.readers[i].thread == ~0u || thread.knows(cell.readers[i]))
      slot = i;
  bool several = false;
  for (int i : {0, 1})
    if (cell.readers[i].thread != ~0u && cell.readers[i].thread / warpSize == thread.warp()) {
      slot = i;
      several = !thread.knows(cell.readers[i]) ||
                (cell.several[i] && cell.readers[i].thread == thread.index &&
                 cell.readers[i].clock == thread.clock);
    }
  cell.readers[slot] = thread.now(site);
  cell.several[slot] = several;
  return true;
}

bool Memory::issue(Thread &thread, char *to, const char *from, uint32_t bytes, uint32_t size,
                   uint32_t site) {
  if (bytes > size) {
    problem = "copies " + number(bytes) + " bytes where it has " + number(size);
    return false;
  }
  uint32_t align = size == 16 ? 4 : size == 8 ? 3 : 2;
  if (!access(thread, to, size, AccessFlags::encode(Access::Write, AccessFlags::shared, align),
              site, {}))
    return false;
  uint32_t source = AccessFlags::encode(Access::Read, AccessFlags::global, align);
  if (reinterpret_cast<uintptr_t>(from) % size)
    return fail(from, bytes, Access::Read, "not aligned to " + number(size) + " bytes");
  if (!access(thread, from, bytes, source, site, {}))
    return false;
  for (uint32_t i = 0; i < size; ++i)
    cells[to - arena + i].content = Content::Pending;
  memset(to, 0xff, size);
  thread.copies.push_back({to, from, bytes, size, thread.group});
  return true;
}

void Memory::complete(Thread &thread, uint32_t keep, bool everything, uint32_t site) {
  size_t done = 0;
  for (const Copy &copy : thread.copies) {
    if (!everything && copy.group + keep >= thread.group)
      break;
    ++done;
    memcpy(copy.to, copy.from, copy.bytes);
    memset(copy.to + copy.bytes, 0, copy.size - copy.bytes);
    for (uint32_t i = 0; i < copy.size; ++i) {
      Cell &cell = cells[copy.to - arena + i];
      cell.content = Content::Written;
      cell.writer = thread.now(site);
    }
  }
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + done);
}
