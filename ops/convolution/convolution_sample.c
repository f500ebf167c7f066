/* Samples of conv1d, conv2d, conv_transpose1d and conv_transpose2d: every way that they can take. */
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/support.h"

typedef struct conv_case {
  moire__sample_kind kind;
  moire_dtype types[3]; /* of x, w and bias; the last is 0 where there is none */
  moire_dim batch;
  int64_t in, size[2], out, taps[2]; /* channels of all groups; of one axis: the second */
  int64_t stride[2], padding[2], dilation[2], output_padding[2], groups;
  moire_status expected;
} conv_case;

static bool emit_case(moire__sampler *s, moire__op op, int axes, bool transposed, const conv_case *k) {
  moire_shape x = MOIRE_SHAPE(k->batch, k->in), w = MOIRE_SHAPE(k->out, 0);
  int skipped = 2 - axes, groups = k->groups < 1 ? 1 : (int)k->groups;
  w.dims[0] = transposed ? k->in : k->out;
  w.dims[1] = (transposed ? k->out : k->in) / groups;
  for (int i = skipped; i < 2; i++) {
    x.dims[x.rank++] = k->size[i];
    w.dims[w.rank++] = k->taps[i];
  }
  moire_value operands[3] = {moire__sample_input(s, k->types[0], x, -1, 1),
                             moire__sample_input(s, k->types[1], w, -1, 1)};
  int n = 2;
  if (k->types[2]) operands[n++] = moire__sample_input(s, k->types[2], MOIRE_SHAPE(k->out), -1, 1);
  moire__attr attrs[] = {moire__attr_make_ints("stride", &k->stride[skipped], axes),
                         moire__attr_make_ints("padding", &k->padding[skipped], axes),
                         moire__attr_make_ints("dilation", &k->dilation[skipped], axes),
                         moire__attr_make_int("groups", k->groups),
                         moire__attr_make_ints("output_padding", &k->output_padding[skipped], axes)};
  moire_value y = moire__sample_emit(s, op, operands, n, attrs, transposed ? 5 : 4);
  return s->kind == WRONG ? moire__sample_refuse(s, k->expected) : moire__sample_finish(s, y);
}

#define NONE {0, 0}
#define ONES {1, 1}

bool moire__conv1d_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const conv_case cases[] = {
      {GOOD, {F32, F32, F32}, b, 3, {1, 9}, 4, {1, 3}, ONES, {0, 1}, ONES, NONE, 1, ACCEPTED},
      {GOOD, {C64, C64, C64}, 2, 3, {1, 8}, 4, {1, 3}, {1, 2}, {0, 1}, ONES, NONE, 1, ACCEPTED},
      {GOOD, {F32, F32, 0}, b, 6, {1, 11}, 4, {1, 3}, {1, 2}, {0, 2}, {1, 2}, NONE, 2, ACCEPTED},
      {GOOD, {F32, C64, F32}, 2, 2, {1, 6}, 3, {1, 4}, ONES, NONE, ONES, NONE, 1, ACCEPTED},
      {HARD, {C64, C64, 0}, b, 16, {1, 40}, 17, {1, 17}, ONES, {0, 8}, ONES, NONE, 1, ACCEPTED},
      {HARD, {C64, C64, 0}, 17, 18, {1, 9}, 16, {1, 9}, ONES, {0, 7}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, F32}, 2, 17, {1, 37}, 33, {1, 5}, ONES, {0, 4}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, b, 5, {1, 70}, 8, {1, 7}, {1, 3}, {0, 3}, {1, 2}, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 2, 3, {1, 1}, 2, {1, 3}, ONES, {0, 2}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, F32}, 2, 3, {1, 7}, 4, {1, 3}, {1, 3}, {0, 1}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, F32}, 2, 3, {1, 6}, 6, {1, 3}, ONES, {0, 1}, ONES, NONE, 3, ACCEPTED},
      {HARD, {F64, F64, F64}, 2, 3, {1, 6}, 2, {1, 3}, ONES, {0, 1}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 0, 3, {1, 6}, 2, {1, 3}, ONES, {0, 1}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, F32}, 1, 1, {1, 1}, 1, {1, 1}, ONES, NONE, ONES, NONE, 1, ACCEPTED},
      {WRONG, {F32, F32, F32}, 2, 3, {1, 0}, 8, {1, 3}, ONES, {0, 4}, ONES, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {1, 4}, 2, {1, 5}, ONES, NONE, ONES, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {1, 4}, 2, {1, 3}, {1, 0}, NONE, ONES, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {1, 4}, 2, {1, 3}, ONES, {0, -1}, ONES, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {1, 4}, 2, {1, 3}, ONES, NONE, ONES, NONE, 2, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {1, 4}, 2, {1, 3}, ONES, NONE, ONES, NONE, 0, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {1, b}, 2, {1, 3}, ONES, NONE, ONES, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, F64, 0}, 2, 3, {1, 4}, 2, {1, 3}, ONES, NONE, ONES, NONE, 1, BAD_TYPE},
      {WRONG, {I32, F32, 0}, 2, 3, {1, 4}, 2, {1, 3}, ONES, NONE, ONES, NONE, 1, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  return i >= 0 && emit_case(s, MOIRE__OP_conv1d, 1, false, &cases[i]);
}

bool moire__conv2d_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const conv_case cases[] = {
      {GOOD, {F32, F32, F32}, b, 3, {5, 6}, 4, {3, 3}, ONES, ONES, ONES, NONE, 1, ACCEPTED},
      {GOOD, {C64, C64, C64}, 2, 2, {4, 5}, 3, {3, 2}, {1, 2}, {1, 0}, ONES, NONE, 1, ACCEPTED},
      {GOOD, {F32, F32, 0}, b, 4, {6, 7}, 2, {2, 3}, {2, 3}, {1, 2}, {3, 2}, NONE, 2, ACCEPTED},
      {HARD, {F32, F32, F32}, 2, 17, {9, 18}, 35, {3, 3}, ONES, ONES, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, b, 5, {8, 9}, 8, {3, 3}, {2, 2}, ONES, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 1, 3, {9, 20}, 16, {4, 5}, {3, 2}, {0, 4}, {2, 3}, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 2, 3, {4, 7}, 3, {2, 3}, {2, 3}, {0, 1}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, F32}, 2, 3, {3, 4}, 3, {1, 1}, {1, 2}, NONE, ONES, NONE, 1, ACCEPTED},
      {HARD, {C64, F32, 0}, 2, 16, {6, 7}, 16, {3, 3}, ONES, ONES, ONES, NONE, 1, ACCEPTED},
      {HARD, {C64, C64, 0}, b, 8, {6, 7}, 16, {3, 3}, ONES, ONES, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, F32}, b, 16, {5, 7}, 32, {3, 3}, ONES, ONES, ONES, NONE, 2, ACCEPTED},
      {HARD, {F32, F32, 0}, 0, 3, {4, 4}, 2, {3, 3}, ONES, ONES, ONES, NONE, 1, ACCEPTED},
      {WRONG, {F32, F32, 0}, 2, 3, {4, 4}, 2, {5, 3}, ONES, NONE, ONES, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {4, 4}, 2, {3, 3}, ONES, NONE, {1, 0}, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {b, 4}, 2, {3, 3}, ONES, NONE, ONES, NONE, 1, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  return i >= 0 && emit_case(s, MOIRE__OP_conv2d, 2, false, &cases[i]);
}

bool moire__conv_transpose1d_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const conv_case cases[] = {
      {GOOD, {F32, F32, F32}, b, 3, {1, 5}, 4, {1, 3}, ONES, {0, 1}, ONES, NONE, 1, ACCEPTED},
      {GOOD, {C64, C64, 0}, 2, 2, {1, 5}, 3, {1, 3}, {1, 2}, {0, 1}, {1, 2}, {0, 1}, 1, ACCEPTED},
      {GOOD, {F32, F32, 0}, b, 4, {1, 4}, 6, {1, 2}, {1, 2}, {0, 1}, {1, 3}, {0, 2}, 2, ACCEPTED},
      {HARD, {F32, F32, F32}, 2, 17, {1, 21}, 18, {1, 4}, {1, 2}, {0, 1}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 2, 3, {1, 4}, 2, {1, 3}, {1, 3}, {0, 1}, ONES, {0, 2}, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 2, 16, {1, 4}, 16, {1, 2}, {1, 4}, NONE, ONES, {0, 3}, 1, ACCEPTED},
      {HARD, {C64, C64, C64}, b, 16, {1, 30}, 16, {1, 9}, ONES, {0, 4}, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 2, 16, {1, 9}, 17, {1, 3}, {1, 2}, {0, 6}, {1, 4}, {0, 3}, 1, ACCEPTED},
      {HARD, {F64, F64, 0}, 2, 3, {1, 4}, 2, {1, 3}, {1, 2}, NONE, ONES, NONE, 1, ACCEPTED},
      {WRONG, {F32, F32, 0}, 2, 3, {1, 4}, 2, {1, 3}, {1, 2}, NONE, ONES, {0, 2}, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {1, 2}, 2, {1, 2}, ONES, {0, 4}, ONES, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {1, b}, 2, {1, 2}, ONES, NONE, ONES, NONE, 1, BAD_SHAPE},
      {WRONG, {F32, I32, 0}, 2, 3, {1, 4}, 2, {1, 2}, ONES, NONE, ONES, NONE, 1, BAD_TYPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  return i >= 0 && emit_case(s, MOIRE__OP_conv_transpose1d, 1, true, &cases[i]);
}

bool moire__conv_transpose2d_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const conv_case cases[] = {
      {GOOD, {F32, F32, F32}, b, 3, {3, 4}, 4, {3, 2}, {2, 1}, {1, 0}, ONES, {1, 0}, 1, ACCEPTED},
      {GOOD, {C64, C64, 0}, 2, 2, {3, 3}, 3, {2, 3}, {1, 2}, {0, 1}, {2, 1}, {1, 0}, 1, ACCEPTED},
      {GOOD, {F32, F32, 0}, 2, 4, {2, 3}, 4, {2, 2}, {2, 2}, NONE, ONES, NONE, 2, ACCEPTED},
      {HARD, {F32, F32, F32}, b, 16, {5, 6}, 17, {3, 3}, {2, 2}, ONES, ONES, ONES, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 1, 16, {4, 5}, 16, {4, 4}, {2, 3}, {1, 2}, ONES, NONE, 1, ACCEPTED},
      {HARD, {C64, C64, 0}, 2, 8, {5, 4}, 16, {3, 3}, ONES, ONES, ONES, NONE, 1, ACCEPTED},
      {HARD, {F32, F32, 0}, 2, 3, {1, 1}, 2, {3, 2}, {3, 1}, {0, 0}, {1, 2}, {2, 1}, 1, ACCEPTED},
      {WRONG, {F32, F32, 0}, 2, 3, {3, 4}, 2, {3, 3}, {2, 2}, NONE, ONES, {2, 0}, 1, BAD_SHAPE},
      {WRONG, {F32, F32, 0}, 2, 3, {3, 4}, 2, {3, 3}, {2, 2}, NONE, ONES, NONE, 2, BAD_SHAPE},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  return i >= 0 && emit_case(s, MOIRE__OP_conv_transpose2d, 2, true, &cases[i]);
}
