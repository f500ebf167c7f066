/* Profiles of programs that run themselves. See moire/profile.h. */
#include "moire/profile.h"

#include "compiler/driver/compile.h"
#include "compiler/profile/document.h"
#include "runtime/base/memory.h"

enum { COUNTED = 4 }; /* runs whose work is counted; the first fills the caches */

struct moire_profile {
  moire_profile_options options;
  const moire_program *program;
  moire_runner *runner; /* NULL once the profile has ended */
  moire__recording *recording;
  moire__profile_counter *counter;
  moire__peaks peaks;
  bool has_peaks, counting;
};

moire_profile_options moire_profile_defaults(const char *model) {
  return (moire_profile_options){
      .model = model, .mode = "training", .runs = 20, .sampled = 3, .threads = 1, .code = true, .peaks = true};
}

/* Before each step: the run that begins when all are timed is counted. */
static void watch(void *context, int step, void *const *buffers, const int64_t *extents) {
  moire_profile *p = context;
  if (step == 0) {
    p->counting = moire__recording_count(p->recording) == p->options.runs &&
                  moire__profile_counter_runs(p->counter) < COUNTED;
  }
  if (p->counting) moire__profile_watch(p->counter, step, buffers, extents);
}

static moire_status check(const moire_profile_options *o, const moire_program *program, moire_error *error) {
  if (!moire__program_module(program))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "the program has not kept its kernels: wanted options.keep_kernels for moire_compile");
  if (o->runs < 1 || o->runs > 100000 || o->sampled < 0 || o->sampled > o->runs || o->threads < 1)
    return moire_fail(
        error, MOIRE_ERROR_ARGUMENT,
        "profile of %d runs, %d sampled, on %d threads: wanted 1 to 100000 runs, at most as many sampled, "
        "and a thread",
        o->runs, o->sampled, o->threads);
  return MOIRE_OK;
}

moire_profile *moire_profile_start(const moire_profile_options *options, const moire_program *program,
                                   moire_runner *runner, moire_error *error) {
  if (check(options, program, error)) return NULL;
  moire_profile *p = moire__allocate(sizeof *p);
  *p = (moire_profile){.options = *options, .program = program, .runner = runner};
  moire_error ignored = {0};
  if (options->peaks && !moire__peaks_get(options->threads, false, &p->peaks, NULL, &ignored))
    p->has_peaks = p->peaks.n_levels > 1;
  p->recording = moire__recording_create(moire_program_plan(program)->n_steps, options->threads, options->runs,
                                         options->sampled);
  p->counter = moire__profile_counter_create(program, &p->peaks);
  moire__runner_record(runner, p->recording);
  moire__runner_watch(runner, watch, p);
  return p;
}

int moire_profile_runs(const moire_profile *p) { return moire__recording_count(p->recording); }

static void end(moire_profile *p) {
  if (!p->runner) return;
  moire__runner_record(p->runner, NULL);
  moire__runner_watch(p->runner, NULL, NULL);
}

moire_status moire_profile_write(moire_profile *p, const char *directory, moire_error *error) {
  end(p);
  if (!moire_profile_runs(p))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the profile of %s: nothing was run", p->options.model);
  moire_status status = moire__profile_folder(directory, error);
  if (status) return status;
  moire__profile_input input = {.model = p->options.model,
                                .mode = p->options.mode,
                                .batch = p->options.batch,
                                .program = p->program,
                                .runner = p->runner,
                                .recording = p->recording,
                                .work = moire__profile_counter_runs(p->counter) ? p->counter : NULL,
                                .model_graph = p->options.graph,
                                .peaks = p->has_peaks ? &p->peaks : NULL,
                                .code = p->options.code};
  json_t *document = moire__profile_document(&input, error);
  if (!document) return MOIRE_ERROR_ARGUMENT;
  status = moire__profile_write(document, directory, error);
  json_decref(document);
  return status;
}

void moire_profile_destroy(moire_profile *p) {
  if (!p) return;
  end(p);
  moire__recording_destroy(p->recording);
  moire__profile_counter_destroy(p->counter);
  moire__release(p);
}
