/* Slices of a batch, shared out among threads. See slices.h. */
#include "runtime/aot/slices.h"

static int64_t moire__aot_slice_rows(int64_t batch) { return batch < LIBRARY_SLICE ? batch : LIBRARY_SLICE; }

static int64_t count_of(int64_t batch) { return (batch + LIBRARY_SLICE - 1) / LIBRARY_SLICE; }

/* As many threads as there is work for. */
static int useful_threads(int64_t batch, int threads) {
  if (threads < 1) return 1;
  return count_of(batch) < threads ? (int)count_of(batch) : threads;
}

static size_t moire__aot_slices_bytes(size_t region_bytes, int64_t batch, int threads) {
  if (!moire__aot_batch_is_good(batch) || threads < 0 || threads > LIBRARY_MAX_THREADS) return 0;
  return region_bytes * (size_t)useful_threads(batch, threads) + 63;
}

static void take_slices(void *job, int thread) {
  moire__aot_slices *s = job;
  for (;;) {
    int64_t slice = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
    if (slice >= count_of(s->batch)) return;
    int64_t first = slice * LIBRARY_SLICE;
    s->compute(s->request, first, moire__aot_slice_rows(s->batch - first),
               s->regions + s->region_bytes * (size_t)thread);
  }
}

static void moire__aot_slices_share(moire__aot_slices *slices, library_workspace *workspace) {
  int threads = useful_threads(slices->batch, workspace->threads);
  if (threads == 1) {
    take_slices(slices, 0);
  } else {
    workspace->run(workspace->context, threads, take_slices, slices);
  }
}

static library_status moire__aot_slices_run(moire__aot_slices *slices, library_workspace *workspace) {
  size_t bytes = moire__aot_slices_bytes(slices->region_bytes, slices->batch, workspace->threads);
  library_status status = moire__aot_reserve(workspace, bytes, &slices->regions);
  if (!status) moire__aot_slices_share(slices, workspace);
  return status;
}
