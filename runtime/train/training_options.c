#include "runtime/train/training_options.h"

#include "runtime/train/trainer_fields.h"

#include <string.h>

const moire_config_field moire__group_fields[] = {
    {"match", MOIRE_CONFIG_STRINGS, NULL, 0, 0, NULL, "patterns of names, such as \"*.bias\""},
    {"lr", MOIRE_CONFIG_REAL, "null", 0, 100, NULL, "learning rate"},
    {"beta1", MOIRE_CONFIG_REAL, "null", 0, 0.999999, NULL, "decay of the first moment"},
    {"beta2", MOIRE_CONFIG_REAL, "null", 0, 0.99999999, NULL, "decay of the second moment"},
    {"eps", MOIRE_CONFIG_REAL, "null", 0, 1, NULL, "added to the root of the second moment"},
    {"weight_decay", MOIRE_CONFIG_REAL, "null", 0, 100, NULL, "strength of the decay"},
    {"momentum", MOIRE_CONFIG_REAL, "null", 0, 1, NULL, "of sgd"},
    {"dampening", MOIRE_CONFIG_REAL, "null", 0, 1, NULL, "of sgd"},
    {0}};

static void take(const moire_config *c, const char *key, double *number) {
  if (!moire_config_is_nothing(c, key)) *number = moire_config_real(c, key);
}

static moire_status read_groups(moire__training *t, const moire_config *c, moire_error *error) {
  const moire_config *const *maps = NULL;
  int n = moire_config_maps(c, "groups", &maps);
  if (n > MOIRE_MOST_GROUPS)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "groups: there are %d, wanted %d at most", n,
                      (int)MOIRE_MOST_GROUPS);
  for (int i = 0; i < n; i++) {
    moire_parameter_group *g = &t->groups[i];
    *g = moire_parameter_group_of(&t->options);
    g->n_match = moire_config_strings(maps[i], "match", &g->match);
    take(maps[i], "lr", &g->lr);
    take(maps[i], "beta1", &g->beta1);
    take(maps[i], "beta2", &g->beta2);
    take(maps[i], "eps", &g->eps);
    take(maps[i], "weight_decay", &g->weight_decay);
    take(maps[i], "momentum", &g->momentum);
    take(maps[i], "dampening", &g->dampening);
  }
  t->options.groups = t->groups;
  t->options.n_groups = n;
  return MOIRE_OK;
}

static moire_schedule read_schedule(const moire_config *c, int64_t steps) {
  moire_schedule s = {.warmup_steps = moire_config_int(c, "warmup_steps"),
                      .total_steps = moire_config_int(c, "total_steps"),
                      .lr_min = moire_config_real(c, "lr_min"),
                      .step_size = moire_config_int(c, "step_size"),
                      .gamma = moire_config_real(c, "gamma")};
  moire_schedule_find(moire_config_string(c, "schedule"), &s.kind);
  if (!s.total_steps) s.total_steps = steps;
  return s;
}

static moire_optimizer find_optimizer(const char *name) {
  if (!strcmp(name, "sgd")) return MOIRE_OPTIMIZER_SGD;
  return !strcmp(name, "adamw") ? MOIRE_OPTIMIZER_ADAMW : MOIRE_OPTIMIZER_ADAM;
}

static moire_sparse find_sparse(const char *name) {
  if (!strcmp(name, "exact")) return MOIRE_SPARSE_EXACT;
  return strcmp(name, "lazy") ? MOIRE_SPARSE_OFF : MOIRE_SPARSE_LAZY;
}

moire_status moire__training_read(moire__training *t, const moire_config *c, int64_t steps,
                                  moire_error *error) {
  moire_training_options *o = &t->options;
  *o = (moire_training_options){.optimizer = find_optimizer(moire_config_string(c, "optimizer")),
                                .lr = moire_config_real(c, "lr"),
                                .beta1 = moire_config_real(c, "beta1"),
                                .beta2 = moire_config_real(c, "beta2"),
                                .eps = moire_config_real(c, "eps"),
                                .weight_decay = moire_config_real(c, "weight_decay"),
                                .momentum = moire_config_real(c, "momentum"),
                                .dampening = moire_config_real(c, "dampening"),
                                .nesterov = moire_config_bool(c, "nesterov"),
                                .clip_norm = moire_config_real(c, "clip_norm"),
                                .clip_value = moire_config_real(c, "clip_value"),
                                .accumulate = (int)moire_config_int(c, "accumulate"),
                                .ema = moire_config_real(c, "ema"),
                                .schedule = read_schedule(c, steps),
                                .sparse = find_sparse(moire_config_string(c, "sparse"))};
  o->n_freeze = moire_config_strings(c, "freeze", &o->freeze);
  moire_status status = read_groups(t, c, error);
  if (!status) status = moire_training_check(o, error);
  return status || steps < 0 ? status : moire_schedule_check(&o->schedule, error);
}
