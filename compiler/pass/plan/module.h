/* A module: the loop nests of a fused graph and the plan that runs them. */
#ifndef MOIRE_COMPILER_PASS_PLAN_MODULE_H
#define MOIRE_COMPILER_PASS_PLAN_MODULE_H

#include "compiler/ir/loop/lower.h"
#include "moire/plan.h"

/* Where a step of the plan comes from. */
typedef struct moire__module_step {
  int group; /* number of the kernel in the fused graph */
  const moire__loop_kernel
      *kernel; /* as it was lowered here: the plan's step may run an equal one of another */
} moire__module_step;

typedef struct moire__module {
  moire__arena arena;
  moire_graph *graph;           /* owned: the fused graph, whose strings the plan borrows */
  moire__loop_kernel **kernels; /* distinct; steps of the same text share one */
  int n_kernels, kernel_capacity;
  const char *remarks;             /* of the passes, a line each */
  moire__names texts;              /* of the kernels, by number: as moire__loop_print_bare writes them */
  const moire__module_step *steps; /* [plan.n_steps]; NULL for a plan that was read from text */
  moire_plan plan;                 /* its kernels are NULL until code is there */
} moire__module;

/* lower: takes the fused graph (destroyed also on failure); returns owned, every kernel verified. */
moire__module *moire__pass_lower(moire_graph *fused, moire__lower_target target, moire_error *error);
void moire__module_destroy(moire__module *module);

/* memory_plan: which steps each buffer lives for, and which updates are done in place. Part of lowering; kept
 * apart so that it can be read and tested apart. `first_step` and `last_step` of every buffer are set. */
void moire__pass_memory_plan(moire_plan_buffer *buffers, int n_buffers, const moire_plan_step *steps,
                             int n_steps, const moire_plan_update *updates, int n_updates);

/* The plan with all that it points to in `arena`, but for its kernels, which stay where they are. */
moire_plan moire__plan_copy(const moire_plan *plan, moire__arena *arena);

/* Kernels as text; they read back with moire__loop_parse. */
void moire__module_print_kernels(const moire__module *module, moire__text *text);

/* The plan as text (plan_text.c), and back: a module without kernels, whose graph only names the extents.
 * Reading what was printed gives the same text. NULL with a sentence naming file and line. */
void moire__module_print_plan(const moire__module *module, moire__text *text);
moire__module *moire__plan_parse(const char *text, const char *file, moire_error *error);

#endif
