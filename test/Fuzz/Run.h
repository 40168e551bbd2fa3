//===- Run.h - Libraries, and what they are run on ---------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_FUZZ_RUN_H
#define GRAFT_FUZZ_RUN_H

#include "Evaluate.h"
#include "Random.h"

#include "graft/Runtime/graft.h"

namespace graft::fuzz {

/// The inputs of one run, in the order of @main's arguments, with the bytes that a library takes.
struct Batch {
  std::vector<std::string> names;
  std::vector<Array> arrays;
  std::vector<bool> integers;
  int64_t rows = 0;

  /// The rows of the given numbers.
  Batch take(llvm::ArrayRef<int64_t> numbers) const;
  /// These rows, then those of `other`.
  Batch join(const Batch &other) const;
};

/// How a batch is drawn.
struct Draw {
  int64_t rows = 1, length = 1;
  bool special = false; ///< NaN, infinities and numbers of no module too
  bool outside = false; ///< indices that no table has
};

/// The number of rows if @main fixes it.
std::optional<int64_t> fixedRows(mlir::func::FuncOp main);
Batch draw(mlir::func::FuncOp main, const Draw &how, Random &random);

struct Output {
  llvm::SmallVector<int64_t> shape;
  std::vector<float> data;

  int64_t rowSize() const { return Array::count(llvm::ArrayRef(shape).drop_front()); }
  /// Whether row `i` has the bits of row `j` of `other`.
  bool isRow(int64_t i, const Output &other, int64_t j) const;
};

/// What a run gave: outputs by name, or an error.
struct Outcome {
  int32_t status = GRAFT_OK;
  std::string error;
  std::map<std::string, Output> outputs;
};

/// What one router chose in a run; a row that did not come to it has GRAFT_ROUTE_UNREACHED.
struct Routed {
  int64_t rows = 0, slots = 0;
  int32_t weightType = GRAFT_F32;
  std::vector<int64_t> chosen;
  std::vector<char> weights;
  bool anyNaN = false; ///< in the weights of what is chosen
};
/// By router.
using AllRouted = std::map<std::string, Routed>;

/// A library that is open.
class Library {
public:
  Library() = default;
  Library(const Library &) = delete;
  ~Library() { graft_library_close(library); }
  /// Under AddressSanitizer, what lies between its weights is poisoned.
  /// \returns what went wrong, or nothing
  std::string open(const std::string &path);
  /// \param seen receives what routers choose, of one task, or null
  /// \param given what they are to choose, or null
  Outcome run(const Batch &batch, llvm::ArrayRef<std::string> tasks, int threads,
              bool rowTasks = false, AllRouted *seen = nullptr, const AllRouted *given = nullptr);

private:
  graft_library *library = nullptr;
};

} // namespace graft::fuzz

#endif // GRAFT_FUZZ_RUN_H
