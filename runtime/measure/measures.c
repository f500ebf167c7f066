/* Named numbers in an order. */
#include "runtime/measure/measures.h"

#include "runtime/config/config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void moire__measures_add(moire__measures *m, double value, const char *name, ...) {
  if (m->n == MOIRE__MOST_MEASURES) return;
  va_list args;
  va_start(args, name);
  vsnprintf(m->at[m->n].name, sizeof m->at[m->n].name, name, args);
  va_end(args);
  m->at[m->n++].value = value;
}

double moire__measures_value(const moire__measures *m, const char *name) {
  for (int i = 0; i < m->n; i++) {
    if (!strcmp(m->at[i].name, name)) return m->at[i].value;
  }
  return NAN;
}

void moire__measures_to_json(const moire__measures *m, moire__text *out) {
  moire__text_add_char(out, '{');
  for (int i = 0; i < m->n; i++) {
    moire__text_add(out, "%s\"%s\":", i ? "," : "", m->at[i].name);
    if (isfinite(m->at[i].value)) {
      moire__config_add_real(out, m->at[i].value);
    } else {
      moire__text_add(out, "null");
    }
  }
  moire__text_add_char(out, '}');
}
