/* Codebooks: where they start, and where dead codes start again.
 *
 * Both keep codes, sums and sizes consistent (codes = sums / sizes), so that the next moving average goes on
 * from there. All choices are drawn from counters, so that a resumed run makes the same ones.
 */
#include "tasks/items/codebook.h"

#include "runtime/base/memory.h"
#include "runtime/base/philox.h"

#include <inttypes.h>
#include <stdio.h>

static void *find_state(const moire_store *store, int level, const char *what, int64_t *n) {
  char name[64];
  snprintf(name, sizeof name, "quantizers.%d.%s", level, what);
  return moire_store_data(store, name, n);
}

moire_status moire__codebook_find(const moire_store *store, int level, int64_t size, moire__codebook *out,
                                  moire_error *error) {
  int64_t codes = 0, sums = 0, sizes = 0, unused = 0;
  *out = (moire__codebook){.level = level, .size = size};
  out->codes = find_state(store, level, "embedding", &codes);
  out->sums = find_state(store, level, "ema_w", &sums);
  out->sizes = find_state(store, level, "ema_cluster_size", &sizes);
  out->unused = find_state(store, level, "unused", &unused);
  out->width = codes / size;
  if (out->codes && out->sums && out->sizes && codes % size == 0 && sums == codes && sizes == size &&
      (!out->unused || unused == size))
    return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "the model has no states quantizers.%d.* of a codebook of %" PRId64 " codes", level, size);
}

void moire__codebook_set(const moire__codebook *book, int64_t code, const float *row, float size) {
  for (int64_t j = 0; j < book->width; j++) {
    book->codes[code * book->width + j] = row[j];
    book->sums[code * book->width + j] = row[j] * size;
  }
  book->sizes[code] = size;
}

/* ---- Dead codes -------------------------------------------------------------------------------------------
 */

int64_t moire__codebook_restart(const moire__codebook *book, int64_t after, const float *rows, int64_t n,
                                uint64_t seed, int64_t step) {
  double total = 0;
  int64_t restarted = 0, *order = NULL;
  for (int64_t c = 0; c < book->size; c++) total += (double)book->sizes[c];
  for (int64_t c = 0; c < book->size && restarted < n; c++) {
    if (book->unused[c] < (float)after) continue;
    if (!order) {
      order = moire__allocate_array((size_t)n, sizeof *order);
      moire__permutation(seed, ((uint64_t)step << 6 | (uint64_t)book->level) | (uint64_t)1 << 63, n, order);
    }
    moire__codebook_set(book, c, rows + order[restarted++] * book->width, (float)(total / (double)book->size));
    book->unused[c] = 0;
  }
  moire__release(order);
  return restarted;
}
