/* correlate and correlate_weight: see correlate.h. Attributes stride, dilation, start, places (taps of the
 * weight's) have a number for each axis of the window; groups, and flipped of correlate. */
#include "ops/convolution/correlate.h"

#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

enum { MOST = 1 << 30 };

/* ---- infer ----------------------------------------------------------------------------------------------- */

static moire_status ints_infer(moire__infer *c, const char *name, int n, int64_t low, const int64_t **values) {
  int there = 0;
  MOIRE__TRY(moire__infer_ints(c, name, values, &there));
  if (there != n)
    return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "attribute %s has %d numbers, wanted %d", name, there, n);
  for (int i = 0; i < n; i++)
    if ((*values)[i] < low || (*values)[i] > MOST)
      return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "attribute %s has %lld, wanted %lld to %d", name,
                        (long long)(*values)[i], (long long)low, MOST);
  return MOIRE_OK;
}

static moire_status fixed_infer(moire__infer *c, int operand, int first) {
  const moire_shape *shape = &c->operands[operand]->shape;
  for (int d = first; d < shape->rank; d++)
    if (!moire__dim_is_static(shape->dims[d]) || shape->dims[d] < 1 || shape->dims[d] > MOST)
      return moire_fail(c->error, MOIRE_ERROR_SHAPE, "operand %d is %s, wanted fixed extents beside the batch",
                        operand, moire__operand_type(c, operand).text);
  return MOIRE_OK;
}

static moire_status shared_infer(moire__infer *c, const char *last, int axes, const int64_t **of_last,
                                 int64_t *groups) {
  const int64_t *ints = NULL;
  for (int i = 0; i < 2; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_F32));
    MOIRE__TRY(moire__infer_rank(c, i, axes + 2, axes + 2));
  }
  MOIRE__TRY(ints_infer(c, "stride", axes, 1, &ints));
  MOIRE__TRY(ints_infer(c, "dilation", axes, 1, &ints));
  MOIRE__TRY(ints_infer(c, "start", axes, -MOST, &ints));
  MOIRE__TRY(ints_infer(c, last, axes, 1, of_last));
  return moire__infer_int(c, "groups", 1, MOST, groups);
}

static moire_status refuse(moire__infer *c, const char *why) {
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%s: operands are %s and %s", why,
                    moire__operand_type(c, 0).text, moire__operand_type(c, 1).text);
}

moire_status moire__correlate_infer(moire__infer *c) {
  const int64_t *places = NULL;
  int64_t groups = 0, flipped = 0;
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 4));
  const moire_shape *x = &c->operands[0]->shape, *w = &c->operands[1]->shape;
  MOIRE__TRY(shared_infer(c, "places", x->rank - 2, &places, &groups));
  MOIRE__TRY(moire__infer_int_or(c, "flipped", 0, 0, 1, &flipped));
  MOIRE__TRY(fixed_infer(c, 0, 1));
  MOIRE__TRY(fixed_infer(c, 1, 0));
  if (x->dims[1] % groups || w->dims[0] % groups) return refuse(c, "the channels do not divide into groups");
  if (flipped ? w->dims[0] != x->dims[1] : w->dims[1] != x->dims[1] / groups)
    return refuse(c, "channels differ");
  moire_shape y = MOIRE_SHAPE(x->dims[0], flipped ? groups * w->dims[1] : w->dims[0]);
  for (int i = 2; i < x->rank; i++) y.dims[y.rank++] = places[i - 2];
  moire_dim all = 0;
  if (!moire__shape_elements(&y, &all)) return refuse(c, "more places than can be counted");
  return moire__infer_result(c, 0, MOIRE_F32, y);
}

moire_status moire__correlate_weight_infer(moire__infer *c) {
  const int64_t *taps = NULL;
  int64_t groups = 0;
  MOIRE__TRY(moire__infer_rank(c, 0, 3, 4));
  const moire_shape *x = &c->operands[0]->shape, *y = &c->operands[1]->shape;
  MOIRE__TRY(shared_infer(c, "taps", x->rank - 2, &taps, &groups));
  for (int i = 0; i < 2; i++) MOIRE__TRY(fixed_infer(c, i, 1));
  if (x->dims[0] != y->dims[0]) return refuse(c, "batches differ");
  if (x->dims[1] % groups || y->dims[1] % groups) return refuse(c, "the channels do not divide into groups");
  moire_shape v = MOIRE_SHAPE(groups, x->dims[1] / groups, 1, 1, y->dims[1] / groups);
  for (int i = 2; i < x->rank; i++) v.dims[i + 4 - x->rank] = taps[i - 2];
  moire_dim all = 0;
  if (!moire__shape_elements(&v, &all)) return refuse(c, "more weights than can be counted");
  return moire__infer_result(c, 0, MOIRE_F32, v);
}

/* ---- gradient -------------------------------------------------------------------------------------------- */

/* v [groups, in, kh, kw, out] in the order of w. */
static moire_value as_weights(const moire__correlation *k, moire_value v, moire_value w) {
  static const int plain[] = {0, 4, 1, 2, 3}, flipped[] = {0, 1, 4, 2, 3};
  for (int d = 0; d < 2 && k->flipped; d++)
    if (k->axis[d].taps > 1) v = moire_flip(v, 2 + d);
  return moire_reshape(moire_permute(v, 5, k->flipped ? flipped : plain), moire_value_shape(w));
}

void moire__correlate_gradient(moire__gradient *c) {
  moire_shape x = moire_value_shape(c->operands[0]), w = moire_value_shape(c->operands[1]);
  moire__correlation k = moire__correlate_of(c->node, &x, &w);
  moire_value dy = c->result_gradients[0];
  if (c->wanted[0]) c->operand_gradients[0] = moire__correlate_adjoint(&k, dy, c->operands[1]);
  if (c->wanted[1])
    c->operand_gradients[1] =
        as_weights(&k, moire__emit_correlate_weight(&k, c->operands[0], dy), c->operands[1]);
}

/* ---- reference ------------------------------------------------------------------------------------------- */

typedef struct product {
  int64_t x, w, v, y; /* elements: of w for correlate, of v for correlate_weight */
} product;

typedef void add_function(moire__reference *c, const product *p);

static void add_y(moire__reference *c, const product *p) {
  c->results[0]->re[p->y] += c->operands[0]->re[p->x] * c->operands[1]->re[p->w];
}
static void add_v(moire__reference *c, const product *p) {
  c->results[0]->re[p->v] += c->operands[0]->re[p->x] * c->operands[1]->re[p->y];
}

/* Place of x under tap r of place i, -1 if there is none. */
static int64_t under(const moire__correlate_axis *a, int64_t i, int64_t r) {
  int64_t at = i * a->stride + r * a->dilation - a->start;
  return at < a->size ? at : -1;
}

static void add_places(moire__reference *c, const moire__correlation *k, product at, add_function *add) {
  const moire__correlate_axis *h = &k->axis[0], *v = &k->axis[1];
  for (int64_t i = 0; i < h->places * v->places; i++)
    for (int64_t r = 0; r < h->taps * v->taps; r++) {
      int64_t row = under(h, i / v->places, r / v->taps), column = under(v, i % v->places, r % v->taps);
      if (row < 0 || column < 0) continue;
      int64_t tap = k->flipped ? h->taps * v->taps - 1 - r : r;
      add(c, &(product){at.x + row * v->size + column, at.w + tap, at.v + r * k->out, at.y + i});
    }
}

static void reference(moire__reference *c, add_function *add) {
  moire__correlation k = moire__correlate_in(c->g, c->node);
  const int64_t sizes = k.axis[0].size * k.axis[1].size, places = k.axis[0].places * k.axis[1].places,
                taps = k.axis[0].taps * k.axis[1].taps, batch = c->operands[0]->dims[0];
  for (int64_t b = 0; b < batch; b++)
    for (int64_t g = 0; g < k.groups; g++)
      for (int64_t n = 0; n < k.in; n++)
        for (int64_t o = 0; o < k.out; o++) {
          int64_t w = k.flipped ? (g * k.in + n) * k.out + o : (g * k.out + o) * k.in + n;
          add_places(c, &k,
                     (product){((b * k.groups + g) * k.in + n) * sizes, w * taps,
                               (g * k.in + n) * taps * k.out + o, ((b * k.groups + g) * k.out + o) * places},
                     add);
        }
}

void moire__correlate_reference(moire__reference *c) { reference(c, add_y); }
void moire__correlate_weight_reference(moire__reference *c) { reference(c, add_v); }

/* ---- samples --------------------------------------------------------------------------------------------- */

typedef struct correlate_case {
  moire__sample_kind kind;
  int axes;
  moire_dim batch;
  int64_t in, out, groups, size[2], taps[2], stride[2], dilation[2], start[2], places[2];
  moire_status expected;
} correlate_case;

static bool sample(moire__sampler *s, moire__op op) {
  moire_dim batch = moire__sample_batch(s);
  const correlate_case cases[] = {
      {GOOD, 2, batch, 3, 4, 1, {5, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {5, 6}, ACCEPTED},
      {GOOD, 1, 2, 3, 5, 1, {1, 9}, {1, 4}, {1, 2}, {1, 1}, {0, 2}, {1, 5}, ACCEPTED},
      {GOOD, 2, 2, 4, 6, 2, {6, 5}, {2, 3}, {2, 1}, {1, 2}, {1, 0}, {3, 4}, ACCEPTED},
      {HARD, 2, 2, 5, 33, 1, {7, 20}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {7, 20}, ACCEPTED},
      {HARD, 2, 1, 2, 16, 1, {30, 31}, {3, 2}, {1, 1}, {1, 1}, {0, 0}, {28, 30}, ACCEPTED},
      {HARD, 1, batch, 3, 17, 1, {1, 300}, {1, 9}, {1, 1}, {1, 1}, {0, 4}, {1, 300}, ACCEPTED},
      {HARD, 1, batch, 2, 40, 1, {1, 20}, {1, 17}, {1, 1}, {1, 1}, {0, -2}, {1, 23}, ACCEPTED},
      {HARD, 2, 1, 3, 2, 1, {4, 4}, {2, 2}, {3, 4}, {2, 1}, {3, -3}, {4, 2}, ACCEPTED},
      {HARD, 2, batch, 1, 1, 1, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}, ACCEPTED},
      {HARD, 2, 0, 2, 3, 1, {4, 4}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {4, 4}, ACCEPTED},
      {HARD, 1, 1, 15, 18, 3, {1, 50}, {1, 3}, {1, 2}, {1, 3}, {0, 9}, {1, 29}, ACCEPTED},
      {WRONG, 2, 2, 3, 4, 2, {5, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {5, 6}, BAD_SHAPE},
      {WRONG, 2, 2, 3, 4, 1, {5, 6}, {3, 3}, {1, 0}, {1, 1}, {1, 1}, {5, 6}, BAD_ARGUMENT},
      {WRONG, 2, 2, 3, 4, 1, {5, batch}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {5, 6}, BAD_SHAPE},
      {WRONG, 2, 2, 3, 4, 0, {5, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {5, 6}, BAD_ARGUMENT},
  };
  bool weight = op == MOIRE__OP_correlate_weight, both_ways = !weight && s->kind != WRONG;
  moire__sampler row = *s;
  if (both_ways) row.index /= 2;
  int i = MOIRE__SAMPLE_ROW(&row, cases);
  if (i < 0) return false;
  const correlate_case *k = &cases[i];
  moire__correlation c = {.axes = k->axes, .groups = k->groups, .flipped = both_ways && s->index % 2};
  int64_t groups = k->groups ? k->groups : 1;
  moire_shape x = MOIRE_SHAPE(k->batch, k->in), y = MOIRE_SHAPE(k->batch, k->out),
              w = MOIRE_SHAPE(c.flipped ? k->in : k->out, (c.flipped ? k->out : k->in) / groups);
  for (int d = 0; d < 2; d++)
    c.axis[d] = (moire__correlate_axis){k->size[d],     k->taps[d],  k->stride[d],
                                        k->dilation[d], k->start[d], k->places[d]};
  for (int d = 2 - k->axes; d < 2; d++) {
    x.dims[x.rank++] = k->size[d];
    y.dims[y.rank++] = k->places[d];
    w.dims[w.rank++] = k->taps[d];
  }
  moire_value a = moire__sample_input(s, F32, x, -1, 1);
  moire_value b = moire__sample_input(s, F32, weight ? y : w, -1, 1);
  moire_value result = weight ? moire__emit_correlate_weight(&c, a, b) : moire__emit_correlate(&c, a, b);
  return s->kind == WRONG ? moire__sample_refuse(s, k->expected) : moire__sample_finish(s, result);
}

bool moire__correlate_sample(moire__sampler *s) { return sample(s, MOIRE__OP_correlate); }
bool moire__correlate_weight_sample(moire__sampler *s) { return sample(s, MOIRE__OP_correlate_weight); }
