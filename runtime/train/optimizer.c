/* What changes from step to step of an optimizer, computed in double. The states and the parameters are updated
 * by the compiled program. Sources: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015,
 * section 2, with the bias corrections folded into the step size and the denominator; Loshchilov, Hutter,
 * "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5, of which the cosine is one
 * period. */
#include "moire/optimizer.h"

#include <math.h>
#include <string.h>

/* ---- Options ------------------------------------------------------------------------------------------------
 */

moire_training_options moire_training_defaults(void) {
  return (moire_training_options){.lr = 1e-3,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .eps = 1e-8,
                                  .accumulate = 1,
                                  .schedule = {.step_size = 1, .gamma = 0.1}};
}

moire_parameter_group moire_parameter_group_of(const moire_training_options *o) {
  return (moire_parameter_group){.lr = o->lr,
                                 .beta1 = o->beta1,
                                 .beta2 = o->beta2,
                                 .eps = o->eps,
                                 .weight_decay = o->weight_decay,
                                 .momentum = o->momentum,
                                 .dampening = o->dampening};
}

/* ---- Schedules ----------------------------------------------------------------------------------------------
 */

bool moire_schedule_find(const char *name, moire_schedule_kind *kind) {
  static const char *const names[] = {[MOIRE_SCHEDULE_CONSTANT] = "constant",
                                      [MOIRE_SCHEDULE_LINEAR] = "linear",
                                      [MOIRE_SCHEDULE_COSINE] = "cosine",
                                      [MOIRE_SCHEDULE_STEP] = "step",
                                      [MOIRE_SCHEDULE_INVERSE_SQRT] = "inverse_sqrt"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(names[i], name) != 0) continue;
    *kind = (moire_schedule_kind)i;
    return true;
  }
  return false;
}

/* How much of lr - lr_min is left, from 1 at the end of the warm-up to 0 at the last step. */
static double part_left(const moire_schedule *s, int64_t step) {
  if (step >= s->total_steps) return 0;
  double done = (double)(step - s->warmup_steps) / (double)(s->total_steps - s->warmup_steps);
  return s->kind == MOIRE_SCHEDULE_LINEAR ? 1 - done : (1 + cos(acos(-1.0) * done)) / 2;
}

double moire_schedule_lr(const moire_schedule *s, double lr, int64_t step) {
  if (step < s->warmup_steps) return lr * (double)(step + 1) / (double)s->warmup_steps;
  double first = s->warmup_steps > 0 ? (double)s->warmup_steps : 1;
  switch (s->kind) {
    case MOIRE_SCHEDULE_CONSTANT: return lr;
    case MOIRE_SCHEDULE_LINEAR:
    case MOIRE_SCHEDULE_COSINE: return s->lr_min + (lr - s->lr_min) * part_left(s, step);
    case MOIRE_SCHEDULE_STEP:
      return fmax(s->lr_min, lr * pow(s->gamma, (double)((step - s->warmup_steps) / s->step_size)));
    case MOIRE_SCHEDULE_INVERSE_SQRT: return fmax(s->lr_min, lr * sqrt(first / (double)(step + 1)));
  }
  return lr;
}

/* ---- Scalars ------------------------------------------------------------------------------------------------
 */

moire_batch_place moire_batch_place_at(int64_t batch, int accumulate) {
  int64_t n = accumulate > 1 ? accumulate : 1;
  return (moire_batch_place){.step = batch / n,
                             .first = batch % n == 0,
                             .last = batch % n == n - 1,
                             .weight = 1,
                             .scale = 1.0 / (double)n};
}

int moire_optimizer_scalar_count(const moire_training_options *options) {
  return 5 + 3 * (options->n_groups + 1);
}

void moire_optimizer_scalars(const moire_training_options *o, const moire_batch_place *place, double *scalars) {
  double t = (double)(place->step + 1), *out = scalars;
  *out++ = place->weight;
  *out++ = place->first;
  *out++ = place->last;
  *out++ = place->scale;
  *out++ = place->step == 0 ? 1 : 1 - o->ema;
  for (int i = -1; i < o->n_groups; i++) {
    moire_parameter_group group = i < 0 ? moire_parameter_group_of(o) : o->groups[i];
    bool sgd = o->optimizer == MOIRE_OPTIMIZER_SGD;
    double lr = moire_schedule_lr(&o->schedule, group.lr, place->step);
    *out++ = sgd ? lr : lr / (1.0 - pow(group.beta1, t));
    *out++ = !sgd ? sqrt(1.0 - pow(group.beta2, t)) : place->step == 0 ? 1 : 1 - group.dampening;
    *out++ = 1 - lr * group.weight_decay;
  }
}

void moire_optimizer_scalars_f32(const moire_training_options *options, const moire_batch_place *place,
                                 float *scalars) {
  double exact[MOIRE_MOST_OPTIMIZER_SCALARS];
  moire_optimizer_scalars(options, place, exact);
  for (int i = 0; i < moire_optimizer_scalar_count(options); i++) scalars[i] = (float)exact[i];
}

/* ---- History ------------------------------------------------------------------------------------------------
 */

int moire_optimizer_history_count(const moire_training_options *options) {
  return MOIRE_OPTIMIZER_HISTORY_COLUMNS * (options->n_groups + 1);
}

void moire_optimizer_history(const moire_training_options *o, int64_t t, const double *before, double *row) {
  for (int i = -1; i < o->n_groups; i++) {
    moire_parameter_group group = i < 0 ? moire_parameter_group_of(o) : o->groups[i];
    double lr = moire_schedule_lr(&o->schedule, group.lr, t - 1), decay = 1 - lr * group.weight_decay;
    row[MOIRE_OPTIMIZER_HISTORY_RATE] = lr / (1.0 - pow(group.beta1, (double)t));
    row[MOIRE_OPTIMIZER_HISTORY_INVERSE] = 1 / sqrt(1.0 - pow(group.beta2, (double)t));
    row[MOIRE_OPTIMIZER_HISTORY_DECAY] = decay;
    row[MOIRE_OPTIMIZER_HISTORY_LOG] = before[MOIRE_OPTIMIZER_HISTORY_LOG] + log(decay);
    before += MOIRE_OPTIMIZER_HISTORY_COLUMNS;
    row += MOIRE_OPTIMIZER_HISTORY_COLUMNS;
  }
}
