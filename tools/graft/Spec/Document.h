//===- Document.h - What a spec says -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_SPEC_DOCUMENT_H
#define GRAFT_SPEC_DOCUMENT_H

#include "graft/Spec/Yaml.h"

#include "llvm/ADT/StringRef.h"

#include <map>

namespace graft::spec {

/// A word with its place. It may have `{capture}`s in it where the schema says so.
struct Text {
  std::string text;
  Mark mark;
  bool empty() const { return text.empty(); }
};

/// A tensor of a file, or one that is written out.
struct TensorRef {
  Mark mark;
  Text source;             ///< `FILE`, `FILE:NAME` or `backbone:NAME`
  std::vector<Text> index; ///< places along the first dimensions
  std::optional<std::pair<int64_t, int64_t>> rows;
  std::optional<bool> isInOut; ///< the matrix is (in, out)
  std::vector<double> values;  ///< written out, of `shape`
  std::vector<int64_t> shape;
  bool isLiteral = false;
};

struct Module;
struct Router;
struct Aggregator;

/// The name of a definition, or the definition itself.
template <typename T> struct Ref {
  Text name;
  std::shared_ptr<T> own;
  Mark mark;
  explicit operator bool() const { return own || !name.empty(); }
};

/// An attribute of an op that a plugin brings.
struct OpAttribute {
  std::string name;
  Mark mark;
  NodeRef value;
};

/// An op by its name.
struct OpRef {
  Text name;
  std::vector<OpAttribute> attributes;
};

struct Activation {
  enum Kind { None, Relu, Gelu, GeluTanh, Silu, Tanh, Sigmoid, LeakyRelu, Elu, Softplus } kind;
};

struct Module {
  enum Kind {
    Identity,
    Zero,
    Layer,
    Linear,
    Mlp,
    Glu,
    Bottleneck,
    Lora,
    Peft,
    LayerNorm,
    RmsNorm,
    Onnx,
    Stack,
    Sum,
    Parallel,
    Split,
    Mixture
  } kind = Identity;
  std::string name; ///< empty where it has none of its own
  Mark mark;
  std::optional<int64_t> count;
  bool residual = false;
  double scale = 1;

  std::map<std::string, TensorRef> tensors; ///< by the schema's keys
  Activation::Kind activation = Activation::None;
  double factor = 1; ///< of lora: alpha / rank or scale
  std::optional<double> alpha;
  double epsilon = 1e-5;
  Text file, path; ///< of onnx; of a PEFT folder and the module in it
  std::vector<Ref<Module>> modules, shared;
  int64_t axis = 0;
  std::vector<std::optional<int64_t>> sizes; ///< of split; nothing for the rest
  Ref<Router> router;
  Ref<Aggregator> aggregator;

  /// What stands for tensor `key`, or null.
  const TensorRef *tensor(llvm::StringRef key) const {
    auto it = tensors.find(key.str());
    return it == tensors.end() ? nullptr : &it->second;
  }
};

struct Score {
  enum Kind { Nothing, Body, Input, Constant } kind = Nothing;
  Mark mark;
  Ref<Module> body;
  Text input;
  TensorRef constant;
};

struct Select {
  enum Kind { All, Top, Above, Hash, Rows, Fixed, Task, Op } kind = All;
  Mark mark;
  int64_t count = 0;
  double threshold = 0;
  Text input;
  std::vector<Text> fixed;
  std::vector<std::pair<Text, std::vector<Text>>> tasks;
  OpRef op;
};

struct Router {
  std::string name;
  Mark mark;
  bool perSequence = false;
  enum Pool { Mean, Max, First, Last } pool = Mean;
  Text of;
  Score score;
  Text noise;
  std::optional<TensorRef> noiseWeight;
  enum Transform { None, Softmax, Sigmoid } activation = None;
  std::optional<TensorRef> bias;
  Text mask;
  struct Groups {
    Mark mark;
    int64_t count = 0, keep = 0, sum = 1;
  };
  std::optional<Groups> groups;
  Select select;
  enum By { Scores, Logits, Selecting, Ones } by = Scores;
  bool hasBy = false;
  enum Normalization { NoNormalization, BySum, BySoftmax } normalization = NoNormalization;
  double scale = 1;
  struct Capacity {
    Mark mark;
    std::optional<int64_t> rows;
    double factor = 0;
  };
  std::optional<Capacity> capacity;
};

struct Aggregator {
  enum Kind { WeightedSum, SimpleSum, Mean, Concat, Attention, Onnx, Op } kind = WeightedSum;
  std::string name;
  Mark mark;
  std::map<std::string, TensorRef> tensors;
  double scale = 1;
  Text file;
  OpRef op;
};

/// An input that the library has beside the backbone's.
struct Input {
  Text name;
  std::string type;
  std::vector<Text> shape;
};

struct Place {
  Mark mark;
  enum Where { Path, NodeName, Tensor, Between } where = Path;
  Text pattern;
  Text input, output;
  enum How { Replace, After, Beside } how = Replace;
  Ref<Module> module;
};

struct Document {
  ~Document();

  std::map<std::string, Text> files;
  std::vector<Input> inputs;
  std::map<std::string, std::shared_ptr<Module>> modules;
  std::map<std::string, std::shared_ptr<Router>> routers;
  std::map<std::string, std::shared_ptr<Aggregator>> aggregators;
  std::vector<Place> places;
};

/// The routers, those that are written in place too.
std::vector<const Router *> routersOf(const Document &document);

/// Reads a spec and checks all that can be told without backbone and weights: keys, types of
/// values, names, cycles. Null with an error otherwise.
std::unique_ptr<Document> readSpec(llvm::StringRef path, Errors &errors);

/// ` (nearest: a, b)`, of the names that are like `name`, or else the list of all.
std::string nearestNames(llvm::StringRef name, const std::vector<std::string> &known);

/// `{capture}` names within a text.
std::vector<std::string> capturesOf(llvm::StringRef text);

} // namespace graft::spec

#endif // GRAFT_SPEC_DOCUMENT_H
