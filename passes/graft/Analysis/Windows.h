//===- Windows.h - The windows of convolutions and pools -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_WINDOWS_H
#define GRAFT_ANALYSIS_WINDOWS_H

#include "graft/Analysis/SymbolicShapes.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace graft {

/// One spatial dimension of a sliding window. Output position `o` covers the input positions
/// `o * stride - padBegin + k * dilation` for `k` below `kernel`.
struct Window {
  Polynomial kernel;
  int64_t stride = 1, dilation = 1;
  Polynomial padBegin, padEnd;
  Polynomial input, output;
};

/// The attributes that convolutions and pools have in common; absent ones are ONNX's defaults.
struct WindowAttributes {
  llvm::StringRef autoPad = "NOTSET";
  mlir::ArrayAttr kernelShape, strides, dilations, pads;
  bool ceilMode = false;
};

/// The windows over the dimensions of `x` from the third on. `kernel` gives the kernel's dimensions
/// where there is no kernel_shape. Nothing if the attributes do not fit the rank.
std::optional<llvm::SmallVector<Window>> windows(llvm::ArrayRef<Polynomial> x,
                                                 llvm::ArrayRef<Polynomial> kernel,
                                                 const WindowAttributes &attributes);

/// The windows of any op that has such attributes: Conv and the pools.
std::optional<llvm::SmallVector<Window>> windowsOf(const SymbolicShapes &shapes,
                                                   mlir::Operation *op);

/// The windows of a ConvTranspose, whose `input` is the smaller side: input position `i` reaches
/// the output positions `i * stride - padBegin + k * dilation`.
std::optional<llvm::SmallVector<Window>> transposedWindowsOf(const SymbolicShapes &shapes,
                                                             mlir::Operation *op);

/// The integers of an attribute, or `count` times `otherwise` if it is absent.
llvm::SmallVector<int64_t> integers(mlir::ArrayAttr attribute, size_t count, int64_t otherwise);

} // namespace graft

#endif // GRAFT_ANALYSIS_WINDOWS_H
