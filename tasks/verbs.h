/* What the commands ask of a task, each with what its options say. The model has been opened (predictor.h), its
 * setup is not built. Results go to `out` as lines of text, or to files. Of a job with a `part` (NULL: none) no
 * more is computed, and the verb takes it by moire__part_take.
 */
#ifndef MOIRE_TASKS_VERBS_H
#define MOIRE_TASKS_VERBS_H

#include "runtime/measure/measures.h"
#include "runtime/text/sampling.h"
#include "tasks/baselines/baselines.h"
#include "tasks/part.h"
#include "tasks/predictor.h"
#include "tasks/terms.h"

#include <stdio.h>

/* Measures the model on data: --split test|valid, and the value of each sample into a file. What comes of it
 * are terms, of which moire__task.measure makes the measures, and moire__task.leave the file. */
typedef struct moire__eval_job {
  moire__data_files files;
  moire__part *part;
  bool split;        /* one was asked for … */
  bool valid;        /* … and it is the validation's part, not the test's */
  int64_t batch;     /* samples at once; 0: the task's default */
  const char *ranks; /* a file for the ranks of targets; NULL: none. Refused where there are no ranks. */
  moire__baselines *baselines; /* takes what the model has to beat; NULL: not asked. Of tasks that have them. */
  const char *values; /* a file for the measures of each sample; NULL: none. Refused where there are none. */
  const char
      *teacher; /* a checkpoint or stored logits to compare with; NULL: none. Of language models alone. */
} moire__eval_job;
typedef moire_status moire__eval_verb(moire__predictor *predictor, const moire__eval_job *job,
                                      moire__terms *terms, moire_error *error);

/* Lists the best items of users. */
typedef struct moire__recommend_job {
  moire__data_files files;
  moire__part *part;
  const char
      *items;    /* a table (moire/items.h) to find them in; NULL: the model's own. Of models with a query. */
  int64_t users; /* the first so many; 0: all */
  int top;
  bool json;
  FILE *out;
} moire__recommend_job;
typedef moire_status moire__recommend_verb(moire__predictor *predictor, const moire__recommend_job *job,
                                           moire_error *error);

/* Features to codes. */
typedef struct moire__encode_job {
  moire__data_files files;
  moire__part *part;
  int64_t batch;
  FILE *out;
} moire__encode_job;
typedef moire_status moire__encode_verb(moire__predictor *predictor, const moire__encode_job *job,
                                        moire_error *error);

/* Codes to features. */
typedef struct moire__decode_job {
  const char *ids, *path;
} moire__decode_job;
typedef moire_status moire__decode_verb(moire__predictor *predictor, const moire__decode_job *job,
                                        moire_error *error);

/* Outputs of every row of the data, into a file of tensors. */
typedef struct moire__predict_job {
  moire__data_files files;
  moire__part *part;
  int64_t batch; /* 0: the task's default */
  const char *path;
  const char *const *outputs; /* NULL: what the model is asked for */
  int n_outputs;
} moire__predict_job;
typedef moire_status moire__predict_verb(moire__predictor *predictor, const moire__predict_job *job,
                                         moire_error *error);

/* A prompt: ids, "1 403 407", or text, which wants a tokenizer. */
typedef struct moire__prompt {
  const char *text;
  bool is_ids;
} moire__prompt;

/* Rows of words that a language model continues. */
typedef struct moire__generate_job {
  moire__part *part;
  const moire__prompt *prompts;
  int n_prompts;
  const char *tokenizer; /* a file; NULL: the checkpoint's, if it keeps one */
  int64_t batch;         /* prompts that are continued together */
  int64_t most;          /* tokens that are added */
  int64_t eos;           /* the id that ends a row; -1: none, -2: as the tokenizer says */
  bool greedy;           /* the best word; else one is drawn */
  moire__sampling sampling;
  uint64_t seed;
  bool json;
  FILE *out;
} moire__generate_job;
typedef moire_status moire__generate_verb(moire__predictor *predictor, const moire__generate_job *job,
                                          moire_error *error);

/* The largest logits of every position of the data, into a file. */
typedef struct moire__teach_job {
  moire__data_files files;
  int64_t top, batch; /* how many of a position; rows at once, 0: the task's default */
  const char *path;
} moire__teach_job;
typedef moire_status moire__teach_verb(moire__predictor *predictor, const moire__teach_job *job,
                                       moire_error *error);

#endif
