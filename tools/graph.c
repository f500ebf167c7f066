/* moire graph: a model at any stage between the language and machine code, as text. */
#include "tools/tool.h"

#include "compiler/ir/loop/loop.h"
#include "compiler/pass/plan/plan_text.h"
#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum goal { GOAL_INFER, GOAL_LOSS, GOAL_TRAIN } goal;

typedef struct arguments {
  const char *source, *after;
  goal goal;
  bool dot;
  const char **assignments; /* of --set, in order; owned */
  int n_assignments;
  const char **outputs; /* [n_outputs]; owned; NULL: nothing was said */
  int n_outputs;
} arguments;

enum { AFTER = 0x100, FORMAT, GOAL, OUTPUTS, SET };

static const struct argp_option options[] = {
    {"after", AFTER, "PASS", 0, "As it is after PASS; `list` names the passes in their order", 0},
    {"format", FORMAT, "text|dot", 0, "dot draws a graph with Graphviz (text)", 0},
    {"outputs", OUTPUTS, "NAME,...", 0,
     "What is asked for to infer (what a trained model is asked for; of a text all but the loss)", 0},
    {"goal", GOAL, "train|loss|infer", 0,
     "A step of training, the loss and its gradients, or what it is asked for (train)", 0},
    {"set", SET, "KEY=VALUE", 0, "Set a value of the configuration, or replace it; may come often", 0},
    {0}};

static int choose(const struct argp_state *state, const char *option, const char *text, const char *choices) {
  size_t length = strlen(text);
  int index = 0;
  for (const char *c = choices; *c; c += strcspn(c, "|"), c += *c == '|', index++) {
    if (strcspn(c, "|") == length && !strncmp(c, text, length)) return index;
  }
  argp_error(state, "%s: wanted one of %s, but '%s' came", option, choices, text);
  return 0;
}

static bool has_ending(const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n > m && !strcmp(path + n - m, ending);
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case AFTER: a->after = text; return 0;
    case FORMAT: a->dot = choose(state, "--format", text, "text|dot") == 1; return 0;
    case GOAL: a->goal = (goal)choose(state, "--goal", text, "infer|loss|train"); return 0;
    case SET: a->assignments[a->n_assignments++] = text; return 0;
    case OUTPUTS:
      moire__release((void *)a->outputs);
      a->outputs = tool_names_argument(state, "--outputs", text, &a->n_outputs);
      return 0;
    case ARGP_KEY_ARG:
      if (a->source) argp_error(state, "wanted one model, but '%s' came too", text);
      a->source = text;
      return 0;
    case ARGP_KEY_END:
      if (!a->source && !(a->after && !strcmp(a->after, "list"))) argp_error(state, "wanted a model");
      if (a->n_assignments && a->source && has_ending(a->source, ".txt"))
        argp_error(state, "--set: %s is a text, which has no configuration", a->source);
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* ---- Kernels as text --------------------------------------------------------------------------------------
 */

/* Reads the kernels of a text and prints them. Each is parsed behind as many empty lines as come before it, so
 * that messages have the line of the file. */
static moire_status echo_kernels(const char *text, const char *path, moire_error *error) {
  static const char start[] = "\nkernel ";
  moire__text out = {0};
  moire_status status = MOIRE_OK;
  int line = 0;
  for (const char *c = text; c && *c && !status;) {
    const char *next = strstr(c, start);
    size_t length = next ? (size_t)(next + 1 - c) : strlen(c);
    moire__arena arena = {0};
    moire__text piece = {0};
    for (int i = 0; i < line; i++) moire__text_add_char(&piece, '\n');
    moire__text_add_bytes(&piece, c, length);
    const moire__loop_kernel *kernel = moire__loop_parse(&arena, piece.data, path, error);
    if (kernel) moire__loop_print(kernel, &out);
    if (!kernel) status = MOIRE_ERROR_FORMAT;
    for (size_t i = 0; i < length; i++) line += c[i] == '\n';
    moire__text_free(&piece);
    moire__arena_free(&arena);
    c += length;
  }
  if (!status) fputs(moire__text_string(&out), stdout);
  moire__text_free(&out);
  return status;
}

/* ---- Graphs -----------------------------------------------------------------------------------------------
 */

/* `served`: what is asked for to infer; borrowed by the options, as is what `room` is given. */
static moire_status goal_options(goal wanted, const moire_config *training, const char *const *served,
                                 int n_served, moire__training *room, moire_compile_options *out,
                                 moire_error *error) {
  static const char *const loss[] = {"loss"};
  moire_compile_options o = moire_compile_defaults();
  moire_status status = training ? moire__setup_options(training, -1, room, &o, error) : MOIRE_OK;
  if (!training) o.training.optimizer = MOIRE_OPTIMIZER_ADAM;
  if (wanted != GOAL_TRAIN) o.training.optimizer = MOIRE_OPTIMIZER_NONE;
  o.outputs = wanted == GOAL_INFER ? served : loss;
  o.n_outputs = wanted == GOAL_INFER ? n_served : 1;
  if (wanted != GOAL_INFER) o.loss = "loss";
  o.keep_gradients = wanted == GOAL_LOSS;
  *out = o;
  return status;
}

static moire_status print_dot(const char *text, const char *path, moire_error *error) {
  moire_graph *graph = moire_graph_parse(text, path, error);
  if (!graph) return MOIRE_ERROR_FORMAT;
  char *dot = moire_graph_print_dot(graph);
  fputs(dot, stdout);
  free(dot);
  moire_graph_destroy(graph);
  return MOIRE_OK;
}

/* `setup` is NULL for a graph that was read from text. */
static moire_status print_graph(const arguments *a, const moire_graph *graph, const moire__setup *setup,
                                const char *const *served, int n_served, moire_error *error) {
  if (a->outputs) {
    served = a->outputs;
    n_served = a->n_outputs;
  }
  moire__training room;
  moire_compile_options wanted;
  const moire_config *training = setup ? setup->training : NULL;
  moire_status status = goal_options(a->goal, training, served, n_served, &room, &wanted, error);
  if (status) return status;
  char *text = a->after ? moire_compile_print(graph, &wanted, a->after, error) : moire_graph_print(graph);
  if (!text) return MOIRE_ERROR_ARGUMENT;
  if (a->dot) status = print_dot(text, "--format dot", error);
  if (!a->dot) fputs(text, stdout);
  free(text);
  return status;
}

static moire_status echo_plan(const char *text, const char *path, moire_error *error) {
  moire__text out = {0};
  moire_status status = moire__plan_reprint(text, path, &out, error);
  if (!status) fputs(moire__text_string(&out), stdout);
  moire__text_free(&out);
  return status;
}

/* A graph that was read from text is asked for all that it gives but the loss. */
static moire_status print_read(const arguments *a, const moire_graph *graph, moire_error *error) {
  moire__arena arena = {0};
  const char **served = moire__arena_array(&arena, (size_t)graph->n_outputs + 1, sizeof *served);
  int n = 0;
  for (int i = 0; i < graph->n_outputs; i++) {
    if (strcmp(graph->outputs[i].name, "loss") != 0) served[n++] = graph->outputs[i].name;
  }
  moire_status status = print_graph(a, graph, NULL, served, n, error);
  moire__arena_free(&arena);
  return status;
}

static moire_status show_text(const arguments *a, moire_error *error) {
  char *text = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(a->source, (size_t)1 << 30, &text, &n, error);
  if (status) return status;
  if (strlen(text) != n) {
    status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s: has a NUL byte, so it is not text", a->source);
  } else if (!strncmp(text, "kernel ", 7)) {
    status = echo_kernels(text, a->source, error);
  } else if (!strncmp(text, "plan ", 5)) {
    status = echo_plan(text, a->source, error);
  } else {
    moire_graph *graph = moire_graph_parse(text, a->source, error);
    status = graph ? print_read(a, graph, error) : MOIRE_ERROR_FORMAT;
    moire_graph_destroy(graph);
  }
  moire__release(text);
  return status;
}

static moire_status show_model(const arguments *a, moire_error *error) {
  moire__setup setup = {0};
  moire_status status = MOIRE_OK;
  const char *model = a->source;
  bool configured = has_ending(model, ".yaml") || has_ending(model, ".yml");
  if (configured) status = moire__config_table_add_yaml(&setup.table, a->source, error);
  for (int i = 0; i < a->n_assignments && !status; i++)
    status = moire__config_table_set(&setup.table, "--set", a->assignments[i], error);
  if (!status && (configured || moire__config_table_find(&setup.table, "model")))
    model = moire__setup_model_name(&setup, a->source, error);
  if (!model) status = MOIRE_ERROR_ARGUMENT;
  if (!status) status = moire__setup_find(&setup, model, a->source, error);
  if (!status) status = moire__setup_assume(&setup, a->source, 100, error);
  if (!status) status = moire__setup_build(&setup, a->source, error);
  moire_graph *graph = NULL;
  moire__arena arena = {0};
  int n = 0;
  bool infers = a->goal == GOAL_INFER && !a->outputs;
  const char *const *served = !status && infers ? setup.task->served(&setup, &arena, &n, error) : NULL;
  if (!status && (served || !infers))
    graph = moire__setup_graph(&setup, a->goal == GOAL_INFER ? MOIRE_INFERENCE : MOIRE_TRAINING, error);
  if (!status) status = graph ? print_graph(a, graph, &setup, served, n, error) : MOIRE_ERROR_ARGUMENT;
  moire_graph_destroy(graph);
  moire__arena_free(&arena);
  moire__setup_free(&setup);
  return status;
}

static void list_passes(void) {
  for (int i = 0; moire_compile_pass_name(i); i++) printf("%s\n", moire_compile_pass_name(i));
}

int tool_graph(int argc, char **argv) {
  static const struct argp parser = {options,
                                     parse,
                                     "MODEL|CONFIG.yaml|FILE.txt",
                                     "Prints a model as it is written, or after a pass of the compiler. What "
                                     "was printed of a graph, of kernels "
                                     "(--after lower) or of a plan (--after memory_plan), can be read back "
                                     "from FILE.txt and gives the same text. "
                                     "Where nothing says how many items "
                                     "there are, item_size is 100; of an item coder, feature_dim.",
                                     NULL,
                                     NULL,
                                     NULL};
  arguments a = {.goal = GOAL_TRAIN};
  a.assignments = moire__allocate_array((size_t)argc + 1, sizeof *a.assignments);
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  if (a.after && !strcmp(a.after, "list")) {
    list_passes();
    moire__release(a.assignments);
    moire__release((void *)a.outputs);
    return 0;
  }
  moire_error error = {0};
  moire_status status = has_ending(a.source, ".txt") ? show_text(&a, &error) : show_model(&a, &error);
  moire__release(a.assignments);
  moire__release((void *)a.outputs);
  return status ? tool_fail("graph", &error) : 0;
}
