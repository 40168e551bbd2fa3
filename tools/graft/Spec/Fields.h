//===- Fields.h - Reading values of a YAML tree -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_SPEC_FIELDS_H
#define GRAFT_SPEC_FIELDS_H

#include "graft/Spec/Document.h"

#include "llvm/ADT/ArrayRef.h"

namespace graft::spec {

/// The values of a map whose keys are known. A key that isn't is an error that names the nearest.
class Fields {
public:
  /// `what` is what the map describes, in the words of messages: "a router".
  Fields(Errors &errors, const NodeRef &node, llvm::StringRef what,
         llvm::ArrayRef<llvm::StringRef> known);

  Mark mark() const { return node->mark; }
  bool has(llvm::StringRef key) const { return node->kind == Node::Map && node->find(key); }
  /// The value, or null where the key is absent.
  const NodeRef *get(llvm::StringRef key) const { return has(key) ? node->find(key) : nullptr; }
  /// The value; its absence is an error.
  const NodeRef *need(llvm::StringRef key) const;
  /// The one key of `choices` that is there; none or two of them are errors.
  const Node::Entry *choose(llvm::ArrayRef<llvm::StringRef> choices) const;
  Mark markOf(llvm::StringRef key) const;

  Errors &errors;
  const NodeRef node;
  const std::string what;
};

/// What a node is, in the words of messages: "a list", "the text 'a'".
std::string describe(const Node &node);

/// Scalars. `what` begins the words of the error: "top". Without a right value the result is
/// harmless, and there is an error.
Text readText(Errors &errors, const NodeRef &node, llvm::StringRef what);
double readNumber(Errors &errors, const NodeRef &node, llvm::StringRef what);
int64_t readInteger(Errors &errors, const NodeRef &node, llvm::StringRef what, int64_t least,
                    int64_t most = INT64_MAX);
bool readBool(Errors &errors, const NodeRef &node, llvm::StringRef what);
/// The position of a word in `choices`.
size_t readChoice(Errors &errors, const NodeRef &node, llvm::StringRef what,
                  llvm::ArrayRef<llvm::StringRef> choices);
/// The items of a list, or none and an error.
const std::vector<NodeRef> &readList(Errors &errors, const NodeRef &node, llvm::StringRef what);
/// A name that definitions may have.
bool isName(llvm::StringRef text);

TensorRef readTensor(Errors &errors, const NodeRef &node, llvm::StringRef what);
OpRef readOp(Errors &errors, const NodeRef &node, llvm::StringRef what);

/// Definitions.
std::shared_ptr<Module> readModule(Errors &errors, const NodeRef &node, llvm::StringRef what);
std::shared_ptr<Router> readRouter(Errors &errors, const NodeRef &node, llvm::StringRef what);
std::shared_ptr<Aggregator> readAggregator(Errors &errors, const NodeRef &node,
                                           llvm::StringRef what);

/// A definition by name, or where it is used, as `read` reads it.
template <typename T>
Ref<T> readRef(Errors &errors, const NodeRef &node, llvm::StringRef what,
               std::shared_ptr<T> (*read)(Errors &, const NodeRef &, llvm::StringRef)) {
  Ref<T> ref;
  ref.mark = node->mark;
  if (node->kind == Node::Map)
    ref.own = read(errors, node, what);
  else
    ref.name = readText(errors, node, what);
  return ref;
}

/// Checks names and that no definition is within itself.
void checkNames(Document &document, Errors &errors);

/// Names that always mean the same module.
inline constexpr llvm::StringRef reservedModules[] = {"layer", "identity", "zero"};

} // namespace graft::spec

#endif // GRAFT_SPEC_FIELDS_H
