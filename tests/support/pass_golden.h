/* Golden files of passes: tests/pass/golden/<pass>/<case>.txt.
 *
 *   // What the case shows.
 *   // goal: output=logits loss=loss optimizer=adamw lr=0.001 keep_gradients
 *   graph @case … { … }
 *   ---
 *   graph @case … { … }                 or: error: sentence
 *
 * The goal's words are all optional; without output=NAME all outputs are wanted. fix=NAME says that this extent
 * is 1.
 */
#ifndef MOIRE_TESTS_SUPPORT_PASS_GOLDEN_H
#define MOIRE_TESTS_SUPPORT_PASS_GOLDEN_H

#include "compiler/pass/pass.h"

enum { GOLDEN_MAX_OUTPUTS = 16 };

typedef struct golden_case {
  const char *pass;
  char path[512];
  const char *input;    /* up to the separator: the head and the graph */
  const char *expected; /* behind it; "" if there is none */
  moire_graph *graph;   /* of `input` */
  moire__goal goal;
} golden_case;

/* Calls `each` for every case of the pass, in the order of names; returns how many there are. What the case
 * holds is released afterwards. A file that makes no sense ends the program with a sentence. */
int golden_each(const char *pass, void (*each)(const golden_case *c));

/* The name of pass i of the pipeline, each once, which is also the name of its folder; NULL past the last. */
const char *golden_pass(int i);

moire__graph_pass *golden_find_pass(const char *name); /* NULL if there is none */

#endif
