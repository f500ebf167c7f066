/* The random mask inside a composite: see ops/source/mask.h. */
#include "ops/source/mask.h"

#include "ops/support.h"
#include "runtime/base/philox.h"

#include <assert.h>
#include <string.h>

moire_status moire__mask_infer_first(moire__infer *c) {
  if (!moire__node_attr(c->node, "first")) return MOIRE_OK;
  moire_shape first;
  MOIRE__TRY(moire__infer_shape(c, "first", &first));
  if (first.rank == 1) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "first has %d dims, wanted one", first.rank);
}

int64_t moire__mask_first(const moire__reference *c) {
  if (!moire__node_attr(c->node, "first")) return 0;
  return moire__dim_size(moire__node_shape(c->node, "first").dims[0], c->extents);
}

moire_status moire__mask_infer(moire__infer *c, int rng, const char *p, const moire_shape *used) {
  int64_t stream;
  MOIRE__TRY(moire__infer_dtype(c, rng, 1u << MOIRE_I32));
  if (c->operands[rng]->shape.rank != 1 || c->operands[rng]->shape.dims[0] != 3)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the counters are %s, wanted i32[3]",
                      moire__operand_type(c, rng).text);
  MOIRE__TRY(moire__infer_below_one(c, p, 0));
  MOIRE__TRY(moire__infer_int(c, "stream", 0, UINT32_MAX, &stream));
  MOIRE__TRY(moire__mask_infer_first(c));
  bool part = moire__node_attr(c->node, "mask_shape") != NULL;
  if (part != (moire__node_attr(c->node, "mask_start") != NULL))
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "mask_shape and mask_start come together");
  if (!part) return MOIRE_OK;
  moire_shape whole;
  int n = 0;
  const int64_t *start = NULL;
  MOIRE__TRY(moire__infer_ints(c, "mask_start", &start, &n));
  MOIRE__TRY(moire__infer_shape(c, "mask_shape", &whole));
  bool fits = n == used->rank && whole.rank == used->rank;
  for (int i = 0; i < used->rank && fits; i++) {
    if (start[i] == 0 && whole.dims[i] == used->dims[i]) continue;
    fits = moire__dim_is_static(whole.dims[i]) && moire__dim_is_static(used->dims[i]) && start[i] >= 0 &&
           start[i] <= whole.dims[i] - used->dims[i];
  }
  if (fits) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the mask %s from mask_start on does not cover %s",
                    moire__type_print(c->g, MOIRE_F32, &whole).text,
                    moire__type_print(c->g, MOIRE_F32, used).text);
}

moire_value moire__mask_expand(const moire__expand *c, moire_value rng, const char *p,
                               const moire_shape *used) {
  bool part = moire__node_attr(c->node, "mask_shape") != NULL;
  moire_shape whole = part ? moire__node_shape(c->node, "mask_shape") : *used;
  moire__attr attrs[] = {moire__attr_make_real("p", moire__node_real(c->node, p)),
                         moire__attr_make_int("stream", moire__node_int(c->node, "stream")),
                         moire__attr_make_dims("shape", &whole)};
  moire_value mask = moire__graph_emit(c->g, MOIRE_HERE, MOIRE__OP_random_mask, &rng, 1, attrs, 3);
  int n = 0;
  const int64_t *start = part ? moire__node_ints(c->node, "mask_start", &n) : NULL;
  for (int i = 0; i < n; i++)
    if (whole.dims[i] != used->dims[i]) mask = moire_slice(mask, i, start[i], used->dims[i]);
  return mask;
}

/* Replaces the attribute of that name, or adds it. */
static void set_attr(moire__demand *c, moire__attr attr) {
  int i = 0;
  while (i < c->n_attrs && strcmp(c->attrs[i].name, attr.name) != 0) i++;
  assert(i < (int)(sizeof c->attrs / sizeof *c->attrs));
  c->attrs[i] = attr;
  if (i == c->n_attrs) c->n_attrs++;
}

void moire__mask_demand(moire__demand *c, const moire_shape *used, int axis, int64_t start) {
  int64_t *starts = moire__arena_array(&c->g->arena, MOIRE_MAX_RANK, sizeof *starts);
  moire_shape *whole = moire__arena_alloc(&c->g->arena, sizeof *whole);
  *whole = *used;
  bool part = moire__node_attr(c->node, "mask_shape") != NULL;
  if (part) {
    int n = 0;
    const int64_t *before = moire__node_ints(c->node, "mask_start", &n);
    for (int i = 0; i < n; i++) starts[i] = before[i];
    *whole = moire__node_shape(c->node, "mask_shape");
  }
  starts[axis] += start;
  set_attr(c, moire__attr_make_dims("mask_shape", whole));
  set_attr(c, moire__attr_make_ints("mask_start", starts, used->rank));
}

double moire__mask_element(const moire__reference *c, const moire__tensor *rng, const char *p, int rank,
                           const int64_t *used, const int64_t *index) {
  bool part = moire__node_attr(c->node, "mask_shape") != NULL;
  moire_shape whole = {0};
  const int64_t *start = NULL;
  int n = 0;
  if (part) {
    whole = moire__node_shape(c->node, "mask_shape");
    start = moire__node_ints(c->node, "mask_start", &n);
  }
  int64_t element = 0;
  for (int i = 0; i < rank; i++) {
    int64_t size = part ? moire__dim_size(whole.dims[i], c->extents) : used[i];
    element = element * size + index[i] + (part ? start[i] : 0) + (i ? 0 : moire__mask_first(c));
  }
  double probability = moire__node_real(c->node, p);
  uint32_t bits = moire__philox_bits((uint32_t)(int32_t)rng->re[0], (uint32_t)(int32_t)rng->re[1],
                                     (uint32_t)(int32_t)rng->re[2],
                                     (uint32_t)moire__node_int(c->node, "stream"), (uint64_t)element);
  return (int32_t)bits >= moire__mask_threshold(probability) ? moire__mask_kept(probability) : 0;
}
