//===- DispatchMatmul.td - Matrix products ------------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_MATMUL_TD
#define GRAFT_DISPATCH_MATMUL_TD

include "graft/Dispatch/DispatchDialect.td"

def Dispatch_MatmulOp : Dispatch_DestinationOp<"matmul", [AttrSizedOperandSegments, IsolatedFromAbove, Dispatch_ProductOpInterface]> {
  let summary = "Sum of products of activations and weights, with an epilogue";
  let description = [{
    `out[…, n] = epilogue(Σ_i Σ_k x_i[…, k] · w_i[k, n], extras…)`

    Each `ins` has its weight at the same position; the second pair is typically an unfolded LoRA, whose K is the rank. A weight is

    * `(K, N)`, or `(N, K)` where `transposed` says so for its pair;
    * or packed, of rank 3: `[ceil(N/P)][K][P]`, panels of P columns, the last one padded with zeros.

    The epilogue is a block on scalars; its first argument is the sum, then one for each of `extras`, which are told by their type: a scalar value,
    a tensor of rank 0 (a scalar), one of rank 1 (by `n`) or one of out's rank (elementwise). Without an epilogue the sum is stored.

    An element is one chain of multiply-adds, pair after pair and k ascending, whatever the number of rows.

    1. (matmul-C1) as many weights as inputs, at least one
    2. (matmul-C2) each input has out's rank and leading dimensions
    3. (matmul-C3) each weight's K is its input's last dimension, its N out's last dimension
    4. (matmul-C4) `transposed` is empty or has an entry for each pair; it is false for packed weights
    5. (matmul-C5) an extra is a scalar, or has rank 0, rank 1 and out's last dimension, or out's shape
    6. (matmul-C6) the epilogue takes the accumulator, of out's element type, and a scalar for each extra; it yields one value of out's element type
    7. (matmul-C7) extras need an epilogue
    8. (matmul-C8) inputs and weights have out's element type

    Example:
    ```mlir
    %y = dispatch.matmul ins(%x, %z : tensor<?x384xf32>, tensor<?x16xf32>) weights(%w, %b : tensor<12x384x32xf32>, tensor<16x384xf32>)
           extras(%bias : tensor<384xf32>) outs(%init : tensor<?x384xf32>) epilogue {
    ^bb0(%sum: f32, %n: f32):
      %0 = arith.addf %sum, %n : f32
      dispatch.yield %0 : f32
    } -> tensor<?x384xf32>
    ```
  }];
  let arguments = (ins Variadic<Dispatch_FloatShaped>:$inputs, Variadic<Dispatch_FloatShaped>:$weights, Variadic<AnyType>:$extras,
      Dispatch_FloatShaped:$init, DefaultValuedOptionalAttr<DenseBoolArrayAttr, "{}">:$transposed);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region MaxSizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $inputs `:` type($inputs) `)` `weights` `(` $weights `:` type($weights) `)`
    (`extras` `(` $extras^ `:` type($extras) `)`)? `outs` `(` $init `:` type($init) `)` attr-dict (`epilogue` $epilogue^)?
    (`->` type($results)^)?
  }];
  let hasRegionVerifier = 1;
  let extraClassDeclaration = destinationDeclaration # [{
    bool isTransposed(unsigned i) { return i < getTransposed().size() && getTransposed()[i]; }
    void dropTransposed(unsigned i);
    bool isPacked(unsigned i) { return ProductOpInterface(*this).isPacked(i); }
    int64_t getReductionSize(unsigned i) { return ProductOpInterface(*this).getReductionSize(i); }
  }];
  let builders = [
    OpBuilder<(ins "::mlir::ValueRange":$inputs, "::mlir::ValueRange":$weights, "::mlir::ValueRange":$extras, "::mlir::Value":$init,
        CArg<"::llvm::ArrayRef<bool>", "{}">:$transposed,
        CArg<"::llvm::function_ref<::mlir::Value(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange)>", "nullptr">:$epilogue)>
  ];
  let skipDefaultBuilders = 1;
}

def Dispatch_YieldOp : Dispatch_Op<"yield", [Pure, Terminator, ParentOneOf<["MatmulOp", "SegmentedMatmulOp"]>]> {
  let summary = "What an epilogue stores";
  let arguments = (ins AnyType:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def Dispatch_BatchMatmulOp : Dispatch_DestinationOp<"batch_matmul"> {
  let summary = "Product of two activations over leading batch dimensions";
  let description = [{
    `out[b…, m, n] = Σ_k a[b…, m, k] · b[b…, k, n]`, with `a` as `(k, m)` under `transpose_a`, `b` as `(n, k)` under `transpose_b`. A batch
    dimension of an operand may be 1 where out's is not: it is repeated.

    1. (batch_matmul-C1) all operands have the same rank, at least 2, and the same element type
    2. (batch_matmul-C2) batch dimensions are out's, or 1
    3. (batch_matmul-C3) M, N and K agree

    Example:
    ```mlir
    %s = dispatch.batch_matmul ins(%q, %k : tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>) outs(%init : tensor<?x12x?x?xf32>) {transpose_b}
           -> tensor<?x12x?x?xf32>
    ```
  }];
  let arguments = (ins Dispatch_FloatShaped:$a, Dispatch_FloatShaped:$b, Dispatch_FloatShaped:$init, UnitAttr:$transpose_a,
      UnitAttr:$transpose_b);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $a `,` $b `:` type($a) `,` type($b) `)` `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Value":$a, "::mlir::Value":$b, "::mlir::Value":$init, CArg<"bool", "false">:$transposeA,
        CArg<"bool", "false">:$transposeB)>
  ];
  let skipDefaultBuilders = 1;
}

#endif // GRAFT_DISPATCH_MATMUL_TD
