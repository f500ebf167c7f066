/* Goldens of the task itself: what reading gives, and what measures are. See task.h. */
#include "tasks/ratings/ratings.h"

#include "runtime/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH = 4096, NAME = 64 };

/* Reports `got` against the tensor output/NAME. */
static moire_status compare(const moire__safetensors *file, const char *name, const double *got, int64_t n,
                            const moire__golden_report *report, moire_error *error) {
  char full[NAME + 16];
  const moire__st_tensor *want = NULL;
  snprintf(full, sizeof full, "output/%s", name);
  moire_status status = moire__safetensors_need(file, full, &want, error);
  if (status) return status;
  if (want->count != n)
    return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: has %lld elements, but there are %lld",
                      moire__safetensors_path(file), full, (long long)want->count, (long long)n);
  double *values = moire__allocate_array((size_t)n + 1, sizeof *values), off = 0, size = 0;
  moire__st_to_double(want, values);
  for (int64_t i = 0; i < n; i++) {
    off += (got[i] - values[i]) * (got[i] - values[i]);
    size += values[i] * values[i];
  }
  moire__release(values);
  report->add(report->context, want, size > 0 ? sqrt(off / size) : sqrt(off));
  return MOIRE_OK;
}

static moire_status compare_ints(const moire__safetensors *file, const char *name, const int32_t *got,
                                 int64_t n, const moire__golden_report *report, moire_error *error) {
  double *values = moire__allocate_array((size_t)n + 1, sizeof *values);
  for (int64_t i = 0; i < n; i++) values[i] = got[i];
  moire_status status = compare(file, name, values, n, report, error);
  moire__release(values);
  return status;
}

/* ---- measures -------------------------------------------------------------------------------------------- */

static moire_status need(const moire__safetensors *file, const char *name, int rank,
                         const moire__st_tensor **out, moire_error *error) {
  moire_status status = moire__safetensors_need(file, name, out, error);
  if (status || (*out)->rank == rank) return status;
  return moire_fail(error, MOIRE_ERROR_SHAPE, "%s: %s: wanted %d axes", moire__safetensors_path(file), name,
                    rank);
}

/* input/scores, seen, relevant [U, M], popularity [M], genres [M, G]. */
typedef struct measured_input {
  const moire__st_tensor *scores, *seen, *relevant, *popularity, *genres;
} measured_input;

static moire_status find_input(const moire__safetensors *file, measured_input *in, moire_error *error) {
  moire_status status = need(file, "input/scores", 2, &in->scores, error);
  if (!status) status = need(file, "input/seen", 2, &in->seen, error);
  if (!status) status = need(file, "input/relevant", 2, &in->relevant, error);
  if (!status) status = need(file, "input/popularity", 1, &in->popularity, error);
  if (!status) status = need(file, "input/genres", 2, &in->genres, error);
  if (status) return status;
  int64_t users = in->scores->shape[0], items = in->scores->shape[1];
  bool good = in->seen->count == users * items && in->relevant->count == users * items &&
              in->popularity->count == items && in->genres->shape[0] == items && in->seen->shape[0] == users &&
              in->relevant->shape[0] == users && in->seen->dtype == MOIRE__ST_U8 &&
              in->relevant->dtype == MOIRE__ST_U8 && in->genres->dtype == MOIRE__ST_U8;
  if (good) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_SHAPE,
                    "%s: wanted seen and relevant U8 as scores [U, M], popularity [M] and genres U8 [M, G]",
                    moire__safetensors_path(file));
}

static moire_status check_measures(const moire__safetensors *file, int64_t n_trained,
                                   const moire__golden_report *report, moire_error *error) {
  measured_input in;
  moire_status status = find_input(file, &in, error);
  if (status) return status;
  int64_t users = in.scores->shape[0], n = in.scores->shape[1], kept = 0;
  float *scores = moire__allocate_array((size_t)(users * n) + 1, sizeof *scores);
  int32_t *popularity = moire__allocate_array((size_t)n + 1, sizeof *popularity);
  int32_t *items = moire__allocate_array((size_t)(users * MOIRE__RATINGS_TOP) + 1, sizeof *items);
  uint8_t *relevant = moire__allocate_array((size_t)(users * n) + 1, 1);
  moire__st_to_float(in.scores, scores);
  status = moire__st_to_int32(in.popularity, popularity, error);
  for (int64_t u = 0; u < users; u++) {
    const uint8_t *own = (const uint8_t *)in.relevant->data + u * n,
                  *seen = (const uint8_t *)in.seen->data + u * n;
    if (!memchr(own, 1, (size_t)n)) continue;
    memcpy(relevant + kept * n, own, (size_t)n);
    moire__list_best(scores + u * n, seen, n, MOIRE__RATINGS_TOP, items + kept++ * MOIRE__RATINGS_TOP);
  }
  const moire__lists lists = {kept,  n,        in.genres->shape[1], n_trained,
                              items, relevant, popularity,          in.genres->data};
  moire__measures measures = {0};
  moire__lists_measure(&lists, &measures);
  for (int i = 0; i < measures.n && !status; i++)
    status = compare(file, measures.at[i].name, &measures.at[i].value, 1, report, error);
  moire__release(scores);
  moire__release(popularity);
  moire__release(items);
  moire__release(relevant);
  return status;
}

/* ---- data ------------------------------------------------------------------------------------------------ */

static moire_status compare_counts(const moire__safetensors *file, const moire__ratings *d,
                                   const moire__golden_report *report, moire_error *error) {
  const moire__ratings_histories *h = &d->histories;
  int64_t n = d->items.ids.n;
  double inside = 0, positives = (double)d->n_positives;
  for (int64_t i = 0; i < d->n_positives; i++) {
    int64_t first = d->positives[2 * i] * h->length;
    for (int64_t s = first; s < first + h->length; s++)
      inside += h->mask[s] && h->ids[s] == d->positives[2 * i + 1];
  }
  double *seen = moire__allocate_array((size_t)h->n + 1, sizeof *seen);
  double *relevant = moire__allocate_array((size_t)h->n + 1, sizeof *relevant);
  for (int64_t u = 0; u < h->n; u++) {
    for (int64_t i = 0; i < n; i++) seen[u] += d->seen[u * n + i];
    for (int64_t i = d->test.first[u]; i < d->test.first[u + 1]; i++)
      relevant[u] += d->test.ratings[i] >= MOIRE__RATINGS_LIKED;
  }
  moire_status status = compare(file, "positive_count", &positives, 1, report, error);
  if (!status) status = compare(file, "positives_in_history", &inside, 1, report, error);
  if (!status) status = compare(file, "seen_count", seen, h->n, report, error);
  if (!status) status = compare(file, "relevant_count", relevant, h->n, report, error);
  moire__release(seen);
  moire__release(relevant);
  return status;
}

/* The data lie where --data says, or in data/movielens beside the golden's folder. */
static moire_status check_data(const moire__safetensors *file, const moire__golden_data *g,
                               const moire__golden_report *report, moire_error *error) {
  char path[PATH];
  const char *own = moire__safetensors_path(file), *slash = strrchr(own, '/');
  if (g->data)
    snprintf(path, sizeof path, "%s", g->data);
  else
    snprintf(path, sizeof path, "%.*s../data/movielens", slash ? (int)(slash - own + 1) : 0, own);
  moire__ratings_options o = {
      .split = g->split, .max_history = (int)g->max_history, .time_buckets = (int)g->time_buckets, .levels = 6};
  moire__ratings *d = NULL;
  moire_status status = moire__ratings_read(path, &o, &d, error);
  if (status) return status;
  const moire__ratings_histories *h = &d->histories;
  int64_t n = h->n * h->length;
  status = compare_ints(file, "history_ids", h->ids, n, report, error);
  if (!status) status = compare_ints(file, "history_ratings", h->ratings, n, report, error);
  if (!status) status = compare_ints(file, "history_times", h->times, n, report, error);
  if (!status) status = compare_ints(file, "history_mask", h->mask, n, report, error);
  if (!status) status = compare_ints(file, "popularity", d->popularity, d->items.ids.n, report, error);
  if (!status) status = compare_counts(file, d, report, error);
  moire__ratings_free(d);
  return status;
}

moire_status moire__ratings_golden(const char *kind, const moire__safetensors *file,
                                   const moire__config_table *config, const char *data,
                                   const moire__golden_report *report, bool *known, moire_error *error) {
  *known = true;
  if (!strcmp(kind, "hybrid_metrics")) {
    const char *users = moire__config_table_text(config, "users_in_training");
    if (!users)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: config: users_in_training: is missing",
                        moire__safetensors_path(file));
    return check_measures(file, strtoll(users, NULL, 10), report, error);
  }
  *known = !strcmp(kind, "hybrid_data");
  if (!*known) return MOIRE_OK;
  const char *split = moire__config_table_text(config, "split"),
             *most = moire__config_table_text(config, "max_history");
  const char *buckets = moire__config_table_text(config, "num_time_buckets");
  int64_t length = most ? strtoll(most, NULL, 10) : 0, times = buckets ? strtoll(buckets, NULL, 10) : 0;
  if (!split || length < 1 || length > 65536 || times < 1 || times > 65536)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: config: wanted split, max_history and num_time_buckets",
                      moire__safetensors_path(file));
  const moire__golden_data g = {data, split, length, times};
  return check_data(file, &g, report, error);
}
