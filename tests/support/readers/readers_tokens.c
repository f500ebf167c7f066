/* Token files and stored teachers on any bytes, and their seeds. */
#include "tests/support/readers/readers.h"

#include "tasks/tokens/teacher.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROWS = 2, LENGTH = 3, WORDS = 7, TOP = 2 };

static int file_of(const void *bytes, size_t n, char path[40]) {
  int file = memfd_create("fuzz", MFD_CLOEXEC);
  assert(file >= 0);
  if (write(file, bytes, n) != (ssize_t)n) abort();
  snprintf(path, 40, "/proc/self/fd/%d", file);
  return file;
}

/* What was opened keeps its promises: words of the vocabulary, lengths within the rows. */
static void check_tokens(const moire__token_file *t) {
  for (int64_t row = 0; row < t->n; row++) {
    if (t->lengths[row] < 0 || t->lengths[row] > t->length) abort();
    if (moire__token_file_targets(t, row) < 0) abort();
  }
}

void test_read_tokens(const uint8_t *bytes, size_t n) {
  char path[40];
  moire__token_file *opened = NULL;
  int file = file_of(bytes, n, path);
  if (!moire__token_file_open(path, &opened, NULL)) check_tokens(opened);
  moire__token_file_close(opened);
  close(file);
}

/* ---- Seeds ------------------------------------------------------------------------------------------ */

static void add_file(const char *head, const void *const *data, const size_t *sizes, int n, moire__text *out) {
  uint64_t length = strlen(head);
  moire__text_add_bytes(out, (const char *)&length, sizeof length);
  moire__text_add_bytes(out, head, length);
  for (int i = 0; i < n; i++) moire__text_add_bytes(out, data[i], sizes[i]);
}

/* Ids of 16 or 32 bits. */
bool test_seed_tokens(int n, moire__text *out) {
  static const uint32_t wide[ROWS * LENGTH] = {1, 3, 2, 1, 6, 0};
  static const int32_t lengths[ROWS] = {3, 2}, counts[ROWS] = {1, 4};
  static const uint8_t sources[ROWS] = {0, 1};
  uint16_t narrow[ROWS * LENGTH];
  char head[600];
  if (n > 1) return false;
  size_t ids = n ? sizeof wide : sizeof narrow;
  for (int i = 0; i < ROWS * LENGTH; i++) narrow[i] = (uint16_t)wide[i];
  snprintf(head, sizeof head,
           "{\"__metadata__\":{\"format\":\"tokens/"
           "1\",\"vocab_size\":\"%d\",\"bos\":\"1\",\"eos\":\"2\",\"pad\":\"0\"},"
           "\"input_ids\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":[0,%zu]},"
           "\"lengths\":{\"dtype\":\"I32\",\"shape\":[%d],\"data_offsets\":[%zu,%zu]},"
           "\"bytes\":{\"dtype\":\"I32\",\"shape\":[%d],\"data_offsets\":[%zu,%zu]},"
           "\"source\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%zu,%zu]}}",
           WORDS, n ? "U32" : "U16", ROWS, LENGTH, ids, ROWS, ids, ids + sizeof lengths, ROWS,
           ids + sizeof lengths, ids + 2 * sizeof lengths, ROWS, ids + 2 * sizeof lengths,
           ids + 2 * sizeof lengths + ROWS);
  const void *const data[] = {n ? (const void *)wide : narrow, lengths, counts, sources};
  const size_t sizes[] = {ids, sizeof lengths, sizeof counts, sizeof sources};
  add_file(head, data, sizes, 4, out);
  return true;
}

/* ---- Teachers --------------------------------------------------------------------------------------- */

void test_read_teacher(const uint8_t *bytes, size_t n) {
  char path[40], tokens_path[40];
  moire__text seed = {0};
  moire__token_file *tokens = NULL;
  moire__teacher *opened = NULL;
  test_seed_tokens(0, &seed);
  int tokens_file = file_of(seed.data, seed.length, tokens_path), file = file_of(bytes, n, path);
  if (moire__token_file_open(tokens_path, &tokens, NULL)) abort();
  if (!moire__teacher_open(path, tokens, &opened, NULL) && moire__teacher_top(opened) < 0) abort();
  moire__teacher_close(opened);
  moire__token_file_close(tokens);
  close(file);
  close(tokens_file);
  moire__text_free(&seed);
}

bool test_seed_teacher(int n, moire__text *out) {
  static const uint16_t indices[ROWS * LENGTH * TOP] = {3, 1, 2, 6, 0, 0, 6, 5};
  static const float values[ROWS * LENGTH * TOP] = {2, 1, 3, -1, 0, 0, 0.5F, 0.5F};
  char head[400];
  if (n > 0) return false;
  snprintf(head, sizeof head,
           "{\"__metadata__\":{\"format\":\"teacher/1\",\"tokens\":\"fuzz\",\"temperature\":\"1\"},"
           "\"values\":{\"dtype\":\"F32\",\"shape\":[%d,%d,%d],\"data_offsets\":[0,%zu]},"
           "\"indices\":{\"dtype\":\"U16\",\"shape\":[%d,%d,%d],\"data_offsets\":[%zu,%zu]}}",
           ROWS, LENGTH, TOP, sizeof values, ROWS, LENGTH, TOP, sizeof values, sizeof values + sizeof indices);
  const void *const data[] = {values, indices};
  const size_t sizes[] = {sizeof values, sizeof indices};
  add_file(head, data, sizes, 2, out);
  return true;
}
