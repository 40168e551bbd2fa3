//===- StageFunction.h - The parts of a stage function -----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_STAGEFUNCTION_H
#define GRAFT_CODEGEN_CPU_STAGEFUNCTION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace graft {

/// Attributes of stage functions, their arguments and results.
inline constexpr llvm::StringLiteral kStageAttr = "modular.stage";
inline constexpr llvm::StringLiteral kSymbolAttr = "modular.symbol";
inline constexpr llvm::StringLiteral kDimsAttr = "modular.dims";
inline constexpr llvm::StringLiteral kSlotAttr = "modular.slot";
inline constexpr llvm::StringLiteral kPackingAttr = "dispatch.packing";
/// On an argument: which of the stage's results it receives. On a result: which one it is.
inline constexpr llvm::StringLiteral kOutputAttr = "modular.output";
/// On the stage function: the number of its results before some became arguments.
inline constexpr llvm::StringLiteral kOutputsAttr = "modular.outputs";
/// On an argument: "host", "arena" or "offsets".
inline constexpr llvm::StringLiteral kRoleAttr = "modular.role";
inline constexpr llvm::StringLiteral kBuffersAttr = "modular.buffers";
inline constexpr llvm::StringLiteral kParametersAttr = "modular.parameters";
inline constexpr llvm::StringLiteral kForkAttr = "modular.fork";
/// On a stage function: it is for the device.
inline constexpr llvm::StringLiteral kDeviceAttr = "modular.device";
/// On a stage function: why no kernels were made of it.
inline constexpr llvm::StringLiteral kOnHostAttr = "modular.on_host";
/// On a module: the messages of checks on the device, by number.
inline constexpr llvm::StringLiteral kChecksAttr = "modular.checks";
/// What the name of a stage function for the device ends with.
inline constexpr llvm::StringLiteral kDeviceSuffix = ".cuda";

inline bool isStage(mlir::func::FuncOp func) {
  return func->hasAttr(kStageAttr) && !func.isExternal();
}

/// The symbol arguments by name.
llvm::StringMap<mlir::Value> stageSymbols(mlir::func::FuncOp func);

/// The symbol arguments in order.
llvm::SmallVector<mlir::BlockArgument> stageSymbolArguments(mlir::func::FuncOp func);

/// The argument with that role, or null.
mlir::BlockArgument stageArgument(mlir::func::FuncOp func, llvm::StringRef role);

/// Gives a stage the host as its first argument, if it has none.
void addHostArgument(mlir::func::FuncOp func);

/// Field `index` of the host's table; HostRoute and HostRouteWithin only if the table's size says
/// that it has them.
mlir::Value loadHostField(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value host,
                          unsigned index);
enum HostField : unsigned {
  HostContext = 1,
  HostParallelFor,
  HostAllocate,
  HostRelease,
  HostFail,
  HostRoute,
  HostLaunch,
  HostDeviceParameters,
  HostDeviceStatus,
  HostDeviceProcessors,
  HostRouteWithin
};

/// A view of `type`, whose layout is the identity, at the pointer `memory`.
mlir::Value viewPointer(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value memory,
                        mlir::MemRefType type, mlir::ValueRange dynamicSizes);

/// The bytes that a dense buffer takes: a bool takes one.
mlir::Value bufferBytes(mlir::OpBuilder &builder, mlir::Location loc, mlir::MemRefType type,
                        mlir::ValueRange dynamicSizes);

/// Bytes of an element in memory.
int64_t bytesInBuffer(mlir::Type type);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_STAGEFUNCTION_H
