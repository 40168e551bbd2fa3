//===- ModularRows.td - Modules of each row's own task, in one batch -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_ROWS_TD
#define GRAFT_MODULAR_ROWS_TD

include "graft/Modular/ModularDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Modular_RowProductOp : Modular_Op<"row_product", [Pure, AttrSizedOperandSegments]> {
  let summary = "A product with a frozen weight, and beside it the low-rank modules of each row's task";
  let description = [{
    An adapt whose route is one per row, distributed over the product that uses it: `y = x·W + x·A_tᵀ·B_tᵀ` for the vectors of a row whose task is t,
    `y = x·W` where the task has no module here. `keys[r, 0]` is the task of row r, out of `tasks`; the keys ascend. The vectors of x are those
    of the rows in order, as many for each. Module i is that of task `modules[i]`: `downs[i]` is (rank, in), `ups[i]` (out, rank) with any scale
    multiplied in. The weight is (in, out), or (out, in) if `transposed`. Products of one x may share downs, whose ranks are then one after another: under
    `starts`, module i's begin with `starts[i]`.

    Constraints:
    - (row_product-C1) there is a down and an up for each of `modules`, which ascend from 0 and are below `tasks`;
    - (row_product-C2) the weight, downs and ups are matrices, x has a rank of at least 2, and their sizes agree;
    - (row_product-C3) the keys are (rows, 1);
    - (row_product-C4) `starts` has a number for each module, from which on its down has the ranks that its up takes.

    Example:
    ```mlir
    %y = modular.row_product %x by %w keys %k of 3 modules [0, 2] (%a0, %a2) (%b0, %b2) : (tensor<?x?x8xf32>, tensor<8x6xf32>, tensor<?x1xi64>,
           tensor<4x8xf32>, tensor<2x8xf32>, tensor<6x4xf32>, tensor<6x2xf32>) -> tensor<?x?x6xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weight, RankedTensorOf<[I64]>:$keys, Variadic<AnyRankedTensor>:$downs,
                       Variadic<AnyRankedTensor>:$ups, I64Attr:$tasks, DenseI64ArrayAttr:$modules, UnitAttr:$transposed,
                       OptionalAttr<DenseI64ArrayAttr>:$starts);
  let results = (outs AnyRankedTensor:$y);
  let assemblyFormat = [{
    $x `by` $weight (`transposed` $transposed^)? `keys` $keys `of` $tasks `modules` $modules (`starts` $starts^)? `(` $downs `)` `(` $ups `)` attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // GRAFT_MODULAR_ROWS_TD
