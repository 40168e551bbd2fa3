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

/// Rows that run together are sorted by key; other groups keep the order of their rows.
void RowTasks::groupRows() {
  std::vector<Part> parts;
  for (size_t row = 0; row < context.tasks.size(); ++row) {
    auto found = std::find_if(parts.begin(), parts.end(),
                              [&](const Part &part) { return part.task == context.tasks[row]; });
    if (found == parts.end()) {
      found = parts.emplace(parts.end());
      found->task = context.tasks[row];
    }
    found->rows.push_back(int64_t(row));
  }
  auto keyOf = [&](const Part &part) { return manifest.rows.keyOf[part.task]; };
  Group together;
  for (Part &part : parts) {
    Group &group =
        manifest.rows.together && !isFixed && keyOf(part) >= 0 ? together : groups.emplace_back();
    group.task = part.task;
    group.parts.push_back(std::move(part));
  }
  std::sort(together.parts.begin(), together.parts.end(),
            [&](const Part &a, const Part &b) { return keyOf(a) < keyOf(b); });
  if (together.parts.size() > 1)
    together.task = uint32_t(manifest.tasks.size());
  if (!together.parts.empty())
    groups.push_back(std::move(together));
  for (Group &group : groups) {
    for (Part &part : group.parts) {
      part.first = int64_t(group.rows.size());
      group.rows.insert(group.rows.end(), part.rows.begin(), part.rows.end());
    }
    for (size_t i = 1; i < group.rows.size(); ++i)
      group.contiguous &= group.rows[i - 1] + 1 == group.rows[i];
  }
}

size_t RowTasks::outputOf(const Group &group, const Part &part, size_t o) const {
  const std::vector<OutputInfo> &outputs = manifest.task(group.task).outputs;
  const std::string &name = manifest.tasks[part.task].outputs[o].name;
  return size_t(std::find_if(outputs.begin(), outputs.end(),
                             [&](const OutputInfo &other) { return other.name == name; }) -
                outputs.begin());
}

Status RowTasks::describe(const Group &group, const Part &part, std::vector<OutputSlot> &slots) {
  Execution execution(library, context);
  const int64_t total = takesOwnRows() ? int64_t(context.tasks.size()) : int64_t(group.rows.size());
  const std::vector<OutputInfo> &outputs = manifest.tasks[part.task].outputs;
  for (size_t o = 0; o < outputs.size(); ++o) {
    OutputSlot &slot = slots.emplace_back();
    slot.value = manifest.task(group.task).outputs[outputOf(group, part, o)].value;
    slot.type = manifest.values[slot.value].type;
    slot.rank = manifest.values[slot.value].rank();
    execution.describe(slot);
    if (!takesOwnRows() && group.parts.size() == 1)
      continue;
    if (slot.bytes < 0 || slot.rank == 0 || slot.dims[0] != total)
      return unsupported("row tasks: the first dimension of output '" + outputs[o].name +
                         "' isn't that of the rows");
    slot.bytes = slot.bytes / slot.dims[0] * int64_t(part.rows.size());
    slot.dims[0] = int64_t(part.rows.size());
  }
  return {};
}

Status RowTasks::plan(const BoundInputs &inputs) {
  if (Status status = findRowDimension(inputs); status.failed())
    return status;
  whole = &inputs;
  groupRows();

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
    if (group.parts.size() > 1)
      for (const Part &part : group.parts)
        group.inputs.keys.insert(group.inputs.keys.end(), part.rows.size(),
                                 manifest.rows.keyOf[part.task]);
    if (Status status = execution.plan(&group.task, 1, group.inputs); status.failed())
      return status;
    for (const Part &part : group.parts)
      if (Status status = describe(group, part, described.emplace_back()); status.failed())
        return status;
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
  shared.clear();
  std::vector<std::pair<Part *, bool>> parts; // and whether its group has others
  for (Group &group : groups)
    for (Part &part : group.parts)
      parts.push_back({&part, group.parts.size() > 1});
  auto outputsOf = [&](size_t part) -> const std::vector<OutputInfo> & {
    return manifest.tasks[parts[part].first->task].outputs;
  };
  auto rowsOf = [&](size_t part) { return int64_t(parts[part].first->rows.size()); };
  for (size_t p = 0; p < parts.size(); ++p) {
    for (size_t o = 0; o < outputsOf(p).size(); ++o) {
      const OutputInfo &output = outputsOf(p)[o];
      const OutputSlot &mine = described[p][o];
      // In every part, and alike in each?
      bool alike = true;
      int32_t first = -1;
      for (size_t q = 0; q < parts.size() && alike && parts.size() > 1; ++q) {
        const std::vector<OutputInfo> &others = outputsOf(q);
        auto found = std::find_if(others.begin(), others.end(), [&](const OutputInfo &other) {
          return other.name == output.name;
        });
        const size_t at = size_t(found - others.begin());
        alike = found != others.end() && rowsMatch(mine, rowsOf(p), described[q][at], rowsOf(q));
        if (alike && q < p)
          first = first < 0 ? int32_t(parts[q].first->slots[at]) : first;
      }
      std::vector<uint32_t> &slots = parts[p].first->slots;
      if (alike && first >= 0) {
        slots.push_back(uint32_t(first));
        continue;
      }
      slots.push_back(uint32_t(context.slots.size()));
      OutputSlot &slot = context.slots.emplace_back();
      slot.name = alike ? output.name.c_str() : output.qualifiedName.c_str();
      slot.type = mine.type;
      slot.rank = mine.rank;
      slot.value = mine.value;
      slot.bytes = mine.bytes;
      std::copy(mine.dims, mine.dims + GRAFT_MAX_RANK, slot.dims);
      bool isMerged = alike && parts.size() > 1;
      merged.push_back(isMerged);
      shared.push_back(!isMerged && parts[p].second);
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
    if (!merged[i] && !shared[i] && !takesOwnRows())
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

  // The group's outputs, and whether all of one is computed where it is to be.
  const std::vector<OutputInfo> &outputs = manifest.task(group.task).outputs;
  std::vector<OutputSlot> whole(outputs.size());
  std::vector<bool> inPlace(outputs.size());
  for (const Part &part : group.parts)
    for (size_t o = 0; o < part.slots.size(); ++o) {
      const OutputSlot &target = context.slots[part.slots[o]];
      const size_t at = outputOf(group, part, o);
      OutputSlot &computed = whole[at];
      computed.name = target.name;
      computed.type = target.type;
      computed.rank = target.rank;
      computed.value = outputs[at].value;
      if (!merged[part.slots[o]] && !shared[part.slots[o]] && !takesOwnRows()) {
        computed.data = target.data;
        computed.capacity = target.capacity;
        computed.keep = target.keep;
      } else if (target.data && merged[part.slots[o]] && group.contiguous && !takesOwnRows()) {
        int64_t rowBytes = target.bytes / target.dims[0];
        computed.data = static_cast<char *>(target.data) + group.rows.front() * rowBytes;
        computed.capacity = uint64_t(rowBytes) * group.rows.size();
        inPlace[at] = true;
      } else {
        computed.keep |= target.data != nullptr;
      }
    }
  if (context.routes) {
    std::vector<Routes::Part> parts;
    for (const Part &part : group.parts)
      parts.push_back({part.task, size_t(part.first), part.rows.size()});
    context.routes->setRows(group.rows, std::move(parts), takesOwnRows());
  }
  if (Status status = execution.run(group.inputs, whole, threads); status.failed())
    return status;

  for (const Part &part : group.parts)
    for (size_t o = 0; o < part.slots.size(); ++o) {
      OutputSlot &target = context.slots[part.slots[o]];
      const size_t at = outputOf(group, part, o);
      const bool isMerged = merged[part.slots[o]];
      if (!isMerged && !shared[part.slots[o]] && !takesOwnRows()) {
        target = std::move(whole[at]);
        continue;
      }
      if (inPlace[at] || !target.data)
        continue;
      int64_t rowBytes = target.bytes / target.dims[0];
      for (size_t row = 0; row < part.rows.size(); ++row) {
        int64_t from = takesOwnRows() ? part.rows[row] : part.first + int64_t(row);
        int64_t to = isMerged ? part.rows[row] : int64_t(row);
        std::memcpy(static_cast<char *>(target.data) + to * rowBytes,
                    static_cast<char *>(whole[at].data) + from * rowBytes, size_t(rowBytes));
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
