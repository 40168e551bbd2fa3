//===- ModularInterfaces.td - What passes ask of modules, routers and compositions -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_INTERFACES_TD
#define GRAFT_MODULAR_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Modular_ModuleOpInterface : OpInterface<"ModuleOpInterface"> {
  let cppNamespace = "::graft::modular";
  let description = [{
    A module: parameters `φ` and how they enter a sub-function. Passes ask this interface, never the name of an op.
  }];
  let methods = [
    InterfaceMethod<"How the module enters a sub-function.", "::graft::modular::Composition", "getComposition">,
    InterfaceMethod<"Appends the symbols of the parameters `φ` that the module reads.", "void", "collectParameters",
                    (ins "::llvm::SmallVectorImpl<::mlir::FlatSymbolRefAttr> &":$parameters)>,
    InterfaceMethod<"Whether the module's result does not depend on the parameter that it is composed with, so that two such modules at one "
                    "site would contradict each other.", "bool", "replacesParameter">,
  ];
}

def Modular_RouterOpInterface : OpInterface<"RouterOpInterface"> {
  let cppNamespace = "::graft::modular";
  let description = [{
    A router: which of its modules a row takes. What is known at compile time is asked here; what is not stays a value of type
    `!modular.route`.
  }];
  let methods = [
    InterfaceMethod<"The names of the modules that the router chooses among, in order.", "::mlir::ArrayAttr", "getModuleNames">,
    InterfaceMethod<"The slots of a row's route, 0 where the route is the same for all rows.", "int64_t", "getSlots">,
    InterfaceMethod<"What makes a route for each row of the region's arguments, as a router's body does; null where there is none.",
                    "::mlir::Region *", "getRouteBody">,
    InterfaceMethod<"The names of the modules that every row of `task`, a `modular.task`, takes, or nothing if the route depends on data.",
                    "::std::optional<::llvm::SmallVector<::mlir::StringAttr>>", "getConstantRoute",
                    (ins "::mlir::Operation *":$task)>,
  ];
}

def Modular_ParameterCompositionOpInterface : OpInterface<"ParameterCompositionOpInterface"> {
  let cppNamespace = "::graft::modular";
  let description = [{
    One step `θ ⊕ φ` in the body of a module: a parameter goes in as operand 0 in its canonical form, (out, in) for matrices, and comes out
    changed. Folding *evaluates* the step; keeping a side branch *distributes* it over the op that uses the parameter.
  }];
  let methods = [
    InterfaceMethod<"Whether the result does not depend on operand 0, or depends on it in a way that does not add to other deltas.", "bool",
                    "replacesParameter">,
    InterfaceMethod<[{
        Replaces `value`, the canonical parameter in double precision with the shape of operand 0, by the result with the shape of the
        result. `read` gives the elements of one of the module's own parameters.
      }], "::mlir::LogicalResult", "evaluate",
      (ins "::std::vector<double> &":$value, "::llvm::function_ref<::mlir::FailureOr<::std::vector<double>>(::mlir::FlatSymbolRefAttr)>":$read)>,
    InterfaceMethod<[{
        The step as a sum of the parameter and a low-rank matrix, each row scaled: `diag(c) · (θ + s·B·A)`, with `c` computed from `θ` where the
        step has one. Nothing if the step has no such form, and must be folded.
      }], "::std::optional<::graft::modular::LowRankForm>", "getLowRankForm">,
  ];
}

def Modular_RouterStepOpInterface : OpInterface<"RouterStepOpInterface"> {
  let cppNamespace = "::graft::modular";
  let description = [{
    A step in the body of a router: it masks scores, selects modules, limits what is selected, or weighs it. Scores are (rows, modules); what is
    selected is (rows, slots) of i64, the number of a module or −1 in a slot that stays empty, and how many slots a row fills may differ from row to row. A
    new scheme of routing is an op with this interface and one result: all else, down to the kernels, asks nothing more of it. Where an op is
    named in a spec, its result type comes from `InferTypeOpInterface`.
  }];
  let methods = [
    InterfaceMethod<[{
        Builds the step out of ops of the `onnx` dialect, whose result types need not know more than the rank: they are inferred. `operands` stand
        for the op's own; the value returned takes the place of its result.
      }], "::mlir::Value", "buildStep", (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$operands)>,
  ];
}

def Modular_AggregatorOpInterface : OpInterface<"AggregatorOpInterface"> {
  let cppNamespace = "::graft::modular";
  let description = [{
    How what the modules gave becomes one tensor, result 0. Operand 0 is of type `!modular.parts`. An aggregator is a sum of weighted slots, which is
    fused into the dispatch, or any function of all slots.
  }];
  let methods = [
    InterfaceMethod<[{
        Builds, of `onnx` ops, the weight with which each slot counts in a sum over the filled slots, (rows, slots), from the route's: what is chosen, a
        number outside [0, modules) being an empty slot, and its weights. Null if the result is no such sum.
      }], "::mlir::Value", "buildSlotWeights",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Value":$chosen, "::mlir::Value":$weights), "", "return {};">,
    InterfaceMethod<[{
        Builds, of `onnx` ops, the result from what is in the slots: (rows, slots, …), 0 where a slot is empty. `operands` stand for the op's own but
        the parts. Asked only where there are no slot weights.
      }], "::mlir::Value", "buildResult",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Value":$slots, "::mlir::Value":$chosen, "::mlir::Value":$weights,
       "::mlir::ValueRange":$operands), "", "return {};">,
  ];
}

#endif // GRAFT_MODULAR_INTERFACES_TD
