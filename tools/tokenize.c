/* moire tokenize: texts to a token file. */
#include "tools/tool.h"

#include "runtime/base/hash.h"
#include "runtime/base/memory.h"
#include "runtime/text/corpus.h"
#include "runtime/text/token_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TEXTS = 256 };

typedef struct arguments {
  const char *texts[MOST_TEXTS]; /* paths */
  moire__corpus_kind kinds[MOST_TEXTS];
  int n_texts;
  const char *tokenizer, *out, *name;
  int64_t length, seed;
  bool shuffles;
} arguments;

enum { TOKENIZER = 0x100, LENGTH, SHUFFLE, NAME };

static const struct argp_option options[] = {
    {"tokenizer", TOKENIZER, "FILE", 0, "A model of SentencePiece (BPE), or llama2.c's vocabulary", 0},
    {"output", 'o', "FILE", 0, "The token file to write", 0},
    {"length", LENGTH, "N", 0, "Ids in a row, with the first, BOS (128)", 0},
    {"shuffle", SHUFFLE, "SEED", 0, "Shuffle the rows, all sources together (as they come)", 0},
    {"name", NAME, "NAME", 0, "What the file calls the tokenizer (its file name and a check sum)", 0},
    {0}};

/* KIND:FILE, or FILE alone: records where it ends in .json, else lines. */
static void take_text(struct argp_state *state, arguments *a, const char *text) {
  if (a->n_texts == MOST_TEXTS) argp_error(state, "more than %d texts", MOST_TEXTS);
  const char *colon = strchr(text, ':');
  size_t n = strlen(text);
  moire__corpus_kind kind =
      n > 5 && !strcmp(text + n - 5, ".json") ? MOIRE__CORPUS_ALPACA : MOIRE__CORPUS_LINES;
  if (colon && moire__corpus_kind_find(text, (size_t)(colon - text), &kind)) text = colon + 1;
  a->kinds[a->n_texts] = kind;
  a->texts[a->n_texts++] = tool_path_argument(state, "TEXT", "a file", text);
}

static error_t parse(int key, char *text, struct argp_state *state) {
  arguments *a = state->input;
  switch (key) {
    case ARGP_KEY_ARG: take_text(state, a, text); return 0;
    case TOKENIZER: a->tokenizer = tool_path_argument(state, "--tokenizer", "a file", text); return 0;
    case 'o': a->out = tool_path_argument(state, "--output", "a file", text); return 0;
    case LENGTH: a->length = tool_int_argument(state, "--length", text, 2, 1 << 24); return 0;
    case NAME: a->name = text; return 0;
    case SHUFFLE:
      a->shuffles = true;
      a->seed = tool_int_argument(state, "--shuffle", text, 0, INT64_MAX);
      return 0;
    case ARGP_KEY_END:
      if (!a->n_texts || !a->tokenizer || !a->out)
        argp_error(state, "wanted texts, --tokenizer FILE and --output FILE");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

typedef struct source {
  moire__token_rows *rows;
  const arguments *a;
  int number;
} source;

static moire_status add_text(void *context, const char *text, size_t n, moire_error *error) {
  const source *s = context;
  return moire__token_rows_add(s->rows, text, n, moire__corpus_is_cut(s->a->kinds[s->number]), s->number,
                               error);
}

static moire_status make_rows(const arguments *a, moire__token_rows *rows, moire_error *error) {
  moire_status status = MOIRE_OK;
  for (int i = 0; i < a->n_texts && !status; i++) {
    source s = {rows, a, i};
    int64_t before = rows->n;
    status = moire__corpus_read(a->texts[i], a->kinds[i], add_text, &s, error);
    if (!status && rows->n == before)
      status = moire_fail(error, MOIRE_ERROR_ARGUMENT, "%s: there is no text in it", a->texts[i]);
  }
  if (!status && a->shuffles) moire__token_rows_shuffle(rows, (uint64_t)a->seed);
  return status;
}

static moire_status write_rows(const arguments *a, const moire__tokenizer *t, const moire__token_rows *rows,
                               moire_error *error) {
  size_t n = 0;
  const void *bytes = moire__tokenizer_bytes(t, &n);
  const char *slash = strrchr(a->tokenizer, '/');
  moire__text name = {0};
  if (a->name)
    moire__text_add(&name, "%s", a->name);
  else
    moire__text_add(&name, "%s %08" PRIx32, slash ? slash + 1 : a->tokenizer,
                    (uint32_t)moire__hash_bytes(bytes, n));
  moire_status status = moire__token_rows_write(rows, a->out, moire__text_string(&name), error);
  moire__text_free(&name);
  return status;
}

int tool_tokenize(int argc, char **argv) {
  static const struct argp parser = {
      options,
      parse,
      "[KIND:]TEXT... --tokenizer FILE -o FILE",
      "Makes a token file of texts. KIND is text (the file is one text), lines (one text a line, the default), "
      "wikitext (lines without headings) or alpaca (JSON records, the default for .json). Rows begin with BOS; "
      "a long "
      "text is divided into several, a record is cut off. Each row says of which TEXT it comes, from 0.",
      NULL,
      NULL,
      NULL};
  arguments a = {.length = 128};
  argp_parse(&parser, argc, argv, 0, NULL, &a);
  moire_error error = {0};
  moire__tokenizer *t = NULL;
  moire__token_rows rows = {0};
  moire_status status = moire__tokenizer_load(a.tokenizer, &t, &error);
  if (!status) status = moire__token_rows_start(&rows, t, a.tokenizer, a.length, &error);
  if (!status) status = make_rows(&a, &rows, &error);
  if (!status) status = write_rows(&a, t, &rows, &error);
  if (!status)
    fprintf(stderr, "%" PRId64 " texts, %" PRId64 " rows, %" PRId64 " tokens\n", rows.texts, rows.n,
            rows.tokens);
  moire__token_rows_free(&rows);
  moire__tokenizer_free(t);
  return status ? tool_fail("tokenize", &error) : 0;
}
