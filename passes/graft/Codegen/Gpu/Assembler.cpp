//===- Assembler.cpp - The CUDA toolkit's tools, where there are some *- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Gpu/Assembler.h"

#include "graft/Fault/Fault.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

using namespace graft;
using llvm::ArrayRef;
using llvm::StringRef;

static constexpr llvm::StringLiteral kCommon[] = {"sm_80",  "sm_86",   "sm_89",
                                                  "sm_90a", "sm_100a", "sm_120"};

ArrayRef<llvm::StringLiteral> graft::commonArchitectures() { return kCommon; }

llvm::Expected<std::vector<std::string>> graft::parseArchitectures(StringRef list) {
  std::vector<std::string> names;
  if (list == "all") {
    for (StringRef name : kCommon)
      names.push_back(name.str());
    return names;
  }
  llvm::SmallVector<StringRef> parts;
  list.split(parts, ',');
  for (StringRef part : parts) {
    StringRef digits = part;
    unsigned capability = 0;
    const bool isOne = digits.consume_front("sm_") && !digits.empty() &&
                       !digits.rtrim("af").getAsInteger(10, capability) &&
                       digits.size() - digits.rtrim("af").size() <= 1;
    if (!isOne || capability < kLeastCapability || capability > 999)
      return inputFault("--gpu-arch: expected all or names as sm_90a, separated by ',', from sm_" +
                        llvm::Twine(kLeastCapability) + " on, found '" + part + "'");
    if (llvm::is_contained(names, part))
      return inputFault("--gpu-arch: expected each architecture once, found '" + part + "' twice");
    names.push_back(part.str());
  }
  return names;
}

namespace {
/// A file that is gone when this is.
class ScratchFile {
public:
  explicit ScratchFile(StringRef suffix) {
    code = llvm::sys::fs::createTemporaryFile("graft", suffix, path);
    if (!code)
      llvm::sys::RemoveFileOnSignal(path);
  }
  ScratchFile(const ScratchFile &) = delete;
  ScratchFile &operator=(const ScratchFile &) = delete;
  ~ScratchFile() {
    if (path.empty())
      return;
    llvm::sys::fs::remove(path);
    llvm::sys::DontRemoveFileOnSignal(path);
  }

  StringRef name() const { return path; }
  llvm::Error write(StringRef bytes) {
    if (!code) {
      llvm::raw_fd_ostream stream(path, code);
      stream << bytes;
      stream.close();
      code = stream.error();
      stream.clear_error();
    }
    return status("cannot be written");
  }
  llvm::Expected<std::string> read() {
    if (llvm::Error error = status("cannot be made"))
      return std::move(error);
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    if (!buffer) {
      code = buffer.getError();
      return status("cannot be read");
    }
    return (*buffer)->getBuffer().str();
  }

private:
  llvm::Error status(const char *what) const {
    if (!code)
      return llvm::Error::success();
    return inputFault("temporary file '" + path + "' " + what + ": " + code.message());
  }

  llvm::SmallString<128> path;
  std::error_code code;
};
} // namespace

/// What a tool says, without what it says of success.
static std::string complaintOf(StringRef words) {
  llvm::SmallVector<StringRef> lines;
  words.split(lines, '\n', -1, /*KeepEmpty=*/false);
  llvm::erase_if(lines, [](StringRef line) {
    return line.trim().empty() || line.contains("ptxas info") || line.starts_with("    ");
  });
  // A wrong text has an error a line.
  const bool isLong = lines.size() > 5;
  auto plain = [](StringRef line) {
    llvm::SmallVector<StringRef> words;
    line.split(words, ' ', -1, /*KeepEmpty=*/false);
    return llvm::join(words, " ");
  };
  std::string text = llvm::join(llvm::map_range(ArrayRef(lines).take_front(5), plain), "; ");
  return isLong ? text + "; …" : text;
}

/// Runs a program; what it writes to standard output and to standard error.
static llvm::Expected<std::pair<std::string, std::string>>
runTool(StringRef program, ArrayRef<StringRef> arguments, StringRef arch) {
  ScratchFile output("out"), words("err");
  llvm::SmallVector<StringRef> all{program};
  llvm::append_range(all, arguments);
  std::string failure;
  const std::optional<StringRef> redirects[] = {StringRef(""), output.name(), words.name()};
  const int code = llvm::sys::ExecuteAndWait(program, all, std::nullopt, redirects, 0, 0, &failure);
  llvm::Expected<std::string> out = output.read(), err = words.read();
  if (!out || !err)
    return llvm::joinErrors(out ? llvm::Error::success() : out.takeError(),
                            err ? llvm::Error::success() : err.takeError());
  if (code == 0)
    return std::make_pair(std::move(*out), std::move(*err));
  std::string complaint = complaintOf(*err + "\n" + *out);
  if (complaint.empty())
    complaint = failure.empty() ? "exit code " + std::to_string(code) : failure;
  return inputFault("--gpu-arch " + arch + ": " + program + ": " + complaint);
}

/// What `ptxas -v` says of each kernel.
static std::vector<std::optional<KernelResources>> readResources(StringRef words,
                                                                 ArrayRef<DeviceKernel> kernels) {
  std::vector<std::optional<KernelResources>> resources(kernels.size());
  KernelResources *current = nullptr;
  llvm::SmallVector<StringRef> lines, found;
  words.split(lines, '\n');
  const llvm::Regex entry("Compiling entry function '([^']+)'"), used("Used ([0-9]+) registers"),
      shared("([0-9]+) bytes smem"),
      stack("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads");
  auto number = [&](size_t group) {
    unsigned value = 0;
    found[group].getAsInteger(10, value);
    return value;
  };
  for (StringRef line : lines) {
    if (entry.match(line, &found)) {
      auto kernel =
          llvm::find_if(kernels, [&](const DeviceKernel &each) { return found[1] == each.name; });
      current = kernel == kernels.end() ? nullptr : &resources[kernel - kernels.begin()].emplace();
    }
    if (!current)
      continue;
    if (stack.match(line, &found)) {
      current->stack = number(1);
      current->spillStores = number(2);
      current->spillLoads = number(3);
    }
    if (used.match(line, &found)) {
      current->registers = number(1);
      if (shared.match(line, &found))
        current->shared = number(1);
    }
  }
  // No kernel does without registers: the words were other ones.
  for (std::optional<KernelResources> &each : resources)
    if (each && each->registers == 0)
      each.reset();
  return resources;
}

DeviceTools DeviceTools::find(StringRef folder) {
  auto program = [&](StringRef name) -> std::string {
    llvm::SmallVector<StringRef, 1> folders;
    if (!folder.empty())
      folders.push_back(folder);
    auto path = llvm::sys::findProgramByName(name, folders);
    return path ? *path : "";
  };
  DeviceTools tools;
  tools.ptxas = program("ptxas");
  tools.nvdisasm = program("nvdisasm");
  tools.cuobjdump = program("cuobjdump");
  return tools;
}

llvm::Expected<DeviceImage> DeviceTools::assemble(StringRef ptx, StringRef arch,
                                                  ArrayRef<DeviceKernel> kernels) const {
  ScratchFile text("ptx"), code("cubin");
  if (llvm::Error error = text.write(ptx))
    return std::move(error);
  const std::string option = ("-arch=" + arch).str();
  auto said = runTool(ptxas, {"-v", option, text.name(), "-o", code.name()}, arch);
  if (!said)
    return said.takeError();
  llvm::Expected<std::string> bytes = code.read();
  if (!bytes)
    return bytes.takeError();
  if (!StringRef(*bytes).starts_with("\177ELF"))
    return inputFault("--gpu-arch " + arch + ": " + ptxas + ": expected a cubin, found " +
                      llvm::Twine(bytes->size()) + " bytes that are none");
  return DeviceImage{arch.str(), std::move(*bytes), readResources(said->second, kernels)};
}

llvm::Expected<std::string> DeviceTools::disassemble(const DeviceImage &image) const {
  ScratchFile code("cubin");
  if (llvm::Error error = code.write(image.code))
    return std::move(error);
  auto said = nvdisasm.empty() ? runTool(cuobjdump, {"-sass", code.name()}, image.arch)
                               : runTool(nvdisasm, {"-c", code.name()}, image.arch);
  if (!said)
    return said.takeError();
  return std::move(said->first);
}
