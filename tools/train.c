/* moire train: from a configuration and a data set to a trained, tested model. */
#include "tools/tool.h"

#include "runtime/base/memory.h"
#include "runtime/trainer.h"
#include "runtime/trainer_files.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef struct arguments {
  const char *config, *data, *out;
  const char **assignments; /* of --set, in order; owned */
  int n_assignments;
  int threads;
  bool resume, json;
} arguments;

enum { DATA = 0x100, OUT, SET, THREADS, RESUME, JSON };

static const struct argp_option options[] = {
    {"data", DATA, "FILE", 0, "Data set: one user a line (the configuration's `data`)", 0},
    {"out", OUT, "DIR", 0, "Where the checkpoints go (out/ and the name of the configuration)", 0},
    {"set", SET, "KEY=VALUE", 0, "Replace a value of the configuration; may come often", 0},
    {"threads", THREADS, "N", 0, "Threads (as many as there are CPUs); does not change the result", 0},
    {"resume", RESUME, NULL, 0, "Continue the run in DIR after its last whole epoch", 0},
    {"json", JSON, NULL, 0, "Print the result as JSON", 0},
    {0}};

/* Written by the signal handler, which has no other way to tell. */
static volatile sig_atomic_t interrupted;

static void interrupt(int number) {
  (void)number;
  interrupted = 1;
}

/* The second signal ends the program as it would have without us. */
static void listen_for_signals(void) {
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case DATA: a->data = text; return 0;
    case OUT: a->out = text; return 0;
    case RESUME: a->resume = true; return 0;
    case JSON: a->json = true; return 0;
    case THREADS: a->threads = (int)tool_int_argument(state, "--threads", text, 1, 1024); return 0;
    case SET: a->assignments[a->n_assignments++] = text; return 0;
    case ARGP_KEY_ARG:
      if (a->config) argp_error(state, "wanted one configuration, but '%s' came too", text);
      a->config = text;
      return 0;
    case ARGP_KEY_END:
      if (!a->config) argp_error(state, "wanted a configuration");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* ---- Setting up -------------------------------------------------------------------------------------------
 */

/* The configuration, with --set on top, and the data. */
static moire_status read_sources(const arguments *a, tool_setup *setup, moire_error *error) {
  moire_status status = moire__config_table_add_yaml(&setup->table, a->config, error);
  for (int i = 0; i < a->n_assignments && !status; i++) {
    status = moire__config_table_set(&setup->table, "--set", a->assignments[i], error);
  }
  if (status) return status;
  const char *model = moire__config_table_text(&setup->table, "model");
  const char *data = a->data ? a->data : moire__config_table_text(&setup->table, "data");
  if (!model)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: model: wanted the name of a model", a->config);
  if (!data) return moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: names no data: wanted --data FILE", a->config);
  return tool_setup_data(setup, model, a->config, data, error);
}

/* out/ and the name of the configuration without folder and ending. */
static void default_directory(const char *config, moire__text *out) {
  const char *name = strrchr(config, '/') ? strrchr(config, '/') + 1 : config;
  const char *dot = strrchr(name, '.');
  moire__text_add(out, "out/%.*s", (int)(dot && dot > name ? dot - name : (ptrdiff_t)strlen(name)), name);
}

static moire_program *compile_step(const tool_setup *setup, int threads, moire_error *error) {
  static const char *const outputs[] = {"loss"};
  moire_graph *graph = tool_build_graph(setup, MOIRE_TRAINING, error);
  if (!graph) return NULL;
  const moire_config *t = setup->training;
  bool adamw = !strcmp(moire_config_string(t, "optimizer"), "adamw");
  moire_compile_options wanted = {.outputs = outputs,
                                  .n_outputs = 1,
                                  .loss = "loss",
                                  .optimizer = adamw ? MOIRE_OPTIMIZER_ADAMW : MOIRE_OPTIMIZER_ADAM,
                                  .lr = moire_config_real(t, "lr"),
                                  .beta1 = moire_config_real(t, "beta1"),
                                  .beta2 = moire_config_real(t, "beta2"),
                                  .eps = moire_config_real(t, "eps"),
                                  .weight_decay = moire_config_real(t, "weight_decay"),
                                  .threads = threads};
  moire_program *program = moire_compile(graph, &wanted, error);
  moire_graph_destroy(graph);
  return program;
}

/* ---- Running ----------------------------------------------------------------------------------------------
 */

static void print_result(const arguments *a, const moire__trainer_result *result) {
  if (!a->json) {
    printf("%" PRId64 " epochs of %" PRId64 " parameters; test of the best, epoch %" PRId64 ":\n",
           result->epochs, result->parameters, result->best_epoch);
    tool_print_metrics((const char *const[]){"model", "popularity"},
                       (const moire__metrics[]){result->test, result->popularity}, 2);
    return;
  }
  moire__text text = {0};
  moire__text_add(&text,
                  "{\"epochs\":%" PRId64 ",\"best_epoch\":%" PRId64 ",\"parameters\":%" PRId64 ",\"test\":",
                  result->epochs, result->best_epoch, result->parameters);
  moire__metrics_to_json(&result->test, &text);
  moire__text_add(&text, ",\"popularity\":");
  moire__metrics_to_json(&result->popularity, &text);
  printf("%s}\n", text.data);
  moire__text_free(&text);
}

static moire_status train(const arguments *a, tool_setup *setup, moire__trainer_result *result,
                          moire_error *error) {
  moire__text directory = {0};
  default_directory(a->config, &directory);
  moire_threads *threads = moire_threads_create(a->threads, error);
  moire_program *step = threads ? compile_step(setup, a->threads, error) : NULL;
  moire_program *scores = step ? tool_compile_scores(setup, a->threads, error) : NULL;
  moire_status status = MOIRE_ERROR_ARGUMENT;
  if (scores) {
    moire__trainer_job job = {.model = setup->model->name,
                              .config = setup->config,
                              .training = setup->training,
                              .step = moire_program_plan(step),
                              .scores = moire_program_plan(scores),
                              .item_size = moire_config_int(setup->config, "item_size"),
                              .threads = threads,
                              .dataset = setup->dataset,
                              .directory = a->out ? a->out : directory.data,
                              .resume = a->resume,
                              .stop = &interrupted};
    listen_for_signals();
    status = moire__trainer_run(&job, result, error);
  }
  moire_program_destroy(scores);
  moire_program_destroy(step);
  moire_threads_destroy(threads);
  moire__text_free(&directory);
  return status;
}

int tool_train(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "CONFIG.yaml",
                                     "Trains a model: validates after each epoch, stops when there was no new "
                                     "best for `patience` epochs, and tests "
                                     "the best. Writes best.safetensors, last.safetensors and metrics.jsonl "
                                     "into DIR; interrupted by Ctrl-C or "
                                     "killed, it continues with --resume to the same result.",
                                     NULL,
                                     NULL,
                                     NULL};
  enum { INTERRUPTED = 130 };
  arguments a = {.threads = tool_default_threads()};
  a.assignments = moire__allocate_array((size_t)argc + 1, sizeof *a.assignments);
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  tool_setup setup = {0};
  moire_error error = {0};
  moire__trainer_result result = {0};
  moire_status status = read_sources(&a, &setup, &error);
  if (!status) status = train(&a, &setup, &result, &error);
  if (!status && !result.stopped) print_result(&a, &result);
  tool_setup_free(&setup);
  moire__release(a.assignments);
  if (status) return tool_fail("train", &error);
  return result.stopped ? INTERRUPTED : 0;
}
