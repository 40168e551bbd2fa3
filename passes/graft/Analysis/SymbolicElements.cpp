//===- SymbolicElements.cpp - Elements of tensors that compute shapes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/APSInt.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft;

using Elements = SmallVector<Polynomial>;
using Indices = SmallVector<int64_t>;

namespace {
/// What a rule sees: the analysis, the op and the shape of its result, which is constant and small.
struct Context {
  SymbolicShapes &shapes;
  Operation *op;
  Indices shape;
  int64_t count;

  /// The known elements of an operand; unlike SymbolicShapes::elements, no symbols are made up.
  const Elements *operand(unsigned i) const {
    const SymbolicTensor &tensor = shapes.get(op->getOperand(i));
    return tensor.elements ? &*tensor.elements : nullptr;
  }
  Indices operandShape(unsigned i) const { return shapeOf(shapes.get(op->getOperand(i))); }
  static Indices shapeOf(const SymbolicTensor &tensor) {
    Indices shape;
    for (const Polynomial &dim : tensor.dims)
      shape.push_back(dim.asConstant().value_or(-1));
    return shape;
  }
};
} // namespace

static Type elementType(Value value) { return cast<ShapedType>(value.getType()).getElementType(); }

static Indices delinearize(int64_t linear, ArrayRef<int64_t> shape) {
  Indices index(shape.size());
  for (int64_t d = int64_t(shape.size()) - 1; d >= 0; --d) {
    index[d] = linear % shape[d];
    linear /= shape[d];
  }
  return index;
}

/// The row-major position of `index` in `shape`, aligned at the last dimension; dimensions of 1
/// repeat.
static int64_t linearize(ArrayRef<int64_t> index, ArrayRef<int64_t> shape) {
  int64_t linear = 0, offset = int64_t(index.size()) - int64_t(shape.size());
  for (size_t d = 0; d < shape.size(); ++d)
    linear = linear * shape[d] + (shape[d] == 1 ? 0 : index[offset + d]);
  return linear;
}

template <typename F> static std::optional<Elements> forEach(const Context &c, F element) {
  Elements result;
  for (int64_t i = 0; i < c.count; ++i) {
    std::optional<Polynomial> value = element(delinearize(i, c.shape));
    if (!value)
      return std::nullopt;
    result.push_back(*value);
  }
  return result;
}

/// Elementwise over all operands, which broadcast.
template <typename F> static std::optional<Elements> elementwise(const Context &c, F function) {
  SmallVector<std::pair<const Elements *, Indices>> operands;
  for (unsigned i = 0; i < c.op->getNumOperands(); ++i) {
    operands.emplace_back(c.operand(i), c.operandShape(i));
    if (!operands.back().first)
      return std::nullopt;
  }
  return forEach(c, [&](const Indices &index) -> std::optional<Polynomial> {
    SmallVector<Polynomial> values;
    for (auto &[elements, shape] : operands) {
      int64_t position = linearize(index, shape);
      if (position >= int64_t(elements->size()))
        return std::nullopt;
      values.push_back((*elements)[position]);
    }
    return function(values);
  });
}

/// Division as ONNX has it, towards zero.
static std::optional<Polynomial> divide(const Polynomial &a, const Polynomial &b) {
  auto x = a.asConstant(), y = b.asConstant();
  if (y && *y == 0)
    return std::nullopt;
  if (x && y)
    return *y == -1 ? Polynomial(0) - a : Polynomial(*x / *y);
  Polynomial quotient = Polynomial::floorDiv(a, b);
  if (a.isNonNegative() && b.isNonNegative())
    return quotient;
  auto atom = quotient.asAtom();
  if (!atom || !atom->starts_with("floordiv("))
    return quotient; // exact
  return std::nullopt;
}

using Values = ArrayRef<Polynomial>;
using Result = std::optional<Polynomial>;

static std::optional<Elements> arithmetic(const Context &c) {
  using P = Polynomial;
  auto fold = [](P (*f)(const P &, const P &)) {
    return [f](Values v) -> Result {
      P result = v[0];
      for (const P &next : v.drop_front())
        result = f(result, next);
      return result;
    };
  };
  return llvm::TypeSwitch<Operation *, std::optional<Elements>>(c.op)
      .Case<onnx::AddOp, onnx::SumOp>([&](Operation *) {
        return elementwise(c, fold([](const P &a, const P &b) { return a + b; }));
      })
      .Case([&](onnx::SubOp) {
        return elementwise(c, fold([](const P &a, const P &b) { return a - b; }));
      })
      .Case([&](onnx::MulOp) {
        return elementwise(c, fold([](const P &a, const P &b) { return a * b; }));
      })
      .Case<onnx::MaxOp>([&](Operation *) { return elementwise(c, fold(&P::max)); })
      .Case<onnx::MinOp>([&](Operation *) { return elementwise(c, fold(&P::min)); })
      .Case([&](onnx::DivOp) {
        return elementwise(c, [](Values v) -> Result { return divide(v[0], v[1]); });
      })
      .Case([&](onnx::ModOp op) {
        return elementwise(c, [&](Values v) -> Result {
          if (op.getFmod() && !(v[0].isNonNegative() && v[1].isNonNegative()))
            return std::nullopt;
          if (v[1].isConstant(0))
            return std::nullopt;
          return P::mod(v[0], v[1]);
        });
      })
      .Case([&](onnx::NegOp) {
        return elementwise(c, [](Values v) -> Result { return P(0) - v[0]; });
      })
      .Case([&](onnx::AbsOp) {
        return elementwise(c, [](Values v) -> Result { return P::max(v[0], P(0) - v[0]); });
      })
      .Case([&](onnx::EqualOp) {
        return elementwise(c, [](Values v) -> Result { return P::equal(v[0], v[1]); });
      })
      .Case([&](onnx::LessOp) {
        return elementwise(c, [](Values v) -> Result { return P::less(v[0], v[1]); });
      })
      .Case([&](onnx::GreaterOp) {
        return elementwise(c, [](Values v) -> Result { return P::less(v[1], v[0]); });
      })
      .Case([&](onnx::LessOrEqualOp) {
        return elementwise(c, [](Values v) -> Result { return P(1) - P::less(v[1], v[0]); });
      })
      .Case([&](onnx::GreaterOrEqualOp) {
        return elementwise(c, [](Values v) -> Result { return P(1) - P::less(v[0], v[1]); });
      })
      .Case([&](onnx::NotOp) {
        return elementwise(c, [](Values v) -> Result { return P(1) - v[0]; });
      })
      .Case([&](onnx::AndOp) {
        return elementwise(c, [](Values v) -> Result { return v[0] * v[1]; });
      })
      .Case([&](onnx::OrOp) {
        return elementwise(c, [](Values v) -> Result { return P::max(v[0], v[1]); });
      })
      .Case([&](onnx::WhereOp) {
        return elementwise(c, [](Values v) -> Result { return P::select(v[0], v[1], v[2]); });
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// Cast and CastLike. Exporters write integers as constants of floats too.
static std::optional<Elements> castTo(const Context &c, Type to) {
  if (!to.isIntOrIndex())
    return std::nullopt;
  const unsigned width = to.isIndex() ? 64 : to.getIntOrFloatBitWidth();
  if (auto constant = c.op->getOperand(0).getDefiningOp<onnx::ConstantOp>()) {
    auto floats = dyn_cast<DenseFPElementsAttr>(constant.getValue());
    if (floats && width >= 32 && floats.getNumElements() == c.count) {
      Elements result;
      for (const APFloat &value : floats.getValues<APFloat>()) {
        APSInt integer(32, /*isUnsigned=*/false);
        bool isExact = false;
        if (value.convertToInteger(integer, APFloat::rmTowardZero, &isExact) ==
            APFloat::opInvalidOp)
          return std::nullopt;
        result.push_back(integer.getSExtValue());
      }
      return result;
    }
  }
  const Elements *data = c.operand(0);
  Type from = elementType(c.op->getOperand(0));
  if (!data || !from.isIntOrIndex() || (width < 32 && width != 1))
    return std::nullopt;
  Elements result;
  for (const Polynomial &element : *data)
    result.push_back(width == 1 ? Polynomial(1) - Polynomial::equal(element, 0) : element);
  return result;
}

static std::optional<Elements> concat(const Context &c, onnx::ConcatOp op) {
  int64_t rank = c.shape.size(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  SmallVector<std::pair<const Elements *, Indices>> parts;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    parts.emplace_back(c.operand(i), c.operandShape(i));
    if (!parts.back().first)
      return std::nullopt;
  }
  return forEach(c, [&](Indices index) -> Result {
    for (auto &[elements, shape] : parts) {
      if (index[axis] < shape[axis]) {
        int64_t position = 0;
        for (int64_t d = 0; d < rank; ++d)
          position = position * shape[d] + index[d];
        return (*elements)[position];
      }
      index[axis] -= shape[axis];
    }
    return std::nullopt;
  });
}

static std::optional<Elements> gather(const Context &c, onnx::GatherOp op) {
  const Elements *data = c.operand(0);
  auto indices = c.shapes.constantElements(op.getIndices());
  Indices dataShape = c.operandShape(0), indicesShape = c.operandShape(1);
  if (!data || !indices)
    return std::nullopt;
  int64_t rank = dataShape.size(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  return forEach(c, [&](const Indices &index) -> Result {
    ArrayRef<int64_t> all(index);
    int64_t picked = (*indices)[linearize(all.slice(axis, indicesShape.size()), indicesShape)];
    if (picked < 0)
      picked += dataShape[axis];
    if (picked < 0 || picked >= dataShape[axis])
      return std::nullopt; // lowering reports it
    int64_t position = 0;
    for (int64_t d = 0; d < rank; ++d) {
      int64_t i = d < axis ? index[d] : d == axis ? picked : index[d - 1 + indicesShape.size()];
      position = position * dataShape[d] + i;
    }
    return (*data)[position];
  });
}

static std::optional<Elements> slice(const Context &c, onnx::SliceOp op) {
  const Elements *data = c.operand(0);
  Indices dataShape = c.operandShape(0);
  auto starts = c.shapes.constantElements(op.getStarts());
  auto ends = c.shapes.constantElements(op.getEnds());
  if (!data || !starts || !ends)
    return std::nullopt;
  Indices axes, steps(starts->size(), 1);
  for (size_t i = 0; i < starts->size(); ++i)
    axes.push_back(i);
  if (op.getAxes()) {
    auto given = c.shapes.constantElements(op.getAxes());
    if (!given)
      return std::nullopt;
    axes.assign(given->begin(), given->end());
  }
  if (op.getSteps()) {
    auto given = c.shapes.constantElements(op.getSteps());
    if (!given)
      return std::nullopt;
    steps.assign(given->begin(), given->end());
  }
  Indices first(dataShape.size(), 0), stride(dataShape.size(), 1);
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = axes[i] < 0 ? axes[i] + int64_t(dataShape.size()) : axes[i];
    SliceBounds bounds = sliceBounds(dataShape[axis], (*starts)[i], (*ends)[i], steps[i]);
    first[axis] = bounds.start.asConstant().value_or(0);
    stride[axis] = steps[i];
  }
  return forEach(c, [&](const Indices &index) -> Result {
    int64_t position = 0;
    for (size_t d = 0; d < index.size(); ++d)
      position = position * dataShape[d] + first[d] + index[d] * stride[d];
    return (*data)[position];
  });
}

static std::optional<Elements> transpose(const Context &c, onnx::TransposeOp op) {
  const Elements *data = c.operand(0);
  const Indices dataShape = c.operandShape(0);
  if (!data)
    return std::nullopt;
  ArrayAttr perm = op.getPermAttr(); // the shape is known, so it is one
  return forEach(c, [&](const Indices &index) -> Result {
    Indices from(index.size());
    for (size_t d = 0; d < index.size(); ++d) {
      int64_t axis = perm ? cast<IntegerAttr>(perm[d]).getInt() : int64_t(index.size() - 1 - d);
      from[axis < 0 ? axis + int64_t(index.size()) : axis] = index[d];
    }
    return (*data)[linearize(from, dataShape)];
  });
}

static std::optional<Elements> constant(const Context &c, Attribute attribute) {
  auto dense = dyn_cast_or_null<DenseIntElementsAttr>(attribute);
  if (!dense)
    return std::nullopt;
  Elements result;
  bool isSigned =
      !dense.getElementType().isUnsignedInteger() && !dense.getElementType().isInteger(1);
  for (const APInt &value : dense.getValues<APInt>()) {
    if (!isSigned && value.getActiveBits() > 63)
      return std::nullopt;
    result.push_back(isSigned ? value.getSExtValue() : int64_t(value.getZExtValue()));
  }
  return result;
}

static std::optional<Elements> reduce(const Context &c) {
  if (c.count != 1 || !c.operand(0) || c.operand(0)->empty())
    return std::nullopt;
  Polynomial result = c.operand(0)->front();
  for (const Polynomial &next : llvm::drop_begin(*c.operand(0)))
    result = isa<onnx::ReduceProdOp>(c.op)  ? result * next
             : isa<onnx::ReduceSumOp>(c.op) ? result + next
             : isa<onnx::ReduceMaxOp>(c.op) ? Polynomial::max(result, next)
                                            : Polynomial::min(result, next);
  return Elements{result};
}

void graft::detail::inferElements(SymbolicShapes &shapes, Operation *op, SymbolicTensor &result) {
  auto count = result.elementCount();
  if (!count || *count < 0 || *count > SymbolicShapes::elementLimit)
    return;
  Context c{shapes, op, Context::shapeOf(result), *count};
  result.elements =
      llvm::TypeSwitch<Operation *, std::optional<Elements>>(op)
          .Case([&](onnx::ConstantOp constantOp) { return constant(c, constantOp.getValue()); })
          .Case([&](onnx::ShapeOp shape) -> std::optional<Elements> {
            const auto &dims = shapes.get(shape.getData()).dims;
            int64_t rank = dims.size(), start = shape.getStart();
            start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
            if (start + c.count > rank)
              return std::nullopt;
            return Elements(dims.begin() + start, dims.begin() + start + c.count);
          })
          .Case([&](onnx::SizeOp size) -> std::optional<Elements> {
            return Elements{product(shapes.get(size.getData()).dims)};
          })
          .Case([&](onnx::ConcatOp concatOp) { return concat(c, concatOp); })
          .Case([&](onnx::GatherOp gatherOp) { return gather(c, gatherOp); })
          .Case([&](onnx::TransposeOp transposeOp) { return transpose(c, transposeOp); })
          .Case([&](onnx::SliceOp sliceOp) { return slice(c, sliceOp); })
          .Case<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::FlattenOp,
                onnx::IdentityOp>([&](Operation *) -> std::optional<Elements> {
            const Elements *data = c.operand(0);
            if (!data || int64_t(data->size()) != c.count)
              return std::nullopt;
            return *data;
          })
          .Case([&](onnx::ConstantOfShapeOp fill) -> std::optional<Elements> {
            auto value = constant(c, fill.getValueAttr());
            if (!value || value->size() != 1)
              return std::nullopt;
            return Elements(c.count, value->front());
          })
          .Case([&](onnx::ExpandOp expand) -> std::optional<Elements> {
            const Elements *data = c.operand(0);
            Indices shape = c.operandShape(0);
            if (!data)
              return std::nullopt;
            return forEach(c, [&](const Indices &index) -> Result {
              return (*data)[linearize(index, shape)];
            });
          })
          .Case([&](onnx::OneHotOp oneHot) -> std::optional<Elements> {
            // The legacy exporter writes the repeats of a Tile this way.
            const Elements *hot = c.operand(0), *values = c.operand(2);
            Indices shape = c.operandShape(0);
            if (!hot || !values || values->size() != 2)
              return std::nullopt;
            const int64_t rank = shape.size() + 1;
            const int64_t axis = oneHot.getAxis() < 0 ? oneHot.getAxis() + rank : oneHot.getAxis();
            return forEach(c, [&](const Indices &index) -> Result {
              Indices at(index);
              at.erase(at.begin() + axis);
              auto wanted = (*hot)[linearize(at, shape)].asConstant();
              auto depth = result.dims[axis].asConstant();
              if (!wanted || !depth)
                return std::nullopt;
              return (*values)[index[axis] == (*wanted < 0 ? *wanted + *depth : *wanted)];
            });
          })
          .Case([&](onnx::RangeOp) -> std::optional<Elements> {
            const Elements *start = c.operand(0), *delta = c.operand(2);
            if (!start || !delta)
              return std::nullopt;
            return forEach(c, [&](const Indices &index) -> Result {
              return start->front() + Polynomial(index[0]) * delta->front();
            });
          })
          .Case<onnx::ReduceProdOp, onnx::ReduceSumOp, onnx::ReduceMaxOp, onnx::ReduceMinOp>(
              [&](Operation *) { return reduce(c); })
          .Case([&](onnx::CastOp castOp) { return castTo(c, elementType(castOp.getOutput())); })
          .Case([&](onnx::CastLikeOp like) { return castTo(c, elementType(like.getOutput())); })
          .Default([&](Operation *) { return arithmetic(c); });
}
