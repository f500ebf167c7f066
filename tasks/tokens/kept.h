/* The tokenizer that a checkpoint keeps, as text in its metadata. */
#ifndef MOIRE_TASKS_TOKENS_KEPT_H
#define MOIRE_TASKS_TOKENS_KEPT_H

#include "runtime/files/safetensors.h"
#include "runtime/text/tokenizer.h"

#define MOIRE__KEPT_TOKENIZER "tokenizer.file" /* the key: bytes of the file in base 64 */

/* The value: owned (moire__release). */
char *moire__tokenizer_keep(const moire__tokenizer *tokenizer);
/* The tokenizer of a file: `path`, if it is not NULL, else what the checkpoint keeps. *out is owned, NULL where
 * there is none. One that has other than `words` pieces is an error. */
moire_status moire__tokenizer_find(const char *path, const moire__safetensors *file, int64_t words,
                                   moire__tokenizer **out, moire_error *error);

#endif
