/* Tables of items: what is searched is what a scan in float32 finds, bit by bit, for random rows, clusters of
 * near ties, norms of any size and filters; what is written reads back, grows and loses rows; bad files are
 * told. */
#include <criterion/criterion.h>

#include "moire/items.h"
#include "runtime/base/philox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *path_of(const char *name) {
  static char paths[4][128];
  static int at = 0;
  char *path = paths[at++ % 4];
  snprintf(path, sizeof paths[0], "items_test.%ld.%s.items", (long)getpid(), name);
  return path;
}

static double normal(moire__random *r) {
  double u = 1 - moire__random_real(r), v = moire__random_real(r);
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

typedef enum kind { PLAIN, TIES, TURNS, SAME, NORMS, SKEWED, TINY, HUGE, ZEROS, EDGE, KINDS } kind;

enum { QUERY_SEED = 6 };

/* Rows of a kind that is hard in its own way. */
static float *make_rows(kind k, int64_t n, int64_t width, uint64_t seed) {
  float *rows = malloc((size_t)(n * width) * sizeof *rows);
  moire__random r = moire__random_start(seed, 0);
  for (int64_t i = 0; i < n; i++) {
    double size = k == NORMS  ? pow(10, 12 * moire__random_real(&r) - 6)
                  : k == TINY ? 1e-37
                  : k == HUGE ? 1e17
                              : 1;
    for (int64_t j = 0; j < width; j++) {
      double x = normal(&r);
      /* One direction, and the last digits: all rows, or some thousands and then others in turns. */
      if (k == TIES || (k == TURNS && i / 5000 % 2 == 0)) x = (j % 3 ? 0.5 : -1) + 1e-6 * x;
      if (k == SAME) x = (double)((i % 7) * 3 + j % 5) - 9;
      if (k == SKEWED && j == 0) x = 40 + x; /* one number takes the range of eight bits */
      if (k == ZEROS && i % 3) x = 0;
      /* Every number is rounded the same way in odd rows, as far as can be, and not at all in even ones, which
       * come next: the bound has nothing to spare. Queries are ones. */
      if (k == EDGE && seed == QUERY_SEED) x = 1;
      if (k == EDGE && seed != QUERY_SEED)
        x = !j ? 127 : i > 1000 && i % 2 ? 60.49 : 60 + ((j * 37 + i) % 100 < 47);
      rows[i * width + j] = (float)(x * size);
    }
  }
  return rows;
}

static moire_items *table(const char *path, const float *rows, int64_t n, int64_t width) {
  moire_error error = {0};
  moire_items_contents c = {.rows = rows, .n = n, .width = width};
  cr_assert_eq(moire_items_write(path, &c, &error), MOIRE_OK, "%s", error.message);
  moire_items *t = moire_items_open(path, &error);
  cr_assert_not_null(t, "%s", error.message);
  cr_assert_eq(moire_items_check(t, &error), MOIRE_OK, "%s", error.message);
  unlink(path);
  return t;
}

/* The score as moire/items.h defines it, on its own. */
static float score(const float *x, const float *w, int64_t width) {
  float lanes[16] = {0};
  for (int64_t k = 0; k < width; k++) {
    volatile float product = x[k] * w[k];
    lanes[k % 16] += product;
  }
  for (int half = 8; half; half /= 2)
    for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
  return lanes[0];
}

static void compare(const moire_items *t, const float *queries, int64_t n, const moire_items_filter *filters,
                    int k, moire_threads *threads, const char *what) {
  int64_t *rows = malloc((size_t)(2 * n * k) * sizeof *rows);
  float *scores = malloc((size_t)(2 * n * k) * sizeof *scores);
  moire_error error = {0};
  moire_items_search(t, queries, n, filters, k, rows, scores, threads, &error);
  moire_items_scan(t, queries, n, filters, k, rows + n * k, scores + n * k, NULL, &error);
  cr_assert_eq(error.status, MOIRE_OK, "%s", error.message);
  for (int64_t i = 0; i < n * k; i++)
    cr_assert(rows[i] == rows[n * k + i] && !memcmp(&scores[i], &scores[n * k + i], sizeof *scores),
              "%s: query %d, place %d: row %d %.9g, the scan finds %d %.9g", what, (int)(i / k), (int)(i % k),
              (int)rows[i], (double)scores[i], (int)rows[n * k + i], (double)scores[n * k + i]);
  free(rows);
  free(scores);
}

Test(items, a_search_is_the_scan, .timeout = 120) {
  static const char *const names[KINDS] = {"plain",  "ties", "turns", "same",  "norms",
                                           "skewed", "tiny", "huge",  "zeros", "edge"};
  static const int64_t widths[] = {64, 1, 5, 16, 100};
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(3, &error);
  for (int k = 0; k < KINDS; k++)
    for (int w = 0; w < 5; w++) {
      enum { ROWS = 3001, QUERIES = 37 };
      float *rows = make_rows((kind)k, ROWS, widths[w], 5);
      moire_items *t = table(path_of("same"), rows, ROWS, widths[w]);
      for (int q = 0; q < KINDS; q++) {
        float *queries = make_rows((kind)q, QUERIES, widths[w], QUERY_SEED);
        char what[64];
        snprintf(what, sizeof what, "%s, queries %s, width %d", names[k], names[q], (int)widths[w]);
        compare(t, queries, QUERIES, NULL, 20, q % 2 ? threads : NULL, what);
        compare(t, queries, 1, NULL, 7, NULL, what);
        free(queries);
      }
      moire_items_close(t);
      free(rows);
    }
  moire_threads_destroy(threads);
}

Test(items, the_scan_is_what_it_says, .timeout = 60) {
  enum { ROWS = 500, WIDTH = 50, K = 500 };
  float *rows = make_rows(TIES, ROWS, WIDTH, 1), *x = make_rows(PLAIN, 1, WIDTH, 2);
  moire_items *t = table(path_of("scan"), rows, ROWS, WIDTH);
  int64_t found[K];
  float scores[K];
  moire_error error = {0};
  cr_assert_eq(moire_items_scan(t, x, 1, NULL, K, found, scores, NULL, &error), MOIRE_OK);
  bool seen[ROWS] = {0};
  for (int i = 0; i < K; i++) {
    cr_assert(found[i] >= 0 && found[i] < ROWS && !seen[found[i]]);
    seen[found[i]] = true;
    cr_assert_eq(scores[i], score(x, rows + found[i] * WIDTH, WIDTH), "row %d", (int)found[i]);
    cr_assert(!i || scores[i] < scores[i - 1] || (scores[i] == scores[i - 1] && found[i] > found[i - 1]));
  }
  moire_items_close(t);
  free(rows);
  free(x);
}

/* More threads than groups: the rows are shared, too. */
Test(items, rows_are_shared, .timeout = 60) {
  enum { ROWS = 30001, WIDTH = 24 };
  moire_error error = {0};
  moire_threads *threads = moire_threads_create(5, &error);
  for (int k = 0; k < KINDS; k++) {
    float *rows = make_rows((kind)k, ROWS, WIDTH, 5), *queries = make_rows((kind)k, 20, WIDTH, QUERY_SEED);
    moire_items *t = table(path_of("shared"), rows, ROWS, WIDTH);
    int64_t few[] = {5, 29999, 12000, 30000};
    moire_items_filter filters[20] = {{.allowed = few, .n_allowed = 4}, {.banned = few, .n_banned = 4}};
    compare(t, queries, 20, filters, 9, threads, "shared");
    compare(t, queries, 1, NULL, 20, threads, "one query");
    moire_items_close(t);
    free(rows);
    free(queries);
  }
  moire_threads_destroy(threads);
}

Test(items, filters, .timeout = 60) {
  enum { ROWS = 2000, WIDTH = 32, QUERIES = 20, K = 10 };
  float *rows = make_rows(PLAIN, ROWS, WIDTH, 1), *queries = make_rows(PLAIN, QUERIES, WIDTH, 2);
  moire_items *t = table(path_of("filters"), rows, ROWS, WIDTH);
  int64_t best[QUERIES * K], again[QUERIES * K];
  float scores[QUERIES * K];
  moire_error error = {0};
  moire_items_search(t, queries, QUERIES, NULL, K, best, scores, NULL, &error);
  moire_items_filter filters[QUERIES];
  int64_t few[] = {1500, 3, 3, 77, -5, 4000, 1999};
  for (int i = 0; i < QUERIES; i++)
    filters[i] = i % 4 == 3 ? (moire_items_filter){.allowed = few, .n_allowed = 7, .banned = few, .n_banned = 1}
                            : (moire_items_filter){.banned = best + i * K, .n_banned = i % 4 ? K : 0};
  compare(t, queries, QUERIES, filters, K, NULL, "filters");
  moire_items_search(t, queries, QUERIES, filters, K, again, scores, NULL, &error);
  for (int i = 0; i < QUERIES; i++)
    for (int j = 0; j < K; j++) {
      int64_t row = again[i * K + j];
      if (i % 4 == 3) {
        cr_assert(j < 3 ? row == 3 || row == 77 || row == 1999 : row == -1 && scores[i * K + j] == 0);
      } else if (i % 4) {
        for (int b = 0; b < K; b++) cr_assert_neq(row, best[i * K + b], "a banned row");
      } else {
        cr_assert_eq(row, best[i * K + j]);
      }
    }
  moire_items_close(t);
  free(rows);
  free(queries);
}

Test(items, rows_come_and_go, .timeout = 60) {
  enum { ROWS = 100, MORE = 33, WIDTH = 20, K = 133 };
  float *rows = make_rows(PLAIN, ROWS + MORE, WIDTH, 1), *x = make_rows(PLAIN, 1, WIDTH, 2);
  static const char *names[MORE];
  for (int i = 0; i < MORE; i++) names[i] = i == 5 ? "" : i % 2 ? "odd" : "an even name";
  moire_items *old = table(path_of("old"), rows, ROWS, WIDTH);
  int n = 0;
  cr_expect_null(moire_items_name(old, 3, &n));
  const int64_t retired[] = {99, 7, 130};
  moire_items_contents c = {old, rows + ROWS * WIDTH, MORE, WIDTH, names, retired, 3};
  char *path = path_of("new");
  moire_error error = {0};
  cr_assert_eq(moire_items_write(path, &c, &error), MOIRE_OK, "%s", error.message);
  moire_items *t = moire_items_open(path, &error);
  cr_assert_not_null(t, "%s", error.message);
  cr_expect_eq(moire_items_check(t, &error), MOIRE_OK, "%s", error.message);
  cr_expect(moire_items_count(t) == K && moire_items_live(t) == K - 3 && moire_items_width(t) == WIDTH);
  cr_expect(moire_items_is_retired(t, 7) && !moire_items_is_retired(t, 8) && moire_items_is_retired(t, K));
  const char *name = moire_items_name(t, 12, &n);
  cr_expect(n == 2 && !memcmp(name, "12", 2));
  name = moire_items_name(t, ROWS + 6, &n);
  cr_expect(n == 12 && !memcmp(name, "an even name", 12));
  moire_items_name(t, ROWS + 5, &n);
  cr_expect_eq(n, 0);
  cr_expect_arr_eq(moire_items_row(t, 120), rows + 120 * WIDTH, WIDTH * sizeof(float));
  int64_t found[K];
  float scores[K];
  moire_items_search(t, x, 1, NULL, K, found, scores, NULL, &error);
  for (int i = 0; i < K; i++)
    cr_expect(i < K - 3 ? found[i] >= 0 && !moire_items_is_retired(t, found[i]) : found[i] == -1);
  compare(t, x, 1, NULL, K, NULL, "after a change");
  /* Retired rows stay so, and an open table is not touched by the file that replaces it. */
  moire_items_contents again = {.old = t, .retired = (const int64_t[]){0}, .n_retired = 1};
  cr_assert_eq(moire_items_write(path, &again, &error), MOIRE_OK, "%s", error.message);
  cr_expect_eq(moire_items_live(t), K - 3);
  cr_expect_eq(moire_items_check(t, &error), MOIRE_OK);
  moire_items *last = moire_items_open(path, &error);
  cr_expect_eq(moire_items_live(last), K - 4);
  unlink(path);
  moire_items_close(old);
  moire_items_close(t);
  moire_items_close(last);
  free(rows);
  free(x);
}

static void write_file(const char *path, const char *bytes, size_t n) {
  FILE *file = fopen(path, "wb");
  cr_assert(file && fwrite(bytes, 1, n, file) == n && !fclose(file));
}

Test(items, bad_files_and_numbers_are_told, .timeout = 60) {
  enum { ROWS = 40, WIDTH = 8 };
  float *rows = make_rows(PLAIN, ROWS, WIDTH, 1), *x = make_rows(PLAIN, 2, WIDTH, 2), scores[8];
  int64_t found[8];
  char *path = path_of("bad");
  moire_error error = {0};
  rows[13 * WIDTH + 2] = NAN;
  moire_items_contents c = {.rows = rows, .n = ROWS, .width = WIDTH};
  cr_expect_eq(moire_items_write(path, &c, &error), MOIRE_ERROR_ARGUMENT);
  cr_expect(strstr(error.message, "row 13") && strstr(error.message, "NaN"), "%s", error.message);
  cr_expect_neq(access(path, F_OK), 0, "a file was left");
  rows[13 * WIDTH + 2] = 1;
  error = (moire_error){0};
  cr_assert_eq(moire_items_write(path, &c, &error), MOIRE_OK, "%s", error.message);
  FILE *file = fopen(path, "rb");
  char *bytes = malloc(1 << 20);
  size_t n = fread(bytes, 1, 1 << 20, file);
  fclose(file);
  moire_items *t = moire_items_open(path, &error);
  x[WIDTH + 3] = INFINITY;
  cr_expect_eq(moire_items_search(t, x, 2, NULL, 4, found, scores, NULL, &error), MOIRE_ERROR_ARGUMENT);
  cr_expect(strstr(error.message, "query 1") && strstr(error.message, "infinity"), "%s", error.message);
  error = (moire_error){0};
  cr_expect_eq(moire_items_search(t, x, 1, NULL, 0, found, scores, NULL, &error), MOIRE_ERROR_ARGUMENT);
  error = (moire_error){0};
  moire_items_contents wrong = {.old = t, .retired = (const int64_t[]){ROWS}, .n_retired = 1};
  char *other = path_of("other");
  cr_expect_eq(moire_items_write(other, &wrong, &error), MOIRE_ERROR_ARGUMENT);
  moire_items_close(t);
  /* Cut anywhere, or with any byte of the head changed, it is not opened; of the rest, the check tells. */
  for (size_t cut = 0; cut + 1 < n; cut += 997) {
    error = (moire_error){0};
    write_file(path, bytes, cut);
    cr_expect_null(moire_items_open(path, &error), "cut at %zu", cut);
  }
  for (size_t at = 0; at < 256; at++) {
    error = (moire_error){0};
    bytes[at] ^= 0x10;
    write_file(path, bytes, n);
    t = moire_items_open(path, &error);
    cr_expect(!t || at >= 256 - 16, "byte %zu of the head", at);
    moire_items_close(t);
    bytes[at] ^= 0x10;
  }
  for (size_t at = 4096; at < 4096 + 5 * 4096; at += 4096) {
    error = (moire_error){0};
    bytes[at] ^= 1;
    write_file(path, bytes, n);
    t = moire_items_open(path, &error);
    cr_expect(t && moire_items_check(t, &error) == MOIRE_ERROR_FORMAT, "the section at %zu", at);
    moire_items_close(t);
    bytes[at] ^= 1;
  }
  unlink(path);
  free(rows);
  free(x);
  free(bytes);
}
