/* Plans made by hand, with kernels in C: y = (x + w) * 2, total = sum of y, w' = w + 1, and what is refused. */
#include <criterion/criterion.h>

#include "moire/run.h"
#include "runtime/profile/recording.h"
#include "runtime/run/runner.h"

#include <math.h>
#include <string.h>

enum { B = 1, WIDTH = 3, BLOCK = 4 };
#define TIMES_B(n) ((moire_dim)1 << 48 | (n))

static void add_kernel(void *const *buffers, const int64_t *extents, int64_t begin, int64_t end) {
  const float *x = buffers[0], *w = buffers[1];
  float *sum = buffers[2];
  for (int64_t i = begin * BLOCK; i < end * BLOCK && i < extents[B]; i++) {
    for (int64_t j = 0; j < WIDTH; j++) sum[i * WIDTH + j] = x[i * WIDTH + j] + w[j];
  }
}

static void double_kernel(void *const *buffers, const int64_t *extents, int64_t begin, int64_t end) {
  const float *sum = buffers[0];
  float *y = buffers[1];
  for (int64_t i = begin * BLOCK; i < end * BLOCK && i < extents[B] * WIDTH; i++) y[i] = 2 * sum[i];
}

static void total_kernel(void *const *buffers, const int64_t *extents, int64_t begin, int64_t end) {
  const float *y = buffers[0];
  float *total = buffers[1];
  if (begin == end) return;
  *total = 0;
  for (int64_t i = 0; i < extents[B] * WIDTH; i++) *total += y[i];
}

static void next_kernel(void *const *buffers, const int64_t *extents, int64_t begin, int64_t end) {
  (void)extents;
  const float *w = buffers[0];
  float *next = buffers[1];
  for (int64_t i = begin; i < end; i++) next[i] = w[i] + 1;
}

static const moire_plan_buffer buffers[] = {
    {"x", MOIRE_PLAN_INPUT, MOIRE_F32, {2, {TIMES_B(1), WIDTH}}, TIMES_B(WIDTH), 0, 0},
    {"w", MOIRE_PLAN_STATE, MOIRE_F32, {1, {WIDTH}}, WIDTH, 0, 3},
    {"x + w", MOIRE_PLAN_TEMPORARY, MOIRE_F32, {2, {TIMES_B(1), WIDTH}}, TIMES_B(WIDTH), 0, 1},
    {"y", MOIRE_PLAN_OUTPUT, MOIRE_F32, {2, {TIMES_B(1), WIDTH}}, TIMES_B(WIDTH), 1, 2},
    {"total", MOIRE_PLAN_OUTPUT, MOIRE_F32, {0, {0}}, 1, 2, 2},
    {"w + 1", MOIRE_PLAN_TEMPORARY, MOIRE_F32, {1, {WIDTH}}, WIDTH, 3, 3},
    {"v", MOIRE_PLAN_STATE, MOIRE_F32, {1, {WIDTH}}, WIDTH, 3, 3},
};
static const moire_plan_step steps[] = {
    {0, (const int[]){0, 1, 2}, 3, TIMES_B(1), BLOCK, "add", NULL, 0},
    {1, (const int[]){2, 3}, 2, TIMES_B(WIDTH), BLOCK, "double", NULL, 0},
    {2, (const int[]){3, 4}, 2, 1, 1, "total", NULL, 0},
    {3, (const int[]){1, 5}, 2, WIDTH, 1, "next", NULL, 0},
};
/* v takes what w was before the run, though w itself is overwritten. */
static const moire_plan_update updates[] = {{1, 5}, {6, 1}};
static const moire_plan_state states[] = {
    {"w", MOIRE_F32, {1, {WIDTH}}, {.kind = MOIRE_INIT_CONSTANT, .a = 10}, true},
    {"v", MOIRE_F32, {1, {WIDTH}}, {.kind = MOIRE_INIT_CONSTANT, .a = -1}, false},
};
static const moire_kernel_function kernels[] = {add_kernel, double_kernel, total_kernel, next_kernel};
static const char *const extents[] = {NULL, "B"};
static const moire_plan plan = {.name = "hand-made",
                                .extents = extents,
                                .n_extents = 1,
                                .buffers = buffers,
                                .n_buffers = 7,
                                .steps = steps,
                                .n_steps = 4,
                                .updates = updates,
                                .n_updates = 2,
                                .states = states,
                                .n_states = 2,
                                .kernels = kernels,
                                .n_kernels = 4};

typedef struct fixture {
  moire_store *store;
  moire_threads *threads;
  moire_runner *runner;
} fixture;

static fixture start(int n_threads) {
  moire_error error = {0};
  fixture f = {moire_store_create(), moire_threads_create(n_threads, NULL), NULL};
  cr_assert_eq(moire_store_declare(f.store, &plan, 1, &error), MOIRE_OK, "%s", error.message);
  f.runner = moire_runner_create(&plan, f.store, f.threads, &error);
  cr_assert_not_null(f.runner, "%s", error.message);
  return f;
}

static void stop(fixture f) {
  moire_runner_destroy(f.runner);
  moire_threads_destroy(f.threads);
  moire_store_destroy(f.store);
}

static void run(fixture f, const float *x, int64_t b) {
  moire_error error = {0};
  moire_runner_set_extent(f.runner, "B", b, &error);
  moire_runner_set_input(f.runner, "x", x, b * WIDTH, &error);
  cr_assert_eq(moire_runner_run(f.runner, &error), MOIRE_OK, "%s", error.message);
}

/* Rises, falls and rises again: a smaller batch uses the larger one's layout. The input is not aligned. */
Test(runner, batches_of_many_sizes) {
  static const int64_t sizes[] = {1, 5, 100, 7, 0, 64, 101};
  static float store[1 + 101 * WIDTH];
  float *x = store + 1;
  for (int i = 0; i < 101 * WIDTH; i++) x[i] = (float)(i % 17);
  for (int n = 1; n <= 3; n++) {
    fixture f = start(n);
    for (int r = 0; r < 7; r++) {
      run(f, x, sizes[r]);
      int64_t elements = 0;
      const float *y = moire_runner_output(f.runner, "y", &elements);
      cr_assert_eq(elements, sizes[r] * WIDTH);
      float w = 10 + (float)r, total = 0;
      for (int64_t i = 0; i < elements; i++) {
        cr_assert_eq(y[i], 2 * (x[i] + w));
        total += y[i];
      }
      cr_assert_eq(*(const float *)moire_runner_output(f.runner, "total", &elements), total);
      cr_assert_eq(elements, 1);
      cr_assert_eq(((float *)moire_store_data(f.store, "w", NULL))[2], w + 1);
      cr_assert_eq(((float *)moire_store_data(f.store, "v", NULL))[2], w);
    }
    stop(f);
  }
}

/* Times rise through a run; every span lies in its step; a thread's busy time is that of its spans. */
static void check_recorded(const moire__recording *recording, int run_number, int64_t *busy, int n_threads) {
  const moire__recorded_run *r = moire__recording_at(recording, run_number);
  cr_expect(r->begin <= r->prepared && r->prepared <= r->steps[0] && r->steps[3] <= r->end);
  cr_expect_eq(r->extents[B], 40);
  for (int i = 1; i < plan.n_steps; i++) cr_expect(r->steps[i - 1] <= r->steps[i]);
  cr_assert(r->n_spans >= plan.n_steps && r->n_spans <= plan.n_steps * n_threads, "%d spans", r->n_spans);
  for (int i = 0; i < r->n_spans; i++) {
    const moire__span *s = &r->spans[i];
    cr_expect(s->thread >= 0 && s->thread < n_threads && s->begin <= s->end);
    cr_expect(s->begin >= (s->step ? r->steps[s->step - 1] : r->prepared) && s->end <= r->steps[s->step]);
    busy[s->step * n_threads + s->thread] += s->end - s->begin;
  }
}

Test(runner, a_recording_has_every_step_of_as_many_runs_as_it_has_room_for) {
  enum { RUNS = 5 };
  float x[40 * WIDTH] = {0};
  for (int n = 1; n <= 3; n++) {
    fixture f = start(n);
    int64_t busy[12] = {0};
    moire__recording *recording = moire__recording_create(plan.n_steps, n, RUNS, RUNS);
    run(f, x, 40);
    cr_assert_eq(moire__recording_count(recording), 0);
    moire__runner_record(f.runner, recording);
    for (int r = 0; r < RUNS + 2; r++) run(f, x, 40);
    cr_assert_eq(moire__recording_count(recording), RUNS);
    for (int r = 0; r < RUNS; r++) check_recorded(recording, r, busy, n);
    for (int i = 0; i < plan.n_steps * n; i++) {
      cr_expect_eq(moire__recording_busy(recording, i / n, i % n), busy[i]);
    }
    moire__runner_record(f.runner, NULL);
    run(f, x, 40);
    cr_expect_eq(((float *)moire_store_data(f.store, "w", NULL))[2], 10 + RUNS + 4);
    stop(f);
    moire__recording_destroy(recording);
  }
}

Test(runner, a_run_that_is_refused_is_not_recorded) {
  fixture f = start(2);
  moire__recording *recording = moire__recording_create(plan.n_steps, 2, 3, 0);
  moire__runner_record(f.runner, recording);
  cr_assert_neq(moire_runner_run(f.runner, NULL), MOIRE_OK);
  cr_expect_eq(moire__recording_count(recording), 0);
  float x[4 * WIDTH] = {0};
  run(f, x, 4);
  cr_expect_eq(moire__recording_count(recording), 1);
  cr_expect_null(moire__recording_at(recording, 0)->spans);
  stop(f);
  moire__recording_destroy(recording);
}

static void note_step(void *context, int step, void *const *arguments, const int64_t *sizes) {
  int *next = context;
  cr_expect_eq(step, (*next)++ % plan.n_steps);
  cr_expect_not_null(arguments[0]);
  cr_expect_eq(sizes[B], 4);
}

Test(runner, who_watches_is_told_of_each_step_before_it_runs) {
  fixture f = start(1);
  float x[4 * WIDTH] = {0};
  int steps_seen = 0;
  moire__runner_watch(f.runner, note_step, &steps_seen);
  run(f, x, 4);
  run(f, x, 4);
  moire__runner_watch(f.runner, NULL, NULL);
  run(f, x, 4);
  cr_expect_eq(steps_seen, 2 * plan.n_steps);
  stop(f);
}

Test(runner, outputs_share_no_memory_with_what_lives_later) {
  fixture f = start(1);
  float x[4 * WIDTH] = {0};
  run(f, x, 4);
  cr_assert_eq(moire_runner_workspace_bytes(f.runner) % 64, 0);
  cr_assert_geq(moire_runner_workspace_bytes(f.runner), 64u * 3);
  cr_assert_null(moire_runner_output(f.runner, "x + w", NULL));
  cr_assert_null(moire_runner_output(f.runner, "w", NULL));
  stop(f);
}

static void assert_refused(fixture f, moire_status want, const char *words) {
  moire_error error = {0};
  cr_assert_eq(moire_runner_run(f.runner, &error), want, "%s", error.message);
  cr_assert(strstr(error.message, words), "%s", error.message);
  cr_assert_eq(((float *)moire_store_data(f.store, "w", NULL))[0], 10);
}

Test(runner, what_is_missing_is_named_before_anything_runs) {
  fixture f = start(2);
  float x[8 * WIDTH] = {0};
  assert_refused(f, MOIRE_ERROR_ARGUMENT, "extent B");
  moire_runner_set_extent(f.runner, "B", 2, NULL);
  assert_refused(f, MOIRE_ERROR_ARGUMENT, "input x");
  moire_runner_set_input(f.runner, "x", x, 8 * WIDTH, NULL);
  assert_refused(f, MOIRE_ERROR_SHAPE, "wanted 6 elements, but 24 came");
  moire_runner_set_extent(f.runner, "B", INT64_MAX / 2, NULL);
  assert_refused(f, MOIRE_ERROR_MEMORY, "too l");
  cr_assert_null(moire_runner_output(f.runner, "y", NULL));
  cr_assert_eq(moire_runner_set_extent(f.runner, "B", -1, NULL), MOIRE_ERROR_ARGUMENT);
  cr_assert_eq(moire_runner_set_extent(f.runner, "other", 5, NULL), MOIRE_OK);
  cr_assert_eq(moire_runner_set_input(f.runner, "w", x, 3, NULL), MOIRE_ERROR_ARGUMENT);
  cr_assert(moire_runner_has_input(f.runner, "x") && !moire_runner_has_input(f.runner, "y"));
  stop(f);
}

Test(runner, a_broken_plan_is_refused) {
  const moire_plan_step wrong_step[] = {{0, (const int[]){0, 1, 9}, 3, TIMES_B(1), BLOCK, "add", NULL, 0}};
  const moire_plan_update wrong_update[] = {{0, 5}};
  moire_store *store = moire_store_create();
  moire_threads *threads = moire_threads_create(1, NULL);
  moire_error error = {0};
  cr_assert_null(moire_runner_create(&plan, store, threads, &error));
  cr_assert(error.status == MOIRE_ERROR_ARGUMENT && strstr(error.message, "state w"), "%s", error.message);
  moire_store_declare(store, &plan, 1, NULL);
  moire_plan p = plan;
  p.steps = wrong_step;
  p.n_steps = 1;
  error = (moire_error){0};
  cr_assert_null(moire_runner_create(&p, store, threads, &error));
  cr_assert(error.status == MOIRE_ERROR_INTERNAL && strstr(error.message, "step 0"), "%s", error.message);
  p = plan;
  p.updates = wrong_update;
  p.n_updates = 1;
  error = (moire_error){0};
  cr_assert_null(moire_runner_create(&p, store, threads, &error));
  cr_assert(strstr(error.message, "update 0"), "%s", error.message);
  moire_threads_destroy(threads);
  moire_store_destroy(store);
}

/* A rest gives the workspace back; the next run is as if there had been none. */
Test(runner, rests) {
  fixture f = start(2);
  moire_error error = {0};
  static const float x[5 * WIDTH] = {1, 2, 3};
  double totals[2] = {0};
  for (int round = 0; round < 2; round++) {
    int64_t n = 0;
    moire_runner_set_extent(f.runner, "B", round ? 2 : 5, &error);
    moire_runner_set_input(f.runner, "x", x, round ? 2 * WIDTH : 5 * WIDTH, &error);
    cr_assert_eq(moire_runner_run(f.runner, &error), MOIRE_OK, "%s", error.message);
    cr_assert_gt(moire_runner_workspace_bytes(f.runner), 0);
    totals[round] = (double)*(const float *)moire_runner_output(f.runner, "total", &n);
    moire_runner_rest(f.runner);
    cr_assert_eq(moire_runner_workspace_bytes(f.runner), 0);
    cr_assert_null(moire_runner_output(f.runner, "total", &n));
  }
  cr_assert_eq(totals[0], 2 * (6 + 5 * 3 * 10));
  cr_assert_eq(totals[1], 2 * (6 + 2 * 3 * 11));
  stop(f);
}

/* ---- what depends on states alone --------------------------------------------------------------------- */

static int prepared;

static void prepare_kernel(void *const *kernel_buffers, const int64_t *sizes, int64_t begin, int64_t end) {
  (void)sizes;
  for (int64_t i = 0; i < WIDTH && begin < end; i++)
    ((float *)kernel_buffers[1])[i] = ((const float *)kernel_buffers[0])[i] + 1;
  prepared++;
}

static const moire_plan_buffer parts[] = {
    {"x", MOIRE_PLAN_INPUT, MOIRE_F32, {2, {TIMES_B(1), WIDTH}}, TIMES_B(WIDTH), 1, 1},
    {"w", MOIRE_PLAN_STATE, MOIRE_F32, {1, {WIDTH}}, WIDTH, 0, 0},
    {"w + 1", MOIRE_PLAN_TEMPORARY, MOIRE_F32, {1, {WIDTH}}, WIDTH, 0, 1},
    {"y", MOIRE_PLAN_OUTPUT, MOIRE_F32, {2, {TIMES_B(1), WIDTH}}, TIMES_B(WIDTH), 1, 1},
};
static const moire_plan_step both[] = {{0, (const int[]){1, 2}, 2, WIDTH, WIDTH, "prepare", NULL, 0},
                                       {1, (const int[]){0, 2, 3}, 3, TIMES_B(1), BLOCK, "add", NULL, 0}};
static const moire_kernel_function functions[] = {prepare_kernel, add_kernel};
static const bool settled_steps[] = {true, false}, settled_buffers[] = {false, false, true, false};
static const moire_plan settled = {.name = "settled",
                                   .extents = extents,
                                   .n_extents = 1,
                                   .buffers = parts,
                                   .n_buffers = 4,
                                   .steps = both,
                                   .n_steps = 2,
                                   .states = states,
                                   .n_states = 1,
                                   .kernels = functions,
                                   .n_kernels = 2,
                                   .settled_steps = settled_steps,
                                   .settled_buffers = settled_buffers};

/* y = x + (w + 1): w + 1 is computed once, and again where the layout is another. */
Test(runner, settled_steps_run_once) {
  static float x[8 * WIDTH];
  for (int settles = 0; settles < 2; settles++) {
    moire_error error = {0};
    fixture f = {moire_store_create(), moire_threads_create(1, NULL), NULL};
    cr_assert_eq(moire_store_declare(f.store, &settled, 1, &error), MOIRE_OK, "%s", error.message);
    f.runner = moire_runner_create(&settled, f.store, f.threads, &error);
    if (settles) moire__runner_settle(f.runner);
    prepared = 0;
    for (int r = 0; r < 6; r++) {
      for (int i = 0; i < 8 * WIDTH; i++) x[i] = (float)(i + r);
      run(f, x, r < 3 ? 2 : 8);
      const float *y = moire_runner_output(f.runner, "y", NULL);
      for (int i = 0; i < 2 * WIDTH; i++) cr_assert_eq(y[i], (float)(i + r) + 11);
    }
    cr_assert_eq(prepared, settles ? 2 : 6);
    stop(f);
  }
}
