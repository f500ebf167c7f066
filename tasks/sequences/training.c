/* Training on sequences: what is measured, and what the test leaves behind. */
#include "tasks/sequences/sequences.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "tasks/gather.h"
#include "tasks/sequences/popularity.h"
#include "tasks/sequences/samples.h"

typedef struct sequences {
  moire_program *scores; /* "input_ids" to "logits" */
  const moire__dataset *dataset;
  const moire_config *training;
  int64_t item_size;
  moire_threads *threads;
  moire_runner *runner;
  char *map; /* the items' names, or NULL */
} sequences;

static moire_status open_task(void *context, moire_store *store, moire_threads *threads, moire_error *error) {
  sequences *s = context;
  moire_status status = moire_store_declare(store, moire_program_plan(s->scores),
                                            (uint64_t)moire_config_int(s->training, "seed"), error);
  if (status) return status;
  s->threads = threads;
  s->runner = moire_runner_create(moire_program_plan(s->scores), store, threads, error);
  return s->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

static moire_status measure(sequences *s, moire__split split, moire__team *team, moire__terms *terms,
                            moire__measures *measures, moire_error *error) {
  moire__part part;
  moire__scoring scoring = {.runner = s->runner,
                            .threads = s->threads,
                            .dataset = s->dataset,
                            .item_size = s->item_size,
                            .batch = moire_config_int(s->training, "eval_batch_size"),
                            .label = split == MOIRE__SPLIT_VALID ? "validation" : "test"};
  moire_status status =
      moire__sequences_collect(&scoring, split, moire__gather_part(team, &part), terms, error);
  moire_runner_rest(s->runner);
  return status ? status : moire__gather_measures(team, terms, moire__sequences_measured, measures, error);
}

static moire_status validate(void *context, moire__team *team, moire__measures *measures, moire_error *error) {
  moire__terms terms = {0};
  moire_status status = measure(context, MOIRE__SPLIT_VALID, team, &terms, measures, error);
  moire__terms_free(&terms);
  return status;
}

/* ranks.txt, and what popularity would have reached. */
static moire_status leave_test(const sequences *s, const char *directory, const moire__terms *terms,
                               moire__measures *baseline, moire_error *error) {
  moire__metrics popularity = {0};
  moire__popularity_evaluate(s->dataset, MOIRE__SPLIT_TEST, &popularity);
  *baseline = moire__metrics_measures(&popularity);
  moire__text path = {0};
  moire__text_add(&path, "%s/ranks.txt", directory);
  moire__file_remove_leftovers(path.data);
  moire_status status = moire__sequences_leave(terms, path.data, error);
  moire__text_free(&path);
  return status;
}

static moire_status test(void *context, moire__team *team, const char *directory, moire__measures *measures,
                         moire__measures *baseline, moire_error *error) {
  moire__terms terms = {0};
  moire_status status = measure(context, MOIRE__SPLIT_TEST, team, &terms, measures, error);
  if (!status && directory) status = leave_test(context, directory, &terms, baseline, error);
  moire__terms_free(&terms);
  return status;
}

static void close_task(void *context) {
  sequences *s = context;
  moire_runner_destroy(s->runner);
  moire_program_destroy(s->scores);
  moire__release(s->map);
  moire__release(s);
}

moire_status moire__sequences_train(const moire__setup *setup, int threads, moire__trainer_task *task,
                                    moire_error *error) {
  const moire__dataset *dataset = setup->data;
  moire_program *scores = moire__setup_compile_served(setup, threads, error);
  if (!scores) return MOIRE_ERROR_ARGUMENT;
  sequences *s = moire__allocate(sizeof *s);
  *s = (sequences){.scores = scores,
                   .dataset = dataset,
                   .training = setup->training,
                   .item_size = moire_config_int(setup->config, "item_size")};
  s->map = moire__interactions_map(&dataset->names);
  *task = (moire__trainer_task){
      .context = s,
      .samples = moire__samples_of_sequences(dataset, moire_config_int(setup->config, "item_size"),
                                             moire_config_int(setup->training, "batch_size")),
      .data = dataset->path,
      .fingerprint = moire__dataset_fingerprint(dataset),
      .kept = {{MOIRE__SEQUENCES_MAP, s->map}},
      .n_tested = dataset->n_users,
      .baseline = "popularity",
      .monitored = moire_config_string(setup->training, "stop_metric"),
      .open = open_task,
      .validate = validate,
      .test = test,
      .close = close_task};
  return MOIRE_OK;
}
