//===- DispatchInterfaces.td - What products have in common -------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_INTERFACES_TD
#define GRAFT_DISPATCH_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Dispatch_ProductOpInterface : OpInterface<"ProductOpInterface"> {
  let cppNamespace = "::graft::dispatch";
  let description = [{
    A product of activations with weights, with an epilogue: what packing and fusion need to know of it. All the methods but those of orientation are
    the op's own accessors.
  }];
  let methods = [
    InterfaceMethod<"The weights.", "::mlir::OperandRange", "getWeights">,
    InterfaceMethod<"The weights, to be replaced.", "::mlir::MutableOperandRange", "getWeightsMutable">,
    InterfaceMethod<"What the epilogue reads besides the sum, by column or by element; the first arguments after the sum.",
        "::mlir::OperandRange", "getExtras">,
    InterfaceMethod<"The extras, to be added to.", "::mlir::MutableOperandRange", "getExtrasMutable">,
    InterfaceMethod<"What the op fills, to be replaced.", "::mlir::OpOperand &", "getInitMutable">,
    InterfaceMethod<"The type of what the op fills.", "::mlir::ShapedType", "getInitType">,
    InterfaceMethod<"The epilogue, empty if the sum is stored as it is.", "::mlir::Region &", "getEpilogue">,
    InterfaceMethod<"True if weight `i` is (N, K).", "bool", "isTransposed", (ins "unsigned":$i)>,
    InterfaceMethod<"Lets weight `i`, and it alone, be (K, N) or packed from now on; where a flag holds for all weights, all are meant.", "void",
        "dropTransposed", (ins "unsigned":$i)>
  ];
  let extraClassDeclaration = [{
    /// True if weight `i` is in panels.
    bool isPacked(unsigned i);
    /// K of weight `i`, or ShapedType::kDynamic.
    int64_t getReductionSize(unsigned i);
  }];
}

#endif // GRAFT_DISPATCH_INTERFACES_TD
