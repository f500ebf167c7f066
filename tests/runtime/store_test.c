/* States: first values depend on seed and name alone, and plans that share a store must agree. */
#include <criterion/criterion.h>

#include "moire/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static moire_plan plan_of(const moire_plan_state *states, int n) {
  return (moire_plan){.name = "p", .states = states, .n_states = n};
}

static moire_store *store_of(const moire_plan_state *states, int n, uint64_t seed) {
  moire_plan plan = plan_of(states, n);
  moire_store *store = moire_store_create();
  moire_error error = {0};
  cr_assert_eq(moire_store_declare(store, &plan, seed, &error), MOIRE_OK, "%s", error.message);
  return store;
}

static moire_plan_state normal_state(const char *name, const char *stream, int64_t n) {
  return (moire_plan_state){
      name, MOIRE_F32, MOIRE_SHAPE(n), {.kind = MOIRE_INIT_NORMAL, .a = 1.0, .b = 0.5, .stream = stream}, true};
}

Test(store, first_values_do_not_depend_on_company) {
  const moire_plan_state ab[] = {normal_state("a", NULL, 100), normal_state("b", NULL, 100)};
  const moire_plan_state b[] = {normal_state("b", NULL, 100)};
  moire_store *both = store_of(ab, 2, 42), *alone = store_of(b, 1, 42), *other = store_of(b, 1, 43);
  const float *x = moire_store_data(both, "b", NULL), *y = moire_store_data(alone, "b", NULL);
  cr_assert_eq(memcmp(x, y, 400), 0);
  cr_assert_neq(memcmp(x, moire_store_data(other, "b", NULL), 400), 0);
  cr_assert_neq(memcmp(x, moire_store_data(both, "a", NULL), 400), 0);
  moire_store_destroy(both);
  moire_store_destroy(alone);
  moire_store_destroy(other);
}

Test(store, one_stream_one_start) {
  const moire_plan_state states[] = {normal_state("layers.0.conv", "layers.conv", 50),
                                     normal_state("layers.1.conv", "layers.conv", 50)};
  moire_store *store = store_of(states, 2, 1);
  cr_assert_eq(
      memcmp(moire_store_data(store, states[0].name, NULL), moire_store_data(store, states[1].name, NULL), 200),
      0);
  moire_store_destroy(store);
}

Test(store, a_list_is_repeated_and_copied) {
  double values[] = {0.5, -1, 2};
  const moire_plan_state states[] = {{"w", MOIRE_F32, MOIRE_SHAPE(2, 4), moire_init_list(values, 3), true}};
  moire_store *store = store_of(states, 1, 1);
  const float *w = moire_store_data(store, "w", NULL);
  for (int i = 0; i < 8; i++) cr_assert_eq(w[i], (float)values[i % 3]);
  moire_store_destroy(store);
}

Test(store, distributions) {
  enum { N = 20000 };
  const moire_plan_state states[] = {
      normal_state("normal", NULL, N),
      {"uniform", MOIRE_F64, MOIRE_SHAPE(N), {.kind = MOIRE_INIT_UNIFORM, .a = -2.0, .b = 3.0}, true},
      {"ones", MOIRE_BF16, MOIRE_SHAPE(3, 2), {.kind = MOIRE_INIT_CONSTANT, .a = 1.0}, false},
      {"truth", MOIRE_BOOL, MOIRE_SCALAR, {.kind = MOIRE_INIT_CONSTANT, .a = 1.0}, false},
      {"number", MOIRE_I64, MOIRE_SHAPE(1), {.kind = MOIRE_INIT_CONSTANT, .a = -7.0}, false},
  };
  moire_store *store = store_of(states, 5, 9);
  double sum = 0, squares = 0, low = 9, high = -9, mean = 0;
  int64_t n = 0;
  const float *normal = moire_store_data(store, "normal", &n);
  cr_assert_eq(n, N);
  cr_assert_eq((uintptr_t)normal % 64, 0);
  const double *uniform = moire_store_data(store, "uniform", NULL);
  for (int i = 0; i < N; i++) {
    sum += normal[i];
    squares += (normal[i] - 1.0) * (normal[i] - 1.0);
    low = fmin(low, uniform[i]);
    high = fmax(high, uniform[i]);
    mean += uniform[i] / N;
  }
  cr_assert(fabs(sum / N - 1.0) < 0.02 && fabs(sqrt(squares / N) - 0.5) < 0.02);
  cr_assert(low >= -2 && low < -1.99 && high < 3 && high > 2.99 && fabs(mean - 0.5) < 0.05);
  const uint16_t *ones = moire_store_data(store, "ones", &n);
  cr_assert(n == 6 && ones[0] == 0x3F80 && ones[5] == 0x3F80);
  cr_assert_eq(*(uint8_t *)moire_store_data(store, "truth", NULL), 1);
  cr_assert_eq(*(int64_t *)moire_store_data(store, "number", NULL), -7);
  cr_assert_null(moire_store_data(store, "absent", &n));
  cr_assert(n == 0 && moire_store_count(store) == 5 && !strcmp(moire_store_at(store, 2).name, "ones"));
  moire_store_destroy(store);
}

Test(store, plans_must_agree) {
  const moire_plan_state first[] = {normal_state("w", NULL, 6)};
  const moire_plan_state longer[] = {normal_state("w", NULL, 7)};
  const moire_plan_state twice[] = {
      {"w", MOIRE_F32, MOIRE_SHAPE(2, 3), {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true}};
  moire_store *store = store_of(first, 1, 1);
  float *w = moire_store_data(store, "w", NULL);
  w[0] = 5;
  moire_plan same = plan_of(first, 1), wrong = plan_of(longer, 1), reshaped = plan_of(twice, 1);
  moire_error error = {0};
  cr_assert_eq(moire_store_declare(store, &same, 2, &error), MOIRE_OK);
  cr_assert(moire_store_count(store) == 1 && w[0] == 5);
  cr_assert_eq(moire_store_declare(store, &wrong, 2, &error), MOIRE_ERROR_SHAPE);
  cr_assert(strstr(error.message, "state w"), "%s", error.message);
  cr_assert_eq(moire_store_declare(store, &reshaped, 2, NULL), MOIRE_ERROR_SHAPE);
  const moire_plan_state complex_state[] = {
      {"z", MOIRE_C64, MOIRE_SHAPE(2), {.kind = MOIRE_INIT_CONSTANT, .a = 0}, true}};
  moire_plan c = plan_of(complex_state, 1);
  cr_assert_eq(moire_store_declare(store, &c, 2, NULL), MOIRE_ERROR_UNSUPPORTED);
  moire_store_destroy(store);
}
