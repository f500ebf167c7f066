/* Rows of words. See rows.h. */
#include "runtime/aot/rows.h"
#include "runtime/aot/model.h"
#include "runtime/aot/workspace.h"

#include <stdlib.h>
#include <string.h>

/* ---- Memory ----------------------------------------------------------------------------------------- */

static bool sizes_are_good(int64_t rows, int64_t positions) {
  return moire__aot_batch_is_good(rows) && positions >= 1 && positions <= LIBRARY_POSITIONS;
}

/* The next array of n elements of `bytes`; *at grows. */
static size_t take(size_t *at, size_t n, size_t bytes) {
  size_t offset = *at;
  *at = (moire__aot_add_bytes(*at, n, bytes) + 63) / 64 * 64;
  return offset;
}

/* Offsets of the arrays, in the order of the struct. */
enum { LENGTH, READ, CHOSEN, ENDED, WORDS, TOKENS, FRESH, BEFORE, LOGITS, Z, SCRATCH, P, ORDER, CACHES, PARTS };

/* Returns the bytes of all of them. */
static size_t lay_out_rows(int64_t rows, int64_t positions, size_t offsets[PARTS]) {
  const size_t n = (size_t)rows, words = LIBRARY_WORDS, capacity = (size_t)positions;
  size_t at = (sizeof(library_rows) + 63) / 64 * 64, cached = 0;
  for (int i = 0; i < moire__aot_n_caches; i++)
    cached =
        moire__aot_add_bytes(cached, (size_t)moire__aot_caches[i].heads, (size_t)moire__aot_caches[i].width);
  offsets[LENGTH] = take(&at, n, sizeof(int64_t));
  offsets[READ] = take(&at, n, sizeof(int64_t));
  offsets[CHOSEN] = take(&at, n, sizeof(int64_t));
  offsets[ENDED] = take(&at, n, 1);
  offsets[WORDS] = take(&at, moire__aot_add_bytes(n, n, capacity), sizeof(int32_t));
  offsets[TOKENS] = take(&at, n * MOIRE__AOT_PIECE, sizeof(int32_t));
  offsets[FRESH] = take(&at, n, sizeof(int32_t));
  offsets[BEFORE] = take(&at, n, sizeof(int32_t));
  offsets[LOGITS] = take(&at, n * words, sizeof(float));
  offsets[Z] = take(&at, words, sizeof(double));
  offsets[SCRATCH] = take(&at, words, sizeof(double));
  offsets[P] = take(&at, words, sizeof(double));
  offsets[ORDER] = take(&at, words, sizeof(int32_t));
  offsets[CACHES] = take(&at, moire__aot_add_bytes(0, n * capacity, cached), sizeof(float));
  return at;
}

size_t library_rows_bytes(int64_t rows, int64_t positions) {
  size_t offsets[PARTS];
  return sizes_are_good(rows, positions) ? lay_out_rows(rows, positions, offsets) + 63 : 0;
}

static library_rows *place_rows(void *memory, int64_t rows, int64_t positions) {
  size_t offsets[PARTS];
  unsigned char *at = (unsigned char *)memory + (64 - (uintptr_t)memory % 64) % 64;
  library_rows *r = (library_rows *)(void *)at;
  memset(at, 0, lay_out_rows(rows, positions, offsets));
  *r = (library_rows){.rows = rows, .capacity = positions, .ended = at + offsets[ENDED]};
  r->length = (int64_t *)(void *)(at + offsets[LENGTH]);
  r->read = (int64_t *)(void *)(at + offsets[READ]);
  r->chosen = (int64_t *)(void *)(at + offsets[CHOSEN]);
  r->words = (int32_t *)(void *)(at + offsets[WORDS]);
  r->tokens = (int32_t *)(void *)(at + offsets[TOKENS]);
  r->fresh = (int32_t *)(void *)(at + offsets[FRESH]);
  r->before = (int32_t *)(void *)(at + offsets[BEFORE]);
  r->logits = (float *)(void *)(at + offsets[LOGITS]);
  r->z = (double *)(void *)(at + offsets[Z]);
  r->scratch = (double *)(void *)(at + offsets[SCRATCH]);
  r->p = (double *)(void *)(at + offsets[P]);
  r->order = (int32_t *)(void *)(at + offsets[ORDER]);
  r->caches = (float *)(void *)(at + offsets[CACHES]);
  return r;
}

library_status library_start(const library_model *model, void *memory, size_t bytes, int64_t rows,
                             int64_t positions, library_rows **started) {
  const moire__aot_level *level = NULL;
  const void *block = NULL;
  if (!started) return LIBRARY_ERROR_NULL;
  *started = NULL;
  if (!moire__aot_batch_is_good(rows)) return LIBRARY_ERROR_BATCH;
  if (!sizes_are_good(rows, positions)) return LIBRARY_ERROR_POSITIONS;
  library_status status = moire__aot_find_block(model, &level, &block);
  if (status) return status;
  size_t wanted = library_rows_bytes(rows, positions);
  if (memory && bytes < wanted) return LIBRARY_ERROR_WORKSPACE;
  void *allocated = memory ? NULL : malloc(wanted);
  if (!memory && !allocated) return LIBRARY_ERROR_MEMORY;
  library_rows *r = place_rows(memory ? memory : allocated, rows, positions);
  r->level = level;
  r->block = block;
  r->allocated = allocated;
  *started = r;
  return LIBRARY_OK;
}

void library_end(library_rows *rows) {
  if (rows) free(rows->allocated);
}

/* ---- Words ------------------------------------------------------------------------------------------ */

library_status library_append(library_rows *rows, const int32_t *words, const int32_t *counts, int64_t n) {
  if (!rows || !counts || (n > 0 && !words)) return LIBRARY_ERROR_NULL;
  for (int64_t b = 0; b < rows->rows; b++) {
    if (counts[b] < 0 || counts[b] > n || rows->length[b] + counts[b] > rows->capacity)
      return LIBRARY_ERROR_POSITIONS;
    for (int64_t i = 0; i < counts[b]; i++) {
      if (words[b * n + i] < 0 || words[b * n + i] >= LIBRARY_WORDS) return LIBRARY_ERROR_WORD;
    }
  }
  for (int64_t b = 0; b < rows->rows; b++) {
    size_t bytes = (size_t)counts[b] * sizeof *words;
    if (!bytes) continue;
    memcpy(rows->words + b * (rows->capacity + 1) + rows->length[b], words + b * n, bytes);
    rows->length[b] += counts[b];
    rows->ended[b] = 0;
  }
  return LIBRARY_OK;
}

library_status library_rewind(library_rows *rows, int64_t row, int64_t length) {
  if (!rows) return LIBRARY_ERROR_NULL;
  if (row < 0 || row >= rows->rows) return LIBRARY_ERROR_BATCH;
  if (length < 0 || length > rows->length[row]) return LIBRARY_ERROR_POSITIONS;
  if (length == rows->length[row]) return LIBRARY_OK;
  rows->length[row] = length;
  if (rows->read[row] >= length) rows->read[row] = length ? length - 1 : 0; /* its logits are asked for again */
  rows->chosen[row] = 0;
  rows->ended[row] = 0;
  return LIBRARY_OK;
}

int64_t library_length(const library_rows *rows, int64_t row) {
  return rows && row >= 0 && row < rows->rows ? rows->length[row] : 0;
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

/* Where the caches of a plane begin, in floats, for the planes before it. */
static float *plane_of(const library_rows *r, int i) {
  float *at = r->caches;
  for (int j = 0; j < i; j++)
    at += r->rows * r->capacity * moire__aot_caches[j].heads * moire__aot_caches[j].width;
  return at;
}

/* Keys and values of the n words of the run go behind those that were there, rows with an end get their logits.
 */
static void keep_fresh(library_rows *r, const moire__aot_run *run, int64_t n) {
  for (int i = 0; i < moire__aot_n_caches; i++) {
    const int64_t heads = moire__aot_caches[i].heads, width = moire__aot_caches[i].width;
    const float *fresh = moire__aot_output(run, 1 + i);
    float *plane = plane_of(r, i);
    for (int64_t b = 0; b < r->rows; b++) {
      size_t bytes = (size_t)(r->fresh[b] * width) * sizeof *fresh;
      for (int64_t h = b * heads; h < (b + 1) * heads && bytes; h++)
        memcpy(plane + (h * r->capacity + r->before[b]) * width, fresh + h * n * width, bytes);
    }
  }
  const float *next = moire__aot_output(run, 0);
  for (int64_t b = 0; b < r->rows; b++) {
    if (!r->fresh[b]) continue;
    r->read[b] += r->fresh[b];
    memcpy(r->logits + b * LIBRARY_WORDS, next + b * LIBRARY_WORDS, LIBRARY_WORDS * sizeof *next);
  }
}

/* For pieces of n words: there is a plan for a word of one row. */
static const moire__aot_plan *plan_of(const moire__aot_level *level, int64_t rows, int64_t n) {
  return rows == 1 && n == 1 ? &level->served[1] : &level->served[0];
}

static void read_piece(library_rows *r, library_workspace *workspace, unsigned char *region, int64_t n) {
  moire__aot_run run = {.plan = plan_of(r->level, r->rows, n),
                        .extents = {1, r->rows, n, r->capacity},
                        .model = (void *)(uintptr_t)r->block,
                        .workspace = region,
                        .threads = workspace->threads,
                        .run = workspace->run,
                        .context = workspace->context,
                        .profile = workspace->profile,
                        .profile_context = workspace->profile_context};
  run.inputs[MOIRE__AOT_WORDS] = r->tokens;
  run.inputs[MOIRE__AOT_FRESH] = r->fresh;
  run.inputs[MOIRE__AOT_POSITIONS] = r->before;
  for (int i = 0; i < moire__aot_n_caches; i++) run.inputs[MOIRE__AOT_PAST + i] = plane_of(r, i);
  moire__aot_execute(&run);
  keep_fresh(r, &run, n);
}

/* Bytes for pieces of n words. */
static size_t piece_bytes(const moire__aot_level *level, int64_t rows, int64_t n, int64_t positions) {
  const int64_t extents[MOIRE__AOT_EXTENTS] = {1, rows, n, positions};
  size_t any = moire__aot_sized_bytes(&level->served[0], extents);
  size_t one = moire__aot_sized_bytes(&level->served[1], extents);
  return any > one ? any : one;
}

size_t library_workspace_bytes(int64_t rows, int threads) {
  const moire__aot_level *level = moire__aot_choose_level(&MOIRE__AOT_TABLES);
  if (!level || !moire__aot_batch_is_good(rows) || threads < 0 || threads > LIBRARY_MAX_THREADS) return 0;
  return moire__aot_add_bytes(63, 1, piece_bytes(level, rows, MOIRE__AOT_PIECE, LIBRARY_POSITIONS));
}

/* Words of a row that are to be read. */
static int64_t unread(const library_rows *r, int64_t row) {
  int64_t end = r->length[row] < r->capacity ? r->length[row] : r->capacity;
  return r->ended[row] ? 0 : end - r->read[row];
}

static library_status moire__aot_rows_read(library_rows *r, library_workspace *workspace) {
  int64_t longest = 0;
  if (!workspace) return LIBRARY_ERROR_NULL;
  library_status status = moire__aot_check_threads(workspace);
  for (int64_t b = 0; b < r->rows; b++) {
    int64_t left = unread(r, b);
    longest = left > longest ? left : longest;
  }
  if (status || !longest) return status;
  unsigned char *region = NULL;
  int64_t most = longest < MOIRE__AOT_PIECE ? longest : MOIRE__AOT_PIECE;
  size_t bytes = moire__aot_add_bytes(63, 1, piece_bytes(r->level, r->rows, most, r->capacity));
  status = moire__aot_reserve(workspace, bytes, &region);
  if (status) return status;
  for (int64_t left = longest; left > 0;) {
    int64_t n = left % MOIRE__AOT_PIECE ? left % MOIRE__AOT_PIECE : MOIRE__AOT_PIECE;
    for (int64_t b = 0; b < r->rows; b++) { /* a row is right-aligned in what is left */
      int64_t fresh = unread(r, b) - (left - n);
      const int32_t *words = r->words + b * (r->capacity + 1) + r->read[b];
      r->fresh[b] = (int32_t)(fresh > 0 ? fresh : 0);
      r->before[b] = (int32_t)r->read[b];
      for (int64_t i = 0; i < n; i++) r->tokens[b * n + i] = i < fresh ? words[i] : 0;
    }
    read_piece(r, workspace, region, n);
    left -= n;
  }
  return LIBRARY_OK;
}
