/* Ahead of time: a model becomes a library with a C header, which needs neither Moire nor LLVM to run.
 *
 *   moire_ahead_model model = {.name = "qia", .config = "{}", .inference = g, .weights = w, .n_weights = n};
 *   moire_ahead_options options = moire_ahead_defaults();
 *   options.name = "qia"; options.directory = "lib";
 *   moire_ahead_write(&model, &options, &error);       // lib/qia.h, lib/qia.so, lib/qia.a, lib/qia.pc
 *
 * The kernels are those that moire_compile makes, one version for each instruction set that is asked for; the
 * rest of the library is C that the system's compiler translates. What the header promises is in the header.
 */
#ifndef MOIRE_AHEAD_H
#define MOIRE_AHEAD_H

#include "moire/compile.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Trained values of one state: all its elements, row-major, of its type. */
typedef struct moire_ahead_weight {
  const char *name;
  const void *data;
  int64_t elements;
} moire_ahead_weight;

/* "generate": what makes words of text and text of words, the tables of runtime/text/pieces.h. Piece i is the
 * bytes text[start[i]] .. text[start[i + 1] - 1]. */
typedef struct moire_ahead_tokenizer {
  int32_t n;
  const char *text;
  const uint32_t *start; /* [n + 1] */
  const float *score;    /* [n] */
  const uint8_t *kind;   /* [n] */
  const int32_t *slots;  /* [n_slots] */
  uint32_t n_slots;
  const int32_t *bytes;           /* [256] */
  int32_t unknown, bos, eos, pad; /* -1: none */
  bool space_in_front, few_spaces;
  int32_t most_text; /* bytes of text that a word may add */
} moire_ahead_tokenizer;

/* What is compiled; all of it is borrowed during the call. The graphs keep the contract of the interface. */
typedef struct moire_ahead_model {
  const char *name; /* of the model */
  /* What the library offers. "recommend", and NULL: scores and lists of the best items, of a sequential
   * recommender. "code": codes of items and back, of an item coder; it does not train, and has weights. For the
   * contracts of both see moire/model.h. "ratings": the same lists for users by what they have rated; items are
   * states, and it does not train. "run": outputs by inputs, of any graph whose inputs and outputs have B
   * as their first axis, or none that is named. "generate": words that follow rows of words, of a language
   * model whose graph continues rows (docs/language_models.md); it does not train, and has weights. */
  const char *interface;
  const moire_ahead_tokenizer *tokenizer; /* "generate": text in and out; NULL: ids alone */
  int64_t positions;                      /* "generate": the most of a row; 0: there is no end */
  const char *items;                      /* what the data call the items, a line each: Python's users get it;
                                           * NULL: their numbers */
  const char *const *outputs;             /* "run": those that it gives; NULL: all but "loss" and the metrics */
  int n_outputs;
  const char *config;           /* its configuration as JSON, for the files that the library writes */
  const moire_graph *inference; /* made for MOIRE_INFERENCE; "loss" is needed only beside `training` */
  const moire_graph *training;  /* made for MOIRE_TRAINING: the library gets a training step; or NULL */
  /* Of the training step; outputs and loss are set by the call. Precision and `off` are those of all programs.
   */
  const moire_compile_options *optimizer;
  const moire_ahead_weight *weights; /* every trained state of `inference`; NULL: the library has none */
  int n_weights;
} moire_ahead_model;

typedef enum moire_ahead_text {
  MOIRE_AHEAD_LOOPS = 1,    /* NAME.CPU.loops.txt: the kernels as loop nests */
  MOIRE_AHEAD_LLVM = 2,     /* NAME.CPU.ll: as optimised LLVM IR */
  MOIRE_AHEAD_ASSEMBLY = 4, /* NAME.CPU.s */
} moire_ahead_text;

typedef struct moire_ahead_options {
  const char *name;        /* prefix of all that is public, and of the files: a C identifier, a letter first */
  const char *directory;   /* where the files go; must be there */
  const char *const *cpus; /* versions, as moire_compile's targets; all of one architecture */
  int n_cpus;
  const char *cc;        /* the C compiler, which also links; words are separated by spaces */
  bool external_weights; /* weights go to NAME.weights instead of into the library */
  bool debug_info;       /* DWARF in .so and .a: the kernels' names, and the model's line of each instruction */
  unsigned texts;        /* of moire_ahead_text */
  int threads;           /* that generate code */
  bool python;           /* also NAME/__init__.py, a Python module that calls NAME.so */
  const char *wheel;     /* also both, and a wheel of them, as this version ("1.0"); NULL: none */
} moire_ahead_options;

/* x86-64-v4 and x86-64-v3 on an x86-64, else the host's; "cc"; weights embedded; no texts; one thread. */
moire_ahead_options moire_ahead_defaults(void);

/* Writes the library. Every file is made beside and renamed when all are whole: on failure none has been
 * replaced, and nothing new lies in the directory. */
moire_status moire_ahead_write(const moire_ahead_model *model, const moire_ahead_options *options,
                               moire_error *error);

#ifdef __cplusplus
}
#endif
#endif
