/* The interface of language models: rows of words that are continued, with a cache in the caller's memory, and
 * the tokenizer's tables.
 *
 * The graph reads tokens i32[B, T], counts i32[B], positions i32[B] and past.NAME f32 or c64 [B, heads, S,
 * width], and gives next f32[B, V] and present.NAME [B, heads, T, width]. */
#include "compiler/driver/ahead/interface.h"
#include "compiler/ir/op.h"
#include "runtime/base/planes.h"

#include <inttypes.h>
#include <string.h>

enum { OWN_INPUTS = 3, NO_END = 1 << 24 };

/* One plane of a cache. */
typedef struct cache {
  const char *past, *present; /* names in plans */
  int64_t heads, width;
} cache;

typedef struct caches {
  cache *list;
  int n, capacity;
} caches;

static const char past_prefix[] = "past.";

/* [B, heads, S, width], and the output to it [B, heads, T, width]. */
static bool is_cache(const moire_graph *g, const moire_shape *past, const moire_shape *present) {
  bool good = past->rank == 4 && present->rank == 4;
  for (int i = 0; i < 4 && good; i++) {
    const char *wanted = i == 0 ? "B" : i == 2 ? "S" : NULL, *name = moire_dim_extent_name(g, past->dims[i], 0);
    good = wanted ? name && !strcmp(name, wanted) && moire_dim_factor(past->dims[i]) == 1 : !name;
    good = good && (i == 2 || past->dims[i] == present->dims[i]);
  }
  const char *fresh = good ? moire_dim_extent_name(g, present->dims[2], 0) : NULL;
  return fresh && !strcmp(fresh, "T");
}

static moire_status add_cache(moire__ahead *a, const moire_port *past, caches *all, const char **outputs,
                              int *n, moire_error *error) {
  const moire_graph *g = a->model->inference;
  const char *name = moire__arena_printf(&a->arena, "present.%s", past->name + sizeof past_prefix - 1);
  moire_port present = moire_graph_find_output(g, name);
  if (!present.name || present.dtype != past->dtype || !is_cache(g, &past->shape, &present.shape))
    return moire_fail(
        error, MOIRE_ERROR_UNSUPPORTED,
        "input %s of %s: wanted [B, heads, S, width], and an output %s [B, heads, T, width] of its "
        "type",
        past->name, g->name, name);
  outputs[(*n)++] = name;
  bool complex = past->dtype == MOIRE_C64;
  for (int p = 0; p <= complex; p++) {
    const char *suffix = complex ? moire__plane_suffix(p) : "";
    cache c = {.past = moire__arena_printf(&a->arena, "%s%s", past->name, suffix),
               .present = moire__arena_printf(&a->arena, "%s%s", name, suffix),
               .heads = moire_dim_factor(past->shape.dims[1]),
               .width = moire_dim_factor(past->shape.dims[3])};
    MOIRE__PUSH(&a->arena, all->list, all->n, all->capacity, c);
  }
  return MOIRE_OK;
}

static moire_status choose(moire__ahead *a, moire_error *error) {
  static const moire_fixed_extent one[] = {{"B", 1}, {"T", 1}};
  const moire_graph *g = a->model->inference;
  moire_port next = moire_graph_find_output(g, "next");
  if (!next.name || next.dtype != MOIRE_F32 || next.shape.rank != 2 ||
      moire_dim_extent_name(g, next.shape.dims[1], 0))
    return moire_fail(error, MOIRE_ERROR_UNSUPPORTED, "the graph %s: wanted the output next f32[B, words]",
                      g->name);
  caches *all = moire__arena_alloc(&a->arena, sizeof *all);
  int inputs = moire_graph_input_count(g), n = 0;
  const char **outputs = moire__arena_array(&a->arena, (size_t)inputs + 2, sizeof *outputs);
  moire_status status = MOIRE_OK;
  *all = (caches){0};
  outputs[n++] = "next";
  for (int i = 0; i < inputs && !status; i++) {
    moire_port port = moire_graph_input(g, i);
    if (!strncmp(port.name, past_prefix, sizeof past_prefix - 1))
      status = add_cache(a, &port, all, outputs, &n, error);
  }
  a->own = all;
  a->served[0] = (moire__ahead_served){
      .name = "next", .outputs = outputs, .n_outputs = n, .folds = true, .folds_all = true};
  a->served[1] = a->served[0]; /* a word of a row: products read weights as they lie */
  a->served[1].name = "one";
  a->served[1].fixed = one;
  a->served[1].n_fixed = 2;
  return status;
}

/* ---- Checking --------------------------------------------------------------------------------------- */

/* The extents by the numbers of runtime/aot/rows.h. */
static moire_status check_extents(const moire_plan *plan, moire_error *error) {
  static const char *const wanted[] = {"", "B", "T", "S"};
  bool good = plan->n_extents == MOIRE__AHEAD_MOST_EXTENTS && !plan->packing.extent;
  for (int i = 1; i <= MOIRE__AHEAD_MOST_EXTENTS && good; i++) good = !strcmp(plan->extents[i], wanted[i]);
  return good ? MOIRE_OK
              : moire_fail(error, MOIRE_ERROR_UNSUPPORTED,
                           "the graph %s: wanted B, T and S as its named extents, in this order", plan->name);
}

static moire_status check_tokenizer(const moire__ahead *a, int64_t words, moire_error *error) {
  const moire_ahead_tokenizer *t = a->model->tokenizer;
  if (!t || t->n == words) return MOIRE_OK;
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "the tokenizer has %" PRId32 " pieces, but the graph %s has %" PRId64 " words", t->n,
                    a->model->inference->name, words);
}

static void add_facts(moire__ahead *a, int64_t words) {
  const moire_ahead_tokenizer *t = a->model->tokenizer;
  moire__ahead_add_fact(a, "WORDS", words);
  moire__ahead_add_fact(a, "POSITIONS", a->model->positions > 0 ? a->model->positions : NO_END);
  moire__ahead_add_fact(a, "BOS", t ? t->bos : -1);
  moire__ahead_add_fact(a, "EOS", t ? t->eos : -1);
  moire__ahead_add_fact(a, "TEXT_BYTES", t ? t->most_text : 0);
}

static moire_status check(moire__ahead *a, moire_error *error) {
  const caches *all = a->own;
  int64_t words = moire_dim_factor(moire_graph_find_output(a->model->inference, "next").shape.dims[1]);
  moire_status status = MOIRE_OK;
  for (int i = 0; i < 2 && !status; i++) status = check_extents(&a->levels[0].modules[i]->plan, error);
  if (!status) status = check_tokenizer(a, words, error);
  if (status) return status;
  const char **inputs = moire__arena_array(&a->arena, (size_t)(OWN_INPUTS + all->n) + 1, sizeof *inputs);
  const char **outputs = moire__arena_array(&a->arena, (size_t)all->n + 1, sizeof *outputs);
  inputs[0] = "tokens";
  inputs[1] = "counts";
  inputs[2] = "positions";
  outputs[0] = "next";
  for (int i = 0; i < all->n; i++) {
    inputs[OWN_INPUTS + i] = all->list[i].past;
    outputs[1 + i] = all->list[i].present;
  }
  a->inputs = inputs;
  for (int i = 0; i < 2; i++) {
    a->served[i].outputs = outputs;
    a->served[i].n_outputs = 1 + all->n;
  }
  a->slice = MOIRE__AHEAD_MAX_BATCH;
  add_facts(a, words);
  return MOIRE_OK;
}

/* ---- Tables ----------------------------------------------------------------------------------------- */

static void break_line(int64_t i, moire__text *out) { moire__text_add(out, "%s", i % 24 ? " " : "\n    "); }

static void write_numbers(const char *type, const char *name, const void *numbers, int bytes, int64_t n,
                          moire__text *out) {
  moire__text_add(out, "static const %s moire__aot_pieces_%s[] = {", type, name);
  for (int64_t i = 0; i < n; i++) {
    int64_t number = bytes == 1 ? ((const uint8_t *)numbers)[i] : ((const int32_t *)numbers)[i];
    break_line(i, out);
    moire__text_add(out, "%" PRId64 ",", number);
  }
  moire__text_add(out, "\n    0};\n");
}

static void write_tokenizer(const moire_ahead_tokenizer *t, moire__text *out) {
  write_numbers("unsigned char", "text", t->text, 1, t->start[t->n], out);
  write_numbers("uint32_t", "start", t->start, 4, (int64_t)t->n + 1, out);
  write_numbers("uint8_t", "kind", t->kind, 1, t->n, out);
  write_numbers("int32_t", "slots", t->slots, 4, t->n_slots, out);
  moire__text_add(out, "static const float moire__aot_pieces_score[] = {");
  for (int32_t i = 0; i < t->n; i++) {
    break_line(i, out);
    moire__text_add(out, "%a,", (double)t->score[i]);
  }
  moire__text_add(out,
                  "\n    0};\nstatic const moire__pieces moire__aot_pieces = {\n    .n = %" PRId32
                  ", .text = (const char *)moire__aot_pieces_text, .start = moire__aot_pieces_start,\n"
                  "    .score = moire__aot_pieces_score, .kind = moire__aot_pieces_kind,\n"
                  "    .slots = moire__aot_pieces_slots, .n_slots = %" PRIu32 ", .unknown = %" PRId32
                  ", .bos = %" PRId32 ", .eos = %" PRId32 ", .pad = %" PRId32
                  ",\n    .space_in_front = %d, .few_spaces = %d, .bytes = {",
                  t->n, t->n_slots, t->unknown, t->bos, t->eos, t->pad, t->space_in_front, t->few_spaces);
  for (int i = 0; i < 256; i++) {
    break_line(i, out);
    moire__text_add(out, "%" PRId32 ",", t->bytes[i]);
  }
  moire__text_add(out, "}};\n");
}

static void write_tables(const moire__ahead *a, moire__text *out) {
  const caches *all = a->own;
  moire__text_add(out,
                  "\n#define MOIRE__AOT_TOKENIZER %d\n#include \"runtime/aot/rows.h\"\n"
                  "#include \"runtime/text/pieces.h\"\nstatic const moire__aot_cache moire__aot_caches[] = {",
                  a->model->tokenizer != NULL);
  for (int i = 0; i < all->n; i++)
    moire__text_add(out, "{%" PRId64 ", %" PRId64 "}, ", all->list[i].heads, all->list[i].width);
  moire__text_add(out, "{0}};\nenum { moire__aot_n_caches = %d };\n", all->n);
  if (a->model->tokenizer) write_tokenizer(a->model->tokenizer, out);
}

static const char *const files[] = {"rows.c", "generate.c", "words.c", NULL};
static const char *const units[] = {"runtime/text/sampling", "runtime/text/pieces", "runtime/text/utf8",
                                    "runtime/base/philox", NULL};

const moire__ahead_interface moire__ahead_generate = {.name = "generate",
                                                      .files = files,
                                                      .units = units,
                                                      .needs_weights = true,
                                                      .has_extents = true,
                                                      .choose = choose,
                                                      .check = check,
                                                      .write_tables = write_tables};
