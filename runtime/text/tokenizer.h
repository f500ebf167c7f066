/* Tokenizers: a vocabulary read from a file, text to ids and back (runtime/text/pieces.h has the rules).
 *
 *   SentencePiece `.model`   a protobuf; models of type BPE without a table of character replacements
 *   llama2.c `.bin`          longest piece, then score, length and bytes of each
 *
 * What a file is, its content says. Both are read strictly: whatever the bytes, a tokenizer or a sentence
 * comes.
 */
#ifndef MOIRE_RUNTIME_TEXT_TOKENIZER_H
#define MOIRE_RUNTIME_TEXT_TOKENIZER_H

#include "moire/status.h"
#include "runtime/text/pieces.h"

typedef struct moire__tokenizer moire__tokenizer;

/* *out is owned (moire__tokenizer_free, which takes NULL). `name` is for sentences; the bytes are copied. */
moire_status moire__tokenizer_load(const char *path, moire__tokenizer **out, moire_error *error);
moire_status moire__tokenizer_from_bytes(const void *bytes, size_t n, const char *name, moire__tokenizer **out,
                                         moire_error *error);
void moire__tokenizer_free(moire__tokenizer *t);

/* What moire__tokenizer_from_bytes takes, to be kept with a checkpoint. Borrowed. */
const void *moire__tokenizer_bytes(const moire__tokenizer *t, size_t *n);
/* The vocabulary: its size n, and ids of BOS, EOS and padding (-1: none). Borrowed. */
const moire__pieces *moire__tokenizer_pieces(const moire__tokenizer *t);

/* Ids without BOS and EOS: owned (moire__release), their number in *n_ids. Any bytes are a text; above 512 MiB
 * a sentence. */
moire_status moire__tokenizer_encode(const moire__tokenizer *t, const char *text, size_t n, int32_t **ids,
                                     size_t *n_ids, moire_error *error);
/* The text of ids, with a NUL behind its *n bytes: owned (moire__release). Ids that are none give nothing. */
char *moire__tokenizer_decode(const moire__tokenizer *t, const int32_t *ids, size_t n_ids, size_t *n);

#endif
