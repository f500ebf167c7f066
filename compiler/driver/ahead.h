/* What the files of the ahead-of-time compiler share: plans as tables, one set for each version of the code.
 *
 * ahead.c decides and orders, ahead_plan.c makes tables of plans, ahead_coder.c those of item coders,
 * ahead_fold.c computes what depends on weights alone, ahead_find.c looks up what all of them need,
 * ahead_text.c writes the tables and the header as C, ahead_files.c all files, ahead_build.c runs the C
 * compiler, and ahead_sources.c (made by the build) holds the run time of such libraries as text.
 */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_H
#define MOIRE_COMPILER_DRIVER_AHEAD_H

#include "compiler/codegen/codegen.h"
#include "compiler/pass/plan/module.h"
#include "moire/ahead.h"

/* As in runtime/aot/tables.h, whose enumerators ahead_text.c writes. */
typedef enum moire__ahead_place {
  MOIRE__AHEAD_INPUT,
  MOIRE__AHEAD_MODEL,
  MOIRE__AHEAD_STATE,
  MOIRE__AHEAD_WORKSPACE,
} moire__ahead_place;

enum { MOIRE__AHEAD_LONGEST_NAME = 64, MOIRE__AHEAD_MOST_CPUS = 8 };
enum { MOIRE__AHEAD_EXTENTS = 3 }; /* the size 1, "B", and the tokens of a packed plan */

typedef struct moire__ahead_buffer {
  moire__ahead_place place;
  int extent;
  int64_t offset;
} moire__ahead_buffer;

typedef struct moire__ahead_step {
  int kernel; /* of the level */
  int first_argument, n_arguments;
  int extent;
  int64_t count, block;
  const char *name;
} moire__ahead_step;

typedef struct moire__ahead_copy {
  int to, from;
  int64_t bytes;
} moire__ahead_copy;

/* The tables of one plan. */
typedef struct moire__ahead_plan {
  const char *name; /* "scores", "restore", "prepare", "step", "loss" */
  moire__ahead_buffer *buffers;
  int n_buffers;
  int *arguments;
  int n_arguments;
  moire__ahead_step *steps;
  int n_steps;
  moire__ahead_copy *copies;
  int n_copies;
  const bool *is_constant; /* `scores`: buffers of the block */
  unsigned inputs;         /* the bit 1 << i for each input i, in the order of runtime/aot/tables.h */
  bool packed;
  int output;
  int64_t bytes[MOIRE__AHEAD_EXTENTS];
} moire__ahead_plan;

/* `scores` serves: it gives logits, or the codes of an item coder, which has `restore` beside it. */
enum {
  MOIRE__AHEAD_SCORES,
  MOIRE__AHEAD_RESTORE,
  MOIRE__AHEAD_PREPARE,
  MOIRE__AHEAD_STEP,
  MOIRE__AHEAD_LOSS,
  MOIRE__AHEAD_PLANS
};

/* One version of the code. */
typedef struct moire__ahead_level {
  moire__target target;
  /* Owned. restore is NULL but in an item coder, step and loss in a library that does not train. */
  moire__module *scores, *restore, *step, *loss;
  moire__loop_kernel **kernels; /* distinct ones of all its plans */
  moire__names texts;           /* of the kernels, without names and source lines */
  char **symbols;               /* of the kernels */
  int n_kernels, kernel_capacity;
  moire__ahead_plan plans[MOIRE__AHEAD_PLANS];
  int64_t block_bytes, prepare_bytes;
  unsigned char *block; /* what `scores` reads of the model; NULL: there are no weights */
  int64_t weights;      /* offset of the block in the weights */
} moire__ahead_level;

/* A state of the training. */
typedef struct moire__ahead_state {
  moire_plan_state info;
  int64_t elements, bytes, offset;
  int64_t embedded; /* offset in the weights, or -1 */
} moire__ahead_state;

/* All that goes into one library. */
typedef struct moire__ahead {
  const moire_ahead_model *model;
  const moire_ahead_options *options;
  moire__arena arena;
  moire__ahead_level *levels;
  int n_levels;
  moire__ahead_state *states;
  int n_states;
  int64_t state_bytes;
  unsigned char *weights; /* what is embedded or goes into the file */
  int64_t weight_bytes, weight_capacity;
  int64_t item_size, length; /* of a recommender */
  int64_t features, *codes;  /* of an item coder: numbers of an item, codes of each level … */
  int n_codes;               /* … and how many levels */
  int64_t slice, stack_bytes;
  uint64_t signature, weight_hash;
} moire__ahead;

/* Looking up (ahead_find.c). Bytes of a buffer with `elements`, where named extents are 1, rounded up to 64. */
int64_t moire__ahead_bytes(moire_dtype dtype, moire_dim elements);
/* NULL if there is none of that name. */
const moire_ahead_weight *moire__ahead_find_weight(const moire__ahead *a, const char *name);
/* NULL if there is none of that name. */
const moire_plan_buffer *moire__ahead_find_buffer(const moire_plan *plan, moire_plan_role role,
                                                  const char *name);

/* Item coders (ahead_coder.c): the contract, as far as the library relies on it; and the offset of a state that
 * `restore` reads in the block of constants, which gets a place where `scores` does not read it. */
moire_status moire__ahead_check_coder(moire__ahead *a, moire_error *error);
int64_t moire__ahead_place_constant(moire__ahead_level *level, const moire_plan_buffer *state);
/* Fills in what `restore` reads. */
moire_status moire__ahead_fold_restore(moire__ahead *a, moire__ahead_level *level, moire_error *error);

/* The tables of all plans of a level; the states' offsets are known. */
moire_status moire__ahead_make_plans(moire__ahead *a, moire__ahead_level *level, moire_error *error);

/* Makes the level's block of the model's weights: `steps` are done, `constants` are the buffers that go into
 * it. */
moire_status moire__ahead_fold(moire__ahead *a, moire__ahead_level *level, const bool *steps,
                               const bool *constants, moire_error *error);

/* The header, the tables as C, and the pkg-config file. */
void moire__ahead_write_header(const moire__ahead *a, moire__text *out);
void moire__ahead_write_tables(const moire__ahead *a, moire__text *out);
void moire__ahead_write_package(const moire__ahead *a, moire__text *out);
/* `text` with the library's own name for the prefix library_. */
void moire__ahead_rename(const moire__ahead *a, const char *text, size_t n, moire__text *out);

/* Files of the run time, by their path from the root of the project. */
typedef struct moire__ahead_source {
  const char *path, *text, *end;
} moire__ahead_source;
extern const moire__ahead_source moire__ahead_sources[];
extern const int moire__ahead_source_count;

/* A folder beside the results in which they are made. */
typedef struct moire__ahead_folder {
  char *path, *log; /* log: what the last command printed */
} moire__ahead_folder;

moire_status moire__ahead_folder_make(moire__ahead_folder *folder, const char *directory, moire_error *error);
/* Removes it and all that is in it, and frees the paths. */
void moire__ahead_folder_remove(moire__ahead_folder *folder);
/* Writes folder/path, with the folders on the way. */
moire_status moire__ahead_folder_write(const moire__ahead_folder *folder, const char *path, const void *bytes,
                                       size_t n, moire_error *error);
/* Writes everything into the folder, builds, and renames the results into the options' directory. */
moire_status moire__ahead_write_files(moire__ahead *a, const moire__ahead_folder *folder, moire_error *error);
/* Compiles, links and archives what ahead_files.c has written into the folder: NAME.so and NAME.a appear there.
 */
moire_status moire__ahead_build(const moire__ahead *a, const moire__ahead_folder *folder, int n_objects,
                                moire_error *error);
/* Renames folder/file to directory/file for all files; a NULL ends the list. */
moire_status moire__ahead_folder_publish(const moire__ahead_folder *folder, const char *directory,
                                         const char *const *files, moire_error *error);

#endif
