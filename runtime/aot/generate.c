/* What follows rows of words: logits, and the next word by the rules of runtime/text/sampling.h. */
#include "runtime/aot/rows.h"
#include "runtime/base/philox.h"
#include "runtime/text/sampling.h"

#include <string.h>

static const char *moire__aot_own_status_text(library_status status) {
  switch (status) {
    case LIBRARY_ERROR_WORD: return "a word is not from 0 to LIBRARY_WORDS - 1";
    case LIBRARY_ERROR_POSITIONS: return "a row has no room for so many words, or a count is out of range";
    case LIBRARY_ERROR_SAMPLING: return "a number of the sampling is out of its range";
    case LIBRARY_ERROR_EMPTY: return "a row has no word that another could follow";
    case LIBRARY_ERROR_ROOM: return "there is no room for so many ids, or the text is too long";
    default: return NULL;
  }
}

static library_status check_rows(const library_rows *rows) {
  if (!rows) return LIBRARY_ERROR_NULL;
  for (int64_t b = 0; b < rows->rows; b++) {
    if (!rows->length[b]) return LIBRARY_ERROR_EMPTY;
  }
  return LIBRARY_OK;
}

/* A row that is longer than what can be read has ended: nothing follows its last word. */
static bool can_go_on(const library_rows *r, int64_t row) {
  return !r->ended[row] && r->length[row] <= r->capacity;
}

library_status library_logits(library_rows *rows, library_workspace *workspace, float *logits) {
  library_status status = check_rows(rows);
  if (!status && !logits) status = LIBRARY_ERROR_NULL;
  for (int64_t b = 0; !status && b < rows->rows; b++) {
    if (rows->length[b] > rows->capacity) status = LIBRARY_ERROR_POSITIONS;
  }
  if (!status) status = moire__aot_rows_read(rows, workspace);
  if (!status) memcpy(logits, rows->logits, (size_t)(rows->rows * LIBRARY_WORDS) * sizeof *logits);
  return status;
}

static bool sampling_is_good(const library_sampling *s) {
  return s->temperature >= 0 && s->temperature <= 1e30 && s->top_k >= 0 && s->top_p > 0 && s->top_p <= 1 &&
         s->repetition_penalty > 0 && s->repetition_penalty <= 1e30;
}

static int32_t choose(library_rows *r, int64_t row, const library_sampling *wanted) {
  const float *logits = r->logits + row * LIBRARY_WORDS;
  for (int64_t v = 0; v < LIBRARY_WORDS; v++) r->z[v] = (double)logits[v];
  bool greedy = !wanted || wanted->temperature == 0;
  if (greedy && (!wanted || wanted->repetition_penalty == 1))
    return (int32_t)moire__sampling_best(r->z, LIBRARY_WORDS);
  moire__sampling s = {wanted->temperature, wanted->top_k, wanted->top_p, wanted->repetition_penalty};
  if (greedy) s = (moire__sampling){1, 1, 1, wanted->repetition_penalty};
  moire__sampling_probabilities(&s, r->z, LIBRARY_WORDS, r->words + row * (r->capacity + 1), r->length[row],
                                r->scratch, r->order, r->p);
  double u = moire__uniform(wanted->seed, (uint64_t)row, (uint64_t)r->chosen[row]);
  return (int32_t)moire__sampling_draw(r->p, LIBRARY_WORDS, u);
}

library_status library_next(library_rows *rows, library_workspace *workspace, const library_sampling *sampling,
                            int32_t *words) {
  library_status status = check_rows(rows);
  if (!status && !words) status = LIBRARY_ERROR_NULL;
  if (!status && sampling && !sampling_is_good(sampling)) status = LIBRARY_ERROR_SAMPLING;
  bool any = false;
  for (int64_t b = 0; !status && b < rows->rows; b++) any = any || can_go_on(rows, b);
  if (!status && any) status = moire__aot_rows_read(rows, workspace);
  if (status) return status;
  for (int64_t b = 0; b < rows->rows; b++) {
    words[b] = -1;
    if (!can_go_on(rows, b)) continue;
    words[b] = choose(rows, b, sampling);
    rows->words[b * (rows->capacity + 1) + rows->length[b]++] = words[b];
    rows->chosen[b]++;
    rows->ended[b] = words[b] == LIBRARY_EOS;
  }
  return LIBRARY_OK;
}
