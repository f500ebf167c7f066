/* Running graph passes. The graph that comes in is verified as well, since it may have been read from text. */
#include "compiler/driver/manager.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Index of the last row to run, -1 with a sentence if there is no pass `until`. */
static int last_row(const moire__pass_row *rows, int n, const char *until, moire_error *error) {
  if (!until) return n - 1;
  for (int i = n - 1; i >= 0; i--) {
    if (strcmp(rows[i].name, until) == 0) return i;
  }
  moire__text names = {0};
  for (int i = 0; i < n; i++) {
    bool seen = false;
    for (int j = 0; j < i; j++) seen = seen || strcmp(rows[j].name, rows[i].name) == 0;
    if (!seen) moire__text_add(&names, "%s%s", i ? ", " : "", rows[i].name);
  }
  moire_fail(error, MOIRE_ERROR_ARGUMENT, "there is no pass %s; the passes are: %s", until,
             moire__text_string(&names));
  moire__text_free(&names);
  return -1;
}

static void report_broken(const char *pass, const moire_graph *before, const char *cause, moire_error *error) {
  char *text = moire_graph_print(before);
  fprintf(stderr, "The last good graph, before pass %s:\n%s", pass, text);
  free(text);
  moire_fail(error, MOIRE_ERROR_INTERNAL, "pass %s has made a graph that is broken: %s", pass, cause);
}

/* Is the row one of the optimizations that the goal turns off? */
static bool is_off(const moire__pass_row *row, const moire__goal *goal) {
  for (int i = 0; i < MOIRE_OPTIMIZATION_COUNT; i++) {
    bool named =
        i != MOIRE_OPTIMIZATION_fuse && strcmp(row->name, moire_optimization_name((moire_optimization)i)) == 0;
    if (named && goal->off >> i & 1) return true;
  }
  return false;
}

static moire_graph *run_row(const moire__pass_row *row, const moire_graph *before, const moire__goal *goal,
                            const moire__dump *dump, moire_error *error) {
  double start = seconds_now();
  moire_graph *after = row->run(before, goal, error);
  if (!after) return NULL;
  double seconds = seconds_now() - start;
  moire_error cause = {0};
  if (moire__graph_verify(after, &cause) != MOIRE_OK) {
    report_broken(row->name, before, cause.message, error);
    moire_graph_destroy(after);
    return NULL;
  }
  if (dump && dump->time) dump->time(dump->context, row->name, seconds, after->n_nodes);
  if (dump && dump->graph && (!dump->after || strcmp(dump->after, row->name) == 0))
    dump->graph(dump->context, row->name, after);
  return after;
}

moire_graph *moire__manager_run(const moire__pass_row *rows, int n, const moire_graph *model,
                                const moire__goal *goal, const char *until, const moire__dump *dump,
                                moire_error *error) {
  if (moire_graph_status(model, error) != MOIRE_OK || moire__graph_verify(model, error) != MOIRE_OK)
    return NULL;
  int last = last_row(rows, n, until, error);
  const moire_graph *before = model;
  moire_graph *now = NULL;
  for (int i = 0; i <= last; i++) {
    if (is_off(&rows[i], goal)) continue;
    moire_graph *next = run_row(&rows[i], before, goal, dump, error);
    moire_graph_destroy(now);
    if (!next) return NULL;
    before = now = next;
  }
  return now;
}
