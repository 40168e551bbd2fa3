//===- graft.cpp - The graft executable ---------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Commands.h"

int main(int argc, char **argv) { return graft::commands::graftMain(argc, argv); }
