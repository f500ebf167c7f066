/* random_word: 32 random bits as an i32, Philox of the counters rng, attribute stream and the element's
 * row-major place in attribute shape: the words that random_mask compares. */
#include "compiler/ir/loop/lower.h"
#include "ops/attention/attend.h"
#include "ops/parts.h"
#include "ops/sample_row.h"
#include "ops/source/mask.h"
#include "ops/support.h"
#include "runtime/base/philox.h"

moire_status moire__random_word_infer(moire__infer *c) {
  const moire_shape *rng = &c->operands[0]->shape;
  MOIRE__TRY(moire__infer_dtype(c, 0, 1 << MOIRE_I32));
  if (rng->rank != 1 || rng->dims[0] != 3)
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "the counters are %s, wanted i32[3]",
                      moire__operand_type(c, 0).text);
  int64_t stream;
  moire_shape shape;
  MOIRE__TRY(moire__infer_int(c, "stream", 0, UINT32_MAX, &stream));
  MOIRE__TRY(moire__mask_infer_first(c));
  MOIRE__TRY(moire__infer_shape(c, "shape", &shape));
  return moire__infer_result(c, 0, MOIRE_I32, shape);
}

void moire__random_word_reference(moire__reference *c) {
  const double *rng = c->operands[0]->re;
  moire__tensor *y = c->results[0];
  uint32_t stream = (uint32_t)moire__node_int(c->node, "stream");
  int64_t first = moire__mask_first(c);
  uint32_t counters[3];
  for (int i = 0; i < 3; i++) counters[i] = (uint32_t)(int32_t)rng[i];
  for (int64_t i = 0; i < y->elements; i++) {
    uint32_t word = moire__philox_element(counters[0], counters[1], counters[2], stream, (uint64_t)(first + i));
    y->re[i] = (double)(int32_t)word;
  }
}

moire__loop_value moire__random_word_source(moire__lowering *l, const moire__node *node, moire__index *index) {
  moire__loop_builder *b = &l->builder;
  moire__loop_value words[5] = {0};
  moire__index counters = moire__lower_index(l->g, node->operands[0]);
  for (int i = 0; i < 3; i++) {
    counters.linear = moire__loop_index(b, i);
    words[i] = moire__lower_read(l, node->operands[0], &counters);
  }
  uint32_t stream = (uint32_t)moire__node_int(node, "stream");
  words[3] = moire__loop_const(b, MOIRE__LOOP_I32, (double)(int32_t)stream);
  words[4] = moire__lower_add(l, moire__lower_mask_first(l, node), moire__lower_index_linear(l, index));
  return moire__loop_emit(b, MOIRE__LOOP_random, words, 5);
}

bool moire__random_word_sample(moire__sampler *s) {
  moire_dim b = moire__sample_batch(s);
  const struct {
    moire__sample_kind kind;
    moire_shape rng, shape;
    int64_t stream;
    moire_status expected;
    moire_shape first;
  } cases[] = {
      {GOOD, S(3), S(b, 50), 0, ACCEPTED, SCALAR},   {GOOD, S(3), S(5, 31), UINT32_MAX, ACCEPTED, SCALAR},
      {HARD, S(3), SCALAR, 1, ACCEPTED, SCALAR},     {HARD, S(3), S(0, 3), 1, ACCEPTED, SCALAR},
      {HARD, S(3), S(1, 257), 7, ACCEPTED, SCALAR},  {WRONG, S(2), S(4), 1, BAD_SHAPE, SCALAR},
      {WRONG, S(3), S(4), -1, BAD_ARGUMENT, SCALAR}, {WRONG, S(3), S(-4), 1, BAD_SHAPE, SCALAR},
      {GOOD, S(3), S(b, 64), 2, ACCEPTED, S(b)},     {HARD, S(3), S(7), 2, ACCEPTED, S(33)},
      {WRONG, S(3), S(7), 2, BAD_ARGUMENT, S(1, 2)},
  };
  int i = MOIRE__SAMPLE_ROW(s, cases);
  if (i < 0) return false;
  s->no_gradient_check = true;
  moire_value rng = moire__sample_input(s, I32, cases[i].rng, -1000, 1000);
  moire__attr attrs[] = {moire__attr_make_int("stream", cases[i].stream),
                         moire__attr_make_dims("shape", &cases[i].shape),
                         moire__attr_make_dims("first", &cases[i].first)};
  int n_attrs = cases[i].first.rank ? 3 : 2;
  moire_value y = moire__sample_emit(s, MOIRE__OP_random_word, &rng, 1, attrs, n_attrs);
  return s->kind == WRONG ? moire__sample_refuse(s, cases[i].expected) : moire__sample_finish(s, y);
}
