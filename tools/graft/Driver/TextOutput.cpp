//===- TextOutput.cpp - Writes a level of the IR, its weights beside it -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Driver/TextOutput.h"

#include "graft/Fault/Fault.h"
#include "graft/Link/Safetensors.h"
#include "graft/Modular/Modular.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace graft;

llvm::Error graft::writeBytes(llvm::StringRef bytes, llvm::StringRef path) {
  if (path == "-") {
    llvm::outs() << bytes;
    return llvm::Error::success();
  }
  // Renamed into place: nothing is left behind on failure, and what was there stays.
  auto error = llvm::writeToOutput(path, [&](llvm::raw_ostream &out) {
    out << bytes;
    return llvm::Error::success();
  });
  return error ? inputFault(path + ": " + llvm::toString(std::move(error)))
               : llvm::Error::success();
}

/// The op with its locations, but without those that say nothing.
static std::string printWithOrigins(Operation *op, OpPrintingFlags flags) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  op->print(stream, flags.enableDebugInfo(true, /*prettyForm=*/false).useLocalScope());
  std::string kept;
  kept.reserve(text.size());
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    static constexpr llvm::StringLiteral kUnknown = " loc(unknown)";
    if (!quoted && llvm::StringRef(text).substr(i).starts_with(kUnknown)) {
      i += kUnknown.size() - 1;
      continue;
    }
    kept += text[i];
    if (quoted && text[i] == '\\' && i + 1 < text.size())
      kept += text[++i];
    else if (text[i] == '"')
      quoted = !quoted;
  }
  return kept + "\n";
}

std::string graft::weightsBeside(llvm::StringRef path) {
  llvm::SmallString<128> beside(path);
  llvm::sys::path::replace_extension(beside, "safetensors");
  return beside.str().str();
}

llvm::Error graft::writeText(Operation *op, llvm::StringRef path) {
  std::string text = printWithOrigins(op, OpPrintingFlags());
  if (path != "-") {
    const WeightStore &store =
        op->getContext()->getLoadedDialect<modular::ModularDialect>()->getWeightStore();
    llvm::MapVector<StringRef, modular::WeightAttr> weights;
    op->walk([&](Operation *nested) {
      for (NamedAttribute attribute : nested->getAttrs())
        if (auto weight = dyn_cast<modular::WeightAttr>(attribute.getValue()))
          weights.insert({weight.getKey(), weight});
    });
    if (!weights.empty()) {
      std::vector<SafeTensor> tensors;
      for (auto &[key, weight] : weights)
        if (auto bytes = store.lookup(key))
          tensors.push_back({key.str(), weight.getType(), *bytes});
      if (llvm::Error error = writeSafetensors(weightsBeside(path), tensors))
        return error.isA<Fault>() ? std::move(error) : inputFault(llvm::toString(std::move(error)));
    }
  }
  return writeBytes(text, path);
}

void graft::writeReproducer(mlir::ModuleOp module, llvm::StringRef output, llvm::StringRef phase) {
  std::string path = (output == "-" ? "graft" : output).str() + ".reproducer.mlir";
  std::string text = ("// graft failed in phase '" + phase + "'\n").str() +
                     printWithOrigins(module, OpPrintingFlags().assumeVerified());
  llvm::Error error = writeBytes(text, path);
  const bool written = !error;
  llvm::consumeError(std::move(error));
  llvm::errs() << "error: internal error in phase '" << phase << "'";
  if (written)
    llvm::errs() << "; please report it with " << path;
  llvm::errs() << "\n";
}
