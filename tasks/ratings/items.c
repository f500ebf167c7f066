/* What the readers of items share. See items.h. */
#include "tasks/ratings/items.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <inttypes.h>

void moire__ratings_items_free(moire__ratings_items *items) {
  moire__id_names_free(&items->ids);
  moire__release(items->genres);
  moire__release(items->context);
  for (int r = 0; r < MOIRE__RATINGS_RELATIONS; r++) {
    moire__release(items->edges[r]);
    moire__id_names_free(&items->nodes[r]);
  }
  for (int f = 0; f < MOIRE__RATINGS_FEATURES; f++) moire__id_names_free(&items->buckets[f]);
  moire__id_names_free(&items->feature_names);
  moire__release(items->overview);
  moire__release(items->reviews);
  moire__release(items->review_items);
  moire__release(items->reviewed);
  *items = (moire__ratings_items){0};
}

moire_status moire__ratings_find_item(const moire__sheet *s, int column, const moire__ratings_items *items,
                                      int64_t *item, moire_error *error) {
  moire__field f = s->fields[column];
  *item = moire__id_names_find(&items->ids, f.text, f.n);
  if (*item >= 0) return MOIRE_OK;
  moire__printable_buffer shown;
  return moire__sheet_fail(s, error, "item '%s' is none of the %" PRId64 " items",
                           moire__printable(f.text, f.n, shown), items->ids.n);
}

int64_t moire__recbole_number(moire__id_names *names, bool known, moire__field f) {
  return known ? moire__id_names_find(names, f.text, f.n) : moire__id_names_add(names, f.text, f.n);
}

void moire__edge_list_add(moire__edge_list *l, int64_t item, int64_t node) {
  if (l->n == l->capacity) {
    l->capacity = l->capacity ? l->capacity * 2 : 1024;
    l->pairs = moire__resize(l->pairs, (size_t)l->capacity * 2 * sizeof *l->pairs);
  }
  l->pairs[2 * l->n] = (int32_t)item;
  l->pairs[2 * l->n++ + 1] = (int32_t)node;
}

void moire__edge_list_finish(moire__edge_list *l, moire__ratings_items *items, int r) {
  items->edge_counts[r] = l->n;
  moire__release(items->edges[r]);
  items->edges[r] = moire__allocate_array((size_t)l->n * 2 + 1, sizeof *l->pairs);
  for (int64_t e = 0; e < l->n; e++) {
    items->edges[r][e] = l->pairs[2 * e];
    items->edges[r][l->n + e] = l->pairs[2 * e + 1];
  }
  moire__release(l->pairs);
  *l = (moire__edge_list){0};
}
