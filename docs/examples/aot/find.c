/* The best of a table of items for histories that come on stdin, one a line, oldest item first. Before each
 * answer it takes the table that lies there by then, so that items come and go while it runs.
 *
 *   find TABLE [BANNED...]        rows that nobody is to get
 */
#include <qia.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOP = 5, MOST = 1000 };

static void fail(qia_status status) { fprintf(stderr, "find: %s\n", qia_status_text(status)); }

static void print_row(const qia_items *items, int64_t row, float score) {
  const char *name = NULL;
  size_t n = 0;
  if (row < 0) return; /* the table has no more */
  qia_items_name(items, row, &name, &n);
  printf("%" PRId64 " %.4f %.*s\n", row, (double)score, (int)n, name ? name : "");
}

static qia_status answer(const qia_items *items, qia_workspace *workspace, const qia_lists *history,
                         const qia_filter *filter) {
  int64_t rows[TOP];
  float scores[TOP];
  qia_status status = qia_find(NULL, workspace, items, 1, history, QIA_SEEN_EXCLUDE, filter, TOP, rows, scores);
  for (int i = 0; i < TOP && !status; i++) print_row(items, rows[i], scores[i]);
  return status;
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > MOST) return fprintf(stderr, "usage: find TABLE [BANNED...]\n"), 2;
  int64_t banned[MOST];
  qia_filter filter = {banned, 0, NULL, 0};
  for (int i = 2; i < argc; i++) banned[filter.n_banned++] = atoll(argv[i]);

  qia_items *items = NULL;
  qia_workspace workspace = {0};
  qia_status status = qia_items_open(argv[1], &items);
  if (!status) status = qia_items_check(items);
  char *line = NULL;
  size_t room = 0;
  while (!status && getline(&line, &room, stdin) > 0) {
    int32_t history[MOST];
    int64_t offsets[2] = {0, 0};
    for (char *at = line, *end; offsets[1] < MOST; at = end) {
      long item = strtol(at, &end, 10);
      if (end == at) break;
      history[offsets[1]++] = (int32_t)item;
    }
    status = qia_items_refresh(&items);
    if (!status) status = answer(items, &workspace, &(qia_lists){offsets, history}, &filter);
    fflush(stdout);
  }
  if (status) fail(status);
  free(line);
  qia_workspace_free(&workspace);
  qia_items_close(items);
  return status != QIA_OK;
}
