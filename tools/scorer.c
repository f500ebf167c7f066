/* A trained model that scores users: from a checkpoint, and the data it is asked about, to a runner.
 *
 * A checkpoint of Moire's says itself which model it holds; a state dict of PyTorch's needs --model and
 * --config. A checkpoint names models of the library only: code is loaded from nowhere but where --model says.
 */
#include "tools/tool.h"

#include "runtime/files/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_path(const char *name) {
  size_t n = strlen(name);
  return strchr(name, '/') || (n > 3 && !strcmp(name + n - 3, ".so"));
}

static moire_status need_model(const tool_sources *s, const char *stored, const char **model,
                               moire_error *error) {
  *model = s->model ? s->model : stored;
  if (!*model) {
    return moire_fail(error, MOIRE_ERROR_FORMAT,
                      "%s: does not say which model it holds: wanted --model NAME and --config FILE",
                      s->checkpoint);
  }
  moire_error ignored = {0};
  if (!s->model && (is_path(stored) || !moire_model_find(stored, &ignored))) {
    return moire_fail(
        error, MOIRE_ERROR_ARGUMENT,
        "%s: holds the model %.80s, which is not of the library: wanted --model PATH of its shared "
        "object",
        s->checkpoint, stored);
  }
  return MOIRE_OK;
}

static moire_status read_config(const moire__safetensors *file, tool_setup *setup, const tool_sources *s,
                                moire_error *error) {
  const char *stored = moire__safetensors_metadata(file, "config");
  moire_status status = MOIRE_OK;
  if (!stored && !s->config) {
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: holds no configuration: wanted --config FILE",
                      s->checkpoint);
  }
  if (stored) status = moire__config_table_add_json(&setup->table, s->checkpoint, stored, error);
  if (!status && s->config) status = moire__config_table_add_yaml(&setup->table, s->config, error);
  return status;
}

moire_status tool_read_checkpoint(const tool_sources *s, moire__safetensors **file, tool_setup *setup,
                                  const char **model, moire_error *error) {
  moire_status status = moire__safetensors_open(s->checkpoint, file, error);
  if (!status) status = need_model(s, moire__safetensors_metadata(*file, "model"), model, error);
  if (!status) status = read_config(*file, setup, s, error);
  if (status || !s->precision) return status;
  char text[32];
  snprintf(text, sizeof text, "precision=%s", s->precision);
  return moire__config_table_set(&setup->table, "--precision", text, error);
}

static moire_status compile(tool_scorer *scorer, const tool_sources *s, moire_error *error) {
  scorer->program = tool_compile_scores(&scorer->setup, s->threads, error);
  scorer->threads = scorer->program ? moire_threads_create(s->threads, error) : NULL;
  if (!scorer->threads) return MOIRE_ERROR_ARGUMENT;
  const moire_plan *plan = moire_program_plan(scorer->program);
  scorer->store = moire_store_create();
  moire_status status = moire_store_declare(scorer->store, plan, 0, error);
  if (status) return status;
  scorer->runner = moire_runner_create(plan, scorer->store, scorer->threads, error);
  return scorer->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

moire_status tool_scorer_open(tool_scorer *scorer, const tool_sources *s, moire_error *error) {
  const char *model = NULL;
  moire_status status = tool_read_checkpoint(s, &scorer->file, &scorer->setup, &model, error);
  const char *where = s->config ? s->config : s->checkpoint;
  if (!status) status = tool_setup_data(&scorer->setup, model, where, s->data, error);
  if (!status) status = compile(scorer, s, error);
  if (!status) status = moire__checkpoint_load(scorer->file, scorer->store, MOIRE__CHECKPOINT_MODEL, error);
  if (!status) scorer->item_size = moire_config_int(scorer->setup.config, "item_size");
  return status;
}

void tool_scorer_free(tool_scorer *scorer) {
  moire_runner_destroy(scorer->runner);
  moire_store_destroy(scorer->store);
  moire_threads_destroy(scorer->threads);
  moire_program_destroy(scorer->program);
  moire__safetensors_close(scorer->file);
  tool_setup_free(&scorer->setup);
}
