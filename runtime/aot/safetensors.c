/* Safetensors: see safetensors.h. The header is JSON of one shape, so it is read by a parser for that shape,
 * which accepts any order of keys and any white space. Names are compared as they are written: one that is
 * escaped equals none of ours. */
#include "runtime/aot/safetensors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct piece {
  const char *text;
  size_t n;
} piece;

typedef struct entry {
  piece name, dtype;
  int rank;
  uint64_t shape[MOIRE_MAX_RANK], begin, end;
} entry;

typedef struct entries {
  entry *list;
  size_t n, room;
} entries;

typedef struct reader {
  const char *at, *end;
} reader;

/* ---- JSON ------------------------------------------------------------------------------------------- */

static void skip_space(reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static bool take(reader *r, char c) {
  skip_space(r);
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

static bool take_escape(reader *r) {
  if (r->at == r->end) return false;
  char c = *r->at++;
  if (c != 'u') return c && strchr("\"\\/bfnrt", c);
  for (int i = 0; i < 4; i++) {
    if (r->at == r->end || !*r->at || !strchr("0123456789abcdefABCDEF", *r->at)) return false;
    r->at++;
  }
  return true;
}

/* What stands between the quotes. */
static bool take_string(reader *r, piece *string) {
  if (!take(r, '"')) return false;
  string->text = r->at;
  while (r->at < r->end && *r->at != '"') {
    unsigned char c = (unsigned char)*r->at++;
    if (c < 0x20 || (c == '\\' && !take_escape(r))) return false;
  }
  string->n = (size_t)(r->at - string->text);
  return take(r, '"');
}

static bool take_number(reader *r, uint64_t *number) {
  skip_space(r);
  const char *start = r->at;
  *number = 0;
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
    if (__builtin_mul_overflow(*number, 10u, number)) return false;
    if (__builtin_add_overflow(*number, (uint64_t)(*r->at - '0'), number)) return false;
  }
  return r->at > start && (*start != '0' || r->at - start == 1);
}

/* [number, ...], at most `most` of them. */
static bool take_numbers(reader *r, uint64_t *numbers, int most, int *n) {
  *n = 0;
  if (!take(r, '[')) return false;
  if (take(r, ']')) return true;
  do {
    if (*n == most || !take_number(r, &numbers[*n])) return false;
    ++*n;
  } while (take(r, ','));
  return take(r, ']');
}

static bool equals(piece string, const char *text) {
  return string.n == strlen(text) && !memcmp(string.text, text, string.n);
}

/* ---- The header ------------------------------------------------------------------------------------- */

static bool take_metadata(reader *r) {
  piece key, value;
  if (!take(r, '{')) return false;
  if (take(r, '}')) return true;
  do {
    if (!take_string(r, &key) || !take(r, ':') || !take_string(r, &value)) return false;
  } while (take(r, ','));
  return take(r, '}');
}

static bool take_tensor(reader *r, entry *e) {
  enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
  uint64_t offsets[2];
  int found = 0, n = 0;
  if (!take(r, '{')) return false;
  do {
    piece key;
    if (!take_string(r, &key) || !take(r, ':')) return false;
    int which = equals(key, "dtype")          ? DTYPE
                : equals(key, "shape")        ? SHAPE
                : equals(key, "data_offsets") ? OFFSETS
                                              : 0;
    if (!which || (found & which)) return false;
    found |= which;
    if (which == DTYPE && !take_string(r, &e->dtype)) return false;
    if (which == SHAPE && !take_numbers(r, e->shape, MOIRE_MAX_RANK, &e->rank)) return false;
    if (which == OFFSETS && (!take_numbers(r, offsets, 2, &n) || n != 2)) return false;
  } while (take(r, ','));
  if (found != (DTYPE | SHAPE | OFFSETS)) return false;
  e->begin = offsets[0];
  e->end = offsets[1];
  return take(r, '}');
}

static library_status add_entry(entries *all, const entry *e) {
  if (all->n == all->room) {
    size_t room = all->room ? 2 * all->room : 64;
    entry *list = realloc(all->list, room * sizeof *list);
    if (!list) return LIBRARY_ERROR_MEMORY;
    all->list = list;
    all->room = room;
  }
  all->list[all->n++] = *e;
  return LIBRARY_OK;
}

static library_status take_header(reader *r, entries *all) {
  bool metadata = false;
  if (!take(r, '{')) return LIBRARY_ERROR_FORMAT;
  if (!take(r, '}')) {
    do {
      entry e = {0};
      if (!take_string(r, &e.name) || !take(r, ':')) return LIBRARY_ERROR_FORMAT;
      bool is_metadata = equals(e.name, "__metadata__");
      if ((is_metadata && metadata) || !(is_metadata ? take_metadata(r) : take_tensor(r, &e)))
        return LIBRARY_ERROR_FORMAT;
      metadata = metadata || is_metadata;
      library_status status = is_metadata ? LIBRARY_OK : add_entry(all, &e);
      if (status) return status;
    } while (take(r, ','));
    if (!take(r, '}')) return LIBRARY_ERROR_FORMAT;
  }
  skip_space(r);
  return r->at == r->end ? LIBRARY_OK : LIBRARY_ERROR_FORMAT;
}

static int lower_first(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end);
}

/* The ranges cover the data once. Sorts the entries. */
static bool ranges_are_good(entries *all, uint64_t data_bytes) {
  uint64_t at = 0;
  if (all->n) qsort(all->list, all->n, sizeof *all->list, lower_first);
  for (size_t i = 0; i < all->n; i++) {
    if (all->list[i].begin != at || all->list[i].end < at) return false;
    at = all->list[i].end;
  }
  return at == data_bytes;
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

static const char *dtype_name(moire_dtype dtype) {
  switch (dtype) {
    case MOIRE_F32: return "F32";
    case MOIRE_F64: return "F64";
    case MOIRE_BF16: return "BF16";
    case MOIRE_I32: return "I32";
    case MOIRE_I64: return "I64";
    case MOIRE_BOOL: return "BOOL";
    case MOIRE_C64: return "C64";
  }
  return "";
}

/* The entry of state i, once; an error if it is not there, there twice, or other than the state. */
static library_status find_entry(const entries *all, int i, const entry **found) {
  const moire__aot_state *s = &MOIRE__AOT_TABLES.states[i];
  *found = NULL;
  for (size_t j = 0; j < all->n; j++) {
    if (!equals(all->list[j].name, s->name)) continue;
    if (*found) return LIBRARY_ERROR_FORMAT;
    *found = &all->list[j];
  }
  if (!*found || !equals((*found)->dtype, dtype_name(s->dtype)) || (*found)->rank != s->rank)
    return LIBRARY_ERROR_TENSOR;
  for (int d = 0; d < s->rank; d++) {
    if ((*found)->shape[d] != (uint64_t)s->shape[d]) return LIBRARY_ERROR_TENSOR;
  }
  return (*found)->end - (*found)->begin == (uint64_t)s->bytes ? LIBRARY_OK : LIBRARY_ERROR_FORMAT;
}

static bool is_ours(piece name) {
  for (int i = 0; i < MOIRE__AOT_TABLES.n_states; i++) {
    if (equals(name, MOIRE__AOT_TABLES.states[i].name)) return true;
  }
  return false;
}

static library_status set_states(library_state *state, library_part part, const entries *all,
                                 const unsigned char *data) {
  for (int writing = 0; writing < 2; writing++) {
    for (int i = 0; i < MOIRE__AOT_TABLES.n_states; i++) {
      const moire__aot_state *s = &MOIRE__AOT_TABLES.states[i];
      const entry *e = NULL;
      if (!moire__aot_state_is_in(i, part)) continue;
      library_status status = find_entry(all, i, &e);
      if (status) return status;
      if (writing) memcpy(state->block + s->offset, data + e->begin, (size_t)s->bytes);
    }
  }
  return LIBRARY_OK;
}

static library_status moire__aot_read_states(library_state *state, library_part part,
                                             const unsigned char *bytes, size_t n) {
  uint64_t header = 0;
  if (n < 8) return LIBRARY_ERROR_FORMAT;
  for (int i = 7; i >= 0; i--) header = header << 8 | bytes[i];
  if (header > n - 8) return LIBRARY_ERROR_FORMAT;
  reader r = {(const char *)bytes + 8, (const char *)bytes + 8 + header};
  entries all = {0};
  library_status status = take_header(&r, &all);
  if (!status && !ranges_are_good(&all, n - 8 - header)) status = LIBRARY_ERROR_FORMAT;
  for (size_t i = 0; i < all.n && !status; i++) {
    if (!is_ours(all.list[i].name)) status = LIBRARY_ERROR_TENSOR;
  }
  if (!status) status = set_states(state, part, &all, bytes + 8 + header);
  free(all.list);
  return status;
}

/* ---- Writing ---------------------------------------------------------------------------------------- */

/* Counts, and writes if there is somewhere to. */
typedef struct writer {
  unsigned char *at;
  size_t n;
} writer;

static void put_bytes(writer *w, const void *bytes, size_t n) {
  if (w->at && n) memcpy(w->at + w->n, bytes, n);
  w->n += n;
}

static void put_text(writer *w, const char *text) { put_bytes(w, text, strlen(text)); }

static void put_string(writer *w, const char *text) {
  put_text(w, "\"");
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') put_text(w, "\\");
    put_bytes(w, text, 1);
  }
  put_text(w, "\"");
}

static void put_number(writer *w, uint64_t number) {
  char digits[20];
  size_t n = sizeof digits;
  do {
    digits[--n] = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  put_bytes(w, digits + n, sizeof digits - n);
}

static void put_metadata(writer *w) {
  const char *const pairs[][2] = {
      {"format", "checkpoint/1"}, {"model", MOIRE__AOT_TABLES.model}, {"config", MOIRE__AOT_TABLES.config}};
  put_text(w, "{\"__metadata__\":{");
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    if (i) put_text(w, ",");
    put_string(w, pairs[i][0]);
    put_text(w, ":");
    put_string(w, pairs[i][1]);
  }
  put_text(w, "}");
}

static void put_tensor(writer *w, const moire__aot_state *s, uint64_t offset) {
  put_text(w, ",");
  put_string(w, s->name);
  put_text(w, ":{\"dtype\":");
  put_string(w, dtype_name(s->dtype));
  put_text(w, ",\"shape\":[");
  for (int d = 0; d < s->rank; d++) {
    if (d) put_text(w, ",");
    put_number(w, (uint64_t)s->shape[d]);
  }
  put_text(w, "],\"data_offsets\":[");
  put_number(w, offset);
  put_text(w, ",");
  put_number(w, offset + (uint64_t)s->bytes);
  put_text(w, "]}");
}

/* Wide elements come first, so that all are aligned. */
static void put_all(writer *w, const library_state *state, library_part part, bool data) {
  uint64_t offset = 0;
  for (size_t width = 8; width; width /= 2) {
    for (int i = 0; i < MOIRE__AOT_TABLES.n_states; i++) {
      const moire__aot_state *s = &MOIRE__AOT_TABLES.states[i];
      if (!moire__aot_state_is_in(i, part) || moire__aot_dtype_bytes(s->dtype) != width) continue;
      if (data) {
        put_bytes(w, state ? state->block + s->offset : NULL, (size_t)s->bytes);
      } else {
        put_tensor(w, s, offset);
      }
      offset += (uint64_t)s->bytes;
    }
  }
}

static size_t moire__aot_write_states(const library_state *state, library_part part, unsigned char *out) {
  writer w = {out, 8};
  put_metadata(&w);
  put_all(&w, state, part, false);
  put_text(&w, "}");
  while (w.n % 8) put_text(&w, " ");
  for (int i = 0; i < 8 && out; i++) out[i] = (unsigned char)((w.n - 8) >> (8 * i));
  put_all(&w, state, part, true);
  return w.n;
}
