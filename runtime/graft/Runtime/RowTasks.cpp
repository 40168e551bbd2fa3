//===- RowTasks.cpp - A task for each row -----------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/RowTasks.h"

#include "graft/Runtime/Tensor.h"

#include <algorithm>
#include <cstring>

using namespace graft::runtime;

bool RowTasks::isFixedBatch() const {
  for (uint32_t i = 0; i < manifest.inputCount; ++i) {
    const ValueInfo &input = manifest.values[i];
    if (input.rank() == 0 || input.dims[0].symbol >= 0 ||
        input.dims[0].size != manifest.values[0].dims[0].size)
      return false;
  }
  return manifest.inputCount > 0;
}

bool RowTasks::isRowSymbol(int32_t symbol) const {
  return std::find(rowSymbols.begin(), rowSymbols.end(), symbol) != rowSymbols.end();
}

/// The symbols that inputs with a first dimension that may vary have there: all of one size.
Status RowTasks::findRowDimension(const BoundInputs &inputs) {
  auto checkCount = [&](int64_t rows) -> Status {
    if (rows < 0 || rows == int64_t(context.tasks.size()))
      return {};
    return inputError("row tasks: there are " + std::to_string(context.tasks.size()) +
                      " tasks, but the inputs have " + std::to_string(rows) + " rows");
  };
  isFixed = isFixedBatch();
  if (isFixed)
    return checkCount(manifest.values[0].dims[0].size);
  if (!manifest.rows.independent) {
    const RowsInfo &rows = manifest.rows;
    std::string words = "row tasks: the rows of this backbone depend on each other";
    if (!rows.op.empty())
      words += ", through " + rows.op + (rows.node.empty() ? "" : " '" + rows.node + "'");
    return unsupported(words + (rows.reason.empty() ? "" : ": " + rows.reason));
  }
  for (uint32_t i = 0; i < manifest.inputCount; ++i) {
    const ValueInfo &input = manifest.values[i];
    const int32_t symbol = input.rank() > 0 ? input.dims[0].symbol : -1;
    if (symbol < 0 || isRowSymbol(symbol))
      continue;
    // -1: nothing has said yet how many.
    const int64_t rows = inputs.symbols[symbol];
    for (int32_t other : rowSymbols)
      if (rows >= 0 && inputs.symbols[other] >= 0 && inputs.symbols[other] != rows)
        return inputError("row tasks: expected inputs of as many rows, found input '" + input.name +
                          "' with " + std::to_string(rows) + ", another with " +
                          std::to_string(inputs.symbols[other]));
    rowSymbols.push_back(symbol);
  }
  if (rowSymbols.empty())
    return unsupported("row tasks: no input's first dimension may vary");
  for (uint32_t i = 0; i < manifest.inputCount; ++i)
    for (int32_t d = 1; d < manifest.values[i].rank(); ++d)
      if (int32_t symbol = manifest.values[i].dims[d].symbol; isRowSymbol(symbol))
        return unsupported("row tasks: '" + manifest.symbols[symbol] +
                           "' is also another dimension of input '" + manifest.values[i].name +
                           "'");
  for (int32_t symbol : rowSymbols)
    if (Status status = checkCount(inputs.symbols[symbol]); status.failed())
      return status;
  return {};
}

bool RowTasks::isGathered(uint32_t input) const {
  const ValueInfo &info = manifest.values[input];
  return !isFixed && info.rank() > 0 && isRowSymbol(info.dims[0].symbol);
}

Status RowTasks::plan(const BoundInputs &inputs) {
  if (Status status = findRowDimension(inputs); status.failed())
    return status;
  whole = &inputs;
  for (size_t row = 0; row < context.tasks.size(); ++row) {
    auto found = std::find_if(groups.begin(), groups.end(),
                              [&](const Group &group) { return group.task == context.tasks[row]; });
    if (found == groups.end()) {
      found = groups.emplace(groups.end());
      found->task = context.tasks[row];
    }
    found->contiguous &= found->rows.empty() || found->rows.back() + 1 == int64_t(row);
    found->rows.push_back(int64_t(row));
  }

  std::vector<std::vector<OutputSlot>> described;
  Execution execution(library, context);
  for (Group &group : groups) {
    int64_t rows = int64_t(group.rows.size());
    group.inputs = inputs;
    for (int32_t symbol : rowSymbols)
      if (inputs.symbols[symbol] >= 0)
        group.inputs.symbols[symbol] = rows;
    for (uint32_t i = 0; i < manifest.inputCount; ++i)
      if (isGathered(i))
        group.inputs.tensors[i].dims[0] = rows;
    if (Status status = execution.plan(&group.task, 1, group.inputs); status.failed())
      return status;
    std::vector<OutputSlot> &slots = described.emplace_back();
    for (const OutputInfo &output : manifest.tasks[group.task].outputs) {
      OutputSlot &slot = slots.emplace_back();
      slot.value = output.value;
      slot.type = manifest.values[output.value].type;
      slot.rank = manifest.values[output.value].rank();
      execution.describe(slot);
      if (!takesOwnRows())
        continue;
      if (slot.bytes < 0 || slot.rank == 0 || slot.dims[0] != int64_t(context.tasks.size()))
        return unsupported("row tasks: the first dimension of output '" + std::string(output.name) +
                           "' isn't that of the rows");
      slot.bytes = slot.bytes / slot.dims[0] * rows;
      slot.dims[0] = rows;
    }
  }
  nameOutputs(described);
  return {};
}

/// Is it a row of `rows`, and of the same shape but for the number of rows as `other`?
static bool rowsMatch(const OutputSlot &slot, int64_t rows, const OutputSlot &other,
                      int64_t otherRows) {
  return slot.bytes >= 0 && other.bytes >= 0 && slot.type == other.type &&
         slot.rank == other.rank && slot.rank > 0 && slot.dims[0] == rows &&
         other.dims[0] == otherRows &&
         std::equal(slot.dims + 1, slot.dims + slot.rank, other.dims + 1);
}

void RowTasks::nameOutputs(const std::vector<std::vector<OutputSlot>> &described) {
  context.slots.clear();
  merged.clear();
  auto outputsOf = [&](size_t group) -> const std::vector<OutputInfo> & {
    return manifest.tasks[groups[group].task].outputs;
  };
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t o = 0; o < outputsOf(g).size(); ++o) {
      const OutputInfo &output = outputsOf(g)[o];
      const OutputSlot &mine = described[g][o];
      // In every group, and alike in each?
      bool alike = true;
      int32_t first = -1;
      for (size_t h = 0; h < groups.size() && alike && groups.size() > 1; ++h) {
        const std::vector<OutputInfo> &others = outputsOf(h);
        auto found = std::find_if(others.begin(), others.end(), [&](const OutputInfo &other) {
          return other.name == output.name;
        });
        alike = found != others.end() && rowsMatch(mine, int64_t(groups[g].rows.size()),
                                                   described[h][size_t(found - others.begin())],
                                                   int64_t(groups[h].rows.size()));
        if (alike && h < g)
          first = first < 0 ? int32_t(groups[h].slots[size_t(found - others.begin())]) : first;
      }
      if (alike && first >= 0) {
        groups[g].slots.push_back(uint32_t(first));
        continue;
      }
      groups[g].slots.push_back(uint32_t(context.slots.size()));
      OutputSlot &slot = context.slots.emplace_back();
      slot.name = alike ? output.name.c_str() : output.qualifiedName.c_str();
      slot.type = mine.type;
      slot.rank = mine.rank;
      slot.value = mine.value;
      slot.bytes = mine.bytes;
      std::copy(mine.dims, mine.dims + GRAFT_MAX_RANK, slot.dims);
      bool isMerged = alike && groups.size() > 1;
      merged.push_back(isMerged);
      if (isMerged) {
        slot.dims[0] = int64_t(context.tasks.size());
        slot.bytes = tensorBytes(slot.type, slot.dims, slot.rank).value_or(-1);
      }
    }
  }
}

/// Outputs that groups write a part of, or of which they take a part, exist before they run.
Status RowTasks::allocateMerged() {
  for (size_t i = 0; i < context.slots.size(); ++i) {
    OutputSlot &slot = context.slots[i];
    if (!merged[i] && !takesOwnRows())
      continue;
    std::string name = "output '" + std::string(slot.name) + "': ";
    if (slot.bytes < 0)
      return inputError(name + "the inputs are too large");
    if (slot.data && slot.capacity < uint64_t(slot.bytes))
      return inputError(name + "the shape " + shapeText(slot.dims, slot.rank) + " needs " +
                        std::to_string(slot.bytes) + " bytes, the buffer has " +
                        std::to_string(slot.capacity));
    if (slot.data || !slot.keep)
      continue;
    slot.owned = allocateMemory(slot.bytes);
    slot.data = slot.owned.get();
    if (!slot.data)
      return memoryError(name + "cannot allocate " + std::to_string(slot.bytes) + " bytes");
  }
  return {};
}

/// Points a group's inputs at its rows: in place where they are next to each other.
Status RowTasks::gather(Group &group) {
  int64_t rows = int64_t(group.rows.size()), total = 0;
  auto rowBytes = [&](uint32_t input) {
    return tensorBytes(manifest.values[input].type, group.inputs.tensors[input].dims,
                       manifest.values[input].rank())
               .value_or(0) /
           rows;
  };
  auto aligned = [](int64_t bytes) { return (bytes + kAlignment - 1) & ~(kAlignment - 1); };
  for (uint32_t i = 0; i < manifest.inputCount; ++i)
    if (isGathered(i) && whole->given[i])
      total += aligned(rowBytes(i) * rows);
  char *next = group.contiguous ? nullptr : context.gathered.reserve(total);
  if (!next && !group.contiguous)
    return memoryError("cannot allocate " + std::to_string(total) + " bytes to gather rows");
  for (uint32_t i = 0; i < manifest.inputCount; ++i) {
    if (!isGathered(i) || !whole->given[i])
      continue;
    int64_t bytes = rowBytes(i);
    char *from = static_cast<char *>(whole->tensors[i].data);
    if (group.contiguous) {
      group.inputs.tensors[i].data = from + group.rows.front() * bytes;
      continue;
    }
    group.inputs.tensors[i].data = next;
    for (int64_t row = 0; row < rows; ++row)
      std::memcpy(next + row * bytes, from + group.rows[row] * bytes, size_t(bytes));
    next += aligned(bytes * rows);
  }
  return {};
}

Status RowTasks::runGroup(Group &group, int32_t threads) {
  if (Status status = gather(group); status.failed())
    return status;
  Execution execution(library, context);
  if (Status status = execution.plan(&group.task, 1, group.inputs); status.failed())
    return status;

  const std::vector<OutputInfo> &outputs = manifest.tasks[group.task].outputs;
  std::vector<OutputSlot> parts(outputs.size());
  for (size_t o = 0; o < outputs.size(); ++o) {
    const OutputSlot &target = context.slots[group.slots[o]];
    OutputSlot &part = parts[o];
    part.name = target.name;
    part.type = target.type;
    part.rank = target.rank;
    part.value = outputs[o].value;
    if (!merged[group.slots[o]] && !takesOwnRows()) {
      part.data = target.data;
      part.capacity = target.capacity;
      part.keep = target.keep;
    } else if (target.data && group.contiguous && !takesOwnRows()) {
      int64_t rowBytes = target.bytes / target.dims[0];
      part.data = static_cast<char *>(target.data) + group.rows.front() * rowBytes;
      part.capacity = uint64_t(rowBytes) * group.rows.size();
    } else {
      part.keep = target.data != nullptr;
    }
  }
  if (context.routes)
    context.routes->setRows(group.rows, {{group.task, 0, group.rows.size()}}, takesOwnRows());
  if (Status status = execution.run(group.inputs, parts, threads); status.failed())
    return status;

  for (size_t o = 0; o < outputs.size(); ++o) {
    OutputSlot &target = context.slots[group.slots[o]];
    OutputSlot &part = parts[o];
    const bool isMerged = merged[group.slots[o]];
    if (!isMerged && !takesOwnRows()) {
      target = std::move(part);
    } else if (part.owned) {
      int64_t rowBytes = target.bytes / target.dims[0];
      for (size_t row = 0; row < group.rows.size(); ++row) {
        int64_t from = takesOwnRows() ? group.rows[row] : int64_t(row);
        int64_t to = isMerged ? group.rows[row] : int64_t(row);
        std::memcpy(static_cast<char *>(target.data) + to * rowBytes,
                    static_cast<char *>(part.data) + from * rowBytes, size_t(rowBytes));
      }
    }
  }
  return {};
}

Status RowTasks::run(int32_t threads) {
  if (Status status = allocateMerged(); status.failed())
    return status;
  for (Group &group : groups)
    if (Status status = runGroup(group, threads); status.failed())
      return status;
  return {};
}
