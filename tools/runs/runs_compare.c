/* Gaps between rows, and whether they are more than noise: see runtime/measure/bootstrap.h. Where a row has
 * several seeds, a sample's value is the mean over them. */
#include "tools/runs/runs_table.h"

#include "tools/runs/run_folder.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* The metric of every sample, mean over the row's runs: owned; NULL where values are missing or do not fit,
 * with an error where they cannot be read. */
static double *values_of(const tool_table *t, int row, int64_t *n, moire_error *error) {
  double *sums = NULL;
  *n = 0;
  for (int i = 0; i < t->n_runs; i++) {
    const tool_finished *run = &t->runs[i];
    if (run->row != row) continue;
    int64_t there = 0;
    double *values =
        run->task->values ? run->task->values(run->folder, t->measures[t->metric], &there, error) : NULL;
    if (values && !sums) sums = moire__allocate_array((size_t)(*n = there) + 1, sizeof *sums);
    bool fits = values && there == *n && there > 0;
    for (int64_t u = 0; fits && u < *n; u++) sums[u] += values[u] / t->rows[row].n;
    moire__release(values);
    if (fits) continue;
    moire__release(sums);
    return NULL;
  }
  return sums;
}

static int best_row(const tool_table *t) {
  int best = 0;
  for (int row = 1; row < t->n_rows; row++) {
    double value = t->rows[row].mean[t->metric], top = t->rows[best].mean[t->metric];
    if (isnan(top) || (t->least ? value < top : value > top)) best = row;
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

/* The gap of row `other` to the n values of `base`, which are of row `row` or, if that is -1, of a file; NULL,
 * or why there is none. */
static const char *compare_row(tool_table *t, int other, int row, const double *base, int64_t n, int resamples,
                               moire_error *error) {
  if (row >= 0 && strcmp(data_of(t, row), data_of(t, other)) != 0) return "other data";
  int64_t samples = 0;
  double *values = values_of(t, other, &samples, error);
  const char *why = !values || !base ? "no values" : samples != n || n == 0 ? "other samples" : NULL;
  if (!why) {
    for (int64_t u = 0; u < n; u++) values[u] -= base[u];
    t->rows[other].gap = moire__bootstrap(values, n, resamples);
    t->rows[other].has_gap = true;
  }
  moire__release(values);
  return why;
}

/* The baseline's values, and its row, or -1 where it is a file. */
static moire_status find_baseline(tool_table *t, const char *named, int *row, double **base, int64_t *n,
                                  moire_error *error) {
  struct stat file;
  *row = -1;
  if (named && !stat(named, &file) && S_ISREG(file.st_mode)) {
    const moire__task *task = t->runs[0].task;
    t->baseline = named;
    if (!task->values)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: runs of %s have no values of samples to compare",
                        named, task->name);
    *base = task->values(named, t->measures[t->metric], n, error);
    return *base ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
  }
  *row = named ? named_row(t, named, error) : best_row(t);
  if (*row < 0) return MOIRE_ERROR_ARGUMENT;
  *base = values_of(t, *row, n, error);
  t->rows[*row].is_baseline = true;
  t->baseline = tool_row_name(t, &t->rows[*row]);
  return error->status;
}

moire_status tool_table_compare(tool_table *t, const tool_runs_options *options, moire_error *error) {
  int row = -1;
  int64_t n = 0;
  double *base = NULL;
  if (!t->n_rows) return MOIRE_OK;
  moire_status status = find_baseline(t, options->baseline, &row, &base, &n, error);
  for (int other = 0; other < t->n_rows && !status; other++) {
    if (other != row) t->rows[other].no_gap = compare_row(t, other, row, base, n, options->resamples, error);
    status = error->status;
  }
  moire__release(base);
  return status;
}
