/* What a terminal shows of a profile: kernels by time, then time by line of the model, by scope and by
 * operation. */
#include "tools/profile/profile.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"

#include <stdlib.h>
#include <string.h>

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

/* How many of the rows are worth a line: those that make 95 % of what all of them take. */
static size_t worth_showing(const json_t *const *rows, size_t n, bool all) {
  double sum = 0, shown = 0;
  size_t i = 0;
  for (size_t j = 0; j < n; j++) sum += number(rows[j], "total_ns");
  while (i < n && (all || shown < 0.95 * sum)) shown += number(rows[i++], "total_ns");
  return i;
}

static void say_rest(const json_t *const *rows, size_t shown, size_t n, FILE *to) {
  double share = 0;
  for (size_t i = shown; i < n; i++) share += number(rows[i], "share");
  if (shown < n) fprintf(to, "and %zu more, %.1f %% together (--all shows them)\n", n - shown, 100 * share);
}

static void print_counters(const json_t *counters, FILE *to) {
  const char *name;
  json_t *value;
  const char *before = "a step counts";
  json_object_foreach((json_t *)(uintptr_t)counters, name, value) {
    fprintf(to, "%s %.3g %s", before, json_number_value(value), name);
    before = ",";
  }
  if (json_object_size(counters)) fprintf(to, "\n");
}

static void print_head(const json_t *profile, FILE *to) {
  const json_t *time = json_object_get(profile, "time"), *step = json_object_get(time, "step");
  const json_t *outside = json_object_get(time, "outside");
  double wall = number(step, "total_ns"), percent = wall > 0 ? 100 / wall : 0;
  fprintf(to, "%s, %s: %.0f steps of %.0f on %.0f threads, %s\n", string(profile, "model"),
          string(profile, "mode"), number(profile, "steps"), number(profile, "batch"),
          number(profile, "threads"), string(profile, "target"));
  fprintf(to, "a step: median %.3f ms, +- %.3f, least %.3f\n", number(step, "median_ns") * 1e-6,
          number(step, "mad_ns") * 1e-6, number(step, "min_ns") * 1e-6);
  fprintf(to,
          "%.1f %% in kernels, %.1f %% making batches, %.1f %% binding and packing, %.1f %% copying states\n",
          percent * number(time, "kernels_ns"), percent * number(outside, "batch_ns"),
          percent * number(outside, "prepare_ns"), percent * number(outside, "updates_ns"));
  const json_t *packing = json_object_get(profile, "packing");
  if (packing) {
    fprintf(to, "%.0f of %.0f positions are computed, the rest is padding\n", number(packing, "tokens"),
            number(packing, "positions"));
  }
  size_t i;
  json_t *remark;
  json_array_foreach(json_object_get(profile, "remarks"), i, remark)
      fprintf(to, "%s\n", json_string_value(remark));
  print_counters(json_object_get(profile, "counters"), to);
  fprintf(to, "\n");
}

/* "qia.c:40 seq.c:77": the lines that take most of it. */
static void add_lines(const json_t *kernel, moire__text *out) {
  enum { MOST = 3 };
  const json_t *lines = json_object_get(kernel, "lines");
  double below = 2;
  for (int i = 0; i < MOST; i++) {
    const json_t *best = NULL, *line;
    size_t j;
    json_array_foreach(lines, j, line) {
      double share = number(line, "share");
      if (share < below && share > 0.05 && (!best || share > number(best, "share"))) best = line;
    }
    if (!best) return;
    const char *file = string(best, "file"), *slash = strrchr(file, '/');
    char name[80];
    snprintf(name, sizeof name, "%.60s:%.0f", slash ? slash + 1 : file, number(best, "line"));
    bool said = strstr(moire__text_string(out), name) != NULL; /* in another direction */
    if (!said) moire__text_add(out, "%s%s", i ? " " : "", name);
    below = number(best, "share");
  }
}

/* More than the machine can do by its peaks. */
static bool exceeds(const json_t *k) {
  return json_is_true(json_object_get(json_object_get(k, "roofline"), "exceeds"));
}

static void print_kernel(const json_t *k, FILE *to) {
  const json_t *bytes = json_object_get(k, "bytes"), *roofline = json_object_get(k, "roofline");
  moire__text lines = {0}, roof = {0};
  add_lines(k, &lines);
  if (roofline)
    moire__text_add(&roof, "%.0f%%%s %.6s", 100 * number(roofline, "share"), exceeds(k) ? "!" : "",
                    string(roofline, "bound"));
  fprintf(to, "%6.0f %9.1f %9.2f %5.1f%% %8.2f %8.2f %8.2f %7.1f %6.1f %7.2f  %-11s %4.2f  %-48s %s\n",
          number(k, "calls"), number(k, "median_ns") * 1e-3, number(k, "total_ns") * 1e-6,
          100 * number(k, "share"), number(k, "flop") * 1e-6, number(bytes, "memory") * 1e-6,
          number(bytes, "cache") * 1e-6, number(k, "gflops"), number(k, "gbps"), number(k, "intensity"),
          moire__text_string(&roof), number(k, "balance"), string(k, "name"), moire__text_string(&lines));
  moire__text_free(&lines);
  moire__text_free(&roof);
}

static void print_kernels(const json_t *profile, bool all, FILE *to) {
  size_t n = 0;
  const json_t **rows = sorted(json_object_get(profile, "kernels"), &n);
  size_t shown = worth_showing(rows, n, all);
  fprintf(to, "%6s %9s %9s %6s %8s %8s %8s %7s %6s %7s  %-11s %4s  %-48s %s\n", "calls", "median us",
          "total ms", "share", "MFLOP", "MB mem", "MB cache", "GFLOP/s", "GB/s", "FLOP/B", "of roofline",
          "bal.", "kernel", "lines");
  bool above = false;
  for (size_t i = 0; i < shown; i++) {
    print_kernel(rows[i], to);
    above = above || exceeds(rows[i]);
  }
  say_rest(rows, shown, n, to);
  if (above)
    fprintf(to,
            "! above the roof: what was counted lay nearer than assumed, or the peaks (moire peaks) are too "
            "low\n");
  moire__release(rows);
}

/* One of the tables of totals; `name` of its rows is written by `label`. */
static void print_totals(const json_t *profile, const char *table, const char *title, bool all, FILE *to) {
  size_t n = 0;
  const json_t **rows = sorted(json_object_get(profile, table), &n);
  size_t shown = worth_showing(rows, n, all);
  fprintf(to, "\n%9s %6s %9s %9s %9s  %s\n", "total ms", "share", "forward", "backward", "optimizer", title);
  for (size_t i = 0; i < shown; i++) {
    const json_t *r = rows[i];
    fprintf(to, "%9.2f %5.1f%% %9.2f %9.2f %9.2f  ", number(r, "total_ns") * 1e-6, 100 * number(r, "share"),
            number(r, "forward_ns") * 1e-6, number(r, "backward_ns") * 1e-6, number(r, "optimizer_ns") * 1e-6);
    if (json_object_get(r, "file")) {
      fprintf(to, "%s:%.0f\n", string(r, "file"), number(r, "line"));
    } else {
      const char *name = json_object_get(r, "scope") ? string(r, "scope") : string(r, "operation");
      fprintf(to, "%s\n", name[0] ? name : "(no scope)");
    }
  }
  say_rest(rows, shown, n, to);
  moire__release(rows);
}

void tool_profile_print(const json_t *profile, bool all, FILE *to) {
  print_head(profile, to);
  print_kernels(profile, all, to);
  print_totals(profile, "lines", "line of the model", all, to);
  print_totals(profile, "scopes", "scope", all, to);
  print_totals(profile, "operations", "operation", all, to);
}
