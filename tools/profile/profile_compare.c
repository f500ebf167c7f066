/* Two profiles side by side: what got faster and slower, beyond what is noise.
 *
 * Kernels are matched by name, the n-th of a name with the n-th. A median of n times whose median distance from
 * it is mad has a standard error of about 1.2533 * 1.4826 * mad / sqrt(n) (for times around a normal middle).
 * Two medians differ if they are more than 3 such errors of their difference apart, more than 1 % and 1 us, and
 * the least times went the same way: other programs make medians longer, never the least time shorter. */
#include "tools/profile/profile.h"

#include "runtime/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum verdict { FASTER, SLOWER, SAME, GONE, NEW } verdict;
static const char *const verdicts[] = {"faster", "slower", "same", "gone", "new"};

typedef struct pair {
  const char *name;
  const json_t *a, *b;         /* NULL: not there */
  double before, after, error; /* ns of a call */
  verdict verdict;
} pair;

static double number(const json_t *object, const char *key) {
  return json_number_value(json_object_get(object, key));
}

static const char *name_of(const json_t *kernel) {
  const char *name = json_string_value(json_object_get(kernel, "name"));
  return name ? name : "?";
}

static double standard_error(const json_t *times, double n) {
  return n > 0 ? 1.2533 * 1.4826 * number(times, "mad_ns") / sqrt(n) : 0;
}

/* `n`: how often each was measured. */
static pair judge(const char *name, const json_t *a, double n_a, const json_t *b, double n_b) {
  pair p = {.name = name, .a = a, .b = b, .before = number(a, "median_ns"), .after = number(b, "median_ns")};
  p.error = hypot(standard_error(a, n_a), standard_error(b, n_b));
  double change = p.after - p.before, least = number(b, "min_ns") - number(a, "min_ns");
  bool clear = fabs(change) > 3 * p.error && fabs(change) > 0.01 * p.before && fabs(change) > 1000;
  p.verdict = !a                                      ? NEW
              : !b                                    ? GONE
              : !clear || (change < 0) != (least < 0) ? SAME
              : change < 0                            ? FASTER
                                                      : SLOWER;
  return p;
}

/* The kernel of b that stands for kernel i of a: the one with as many of its name before it. NULL: none. */
static const json_t *match(const json_t *from, size_t i, const json_t *in) {
  const char *name = name_of(json_array_get(from, i));
  int before = 0;
  for (size_t j = 0; j < i; j++) before += !strcmp(name_of(json_array_get(from, j)), name);
  size_t j;
  json_t *kernel;
  json_array_foreach(in, j, kernel) {
    if (!strcmp(name_of(kernel), name) && before-- == 0) return kernel;
  }
  return NULL;
}

static int by_change(const void *x, const void *y) {
  const pair *a = x, *b = y;
  double p = fabs(a->after - a->before), q = fabs(b->after - b->before);
  return (p < q) - (p > q);
}

/* All kernels of both, the largest change first. Owned (moire__release). */
static pair *pairs_of(const json_t *a, const json_t *b, size_t *n) {
  const json_t *from = json_object_get(a, "kernels"), *to = json_object_get(b, "kernels");
  pair *pairs = moire__allocate_array(json_array_size(from) + json_array_size(to) + 1, sizeof *pairs);
  *n = 0;
  for (size_t i = 0; i < json_array_size(from); i++) {
    const json_t *kernel = json_array_get(from, i), *other = match(from, i, to);
    pairs[(*n)++] = judge(name_of(kernel), kernel, number(kernel, "calls"), other, number(other, "calls"));
  }
  for (size_t i = 0; i < json_array_size(to); i++) {
    const json_t *kernel = json_array_get(to, i);
    if (!match(to, i, from)) pairs[(*n)++] = judge(name_of(kernel), NULL, 0, kernel, number(kernel, "calls"));
  }
  qsort(pairs, *n, sizeof *pairs, by_change);
  return pairs;
}

static void print_pair(const pair *p, FILE *to) {
  char change[32] = "";
  if (p->a && p->b && p->before > 0)
    snprintf(change, sizeof change, "%+.1f%%", 100 * (p->after / p->before - 1));
  fprintf(to, "%11.1f %11.1f %9s %8.1f  %-6s  %s\n", 1e-3 * p->before, 1e-3 * p->after, change, 1e-3 * p->error,
          verdicts[p->verdict], p->name);
}

static pair whole_step(const json_t *a, const json_t *b) {
  const json_t *x = json_object_get(json_object_get(a, "time"), "step");
  const json_t *y = json_object_get(json_object_get(b, "time"), "step");
  return judge("the whole step", x, number(a, "steps"), y, number(b, "steps"));
}

static void say_differences(const json_t *a, const json_t *b, FILE *to) {
  static const char *const members[] = {"model", "mode", "target", "batch", "threads", "moire"};
  for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
    const json_t *x = json_object_get(a, members[i]), *y = json_object_get(b, members[i]);
    if (!json_equal(x, y)) fprintf(to, "note: the two differ in \"%s\"\n", members[i]);
  }
}

void tool_profile_print_comparison(const json_t *a, const json_t *b, bool all, FILE *to) {
  size_t n = 0, same = 0;
  pair *pairs = pairs_of(a, b, &n), step = whole_step(a, b);
  say_differences(a, b, to);
  fprintf(to, "%11s %11s %9s %8s  %-6s  %s\n", "before us", "after us", "change", "error", "", "kernel");
  print_pair(&step, to);
  for (size_t i = 0; i < n; i++) {
    if (all || pairs[i].verdict != SAME) print_pair(&pairs[i], to);
    same += pairs[i].verdict == SAME;
  }
  fprintf(to, "%zu of %zu kernels differ by no more than noise%s\n", same, n,
          all || !same ? "" : " (--all shows them)");
  moire__release(pairs);
}

static json_t *pair_json(const pair *p) {
  return json_pack("{s:s, s:s, s:f, s:f, s:f}", "name", p->name, "verdict", verdicts[p->verdict], "before_ns",
                   p->before, "after_ns", p->after, "error_ns", p->error);
}

json_t *tool_profile_comparison(const json_t *a, const json_t *b) {
  size_t n = 0;
  pair *pairs = pairs_of(a, b, &n), step = whole_step(a, b);
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++) json_array_append_new(list, pair_json(&pairs[i]));
  moire__release(pairs);
  return json_pack("{s:o, s:o}", "step", pair_json(&step), "kernels", list);
}
