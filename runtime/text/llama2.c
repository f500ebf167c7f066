/* The vocabulary file of llama2.c: int32 longest piece; of each id float32 score, int32 length, bytes.
 * Little-endian. Spaces are plain. Ids 0, 1 and 2 are unknown, BOS and EOS, 3 to 258 the bytes; the file names
 * none of them.
 */
#include "runtime/text/vocabulary.h"

#include <string.h>

enum { FIRST_BYTE = 3, FIRST_PIECE = 259, LONGEST = 1 << 16, HEADER = 8 };

static int32_t word_at(const unsigned char *bytes) {
  return (int32_t)((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                   (uint32_t)bytes[3] << 24);
}

/* A protobuf begins with the number of a field, and a piece, of which not even the least takes so few bytes. */
bool moire__vocabulary_is_llama2(const unsigned char *bytes, size_t n) {
  return n >= 4 && bytes[2] == 0 && bytes[3] == 0;
}

/* U+2581 for plain spaces; the piece in `out`, of 3 n bytes. */
static size_t with_spaces(const unsigned char *bytes, size_t n, char *out) {
  size_t used = 0;
  for (size_t i = 0; i < n; i++) {
    if (bytes[i] == ' ') {
      memcpy(out + used, "\xE2\x96\x81", 3);
      used += 3;
    } else {
      out[used++] = (char)bytes[i];
    }
  }
  return used;
}

static moire__piece_kind kind_of(int32_t id) {
  if (id == 0) return MOIRE__PIECE_UNKNOWN;
  if (id < FIRST_BYTE) return MOIRE__PIECE_CONTROL;
  return id < FIRST_PIECE ? MOIRE__PIECE_BYTE : MOIRE__PIECE_TEXT;
}

moire_status moire__vocabulary_read_llama2(moire__vocabulary *v, const unsigned char *bytes, size_t n,
                                           const char *name, moire_error *error) {
  *v = moire__vocabulary_start();
  int32_t longest = word_at(bytes);
  if (longest < 1 || longest > LONGEST)
    return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: no tokenizer: its longest piece would have %d bytes",
                      name, (int)longest);
  size_t at = 4;
  char text[3 * LONGEST];
  while (at < n) {
    int32_t length = n - at < HEADER ? -1 : word_at(bytes + at + 4);
    if (length < 0 || length > longest || (size_t)length > n - at - HEADER)
      return moire_fail(error, MOIRE_ERROR_FORMAT,
                        "%s: piece %d is cut short, or longer than the longest, %d bytes", name, (int)v->n,
                        (int)longest);
    float score;
    memcpy(&score, bytes + at, sizeof score);
    size_t used = with_spaces(bytes + at + HEADER, (size_t)length, text);
    if (!moire__vocabulary_add(v, text, used, score, kind_of(v->n)))
      return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: more pieces than a vocabulary may have", name);
    at += HEADER + (size_t)length;
  }
  if (v->n >= FIRST_PIECE) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_FORMAT, "%s: wanted at least %d pieces, the bytes among them, got %d",
                    name, FIRST_PIECE, (int)v->n);
}
