/* The language: convolutions over one and two axes, by PyTorch's layouts and names. */
#include "compiler/ir/language/language.h"

typedef struct convolution {
  moire_value x, w, bias;
  const int64_t *stride, *padding, *dilation, *output_padding; /* of each axis; NULL: 1, 0, 1, 0 */
  int64_t groups;
} convolution;

static moire_value emit(moire_source at, moire__op op, int axes, const convolution *c) {
  static const int64_t ones[] = {1, 1}, none[] = {0, 0};
  if (moire_value_is_null(c->x) || moire_value_is_null(c->w) || (c->bias.graph && moire_value_is_null(c->bias)))
    return moire__null_like(c->x, c->w);
  moire_value operands[] = {c->x, c->w, c->bias};
  moire__attr attrs[] = {
      moire__attr_make_ints("stride", c->stride ? c->stride : ones, axes),
      moire__attr_make_ints("padding", c->padding ? c->padding : none, axes),
      moire__attr_make_ints("dilation", c->dilation ? c->dilation : ones, axes),
      moire__attr_make_int("groups", c->groups),
      moire__attr_make_ints("output_padding", c->output_padding ? c->output_padding : none, axes)};
  bool transposed = op == MOIRE__OP_conv_transpose1d || op == MOIRE__OP_conv_transpose2d;
  return moire__graph_emit(c->x.graph, at, op, operands, c->bias.graph ? 3 : 2, attrs, transposed ? 5 : 4);
}

moire_value moire_conv1d_at(moire_source at, moire_value x, moire_value w, moire_value bias, int64_t stride,
                            int64_t padding, int64_t dilation, int64_t groups) {
  const convolution c = {x, w, bias, &stride, &padding, &dilation, NULL, groups};
  return emit(at, MOIRE__OP_conv1d, 1, &c);
}

moire_value moire_conv2d_at(moire_source at, moire_value x, moire_value w, moire_value bias,
                            const int64_t *stride, const int64_t *padding, const int64_t *dilation,
                            int64_t groups) {
  const convolution c = {x, w, bias, stride, padding, dilation, NULL, groups};
  return emit(at, MOIRE__OP_conv2d, 2, &c);
}

moire_value moire_conv_transpose1d_at(moire_source at, moire_value x, moire_value w, moire_value bias,
                                      int64_t stride, int64_t padding, int64_t output_padding, int64_t groups,
                                      int64_t dilation) {
  const convolution c = {x, w, bias, &stride, &padding, &dilation, &output_padding, groups};
  return emit(at, MOIRE__OP_conv_transpose1d, 1, &c);
}

moire_value moire_conv_transpose2d_at(moire_source at, moire_value x, moire_value w, moire_value bias,
                                      const int64_t *stride, const int64_t *padding,
                                      const int64_t *output_padding, int64_t groups, const int64_t *dilation) {
  const convolution c = {x, w, bias, stride, padding, dilation, output_padding, groups};
  return emit(at, MOIRE__OP_conv_transpose2d, 2, &c);
}
