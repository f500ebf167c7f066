/* Terms of all ranks on rank 0. See gather.h. */
#include "tasks/gather.h"

#include <string.h>

moire__part *moire__gather_part(const moire__team *team, moire__part *part) {
  int size = moire__team_size(team);
  *part = (moire__part){.index = moire__team_rank(team) + 1, .count = size};
  return size > 1 ? part : NULL;
}

static size_t row_bytes(const moire__st_tensor *column) {
  return (size_t)column->shape[1] * moire__st_dtype_size(column->dtype);
}

typedef struct mail {
  moire__parcel *parcels;
  int n;
} mail;

static mail make_mail(moire__arena *arena, int n) {
  return (mail){moire__arena_array(arena, (size_t)n + 1, sizeof(moire__parcel)), 0};
}

static void post(mail *m, int rank, bool receive, void *data, size_t bytes) {
  if (bytes) m->parcels[m->n++] = (moire__parcel){rank, receive, data, bytes};
}

/* rows[r * n + c]: the rows that rank r has of column c, known to rank 0 afterwards. */
static moire_status share_rows(moire__team *team, const moire__terms *terms, int64_t *rows, mail *m,
                               moire_error *error) {
  int size = moire__team_size(team), own = moire__team_rank(team);
  size_t bytes = (size_t)terms->n * sizeof *rows;
  for (int c = 0; c < terms->n; c++) rows[own * terms->n + c] = terms->at[c].shape[0];
  if (own) post(m, 0, false, rows + own * terms->n, bytes);
  for (int r = 1; r < size && !own; r++) post(m, r, true, rows + r * terms->n, bytes);
  return moire__team_exchange(team, m->parcels, m->n, error);
}

static moire_status send_columns(moire__team *team, const moire__terms *terms, mail *m, moire_error *error) {
  m->n = 0;
  for (int c = 0; c < terms->n; c++) {
    const moire__st_tensor *column = &terms->at[c];
    if (moire__terms_is_for_all(column->name)) continue;
    post(m, 0, false, (void *)(uintptr_t)column->data, (size_t)column->shape[0] * row_bytes(column));
  }
  return moire__team_exchange(team, m->parcels, m->n, error);
}

static moire_status receive_columns(moire__team *team, moire__terms *terms, const int64_t *rows, mail *m,
                                    moire_error *error) {
  int size = moire__team_size(team), n = terms->n;
  moire__terms all = {0};
  m->n = 0;
  for (int c = 0; c < n; c++) {
    const moire__st_tensor *own = &terms->at[c];
    int last = moire__terms_is_for_all(own->name) ? 1 : size;
    int64_t sum = 0;
    for (int r = 0; r < last; r++) sum += rows[r * n + c];
    char *to = moire__terms_add(&all, own->name, own->dtype, sum, own->shape[1]);
    size_t bytes = (size_t)own->shape[0] * row_bytes(own);
    if (bytes) memcpy(to, own->data, bytes);
    for (int r = 1; r < last; r++) {
      to += bytes;
      bytes = (size_t)rows[r * n + c] * row_bytes(own);
      post(m, r, true, to, bytes);
    }
  }
  moire_status status = moire__team_exchange(team, m->parcels, m->n, error);
  moire__terms_free(terms);
  *terms = all;
  return status;
}

moire_status moire__gather_terms(moire__team *team, moire__terms *terms, moire_error *error) {
  int size = moire__team_size(team);
  if (size == 1) return MOIRE_OK;
  moire__arena scratch = {0};
  mail m = make_mail(&scratch, (terms->n + 1) * size);
  int64_t *rows = moire__arena_array(&scratch, (size_t)(terms->n * size) + 1, sizeof *rows);
  moire_status status = share_rows(team, terms, rows, &m, error);
  if (!status)
    status = moire__team_rank(team) ? send_columns(team, terms, &m, error)
                                    : receive_columns(team, terms, rows, &m, error);
  moire__arena_free(&scratch);
  return status;
}

moire_status moire__gather_measures(moire__team *team, moire__terms *terms,
                                    moire_status (*measured_of)(const moire__terms *terms,
                                                                moire__measures *measures, moire_error *error),
                                    moire__measures *measures, moire_error *error) {
  moire_status status = moire__gather_terms(team, terms, error);
  return status || moire__team_rank(team) ? status : measured_of(terms, measures, error);
}
