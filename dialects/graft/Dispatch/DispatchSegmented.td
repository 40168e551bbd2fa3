//===- DispatchSegmented.td - Rows sorted by the module that they take --*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row has K slots, each of which takes one of E modules or none: R rows have T = R · K slots, and slot s of row r is flat slot r · K + s. Sorted by
// module, slots have positions; the positions of a module are its segment. All sizes follow from shapes, only the contents depend on data.
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_SEGMENTED_TD
#define GRAFT_DISPATCH_SEGMENTED_TD

include "graft/Dispatch/DispatchDialect.td"

def Dispatch_PlanOp : Dispatch_DestinationsOp<"plan"> {
  let summary = "Sorts the slots of rows by the module that they take";
  let description = [{
    `keys[r, s]` is the module, out of E, that slot s of row r takes; a key outside of [0, E) is an empty slot. Slots are sorted by key, stably:

    * `order[p]` is the flat slot `r · K + s` at position p, and 0 from position `offsets[E]` on;
    * `offsets[e]` is the first position of module e, `offsets[E]` the number of slots that are not empty;
    * `position[r, s]` is the position of a slot, or -1 if it is empty.

    1. (plan-C1) the keys and position have rank 2 and the same shape
    2. (plan-C2) order has rank 1, and as many elements as there are keys
    3. (plan-C3) offsets has rank 1 and a static size E + 1 of at least 2

    Example:
    ```mlir
    %order, %offsets, %position = dispatch.plan ins(%keys : tensor<?x2xi64>) outs(%o, %f, %p : tensor<?xi32>, tensor<9xi32>, tensor<?x2xi32>)
        -> tensor<?xi32>, tensor<9xi32>, tensor<?x2xi32>
    ```
  }];
  let arguments = (ins Dispatch_KeyShaped:$keys, Dispatch_PlaceShaped:$order, Dispatch_PlaceShaped:$offsets, Dispatch_PlaceShaped:$position);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $keys `:` type($keys) `)` `outs` `(` $order `,` $offsets `,` $position `:` type($order) `,` type($offsets) `,` type($position) `)`
    attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return ::mlir::MutableOperandRange(getOperation(), 1, 3); }
    /// How many modules there are to take.
    int64_t getModules() { return ::llvm::cast<::mlir::ShapedType>(getOffsets().getType()).getDimSize(0) - 1; }
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$keys, "::mlir::Value":$order, "::mlir::Value":$offsets, "::mlir::Value":$position)>];
  let skipDefaultBuilders = 1;
}

def Dispatch_GatherOp : Dispatch_DestinationOp<"gather"> {
  let summary = "The rows that the slots belong to, in the order of a plan";
  let description = [{
    `out[p] = x[order[p] / slots]` for the positions below `offsets[E]`. The rows of out from there on are not written.

    1. (gather-C1) the input and out have rank 2, the same columns and the same element type
    2. (gather-C2) order has rank 1 and as many elements as out has rows, which are `slots` times the input's
    3. (gather-C3) offsets has rank 1 and a static size of at least 2
    4. (gather-C4) there is at least one slot a row

    Example:
    ```mlir
    %y = dispatch.gather ins(%x : tensor<?x512xf32>) order(%order : tensor<?xi32>) slots 2 offsets(%offsets : tensor<9xi32>)
        outs(%init : tensor<?x512xf32>) -> tensor<?x512xf32>
    ```
  }];
  let arguments = (ins Dispatch_FloatShaped:$input, Dispatch_PlaceShaped:$order, Dispatch_PlaceShaped:$offsets, Dispatch_FloatShaped:$init,
      I64Attr:$slots);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $input `:` type($input) `)` `order` `(` $order `:` type($order) `)` `slots` $slots `offsets` `(` $offsets `:` type($offsets) `)`
    `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$order, "::mlir::Value":$offsets, "::mlir::Value":$init, "int64_t":$slots)>
  ];
  let skipDefaultBuilders = 1;
}

def Dispatch_SegmentedMatmulOp
    : Dispatch_DestinationOp<"segmented_matmul", [AttrSizedOperandSegments, IsolatedFromAbove, Dispatch_ProductOpInterface]> {
  let summary = "Product of each segment of rows with the weight of its module, with an epilogue";
  let description = [{
    `out[p, n] = epilogue(Σ_k in(p)[k] · w_e[k, n], extras…, segment extras of e…)` for the positions p in [`offsets[e]`, `offsets[e + 1]`) of each
    module e, where `in(p)` is row p of the input, or under `order` its row `order[p] / slots`. The rows of out from `offsets[E]` on are not
    written. Order and offsets are those of a `dispatch.plan`.

    There is a weight for each module. Weights are (K, N), or (N, K) under `transposed`, or packed, as those of `dispatch.matmul`. The epilogue
    is a block on scalars; its arguments are the sum, one for each of `extras`, which are told by their type as those of `dispatch.matmul`, and one for
    each group of E vectors in `segment_extras`, of which a row reads that of its module (the bias of an expert).

    An element is one chain of multiply-adds, k ascending, whatever else is in the batch.

    Weights of different sizes (adapters of different ranks): under `modules`, weight i is that of module `modules[i]`, and the other modules have none.
    A row is a vector along the last dimension, whatever the rank. A weight reads the first K of its row's elements, under `starts` those from `starts[i]` on,
    and under `columns` writes the first `columns[i]`; the elements after those, and the rows of modules without a weight, are not written. With `shared`, the first weight is that of
    the shared input, which every row is multiplied with before: `Σ_k shared(p)[k] · w_0[k, n] + Σ_k in(p)[k] · w_e[k, n]`. All rows are
    written then, those without a module with the shared product alone.

    1. (segmented_matmul-C1) the input and out have rank 2, or under `modules` the same rank from 2 on; all weights and the input have out's element type
    2. (segmented_matmul-C2) offsets has rank 1 and a static size, one more than there are weights, of which there is at least one
    3. (segmented_matmul-C3) without order, out has the input's rows; with it, out has order's, which has rank 1, and `slots` times the input's
    4. (segmented_matmul-C4) `slots` is at least 1, and 1 without order
    5. (segmented_matmul-C5) each weight's K is the input's last dimension, its N out's last dimension
    6. (segmented_matmul-C6) packed weights are all packed, and not `transposed`
    7. (segmented_matmul-C7) an extra is a scalar, or has rank 0, rank 1 and out's last dimension, or out's shape
    8. (segmented_matmul-C8) segment extras are groups of E vectors of out's last dimension, those of a group of the same element type
    9. (segmented_matmul-C9) the epilogue takes the accumulator, of out's element type, and a scalar for each extra and each group of segment extras; it
       yields one value of out's element type
    10. (segmented_matmul-C10) extras and segment extras need an epilogue
    11. (segmented_matmul-C11) `modules` has a number for each weight but the shared one, ascending, of those that offsets tells
    12. (segmented_matmul-C12) under `modules` there are no order and no segment extras, and a weight's K may be less than the input's last dimension
    13. (segmented_matmul-C13) `columns` has a weight's N for each of `modules`, at most out's last dimension; it comes without a shared input
    14. (segmented_matmul-C14) a shared input comes with `modules`, and has out's rank, leading dimensions and element type; its weight's K is its last
        dimension
    15. (segmented_matmul-C15) `shared_transposed` comes with a shared input
    16. (segmented_matmul-C16) `starts` has for each of `modules` an element of the input's last dimension from which on there are the weight's K

    Example:
    ```mlir
    %h = dispatch.segmented_matmul ins(%x : tensor<?x?x384xf32>) offsets(%offsets : tensor<4xi32>) weights(%a0, %a2 : tensor<384x4xf32>,
           tensor<384x16xf32>) outs(%init : tensor<?x?x16xf32>) {modules = array<i64: 0, 2>, columns = array<i64: 4, 16>} -> tensor<?x?x16xf32>
    %z = dispatch.segmented_matmul ins(%h : tensor<?x?x16xf32>) offsets(%offsets : tensor<4xi32>) weights(%w, %b0, %b2 : tensor<384x384xf32>,
           tensor<4x384xf32>, tensor<16x384xf32>) shared(%x : tensor<?x?x384xf32>) outs(%to : tensor<?x?x384xf32>) {modules = array<i64: 0, 2>}
           -> tensor<?x?x384xf32>
    ```

    Example:
    ```mlir
    %y = dispatch.segmented_matmul ins(%x : tensor<?x512xf32>) order(%order : tensor<?xi32>) slots 2 offsets(%offsets : tensor<3xi32>)
           weights(%w0, %w1 : tensor<64x512x32xf32>, tensor<64x512x32xf32>) segment_extras(%b0, %b1 : tensor<2048xf32>, tensor<2048xf32>)
           outs(%init : tensor<?x2048xf32>) epilogue {
    ^bb0(%sum: f32, %bias: f32):
      %0 = arith.addf %sum, %bias : f32
      dispatch.yield %0 : f32
    } -> tensor<?x2048xf32>
    ```
  }];
  let arguments = (ins Dispatch_FloatShaped:$input, Optional<Dispatch_PlaceShaped>:$order, Dispatch_PlaceShaped:$offsets,
      Variadic<Dispatch_FloatShaped>:$weights, Optional<Dispatch_FloatShaped>:$shared_input, Variadic<AnyType>:$extras,
      Variadic<Dispatch_FloatShaped>:$segment_extras, Dispatch_FloatShaped:$init, DefaultValuedAttr<I64Attr, "1">:$slots, UnitAttr:$transposed,
      UnitAttr:$shared_transposed, OptionalAttr<DenseI64ArrayAttr>:$modules, OptionalAttr<DenseI64ArrayAttr>:$columns,
      OptionalAttr<DenseI64ArrayAttr>:$starts);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region MaxSizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $input `:` type($input) `)` (`order` `(` $order^ `:` type($order) `)` `slots` $slots)? `offsets` `(` $offsets `:` type($offsets) `)`
    `weights` `(` $weights `:` type($weights) `)` (`shared` `(` $shared_input^ `:` type($shared_input) `)`)?
    (`extras` `(` $extras^ `:` type($extras) `)`)? (`segment_extras` `(` $segment_extras^ `:` type($segment_extras) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict (`epilogue` $epilogue^)? (`->` type($results)^)?
  }];
  let hasRegionVerifier = 1;
  let extraClassDeclaration = destinationDeclaration # [{
    /// True if weight `i` is (N, K), as all of them but the shared one are.
    bool isTransposed(unsigned i) { return i < firstOfModules() ? getSharedTransposed() : getTransposed(); }
    void dropTransposed(unsigned i) { i < firstOfModules() ? setSharedTransposed(false) : setTransposed(false); }
    /// The number of the first weight that is a module's: weight 0 may be the shared one.
    unsigned firstOfModules() { return getSharedInput() ? 1 : 0; }
    /// The first element of its row that the weight of the i-th of `modules` reads.
    int64_t startOf(unsigned i) { return getStarts() ? (*getStarts())[i] : 0; }
    unsigned countOfModules() { return getWeights().size() - firstOfModules(); }
    bool isPacked(unsigned i) { return ProductOpInterface(*this).isPacked(i); }
    int64_t getReductionSize(unsigned i) { return ProductOpInterface(*this).getReductionSize(i); }
    /// How many values the epilogue reads by module.
    unsigned getSegmentGroups() { return getSegmentExtras().size() / getWeights().size(); }
    /// Module `e`'s vector of a group.
    ::mlir::Value getSegmentExtra(unsigned group, unsigned e) { return getSegmentExtras()[group * getWeights().size() + e]; }
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$offsets, "::mlir::ValueRange":$weights, "::mlir::Value":$sharedInput,
        "::mlir::Value":$init, "::llvm::ArrayRef<int64_t>":$modules, "::llvm::ArrayRef<int64_t>":$columns,
        "::llvm::ArrayRef<int64_t>":$starts, "bool":$transposed, "bool":$sharedTransposed)>,
    OpBuilder<(ins "::mlir::Value":$input, "::mlir::Value":$order, "int64_t":$slots, "::mlir::Value":$offsets, "::mlir::ValueRange":$weights,
        "::mlir::ValueRange":$extras, "::mlir::ValueRange":$segmentExtras, "::mlir::Value":$init, CArg<"bool", "false">:$transposed,
        CArg<"::llvm::function_ref<::mlir::Value(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange)>", "nullptr">:$epilogue)>
  ];
  let skipDefaultBuilders = 1;
}

def Dispatch_CombineOp : Dispatch_DestinationOp<"combine"> {
  let summary = "Sums what the slots of each row have come to";
  let description = [{
    `out[r] = Σ_s w[r, s] · parts[position[r, s]]`, s ascending; without weights the sum as it is. A slot whose position is no row of `parts` is
    left out: a row without any other is 0.

    1. (combine-C1) the parts and out have rank 2, the same columns and the same element type
    2. (combine-C2) position has rank 2 and out's rows
    3. (combine-C3) the weights have position's shape, and are f32 or of out's element type

    Example:
    ```mlir
    %y = dispatch.combine ins(%parts : tensor<?x512xf32>) position(%position : tensor<?x2xi32>) weights(%w : tensor<?x2xf32>)
        outs(%init : tensor<?x512xf32>) -> tensor<?x512xf32>
    ```
  }];
  let arguments = (ins Dispatch_FloatShaped:$parts, Dispatch_PlaceShaped:$position, Optional<Dispatch_FloatShaped>:$weights,
      Dispatch_FloatShaped:$init);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $parts `:` type($parts) `)` `position` `(` $position `:` type($position) `)` (`weights` `(` $weights^ `:` type($weights) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Value":$parts, "::mlir::Value":$position, "::mlir::Value":$weights, "::mlir::Value":$init)>
  ];
  let skipDefaultBuilders = 1;
}

#endif // GRAFT_DISPATCH_SEGMENTED_TD
