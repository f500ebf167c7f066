/* moire sweep: a grid of trainings, in folders of their own. */
#include "tools/runs/sweep.h"

#include "runtime/base/memory.h"
#include "runtime/team/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
  const char *config, *out;
  moire__data_files files;
  const char **assignments; /* owned; also those of --stop-metric and --patience */
  int n_assignments;
  tool_axis *axes;
  int n_axes, seeds, jobs, threads;
  tool_runs_options table;
  moire__arena arena;
} arguments;

enum { OUT = 0x100, SET, GRID, SEEDS, JOBS, THREADS, STOP_METRIC, PATIENCE, METRIC, BASELINE, JSON };

static const struct argp_option options[] = {
    {"grid", GRID, "KEY=V1,V2,...", 0, "Try each of these values of a key; may come often: all combinations",
     0},
    {"seeds", SEEDS, "N", 0, "Each combination with N seeds, from that of the configuration", 0},
    {"jobs", JOBS, "N", 0, "Trainings at once (1)", 0},
    {"threads", THREADS, "N", 0, "Threads of each (the CPUs divided by the jobs)", 0},
    {"out", OUT, "DIR", 0, "Where the folders go (out/ and the name of the configuration)", 0},
    {"set", SET, "KEY=VALUE", 0, "Replace a value of the configuration; may come often", 0},
    {"stop-metric", STOP_METRIC, "METRIC", 0, "What the best epoch is best in: --set stop_metric=METRIC", 0},
    {"patience", PATIENCE, "N", 0, "Epochs without a new best before training ends: --set patience=N", 0},
    {"metric", METRIC, "METRIC", 0,
     "What the table compares by (NDCG@10 of recommenders, else what the run stops by)", 0},
    {"baseline", BASELINE, "NAME|RANKS", 0, "What the table's gaps are to (the best)", 0},
    {"json", JSON, NULL, 0, "Print the table as JSON", 0},
    {0}};

static const char *assignment(arguments *a, const char *key, const char *value) {
  return moire__arena_printf(&a->arena, "%s=%s", key, value);
}

/* "KEY=V1,V2": commas within brackets do not separate, so that values may be lists. */
static void add_axis(arguments *a, const struct argp_state *state, const char *text) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text || !equals[1]) {
    argp_error(state, "--grid: wanted KEY=VALUE,VALUE,..., but '%s' came", text);
  }
  char *copy = moire__arena_copy_string(&a->arena, text);
  copy[equals - text] = 0;
  const char **values = moire__arena_array(&a->arena, strlen(text), sizeof *values);
  tool_axis *axis = &a->axes[a->n_axes++];
  *axis = (tool_axis){copy, values, 0};
  int depth = 0;
  char *begin = copy + (equals - text) + 1;
  for (char *c = begin;; c++) {
    depth += (*c == '[') - (*c == ']');
    bool ends = !*c, separates = *c == ',' && depth <= 0;
    if (!ends && !separates) continue;
    if (c == begin) argp_error(state, "--grid: '%s' has an empty value", text);
    *c = 0;
    values[axis->n++] = begin;
    begin = c + 1;
    if (ends) return;
  }
}

static void check_axes(const arguments *a, const struct argp_state *state) {
  int64_t runs = a->seeds;
  for (int i = 0; i < a->n_axes; i++) {
    for (int j = 0; j < i; j++) {
      if (!strcmp(a->axes[i].key, a->axes[j].key)) argp_error(state, "--grid: %s comes twice", a->axes[i].key);
    }
    if (a->seeds > 1 && !strcmp(a->axes[i].key, "seed")) argp_error(state, "--seeds and a grid of seeds");
    runs *= a->axes[i].n;
    if (runs > TOOL_MOST_RUNS) argp_error(state, "more than %d combinations", TOOL_MOST_RUNS);
  }
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case OUT: a->out = tool_path_argument(state, "--out", "a folder", text); return 0;
    case GRID: add_axis(a, state, text); return 0;
    case SET: a->assignments[a->n_assignments++] = text; return 0;
    case STOP_METRIC: a->assignments[a->n_assignments++] = assignment(a, "stop_metric", text); return 0;
    case PATIENCE: a->assignments[a->n_assignments++] = assignment(a, "patience", text); return 0;
    case SEEDS: a->seeds = (int)tool_int_argument(state, "--seeds", text, 1, TOOL_MOST_RUNS); return 0;
    case JOBS: a->jobs = (int)tool_int_argument(state, "--jobs", text, 1, 1024); return 0;
    case THREADS: a->threads = (int)tool_int_argument(state, "--threads", text, 1, 1024); return 0;
    case METRIC: a->table.metric = text; return 0;
    case BASELINE: a->table.baseline = text; return 0;
    case JSON: a->table.format = TOOL_RUNS_JSON; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->files; return 0;
    case ARGP_KEY_ARG:
      if (a->config) argp_error(state, "wanted one configuration, but '%s' came too", text);
      a->config = text;
      return 0;
    case ARGP_KEY_END:
      if (!a->config) argp_error(state, "wanted a configuration");
      check_axes(a, state);
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* Seeds are an axis like others, from the configuration's on. */
static moire_status add_seeds(arguments *a, moire_error *error) {
  moire__setup setup = {0};
  moire_status status = moire__setup_read_yaml(&setup, a->config, a->assignments, a->n_assignments, error);
  const char *first = status ? NULL : moire__config_table_text(&setup.table, "seed");
  int64_t seed = first ? strtoll(first, NULL, 10) : 42;
  moire__setup_free(&setup);
  if (status || a->seeds <= 1) return status;
  const char **values = moire__arena_array(&a->arena, (size_t)a->seeds, sizeof *values);
  for (int i = 0; i < a->seeds; i++) values[i] = moire__arena_printf(&a->arena, "%lld", (long long)(seed + i));
  a->axes[a->n_axes++] = (tool_axis){"seed", values, a->seeds};
  return MOIRE_OK;
}

/* A launcher's environment would make one team of all trainings. */
static moire_status check_alone(moire_error *error) {
  const char *library = moire__transport_wanted();
  if (!library) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "trains each combination by one process, but was started as one of several (%s): wanted no "
                    "mpirun, or MOIRE_MPI=off, with which the processes share the folder's combinations",
                    library);
}

int tool_sweep(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "CONFIG.yaml",
                                     "Trains every combination of the values of some keys, each in a folder of "
                                     "its own, and prints the table of "
                                     "`moire runs`. What is complete is not trained again and what was cut "
                                     "short continues, so the command can be "
                                     "repeated, and two of them may share a folder.",
                                     tool_data_arguments,
                                     NULL,
                                     NULL};
  arguments a = {.seeds = 1, .jobs = 1, .table = tool_runs_defaults()};
  a.assignments = moire__allocate_array((size_t)argc + 1, sizeof *a.assignments);
  a.axes = moire__allocate_array((size_t)argc + 2, sizeof *a.axes);
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  int cpus = tool_default_threads(), share = cpus / a.jobs > 1 ? cpus / a.jobs : 1;
  char *directory = tool_run_directory(a.out, a.config);
  moire_error error = {0};
  moire_status failed = check_alone(&error);
  if (!failed) failed = add_seeds(&a, &error);
  int status = failed ? tool_fail("sweep", &error) : 0;
  if (!failed) {
    tool_sweep_job sweep = {.command = "sweep",
                            .config = a.config,
                            .files = a.files,
                            .out = directory,
                            .assignments = a.assignments,
                            .n_assignments = a.n_assignments,
                            .axes = a.axes,
                            .n_axes = a.n_axes,
                            .jobs = a.jobs,
                            .threads = a.threads ? a.threads : share,
                            .table = a.table};
    status = tool_sweep_run(&sweep);
  }
  moire__release(directory);
  moire__release(a.assignments);
  moire__release(a.axes);
  moire__arena_free(&a.arena);
  return status;
}
