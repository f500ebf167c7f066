/* attend_past, attend_past_real as a loop nest: a query of a head of a row is a piece.
 *
 * Keys come in blocks, those of the cache first, with a running softmax: lanes are channels where scores are
 * summed and values added up, and keys in between (as in lower_attend_single.c). So what is computed does not
 * depend on how much room the cache has. */
#include "compiler/ir/loop/lower.h"
#include "ops/attention/attend_past.h"
#include "ops/parts.h"

typedef moire__loop_value value;

enum { KEYS = 256 };

typedef struct past {
  moire__lowering *l;
  moire__loop_builder *b;
  moire__past_layout at;
  int64_t d, e;
  double scale;
  bool interference;
  value row, head, key_head, query;
  moire__loop_buffer scores, sums[2]; /* of a block of keys; the result before it is divided */
  moire__loop_var largest, total;
} past;

static value number(const past *s, int64_t x) { return moire__loop_index(s->b, x); }
static value real(const past *s, double x) { return moire__loop_const(s->b, MOIRE__LOOP_F32, x); }
static value two(const past *s, moire__loop_op op, value x, value y) {
  return moire__loop_binary(s->b, op, x, y);
}
static value plus_product(const past *s, value x, value y, value z) {
  return moire__loop_ternary(s->b, MOIRE__LOOP_fma, x, y, z);
}
static value exponential(const past *s, value x) { return moire__loop_unary(s->b, MOIRE__LOOP_exp, x); }

static value lanes_over(const past *s, value n) {
  return moire__loop_for(s->b, number(s, 0), n, 1, s->l->target.lanes);
}

/* Element (row, head, position, channel) of a plane of an operand. */
static value element(const past *s, int operand, value head, value position, value channel) {
  moire__view view = moire__lower_view(s->l, s->l->node->operands[operand]);
  const value at[MOIRE_MAX_RANK] = {s->row, head, position, channel};
  return moire__loop_load(s->b, moire__lower_buffer(s->l, view.base), moire__lower_address(s->l, &view, at));
}

/* The score of a key: s, from sums over channels. */
static void store_score(const past *s, int keys, value position, value slot) {
  moire__loop_var sum[2] = {0};
  int parts = s->at.planes == 2 && s->interference ? 2 : 1;
  for (int p = 0; p < parts; p++) sum[p] = moire__loop_declare(s->b, real(s, 0));
  value c = lanes_over(s, number(s, s->d)), q[2] = {0}, k[2] = {0};
  for (int p = 0; p < s->at.planes; p++) {
    q[p] = element(s, p, s->head, s->query, c);
    k[p] = element(s, keys + p, s->key_head, position, c);
  }
  for (int p = 0; p < parts; p++) {
    value product = two(s, MOIRE__LOOP_mul, p ? q[1] : q[0], k[0]);
    if (s->at.planes == 2)
      product = plus_product(s, p ? moire__loop_unary(s->b, MOIRE__LOOP_neg, q[0]) : q[1], k[1], product);
    moire__loop_reduce(s->b, sum[p], MOIRE__LOOP_add, product);
  }
  moire__loop_end(s->b);
  value score = moire__loop_get(s->b, sum[0]);
  if (s->interference) {
    score = two(s, MOIRE__LOOP_mul, score, score);
    if (parts == 2) {
      value im = moire__loop_get(s->b, sum[1]);
      score = plus_product(s, im, im, score);
    }
  }
  moire__loop_store(s->b, s->scores, slot, two(s, MOIRE__LOOP_mul, score, real(s, s->scale)));
}

/* Scores of n keys from `from` on become weights; *rescale is what sums so far are multiplied by. */
static value weigh(past *s, value n) {
  moire__loop_var top = moire__loop_declare(s->b, moire__loop_get(s->b, s->largest));
  value key = lanes_over(s, n);
  moire__loop_reduce(s->b, top, MOIRE__LOOP_max, moire__loop_load(s->b, s->scores, key));
  moire__loop_end(s->b);
  value largest = moire__loop_get(s->b, top);
  value rescale = exponential(s, two(s, MOIRE__LOOP_sub, moire__loop_get(s->b, s->largest), largest));
  moire__loop_var sum = moire__loop_declare(s->b, real(s, 0));
  key = lanes_over(s, n);
  value weight = exponential(s, two(s, MOIRE__LOOP_sub, moire__loop_load(s->b, s->scores, key), largest));
  moire__loop_store(s->b, s->scores, key, weight);
  moire__loop_reduce(s->b, sum, MOIRE__LOOP_add, weight);
  moire__loop_end(s->b);
  moire__loop_set(s->b, s->total,
                  plus_product(s, moire__loop_get(s->b, s->total), rescale, moire__loop_get(s->b, sum)));
  moire__loop_set(s->b, s->largest, largest);
  return rescale;
}

static void add_values(const past *s, int values, value from, value n, value rescale) {
  value c = lanes_over(s, number(s, s->e));
  moire__loop_var sum[2] = {0};
  for (int p = 0; p < s->at.planes; p++)
    sum[p] = moire__loop_declare(s->b, two(s, MOIRE__LOOP_mul, moire__loop_load(s->b, s->sums[p], c), rescale));
  value key = moire__loop_for(s->b, number(s, 0), n, 1, 1), weight = moire__loop_load(s->b, s->scores, key);
  value position = moire__lower_add(s->l, from, key);
  for (int p = 0; p < s->at.planes; p++) {
    value v = element(s, values + p, s->key_head, position, c);
    moire__loop_set(s->b, sum[p], plus_product(s, weight, v, moire__loop_get(s->b, sum[p])));
  }
  moire__loop_end(s->b);
  for (int p = 0; p < s->at.planes; p++) moire__loop_store(s->b, s->sums[p], c, moire__loop_get(s->b, sum[p]));
  moire__loop_end(s->b);
}

/* The first `count` keys and values of two operands. */
static void attend(past *s, int keys, int values, value count) {
  value from = moire__loop_for(s->b, number(s, 0), count, KEYS, 1);
  value n = two(s, MOIRE__LOOP_min, two(s, MOIRE__LOOP_sub, count, from), number(s, KEYS));
  value key = moire__loop_for(s->b, number(s, 0), n, 1, 1);
  store_score(s, keys, moire__lower_add(s->l, from, key), key);
  moire__loop_end(s->b);
  value rescale = weigh(s, n);
  add_values(s, values, from, n, rescale);
  moire__loop_end(s->b);
}

/* How many keys of the cache the row has: from 0 to what there is room for. */
static value cached_keys(const past *s) {
  moire__view view = moire__lower_view(s->l, s->l->node->operands[s->at.first]);
  const value at[MOIRE_MAX_RANK] = {s->row};
  value first =
      moire__loop_load(s->b, moire__lower_buffer(s->l, view.base), moire__lower_address(s->l, &view, at));
  first = moire__loop_cast(s->b, first, MOIRE__LOOP_I64);
  moire_dim room = s->l->g->values[s->l->node->operands[s->at.past_k]].shape.dims[2];
  first = two(s, MOIRE__LOOP_max, first, number(s, 0));
  return two(s, MOIRE__LOOP_min, first, moire__loop_extent(s->b, room));
}

static void zero_sums(const past *s) {
  value c = lanes_over(s, number(s, s->e));
  for (int p = 0; p < s->at.planes; p++) moire__loop_store(s->b, s->sums[p], c, real(s, 0));
  moire__loop_end(s->b);
}

static void write_sums(const past *s, value piece) {
  value per = two(s, MOIRE__LOOP_div, real(s, 1), moire__loop_get(s->b, s->total));
  value first = moire__lower_mul(s->l, piece, number(s, s->e));
  value c = lanes_over(s, number(s, s->e));
  for (int p = 0; p < s->at.planes; p++)
    moire__lower_write(s->l, s->l->node->first_result + p, moire__lower_add(s->l, first, c),
                       two(s, MOIRE__LOOP_mul, moire__loop_load(s->b, s->sums[p], c), per));
  moire__loop_end(s->b);
}

static void lower(moire__lowering *l) {
  past s = {.l = l, .b = &l->builder, .at = moire__past_layout_of(l->node)};
  const moire_dim *q = l->g->values[l->node->operands[0]].shape.dims;
  int64_t group = q[1] / l->g->values[l->node->operands[s.at.k]].shape.dims[1];
  moire_dim count = 0;
  s.d = q[3];
  s.e = l->g->values[l->node->operands[s.at.v]].shape.dims[3];
  s.scale = moire__node_real(l->node, "scale");
  s.interference = moire__node_int(l->node, "interference") != 0;
  moire__dim_multiply(q[0], q[2], &count);
  moire__dim_multiply(count, q[1], &count);
  for (int i = 0; i < l->node->n_operands; i++) moire__lower_add_reads(l, l->node->operands[i]);
  for (int p = 0; p < s.at.planes; p++) moire__lower_add_write(l, l->node->first_result + p);
  s.scores = moire__loop_add_local(l->kernel, "scores", MOIRE__LOOP_F32, KEYS);
  for (int p = 0; p < s.at.planes; p++)
    s.sums[p] = moire__loop_add_local(l->kernel, "sums", MOIRE__LOOP_F32, s.e);
  moire__lower_body(l, count, 1);
  /* A result's rows, in order: position by position, head by head. */
  value piece = l->kernel->parallel, heads = number(&s, q[1]), here = moire__loop_extent(s.b, q[2]);
  value place = two(&s, MOIRE__LOOP_div, piece, heads);
  s.head = two(&s, MOIRE__LOOP_mod, piece, heads);
  s.key_head = group == 1 ? s.head : two(&s, MOIRE__LOOP_div, s.head, number(&s, group));
  s.row = two(&s, MOIRE__LOOP_div, place, here);
  s.query = two(&s, MOIRE__LOOP_mod, place, here);
  s.largest = moire__loop_declare(s.b, real(&s, -__builtin_inf()));
  s.total = moire__loop_declare(s.b, real(&s, 0));
  zero_sums(&s);
  attend(&s, s.at.past_k, s.at.past_v, cached_keys(&s));
  attend(&s, s.at.k, s.at.v, moire__lower_add(l, s.query, number(&s, 1)));
  write_sums(&s, piece);
  moire__lower_finish(l);
}

void moire__attend_past_lower(moire__lowering *l) { lower(l); }
void moire__attend_past_real_lower(moire__lowering *l) { lower(l); }
