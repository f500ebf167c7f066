/* What an optimizer can work with, and what is its own. */
#include "moire/optimizer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

moire_status moire_schedule_check(const moire_schedule *s, moire_error *error) {
  bool falls = s->kind == MOIRE_SCHEDULE_LINEAR || s->kind == MOIRE_SCHEDULE_COSINE;
  if (s->warmup_steps < 0)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "warmup_steps is %" PRId64 ", wanted 0 or more",
                      s->warmup_steps);
  if (falls && s->total_steps <= s->warmup_steps)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "total_steps is %" PRId64 ", wanted more than the %" PRId64
                      " of warmup_steps, for a schedule that falls in between",
                      s->total_steps, s->warmup_steps);
  if (!(s->lr_min >= 0) || !isfinite(s->lr_min))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "lr_min is %g, wanted 0 or more", s->lr_min);
  if (s->kind != MOIRE_SCHEDULE_STEP) return MOIRE_OK;
  if (s->step_size < 1)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "step_size is %" PRId64 ", wanted 1 or more", s->step_size);
  if (!(s->gamma >= 0) || !isfinite(s->gamma))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "gamma is %g, wanted 0 or more", s->gamma);
  return MOIRE_OK;
}

typedef struct number {
  const char *name;
  double value, least, below; /* in [least, below) */
} number;

static moire_status check_numbers(const number *numbers, int n, moire_error *error) {
  for (int i = 0; i < n; i++) {
    const number *x = &numbers[i];
    if (x->value >= x->least && x->value < x->below) continue;
    if (isinf(x->below))
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted %g or more", x->name, x->value,
                        x->least);
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s is %g, wanted %g or more and below %g", x->name,
                      x->value, x->least, x->below);
  }
  return MOIRE_OK;
}

static moire_status check_group(const moire_training_options *o, const moire_parameter_group *g,
                                moire_error *error) {
  const number numbers[] = {{"lr", g->lr, 0, INFINITY},
                            {"weight_decay", g->weight_decay, 0, INFINITY},
                            {"beta1", g->beta1, 0, 1},
                            {"beta2", g->beta2, 0, 1},
                            {"eps", g->eps, 0, INFINITY},
                            {"momentum", g->momentum, 0, INFINITY},
                            {"dampening", g->dampening, -INFINITY, INFINITY}};
  moire_status status = check_numbers(numbers, (int)(sizeof numbers / sizeof *numbers), error);
  if (status || o->optimizer != MOIRE_OPTIMIZER_SGD || !o->nesterov) return status;
  if (g->momentum > 0 && g->dampening <= 0 && g->dampening >= 0) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "nesterov wants momentum and no dampening, but they are %g and %g", g->momentum,
                    g->dampening);
}

static moire_status check_sparse(const moire_training_options *o, moire_error *error) {
  if (o->sparse == MOIRE_SPARSE_OFF) return MOIRE_OK;
  const char *wanted = o->optimizer == MOIRE_OPTIMIZER_SGD ? "optimizer: adam or adamw"
                       : o->accumulate > 1                 ? "accumulate: 1"
                       : o->ema > 0                        ? "ema: 0"
                                                           : NULL;
  if (!wanted) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "sparse steps rows of a table alone: wanted %s, or sparse: off", wanted);
}

moire_status moire_training_check(const moire_training_options *o, moire_error *error) {
  if (o->optimizer == MOIRE_OPTIMIZER_NONE) return MOIRE_OK;
  const number numbers[] = {{"clip_norm", o->clip_norm, 0, INFINITY},
                            {"clip_value", o->clip_value, 0, INFINITY},
                            {"ema", o->ema, 0, 1},
                            {"accumulate", o->accumulate, 0, 1e6}};
  moire_status status = check_numbers(numbers, (int)(sizeof numbers / sizeof *numbers), error);
  if (!status) status = check_sparse(o, error);
  if (!status && (o->n_groups < 0 || o->n_groups > MOIRE_MOST_GROUPS))
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "there are %d groups of parameters, wanted %d at most",
                        o->n_groups, (int)MOIRE_MOST_GROUPS);
  for (int i = -1; i < o->n_groups && !status; i++) {
    moire_parameter_group group = i < 0 ? moire_parameter_group_of(o) : o->groups[i];
    moire_error reason = {0};
    status = check_group(o, &group, &reason);
    if (status && i >= 0) moire_fail(error, status, "groups[%d]: %s", i, reason.message);
    if (status && i < 0) moire_fail(error, status, "%s", reason.message);
  }
  return status;
}

bool moire_optimizer_owns(const char *state) {
  static const char *const prefixes[] = {"adam.", "optimizer."};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
    if (!strncmp(state, prefixes[i], strlen(prefixes[i]))) return true;
  }
  return false;
}
