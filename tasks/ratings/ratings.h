/* The task `ratings`: what its files share. The setup's data are a moire__ratings. */
#ifndef MOIRE_TASKS_RATINGS_RATINGS_H
#define MOIRE_TASKS_RATINGS_RATINGS_H

#include "moire/run.h"
#include "tasks/ratings/data.h"
#include "tasks/ratings/measure.h"
#include "tasks/task.h"

/* The metadata of a checkpoint that names the items, one a line. */
#define MOIRE__RATINGS_MAP "items"

/* And the one that names nodes and features, where they are no numbers (items.h). */
#define MOIRE__RATINGS_NAMES "graph"

/* What a runner is given of items, as far as its program has such inputs. They are borrowed. */
moire_status moire__ratings_give_items(const moire__ratings *data, moire_runner *runner, moire_error *error);

/* Liked ratings with an item that is not liked and what is hidden of the history, drawn for each step. Borrows.
 */
moire__samples moire__ratings_samples(const moire__setup *setup, int64_t batch);

/* Scoring users against all items: items are encoded once, users in batches. Two programs, which share what
 * weights there are. Zero-initialise; free with moire__ratings_scoring_free. */
typedef struct moire__ratings_scoring {
  moire_program *items, *users;
  moire_runner *item_runner, *user_runner;
  int64_t batch, n_items, history;
  const moire__ratings *data;
} moire__ratings_scoring;
moire_status moire__ratings_scoring_compile(moire__ratings_scoring *s, const moire__setup *setup, int64_t batch,
                                            int threads, moire_error *error);
/* Declares the states of both and makes their runners. */
moire_status moire__ratings_scoring_open(moire__ratings_scoring *s, const moire__ratings *data,
                                         moire_store *store, uint64_t seed, moire_threads *threads,
                                         moire_error *error);
void moire__ratings_scoring_free(moire__ratings_scoring *s);
/* Encodes the items with the weights of now; scores follow. */
moire_status moire__ratings_scoring_begin(moire__ratings_scoring *s, moire_error *error);
/* Lists of the best `top` items of each of rows[0 .. n) of the histories, but for what they have seen, and the
 * scores of these; scores may be NULL. */
moire_status moire__ratings_lists(moire__ratings_scoring *s, const int32_t *rows, int64_t n, int top,
                                  int32_t *items, float *scores, moire_error *error);

/* The training's users with a liked rating among the events: rows[0 .. *n), owned; relevant [*n, items], owned.
 */
void moire__ratings_tested(const moire__ratings *data, const moire__ratings_events *events, int32_t **rows,
                           uint8_t **relevant, int64_t *n);
moire_status moire__ratings_measure(moire__ratings_scoring *s, const moire__ratings_events *events,
                                    moire__team *team, moire__measures *measures, moire_error *error);
/* The terms of that, of those users that are the part's. */
moire_status moire__ratings_collect(moire__ratings_scoring *s, const moire__ratings_events *events,
                                    moire__part *part, moire__terms *terms, moire_error *error);

/* What the golden of reading is compared with: section by section of its configuration. */
typedef struct moire__golden_data {
  const char *data, *split;
  int64_t max_history, time_buckets;
} moire__golden_data;
moire_status moire__ratings_golden(const char *kind, const moire__safetensors *file,
                                   const moire__config_table *config, const char *data,
                                   const moire__golden_report *report, bool *known, moire_error *error);

moire_status moire__ratings_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                  moire_error *error);
moire_status moire__ratings_open(moire__predictor *predictor, const moire__data_files *files,
                                 moire__ratings_scoring *scoring, int64_t batch, moire_error *error);
/* The model that serves, with its items encoded: moire__task's `library`. */
moire_status moire__ratings_library(moire__predictor *predictor, const char *data, moire__setup *served,
                                    moire_store **weights, moire_error *error);
/* The setup's model with another key `items`, in a configuration of its own, for so many users; 0: any number.
 * Free with moire__setup_free. */
moire_status moire__ratings_vary(const moire__setup *setup, moire__setup *other, const char *items,
                                 int64_t users, moire_error *error);
/* Tables that the model computes of items and parameters alone, and reads where it serves; NULL past the last.
 */
const char *moire__ratings_table(int i);
moire__eval_verb moire__ratings_eval;
moire__recommend_verb moire__ratings_recommend;

#endif
