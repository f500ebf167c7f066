/* moire peaks: what this machine can do at most. */
#include "compiler/profile/document.h"
#include "tools/tool.h"

#include "runtime/base/memory.h"
#include "runtime/machine/peaks.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct arguments {
  int threads;
  bool again, json;
} arguments;

enum { THREADS = 0x100, AGAIN, JSON };

static const struct argp_option options[] = {
    {"threads", THREADS, "N", 0, "Threads that work together (all CPUs)", 0},
    {"measure", AGAIN, NULL, 0, "Measure again, whatever the file says", 0},
    {"json", JSON, NULL, 0, "JSON instead of the table: rates a second, of one thread and of all", 0},
    {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case THREADS: a->threads = (int)tool_int_argument(state, "--threads", text, 1, 1024); return 0;
    case AGAIN: a->again = true; return 0;
    case JSON: a->json = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static void print_table(const moire__peaks *p) {
  printf("%s, %d thread%s\n\n", p->cpu, p->threads, p->threads == 1 ? "" : "s");
  printf("%-28s %12s %12s\n", "", "one thread", "all");
  printf("%-12s %-15s %12.1f %12.1f  GFLOP/s\n", "float32", p->fma_unit, 1e-9 * p->fma.one, 1e-9 * p->fma.all);
  if (p->matrix_unit[0])
    printf("%-12s %-15s %12.1f %12.1f  GFLOP/s\n", "bf16 dot", p->matrix_unit, 1e-9 * p->matrix.one,
           1e-9 * p->matrix.all);
  for (int i = 0; i < p->n_levels; i++) {
    const moire__peak_level *l = &p->levels[i];
    char size[32] = "";
    if (l->bytes >= 1 << 20)
      snprintf(size, sizeof size, "%lld MiB", (long long)(l->bytes >> 20));
    else if (l->bytes)
      snprintf(size, sizeof size, "%lld KiB", (long long)(l->bytes >> 10));
    printf("read %-7s %-15s %12.1f %12.1f  GB/s\n", l->name, size, 1e-9 * l->read.one, 1e-9 * l->read.all);
  }
}

static void print_json(const moire__peaks *p) {
  json_t *root = moire__peaks_json(p);
  json_dumpf(root, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(root);
}

int tool_peaks(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     NULL,
                                     "Prints this machine's peaks: float32 multiply-adds, dot products of bf16 "
                                     "where it has an instruction for "
                                     "them, and reading from each cache and from memory; for one thread and "
                                     "for all. They are measured once and "
                                     "kept in $XDG_CACHE_HOME/moire/peaks.json (~/.cache without it), for each "
                                     "processor and number of threads.",
                                     NULL,
                                     NULL,
                                     NULL};
  arguments a = {.threads = tool_default_threads()};
  int first = 0;
  argp_parse(&parser, argc, argv, 0, &first, &a);
  if (first < argc) return tool_refuse("peaks", "takes no argument, but '%s' came", argv[first]);
  moire__peaks peaks;
  moire_error error = {0};
  bool measured = false;
  moire_status status = moire__peaks_get(a.threads, a.again, &peaks, &measured, &error);
  if (peaks.n_levels && a.json) print_json(&peaks);
  if (peaks.n_levels && !a.json) print_table(&peaks);
  if (peaks.n_levels && peaks.busy)
    fprintf(stderr, "moire peaks: the machine was busy, so figures may be too low; --measure tries again\n");
  return status ? tool_fail("peaks", &error) : 0;
}
