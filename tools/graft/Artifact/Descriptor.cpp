//===- Descriptor.cpp - What a library tells its host ------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/Descriptor.h"
#include "graft/Codegen/Cpu/EmitModule.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"

using namespace llvm;
using namespace graft;

static constexpr uint32_t kMagic = 0x54465247; // "GRFT"
static constexpr uint32_t kAbi = 2;

/// The names are known to LLVM: without no-builtins it would turn the loops into calls of
/// themselves.
static constexpr char kSupportFunctions[] = R"(
define ptr @memcpy(ptr noalias %d, ptr noalias %s, i64 %n) #0 {
entry:
  %short = icmp ult i64 %n, 32
  br i1 %short, label %tail, label %wide
wide:
  %last = sub i64 %n, 32
  br label %chunks
chunks:
  %i = phi i64 [ 0, %wide ], [ %i.next, %chunks ]
  %sp = getelementptr i8, ptr %s, i64 %i
  %dp = getelementptr i8, ptr %d, i64 %i
  %v = load <32 x i8>, ptr %sp, align 1
  store <32 x i8> %v, ptr %dp, align 1
  %i.next = add i64 %i, 32
  %more = icmp ule i64 %i.next, %last
  br i1 %more, label %chunks, label %rest
rest:
  %sl = getelementptr i8, ptr %s, i64 %last
  %dl = getelementptr i8, ptr %d, i64 %last
  %vl = load <32 x i8>, ptr %sl, align 1
  store <32 x i8> %vl, ptr %dl, align 1
  ret ptr %d
tail:
  %none = icmp eq i64 %n, 0
  br i1 %none, label %done, label %bytes
bytes:
  %j = phi i64 [ 0, %tail ], [ %j.next, %bytes ]
  %sb = getelementptr i8, ptr %s, i64 %j
  %db = getelementptr i8, ptr %d, i64 %j
  %b = load i8, ptr %sb
  store volatile i8 %b, ptr %db
  %j.next = add i64 %j, 1
  %again = icmp ult i64 %j.next, %n
  br i1 %again, label %bytes, label %done
done:
  ret ptr %d
}

define ptr @memset(ptr %d, i32 %c, i64 %n) #0 {
entry:
  %byte = trunc i32 %c to i8
  %seed = insertelement <32 x i8> poison, i8 %byte, i64 0
  %v = shufflevector <32 x i8> %seed, <32 x i8> poison, <32 x i32> zeroinitializer
  %short = icmp ult i64 %n, 32
  br i1 %short, label %tail, label %wide
wide:
  %last = sub i64 %n, 32
  br label %chunks
chunks:
  %i = phi i64 [ 0, %wide ], [ %i.next, %chunks ]
  %dp = getelementptr i8, ptr %d, i64 %i
  store <32 x i8> %v, ptr %dp, align 1
  %i.next = add i64 %i, 32
  %more = icmp ule i64 %i.next, %last
  br i1 %more, label %chunks, label %rest
rest:
  %dl = getelementptr i8, ptr %d, i64 %last
  store <32 x i8> %v, ptr %dl, align 1
  ret ptr %d
tail:
  %none = icmp eq i64 %n, 0
  br i1 %none, label %done, label %bytes
bytes:
  %j = phi i64 [ 0, %tail ], [ %j.next, %bytes ]
  %db = getelementptr i8, ptr %d, i64 %j
  store volatile i8 %byte, ptr %db
  %j.next = add i64 %j, 1
  %again = icmp ult i64 %j.next, %n
  br i1 %again, label %bytes, label %done
done:
  ret ptr %d
}

define ptr @memmove(ptr %d, ptr %s, i64 %n) #0 {
entry:
  %di = ptrtoint ptr %d to i64
  %si = ptrtoint ptr %s to i64
  %distance = sub i64 %di, %si
  %forward = icmp uge i64 %distance, %n
  br i1 %forward, label %up, label %down
up:
  %i = phi i64 [ 0, %entry ], [ %i.wide, %up.wide ], [ %i.byte, %up.byte ]
  %left = sub i64 %n, %i
  %sp = getelementptr i8, ptr %s, i64 %i
  %dp = getelementptr i8, ptr %d, i64 %i
  %fits = icmp uge i64 %left, 32
  br i1 %fits, label %up.wide, label %up.end
up.wide:
  %v = load <32 x i8>, ptr %sp, align 1
  store <32 x i8> %v, ptr %dp, align 1
  %i.wide = add i64 %i, 32
  br label %up
up.end:
  %done.up = icmp eq i64 %left, 0
  br i1 %done.up, label %done, label %up.byte
up.byte:
  %b = load i8, ptr %sp
  store volatile i8 %b, ptr %dp
  %i.byte = add i64 %i, 1
  br label %up
down:
  %k = phi i64 [ %n, %entry ], [ %k.wide, %down.wide ], [ %k.byte, %down.byte ]
  %fits.down = icmp uge i64 %k, 32
  br i1 %fits.down, label %down.wide, label %down.end
down.wide:
  %k.wide = sub i64 %k, 32
  %sw = getelementptr i8, ptr %s, i64 %k.wide
  %dw = getelementptr i8, ptr %d, i64 %k.wide
  %vw = load <32 x i8>, ptr %sw, align 1
  store <32 x i8> %vw, ptr %dw, align 1
  br label %down
down.end:
  %done.down = icmp eq i64 %k, 0
  br i1 %done.down, label %done, label %down.byte
down.byte:
  %k.byte = sub i64 %k, 1
  %sb = getelementptr i8, ptr %s, i64 %k.byte
  %db = getelementptr i8, ptr %d, i64 %k.byte
  %bb = load i8, ptr %sb
  store volatile i8 %bb, ptr %db
  br label %down
done:
  ret ptr %d
}

define bfloat @__truncsfbf2(float %x) #0 {
entry:
  %bits = bitcast float %x to i32
  %high = lshr i32 %bits, 16
  %odd = and i32 %high, 1
  %half = add i32 %odd, 32767
  %rounded = add i32 %bits, %half
  %near = lshr i32 %rounded, 16
  %quiet = or i32 %high, 64
  %isnan = fcmp uno float %x, 0.0
  %either = select i1 %isnan, i32 %quiet, i32 %near
  %short = trunc i32 %either to i16
  %result = bitcast i16 %short to bfloat
  ret bfloat %result
}

attributes #0 = { "no-builtins" nounwind }
)";

bool graft::emitDescriptor(const Descriptor &descriptor, const CpuTarget &target,
                           std::string &object, std::string &error) {
  LLVMContext context;
  SMDiagnostic diagnostic;
  std::unique_ptr<Module> module = parseAssemblyString(kSupportFunctions, diagnostic, context);
  if (!module) {
    error = diagnostic.getMessage().str();
    return false;
  }
  Type *i32 = Type::getInt32Ty(context), *i64 = Type::getInt64Ty(context);
  PointerType *pointer = PointerType::getUnqual(context);
  auto hidden = [](GlobalValue *value) {
    value->setVisibility(GlobalValue::HiddenVisibility);
    return value;
  };
  auto constant = [&](Constant *value, const Twine &name) {
    return new GlobalVariable(*module, value->getType(), /*isConstant=*/true,
                              GlobalValue::PrivateLinkage, value, name);
  };

  Constant *manifest = constant(
      ConstantDataArray::getString(context, descriptor.manifest, /*AddNull=*/true), "manifest");
  StructType *codeType = StructType::get(pointer, pointer);
  Constant *null = ConstantPointerNull::get(pointer);
  auto buildCodes = [&](ArrayRef<std::string> names, const Twine &table) {
    SmallVector<Constant *> codes;
    for (const std::string &name : names) {
      auto function = [&](const char *prefix) -> Constant * {
        if (name.empty())
          return null;
        return cast<Constant>(hidden(cast<GlobalValue>(
            module->getOrInsertFunction(prefix + name, Type::getVoidTy(context)).getCallee())));
      };
      codes.push_back(
          ConstantStruct::get(codeType, function("graft_shape."), function("graft_run.")));
    }
    return constant(ConstantArray::get(ArrayType::get(codeType, codes.size()), codes), table);
  };
  Constant *table = buildCodes(descriptor.codes, "codes");
  Constant *device = null;
  if (descriptor.device) {
    const Descriptor::Device &of = *descriptor.device;
    SmallVector<Constant *> kernels;
    for (const std::string &kernel : of.kernels)
      kernels.push_back(constant(ConstantDataArray::getString(context, kernel), "kernel"));
    auto *image = constant(ConstantDataArray::getString(context, of.image), "image");
    image->setAlignment(Align(16));
    device =
        constant(ConstantStruct::getAnon(
                     {image, ConstantInt::get(i64, of.image.size() + 1),
                      constant(ConstantArray::get(ArrayType::get(pointer, kernels.size()), kernels),
                               "kernels"),
                      ConstantInt::get(i64, kernels.size()), buildCodes(of.codes, "device_codes")}),
                 "device");
  }
  Constant *weights = ConstantPointerNull::get(pointer);
  if (descriptor.weightsBytes)
    weights = cast<Constant>(
        hidden(new GlobalVariable(*module, Type::getInt8Ty(context), /*isConstant=*/true,
                                  GlobalValue::ExternalLinkage, nullptr, "graft_weights")));
  Constant *artifact = constant(
      ConstantStruct::getAnon({ConstantInt::get(i32, kMagic), ConstantInt::get(i32, kAbi),
                               ConstantInt::get(i64, descriptor.manifest.size()), manifest, weights,
                               ConstantInt::get(i64, descriptor.weightsBytes), table,
                               ConstantInt::get(i64, descriptor.codes.size()), device}),
      "artifact");

  Function *query = Function::Create(FunctionType::get(pointer, {i32}, false),
                                     GlobalValue::ExternalLinkage, "graft_artifact_query", *module);
  query->addFnAttr(kExportAttr);
  IRBuilder<> builder(BasicBlock::Create(context, "entry", query));
  Value *fits = builder.CreateICmpEQ(query->getArg(0), ConstantInt::get(i32, kAbi));
  builder.CreateRet(builder.CreateSelect(fits, artifact, ConstantPointerNull::get(pointer)));

  CodegenOptions options;
  options.target = target;
  return emitModule(*module, options, EmitFormat::Object, object, error);
}
