//===- PrintPhases.cpp - Writes the table of phases for the documentation -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Pipelines/Phases.h"

#include "llvm/Support/raw_ostream.h"

int main() { graft::printPhases(llvm::outs()); }
