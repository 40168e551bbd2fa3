//===- DispatchNorm.td - Normalisations ---------------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_NORM_TD
#define GRAFT_DISPATCH_NORM_TD

include "graft/Dispatch/DispatchDialect.td"

def Dispatch_LayerNormOp : Dispatch_DestinationOp<"layer_norm", [AttrSizedOperandSegments]> {
  let summary = "Layer norm or RMS norm of the last dimension";
  let description = [{
    With `h = x (+ residual)`: `out = (h − mean(h)) / sqrt(var(h) + epsilon) · weight + bias`, or under `rms`
    `out = h / sqrt(mean(h²) + epsilon) · weight + bias`. The variance is of the centred values, over n.

    1. (layer_norm-C1) x and out have the same shape, rank ≥ 1, and float element type; so has the residual
    2. (layer_norm-C2) weight and bias have rank 1, x's last dimension and element type

    Example:
    ```mlir
    %y = dispatch.layer_norm ins(%x : tensor<?x?x384xf32>) residual(%r : tensor<?x?x384xf32>) weight(%g : tensor<384xf32>)
           bias(%b : tensor<384xf32>) outs(%init : tensor<?x?x384xf32>) {epsilon = 1.000000e-12 : f32} -> tensor<?x?x384xf32>
    ```
  }];
  let arguments = (ins Dispatch_FloatShaped:$input, Optional<Dispatch_FloatShaped>:$residual, Optional<Dispatch_FloatShaped>:$weight,
      Optional<Dispatch_FloatShaped>:$bias, Dispatch_FloatShaped:$init, F32Attr:$epsilon, UnitAttr:$rms);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $input `:` type($input) `)` (`residual` `(` $residual^ `:` type($residual) `)`)? (`weight` `(` $weight^ `:` type($weight) `)`)?
    (`bias` `(` $bias^ `:` type($bias) `)`)? `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$residual, "::mlir::Value":$weight, "::mlir::Value":$bias, "::mlir::Value":$init,
        "float":$epsilon, CArg<"bool", "false">:$rms)>
  ];
  let skipDefaultBuilders = 1;
}

#endif // GRAFT_DISPATCH_NORM_TD
