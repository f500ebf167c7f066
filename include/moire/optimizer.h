/* Optimizers: what a step of training does with the gradients, and the numbers that change from step to step.
 *
 * The step itself is compiled into the program of training (moire/compile.h). It reads one input,
 * "optimizer.scalars", which moire_optimizer_scalars computes in double from the number of the batch alone: so
 * a schedule compiles nothing anew, and training that is resumed goes on as if it had not ended. moire/train.h
 * does this for a loop of one's own. docs/training.md has the equations. */
#ifndef MOIRE_OPTIMIZER_H
#define MOIRE_OPTIMIZER_H

#include "moire/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moire_optimizer {
  MOIRE_OPTIMIZER_NONE,
  MOIRE_OPTIMIZER_ADAM,  /* weight decay is added to the gradient */
  MOIRE_OPTIMIZER_ADAMW, /* weight decay shrinks the weights by themselves */
  MOIRE_OPTIMIZER_SGD    /* weight decay is added to the gradient */
} moire_optimizer;

/* The learning rate of step s = 0, 1, …, where lr is that of the options, W = warmup_steps, S = total_steps:
 *
 *   s < W          lr (s + 1) / W, whatever the kind
 *   constant       lr
 *   linear         lr_min + (lr - lr_min) (S - s) / (S - W)
 *   cosine         lr_min + (lr - lr_min) (1 + cos(pi (s - W) / (S - W))) / 2
 *   step           lr gamma^floor((s - W) / step_size), at least lr_min
 *   inverse_sqrt   lr sqrt(max(W, 1) / (s + 1)), at least lr_min
 *
 * linear and cosine stay at lr_min from s = S on. */
typedef enum moire_schedule_kind {
  MOIRE_SCHEDULE_CONSTANT,
  MOIRE_SCHEDULE_LINEAR,
  MOIRE_SCHEDULE_COSINE,
  MOIRE_SCHEDULE_STEP,
  MOIRE_SCHEDULE_INVERSE_SQRT
} moire_schedule_kind;

typedef struct moire_schedule {
  moire_schedule_kind kind;
  int64_t warmup_steps, total_steps; /* steps of the optimizer */
  double lr_min;
  int64_t step_size; /* step: at least 1 */
  double gamma;      /* step */
} moire_schedule;

/* Names are those of configurations: "inverse_sqrt". False if there is no such schedule. */
bool moire_schedule_find(const char *name, moire_schedule_kind *kind);
/* A schedule that cannot be followed is an error: one that falls over total_steps has to have more of them than
 * warmup_steps. */
moire_status moire_schedule_check(const moire_schedule *schedule, moire_error *error);
double moire_schedule_lr(const moire_schedule *schedule, double lr, int64_t step);

/* Parameters that are stepped by other numbers. A pattern is a name in which `*` stands for any characters,
 * also none or points, `?` for one, and `[abc]` for one of those. Of the groups that match, the first counts.
 */
typedef struct moire_parameter_group {
  const char *const *match;
  int n_match;
  double lr, beta1, beta2, eps, weight_decay, momentum, dampening;
} moire_parameter_group;

enum { MOIRE_MOST_GROUPS = 32, MOIRE_MOST_OPTIMIZER_SCALARS = 5 + 3 * (MOIRE_MOST_GROUPS + 1) };

/* How tables are stepped of which a step looks some rows up, and whose gradient is of these alone
 * (docs/training.md). DENSE: all rows, as any parameter. EXACT: rows of the step alone, and each, before it is
 * read, makes the steps that it has missed, with a gradient of zero. LAZY: rows of the step alone. Beside such
 * a table stands the state "adam.since.<parameter>", i32[rows]: the steps after which a row is. */
typedef enum moire_sparse { MOIRE_SPARSE_OFF, MOIRE_SPARSE_EXACT, MOIRE_SPARSE_LAZY } moire_sparse;

/* What is trained, and how. Arrays are borrowed. Start from moire_training_defaults(). */
typedef struct moire_training_options {
  moire_optimizer optimizer;
  double lr, weight_decay;
  double beta1, beta2, eps;   /* Adam and AdamW */
  double momentum, dampening; /* SGD */
  bool nesterov;              /* SGD with momentum, without dampening */
  double clip_value;          /* each element of a gradient to [-clip_value, clip_value]; 0: not */
  double clip_norm; /* then all gradients are scaled by min(1, clip_norm / (norm + 1e-6)) with the norm of all
                       of them together; 0: not */
  int accumulate;   /* batches of a step: the gradient is that of all their samples; 1: each its own */
  double ema;       /* "optimizer.ema.<parameter>" follows the parameter, with this much of itself; 0: not */
  const moire_parameter_group *groups;
  int n_groups; /* at most MOIRE_MOST_GROUPS */
  /* Patterns of parameters that keep their values: no gradient is computed for them, and they have no states
   * of the optimizer. */
  const char *const *freeze;
  int n_freeze;
  moire_schedule schedule; /* of all groups; it is not compiled */
  moire_sparse sparse;     /* Adam and AdamW, without averages, one batch a step */
} moire_training_options;

/* No optimizer; lr 1e-3, beta 0.9 and 0.999, eps 1e-8, one batch a step, a constant schedule (step_size 1,
 * gamma 0.1), all else 0. */
moire_training_options moire_training_defaults(void);
/* A group with the numbers of the options, to change some of them. */
moire_parameter_group moire_parameter_group_of(const moire_training_options *options);
/* Numbers that no optimizer works with are an error: "momentum is -1, wanted …". The compiler checks them too.
 */
moire_status moire_training_check(const moire_training_options *options, moire_error *error);

/* Whether a state of this name is the optimizer's: "adam." or "optimizer." and the name of a parameter. */
bool moire_optimizer_owns(const char *state);

/* The output of a compiled step, f32[], that may be asked for beside the model's own: the norm of all gradients
 * together, before it is clipped. */
#define MOIRE_GRADIENT_NORM "optimizer.grad_norm"

/* Where a batch stands in a step. With weights in proportion to the batches' samples, and a scale that makes
 * their sum 1, gradients of means over samples add up to that of one batch of all samples. */
typedef struct moire_batch_place {
  int64_t step;     /* of the optimizer, from 0 */
  bool first, last; /* of the step's batches */
  double weight;    /* of this batch */
  double scale;     /* 1 / the sum of the weights; read where it is the last */
} moire_batch_place;

/* Batch number `batch`, from 0, where all steps have `accumulate` batches of one size: weight 1 and scale
 * 1 / accumulate. */
moire_batch_place moire_batch_place_at(int64_t batch, int accumulate);

/* What the compiled step reads beside states: f32[n] with n = moire_optimizer_scalar_count,
 *
 *   weight, first, last, scale, e, and of each group, the options' own numbers first: s, c, d
 *
 * with the rate lr of the step, t = step + 1, and e the weight of the new in the average: 1 at t = 1, else
 * 1 - ema. d = 1 - lr weight_decay;
 *   Adam, AdamW: s = lr / (1 - beta1^t), c = sqrt(1 - beta2^t)
 *   SGD:         s = lr, c = 1 at t = 1, else 1 - dampening. */
int moire_optimizer_scalar_count(const moire_training_options *options);
void moire_optimizer_scalars(const moire_training_options *options, const moire_batch_place *place,
                             double *scalars);
void moire_optimizer_scalars_f32(const moire_training_options *options, const moire_batch_place *place,
                                 float *scalars); /* the same, rounded: what moire_runner_set_input wants */

/* What a compiled step with `sparse: exact` reads besides: "optimizer.history", f64[S, n] with the named extent
 * optimizer_steps = S and n = moire_optimizer_history_count, where row t is of the step t = 1, 2, … and there
 * are rows for all that are done; and "optimizer.step", i32[], how many are done, which `lazy` reads, too. A
 * row has of each group
 *
 *   lr / (1 - beta1^t)      1 / sqrt(1 - beta2^t)      d = 1 - lr weight_decay      ln d_1 + ... + ln d_t
 *
 * and row 0 is 0, 1, 1, 0. */
enum {
  MOIRE_OPTIMIZER_HISTORY_RATE,
  MOIRE_OPTIMIZER_HISTORY_INVERSE,
  MOIRE_OPTIMIZER_HISTORY_DECAY,
  MOIRE_OPTIMIZER_HISTORY_LOG,
  MOIRE_OPTIMIZER_HISTORY_COLUMNS /* of a group */
};
int moire_optimizer_history_count(const moire_training_options *options);
/* Row t from 1 on, of which `before` is row t - 1. */
void moire_optimizer_history(const moire_training_options *options, int64_t t, const double *before,
                             double *row);

#ifdef __cplusplus
}
#endif
#endif
