//===- ModulePath.h - Where in the exported program a node comes from -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_IMPORT_MODULEPATH_H
#define GRAFT_IMPORT_MODULEPATH_H

#include "llvm/ADT/StringRef.h"

#include <string>

#include "onnx/onnx_pb.h"

namespace graft {

/// The dotted path of the module that a node was traced in, such as `encoder.layer.0.output.dense`:
/// from the metadata of torch's exporter, or else from the node's name. Empty if neither tells.
std::string modulePathOf(const ::onnx::NodeProto &node);

/// The path that a node's name spells: `/encoder/layer.0/output/dense/MatMul` is in
/// `encoder.layer.0.output.dense`. Endings that ONNX Runtime's optimiser adds don't count.
std::string modulePathFromName(llvm::StringRef name, llvm::StringRef opType);

} // namespace graft

#endif // GRAFT_IMPORT_MODULEPATH_H
