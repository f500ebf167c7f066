/* What a wrong configuration is told. */
#include "runtime/config/config_wrong.h"

#include "runtime/files/file.h"

#include <string.h>

void moire__config_add_place(moire__text *text, const moire__config_entry *entry) {
  moire__printable_buffer shown;
  moire__text_add(text, "%s:", entry->origin);
  if (entry->line) moire__text_add(text, "%d:", entry->line);
  moire__text_add(text, " %s: ", moire__printable(entry->key, strlen(entry->key), shown));
}

void moire__config_add_wanted(moire__text *text, const moire_config_field *field) {
  switch (field->kind) {
    case MOIRE_CONFIG_INT:
      moire__text_add(text, "a whole number from %.17g to %.17g", field->min, field->max);
      if (field->text && !strcmp(field->text, "null")) moire__text_add(text, " or nothing");
      break;
    case MOIRE_CONFIG_REAL: moire__text_add(text, "a number from %g to %g", field->min, field->max); break;
    case MOIRE_CONFIG_BOOL: moire__text_add(text, "true or false"); break;
    case MOIRE_CONFIG_STRING:
      moire__text_add(text, field->choices ? "one of %s" : "a word", (const char *)field->choices);
      break;
    case MOIRE_CONFIG_INTS:
      moire__text_add(text, "a list of whole numbers from %.17g to %.17g", field->min, field->max);
      break;
    case MOIRE_CONFIG_STRINGS: moire__text_add(text, "a word or a list of words"); break;
    case MOIRE_CONFIG_MAPS: moire__text_add(text, "a list of maps"); break;
    case MOIRE_CONFIG_REALS:
      moire__text_add(text, "a list of numbers from %g to %g", field->min, field->max);
      break;
    case MOIRE_CONFIG_ANY: moire__text_add(text, "anything"); break;
  }
}

static void add_came(moire__text *text, const moire__config_entry *entry) {
  enum { SHOWN = 8 };
  if (!entry->list && entry->values[0].null) {
    moire__text_add(text, "nothing");
    return;
  }
  if (entry->maps) {
    moire__text_add(text, "a list of maps");
    return;
  }
  if (entry->list) moire__text_add(text, "[");
  for (int i = 0; i < entry->n && i < SHOWN; i++) {
    moire__printable_buffer shown;
    const moire__config_scalar *s = &entry->values[i];
    moire__text_add(text, s->quoted ? "%s\"%s\"" : "%s%s", i ? ", " : "",
                    moire__printable(s->text, strlen(s->text), shown));
  }
  if (entry->n > SHOWN) moire__text_add(text, ", ...");
  if (entry->list) moire__text_add(text, "]");
}

moire_status moire__config_wrong_value(const moire__config_entry *entry, const moire_config_field *field,
                                       moire_error *error) {
  moire__text text = {0};
  moire__config_add_place(&text, entry);
  moire__text_add(&text, "wanted ");
  moire__config_add_wanted(&text, field);
  moire__text_add(&text, ", but ");
  add_came(&text, entry);
  moire__text_add(&text, " came");
  moire_status status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s", text.data);
  moire__text_free(&text);
  return status;
}

/* The number of single-character insertions, deletions and replacements between two keys (Levenshtein), for
 * keys shorter than LONGEST_KEY; a longer key is far from everything. */
enum { LONGEST_KEY = 64 };
static int distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  if (n >= LONGEST_KEY || m >= LONGEST_KEY) return LONGEST_KEY;
  int row[LONGEST_KEY];
  for (size_t j = 0; j <= m; j++) row[j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int replaced = diagonal + (a[i - 1] != b[j - 1]), added = row[j - 1] + 1, removed = row[j] + 1;
      diagonal = row[j];
      row[j] = replaced < added ? replaced : added;
      if (removed < row[j]) row[j] = removed;
    }
  }
  return row[m];
}

moire_status moire__config_unknown_key(const moire__config_entry *entry, const moire__config_fields *sets,
                                       int n_sets, moire_error *error) {
  const char *closest = NULL;
  int least = 3 + (int)strlen(entry->key) / 4;
  for (int s = 0; s < n_sets; s++) {
    for (int i = 0; i < sets[s].n; i++) {
      int d = distance(entry->key, sets[s].fields[i].key);
      if (d >= least) continue;
      least = d;
      closest = sets[s].fields[i].key;
    }
  }
  moire__text text = {0};
  moire__config_add_place(&text, entry);
  moire__text_add(&text, "there is no such key");
  if (closest) moire__text_add(&text, "; did you mean '%s'?", closest);
  moire_status status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s", text.data);
  moire__text_free(&text);
  return status;
}
