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
Operation *traceConstant(Value value, bool &transposed) {
  while (Operation *op = value.getDefiningOp()) {
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
/// longer fits it. `owner` is the convolution's own path, where its weight tells.
bool isFolded(Operation *op, StringRef &owner) {
  if (!isOp(op, "Conv") && !isOp(op, "ConvTranspose"))
    return false;
  bool transposed = false;
  Operation *weight = traceConstant(op->getOperand(1), transposed);
  StringRef path = originOf(op->getLoc()).module;
  if (!weight || path.empty())
    return false;
  auto [module, role] = splitName(originOf(weight->getLoc()).node);
  if (module == path && role == "weight")
    return false;
  owner = role == "weight" ? module : StringRef();
  return true;
}

/// The name that the bias behind a product gives to its module, where the product itself has none.
StringRef moduleOfBias(Operation *op, bool &mangled) {
  if (op->getNumResults() != 1 || !op->getResult(0).hasOneUse())
    return "";
  Operation *user = *op->getResult(0).user_begin();
  if (!isOp(user, "Add"))
    return "";
  for (Value operand : user->getOperands())
    if (Operation *constant = operand.getDefiningOp(); isOp(constant, "Constant")) {
      StringRef name = originOf(constant->getLoc()).node;
      if (auto [module, role] = splitName(name); role == "bias") {
        mangled = isMangled(name);
        return module;
      }
    }
  return "";
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

Sites::Sites(ModuleOp module) {
  module.walk([&](Operation *op) {
    if (isOp(op, "Transpose") || isOp(op, "Identity") || isOp(op, "Cast") || isOp(op, "Constant"))
      return;
    for (OpOperand &operand : op->getOpOperands()) {
      bool transposed = false;
      if (Operation *constant = traceConstant(operand.get(), transposed))
        add(SiteUse{op, operand.getOperandNumber(), constant}, transposed);
    }
  });
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
      site.uses.push_back({use.op, 2, constant});
      continue;
    }
    builder.setInsertionPointAfter(use.op);
    Value product = use.op->getResult(0);
    OperationState sum(use.op->getLoc(), "onnx.Add", {product, constant->getResult(0)},
                       TypeRange(product.getType()));
    Operation *add = builder.create(sum);
    product.replaceAllUsesExcept(add->getResult(0), add);
    site.uses.push_back({add, 1, constant});
  }
  site.absent = false;
}

void Sites::add(SiteUse use, bool transposedByOps) {
  auto type = dyn_cast<RankedTensorType>(use.constant->getResult(0).getType());
  if (!type || !isParameterElement(type.getElementType()) || type.getRank() == 0)
    return;
  Use kind = classify(use.op, use.operand, type);
  Origin origin = originOf(use.op->getLoc());
  Site site;
  site.constant = originOf(use.constant->getLoc()).node.str();
  auto [namedModule, namedRole] = splitName(site.constant);
  bool isMangledBias = false;

  site.module = origin.module.str();
  if (site.module.empty()) {
    site.module = namedModule.str();
    if (site.module.empty() && kind.kind == Site::Linear)
      site.module = moduleOfBias(use.op, isMangledBias).str();
  }
  // A module that computes with the parameters of another inside it, as torch's
  // MultiheadAttention does with out_proj, is not their owner.
  if (!origin.module.empty()) {
    StringRef owner = namedModule;
    bool isMangledOwner = false; // of no use: its path can't begin with this one's
    if (namedRole.empty() && kind.kind == Site::Linear)
      owner = moduleOfBias(use.op, isMangledOwner);
    if (owner.starts_with((origin.module + ".").str()))
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
    return;
  }
  site.mangled = site.module == namedModule ? isMangled(site.constant) : isMangledBias;
  if (namedRole.empty() && (site.module.empty() || type.getNumElements() == 1))
    return; // a number in a formula
  site.kind = kind.kind;
  site.stored = type;
  site.transposed = type.getRank() == 2 && (kind.transposed ^ transposedByOps);
  if (StringRef owner; isFolded(use.op, owner)) {
    site.obstacle =
        "its weight isn't the module's own: the exporter has folded a normalisation into "
        "it; export without that folding";
    if (!owner.empty())
      site.module = owner.str();
  }

  auto [it, isNew] = byPath.try_emplace(site.path(), list.size());
  site.uses.push_back(use);
  if (isNew) {
    list.push_back(std::move(site));
    return;
  }
  Site &known = list[it->second];
  if (known.stored == site.stored && known.transposed == site.transposed &&
      sameConstant(known.uses.front().constant, use.constant))
    known.uses.push_back(use);
  else if (known.kind == Site::Other && site.kind != Site::Other)
    known = std::move(site); // a layer's weight outranks whatever else the module multiplies with
  else if (site.kind != Site::Other || known.kind == Site::Other)
    known.obstacle = "the module reads several parameters of that name";
}
