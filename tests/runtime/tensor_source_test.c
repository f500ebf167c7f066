/* Data of tensors: every form is opened, rows become what is wanted, and what cannot is a sentence with its
 * place.
 */
#include <criterion/criterion.h>

#include "runtime/files/npy.h"
#include "runtime/files/tensor_source.h"
#include "tests/support/files.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static test_path directory;

static void set_up(void) {
  test_make_directory(directory);
  cr_assert_eq(chdir(directory), 0);
}
static void tear_down(void) { test_remove_directory(directory); }
TestSuite(tensor_source, .init = set_up, .fini = tear_down);

static moire__tensor_source *open_good(const char *data) {
  moire__tensor_source *s = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__tensor_source_open(data, &s, &error), MOIRE_OK, "%s", error.message);
  return s;
}

static void assert_closed(const char *data, const char *says) {
  moire__tensor_source *s = NULL;
  moire_error error = {0};
  cr_assert_neq(moire__tensor_source_open(data, &s, &error), MOIRE_OK, "%s", data);
  cr_assert_null(s);
  cr_assert_not_null(strstr(error.message, says), "%s", error.message);
}

static void write_npy(const char *path, moire__st_dtype dtype, int rank, const int64_t *shape,
                      const void *data) {
  moire_error error = {0};
  cr_assert_eq(moire__npy_write(path, dtype, rank, shape, data, &error), MOIRE_OK, "%s", error.message);
}

static const float six[] = {1, 2, 3, 4, 5, 6};
static const int64_t three[] = {7, -8, 9};
static const int64_t shape_x[] = {3, 2}, shape_y[] = {3};

static void write_two(void) {
  write_npy("x.npy", MOIRE__ST_F32, 2, shape_x, six);
  write_npy("y.npy", MOIRE__ST_I64, 1, shape_y, three);
}

/* ---- Forms ------------------------------------------------------------------------------------------------
 */

static void assert_two(const char *data, const char *x, const char *y) {
  moire__tensor_source *s = open_good(data);
  cr_assert_str_eq(moire__tensor_source_path(s), data);
  cr_assert_eq(moire__tensor_source_count(s), 2);
  const moire__array *a[2] = {NULL};
  moire_error error = {0};
  cr_assert_eq(moire__tensor_source_take(s, x, MOIRE_F32, 2, (int64_t[]){0, 2}, &a[0], &error), MOIRE_OK, "%s",
               error.message);
  cr_assert_eq(moire__tensor_source_take(s, y, MOIRE_I32, 1, (int64_t[]){0}, &a[1], &error), MOIRE_OK, "%s",
               error.message);
  int64_t rows = 0;
  cr_assert_eq(moire__arrays_rows(a, 2, &rows, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(rows, 3);
  float got_x[4];
  int32_t got_y[3];
  cr_assert_eq(moire__array_read_rows(a[0], MOIRE_F32, (int64_t[]){2, 0}, 2, got_x, NULL, &error), MOIRE_OK);
  cr_assert(got_x[0] == 5 && got_x[1] == 6 && got_x[2] == 1 && got_x[3] == 2);
  cr_assert_eq(moire__array_read_rows(a[1], MOIRE_I32, NULL, 3, got_y, NULL, &error), MOIRE_OK);
  cr_assert(got_y[0] == 7 && got_y[1] == -8 && got_y[2] == 9);
  moire__tensor_source_close(s);
}

Test(tensor_source, every_form) {
  write_two();
  const moire__st_tensor tensors[] = {
      {.name = "x", .dtype = MOIRE__ST_F32, .rank = 2, .shape = {3, 2}, .data = six},
      {.name = "y", .dtype = MOIRE__ST_I64, .rank = 1, .shape = {3}, .data = three}};
  const moire__st_metadata metadata = {"made", "here"};
  cr_assert_eq(moire__safetensors_write("d.safetensors", tensors, 2, &metadata, 1, NULL), MOIRE_OK);
  assert_two("d.safetensors", "x", "y");
  assert_two("x.npy,y.npy", "x", "y");
  assert_two("in=x.npy,out=./y.npy", "in", "out");
  char absolute[2 * sizeof directory];
  snprintf(absolute, sizeof absolute, "in=%s/x.npy,y.npy", directory);
  assert_two(absolute, "in", "y");
  cr_assert_eq(rename("d.safetensors", "no_suffix"), 0);
  assert_two("no_suffix", "x", "y");
  moire__tensor_source *s = open_good("no_suffix");
  cr_assert_str_eq(moire__tensor_source_metadata(s, "made"), "here");
  moire__tensor_source_close(s);

  cr_assert_eq(mkdir("folder", 0777), 0);
  cr_assert_eq(rename("x.npy", "folder/x.npy"), 0);
  cr_assert_eq(rename("y.npy", "folder/y.npy"), 0);
  test_write_file("folder/README", "not ours", 8);
  test_write_file("folder/._x.npy", "not ours", 8);
  assert_two("folder", "x", "y");
  assert_two("folder/", "x", "y");
  s = open_good("folder/x.npy");
  cr_assert_eq(moire__tensor_source_count(s), 1);
  cr_assert_str_eq(moire__tensor_source_at(s, 0)->name, "x");
  cr_assert_null(moire__tensor_source_metadata(s, "made"));
  moire__tensor_source_close(s);
}

Test(tensor_source, what_is_no_data_is_named) {
  write_two();
  cr_assert_eq(mkdir("empty", 0777), 0);
  test_write_file("zero", "", 0);
  test_write_file("a.npz", "PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0x.npy....", 39);
  test_write_file("a.pt", "PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\0\0a/data.pkl....",
                  44);
  test_write_file("b.pt", "\x80\x02\x8a\x0alj....", 10);
  test_write_file("h.h5", "\x89HDF\r\n\x1a\n........", 16);
  test_write_file("i.json", "{\"weight_map\": {}}", 18);
  test_write_file("j.json", "{\"a\": {}}", 9);
  test_write_file("z.gz", "\x1f\x8b\x08\0\0\0\0\0\0\0", 10);
  test_write_file("t.csv", "1.5,2\n3,4\n", 10);
  assert_closed("t.csv", "t.csv: is text, not a file of tensors");
  const moire__st_tensor tensor = {.name = "x", .dtype = MOIRE__ST_F32, .rank = 1, .shape = {6}, .data = six};
  cr_assert_eq(moire__safetensors_write("s", &tensor, 1, NULL, 0, NULL), MOIRE_OK);
  assert_closed("y.npy,s", "s: is a safetensors file, which is given alone");
  assert_closed("", "empty");
  assert_closed("absent.npy", "absent.npy: cannot be opened: No such file");
  assert_closed("empty", "empty: is a folder without .npy files");
  assert_closed("zero", "zero: is empty");
  assert_closed("a.npz", "a.npz: is a .npz archive of NumPy");
  assert_closed("a.pt", "a.pt: is a pickle of PyTorch");
  assert_closed("b.pt", "b.pt: is a pickle of Python");
  assert_closed("h.h5", "h.h5: is an HDF5 file");
  assert_closed("i.json", "i.json: is the index of a checkpoint in parts");
  assert_closed("j.json", "j.json: is a text of JSON");
  assert_closed("z.gz", "z.gz: is compressed by gzip");
  assert_closed("x.npy,a.npz", "a.npz: is a .npz archive of NumPy");
  assert_closed("x.npy,,y.npy", "an empty place in the list");
  assert_closed("x.npy,", "an empty place in the list");
  assert_closed("=x.npy", "wanted NAME=PATH");
  assert_closed("x=,y.npy", "wanted NAME=PATH");
  assert_closed("x.npy,./x.npy", "x.npy and ./x.npy are both named x; write NAME=PATH");
  assert_closed("a=x.npy,a=y.npy", "both named a");
  assert_closed("x.npy,absent.npy", "absent.npy: cannot be opened");
  cr_assert_eq(mkfifo("fifo", 0600), 0);
  assert_closed("fifo", "fifo: is not a regular file");
}

Test(tensor_source, what_is_asked_and_not_there_is_named) {
  write_two();
  moire__tensor_source *s = open_good("x.npy,y.npy");
  const moire__array *a = NULL, *both[2];
  static const struct {
    const char *name;
    moire_dtype type;
    int rank;
    int64_t shape[3];
    const char *says;
  } wrong[] = {
      {"z", MOIRE_F32, 1, {0}, "x.npy,y.npy: has no tensor 'z'; it has x, y"},
      {"x", MOIRE_F32, 2, {0, 3}, "x.npy: x: wanted shape [*, 3], but [3, 2] came"},
      {"x", MOIRE_F32, 3, {0, 2, 128}, "x.npy: x: wanted shape [*, 2, 128], but [3, 2] came"},
      {"x", MOIRE_F32, 1, {0}, "x.npy: x: wanted shape [*], but [3, 2] came"},
      {"x", MOIRE_I32, 2, {0, 2}, "x.npy: x: wanted i32, which is read from integers or bool, but '<f4' came"},
      {"y", MOIRE_F32, 1, {0}, "y.npy: y: wanted f32, which is read from floating point numbers"},
      {"x", MOIRE_C64, 2, {0, 2}, "x.npy: x: wanted c64, which is read from complex numbers, but '<f4' came"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    moire_error error = {0};
    cr_assert_neq(
        moire__tensor_source_take(s, wrong[i].name, wrong[i].type, wrong[i].rank, wrong[i].shape, &a, &error),
        MOIRE_OK);
    cr_assert_not_null(strstr(error.message, wrong[i].says), "%s", error.message);
  }
  both[0] = moire__tensor_source_find(s, "x");
  write_npy("short.npy", MOIRE__ST_F32, 1, (int64_t[]){2}, six);
  moire__tensor_source *t = open_good("short.npy");
  both[1] = moire__tensor_source_at(t, 0);
  int64_t rows = 0;
  moire_error error = {0};
  cr_assert_eq(moire__arrays_rows(both, 2, &rows, &error), MOIRE_ERROR_SHAPE);
  cr_assert_str_eq(error.message, "short.npy: short has 2 rows, but x.npy: x has 3; wanted the same of each");
  error = (moire_error){0};
  cr_assert_eq(moire__array_read_rows(both[0], MOIRE_F32, (int64_t[]){3}, 1, (float[2]){0}, NULL, &error),
               MOIRE_ERROR_ARGUMENT);
  cr_assert_not_null(strstr(error.message, "x: has no row 3, but 3 rows"), "%s", error.message);
  cr_assert_eq(moire__array_read_rows(both[0], MOIRE_F32, (int64_t[]){-1}, 1, (float[2]){0}, NULL, NULL),
               MOIRE_ERROR_ARGUMENT);
  moire__tensor_source_close(t);
  moire__tensor_source_close(s);
}

Test(tensor_source, types_of_others_hinder_only_who_asks) {
  static const char header[] = "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[0,3]},"
                               "\"b\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[3,5]},"
                               "\"x\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[5,13]}}";
  char bytes[sizeof header + 8 + 13] = {(char)(sizeof header - 1)};
  memcpy(bytes + 8, header, sizeof header - 1);
  memcpy(bytes + 8 + sizeof header - 1 + 5, six, 8);
  test_write_file("f8", bytes, 8 + sizeof header - 1 + 13);
  moire__tensor_source *s = open_good("f8");
  const moire__array *a = NULL;
  float x[2];
  moire_error error = {0};
  cr_assert_eq(moire__tensor_source_take(s, "x", MOIRE_F32, 2, (int64_t[]){0, 1}, &a, &error), MOIRE_OK);
  cr_assert_eq(moire__array_read_rows(a, MOIRE_F32, NULL, 2, x, NULL, &error), MOIRE_OK);
  cr_assert(x[0] == 1 && x[1] == 2, "from an address that is not aligned");
  cr_assert_eq(moire__tensor_source_take(s, "a", MOIRE_F32, 1, (int64_t[]){0}, &a, &error), MOIRE_ERROR_TYPE);
  cr_assert_not_null(strstr(error.message, "f8: a: wanted f32"), "%s", error.message);
  cr_assert_not_null(strstr(error.message, "but 'F8_E4M3' came"), "%s", error.message);
  moire__tensor_source_close(s);

  moire__safetensors *file = NULL;
  const moire__st_tensor *tensor = NULL;
  error = (moire_error){0};
  cr_assert_eq(moire__safetensors_open("f8", &file, &error), MOIRE_OK, "%s", error.message);
  cr_assert_eq(moire__safetensors_need(file, "x", &tensor, &error), MOIRE_OK);
  cr_assert_eq(*(const float *)tensor->data, 1);
  cr_assert_eq(moire__safetensors_need(file, "b", &tensor, &error), MOIRE_ERROR_TYPE);
  cr_assert_str_eq(error.message, "f8: tensor 'b': its dtype 'F4' cannot be read");
  moire__safetensors_close(file);
}

/* ---- Values -----------------------------------------------------------------------------------------------
 */

/* One row, or the error. */
static moire_status read_all(moire__st_dtype dtype, const void *data, int64_t n, moire_dtype type, void *out,
                             float *imaginary, moire_error *error) {
  moire__array a = {.path = "p",
                    .name = "t",
                    .dtype = dtype,
                    .dtype_text = "x",
                    .rank = 1,
                    .shape = {n},
                    .count = n,
                    .data = data};
  return moire__array_read_rows(&a, type, NULL, n, out, imaginary, error);
}

Test(tensor_source, what_converts_and_what_does_not) {
  static const moire_dtype to[] = {MOIRE_F32, MOIRE_F64, MOIRE_I32, MOIRE_I64, MOIRE_BOOL, MOIRE_C64};
  static const char *const table[] = {
      [MOIRE__ST_F64] = "110000",   [MOIRE__ST_F32] = "110000", [MOIRE__ST_F16] = "110000",
      [MOIRE__ST_BF16] = "110000",  [MOIRE__ST_I64] = "001110", [MOIRE__ST_I32] = "011110",
      [MOIRE__ST_I16] = "111110",   [MOIRE__ST_I8] = "111110",  [MOIRE__ST_U8] = "111110",
      [MOIRE__ST_BOOL] = "111110",  [MOIRE__ST_U16] = "111110", [MOIRE__ST_U32] = "011110",
      [MOIRE__ST_U64] = "001110",   [MOIRE__ST_C64] = "000001", [MOIRE__ST_C128] = "000001",
      [MOIRE__ST_OTHER] = "000000",
  };
  static const char zeros[64];
  for (int from = MOIRE__ST_F64; from <= MOIRE__ST_OTHER; from++) {
    for (int t = 0; t < 6; t++) {
      char out[64];
      moire_error error = {0};
      moire_status status = read_all((moire__st_dtype)from, zeros, 3, to[t], out, NULL, &error);
      cr_assert_eq(status, table[from][t] == '1' ? MOIRE_OK : MOIRE_ERROR_TYPE, "%s to %d: %s",
                   moire__st_dtype_name((moire__st_dtype)from), to[t], error.message);
    }
  }
}

Test(tensor_source, values_arrive) {
  float f[4], im[4];
  double d[4];
  int32_t i[4];
  int64_t l[4];
  uint8_t b[4];
  moire_error e = {0};
  cr_assert_eq(read_all(MOIRE__ST_F64, (double[]){0.1, -1e30}, 2, MOIRE_F32, f, NULL, &e), MOIRE_OK);
  cr_assert(f[0] == 0.1f && f[1] == -1e30f);
  cr_assert_eq(read_all(MOIRE__ST_F16, (uint16_t[]){0x3C00, 0xC100, 1, 0x7BFF}, 4, MOIRE_F64, d, NULL, &e),
               MOIRE_OK);
  cr_assert(d[0] == 1 && d[1] == -2.5 && d[2] == 0x1p-24 && d[3] == 65504);
  cr_assert_eq(read_all(MOIRE__ST_BF16, (uint16_t[]){0x3FC0, 0xC000}, 2, MOIRE_F32, f, NULL, &e), MOIRE_OK);
  cr_assert(f[0] == 1.5f && f[1] == -2);
  cr_assert_eq(read_all(MOIRE__ST_I16, (int16_t[]){-32768, 32767}, 2, MOIRE_F32, f, NULL, &e), MOIRE_OK);
  cr_assert(f[0] == -32768 && f[1] == 32767);
  cr_assert_eq(read_all(MOIRE__ST_U32, (uint32_t[]){4294967295u}, 1, MOIRE_F64, d, NULL, &e), MOIRE_OK);
  cr_assert(d[0] == 4294967295.0);
  cr_assert_eq(read_all(MOIRE__ST_U64, (uint64_t[]){INT64_MAX}, 1, MOIRE_I64, l, NULL, &e), MOIRE_OK);
  cr_assert(l[0] == INT64_MAX);
  cr_assert_eq(read_all(MOIRE__ST_I64, (int64_t[]){INT32_MIN, INT32_MAX}, 2, MOIRE_I32, i, NULL, &e), MOIRE_OK);
  cr_assert(i[0] == INT32_MIN && i[1] == INT32_MAX);
  cr_assert_eq(read_all(MOIRE__ST_BOOL, (uint8_t[]){0, 1, 2}, 3, MOIRE_BOOL, b, NULL, &e), MOIRE_OK);
  cr_assert(b[0] == 0 && b[1] == 1 && b[2] == 1);
  cr_assert_eq(read_all(MOIRE__ST_BOOL, (uint8_t[]){0, 1, 2}, 3, MOIRE_F32, f, NULL, &e), MOIRE_OK);
  cr_assert(f[0] == 0 && f[1] == 1 && f[2] == 1);
  cr_assert_eq(read_all(MOIRE__ST_I64, (int64_t[]){0, 1}, 2, MOIRE_BOOL, b, NULL, &e), MOIRE_OK);
  cr_assert(b[0] == 0 && b[1] == 1);
  cr_assert_eq(read_all(MOIRE__ST_C64, (float[]){1, 2, 3, 4}, 2, MOIRE_C64, f, NULL, &e), MOIRE_OK);
  cr_assert(f[0] == 1 && f[1] == 2 && f[2] == 3 && f[3] == 4);
  cr_assert_eq(read_all(MOIRE__ST_C64, (float[]){1, 2, 3, 4}, 2, MOIRE_C64, f, im, &e), MOIRE_OK);
  cr_assert(f[0] == 1 && f[1] == 3 && im[0] == 2 && im[1] == 4);
  cr_assert_eq(read_all(MOIRE__ST_C128, (double[]){0.1, 2, 3, -4}, 2, MOIRE_C64, f, im, &e), MOIRE_OK);
  cr_assert(f[0] == 0.1f && f[1] == 3 && im[0] == 2 && im[1] == -4);
}

Test(tensor_source, values_that_are_no_good_are_named_with_their_row) {
  const struct {
    moire__st_dtype dtype;
    moire_dtype type;
    const void *data;
    const char *says;
  } bad[] = {
      {MOIRE__ST_F32, MOIRE_F32, (float[]){0, 1, NAN}, "p: t: row 2 holds a NaN"},
      {MOIRE__ST_F32, MOIRE_F64, (float[]){0, -INFINITY, NAN}, "p: t: row 1 holds an infinity"},
      {MOIRE__ST_F16, MOIRE_F32, (uint16_t[]){0x7E00, 0, 0}, "p: t: row 0 holds a NaN"},
      {MOIRE__ST_F64, MOIRE_F64, (double[]){1e300, 0, NAN}, "p: t: row 2 holds a NaN"},
      {MOIRE__ST_F64, MOIRE_F32, (double[]){0, 1e300, 0}, "p: t: row 1 holds 1e+300, which f32 cannot hold"},
      {MOIRE__ST_C64, MOIRE_C64, (float[]){0, 0, 0, NAN, 0, 0}, "p: t: row 1 holds a NaN"},
      {MOIRE__ST_C128, MOIRE_C64, (double[]){0, 0, 0, 0, 1, -1e99},
       "p: t: row 2 holds -1e+99, which c64 cannot hold"},
      {MOIRE__ST_I64, MOIRE_I32, (int64_t[]){0, 5000000000, 0},
       "p: t: row 1 holds 5000000000, which i32 cannot hold"},
      {MOIRE__ST_U32, MOIRE_I32, (uint32_t[]){0, 0, 1u << 31},
       "p: t: row 2 holds 2147483648, which i32 cannot hold"},
      {MOIRE__ST_U64, MOIRE_I64, (uint64_t[]){UINT64_MAX, 0, 0},
       "p: t: row 0 holds 18446744073709551615, which i64 cannot hold"},
      {MOIRE__ST_U8, MOIRE_BOOL, (uint8_t[]){0, 1, 2}, "p: t: row 2 holds 2, which bool cannot hold"},
      {MOIRE__ST_I8, MOIRE_BOOL, (int8_t[]){0, 1, -1}, "p: t: row 2 holds -1, which bool cannot hold"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    double out[6];
    float imaginary[3];
    moire_error error = {0};
    cr_assert_eq(read_all(bad[i].dtype, bad[i].data, 3, bad[i].type, out, NULL, &error), MOIRE_ERROR_FORMAT);
    cr_assert_str_eq(error.message, bad[i].says);
    moire__array a = {.path = "p",
                      .name = "t",
                      .dtype = bad[i].dtype,
                      .rank = 1,
                      .shape = {3},
                      .count = 3,
                      .data = bad[i].data};
    error = (moire_error){0};
    cr_assert_eq(moire__array_check_values(&a, bad[i].type, &error), MOIRE_ERROR_FORMAT);
    cr_assert_str_eq(error.message, bad[i].says);
    if (bad[i].type != MOIRE_C64) continue;
    cr_assert_eq(moire__array_read_rows(&a, MOIRE_C64, NULL, 3, out, imaginary, NULL), MOIRE_ERROR_FORMAT);
  }
  double whole[3];
  moire__array a = {.path = "p",
                    .name = "t",
                    .dtype = MOIRE__ST_F64,
                    .rank = 1,
                    .shape = {3},
                    .count = 3,
                    .data = (double[]){1, NAN, 2}};
  cr_assert_eq(moire__array_copy(&a, MOIRE_F64, whole, NULL, NULL), MOIRE_OK, "a copy takes what is there");
  cr_assert(whole[0] == 1 && isnan(whole[1]) && whole[2] == 2);
}

/* Element (i, j, k) of [4, 3, 300] is 900 i + 300 j + k, laid out in either order and either byte order. */
Test(tensor_source, order_of_axes_and_of_bytes) {
  enum { A = 4, B = 3, C = 300, ROW = B * C };
  static int32_t values[A * ROW];
  static float got[2 * ROW];
  for (int order = 0; order < 4; order++) {
    bool fortran = order & 1, swapped = order & 2;
    for (int i = 0; i < A * ROW; i++) {
      int at = fortran ? i / ROW + A * (i / C % B) + A * B * (i % C) : i;
      float value = (float)i;
      memcpy(&values[at], &value, 4);
      if (swapped) values[at] = (int32_t)__builtin_bswap32((uint32_t)values[at]);
    }
    moire__array a = {.path = "p",
                      .name = "t",
                      .dtype = MOIRE__ST_F32,
                      .swapped = swapped,
                      .fortran = fortran,
                      .rank = 3,
                      .shape = {A, B, C},
                      .count = A * ROW,
                      .data = values};
    moire_error error = {0};
    cr_assert_eq(moire__array_read_rows(&a, MOIRE_F32, (int64_t[]){3, 1}, 2, got, NULL, &error), MOIRE_OK, "%s",
                 error.message);
    for (int i = 0; i < ROW; i++) cr_assert(got[i] == (float)(3 * ROW + i) && got[ROW + i] == (float)(ROW + i));
  }
}

Test(tensor_source, files_without_rows_are_open) {
  write_npy("none.npy", MOIRE__ST_F32, 2, (int64_t[]){0, 5}, NULL);
  write_npy("one.npy", MOIRE__ST_F32, 0, NULL, six);
  moire__tensor_source *s = open_good("none.npy,one.npy");
  const moire__array *a = NULL, *scalar = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__tensor_source_take(s, "none", MOIRE_F32, 2, (int64_t[]){0, 5}, &a, &error), MOIRE_OK);
  cr_assert(moire__array_rows(a) == 0 && moire__array_width(a) == 5);
  cr_assert_eq(moire__array_read_rows(a, MOIRE_F32, NULL, 0, NULL, NULL, &error), MOIRE_OK);
  cr_assert_eq(moire__array_read_rows(a, MOIRE_F32, (int64_t[]){0}, 1, NULL, NULL, NULL), MOIRE_ERROR_ARGUMENT);
  cr_assert_eq(moire__tensor_source_take(s, "one", MOIRE_F32, 0, NULL, &scalar, &error), MOIRE_ERROR_SHAPE);
  cr_assert_not_null(strstr(error.message, "one.npy: one: wanted shape"), "%s", error.message);
  moire__tensor_source_close(s);
}

/* ---- Fingerprints -----------------------------------------------------------------------------------------
 */

Test(tensor_source, fingerprints_differ_where_data_do) {
  float values[] = {1, 2, 3, 4, 5, 6};
  moire__array a = {
      .path = "p", .name = "t", .dtype = MOIRE__ST_F32, .rank = 2, .shape = {3, 2}, .count = 6, .data = values};
  moire__array turned = a, named = a;
  turned.shape[0] = 2;
  turned.shape[1] = 3;
  named.name = "u";
  uint64_t first = moire__array_fingerprint(&a, 1);
  cr_assert_neq(first, moire__array_fingerprint(&a, 2));
  cr_assert_neq(first, moire__array_fingerprint(&turned, 1));
  cr_assert_neq(first, moire__array_fingerprint(&named, 1));
  cr_assert_eq(first, moire__array_fingerprint(&a, 1));
  for (int i = 0; i < 6; i++) {
    values[i] += 1;
    cr_assert_neq(first, moire__array_fingerprint(&a, 1));
    values[i] -= 1;
  }
}
