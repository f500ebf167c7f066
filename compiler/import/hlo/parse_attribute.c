/* StableHLO text: attributes and places. See parse.h. */
#include "compiler/import/hlo/parse.h"

#include "runtime/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the list of an operation -----------------------------------------------------------------------------
 */

void moire__hlo_add_attribute(moire__hlo_parser *p, moire__hlo_op *op, const char *name, moire__argument a) {
  moire__named_argument named = {name, a, false};
  MOIRE__PUSH(p->arena, op->attributes, op->n_attributes, op->attribute_capacity, named);
}

const moire__argument *moire__hlo_attribute(const moire__hlo_op *op, const char *name) {
  for (int i = 0; i < op->n_attributes; i++) {
    if (!strcmp(op->attributes[i].name, name)) return &op->attributes[i].argument;
  }
  return NULL;
}

static moire__argument of_text(const char *text) {
  return (moire__argument){.kind = MOIRE__ARGUMENT_TEXT, .text = text};
}

static const char *joined(moire__hlo_parser *p, const char *prefix, const char *name) {
  return *prefix ? moire__arena_printf(p->arena, "%s.%s", prefix, name) : name;
}

/* ---- single ones ------------------------------------------------------------------------------------------
 */

/* The type of a number, which says nothing more; what else follows a colon is the operation's. */
static void pass_type(moire__hlo_parser *p) {
  moire__hlo_lexer behind = p->lexer;
  moire__hlo_token next = moire__hlo_lex(&behind);
  if (!moire__hlo_at_sign(p, ':') || next.kind != MOIRE__HLO_WORD ||
      moire__hlo_is(&next, MOIRE__HLO_WORD, "tensor"))
    return;
  moire__hlo_advance(p);
  moire__hlo_advance(p);
}

static moire__argument parse_number(moire__hlo_parser *p) {
  bool negative = moire__hlo_take_sign(p, '-');
  moire__argument a = {.kind = MOIRE__ARGUMENT_REAL};
  if (p->now.kind != MOIRE__HLO_NUMBER) {
    moire__hlo_fail(p, "wanted a number");
    return a;
  }
  const char *text = moire__hlo_token_text(p);
  moire__hlo_advance(p);
  char *end = NULL;
  errno = 0;
  long long whole = strtoll(text, &end, text[0] == '0' && text[1] == 'x' ? 16 : 10);
  if (!*end && !errno) {
    a.kind = MOIRE__ARGUMENT_INT;
    a.integer = negative ? -whole : whole;
    a.real = (double)a.integer;
  } else {
    a.real = moire__text_to_double(text, NULL);
    if (negative) a.real = -a.real;
  }
  return a;
}

/* Whatever is in brackets, as text. */
static moire__argument parse_raw(moire__hlo_parser *p) {
  const char *begin = p->now.begin;
  moire__hlo_skip_brackets(p);
  size_t n = p->failed ? 0 : (size_t)(p->now.begin - begin);
  return of_text(moire__hlo_copy(p, begin, n < 200 ? n : 200));
}

/* A list under construction. */
typedef struct list {
  moire__argument *items;
  int n, capacity;
} list;

/* dense<..> of whole numbers as a list; what else is dense has no meaning as an option. */
static void add_dense(moire__hlo_parser *p, list *to) {
  enum { MOST = 4096 };
  moire__hlo_body body = moire__hlo_parse_dense(p);
  moire__hlo_want(p, ':');
  moire__hlo_type type = moire__hlo_parse_type(p);
  int before = p->module->n_literals;
  const moire__hlo_literal *l = moire__hlo_make_literal(p, body, &type);
  p->module->n_literals = before; /* it is no state */
  if (!p->failed && (type.why || type.elements > MOST || type.dtype == MOIRE_C64))
    moire__hlo_fail(p, "dense<..> in an attribute: wanted at most %d numbers", MOST);
  for (int64_t i = 0; i < type.elements && !p->failed; i++) {
    double x = l->re[l->count == 1 ? 0 : i];
    moire__argument a = {.kind = MOIRE__ARGUMENT_INT, .real = x, .integer = (int64_t)x};
    if (type.dtype == MOIRE_F32 || type.dtype == MOIRE_F64) a.kind = MOIRE__ARGUMENT_REAL;
    MOIRE__PUSH(p->arena, to->items, to->n, to->capacity, a);
  }
}

static moire__argument parse_item(moire__hlo_parser *p);

/* What is between brackets, those within it too, as one list. */
static void add_items(moire__hlo_parser *p, list *to, char end) {
  if (!moire__hlo_enter(p)) return;
  while (!p->failed && !moire__hlo_at_sign(p, end)) {
    if (moire__hlo_take_sign(p, '[')) {
      add_items(p, to, ']');
    } else if (moire__hlo_at_word(p, "dense")) {
      add_dense(p, to);
    } else {
      moire__argument a = parse_item(p);
      MOIRE__PUSH(p->arena, to->items, to->n, to->capacity, a);
    }
    if (!moire__hlo_take_sign(p, ',')) break;
  }
  moire__hlo_want(p, end);
  moire__hlo_leave(p);
}

static moire__argument of_list(const list *l) {
  return (moire__argument){.kind = MOIRE__ARGUMENT_LIST, .items = l->items, .n = l->n};
}

static moire__argument parse_list(moire__hlo_parser *p) {
  list l = {0};
  moire__hlo_want(p, '[');
  add_items(p, &l, ']');
  return of_list(&l);
}

/* array<i64: 1, 2> */
static moire__argument parse_array(moire__hlo_parser *p) {
  list l = {0};
  moire__hlo_advance(p);
  moire__hlo_want(p, '<');
  moire__hlo_advance(p); /* the type */
  if (moire__hlo_take_sign(p, ':'))
    add_items(p, &l, '>');
  else
    moire__hlo_want(p, '>');
  return of_list(&l);
}

/* One without a name: an item of a list, or what has no names in it. */
static moire__argument parse_item(moire__hlo_parser *p) {
  moire__argument a = {0};
  if (p->now.kind == MOIRE__HLO_NUMBER || moire__hlo_at_sign(p, '-')) {
    a = parse_number(p);
    pass_type(p);
    return a;
  }
  if (p->now.kind == MOIRE__HLO_STRING || p->now.kind == MOIRE__HLO_SYMBOL) {
    a = of_text(moire__hlo_token_text(p));
    moire__hlo_advance(p);
    while (moire__hlo_take_sign(p, ':')) moire__hlo_advance(p); /* @a::@b, or a type */
    return a;
  }
  if (moire__hlo_at_word(p, "true") || moire__hlo_at_word(p, "false") || moire__hlo_at_word(p, "unit")) {
    bool yes = !moire__hlo_at_word(p, "false");
    moire__hlo_advance(p);
    return (moire__argument){.kind = MOIRE__ARGUMENT_BOOL, .integer = yes, .real = yes};
  }
  if (moire__hlo_at_sign(p, '{') || moire__hlo_at_sign(p, '(') || moire__hlo_at_sign(p, '<'))
    return parse_raw(p);
  if (moire__hlo_at_word(p, "loc")) {
    moire__hlo_parse_place(p);
    return (moire__argument){.kind = MOIRE__ARGUMENT_NOTHING};
  }
  if (p->now.kind == MOIRE__HLO_ALIAS || p->now.kind == MOIRE__HLO_WORD || moire__hlo_at_sign(p, '!')) {
    moire__hlo_take_sign(p, '!');
    const char *begin = p->now.begin;
    a = of_text(moire__hlo_token_text(p));
    moire__hlo_advance(p);
    if (!moire__hlo_at_sign(p, '<')) return a;
    moire__hlo_skip_brackets(p);
    size_t n = p->failed ? 0 : (size_t)(p->now.begin - begin);
    a.text = moire__hlo_copy(p, begin, n < 200 ? n : 200);
    return a;
  }
  moire__hlo_fail(p, "wanted an attribute");
  return a;
}

/* ---- with names -------------------------------------------------------------------------------------------
 */

/* [b, 0, f]x[0, i, o]->[b, 0, f], or [0] x [1]: the lists NAME, NAME.rhs and NAME.out. */
static void parse_lists(moire__hlo_parser *p, moire__hlo_op *op, const char *name) {
  moire__hlo_add_attribute(p, op, name, parse_list(p));
  if (moire__hlo_take_word(p, "x")) moire__hlo_add_attribute(p, op, joined(p, name, "rhs"), parse_list(p));
  if (p->now.kind != MOIRE__HLO_ARROW) return;
  moire__hlo_advance(p);
  moire__hlo_add_attribute(p, op, joined(p, name, "out"), parse_list(p));
}

static void parse_entries(moire__hlo_parser *p, moire__hlo_op *op, const char *prefix, char end) {
  if (!moire__hlo_enter(p)) return;
  while (!p->failed && !moire__hlo_at_sign(p, end)) {
    if (p->now.kind != MOIRE__HLO_WORD && p->now.kind != MOIRE__HLO_STRING) {
      moire__hlo_fail(p, "wanted the name of an attribute");
      break;
    }
    const char *name = joined(p, prefix, moire__hlo_token_text(p));
    moire__hlo_advance(p);
    if (moire__hlo_take_sign(p, '=')) {
      moire__hlo_parse_attribute(p, op, name);
    } else {
      moire__hlo_add_attribute(p, op, name,
                               (moire__argument){.kind = MOIRE__ARGUMENT_BOOL, .integer = 1, .real = 1});
    }
    if (!moire__hlo_take_sign(p, ',')) break;
  }
  moire__hlo_want(p, end);
  moire__hlo_leave(p);
}

void moire__hlo_parse_dictionary(moire__hlo_parser *p, moire__hlo_op *op, const char *prefix) {
  moire__hlo_want(p, '{');
  parse_entries(p, op, prefix, '}');
}

/* #stablehlo.gather<a = [2], ..>, #stablehlo.conv<[..]x[..]->[..]>, #stablehlo<precision DEFAULT>, #alias */
static void parse_alias(moire__hlo_parser *p, moire__hlo_op *op, const char *name) {
  const char *text = moire__hlo_token_text(p);
  moire__hlo_advance(p);
  if (!moire__hlo_at_sign(p, '<')) {
    moire__hlo_add_attribute(p, op, name, of_text(text));
    return;
  }
  moire__hlo_lexer behind = p->lexer;
  moire__hlo_token first = moire__hlo_lex(&behind), second = moire__hlo_lex(&behind);
  if (first.kind == MOIRE__HLO_SIGN && *first.text == '[') {
    moire__hlo_advance(p);
    parse_lists(p, op, name);
    moire__hlo_want(p, '>');
  } else if (second.kind == MOIRE__HLO_SIGN && *second.text == '=') {
    moire__hlo_advance(p);
    parse_entries(p, op, name, '>');
  } else if (first.kind == MOIRE__HLO_WORD && second.kind == MOIRE__HLO_WORD) { /* the kind and the value */
    moire__hlo_advance(p);
    moire__hlo_advance(p);
    moire__hlo_add_attribute(p, op, name, of_text(moire__hlo_token_text(p)));
    moire__hlo_advance(p);
    moire__hlo_want(p, '>');
  } else {
    moire__hlo_add_attribute(p, op, name, parse_raw(p));
  }
}

void moire__hlo_parse_attribute(moire__hlo_parser *p, moire__hlo_op *op, const char *name) {
  if (!moire__hlo_enter(p)) return;
  if (moire__hlo_at_sign(p, '[')) {
    parse_lists(p, op, name);
  } else if (moire__hlo_at_sign(p, '{')) {
    moire__hlo_parse_dictionary(p, op, name);
  } else if (p->now.kind == MOIRE__HLO_ALIAS) {
    parse_alias(p, op, name);
  } else if (moire__hlo_at_word(p, "array")) {
    moire__hlo_add_attribute(p, op, name, parse_array(p));
  } else if (moire__hlo_at_word(p, "dense") && !strcmp(name, "value")) {
    moire__hlo_body body = moire__hlo_parse_dense(p);
    moire__hlo_want(p, ':');
    moire__hlo_type type = moire__hlo_parse_type(p);
    op->literal = moire__hlo_make_literal(p, body, &type);
  } else if (moire__hlo_at_word(p, "dense")) {
    list l = {0};
    add_dense(p, &l);
    moire__hlo_add_attribute(p, op, name, of_list(&l));
  } else if (moire__hlo_at_sign(p, '(')) { /* the type of a function */
    moire__argument text = parse_raw(p);
    if (p->now.kind == MOIRE__HLO_ARROW) {
      moire__hlo_advance(p);
      moire__hlo_parse_type(p);
    }
    moire__hlo_add_attribute(p, op, name, text);
  } else {
    moire__hlo_add_attribute(p, op, name, parse_item(p));
  }
  moire__hlo_leave(p);
}

/* ---- places -----------------------------------------------------------------------------------------------
 */

static int add_place(moire__hlo_parser *p, moire__hlo_place place) {
  moire__hlo_module *m = p->module;
  MOIRE__PUSH(p->arena, m->places, m->n_places, m->place_capacity, place);
  return m->n_places - 1;
}

static int parse_inside(moire__hlo_parser *p);

/* "file":1:2 to 3:4, "name", "name"(place) */
static int parse_quoted(moire__hlo_parser *p) {
  moire__hlo_place place = {.inner = -1};
  const char *text = moire__hlo_token_text(p);
  moire__hlo_advance(p);
  if (moire__hlo_take_sign(p, ':')) {
    place.file = text;
    if (p->now.kind == MOIRE__HLO_NUMBER) place.line = atoi(moire__hlo_token_text(p));
    while (!p->failed && p->now.kind != MOIRE__HLO_END && !moire__hlo_at_sign(p, ')') &&
           !moire__hlo_at_sign(p, ',') && !moire__hlo_at_sign(p, ']') && !moire__hlo_at_word(p, "at"))
      moire__hlo_advance(p);
    return add_place(p, place);
  }
  place.name = text;
  if (moire__hlo_take_sign(p, '(')) {
    place.inner = parse_inside(p);
    moire__hlo_want(p, ')');
  }
  return add_place(p, place);
}

/* fused<..>[a, b]: the first that says something. */
static int parse_fused(moire__hlo_parser *p) {
  int first = -1;
  if (moire__hlo_at_sign(p, '<')) moire__hlo_skip_brackets(p);
  moire__hlo_want(p, '[');
  while (!p->failed && !moire__hlo_at_sign(p, ']')) {
    int place = parse_inside(p);
    if (first < 0) first = place;
    if (!moire__hlo_take_sign(p, ',')) break;
  }
  moire__hlo_want(p, ']');
  return first;
}

static int parse_inside(moire__hlo_parser *p) {
  int found = -1;
  if (!moire__hlo_enter(p)) return -1;
  if (p->now.kind == MOIRE__HLO_STRING) {
    found = parse_quoted(p);
  } else if (p->now.kind == MOIRE__HLO_ALIAS) {
    found = add_place(p, (moire__hlo_place){.alias = moire__hlo_token_text(p), .inner = -1});
    moire__hlo_advance(p);
  } else if (moire__hlo_take_word(p, "callsite")) {
    moire__hlo_want(p, '(');
    found = parse_inside(p);
    if (!moire__hlo_take_word(p, "at")) moire__hlo_fail(p, "callsite: wanted at");
    parse_inside(p);
    moire__hlo_want(p, ')');
  } else if (moire__hlo_take_word(p, "fused")) {
    found = parse_fused(p);
  } else if (!moire__hlo_take_word(p, "unknown")) {
    moire__hlo_fail(p, "loc: wanted a place");
  }
  moire__hlo_leave(p);
  return found;
}

int moire__hlo_parse_place(moire__hlo_parser *p) {
  moire__hlo_advance(p);
  moire__hlo_want(p, '(');
  int place = parse_inside(p);
  moire__hlo_want(p, ')');
  return place;
}

int moire__hlo_parse_optional_place(moire__hlo_parser *p) {
  return moire__hlo_at_word(p, "loc") ? moire__hlo_parse_place(p) : -1;
}
