/* nearest_code {bf16 = 1}: a search over operands in bf16 that finds what the search in float32 finds.
 *
 * The equations are at the head of lower_nearest_narrow.c.
 */
#ifndef MOIRE_OPS_NEAREST_NARROW_H
#define MOIRE_OPS_NEAREST_NARROW_H

#include "ops/narrow.h"

/* Whether the node asks for it, and it is faster here. */
bool moire__nearest_narrow_pays(const moire__lowering *l);
/* Adds its kernels. Returns the number of the extra buffer of what they find, i32 for each row: the code, or -1
 * where the row has to be searched in float32. */
int moire__nearest_narrow_lower(moire__lowering *l);

/* ---- ops/nearest_pack.c: the codes, as the search wants them ------------------------------------------------
 */

typedef struct moire__nearest_codes {
  int64_t n, depth;                    /* K, D */
  moire__narrow narrow;                /* lanes: codes of a panel; b: the panels */
  int extra[4];                        /* numbers of the extra buffers: panels, half, low, reach */
  moire__loop_buffer half, low, reach; /* [panel, lane] = [code]: |c|^2 / 2, as lower_nearest_code.c has it; a
                                          little less, infinite where there is no code; g */
} moire__nearest_codes;

/* Adds the kernel; n, depth and narrow are known. */
void moire__nearest_pack(moire__lowering *l, moire__nearest_codes *c, const char *name);
/* Adds the buffers to the kernel that has been begun. */
void moire__nearest_add_codes(moire__lowering *l, moire__nearest_codes *c, moire__buffer_role role);

/* What bf16 takes from x: exact in float32. */
moire__loop_value moire__nearest_lost(moire__lowering *l, moire__loop_value x);
/* No less than the root of what `squares` is the sum of, of `depth` numbers in any order. */
moire__loop_value moire__nearest_norm(moire__lowering *l, moire__loop_value squares, int64_t depth);

#endif
