/* Recommends: prints the items that best continue a history.
 *
 *   recommend ITEM...        oldest first
 */
#include <qia.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOP = 5, MOST = 1000 };

int main(int argc, char **argv) {
  int32_t items[MOST];
  int64_t offsets[2] = {0, 0};
  for (int i = 1; i < argc && i <= MOST; i++) items[offsets[1]++] = atoi(argv[i]);
  qia_lists history = {offsets, items};
  qia_workspace workspace = {0};
  int32_t best[TOP];
  float scores[TOP];
  qia_status status = qia_top(NULL, &workspace, 1, &history, NULL, QIA_SEEN_EXCLUDE, TOP, best, scores);
  qia_workspace_free(&workspace);
  if (status) {
    fprintf(stderr, "recommend: %s\n", qia_status_text(status));
    return 1;
  }
  for (int i = 0; i < TOP; i++) printf("%" PRId32 " %.4f\n", best[i], (double)scores[i]);
  return 0;
}
