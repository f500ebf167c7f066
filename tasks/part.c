/* Which rows are a part's. See part.h. */
#include "tasks/part.h"

#include <stddef.h>

/* floor(steps * k / count), whose product fits: both factors of the second term are below count. */
static int64_t cut(int64_t steps, int64_t k, int64_t count) {
  return steps / count * k + steps % count * k / count;
}

void moire__part_take(moire__part *part, moire__part_form form, const char *unit, int64_t total, int64_t step,
                      int64_t *first, int64_t *rows) {
  *first = 0;
  *rows = total;
  if (!part) return;
  int64_t steps = total / step + (total % step != 0);
  int64_t begin = cut(steps, part->index - 1, part->count) * step,
          end = cut(steps, part->index, part->count) * step;
  *first = begin < total ? begin : total;
  *rows = (end < total ? end : total) - *first;
  part->form = form;
  part->unit = unit;
  part->first = *first;
  part->rows = *rows;
  part->total = total;
}
