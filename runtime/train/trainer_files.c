/* What a training run leaves on disk, and how it is read back. */
#include "runtime/train/trainer_files.h"

#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/files/file.h"
#include "runtime/train/average.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

/* ---- Paths ------------------------------------------------------------------------------------------------
 */

static char *path_in(const char *directory, const char *name) {
  moire__text text = {0};
  moire__text_add(&text, "%s/%s", directory, name);
  return text.data;
}

/* The files of a first epoch, until they take their places. */
static moire__trainer_files staged_files(const moire__trainer_files *files) {
  const char *directory = files->job->directory;
  return (moire__trainer_files){.job = files->job,
                                .best = path_in(directory, "best.safetensors.first"),
                                .last = path_in(directory, "last.safetensors.first"),
                                .metrics = path_in(directory, "metrics.jsonl.first")};
}

static void discard_staged(const moire__trainer_files *staged) {
  char *const paths[] = {staged->best, staged->last, staged->metrics};
  for (int i = 0; i < 3; i++) {
    moire__file_remove_leftovers(paths[i]);
    unlink(paths[i]);
  }
}

moire_status moire__trainer_files_open(moire__trainer_files *files, const moire__trainer_job *job,
                                       moire_error *error) {
  *files = (moire__trainer_files){.job = job,
                                  .best = path_in(job->directory, "best.safetensors"),
                                  .last = path_in(job->directory, "last.safetensors"),
                                  .metrics = path_in(job->directory, "metrics.jsonl")};
  moire_status status = moire__file_make_directories(job->directory, error);
  if (status) return status;
  moire__file_remove_leftovers(files->best);
  moire__file_remove_leftovers(files->last);
  moire__file_remove_leftovers(files->metrics);
  moire__trainer_files staged = staged_files(files);
  discard_staged(&staged);
  moire__trainer_files_close(&staged);
  return MOIRE_OK;
}

void moire__trainer_files_close(moire__trainer_files *files) {
  moire__release(files->best);
  moire__release(files->last);
  moire__release(files->metrics);
  moire__text_free(&files->journal);
}

/* ---- Metrics ----------------------------------------------------------------------------------------------
 */

static moire_status write_journal(const moire__trainer_files *files, moire_error *error) {
  return moire__file_write_atomic(files->metrics, moire__text_string(&files->journal), files->journal.length,
                                  error);
}

void moire__trainer_files_add_record(const moire__epoch_record *record, moire__text *out) {
  moire__text_add(out, "\"epoch\":%" PRId64 ",\"train_loss\":", record->epoch);
  moire__config_add_real(out, record->train_loss);
  moire__text_add(out, ",\"train_seconds\":%.3f,\"valid\":", record->train_seconds);
  moire__measures_to_json(&record->valid, out);
  moire__text_add(out, ",\"valid_seconds\":%.3f", record->valid_seconds);
}

moire_status moire__trainer_files_add_epoch(moire__trainer_files *files, const moire__epoch_record *record,
                                            moire_error *error) {
  const moire__trainer_task *task = files->job->task;
  if (task->lines) task->lines(task->context, &files->journal);
  moire__text_add_char(&files->journal, '{');
  moire__trainer_files_add_record(record, &files->journal);
  moire__text_add(&files->journal, "}\n");
  return write_journal(files, error);
}

moire_status moire__trainer_files_add_test(moire__trainer_files *files, const moire__measures *test,
                                           const moire__trained *trained, moire_error *error) {
  moire__text_add(&files->journal, "{\"best_epoch\":%" PRId64 ",\"test\":", trained->best_epoch);
  moire__measures_to_json(test, &files->journal);
  moire__text_add(&files->journal, "}\n");
  return write_journal(files, error);
}

/* Is the line one of JSON, an object? */
static bool is_object(const char *line, size_t n) {
  json_t *value = json_loadb(line, n, 0, NULL);
  bool good = json_is_object(value);
  json_decref(value);
  return good;
}

/* Past the lines of steps, which come before their epoch's. */
static const char *skip_steps(const char *line, const char *end) {
  static const char begin[] = "{\"step\":";
  size_t n = sizeof begin - 1;
  while ((size_t)(end - line) > n && !memcmp(line, begin, n)) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    if (!newline) break;
    line = newline + 1;
  }
  return line;
}

/* The journal becomes the first `epochs` lines of metrics.jsonl with those of their steps, which the run that
 * is resumed has written. */
static moire_status read_journal(moire__trainer_files *files, int64_t epochs, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(files->metrics, (size_t)1 << 30, &bytes, &n, error);
  if (status) return status;
  const char *line = bytes, *end = bytes + n;
  for (int64_t epoch = 0; epoch < epochs && !status; epoch++) {
    line = skip_steps(line, end);
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    char wanted[64];
    int length = snprintf(wanted, sizeof wanted, "{\"epoch\":%" PRId64 ",", epoch);
    if (!newline || newline - line < length || memcmp(line, wanted, (size_t)length) != 0) {
      status = moire_fail(error, MOIRE_ERROR_FORMAT,
                          "%s:%" PRId64 ": wanted the line of epoch %" PRId64 ", which %s knows",
                          files->metrics, epoch + 1, epoch, files->last);
    } else if (!is_object(line, (size_t)(newline - line))) {
      status = moire_fail(error, MOIRE_ERROR_FORMAT,
                          "%s:%" PRId64 ": is no line of JSON, wanted that of epoch %" PRId64, files->metrics,
                          epoch + 1, epoch);
    } else {
      line = newline + 1;
    }
  }
  if (!status) moire__text_add_bytes(&files->journal, bytes, (size_t)(line - bytes));
  moire__release(bytes);
  return status;
}

/* ---- Checkpoints ------------------------------------------------------------------------------------------
 */

/* All but what may change from one run to its continuation. */
static void trained_to_json(const moire__trainer_files *files, const moire__trained *trained,
                            moire__text *out) {
  moire__text_add(out,
                  "{\"epochs\":%" PRId64 ",\"steps\":%" PRId64 ",\"best_epoch\":%" PRId64 ",\"best_value\":",
                  trained->epochs, trained->steps, trained->best_epoch);
  moire__config_add_real(out, trained->best_value);
  moire__text_add(out, ",\"data\":\"%016" PRIx64 "\"}", files->job->task->fingerprint);
}

static moire_status save(const moire__trainer_files *files, const char *path, const moire_store *store,
                         moire__checkpoint_part part, const moire__st_metadata *more, int n_more,
                         moire_error *error) {
  moire__text config = {0};
  moire__config_to_json(files->job->config, &config);
  moire__st_metadata metadata[8] = {
      {"format", MOIRE__CHECKPOINT_FORMAT}, {"model", files->job->model}, {"config", config.data}};
  int n = 3;
  for (int i = 0; i < n_more; i++) metadata[n++] = more[i];
  const moire__trainer_task *task = files->job->task;
  for (int i = 0; i < 2; i++)
    if (task->kept[i].value) metadata[n++] = task->kept[i];
  const moire__state_dict *dict = part == MOIRE__CHECKPOINT_MODEL ? files->job->dict : NULL;
  moire_status status = dict ? moire__checkpoint_save_dict(path, store, dict, metadata, n, error)
                             : moire__checkpoint_save(path, store, part, metadata, n, error);
  moire__text_free(&config);
  return status;
}

moire_status moire__trainer_files_save_best(const moire__trainer_files *files, moire_store *store,
                                            int64_t epoch, moire_error *error) {
  char number[32];
  snprintf(number, sizeof number, "%" PRId64, epoch);
  const moire__st_metadata more[] = {{"epoch", number}};
  moire__average_swap(store);
  moire_status status = save(files, files->best, store, MOIRE__CHECKPOINT_MODEL, more, 1, error);
  moire__average_swap(store);
  return status;
}

moire_status moire__trainer_files_load_best(const moire__trainer_files *files, moire_store *store,
                                            moire_error *error) {
  moire__safetensors *file = NULL;
  moire_status status = moire__safetensors_open(files->best, &file, error);
  if (!status) status = moire__checkpoint_load(file, store, MOIRE__CHECKPOINT_MODEL, error);
  moire__safetensors_close(file);
  return status;
}

moire_status moire__trainer_files_save_last(const moire__trainer_files *files, const moire_store *store,
                                            const moire__trained *trained, moire_error *error) {
  moire__text state = {0}, training = {0};
  trained_to_json(files, trained, &state);
  moire__config_to_json(files->job->training, &training);
  const moire__st_metadata more[] = {{"training", training.data}, {"trained", state.data}};
  moire_status status = save(files, files->last, store, MOIRE__CHECKPOINT_EVERYTHING, more, 2, error);
  moire__text_free(&state);
  moire__text_free(&training);
  return status;
}

/* ---- The first epoch --------------------------------------------------------------------------------------
 */

static moire_status remove_old(const char *path, moire_error *error) {
  if (!unlink(path) || errno == ENOENT) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be removed for a new run: %s", path, strerror(errno));
}

/* In an order in which every moment leaves something whole: the earlier run, which can be resumed as long as
 * its last.safetensors is there; then no run to resume; then this one. */
static moire_status put_in_place(const moire__trainer_files *files, const moire__trainer_files *staged,
                                 moire_error *error) {
  moire_status status = remove_old(files->last, error);
  if (!status) status = remove_old(files->metrics, error);
  if (!status) status = remove_old(files->best, error);
  if (!status) status = moire__file_rename(staged->best, files->best, error);
  if (!status) status = moire__file_rename(staged->metrics, files->metrics, error);
  return status ? status : moire__file_rename(staged->last, files->last, error);
}

moire_status moire__trainer_files_save_first(moire__trainer_files *files, moire_store *store,
                                             const moire__epoch_record *record, const moire__trained *trained,
                                             moire_error *error) {
  moire__trainer_files staged = staged_files(files);
  const moire__trainer_job *job = files->job;
  moire_status status = moire__trainer_files_save_best(&staged, store, record->epoch, error);
  if (!status) status = moire__trainer_files_add_epoch(&staged, record, error);
  if (!status) status = moire__trainer_files_save_last(&staged, store, trained, error);
  if (!status && job->claim) status = job->claim(job->claim_context, error);
  if (!status) status = put_in_place(files, &staged, error);
  if (status) discard_staged(&staged);
  files->fresh = status != MOIRE_OK;
  moire__text_free(&files->journal);
  files->journal = staged.journal;
  staged.journal = (moire__text){0};
  moire__trainer_files_close(&staged);
  return status;
}

/* ---- Resuming ---------------------------------------------------------------------------------------------
 */

/* Whether the learning rate falls over as many steps as the epochs have. */
static bool rate_depends_on_epochs(const json_t *config) {
  const char *schedule = json_string_value(json_object_get(config, "schedule"));
  return schedule && (!strcmp(schedule, "linear") || !strcmp(schedule, "cosine")) &&
         !json_integer_value(json_object_get(config, "total_steps"));
}

/* Keys that may differ between a run and its continuation without changing what has been computed. */
static bool may_differ(const json_t *config, const char *key) {
  static const char *const keys[] = {"epochs", "patience", "eval_batch_size", "data", "model", "format"};
  if (!strcmp(key, "epochs") && rate_depends_on_epochs(config)) return false;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (!strcmp(keys[i], key)) return true;
  }
  return false;
}

static moire_status need_equal(const moire__trainer_files *files, const char *name, const char *theirs,
                               const moire_config *ours, moire_error *error) {
  moire__text text = {0};
  moire__config_to_json(ours, &text);
  json_t *want = json_loads(text.data, 0, NULL), *have = theirs ? json_loads(theirs, 0, NULL) : NULL;
  moire__text_free(&text);
  moire_status status = MOIRE_OK;
  if (!json_is_object(have) || !json_is_object(want)) {
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata %s: wanted a JSON object", files->last, name);
  }
  const char *key = NULL;
  json_t *value = NULL;
  json_object_foreach(want, key, value) {
    json_t *other = json_object_get(have, key);
    if (status || may_differ(want, key) || json_equal(value, other)) continue;
    char *now = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char *then = other ? json_dumps(other, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    status =
        moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: was trained with %s %s, so it cannot be resumed with %s",
                   files->last, key, then ? then : "absent", now ? now : "?");
    free(now);
    free(then);
  }
  json_decref(want);
  json_decref(have);
  return status;
}

static bool take_count(const json_t *object, const char *key, int64_t low, int64_t *out) {
  const json_t *value = json_object_get(object, key);
  *out = json_integer_value(value);
  return json_is_integer(value) && *out >= low;
}

static moire_status read_trained(const moire__trainer_files *files, const char *text, moire__trained *trained,
                                 moire_error *error) {
  json_t *root = text ? json_loads(text, 0, NULL) : NULL;
  const json_t *value = json_object_get(root, "best_value");
  const char *data = json_string_value(json_object_get(root, "data"));
  moire_status status = MOIRE_OK;
  char wanted[32];
  snprintf(wanted, sizeof wanted, "%016" PRIx64, files->job->task->fingerprint);
  if (!take_count(root, "epochs", 1, &trained->epochs) || !take_count(root, "steps", 1, &trained->steps) ||
      !take_count(root, "best_epoch", 0, &trained->best_epoch) || trained->best_epoch >= trained->epochs ||
      !json_is_number(value) || !data) {
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata trained: wanted the state of a training run",
                        files->last);
  } else if (strcmp(data, wanted) != 0) {
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: was trained on other data than %s", files->last,
                        files->job->task->data);
  }
  trained->best_value = json_number_value(value);
  json_decref(root);
  return status;
}

static moire_status read_last(moire__trainer_files *files, const moire__safetensors *file, moire_store *store,
                              moire__trained *trained, moire_error *error) {
  const char *model = moire__safetensors_metadata(file, "model");
  if (!model || strcmp(model, files->job->model) != 0) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: holds the model %.80s, so %s cannot be resumed from it",
                      files->last, model ? model : "(none)", files->job->model);
  }
  moire_status status =
      need_equal(files, "config", moire__safetensors_metadata(file, "config"), files->job->config, error);
  if (!status) {
    status = need_equal(files, "training", moire__safetensors_metadata(file, "training"), files->job->training,
                        error);
  }
  if (!status) status = read_trained(files, moire__safetensors_metadata(file, "trained"), trained, error);
  if (!status) status = read_journal(files, trained->epochs, error);
  if (!status) status = moire__checkpoint_load(file, store, MOIRE__CHECKPOINT_EVERYTHING, error);
  return status;
}

moire_status moire__trainer_files_resume(moire__trainer_files *files, moire_store *store,
                                         moire__trained *trained, bool *found, moire_error *error) {
  *found = access(files->last, F_OK) == 0 || errno != ENOENT;
  if (!*found) return MOIRE_OK;
  moire__safetensors *file = NULL;
  moire_status status = moire__safetensors_open(files->last, &file, error);
  if (!status) status = read_last(files, file, store, trained, error);
  moire__safetensors_close(file);
  return status;
}
