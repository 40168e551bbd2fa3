//===- MappedFile.cpp - Regular files, mapped to be read -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/MappedFile.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace graft;
using namespace llvm;

Expected<std::shared_ptr<const MappedFile>> MappedFile::open(const Twine &path, bool refuseLinks) {
  std::string name = path.str();
  // Without O_NONBLOCK a named pipe would hang here.
  int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (refuseLinks ? O_NOFOLLOW : 0));
  if (fd < 0) {
    if (refuseLinks && errno == ELOOP)
      return inputFault(name + ": is a symbolic link; --allow-links accepts it");
    return inputFault(name + ": " + std::strerror(errno));
  }
  auto close = llvm::scope_exit([&] { ::close(fd); });
  struct stat status;
  if (::fstat(fd, &status) != 0)
    return inputFault(name + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return inputFault(name + ": expected a regular file, found " +
                      (S_ISDIR(status.st_mode) ? "a folder" : "something else"));
  if (refuseLinks && status.st_nlink > 1)
    return inputFault(name + ": has more than one hard link; --allow-links accepts it");
  ArrayRef<char> view;
  if (status.st_size > 0) {
    void *memory = ::mmap(nullptr, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED)
      return inputFault(name + ": cannot be mapped: " + std::strerror(errno));
    view = ArrayRef<char>(static_cast<const char *>(memory), status.st_size);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(view));
}

MappedFile::~MappedFile() {
  if (!view.empty())
    ::munmap(const_cast<char *>(view.data()), view.size());
}

ExternalFiles::ExternalFiles(StringRef modelFile, bool allowLinks)
    : folder(sys::path::parent_path(modelFile).str()), allowLinks(allowLinks) {
  if (folder.empty())
    folder = ".";
}

Expected<std::shared_ptr<const MappedFile>> ExternalFiles::open(StringRef location,
                                                                StringRef where) {
  auto refuse = [&](const Twine &what) {
    return inputFault(where + ": expected external data inside the model's folder, found '" +
                      location + "', " + what);
  };
  if (location.empty() || location.contains('\0'))
    return refuse("which names no file");
  if (sys::path::is_absolute(location))
    return refuse("an absolute path");
  auto [entry, isNew] = files.try_emplace(location);
  if (!isNew)
    return entry->second;
  auto drop = llvm::scope_exit([&, it = entry] { files.erase(it); });

  SmallString<256> path(folder);
  for (auto part = sys::path::begin(location), end = sys::path::end(location); part != end;
       ++part) {
    if (*part == "..")
      return refuse("which leaves it");
    sys::path::append(path, *part);
    struct stat status;
    if (!allowLinks && ::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode))
      return refuse("a symbolic link; --allow-links accepts it");
  }
  auto file = MappedFile::open(path, !allowLinks);
  if (!file)
    return inputFault(where + ": external data: " + toString(file.takeError()));
  drop.release();
  paths.push_back(path.str().str());
  entry->second = *file;
  return *file;
}
