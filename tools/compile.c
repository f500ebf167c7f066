/* moire compile: from a checkpoint, or a configuration, to a library that C programs call. */
#include "tools/tool.h"

#include "compiler/driver/ahead/ahead.h"
#include "moire/version.h"
#include "runtime/base/memory.h"
#include "runtime/files/checkpoint.h"
#include "runtime/files/file.h"
#include "runtime/train/trainer.h"
#include "tasks/imported.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_CPUS = 8 };

typedef struct arguments {
  moire__sources sources;
  const char *config, *output, *cc, *data, *tokenizer, *version;
  const char **assignments; /* of --set, in order, for the sources; owned */
  char *cpu_list;           /* owned; cut into `cpus` */
  const char *cpus[MOST_CPUS];
  int n_cpus;
  int target; /* index of targets */
  unsigned texts;
  bool train, external, debug_info, python, wheel;
} arguments;

enum {
  CHECKPOINT = 0x100,
  MODEL,
  CONFIG,
  DATA,
  SET,
  TRAIN,
  TOKENIZER,
  PRECISION,
  WEIGHTS,
  CPU,
  TARGET,
  CC,
  EMIT,
  DEBUG,
  PYTHON,
  WHEEL,
  WHEEL_VERSION,
  THREADS
};

static const struct argp_option options[] = {
    {"output", 'o', "DIR/NAME", 0, "Files to write: DIR/NAME.h, .so, .a, .pc; public names begin with NAME_",
     0},
    {"checkpoint", CHECKPOINT, "FILE", 0,
     "Trained weights: a checkpoint, or a PyTorch state dict as safetensors", 0},
    {"model", MODEL, "NAME", 0, "Model of a state dict that does not say it", 0},
    {"config", CONFIG, "FILE", 0, "Configuration of a state dict that does not have it", 0},
    {"data", DATA, "FOLDER", 0,
     "Where texts, features and graph of the items lie, of a model that encodes them", 0},
    {"set", SET, "KEY=VALUE", 0, "Replace a value of the configuration; may come often", 0},
    {"train", TRAIN, NULL, 0, "Add the training step, the validation loss and states", 0},
    {"tokenizer", TOKENIZER, "FILE", 0,
     "Of a language model: makes words of text, if the checkpoint keeps none; goes into the library", 0},
    {"precision", PRECISION, "f32|bf16|int8", 0,
     "Of what products multiply (f32); int8: weights of linear maps", 0},
    {"weights", WEIGHTS, "embedded|external", 0,
     "In the library, or in DIR/NAME.weights, which is mapped (embedded)", 0},
    {"cpu", CPU, "LIST", 0, "Versions of the code, the best that runs is used (x86-64-v4,x86-64-v3)", 0},
    {"target", TARGET, "TRIPLE", 0, "Machine to compile for: x86_64-linux-gnu or aarch64-linux-gnu (this one)",
     0},
    {"cc", CC, "COMMAND", 0, "C compiler (cc, or that of the target)", 0},
    {"emit", EMIT, "LIST", 0, "Texts of each version, too: loops, llvm, asm", 0},
    {"python", PYTHON, NULL, 0, "Also the Python module DIR/NAME, which calls DIR/NAME.so: import NAME", 0},
    {"wheel", WHEEL, NULL, 0, "The same, and a wheel of module and library, which pip installs", 0},
    {"wheel-version", WHEEL_VERSION, "VERSION", 0, "Of the wheel (that of Moire)", 0},
    {"debug-info", DEBUG, NULL, 0, "Debug information: the kernels' names and the model's lines", 0},
    {"threads", THREADS, "N", 0, "Threads that compile (as many as there are CPUs)", 0},
    {0}};

/* What --target takes. */
static const struct {
  const char *triple, *cc;
  const char *cpus[2];
  int n_cpus;
} targets[] = {{NULL, "cc", {NULL}, 0},
               {"x86_64-linux-gnu", "x86_64-linux-gnu-gcc", {"x86-64-v4", "x86-64-v3"}, 2},
               {"aarch64-linux-gnu", "aarch64-linux-gnu-gcc", {"aarch64"}, 1}};
enum { N_TARGETS = sizeof targets / sizeof *targets };

/* ---- Arguments -------------------------------------------------------------------------------------- */

static void take_cpus(struct argp_state *state, arguments *a, const char *text) {
  free(a->cpu_list);
  a->cpu_list = strdup(text);
  a->n_cpus = 0;
  char *rest = NULL;
  for (char *word = strtok_r(a->cpu_list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
    if (a->n_cpus == MOST_CPUS) argp_error(state, "--cpu: wanted at most %d versions", MOST_CPUS);
    a->cpus[a->n_cpus++] = word;
  }
  if (!a->n_cpus) argp_error(state, "--cpu: wanted the names of instruction sets, separated by commas");
}

static void take_target(struct argp_state *state, arguments *a, const char *text) {
  for (int i = 1; i < N_TARGETS; i++) {
    if (!strcmp(text, targets[i].triple)) a->target = i;
  }
  if (!a->target)
    argp_error(state, "--target: wanted x86_64-linux-gnu or aarch64-linux-gnu, but '%s' came", text);
}

static void take_texts(struct argp_state *state, arguments *a, const char *text) {
  static const struct {
    const char *name;
    unsigned text;
  } texts[] = {{"loops", MOIRE_AHEAD_LOOPS}, {"llvm", MOIRE_AHEAD_LLVM}, {"asm", MOIRE_AHEAD_ASSEMBLY}};
  while (*text) {
    size_t n = strcspn(text, ","), i = 0;
    while (i < 3 && (strlen(texts[i].name) != n || strncmp(texts[i].name, text, n) != 0)) i++;
    if (i == 3) argp_error(state, "--emit: wanted loops, llvm or asm, but '%.*s' came", (int)n, text);
    a->texts |= texts[i].text;
    text += n + (text[n] == ',');
  }
}

static void check(const struct argp_state *state, const arguments *a) {
  if (!a->output) argp_error(state, "wanted -o DIR/NAME");
  if (!a->config && !a->sources.checkpoint) argp_error(state, "wanted --checkpoint FILE or a configuration");
  if (a->config && a->sources.checkpoint)
    argp_error(state,
               "wanted a checkpoint or a configuration, but both came; --config FILE goes with a checkpoint");
  if (a->config && !a->train)
    argp_error(state, "a configuration has no weights to recommend with: wanted --checkpoint FILE, or --train");
  if (a->config && a->sources.precision)
    argp_error(state, "--precision: a configuration says it by --set precision=...");
  if (a->version && !a->wheel) argp_error(state, "--wheel-version: goes with --wheel");
  if (a->config && a->external) argp_error(state, "--weights external: a configuration has no weights");
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case 'o': a->output = tool_path_argument(state, "--output", "a name", text); return 0;
    case CHECKPOINT: a->sources.checkpoint = text; return 0;
    case MODEL: a->sources.model = text; return 0;
    case CONFIG: a->sources.config = text; return 0;
    case DATA: a->data = text; return 0;
    case SET: a->assignments[a->sources.n_assignments++] = text; return 0;
    case TRAIN: a->train = true; return 0;
    case PRECISION: a->sources.precision = tool_precision_argument(state, text); return 0;
    case TOKENIZER: a->tokenizer = tool_path_argument(state, "--tokenizer", "a file", text); return 0;
    case WEIGHTS:
      a->external = !strcmp(text, "external");
      if (!a->external && strcmp(text, "embedded") != 0)
        argp_error(state, "--weights: wanted embedded or external, but '%s' came", text);
      return 0;
    case CPU: take_cpus(state, a, text); return 0;
    case TARGET: take_target(state, a, text); return 0;
    case CC: a->cc = text; return 0;
    case EMIT: take_texts(state, a, text); return 0;
    case DEBUG: a->debug_info = true; return 0;
    case PYTHON: a->python = true; return 0;
    case WHEEL: a->wheel = true; return 0;
    case WHEEL_VERSION: a->version = text; return 0;
    case THREADS: a->sources.threads = (int)tool_int_argument(state, "--threads", text, 1, 1024); return 0;
    case ARGP_KEY_ARG:
      if (a->config) argp_error(state, "wanted one configuration, but '%s' came too", text);
      a->config = text;
      return 0;
    case ARGP_KEY_END: check(state, a); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* ---- The model -------------------------------------------------------------------------------------- */

typedef struct job {
  moire__predictor predictor; /* its file is NULL: a configuration alone */
  moire__setup served;        /* what the library computes, where that is not the predictor's model as it is */
  moire_graph *inference, *training;
  moire_store *store; /* the weights */
} job;

static moire_status read_sources(const arguments *a, job *j, moire_error *error) {
  moire__setup *setup = &j->predictor.setup;
  if (!a->config) {
    moire_status status = moire__predictor_open(&j->predictor, &a->sources, error);
    if (!status && setup->task->library) return MOIRE_OK; /* it reads the data first */
    return status ? status : moire__setup_build(setup, moire__predictor_where(&j->predictor), error);
  }
  moire_status status =
      moire__setup_read_yaml(setup, a->config, a->sources.assignments, a->sources.n_assignments, error);
  const char *model = status ? NULL : moire__setup_model_name(setup, a->config, error);
  if (!model) return MOIRE_ERROR_ARGUMENT;
  status = moire__setup_find(setup, model, a->config, error);
  return status ? status : moire__setup_build(setup, a->config, error);
}

static bool is_same_file(const char *a, const char *b) {
  struct stat of_a, of_b;
  return !stat(a, &of_a) && !stat(b, &of_b) && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* A library that takes the place of what it is made of, such as a model ./net.so by -o ./net, is refused. */
static moire_status spare_sources(const arguments *a, const job *j, moire_error *error) {
  static const char *const endings[] = {".h", ".so", ".a", ".pc", ".weights"};
  const char *const sources[] = {moire__setup_model_name(&j->predictor.setup, "", NULL), a->sources.checkpoint,
                                 a->config, a->sources.config, a->tokenizer};
  moire_status status = MOIRE_OK;
  for (size_t e = 0; e < sizeof endings / sizeof *endings && !status; e++) {
    moire__text written = {0};
    moire__text_add(&written, "%s%s", a->output, endings[e]);
    const char *path = moire__text_string(&written);
    for (size_t i = 0; i < sizeof sources / sizeof *sources && !status; i++) {
      if (sources[i] && is_same_file(path, sources[i]))
        status = moire_fail(error, MOIRE_ERROR_ARGUMENT,
                            "-o %s: would replace %s, which the library is made of: wanted another DIR/NAME",
                            a->output, sources[i]);
    }
    moire__text_free(&written);
  }
  return status;
}

static const moire__setup *setup_of(const job *j) {
  return j->served.config ? &j->served : &j->predictor.setup;
}

/* A task may serve another graph than the model's, with weights that it makes of data. */
static moire_status make_served(const arguments *a, job *j, moire_error *error) {
  const moire__task *task = j->predictor.setup.task;
  if (!task->library && a->data)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "--data: %s reads no data to be compiled", task->title);
  if (!task->library) return MOIRE_OK;
  if (a->config || a->train)
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                      "%s: a library of %s does not train: wanted --checkpoint FILE",
                      j->predictor.setup.model->name, task->title);
  return task->library(&j->predictor, a->data, &j->served, &j->store, error);
}

static moire_status build_graphs(const arguments *a, job *j, moire_error *error) {
  if (!j->predictor.setup.task->interface) return moire__task_refuse(&j->predictor.setup, "compile", error);
  moire_status status = make_served(a, j, error);
  if (status) return status;
  const moire__setup *setup = setup_of(j);
  j->inference = moire__setup_graph(setup, MOIRE_INFERENCE, error);
  if (a->train && j->inference) j->training = moire__setup_graph(setup, MOIRE_TRAINING, error);
  return j->inference && (j->training || !a->train) ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

/* Declares the states that the graph has where these outputs are wanted. */
static moire_status declare_states(job *j, const moire_graph *graph, const char *const *outputs, int n_outputs,
                                   moire_error *error) {
  moire_compile_options wanted = moire_compile_defaults();
  wanted.outputs = outputs;
  wanted.n_outputs = n_outputs;
  moire_oracle *oracle = moire_oracle_create(graph, &wanted, error);
  if (!oracle) return MOIRE_ERROR_ARGUMENT;
  int n = moire_oracle_state_count(oracle);
  moire_plan_state *states = moire__allocate_array((size_t)n + 1, sizeof *states);
  for (int i = 0; i < n; i++) states[i] = moire_oracle_state(oracle, i);
  moire_plan plan = {.name = j->predictor.setup.model->name, .states = states, .n_states = n};
  moire_status status = moire_store_declare(j->store, &plan, 0, error);
  moire__release(states);
  moire_oracle_destroy(oracle);
  return status;
}

static moire_status load_weights(job *j, moire_error *error) {
  const moire__safetensors *file = j->predictor.file;
  const moire__setup *setup = &j->predictor.setup;
  if (!file || j->store) return MOIRE_OK;
  static const char *const loss[] = {"loss"};
  moire_status status = moire__predictor_check(&j->predictor, error);
  if (status) return status;
  j->store = moire_store_create();
  moire__arena arena = {0};
  int n = 0;
  const char *const *served = setup->task->served(setup, &arena, &n, error);
  status = served ? declare_states(j, j->inference, served, n, error) : MOIRE_ERROR_ARGUMENT;
  if (!status && j->training) status = declare_states(j, j->training, loss, 1, error);
  moire__arena_free(&arena);
  if (!status) status = moire__setup_fill(setup, j->store, error);
  return status ? status : moire__checkpoint_load(file, j->store, MOIRE__CHECKPOINT_MODEL, error);
}

/* ---- Writing ---------------------------------------------------------------------------------------- */

/* DIR and NAME of -o. */
static moire_ahead_options find_options(const arguments *a, moire_precision precision, moire__text *directory) {
  moire_ahead_options o = moire_ahead_defaults();
  const char *slash = strrchr(a->output, '/');
  o.name = slash ? slash + 1 : a->output;
  moire__text_add(directory, "%.*s", slash ? (int)(slash - a->output) : 1, slash ? a->output : ".");
  if (slash == a->output) moire__text_add(directory, "/");
  o.directory = moire__text_string(directory);
  o.cc = a->cc ? a->cc : targets[a->target].cc;
  static const char *const narrow[] = {"x86-64-v4-amx", "x86-64-v4-bf16", "x86-64-v4", "x86-64-v3"};
  if (precision == MOIRE_PRECISION_BF16 && o.n_cpus == 2) {
    o.cpus = narrow;
    o.n_cpus = sizeof narrow / sizeof *narrow;
  }
  if (a->target) {
    o.cpus = targets[a->target].cpus;
    o.n_cpus = targets[a->target].n_cpus;
  }
  if (a->n_cpus) {
    o.cpus = a->cpus;
    o.n_cpus = a->n_cpus;
  }
  o.external_weights = a->external;
  o.texts = a->texts;
  o.debug_info = a->debug_info;
  o.python = a->python;
  if (a->wheel) o.wheel = a->version ? a->version : MOIRE_VERSION;
  o.threads = a->sources.threads;
  return o;
}

static moire_status write_library(const arguments *a, const job *j, moire_error *error) {
  const moire__setup *setup = setup_of(j);
  moire__training room;
  moire_compile_options optimizer;
  moire_status status = moire__setup_options(setup->training, j->training ? 0 : -1, &room, &optimizer, error);
  if (status) return status;
  moire__text config = {0}, directory = {0};
  moire__config_to_json(setup->config, &config);
  int n = j->store ? moire_store_count(j->store) : 0;
  moire_ahead_weight *weights = moire__allocate_array((size_t)n + 1, sizeof *weights);
  for (int i = 0; i < n; i++) {
    weights[i].name = moire_store_at(j->store, i).name;
    weights[i].data = moire_store_data(j->store, weights[i].name, &weights[i].elements);
  }
  moire_ahead_model model = {.name = setup->model->name,
                             .interface = setup->task->interface,
                             .config = config.data,
                             .inference = j->inference,
                             .training = j->training,
                             .optimizer = &optimizer,
                             .weights = j->store ? weights : NULL,
                             .n_weights = n};
  if (setup->task->map && j->predictor.file)
    model.items = moire__safetensors_metadata(j->predictor.file, setup->task->map);
  moire_ahead_options wanted = find_options(a, optimizer.precision, &directory);
  moire__arena arena = {0};
  if (setup->task->equip)
    status = setup->task->equip(setup, j->predictor.file, a->tokenizer, &model, &arena, error);
  else if (a->tokenizer)
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "--tokenizer: %s is %s, which reads no text",
                        setup->model->name, setup->task->title);
  if (!status) status = moire__file_make_directories(wanted.directory, error);
  if (!status) status = moire_ahead_write(&model, &wanted, error);
  moire__arena_free(&arena);
  moire__release(weights);
  moire__text_free(&config);
  moire__text_free(&directory);
  return status;
}

/* Signals that would end the process come to a thread of their own, which can do what a handler may not: remove
 * the folder in which the library is being made. Then the process ends by the signal. Those that are ignored
 * stay so. */
static void *wait_for_signals(void *context) {
  const sigset_t *signals = context;
  int number = 0;
  if (sigwait(signals, &number)) return NULL;
  moire__ahead_abandon();
  signal(number, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, signals, NULL);
  raise(number);
  return NULL;
}

static void clean_up_on_signals(void) {
  static sigset_t signals;
  static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
  sigemptyset(&signals);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    struct sigaction now;
    if (!sigaction(ends[i], NULL, &now) && now.sa_handler != SIG_IGN) sigaddset(&signals, ends[i]);
  }
  pthread_t thread;
  pthread_sigmask(SIG_BLOCK, &signals, NULL); /* threads that are made from here on inherit it */
  if (pthread_create(&thread, NULL, wait_for_signals, &signals)) pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

int tool_compile(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "--checkpoint FILE -o DIR/NAME\nCONFIG.yaml --train -o DIR/NAME",
      "Makes a library of a model: a header, native code that C and C++ call, "
      "and the weights; one that codes items encodes and decodes. It needs neither Moire "
      "nor anything else to run, and recommends exactly what `moire recommend` "
      "would; with --train it also trains, "
      "with the numbers of `moire train`.",
      NULL,
      NULL,
      NULL};
  arguments a = {.sources.threads = tool_default_threads()};
  a.assignments = moire__allocate_array((size_t)argc, sizeof *a.assignments);
  a.sources.assignments = a.assignments;
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  clean_up_on_signals();
  job j = {0};
  moire_error error = {0};
  moire_status status = read_sources(&a, &j, &error);
  if (!status) status = spare_sources(&a, &j, &error);
  if (!status) status = build_graphs(&a, &j, &error);
  if (!status) status = load_weights(&j, &error);
  if (!status) status = write_library(&a, &j, &error);
  moire_store_destroy(j.store);
  moire_graph_destroy(j.inference);
  moire_graph_destroy(j.training);
  moire__setup_free(&j.served);
  moire__predictor_free(&j.predictor);
  moire__release(a.assignments);
  free(a.cpu_list);
  return status ? tool_fail("compile", &error) : 0;
}
