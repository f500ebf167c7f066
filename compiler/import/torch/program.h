/* The program of a .pt2 file as a graph: its parameters, inputs, nodes and outputs, in their order.
 *
 * Everything that cannot be done is found in one walk: each refusal is a line that names the operation, the
 * Python file and line, and what could be written instead. Results are held against the types and shapes that
 * the file claims of them; where they differ, the node is refused.
 */
#ifndef MOIRE_COMPILER_IMPORT_TORCH_PROGRAM_H
#define MOIRE_COMPILER_IMPORT_TORCH_PROGRAM_H

#include "compiler/import/program.h"
#include "compiler/import/torch/pt2.h"
#include "runtime/files/checkpoint.h"

typedef struct moire__torch_program {
  moire__program base;             /* first: its states' tensors are moire__pt2_tensor */
  const moire__pt2 *file;          /* owned where moire__torch_programs opened it, else borrowed */
  const json_t *graph, *signature; /* borrowed from the file */
  const char *batch;               /* the symbol of the first axis of the first input that has one; NULL */
  const char **outputs; /* [n_outputs]: names in the graph; NULL: none, what is returned is no tensor */
  int n_outputs;
  int n_nodes;
} moire__torch_program;

/* Looks at the signature: states, and the names of outputs. Zero-initialise; the file is borrowed. Free with
 * moire__torch_program_free, after a failure too. */
moire_status moire__torch_program_read(moire__torch_program *program, const moire__pt2 *file,
                                       moire_error *error);
void moire__torch_program_free(moire__torch_program *program);

/* As moire__program_kind's. */
void moire__torch_program_build(const moire__torch_program *program, moire_graph *g, double dropout,
                                moire__text *refusals);

#endif
