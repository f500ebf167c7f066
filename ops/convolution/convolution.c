/* conv1d, conv2d, conv_transpose1d, conv_transpose2d: operands x [B, C, S..], w, perhaps bias [out]; attributes
 * stride, padding, dilation (transposed ones also output_padding), a number for each axis, and groups. Real or
 * complex in any mix. */
#include "ops/convolution/convolution.h"

#include "ops/parts.h"
#include "ops/support.h"

#include <inttypes.h>
#include <stdio.h>

static int axes_of(moire__op op) { return op == MOIRE__OP_conv2d || op == MOIRE__OP_conv_transpose2d ? 2 : 1; }

static bool is_transposed(moire__op op) {
  return op == MOIRE__OP_conv_transpose1d || op == MOIRE__OP_conv_transpose2d;
}

static int64_t length_of_transposed(const moire__conv_axis *a, int64_t output_padding) {
  return (a->size - 1) * a->stride - 2 * a->padding + a->dilation * (a->taps - 1) + output_padding + 1;
}

static int64_t length_of_forward(const moire__conv_axis *a) {
  return (a->size + 2 * a->padding - (a->taps - 1) * a->dilation - 1) / a->stride + 1;
}

moire__conv moire__conv_of(const moire__node *node, const moire_shape *x, const moire_shape *w) {
  moire__conv k = {.axes = axes_of(node->op), .transposed = is_transposed(node->op)};
  int n = 0;
  const int64_t *stride = moire__node_ints(node, "stride", &n),
                *padding = moire__node_ints(node, "padding", &n),
                *dilation = moire__node_ints(node, "dilation", &n);
  const int64_t *output_padding = k.transposed ? moire__node_ints(node, "output_padding", &n) : NULL;
  k.groups = moire__node_int(node, "groups");
  k.in = x->dims[1] / k.groups;
  k.out = k.transposed ? w->dims[1] : w->dims[0] / k.groups;
  for (int i = 0; i < k.axes; i++) {
    moire__conv_axis *a = &k.axis[i];
    *a = (moire__conv_axis){x->dims[i + 2], w->dims[i + 2], stride[i], padding[i], dilation[i], 0};
    a->places = k.transposed ? length_of_transposed(a, output_padding[i]) : length_of_forward(a);
  }
  return k;
}

/* ---- infer ----------------------------------------------------------------------------------------------- */

static moire_status refuse_pair(moire__infer *c, const char *why) {
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%s: x is %s, w is %s", why, moire__operand_type(c, 0).text,
                    moire__operand_type(c, 1).text);
}

static moire_status refuse_x(moire__infer *c, const char *why) {
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "%s: x is %s", why, moire__operand_type(c, 0).text);
}

static moire_status type_infer(moire__infer *c, moire_dtype *dtype) {
  *dtype = c->operands[0]->dtype;
  for (int i = 0; i < c->n_operands; i++) {
    moire_dtype other = c->operands[i]->dtype;
    MOIRE__TRY(moire__infer_dtype(c, i, MOIRE__SET_REAL | MOIRE__SET_COMPLEX));
    if (other != *dtype && (other == MOIRE_F64 || *dtype == MOIRE_F64))
      return moire_fail(c->error, MOIRE_ERROR_TYPE, "element types differ: operand 0 is %s, operand %d is %s",
                        moire__operand_type(c, 0).text, i, moire__operand_type(c, i).text);
    if (other == MOIRE_C64) *dtype = other;
  }
  return MOIRE_OK;
}

static moire_status channels_infer(moire__infer *c, moire__conv *k) {
  const moire_shape *x = &c->operands[0]->shape, *w = &c->operands[1]->shape;
  char why[160];
  if (x->rank != k->axes + 2 || w->rank != k->axes + 2) {
    snprintf(why, sizeof why, "wanted values of %d axes", k->axes + 2);
    return refuse_pair(c, why);
  }
  moire_dim channels = x->dims[1];
  bool fixed = moire__dim_is_static(channels);
  for (int i = 0; i < w->rank; i++) fixed = fixed && moire__dim_is_static(w->dims[i]) && w->dims[i] > 0;
  if (!fixed) return refuse_pair(c, "wanted fixed extents of channels and weights");
  if (k->groups < 1 || channels % k->groups || w->dims[0] % k->groups) {
    snprintf(why, sizeof why, "the channels do not divide into %" PRId64 " groups", k->groups);
    return refuse_pair(c, why);
  }
  k->in = channels / k->groups;
  k->out = k->transposed ? w->dims[1] : w->dims[0] / k->groups;
  int64_t wanted = k->transposed ? w->dims[0] : w->dims[1] * k->groups;
  if (channels != wanted) {
    snprintf(why, sizeof why, "wanted x with %" PRId64 " channels", wanted);
    return refuse_pair(c, why);
  }
  if (c->n_operands < 3) return MOIRE_OK;
  if (c->operands[2]->shape.rank == 1 && c->operands[2]->shape.dims[0] == k->groups * k->out) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_SHAPE, "wanted a bias of [%" PRId64 "]: w is %s, bias is %s",
                    k->groups * k->out, moire__operand_type(c, 1).text, moire__operand_type(c, 2).text);
}

static bool is_count(int64_t n, int64_t least) { return n >= least && n <= INT32_MAX; }

static moire_status forward_infer(moire__infer *c, int axis, moire__conv_axis *a) {
  char why[200];
  if (a->size < 1) {
    snprintf(why, sizeof why, "axis %d has no places", axis);
    return refuse_x(c, why);
  }
  if (!is_count(a->taps, 1) || !is_count(a->stride, 1) || !is_count(a->padding, 0) ||
      !is_count(a->dilation, 1)) {
    snprintf(why, sizeof why,
             "kernel %" PRId64 ", stride %" PRId64 ", padding %" PRId64 ", dilation %" PRId64
             ", wanted at least 1, 1, 0, 1 and no more than %d",
             a->taps, a->stride, a->padding, a->dilation, INT32_MAX);
    return refuse_x(c, why);
  }
  int64_t padded = a->size + 2 * a->padding, reach = (a->taps - 1) * a->dilation + 1;
  if (reach > padded) {
    snprintf(why, sizeof why,
             "the kernel reaches over %" PRId64 " of axis %d, which is %" PRId64 " with padding", reach, axis,
             padded);
    return refuse_x(c, why);
  }
  a->places = length_of_forward(a);
  return MOIRE_OK;
}

static moire_status transposed_infer(moire__infer *c, int64_t output_padding, moire__conv_axis *a) {
  char why[240];
  if (!is_count(a->size, 1) || !is_count(a->taps, 1)) return refuse_pair(c, "wanted 1 to 2^31 - 1 places");
  if (!is_count(a->stride, 1) || !is_count(a->dilation, 1) || !is_count(a->padding, 0) || output_padding < 0 ||
      (output_padding >= a->stride && output_padding >= a->dilation)) {
    snprintf(why, sizeof why,
             "stride %" PRId64 ", padding %" PRId64 ", output_padding %" PRId64 ", dilation %" PRId64
             ", wanted at least 1, 0, 0, 1, and output_padding below stride or dilation",
             a->stride, a->padding, output_padding, a->dilation);
    return refuse_pair(c, why);
  }
  a->places = length_of_transposed(a, output_padding);
  return a->places >= 1 ? MOIRE_OK : refuse_pair(c, "the padding leaves nothing of the result");
}

static moire_status ints_infer(moire__infer *c, const char *name, int n, const int64_t **values) {
  int there = 0;
  MOIRE__TRY(moire__infer_ints(c, name, values, &there));
  if (there == n) return MOIRE_OK;
  return moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "attribute %s has %d numbers, wanted %d", name, there, n);
}

moire_status moire__conv_infer(moire__infer *c, moire__conv *k) {
  const int64_t *stride = NULL, *padding = NULL, *dilation = NULL, *output_padding = NULL;
  moire_dtype dtype = 0;
  *k = (moire__conv){.axes = axes_of(c->node->op), .transposed = is_transposed(c->node->op)};
  MOIRE__TRY(type_infer(c, &dtype));
  MOIRE__TRY(ints_infer(c, "stride", k->axes, &stride));
  MOIRE__TRY(ints_infer(c, "padding", k->axes, &padding));
  MOIRE__TRY(ints_infer(c, "dilation", k->axes, &dilation));
  if (k->transposed) MOIRE__TRY(ints_infer(c, "output_padding", k->axes, &output_padding));
  MOIRE__TRY(moire__infer_int(c, "groups", INT64_MIN, INT64_MAX, &k->groups));
  MOIRE__TRY(channels_infer(c, k));
  const moire_shape *x = &c->operands[0]->shape, *w = &c->operands[1]->shape;
  moire_shape y = MOIRE_SHAPE(x->dims[0], k->groups * k->out);
  for (int i = 0; i < k->axes; i++) {
    moire__conv_axis *a = &k->axis[i];
    *a = (moire__conv_axis){x->dims[i + 2], w->dims[i + 2], stride[i], padding[i], dilation[i], 0};
    if (!moire__dim_is_static(a->size)) {
      char why[80];
      snprintf(why, sizeof why, "axis %d has a named extent", i + 2);
      return refuse_x(c, why);
    }
    MOIRE__TRY(k->transposed ? transposed_infer(c, output_padding[i], a) : forward_infer(c, i + 2, a));
    y.dims[y.rank++] = a->places;
  }
  moire_dim all = 0;
  if (!moire__shape_elements(&y, &all)) return refuse_x(c, "more places than an extent can count");
  return moire__infer_result(c, 0, dtype, y);
}

static moire_status infer(moire__infer *c) {
  moire__conv k;
  return moire__conv_infer(c, &k);
}

moire_status moire__conv1d_infer(moire__infer *c) { return infer(c); }
moire_status moire__conv2d_infer(moire__infer *c) { return infer(c); }
moire_status moire__conv_transpose1d_infer(moire__infer *c) { return infer(c); }
moire_status moire__conv_transpose2d_infer(moire__infer *c) { return infer(c); }

/* ---- demand ---------------------------------------------------------------------------------------------- */

/* Places [start, start + length) of the result on an axis of places need a slice of x, and what of the padding
 * lies beside it. */
static bool slice_places(moire__demand *c, int axis) {
  moire_shape shapes[] = {moire_value_shape(c->operands[0]), moire_value_shape(c->operands[1])};
  moire__conv k = moire__conv_of(c->node, &shapes[0], &shapes[1]);
  const moire__conv_axis *a = &k.axis[axis - 2];
  int64_t low = c->start * a->stride - a->padding,
          high = (c->start + c->length - 1) * a->stride + (a->taps - 1) * a->dilation + 1 - a->padding;
  int64_t from = low < 0 ? 0 : low, to = high > a->size ? a->size : high;
  if (from >= to) return false;
  moire_value x = moire_slice(c->operands[0], axis, from, to - from);
  if (low < from || high > to) x = moire_pad(x, axis, from - low, high - to);
  c->operands[0] = x;
  int n = 0;
  const int64_t *padding = moire__node_ints(c->node, "padding", &n);
  int64_t *changed = moire__arena_array(&c->g->arena, (size_t)n, sizeof *changed);
  for (int i = 0; i < n; i++) changed[i] = i == axis - 2 ? 0 : padding[i];
  for (int i = 0; i < c->n_attrs; i++)
    if (c->attrs[i].ints == padding) c->attrs[i].ints = changed;
  return true;
}

static bool demand(moire__demand *c) {
  bool transposed = is_transposed(c->node->op);
  if (c->axis == 0) {
    moire__demand_slice(c, 0, 0, c->start, c->length);
    return true;
  }
  if (c->axis >= 2) return !transposed && slice_places(c, c->axis);
  if (moire__node_int(c->node, "groups") != 1) return false;
  moire__demand_slice(c, 1, transposed ? 1 : 0, c->start, c->length);
  if (c->n_operands == 3) moire__demand_slice(c, 2, 0, c->start, c->length);
  return true;
}

bool moire__conv1d_demand(moire__demand *c) { return demand(c); }
bool moire__conv2d_demand(moire__demand *c) { return demand(c); }
bool moire__conv_transpose1d_demand(moire__demand *c) { return demand(c); }
bool moire__conv_transpose2d_demand(moire__demand *c) { return demand(c); }

/* ---- reference ------------------------------------------------------------------------------------------- */

static void add_product(moire__tensor *y, int64_t at, const moire__tensor *a, int64_t i, const moire__tensor *b,
                        int64_t j) {
  double ar = a->re[i], ai = a->im ? a->im[i] : 0, br = b->re[j], bi = b->im ? b->im[j] : 0;
  y->re[at] += ar * br - ai * bi;
  if (y->im) y->im[at] += ar * bi + ai * br;
}

/* All products of one sample: of x's channel g in + c with y's channel g out + o. A missing axis has one place.
 */
static void add_channels(moire__reference *c, const moire__conv *k, int64_t x_at, int64_t w_at, int64_t y_at) {
  static const moire__conv_axis single = {1, 1, 1, 0, 1, 1};
  const moire__conv_axis *h = k->axes == 2 ? &k->axis[0] : &single, *v = &k->axis[k->axes - 1];
  const int64_t rows = k->transposed ? h->size : h->places, columns = k->transposed ? v->size : v->places;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t r = 0; r < h->taps; r++) {
      int64_t to = i * h->stride + r * h->dilation - h->padding;
      if (to < 0 || to >= (k->transposed ? h->places : h->size)) continue;
      for (int64_t j = 0; j < columns; j++)
        for (int64_t s = 0; s < v->taps; s++) {
          int64_t column = j * v->stride + s * v->dilation - v->padding, wi = w_at + r * v->taps + s;
          if (column < 0 || column >= (k->transposed ? v->places : v->size)) continue;
          int64_t one = i * columns + j, other = to * (k->transposed ? v->places : v->size) + column;
          add_product(c->results[0], y_at + (k->transposed ? other : one), c->operands[0],
                      x_at + (k->transposed ? one : other), c->operands[1], wi);
        }
    }
}

static void reference(moire__reference *c) {
  moire__conv k = moire__conv_of(c->node, &c->g->values[c->node->operands[0]].shape,
                                 &c->g->values[c->node->operands[1]].shape);
  const moire__tensor *x = c->operands[0], *bias = c->node->n_operands == 3 ? c->operands[2] : NULL;
  moire__tensor *y = c->results[0];
  int64_t sizes = 1, places = 1, taps = 1;
  for (int i = 0; i < k.axes; i++) {
    sizes *= k.axis[i].size;
    places *= k.axis[i].places;
    taps *= k.axis[i].taps;
  }
  for (int64_t i = 0; bias && i < y->elements; i++) {
    int64_t o = i / places % (k.groups * k.out);
    y->re[i] = bias->re[o];
    if (y->im && bias->im) y->im[i] = bias->im[o];
  }
  for (int64_t b = 0; b < x->dims[0]; b++)
    for (int64_t g = 0; g < k.groups; g++)
      for (int64_t o = 0; o < k.out; o++)
        for (int64_t n = 0; n < k.in; n++) {
          int64_t w_at = k.transposed ? (g * k.in + n) * k.out + o : (g * k.out + o) * k.in + n;
          add_channels(c, &k, ((b * k.groups + g) * k.in + n) * sizes, w_at * taps,
                       ((b * k.groups + g) * k.out + o) * places);
        }
}

void moire__conv1d_reference(moire__reference *c) { reference(c); }
void moire__conv2d_reference(moire__reference *c) { reference(c); }
void moire__conv_transpose1d_reference(moire__reference *c) { reference(c); }
void moire__conv_transpose2d_reference(moire__reference *c) { reference(c); }
