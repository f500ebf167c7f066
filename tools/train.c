/* moire train: from a configuration and a data set to a trained, tested model. */
#include "compiler/driver/compile.h"
#include "compiler/profile/describe.h"
#include "compiler/profile/document.h"
#include "tasks/imported.h"
#include "tools/profile/profile_train.h"
#include "tools/runs/run_folder.h"
#include "tools/runs/run_lock.h"
#include "tools/runs/sweep.h"
#include "tools/train_team.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/train/log.h"
#include "runtime/train/trainer.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <time.h>
#include <unistd.h>

typedef struct arguments {
  const char *config, *out, *from;
  moire__data_files files;
  const char **assignments; /* of --set and its shorthands, in order; owned */
  int n_assignments;
  int threads, seeds;
  pid_t parent; /* 0: nobody's end matters */
  int lock;     /* descriptor with the folder's lock; -1: to be taken */
  bool resume, overwrite, json;
  tool_profile_window profile;
  moire__team *team; /* NULL: this process trains alone */
  moire__arena arena;
} arguments;

enum {
  OUT = 0x100,
  SET,
  SEEDS,
  STOP_METRIC,
  PATIENCE,
  THREADS,
  RESUME,
  FROM,
  OVERWRITE,
  JSON,
  PROFILE,
  PROFILE_STEPS,
  PARENT,
  LOCK,
  LOG,
  QUIET
};

static const struct argp_option options[] = {
    {"out", OUT, "DIR", 0, "Where the checkpoints go (out/ and the name of the configuration)", 0},
    {"set", SET, "KEY=VALUE", 0, "Replace a value of the configuration; may come often", 0},
    {"stop-metric", STOP_METRIC, "METRIC", 0, "What the best epoch is best in: --set stop_metric=METRIC", 0},
    {"patience", PATIENCE, "N", 0, "Epochs without a new best before training ends: --set patience=N", 0},
    {"seeds", SEEDS, "N", 0,
     "Train N times, with the seeds from the configuration's on, each in a folder in DIR", 0},
    {"threads", THREADS, "N", 0, "Threads (as many as there are CPUs); does not change the result", 0},
    {"profile", PROFILE, "DIR", 0, "Write a profile of some steps into DIR, for moire profile", 0},
    {"profile-steps", PROFILE_STEPS, "FIRST:N", 0, "Which: N steps from the FIRST of this run on (10:20)", 0},
    {"from", FROM, "CHECKPOINT", 0,
     "Start with its weights, as far as names and shapes fit; the rest is listed", 0},
    {"resume", RESUME, NULL, 0, "Continue the run in DIR after its last whole epoch", 0},
    {"overwrite", OVERWRITE, NULL, 0,
     "Replace the run in DIR, which stays as it is until this one's first epoch has ended", 0},
    {"json", JSON, NULL, 0, "Print the result as JSON", 0},
    {"log", LOG, "text|json", 0,
     "Tell of the training, on stderr, in sentences or as a JSON object a line (text)", 0},
    {"quiet", QUIET, NULL, 0, "Tell of nothing but failures", 0},
    {"parent", PARENT, "PROCESS", OPTION_HIDDEN, "Stop when this process, which started it, has ended", 0},
    {"lock", LOCK, "DESCRIPTOR", OPTION_HIDDEN, "The lock of DIR, which the process that started it holds", 0},
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
  struct sigaction before;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, &before);
  if (before.sa_handler == SIG_IGN) sigaction(SIGHUP, &before, NULL); /* nohup */
}

/* A sweep that is killed takes its trainings with it: they stop as they do when they are interrupted. */
static void follow(pid_t parent) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
  if (getppid() != parent) interrupted = 1;
}

static void read_window(const char *text, const struct argp_state *state, tool_profile_window *window) {
  char end = 0;
  int n = sscanf(text, "%d:%d%c", &window->first, &window->n, &end);
  if (n != 2 || window->first < 0 || window->n < 1 || window->n > 100000) {
    argp_error(state, "--profile-steps: wanted FIRST:N, such as 10:20, but '%s' came", text);
  }
}

static void read_form(const char *text, const struct argp_state *state) {
  bool json = !strcmp(text, "json");
  if (!json && strcmp(text, "text") != 0) argp_error(state, "--log: wanted text or json, but '%s' came", text);
  moire__log_set_form(json ? MOIRE__LOG_JSON : MOIRE__LOG_TEXT);
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case OUT: a->out = tool_path_argument(state, "--out", "a folder", text); return 0;
    case PROFILE: a->profile.directory = tool_path_argument(state, "--profile", "a folder", text); return 0;
    case PROFILE_STEPS: read_window(text, state, &a->profile); return 0;
    case FROM: a->from = text; return 0;
    case RESUME: a->resume = true; return 0;
    case OVERWRITE: a->overwrite = true; return 0;
    case LOCK: a->lock = (int)tool_int_argument(state, "--lock", text, 0, INT32_MAX); return 0;
    case JSON: a->json = true; return 0;
    case LOG: read_form(text, state); return 0;
    case QUIET: moire__log_set_form(MOIRE__LOG_NONE); return 0;
    case THREADS: a->threads = (int)tool_int_argument(state, "--threads", text, 1, 1024); return 0;
    case SET: a->assignments[a->n_assignments++] = text; return 0;
    case STOP_METRIC:
      a->assignments[a->n_assignments++] = moire__arena_printf(&a->arena, "stop_metric=%s", text);
      return 0;
    case PATIENCE:
      a->assignments[a->n_assignments++] = moire__arena_printf(&a->arena, "patience=%s", text);
      return 0;
    case SEEDS: a->seeds = (int)tool_int_argument(state, "--seeds", text, 1, TOOL_MOST_RUNS); return 0;
    case PARENT: a->parent = (pid_t)tool_int_argument(state, "--parent", text, 1, INT32_MAX); return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->files; return 0;
    case ARGP_KEY_ARG:
      if (a->config) argp_error(state, "wanted one configuration, but '%s' came too", text);
      a->config = text;
      return 0;
    case ARGP_KEY_END:
      if (!a->config) argp_error(state, "wanted a configuration");
      if (a->from && a->resume)
        argp_error(state, "--from starts anew, and --resume continues: wanted one of them");
      if (a->from && a->seeds > 0)
        argp_error(state, "--from with --seeds: the seeds would differ in nothing but the order");
      if (a->seeds && moire__log_get_form() != MOIRE__LOG_TEXT)
        argp_error(state,
                   "--seeds has the log of each training in its folder: wanted neither --log nor --quiet");
      if (a->resume && a->overwrite) argp_error(state, "--resume and --overwrite exclude each other");
      if (a->seeds && a->overwrite)
        argp_error(state, "--overwrite replaces one run, and --seeds trains several: wanted another --out DIR");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* ---- Setting up -------------------------------------------------------------------------------------------
 */

/* The configuration, with --set on top, and the data. */
static moire_status read_sources(const arguments *a, moire__setup *setup, moire_error *error) {
  moire_status status = moire__setup_read_yaml(setup, a->config, a->assignments, a->n_assignments, error);
  if (!status) status = tool_team_assume(a->team, setup, error);
  const char *model = status ? NULL : moire__setup_model_name(setup, a->config, error);
  if (!model) return MOIRE_ERROR_ARGUMENT;
  status = moire__setup_read(setup, model, a->config, &a->files, error);
  return status ? status : tool_team_check(a->team, setup, error);
}

/* ---- Running ----------------------------------------------------------------------------------------------
 */

static void print_result(const arguments *a, const moire__trainer_result *result) {
  if (!a->json) {
    printf("%" PRId64 " epochs of %" PRId64 " parameters; test of the best, epoch %" PRId64 ":\n",
           result->epochs, result->parameters, result->best_epoch);
    tool_print_measures(stdout, (const char *const[]){"model", result->baseline_name},
                        (const moire__measures[]){result->test, result->baseline}, result->baseline.n ? 2 : 1);
    return;
  }
  moire__text text = {0};
  moire__text_add(&text,
                  "{\"epochs\":%" PRId64 ",\"best_epoch\":%" PRId64 ",\"parameters\":%" PRId64 ",\"test\":",
                  result->epochs, result->best_epoch, result->parameters);
  moire__measures_to_json(&result->test, &text);
  if (result->baseline.n) {
    moire__text_add(&text, ",\"%s\":", result->baseline_name);
    moire__measures_to_json(&result->baseline, &text);
  }
  printf("%s}\n", text.data);
  moire__text_free(&text);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- The folder -------------------------------------------------------------------------------------------
 */

/* What the trainer calls back with, when the folder becomes this run's. */
typedef struct claim {
  const char *directory, *data;
  const moire__setup *setup;
} claim;

static moire_status claim_folder(void *context, moire_error *error) {
  const claim *c = context;
  return tool_run_begin(c->directory, c->setup, c->data, error);
}

/* What the trainer asks for when a loss is no number: the step with an operation a kernel, and their lines. */
typedef struct plain {
  moire__setup *setup;
  moire_program *program;
} plain;

static const moire_plan *plain_step(void *context, moire_error *error) {
  plain *p = context;
  p->setup->plain = true;
  p->program = moire__setup_compile_step(p->setup, 1, error);
  p->setup->plain = false;
  return p->program ? moire_program_plan(p->program) : NULL;
}

static void locate(void *context, int step, moire__text *out) {
  const plain *p = context;
  moire__profile_locate(moire__program_module(p->program), step, out);
}

/* Takes the folder's lock, unless it has been given, and refuses a folder whose run is not to be touched.
 * The same training again is let in. Before the data's fingerprint is known, a folder that is not there is left
 * so. */
static moire_status enter_folder(const arguments *a, const char *directory, const moire__setup *setup,
                                 const uint64_t *fingerprint, int *lock, moire_error *error) {
  bool make = fingerprint != NULL;
  moire_status status = MOIRE_OK;
  if (a->lock >= 0) {
    status = tool_run_lock_inherit(directory, a->lock, error);
  } else if (*lock < 0) {
    status = tool_run_lock(directory, make, lock, error);
    if (!status && *lock == TOOL_LOCK_OTHERS)
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT,
                          "%s: another training runs there (it holds %s/lock): wanted another --out DIR",
                          directory, directory);
  }
  if (status || a->overwrite) return status;
  if (!a->resume && !a->from && tool_run_repeats(directory, setup, fingerprint)) return MOIRE_OK;
  return tool_run_refuse(directory, a->resume, error);
}

/* Rank 0 of a team, and whoever is alone, has the folder. */
static bool is_main(const arguments *a) { return moire__team_rank(a->team) == 0; }

/* The training itself, and its record. */
static moire_status run(const arguments *a, const moire__setup *setup, const moire__trainer_job *job, int *lock,
                        moire__trainer_result *result, moire_error *error) {
  double start = now();
  const char *data = job->task->data;
  moire_status status = MOIRE_OK;
  if (is_main(a)) status = enter_folder(a, job->directory, setup, &job->task->fingerprint, lock, error);
  if (status) {
    moire__trainer_task_free(job->task);
    return status;
  }
  status = moire__trainer_run(job, result, error);
  if (!status && !result->stopped && is_main(a))
    status = tool_run_finish(job->directory, setup, data, now() - start, result, error);
  return status;
}

static moire_status fill_states(const void *context, moire_store *store, moire_error *error) {
  return moire__setup_fill(context, store, error);
}

/* The programs of a step: sums and step where the batch is divided, else one. */
typedef struct programs {
  moire_program *sums, *step;
  moire_program *catch_up; /* of rows that miss steps, or NULL */
} programs;

static moire_status compile(const arguments *a, moire__setup *setup, programs *p, moire_error *error) {
  bool divided = moire_config_int(setup->training, "batch_groups") > 0;
  bool misses = !strcmp(moire_config_string(setup->training, "sparse"), "exact");
  setup->part = divided ? MOIRE_PART_SUMS : MOIRE_PART_WHOLE;
  p->sums = moire__setup_compile_step(setup, a->threads, error);
  setup->part = MOIRE_PART_STEP;
  if (divided && p->sums) p->step = moire__setup_compile_step(setup, a->threads, error);
  setup->part = MOIRE_PART_CATCH_UP;
  if (misses && p->sums) p->catch_up = moire__setup_compile_step(setup, a->threads, error);
  setup->part = MOIRE_PART_WHOLE;
  bool all = p->sums && (p->step || !divided) && (p->catch_up || !misses);
  return all ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

static moire__division division_of(const arguments *a, const moire__setup *setup, const programs *p) {
  if (!p->step) return (moire__division){0};
  return (moire__division){.step = moire_program_plan(p->step),
                           .groups = (int)moire_config_int(setup->training, "batch_groups"),
                           .team = a->team};
}

static moire_status train_in(const arguments *a, const char *directory, int *lock, moire__setup *setup,
                             moire__trainer_result *result, moire_error *error) {
  moire_threads *threads = moire_threads_create(a->threads, error);
  programs compiled = {0};
  moire__trainer_task task = {0};
  moire_status status = threads ? compile(a, setup, &compiled, error) : MOIRE_ERROR_ARGUMENT;
  if (!status && a->profile.directory) status = moire__profile_folder(a->profile.directory, error);
  if (!status) status = setup->task->train(setup, a->threads, &task, error);
  if (!status) {
    claim folder = {directory, task.data, setup};
    plain plain_program = {.setup = setup};
    moire__arena arena = {0};
    moire__trainer_job job = {.model = setup->model->name,
                              .config = setup->config,
                              .training = setup->training,
                              .step = moire_program_plan(compiled.sums),
                              .division = division_of(a, setup, &compiled),
                              .catch_up = compiled.catch_up ? moire_program_plan(compiled.catch_up) : NULL,
                              .task = &task,
                              .threads = threads,
                              .directory = directory,
                              .resume = a->resume,
                              .from = a->from,
                              .claim = claim_folder,
                              .claim_context = &folder,
                              .plain = plain_step,
                              .locate = locate,
                              .plain_context = &plain_program,
                              .fill = fill_states,
                              .fill_context = setup,
                              .dict = moire__setup_state_dict(setup, &arena),
                              .stop = &interrupted};
    tool_train_profile *profile =
        a->profile.directory ? tool_train_profile_create(&a->profile, setup, compiled.sums, &job) : NULL;
    if (!a->team) listen_for_signals();
    if (a->parent) follow(a->parent);
    status = tool_team_agree(a->team, setup, compiled.sums, compiled.step, task.fingerprint, error);
    if (status)
      moire__trainer_task_free(&task);
    else
      status = run(a, setup, &job, lock, result, error);
    if (!status) status = tool_train_profile_finish(profile, error);
    tool_train_profile_destroy(profile);
    moire_program_destroy(plain_program.program);
    moire__arena_free(&arena);
  }
  moire_program_destroy(compiled.catch_up);
  moire_program_destroy(compiled.step);
  moire_program_destroy(compiled.sums);
  moire_threads_destroy(threads);
  return status;
}

static moire_status train(const arguments *a, moire__setup *setup, moire__trainer_result *result,
                          moire_error *error) {
  char *directory = tool_run_directory(a->out, a->config);
  int lock = TOOL_LOCK_NONE;
  moire_status status = is_main(a) ? enter_folder(a, directory, setup, NULL, &lock, error) : MOIRE_OK;
  if (!status) status = train_in(a, directory, &lock, setup, result, error);
  if (lock >= 0) close(lock);
  moire__release(directory);
  return status;
}

/* With --seeds: a sweep over nothing but seeds. */
static int train_seeds(arguments *a, const moire__setup *setup) {
  const char **seeds = moire__arena_array(&a->arena, (size_t)a->seeds, sizeof *seeds);
  int64_t first = moire_config_int(setup->training, "seed");
  for (int i = 0; i < a->seeds; i++) seeds[i] = moire__arena_printf(&a->arena, "%lld", (long long)first + i);
  tool_axis axis = {"seed", seeds, a->seeds};
  char *directory = tool_run_directory(a->out, a->config);
  tool_sweep_job sweep = {.command = "train",
                          .config = a->config,
                          .files = a->files,
                          .out = directory,
                          .assignments = a->assignments,
                          .n_assignments = a->n_assignments,
                          .axes = &axis,
                          .n_axes = 1,
                          .jobs = 1,
                          .threads = a->threads,
                          .table = tool_runs_defaults()};
  if (a->json) sweep.table.format = TOOL_RUNS_JSON;
  int status = tool_sweep_run(&sweep);
  moire__release(directory);
  return status;
}

/* With a team: rank 0 alone tells and prints, but for failures. */
static moire_status join_team(arguments *a, moire_error *error) {
  moire_status status = moire__team_join(&a->team, error);
  if (status || !a->team) return status;
  listen_for_signals();
  moire__team_heed(a->team, &interrupted);
  if (!is_main(a)) moire__log_set_form(MOIRE__LOG_NONE);
  if (a->seeds > 0)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "--seeds trains several models: wanted one process, not mpirun");
  return MOIRE_OK;
}

/* The exit status. */
static int train_as_asked(arguments *a) {
  moire__setup setup = {0};
  moire_error error = {0};
  moire__trainer_result result = {0};
  int exit_status = 0;
  moire_status status = join_team(a, &error);
  if (!status) status = read_sources(a, &setup, &error);
  setup.keep_kernels = a->profile.directory;
  if (!status && a->profile.directory && moire_config_int(setup.training, "batch_groups") > 0)
    status = moire_fail(
        &error, MOIRE_ERROR_ARGUMENT,
        "--profile: a step that is divided (batch_groups) has no profile: wanted --set batch_groups=0");
  if (!status && a->seeds > 0) {
    exit_status = train_seeds(a, &setup);
  } else if (!status) {
    status = train(a, &setup, &result, &error);
    if (!status && !result.stopped && is_main(a)) print_result(a, &result);
    if (result.stopped) exit_status = TOOL_INTERRUPTED;
  }
  moire__setup_free(&setup);
  if (status && a->team)
    moire__team_say(a->team, "failed", error.message);
  else if (status && moire__log_get_form() != MOIRE__LOG_JSON)
    tool_fail("train", &error);
  else if (status)
    moire__log("failed", NULL, "%s", error.message);
  if (status) exit_status = TOOL_FAILURE;
  moire__team_leave(a->team, status ? error.message : NULL, exit_status);
  return exit_status;
}

int tool_train(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "CONFIG.yaml",
      "Trains a model: validates after each epoch, stops when there was no new "
      "best for `patience` epochs, and tests "
      "the best. Writes best.safetensors, last.safetensors and metrics.jsonl "
      "into DIR, and config.yaml, ranks.txt and run.json for `moire runs`; interrupted "
      "by Ctrl-C or killed, it continues with --resume to the same result. A DIR that holds a run is refused "
      "without "
      "--resume or --overwrite, and one in which another training runs always.",
      tool_data_arguments,
      NULL,
      NULL};
  arguments a = {.threads = tool_default_threads(), .lock = -1, .profile = {NULL, 10, 20}};
  a.assignments = moire__allocate_array((size_t)argc + 1, sizeof *a.assignments);
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  int status = train_as_asked(&a);
  moire__release(a.assignments);
  moire__arena_free(&a.arena);
  return status;
}
