//===- ElfFile.cpp - Is a file a whole library? -----------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/ElfFile.h"

#include <cstring>
#include <elf.h>
#include <optional>
#include <string_view>

using namespace graft::runtime;

namespace {
/// Reads with bounds; the file need not be aligned to anything.
struct Reader {
  const char *bytes;
  uint64_t size;

  bool holds(uint64_t offset, uint64_t count) const {
    return offset <= size && count <= size - offset;
  }
  template <typename T> bool read(uint64_t offset, T &value) const {
    if (!holds(offset, sizeof(T)))
      return false;
    std::memcpy(&value, bytes + offset, sizeof(T));
    return true;
  }
};
} // namespace

static constexpr std::string_view kQuery = "graft_artifact_query";

static bool exportsQuery(const Reader &file, const Elf64_Shdr &symbols, const Elf64_Shdr &strings) {
  if (symbols.sh_entsize != sizeof(Elf64_Sym))
    return false;
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols.sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    if (!file.read(symbols.sh_offset + at, symbol) || symbol.st_shndx == SHN_UNDEF)
      continue;
    // The terminating zero is part of what is compared.
    if (symbol.st_name >= strings.sh_size || strings.sh_size - symbol.st_name <= kQuery.size())
      continue;
    if (std::memcmp(file.bytes + strings.sh_offset + symbol.st_name, kQuery.data(),
                    kQuery.size() + 1) == 0)
      return true;
  }
  return false;
}

Status ElfFile::check(const char *bytes, uint64_t size, const std::string &path) {
  Reader file{bytes, size};
  auto truncated = [&](const char *what) {
    return inputError(path + ": the file is truncated: it has " + std::to_string(size) +
                      " bytes, and its " + what + " lie beyond");
  };

  Elf64_Ehdr header;
  if (size < SELFMAG || std::memcmp(bytes, ELFMAG, SELFMAG) != 0)
    return inputError(path + ": expected a library (ELF), found something else");
  if (!file.read(0, header))
    return truncated("headers");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != EM_X86_64 || header.e_type != ET_DYN)
    return inputError(path + ": expected a shared library for x86-64");
  if (header.e_phentsize != sizeof(Elf64_Phdr) ||
      (header.e_shnum && header.e_shentsize != sizeof(Elf64_Shdr)))
    return inputError(path + ": damaged ELF headers");
  if (!file.holds(header.e_phoff, uint64_t(header.e_phnum) * sizeof(Elf64_Phdr)))
    return truncated("program headers");
  if (!file.holds(header.e_shoff, uint64_t(header.e_shnum) * sizeof(Elf64_Shdr)))
    return truncated("section headers");

  segments.clear();
  for (uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    file.read(header.e_phoff + i * sizeof(segment), segment);
    if (!file.holds(segment.p_offset, segment.p_filesz))
      return truncated("segments");
    if (segment.p_type == PT_LOAD)
      segments.push_back({segment.p_vaddr, segment.p_memsz, (segment.p_flags & PF_X) != 0});
  }

  bool found = false;
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    file.read(header.e_shoff + i * sizeof(section), section);
    if (section.sh_type == SHT_NULL || section.sh_type == SHT_NOBITS)
      continue;
    if (!file.holds(section.sh_offset, section.sh_size))
      return truncated("sections");
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= header.e_shnum)
      continue;
    Elf64_Shdr strings;
    file.read(header.e_shoff + section.sh_link * sizeof(strings), strings);
    found |= file.holds(strings.sh_offset, strings.sh_size) && exportsQuery(file, section, strings);
  }
  if (!found)
    return inputError(path + ": not made by graft: it does not export " + std::string(kQuery));
  return {};
}
