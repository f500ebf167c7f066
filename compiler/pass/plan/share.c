/* Kernels that differ in whole numbers alone: see share.h. */
#include "compiler/pass/plan/share.h"

#include <stdio.h>
#include <string.h>

/* ---- where a kernel has numbers that may become arguments ---- */

typedef struct places {
  moire__loop_kernel *kernel;
  moire__arena *arena;
  moire__loop_value **list; /* each where the number stands */
  int n, capacity;
} places;

static bool takes_arguments(moire__loop_op op) {
  switch ((int)op) {
    case MOIRE__LOOP_add:
    case MOIRE__LOOP_sub:
    case MOIRE__LOOP_min:
    case MOIRE__LOOP_max:
    case MOIRE__LOOP_eq:
    case MOIRE__LOOP_lt:
    case MOIRE__LOOP_le:
    case MOIRE__LOOP_select:
    case MOIRE__LOOP_load:
    case MOIRE__LOOP_word:
    case MOIRE__LOOP_random:
    case MOIRE__LOOP_random16: return true;
    default: return false;
  }
}

static void look_at(places *p, moire__loop_value *place) {
  const moire__loop_value_info *v = &p->kernel->values[*place];
  if (*place && v->op == MOIRE__LOOP_const && moire__loop_type_is_int(v->type))
    MOIRE__PUSH(p->arena, p->list, p->n, p->capacity, place);
}

static void find_in(places *p, moire__loop_statement *first) {
  for (moire__loop_statement *s = first; s; s = s->next) {
    if (s->kind == MOIRE__LOOP_STORE) look_at(p, &s->address);
    find_in(p, s->body);
    if (s->kind != MOIRE__LOOP_LET) continue;
    moire__loop_value_info *v = &p->kernel->values[s->value];
    for (int i = 0; takes_arguments(v->op) && i < v->n_operands; i++) look_at(p, &v->operands[i]);
  }
}

static places find_places(moire__loop_kernel *k, moire__loop_statement *body, moire__arena *arena) {
  places p = {.kernel = k, .arena = arena};
  find_in(&p, body);
  return p;
}

/* The text of a kernel without its numbers, which go to `numbers`; `n` is how many there are. */
static const char *skeleton_of(moire__loop_kernel *k, int64_t **numbers, int *n, moire__arena *arena) {
  moire__loop_builder b = {.kernel = k};
  moire__loop_value any_long = moire__loop_index(&b, INT64_MIN + 1), /* before places are found: values move */
      any = moire__loop_const(&b, MOIRE__LOOP_I32, (double)INT32_MIN);
  places p = find_places(k, k->body, arena);
  moire__loop_value *kept = moire__arena_array(arena, (size_t)p.n + 1, sizeof *kept);
  *numbers = moire__arena_array(arena, (size_t)p.n + 1, sizeof **numbers);
  *n = p.n;
  for (int i = 0; i < p.n; i++) {
    kept[i] = *p.list[i];
    (*numbers)[i] = k->values[kept[i]].integer;
    *p.list[i] = k->values[kept[i]].type == MOIRE__LOOP_I64 ? any_long : any;
  }
  moire__text text = {0};
  moire__loop_print_bare(k, &text);
  const char *skeleton = moire__arena_copy_string(arena, moire__text_string(&text));
  moire__text_free(&text);
  for (int i = 0; i < p.n; i++) *p.list[i] = kept[i];
  return skeleton;
}

/* ---- families ---- */

typedef struct family {
  int n, n_places; /* kernels; numbers in each */
  int first;       /* kernel */
  int n_arguments; /* 0: they stay as they are */
  int *argument;   /* of each place: -1: all have the same number */
  int shared;      /* its number among the new kernels, -1: not there yet */
} family;

typedef struct sharing {
  moire__module *m;
  moire__arena scratch;
  int *family_of;    /* of every kernel */
  int64_t **numbers; /* of every kernel */
  family *families;
  int n_families;
  moire__loop_kernel **kernels; /* the new ones */
  int n_kernels, capacity;
  int *number; /* of every old kernel: its new number, -1: not there yet */
} sharing;

static void find_families(sharing *s) {
  moire__names skeletons = {0};
  for (int k = 0; k < s->m->n_kernels; k++) {
    int n = 0;
    const char *skeleton = skeleton_of(s->m->kernels[k], &s->numbers[k], &n, &s->scratch);
    int found = moire__names_find(&skeletons, skeleton);
    if (found < 0) {
      found = skeletons.n;
      moire__names_add(&skeletons, &s->scratch, skeleton);
      s->families[found] = (family){.first = k, .n_places = n, .shared = -1};
    }
    s->families[found].n++;
    s->family_of[k] = found;
  }
  s->n_families = skeletons.n;
}

/* Places with the same numbers in all kernels of the family have one argument. */
static bool alike(const sharing *s, int of, int a, int b) {
  for (int k = 0; k < s->m->n_kernels; k++)
    if (s->family_of[k] == of && s->numbers[k][a] != s->numbers[k][b]) return false;
  return true;
}

static bool is_everywhere(const sharing *s, int of, int place) {
  const family *f = &s->families[of];
  for (int k = f->first; k < s->m->n_kernels; k++)
    if (s->family_of[k] == of && s->numbers[k][place] != s->numbers[f->first][place]) return false;
  return true;
}

static void find_arguments(sharing *s, int of) {
  family *f = &s->families[of];
  int room = MOIRE_MAX_EXTENTS - s->m->kernels[f->first]->n_extents, n = 0;
  if (f->n < MOIRE__SHARE_FEWEST) return;
  f->argument = moire__arena_array(&s->scratch, (size_t)f->n_places + 1, sizeof *f->argument);
  for (int p = 0; p < f->n_places; p++) {
    f->argument[p] = -1;
    if (is_everywhere(s, of, p)) continue;
    for (int before = 0; before < p && f->argument[p] < 0; before++)
      if (f->argument[before] >= 0 && alike(s, of, before, p)) f->argument[p] = f->argument[before];
    if (f->argument[p] < 0) f->argument[p] = n++;
  }
  f->n_arguments = n <= room ? n : 0;
}

/* ---- the kernel that serves a family ---- */

/* "c1", or what else is no name of an extent yet. */
static const char *free_name(const moire__loop_kernel *k, int number, moire__arena *arena) {
  for (const char *prefix = "c";; prefix = moire__arena_printf(arena, "%s_", prefix)) {
    const char *name = moire__arena_printf(arena, "%s%d", prefix, number);
    bool taken = false;
    for (int i = 1; i <= k->n_extents; i++) taken = taken || !strcmp(k->extents[i], name);
    if (!taken) return name;
  }
}

/* Extents n + 1 .. n + count of their own. */
static void add_extents(moire__loop_kernel *k, int count, moire__arena *arena) {
  const char **names = moire__arena_array(arena, MOIRE_MAX_EXTENTS + 1, sizeof *names);
  for (int i = 1; i <= k->n_extents; i++) names[i] = k->extents[i];
  k->extents = names;
  for (int i = 1; i <= count; i++) {
    names[k->n_extents + 1] = free_name(k, i, arena);
    k->n_extents++;
  }
}

/* Where kernels differ they read argument a as extent before + 1 + a, narrowed at their start where an i32 is
 * wanted. Values move when others are made, so places are found again behind that. */
static void place_arguments(moire__loop_kernel *k, const family *f, int before, moire__arena *arena) {
  bool is_narrow[MOIRE_MAX_EXTENTS] = {false};
  moire__loop_value wide[MOIRE_MAX_EXTENTS], narrow[MOIRE_MAX_EXTENTS];
  places p = find_places(k, k->body, arena);
  for (int i = 0; i < p.n; i++)
    if (f->argument[i] >= 0 && k->values[*p.list[i]].type == MOIRE__LOOP_I32) is_narrow[f->argument[i]] = true;
  moire__loop_statement *body = k->body;
  moire__loop_builder b = {.kernel = k, .depth = 1};
  k->body = NULL;
  b.open[0].end = &k->body;
  for (int i = 0; i < f->n_arguments; i++) {
    wide[i] = moire__loop_extent(&b, moire__dim_make(1, before + 1 + i));
    narrow[i] = is_narrow[i] ? moire__loop_cast(&b, wide[i], MOIRE__LOOP_I32) : 0;
  }
  *b.open[0].end = body;
  p = find_places(k, body, arena);
  for (int i = 0; i < p.n; i++) {
    if (f->argument[i] < 0) continue;
    bool long_one = k->values[*p.list[i]].type == MOIRE__LOOP_I64;
    *p.list[i] = long_one ? wide[f->argument[i]] : narrow[f->argument[i]];
  }
}

static moire__loop_kernel *make_shared(sharing *s, const family *f, moire_error *error) {
  moire__arena *arena = &s->m->arena;
  moire__text text = {0};
  moire__loop_print_sources(s->m->kernels[f->first], &text);
  moire__loop_kernel *k = moire__loop_parse(arena, moire__text_string(&text), "a kernel", error);
  moire__text_free(&text);
  if (!k) return NULL;
  k->way = s->m->kernels[f->first]->way;
  int before = k->n_extents;
  add_extents(k, f->n_arguments, arena);
  place_arguments(k, f, before, &s->scratch);
  return moire__loop_verify(k, error) == MOIRE_OK ? k : NULL;
}

static int add_kernel(sharing *s, moire__loop_kernel *k) {
  MOIRE__PUSH(&s->m->arena, s->kernels, s->n_kernels, s->capacity, k);
  return s->n_kernels - 1;
}

static void give_arguments(sharing *s, const family *f, int kernel, moire_plan_step *step) {
  int64_t *constants = moire__arena_array(&s->m->arena, (size_t)f->n_arguments, sizeof *constants);
  for (int p = 0; p < f->n_places; p++)
    if (f->argument[p] >= 0) constants[f->argument[p]] = s->numbers[kernel][p];
  step->constants = constants;
  step->n_constants = f->n_arguments;
}

static moire_status rewrite_step(sharing *s, moire_plan_step *step, moire_error *error) {
  int old = step->kernel;
  family *f = &s->families[s->family_of[old]];
  if (!f->n_arguments) {
    if (s->number[old] < 0) s->number[old] = add_kernel(s, s->m->kernels[old]);
    step->kernel = s->number[old];
    return MOIRE_OK;
  }
  if (f->shared < 0) {
    moire__loop_kernel *k = make_shared(s, f, error);
    if (!k) return error ? error->status : MOIRE_ERROR_INTERNAL;
    f->shared = add_kernel(s, k);
  }
  step->kernel = f->shared;
  give_arguments(s, f, old, step);
  return MOIRE_OK;
}

static void name_texts(moire__module *m) {
  m->texts = (moire__names){0};
  for (int i = 0; i < m->n_kernels; i++) {
    moire__text text = {0};
    moire__loop_print_bare(m->kernels[i], &text);
    moire__names_add(&m->texts, &m->arena, moire__arena_copy_string(&m->arena, moire__text_string(&text)));
    moire__text_free(&text);
  }
}

moire_status moire__share_kernels(moire__module *m, moire_plan_step *steps, int n_steps, moire_error *error) {
  sharing s = {.m = m};
  size_t n = (size_t)m->n_kernels + 1;
  s.family_of = moire__arena_array(&s.scratch, n, sizeof *s.family_of);
  s.numbers = moire__arena_array(&s.scratch, n, sizeof *s.numbers);
  s.families = moire__arena_array(&s.scratch, n, sizeof *s.families);
  s.number = moire__arena_array(&s.scratch, n, sizeof *s.number);
  find_families(&s);
  bool any = false;
  for (int f = 0; f < s.n_families; f++) {
    find_arguments(&s, f);
    any = any || s.families[f].n_arguments;
  }
  for (int k = 0; k < m->n_kernels; k++) s.number[k] = -1;
  moire_status status = MOIRE_OK;
  for (int i = 0; any && i < n_steps && !status; i++) status = rewrite_step(&s, &steps[i], error);
  moire__arena_free(&s.scratch);
  if (!any || status) return status;
  m->kernels = s.kernels;
  m->n_kernels = s.n_kernels;
  m->kernel_capacity = s.capacity;
  name_texts(m);
  return MOIRE_OK;
}
