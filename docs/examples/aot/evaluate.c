/* Hit rate and NDCG of a compiled model on a data set with a user a line: "user item item ...", oldest first.
 * The last item is the target, those before it are the history, and they score 0, as in the published
 * evaluations. */
#include <qia.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOP = 10 };

/* The target's place among the best, 0 if it is not there, -1 for an error. */
static int find_rank(qia_workspace *workspace, const int32_t *items, int64_t n) {
  int64_t offsets[2] = {0, n - 1};
  qia_lists history = {offsets, items};
  int32_t best[TOP];
  qia_status status = qia_top(NULL, workspace, 1, &history, NULL, QIA_SEEN_ZERO, TOP, best, NULL);
  if (status) fprintf(stderr, "%s\n", qia_status_text(status));
  if (status) return -1;
  for (int rank = 1; rank <= TOP; rank++) {
    if (best[rank - 1] == items[n - 1]) return rank;
  }
  return 0;
}

int main(int argc, char **argv) {
  FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
  if (!file) return fprintf(stderr, "usage: evaluate DATA\n"), 2;
  qia_workspace workspace = {0};
  char *line = NULL;
  size_t room = 0;
  int users = 0;
  double hits = 0, gain = 0;
  while (getline(&line, &room, file) > 0) {
    char *at = line;
    int32_t *items = malloc(room * sizeof *items);
    int64_t n = -1; /* the first number is the user */
    for (char *end; items; at = end) {
      long number = strtol(at, &end, 10);
      if (end == at) break;
      if (n++ >= 0) items[n - 1] = (int32_t)number;
    }
    int rank = items && n > 0 ? find_rank(&workspace, items, n) : -1;
    free(items);
    if (rank < 0) return 1;
    users++;
    hits += rank > 0;
    gain += rank > 0 ? 1 / log2(rank + 1.0) : 0;
  }
  printf("%d users: HR@%d %.4f, NDCG@%d %.4f (%s)\n", users, TOP, hits / users, TOP, gain / users, qia_cpu());
  qia_workspace_free(&workspace);
  free(line);
  return fclose(file);
}
