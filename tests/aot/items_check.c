/* Calls a library named small, of a recommender, on tables of items, as a user's program does. Exit status 1
 * and a sentence if something is not as the header promises.
 *
 *   items_check lists TABLE DATA WANTED K    what `moire recommend --items` lists for the users of DATA, bit by
 * bit: lines of WANTED are rows, then scores items_check filters TABLE DATA           rows that are banned and
 * allowed items_check swap TABLE OTHER             OTHER takes the place of TABLE, while that is open
 *   items_check borders TABLE FOLDER         bad arguments and files give statuses and change nothing */
#include <small.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 60, MOST = 100, ROWS = 100 };

static void fail(const char *what) {
  fprintf(stderr, "items_check: %s\n", what);
  exit(1);
}

static void need(small_status status, const char *what) {
  if (status == SMALL_OK) return;
  fprintf(stderr, "items_check: %s: %s\n", what, small_status_text(status));
  exit(1);
}

static void expect(small_status got, small_status wanted, const char *what) {
  if (got == wanted) return;
  fprintf(stderr, "items_check: %s: got \"%s\", wanted \"%s\"\n", what, small_status_text(got),
          small_status_text(wanted));
  exit(1);
}

/* ---- Histories -------------------------------------------------------------------------------------- */

static int64_t offsets[USERS + 1];
static int32_t seen[USERS * MOST];
static const small_lists histories = {offsets, seen};

static void read_histories(const char *path) {
  FILE *file = fopen(path, "r");
  char line[4096];
  for (int u = 0; u < USERS; u++) {
    char *at = line, *end;
    if (!file || !fgets(line, sizeof line, file)) fail("the data");
    offsets[u + 1] = offsets[u];
    strtol(at, &at, 10);
    for (;; at = end) {
      long item = strtol(at, &end, 10);
      if (end == at) break;
      seen[offsets[u + 1]++] = (int32_t)item;
    }
  }
  fclose(file);
}

/* ---- Threads ---------------------------------------------------------------------------------------- */

typedef struct task {
  void (*work)(void *job, int i);
  void *job;
  int i;
} task;

static void *do_task(void *of) {
  task *t = of;
  t->work(t->job, t->i);
  return NULL;
}

static void run(void *context, int n, void (*work)(void *job, int i), void *job) {
  pthread_t threads[8];
  task tasks[8];
  (void)context;
  for (int i = 0; i < n; i++) {
    tasks[i] = (task){work, job, i};
    pthread_create(&threads[i], NULL, do_task, &tasks[i]);
  }
  for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
}

/* ---- Lists ------------------------------------------------------------------------------------------ */

static void compare(const char *path, const int64_t *rows, const float *scores, int k) {
  FILE *file = fopen(path, "r");
  static char line[1 << 16];
  for (int u = 0; u < USERS; u++) {
    if (!file || !fgets(line, sizeof line, file) || !strchr(line, '|')) fail("the lists that are wanted");
    char *at = line, *bar = strchr(line, '|');
    for (int i = 0; i < k; i++) {
      int64_t row = rows[u * k + i];
      float score = scores[u * k + i];
      if (row < 0) {
        if (score != 0 || strspn(at, " ") != (size_t)(strchr(at, '|') - at)) fail("a list ends too early");
        break;
      }
      if (strtoll(at, &at, 10) != row) fail("another row");
      if ((float)strtod(bar + 1, &bar) != score) fail("another score");
    }
  }
  fclose(file);
}

static void lists(const char *table, const char *data, const char *wanted, int k) {
  small_items *items = NULL;
  int64_t *rows = malloc(sizeof *rows * USERS * (size_t)k);
  float *scores = malloc(sizeof *scores * USERS * (size_t)k);
  read_histories(data);
  need(small_items_open(table, &items), "open");
  need(small_items_check(items), "check");
  for (int threads = 0; threads < 5; threads += 2) {
    small_workspace w = {.threads = threads, .run = run};
    memset(rows, 1, sizeof *rows * USERS * (size_t)k);
    need(small_find(NULL, &w, items, USERS, &histories, SMALL_SEEN_EXCLUDE, NULL, k, rows, scores), "find");
    compare(wanted, rows, scores, k);
    small_workspace_free(&w);
  }
  for (int u = 0; u < USERS; u++) { /* one by one, in memory of their own */
    const small_lists one = {offsets + u, seen};
    size_t bytes = small_find_bytes(items, 1, 1, k, offsets[u + 1] - offsets[u]);
    small_workspace w = {.memory = malloc(bytes), .bytes = bytes};
    void *memory = w.memory;
    need(small_find(NULL, &w, items, 1, &one, SMALL_SEEN_EXCLUDE, NULL, k, rows + u * k, scores + u * k),
         "one");
    if (w.memory != memory) fail("the library took memory of its own");
    free(memory);
  }
  compare(wanted, rows, scores, k);
  small_items_close(items);
  free(rows);
  free(scores);
}

/* ---- Filters ---------------------------------------------------------------------------------------- */

static int is_in(const int64_t *list, int64_t n, int64_t row) {
  for (int64_t i = 0; i < n; i++)
    if (list[i] == row) return 1;
  return 0;
}

/* What is left of a list of all rows, in its order. */
static void filters(const char *table, const char *data) {
  enum { K = 10 };
  small_items *items = NULL;
  static int64_t all[USERS * ROWS], rows[USERS * K];
  static float all_scores[USERS * ROWS], scores[USERS * K];
  static small_filter filter[USERS];
  const int64_t few[] = {81, 5, -3, 7, 7, 1000, 0, 44};
  small_workspace w = {0};
  read_histories(data);
  need(small_items_open(table, &items), "open");
  int k = (int)small_items_count(items);
  need(small_find(NULL, &w, items, USERS, &histories, SMALL_SEEN_RANK, NULL, k, all, all_scores), "all");
  for (int u = 0; u < USERS; u++) {
    if (u % 3) filter[u] = (small_filter){.banned = all + u * k, .n_banned = 7};
    if (u % 4 == 1) filter[u].allowed = few, filter[u].n_allowed = 8;
    if (u % 8 == 2) filter[u].allowed = few; /* nothing is */
  }
  small_workspace exact = {.threads = 2, .run = run};
  exact.bytes = small_find_bytes(items, USERS, 2, K, USERS * (7 + 8));
  exact.memory = malloc(exact.bytes);
  need(small_find(NULL, &exact, items, USERS, &histories, SMALL_SEEN_RANK, filter, K, rows, scores), "filters");
  for (int u = 0; u < USERS; u++) {
    int at = 0;
    for (int i = 0; i < k && at < K && all[u * k + i] >= 0; i++) {
      int64_t row = all[u * k + i];
      if (is_in(filter[u].banned, filter[u].n_banned, row)) continue;
      if (filter[u].allowed && !is_in(few, filter[u].n_allowed, row)) continue;
      if (rows[u * K + at] != row || scores[u * K + at] != all_scores[u * k + i]) fail("a list with a filter");
      at++;
    }
    for (; at < K; at++)
      if (rows[u * K + at] != -1 || scores[u * K + at] != 0) fail("the end of a list with a filter");
  }
  free(exact.memory);
  small_workspace_free(&w);
  small_items_close(items);
}

/* ---- Files ------------------------------------------------------------------------------------------ */

static void swap(const char *table, const char *other) {
  small_items *items = NULL, *again = NULL;
  const char *name = NULL;
  size_t n = 0;
  need(small_items_open(table, &items), "open");
  int64_t before = small_items_count(items);
  need(small_items_refresh(&items), "nothing new");
  if (rename(other, table)) fail("rename");
  if (small_items_count(items) != before) fail("an open table changes");
  need(small_items_check(items), "what was is still there");
  need(small_items_open(table, &again), "open again");
  need(small_items_refresh(&items), "refresh");
  if (small_items_count(items) != before + 1 || small_items_count(again) != before + 1) fail("the new table");
  need(small_items_name(items, before, &name, &n), "name");
  if (n != 9 || memcmp(name, "more good", n) != 0) fail("the name of a new row");
  need(small_items_name(items, 3, &name, &n), "name");
  if (n != 1 || *name != '3') fail("the name of an old row");
  need(small_items_name(items, before + 1, &name, &n), "no row");
  if (name || n) fail("the name of no row");
  remove(table);
  expect(small_items_refresh(&items), SMALL_ERROR_FILE, "refresh of nothing");
  if (small_items_count(items) != before + 1) fail("a table that is not there any more");
  small_items_close(items);
  small_items_close(again);
}

static void borders(const char *table, const char *folder) {
  enum { K = 4 };
  small_items *items = NULL, *none = (small_items *)(void *)&items;
  int64_t rows[K] = {11, 12, 13, 14}, first[] = {0, 2}, falling[] = {2, 0}, banned[] = {1};
  int32_t ids[] = {1, 2}, wrong[] = {1, SMALL_ITEM_SIZE};
  float scores[K] = {1, 2, 3, 4};
  small_lists h = {first, ids}, fall = {falling, ids}, bad = {first, wrong};
  small_filter negative = {banned, -1, NULL, 0}, nowhere = {NULL, 1, NULL, 0}, lost = {NULL, 0, NULL, 2};
  small_workspace w = {0}, tight = {.memory = malloc(64), .bytes = 64}, many = {.threads = 2};
  small_seen rank = SMALL_SEEN_RANK;
  need(small_items_open(table, &items), "open");
  void *held = tight.memory;
#define FIND(workspace, items, batch, histories, rule, filters, k, rows)                                       \
  small_find(NULL, workspace, items, batch, histories, rule, filters, k, rows, scores)
  expect(FIND(NULL, items, 1, &h, rank, NULL, K, rows), SMALL_ERROR_NULL, "no workspace");
  expect(FIND(&w, NULL, 1, &h, rank, NULL, K, rows), SMALL_ERROR_NULL, "no table");
  expect(FIND(&w, items, 1, NULL, rank, NULL, K, rows), SMALL_ERROR_NULL, "no histories");
  expect(FIND(&w, items, 1, &h, rank, NULL, K, NULL), SMALL_ERROR_NULL, "no place");
  expect(FIND(&w, items, 0, &h, rank, NULL, K, rows), SMALL_ERROR_BATCH, "no batch");
  expect(FIND(&w, items, 1, &fall, rank, NULL, K, rows), SMALL_ERROR_OFFSETS, "offsets that fall");
  expect(FIND(&w, items, 1, &bad, rank, NULL, K, rows), SMALL_ERROR_ITEM,
         "an item that the model does not know");
  expect(FIND(&w, items, 1, &h, SMALL_SEEN_ZERO, NULL, K, rows), SMALL_ERROR_SEEN, "a rule of lists");
  expect(FIND(&w, items, 1, &h, (small_seen)9, NULL, K, rows), SMALL_ERROR_SEEN, "no rule");
  expect(FIND(&w, items, 1, &h, rank, NULL, 0, rows), SMALL_ERROR_TOP, "k 0");
  expect(FIND(&w, items, 1, &h, rank, NULL, ROWS, rows), SMALL_ERROR_TOP, "k past the rows");
  expect(FIND(&w, items, 1, &h, rank, &negative, K, rows), SMALL_ERROR_FILTER, "a negative length");
  expect(FIND(&w, items, 1, &h, rank, &nowhere, K, rows), SMALL_ERROR_FILTER, "banned nowhere");
  expect(FIND(&w, items, 1, &h, rank, &lost, K, rows), SMALL_ERROR_FILTER, "allowed nowhere");
  expect(FIND(&many, items, 1, &h, rank, NULL, K, rows), SMALL_ERROR_THREADS, "threads without run");
  expect(FIND(&tight, items, 1, &h, rank, NULL, K, rows), SMALL_ERROR_WORKSPACE, "little memory");
  for (int i = 0; i < K; i++)
    if (rows[i] != 11 + i || scores[i] != (float)(i + 1)) fail("what failed has written");
  if (tight.memory != held || w.memory || many.memory) fail("what failed keeps memory");
  if (small_find_bytes(NULL, 1, 1, K, 0) || small_find_bytes(items, 0, 1, K, 0) ||
      small_find_bytes(items, 1, -1, K, 0) || small_find_bytes(items, 1, 1, 0, 0) ||
      small_find_bytes(items, 1, 1, K, -1) || !small_find_bytes(items, 1, 0, K, 0))
    fail("bytes of what cannot be");
  need(small_find(NULL, &w, items, 1, &h, rank, NULL, K, rows, NULL), "no scores");

  const struct {
    const char *name;
    small_status status;
  } files[] = {{"none.items", SMALL_ERROR_FILE},
               {"text.items", SMALL_ERROR_FORMAT},
               {"empty.items", SMALL_ERROR_FORMAT},
               {"cut.items", SMALL_ERROR_FORMAT},
               {"head.items", SMALL_ERROR_CHANGED},
               {"short.items", SMALL_ERROR_OTHER},
               {"wide.items", SMALL_ERROR_OTHER},
               {"fifo.items", SMALL_ERROR_FORMAT},
               {".", SMALL_ERROR_FORMAT}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
    expect(small_items_open(path, &none), files[i].status, files[i].name);
    if (none) fail("a table that could not be opened");
  }
  char path[4096];
  snprintf(path, sizeof path, "%s/byte.items", folder);
  need(small_items_open(path, &none), "a byte that was changed");
  expect(small_items_check(none), SMALL_ERROR_CHANGED, "a byte that was changed");
  small_items_close(none);
  expect(small_items_open(NULL, &none), SMALL_ERROR_NULL, "no path");
  expect(small_items_open(table, NULL), SMALL_ERROR_NULL, "nowhere to");
  expect(small_items_refresh(NULL), SMALL_ERROR_NULL, "refresh of nothing");
  expect(small_items_refresh(&none), SMALL_ERROR_NULL, "refresh of NULL");
  expect(small_items_check(NULL), SMALL_ERROR_NULL, "check of NULL");
  if (small_items_count(NULL) || small_items_live(NULL)) fail("rows of NULL");
  small_items_close(NULL);
  small_items_close(items);
  small_workspace_free(&w);
  free(held);
}

int main(int argc, char **argv) {
  if (argc == 6 && !strcmp(argv[1], "lists")) return lists(argv[2], argv[3], argv[4], atoi(argv[5])), 0;
  if (argc == 4 && !strcmp(argv[1], "filters")) return filters(argv[2], argv[3]), 0;
  if (argc == 4 && !strcmp(argv[1], "swap")) return swap(argv[2], argv[3]), 0;
  if (argc == 4 && !strcmp(argv[1], "borders")) return borders(argv[2], argv[3]), 0;
  fail("unknown arguments");
  return 2;
}
