/* Safetensors in memory, for states: a strict reader that never trusts a length, and a writer. The format is
 * described in runtime/files/safetensors.h; this one needs the C library alone. */
#ifndef MOIRE_RUNTIME_AOT_SAFETENSORS_H
#define MOIRE_RUNTIME_AOT_SAFETENSORS_H

#include "runtime/aot/state.h"

/* Sets the states of the part from the file's bytes; on failure nothing has changed. */
static library_status moire__aot_read_states(library_state *state, library_part part,
                                             const unsigned char *bytes, size_t n);

/* Writes the states of the part as a file, and returns its bytes. `out` NULL: only counts; state may be NULL.
 */
static size_t moire__aot_write_states(const library_state *state, library_part part, unsigned char *out);

#endif
