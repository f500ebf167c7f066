/* Checks every invariant of a kernel that can be checked without running it (the list is in loop.h).
 *
 * One walk over the tree, in the order of execution. On the way it knows which values and variables are visible
 * (those of a block are forgotten at its end) and, inside a vector loop, which values vary over its lanes. The
 * first offence is a sentence that quotes its statement as printed:
 *
 *   kernel @softmax.3: `store %x[%v2] = %v9`: %x is an `in` buffer
 */
#include "compiler/ir/loop/loop_private.h"

#include <stdio.h>
#include <string.h>

typedef struct checker {
  const moire__loop_kernel *k;
  moire_error *error;
  moire__loop_names names;
  bool *value_seen, *value_done, *varies; /* by value: visible; has had its statement; over the lanes */
  bool *var_seen, *var_done, *var_inside; /* by variable; inside: declared in the current vector loop */
  moire__loop_op *combine;                /* by variable: of its reduces in the current vector loop, or COUNT */
  bool holds_sums[MOIRE__LOOP_TILES], holds_pairs[MOIRE__LOOP_TILES];
  int32_t *scope; /* visible values, and variables negated, in order */
  int n_scope;
  const moire__loop_statement *vector; /* the current vector loop, or NULL */
} checker;

static bool refuse(checker *c, const moire__loop_statement *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(checker *c, const moire__loop_statement *s, const char *format, ...) {
  char reason[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  moire__text line = {0};
  if (s) {
    moire__text_add_char(&line, '`');
    moire__loop_print_statement(c->k, &c->names, s, &line);
    moire__text_add(&line, "`: ");
  }
  moire_fail(c->error, MOIRE_ERROR_INTERNAL, "kernel @%.200s: %.300s%s", c->k->name, moire__text_string(&line),
             reason);
  moire__text_free(&line);
  return false;
}

static bool is_register_type(moire__loop_type type) {
  return type == MOIRE__LOOP_BOOL || moire__loop_type_is_int(type) || moire__loop_type_is_float(type);
}

/* ---- operands -------------------------------------------------------------------------------------------- */

static bool dim_exists(const moire__loop_kernel *k, moire_dim dim) {
  return moire__dim_is_sound(dim, k->n_extents);
}

static bool constant_is_good(const moire__loop_kernel *k, const moire__loop_value_info *info) {
  if (info->op == MOIRE__LOOP_extent) {
    return info->type == MOIRE__LOOP_I64 && dim_exists(k, info->integer);
  }
  if (info->type == MOIRE__LOOP_BOOL) return info->integer == 0 || info->integer == 1;
  if (info->type == MOIRE__LOOP_I32) return info->integer >= INT32_MIN && info->integer <= INT32_MAX;
  return is_register_type(info->type);
}

/* The value exists, is visible, and has the wanted type (VOID: any). `role` names it in the sentence. */
static bool check_value(checker *c, const moire__loop_statement *s, const char *role, moire__loop_value v,
                        moire__loop_type type) {
  if (v <= 0 || v >= c->k->n_values) return refuse(c, s, "the %s is value %d, which does not exist", role, v);
  const moire__loop_value_info *info = &c->k->values[v];
  if (info->op == MOIRE__LOOP_const || info->op == MOIRE__LOOP_extent) {
    if (!constant_is_good(c->k, info)) return refuse(c, s, "the %s is no constant of its type", role);
  } else if (!c->value_seen[v]) {
    return refuse(c, s, "the %s is not visible here", role);
  }
  if (type == MOIRE__LOOP_VOID || info->type == type) return true;
  return refuse(c, s, "the %s is %s, not %s", role, moire__loop_type_name(info->type),
                moire__loop_type_name(type));
}

static bool check_uniform(checker *c, const moire__loop_statement *s, const char *role, moire__loop_value v) {
  return !c->vector || !c->varies[v] || refuse(c, s, "the %s varies over the lanes of a vector loop", role);
}

static bool check_buffer(checker *c, const moire__loop_statement *s, moire__loop_buffer buffer,
                         moire__loop_value address) {
  if (buffer <= 0 || buffer >= c->k->n_buffers) return refuse(c, s, "buffer %d does not exist", buffer);
  return check_value(c, s, "address", address, MOIRE__LOOP_I64);
}

static bool check_var(checker *c, const moire__loop_statement *s, moire__loop_var var) {
  if (var <= 0 || var >= c->k->n_vars) return refuse(c, s, "variable %d does not exist", var);
  return c->var_seen[var] || refuse(c, s, "the variable is not visible here");
}

static void see_value(checker *c, moire__loop_value v, bool varies) {
  c->value_seen[v] = c->value_done[v] = true;
  c->varies[v] = varies;
  c->scope[c->n_scope++] = v;
}

/* ---- statements ------------------------------------------------------------------------------------------ */

static bool check_types(checker *c, const moire__loop_statement *s, const moire__loop_value_info *info) {
  moire__loop_type types[5] = {MOIRE__LOOP_VOID};
  moire__text list = {0};
  for (int i = 0; i < info->n_operands; i++) {
    types[i] = c->k->values[info->operands[i]].type;
    moire__text_add(&list, "%s%s", i ? ", " : "", moire__loop_type_name(types[i]));
  }
  moire__loop_type want = moire__loop_result_type(info->op, types);
  bool good = info->op == MOIRE__LOOP_cast ? is_register_type(info->type)
                                           : want != MOIRE__LOOP_VOID && want == info->type;
  if (!good) {
    refuse(c, s, "%s of (%s) cannot give %s", moire__loop_op_name(info->op), moire__text_string(&list),
           moire__loop_type_name(info->type));
  }
  moire__text_free(&list);
  return good;
}

static bool check_load(checker *c, const moire__loop_statement *s, const moire__loop_value_info *info) {
  if (info->n_operands != 1) return refuse(c, s, "a load has one operand, the address");
  if (!check_buffer(c, s, info->buffer, info->operands[0])) return false;
  moire__loop_type element = c->k->buffers[info->buffer].type, type = moire__loop_type_loaded(element);
  if (info->op == MOIRE__LOOP_word) {
    if (element != MOIRE__LOOP_BF16) return refuse(c, s, "a word is read from a bf16 buffer");
    type = MOIRE__LOOP_I32;
  }
  if (type == info->type) return true;
  return refuse(c, s, "a load here gives %s, not %s", moire__loop_type_name(type),
                moire__loop_type_name(info->type));
}

static bool check_get(checker *c, const moire__loop_statement *s, const moire__loop_value_info *info) {
  if (!check_var(c, s, info->var)) return false;
  if (c->k->vars[info->var].type != info->type) {
    return refuse(c, s, "the variable is %s", moire__loop_type_name(c->k->vars[info->var].type));
  }
  if (!c->vector || c->var_inside[info->var]) return true;
  return refuse(c, s, "a vector loop reads a variable that was declared outside");
}

static bool check_let(checker *c, const moire__loop_statement *s) {
  moire__loop_value v = s->value;
  if (v <= 0 || v >= c->k->n_values) return refuse(c, s, "value %d does not exist", v);
  const moire__loop_value_info *info = &c->k->values[v];
  if (info->is_index || info->op <= MOIRE__LOOP_extent || info->op >= MOIRE__LOOP_OP_COUNT) {
    return refuse(c, s, "a constant, an extent or a loop's variable has no let");
  }
  if (c->value_done[v]) return refuse(c, s, "the value has a second statement");
  bool varies = false;
  if (info->op == MOIRE__LOOP_get) {
    if (!check_get(c, s, info)) return false;
    varies = c->vector != NULL;
  } else if (info->op == MOIRE__LOOP_load || info->op == MOIRE__LOOP_word) {
    if (!check_load(c, s, info)) return false;
  } else {
    int arity = moire__loop_op_arity(info->op);
    if (info->n_operands != arity) return refuse(c, s, "it has %d operands, not %d", info->n_operands, arity);
    for (int i = 0; i < arity; i++) {
      if (!check_value(c, s, "operand", info->operands[i], MOIRE__LOOP_VOID)) return false;
    }
    if (!check_types(c, s, info)) return false;
  }
  for (int i = 0; i < info->n_operands; i++) varies = varies || c->varies[info->operands[i]];
  see_value(c, v, varies);
  return true;
}

static bool check_declare(checker *c, const moire__loop_statement *s) {
  if (s->var <= 0 || s->var >= c->k->n_vars) return refuse(c, s, "variable %d does not exist", s->var);
  if (c->var_done[s->var]) return refuse(c, s, "the variable is declared twice");
  const moire__loop_var_info *info = &c->k->vars[s->var];
  if (!is_register_type(info->type)) {
    return refuse(c, s, "a variable cannot be %s", moire__loop_type_name(info->type));
  }
  if (!check_value(c, s, "first value", info->init, info->type)) return false;
  c->var_seen[s->var] = c->var_done[s->var] = true;
  c->var_inside[s->var] = c->vector != NULL;
  c->scope[c->n_scope++] = -s->var;
  return true;
}

static bool check_set(checker *c, const moire__loop_statement *s) {
  if (!check_var(c, s, s->var)) return false;
  if (!check_value(c, s, "value", s->value, c->k->vars[s->var].type)) return false;
  return !c->vector || c->var_inside[s->var] ||
         refuse(c, s, "a vector loop sets a variable that was declared outside");
}

static bool check_reduce(checker *c, const moire__loop_statement *s) {
  if (!check_var(c, s, s->var)) return false;
  moire__loop_type type = c->k->vars[s->var].type;
  if (!check_value(c, s, "value", s->value, type)) return false;
  bool of_numbers = s->combine == MOIRE__LOOP_add || s->combine == MOIRE__LOOP_mul ||
                    s->combine == MOIRE__LOOP_min || s->combine == MOIRE__LOOP_max;
  if (type == MOIRE__LOOP_BOOL ? s->combine != MOIRE__LOOP_or : !of_numbers) {
    return refuse(c, s, "%s, not by %s",
                  type == MOIRE__LOOP_BOOL ? "bools are combined by or"
                                           : "numbers are combined by add, mul, min or max",
                  moire__loop_op_name(s->combine));
  }
  if (!c->vector || c->var_inside[s->var]) return true;
  moire__loop_op before = c->combine[s->var];
  c->combine[s->var] = s->combine;
  return before == MOIRE__LOOP_OP_COUNT || before == s->combine ||
         refuse(c, s, "the same vector loop reduces the variable by %s", moire__loop_op_name(before));
}

static bool check_store(checker *c, const moire__loop_statement *s) {
  if (!check_buffer(c, s, s->buffer, s->address)) return false;
  const moire__loop_buffer_info *info = &c->k->buffers[s->buffer];
  if (!check_value(c, s, "value", s->value, moire__loop_type_loaded(info->type))) return false;
  if (info->role == MOIRE__BUFFER_IN) return refuse(c, s, "%%%s is an `in` buffer", info->name);
  return !c->vector || c->varies[s->address] || refuse(c, s, "all lanes of a vector loop store to one address");
}

static bool check_turn(checker *c, const moire__loop_statement *s) {
  if (c->vector) return refuse(c, s, "a square is turned in a vector loop");
  if (!check_buffer(c, s, s->buffer, s->address) || !check_buffer(c, s, s->from, s->value)) return false;
  if (!check_value(c, s, "pitch", s->low, MOIRE__LOOP_I64)) return false;
  const moire__loop_buffer_info *to = &c->k->buffers[s->buffer], *from = &c->k->buffers[s->from];
  if (s->lanes != 4 && s->lanes != 8 && s->lanes != 16) return refuse(c, s, "its side is not 4, 8 or 16");
  bool words = to->type == MOIRE__LOOP_I32;
  if (to->type != MOIRE__LOOP_F32 && !words)
    return refuse(c, s, "%%%s is %s", to->name, moire__loop_type_name(to->type));
  if (from->type != to->type && !(words && from->type == MOIRE__LOOP_BF16))
    return refuse(c, s, "%%%s is %s", from->name, moire__loop_type_name(from->type));
  if (to->role == MOIRE__BUFFER_IN) return refuse(c, s, "%%%s is an `in` buffer", to->name);
  if (s->buffer == s->from) return refuse(c, s, "it turns a buffer into itself");
  return s->step >= s->lanes || refuse(c, s, "the rows overlap");
}

/* The tile exists, and holds what it has held before. */
static bool check_tile(checker *c, const moire__loop_statement *s, int tile, bool sums) {
  if (tile < 0 || tile >= MOIRE__LOOP_TILES) return refuse(c, s, "tile %d does not exist", tile);
  *(sums ? &c->holds_sums[tile] : &c->holds_pairs[tile]) = true;
  return !c->holds_sums[tile] || !c->holds_pairs[tile] ||
         refuse(c, s, "tile %d holds %s elsewhere", tile, sums ? "pairs" : "sums");
}

static bool check_tile_access(checker *c, const moire__loop_statement *s, bool loads) {
  if (!check_buffer(c, s, s->buffer, s->address)) return false;
  const moire__loop_buffer_info *info = &c->k->buffers[s->buffer];
  bool halves = info->type == MOIRE__LOOP_BF16;
  bool good = info->type == MOIRE__LOOP_F32 || (loads && (halves || info->type == MOIRE__LOOP_I32));
  if (!good) return refuse(c, s, "%%%s is %s", info->name, moire__loop_type_name(info->type));
  if (!loads && info->role == MOIRE__BUFFER_IN) return refuse(c, s, "%%%s is an `in` buffer", info->name);
  return s->step >= MOIRE__LOOP_TILE_SIDE * (halves ? 2 : 1) || refuse(c, s, "the rows overlap");
}

static bool check_tiles(checker *c, const moire__loop_statement *s) {
  if (c->vector) return refuse(c, s, "a tile in a vector loop");
  switch (s->tile_op) {
    case MOIRE__TILE_ZERO: return check_tile(c, s, s->tiles[0], true);
    case MOIRE__TILE_LOAD:
      return check_tile_access(c, s, true) &&
             check_tile(c, s, s->tiles[0], c->k->buffers[s->buffer].type == MOIRE__LOOP_F32);
    case MOIRE__TILE_STORE: return check_tile(c, s, s->tiles[0], true) && check_tile_access(c, s, false);
    case MOIRE__TILE_DOT:
      if (s->tiles[1] == s->tiles[2]) return refuse(c, s, "a tile is multiplied by itself");
      return check_tile(c, s, s->tiles[0], true) && check_tile(c, s, s->tiles[1], false) &&
             check_tile(c, s, s->tiles[2], false);
  }
  return refuse(c, s, "there is no operation %d on tiles", (int)s->tile_op);
}

static bool check_block(checker *c, const moire__loop_statement *s);

static bool check_for(checker *c, const moire__loop_statement *s) {
  moire__loop_value v = s->value;
  bool starts_vector = s->lanes > 1;
  if (v <= 0 || v >= c->k->n_values || !c->k->values[v].is_index || c->k->values[v].type != MOIRE__LOOP_I64) {
    return refuse(c, s, "its variable is not an index");
  }
  if (c->value_done[v]) return refuse(c, s, "its variable is that of another loop");
  if (!check_value(c, s, "lower bound", s->low, MOIRE__LOOP_I64) ||
      !check_value(c, s, "upper bound", s->high, MOIRE__LOOP_I64) ||
      !check_uniform(c, s, "lower bound", s->low) || !check_uniform(c, s, "upper bound", s->high)) {
    return false;
  }
  if (s->step <= 0) return refuse(c, s, "its step is not positive");
  if (s->lanes < 1 || s->lanes > 64 || (s->lanes & (s->lanes - 1))) {
    return refuse(c, s, "%d lanes are not a power of two from 1 to 64", s->lanes);
  }
  if (starts_vector && s->step != 1) return refuse(c, s, "a vector loop has step 1");
  if (starts_vector && c->vector) return refuse(c, s, "a vector loop inside a vector loop");
  if (starts_vector) {
    c->vector = s;
    for (int i = 0; i < c->k->n_vars; i++) c->combine[i] = MOIRE__LOOP_OP_COUNT;
    memset(c->var_inside, 0, (size_t)c->k->n_vars);
    memset(c->varies, 0, (size_t)c->k->n_values);
  }
  see_value(c, v, starts_vector);
  bool good = check_block(c, s->body);
  if (starts_vector) c->vector = NULL;
  c->value_seen[v] = false;
  c->n_scope--;
  return good;
}

static bool check_statement(checker *c, const moire__loop_statement *s) {
  switch (s->kind) {
    case MOIRE__LOOP_LET: return check_let(c, s);
    case MOIRE__LOOP_DECLARE: return check_declare(c, s);
    case MOIRE__LOOP_SET: return check_set(c, s);
    case MOIRE__LOOP_REDUCE: return check_reduce(c, s);
    case MOIRE__LOOP_STORE: return check_store(c, s);
    case MOIRE__LOOP_FETCH: return check_buffer(c, s, s->buffer, s->address);
    case MOIRE__LOOP_FOR: return check_for(c, s);
    case MOIRE__LOOP_IF:
      return check_value(c, s, "condition", s->value, MOIRE__LOOP_BOOL) &&
             check_uniform(c, s, "condition", s->value) && check_block(c, s->body);
    case MOIRE__LOOP_TURN: return check_turn(c, s);
    case MOIRE__LOOP_TILE: return check_tiles(c, s);
  }
  return refuse(c, s, "there is no statement of kind %d", (int)s->kind);
}

static bool check_block(checker *c, const moire__loop_statement *s) {
  int outer = c->n_scope;
  for (; s; s = s->next) {
    if (!check_statement(c, s)) return false;
  }
  while (c->n_scope > outer) {
    int32_t id = c->scope[--c->n_scope];
    *(id > 0 ? &c->value_seen[id] : &c->var_seen[-id]) = false;
  }
  return true;
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

static bool check_head(checker *c) {
  const moire__loop_kernel *k = c->k;
  if (!dim_exists(k, k->count) || k->block < 1) return refuse(c, NULL, "its parallel extent does not exist");
  if (k->parallel <= 0 || k->parallel >= k->n_values || !k->values[k->parallel].is_index) {
    return refuse(c, NULL, "it has no parallel index");
  }
  for (int i = 1; i < k->n_buffers; i++) {
    const moire__loop_buffer_info *b = &k->buffers[i];
    bool local = b->role == MOIRE__BUFFER_LOCAL;
    if (b->type == MOIRE__LOOP_VOID) return refuse(c, NULL, "%%%s has no element type", b->name);
    if (!dim_exists(k, b->elements)) return refuse(c, NULL, "the size of %%%s does not exist", b->name);
    if (local != (i > k->n_parameters)) {
      return refuse(c, NULL, "%%%s: parameters come before locals", b->name);
    }
    if (local && !moire__dim_is_static(b->elements)) {
      return refuse(c, NULL, "%%%s is local, and its size is not static", b->name);
    }
    for (int j = 1; j < i; j++) {
      if (strcmp(k->buffers[j].name, b->name) == 0) return refuse(c, NULL, "two buffers are %%%s", b->name);
    }
  }
  return true;
}

moire_status moire__loop_verify(const moire__loop_kernel *k, moire_error *error) {
  size_t n = (size_t)k->n_values, m = (size_t)k->n_vars;
  checker c = {.k = k, .error = error, .names = moire__loop_names_make(k)};
  c.value_seen = moire__allocate_array(3 * n + 3 * m, sizeof(bool));
  c.value_done = c.value_seen + n;
  c.varies = c.value_done + n;
  c.var_seen = c.varies + n;
  c.var_done = c.var_seen + m;
  c.var_inside = c.var_done + m;
  c.combine = moire__allocate_array(m, sizeof *c.combine);
  c.scope = moire__allocate_array(n + m, sizeof *c.scope);
  bool good = check_head(&c);
  if (good) {
    see_value(&c, k->parallel, false);
    good = check_block(&c, k->body);
  }
  moire__release(c.value_seen);
  moire__release(c.combine);
  moire__release(c.scope);
  moire__loop_names_free(&c.names);
  return good ? MOIRE_OK : MOIRE_ERROR_INTERNAL;
}
