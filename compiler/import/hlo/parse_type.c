/* StableHLO text: types, and constants by their types. See parse.h. */
#include "compiler/import/hlo/parse.h"

#include "runtime/base/text.h"
#include "runtime/files/checkpoint.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- types ------------------------------------------------------------------------------------------------
 */

static const struct {
  const char *element;
  moire_dtype dtype;
  bool wide;
  int bits;
} elements[] = {{"f32", MOIRE_F32, false, 32},        {"f64", MOIRE_F64, true, 64},
                {"i32", MOIRE_I32, false, 32},        {"i64", MOIRE_I64, false, 64},
                {"i1", MOIRE_BOOL, false, 1},         {"complex<f32>", MOIRE_C64, false, 32},
                {"complex<f64>", MOIRE_C64, true, 64}};

static void set_element(moire__hlo_parser *p, moire__hlo_type *t, const char *text, size_t n) {
  t->element = moire__hlo_copy(p, text, n);
  for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
    if (strcmp(elements[i].element, t->element) != 0) continue;
    t->dtype = elements[i].dtype;
    t->wide = elements[i].wide;
    t->bits = elements[i].bits;
    if (t->wide && t->dtype == MOIRE_C64) p->module->wide = true;
    return;
  }
  t->why = moire__arena_printf(p->arena,
                               "%.40s are numbers that Moire does not compute with: wanted f32, complex<f32>, "
                               "f64, i32, i64 or i1",
                               t->element);
}

/* 2x?x: what stands before the element type; `at` goes behind it. False where a size is too large. */
static bool read_sizes(moire__hlo_type *t, const char **at, const char *end) {
  t->elements = 1;
  for (const char *c = *at; c < end;) {
    int64_t size = 0;
    bool open = *c == '?' || *c == '*';
    const char *digits = c;
    while (!open && c < end && isdigit((unsigned char)*c)) {
      if (size >= (int64_t)1 << 47) return false;
      size = 10 * size + (*c++ - '0');
    }
    if (open) c++;
    if (c == digits || c >= end || *c != 'x') break;
    *at = ++c;
    if (open) t->why = "a size that is not known when the program is lowered: lower it for fixed shapes";
    if (t->shape.rank < MOIRE_MAX_RANK) t->shape.dims[t->shape.rank] = size;
    t->shape.rank++;
    if (!open && (__builtin_mul_overflow(t->elements, size, &t->elements) || t->elements >= (int64_t)1 << 47))
      return false;
  }
  return true;
}

/* To behind the bracket that closes the one before `at`; NULL: there is none. */
static const char *closing(const char *at, const char *end) {
  int depth = 1;
  for (bool quoted = false; at < end; at++) {
    if (*at == '"' && at[-1] != '\\') quoted = !quoted;
    if (quoted) continue;
    if (*at == '<') depth++;
    if (*at == '>' && at[-1] != '-' && --depth == 0) return at + 1;
  }
  return NULL;
}

static void parse_tensor(moire__hlo_parser *p, moire__hlo_type *t) {
  const char *at = p->now.begin + 1, *end = closing(at, p->lexer.end);
  if (!moire__hlo_at_sign(p, '<') || !end) {
    moire__hlo_fail(p, "tensor: wanted <..>");
    return;
  }
  if (!read_sizes(t, &at, end - 1)) {
    moire__hlo_fail(p, "a tensor of more than 2^47 elements");
    return;
  }
  const char *comma = at;
  while (comma < end - 1 && *comma != ',') comma++;
  if (comma < end - 1 && memchr(at, '<', (size_t)(comma - at))) comma = end - 1; /* within a type */
  const char *why = t->why;
  while (comma > at && comma[-1] == ' ') comma--;
  set_element(p, t, at, (size_t)(comma - at));
  if (why) t->why = why;
  if (t->shape.rank > MOIRE_MAX_RANK) {
    t->shape.rank = MOIRE_MAX_RANK;
    t->why = "a tensor of more than 8 axes";
  }
  if (t->why) t->dtype = 0;
  moire__hlo_continue_at(p, end, p->now.line);
}

bool moire__hlo_at_type(const moire__hlo_parser *p) {
  return p->now.kind == MOIRE__HLO_WORD || moire__hlo_at_sign(p, '!') || moire__hlo_at_sign(p, '(');
}

moire__hlo_type moire__hlo_parse_type(moire__hlo_parser *p) {
  enum { LONGEST = 60 };
  moire__hlo_type t = {.element = ""};
  const char *begin = p->now.begin;
  if (moire__hlo_take_word(p, "tensor")) {
    parse_tensor(p, &t);
  } else {
    bool other = moire__hlo_take_sign(p, '!');
    if (p->now.kind == MOIRE__HLO_WORD) {
      moire__hlo_advance(p);
      if (moire__hlo_at_sign(p, '<')) moire__hlo_skip_brackets(p);
    } else if (!other && moire__hlo_at_sign(p, '(')) {
      moire__hlo_skip_brackets(p);
    } else {
      moire__hlo_fail(p, "wanted a type");
    }
    t.why = "a value that is no tensor";
  }
  size_t n = p->failed ? 0 : (size_t)(p->now.begin - begin);
  while (n && isspace((unsigned char)begin[n - 1])) n--;
  t.text = moire__hlo_copy(p, begin, n < LONGEST ? n : LONGEST);
  return t;
}

/* ---- constants --------------------------------------------------------------------------------------------
 */

moire__hlo_body moire__hlo_parse_dense(moire__hlo_parser *p) {
  moire__hlo_advance(p);
  const char *at = p->now.begin + 1, *end = NULL;
  if (moire__hlo_at_sign(p, '<')) end = closing(at, p->lexer.end);
  if (!end) {
    moire__hlo_fail(p, "dense: wanted <..>");
    return (moire__hlo_body){"", "", p->now.line};
  }
  moire__hlo_body body = {at, end - 1, p->now.line};
  int line = p->now.line;
  for (const char *c = at; c < end; c++) line += *c == '\n';
  moire__hlo_continue_at(p, end, line);
  return body;
}

typedef struct reader {
  moire__hlo_parser *p;
  moire__hlo_lexer lexer;
  moire__hlo_token now;
  const moire__hlo_type *type;
  moire__hlo_literal *literal;
  int64_t n, most; /* elements that are read, and there is room for */
} reader;

static void step(reader *r) { r->now = moire__hlo_lex(&r->lexer); }

static bool at_sign(const reader *r, char sign) {
  return r->now.kind == MOIRE__HLO_SIGN && *r->now.text == sign;
}

static bool is_whole(moire_dtype dtype) { return dtype == MOIRE_I32 || dtype == MOIRE_I64; }

static double from_bits(uint64_t bits, int width) {
  float single;
  double wide;
  uint32_t low = (uint32_t)bits;
  memcpy(&single, &low, sizeof single);
  memcpy(&wide, &bits, sizeof wide);
  return width == 64 ? wide : (double)single;
}

static double rounded(const moire__hlo_type *t, double x) { return t->bits == 32 ? (double)(float)x : x; }

/* A number with its sign; false where it is none of the type. */
static bool read_number(reader *r, double *out) {
  bool negative = at_sign(r, '-');
  if (negative) step(r);
  const moire__hlo_token t = r->now;
  moire_dtype dtype = r->type->dtype;
  char text[400];
  if (t.n >= sizeof text) return false;
  memcpy(text, t.text, t.n);
  text[t.n] = 0;
  step(r);
  if (t.kind == MOIRE__HLO_WORD && dtype == MOIRE_BOOL) {
    *out = !strcmp(text, "true");
    return *out != 0 || !strcmp(text, "false");
  }
  if (t.kind != MOIRE__HLO_NUMBER) return false;
  errno = 0;
  if (t.n > 2 && text[1] == 'x' && !is_whole(dtype)) {
    *out = from_bits(strtoull(text, NULL, 16), r->type->bits);
    return !errno && t.n <= 18;
  }
  if (is_whole(dtype) || dtype == MOIRE_BOOL) {
    char *end = NULL;
    unsigned long long size = strtoull(text, &end, text[0] == '0' && text[1] == 'x' ? 16 : 10);
    unsigned long long most = (1ull << (r->type->bits - 1)) - !negative;
    if (dtype == MOIRE_BOOL) most = 1;
    if (size > 1ull << 53 && (size & (size - 1))) r->literal->loses = true;
    *out = negative ? -(double)size : (double)size;
    return !errno && !*end && size <= most;
  }
  *out = rounded(r->type, moire__text_to_double(text, NULL));
  if (negative) *out = -*out;
  return true;
}

static bool read_element(reader *r) {
  double re = 0, im = 0;
  bool complex = r->type->dtype == MOIRE_C64, paired = complex && at_sign(r, '(');
  if (paired) step(r);
  if (!read_number(r, &re)) return false;
  if (paired) {
    if (!at_sign(r, ',')) return false;
    step(r);
    if (!read_number(r, &im) || !at_sign(r, ')')) return false;
    step(r);
  }
  if (r->n >= r->most) return false;
  r->literal->re[r->n] = re;
  if (complex) r->literal->im[r->n] = im;
  r->n++;
  return true;
}

/* [a, b, ..], nested as deep as there are axes. */
static bool read_list(reader *r, int depth) {
  if (!at_sign(r, '[')) return read_element(r);
  if (depth == MOIRE_MAX_RANK) return false;
  step(r);
  while (!at_sign(r, ']')) {
    if (!read_list(r, depth + 1)) return false;
    if (!at_sign(r, ',')) break;
    step(r);
  }
  if (!at_sign(r, ']')) return false;
  step(r);
  return true;
}

static int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of an element from hexadecimal digits, the lowest first; false where one is no digit. */
static bool read_bytes(const char *hex, int bytes, uint64_t *out) {
  *out = 0;
  for (int i = 0; i < bytes; i++) {
    int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    *out |= (uint64_t)(16 * high + low) << 8 * i;
  }
  return true;
}

static double from_bytes(reader *r, uint64_t bits) {
  switch (r->type->dtype) {
    case MOIRE_I32: return (int32_t)(uint32_t)bits;
    case MOIRE_I64: {
      int64_t n = (int64_t)bits;
      bool power = n == INT64_MIN || !((n < 0 ? -n : n) & ((n < 0 ? -n : n) - 1));
      if (!power && (n > (int64_t)1 << 53 || n < -((int64_t)1 << 53))) r->literal->loses = true;
      return (double)n;
    }
    case MOIRE_BOOL: return bits & 1 ? 1 : 0;
    case MOIRE_F32:
    case MOIRE_F64:
    case MOIRE_C64:
    case MOIRE_BF16: break;
  }
  return from_bits(bits, r->type->bits);
}

/* "0x..": the bytes of all elements; bools are packed, eight in a byte, or a byte each. */
static bool read_blob(reader *r) {
  const char *hex = r->now.text + 2;
  if (r->now.n < 2 || r->now.text[0] != '0' || (r->now.text[1] | 32) != 'x') return false;
  size_t n = r->now.n - 2;
  int64_t count = r->type->elements;
  bool packed = r->type->dtype == MOIRE_BOOL, complex = r->type->dtype == MOIRE_C64;
  int bytes = packed ? 1 : r->type->bits / 8, per = 2 * bytes * (complex ? 2 : 1);
  if (packed) {
    bool splat = n == 2 && count > 8, single = n == 2 * (size_t)count && count > 1; /* FF or 00; a byte each */
    if (!splat && !single && n != 2 * (size_t)((count + 7) / 8)) return false;
    for (int64_t i = 0; i < (splat ? 1 : count); i++) {
      uint64_t byte;
      if (!read_bytes(hex + 2 * (single ? i : i / 8), 1, &byte)) return false;
      r->literal->re[r->n++] = (double)(byte >> (single ? 0 : i % 8) & 1);
    }
  } else {
    int64_t there = (int64_t)(n / (size_t)per);
    if (n % (size_t)per || (there != count && there != 1)) return false;
    for (int64_t i = 0; i < there; i++) {
      uint64_t bits;
      if (!read_bytes(hex + i * per, bytes, &bits)) return false;
      r->literal->re[i] = from_bytes(r, bits);
      if (!complex) continue;
      if (!read_bytes(hex + i * per + per / 2, bytes, &bits)) return false;
      r->literal->im[i] = from_bytes(r, bits);
    }
    r->n = there;
  }
  step(r);
  return true;
}

static bool is_splat(const moire__hlo_literal *l, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    if (memcmp(&l->re[i], &l->re[0], sizeof *l->re) != 0) return false;
    if (l->im && memcmp(&l->im[i], &l->im[0], sizeof *l->im) != 0) return false;
  }
  return n > 0;
}

moire__hlo_literal *moire__hlo_make_literal(moire__hlo_parser *p, moire__hlo_body body,
                                            const moire__hlo_type *type) {
  moire__hlo_literal *l = moire__arena_alloc(p->arena, sizeof *l);
  moire__hlo_type *kept = moire__arena_alloc(p->arena, sizeof *kept);
  *kept = *type;
  l->type = kept;
  if (p->failed || type->why) return l;
  /* Four elements, as packed bools, take a character at least. */
  int64_t room = 4 * (int64_t)(body.end - body.begin) + 8, most = room < type->elements ? room : type->elements;
  if (most < 1) most = 1;
  l->re = moire__arena_array(p->arena, (size_t)most, sizeof *l->re);
  if (type->dtype == MOIRE_C64) l->im = moire__arena_array(p->arena, (size_t)most, sizeof *l->im);
  reader r = {p, {body.begin, body.end, body.line}, {0}, type, l, 0, most};
  step(&r);
  bool good = r.now.kind == MOIRE__HLO_STRING ? read_blob(&r)
              : r.now.kind == MOIRE__HLO_END  ? type->elements == 0
                                              : read_list(&r, 0);
  good = good && r.now.kind == MOIRE__HLO_END && (r.n == type->elements || r.n == 1);
  if (!good) moire__hlo_fail_at(p, r.now.line, "dense<..> does not hold the elements of %s", type->text);
  l->count = r.n == 1 || is_splat(l, r.n) ? 1 : r.n;
  if (l->count != 1 && l->count) {
    l->name = moire__arena_printf(p->arena, "%s%d", MOIRE__CONSTANT_PREFIX, p->module->n_literals);
    MOIRE__PUSH(p->arena, p->module->literals, p->module->n_literals, p->module->literal_capacity, l);
  }
  return l;
}
