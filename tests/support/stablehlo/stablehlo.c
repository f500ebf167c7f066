/* StableHLO files that judge themselves. See stablehlo.h. */
#include "tests/support/stablehlo/stablehlo.h"

#include "compiler/import/hlo/program.h"
#include "moire/compile.h"
#include "moire/run.h"
#include "runtime/base/planes.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- one way to run, in doubles ---------------------------------------------------------------------------
 */

typedef struct engine {
  moire_oracle *oracle; /* or NULL: the rest */
  moire_program *program;
  moire_store *store;
  moire_runner *runner;
  moire_threads *threads;
} engine;

static void close_engine(engine *e) {
  moire_runner_destroy(e->runner);
  moire_store_destroy(e->store);
  moire_program_destroy(e->program);
  moire_threads_destroy(e->threads);
  moire_oracle_destroy(e->oracle);
}

static void fill_state(void *data, moire_dtype dtype, const double *values, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    switch (dtype) {
      case MOIRE_F32: ((float *)data)[i] = (float)values[i]; break;
      case MOIRE_F64: ((double *)data)[i] = values[i]; break;
      case MOIRE_I32: ((int32_t *)data)[i] = (int32_t)values[i]; break;
      case MOIRE_I64: ((int64_t *)data)[i] = (int64_t)values[i]; break;
      case MOIRE_BOOL: ((bool *)data)[i] = values[i] != 0; break;
      case MOIRE_BF16:
      case MOIRE_C64: break;
    }
  }
}

static double *widened(moire__arena *arena, const void *from, moire_dtype dtype, int64_t n) {
  double *to = moire__arena_array(arena, (size_t)n + 1, sizeof *to);
  for (int64_t i = 0; i < n; i++) {
    switch (dtype) {
      case MOIRE_F32: to[i] = (double)((const float *)from)[i]; break;
      case MOIRE_F64: to[i] = ((const double *)from)[i]; break;
      case MOIRE_I32: to[i] = ((const int32_t *)from)[i]; break;
      case MOIRE_I64: to[i] = (double)((const int64_t *)from)[i]; break;
      case MOIRE_BOOL: to[i] = ((const bool *)from)[i]; break;
      case MOIRE_BF16:
      case MOIRE_C64: break;
    }
  }
  return to;
}

/* The numbers of the program's constants. */
static void fill_states(engine *e, const moire__hlo_program *p, moire__arena *arena) {
  int n = e->oracle ? moire_oracle_state_count(e->oracle) : moire_store_count(e->store);
  for (int i = 0; i < n; i++) {
    moire_plan_state state = e->oracle ? moire_oracle_state(e->oracle, i) : moire_store_at(e->store, i);
    for (int k = 0; k < p->base.n_states; k++) {
      const moire__program_state *s = &p->base.states[k];
      bool complex = s->dtype == MOIRE_C64;
      int plane = complex ? moire__plane_of(state.name, s->name) : strcmp(state.name, s->name) ? -1 : 0;
      int64_t there = 0;
      if (plane < 0) continue;
      double *values = moire__arena_array(arena, (size_t)s->count + 1, sizeof *values);
      p->base.kind->read(s, plane, values);
      if (e->oracle) {
        double *data = moire_oracle_state_data(e->oracle, state.name, &there);
        if (there == s->count) memcpy(data, values, (size_t)there * sizeof *data);
      } else {
        void *data = moire_store_data(e->store, state.name, &there);
        if (there == s->count) fill_state(data, state.dtype, values, there);
      }
    }
  }
}

static moire_status open_engine(engine *e, bool compiled, const moire_graph *g,
                                const moire_compile_options *options, moire_error *error) {
  if (!compiled) {
    e->oracle = moire_oracle_create(g, options, error);
    return e->oracle ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
  }
  e->program = moire_compile(g, options, error);
  e->threads = e->program ? moire_threads_create(1, error) : NULL;
  if (!e->threads) return MOIRE_ERROR_ARGUMENT;
  e->store = moire_store_create();
  const moire_plan *plan = moire_program_plan(e->program);
  moire_status status = moire_store_declare(e->store, plan, 0, error);
  if (!status) e->runner = moire_runner_create(plan, e->store, e->threads, error);
  return e->runner ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

/* An output's plane in doubles; NULL: there is none. */
static const double *output(const engine *e, moire__arena *arena, const char *name, moire_dtype dtype,
                            int64_t *n) {
  if (e->oracle) return moire_oracle_output(e->oracle, name, n);
  const void *data = moire_runner_output(e->runner, name, n);
  return data ? widened(arena, data, dtype, *n) : NULL;
}

/* ---- comparing --------------------------------------------------------------------------------------------
 */

typedef struct comparison {
  const moire__hlo_check *check;
  test_rule rule;
  bool compiled;
  double away, size, largest, largest_away; /* sums of squares, and the largest */
  int64_t n_wrong;
  double got, want; /* the first that is wrong */
} comparison;

/* The number of a value in the order of all of its type, so that neighbours differ by 1. */
static int64_t order_of(double x, int bits) {
  int64_t n;
  if (bits == 32) {
    float single = (float)x;
    int32_t low;
    memcpy(&low, &single, sizeof low);
    n = low < 0 ? INT32_MIN - (int64_t)low : low;
  } else {
    memcpy(&n, &x, sizeof n);
    n = n < 0 ? INT64_MIN - n : n;
  }
  return n;
}

static bool is_whole(const moire__hlo_type *t) {
  return t->dtype == MOIRE_I32 || t->dtype == MOIRE_I64 || t->dtype == MOIRE_BOOL;
}

static bool is_good(const comparison *c, double got, double want) {
  const moire__hlo_type *type = &c->check->type;
  double rounded = type->bits == 32 ? (double)(float)got : got;
  if (got == want || rounded == want || (isnan(got) && isnan(want))) return true;
  if (is_whole(type) || !isfinite(rounded) || !isfinite(want)) return false;
  if (c->compiled || c->rule != TEST_BY_FILE) return true; /* as a whole */
  if (!strcmp(c->check->kind, "expect_almost_eq")) return fabs(rounded - want) <= c->check->tolerance;
  if (!strcmp(c->check->kind, "expect_eq")) return false;
  int64_t apart;
  bool far = __builtin_sub_overflow(order_of(rounded, type->bits), order_of(want, type->bits), &apart);
  return !far && apart <= c->check->most_apart && -apart <= c->check->most_apart;
}

static void compare(comparison *c, const double *got, const double *want, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    if (!is_good(c, got[i], want[i]) && !c->n_wrong++) {
      c->got = got[i];
      c->want = want[i];
    }
    if (!isfinite(got[i]) || !isfinite(want[i])) continue;
    double away = fabs(got[i] - want[i]);
    c->away += away * away;
    c->size += want[i] * want[i];
    c->largest = fmax(c->largest, fabs(want[i]));
    c->largest_away = fmax(c->largest_away, away);
  }
}

/* What is judged as a whole. */
static bool is_near(const comparison *c) {
  double limit = c->check->type.bits == 64 && !is_whole(&c->check->type) ? 1e-12 : 1e-5;
  if (c->rule == TEST_BY_LARGEST) return c->largest_away <= limit * c->largest;
  if (!c->compiled && c->rule == TEST_BY_FILE) return true;
  return sqrt(c->away) <= limit * sqrt(c->size);
}

static bool judge_check(const engine *e, const moire__hlo_check *check, bool compiled, test_rule rule,
                        moire__text *why) {
  moire__arena arena = {0};
  comparison c = {.check = check, .rule = rule, .compiled = compiled};
  bool complex = check->type.dtype == MOIRE_C64, there = true;
  moire_dtype dtype = complex ? MOIRE_F32 : check->type.dtype;
  for (int p = 0; p < (complex ? 2 : 1) && there; p++) {
    int64_t n = 0, m = -1;
    const char *suffix = complex ? moire__plane_suffix(p) : "";
    const double *got = output(e, &arena, moire__arena_printf(&arena, "%s%s", check->got, suffix), dtype, &n),
                 *want = output(e, &arena, moire__arena_printf(&arena, "%s%s", check->want, suffix), dtype, &m);
    there = got && want && n == m;
    if (there) compare(&c, got, want, n);
  }
  if (!there) moire__text_add(why, "an output is missing, or has another size");
  if (there && c.n_wrong)
    moire__text_add(why, "%lld elements differ by %s, the first %.17g, wanted %.17g", (long long)c.n_wrong,
                    check->kind, c.got, c.want);
  bool near = is_near(&c);
  if (there && !c.n_wrong && !near)
    moire__text_add(why, "is %.2g off, of %.2g; at most %.2g of %.2g", sqrt(c.away), sqrt(c.size),
                    c.largest_away, c.largest);
  moire__arena_free(&arena);
  return there && !c.n_wrong && near;
}

/* ---- cases ------------------------------------------------------------------------------------------------
 */

static test_verdict judge_entry(moire__hlo_program *p, const char *entry, bool compiled, test_rule rule,
                                moire__text *why) {
  moire__hlo_checks checks = {0};
  moire__text refusals = {0};
  moire__arena arena = {0};
  moire_error error = {0};
  engine e = {0};
  test_verdict verdict = TEST_EQUAL;
  moire_graph *g = moire_graph_create("stablehlo", MOIRE_INFERENCE);
  moire__hlo_build(&p->module, entry, p->module.wide, &checks, g, &refusals);
  if (refusals.length || moire_graph_status(g, &error)) {
    const char *text = refusals.length ? moire__text_string(&refusals) : error.message;
    moire__text_add(why, "%.*s", (int)strcspn(text, "\n"), text);
    verdict = TEST_REFUSED;
  } else if (!checks.n) {
    moire__text_add(why, "compares nothing");
    verdict = TEST_WRONG;
  } else {
    moire_compile_options options = moire_compile_defaults();
    const char **names = moire__arena_array(&arena, 2 * (size_t)checks.n, sizeof *names);
    for (int i = 0; i < checks.n; i++) {
      names[2 * i] = checks.items[i].got;
      names[2 * i + 1] = checks.items[i].want;
    }
    options.outputs = names;
    options.n_outputs = 2 * checks.n;
    moire_status status = open_engine(&e, compiled, g, &options, &error);
    if (status) {
      moire__text_add(why, "%s", error.message);
      verdict = compiled && strstr(error.message, "f64") ? TEST_REFUSED : TEST_WRONG;
    } else {
      fill_states(&e, p, &arena);
      status = e.oracle ? moire_oracle_run(e.oracle, &error) : moire_runner_run(e.runner, &error);
      if (status) moire__text_add(why, "%s", error.message);
      if (status) verdict = TEST_WRONG;
    }
    for (int i = 0; i < checks.n && verdict == TEST_EQUAL; i++) {
      if (!judge_check(&e, &checks.items[i], compiled, rule, why)) verdict = TEST_WRONG;
    }
  }
  close_engine(&e);
  moire_graph_destroy(g);
  moire__arena_free(&checks.arena);
  moire__arena_free(&arena);
  moire__text_free(&refusals);
  return verdict;
}

static void note(const char *name, const char *entry, test_verdict verdict, const char *why, test_tally *tally,
                 moire__text *said) {
  tally->n[verdict]++;
  if (verdict == TEST_EQUAL) return;
  moire__text_add(said, "%s %s%s%s: %s\n", verdict == TEST_WRONG ? "wrong" : "refused", name, *entry ? " " : "",
                  entry, why);
}

static test_verdict judge_module(const char *name, const char *bytes, size_t n, int line, bool compiled,
                                 test_rule rule, test_tally *tally, moire__text *said) {
  moire__hlo_program p = {0};
  moire_error error = {0};
  test_verdict worst = TEST_EQUAL;
  bool good = !moire__hlo_open_bytes(&p, name, bytes, n, line, &error);
  if (good && compiled && p.module.wide)
    moire_fail(&error, MOIRE_ERROR_UNSUPPORTED,
               "has complex<f64>, which is evaluated by the interpreter alone");
  if (error.status) {
    note(name, "", TEST_REFUSED, error.message, tally, said);
    worst = TEST_REFUSED;
  }
  bool has_main = good && moire__hlo_find(&p.module, "main");
  for (int i = 0; !error.status && i < p.module.n_functions; i++) {
    const moire__hlo_function *f = &p.module.functions[i];
    moire__text why = {0};
    if (has_main ? strcmp(f->name, "main") != 0 : f->body.n_arguments > 0 || f->is_private) continue;
    test_verdict verdict = judge_entry(&p, f->name, compiled, rule, &why);
    note(name, has_main ? "" : f->name, verdict, moire__text_string(&why), tally, said);
    if (verdict > worst) worst = verdict;
    moire__text_free(&why);
  }
  moire__hlo_close(&p);
  return worst;
}

test_verdict test_stablehlo_judge(const char *name, const char *bytes, size_t n, bool compiled, test_rule rule,
                                  test_tally *tally, moire__text *said) {
  static const char divider[] = "\n// -----";
  test_verdict worst = TEST_EQUAL;
  const char *at = bytes, *end = bytes + n;
  for (int line = 1; at < end;) {
    const char *next = memmem(at, (size_t)(end - at), divider, sizeof divider - 1);
    if (!next) next = end;
    test_verdict verdict = judge_module(name, at, (size_t)(next - at), line, compiled, rule, tally, said);
    if (verdict > worst) worst = verdict;
    for (const char *c = at; c < next; c++) line += *c == '\n';
    at = next < end ? next + sizeof divider - 1 : end;
    line += at < end;
  }
  return worst;
}
