/* Files of ranks, and the measures of users that they say. */
#include "tasks/sequences/sequences.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/measure/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static moire_status read_ranks(const char *path, int64_t **ranks, int64_t *n, moire_error *error) {
  char *bytes = NULL;
  size_t size = 0;
  moire_status status = moire__file_read(path, (size_t)1 << 30, &bytes, &size, error);
  if (status) return status;
  int64_t lines = 0;
  for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n';
  *ranks = moire__allocate_array((size_t)lines + 1, sizeof **ranks);
  *n = 0;
  char *line = bytes;
  while (*line && !status) {
    char *end = NULL;
    long long rank = strtoll(line, &end, 10);
    if (end == line || (*end != '\n' && *end) || rank < 0 || *n == lines) {
      status = moire_fail(error, MOIRE_ERROR_FORMAT, "%s:%" PRId64 ": wanted a rank", path, *n + 1);
    } else {
      (*ranks)[(*n)++] = rank ? rank : MOIRE__RANK_NONE;
      line = *end ? end + 1 : end;
    }
  }
  moire__release(bytes);
  if (status) {
    moire__release(*ranks);
    *ranks = NULL;
  }
  return status;
}

static double of_rank(int64_t rank, int metric) {
  moire__metrics one = {0};
  moire__metrics_add(&one, rank);
  return moire__metrics_mean(&one, metric);
}

double *moire__sequences_values(const char *path, const char *measure, int64_t *n, moire_error *error) {
  int metric = moire__metrics_index(measure);
  if (metric < 0) {
    moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: ranks say nothing of %s", path, measure);
    return NULL;
  }
  struct stat file;
  moire__text inside = {0};
  bool is_folder = !stat(path, &file) && S_ISDIR(file.st_mode);
  moire__text_add(&inside, is_folder ? "%s/ranks.txt" : "%s", path);
  int64_t *ranks = NULL;
  double *values = NULL;
  bool absent = is_folder && access(inside.data, F_OK) != 0;
  if (!absent && !read_ranks(inside.data, &ranks, n, error)) {
    values = moire__allocate_array((size_t)*n + 1, sizeof *values);
    for (int64_t u = 0; u < *n; u++) values[u] = of_rank(ranks[u], metric);
    moire__release(ranks);
  }
  moire__text_free(&inside);
  return values;
}
