/* StableHLO text: operations, in the generic and in the pretty form. See parse.h.
 *
 * The pretty form is read by what it is made of rather than by operation: operands, attributes with names,
 * words, ranges in brackets, and types behind a colon. reduce, while and the operations that return are read by
 * themselves.
 */
#include "compiler/import/hlo/parse.h"

#include <stdlib.h>
#include <string.h>

/* ---- operands ---------------------------------------------------------------------------------------------
 */

static void add_operand(moire__hlo_parser *p, moire__hlo_op *op, int value) {
  MOIRE__PUSH(p->arena, op->operands, op->n_operands, op->operand_capacity, value);
}

/* %a or %a#1: its value; 0 with a failure where nothing before makes it. */
static int parse_value(moire__hlo_parser *p) {
  if (p->now.kind != MOIRE__HLO_VALUE) {
    moire__hlo_fail(p, "wanted a value");
    return 0;
  }
  const moire__hlo_name *name = moire__hlo_look_up(p, p->now.text, p->now.n);
  if (!name) {
    moire__hlo_fail(p, "a value that nothing before it makes");
    return 0;
  }
  int value = name->value, count = name->count;
  moire__hlo_advance(p);
  if (p->now.kind == MOIRE__HLO_ALIAS && p->now.n < 8) {
    int k = atoi(moire__hlo_token_text(p));
    if (k < 0 || k >= count) moire__hlo_fail(p, "there are %d results", count);
    value += k;
    moire__hlo_advance(p);
  }
  return p->failed ? 0 : value;
}

static void parse_values(moire__hlo_parser *p, moire__hlo_op *op) {
  if (p->now.kind != MOIRE__HLO_VALUE) return;
  do {
    add_operand(p, op, parse_value(p));
  } while (moire__hlo_take_sign(p, ','));
}

/* ---- types of results -------------------------------------------------------------------------------------
 */

static void add_type(moire__hlo_parser *p, moire__hlo_types *to) {
  moire__hlo_type type = moire__hlo_parse_type(p);
  MOIRE__PUSH(p->arena, to->items, to->n, to->capacity, type);
}

/* A type, or several in brackets. */
static void parse_types(moire__hlo_parser *p, moire__hlo_types *to) {
  if (!moire__hlo_take_sign(p, '(')) {
    add_type(p, to);
    return;
  }
  while (!p->failed && !moire__hlo_at_sign(p, ')')) {
    add_type(p, to);
    if (!moire__hlo_take_sign(p, ',')) break;
  }
  moire__hlo_want(p, ')');
}

/* (..) -> .., t -> t, or the types of all, or the one of all. Of several the last n_results are the results'.
 */
static void parse_signature(moire__hlo_parser *p, moire__hlo_op *op) {
  if (moire__hlo_at_sign(p, '(')) {
    parse_types(p, &op->operand_types);
    if (p->now.kind != MOIRE__HLO_ARROW) moire__hlo_fail(p, "wanted ->");
    moire__hlo_advance(p);
    parse_types(p, &op->types);
    return;
  }
  do {
    add_type(p, &op->types);
  } while (moire__hlo_take_sign(p, ','));
  op->operand_types = op->types;
  if (p->now.kind == MOIRE__HLO_ARROW) {
    op->types = (moire__hlo_types){0};
    moire__hlo_advance(p);
    parse_types(p, &op->types);
    return;
  }
  if (op->types.n > op->n_results && op->n_results > 0) {
    op->types.items += op->types.n - op->n_results;
    op->types.n = op->types.capacity = op->n_results;
  }
}

/* ---- regions ----------------------------------------------------------------------------------------------
 */

static void parse_op(moire__hlo_parser *p, moire__hlo_region *region);

static int declare_here(moire__hlo_parser *p) {
  int value = -1;
  if (p->now.kind != MOIRE__HLO_VALUE) {
    moire__hlo_fail(p, "wanted the name of a value");
    return value;
  }
  value = moire__hlo_declare(p, p->now.text, p->now.n, 1);
  moire__hlo_advance(p);
  return value;
}

void moire__hlo_parse_argument(moire__hlo_parser *p, moire__hlo_region *region) {
  moire__hlo_op ignored = {0};
  moire__hlo_port port = {.name = "", .place = -1};
  int value = declare_here(p);
  MOIRE__PUSH(p->arena, region->arguments, region->n_arguments, region->argument_capacity, value);
  moire__hlo_want(p, ':');
  port.type = moire__hlo_parse_type(p);
  if (moire__hlo_at_sign(p, '{')) moire__hlo_parse_dictionary(p, &ignored, "");
  port.place = moire__hlo_parse_optional_place(p);
  MOIRE__PUSH(p->arena, region->ports, region->n_ports, region->port_capacity, port);
}

static moire__hlo_region *add_region(moire__hlo_parser *p, moire__hlo_op *op) {
  moire__hlo_region none = {0};
  MOIRE__PUSH(p->arena, op->regions, op->n_regions, op->region_capacity, none);
  return &op->regions[op->n_regions - 1];
}

static void parse_ops(moire__hlo_parser *p, moire__hlo_region *region) {
  while (!p->failed && !moire__hlo_at_sign(p, '}')) {
    if (p->now.kind == MOIRE__HLO_END) {
      moire__hlo_fail(p, "the text ends within a region");
    } else if (p->now.kind == MOIRE__HLO_BLOCK) {
      moire__hlo_fail(p, "a region of several blocks");
    } else {
      parse_op(p, region);
    }
  }
}

static void parse_block_arguments(moire__hlo_parser *p, moire__hlo_region *region) {
  if (p->now.kind != MOIRE__HLO_BLOCK) return;
  moire__hlo_advance(p);
  if (moire__hlo_take_sign(p, '(')) {
    while (!p->failed && !moire__hlo_at_sign(p, ')')) {
      moire__hlo_parse_argument(p, region);
      if (!moire__hlo_take_sign(p, ',')) break;
    }
    moire__hlo_want(p, ')');
  }
  moire__hlo_want(p, ':');
}

void moire__hlo_parse_region(moire__hlo_parser *p, moire__hlo_region *region) {
  if (!moire__hlo_enter(p)) return;
  int seen = p->n_names;
  moire__hlo_want(p, '{');
  parse_block_arguments(p, region);
  parse_ops(p, region);
  moire__hlo_want(p, '}');
  moire__hlo_forget(p, seen);
  moire__hlo_leave(p);
}

/* ---- the generic form -------------------------------------------------------------------------------------
 */

void moire__hlo_parse_generic(moire__hlo_parser *p, moire__hlo_op *op) {
  op->name = moire__hlo_token_text(p);
  moire__hlo_advance(p);
  moire__hlo_want(p, '(');
  parse_values(p, op);
  moire__hlo_want(p, ')');
  if (moire__hlo_take_sign(p, '<')) {
    moire__hlo_parse_dictionary(p, op, "");
    moire__hlo_want(p, '>');
  }
  if (moire__hlo_take_sign(p, '(')) {
    do {
      moire__hlo_parse_region(p, add_region(p, op));
    } while (moire__hlo_take_sign(p, ','));
    moire__hlo_want(p, ')');
  }
  if (moire__hlo_at_sign(p, '{')) moire__hlo_parse_dictionary(p, op, "");
  moire__hlo_want(p, ':');
  parse_signature(p, op);
}

/* ---- reduce and while in the pretty form ------------------------------------------------------------------
 */

/* Operands in pairs become all first, then all second ones. */
static void part_pairs(moire__hlo_parser *p, moire__hlo_op *op) {
  int n = op->n_operands / 2;
  int *parted = moire__arena_array(p->arena, (size_t)op->n_operands + 1, sizeof *parted);
  for (int i = 0; i < 2 * n; i++) parted[i / 2 + (i % 2 ? n : 0)] = op->operands[i];
  op->operands = parted;
  op->operand_capacity = 2 * n + 1;
}

/* reducer(%a: t, %b: t) (%c: t, %d: t) { .. }, whose arguments are those of the first operand, then of the
 * second.
 */
static void parse_reducer(moire__hlo_parser *p, moire__hlo_op *op) {
  moire__hlo_region *region = add_region(p, op), pairs = {0};
  int seen = p->n_names;
  while (moire__hlo_take_sign(p, '(')) {
    for (int i = 0; i < 2; i++) {
      moire__hlo_parse_argument(p, &pairs);
      if (i == 0) moire__hlo_want(p, ',');
    }
    moire__hlo_want(p, ')');
  }
  int n = pairs.n_arguments / 2;
  for (int half = 0; half < 2; half++) {
    for (int i = 0; i < n; i++)
      MOIRE__PUSH(p->arena, region->arguments, region->n_arguments, region->argument_capacity,
                  pairs.arguments[2 * i + half]);
  }
  moire__hlo_parse_region(p, region);
  moire__hlo_forget(p, seen);
}

/* (%a init: %b), (%c init: %d) applies stablehlo.add across dimensions = [0] : signature reducer .. */
static void parse_reduce(moire__hlo_parser *p, moire__hlo_op *op) {
  do {
    moire__hlo_want(p, '(');
    add_operand(p, op, parse_value(p));
    if (!moire__hlo_take_word(p, "init")) moire__hlo_fail(p, "reduce: wanted init:");
    moire__hlo_want(p, ':');
    add_operand(p, op, parse_value(p));
    moire__hlo_want(p, ')');
  } while (moire__hlo_take_sign(p, ','));
  part_pairs(p, op);
  if (moire__hlo_take_word(p, "applies")) {
    moire__argument applied = {.kind = MOIRE__ARGUMENT_TEXT, .text = moire__hlo_token_text(p)};
    moire__hlo_add_attribute(p, op, "applies", applied);
    moire__hlo_advance(p);
  }
  if (!moire__hlo_take_word(p, "across") || !moire__hlo_take_word(p, "dimensions"))
    moire__hlo_fail(p, "reduce: wanted across dimensions");
  moire__hlo_want(p, '=');
  moire__hlo_parse_attribute(p, op, "dimensions");
  if (moire__hlo_at_sign(p, '{')) moire__hlo_parse_dictionary(p, op, "");
  moire__hlo_want(p, ':');
  parse_signature(p, op);
  if (moire__hlo_take_word(p, "reducer")) parse_reducer(p, op);
}

/* (%a = %x, ..) : types attributes {..} cond { .. } do { .. } */
static void parse_while(moire__hlo_parser *p, moire__hlo_op *op) {
  typedef struct argument {
    const char *text;
    size_t n;
  } argument;
  argument *arguments = NULL;
  int n = 0, capacity = 0;
  moire__hlo_want(p, '(');
  while (!p->failed && !moire__hlo_at_sign(p, ')')) {
    argument a = {p->now.text, p->now.n};
    if (p->now.kind != MOIRE__HLO_VALUE) moire__hlo_fail(p, "while: wanted a name");
    moire__hlo_advance(p);
    moire__hlo_want(p, '=');
    MOIRE__PUSH(p->arena, arguments, n, capacity, a);
    add_operand(p, op, parse_value(p));
    if (!moire__hlo_take_sign(p, ',')) break;
  }
  moire__hlo_want(p, ')');
  if (moire__hlo_take_sign(p, ':')) parse_signature(p, op);
  if (moire__hlo_take_word(p, "attributes")) moire__hlo_parse_dictionary(p, op, "");
  for (int i = 0; i < 2; i++) {
    int seen = p->n_names;
    if (!moire__hlo_take_word(p, i ? "do" : "cond")) moire__hlo_fail(p, "while: wanted %s", i ? "do" : "cond");
    moire__hlo_region *region = add_region(p, op);
    for (int k = 0; k < n && !p->failed; k++) {
      int value = moire__hlo_declare(p, arguments[k].text, arguments[k].n, 1);
      MOIRE__PUSH(p->arena, region->arguments, region->n_arguments, region->argument_capacity, value);
    }
    moire__hlo_parse_region(p, region);
    moire__hlo_forget(p, seen);
  }
}

/* ---- the pretty form --------------------------------------------------------------------------------------
 */

/* [0:3, 1:4:2] */
static void parse_ranges(moire__hlo_parser *p, moire__hlo_op *op) {
  enum { MOST = MOIRE_MAX_RANK };
  static const char *const names[] = {"start_indices", "limit_indices", "strides"};
  moire__argument *items = moire__arena_array(p->arena, 3 * MOST, sizeof *items);
  int n = 0;
  moire__hlo_want(p, '[');
  while (!p->failed && !moire__hlo_at_sign(p, ']')) {
    if (n == MOST) moire__hlo_fail(p, "more than %d ranges", MOST);
    for (int i = 0; i < 3 && !p->failed; i++) {
      moire__argument *a = &items[i * MOST + n];
      *a = (moire__argument){.kind = MOIRE__ARGUMENT_INT, .integer = 1};
      if (i == 2 && !moire__hlo_take_sign(p, ':')) break;
      if (i == 1) moire__hlo_want(p, ':');
      if (p->now.kind != MOIRE__HLO_NUMBER) moire__hlo_fail(p, "wanted start:end:step");
      if (!p->failed) a->integer = strtoll(moire__hlo_token_text(p), NULL, 10);
      moire__hlo_advance(p);
    }
    n++;
    if (!moire__hlo_take_sign(p, ',')) break;
  }
  moire__hlo_want(p, ']');
  for (int i = 0; i < 3; i++) {
    moire__argument a = {.kind = MOIRE__ARGUMENT_LIST, .items = items + i * MOST, .n = n};
    moire__hlo_add_attribute(p, op, names[i], a);
  }
}

/* A word: the name of an attribute, or one by itself, which is the attribute word0, word1, .. */
static void parse_word(moire__hlo_parser *p, moire__hlo_op *op, int *n_words) {
  const char *text = moire__hlo_token_text(p);
  moire__hlo_advance(p);
  if (moire__hlo_take_sign(p, '=')) {
    moire__hlo_parse_attribute(p, op, text);
    return;
  }
  moire__argument a = {.kind = MOIRE__ARGUMENT_TEXT, .text = text};
  moire__hlo_add_attribute(p, op, moire__arena_printf(p->arena, "word%d", (*n_words)++), a);
}

/* %a = or %a:2 =, which is where the next operation begins. */
static bool at_results(const moire__hlo_parser *p) {
  moire__hlo_lexer behind = p->lexer;
  if (p->now.kind != MOIRE__HLO_VALUE) return false;
  moire__hlo_token next = moire__hlo_lex(&behind), second = moire__hlo_lex(&behind);
  return moire__hlo_is(&next, MOIRE__HLO_SIGN, "=") ||
         (moire__hlo_is(&next, MOIRE__HLO_SIGN, ":") && second.kind == MOIRE__HLO_NUMBER);
}

static void parse_pretty(moire__hlo_parser *p, moire__hlo_op *op) {
  moire__hlo_body body = {0};
  int n_words = 0;
  while (!p->failed && !moire__hlo_at_sign(p, ':') && !moire__hlo_at_sign(p, '}') &&
         !moire__hlo_at_word(p, "loc") && !at_results(p)) {
    if (p->now.kind == MOIRE__HLO_VALUE) {
      add_operand(p, op, parse_value(p));
    } else if (p->now.kind == MOIRE__HLO_SYMBOL) {
      moire__argument a = {.kind = MOIRE__ARGUMENT_TEXT, .text = moire__hlo_token_text(p)};
      moire__hlo_add_attribute(p, op, "callee", a);
      moire__hlo_advance(p);
    } else if (moire__hlo_take_sign(p, '(') || moire__hlo_take_sign(p, ')') || moire__hlo_take_sign(p, ',')) {
      continue; /* what is between them is what it would be without */
    } else if (moire__hlo_at_sign(p, '[')) {
      parse_ranges(p, op);
    } else if (moire__hlo_at_sign(p, '{')) {
      moire__hlo_parse_dictionary(p, op, "");
    } else if (moire__hlo_at_word(p, "dense")) {
      body = moire__hlo_parse_dense(p);
    } else if (p->now.kind == MOIRE__HLO_WORD) {
      parse_word(p, op, &n_words);
    } else if (p->now.kind == MOIRE__HLO_STRING) { /* stablehlo.composite "name" */
      moire__argument a = {.kind = MOIRE__ARGUMENT_TEXT, .text = moire__hlo_token_text(p)};
      moire__hlo_add_attribute(p, op, "name", a);
      moire__hlo_advance(p);
    } else {
      moire__hlo_fail(p, "%.60s is not read", op->name);
    }
  }
  if (!moire__hlo_take_sign(p, ':')) return;
  parse_signature(p, op);
  if (body.begin && op->types.n > 0) op->literal = moire__hlo_make_literal(p, body, &op->types.items[0]);
}

static bool is_one_of(const char *name, const char *const *names) {
  while (*names && strcmp(*names, name) != 0) names++;
  return *names != NULL;
}

static void parse_by_name(moire__hlo_parser *p, moire__hlo_op *op) {
  static const char *const returns[] = {"return", "func.return", "stablehlo.return", "mhlo.return", NULL};
  op->name = moire__hlo_token_text(p);
  moire__hlo_advance(p);
  if (is_one_of(op->name, returns)) {
    op->name = "return";
    parse_values(p, op);
    if (moire__hlo_at_sign(p, '{')) moire__hlo_parse_dictionary(p, op, "");
    if (moire__hlo_take_sign(p, ':')) parse_signature(p, op);
  } else if (!strcmp(op->name, "stablehlo.reduce")) {
    parse_reduce(p, op);
  } else if (!strcmp(op->name, "stablehlo.while")) {
    parse_while(p, op);
  } else {
    parse_pretty(p, op);
  }
}

/* ---- one operation ----------------------------------------------------------------------------------------
 */

typedef struct result_name {
  const char *text;
  size_t n;
  int count;
} result_name;

/* %a, %b:2 = */
static int parse_result_names(moire__hlo_parser *p, moire__hlo_op *op, result_name **names) {
  enum { MOST_RESULTS = 1 << 16 };
  int n = 0, capacity = 0;
  if (p->now.kind != MOIRE__HLO_VALUE) return 0;
  do {
    result_name r = {p->now.text, p->now.n, 1};
    if (p->now.kind != MOIRE__HLO_VALUE) moire__hlo_fail(p, "wanted the name of a result");
    moire__hlo_advance(p);
    if (moire__hlo_take_sign(p, ':')) {
      r.count = p->now.kind == MOIRE__HLO_NUMBER && p->now.n < 6 ? atoi(moire__hlo_token_text(p)) : 0;
      if (r.count < 1 || op->n_results + r.count > MOST_RESULTS)
        moire__hlo_fail(p, "wanted a number of results");
      moire__hlo_advance(p);
    }
    op->n_results += r.count;
    MOIRE__PUSH(p->arena, *names, n, capacity, r);
  } while (moire__hlo_take_sign(p, ','));
  moire__hlo_want(p, '=');
  return n;
}

static void parse_op(moire__hlo_parser *p, moire__hlo_region *region) {
  moire__hlo_op op = {.line = p->now.line, .place = -1};
  result_name *names = NULL;
  int n_names = parse_result_names(p, &op, &names);
  if (p->now.kind == MOIRE__HLO_STRING) {
    moire__hlo_parse_generic(p, &op);
    if (!strcmp(op.name, "func.return") || !strcmp(op.name, "stablehlo.return")) op.name = "return";
  } else if (p->now.kind == MOIRE__HLO_WORD) {
    parse_by_name(p, &op);
  } else {
    moire__hlo_fail(p, "wanted an operation");
  }
  op.place = moire__hlo_parse_optional_place(p);
  op.first_result = p->n_values;
  for (int i = 0; i < n_names && !p->failed; i++)
    moire__hlo_declare(p, names[i].text, names[i].n, names[i].count);
  if (!p->failed) MOIRE__PUSH(p->arena, region->ops, region->n_ops, region->op_capacity, op);
}
