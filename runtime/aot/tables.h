/* What the compiler writes about a library that it has compiled ahead of time: plans as tables of constants.
 *
 * This folder is the run time of such a library. It stands on the C library alone and is compiled as one
 * translation unit: first this file, then the tables that compiler/driver/ahead/tables.c wrote, then library.c,
 * then the files of the library's interface.
 * On the way from here to there, the prefix library_ of every public name becomes the name of the library.
 *
 * A buffer lies at a fixed offset of a place. The workspace has a part for each named extent, or product of
 * such, besides a fixed one, in which offsets are multiplied by that size: so a plan serves every batch without
 * being laid out anew.
 */
#ifndef MOIRE_RUNTIME_AOT_TABLES_H
#define MOIRE_RUNTIME_AOT_TABLES_H

#include "moire/optimizer.h"
#include "moire/plan.h"
#include "runtime/aot/library.h"

/* What a plan may read from its caller: numbers of inputs. */
typedef enum moire__aot_input {
  MOIRE__AOT_RNG,     /* i32[3]: seed low, seed high, step */
  MOIRE__AOT_SCALARS, /* f32[n], of the optimizer */
  /* Of a packed plan: moire_plan_packing says what they are. */
  MOIRE__AOT_TOKENS,
  MOIRE__AOT_SLOTS,
  MOIRE__AOT_LAST,
  MOIRE__AOT_ENDS,
  MOIRE__AOT_STARTS,
  MOIRE__AOT_COUNTS,
  MOIRE__AOT_VALID,
  MOIRE__AOT_OWN, /* the first of the interface's own */
  MOIRE__AOT_INPUTS = MOIRE__AOT_OWN + MOIRE__AOT_OWN_INPUTS
} moire__aot_input;

typedef enum moire__aot_place {
  MOIRE__AOT_INPUT, /* offset: a moire__aot_input */
  MOIRE__AOT_MODEL, /* a block of weights and of what was computed from them */
  MOIRE__AOT_STATE, /* the states of a training */
  MOIRE__AOT_WORKSPACE,
} moire__aot_place;

/* Named extents by number: 1 is the batch, 2 the tokens of a packed plan; otherwise as the interface says. A
 * product of them is a number with a nibble for each, 0: none. */
enum { MOIRE__AOT_BATCH = 1, MOIRE__AOT_T = 2, MOIRE__AOT_EXTENTS = 4, MOIRE__AOT_MOST_PARTS = 20 };

typedef struct moire__aot_buffer {
  moire__aot_place place;
  int part;       /* WORKSPACE: of it; its extents multiply the offset */
  int64_t offset; /* bytes, a multiple of 64 */
} moire__aot_buffer;

/* A part of the workspace. */
typedef struct moire__aot_part {
  int extents;   /* a product */
  int64_t bytes; /* where that is 1 */
} moire__aot_part;

typedef struct moire__aot_step {
  moire_kernel_function kernel;
  int first_argument, n_arguments; /* in the plan's arguments */
  int extents;                     /* count is multiplied by the product */
  int64_t count, block;            /* the kernel runs over ceil(count / block) pieces */
  const char *name;                /* what it computes */
  int first_constant, n_constants; /* in the plan's: the kernel reads them behind the extents */
} moire__aot_step;

/* After the run, `bytes` at `to` (a state) become those at `from`. */
typedef struct moire__aot_copy {
  int to, from; /* buffers */
  int64_t bytes;
} moire__aot_copy;

typedef struct moire__aot_plan {
  const moire__aot_buffer *buffers;
  const int *arguments; /* buffers */
  int n_arguments;
  const int64_t *constants; /* of the steps */
  int n_extents;            /* that kernels read */
  const moire__aot_step *steps;
  int n_steps;
  const moire__aot_copy *copies;
  int n_copies;
  const unsigned char *reads; /* [MOIRE__AOT_INPUTS]: 1 for each input that the plan has */
  /* Of a packed plan: the inputs that hold what moire_plan_packing says, -1: it is none of them. */
  int ids, lengths, targets, ignored;
  int64_t length; /* positions of a row; 0: it is not packed */
  int64_t block;
  int wide_ids;       /* the ids are i64, not i32 */
  int flush;          /* while kernels run, numbers below the normal range count as zero */
  const int *outputs; /* the buffers that the caller wants */
  int n_outputs;
  const moire__aot_part *parts; /* of the workspace, MOIRE__AOT_MOST_PARTS at most */
  int n_parts;
} moire__aot_plan;

enum { MOIRE__AOT_MOST_SERVED = 4 };

/* The code for one instruction set. */
typedef struct moire__aot_level {
  const char *name;
  unsigned features;     /* MOIRE__AOT_CPU_*: what the processor must have */
  unsigned pays;         /* likewise: what it should have, lest a level below be the faster one */
  int64_t weights;       /* offset of the model's block in the weights */
  int64_t block_bytes;   /* of the block that the served plans read */
  int64_t prepare_bytes; /* of the block while `prepare` makes it, at least block_bytes */
  moire__aot_plan served[MOIRE__AOT_MOST_SERVED]; /* in the order of the interface's list in the compiler */
  /* Training only. */
  moire__aot_plan prepare[MOIRE__AOT_MOST_SERVED]; /* from STATE to MODEL, for each plan that serves */
  moire__aot_plan step, loss;
} moire__aot_level;

/* A state of the training. */
typedef struct moire__aot_state {
  const char *name;
  moire_dtype dtype;
  int rank;
  int64_t shape[MOIRE_MAX_RANK];
  int64_t elements, offset, bytes;
  moire_init init;
  int trained;
  int optimizer;    /* left out of LIBRARY_PARAMETERS */
  int64_t embedded; /* offset in the weights, -1: none there */
} moire__aot_state;

typedef struct moire__aot_tables {
  const char *version, *model, *config; /* config: JSON */
  const moire__aot_level *levels;       /* the best first */
  int n_levels;
  const unsigned char *weights; /* embedded, aligned to 64 bytes; NULL: in a file */
  uint64_t signature;           /* of the code and of how weights lie in a file */
  int64_t weight_bytes;
  /* Training only. */
  const moire__aot_state *states;
  int n_states;
  int64_t state_bytes;
  const moire_training_options *training; /* without patterns: they are compiled in */
} moire__aot_tables;

#endif
