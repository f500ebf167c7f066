/* A library of a model of ratings: items are encoded while it is made, and are states of what serves. */
#include "tasks/ratings/ratings.h"

#include "runtime/files/checkpoint.h"

#include <string.h>

/* Declares the states of the served model; those that are tables take what the items' program gives. */
static moire_status add_tables(const moire__setup *served, moire__ratings_scoring *scoring,
                               moire_store *weights, int threads, moire_error *error) {
  static const char *const outputs[] = {"scores"};
  moire_program *program = moire__setup_compile(served, outputs, 1, threads, error);
  if (!program) return MOIRE_ERROR_ARGUMENT;
  moire_status status = moire_store_declare(weights, moire_program_plan(program), 0, error);
  moire_program_destroy(program);
  for (int i = 0; moire__ratings_table(i) && !status; i++) {
    int64_t given = 0, wanted = 0;
    const void *from = moire_runner_output(scoring->item_runner, moire__ratings_table(i), &given);
    void *to = moire_store_data(weights, moire__ratings_table(i), &wanted);
    if (!from && !to) continue; /* of a view that is left out */
    if (!from || !to || given != wanted)
      return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: the model gives %s in one form and reads it in another",
                        served->model->name, moire__ratings_table(i));
    memcpy(to, from, (size_t)given * sizeof(float));
  }
  return status;
}

moire_status moire__ratings_library(moire__predictor *p, const char *data, moire__setup *served,
                                    moire_store **weights, moire_error *error) {
  moire__ratings_scoring scoring = {0};
  const moire__data_files files = {.data = data ? data : moire__config_table_text(&p->setup.table, "data"),
                                   .unmeasured = true};
  if (!files.data)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: items are encoded from their data: wanted --data FOLDER", moire__predictor_where(p));
  moire_status status = moire__ratings_open(p, &files, &scoring, 1, error);
  if (!status) status = moire__ratings_give_items(p->setup.data, scoring.item_runner, error);
  if (!status) status = moire_runner_run(scoring.item_runner, error);
  if (!status) status = moire__ratings_vary(&p->setup, served, "state", 0, error);
  if (!status) *weights = moire_store_create();
  if (!status) status = add_tables(served, &scoring, *weights, p->sources->threads, error);
  /* The rest of the states are parameters of the file; tables are not in it. */
  for (int i = 0; !status && i < moire_store_count(*weights); i++) {
    const char *name = moire_store_at(*weights, i).name;
    int64_t n = 0, m = 0;
    void *to = moire_store_data(*weights, name, &n);
    const void *from = moire_store_data(p->store, name, &m);
    if (from && n == m) memcpy(to, from, (size_t)n * sizeof(float));
  }
  moire__ratings_scoring_free(&scoring);
  return status;
}
