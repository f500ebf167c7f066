/* perf maps, from the symbol tables of ELF objects that LLVM has just written. */
#include "compiler/codegen/perf_map.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

FILE *moire__perf_map_open(moire_error *error) {
  char path[64];
  snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
  FILE *map = fopen(path, "ae");
  if (!map) moire_fail(error, MOIRE_ERROR_IO, "%s: %s", path, strerror(errno));
  return map;
}

/* Where the section of a global function was loaded, 0 if it holds none. */
static uint64_t section_address(const Elf64_Sym *symbols, size_t n, const char *names, unsigned section,
                                uint64_t (*find)(void *context, const char *symbol), void *context) {
  for (size_t i = 0; i < n; i++) {
    const Elf64_Sym *s = &symbols[i];
    if (s->st_shndx != section || ELF64_ST_BIND(s->st_info) != STB_GLOBAL) continue;
    uint64_t address = find(context, names + s->st_name);
    if (address) return address - s->st_value;
  }
  return 0;
}

void moire__perf_map_add(FILE *map, const char *object, size_t size,
                         uint64_t (*find)(void *context, const char *symbol), void *context) {
  const Elf64_Ehdr *head = (const void *)object;
  if (size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0) return;
  const Elf64_Shdr *sections = (const void *)(object + head->e_shoff);
  for (int i = 0; i < head->e_shnum; i++) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const Elf64_Sym *symbols = (const void *)(object + sections[i].sh_offset);
    const char *names = object + sections[sections[i].sh_link].sh_offset;
    size_t n = sections[i].sh_size / sizeof *symbols;
    for (size_t j = 0; j < n; j++) {
      const Elf64_Sym *s = &symbols[j];
      if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_shndx == SHN_UNDEF) continue;
      uint64_t base = section_address(symbols, n, names, s->st_shndx, find, context);
      if (base)
        fprintf(map, "%llx %llx %s\n", (unsigned long long)(base + s->st_value), (unsigned long long)s->st_size,
                names + s->st_name);
    }
  }
  fflush(map);
}
