//===- InspectCommand.cpp - The command line of graft inspect, for what is to be compiled -*- C++
//-*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Driver/Commands.h"
#include "graft/Link/Inspect.h"
#include "graft/Register/Register.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"

#include <CLI/CLI.hpp>

using namespace graft;

int graft::runInspectCommand(int argc, char **argv) {
  CLI::App app("Says what a backbone or an adapter is", "graft inspect");
  std::string path;
  bool json = false;
  ImportOptions options;
  app.add_option("what", path, "FILE.onnx or ADAPTER_DIR")->required();
  app.add_flag("--json", json, "The same facts as one JSON object");
  app.add_flag("--allow-links", options.allowLinks, "External data may be links");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error); // --help
    llvm::errs() << "error: graft inspect: " << error.what() << "\n";
    return 1;
  }
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  // Written at once: an error leaves no half of a description.
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::Error error = llvm::sys::fs::is_directory(path)
                          ? inspectAdapter(path, &context, json, stream)
                          : inspectBackbone(path, &context, options, json, stream);
  if (error)
    return reportFault(std::move(error));
  llvm::outs() << text;
  return 0;
}
