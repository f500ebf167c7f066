/* Items: feature files of every kind and what is wrong with them, codes and their file, dead codes. */
#include <criterion/criterion.h>

#include "runtime/base/memory.h"
#include "tasks/items/codebook.h"
#include "tasks/items/codes.h"
#include "tasks/items/features.h"
#include "runtime/files/file.h"
#include "runtime/files/safetensors.h"
#include "tests/support/files.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- features ---------------------------------------------------------------------------------------------
 */

static const float matrix[2][3] = {{1, -2, 0.5f}, {4, 0, -0.25f}};

static moire__features *load(const char *path, const char *tensor) {
  moire__features *f = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__features_load(path, tensor, NULL, &f, &error), MOIRE_OK, "%s", error.message);
  cr_assert(f->n == 2 && f->width == 3);
  cr_assert_arr_eq(f->values, matrix, sizeof matrix);
  return f;
}

Test(features, come_back_from_both_formats_and_all_widths) {
  test_path directory;
  test_make_directory(directory);
  static const double wide[2][3] = {{1, -2, 0.5}, {4, 0, -0.25}};
  static const uint16_t half[2][3] = {{0x3C00, 0xC000, 0x3800}, {0x4400, 0, 0xB400}};
  cr_assert_eq(chdir(directory), 0);
  cr_assert_eq(moire__features_write("f.npy", &matrix[0][0], 2, 3, NULL), MOIRE_OK);
  cr_assert_eq(moire__features_write("f.safetensors", &matrix[0][0], 2, 3, NULL), MOIRE_OK);
  moire__st_tensor tensors[] = {
      {.name = "wide", .dtype = MOIRE__ST_F64, .rank = 2, .shape = {2, 3}, .data = wide},
      {.name = "half", .dtype = MOIRE__ST_F16, .rank = 2, .shape = {2, 3}, .data = half}};
  cr_assert_eq(moire__safetensors_write("two.safetensors", tensors, 2, NULL, 0, NULL), MOIRE_OK);
  moire__features *all[] = {load("f.npy", NULL), load("f.safetensors", NULL), load("f.safetensors", "features"),
                            load("two.safetensors", "wide"), load("two.safetensors", "half")};
  for (int i = 0; i < 5; i++) cr_assert_eq(all[i]->fingerprint, all[0]->fingerprint);
  for (int i = 0; i < 5; i++) moire__features_free(all[i]);
  moire__features *none = NULL;
  cr_assert_eq(moire__features_load("two.safetensors", NULL, NULL, &none, NULL), MOIRE_ERROR_FORMAT);
  test_remove_directory(directory);
}

/* Padded to any length, in the other order of bytes and of axes. */
Test(features, npy_of_any_writer) {
  test_path directory;
  test_make_directory(directory);
  cr_assert_eq(chdir(directory), 0);
  static const float turned[3][2] = {{1, 4}, {-2, 0}, {0.5f, -0.25f}};
  for (int form = 0; form < 12; form++) {
    char file[200] = "\x93NUMPY\x01";
    bool fortran = form & 1, swapped = form & 2;
    int used = snprintf(file + 10, 120, "{'descr': '%cf4', 'fortran_order': %s, 'shape': (2, 3)}%*s\n",
                        swapped ? '>' : '<', fortran ? "True" : "False", form, "");
    file[8] = (char)used;
    for (int i = 0; i < 6; i++) {
      uint32_t bits;
      memcpy(&bits, fortran ? &turned[0][0] + i : &matrix[0][0] + i, sizeof bits);
      if (swapped) bits = __builtin_bswap32(bits);
      memcpy(file + 10 + used + 4 * i, &bits, sizeof bits);
    }
    test_write_file("f.npy", file, (size_t)used + 34);
    moire__features_free(load("f.npy", NULL));
  }
  test_remove_directory(directory);
}

Test(features, rows_that_are_not_finite_are_named) {
  test_path directory;
  test_make_directory(directory);
  cr_assert_eq(chdir(directory), 0);
  float bad[3][2] = {{0, 1}, {2, 3}, {4, INFINITY}};
  cr_assert_eq(moire__features_write("bad.npy", &bad[0][0], 3, 2, NULL), MOIRE_OK);
  cr_assert_eq(moire__file_write_atomic("names", "a\nb b\r\nc\n", 9, NULL), MOIRE_OK);
  moire__features *f = NULL;
  moire_error error = {0};
  cr_assert_eq(moire__features_load("bad.npy", NULL, "names", &f, &error), MOIRE_ERROR_FORMAT);
  cr_assert_str_eq(error.message, "bad.npy: row c: feature 1 is inf, wanted a number that float32 holds");
  bad[2][1] = 5;
  cr_assert_eq(moire__features_write("bad.npy", &bad[0][0], 3, 2, NULL), MOIRE_OK);
  cr_assert_eq(moire__features_load("bad.npy", NULL, "names", &f, NULL), MOIRE_OK);
  moire__row_buffer row;
  cr_assert_str_eq(moire__features_row(f, 1, row), "b b");
  moire__features_free(f);
  cr_assert_eq(moire__file_write_atomic("marked",
                                        "\xef\xbb\xbf"
                                        "a\nb\nc",
                                        8, NULL),
               MOIRE_OK);
  cr_assert_eq(moire__features_load("bad.npy", NULL, "marked", &f, NULL), MOIRE_OK);
  cr_assert_str_eq(moire__features_row(f, 0, row), "a", "a byte order mark is no part of a name");
  moire__features_free(f);
  cr_assert_eq(moire__file_write_atomic("twice", "b\na\nb\n", 6, NULL), MOIRE_OK);
  error = (moire_error){0};
  cr_assert_eq(moire__features_load("bad.npy", NULL, "twice", &f, &error), MOIRE_ERROR_FORMAT);
  cr_assert_str_eq(error.message, "twice:3: the name 'b' stands in line 1 too");
  test_remove_directory(directory);
}

/* ---- codes ------------------------------------------------------------------------------------------------
 */

Test(codes, digits_count_equal_rows_in_order) {
  static const int32_t codes[7][2] = {{1, 2}, {2, 1}, {1, 2}, {0, 0}, {1, 2}, {2, 1}, {2, 2}};
  static const int32_t wanted[7] = {0, 0, 1, 0, 2, 1, 0};
  int32_t digits[7];
  cr_assert_eq(moire__codes_digits(&codes[0][0], 7, 2, digits), 4);
  cr_assert_arr_eq(digits, wanted, sizeof wanted);
}

Test(codes, usage_of_a_level) {
  static const int32_t codes[4][2] = {{0, 3}, {0, 1}, {0, 3}, {0, 1}};
  moire__usage one = moire__codes_usage(&codes[0][0], 4, 2, 0, 5),
               two = moire__codes_usage(&codes[0][0], 4, 2, 1, 4);
  cr_assert_float_eq(one.utilisation, 0.2, 1e-12);
  cr_assert_float_eq(one.perplexity, 1, 1e-12);
  cr_assert_float_eq(two.utilisation, 0.5, 1e-12);
  cr_assert_float_eq(two.perplexity, 2, 1e-12);
}

/* ---- dead codes -------------------------------------------------------------------------------------------
 */

Test(codebook, dead_codes_go_to_rows_of_the_batch_no_two_to_one) {
  float codes[5][2] = {{0}}, sums[5][2] = {{0}}, sizes[5] = {1, 2, 3, 4, 5}, unused[5] = {0, 7, 9, 8, 6};
  const float rows[2][2] = {{10, 11}, {20, 21}};
  moire__codebook book = {0, 5, 2, &codes[0][0], &sums[0][0], sizes, unused};
  cr_assert_eq(moire__codebook_restart(&book, 10, &rows[0][0], 2, 1, 3), 0);
  cr_assert_eq(moire__codebook_restart(&book, 7, &rows[0][0], 2, 1, 3), 2);
  int first = codes[1][0] > 15, second = codes[2][0] > 15;
  cr_assert_neq(first, second);
  cr_assert_arr_eq(codes[1], rows[first], sizeof rows[0]);
  cr_assert_arr_eq(codes[2], rows[second], sizeof rows[0]);
  for (int c = 1; c < 3; c++) {
    cr_assert_eq(unused[c], 0);
    cr_assert_eq(sizes[c], 3, "the mean of all");
    for (int j = 0; j < 2; j++) cr_assert_eq(sums[c][j], codes[c][j] * sizes[c]);
  }
  cr_assert_eq(unused[3], 8, "there were no more rows");
  cr_assert_eq(codes[4][0], 0);
}
