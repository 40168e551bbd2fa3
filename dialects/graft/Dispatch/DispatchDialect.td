//===- DispatchDialect.td - The dispatch dialect ------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_DIALECT_TD
#define GRAFT_DISPATCH_DIALECT_TD

include "graft/Dispatch/DispatchInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/OpBase.td"

def Dispatch_Dialect : Dialect {
  let name = "dispatch";
  let cppNamespace = "::graft::dispatch";
  let summary = "Operations with kernels of their own, on tensors or memrefs";
  let description = [{
    What deserves a kernel written for it, in destination style: the last operands, `outs`, are the tensors or the buffers that the op fills. What they
    held before is never read. On tensors the ops are pure; bufferisation turns them into the same ops on memrefs, and code generation into calls of
    kernels. Every other computation is `linalg`.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::memref::MemRefDialect", "::mlir::tensor::TensorDialect"];
}

class Dispatch_Op<string mnemonic, list<Trait> traits = []> : Op<Dispatch_Dialect, mnemonic, traits>;

def Dispatch_Shaped : AnyTypeOf<[AnyRankedTensor, AnyStridedMemRef]>;
def Dispatch_FloatShaped : AnyTypeOf<[RankedTensorOf<[AnyFloat]>, StridedMemRefOf<[AnyFloat]>]>;
def Dispatch_KeyShaped : AnyTypeOf<[RankedTensorOf<[I64]>, StridedMemRefOf<[I64]>]>;
def Dispatch_PlaceShaped : AnyTypeOf<[RankedTensorOf<[I32]>, StridedMemRefOf<[I32]>]>;
def Dispatch_MaskShaped : AnyTypeOf<[RankedTensorOf<[AnyFloat, I1]>, StridedMemRefOf<[AnyFloat, I1]>]>;

/// An op that fills its inits, and with tensors returns them as its results.
class Dispatch_DestinationsOp<string mnemonic, list<Trait> traits = []>
    : Dispatch_Op<mnemonic, !listconcat(traits, [
          DestinationStyleOpInterface, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
          DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>])> {
  let hasVerifier = 1;
  let extraClassDefinition = [{
    void $cppClass::getEffects(
        ::llvm::SmallVectorImpl<::mlir::SideEffects::EffectInstance<::mlir::MemoryEffects::Effect>> &effects) {
      detail::getDestinationEffects(getOperation(), effects);
    }
    ::llvm::LogicalResult $cppClass::reifyResultShapes(::mlir::OpBuilder &builder, ::mlir::ReifiedRankedShapedTypeDims &dims) {
      return detail::reifyFromInit(getOperation(), builder, dims);
    }
  }];
}

/// An op that fills its one `init`.
class Dispatch_DestinationOp<string mnemonic, list<Trait> traits = []> : Dispatch_DestinationsOp<mnemonic, traits> {
  code destinationDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return ::mlir::MutableOperandRange(getInitMutable()); }
    /// The type of what the op fills.
    ::mlir::ShapedType getInitType() { return ::llvm::cast<::mlir::ShapedType>(getInit().getType()); }
  }];
  let extraClassDeclaration = destinationDeclaration;
}

#endif // GRAFT_DISPATCH_DIALECT_TD
