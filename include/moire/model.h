/* Model descriptors: what a model is to the command and to a program that embeds Moire.
 *
 * A model is data: its name, the keys of its configuration with defaults and ranges, and a function that builds
 * its graph in the language of moire/graph.h. Models of the library are listed in models/models.c; a user's own
 * model is a shared object that exports `const moire_model *moire_model_main(void)` and is named by its path
 * where a model name goes.
 *
 * A model names its task: what it is trained on, measured by and asked for. What a model of a task must have:
 *
 * Task "sequences", recommenders (the keys item_size and max_seq_length; MOIRE_SEQUENTIAL_FIELDS has them): B
 * is the named extent "B", L `max_seq_length`. input   "input_ids"  i32[B, L]       left-padded with 0,
 * items 1..item_size-1 input   "answers"    i32[B]          target item (needed for "loss" only); input
 * "answer_ends" i32[item_size], where a model asks for it: how often items 0 .. i are targets of training, plus
 * i + 1; output "layers.<i>" f32[B, L, D]    what layer i returns output  "logits"     f32[B, item_size] output
 * "query" f32[B, D], if logits are its products with the rows of items, for tables of them (moire/items.h);
 * output "loss" f32[]
 *
 * Task "items", coders of items: F is the key `feature_dim`, the levels are the entries of
 * the key `codebook_sizes`, and level l has the states quantizers.<l>.embedding f32[K, D], .ema_w f32[K, D] and
 * .ema_cluster_size f32[K], and .unused f32[K], steps without a member, where the key `restart_after` is not 0.
 *   input   "features"       f32[B, F]
 *   input   "ids"            i32[B, levels]  needed for "restored" only
 *   output  "codes"          i32[B, levels]  the code of each level
 *   output  "restored"       f32[B, F]       the features that ids stand for
 *   output  "codes.<l>"      i32[B]          column l of "codes"
 *   output  "residuals.<l>"  f32[B, D]       what level l quantises
 *   output  "decoded"        f32[B, F]       the features that "codes" stand for
 *   output  "loss", "reconstruction", "commitment"  f32[]
 *
 * Task "ratings", users who rated items that have texts, features and a graph: M is the key `item_size`, U
 * `user_size`, S `max_history`, D `hidden_size`; with a row for each user, input "history_ids",
 * "history_ratings", "history_times", "history_mask" i32[U, S]; "overview" f32[M, D], "reviews"
 * f32[review_rows, D] and the item of each, "review_items" i32[review_rows], as a place in "reviewed"
 * i32[reviewed_items], the items that have some; "context" i32[M, features],
 * "edges.<relation>" i32[2, edges]: items, nodes; of samples "users", "positives", "negatives" i32[B], "hidden"
 * i32[B, S]; output "scores" f32[U, M], "loss", "main", "aux" f32[], and the tables "item_text", "item_graph",
 * "attended" f32[M, D], which are inputs instead where the key `items` says input.
 *
 * Task "tensors", everything else: any inputs whose first axis is the named extent "B", an output "loss" f32[],
 * any outputs, and metrics (moire_metric); an axis with another named extent is what the data have there.
 *
 * Task "tokens", language models (the keys vocab_size, sequence_length, distil and teacher_top;
 * MOIRE_LANGUAGE_FIELDS has all but the first): T is `sequence_length`, or the named extent "T" where it is 0.
 *   input   "input_ids", "lengths", "targets"  i32[B, T], i32[B], i32[B, T]: -100 counts nothing
 *   input   "teacher_logits" f32[B, T, V], or "teacher_values", "teacher_indices" f32, i32[B, T, teacher_top]
 *   input   "progress"       f32[]           how far training is, from 0 to 1
 *   output  "logits"         f32[B, T, V]    0 behind the row's length
 *   output  "loss"           f32[]           and its terms; "target_nll" and "target_rank" f32[B, T]
 * and, to generate, what models/language_model.h says of rows that are continued.
 */
#ifndef MOIRE_MODEL_H
#define MOIRE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "moire/graph.h"
#include "moire/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moire_config_kind {
  MOIRE_CONFIG_INT,
  MOIRE_CONFIG_REAL,
  MOIRE_CONFIG_BOOL,
  MOIRE_CONFIG_STRING,
  MOIRE_CONFIG_INTS,    /* a list of integers; min and max hold for each of its elements */
  MOIRE_CONFIG_STRINGS, /* a list of strings, or one string */
  MOIRE_CONFIG_MAPS,    /* a list of maps; not within maps */
  MOIRE_CONFIG_REALS,   /* a list of numbers, each within min and max */
  MOIRE_CONFIG_ANY,     /* accepted, whatever it is, and kept nowhere: only whether nothing came is known */
} moire_config_kind;

/* One key. `text` is the default as it would stand in YAML ("64", "[3, 7]", "gelu"), or NULL: the key must be
 * given; "null": nothing need be given, and nothing is 0 (INT, REAL and ANY alone; the range must hold 0).
 * `min` and `max` are inclusive and count for numbers alone. `choices` lists what a STRING may be, separated by
 * '|', or is NULL: anything; for MAPS it is an array of moire_config_field, the keys of each map, that ends
 * with a NULL key. */
typedef struct moire_config_field {
  const char *key;
  moire_config_kind kind;
  const char *text;
  double min, max;
  const void *choices;
  const char *help;
} moire_config_field;

/* Typed, range-checked values of one configuration. Opaque; owned by whoever made it. */
typedef struct moire_config moire_config;

/* Getters. The key must be among the descriptor's fields with that kind: anything else is a defect of the
 * caller and stops the program with a sentence. Strings and lists are borrowed from the config. */
int64_t moire_config_int(const moire_config *config, const char *key);
double moire_config_real(const moire_config *config, const char *key);
bool moire_config_bool(const moire_config *config, const char *key);
const char *moire_config_string(const moire_config *config, const char *key);
int moire_config_ints(const moire_config *config, const char *key,
                      const int64_t **values); /* returns the count */
int moire_config_reals(const moire_config *config, const char *key,
                       const double **values); /* returns the count */
int moire_config_strings(const moire_config *config, const char *key,
                         const char *const **values); /* returns the count */
int moire_config_maps(const moire_config *config, const char *key,
                      const moire_config *const **maps); /* returns the count */
/* Whether nothing came for the key, whose default is null. */
bool moire_config_is_nothing(const moire_config *config, const char *key);

/* What was an enumeration before, for sources that say `.kind = MOIRE_MODEL_SEQUENTIAL`. */
#define MOIRE_MODEL_SEQUENTIAL "sequences"
#define MOIRE_MODEL_ITEM_CODER "items"
/* What a model made of a file is. */
#define MOIRE_MODEL_TENSORS "tensors"

enum { MOIRE_MODEL_ABI = 3 }; /* objects of version 2, which end at `build`, are taken too */

typedef struct moire_model {
  int abi; /* MOIRE_MODEL_ABI */
  union {
    const char *task; /* "sequences", "items", "tensors", "tokens" */
    const char *kind; /* the same, as it was called before there were more than two */
  };
  const char *name;    /* a C identifier */
  const char *summary; /* one line */
  const moire_config_field *fields;
  int n_fields;
  /* Constraints between keys ("hidden_size must be a multiple of num_attention_heads"); may be NULL. */
  moire_status (*check)(const moire_config *config, moire_error *error);
  /* Builds the graph: declares inputs, parameters and outputs as the task asks. Mistakes are sticky in g. */
  void (*build)(moire_graph *g, const moire_config *config);
  /* The same of a model that is made at run time, from a file, say: instead of `build`, with its `context`. */
  void (*build_from)(moire_graph *g, const moire_config *config, const void *context);
  const void *context; /* borrowed */
} moire_model;

/* Builds the graph by whichever of the two the model has. */
void moire_model_build(const moire_model *model, moire_graph *g, const moire_config *config);

/* The keys that every sequential recommender accepts, whether its model uses them or not, since published
 * configurations carry them all. Stands at the head of a model's own field table. */
#define MOIRE_SEQUENTIAL_FIELDS                                                                                  \
  {"item_size", MOIRE_CONFIG_INT, NULL, 2, 2147483647, NULL, "items and padding: largest item id + 1"},          \
      {"hidden_size", MOIRE_CONFIG_INT, "64", 1, 65536, NULL, "width D of the embedding"},                       \
      {"num_hidden_layers", MOIRE_CONFIG_INT, "2", 1, 1000, NULL, "blocks"},                                     \
      {"num_attention_heads", MOIRE_CONFIG_INT, "4", 1, 65536, NULL, "heads; divides hidden_size"},              \
      {"inner_size", MOIRE_CONFIG_INT, "256", 1, 1048576, NULL, "width of the feed-forward layer"},              \
      {"hidden_act", MOIRE_CONFIG_STRING, "gelu", 0, 0, "gelu", "activation of the feed-forward layer"},         \
      {"hidden_dropout_prob", MOIRE_CONFIG_REAL, "0.5", 0, 0.99, NULL, "dropout of embeddings and outputs"},     \
      {"attention_probs_dropout_prob", MOIRE_CONFIG_REAL, "0.5", 0, 0.99, NULL, "dropout of attention weights"}, \
      {"initializer_range", MOIRE_CONFIG_REAL, "0.02", 0, 10, NULL, "standard deviation of initial weights"},    \
      {"max_seq_length", MOIRE_CONFIG_INT, "50", 1, 65536, NULL, "positions L"},                                 \
      {"n_bands", MOIRE_CONFIG_INT, "4", 1, 64, NULL, "bands of the filter bank"},                               \
      {"band_kernel_sizes", MOIRE_CONFIG_INTS, "[3, 7, 15, 31]", 1, 4096, NULL, "taps of each band"},            \
      {"band_dilations",                                                                                         \
       MOIRE_CONFIG_INTS,                                                                                        \
       "[1, 2, 4, 8]",                                                                                           \
       1,                                                                                                        \
       4096,                                                                                                     \
       NULL,                                                                                                     \
       "distance between taps of each band"},                                                                    \
      {"loss",                                                                                                   \
       MOIRE_CONFIG_STRING,                                                                                      \
       "softmax",                                                                                                \
       0,                                                                                                        \
       0,                                                                                                        \
       "softmax|sampled_softmax|gbce",                                                                           \
       "over all items, or those that are drawn"},                                                               \
      {"negatives", MOIRE_CONFIG_INT, "256", 1, 16777216, NULL, "items that are drawn for a batch"},             \
      {"negative_sampling",                                                                                      \
       MOIRE_CONFIG_STRING,                                                                                      \
       "uniform",                                                                                                \
       0,                                                                                                        \
       0,                                                                                                        \
       "uniform|log_uniform|frequency|in_batch",                                                                 \
       "how: alike, by rank (items by falling frequency), by their count, or the other samples' targets"},       \
      {"gbce_calibration",                                                                                       \
       MOIRE_CONFIG_REAL,                                                                                        \
       "0.75",                                                                                                   \
       0,                                                                                                        \
       1,                                                                                                        \
       NULL,                                                                                                     \
       "t of gbce; 0: as binary cross entropy has it"}

/* The keys that every language model of the library has. */
#define MOIRE_LANGUAGE_FIELDS                                                                                   \
  {"sequence_length",                                                                                           \
   MOIRE_CONFIG_INT,                                                                                            \
   "null",                                                                                                      \
   0,                                                                                                           \
   1048576,                                                                                                     \
   NULL,                                                                                                        \
   "positions of all rows, if they are known beforehand; the data say them"},                                   \
      {"distil",                                                                                                \
       MOIRE_CONFIG_STRING,                                                                                     \
       "none",                                                                                                  \
       0,                                                                                                       \
       0,                                                                                                       \
       "none|full|top",                                                                                         \
       "what the loss has of a teacher: all of its logits, or the largest"},                                    \
      {"teacher_top", MOIRE_CONFIG_INT, "null", 0, 65536, NULL, "how many, of distil: top"},                    \
      {"temperature", MOIRE_CONFIG_REAL, "2.0", 1e-6, 1e6, NULL, "of the softmax of teacher and student"},      \
      {"kd_weight", MOIRE_CONFIG_REALS, "[0.01, 0.05]", 0, 1e6, NULL, "of the teacher's term: first, last"},    \
      {"aux_weight", MOIRE_CONFIG_REALS, "[0.0, 0.1]", 0, 1e6, NULL, "of the terms of alignment: first, last"}, \
      {"aux_from", MOIRE_CONFIG_REAL, "0.2", 0, 0.999, NULL, "part of training before the latter moves"},       \
      {"mag_target_scale", MOIRE_CONFIG_REAL, "1.0", 0, 1e6, NULL, "magnitude of a certain state"},             \
      {"kd_gate", MOIRE_CONFIG_REAL, "0.0", 0, 1, NULL, "certainty below which a teacher is not followed"},     \
      {"aux_gate", MOIRE_CONFIG_REAL, "0.0", 0, 1, NULL, "the same of the terms of alignment"}

/* The library's models. `name` may also be the path of a shared object (it has a '/' or ends in ".so"), which
 * is loaded and stays loaded. NULL with a sentence when there is no such model. */
const moire_model *moire_model_find(const char *name, moire_error *error);
int moire_model_count(void);
const moire_model *moire_model_at(int index);

#ifdef __cplusplus
}
#endif
#endif
