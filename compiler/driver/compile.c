/* Compiling a graph: passes, lowering, code generation, and the plan with its functions.
 *
 *   model graph -> pipeline (pipeline.c) -> fused graph -> lower -> loop nests and plan -> native code ->
 * program
 */
#include "compiler/driver/compile.h"

#include "compiler/driver/cache.h"
#include "compiler/driver/driver.h"
#include "compiler/driver/observe.h"
#include "compiler/ir/loop/lower.h"
#include "compiler/pass/plan/prepare.h"
#include "runtime/base/hash.h"

#include <stdlib.h>
#include <string.h>

struct moire_program {
  moire__module *module; /* NULL: not kept */
  moire__arena arena;    /* of the plan, if the module that it stood in is gone */
  moire_plan plan;
  moire__jit *jit;
  moire_kernel_function *functions;
  moire__target target;
};

static moire_status find_target(const moire_compile_options *options, moire__target *target,
                                moire_error *error) {
  return moire__target_named(options->target ? options->target : "host", target, error);
}

/* A part of a batch is a piece by itself: all parts together are cut as the whole batch would be, each into
 * enough pieces for some threads. Partial gradients of weights are written for each. */
static int count_pieces(const moire_compile_options *options) {
  enum { FEWEST = 4 };
  if (options->part != MOIRE_PART_SUMS || options->parts < 1) return MOIRE__REDUCTION_PIECES;
  int pieces = MOIRE__REDUCTION_PIECES / options->parts;
  return pieces > FEWEST ? pieces : FEWEST;
}

moire__module *moire__driver_lower(const moire_graph *graph, const moire_compile_options *options,
                                   const moire__target *target, moire_error *error) {
  if (moire_graph_status(graph, error) != MOIRE_OK) return NULL;
  moire__goal goal = moire__goal_for_target(options, target);
  moire__text remarks = {0};
  goal.remarks = &remarks;
  if (goal.off >> MOIRE_OPTIMIZATION_pack & 1)
    moire__text_add(&remarks, "padding is computed, too: pack is off\n");
  moire_graph *fused = moire__driver_run_passes(graph, &goal, NULL, NULL, error);
  if (!fused) {
    moire__text_free(&remarks);
    return NULL;
  }
  moire__lower_target shape = {.lanes = target->vector_bits / 32,
                               .registers = target->n_vector_registers,
                               .pairs = target->has_dots,
                               .tiles = target->has_tiles,
                               .pieces = count_pieces(options)};
#ifdef MOIRE_HOSTILE
  if (!target->has_tiles) shape.lanes = 4; /* tiles of odd sizes, with rows and lanes left over everywhere */
  shape.registers = 13;
  shape.small_blocks = true;
#endif
  moire__module *module = moire__pass_lower(fused, shape, error);
  if (module) module->plan.flush = !(goal.off >> MOIRE_OPTIMIZATION_flush & 1);
  if (module) module->remarks = moire__arena_copy_string(&module->arena, moire__text_string(&remarks));
  moire__text_free(&remarks);
  return module;
}

/* A kernel's symbol comes from its key: distinct among the kernels of a program, the same in all programs. */
static const char *symbol_of(const moire__text *key, moire__arena *arena) {
  unsigned long long hash = moire__hash_bytes((const unsigned char *)key->data, key->length);
  return moire__arena_printf(arena, "moire_kernel_%016llx", hash);
}

/* Kernels that are not in the cache yet. */
typedef struct missing {
  const moire__loop_kernel **kernels;
  const char **symbols;
  moire__text *keys;
  int n;
  bool debug_info, flush;
} missing;

static moire_status compile_missing(missing *m, moire_program *program, const moire__cache *cache,
                                    const moire__target *target, int threads, moire_error *error) {
  moire__object *objects = moire__allocate_array((size_t)m->n + 1, sizeof *objects);
  moire__codegen_options options = {.symbols = m->symbols, .flush = m->flush, .debug_info = m->debug_info};
  moire_status status =
      moire__codegen_compile_parallel(m->kernels, m->n, target, &options, threads, objects, error);
  for (int i = 0; i < m->n; i++) {
    if (!status) moire__cache_keep(cache, &m->keys[i], &objects[i]);
    if (!status) status = moire__jit_add(program->jit, &objects[i], error);
    moire__object_free(&objects[i]);
    moire__text_free(&m->keys[i]);
  }
  moire__release(objects);
  return status;
}

/* Loads what is in the cache and compiles the rest. */
static moire_status load_kernels(moire_program *program, const char **symbols, const moire__cache *cache,
                                 missing *absent, const moire__target *target, int threads, moire__arena *arena,
                                 moire_error *error) {
  const moire__module *m = program->module;
  size_t n = (size_t)m->n_kernels + 1;
  absent->kernels = moire__arena_array(arena, n, sizeof *absent->kernels);
  absent->symbols = moire__arena_array(arena, n, sizeof *absent->symbols);
  absent->keys = moire__arena_array(arena, n, sizeof *absent->keys);
  const moire__codegen_options how = {.flush = absent->flush};
  moire_status status = MOIRE_OK;
  for (int i = 0; i < m->n_kernels; i++) {
    moire__text key = {0};
    moire__object object;
    moire__cache_key(target, &how, m->kernels[i]->name, m->texts.names[i], &key);
    symbols[i] = symbol_of(&key, arena);
    if (moire__cache_find(cache, &key, &object)) {
      if (!status) status = moire__jit_add(program->jit, &object, error);
      moire__object_free(&object);
      moire__text_free(&key);
    } else {
      absent->kernels[absent->n] = m->kernels[i];
      absent->symbols[absent->n] = symbols[i];
      absent->keys[absent->n++] = key;
    }
  }
  moire_status compiled = compile_missing(absent, program, cache, target, threads, error);
  return status ? status : compiled;
}

static moire_status generate(moire_program *program, const moire__target *target,
                             const moire_compile_options *options, moire_error *error) {
  moire__module *m = program->module;
  unsigned observers = 0;
  moire_status status = moire__driver_observers(&observers, error);
  if (status) return status;
  bool observed = observers != 0; /* lines are no part of the cache's keys */
  moire__cache cache = moire__cache_at(observed ? "" : options->cache);
  program->jit = moire__jit_create_observed(observers, error);
  if (!program->jit) return error ? error->status : MOIRE_ERROR_INTERNAL;
  program->functions = moire__allocate_array((size_t)m->n_kernels + 1, sizeof *program->functions);
  moire__arena arena = {0};
  const char **symbols = moire__arena_array(&arena, (size_t)m->n_kernels + 1, sizeof *symbols);
  int threads = options->threads < 1 ? 1 : options->threads;
  missing absent = {.debug_info = observed, .flush = m->plan.flush};
  status = load_kernels(program, symbols, &cache, &absent, target, threads, &arena, error);
  for (int i = 0; i < m->n_kernels && !status; i++) {
    program->functions[i] = moire__jit_find(program->jit, symbols[i], error);
    if (!program->functions[i]) status = MOIRE_ERROR_INTERNAL;
  }
  moire__arena_free(&arena);
  return status;
}

/* Graph and loop nests are ten times as large as the plan: once there is code, only profilers ask for them. */
static void keep_plan(moire_program *program, bool with_kernels) {
  moire_plan *plan = &program->module->plan;
  plan->kernels = program->functions;
  if (with_kernels) {
    program->plan = *plan;
    return;
  }
  program->plan = moire__plan_copy(plan, &program->arena);
  moire__module_destroy(program->module);
  program->module = NULL;
}

moire_program *moire_compile(const moire_graph *graph, const moire_compile_options *options,
                             moire_error *error) {
  moire__target target;
  if (find_target(options, &target, error) != MOIRE_OK) return NULL;
  if (moire__target_runs_here(&target, error) != MOIRE_OK) return NULL;
  moire__module *module = moire__driver_lower(graph, options, &target, error);
  if (!module) return NULL;
  moire_program *program = moire__allocate(sizeof *program);
  program->module = module;
  program->target = target;
  moire__pass_settle(module);
  moire_status status = generate(program, &target, options, error);
  keep_plan(program, options->keep_kernels);
  moire__codegen_rest();
  if (status == MOIRE_OK) return program;
  moire_program_destroy(program);
  return NULL;
}

void moire_program_destroy(moire_program *program) {
  if (!program) return;
  moire__jit_destroy(program->jit);
  moire__module_destroy(program->module);
  moire__arena_free(&program->arena);
  moire__release(program->functions);
  moire__release(program);
}

const moire_plan *moire_program_plan(const moire_program *program) { return &program->plan; }

const moire__module *moire__program_module(const moire_program *program) { return program->module; }

const moire__target *moire__program_target(const moire_program *program) { return &program->target; }

/* ---- looking at the stages ---- */

static const char *const later_stages[] = {"lower", "memory_plan", "llvm", "assembly"};

const char *moire_compile_pass_name(int i) {
  int n = 0;
  const moire__pass_row *rows = moire__driver_passes(&n);
  if (i < 0) return NULL;
  if (i < n) return rows[i].name;
  i -= n;
  return i < (int)(sizeof later_stages / sizeof *later_stages) ? later_stages[i] : NULL;
}

static bool is_graph_pass(const char *name) {
  int n = 0;
  const moire__pass_row *rows = moire__driver_passes(&n);
  for (int i = 0; i < n; i++) {
    if (strcmp(rows[i].name, name) == 0) return true;
  }
  return false;
}

static moire_status unknown_pass(const char *name, moire_error *error) {
  moire__text list = {0};
  const char *before = "";
  for (int i = 0; moire_compile_pass_name(i); i++) {
    bool repeated = false;
    for (int j = 0; j < i; j++)
      repeated = repeated || !strcmp(moire_compile_pass_name(i), moire_compile_pass_name(j));
    if (repeated) continue;
    moire__text_add(&list, "%s%s", before, moire_compile_pass_name(i));
    before = ", ";
  }
  moire_status status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "there is no pass \"%s\"; the passes are %s",
                                   name, moire__text_string(&list));
  moire__text_free(&list);
  return status;
}

static moire_status print_stage(const moire__module *m, const moire__target *target, const char *stage,
                                moire__text *text, moire_error *error) {
  if (strcmp(stage, "lower") == 0) moire__module_print_kernels(m, text);
  if (strcmp(stage, "memory_plan") == 0) moire__module_print_plan(m, text);
  bool llvm = strcmp(stage, "llvm") == 0;
  if (!llvm && strcmp(stage, "assembly") != 0) return MOIRE_OK;
  moire__codegen_options options = {.flush = m->plan.flush};
  return moire__codegen_emit_text((const moire__loop_kernel *const *)m->kernels, m->n_kernels, target, &options,
                                  llvm ? MOIRE__CODEGEN_LLVM_OPTIMIZED : MOIRE__CODEGEN_ASSEMBLY, text, error);
}

static char *print_module(const moire_graph *graph, const moire_compile_options *options, const char *stage,
                          moire_error *error) {
  moire__target target;
  if (find_target(options, &target, error) != MOIRE_OK) return NULL;
  moire__module *m = moire__driver_lower(graph, options, &target, error);
  if (!m) return NULL;
  moire__text text = {0};
  moire_status status = print_stage(m, &target, stage, &text, error);
  char *copy = status == MOIRE_OK ? strdup(moire__text_string(&text)) : NULL;
  moire__text_free(&text);
  moire__module_destroy(m);
  return copy;
}

char *moire_compile_print(const moire_graph *graph, const moire_compile_options *options, const char *after,
                          moire_error *error) {
  if (moire_graph_status(graph, error) != MOIRE_OK) return NULL;
  for (size_t i = 0; after && i < sizeof later_stages / sizeof *later_stages; i++) {
    if (strcmp(after, later_stages[i]) == 0) return print_module(graph, options, after, error);
  }
  if (after && !is_graph_pass(after)) {
    unknown_pass(after, error);
    return NULL;
  }
  moire__target target;
  if (moire__target_named(options->target ? options->target : "host", &target, error)) return NULL;
  moire__goal goal = moire__goal_for_target(options, &target);
  moire_graph *g = moire__driver_run_passes(graph, &goal, after, NULL, error);
  if (!g) return NULL;
  char *text = moire_graph_print(g);
  moire_graph_destroy(g);
  return text;
}
