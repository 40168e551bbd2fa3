//===- DispatchAttention.td - Attention and softmax ---------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_ATTENTION_TD
#define GRAFT_DISPATCH_ATTENTION_TD

include "graft/Dispatch/DispatchDialect.td"

def Dispatch_AttentionOp : Dispatch_DestinationOp<"attention"> {
  let summary = "softmax(scale · Q Kᵀ + mask) V, for each batch and head";
  let description = [{
    Q is (B, H, S, D), K (B, G, T, D), V (B, G, T, E), out (B, H, S, E); query head h uses key and value head h / (H/G). The layouts give the order
    of each operand's dimensions as letters out of `bhsd` (for K and V, `h` is G, `s` is T; for V and out `d` is E), so that transposes of the
    exported graph are absorbed: heads split from a (B, S, H·D) matrix are `bshd`, transposed keys `bhds`.

    The mask broadcasts to (B, H, S, T) in the manner of NumPy: of lower rank, or with dimensions of 1. Of type i1 it says which keys are kept; a
    float is added. Under `causal`, query s sees the keys t ≤ s + T − S. A row without any key is 0.

    1. (attention-C1) q, k, v and out have rank 4 and the same float element type
    2. (attention-C2) a layout is a permutation of `bhsd`
    3. (attention-C3) B is the same; K and V have the same heads and length; Q and K the same D; out has Q's heads and length and V's D
    4. (attention-C4) a static number of heads of K divides that of Q
    5. (attention-C5) the mask has rank ≤ 4, is i1 or of the element type, and broadcasts to (B, H, S, T)

    Example:
    ```mlir
    %o = dispatch.attention ins(%q, %k, %v : tensor<?x?x12x32xf32>, tensor<?x?x12x32xf32>, tensor<?x?x12x32xf32>) mask(%m : tensor<?x1x1x?xf32>)
           outs(%init : tensor<?x?x12x32xf32>)
           {scale = 0.176776692 : f32, q_layout = "bshd", k_layout = "bshd", v_layout = "bshd", out_layout = "bshd"} -> tensor<?x?x12x32xf32>
    ```
  }];
  let arguments = (ins Dispatch_FloatShaped:$q, Dispatch_FloatShaped:$k, Dispatch_FloatShaped:$v, Optional<Dispatch_MaskShaped>:$mask,
      Dispatch_FloatShaped:$init, F32Attr:$scale, UnitAttr:$causal, DefaultValuedStrAttr<StrAttr, "bhsd">:$q_layout,
      DefaultValuedStrAttr<StrAttr, "bhsd">:$k_layout, DefaultValuedStrAttr<StrAttr, "bhsd">:$v_layout,
      DefaultValuedStrAttr<StrAttr, "bhsd">:$out_layout);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $q `,` $k `,` $v `:` type($q) `,` type($k) `,` type($v) `)` (`mask` `(` $mask^ `:` type($mask) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Value":$q, "::mlir::Value":$k, "::mlir::Value":$v, "::mlir::Value":$mask, "::mlir::Value":$init, "float":$scale,
        CArg<"bool", "false">:$causal, CArg<"::llvm::StringRef", "\"bhsd\"">:$qLayout, CArg<"::llvm::StringRef", "\"bhsd\"">:$kLayout,
        CArg<"::llvm::StringRef", "\"bhsd\"">:$vLayout, CArg<"::llvm::StringRef", "\"bhsd\"">:$outLayout)>
  ];
  let skipDefaultBuilders = 1;
}

def Dispatch_SoftmaxOp : Dispatch_DestinationOp<"softmax"> {
  let summary = "Softmax of the last dimension";
  let description = [{
    `out = softmax(scale · x + mask)` along the last dimension. The mask broadcasts to x in the manner of NumPy. A row whose greatest element is −∞
    is NaN, as in ONNX.

    1. (softmax-C1) x and out have the same shape, rank ≥ 1, and float element type
    2. (softmax-C2) the mask has the element type and broadcasts to out

    Example: `%y = dispatch.softmax ins(%x : tensor<?x12x?x?xf32>) outs(%init : tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xf32>`
  }];
  let arguments = (ins Dispatch_FloatShaped:$input, Optional<Dispatch_FloatShaped>:$mask, Dispatch_FloatShaped:$init,
      DefaultValuedAttr<F32Attr, "1.0f">:$scale);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $input `:` type($input) `)` (`mask` `(` $mask^ `:` type($mask) `)`)? `outs` `(` $init `:` type($init) `)` attr-dict
    (`->` type($results)^)?
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$mask, "::mlir::Value":$init, CArg<"float", "1.0f">:$scale)>
  ];
  let skipDefaultBuilders = 1;
}

#endif // GRAFT_DISPATCH_ATTENTION_TD
