//===- Sites.cpp - Where adapters can bind in a backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Sites.h"
#include "graft/Link/Elements.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Onnx/Origin.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace graft;

namespace {

bool isOp(Operation *op, StringRef name) {
  return op && op->getName().getStringRef() == ("onnx." + name).str();
}

int64_t integer(Operation *op, StringRef name, int64_t missing) {
  auto value = op->getAttrOfType<IntegerAttr>(name);
  return value ? value.getInt() : missing;
}

/// Whether a Transpose swaps the dimensions of a matrix.
bool swaps(Operation *op) {
  auto perm = op->getAttrOfType<ArrayAttr>("perm");
  if (!perm)
    return true; // reversal is the default
  return perm.size() == 2 && cast<IntegerAttr>(perm[0]).getInt() == 1 &&
         cast<IntegerAttr>(perm[1]).getInt() == 0;
}

/// The constant that an operand reads, through ops that keep its elements; null if there is none.
/// `source` is what stands for the parameter itself: an exporter that finds two parameters equal
/// gives the second an Identity of the first.
Operation *traceConstant(Value value, bool &transposed, Value *source = nullptr) {
  bool own = false;
  while (Operation *op = value.getDefiningOp()) {
    if (!own && source)
      *source = value;
    own |= isOp(op, "Identity");
    if (isOp(op, "Constant"))
      return op;
    if (isOp(op, "Transpose")) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (!type || type.getRank() != 2)
        return nullptr;
      transposed ^= swaps(op);
    } else if (!isOp(op, "Identity") && !isOp(op, "Cast")) {
      return nullptr;
    }
    value = op->getOperand(0);
  }
  return nullptr;
}

struct Use {
  Site::Kind kind;
  const char *role;
  /// Whether the op wants a matrix as (in, out).
  bool transposed;
};

/// What an op makes of a constant operand.
Use classify(Operation *op, unsigned operand, RankedTensorType type) {
  int64_t rank = type.getRank();
  StringRef name = op->getName().stripDialect();
  if (name == "MatMul" && operand == 1 && rank == 2)
    return {Site::Linear, "weight", true};
  if (name == "Gemm" && operand == 1)
    return {Site::Linear, "weight", integer(op, "transB", 0) == 0};
  if (name == "Gemm" && operand == 2)
    return {Site::Bias, "bias", false};
  if (name == "Conv" && operand < 3 && operand > 0)
    return operand == 1 ? Use{Site::Convolution, "weight", false} : Use{Site::Bias, "bias", false};
  if (name == "ConvTranspose" && operand < 3 && operand > 0)
    return operand == 1 ? Use{Site::TransposedConvolution, "weight", false}
                        : Use{Site::Bias, "bias", false};
  if (name == "Gather" && operand == 0 && rank == 2 && integer(op, "axis", 0) == 0)
    return {Site::Embedding, "weight", true};
  if (name == "BatchNormalization" && operand >= 1 && operand <= 4) {
    const char *const roles[] = {"weight", "bias", "running_mean", "running_var"};
    return {Site::Other, roles[operand - 1], false};
  }
  if (name.ends_with("Normalization") && (operand == 1 || operand == 2))
    return {Site::Other, operand == 1 ? "weight" : "bias", false};
  // Layers that exporters spell out end in a product with the weight and a sum with the bias.
  if (name == "Mul" && rank == 1)
    return {Site::Other, "weight", false};
  if (name == "Add" && rank == 1)
    return {Site::Bias, "bias", false};
  return {Site::Other, nullptr, false};
}

/// A parameter or buffer as torch.export names it: `p_encoder_layer_0_weight`.
bool isMangled(StringRef name) {
  return (name.starts_with("p_") || name.starts_with("b_")) && !name.contains('.') &&
         !name.contains("::") && !name.contains('/');
}

/// `a.b.c` into `a.b` and `c`. Names that exporters make up (`onnx::MatMul_12`, `val_3`) have no
/// module.
std::pair<StringRef, StringRef> splitName(StringRef name) {
  if (isMangled(name)) {
    for (StringRef role : {"weight", "bias", "running_mean", "running_var"})
      if (StringRef module = name.drop_front(2);
          module.consume_back(role) && module.consume_back("_") && !module.empty())
        return {module, name.take_back(role.size())};
    return {};
  }
  if (!name.contains('.') || name.contains("::") || name.contains('/'))
    return {};
  return name.rsplit('.');
}

/// Exporters fold a normalisation into the convolution before it. The weight then has a made-up
/// name, or is read in the normalisation's module, and what an adapter says of the original no
/// longer fits it. `path` is the convolution's scope; `owner` its own path, where its weight tells.
bool isFolded(Operation *op, StringRef path, StringRef &owner) {
  if (!isOp(op, "Conv") && !isOp(op, "ConvTranspose"))
    return false;
  bool transposed = false;
  Operation *weight = traceConstant(op->getOperand(1), transposed);
  if (!weight || path.empty())
    return false;
  auto [module, role] = splitName(originOf(weight->getLoc()).node);
  if (module == path && role == "weight")
    return false;
  owner = role == "weight" ? module : StringRef();
  return true;
}

/// The bias of a product, if it is a constant: added within the op or behind it.
Value biasBehind(Operation *op) {
  bool transposed = false;
  Value source;
  if (isOp(op, "Gemm"))
    return op->getNumOperands() > 2 && traceConstant(op->getOperand(2), transposed, &source)
               ? source
               : nullptr;
  if (op->getNumResults() != 1 || !op->getResult(0).hasOneUse())
    return nullptr;
  Operation *user = *op->getResult(0).user_begin();
  if (isOp(user, "Add"))
    for (Value operand : user->getOperands())
      if (traceConstant(operand, transposed, &source))
        return source;
  return nullptr;
}

/// The name that the bias behind a product gives to its module, where the product itself has none.
StringRef moduleOfBias(Operation *op, bool &mangled) {
  Value bias = biasBehind(op);
  if (!bias || !isOp(bias.getDefiningOp(), "Constant"))
    return "";
  StringRef name = originOf(bias.getDefiningOp()->getLoc()).node;
  auto [module, role] = splitName(name);
  if (role != "bias")
    return "";
  mangled = isMangled(name);
  return module;
}

/// `a.b` of `a.b_1`, or nothing.
StringRef withoutCount(StringRef scope) {
  StringRef stem = scope.rtrim("0123456789");
  if (stem.size() == scope.size() || !stem.consume_back("_") || stem.empty() || stem.back() == '.')
    return "";
  return stem;
}

} // namespace

RankedTensorType Site::canonical() const { return modular::getCanonicalType(stored, transposed); }

StringRef Site::op() const {
  return uses.empty() ? StringRef("no op") : uses.front().op->getName().stripDialect();
}

std::optional<ArrayRef<char>> graft::constantBytes(Operation *constant, std::vector<char> &buffer) {
  auto value = constant->getAttrOfType<TypedAttr>("value");
  if (auto weight = dyn_cast_or_null<modular::WeightAttr>(value))
    return constant->getContext()
        ->getOrLoadDialect<modular::ModularDialect>()
        ->getWeightStore()
        .lookup(weight.getKey());
  auto dense = dyn_cast_or_null<DenseElementsAttr>(value);
  if (!dense || !isParameterElement(dense.getElementType()))
    return std::nullopt;
  ArrayRef<char> raw = dense.getRawData();
  if (!dense.isSplat())
    return raw;
  buffer.clear();
  for (int64_t i = 0; i < dense.getNumElements(); ++i)
    buffer.insert(buffer.end(), raw.begin(), raw.end());
  return ArrayRef<char>(buffer);
}

/// Whether two constants hold the same values: exporters copy and merge them as they like.
static bool sameConstant(Operation *a, Operation *b) {
  if (a == b || a->getAttr("value") == b->getAttr("value"))
    return true;
  if (a->getResult(0).getType() != b->getResult(0).getType())
    return false;
  std::vector<char> aBuffer, bBuffer;
  auto aBytes = constantBytes(a, aBuffer), bBytes = constantBytes(b, bBuffer);
  return aBytes && bBytes && *aBytes == *bBytes;
}

/// Whether two uses read the same matrix, or whatever it is, in the same orientation or not.
static bool sameValues(const SiteUse &a, const SiteUse &b) {
  if (a.transposed == b.transposed)
    return a.stored == b.stored && sameConstant(a.constant, b.constant);
  if (a.stored.getElementType() != b.stored.getElementType() || a.stored.getRank() != 2 ||
      b.stored.getRank() != 2 || a.stored.getDimSize(0) != b.stored.getDimSize(1) ||
      a.stored.getDimSize(1) != b.stored.getDimSize(0))
    return false;
  std::vector<char> aBuffer, bBuffer;
  auto aBytes = constantBytes(a.constant, aBuffer), bBytes = constantBytes(b.constant, bBuffer);
  return aBytes && bBytes &&
         ArrayRef<char>(transposeBytes(*aBytes, a.stored.getDimSize(0), a.stored.getDimSize(1),
                                       elementSize(a.stored.getElementType()))) == *bBytes;
}

/// An op that reads a parameter, and from where.
struct Sites::Read {
  SiteUse use;
  Value source;
  /// The op's scope, and whether only the op's name tells it.
  std::string scope;
  bool fromName = false;
  /// The module that the scope is a call of.
  std::string module;
};

Sites::Sites(ModuleOp module, ArrayRef<std::string> named) {
  std::vector<Read> reads;
  module.walk([&](Operation *op) {
    if (isOp(op, "Transpose") || isOp(op, "Identity") || isOp(op, "Cast") || isOp(op, "Constant"))
      return;
    for (OpOperand &operand : op->getOpOperands()) {
      Read read;
      bool transposedByOps = false;
      Operation *constant = traceConstant(operand.get(), transposedByOps, &read.source);
      auto type = constant ? dyn_cast<RankedTensorType>(constant->getResult(0).getType())
                           : RankedTensorType();
      if (!type || !isParameterElement(type.getElementType()) || type.getRank() == 0)
        continue;
      const Use kind = classify(op, operand.getOperandNumber(), type);
      Origin origin = originOf(op->getLoc());
      read.use = SiteUse{op, operand.getOperandNumber(), constant, type,
                         type.getRank() == 2 && (kind.transposed ^ transposedByOps)};
      read.scope = origin.module.str();
      read.fromName = origin.node.contains('/');
      reads.push_back(std::move(read));
    }
  });
  resolveCalls(reads, named);
  for (const Read &read : reads)
    if (std::optional<Site> site = describe(read, read.module))
      add(std::move(*site));
}

/// Whether two reads are of one parameter of one module, if their scopes may be calls of it. A read
/// under another name of equal values is of a module of its own: exporters merge parameters of
/// distinct modules that happen to be equal, such as new norms. Only weights that the exporter has
/// turned have a copy, without a name, for each call: there the bias tells.
bool Sites::sameParameter(const Read &a, const Read &b) {
  if (!sameValues(a.use, b.use))
    return false;
  if (a.source == b.source)
    return true;
  if (!splitName(originOf(a.use.constant->getLoc()).node).second.empty() &&
      !splitName(originOf(b.use.constant->getLoc()).node).second.empty())
    return false;
  return biasBehind(a.use.op) == biasBehind(b.use.op);
}

/// Finds which scopes are calls of modules that other scopes have named before. A scope may be both
/// a call of `a` and the module `a_1`.
void Sites::resolveCalls(std::vector<Read> &reads, ArrayRef<std::string> named) {
  auto isNamed = [&](StringRef scope) {
    return llvm::any_of(named, [&](StringRef path) {
      return path == scope || path.ends_with(("." + scope).str()) ||
             scope.ends_with(("." + path).str());
    });
  };
  // A scope is longer than the module's that it is a call of.
  std::map<std::pair<size_t, StringRef>, std::vector<Read *>> scopes;
  for (Read &read : reads)
    scopes[{read.scope.size(), read.scope}].push_back(&read);
  std::map<std::string, std::vector<const Read *>> known;
  for (auto &[key, here] : scopes) {
    const StringRef scope = key.second, stem = withoutCount(scope);
    size_t found = 0;
    for (Read *read : here) {
      read->module = read->scope;
      std::optional<Site> site;
      if (!stem.empty() && read->fromName)
        site = describe(*read, stem);
      if (site && llvm::any_of(known[site->path()],
                               [&](const Read *other) { return sameParameter(*read, *other); })) {
        read->module = stem.str();
        ++found;
      }
    }
    // The adapter's module must be somewhere.
    if (found == here.size() && found > 0 && isNamed(scope))
      for (Read *read : here)
        read->module = read->scope;
    else if (found == here.size() && found > 0)
      calls[scope.str()] = stem.str();
    for (const Read *read : here)
      if (std::optional<Site> site = describe(*read, read->module))
        known[site->path()].push_back(read);
  }
}

StringRef Sites::called(StringRef scope) const {
  auto it = calls.find(scope.str());
  return it == calls.end() ? scope : StringRef(it->second);
}

Site *Sites::find(StringRef module, StringRef role) {
  const std::string end = "." + role.str();
  auto it = byPath.find(module.empty() ? role.str() : module.str() + end);
  if (it == byPath.end()) {
    std::string mangled = module.str();
    std::replace(mangled.begin(), mangled.end(), '.', '_');
    it = byPath.find(mangled + end);
    if (it != byPath.end() && !list[it->second].mangled)
      it = byPath.end();
  }
  if (it != byPath.end())
    return &list[it->second];
  // Optimisers drop the addition of zeros: a linear layer without a bias may have had one.
  Site *weight = role == "bias" ? find(module, "weight") : nullptr;
  if (!weight || weight->kind != Site::Linear || !weight->obstacle.empty())
    return nullptr;
  Site bias;
  bias.module = weight->module;
  bias.role = role.str();
  bias.mangled = weight->mangled;
  bias.absent = true;
  bias.kind = Site::Bias;
  bias.stored =
      RankedTensorType::get({weight->canonical().getDimSize(0)}, weight->stored.getElementType());
  byPath.emplace(bias.path(), list.size());
  list.push_back(std::move(bias));
  return &list.back();
}

void Sites::write(Site &site) {
  Site *weight = find(site.module, "weight");
  OpBuilder builder(weight->uses.front().op->getContext());
  for (const SiteUse &use : weight->uses) {
    builder.setInsertionPoint(use.op);
    OperationState zeros(use.op->getLoc(), "onnx.Constant", ValueRange(), TypeRange(site.stored),
                         {builder.getNamedAttr("value", builder.getZeroAttr(site.stored))});
    Operation *constant = builder.create(zeros);
    if (isOp(use.op, "Gemm")) {
      use.op->insertOperands(2, constant->getResult(0));
      site.uses.push_back({use.op, 2, constant, site.stored});
      continue;
    }
    builder.setInsertionPointAfter(use.op);
    Value product = use.op->getResult(0);
    OperationState sum(use.op->getLoc(), "onnx.Add", {product, constant->getResult(0)},
                       TypeRange(product.getType()));
    Operation *add = builder.create(sum);
    product.replaceAllUsesExcept(add->getResult(0), add);
    site.uses.push_back({add, 1, constant, site.stored});
  }
  site.absent = false;
}

/// The parameter that an op reads, if the op is in the module `scope`. Nothing if it is none.
std::optional<Site> Sites::describe(const Read &read, StringRef scope) {
  const SiteUse &use = read.use;
  Use kind = classify(use.op, use.operand, use.stored);
  Site site;
  site.constant = originOf(use.constant->getLoc()).node.str();
  auto [namedModule, namedRole] = splitName(site.constant);
  bool isMangledBias = false;

  site.module = scope.str();
  if (site.module.empty()) {
    site.module = namedModule.str();
    if (site.module.empty() && kind.kind == Site::Linear)
      site.module = moduleOfBias(use.op, isMangledBias).str();
  }
  // A module that computes with the parameters of another inside it, as torch's
  // MultiheadAttention does with out_proj, is not their owner.
  if (!scope.empty()) {
    StringRef owner = namedModule;
    bool isMangledOwner = false; // of no use: its path can't begin with this one's
    if (namedRole.empty() && kind.kind == Site::Linear)
      owner = moduleOfBias(use.op, isMangledOwner);
    if (owner.starts_with((scope + ".").str()))
      site.module = owner.str();
  }
  if (!namedRole.empty() && namedModule == site.module)
    site.role = namedRole.str();
  else if (kind.role)
    site.role = kind.role;
  else if (!namedRole.empty()) { // read straight in the module that contains it
    site.module = namedModule.str();
    site.role = namedRole.str();
  } else {
    return std::nullopt;
  }
  site.mangled = site.module == namedModule ? isMangled(site.constant) : isMangledBias;
  if (namedRole.empty() && (site.module.empty() || use.stored.getNumElements() == 1))
    return std::nullopt; // a number in a formula
  site.kind = kind.kind;
  site.stored = use.stored;
  site.transposed = use.transposed;
  if (StringRef owner; isFolded(use.op, scope, owner)) {
    site.obstacle =
        "its weight isn't the module's own: the exporter has folded a normalisation into "
        "it; export without that folding";
    if (!owner.empty())
      site.module = owner.str();
  }
  site.uses.push_back(use);
  return site;
}

void Sites::add(Site site) {
  auto [it, isNew] = byPath.try_emplace(site.path(), list.size());
  if (isNew) {
    list.push_back(std::move(site));
    return;
  }
  Site &known = list[it->second];
  const SiteUse &first = known.uses.front(), &use = site.uses.front();
  const bool turned = first.transposed != use.transposed;
  if ((!turned || (known.kind == Site::Linear && site.kind == Site::Linear)) &&
      sameValues(first, use))
    known.uses.push_back(use);
  else if (known.kind == Site::Other && site.kind != Site::Other)
    known = std::move(site); // a layer's weight outranks whatever else the module multiplies with
  else if (site.kind != Site::Other || known.kind == Site::Other)
    known.obstacle = "the module reads several parameters of that name";
}
