//===- Spec.cpp - Reads a spec and writes it into a backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Spec.h"
#include "graft/Spec/Builder.h"

#include "graft/Transforms/OnnxPasses.h"

using namespace graft;
using namespace graft::spec;
using llvm::Error;
using llvm::Expected;

struct Spec::State {
  explicit State(std::string file) : errors(std::move(file)) {}
  Errors errors;
  std::unique_ptr<Document> document;
};

Spec::Spec(std::unique_ptr<State> state) : state(std::move(state)) {}
Spec::Spec(Spec &&) = default;
Spec::~Spec() = default;

Expected<Spec> Spec::read(llvm::StringRef path) {
  auto state = std::make_unique<State>(path.str());
  state->document = readSpec(path, state->errors);
  if (!state->document)
    return state->errors.take();
  return Spec(std::move(state));
}

std::vector<Spec::Task> Spec::tasks() const {
  std::vector<Task> names;
  for (const Router *router : routersOf(*state->document))
    for (const auto &[task, modules] : router->select.tasks)
      if (task.text != "base" &&
          llvm::none_of(names, [&task = task](const Task &each) { return each.name == task.text; }))
        names.push_back({task.text, state->errors.place(task.mark)});
  return names;
}

Error Spec::apply(mlir::ModuleOp module, llvm::StringRef backbone, const BackboneNames &names,
                  bool allowLinks) {
  auto main = *module.getOps<mlir::func::FuncOp>().begin();
  Backbone known(main, names, state->errors);
  Tensors tensors(state->errors, *state->document, backbone, module.getContext(), allowLinks);
  SpecBuilder(module, state->errors, *state->document, tensors, known).run();
  if (state->errors.any())
    return state->errors.take();
  inferShapes(main);
  return Error::success();
}
