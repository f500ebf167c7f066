/* Tables of items: files as they are, and files that are well formed but for what the bytes say.
 *
 * A search must end whatever the sections hold, since their checksums are not looked at when a table is opened:
 * what it lists are rows that may be found, the best first, each once. A table that is made of such a one is
 * sound, and a search finds what a scan does, to the last bit.
 */
#include "tests/support/readers/readers.h"

#include "runtime/base/memory.h"
#include "runtime/items/items.h"
#include "tests/support/files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  QUERIES = 3,
  BEST = 5,
  MOST_NUMBERS = 1 << 16,
  MOST_WRITTEN = 1 << 8,
  MOST_ROWS = 80,
  MOST_WIDTH = 40,
  MOST_EDITS = 3
};

/* ---- what is asked of a table that could be opened
 * -----------------------------------------------------------
 */

static void check_list(const moire_items *t, const int64_t *rows, const float *scores, int64_t banned) {
  for (int i = 0; i < BEST; i++) {
    if (rows[i] == -1) continue;
    bool is_row = rows[i] >= 0 && rows[i] < moire_items_count(t);
    if (!is_row || moire_items_is_retired(t, rows[i]) || rows[i] == banned || isnan(scores[i])) abort();
    if (i && (rows[i - 1] == -1 || scores[i - 1] < scores[i] ||
              (!(scores[i - 1] > scores[i]) && rows[i - 1] >= rows[i])))
      abort();
  }
}

typedef struct lists {
  int64_t rows[QUERIES * BEST];
  float scores[QUERIES * BEST];
} lists;

static lists search(const moire_items *t, bool scan) {
  const int64_t banned[] = {0, -7, INT64_MAX}, allowed[] = {3, 1, 1, -1, INT64_MIN};
  const moire_items_filter filters[QUERIES] = {
      {0}, {.banned = banned, .n_banned = 3}, {.allowed = allowed, .n_allowed = 5}};
  lists l;
  int64_t width = moire_items_width(t);
  float *queries = moire__allocate_array((size_t)(QUERIES * width), sizeof *queries);
  for (int64_t i = 0; i < QUERIES * width; i++) queries[i] = (float)(i * 37 % 101) - 50;
  moire_status status =
      scan ? moire_items_scan(t, queries, QUERIES, filters, BEST, l.rows, l.scores, NULL, NULL)
           : moire_items_search(t, queries, QUERIES, filters, BEST, l.rows, l.scores, NULL, NULL);
  if (status) abort();
  for (int q = 0; q < QUERIES; q++) check_list(t, l.rows + q * BEST, l.scores + q * BEST, q == 1 ? 0 : -1);
  moire__release(queries);
  return l;
}

/* Written anew with two rows more, unless a row holds what no table may; a small one, since files are synced.
 */
static void rewrite(const moire_items *t) {
  static const int64_t retired[] = {1, 0, 1};
  int64_t width = moire_items_width(t), numbers = moire_items_count(t) * t->table.head.stride;
  if (numbers > MOST_WRITTEN || moire_items_count(t) < 2) return;
  bool good = true;
  for (int64_t i = 0; i < numbers; i++)
    good = good && (i % t->table.head.stride >= width || isfinite(t->table.rows[i]));
  test_path directory, path;
  test_make_directory(directory);
  test_join(directory, "new.items", path);
  float *rows = moire__allocate_array((size_t)(2 * width), sizeof *rows);
  for (int64_t i = 0; i < 2 * width; i++) rows[i] = (float)(i * 29 % 67) - 33;
  moire_items_contents contents = {
      .old = t, .rows = rows, .n = 2, .width = width, .retired = retired, .n_retired = 3};
  if ((moire_items_write(path, &contents, NULL) == MOIRE_OK) != good) abort();
  moire_items *made = good ? moire_items_open(path, NULL) : NULL;
  if (good) {
    if (!made || moire_items_check(made, NULL) || moire_items_count(made) != moire_items_count(t) + 2) abort();
    lists found = search(made, false), scanned = search(made, true);
    if (memcmp(found.rows, scanned.rows, sizeof found.rows) != 0) abort();
    if (memcmp(found.scores, scanned.scores, sizeof found.scores) != 0) abort();
  }
  moire_items_close(made);
  moire__release(rows);
  test_remove_directory(directory);
}

static void ask(const moire_items *t, bool writes) {
  moire__text names = {0};
  for (int64_t i = -1; i <= moire_items_count(t); i++) {
    int n = 0;
    const char *name = moire_items_name(t, i, &n);
    if (name) moire__text_add_bytes(&names, name, (size_t)n);
    if (!moire_items_row(t, i) && !moire_items_is_retired(t, i)) abort();
  }
  moire__text_free(&names);
  moire_items_check(t, NULL);
  search(t, false);
  search(t, true);
  if (writes) rewrite(t);
}

/* A file in memory, with nothing behind it. */
static void open_and_ask(const char *bytes, size_t n, bool writes) {
  void *exact = NULL;
  if (posix_memalign(&exact, 64, n + !n)) abort();
  if (n) memcpy(exact, bytes, n);
  moire_items t = {.path = "fuzz.items", .file = {.bytes = exact, .n = n}};
  moire__items_fault fault = moire__items_read(exact, n, &t.table);
  if (!fault && t.table.head.rows * t.table.head.stride <= MOST_NUMBERS) ask(&t, writes);
  free(exact);
}

static void seal(char *bytes, size_t n) {
  moire__items_head head;
  if (n < sizeof head) return;
  memcpy(&head, bytes, sizeof head);
  head.checksum = moire__items_head_checksum(&head);
  memcpy(bytes, &head, sizeof head);
}

/* As it is, and with a head whose checksum holds. */
void test_read_items(const uint8_t *bytes, size_t n) {
  char *copy = moire__allocate(n + !n);
  if (n) memcpy(copy, bytes, n);
  open_and_ask(copy, n, false);
  seal(copy, n);
  open_and_ask(copy, n, false);
  moire__release(copy);
}

/* ---- tables by their contents
 * --------------------------------------------------------------------------------
 *
 * Bytes: rows, width, whether there are names, how many edits of the head; of each edit the word, eight bytes;
 * then what all sections hold, one behind the other, zeros where no more comes. Where the third byte is 1, a
 * name's end is said by a byte, its length; else by all eight of it.
 */

typedef struct source {
  const uint8_t *bytes;
  size_t n;
} source;

static uint8_t next(source *s) {
  if (!s->n) return 0;
  s->n--;
  return *s->bytes++;
}

static void fill(source *s, char *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = (char)next(s);
}

static void fill_ends(source *s, char *to, int64_t rows) {
  uint64_t end = 0;
  for (int64_t i = 0; i < rows; i++) {
    end += next(s) % 6; /* all of them may be more than there are bytes of names */
    memcpy(to + i * (int64_t)sizeof end, &end, sizeof end);
  }
}

static void make_table(source *s, moire__text *out) {
  moire__items_head head = {.magic = MOIRE__ITEMS_MAGIC};
  head.rows = 1 + next(s) % MOST_ROWS;
  head.width = 1 + next(s) % MOST_WIDTH;
  unsigned named = next(s) % 4;
  int edits = next(s) % (MOST_EDITS + 1);
  uint8_t words[MOST_EDITS], values[MOST_EDITS][8];
  for (int i = 0; i < edits; i++) {
    words[i] = next(s) % (offsetof(moire__items_head, checksum) / 8);
    fill(s, (char *)values[i], 8);
  }
  head.live = head.rows;
  head.most_norm = 1 + next(s);
  moire__items_lay_out(&head, named ? head.rows * 2 : -1);
  size_t n = (size_t)moire__items_end(&head);
  char *bytes = moire__allocate(n + 1);
  for (int i = 0; i < MOIRE__ITEMS_SECTIONS; i++) {
    char *section = bytes + head.begins[i];
    if (i == MOIRE__ITEMS_NAME_ENDS && named == 1)
      fill_ends(s, section, head.rows);
    else
      fill(s, section, head.bytes[i]);
    head.checksums[i] = head.bytes[i] ? moire__items_checksum(0, section, head.bytes[i]) : 0;
  }
  memcpy(bytes, &head, sizeof head);
  for (int i = 0; i < edits; i++) memcpy(bytes + words[i] * 8, values[i], 8);
  seal(bytes, n);
  moire__text_add_bytes(out, bytes, n);
  moire__release(bytes);
}

void test_read_table(const uint8_t *bytes, size_t n) {
  moire__text file = {0};
  make_table(&(source){bytes, n}, &file);
  open_and_ask(file.data, file.length, true);
  moire__text_free(&file);
}

bool test_seed_table(int n, moire__text *out) {
  static const char heads[][13] = {{39, 7, 0, 0, 9}, {15, 31, 1, 0, 99}, {70, 0, 1, 0, 1}, {2, 2, 0, 1, 3, 9}};
  static const size_t lengths[] = {5, 5, 5, 13};
  if (n >= 4) return false;
  moire__text_add_bytes(out, heads[n], lengths[n]);
  for (int i = 0; i < 3000; i++) { /* numbers between 1/2 and 2, whatever section they are in */
    const float value = ldexpf(1 + (float)(i * 37 % 64) / 64, i % 3 - 1);
    char bytes[sizeof value];
    memcpy(bytes, &value, sizeof value);
    moire__text_add_bytes(out, bytes, sizeof bytes);
  }
  return true;
}

bool test_seed_items(int n, moire__text *out) {
  moire__text contents = {0};
  bool good = test_seed_table(n, &contents);
  if (good) make_table(&(source){(const uint8_t *)contents.data, contents.length}, out);
  moire__text_free(&contents);
  return good;
}
