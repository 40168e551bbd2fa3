//===- ModularDialect.td - The modular dialect, its types and attributes -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_DIALECT_TD
#define GRAFT_MODULAR_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpBase.td"

def Modular_Dialect : Dialect {
  let name = "modular";
  let cppNamespace = "::graft::modular";
  let summary = "Modules, routers, aggregators, tasks and the frozen parameters they enter";
  let description = [{
    A network is a composition of sub-functions `f` with frozen parameters `θ`. A *module* has parameters `φ` of its own and enters a
    sub-function by parameter composition `f(x; θ ⊕ φ)`, by input composition `f([φ, x]; θ)` or by function composition
    `f(x; θ) ⊙ g(x; φ)`. A *router* says which modules a row of the input takes, a *task* fixes what a router by task id answers
    (Pfeiffer et al., *Modular Deep Learning*, 2023). Everything modular stands in this dialect before anything is lowered.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    /// The bytes behind the context's `#modular.weight` attributes.
    WeightStore &getWeightStore() { return *store; }

  private:
    std::unique_ptr<WeightStore> store;

  public:
  }];
}

def Modular_WeightAttr : AttrDef<Modular_Dialect, "Weight", [TypedAttrInterface]> {
  let mnemonic = "weight";
  let summary = "A tensor whose bytes live in the weight store";
  let description = [{
    A key into the store of mapped files and produced tensors that belongs to the context. Printing it never prints bytes: the text form of
    a module is `m.mlir` beside `m.safetensors`, whose tensors have these keys as names.

    Example: `#modular.weight<"encoder.layer.0.output.dense.weight" : tensor<384x1536xf32>>`
  }];
  let parameters = (ins StringRefParameter<"name in the store">:$key, AttributeSelfTypeParameter<"", "::mlir::RankedTensorType">:$type);
  let assemblyFormat = "`<` $key `>`";
}

def Modular_RouteType : TypeDef<Modular_Dialect, "Route"> {
  let mnemonic = "route";
  let summary = "Which of a router's modules apply, and with which weights";
  let description = [{
    The result of asking a router. Its parameters are the number of modules that the router chooses among and, where the route differs from row to
    row, the number of slots of a row: how many modules it takes at most.

    Example: `!modular.route<3>` (fixed by task), `!modular.route<8, 2>` (two of eight for each row)
  }];
  let parameters = (ins "int64_t":$modules, DefaultValuedParameter<"int64_t", "0">:$slots);
  let assemblyFormat = "`<` $modules (`,` $slots^)? `>`";
  let extraClassDeclaration = [{
    /// Whether each row has a route of its own.
    bool isPerRow() const { return getSlots() != 0; }
  }];
}

def Modular_PartsType : TypeDef<Modular_Dialect, "Parts"> {
  let mnemonic = "parts";
  let summary = "What the modules of each row's route made of the row";
  let description = [{
    For each row and each slot of its route the result of the module in that slot; nothing where the slot is empty. Its parameter is the type of
    one module's results for all rows, dimension 0 being the rows.

    Example: `!modular.parts<tensor<?x512xf32>>`
  }];
  let parameters = (ins "::mlir::RankedTensorType":$type);
  let assemblyFormat = "`<` $type `>`";
}

class Modular_Op<string mnemonic, list<Trait> traits = []> : Op<Modular_Dialect, mnemonic, traits>;

#endif // GRAFT_MODULAR_DIALECT_TD
