/* Lines and fields. See form.h. */
#include "tasks/interactions/form.h"

#include <string.h>

size_t moire__character(const char *bytes, size_t n) {
  const unsigned char *text = (const unsigned char *)bytes;
  unsigned char c = text[0];
  if (c < 0x20 || c == 0x7f) return 0;
  if (c < 0x80) return 1;
  size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
  if (c < 0xc2 || c > 0xf4 || length > n) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  bool overlong = (c == 0xe0 && text[1] < 0xa0) || (c == 0xf0 && text[1] < 0x90);
  bool outside =
      (c == 0xed && text[1] > 0x9f) || (c == 0xf4 && text[1] > 0x8f) || (c == 0xc2 && text[1] < 0xa0);
  return overlong || outside ? 0 : length;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

moire__lines moire__lines_of(const char *bytes, size_t n) {
  bool marked = n >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3);
  return (moire__lines){.next = bytes + (marked ? 3 : 0), .end = bytes + n};
}

bool moire__lines_next(moire__lines *l) {
  while (l->next < l->end) {
    const char *newline = memchr(l->next, '\n', (size_t)(l->end - l->next)), *end = newline ? newline : l->end;
    l->line = l->next;
    l->n = (size_t)(end - l->line);
    l->next = newline ? newline + 1 : l->end;
    l->number++;
    if (l->n && l->line[l->n - 1] == '\r') l->n--;
    for (size_t i = 0; i < l->n; i++) {
      if (!is_blank(l->line[i])) return true;
    }
  }
  return false;
}

static const char *end_of_field(moire__separator separator, const char *from, const char *end) {
  if (separator == MOIRE__BLANKS) {
    while (from < end && !is_blank(*from)) from++;
    return from;
  }
  if (separator == MOIRE__COLONS) {
    while (from < end && !(from + 1 < end && from[0] == ':' && from[1] == ':')) from++;
    return from;
  }
  char c = separator == MOIRE__TAB ? '\t' : ',';
  if (c == ',' && from < end && *from == '"') { /* a separator within quotes is none */
    const char *quote = from + 1;
    while (quote < end && *quote != '"') quote++;
    if (quote < end) from = quote;
  }
  while (from < end && *from != c) from++;
  return from;
}

bool moire__field_next(moire__separator separator, const char **rest, const char *end, moire__field *field) {
  const char *from = *rest;
  if (!from) return false;
  if (separator != MOIRE__TAB) {
    while (from < end && is_blank(*from)) from++;
  } else {
    while (from < end && *from == ' ') from++;
  }
  if (separator == MOIRE__BLANKS && from == end) return false;
  const char *to = end_of_field(separator, from, end);
  *rest = to >= end ? NULL : to + (separator == MOIRE__COLONS ? 2 : 1);
  while (to > from && is_blank(to[-1])) to--;
  if (to - from >= 2 && *from == '"' && to[-1] == '"' && separator != MOIRE__BLANKS) from++, to--;
  *field = (moire__field){from, (size_t)(to - from)};
  return true;
}
