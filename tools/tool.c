/* What the subcommands share: arguments, failures, results. */
#include "tools/tool.h"

#include "runtime/base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arguments --------------------------------------------------------------------------------------------
 */

int64_t tool_int_argument(const struct argp_state *state, const char *option, const char *text, int64_t low,
                          int64_t high) {
  char *end = NULL;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (end == text || *end || errno || value < low || value > high) {
    argp_error(state, "%s: wanted a whole number from %" PRId64 " to %" PRId64 ", but '%s' came", option, low,
               high, text);
  }
  return value;
}

const char *tool_path_argument(const struct argp_state *state, const char *option, const char *what,
                               const char *text) {
  if (!*text) argp_error(state, "%s: wanted %s, but an empty name came", option, what);
  return text;
}

const char *tool_format_argument(const struct argp_state *state, const char *text) {
  if (strcmp(text, "auto") != 0 && strcmp(text, "users") != 0 && strcmp(text, "interactions") != 0)
    argp_error(state, "--format: wanted auto, users or interactions, but '%s' came", text);
  return text;
}

const char *tool_precision_argument(const struct argp_state *state, const char *text) {
  if (strcmp(text, "f32") != 0 && strcmp(text, "bf16") != 0 && strcmp(text, "int8") != 0)
    argp_error(state, "--precision: wanted f32, bf16 or int8, but '%s' came", text);
  return text;
}

const char **tool_names_argument(const struct argp_state *state, const char *option, char *text, int *n) {
  const char **names = moire__allocate_array(strlen(text) + 1, sizeof *names);
  char *rest = NULL;
  *n = 0;
  for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) names[(*n)++] = word;
  if (!*n) argp_error(state, "%s: wanted names, separated by commas", option);
  return names;
}

double tool_real_argument(const struct argp_state *state, const char *option, const char *text, double low,
                          double high) {
  char *end = NULL;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= low && value <= high)) {
    argp_error(state, "%s: wanted a number from %g to %g, but '%s' came", option, low, high, text);
  }
  return value;
}

int tool_default_threads(void) {
  cpu_set_t set;
  int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
  return n < 1 ? 1 : n > 1024 ? 1024 : n;
}

/* ---- Failures ---------------------------------------------------------------------------------------------
 */

int tool_fail(const char *name, const moire_error *error) {
  fprintf(stderr, "moire %s: %s\n", name, error->message);
  return TOOL_FAILURE;
}

int tool_refuse(const char *name, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "moire %s: ", name);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  return TOOL_USAGE;
}

/* ---- Models ------------------------------------------------------------------------------------------------
 */

char *tool_run_directory(const char *out_option, const char *config) {
  const char *name = strrchr(config, '/') ? strrchr(config, '/') + 1 : config;
  const char *dot = strrchr(name, '.');
  moire__text out = {0};
  if (out_option)
    moire__text_add(&out, "%s", out_option);
  else
    moire__text_add(&out, "out/%.*s", (int)(dot && dot > name ? dot - name : (ptrdiff_t)strlen(name)), name);
  return out.data;
}

int tool_ask(const char *command, const moire__sources *sources, tool_question *ask, const void *job) {
  moire__predictor predictor = {0};
  moire_error error = {0};
  moire_status status = moire__predictor_open(&predictor, sources, &error);
  if (!status) status = ask(&predictor, job, &error);
  moire__predictor_free(&predictor);
  return status ? tool_fail(command, &error) : 0;
}

/* ---- Results ----------------------------------------------------------------------------------------------
 */

void tool_print_measures(FILE *out, const char *const *names, const moire__measures *columns, int n) {
  fprintf(out, "%-14s", "");
  for (int j = 0; j < n; j++) fprintf(out, " %12s", names[j]);
  fprintf(out, "\n");
  for (int i = 0; i < columns[0].n; i++) {
    fprintf(out, "%-14s", columns[0].at[i].name);
    for (int j = 0; j < n; j++) fprintf(out, " %12.4f", columns[j].at[i].value);
    fprintf(out, "\n");
  }
}
