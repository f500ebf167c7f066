/* Random values for whatever a graph reads. */
#include "tests/support/pass_feed.h"

#include "runtime/base/philox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double tolerance = 1e-9; /* of the norm; the interpreter computes in double */

static const int64_t extents[MOIRE_MAX_EXTENTS + 1] = {
    0,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
    PASS_FEED_EXTENT,
};

static double draw(moire__random *random, moire_dtype dtype, bool positive) {
  if (dtype == MOIRE_BOOL) return (double)moire__random_below(random, 2);
  if (moire__dtype_is_int(dtype)) return (double)moire__random_below(random, 4);
  double u = moire__random_real(random);
  return positive ? 0.1 + 0.9 * u : 2 * u - 1;
}

static void add(moire__named_tensor *table, int *n, const char *name, moire_dtype dtype,
                const moire_shape *shape, bool positive) {
  if (moire__named_tensor_find(table, *n, name)) return;
  if (*n == PASS_FEED_MAX) {
    fprintf(stderr, "the graph reads more than %d tensors\n", PASS_FEED_MAX);
    exit(1);
  }
  moire__tensor *t = moire__tensor_create(dtype, shape, extents);
  moire__random random = moire__random_start(1, moire__hash_name(name));
  for (int64_t i = 0; i < t->elements; i++) {
    t->re[i] = draw(&random, dtype, positive);
    if (t->im) t->im[i] = draw(&random, dtype, positive);
  }
  table[(*n)++] = (moire__named_tensor){strdup(name), t};
}

void pass_feed_add(pass_feed *feed, const moire_graph *g) {
  for (int i = 0; i < g->n_nodes; i++) {
    const moire__node *node = &g->nodes[i];
    if (node->op != MOIRE__OP_input) continue;
    const char *name = moire__node_text(node, "name");
    const moire__value_info *info = &g->values[node->first_result];
    add(feed->inputs, &feed->n_inputs, name, info->dtype, &info->shape, strncmp(name, "adam.", 5) == 0);
  }
  for (int i = 0; i < g->n_states; i++) {
    const moire__state_info *state = &g->states[i];
    add(feed->states, &feed->n_states, state->name, state->dtype, &state->shape, true);
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
  moire__graph_feed run = {.extents = extents,
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
  static const char *const suffixes[] = {".re", ".im"};
  int n = 0;
  for (int i = 0; i < got->n_outputs; i++) {
    const char *name = got->outputs[i].name;
    n += compare_one(want->outputs, want->n_outputs, name, "", got->outputs[i].tensor, n_wrong);
    for (int s = 0; s < 2; s++) {
      size_t length = strlen(name);
      if (length > 3 && strcmp(name + length - 3, suffixes[s]) == 0)
        n += compare_one(want->outputs, want->n_outputs, name, suffixes[s], got->outputs[i].tensor, n_wrong);
    }
  }
  for (int i = 0; i < got->n_updates; i++)
    n += compare_one(want->updates, want->n_updates, got->updates[i].name, "", got->updates[i].tensor, n_wrong);
  return n;
}
