/* What encode, decode and the training of item coders share. */
#ifndef MOIRE_TOOLS_CODER_H
#define MOIRE_TOOLS_CODER_H

#include "runtime/train/trainer.h"
#include "tools/tool.h"

/* The programs that training an item coder runs beside its step: zero-initialise, free with tool_trainee_free.
 */
typedef struct tool_trainee {
  moire_program *encode;
  moire_program **level; /* [levels], NULL without k-means */
  const moire_plan **plans;
  int levels;
} tool_trainee;

/* Compiles them, and makes the task; it borrows setup, features and trainee. */
moire_status tool_trainee_make(tool_trainee *trainee, const tool_setup *setup, const moire__features *features,
                               int threads, moire__trainer_task *task, moire_error *error);
void tool_trainee_free(tool_trainee *trainee);

/* A trained coder from a checkpoint. Zero-initialise; free with tool_coder_free. */
typedef struct tool_coder {
  tool_setup setup;
  moire__safetensors *file;
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
  int levels;
  const int64_t *sizes; /* [levels] */
  bool unique_digit;
} tool_coder;

/* `output`: what its runner gives. `features`: what it will be given, or NULL. */
moire_status tool_coder_open(tool_coder *coder, const tool_sources *sources, const char *output,
                             const moire__features *features, moire_error *error);
void tool_coder_free(tool_coder *coder);

#endif
