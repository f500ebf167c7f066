/* Rows of the table: functions, branches, loops that are written out, and calls to outside. */
#include "compiler/import/hlo/rows.h"

#include <string.h>

/* Gives what there is: one value or several, with what is known of them. */
static void give_all(moire__hlo_call *c, const moire__argument *results, int n) {
  if (n == 1) {
    c->call.result = results[0];
    return;
  }
  moire__argument *items = moire__arena_array(c->call.arena, (size_t)n + 1, sizeof *items);
  memcpy(items, results, (size_t)n * sizeof *items);
  c->call.result = (moire__argument){.kind = MOIRE__ARGUMENT_LIST, .items = items, .n = n};
}

static moire__argument *room(moire__hlo_call *c, int n) {
  return moire__arena_array(c->call.arena, (size_t)n + 1, sizeof(moire__argument));
}

static void run_named(moire__hlo_call *c, const char *attribute) {
  const char *name = moire__text_or(&c->call, attribute, "");
  const moire__hlo_function *f = moire__hlo_find(c->builder->module, name);
  if (!f) moire__refuse(&c->call, "there is no function %.60s", name);
  if (c->call.why) return;
  moire__argument *results = room(c, c->op->n_results);
  if (moire__hlo_run_function(c, f, results, c->op->n_results)) give_all(c, results, c->op->n_results);
}

static void call(moire__hlo_call *c) { run_named(c, "callee"); }

/* An operation that says by a function what it does. */
static void composite(moire__hlo_call *c) {
  static const char *const without_meaning[] = {"name", "version"};
  moire__hlo_pass_over(c, without_meaning, 2);
  for (int i = 0; i < c->call.n_arguments; i++) {
    if (!strncmp(c->call.arguments[i].name, "composite_attributes", 20)) c->call.arguments[i].seen = true;
  }
  run_named(c, "decomposition");
}

/* ---- branches ---------------------------------------------------------------------------------------------
 */

/* Both are built, and chosen from by the predicate. */
static bool choose(moire__hlo_call *c, moire_value yes, moire__argument *a, const moire__argument *b, int n) {
  for (int i = 0; i < n; i++) {
    moire_value chosen = moire_where_at(c->call.at, yes, a[i].value, b[i].value);
    if (moire_value_is_null(chosen)) return false;
    a[i] = (moire__argument){.kind = MOIRE__ARGUMENT_TENSOR, .value = chosen};
  }
  return true;
}

static void if_of(moire__hlo_call *c) {
  int n = c->op->n_results;
  double yes = 0;
  moire__argument *a = room(c, n), *b = room(c, n);
  moire_value condition = moire__hlo_operand(c, 0);
  if (c->op->n_regions != 2 || moire_value_dtype(condition) != MOIRE_BOOL)
    moire__refuse(&c->call, "wanted a bool and two regions");
  if (c->call.why) return;
  if (moire__hlo_is_uniform(c, 0, &yes)) {
    if (moire__hlo_run(c, &c->op->regions[yes != 0 ? 0 : 1], NULL, 0, a, n)) give_all(c, a, n);
    return;
  }
  bool good = moire__hlo_run(c, &c->op->regions[0], NULL, 0, a, n);
  good = moire__hlo_run(c, &c->op->regions[1], NULL, 0, b, n) && good;
  if (good && choose(c, condition, a, b, n)) give_all(c, a, n);
}

/* The branch of the index; the last one of an index that is none. */
static void case_of(moire__hlo_call *c) {
  int n = c->op->n_results, branches = c->op->n_regions;
  int64_t index = 0;
  moire__argument *a = room(c, n), *b = room(c, n);
  moire_value which = moire__hlo_operand(c, 0);
  if (branches < 1 || moire_value_dtype(which) != MOIRE_I32)
    moire__refuse(&c->call, "wanted an i32 and regions");
  if (c->call.why) return;
  if (moire__hlo_known(c, 0, &index)) {
    int branch = index >= 0 && index < branches ? (int)index : branches - 1;
    if (moire__hlo_run(c, &c->op->regions[branch], NULL, 0, a, n)) give_all(c, a, n);
    return;
  }
  bool good = moire__hlo_run(c, &c->op->regions[branches - 1], NULL, 0, a, n);
  for (int i = 0; i < branches - 1; i++) {
    good = moire__hlo_run(c, &c->op->regions[i], NULL, 0, b, n) && good;
    moire_value here = moire_equal_at(c->call.at, which, moire__hlo_scalar(c, which, i));
    for (int k = 0; k < n && good; k++) {
      moire_value chosen = moire_where_at(c->call.at, here, b[k].value, a[k].value);
      a[k] = (moire__argument){.kind = MOIRE__ARGUMENT_TENSOR, .value = chosen};
      good = !moire_value_is_null(chosen);
    }
  }
  if (good) give_all(c, a, n);
}

/* Is what is known of two states the same? Then the condition is, too. */
static bool same_knowledge(const moire__argument *a, const moire__argument *b, int n) {
  for (int i = 0; i < n; i++) {
    if (a[i].uniform != b[i].uniform) return false;
    if (a[i].uniform && (a[i].real != b[i].real || a[i].imaginary != b[i].imaginary)) return false;
  }
  return true;
}

/* A loop whose rounds are known when the program is imported is written out. */
static void while_of(moire__hlo_call *c) {
  int n = c->n_operands;
  moire__argument *state = room(c, n), *next = room(c, n), condition;
  if (c->op->n_regions != 2) moire__refuse(&c->call, "wanted a condition and a body");
  if (c->call.why) return;
  memcpy(state, c->operands, (size_t)n * sizeof *state);
  for (;;) {
    if (!moire__hlo_run(c, &c->op->regions[0], state, n, &condition, 1)) return;
    if (!condition.uniform)
      moire__refuse(&c->call,
                    "the number of its rounds depends on values; where it is fixed (lax.scan, lax.fori_loop "
                    "from and to numbers) it is imported");
    if (c->call.why) return;
    if (condition.real == 0) break;
    if (!moire__hlo_run(c, &c->op->regions[1], state, n, next, n)) return;
    if (same_knowledge(state, next, n))
      moire__refuse(&c->call, "never ends: no round changes what its condition reads");
    memcpy(state, next, (size_t)n * sizeof *state);
  }
  give_all(c, state, n);
}

/* ---- calls to outside -------------------------------------------------------------------------------------
 */

static void same(moire__hlo_call *c) { give_all(c, c->operands, c->n_operands); }

static const char *output_for(moire__hlo_call *c, const char *which, moire_value x) {
  const char *name =
      moire__arena_printf(&c->builder->checks->arena, "check%d.%s", c->builder->checks->n, which);
  moire_output_at(c->call.at, c->call.graph, name, x);
  return name;
}

/* "check.expect_close" or "check.expect_eq_const", of two operands, or of one and a constant. */
static void check(moire__hlo_call *c, const char *name) {
  static const char *const kinds[] = {"expect_almost_eq", "expect_close", "expect_eq"};
  moire__hlo_check found = {.tolerance = 1e-3, .most_apart = 3};
  size_t n = 0;
  for (int i = 0; i < 3 && !found.kind; i++) {
    n = strlen(kinds[i]);
    if (!strncmp(name + 6, kinds[i], n)) found.kind = kinds[i];
  }
  bool constant = found.kind && !strcmp(name + 6 + n, "_const");
  if (!found.kind || (!constant && name[6 + n])) moire__refuse(&c->call, "this comparison is not known");
  if (!c->builder->checks)
    moire__refuse(&c->call, "compares values, which is nothing that a model does: leave it out");
  static const char *const passed[] = {"has_side_effect", "api_version", "backend_config", "call_target_name",
                                       "callee"};
  moire__hlo_pass_over(c, passed, 5);
  found.tolerance = moire__real_or(&c->call, "tolerance", found.tolerance);
  found.most_apart = (int)moire__integer_or(&c->call, "max_ulp_difference", found.most_apart);
  moire__pass_over(&c->call, "min_ulp_difference");
  moire_value got = moire__hlo_operand(c, 0), want = moire__null(&c->call);
  const moire__hlo_literal *l = c->op->literal;
  if (constant && !l) moire__refuse(&c->call, "wanted a constant");
  if (c->call.why) return;
  found.type = constant ? *l->type : (moire__hlo_type){0};
  if (!constant) {
    want = moire__hlo_operand(c, 1);
    if (c->op->operand_types.n) found.type = c->op->operand_types.items[0];
  } else if (l->type->why || l->loses) {
    moire__refuse(&c->call, "compares with %s: %s", l->type->text,
                  l->type->why ? l->type->why : "whole numbers beyond 2^53, of which digits would be lost");
  } else {
    want = moire__hlo_constant(c, l).value;
  }
  if (c->call.why || moire_value_is_null(want)) return;
  found.got = output_for(c, "got", got);
  found.want = output_for(c, "want", want);
  MOIRE__PUSH(&c->builder->checks->arena, c->builder->checks->items, c->builder->checks->n,
              c->builder->checks->capacity, found);
}

static void check_alone(moire__hlo_call *c) { check(c, c->op->name); }

static void custom_call(moire__hlo_call *c) {
  const char *name =
      moire__text_or(&c->call, moire__find(&c->call, "callee") ? "callee" : "call_target_name", "");
  static const char *const nothing[] = {"Sharding", "annotate_device_placement"};
  static const char *const passed[] = {"has_side_effect", "api_version", "backend_config"};
  if (!strncmp(name, "check.", 6)) {
    check(c, name);
    return;
  }
  for (int i = 0; i < 2; i++) {
    if (strcmp(name, nothing[i]) != 0) continue;
    moire__hlo_pass_over(c, passed, 3);
    same(c);
    return;
  }
  moire__refuse(&c->call,
                "calls %.60s, which is not in the program: write it in operations of jax.numpy and jax.lax",
                *name ? name : "something");
}

const moire__hlo_row moire__hlo_rows_control[] = {{"func.call", call},
                                                  {"call", call},
                                                  {"stablehlo.composite", composite},
                                                  {"stablehlo.if", if_of},
                                                  {"stablehlo.case", case_of},
                                                  {"stablehlo.while", while_of},
                                                  {"stablehlo.optimization_barrier", same},
                                                  {"stablehlo.custom_call", custom_call},
                                                  {"check.expect_eq", check_alone},
                                                  {"check.expect_eq_const", check_alone},
                                                  {"check.expect_almost_eq", check_alone},
                                                  {"check.expect_almost_eq_const", check_alone},
                                                  {"check.expect_close", check_alone},
                                                  {NULL, NULL}};
