/* A vocabulary of pieces of text and its encoder: byte-pair merges by score, as SentencePiece makes them. Plain
 * data, and code that needs the C library alone.
 *
 *   encode   spaces become U+2581, one of which is put in front; text falls into characters, and the two
 * neighbours whose union is the piece of the highest score (the leftmost of equals) are joined until none is
 * one. What is then no piece becomes its bytes, or the unknown piece where a vocabulary has no bytes. decode
 * pieces one after the other, U+2581 as a space, bytes as bytes; the space in front is dropped, and control
 * pieces (BOS, EOS) give nothing.
 *
 * Names of control pieces in a text, "<s>" say, are text like all other. A byte that is no UTF-8 is read, and
 * written, as U+FFFD.
 */
#ifndef MOIRE_RUNTIME_TEXT_PIECES_H
#define MOIRE_RUNTIME_TEXT_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum moire__piece_kind {
  MOIRE__PIECE_TEXT = 1,
  MOIRE__PIECE_UNKNOWN,
  MOIRE__PIECE_CONTROL,
  MOIRE__PIECE_BYTE,
} moire__piece_kind;

typedef struct moire__pieces {
  int32_t n;
  const char *text;      /* all pieces, one after the other */
  const uint32_t *start; /* [n + 1]: piece i is text[start[i]] .. text[start[i + 1] - 1] */
  const float *score;    /* [n] */
  const uint8_t *kind;   /* [n] */
  const int32_t *slots;  /* [n_slots], a power of two: 1 + id of a piece of text, 0: none */
  uint32_t n_slots;
  int32_t bytes[256];             /* ids of bytes; all -1: there are none */
  int32_t unknown, bos, eos, pad; /* -1: none */
  bool space_in_front;            /* one is put before a text, and dropped from the front of what is decoded */
  bool few_spaces;                /* those at either end are left out, and of several in a row one is kept */
} moire__pieces;

uint32_t moire__pieces_hash(const char *text, size_t n);
/* The id of a piece of text, or -1. */
int32_t moire__pieces_find(const moire__pieces *p, const char *text, size_t n);

/* Bytes of working memory, aligned as by malloc, for a text of n bytes; no more than n + 2 ids come of it, or 3
 * n + 6 where a byte that is no UTF-8 may become three. SIZE_MAX if that is too much. */
size_t moire__pieces_work_bytes(size_t n);
size_t moire__pieces_most_ids(size_t n);
/* Returns how many ids were written. */
size_t moire__pieces_encode(const moire__pieces *p, const char *text, size_t n, void *work, int32_t *ids);

/* A text that comes piece by piece: characters come out when they are whole. Start with zeros. */
typedef struct moire__decoding {
  unsigned char held[4];
  int n_held;
  bool begun; /* something has come out, or the space in front has been dropped */
} moire__decoding;

/* What id adds to the text: at most this many bytes behind `out`, which holds moire__pieces_most_text(p). */
size_t moire__pieces_most_text(const moire__pieces *p);
size_t moire__pieces_decode(const moire__pieces *p, moire__decoding *d, int32_t id, char *out);
/* The end: what is held of a character becomes U+FFFD. At most 12 bytes. */
size_t moire__pieces_finish(moire__decoding *d, char *out);
/* Bytes of text that an id stands for, with the space in front. */
size_t moire__pieces_text_bytes(const moire__pieces *p, int32_t id);

#endif
