/* Plans as text: buffers with their lives, steps, updates.
 *
 *   plan @qia {
 *     extent B
 *     flush
 *     buffer 0 state "w" : f32[100,64] steps 0 to 359
 *     step 0 kernel 3 over 50*B by 128 (0, 2, 5) "layers.0.attn: add"
 *     step 1 kernel 4 over B by 1 (5, 6) with (192, -1) "slice"
 *     update 4 from 17
 *   }
 *
 * Buffers and steps are numbered in order. What is read refers only to buffers that are there.
 */
#include "compiler/pass/plan/plan_text.h"

#include "compiler/ir/graph/graph_scan.h"
#include "compiler/pass/plan/module.h"

#include <string.h>

static const char *const roles[] = {"input", "state", "output", "temporary"}; /* as moire_plan_role */
enum { N_ROLES = sizeof roles / sizeof *roles, MOST = 1 << 20 };

static void add_quoted(moire__text *text, const char *s) {
  moire__text_add_char(text, '"');
  for (; *s; s++) {
    if (*s == '"' || *s == '\\') moire__text_add_char(text, '\\');
    moire__text_add_char(text, *s);
  }
  moire__text_add_char(text, '"');
}

void moire__module_print_plan(const moire__module *module, moire__text *text) {
  const moire_plan *plan = &module->plan;
  moire__text_add(text, "plan @%s {\n", plan->name);
  for (int i = 1; i <= plan->n_extents; i++) moire__text_add(text, "  extent %s\n", plan->extents[i]);
  if (plan->flush) moire__text_add(text, "  flush\n");
  for (int i = 0; i < plan->n_buffers; i++) {
    const moire_plan_buffer *b = &plan->buffers[i];
    moire__text_add(text, "  buffer %d %s ", i, roles[b->role]);
    add_quoted(text, b->name);
    moire__text_add(text, " : ");
    moire__text_add_type(text, module->graph, b->dtype, &b->shape);
    moire__text_add(text, " steps %d to %d\n", b->first_step, b->last_step);
  }
  for (int i = 0; i < plan->n_steps; i++) {
    const moire_plan_step *s = &plan->steps[i];
    moire__text_add(text, "  step %d kernel %d over ", i, s->kernel);
    moire__text_add_dim(text, module->graph, s->count);
    moire__text_add(text, " by %lld (", (long long)s->block);
    for (int j = 0; j < s->n_buffers; j++) moire__text_add(text, "%s%d", j ? ", " : "", s->buffers[j]);
    moire__text_add(text, ") ");
    for (int j = 0; j < s->n_constants; j++)
      moire__text_add(text, "%s%lld", j ? ", " : "with (", (long long)s->constants[j]);
    if (s->n_constants) moire__text_add(text, ") ");
    add_quoted(text, s->name);
    moire__text_add_char(text, '\n');
  }
  for (int i = 0; i < plan->n_updates; i++) {
    moire__text_add(text, "  update %d from %d\n", plan->updates[i].state, plan->updates[i].from);
  }
  moire__text_add(text, "}\n");
}

/* ---- reading ---- */

typedef struct reader {
  moire__scan scan;
  moire__module *m;
  moire_plan_buffer *buffers;
  moire_plan_step *steps;
  moire_plan_update *updates;
  int n_buffers, n_steps, n_updates, buffer_capacity, step_capacity, update_capacity;
} reader;

static bool read_int(reader *r, int64_t low, int64_t high, int *value) {
  int64_t wide = 0;
  if (!moire__scan_int(&r->scan, low, high, &wide)) return false;
  *value = (int)wide;
  return true;
}

static bool read_number_in_order(reader *r, int next) {
  int number = 0;
  if (!read_int(r, 0, MOST, &number)) return false;
  return number == next || moire__scan_fail(&r->scan, "number %d comes where %d is next", number, next);
}

static const char *read_quoted(reader *r) {
  const char *string = moire__scan_string(&r->scan);
  return string ? moire__arena_copy_string(&r->m->arena, string) : NULL;
}

static bool read_buffer(reader *r) {
  moire_plan_buffer b = {0};
  int role = 0;
  if (!read_number_in_order(r, r->n_buffers)) return false;
  while (role < N_ROLES && !moire__scan_accept(&r->scan, roles[role])) role++;
  if (role == N_ROLES) return moire__scan_expected(&r->scan, "input, state, output or temporary");
  b.role = (moire_plan_role)role;
  b.name = read_quoted(r);
  if (!b.name || !moire__scan_expect(&r->scan, ":") || !moire__scan_dtype(&r->scan, &b.dtype)) return false;
  if (!moire__scan_shape(&r->scan, r->m->graph, &b.shape)) return false;
  if (!moire__shape_elements(&b.shape, &b.elements))
    return moire__scan_fail(&r->scan, "a buffer of too many elements");
  if (!moire__scan_expect(&r->scan, "steps") || !read_int(r, 0, MOST, &b.first_step)) return false;
  if (!moire__scan_expect(&r->scan, "to") || !read_int(r, -1, MOST, &b.last_step)) return false;
  MOIRE__PUSH(&r->m->arena, r->buffers, r->n_buffers, r->buffer_capacity, b);
  return true;
}

static bool read_arguments(reader *r, moire_plan_step *s) {
  int *list = NULL, n = 0, capacity = 0;
  if (!moire__scan_expect(&r->scan, "(")) return false;
  if (!moire__scan_accept(&r->scan, ")")) {
    do {
      int buffer = 0;
      if (!read_int(r, 0, (int64_t)r->n_buffers - 1, &buffer)) return false;
      MOIRE__PUSH(&r->m->arena, list, n, capacity, buffer);
    } while (moire__scan_accept(&r->scan, ","));
    if (!moire__scan_expect(&r->scan, ")")) return false;
  }
  s->buffers = list;
  s->n_buffers = n;
  return true;
}

static bool read_constants(reader *r, moire_plan_step *s) {
  int64_t *list = NULL, number = 0;
  int capacity = 0, room = MOIRE_MAX_EXTENTS - r->m->graph->n_extents;
  if (!moire__scan_accept(&r->scan, "with")) return true;
  if (!moire__scan_expect(&r->scan, "(")) return false;
  do {
    if (s->n_constants == room)
      return moire__scan_fail(&r->scan, "more than %d extents and constants", MOIRE_MAX_EXTENTS);
    if (!moire__scan_int(&r->scan, INT64_MIN, INT64_MAX, &number)) return false;
    MOIRE__PUSH(&r->m->arena, list, s->n_constants, capacity, number);
  } while (moire__scan_accept(&r->scan, ","));
  s->constants = list;
  return moire__scan_expect(&r->scan, ")");
}

static bool read_step(reader *r) {
  moire_plan_step s = {0};
  if (!read_number_in_order(r, r->n_steps) || !moire__scan_expect(&r->scan, "kernel")) return false;
  if (!read_int(r, 0, MOST, &s.kernel) || !moire__scan_expect(&r->scan, "over")) return false;
  if (!moire__scan_dim(&r->scan, r->m->graph, &s.count) || !moire__scan_expect(&r->scan, "by")) return false;
  if (!moire__scan_int(&r->scan, 1, INT64_MAX, &s.block) || !read_arguments(r, &s)) return false;
  if (!read_constants(r, &s)) return false;
  s.name = read_quoted(r);
  if (!s.name) return false;
  MOIRE__PUSH(&r->m->arena, r->steps, r->n_steps, r->step_capacity, s);
  return true;
}

static bool read_update(reader *r) {
  moire_plan_update u = {0};
  int64_t last = (int64_t)r->n_buffers - 1;
  if (!read_int(r, 0, last, &u.state) || !moire__scan_expect(&r->scan, "from") ||
      !read_int(r, 0, last, &u.from))
    return false;
  MOIRE__PUSH(&r->m->arena, r->updates, r->n_updates, r->update_capacity, u);
  return true;
}

static bool read_extent(reader *r) {
  const char *name = moire__scan_word(&r->scan, "an extent");
  if (!name) return false;
  moire_extent(r->m->graph, name);
  return r->m->graph->error.status == MOIRE_OK ||
         moire__scan_fail(&r->scan, "%.400s", r->m->graph->error.message);
}

static bool read_plan(reader *r) {
  if (!moire__scan_expect(&r->scan, "plan")) return false;
  const char *name = moire__scan_name(&r->scan, "@");
  if (!name || !moire__scan_expect(&r->scan, "{")) return false;
  r->m->graph = moire_graph_create(name, MOIRE_INFERENCE);
  while (!moire__scan_accept(&r->scan, "}")) {
    bool read = false;
    if (moire__scan_accept(&r->scan, "flush")) {
      r->m->plan.flush = read = true;
    } else if (moire__scan_accept(&r->scan, "extent")) {
      read = read_extent(r);
    } else if (moire__scan_accept(&r->scan, "buffer")) {
      read = read_buffer(r);
    } else if (moire__scan_accept(&r->scan, "step")) {
      read = read_step(r);
    } else if (moire__scan_accept(&r->scan, "update")) {
      read = read_update(r);
    } else {
      read = moire__scan_expected(&r->scan, "flush, extent, buffer, step, update or }");
    }
    if (!read) return false;
  }
  moire__scan_space(&r->scan);
  return *r->scan.at == 0 || moire__scan_expected(&r->scan, "the end of the text");
}

moire__module *moire__plan_parse(const char *text, const char *file, moire_error *error) {
  reader r = {.scan = {.at = text, .file = file, .line = 1, .error = error}};
  r.m = moire__allocate(sizeof *r.m);
  bool read = read_plan(&r);
  moire__arena_free(&r.scan.names);
  if (!read) {
    moire__module_destroy(r.m);
    return NULL;
  }
  moire_graph *g = r.m->graph;
  r.m->plan = (moire_plan){.name = g->name,
                           .extents = g->extents,
                           .n_extents = g->n_extents,
                           .buffers = r.buffers,
                           .n_buffers = r.n_buffers,
                           .steps = r.steps,
                           .n_steps = r.n_steps,
                           .updates = r.updates,
                           .n_updates = r.n_updates,
                           .flush = r.m->plan.flush};
  return r.m;
}

moire_status moire__plan_reprint(const char *text, const char *file, moire__text *out, moire_error *error) {
  moire__module *module = moire__plan_parse(text, file, error);
  if (!module) return MOIRE_ERROR_FORMAT;
  moire__module_print_plan(module, out);
  moire__module_destroy(module);
  return MOIRE_OK;
}
