/* A vocabulary while it is read: pieces as the files list them, checked and made ready for the encoder. */
#ifndef MOIRE_RUNTIME_TEXT_VOCABULARY_H
#define MOIRE_RUNTIME_TEXT_VOCABULARY_H

#include "moire/status.h"
#include "runtime/text/pieces.h"

typedef struct moire__vocabulary {
  char *text;
  size_t n_text, text_capacity;
  uint32_t *start;
  float *score;
  uint8_t *kind;
  int32_t n, capacity;
  int32_t *slots;
  int32_t unknown, bos, eos, pad;
  bool space_in_front, few_spaces;
} moire__vocabulary;

/* An empty one: ids 0, 1 and 2 are unknown, BOS and EOS, and a space is put in front. */
moire__vocabulary moire__vocabulary_start(void);
/* The next piece. False where there are too many, or too much text. */
bool moire__vocabulary_add(moire__vocabulary *v, const char *text, size_t n, float score,
                           moire__piece_kind kind);
/* Checks what all vocabularies have in common and fills `pieces`, which borrows. */
moire_status moire__vocabulary_finish(moire__vocabulary *v, const char *name, moire__pieces *pieces,
                                      moire_error *error);
void moire__vocabulary_free(moire__vocabulary *v);

/* The readers. `v` is started here, and to be freed in any case. */
bool moire__vocabulary_is_llama2(const unsigned char *bytes, size_t n);
moire_status moire__vocabulary_read_llama2(moire__vocabulary *v, const unsigned char *bytes, size_t n,
                                           const char *name, moire_error *error);
moire_status moire__vocabulary_read_model(moire__vocabulary *v, const unsigned char *bytes, size_t n,
                                          const char *name, moire_error *error);

#endif
