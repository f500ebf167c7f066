#include "runtime/text/tokenizer.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "runtime/text/vocabulary.h"

#include <string.h>

struct moire__tokenizer {
  moire__pieces pieces;
  moire__vocabulary vocabulary; /* what they lie in */
  char *bytes;
  size_t n;
};

enum { MOST_BYTES = 256 << 20 };

/* ---- reading --------------------------------------------------------------------------------------------- */

static moire_status read_bytes(moire__tokenizer *t, const char *name, moire_error *error) {
  moire__vocabulary *v = &t->vocabulary;
  const unsigned char *bytes = (const unsigned char *)t->bytes;
  bool is_llama2 = moire__vocabulary_is_llama2(bytes, t->n);
  moire_status status = is_llama2 ? moire__vocabulary_read_llama2(v, bytes, t->n, name, error)
                                  : moire__vocabulary_read_model(v, bytes, t->n, name, error);
  return status ? status : moire__vocabulary_finish(v, name, &t->pieces, error);
}

/* Takes the bytes. */
static moire_status read_owned(char *bytes, size_t n, const char *name, moire__tokenizer **out,
                               moire_error *error) {
  moire__tokenizer *t = moire__allocate(sizeof *t);
  *t = (moire__tokenizer){.bytes = bytes, .n = n};
  moire_status status = read_bytes(t, name, error);
  if (status) {
    moire__tokenizer_free(t);
    return status;
  }
  *out = t;
  return MOIRE_OK;
}

moire_status moire__tokenizer_load(const char *path, moire__tokenizer **out, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  moire_status status = moire__file_read(path, MOST_BYTES, &bytes, &n, error);
  return status ? status : read_owned(bytes, n, path, out, error);
}

moire_status moire__tokenizer_from_bytes(const void *bytes, size_t n, const char *name, moire__tokenizer **out,
                                         moire_error *error) {
  char *copy = moire__allocate(n + 1);
  if (n) memcpy(copy, bytes, n);
  return read_owned(copy, n, name, out, error);
}

void moire__tokenizer_free(moire__tokenizer *t) {
  if (!t) return;
  moire__vocabulary_free(&t->vocabulary);
  moire__release(t->bytes);
  moire__release(t);
}

const void *moire__tokenizer_bytes(const moire__tokenizer *t, size_t *n) {
  *n = t->n;
  return t->bytes;
}

const moire__pieces *moire__tokenizer_pieces(const moire__tokenizer *t) { return &t->pieces; }

/* ---- text and ids ---------------------------------------------------------------------------------------- */

moire_status moire__tokenizer_encode(const moire__tokenizer *t, const char *text, size_t n, int32_t **ids,
                                     size_t *n_ids, moire_error *error) {
  size_t work_bytes = moire__pieces_work_bytes(n);
  if (work_bytes == SIZE_MAX)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "a text of %zu bytes is too long to be encoded at once", n);
  void *work = moire__allocate(work_bytes);
  int32_t *all = moire__allocate_array(moire__pieces_most_ids(n), sizeof *all);
  *n_ids = moire__pieces_encode(&t->pieces, text, n, work, all);
  *ids = moire__allocate_array(*n_ids + 1, sizeof **ids);
  memcpy(*ids, all, *n_ids * sizeof *all);
  moire__release(all);
  moire__release(work);
  return MOIRE_OK;
}

char *moire__tokenizer_decode(const moire__tokenizer *t, const int32_t *ids, size_t n_ids, size_t *n) {
  size_t most = moire__pieces_most_text(&t->pieces), capacity = 0, used = 0;
  char *text = NULL;
  moire__decoding d = {0};
  for (size_t i = 0; i <= n_ids; i++) {
    if (capacity - used < most + 1) {
      capacity = 2 * capacity + most + 1;
      text = moire__resize(text, capacity);
    }
    used += i < n_ids ? moire__pieces_decode(&t->pieces, &d, ids[i], text + used)
                      : moire__pieces_finish(&d, text + used);
  }
  text[used] = 0;
  *n = used;
  return text;
}
