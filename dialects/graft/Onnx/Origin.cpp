//===- Origin.cpp - Node names and module paths in locations -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Onnx/Origin.h"

#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;
using namespace graft;

Location graft::originLocation(MLIRContext *context, StringRef node, StringRef module) {
  if (node.empty() && module.empty())
    return UnknownLoc::get(context);
  Location name = node.empty() ? Location(UnknownLoc::get(context))
                               : Location(NameLoc::get(StringAttr::get(context, node)));
  if (module.empty())
    return name;
  return FusedLoc::get(context, {name}, StringAttr::get(context, module));
}

static void read(Location location, Origin &origin) {
  if (auto name = dyn_cast<NameLoc>(location)) {
    if (origin.node.empty())
      origin.node = name.getName();
    read(name.getChildLoc(), origin);
  } else if (auto fused = dyn_cast<FusedLoc>(location)) {
    // The path belongs to the locations that it is fused with: a deeper name is this path's.
    if (auto path = dyn_cast_or_null<StringAttr>(fused.getMetadata()))
      if (origin.module.empty())
        origin.module = path;
    for (Location part : fused.getLocations())
      read(part, origin);
  } else if (auto call = dyn_cast<CallSiteLoc>(location)) {
    read(call.getCallee(), origin);
    read(call.getCaller(), origin);
  }
}

Origin graft::originOf(Location location) {
  Origin origin;
  read(location, origin);
  return origin;
}
