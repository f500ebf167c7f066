/* Programs of item coders. See coder.h. */
#include "tools/coder.h"

#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "tasks/items/training.h"

#include <stdio.h>
#include <string.h>

/* ---- Training ---------------------------------------------------------------------------------------------
 */

static moire_status compile_level(tool_trainee *t, const tool_setup *setup, int l, int threads,
                                  moire_error *error) {
  char codes[32], residuals[32];
  snprintf(codes, sizeof codes, "codes.%d", l);
  snprintf(residuals, sizeof residuals, "residuals.%d", l);
  const char *const outputs[] = {codes, residuals};
  t->level[l] = tool_compile_inference(setup, outputs, 2, threads, error);
  if (!t->level[l]) return MOIRE_ERROR_ARGUMENT;
  t->plans[l] = moire_program_plan(t->level[l]);
  return MOIRE_OK;
}

moire_status tool_trainee_make(tool_trainee *t, const tool_setup *setup, const moire__features *features,
                               int threads, moire__trainer_task *task, moire_error *error) {
  static const char *const outputs[] = {"codes", "loss", "reconstruction", "commitment"};
  const int64_t *sizes = NULL;
  t->levels = moire_config_ints(setup->config, "codebook_sizes", &sizes);
  t->encode = tool_compile_inference(setup, outputs, 4, threads, error);
  if (!t->encode) return MOIRE_ERROR_ARGUMENT;
  moire_status status = MOIRE_OK;
  if (!strcmp(moire_config_string(setup->config, "initialisation"), "kmeans")) {
    t->level = moire__allocate_array((size_t)t->levels + 1, sizeof *t->level);
    t->plans = moire__allocate_array((size_t)t->levels + 1, sizeof *t->plans);
    for (int l = 0; l < t->levels && !status; l++) status = compile_level(t, setup, l, threads, error);
  }
  moire__items_job job = {features, setup->config, setup->training, moire_program_plan(t->encode), t->plans};
  return status ? status : moire__trainer_on_items(&job, task, error);
}

void tool_trainee_free(tool_trainee *t) {
  for (int l = 0; t->level && l < t->levels; l++) moire_program_destroy(t->level[l]);
  moire_program_destroy(t->encode);
  moire__release(t->level);
  moire__release((void *)t->plans);
  *t = (tool_trainee){0};
}

/* ---- Coding -----------------------------------------------------------------------------------------------
 */

static moire_status configure(tool_coder *c, const tool_sources *s, const moire__features *features,
                              moire_error *error) {
  const char *model = NULL, *where = s->config ? s->config : s->checkpoint;
  moire_status status = tool_read_checkpoint(s, &c->file, &c->setup, &model, error);
  if (!status) status = tool_setup_need(&c->setup, model, MOIRE_MODEL_ITEM_CODER, error);
  if (status) return status;
  return features ? tool_setup_items(&c->setup, model, where, features, error)
                  : tool_setup_build(&c->setup, model, where, error);
}

static moire_status prepare(tool_coder *c, const tool_sources *s, const char *output, moire_error *error) {
  c->program = tool_compile_inference(&c->setup, &output, 1, s->threads, error);
  c->threads = c->program ? moire_threads_create(s->threads, error) : NULL;
  if (!c->threads) return MOIRE_ERROR_ARGUMENT;
  const moire_plan *plan = moire_program_plan(c->program);
  c->store = moire_store_create();
  moire_status status = moire_store_declare(c->store, plan, 0, error);
  if (!status) status = moire__checkpoint_load(c->file, c->store, MOIRE__CHECKPOINT_MODEL, error);
  if (status) return status;
  moire__safetensors_close(c->file);
  c->file = NULL;
  c->runner = moire_runner_create(plan, c->store, c->threads, error);
  return c->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

moire_status tool_coder_open(tool_coder *c, const tool_sources *s, const char *output,
                             const moire__features *features, moire_error *error) {
  moire_status status = configure(c, s, features, error);
  if (!status) status = prepare(c, s, output, error);
  if (status) return status;
  c->levels = moire_config_ints(c->setup.config, "codebook_sizes", &c->sizes);
  c->unique_digit = moire_config_bool(c->setup.config, "unique_digit");
  return MOIRE_OK;
}

void tool_coder_free(tool_coder *c) {
  moire_runner_destroy(c->runner);
  moire_store_destroy(c->store);
  moire_threads_destroy(c->threads);
  moire_program_destroy(c->program);
  moire__safetensors_close(c->file);
  tool_setup_free(&c->setup);
}
