//===- Yaml.cpp - A YAML file as a tree with places -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Yaml.h"

#include "graft/Import/MappedFile.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"

#include <map>
#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

using namespace graft;
using namespace graft::spec;

/// A spec is written by hand: weights are in files of their own.
static constexpr size_t maxBytes = 4 << 20;
static constexpr uint64_t maxNodes = 200'000;
static constexpr size_t maxDepth = 64;

const NodeRef *Node::find(llvm::StringRef key) const {
  for (const Entry &entry : entries)
    if (entry.key == key)
      return &entry.value;
  return nullptr;
}

std::string Errors::place(Mark mark) const {
  return mark.line == 0
             ? file
             : file + ":" + std::to_string(mark.line) + ":" + std::to_string(mark.column);
}

/// Bytes that are no text as `\xNN`: a file may hold anything.
static std::string printable(llvm::StringRef text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const auto *at = reinterpret_cast<const llvm::UTF8 *>(text.data() + i);
    const size_t length = llvm::getNumBytesForUTF8(*at);
    if (*at >= 0x20 && *at != 0x7f && i + length <= text.size() &&
        llvm::isLegalUTF8Sequence(at, at + length)) {
      result += text.substr(i, length);
      i += length;
    } else {
      result += "\\x" + llvm::toHex(text.substr(i++, 1), /*LowerCase=*/true);
    }
  }
  return result;
}

void Errors::fail(Mark mark, const llvm::Twine &message, FaultKind kind) {
  if (!first)
    first.emplace(kind, place(mark) + ": " + printable(message.str()));
}

llvm::Error Errors::take() {
  if (!first)
    return llvm::Error::success();
  return first->first == FaultKind::Input ? inputFault(first->second)
                                          : unsupportedFault(first->second);
}

namespace {
/// Builds the tree from the parser's events.
class TreeBuilder : public YAML::EventHandler {
public:
  explicit TreeBuilder(Errors &errors) : errors(errors) {}

  NodeRef take() { return root ? root : std::make_shared<Node>(); }

  void OnDocumentStart(const YAML::Mark &) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark &mark, YAML::anchor_t anchor) override {
    add(make(Node::Null, mark, anchor));
  }
  void OnAlias(const YAML::Mark &mark, YAML::anchor_t anchor) override {
    auto it = anchors.find(anchor);
    if (it == anchors.end())
      stop(at(mark), "expected an alias of something else than what it stands in");
    add(it->second, at(mark));
  }
  void OnScalar(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                const std::string &value) override {
    auto node = make(Node::Scalar, mark, anchor);
    node->text = value;
    node->quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    checkTag(mark, node->quoted ? "" : tag);
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    checkTag(mark, tag);
    open(Node::List, mark, anchor);
  }
  void OnMapStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    checkTag(mark, tag);
    open(Node::Map, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

private:
  struct Frame {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor;
    bool hasKey = false; ///< of a map: the next node is a value
    std::string key = {};
    Mark keyMark = {};
  };

  static Mark at(const YAML::Mark &mark) { return {mark.line + 1, mark.column + 1}; }

  void checkTag(const YAML::Mark &mark, llvm::StringRef tag) {
    if (!tag.empty() && tag != "?")
      stop(at(mark), "expected no tag, found '" + tag + "'");
  }

  std::shared_ptr<Node> make(Node::Kind kind, const YAML::Mark &mark, YAML::anchor_t anchor) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->mark = at(mark);
    if (anchor && kind <= Node::Scalar)
      anchors[anchor] = node;
    return node;
  }

  void open(Node::Kind kind, const YAML::Mark &mark, YAML::anchor_t anchor) {
    if (stack.size() >= maxDepth)
      stop(at(mark),
           "expected at most " + llvm::Twine(maxDepth) + " levels within each other, found more");
    stack.push_back({make(kind, mark, anchor), anchor});
  }

  void close() {
    Frame frame = std::move(stack.back());
    stack.pop_back();
    if (frame.anchor)
      anchors[frame.anchor] = frame.node;
    add(std::move(frame.node));
  }

  void add(NodeRef node, Mark mark = {}) {
    if (mark.line == 0)
      mark = node->mark;
    if (stack.empty()) {
      root = std::move(node);
      return;
    }
    Frame &top = stack.back();
    top.node->size += node->size;
    if (top.node->size > maxNodes)
      stop(mark, "expected at most " + llvm::Twine(maxNodes) +
                     " values with aliases counted in full, found more");
    if (top.node->kind == Node::List) {
      top.node->items.push_back(std::move(node));
    } else if (top.hasKey) {
      top.hasKey = false;
      top.node->entries.push_back({std::move(top.key), top.keyMark, std::move(node)});
    } else {
      if (node->kind != Node::Scalar)
        stop(mark, "expected a word as a key");
      for (const Node::Entry &entry : top.node->entries)
        if (entry.key == node->text)
          stop(mark, "expected each key once, found '" + node->text + "' again, as in line " +
                         llvm::Twine(entry.mark.line));
      top.hasKey = true;
      top.key = node->text;
      top.keyMark = mark;
    }
  }

public:
  /// Ends the parse: there is an error.
  struct Stop {};

private:
  void stop(Mark mark, const llvm::Twine &message) {
    errors.fail(mark, message);
    throw Stop();
  }

  Errors &errors;
  NodeRef root;
  std::vector<Frame> stack;
  std::map<YAML::anchor_t, NodeRef> anchors;
};
} // namespace

NodeRef graft::spec::readYaml(llvm::StringRef path, Errors &errors) {
  auto mapped = MappedFile::open(path);
  if (!mapped) {
    std::string words = llvm::toString(mapped.takeError());
    llvm::StringRef rest = words;
    rest.consume_front((path + ": ").str());
    errors.fail({}, rest);
    return nullptr;
  }
  llvm::ArrayRef<char> bytes = (*mapped)->bytes();
  if (bytes.size() > maxBytes) {
    errors.fail({}, "expected a spec of at most " + llvm::Twine(maxBytes) +
                        " bytes, found one of " + llvm::Twine(bytes.size()));
    return nullptr;
  }
  TreeBuilder tree(errors);
  try {
    std::istringstream stream(std::string(bytes.begin(), bytes.end()));
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(tree))
      errors.fail({1, 1}, "expected a spec, found an empty file");
    NodeRef root = tree.take();
    TreeBuilder rest(errors);
    if (!errors.any() && parser.HandleNextDocument(rest))
      errors.fail(rest.take()->mark, "expected one document, found a second");
    if (!errors.any())
      return root;
  } catch (const TreeBuilder::Stop &) {
  } catch (const YAML::Exception &error) {
    errors.fail({error.mark.line + 1, error.mark.column + 1}, "not YAML: " + error.msg);
  }
  return nullptr;
}
