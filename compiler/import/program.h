/* The program of a .pt2 file as a graph: its parameters, inputs, nodes and outputs, in their order.
 *
 * Everything that cannot be done is found in one walk: each refusal is a line that names the operation, the
 * Python file and line, and what could be written instead. Results are held against the types and shapes that
 * the file claims of them; where they differ, the node is refused.
 */
#ifndef MOIRE_COMPILER_IMPORT_PROGRAM_H
#define MOIRE_COMPILER_IMPORT_PROGRAM_H

#include "compiler/import/pt2.h"
#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/checkpoint.h"

#include <stdbool.h>

/* A tensor of the file that is a state of the graph. */
typedef struct moire__program_state {
  const char *name; /* of the state: in the state dict, or MOIRE__CONSTANT_PREFIX and the constant's */
  const char *as;   /* of a second name for another state: that one's; else NULL */
  const moire__pt2_tensor *tensor;
  bool trained, kept; /* kept: in the state dict */
} moire__program_state;

typedef struct moire__program {
  const moire__pt2 *file;
  moire__arena arena;
  const json_t *graph, *signature; /* borrowed from the file */
  const char *batch;               /* the symbol of the first axis of the first input that has one; NULL */
  moire__program_state *states;
  int n_states, state_capacity;
  const char **outputs; /* [n_outputs]: names in the graph; NULL: none, what is returned is no tensor */
  int n_outputs;
  int n_nodes;
} moire__program;

/* Looks at the signature: states, and the names of outputs. Zero-initialise; the file is borrowed. Free with
 * moire__program_free, after a failure too. */
moire_status moire__program_read(moire__program *program, const moire__pt2 *file, moire_error *error);
void moire__program_free(moire__program *program);

/* Builds the graph; a mistake is the graph's. `dropout`, where it is not negative, replaces all probabilities
 * of dropouts. Refusals are appended to `refusals`, a line each, where it is not NULL; the graph is of no use
 * then. */
void moire__program_build(const moire__program *program, moire_graph *g, double dropout, moire__text *refusals);

#endif
