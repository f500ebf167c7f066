/* The library's own texts: its header, its tables as C, and its pkg-config file.
 *
 * The header is runtime/aot/library.h with the library's name for library_, its numbers for the ones that stand
 * there, and without the sections (between lines with braces in comments) that it has nothing for. */
#include "compiler/driver/ahead.h"
#include "moire/version.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Names ------------------------------------------------------------------------------------------ */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static void add_name(const moire__ahead *a, bool upper, moire__text *out) {
  for (const char *c = a->options->name; *c; c++)
    moire__text_add_char(out, upper ? (char)toupper((unsigned char)*c) : *c);
}

void moire__ahead_rename(const moire__ahead *a, const char *text, size_t n, moire__text *out) {
  static const char lower[] = "library_", upper[] = "LIBRARY_";
  size_t length = sizeof lower - 1;
  for (size_t i = 0; i < n;) {
    bool starts = i + length <= n && !(i && is_word(text[i - 1]));
    bool is_lower = starts && !memcmp(text + i, lower, length);
    if (is_lower || (starts && !memcmp(text + i, upper, length))) {
      add_name(a, !is_lower, out);
      moire__text_add_char(out, '_');
      i += length;
    } else {
      moire__text_add_char(out, text[i++]);
    }
  }
}

/* "text" as a C string. */
static void add_string(const char *text, moire__text *out) {
  moire__text_add_char(out, '"');
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20 || c > 0x7E || c == '"' || c == '\\' || c == '?') {
      moire__text_add(out, "\\%03o", c);
    } else {
      moire__text_add_char(out, *text);
    }
  }
  moire__text_add_char(out, '"');
}

/* ---- The header ------------------------------------------------------------------------------------- */

/* Whether the library has what a section is about. */
static bool has_section(const moire__ahead *a, const char *name, size_t n) {
  const struct {
    const char *name;
    bool has;
  } sections[] = {{"recommending", !a->model->item_coder},
                  {"coding", a->model->item_coder},
                  {"weights external", a->options->external_weights},
                  {"models", a->options->external_weights || a->model->training},
                  {"training", a->model->training != NULL},
                  {"embedded", a->model->weights && !a->options->external_weights}};
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
    if (strlen(sections[i].name) == n && !memcmp(sections[i].name, name, n)) return sections[i].has;
  }
  return true;
}

/* If `line` is "#define LIBRARY_X value ..." and X is one of the library's facts, writes the line with its
 * value. */
static bool add_fact(const moire__ahead *a, const char *line, size_t n, moire__text *out) {
  static const char start[] = "#define LIBRARY_";
  const struct {
    const char *name;
    int64_t number;
    const char *text; /* instead of the number */
  } facts[] = {{"MODEL", 0, a->model->name},      {"VERSION", 0, MOIRE_VERSION},
               {"ITEM_SIZE", a->item_size, NULL}, {"LENGTH", a->length, NULL},
               {"FEATURES", a->features, NULL},   {"LEVELS", a->n_codes, NULL},
               {"SLICE", a->slice, NULL},         {"STACK_BYTES", a->stack_bytes, NULL}};
  if (n < sizeof start || strncmp(line, start, sizeof start - 1) != 0) return false;
  const char *name = line + sizeof start - 1, *space = memchr(name, ' ', (size_t)(line + n - name));
  for (size_t i = 0; space && i < sizeof facts / sizeof *facts; i++) {
    if (strlen(facts[i].name) != (size_t)(space - name) ||
        memcmp(facts[i].name, name, (size_t)(space - name)) != 0)
      continue;
    size_t value = 1;
    while (space + value < line + n && space[value] != ' ') value++;
    moire__ahead_rename(a, line, (size_t)(space - line) + 1, out);
    if (facts[i].text) add_string(facts[i].text, out);
    if (!facts[i].text) moire__text_add(out, "%" PRId64, facts[i].number);
    moire__ahead_rename(a, space + value, (size_t)(line + n - space) - value, out);
    return true;
  }
  return false;
}

static bool ends_in_empty_line(const moire__text *text) {
  return text->length > 1 && text->data[text->length - 1] == '\n' && text->data[text->length - 2] == '\n';
}

/* The column behind the first parenthesis of a line; 0: there is none. */
static size_t opening(const char *line, size_t n) {
  const char *at = memchr(line, '(', n);
  return at ? (size_t)(at - line) + 1 : 0;
}

/* A line under another name. What stands below the opening parenthesis of a declaration moves with it: `from`
 * and `to` are that column here and there. */
static void add_renamed(const moire__ahead *a, const char *line, size_t n, size_t *from, size_t *to,
                        moire__text *out) {
  size_t start = out->length, indent = 0;
  while (indent < n && line[indent] == ' ') indent++;
  if (indent && indent == *from) {
    for (size_t i = 0; i < *to; i++) moire__text_add_char(out, ' ');
    moire__ahead_rename(a, line + indent, n - indent, out);
    return;
  }
  moire__ahead_rename(a, line, n, out);
  *from = opening(line, n);
  *to = opening(out->data + start, out->length - start);
}

static void add_lines(const moire__ahead *a, const char *text, const char *end, moire__text *out) {
  int left_out = 0; /* depth of sections that are, 0: none */
  size_t from = 0, to = 0;
  while (text < end) {
    const char *line_end = memchr(text, '\n', (size_t)(end - text));
    size_t n = (size_t)(line_end ? line_end + 1 - text : end - text);
    size_t indent = 0;
    while (indent < n && text[indent] == ' ') indent++;
    const char *mark = text + indent;
    bool opens = n - indent > 8 && !memcmp(mark, "/* { ", 5);
    bool closes = n - indent > 8 && !memcmp(mark, "/* } ", 5);
    if (closes) {
      left_out -= left_out > 0;
    } else if (opens) {
      left_out += left_out > 0 || !has_section(a, mark + 5, n - indent - 9);
    } else if (!left_out && !(n == 1 && ends_in_empty_line(out)) && !add_fact(a, text, n, out)) {
      add_renamed(a, text, n, &from, &to, out);
    }
    text += n;
  }
}

static const moire__ahead_source *find_source(const char *path) {
  for (int i = 0; i < moire__ahead_source_count; i++) {
    if (!strcmp(moire__ahead_sources[i].path, path)) return &moire__ahead_sources[i];
  }
  return NULL;
}

static void add_levels(const moire__ahead *a, moire__text *out) {
  for (int i = 0; i < a->n_levels; i++) moire__text_add(out, "%s%s", i ? " " : "", a->levels[i].target.name);
}

void moire__ahead_write_header(const moire__ahead *a, moire__text *out) {
  const char *name = a->options->name;
  moire__text_add(
      out, "/* %s: the model %s as a library, written by Moire %s. Changes to this file would be lost.\n *\n",
      name, a->model->name, MOIRE_VERSION);
  moire__text_add(out, " * Code for: ");
  add_levels(a, out);
  moire__text_add(out, ". Link with %s.so, or with %s.a and -lm; nothing else is needed.\n *\n", name, name);
  moire__text_add(
      out,
      " * Threads: calls may run at once unless they share a workspace%s. Nothing is kept between\n"
      " * calls but what the caller holds. Numbers: little-endian float32; row-major arrays.\n */\n",
      a->model->training ? " or a state" : "");
  const moire__ahead_source *header = find_source("runtime/aot/library.h");
  add_lines(a, header->text, header->end, out);
}

/* ---- Tables ----------------------------------------------------------------------------------------- */

static void add_plan_tables(const moire__ahead_level *level, int l, const moire__ahead_plan *plan,
                            moire__text *out) {
  static const char *const places[] = {"INPUT", "MODEL", "STATE", "WORKSPACE"};
  moire__text_add(out, "\nstatic const moire__aot_buffer %s_%d_buffers[] = {\n", plan->name, l);
  for (int i = 0; i < plan->n_buffers; i++)
    moire__text_add(out, "    {MOIRE__AOT_%s, %d, %" PRId64 "},\n", places[plan->buffers[i].place],
                    plan->buffers[i].extent, plan->buffers[i].offset);
  moire__text_add(out, "};\nstatic const int %s_%d_arguments[] = {", plan->name, l);
  for (int i = 0; i < plan->n_arguments; i++)
    moire__text_add(out, "%s%d,", i % 24 ? " " : "\n    ", plan->arguments[i]);
  moire__text_add(out, "\n    0};\nstatic const moire__aot_step %s_%d_steps[] = {\n", plan->name, l);
  for (int i = 0; i < plan->n_steps; i++) {
    const moire__ahead_step *s = &plan->steps[i];
    moire__text_add(out, "    {%s, %d, %d, %d, %" PRId64 ", %" PRId64 ", ", level->symbols[s->kernel],
                    s->first_argument, s->n_arguments, s->extent, s->count, s->block);
    add_string(s->name, out);
    moire__text_add(out, "},\n");
  }
  moire__text_add(out, "    {0}};\nstatic const moire__aot_copy %s_%d_copies[] = {\n", plan->name, l);
  for (int i = 0; i < plan->n_copies; i++)
    moire__text_add(out, "    {%d, %d, %" PRId64 "},\n", plan->copies[i].to, plan->copies[i].from,
                    plan->copies[i].bytes);
  moire__text_add(out, "    {0}};\n");
}

static void add_plan(const moire__ahead_plan *plan, int l, moire__text *out) {
  if (!plan->name) return;
  moire__text_add(
      out, "     .%s = {%s_%d_buffers, %s_%d_arguments, %d, %s_%d_steps, %d, %s_%d_copies, %d, 0x%x, %d, %d, {",
      plan->name, plan->name, l, plan->name, l, plan->n_arguments, plan->name, l, plan->n_steps, plan->name, l,
      plan->n_copies, plan->inputs, plan->packed, plan->output);
  for (int i = 0; i < MOIRE__AHEAD_EXTENTS; i++)
    moire__text_add(out, "%s%" PRId64, i ? ", " : "", plan->bytes[i]);
  moire__text_add(out, "}},\n");
}

/* What the processor must have; a version that is not listed runs on every machine of its architecture. */
static const char *features_of(const char *level) {
#define V3 "MOIRE__AOT_CPU_X86_V3"
#define V4 V3 " | MOIRE__AOT_CPU_X86_V4"
#define BF16 V4 " | MOIRE__AOT_CPU_X86_BF16"
  static const char *const names[][2] = {{"x86-64-v4-amx", BF16 " | MOIRE__AOT_CPU_X86_AMX"},
                                         {"x86-64-v4-bf16", BF16},
                                         {"x86-64-v4", V4},
                                         {"x86-64-v3", V3}};
#undef BF16
#undef V4
#undef V3
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!strcmp(names[i][0], level)) return names[i][1];
  }
  return "0";
}

static void add_level_tables(const moire__ahead *a, moire__text *out) {
  for (int l = 0; l < a->n_levels; l++) {
    const moire__ahead_level *level = &a->levels[l];
    moire__text_add(out, "\n");
    for (int i = 0; i < level->n_kernels; i++)
      moire__text_add(out, "extern void %s(void *const *, const int64_t *, int64_t, int64_t);\n",
                      level->symbols[i]);
    for (int p = 0; p < MOIRE__AHEAD_PLANS; p++) {
      if (level->plans[p].name) add_plan_tables(level, l, &level->plans[p], out);
    }
  }
  moire__text_add(out, "\nstatic const moire__aot_level levels[] = {\n");
  for (int l = 0; l < a->n_levels; l++) {
    const moire__ahead_level *level = &a->levels[l];
    moire__text_add(out, "    {.name = \"%s\",\n     .features = %s,\n     .weights = %" PRId64 ",\n",
                    level->target.name, features_of(level->target.name), level->weights);
    moire__text_add(out, "     .block_bytes = %" PRId64 ",\n     .prepare_bytes = %" PRId64 ",\n",
                    level->block_bytes, level->prepare_bytes);
    for (int p = 0; p < MOIRE__AHEAD_PLANS; p++) add_plan(&level->plans[p], l, out);
    moire__text_add(out, "    },\n");
  }
  moire__text_add(out, "};\n");
}

static void add_init(const moire_init *init, int i, moire__text *out) {
  static const char *const kinds[] = {[MOIRE_INIT_CONSTANT] = "CONSTANT",
                                      [MOIRE_INIT_NORMAL] = "NORMAL",
                                      [MOIRE_INIT_UNIFORM] = "UNIFORM",
                                      [MOIRE_INIT_LIST] = "LIST"};
  moire__text_add(out, "{.kind = MOIRE_INIT_%s, .a = %a, .b = %a", kinds[init->kind], init->a, init->b);
  if (init->stream) {
    moire__text_add(out, ", .stream = ");
    add_string(init->stream, out);
  }
  if (init->kind == MOIRE_INIT_LIST)
    moire__text_add(out, ", .values = state_%d_values, .n_values = %d", i, init->n_values);
  moire__text_add(out, "}");
}

static void add_states(const moire__ahead *a, moire__text *out) {
  for (int i = 0; i < a->n_states; i++) {
    const moire_init *init = &a->states[i].info.init;
    if (init->kind != MOIRE_INIT_LIST) continue;
    moire__text_add(out, "static const double state_%d_values[] = {", i);
    for (int j = 0; j < init->n_values; j++) moire__text_add(out, "%s%a", j ? ", " : "", init->values[j]);
    moire__text_add(out, "};\n");
  }
  moire__text_add(out, "\nstatic const moire__aot_state states[] = {\n");
  for (int i = 0; i < a->n_states; i++) {
    const moire__ahead_state *s = &a->states[i];
    moire__text_add(out, "    {.name = ");
    add_string(s->info.name, out);
    moire__text_add(out, ", .dtype = (moire_dtype)%d, .rank = %d, .shape = {", s->info.dtype,
                    s->info.shape.rank);
    for (int d = 0; d < s->info.shape.rank; d++) moire__text_add(out, "%" PRId64 ",", s->info.shape.dims[d]);
    moire__text_add(out,
                    "%s},\n     .elements = %" PRId64 ", .offset = %" PRId64 ", .bytes = %" PRId64 ", .init = ",
                    s->info.shape.rank ? "" : "0", s->elements, s->offset, s->bytes);
    add_init(&s->info.init, i, out);
    moire__text_add(out, ",\n     .trained = %d, .optimizer = %d, .embedded = %" PRId64 "},\n", s->info.trained,
                    !strncmp(s->info.name, "adam.", 5), s->embedded);
  }
  moire__text_add(out, "};\n");
}

void moire__ahead_write_tables(const moire__ahead *a, moire__text *out) {
  const moire_ahead_model *model = a->model;
  bool embedded = model->weights && !a->options->external_weights;
  moire__text_add(out, "#define MOIRE__AOT_TABLES tables\n#define MOIRE__AOT_TRAINING %d\n",
                  model->training != NULL);
  moire__text_add(out, "#define MOIRE__AOT_EXTERNAL %d\n#define MOIRE__AOT_EMBEDDED %d\n",
                  a->options->external_weights, embedded);
  moire__text_add(out, "#define MOIRE__AOT_CODING %d\n", model->item_coder);
  moire__text_add(out, "#include \"runtime/aot/cpu.h\"\n#include \"runtime/aot/tables.h\"\n");
  add_level_tables(a, out);
  if (model->training) add_states(a, out);
  if (model->item_coder) {
    moire__text_add(out, "\nstatic const int64_t codes[] = {");
    for (int l = 0; l < a->n_codes; l++) moire__text_add(out, "%s%" PRId64, l ? ", " : "", a->codes[l]);
    moire__text_add(out, "};\n");
  }
  if (embedded)
    moire__text_add(out,
                    "\n__asm__(\".pushsection .rodata\\n.balign 64\\nmoire__%s_weights:\\n"
                    ".incbin \\\"weights\\\"\\n.popsection\");\n"
                    "extern const unsigned char moire__%s_weights[];\n",
                    a->options->name, a->options->name);
  moire__text_add(out,
                  "\nstatic const moire__aot_tables tables = {\n    .version = \"moire %s, model %s, code for ",
                  MOIRE_VERSION, model->name);
  add_levels(a, out);
  moire__text_add(out, ", build %016" PRIx64 ", weights %016" PRIx64 "\",\n    .model = ", a->signature,
                  a->weight_hash);
  add_string(model->name, out);
  moire__text_add(out, ",\n    .config = ");
  add_string(model->config, out);
  moire__text_add(out, ",\n    .levels = levels,\n    .n_levels = %d,\n    .signature = 0x%016" PRIx64 "u,\n",
                  a->n_levels, a->signature);
  moire__text_add(out, "    .weight_bytes = %" PRId64 ",\n", a->weight_bytes);
  if (embedded) moire__text_add(out, "    .weights = moire__%s_weights,\n", a->options->name);
  if (model->item_coder) moire__text_add(out, "    .codes = codes,\n");
  if (model->training)
    moire__text_add(out,
                    "    .states = states,\n    .n_states = %d,\n    .state_bytes = %" PRId64
                    ",\n    .lr = %a,\n    .beta1 = %a,\n    .beta2 = %a,\n",
                    a->n_states, a->state_bytes, model->optimizer->lr, model->optimizer->beta1,
                    model->optimizer->beta2);
  moire__text_add(out, "};\n\n#include \"runtime/aot/library.c\"\n");
}

/* ---- pkg-config ------------------------------------------------------------------------------------- */

void moire__ahead_write_package(const moire__ahead *a, moire__text *out) {
  const char *name = a->options->name;
  moire__text_add(out, "Name: %s\nDescription: the model %s, compiled by Moire\nVersion: %s\n", name,
                  a->model->name, MOIRE_VERSION);
  moire__text_add(out, "Cflags: -I${pcfiledir}\nLibs: -L${pcfiledir} -l:%s.so -Wl,-rpath,${pcfiledir}\n", name);
  moire__text_add(out, "Libs.private: -L${pcfiledir} -l:%s.a -lm\n", name);
}
