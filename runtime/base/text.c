/* The growable string. */
#include "text.h"

#include "memory.h"

#include <stdio.h>
#include <string.h>

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

void moire__text_add(moire__text *text, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  reserve(text, (size_t)length);
  vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
  va_end(again);
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
