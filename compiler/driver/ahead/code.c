/* The interface of item coders: features to codes and back.
 *
 * Both plans read one block of constants. The one that decodes does nothing ahead: it reads states as they are,
 * so that those which the encoding plan reads too lie in the block once.
 */
#include "compiler/driver/ahead/interface.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Plans in the order of runtime/aot/coding.c. */
enum { ENCODE, DECODE };
enum { ROWS = 448 }; /* blocks of the search for codes, which pass over the codes */

static moire_status choose(moire__ahead *a, moire_error *error) {
  static const char *const codes[] = {"codes"}, *const restored[] = {"restored"};
  (void)error;
  a->served[ENCODE] = (moire__ahead_served){.name = "encode", .outputs = codes, .n_outputs = 1, .folds = true};
  a->served[DECODE] = (moire__ahead_served){.name = "decode", .outputs = restored, .n_outputs = 1};
  return MOIRE_OK;
}

static moire_status refuse(const moire_plan *plan, const char *wanted, moire_error *error) {
  return moire_fail(error, MOIRE_ERROR_ARGUMENT, "the graph %s: wanted the %s", plan->name, wanted);
}

/* How many codes level l has: rows of its codebook. */
static int64_t codes_of(const moire_plan *plan, int64_t l) {
  char name[64];
  snprintf(name, sizeof name, "quantizers.%" PRId64 ".embedding", l);
  for (int i = 0; i < plan->n_states; i++) {
    if (!strcmp(plan->states[i].name, name) && plan->states[i].shape.rank == 2)
      return plan->states[i].shape.dims[0];
  }
  return 0;
}

static moire_status check(moire__ahead *a, moire_error *error) {
  static const char *const inputs[] = {"features", "ids", NULL}; /* runtime/aot/coding.c */
  const moire_plan *encode = &a->levels[0].modules[ENCODE]->plan;
  const moire_plan *decode = &a->levels[0].modules[DECODE]->plan;
  const moire_plan_buffer *x = moire__ahead_find_buffer(encode, MOIRE_PLAN_INPUT, "features");
  const moire_plan_buffer *codes = moire__ahead_find_buffer(encode, MOIRE_PLAN_OUTPUT, "codes");
  const moire_plan_buffer *ids = moire__ahead_find_buffer(decode, MOIRE_PLAN_INPUT, "ids");
  const moire_plan_buffer *y = moire__ahead_find_buffer(decode, MOIRE_PLAN_OUTPUT, "restored");
  if (!moire__ahead_is_matrix(x, MOIRE_F32)) return refuse(encode, "input features f32[B, F]", error);
  if (!moire__ahead_is_matrix(codes, MOIRE_I32)) return refuse(encode, "output codes i32[B, levels]", error);
  if (!moire__ahead_is_matrix(ids, MOIRE_I32) || ids->shape.dims[1] != codes->shape.dims[1])
    return refuse(decode, "input ids i32[B, levels]", error);
  if (!moire__ahead_is_matrix(y, MOIRE_F32) || y->shape.dims[1] != x->shape.dims[1])
    return refuse(decode, "output restored f32[B, F]", error);
  int64_t levels = moire__dim_factor(codes->shape.dims[1]);
  for (int64_t l = 0; l < levels; l++) {
    if (!codes_of(encode, l)) return refuse(encode, "states quantizers.<level>.embedding", error);
  }
  a->inputs = inputs;
  a->slice = ROWS;
  moire__ahead_add_fact(a, "FEATURES", moire__dim_factor(x->shape.dims[1]));
  moire__ahead_add_fact(a, "LEVELS", levels);
  return MOIRE_OK;
}

static void write_tables(const moire__ahead *a, moire__text *out) {
  const moire_plan *encode = &a->levels[0].modules[ENCODE]->plan;
  moire__text_add(out, "\nstatic const int64_t moire__aot_codes[] = {");
  for (int64_t l = 0; codes_of(encode, l); l++)
    moire__text_add(out, "%s%" PRId64, l ? ", " : "", codes_of(encode, l));
  moire__text_add(out, "};\n");
}

static const char *const files[] = {"coding.c", NULL};
static const char *const units[] = {NULL};

const moire__ahead_interface moire__ahead_code = {.name = "code",
                                                  .files = files,
                                                  .units = units,
                                                  .needs_weights = true,
                                                  .choose = choose,
                                                  .check = check,
                                                  .write_tables = write_tables};
