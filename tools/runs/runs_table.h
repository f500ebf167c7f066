/* Finished runs, grouped: runs that differ in nothing but their seed are one row. */
#ifndef MOIRE_TOOLS_RUNS_RUNS_TABLE_H
#define MOIRE_TOOLS_RUNS_RUNS_TABLE_H

#include "runtime/base/memory.h"
#include "runtime/measure/bootstrap.h"
#include "moire/status.h"
#include "tasks/task.h"
#include "tools/runs/runs.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tool_finished {
  const char *folder;
  json_t *record; /* run.json */
  const moire__task *task;
  int row;
} tool_finished;

typedef struct tool_row {
  const char *key;    /* the configuration without its seed */
  const char **cells; /* [n_columns] */
  int first, n;       /* one of its runs, and how many there are */
  double *mean,
      *deviation; /* [n_measures]; NaN: the row has no such measure. Deviation is 0 for a single run */
  bool is_baseline, has_gap;
  moire__interval gap; /* of a metric to the baseline's, if both have values of the same samples */
  const char *no_gap;  /* why there is none, for all but the baseline: "no values" */
} tool_row;

/* Zero-initialise; free with tool_table_free. */
typedef struct tool_table {
  moire__arena arena;
  tool_finished *runs;
  int n_runs, run_capacity;
  tool_row *rows;
  int n_rows, row_capacity;
  const char **columns; /* "model", "data" and keys: what rows differ in */
  int n_columns, column_capacity;
  const char **measures; /* of the tests, in the order of the runs */
  int n_measures, measure_capacity;
  bool *shown;          /* [n_measures]: what tables have room for */
  int metric;           /* the measure that rows are compared by */
  bool least;           /* it is the better the less */
  const char *baseline; /* name of the baseline; NULL: none is known */
} tool_table;

/* Adds every folder in and below `folder` that has a run.json. */
moire_status tool_table_add(tool_table *table, const char *folder, moire_error *error);
/* Makes the rows, in the order of the runs; `metric` is what they are compared by, NULL: the first run's own.
 */
moire_status tool_table_group(tool_table *table, const char *metric, moire_error *error);
/* Fills the gaps of all rows. */
moire_status tool_table_compare(tool_table *table, const tool_runs_options *options, moire_error *error);
void tool_table_free(tool_table *table);

/* "mag_tau=0.2, mag_temp=0.5", or the model's name where the rows differ in nothing. In the table's arena. */
const char *tool_row_name(tool_table *table, const tool_row *row);

/* SVG files: the losses and the metric of every run by epoch; the metric of every row by the two columns. */
moire_status tool_plot_curves(tool_table *table, const char *path, moire_error *error);
moire_status tool_plot_grid(tool_table *table, const char *path, moire_error *error);

#endif
