/* The growable string, and numbers as text.
 *
 * printf and strtod write and read numbers as the locale of the calling thread does. Around them it is the C
 * locale, which every system has, so that newlocale makes nothing and cannot fail.
 */
#include "text.h"

#include "memory.h"

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct plain {
  locale_t c, before;
} plain;

static plain speak_plainly(void) {
  plain p = {.c = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
  p.before = uselocale(p.c);
  return p;
}

static void speak_as_before(plain p) {
  uselocale(p.before);
  freelocale(p.c);
}

double moire__text_to_double(const char *text, char **end) {
  plain p = speak_plainly();
  double number = strtod(text, end);
  speak_as_before(p);
  return number;
}

void moire__text_from_double(char *out, size_t size, int precision, double number) {
  plain p = speak_plainly();
  snprintf(out, size, "%.*g", precision, number);
  speak_as_before(p);
}

static void reserve(moire__text *text, size_t more) {
  size_t wanted = text->length + more + 1;
  if (wanted <= text->capacity) return;
  size_t capacity = text->capacity ? text->capacity * 2 : 128;
  if (capacity < wanted) capacity = wanted;
  text->data = moire__resize(text->data, capacity);
  text->capacity = capacity;
}

void moire__text_add_bytes(moire__text *text, const char *bytes, size_t n) {
  reserve(text, n);
  if (n) memcpy(text->data + text->length, bytes, n);
  text->length += n;
  text->data[text->length] = 0;
}

void moire__text_add_char(moire__text *text, char c) { moire__text_add_bytes(text, &c, 1); }

static void add_integer(moire__text *text, long long value) {
  char digits[24], *at = digits + sizeof digits;
  unsigned long long rest = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;
  do *--at = (char)('0' + rest % 10);
  while (rest /= 10);
  if (value < 0) *--at = '-';
  moire__text_add_bytes(text, at, (size_t)(digits + sizeof digits - at));
}

/* Most of what is written are strings and whole numbers without flags: %s %d %ld %lld %c and %%, several times
 * faster than by printf. False at the first of any other kind. */
static bool add_plainly(moire__text *text, const char *format, va_list args) {
  for (;; format++) {
    size_t literal = strcspn(format, "%");
    moire__text_add_bytes(text, format, literal);
    format += literal;
    if (!*format) return true;
    int longs = 0;
    while (*++format == 'l') longs++;
    if (*format == 'd' && longs <= 2) {
      add_integer(text, longs == 0   ? va_arg(args, int)
                        : longs == 1 ? va_arg(args, long)
                                     : va_arg(args, long long));
    } else if (*format == 's' && !longs) {
      const char *string = va_arg(args, const char *);
      moire__text_add_bytes(text, string, strlen(string));
    } else if (*format == 'c' && !longs) {
      moire__text_add_char(text, (char)va_arg(args, int));
    } else if (*format == '%' && !longs) {
      moire__text_add_char(text, '%');
    } else {
      return false;
    }
  }
}

void moire__text_add(moire__text *text, const char *format, ...) {
  va_list args;
  size_t before = text->length;
  va_start(args, format);
  bool done = add_plainly(text, format, args);
  va_end(args);
  if (done) return;
  text->length = before;
  plain p = speak_plainly();
  va_start(args, format);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  reserve(text, (size_t)length);
  va_start(args, format);
  vsnprintf(text->data + text->length, (size_t)length + 1, format, args);
  va_end(args);
  speak_as_before(p);
  text->length += (size_t)length;
}

const char *moire__text_string(const moire__text *text) { return text->data ? text->data : ""; }

void moire__text_clear(moire__text *text) {
  text->length = 0;
  if (text->data) text->data[0] = 0;
}

void moire__text_free(moire__text *text) {
  moire__release(text->data);
  *text = (moire__text){0};
}
