/* moire generate: rows of words and what a language model makes of them. See tokens.h. */
#include "runtime/base/memory.h"
#include "runtime/base/philox.h"
#include "runtime/text/sampling.h"
#include "tasks/tokens/generator.h"
#include "tasks/tokens/kept.h"
#include "tasks/tokens/tokens.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct row {
  int32_t *ids; /* [prompt + most] */
  int64_t prompt, n;
  moire__decoding decoding;
  moire__text text;  /* of what was added; owned */
  const char *ended; /* why; NULL: not yet */
} row;

typedef struct generation {
  const moire__generate_job *job;
  moire__generator *generator;
  row *rows;
  int64_t n, words, positions, eos;
  int64_t begin, count, width;  /* rows that are continued: of a part, not all; so many at once */
  double *logits, *scratch, *p; /* [words] */
  int32_t *order;               /* [words] */
  double first, begun, ended;   /* seconds */
  int64_t made;                 /* tokens, of all rows */
  moire__tokenizer *tokenizer;  /* owned; NULL: ids alone */
  char *piece;                  /* room for the text of a word */
  moire__arena arena;
} generation;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int64_t moire__tokens_positions(const moire__setup *setup) {
  static const char *const keys[] = {"max_positions", "max_position_embeddings"};
  for (int k = 0; k < 2; k++) {
    for (int i = 0; i < setup->model->n_fields; i++) {
      const moire_config_field *field = &setup->model->fields[i];
      if (!strcmp(field->key, keys[k]) && field->kind == MOIRE_CONFIG_INT)
        return moire_config_int(setup->config, keys[k]);
    }
  }
  return INT64_MAX;
}

/* ---- Prompts
 * -------------------------------------------------------------------------------------------------- */

static moire_status check_prompt(const generation *g, const row *r, int64_t i, moire_error *error) {
  if (!r->prompt)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "prompt %" PRId64 ": is empty, wanted a token at least",
                      i + 1);
  if (r->prompt > g->positions)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "prompt %" PRId64 ": has %" PRId64 " tokens, more than the model's %" PRId64 " positions",
                      i + 1, r->prompt, g->positions);
  for (int64_t t = 0; t < r->prompt; t++) {
    if (r->ids[t] < 0 || r->ids[t] >= g->words)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "prompt %" PRId64 ": id %d is not among the %" PRId64 " words", i + 1, r->ids[t],
                        g->words);
  }
  return MOIRE_OK;
}

/* "1 403, 5": whole numbers with spaces or commas between. */
static moire_status read_ids(generation *g, const char *text, int64_t i, row *r, moire_error *error) {
  r->ids = moire__arena_array(&g->arena, strlen(text) + (size_t)g->job->most + 1, sizeof *r->ids);
  for (const char *at = text + strspn(text, " ,\t"); *at; at += strspn(at, " ,\t")) {
    char *end = NULL;
    long id = strtol(at, &end, 10);
    if (end == at || id < 0 || id > INT32_MAX)
      return moire_fail(error, MOIRE_ERROR_ARGUMENT, "prompt %" PRId64 ": wanted ids, but '%.40s' came", i + 1,
                        at);
    r->ids[r->prompt++] = (int32_t)id;
    at = end;
  }
  return MOIRE_OK;
}

/* BOS, if the tokenizer has one, and the ids of the text. */
static moire_status encode(generation *g, const char *text, int64_t i, row *r, moire_error *error) {
  if (!g->tokenizer)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "prompt %" PRId64
                      ": is text, and the checkpoint keeps no tokenizer: wanted --tokenizer FILE, or "
                      "--ids",
                      i + 1);
  int32_t *ids = NULL, bos = moire__tokenizer_pieces(g->tokenizer)->bos;
  size_t n = 0;
  moire_status status = moire__tokenizer_encode(g->tokenizer, text, strlen(text), &ids, &n, error);
  r->ids = moire__arena_array(&g->arena, n + (size_t)g->job->most + 2, sizeof *r->ids);
  if (bos >= 0) r->ids[r->prompt++] = bos;
  for (size_t k = 0; k < n; k++) r->ids[r->prompt++] = ids[k];
  moire__release(ids);
  return status;
}

/* The text of a word goes to the row's; what is held of a character comes later. */
static void add_text(generation *g, row *r, int32_t id, bool is_prompt) {
  if (!g->tokenizer) return;
  size_t n = moire__pieces_decode(moire__tokenizer_pieces(g->tokenizer), &r->decoding, id, g->piece);
  if (!is_prompt) moire__text_add_bytes(&r->text, g->piece, n);
}

static moire_status read_prompts(generation *g, moire_error *error) {
  const moire__generate_job *job = g->job;
  g->n = job->n_prompts;
  g->rows = moire__arena_array(&g->arena, (size_t)g->n + 1, sizeof *g->rows);
  moire_status status = MOIRE_OK;
  for (int64_t i = 0; i < g->n && !status; i++) {
    row *r = &g->rows[i];
    const moire__prompt *prompt = &job->prompts[i];
    status = prompt->is_ids ? read_ids(g, prompt->text, i, r, error) : encode(g, prompt->text, i, r, error);
    r->n = r->prompt;
    if (!status) status = check_prompt(g, r, i, error);
    for (int64_t t = 0; t < r->prompt && !status; t++) add_text(g, r, r->ids[t], true);
  }
  return status;
}

/* ---- Words
 * ---------------------------------------------------------------------------------------------------- */

static int64_t choose(generation *g, int64_t i, const float *logits) {
  const moire__generate_job *job = g->job;
  row *r = &g->rows[i];
  for (int64_t v = 0; v < g->words; v++) g->logits[v] = (double)logits[v];
  bool plain = job->greedy && job->sampling.repetition_penalty == 1;
  if (plain) return moire__sampling_best(g->logits, g->words);
  moire__sampling sampling = job->sampling;
  if (job->greedy) sampling = (moire__sampling){1, 1, 1, job->sampling.repetition_penalty};
  moire__sampling_probabilities(&sampling, g->logits, g->words, r->ids, r->n, g->scratch, g->order, g->p);
  double u = moire__uniform(job->seed, (uint64_t)i, (uint64_t)(r->n - r->prompt));
  return moire__sampling_draw(g->p, g->words, u);
}

/* A single row is told as it is made. */
static void print_token(generation *g, row *r, int32_t id) {
  size_t before = r->text.length;
  add_text(g, r, id, false);
  if (g->n > 1 || g->job->json) return;
  if (g->tokenizer)
    fwrite(moire__text_string(&r->text) + before, 1, r->text.length - before, g->job->out);
  else
    fprintf(g->job->out, r->n == r->prompt + 1 ? "%d" : " %d", id);
  fflush(g->job->out);
}

/* What is left of a character at the end. */
static void finish_text(generation *g, row *r) {
  char rest[12];
  size_t n = moire__pieces_finish(&r->decoding, rest);
  if (!g->tokenizer || !n) return;
  moire__text_add_bytes(&r->text, rest, n);
  if (g->n == 1 && !g->job->json) fwrite(rest, 1, n, g->job->out);
}

/* Adds the next word of every one of the n rows from `first` on that goes on; *left is how many do. */
static void extend(generation *g, int64_t first, int64_t n, const float *logits, int32_t *tokens,
                   int32_t *counts, int64_t *left) {
  *left = 0;
  for (int64_t i = 0; i < n; i++) {
    row *r = &g->rows[first + i];
    counts[i] = 0;
    if (r->ended) continue;
    tokens[i] = r->ids[r->n++] = (int32_t)choose(g, first + i, logits + i * g->words);
    g->made++;
    print_token(g, r, tokens[i]);
    r->ended = tokens[i] == g->eos                ? "eos"
               : r->n - r->prompt >= g->job->most ? "max"
               : r->n > g->positions              ? "positions"
                                                  : NULL;
    if (r->ended) {
      finish_text(g, r);
      continue;
    }
    counts[i] = 1;
    ++*left;
  }
}

/* The n rows from `first` on, together; the generator's other rows stay empty. */
static moire_status generate_group(generation *g, int64_t first, int64_t n, moire_error *error) {
  int64_t longest = 0;
  for (int64_t i = first; i < first + n; i++)
    longest = g->rows[i].prompt > longest ? g->rows[i].prompt : longest;
  int32_t *tokens = moire__allocate_array((size_t)(g->width * longest) + 1, sizeof *tokens);
  int32_t *counts = moire__allocate_array((size_t)g->width + 1, sizeof *counts);
  for (int64_t i = 0; i < n; i++) {
    counts[i] = (int32_t)g->rows[first + i].prompt;
    memcpy(tokens + i * longest, g->rows[first + i].ids, (size_t)counts[i] * sizeof *tokens);
  }
  const float *logits = NULL;
  moire__generator_clear(g->generator);
  moire_status status = moire__generator_append(g->generator, tokens, counts, longest, &logits, error);
  for (int64_t left = 1; left && !status;) {
    extend(g, first, n, logits, tokens, counts, &left);
    if (g->first == 0) g->first = now();
    if (left) status = moire__generator_append(g->generator, tokens, counts, 1, &logits, error);
  }
  moire__release(tokens);
  moire__release(counts);
  return status;
}

static moire_status generate(generation *g, moire_error *error) {
  int64_t end = g->begin + g->count;
  moire_status status = MOIRE_OK;
  g->begun = now();
  for (int64_t first = g->begin; first < end && !status; first += g->width)
    status = generate_group(g, first, end - first < g->width ? end - first : g->width, error);
  g->ended = now();
  return status;
}

/* ---- Results
 * -------------------------------------------------------------------------------------------------- */

static void print_json(const generation *g, const row *r) {
  json_t *prompt = json_array(), *ids = json_array();
  for (int64_t t = 0; t < r->n; t++)
    json_array_append_new(t < r->prompt ? prompt : ids, json_integer(r->ids[t]));
  json_t *object = json_pack("{s:o, s:o, s:s}", "prompt_ids", prompt, "ids", ids, "ended", r->ended);
  if (g->tokenizer) json_object_set_new(object, "text", json_string(moire__text_string(&r->text)));
  char *text = json_dumps(object, JSON_COMPACT);
  fprintf(g->job->out, "%s\n", text);
  free(text);
  json_decref(object);
}

static void print_rows(const generation *g) {
  for (int64_t i = g->begin; i < g->begin + g->count; i++) {
    const row *r = &g->rows[i];
    if (g->job->json) {
      print_json(g, r);
      continue;
    }
    if (g->n > 1 && g->tokenizer) fprintf(g->job->out, "[%" PRId64 "]%s", i + 1, moire__text_string(&r->text));
    for (int64_t t = r->prompt; g->n > 1 && !g->tokenizer && t < r->n; t++)
      fprintf(g->job->out, t > r->prompt ? " %d" : "%d", r->ids[t]);
    fprintf(g->job->out, "\n");
  }
  double rest = g->ended - g->first;
  int64_t later = g->made - g->count;
  if (!g->made) return;
  fprintf(stderr, "first token after %.4f s", g->first - g->begun);
  if (later > 0 && rest > 0) fprintf(stderr, ", then %.1f tokens/s", (double)later / rest);
  fprintf(stderr, "\n");
}

static moire_status start(generation *g, moire__predictor *p, moire_error *error) {
  moire__setup *setup = &p->setup;
  moire_status status = moire__config_table_set(&setup->table, "generate", "distil=none", error);
  if (!status) status = moire__setup_build(setup, moire__predictor_where(p), error);
  if (status) return status;
  g->words = moire_config_int(setup->config, "vocab_size");
  g->positions = moire__tokens_positions(setup);
  status = moire__tokenizer_find(g->job->tokenizer, p->file, g->words, &g->tokenizer, error);
  if (status) return status;
  const moire__pieces *pieces = g->tokenizer ? moire__tokenizer_pieces(g->tokenizer) : NULL;
  g->eos = g->job->eos != -2 ? g->job->eos : pieces ? pieces->eos : -1;
  if (pieces) g->piece = moire__arena_array(&g->arena, moire__pieces_most_text(pieces) + 1, 1);
  size_t n = (size_t)g->words + 1;
  g->logits = moire__arena_array(&g->arena, n, sizeof *g->logits);
  g->scratch = moire__arena_array(&g->arena, n, sizeof *g->scratch);
  g->p = moire__arena_array(&g->arena, n, sizeof *g->p);
  g->order = moire__arena_array(&g->arena, n, sizeof *g->order);
  status = read_prompts(g, error);
  if (status) return status;
  g->width = g->job->batch < g->n ? g->job->batch : g->n;
  moire__part_take(g->job->part, MOIRE__PART_LINES, "prompt", g->n, g->width, &g->begin, &g->count);
  g->generator = moire__generator_create(p, g->width, error);
  return g->generator ? MOIRE_OK : MOIRE_ERROR_ARGUMENT;
}

moire_status moire__tokens_generate(moire__predictor *p, const moire__generate_job *job, moire_error *error) {
  generation g = {.job = job};
  moire_status status = start(&g, p, error);
  if (!status) status = generate(&g, error);
  if (!status) print_rows(&g);
  moire__generator_destroy(g.generator);
  moire__tokenizer_free(g.tokenizer);
  for (int64_t i = 0; g.rows && i < g.n; i++) moire__text_free(&g.rows[i].text);
  moire__arena_free(&g.arena);
  return status;
}
