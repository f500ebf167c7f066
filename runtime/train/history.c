/* What a step by rows reads of the steps before it. See history.h. */
#include "runtime/train/history.h"

#include "runtime/base/layout.h"
#include "runtime/base/memory.h"

#include <string.h>

enum { FIRST_CAPACITY = 1024 };

void moire__history_free(moire__history *h) {
  moire__release_aligned(h->rows);
  *h = (moire__history){0};
}

/* A runner lays its memory out anew where an extent has grown, so rows come in powers of two. */
static void reserve(moire__history *h, int64_t rows, int64_t columns) {
  if (rows <= h->capacity) return;
  int64_t capacity = h->capacity ? h->capacity : FIRST_CAPACITY;
  while (capacity < rows) capacity *= 2;
  double *larger =
      moire__allocate_aligned((size_t)capacity * (size_t)columns * sizeof *larger, MOIRE__ALIGNMENT);
  if (h->filled) memcpy(larger, h->rows, (size_t)h->filled * (size_t)columns * sizeof *larger);
  moire__release_aligned(h->rows);
  h->rows = larger;
  h->capacity = capacity;
}

static void fill(moire__history *h, const moire_training_options *options, int64_t rows, int64_t columns) {
  for (; h->filled < rows; h->filled++) {
    double *row = h->rows + h->filled * columns;
    if (h->filled) moire_optimizer_history(options, h->filled, row - columns, row);
    for (int64_t i = 0; i < columns && !h->filled; i++) {
      int64_t column = i % MOIRE_OPTIMIZER_HISTORY_COLUMNS;
      row[i] = column == MOIRE_OPTIMIZER_HISTORY_INVERSE || column == MOIRE_OPTIMIZER_HISTORY_DECAY;
    }
  }
}

moire_status moire__history_give(moire__history *h, const moire_training_options *options, int64_t done,
                                 moire_runner *runner, moire_error *error) {
  if (!moire_runner_has_input(runner, "optimizer.step")) return MOIRE_OK;
  if (done >= INT32_MAX) return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "sparse: there are too many steps");
  h->step = (int32_t)done;
  moire_status status = moire_runner_set_input(runner, "optimizer.step", &h->step, 1, error);
  if (status || !moire_runner_has_input(runner, "optimizer.history")) return status;
  int64_t columns = moire_optimizer_history_count(options);
  reserve(h, done + 1, columns);
  fill(h, options, done + 1, columns);
  status = moire_runner_set_extent(runner, "optimizer_steps", h->capacity, error);
  return status ? status
                : moire_runner_set_input(runner, "optimizer.history", h->rows, h->capacity * columns, error);
}
