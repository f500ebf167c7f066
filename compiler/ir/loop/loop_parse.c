/* Reads the text of a kernel back, by recursive descent. Newlines are space; `//` begins a comment.
 *
 *   kernel    := kernel @NAME [< WORD {, WORD} >] ( [role {, role}] ) parallel %NAME < count { {head} block }
 *   role      := (in | out | inout) TYPE %NAME [ dim ]
 *   count     := dim | ceil( dim / INT )
 *   head      := source STRING : INT | local TYPE %NAME [ dim ]
 *   block     := {statement}         which may end with `at STRING : INT`, before the block of its own
 *   statement := %NAME = OP operands : TYPE        OP neither load, word nor get
 *              | %NAME = (load | word) %NAME [ operand ] : TYPE
 *              | %NAME = get $NAME : TYPE
 *              | var $NAME = operand : TYPE
 *              | set $NAME = operand
 *              | reduce $NAME OP operand
 *              | store %NAME [ operand ] = operand
 *              | for %NAME = operand to operand [step INT] [vector INT] { block }
 *              | if operand { block }
 *              | turn %NAME [ operand ] pitch INT = %NAME [ operand ] pitch operand side INT
 *              | tile INT (= zero | += dot INT , INT)
 *              | tile INT (= load | to) %NAME [ operand ] pitch INT
 *   operand   := %NAME | NUMBER [_TYPE] | true | false | inf | nan | inf_f64 | nan_f64 | dim
 *   dim       := INT | [INT *] WORD
 *
 * A name is used after it was given, once in a kernel; values, buffers and variables have names of their own.
 * NAME and WORD may be quoted. Nothing in the text can do harm: every mistake is a sentence with its line.
 */
#include "compiler/ir/loop/loop_private.h"
#include "compiler/ir/loop/loop_scan.h"

#include <math.h>
#include <string.h>

typedef struct parser {
  moire__scan scan;
  moire__loop_kernel *kernel;
  moire__loop_builder builder;
} parser;

/* ---- types and operations -------------------------------------------------------------------------------- */

static bool read_op(moire__scan *s, moire__loop_op *op) {
  for (int o = MOIRE__LOOP_add; o < MOIRE__LOOP_OP_COUNT; o++) {
    *op = (moire__loop_op)o;
    if (moire__scan_accept(s, moire__loop_op_name(*op))) return true;
  }
  return moire__scan_expected(s, "an operation");
}

/* ---- operands -------------------------------------------------------------------------------------------- */

static int find_extent(const moire__loop_kernel *k, const char *word) {
  for (int i = 1; i <= k->n_extents; i++) {
    if (strcmp(k->extents[i], word) == 0) return i;
  }
  return 0;
}

/* B or B*T: multiplies *dim. */
static bool read_extents_of(parser *p, moire_dim *dim) {
  do {
    const char *word = moire__scan_word(&p->scan, "a size or a named extent");
    if (!word) return false;
    int extent = find_extent(p->kernel, word);
    if (!extent) return moire__scan_fail(&p->scan, "the kernel has no extent %s", word);
    if (!moire__dim_multiply(*dim, moire__dim_make(1, extent), dim))
      return moire__scan_fail(&p->scan, "more than %d extents in one", MOIRE_MAX_FACTORS);
  } while (moire__scan_accept(&p->scan, "*"));
  return true;
}

static bool begins_number(moire__scan *s) {
  moire__scan_space(s);
  const char *digit = *s->at == '-' ? s->at + 1 : s->at;
  return (*digit >= '0' && *digit <= '9') || digit > s->at;
}

static bool read_dim(parser *p, moire_dim *dim) {
  const int64_t largest = ((int64_t)1 << 48) - 1; /* factor of a moire_dim */
  int64_t factor = 1;
  bool has_factor = begins_number(&p->scan);
  if (has_factor && !moire__scan_int(&p->scan, 0, largest, &factor)) return false;
  *dim = factor;
  return (has_factor && !moire__scan_accept(&p->scan, "*")) || read_extents_of(p, dim);
}

/* A constant that is a word; 0 if none comes next. */
static moire__loop_value read_named(parser *p) {
  static const struct {
    const char *word;
    moire__loop_type type;
    double value;
  } words[] = {{"true", MOIRE__LOOP_BOOL, 1},
               {"false", MOIRE__LOOP_BOOL, 0},
               {"inf", MOIRE__LOOP_F32, (double)INFINITY},
               {"nan", MOIRE__LOOP_F32, (double)NAN},
               {"inf_f64", MOIRE__LOOP_F64, (double)INFINITY},
               {"nan_f64", MOIRE__LOOP_F64, (double)NAN}};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (moire__scan_accept(&p->scan, words[i].word)) {
      return moire__loop_const(&p->builder, words[i].type, words[i].value);
    }
  }
  return 0;
}

/* 0 after a failure. */
static moire__loop_value read_operand(parser *p) {
  moire__scan *s = &p->scan;
  moire__loop_value_info info = {.op = MOIRE__LOOP_const};
  moire__scan_space(s);
  if (*s->at == '%') return moire__scan_known(s, MOIRE__SCAN_VALUE);
  moire__loop_value named = read_named(p);
  if (named) return named;
  if (begins_number(s)) {
    const char *start = s->at;
    int line = s->line;
    if (!moire__scan_constant(s, &info)) return 0;
    if (!moire__scan_accept(s, "*")) return moire__loop_share(p->kernel, info);
    s->at = start; /* it was the factor of an extent */
    s->line = line;
  }
  info = (moire__loop_value_info){.op = MOIRE__LOOP_extent, .type = MOIRE__LOOP_I64};
  return read_dim(p, &info.integer) ? moire__loop_share(p->kernel, info) : 0;
}

static bool read_address(parser *p, moire__loop_buffer *buffer, moire__loop_value *address) {
  return (*buffer = moire__scan_known(&p->scan, MOIRE__SCAN_BUFFER)) && moire__scan_expect(&p->scan, "[") &&
         (*address = read_operand(p)) && moire__scan_expect(&p->scan, "]");
}

/* ---- statements ------------------------------------------------------------------------------------------ */

/* "add does not take (i64, f32)" */
static bool fail_types(parser *p, const moire__loop_value_info *info) {
  moire__text types = {0};
  for (int i = 0; i < info->n_operands; i++) {
    moire__text_add(&types, "%s%s", i ? ", " : "",
                    moire__loop_type_name(p->kernel->values[info->operands[i]].type));
  }
  moire__scan_fail(&p->scan, "%s does not take (%s)", moire__loop_op_name(info->op),
                   moire__text_string(&types));
  moire__text_free(&types);
  return false;
}

/* Operands of `info->op`, and the type that follows from them: void where only the text can say it. */
static bool read_operation(parser *p, moire__loop_value_info *info) {
  moire__loop_type types[5] = {MOIRE__LOOP_VOID};
  if (info->op == MOIRE__LOOP_load || info->op == MOIRE__LOOP_word) {
    info->n_operands = 1;
    if (!read_address(p, &info->buffer, &info->operands[0])) return false;
    moire__loop_type element = p->kernel->buffers[info->buffer].type;
    info->type = info->op == MOIRE__LOOP_load ? moire__loop_type_loaded(element) : MOIRE__LOOP_I32;
    if (info->op == MOIRE__LOOP_load || element == MOIRE__LOOP_BF16) return true;
    return moire__scan_fail(&p->scan, "a word is read from a bf16 buffer, not from one of %s",
                            moire__loop_type_name(element));
  }
  if (info->op == MOIRE__LOOP_get) {
    info->var = moire__scan_known(&p->scan, MOIRE__SCAN_VAR);
    if (info->var) info->type = p->kernel->vars[info->var].type;
    return info->var != 0;
  }
  info->n_operands = moire__loop_op_arity(info->op);
  for (int i = 0; i < info->n_operands; i++) {
    if (i && !moire__scan_expect(&p->scan, ",")) return false;
    if (!(info->operands[i] = read_operand(p))) return false;
    types[i] = p->kernel->values[info->operands[i]].type;
  }
  info->type = moire__loop_result_type(info->op, types);
  return info->op == MOIRE__LOOP_cast || info->type != MOIRE__LOOP_VOID || fail_types(p, info);
}

static bool read_let(parser *p) {
  moire__loop_value_info info = {0};
  moire__loop_type type;
  const char *name = moire__scan_new(&p->scan, MOIRE__SCAN_VALUE);
  if (!name || !moire__scan_expect(&p->scan, "=") || !read_op(&p->scan, &info.op)) return false;
  if (!read_operation(p, &info)) return false;
  if (!moire__scan_expect(&p->scan, ":") || !moire__scan_type(&p->scan, &type)) return false;
  if (info.op == MOIRE__LOOP_cast) info.type = type;
  if (info.type != type) {
    return moire__scan_fail(&p->scan, "this %s gives %s, not %s", moire__loop_op_name(info.op),
                            moire__loop_type_name(info.type), moire__loop_type_name(type));
  }
  return moire__scan_define(&p->scan, MOIRE__SCAN_VALUE, name, moire__loop_let(&p->builder, info));
}

static bool read_declare(parser *p) {
  moire__loop_type type;
  moire__loop_value init;
  const char *name = moire__scan_new(&p->scan, MOIRE__SCAN_VAR);
  if (!name || !moire__scan_expect(&p->scan, "=") || !(init = read_operand(p))) return false;
  if (!moire__scan_expect(&p->scan, ":") || !moire__scan_type(&p->scan, &type)) return false;
  if (p->kernel->values[init].type != type) {
    return moire__scan_fail(&p->scan, "the variable is %s, its first value %s", moire__loop_type_name(type),
                            moire__loop_type_name(p->kernel->values[init].type));
  }
  return moire__scan_define(&p->scan, MOIRE__SCAN_VAR, name, moire__loop_declare(&p->builder, init));
}

static bool read_set(parser *p) {
  moire__loop_var var = moire__scan_known(&p->scan, MOIRE__SCAN_VAR);
  if (!var || !moire__scan_expect(&p->scan, "=")) return false;
  moire__loop_value value = read_operand(p);
  if (value) moire__loop_set(&p->builder, var, value);
  return value != 0;
}

static bool read_reduce(parser *p) {
  moire__loop_op combine;
  moire__loop_var var = moire__scan_known(&p->scan, MOIRE__SCAN_VAR);
  if (!var || !read_op(&p->scan, &combine)) return false;
  moire__loop_value value = read_operand(p);
  if (value) moire__loop_reduce(&p->builder, var, combine, value);
  return value != 0;
}

static bool read_store(parser *p) {
  moire__loop_buffer buffer;
  moire__loop_value address;
  if (!read_address(p, &buffer, &address) || !moire__scan_expect(&p->scan, "=")) return false;
  moire__loop_value value = read_operand(p);
  if (value) moire__loop_store(&p->builder, buffer, address, value);
  return value != 0;
}

static bool read_fetch(parser *p) {
  moire__loop_buffer buffer;
  moire__loop_value address;
  if (!read_address(p, &buffer, &address)) return false;
  moire__loop_fetch(&p->builder, buffer, address);
  return true;
}

static bool read_block(parser *p);

/* STRING : INT */
static bool read_source(parser *p, moire_source *source) {
  int64_t line;
  const char *file = moire__scan_string(&p->scan);
  if (!file || !moire__scan_expect(&p->scan, ":")) return false;
  if (!moire__scan_int(&p->scan, INT32_MIN, INT32_MAX, &line)) return false;
  *source = (moire_source){moire__arena_copy_string(p->kernel->arena, file), (int)line};
  return true;
}

/* The source of the statement that was read last, if there is one. */
static bool read_at(parser *p) {
  return !moire__scan_accept(&p->scan, "at") || read_source(p, &p->builder.last->at);
}

/* The block of a statement that `open` has opened. */
static bool read_body(parser *p) {
  if (!read_at(p) || !read_block(p)) return false;
  moire__loop_end(&p->builder);
  return true;
}

static bool check_depth(parser *p) {
  int most = (int)(sizeof p->builder.open / sizeof p->builder.open[0]);
  return p->builder.depth < most || moire__scan_fail(&p->scan, "more than %d nested blocks", most);
}

static bool read_for(parser *p) {
  moire__scan *s = &p->scan;
  moire__loop_value low, high;
  int64_t step = 1, lanes = 1;
  const char *name = moire__scan_new(s, MOIRE__SCAN_VALUE);
  if (!name || !moire__scan_expect(s, "=") || !(low = read_operand(p))) return false;
  if (!moire__scan_expect(s, "to") || !(high = read_operand(p))) return false;
  if (moire__scan_accept(s, "step") && !moire__scan_int(s, INT64_MIN, INT64_MAX, &step)) return false;
  if (moire__scan_accept(s, "vector") && !moire__scan_int(s, INT32_MIN, INT32_MAX, &lanes)) return false;
  if (!check_depth(p)) return false;
  moire__loop_value index = moire__loop_for(&p->builder, low, high, step, (int)lanes);
  return moire__scan_define(s, MOIRE__SCAN_VALUE, name, index) && read_body(p);
}

static bool read_if(parser *p) {
  moire__loop_value condition = read_operand(p);
  if (!condition || !check_depth(p)) return false;
  moire__loop_if(&p->builder, condition);
  return read_body(p);
}

static bool read_turn(parser *p) {
  moire__scan *s = &p->scan;
  moire__loop_buffer to, from;
  moire__loop_value to_at, from_at, from_pitch;
  int64_t to_pitch, side;
  if (!read_address(p, &to, &to_at) || !moire__scan_expect(s, "pitch")) return false;
  if (!moire__scan_int(s, 0, INT32_MAX, &to_pitch) || !moire__scan_expect(s, "=")) return false;
  if (!read_address(p, &from, &from_at) || !moire__scan_expect(s, "pitch")) return false;
  if (!(from_pitch = read_operand(p)) || !moire__scan_expect(s, "side")) return false;
  if (!moire__scan_int(s, 0, INT32_MAX, &side)) return false;
  moire__loop_turn(&p->builder, to, to_at, to_pitch, from, from_at, from_pitch, (int)side);
  return true;
}

static bool read_tile_number(parser *p, int *tile) {
  int64_t number;
  if (!moire__scan_int(&p->scan, 0, MOIRE__LOOP_TILES - 1, &number)) return false;
  *tile = (int)number;
  return true;
}

static bool read_tile_access(parser *p, int tile, bool loads) {
  moire__loop_buffer buffer;
  moire__loop_value address;
  int64_t pitch;
  if (!read_address(p, &buffer, &address) || !moire__scan_expect(&p->scan, "pitch")) return false;
  if (!moire__scan_int(&p->scan, 0, INT32_MAX, &pitch)) return false;
  (loads ? moire__loop_tile_load : moire__loop_tile_store)(&p->builder, tile, buffer, address, pitch);
  return true;
}

static bool read_tile(parser *p) {
  moire__scan *s = &p->scan;
  int tile, rows, columns;
  if (!read_tile_number(p, &tile)) return false;
  if (moire__scan_accept(s, "to")) return read_tile_access(p, tile, false);
  if (moire__scan_accept(s, "+=")) {
    if (!moire__scan_expect(s, "dot") || !read_tile_number(p, &rows) || !moire__scan_expect(s, ","))
      return false;
    if (!read_tile_number(p, &columns)) return false;
    moire__loop_tile_dot(&p->builder, tile, rows, columns);
    return true;
  }
  if (!moire__scan_expect(s, "=")) return false;
  if (moire__scan_accept(s, "load")) return read_tile_access(p, tile, true);
  moire__loop_tile_zero(&p->builder, tile);
  return moire__scan_expect(s, "zero");
}

static bool read_statement(parser *p) {
  static const struct {
    const char *word;
    bool (*read)(parser *p);
    bool nests;
  } forms[] = {{"var", read_declare, false}, {"set", read_set, false},     {"reduce", read_reduce, false},
               {"store", read_store, false}, {"fetch", read_fetch, false}, {"tile", read_tile, false},
               {"turn", read_turn, false},   {"for", read_for, true},      {"if", read_if, true}};
  moire__scan_space(&p->scan);
  if (*p->scan.at == '%') return read_let(p) && read_at(p);
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    if (moire__scan_accept(&p->scan, forms[i].word)) return forms[i].read(p) && (forms[i].nests || read_at(p));
  }
  return moire__scan_expected(&p->scan, "a statement or `}`");
}

static bool read_block(parser *p) {
  if (!moire__scan_expect(&p->scan, "{")) return false;
  while (!moire__scan_accept(&p->scan, "}")) {
    if (!read_statement(p)) return false;
  }
  return true;
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

static bool read_extents(parser *p) {
  const char **extents = moire__arena_array(p->kernel->arena, MOIRE_MAX_EXTENTS + 1, sizeof *extents);
  p->kernel->extents = extents;
  if (!moire__scan_accept(&p->scan, "<")) return true;
  do {
    const char *word = moire__scan_word(&p->scan, "the name of an extent");
    if (!word) return false;
    if (p->kernel->n_extents == MOIRE_MAX_EXTENTS) {
      return moire__scan_fail(&p->scan, "more than %d named extents", MOIRE_MAX_EXTENTS);
    }
    for (int i = 1; i <= p->kernel->n_extents; i++) {
      if (strcmp(extents[i], word) == 0) return moire__scan_fail(&p->scan, "a second extent %s", word);
    }
    extents[++p->kernel->n_extents] = moire__arena_copy_string(p->kernel->arena, word);
  } while (moire__scan_accept(&p->scan, ","));
  return moire__scan_expect(&p->scan, ">");
}

/* TYPE %NAME [ dim ] */
static bool read_buffer(parser *p, moire__buffer_role role) {
  moire__loop_type type;
  moire_dim elements;
  const char *name;
  if (!moire__scan_type(&p->scan, &type) || !(name = moire__scan_new(&p->scan, MOIRE__SCAN_BUFFER)))
    return false;
  if (!moire__scan_expect(&p->scan, "[") || !read_dim(p, &elements) || !moire__scan_expect(&p->scan, "]")) {
    return false;
  }
  bool local = role == MOIRE__BUFFER_LOCAL;
  if (local && !moire__dim_is_static(elements)) return moire__scan_fail(&p->scan, "a local has a static size");
  moire__loop_buffer buffer = local ? moire__loop_add_local(p->kernel, name, type, elements)
                                    : moire__loop_add_parameter(p->kernel, name, role, type, elements);
  return moire__scan_define(&p->scan, MOIRE__SCAN_BUFFER, name, buffer);
}

static bool read_parameters(parser *p) {
  if (!moire__scan_expect(&p->scan, "(")) return false;
  if (moire__scan_accept(&p->scan, ")")) return true;
  do {
    moire__buffer_role role = MOIRE__BUFFER_IN;
    if (moire__scan_accept(&p->scan, "out")) {
      role = MOIRE__BUFFER_OUT;
    } else if (moire__scan_accept(&p->scan, "inout")) {
      role = MOIRE__BUFFER_INOUT;
    } else if (!moire__scan_accept(&p->scan, "in")) {
      return moire__scan_expected(&p->scan, "`in`, `out` or `inout`");
    }
    if (!read_buffer(p, role)) return false;
  } while (moire__scan_accept(&p->scan, ","));
  return moire__scan_expect(&p->scan, ")");
}

/* count := dim | ceil( dim / INT ) */
static bool read_count(parser *p, moire_dim *count, int64_t *block) {
  const char *start = p->scan.at;
  int line = p->scan.line;
  bool blocks = moire__scan_accept(&p->scan, "ceil") && moire__scan_accept(&p->scan, "(");
  *block = 1;
  if (!blocks) { /* an extent may have that name */
    p->scan.at = start;
    p->scan.line = line;
  }
  if (!read_dim(p, count)) return false;
  return !blocks ||
         (moire__scan_expect(&p->scan, "/") && moire__scan_int(&p->scan, INT64_MIN, INT64_MAX, block) &&
          moire__scan_expect(&p->scan, ")"));
}

static bool read_head(parser *p) {
  moire_source *sources = NULL;
  int capacity = 0;
  for (;;) {
    if (moire__scan_accept(&p->scan, "local")) {
      if (!read_buffer(p, MOIRE__BUFFER_LOCAL)) return false;
    } else if (moire__scan_accept(&p->scan, "source")) {
      moire_source source;
      if (!read_source(p, &source)) return false;
      MOIRE__PUSH(p->kernel->arena, sources, p->kernel->n_sources, capacity, source);
      p->kernel->sources = sources;
    } else {
      return true;
    }
  }
}

static bool read_kernel(parser *p, moire__arena *arena) {
  moire__scan *s = &p->scan;
  moire_dim count;
  int64_t block;
  const char *name, *index;
  if (!moire__scan_expect(s, "kernel") || !(name = moire__scan_name(s, "@"))) return false;
  p->kernel = moire__loop_kernel_create(arena, name, NULL);
  if (!read_extents(p) || !read_parameters(p) || !moire__scan_expect(s, "parallel")) return false;
  if (!(index = moire__scan_new(s, MOIRE__SCAN_VALUE)) || !moire__scan_expect(s, "<")) return false;
  if (!read_count(p, &count, &block) || !moire__scan_expect(s, "{") || !read_head(p)) return false;
  p->builder = moire__loop_begin(p->kernel, count, block);
  if (!moire__scan_define(s, MOIRE__SCAN_VALUE, index, p->kernel->parallel)) return false;
  while (!moire__scan_accept(s, "}")) {
    if (!read_statement(p)) return false;
  }
  moire__scan_space(s);
  return *s->at == 0 || moire__scan_expected(s, "the end of the text");
}

moire__loop_kernel *moire__loop_parse(moire__arena *arena, const char *text, const char *file,
                                      moire_error *error) {
  parser p = {.scan = {.at = text, .file = file, .line = 1, .error = error}};
  bool good = read_kernel(&p, arena);
  moire__arena_free(&p.scan.names);
  return good ? p.kernel : NULL;
}
