/* Names of libraries: what may be one, and how the run time, which is written for a library named "library",
 * gets it.
 *
 * A name gives prefixes, NAME_ and in upper case too, that must go with every other name in sight: names within
 * the run time give way, those of the C library are found by probe.c. */
#include "compiler/driver/ahead/ahead.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

moire_status moire__ahead_check_name(const char *name, moire_error *error) {
  bool good = name && isalpha((unsigned char)name[0]) && strlen(name) <= MOIRE__AHEAD_LONGEST_NAME;
  for (const char *c = name; good && *c; c++) good = isalnum((unsigned char)*c) || *c == '_';
  if (good && strcasecmp(name, "moire") != 0 && strncasecmp(name, "moire_", 6) != 0) return MOIRE_OK;
  if (good)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "name \"%s\": moire_ is the prefix of Moire itself", name);
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "name \"%.80s\": wanted a C identifier that begins with a letter, of at most %d characters",
                    name ? name : "", MOIRE__AHEAD_LONGEST_NAME);
}

/* ---- Renaming --------------------------------------------------------------------------------------- */

static const char lower[] = "library_", upper[] = "LIBRARY_";
enum { PREFIX = sizeof lower - 1 };

static bool is_letter(char c) { return isalnum((unsigned char)c) || c == '_'; }

size_t moire__ahead_word(const char *text, size_t n) {
  size_t length = 0;
  while (length < n && is_letter(text[length])) length++;
  return length;
}

size_t moire__ahead_prefix(const moire__ahead *a, bool is_upper, char *out) {
  size_t n = strlen(a->options->name);
  for (size_t i = 0; i < n; i++) {
    char c = a->options->name[i];
    out[i] = is_upper ? (char)toupper((unsigned char)c) : c;
  }
  out[n] = '_';
  out[n + 1] = 0;
  return n + 1;
}

static bool has_word(const moire__ahead_source *source, const char *word, size_t n) {
  for (const char *at = source->text; at + n <= source->end; at++) {
    at = memchr(at, word[0], (size_t)(source->end - at));
    if (!at || at + n > source->end) return false;
    bool starts = at == source->text || !is_letter(at[-1]);
    if (starts && !memcmp(at, word, n) && !is_letter(at[n])) return true;
  }
  return false;
}

/* Whether the run time has the public name `prefix` + `rest`. */
static bool is_public(const char *prefix, const char *rest, size_t n) {
  char word[128];
  int length = snprintf(word, sizeof word, "%s%.*s", prefix, (int)n, rest);
  if (length >= (int)sizeof word) return false;
  for (int i = 0; i < moire__ahead_source_count; i++) {
    if (has_word(&moire__ahead_sources[i], word, (size_t)length)) return true;
  }
  return false;
}

/* Whether a word that is no public name would be mistaken for one under the library's name. */
static bool is_mistaken(const moire__ahead *a, const char *word, size_t n) {
  char prefix[MOIRE__AHEAD_LONGEST_NAME + 2];
  for (int is_upper = 0; is_upper < 2; is_upper++) {
    size_t length = moire__ahead_prefix(a, is_upper, prefix);
    if (n > length && !memcmp(word, prefix, length) &&
        is_public(is_upper ? upper : lower, word + length, n - length))
      return true;
  }
  return false;
}

void moire__ahead_rename(const moire__ahead *a, const char *text, size_t n, moire__text *out) {
  char prefix[MOIRE__AHEAD_LONGEST_NAME + 2];
  for (size_t i = 0; i < n;) {
    const char *word = text + i;
    size_t length = moire__ahead_word(word, n - i);
    bool is_lower = length >= PREFIX && !memcmp(word, lower, PREFIX);
    bool is_upper = length >= PREFIX && !memcmp(word, upper, PREFIX);
    if (is_lower || is_upper) {
      moire__ahead_prefix(a, is_upper, prefix);
      moire__text_add(out, "%s%.*s", prefix, (int)(length - PREFIX), word + PREFIX);
    } else if (length) {
      moire__text_add(out, "%s%.*s", is_mistaken(a, word, length) ? "moire__own_" : "", (int)length, word);
    } else {
      moire__text_add_char(out, *word);
      length = 1;
    }
    i += length;
  }
}
