/* Training on tensors. See tensors.h. */
#include "tasks/tensors/tensors.h"

#include "runtime/base/memory.h"
#include "tasks/gather.h"
#include "tasks/values.h"

#include <stdio.h>
#include <string.h>

typedef struct tensors_training {
  const moire__setup *setup;
  const moire__tensors *data;
  moire_program *program; /* of the measures */
  moire_runner *runner;
  moire__tensors_measured measured;
  moire__arena arena;
} tensors_training;

static moire_status open_task(void *context, moire_store *store, moire_threads *threads, moire_error *error) {
  tensors_training *t = context;
  const moire_plan *plan = moire_program_plan(t->program);
  uint64_t seed = (uint64_t)moire_config_int(t->setup->training, "seed");
  moire_status status = moire_store_declare(store, plan, seed, error);
  if (status) return status;
  t->runner = moire_runner_create(plan, store, threads, error);
  return t->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

/* `terms` takes what the measures are made of. */
static moire_status measure(tensors_training *t, moire__team *team, const moire__tensors_rows *rows,
                            const char *label, moire__terms *terms, moire__measures *measures,
                            moire_error *error) {
  int64_t batch = moire_config_int(t->setup->training, "eval_batch_size"), first = 0, n = 0;
  moire__part part;
  moire__part_take(moire__gather_part(team, &part), MOIRE__PART_TERMS, "row", rows->n, batch, &first, &n);
  moire_status status =
      moire__tensors_collect(t->data, rows, &t->measured, t->runner, first, n, batch, label, terms, error);
  moire_runner_rest(t->runner);
  return status ? status : moire__gather_measures(team, terms, moire__tensors_measured_of, measures, error);
}

static moire_status validate(void *context, moire__team *team, moire__measures *measures, moire_error *error) {
  tensors_training *t = context;
  moire__terms terms = {0};
  moire_status status = measure(t, team, &t->data->valid, "validation", &terms, measures, error);
  moire__terms_free(&terms);
  return status;
}

static moire_status test(void *context, moire__team *team, const char *directory, moire__measures *measures,
                         moire__measures *baseline, moire_error *error) {
  (void)baseline;
  tensors_training *t = context;
  moire__terms terms = {0};
  moire_status status = measure(t, team, &t->data->test, "test", &terms, measures, error);
  if (!status && directory) status = moire__task_leave_values(directory, &terms, moire__tensors_leave, error);
  moire__terms_free(&terms);
  return status;
}

static void describe(const moire__measures *m, const char *monitored, moire__text *out) {
  for (int i = 0; i < m->n && i < 8; i++) {
    if (strcmp(m->at[i].name, monitored) != 0) moire__text_add(out, ", %s %.4f", m->at[i].name, m->at[i].value);
  }
}

static void close_task(void *context) {
  tensors_training *t = context;
  moire_runner_destroy(t->runner);
  moire_program_destroy(t->program);
  moire__arena_free(&t->arena);
  moire__release(t);
}

static moire_status check_monitored(const tensors_training *t, const char *monitored, moire_error *error) {
  moire__text known = {0};
  bool found = false;
  for (int i = 0; i < t->measured.n; i++) {
    found = found || !strcmp(t->measured.names[i], monitored);
    moire__text_add(&known, "%s%s", i ? ", " : "", t->measured.names[i]);
  }
  moire_status status =
      found ? MOIRE_OK
            : moire_fail(error, MOIRE_ERROR_ARGUMENT, "stop_metric: the model has no metric %s; there are %s",
                         monitored, moire__text_string(&known));
  moire__text_free(&known);
  return status;
}

moire_status moire__tensors_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                  moire_error *error) {
  const moire__tensors *data = setup->data;
  const char *monitored = moire_config_string(setup->training, "stop_metric");
  tensors_training *t = moire__allocate(sizeof *t);
  *t = (tensors_training){.setup = setup, .data = data};
  moire_status status = moire__tensors_find_measures(setup, &t->arena, &t->measured, error);
  if (!status) status = check_monitored(t, monitored, error);
  if (!status) t->program = moire__setup_compile(setup, t->measured.outputs, t->measured.n, threads, error);
  if (!t->program) {
    close_task(t);
    return MOIRE_ERROR_ARGUMENT;
  }
  *task = (moire__trainer_task){
      .context = t,
      .samples = moire__tensors_samples(data, &data->train, moire_config_int(setup->training, "batch_size")),
      .data = moire__tensor_source_path(data->train.source),
      .fingerprint = data->fingerprint,
      .n_tested = data->test.n,
      .monitored = monitored,
      .least = moire__tensors_is_least(monitored, moire_config_string(setup->training, "stop_mode")),
      .open = open_task,
      .validate = validate,
      .test = test,
      .describe = describe,
      .close = close_task};
  return MOIRE_OK;
}
