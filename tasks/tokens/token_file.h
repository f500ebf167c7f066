/* Token files: rows of word ids, as `moire tokenize` writes them.
 *
 * A safetensors file with metadata `format` = tokens/1, `vocab_size`, `bos`, `eos`, `pad`, perhaps `tokenizer`;
 * tensors input_ids [N, L] of U16 or U32, lengths I32[N], bytes I32[N] (of UTF-8 text that a row stands for),
 * and source U8[N]. The file stays mapped.
 */
#ifndef MOIRE_TASKS_TOKENS_TOKEN_FILE_H
#define MOIRE_TASKS_TOKENS_TOKEN_FILE_H

#include "runtime/files/tensor_source.h"

#define MOIRE__TOKENS_FORMAT "tokens/1"

typedef struct moire__token_file {
  moire__tensor_source *file; /* owned */
  const moire__array *ids;
  int64_t n, length;            /* rows, and positions L of each */
  int64_t words, bos, eos, pad; /* vocab_size, and the ids */
  const char *tokenizer;        /* its name; NULL: the file does not say */
  int32_t *lengths, *bytes;     /* [n], owned */
  uint8_t *sources;             /* [n], owned */
  uint64_t fingerprint;
} moire__token_file;

/* Everything is checked: ids within the vocabulary, lengths within the row. *out is owned. */
moire_status moire__token_file_open(const char *path, moire__token_file **out, moire_error *error);
void moire__token_file_close(moire__token_file *file); /* NULL is fine */
const char *moire__token_file_path(const moire__token_file *file);

/* Positions of a row that are targets: its tokens but for the first. */
int64_t moire__token_file_targets(const moire__token_file *file, int64_t row);

#endif
