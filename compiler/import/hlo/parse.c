/* StableHLO text: modules and functions. See syntax.h. */
#include "compiler/import/hlo/parse.h"

#include "runtime/files/file.h"

#include <string.h>

/* ---- functions --------------------------------------------------------------------------------------------
 */

static void add_function(moire__hlo_parser *p, moire__hlo_function *f) {
  if (p->failed) return;
  moire__printable_buffer shown;
  if (moire__hlo_find(p->module, f->name))
    moire__hlo_fail_at(p, f->line, "the function %s comes twice",
                       moire__printable(f->name, strlen(f->name), shown));
  f->n_values = p->n_values;
  moire__hlo_module *m = p->module;
  MOIRE__PUSH(p->arena, m->functions, m->n_functions, m->function_capacity, *f);
}

static void parse_result(moire__hlo_parser *p, moire__hlo_function *f, bool in_brackets) {
  moire__hlo_op attributes = {0};
  moire__hlo_port port = {.name = "", .place = -1};
  port.type = moire__hlo_parse_type(p);
  if (in_brackets && moire__hlo_at_sign(p, '{')) moire__hlo_parse_dictionary(p, &attributes, "");
  const moire__argument *name = moire__hlo_attribute(&attributes, "jax.result_info");
  if (name && name->kind == MOIRE__ARGUMENT_TEXT) port.name = name->text;
  MOIRE__PUSH(p->arena, f->results, f->n_results, f->result_capacity, port);
}

static void parse_results(moire__hlo_parser *p, moire__hlo_function *f) {
  if (p->now.kind != MOIRE__HLO_ARROW) return;
  moire__hlo_advance(p);
  if (!moire__hlo_take_sign(p, '(')) {
    parse_result(p, f, false);
    return;
  }
  while (!p->failed && !moire__hlo_at_sign(p, ')')) {
    parse_result(p, f, true);
    if (!moire__hlo_take_sign(p, ',')) break;
  }
  moire__hlo_want(p, ')');
}

/* func.func public @name(%a: type, ..) -> type attributes {..} { .. } */
static void parse_function(moire__hlo_parser *p) {
  moire__hlo_function f = {.line = p->now.line};
  moire__hlo_op attributes = {0};
  moire__hlo_advance(p);
  p->n_values = 0;
  int seen = p->n_names;
  if (moire__hlo_at_word(p, "private")) f.is_private = true;
  if (p->now.kind == MOIRE__HLO_WORD) moire__hlo_advance(p);
  if (p->now.kind != MOIRE__HLO_SYMBOL) moire__hlo_fail(p, "func.func: wanted its name");
  f.name = moire__hlo_token_text(p);
  moire__hlo_advance(p);
  moire__hlo_want(p, '(');
  while (!p->failed && !moire__hlo_at_sign(p, ')')) {
    moire__hlo_parse_argument(p, &f.body);
    if (!moire__hlo_take_sign(p, ',')) break;
  }
  moire__hlo_want(p, ')');
  parse_results(p, &f);
  if (moire__hlo_take_word(p, "attributes")) moire__hlo_parse_dictionary(p, &attributes, "");
  moire__hlo_parse_region(p, &f.body);
  moire__hlo_forget(p, seen);
  moire__hlo_parse_optional_place(p);
  add_function(p, &f);
}

/* "func.func"() <{sym_name = "main", ..}> ({ .. }) : () -> () */
static void parse_generic_function(moire__hlo_parser *p) {
  moire__hlo_function f = {.line = p->now.line, .name = ""};
  moire__hlo_op op = {0};
  p->n_values = 0;
  moire__hlo_parse_generic(p, &op);
  moire__hlo_parse_optional_place(p);
  const moire__argument *name = moire__hlo_attribute(&op, "sym_name"),
                        *visibility = moire__hlo_attribute(&op, "sym_visibility");
  if (!name || name->kind != MOIRE__ARGUMENT_TEXT || op.n_regions != 1) {
    moire__hlo_fail_at(p, f.line, "func.func: wanted sym_name and a region");
    return;
  }
  f.name = name->text;
  f.is_private = visibility && visibility->kind == MOIRE__ARGUMENT_TEXT && !strcmp(visibility->text, "private");
  f.body = op.regions[0];
  add_function(p, &f);
}

/* ---- modules ----------------------------------------------------------------------------------------------
 */

/* #name = loc(..), or what else has a name. */
static void parse_alias(moire__hlo_parser *p) {
  const char *name = moire__hlo_token_text(p);
  moire__hlo_op ignored = {0};
  moire__hlo_advance(p);
  moire__hlo_want(p, '=');
  if (!moire__hlo_at_word(p, "loc")) {
    moire__hlo_parse_attribute(p, &ignored, name);
    return;
  }
  int place = moire__hlo_parse_place(p);
  moire__hlo_module *m = p->module;
  MOIRE__PUSH(p->arena, m->alias_places, m->n_aliases, m->alias_capacity, place);
  moire__names_add(&m->aliases, p->arena, name);
}

static void parse_module(moire__hlo_parser *p);

/* What stands in a module, to its end or that of the text. */
static void parse_contents(moire__hlo_parser *p) {
  while (p->now.kind != MOIRE__HLO_END && !moire__hlo_at_sign(p, '}')) {
    if (moire__hlo_at_word(p, "func.func") || moire__hlo_at_word(p, "func")) {
      parse_function(p);
    } else if (moire__hlo_is(&p->now, MOIRE__HLO_STRING, "func.func")) {
      parse_generic_function(p);
    } else if (moire__hlo_at_word(p, "module") || moire__hlo_at_word(p, "builtin.module") ||
               moire__hlo_is(&p->now, MOIRE__HLO_STRING, "builtin.module")) {
      parse_module(p);
    } else if (p->now.kind == MOIRE__HLO_ALIAS) {
      parse_alias(p);
    } else if (p->now.kind == MOIRE__HLO_BLOCK) {
      moire__hlo_advance(p);
      moire__hlo_want(p, ':');
    } else {
      moire__hlo_fail(p, "wanted a function");
    }
  }
}

/* module @name attributes {..} { .. }, or "builtin.module"() <{..}> ({ .. }) {..} : () -> () */
static void parse_module(moire__hlo_parser *p) {
  bool generic = p->now.kind == MOIRE__HLO_STRING;
  moire__hlo_op ignored = {0};
  if (!moire__hlo_enter(p)) return;
  moire__hlo_advance(p);
  if (p->now.kind == MOIRE__HLO_SYMBOL) moire__hlo_advance(p);
  if (moire__hlo_take_word(p, "attributes")) moire__hlo_parse_dictionary(p, &ignored, "");
  if (generic) {
    moire__hlo_want(p, '(');
    moire__hlo_want(p, ')');
    if (moire__hlo_at_sign(p, '<')) moire__hlo_skip_brackets(p);
    moire__hlo_want(p, '(');
  }
  moire__hlo_want(p, '{');
  parse_contents(p);
  moire__hlo_want(p, '}');
  if (generic) {
    moire__hlo_want(p, ')');
    if (moire__hlo_at_sign(p, '{')) moire__hlo_parse_dictionary(p, &ignored, "");
    moire__hlo_want(p, ':');
    moire__hlo_skip_brackets(p);
    if (p->now.kind == MOIRE__HLO_ARROW) moire__hlo_advance(p);
    moire__hlo_skip_brackets(p);
  }
  moire__hlo_parse_optional_place(p);
  moire__hlo_leave(p);
}

moire_status moire__hlo_parse(moire__hlo_module *m, const char *path, const char *bytes, size_t n, int line,
                              moire_error *error) {
  moire_error own = {0};
  moire__hlo_parser p = {.module = m, .arena = &m->arena, .error = error ? error : &own};
  m->path = moire__arena_copy_string(&m->arena, path);
  p.lexer = (moire__hlo_lexer){bytes, bytes + n, line};
  for (int i = 0; i < MOIRE__HLO_NAME_SLOTS; i++) p.heads[i] = -1;
  moire__hlo_advance(&p);
  parse_contents(&p);
  if (moire__hlo_at_sign(&p, '}')) moire__hlo_fail(&p, "a bracket that nothing opens");
  if (!p.failed && !m->n_functions) moire__hlo_fail(&p, "there is no function: wanted StableHLO as text");
  return p.failed ? MOIRE_ERROR_FORMAT : MOIRE_OK;
}

void moire__hlo_module_free(moire__hlo_module *m) { moire__arena_free(&m->arena); }

const moire__hlo_function *moire__hlo_find(const moire__hlo_module *m, const char *name) {
  for (int i = 0; i < m->n_functions; i++) {
    if (!strcmp(m->functions[i].name, name)) return &m->functions[i];
  }
  return NULL;
}

/* ---- places -----------------------------------------------------------------------------------------------
 */

enum { DEEPEST_PLACE = 64 };

/* The place behind names and aliases, or that of a name where `named`; NULL: none. */
static const moire__hlo_place *follow(const moire__hlo_module *m, int place, bool named) {
  for (int i = 0; i < DEEPEST_PLACE && place >= 0; i++) {
    const moire__hlo_place *at = &m->places[place];
    if (at->file ? !named : named && at->name) return at;
    int alias = at->alias ? moire__names_find(&m->aliases, at->alias) : -1;
    place = at->alias ? (alias < 0 ? -1 : m->alias_places[alias]) : at->inner;
  }
  return NULL;
}

moire_source moire__hlo_source(const moire__hlo_module *m, const moire__hlo_op *op) {
  const moire__hlo_place *at = follow(m, op->place, false);
  return at && at->line > 0 ? (moire_source){at->file, at->line} : (moire_source){m->path, op->line};
}

const char *moire__hlo_place_name(const moire__hlo_module *m, int place) {
  const moire__hlo_place *at = follow(m, place, true);
  return at ? at->name : "";
}
