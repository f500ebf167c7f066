/* Golden numbers: a file of parameters, inputs and what a model must make of them, and the comparison. */
#ifndef MOIRE_TOOLS_GOLDEN_H
#define MOIRE_TOOLS_GOLDEN_H

#include "runtime/base/memory.h"
#include "tools/session.h"
#include "tools/tool.h"

typedef enum tool_class { TOOL_OUTPUTS, TOOL_LOSSES, TOOL_GRADIENTS, TOOL_TRAINED, TOOL_N_CLASSES } tool_class;

/* One tensor compared: ||got - want|| / ||want||, or, of a gradient that carries no information, ||got|| in
 * units of the largest gradient. */
typedef struct tool_finding {
  tool_class class;
  const char *name; /* of the tensor in the file */
  double error, limit;
  bool noise; /* such a gradient: only has to be small */
  bool good;  /* error <= limit, which no NaN is */
} tool_finding;

/* Zero-initialise; free with tool_golden_free. */
typedef struct tool_golden {
  const char *path;
  moire__safetensors *file;
  tool_setup setup;
  int64_t batch, length, steps;
  double *ids, *answers; /* [batch, length], [batch], or NULL */
  double *features;      /* [steps + 1, batch, length], or NULL: of an item coder, length its feature_dim */
  moire_compile_options optimizer;
  moire_precision precision; /* to be set before the check */
  double largest_gradient;
  moire__arena arena;
  tool_finding *findings;
  int n, capacity;
} tool_golden;

/* Reads the file and all but the comparison. Everything in it is checked: ids are in range, shapes are as the
 * configuration says. */
moire_status tool_golden_open(tool_golden *golden, const char *path, moire_error *error);
void tool_golden_free(tool_golden *golden);

/* Computes and compares everything. A failure of a comparison is a finding, not an error. */
moire_status tool_golden_check(tool_golden *golden, tool_engine engine, moire_threads *threads,
                               moire_error *error);

double tool_class_limit(tool_class class, tool_engine engine, moire_precision precision);

#endif
