/* What a terminal shows of a profile. */
#include "tools/profile.h"

#include "runtime/base/memory.h"

#include <stdlib.h>

static double number(const json_t *object, const char *key) {
  return json_number_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static int by_time(const void *a, const void *b) {
  double x = number(*(const json_t *const *)a, "total_ns"), y = number(*(const json_t *const *)b, "total_ns");
  return (x < y) - (x > y);
}

/* The members of an array, the most expensive first. Owned (moire__release). */
static const json_t **sorted(const json_t *list, size_t *n) {
  *n = json_array_size(list);
  const json_t **rows = moire__allocate_array(*n + 1, sizeof *rows);
  for (size_t i = 0; i < *n; i++) rows[i] = json_array_get(list, i);
  qsort(rows, *n, sizeof *rows, by_time);
  return rows;
}

static void print_head(const json_t *profile, FILE *to) {
  const json_t *time = json_object_get(profile, "time"), *step = json_object_get(time, "step");
  double wall = number(step, "total_ns");
  fprintf(to, "%s, %s: %.0f steps of %.0f on %.0f threads, %s\n", string(profile, "model"),
          string(profile, "mode"), number(profile, "steps"), number(profile, "batch"),
          number(profile, "threads"), string(profile, "target"));
  fprintf(to, "a step: median %.3f ms (+- %.3f), kernels %.1f %% of it\n\n", number(step, "median_ns") * 1e-6,
          number(step, "mad_ns") * 1e-6, wall > 0 ? 100 * number(time, "kernels_ns") / wall : 0);
}

void tool_profile_print(const json_t *profile, FILE *to) {
  print_head(profile, to);
  size_t n = 0;
  const json_t **rows = sorted(json_object_get(profile, "kernels"), &n);
  fprintf(to, "%10s %10s %6s %7s  %s\n", "median us", "total ms", "share", "balance", "kernel");
  for (size_t i = 0; i < n; i++) {
    fprintf(to, "%10.1f %10.3f %5.1f%% %7.2f  %s\n", number(rows[i], "median_ns") * 1e-3,
            number(rows[i], "total_ns") * 1e-6, 100 * number(rows[i], "share"), number(rows[i], "balance"),
            string(rows[i], "name"));
  }
  moire__release(rows);
}
