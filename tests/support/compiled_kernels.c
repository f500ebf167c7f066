/* Compiled kernels against the interpreter. */
#include "tests/support/compiled_kernels.h"

#include <criterion/criterion.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/philox.h"

enum { MARGIN = 256 }; /* bytes before and after each buffer that nobody may write */

/* ---- distance ----------------------------------------------------------------------------------------------
 */

double test_ulps(double got, double want, bool is_f32) {
  if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
  int bits = is_f32 ? 24 : 53, least = is_f32 ? -149 : -1074, top = is_f32 ? 128 : 1024;
  double rounded = is_f32 ? (double)(float)want : want;
  if (got == rounded) return got != 0 || signbit(got) == signbit(rounded) ? 0 : INFINITY;
  if (isinf(got) || isinf(want)) return INFINITY;
  if (isinf(rounded)) rounded = copysign(ldexp(1, top - 1), want);
  int exponent = 0;
  frexp(rounded, &exponent);
  int last = exponent - bits > least && rounded != 0 ? exponent - bits : least;
  return fabs(got - want) / ldexp(1, last);
}

/* ---- buffers -----------------------------------------------------------------------------------------------
 */

typedef struct block {
  char *start; /* MARGIN bytes before the buffer */
  void *data;
  size_t bytes;
  int64_t n;
} block;

static block make_block(int64_t n, moire__loop_type type) {
  size_t bytes = (size_t)n * moire__loop_type_bytes(type);
  block b = {.n = n, .bytes = bytes};
  b.start = moire__allocate_aligned(bytes + 2 * MARGIN, 64);
  memset(b.start, 0x5a, bytes + 2 * MARGIN);
  b.data = b.start + MARGIN;
  return b;
}

static void check_margins(const moire__loop_kernel *k, int parameter, const block *b) {
  for (size_t i = 0; i < MARGIN; i++) {
    cr_assert_eq(b->start[i], 0x5a, "%s: compiled code wrote before %s", k->name, k->buffers[parameter].name);
    cr_assert_eq(b->start[MARGIN + b->bytes + i], 0x5a, "%s: compiled code wrote %zu bytes past %s", k->name, i,
                 k->buffers[parameter].name);
  }
}

static double random_float(moire__random *random, const test_compiled_case *how, int64_t i) {
  static const double hard[] = {INFINITY, -INFINITY, NAN, 0.0, -0.0, 1e-41, -3e-44, 0x1p127};
  double low = how->low, high = how->high;
  if (low == 0 && high == 0) low = -2, high = 2;
  double x = low + (high - low) * moire__random_real(random);
  return how->hard && i % 8 == 3 ? hard[moire__random_below(random, 8)] : x;
}

static void fill(const block *b, moire__loop_type type, const test_compiled_case *how, moire__random *random) {
  int64_t least = how->least, most = how->most;
  if (least == 0 && most == 0) most = 9;
  for (int64_t i = 0; i < b->n; i++) {
    double x = random_float(random, how, i);
    uint64_t span = (uint64_t)most - (uint64_t)least + 1; /* 0: all of them */
    uint64_t drawn = span ? moire__random_below(random, span) : moire__random_bits(random);
    int64_t whole = (int64_t)((uint64_t)least + drawn);
    float narrow = (float)x;
    uint32_t bits = 0;
    memcpy(&bits, &narrow, sizeof bits);
    if (type == MOIRE__LOOP_F32) ((float *)b->data)[i] = narrow;
    if (type == MOIRE__LOOP_F64) ((double *)b->data)[i] = x;
    if (type == MOIRE__LOOP_BF16) ((uint16_t *)b->data)[i] = (uint16_t)(bits >> 16 | (isnan(x) ? 0x40 : 0));
    if (type == MOIRE__LOOP_I32) ((int32_t *)b->data)[i] = (int32_t)whole;
    if (type == MOIRE__LOOP_I64) ((int64_t *)b->data)[i] = whole;
    if (type == MOIRE__LOOP_BOOL) ((uint8_t *)b->data)[i] = whole % 2 != 0;
  }
}

/* ---- comparison --------------------------------------------------------------------------------------------
 */

static double as_number(moire__loop_type type, const void *data, int64_t i) {
  if (type == MOIRE__LOOP_F32) return (double)((const float *)data)[i];
  if (type == MOIRE__LOOP_F64) return ((const double *)data)[i];
  if (type == MOIRE__LOOP_BOOL) return ((const uint8_t *)data)[i];
  if (type == MOIRE__LOOP_I32) return ((const int32_t *)data)[i];
  if (type == MOIRE__LOOP_I64) return (double)((const int64_t *)data)[i];
  uint32_t bits = (uint32_t)((const uint16_t *)data)[i] << 16;
  float x = 0;
  memcpy(&x, &bits, sizeof x);
  return (double)x;
}

static void compare(const moire__loop_kernel *k, const test_compiled_case *how, int parameter,
                    const block *want, const block *got) {
  const moire__loop_buffer_info *info = &k->buffers[parameter];
  size_t size = moire__loop_type_bytes(info->type);
  for (int64_t i = 0; i < want->n; i++) {
    if (memcmp((char *)want->data + (size_t)i * size, (char *)got->data + (size_t)i * size, size) == 0)
      continue;
    double x = as_number(info->type, want->data, i), y = as_number(info->type, got->data, i);
    if (isnan(x) && isnan(y)) continue;
    bool measured = how->ulps > 0 && (info->type == MOIRE__LOOP_F32 || info->type == MOIRE__LOOP_F64);
    double ulps = measured ? test_ulps(y, x, info->type == MOIRE__LOOP_F32) : INFINITY;
    cr_assert(ulps <= how->ulps, "%s on %s: %s[%lld] is %a (%.9g), not %a (%.9g): %g ulp", k->name,
              how->target ? how->target : "host", info->name, (long long)i, y, y, x, x, ulps);
  }
}

static void run_both(const moire__loop_kernel *k, const test_compiled_case *how, const int64_t *extents,
                     moire_kernel_function function) {
  static const int64_t none[1];
  enum { MAX_PARAMETERS = 64 };
  block want[MAX_PARAMETERS], got[MAX_PARAMETERS];
  void *want_data[MAX_PARAMETERS], *got_data[MAX_PARAMETERS];
  moire_error error = {0};
  if (!extents) extents = none;
  moire__random random = moire__random_start(7, (uint64_t)extents[0] + (uint64_t)k->n_values);
  cr_assert(k->n_parameters <= MAX_PARAMETERS);
  for (int i = 0; i < k->n_parameters; i++) {
    const moire__loop_buffer_info *info = &k->buffers[i + 1];
    int64_t n = moire__dim_size(info->elements, extents);
    want[i] = make_block(n, info->type);
    got[i] = make_block(n, info->type);
    fill(&want[i], info->type, how, &random);
    memcpy(got[i].data, want[i].data, want[i].bytes);
    want_data[i] = want[i].data;
    got_data[i] = got[i].data;
  }
  int64_t count = moire__dim_size(k->count, extents);
  int64_t iterations = how->iterations ? how->iterations : (count + k->block - 1) / k->block;
  cr_assert_eq(moire__loop_interpret(k, want_data, extents, 0, iterations, false, &error), MOIRE_OK, "%s",
               error.message);
  int64_t middle = iterations / 2; /* in two pieces: a kernel may be cut anywhere */
  function(got_data, extents, 0, middle);
  function(got_data, extents, middle, iterations);
  for (int i = 0; i < k->n_parameters; i++) {
    compare(k, how, i + 1, &want[i], &got[i]);
    check_margins(k, i + 1, &got[i]);
    moire__release_aligned(want[i].start);
    moire__release_aligned(got[i].start);
  }
}

/* ---- the whole
 * ----------------------------------------------------------------------------------------------- */

void test_compiled_agrees_for(const moire__loop_kernel *k, const test_compiled_case *how,
                              const int64_t (*extents)[MOIRE_MAX_EXTENTS + 1], int n_runs) {
  moire_error error = {0};
  moire__target target;
  cr_assert_eq(moire__loop_verify(k, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__target_named(how->target ? how->target : "host", &target, &error), MOIRE_OK, "%s",
               error.message);
  moire__jit *jit = moire__jit_create(&error);
  cr_assert_not_null(jit, "%s", error.message);
  moire_kernel_function function = NULL;
  cr_assert_eq(moire__jit_compile(jit, &k, 1, &target, &how->options, 1, &function, &error), MOIRE_OK, "%s",
               error.message);
  for (int run = 0; run < n_runs; run++) run_both(k, how, extents ? extents[run] : how->extents, function);
  moire__jit_destroy(jit);
}

void test_compiled_agrees(const moire__loop_kernel *k, const test_compiled_case *how) {
  test_compiled_agrees_for(k, how, NULL, 1);
}

moire__loop_kernel *test_kernel_text(moire__arena *arena, const char *format, ...) {
  char text[20000];
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  cr_assert(n >= 0 && (size_t)n < sizeof text);
  moire_error error = {0};
  moire__loop_kernel *k = moire__loop_parse(arena, text, "kernel of this test", &error);
  cr_assert_not_null(k, "%s in\n%s", error.message, text);
  return k;
}

bool test_target_runs(const char *name) {
  moire__target target;
  moire_error error = {0};
  bool runs = moire__target_named(name, &target, &error) == MOIRE_OK &&
              moire__target_runs_here(&target, &error) == MOIRE_OK;
  if (!runs) fprintf(stderr, "skipped: %s\n", error.message);
  return runs;
}
