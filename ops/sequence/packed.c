/* What ops on the tokens of packed samples share: see ops/sequence/packed.h. */
#include "ops/sequence/packed.h"
#include "ops/support.h"

moire_status moire__infer_packed(moire__infer *c, int first, int n) {
  const moire_shape *x = &c->operands[0]->shape;
  for (int i = first; i < first + n; i++) {
    MOIRE__TRY(moire__infer_dtype(c, i, 1u << MOIRE_I32));
    MOIRE__TRY(moire__infer_rank(c, i, 1, 1));
  }
  if (!moire__packed_filter_fits(x->dims[1], x->dims[2]))
    return moire_fail(c->error, MOIRE_ERROR_SHAPE,
                      "x is %s, wanted fixed numbers of positions and channels, and less of them",
                      moire__operand_type(c, 0).text);
  moire_dim places = 0, wanted[4] = {c->operands[first]->shape.dims[0]};
  bool fits = moire__dim_multiply(x->dims[0], x->dims[1], &places);
  if (n == 4) wanted[1] = places;
  wanted[n - 2] = wanted[n - 1] = x->dims[0];
  for (int i = 0; i < n; i++) {
    if (fits && c->operands[first + i]->shape.dims[0] == wanted[i]) continue;
    return moire_fail(c->error, MOIRE_ERROR_SHAPE, "x is %s, but operand %d is %s",
                      moire__operand_type(c, 0).text, first + i, moire__operand_type(c, first + i).text);
  }
  return MOIRE_OK;
}

bool moire__packed_is_sound(const moire__reference *c, int tokens, int starts, int counts, int64_t length) {
  const moire__tensor *token = c->operands[tokens], *start_of = c->operands[starts];
  int64_t next = 0;
  bool sound = true;
  for (int64_t b = 0; b < start_of->elements && sound; b++) {
    int64_t start = (int64_t)start_of->re[b], count = (int64_t)c->operands[counts]->re[b];
    sound =
        start == next && count >= (token->elements > 0) && count <= length && count <= token->elements - start;
    for (int64_t t = start; sound && t < start + count; t++) {
      int64_t position = (int64_t)token->re[t] - b * length;
      sound = position >= 0 && position < length;
    }
    next = start + count;
  }
  if (sound && next == token->elements) return true;
  moire_fail(c->error, MOIRE_ERROR_ARGUMENT, "tokens, starts and counts are of no packed batch");
  return false;
}

/* Where a piece of an array of integers ends; it counts on from `from`, or is -1 if that is negative. */
typedef struct piece {
  int64_t end, from;
} piece;

static moire_value integer(moire__sampler *s, int64_t number) {
  return moire_constant(s->g, MOIRE_I32, MOIRE_SCALAR, (double)number);
}

static moire_value integers(moire__sampler *s, const piece *pieces, int n) {
  moire_value at = moire_iota(s->g, MOIRE_SHAPE(pieces[n - 1].end), 0), all = {0};
  for (int i = n; i-- > 0;) {
    int64_t begin = i ? pieces[i - 1].end : 0;
    bool none = pieces[i].from < 0;
    moire_value own = none ? integer(s, -1) : moire_add(at, integer(s, pieces[i].from - begin));
    all = i == n - 1 ? moire_broadcast(own, moire_value_shape(at))
                     : moire_where(moire_less(at, integer(s, pieces[i].end)), own, all);
  }
  return all;
}

moire__sample_packing moire__sample_pack(moire__sampler *s, int64_t length) {
  enum { SAMPLES = 3 };
  moire__sample_packing p = {.n_tokens = SAMPLES * length};
  if (length < 6) {
    p.tokens = p.slots = integers(s, (const piece[]){{SAMPLES * length, 0}}, 1);
    p.starts = integers(s, (const piece[]){{1, 0}, {2, length}, {SAMPLES, 2 * length}}, 3);
    p.counts = integers(s, (const piece[]){{1, length}, {2, length}, {SAMPLES, length}}, 3);
    return p;
  }
  p.n_tokens = 5 + length - 1;
  p.tokens =
      integers(s, (const piece[]){{4, 0}, {5, length}, {8, 2 * length}, {p.n_tokens, 2 * length + 4}}, 4);
  const piece slots[] = {{4, 0},
                         {length, -1},
                         {length + 1, 4},
                         {2 * length, -1},
                         {2 * length + 3, 5},
                         {2 * length + 4, -1},
                         {SAMPLES * length, 8}};
  p.slots = integers(s, slots, 7);
  p.starts = integers(s, (const piece[]){{1, 0}, {SAMPLES, 4}}, 2);
  p.counts = integers(s, (const piece[]){{1, 4}, {2, 1}, {SAMPLES, length - 1}}, 3);
  return p;
}
