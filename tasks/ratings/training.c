/* Training on ratings: what is measured after each epoch.
 *
 * With ratings held out (valid_per_user) the best epoch is the one that ranks these best. Without, the last
 * epoch counts: the measures of the test are for the curve, and nothing is selected by them, so what is
 * monitored is how many steps there were. */
#include "tasks/ratings/ratings.h"

#include "runtime/base/memory.h"
#include "tasks/gather.h"
#include "tasks/ratings/items.h"
#include "tasks/ratings/measure.h"
#include "tasks/values.h"

#include <math.h>
#include <string.h>

typedef struct rated_training {
  const moire__setup *setup;
  moire__ratings_scoring scoring;
  char *map, *names;
  double steps, bpr, contrast; /* of all the training; sums of the epoch */
  int64_t n;                   /* steps of the epoch */
  bool contrasted;             /* the model has two views to contrast */
} rated_training;

static moire_status open_task(void *context, moire_store *store, moire_threads *threads, moire_error *error) {
  rated_training *t = context;
  uint64_t seed = (uint64_t)moire_config_int(t->setup->training, "seed");
  return moire__ratings_scoring_open(&t->scoring, t->setup->data, store, seed, threads, error);
}

static moire_status after_step(void *context, const moire__train_step *step, int64_t number, int64_t n,
                               moire_error *error) {
  (void)n;
  (void)error;
  rated_training *t = context;
  const float *bpr = moire__train_step_output(step, "main", NULL),
              *aux = moire__train_step_output(step, "aux", NULL);
  t->steps = (double)number + 1;
  if (bpr) t->bpr += (double)*bpr;
  if (aux) t->contrast += (double)*aux;
  t->contrasted = aux != NULL;
  t->n++;
  return MOIRE_OK;
}

static void rest(rated_training *t) {
  moire_runner_rest(t->scoring.item_runner);
  moire_runner_rest(t->scoring.user_runner);
}

static moire_status validate(void *context, moire__team *team, moire__measures *measures, moire_error *error) {
  rated_training *t = context;
  const moire__ratings *data = t->setup->data;
  moire_status status =
      moire__ratings_measure(&t->scoring, data->valid.n ? &data->valid : &data->test, team, measures, error);
  rest(t);
  moire__measures_add(measures, t->bpr / (double)t->n, "bpr");
  if (t->contrasted) moire__measures_add(measures, t->contrast / (double)t->n, "infonce");
  moire__measures_add(measures, t->steps, "steps");
  t->bpr = t->contrast = 0;
  t->n = 0;
  return status;
}

static moire_status test(void *context, moire__team *team, const char *directory, moire__measures *measures,
                         moire__measures *baseline, moire_error *error) {
  (void)baseline;
  rated_training *t = context;
  const moire__ratings *data = t->setup->data;
  moire__terms terms = {0};
  moire__part part;
  moire_status status =
      moire__ratings_collect(&t->scoring, &data->test, moire__gather_part(team, &part), &terms, error);
  if (!status) status = moire__gather_measures(team, &terms, moire__lists_measured_of, measures, error);
  if (!status && directory) status = moire__task_leave_values(directory, &terms, moire__lists_leave, error);
  moire__terms_free(&terms);
  rest(t);
  return status;
}

static void describe(const moire__measures *m, const char *monitored, moire__text *out) {
  static const char *const names[] = {"bpr", "infonce", "P@10", "NDCG@10"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], monitored) != 0 && !isnan(moire__measures_value(m, names[i])))
      moire__text_add(out, ", %s %.4f", names[i], moire__measures_value(m, names[i]));
}

static void close_task(void *context) {
  rated_training *t = context;
  moire__ratings_scoring_free(&t->scoring);
  moire__release(t->map);
  moire__release(t->names);
  moire__release(t);
}

moire_status moire__ratings_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                  moire_error *error) {
  const moire__ratings *data = setup->data;
  rated_training *t = moire__allocate(sizeof *t);
  *t = (rated_training){.setup = setup};
  int64_t batch = moire_config_int(setup->training, "eval_batch_size");
  moire_status status = moire__ratings_scoring_compile(&t->scoring, setup, batch, threads, error);
  if (status) {
    close_task(t);
    return status;
  }
  t->map = moire__interactions_map(&data->items.ids);
  t->names = moire__recbole_names(&data->items);
  *task = (moire__trainer_task){
      .context = t,
      .samples = moire__ratings_samples(setup, moire_config_int(setup->training, "batch_size")),
      .data = data->path,
      .fingerprint = data->fingerprint,
      .kept = {{MOIRE__RATINGS_MAP, t->map}, {MOIRE__RATINGS_NAMES, t->names}},
      .n_tested = data->test.n,
      .monitored = data->valid.n ? moire_config_string(setup->training, "stop_metric") : "steps",
      .open = open_task,
      .after_step = after_step,
      .validate = validate,
      .test = test,
      .describe = describe,
      .close = close_task};
  return MOIRE_OK;
}
