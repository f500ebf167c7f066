/* What the compiler is asked for: its defaults, the optimizations by name, and the goal of the passes. */
#include "compiler/driver/compile.h"

moire_compile_options moire_compile_defaults(void) {
  return (moire_compile_options){.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .threads = 1};
}

const char *moire_optimization_name(moire_optimization which) {
#define NAME(name, purpose) #name,
  static const char *const names[] = {MOIRE_OPTIMIZATIONS(NAME)};
#undef NAME
  return names[which];
}

moire__goal moire__goal_from_options(const moire_compile_options *options) {
  static const moire__optimizer_kind kinds[] = {
      [MOIRE_OPTIMIZER_NONE] = MOIRE__OPTIMIZER_NONE,
      [MOIRE_OPTIMIZER_ADAM] = MOIRE__OPTIMIZER_ADAM,
      [MOIRE_OPTIMIZER_ADAMW] = MOIRE__OPTIMIZER_ADAMW,
  };
  return (moire__goal){.outputs = options->outputs,
                       .n_outputs = options->n_outputs,
                       .loss = options->loss,
                       .keep_gradients = options->keep_gradients,
                       .optimizer = kinds[options->optimizer],
                       .lr = options->lr,
                       .beta1 = options->beta1,
                       .beta2 = options->beta2,
                       .eps = options->eps,
                       .weight_decay = options->weight_decay,
                       .bf16 = options->precision == MOIRE_PRECISION_BF16,
                       .off = options->off,
                       .pack = true};
}
