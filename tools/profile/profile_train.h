/* A profile of some steps of a training, while it goes on. */
#ifndef MOIRE_TOOLS_PROFILE_PROFILE_TRAIN_H
#define MOIRE_TOOLS_PROFILE_PROFILE_TRAIN_H

#include "runtime/train/trainer.h"
#include "tools/tool.h"

/* Steps [first, first + n) of this run, counted from 0; written into `directory`. */
typedef struct tool_profile_window {
  const char *directory; /* NULL: no profile */
  int first, n;
} tool_profile_window;

typedef struct tool_train_profile tool_train_profile;

/* `program` is that of job->step. Owned; it hangs itself into job->watch, and must outlive the training. */
tool_train_profile *tool_train_profile_create(const tool_profile_window *window, const moire__setup *setup,
                                              const moire_program *program, moire__trainer_job *job);
/* Writes what was recorded; says so on stderr. MOIRE_OK where nothing was asked for (`profile` NULL). */
moire_status tool_train_profile_finish(tool_train_profile *profile, moire_error *error);
void tool_train_profile_destroy(tool_train_profile *profile);

#endif
