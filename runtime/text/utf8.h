/* UTF-8, character by character. */
#ifndef MOIRE_RUNTIME_TEXT_UTF8_H
#define MOIRE_RUNTIME_TEXT_UTF8_H

#include <stddef.h>

/* Bytes of the character that begins at `s`, of which n > 0 bytes are there: 1 to 4; 0: it is none (a lone or
 * missing byte, one written longer than need be, a surrogate, above U+10FFFF). */
size_t moire__utf8_length(const unsigned char *s, size_t n);
/* Whether the n < 4 bytes may be the beginning of a character. */
int moire__utf8_may_go_on(const unsigned char *s, size_t n);

#define MOIRE__UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

#endif
