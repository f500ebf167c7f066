/* What the subcommands of `moire` share. Each is one file with one exported function, which gets its arguments
 * as main does and returns the exit status: 0, TOOL_FAILURE or TOOL_USAGE. Results go to stdout, all else to
 * stderr.
 */
#ifndef MOIRE_TOOLS_TOOL_H
#define MOIRE_TOOLS_TOOL_H

#include "moire/run.h"
#include "tasks/task.h"

#include <argp.h>
#include <stdio.h>

enum { TOOL_FAILURE = 1, TOOL_USAGE = 2 };

/* The commit of the sources, made at build time: "e6c5f08", with "-dirty" where files differed; "release"
 * without git. */
extern const char tool_commit[];

int tool_train(int argc, char **argv);
int tool_eval(int argc, char **argv);
int tool_recommend(int argc, char **argv);
int tool_verify(int argc, char **argv);
int tool_graph(int argc, char **argv);
int tool_import(int argc, char **argv);
int tool_models(int argc, char **argv);
int tool_tokenize(int argc, char **argv);
int tool_synth(int argc, char **argv);
int tool_sweep(int argc, char **argv);
int tool_runs(int argc, char **argv);
int tool_compile(int argc, char **argv);
int tool_predict(int argc, char **argv);
int tool_teach(int argc, char **argv);
int tool_generate(int argc, char **argv);
int tool_encode(int argc, char **argv);
int tool_decode(int argc, char **argv);
int tool_profile(int argc, char **argv);
int tool_peaks(int argc, char **argv);
int tool_items(int argc, char **argv);
int tool_merge(int argc, char **argv);
int tool_cache(int argc, char **argv);

/* ---- arguments ------------------------------------------------------------------------------------------- */

/* The whole number that `text` is, from low to high; anything else ends the program with TOOL_USAGE and a
 * sentence that names `option`. */
int64_t tool_int_argument(const struct argp_state *state, const char *option, const char *text, int64_t low,
                          int64_t high);
double tool_real_argument(const struct argp_state *state, const char *option, const char *text, double low,
                          double high);

/* `text`; an empty one, as of a shell's variable that is not set, ends the program likewise. `what` is "a
 * folder" or "a file". */
const char *tool_path_argument(const struct argp_state *state, const char *option, const char *what,
                               const char *text);

/* "auto", "users" or "interactions", which `text` is; anything else ends the program likewise. */
const char *tool_format_argument(const struct argp_state *state, const char *text);

/* "f32" or "bf16", which `text` is; anything else ends the program likewise. */
const char *tool_precision_argument(const struct argp_state *state, const char *text);

/* The names in `text`, which is cut up, separated by commas: owned (moire__release), their number in *n; none
 * at all ends the program likewise. */
const char **tool_names_argument(const struct argp_state *state, const char *option, char *text, int *n);

/* CPUs that this process may use. */
int tool_default_threads(void);

/* ---- failures -------------------------------------------------------------------------------------------- */

/* Prints "moire NAME: message" and returns TOOL_FAILURE. */
int tool_fail(const char *name, const moire_error *error);
/* The same with TOOL_USAGE. */
int tool_refuse(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- a model --------------------------------------------------------------------------------------------- */

/* Where a training goes: `out`, or, where it is NULL, out/ and the name of the configuration without folder and
 * ending. Owned (moire__release). */
char *tool_run_directory(const char *out, const char *config);

/* The children of a parser that takes --checkpoint, --model, --config, --precision and --threads; at
 * ARGP_KEY_INIT it makes state->child_inputs[0] the address of its moire__sources, whose threads are set. */
extern const struct argp tool_sources_argp;
extern const struct argp_child tool_sources_arguments[];

/* The same for --data, --valid, --test and what goes with features: child_inputs[0] is a moire__data_files. */
extern const struct argp_child tool_data_arguments[];

/* Opens the trained model, has it asked, and frees it. Returns the exit status, after a sentence if `ask`
 * fails. */
typedef moire_status tool_question(moire__predictor *predictor, const void *job, moire_error *error);
int tool_ask(const char *command, const moire__sources *sources, tool_question *ask, const void *job);

/* ---- results --------------------------------------------------------------------------------------------- */

/* A table with a line for each measure and a column for each of the named columns, which have the same ones. */
void tool_print_measures(FILE *out, const char *const *names, const moire__measures *columns, int n);

#endif
