/* Rows of a token file (tasks read them: format tokens/1), made of texts.
 *
 * A text's stream is its ids and EOS. A row is BOS and the next `length` - 1 of the stream, so a long text
 * gives several, each with a BOS, or one alone where it is cut; a last row of nothing but EOS is none. Each row
 * also says how many bytes of text its ids stand for, and which source it comes of.
 */
#ifndef MOIRE_RUNTIME_TEXT_TOKEN_ROWS_H
#define MOIRE_RUNTIME_TEXT_TOKEN_ROWS_H

#include "runtime/text/tokenizer.h"

typedef struct moire__token_rows {
  const moire__tokenizer *tokenizer; /* borrowed; has BOS and EOS */
  int64_t length;
  int32_t *ids; /* [n, length], padded */
  int32_t *lengths, *bytes;
  uint8_t *sources;
  int64_t n, capacity;
  int64_t tokens, texts; /* so far, for whoever counts */
} moire__token_rows;

/* Refuses a tokenizer without BOS or EOS, and lengths below 2. */
moire_status moire__token_rows_start(moire__token_rows *rows, const moire__tokenizer *tokenizer,
                                     const char *name, int64_t length, moire_error *error);
moire_status moire__token_rows_add(moire__token_rows *rows, const char *text, size_t n, bool is_cut, int source,
                                   moire_error *error);
/* Fisher-Yates from the end, j = next mod (i + 1), by SplitMix64 from the seed. */
void moire__token_rows_shuffle(moire__token_rows *rows, uint64_t seed);
/* `name`: of the tokenizer, which files that are used together must share. */
moire_status moire__token_rows_write(const moire__token_rows *rows, const char *path, const char *name,
                                     moire_error *error);
void moire__token_rows_free(moire__token_rows *rows);

#endif
