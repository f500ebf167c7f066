/* The task `items`: what its files share. The setup's data are moire__features. */
#ifndef MOIRE_TASKS_ITEMS_ITEMS_H
#define MOIRE_TASKS_ITEMS_ITEMS_H

#include "runtime/team/team.h"
#include "tasks/items/features.h"
#include "tasks/task.h"

/* The monitored measure is the reconstruction. */
moire_status moire__items_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                moire_error *error);

/* Measures all items: reconstruction, commitment, loss (means over the items), collisions (the share of items
 * whose codes an earlier item has), and of each level utilisation.<l> and perplexity.<l>. `runner` has the
 * outputs moire__items_measured, and is given `batch` items at once. Ranks of a team (or NULL) share them, and
 * rank 0 gets the measures. */
enum { MOIRE__ITEMS_MEASURED = 4 };
extern const char *const moire__items_measured[MOIRE__ITEMS_MEASURED];
moire_status moire__items_measure(moire_runner *runner, const moire_config *config,
                                  const moire__features *features, int64_t batch, const char *label,
                                  moire__team *team, moire__measures *measures, moire_error *error);

moire__eval_verb moire__items_eval;
moire_status moire__items_measured_of(const moire__terms *terms, moire__measures *measures, moire_error *error);
moire_status moire__items_leave(const moire__terms *terms, const char *path, moire_error *error);
/* Lines of codes with the digit that tells equal ones apart, which wants those of all items (moire__task.join).
 */
moire_status moire__items_join(const char *const *paths, int n, FILE *out, moire_error *error);
moire__encode_verb moire__items_encode;
moire__decode_verb moire__items_decode;

/* codes[n, levels] of n items from `first` on by a runner of the output "codes", a batch at a time. */
moire_status moire__items_codes(moire_runner *runner, const moire__features *features, int levels,
                                int64_t first, int64_t n, int64_t batch, int32_t *codes, moire_error *error);

#endif
