/* A file of StableHLO text. */
#ifndef MOIRE_COMPILER_IMPORT_HLO_PROGRAM_H
#define MOIRE_COMPILER_IMPORT_HLO_PROGRAM_H

#include "compiler/import/hlo/call.h"
#include "compiler/import/program.h"

typedef struct moire__hlo_program {
  moire__program base; /* first: its states' tensors are moire__hlo_literal */
  moire__hlo_module module;
} moire__hlo_program;

/* As moire__hlo_parse. Zero-initialise; free with moire__hlo_close, after a failure too. A module that is
 * `wide` is taken here, for those that evaluate in double. */
moire_status moire__hlo_open_bytes(moire__hlo_program *program, const char *path, const char *bytes, size_t n,
                                   int line, moire_error *error);
void moire__hlo_close(moire__hlo_program *program);

#endif
