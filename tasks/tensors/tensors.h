/* The task `tensors`: any graph whose inputs have the batch as their first axis. What its files share.
 *
 * Data are tensors by name (runtime/files/tensor_source.h), one for each input of the graph, with a row a
 * sample. The extent "B" is the batch; any other named extent is what the data have there.
 */
#ifndef MOIRE_TASKS_TENSORS_TENSORS_H
#define MOIRE_TASKS_TENSORS_TENSORS_H

#include "runtime/files/tensor_source.h"
#include "tasks/task.h"

/* ---- data (data.c) -----------------------------------------------------------------------------------------
 */

/* An input of the graph. Strings are the arena's. */
typedef struct moire__tensors_input {
  const char *name;
  const char *planes[2]; /* what programs call it; the second is NULL if it is real */
  moire_dtype dtype;
  int rank;
  int64_t shape[MOIRE_MAX_RANK];       /* [0] is the batch; 0 where the extent has a name */
  const char *extents[MOIRE_MAX_RANK]; /* that name, or NULL */
} moire__tensors_input;

/* The tensors of one file for the inputs, and which of its rows. */
typedef struct moire__tensors_rows {
  const moire__tensor_source *source;
  const moire__array **arrays; /* [n_inputs]; NULL: there is none of that name */
  int64_t *rows;               /* [n]; NULL: all of them, in order */
  int64_t n;
} moire__tensors_rows;

/* The setup's data. */
typedef struct moire__tensors {
  moire__arena arena;
  moire__tensors_input *inputs; /* of the training graph, without those that the compiler adds */
  int n_inputs;
  moire__tensor_source *sources[3]; /* owned: --data, --valid, --test; NULL where it is not given */
  moire__tensors_rows train, valid, test;
  uint64_t fingerprint;
} moire__tensors;

moire_status moire__tensors_read(moire__setup *setup, const moire__data_files *files, const char *where,
                                 moire_error *error);
void moire__tensors_free(void *data);

/* The inputs of the setup's graph: a failure where one has no batch as its first axis. */
moire_status moire__tensors_inputs(const moire__setup *setup, moire__tensors *t, moire_error *error);
/* All rows of `source`, for those inputs that it has. */
moire_status moire__tensors_open_rows(moire__tensors *t, const moire__tensor_source *source,
                                      moire__tensors_rows *out, moire_error *error);
/* A failure where the tensor of an input is missing that `needed` (all, if it is NULL) asks for. */
moire_status moire__tensors_need(const moire__tensors *t, const moire__tensors_rows *rows,
                                 const moire_runner *needed, moire_error *error);
/* Sets the named extents of a runner but "B", as the tensors have them. */
moire_status moire__tensors_set_extents(const moire__tensors *t, const moire__tensors_rows *rows,
                                        moire_runner *runner, moire_error *error);
/* What the tensors have at a named extent; -1 where none has it. */
int64_t moire__tensors_extent(const moire__tensors *t, const moire__tensors_rows *rows, const char *name);

/* ---- samples (samples.c) ------------------------------------------------------------------------------------
 */

/* The rows as samples, at most `batch` at once. Borrows both. */
moire__samples moire__tensors_samples(const moire__tensors *t, const moire__tensors_rows *rows, int64_t batch);

/* ---- measures (measure.c) -----------------------------------------------------------------------------------
 */

/* "loss", then the graph's metrics: names in the arena. */
typedef struct moire__tensors_measured {
  const char **outputs; /* [n]: what programs call them */
  const char **names;   /* [n]: what reports do */
  bool *by_sample;      /* [n]: a value a sample, not a mean over the batch */
  int n;
} moire__tensors_measured;

moire_status moire__tensors_find_measures(const moire__setup *setup, moire__arena *arena,
                                          moire__tensors_measured *out, moire_error *error);
/* Adds the terms of rows first ... first + n by a runner of these outputs, `batch` rows at a time; and what all
 * terms make: the measures, and a file of the values of each sample, tensors f32[n] named as the measures that
 * have them (none is written where there are none). */
moire_status moire__tensors_collect(const moire__tensors *t, const moire__tensors_rows *rows,
                                    const moire__tensors_measured *measured, moire_runner *runner,
                                    int64_t first, int64_t n, int64_t batch, const char *label,
                                    moire__terms *terms, moire_error *error);
moire_status moire__tensors_measured_of(const moire__terms *terms, moire__measures *measures,
                                        moire_error *error);
moire_status moire__tensors_leave(const moire__terms *terms, const char *path, moire_error *error);
/* A measure that is better the less it is, by its name. */
bool moire__tensors_is_least(const char *measure, const char *stop_mode);

/* ---- the verbs ----------------------------------------------------------------------------------------------
 */

moire_status moire__tensors_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                  moire_error *error);
moire__eval_verb moire__tensors_eval;
moire__predict_verb moire__tensors_predict;

#endif
