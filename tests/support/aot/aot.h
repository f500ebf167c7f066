/* Libraries made ahead of time, for tests: made of a model and its configuration, loaded, and called beside the
 * JIT.
 *
 * The types are those of runtime/aot/library.h, whose functions are pointers here. */
#ifndef MOIRE_TESTS_SUPPORT_AOT_AOT_H
#define MOIRE_TESTS_SUPPORT_AOT_AOT_H

#include "moire/ahead.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/aot/library.h"
#include "runtime/files/safetensors.h"

/* Name, and whether every library has it. */
#define AOT_FUNCTIONS(X)                                                                                       \
  X(status_text, true)                                                                                         \
  X(version, true)                                                                                             \
  X(cpu, true)                                                                                                 \
  X(workspace_bytes, true)                                                                                     \
  X(workspace_free, true)                                                                                      \
  X(scores, false)                                                                                             \
  X(top, false)                                                                                                \
  X(open, false)                                                                                               \
  X(close, false)                                                                                              \
  X(state_bytes, false)                                                                                        \
  X(state_create, false)                                                                                       \
  X(state_free, false)                                                                                         \
  X(state_reset, false)                                                                                        \
  X(state_count, false)                                                                                        \
  X(state_at, false)                                                                                           \
  X(state_find, false)                                                                                         \
  X(state_read, false)                                                                                         \
  X(state_read_file, false)                                                                                    \
  X(state_write_bytes, false)                                                                                  \
  X(state_write, false)                                                                                        \
  X(state_write_file, false)                                                                                   \
  X(training_bytes, false)                                                                                     \
  X(step, false)                                                                                               \
  X(loss, false)                                                                                               \
  X(freeze, false)

typedef struct aot_library {
  void *handle;
#define AOT_FUNCTION(name, always) __typeof__(&library_##name) name;
  AOT_FUNCTIONS(AOT_FUNCTION)
#undef AOT_FUNCTION
} aot_library;

/* Loads the shared library at `path`, whose functions begin with `prefix`. Ends the program with a sentence if
 * one is missing. */
aot_library aot_load(const char *path, const char *prefix);
void aot_unload(aot_library *library);

/* A model with its configuration, and its weights in a store. Zero-initialise. */
typedef struct aot_model {
  const moire_model *model;
  moire_config *config;
  moire_graph *inference, *training;
  moire_compile_options optimizer; /* its precision is that of all programs */
  moire_store *store;              /* states of `inference` and `training`, as `seed` draws them */
} aot_model;

/* The configuration is JSON. Ends the program with a sentence on failure. */
void aot_model_make(aot_model *m, const char *model, const char *config, uint64_t seed);
void aot_model_free(aot_model *m);

/* What a test wants of a library. */
typedef struct aot_wish {
  const char *name, *cpu; /* cpu NULL: the versions that there are by default */
  const char *below;      /* a second version; NULL: none */
  const char *cc;         /* NULL: that of this build */
  bool training, external, no_weights;
} aot_wish;

/* Writes the library of a model with the compiler and the sanitizer of this build. */
moire_status aot_write_model(const moire_ahead_model *model, const aot_wish *wish, const char *directory,
                             moire_error *error);
/* Writes the library into `directory` with the compiler and the sanitizer of this build. */
moire_status aot_write(const aot_model *m, const aot_wish *wish, const char *directory, moire_error *error);
/* The same and loads it; ends the program with a sentence on failure. */
aot_library aot_make(const aot_model *m, const aot_wish *wish, const char *directory);

/* The JIT's side. Ends the program with a sentence on failure. */
moire_program *aot_jit(const aot_model *m, const char *output, bool training, const char *cpu);

/* Ends the program with a sentence if a call failed. */
void aot_need(moire_status status, const moire_error *error);

/* Histories of items below item_size that depend on the seed alone: n of them, of 0 to 1.5 * length items. Free
 * both arrays. */
library_lists aot_histories(int64_t n, int64_t length, int64_t item_size, uint64_t seed);
void aot_histories_free(library_lists *lists);
/* Left-padded rows, as a model reads them; free. */
int32_t *aot_pad(const library_lists *lists, int64_t n, int64_t length);

#endif
