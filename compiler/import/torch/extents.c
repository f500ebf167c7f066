/* Sizes with symbols. See extents.h. */
#include "compiler/import/torch/extents.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 64, DEEPEST = 32 };

typedef struct reader {
  moire_graph *g;
  const char *batch, *at;
} reader;

static bool take(reader *r, const char *word) {
  while (*r->at == ' ') r->at++;
  size_t n = strlen(word);
  if (strncmp(r->at, word, n) != 0) return false;
  r->at += n;
  return true;
}

/* Symbol('s0', positive=True, integer=True): what is behind the bracket. */
static bool read_symbol(reader *r, char *out, size_t n) {
  if (!take(r, "'")) return false;
  size_t length = strcspn(r->at, "'");
  if (!length || length >= n || !r->at[length]) return false;
  for (size_t i = 0; i < length; i++) {
    if (!isalnum((unsigned char)r->at[i]) && r->at[i] != '_') return false;
  }
  if (isdigit((unsigned char)*r->at)) return false;
  memcpy(out, r->at, length);
  out[length] = 0;
  r->at += length + 1;
  r->at += strcspn(r->at, ")");
  return take(r, ")");
}

static bool read_expression(reader *r, int depth, moire_dim *out);

static bool read_product(reader *r, int depth, moire_dim *out) {
  *out = 1;
  do {
    moire_dim factor;
    if (!read_expression(r, depth + 1, &factor)) return false;
    *out = moire_dim_times(*out, factor);
    if (*out < 0) return false;
  } while (take(r, ","));
  return take(r, ")");
}

static bool read_integer(reader *r, moire_dim *out) {
  char *end = NULL;
  long long n = strtoll(r->at, &end, 10);
  if (end == r->at || n < 0 || n >= (long long)1 << 47) return false;
  r->at = end;
  *out = n;
  return take(r, ")");
}

static bool read_expression(reader *r, int depth, moire_dim *out) {
  char name[LONGEST];
  if (depth > DEEPEST) return false;
  if (take(r, "Mul(")) return read_product(r, depth, out);
  if (take(r, "Integer(")) return read_integer(r, out);
  if (!take(r, "Symbol(") || !read_symbol(r, name, sizeof name)) return false;
  *out = moire_extent(r->g, r->batch && !strcmp(r->batch, name) ? "B" : name);
  return moire_graph_status(r->g, NULL) == MOIRE_OK;
}

static const char *text_of(const json_t *size) {
  return json_string_value(json_object_get(json_object_get(size, "as_expr"), "expr_str"));
}

bool moire__extent_read(moire_graph *g, const char *batch, const json_t *size, moire_dim *out) {
  const json_t *number = json_object_get(size, "as_int");
  if (json_is_integer(number)) {
    *out = json_integer_value(number);
    return *out >= 0 && *out < (int64_t)1 << 47;
  }
  const char *text = text_of(size);
  reader r = {g, batch, text ? text : ""};
  return read_expression(&r, 0, out) && !*r.at;
}

bool moire__extent_symbol(const json_t *size, char *out, size_t n) {
  const char *text = text_of(size);
  reader r = {NULL, NULL, text ? text : ""};
  return take(&r, "Symbol(") && read_symbol(&r, out, n) && !*r.at;
}
