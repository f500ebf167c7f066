/* RecBole's files of items: a .item, a .kg and a .link, one behind the other with a line "--" between. What is
 * read has edges between items and nodes that there are, and its names read back as the same. See readers.h. */
#include "runtime/base/memory.h"
#include "runtime/train/log.h"
#include "tasks/ratings/items.h"
#include "tests/support/readers/readers.h"

#include <stdlib.h>
#include <string.h>

static const char *const relations[] = {"kind", "class"};
static const moire__ratings_options options = {.relations = relations, .n_relations = 2};

/* The bytes up to the next line "--", which are taken off the front. */
static moire__sheet next_sheet(const char **rest, const char *end, moire_status *status) {
  moire__sheet s = {0};
  const char *from = *rest, *at = from;
  while (at < end && !(end - at >= 4 && !memcmp(at, "\n--\n", 4))) at++;
  *rest = at < end ? at + 4 : end;
  *status = moire__sheet_parse(&s, "fuzz", from, (size_t)(at - from), NULL);
  return s;
}

static void check_edges(const moire__ratings_items *items) {
  for (int r = 0; r < items->n_relations; r++)
    for (int64_t e = 0; e < items->edge_counts[r]; e++) {
      int32_t item = items->edges[r][e], node = items->edges[r][items->edge_counts[r] + e];
      if (item < 0 || item >= items->ids.n || node < 0 || node >= items->node_counts[r]) abort();
    }
  for (int64_t i = 0; i < items->ids.n * items->n_features; i++)
    if (items->context[i] < 0 || items->context[i] >= items->feature_sizes[i % items->n_features]) abort();
}

static void check_names(const moire__ratings_items *items) {
  moire__ratings_items again = {.n_relations = items->n_relations};
  for (int r = 0; r < items->n_relations; r++) again.relations[r] = relations[r];
  char *names = moire__recbole_names(items);
  if (names && moire__recbole_take_names(names, &options, &again, NULL)) abort();
  char *printed = moire__recbole_names(&again);
  if (names && (!printed || strcmp(names, printed) != 0)) abort();
  moire__release(names);
  moire__release(printed);
  moire__ratings_items_free(&again);
}

void test_read_recbole(const uint8_t *bytes, size_t n) {
  moire__log_set_form(MOIRE__LOG_NONE); /* what is left out is counted on stderr */
  const char *rest = (const char *)bytes, *end = rest + n;
  moire_status status[4];
  const char *first = rest;
  moire__sheet catalogue = next_sheet(&rest, end, &status[0]);
  moire__sheet features = next_sheet(&first, end, &status[1]);
  moire__sheet kg = next_sheet(&rest, end, &status[2]), link = next_sheet(&rest, end, &status[3]);
  moire__ratings_items items = {.n_relations = 2};
  const bool wanted[MOIRE__RATINGS_RELATIONS] = {true, false};
  bool found[MOIRE__RATINGS_RELATIONS] = {false};
  for (int r = 0; r < 2; r++) items.relations[r] = relations[r];
  bool good = !status[0] && !status[1] && !moire__recbole_catalogue(&catalogue, &items, NULL) &&
              !moire__recbole_features(&features, &options, &items, NULL);
  if (good && !status[2])
    good = !moire__recbole_triples(&kg, status[3] ? NULL : &link, wanted, &items, found, NULL);
  if (good) {
    check_edges(&items);
    check_names(&items);
  }
  moire__sheet_close(&catalogue);
  moire__sheet_close(&features);
  moire__sheet_close(&kg);
  moire__sheet_close(&link);
  moire__ratings_items_free(&items);
}

bool test_seed_recbole(int n, moire__text *out) {
  static const char *const seeds[] = {
      "item_id:token\tage:token\tclass:token_seq\ni1\told\tComedy Drama\ni2\t\tDrama\n--\n"
      "head_id:token\trelation_id:token\ttail_id:token\nm.1\tkind\tm.a\nm.b\tkind\tm.2\nm.x\tkind\tm.y\n--\n"
      "item_id:token\tentity_id:token\ni1\tm.1\ni2\tm.2\ni2\tm.1\ni9\tm.9\n",
      "item_id:token,age:token\n7,1\n8,2\n--\nhead_id,relation_id,tail_id\n7,kind,8\n8,other,9\n--\n",
      "item_id:token\ttitle:token_seq\n\"a b\"\tA \xc3\xa9\n\n--\nhead_id\trelation_id\ttail_id\n",
  };
  if (n >= (int)(sizeof seeds / sizeof *seeds)) return false;
  moire__text_add(out, "%s", seeds[n]);
  return true;
}
