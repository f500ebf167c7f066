/* StableHLO text as a kind of program. See compiler/import/program.h. */
#include "compiler/import/hlo/program.h"

#include "runtime/files/file.h"

moire_status moire__hlo_open_bytes(moire__hlo_program *p, const char *path, const char *bytes, size_t n,
                                   int line, moire_error *error) {
  p->base.kind = &moire__hlo_programs;
  moire_status status = moire__hlo_parse(&p->module, path, bytes, n, line, error);
  for (int i = 0; i < p->module.n_literals && !status; i++) {
    const moire__hlo_literal *l = p->module.literals[i];
    moire_dtype dtype = l->type->dtype == MOIRE_F64 && p->module.wide ? MOIRE_F32 : l->type->dtype;
    moire__program_state state = {
        .name = l->name, .dtype = dtype, .shape = l->type->shape, .count = l->count, .tensor = l};
    MOIRE__PUSH(&p->base.arena, p->base.states, p->base.n_states, p->base.state_capacity, state);
  }
  return status;
}

void moire__hlo_close(moire__hlo_program *p) {
  moire__arena_free(&p->base.arena);
  moire__hlo_module_free(&p->module);
}

static void close_program(moire__program *base) {
  moire__hlo_close((moire__hlo_program *)base);
  moire__release(base);
}

static moire__program *open_program(const char *path, moire_error *error) {
  char *bytes = NULL;
  size_t n = 0;
  if (moire__file_read(path, 0, &bytes, &n, error)) return NULL;
  moire__hlo_program *p = moire__allocate(sizeof *p);
  moire_status status = moire__hlo_open_bytes(p, path, bytes, n, 1, error);
  moire__release(bytes);
  if (!status && p->module.wide)
    status = moire_fail(
        error, MOIRE_ERROR_UNSUPPORTED,
        "%s: has complex<f64>, which Moire does not compute with: wanted complex<f32>, which JAX has "
        "unless jax_enable_x64 is set",
        path);
  if (!status) return &p->base;
  close_program(&p->base);
  return NULL;
}

static void build_program(const moire__program *base, moire_graph *g, double dropout, moire__text *refusals) {
  (void)dropout;
  const moire__hlo_program *p = (const moire__hlo_program *)base;
  moire__hlo_build(&p->module, "main", p->module.wide, NULL, g, refusals);
}

static void read_state(const moire__program_state *state, int plane, double *out) {
  const moire__hlo_literal *l = state->tensor;
  const double *from = plane ? l->im : l->re;
  for (int64_t i = 0; i < l->count; i++) out[i] = from[i];
}

const moire__program_kind moire__hlo_programs = {.ending = ".mlir",
                                                 .summary = "a program of StableHLO",
                                                 .open = open_program,
                                                 .close = close_program,
                                                 .build = build_program,
                                                 .read = read_state};
