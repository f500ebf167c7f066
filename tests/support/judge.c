/* The judge: see judge.h. */
#include "tests/support/judge.h"

#include "compiler/codegen/codegen.h"
#include "compiler/driver/compile.h"
#include "compiler/driver/driver.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

enum { FEW = 4, MANY = 40 }; /* variants: of the first look, and of the second before a value is called wrong */

bool test_text_is_stable(const moire_graph *g, moire__text *why) {
  moire_error error = {0};
  char *text = moire_graph_print(g);
  moire_graph *again = moire_graph_parse(text, "text", &error);
  char *text_again = again ? moire_graph_print(again) : NULL;
  bool same = text_again && strcmp(text, text_again) == 0;
  if (!same) moire__text_add(why, "text does not read back: %s", again ? "another text" : error.message);
  free(text);
  free(text_again);
  moire_graph_destroy(again);
  return same;
}

/* The same of loop nests. */
static bool kernels_read_back(const moire__module *m, moire__text *why) {
  bool good = true;
  for (int i = 0; i < m->n_kernels && good; i++) {
    moire__arena arena = {0};
    moire__text text = {0}, text_again = {0};
    moire_error error = {0};
    moire__loop_print(m->kernels[i], &text);
    moire__loop_kernel *again = moire__loop_parse(&arena, moire__text_string(&text), "text", &error);
    if (again) moire__loop_print(again, &text_again);
    good = again && strcmp(moire__text_string(&text), moire__text_string(&text_again)) == 0;
    if (!good) {
      moire__text_add(why, "kernel %s does not read back: %s", m->kernels[i]->name,
                      again ? "another text" : error.message);
    }
    moire__text_free(&text);
    moire__text_free(&text_again);
    moire__arena_free(&arena);
  }
  return good;
}

/* ---- compiling ------------------------------------------------------------------------------------------- */

static bool make_stages(test_subject *s, const moire__goal *goal, moire__text *why) {
  int n = 0;
  const moire__pass_row *rows = moire__driver_passes(&n);
  const moire_graph *before = s->model;
  char *text = NULL, *text_before = NULL;
  moire_error error = {0};
  bool good = true;
  for (int i = 0; i < n && i < TEST_MOST_STAGES && good; i++) {
    moire_graph *after = rows[i].run(before, goal, &error);
    if (!after || moire__graph_verify(after, &error) != MOIRE_OK) {
      moire__text_add(why, "pass %s: %s", rows[i].name, error.message);
      moire_graph_destroy(after);
      good = false;
      break;
    }
    if (strcmp(rows[i].name, "narrow") == 0) s->reference = i;
    s->stage_names[i] = rows[i].name;
    s->stages[s->n_stages++] = after;
    text_before = text;
    text = moire_graph_print(after);
    s->repeats[i] = text_before && strcmp(text, text_before) == 0;
    free(text_before);
    before = after;
    good = s->repeats[i] || test_text_is_stable(after, why);
    if (!good) moire__text_add(why, " (the graph after pass %s)", rows[i].name);
  }
  free(text);
  return good;
}

/* There are no functions of f64 in compiled code. */
static bool computes_in_f64(const moire_graph *g) {
  for (int32_t v = 1; v < g->n_values; v++) {
    if (g->values[v].dtype == MOIRE_F64) return true;
  }
  return false;
}

enum { LONGEST_WAY = 32 * MOIRE_OPTIMIZATION_COUNT };

/* "with everything", or what is not done. */
static const char *describe(test_way way, char text[LONGEST_WAY]) {
  snprintf(text, LONGEST_WAY, "with everything");
  for (int i = 0, at = 0; i < MOIRE_OPTIMIZATION_COUNT; i++) {
    const char *name = moire_optimization_name((moire_optimization)i);
    if (way.off >> i & 1)
      at += snprintf(text + at, LONGEST_WAY - (size_t)at, "%s%.24s", at ? ", " : "without ", name);
  }
  return text;
}

/* Kernels and code follow from the fused graph and the target. */
static bool is_made(const test_subject *s, test_way way, const char *fused) {
  for (int i = 0; i < s->n_ways; i++) {
    if (strcmp(s->ways[i].target, way.target) == 0 && (way.loops_only || !s->ways[i].loops_only) &&
        s->fused[i] && strcmp(s->fused[i], fused) == 0)
      return true;
  }
  return false;
}

static bool make_way(test_subject *s, const moire_compile_options *options, test_way way, moire__text *why) {
  moire_compile_options o = *options;
  moire_error error = {0};
  moire__target target;
  o.target = way.target;
  o.off =
      way.off | 1u << MOIRE_OPTIMIZATION_flush; /* samples have numbers below the normal range, which count */
  if (moire__target_named(way.target, &target, &error) != MOIRE_OK) return false;
  if (moire__target_runs_here(&target, &error) != MOIRE_OK) return true;
  moire__goal goal = moire__goal_for_target(&o, &target);
  moire_graph *fused = moire__driver_run_passes(s->model, &goal, NULL, NULL, &error);
  char *text = fused ? moire_graph_print(fused) : NULL;
  if (text && is_made(s, way, text)) {
    moire_graph_destroy(fused);
    free(text);
    return true;
  }
  moire__lower_target shape = {
      target.vector_bits / 32, target.n_vector_registers, target.has_dots, true, target.has_tiles, 0};
  moire__module *module = fused ? moire__pass_lower(fused, shape, &error) : NULL;
  moire_program *program = module && !way.loops_only ? moire_compile(s->model, &o, &error) : NULL;
  s->modules[s->n_ways] = module;
  s->programs[s->n_ways] = program;
  s->fused[s->n_ways] = text;
  s->ways[s->n_ways++] = way;
  bool refused = error.status == MOIRE_ERROR_UNSUPPORTED && computes_in_f64(s->model);
  if (program || (module && (refused || way.loops_only))) return kernels_read_back(module, why);
  char said[LONGEST_WAY];
  moire__text_add(why, "%s %s: %s", way.target, describe(way, said), error.message);
  return false;
}

bool test_subject_make(test_subject *s, const moire_graph *model, const moire_compile_options *options,
                       const test_way *ways, int n_ways, moire__text *why) {
  *s = (test_subject){.model = model};
  moire__goal goal = moire__goal_from_options(options);
  bool good = make_stages(s, &goal, why);
  s->first_stage = goal.bf16 ? s->reference : 0;
  for (int i = 0; i < n_ways && good; i++) good = make_way(s, options, ways[i], why);
  if (!good) test_subject_free(s);
  return good;
}

void test_subject_free(test_subject *s) {
  for (int i = 0; i < s->n_stages; i++) moire_graph_destroy(s->stages[i]);
  for (int i = 0; i < s->n_ways; i++) {
    moire__module_destroy(s->modules[i]);
    moire_program_destroy(s->programs[i]);
    free(s->fused[i]);
  }
  *s = (test_subject){0};
}

test_pools test_pools_make(void) {
  test_pools pools = {{NULL}};
  for (int i = 0; i < 3; i++) pools.pools[i] = moire_threads_create(i + 1, NULL);
  return pools;
}

void test_pools_free(test_pools *pools) {
  for (int i = 0; i < 3; i++) moire_threads_destroy(pools->pools[i]);
}

/* ---- judging --------------------------------------------------------------------------------------------- */

typedef struct trial {
  const test_subject *s;
  const test_feed *feed;
  uint64_t seed;
  test_values want[2]; /* by precision */
  bool careful[2];     /* it comes from many variants */
  moire__text *why;
} trial;

static const moire_graph *reference_of(const test_subject *s) { return s->stages[s->reference]; }

/* The bounds again, from many variants. */
static bool look_again(trial *t, test_precision precision) {
  if (t->careful[precision]) return false;
  test_values *want = &t->want[precision];
  t->careful[precision] = true;
  test_values_free(want);
  return test_bounds_run(reference_of(t->s), t->feed, MANY, precision, t->seed + 1, want, NULL) == MOIRE_OK;
}

static bool agrees(trial *t, const test_values *got, test_precision precision) {
  moire__text why = {0};
  bool good = test_values_agree(&t->want[precision], got, &why);
  if (!good && look_again(t, precision)) {
    moire__text_free(&why);
    good = test_values_agree(&t->want[precision], got, &why);
  }
  if (!good) moire__text_add(t->why, "%s", moire__text_string(&why));
  moire__text_free(&why);
  return good;
}

/* What a stage before the reference has not got yet is taken from `want`. */
static void fill_in(test_values *got, const test_values *want) {
  for (int i = 0; i < want->n; i++) {
    const test_value *w = &want->list[i];
    if (test_values_find(got, w->name, w->is_update)) continue;
    test_value *to = test_values_add(got, w->name, w->is_update, w->dtype, w->elements);
    memcpy(to->value, w->value, (size_t)w->elements * sizeof *w->value);
  }
}

static bool judge_stage(trial *t, const moire_graph *g, const char *name, bool before_reference) {
  moire_error error = {0};
  test_values got;
  moire_status status = test_run_graph(g, t->feed, &got, &error);
  if (status == MOIRE_OK && before_reference) fill_in(&got, &t->want[TEST_DOUBLE]);
  bool good = status == MOIRE_OK && agrees(t, &got, TEST_DOUBLE);
  if (status != MOIRE_OK) moire__text_add(t->why, "%s", error.message);
  if (!good) moire__text_add(t->why, " (the graph after pass %s)", name);
  test_values_free(&got);
  return good;
}

static bool judge_loops(trial *t, int way) {
  moire_error error = {0};
  for (int backwards = 0; backwards < 2; backwards++) {
    test_values got;
    moire_status status =
        test_run_loops(t->s->modules[way], t->feed, backwards, &t->want[TEST_DOUBLE], &got, &error);
    bool good = status == MOIRE_OK && agrees(t, &got, TEST_DOUBLE);
    test_values_free(&got);
    if (good) continue;
    char text[LONGEST_WAY];
    moire__text_add(t->why, "%s (loop nests for %s, %s%s)", error.message, t->s->ways[way].target,
                    describe(t->s->ways[way], text), backwards ? ", backwards" : "");
    return false;
  }
  return true;
}

static bool judge_native(trial *t, int way, const test_pools *pools) {
  if (!t->s->programs[way]) return true;
  const moire_plan *plan = moire_program_plan(t->s->programs[way]);
  moire_error error = {0};
  test_values one;
  moire_status status = test_run_plan(plan, t->feed, pools->pools[0], &t->want[TEST_FLOAT32], &one, &error);
  bool in_range = t->want[TEST_FLOAT32].largest < 1e37;
  bool good = status == MOIRE_OK && (!in_range || agrees(t, &one, TEST_FLOAT32));
  for (int i = 1; i < 3 && good; i++) {
    test_values more;
    good = test_run_plan(plan, t->feed, pools->pools[i], &t->want[TEST_FLOAT32], &more, &error) == MOIRE_OK;
    good = good && test_values_identical(&one, &more, t->why);
    if (!good) moire__text_add(t->why, " (%d threads)", i + 1);
    test_values_free(&more);
  }
  char text[LONGEST_WAY];
  if (!good)
    moire__text_add(t->why, "%s (native code for %s, %s)", error.message, t->s->ways[way].target,
                    describe(t->s->ways[way], text));
  test_values_free(&one);
  return good;
}

bool test_subject_judge(const test_subject *s, const test_feed *feed, unsigned checks, const test_pools *pools,
                        uint64_t seed, moire__text *why) {
  moire_error error = {0};
  trial t = {.s = s, .feed = feed, .seed = seed, .why = why};
  bool good = true;
  for (int p = TEST_FLOAT32; p <= TEST_DOUBLE && good; p++)
    good = test_bounds_run(reference_of(s), feed, FEW, (test_precision)p, seed, &t.want[p], &error) == MOIRE_OK;
  if (!good) moire__text_add(why, "%s", error.message);
  for (int i = s->first_stage; i < s->n_stages && good && checks & TEST_CHECK_STAGES; i++)
    good = (s->repeats[i] && i > s->first_stage) ||
           judge_stage(&t, s->stages[i], s->stage_names[i], i < s->reference);
  for (int i = 0; i < s->n_ways && good && checks & TEST_CHECK_LOOPS; i++) good = judge_loops(&t, i);
  for (int i = 0; i < s->n_ways && good && checks & TEST_CHECK_NATIVE; i++) good = judge_native(&t, i, pools);
  test_values_free(&t.want[TEST_FLOAT32]);
  test_values_free(&t.want[TEST_DOUBLE]);
  return good;
}
