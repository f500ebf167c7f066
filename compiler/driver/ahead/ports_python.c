/* Inputs and outputs of a graph in Python. See ports.h. */
#include "compiler/driver/ahead/ports.h"
#include "compiler/driver/ahead/python/module.h"

#include <inttypes.h>
#include <string.h>

/* The field's name as an argument: no keyword, and not what the method itself calls so. */
static const char *argument(moire__ahead *a, const moire__ahead_port *list, int n, int i) {
  static const char *const own[] = {"self", "n", "seed", "step"};
  const char *name = list[i].field;
  for (bool taken = true; taken;) {
    taken = moire__ahead_is_word_of_python(name);
    for (size_t j = 0; j < sizeof own / sizeof *own; j++) taken = taken || !strcmp(name, own[j]);
    for (int j = 0; j < n; j++) taken = taken || (j != i && !strcmp(name, list[j].field));
    if (taken) name = moire__arena_printf(&a->arena, "%s_", name);
  }
  return name;
}

/* (None, 128) */
static void add_shape(const moire_shape *shape, moire__text *out) {
  moire__text_add_char(out, '(');
  for (int i = 0; i < shape->rank; i++) {
    if (moire__dim_is_static(shape->dims[i]))
      moire__text_add(out, "%" PRId64, shape->dims[i]);
    else
      moire__text_add(out, "None");
    moire__text_add(out, shape->rank == 1 ? "," : i + 1 < shape->rank ? ", " : "");
  }
  moire__text_add_char(out, ')');
}

static bool is(const char *name, size_t n, const char *wanted) {
  return strlen(wanted) == n && !memcmp(name, wanted, n);
}

void moire__ahead_write_python_fields(moire__ahead *a, const char *name, size_t n, moire__text *out) {
  const moire__ahead_ports *all = a->own;
  bool gives = is(name, n, "outputs") || is(name, n, "results"), class = is(name, n, "results");
  bool passes = is(name, n, "values") || is(name, n, "example values");
  bool takes = is(name, n, "arguments") || is(name, n, "example arguments");
  const char *in = n >= 7 && !memcmp(name, "example", 7) ? "examples" : "inputs";
  const moire__ahead_port *list = gives ? all->outputs : all->inputs;
  int count = gives ? all->n_outputs : all->n_inputs;
  for (int i = 0; i < count; i++) {
    const moire__ahead_port *p = &list[i];
    const char *as = argument(a, list, count, i);
    if (!gives && !moire__ahead_port_is_in(in, strlen(in), p)) continue;
    if (class || takes) {
      moire__text_add(out, class ? "    %s: Array  # " : "        %s: Array,  # ", as);
      moire__ahead_add_port_type(p, out);
      moire__text_add_char(out, '\n');
    } else if (passes) {
      moire__text_add(out, "                %s,\n", as);
    } else {
      moire__text_add(out, "    _Port(\"%s\", \"%s\", \"%s\", ", p->field, as, moire__dtype_name(p->dtype));
      add_shape(&p->shape, out);
      moire__text_add(out, "),\n");
    }
  }
}
