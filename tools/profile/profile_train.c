/* Recording a window of a training's steps. The steps are recorded, the few after them are counted, and then
 * the document is made, while the runner is still there; the file is written when the training is over. */
#include "tools/profile/profile_train.h"

#include "runtime/base/memory.h"
#include "runtime/train/log.h"
#include "compiler/profile/document.h"

enum {
  SAMPLED = 3,
  COUNTED = 3
}; /* steps with their spans; steps whose work is counted, the first primes caches */

struct tool_train_profile {
  const tool_profile_window *window;
  const moire__setup *setup;
  const moire_program *program;
  moire__recording *recording;
  moire__profile_counter *counter;
  moire__peaks peaks;
  bool has_peaks, failed;
  moire_error error;
  json_t *document;
};

static void make_document(tool_train_profile *p, moire_runner *runner) {
  moire__runner_record(runner, NULL);
  moire__runner_watch(runner, NULL, NULL);
  if (p->document || p->failed || !moire__recording_count(p->recording)) return;
  moire_graph *model = moire__setup_graph(p->setup, MOIRE_TRAINING, &p->error);
  moire__profile_input input = {.model = p->setup->model->name,
                                .mode = "training",
                                .batch = moire_config_int(p->setup->training, "batch_size"),
                                .program = p->program,
                                .runner = runner,
                                .recording = p->recording,
                                .work = moire__profile_counter_runs(p->counter) ? p->counter : NULL,
                                .model_graph = model,
                                .peaks = p->has_peaks ? &p->peaks : NULL,
                                .code = true};
  p->document = moire__profile_document(&input, &p->error);
  p->failed = !p->document;
  moire_graph_destroy(model);
}

/* Before each step, and with -1 after the last. */
static void watch(void *context, moire_runner *runner, int64_t step) {
  tool_train_profile *p = context;
  int64_t end = (int64_t)p->window->first + p->window->n;
  if (step == p->window->first) moire__runner_record(runner, p->recording);
  if (step == end) {
    moire__runner_record(runner, NULL);
    moire__runner_watch(runner, moire__profile_watch, p->counter);
  }
  if (step == end + COUNTED || step < 0) make_document(p, runner);
}

tool_train_profile *tool_train_profile_create(const tool_profile_window *window, const moire__setup *setup,
                                              const moire_program *program, moire__trainer_job *job) {
  tool_train_profile *p = moire__allocate(sizeof *p);
  int threads = moire_threads_count(job->threads);
  p->window = window;
  p->setup = setup;
  p->program = program;
  p->has_peaks = moire__profile_peaks("train", threads, &p->peaks);
  p->recording = moire__recording_create(job->step->n_steps, threads, window->n, SAMPLED);
  p->counter = moire__profile_counter_create(program, &p->peaks);
  job->watch = watch;
  job->watch_context = p;
  return p;
}

moire_status tool_train_profile_finish(tool_train_profile *p, moire_error *error) {
  if (!p) return MOIRE_OK;
  if (p->failed) return moire_fail(error, p->error.status, "%s", p->error.message);
  if (!p->document) {
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "--profile: the training ended before step %d, where the profile was to begin",
                      p->window->first);
  }
  moire_status status = moire__profile_write(p->document, p->window->directory, error);
  if (!status) {
    moire__log("profile", NULL, "%d steps from step %d on are profiled in %s/profile.json",
               moire__recording_count(p->recording), p->window->first, p->window->directory);
  }
  return status;
}

void tool_train_profile_destroy(tool_train_profile *p) {
  if (!p) return;
  moire__recording_destroy(p->recording);
  moire__profile_counter_destroy(p->counter);
  json_decref(p->document);
  moire__release(p);
}
