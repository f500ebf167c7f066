/* See trainer_memory.h. Data are mapped, or read before, and validation gives a step's workspace back: states
 * and workspace are what training has in memory at once. */
#include "runtime/train/trainer_memory.h"

#include "runtime/base/layout.h"
#include "runtime/base/text.h"
#include "runtime/machine/memory_room.h"
#include "runtime/run/runner.h"
#include "runtime/train/log.h"
#include "runtime/train/trainer_tables.h"

#include <inttypes.h>
#include <stdio.h>

/* Bytes as people read them, in a buffer of the caller's. */
typedef struct amount {
  char text[24];
} amount;

static amount of_bytes(int64_t bytes) {
  amount a;
  double mega = (double)bytes * 1e-6;
  snprintf(a.text, sizeof a.text,
           mega < 9.95     ? "%.1f MB"
           : mega < 9999.5 ? "%.0f MB"
                           : "%.1f GB",
           mega < 9999.5 ? mega : mega * 1e-3);
  return a;
}

/* INT64_MAX: more than can be counted. */
static int64_t bytes_of(const moire_plan_state *state) {
  int64_t bytes = (int64_t)moire__dtype_bytes(state->dtype);
  for (int i = 0; i < state->shape.rank; i++) {
    if (__builtin_mul_overflow(bytes, state->shape.dims[i], &bytes)) return INT64_MAX;
  }
  return bytes;
}

static int64_t bytes_of_states(const moire_plan *plan, bool files, int *largest) {
  int64_t sum = 0, most = -1;
  for (int i = 0; i < plan->n_states; i++) {
    if (files && moire__trainer_is_table(plan, plan->states[i].name)) continue;
    int64_t bytes = bytes_of(&plan->states[i]);
    if (__builtin_add_overflow(sum, bytes, &sum)) sum = INT64_MAX;
    if (bytes <= most) continue;
    most = bytes;
    *largest = i;
  }
  return sum;
}

moire_status moire__trainer_check_states(const moire_plan *step, bool files, moire_error *error) {
  int largest = -1;
  int64_t bytes = bytes_of_states(step, files, &largest);
  moire__memory_room room = moire__memory_room_now();
  if (room.bytes < 0 || bytes <= room.bytes || largest < 0) return MOIRE_OK;
  const moire_plan_state *most = &step->states[largest];
  moire__text shape = {0};
  for (int i = 0; i < most->shape.rank; i++)
    moire__text_add(&shape, "%s%" PRId64, i ? ", " : "", most->shape.dims[i]);
  moire_status status = moire_fail(
      error, MOIRE_ERROR_MEMORY,
      "weights and the optimizer's moments take %s, and %s has %s left; the largest is %s [%s]",
      of_bytes(bytes).text, room.bound, of_bytes(room.bytes).text, most->name, moire__text_string(&shape));
  moire__text_free(&shape);
  return status;
}

moire_status moire__trainer_check_step(const moire_plan *step, bool files, moire_runner *runner, int64_t batch,
                                       size_t beside, moire_error *error) {
  size_t workspace = 0;
  int largest = -1;
  moire_status status = moire__runner_estimate(runner, &workspace, error);
  if (status) return status;
  workspace += beside;
  int64_t states = bytes_of_states(step, files, &largest);
  moire__memory_room room = moire__memory_room_now(); /* the states have been taken */
  amount needed = of_bytes((int64_t)workspace), held = of_bytes(states), left = of_bytes(room.bytes);
  if (room.bytes >= 0 && workspace > (size_t)room.bytes)
    return moire_fail(
        error, MOIRE_ERROR_MEMORY,
        "a step of batch_size %" PRId64
        " takes %s beside %s of weights and moments, and %s has %s left; a smaller batch_size takes "
        "less (accumulate: several batches a step)",
        batch, needed.text, held.text, room.bound, left.text);
  moire__text fields = {0};
  moire__text_add(&fields, "\"states\":%" PRId64 ",\"workspace\":%zu,\"left\":%" PRId64, states, workspace,
                  room.bytes);
  moire__log("memory", moire__text_string(&fields),
             "weights and moments take %s, a step of batch_size %" PRId64 " %s; %s has %s left", held.text,
             batch, needed.text, room.bound, left.text);
  moire__text_free(&fields);
  return MOIRE_OK;
}
