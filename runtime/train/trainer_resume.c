/* How a training run goes on from what it left on disk. */
#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/files/file.h"
#include "runtime/train/trainer_files.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Metrics ----------------------------------------------------------------------------------------------
 */

/* Is the line one of JSON, an object? */
static bool is_object(const char *line, size_t n) {
  json_t *value = json_loadb(line, n, 0, NULL);
  bool good = json_is_object(value);
  json_decref(value);
  return good;
}

/* Past the lines of steps before `limit`, which come before their epoch's. */
static const char *skip_steps(const char *line, const char *end, int64_t limit) {
  static const char begin[] = "{\"step\":";
  size_t n = sizeof begin - 1;
  while ((size_t)(end - line) > n && !memcmp(line, begin, n)) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    if (!newline || strtoll(line + n, NULL, 10) >= limit) break;
    line = newline + 1;
  }
  return line;
}

/* The journal becomes the first lines of metrics.jsonl, those of the epochs and steps that are done, which the
 * run that is resumed has written. */
static moire_status read_journal(moire__trainer_files *files, const char *known_by, const moire__trained *done,
                                 moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(files->metrics, (size_t)1 << 30, &bytes, &n, error);
  if (status) return status;
  const char *line = bytes, *end = bytes + n;
  for (int64_t epoch = 0; epoch < done->epochs && !status; epoch++) {
    line = skip_steps(line, end, INT64_MAX);
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    char wanted[64];
    int length = snprintf(wanted, sizeof wanted, "{\"epoch\":%" PRId64 ",", epoch);
    if (!newline || newline - line < length || memcmp(line, wanted, (size_t)length) != 0) {
      status = moire_fail(error, MOIRE_ERROR_FORMAT,
                          "%s:%" PRId64 ": wanted the line of epoch %" PRId64 ", which %s knows",
                          files->metrics, epoch + 1, epoch, known_by);
    } else if (!is_object(line, (size_t)(newline - line))) {
      status = moire_fail(error, MOIRE_ERROR_FORMAT,
                          "%s:%" PRId64 ": is no line of JSON, wanted that of epoch %" PRId64, files->metrics,
                          epoch + 1, epoch);
    } else {
      line = newline + 1;
    }
  }
  if (done->part) line = skip_steps(line, end, done->steps + done->part);
  if (!status) moire__text_add_bytes(&files->journal, bytes, (size_t)(line - bytes));
  moire__release(bytes);
  return status;
}

/* ---- Checkpoints ------------------------------------------------------------------------------------------
 */

/* Whether the learning rate falls over as many steps as the epochs have. */
static bool rate_depends_on_epochs(const json_t *config) {
  const char *schedule = json_string_value(json_object_get(config, "schedule"));
  return schedule && (!strcmp(schedule, "linear") || !strcmp(schedule, "cosine")) &&
         !json_integer_value(json_object_get(config, "total_steps"));
}

/* Keys that may differ between a run and its continuation without changing what has been computed. */
static bool may_differ(const json_t *config, const char *key) {
  static const char *const keys[] = {"epochs", "patience", "save_minutes", "eval_batch_size",
                                     "data",   "model",    "format",       "table"};
  if (!strcmp(key, "epochs") && rate_depends_on_epochs(config)) return false;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (!strcmp(keys[i], key)) return true;
  }
  return false;
}

/* Are both the same optimizer but for rounding? A checkpoint from before there was the key has all rows. */
static bool is_alike(const char *key, const json_t *a, const json_t *b) {
  const char *x = json_string_value(a), *y = json_string_value(b);
  if (strcmp(key, "sparse") != 0) return false;
  return strcmp(x ? x : "off", "lazy") != 0 && strcmp(y ? y : "off", "lazy") != 0;
}

static moire_status need_equal(const char *path, const char *name, const char *theirs, const moire_config *ours,
                               moire_error *error) {
  moire__text text = {0};
  moire__config_to_json(ours, &text);
  json_t *want = json_loads(text.data, 0, NULL), *have = theirs ? json_loads(theirs, 0, NULL) : NULL;
  moire__text_free(&text);
  moire_status status = MOIRE_OK;
  if (!json_is_object(have) || !json_is_object(want)) {
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata %s: wanted a JSON object", path, name);
  }
  const char *key = NULL;
  json_t *value = NULL;
  json_object_foreach(want, key, value) {
    json_t *other = json_object_get(have, key);
    if (status || may_differ(want, key) || json_equal(value, other) || is_alike(key, value, other)) continue;
    char *now = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    char *then = other ? json_dumps(other, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    status =
        moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: was trained with %s %s, so it cannot be resumed with %s",
                   path, key, then ? then : "absent", now ? now : "?");
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

static moire_status read_trained(const moire__trainer_files *files, const char *path, const char *text,
                                 moire__trained *trained, moire_error *error) {
  json_t *root = text ? json_loads(text, 0, NULL) : NULL;
  const json_t *value = json_object_get(root, "best_value"), *loss = json_object_get(root, "part_loss");
  const char *data = json_string_value(json_object_get(root, "data"));
  moire_status status = MOIRE_OK;
  char wanted[32];
  snprintf(wanted, sizeof wanted, "%016" PRIx64, files->job->task->fingerprint);
  *trained = (moire__trained){0};
  bool within = take_count(root, "part", 1, &trained->part) && json_is_number(loss);
  int64_t begun = within ? 0 : 1;
  if (!take_count(root, "epochs", begun, &trained->epochs) ||
      !take_count(root, "steps", begun, &trained->steps) ||
      !take_count(root, "best_epoch", trained->epochs ? 0 : -1, &trained->best_epoch) ||
      trained->best_epoch >= trained->epochs || !json_is_number(value) || !data) {
    status =
        moire_fail(error, MOIRE_ERROR_FORMAT, "%s: metadata trained: wanted the state of a training run", path);
  } else if (strcmp(data, wanted) != 0) {
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: was trained on other data than %s", path,
                        files->job->task->data);
  }
  trained->best_value = json_number_value(value);
  trained->part_loss = json_number_value(loss);
  trained->part_seconds = json_number_value(json_object_get(root, "part_seconds"));
  json_decref(root);
  return status;
}

/* A checkpoint of everything, which may not be there. */
typedef struct saved {
  const char *path;
  moire__safetensors *file; /* NULL: it is not */
  moire__trained trained;
} saved;

static moire_status open_saved(saved *s, const moire__trainer_files *files, const char *path,
                               moire_error *error) {
  *s = (saved){.path = path};
  if (access(path, F_OK) && errno == ENOENT) return MOIRE_OK;
  moire_status status = moire__trainer_files_read(files, path, &s->file, error);
  if (status) return status;
  const char *model = moire__safetensors_metadata(s->file, "model");
  if (!model || strcmp(model, files->job->model) != 0) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: holds the model %.80s, so %s cannot be resumed from it",
                      path, model ? model : "(none)", files->job->model);
  }
  const moire__trainer_job *job = files->job;
  status = need_equal(path, "config", moire__safetensors_metadata(s->file, "config"), job->config, error);
  if (!status)
    status =
        need_equal(path, "training", moire__safetensors_metadata(s->file, "training"), job->training, error);
  if (status) return status;
  return read_trained(files, path, moire__safetensors_metadata(s->file, "trained"), &s->trained, error);
}

/* The part of an epoch, if it is that after the last whole one; it is older where a run was killed before it
 * could remove it. */
static moire_status choose(const saved *last, const saved *part, const saved **chosen, moire_error *error) {
  *chosen = last->file ? last : NULL;
  if (!part->file) return MOIRE_OK;
  if (!last->file && part->trained.epochs)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: is a part of epoch %" PRId64 ", after a %s that is not there", part->path,
                      part->trained.epochs, last->path);
  if (part->trained.epochs == last->trained.epochs) *chosen = part;
  return MOIRE_OK;
}

/* ---- Rows that have steps of their own ----------------------------------------------------------------------
 */

static bool is_since(const char *name) {
  return !strncmp(name, MOIRE__SINCE_PREFIX, strlen(MOIRE__SINCE_PREFIX));
}

/* The step after which a row stands, of a tensor that may lie anywhere. */
static int32_t since_of(const moire__st_tensor *t, int64_t row) {
  int32_t since = 0;
  memcpy(&since, (const char *)t->data + row * (int64_t)sizeof since, sizeof since);
  return since;
}

/* A training that steps all rows goes on where all have made all steps. */
static moire_status check_rows(const saved *s, const moire_store *store, moire_error *error) {
  int64_t steps = s->trained.steps + s->trained.part;
  for (int i = 0; i < moire__safetensors_count(s->file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(s->file, i);
    if (!is_since(t->name) || t->dtype != MOIRE__ST_I32) continue;
    bool whole = !moire_store_data(store, t->name, NULL);
    for (int64_t row = 0; row < t->count; row++) {
      int32_t since = since_of(t, row);
      if (since == steps || (!whole && since >= 0 && since < steps)) continue;
      const char *wanted = whole ? "sparse: exact, or a checkpoint of a whole epoch" : "one of 0 to them";
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "%s: row %" PRId64 " of %s stands after step %d of %" PRId64 ": wanted %s", s->path,
                        row, t->name + strlen(MOIRE__SINCE_PREFIX), (int)since, steps, wanted);
    }
  }
  return MOIRE_OK;
}

/* What a training that has stepped all rows says of them. */
static void set_rows(const saved *s, moire_store *store) {
  for (int i = 0; i < moire_store_count(store); i++) {
    const char *name = moire_store_at(store, i).name;
    int64_t rows = 0;
    int32_t *since = is_since(name) ? moire_store_data(store, name, &rows) : NULL;
    if (!since || moire__checkpoint_tensor(s->file, name)) continue;
    for (int64_t row = 0; row < rows; row++) since[row] = (int32_t)(s->trained.steps + s->trained.part);
  }
}

moire_status moire__trainer_files_resume(moire__trainer_files *files, moire_store *store, bool within,
                                         moire__trained *trained, bool *found, moire_error *error) {
  saved last = {0}, part = {0};
  const saved *chosen = NULL;
  moire_status status = open_saved(&last, files, files->last, error);
  if (!status && within) status = open_saved(&part, files, files->part, error);
  if (!status) status = choose(&last, &part, &chosen, error);
  *found = chosen != NULL;
  if (!status && chosen) {
    *trained = chosen->trained;
    status = read_journal(files, chosen->path, trained, error);
    if (!status) status = check_rows(chosen, store, error);
    if (!status) status = moire__checkpoint_load(chosen->file, store, MOIRE__CHECKPOINT_EVERYTHING, error);
    if (!status) set_rows(chosen, store);
  }
  moire__safetensors_close(last.file);
  moire__safetensors_close(part.file);
  return status;
}
