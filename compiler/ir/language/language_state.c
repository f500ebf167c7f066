/* The language: parameters, states and their updates; complex ones are one state for each plane. */
#include "compiler/ir/language/language.h"
#include "runtime/base/planes.h"

/* Declares the state under its full name and reads it. */
static moire_value read_state(moire_source at, moire_graph *g, moire__state_info state) {
  const moire_value null = {g, 0};
  if (g->error.status) return null;
  if (!state.name[0]) {
    moire__graph_fail_at(g, at, "state", MOIRE_ERROR_ARGUMENT, "the name is empty");
    return null;
  }
  if (g->scope[0]) state.name = moire__arena_printf(&g->arena, "%s.%s", g->scope, state.name);
  moire_source outer = g->pin.source;
  bool was_pinned = g->pinned;
  if (!was_pinned) { /* so that a mistake in the declaration names this line */
    g->pinned = true;
    g->pin.source = at;
  }
  moire_status status = moire__graph_declare_state(g, &state);
  g->pinned = was_pinned;
  g->pin.source = outer;
  if (status) return null;
  const moire__attr name = moire__attr_make_text("name", state.name);
  return moire__graph_emit(g, at, MOIRE__OP_state, NULL, 0, &name, 1);
}

/* A complex state: one f32 state for each plane. */
static moire_value read_complex_state(moire_source at, moire_graph *g, moire__state_info state) {
  moire_value planes[2];
  const char *name = state.name, *stream = state.init.stream;
  state.dtype = MOIRE_F32;
  for (int i = 0; i < 2; i++) {
    const char *suffix = moire__plane_suffix(i);
    state.name = name[0] ? moire__arena_printf(&g->arena, "%s%s", name, suffix) : "";
    if (stream) state.init.stream = moire__arena_printf(&g->arena, "%s%s", stream, suffix);
    planes[i] = read_state(at, g, state);
  }
  return moire_complex_at(at, planes[0], planes[1]);
}

moire_value moire_parameter_at(moire_source at, moire_graph *g, const char *name, moire_shape shape,
                               moire_init init) {
  MOIRE__NEED_GRAPH(g);
  return read_state(
      at, g,
      (moire__state_info){.name = name, .dtype = MOIRE_F32, .shape = shape, .init = init, .trained = true});
}

moire_value moire_complex_parameter_at(moire_source at, moire_graph *g, const char *name, moire_shape shape,
                                       moire_init init) {
  MOIRE__NEED_GRAPH(g);
  return read_complex_state(at, g,
                            (moire__state_info){.name = name, .shape = shape, .init = init, .trained = true});
}

moire_value moire_state_at(moire_source at, moire_graph *g, const char *name, moire_dtype dtype,
                           moire_shape shape, moire_init init) {
  MOIRE__NEED_GRAPH(g);
  moire__state_info state = {.name = name, .dtype = dtype, .shape = shape, .init = init};
  return dtype == MOIRE_C64 ? read_complex_state(at, g, state) : read_state(at, g, state);
}

/* Of a complex state that was declared as its planes: both are updated. */
static void update_planes(moire_source at, moire_graph *g, const char *const names[2], moire_value value) {
  moire_value planes[2] = {moire_real_at(at, value), moire_imag_at(at, value)};
  for (int i = 0; i < 2; i++) moire__graph_add_update(g, at, names[i], planes[i]);
}

void moire_update_at(moire_source at, moire_graph *g, const char *full_name, moire_value value) {
  MOIRE__NEED_GRAPH(g);
  const char *names[2];
  bool complex = value.graph == g && value.id && moire__graph_find_state(g, full_name) < 0;
  for (int i = 0; i < 2 && complex; i++) {
    names[i] = moire__arena_printf(&g->arena, "%s%s", full_name, moire__plane_suffix(i));
    complex = moire__graph_find_state(g, names[i]) >= 0;
  }
  if (!complex)
    moire__graph_add_update(g, at, full_name, value);
  else if (moire__is_complex(value))
    update_planes(at, g, names, value);
  else
    moire__graph_fail_at(g, at, "update", MOIRE_ERROR_TYPE, "the state %s is complex, the value %s", full_name,
                         moire__dtype_name(moire_value_dtype(value)));
}
