/* What the compiler is asked for: its defaults, the optimizations by name, and the goal of the passes. */
#include "compiler/driver/compile.h"

moire_compile_options moire_compile_defaults(void) {
  return (moire_compile_options){.training = moire_training_defaults(), .threads = 1};
}

const char *moire_optimization_name(moire_optimization which) {
#define NAME(name, purpose) #name,
  static const char *const names[] = {MOIRE_OPTIMIZATIONS(NAME)};
#undef NAME
  return names[which];
}

/* A target that there is not is refused by whoever compiles for it. */
static bool has_tiles(const moire_compile_options *options) {
  moire__target target = {0};
  moire_status status = moire__target_named(options->target ? options->target : "host", &target, NULL);
  return status == MOIRE_OK && target.has_tiles;
}

moire__goal moire__goal_from_options(const moire_compile_options *options) {
  return (moire__goal){.outputs = options->outputs,
                       .n_outputs = options->n_outputs,
                       .loss = options->loss,
                       .keep_gradients = options->keep_gradients,
                       .part = options->part,
                       .training = options->training,
                       .bf16 = options->precision == MOIRE_PRECISION_BF16,
                       .tiles = has_tiles(options),
                       .int8 = options->precision == MOIRE_PRECISION_INT8,
                       .off = options->off,
                       .fixed = options->fixed,
                       .n_fixed = options->n_fixed,
                       .pack = true};
}

moire__goal moire__goal_for_target(const moire_compile_options *options, const moire__target *target) {
  moire__goal goal = moire__goal_from_options(options);
  goal.tiles = target->has_tiles;
  goal.by_fma = !target->has_dots && !target->has_tiles;
  return goal;
}
