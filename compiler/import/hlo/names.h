/* What inputs and outputs are called, from what JAX calls them. */
#ifndef MOIRE_COMPILER_IMPORT_HLO_NAMES_H
#define MOIRE_COMPILER_IMPORT_HLO_NAMES_H

#include "compiler/import/hlo/syntax.h"

/* Names that are given so far: one that comes again gets a number. Zero-initialise. */
typedef struct moire__hlo_taken {
  moire__names names;
} moire__hlo_taken;

/* params['layers'][0]['w'] is "params.layers.0.w"; without a name "arg0". */
const char *moire__hlo_input_name(const moire__hlo_module *module, const moire__hlo_port *port, int index,
                                  moire__hlo_taken *taken, moire__arena *arena);
/* result['logits'] is "logits", result[1] is "output_1"; without a name "output", or "output_1" of several. */
const char *moire__hlo_output_name(const moire__hlo_function *function, int index, int n,
                                   moire__hlo_taken *taken, moire__arena *arena);

#endif
