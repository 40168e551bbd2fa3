//===- Lower.cpp - Device IR into IR for the host -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lower.h"

#include "Calls.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft::emulator;

static std::string describe(Location location) {
  if (auto at = dyn_cast<FileLineColLoc>(location))
    return (at.getFilename().getValue() + ":" + Twine(at.getLine()) + ":" + Twine(at.getColumn()))
        .str();
  if (auto named = dyn_cast<NameLoc>(location))
    return describe(named.getChildLoc());
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return describe(call.getCallee());
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location one : fused.getLocations())
      if (!isa<UnknownLoc>(one))
        return describe(one);
  return "somewhere";
}

static uint32_t spaceOf(Value pointer) {
  return cast<LLVM::LLVMPointerType>(pointer.getType()).getAddressSpace();
}

Lowering::Lowering(ModuleOp module, char *arena, std::vector<Site> &sites)
    : module(module), arena(arena), sites(sites), builder(module.getContext()), layout(module) {
  i1 = builder.getI1Type();
  i32 = builder.getI32Type();
  i64 = builder.getI64Type();
  f32 = builder.getF32Type();
  pointer = LLVM::LLVMPointerType::get(module.getContext());
}

LogicalResult Lowering::refuse(Operation *op, const Twine &why) { return op->emitError() << why; }

Value Lowering::constant(int64_t value, unsigned bits) {
  return LLVM::ConstantOp::create(builder, module.getLoc(),
                                  builder.getIntegerAttr(builder.getIntegerType(bits), value));
}

Value Lowering::site(Operation *op) {
  sites.push_back({op->getName().getStringRef().str(), describe(op->getLoc())});
  return constant(sites.size() - 1);
}

Value Lowering::call(StringRef name, Type result, ValueRange operands) {
  auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
  if (!function) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    Type returned = result ? result : LLVM::LLVMVoidType::get(module.getContext());
    function = LLVM::LLVMFuncOp::create(
        builder, module.getLoc(), name,
        LLVM::LLVMFunctionType::get(returned, llvm::to_vector(operands.getTypes())));
  }
  auto op = LLVM::CallOp::create(builder, module.getLoc(), function, operands);
  return result ? op.getResult() : Value();
}

void Lowering::replace(Operation *op, Value value) {
  if (value)
    op->replaceAllUsesWith(ValueRange(value));
  op->erase();
}

uint64_t Lowering::naturalAlign(Type type) const { return layout.getTypeABIAlignment(type); }

Value Lowering::toGeneric(Value value) {
  if (value.getType() == pointer)
    return value;
  return LLVM::AddrSpaceCastOp::create(builder, value.getLoc(), pointer, value);
}

void Lowering::announce(Operation *op, Value at, Value bytes, Access access, uint64_t align) {
  uint32_t flags =
      AccessFlags::encode(access, spaceOf(at), llvm::Log2_64(std::max<uint64_t>(align, 1)));
  call("graft_emu_access", {}, {toGeneric(at), bytes, constant(flags), site(op)});
}

void Lowering::announce(Operation *op, Value at, Type type, Access access, uint64_t align) {
  announce(op, at, constant(layout.getTypeSize(type).getFixedValue(), 64), access,
           align ? align : naturalAlign(type));
}

// Shared memory is at known places, so that its addresses are constants of which the optimizer
// knows nothing.
LogicalResult Lowering::placeGlobals(Contents &contents) {
  uint64_t end = 0;
  std::vector<std::pair<LLVM::GlobalOp, uint64_t>> dynamic;
  for (auto global : llvm::make_early_inc_range(module.getOps<LLVM::GlobalOp>())) {
    uint64_t bytes = layout.getTypeSize(global.getType()).getFixedValue();
    uint64_t align =
        std::max<uint64_t>(global.getAlignment().value_or(0), naturalAlign(global.getType()));
    if (global.getAddrSpace() != 3) {
      if (global.getLinkage() == LLVM::Linkage::External && !global.getValueOrNull() &&
          global.getInitializerRegion().empty())
        return refuse(global, "'" + global.getSymName() + "' is a variable of another module");
      global.setAddrSpace(0);
      global.setLinkage(LLVM::Linkage::External);
      contents.variables.push_back({global.getSymName().str(), 0, bytes});
      continue;
    }
    if (!global.getInitializerRegion().empty() && global.getValueOrNull())
      return refuse(global, "shared memory cannot have an initial value");
    if (bytes == 0) {
      dynamic.push_back({global, align});
      continue;
    }
    // No better aligned than was asked for, and apart from its neighbours.
    end = llvm::alignTo(end, 2 * align) + align;
    places[global.getSymName()] = end;
    contents.shared.push_back({global.getSymName().str(), end, bytes});
    end += bytes + 64;
  }
  contents.dynamic = llvm::alignTo(end, 1024) + 1024;
  for (auto [global, align] : dynamic) {
    if (align < 1024)
      contents.dynamic = std::max(contents.dynamic, llvm::alignTo(end, 2 * align) + align);
    else
      contents.dynamic = llvm::alignTo(contents.dynamic, align);
  }
  if (contents.dynamic + (256 << 10) > Arena::size)
    return module.emitError() << "has " << end << " bytes of shared memory, too much";
  for (auto [global, align] : dynamic)
    places[global.getSymName()] = contents.dynamic;
  module.walk([&](LLVM::AddressOfOp op) {
    auto found = places.find(op.getGlobalName());
    if (found == places.end())
      return;
    builder.setInsertionPoint(op);
    Value address = constant(reinterpret_cast<intptr_t>(arena + found->second), 64);
    replace(op, LLVM::IntToPtrOp::create(builder, op.getLoc(), op.getType(), address));
  });
  for (auto global : llvm::make_early_inc_range(module.getOps<LLVM::GlobalOp>()))
    if (global.getAddrSpace() == 3)
      global.erase();
  return success();
}

static bool isKernel(LLVM::LLVMFuncOp function) {
  return !function.isExternal() &&
         (function->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName()) ||
          function->hasAttr("gpu.kernel") || function.getCConv() == LLVM::CConv::PTX_Kernel);
}

/// void graft_entry_<kernel>(ptr arguments), which passes on what the addresses there hold.
LogicalResult Lowering::addEntry(LLVM::LLVMFuncOp kernel, Contents &contents) {
  Kernel described;
  described.name = kernel.getSymName().str();
  for (StringRef name : {"nvvm.reqntid", "gpu.known_block_size"})
    if (auto exact = kernel->getAttrOfType<DenseI32ArrayAttr>(name))
      described.exactThreads = llvm::product_of(exact.asArrayRef());
  if (auto most = kernel->getAttrOfType<DenseI32ArrayAttr>("nvvm.maxntid"))
    described.mostThreads = llvm::product_of(most.asArrayRef());
  builder.setInsertionPointToEnd(module.getBody());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {pointer});
  auto entry = LLVM::LLVMFuncOp::create(builder, kernel.getLoc(),
                                        ("graft_entry_" + kernel.getSymName()).str(), type);
  Block *block = entry.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  SmallVector<Value> arguments;
  for (BlockArgument argument : kernel.getArguments()) {
    unsigned i = argument.getArgNumber();
    Type pointed = pointer, type = argument.getType();
    auto slot = LLVM::GEPOp::create(builder, kernel.getLoc(), pointer, pointer,
                                    block->getArgument(0), ArrayRef<LLVM::GEPArg>{int32_t(i)});
    Value value = LLVM::LoadOp::create(builder, kernel.getLoc(), pointed, slot);
    auto byval = kernel.getArgAttrOfType<TypeAttr>(i, "llvm.byval");
    described.argumentBytes.push_back(
        layout.getTypeSize(byval ? byval.getValue() : type).getFixedValue());
    described.byAddress.push_back(bool(byval));
    if (byval && spaceOf(argument) != 0)
      value = LLVM::AddrSpaceCastOp::create(builder, kernel.getLoc(), type, value);
    if (!byval) // an argument's address is aligned as its owner likes
      value = LLVM::LoadOp::create(builder, kernel.getLoc(), type, value, /*alignment=*/1);
    arguments.push_back(value);
  }
  LLVM::CallOp::create(builder, kernel.getLoc(), kernel, arguments);
  LLVM::ReturnOp::create(builder, kernel.getLoc(), ValueRange());
  contents.kernels.push_back(std::move(described));
  return success();
}

LogicalResult Lowering::lower(Operation *op) {
  builder.setInsertionPoint(op);
  if (op->getDialect() && op->getDialect()->getNamespace() == "nvvm")
    return lowerNvvm(op);
  if (!isa_and_nonnull<LLVM::LLVMDialect>(op->getDialect()))
    return refuse(op, "'" + op->getName().getStringRef() + "' is not known to the emulator");
  auto passes = [](auto) { return success(); };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](LLVM::LoadOp load) {
        bool plain = load.getOrdering() == LLVM::AtomicOrdering::not_atomic && !load.getVolatile_();
        Access access = plain ? Access::Read : Access::Atomic;
        announce(op, load.getAddr(), load.getType(), access, load.getAlignment().value_or(0));
        return success();
      })
      .Case([&](LLVM::StoreOp store) {
        bool plain =
            store.getOrdering() == LLVM::AtomicOrdering::not_atomic && !store.getVolatile_();
        Access access = plain ? Access::Write : Access::Atomic;
        announce(op, store.getAddr(), store.getValue().getType(), access,
                 store.getAlignment().value_or(0));
        return success();
      })
      .Case([&](LLVM::AtomicRMWOp update) {
        announce(op, update.getPtr(), update.getType(), Access::Atomic,
                 layout.getTypeSize(update.getType()).getFixedValue());
        return success();
      })
      .Case([&](LLVM::AtomicCmpXchgOp exchange) {
        Type type = exchange.getVal().getType();
        announce(op, exchange.getPtr(), type, Access::Atomic,
                 layout.getTypeSize(type).getFixedValue());
        return success();
      })
      .Case<LLVM::MemcpyOp, LLVM::MemmoveOp>([&](auto copy) {
        Value bytes = copy.getLen();
        if (bytes.getType() != i64)
          bytes = LLVM::ZExtOp::create(builder, op->getLoc(), i64, bytes);
        announce(op, copy.getSrc(), bytes, Access::Read, 1);
        announce(op, copy.getDst(), bytes, Access::Write, 1);
        return success();
      })
      .Case([&](LLVM::MemsetOp set) {
        Value bytes = set.getLen();
        if (bytes.getType() != i64)
          bytes = LLVM::ZExtOp::create(builder, op->getLoc(), i64, bytes);
        announce(op, set.getDst(), bytes, Access::Write, 1);
        return success();
      })
      .Case<LLVM::UnreachableOp, LLVM::Trap>([&](auto) {
        call("graft_emu_unreachable", {}, {site(op)});
        return success();
      })
      .Case([&](LLVM::CallOp called) { return lowerCall(called); })
      .Case([&](LLVM::CallIntrinsicOp intrinsic) { return lowerIntrinsic(intrinsic); })
      .Case([&](LLVM::InlineAsmOp text) {
        if (op->getNumResults() == 1 && isa<LLVM::LLVMVoidType>(op->getResult(0).getType())) {
          // As it comes from LLVM IR: results of type void, which nobody uses.
          auto without = LLVM::InlineAsmOp::create(
              builder, op->getLoc(), TypeRange(), text.getOperands(), text.getAsmString(),
              text.getConstraints(), text.getHasSideEffects(), text.getIsAlignStack(),
              text.getTailCallKind(), text.getAsmDialectAttr(), text.getOperandAttrsAttr());
          op->erase();
          return lower(without);
        }
        unsigned results = StringRef(text.getConstraints()).count('=');
        return lowerAssembly(op, text.getAsmString(), results, text.getOperands());
      })
      .Case([&](LLVM::FenceOp fence) {
        // One thread of the host runs them all.
        op->erase();
        return success();
      })
      .Case<LLVM::AllocaOp, LLVM::LifetimeStartOp, LLVM::LifetimeEndOp, LLVM::StackSaveOp,
            LLVM::StackRestoreOp, LLVM::AssumeOp>(passes)
      .Default([&](Operation *) {
        if (op->hasTrait<OpTrait::IsTerminator>() || isMemoryEffectFree(op))
          return success();
        return refuse(op, "'" + op->getName().getStringRef() + "' is not known to the emulator");
      });
}

void Lowering::dropAttributes() {
  for (Operation &op : module.getOps()) {
    SmallVector<StringAttr> foreign;
    for (NamedAttribute attribute : op.getDiscardableAttrs())
      foreign.push_back(attribute.getName());
    for (StringAttr name : foreign)
      op.removeDiscardableAttr(name);
    if (auto function = dyn_cast<LLVM::LLVMFuncOp>(op)) {
      function.setCConv(LLVM::CConv::C);
      function.removeArgAttrsAttr();
      function.removeResAttrsAttr();
      function.removePassthroughAttr();
      function.removeTargetCpuAttr();
      function.removeTargetFeaturesAttr();
      function.removeTuneCpuAttr();
      function.removeComdatAttr();
    }
  }
  for (StringRef name :
       {"dlti.dl_spec", "llvm.data_layout", "llvm.target_triple", "llvm.module_asm"})
    module->removeAttr(name);
}

LogicalResult Lowering::run(Contents &contents) {
  if (failed(placeGlobals(contents)))
    return failure();
  SmallVector<LLVM::LLVMFuncOp> kernels;
  SmallVector<Operation *> work;
  for (Operation &op : llvm::make_early_inc_range(module.getOps())) {
    if (auto function = dyn_cast<LLVM::LLVMFuncOp>(op)) {
      if (function.isExternal() && function.getSymName().starts_with("llvm.")) {
        op.erase(); // calls are operations of their own
        continue;
      }
      if (isKernel(function))
        kernels.push_back(function);
      function.walk([&](Operation *inner) {
        if (inner != function)
          work.push_back(inner);
      });
    } else if (isa<LLVM::ModuleFlagsOp, LLVM::ComdatOp>(op)) {
      op.erase();
    } else if (!isa<LLVM::GlobalOp>(op)) {
      return refuse(&op, "'" + op.getName().getStringRef() + "' is not known to the emulator");
    }
  }
  // All of them, so that one reads of everything that is missing.
  bool good = true;
  for (Operation *op : work)
    good &= succeeded(lower(op));
  if (!good)
    return failure();
  for (LLVM::LLVMFuncOp kernel : kernels)
    if (failed(addEntry(kernel, contents)))
      return failure();
  dropAttributes();

  AttrTypeReplacer replacer;
  replacer.addReplacement([&](LLVM::LLVMPointerType) { return pointer; });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
  module.walk([](LLVM::AddrSpaceCastOp cast) {
    cast.replaceAllUsesWith(cast.getArg());
    cast.erase();
  });
  return success();
}
