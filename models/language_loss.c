/* The loss of a language model, with or without a teacher, and what its training reports.
 *
 *   n      counted positions: targets that are not -100
 *   ce   = -1/n sum log softmax(z)[target]
 *   p, l = softmax(u / tau), log softmax(u / tau) of the teacher's logits u, q = log softmax(z / tau)
 *   kd   = tau^2/n sum_t [c_t > kd_gate] sum_v p_v (l_v - q_v)
 *   H_t  = -sum_v p_v l_v / ln V,   c_t = max_v p_v
 *   phase = 1/n sum_t [c_t > aux_gate] (mean |angle| - pi H_t)^2
 *   mag   = 1/n sum_t [c_t > aux_gate] (mean magnitude - mag_target_scale c_t)^2
 *   loss = ce + kd_weight kd + aux_weight (phase + mag)
 *
 * Weights go from their first value to their second with the input `progress`, from 0 to 1. A teacher of the K
 * largest logits alone is renormalised over those, and q is gathered at their ids.
 */
#include "models/language_model.h"

#include <math.h>

typedef struct loss {
  const moire__language *m;
  moire_value counts;     /* bool[B, T]: the position does */
  moire_value counted;    /* the same as f32, 1 where it does */
  moire_value n;          /* f32[]: how many do; 1 if none does */
  moire_value p, l, ids;  /* [B, T, K]: the teacher's probabilities and their logarithms; ids null: all words */
  moire_value confidence; /* f32[B, T] */
  moire_value progress;   /* f32[]: how far training is */
} loss;

static moire_value scalar(const loss *f, double x) {
  return moire_constant(f->m->g, MOIRE_F32, MOIRE_SCALAR, x);
}

/* 1/n of the sum of what the positions that count have. */
static moire_value mean_of(const loss *f, moire_value x) {
  return moire_div(moire_sum_all(moire_mul(x, f->counted)), f->n);
}

/* An output [B, T] that is 0 where the position does not count. */
static void report(const loss *f, const char *name, moire_value x) {
  moire_value none = moire_constant(f->m->g, moire_value_dtype(x), moire_value_shape(x), 0);
  moire_output(f->m->g, name, moire_where(f->counts, x, none));
}

/* x [B, T] where the teacher is surer than the key says. */
static moire_value gated(const loss *f, const char *key, moire_value x) {
  double gate = moire_config_real(f->m->config, key);
  if (gate == 0) return x;
  moire_value open = moire_less(scalar(f, gate), f->confidence);
  return moire_where(open, x, moire_constant(f->m->g, MOIRE_F32, moire_value_shape(x), 0));
}

moire_value moire__language_magnitude(moire_value state) {
  return moire_sqrt(moire_add_scalar(moire_abs2(state), 1e-6));
}

/* ---- The teacher --------------------------------------------------------------------------------------------
 */

/* The teacher's logits u [B, T, V] or [B, T, K]; null: there is none. */
static moire_value teacher(loss *f) {
  const moire__language *m = f->m;
  moire_value u = {0};
  const char *kind = moire_config_string(m->config, "distil");
  if (kind[0] == 'f') {
    u = moire_input(m->g, "teacher_logits", MOIRE_F32, MOIRE_SHAPE(m->b, m->t, m->words));
  } else if (kind[0] == 't') {
    moire_shape shape = MOIRE_SHAPE(m->b, m->t, moire_config_int(m->config, "teacher_top"));
    u = moire_input(m->g, "teacher_values", MOIRE_F32, shape);
    f->ids = moire_input(m->g, "teacher_indices", MOIRE_I32, shape);
  }
  return moire_value_is_null(u) ? u : moire_stop_gradient(u);
}

/* The student's log softmax of z where the teacher has its own. */
static moire_value student(const loss *f, moire_value z) {
  moire_value q = moire_log_softmax(z);
  return moire_value_is_null(f->ids) ? q : moire_take_along(q, f->ids, 2);
}

/* KL(teacher || student) of each position at temperature `tau`, f32[B, T]; sets p, l and the confidence. */
static moire_value divergence(loss *f, moire_value u, moire_value z, double tau) {
  f->l = moire_log_softmax(moire_scale(u, 1 / tau));
  f->p = moire_exp(f->l);
  f->confidence = moire_max(f->p, 2, false);
  return moire_sum(moire_mul(f->p, moire_sub(f->l, student(f, moire_scale(z, 1 / tau)))), 2, false);
}

/* a + (b - a) clamp((progress - from) / (1 - from), 0, 1) */
static moire_value weight(const loss *f, const char *key, double from) {
  const double *ends = NULL;
  moire_config_reals(f->m->config, key, &ends);
  moire_value x = moire_clamp(moire_scale(moire_add_scalar(f->progress, -from), 1 / (1 - from)), 0, 1);
  return moire_add_scalar(moire_scale(x, ends[1] - ends[0]), ends[0]);
}

static moire_value square(moire_value x) { return moire_mul(x, x); }

static moire_value term(const loss *f, const char *name, moire_value x) {
  moire_output(f->m->g, name, x);
  return x;
}

/* The magnitude follows the teacher's confidence, the phase its doubt. */
static moire_value alignment(const loss *f, moire_value state) {
  const moire_config *config = f->m->config;
  moire_value doubt = moire_scale(moire_sum(moire_mul(f->p, f->l), 2, false), -M_PI / log((double)f->m->words));
  moire_value sure = moire_scale(f->confidence, moire_config_real(config, "mag_target_scale"));
  moire_value angle = moire_mean(moire_abs(moire_angle(state)), 2, false);
  moire_value magnitude = moire_mean(moire__language_magnitude(state), 2, false);
  moire_value phase = mean_of(f, gated(f, "aux_gate", square(moire_sub(angle, doubt))));
  moire_value mag = mean_of(f, gated(f, "aux_gate", square(moire_sub(magnitude, sure))));
  moire_value sum = moire_add(term(f, "phase_loss", phase), term(f, "mag_loss", mag));
  moire_value aux = weight(f, "aux_weight", moire_config_real(config, "aux_from"));
  return moire_mul(term(f, "aux_weight", aux), sum);
}

static moire_value distillation(loss *f, moire_value u, moire_value z, moire_value state) {
  double tau = moire_config_real(f->m->config, "temperature");
  f->progress = moire_input(f->m->g, "progress", MOIRE_F32, MOIRE_SCALAR);
  moire_value off = moire_scale(divergence(f, u, z, tau), tau * tau);
  moire_value kd = mean_of(f, gated(f, "kd_gate", off));
  moire_value sum = moire_mul(term(f, "kd_weight", weight(f, "kd_weight", 0)), term(f, "kd", kd));
  return moire_value_is_null(state) ? sum : moire_add(sum, alignment(f, state));
}

/* ---- Reports ------------------------------------------------------------------------------------------------
 */

/* Mean and deviation (n - 1) of x [B, T, D] over the tokens. */
static void spread(const loss *f, const char *mean_name, const char *std_name, moire_value x) {
  moire_shape shape = moire_value_shape(x);
  moire_value valid = moire_broadcast(
      moire_reshape(moire_cast(f->m->valid, MOIRE_F32), MOIRE_SHAPE(f->m->b, f->m->t, 1)), shape);
  moire_value n = moire_sum_all(valid);
  moire_value mean = moire_div(moire_sum_all(moire_mul(x, valid)), moire_max_of(n, scalar(f, 1)));
  moire_value off = moire_mul(moire_sub(x, mean), valid);
  moire_value rest = moire_max_of(moire_add_scalar(n, -1), scalar(f, 1));
  moire_output(f->m->g, mean_name, mean);
  moire_output(f->m->g, std_name, moire_sqrt(moire_div(moire_sum_all(square(off)), rest)));
}

/* Of each position that counts: how many words rank before the target, the lower id first of equals, and the
 * best word. */
static void ranks(const loss *f, moire_value logits, moire_value targets) {
  const moire__language *m = f->m;
  moire_shape shape = moire_value_shape(logits);
  moire_value wanted = moire_broadcast(moire_reshape(targets, MOIRE_SHAPE(m->b, m->t, 1)), shape);
  moire_value id = moire_iota(m->g, shape, 2);
  moire_value none = moire_constant(m->g, MOIRE_F32, shape, 0);
  moire_value own = moire_sum(moire_where(moire_equal(id, wanted), logits, none), 2, true);
  own = moire_broadcast(own, shape);
  moire_value larger = moire_cast(moire_less(own, logits), MOIRE_F32);
  moire_value before = moire_cast(moire_and(moire_equal(own, logits), moire_less(id, wanted)), MOIRE_F32);
  report(f, "target_rank", moire_sum(moire_add(larger, before), 2, false));
  report(f, "best_word", moire_argmax(logits, 2, false));
}

/* What is measured against a teacher: KL(teacher || student) at temperature 1, and the teacher's best word. */
static void compare(const loss *f, moire_value u, moire_value logits) {
  loss plain = {.m = f->m, .ids = f->ids};
  report(f, "teacher_kl", divergence(&plain, u, logits, 1));
  moire_value best = moire_argmax(u, 2, true);
  if (!moire_value_is_null(f->ids)) best = moire_take_along(f->ids, best, 2);
  report(f, "teacher_best", moire_reshape(best, MOIRE_SHAPE(f->m->b, f->m->t)));
}

void moire__language_losses(const moire__language *m, moire_value logits, moire_value state) {
  loss f = {.m = m};
  moire_shape rows = MOIRE_SHAPE(m->b, m->t);
  moire_value targets = moire_input(m->g, "targets", MOIRE_I32, rows);
  moire_value ignored = moire_equal(targets, moire_constant(m->g, MOIRE_I32, rows, -100));
  f.counts = moire_not(ignored);
  f.counted = moire_cast(f.counts, MOIRE_F32);
  f.n = moire_max_of(moire_sum_all(f.counted), scalar(&f, 1));
  moire_value each =
      moire_cross_entropy_loss(logits, targets, (moire_cross_entropy_options){.reduction = MOIRE_REDUCE_NONE});
  moire_value total = term(&f, "ce", moire_div(moire_sum_all(each), f.n)), u = teacher(&f);
  moire_output(m->g, "target_nll", each);
  ranks(&f, logits, targets);
  if (!moire_value_is_null(u)) {
    total = moire_add(total, distillation(&f, u, logits, state));
    compare(&f, u, logits);
  }
  moire_output(m->g, "loss", total);
  if (moire_value_is_null(state)) return;
  spread(&f, "mag_mean", "mag_std", moire__language_magnitude(state));
  spread(&f, "phase_mean", "phase_std", moire_abs(moire_angle(state)));
}

moire_status moire__language_check(const moire_config *config, moire_error *error) {
  static const char *const pairs[] = {"kd_weight", "aux_weight"};
  for (int i = 0; i < 2; i++) {
    const double *ends = NULL;
    int n = moire_config_reals(config, pairs[i], &ends);
    if (n != 2)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "%s: wanted two numbers, at the start and at the end of the training, got %d", pairs[i],
                        n);
  }
  bool top = moire_config_string(config, "distil")[0] == 't';
  int64_t k = moire_config_int(config, "teacher_top"), words = moire_config_int(config, "vocab_size");
  if (top && (k < 1 || k > words))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "teacher_top: wanted 1 to vocab_size %lld, got %lld",
                      (long long)words, (long long)k);
  return MOIRE_OK;
}
