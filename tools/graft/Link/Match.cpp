//===- Match.cpp - Which site each change of an adapter binds to -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Match.h"
#include "graft/Link/Elements.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"

#include <set>

using namespace mlir;
using namespace graft;
using llvm::Error;
using llvm::Expected;

std::string graft::shapeText(ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t dim : shape)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "a scalar" : text;
}

namespace {

SmallVector<int64_t> withoutOnes(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> kept;
  llvm::copy_if(shape, std::back_inserter(kept), [](int64_t dim) { return dim != 1; });
  return kept;
}

/// Checks shapes and orientation. Returns what doesn't fit, or an empty string.
class Fit {
public:
  Fit(const Adapter &adapter, Binding &binding)
      : adapter(adapter), change(*binding.change), site(*binding.site), binding(binding) {}

  std::string check() {
    if (!site.obstacle.empty())
      return "expected a site that is free, found that " + site.obstacle;
    if (binding.part)
      if (std::string words = part(); !words.empty())
        return words;
    switch (change.kind) {
    case Change::LowRank:
      return change.down->type.getRank() > 2 ? kernel() : lowRank();
    case Change::Delta:
      return elements(change.value);
    case Change::Tokens:
      return tokens();
    case Change::Replace:
    case Change::Copy:
      return whole();
    }
    return "";
  }

private:
  static std::string expected(const std::string &what, const SafeTensor *found) {
    return "expected " + what + ", found " + found->name + " of " +
           shapeText(found->type.getShape());
  }
  std::string shapeOf() const { return shapeText(site.canonical().getShape()); }

  /// Of a layer that an exporter has joined with others.
  std::string part() {
    auto [begin, end] = *binding.part;
    const int64_t rows = site.stored.getRank() <= 2 ? site.canonical().getDimSize(0) : 0;
    if (begin >= end || end > rows)
      return "expected rows within the " + std::to_string(rows) + " of " + site.path() +
             ", found " + std::to_string(begin) + ":" + std::to_string(end);
    const bool adds = change.kind == Change::LowRank || change.kind == Change::Delta;
    if (!adds || change.magnitude || (site.kind != Site::Linear && site.kind != Site::Bias))
      return "expected LoRA of a linear layer, without magnitudes, for a part of " + site.path() +
             ", found another change";
    return "";
  }
  int64_t rowsOf(int64_t rows) const {
    return binding.part ? binding.part->second - binding.part->first : rows;
  }

  std::string lowRank() {
    if (site.kind != (change.embedding ? Site::Embedding : Site::Linear))
      return std::string("expected ") + (change.embedding ? "an embedding" : "a linear layer") +
             " at " + site.path() + ", found " + site.op().str();
    ArrayRef<int64_t> shape = site.canonical().getShape();
    if (change.down->type.getDimSize(1) != shape[1])
      return expected("lora_A of (rank, in) for (out, in) = " + shapeOf(), change.down);
    if (change.up->type.getDimSize(0) != rowsOf(shape[0]))
      return expected("lora_B of (out, rank) for (out, in) = " +
                          shapeText({rowsOf(shape[0]), shape[1]}),
                      change.up);
    return "";
  }

  std::string kernel() {
    if (site.kind != Site::Convolution)
      return "expected a convolution at " + site.path() + ", found " + site.op().str();
    int64_t groups = 1;
    if (auto attribute = site.uses.front().op->getAttrOfType<IntegerAttr>("group"))
      groups = attribute.getInt();
    ArrayRef<int64_t> shape = site.stored.getShape(), down = change.down->type.getShape(),
                      up = change.up->type.getShape();
    SmallVector<int64_t> want(shape);
    want[0] = down[0];
    want[1] *= groups;
    if (down != ArrayRef<int64_t>(want))
      return expected("lora_A of (rank, in, kernel) for the kernel " + shapeText(shape),
                      change.down);
    if (up[0] != shape[0] || up[1] * groups != down[0])
      return expected("lora_B of (out, rank / groups, 1, …) for the kernel " + shapeText(shape) +
                          " in " + std::to_string(groups) + " groups",
                      change.up);
    binding.groups = groups;
    return "";
  }

  std::string elements(const SafeTensor *tensor) {
    if (binding.part)
      return tensor->type.getNumElements() == rowsOf(0)
                 ? ""
                 : expected(std::to_string(rowsOf(0)) + " elements", tensor);
    if (withoutOnes(tensor->type.getShape()) != withoutOnes(site.stored.getShape()))
      return expected("the shape " + shapeText(site.stored.getShape()) + " of " + site.path(),
                      tensor);
    return "";
  }

  std::string tokens() {
    if (site.kind != Site::Embedding)
      return "expected an embedding at " + site.path() + ", found " + site.op().str();
    ArrayRef<int64_t> shape = site.canonical().getShape();
    if (change.value->type.getDimSize(1) != shape[0])
      return expected("rows of " + std::to_string(shape[0]) + " elements", change.value);
    for (int64_t index : change.indices)
      if (index >= shape[1])
        return "expected token indices below " + std::to_string(shape[1]) + ", found " +
               std::to_string(index);
    return "";
  }

  /// A Replace may bring a head of another size: other rows of (out, in), or another vocabulary.
  std::string whole() {
    const SafeTensor *tensor = change.value;
    ArrayRef<int64_t> given = tensor->type.getShape();
    bool replaces = change.kind == Change::Replace;
    if (site.stored.getRank() != 2 || (site.kind != Site::Linear && site.kind != Site::Embedding)) {
      if (replaces && site.kind == Site::Bias && given.size() == 1 && site.stored.getRank() == 1)
        return ""; // whether its weight has as many rows is checked with the weight
      return elements(tensor);
    }
    ArrayRef<int64_t> shape = site.canonical().getShape();
    if (given.size() != 2)
      return expected("a matrix for (out, in) = " + shapeOf(), tensor);
    auto fits = [&](int64_t out, int64_t in) {
      if (site.kind == Site::Embedding)
        return out == shape[0] && (in == shape[1] || replaces);
      return in == shape[1] && (out == shape[0] || replaces);
    };
    // Linear keeps (out, in). An embedding keeps (vocabulary, size), and so do GPT-2's layers (in,
    // out), whose weights exporters pass on as they are, with their names.
    bool inOut = site.kind == Site::Embedding ||
                 (site.op() == "Gemm" && site.transposed && site.constant == site.path());
    if (!inOut && fits(given[0], given[1]))
      return "";
    binding.layout = Layout::Transposed;
    if ((inOut || adapter.config.fanInFanOut) && fits(given[1], given[0]))
      return "";
    return expected(inOut ? "(in, out) = " + shapeText({shape[1], shape[0]})
                          : "(out, in) = " + shapeOf(),
                    tensor);
  }

  const Adapter &adapter;
  const Change &change;
  const Site &site;
  Binding &binding;
};

/// Position of element (row, column) of the canonical matrix in the stored one.
int64_t storedIndex(const Site &site, int64_t row, int64_t column) {
  ArrayRef<int64_t> shape = site.canonical().getShape();
  return site.transposed ? column * shape[0] + row : row * shape[1] + column;
}

/// The position of the first element in which a copy differs from the site's parameter, or -1.
int64_t firstDifference(const Binding &binding) {
  const Site &site = *binding.site;
  std::vector<char> buffer;
  std::optional<ArrayRef<char>> bytes;
  if (site.absent) {
    buffer.resize(site.stored.getNumElements() * elementSize(site.stored.getElementType()));
    bytes = buffer;
  } else {
    bytes = constantBytes(site.uses.front().constant, buffer);
  }
  const SafeTensor &copy = *binding.change->value;
  if (!bytes)
    return 0;
  auto own = cast<FloatType>(site.stored.getElementType());
  auto given = cast<FloatType>(copy.type.getElementType());
  unsigned ownWidth = elementSize(own), givenWidth = elementSize(given);
  RankedTensorType canonical = site.canonical();
  bool matrix = canonical.getRank() == 2;
  int64_t columns = matrix ? canonical.getDimSize(1) : 1,
          rows = canonical.getNumElements() / std::max<int64_t>(columns, 1);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      int64_t there =
          binding.layout == Layout::Transposed ? column * rows + row : row * columns + column;
      int64_t here = matrix ? storedIndex(site, row, column) : row;
      if (!sameElement(bytes->data() + here * ownWidth, own, copy.bytes.data() + there * givenWidth,
                       given))
        return there;
    }
  return -1;
}

/// One change of prefix.
struct Rewrite {
  std::string from, to;
  std::string apply(StringRef path) const {
    if (from.empty())
      return to.empty() ? path.str() : (to + "." + path).str();
    if (path == from)
      return to;
    if (!path.starts_with(from + "."))
      return path.str();
    StringRef rest = path.drop_front(from.size() + 1);
    return to.empty() ? rest.str() : (to + "." + rest).str();
  }
  bool operator<(const Rewrite &other) const {
    return std::tie(from, to) < std::tie(other.from, other.to);
  }
};

class Binder {
public:
  Binder(const Adapter &adapter, Sites &sites, std::vector<MappedPath> paths)
      : adapter(adapter), sites(sites), paths(std::move(paths)) {}

  Expected<std::vector<Binding>> bind();

private:
  /// Binds by name alone; null where there is no site. Returns how many bind.
  size_t bindNames(const Rewrite &rewrite, std::vector<Binding> &bindings) {
    size_t bound = 0;
    bindings.assign(adapter.changes.size(), Binding());
    for (auto [i, change] : llvm::enumerate(adapter.changes)) {
      bindings[i].change = &change;
      bindings[i].site = sites.find(rewrite.apply(paths[i].path), change.role);
      bindings[i].part = paths[i].part;
      bound += bindings[i].site != nullptr;
    }
    return bound;
  }

  /// Checks shapes; returns the first that doesn't fit, with words.
  std::pair<const Binding *, std::string> misfit(std::vector<Binding> &bindings) {
    for (Binding &binding : bindings)
      if (std::string words = Fit(adapter, binding).check(); !words.empty())
        return {&binding, words};
    return {nullptr, ""};
  }

  Error learnPrefix(std::vector<Binding> &chosen);
  std::set<Rewrite> candidates(size_t unbound, bool renames);
  std::string nearest(const Change &change, StringRef path);
  std::string where(const Change &change) const {
    return adapter.file + ": " + change.tensor().name;
  }

  const Adapter &adapter;
  Sites &sites;
  std::vector<MappedPath> paths;
};

/// Changes of prefix under which the change would bind. A class around the model adds components or
/// takes some away; with `renames`, it has another name. An index is never exchanged for another:
/// layer 1 isn't layer 0 of another model.
std::set<Rewrite> Binder::candidates(size_t unbound, bool renames) {
  std::set<Rewrite> rewrites;
  SmallVector<StringRef> own, other;
  StringRef(paths[unbound].path).split(own, '.');
  auto named = [](ArrayRef<StringRef> parts) {
    return llvm::none_of(parts, [](StringRef part) { return llvm::all_of(part, llvm::isDigit); });
  };
  for (const Site &site : sites.all()) {
    if (site.role != adapter.changes[unbound].role)
      continue;
    if (site.mangled) {
      for (size_t common = 1; !renames && common <= own.size(); ++common) {
        ArrayRef<StringRef> from = ArrayRef<StringRef>(own).drop_back(common);
        std::string suffix = llvm::join(ArrayRef<StringRef>(own).take_back(common), "_");
        StringRef to = site.module;
        if (to.consume_back(suffix) && (to.empty() ? !from.empty() : from.empty()) &&
            (to.empty() || to.consume_back("_")))
          rewrites.insert({llvm::join(from, "."), to.str()});
      }
      continue;
    }
    other.clear();
    StringRef(site.module).split(other, '.');
    size_t limit = std::min(own.size(), other.size());
    for (size_t common = 1; common <= limit; ++common) {
      if (own[own.size() - common] != other[other.size() - common])
        break;
      ArrayRef<StringRef> from = ArrayRef<StringRef>(own).drop_back(common);
      ArrayRef<StringRef> to = ArrayRef<StringRef>(other).drop_back(common);
      if (from.empty() || to.empty() ? !renames : renames && named(from) && named(to))
        rewrites.insert({llvm::join(from, "."), llvm::join(to, ".")});
    }
  }
  return rewrites;
}

std::string Binder::nearest(const Change &change, StringRef path) {
  std::vector<std::tuple<unsigned, std::string, const Site *>> order;
  std::string wanted = (path + "." + change.role).str();
  for (const Site &site : sites.all())
    if (!site.absent)
      order.emplace_back(StringRef(wanted).edit_distance(site.path()), site.path(), &site);
  llvm::sort(order);
  if (order.size() > 3)
    order.resize(3);
  std::string text;
  for (auto &[distance, name, site] : order)
    text += (text.empty() ? "; the nearest are " : ", ") + name + " (" + site->op().str() + ", " +
            shapeText(site->canonical().getShape()) + ")";
  return text;
}

/// Paths don't agree: a class around the model, or none. One change of prefix must make all of them
/// agree.
Error Binder::learnPrefix(std::vector<Binding> &chosen) {
  size_t all = adapter.changes.size();
  auto missing = llvm::find_if(chosen, [](const Binding &binding) { return !binding.site; });
  size_t unbound = missing - chosen.begin();
  size_t bestCount = llvm::count_if(chosen, [](const Binding &binding) { return binding.site; });
  std::vector<Binding> best = chosen, misfitting, bindings;
  Rewrite bestRewrite;
  std::optional<Rewrite> used;
  std::vector<Site *> bound;
  for (bool renames : {false, true}) {
    if (used)
      break;
    for (const Rewrite &rewrite : candidates(unbound, renames)) {
      size_t count = bindNames(rewrite, bindings);
      if (count > bestCount) {
        bestCount = count;
        best = bindings;
        bestRewrite = rewrite;
      }
      if (count < all)
        continue;
      if (misfit(bindings).first) {
        misfitting = bindings;
        continue;
      }
      std::vector<Site *> places;
      for (const Binding &binding : bindings)
        places.push_back(binding.site);
      if (used && places != bound)
        return inputFault(where(adapter.changes[unbound]) +
                          ": expected one way to bind the adapter, found two: prefix '" +
                          used->from + "' for '" + used->to + "', or '" + rewrite.from + "' for '" +
                          rewrite.to + "'; --map says which");
      used = rewrite;
      bound = places;
      chosen = bindings;
    }
  }
  if (used)
    return Error::success();
  if (!misfitting.empty()) { // whoever checks shapes next has the words
    chosen = misfitting;
    return Error::success();
  }
  auto binding = llvm::find_if(best, [](const Binding &binding) { return !binding.site; });
  std::string path = bestRewrite.apply(paths[binding - best.begin()].path);
  return inputFault(where(*binding->change) + ": expected a site " + path + "." +
                    binding->change->role + " in the backbone, found none" +
                    nearest(*binding->change, path));
}

Expected<std::vector<Binding>> Binder::bind() {
  std::vector<Binding> chosen;
  if (bindNames({}, chosen) < adapter.changes.size())
    if (Error error = learnPrefix(chosen))
      return std::move(error);
  if (auto [binding, words] = misfit(chosen); binding)
    return inputFault(where(*binding->change) + ": " + words +
                      nearest(*binding->change, binding->site->module));

  std::map<Site *, SmallVector<const Binding *, 1>> taken;
  for (const Binding &binding : chosen) {
    auto &others = taken[binding.site];
    for (const Binding *other : others) {
      const bool apart = binding.part && other->part &&
                         (binding.part->second <= other->part->first ||
                          other->part->second <= binding.part->first);
      if (other->change->module != binding.change->module && !apart)
        return inputFault(where(*binding.change) + ": expected a site of its own, found that " +
                          other->change->tensor().name + " binds to " + binding.site->path() +
                          " too");
    }
    others.push_back(&binding);
    if (binding.change->kind == Change::Copy)
      if (int64_t at = firstDifference(binding); at >= 0)
        return inputFault(where(*binding.change) + ": expected a copy of the backbone's " +
                          binding.site->path() + ", found another value at element " + Twine(at) +
                          "; the config's modules_to_save doesn't name it");
  }
  return chosen;
}

} // namespace

bool graft::holdSameTable(const Site &embedding, const Site &linear) {
  ArrayRef<int64_t> shape = embedding.canonical().getShape();
  if (linear.kind != Site::Linear || linear.stored.getRank() != 2 ||
      linear.canonical().getShape() != ArrayRef<int64_t>({shape[1], shape[0]}) ||
      linear.stored.getElementType() != embedding.stored.getElementType())
    return false;
  Operation *a = embedding.uses.front().constant, *b = linear.uses.front().constant;
  if (a == b || a->getAttr("value") == b->getAttr("value"))
    return true;
  std::vector<char> aBuffer, bBuffer;
  auto aBytes = constantBytes(a, aBuffer), bBytes = constantBytes(b, bBuffer);
  if (!aBytes || !bBytes)
    return false;
  unsigned width = elementSize(embedding.stored.getElementType());
  for (int64_t row = 0; row < shape[0]; ++row)
    for (int64_t column = 0; column < shape[1]; ++column)
      if (std::memcmp(aBytes->data() + storedIndex(embedding, row, column) * width,
                      bBytes->data() + storedIndex(linear, column, row) * width, width) != 0)
        return false;
  return true;
}

/// Takes `[BEGIN:END]` from the end of the path.
static Error takePart(MappedPath &mapped, StringRef replacement) {
  StringRef path = mapped.path;
  if (!path.consume_back("]"))
    return Error::success();
  auto [module, range] = path.rsplit('[');
  auto [begin, end] = range.split(':');
  std::pair<int64_t, int64_t> rows;
  if (begin.getAsInteger(10, rows.first) || end.getAsInteger(10, rows.second) || rows.first < 0)
    return inputFault("--map: " + replacement + ": expected rows as [BEGIN:END], found [" + range +
                      "]");
  mapped.part = rows;
  mapped.path = module.str();
  return Error::success();
}

Expected<std::vector<MappedPath>> graft::mapPaths(const Adapter &adapter, PathMaps maps) {
  std::vector<MappedPath> paths;
  for (const Change &change : adapter.changes) {
    paths.push_back({change.module});
    for (const auto &[pattern, replacement] : maps) {
      llvm::Regex regex(pattern);
      std::string words;
      if (!regex.match(change.module))
        continue;
      paths.back().path = regex.sub(replacement, change.module, &words);
      if (!words.empty())
        return inputFault("--map: " + replacement + ": " + words);
      if (Error error = takePart(paths.back(), replacement))
        return std::move(error);
      break;
    }
  }
  return paths;
}

Expected<std::vector<Binding>> graft::bindAdapter(const Adapter &adapter, Sites &sites,
                                                  PathMaps maps) {
  auto paths = mapPaths(adapter, maps);
  if (!paths)
    return paths.takeError();
  return Binder(adapter, sites, std::move(*paths)).bind();
}
