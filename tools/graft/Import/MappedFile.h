//===- MappedFile.h - Regular files, mapped to be read -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_IMPORT_MAPPEDFILE_H
#define GRAFT_IMPORT_MAPPEDFILE_H

#include "graft/Fault/Fault.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"

#include <memory>
#include <string>
#include <vector>

namespace graft {

/// A regular file, mapped read-only for as long as the object lives.
class MappedFile {
public:
  /// Maps the file at `path`. With `refuseLinks` the last component may not be a symbolic link, nor
  /// the file have a second name.
  static llvm::Expected<std::shared_ptr<const MappedFile>> open(const llvm::Twine &path,
                                                                bool refuseLinks = false);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  llvm::ArrayRef<char> bytes() const { return view; }

private:
  explicit MappedFile(llvm::ArrayRef<char> view) : view(view) {}
  llvm::ArrayRef<char> view;
};

/// The files beside a model that hold its tensors' data.
class ExternalFiles {
public:
  ExternalFiles(llvm::StringRef modelFile, bool allowLinks);

  /// The file that a tensor names. It must lie in the model's folder: an absolute location, one
  /// with `..`, and, unless allowed, one that is or passes through a link are refused.
  llvm::Expected<std::shared_ptr<const MappedFile>> open(llvm::StringRef location,
                                                         llvm::StringRef where);

  /// Of all that have been opened.
  const std::vector<std::string> &openedPaths() const { return paths; }

private:
  std::vector<std::string> paths;
  std::string folder;
  bool allowLinks;
  llvm::StringMap<std::shared_ptr<const MappedFile>> files;
};

} // namespace graft

#endif // GRAFT_IMPORT_MAPPEDFILE_H
