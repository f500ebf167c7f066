/* Random values for whatever a graph reads. */
#include "tests/support/pass_feed.h"

#include "compiler/ir/packing.h"
#include "runtime/base/packing.h"
#include "runtime/base/philox.h"
#include "runtime/base/planes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double tolerance = 1e-9; /* of the norm; the interpreter computes in double */

typedef struct sizes {
  int64_t extents[MOIRE_MAX_EXTENTS + 1];
} sizes;

/* Which tokens a feed has. The caller frees. */
typedef struct packing {
  moire__graph_packing of;
  int64_t n;    /* T */
  int32_t *all; /* tokens, slots, ends (one for each position), last, starts, counts (for each sample) */
  uint8_t *valid;
  moire__packing arrays;
} packing;

static moire__tensor *input_of(const pass_feed *feed, const moire_graph *g, int32_t value) {
  if (!value) return NULL;
  return moire__named_tensor_find(feed->inputs, feed->n_inputs,
                                  moire__node_text(moire__node_of(g, value), "name"));
}

static int32_t *integers(const moire__tensor *t) {
  if (!t) return NULL;
  int32_t *all = malloc(((size_t)t->elements + 1) * sizeof *all);
  if (!all) abort();
  for (int64_t i = 0; i < t->elements; i++) all[i] = (int32_t)t->re[i];
  return all;
}

/* What the graph is packed by; extent 0: it is not. */
static moire__graph_packing packing_of(const moire_graph *g) {
  moire__graph_packing found;
  moire_error error = {0};
  if (moire__graph_find_packing(g, &found, &error) == MOIRE_OK) return found;
  fprintf(stderr, "%s\n", error.message);
  exit(1);
}

static packing find_packing(const pass_feed *feed, const moire_graph *g) {
  packing p = {.of = packing_of(g)};
  const moire__tensor *ids = input_of(feed, g, p.of.ids), *lengths = input_of(feed, g, p.of.lengths),
                      *targets = input_of(feed, g, p.of.targets);
  const moire__tensor *first = ids ? ids : lengths ? lengths : targets;
  size_t samples = (size_t)first->dims[0], n = samples * (size_t)p.of.length;
  int32_t *rows = integers(ids), *row_lengths = integers(lengths), *row_targets = integers(targets);
  p.all = malloc((3 * n + 3 * samples + 1) * sizeof *p.all);
  p.valid = malloc(n + 1);
  if (!p.all || !p.valid) abort();
  int32_t *by_sample = p.all + 3 * n;
  p.arrays = (moire__packing){.tokens = p.all,
                              .slots = p.all + n,
                              .ends = p.all + 2 * n,
                              .last = by_sample,
                              .starts = by_sample + samples,
                              .counts = by_sample + 2 * samples,
                              .valid = p.valid};
  const moire__packing_rows how = {row_lengths, row_targets, (int32_t)p.of.ignored, p.of.block};
  p.n = ids ? moire__packing_find(rows, false, (int64_t)samples, p.of.length, &p.arrays)
            : moire__packing_find_rows(&how, (int64_t)samples, p.of.length, &p.arrays);
  free(rows);
  free(row_lengths);
  free(row_targets);
  return p;
}

static void free_packing(packing *p) {
  free(p->all);
  free(p->valid);
}

static sizes sizes_of(const pass_feed *feed, const moire_graph *g) {
  sizes s = {{0}};
  for (int i = 1; i <= MOIRE_MAX_EXTENTS; i++) s.extents[i] = PASS_FEED_EXTENT;
  for (int i = 1; i <= g->n_extents; i++) {
    for (int f = 0; f < feed->n_fixed; f++)
      if (!strcmp(g->extents[i], feed->fixed[f].name)) s.extents[i] = feed->fixed[f].size;
  }
  if (!packing_of(g).extent) return s;
  packing p = find_packing(feed, g);
  s.extents[p.of.extent] = p.n / p.of.block;
  free_packing(&p);
  return s;
}

static double draw(moire__random *random, moire_dtype dtype, bool positive) {
  if (dtype == MOIRE_BOOL) return (double)moire__random_below(random, 2);
  if (moire__dtype_is_int(dtype)) return (double)moire__random_below(random, 4);
  double u = moire__random_real(random);
  return positive ? 0.1 + 0.9 * u : 2 * u - 1;
}

static void add(moire__named_tensor *table, int *n, const char *name, moire_dtype dtype,
                const moire_shape *shape, const sizes *size, bool positive) {
  if (moire__named_tensor_find(table, *n, name)) return;
  if (*n == PASS_FEED_MAX) {
    fprintf(stderr, "the graph reads more than %d tensors\n", PASS_FEED_MAX);
    exit(1);
  }
  moire__tensor *t = moire__tensor_create(dtype, shape, size->extents);
  moire__random random = moire__random_start(1, moire__hash_name(name));
  for (int64_t i = 0; i < t->elements; i++) {
    t->re[i] = draw(&random, dtype, positive);
    if (t->im) t->im[i] = draw(&random, dtype, positive);
  }
  table[(*n)++] = (moire__named_tensor){strdup(name), t};
  for (int plane = 0; plane < 2 && t->im; plane++) {
    char plane_name[300];
    snprintf(plane_name, sizeof plane_name, "%s%s", name, moire__plane_suffix(plane));
    add(table, n, plane_name, MOIRE_F32, shape, size, positive);
    moire__tensor *to = moire__named_tensor_find(table, *n, plane_name);
    if (to->elements) memcpy(to->re, plane ? t->im : t->re, (size_t)to->elements * sizeof *to->re);
  }
}

/* What the runtime computes for a packed graph (moire_plan_packing), in place of random numbers. */
static void fill_packed(pass_feed *feed, const moire_graph *g) {
  packing p = find_packing(feed, g);
  const struct {
    const char *suffix;
    const int32_t *from;
  } arrays[] = {{"tokens", p.arrays.tokens},
                {"slots", p.arrays.slots},
                {"ends", p.arrays.ends},
                {"last", p.arrays.last},
                {"starts", p.arrays.starts},
                {"counts", p.arrays.counts},
                {"valid", NULL}};
  for (size_t a = 0; a < sizeof arrays / sizeof *arrays; a++) {
    char name[300];
    snprintf(name, sizeof name, "%s.%s", p.of.name, arrays[a].suffix);
    moire__tensor *t = moire__named_tensor_find(feed->inputs, feed->n_inputs, name);
    for (int64_t i = 0; t && i < t->elements; i++)
      t->re[i] = arrays[a].from ? arrays[a].from[i] : p.arrays.valid[i];
  }
  free_packing(&p);
}

static void add_input(pass_feed *feed, const moire_graph *g, const char *name, const sizes *size) {
  const moire__value_info *info = &g->values[moire__graph_find_input(g, name)];
  add(feed->inputs, &feed->n_inputs, name, info->dtype, &info->shape, size,
      strncmp(name, "optimizer.", 10) == 0);
}

void pass_feed_add(pass_feed *feed, const moire_graph *g) {
  sizes size = {{0}};
  for (int i = 1; i <= MOIRE_MAX_EXTENTS; i++) size.extents[i] = PASS_FEED_EXTENT;
  const moire__graph_packing packed = packing_of(g);
  const int32_t by[] = {packed.ids, packed.lengths, packed.targets};
  for (int i = 0; i < 3; i++) {
    if (by[i]) add_input(feed, g, moire__node_text(moire__node_of(g, by[i]), "name"), &size);
  }
  size = sizes_of(feed, g);
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->op != MOIRE__OP_input) continue;
    add_input(feed, g, moire__node_text(node, "name"), &size);
  }
  if (packed.extent) fill_packed(feed, g);
  for (int i = 0; i < g->n_states; i++) {
    const moire__state_info *state = &g->states[i];
    add(feed->states, &feed->n_states, state->name, state->dtype, &state->shape, &size, true);
  }
}

static void release(moire__named_tensor *table, int n) {
  for (int i = 0; i < n; i++) {
    free((char *)table[i].name);
    moire__tensor_destroy(table[i].tensor);
  }
}

void pass_feed_release(pass_feed *feed) {
  release(feed->inputs, feed->n_inputs);
  release(feed->states, feed->n_states);
  *feed = (pass_feed){0};
}

moire__graph_results pass_feed_run(const pass_feed *feed, const moire_graph *g, const char *only) {
  const char *const names[] = {only};
  sizes size = sizes_of(feed, g);
  moire__graph_feed run = {.extents = size.extents,
                           .inputs = feed->inputs,
                           .n_inputs = feed->n_inputs,
                           .states = feed->states,
                           .n_states = feed->n_states,
                           .only = only ? names : NULL,
                           .n_only = only ? 1 : 0};
  moire__graph_results results = {0};
  moire_error error = {0};
  if (moire__graph_interpret(g, &run, &results, &error) != MOIRE_OK) {
    fprintf(stderr, "the interpreter: %s\n", error.message);
    exit(1);
  }
  return results;
}

static bool planes_equal(const double *want, const double *got, int64_t n) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    if (want[i] == got[i] || (isnan(want[i]) && isnan(got[i]))) continue;
    difference += (want[i] - got[i]) * (want[i] - got[i]);
    norm += want[i] * want[i];
  }
  return difference == 0 || sqrt(difference) <= tolerance * (1 + sqrt(norm));
}

/* Compares with the tensor of that name, plane `suffix` of it if that is not "". */
static int compare_one(const moire__named_tensor *table, int n, const char *name, const char *suffix,
                       const moire__tensor *got, int *n_wrong) {
  char plain[300];
  snprintf(plain, sizeof plain, "%.*s", (int)(strlen(name) - strlen(suffix)), name);
  const moire__tensor *want = moire__named_tensor_find(table, n, plain);
  if (!want || (suffix[0] && !want->im)) return 0;
  bool equal = want->elements == got->elements;
  if (equal && !suffix[0]) {
    equal = planes_equal(want->re, got->re, got->elements) && !want->im == !got->im;
    if (equal && want->im) equal = planes_equal(want->im, got->im, got->elements);
  } else if (equal) {
    equal = planes_equal(suffix[1] == 'r' ? want->re : want->im, got->re, got->elements);
  }
  if (!equal) {
    (*n_wrong)++;
    fprintf(stderr, "%s differs\n", name);
  }
  return 1;
}

int pass_feed_compare(const moire__graph_results *want, const moire__graph_results *got, int *n_wrong) {
  int n = 0;
  for (int i = 0; i < got->n_outputs; i++) {
    const char *name = got->outputs[i].name;
    n += compare_one(want->outputs, want->n_outputs, name, "", got->outputs[i].tensor, n_wrong);
    for (int plane = 0; plane < 2; plane++) {
      const char *suffix = moire__plane_suffix(plane);
      size_t length = strlen(name), end = strlen(suffix);
      if (length > end && strcmp(name + length - end, suffix) == 0)
        n += compare_one(want->outputs, want->n_outputs, name, suffix, got->outputs[i].tensor, n_wrong);
    }
  }
  for (int i = 0; i < got->n_updates; i++)
    n += compare_one(want->updates, want->n_updates, got->updates[i].name, "", got->updates[i].tensor, n_wrong);
  return n;
}
