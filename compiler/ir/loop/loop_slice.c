/* A slice of a kernel: the statements on which control flow depends, and the loops whose iterations it tells
 * apart.
 *
 * Bounds of loops and conditions are needed; so is what they are computed from, through values, variables and
 * buffers, to a fixed point. A loop's iterations differ if its variable is needed, or if something needed is
 * carried from one to the next by a variable or a local. All others can be counted by running one of them. */
#include "compiler/ir/loop/loop_work.h"

typedef struct slicer {
  const moire__loop_kernel *k;
  bool *values, *vars, *buffers; /* needed */
  bool changed;
  moire__loop_slice *out;
} slicer;

static void need(slicer *s, bool *set, int i) {
  if (i <= 0 || set[i]) return;
  set[i] = true;
  s->changed = true;
}

static void need_operands(slicer *s, moire__loop_value v) {
  const moire__loop_value_info *info = &s->k->values[v];
  for (int i = 0; i < info->n_operands; i++) need(s, s->values, info->operands[i]);
  if (info->op == MOIRE__LOOP_load || info->op == MOIRE__LOOP_word) need(s, s->buffers, info->buffer);
  if (info->op == MOIRE__LOOP_get) need(s, s->vars, info->var);
}

static bool is_needed(const slicer *s, const moire__loop_statement *at) {
  switch (at->kind) {
    case MOIRE__LOOP_LET: return s->values[at->value];
    case MOIRE__LOOP_DECLARE:
    case MOIRE__LOOP_SET:
    case MOIRE__LOOP_REDUCE: return s->vars[at->var];
    case MOIRE__LOOP_STORE:
      return s->buffers[at->buffer] && s->k->buffers[at->buffer].role == MOIRE__BUFFER_LOCAL;
    case MOIRE__LOOP_FETCH:
    case MOIRE__LOOP_TURN:
    case MOIRE__LOOP_TILE: return false;
    case MOIRE__LOOP_FOR:
    case MOIRE__LOOP_IF: return true;
  }
  return true;
}

static void visit(slicer *s, const moire__loop_statement *at) {
  for (; at; at = at->next) {
    if (at->kind == MOIRE__LOOP_FOR) {
      need(s, s->values, at->low);
      need(s, s->values, at->high);
    }
    if (at->kind == MOIRE__LOOP_IF) need(s, s->values, at->value);
    if (is_needed(s, at)) {
      if (at->kind == MOIRE__LOOP_LET) need_operands(s, at->value);
      if (at->kind == MOIRE__LOOP_DECLARE) need(s, s->values, s->k->vars[at->var].init);
      if (at->kind == MOIRE__LOOP_SET || at->kind == MOIRE__LOOP_REDUCE) need(s, s->values, at->value);
      if (at->kind == MOIRE__LOOP_STORE) {
        need(s, s->values, at->address);
        need(s, s->values, at->value);
      }
    }
    visit(s, at->body);
  }
}

/* Does something needed change from one run of the block to the next? Declarations begin anew each time. */
static bool carries(const slicer *s, const moire__loop_statement *at) {
  for (; at; at = at->next) {
    bool writes =
        at->kind == MOIRE__LOOP_SET || at->kind == MOIRE__LOOP_REDUCE || at->kind == MOIRE__LOOP_STORE;
    if ((writes && is_needed(s, at)) || carries(s, at->body)) return true;
  }
  return false;
}

static void describe(slicer *s, const moire__loop_statement *at) {
  for (; at; at = at->next) {
    s->out->needed[at->number] = is_needed(s, at);
    if (at->kind == MOIRE__LOOP_FOR) s->out->varies[at->number] = s->values[at->value] || carries(s, at->body);
    bool stores = at->kind == MOIRE__LOOP_STORE || at->kind == MOIRE__LOOP_TURN ||
                  (at->kind == MOIRE__LOOP_TILE && at->tile_op == MOIRE__TILE_STORE);
    bool unknown = stores && s->buffers[at->buffer] && !is_needed(s, at);
    if (unknown) s->out->exact = false;
    describe(s, at->body);
  }
}

moire__loop_slice moire__loop_slice_make(const moire__loop_kernel *k, moire__arena *arena) {
  moire__loop_slice out = {.needed = moire__arena_array(arena, (size_t)k->n_statements + 1, sizeof(bool)),
                           .varies = moire__arena_array(arena, (size_t)k->n_statements + 1, sizeof(bool)),
                           .exact = true};
  slicer s = {.k = k, .out = &out};
  s.values = moire__arena_array(arena, (size_t)k->n_values, sizeof *s.values);
  s.vars = moire__arena_array(arena, (size_t)k->n_vars, sizeof *s.vars);
  s.buffers = moire__arena_array(arena, (size_t)k->n_buffers, sizeof *s.buffers);
  do {
    s.changed = false;
    visit(&s, k->body);
  } while (s.changed);
  describe(&s, k->body);
  out.parallel_varies = s.values[k->parallel];
  return out;
}

moire__loop_runs moire__loop_runs_make(const moire__loop_kernel *k, moire__arena *arena) {
  size_t n = (size_t)k->n_statements + 1;
  return (moire__loop_runs){moire__arena_array(arena, n, sizeof(int64_t)),
                            moire__arena_array(arena, n, sizeof(int64_t))};
}
