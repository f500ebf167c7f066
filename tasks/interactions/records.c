/* Lines to records. See records.h. */
#include "tasks/interactions/records.h"

#include "runtime/base/memory.h"
#include "runtime/base/text.h"
#include "runtime/files/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct parser {
  moire__records *r;
  moire__interactions *out;
  const moire__interactions_options *options;
  const char *path;
  moire__lines lines;
  bool by_numbers; /* what the file calls an item is a whole number, however it is written */
  moire_error *error;
} parser;

static moire_status bad(const parser *p, const char *what) {
  return moire_fail(p->error, MOIRE_ERROR_FORMAT, "%s:%lld: %s", p->path, p->lines.number, what);
}

static moire_status bad_field(const parser *p, const char *kind, moire__field field, const char *what) {
  moire__printable_buffer shown;
  return moire_fail(p->error, MOIRE_ERROR_FORMAT, "%s:%lld: %s '%s' %s", p->path, p->lines.number, kind,
                    moire__printable(field.text, field.n, shown), what);
}

/* ---- Fields -----------------------------------------------------------------------------------------------
 */

static moire_status check_name(const parser *p, const char *kind, moire__field field) {
  if (!field.n) return bad_field(p, kind, field, "is empty");
  for (size_t i = 0, n = 0; i < field.n; i += n) {
    n = moire__character(field.text + i, field.n - i);
    if (!n) return bad_field(p, kind, field, "is not printable UTF-8");
  }
  return MOIRE_OK;
}

static moire_status read_number(const parser *p, moire__field f, int64_t *number) {
  static const char none[] = "is not a whole number";
  size_t start = f.n && (f.text[0] == '-' || f.text[0] == '+') ? 1 : 0;
  int64_t value = 0;
  bool too_large = false;
  for (size_t i = start; i < f.n; i++) {
    if (f.text[i] < '0' || f.text[i] > '9') return bad_field(p, "item", f, none);
    too_large = too_large || value > (INT64_MAX - 9) / 10;
    if (!too_large) value = value * 10 + (f.text[i] - '0');
  }
  if (f.n == start) return bad_field(p, "item", f, none);
  if (f.text[0] == '-') return bad_field(p, "item", f, "is negative; items are 1 and up");
  if (value == 0 && !too_large) return bad_field(p, "item", f, "is padding; items are 1 and up");
  if (too_large) return bad_field(p, "item", f, "is past the largest item, 9223372036854775807");
  if (p->r->numbered && value > INT32_MAX)
    return bad_field(p, "item", f, "is past the largest item, 2147483647");
  *number = value;
  return MOIRE_OK;
}

/* The last name that a rating may have is `most`, where ratings are whole numbers from 1 on. */
static moire_status check_rating(const parser *p, moire__field field, double rating) {
  if (rating >= 1 && rating <= p->options->most_rating && rating == floor(rating)) return MOIRE_OK;
  char what[64];
  snprintf(what, sizeof what, "is none of the whole numbers from 1 to %d", p->options->most_rating);
  return bad_field(p, "rating", field, what);
}

/* A number, finite; `what` in messages. */
static moire_status read_real(const parser *p, const char *what, moire__field f, double *number) {
  char text[64], *end = text;
  if (f.n && f.n < sizeof text) {
    memcpy(text, f.text, f.n);
    text[f.n] = 0;
    *number = moire__text_to_double(text, &end);
  }
  if (end == text || *end || !isfinite(*number)) return bad_field(p, what, f, "is not a number");
  return MOIRE_OK;
}

/* ---- Records ----------------------------------------------------------------------------------------------
 */

static void make_room(parser *p) {
  moire__records *r = p->r;
  if (r->n < r->capacity) return;
  r->capacity = r->capacity ? r->capacity * 2 : 1024;
  size_t n = (size_t)r->capacity;
  r->users = moire__resize(r->users, n * sizeof *r->users);
  r->items = moire__resize(r->items, n * sizeof *r->items);
  if (p->out->form.rating >= 0) r->ratings = moire__resize(r->ratings, n * sizeof *r->ratings);
  if (p->out->form.time >= 0) r->times = moire__resize(r->times, n * sizeof *r->times);
}

/* The item's number among the names, or its own; *known is false where it is to be left out. */
static moire_status take_item(parser *p, moire__field field, int32_t *item, bool *known) {
  char digits[24];
  int64_t number = 0;
  *known = true;
  if (p->by_numbers) {
    moire_status status = read_number(p, field, &number);
    if (status) return status;
    if (p->r->numbered) {
      *item = (int32_t)number;
      return MOIRE_OK;
    }
    field = (moire__field){digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, number)};
  } else {
    moire_status status = check_name(p, "item", field);
    if (status) return status;
  }
  if (p->options->known) {
    number = moire__id_names_find(&p->r->names, field.text, field.n);
    *known = number >= 0;
    if (!*known && !p->options->skip_unknown)
      return bad_field(p, "item", field, "is none of the items that the model knows");
  } else {
    number = moire__id_names_add(&p->r->names, field.text, field.n);
    if (number >= INT32_MAX - 1) return bad(p, "has one item more than the 2147483646 that there may be");
  }
  *item = (int32_t)number;
  return MOIRE_OK;
}

static moire_status add(parser *p, int64_t user, moire__field item, double rating, double time) {
  moire__records *r = p->r;
  bool known = false;
  make_room(p);
  moire_status status = take_item(p, item, &r->items[r->n], &known);
  if (status) return status;
  if (!known) {
    p->out->skipped++;
    return MOIRE_OK;
  }
  r->users[r->n] = (int32_t)user;
  if (r->ratings) r->ratings[r->n] = (float)rating;
  if (r->times) r->times[r->n] = time;
  r->n++;
  return MOIRE_OK;
}

static moire_status take_user(parser *p, moire__field field, int64_t *user) {
  moire_status status = check_name(p, "user", field);
  if (status) return status;
  *user = moire__id_names_add(&p->r->user_names, field.text, field.n);
  return *user < INT32_MAX ? MOIRE_OK : bad(p, "has one user more than the 2147483647 that there may be");
}

/* ---- Lines ------------------------------------------------------------------------------------------------
 */

static moire_status read_interaction(parser *p) {
  const moire__form *form = &p->out->form;
  const char *rest = p->lines.line, *end = rest + p->lines.n;
  moire__field fields[MOIRE__FORM_FIELDS], extra;
  int n = 0;
  while (n < MOIRE__FORM_FIELDS && moire__field_next(form->separator, &rest, end, &fields[n])) n++;
  int last = form->user > form->item ? form->user : form->item;
  if (form->rating > last) last = form->rating;
  if (form->time > last) last = form->time;
  bool more = !form->header && (n > last + 1 || moire__field_next(form->separator, &rest, end, &extra));
  if (n <= last || more)
    return moire_fail(p->error, MOIRE_ERROR_FORMAT,
                      "%s:%lld: has %d field%s: wanted %s%d, as in the first line", p->path, p->lines.number, n,
                      n == 1 ? "" : "s", form->header ? "at least " : "", last + 1);
  double rating = 0, time = 0;
  int64_t user = 0;
  moire_status status = take_user(p, fields[form->user], &user);
  if (!status && form->rating >= 0) status = read_real(p, "rating", fields[form->rating], &rating);
  if (!status && form->rating >= 0 && p->options->most_rating)
    status = check_rating(p, fields[form->rating], rating);
  if (!status && form->time >= 0) status = read_real(p, "time", fields[form->time], &time);
  return status ? status : add(p, user, fields[form->item], rating, time);
}

static bool begins_as_number(moire__field field) {
  size_t sign = field.n && (field.text[0] == '-' || field.text[0] == '+') ? 1 : 0;
  return sign < field.n && field.text[sign] >= '0' && field.text[sign] <= '9';
}

static moire_status read_user(parser *p) {
  moire__separator separator = p->out->form.separator;
  const char *rest = p->lines.line, *end = rest + p->lines.n;
  moire__field field = {0};
  int64_t before = p->r->user_names.n, user = 0;
  moire__field_next(separator, &rest, end, &field);
  moire_status status = take_user(p, field, &user);
  if (status) return status;
  if (user < before)
    return bad_field(
        p, "user", field,
        "is there twice, so this is not one user a line; --format interactions reads one interaction a "
        "line: user, item and, where they are there, rating and time");
  moire__field item;
  bool first = !before && !p->options->known; /* the first item of the file says what items are */
  for (; !status && moire__field_next(separator, &rest, end, &item); first = false) {
    if (first) p->by_numbers = begins_as_number(item);
    status = add(p, user, item, 0, 0);
  }
  return status;
}

static void read_map(moire__id_names *names, const char *map) {
  while (*map) {
    size_t n = strcspn(map, "\n");
    moire__id_names_add(names, map, n);
    map += n + (map[n] == '\n');
  }
}

moire_status moire__records_read(moire__records *records, const char *path, const char *bytes, size_t n,
                                 const moire__interactions_options *options, moire__interactions *out,
                                 moire_error *error) {
  parser p = {records, out, options, path, moire__lines_of(bytes, n), false, error};
  if (options->map) read_map(&records->names, options->map);
  records->numbered = p.by_numbers = options->known && !options->map;
  if (out->form.header) moire__lines_next(&p.lines);
  moire_status status = MOIRE_OK;
  while (!status && moire__lines_next(&p.lines)) {
    int64_t before = records->n, skipped = out->skipped;
    status = out->form.interactions ? read_interaction(&p) : read_user(&p);
    int64_t items = records->n - before;
    if (status || out->form.interactions || items >= options->fewest || out->skipped > skipped) continue;
    moire__printable_buffer shown;
    const char *user = moire__id_names_at(&records->user_names, records->user_names.n - 1);
    status = moire_fail(
        error, MOIRE_ERROR_FORMAT, "%s:%lld: user '%s' has %" PRId64 " item%s, but needs %" PRId64 "%s", path,
        p.lines.number, moire__printable(user, strlen(user), shown), items, items == 1 ? "" : "s",
        options->fewest, options->fewest == 3 ? ": one to train on, one to validate and one to test" : "");
  }
  return status;
}

void moire__records_free(moire__records *records) {
  moire__release(records->users);
  moire__release(records->items);
  moire__release(records->ratings);
  moire__release(records->times);
  moire__id_names_free(&records->user_names);
  moire__id_names_free(&records->names);
}
