/* Goldens through libraries. See aot_golden.h. */
#include "tests/support/aot/aot_golden.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "tests/support/aot/aot.h"
#include "tests/support/files.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden {
  moire__safetensors *file;
  aot_model model;
  int64_t batch, length, items, steps;
  library_lists histories;
  int32_t *targets;
  FILE *out;
} golden;

static const moire__st_tensor *need(const golden *g, const char *prefix, const char *name) {
  moire_error error = {0};
  const moire__st_tensor *t = NULL;
  char whole[200];
  snprintf(whole, sizeof whole, "%s%s", prefix, name);
  aot_need(moire__safetensors_need(g->file, whole, &t, &error), &error);
  return t;
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

static void read_optimizer(golden *g) {
  json_t *root = json_loads(moire__safetensors_metadata(g->file, "optimizer"), 0, NULL);
  moire_training_options *o = &g->model.optimizer.training;
  cr_assert_str_eq(json_string_value(json_object_get(root, "name")), "adam");
  o->lr = json_number_value(json_object_get(root, "lr"));
  o->beta1 = json_number_value(json_object_get(root, "beta1"));
  o->beta2 = json_number_value(json_object_get(root, "beta2"));
  o->eps = json_number_value(json_object_get(root, "eps"));
  json_decref(root);
}

static void read_histories(golden *g) {
  moire_error error = {0};
  const moire__st_tensor *ids = need(g, "input/", "input_ids"), *answers = need(g, "input/", "answers");
  int32_t *rows = moire__allocate_array((size_t)ids->count, sizeof *rows);
  aot_need(moire__st_to_int32(ids, rows, &error), &error);
  g->batch = ids->shape[0];
  g->length = ids->shape[1];
  g->targets = moire__allocate_array((size_t)g->batch, sizeof *g->targets);
  aot_need(moire__st_to_int32(answers, g->targets, &error), &error);
  int64_t *offsets = moire__allocate_array((size_t)g->batch + 1, sizeof *offsets);
  int64_t n = 0;
  for (int64_t i = 0; i < g->batch; i++) {
    int64_t j = 0;
    while (j < g->length && !rows[i * g->length + j]) j++;
    for (; j < g->length; j++) rows[n++] = rows[i * g->length + j];
    offsets[i + 1] = n;
  }
  g->histories = (library_lists){offsets, rows};
}

static golden open_golden(const char *path) {
  golden g = {0};
  moire_error error = {0};
  aot_need(moire__safetensors_open(path, &g.file, &error), &error);
  aot_model_make(&g.model, moire__safetensors_metadata(g.file, "model"),
                 moire__safetensors_metadata(g.file, "config"), 0);
  read_optimizer(&g);
  read_histories(&g);
  for (int i = 0; i < moire_store_count(g.model.store); i++) {
    const char *name = moire_store_at(g.model.store, i).name;
    moire__st_to_float(need(&g, "param/", name), moire_store_data(g.model.store, name, NULL));
  }
  g.items = moire_config_int(g.model.config, "item_size");
  g.steps = atoi(moire__safetensors_metadata(g.file, "steps"));
  return g;
}

static void close_golden(golden *g) {
  aot_histories_free(&g->histories);
  moire__release(g->targets);
  aot_model_free(&g->model);
  moire__safetensors_close(g->file);
}

/* ---- Writing the case ------------------------------------------------------------------------------- */

static void put(const golden *g, const void *data, size_t size, int64_t n) {
  cr_assert_eq(fwrite(data, size, (size_t)n, g->out), (size_t)n);
}

static void put_int(const golden *g, int64_t number) { put(g, &number, sizeof number, 1); }

static void put_numbers(const golden *g, const moire__st_tensor *want, const float *jit) {
  double *values = moire__allocate_array((size_t)want->count + 1, sizeof *values);
  moire__st_to_double(want, values);
  put_int(g, want->count);
  put(g, values, sizeof *values, want->count);
  put(g, jit, sizeof *jit, want->count);
  moire__release(values);
}

static const float *run(const golden *g, moire_runner *runner, const char *output) {
  moire_error error = {0};
  int32_t *ids = aot_pad(&g->histories, g->batch, g->length);
  moire_runner_set_extent(runner, "B", g->batch, &error);
  moire_runner_set_input(runner, "input_ids", ids, g->batch * g->length, &error);
  if (moire_runner_has_input(runner, "answers"))
    moire_runner_set_input(runner, "answers", g->targets, g->batch, &error);
  aot_need(moire_runner_run(runner, &error), &error);
  moire__release(ids);
  return moire_runner_output(runner, output, NULL);
}

static moire_runner *make_runner(golden *g, moire_program *program, moire_threads *threads) {
  moire_error error = {0};
  const moire_plan *plan = moire_program_plan(program);
  aot_need(moire_store_declare(g->model.store, plan, 0, &error), &error);
  moire_runner *runner = moire_runner_create(plan, g->model.store, threads, &error);
  cr_assert(runner, "%s", error.message);
  return runner;
}

static void put_scores(golden *g, moire_threads *threads) {
  moire_program *program = aot_jit(&g->model, "logits", false, NULL);
  moire_runner *runner = make_runner(g, program, threads);
  put_numbers(g, need(g, "output/", "logits"), run(g, runner, "logits"));
  moire_runner_destroy(runner);
  moire_program_destroy(program);
}

/* Trains the store by the JIT and writes the losses. */
static void put_losses(golden *g, moire_threads *threads) {
  moire_error error = {0};
  moire_program *step = aot_jit(&g->model, "loss", true, NULL), *loss = aot_jit(&g->model, "loss", false, NULL);
  moire_runner *step_runner = make_runner(g, step, threads), *loss_runner = make_runner(g, loss, threads);
  float losses[64] = {0}, scalars[MOIRE_MOST_OPTIMIZER_SCALARS];
  cr_assert_lt(g->steps, 64);
  for (int64_t i = 0; i < g->steps; i++) {
    const moire_training_options *o = &g->model.optimizer.training;
    moire_batch_place place = moire_batch_place_at(i, o->accumulate);
    moire_optimizer_scalars_f32(o, &place, scalars);
    moire_runner_set_input(step_runner, "optimizer.scalars", scalars, moire_optimizer_scalar_count(o), &error);
    losses[i] = *run(g, step_runner, "loss");
  }
  losses[g->steps] = *run(g, loss_runner, "loss");
  put_numbers(g, need(g, "", "train_losses"), losses);
  moire_runner_destroy(step_runner);
  moire_runner_destroy(loss_runner);
  moire_program_destroy(step);
  moire_program_destroy(loss);
}

static double norm_of(const moire__st_tensor *t) {
  double *values = moire__allocate_array((size_t)t->count + 1, sizeof *values), sum = 0;
  moire__st_to_double(t, values);
  for (int64_t i = 0; i < t->count; i++) sum += values[i] * values[i];
  moire__release(values);
  return sqrt(sum);
}

/* A gradient that is zero in exact arithmetic says nothing, and neither does what it trains. */
static double noise_floor(const golden *g) {
  double largest = 0;
  for (int i = 0; i < moire__safetensors_count(g->file); i++) {
    const moire__st_tensor *t = moire__safetensors_at(g->file, i);
    if (strncmp(t->name, "grad/", 5) != 0) continue;
    double norm = norm_of(t);
    if (norm > largest) largest = norm;
  }
  return largest * 1e-6;
}

static void write_case(golden *g, const char *path) {
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(1, &error);
  g->out = fopen(path, "wb");
  cr_assert(g->out && threads);
  int n = 0;
  while (n < moire_store_count(g->model.store) && moire_store_at(g->model.store, n).trained) n++;
  put_int(g, g->batch);
  put_int(g, g->items);
  put_int(g, g->steps);
  put_int(g, n);
  put(g, g->histories.offsets, sizeof *g->histories.offsets, g->batch + 1);
  put_int(g, g->histories.offsets[g->batch]);
  put(g, g->histories.items, sizeof *g->histories.items, g->histories.offsets[g->batch]);
  put(g, g->targets, sizeof *g->targets, g->batch);
  put_scores(g, threads);
  put_losses(g, threads);
  double floor = noise_floor(g);
  for (int i = 0; i < n; i++) {
    const char *name = moire_store_at(g->model.store, i).name;
    const moire__st_tensor *start = need(g, "param/", name);
    float *values = moire__allocate_array((size_t)start->count + 1, sizeof *values);
    moire__st_to_float(start, values);
    put_int(g, (int64_t)strlen(name));
    put(g, name, 1, (int64_t)strlen(name));
    put_int(g, norm_of(need(g, "grad/", name)) > floor);
    put_numbers(g, start, values);
    put_numbers(g, need(g, "trained/", name), moire_store_data(g->model.store, name, NULL));
    moire__release(values);
  }
  cr_assert_eq(fclose(g->out), 0);
  moire_threads_destroy(threads);
}

/* ---- Running ---------------------------------------------------------------------------------------- */

/* Builds the check beside the library, which is `directory`/golden.a, and runs it on the case that lies there.
 * The check ends with its arrays unfreed: only its accesses are of interest to a sanitizer. */
static void run_check(const char *directory, const char *cc, const char *flags, const char *runner,
                      const char *mode) {
  moire__text command = {0};
  moire__text_add(&command,
                  "%s %s -std=c11 -Wall -Wextra -Werror -I%s %s/tests/aot/golden_check.c -o %s/check ", cc,
                  flags, directory, getenv("SOURCE_DIR"), directory);
  moire__text_add(&command, "%s/golden.a -lm && ASAN_OPTIONS=detect_leaks=0 %s %s/check %s/case %s", directory,
                  runner, directory, directory, mode);
  cr_assert_eq(system(command.data), 0, "%s", command.data);
  moire__text_free(&command);
}

void aot_golden_check(const char *name, const char *cc, const char *cpu, const char *runner, const char *mode) {
  test_path shared, directory, path;
  char source[100], flags[100] = "";
  const char *sanitize = getenv("MOIRE_SANITIZE");
  if (!cc && sanitize && *sanitize) snprintf(flags, sizeof flags, "-fsanitize=%s", sanitize);
  snprintf(source, sizeof source, "goldens/%s.safetensors", name);
  if (!test_shared(source, shared)) cr_skip_test("the goldens are not there");
  test_make_directory(directory);
  golden g = open_golden(shared);
  moire_error error = {0};
  aot_wish wish = {.name = "golden", .cpu = cpu, .cc = cc, .training = true};
  aot_need(aot_write(&g.model, &wish, directory, &error), &error);
  write_case(&g, test_join(directory, "case", path));
  close_golden(&g);
  run_check(directory, cc ? cc : "cc", flags, runner, mode);
  test_remove_directory(directory);
}

static const char *const names[] = {"qia_small",
                                    "qia_odd",
                                    "qia_default",
                                    "pswrec_v13_small",
                                    "pswrec_v13_vam_small",
                                    "pswrec_v13_softmag_small",
                                    "pswrec_v1111_small",
                                    "pm_ssd_small",
                                    "wearec_small"};

const char *aot_golden_name(int i) { return i < (int)(sizeof names / sizeof *names) ? names[i] : NULL; }
