/* Tokenizers in checkpoints. See kept.h. */
#include "tasks/tokens/kept.h"

#include "runtime/base/memory.h"

#include <inttypes.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *moire__tokenizer_keep(const moire__tokenizer *tokenizer) {
  size_t n = 0;
  const unsigned char *bytes = moire__tokenizer_bytes(tokenizer, &n);
  char *text = moire__allocate((n + 2) / 3 * 4 + 1), *to = text;
  for (size_t i = 0; i < n; i += 3) {
    uint32_t word = (uint32_t)bytes[i] << 16;
    if (i + 1 < n) word |= (uint32_t)bytes[i + 1] << 8;
    if (i + 2 < n) word |= bytes[i + 2];
    for (int d = 0; d < 4; d++) *to++ = (size_t)d > n - i ? '=' : digits[word >> (18 - 6 * d) & 63];
  }
  *to = 0;
  return text;
}

/* The bytes, owned; NULL where the text is none of base 64. */
static unsigned char *decode(const char *text, size_t *n) {
  size_t length = strlen(text);
  unsigned char *bytes = moire__allocate(length / 4 * 3 + 4);
  uint32_t word = 0;
  int held = 0;
  *n = 0;
  while (length && text[length - 1] == '=') length--;
  for (size_t i = 0; i < length; i++) {
    const char *digit = memchr(digits, text[i], sizeof digits - 1);
    if (!digit) {
      moire__release(bytes);
      return NULL;
    }
    word = word << 6 | (uint32_t)(digit - digits);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[(*n)++] = (unsigned char)(word >> held);
  }
  return bytes;
}

moire_status moire__tokenizer_find(const char *path, const moire__safetensors *file, int64_t words,
                                   moire__tokenizer **out, moire_error *error) {
  const char *kept = file ? moire__safetensors_metadata(file, MOIRE__KEPT_TOKENIZER) : NULL;
  const char *where = path ? path : kept ? moire__safetensors_path(file) : "";
  moire_status status = MOIRE_OK;
  *out = NULL;
  if (path) status = moire__tokenizer_load(path, out, error);
  if (!path && kept) {
    size_t n = 0;
    unsigned char *bytes = decode(kept, &n);
    status = bytes ? moire__tokenizer_from_bytes(bytes, n, where, out, error)
                   : moire_fail(error, MOIRE_ERROR_FORMAT,
                                "%s: metadata " MOIRE__KEPT_TOKENIZER ": is not base 64", where);
    moire__release(bytes);
  }
  if (status || !*out || moire__tokenizer_pieces(*out)->n == words) return status;
  status = moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "%s: the tokenizer has %d pieces, but the model has %" PRId64 " words", where,
                      (int)moire__tokenizer_pieces(*out)->n, words);
  moire__tokenizer_free(*out);
  *out = NULL;
  return status;
}
