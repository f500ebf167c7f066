/* One value of a configuration, in the form its kind asks for.
 *
 * A number is parsed by the grammar of config.h before the C library sees it, so that "0x10", "nan" and "1_000"
 * are refused; comparisons are written so that no value that is not a number could pass a range. */
#include "runtime/config/config_value.h"

#include "runtime/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_digits(const char *c) {
  while (*c >= '0' && *c <= '9') c++;
  return c;
}

static const char *skip_sign(const char *c) { return *c == '-' || *c == '+' ? c + 1 : c; }

static bool parse_int(const char *text, int64_t *out) {
  const char *digits = skip_sign(text), *end = skip_digits(digits);
  if (end == digits || *end) return false;
  errno = 0;
  *out = strtoll(text, NULL, 10);
  return errno == 0;
}

/* digits [. digits] [e digits], with a digit on at least one side of the point. */
static bool parse_real(const char *text, double *out) {
  const char *whole = skip_sign(text), *c = skip_digits(whole);
  bool has_digits = c > whole;
  if (*c == '.') {
    const char *fraction = c + 1;
    c = skip_digits(fraction);
    has_digits = has_digits || c > fraction;
  }
  if (!has_digits) return false;
  if (*c == 'e' || *c == 'E') {
    const char *exponent = skip_sign(c + 1);
    c = skip_digits(exponent);
    if (c == exponent) return false;
  }
  if (*c) return false;
  *out = moire__text_to_double(text, NULL);
  return isfinite(*out);
}

static bool parse_bool(const char *text, bool *out) {
  *out = !strcmp(text, "true") || !strcmp(text, "True") || !strcmp(text, "TRUE");
  return *out || !strcmp(text, "false") || !strcmp(text, "False") || !strcmp(text, "FALSE");
}

static bool is_choice(const char *choices, const char *text) {
  size_t length = strlen(text);
  for (const char *c = choices; c; c = strchr(c, '|'), c = c ? c + 1 : NULL) {
    if (strcspn(c, "|") == length && !strncmp(c, text, length)) return true;
  }
  return false;
}

static bool in_range(const moire_config_field *field, double number) {
  return number >= field->min && number <= field->max;
}

static bool parse_ints(moire__arena *arena, const moire__config_entry *entry, const moire_config_field *field,
                       moire__config_value *out) {
  out->n = entry->n;
  out->ints = moire__arena_array(arena, (size_t)entry->n, sizeof *out->ints);
  for (int i = 0; i < entry->n; i++) {
    const moire__config_scalar *s = &entry->values[i];
    if (s->quoted || !parse_int(s->text, &out->ints[i]) || !in_range(field, (double)out->ints[i])) return false;
  }
  return true;
}

static bool parse_reals(moire__arena *arena, const moire__config_entry *entry, const moire_config_field *field,
                        moire__config_value *out) {
  out->n = entry->n;
  out->reals = moire__arena_array(arena, (size_t)entry->n, sizeof *out->reals);
  for (int i = 0; i < entry->n; i++) {
    const moire__config_scalar *s = &entry->values[i];
    if (s->quoted || !parse_real(s->text, &out->reals[i]) || !in_range(field, out->reals[i])) return false;
  }
  return true;
}

/* Nothing came, and the field takes that for 0: its own default is nothing. */
static bool is_nothing(const moire__config_entry *entry, const moire_config_field *field) {
  return !entry->list && entry->values[0].null && field->text && !strcmp(field->text, "null");
}

static bool parse_strings(moire__arena *arena, const moire__config_entry *entry, moire__config_value *out) {
  out->n = entry->n;
  out->strings = moire__arena_array(arena, (size_t)entry->n, sizeof *out->strings);
  for (int i = 0; i < entry->n; i++) {
    if (entry->values[i].null) return false;
    out->strings[i] = moire__arena_copy_string(arena, entry->values[i].text);
  }
  return true;
}

bool moire__config_has_form(const moire__config_entry *entry, moire_config_kind kind) {
  if (kind == MOIRE_CONFIG_MAPS) return entry->list && (entry->maps || !entry->n);
  if (entry->maps) return false;
  if (kind == MOIRE_CONFIG_STRINGS || kind == MOIRE_CONFIG_ANY) return true;
  return (kind == MOIRE_CONFIG_INTS || kind == MOIRE_CONFIG_REALS) == entry->list;
}

bool moire__config_parse_value(moire__arena *arena, const moire__config_entry *entry,
                               const moire_config_field *field, moire__config_value *out) {
  const moire__config_scalar *first = entry->values;
  if (!moire__config_has_form(entry, field->kind)) return false;
  if (is_nothing(entry, field)) {
    out->nothing = true;
    out->n = 1;
    out->ints = moire__arena_array(arena, 1, sizeof *out->ints);
    return true;
  }
  if (!entry->list && first->null) return false;
  switch (field->kind) {
    case MOIRE_CONFIG_INT:
    case MOIRE_CONFIG_INTS: return parse_ints(arena, entry, field, out);
    case MOIRE_CONFIG_REALS: return parse_reals(arena, entry, field, out);
    case MOIRE_CONFIG_ANY: return true;
    case MOIRE_CONFIG_REAL:
      return !first->quoted && parse_real(first->text, &out->real) && in_range(field, out->real);
    case MOIRE_CONFIG_BOOL: return !first->quoted && parse_bool(first->text, &out->truth);
    case MOIRE_CONFIG_STRING:
      out->text = moire__arena_copy_string(arena, first->text);
      return !field->choices || is_choice(field->choices, first->text);
    case MOIRE_CONFIG_STRINGS: return parse_strings(arena, entry, out);
    case MOIRE_CONFIG_MAPS: return !entry->n;
  }
  return false;
}
