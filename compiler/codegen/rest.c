/* Memory that is given back after compiling. LLVM's code takes 45 MiB of resident memory once it has run, which
 * is the process's largest part next to a small model's workspace. */
#include "compiler/codegen/codegen.h"

#include <link.h>
#include <llvm-c/Core.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

/* Is the object LLVM's? Then its segments that nobody writes to are dropped; others are running or come back.
 */
static int drop_code(struct dl_phdr_info *object, size_t size, void *context) {
  (void)size;
  (void)context;
  uintptr_t inside = (uintptr_t)LLVMContextCreate, page = (uintptr_t)sysconf(_SC_PAGESIZE);
  bool llvm = false;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    uintptr_t start = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
    bool loaded = object->dlpi_phdr[i].p_type == PT_LOAD;
    llvm = llvm || (loaded && inside >= start && inside - start < object->dlpi_phdr[i].p_memsz);
  }
  for (int i = 0; i < object->dlpi_phnum && llvm; i++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD || segment->p_flags & PF_W) continue;
    uintptr_t start = (object->dlpi_addr + segment->p_vaddr) / page * page;
    madvise((void *)start, object->dlpi_addr + segment->p_vaddr + segment->p_memsz - start, MADV_DONTNEED);
  }
  return llvm;
}

void moire__codegen_rest(void) {
  dl_iterate_phdr(drop_code, NULL);
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
