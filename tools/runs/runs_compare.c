/* Gaps between rows, and whether they are more than noise: see runtime/measure/bootstrap.h. Where a row has
 * several seeds, a user's value is the mean over them. */
#include "tools/runs/runs_table.h"

#include "tools/runs/run_folder.h"

#include <string.h>
#include <sys/stat.h>

static double of_rank(int64_t rank, int metric) {
  moire__metrics one = {0};
  moire__metrics_add(&one, rank);
  return moire__metrics_mean(&one, metric);
}

/* The metric of every user, mean over the row's runs: owned; NULL where ranks are missing or do not fit. */
static double *users_of(const tool_table *t, int row, int metric, int64_t *n) {
  double *users = NULL;
  *n = 0;
  for (int i = 0; i < t->n_runs; i++) {
    const tool_finished *run = &t->runs[i];
    if (run->row != row) continue;
    if (!users) users = moire__allocate_array((size_t)(*n = run->n_ranks) + 1, sizeof *users);
    if (!run->ranks || run->n_ranks != *n || *n == 0) {
      moire__release(users);
      return NULL;
    }
    for (int64_t u = 0; u < *n; u++) users[u] += of_rank(run->ranks[u], metric) / t->rows[row].n;
  }
  return users;
}

static int best_row(const tool_table *t, int metric) {
  int best = 0;
  for (int row = 1; row < t->n_rows; row++) {
    if (t->rows[row].mean[metric] > t->rows[best].mean[metric]) best = row;
  }
  return best;
}

/* The only row whose name or folders contain the words; -1 with a sentence. */
static int named_row(tool_table *t, const char *words, moire_error *error) {
  int found = -1, exact = -1, n = 0;
  for (int row = 0; row < t->n_rows; row++) {
    const char *name = tool_row_name(t, &t->rows[row]);
    bool match = strstr(name, words) != NULL;
    for (int i = 0; i < t->n_runs; i++)
      match = match || (t->runs[i].row == row && strstr(t->runs[i].folder, words));
    if (!strcmp(name, words) || (t->n_columns && !strcmp(t->rows[row].cells[0], words))) {
      exact = exact < 0 ? row : -2;
    }
    if (match) found = row;
    n += match;
  }
  if (exact >= 0) return exact;
  if (n == 1) return found;
  moire_fail(error, MOIRE_ERROR_ARGUMENT,
             n ? "baseline %s: %d rows have it in their name or folder, wanted one"
               : "baseline %s: %d rows have it in their name or folder, and it is no file of ranks",
             words, n);
  return -1;
}

static const char *data_of(const tool_table *t, int row) {
  return json_string_value(json_object_get(t->runs[t->rows[row].first].record, "fingerprint"));
}

/* The gap of row `other` to the n users of `base`, which are of row `row` or, if that is -1, of a file; NULL,
 * or why there is none. */
static const char *compare_row(tool_table *t, int other, int row, const double *base, int64_t n, int metric,
                               int resamples) {
  if (row >= 0 && strcmp(data_of(t, row), data_of(t, other)) != 0) return "other data";
  int64_t users = 0;
  double *values = users_of(t, other, metric, &users);
  const char *why = !values || !base ? "no ranks" : users != n || n == 0 ? "other users" : NULL;
  if (!why) {
    for (int64_t u = 0; u < n; u++) values[u] -= base[u];
    t->rows[other].gap = moire__bootstrap(values, n, resamples);
    t->rows[other].has_gap = true;
  }
  moire__release(values);
  return why;
}

moire_status tool_table_compare(tool_table *t, const tool_runs_options *options, moire_error *error) {
  int metric = moire__metrics_index(options->metric), row = -1;
  struct stat file;
  int64_t n = 0, *ranks = NULL;
  double *base = NULL;
  if (!t->n_rows) return MOIRE_OK;
  if (options->baseline && !stat(options->baseline, &file) && S_ISREG(file.st_mode)) {
    moire_status status = tool_ranks_read(options->baseline, &ranks, &n, error);
    if (status) return status;
    base = moire__allocate_array((size_t)n + 1, sizeof *base);
    for (int64_t u = 0; u < n; u++) base[u] = of_rank(ranks[u], metric);
    moire__release(ranks);
    t->baseline = options->baseline;
  } else {
    row = options->baseline ? named_row(t, options->baseline, error) : best_row(t, metric);
    if (row < 0) return MOIRE_ERROR_ARGUMENT;
    base = users_of(t, row, metric, &n);
    t->rows[row].is_baseline = true;
    t->baseline = tool_row_name(t, &t->rows[row]);
  }
  for (int other = 0; other < t->n_rows; other++) {
    if (other != row) t->rows[other].no_gap = compare_row(t, other, row, base, n, metric, options->resamples);
  }
  moire__release(base);
  return MOIRE_OK;
}
