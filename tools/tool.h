/* What the subcommands of `moire` share. Each is one file with one exported function, which gets its arguments
 * as main does and returns the exit status: 0, TOOL_FAILURE or TOOL_USAGE. Results go to stdout, all else to
 * stderr.
 */
#ifndef MOIRE_TOOLS_TOOL_H
#define MOIRE_TOOLS_TOOL_H

#include "moire/compile.h"
#include "moire/model.h"
#include "moire/run.h"
#include "runtime/files/config.h"
#include "tasks/sequences/dataset.h"
#include "tasks/items/features.h"
#include "runtime/measure/metrics.h"
#include "runtime/files/safetensors.h"

#include <argp.h>

enum { TOOL_FAILURE = 1, TOOL_USAGE = 2 };

int tool_train(int argc, char **argv);
int tool_eval(int argc, char **argv);
int tool_recommend(int argc, char **argv);
int tool_verify(int argc, char **argv);
int tool_graph(int argc, char **argv);
int tool_models(int argc, char **argv);
int tool_synth(int argc, char **argv);
int tool_sweep(int argc, char **argv);
int tool_runs(int argc, char **argv);
int tool_compile(int argc, char **argv);
int tool_encode(int argc, char **argv);
int tool_decode(int argc, char **argv);
int tool_profile(int argc, char **argv);
int tool_peaks(int argc, char **argv);
int tool_cache(int argc, char **argv);

/* ---- arguments ------------------------------------------------------------------------------------------- */

/* The whole number that `text` is, from low to high; anything else ends the program with TOOL_USAGE and a
 * sentence that names `option`. */
int64_t tool_int_argument(const struct argp_state *state, const char *option, const char *text, int64_t low,
                          int64_t high);
double tool_real_argument(const struct argp_state *state, const char *option, const char *text, double low,
                          double high);

/* "f32" or "bf16", which `text` is; anything else ends the program likewise. */
const char *tool_precision_argument(const struct argp_state *state, const char *text);

/* CPUs that this process may use. */
int tool_default_threads(void);

/* ---- failures -------------------------------------------------------------------------------------------- */

/* Prints "moire NAME: message" and returns TOOL_FAILURE. */
int tool_fail(const char *name, const moire_error *error);
/* The same with TOOL_USAGE. */
int tool_refuse(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- a model with its configuration ---------------------------------------------------------------------- */

/* Zero-initialise; free with tool_setup_free. */
typedef struct tool_setup {
  const moire_model *model;
  moire__config_table table; /* where the values came from */
  moire_config *config;      /* of the model */
  moire_config *training;    /* of moire__trainer_fields */
  moire__dataset *dataset;   /* NULL until tool_setup_data */
  bool keep_kernels;         /* programs keep what they were made of, for a profile */
} tool_setup;

void tool_setup_free(tool_setup *setup);

/* Reads a configuration file into the table, and the assignments ("key=value") on top of it. The name of a
 * model must come, and of data where `data` is NULL; *found is the one or the other, borrowed. */
moire_status tool_read_configuration(const char *config, const char *data, const char *const *assignments,
                                     int n, tool_setup *setup, const char **found, moire_error *error);

/* out/ and the name of the configuration without folder and ending: owned (moire__release). */
char *tool_default_directory(const char *config);

/* Finds the model and makes its configuration of the table; `where` names the source in messages. */
moire_status tool_setup_build(tool_setup *setup, const char *model, const char *where, moire_error *error);

/* Finds the model, and refuses one that is not of the kind. */
moire_status tool_setup_need(tool_setup *setup, const char *model, moire_model_kind kind, moire_error *error);

/* The same as tool_setup_build for features of items, which also decide feature_dim where the table does not.
 */
moire_status tool_setup_items(tool_setup *setup, const char *model, const char *where,
                              const moire__features *features, moire_error *error);

/* The same for a data set of sequences, which also decides item_size where the table does not. */
moire_status tool_setup_data(tool_setup *setup, const char *model, const char *where, const char *data,
                             moire_error *error);

/* What the model's kind takes from its data, where the table does not say it: the key `item_size`, or
 * `feature_dim`, becomes `size`. */
moire_status tool_setup_assume(tool_setup *setup, const char *model, const char *origin, int64_t size,
                               moire_error *error);

/* What the model is asked for once it is trained: "logits", or "codes". */
const char *tool_served_output(const moire_model *model);

/* The model's graph: owned, NULL with a sentence. */
moire_graph *tool_build_graph(const tool_setup *setup, moire_mode mode, moire_error *error);

/* Optimizer, precision, and the optimizations that are turned off, as the training's configuration has them. */
moire_compile_options tool_compile_options(const moire_config *training);

/* The model's inference program with these outputs. Owned, NULL with a sentence. */
moire_program *tool_compile_inference(const tool_setup *setup, const char *const *outputs, int n, int threads,
                                      moire_error *error);

/* That of a sequential model: "input_ids" to "logits". Owned, NULL with a sentence. */
moire_program *tool_compile_scores(const tool_setup *setup, int threads, moire_error *error);

/* The program of one step of training: loss, gradients, the optimizer's step. Owned, NULL with a sentence. */
moire_program *tool_compile_step(const tool_setup *setup, int threads, moire_error *error);

/* ---- a trained model that scores users ------------------------------------------------------------------- */

/* What --checkpoint, --model, --config, --data and --precision say; model, config and precision may be NULL. */
typedef struct tool_sources {
  const char *checkpoint, *model, *config, *data, *precision;
  int threads;
} tool_sources;
/* The children of a parser that takes them but for --data; at ARGP_KEY_INIT it makes state->child_inputs[0] the
 * address of its sources, whose threads are set. */
extern const struct argp_child tool_sources_arguments[];

/* Opens the checkpoint, finds out which model it holds, and adds its configuration, and that of s->config on
 * top, to the table of the setup. *file is to be closed, on failure too; *model lives as long as it. */
moire_status tool_read_checkpoint(const tool_sources *s, moire__safetensors **file, tool_setup *setup,
                                  const char **model, moire_error *error);

/* Zero-initialise; free with tool_scorer_free. */
typedef struct tool_scorer {
  tool_setup setup;
  moire__safetensors *file;
  moire_program *program;
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner; /* input "input_ids", output "logits" */
  int64_t item_size;
} tool_scorer;

moire_status tool_scorer_open(tool_scorer *scorer, const tool_sources *sources, moire_error *error);
void tool_scorer_free(tool_scorer *scorer);

/* ---- results --------------------------------------------------------------------------------------------- */

/* A table with a line for each measure and a column for each of the named columns, which have the same ones. */
void tool_print_measures(const char *const *names, const moire__measures *columns, int n);

#endif
