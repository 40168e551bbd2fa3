//===- WeightsObject.cpp - An ELF object of weights --------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/Storage.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELFTypes.h"
#include "llvm/Support/MathExtras.h"

using namespace graft;
using llvm::object::ELF64LE;

/// The names of sections and symbols: one table serves both.
static constexpr char kNames[] =
    "\0.graft.weights\0graft_weights\0.symtab\0.strtab\0.note.GNU-stack";

static uint32_t nameOffset(llvm::StringRef name) {
  llvm::StringRef names(kNames, sizeof(kNames));
  std::string terminated = name.str();
  terminated.push_back('\0');
  return names.find(terminated);
}

void WeightsObject::begin(llvm::raw_fd_ostream &stream) { stream.write_zeros(kDataOffset); }

void WeightsObject::end(llvm::raw_fd_ostream &stream, uint64_t bytes) {
  using namespace llvm::ELF;
  auto align = [&](uint64_t to) {
    stream.write_zeros(llvm::offsetToAlignment(stream.tell(), llvm::Align(to)));
  };
  enum { Null, Weights, Symbols, Strings, Stack, SectionCount };
  ELF64LE::Shdr sections[SectionCount] = {};

  sections[Weights].sh_name = nameOffset(".graft.weights");
  sections[Weights].sh_type = SHT_PROGBITS;
  sections[Weights].sh_flags = SHF_ALLOC | SHF_X86_64_LARGE;
  sections[Weights].sh_offset = kDataOffset;
  sections[Weights].sh_size = bytes;
  sections[Weights].sh_addralign = 4096;

  align(8);
  ELF64LE::Sym symbols[2] = {};
  symbols[1].st_name = nameOffset("graft_weights");
  symbols[1].setBindingAndType(STB_GLOBAL, STT_OBJECT);
  symbols[1].st_other = STV_HIDDEN;
  symbols[1].st_shndx = Weights;
  symbols[1].st_size = bytes;
  sections[Symbols].sh_name = nameOffset(".symtab");
  sections[Symbols].sh_type = SHT_SYMTAB;
  sections[Symbols].sh_offset = stream.tell();
  sections[Symbols].sh_size = sizeof(symbols);
  sections[Symbols].sh_link = Strings;
  sections[Symbols].sh_info = 1; // the first that is not local
  sections[Symbols].sh_addralign = 8;
  sections[Symbols].sh_entsize = sizeof(symbols[0]);
  stream.write(reinterpret_cast<const char *>(symbols), sizeof(symbols));

  sections[Strings].sh_name = nameOffset(".strtab");
  sections[Strings].sh_type = SHT_STRTAB;
  sections[Strings].sh_offset = stream.tell();
  sections[Strings].sh_size = sizeof(kNames);
  sections[Strings].sh_addralign = 1;
  stream.write(kNames, sizeof(kNames));

  sections[Stack].sh_name = nameOffset(".note.GNU-stack"); // the stack need not be executable
  sections[Stack].sh_type = SHT_PROGBITS;
  sections[Stack].sh_offset = stream.tell();
  sections[Stack].sh_addralign = 1;

  align(8);
  ELF64LE::Ehdr header = {};
  memcpy(header.e_ident, ElfMagic, 4);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_shoff = stream.tell();
  header.e_ehsize = sizeof(header);
  header.e_shentsize = sizeof(sections[0]);
  header.e_shnum = SectionCount;
  header.e_shstrndx = Strings;
  stream.write(reinterpret_cast<const char *>(sections), sizeof(sections));
  stream.pwrite(reinterpret_cast<const char *>(&header), sizeof(header), 0);
}
