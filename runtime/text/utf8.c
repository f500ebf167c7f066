#include "runtime/text/utf8.h"

/* By the table of well-formed sequences of the Unicode standard (3.9): the first byte says how many follow, and
 * what the second one may be. */
typedef struct sequence {
  size_t bytes;
  unsigned char low, high; /* of the second byte */
} sequence;

static sequence sequence_of(unsigned char first) {
  if (first < 0x80) return (sequence){1, 0, 0};
  if (first < 0xC2 || first > 0xF4) return (sequence){0, 0, 0};
  if (first < 0xE0) return (sequence){2, 0x80, 0xBF};
  if (first == 0xE0) return (sequence){3, 0xA0, 0xBF};
  if (first == 0xED) return (sequence){3, 0x80, 0x9F};
  if (first < 0xF0) return (sequence){3, 0x80, 0xBF};
  if (first == 0xF0) return (sequence){4, 0x90, 0xBF};
  if (first == 0xF4) return (sequence){4, 0x80, 0x8F};
  return (sequence){4, 0x80, 0xBF};
}

static int is_good(sequence s, const unsigned char *text, size_t n) {
  for (size_t i = 1; i < n; i++) {
    unsigned char low = i == 1 ? s.low : 0x80, high = i == 1 ? s.high : 0xBF;
    if (text[i] < low || text[i] > high) return 0;
  }
  return 1;
}

size_t moire__utf8_length(const unsigned char *s, size_t n) {
  sequence q = sequence_of(s[0]);
  return q.bytes <= n && is_good(q, s, q.bytes) ? q.bytes : 0;
}

int moire__utf8_may_go_on(const unsigned char *s, size_t n) {
  sequence q = sequence_of(s[0]);
  return q.bytes > n && is_good(q, s, n);
}
