/* nearest_code {bf16 = 1}: a search over operands in bf16 that finds what the search in float32 finds.
 *
 * The equations are at the head of lower_nearest_narrow.c.
 */
#ifndef MOIRE_OPS_CODE_NEAREST_NARROW_H
#define MOIRE_OPS_CODE_NEAREST_NARROW_H

#include "ops/product/narrow.h"

/* Whether the node asks for it, and it is faster here. */
bool moire__nearest_narrow_pays(moire__lowering *l);
/* Adds its kernels. Returns the number of the extra buffer of what they find, i32 for each row: the code, or -1
 * where the row has to be searched in float32. */
int moire__nearest_narrow_lower(moire__lowering *l);

/* ---- ops/code/nearest_pack.c: codes and rows as the search wants them, around a mean
 * ------------------------------
 */

typedef struct moire__nearest_codes {
  int64_t n, depth;              /* K, D */
  moire__narrow narrow;          /* lanes: codes of a panel; b: the panels */
  int extra[5];                  /* numbers of the extra buffers: panels, and as below */
  moire__loop_buffer mean;       /* [D]: u */
  moire__loop_buffer half;       /* [panel, lane] = [code]: |c|^2 / 2, as lower_nearest_code.c has it */
  moire__loop_buffer low, reach; /* likewise: a little less than |c - u|^2 / 2, infinite where no code is; g */
} moire__nearest_codes;

/* Adds two kernels; n, depth and narrow are known. */
void moire__nearest_pack(moire__lowering *l, moire__nearest_codes *c, const char *name);
/* Adds the buffers to the kernel that has been begun. */
void moire__nearest_add_codes(moire__lowering *l, moire__nearest_codes *c, moire__buffer_role role);
/* Packs rows x[0, n_rows) into c->narrow.a, and stores m and w of each. */
void moire__nearest_pack_rows(moire__lowering *l, const moire__nearest_codes *c, const moire__tile_matrix *x,
                              moire__loop_value n_rows, moire__loop_buffer m, moire__loop_buffer w);
/* What a code's |c - u|^2 / 2 is taken to be off by, as a share of it. */
double moire__nearest_share(const moire__nearest_codes *c);

#endif
