//===- RandomTensor.h - Seeded inputs ---------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_RANDOMTENSOR_H
#define GRAFT_COMMANDS_RANDOMTENSOR_H

#include "graft/Commands/TensorFile.h"

namespace graft::commands {

/// NAME=1x128[:MAX]
struct ShapeArgument {
  std::string name;
  std::vector<int64_t> dims; ///< none for a scalar: NAME=
  int64_t most = 2;
};
Status parseShapeArgument(const std::string &text, ShapeArgument &argument);

/// Floats from a normal distribution, integers uniform below `most`, bools uniform. The same on
/// every machine; seeded by the name.
Status randomTensor(const ShapeArgument &argument, int32_t type, Tensor &tensor);

} // namespace graft::commands

#endif
