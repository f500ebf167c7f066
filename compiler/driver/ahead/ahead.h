/* What the files of the ahead-of-time compiler share: plans as tables, one set for each version of the code.
 *
 * ahead.c decides and orders, interface.h says what the library offers, plan.c makes tables of plans, fold.c
 * computes what depends on weights alone, find.c looks up what all of them need, header.c and tables.c write
 * the header and the tables as C, sections.c says which lines of a text a library gets, names.c names what is
 * public, python/ writes the header as a Python module and makes wheels, files.c writes all
 * files into the folder of folder.c, build.c runs the C compiler by command.c, and ahead_sources.c (made by the
 * build) holds the run time of such libraries as text.
 */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_AHEAD_H
#define MOIRE_COMPILER_DRIVER_AHEAD_AHEAD_H

#include "compiler/codegen/codegen.h"
#include "compiler/pass/plan/module.h"
#include "moire/ahead.h"

/* As in runtime/aot/tables.h, whose enumerators tables.c writes. */
typedef enum moire__ahead_place {
  MOIRE__AHEAD_INPUT,
  MOIRE__AHEAD_MODEL,
  MOIRE__AHEAD_STATE,
  MOIRE__AHEAD_WORKSPACE,
} moire__ahead_place;

enum { MOIRE__AHEAD_LONGEST_NAME = 64, MOIRE__AHEAD_MOST_CPUS = 8 };
enum { MOIRE__AHEAD_MOST_EXTENTS = 3, MOIRE__AHEAD_MOST_PARTS = 20 }; /* products of at most three of them */
enum { MOIRE__AHEAD_COMMON_INPUTS = 9, MOIRE__AHEAD_MOST_FACTS = 8 };
enum { MOIRE__AHEAD_MAX_BATCH = 1000000000 }; /* LIBRARY_MAX_BATCH of runtime/aot/library.h */

typedef struct moire__ahead_interface moire__ahead_interface; /* interface.h */

typedef struct moire__ahead_buffer {
  moire__ahead_place place;
  int part;
  int64_t offset;
} moire__ahead_buffer;

/* A part of the workspace: bytes where the product of extents, as in a moire_dim, is 1. */
typedef struct moire__ahead_part {
  int extents;
  int64_t bytes;
} moire__ahead_part;

typedef struct moire__ahead_step {
  int kernel; /* of the level */
  int first_argument, n_arguments;
  int extents;
  int64_t count, block;
  const char *name;
  int first_constant, n_constants;
} moire__ahead_step;

typedef struct moire__ahead_copy {
  int to, from;
  int64_t bytes;
} moire__ahead_copy;

/* The tables of one plan. */
typedef struct moire__ahead_plan {
  const char *name; /* "scores", "prepare", "step" */
  moire__ahead_buffer *buffers;
  int n_buffers;
  int *arguments;
  int n_arguments;
  int64_t *constants; /* of steps, moire_plan_step.constants */
  int n_constants, n_extents;
  moire__ahead_step *steps;
  int n_steps;
  moire__ahead_copy *copies;
  int n_copies;
  /* Served plans: steps that are done ahead, the temporaries that they write, and the buffers that lie in the
   * block. */
  bool *ahead, *prepared, *is_constant;
  uint64_t *origins; /* of states and prepared buffers: equal for those that hold the same */
  bool *reads; /* inputs by number: common ones in the order of runtime/aot/tables.h, then the interface's */
  /* Of a packed plan: inputs by number, as in runtime/aot/tables.h. */
  int ids, lengths, targets, ignored;
  int64_t length, block;
  bool wide_ids;
  bool flush; /* moire_plan */
  int *outputs, n_outputs;
  moire__ahead_part parts[MOIRE__AHEAD_MOST_PARTS];
  int n_parts;
} moire__ahead_plan;

/* Plans by number: those that serve come first, as many as the interface has. */
enum {
  MOIRE__AHEAD_MOST_SERVED = 4,
  MOIRE__AHEAD_PREPARE = MOIRE__AHEAD_MOST_SERVED, /* one for each that serves */
  MOIRE__AHEAD_STEP = MOIRE__AHEAD_PREPARE + MOIRE__AHEAD_MOST_SERVED,
  MOIRE__AHEAD_LOSS,
  MOIRE__AHEAD_PLANS
};

/* A plan that serves. */
typedef struct moire__ahead_served {
  const char *name;
  const char *const *outputs;
  int n_outputs;
  bool folds; /* what depends on weights alone is done ahead; otherwise it reads states as they are */
  bool
      folds_all; /* by compiled kernels, too, where this machine runs them: nothing else makes the same again */
  const moire_fixed_extent *fixed; /* named extents that it knows */
  int n_fixed;
} moire__ahead_served;

/* One version of the code. */
typedef struct moire__ahead_level {
  moire__target target;
  moire__module *modules[MOIRE__AHEAD_PLANS]; /* owned; NULL where there is no such plan, and for `prepare` */
  moire__loop_kernel **kernels;               /* distinct ones of all its plans */
  moire__names texts;                         /* of the kernels, without names and source lines */
  char **symbols;                             /* of the kernels */
  int n_kernels, kernel_capacity;
  moire__ahead_plan plans[MOIRE__AHEAD_PLANS];
  int64_t block_bytes, prepare_bytes;
  unsigned char *block; /* what served plans read of the model; NULL: there are no weights */
  int64_t weights;      /* offset of the block in the weights */
} moire__ahead_level;

/* A state of the training. */
typedef struct moire__ahead_state {
  moire_plan_state info;
  int64_t elements, bytes, offset;
  int64_t embedded; /* offset in the weights, or -1 */
} moire__ahead_state;

/* A number in the header: "#define NAME_<name> <number>". */
typedef struct moire__ahead_fact {
  const char *name;
  int64_t number;
} moire__ahead_fact;

/* All that goes into one library. */
typedef struct moire__ahead {
  const moire_ahead_model *model;
  const moire_ahead_options *options;
  const moire__ahead_interface *interface;
  moire__arena arena;
  moire__ahead_served served[MOIRE__AHEAD_MOST_SERVED + 1]; /* a NULL name ends them */
  const char *const *inputs;                                /* the interface's own, by name; NULL ends them */
  moire__ahead_fact facts[MOIRE__AHEAD_MOST_FACTS];
  int n_facts;
  moire__ahead_level *levels;
  int n_levels;
  moire__ahead_state *states;
  int n_states;
  int64_t state_bytes;
  unsigned char *weights; /* what is embedded or goes into the file */
  int64_t weight_bytes, weight_capacity;
  void *own;     /* the interface's */
  bool searches; /* tables of items */
  int64_t slice; /* rows that are computed at once; 0: as many as stay in the cache */
  int64_t stack_bytes;
  uint64_t signature, weight_hash;
} moire__ahead;

/* Looking up (find.c). Bytes of a buffer with `elements`, where named extents are 1, rounded up to 64. */
int64_t moire__ahead_bytes(moire_dtype dtype, moire_dim elements);
/* NULL if there is none of that name. */
const moire_ahead_weight *moire__ahead_find_weight(const moire__ahead *a, const char *name);
/* NULL if there is none of that name. */
const moire_plan_buffer *moire__ahead_find_buffer(const moire_plan *plan, moire_plan_role role,
                                                  const char *name);
/* The input that a value is, with its elements in another form and none left out; NULL: it is none. */
const moire__node *moire__ahead_input_behind(const moire_graph *g, int32_t value);
/* Whether there is such a buffer and it is dtype[B, n]. */
bool moire__ahead_is_matrix(const moire_plan_buffer *buffer, moire_dtype dtype);
/* The weight for a state's buffer, of its size. */
moire_status moire__ahead_need_weight(const moire__ahead *a, const moire_plan_buffer *state, const void **data,
                                      moire_error *error);
void moire__ahead_add_fact(moire__ahead *a, const char *name, int64_t number);

/* The tables of all plans of a level; the states' offsets are known. */
moire_status moire__ahead_make_plans(moire__ahead *a, moire__ahead_level *level, moire_error *error);

/* Makes the level's block of the model's weights for all plans that serve, which have their places. */
moire_status moire__ahead_fold(moire__ahead *a, moire__ahead_level *level, moire_error *error);

/* The header and the pkg-config file (header.c), and the tables as C. */
void moire__ahead_write_header(const moire__ahead *a, moire__text *out);
void moire__ahead_write_package(const moire__ahead *a, moire__text *out);
void moire__ahead_write_tables(const moire__ahead *a, moire__text *out);
/* What NAME_version() returns. */
void moire__ahead_add_build(const moire__ahead *a, moire__text *out);
/* Of training: the table `training`. */
void moire__ahead_write_training(const moire_training_options *options, moire__text *out);
/* Names of the versions, with blanks between. */
void moire__ahead_add_levels(const moire__ahead *a, moire__text *out);
/* "text" as a C string. */
void moire__ahead_add_string(const char *text, moire__text *out);
/* Names of libraries (names.c). Whether a library may be called so, as far as can be told without a
 * compiler. */
moire_status moire__ahead_check_name(const char *name, moire_error *error);
/* The prefix NAME_, in upper case too. `out` has room for MOIRE__AHEAD_LONGEST_NAME + 2. Returns its length. */
size_t moire__ahead_prefix(const moire__ahead *a, bool is_upper, char *out);
/* Characters of the word of C that stands at the beginning of the text; 0: none does. */
size_t moire__ahead_word(const char *text, size_t n);
/* `text` of the run time with the library's own name for the prefix library_. What is called so already, and
 * would be mistaken for it, is called otherwise. */
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
  struct moire__ahead_folder *next;
} moire__ahead_folder;

moire_status moire__ahead_folder_make(moire__ahead_folder *folder, const char *directory, moire_error *error);
/* Removes it and all that is in it, and frees the paths. */
void moire__ahead_folder_remove(moire__ahead_folder *folder);
/* From another thread, before the process ends by a signal: removes every folder that is there. Results that
 * are just being put in their places all get there first. Afterwards no folder can be made, and what works in
 * one waits for the end. */
void moire__ahead_abandon(void);
/* Writes folder/path, with the folders on the way. */
moire_status moire__ahead_folder_write(const moire__ahead_folder *folder, const char *path, const void *bytes,
                                       size_t n, moire_error *error);
/* Writes everything into the folder, builds, and renames the results into the options' directory. */
moire_status moire__ahead_write_files(moire__ahead *a, const moire__ahead_folder *folder, moire_error *error);
/* probe.c: refuses a name whose header, which lies in the folder, does not go with those of the C
 * library. */
moire_status moire__ahead_try_header(const moire__ahead *a, const moire__ahead_folder *folder,
                                     moire_error *error);
/* Compiles, links and archives what files.c has written into the folder: NAME.so and NAME.a appear there.
 */
moire_status moire__ahead_build(const moire__ahead *a, const moire__ahead_folder *folder, int n_objects,
                                moire_error *error);
/* Renames folder/file to directory/file for all files; a NULL ends the list. */
moire_status moire__ahead_folder_publish(const moire__ahead_folder *folder, const char *directory,
                                         const char *const *files, moire_error *error);

#endif
