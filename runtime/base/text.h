/* A growable NUL-terminated string on the heap. Zero-initialise: `moire__text text = {0};`. */
#ifndef MOIRE_RUNTIME_BASE_TEXT_H
#define MOIRE_RUNTIME_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>

typedef struct moire__text {
  char *data; /* NUL-terminated once anything was added; NULL before */
  size_t length, capacity;
} moire__text;

void moire__text_add(moire__text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Numbers have a point whatever the locale of the program says: moire__text_add, and these in the place of
 * strtod and of snprintf with "%.<precision>g". */
double moire__text_to_double(const char *text, char **end); /* end may be NULL */
void moire__text_from_double(char *out, size_t size, int precision, double number);
void moire__text_add_bytes(moire__text *text, const char *bytes, size_t n);
void moire__text_add_char(moire__text *text, char c);
const char *moire__text_string(const moire__text *text); /* "" when empty; borrows */
void moire__text_clear(moire__text *text);               /* length 0, memory kept */
void moire__text_free(moire__text *text);

#endif
