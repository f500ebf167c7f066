/* Debug information: which line of the model each instruction serves.
 *
 * The inner function of a kernel is described under the kernel's name, in the file of the line that it serves
 * most. A statement's instructions carry the statement's line; lines of another file stand in a scope of that
 * file. What serves no line, such as the loop over pieces, is at the kernel's own. There are no types and no
 * variables.
 */
#include "compiler/codegen/emit.h"

#include <llvm-c/DebugInfo.h>
#include <string.h>

typedef struct file_scope {
  const char *path;
  LLVMMetadataRef scope;
} file_scope;

struct moire__emit_debug {
  LLVMDIBuilderRef builder;
  LLVMMetadataRef function;
  moire_source home; /* of the kernel */
  file_scope *files; /* other files than home's, as they are met */
  int n_files, file_capacity;
};

void moire__emit_debug_begin(moire__emitter *e) {
  if (!e->options->debug_info) return;
  const moire__ir *ir = &e->ir;
  const moire__loop_kernel *k = e->kernel;
  moire__emit_debug *d = e->debug = moire__arena_alloc(&e->arena, sizeof *d);
  bool known = k->n_sources && k->sources[0].file;
  d->home = known ? k->sources[0] : (moire_source){.file = "model"};
  d->builder = LLVMCreateDIBuilder(ir->module);
  LLVMMetadataRef file = LLVMDIBuilderCreateFile(d->builder, d->home.file, strlen(d->home.file), ".", 1);
  LLVMDIBuilderCreateCompileUnit(d->builder, LLVMDWARFSourceLanguageC11, file, "moire", 5, 1, "", 0, 0, "", 0,
                                 LLVMDWARFEmissionFull, 0, 0, 0, "", 0, "", 0);
  LLVMMetadataRef type = LLVMDIBuilderCreateSubroutineType(d->builder, file, NULL, 0, LLVMDIFlagZero);
  unsigned line = (unsigned)d->home.line;
  d->function = LLVMDIBuilderCreateFunction(d->builder, file, k->name, strlen(k->name), "", 0, file, line, type,
                                            1, 1, line, LLVMDIFlagZero, 1);
  LLVMSetSubprogram(ir->function, d->function);
  moire__emit_debug_at(e, d->home);
}

static LLVMMetadataRef scope_of(moire__emitter *e, const char *path) {
  moire__emit_debug *d = e->debug;
  if (strcmp(path, d->home.file) == 0) return d->function;
  for (int i = 0; i < d->n_files; i++) {
    if (strcmp(d->files[i].path, path) == 0) return d->files[i].scope;
  }
  LLVMMetadataRef file = LLVMDIBuilderCreateFile(d->builder, path, strlen(path), ".", 1);
  file_scope made = {path, LLVMDIBuilderCreateLexicalBlockFile(d->builder, d->function, file, 0)};
  MOIRE__PUSH(&e->arena, d->files, d->n_files, d->file_capacity, made);
  return made.scope;
}

void moire__emit_debug_at(moire__emitter *e, moire_source at) {
  if (!e->debug) return;
  if (!at.file) at = e->debug->home;
  LLVMMetadataRef scope = scope_of(e, at.file);
  unsigned line = at.line > 0 ? (unsigned)at.line : 0;
  LLVMSetCurrentDebugLocation2(e->ir.at, LLVMDIBuilderCreateDebugLocation(e->ir.context, line, 0, scope, NULL));
}

void moire__emit_debug_end(moire__emitter *e) {
  if (!e->debug) return;
  LLVMDIBuilderFinalize(e->debug->builder);
  LLVMDisposeDIBuilder(e->debug->builder);
  LLVMSetCurrentDebugLocation2(e->ir.at, NULL);
  e->debug = NULL;
}
