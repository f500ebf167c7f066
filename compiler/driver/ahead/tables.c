/* The library's tables as C: what runtime/aot/tables.h declares. */
#include "compiler/driver/ahead/interface.h"
#include "moire/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void moire__ahead_add_string(const char *text, moire__text *out) {
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

void moire__ahead_add_levels(const moire__ahead *a, moire__text *out) {
  for (int i = 0; i < a->n_levels; i++) moire__text_add(out, "%s%s", i ? " " : "", a->levels[i].target.name);
}

static int count_inputs(const moire__ahead *a) {
  int n = 0;
  while (a->inputs[n]) n++;
  return n;
}

static void add_plan_tables(const moire__ahead *a, int l, const moire__ahead_plan *plan, moire__text *out) {
  const moire__ahead_level *level = &a->levels[l];
  static const char *const places[] = {"INPUT", "MODEL", "STATE", "WORKSPACE"};
  moire__text_add(out, "\nstatic const moire__aot_buffer moire__%s_%d_buffers[] = {\n", plan->name, l);
  for (int i = 0; i < plan->n_buffers; i++)
    moire__text_add(out, "    {MOIRE__AOT_%s, %d, %" PRId64 "},\n", places[plan->buffers[i].place],
                    plan->buffers[i].part, plan->buffers[i].offset);
  moire__text_add(out, "};\nstatic const int moire__%s_%d_arguments[] = {", plan->name, l);
  for (int i = 0; i < plan->n_arguments; i++)
    moire__text_add(out, "%s%d,", i % 24 ? " " : "\n    ", plan->arguments[i]);
  moire__text_add(out, "\n    0};\nstatic const int64_t moire__%s_%d_constants[] = {", plan->name, l);
  for (int i = 0; i < plan->n_constants; i++)
    moire__text_add(out, "%s%" PRId64 ",", i % 12 ? " " : "\n    ", plan->constants[i]);
  moire__text_add(out, "\n    0};\nstatic const moire__aot_step moire__%s_%d_steps[] = {\n", plan->name, l);
  for (int i = 0; i < plan->n_steps; i++) {
    const moire__ahead_step *s = &plan->steps[i];
    moire__text_add(out, "    {%s, %d, %d, %d, %" PRId64 ", %" PRId64 ", ", level->symbols[s->kernel],
                    s->first_argument, s->n_arguments, s->extents, s->count, s->block);
    moire__ahead_add_string(s->name, out);
    moire__text_add(out, ", %d, %d},\n", s->first_constant, s->n_constants);
  }
  moire__text_add(out, "    {0}};\nstatic const moire__aot_copy moire__%s_%d_copies[] = {\n", plan->name, l);
  for (int i = 0; i < plan->n_copies; i++)
    moire__text_add(out, "    {%d, %d, %" PRId64 "},\n", plan->copies[i].to, plan->copies[i].from,
                    plan->copies[i].bytes);
  moire__text_add(out, "    {0}};\nstatic const unsigned char moire__%s_%d_reads[] = {", plan->name, l);
  for (int i = 0; i < MOIRE__AHEAD_COMMON_INPUTS + count_inputs(a); i++)
    moire__text_add(out, "%s%d", i ? ", " : "", plan->reads[i]);
  moire__text_add(out, "};\nstatic const int moire__%s_%d_outputs[] = {", plan->name, l);
  for (int i = 0; i < plan->n_outputs; i++) moire__text_add(out, "%d, ", plan->outputs[i]);
  moire__text_add(out, "0};\nstatic const moire__aot_part moire__%s_%d_parts[] = {", plan->name, l);
  for (int i = 0; i < plan->n_parts; i++)
    moire__text_add(out, "{%d, %" PRId64 "}, ", plan->parts[i].extents, plan->parts[i].bytes);
  moire__text_add(out, "{0}};\n");
}

/* `member` of the level. */
static void add_plan(const char *member, const moire__ahead_plan *plan, int l, moire__text *out) {
  const char *name = plan->name;
  moire__text_add(out,
                  "     .%s = {moire__%s_%d_buffers, moire__%s_%d_arguments, %d, moire__%s_%d_constants, %d, "
                  "moire__%s_%d_steps, %d, moire__%s_%d_copies, %d,\n",
                  member, name, l, name, l, plan->n_arguments, name, l, plan->n_extents, name, l, plan->n_steps,
                  name, l, plan->n_copies);
  moire__text_add(out,
                  "         moire__%s_%d_reads, %d, %d, %d, %d, %" PRId64 ", %" PRId64
                  ", %d, %d, moire__%s_%d_outputs, %d, moire__%s_%d_parts, %d},\n",
                  name, l, plan->ids, plan->lengths, plan->targets, plan->ignored, plan->length, plan->block,
                  plan->wide_ids, plan->flush, name, l, plan->n_outputs, name, l, plan->n_parts);
}

static void add_plans(const moire__ahead *a, int l, moire__text *out) {
  const moire__ahead_plan *plans = a->levels[l].plans;
  for (int p = 0; a->served[p].name; p++) {
    char member[24];
    snprintf(member, sizeof member, "served[%d]", p);
    add_plan(member, &plans[p], l, out);
  }
  for (int p = MOIRE__AHEAD_PREPARE; p < MOIRE__AHEAD_PLANS && a->model->training; p++) {
    char member[24];
    snprintf(member, sizeof member, "prepare[%d]", p - MOIRE__AHEAD_PREPARE);
    if (plans[p].name) add_plan(p < MOIRE__AHEAD_STEP ? member : plans[p].name, &plans[p], l, out);
  }
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
      if (level->plans[p].name) add_plan_tables(a, l, &level->plans[p], out);
    }
  }
  moire__text_add(out, "\nstatic const moire__aot_level levels[] = {\n");
  for (int l = 0; l < a->n_levels; l++) {
    const moire__ahead_level *level = &a->levels[l];
    moire__text_add(
        out, "    {.name = \"%s\",\n     .features = %s,\n     .pays = %s,\n     .weights = %" PRId64 ",\n",
        level->target.name, features_of(level->target.name),
        level->target.has_dots ? "MOIRE__AOT_CPU_X86_DOTS" : "0", level->weights);
    moire__text_add(out, "     .block_bytes = %" PRId64 ",\n     .prepare_bytes = %" PRId64 ",\n",
                    level->block_bytes, level->prepare_bytes);
    add_plans(a, l, out);
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
    moire__ahead_add_string(init->stream, out);
  }
  if (init->kind == MOIRE_INIT_LIST)
    moire__text_add(out, ", .values = moire__state_%d_values, .n_values = %d", i, init->n_values);
  moire__text_add(out, "}");
}

static void add_states(const moire__ahead *a, moire__text *out) {
  for (int i = 0; i < a->n_states; i++) {
    const moire_init *init = &a->states[i].info.init;
    if (init->kind != MOIRE_INIT_LIST) continue;
    moire__text_add(out, "static const double moire__state_%d_values[] = {", i);
    for (int j = 0; j < init->n_values; j++) moire__text_add(out, "%s%a", j ? ", " : "", init->values[j]);
    moire__text_add(out, "};\n");
  }
  moire__text_add(out, "\nstatic const moire__aot_state states[] = {\n");
  for (int i = 0; i < a->n_states; i++) {
    const moire__ahead_state *s = &a->states[i];
    moire__text_add(out, "    {.name = ");
    moire__ahead_add_string(s->info.name, out);
    moire__text_add(out, ", .dtype = (moire_dtype)%d, .rank = %d, .shape = {", s->info.dtype,
                    s->info.shape.rank);
    for (int d = 0; d < s->info.shape.rank; d++) moire__text_add(out, "%" PRId64 ",", s->info.shape.dims[d]);
    moire__text_add(out,
                    "%s},\n     .elements = %" PRId64 ", .offset = %" PRId64 ", .bytes = %" PRId64 ", .init = ",
                    s->info.shape.rank ? "" : "0", s->elements, s->offset, s->bytes);
    add_init(&s->info.init, i, out);
    moire__text_add(out, ",\n     .trained = %d, .optimizer = %d, .embedded = %" PRId64 "},\n", s->info.trained,
                    moire_optimizer_owns(s->info.name), s->embedded);
  }
  moire__text_add(out, "};\n");
}

static void add_includes(const char *const *files, moire__text *out) {
  for (int i = 0; files[i]; i++) moire__text_add(out, "#include \"runtime/aot/%s\"\n", files[i]);
}

void moire__ahead_add_build(const moire__ahead *a, moire__text *out) {
  moire__text_add(out, "moire %s, model %s, code for ", MOIRE_VERSION, a->model->name);
  moire__ahead_add_levels(a, out);
  moire__text_add(out, ", build %016" PRIx64 ", weights %016" PRIx64, a->signature, a->weight_hash);
}

void moire__ahead_write_tables(const moire__ahead *a, moire__text *out) {
  const moire_ahead_model *model = a->model;
  bool embedded = model->weights && !a->options->external_weights;
  moire__text_add(out, "#define MOIRE__AOT_TABLES tables\n#define MOIRE__AOT_TRAINING %d\n",
                  model->training != NULL);
  moire__text_add(out, "#define MOIRE__AOT_EXTERNAL %d\n#define MOIRE__AOT_EMBEDDED %d\n",
                  a->options->external_weights, embedded);
  moire__text_add(out, "#define MOIRE__AOT_ITEMS %d\n#define MOIRE__AOT_OWN_INPUTS %d\n", a->searches,
                  count_inputs(a));
  moire__text_add(out, "#include \"runtime/aot/cpu.h\"\n#include \"runtime/aot/tables.h\"\n");
  add_level_tables(a, out);
  if (model->training) {
    add_states(a, out);
    moire__ahead_write_training(&model->optimizer->training, out);
  }
  if (a->interface->write_tables) a->interface->write_tables(a, out);
  if (embedded)
    moire__text_add(out,
                    "\n__asm__(\".pushsection .rodata\\n.balign 64\\nmoire__%s_weights:\\n"
                    ".incbin \\\"weights\\\"\\n.popsection\");\n"
                    "extern const unsigned char moire__%s_weights[];\n",
                    a->options->name, a->options->name);
  moire__text_add(out, "\nstatic const moire__aot_tables tables = {\n    .version = \"");
  moire__ahead_add_build(a, out);
  moire__text_add(out, "\",\n    .model = ");
  moire__ahead_add_string(model->name, out);
  moire__text_add(out, ",\n    .config = ");
  moire__ahead_add_string(model->config, out);
  moire__text_add(out, ",\n    .levels = levels,\n    .n_levels = %d,\n    .signature = 0x%016" PRIx64 "u,\n",
                  a->n_levels, a->signature);
  moire__text_add(out, "    .weight_bytes = %" PRId64 ",\n", a->weight_bytes);
  if (embedded) moire__text_add(out, "    .weights = moire__%s_weights,\n", a->options->name);
  if (model->training)
    moire__text_add(out,
                    "    .states = states,\n    .n_states = %d,\n    .state_bytes = %" PRId64
                    ",\n    .training = &training,\n",
                    a->n_states, a->state_bytes);
  moire__text_add(out, "};\n\n#include \"runtime/aot/library.c\"\n");
  add_includes(a->interface->files, out);
  if (model->training) add_includes(a->interface->training_files, out);
}
