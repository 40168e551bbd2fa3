//===- ProductKernels.cpp - Products with packed weights ---------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/StageFunction.h"
#include "graft/Codegen/Gpu/KernelFunction.h"
#include "graft/Codegen/Gpu/KernelTraffic.h"
#include "graft/Codegen/Gpu/Kernels/DeviceKernels.h"
#include "graft/Codegen/Gpu/Kernels/TileProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;
using Values = TileProduct::Values;

/// Tiles for many, some and few rows: the block's memory stays below the 48 KB that need no asking
/// for. Two products at once have twice the sums.
struct TileShapes {
  TileShape many, manyPairs, some, few;
};
static constexpr TileShapes kSingle{
    {64, 128, 16, 3, 2, 2}, {64, 64, 16, 3, 2, 2}, {32, 64, 32, 3, 2, 2}, {16, 64, 32, 4, 1, 4}};
static constexpr TileShapes kHalf{
    {64, 128, 32, 3, 2, 2}, {64, 64, 32, 3, 2, 2}, {32, 64, 64, 3, 2, 2}, {16, 64, 64, 4, 1, 4}};
/// Blocks of a persistent kernel for each multiprocessor.
static constexpr int64_t kBlocksPerProcessor = 2;
/// What a multiprocessor of sm_80 has memory for, at up to 46 KB a block. A kernel that says so
/// gets registers for that many: untold, ptxas makes room for more or fewer, and keeps some in
/// memory.
static constexpr int32_t kBlocksByMemory = 3;

namespace {
/// The kernel of one product.
class ProductKernel {
public:
  explicit ProductKernel(ProductOpInterface op)
      : op(op), stage(op->getParentOfType<func::FuncOp>()), gate(findGate()) {}

  /// Why there is none; empty if there is.
  StringRef whyNot();
  /// The product of the same rows that only this one's epilogue reads: both are one kernel.
  SegmentedMatmulOp getGate() { return gate; }
  void convert();

private:
  SegmentedMatmulOp findGate();
  SegmentedMatmulOp segmented() { return dyn_cast<SegmentedMatmulOp>(op.getOperation()); }
  MatmulOp plain() { return dyn_cast<MatmulOp>(op.getOperation()); }
  SmallVector<Value> inputs() {
    return plain() ? SmallVector<Value>(plain().getInputs())
                   : SmallVector<Value>{segmented().getInput()};
  }
  Value init() { return op.getInitMutable().get(); }
  Type element() { return op.getInitType().getElementType(); }
  int64_t columns() { return op.getInitType().getShape().back(); }
  int64_t modules() { return int64_t(op.getWeights().size()); }
  ValueRange extrasOf(int64_t group) {
    return segmented().getSegmentExtras().slice(unsigned(group * modules()), unsigned(modules()));
  }
  int64_t groups() {
    return segmented() ? int64_t(segmented().getSegmentExtras().size()) / modules() : 0;
  }

  void launch(OpBuilder &host, const TileShape &shape);
  void noteTraffic(gpu::LaunchFuncOp launch, const TileShape &shape);
  void buildPlain(DeviceBuilder &b, TileProduct &product, const TileShape &shape);
  void buildSegmented(DeviceBuilder &b, TileProduct &product, const TileShape &shape,
                      StringRef kernel);
  /// A number for each module, in the device's memory: the slots of `values`.
  Value slotTable(DeviceBuilder &b, StringRef name, ValueRange values);
  TileProduct::Factor factor(unsigned i, Value x, Value weight);
  /// The constants of all modules, a row for each.
  Value constantTable(DeviceBuilder &b, StringRef name, ValueRange ofModules);
  /// Reads an extra of the tile's module at a column.
  using ReadExtra = std::function<Value(Value column)>;
  void finish(DeviceBuilder &b, TileProduct &product, Value first, Value last, Value column,
              ValueRange sums, ValueRange gateSums, ArrayRef<ReadExtra> ofModule);

  ProductOpInterface op;
  func::FuncOp stage;
  SegmentedMatmulOp gate;
  Value rows; ///< an index of the host's
  /// Where in the kernel's values each is.
  struct Places {
    unsigned inputs = 0, weights = 0, offsets = 0, order = 0, parameters = 0, extras = 0, out = 0,
             rows = 0;
  } places;
  SmallVector<Value> values; ///< in the kernel
  gpu::GPUModuleOp device;
};
} // namespace

/// Memory without gaps, of a type that the kernels read.
static bool isDense(Value value) {
  auto type = dyn_cast<MemRefType>(value.getType());
  return type && type.getLayout().isIdentity();
}

static std::optional<int64_t> slotOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto stage =
      argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  auto slot = stage ? stage.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), kSlotAttr)
                    : IntegerAttr();
  return slot ? std::optional(slot.getInt()) : std::nullopt;
}

/// The elements of a table that code has in itself.
static DenseElementsAttr constantOf(Value value) {
  auto get = value.getDefiningOp<memref::GetGlobalOp>();
  auto global = get ? SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(get, get.getNameAttr())
                    : memref::GlobalOp();
  return global ? dyn_cast_or_null<DenseElementsAttr>(global.getConstantInitValue())
                : DenseElementsAttr();
}

SegmentedMatmulOp ProductKernel::findGate() {
  SegmentedMatmulOp own = segmented();
  if (!own || own.getModules() || own.getSharedInput())
    return {};
  for (Value extra : own.getExtras()) {
    SmallVector<Operation *> users(extra.getUsers());
    if (users.size() != 2 || !extra.getDefiningOp<memref::ViewOp>())
      continue;
    auto found = dyn_cast<SegmentedMatmulOp>(users[users[0] == own ? 1 : 0]);
    if (found && found != own && found.getInit() == extra && found->isBeforeInBlock(own) &&
        found.getInput() == own.getInput() && found.getOrder() == own.getOrder() &&
        found.getOffsets() == own.getOffsets() && found.getSlots() == own.getSlots() &&
        !found.getModules() && found.getEpilogue().empty() &&
        TypeRange(found.getWeights()) == TypeRange(own.getWeights()) &&
        llvm::all_of(found.getWeights(), slotOf))
      return found;
  }
  return {};
}

StringRef ProductKernel::whyNot() {
  if (op->getParentOp() != stage)
    return "expected it at the top of its stage";
  if (!element().isF32() && !element().isF16() && !element().isBF16())
    return "expected f32, f16 or bf16";
  if (ShapedType::isDynamic(columns()) || !isDense(init()))
    return "expected a result of known columns without gaps";
  if (segmented() && (segmented().getModules() || segmented().getSharedInput()))
    return "expected weights of one size";
  for (Value input : inputs())
    if (!isDense(input) || isTable(input))
      return "expected inputs without gaps";
  for (auto [i, weight] : llvm::enumerate(op.getWeights())) {
    if (!op.isPacked(i) || !isDense(weight) || ShapedType::isDynamic(op.getReductionSize(i)) ||
        op.getReductionSize(i) == 0)
      return "expected weights in panels";
    const int64_t panel = cast<MemRefType>(weight.getType()).getShape().back();
    if (kSingle.few.columns % panel ||
        !TileProduct::canCopy(element(), op.getReductionSize(i), panel))
      return "expected panels that tiles are made of";
    if (segmented() && (!slotOf(weight) || weight.getType() != op.getWeights()[0].getType()))
      return "expected weights that are parameters of one type";
  }
  for (Value extra : op.getExtras())
    if (auto type = dyn_cast<MemRefType>(extra.getType());
        type ? !isDense(extra) || (type.getRank() > 1 && isTable(extra))
             : !canPass(extra.getType()))
      return "expected extras without gaps";
  if (segmented())
    for (int64_t g = 0; g < groups(); ++g)
      if (!llvm::all_of(extrasOf(g), slotOf) && !llvm::all_of(extrasOf(g), constantOf))
        return "expected extras of modules that are all parameters, or all constants";
  return "";
}

TileProduct::Factor ProductKernel::factor(unsigned i, Value x, Value weight) {
  auto type = cast<MemRefType>(op.getWeights()[i].getType());
  return {x, weight, type.getDimSize(1), type.getDimSize(2), type.getDimSize(0), nullptr};
}

Value ProductKernel::slotTable(DeviceBuilder &b, StringRef name, ValueRange ofModules) {
  SmallVector<int32_t> slots;
  for (Value value : ofModules)
    slots.push_back(int32_t(*slotOf(value)));
  OpBuilder top = OpBuilder::atBlockBegin(device.getBody());
  auto type = LLVM::LLVMArrayType::get(b.getI32Type(), slots.size());
  auto global = LLVM::GlobalOp::create(top, b.getLoc(), type, /*isConstant=*/true,
                                       LLVM::Linkage::Internal, name, b.getI32TensorAttr(slots),
                                       /*alignment=*/16, /*addrSpace=*/1);
  return LLVM::AddressOfOp::create(b, global);
}

Value ProductKernel::constantTable(DeviceBuilder &b, StringRef name, ValueRange ofModules) {
  auto type = cast<MemRefType>(ofModules[0].getType());
  SmallVector<Attribute> elements;
  for (Value value : ofModules)
    llvm::append_range(elements, constantOf(value).getValues<Attribute>());
  const int64_t shape[] = {int64_t(ofModules.size()), columns()};
  auto table = MemRefType::get(shape, type.getElementType());
  OpBuilder top = OpBuilder::atBlockBegin(device.getBody());
  memref::GlobalOp::create(
      top, b.getLoc(), name, top.getStringAttr("private"), table,
      DenseElementsAttr::get(RankedTensorType::get(shape, type.getElementType()), elements),
      /*constant=*/true, /*alignment=*/IntegerAttr());
  return memref::GetGlobalOp::create(b, table, name);
}

/// Computes the epilogue of two sums that are next to each other, and stores what it yields.
void ProductKernel::finish(DeviceBuilder &b, TileProduct &product, Value first, Value last,
                           Value column, ValueRange sums, ValueRange gateSums,
                           ArrayRef<ReadExtra> ofModule) {
  const int64_t width = columns();
  Type element = this->element();
  Value out = b.global(values[places.out]);
  auto narrow = [&](Value sum) -> Value {
    return element.isF32() ? sum : Value(arith::TruncFOp::create(b, element, sum));
  };
  auto compute = [&](unsigned number, Value row, Value c) -> Value {
    Value sum = narrow(sums[number]);
    if (op.getEpilogue().empty())
      return sum;
    Value rowIndex = arith::IndexCastOp::create(b, b.getIndexType(), row);
    Value columnIndex = arith::IndexCastOp::create(b, b.getIndexType(), c);
    Block &block = op.getEpilogue().front();
    SmallVector<Value> arguments{sum};
    for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
      if (gate && extra == gate.getInit()) {
        arguments.push_back(narrow(gateSums[number]));
        continue;
      }
      Value value = values[places.extras + i];
      auto type = dyn_cast<MemRefType>(value.getType());
      if (!type)
        arguments.push_back(value);
      else if (type.getRank() == 0)
        arguments.push_back(memref::LoadOp::create(b, value));
      else if (type.getRank() == 1)
        arguments.push_back(memref::LoadOp::create(b, value, columnIndex));
      else
        arguments.push_back(memref::LoadOp::create(b, value, ValueRange{rowIndex, columnIndex}));
    }
    for (const ReadExtra &read : ofModule)
      arguments.push_back(read(columnIndex));
    IRMapping mapping;
    mapping.map(block.getArguments(), arguments);
    for (Operation &inner : block.without_terminator())
      b.clone(inner, mapping);
    return mapping.lookupOrDefault(cast<YieldOp>(block.getTerminator()).getValue());
  };
  product.finish(first, column, [&](Value row, Value c, unsigned sum) {
    auto place = [&](Value at) {
      return b.at(out, element, b.add(b.mul(b.widen(row), width), b.widen(at)));
    };
    Value next = b.add(c, 1);
    Value isInside = b.both(b.isBelow(row, last), b.isBelow(c, width));
    // Pairs of an even number of columns are stored in one piece.
    b.when(isInside, [&] {
      Value one = compute(sum, row, c);
      if (width % 2 == 0) {
        Value two = compute(sum + 1, row, next);
        auto pair = VectorType::get(2, element);
        Value both = LLVM::PoisonOp::create(b, pair);
        both = LLVM::InsertElementOp::create(b, both, one, b.i32(0));
        both = LLVM::InsertElementOp::create(b, both, two, b.i32(1));
        b.store(both, place(c), /*alignment=*/element.getIntOrFloatBitWidth() / 4);
        return;
      }
      b.store(one, place(c));
      b.when(b.isBelow(next, width), [&] { b.store(compute(sum + 1, row, next), place(next)); });
    });
  });
}

void ProductKernel::buildPlain(DeviceBuilder &b, TileProduct &product, const TileShape &shape) {
  Value last = b.narrow(values[places.rows]);
  const int64_t across = llvm::divideCeil(columns(), shape.columns);
  Value tiles = b.mul(b.ceilDiv(last, shape.rows), across);
  b.loop(b.block(), tiles, b.blocks(), [&](Value tile) {
    Value first = b.mul(b.div(tile, across), shape.rows), column = b.rem(tile, across);
    Values sums = product.zero();
    for (unsigned i = 0; i < inputs().size(); ++i)
      sums = product.accumulate(
          factor(i, b.global(values[places.inputs + i]), b.global(values[places.weights + i])),
          first, last, column, sums);
    finish(b, product, first, last, column, sums, {}, {});
  });
}

void ProductKernel::buildSegmented(DeviceBuilder &b, TileProduct &product, const TileShape &shape,
                                   StringRef kernel) {
  const int64_t count = modules();
  Type word = b.getI32Type();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value offsets = b.global(values[places.offsets]),
        parameters = b.global(values[places.parameters]);
  auto offset = [&](Value e) { return b.load(word, b.at(offsets, word, b.widen(e))); };

  // How many tiles of rows there are before each module's: a warp sums up 32 at a time.
  Value before = b.shared(device, (kernel + "_before").str(), word, count + 1);
  Value thread = b.thread();
  b.when(b.isBelow(thread, DeviceBuilder::kLanes), [&] {
    Value carry = b.i32(0);
    for (int64_t base = 0; base < count; base += DeviceBuilder::kLanes) {
      Value e = b.add(thread, base), isModule = b.isBelow(e, count);
      Value known = b.select(isModule, e, b.i32(0));
      Value own = b.ceilDiv(b.sub(offset(b.add(known, 1)), offset(known)), shape.rows);
      own = b.select(isModule, own, b.i32(0));
      Value sum = b.sumUpTo(own);
      b.when(isModule, [&] { b.store(b.add(carry, b.sub(sum, own)), b.at(before, word, e)); });
      carry = b.add(carry, b.shuffleFrom(sum, b.i32(DeviceBuilder::kLanes - 1)));
    }
    b.when(b.isBelow(thread, 1), [&] { b.store(carry, b.at(before, word, count)); });
  });
  b.barrier();

  auto parameter = [&](Value table, Value e) {
    Value slot = b.load(word, b.at(table, word, e));
    return b.load(pointer, b.at(parameters, pointer, b.widen(slot)));
  };
  Value weights = slotTable(b, (kernel + "_weights").str(), op.getWeights());
  Value gateWeights;
  if (gate)
    gateWeights = slotTable(b, (kernel + "_gate").str(), gate.getWeights());
  SmallVector<Value> extraTables;
  for (int64_t g = 0; g < groups(); ++g) {
    std::string name = (kernel + "_extras" + Twine(g)).str();
    extraTables.push_back(slotOf(extrasOf(g)[0]) ? slotTable(b, name, extrasOf(g))
                                                 : constantTable(b, name, extrasOf(g)));
  }

  const int64_t across = llvm::divideCeil(columns(), shape.columns);
  Value tiles = b.mul(b.load(word, b.at(before, word, count)), across);
  b.loop(b.block(), tiles, b.blocks(), [&](Value tile) {
    Value rowTile = b.div(tile, across), column = b.rem(tile, across);
    // The last module whose tiles begin no later: those before it that begin there have none.
    Value e = b.i32(0);
    for (auto step = int64_t(llvm::PowerOf2Ceil(uint64_t(count))); step > 0; step /= 2) {
      Value probe = b.min(b.add(e, step), b.i32(count - 1));
      Value isLater = b.isBelow(rowTile, b.load(word, b.at(before, word, probe)));
      e = b.select(isLater, e, probe);
    }
    Value own = b.sub(rowTile, b.load(word, b.at(before, word, e)));
    Value first = b.add(offset(e), b.mul(own, shape.rows)), last = offset(b.add(e, 1));
    TileProduct::Factor with =
        factor(0, b.global(values[places.inputs]), b.global(parameter(weights, e)));
    if (segmented().getOrder()) {
      Value order = b.global(values[places.order]);
      with.row = [&b, order, word, slots = segmented().getSlots()](Value position) {
        return b.div(b.load(word, b.at(order, word, b.widen(position))), int64_t(slots));
      };
    }
    Values sums = product.accumulate(with, first, last, column, product.zero()), gateSums;
    if (gate) {
      with.weight = b.global(parameter(gateWeights, e));
      gateSums = product.accumulate(with, first, last, column, product.zero());
    }
    SmallVector<ReadExtra> ofModule;
    for (auto [g, table] : llvm::enumerate(extraTables)) {
      auto type = cast<MemRefType>(extrasOf(int64_t(g))[0].getType());
      if (isa<MemRefType>(table.getType())) {
        Value row = arith::IndexCastOp::create(b, b.getIndexType(), e);
        ofModule.push_back([&b, table = table, row](Value at) -> Value {
          return memref::LoadOp::create(b, table, ValueRange{row, at});
        });
        continue;
      }
      Value view = viewPointer(b, b.getLoc(), parameter(table, e), type, {});
      ofModule.push_back(
          [&b, view](Value at) -> Value { return memref::LoadOp::create(b, view, at); });
    }
    finish(b, product, first, last, column, sums, gateSums, ofModule);
  });
}

void ProductKernel::launch(OpBuilder &host, const TileShape &shape) {
  Location loc = op->getLoc();
  SmallVector<Value> captured;
  auto add = [&](unsigned &place, ValueRange all) {
    place = captured.size();
    captured.append(all.begin(), all.end());
  };
  auto pointers = [&](ValueRange memrefs) {
    return llvm::map_to_vector(memrefs, [&](Value memref) { return pointerTo(host, loc, memref); });
  };
  add(places.inputs, pointers(inputs()));
  add(places.out, pointers(init()));
  add(places.rows, rows);
  if (plain()) {
    add(places.weights, pointers(op.getWeights()));
  } else {
    add(places.offsets, pointers(segmented().getOffsets()));
    if (segmented().getOrder())
      add(places.order, pointers(segmented().getOrder()));
    add(places.parameters,
        loadHostField(host, loc, stageArgument(stage, "host"), HostDeviceParameters));
  }
  // An extra of out's shape is read by row and column.
  SmallVector<Value> extras;
  for (Value extra : op.getExtras()) {
    auto type = dyn_cast<MemRefType>(extra.getType());
    if (gate && extra == gate.getInit())
      extra = rows; // is in registers
    else if (type && type.getRank() > 1)
      extra = viewPointer(host, loc, pointerTo(host, loc, extra),
                          MemRefType::get({ShapedType::kDynamic, columns()}, type.getElementType()),
                          rows);
    extras.push_back(extra);
  }
  add(places.extras, extras);

  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(host, loc, value);
  };
  Value tiles = arith::CeilDivUIOp::create(host, loc, rows, constant(shape.rows));
  if (segmented()) // each module's last tile may have few rows
    tiles = arith::AddIOp::create(host, loc, tiles,
                                  arith::MinUIOp::create(host, loc, rows, constant(modules())));
  Value blocks = arith::MulIOp::create(
      host, loc, tiles, constant(int64_t(llvm::divideCeil(columns(), shape.columns))));
  if (segmented()) // which only the device can tell how many are needed of
    blocks = arith::MinUIOp::create(
        host, loc, blocks,
        arith::MulIOp::create(host, loc, loadProcessors(host, loc), constant(kBlocksPerProcessor)));
  KernelFunction kernel = KernelFunction::create(host, loc, segmented() ? "segments" : "product",
                                                 blocks, shape.threads(), captured);
  kernel.function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                           host.getI32IntegerAttr(kBlocksByMemory));
  noteTraffic(kernel.launch, shape);
  values = kernel.values;
  device = kernel.function->getParentOfType<gpu::GPUModuleOp>();
  OpBuilder builder(kernel.function.getBody().front().getTerminator());
  DeviceBuilder b(loc, builder);
  std::string name = kernel.function.getName().str();
  TileProduct product(b, device, name, shape, element());
  if (segmented())
    buildSegmented(b, product, shape, name);
  else
    buildPlain(b, product, shape);
}

/// A tile copies its rows and its columns' weights; whoever else reads them has them copied again.
void ProductKernel::noteTraffic(gpu::LaunchFuncOp launch, const TileShape &shape) {
  using Size = std::optional<Polynomial>;
  SmallVector<Value> weights(op.getWeights());
  SmallVector<Value> others(op->getOperands());
  if (gate) {
    llvm::append_range(weights, gate.getWeights());
    llvm::erase(others, gate.getInit()); // stays in registers
  }
  llvm::erase_if(others, [&](Value value) {
    return llvm::is_contained(inputs(), value) || llvm::is_contained(weights, value);
  });
  const Size in = symbolicBytes(inputs()), of = symbolicBytes(weights),
             rest = symbolicBytes(others), count = symbolicIndex(rows);
  const auto across = int64_t(llvm::divideCeil(columns(), shape.columns));
  const auto elementBytes = int64_t(element().getIntOrFloatBitWidth() / 8);
  if (!in || !of || !rest)
    return setTraffic(launch, std::nullopt, std::nullopt);
  Size moved;
  if (count) {
    // Weights of a segmented product are as large for all modules; each has a last tile of its own.
    // A function that reads well, where the canonical form would negate twice.
    Polynomial tiles = count->asConstant()
                           ? Polynomial::ceilDiv(*count, Polynomial(shape.rows))
                           : Polynomial::call("ceildiv", {*count, Polynomial(shape.rows)});
    if (segmented())
      tiles = tiles + Polynomial::min(*count, Polynomial(modules()));
    const Polynomial each = segmented() ? Polynomial::floorDiv(*of, Polynomial(modules())) : *of;
    moved = each * tiles + *rest;
    for (unsigned i = 0; i < inputs().size(); ++i) // all rows of a sum's product are gathered
      moved = *moved +
              *count * Polynomial(across * elementBytes *
                                  cast<MemRefType>(op.getWeights()[i].getType()).getDimSize(1));
  }
  setTraffic(launch, *in + *of + *rest, moved);
}

void ProductKernel::convert() {
  OpBuilder host(op);
  Location loc = op->getLoc();
  auto type = cast<MemRefType>(init().getType());
  rows = arith::ConstantIndexOp::create(host, loc, 1);
  for (int64_t d = 0; d + 1 < type.getRank(); ++d)
    rows = arith::MulIOp::create(host, loc, rows, memref::DimOp::create(host, loc, init(), d));
  // Large tiles where there is work for most multiprocessors, else those that are not half empty:
  // of a segmented product, a module's rows count.
  const TileShapes &shapes = element().isF32() ? kSingle : kHalf;
  const TileShape &large = gate ? shapes.manyPairs : shapes.many;
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(host, loc, value);
  };
  auto isAbove = [&](Value a, Value b) -> Value {
    return arith::CmpIOp::create(host, loc, arith::CmpIPredicate::ugt, a, b);
  };
  const int64_t count = segmented() ? modules() : 1;
  Value tiles = arith::CeilDivUIOp::create(host, loc, rows, constant(large.rows));
  tiles = arith::MulIOp::create(host, loc, tiles,
                                constant(int64_t(llvm::divideCeil(columns(), large.columns))));
  Value most = arith::DivUIOp::create(host, loc, loadProcessors(host, loc), constant(2));
  Value isLarge = arith::AndIOp::create(
      host, loc, isAbove(rows, constant(int64_t(large.rows) * count)), isAbove(tiles, most));
  auto choice = scf::IfOp::create(host, loc, isLarge, /*withElseRegion=*/true);
  host.setInsertionPointToStart(choice.thenBlock());
  launch(host, large);
  host.setInsertionPointToStart(choice.elseBlock());
  Value isSome = isAbove(rows, constant(int64_t(shapes.few.rows) * count));
  auto smaller = scf::IfOp::create(host, loc, isSome, /*withElseRegion=*/true);
  host.setInsertionPointToStart(smaller.thenBlock());
  launch(host, shapes.some);
  host.setInsertionPointToStart(smaller.elseBlock());
  launch(host, shapes.few);
  op->erase();
  if (gate)
    gate->erase();
}

bool graft::convertToKernel(ProductOpInterface op) {
  ProductKernel kernel(op);
  if (!kernel.whyNot().empty())
    return false;
  // What is the gate of another comes with that one.
  for (Operation *user : op.getInitMutable().get().getUsers())
    if (auto reader = dyn_cast<SegmentedMatmulOp>(user))
      if (ProductKernel next(reader); next.getGate() == op && next.whyNot().empty())
        return true;
  kernel.convert();
  return true;
}
