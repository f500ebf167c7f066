/* Training language models. See tokens.h. */
#include "runtime/base/memory.h"
#include "runtime/train/training_options.h"
#include "tasks/gather.h"
#include "tasks/tokens/charts.h"
#include "tasks/tokens/kept.h"
#include "tasks/tokens/measure.h"
#include "tasks/tokens/teacher.h"
#include "tasks/values.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct tokens_training {
  const moire__setup *setup;
  const moire__tokens *data;
  moire_program *program; /* of the measures */
  moire_runner *runner;
  moire__text lines; /* of metrics.jsonl, that have not been written */
  moire__training optimizer;
  int64_t every;
  char *tokenizer; /* that checkpoints keep, as text, owned; NULL: none */
} tokens_training;

static moire_status open_task(void *context, moire_store *store, moire_threads *threads, moire_error *error) {
  tokens_training *t = context;
  const moire_plan *plan = moire_program_plan(t->program);
  uint64_t seed = (uint64_t)moire_config_int(t->setup->training, "seed");
  moire_status status = moire_store_declare(store, plan, seed, error);
  if (status) return status;
  t->runner = moire_runner_create(plan, store, threads, error);
  return t->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

/* What a line says of a step, and the output that it is. */
static const char *const columns[][2] = {{"total", "loss"},
                                         {"ce", "ce"},
                                         {"kd", "kd"},
                                         {"phase", "phase_loss"},
                                         {"mag", "mag_loss"},
                                         {"kd_weight", "kd_weight"},
                                         {"aux_weight", "aux_weight"},
                                         {"grad_norm", MOIRE_GRADIENT_NORM},
                                         {"mag_mean", "mag_mean"},
                                         {"mag_std", "mag_std"},
                                         {"phase_mean", "phase_mean"},
                                         {"phase_std", "phase_std"}};

static moire_status after_step(void *context, const moire__train_step *step, int64_t number, int64_t n,
                               moire_error *error) {
  tokens_training *t = context;
  (void)n;
  (void)error;
  if (number % t->every) return MOIRE_OK;
  const moire_training_options *o = &t->optimizer.options;
  moire__text_add(&t->lines, "{\"step\":%" PRId64, number);
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    const float *value = moire__train_step_output(step, columns[i][1], NULL);
    if (!value) continue;
    moire__text_add(&t->lines, ",\"%s\":", columns[i][0]);
    moire__config_add_real(&t->lines, (double)*value);
  }
  moire__text_add(&t->lines, ",\"lr\":");
  moire__config_add_real(&t->lines, moire_schedule_lr(&o->schedule, o->lr, number / o->accumulate));
  moire__text_add(&t->lines, "}\n");
  return MOIRE_OK;
}

static void take_lines(void *context, moire__text *out) {
  tokens_training *t = context;
  if (t->lines.length) moire__text_add_bytes(out, t->lines.data, t->lines.length);
  moire__text_free(&t->lines);
}

static bool is_taught(const tokens_training *t, const moire__token_file *file) {
  return t->data->teacher && moire__teacher_knows(t->data->teacher, file);
}

/* `terms` takes what the measures are made of. */
static moire_status measure(tokens_training *t, moire__team *team, const moire__token_file *file,
                            const char *label, moire__terms *terms, moire__measures *measures,
                            moire_error *error) {
  int64_t batch = moire_config_int(t->setup->training, "eval_batch_size"), first = 0, n = 0;
  moire__teacher *teacher =
      is_taught(t, t->data->valid) && is_taught(t, t->data->test) ? t->data->teacher : NULL;
  moire__part part;
  moire__part_take(moire__gather_part(team, &part), MOIRE__PART_TERMS, "row", file->n, batch, &first, &n);
  moire_status status = moire__tokens_collect(file, teacher, t->runner, first, n, batch, label, terms, error);
  moire_runner_rest(t->runner);
  return status ? status : moire__gather_measures(team, terms, moire__tokens_measured_of, measures, error);
}

static moire_status validate(void *context, moire__team *team, moire__measures *measures, moire_error *error) {
  tokens_training *t = context;
  moire__terms terms = {0};
  moire_status status = measure(t, team, t->data->valid, "validation", &terms, measures, error);
  moire__terms_free(&terms);
  return status;
}

/* Leaves the mean of each row, and pictures of the training. */
static moire_status test(void *context, moire__team *team, const char *directory, moire__measures *measures,
                         moire__measures *baseline, moire_error *error) {
  (void)baseline;
  tokens_training *t = context;
  moire__terms terms = {0};
  moire_status status = measure(t, team, t->data->test, "test", &terms, measures, error);
  if (!status && directory) status = moire__task_leave_values(directory, &terms, moire__tokens_leave, error);
  moire__terms_free(&terms);
  return status || !directory ? status : moire__tokens_draw_charts(directory, error);
}

static void describe(const moire__measures *m, const char *monitored, moire__text *out) {
  static const char *const shown[] = {"ce", "perplexity", "bits_per_byte", "top1"};
  for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
    double value = moire__measures_value(m, shown[i]);
    if (strcmp(shown[i], monitored) != 0 && !isnan(value)) moire__text_add(out, ", %s %.4f", shown[i], value);
  }
}

static void close_task(void *context) {
  tokens_training *t = context;
  moire_runner_destroy(t->runner);
  moire_program_destroy(t->program);
  moire__text_free(&t->lines);
  moire__release(t->tokenizer);
  moire__release(t);
}

static moire_status prepare(tokens_training *t, int threads, moire_error *error) {
  const moire__setup *setup = t->setup;
  const char *monitored = moire_config_string(setup->training, "stop_metric");
  bool taught = is_taught(t, t->data->valid) && is_taught(t, t->data->test);
  if (!taught && !strncmp(monitored, "teacher", 7))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "stop_metric: %s wants a teacher of the validation's rows: a checkpoint", monitored);
  int64_t rows = t->data->train->n, batch = moire_config_int(setup->training, "batch_size");
  int64_t accumulate = moire_config_int(setup->training, "accumulate") * batch;
  int64_t steps = moire_config_int(setup->training, "epochs") * ((rows + accumulate - 1) / accumulate);
  moire_status status = moire__training_read(&t->optimizer, setup->training, steps, error);
  const char *tokenizer = moire_config_string(setup->training, "tokenizer");
  moire__tokenizer *kept = NULL;
  if (!status && *tokenizer)
    status = moire__tokenizer_find(tokenizer, NULL, t->data->train->words, &kept, error);
  if (kept) t->tokenizer = moire__tokenizer_keep(kept);
  moire__tokenizer_free(kept);
  if (status) return status;
  if (t->data->teacher) moire__teacher_set_threads(t->data->teacher, threads);
  t->program =
      moire__setup_compile(setup, moire__tokens_measured, moire__tokens_measured_count(taught), threads, error);
  return t->program ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

moire_status moire__tokens_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                 moire_error *error) {
  const moire__tokens *data = setup->data;
  tokens_training *t = moire__allocate(sizeof *t);
  *t = (tokens_training){.setup = setup, .data = data, .every = moire_config_int(setup->training, "log_every")};
  moire_status status = prepare(t, threads, error);
  if (status) {
    close_task(t);
    return status;
  }
  const char *monitored = moire_config_string(setup->training, "stop_metric");
  *task =
      (moire__trainer_task){.context = t,
                            .samples = moire__tokens_samples(data->train, data->teacher,
                                                             moire_config_int(setup->training, "batch_size")),
                            .data = moire__token_file_path(data->train),
                            .fingerprint = data->train->fingerprint,
                            .kept = {{MOIRE__KEPT_TOKENIZER, t->tokenizer}},
                            .n_tested = data->test->n,
                            .monitored = monitored,
                            .least = setup->task->is_least(monitored),
                            .open = open_task,
                            .after_step = after_step,
                            .lines = take_lines,
                            .validate = validate,
                            .test = test,
                            .describe = describe,
                            .close = close_task};
  return MOIRE_OK;
}
