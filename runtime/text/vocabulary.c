#include "runtime/text/vocabulary.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_PIECES = 1 << 24, MOST_TEXT = 1 << 30 };

moire__vocabulary moire__vocabulary_start(void) {
  return (moire__vocabulary){.unknown = 0, .bos = 1, .eos = 2, .pad = -1, .space_in_front = true};
}

void moire__vocabulary_free(moire__vocabulary *v) {
  moire__release(v->text);
  moire__release(v->start);
  moire__release(v->score);
  moire__release(v->kind);
  moire__release(v->slots);
  *v = (moire__vocabulary){0};
}

static void grow(moire__vocabulary *v, size_t n) {
  if (v->n == v->capacity) {
    v->capacity = 2 * v->capacity + 512;
    v->start = moire__resize(v->start, ((size_t)v->capacity + 1) * sizeof *v->start);
    v->score = moire__resize(v->score, (size_t)v->capacity * sizeof *v->score);
    v->kind = moire__resize(v->kind, (size_t)v->capacity);
  }
  if (v->text_capacity - v->n_text < n) {
    v->text_capacity = 2 * v->text_capacity + n + 4096;
    v->text = moire__resize(v->text, v->text_capacity);
  }
}

bool moire__vocabulary_add(moire__vocabulary *v, const char *text, size_t n, float score,
                           moire__piece_kind kind) {
  if (v->n == MOST_PIECES || n > MOST_TEXT - v->n_text) return false;
  grow(v, n);
  v->start[v->n] = (uint32_t)v->n_text;
  if (n) memcpy(v->text + v->n_text, text, n);
  v->n_text += n;
  v->score[v->n] = score;
  v->kind[v->n++] = (uint8_t)kind;
  v->start[v->n] = (uint32_t)v->n_text;
  return true;
}

static size_t length_of(const moire__vocabulary *v, int32_t id) { return v->start[id + 1] - v->start[id]; }

/* The byte that "<0x41>" names, or -1. */
static int named_byte(const char *text, size_t n) {
  static const char digits[] = "0123456789ABCDEF";
  if (n != 6 || memcmp(text, "<0x", 3) || text[5] != '>') return -1;
  const char *high = strchr(digits, text[3]), *low = strchr(digits, text[4]);
  return text[3] && text[4] && high && low ? (int)(16 * (high - digits) + (low - digits)) : -1;
}

static moire_status find_bytes(const moire__vocabulary *v, const char *name, moire__pieces *p,
                               moire_error *error) {
  int n = 0;
  for (int i = 0; i < 256; i++) p->bytes[i] = -1;
  for (int32_t id = 0; id < v->n; id++) {
    if (v->kind[id] != MOIRE__PIECE_BYTE) continue;
    int byte = named_byte(v->text + v->start[id], length_of(v, id));
    if (byte < 0 || p->bytes[byte] >= 0)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: piece %d is of a byte, but it %s", name, (int)id,
                        byte < 0 ? "does not name one as <0x00> to <0xFF> do" : "names one that came before");
    p->bytes[byte] = id;
    n++;
  }
  if (n == 0 || n == 256) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted pieces of all 256 bytes or of none, got %d", name,
                    n);
}

static moire_status fill_slots(moire__vocabulary *v, const char *name, moire__pieces *p, moire_error *error) {
  p->n_slots = 16;
  while (p->n_slots < 2 * (uint32_t)v->n) p->n_slots *= 2;
  v->slots = moire__allocate_array(p->n_slots, sizeof *v->slots);
  p->slots = v->slots;
  for (int32_t id = 0; id < v->n; id++) {
    if (v->kind[id] != MOIRE__PIECE_TEXT) continue;
    const char *text = v->text + v->start[id];
    size_t n = length_of(v, id);
    moire__printable_buffer shown;
    if (n == 0 || isnan(v->score[id]))
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: piece %d has no %s", name, (int)id,
                        n ? "score that is a number" : "text");
    int32_t other = moire__pieces_find(p, text, n);
    if (other >= 0)
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: pieces %d and %d are the same, '%s'", name, (int)other,
                        (int)id, moire__printable(text, n, shown));
    uint32_t at = moire__pieces_hash(text, n) & (p->n_slots - 1);
    while (v->slots[at]) at = (at + 1) & (p->n_slots - 1);
    v->slots[at] = id + 1;
  }
  return MOIRE_OK;
}

/* An id that the file names, or -1 for none. */
static moire_status check_id(const moire__vocabulary *v, const char *name, const char *what, int32_t id,
                             moire__piece_kind kind, moire_error *error) {
  bool fits = id < 0 || (id < v->n && v->kind[id] == (uint8_t)kind);
  if (fits) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: %s is id %d, %s of its %d pieces", name, what, (int)id,
                    id < v->n ? "which is another kind" : "which is none", (int)v->n);
}

moire_status moire__vocabulary_finish(moire__vocabulary *v, const char *name, moire__pieces *p,
                                      moire_error *error) {
  if (v->n == 0) return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: no tokenizer: it has no pieces", name);
  *p = (moire__pieces){.n = v->n, .text = v->text, .start = v->start, .score = v->score, .kind = v->kind};
  p->unknown = v->unknown;
  p->bos = v->bos;
  p->eos = v->eos;
  p->pad = v->pad;
  p->space_in_front = v->space_in_front;
  p->few_spaces = v->few_spaces;
  moire_status status = check_id(v, name, "the unknown piece", v->unknown, MOIRE__PIECE_UNKNOWN, error);
  if (!status) status = check_id(v, name, "BOS", v->bos, MOIRE__PIECE_CONTROL, error);
  if (!status) status = check_id(v, name, "EOS", v->eos, MOIRE__PIECE_CONTROL, error);
  if (!status) status = find_bytes(v, name, p, error);
  if (!status && p->bytes[0] < 0 && p->unknown < 0)
    status =
        moire_fail(error, MOIRE_ERROR_FORMAT, "%s: neither bytes nor an unknown piece for other text", name);
  return status ? status : fill_slots(v, name, p, error);
}
