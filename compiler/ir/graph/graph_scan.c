/* Types as text: element types, dims with named extents, shapes. What graphs and plans are read with. */
#include "compiler/ir/graph/graph_scan.h"

#include <string.h>

bool moire__scan_dtype(moire__scan *s, moire_dtype *dtype) {
  for (int i = MOIRE_F32; i <= MOIRE_C64; i++) {
    *dtype = (moire_dtype)i;
    if (moire__scan_accept(s, moire__dtype_name(*dtype))) return true;
  }
  return moire__scan_expected(s, "an element type");
}

static bool begins_digit(moire__scan *s) {
  moire__scan_space(s);
  return *s->at >= '0' && *s->at <= '9';
}

bool moire__scan_dim(moire__scan *s, const moire_graph *g, moire_dim *dim) {
  int64_t factor = 1;
  if (begins_digit(s)) {
    if (!moire__scan_int(s, 0, ((int64_t)1 << 48) - 1, &factor)) return false;
    *dim = factor;
    if (!moire__scan_accept(s, "*")) return true;
  }
  *dim = factor;
  do {
    const char *word = moire__scan_word(s, "an extent");
    if (!word) return false;
    int extent = moire__graph_find_extent(g, word, strlen(word));
    if (!extent) return moire__scan_fail(s, "there is no extent %s", word);
    if (!moire__dim_multiply(*dim, moire__dim_make(1, extent), dim))
      return moire__scan_fail(s, "more than %d extents in one", MOIRE_MAX_FACTORS);
  } while (moire__scan_accept(s, "*"));
  return true;
}

bool moire__scan_shape(moire__scan *s, const moire_graph *g, moire_shape *shape) {
  *shape = MOIRE_SCALAR;
  if (!moire__scan_expect(s, "[")) return false;
  if (moire__scan_accept(s, "]")) return true;
  do {
    if (shape->rank == MOIRE_MAX_RANK) {
      return moire__scan_fail(s, "a shape has more than %d axes", MOIRE_MAX_RANK);
    }
    if (!moire__scan_dim(s, g, &shape->dims[shape->rank++])) return false;
  } while (moire__scan_accept(s, ","));
  return moire__scan_expect(s, "]");
}
