/* A configuration as JSON, as checkpoints and runs keep it. */
#include "runtime/config/config_value.h"

#include <inttypes.h>

static void add_quoted(moire__text *out, const char *text) {
  moire__text_add_char(out, '"');
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\') {
      moire__text_add(out, "\\%c", *c);
    } else if ((unsigned char)*c < ' ') {
      moire__text_add(out, "\\u%04x", (unsigned)*c);
    } else {
      moire__text_add_char(out, *c);
    }
  }
  moire__text_add_char(out, '"');
}

static void add_strings(moire__text *out, const moire__config_value *v) {
  moire__text_add_char(out, '[');
  for (int i = 0; i < v->n; i++) {
    if (i) moire__text_add(out, ", ");
    add_quoted(out, v->strings[i]);
  }
  moire__text_add_char(out, ']');
}

static void add_reals(moire__text *out, const moire__config_value *v) {
  moire__text_add_char(out, '[');
  for (int i = 0; i < v->n; i++) {
    if (i) moire__text_add(out, ", ");
    moire__config_add_real(out, v->reals[i]);
  }
  moire__text_add_char(out, ']');
}

static void add_value(moire__text *out, const moire_config_field *field, const moire__config_value *v) {
  switch (field->kind) {
    case MOIRE_CONFIG_INT: moire__text_add(out, "%" PRId64, v->ints[0]); break;
    case MOIRE_CONFIG_REAL:
      if (v->nothing) moire__text_add(out, "null");
      if (!v->nothing) moire__config_add_real(out, v->real);
      break;
    case MOIRE_CONFIG_BOOL: moire__text_add(out, v->truth ? "true" : "false"); break;
    case MOIRE_CONFIG_STRING: add_quoted(out, v->text); break;
    case MOIRE_CONFIG_INTS:
      moire__text_add_char(out, '[');
      for (int i = 0; i < v->n; i++) moire__text_add(out, i ? ", %" PRId64 : "%" PRId64, v->ints[i]);
      moire__text_add_char(out, ']');
      break;
    case MOIRE_CONFIG_STRINGS: add_strings(out, v); break;
    case MOIRE_CONFIG_MAPS: moire__text_add(out, "[]"); break; /* in no map */
    case MOIRE_CONFIG_REALS: add_reals(out, v); break;
    case MOIRE_CONFIG_ANY: moire__text_add(out, "null"); break;
  }
}

static void add_fields(moire__text *out, const moire_config *config, bool with_maps) {
  moire__text_add_char(out, '{');
  for (int i = 0; i < config->fields.n; i++) {
    const moire_config_field *field = &config->fields.fields[i];
    const moire__config_value *v = &config->values[i];
    if (i) moire__text_add(out, ", ");
    add_quoted(out, field->key);
    moire__text_add(out, ": ");
    if (field->kind != MOIRE_CONFIG_MAPS || !with_maps) {
      add_value(out, field, v);
      continue;
    }
    moire__text_add_char(out, '[');
    for (int m = 0; m < v->n; m++) {
      if (m) moire__text_add(out, ", ");
      add_fields(out, v->maps[m], false);
    }
    moire__text_add_char(out, ']');
  }
  moire__text_add_char(out, '}');
}

void moire__config_to_json(const moire_config *config, moire__text *out) { add_fields(out, config, true); }
