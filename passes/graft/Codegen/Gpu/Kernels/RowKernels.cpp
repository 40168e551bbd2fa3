//===- RowKernels.cpp - Softmax and norms, a warp a row ----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A lane has every 32nd element of its warp's row. It reads an element before it writes it and
// touches no other lane's, so that the result may be in the place of what it is made of. A row's
// sums are in an order that depends on its length alone.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/KernelFunction.h"
#include "graft/Codegen/Gpu/KernelTraffic.h"
#include "graft/Codegen/Gpu/Kernels/DeviceBuilder.h"
#include "graft/Codegen/Gpu/Kernels/DeviceKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

static constexpr unsigned kWarps = 8;
/// Elements of a row that a lane keeps in registers.
static constexpr int64_t kMostKept = 32;
/// Elements that a lane reads before it uses the first of them.
static constexpr int64_t kAhead = 4;

namespace {
/// The rows of an op's last dimension.
class RowKernel {
public:
  using Values = DeviceBuilder::Values;

  RowKernel(Operation *op, Value out)
      : op(op), out(out), type(cast<MemRefType>(out.getType())), host(op) {}

  bool isPossible() const;
  /// `body` writes the code of a warp for one row.
  void convert(StringRef name, function_ref<void(DeviceBuilder &)> body);

  /// In the kernel, element `i` of the row in an operand that broadcasts to out, as f32.
  Value read(Value operand, Value i);
  /// The row's elements are what `read` gives, from here on.
  void start(std::function<Value(Value i)> read);
  /// They are what `change` makes of them, from here on.
  void map(std::function<Value(Value)> change);
  /// Carries values over the lane's elements.
  Values sweep(ValueRange inits, function_ref<Values(Value x, ValueRange carried)> use);
  /// Stores what `finish` makes of each element and of `extras` at its place.
  void write(ValueRange extras, function_ref<Value(Value x, ValueRange extras)> finish);

  /// The length of a row, as f32.
  Value count();
  Value real(double value) { return b->real(b->getF32Type(), value); }

private:
  using Read = function_ref<Values(Value i)>;
  using Use = function_ref<Values(Value i, ValueRange read, ValueRange carried)>;

  int64_t length() const { return type.getShape().back(); }
  bool isKept() const {
    return !ShapedType::isDynamic(length()) && length() <= kMostKept * DeviceBuilder::kLanes;
  }
  /// An operand of out's shape without gaps is a matrix of rows to the kernel.
  bool isMatrix(Value operand) const;
  SmallVector<Value> place(Value operand, Value i);
  Values sweep(ValueRange inits, Read extra, Use use);
  /// Uses the elements at `places`, of which `known` are kept, after all of them are read.
  Values step(ArrayRef<Value> places, ArrayRef<Value> known, ValueRange carried, Read extra,
              Use use);

  Operation *op;
  Value out;
  MemRefType type;
  OpBuilder host;

  DeviceBuilder *b = nullptr;
  llvm::DenseMap<Value, Value> inKernel;
  Value row, lane, size;
  Values leading; ///< the row's place in out, but for the last dimension
  std::function<Value(Value)> element;
  Values kept;
};
} // namespace

bool RowKernel::isPossible() const {
  Type of = type.getElementType();
  return (of.isF32() || of.isF16() || of.isBF16()) &&
         llvm::all_of(op->getOperandTypes(), [](Type operand) { return canPass(operand); });
}

bool RowKernel::isMatrix(Value operand) const {
  auto own = cast<MemRefType>(operand.getType());
  return own.getShape() == type.getShape() && own.getLayout().isIdentity() && !isTable(operand);
}

SmallVector<Value> RowKernel::place(Value operand, Value i) {
  Value at = b->index(i);
  if (isMatrix(operand))
    return {row, at};
  Values all(leading), own;
  all.push_back(at);
  auto of = cast<MemRefType>(operand.getType());
  for (int64_t d = 0; d < of.getRank(); ++d)
    own.push_back(of.getDimSize(d) == 1 ? arith::ConstantIndexOp::create(*b, 0)
                                        : all[all.size() - size_t(of.getRank()) + size_t(d)]);
  return own;
}

Value RowKernel::read(Value operand, Value i) {
  Value x = memref::LoadOp::create(*b, inKernel.lookup(operand), place(operand, i));
  return x.getType().isF32() ? x : arith::ExtFOp::create(*b, b->getF32Type(), x);
}

Value RowKernel::count() {
  return ShapedType::isDynamic(length()) ? arith::UIToFPOp::create(*b, b->getF32Type(), size)
                                         : real(double(length()));
}

void RowKernel::start(std::function<Value(Value)> read) {
  element = std::move(read);
  kept.clear();
  if (!isKept())
    return;
  for (int64_t from = 0; from < length(); from += DeviceBuilder::kLanes) {
    Value i = b->add(lane, from);
    if (from + DeviceBuilder::kLanes <= length())
      kept.push_back(element(i));
    else
      kept.push_back(
          b->when(b->isBelow(i, length()), real(0), [&]() -> Values { return {element(i)}; })[0]);
  }
}

void RowKernel::map(std::function<Value(Value)> change) {
  for (Value &x : kept)
    x = change(x);
  element = [before = std::move(element), change](Value i) { return change(before(i)); };
}

RowKernel::Values RowKernel::step(ArrayRef<Value> places, ArrayRef<Value> known, ValueRange carried,
                                  Read extra, Use use) {
  SmallVector<Values> read;
  for (auto [number, i] : llvm::enumerate(places)) {
    read.push_back({known.empty() ? element(i) : known[number]});
    llvm::append_range(read.back(), extra(i));
  }
  Values values(carried);
  for (auto [i, own] : llvm::zip(places, read))
    values = use(i, own, values);
  return values;
}

RowKernel::Values RowKernel::sweep(ValueRange inits, Read extra, Use use) {
  constexpr int64_t lanes = DeviceBuilder::kLanes, ahead = kAhead * lanes;
  auto from = [&](Value first, int64_t count) {
    Values places;
    for (int64_t c = 0; c < count; ++c)
      places.push_back(b->add(first, c * lanes));
    return places;
  };
  if (!isKept()) {
    Value whole = b->mul(b->div(size, ahead), ahead);
    Values values =
        b->loop(lane, whole, b->i32(ahead), inits, [&](Value first, ValueRange carried) {
          return step(from(first, kAhead), {}, carried, extra, use);
        });
    return b->loop(b->add(whole, lane), size, b->i32(lanes), values,
                   [&](Value i, ValueRange carried) { return step(i, {}, carried, extra, use); });
  }
  Values values(inits);
  const int64_t whole = length() / lanes;
  for (int64_t c = 0; c < whole; c += kAhead) {
    const int64_t count = std::min(kAhead, whole - c);
    values = step(from(b->add(lane, c * lanes), count),
                  ArrayRef(kept).slice(size_t(c), size_t(count)), values, extra, use);
  }
  if (whole * lanes == length())
    return values;
  Value i = b->add(lane, whole * lanes);
  return b->when(b->isBelow(i, length()), values,
                 [&] { return step(i, kept.back(), values, extra, use); });
}

RowKernel::Values RowKernel::sweep(ValueRange inits, function_ref<Values(Value, ValueRange)> use) {
  return sweep(
      inits, [](Value) { return Values(); },
      [&](Value, ValueRange read, ValueRange carried) { return use(read[0], carried); });
}

void RowKernel::write(ValueRange extras, function_ref<Value(Value, ValueRange)> finish) {
  auto readExtras = [&](Value i) {
    Values values;
    for (Value extra : extras)
      values.push_back(read(extra, i));
    return values;
  };
  sweep({}, readExtras, [&](Value i, ValueRange read, ValueRange) -> Values {
    Value x = finish(read[0], read.drop_front());
    if (!type.getElementType().isF32())
      x = arith::TruncFOp::create(*b, type.getElementType(), x);
    memref::StoreOp::create(*b, x, inKernel.lookup(out), place(out, i));
    return {};
  });
}

void RowKernel::convert(StringRef name, function_ref<void(DeviceBuilder &)> body) {
  Location loc = op->getLoc();
  const int64_t rank = type.getRank();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(host, loc, value);
  };
  SmallVector<Value> sizes;
  for (int64_t d = 0; d < rank; ++d)
    sizes.push_back(memref::DimOp::create(host, loc, out, d));
  Value rows = constant(1);
  for (Value one : ArrayRef(sizes).drop_back())
    rows = arith::MulIOp::create(host, loc, rows, one);

  SmallVector<Value> captured{rows};
  const int64_t first = rank > 1 ? 1 : 0; // of the sizes that places are found with
  for (int64_t d = first; d < rank; ++d)
    if (type.isDynamicDim(d))
      captured.push_back(sizes[size_t(d)]);
  const size_t numbers = captured.size();
  llvm::SetVector<Value> operands(op->operand_begin(), op->operand_end());
  for (Value operand : operands)
    captured.push_back(isMatrix(operand) ? pointerTo(host, loc, operand) : operand);

  Value blocks = arith::CeilDivUIOp::create(host, loc, rows, constant(kWarps));
  KernelFunction kernel =
      KernelFunction::create(host, loc, name, blocks, kWarps * DeviceBuilder::kLanes, captured);
  setTraffic(kernel.launch, symbolicBytes(op->getOperands()), std::nullopt);
  OpBuilder builder(kernel.function.getBody().front().getTerminator());
  DeviceBuilder device(loc, builder);
  b = &device;
  SmallVector<Value> known, matrix{kernel.values[0]};
  known.resize(size_t(first));
  for (unsigned next = 1, d = unsigned(first); d < unsigned(rank); ++d)
    known.push_back(type.isDynamicDim(d) ? b->narrow(kernel.values[next++])
                                         : b->i32(type.getDimSize(d)));
  if (ShapedType::isDynamic(length()))
    matrix.push_back(kernel.values[numbers - 1]);
  for (auto [operand, value] : llvm::zip(operands, ArrayRef(kernel.values).drop_front(numbers)))
    inKernel[operand] =
        isMatrix(operand)
            ? viewPointer(device, loc, value,
                          MemRefType::get({ShapedType::kDynamic, length()}, type.getElementType()),
                          matrix)
            : value;
  size = known.back();
  lane = b->rem(b->thread(), DeviceBuilder::kLanes);
  Value warp = b->div(b->thread(), DeviceBuilder::kLanes);
  b->loop(b->add(b->mul(b->block(), kWarps), warp), b->narrow(kernel.values[0]),
          b->mul(b->blocks(), kWarps), [&](Value number) {
            row = b->index(number);
            leading.assign(size_t(rank) - 1, Value());
            for (int64_t d = rank - 2; d > 0; --d) {
              leading[size_t(d)] = b->index(b->rem(number, known[size_t(d)]));
              number = b->div(number, known[size_t(d)]);
            }
            if (rank > 1)
              leading[0] = b->index(number);
            body(device);
          });
  op->erase();
}

bool graft::convertToKernel(SoftmaxOp op) {
  // The scores of a router: graft-fuse-rows makes one kernel of all that it does to a row.
  constexpr int64_t kRouter = 128;
  const int64_t columns = cast<ShapedType>(op.getInit().getType()).getShape().back();
  if (!ShapedType::isDynamic(columns) && columns <= kRouter)
    return false;
  RowKernel kernel(op, op.getInit());
  if (!kernel.isPossible())
    return false;
  const float scale = op.getScale().convertToFloat();
  Value input = op.getInput(), mask = op.getMask();
  kernel.convert("softmax", [&](DeviceBuilder &b) {
    kernel.start([&kernel, &b, scale, input, mask](Value i) {
      Value x = kernel.read(input, i);
      if (scale != 1.0f)
        x = arith::MulFOp::create(b, x, kernel.real(scale));
      return mask ? arith::AddFOp::create(b, x, kernel.read(mask, i)) : x;
    });
    Value greatest = kernel.sweep(kernel.real(-std::numeric_limits<double>::infinity()),
                                  [&](Value x, ValueRange carried) -> DeviceBuilder::Values {
                                    return {arith::MaximumFOp::create(b, carried[0], x)};
                                  })[0];
    greatest = b.greatestOfLanes(greatest);
    kernel.map([&b, greatest](Value x) -> Value {
      return math::ExpOp::create(b, arith::SubFOp::create(b, x, greatest));
    });
    Value total =
        kernel.sweep(kernel.real(0), [&](Value x, ValueRange carried) -> DeviceBuilder::Values {
          return {arith::AddFOp::create(b, carried[0], x)};
        })[0];
    Value inverse = arith::DivFOp::create(b, kernel.real(1), b.sumOfLanes(total));
    kernel.write({}, [&](Value x, ValueRange) { return arith::MulFOp::create(b, x, inverse); });
  });
  return true;
}

bool graft::convertToKernel(LayerNormOp op) {
  RowKernel kernel(op, op.getInit());
  if (!kernel.isPossible())
    return false;
  Value input = op.getInput(), residual = op.getResidual();
  const double epsilon = op.getEpsilon().convertToDouble();
  const bool isRms = op.getRms(), hasWeight = bool(op.getWeight()), hasBias = bool(op.getBias());
  SmallVector<Value> extras;
  for (Value extra : {op.getWeight(), op.getBias()})
    if (extra)
      extras.push_back(extra);
  kernel.convert(isRms ? "rms_norm" : "layer_norm", [&](DeviceBuilder &b) {
    kernel.start([&kernel, &b, input, residual](Value i) -> Value {
      Value x = kernel.read(input, i);
      return residual ? arith::AddFOp::create(b, x, kernel.read(residual, i)) : x;
    });
    Value count = kernel.count();
    if (!isRms) {
      Value sum =
          kernel.sweep(kernel.real(0), [&](Value x, ValueRange carried) -> DeviceBuilder::Values {
            return {arith::AddFOp::create(b, carried[0], x)};
          })[0];
      Value mean = arith::DivFOp::create(b, b.sumOfLanes(sum), count);
      kernel.map([&b, mean](Value x) -> Value { return arith::SubFOp::create(b, x, mean); });
    }
    Value squares =
        kernel.sweep(kernel.real(0), [&](Value x, ValueRange carried) -> DeviceBuilder::Values {
          return {math::FmaOp::create(b, x, x, carried[0])};
        })[0];
    Value variance = arith::DivFOp::create(b, b.sumOfLanes(squares), count);
    Value root = math::SqrtOp::create(b, arith::AddFOp::create(b, variance, kernel.real(epsilon)));
    Value inverse = arith::DivFOp::create(b, kernel.real(1), root);
    kernel.write(extras, [&](Value x, ValueRange read) -> Value {
      x = arith::MulFOp::create(b, x, inverse);
      if (hasWeight)
        x = arith::MulFOp::create(b, x, read[0]);
      return hasBias ? arith::AddFOp::create(b, x, read.back()) : x;
    });
  });
  return true;
}
