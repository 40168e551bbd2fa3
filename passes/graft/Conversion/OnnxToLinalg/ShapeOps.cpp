//===- ShapeOps.cpp - Ops that arrange elements -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

/// Shape, Size: where the elements do not fit the analysis, which is never in practice.
static LogicalResult lowerShape(Lowering &l, Operation *op) {
  return l.unsupported(op, "a tensor of too many dimensions");
}

/// Reshape, Flatten, Squeeze, Unsqueeze: the same elements under other dims.
static LogicalResult lowerReshape(Lowering &l, Operation *op) {
  Value result = op->getResult(0);
  Tensor x = l.get(op->getOperand(0));
  // A result of unknown shape has types only; so has what a wrong model asks for.
  if (isa<onnx::ReshapeOp>(op) && !l.shapes.elements(op->getOperand(1)))
    return l.unsupported(op, "a shape of unknown length");
  if (isa<onnx::SqueezeOp, onnx::UnsqueezeOp>(op) && op->getNumOperands() > 1 &&
      !l.shapes.constantElements(op->getOperand(1)))
    return l.unsupported(op, "axes that are not constant");
  l.set(result, l.reshape(x, l.dims(result)));
  return success();
}

static LogicalResult lowerTranspose(Lowering &l, onnx::TransposeOp op) {
  Tensor x = l.get(op.getData());
  SmallVector<int64_t> perm;
  if (ArrayAttr given = op.getPermAttr())
    for (Attribute axis : given)
      perm.push_back(normalizeAxis(cast<IntegerAttr>(axis).getInt(), x.rank()));
  else
    for (int64_t d = x.rank() - 1; d >= 0; --d)
      perm.push_back(d);
  if (int64_t(perm.size()) != x.rank() || !isPermutationVector(perm))
    return l.unsupported(op, "perm is no permutation of the dimensions");
  l.set(op.getTransposed(), l.transpose(x, perm));
  return success();
}

static LogicalResult lowerExpand(Lowering &l, onnx::ExpandOp op) {
  if (!l.shapes.elements(op.getShape()))
    return l.unsupported(op, "a shape of unknown length");
  l.set(op.getOutput(), l.broadcast(l.get(op.getInput()), l.dims(op.getOutput())));
  return success();
}

static LogicalResult lowerTile(Lowering &l, onnx::TileOp op) {
  Tensor x = l.get(op.getInput());
  auto repeats = l.shapes.elements(op.getRepeats());
  if (!repeats || int64_t(repeats->size()) != x.rank())
    return l.unsupported(op, "repeats of unknown length");
  // (r0, d0, r1, d1, …) broadcast from (1, d0, 1, d1, …).
  Dims narrow, wide;
  for (auto [dim, repeat] : llvm::zip(x.dims, *repeats)) {
    narrow.append({Polynomial(1), dim});
    wide.append({repeat, dim});
  }
  Tensor tiled = l.broadcast(l.reshape(x, narrow), wide);
  l.set(op.getOutput(), l.reshape(tiled, l.dims(op.getOutput())));
  return success();
}

static LogicalResult lowerConcat(Lowering &l, onnx::ConcatOp op) {
  const Dims &dims = l.dims(op.getConcatResult());
  int64_t axis = normalizeAxis(op.getAxis(), dims.size());
  SmallVector<Tensor> parts;
  for (Value input : op.getInputs()) {
    Tensor part = l.get(input);
    if (part.rank() != int64_t(dims.size()))
      return l.unsupported(op, "operands of different rank");
    Dims wanted = dims;
    wanted[axis] = part.dims[axis];
    if (ArrayRef<Polynomial>(wanted) != ArrayRef<Polynomial>(part.dims)) {
      // Not provably the same: read within bounds, and fail the run if they differ.
      for (size_t d = 0; d < dims.size(); ++d)
        if (int64_t(d) != axis)
          l.checkEqual(part.dims[d], dims[d], "dimension " + Twine(d) + " differs");
      SmallVector<Value> last;
      for (const Polynomial &dim : part.dims)
        last.push_back(arith::MaxSIOp::create(l.b, l.index(dim - 1), l.index(0)));
      Tensor source = part;
      part = l.generate(wanted, part.element(), [&](B &b, ValueRange at) -> Value {
        SmallVector<Value> from;
        for (auto [i, most] : llvm::zip(at, last))
          from.push_back(arith::MinSIOp::create(b, i, most));
        return tensor::ExtractOp::create(b, source.value, from);
      });
    }
    parts.push_back(part);
  }
  if (parts.empty())
    return l.unsupported(op, "no operands");
  l.set(op.getConcatResult(), l.concat(parts, axis));
  return success();
}

static LogicalResult lowerSplit(Lowering &l, onnx::SplitOp op) {
  Tensor x = l.get(op.getInput());
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  Dims offsets(x.rank(), 0), ones(x.rank(), 1);
  Polynomial total(0);
  for (Value output : op.getOutputs())
    total = total + l.dims(output)[axis];
  if (op.getSplit())
    l.checkEqual(total, x.dims[axis], "the parts do not add up to the dimension");
  for (Value output : op.getOutputs()) {
    const Dims &sizes = l.dims(output);
    l.set(output, l.slice(x, offsets, sizes, ones));
    offsets[axis] = offsets[axis] + sizes[axis];
  }
  return success();
}

static LogicalResult lowerSlice(Lowering &l, onnx::SliceOp op) {
  Tensor x = l.get(op.getData());
  auto starts = l.shapes.elements(op.getStarts()), ends = l.shapes.elements(op.getEnds());
  std::optional<SmallVector<int64_t>> axes;
  std::optional<SmallVector<Polynomial>> steps;
  if (op.getAxes() && !(axes = l.shapes.constantElements(op.getAxes())))
    return l.unsupported(op, "axes that are not constant");
  if (op.getSteps() && !(steps = l.shapes.elements(op.getSteps())))
    return l.unsupported(op, "steps of unknown length");
  if (!starts || !ends || starts->size() != ends->size())
    return l.unsupported(op, "starts or ends of unknown length");
  Dims offsets(x.rank(), 0), sizes = x.dims, strides(x.rank(), 1);
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = normalizeAxis(axes ? (*axes)[i] : i, x.rank());
    if (axis < 0 || axis >= x.rank())
      return l.unsupported(op, "an axis out of range");
    strides[axis] = steps ? (*steps)[i] : Polynomial(1);
    SliceBounds bounds = sliceBounds(x.dims[axis], (*starts)[i], (*ends)[i], strides[axis]);
    offsets[axis] = bounds.start;
    sizes[axis] = bounds.length;
  }
  l.set(op.getOutput(), l.slice(x, offsets, sizes, strides));
  return success();
}

static LogicalResult lowerPad(Lowering &l, onnx::PadOp op) {
  Tensor x = l.get(op.getData());
  auto pads = l.shapes.elements(op.getPads());
  auto axes = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  if (op.getAxes()) {
    auto given = l.shapes.constantElements(op.getAxes());
    if (!given)
      return l.unsupported(op, "axes that are not constant");
    axes = *given;
  }
  if (!pads || pads->size() != 2 * axes.size())
    return l.unsupported(op, "pads of unknown length");
  Dims before(x.rank(), 0);
  for (auto [i, axis] : llvm::enumerate(axes))
    before[normalizeAxis(axis, x.rank())] = (*pads)[i];
  StringRef mode = op.getMode();
  Value padding;
  if (mode == "constant")
    padding = op.getConstantValue()
                  ? tensor::ExtractOp::create(
                        l.b, l.reshape(l.get(op.getConstantValue()), {}).value, ValueRange{})
                        .getResult()
                  : l.scalar(zeroOf(x.element()));
  SmallVector<Value> first, size;
  for (auto [pad, dim] : llvm::zip(before, x.dims)) {
    first.push_back(l.index(pad));
    size.push_back(l.index(dim));
  }
  Value zero = l.index(0), one = l.index(1);
  const Dims &dims = l.dims(op.getOutput());
  Tensor result = l.generate(dims, x.element(), [&](B &b, ValueRange at) -> Value {
    SmallVector<Value> from;
    Value inside;
    for (auto [d, i] : llvm::enumerate(at)) {
      if (dims[d] == x.dims[d] && before[d].isConstant(0)) {
        from.push_back(i);
        continue;
      }
      Value position = arith::SubIOp::create(b, i, first[d]);
      Value last = arith::MaxSIOp::create(b, arith::SubIOp::create(b, size[d], one), zero);
      if (mode == "wrap") {
        Value by = arith::MaxSIOp::create(b, size[d], one);
        Value rest = arith::RemSIOp::create(b, position, by);
        Value below = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, rest, zero);
        position = arith::SelectOp::create(b, below, arith::AddIOp::create(b, rest, by), rest);
      } else if (mode == "reflect") {
        // -i is i, and last + i is last - i.
        position = math::AbsIOp::create(b, position);
        Value beyond = arith::SubIOp::create(b, position, last);
        Value over = arith::MaxSIOp::create(b, beyond, zero);
        Value twice = arith::AddIOp::create(b, over, over);
        position = arith::SubIOp::create(b, position, twice);
      }
      Value safe = arith::MinSIOp::create(b, arith::MaxSIOp::create(b, position, zero), last);
      Value isInside = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, position, safe);
      inside = inside ? arith::AndIOp::create(b, inside, isInside).getResult() : isInside;
      from.push_back(safe);
    }
    Value element = tensor::ExtractOp::create(b, x.value, from);
    if (padding && inside)
      return arith::SelectOp::create(b, inside, element, padding);
    return element;
  });
  l.set(op.getOutput(), result);
  return success();
}

static LogicalResult lowerDepthToSpace(Lowering &l, onnx::DepthToSpaceOp op) {
  Tensor x = l.get(op.getInput());
  if (x.rank() != 4)
    return l.unsupported(op, "a rank other than 4");
  Polynomial block(op.getBlocksize());
  const Dims &dims = l.dims(op.getOutput());
  bool depthFirst = op.getMode() == "DCR";
  Dims split = depthFirst ? Dims{x.dims[0], block, block, dims[1], x.dims[2], x.dims[3]}
                          : Dims{x.dims[0], dims[1], block, block, x.dims[2], x.dims[3]};
  SmallVector<int64_t> perm =
      depthFirst ? SmallVector<int64_t>{0, 3, 4, 1, 5, 2} : SmallVector<int64_t>{0, 1, 4, 2, 5, 3};
  l.set(op.getOutput(), l.reshape(l.transpose(l.reshape(x, split), perm), dims));
  return success();
}

static LogicalResult lowerSpaceToDepth(Lowering &l, onnx::SpaceToDepthOp op) {
  Tensor x = l.get(op.getInput());
  if (x.rank() != 4)
    return l.unsupported(op, "a rank other than 4");
  Polynomial block(op.getBlocksize());
  const Dims &dims = l.dims(op.getOutput());
  Tensor split = l.reshape(x, {x.dims[0], x.dims[1], dims[2], block, dims[3], block});
  SmallVector<int64_t> perm = op.getMode() == "DCR" ? SmallVector<int64_t>{0, 3, 5, 1, 2, 4}
                                                    : SmallVector<int64_t>{0, 1, 3, 5, 2, 4};
  l.set(op.getOutput(), l.reshape(l.transpose(split, perm), dims));
  return success();
}

void graft::lowering::addShape(Table &table) {
  table.addAll<onnx::ShapeOp, onnx::SizeOp>(lowerShape);
  table.addAll<onnx::ReshapeOp, onnx::FlattenOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(lowerReshape);
  table.add(lowerTranspose);
  table.add(lowerExpand);
  table.add(lowerTile);
  table.add(lowerConcat);
  table.add(lowerSplit);
  table.add(lowerSlice);
  table.add(lowerPad);
  table.add(lowerDepthToSpace);
  table.add(lowerSpaceToDepth);
}
