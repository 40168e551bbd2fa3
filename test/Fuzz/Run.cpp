//===- Run.cpp - Libraries, and what they are run on --------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include "graft/Runtime/ArtifactAbi.h"

#include "llvm/Support/JSON.h"

#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <limits>

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Batch Batch::take(ArrayRef<int64_t> numbers) const {
  Batch result = *this;
  for (Array &array : result.arrays)
    array = array.take(numbers);
  result.rows = int64_t(numbers.size());
  return result;
}

Batch Batch::join(const Batch &other) const {
  Batch result = *this;
  for (auto [mine, more] : llvm::zip_equal(result.arrays, other.arrays)) {
    mine.shape.front() += more.shape.front();
    mine.data.insert(mine.data.end(), more.data.begin(), more.data.end());
  }
  result.rows += other.rows;
  return result;
}

/// Which NaN it is, no rule says.
static bool haveSameBits(float a, float b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

bool Output::isRow(int64_t i, const Output &other, int64_t j) const {
  const int64_t size = rowSize();
  return size == other.rowSize() &&
         std::equal(data.begin() + i * size, data.begin() + (i + 1) * size,
                    other.data.begin() + j * size, haveSameBits);
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

std::optional<int64_t> graft::fuzz::fixedRows(func::FuncOp main) {
  int64_t rows = cast<RankedTensorType>(main.getArgumentTypes().front()).getDimSize(0);
  return ShapedType::isDynamic(rows) ? std::nullopt : std::optional(rows);
}

/// An element of the input of that name.
static double element(StringRef name, const Draw &how, Random &random) {
  auto [stem, number] = name.split('.');
  int64_t count = 0;
  (void)number.getAsInteger(10, count);
  if (stem.starts_with("chosen")) {
    if (how.special && random.chance(25))
      return random.pick({-1.0, double(count), -double(count), 0x1p32, -0x1p63, 0x1p62});
    return double(random.below(count));
  }
  if (stem.starts_with("ids")) {
    if (how.outside && random.chance(20))
      return random.pick({double(count), -double(count) - 1, 0x1p40, -0x1p63});
    return double(random.between(-count, count - 1));
  }
  if (stem == "any")
    return double(random.between(-1000, 1000)) * random.pick({1.0, 0x1p31, 0x1p40});
  if (stem.starts_with("scores")) {
    if (how.special && random.chance(15))
      return random.pick({kNaN, kInfinity, -kInfinity});
    return double(random.between(-6, 6)) / 2;
  }
  if (stem.starts_with("weights")) {
    if (how.special && random.chance(4))
      return random.pick({kNaN, kInfinity});
    return double(float(random.real()));
  }
  return random.grid();
}

Batch graft::fuzz::draw(func::FuncOp main, const Draw &how, Random &random) {
  Batch batch;
  batch.rows = how.rows;
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto type = cast<RankedTensorType>(main.getArgumentTypes()[i]);
    SmallVector<int64_t> shape(type.getShape());
    for (auto [d, dim] : llvm::enumerate(shape))
      if (ShapedType::isDynamic(dim))
        dim = d == 0 ? how.rows : how.length;
    std::string name = main.getArgAttrOfType<StringAttr>(i, "modular.name").str();
    Array array(shape);
    for (double &each : array.data)
      each = element(name, how, random);
    // A row or two of what is no number: others must not see it.
    if (how.special && name == "x" && how.rows > 1 && random.chance(50))
      for (int64_t c = 0, row = random.below(how.rows); c < array.rowSize(); ++c)
        if (random.chance(60))
          array.data[size_t(row * array.rowSize() + c)] =
              random.pick({kNaN, kInfinity, -kInfinity});
    batch.names.push_back(std::move(name));
    batch.arrays.push_back(std::move(array));
    batch.integers.push_back(type.getElementType().isInteger(64));
  }
  return batch;
}

//===----------------------------------------------------------------------===//
// Libraries
//===----------------------------------------------------------------------===//

// Where the process has AddressSanitizer; LLVM makes it nothing where its own code has none.
#undef __asan_poison_memory_region
extern "C" __attribute__((weak)) void __asan_poison_memory_region(void const volatile *, size_t);

/// The loader maps weights side by side: a read behind one's end is seen only if what is there is
/// poisoned.
static void poisonBetweenWeights(const std::string &path, StringRef manifest) {
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  auto query = handle ? reinterpret_cast<const graft_artifact *(*)(uint32_t)>(
                            dlsym(handle, "graft_artifact_query"))
                      : nullptr;
  auto facts = llvm::json::parse(manifest);
  if (!query || !facts || !facts->getAsObject() || !facts->getAsObject()->getArray("storage"))
    return llvm::consumeError(facts.takeError());
  const graft_artifact *artifact = query(GRAFT_ARTIFACT_ABI);
  const auto *weights = static_cast<const char *>(artifact->weights);
  int64_t end = 0;
  for (const llvm::json::Value &blob : *facts->getAsObject()->getArray("storage")) {
    const int64_t offset = blob.getAsObject()->getInteger("offset").value_or(0);
    if (end < offset)
      __asan_poison_memory_region(weights + end, size_t(offset - end));
    end = offset + blob.getAsObject()->getInteger("bytes").value_or(0);
  }
  dlclose(handle);
}

std::string Library::open(const std::string &path) {
  graft_error error = GRAFT_ERROR_INIT;
  if (graft_library_open(path.c_str(), nullptr, &library, &error) != GRAFT_OK)
    return std::string("opening the library: ") + error.message;
  size_t bytes = 0;
  const char *manifest = graft_library_manifest(library, &bytes);
  if (__asan_poison_memory_region)
    poisonBetweenWeights(path, StringRef(manifest, bytes));
  return "";
}

/// The elements as the library takes them. Exactly as large as they are, so that AddressSanitizer
/// sees where they end.
static std::unique_ptr<char[]> bytesOf(const Array &array, bool integers) {
  const size_t width = integers ? sizeof(int64_t) : sizeof(float);
  auto bytes = std::make_unique<char[]>(array.data.size() * width);
  for (auto [i, element] : llvm::enumerate(array.data)) {
    const int64_t whole = integers ? int64_t(element) : 0;
    const float real = float(element);
    std::memcpy(bytes.get() + i * width, integers ? (const void *)&whole : &real, width);
  }
  return bytes;
}

static int32_t look(void *data, const graft_route *route) {
  Routed &routed = (*static_cast<AllRouted *>(data))[route->router];
  const auto slots = size_t(route->slots), bytes = slots * graft_type_bytes(route->weight_type);
  const auto rows = size_t(route->positions ? route->batch_rows : route->rows);
  routed.rows = int64_t(rows);
  routed.slots = route->slots;
  routed.weightType = route->weight_type;
  routed.chosen.resize(rows * slots, GRAFT_ROUTE_UNREACHED);
  routed.weights.resize(rows * bytes);
  for (int64_t row = 0; row < route->rows; ++row) {
    const auto to = size_t(route->positions ? route->positions[row] : row);
    std::copy_n(route->chosen + size_t(row) * slots, slots, routed.chosen.begin() + to * slots);
    const char *weights = static_cast<const char *>(route->weights) + size_t(row) * bytes;
    std::copy_n(weights, bytes, routed.weights.begin() + to * bytes);
    for (size_t s = 0; s < slots && route->weight_type == GRAFT_F32; ++s)
      routed.anyNaN |= std::isnan(static_cast<const float *>(
          static_cast<const void *>(routed.weights.data()))[to * slots + s]);
  }
  return 0;
}

Outcome Library::run(const Batch &batch, ArrayRef<std::string> tasks, int threads, bool rowTasks,
                     AllRouted *seen, const AllRouted *given) {
  std::vector<std::unique_ptr<char[]>> bytes;
  std::vector<graft_buffer> buffers;
  for (auto [i, array] : llvm::enumerate(batch.arrays)) {
    bytes.push_back(bytesOf(array, batch.integers[i]));
    graft_buffer buffer = GRAFT_BUFFER_INIT;
    buffer.type = batch.integers[i] ? GRAFT_I64 : GRAFT_F32;
    buffer.name = batch.names[i].c_str();
    buffer.data = bytes.back().get();
    buffer.bytes = array.data.size() * graft_type_bytes(buffer.type);
    buffer.rank = int32_t(array.shape.size());
    std::copy(array.shape.begin(), array.shape.end(), buffer.dims);
    buffers.push_back(buffer);
  }
  std::vector<const char *> names;
  for (const std::string &task : tasks)
    names.push_back(task.c_str());
  graft_request request = GRAFT_REQUEST_INIT;
  request.flags = rowTasks ? GRAFT_ROW_TASKS : 0;
  request.tasks = names.data();
  request.task_count = names.size();
  request.inputs = buffers.data();
  request.input_count = buffers.size();
  request.threads = threads;
  std::vector<graft_route> routes;
  static const AllRouted kNone;
  for (const auto &[name, routed] : given ? *given : kNone) {
    graft_route &route = routes.emplace_back();
    route = GRAFT_ROUTE_INIT;
    route.router = name.c_str();
    route.rows = routed.rows;
    route.slots = routed.slots;
    route.chosen = routed.chosen.data();
    route.weights = routed.weights.data();
    route.weight_type = routed.weightType;
  }
  request.routes = routes.data();
  request.route_count = routes.size();
  request.on_route = seen ? look : nullptr;
  request.on_route_data = seen;
  graft_result *result = nullptr;
  graft_error error = GRAFT_ERROR_INIT;
  Outcome outcome;
  outcome.status = graft_run(library, &request, &result, &error);
  outcome.error = error.message;
  for (size_t i = 0; outcome.status == GRAFT_OK && i < graft_result_count(result); ++i) {
    graft_buffer buffer = GRAFT_BUFFER_INIT;
    graft_result_get(result, i, &buffer, &error);
    Output &output = outcome.outputs[buffer.name];
    output.shape.assign(buffer.dims, buffer.dims + buffer.rank);
    output.data.resize(size_t(Array::count(output.shape)));
    if (!output.data.empty())
      std::memcpy(output.data.data(), buffer.data, output.data.size() * sizeof(float));
  }
  graft_result_free(result);
  return outcome;
}
