/* The folder of a run. See run_folder.h. */
#include "tools/runs/run_folder.h"

#include "moire/version.h"
#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

char *tool_path(const char *directory, const char *name) {
  moire__text text = {0};
  moire__text_add(&text, "%s/%s", directory, name);
  return text.data;
}

json_t *tool_run_config(const moire_config *config) {
  moire__text text = {0};
  moire__config_to_json(config, &text);
  json_t *object = json_loads(moire__text_string(&text), 0, NULL);
  moire__text_free(&text);
  return object;
}

/* ---- What is there already ---------------------------------------------------------------------------------
 */

static bool has(const char *directory, const char *name) {
  char *path = tool_path(directory, name);
  bool there = access(path, F_OK) == 0;
  moire__release(path);
  return there;
}

/* What a run leaves, or NULL. */
static const char *trace_of_run(const char *directory) {
  static const char *const names[] = {"last.safetensors", "part.safetensors", "best.safetensors",
                                      "run.json",         "metrics.jsonl",    "config.yaml"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (has(directory, names[i])) return names[i];
  }
  return NULL;
}

moire_status tool_run_refuse(const char *directory, bool resume, moire_error *error) {
  const char *trace = trace_of_run(directory);
  if (resume && has(directory, "run.json") && !has(directory, "last.safetensors"))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: holds a complete run without its last.safetensors, so there is nothing to resume: "
                      "--overwrite replaces it, and --out DIR puts a new one elsewhere",
                      directory);
  if (resume || !trace) return MOIRE_OK;
  return moire_fail(
      error, MOIRE_ERROR_ARGUMENT,
      "%s: holds a run already (%s): --resume continues it, --overwrite replaces it, and --out DIR puts "
      "a new one elsewhere",
      directory, trace);
}

/* ---- Writing --------------------------------------------------------------------------------------------- */

/* "key: value" for each key; JSON's scalars and lists are YAML's. */
static void add_yaml(const json_t *object, moire__text *out) {
  const char *key = NULL;
  json_t *value = NULL;
  json_object_foreach((json_t *)object, key, value) {
    moire__text_add(out, "%s: ", key);
    if (json_is_real(value)) {
      moire__config_add_real(out, json_real_value(value));
    } else {
      char *text = json_dumps(value, JSON_ENCODE_ANY);
      moire__text_add(out, "%s", text ? text : "null");
      free(text);
    }
    moire__text_add_char(out, '\n');
  }
}

static moire_status write_in(const char *directory, const char *name, const moire__text *text,
                             moire_error *error) {
  char *path = tool_path(directory, name);
  moire_status status = moire__file_write_atomic(path, moire__text_string(text), text->length, error);
  moire__release(path);
  return status;
}

static moire_status remove_old(const char *directory, const char *name, moire_error *error) {
  char *path = tool_path(directory, name);
  moire__file_remove_leftovers(path);
  moire_status status = MOIRE_OK;
  if (unlink(path) && errno != ENOENT)
    status =
        moire_fail(error, MOIRE_ERROR_IO, "%s: cannot be removed for a new run: %s", path, strerror(errno));
  moire__release(path);
  return status;
}

moire_status tool_run_begin(const char *directory, const moire__setup *setup, const char *data,
                            moire_error *error) {
  moire_status status = remove_old(directory, "run.json", error);
  for (int t = 0; t < moire__task_count(); t++) {
    const char *const *leaves = moire__task_at(t)->leaves;
    for (int i = 0; leaves && leaves[i] && !status; i++) status = remove_old(directory, leaves[i], error);
  }
  if (status) return status;
  char *kept = tool_path(directory, "config.yaml");
  moire__file_remove_leftovers(kept);
  moire__release(kept);
  json_t *config = tool_run_config(setup->config), *training = tool_run_config(setup->training);
  json_object_set_new(training, "data", json_string(data));
  moire__text text = {0};
  add_yaml(training, &text);
  add_yaml(config, &text);
  status = write_in(directory, "config.yaml", &text, error);
  moire__text_free(&text);
  json_decref(config);
  json_decref(training);
  return status;
}

static json_t *versions(void) {
  struct utsname system = {0};
  bool known = uname(&system) == 0;
  return json_pack("{s:s, s:s, s:s}", "moire", MOIRE_VERSION, "system", known ? system.release : "?", "machine",
                   known ? system.machine : "?");
}

static json_t *measures_json(const moire__measures *measures) {
  json_t *object = json_object();
  for (int i = 0; i < measures->n; i++)
    json_object_set_new(object, measures->at[i].name,
                        isfinite(measures->at[i].value) ? json_real(measures->at[i].value) : json_null());
  return object;
}

moire_status tool_run_finish(const char *directory, const moire__setup *setup, const char *data, double seconds,
                             const moire__trainer_result *result, moire_error *error) {
  char fingerprint[32];
  snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, result->fingerprint);
  json_t *run = json_pack(
      "{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:o}", "format", "run/2",
      "task", setup->task->name, "model", setup->model->name, "data", data, "fingerprint", fingerprint,
      "monitored", result->monitored, "least", (int)result->least, "samples", (json_int_t)result->samples,
      "parameters", (json_int_t)result->parameters, "epochs", (json_int_t)result->epochs, "best_epoch",
      (json_int_t)result->best_epoch, "seconds", seconds, "config", tool_run_config(setup->config), "training",
      tool_run_config(setup->training), "test", measures_json(&result->test), "versions", versions());
  if (run && result->baseline_name)
    json_object_set_new(run, result->baseline_name, measures_json(&result->baseline));
  char *dump = run ? json_dumps(run, JSON_INDENT(2)) : NULL;
  json_decref(run);
  if (!dump) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: a name is not UTF-8", directory);
  moire__text text = {0};
  moire__text_add(&text, "%s\n", dump);
  free(dump);
  moire_status status = write_in(directory, "run.json", &text, error);
  moire__text_free(&text);
  return status;
}

/* ---- Reading --------------------------------------------------------------------------------------------- */

static bool is_run(const json_t *run) {
  static const char *const strings[] = {"task", "model", "data", "fingerprint", "monitored"},
                           *const objects[] = {"config", "training", "test"},
                           *const numbers[] = {"samples", "parameters", "epochs", "best_epoch"};
  bool good = json_is_object(run);
  for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
    good = good && json_is_string(json_object_get(run, strings[i]));
  for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
    good = good && json_is_object(json_object_get(run, objects[i]));
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    good = good && json_is_integer(json_object_get(run, numbers[i]));
  const char *name = NULL;
  json_t *value = NULL;
  json_object_foreach(json_object_get(run, "test"), name, value) good =
      good && (json_is_number(value) || json_is_null(value));
  return good && json_is_boolean(json_object_get(run, "least"));
}

/* A run/1 is of the first task that there was, and calls its samples users. */
static void complete_old(json_t *run) {
  const char *format = json_string_value(json_object_get(run, "format"));
  if (!format || strcmp(format, "run/1") != 0) return;
  json_object_set_new(run, "task", json_string(moire__task_at(0)->name));
  json_object_set(run, "samples", json_object_get(run, "users"));
  json_object_set(run, "monitored", json_object_get(json_object_get(run, "training"), "stop_metric"));
  json_object_set_new(run, "least", json_false());
}

json_t *tool_run_read(const char *directory, moire_error *error) {
  char *path = tool_path(directory, "run.json"), *bytes = NULL;
  size_t n = 0;
  json_t *run = NULL;
  if (access(path, F_OK) == 0 && !moire__file_read(path, (size_t)1 << 24, &bytes, &n, error)) {
    run = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, NULL);
    complete_old(run);
    if (!is_run(run)) {
      moire_fail(error, MOIRE_ERROR_FORMAT, "%s: is not what a run leaves behind", path);
      json_decref(run);
      run = NULL;
    }
  }
  moire__release(bytes);
  moire__release(path);
  return run;
}

static bool same_keys(const json_t *there, const moire_config *config, const char *const *except) {
  json_t *wanted = tool_run_config(config), *value = NULL;
  const char *key = NULL;
  bool same = true;
  json_object_foreach(wanted, key, value) {
    bool compared = true;
    for (int i = 0; except[i]; i++) compared = compared && strcmp(key, except[i]) != 0;
    if (compared) same = same && json_equal(value, json_object_get(there, key));
  }
  json_decref(wanted);
  return same;
}

const char *tool_run_metric(const json_t *run, const char *wanted) {
  const moire__task *task = moire__task_find(json_string_value(json_object_get(run, "task")));
  if (wanted) return wanted;
  return task && task->headline ? task->headline : json_string_value(json_object_get(run, "monitored"));
}

bool tool_run_repeats(const char *directory, const moire__setup *setup, const uint64_t *fingerprint) {
  moire_error ignored = {0};
  json_t *run = tool_run_read(directory, &ignored);
  char wanted[32] = "";
  if (fingerprint) snprintf(wanted, sizeof wanted, "%016" PRIx64, *fingerprint);
  bool same = run && tool_run_is(run, setup) &&
              (!fingerprint || !strcmp(json_string_value(json_object_get(run, "fingerprint")), wanted));
  json_decref(run);
  return same;
}

bool tool_run_is(const json_t *run, const moire__setup *setup) {
  const char *const of_data[] = {setup->task->size_key, NULL};
  static const char *const of_training[] = {"data", "model", "format", NULL};
  return !strcmp(json_string_value(json_object_get(run, "model")), setup->model->name) &&
         same_keys(json_object_get(run, "config"), setup->config, of_data) &&
         same_keys(json_object_get(run, "training"), setup->training, of_training);
}
