/* .npy files: every form that NumPy writes is read, whatever else is a sentence, and what is written is read.
 */
#include <criterion/criterion.h>

#include "runtime/files/file.h"
#include "runtime/files/npy.h"
#include "tests/support/files.h"

#include <stdio.h>
#include <string.h>

/* A file of a version with this dictionary, padded with `pad` spaces, and so many zeros behind it; owned. */
static char *make(int version, const char *dictionary, size_t pad, size_t data, size_t *n) {
  size_t prefix = version == 1 ? 10 : 12, text = strlen(dictionary), length = text + pad + 1;
  *n = prefix + length + data;
  char *bytes = moire__allocate(*n + 1);
  memcpy(bytes, "\x93NUMPY", 6);
  bytes[6] = (char)version;
  for (size_t i = 0; i < prefix - 8; i++) bytes[8 + i] = (char)(length >> 8 * i & 255);
  memcpy(bytes + prefix, dictionary, text);
  memset(bytes + prefix + text, ' ', pad);
  bytes[prefix + length - 1] = '\n';
  return bytes;
}

static moire_status parse(int version, const char *dictionary, size_t pad, size_t data, moire__array *out,
                          moire_error *error) {
  size_t n = 0;
  char *bytes = make(version, dictionary, pad, data, &n);
  moire__arena texts = {0};
  moire_status status = moire__npy_parse("x.npy", bytes, n, &texts, out, error);
  cr_assert_eq(status != MOIRE_OK, error->status != MOIRE_OK);
  if (!status) {
    cr_assert_eq((const char *)out->data, bytes + n - data);
    out->dtype_text = NULL;
  }
  moire__arena_free(&texts);
  moire__release(bytes);
  return status;
}

Test(npy, every_type_and_byte_order) {
  static const struct {
    const char *type;
    moire__st_dtype dtype;
    size_t bytes;
  } types[] = {{"b1", MOIRE__ST_BOOL, 1}, {"i1", MOIRE__ST_I8, 1},    {"i2", MOIRE__ST_I16, 2},
               {"i4", MOIRE__ST_I32, 4},  {"i8", MOIRE__ST_I64, 8},   {"u1", MOIRE__ST_U8, 1},
               {"u2", MOIRE__ST_U16, 2},  {"u4", MOIRE__ST_U32, 4},   {"u8", MOIRE__ST_U64, 8},
               {"f2", MOIRE__ST_F16, 2},  {"f4", MOIRE__ST_F32, 4},   {"f8", MOIRE__ST_F64, 8},
               {"c8", MOIRE__ST_C64, 8},  {"c16", MOIRE__ST_C128, 16}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    for (const char *order = "<>|="; *order; order++) {
      char text[100];
      snprintf(text, sizeof text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (2, 3), }", *order,
               types[i].type);
      moire__array a;
      moire_error error = {0};
      cr_assert_eq(parse(1, text, 7, 6 * types[i].bytes, &a, &error), MOIRE_OK, "%s", error.message);
      cr_assert_eq(a.dtype, types[i].dtype, "%s", text);
      cr_assert_eq(a.swapped, *order == '>');
      cr_assert(a.rank == 2 && a.shape[0] == 2 && a.shape[1] == 3 && a.count == 6 && !a.fortran);
    }
  }
}

Test(npy, every_version_padding_and_spelling) {
  static const char *const spellings[] = {
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
      "{'shape': (2, 3), 'descr': '<f4', 'fortran_order': False}",
      "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(2,3)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L)}",
  };
  for (int version = 1; version <= 3; version++) {
    for (size_t pad = 0; pad < 70; pad++) {
      for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        moire__array a;
        moire_error error = {0};
        cr_assert_eq(parse(version, spellings[i], pad, 24, &a, &error), MOIRE_OK, "%s", error.message);
        cr_assert(a.dtype == MOIRE__ST_F32 && a.count == 6 && a.shape[1] == 3);
      }
    }
  }
  moire__array a;
  moire_error error = {0};
  cr_assert_eq(parse(3, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 300, 8, &a, &error),
               MOIRE_OK);
  cr_assert(a.rank == 0 && a.count == 1);
  cr_assert_eq(parse(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 5), }", 0, 0, &a, &error),
               MOIRE_OK);
  cr_assert(a.fortran && a.count == 0 && a.shape[1] == 5);
}

Test(npy, what_is_malformed_is_a_sentence) {
  static const struct {
    const char *dictionary;
    size_t data;
    const char *says;
  } wrong[] = {
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23, "need 24 bytes, but 23 follow"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 0, "cut short?"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 28, "but 28 follow"},
      {"{'descr': '<f4', 'fortran_order': 1, 'shape': (2, 3), }", 24, "neither True nor False"},
      {"{'descr': 4, 'fortran_order': False, 'shape': (2, 3), }", 24, "is no type"},
      {"{'descr': '<f4, 'fortran_order': False", 24, "cut short"},
      {"{'descr': [('a', '<f4'), 'fortran_order': False", 24, "is no type"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24, "a key twice"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}", 24,
       "a key twice, or one besides"},
      {"{'descr': '<f4', 'fortran_order': False, }", 24, "lacks"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } x", 24, "something follows"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }", 24, "'shape'"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }", 24, "'shape'"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", 24, "cut short"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3037000500, 3037000500), }", 24, "overflows"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }", 0, "overflows"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 24, "'shape'"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4, "at most 8"},
      {"", 24, "no dictionary"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    moire__array a;
    moire_error error = {0};
    cr_assert_eq(parse(1, wrong[i].dictionary, 3, wrong[i].data, &a, &error), MOIRE_ERROR_FORMAT, "%s",
                 wrong[i].dictionary);
    cr_assert_eq(strncmp(error.message, "x.npy: ", 7), 0, "%s", error.message);
    cr_assert_not_null(strstr(error.message, wrong[i].says), "%s: %s", wrong[i].dictionary, error.message);
  }
}

/* They hinder only who reads them. */
Test(npy, types_that_are_none_of_ours_are_named) {
  static const char *const texts[] = {
      "'|O'", "'<U12'", "'|S7'", "'<M8[ns]'", "'<f16'", "'|V8'", "[('a', '<f4'), ('b]', '<i8', (2,))]"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    char dictionary[120], want[60];
    snprintf(dictionary, sizeof dictionary, "{'descr': %s, 'fortran_order': False, 'shape': (2,), }", texts[i]);
    size_t n = 0, length = strlen(texts[i]);
    char *bytes = make(1, dictionary, 0, 99, &n);
    snprintf(want, sizeof want, *texts[i] == '[' ? "'%.*s' came" : "%.*s came", (int)length, texts[i]);
    moire__arena kept = {0};
    moire__array a;
    moire_error error = {0};
    cr_assert_eq(moire__npy_parse("o.npy", bytes, n, &kept, &a, &error), MOIRE_OK, "%s", error.message);
    cr_assert_eq(a.dtype, MOIRE__ST_OTHER);
    float out[2];
    cr_assert_eq(moire__array_copy(&a, MOIRE_F32, out, NULL, &error), MOIRE_ERROR_TYPE);
    cr_assert_not_null(strstr(error.message, want), "%s wants %s", error.message, want);
    moire__arena_free(&kept);
    moire__release(bytes);
  }
}

Test(npy, every_cut_is_refused) {
  size_t n = 0;
  char *bytes = make(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 5, 24, &n);
  moire__arena texts = {0};
  for (size_t cut = 0; cut < n; cut++) {
    moire__array a;
    char *part = memcpy(moire__allocate(cut ? cut : 1), bytes, cut);
    cr_assert_eq(moire__npy_parse("x.npy", part, cut, &texts, &a, NULL), MOIRE_ERROR_FORMAT, "%zu bytes", cut);
    moire__release(part);
  }
  moire__arena_free(&texts);
  moire__release(bytes);
}

Test(npy, what_is_written_is_read) {
  test_path directory, path;
  test_make_directory(directory);
  test_join(directory, "w.npy", path);
  static const float pairs[] = {1, -2, 0.5f, 4, 0, -0.25f, 7, 8, 9, 10, 11, 12};
  static const struct {
    moire__st_dtype dtype;
    int rank;
    int64_t shape[8];
    size_t header;
  } forms[] = {{MOIRE__ST_C64, 2, {2, 3}, 128},
               {MOIRE__ST_F32, 1, {12}, 128},
               {MOIRE__ST_BOOL, 0, {0}, 128},
               {MOIRE__ST_F32, 8, {1, 1, 3, 1, 1, 2, 1, 2}, 128},
               {MOIRE__ST_F64,
                8,
                {INT64_MAX, 0, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
                256}};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    moire_error error = {0};
    cr_assert_eq(moire__npy_write(path, forms[i].dtype, forms[i].rank, forms[i].shape, pairs, &error), MOIRE_OK,
                 "%s", error.message);
    char *bytes = NULL;
    size_t n = 0;
    cr_assert_eq(moire__file_read(path, 0, &bytes, &n, NULL), MOIRE_OK);
    moire__arena texts = {0};
    moire__array a;
    moire_status status = moire__npy_parse(path, bytes, n, &texts, &a, &error);
    cr_assert_eq(status, MOIRE_OK, "%s", error.message);
    cr_assert(a.dtype == forms[i].dtype && a.rank == forms[i].rank);
    for (int k = 0; k < a.rank; k++) cr_assert_eq(a.shape[k], forms[i].shape[k]);
    if (a.count) cr_assert_arr_eq(a.data, pairs, moire__array_bytes(&a));
    cr_assert_eq(n - moire__array_bytes(&a), forms[i].header);
    moire__arena_free(&texts);
    moire__release(bytes);
  }
  moire_error error = {0};
  cr_assert_eq(moire__npy_write(path, MOIRE__ST_BF16, 0, NULL, pairs, &error), MOIRE_ERROR_TYPE);
  test_remove_directory(directory);
}
