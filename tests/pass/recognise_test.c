/* Attention written in primitives compiles to the kernels and the plan of attention written with the composite:
 * every spelling of scores and masks, real and complex, with and without gradients, and where demand and pack
 * find less to do. */
#include <criterion/criterion.h>

#include "compiler/ir/graph/graph.h"
#include "moire/compile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum score { ABS2, CONJUGATE, PLANES, REAL, REAL_AND_BIAS, EINSUM } score;
typedef enum masking {
  NONE,
  WHERE,
  NUMBER,
  APART,
  INFINITE,
  FILLED,
  FILLED_TWICE,
  FILLED_FINITE,
  BLOCKED,
  PADDED
} masking;

typedef struct attention_case {
  const char *name;
  score score;
  masking mask;
  bool causal, valid, last; /* last: only the last query is read */
  double dropout;
} attention_case;

static const attention_case cases[] = {
    {"interference", ABS2, WHERE, true, true, false, 0.3},
    {"interference, packed", ABS2, WHERE, true, true, true, 0.3},
    {"no mask", ABS2, NONE, false, false, false, 0},
    {"conjugate", CONJUGATE, WHERE, true, false, false, 0},
    {"a mask of numbers", ABS2, NUMBER, true, true, false, 0.3},
    {"planes", PLANES, NUMBER, false, true, false, 0},
    {"real", REAL, WHERE, true, true, false, 0.3},
    {"real, a mask of -infinity", REAL, INFINITE, true, true, false, 0.3},
    {"a mask of -infinity", ABS2, INFINITE, true, false, true, 0},
    {"einsum", EINSUM, FILLED, true, true, false, 0.3},
    {"masked_fill", REAL, FILLED, true, true, false, 0.3},
    {"masked_fill of padding", ABS2, FILLED, false, true, true, 0},
    {"masked_fill twice, before it is scaled", REAL, FILLED_TWICE, true, true, false, 0.3},
    {"masked_fill with the lowest number", REAL, FILLED_FINITE, true, false, false, 0},
    {"a mask of what is blocked", REAL, BLOCKED, true, true, false, 0},
    {"a mask of blocked padding", REAL, BLOCKED, false, true, false, 0},
    {"masked_fill by a bool of padding", REAL, PADDED, false, true, false, 0},
    {"masked_fill beside a bias of products", REAL_AND_BIAS, FILLED, true, true, false, 0},
    {"real, packed", REAL, NUMBER, true, true, true, 0.3},
    {"real, padding", REAL, APART, false, true, false, 0},
    {"real with a bias of products", REAL_AND_BIAS, WHERE, true, true, false, 0.3},
};

#define NAME ":_.+0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum { HEADS = 2, LENGTH = 7, WIDTH = 4 };
static const double scale = 0.5, mask_value = -10000;

typedef struct model {
  moire_graph *g;
  moire_dim b;
  moire_value q, k, v, extra, valid, padding; /* extra: what the bias is made of */
} model;

/* [B, L, heads * width] by head, of an input and a parameter, so that there are gradients. */
static moire_value heads(const model *m, const char *name) {
  char parameter[16] = "w_";
  strcat(parameter, name);
  moire_value x = moire_input(m->g, name, MOIRE_F32, MOIRE_SHAPE(m->b, LENGTH, HEADS * WIDTH));
  moire_value w = moire_parameter(m->g, parameter, MOIRE_SHAPE(HEADS * WIDTH), moire_init_constant(1));
  static const int axes[] = {0, 2, 1, 3};
  x = moire_reshape(moire_mul(x, w), MOIRE_SHAPE(m->b, LENGTH, HEADS, WIDTH));
  return moire_permute(x, 4, axes);
}

static moire_value waves(const model *m, const char *re, const char *im) {
  moire_value real = heads(m, re);
  return moire_complex(real, heads(m, im));
}

static model begin(const attention_case *c) {
  model m = {.g = moire_graph_create("attention", MOIRE_TRAINING)};
  m.b = moire_extent(m.g, "B");
  moire_value ids = moire_input(m.g, "ids", MOIRE_I32, MOIRE_SHAPE(m.b, LENGTH));
  m.valid = moire_less(moire_constant(m.g, MOIRE_I32, MOIRE_SCALAR, 0), ids);
  m.padding = moire_less_equal(ids, moire_constant(m.g, MOIRE_I32, MOIRE_SCALAR, 0));
  bool real = c->score >= REAL;
  m.q = real ? heads(&m, "q") : waves(&m, "q", "qi");
  m.k = real ? heads(&m, "k") : waves(&m, "k", "ki");
  m.v = real ? heads(&m, "v") : waves(&m, "v", "vi");
  if (c->score == REAL_AND_BIAS) m.extra = heads(&m, "extra");
  return m;
}

static moire_value written_score(const attention_case *c, const model *m) {
  moire_value product = moire_matmul(m->q, moire_hermitian(m->k));
  switch (c->score) {
    case ABS2: return moire_scale(moire_abs2(product), scale);
    case CONJUGATE:
      return moire_div(moire_real(moire_mul(product, moire_conj(product))),
                       moire_constant(m->g, MOIRE_F32, MOIRE_SCALAR, 1 / scale));
    case PLANES: {
      moire_value re = moire_real(product), im = moire_imag(product);
      return moire_scale(moire_add(moire_mul(re, re), moire_mul(im, im)), scale);
    }
    case REAL: return moire_scale(product, scale);
    case EINSUM: return moire_scale(moire_einsum("bhqd,bhkd->bhqk", (moire_value[]){m->q, m->k}, 2), scale);
    case REAL_AND_BIAS:
      return moire_scale(moire_add(product, moire_matmul(m->extra, moire_swap_axes(m->extra, 2, 3))), scale);
  }
  return product;
}

/* bool, or null where all is allowed */
static moire_value written_allowed(const attention_case *c, const model *m) {
  moire_value key = moire_iota(m->g, MOIRE_SHAPE(LENGTH, LENGTH), 1),
              query = moire_iota(m->g, MOIRE_SHAPE(LENGTH, LENGTH), 0), allowed = {0};
  if (c->causal) allowed = moire_less_equal(key, query);
  if (!c->valid) return allowed;
  moire_value valid = moire_reshape(m->valid, MOIRE_SHAPE(m->b, 1, 1, LENGTH));
  return c->causal ? moire_and(allowed, valid) : valid;
}

static moire_value number(const model *m, double x) { return moire_constant(m->g, MOIRE_F32, MOIRE_SCALAR, x); }

static moire_value written(const attention_case *c, const model *m) {
  moire_value s = written_score(c, m), allowed = written_allowed(c, m);
  if (c->mask == WHERE) s = moire_add(s, moire_where(allowed, number(m, 0), number(m, mask_value)));
  if (c->mask == INFINITE) s = moire_add(s, moire_where(allowed, number(m, 0), number(m, -INFINITY)));
  if (c->mask == NUMBER) {
    moire_value masked = moire_sub(number(m, 1), moire_cast(allowed, MOIRE_F32));
    s = moire_add(s, moire_scale(masked, mask_value));
  }
  if (c->mask == FILLED) s = moire_masked_fill(s, moire_not(allowed), -INFINITY);
  if (c->mask == PADDED)
    s = moire_masked_fill(s, moire_reshape(m->padding, MOIRE_SHAPE(m->b, 1, 1, LENGTH)), -INFINITY);
  if (c->mask == FILLED_FINITE) s = moire_masked_fill(s, moire_not(allowed), -3.4e38);
  if (c->mask == BLOCKED) s = moire_add(s, moire_where(moire_not(allowed), number(m, -INFINITY), number(m, 0)));
  if (c->mask == FILLED_TWICE) { /* key > query; keys of padding */
    moire_value key = moire_iota(m->g, MOIRE_SHAPE(LENGTH, LENGTH), 1),
                query = moire_iota(m->g, MOIRE_SHAPE(LENGTH, LENGTH), 0);
    moire_value valid = moire_reshape(m->valid, MOIRE_SHAPE(m->b, 1, 1, LENGTH));
    s = moire_masked_fill(moire_scale(s, 1 / scale), moire_less(query, key), -INFINITY);
    s = moire_scale(moire_where(valid, s, number(m, -INFINITY)), scale);
  }
  if (c->mask == APART) s = moire_add(moire_where(allowed, number(m, 0), number(m, mask_value)), s);
  moire_value p = moire_dropout(moire_softmax(s), c->dropout);
  return c->score == EINSUM ? moire_einsum("bhqk,bhkd->bhqd", (moire_value[]){p, m->v}, 2)
                            : moire_matmul(p, m->v);
}

static moire_value composite(const attention_case *c, const model *m) {
  bool real = c->score >= REAL;
  moire_attention_options options = {.score = real ? MOIRE_SCORE_DOT : MOIRE_SCORE_INTERFERENCE,
                                     .scale = scale,
                                     .mask_value = c->mask >= INFINITE ? -1e9 : mask_value,
                                     .causal = c->causal,
                                     .dropout = c->dropout};
  if (c->valid) options.key_valid = c->mask == PADDED ? moire_not(m->padding) : m->valid;
  if (c->score != REAL_AND_BIAS) return moire_attention(m->q, m->k, m->v, options);
  moire_value q[] = {m->q, m->extra}, k[] = {m->k, m->extra};
  moire_value left = moire_concat(q, 2, 3), right = moire_concat(k, 2, 3);
  return moire_attention(left, right, m->v, options);
}

/* Names of values and kernels, and lines of the model, are left out: "...", @name and :number. */
static void drop_names(char *text) {
  char *to = text;
  bool quoted = false;
  for (const char *from = text; *from; from++) {
    if (*from == '"') quoted = !quoted;
    if (quoted) continue;
    *to++ = *from;
    if (*from == '@' || (*from == '"' && from[1] == ':')) from += strspn(from + 1, NAME);
  }
  *to = 0;
}

static char *compiled(const attention_case *c, bool spelled, const char *after) {
  model m = begin(c);
  moire_value y = spelled ? written(c, &m) : composite(c, &m);
  if (c->last) y = moire_slice(y, 2, LENGTH - 1, 1);
  bool real = c->score >= REAL;
  moire_output(m.g, "loss", moire_sum_all(real ? moire_mul(y, y) : moire_abs2(y)));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"loss"};
  options.n_outputs = 1;
  options.loss = "loss";
  options.keep_gradients = true;
  moire_error error = {0};
  char *text = moire_compile_print(m.g, &options, after, &error);
  cr_assert_not_null(text, "%s: %s", c->name, error.message);
  moire_graph_destroy(m.g);
  drop_names(text);
  return text;
}

Test(recognise, spelled_as_composite) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    static const char *const stages[] = {"lower", "memory_plan"};
    for (int s = 0; s < 2; s++) {
      char *spelled = compiled(&cases[i], true, stages[s]), *whole = compiled(&cases[i], false, stages[s]);
      cr_assert_str_eq(spelled, whole, "%s, after %s", cases[i].name, stages[s]);
      free(spelled);
      free(whole);
    }
    char *fused = compiled(&cases[i], true, "fuse");
    cr_assert_not_null(strstr(fused, "= attend"), "%s", cases[i].name);
    cr_assert_null(strstr(fused, "softmax"), "%s", cases[i].name);
    free(fused);
  }
}

/* Weights that are read elsewhere stay what they are. */
Test(recognise, weights_that_are_handed_out) {
  const attention_case *c = &cases[0];
  model m = begin(c);
  moire_value p = moire_softmax(written_score(c, &m));
  moire_output(m.g, "weights", p);
  moire_output(m.g, "y", moire_abs2(moire_matmul(p, m.v)));
  moire_compile_options options = moire_compile_defaults();
  options.outputs = (const char *[]){"weights", "y"};
  options.n_outputs = 2;
  moire_error error = {0};
  char *text = moire_compile_print(m.g, &options, "recognise", &error);
  cr_assert_not_null(text, "%s", error.message);
  cr_assert_null(strstr(text, "attention("));
  cr_assert_not_null(strstr(text, "softmax("));
  free(text);
  moire_graph_destroy(m.g);
}
