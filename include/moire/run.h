/* Running: threads, states and the execution of plans. Needs no compiler.
 *
 *   moire_threads *threads = moire_threads_create(2);
 *   moire_store *store = moire_store_create();
 *   moire_store_declare(store, plan, seed, &error);             // states of the plan, freshly drawn
 *   moire_runner *runner = moire_runner_create(plan, store, threads, &error);
 *   moire_runner_set_extent(runner, "B", 256, &error);
 *   moire_runner_set_input(runner, "input_ids", ids, 256 * 50, &error);
 *   moire_runner_run(runner, &error);
 *   const float *loss = moire_runner_output(runner, "loss", &n);
 *
 * Results are bit-identical for any number of threads, and from run to run.
 */
#ifndef MOIRE_RUN_H
#define MOIRE_RUN_H

#include "moire/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- threads -------------------------------------------------------------------------------------------- */

/* n - 1 sleeping workers; the caller of a run is the n-th. One run at a time per pool. */
typedef struct moire_threads moire_threads;
moire_threads *moire_threads_create(int n, moire_error *error); /* owned; n from 1 to 1024 */
void moire_threads_destroy(
    moire_threads *threads); /* also in a child of fork, where a run is the caller's alone */
int moire_threads_count(const moire_threads *threads);
/* Calls work(context, begin, end) for disjoint ranges that cover [0, n); returns when all are done. Ranges are
 * handed out as threads become free; the work of one index must not depend on them. */
void moire_threads_run(moire_threads *threads, int64_t n,
                       void (*work)(void *context, int64_t begin, int64_t end), void *context);

/* ---- states ---------------------------------------------------------------------------------------------- */

/* Named tensors that outlive a step, shared by the programs that train, validate and serve one model. */
typedef struct moire_store moire_store;
moire_store *moire_store_create(void); /* owned */
void moire_store_destroy(moire_store *store);
/* Adds the states of the plan that are not there yet, filled by their initialiser from `seed` and their name
 * (or stream) alone. One that is there must have the same type and shape. */
moire_status moire_store_declare(moire_store *store, const moire_plan *plan, uint64_t seed, moire_error *error);
int moire_store_count(const moire_store *store);
moire_plan_state moire_store_at(const moire_store *store, int i); /* strings are the store's */
/* The elements of a state, row-major, aligned to 64 bytes; borrowed. NULL if there is none of that name. */
void *moire_store_data(const moire_store *store, const char *name, int64_t *elements);

/* ---- runs --------------------------------------------------------------------------------------------------
 */

/* Executes a plan. Borrows plan, store and threads, which must outlive it. One run at a time. */
typedef struct moire_runner moire_runner;
moire_runner *moire_runner_create(const moire_plan *plan, moire_store *store, moire_threads *threads,
                                  moire_error *error); /* owned; the store must hold the plan's states */
void moire_runner_destroy(moire_runner *runner);
/* Sets the size of a named extent (at least 0) for the next runs. The workspace grows when a size is larger
 * than any before; otherwise nothing is allocated after the first run. An extent that the plan does not have is
 * ignored. */
moire_status moire_runner_set_extent(moire_runner *runner, const char *name, int64_t size, moire_error *error);
/* Borrows `data` until it is set again: `elements` of the input's type, which must be its size in the next run.
 * MOIRE_ERROR_ARGUMENT if the plan has no such input. */
moire_status moire_runner_set_input(moire_runner *runner, const char *name, const void *data, int64_t elements,
                                    moire_error *error);
bool moire_runner_has_input(const moire_runner *runner, const char *name);
/* A complex input "x" is two of a plan, "x.real" and "x.imag", f32 each, and so is a complex output. This one
 * takes it whole, as arrays of float _Complex or std::complex<float> are laid out: `elements` pairs of a real
 * and an imaginary part. They are copied. MOIRE_ERROR_ARGUMENT if the plan has neither plane. */
moire_status moire_runner_set_complex_input(moire_runner *runner, const char *name, const float *pairs,
                                            int64_t elements, moire_error *error);
/* Fails, before anything is computed, if an input is missing or of the wrong size. */
moire_status moire_runner_run(moire_runner *runner, moire_error *error);
/* An output of the last run, borrowed until the next; NULL if there is none of that name. */
const void *moire_runner_output(const moire_runner *runner, const char *name, int64_t *elements);
/* Writes a complex output of the last run to `pairs`, which holds `elements` pairs of floats: as many as the
 * output has elements, or MOIRE_ERROR_SHAPE. */
moire_status moire_runner_complex_output(const moire_runner *runner, const char *name, float *pairs,
                                         int64_t elements, moire_error *error);
/* Gives the workspace back until the next run, for a program that does something else in between; outputs of
 * the last run are gone. */
void moire_runner_rest(moire_runner *runner);
/* Bytes of workspace at the current sizes. */
size_t moire_runner_workspace_bytes(const moire_runner *runner);

#ifdef __cplusplus
}
#endif
#endif
