/* A sample of an op as what passes and compiled code can take: with data, and without complex inputs.
 *
 * The graph is the sampler's, except that a complex input "x0" is put together from two real ones, "x0.real"
 * and "x0.imag"; the data are those of tests/support/op_samples.h.
 */
#ifndef MOIRE_TESTS_SUPPORT_SAMPLE_CASE_H
#define MOIRE_TESTS_SUPPORT_SAMPLE_CASE_H

#include "tests/support/op_samples.h"

typedef struct sample_case {
  op_sample sample;
  moire_graph *graph; /* of the sample itself where it holds a mistake */
  moire__named_tensor inputs[OP_SAMPLE_MAX_INPUTS];
  int n_inputs;
  moire__named_tensor states[OP_SAMPLE_MAX_INPUTS];
  int n_states;
  moire__arena arena;
} sample_case;

/* False when the op has no such sample. A wrong sample has no data. */
bool sample_case_make(moire__op op, moire__sample_kind kind, int index, sample_case *c);
void sample_case_free(sample_case *c);

/* "matmul good 3", in the case's arena. */
const char *sample_case_name(sample_case *c);

/* Interprets `g`, the case's graph or what a pass made of it, with the case's data. On failure the status and
 * the sentence of the interpreter. */
moire_status sample_case_run(const sample_case *c, const moire_graph *g, moire__graph_results *results,
                             moire_error *error);

#endif
