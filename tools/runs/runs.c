/* moire runs: the table of finished trainings. */
#include "tools/runs/runs_table.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
  const char **folders; /* owned */
  int n_folders;
  tool_runs_options table;
} arguments;

enum { FORMAT = 0x100, METRIC, BASELINE, CURVES, GRID, RESAMPLES, JSON };

static const struct argp_option options[] = {
    {"format", FORMAT, "text|markdown|json", 0, "How to print the table (text)", 0},
    {"json", JSON, NULL, 0, "The same as --format json", 0},
    {"metric", METRIC, "METRIC", 0,
     "What gaps and plots are of (NDCG@10 of recommenders, ce of language models, else what the runs stop by)",
     0},
    {"baseline", BASELINE, "NAME|RANKS", 0,
     "What gaps are to: the row with NAME in its name or folder, or a file of `moire eval --ranks` (the best "
     "row)",
     0},
    {"resamples", RESAMPLES, "N", 0, "Of the bootstrap (10000)", 0},
    {"plot-curves", CURVES, "FILE.svg", 0, "Draw the losses and validation metrics by epoch", 0},
    {"plot-grid", GRID, "FILE.svg", 0, "Draw the metric over the two keys that the rows differ in", 0},
    {0}};

tool_runs_options tool_runs_defaults(void) {
  return (tool_runs_options){.format = TOOL_RUNS_TEXT, .resamples = 10000};
}

static error_t parse(int key, char *text, struct argp_state *state) {
  static const char *const formats[] = {"text", "markdown", "json"};
  arguments *a = state->input;
  switch (key) {
    case FORMAT:
      for (int i = 0; i < 3; i++) {
        if (strcmp(text, formats[i]) != 0) continue;
        a->table.format = (tool_runs_format)i;
        return 0;
      }
      argp_error(state, "--format: wanted text, markdown or json, but '%s' came", text);
      return 0;
    case METRIC: a->table.metric = text; return 0;
    case JSON: a->table.format = TOOL_RUNS_JSON; return 0;
    case BASELINE: a->table.baseline = text; return 0;
    case CURVES: a->table.curves = text; return 0;
    case GRID: a->table.grid = text; return 0;
    case RESAMPLES:
      a->table.resamples = (int)tool_int_argument(state, "--resamples", text, 100, 10000000);
      return 0;
    case ARGP_KEY_ARG: a->folders[a->n_folders++] = text; return 0;
    case ARGP_KEY_END:
      if (!a->n_folders) argp_error(state, "wanted a folder");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* ---- Text and Markdown ----------------------------------------------------------------------------------- */

typedef struct page {
  moire__arena arena;
  const char **cells; /* [n_lines, width] */
  int width, n_lines;
} page;

static void put(page *p, int line, int *column, const char *text) {
  p->cells[line * p->width + (*column)++] = text;
}

static const char *gap_text(page *p, const tool_row *row) {
  if (row->is_baseline) return "baseline";
  if (!row->has_gap) return row->no_gap;
  return moire__arena_printf(&p->arena, "%+.4f [%+.4f, %+.4f]%s", row->gap.mean, row->gap.low, row->gap.high,
                             row->gap.noise ? " noise" : "");
}

static page lay_out(const tool_table *t) {
  page p = {.width = t->n_columns + 3, .n_lines = t->n_rows + 1};
  for (int m = 0; m < t->n_measures; m++) p.width += t->shown[m];
  p.cells = moire__arena_array(&p.arena, (size_t)(p.width * p.n_lines), sizeof *p.cells);
  int column = 0;
  for (int c = 0; c < t->n_columns; c++) put(&p, 0, &column, t->columns[c]);
  put(&p, 0, &column, "parameters");
  put(&p, 0, &column, "runs");
  for (int m = 0; m < t->n_measures; m++)
    if (t->shown[m]) put(&p, 0, &column, t->measures[m]);
  put(&p, 0, &column, moire__arena_printf(&p.arena, "gap of %s", t->measures[t->metric]));
  for (int i = 0; i < t->n_rows; i++) {
    const tool_row *row = &t->rows[i];
    const json_t *parameters = json_object_get(t->runs[row->first].record, "parameters");
    column = 0;
    for (int c = 0; c < t->n_columns; c++) put(&p, i + 1, &column, row->cells[c]);
    put(&p, i + 1, &column, moire__arena_printf(&p.arena, "%lld", (long long)json_integer_value(parameters)));
    put(&p, i + 1, &column, moire__arena_printf(&p.arena, "%d", row->n));
    for (int m = 0; m < t->n_measures; m++) {
      if (!t->shown[m]) continue;
      put(&p, i + 1, &column,
          isnan(row->mean[m]) ? ""
          : row->n > 1        ? moire__arena_printf(&p.arena, "%.4f ±%.4f", row->mean[m], row->deviation[m])
                              : moire__arena_printf(&p.arena, "%.4f", row->mean[m]));
    }
    put(&p, i + 1, &column, gap_text(&p, row));
  }
  return p;
}

/* Characters, not bytes. */
static int length_of(const char *text) {
  int n = 0;
  for (; *text; text++) n += (*text & 0xC0) != 0x80;
  return n;
}

static void print_page(const page *p, bool markdown) {
  for (int line = 0; line < p->n_lines; line++) {
    for (int c = 0; c < p->width; c++) {
      int widest = 3;
      for (int other = 0; other < p->n_lines; other++) {
        int length = length_of(p->cells[other * p->width + c]);
        widest = length > widest ? length : widest;
      }
      const char *text = p->cells[line * p->width + c];
      bool last = c == p->width - 1;
      printf("%s%s%*s",
             markdown ? "| "
             : c      ? "  "
                      : "",
             text, last && !markdown ? 0 : widest - length_of(text), "");
      if (markdown) printf(" ");
    }
    printf(markdown ? "|\n" : "\n");
    for (int c = 0; c < p->width && markdown && line == 0; c++)
      printf("|---%s", c == p->width - 1 ? "|\n" : "");
  }
}

/* ---- JSON ------------------------------------------------------------------------------------------------ */

static json_t *row_json(tool_table *t, const tool_row *row) {
  json_t *varied = json_object(), *metrics = json_object(), *folders = json_array(), *seeds = json_array();
  for (int c = 0; c < t->n_columns; c++) json_object_set_new(varied, t->columns[c], json_string(row->cells[c]));
  for (int m = 0; m < t->n_measures; m++) {
    if (isnan(row->mean[m])) continue;
    json_object_set_new(metrics, t->measures[m],
                        json_pack("{s:f, s:f}", "mean", row->mean[m], "deviation", row->deviation[m]));
  }
  for (int i = 0; i < t->n_runs; i++) {
    if (t->runs[i].row != row - t->rows) continue;
    json_array_append_new(folders, json_string(t->runs[i].folder));
    json_array_append(seeds, json_object_get(json_object_get(t->runs[i].record, "training"), "seed"));
  }
  json_t *gap = json_null();
  if (row->has_gap) {
    gap = json_pack("{s:f, s:f, s:f, s:b}", "mean", row->gap.mean, "low", row->gap.low, "high", row->gap.high,
                    "noise", row->gap.noise);
  }
  const json_t *record = t->runs[row->first].record;
  return json_pack("{s:s, s:O, s:o, s:O, s:i, s:o, s:o, s:o, s:b, s:o}", "name", tool_row_name(t, row), "model",
                   json_object_get(record, "model"), "values", varied, "parameters",
                   json_object_get(record, "parameters"), "runs", row->n, "seeds", seeds, "folders", folders,
                   "test", metrics, "baseline", row->is_baseline, "gap", gap);
}

static void print_json(tool_table *t, const tool_runs_options *o) {
  json_t *rows = json_array();
  for (int i = 0; i < t->n_rows; i++) json_array_append_new(rows, row_json(t, &t->rows[i]));
  json_t *all = json_pack("{s:s, s:s?, s:i, s:o}", "metric", t->measures[t->metric], "baseline", t->baseline,
                          "resamples", o->resamples, "rows", rows);
  char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
  printf("%s\n", text ? text : "{}");
  free(text);
  json_decref(all);
}

/* ---- The command ----------------------------------------------------------------------------------------- */

static moire_status prepare(tool_table *t, const char *const *folders, int n, const tool_runs_options *o,
                            moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < n && !status; i++) status = tool_table_add(t, folders[i], error);
  if (!status && !t->n_runs)
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: holds no complete run (no run.json)", folders[0]);
  if (status) return status;
  status = tool_table_group(t, o->metric, error);
  if (!status) status = tool_table_compare(t, o, error);
  if (!status && o->curves) status = tool_plot_curves(t, o->curves, error);
  if (!status && o->grid) status = tool_plot_grid(t, o->grid, error);
  return status;
}

int tool_runs_print(const char *command, const char *const *folders, int n, const tool_runs_options *o) {
  tool_table table = {0};
  moire_error error = {0};
  moire_status status = prepare(&table, folders, n, o, &error);
  if (!status && o->format == TOOL_RUNS_JSON) {
    print_json(&table, o);
  } else if (!status) {
    page p = lay_out(&table);
    print_page(&p, o->format == TOOL_RUNS_MARKDOWN);
    moire__arena_free(&p.arena);
  }
  tool_table_free(&table);
  return status ? tool_fail(command, &error) : 0;
}

int tool_runs(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "DIR...",
                                     "Prints the finished trainings in and below the folders: what they differ "
                                     "in, parameters, test metrics as mean "
                                     "and deviation over seeds, and the gap to a baseline with the middle 95 % "
                                     "of a paired bootstrap over users or samples. A "
                                     "gap whose interval holds 0 is called noise.",
                                     NULL,
                                     NULL,
                                     NULL};
  arguments a = {.table = tool_runs_defaults()};
  a.folders = moire__allocate_array((size_t)argc + 1, sizeof *a.folders);
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  int status = tool_runs_print("runs", a.folders, a.n_folders, &a.table);
  moire__release(a.folders);
  return status;
}
