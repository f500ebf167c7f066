/* Models of the library in benchmarks. See program.h. */
#include "tools/bench/support/program.h"

#include "runtime/config/config.h"
#include "tools/bench/support/bench.h"

moire_config *bench_config(const moire_model *model, const char *json) {
  moire_error error = {0};
  moire_config *config = NULL;
  moire__config_table table = {0};
  moire__config_fields fields = {model->fields, model->n_fields};
  bench_require(moire__config_table_add_json(&table, "bench", json, &error), &error);
  bench_require(moire__config_build(&table, "bench", &fields, 1, &config, &error), &error);
  moire__config_table_free(&table);
  return config;
}

bench_program bench_program_start(moire_program *program, moire_threads *threads) {
  moire_error error = {0};
  bench_program p = {.program = program, .store = moire_store_create()};
  const moire_plan *plan = moire_program_plan(program);
  bench_require(moire_store_declare(p.store, plan, 1, &error), &error);
  p.runner = moire_runner_create(plan, p.store, threads, &error);
  bench_require(error.status, &error);
  return p;
}

void bench_program_stop(bench_program *p) {
  moire_runner_destroy(p->runner);
  moire_store_destroy(p->store);
  moire_program_destroy(p->program);
}

void bench_program_set(const bench_program *p, const char *name, const void *data, int64_t elements) {
  moire_error error = {0};
  if (moire_runner_has_input(p->runner, name))
    bench_require(moire_runner_set_input(p->runner, name, data, elements, &error), &error);
}
