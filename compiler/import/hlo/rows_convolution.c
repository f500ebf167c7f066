/* Rows of the table: convolutions, in any layout, over no, one or two axes. */
#include "compiler/import/hlo/rows.h"

#include <stdio.h>
#include <string.h>

enum { MOST_AXES = 2 };

/* Where the axes of a tensor are: two that are named, and the others in their order. */
typedef struct layout {
  int first, second, spatial[MOST_AXES];
} layout;

static layout read_layout(moire__hlo_call *c, const char *name, const char *first, const char *second,
                          int axes) {
  layout l = {-1, -1, {-1, -1}};
  const moire__argument *list = moire__find(&c->call, name);
  bool good = list && list->kind == MOIRE__ARGUMENT_LIST && list->n == axes + 2;
  for (int i = 0; good && i < list->n; i++) {
    const moire__argument *a = &list->items[i];
    if (a->kind == MOIRE__ARGUMENT_INT && a->integer >= 0 && a->integer < axes)
      l.spatial[a->integer] = i;
    else if (a->kind == MOIRE__ARGUMENT_TEXT && !strcmp(a->text, first))
      l.first = i;
    else if (a->kind == MOIRE__ARGUMENT_TEXT && !strcmp(a->text, second))
      l.second = i;
  }
  for (int i = 0; i < axes; i++) good = good && l.spatial[i] >= 0;
  if (!good || l.first < 0 || l.second < 0) moire__refuse(&c->call, "wanted dim_numbers [..]x[..]->[..]");
  return l;
}

static moire_value arranged(moire__hlo_call *c, moire_value x, const layout *l, int axes) {
  int order[2 + MOST_AXES] = {l->first, l->second};
  for (int i = 0; i < axes; i++) order[2 + i] = l->spatial[i];
  return moire_permute_at(c->call.at, x, 2 + axes, order);
}

/* Back to where the result has them. */
static moire_value placed(moire__hlo_call *c, moire_value y, const layout *l, int axes) {
  int order[2 + MOST_AXES] = {0};
  order[l->first] = 0;
  order[l->second] = 1;
  for (int i = 0; i < axes; i++) order[l->spatial[i]] = 2 + i;
  return moire_permute_at(c->call.at, y, 2 + axes, order);
}

/* [G N, C, ..] -> [N, G C, ..]: batches that have filters of their own are channels of groups. */
static moire_value batches_as_channels(moire__hlo_call *c, moire_value x, int64_t groups) {
  moire_shape shape = moire_value_shape(x);
  int64_t n = moire__fixed(&c->call, x, 0);
  if (groups < 1 || n % groups) moire__refuse(&c->call, "batch_group_count does not divide the batch");
  if (c->call.why) return x;
  moire_shape split = {.rank = shape.rank + 1, .dims = {groups, n / groups}}, merged = shape;
  for (int i = 1; i < shape.rank; i++) split.dims[i + 1] = shape.dims[i];
  merged.dims[0] = n / groups;
  merged.dims[1] = moire_dim_times(shape.dims[1], groups);
  x = moire_reshape_at(c->call.at, x, split);
  return moire_reshape_at(c->call.at, moire__move_axis(&c->call, x, 0, 1), merged);
}

/* f64 and what else has no convolution of its own: a product for each tap, of the part of x that it sees. */
static moire_value by_taps(moire__hlo_call *c, moire_value x, moire_value w, const int64_t *stride,
                           const int64_t *dilation, int64_t groups, int axes) {
  enum { MOST_TAPS = 1024 };
  moire_source at = c->call.at;
  int64_t taps = 1, size[MOST_AXES], kernel[MOST_AXES], out[MOST_AXES];
  for (int i = 0; i < axes; i++) {
    size[i] = moire__fixed(&c->call, x, 2 + i);
    kernel[i] = moire__fixed(&c->call, w, 2 + i);
    out[i] = (size[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1;
    taps *= kernel[i] < MOST_TAPS ? kernel[i] : MOST_TAPS + 1;
    if (size[i] <= (kernel[i] - 1) * dilation[i])
      moire__refuse(&c->call, "the filter is longer than what it is over");
  }
  if (groups != 1 || taps > MOST_TAPS || taps < 1)
    moire__refuse(&c->call, "of this type is imported without groups and with at most %d taps", MOST_TAPS);
  moire_value sum = moire__null(&c->call);
  for (int64_t tap = 0; tap < taps && !c->call.why; tap++) {
    moire_value part = x, weight = w;
    int64_t left = tap;
    moire_dim positions = 1;
    for (int i = axes - 1; i >= 0; i--) {
      int64_t k = left % kernel[i];
      left /= kernel[i];
      part = moire_slice_by_at(at, part, 2 + i, k * dilation[i], out[i], stride[i]);
      weight = moire_slice_at(at, weight, 2 + i, k, 1);
      positions = moire_dim_times(positions, out[i]);
    }
    moire_dim n = moire_value_dim(x, 0), channels = moire_value_dim(x, 1), filters = moire_value_dim(w, 0);
    part = moire_reshape_at(at, part, MOIRE_SHAPE(n, channels, positions));
    weight = moire_reshape_at(at, weight, MOIRE_SHAPE(1, filters, channels));
    moire_value y = moire_matmul_at(at, weight, part);
    sum = moire_value_is_null(sum) ? y : moire_add_at(at, sum, y);
  }
  if (c->call.why) return sum;
  moire_shape shape = {.rank = 2 + axes, .dims = {moire_value_dim(x, 0), moire_value_dim(w, 0)}};
  for (int i = 0; i < axes; i++) shape.dims[2 + i] = out[i];
  return moire_reshape_at(at, sum, shape);
}

typedef struct window {
  int64_t stride[MOST_AXES], pad[2 * MOST_AXES], spread[MOST_AXES], dilation[MOST_AXES], reverse[MOST_AXES];
} window;

static window read_window(moire__hlo_call *c, int axes) {
  window w;
  moire__hlo_numbers(c, "window.stride", "window_strides", axes, 1, w.stride);
  moire__hlo_numbers(c, "window.pad", "padding", 2 * axes, 0, w.pad);
  moire__hlo_numbers(c, "window.lhs_dilate", "lhs_dilation", axes, 1, w.spread);
  moire__hlo_numbers(c, "window.rhs_dilate", "rhs_dilation", axes, 1, w.dilation);
  const char *name = moire__find(&c->call, "window.reverse") ? "window.reverse" : "window_reversal";
  const moire__argument *list = moire__find(&c->call, name);
  for (int i = 0; i < axes; i++) {
    w.reverse[i] = list && list->kind == MOIRE__ARGUMENT_LIST && i < list->n && list->items[i].real != 0;
    if (w.stride[i] < 1 || w.dilation[i] < 1 || w.spread[i] < 1)
      moire__refuse(&c->call, "wanted steps of at least 1");
  }
  return w;
}

static void convolution(moire__hlo_call *c) {
  static const char *const without_meaning[] = {"precision", "precision_config"};
  static const int64_t none[MOST_AXES] = {0, 0};
  moire_value x = moire__hlo_operand(c, 0), w = moire__hlo_operand(c, 1);
  moire__hlo_type type = moire__hlo_result(c, 0);
  moire__hlo_pass_over(c, without_meaning, 2);
  int axes = moire_value_is_null(x) ? 0 : moire_value_shape(x).rank - 2;
  if (axes < 0 || axes > MOST_AXES) moire__refuse(&c->call, "over more than two axes is not imported");
  if (moire__hlo_is_whole(x))
    moire__refuse(&c->call, "of whole numbers is not imported: convert to f32 before");
  if (c->call.why) return;
  const char *numbers = moire__find(&c->call, "dim_numbers") ? "dim_numbers" : "dimension_numbers";
  char right[40], result[40];
  snprintf(right, sizeof right, "%s.rhs", numbers);
  snprintf(result, sizeof result, "%s.out", numbers);
  layout in = read_layout(c, numbers, "b", "f", axes), filter = read_layout(c, right, "o", "i", axes),
         out = read_layout(c, result, "b", "f", axes);
  window by = read_window(c, axes);
  int64_t groups = moire__integer_or(&c->call, "feature_group_count", 1),
          batches = moire__integer_or(&c->call, "batch_group_count", 1);
  if (groups != 1 && batches != 1) moire__refuse(&c->call, "wanted groups of features or of batches");
  if (moire_value_shape(w).rank != axes + 2) moire__refuse(&c->call, "wanted a filter of %d axes", axes + 2);
  if (c->call.why) return;
  moire__torch_type element = moire__torch_type_of(type.dtype);
  x = arranged(c, moire__to_type(&c->call, x, element), &in, axes);
  w = arranged(c, moire__to_type(&c->call, w, element), &filter, axes);
  if (batches != 1) {
    x = batches_as_channels(c, x, batches);
    groups = batches;
  }
  moire_value zero = moire__hlo_scalar(c, x, 0);
  for (int i = 0; i < axes && !c->call.why; i++) {
    if (by.reverse[i]) w = moire_flip_at(c->call.at, w, 2 + i);
    x = moire__hlo_pad(c, x, zero, true, 2 + i,
                       (moire__hlo_padding){by.pad[2 * i], by.pad[2 * i + 1], by.spread[i] - 1});
  }
  if (c->call.why) return;
  moire_value y, bias = {0};
  if (axes == 0) {
    y = moire__squeeze(&c->call,
                       moire_conv1d_at(c->call.at, moire__unsqueeze(&c->call, x, 2),
                                       moire__unsqueeze(&c->call, w, 2), bias, 1, 0, 1, groups),
                       2);
  } else if (type.dtype == MOIRE_F64) {
    y = by_taps(c, x, w, by.stride, by.dilation, groups, axes);
  } else {
    y = axes == 1 ? moire_conv1d_at(c->call.at, x, w, bias, by.stride[0], 0, by.dilation[0], groups)
                  : moire_conv2d_at(c->call.at, x, w, bias, by.stride, none, by.dilation, groups);
  }
  if (!c->call.why && !moire_value_is_null(y)) moire__give(&c->call, placed(c, y, &out, axes));
}

const moire__hlo_row moire__hlo_rows_convolution[] = {{"stablehlo.convolution", convolution}, {NULL, NULL}};
