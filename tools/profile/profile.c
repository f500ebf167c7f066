/* moire profile: runs steps of a model and says where their time goes. */
#include "tools/profile/profile.h"

#include "tools/profile/profile_run.h"

#include "runtime/base/memory.h"

#include <string.h>

typedef struct arguments {
  tool_profile_job job;
  const char **assignments; /* of --set, for the job; owned */
  const char *out;
  bool json, all, compare;
  const char *files[2]; /* of --compare, or one profile that is shown */
  int n_files;
} arguments;

enum { SET = 0x100, STEPS, WARMUP, INFER, CHECKPOINT, MODEL, THREADS, ALL, COMPARE, JSON };

static const struct argp_option options[] = {
    {"steps", STEPS, "N", 0, "Steps that are measured (20)", 0},
    {"warmup", WARMUP, "N", 0, "Steps before them that are not (3)", 0},
    {"infer", INFER, NULL, 0, "Score users, or code items, instead of training", 0},
    {"checkpoint", CHECKPOINT, "FILE", 0, "Run the model of a checkpoint", 0},
    {"model", MODEL, "MODEL", 0, "The model of a checkpoint that does not say", 0},
    {"set", SET, "KEY=VALUE", 0, "Replace a value of the configuration; may come often", 0},
    {"threads", THREADS, "N", 0, "Threads (as many as there are CPUs)", 0},
    {"output", 'o', "DIR", 0, "Write profile.json, report.html, trace.json and stacks.txt into DIR", 0},
    {"compare", COMPARE, NULL, 0, "Say what is faster and slower in the second of two profiles", 0},
    {"all", ALL, NULL, 0, "Show every kernel, line, scope and operation, not only what takes 95 % of the time",
     0},
    {"json", JSON, NULL, 0, "Print the profile as JSON", 0},
    {0}};

static bool is_profile(const char *path) {
  size_t n = strlen(path);
  return n > 5 && !strcmp(path + n - 5, ".json");
}

static void check(arguments *a, const struct argp_state *state) {
  if (a->compare && a->n_files != 2)
    argp_error(state, "--compare: wanted two profiles, but %d came", a->n_files);
  if (!a->compare && a->n_files) a->job.sources.config = is_profile(a->files[0]) ? NULL : a->files[0];
  if (!a->n_files && !a->job.sources.checkpoint)
    argp_error(state, "wanted a configuration, a profile, or --checkpoint FILE");
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  tool_profile_job *job = &a->job;
  switch (key) {
    case STEPS: job->steps = (int)tool_int_argument(state, "--steps", text, 1, 100000); return 0;
    case WARMUP: job->warmup = (int)tool_int_argument(state, "--warmup", text, 0, 100000); return 0;
    case THREADS: job->sources.threads = (int)tool_int_argument(state, "--threads", text, 1, 1024); return 0;
    case INFER: job->infer = true; return 0;
    case CHECKPOINT: job->sources.checkpoint = text; return 0;
    case MODEL: job->sources.model = text; return 0;
    case SET: a->assignments[job->sources.n_assignments++] = text; return 0;
    case 'o': a->out = tool_path_argument(state, "--output", "a folder", text); return 0;
    case ALL: a->all = true; return 0;
    case COMPARE: a->compare = true; return 0;
    case JSON: a->json = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->job.files; return 0;
    case ARGP_KEY_ARG:
      if (a->n_files == 2 || (a->n_files && !a->compare))
        argp_error(state, "wanted one configuration, or two profiles behind --compare, but '%s' came too",
                   text);
      a->files[a->n_files++] = text;
      return 0;
    case ARGP_KEY_END: check(a, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static json_t *describe(const arguments *a, const tool_profile_run *run, const moire__peaks *peaks,
                        moire_error *error) {
  moire_graph *model =
      moire__setup_graph(&run->predictor.setup, a->job.infer ? MOIRE_INFERENCE : MOIRE_TRAINING, error);
  if (!model) return NULL;
  moire__profile_input input = {.model = run->predictor.setup.model->name,
                                .mode = a->job.infer ? "inference" : "training",
                                .batch = run->batch,
                                .program = run->program,
                                .runner = run->runner,
                                .recording = run->recording,
                                .work = run->counter,
                                .counters = run->counters.open ? &run->counters : NULL,
                                .model_graph = model,
                                .peaks = peaks,
                                .batches = run->batches,
                                .code = a->out != NULL};
  json_t *profile = moire__profile_document(&input, error);
  moire_graph_destroy(model);
  return profile;
}

static json_t *measure(const arguments *a, moire_error *error) {
  tool_profile_run run = {0};
  moire__peaks peaks = {0};
  json_t *profile = NULL;
  moire_status status = a->out ? moire__profile_folder(a->out, error) : MOIRE_OK;
  if (!status) status = tool_profile_open(&run, &a->job, error);
  bool known = !status && moire__profile_peaks("profile", a->job.sources.threads, &peaks);
  if (!status) status = tool_profile_record(&run, error);
  if (!status) status = tool_profile_count(&run, &peaks, error);
  if (!status && !run.counters.open) fprintf(stderr, "moire profile: %s\n", run.no_counters.message);
  if (!status) profile = describe(a, &run, known ? &peaks : NULL, error);
  tool_profile_run_free(&run);
  return profile;
}

static moire_status report(const arguments *a, const json_t *profile, moire_error *error) {
  moire_status status = a->out ? moire__profile_write(profile, a->out, error) : MOIRE_OK;
  if (status) return status;
  if (a->json) {
    json_dumpf(profile, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
  } else {
    tool_profile_print(profile, a->all, stdout);
  }
  return MOIRE_OK;
}

/* ---- Profiles that are there ------------------------------------------------------------------------------
 */

static moire_status compare(const arguments *a, moire_error *error) {
  json_t *before = moire__profile_read(a->files[0], error);
  json_t *after = before ? moire__profile_read(a->files[1], error) : NULL;
  if (after && a->json) {
    json_t *comparison = tool_profile_comparison(before, after);
    json_dumpf(comparison, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(comparison);
  } else if (after) {
    tool_profile_print_comparison(before, after, a->all, stdout);
  }
  moire_status status = after ? MOIRE_OK : MOIRE_ERROR_FORMAT;
  json_decref(after);
  json_decref(before);
  return status;
}

static moire_status profile(const arguments *a, moire_error *error) {
  if (a->compare) return compare(a, error);
  bool shown = !a->job.sources.config && a->n_files;
  json_t *document = shown ? moire__profile_read(a->files[0], error) : measure(a, error);
  moire_status status = document ? report(a, document, error) : MOIRE_ERROR_ARGUMENT;
  json_decref(document);
  return status;
}

int tool_profile(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "CONFIG.yaml\n--checkpoint FILE\nPROFILE.json\n--compare BEFORE.json AFTER.json",
      "Runs steps of a model and says where their time goes: kernel by kernel, in the words of the model. A "
      "profile "
      "that -o has written is shown again, or compared with another.",
      tool_data_arguments,
      NULL,
      NULL};
  arguments a = {.job = {.sources.threads = tool_default_threads(), .steps = 20, .warmup = 3, .sampled = 3}};
  a.assignments = moire__allocate_array((size_t)argc + 1, sizeof *a.assignments);
  a.job.sources.assignments = a.assignments;
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire_error error = {0};
  moire_status status = profile(&a, &error);
  moire__release(a.assignments);
  return status ? tool_fail("profile", &error) : 0;
}
