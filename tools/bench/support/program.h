/* Models of the library in benchmarks: their configurations, and programs with what they run with. */
#ifndef MOIRE_TOOLS_BENCH_SUPPORT_PROGRAM_H
#define MOIRE_TOOLS_BENCH_SUPPORT_PROGRAM_H

#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"

/* The model's fields with the keys of a JSON object; to be freed by moire__config_free. */
moire_config *bench_config(const moire_model *model, const char *json);

/* A program with states and a runner of its own. */
typedef struct bench_program {
  moire_program *program; /* owned */
  moire_store *store;
  moire_runner *runner;
} bench_program;

/* States begin by seed 1. */
bench_program bench_program_start(moire_program *program, moire_threads *threads);
void bench_program_stop(bench_program *p);
/* Gives the input, if the program has it. */
void bench_program_set(const bench_program *p, const char *name, const void *data, int64_t elements);

#endif
