//===- RowTaskOps.cpp - Products with the modules of each row's task -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"
#include "graft/Conversion/OnnxToLinalg/Products.h"
#include "graft/Dispatch/Dispatch.h"
#include "graft/Modular/Modular.h"

#include <map>

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

/// Where the rows of each task begin: one plan for all products of a body. Rows come sorted.
static Value planRows(Lowering &l, Tensor keys, int64_t tasks) {
  for (Operation *user : keys.value.getUsers())
    if (auto plan = dyn_cast<dispatch::PlanOp>(user); plan && plan.getModules() == tasks)
      return plan.getResults()[1];
  Type place = l.b.getI32Type();
  auto plan = dispatch::PlanOp::create(l.b, keys.value, l.empty(keys.dims[0], place).value,
                                       l.empty(Polynomial(tasks + 1), place).value,
                                       l.empty(keys.dims, place).value);
  return plan.getResults()[1];
}

/// The same in vectors, of which each row has `each`.
static Value inVectors(Lowering &l, Value offsets, int64_t tasks, const Polynomial &each) {
  if (each.isConstant(1))
    return offsets;
  Value factor = arith::IndexCastOp::create(l.b, l.b.getI32Type(), l.index(each));
  Dims dims{Polynomial(tasks + 1)};
  return l
      .map({Tensor{offsets, dims}}, dims, l.b.getI32Type(),
           [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
             return arith::MulIOp::create(b, v[0], factor);
           })
      .value;
}

/// The down of each module.
using Downs = std::map<int64_t, Value>;

static Downs downsOf(modular::RowProductOp op) {
  Downs downs;
  for (auto [module, down] : llvm::zip(op.getModules(), op.getDowns()))
    downs[module] = down;
  return downs;
}

/// The downs of all products of one value that read the same ones where they have the same modules.
static Downs sharedDowns(modular::RowProductOp op) {
  Downs all = downsOf(op);
  SmallVector<modular::RowProductOp> others;
  for (Operation *user : op.getX().getUsers())
    if (auto other = dyn_cast<modular::RowProductOp>(user);
        other && other->getBlock() == op->getBlock() && other.getTasks() == op.getTasks())
      others.push_back(other);
  llvm::sort(others, [](auto a, auto b) { return a->isBeforeInBlock(b); });
  for (modular::RowProductOp other : others) {
    Downs own = downsOf(other);
    bool isShared = false, differs = false;
    for (auto [module, down] : own)
      if (auto found = all.find(module); found != all.end())
        (found->second == down ? isShared : differs) = true;
    if (isShared && !differs)
      all.insert(own.begin(), own.end());
  }
  return all;
}

/// Each row down to its module's ranks: one product for all that read it.
static Value lowerDown(Lowering &l, modular::RowProductOp op, Tensor x, Value offsets) {
  for (Operation *user : x.value.getUsers())
    if (auto made = dyn_cast<dispatch::SegmentedMatmulOp>(user);
        made && made.getColumns() && made.getInput() == x.value) {
      Downs known;
      for (auto [module, down] : llvm::zip(*made.getModules(), made.getWeights()))
        known[module] = down;
      if (llvm::all_of(downsOf(op), [&](auto &own) {
            auto found = known.find(own.first);
            return found != known.end() && found->second == l.get(own.second).value;
          }))
        return made.getResult(0);
    }
  SmallVector<Value> downs;
  SmallVector<int64_t> modules, ranks;
  for (auto [module, down] : sharedDowns(op)) {
    modules.push_back(module);
    downs.push_back(l.get(down).value);
    ranks.push_back(cast<RankedTensorType>(down.getType()).getDimSize(0));
  }
  // Whole vectors, on whatever machine: what lies beyond a rank is never read.
  Dims dims = x.dims;
  dims.back() = Polynomial(int64_t(llvm::alignTo(*llvm::max_element(ranks), 16)));
  return dispatch::SegmentedMatmulOp::create(l.b, x.value, offsets, downs, Value(),
                                             l.empty(dims, x.element()).value, modules, ranks,
                                             ArrayRef<int64_t>(), /*transposed=*/true,
                                             /*sharedTransposed=*/false)
      .getResult(0);
}

static LogicalResult lowerRowProduct(Lowering &l, modular::RowProductOp op) {
  Tensor x = l.get(op.getX()), keys = l.get(op.getKeys());
  Matrix w = matrixOf(l, op.getWeight());
  w.transposed ^= op.getTransposed();
  Polynomial vectors = product(ArrayRef(x.dims).drop_back());
  Polynomial each = Polynomial::floorDiv(vectors, keys.dims[0]);
  if (each * keys.dims[0] != vectors)
    return l.unsupported(op, "its vectors are not those of the rows");
  const int64_t tasks = op.getTasks();
  Value offsets = inVectors(l, planRows(l, keys, tasks), tasks, each);

  SmallVector<Value> weights{w.tensor.value};
  for (Value up : op.getUps())
    weights.push_back(l.get(up).value);
  Value low = lowerDown(l, op, x, offsets);
  Tensor init = l.empty(l.dims(op.getY()), x.element());
  auto up = dispatch::SegmentedMatmulOp::create(
      l.b, low, offsets, weights, x.value, init.value, op.getModules(), ArrayRef<int64_t>(),
      op.getStarts().value_or(ArrayRef<int64_t>()), /*transposed=*/true, w.transposed);
  l.set(op.getY(), {up.getResult(0), init.dims});
  return success();
}

void graft::lowering::addRowTasks(Table &table) { table.add(lowerRowProduct); }
