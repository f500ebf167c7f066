/* Safetensors: what is written is read back, and no malformed file is accepted or does harm. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/files/safetensors.h"
#include "tests/support/files.h"

#include <math.h>
#include <string.h>

static test_path directory;

static void set_up(void) { test_make_directory(directory); }
static void tear_down(void) { test_remove_directory(directory); }
TestSuite(safetensors, .init = set_up, .fini = tear_down);

/* Parses a file made of `header` and `body` zero bytes; the length is that of the header unless another is
 * given. */
static moire_status parse(const char *header, size_t header_bytes, uint64_t length, size_t body,
                          moire__safetensors **out, moire_error *error) {
  char *bytes = moire__allocate(8 + header_bytes + body);
  for (int i = 0; i < 8; i++) bytes[i] = (char)(length >> 8 * i & 255);
  memcpy(bytes + 8, header, header_bytes);
  return moire__safetensors_parse("bad.safetensors", bytes, 8 + header_bytes + body, out, error);
}

typedef struct malformed {
  const char *header; /* padded with spaces to a multiple of 8 by the test */
  size_t body;
  const char *says; /* part of the sentence */
} malformed;

#define ENTRY(name, dtype, shape, range)                                                                       \
  "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" range "}"

static const malformed cases[] = {
    {"", 0, "not a JSON object"},
    {"[]", 0, "not a JSON object"},
    {"{" ENTRY("a", "F33", "[]", "[0,4]") "}", 3, "ends at byte 4 of the data, but the file holds only 3"},
    {" {}", 0, "not a JSON object"},
    {"{", 0, "not valid JSON"},
    {"{}x", 0, "not valid JSON"},
    {"{} {}", 0, "not valid JSON"},
    {"{\"a\":\"\\u0000\"}", 0, "not valid JSON"},
    {"{\"a\\u0000b\":{}}", 0, "not valid JSON"},
    {"{\"a\":\"\xff\"}", 0, "not valid JSON"},
    {"{\"a\":99999999999999999999}", 0, "not valid JSON"},
    {"{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("a", "F32", "[1]", "[4,8]") "}", 8, "duplicate"},
    {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "duplicate"},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is not a JSON object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "value of 'k' is not a string"},
    {"{\"a\":3}", 0, "'a': its entry is not a JSON object"},
    {"{\"a\":{}}", 0, "'a': dtype is missing"},
    {"{\"a\":{\"dtype\":1,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "'a': dtype is missing or not a string"},
    {"{" ENTRY("a", "F32", "3", "[0,4]") "}", 4, "'a': shape is missing or not an array"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "'a': shape is missing or not an array"},
    {"{" ENTRY("a", "F32", "[1.0]", "[0,4]") "}", 4, "not a whole number"},
    {"{" ENTRY("a", "F32", "[\"1\"]", "[0,4]") "}", 4, "not a whole number"},
    {"{" ENTRY("a", "F32", "[-1]", "[0,4]") "}", 4, "negative extent"},
    {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "more than 8 extents"},
    {"{" ENTRY("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "overflows"},
    {"{" ENTRY("a", "F64", "[2305843009213693953]", "[0,8]") "}", 8, "overflows"},
    {"{" ENTRY("a", "F32", "[1]", "[0]") "}", 4, "array of two whole numbers"},
    {"{" ENTRY("a", "F32", "[1]", "[0,4,8]") "}", 4, "array of two whole numbers"},
    {"{" ENTRY("a", "F32", "[1]", "[0,4.0]") "}", 4, "array of two whole numbers"},
    {"{" ENTRY("a", "F32", "[1]", "{}") "}", 4, "array of two whole numbers"},
    {"{" ENTRY("a", "F32", "[1]", "[-4,0]") "}", 4, "do not rise"},
    {"{" ENTRY("a", "F32", "[1]", "[4,0]") "}", 4, "do not rise"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 4, "ends at byte 8 of the data, but the file holds only 4"},
    {"{" ENTRY("a", "F32", "[1]", "[0,9223372036854775807]") "}", 4, "the file holds only 4"},
    {"{" ENTRY("a", "F32", "[2]", "[0,4]") "}", 4, "need 8 bytes, but data_offsets give 4"},
    {"{" ENTRY("a", "F32", "[0]", "[0,4]") "}", 4, "need 0 bytes, but data_offsets give 4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "keys besides"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("b", "F32", "[2]", "[4,12]") "}", 12,
     "'b': its bytes overlap"},
    {"{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("b", "F32", "[1]", "[0,4]") "}", 4,
     "'b': its bytes overlap"},
    {"{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("b", "F32", "[1]", "[8,12]") "}", 12,
     "'b': there is a gap"},
    {"{" ENTRY("a", "F32", "[1]", "[4,8]") "}", 8, "'a': there is a gap"},
    {"{" ENTRY("a", "F32", "[1]", "[0,4]") "}", 5, "1 bytes at the end"},
    {"{}", 3, "3 bytes at the end"},
};

Test(safetensors, every_malformed_header_is_a_sentence) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char header[400];
    size_t n = strlen(cases[i].header);
    memset(header, ' ', sizeof header);
    memcpy(header, cases[i].header, n);
    n = (n + 7) / 8 * 8;
    moire__safetensors *file = NULL;
    moire_error error = {0};
    cr_assert_eq(parse(header, n, n, cases[i].body, &file, &error), MOIRE_ERROR_FORMAT, "case %zu: %s", i,
                 cases[i].header);
    cr_assert_null(file);
    cr_assert_not_null(strstr(error.message, "bad.safetensors: "), "case %zu: %s", i, error.message);
    cr_assert_not_null(strstr(error.message, cases[i].says), "case %zu: %s", i, error.message);
    cr_assert_null(strchr(error.message, '\n'));
  }
}

Test(safetensors, a_tensor_may_start_anywhere) {
  static const char header[] = "{" ENTRY("b", "U8", "[2]", "[0,2]") "," ENTRY("a", "F32", "[2]", "[2,10]") "}";
  enum { HEADER = (sizeof header - 1 + 7) / 8 * 8 };
  char *bytes = moire__allocate(8 + HEADER + 10);
  bytes[0] = (char)HEADER;
  memset(bytes + 8, ' ', HEADER);
  memcpy(bytes + 8, header, sizeof header - 1);
  memcpy(bytes + 8 + HEADER + 2, (const float[]){0.5f, -3}, 8);
  moire__safetensors *file = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__safetensors_parse("odd", bytes, 8 + HEADER + 10, &file, &error), MOIRE_OK, "%s",
               error.message);
  const moire__st_tensor *a = moire__safetensors_find(file, "a");
  cr_assert_eq((uintptr_t)a->data % sizeof(float), 0);
  cr_assert_eq(((const float *)a->data)[0], 0.5f);
  cr_assert_eq(((const float *)a->data)[1], -3);
  moire__safetensors_close(file);
}

Test(safetensors, a_header_length_is_not_trusted) {
  static const uint64_t lengths[] = {9, 100000001, INT64_MAX, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    moire__safetensors *file = NULL;
    moire_error error = {0};
    cr_assert_eq(parse("{}      ", 8, lengths[i], 0, &file, &error), MOIRE_ERROR_FORMAT);
    cr_assert_not_null(strstr(error.message, "header length"), "%s", error.message);
  }
  char deep[4000];
  memset(deep, '[', sizeof deep);
  memcpy(deep, "{\"a\":", 5);
  moire__safetensors *file = NULL;
  moire_error error = {0};
  cr_assert_eq(parse(deep, sizeof deep, sizeof deep, 0, &file, &error), MOIRE_ERROR_FORMAT);
  cr_assert_not_null(strstr(error.message, "not valid JSON"), "%s", error.message);
}

Test(safetensors, an_empty_header_is_a_file_without_tensors) {
  moire__safetensors *file = NULL;
  moire_error error = {0};
  cr_assert_eq(parse("{}      ", 8, 8, 0, &file, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__safetensors_count(file), 0);
  cr_assert_null(moire__safetensors_metadata(file, "model"));
  moire__safetensors_close(file);
}

/* ---- Round trips ------------------------------------------------------------------------------------------
 */

static const double doubles[] = {1.5, -2, 1e300};
static const float floats[] = {0.1f, -0.0f, 3, 4, 5, 6};
static const uint16_t halves[] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x7BFF, 0x8400, 0x7E00};
static const uint16_t bfloats[] = {0x3F80, 0xC020};
static const int64_t longs[] = {1, INT64_C(-5000000000)};
static const int32_t ints[] = {INT32_MIN, INT32_MAX};
static const int16_t shorts[] = {-7};
static const int8_t bytes_signed[] = {-128, 127, 0};
static const uint8_t bytes_unsigned[] = {255};
static const uint8_t truths[] = {0, 1, 2};

static const moire__st_tensor all_types[] = {
    {"truths", MOIRE__ST_BOOL, 1, {3}, 0, truths},
    {"scalar", MOIRE__ST_U8, 0, {0}, 0, bytes_unsigned},
    {"signed", MOIRE__ST_I8, 1, {3}, 0, bytes_signed},
    {"short", MOIRE__ST_I16, 1, {1}, 0, shorts},
    {"ints", MOIRE__ST_I32, 1, {2}, 0, ints},
    {"longs", MOIRE__ST_I64, 2, {2, 1}, 0, longs},
    {"half", MOIRE__ST_F16, 1, {7}, 0, halves},
    {"bfloat", MOIRE__ST_BF16, 1, {2}, 0, bfloats},
    {"layers.0 \"\xc3\xa9\"", MOIRE__ST_F32, 2, {2, 3}, 0, floats},
    {"doubles", MOIRE__ST_F64, 3, {1, 3, 1}, 0, doubles},
    {"nothing", MOIRE__ST_F32, 2, {0, 5}, 0, NULL},
};
enum { N_ALL = sizeof all_types / sizeof *all_types };
static const moire__st_metadata metadata[] = {{"model", "qia"}, {"config", "{\"a\": [1, 2]}"}};

static void write_all(const char *path) {
  moire_error error = {0};
  cr_assert_eq(moire__safetensors_write(path, all_types, N_ALL, metadata, 2, &error), MOIRE_OK, "%s",
               error.message);
}

static moire__safetensors *open_good(const char *path) {
  moire__safetensors *file = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__safetensors_open(path, &file, &error), MOIRE_OK, "%s", error.message);
  return file;
}

Test(safetensors, what_is_written_is_read_back) {
  test_path path;
  write_all(test_join(directory, "a.safetensors", path));
  moire__safetensors *file = open_good(path);
  cr_assert_eq(moire__safetensors_count(file), N_ALL);
  cr_assert_str_eq(moire__safetensors_path(file), path);
  cr_assert_str_eq(moire__safetensors_metadata(file, "config"), "{\"a\": [1, 2]}");
  for (int i = 0; i < N_ALL; i++) {
    const moire__st_tensor *want = &all_types[i], *got = moire__safetensors_at(file, i);
    cr_assert_str_eq(got->name, want->name);
    cr_assert_eq(moire__safetensors_find(file, want->name), got);
    cr_assert_eq(got->dtype, want->dtype);
    cr_assert_eq(got->rank, want->rank);
    int64_t count = 1;
    for (int d = 0; d < want->rank; d++) {
      cr_assert_eq(got->shape[d], want->shape[d]);
      count *= want->shape[d];
    }
    cr_assert_eq(got->count, count);
    cr_assert_eq((uintptr_t)got->data % moire__st_dtype_size(got->dtype), 0);
    if (count) cr_assert_arr_eq(got->data, want->data, (size_t)count * moire__st_dtype_size(want->dtype));
  }
  moire_error error = {0};
  const moire__st_tensor *tensor = NULL;
  cr_assert_eq(moire__safetensors_need(file, "absent", &tensor, &error), MOIRE_ERROR_FORMAT);
  cr_assert_not_null(strstr(error.message, "has no tensor 'absent'"));
  moire__safetensors_close(file);
}

Test(safetensors, equal_arguments_give_equal_bytes) {
  test_path a, b;
  write_all(test_join(directory, "a.safetensors", a));
  write_all(test_join(directory, "b.safetensors", b));
  char *first = NULL, *second = NULL;
  size_t n = 0, m = 0;
  cr_assert_eq(moire__file_read(a, 0, &first, &n, NULL), MOIRE_OK);
  cr_assert_eq(moire__file_read(b, 0, &second, &m, NULL), MOIRE_OK);
  cr_assert_eq(n, m);
  cr_assert_arr_eq(first, second, n);
  cr_assert_eq((unsigned char)first[0] % 8, 0, "the header is padded");
  moire__release(first);
  moire__release(second);
}

Test(safetensors, conversions) {
  test_path path;
  write_all(test_join(directory, "a.safetensors", path));
  moire__safetensors *file = open_good(path);
  double d[7];
  float f[7];
  int32_t i[7];
  moire_error error = {0};
  moire__st_to_double(moire__safetensors_find(file, "half"), d);
  cr_assert(d[0] == 1 && d[1] == -2 && d[2] == 0x1p-24 && isinf(d[3]) && d[4] == 65504 && d[5] == -0x1p-14 &&
            isnan(d[6]));
  moire__st_to_float(moire__safetensors_find(file, "bfloat"), f);
  cr_assert(f[0] == 1 && f[1] == -2.5f);
  moire__st_to_float(moire__safetensors_find(file, "doubles"), f);
  cr_assert(f[0] == 1.5f && f[1] == -2 && isinf(f[2]));
  moire__st_to_double(moire__safetensors_find(file, "longs"), d);
  cr_assert(d[0] == 1 && d[1] == -5e9);
  moire__st_to_double(moire__safetensors_find(file, "signed"), d);
  cr_assert(d[0] == -128 && d[1] == 127 && d[2] == 0);
  moire__st_to_double(moire__safetensors_find(file, "truths"), d);
  cr_assert(d[0] == 0 && d[1] == 1 && d[2] == 1);
  cr_assert_eq(moire__st_to_int32(moire__safetensors_find(file, "ints"), i, &error), MOIRE_OK);
  cr_assert(i[0] == INT32_MIN && i[1] == INT32_MAX);
  cr_assert_eq(moire__st_to_int32(moire__safetensors_find(file, "longs"), i, &error), MOIRE_ERROR_FORMAT);
  cr_assert_not_null(strstr(error.message, "'longs': element 1 is -5000000000"), "%s", error.message);
  error = (moire_error){0};
  cr_assert_eq(moire__st_to_int32(moire__safetensors_find(file, "half"), i, &error), MOIRE_ERROR_FORMAT);
  cr_assert_not_null(strstr(error.message, "dtype is F16"), "%s", error.message);
  moire__safetensors_close(file);
}

static void assert_not_written(const moire__st_tensor *tensors, int n, const moire__st_metadata *pairs,
                               int n_pairs, const char *says) {
  test_path path;
  moire_error error = {0};
  cr_assert_neq(moire__safetensors_write(test_join(directory, "w", path), tensors, n, pairs, n_pairs, &error),
                MOIRE_OK);
  cr_assert_not_null(strstr(error.message, says), "%s", error.message);
  cr_assert_eq(test_count_files(directory), 0);
}

Test(safetensors, the_writer_refuses_what_the_reader_would) {
  const moire__st_tensor twice[] = {all_types[0], all_types[0]};
  const moire__st_tensor negative = {"n", MOIRE__ST_F32, 1, {-1}, 0, floats};
  const moire__st_tensor huge = {"h", MOIRE__ST_F32, 2, {INT64_MAX, 2}, 0, floats};
  const moire__st_tensor reserved = {"__metadata__", MOIRE__ST_F32, 1, {1}, 0, floats};
  const moire__st_tensor latin = {"\xe9", MOIRE__ST_F32, 1, {1}, 0, floats};
  const moire__st_metadata same[] = {{"k", "1"}, {"k", "2"}}, bytes = {"k", "\xff"};
  assert_not_written(twice, 2, NULL, 0, "given twice");
  assert_not_written(&negative, 1, NULL, 0, "extent 0 is -1");
  assert_not_written(&huge, 1, NULL, 0, "no file can hold");
  assert_not_written(&reserved, 1, NULL, 0, "__metadata__");
  assert_not_written(&latin, 1, NULL, 0, "not UTF-8");
  assert_not_written(NULL, 0, same, 2, "given twice");
  assert_not_written(NULL, 0, &bytes, 1, "not UTF-8");
}

/* ---- Damage -----------------------------------------------------------------------------------------------
 */

/* Touches all that a file claims to have, so that a sanitizer sees a claim that went unchecked. */
static double use(const moire__safetensors *file) {
  double sum = 0;
  for (int i = 0; i < moire__safetensors_count(file); i++) {
    const moire__st_tensor *tensor = moire__safetensors_at(file, i);
    double *values = moire__allocate_array((size_t)tensor->count, sizeof *values);
    moire__st_to_double(tensor, values);
    for (int64_t k = 0; k < tensor->count; k++) sum += values[k];
    moire__release(values);
  }
  return sum;
}

static moire_status parse_copy(const char *bytes, size_t n, moire_error *error) {
  char *copy = memcpy(moire__allocate(n), bytes, n);
  moire__safetensors *file = NULL;
  moire_status status = moire__safetensors_parse("damaged", copy, n, &file, error);
  if (!status) use(file);
  moire__safetensors_close(file);
  return status;
}

Test(safetensors, truncated_anywhere_or_longer_is_an_error) {
  test_path path;
  write_all(test_join(directory, "a.safetensors", path));
  char *bytes = NULL;
  size_t n = 0;
  cr_assert_eq(moire__file_read(path, 0, &bytes, &n, NULL), MOIRE_OK);
  cr_assert_eq(parse_copy(bytes, n, NULL), MOIRE_OK);
  for (size_t length = 0; length < n; length++) {
    moire_error error = {0};
    cr_assert_eq(parse_copy(bytes, length, &error), MOIRE_ERROR_FORMAT, "cut to %zu bytes", length);
    cr_assert_neq(error.message[0], 0);
  }
  cr_assert_eq(parse_copy(bytes, n + 1, NULL), MOIRE_ERROR_FORMAT, "the NUL after the bytes");
  moire__release(bytes);
}

Test(safetensors, a_flipped_bit_of_the_header_does_no_harm) {
  test_path path;
  write_all(test_join(directory, "a.safetensors", path));
  char *bytes = NULL;
  size_t n = 0;
  cr_assert_eq(moire__file_read(path, 0, &bytes, &n, NULL), MOIRE_OK);
  size_t header = 8 + (unsigned char)bytes[0] + 256 * (size_t)(unsigned char)bytes[1];
  cr_assert_leq(header, n);
  for (size_t i = 0; i < header; i++) {
    for (int bit = 0; bit < 8; bit++) {
      bytes[i] = (char)(bytes[i] ^ 1 << bit);
      moire_error error = {0};
      if (parse_copy(bytes, n, &error)) cr_assert_neq(error.message[0], 0);
      bytes[i] = (char)(bytes[i] ^ 1 << bit);
    }
  }
  moire__release(bytes);
}

/* ---- Published files --------------------------------------------------------------------------------------
 */

Test(safetensors, published_files_are_read) {
  test_path path;
  if (!test_shared("checkpoints/qia_lastfm.safetensors", path)) cr_skip_test("../shared is absent");
  moire__safetensors *file = open_good(path);
  cr_assert_str_eq(moire__safetensors_metadata(file, "model"), "qia");
  const moire__st_tensor *items = moire__safetensors_find(file, "item_embeddings.weight");
  cr_assert(items && items->dtype == MOIRE__ST_F32 && items->rank == 2 && items->shape[0] == 3647 &&
            items->shape[1] == 64);
  cr_assert(isfinite(use(file)));
  moire__safetensors_close(file);
  if (!test_shared("goldens/qia_small.safetensors", path)) cr_skip_test("../shared/goldens is absent");
  file = open_good(path);
  cr_assert_str_eq(moire__safetensors_metadata(file, "format"), "golden/1");
  int32_t answers[64];
  const moire__st_tensor *tensor = moire__safetensors_find(file, "input/answers");
  cr_assert(tensor && tensor->dtype == MOIRE__ST_I64 && tensor->count <= 64);
  cr_assert_eq(moire__st_to_int32(tensor, answers, NULL), MOIRE_OK);
  cr_assert(isfinite(use(file)));
  moire__safetensors_close(file);
}
