//===- Shape.td - Shapes and the arrangement of elements -------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_SHAPE_TD
#define GRAFT_ONNX_SHAPE_TD

include "graft/Onnx/OnnxBase.td"

def Onnx_ShapeOp : Onnx_PureOp<"Shape"> {
  let summary = "The dimensions as a tensor";
  let arguments = (ins AnyTensor:$data, OptionalAttr<Onnx_Int>:$end, Onnx_IntOr<"0">:$start);
  let results = (outs AnyTensor:$shape);
}

def Onnx_SizeOp : Onnx_UnaryOp<"Size", "The number of elements", "data", "size">;

def Onnx_ReshapeOp : Onnx_PureOp<"Reshape"> {
  let summary = "The same elements in another shape";
  let arguments = (ins AnyTensor:$data, AnyTensor:$shape, Onnx_IntOr<"0">:$allowzero);
  let results = (outs AnyTensor:$reshaped);
}

def Onnx_FlattenOp : Onnx_PureOp<"Flatten"> {
  let summary = "Reshape to a matrix, split at an axis";
  let arguments = (ins AnyTensor:$input, Onnx_IntOr<"1">:$axis);
  let results = (outs AnyTensor:$output);
}

def Onnx_SqueezeOp : Onnx_PureOp<"Squeeze"> {
  let summary = "Dimensions of 1 removed";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes);
  let results = (outs AnyTensor:$squeezed);
}

def Onnx_UnsqueezeOp : Onnx_PureOp<"Unsqueeze"> {
  let summary = "Dimensions of 1 inserted";
  let arguments = (ins AnyTensor:$data, AnyTensor:$axes);
  let results = (outs AnyTensor:$expanded);
}

def Onnx_TransposeOp : Onnx_PureOp<"Transpose"> {
  let summary = "Dimensions permuted";
  let arguments = (ins AnyTensor:$data, Onnx_Ints:$perm);
  let results = (outs AnyTensor:$transposed);
}

def Onnx_ExpandOp : Onnx_PureOp<"Expand"> {
  let summary = "Broadcast to a shape";
  let arguments = (ins AnyTensor:$input, AnyTensor:$shape);
  let results = (outs AnyTensor:$output);
}

def Onnx_TileOp : Onnx_PureOp<"Tile"> {
  let summary = "Repeated along each dimension";
  let arguments = (ins AnyTensor:$input, AnyTensor:$repeats);
  let results = (outs AnyTensor:$output);
}

def Onnx_ConcatOp : Onnx_PureOp<"Concat"> {
  let summary = "Joined along an axis";
  let arguments = (ins Variadic<AnyTensor>:$inputs, Onnx_Int:$axis);
  let results = (outs AnyTensor:$concat_result);
}

def Onnx_SplitOp : Onnx_PureOp<"Split"> {
  let summary = "Parted along an axis";
  let arguments = (ins AnyTensor:$input, Optional<AnyTensor>:$split, Onnx_IntOr<"0">:$axis,
                       OptionalAttr<Onnx_Int>:$num_outputs);
  let results = (outs Variadic<AnyTensor>:$outputs);
}

def Onnx_SliceOp : Onnx_PureOp<"Slice", [AttrSizedOperandSegments]> {
  let summary = "Every step-th element from start to end";
  let arguments = (ins AnyTensor:$data, AnyTensor:$starts, AnyTensor:$ends,
                       Optional<AnyTensor>:$axes, Optional<AnyTensor>:$steps);
  let results = (outs AnyTensor:$output);
}

def Onnx_PadOp : Onnx_PureOp<"Pad", [AttrSizedOperandSegments]> {
  let summary = "Padded by a constant, the edge, its reflection or around";
  let arguments = (ins AnyTensor:$data, AnyTensor:$pads, Optional<AnyTensor>:$constant_value,
                       Optional<AnyTensor>:$axes, Onnx_StringOr<"constant">:$mode);
  let results = (outs AnyTensor:$output);
}

def Onnx_DepthToSpaceOp : Onnx_PureOp<"DepthToSpace"> {
  let summary = "Blocks of channels to blocks of space";
  let arguments = (ins AnyTensor:$input, Onnx_Int:$blocksize, Onnx_StringOr<"DCR">:$mode);
  let results = (outs AnyTensor:$output);
}

def Onnx_SpaceToDepthOp : Onnx_PureOp<"SpaceToDepth"> {
  let summary = "Blocks of space to channels";
  let arguments = (ins AnyTensor:$input, Onnx_Int:$blocksize, Onnx_StringOr<"DCR">:$mode);
  let results = (outs AnyTensor:$output);
}

def Onnx_ResizeOp : Onnx_PureOp<"Resize", [AttrSizedOperandSegments]> {
  let summary = "Resampled to another size";
  let arguments = (ins AnyTensor:$X, Optional<AnyTensor>:$roi, Optional<AnyTensor>:$scales,
                       Optional<AnyTensor>:$sizes, Onnx_IntOr<"0">:$antialias, Onnx_Ints:$axes,
                       Onnx_StringOr<"half_pixel">:$coordinate_transformation_mode,
                       Onnx_FloatOr<"-0.75f">:$cubic_coeff_a, Onnx_IntOr<"0">:$exclude_outside,
                       Onnx_FloatOr<"0.0f">:$extrapolation_value,
                       Onnx_StringOr<"stretch">:$keep_aspect_ratio_policy,
                       Onnx_StringOr<"nearest">:$mode,
                       Onnx_StringOr<"round_prefer_floor">:$nearest_mode);
  let results = (outs AnyTensor:$Y);
}

#endif // GRAFT_ONNX_SHAPE_TD
