/* divide: a step of training in two programs, of which the first runs for a part of the batch.
 *
 * What a step sums over its samples is made part by part, and added up outside; what it then does to the states
 * reads the whole sums. With goal->part
 *
 *   WHOLE   nothing changes, nor with CATCH_UP
 *   SUMS    outputs, gradients and "group.sum.<i>", the sums over the batch that updates of the model's own
 * read, in the order of their nodes; no update. Random values are those of the part: before it stand `B_first`
 * samples of the whole batch, a named extent STEP    the updates, and gradients as they were; what SUMS gives
 * comes in as inputs of the same names
 *
 * A sum is a value without named extents that is made of values with some, by an op that adds. An update that
 * needs anything else of the batch (a maximum) is refused, and so are random values whose place in the batch is
 * not that of their sample.
 *
 * requires: autodiff has run; composites are expanded
 * ensures: STEP has no value with named extents, but numbers of the whole batch (1 / B)
 */
#include "compiler/pass/walk.h"

#include <stdio.h>
#include <string.h>

static const char gradient_prefix[] = "grad.";

static bool is_gradient(const char *output) {
  return strncmp(output, gradient_prefix, sizeof gradient_prefix - 1) == 0;
}

static bool has_extents(const moire_shape *shape) {
  for (int i = 0; i < shape->rank; i++) {
    if (!moire__dim_is_static(shape->dims[i])) return true;
  }
  return false;
}

/* ---- Sums that updates read ---------------------------------------------------------------------------------
 */

typedef struct divide {
  const moire_graph *g;
  moire__rewrite r;
  bool *after; /* by node: it belongs to STEP */
  int *sum;    /* by value: 1 + the number of the sum that it is; 0: it is none */
  int n_sums;
  moire__arena arena;
  moire_error *error;
} divide;

static bool reads_batch(const moire_graph *g, const moire__node *node) {
  for (int i = 0; i < node->n_operands; i++) {
    if (has_extents(&g->values[node->operands[i]].shape)) return true;
  }
  return false;
}

static bool adds(moire__op op) {
  return op == MOIRE__OP_sum || op == MOIRE__OP_matmul || op == MOIRE__OP_scatter_add ||
         op == MOIRE__OP_add_rows || op == MOIRE__OP_depthwise_conv_weight ||
         op == MOIRE__OP_band_bank_weight || op == MOIRE__OP_correlate_weight;
}

static bool is_of_step(const char *input) {
  return !strcmp(input, "rng") || !strcmp(input, "progress") || !strcmp(input, "optimizer.scalars");
}

static moire_status refuse(const divide *d, const moire__node *node, const char *what) {
  moire__text place = {0};
  if (node->source.file) moire__text_add(&place, " (%s:%d)", node->source.file, node->source.line);
  moire_status status =
      moire_fail(d->error, MOIRE_ERROR_UNSUPPORTED, "%s: %s, which no sum over groups of samples can give%s",
                 moire__op_get(node->op)->name, what, moire__text_string(&place));
  moire__text_free(&place);
  return status;
}

static moire_status check_sum(const divide *d, const moire__node *node) {
  const moire__value_info *value = &d->g->values[node->first_result];
  if (!adds(node->op)) return refuse(d, node, "an update of a state reads it of the whole batch");
  if (value->dtype != MOIRE_F32) return refuse(d, node, "an update of a state reads a sum that is not of f32");
  return MOIRE_OK;
}

/* Walks back from the updates to what is summed over the batch. */
static moire_status find_sums(divide *d) {
  const moire_graph *g = d->g;
  for (int i = 0; i < g->n_updates; i++) d->after[g->values[g->updates[i].value].node] = true;
  for (int n = g->n_nodes - 1; n >= 0; n--) {
    const moire__node *node = &g->nodes[n];
    if (!d->after[n]) continue;
    if (reads_batch(g, node)) {
      moire_status status = check_sum(d, node);
      if (status) return status;
      d->after[n] = false;
      d->sum[node->first_result] = 1;
      continue;
    }
    if (node->op == MOIRE__OP_input && !is_of_step(moire__node_text(node, "name")))
      return refuse(d, node, "an update of a state reads an input");
    for (int i = 0; i < node->n_operands; i++) d->after[g->values[node->operands[i]].node] = true;
  }
  for (int v = 1; v < g->n_values; v++) {
    if (d->sum[v]) d->sum[v] = ++d->n_sums;
  }
  return MOIRE_OK;
}

static const char *name_sum(divide *d, int32_t value) {
  return moire__arena_printf(&d->arena, "group.sum.%d", d->sum[value] - 1);
}

/* ---- Random values of a part --------------------------------------------------------------------------------
 */

/* The dim with one extent in place of another, which stands there once; 0: it does not. */
static moire_dim with_extent(moire_dim d, int old, int new) {
  moire_dim product = moire__dim_make(moire__dim_factor(d), 0);
  int found = 0;
  for (int i = 0; i < MOIRE_MAX_FACTORS && moire__dim_extent(d, i); i++) {
    int extent = moire__dim_extent(d, i);
    found += extent == old;
    if (!moire__dim_multiply(product, moire__dim_make(1, extent == old ? new : extent), &product)) return 0;
  }
  return found == 1 ? product : 0;
}

/* How many elements of the shape stand before those of sample `first`. false: they do not stand in order of
 * samples. 0: the shape has no samples. */
static bool find_first(const moire_shape *shape, int samples, int first, moire_dim *out) {
  moire_dim product = 1;
  bool found = false;
  *out = 0;
  if (!has_extents(shape)) return true;
  for (int i = 0; i < shape->rank; i++) {
    moire_dim d = shape->dims[i], begins = with_extent(d, samples, first);
    bool leads = !found && product == 1 && begins;
    if (!leads && !found && d != 1) return false;
    if (!moire__dim_multiply(product, leads ? begins : d, &product)) return false;
    found = found || leads;
  }
  *out = product;
  return found;
}

/* Extents of what a node draws: of attention its samples alone. */
static moire_shape drawn_shape(const moire_graph *g, const moire__node *node) {
  if (node->op == MOIRE__OP_random_mask || node->op == MOIRE__OP_random_word)
    return moire__node_shape(node, "shape");
  moire_dim samples = g->values[node->operands[0]].shape.dims[0];
  if (moire__node_int_or(node, "packed", 0)) {
    for (int i = 0; i < node->n_operands; i++) { /* starts, and counts: i32[samples] */
      const moire__value_info *x = &g->values[node->operands[i]];
      if (x->dtype == MOIRE_I32 && x->shape.rank == 1 && !moire__dim_is_static(x->shape.dims[0]))
        samples = x->shape.dims[0];
    }
  }
  return MOIRE_SHAPE(samples);
}

static bool draws(const moire__node *node) {
  switch ((int)node->op) {
    case MOIRE__OP_random_mask:
    case MOIRE__OP_random_word: return true;
    case MOIRE__OP_attend:
    case MOIRE__OP_attend_backward:
    case MOIRE__OP_attend_real:
    case MOIRE__OP_attend_real_backward: return moire__node_int_or(node, "has_rng", 0) != 0;
    default: return false;
  }
}

static moire_status clone_part(divide *d, const moire__node *node, int samples) {
  enum { MOST = 24 };
  moire_dim begins = 0;
  if (draws(node)) {
    int first = moire__graph_declare_extent(d->r.to, "B_first", 7);
    moire_shape shape = drawn_shape(d->g, node);
    if (!find_first(&shape, samples, first, &begins))
      return refuse(d, node, "random values do not stand in order of samples");
  }
  if (!begins) {
    moire__rewrite_clone(&d->r, node);
    return MOIRE_OK;
  }
  moire__attr attrs[MOST];
  moire__node copy = *node;
  moire_shape first = MOIRE_SHAPE(begins);
  for (copy.n_attrs = 0; copy.n_attrs < node->n_attrs && copy.n_attrs < MOST - 1; copy.n_attrs++)
    attrs[copy.n_attrs] = node->attrs[copy.n_attrs];
  attrs[copy.n_attrs++] = moire__attr_make_dims("first", &first);
  copy.attrs = attrs;
  moire__rewrite_clone(&d->r, &copy);
  return MOIRE_OK;
}

/* ---- The two programs ---------------------------------------------------------------------------------------
 */

static moire_status make_sums(divide *d) {
  const moire_graph *g = d->g;
  d->r = moire__rewrite_begin(g);
  int samples = moire__graph_find_extent(g, "B", 1);
  for (int n = 0; n < g->n_nodes; n++) {
    moire_status status = clone_part(d, &g->nodes[n], samples);
    if (status) return status;
  }
  for (int i = 0; i < g->n_outputs; i++) {
    int32_t value = g->outputs[i].value;
    if (is_gradient(g->outputs[i].name) && moire__gradient_is_absent(g, value)) continue;
    moire_output_at(MOIRE__NOWHERE, d->r.to, g->outputs[i].name, moire__rewrite_value(&d->r, value));
  }
  for (int v = 1; v < g->n_values; v++) {
    if (d->sum[v]) moire_output_at(MOIRE__NOWHERE, d->r.to, name_sum(d, v), moire__rewrite_value(&d->r, v));
  }
  return MOIRE_OK;
}

static moire_value given(divide *d, const char *name, int32_t value) {
  const moire__value_info *info = &d->g->values[value];
  return moire_input_at(MOIRE__NOWHERE, d->r.to, name, info->dtype, info->shape);
}

/* Zeros of a parameter that has no gradient, and what they are made of. */
static void clone_absent(divide *d, int32_t value) {
  const moire__node *node = moire__node_of(d->g, value);
  for (int i = 0; i < node->n_operands; i++) clone_absent(d, node->operands[i]);
  if (!d->r.map[value]) moire__rewrite_clone(&d->r, node);
}

static moire_status make_step(divide *d) {
  const moire_graph *g = d->g;
  d->r = moire__rewrite_begin_with(g, moire__last_extent(g, d->after));
  for (int n = 0; n < g->n_nodes; n++) {
    int32_t first = g->nodes[n].first_result;
    if (d->after[n]) moire__rewrite_clone(&d->r, &g->nodes[n]);
    if (d->sum[first]) moire__rewrite_set(&d->r, first, given(d, name_sum(d, first), first));
  }
  for (int i = 0; i < g->n_outputs; i++) {
    const char *name = g->outputs[i].name;
    int32_t value = g->outputs[i].value;
    if (!is_gradient(name)) continue;
    bool absent = moire__gradient_is_absent(g, value);
    if (absent) clone_absent(d, value);
    moire_output_at(MOIRE__NOWHERE, d->r.to, name,
                    absent ? moire__rewrite_value(&d->r, value) : given(d, name, value));
  }
  for (int i = 0; i < g->n_updates; i++) {
    moire_update_at(MOIRE__NOWHERE, d->r.to, g->updates[i].name,
                    moire__rewrite_value(&d->r, g->updates[i].value));
  }
  return MOIRE_OK;
}

moire_graph *moire__pass_divide(const moire_graph *g, const moire__goal *goal, moire_error *error) {
  if (goal->part == MOIRE_PART_WHOLE || goal->part == MOIRE_PART_CATCH_UP) {
    moire__rewrite all = moire__rewrite_all(g);
    return moire__rewrite_finish(&all, error);
  }
  divide d = {.g = g, .error = error};
  d.after = moire__arena_array(&d.arena, (size_t)g->n_nodes + 1, sizeof *d.after);
  d.sum = moire__arena_array(&d.arena, (size_t)g->n_values + 1, sizeof *d.sum);
  moire_status status = find_sums(&d);
  if (!status) status = goal->part == MOIRE_PART_SUMS ? make_sums(&d) : make_step(&d);
  moire_graph *done = NULL;
  if (!status) done = moire__rewrite_finish_bare(&d.r, error);
  if (status && d.r.to) moire__rewrite_abandon(&d.r);
  moire__arena_free(&d.arena);
  return done;
}
