/* The options of training as tables of constants, for a library that trains. What they name, groups and what is
 * frozen, is compiled into its plans and left out. */
#include "compiler/driver/ahead/ahead.h"

#include <inttypes.h>

static void add_groups(const moire_training_options *t, moire__text *out) {
  moire__text_add(out, "\nstatic const moire_parameter_group groups[] = {\n");
  for (int i = 0; i < t->n_groups; i++) {
    const moire_parameter_group *g = &t->groups[i];
    moire__text_add(out,
                    "    {.lr = %a, .beta1 = %a, .beta2 = %a, .eps = %a, .weight_decay = %a, .momentum = %a, "
                    ".dampening = %a},\n",
                    g->lr, g->beta1, g->beta2, g->eps, g->weight_decay, g->momentum, g->dampening);
  }
  moire__text_add(out, "};\n");
}

void moire__ahead_write_training(const moire_training_options *t, moire__text *out) {
  if (t->n_groups) add_groups(t, out);
  const moire_schedule *s = &t->schedule;
  moire__text_add(
      out,
      "\nstatic const moire_training_options training = {\n    .optimizer = %d, .lr = %a, .beta1 = %a, "
      ".beta2 = %a, .eps = %a, .weight_decay = %a, .momentum = %a, .dampening = %a,\n",
      (int)t->optimizer, t->lr, t->beta1, t->beta2, t->eps, t->weight_decay, t->momentum, t->dampening);
  moire__text_add(out, "    .nesterov = %d, .accumulate = %d, .ema = %a, .groups = %s, .n_groups = %d,\n",
                  t->nesterov, t->accumulate, t->ema, t->n_groups ? "groups" : "0", t->n_groups);
  moire__text_add(out,
                  "    .schedule = {.kind = %d, .warmup_steps = %" PRId64 ", .total_steps = %" PRId64
                  ", .lr_min = %a, .step_size = %" PRId64 ", .gamma = %a}};\n",
                  (int)s->kind, s->warmup_steps, s->total_steps, s->lr_min, s->step_size, s->gamma);
}
