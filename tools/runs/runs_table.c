/* Finished runs as rows. See runs_table.h. */
#include "tools/runs/runs_table.h"

#include "tools/runs/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Collecting ------------------------------------------------------------------------------------------ */

static moire_status add_run(tool_table *t, const char *folder, moire_error *error) {
  moire_error reason = {0};
  json_t *record = tool_run_read(folder, &reason);
  if (!record) return reason.status ? moire_fail(error, reason.status, "%s", reason.message) : MOIRE_OK;
  tool_finished run = {.folder = moire__arena_copy_string(&t->arena, folder), .record = record};
  const char *task = json_string_value(json_object_get(record, "task"));
  run.task = moire__task_find(task);
  MOIRE__PUSH(&t->arena, t->runs, t->n_runs, t->run_capacity, run);
  if (run.task) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: run.json: there is no task %.80s", folder, task);
}

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static moire_status add_below(tool_table *t, const char *folder, int depth, moire_error *error) {
  enum { DEEPEST = 12 };
  moire_status status = add_run(t, folder, error);
  struct dirent **entries = NULL;
  int n = status || depth == DEEPEST ? 0 : scandir(folder, &entries, is_visible, alphasort);
  if (n < 0) return moire_fail(error, MOIRE_ERROR_IO, "%s: %s", folder, strerror(errno));
  for (int i = 0; i < n; i++) {
    char *path = tool_path(folder, entries[i]->d_name);
    struct stat file;
    if (!status && !lstat(path, &file) && S_ISDIR(file.st_mode)) status = add_below(t, path, depth + 1, error);
    moire__release(path);
    free(entries[i]);
  }
  free(entries);
  return status;
}

moire_status tool_table_add(tool_table *table, const char *folder, moire_error *error) {
  return add_below(table, folder, 0, error);
}

void tool_table_free(tool_table *table) {
  for (int i = 0; i < table->n_runs; i++) {
    json_decref(table->runs[i].record);
  }
  moire__arena_free(&table->arena);
}

/* ---- Grouping -------------------------------------------------------------------------------------------- */

/* What rows do not differ in, whatever it is. */
static bool is_aside(const tool_finished *run, const char *key) {
  static const char *const keys[] = {"seed", "data", "model", "eval_batch_size"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (!strcmp(keys[i], key)) return true;
  }
  return run->task->size_key && !strcmp(run->task->size_key, key);
}

static const char *text_of(tool_table *t, const json_t *value) {
  if (json_is_string(value)) return json_string_value(value);
  char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
  const char *text = dump ? moire__arena_copy_string(&t->arena, dump) : "?";
  free(dump);
  return text;
}

/* The value of a column for a run, or NULL where its model has no such key. */
static const char *value_of(tool_table *t, const tool_finished *run, const char *column) {
  if (!strcmp(column, "model")) return json_string_value(json_object_get(run->record, "model"));
  if (!strcmp(column, "data")) {
    const char *path = json_string_value(json_object_get(run->record, "data")), *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
  }
  json_t *value = json_object_get(json_object_get(run->record, "config"), column);
  if (!value) value = json_object_get(json_object_get(run->record, "training"), column);
  return value ? text_of(t, value) : NULL;
}

static bool differs(tool_table *t, const char *column) {
  const char *first = NULL;
  for (int i = 0; i < t->n_runs; i++) {
    const char *value = value_of(t, &t->runs[i], column);
    if (value && first && strcmp(value, first) != 0) return true;
    if (!first) first = value;
  }
  return false;
}

static void add_column(tool_table *t, const char *column) {
  for (int i = 0; i < t->n_columns; i++) {
    if (!strcmp(t->columns[i], column)) return;
  }
  if (!differs(t, column)) return;
  MOIRE__PUSH(&t->arena, t->columns, t->n_columns, t->column_capacity, column);
}

static void find_columns(tool_table *t) {
  static const char *const parts[] = {"config", "training"};
  add_column(t, "model");
  bool other_data = false;
  for (int i = 1; i < t->n_runs; i++)
    other_data = other_data || !json_equal(json_object_get(t->runs[0].record, "fingerprint"),
                                           json_object_get(t->runs[i].record, "fingerprint"));
  if (other_data) add_column(t, "data");
  for (int i = 0; i < t->n_runs; i++) {
    for (int part = 0; part < 2; part++) {
      const char *key = NULL;
      json_t *value = NULL;
      json_object_foreach(json_object_get(t->runs[i].record, parts[part]), key, value) {
        if (!is_aside(&t->runs[i], key)) add_column(t, key);
      }
    }
  }
}

/* Everything that makes a run what it is, but for its seed. */
static const char *key_of(tool_table *t, const tool_finished *run) {
  static const char *const parts[] = {"config", "training"};
  json_t *all = json_object();
  json_object_set(all, "model", json_object_get(run->record, "model"));
  json_object_set(all, "fingerprint", json_object_get(run->record, "fingerprint"));
  for (int part = 0; part < 2; part++) {
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(json_object_get(run->record, parts[part]), key, value) {
      if (!is_aside(run, key)) json_object_set(all, key, value);
    }
  }
  const char *text = text_of(t, all);
  json_decref(all);
  return text;
}

static double measure_of(const tool_finished *run, const char *name) {
  const json_t *value = json_object_get(json_object_get(run->record, "test"), name);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static void summarise(tool_table *t, int row) {
  tool_row *r = &t->rows[row];
  r->mean = moire__arena_array(&t->arena, (size_t)t->n_measures + 1, sizeof *r->mean);
  r->deviation = moire__arena_array(&t->arena, (size_t)t->n_measures + 1, sizeof *r->deviation);
  for (int m = 0; m < t->n_measures; m++) {
    double sum = 0, squares = 0;
    for (int i = 0; i < t->n_runs; i++) {
      if (t->runs[i].row == row) sum += measure_of(&t->runs[i], t->measures[m]);
    }
    r->mean[m] = sum / r->n;
    for (int i = 0; i < t->n_runs; i++) {
      double off = measure_of(&t->runs[i], t->measures[m]) - r->mean[m];
      if (t->runs[i].row == row) squares += off * off;
    }
    r->deviation[m] = r->n > 1 ? sqrt(squares / (r->n - 1)) : 0;
  }
}

static int find_measure(const tool_table *t, const char *name) {
  for (int m = 0; m < t->n_measures; m++) {
    if (!strcmp(t->measures[m], name)) return m;
  }
  return -1;
}

/* Those that a task has room for, and the one that rows are compared by. */
static void choose_shown(tool_table *t) {
  t->shown = moire__arena_array(&t->arena, (size_t)t->n_measures + 1, sizeof *t->shown);
  for (int i = 0; i < t->n_runs; i++) {
    const char *const *shown = t->runs[i].task->shown;
    for (int m = 0; m < t->n_measures; m++) {
      if (isnan(measure_of(&t->runs[i], t->measures[m]))) continue;
      t->shown[m] = t->shown[m] || !shown || m == t->metric;
      for (int s = 0; shown && shown[s]; s++) t->shown[m] = t->shown[m] || !strcmp(shown[s], t->measures[m]);
    }
  }
}

/* The measures of all tests, and the one that rows are compared by. */
static moire_status find_measures(tool_table *t, const char *metric, moire_error *error) {
  for (int i = 0; i < t->n_runs; i++) {
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(json_object_get(t->runs[i].record, "test"), name, value) {
      if (find_measure(t, name) < 0)
        MOIRE__PUSH(&t->arena, t->measures, t->n_measures, t->measure_capacity, name);
    }
  }
  const json_t *first = t->runs[0].record;
  const char *wanted = tool_run_metric(first, metric);
  t->metric = find_measure(t, wanted);
  const char *monitored = json_string_value(json_object_get(first, "monitored"));
  t->least = json_is_true(json_object_get(first, "least"));
  if (strcmp(wanted, monitored) != 0) t->least = t->runs[0].task->is_least && t->runs[0].task->is_least(wanted);
  choose_shown(t);
  if (t->metric >= 0) return MOIRE_OK;
  moire__text known = {0};
  for (int m = 0; m < t->n_measures; m++) moire__text_add(&known, "%s%s", m ? ", " : "", t->measures[m]);
  moire_status status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "--metric: there is no %s; there are %s",
                                   wanted, moire__text_string(&known));
  moire__text_free(&known);
  return status;
}

moire_status tool_table_group(tool_table *t, const char *metric, moire_error *error) {
  moire_status status = find_measures(t, metric, error);
  if (status) return status;
  find_columns(t);
  for (int i = 0; i < t->n_runs; i++) {
    const char *key = key_of(t, &t->runs[i]);
    int row = 0;
    while (row < t->n_rows && strcmp(t->rows[row].key, key) != 0) row++;
    if (row == t->n_rows) {
      tool_row fresh = {.key = key, .first = i};
      fresh.cells = moire__arena_array(&t->arena, (size_t)t->n_columns + 1, sizeof *fresh.cells);
      for (int c = 0; c < t->n_columns; c++) {
        const char *value = value_of(t, &t->runs[i], t->columns[c]);
        fresh.cells[c] = value ? value : "";
      }
      MOIRE__PUSH(&t->arena, t->rows, t->n_rows, t->row_capacity, fresh);
    }
    t->runs[i].row = row;
    t->rows[row].n++;
  }
  for (int row = 0; row < t->n_rows; row++) summarise(t, row);
  return MOIRE_OK;
}

const char *tool_row_name(tool_table *t, const tool_row *row) {
  const char *name = "";
  for (int c = 0; c < t->n_columns; c++) {
    if (!*row->cells[c]) continue;
    bool plain = !strcmp(t->columns[c], "model") || !strcmp(t->columns[c], "data");
    name = moire__arena_printf(&t->arena, "%s%s%s%s%s", name, *name ? ", " : "", plain ? "" : t->columns[c],
                               plain ? "" : "=", row->cells[c]);
  }
  return *name ? name : value_of(t, &t->runs[row->first], "model");
}
