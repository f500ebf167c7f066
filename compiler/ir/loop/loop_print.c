/* The loop IR as text.
 *
 *   kernel @row_sum <B> (in f32 %x[64*B], out f32 %y[B]) parallel %p < B {
 *     source "models/qia.c":41
 *     %v1 = mul %p, 64 : i64
 *     var $1 = 0.0 : f32
 *     for %i1 = 0 to 64 vector 16 {
 *       %v2 = add %v1, %i1 : i64
 *       %v3 = load %x[%v2] : f32
 *       reduce $1 add %v3
 *     }
 *     %v4 = get $1 : f32
 *     store %y[%p] = %v4
 *   }
 *
 * Values are numbered in the order of their statements, so the text does not depend on the history of the
 * tables. Constants and extents stand where they are used: 64 is i64, 1.5 is f32, 7_i32 and 0.5_f64 say their
 * type, true and false are bool, 50*B is an extent. A float has as many digits as it takes to read back the
 * same bits. Printing never fails: what does not exist shows as `%?7`.
 */
#include "compiler/ir/loop/loop_private.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ----------------------------------------------------------------------------------------------- */

static void name_block(const moire__loop_kernel *k, moire__loop_names *names, int *counts,
                       const moire__loop_statement *s) {
  for (; s; s = s->next) {
    bool value_exists = s->value > 0 && s->value < k->n_values;
    if (s->kind == MOIRE__LOOP_FOR && value_exists) names->values[s->value] = ++counts[0];
    if (s->kind == MOIRE__LOOP_LET && value_exists) names->values[s->value] = ++counts[1];
    if (s->kind == MOIRE__LOOP_DECLARE && s->var > 0 && s->var < k->n_vars) names->vars[s->var] = ++counts[2];
    if (s->body) name_block(k, names, counts, s->body);
  }
}

moire__loop_names moire__loop_names_make(const moire__loop_kernel *k) {
  moire__loop_names names = {.values = moire__allocate_array((size_t)k->n_values, sizeof(int)),
                             .vars = moire__allocate_array((size_t)k->n_vars, sizeof(int))};
  int counts[3] = {0};
  name_block(k, &names, counts, k->body);
  return names;
}

void moire__loop_names_free(moire__loop_names *names) {
  moire__release(names->values);
  moire__release(names->vars);
}

bool moire__loop_name_char(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '+' || c == '-';
}

static bool is_plain(const char *name, bool word) {
  static const char *const keywords[] = {"true", "false", "inf", "nan", "inf_f64", "nan_f64"};
  if (!*name) return false;
  if (word && isdigit((unsigned char)*name)) return false;
  for (size_t i = 0; word && i < sizeof keywords / sizeof keywords[0]; i++) {
    if (strcmp(name, keywords[i]) == 0) return false;
  }
  for (const char *c = name; *c; c++) {
    if (!moire__loop_name_char(*c) || (word && *c != '_' && !isalnum((unsigned char)*c))) return false;
  }
  return true;
}

static void print_quoted(const char *string, moire__text *text) {
  moire__text_add_char(text, '"');
  for (const char *c = string; *c; c++) {
    if (*c == '"' || *c == '\\') {
      moire__text_add(text, "\\%c", *c);
    } else if ((unsigned char)*c < ' ' || *c == 0x7f) {
      moire__text_add(text, "\\x%02x", (unsigned)(unsigned char)*c);
    } else {
      moire__text_add_char(text, *c);
    }
  }
  moire__text_add_char(text, '"');
}

void moire__loop_print_name(const char *name, bool word, moire__text *text) {
  if (is_plain(name, word)) {
    moire__text_add(text, "%s", name);
  } else {
    print_quoted(name, text);
  }
}

/* ---- operands -------------------------------------------------------------------------------------------- */

/* Shortest decimal that reads back the same bits, and that looks like a float. */
static void print_real(double x, moire__text *text) {
  char digits[40];
  if (!isfinite(x)) {
    moire__text_add(text, "%s", isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
    return;
  }
  for (int precision = 1; precision <= 17; precision++) {
    moire__text_from_double(digits, sizeof digits, precision, x);
    if (moire__text_to_double(digits, NULL) == x) break;
  }
  moire__text_add(text, "%s%s", digits, strpbrk(digits, ".e") ? "" : ".0");
}

static void print_dim(const moire__loop_kernel *k, moire_dim dim, moire__text *text) {
  int left = dim < 0 ? 0 : moire__dim_extents(dim);
  int64_t factor = moire__dim_factor(dim);
  if (!left || factor != 1) moire__text_add(text, "%lld%s", (long long)factor, left ? "*" : "");
  for (; left; left >>= 4) {
    int extent = left & 15;
    if (extent > 0 && extent <= k->n_extents) {
      moire__loop_print_name(k->extents[extent], true, text);
    } else {
      moire__text_add(text, "?%d", extent);
    }
    if (left >> 4) moire__text_add_char(text, '*');
  }
}

static void print_constant(const moire__loop_value_info *info, moire__text *text) {
  if (info->type == MOIRE__LOOP_BOOL) {
    moire__text_add(text, "%s", info->integer ? "true" : "false");
    return;
  }
  bool is_float = moire__loop_type_is_float(info->type);
  if (is_float) print_real(info->real, text);
  if (!is_float) moire__text_add(text, "%lld", (long long)info->integer);
  if (info->type != MOIRE__LOOP_F32 && info->type != MOIRE__LOOP_I64) {
    moire__text_add(text, "_%s", moire__loop_type_name(info->type));
  }
}

static void print_value(const moire__loop_kernel *k, const moire__loop_names *names, moire__loop_value v,
                        moire__text *text) {
  const moire__loop_value_info *info = v > 0 && v < k->n_values ? &k->values[v] : NULL;
  if (info && v == k->parallel) {
    moire__text_add(text, "%%p");
  } else if (info && names->values[v]) {
    moire__text_add(text, "%%%c%d", info->is_index ? 'i' : 'v', names->values[v]);
  } else if (info && info->op == MOIRE__LOOP_const) {
    print_constant(info, text);
  } else if (info && info->op == MOIRE__LOOP_extent) {
    print_dim(k, info->integer, text);
  } else {
    moire__text_add(text, "%%?%d", v);
  }
}

static void print_var(const moire__loop_kernel *k, const moire__loop_names *names, moire__loop_var var,
                      moire__text *text) {
  bool named = var > 0 && var < k->n_vars && names->vars[var];
  moire__text_add(text, named ? "$%d" : "$?%d", named ? names->vars[var] : var);
}

static void print_buffer(const moire__loop_kernel *k, moire__loop_buffer buffer, moire__text *text) {
  moire__text_add_char(text, '%');
  if (buffer > 0 && buffer < k->n_buffers) {
    moire__loop_print_name(k->buffers[buffer].name, false, text);
  } else {
    moire__text_add(text, "?%d", buffer);
  }
}

/* ---- statements ------------------------------------------------------------------------------------------ */

static void print_let(const moire__loop_kernel *k, const moire__loop_names *names, moire__loop_value v,
                      moire__text *text) {
  print_value(k, names, v, text);
  if (v <= 0 || v >= k->n_values) return;
  const moire__loop_value_info *info = &k->values[v];
  moire__text_add(text, " = %s", moire__loop_op_name(info->op));
  if (info->op == MOIRE__LOOP_load || info->op == MOIRE__LOOP_word) {
    moire__text_add_char(text, ' ');
    print_buffer(k, info->buffer, text);
    moire__text_add_char(text, '[');
    print_value(k, names, info->operands[0], text);
    moire__text_add_char(text, ']');
  } else if (info->op == MOIRE__LOOP_get) {
    moire__text_add_char(text, ' ');
    print_var(k, names, info->var, text);
  } else {
    for (int i = 0; i < info->n_operands; i++) {
      moire__text_add(text, i ? ", " : " ");
      print_value(k, names, info->operands[i], text);
    }
  }
  moire__text_add(text, " : %s", moire__loop_type_name(info->type));
}

static void print_for(const moire__loop_kernel *k, const moire__loop_names *names,
                      const moire__loop_statement *s, moire__text *text) {
  moire__text_add(text, "for ");
  print_value(k, names, s->value, text);
  moire__text_add(text, " = ");
  print_value(k, names, s->low, text);
  moire__text_add(text, " to ");
  print_value(k, names, s->high, text);
  if (s->step != 1) moire__text_add(text, " step %lld", (long long)s->step);
  if (s->lanes != 1) moire__text_add(text, " vector %d", s->lanes);
}

/* declare, set and reduce: a word, the variable, what stands between, a value. */
static void print_assignment(const moire__loop_kernel *k, const moire__loop_names *names, const char *word,
                             moire__loop_var var, const char *between, moire__loop_value value,
                             moire__text *text) {
  moire__text_add(text, "%s ", word);
  print_var(k, names, var, text);
  moire__text_add(text, " %s ", between);
  print_value(k, names, value, text);
}

static void print_access(const moire__loop_kernel *k, const moire__loop_names *names,
                         const moire__loop_statement *s, moire__text *text) {
  print_buffer(k, s->buffer, text);
  moire__text_add_char(text, '[');
  print_value(k, names, s->address, text);
  moire__text_add_char(text, ']');
}

static void print_turn(const moire__loop_kernel *k, const moire__loop_names *names,
                       const moire__loop_statement *s, moire__text *text) {
  const moire__loop_statement from = {.buffer = s->from, .address = s->value};
  moire__text_add(text, "turn ");
  print_access(k, names, s, text);
  moire__text_add(text, " pitch %lld = ", (long long)s->step);
  print_access(k, names, &from, text);
  moire__text_add(text, " pitch ");
  print_value(k, names, s->low, text);
  moire__text_add(text, " side %d", s->lanes);
}

static void print_tile(const moire__loop_kernel *k, const moire__loop_names *names,
                       const moire__loop_statement *s, moire__text *text) {
  static const char *const words[] = {" = zero", " = load ", " += dot ", " to "};
  moire__text_add(text, "tile %d%s", s->tiles[0], s->tile_op <= MOIRE__TILE_STORE ? words[s->tile_op] : " ?");
  if (s->tile_op == MOIRE__TILE_DOT) moire__text_add(text, "%d, %d", s->tiles[1], s->tiles[2]);
  if (s->tile_op != MOIRE__TILE_LOAD && s->tile_op != MOIRE__TILE_STORE) return;
  print_access(k, names, s, text);
  moire__text_add(text, " pitch %lld", (long long)s->step);
}

void moire__loop_print_statement(const moire__loop_kernel *k, const moire__loop_names *names,
                                 const moire__loop_statement *s, moire__text *text) {
  static const moire__loop_var_info none = {0};
  const moire__loop_var_info *var = s->var > 0 && s->var < k->n_vars ? &k->vars[s->var] : &none;
  switch (s->kind) {
    case MOIRE__LOOP_LET: print_let(k, names, s->value, text); return;
    case MOIRE__LOOP_DECLARE:
      print_assignment(k, names, "var", s->var, "=", var->init, text);
      moire__text_add(text, " : %s", moire__loop_type_name(var->type));
      return;
    case MOIRE__LOOP_SET: print_assignment(k, names, "set", s->var, "=", s->value, text); return;
    case MOIRE__LOOP_REDUCE:
      print_assignment(k, names, "reduce", s->var, moire__loop_op_name(s->combine), s->value, text);
      return;
    case MOIRE__LOOP_STORE:
      moire__text_add(text, "store ");
      print_access(k, names, s, text);
      moire__text_add(text, " = ");
      print_value(k, names, s->value, text);
      return;
    case MOIRE__LOOP_FETCH:
      moire__text_add(text, "fetch ");
      print_access(k, names, s, text);
      return;
    case MOIRE__LOOP_FOR: print_for(k, names, s, text); return;
    case MOIRE__LOOP_IF:
      moire__text_add(text, "if ");
      print_value(k, names, s->value, text);
      return;
    case MOIRE__LOOP_TURN: print_turn(k, names, s, text); return;
    case MOIRE__LOOP_TILE: print_tile(k, names, s, text); return;
  }
  moire__text_add(text, "?%d", (int)s->kind);
}

static void indent(int depth, moire__text *text) {
  for (int i = 0; i < depth; i++) moire__text_add_bytes(text, "  ", 2);
}

static void print_source(moire_source at, moire__text *text) {
  print_quoted(at.file, text);
  moire__text_add(text, ":%d", at.line);
}

static void print_block(const moire__loop_kernel *k, const moire__loop_names *names,
                        const moire__loop_statement *s, bool sources, int depth, moire__text *text) {
  for (; s; s = s->next) {
    bool nests = s->kind == MOIRE__LOOP_FOR || s->kind == MOIRE__LOOP_IF;
    indent(depth, text);
    moire__loop_print_statement(k, names, s, text);
    if (sources && s->at.file) {
      moire__text_add(text, " at ");
      print_source(s->at, text);
    }
    moire__text_add(text, nests ? " {\n" : "\n");
    if (!nests) continue;
    print_block(k, names, s->body, sources, depth + 1, text);
    indent(depth, text);
    moire__text_add(text, "}\n");
  }
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

static void print_declaration(const moire__loop_kernel *k, int buffer, moire__text *text) {
  static const char *const roles[] = {"in", "out", "inout", "local"};
  const moire__loop_buffer_info *info = &k->buffers[buffer];
  moire__text_add(text, "%s %s ", info->role <= MOIRE__BUFFER_LOCAL ? roles[info->role] : "?",
                  moire__loop_type_name(info->type));
  print_buffer(k, buffer, text);
  moire__text_add_char(text, '[');
  print_dim(k, info->elements, text);
  moire__text_add_char(text, ']');
}

static void print_parameters(const moire__loop_kernel *k, bool one_line, moire__text *text) {
  moire__text_add_char(text, '(');
  for (int i = 1; i <= k->n_parameters && i < k->n_buffers; i++) {
    const char *gap = one_line ? " " : "\n    ";
    moire__text_add(text, "%s%s", i > 1 ? "," : "", i > 1 || !one_line ? gap : "");
    print_declaration(k, i, text);
  }
  moire__text_add_char(text, ')');
}

static void print_head(const moire__loop_kernel *k, bool one_line, moire__text *text) {
  moire__text_add(text, "kernel @");
  moire__loop_print_name(k->name, false, text);
  for (int i = 1; i <= k->n_extents; i++) {
    moire__text_add(text, i == 1 ? " <" : ", ");
    moire__loop_print_name(k->extents[i], true, text);
  }
  moire__text_add(text, k->n_extents ? "> " : " ");
  print_parameters(k, one_line, text);
  moire__text_add(text, k->block != 1 ? " parallel %%p < ceil(" : " parallel %%p < ");
  print_dim(k, k->count, text);
  if (k->block != 1) moire__text_add(text, " / %lld)", (long long)k->block);
  moire__text_add(text, " {\n");
}

static void print_kernel(const moire__loop_kernel *k, bool sources, moire__text *text) {
  enum { LINE = 112 };
  moire__text head = {0};
  print_head(k, true, &head);
  if (head.length > LINE) {
    moire__text_clear(&head);
    print_head(k, false, &head);
  }
  moire__text_add_bytes(text, head.data, head.length);
  moire__text_free(&head);
  for (int i = 0; i < k->n_sources; i++) {
    moire__text_add(text, "  source ");
    print_source(k->sources[i], text);
    moire__text_add_char(text, '\n');
  }
  for (int i = k->n_parameters + 1; i < k->n_buffers; i++) {
    moire__text_add(text, "  ");
    print_declaration(k, i, text);
    moire__text_add_char(text, '\n');
  }
  moire__loop_names names = moire__loop_names_make(k);
  print_block(k, &names, k->body, sources, 1, text);
  moire__loop_names_free(&names);
  moire__text_add(text, "}\n");
}

void moire__loop_print(const moire__loop_kernel *k, moire__text *text) { print_kernel(k, false, text); }

void moire__loop_print_sources(const moire__loop_kernel *k, moire__text *text) { print_kernel(k, true, text); }

void moire__loop_print_bare(const moire__loop_kernel *k, moire__text *text) {
  moire__loop_kernel bare = *k;
  bare.name = "k";
  bare.n_sources = 0;
  moire__loop_print(&bare, text);
}
