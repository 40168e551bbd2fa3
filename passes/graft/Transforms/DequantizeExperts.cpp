//===- DequantizeExperts.cpp - com.microsoft's QMoE becomes a MoE of floats -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Fault/Fault.h"
#include "graft/Modular/ParameterValues.h"
#include "graft/Transforms/RaiseRouting.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;

namespace {
/// Integers of some bits, packed into bytes along rows, the first in the lowest bits.
struct Packed {
  ArrayRef<char> bytes;
  int64_t bits, rowBytes;

  int64_t at(int64_t row, int64_t column) const {
    const int64_t perByte = 8 / bits;
    const uint8_t byte = bytes[row * rowBytes + column / perByte];
    return byte >> (column % perByte * bits) & ((1 << bits) - 1);
  }
};

/// One of the op's layers: (experts, rows, columns) of integers, scales of rows or of blocks along
/// their columns, and zero points, which are in the middle unless given.
struct Layer {
  StringRef name;
  Value weight, scales, zeroPoints;
  int64_t bits;
};

class Dequantizer {
public:
  explicit Dequantizer(Operation *op);

  LogicalResult check();
  FailureOr<Value> dequantize(const Layer &layer, OpBuilder &builder);
  FailureOr<Operation *> run();

private:
  Value operand(unsigned number) const {
    return number < operands.size() ? operands[number] : Value();
  }
  int64_t integer(StringRef name, int64_t missing) const {
    auto attribute = op->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : missing;
  }
  InFlightDiagnostic fault() const { return emitInputFault(op) << "QMoE: "; }
  InFlightDiagnostic unsupported() const {
    return emitUnsupportedFault(op) << "not supported: QMoE: ";
  }
  /// The bytes of a constant of uint8 of that shape; an error if it is none.
  FailureOr<ArrayRef<char>> bytesOf(Value value, StringRef name, ArrayRef<int64_t> shape) const;
  FailureOr<std::vector<double>> scalesOf(const Layer &layer, ArrayRef<int64_t> shape) const;

  Operation *op;
  SmallVector<Value> operands; ///< by their numbers in the schema, null where left out
  int64_t blockSize;
};
} // namespace

Dequantizer::Dequantizer(Operation *op) : op(op), blockSize(integer("block_size", 0)) {
  auto segments = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
  unsigned next = 0;
  for (size_t i = 0, n = segments ? segments.size() : op->getNumOperands(); i < n; ++i) {
    const bool isThere = (!segments || segments[i] != 0) && next < op->getNumOperands();
    operands.push_back(isThere ? op->getOperand(next++) : Value());
  }
}

static std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text = "(";
  for (int64_t dim : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(dim);
  return text + ")";
}

static std::string typeText(Value value) {
  std::string text;
  llvm::raw_string_ostream(text) << value.getType();
  return text;
}

FailureOr<ArrayRef<char>> Dequantizer::bytesOf(Value value, StringRef name,
                                               ArrayRef<int64_t> shape) const {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto type = typeOf(value);
  if (!constant || !type || !type.getElementType().isInteger(8) || type.getShape() != shape)
    return LogicalResult(fault() << name << ": expected constant bytes of " << shapeText(shape)
                                 << ", found "
                                 << (constant ? typeText(value) : "what is computed"));
  if (auto weight = dyn_cast<WeightAttr>(constant.getValue()))
    if (auto bytes = op->getContext()->getLoadedDialect<ModularDialect>()->getWeightStore().lookup(
            weight.getKey()))
      return *bytes;
  auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!dense || dense.isSplat())
    return LogicalResult(fault() << name << ": expected bytes that are at hand");
  return dense.getRawData();
}

FailureOr<std::vector<double>> Dequantizer::scalesOf(const Layer &layer,
                                                     ArrayRef<int64_t> shape) const {
  auto constant = layer.scales ? layer.scales.getDefiningOp<onnx::ConstantOp>() : nullptr;
  auto type = layer.scales ? typeOf(layer.scales) : RankedTensorType();
  if (!constant || !type || !isa<FloatType>(type.getElementType()) || type.getShape() != shape)
    return LogicalResult(fault() << layer.name << "_scales: expected constant floats of "
                                 << shapeText(shape) << ", found "
                                 << (!layer.scales ? "none"
                                     : constant    ? typeText(layer.scales)
                                                   : "what is computed"));
  FailureOr<std::vector<double>> scales = readElements(op, constant.getValue());
  if (succeeded(scales))
    for (auto [i, scale] : llvm::enumerate(*scales))
      if (!std::isfinite(scale))
        return LogicalResult(fault() << layer.name << "_scales: expected finite numbers, found "
                                     << std::to_string(scale) << " at " << i);
  return scales;
}

FailureOr<Value> Dequantizer::dequantize(const Layer &layer, OpBuilder &builder) {
  if (!layer.weight)
    return Value();
  if (!llvm::is_contained({2, 4, 8}, layer.bits))
    return LogicalResult(unsupported() << layer.name << "_expert_weight_bits " << layer.bits);
  auto type = typeOf(layer.weight);
  const int64_t perByte = 8 / layer.bits;
  int64_t columns, count;
  if (!type || type.getRank() != 3 || !type.hasStaticShape() ||
      llvm::MulOverflow(type.getDimSize(2), perByte, columns) ||
      llvm::MulOverflow(type.getDimSize(0), type.getDimSize(1), count) ||
      llvm::MulOverflow(count, columns, count))
    return LogicalResult(
        fault() << layer.name
                << "_experts_weights: expected (experts, rows, columns · bits / 8), "
                   "found "
                << typeText(layer.weight));
  const int64_t experts = type.getDimSize(0), rows = type.getDimSize(1);
  FailureOr<ArrayRef<char>> bytes =
      bytesOf(layer.weight, (layer.name + "_experts_weights").str(), type.getShape());
  if (failed(bytes))
    return failure();
  if (blockSize != 0 && columns % blockSize != 0)
    return LogicalResult(fault() << layer.name << ": expected columns in blocks of " << blockSize
                                 << ", found " << columns);
  const int64_t block = blockSize == 0 ? columns : blockSize,
                blocks = columns / std::max<int64_t>(block, 1);
  SmallVector<int64_t> shape = {experts, rows};
  if (blockSize != 0)
    shape.push_back(blocks);
  FailureOr<std::vector<double>> scales = scalesOf(layer, shape);
  if (failed(scales))
    return failure();
  // Zero points are packed along the rows of one expert, or along the blocks of one row.
  std::optional<Packed> zeros;
  if (layer.zeroPoints) {
    const int64_t along = blockSize == 0 ? rows : blocks;
    SmallVector<int64_t> packed = {experts};
    if (blockSize != 0)
      packed.push_back(rows);
    packed.push_back((along * layer.bits + 7) / 8);
    FailureOr<ArrayRef<char>> found =
        bytesOf(layer.zeroPoints, (layer.name + "_zero_points").str(), packed);
    if (failed(found))
      return failure();
    zeros = Packed{*found, layer.bits, packed.back()};
  }
  const Packed weights{*bytes, layer.bits, type.getDimSize(2)};
  Type element = getElementTypeOrSelf(operand(0).getType());
  auto wide = RankedTensorType::get({experts, rows, columns}, element);
  const int64_t width = element.getIntOrFloatBitWidth() / 8;
  std::vector<char> out(count * width);
  std::vector<double> line(columns);
  for (int64_t row = 0; row < experts * rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t at = column / block;
      const int64_t zero = !zeros           ? int64_t(1) << (layer.bits - 1)
                           : blockSize == 0 ? zeros->at(row / rows, row % rows)
                                            : zeros->at(row, at);
      line[column] = double(weights.at(row, column) - zero) * (*scales)[row * blocks + at];
    }
    std::vector<char> rounded = roundElements(line, element);
    std::copy(rounded.begin(), rounded.end(), out.begin() + row * columns * width);
  }
  auto constant = layer.weight.getDefiningOp<onnx::ConstantOp>();
  auto weight = dyn_cast<WeightAttr>(constant.getValue());
  std::string key = weight ? (weight.getKey() + ".dequantized").str() : layer.name.str();
  auto &store = op->getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  StringRef name = store.addProduced(key, wide, std::move(out));
  return onnx::ConstantOp::create(builder, op->getLoc(), wide,
                                  cast<TypedAttr>(WeightAttr::get(op->getContext(), name, wide)))
      .getResult();
}

LogicalResult Dequantizer::check() {
  auto kind = op->getAttrOfType<StringAttr>("quant_type");
  if (kind && kind.getValue() != "int")
    return unsupported() << "quant_type " << kind.getValue();
  // -1, unless given, is what the op's CPU kernel takes it for: the same.
  if (integer("weights_prepacked", -1) == 1)
    return unsupported() << "weights_prepacked 1";
  if (integer("swiglu_limit_after_activation", 0) != 0)
    return unsupported() << "swiglu_limit_after_activation";
  for (unsigned number = 15; number < operands.size(); ++number)
    if (operand(number))
      return unsupported() << "global scales and scales of activations";
  if (blockSize != 0 && (blockSize < 16 || !llvm::isPowerOf2_64(blockSize)))
    return fault() << "block_size: expected a power of two from 16 on, found " << blockSize;
  if (!operand(0) || !operand(1) || !operand(2) || !operand(5))
    return fault() << "expected an input, scores and two weights";
  Type element = getElementTypeOrSelf(operand(0).getType());
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return fault() << "expected an input of floats, found " << typeText(operand(0));
  return success();
}

/// The MoE with the same attributes: input, scores, three times weight and bias, and the scores
/// that weigh if they are others.
FailureOr<Operation *> Dequantizer::run() {
  if (failed(check()))
    return failure();
  const int64_t bits = integer("expert_weight_bits", 4);
  OpBuilder builder(op);
  SmallVector<Value> values = {operand(0), operand(1)};
  const StringRef names[] = {"fc1", "fc2", "fc3"};
  for (auto [i, name] : llvm::enumerate(names)) {
    Layer layer{name, operand(2 + 3 * i), operand(3 + 3 * i), operand(11 + i),
                integer((name + "_expert_weight_bits").str(), bits)};
    FailureOr<Value> weight = dequantize(layer, builder);
    if (failed(weight))
      return failure();
    values.append({*weight, operand(4 + 3 * i)});
  }
  values.push_back(operand(14));
  OperationState state(op->getLoc(), "onnx.com.microsoft.MoE");
  SmallVector<int32_t> segments;
  for (Value value : values) {
    segments.push_back(value ? 1 : 0);
    if (value)
      state.operands.push_back(value);
  }
  state.addTypes(op->getResultTypes());
  for (NamedAttribute attribute : op->getAttrs())
    if (attribute.getName() != "operandSegmentSizes")
      state.attributes.push_back(attribute);
  state.addAttribute("operandSegmentSizes", builder.getDenseI32ArrayAttr(segments));
  Operation *moe = builder.create(state);
  op->replaceAllUsesWith(moe);
  op->erase();
  return moe;
}

FailureOr<Operation *> graft::raise::dequantizeExperts(Operation *op) {
  if (op->getName().getStringRef() != "onnx.com.microsoft.QMoE" || op->getNumResults() != 1)
    return op;
  return Dequantizer(op).run();
}
