/* Running plans. See execute.h. */
#include "runtime/aot/execute.h"

#include "runtime/base/float_mode.h"

#include <stdatomic.h>
#include <string.h>

static size_t argument_bytes(const moire__aot_plan *plan) {
  return ((size_t)plan->n_arguments * sizeof(void *) + 63) / 64 * 64;
}

static size_t moire__aot_add_bytes(size_t a, size_t b, size_t c) {
  const size_t none = SIZE_MAX / 4096;
  size_t sum = 0;
  if (__builtin_mul_overflow(b, c, &sum) || __builtin_add_overflow(a, sum, &sum)) return none;
  return sum < none ? sum : none;
}

static size_t moire__aot_sized_bytes(const moire__aot_plan *plan, const int64_t *extents) {
  size_t bytes = argument_bytes(plan);
  for (int i = 0; i < plan->n_parts; i++) {
    size_t size = 1;
    for (int left = plan->parts[i].extents; left; left >>= 4)
      size = moire__aot_add_bytes(0, size, (size_t)extents[left & 15]);
    bytes = moire__aot_add_bytes(bytes, (size_t)plan->parts[i].bytes, size);
  }
  return bytes;
}

static size_t moire__aot_run_bytes(const moire__aot_plan *plan, int64_t batch) {
  size_t tokens = moire__aot_add_bytes(0, (size_t)batch, (size_t)plan->length); /* if there is no padding */
  const int64_t extents[MOIRE__AOT_EXTENTS] = {1, batch, plan->length ? (int64_t)tokens / plan->block : 0};
  return moire__aot_sized_bytes(plan, extents);
}

/* A product of named extents. */
static int64_t product_of(const moire__aot_run *run, int extents) {
  int64_t size = 1;
  for (int left = extents; left; left >>= 4) size *= run->extents[left & 15];
  return size;
}

/* Where each part of the workspace begins. */
typedef struct parts {
  unsigned char *begin[MOIRE__AOT_MOST_PARTS];
  int64_t size[MOIRE__AOT_MOST_PARTS]; /* what offsets are multiplied by */
} parts;

static parts find_parts(const moire__aot_run *run) {
  parts found;
  unsigned char *at = run->workspace + argument_bytes(run->plan);
  for (int i = 0; i < run->plan->n_parts; i++) {
    found.begin[i] = at;
    found.size[i] = product_of(run, run->plan->parts[i].extents);
    at += run->plan->parts[i].bytes * found.size[i];
  }
  return found;
}

static void *address(const moire__aot_run *run, const parts *workspace, int buffer) {
  const moire__aot_buffer *b = &run->plan->buffers[buffer];
  switch (b->place) {
    case MOIRE__AOT_INPUT: return (void *)(uintptr_t)run->inputs[b->offset];
    case MOIRE__AOT_MODEL: return (unsigned char *)run->model + b->offset;
    case MOIRE__AOT_STATE: return (unsigned char *)run->state + b->offset;
    case MOIRE__AOT_WORKSPACE: return workspace->begin[b->part] + b->offset * workspace->size[b->part];
  }
  return NULL;
}

/* ---- Steps ------------------------------------------------------------------------------------------ */

typedef struct step_job {
  moire_kernel_function kernel;
  void *const *arguments;
  const int64_t *extents;
  int64_t pieces, chunk;
  uint64_t mode; /* runtime/base/float_mode.h */
  _Atomic int64_t next;
} step_job;

static void take_pieces(void *argument, int thread) {
  (void)thread;
  step_job *job = argument;
  const uint64_t before = moire__float_flush(job->mode);
  for (;;) {
    int64_t begin = atomic_fetch_add_explicit(&job->next, job->chunk, memory_order_relaxed);
    if (begin >= job->pieces) break;
    int64_t end = job->pieces - begin > job->chunk ? begin + job->chunk : job->pieces;
    job->kernel(job->arguments, job->extents, begin, end);
  }
  moire__float_flush(before);
}

static void run_step(const moire__aot_run *run, const moire__aot_step *step, void *const *arguments) {
  enum { MOST = 15 }; /* extents and constants, as compiled code has them */
  int64_t own[MOST + 1];
  const int64_t *extents = run->extents;
  if (step->n_constants) {
    for (int i = 0; i <= run->plan->n_extents; i++) own[i] = run->extents[i];
    for (int i = 0; i < step->n_constants; i++)
      own[run->plan->n_extents + 1 + i] = run->plan->constants[step->first_constant + i];
    extents = own;
  }
  int64_t count = step->count * product_of(run, step->extents);
  int64_t pieces = count / step->block + (count % step->block != 0);
  const uint64_t mode = run->plan->flush ? MOIRE__FLOAT_FLUSH : 0;
  if (run->threads < 2 || pieces < 2) {
    const uint64_t before = moire__float_flush(mode);
    step->kernel(arguments, extents, 0, pieces);
    moire__float_flush(before);
    return;
  }
  int64_t chunk = pieces / ((int64_t)run->threads * 8);
  step_job job = {.kernel = step->kernel,
                  .arguments = arguments,
                  .extents = extents,
                  .pieces = pieces,
                  .chunk = chunk + !chunk,
                  .mode = mode};
  run->run(run->context, run->threads, take_pieces, &job);
}

static void moire__aot_execute(const moire__aot_run *run) {
  const moire__aot_plan *plan = run->plan;
  void **arguments = (void **)(void *)run->workspace;
  parts workspace = find_parts(run);
  for (int i = 0; i < plan->n_arguments; i++) arguments[i] = address(run, &workspace, plan->arguments[i]);
  for (int i = 0; i < plan->n_steps; i++) {
    const moire__aot_step *step = &plan->steps[i];
    if (run->profile) run->profile(run->profile_context, step->name, 1);
    run_step(run, step, arguments + step->first_argument);
    if (run->profile) run->profile(run->profile_context, step->name, 0);
  }
  for (int i = 0; i < plan->n_copies; i++) {
    const moire__aot_copy *copy = &plan->copies[i];
    memcpy(address(run, &workspace, copy->to), address(run, &workspace, copy->from), (size_t)copy->bytes);
  }
}

static void *moire__aot_output(const moire__aot_run *run, int output) {
  parts workspace = find_parts(run);
  return address(run, &workspace, run->plan->outputs[output]);
}
