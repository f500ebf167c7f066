/* Telling the form of a file. A header says it; without one, lines of two to four fields each, in which a user
 * comes twice, are interactions, since no user may come twice where a line is a user. */
#include "tasks/interactions/form.h"

#include "runtime/base/memory.h"
#include "runtime/files/file.h"
#include "tasks/interactions/id_names.h"

#include <stdio.h>
#include <string.h>

enum { MOST_FIELDS = 4 /* of interactions without a header: user, item, rating, time */ };

/* ---- Headers ----------------------------------------------------------------------------------------------
 */

/* The letters and digits of a column's name, in lower case, up to the type that RecBole puts behind it. */
static void plain_name(moire__field field, char *out, size_t size) {
  size_t n = 0;
  for (size_t i = 0; i < field.n && field.text[i] != ':' && n + 1 < size; i++) {
    char c = field.text[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out[n++] = c;
  }
  out[n] = 0;
}

static bool is_one_of(const char *name, const char *const *names) {
  for (int i = 0; names[i]; i++) {
    if (!strcmp(name, names[i])) return true;
  }
  return false;
}

static void take_column(moire__form *form, moire__field field, int column) {
  static const char *const users[] = {"user",       "userid",    "uid",      "username", "reviewerid",
                                      "customerid", "visitorid", "memberid", NULL};
  static const char *const items[] = {"item",      "itemid",  "iid",        "movie",    "movieid",    "product",
                                      "productid", "asin",    "parentasin", "isbn",     "book",       "bookid",
                                      "song",      "songid",  "trackid",    "artistid", "businessid", "gameid",
                                      "appid",     "videoid", "newsid",     NULL};
  static const char *const ratings[] = {"rating",  "ratings", "score", "stars",
                                        "overall", "rate",    "value", NULL};
  static const char *const times[] = {"timestamp", "time", "ts", "unixtime", "unixreviewtime", NULL};
  char name[32];
  plain_name(field, name, sizeof name);
  if (form->user < 0 && is_one_of(name, users)) form->user = column;
  if (form->item < 0 && is_one_of(name, items)) form->item = column;
  if (form->rating < 0 && is_one_of(name, ratings)) form->rating = column;
  if (form->time < 0 && is_one_of(name, times)) form->time = column;
}

static bool holds(const char *line, size_t n, const char *text) { return memmem(line, n, text, strlen(text)); }

/* True if the line is a header: it has types as RecBole's, or names a column of users and one of items. */
static bool read_header(const char *line, size_t n, moire__form *form) {
  *form = (moire__form){true, true, MOIRE__BLANKS, -1, -1, -1, -1};
  if (holds(line, n, "\t")) {
    form->separator = MOIRE__TAB;
  } else if (holds(line, n, ",")) {
    form->separator = MOIRE__COMMA;
  } else if (holds(line, n, "::")) {
    form->separator = MOIRE__COLONS;
  }
  const char *rest = line;
  moire__field field;
  for (int i = 0; i < MOIRE__FORM_FIELDS && moire__field_next(form->separator, &rest, line + n, &field); i++)
    take_column(form, field, i);
  return (form->user >= 0 && form->item >= 0) || holds(line, n, ":token") || holds(line, n, ":float");
}

/* ---- Without a header -------------------------------------------------------------------------------------
 */

static int count_fields(moire__separator separator, const char *line, size_t n, moire__field *fields) {
  const char *rest = line;
  moire__field field;
  int count = 0;
  while (count <= MOST_FIELDS && moire__field_next(separator, &rest, line + n, &field)) {
    if (count < MOST_FIELDS) fields[count] = field;
    count++;
  }
  return count;
}

/* Whether every blank of the line stands behind a comma, of which there are some. */
static bool by_commas(const char *line, size_t n) {
  bool some = false;
  for (size_t i = 0; i < n; i++) {
    some = some || line[i] == ',';
    if ((line[i] == ' ' || line[i] == '\t') && i && line[i - 1] != ',' && line[i - 1] != ' ') return false;
  }
  return some;
}

static moire__separator guess(const char *line, size_t n) {
  if (holds(line, n, "::")) return MOIRE__COLONS;
  if (by_commas(line, n)) return MOIRE__COMMA;
  return holds(line, n, "\t") && !holds(line, n, " ") ? MOIRE__TAB : MOIRE__BLANKS;
}

/* Whether all lines have as many fields as the first, and one user at least comes twice. */
static bool are_interactions(const char *bytes, size_t n, moire__separator separator, int wanted) {
  moire__lines lines = moire__lines_of(bytes, n);
  moire__id_names users = {0};
  moire__field fields[MOST_FIELDS];
  bool even = wanted >= 2 && wanted <= MOST_FIELDS, twice = false;
  while (even && moire__lines_next(&lines)) {
    even = count_fields(separator, lines.line, lines.n, fields) == wanted;
    if (!even || twice) continue;
    int64_t before = users.n;
    twice = moire__id_names_add(&users, fields[0].text, fields[0].n) < before;
  }
  moire__id_names_free(&users);
  return even && twice;
}

/* A whole number of six digits and more is no rating. */
static bool looks_like_time(moire__field field) {
  bool digits = field.n >= 6;
  for (size_t i = 0; i < field.n; i++) digits = digits && field.text[i] >= '0' && field.text[i] <= '9';
  return digits;
}

static void name_columns(moire__form *form, const moire__field *fields, int n) {
  form->user = 0;
  form->item = 1;
  form->rating = n > 3 || (n == 3 && !looks_like_time(fields[2])) ? 2 : -1;
  form->time = n > 3 ? 3 : n == 3 && form->rating < 0 ? 2 : -1;
}

moire_status moire__form_of(const char *path, const char *bytes, size_t n, const char *format, moire__form *out,
                            moire_error *error) {
  moire__lines lines = moire__lines_of(bytes, n);
  *out = (moire__form){false, false, MOIRE__BLANKS, -1, -1, -1, -1};
  if (!moire__lines_next(&lines)) return MOIRE_OK;
  bool users = !strcmp(format, "users"), automatic = !strcmp(format, "auto");
  moire__form named;
  if (!users && read_header(lines.line, lines.n, &named)) {
    *out = named;
    if (named.user >= 0 && named.item >= 0) return MOIRE_OK;
    return moire_fail(
        error, MOIRE_ERROR_FORMAT,
        "%s:%lld: names no column of %s: wanted a header such as user_id, item_id, rating, timestamp", path,
        lines.number, named.user < 0 ? "users" : "items");
  }
  moire__field fields[MOST_FIELDS];
  out->separator = guess(lines.line, lines.n);
  int count = count_fields(out->separator, lines.line, lines.n, fields);
  out->interactions = !users && (!automatic || are_interactions(bytes, n, out->separator, count));
  if (!out->interactions) {
    if (out->separator != MOIRE__COMMA) out->separator = MOIRE__BLANKS;
    return MOIRE_OK;
  }
  if (count >= 2 && count <= MOST_FIELDS) {
    name_columns(out, fields, count);
    return MOIRE_OK;
  }
  return moire_fail(
      error, MOIRE_ERROR_FORMAT,
      "%s:%lld: has %s: wanted user, item and, where they are there, rating and time, or a header that "
      "names the columns",
      path, lines.number, count < 2 ? "one field" : "more than 4 fields");
}

void moire__form_describe(const moire__form *form, char *out, size_t size) {
  static const char *const separators[] = {
      [MOIRE__BLANKS] = "blanks", [MOIRE__TAB] = "tabs", [MOIRE__COMMA] = "commas", [MOIRE__COLONS] = "::"};
  if (!form->interactions) {
    snprintf(out, size, "one user a line (user item item ...; %s)", separators[form->separator]);
    return;
  }
  snprintf(out, size, "one interaction a line (user, item%s%s; %s%s), %s", form->rating >= 0 ? ", rating" : "",
           form->time >= 0 ? ", time" : "", separators[form->separator], form->header ? "; with a header" : "",
           form->time >= 0 ? "sorted by time" : "in the order of the file");
}
