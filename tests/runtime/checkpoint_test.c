/* Checkpoints: what is saved comes back, other widths are converted, and what does not fit is named. */
#include <criterion/criterion.h>

#include "runtime/files/checkpoint.h"
#include "tests/support/files.h"

#include <math.h>
#include <string.h>

static test_path directory, path;

static void set_up(void) {
  test_make_directory(directory);
  test_join(directory, "c.safetensors", path);
}
static void tear_down(void) { test_remove_directory(directory); }
TestSuite(checkpoint, .init = set_up, .fini = tear_down);

static const moire_plan_state states[] = {
    {"layer.weight", MOIRE_F32, {2, {2, 3}}, {.kind = MOIRE_INIT_NORMAL, .a = 0, .b = 1}, true},
    {"steps", MOIRE_I64, {0, {0}}, {.kind = MOIRE_INIT_CONSTANT, .a = 7}, false},
    {"exact", MOIRE_F64, {1, {2}}, {.kind = MOIRE_INIT_UNIFORM, .a = 0, .b = 1}, false},
    {"adam.m.layer.weight", MOIRE_F32, {2, {2, 3}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0.5}, false},
};
static const moire_plan plan = {.name = "p", .states = states, .n_states = 4};
static const moire__st_metadata metadata[] = {{"format", MOIRE__CHECKPOINT_FORMAT}, {"model", "p"}};

static moire_store *store_of(const moire_plan *p, uint64_t seed) {
  moire_store *store = moire_store_create();
  cr_assert_eq(moire_store_declare(store, p, seed, NULL), MOIRE_OK);
  return store;
}

static moire__safetensors *reopen(void) {
  moire__safetensors *file = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__safetensors_open(path, &file, &error), MOIRE_OK, "%s", error.message);
  return file;
}

static bool same(const moire_store *a, const moire_store *b, const char *name) {
  int64_t n = 0, m = 0;
  const void *x = moire_store_data(a, name, &n), *y = moire_store_data(b, name, &m);
  size_t width = !strcmp(name, "steps") || !strcmp(name, "exact") ? 8 : 4;
  return n == m && !memcmp(x, y, (size_t)n * width);
}

Test(checkpoint, what_is_saved_comes_back) {
  moire_store *from = store_of(&plan, 1), *to = store_of(&plan, 2);
  *(int64_t *)moire_store_data(from, "steps", NULL) = 123456789012345;
  ((float *)moire_store_data(from, "adam.m.layer.weight", NULL))[3] = 9;
  cr_assert_not(same(from, to, "layer.weight"));
  cr_assert_eq(moire__checkpoint_save(path, from, MOIRE__CHECKPOINT_EVERYTHING, metadata, 2, NULL), MOIRE_OK);
  moire__safetensors *file = reopen();
  cr_assert_str_eq(moire__safetensors_metadata(file, "model"), "p");
  cr_assert_eq(moire__safetensors_count(file), 4);

  /* The model alone: the optimizer's state is in the file, but is not taken. */
  cr_assert_eq(moire__checkpoint_load(file, to, MOIRE__CHECKPOINT_MODEL, NULL), MOIRE_OK);
  cr_assert(same(from, to, "layer.weight") && same(from, to, "steps") && same(from, to, "exact"));
  cr_assert_not(same(from, to, "adam.m.layer.weight"));
  cr_assert_eq(moire__checkpoint_load(file, to, MOIRE__CHECKPOINT_EVERYTHING, NULL), MOIRE_OK);
  cr_assert(same(from, to, "adam.m.layer.weight"));
  moire__safetensors_close(file);
  moire_store_destroy(from);
  moire_store_destroy(to);
}

Test(checkpoint, a_model_has_no_optimizer) {
  moire_store *store = store_of(&plan, 1);
  cr_assert_eq(moire__checkpoint_save(path, store, MOIRE__CHECKPOINT_MODEL, metadata, 2, NULL), MOIRE_OK);
  moire__safetensors *file = reopen();
  cr_assert_eq(moire__safetensors_count(file), 3);
  moire_error error = {0};
  cr_assert_eq(moire__checkpoint_load(file, store, MOIRE__CHECKPOINT_EVERYTHING, &error), MOIRE_ERROR_FORMAT);
  cr_assert(strstr(error.message, "adam.m.layer.weight"), "%s", error.message);
  moire__safetensors_close(file);
  moire_store_destroy(store);
}

/* bf16, f16 and f64 of 1.5, -2 and 0.25 become floats. */
Test(checkpoint, other_widths_are_converted) {
  static const uint16_t bf16[] = {0x3FC0, 0xC000, 0x3E80}, f16[] = {0x3E00, 0xC000, 0x3400};
  static const double f64[] = {1.5, -2, 0.25};
  static const struct {
    moire__st_dtype dtype;
    const void *data;
  } widths[] = {{MOIRE__ST_BF16, bf16}, {MOIRE__ST_F16, f16}, {MOIRE__ST_F64, f64}};
  static const moire_plan_state w[] = {{"w", MOIRE_F32, {1, {3}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true}};
  const moire_plan p = {.name = "w", .states = w, .n_states = 1};
  for (size_t i = 0; i < 3; i++) {
    moire__st_tensor t = {
        .name = "w", .dtype = widths[i].dtype, .rank = 1, .shape = {3}, .data = widths[i].data};
    cr_assert_eq(moire__safetensors_write(path, &t, 1, metadata, 2, NULL), MOIRE_OK);
    moire_store *store = store_of(&p, 1);
    moire__safetensors *file = reopen();
    cr_assert_eq(moire__checkpoint_load(file, store, MOIRE__CHECKPOINT_MODEL, NULL), MOIRE_OK);
    const float *got = moire_store_data(store, "w", NULL);
    cr_assert(got[0] == 1.5f && got[1] == -2.0f && got[2] == 0.25f);
    moire__safetensors_close(file);
    moire_store_destroy(store);
  }
}

/* Writes the tensors of one that fits, with tensor `index` replaced or, if `tensor` is NULL, left out. */
static void assert_refused(int index, const moire__st_tensor *tensor, const char *words) {
  static const float six[6];
  static const int64_t one[1];
  static const double two[2];
  moire__st_tensor good[] = {
      {.name = "layer.weight", .dtype = MOIRE__ST_F32, .rank = 2, .shape = {2, 3}, .data = six},
      {.name = "steps", .dtype = MOIRE__ST_I64, .data = one},
      {.name = "exact", .dtype = MOIRE__ST_F64, .rank = 1, .shape = {2}, .data = two},
      {.name = "adam.v.unknown", .dtype = MOIRE__ST_F32, .rank = 2, .shape = {2, 3}, .data = six},
  };
  if (tensor) good[index] = *tensor;
  if (!tensor) good[index] = good[3];
  cr_assert_eq(moire__safetensors_write(path, good, tensor ? 4 : 3, metadata, 2, NULL), MOIRE_OK);
  moire_store *store = store_of(&plan, 5), *untouched = store_of(&plan, 5);
  moire__safetensors *file = reopen();
  moire_error error = {0};
  cr_assert_neq(moire__checkpoint_load(file, store, MOIRE__CHECKPOINT_MODEL, &error), MOIRE_OK);
  cr_assert(strstr(error.message, "c.safetensors: ") && strstr(error.message, words), "%s", error.message);
  for (int i = 0; i < 4; i++) cr_assert(same(store, untouched, states[i].name));
  moire__safetensors_close(file);
  moire_store_destroy(store);
  moire_store_destroy(untouched);
}

Test(checkpoint, what_does_not_fit_is_named) {
  static const float f[6];
  static const int64_t n[6];
  const moire__st_tensor turned = {
      .name = "layer.weight", .dtype = MOIRE__ST_F32, .rank = 2, .shape = {3, 2}, .data = f};
  const moire__st_tensor flat = {
      .name = "layer.weight", .dtype = MOIRE__ST_F32, .rank = 1, .shape = {6}, .data = f};
  const moire__st_tensor whole = {
      .name = "layer.weight", .dtype = MOIRE__ST_I64, .rank = 2, .shape = {2, 3}, .data = n};
  const moire__st_tensor broken = {.name = "steps", .dtype = MOIRE__ST_F32, .data = f};
  const moire__st_tensor extra = {.name = "more", .dtype = MOIRE__ST_F32, .rank = 1, .shape = {1}, .data = f};
  assert_refused(0, &turned, "layer.weight: wanted shape [2, 3], but [3, 2] came");
  assert_refused(0, &flat, "layer.weight: wanted shape [2, 3], but [6] came");
  assert_refused(0, &whole, "layer.weight: wanted type F32");
  assert_refused(1, &broken, "steps: wanted type I64, but F32 came");
  assert_refused(3, &extra, "more");
  assert_refused(1, NULL, "steps");
}

/* ---- Names of others --------------------------------------------------------------------------------------
 */

static const moire_plan_state wave_states[] = {
    {"layers.0.w.re", MOIRE_F32, {1, {2}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true},
    {"layers.0.w.im", MOIRE_F64, {1, {2}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true},
    {"bias", MOIRE_F32, {1, {1}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true},
};
static const moire_plan wave_plan = {.name = "wave", .states = wave_states, .n_states = 3};
static const float pairs[] = {1, 2, 3, 4}, bias[] = {7};

/* Loads a file of w as C64 and a bias under these names, and of `more` unless that is NULL. */
static moire_status load_wave(const char *w, const char *b, const char *more, moire_store *store,
                              moire_error *error) {
  moire__st_tensor tensors[] = {{.name = w, .dtype = MOIRE__ST_C64, .rank = 1, .shape = {2}, .data = pairs},
                                {.name = b, .dtype = MOIRE__ST_F32, .rank = 1, .shape = {1}, .data = bias},
                                {.name = more, .dtype = MOIRE__ST_F32, .rank = 1, .shape = {1}, .data = bias}};
  cr_assert_eq(moire__safetensors_write(path, tensors, more ? 3 : 2, metadata, 2, NULL), MOIRE_OK);
  moire__safetensors *file = reopen();
  moire_status status = moire__checkpoint_load(file, store, MOIRE__CHECKPOINT_MODEL, error);
  moire__safetensors_close(file);
  return status;
}

Test(checkpoint, prefixes_of_wrappers_are_dropped_and_complex_weights_are_two_planes) {
  static const char *const names[][2] = {{"layers.0.w", "bias"},
                                         {"module.layers.0.w", "module.bias"},
                                         {"_orig_mod.layers.0.w", "_orig_mod.bias"},
                                         {"module._orig_mod.layers.0.w", "_orig_mod.module.bias"},
                                         {"layers.0._orig_mod.w", "bias"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    moire_store *store = store_of(&wave_plan, 1);
    moire_error error = {0};
    cr_assert_eq(load_wave(names[i][0], names[i][1], NULL, store, &error), MOIRE_OK, "%s", error.message);
    const float *re = moire_store_data(store, "layers.0.w.re", NULL),
                *b = moire_store_data(store, "bias", NULL);
    const double *im = moire_store_data(store, "layers.0.w.im", NULL);
    cr_assert(re[0] == 1 && re[1] == 3 && im[0] == 2 && im[1] == 4 && b[0] == 7);
    moire_store_destroy(store);
  }
}

Test(checkpoint, planes_go_by_many_names) {
  static const char *const names[][2] = {
      {"w.real", "w.imag"}, {"w.re", "w.im"}, {"w_real", "w_imag"}, {"w_re", "w_im"}, {"w_r", "w_i"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const moire_plan_state own[] = {
        {names[i][0], MOIRE_F32, {1, {2}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true},
        {names[i][1], MOIRE_F32, {1, {2}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true},
        wave_states[2],
    };
    const moire_plan own_plan = {.name = "own", .states = own, .n_states = 3};
    moire_store *store = store_of(&own_plan, 1);
    moire_error error = {0};
    cr_assert_eq(load_wave("w", "bias", NULL, store, &error), MOIRE_OK, "%s", error.message);
    const float *re = moire_store_data(store, names[i][0], NULL),
                *im = moire_store_data(store, names[i][1], NULL);
    cr_assert(re[0] == 1 && re[1] == 3 && im[0] == 2 && im[1] == 4);
    moire_store_destroy(store);
  }
}

Test(checkpoint, a_name_that_fits_as_it_is_is_taken_so) {
  static const moire_plan_state own[] = {
      {"module.w", MOIRE_F32, {1, {1}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true},
      {"w", MOIRE_F32, {1, {1}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true},
      {"x_real", MOIRE_F32, {1, {1}}, {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true},
  };
  const moire_plan own_plan = {.name = "own", .states = own, .n_states = 3};
  moire_store *from = store_of(&own_plan, 1), *to = store_of(&own_plan, 2);
  for (int i = 0; i < 3; i++) *(float *)moire_store_data(from, own[i].name, NULL) = 1 + (float)i;
  cr_assert_eq(moire__checkpoint_save(path, from, MOIRE__CHECKPOINT_MODEL, metadata, 2, NULL), MOIRE_OK);
  moire__safetensors *file = reopen();
  moire_error error = {0};
  cr_assert_eq(moire__checkpoint_load(file, to, MOIRE__CHECKPOINT_MODEL, &error), MOIRE_OK, "%s",
               error.message);
  for (int i = 0; i < 3; i++) cr_assert_eq(*(float *)moire_store_data(to, own[i].name, NULL), 1 + (float)i);
  moire__safetensors_close(file);
  moire_store_destroy(from);
  moire_store_destroy(to);
}

Test(checkpoint, names_that_could_be_two_are_refused) {
  static const struct {
    const char *w, *b, *more, *says;
  } bad[] = {
      {"layers.0.w", "bias", "module.bias", "both 'bias' and 'module.bias' would be bias"},
      {"layers.0.w", "module.bias", "_orig_mod.bias", "both 'module.bias' and '_orig_mod.bias' would be bias"},
      {"layers.0.v", "bias", NULL, "has no tensor 'layers.0.w.re'"},
      {"layers.0.w", "bias", "module.more", "module.more: is not among the states of the model"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    moire_store *store = store_of(&wave_plan, 1);
    moire_error error = {0};
    cr_assert_eq(load_wave(bad[i].w, bad[i].b, bad[i].more, store, &error), MOIRE_ERROR_FORMAT);
    cr_assert_not_null(strstr(error.message, bad[i].says), "%s", error.message);
    cr_assert_eq(*(float *)moire_store_data(store, "bias", NULL), 0, "the store is as it was");
    moire_store_destroy(store);
  }
  const moire_plan half = {
      .name = "half", .states = (moire_plan_state[]){wave_states[1], wave_states[2]}, .n_states = 2};
  moire_store *store = store_of(&half, 1);
  moire_error error = {0};
  cr_assert_eq(load_wave("layers.0.w", "bias", NULL, store, &error), MOIRE_ERROR_FORMAT);
  cr_assert_not_null(strstr(error.message, "layers.0.w: is complex, but the model has one of its planes alone"),
                     "%s", error.message);
  moire_store_destroy(store);
}

Test(checkpoint, weights_that_are_nan_are_refused) {
  moire_store *from = store_of(&plan, 1), *to = store_of(&plan, 2);
  ((float *)moire_store_data(from, "layer.weight", NULL))[4] = NAN;
  ((float *)moire_store_data(from, "layer.weight", NULL))[1] = INFINITY;
  cr_assert_eq(moire__checkpoint_save(path, from, MOIRE__CHECKPOINT_MODEL, metadata, 2, NULL), MOIRE_OK);
  moire__safetensors *file = reopen();
  moire_error error = {0};
  cr_assert_eq(moire__checkpoint_load(file, to, MOIRE__CHECKPOINT_MODEL, &error), MOIRE_ERROR_FORMAT);
  cr_assert_not_null(strstr(error.message, "c.safetensors: layer.weight: element 4 is NaN"), "%s",
                     error.message);
  moire__safetensors_close(file);
  moire_store_destroy(from);
  moire_store_destroy(to);
}
