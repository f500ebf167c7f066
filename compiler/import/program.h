/* A program of another system: the tensors that it keeps, and how it becomes a graph. Each system's reader is a
 * moire__program_kind; what they share is here.
 */
#ifndef MOIRE_COMPILER_IMPORT_PROGRAM_H
#define MOIRE_COMPILER_IMPORT_PROGRAM_H

#include "moire/model.h"
#include "runtime/base/memory.h"
#include "runtime/base/text.h"

#include <stdbool.h>

/* A tensor of the file that is a state of the graph. */
typedef struct moire__program_state {
  const char *name; /* of the state: in the state dict, or MOIRE__CONSTANT_PREFIX and the constant's */
  const char *as;   /* of a second name for another state: that one's; else NULL */
  moire_dtype dtype;
  moire_shape shape; /* plain numbers */
  int64_t count;
  const void *tensor; /* the reader's */
  bool trained, kept; /* kept: in the state dict */
} moire__program_state;

typedef struct moire__program {
  const struct moire__program_kind *kind;
  moire__arena arena;
  moire__program_state *states;
  int n_states, state_capacity;
} moire__program;

typedef struct moire__program_kind {
  const char *ending;  /* of files: ".pt2" */
  const char *summary; /* "a program of .." */
  const moire_config_field *fields;
  int n_fields;
  /* Owned (close); NULL with a sentence. */
  moire__program *(*open)(const char *path, moire_error *error);
  void (*close)(moire__program *program);
  /* Builds the graph; a mistake is the graph's. `dropout`, where it is not negative, replaces all probabilities
   * of dropouts. Refusals are appended to `refusals`, a line each, where it is not NULL; the graph is of no use
   * then. */
  void (*build)(const moire__program *program, moire_graph *g, double dropout, moire__text *refusals);
  /* All elements of a state in order: plane 0 (real) or 1 (imaginary); of an integer or bool its value. */
  void (*read)(const moire__program_state *state, int plane, double *out);
} moire__program_kind;

extern const moire__program_kind moire__torch_programs, moire__hlo_programs;

#endif
