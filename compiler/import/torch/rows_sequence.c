/* Rows of the table: convolutions and pooling. */
#include "compiler/import/torch/rows.h"

#include "compiler/ir/graph/graph.h"

#include <string.h>

static bool missing(moire_value x) { return moire_value_is_null(x); }

static int rank_of(moire_value x) { return missing(x) ? 0 : moire_value_shape(x).rank; }

/* One number for each of `axes`, of a list with so many or with one. */
static void numbers(moire__call *c, const char *name, int64_t otherwise, int64_t *out, int axes) {
  int n = moire__integers(c, name, out, axes);
  for (int i = 0; i < axes; i++) {
    if (n <= 0) out[i] = otherwise;
    if (n == 1) out[i] = out[0];
  }
  if (n > 1 && n != axes) moire__refuse(c, "%s: wanted a number for each axis", name);
}

/* padding="same" or "valid": how much in all on each axis; the larger half comes behind. */
static moire_value pad_by_name(moire__call *c, moire_value x, moire_value w, const int64_t *dilation,
                               int axes) {
  const char *name = moire__text_or(c, "padding", "valid");
  for (int i = 0; i < axes && !strcmp(name, "same") && !missing(w); i++) {
    int64_t all = dilation[i] * (moire__fixed(c, w, 2 + i) - 1);
    if (all > 0) x = moire_pad_at(c->at, x, rank_of(x) - axes + i, all / 2, all - all / 2);
  }
  return x;
}

/* A filter of each channel by itself, over what comes before: x is padded in front alone, by as much as it
 * reaches. */
static bool is_causal_bank(moire__call *c, moire_value x, moire_value w, const int64_t *stride,
                           const int64_t *padding, int64_t dilation, int64_t groups) {
  if (missing(x) || missing(w) || stride[0] != 1 || padding[0] || moire_value_dtype(x) != MOIRE_F32 ||
      moire_value_dtype(w) != MOIRE_F32 || rank_of(x) != 3 || rank_of(w) != 3)
    return false;
  const moire__node *pad = moire__node_of(c->graph, x.id);
  bool each = moire_value_dim(x, 1) == groups && moire_value_dim(w, 0) == groups && moire_value_dim(w, 1) == 1;
  if (!each || pad->op != MOIRE__OP_pad || moire__node_int(pad, "axis") != 2 || moire__node_int(pad, "after"))
    return false;
  return moire__node_int(pad, "before") == dilation * (moire_dim_factor(moire_value_dim(w, 2)) - 1);
}

static moire_value causal_bank(moire__call *c, moire_value x, moire_value w, moire_value bias,
                               int64_t dilation) {
  moire_value before = moire__value(c->graph, moire__node_of(c->graph, x.id)->operands[0]);
  moire_value y = moire_depthwise_conv_at(c->at, moire_swap_axes_at(c->at, before, 1, 2), w, dilation);
  if (bias.graph) y = moire_add_at(c->at, y, bias);
  return moire_swap_axes_at(c->at, y, 1, 2);
}

static void convolution(moire__call *c, int axes) {
  moire_value x = moire__tensor(c, "input"), w = moire__tensor(c, "weight"),
              bias = moire__tensor_or_none(c, "bias");
  int64_t stride[2], padding[2] = {0, 0}, dilation[2], groups = moire__integer_or(c, "groups", 1);
  const moire__argument *given = moire__find(c, "padding");
  numbers(c, "stride", 1, stride, axes);
  numbers(c, "dilation", 1, dilation, axes);
  bool alone = rank_of(x) == axes + 1; /* one sample without an axis */
  if (alone) x = moire__unsqueeze(c, x, 0);
  if (given && given->kind == MOIRE__ARGUMENT_TEXT)
    x = pad_by_name(c, x, w, dilation, axes);
  else
    numbers(c, "padding", 0, padding, axes);
  if (c->why) return;
  if (axes == 1 && !alone && is_causal_bank(c, x, w, stride, padding, dilation[0], groups)) {
    moire__give(c, causal_bank(c, x, w, bias, dilation[0]));
    return;
  }
  moire_value y = axes == 1 ? moire_conv1d_at(c->at, x, w, bias, stride[0], padding[0], dilation[0], groups)
                            : moire_conv2d_at(c->at, x, w, bias, stride, padding, dilation, groups);
  moire__give(c, alone ? moire__squeeze(c, y, 0) : y);
}

static void conv1d(moire__call *c) { convolution(c, 1); }
static void conv2d(moire__call *c) { convolution(c, 2); }

static void transposed(moire__call *c, int axes) {
  moire_value x = moire__tensor(c, "input"), w = moire__tensor(c, "weight"),
              bias = moire__tensor_or_none(c, "bias");
  int64_t stride[2], padding[2], more[2], dilation[2], groups = moire__integer_or(c, "groups", 1);
  numbers(c, "stride", 1, stride, axes);
  numbers(c, "padding", 0, padding, axes);
  numbers(c, "output_padding", 0, more, axes);
  numbers(c, "dilation", 1, dilation, axes);
  if (c->why) return;
  bool alone = rank_of(x) == axes + 1; /* one sample without an axis */
  if (alone) x = moire__unsqueeze(c, x, 0);
  moire_value y =
      axes == 1
          ? moire_conv_transpose1d_at(c->at, x, w, bias, stride[0], padding[0], more[0], groups, dilation[0])
          : moire_conv_transpose2d_at(c->at, x, w, bias, stride, padding, more, groups, dilation);
  moire__give(c, alone ? moire__squeeze(c, y, 0) : y);
}

static void conv_transpose1d(moire__call *c) { transposed(c, 1); }
static void conv_transpose2d(moire__call *c) { transposed(c, 2); }

/* What the others are once they are decomposed: the weight says over how many axes. */
static void any_convolution(moire__call *c) {
  int axes = rank_of(moire__tensor(c, "weight")) - 2;
  if (axes < 1 || axes > 2) {
    if (axes > 2) moire__refuse(c, "over %d axes is not imported: only over one or two", axes);
    return;
  }
  if (moire__bool_or(c, "transposed", false)) {
    transposed(c, axes);
  } else {
    moire__pass_over(c, "output_padding");
    convolution(c, axes);
  }
}

static void pool(moire__call *c, int axes, bool largest) {
  moire_value x = moire__need_real(c, moire__tensor(c, "self"));
  int64_t kernel[2], stride[2], padding[2], dilation[2] = {1, 1};
  numbers(c, "kernel_size", 1, kernel, axes);
  numbers(c, "stride", 0, stride, axes);
  numbers(c, "padding", 0, padding, axes);
  if (largest) numbers(c, "dilation", 1, dilation, axes);
  bool counted =
      largest || moire__bool_or(c, "count_include_pad", true) || (!padding[0] && (axes == 1 || !padding[1]));
  if (moire__bool_or(c, "ceil_mode", false) || !counted || dilation[0] != 1 || dilation[axes - 1] != 1 ||
      moire__find(c, "divisor_override"))
    moire__refuse(c, "with ceil_mode, dilation, or padding that does not count is not imported");
  for (int i = 0; i < axes; i++) stride[i] = stride[i] ? stride[i] : kernel[i];
  if (c->why) return;
  bool alone = rank_of(x) == axes + 1;
  if (alone) x = moire__unsqueeze(c, x, 0);
  moire_value y = axes == 1 ? (largest ? moire_max_pool1d_at(c->at, x, kernel[0], stride[0], padding[0])
                                       : moire_avg_pool1d_at(c->at, x, kernel[0], stride[0], padding[0]))
                            : (largest ? moire_max_pool2d_at(c->at, x, kernel, stride, padding)
                                       : moire_avg_pool2d_at(c->at, x, kernel, stride, padding));
  moire__give(c, alone ? moire__squeeze(c, y, 0) : y);
}

static void max_pool1d(moire__call *c) { pool(c, 1, true); }
static void max_pool2d(moire__call *c) { pool(c, 2, true); }
static void avg_pool1d(moire__call *c) { pool(c, 1, false); }
static void avg_pool2d(moire__call *c) { pool(c, 2, false); }

/* To one element: the mean of all. */
static void adaptive_mean(moire__call *c, int axes) {
  moire_value x = moire__tensor(c, "self");
  int64_t size[2];
  numbers(c, "output_size", 1, size, axes);
  if (size[0] != 1 || size[axes - 1] != 1)
    moire__refuse(c, "to more than one element is not imported: use avg_pool");
  int rank = rank_of(x), last[2] = {rank - axes, rank - 1};
  if (!c->why) moire__give(c, moire_mean_axes_at(c->at, x, axes, last, true));
}

static void adaptive_mean1d(moire__call *c) { adaptive_mean(c, 1); }
static void adaptive_mean2d(moire__call *c) { adaptive_mean(c, 2); }

const moire__aten_row moire__rows_sequence[] = {{"aten.conv1d.default", conv1d, false},
                                                {"aten.conv1d.padding", conv1d, false},
                                                {"aten.conv2d.default", conv2d, false},
                                                {"aten.conv2d.padding", conv2d, false},
                                                {"aten.conv_transpose1d.default", conv_transpose1d, false},
                                                {"aten.conv_transpose2d.input", conv_transpose2d, false},
                                                {"aten.convolution.default", any_convolution, false},
                                                {"aten.max_pool1d.default", max_pool1d, false},
                                                {"aten.max_pool2d.default", max_pool2d, false},
                                                {"aten.avg_pool1d.default", avg_pool1d, false},
                                                {"aten.avg_pool2d.default", avg_pool2d, false},
                                                {"aten.adaptive_avg_pool1d.default", adaptive_mean1d, false},
                                                {"aten.adaptive_avg_pool2d.default", adaptive_mean2d, false},
                                                {NULL, NULL, false}};
