//===- Onnx.td - Umbrella of the onnx dialect: includes only -----*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

include "graft/Onnx/OnnxDialect.td"
include "graft/Onnx/Activation.td"
include "graft/Onnx/Constant.td"
include "graft/Onnx/Control.td"
include "graft/Onnx/Convolution.td"
include "graft/Onnx/Elementwise.td"
include "graft/Onnx/Indexing.td"
include "graft/Onnx/Matmul.td"
include "graft/Onnx/Normalization.td"
include "graft/Onnx/Recurrent.td"
include "graft/Onnx/Reduction.td"
include "graft/Onnx/Shape.td"
