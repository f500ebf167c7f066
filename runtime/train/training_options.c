#include "runtime/train/training_options.h"

#include <string.h>

moire_training_options moire__training_options(const moire_config *c) {
  moire_training_options o = moire_training_defaults();
  const char *name = moire_config_string(c, "optimizer");
  o.optimizer = !strcmp(name, "adamw") ? MOIRE_OPTIMIZER_ADAMW : MOIRE_OPTIMIZER_ADAM;
  o.lr = moire_config_real(c, "lr");
  o.beta1 = moire_config_real(c, "beta1");
  o.beta2 = moire_config_real(c, "beta2");
  o.eps = moire_config_real(c, "eps");
  o.weight_decay = moire_config_real(c, "weight_decay");
  return o;
}
