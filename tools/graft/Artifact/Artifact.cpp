//===- Artifact.cpp - Links a library ----------------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/Artifact.h"
#include "graft/Analysis/Residency.h"
#include "graft/Artifact/Descriptor.h"
#include "graft/Artifact/DeviceImages.h"
#include "graft/Artifact/Manifest.h"
#include "graft/Artifact/Storage.h"
#include "graft/Fault/Fault.h"

#include "lld/Common/Driver.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/Signals.h"

#include <numeric>

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace graft;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace {
/// Files that are gone when the object is, unless they were renamed to what they are for.
class TemporaryFiles {
public:
  /// In `folder`, since a rename must not cross file systems.
  TemporaryFiles(StringRef folder, Location loc)
      : folder(folder.empty() ? "." : folder), loc(loc) {}
  ~TemporaryFiles() {
    for (const std::string &file : files) {
      fs::remove(file);
      llvm::sys::DontRemoveFileOnSignal(file);
    }
  }

  FailureOr<std::string> create(StringRef stem, int *descriptor = nullptr) {
    SmallString<128> model(folder), result;
    path::append(model, "." + stem + "-%%%%%%%%.tmp");
    int fd;
    if (std::error_code code = fs::createUniqueFile(model, fd, result))
      return fail(model, "cannot be created", code);
    if (descriptor)
      *descriptor = fd;
    else
      llvm::sys::Process::SafelyCloseFileDescriptor(fd);
    files.push_back(result.str().str());
    llvm::sys::RemoveFileOnSignal(files.back());
    return files.back();
  }

  FailureOr<std::string> write(StringRef stem, StringRef bytes) {
    int fd;
    FailureOr<std::string> file = create(stem, &fd);
    if (failed(file))
      return failure();
    llvm::raw_fd_ostream stream(fd, /*shouldClose=*/true);
    stream << bytes;
    if (failed(close(stream, *file)))
      return failure();
    return file;
  }

  LogicalResult close(llvm::raw_fd_ostream &stream, StringRef file) {
    stream.close();
    if (!stream.has_error())
      return success();
    std::error_code code = stream.error();
    stream.clear_error();
    return fail(file, "cannot be written", code);
  }

  /// Removes `file` too, which a rename has put where another temporary file was.
  void adopt(StringRef file) {
    files.push_back(file.str());
    llvm::sys::RemoveFileOnSignal(file);
  }

  LogicalResult rename(StringRef file, StringRef target) {
    if (std::error_code code = fs::rename(file, target))
      return fail(target, "cannot be written", code);
    llvm::erase(files, file.str());
    llvm::sys::DontRemoveFileOnSignal(file);
    return success();
  }

private:
  LogicalResult fail(StringRef file, StringRef what, std::error_code code) {
    return emitInputFault(loc) << file << ": " << what << ": " << code.message();
  }

  std::string folder;
  Location loc;
  std::vector<std::string> files;
};
} // namespace

/// Of the libraries, as the linker is told.
constexpr unsigned kPageSize = 4096;

static LogicalResult link(ArrayRef<std::string> objects, StringRef output, bool undefinedAllowed,
                          Location loc) {
  std::vector<std::string> args{"ld.lld",
                                "-shared",
                                "-o",
                                output.str(),
                                "--hash-style=gnu",
                                "--gc-sections",
                                "--build-id=none",
                                "-Bsymbolic",
                                "-z",
                                "relro",
                                "-z",
                                "now",
                                "-z",
                                "noexecstack",
                                "-z",
                                "max-page-size=" + std::to_string(kPageSize),
                                "-z",
                                undefinedAllowed ? "undefs" : "defs"};
  args.insert(args.end(), objects.begin(), objects.end());
  std::vector<const char *> pointers;
  for (const std::string &arg : args)
    pointers.push_back(arg.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(pointers, llvm::nulls(), stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode == 0)
    return success();
  return emitError(loc) << "linking the library failed: " << StringRef(messages).trim();
}

static std::string checkIndices(const ArtifactSpec &spec) {
  size_t values = spec.inputs.size() + spec.values.size();
  auto valid = [&](ArrayRef<unsigned> list) {
    return llvm::all_of(list, [&](unsigned value) { return value < values; });
  };
  for (auto [index, stage] : llvm::enumerate(spec.stages)) {
    std::string name = "stage " + std::to_string(index);
    if (stage.code >= spec.codes.size() || stage.parent < -1 ||
        stage.parent >= int(spec.stages.size()) || stage.parent == int(index) ||
        !valid(stage.inputs) || !valid(stage.outputs))
      return name + " refers to what does not exist";
    size_t slots = spec.codes[stage.code].info.parameters.size();
    if (stage.parameters.size() != slots)
      return name + ": its code wants " + std::to_string(slots) + " parameters, found " +
             std::to_string(stage.parameters.size());
  }
  for (const ArtifactSpec::Task &task : spec.tasks)
    if (task.stage >= spec.stages.size() ||
        llvm::any_of(task.outputs, [&](const auto &output) { return output.value >= values; }))
      return "task '" + task.name + "' refers to what does not exist";
  if (const auto &rows = spec.rowStage)
    if (rows->stage >= spec.stages.size() || rows->keys >= values ||
        llvm::any_of(rows->outputs, [&](const auto &output) { return output.value >= values; }))
      return "the stage of rows refers to what does not exist";
  return "";
}

/// Stores what the stages ask for. `parameters` becomes indices of blobs, by stage and slot.
static LogicalResult store(const ArtifactSpec &spec, StorageWriter &writer,
                           std::vector<std::vector<unsigned>> &parameters, Location loc) {
  for (const ArtifactSpec::Stage &stage : spec.stages) {
    std::vector<unsigned> &slots = parameters.emplace_back();
    for (const ArtifactSpec::Parameter &parameter : stage.parameters) {
      FailureOr<unsigned> index = writer.add(parameter.weight, parameter.packing, loc);
      if (failed(index))
        return failure();
      slots.push_back(*index);
    }
  }
  return success();
}

/// The bytes of an object that a library takes over: what is loaded, and names.
static uint64_t linkedBytes(StringRef object) {
  auto file = llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(object, ""));
  if (!file) {
    llvm::consumeError(file.takeError());
    return object.size();
  }
  uint64_t bytes = 0;
  for (llvm::object::ELFSectionRef section : (*file)->sections())
    if (section.getFlags() & llvm::ELF::SHF_ALLOC && !section.isBSS())
      bytes += section.getSize();
  for (llvm::object::ELFSymbolRef symbol : (*file)->symbols()) {
    auto name = symbol.getName();
    if (!name)
      llvm::consumeError(name.takeError());
    else if (symbol.getELFType() != llvm::ELF::STT_SECTION && !name->starts_with(".L"))
      bytes += sizeof(llvm::ELF::Elf64_Sym) + name->size() + 1;
  }
  return bytes;
}

/// Links the library of `content` and puts it at `target`.
static LogicalResult buildLibrary(const ArtifactSpec &spec, const LibraryContent &content,
                                  const StorageReport &storage,
                                  const std::vector<std::vector<unsigned>> &parameters,
                                  const WeightsFile *weightsFile, StringRef weightsObject,
                                  TemporaryFiles &files, StringRef target, Location loc,
                                  StorageReport *report) {
  Descriptor descriptor;
  descriptor.manifest = buildManifest(spec, content, storage, parameters, weightsFile);
  descriptor.weightsBytes = weightsObject.empty() ? 0 : storage.bytes;
  for (unsigned code : content.codes)
    descriptor.codes.push_back(spec.codes[code].info.name);
  if (spec.device) {
    Descriptor::Device &device = descriptor.device.emplace();
    device.image = joinImages(*spec.device);
    for (const DeviceKernel &kernel : spec.device->kernels)
      device.kernels.push_back(kernel.name);
    for (unsigned code : content.codes)
      device.codes.push_back(spec.codes[code].device ? spec.codes[code].device->name : "");
  }
  std::string object, error;
  if (!emitDescriptor(descriptor, spec.target, object, error))
    return emitError(loc) << error;

  std::vector<std::string> objects;
  uint64_t codeBytes = kPageSize; // headers, up to where the weights begin
  auto add = [&](StringRef bytes) -> LogicalResult {
    codeBytes += linkedBytes(bytes);
    FailureOr<std::string> file = files.write("graft-object", bytes);
    if (failed(file))
      return failure();
    objects.push_back(*file);
    return success();
  };
  if (failed(add(object)))
    return failure();
  // An object may define several codes; the linker drops what this library does not ask for.
  for (const ArtifactSpec::Code &code : spec.codes)
    if (!code.object.empty() && failed(add(code.object)))
      return failure();
  if (!weightsObject.empty())
    objects.push_back(weightsObject.str());
  FailureOr<std::string> output = files.create(path::filename(target));
  if (failed(output) || failed(link(objects, *output, spec.instrumented, loc)))
    return failure();
  // Temporary files are for their owner alone; the library is as readable as the user wants his
  // files.
  unsigned mask = fs::getUmask();
  if (std::error_code code = fs::setPermissions(*output, fs::perms(0777 & ~mask)))
    return emitInputFault(loc) << target << ": " << code.message();
  uint64_t size = 0;
  if (std::error_code code = fs::file_size(*output, size))
    return emitInputFault(loc) << target << ": " << code.message();
  if (report) {
    report->codeBytes += codeBytes;
    report->fileBytes += size;
  }
  return files.rename(*output, target);
}

LogicalResult graft::writeArtifact(const ArtifactSpec &spec, const WeightStore &weights,
                                   StringRef target, Location loc, StorageReport *report) {
  if (std::string error = checkIndices(spec); !error.empty())
    return emitError(loc) << error;
  TemporaryFiles files(path::parent_path(target), loc);
  int fd;
  FailureOr<std::string> object = files.create("graft-weights", &fd);
  if (failed(object))
    return failure();
  llvm::raw_fd_ostream stream(fd, /*shouldClose=*/true);
  WeightsObject::begin(stream);
  StorageWriter writer(stream, WeightsObject::kDataOffset, weights,
                       spec.instrumented ? kWeightAlignment : 0);
  std::vector<std::vector<unsigned>> parameters;
  LogicalResult stored = store(spec, writer, parameters, loc);
  if (succeeded(stored))
    WeightsObject::end(stream, writer.report().bytes);
  if (failed(files.close(stream, *object)) || failed(stored))
    return failure();

  LibraryContent content;
  content.codes.resize(spec.codes.size());
  content.stages.resize(spec.stages.size());
  content.tasks.resize(spec.tasks.size());
  for (std::vector<unsigned> *list : {&content.codes, &content.stages, &content.tasks})
    std::iota(list->begin(), list->end(), 0);
  if (report)
    *report = writer.report();
  return buildLibrary(spec, content, writer.report(), parameters, /*weightsFile=*/nullptr,
                      writer.report().bytes ? StringRef(*object) : StringRef(), files, target, loc,
                      report);
}

/// What the library of one task holds: the codes and stages of its path.
static LibraryContent contentOfTask(const ArtifactSpec &spec, unsigned task) {
  LibraryContent content;
  content.tasks = {task};
  for (int stage = spec.tasks[task].stage; stage >= 0; stage = spec.stages[stage].parent) {
    if (llvm::is_contained(content.stages, unsigned(stage)))
      break; // a cycle: the runtime's check of the manifest names it
    content.stages.insert(content.stages.begin(), stage);
  }
  llvm::SetVector<unsigned> codes;
  for (unsigned stage : content.stages)
    codes.insert(spec.stages[stage].code);
  content.codes.assign(codes.begin(), codes.end());
  return content;
}

static FailureOr<std::string> sha256(StringRef file, Location loc) {
  auto buffer =
      llvm::MemoryBuffer::getFile(file, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return emitInputFault(loc) << file << ": " << buffer.getError().message();
  llvm::SHA256 hasher;
  hasher.update((*buffer)->getBuffer());
  return llvm::toHex(hasher.final(), /*LowerCase=*/true);
}

LogicalResult graft::writeSplitArtifacts(const ArtifactSpec &spec, const WeightStore &weights,
                                         StringRef folder, Location loc, StorageReport *report) {
  if (std::string error = checkIndices(spec); !error.empty())
    return emitError(loc) << error;
  bool existed = fs::exists(folder);
  if (std::error_code code = fs::create_directories(folder))
    return emitInputFault(loc) << folder << ": cannot be created: " << code.message();

  std::vector<std::string> written;
  LogicalResult result = [&]() -> LogicalResult {
    TemporaryFiles files(folder, loc);
    int fd;
    FailureOr<std::string> file = files.create("graft-weights", &fd);
    if (failed(file))
      return failure();
    llvm::raw_fd_ostream stream(fd, /*shouldClose=*/true);
    StorageWriter writer(stream, /*base=*/0, weights);
    std::vector<std::vector<unsigned>> parameters;
    LogicalResult stored = store(spec, writer, parameters, loc);
    if (failed(files.close(stream, *file)) || failed(stored))
      return failure();
    FailureOr<std::string> digest = sha256(*file, loc);
    if (failed(digest))
      return failure();
    WeightsFile weightsFile{"weights.bin", writer.report().bytes, *digest};
    if (report) {
      *report = writer.report();
      report->fileBytes = writer.report().bytes;
    }

    // Nothing takes its place before everything is there.
    std::vector<std::pair<std::string, std::string>> renames;
    for (auto [index, task] : llvm::enumerate(spec.tasks)) {
      FailureOr<std::string> library = files.create("graft-task");
      if (failed(library) ||
          failed(buildLibrary(spec, contentOfTask(spec, index), writer.report(), parameters,
                              &weightsFile, /*weightsObject=*/"", files, *library, loc, report)))
        return failure();
      files.adopt(*library);
      SmallString<128> target(folder);
      path::append(target, task.name + ".so");
      renames.emplace_back(*library, target.str().str());
    }
    SmallString<128> target(folder);
    path::append(target, weightsFile.name);
    renames.emplace_back(*file, target.str().str());
    if (std::error_code code =
            fs::setPermissions(*file, fs::perms(0666 & ~unsigned(fs::getUmask()))))
      return emitInputFault(loc) << target << ": " << code.message();
    for (auto &[from, to] : renames) {
      bool isNew = !fs::exists(to);
      if (failed(files.rename(from, to)))
        return failure();
      if (isNew)
        written.push_back(to);
    }
    return success();
  }();
  if (failed(result)) {
    for (const std::string &file : written)
      fs::remove(file);
    if (!existed)
      fs::remove(folder); // fails, and should, if something else is in it
  }
  return result;
}
